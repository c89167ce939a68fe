/* A log-linear histogram of durations: fixed size, no allocation, readable while it is written.
 *
 * Shape:   16 buckets per octave, so what is read is at most 1/16 above what was measured; below 16 ns
 *          exact. From 2^44 ns (4.8 h) on all falls into one last bucket, whose bound is the maximum. The
 *          maximum is exact. Zeroed memory is an empty histogram.
 * Units:   ns; a negative value counts as 0.
 * Threads: tq_hist_add: one thread at a time, no read-modify-write. tq_hist_add_shared: any. Not both on
 *          one histogram. Reading: any thread at any time, wait-free. All accesses are relaxed: a reader sees
 *          each value a little later, and not necessarily those of one instant.
 * Limits:  a bucket stops counting a little below 2^32.
 */
#ifndef TQ_BASE_HIST_H
#define TQ_BASE_HIST_H

#include "engine/base/atomic.h"

enum {
    TQ_HIST_SUB_BITS = 4,
    TQ_HIST_SUB = 1 << TQ_HIST_SUB_BITS,
    TQ_HIST_RANGE_BITS = 44,
    TQ_HIST_LAST =
        (TQ_HIST_RANGE_BITS - TQ_HIST_SUB_BITS + 1) * TQ_HIST_SUB, /* all that is longer */
    TQ_HIST_BUCKETS = TQ_HIST_LAST + 1
};

/* Between this and 2^32 a bucket stops; the distance is room for threads that add at once. */
#define TQ_HIST_FULL UINT32_C(0xFFFF0000)

struct tq_hist {
    tq_a64 max;
    tq_a32 bucket[TQ_HIST_BUCKETS];
};

static inline unsigned tq_hist_bucket(uint64_t ns)
{
    if (ns < TQ_HIST_SUB)
        return (unsigned)ns;
    if (ns >> TQ_HIST_RANGE_BITS)
        return TQ_HIST_LAST;
    /* Octave 1 begins at 16: the four bits below the leading one choose among its sixteen buckets, and
     * the leading one itself counts as the first sixteen. */
    const unsigned shift = 63u - (unsigned)__builtin_clzll(ns) - TQ_HIST_SUB_BITS;
    return shift * TQ_HIST_SUB + (unsigned)(ns >> shift);
}

static inline void tq_hist_add(struct tq_hist *hist, int64_t ns)
{
    const uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    tq_a32 *bucket = &hist->bucket[tq_hist_bucket(value)];
    const uint32_t count = tq_load(bucket, relaxed);
    if (count < TQ_HIST_FULL)
        tq_store(bucket, count + 1, relaxed);
    if (value > tq_load(&hist->max, relaxed))
        tq_store(&hist->max, value, relaxed);
}

void tq_hist_add_shared(struct tq_hist *hist, int64_t ns);

/* The caller is the only writer of `into`; `from` may be live. */
void tq_hist_merge(struct tq_hist *into, const struct tq_hist *from);

uint64_t tq_hist_count(const struct tq_hist *hist);
int64_t tq_hist_max(const struct tq_hist *hist);
/* The smallest bucket bound that at least q (0 to 1) of the values do not exceed; never above the
 * maximum; 0 if empty. */
int64_t tq_hist_quantile(const struct tq_hist *hist, double q);

#endif
