/* Jobs that wait: cancel, move, run now; one by its id, or all that match. */
#ifndef TRESQUE_SCHEDULE_H
#define TRESQUE_SCHEDULE_H

#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;

/* By id, O(1).
 * Errors:  TRQ_EINVAL; TRQ_ESTOPPED; TRQ_ENOMEM (nothing changed).
 * Threads: any, handlers too; may wait for another thread's few instructions on the same job or key. An on_end of the
 *          cancelled job runs before trq_cancel returns. */

/* TRQ_OK: it waited (ready, scheduled, or for its worker lock) and has ended as cancelled: it will not run. TRQ_ASKED: it
 * runs; trq_job_should_stop says so to its handler, and how it ends is its handler's. TRQ_GONE: it has ended. */
TRQ_API int trq_cancel(struct trq_engine *engine, struct trq_job_id id);
/* A scheduled job is due then instead. TRQ_GONE: it is not scheduled (any more). A moved job has no place among
 * those that are due at the same time. */
TRQ_API int trq_move(struct trq_engine *engine, struct trq_job_id id, struct trq_wall to);
TRQ_API int trq_move_in(struct trq_engine *engine, struct trq_job_id id, struct trq_span after);
/* A scheduled job becomes ready now. TRQ_GONE: it is not scheduled (any more). It asks for its queue lock as one
 * that is due: if another job waits with it, it ends as merged into that one, which is TRQ_DUPLICATE. */
TRQ_API int trq_run_now(struct trq_engine *engine, struct trq_job_id id);

/* Scheduled jobs of a worker whose inputs contain these (equal by name, type and value; {NULL, 0}: all): fills at most
 * max ids, returns how many there are. A job that is scheduled throughout the call is found. O(jobs of the engine).
 * Errors:  TRQ_EUNKNOWN: not registered; TRQ_EINVAL; TRQ_ESTOPPED; TRQ_ENOMEM. */
TRQ_API long trq_scheduled(struct trq_engine *engine, const struct trq_worker *worker,
                           struct trq_dict inputs, struct trq_job_id *out_ids, size_t max);
/* Do it to all of them; returns to how many. */
TRQ_API long trq_cancel_matching(struct trq_engine *engine, const struct trq_worker *worker,
                                 struct trq_dict inputs);
TRQ_API long trq_move_matching(struct trq_engine *engine, const struct trq_worker *worker,
                               struct trq_dict inputs, struct trq_wall to);
TRQ_API long trq_run_now_matching(struct trq_engine *engine, const struct trq_worker *worker,
                                  struct trq_dict inputs);

#ifdef __cplusplus
}
#endif

#endif
