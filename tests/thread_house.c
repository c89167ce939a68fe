/* The housekeeping thread: jobs of many threads become ready in time, and when nothing is scheduled it sleeps. */
#include <dirent.h>
#include <string.h>

#include "engine_fixture.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    JOBS = 3000,
#else
    JOBS = 40000,
#endif
    PRODUCERS = 3,
    MS = 1000000
};

static struct fx fx = FX_INIT;
static atomic_int ran, early;
static atomic_llong late_max, late_sum;

static int64_t now(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

#define FX_DUE_INPUTS(F, W) F(W, i64, due, 0, 0) F(W, i64, wall, 0, 0)
TRQ_INPUTS(due, FX_DUE_INPUTS);

static enum trq_end note_lateness(struct trq_job *job)
{
    const struct due_in *in = due_get(job);
    const long long late = now(in->wall ? CLOCK_REALTIME : CLOCK_BOOTTIME) - in->due;
    if (late < 0)
        atomic_fetch_add(&early, 1);
    long long most = atomic_load(&late_max);
    while (late > most && !atomic_compare_exchange_weak(&late_max, &most, late))
        continue;
    atomic_fetch_add(&late_sum, late);
    atomic_fetch_add(&ran, 1);
    return TRQ_DONE;
}
const struct trq_worker due = {TRQ_WORKER(due, "Due"), .perform = note_lateness};

static struct trq_engine *start(void)
{
    atomic_store(&ran, 0);
    atomic_store(&early, 0);
    atomic_store(&late_max, 0);
    atomic_store(&late_sum, 0);
    return fx_start(FX_CONFIG(.threads = 2, .host = &fx, .thread_name = "fx"),
                    FX_APP(.name = "app", .workers = TRQ_WORKERS(&due, &num)));
}

static void finish(struct trq_engine *engine)
{
    struct trq_error error = {0};
    TAP_OK(trq_engine_drain(engine, fx_long()) == TRQ_OK, "the engine comes to rest");
    if (!TAP_OK(trq_engine_check(engine, &error) == TRQ_OK, "the check is content"))
        tap_note("%s", error.text);
    TAP_OK(trq_engine_destroy(engine) == TRQ_OK, "destroyed");
}

static void *schedule(void *argument)
{
    struct trq_engine *engine = argument;
    uint32_t random = 2463534242u ^ (uint32_t)(uintptr_t)&random;
    for (int i = 0; i < JOBS; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        const int64_t span = (1 + random % 400) * INT64_C(500000);
        const bool wall = random & 0x10000;
        struct due_in in = {.due = now(wall ? CLOCK_REALTIME : CLOCK_BOOTTIME) + span,
                            .wall = wall};
        const int rc = wall ? due_enqueue(engine, &in, TRQ_OPTS(.at = {in.due}), NULL)
                            : due_enqueue(engine, &in, TRQ_OPTS(.in = trq_ns(span)), NULL);
        FX_MUST(rc == TRQ_OK);
        if (i % 64 == 0)
            sched_yield();
    }
    return NULL;
}

static void many(void)
{
    struct trq_engine *engine = start();
    pthread_t thread[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++)
        FX_MUST(pthread_create(&thread[i], NULL, schedule, engine) == 0);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(thread[i], NULL);
    FX_AWAIT(atomic_load(&ran) == PRODUCERS * JOBS);
    TAP_OK(true, "every job that was scheduled runs");
    TAP_OK(atomic_load(&early) == 0, "none before its time");
    tap_note("%d jobs, late by %lld us on average, %lld at most", PRODUCERS * JOBS,
             atomic_load(&late_sum) / (PRODUCERS * JOBS) / 1000, atomic_load(&late_max) / 1000);
    finish(engine);
}

/* One that is earlier than what the thread sleeps for, again and again. */
static void earlier_and_earlier(void)
{
    struct trq_engine *engine = start();
    for (int i = 0; i < 200; i++) {
        struct num_in far = {.n = i};
        FX_MUST(num_enqueue(engine, &far, TRQ_OPTS(.in = trq_seconds(4000 - i)), NULL) == TRQ_OK);
        struct due_in in = {.due = now(CLOCK_BOOTTIME) + MS};
        FX_MUST(due_enqueue(engine, &in, TRQ_OPTS(.in = trq_ns(MS)), NULL) == TRQ_OK);
        FX_AWAIT(atomic_load(&ran) == i + 1);
    }
    TAP_OK(atomic_load(&early) == 0, "an earlier timer wakes the thread, and is not early");
    tap_note("late by %lld us on average, %lld at most", atomic_load(&late_sum) / 200 / 1000,
             atomic_load(&late_max) / 1000);
    finish(engine);
}

/* How often the threads of that name were switched; -1: there is none. */
static long switches(const char *name)
{
    long total = -1;
    DIR *tasks = opendir("/proc/self/task");
    FX_MUST(tasks);
    for (struct dirent *d; (d = readdir(tasks));) {
        char path[64], line[128] = "";
        snprintf(path, sizeof path, "/proc/self/task/%.20s/status", d->d_name);
        FILE *status = fopen(path, "r");
        bool is_it = false;
        while (status && fgets(line, sizeof line, status)) {
            char value[64];
            long n;
            if (sscanf(line, "Name: %63s", value) == 1)
                is_it = strcmp(value, name) == 0;
            else if (is_it && (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
                               sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1))
                total = (total < 0 ? 0 : total) + n;
        }
        if (status)
            fclose(status);
    }
    closedir(tasks);
    return total;
}

static void idle(void)
{
    struct trq_engine *engine = start();
    struct due_in in = {.due = now(CLOCK_BOOTTIME) + MS};
    FX_MUST(due_enqueue(engine, &in, TRQ_OPTS(.in = trq_ns(MS)), NULL) == TRQ_OK);
    FX_AWAIT(atomic_load(&ran) == 1);
    const struct timespec pause = {.tv_nsec = 300 * MS};
    nanosleep(&pause, NULL);
    const long before = switches("fx-t");
    nanosleep(&pause, NULL);
    TAP_OK(before > 0, "the thread has its name");
    TAP_OK(switches("fx-t") == before, "with nothing scheduled it sleeps");
    finish(engine);
}

/* A stop while much is scheduled, and being scheduled. */
static void stop(void)
{
    struct trq_engine *engine = start();
    for (int i = 0; i < 2000; i++) {
        struct num_in far = {.n = i};
        FX_MUST(num_enqueue(engine, &far, TRQ_OPTS(.in = trq_ns(i * INT64_C(10000) + 1)), NULL) ==
                TRQ_OK);
    }
    struct trq_leftover left = {.size = sizeof left};
    TAP_OK(trq_engine_stop(engine, fx_long(), &left) == TRQ_OK,
           "it stops though jobs are scheduled");
    TAP_OK(trq_engine_destroy(engine) == TRQ_OK, "destroyed");
}

int main(void)
{
    many();
    earlier_and_earlier();
    idle();
    stop();
    return tap_done();
}
