
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/timer.h"
#include "bench/work.h"

static const char queue[] = "bench_default";

static void expect(int code, const char *call)
{
    if (code != TRQ_OK)
        bench_die("%s: %s, %s", call, trq_code_name(code), trq_code_text(code));
}

/* ---- near and far -------------------------------------------------------------------------------------- */

static int64_t clock_of_host(void *context)
{
    (void)context;
    return timer_then();
}

static const struct trq_hooks hooks = {
    .size = sizeof hooks,
    .mono_ns = clock_of_host,
    .wall_ns = clock_of_host,
};

static void *start_with(uint64_t jobs_max, const struct trq_hooks *clock)
{
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    config.jobs_max = jobs_max < 8192 ? 8192 : (uint32_t)jobs_max;
    config.hooks = clock;
    struct trq_engine *engine = ours_start(&config);
    expect(trq_queue_pause(engine, queue, NULL), "trq_queue_pause");
    return engine;
}

static void *start(uint64_t jobs_max)
{
    return start_with(jobs_max, &hooks);
}

static void *start_real(uint64_t jobs_max)
{
    return start_with(jobs_max, NULL);
}

static struct ours_count_in input_of(uint64_t i)
{
    struct work_input w = work_input(i);
    return (struct ours_count_in){.user_id = w.user_id, .name = {w.name, w.name_size}};
}

static void insert(void *self, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct ours_count_in in = input_of(i);
        expect(ours_count_enqueue_in(self, trq_ns(timer_after(i)), &in, NULL), "enqueue_in");
    }
}

/* The same, by the wall clock. */
static void insert_at(void *self, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct ours_count_in in = input_of(i);
        struct trq_wall at = trq_wall_add(trq_now(self), trq_ns(timer_after(i)));
        expect(ours_count_enqueue_at(self, at, &in, NULL), "enqueue_at");
    }
}

static void poll(void *self)
{
    ours_poll(self);
}

static void finish(void *self)
{
    expect(trq_queue_resume(self, queue, NULL), "trq_queue_resume");
    ours_poll(self);
    expect(trq_queue_pause(self, queue, NULL), "trq_queue_pause");
}

static uint64_t pending(void *self)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    expect(trq_stats_engine(self, &stats), "trq_stats_engine");
    return stats.scheduled;
}

static void stop(void *self)
{
    ours_stop(self);
}

/* ---- lateness ------------------------------------------------------------------------------------------- */

static enum trq_end perform_soon(struct trq_job *job)
{
    timer_late((uint64_t)trq_job_get_i64(job, "user_id"));
    return TRQ_DONE;
}

static const struct trq_worker soon = {
    TRQ_WORKER(ours_count, "Bench::SoonWorker"),
    .perform = perform_soon,
};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "bench_timers",
    .workers = TRQ_WORKERS(&soon),
};

/* The housekeeper's thread and one of the pool. */
static void lateness(uint64_t count)
{
    struct trq_config config = trq_config_init();
    config.threads = 1;
    struct trq_engine *engine = ours_start(&config);
    expect(trq_register(engine, &app, NULL), "trq_register");
    for (uint64_t i = 0; i < count; i++) {
        struct ours_count_in in = input_of(i);
        struct trq_opts opts = trq_opts_init();
        opts.in = trq_ns(timer_soon(i));
        timer_put_off(i);
        expect(trq_enqueue_struct(engine, &soon, &ours_count_inputs, &in, &opts, NULL),
               "trq_enqueue_struct");
    }
    while (timer_late_count() < count)
        sleep_ns(5000000);
    ours_stop(engine);
}

const struct timer_peer timer_tresque = {
    .peer = {.name = "tresque", .what = "this library", .can = PEER_OURS},
    .start = start,
    .insert = insert,
    .settle = poll,
    .expire = poll,
    .finish = finish,
    .pending = pending,
    .stop = stop,
    .lateness = lateness,
};

const struct timer_peer timer_tresque_in = {
    .peer = {.name = "tresque", .what = "this library", .can = PEER_OURS},
    .start = start_real,
    .insert = insert,
    .settle = poll,
    .pending = pending,
    .stop = stop,
};

const struct timer_peer timer_tresque_at = {
    .peer = {.name = "tresque_at", .what = "this library, by the wall clock"},
    .start = start_real,
    .insert = insert_at,
    .settle = poll,
    .pending = pending,
    .stop = stop,
};
