/* Recurring jobs when memory runs out: the k-th allocation fails, for k = 1.. until none is left to fail. Each call works or
 * says TRQ_ENOMEM and has changed nothing; a firing waits for memory and is not lost; nothing leaks. */
#include "scene.h"

static const struct trq_lock by_key = {.size = sizeof by_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_worker locked = {SCENE_WORKER("Locked"), .queue_lock = &by_key};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &locked),
};

static atomic_llong mono, wall;
static int64_t read_mono(void *context)
{
    (void)context;
    return mono;
}
static int64_t read_wall(void *context)
{
    (void)context;
    return wall;
}

static int fails, added;
static int fine(long code)
{
    FX_MUST(code >= 0 || code == TRQ_ENOMEM);
    fails += code < 0;
    return (int)code;
}
static void put(const struct trq_recurring *recurring)
{
    error.code = 0;
    const int code = fine(trq_recur(engine, recurring, &error));
    FX_MUST(code == TRQ_OK || error.code == code);
    added += code == TRQ_OK;
}

static void poll_for(int minutes)
{
    for (int i = 0; i < 6 * minutes; i++) {
        fine(trq_engine_poll(engine, 0, trq_ns(0)));
        mono += trq_seconds(10).ns;
        wall += trq_seconds(10).ns;
    }
}

static void act(void)
{
    char text[6000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (int i = 0; i < 20; i++) { /* the table grows twice */
        char name[20];
        snprintf(name, sizeof name, "r%d", i * 7 % 20);
        put(TRQ_RECURRING(.name = name, .worker = i % 2 ? &plain : &locked, .cron = "* * * * *",
                          .zone = i % 3   ? "Europe/Berlin"
                                  : i % 2 ? "Asia/Tokyo"
                                          : NULL,
                          .inputs = TRQ_DICT(TRQ_KV("key", i % 4 ? "k" : text), TRQ_KV("more", 1)),
                          .time_input = "n"));
    }
    poll_for(3);
    struct trq_recurrence all[40];
    struct trq_wall next[3];
    const long count = trq_recur_list(engine, NULL, all, 40);
    FX_MUST(count == added);
    for (long i = 0; i < count; i++) {
        FX_MUST(all[i].next.ns > wall - trq_minutes(2).ns);
        FX_MUST(trq_recur_next(engine, all[i].name, next, 3) == 3);
        FX_MUST(all[i].fired + all[i].missed >= 2);
    }
    /* Each has its next times to be computed anew, and another timer. */
    wall -= trq_hours(30).ns;
    poll_for(2);
    for (long i = 0; i < count; i++) {
        if (i % 3 == 0)
            FX_MUST(trq_recur_remove(engine, all[i].name) == TRQ_OK);
        else
            put(TRQ_RECURRING(.name = all[i].name, .worker = &plain, .every = trq_seconds(30),
                              .inputs = TRQ_DICT(TRQ_KV("key", "changed"))));
        added -= i % 3 == 0;
    }
    poll_for(2);
    FX_MUST(trq_recur_list(engine, NULL, all, 40) == count - (count + 2) / 3);
    for (long i = 0; i < count - (count + 2) / 3; i++)
        FX_MUST(all[i].next.ns && all[i].next.ns < wall + trq_minutes(2).ns);
    struct trq_error wrong = {0};
    const int rc = trq_engine_check(engine, &wrong);
    FX_MUST(rc == TRQ_OK || rc == TRQ_ENOMEM);
}

static void scenario(const struct trq_hooks *hooks)
{
    scene_forget();
    fails = added = 0;
    mono = trq_hours(1).ns;
    wall = trq_seconds(1767225600).ns;
    if (fine(trq_engine_create(
            FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 3000, .hooks = hooks), &engine,
            &error)) < 0)
        return;
    if (fine(trq_register(engine, &app, &error)) == TRQ_OK &&
        fine(trq_engine_start(engine, &error)) == TRQ_OK)
        act();
    int rc = trq_engine_stop(engine, fx_long(), NULL);
    if (fine(rc) < 0)
        rc = trq_engine_stop(engine, fx_long(), NULL);
    FX_MUST(rc == TRQ_OK);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(recur_nomem, any_allocation_may_fail)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    hooks.mono_ns = read_mono;
    hooks.wall_ns = read_wall;
    scenario(&hooks);
    cr_assert_eq(fails, 0);
    cr_assert_eq(added, 20 - 7 + 13);
    const long calls = heap.calls;
    cr_assert_gt(calls, 100);
    for (long k = 1; k <= calls + 5; k++) {
        heap.calls = 0;
        heap.fail_at = k;
        scenario(&hooks);
        cr_assert_eq(heap.blocks, 0, "k = %ld: %ld blocks left", k, (long)heap.blocks);
        cr_assert_eq(heap.wrong, 0, "k = %ld: freed with another size", k);
    }
}
