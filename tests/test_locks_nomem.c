/* Time and locks when memory runs out: the k-th allocation fails, for k = 1.. until none is left to fail. Each call works or
 * says TRQ_ENOMEM; the books stay right; what was accepted ends once; nothing leaks. */
#include "scene.h"

static enum trq_end room_key(struct trq_job *job, struct trq_key *key)
{
    *(char *)trq_job_state(job) = 1;
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}
static enum trq_end key_key(struct trq_job *job, struct trq_key *key)
{
    FX_MUST(trq_job_inputs(job, &scene_worker_inputs));
    trq_key_input(key, job, "key");
    return TRQ_DONE;
}
static const struct trq_lock by_key = {.size = sizeof by_key, .key = key_key};
static const struct trq_lock on_all = {
    .size = sizeof on_all, .all = true, .on_conflict = TRQ_DEBOUNCE};
static const struct trq_lock by_room = {.size = sizeof by_room, .space = "rooms", .key = room_key};
static const struct trq_worker both = {SCENE_WORKER("Both"), .queue_lock = &by_key,
                                       .worker_lock = &by_room, .state_size = 5000};
static const struct trq_worker calm = {SCENE_WORKER("Calm"), .queue_lock = &on_all};
static const struct trq_worker plain = {SCENE_WORKER("Plain")};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&both, &calm, &plain),
};

static atomic_llong clock_ns;
static int64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}

static atomic_long fails, accepted;
static int fine(int code)
{
    FX_MUST(code >= 0 || code == TRQ_ENOMEM);
    fails += code < 0;
    return code;
}
static struct trq_job_id put(const struct trq_worker *worker, int64_t n, const char *key,
                             const char *room, const struct trq_opts *opts)
{
    struct trq_job_id id = {0, 0};
    error.code = 0;
    int code = fine(scene_try(worker, n, key, room, opts, &id));
    FX_MUST(code >= 0 || error.code == code);
    accepted += code == TRQ_OK || code == TRQ_REPLACED;
    return id;
}
static void put_many(const struct trq_worker *worker, struct trq_opts opts)
{
    static struct scene_worker_in ins[700];
    int codes[700] = {0};
    for (int i = 0; i < 700; i++)
        ins[i] = (struct scene_worker_in){0, trq_str_of(i % 2 ? "many" : "more"), {NULL, 0}};
    opts.out_codes = codes;
    opts.on_end = scene_on_end;
    if (fine(trq_enqueue_many(engine, worker, &scene_worker_inputs, ins, 700, &opts, NULL)) >= 0)
        for (int i = 0; i < 700; i++)
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

/* Comes back now and later, and is overtaken. */
static enum trq_end comes_back(struct trq_job *job)
{
    switch (trq_job_worker(job) == &plain ? 0 : trq_job_get_i64(job, "n")) {
    case 3:
        put(&both, 0, "k", "r", NULL);
        return trq_requeue(job);
    case 4:
        return trq_requeue_in(job, trq_hours(1));
    default:
        return TRQ_DONE;
    }
}

static void poll_for(int hours)
{
    for (int i = 0; i < hours; i++) {
        fine(trq_engine_poll(engine, 0, trq_ns(0)));
        clock_ns += trq_hours(1).ns;
    }
    fine(trq_engine_poll(engine, 0, trq_ns(0)));
}

static void enqueue_and_change(void)
{
    struct trq_lock own = {
        .size = sizeof own, .space = "own", .inputs = (const char *const[]){"n", NULL}};
    struct trq_job_id a = put(&both, 1, "k", "r", NULL);
    put(&both, 2, "k", "r", TRQ_OPTS(.on_conflict = TRQ_REPLACE));
    struct trq_job_id b = put(&plain, 1, NULL, NULL, TRQ_OPTS(.in = trq_hours(2)));
    put(&both, 5, "k", "r", TRQ_OPTS(.in = trq_hours(1)));
    put(&calm, 5, "c", NULL, TRQ_OPTS(.in = trq_hours(1)));
    put(&calm, 5, "c", NULL, TRQ_OPTS(.in = trq_hours(2)));
    put(&plain, 6, "o", NULL, TRQ_OPTS(.queue_lock = &own, .worker_lock = &own, .queue = "high"));
    check();
    fine(trq_move_in(engine, b, trq_hours(1)));
    fine(trq_move(engine, b, trq_wall_seconds(5)));
    fine(trq_cancel(engine, a));
    put_many(&plain, *TRQ_OPTS(.in = trq_hours(1)));
    put_many(&calm, *TRQ_OPTS(.in = trq_hours(3)));
    put_many(&both, *TRQ_OPTS(.on_conflict = TRQ_REPLACE));
    check();
    struct trq_job_id ids[4];
    fine((int)trq_scheduled(engine, &plain, TRQ_DICT_NONE, ids, 4));
    fine((int)trq_move_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "many")),
                                trq_wall_seconds(9000)));
    fine((int)trq_run_now_matching(engine, &calm, TRQ_DICT_NONE));
    fine((int)trq_cancel_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "more"))));
    struct trq_why why = {.size = sizeof why};
    fine(trq_explain(engine, b, &why));
    check();
}

static void come_and_go(void)
{
    put(&both, 3, "k", "r", NULL);
    put(&both, 4, "l", "r", NULL);
    put(&calm, 4, "l", NULL, NULL);
    poll_for(3);
    check();
    put(&both, 9, "m", "r", TRQ_OPTS(.in = trq_hours(1)));
    put(&both, 9, "m", "r", NULL);
}

/* With threads: somebody holds the key, others wait for it. */
static void park_some(void)
{
    put(&both, 5, "k", "r", NULL);
    for (int i = 0; i < 60; i++) {
        struct trq_job_id id = put(i % 3 ? &both : &plain, i % 5, "k", "r", NULL);
        if (i % 7 == 0)
            fine(trq_cancel(engine, id));
        put(&both, 6, i % 2 ? "a" : "b", "r", NULL);
    }
    fine(trq_queue_pause(engine, "app_default", NULL));
    fine(trq_queue_resume(engine, "app_default", NULL));
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
}

static void act(int threads)
{
    if (threads == TRQ_THREADS_NONE) {
        enqueue_and_change();
        come_and_go();
    } else {
        park_some();
    }
}

static void scenario(const struct trq_hooks *hooks, int threads)
{
    scene_forget();
    fails = accepted = 0;
    clock_ns = trq_hours(1).ns;
    if (fine(trq_engine_create(FX_CONFIG(.threads = threads, .jobs_max = 3000, .hooks = hooks),
                               &engine, &error)) < 0)
        return;
    bool whole = fine(trq_register(engine, &app, &error)) == TRQ_OK;
    if (whole && fine(trq_engine_start(engine, &error)) == TRQ_OK)
        act(threads);
    int rc = trq_engine_stop(engine, fx_long(), NULL);
    if (fine(rc) < 0)
        rc = trq_engine_stop(engine, fx_long(), NULL);
    FX_MUST(rc == TRQ_OK);
    check();
    struct trq_engine_stats stats = {.size = sizeof stats};
    if (fine(trq_stats_engine(engine, &stats)) == TRQ_OK)
        FX_MUST(stats.jobs == 0 && stats.stale_releases == 0);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

static void fail_each(int threads)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    if (threads == TRQ_THREADS_NONE)
        hooks.mono_ns = hooks.wall_ns = read_clock;
    scene.during = comes_back;
    scenario(&hooks, threads);
    cr_assert_eq(fails, 0);
    cr_assert_eq(scene.ends, accepted);
    long calls = heap.calls;
    cr_assert_gt(calls, 40);
    for (long k = 1; k <= calls + 5; k++) {
        heap.calls = 0;
        heap.fail_at = k;
        scenario(&hooks, threads);
        cr_assert_eq(heap.blocks, 0, "k = %ld: %ld blocks left", k, (long)heap.blocks);
        cr_assert_eq(heap.wrong, 0, "k = %ld: freed with another size", k);
        cr_assert_eq(scene.ends, accepted, "k = %ld: accepted %ld, ended %d", k, (long)accepted,
                     scene.ends);
    }
}

Test(locks_nomem, any_allocation_may_fail_when_polled)
{
    fail_each(TRQ_THREADS_NONE);
}
Test(locks_nomem, any_allocation_may_fail_with_threads)
{
    fail_each(2);
}
