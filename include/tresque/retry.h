/* How often a job that failed is tried again, and when. */
#ifndef TRESQUE_RETRY_H
#define TRESQUE_RETRY_H

#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;

enum {
    TRQ_RETRY_NEVER = -1,
    TRQ_RETRY_FOREVER = -2,
    TRQ_RETRY_MAX = 50000, /* retries that can be asked for */
    TRQ_JITTER_NONE = -1
};

/* Shape:   begins with its size (TRQ_RETRY, TRQ_RETRIES); at most one of constant, list, delay. None of them: the default,
 *          which grows with the fourth power: n^4 + 15 s before the n-th retry but one (n = 0, 1, ...), and by chance
 *          up to 10 (n + 1) s more. 25 retries take some three weeks. So do Sidekiq's.
 * Chance:  jitter is added, so that a policy's delay is the least; but where `most` cuts, the window of chance ends there
 *          and begins earlier, at half of it at the earliest.
 * Owner:   in a worker: const data, must outlive the engine. In trq_opts: copied; `list` and the function must stay. */
struct trq_retry {
    uint32_t size;
    int32_t retries;          /* after the first attempt. 0: as many as list has, else 25 */
    struct trq_span constant; /* always so long */
    const struct trq_span
        *list; /* before the n-th retry the n-th; the last one stands for all that follow */
    uint32_t list_count;
    int32_t jitter; /* per cent of the delay, at most 1,000; 0: 10, and the default's own */
    /* failures: 1 after the first attempt. Pure: same arguments, same answer; must not block. trq_forever(): do not try
     * again. A negative answer is none: the default stands, and trq_engine_stats.bad_delays counts it. On the thread
     * that ran the job. `seed` is for who wants a jitter of his own; none is added then unless `jitter` is set. */
    struct trq_span (*delay)(int failures, const struct trq_error *error, uint64_t seed);
    struct trq_span
        most; /* no delay is longer, jitter included; 0: ten years, which nothing exceeds */
};
/* .retry = &trq_no_retry */
#ifndef __cplusplus
TRQ_UNUSED static const struct trq_retry trq_no_retry = {.size = sizeof(struct trq_retry),
                                                         .retries = TRQ_RETRY_NEVER};
#else
TRQ_UNUSED static const trq_retry trq_no_retry = {
    sizeof(trq_retry), TRQ_RETRY_NEVER, {0}, nullptr, 0, 0, nullptr, {0}};
#endif
#ifndef __cplusplus
#define TRQ_RETRY(...) (&(const struct trq_retry){.size = sizeof(struct trq_retry), __VA_ARGS__})
/* .retry = TRQ_RETRIES(5): the default's delays, five of them. .retry = TRQ_RETRIES(TRQ_RETRY_NEVER) */
#define TRQ_RETRIES(n) TRQ_RETRY(.retries = (n))
#endif

/* What a policy (NULL: the default) says after so many failures, at least 1; error may be NULL. trq_forever(): no more. The
 * same seed, the same answer. Errors: a policy that is none, failures < 1: trq_forever(). */
TRQ_API struct trq_span trq_retry_delay(const struct trq_retry *policy, int failures,
                                        const struct trq_error *error, uint64_t seed);

enum { TRQ_FAILURES_KEPT = 4, TRQ_FAILURE_TEXT = 224 };

/* One attempt that failed. */
struct trq_failure {
    struct trq_wall at;
    uint32_t attempt; /* 1: the first */
    uint32_t reserved;
    char text[TRQ_FAILURE_TEXT]; /* cut there, at a character */
};
/* The last failures of a job that waits, runs, or is dead: the newest first. Fills in at most max; *out_count (may be NULL): how many are
 * kept, at most TRQ_FAILURES_KEPT, fewer after want of memory.
 * Returns: TRQ_OK; TRQ_GONE: it has ended.
 * Errors:  TRQ_EINVAL; TRQ_ESTOPPED in a forked child.
 * Threads: any. */
TRQ_API int trq_failures(struct trq_engine *engine, struct trq_job_id id, struct trq_failure *out,
                         size_t max, size_t *out_count);

#ifdef __cplusplus
}
#endif

#endif
