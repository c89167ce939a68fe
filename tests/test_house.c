/* Timers: due times of jobs on a clock that the test moves, and on the system's. */
#include <criterion/criterion.h>

#include <string.h>

#include "engine/core/engine.h"
#include "engine_fixture.h"

static struct fx fx = FX_INIT;

enum { MS = 1000000, SECOND = 1000000000 };
#define DAY (INT64_C(86400) * SECOND)
#define NOON (INT64_C(1700000000) * SECOND)

/* ---- a clock of one's own ------------------------------------------------------------------------------- */

static _Atomic int64_t mono, wall;
static int64_t get_mono(void *context)
{
    (void)context;
    return atomic_load(&mono);
}
static int64_t get_wall(void *context)
{
    (void)context;
    return atomic_load(&wall);
}

static void pass(int64_t span)
{
    atomic_fetch_add(&mono, span);
    atomic_fetch_add(&wall, span);
}

static struct trq_engine *on_own_clock(struct trq_hooks *hooks, uint32_t jobs_max)
{
    hooks->size = sizeof *hooks;
    hooks->mono_ns = get_mono;
    hooks->wall_ns = get_wall;
    atomic_store(&mono, 77 * (int64_t)SECOND);
    atomic_store(&wall, NOON);
    struct trq_engine *engine = fx_start(
        FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = &fx, .jobs_max = jobs_max, .hooks = hooks),
        &fx_app);
    FX_MUST(trq_engine_poll(engine, 0, trq_ns(0)) == 0);
    return engine;
}

static struct trq_job_id in(struct trq_engine *engine, int64_t n, int64_t span)
{
    struct trq_job_id id;
    struct num_in input = {.n = n};
    cr_assert_eq(num_enqueue(engine, &input, TRQ_OPTS(.in = trq_ns(span)), &id), TRQ_OK);
    return id;
}

static struct trq_job_id at(struct trq_engine *engine, int64_t n, int64_t time)
{
    struct trq_job_id id;
    struct num_in input = {.n = n};
    cr_assert_eq(num_enqueue(engine, &input, TRQ_OPTS(.at = {time}), &id), TRQ_OK);
    return id;
}

static int poll_once(struct trq_engine *engine)
{
    return trq_engine_poll(engine, 0, trq_ns(0));
}

static void must_run(struct trq_engine *engine, const char *jobs)
{
    fx.values = 0;
    FX_MUST(poll_once(engine) >= 0);
    cr_assert_str_eq(fx_text(&fx), jobs);
}

static void close_engine(struct trq_engine *engine)
{
    struct trq_error error = {0};
    cr_assert_eq(trq_engine_check(engine, &error), TRQ_OK, "%s", error.text);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- contracts -------------------------------------------------------------------------------------------- */

Test(house, a_job_is_ready_at_its_time_and_not_before)
{
    static const int64_t spans[] = {1000, MS,        255 * MS,  256 * MS, 70 * (int64_t)SECOND,
                                    DAY,  400 * DAY, 4000 * DAY};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct trq_hooks hooks = {0};
        struct trq_engine *engine = on_own_clock(&hooks, 100);
        in(engine, 1, spans[i]);
        at(engine, 2, NOON + spans[i]);
        must_run(engine, "");
        pass(spans[i] - 1);
        must_run(engine, "");
        pass(1);
        must_run(engine, "1 2");
        close_engine(engine);
    }
}

Test(house, equal_due_times_become_ready_in_the_order_in_which_they_were_scheduled)
{
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, 4096);
    char text[FX_VALUES * 8] = "";
    for (int i = 0; i < 1000; i++) {
        in(engine, i, 100 * (int64_t)SECOND - i % 10 * (int64_t)SECOND);
        if (i % 10 == 9)
            pass(0);
    }
    for (int due = 9; due >= 0; due--)
        for (int i = due; i < 1000; i += 10)
            sprintf(text + strlen(text), "%s%d", *text ? " " : "", i);
    pass(100 * (int64_t)SECOND);
    must_run(engine, text);
    close_engine(engine);
}

Test(house, at_follows_a_wall_clock_that_is_set_and_in_does_not)
{
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, 100);
    at(engine, 1, NOON + 10 * (int64_t)SECOND);
    at(engine, 2, NOON + 10 * (int64_t)SECOND);
    at(engine, 3, NOON + DAY + 5 * (int64_t)SECOND);
    at(engine, 4, NOON + 2 * DAY);
    in(engine, 5, 20 * (int64_t)SECOND);
    must_run(engine, "");
    atomic_fetch_sub(&wall, DAY);
    must_run(engine, "");
    pass(15 * (int64_t)SECOND);
    must_run(engine, "");
    pass(5 * (int64_t)SECOND);
    must_run(engine, "5");
    atomic_fetch_add(&wall, DAY); /* as it was: 20 s later */
    at(engine, 6, NOON + DAY + 5 * (int64_t)SECOND);
    must_run(engine, "1 2");
    atomic_fetch_add(&wall, DAY);
    must_run(engine, "3 6");
    atomic_fetch_sub(&wall, 3 * DAY);
    at(engine, 7, NOON + 2 * DAY);
    must_run(engine, "");
    pass(3 * DAY - 21 * (int64_t)SECOND - DAY + DAY - 20 * (int64_t)SECOND);
    must_run(engine, "");
    atomic_store(&wall, NOON + 2 * DAY - 1);
    must_run(engine, "");
    pass(1);
    must_run(engine, "4 7");
    close_engine(engine);
}

Test(house, a_thousand_leaps_of_a_day_lose_nothing_and_make_nothing_early)
{
    enum { JOBS = 2000 };
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, JOBS);
    for (int i = 0; i < JOBS; i++)
        at(engine, i, NOON + (i + 1) * (DAY / 500));
    int64_t furthest = NOON;
    int ran = 0;
    for (int leap = 0; leap < 1000; leap++) {
        atomic_fetch_add(&wall, leap % 2 ? DAY : -DAY + DAY / 200);
        if (atomic_load(&wall) > furthest)
            furthest = atomic_load(&wall);
        const int n = poll_once(engine);
        FX_MUST(n >= 0);
        ran += n;
        int64_t due = (furthest - NOON) / (DAY / 500);
        cr_assert_eq(ran, due < JOBS ? due : JOBS, "leap %d: %d, %lld", leap, ran, (long long)due);
    }
    cr_assert_gt(ran, JOBS / 2);
    close_engine(engine);
}

Test(house, a_job_that_was_moved_is_ready_at_its_new_time_only)
{
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, 100);
    struct trq_job_id a = in(engine, 1, 10 * (int64_t)SECOND);
    struct trq_job_id b = at(engine, 2, NOON + 10 * (int64_t)SECOND);
    struct trq_job_id c = in(engine, 3, 10 * (int64_t)SECOND);
    must_run(engine, "");
    cr_assert_eq(trq_move_in(engine, a, trq_seconds(5)), TRQ_OK);
    cr_assert_eq(trq_move(engine, b, (struct trq_wall){NOON + 30 * (int64_t)SECOND}), TRQ_OK);
    cr_assert_eq(trq_move(engine, c, (struct trq_wall){NOON + 20 * (int64_t)SECOND}), TRQ_OK);
    pass(5 * (int64_t)SECOND);
    must_run(engine, "1");
    pass(10 * (int64_t)SECOND);
    must_run(engine, "");
    pass(5 * (int64_t)SECOND);
    must_run(engine, "3");
    pass(10 * (int64_t)SECOND);
    must_run(engine, "2");
    close_engine(engine);
}

Test(house, timers_that_went_stale_are_swept_and_their_memory_goes_back)
{
    enum { JOBS = 4000, ROUNDS = 50 };
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, JOBS);
    static struct trq_job_id id[JOBS];
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < JOBS; i++)
            id[i] = in(engine, i, (i + 1) * (int64_t)SECOND);
        must_run(engine, "");
        for (int i = 0; i < JOBS; i++)
            if (round + 1 < ROUNDS || i % 1000)
                cr_assert_eq(trq_cancel(engine, id[i]), TRQ_OK);
        must_run(engine, "");
        const uint64_t left = tq_wheel_count(&engine->house.wheel[TQ_BOOT]);
        cr_assert(left < 2000, "%llu", (unsigned long long)left);
    }
    pass(JOBS * (int64_t)SECOND);
    must_run(engine, "0 1000 2000 3000");
    close_engine(engine);
}

Test(house, a_job_moved_again_and_again_has_few_timers)
{
    struct trq_hooks hooks = {0};
    struct trq_engine *engine = on_own_clock(&hooks, 100);
    struct trq_job_id id = in(engine, 1, DAY);
    for (int i = 1; i < 20000; i++) {
        cr_assert_eq(trq_move_in(engine, id, trq_ns(DAY - i * (int64_t)MS)), TRQ_OK);
        if (i % 100 == 0)
            must_run(engine, "");
        cr_assert(tq_wheel_count(&engine->house.wheel[TQ_BOOT]) < 2500);
    }
    /* Later: no timer is added. */
    for (int i = 0; i < 20000; i++)
        cr_assert_eq(trq_move_in(engine, id, trq_ns(2 * DAY + i)), TRQ_OK);
    must_run(engine, "");
    cr_assert(tq_wheel_count(&engine->house.wheel[TQ_BOOT]) < 2500);
    pass(2 * DAY + 19998);
    must_run(engine, "");
    pass(1000);
    must_run(engine, "1");
    close_engine(engine);
}

/* ---- want of memory ----------------------------------------------------------------------------------------- */

Test(house, what_was_accepted_runs_although_memory_failed)
{
    for (long k = 1; k < 40; k++) {
        struct fx_heap heap = {0};
        struct trq_hooks hooks = fx_hooks(&heap);
        struct trq_engine *engine = on_own_clock(&hooks, 4000);
        atomic_store(&heap.fail_at, atomic_load(&heap.calls) + k);
        int accepted = 0;
        for (int i = 0; i < 3000; i++) {
            struct num_in input = {.n = i};
            const int rc = num_enqueue(
                engine, &input, TRQ_OPTS(.in = trq_ns((1 + i % 50) * (int64_t)SECOND)), NULL);
            cr_assert(rc == TRQ_OK || rc == TRQ_ENOMEM);
            accepted += rc == TRQ_OK;
            if (i % 500 == 0)
                FX_MUST(poll_once(engine) >= 0);
        }
        int ran = 0;
        for (int i = 0; i < 60; i++) {
            pass(SECOND);
            const int n = poll_once(engine);
            ran += n > 0 ? n : 0;
        }
        cr_assert_eq(ran, accepted, "k %ld", k);
        close_engine(engine);
        cr_assert_eq(atomic_load(&heap.blocks), 0);
    }
}

/* ---- a naive model ---------------------------------------------------------------------------------------------- */

enum { MODEL = 3000 };

static struct {
    struct trq_job_id id;
    int64_t due;
    bool wall, live, moved;
} model[MODEL];
static uint64_t state;

static int64_t below(int64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int64_t)((state >> 11) % (uint64_t)n);
}

static int64_t clock_of(bool is_wall)
{
    return is_wall ? atomic_load(&wall) : atomic_load(&mono);
}

static int64_t random_span(void)
{
    static const int64_t spans[] = {20 * MS, 2 * (int64_t)SECOND, 3600 * (int64_t)SECOND, 3 * DAY};
    return (1 + below(spans[below(4)] / (10 * MS))) * (10 * MS);
}

static void random_step(struct trq_engine *engine, int *jobs)
{
    const int64_t what = below(100);
    const int n = *jobs ? (int)below(*jobs) : 0;
    if (what < 50 && *jobs < MODEL) {
        const bool is_wall = below(2);
        const int64_t span = random_span();
        const int job = (*jobs)++;
        model[job].due = clock_of(is_wall) + span;
        model[job].wall = is_wall;
        model[job].live = true;
        model[job].moved = false;
        model[job].id = is_wall ? at(engine, job, model[job].due) : in(engine, job, span);
    } else if (what < 60 && *jobs) {
        cr_assert_eq(trq_cancel(engine, model[n].id), model[n].live ? TRQ_OK : TRQ_GONE);
        model[n].live = false;
    } else if (what < 75 && *jobs) {
        const bool is_wall = below(2);
        const int64_t span = random_span();
        const int64_t due = clock_of(is_wall) + span;
        const int rc = is_wall ? trq_move(engine, model[n].id, (struct trq_wall){due})
                               : trq_move_in(engine, model[n].id, trq_ns(span));
        cr_assert_eq(rc, model[n].live ? TRQ_OK : TRQ_GONE);
        model[n].due = due;
        model[n].wall = is_wall;
        model[n].moved = true;
    } else if (what < 90) {
        pass(below(random_span()));
    } else {
        atomic_fetch_add(&wall, (below(2) ? 1 : -1) * below(random_span()));
    }
}

static void must_agree(struct trq_engine *engine, int jobs)
{
    fx.values = 0;
    FX_MUST(poll_once(engine) >= 0);
    for (int i = 0; i < fx.values; i++) {
        const int64_t job = fx.value[i];
        const bool is_wall = model[job].wall;
        cr_assert(model[job].live, "twice, or cancelled");
        cr_assert(model[job].due <= clock_of(is_wall), "too early");
        for (int k = 0; k < i && !model[job].moved; k++) {
            const int64_t other = fx.value[k];
            cr_assert(model[other].moved || model[other].wall != is_wall ||
                          model[other].due != model[job].due || other < job,
                      "equals out of order");
        }
        model[job].live = false;
    }
    for (int i = 0; i < jobs; i++)
        cr_assert(!model[i].live || model[i].due > clock_of(model[i].wall), "too late");
}

Test(house, random_use_agrees_with_a_naive_model, .timeout = 200)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    for (int round = 0; round < 30; round++) {
        fprintf(stderr, "round %d, state 0x%llx\n", round, (unsigned long long)state);
        struct trq_hooks hooks = {0};
        struct trq_engine *engine = on_own_clock(&hooks, MODEL);
        int jobs = 0;
        for (int i = 0; i < 4000; i++) {
            random_step(engine, &jobs);
            if (below(4) == 0)
                must_agree(engine, jobs);
        }
        close_engine(engine);
    }
}

/* ---- the system's clock --------------------------------------------------------------------------------------- */

static int64_t real_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * SECOND + t.tv_nsec;
}

Test(house, the_descriptor_of_poll_mode_is_readable_when_a_timer_is_due)
{
    struct trq_engine *engine = fx_polled(&fx, &fx_app);
    const int fd = trq_engine_fd(engine);
    cr_assert_not(fx_readable(fd));
    for (int i = 0; i < 10; i++) {
        const int64_t begun = real_now();
        if (i % 2)
            in(engine, i, 30 * MS);
        else
            at(engine, i, trq_now(engine).ns + 30 * MS);
        int ran = 0;
        /* What was submitted is to be taken in; then it is quiet until the time has come. */
        int wakes = 0;
        while (!ran) {
            fx_await_readable(fd);
            wakes++;
            ran = poll_once(engine);
        }
        cr_assert_eq(ran, 1);
        cr_assert(real_now() - begun >= 30 * MS);
        cr_assert(wakes <= 4, "%d", wakes);
        poll_once(engine);
        cr_assert_not(fx_readable(fd));
    }
    close_engine(engine);
}

Test(house, in_poll_mode_an_earlier_timer_wakes_who_sleeps_for_a_later_one)
{
    struct trq_engine *engine = fx_polled(&fx, &fx_app);
    const int fd = trq_engine_fd(engine);
    in(engine, 1, 50 * (int64_t)SECOND);
    fx_await_readable(fd);
    cr_assert_eq(poll_once(engine), 0);
    cr_assert_not(fx_readable(fd));
    in(engine, 2, 60 * (int64_t)SECOND);
    cr_assert_not(fx_readable(fd), "it is in time");
    in(engine, 3, 10 * (int64_t)SECOND);
    cr_assert(fx_readable(fd));
    cr_assert_eq(poll_once(engine), 0);
    cr_assert_not(fx_readable(fd));
    close_engine(engine);
}
