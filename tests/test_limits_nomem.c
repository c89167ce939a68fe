/* Failures, retries and limits when memory runs out: the k-th allocation fails, for k = 1.. until none is left to fail. Each
 * call works or says TRQ_ENOMEM; the books stay right; what was accepted ends once, a job that cannot wait again as dead;
 * nothing leaks. */
#include "scene.h"

static const struct trq_retry often = {
    .size = sizeof often,
    .jitter = TRQ_JITTER_NONE,
    .retries = 6,
    .list = (const struct trq_span[]){{0}, {60000000000}, {0}, {3600000000000}},
    .list_count = 4};

static enum trq_end room_key(struct trq_job *job, struct trq_key *key)
{
    if (trq_job_get_i64(job, "n") == 8)
        return trq_fail(job, "no room");
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}
static atomic_long exhausted_calls;
static void exhausted(struct trq_job *job, const struct trq_error *why);

#define ON_KEY                                                                                     \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "key", NULL                                                                                \
    }
static const struct trq_lock by_key = {ON_KEY};
static const struct trq_lock from_start = {ON_KEY, .scope = TRQ_FROM_SCHEDULING};
static const struct trq_lock by_room = {.size = sizeof by_room, .space = "rooms", .key = room_key};
#define WORKER(name_, ...)                                                                         \
    {                                                                                              \
        .size = sizeof(struct trq_worker), .name = (name_), .inputs = &scene_worker_inputs,        \
        .perform = scene_perform, .retry = &often, .exhausted = exhausted, __VA_ARGS__             \
    }
static const struct trq_worker plain = WORKER("Plain", .timeout = {0});
static const struct trq_worker brief =
    WORKER("Brief", .expires_in = {1800000000000}, .timeout = {1000000000});
static const struct trq_worker keyed =
    WORKER("Keyed", .queue_lock = &by_key, .expires_in = {1800000000000});
static const struct trq_worker held = WORKER("Held", .queue_lock = &from_start);
static const struct trq_worker both =
    WORKER("Both", .queue_lock = &by_key, .worker_lock = &by_room, .expires_in = {7200000000000});

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &brief, &keyed, &held, &both),
};

static atomic_llong clock_ns;
static int64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}

static atomic_long fail_from; /* all allocations from that one on fail; 0: none */
static atomic_long fails, accepted;
static int fine(int code)
{
    FX_MUST(code >= 0 || code == TRQ_ENOMEM);
    fails += code < 0;
    return code;
}
static struct trq_job_id put(const struct trq_worker *worker, int64_t n, const char *key,
                             const struct trq_opts *opts)
{
    struct trq_job_id id = {0, 0};
    struct trq_error why = {0};
    struct trq_opts with = opts ? *opts : trq_opts_init();
    struct scene_worker_in in = {n, trq_str_of(key), trq_str_of("r")};
    with.on_end = scene_on_end;
    with.error = &why;
    int code = fine(trq_enqueue_struct(engine, worker, &scene_worker_inputs, &in, &with, &id));
    FX_MUST(code >= 0 || why.code == code);
    accepted += code == TRQ_OK || code == TRQ_REPLACED;
    return id;
}
static void put_many(const struct trq_worker *worker, struct trq_opts opts)
{
    static struct scene_worker_in ins[300];
    int codes[300] = {0};
    for (int i = 0; i < 300; i++)
        ins[i] = (struct scene_worker_in){7, trq_str_of(i % 2 ? "many" : "more"), {NULL, 0}};
    opts.out_codes = codes;
    opts.on_end = scene_on_end;
    if (fine(trq_enqueue_many(engine, worker, &scene_worker_inputs, ins, 300, &opts, NULL)) >= 0)
        for (int i = 0; i < 300; i++)
            accepted += codes[i] == TRQ_OK || codes[i] == TRQ_REPLACED;
}
static void check(void)
{
    struct trq_error wrong = {0};
    int rc = trq_engine_check(engine, &wrong);
    if (rc != TRQ_OK && rc != TRQ_ENOMEM)
        fprintf(stderr, "%s\n", wrong.text);
    fine(rc);
}

static void exhausted(struct trq_job *job, const struct trq_error *why)
{
    FX_MUST(why->text[0]);
    trq_job_inputs(job, &scene_worker_inputs); /* NULL without memory */
    if (trq_job_get_i64(job, "n") == 1)
        put(&plain, 6, NULL, NULL);
    exhausted_calls++;
}

/* n: 0, 5 to 9 fail always; 1 fails, and enqueues at its end; 2 recovers; 3 comes back; 4 begets. */
static enum trq_end misbehave(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    int attempt = trq_job_attempt(job);
    switch (n) {
    case 2:
        return attempt < 3 ? trq_fail(job, "not yet %s", trq_job_last_error(job)) : TRQ_DONE;
    case 3:
        put(&keyed, 6, "k", NULL);
        return attempt < 3 ? trq_fail(job, "overtaken") : trq_requeue_in(job, trq_hours(20));
    case 4:
        clock_ns += 500000000;
        put(&plain, 6, NULL, TRQ_OPTS(.inherit_deadline = true));
        put(&plain, 2, NULL, TRQ_OPTS(.inherit_deadline = true, .in = trq_seconds(10)));
        clock_ns += 600000000;
        return attempt < 2 ? trq_requeue(job) : TRQ_DONE;
    default:
        return trq_fail(job, "%0300d", attempt);
    }
}

static void poll_for(int steps, int64_t step)
{
    for (int i = 0; i < steps; i++) {
        fine(trq_engine_poll(engine, 200, trq_ns(0)));
        clock_ns += step;
    }
    fine(trq_engine_poll(engine, 200, trq_ns(0)));
}

static void go_through_it(void)
{
    struct trq_job_id ids[8] = {
        put(&plain, 1, NULL, NULL),
        put(&brief, 2, NULL, NULL),
        put(&keyed, 3, "k", NULL),
        put(&held, 3, "h", NULL),
        put(&brief, 4, NULL, TRQ_OPTS(.retry = &often)),
        put(&both, 2, "b", TRQ_OPTS(.timeout = trq_seconds(1))),
        put(&both, 8, "c", NULL),
        put(&plain, 5, NULL, TRQ_OPTS(.retry = &trq_no_retry, .expires_in = trq_seconds(9))),
    };
    check();
    poll_for(3, 20000000000);
    check();
    struct trq_failure f[TRQ_FAILURES_KEPT];
    struct trq_why why = {.size = sizeof why};
    for (int i = 0; i < 8; i++) {
        size_t count = 0;
        int rc = trq_failures(engine, ids[i], f, TRQ_FAILURES_KEPT, &count);
        FX_MUST((rc == TRQ_OK && count <= TRQ_FAILURES_KEPT) || rc == TRQ_GONE);
        fine(trq_explain(engine, ids[i], &why));
    }
    fine(trq_cancel(engine, ids[1]));
    fine(trq_move_in(engine, ids[2], trq_hours(1)));
    fine(trq_run_now(engine, ids[3]));
    fine(trq_queue_pause(engine, "app_default", NULL));
    put_many(&brief, *TRQ_OPTS(.wake_later = true));
    put_many(&keyed, *TRQ_OPTS(.on_conflict = TRQ_REPLACE, .retry = &often));
    put_many(&keyed, *TRQ_OPTS(.in = trq_hours(2)));
    put_many(&plain, *TRQ_OPTS(.timeout = trq_seconds(1)));
    check();
    clock_ns += trq_hours(1).ns; /* all of them are late */
    put(&keyed, 7, "many", NULL);
    put(&keyed, 7, "more", TRQ_OPTS(.on_conflict = TRQ_REPLACE));
    check();
    fine(trq_queue_resume(engine, "app_default", NULL));
    poll_for(4, trq_hours(1).ns / 2);
    check();
    poll_for(8, trq_hours(1).ns);
    check();
}

static void scenario(const struct trq_hooks *hooks)
{
    scene_forget();
    fails = accepted = exhausted_calls = 0;
    clock_ns = trq_hours(1).ns;
    if (fine(trq_engine_create(
            FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 3000, .hooks = hooks), &engine,
            &error)) < 0)
        return;
    bool whole = fine(trq_register(engine, &app, &error)) == TRQ_OK;
    if (whole && fine(trq_engine_start(engine, &error)) == TRQ_OK)
        go_through_it();
    fail_from = 0; /* a stop must be able to say who calls */
    int rc = trq_engine_stop(engine, fx_long(), NULL);
    if (fine(rc) < 0)
        rc = trq_engine_stop(engine, fx_long(), NULL);
    FX_MUST(rc == TRQ_OK);
    check();
    struct trq_engine_stats stats = {.size = sizeof stats};
    if (fine(trq_stats_engine(engine, &stats)) == TRQ_OK)
        FX_MUST(stats.jobs == 0 && stats.stale_releases == 0);
    struct trq_worker_stats all = {.size = sizeof all};
    if (whole && fine(trq_stats_worker(engine, NULL, &all)) == TRQ_OK) {
        FX_MUST(all.enqueued == (uint64_t)accepted);
        FX_MUST(all.failed + all.requeued >= all.retried + all.dead);
        uint64_t ended = all.done + all.skipped + all.discarded + all.dead + all.dropped +
                         all.cancelled + all.replaced + all.merged + all.expired;
        FX_MUST(all.enqueued == ended);
    }
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(limits_nomem, any_allocation_may_fail)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    hooks.mono_ns = hooks.wall_ns = read_clock;
    scene.during = misbehave;
    scenario(&hooks);
    cr_assert_eq(fails, 0);
    cr_assert_eq(scene.ends, accepted);
    cr_assert_gt(exhausted_calls, 300);
    long calls = heap.calls;
    cr_assert_gt(calls, 60);
    for (long k = 1; k <= calls + 5; k++) {
        heap.calls = 0;
        heap.fail_at = k;
        scenario(&hooks);
        cr_assert_eq(heap.blocks, 0, "k = %ld: %ld blocks left", k, (long)heap.blocks);
        cr_assert_eq(heap.wrong, 0, "k = %ld: freed with another size", k);
        cr_assert_eq(scene.ends, accepted, "k = %ld: accepted %ld, ended %d", k, (long)accepted,
                     scene.ends);
    }
}

/* From the k-th on all fail, as they do when memory is really gone: then nothing is lost either. */
static void *alloc_until(void *context, size_t size, size_t align)
{
    struct fx_heap *heap = context;
    if (fail_from && heap->calls + 1 >= fail_from) {
        heap->calls++;
        return NULL;
    }
    return fx_alloc(context, size, align);
}
Test(limits_nomem, no_memory_may_be_left_at_all)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    hooks.alloc = alloc_until;
    hooks.mono_ns = hooks.wall_ns = read_clock;
    scene.during = misbehave;
    scenario(&hooks);
    long calls = heap.calls;
    for (long k = 1; k <= calls + 5; k++) {
        heap.calls = 0;
        fail_from = k;
        scenario(&hooks);
        cr_assert_eq(heap.blocks, 0, "k = %ld: %ld blocks left", k, (long)heap.blocks);
        cr_assert_eq(scene.ends, accepted, "k = %ld: accepted %ld, ended %d", k, (long)accepted,
                     scene.ends);
    }
}
