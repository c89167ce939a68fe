/* Why does this job not run? And: is everything in order? */
#ifndef TRESQUE_EXPLAIN_H
#define TRESQUE_EXPLAIN_H

#include <tresque/channel.h>
#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;

enum trq_why_state {
    TRQ_IS_SCHEDULED, /* due at `due` */
    TRQ_IS_READY,     /* `ahead` jobs before it in `queue` */
    TRQ_IS_PAUSED,    /* ready, but the queue is paused */
    TRQ_IS_UNWORKED,  /* ready, but this engine does not work the queue, or is not started */
    TRQ_IS_PARKED,    /* waits for its worker lock: `ahead` waiters before it; `holder` runs */
    TRQ_IS_RUNNING,   /* on `thread` since `since` */
    TRQ_IS_ENDED      /* as `outcome`, at `since` */
};

struct trq_why {
    uint32_t size; /* set by you */
    enum trq_why_state state;
    struct trq_wall due;
    struct trq_wall
        since; /* scheduled, ready: when it was enqueued or became ready; parked: began to
                              wait; running: its start; to within the system's coarse clock */
    uint64_t ahead;
    int32_t weight; /* of its queue */
    int thread;
    const char *worker; /* these two live as long as the engine */
    const char *queue;
    struct trq_job_id holder; /* parked: a job that holds the key; {0, 0}: none just now */
    const char *holder_worker;
    struct trq_wall holder_since;
    enum trq_outcome outcome;
    uint32_t failures; /* attempts that failed so far */
    uint32_t retries;  /* that it has in all; UINT32_MAX: no end */
    struct trq_wall
        limit; /* ready, parked: begun by then, or it expires; running: its time is up then; 0: none */
    char text[244]; /* all this as a sentence */
};

/* What a job waits for, does, or how it ended. Ends other than done are kept, the last 1,024 of an engine.
 * TRQ_GONE:   it has ended, as done or too long ago; *out is untouched.
 * Errors:     TRQ_EINVAL; TRQ_ESTOPPED in a forked child; TRQ_ENOMEM.
 * Threads:    any; O(jobs ahead) for one in a queue or in line; the answer may be past when you read it. */
TRQ_API int trq_explain(struct trq_engine *engine, struct trq_job_id id, struct trq_why *out);

/* Walk every structure, recompute the locks from the jobs, and compare; for tests. Only while no other thread calls
 * the engine and its own threads are idle or it has none, else what it says means nothing.
 * TRQ_OK, or TRQ_ECONFLICT and the first contradiction as text. TRQ_ENOMEM. */
TRQ_API int trq_engine_check(struct trq_engine *engine, struct trq_error *error);

#ifdef __cplusplus
}
#endif

#endif
