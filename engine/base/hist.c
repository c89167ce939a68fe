#include "engine/base/hist.h"

_Static_assert(sizeof(struct tq_hist) <= 3 * 1024, "there are two per worker and thread");

void tq_hist_add_shared(struct tq_hist *hist, int64_t ns)
{
    const uint64_t value = ns > 0 ? (uint64_t)ns : 0;
    tq_a32 *bucket = &hist->bucket[tq_hist_bucket(value)];
    if (tq_load(bucket, relaxed) < TQ_HIST_FULL)
        tq_add(bucket, 1, relaxed);
    uint64_t max = tq_load(&hist->max, relaxed);
    while (value > max && !tq_cas(&hist->max, &max, value, relaxed, relaxed))
        ;
}

/* atomic_load of a const object is not in C11 as first printed; the memory is never const. */
static uint32_t bucket_count(const struct tq_hist *hist, unsigned index)
{
    return tq_load(&((struct tq_hist *)(uintptr_t)hist)->bucket[index], relaxed);
}

static uint64_t max_of(const struct tq_hist *hist)
{
    return tq_load(&((struct tq_hist *)(uintptr_t)hist)->max, relaxed);
}

/* The largest value that the bucket counts. */
static uint64_t bucket_bound(unsigned index)
{
    if (index < TQ_HIST_SUB)
        return index;
    const unsigned shift = index / TQ_HIST_SUB - 1;
    const uint64_t leading = TQ_HIST_SUB + index % TQ_HIST_SUB;
    return ((leading + 1) << shift) - 1;
}

void tq_hist_merge(struct tq_hist *into, const struct tq_hist *from)
{
    for (unsigned i = 0; i < TQ_HIST_BUCKETS; i++) {
        const uint32_t more = bucket_count(from, i);
        const uint32_t count = bucket_count(into, i);
        if (more)
            tq_store(&into->bucket[i], more < UINT32_MAX - count ? count + more : UINT32_MAX,
                     relaxed);
    }
    if (max_of(from) > max_of(into))
        tq_store(&into->max, max_of(from), relaxed);
}

uint64_t tq_hist_count(const struct tq_hist *hist)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < TQ_HIST_BUCKETS; i++)
        count += bucket_count(hist, i);
    return count;
}

int64_t tq_hist_max(const struct tq_hist *hist)
{
    return (int64_t)max_of(hist);
}

/* How many values the quantile covers: 1 to count. Not a number counts as 0. */
static uint64_t rank_of(double q, uint64_t count)
{
    if (!(q > 0))
        return 1;
    if (q >= 1)
        return count;
    const double exact = q * (double)count;
    uint64_t rank = (uint64_t)exact;
    if ((double)rank < exact)
        rank++;
    return rank < 1 ? 1 : rank < count ? rank : count;
}

int64_t tq_hist_quantile(const struct tq_hist *hist, double q)
{
    const uint64_t count = tq_hist_count(hist);
    const int64_t max = tq_hist_max(hist);
    if (!count)
        return 0;
    uint64_t left = rank_of(q, count);
    /* Counts only grow, so what is left when the last bucket is reached lies in it. */
    for (unsigned i = 0; i < TQ_HIST_LAST; i++) {
        const uint64_t here = bucket_count(hist, i);
        if (left <= here) {
            const int64_t bound = (int64_t)bucket_bound(i);
            return bound < max ? bound : max;
        }
        left -= here;
    }
    return max;
}
