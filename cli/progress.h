/* The live bar on standard error, and what else must happen a few times a second. */
#ifndef TQ_CLI_PROGRESS_H
#define TQ_CLI_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>

#include <tresque.h>

#include "cli/output.h"

struct tq_progress {
    struct trq_engine *engine;
    struct tq_output *output; /* to be flushed; or NULL */
    bool bar;                 /* to be shown */
    int64_t begun_ns;
    atomic_bool total_known; /* set it once no more jobs will be read */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    bool ending;
};

/* Starts the thread if there is anything for it to do. False: the message has been said. The engine must
 * outlive it. */
bool tq_progress_start(struct tq_progress *progress) TRQ_MUST_USE;
/* The bar is taken away. */
void tq_progress_end(struct tq_progress *progress);

/* Of the clock that only goes forward. */
int64_t tq_progress_now_ns(void);

#endif
