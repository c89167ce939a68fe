/* A pool of threads that sleep when there is nothing to do. Work that was published is done, whoever slept, searched
 * or was about to sleep when it came; and a stop brings all threads home. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "engine/sync/park.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    BURSTS = 600,
#else
    BURSTS = 12000,
#endif
    THREADS_MAX = 64,
    PUBLISHERS = 2,
};

struct run {
    struct tq_park park;
    struct tq_sleeper sleeper[THREADS_MAX];
    int threads;
    TQ_ON_LINE tq_a32 waiting; /* pieces of work that can be taken */
    TQ_ON_LINE tq_a32 done, published, woken;
    tq_a32 stop;
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

static void notify(struct run *run)
{
    int index = tq_park_notify(&run->park);
    if (index < 0)
        return;
    tq_add(&run->woken, 1, relaxed);
    tq_park_wake(&run->park, index);
}

static void publish(struct run *run, uint32_t count)
{
    tq_add(&run->published, count, relaxed);
    tq_add(&run->waiting, count, seq_cst); /* P1 */
    notify(run);
}

static bool take(struct run *run)
{
    uint32_t waiting = tq_load(&run->waiting, seq_cst);
    while (waiting)
        if (tq_cas(&run->waiting, &waiting, waiting - 1, seq_cst, seq_cst))
            return true;
    return false;
}

/* Now and then a piece of work makes another one. */
static void perform(struct run *run, uint32_t *random)
{
    if (next_random(random) % 8 == 0)
        publish(run, 1);
    tq_add(&run->done, 1, release);
}

/* As the engine's threads do. */
static void *work(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    uint32_t random = 2463534242u + (uint32_t)job->number;
    bool searching = false;
    while (!tq_load(&run->stop, seq_cst)) {
        if (take(run)) {
            bool last = searching && tq_park_found(&run->park);
            searching = false;
            if (last && tq_load(&run->waiting, seq_cst))
                notify(run);
            perform(run, &random);
            continue;
        }
        if (!searching && next_random(&random) % 2 && tq_park_search(&run->park, 1)) {
            searching = true;
            continue; /* look once more */
        }
        tq_park_join(&run->park, job->number, searching); /* Q1 */
        if (tq_load(&run->waiting, seq_cst))              /* Q2 */
            notify(run);
        if (tq_load(&run->stop, seq_cst))
            break;
        tq_park_sleep(&run->park, job->number);
        searching = true;
    }
    return NULL;
}

static bool all_done(struct run *run)
{
    /* `published` last: who publishes while working counts that before he is done. */
    uint32_t done = tq_load(&run->done, acquire);
    return done == tq_load(&run->published, relaxed);
}

/* False: work lies there and nobody does it, for longer than anything takes that works. */
static bool await_done(struct run *run)
{
    time_t end = time(NULL) + 50;
    while (!all_done(run)) {
        if (time(NULL) > end)
            return false;
        sched_yield();
    }
    return true;
}

static bool await_asleep(struct run *run)
{
    time_t end = time(NULL) + 50;
    while (tq_park_asleep(&run->park, (uint32_t)run->threads) < (uint32_t)run->threads) {
        if (time(NULL) > end)
            return false;
        sched_yield();
    }
    return true;
}

static void *publish_many(void *argument)
{
    struct job *job = argument;
    uint32_t random = 88675123u + (uint32_t)job->number;
    for (int i = 0; i < BURSTS; i++) {
        publish(job->run, 1 + next_random(&random) % 3);
        if (next_random(&random) % 4 == 0)
            sched_yield();
    }
    return NULL;
}

/* Each time all have gone to sleep, or are about to, there is one thing to do. */
static bool one_by_one(struct run *run)
{
    uint32_t random = 362436069u;
    for (int i = 0; i < BURSTS; i++) {
        publish(run, 1 + next_random(&random) % 2);
        if (!await_done(run))
            return false;
        if (i % 16 == 0 && !await_asleep(run))
            return false;
    }
    return true;
}

static bool from_many(struct run *run)
{
    struct job job[PUBLISHERS];
    for (int i = 0; i < PUBLISHERS; i++) {
        job[i] = (struct job){.run = run, .number = i};
        if (pthread_create(&job[i].thread, NULL, publish_many, &job[i]) != 0)
            abort();
    }
    for (int i = 0; i < PUBLISHERS; i++)
        pthread_join(job[i].thread, NULL);
    return await_done(run);
}

static void run_once(int threads)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    *run = (struct run){.threads = threads};
    for (int i = 0; i < threads; i++)
        tq_store(&run->sleeper[i].awake, 1, relaxed);
    tq_park_init(&run->park, run->sleeper);
    tap_note("%d threads", threads);
    struct job job[THREADS_MAX];
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){.run = run, .number = i};
        if (pthread_create(&job[i].thread, NULL, work, &job[i]) != 0)
            abort();
    }
    TAP_OK(one_by_one(run), "no wake-up is lost when work comes piece by piece");
    TAP_OK(from_many(run), "no wake-up is lost when work comes from many sides");
    if (!TAP_OK(await_asleep(run), "when all is done all sleep"))
        tap_note("%u of %d sleep", tq_park_asleep(&run->park, (uint32_t)threads), threads);
    TAP_OK(tq_park_check(&run->park, (uint32_t)threads), "the check is content");
    TAP_OK(tq_load(&run->waiting, relaxed) == 0, "nothing is left");
    tap_note("%u pieces of work, %u wake-ups", tq_load(&run->done, relaxed),
             tq_load(&run->woken, relaxed));

    tq_store(&run->stop, 1, seq_cst);
    int index;
    while ((index = tq_park_notify_any(&run->park)) >= 0)
        tq_park_wake(&run->park, index);
    for (int i = 0; i < threads; i++)
        pthread_join(job[i].thread, NULL);
    TAP_OK(true, "all threads come home");
    free(run);
}

int main(void)
{
    run_once(2);
    run_once(8);
    run_once(64);
    return tap_done();
}
