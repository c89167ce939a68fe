/* Many threads claim and release keys of one lock table, while it grows and others walk through it: a key has one holder
 * at a time, what he wrote is seen by the next, and a walk misses nothing that is there throughout. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/locktab.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    STEPS = 30000,
    GROWN = 20000,
#else
    STEPS = 600000,
    GROWN = 300000,
#endif
    THREADS_MAX = 16,
    FEW = 40, /* keys that all fight for */
    STAYING = 3000,
};

struct lock {
    struct tq_record record;
    uint32_t holder; /* plain, under the bucket */
};

struct run {
    struct tq_memory memory;
    struct tq_slab slab;
    struct tq_slab_cache cache[THREADS_MAX];
    struct tq_locktab tab;
    uint64_t datum[FEW]; /* plain: the holder's */
    pthread_barrier_t start;
    tq_a32 bad, stop, walks;
    int threads;
};

struct job {
    struct run *run;
    int number;
    uint64_t gained; /* additions to data */
};

static uint32_t next_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static struct tq_digest digest_of(uint64_t key)
{
    const struct tq_secret secret = {1, 2};
    return tq_siphash(secret, &key, sizeof key);
}

static bool claim(struct job *job, uint64_t key)
{
    struct run *run = job->run;
    const struct tq_digest digest = digest_of(key);
    uint32_t fresh;
    uint32_t index;
    if (tq_slab_alloc(&run->slab, &run->cache[job->number], &fresh) != TQ_SLAB_OK) {
        tq_add(&run->bad, 1, relaxed);
        return false;
    }
    struct tq_bucket *bucket = tq_locktab_lock(&run->tab, digest);
    const bool is_free = !tq_locktab_find(&run->tab, bucket, digest, &index);
    if (is_free) {
        tq_locktab_add(&run->tab, bucket, fresh, digest);
        ((struct lock *)tq_slab_at(&run->slab, fresh))->holder = (uint32_t)job->number;
    }
    tq_locktab_unlock(&run->tab, bucket);
    if (is_free)
        tq_locktab_grow(&run->tab);
    else
        tq_slab_free(&run->slab, &run->cache[job->number], fresh);
    return is_free;
}

static void release(struct job *job, uint64_t key)
{
    struct run *run = job->run;
    const struct tq_digest digest = digest_of(key);
    uint32_t index = TQ_NONE;
    struct tq_bucket *bucket = tq_locktab_lock(&run->tab, digest);
    const struct tq_record *record = tq_locktab_find(&run->tab, bucket, digest, &index);
    if (record && ((const struct lock *)(const void *)record)->holder == (uint32_t)job->number)
        tq_locktab_remove(&run->tab, bucket, index);
    else
        tq_add(&run->bad, 1, relaxed);
    tq_locktab_unlock(&run->tab, bucket);
    if (record)
        tq_slab_free(&run->slab, &run->cache[job->number], index);
}

/* ---- the same few keys ------------------------------------------------------------------------------- */

static void *fight(void *arg)
{
    struct job *job = arg;
    struct run *run = job->run;
    uint32_t random = 2463534242u + (uint32_t)job->number;
    pthread_barrier_wait(&run->start);
    for (int i = 0; i < STEPS; i++) {
        const uint32_t key = next_random(&random) % FEW;
        if (!claim(job, key))
            continue;
        run->datum[key]++;
        job->gained++;
        release(job, key);
    }
    return NULL;
}

/* ---- growth, while there are walks ------------------------------------------------------------------- */

static uint64_t own_key(const struct job *job, int i)
{
    return (uint64_t)(job->number + 1) << 32 | (uint32_t)i;
}

static void *grow(void *arg)
{
    struct job *job = arg;
    struct run *run = job->run;
    const int count = GROWN / run->threads;
    pthread_barrier_wait(&run->start);
    for (int i = 0; i < count; i++)
        if (!claim(job, own_key(job, i)))
            tq_add(&run->bad, 1, relaxed);
    for (int i = 0; i < count; i++) {
        if (claim(job, own_key(job, i)))
            tq_add(&run->bad, 1, relaxed);
        if (i % 2)
            release(job, own_key(job, i));
    }
    return NULL;
}

struct walk {
    struct run *run;
    uint8_t shown[STAYING];
};

static void show(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    struct walk *walk = arg;
    (void)bucket;
    const struct lock *lock = (const struct lock *)(const void *)record;
    if (lock->holder >= THREADS_MAX) {
        const uint32_t key = lock->holder - THREADS_MAX;
        walk->shown[key] = 1;
    }
    if (tq_slab_at(&walk->run->slab, index) != record)
        tq_add(&walk->run->bad, 1, relaxed);
}

static void *walk(void *arg)
{
    struct job *job = arg;
    struct run *run = job->run;
    static _Thread_local struct walk walk;
    pthread_barrier_wait(&run->start);
    do {
        walk.run = run;
        memset(walk.shown, 0, sizeof walk.shown);
        tq_locktab_walk(&run->tab, show, &walk);
        for (int i = 0; i < STAYING; i++)
            if (!walk.shown[i])
                tq_add(&run->bad, 1, relaxed);
        tq_add(&run->walks, 1, relaxed);
    } while (!tq_load(&run->stop, acquire));
    return NULL;
}

/* ---- runs ------------------------------------------------------------------------------------------- */

static struct run *open_run(int threads)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    memset(run, 0, sizeof *run);
    tq_memory_init(&run->memory, NULL);
    const struct tq_slab_shape shape = {
        .object_size = sizeof(struct lock),
        .align = 8,
        .chunk_objects = 1024,
        .magazine_objects = 32,
        .limit = 1 << 20,
        .caches_max = THREADS_MAX,
    };
    bool ok = tq_slab_init(&run->slab, &run->memory, &shape);
    for (int i = 0; i < THREADS_MAX; i++)
        ok = ok && tq_slab_attach(&run->slab, &run->cache[i]);
    if (!ok || !tq_locktab_init(&run->tab, &run->memory, &run->slab))
        abort();
    run->threads = threads;
    return run;
}

static void close_run(struct run *run)
{
    tq_locktab_fini(&run->tab);
    tq_slab_fini(&run->slab);
    free(run);
}

static void few_keys(int threads)
{
    struct run *run = open_run(threads);
    struct job job[THREADS_MAX] = {{0}};
    pthread_t thread[THREADS_MAX];
    char text[128];
    pthread_barrier_init(&run->start, NULL, (unsigned)threads);
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){run, i, 0};
        pthread_create(&thread[i], NULL, fight, &job[i]);
    }
    uint64_t gained = 0, sum = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        gained += job[i].gained;
    }
    for (int i = 0; i < FEW; i++)
        sum += run->datum[i];
    snprintf(text, sizeof text, "%d threads, %d keys: one holder at a time (%llu claims)", threads,
             FEW, (unsigned long long)gained);
    TAP_OK(sum == gained && !tq_load(&run->bad, relaxed), text);
    TAP_OK(tq_locktab_check(&run->tab) && tq_locktab_count(&run->tab) == 0, "nothing is left");
    pthread_barrier_destroy(&run->start);
    close_run(run);
}

static void growth(int threads, int walkers)
{
    struct run *run = open_run(threads);
    struct job job[THREADS_MAX] = {{0}};
    pthread_t thread[THREADS_MAX];
    char text[160];
    /* Those that stay are marked so by a holder that is no thread. */
    for (uint32_t key = 0; key < STAYING; key++) {
        uint32_t index = 0;
        struct job me = {run, 0, 0};
        if (!claim(&me, key))
            abort();
        struct tq_bucket *bucket = tq_locktab_lock(&run->tab, digest_of(key));
        (void)tq_locktab_find(&run->tab, bucket, digest_of(key), &index);
        ((struct lock *)tq_slab_at(&run->slab, index))->holder = THREADS_MAX + key;
        tq_locktab_unlock(&run->tab, bucket);
    }
    const int all = threads + walkers;
    pthread_barrier_init(&run->start, NULL, (unsigned)all);
    for (int i = 0; i < all; i++) {
        job[i] = (struct job){run, i, 0};
        pthread_create(&thread[i], NULL, i < threads ? grow : walk, &job[i]);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(thread[i], NULL);
    tq_store(&run->stop, 1, release);
    for (int i = threads; i < all; i++)
        pthread_join(thread[i], NULL);
    const uint64_t left = (uint64_t)STAYING + (uint64_t)threads * ((GROWN / threads + 1) / 2);
    snprintf(text, sizeof text,
             "%d threads add and remove, %d walk (%u times), to %u buckets: nothing is missed",
             threads, walkers, tq_load(&run->walks, relaxed), tq_load(&run->tab.count, relaxed));
    TAP_OK(!tq_load(&run->bad, relaxed), text);
    TAP_OK(tq_locktab_count(&run->tab) == left, "what was not removed is there");
    /* The last who split may have lost his processor while the others added. */
    const uint32_t carved = tq_load(&run->slab.carved, relaxed);
    for (int i = 0; i < GROWN / 4; i++)
        tq_locktab_grow(&run->tab);
    TAP_OK(tq_load(&run->tab.count, relaxed) == carved, "it caught up");
    TAP_OK(tq_locktab_check(&run->tab) && tq_locktab_count(&run->tab) == left, "and is good");
    pthread_barrier_destroy(&run->start);
    close_run(run);
}

int main(void)
{
    few_keys(2);
    few_keys(8);
    few_keys(16);
    growth(2, 1);
    growth(8, 2);
    return tap_done();
}
