#include <sched.h>

#include "bench/lock.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/work.h"

static const char queue[] = "bench_locks_default";

static enum trq_end perform(struct trq_job *job)
{
    int64_t user_id = trq_job_get_i64(job, "user_id");
    struct trq_str name = trq_job_get_str(job, "name");
    work_count(user_id, name.size);
    return TRQ_DONE;
}

static enum trq_end perform_hot(struct trq_job *job)
{
    lock_hot_begin();
    enum trq_end end = perform(job);
    lock_hot_end();
    return end;
}

/* ---- the workers ---------------------------------------------------------------------------------------- */

static enum trq_end hot_key(struct trq_job *job, struct trq_key *key)
{
    (void)job;
    trq_key_i64(key, 1);
    return TRQ_DONE;
}

static const struct trq_worker none = {
    TRQ_WORKER(ours_count, "Bench::NoneWorker"),
    .perform = perform,
};
static const struct trq_worker queued = {
    TRQ_WORKER(ours_count, "Bench::QueueWorker"),
    .perform = perform,
    .queue_lock = TRQ_LOCK_ON("user_id"),
};
static const struct trq_worker working = {
    TRQ_WORKER(ours_count, "Bench::WorkerWorker"),
    .perform = perform,
    .worker_lock = TRQ_LOCK_ON("user_id"),
};
static const struct trq_worker both = {
    TRQ_WORKER(ours_count, "Bench::BothWorker"),
    .perform = perform,
    .queue_lock = TRQ_LOCK_ON("user_id"),
    .worker_lock = TRQ_LOCK_ON("user_id"),
};
static const struct trq_worker hot = {
    TRQ_WORKER(ours_count, "Bench::HotWorker"),
    .perform = perform_hot,
    .worker_lock = TRQ_LOCK_BY(hot_key),
};

static const struct trq_worker *const workers[LOCK_KINDS] = {
    [LOCK_NONE] = &none, [LOCK_QUEUE] = &queued, [LOCK_WORKER] = &working,
    [LOCK_BOTH] = &both, [LOCK_HOT] = &hot,
};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "bench_locks",
    .workers = TRQ_WORKERS(&none, &queued, &working, &both, &hot),
};

/* ---- the engine ------------------------------------------------------------------------------------------ */

static void expect(int code, const char *call)
{
    if (code < 0)
        bench_die("%s: %s, %s", call, trq_code_name(code), trq_code_text(code));
}

static void *start(int threads, uint64_t jobs_max)
{
    struct trq_config config = trq_config_init();
    config.threads = threads ? threads : TRQ_THREADS_NONE;
    config.jobs_max = jobs_max < 8192 ? 8192 : (uint32_t)jobs_max;
    struct trq_engine *engine = ours_start(&config);
    expect(trq_register(engine, &app, NULL), "trq_register");
    return engine;
}

static uint64_t enqueue(void *self, enum lock_kind kind, uint64_t first, uint64_t count)
{
    uint64_t refused = 0;
    for (uint64_t i = first; i < first + count; i++) {
        struct work_input w = work_input(i);
        struct ours_count_in in = {.user_id = w.user_id, .name = {w.name, w.name_size}};
        int code;
        while ((code = trq_enqueue_struct(self, workers[kind], &ours_count_inputs, &in, NULL,
                                          NULL)) == TRQ_EFULL)
            sched_yield();
        expect(code, "trq_enqueue_struct");
        refused += code == TRQ_DUPLICATE;
    }
    return refused;
}

static void run(void *self)
{
    ours_poll(self);
}

static void hold(void *self, bool holds)
{
    expect(holds ? trq_queue_pause(self, queue, NULL) : trq_queue_resume(self, queue, NULL),
           "trq_queue_pause");
}

static uint64_t parked(void *self)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    expect(trq_stats_engine(self, &stats), "trq_stats_engine");
    return stats.parked;
}

static void stop(void *self)
{
    ours_stop(self);
}

const struct lock_peer lock_tresque = {
    .peer = {.name = "tresque", .what = "this library", .can = PEER_OURS},
    .start = start,
    .enqueue = enqueue,
    .run = run,
    .hold = hold,
    .parked = parked,
    .stop = stop,
};
