#include <criterion/criterion.h>
#include <math.h>

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/hist.h"

static struct tq_hist *make(void)
{
    return calloc(1, sizeof(struct tq_hist));
}

static uint64_t random64(void)
{
    return (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
}

static int by_size(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

Test(hist, an_empty_one_answers_zero)
{
    struct tq_hist *h = make();
    cr_assert_eq(tq_hist_count(h), 0);
    cr_assert_eq(tq_hist_max(h), 0);
    cr_assert_eq(tq_hist_quantile(h, 0.5), 0);
    free(h);
}

Test(hist, it_fits_three_kibibytes)
{
    cr_assert(sizeof(struct tq_hist) <= 3 * 1024);
}

Test(hist, buckets_follow_each_other_without_a_gap)
{
    cr_assert_eq(tq_hist_bucket(0), 0);
    for (uint64_t ns = 1; ns < 1 << 16; ns++) {
        const unsigned step = tq_hist_bucket(ns) - tq_hist_bucket(ns - 1);
        cr_assert(step <= 1, "at %llu", (unsigned long long)ns);
    }
    for (int bit = 4; bit < TQ_HIST_RANGE_BITS; bit++) {
        const uint64_t ns = UINT64_C(1) << bit;
        cr_assert_eq(tq_hist_bucket(ns), tq_hist_bucket(ns - 1) + 1);
    }
    cr_assert_eq(tq_hist_bucket((UINT64_C(1) << TQ_HIST_RANGE_BITS) - 1), TQ_HIST_LAST - 1);
    cr_assert_eq(tq_hist_bucket(UINT64_C(1) << TQ_HIST_RANGE_BITS), TQ_HIST_LAST);
    cr_assert_eq(tq_hist_bucket(INT64_MAX), TQ_HIST_LAST);
}

Test(hist, one_value_is_read_back_exactly_by_the_maximum)
{
    static const int64_t values[] = {0, 1, 15, 16, 17, 1000, 123456789, INT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct tq_hist *h = make();
        tq_hist_add(h, values[i]);
        cr_assert_eq(tq_hist_quantile(h, 0.5), values[i]);
        cr_assert_eq(tq_hist_max(h), values[i]);
        free(h);
    }
}

Test(hist, a_negative_value_counts_as_zero)
{
    struct tq_hist *h = make();
    tq_hist_add(h, -5);
    tq_hist_add(h, INT64_MIN);
    cr_assert_eq(tq_hist_count(h), 2);
    cr_assert_eq(tq_hist_max(h), 0);
    cr_assert_eq(tq_hist_quantile(h, 1), 0);
    free(h);
}

Test(hist, what_is_read_is_at_most_a_sixteenth_above)
{
    for (int64_t ns = 1; ns < INT64_C(1) << (TQ_HIST_RANGE_BITS - 1); ns += 1 + ns / 37) {
        struct tq_hist *h = make();
        tq_hist_add(h, ns);
        tq_hist_add(h, INT64_MAX);
        const int64_t read = tq_hist_quantile(h, 0.5);
        cr_assert(read >= ns && read - ns <= ns / 16, "%lld read as %lld", (long long)ns,
                  (long long)read);
        free(h);
    }
}

Test(hist, beyond_the_range_the_bound_is_the_maximum)
{
    struct tq_hist *h = make();
    const int64_t day = INT64_C(86400) * 1000000000;
    tq_hist_add(h, 1);
    tq_hist_add(h, day);
    tq_hist_add(h, 3 * day);
    cr_assert_eq(tq_hist_quantile(h, 0.6), 3 * day);
    free(h);
}

Test(hist, odd_quantiles_are_taken_as_the_nearest_right_one)
{
    struct tq_hist *h = make();
    tq_hist_add(h, 1);
    tq_hist_add(h, 9);
    cr_assert_eq(tq_hist_quantile(h, -1), 1);
    cr_assert_eq(tq_hist_quantile(h, 0), 1);
    cr_assert_eq(tq_hist_quantile(h, (double)NAN), 1);
    cr_assert_eq(tq_hist_quantile(h, 1), 9);
    cr_assert_eq(tq_hist_quantile(h, 7), 9);
    free(h);
}

Test(hist, quantiles_agree_with_sorted_data)
{
    enum { COUNT = 5000 };
    static const double quantiles[] = {0, 0.001, 0.01, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    int64_t *data = malloc(COUNT * sizeof *data);
    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 50; round++) {
        struct tq_hist *h = make();
        const int bits = 1 + rand() % (TQ_HIST_RANGE_BITS - 1);
        const size_t count = 1 + (size_t)rand() % COUNT;
        for (size_t i = 0; i < count; i++) {
            data[i] = (int64_t)(random64() >> (64 - 1 - rand() % bits));
            tq_hist_add(h, data[i]);
        }
        qsort(data, count, sizeof *data, by_size);
        cr_assert_eq(tq_hist_count(h), count);
        cr_assert_eq(tq_hist_max(h), data[count - 1]);
        for (size_t i = 0; i < sizeof quantiles / sizeof quantiles[0]; i++) {
            const double place = quantiles[i] * (double)count;
            const size_t rank = (size_t)place + ((double)(size_t)place < place); /* rounded up */
            const int64_t exact = data[rank < 1 ? 0 : rank - 1];
            const int64_t read = tq_hist_quantile(h, quantiles[i]);
            cr_assert(read >= exact && read - exact <= exact / 16,
                      "seed %u, round %d, q %g: %lld read as %lld", seed, round, quantiles[i],
                      (long long)exact, (long long)read);
            cr_assert(read <= tq_hist_max(h));
        }
        free(h);
    }
    free(data);
}

Test(hist, merged_ones_are_as_if_all_was_added_to_one)
{
    struct tq_hist *all = make();
    struct tq_hist *into = make();
    for (int part = 0; part < 3; part++) {
        struct tq_hist *h = make();
        for (int i = 0; i < 1000; i++) {
            const int64_t ns = (int64_t)(random64() >> (20 + rand() % 43));
            tq_hist_add(h, ns);
            tq_hist_add(all, ns);
        }
        tq_hist_merge(into, h);
        free(h);
    }
    cr_assert_arr_eq(into, all, sizeof *all);
    free(all);
    free(into);
}

Test(hist, a_full_bucket_stays_full)
{
    struct tq_hist *h = make();
    struct tq_hist *into = make();
    tq_store(&h->bucket[7], TQ_HIST_FULL - 1, relaxed);
    for (int i = 0; i < 3; i++) {
        tq_hist_add(h, 7);
        tq_hist_add_shared(h, 7);
    }
    cr_assert_eq(tq_hist_count(h), TQ_HIST_FULL);
    for (int i = 0; i < 3; i++)
        tq_hist_merge(into, h);
    cr_assert_eq(tq_hist_count(into), UINT32_MAX);
    free(h);
    free(into);
}

enum { THREADS = 4, ADDS = 20000 };

static void *add_many(void *hist)
{
    for (int64_t i = 1; i <= ADDS; i++)
        tq_hist_add_shared(hist, i);
    return NULL;
}

Test(hist, threads_that_share_one_lose_nothing)
{
    struct tq_hist *h = make();
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, add_many, h), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    cr_assert_eq(tq_hist_count(h), THREADS * ADDS);
    cr_assert_eq(tq_hist_max(h), ADDS);
    free(h);
}
