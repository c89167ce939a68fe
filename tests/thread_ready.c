/* Many producers and consumers over fifos of several weights, some of whom put back what they took: no item is stranded
 * behind a hint that was taken away, and none of lower rank is taken while one of the highest is there. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/ready.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    ITEMS = 20000,
#else
    ITEMS = 120000,
#endif
    THREADS_MAX = 64,
    RANKS = 40, /* in three words */
};

/* Ticks order what one thread ended before another began. */
struct trace {
    uint32_t rank;
    uint64_t marked;       /* after push and mark */
    uint64_t began, ended; /* the take that gave it */
};

struct run {
    struct tq_memory memory;
    struct tq_slab segments, links;
    struct tq_fifo_cache cache[THREADS_MAX];
    struct tq_fifo fifo[RANKS];
    struct tq_ready *ready;
    int producers, consumers;
    uint32_t share;
    tq_a32 producing; /* threads that push or that close fifos */
    tq_a32 bad_order;
    tq_a64 tick;
    tq_a32 seen[ITEMS];
    bool returned[ITEMS]; /* its owner's: it was put back */
    uint64_t place[ITEMS];
    struct trace trace[ITEMS];
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

static void *produce(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t random = 2463534242u + (uint32_t)job->number;
    uint32_t end = ((uint32_t)job->number + 1) * run->share;
    for (uint32_t item = (uint32_t)job->number * run->share; item < end; item++) {
        /* Often the first, and rarely more at once than the consumers are through with. */
        uint32_t rank = next_random(&random) % 4 ? next_random(&random) % RANKS : 0;
        run->trace[item].rank = rank;
        if (!tq_fifo_reserve(&run->segments, cache, 1) ||
            !tq_fifo_push_one(&run->fifo[rank], cache, item))
            abort();
        tq_ready_mark(run->ready, rank);
        run->trace[item].marked = tq_add(&run->tick, 1, seq_cst);
        if (next_random(&random) % 64 == 0)
            sched_yield();
    }
    tq_sub(&run->producing, 1, release);
    return NULL;
}

/* Not those of the first rank, whose marks are judged. */
static bool put_back(struct run *run, struct tq_fifo_cache *cache, const struct tq_taken *taken)
{
    uint32_t link = taken->link;
    if (taken->rank == 0 || (link == TQ_NONE && !tq_fifo_link_take(&run->links, cache, &link)))
        return false;
    run->returned[taken->item] = true;
    run->place[taken->item] = taken->place;
    tq_fifo_put(&run->fifo[taken->rank], cache, link, taken->place, taken->item);
    tq_ready_mark(run->ready, taken->rank);
    return true;
}

static void *consume(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t random = 88675123u + (uint32_t)job->number;
    uint32_t(*last)[RANKS] = malloc((size_t)run->producers * sizeof *last);
    if (!last)
        abort();
    memset(last, 0xff, (size_t)run->producers * sizeof *last);
    for (;;) {
        /* Read before the look: then what the look does not find nobody will bring. */
        bool over = tq_load(&run->producing, acquire) == 0;
        struct tq_taken taken;
        uint64_t began = tq_add(&run->tick, 1, seq_cst);
        bool found = tq_ready_take(run->ready, cache, next_random(&random) % 2, &taken);
        uint64_t ended = tq_add(&run->tick, 1, seq_cst);
        if (!found && over)
            break;
        if (!found) {
            sched_yield();
            continue;
        }
        uint32_t *before = &last[taken.item / run->share][taken.rank];
        if (taken.rank != run->trace[taken.item].rank ||
            (run->returned[taken.item] ? taken.place != run->place[taken.item]
                                       : *before != TQ_NONE && taken.item <= *before))
            tq_add(&run->bad_order, 1, relaxed);
        if (next_random(&random) % 4 == 0 && put_back(run, cache, &taken))
            continue;
        if (taken.link != TQ_NONE)
            tq_fifo_link_free(&run->links, cache, taken.link);
        if (!run->returned[taken.item])
            *before = taken.item;
        run->trace[taken.item].began = began;
        run->trace[taken.item].ended = ended;
        tq_add(&run->seen[taken.item], 1, relaxed);
    }
    free(last);
    return NULL;
}

/* Pauses queues and lets them go on, and leaves all of them open. */
static void *toggle(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    uint32_t random = 362436069u;
    while (tq_load(&run->producing, relaxed) > 1) {
        tq_ready_open(run->ready, next_random(&random) % RANKS, next_random(&random) % 2);
        sched_yield();
    }
    for (uint32_t rank = 0; rank < RANKS; rank++)
        tq_ready_open(run->ready, rank, true);
    tq_sub(&run->producing, 1, release);
    return NULL;
}

static int by_mark(const void *a, const void *b)
{
    const struct trace *x = a, *y = b;
    return (x->marked > y->marked) - (x->marked < y->marked);
}

/* How many takes gave a lower rank, though an item of the first had been marked before they began and was not looked
 * for by who got it until they had ended: it was there all the time. */
static uint32_t overtakes(struct run *run, uint32_t items)
{
    struct trace *firsts = malloc(ITEMS * sizeof *firsts);
    uint32_t count = 0, bad = 0;
    if (!firsts)
        abort();
    for (uint32_t i = 0; i < items; i++)
        if (run->trace[i].rank == 0)
            firsts[count++] = run->trace[i];
    qsort(firsts, count, sizeof *firsts, by_mark);
    for (uint32_t i = 1; i < count; i++) /* now: the latest of all marked up to here */
        if (firsts[i].began < firsts[i - 1].began)
            firsts[i].began = firsts[i - 1].began;
    for (uint32_t i = 0; i < items; i++) {
        const struct trace *t = &run->trace[i];
        if (t->rank == 0)
            continue;
        uint32_t low = 0, high = count; /* how many firsts were marked before t began */
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (firsts[middle].marked < t->began)
                low = middle + 1;
            else
                high = middle;
        }
        bad += low && firsts[low - 1].began > t->ended;
    }
    free(firsts);
    return bad;
}

static bool prepare(struct run *run, bool equals)
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
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = _Alignof(struct tq_link),
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = 30,
        .limit = ITEMS,
        .caches_max = THREADS_MAX,
    };
    if (!tq_slab_init(&run->segments, &run->memory, &shape) ||
        !tq_slab_init(&run->links, &run->memory, &links))
        return false;
    for (int i = 0; i < run->producers + run->consumers; i++) {
        if (!tq_slab_attach(&run->segments, &run->cache[i].slab) ||
            !tq_slab_attach(&run->links, &run->cache[i].links))
            return false;
        tq_fifo_cache_init(&run->cache[i]);
    }
    struct tq_fifo *fifos[RANKS];
    int32_t weights[RANKS];
    for (int i = 0; i < RANKS; i++) {
        fifos[i] = &run->fifo[i];
        weights[i] = i == 0 ? 1000 : equals ? -(i / 10) : -i;
        if (!tq_fifo_init(fifos[i], &run->segments, &run->links, &run->cache[0]))
            return false;
    }
    run->ready = tq_ready_create(&run->memory, fifos, weights, RANKS);
    for (uint32_t i = 0; run->ready && i < RANKS; i++)
        tq_ready_open(run->ready, i, true);
    return run->ready != NULL;
}

static void run_once(int producers, int consumers, bool equals, bool toggled)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    memset(run, 0, sizeof *run);
    run->producers = producers;
    run->consumers = consumers;
    run->share = (uint32_t)(ITEMS / producers);
    tq_store(&run->producing, (uint32_t)(producers + toggled), relaxed);
    tap_note("%d producers, %d consumers%s%s", producers, consumers, equals ? ", equals" : "",
             toggled ? ", pauses" : "");
    TAP_OK(prepare(run, equals), "there is memory");
    struct job job[THREADS_MAX + 1];
    int threads = producers + consumers + toggled;
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){.run = run, .number = i};
        void *(*body)(void *) = i < producers               ? produce
                                : i < producers + consumers ? consume
                                                            : toggle;
        if (pthread_create(&job[i].thread, NULL, body, &job[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(job[i].thread, NULL);

    uint32_t items = run->share * (uint32_t)producers, wrong = 0;
    for (uint32_t i = 0; i < items; i++)
        wrong += tq_load(&run->seen[i], relaxed) != 1;
    if (!TAP_OK(wrong == 0, "each item comes out once, and none is stranded"))
        tap_note("%u of %u did not", wrong, items);
    TAP_OK(tq_load(&run->bad_order, relaxed) == 0, "one producer's items keep their order");
    if (!toggled && wrong == 0)
        TAP_OK(overtakes(run, items) == 0, "nothing lower is taken while a first one is there");
    TAP_OK(tq_ready_check(run->ready), "the check is content");
    struct tq_taken taken;
    TAP_OK(!tq_ready_take(run->ready, &run->cache[0], true, &taken) && !tq_ready_any(run->ready),
           "nothing is left, and nothing is hinted at");
    tq_ready_destroy(&run->memory, run->ready);
    tq_slab_fini(&run->links);
    tq_slab_fini(&run->segments);
    free(run);
}

int main(void)
{
    static const int counts[] = {2, 8, 64};
    for (int i = 0; i < 3; i++) {
        int half = counts[i] / 2;
        run_once(half, half, false, false);
        run_once(half, half, true, false);
        run_once(half, half, true, true);
        if (counts[i] == 2)
            continue;
        run_once(1, counts[i] - 1, false, false);
        run_once(counts[i] - 1, 1, false, false);
    }
    return tap_done();
}
