/* The dead set: jobs whose retries are used up, until somebody looks. */
#ifndef TRESQUE_DEAD_H
#define TRESQUE_DEAD_H

#include <tresque/retry.h>
#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A dead job takes no slot of jobs_max. There are at most trq_config.dead_max; then the one that has been dead for longest
 * falls out, which is counted and told to trq_config.on_dead_lost. */
struct trq_dead {
    struct trq_job_id id; /* as it was while it lived */
    uint64_t number;      /* in the order of death, from 1; never given twice */
    struct trq_wall died;
    const char *worker; /* these two live as long as the engine */
    const char *queue;
    uint32_t failures; /* attempts that failed */
    uint32_t reserved;
    char text[TRQ_FAILURE_TEXT]; /* of the last one */
};

/* How many there are now. */
TRQ_API uint64_t trq_dead_count(struct trq_engine *engine);

/* Page by page: those with a number above `after` (0: from the oldest on), of that worker (NULL: of any) whose inputs contain
 * these ({NULL, 0}: all), in order of number; at most max. Returns how many were filled in; the next page follows the
 * last one's number.
 * Errors:  TRQ_EUNKNOWN: the worker is not registered; TRQ_EINVAL; TRQ_ENOMEM; TRQ_ESTOPPED in a forked child.
 * Threads: any; mutex, held for 64 of them at a time. */
TRQ_API long trq_dead_list(struct trq_engine *engine, const struct trq_worker *worker,
                           struct trq_dict inputs, uint64_t after, struct trq_dead *out,
                           size_t max);
/* One, by its id. TRQ_GONE: it is not there (any more). out may be NULL. */
TRQ_API int trq_dead_get(struct trq_engine *engine, struct trq_job_id id, struct trq_dead *out);
/* Its inputs as JSON, terminated if size > 0. *out_needed (may be NULL): the length that it needs without the terminator.
 * TRQ_OK, also if it was cut; TRQ_GONE; TRQ_EINVAL; TRQ_ENOMEM. */
TRQ_API int trq_dead_json(struct trq_engine *engine, struct trq_job_id id, char *buffer,
                          size_t size, size_t *out_needed);

/* Back to its queue as a new job with the same inputs, locks and limits and all its retries anew; what is known of its
 * failures goes along, a deadline that it had inherited does not. It asks for its queue lock: if a job waits with it, the
 * dead one ends as merged into that one.
 * Returns: TRQ_OK, *out_id (may be NULL) is the new one's; TRQ_DUPLICATE: merged, *out_id is the other's; TRQ_GONE.
 * Errors:  TRQ_EFULL, TRQ_ENOMEM, TRQ_ESTOPPED: it is dead as before. TRQ_EINVAL. */
TRQ_API int trq_dead_retry(struct trq_engine *engine, struct trq_job_id id,
                           struct trq_job_id *out_id);
TRQ_API int trq_dead_delete(struct trq_engine *engine, struct trq_job_id id); /* TRQ_OK, TRQ_GONE */
/* All that match (worker NULL: of any) and were dead when the call began; returns how many (merged ones
 * too). They end early at an error, a full engine for one: what is left is dead as before. The error, if it was none. */
TRQ_API long trq_dead_retry_matching(struct trq_engine *engine, const struct trq_worker *worker,
                                     struct trq_dict inputs);
TRQ_API long trq_dead_delete_matching(struct trq_engine *engine, const struct trq_worker *worker,
                                      struct trq_dict inputs);

#ifdef __cplusplus
}
#endif

#endif
