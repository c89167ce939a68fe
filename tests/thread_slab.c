/* Many threads alloc from one slab and free what others alloc'd: an object has one user at a time, and what its user
 * wrote is seen by who gets it next. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/slab.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    STEPS = 60000,
    RACES = 60,
#else
    STEPS = 1500000,
    RACES = 1000,
#endif
    THREADS_MAX = 64,
    HANDS = 100, /* objects on their way from one thread to another */
};

struct object {
    tq_a32 used;
    uint32_t written; /* plain, so that ThreadSanitizer sees who is not ordered after whom */
    uint32_t same[6];
};

struct run {
    struct tq_memory memory;
    struct tq_slab slab;
    struct tq_slab_cache cache[THREADS_MAX];
    tq_a32 hand[HANDS]; /* index + 1 */
    int threads, steps;
    pthread_barrier_t start;
    tq_a32 bad, full;
};

struct job {
    struct run *run;
    int number;
};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

/* What the last user left is whole. */
static void begin_use(struct run *run, uint32_t index, uint32_t mark)
{
    struct object *o = tq_slab_at(&run->slab, index);
    bool bad = tq_swap(&o->used, 1, relaxed) != 0;
    for (int i = 0; i < 6; i++) {
        bad |= o->same[i] != o->written;
        o->same[i] = mark;
    }
    o->written = mark;
    tq_add(&run->bad, bad, relaxed);
}

static void end_use(struct run *run, struct tq_slab_cache *cache, uint32_t index)
{
    struct object *o = tq_slab_at(&run->slab, index);
    bool bad = tq_swap(&o->used, 0, relaxed) != 1;
    for (int i = 0; i < 6; i++)
        bad |= o->same[i] != o->written;
    tq_add(&run->bad, bad, relaxed);
    tq_slab_free(&run->slab, cache, index);
}

static void *work(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_slab_cache *cache = &run->cache[job->number];
    uint32_t random = 2463534242u + (uint32_t)job->number;
    pthread_barrier_wait(&run->start);
    for (int i = 0; i < run->steps; i++) {
        uint32_t mine;
        if (tq_slab_alloc(&run->slab, cache, &mine) != TQ_SLAB_OK) {
            tq_add(&run->full, 1, relaxed);
            continue;
        }
        begin_use(run, mine, next_random(&random));
        uint32_t other = tq_swap(&run->hand[next_random(&random) % HANDS], mine + 1, acq_rel);
        if (other)
            end_use(run, cache, other - 1);
    }
    return NULL;
}

/* Returns whether all was well, and how many were told that there is no room. */
static bool run_once(int threads, int steps, uint32_t magazine, bool exact, uint32_t *out_full)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        return false;
    memset(run, 0, sizeof *run);
    tq_memory_init(&run->memory, NULL);
    run->threads = threads;
    run->steps = steps / threads;
    pthread_barrier_init(&run->start, NULL, (unsigned)threads);
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct object),
        .align = 32,
        .chunk_objects = 64,
        .magazine_objects = magazine,
        .limit = (uint32_t)(HANDS + threads), /* never more are in use */
        .caches_max = (uint32_t)threads,
        .exact = exact,
    };
    bool good = tq_slab_init(&run->slab, &run->memory, &shape);
    for (int i = 0; i < threads; i++)
        good = good && tq_slab_attach(&run->slab, &run->cache[i]);
    pthread_t thread[THREADS_MAX];
    struct job job[THREADS_MAX];
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){run, i};
        if (pthread_create(&thread[i], NULL, work, &job[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);

    for (int i = 0; i < HANDS; i++)
        if (tq_load(&run->hand[i], relaxed))
            end_use(run, &run->cache[0], tq_load(&run->hand[i], relaxed) - 1);
    const struct tq_slab_cache *caches[THREADS_MAX];
    for (int i = 0; i < threads; i++)
        caches[i] = &run->cache[i];
    uint32_t carved = tq_load(&run->slab.carved, relaxed), unused;
    unsigned char *seen = calloc(carved + 1, 1);
    good = good && tq_slab_check(&run->slab, caches, (uint32_t)threads, seen, &unused) &&
           unused == carved && tq_load(&run->bad, relaxed) == 0;
    *out_full = tq_load(&run->full, relaxed);
    free(seen);
    tq_slab_fini(&run->slab);
    pthread_barrier_destroy(&run->start);
    free(run);
    return good;
}

int main(void)
{
    static const int counts[] = {2, 8, 64};
    for (int i = 0; i < 3; i++) {
        uint32_t full = 0;
        tap_note("%d threads", counts[i]);
        TAP_OK(run_once(counts[i], STEPS, TQ_MAGAZINE_MAX, false, &full),
               "large magazines: each object has one user");
        TAP_OK(full == 0, "large magazines: there is room below the limit");
        TAP_OK(run_once(counts[i], STEPS, 2, false, &full),
               "small magazines: each object has one user");
        TAP_OK(full == 0, "small magazines: there is room below the limit");
        TAP_OK(run_once(counts[i], STEPS, 1, true, &full), "exact: each object has one user");
        TAP_OK(full == 0, "exact: there is room below the limit");
    }
    /* A slab that grows to its limit while objects come back to it. */
    bool good = true;
    uint32_t fulls = 0;
    for (int i = 0; i < RACES; i++) {
        uint32_t full = 0;
        good &= run_once(4, 4 * (HANDS + 60), 1, true, &full);
        fulls += full;
    }
    TAP_OK(good, "young and exact: each object has one user");
    if (!TAP_OK(fulls == 0, "young and exact: there is room below the limit"))
        tap_note("%u times none", fulls);
    return tap_done();
}
