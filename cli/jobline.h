/* One line of input: a JSON object that describes a job.
 *
 *     {"worker":"Exec","inputs":{"argv":["sha256sum","/etc/hosts"]},"queue":"default"}
 *     {"worker":"Exec","inputs":{"argv":["sync-mail","bob"],"user":"bob"},"in":5,
 *      "queue_lock":["user"],"on_conflict":"debounce","worker_lock":["user"],
 *      "retries":3,"backoff":10,"expires_in":3600,"timeout":60}
 */
#ifndef TQ_CLI_JOBLINE_H
#define TQ_CLI_JOBLINE_H

#include <jansson.h>

#include "cli/due.h"
#include "cli/joblimits.h"
#include "cli/locks.h"

struct tq_jobline {
    json_t *root;
    const char *worker;
    const char *queue; /* NULL: none given */
    const json_t *inputs;
    char *inputs_text; /* as a JSON object; terminated */
    struct tq_due due;
    struct tq_limits limits;
    struct tq_locks locks;
};

/* False: *out is untouched and `why`, of TQ_WHY_SIZE bytes, is the sentence.
 * Owner:   end it with tq_jobline_fini; all strings live until then. */
bool tq_jobline_parse(struct trq_str line, struct tq_jobline *out, char *why) TRQ_MUST_USE;
void tq_jobline_fini(struct tq_jobline *jobline);

/* Nothing but white space. */
bool tq_jobline_blank(struct trq_str line);

#endif
