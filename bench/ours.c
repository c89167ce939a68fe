#include "bench/ours.h"

#include <sched.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/work.h"

/* ---- the worker ---------------------------------------------------------------------------------- */

static enum trq_end perform(struct trq_job *job)
{
    int64_t user_id = trq_job_get_i64(job, "user_id");
    struct trq_str name = trq_job_get_str(job, "name");
    work_count(user_id, name.size);
    return TRQ_DONE;
}

const struct trq_worker ours_count = {
    TRQ_WORKER(ours_count, "Bench::CountWorker"),
    .perform = perform,
};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "bench",
    .workers = TRQ_WORKERS(&ours_count),
};

/* ---- the engine ---------------------------------------------------------------------------------- */

static void expect(int code, const char *call)
{
    if (code < 0)
        bench_die("%s: %s, %s", call, trq_code_name(code), trq_code_text(code));
}

struct trq_engine *ours_start(const struct trq_config *config)
{
    struct trq_error error = {0};
    struct trq_engine *engine = NULL;
    if (trq_engine_create(config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0)
        bench_die("tresque: %s", error.text);
    return engine;
}

static struct ours_count_in input_of(uint64_t i)
{
    struct work_input w = work_input(i);
    return (struct ours_count_in){.user_id = w.user_id, .name = {w.name, w.name_size}};
}

void ours_enqueue(struct trq_engine *engine, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        struct ours_count_in in = input_of(i);
        int code;
        while ((code = ours_count_enqueue(engine, &in, NULL, NULL)) == TRQ_EFULL)
            sched_yield();
        expect(code, "trq_enqueue_struct");
    }
}

void ours_enqueue_bulk(struct trq_engine *engine, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count;) {
        struct ours_count_in ins[PEER_BATCH];
        uint64_t left = first + count - i;
        size_t n = left < PEER_BATCH ? left : PEER_BATCH;
        for (size_t k = 0; k < n; k++)
            ins[k] = input_of(i + k);
        int code;
        while ((code = ours_count_enqueue_many(engine, ins, n, NULL, NULL)) == TRQ_EFULL)
            sched_yield();
        expect(code, "trq_enqueue_many");
        i += n;
    }
}

void ours_poll(struct trq_engine *engine)
{
    expect(trq_engine_poll(engine, 0, trq_ns(0)), "trq_engine_poll");
}

void ours_stop(struct trq_engine *engine)
{
    expect(trq_engine_stop(engine, trq_seconds(60), NULL), "trq_engine_stop");
    expect(trq_engine_destroy(engine), "trq_engine_destroy");
}

/* ---- as one among its peers ------------------------------------------------------------------------ */

struct ours {
    struct trq_engine *engine;
    void (*enqueue)(struct trq_engine *engine, uint64_t first, uint64_t count);
    bool polls;
};

static void *start(const struct setup *setup)
{
    struct ours *ours = malloc(sizeof *ours);
    if (!ours)
        bench_die("out of memory");
    struct trq_config config = trq_config_init();
    config.threads = setup->workers ? setup->workers : TRQ_THREADS_NONE;
    config.jobs_max = 1 << 20;
    ours->engine = ours_start(&config);
    ours->enqueue = setup->bulk ? ours_enqueue_bulk : ours_enqueue;
    ours->polls = setup->workers == 0;
    return ours;
}

static void submit(void *self, int producer, uint64_t first, uint64_t count)
{
    (void)producer;
    struct ours *ours = self;
    if (!ours->polls) {
        ours->enqueue(ours->engine, first, count);
        return;
    }
    for (uint64_t end = first + count; first < end; first += PEER_BATCH) {
        ours->enqueue(ours->engine, first, end - first < PEER_BATCH ? end - first : PEER_BATCH);
        ours_poll(ours->engine);
    }
}

static void stop(void *self)
{
    struct ours *ours = self;
    ours_stop(ours->engine);
    free(ours);
}

const struct peer peer_tresque = {
    .name = "tresque",
    .what = "this library",
    .can = PEER_INLINE | PEER_WORKERS | PEER_SINGLE | PEER_BULK | PEER_OURS,
    .start = start,
    .submit = submit,
    .stop = stop,
};
