/* Test your own workers: no threads, no waiting, one job after the other. */
#ifndef TRESQUE_TEST_H
#define TRESQUE_TEST_H

#include <tresque/engine.h>
#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An engine without threads with these applications (NULL-ended) registered, started: nothing runs until you
 * say so. It holds 8,191 jobs, exactly, and times them all. Its clock stands at `now` (0: 2026-01-01) until you
 * advance it. Destroy it with trq_engine_destroy. */
TRQ_API int trq_test_engine(void *host, struct trq_wall now, const struct trq_app *const *apps,
                            struct trq_engine **out_engine, struct trq_error *error) TRQ_MUST_USE;
/* Run what is ready, and what that makes ready, until nothing is. Returns how many ran, or an error. */
TRQ_API int trq_test_drain(struct trq_engine *engine);
/* Run the one job that is next: 1, or 0 if there is none, or an error. */
TRQ_API int trq_test_step(struct trq_engine *engine);
/* Time passes: from one due time to the next, running what becomes ready there; then to the end of the span. Returns
 * how many ran, or an error. */
TRQ_API int trq_test_advance(struct trq_engine *engine, struct trq_span span);
/* Somebody sets the wall clock; no time passes. Nothing runs. */
TRQ_API int trq_test_set_wall(struct trq_engine *engine, struct trq_wall now);

/* How many jobs of that worker wait or are scheduled whose inputs contain these ({NULL, 0}: all). */
TRQ_API int trq_test_count(struct trq_engine *engine, const struct trq_worker *worker,
                           struct trq_dict inputs);
/* The same of scheduled ones; out_due (or NULL): the earliest due time of them. */
TRQ_API int trq_test_scheduled(struct trq_engine *engine, const struct trq_worker *worker,
                               struct trq_dict inputs, struct trq_wall *out_due);
/* Would enqueueing this be a duplicate: does a job wait with its queue lock? */
TRQ_API bool trq_test_locked(struct trq_engine *engine, const struct trq_worker *worker,
                             struct trq_dict inputs);

#ifdef __cplusplus
}
#endif

#endif
