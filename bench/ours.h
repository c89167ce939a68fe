/* The engine under test, by its public headers alone. */
#ifndef BENCH_OURS_H
#define BENCH_OURS_H

#include <stdint.h>

#include <tresque.h>

#define OURS_COUNT_INPUTS(F, W)                                                                    \
    F(W, i64, user_id, TRQ_REQUIRED, 0)                                                            \
    F(W, str, name, TRQ_REQUIRED, NULL)
TRQ_INPUTS(ours_count, OURS_COUNT_INPUTS);

/* Created, the worker registered, started. */
struct trq_engine *ours_start(const struct trq_config *config);
/* Jobs first .. first+count-1, one a call or 64 a call; a full engine is waited for. */
void ours_enqueue(struct trq_engine *engine, uint64_t first, uint64_t count);
void ours_enqueue_bulk(struct trq_engine *engine, uint64_t first, uint64_t count);
/* Runs what is ready, in an engine without threads. */
void ours_poll(struct trq_engine *engine);
void ours_stop(struct trq_engine *engine);

#endif
