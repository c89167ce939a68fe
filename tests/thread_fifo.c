/* Many producers and consumers: each item comes out once, those of one producer in their order, and what a producer
 * wrote before its push is seen after the pop. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    ITEMS = 60000,
#else
    ITEMS = 1500000,
#endif
    THREADS_MAX = 64,
    QUEUES_MAX = 4,
    BULK_MAX = 300,
};

struct run {
    struct tq_memory memory;
    struct tq_slab segments;
    struct tq_fifo_cache cache[THREADS_MAX];
    struct tq_fifo fifo[QUEUES_MAX];
    int queues, producers, consumers;
    uint32_t share; /* items of one producer */
    uint32_t close_at;
    tq_a32 out, accepted;
    tq_a32 producing;
    tq_a32 bad_order, bad_payload;
    unsigned char seen[ITEMS]; /* each written by who popped that item */
    uint32_t payload[ITEMS];
};

struct job {
    struct run *run;
    int number;
    pthread_t thread;
};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static uint32_t push_some(struct run *run, struct tq_fifo_cache *cache, struct tq_fifo *fifo,
                          uint32_t first, uint32_t count)
{
    uint32_t items[BULK_MAX];
    for (uint32_t i = 0; i < count; i++) {
        items[i] = first + i;
        run->payload[first + i] = ~(first + i);
    }
    if (!tq_fifo_reserve(&run->segments, cache, count))
        abort();
    return count == 1 ? tq_fifo_push_one(fifo, cache, first)
                      : tq_fifo_push(fifo, cache, items, count);
}

/* Items from number * share on. Of what a closed queue refuses the rest is not tried. */
static void *produce(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t random = 2463534242u + (uint32_t)job->number;
    uint32_t first = (uint32_t)job->number * run->share;
    uint32_t end = first + run->share;
    while (first < end) {
        uint32_t count = next_random(&random) % 4 ? 1 : 1 + next_random(&random) % BULK_MAX;
        if (count > end - first)
            count = end - first;
        struct tq_fifo *fifo = &run->fifo[next_random(&random) % (uint32_t)run->queues];
        uint32_t done = push_some(run, cache, fifo, first, count);
        tq_add(&run->accepted, done, relaxed);
        first += done;
        if (done < count)
            break;
    }
    tq_sub(&run->producing, 1, release);
    return NULL;
}

/* The items of one producer go up, in each queue. */
static void take_in(struct run *run, uint32_t item, uint32_t *last)
{
    uint32_t producer = item / run->share;
    if (last[producer] != TQ_NONE && item <= last[producer])
        tq_add(&run->bad_order, 1, relaxed);
    last[producer] = item;
    run->seen[item]++;
    if (run->payload[item] != ~item)
        tq_add(&run->bad_payload, 1, relaxed);
    tq_add(&run->out, 1, relaxed);
}

static void *consume(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t last[QUEUES_MAX][THREADS_MAX];
    memset(last, 0xff, sizeof last);
    for (;;) {
        /* Read before the look: then what the look does not find nobody will bring. */
        bool over = tq_load(&run->producing, acquire) == 0;
        bool found = false;
        for (int q = 0; q < run->queues; q++) {
            struct tq_taken taken;
            if (!tq_fifo_pop(&run->fifo[q], cache, &taken))
                continue;
            found = true;
            take_in(run, taken.item, last[q]);
        }
        if (!found && over)
            return NULL;
        if (!found)
            sched_yield();
    }
}

static void *close_all(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    while (tq_load(&run->out, relaxed) < run->close_at && tq_load(&run->producing, relaxed))
        sched_yield();
    for (int q = 0; q < run->queues; q++)
        tq_fifo_close(&run->fifo[q]);
    return NULL;
}

static bool prepare(struct run *run)
{
    tq_memory_init(&run->memory, NULL);
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = ITEMS,
        .caches_max = THREADS_MAX,
    };
    if (!tq_slab_init(&run->segments, &run->memory, &shape))
        return false;
    for (int i = 0; i < run->producers + run->consumers; i++) {
        if (!tq_slab_attach(&run->segments, &run->cache[i].slab))
            return false;
        tq_fifo_cache_init(&run->cache[i]);
    }
    for (int q = 0; q < run->queues; q++)
        if (!tq_fifo_init(&run->fifo[q], &run->segments, NULL, &run->cache[0]))
            return false;
    return true;
}

/* Quiescent, and all was taken. */
static bool check(struct run *run)
{
    bool good = true;
    for (int q = 0; q < run->queues; q++) {
        uint64_t items;
        good &= tq_fifo_check(&run->fifo[q], &items) && items == 0;
        good &= tq_fifo_depth(&run->fifo[q]) == 0;
    }
    /* A segment is free, or a spare, or in a queue. */
    const struct tq_slab_cache *caches[THREADS_MAX];
    uint32_t used = (uint32_t)run->queues, unused;
    uint32_t count = (uint32_t)(run->producers + run->consumers);
    for (uint32_t i = 0; i < count; i++) {
        caches[i] = &run->cache[i].slab;
        used += run->cache[i].spares;
    }
    uint32_t carved = tq_load(&run->segments.carved, relaxed);
    unsigned char *seen = calloc(carved + 1, 1);
    good = good && tq_slab_check(&run->segments, caches, count, seen, &unused);
    free(seen);
    return good && unused + used == carved;
}

static void run_once(int producers, int consumers, int queues, bool close)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    memset(run, 0, sizeof *run);
    run->producers = producers;
    run->consumers = consumers;
    run->queues = queues;
    run->share = (uint32_t)(ITEMS / producers);
    run->close_at = ITEMS / 3;
    tq_store(&run->producing, (uint32_t)producers, relaxed);
    tap_note("%d producers, %d consumers, %d queues%s", producers, consumers, queues,
             close ? ", closed meanwhile" : "");
    TAP_OK(prepare(run), "there is memory");
    struct job job[THREADS_MAX + 1];
    int threads = producers + consumers + close;
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){.run = run, .number = i};
        void *(*body)(void *) = i < producers               ? produce
                                : i < producers + consumers ? consume
                                                            : close_all;
        if (pthread_create(&job[i].thread, NULL, body, &job[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(job[i].thread, NULL);

    uint32_t out = 0, twice = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        out += run->seen[i] > 0;
        twice += run->seen[i] > 1;
    }
    uint32_t accepted = tq_load(&run->accepted, relaxed);
    if (!close)
        TAP_OK(accepted == run->share * (uint32_t)producers, "all items are accepted");
    TAP_OK(out == accepted && twice == 0, "what was accepted comes out once");
    TAP_OK(tq_load(&run->bad_order, relaxed) == 0, "one producer's items keep their order");
    TAP_OK(tq_load(&run->bad_payload, relaxed) == 0, "what was written before is seen");
    TAP_OK(check(run), "the check is content, no segment is lost");
    tq_slab_fini(&run->segments);
    free(run);
}

int main(void)
{
    static const int counts[] = {2, 8, 64};
    for (int i = 0; i < 3; i++) {
        int half = counts[i] / 2;
        run_once(half, half, 1, false);
        run_once(half, half, QUEUES_MAX, false);
        run_once(half, half, 2, true);
        if (counts[i] == 2)
            continue;
        run_once(counts[i] - 1, 1, 1, false);
        run_once(1, counts[i] - 1, 1, false);
    }
    return tap_done();
}
