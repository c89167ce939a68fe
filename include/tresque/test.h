/* Test your own workers: no threads, no waiting, one job after the other. */
#ifndef TRESQUE_TEST_H
#define TRESQUE_TEST_H

#include <tresque/engine.h>
#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An engine without threads with these applications (NULL-ended) registered, started: nothing runs until you
 * say so. It holds 8,191 jobs, exactly, and times them all. Destroy it with trq_engine_destroy. */
TRQ_API int trq_test_engine(void *host, const struct trq_app *const *apps,
                            struct trq_engine **out_engine, struct trq_error *error) TRQ_MUST_USE;
/* Run what is ready, and what that makes ready, until nothing is. Returns how many ran, or an error. */
TRQ_API int trq_test_drain(struct trq_engine *engine);
/* Run the one job that is next: 1, or 0 if there is none, or an error. */
TRQ_API int trq_test_step(struct trq_engine *engine);

#ifdef __cplusplus
}
#endif

#endif
