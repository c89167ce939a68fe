/* Rules 3.1 to 3.4: jobs for later, on a clock that stands still until it is told to go on. */
#include <tresque.h>

#define TYPED_INPUTS(F, W)                                                                         \
    F(W, i64, i, TRQ_OPTIONAL, 7)                                                                  \
    F(W, f64, f, TRQ_OPTIONAL, 0.5)                                                                \
    F(W, bool, b, TRQ_OPTIONAL, true)                                                              \
    F(W, str, s, TRQ_OPTIONAL, NULL)                                                               \
    F(W, json, j, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(typed, TYPED_INPUTS);

#include "scene.h"

static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_worker also = {SCENE_WORKER("Also")};
static const struct trq_lock on_key = {.size = sizeof on_key,
                                       .inputs = (const char *const[]){"key", NULL},
                                       .scope = TRQ_FROM_SCHEDULING,
                                       .on_conflict = TRQ_DEBOUNCE};
static const struct trq_worker calmed = {SCENE_WORKER("Calmed"), .queue_lock = &on_key};

const struct trq_worker typed = {TRQ_WORKER(typed, "Typed"), .retry = &trq_no_retry,
                                 .perform = scene_perform};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &also, &calmed, &typed, &num),
};

static void set_up(void)
{
    scene_open(&app);
}
TestSuite(schedule, .init = set_up, .fini = scene_close);

static struct trq_wall after(struct trq_span span)
{
    return trq_wall_add(trq_now(engine), span);
}
static void advance(struct trq_span span, int runs)
{
    cr_assert_eq(trq_test_advance(engine, span), runs);
}
/* Not a nanosecond early, and then at the first microsecond: the virtual clock's tick. It begins on a whole one. */
static void due_in(struct trq_span span, int runs)
{
    advance(trq_ns(span.ns - 1), 0);
    advance(trq_ns(1 + (1000 - span.ns % 1000) % 1000), runs);
}
static struct trq_job_id put_in(int64_t n, struct trq_span in)
{
    return scene_put(&plain, n, NULL, NULL, TRQ_OPTS(.in = in));
}
static struct trq_job_id put_at(int64_t n, struct trq_wall at)
{
    return scene_put(&plain, n, NULL, NULL, TRQ_OPTS(.at = at));
}
static const struct trq_span day = {INT64_C(86400000000000)};

/* ---- due --------------------------------------------------------------------------------------------------------------- */

static const int64_t spans[] = {1,
                                2,
                                999,
                                1000,
                                1001,
                                999999,
                                1000000,
                                1000001,
                                63999999,
                                64000000,
                                4096000000,
                                4096000001,
                                INT64_C(262144000000),
                                INT64_C(86400000000000) * 400};

Test(schedule, a_job_that_counts_elapsed_time_is_ready_at_its_time_and_never_early)
{
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct trq_job_id id = put_in(1, trq_ns(spans[i]));
        SCENE_IS(id, TRQ_IS_SCHEDULED);
        due_in(trq_ns(spans[i]), 1);
        SCENE_ENDED(id, TRQ_WAS_DONE);
        scene_check();
    }
}

Test(schedule, a_job_for_a_time_of_day_is_ready_then_and_never_early)
{
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct trq_job_id id = put_at(1, after(trq_ns(spans[i])));
        cr_assert_eq(scene_why(id).due.ns, after(trq_ns(spans[i])).ns);
        due_in(trq_ns(spans[i]), 1);
        SCENE_ENDED(id, TRQ_WAS_DONE);
        scene_check();
    }
}

Test(schedule, nothing_runs_early_however_the_steps_of_time_fall)
{
    static int64_t due[1000];
    uint64_t seed = 42;
    for (int i = 0; i < 1000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        due[i] = (int64_t)(seed >> 33) * 1000 + 1;
        if (i % 2)
            put_in(i, trq_ns(due[i]));
        else
            put_at(i, after(trq_ns(due[i])));
    }
    int64_t now = 0;
    for (int seen = 0; seen < 1000;) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
        int64_t step = (int64_t)(seed >> 33) * 20;
        now += step;
        cr_assert_geq(trq_test_advance(engine, trq_ns(step)), 0);
        for (; seen < scene.runs; seen++)
            cr_assert_leq(due[scene.ran[seen]], now, "early");
        int late = 0;
        for (int i = 0; i < 1000; i++)
            late += due[i] <= now;
        cr_assert_eq(seen, late, "late");
    }
}

Test(schedule, what_is_due_at_the_same_time_runs_in_the_order_of_the_calls)
{
    struct trq_wall at = after(trq_seconds(100));
    for (int i = 0; i < 300; i++) {
        put_at(i, at);
        put_at(-1, after(trq_seconds(200 + i % 7)));
    }
    advance(trq_seconds(100), 300);
    for (int i = 0; i < 300; i++)
        cr_assert_eq(scene.ran[i], i);
    scene_forget();
    for (int i = 0; i < 300; i++)
        put_in(i, trq_seconds(50));
    advance(trq_seconds(50), 300);
    for (int i = 0; i < 300; i++)
        cr_assert_eq(scene.ran[i], i);
}

Test(schedule, within_one_advance_each_runs_at_its_own_time)
{
    put_in(3, trq_hours(3));
    put_at(1, after(trq_hours(1)));
    put_in(2, trq_hours(2));
    put_at(4, after(trq_hours(4)));
    put_in(5, trq_ns(trq_hours(4).ns + 1));
    advance(trq_hours(24), 5);
    SCENE_RAN("1 2 3 4 5");
}

Test(schedule, the_past_means_now)
{
    struct trq_wall now = trq_now(engine);
    const struct trq_wall past[] = {{1}, {-1}, {INT64_MIN}, {now.ns - 1}, {now.ns}};
    for (size_t i = 0; i < 5; i++)
        SCENE_IS(put_at((int64_t)i, past[i]), TRQ_IS_READY);
    SCENE_IS(put_in(5, trq_ns(-1)), TRQ_IS_READY);
    SCENE_IS(put_in(6, trq_ns(INT64_MIN)), TRQ_IS_READY);
    cr_assert_eq(trq_test_drain(engine), 7);
    SCENE_RAN("0 1 2 3 4 5 6");
}

Test(schedule, at_the_ends_of_the_range_a_job_waits_for_ever_and_can_be_run)
{
    struct trq_job_id a = put_at(1, (struct trq_wall){INT64_MAX}), b = put_in(2, trq_forever()),
                      c = put_in(3, trq_ns(INT64_MAX - 1)),
                      d = put_at(4, (struct trq_wall){INT64_MAX - 1});
    cr_assert_eq(scene_why(a).due.ns, INT64_MAX);
    cr_assert_eq(scene_why(b).due.ns, INT64_MAX);
    advance(trq_ns(day.ns * 36525), 0);
    scene_check();
    cr_assert_eq(trq_run_now(engine, a), TRQ_OK);
    cr_assert_eq(trq_cancel(engine, b), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, c, trq_seconds(1)), TRQ_OK);
    advance(trq_seconds(1), 2);
    SCENE_RAN("1 3");
    cr_assert_geq(trq_test_advance(engine, trq_forever()), 0);
    cr_assert_eq((int)trq_cancel(engine, d) >= 0, 1);
}

Test(schedule, at_and_in_together_are_refused)
{
    cr_assert_eq(
        scene_try(&plain, 1, NULL, NULL, TRQ_OPTS(.at = after(day), .in = trq_seconds(1)), NULL),
        TRQ_EINVAL);
    cr_assert_str_eq(error.text, "at and in: one of the two");
}

Test(schedule, several_at_once_keep_their_order_and_their_ids)
{
    static struct scene_worker_in ins[600];
    static struct trq_job_id ids[600];
    int codes[600];
    memset(codes, 0x55, sizeof codes);
    cr_assert_eq(
        trq_enqueue_many(engine, &plain, &scene_worker_inputs, ins, 600,
                         TRQ_OPTS(.in = trq_seconds(5), .on_end = scene_on_end, .out_codes = codes),
                         ids),
        TRQ_OK);
    cr_assert_eq(trq_enqueue_many(engine, &plain, &scene_worker_inputs, ins, 600,
                                  TRQ_OPTS(.at = after(trq_seconds(9)), .on_end = scene_on_end),
                                  NULL),
                 TRQ_OK);
    cr_assert_eq(scene_stats().scheduled, 1200);
    for (int i = 0; i < 600; i++) {
        cr_assert_eq(codes[i], TRQ_OK);
        SCENE_IS(ids[i], TRQ_IS_SCHEDULED);
    }
    due_in(trq_seconds(5), 600);
    for (int i = 0; i < 600; i++)
        cr_assert(trq_job_id_equal(scene.end[i].id, ids[i]));
    advance(trq_seconds(4), 600);
}

Test(schedule, several_for_a_time_in_the_past_are_ready)
{
    struct scene_worker_in ins[3] = {{.n = 1}, {.n = 2}, {.n = 3}};
    cr_assert_eq(
        trq_enqueue_many(engine, &plain, &scene_worker_inputs, ins, 3, TRQ_OPTS(.at = {1}), NULL),
        TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 3);
    SCENE_RAN("1 2 3");
}

Test(schedule, a_job_that_is_due_goes_behind_what_is_ready_and_into_its_own_queue)
{
    scene_put(&plain, 2, NULL, NULL, TRQ_OPTS(.in = trq_seconds(1), .queue = "high"));
    put_in(3, trq_seconds(1));
    put_in(4, trq_seconds(1));
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_queue_pause(engine, "app_high", NULL), TRQ_OK);
    scene_put(&plain, 1, NULL, NULL, NULL);
    advance(trq_seconds(1), 0);
    scene_put(&plain, 5, NULL, NULL, NULL);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_queue_resume(engine, "app_high", NULL), TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 5);
    SCENE_RAN("2 1 3 4 5");
}

/* ---- the wall clock leaps --------------------------------------------------------------------------------------------- */

static void leap(int64_t ns)
{
    cr_assert_eq(trq_test_set_wall(engine, after(trq_ns(ns))), TRQ_OK);
}

Test(schedule, a_step_forward_makes_a_time_of_day_due_and_does_not_move_a_span)
{
    struct trq_job_id at = put_at(1, after(trq_hours(1))), in = put_in(2, trq_hours(1));
    leap(day.ns);
    advance(trq_ns(0), 1);
    SCENE_RAN("1");
    SCENE_ENDED(at, TRQ_WAS_DONE);
    due_in(trq_hours(1), 1);
    SCENE_ENDED(in, TRQ_WAS_DONE);
}

Test(schedule, a_step_back_puts_a_time_of_day_off_and_does_not_move_a_span)
{
    struct trq_job_id at = put_at(1, after(trq_hours(1))), in = put_in(2, trq_hours(1));
    leap(-day.ns);
    advance(trq_hours(1), 1);
    SCENE_RAN("2");
    SCENE_ENDED(in, TRQ_WAS_DONE);
    advance(trq_ns(day.ns - 1), 0);
    SCENE_IS(at, TRQ_IS_SCHEDULED);
    advance(trq_ns(1), 1);
    SCENE_ENDED(at, TRQ_WAS_DONE);
}

Test(schedule, steps_to_and_fro_end_where_they_began)
{
    struct trq_job_id id[10];
    for (int i = 0; i < 10; i++)
        id[i] = put_at(i, after(trq_ns(trq_hours(48).ns + 1000 * i)));
    for (int i = 0; i < 20; i++) {
        leap(i % 2 ? -day.ns : day.ns);
        advance(trq_ns(1000), 0);
        scene_check();
    }
    leap(-2 * day.ns);
    advance(trq_minutes(1), 0);
    leap(2 * day.ns);
    advance(trq_ns(trq_hours(48).ns - 20 * 1000 - trq_minutes(1).ns - 1), 0);
    advance(trq_ns(1), 1);
    advance(trq_ns(9000), 9);
    SCENE_RAN("0 1 2 3 4 5 6 7 8 9");
    SCENE_ENDED(id[9], TRQ_WAS_DONE);
}

Test(schedule, what_is_enqueued_after_a_step_back_follows_the_new_clock)
{
    advance(trq_hours(5), 0);
    leap(-day.ns);
    struct trq_job_id id = put_at(1, after(trq_ms(1)));
    advance(trq_ns(trq_ms(1).ns - 1), 0);
    SCENE_IS(id, TRQ_IS_SCHEDULED);
    advance(trq_ns(1), 1);
    leap(day.ns);
    put_at(2, after(trq_ms(1)));
    advance(trq_ms(1), 1);
}

static enum trq_end again_tomorrow(struct trq_job *job)
{
    return trq_requeue_in(job, day);
}
static enum trq_end enqueue_tomorrow(struct trq_job *job)
{
    put_at(trq_job_get_i64(job, "n") + 1, after(day));
    return TRQ_DONE;
}

Test(schedule, a_year_of_days_passes)
{
    scene.during = enqueue_tomorrow;
    put_at(1, after(day));
    for (int i = 0; i < 4000; i++)
        put_in(-1, trq_ns(day.ns * 366 + i));
    advance(trq_ns(day.ns * 365), 365);
    for (int i = 0; i < 365; i++)
        cr_assert_eq(scene.ran[i], i + 1);
    scene.during = NULL;
    advance(day, 2);
    scene.during = again_tomorrow;
    struct trq_job_id id = scene_put(&also, 5, NULL, NULL, NULL);
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT_NONE), 3999);
    advance(trq_ns(day.ns * 365), 366);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    cr_assert_eq(scene_end_of(id).attempts, 366);
}

/* ---- cancel, move, run now, by id -------------------------------------------------------------------------------------- */

Test(schedule, a_cancelled_job_ends_as_cancelled_at_once_and_never_runs)
{
    struct trq_job_id id = put_in(1, trq_seconds(1)), later = put_at(2, after(day));
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    cr_assert_eq(scene_end_of(id).attempts, 0);
    cr_assert_eq(trq_cancel(engine, id), TRQ_GONE);
    cr_assert_eq(trq_cancel(engine, later), TRQ_OK);
    advance(trq_ns(2 * day.ns), 0);
    cr_assert_eq(fx_stats(engine, "Plain").cancelled, 2);
}

Test(schedule, a_ready_job_can_be_cancelled_and_those_behind_it_keep_their_order)
{
    struct trq_job_id id[5];
    for (int i = 0; i < 5; i++)
        id[i] = scene_put(&plain, i, NULL, NULL, NULL);
    cr_assert_eq(trq_cancel(engine, id[0]), TRQ_OK);
    cr_assert_eq(trq_cancel(engine, id[3]), TRQ_OK);
    SCENE_ENDED(id[0], TRQ_WAS_CANCELLED);
    cr_assert_eq(trq_cancel(engine, id[3]), TRQ_GONE);
    cr_assert_eq(trq_test_drain(engine), 3);
    SCENE_RAN("1 2 4");
}

static enum trq_end cancels_itself(struct trq_job *job)
{
    struct trq_engine *e = trq_job_engine(job);
    cr_assert_not(trq_job_should_stop(job));
    cr_assert_eq(trq_move(e, trq_job_self(job), after(day)), TRQ_GONE, "it is not scheduled");
    cr_assert_eq(trq_run_now(e, trq_job_self(job)), TRQ_GONE);
    cr_assert_eq(trq_cancel(e, trq_job_self(job)), TRQ_ASKED);
    cr_assert(trq_job_should_stop(job));
    cr_assert_eq(trq_cancel(e, trq_job_self(job)), TRQ_ASKED, "as often as you like");
    switch (trq_job_get_i64(job, "n")) {
    case 1:
        return TRQ_DONE;
    case 2:
        return trq_requeue(job);
    case 3:
        return trq_requeue_in(job, day);
    default:
        return trq_fail(job, "no");
    }
}

Test(schedule, who_is_asked_to_stop_and_does_is_done_and_else_does_not_come_again)
{
    scene.during = cancels_itself;
    static const enum trq_outcome as[] = {TRQ_WAS_DONE, TRQ_WAS_CANCELLED, TRQ_WAS_CANCELLED,
                                          TRQ_WAS_CANCELLED};
    for (int n = 1; n <= 4; n++) {
        struct trq_job_id id = put_in(n, trq_ms(1));
        advance(trq_ms(1), 1);
        SCENE_ENDED(id, as[n - 1]);
        cr_assert_eq(scene_end_of(id).attempts, 1);
        cr_assert_eq(trq_cancel(engine, id), TRQ_GONE);
    }
}

Test(schedule, a_move_counts_and_keeps_the_id)
{
    static const struct trq_span to[] = {{INT64_C(1)},
                                         {INT64_C(999999)},
                                         {INT64_C(1000000)},
                                         {INT64_C(3600000000000)},
                                         {INT64_C(86400000000000) * 300}};
    for (size_t i = 0; i < 5; i++)
        for (int form = 0; form < 4; form++) {
            struct trq_job_id id =
                form & 1 ? put_at(1, after(trq_hours(30))) : put_in(1, trq_hours(30));
            cr_assert_eq(form & 2 ? trq_move(engine, id, after(to[i]))
                                  : trq_move_in(engine, id, to[i]),
                         TRQ_OK);
            cr_assert_eq(scene_why(id).due.ns, after(to[i]).ns);
            due_in(to[i], 1);
            SCENE_ENDED(id, TRQ_WAS_DONE);
            scene_check();
        }
}

Test(schedule, a_move_to_the_other_clock_follows_that_one)
{
    struct trq_job_id to_wall = put_in(1, trq_hours(10)), to_span = put_at(2, after(trq_hours(10)));
    cr_assert_eq(trq_move(engine, to_wall, after(trq_hours(20))), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, to_span, trq_hours(20)), TRQ_OK);
    leap(day.ns);
    advance(trq_ns(0), 1);
    SCENE_RAN("1");
    leap(-3 * day.ns);
    advance(trq_hours(20), 1);
    SCENE_RAN("1 2");
}

Test(schedule, a_move_to_the_past_makes_it_due)
{
    struct trq_job_id a = put_in(1, trq_hours(10)), b = put_in(2, trq_hours(10)),
                      c = put_at(3, after(trq_hours(10)));
    cr_assert_eq(trq_move(engine, a, (struct trq_wall){INT64_MIN}), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, b, trq_ns(-5)), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, c, trq_ns(0)), TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 3);
    SCENE_ENDED(a, TRQ_WAS_DONE);
    SCENE_ENDED(b, TRQ_WAS_DONE);
    SCENE_ENDED(c, TRQ_WAS_DONE);
}

Test(schedule, a_move_to_the_end_of_the_range_is_for_ever)
{
    struct trq_job_id a = put_in(1, trq_hours(10)), b = put_in(2, trq_hours(10));
    cr_assert_eq(trq_move(engine, a, (struct trq_wall){INT64_MAX}), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, b, trq_forever()), TRQ_OK);
    advance(trq_ns(day.ns * 3650), 0);
    cr_assert_eq(trq_move_in(engine, a, trq_ms(1)), TRQ_OK);
    cr_assert_eq(trq_move(engine, b, after(trq_ms(1))), TRQ_OK);
    advance(trq_ms(1), 2);
}

Test(schedule, many_moves_of_one_job_leave_one_run_at_the_last_time)
{
    struct trq_job_id id = put_in(1, trq_hours(1000));
    for (int i = 0; i < 5000; i++) {
        int64_t hours = 10 + (i * 7919) % 900;
        cr_assert_eq(i % 3 ? trq_move_in(engine, id, trq_hours(hours))
                           : trq_move(engine, id, after(trq_hours(hours))),
                     TRQ_OK);
    }
    cr_assert_eq(trq_move_in(engine, id, trq_hours(500)), TRQ_OK);
    scene_check();
    due_in(trq_hours(500), 1);
    advance(trq_hours(1000), 0);
    cr_assert_eq(scene.ends, 1);
}

Test(schedule, run_now_puts_it_behind_what_is_ready)
{
    struct trq_job_id a = put_in(2, trq_hours(1)), b = put_at(3, after(day));
    scene_put(&plain, 1, NULL, NULL, NULL);
    cr_assert_eq(trq_run_now(engine, b), TRQ_OK);
    cr_assert_eq(trq_run_now(engine, a), TRQ_OK);
    SCENE_IS(a, TRQ_IS_READY);
    cr_assert_eq(trq_run_now(engine, a), TRQ_GONE, "it is ready already");
    cr_assert_eq(trq_move(engine, a, after(day)), TRQ_GONE);
    cr_assert_eq(trq_move_in(engine, a, day), TRQ_GONE);
    cr_assert_eq(trq_test_drain(engine), 3);
    SCENE_RAN("1 3 2");
    advance(trq_ns(2 * day.ns), 0);
    cr_assert_eq(trq_run_now(engine, a), TRQ_GONE);
}

Test(schedule, ids_that_are_none_of_this_engine_are_gone)
{
    struct trq_engine *mine = engine, *other;
    struct trq_job_id stranger;
    scene_open(&app);
    other = engine;
    stranger = put_in(1, trq_hours(1));
    engine = mine;
    struct trq_job_id own = put_in(1, trq_hours(1)), odd = own;
    odd.slot |= 1u << 20;
    struct trq_job_id old = own;
    old.slot += UINT64_C(1) << 32;
    const struct trq_job_id ids[] = {
        {0, 0}, stranger, odd, old, {UINT64_MAX, own.birth}, {own.slot, own.birth + 1}};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        struct trq_why why = {.size = sizeof why};
        cr_assert_eq(trq_cancel(engine, ids[i]), TRQ_GONE);
        cr_assert_eq(trq_move(engine, ids[i], after(day)), TRQ_GONE);
        cr_assert_eq(trq_move_in(engine, ids[i], day), TRQ_GONE);
        cr_assert_eq(trq_run_now(engine, ids[i]), TRQ_GONE);
        cr_assert_eq(trq_explain(engine, ids[i], &why), TRQ_GONE);
    }
    SCENE_IS(own, TRQ_IS_SCHEDULED);
    engine = other;
    SCENE_IS(stranger, TRQ_IS_SCHEDULED);
    scene_close();
    engine = mine;
}

Test(schedule, null_is_refused)
{
    struct trq_job_id id = put_in(1, trq_hours(1)), ids[1];
    struct trq_dict broken = {NULL, 1};
    cr_assert_eq(trq_cancel(NULL, id), TRQ_EINVAL);
    cr_assert_eq(trq_move(NULL, id, after(day)), TRQ_EINVAL);
    cr_assert_eq(trq_move_in(NULL, id, day), TRQ_EINVAL);
    cr_assert_eq(trq_run_now(NULL, id), TRQ_EINVAL);
    cr_assert_eq(trq_scheduled(NULL, &plain, TRQ_DICT_NONE, ids, 1), TRQ_EINVAL);
    cr_assert_eq(trq_scheduled(engine, NULL, TRQ_DICT_NONE, ids, 1), TRQ_EINVAL);
    cr_assert_eq(trq_scheduled(engine, &plain, broken, ids, 1), TRQ_EINVAL);
    cr_assert_eq(trq_cancel_matching(engine, NULL, TRQ_DICT_NONE), TRQ_EINVAL);
    cr_assert_eq(trq_move_matching(engine, NULL, TRQ_DICT_NONE, after(day)), TRQ_EINVAL);
    cr_assert_eq(trq_run_now_matching(engine, NULL, TRQ_DICT_NONE), TRQ_EINVAL);
    cr_assert_eq(trq_test_advance(engine, trq_ns(-1)), TRQ_EINVAL);
}

Test(schedule, after_a_stop_every_call_says_so_and_what_was_scheduled_is_dropped)
{
    struct trq_job_id a = put_in(1, trq_hours(1)), b = put_at(2, after(day)), ids[1];
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_OK);
    SCENE_ENDED(a, TRQ_WAS_DROPPED);
    SCENE_ENDED(b, TRQ_WAS_DROPPED);
    cr_assert_eq(scene_try(&plain, 1, NULL, NULL, TRQ_OPTS(.in = day), NULL), TRQ_ESTOPPED);
    cr_assert_eq(trq_cancel(engine, a), TRQ_ESTOPPED);
    cr_assert_eq(trq_move(engine, a, after(day)), TRQ_ESTOPPED);
    cr_assert_eq(trq_move_in(engine, a, day), TRQ_ESTOPPED);
    cr_assert_eq(trq_run_now(engine, a), TRQ_ESTOPPED);
    cr_assert_eq(trq_scheduled(engine, &plain, TRQ_DICT_NONE, ids, 1), TRQ_ESTOPPED);
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT_NONE), TRQ_ESTOPPED);
    cr_assert_eq(trq_test_advance(engine, day), TRQ_ESTOPPED);
    cr_assert_eq(fx_stats(engine, "Plain").dropped, 2);
}

/* ---- by worker and inputs ------------------------------------------------------------------------------------------------ */

static long found(struct trq_dict inputs)
{
    struct trq_job_id ids[2] = {{0, 0}, {0, 0}};
    long n = trq_scheduled(engine, &plain, inputs, ids, 2);
    for (int i = 0; i < 2; i++)
        cr_assert_eq(ids[i].birth != 0, i < n, "as many ids as there are, or as fit");
    cr_assert_eq(trq_scheduled(engine, &plain, inputs, NULL, 5), n);
    cr_assert_eq(trq_test_scheduled(engine, &plain, inputs, NULL), n);
    return n;
}

Test(schedule, a_part_of_the_inputs_finds_all_that_contain_it)
{
    for (int i = 0; i < 12; i++)
        scene_put(&plain, i % 3, i % 2 ? "odd" : "even", i < 6 ? "a" : NULL,
                  TRQ_OPTS(.in = trq_hours(1)));
    scene_put(&plain, 0, "odd", "a", NULL);                        /* ready, not scheduled */
    scene_put(&also, 0, "odd", "a", TRQ_OPTS(.in = trq_hours(1))); /* of another worker */
    cr_assert_eq(found(TRQ_DICT_NONE), 12);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("n", 1))), 4);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("n", 1), TRQ_KV("key", "odd"))), 2);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("key", "odd"), TRQ_KV("room", "a"), TRQ_KV("n", 1))), 1);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("room", trq_null()))), 6, "absent is null");
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("room", ""))), 0, "absent is not empty");
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("n", 9))), 0);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("nothing", 1))), 0);
    cr_assert_eq(found(TRQ_DICT(TRQ_KV("nothing", trq_null()))), 12);
    cr_assert_eq(trq_test_count(engine, &plain, TRQ_DICT(TRQ_KV("n", 0), TRQ_KV("room", "a"))), 3,
                 "the ready one, too");
}

static long matching(struct trq_dict inputs)
{
    return trq_scheduled(engine, &typed, inputs, NULL, 0);
}

Test(schedule, values_match_by_type_too)
{
    int rc = trq_enqueue(engine, &typed,
                         TRQ_DICT(TRQ_KV("i", 1), TRQ_KV("f", 2), TRQ_KV("b", TRQ_FALSE),
                                  TRQ_KV("s", "1"), TRQ_KV("j", trq_json("[1]")), TRQ_KV("more", 5),
                                  TRQ_KV("void", trq_null())),
                         TRQ_OPTS(.in = day), NULL);
    cr_assert_eq(rc, TRQ_OK);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("i", 1))), 1);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("i", 1.0))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("i", "1"))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("i", TRQ_TRUE))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("f", 2.0))), 1);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("f", 2))), 1, "an integer is what an f64 was given");
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("b", TRQ_FALSE))), 1);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("b", TRQ_TRUE))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("s", "1"))), 1);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("s", 1))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("s", "11"))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("j", trq_json("[1]")))), 1);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("j", "[1]"))), 0, "a text is no JSON value");
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("more", 5))), 1, "an undeclared one");
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("more", 6))), 0);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("void", trq_null()))), 1);
    cr_assert_eq(trq_enqueue(engine, &typed, TRQ_DICT_NONE, TRQ_OPTS(.in = day), NULL), TRQ_OK);
    cr_assert_eq(matching(TRQ_DICT(TRQ_KV("i", 7), TRQ_KV("f", 0.5), TRQ_KV("b", TRQ_TRUE))), 1,
                 "defaults count");
}

Test(schedule, cancel_move_and_run_now_by_inputs_do_it_to_all_that_match)
{
    for (int i = 0; i < 30; i++)
        scene_put(&plain, i,
                  i % 3 == 0   ? "c"
                  : i % 3 == 1 ? "m"
                               : "r",
                  NULL, TRQ_OPTS(.in = trq_hours(5)));
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "c"))), 10);
    cr_assert_eq(scene.ends, 10);
    cr_assert_eq(
        trq_move_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "m")), after(trq_hours(1))), 10);
    cr_assert_eq(trq_run_now_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "r"))), 10);
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT(TRQ_KV("key", "c"))), 0);
    cr_assert_eq(trq_test_drain(engine), 10);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(scene.ran[i] % 3, 2);
    due_in(trq_hours(1), 10);
    cr_assert_eq(trq_test_count(engine, &plain, TRQ_DICT_NONE), 0);
}

Test(schedule, matching_jobs_of_a_worker_that_nobody_registered_is_an_error)
{
    static const struct trq_worker stranger = {SCENE_WORKER("Stranger")};
    cr_assert_eq(trq_scheduled(engine, &stranger, TRQ_DICT_NONE, NULL, 0), TRQ_EUNKNOWN);
    cr_assert_eq(trq_cancel_matching(engine, &stranger, TRQ_DICT_NONE), TRQ_EUNKNOWN);
    cr_assert_eq(trq_move_matching(engine, &stranger, TRQ_DICT_NONE, after(day)), TRQ_EUNKNOWN);
    cr_assert_eq(trq_run_now_matching(engine, &stranger, TRQ_DICT_NONE), TRQ_EUNKNOWN);
    cr_assert_eq(trq_test_count(engine, &stranger, TRQ_DICT_NONE), TRQ_EUNKNOWN);
}

Test(schedule, the_earliest_due_time_is_told)
{
    struct trq_wall due = {17};
    cr_assert_eq(trq_test_scheduled(engine, &plain, TRQ_DICT_NONE, &due), 0);
    cr_assert_eq(due.ns, 17, "untouched");
    put_in(1, trq_hours(3));
    put_at(2, after(trq_hours(2)));
    cr_assert_eq(trq_test_scheduled(engine, &plain, TRQ_DICT_NONE, &due), 2);
    cr_assert_eq(due.ns, after(trq_hours(2)).ns);
}

/* ---- requeue in ---------------------------------------------------------------------------------------------------------- */

static struct trq_span put_off_by;
static int put_off_times;
static enum trq_end puts_itself_off(struct trq_job *job)
{
    return put_off_times-- > 0 ? trq_requeue_in(job, put_off_by) : TRQ_DONE;
}

Test(schedule, a_requeued_job_comes_again_after_its_time_with_its_id)
{
    scene.during = puts_itself_off;
    put_off_by = trq_hours(1);
    put_off_times = 3;
    struct trq_job_id id = scene_put(&plain, 1, NULL, NULL, NULL);
    cr_assert_eq(trq_test_drain(engine), 1);
    for (int i = 0; i < 3; i++) {
        SCENE_IS(id, TRQ_IS_SCHEDULED);
        cr_assert_eq(scene_why(id).due.ns, after(trq_hours(1)).ns);
        leap(day.ns);
        due_in(trq_hours(1), 1);
    }
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_eq(scene_end_of(id).attempts, 4);
    struct trq_worker_stats stats = fx_stats(engine, "Plain");
    cr_assert(stats.requeued == 3 && stats.started == 4 && stats.enqueued == 1);
}

Test(schedule, requeued_in_no_time_is_requeued)
{
    scene.during = puts_itself_off;
    static const int64_t none[] = {0, -1, INT64_MIN};
    for (int i = 0; i < 3; i++) {
        put_off_by = trq_ns(none[i]);
        put_off_times = 2;
        scene_put(&plain, i, NULL, NULL, NULL);
        cr_assert_eq(trq_test_drain(engine), 3);
    }
    put_off_by = trq_forever();
    put_off_times = 1;
    struct trq_job_id id = scene_put(&plain, 9, NULL, NULL, NULL);
    cr_assert_eq(trq_test_drain(engine), 1);
    advance(trq_ns(day.ns * 1000), 0);
    cr_assert_eq(trq_run_now(engine, id), TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(schedule, a_job_that_puts_itself_off_for_a_moment_runs_again_within_the_advance)
{
    scene.during = puts_itself_off;
    put_off_by = trq_ms(1);
    put_off_times = 9;
    put_in(1, trq_ms(1));
    advance(trq_ms(10), 10);
}

Test(schedule, what_a_handler_enqueues_for_now_runs_in_the_same_drain)
{
    scene.during = enqueue_tomorrow;
    put_in(1, trq_ms(1));
    advance(trq_ms(1), 1);
    cr_assert_eq(trq_test_scheduled(engine, &plain, TRQ_DICT_NONE, NULL), 1);
    cr_assert_eq(trq_run_now_matching(engine, &plain, TRQ_DICT(TRQ_KV("n", 2))), 1);
    scene.during = NULL;
    cr_assert_eq(trq_test_drain(engine), 1);
    SCENE_RAN("1 2");
}

/* ---- ends ------------------------------------------------------------------------------------------------------------------ */

static enum trq_end by_n(struct trq_job *job)
{
    switch (trq_job_get_i64(job, "n")) {
    case TRQ_SKIP:
        return TRQ_SKIP;
    case TRQ_FAILED:
        return trq_fail(job, "failed late");
    case TRQ_DISCARDED:
        return trq_discard(job, "discarded late");
    default:
        return TRQ_DONE;
    }
}

Test(schedule, a_scheduled_job_tells_its_end_as_any_other)
{
    static const enum trq_outcome as[] = {TRQ_WAS_DONE, TRQ_WAS_SKIPPED, TRQ_WAS_DEAD,
                                          TRQ_WAS_DISCARDED};
    scene.during = by_n;
    for (int n = TRQ_DONE; n <= TRQ_DISCARDED; n++) {
        struct trq_job_id id = put_in(n, trq_ms(1));
        advance(trq_ms(1), 1);
        struct trq_event event = scene_end_of(id);
        cr_assert_eq(event.outcome, as[n]);
        cr_assert_eq(event.attempts, 1);
        cr_assert_eq(event.waited.ns, 0, "since it became due");
        cr_assert_str_eq(event.worker, "Plain");
        cr_assert_str_eq(event.queue, "app_default");
    }
    cr_assert_str_eq(scene.text, "discarded late");
}

/* ---- room -------------------------------------------------------------------------------------------------------------------- */

Test(schedule, scheduled_jobs_take_room_and_a_cancel_gives_it_back)
{
    static struct trq_job_id id[8191];
    for (int i = 0; i < 8191; i++)
        id[i] = put_in(i, day);
    cr_assert_eq(scene_try(&plain, 1, NULL, NULL, TRQ_OPTS(.in = day), NULL), TRQ_EFULL);
    cr_assert_eq(scene_try(&plain, 1, NULL, NULL, NULL, NULL), TRQ_EFULL);
    for (int i = 0; i < 8191; i += 2)
        cr_assert_eq(trq_cancel(engine, id[i]), TRQ_OK);
    for (int i = 0; i < 8191; i += 2)
        put_in(i, day);
    cr_assert_eq(scene_try(&plain, 1, NULL, NULL, NULL, NULL), TRQ_EFULL);
    scene_check();
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT_NONE), 8191);
}

/* Ended ones stand in a queue that nobody works; they must not count. */
static void cancel_storm(uint32_t jobs_max, int rounds)
{
    static struct trq_job_id id[20000];
    FX_MUST(jobs_max <= 20000);
    engine = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = jobs_max), &app);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    for (int round = 0; round < rounds; round++) {
        for (uint32_t i = 0; i < jobs_max; i++)
            id[i] = scene_put(&plain, round, NULL, NULL, NULL);
        for (uint32_t i = 0; i < jobs_max; i++)
            cr_assert_eq(trq_cancel(engine, id[(i * 13) % jobs_max]), TRQ_OK);
        cr_assert_eq(scene_stats().jobs, 0);
    }
    scene_check();
    /* Two thirds go, one stays, over and over. */
    for (int round = 0; round < 3; round++) {
        uint32_t taken = 0;
        for (; taken < jobs_max / 6; taken++) {
            for (int k = 0; k < 3; k++)
                id[k] = scene_put(&plain, round, NULL, NULL, NULL);
            cr_assert_eq(trq_cancel(engine, id[0]), TRQ_OK);
            cr_assert_eq(trq_cancel(engine, id[2]), TRQ_OK);
        }
    }
    cr_assert_eq(scene_stats().jobs, 3 * (jobs_max / 6));
    cr_assert_eq(scene_stats().refused_full, 0);
    scene_check();
    scene_forget();
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), (int)(3 * (jobs_max / 6)));
    for (int i = 1; i < scene.runs && i < SCENE_JOURNAL; i++)
        cr_assert_leq(scene.ran[i - 1], scene.ran[i], "in the order of the calls");
    scene_close();
}

Test(schedule_room, a_storm_of_cancels_on_a_paused_queue_never_fills_a_small_engine)
{
    cancel_storm(77, 30);
    cancel_storm(1000, 10);
}
Test(schedule_room, a_storm_of_cancels_on_a_paused_queue_never_fills_a_large_engine)
{
    cancel_storm(16000, 3);
}

/* No memory is taken for what was put off or moved before. */
static void stays_as_large(bool debounce)
{
    struct fx_heap heap = {0};
    const struct trq_hooks hooks = fx_hooks(&heap);
    engine =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 100, .hooks = &hooks), &app);
    struct trq_job_id id, twin;
    id = scene_put(&calmed, 1, "k", NULL, TRQ_OPTS(.in = trq_hours(1)));
    long bytes = 0;
    for (int i = 1; i <= 100000; i++) {
        if (debounce) {
            twin.birth = 0;
            cr_assert_eq(scene_try(&calmed, 1, "k", NULL,
                                   TRQ_OPTS(.in = trq_ns(trq_hours(1).ns + trq_seconds(i).ns)),
                                   &twin),
                         TRQ_DEBOUNCED);
            cr_assert(trq_job_id_equal(id, twin));
        } else {
            cr_assert_eq(trq_move_in(engine, id, trq_seconds(200000 - i)), TRQ_OK);
        }
        if (i % 100 == 0)
            cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 0);
        if (i == 5000)
            bytes = atomic_load(&heap.bytes);
    }
    cr_assert_leq(atomic_load(&heap.bytes), bytes, "as much as at the beginning");
    cr_assert_eq(scene_stats().jobs, 1);
    if (debounce) {
        struct trq_worker_stats stats = fx_stats(engine, "Calmed");
        cr_assert(stats.debounced == 100000 && stats.duplicates == 100000 && stats.enqueued == 1);
    }
    cr_assert_eq(trq_run_now(engine, id), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    scene_close();
    cr_assert_eq(atomic_load(&heap.blocks), 0);
}

Test(schedule_room, a_hundred_thousand_debounces_of_one_job_take_no_memory)
{
    stays_as_large(true);
}
Test(schedule_room, a_hundred_thousand_moves_of_one_job_take_no_memory)
{
    stays_as_large(false);
}

static void *cancel_one(void *arg)
{
    return (void *)(intptr_t)trq_cancel(engine, *(struct trq_job_id *)arg);
}

Test(schedule_room, who_waits_for_room_gets_that_of_a_cancelled_job)
{
    engine = fx_start(FX_CONFIG(.threads = 1, .jobs_max = 2), &app);
    for (int i = 0; i < 20; i++) {
        struct trq_job_id id[2] = {put_in(1, trq_hours(1)), put_in(2, trq_hours(1))};
        cr_assert_eq(scene_try(&plain, 3, NULL, NULL, TRQ_OPTS(.in = day), NULL), TRQ_EFULL);
        pthread_t thread;
        void *rc;
        pthread_create(&thread, NULL, cancel_one, &id[i % 2]);
        struct trq_job_id third =
            scene_put(&plain, 3, NULL, NULL, TRQ_OPTS(.in = day, .wait_for_room = fx_long()));
        pthread_join(thread, &rc);
        cr_assert_eq((int)(intptr_t)rc, TRQ_OK);
        cr_assert_eq(trq_cancel(engine, id[!(i % 2)]), TRQ_OK);
        cr_assert_eq(trq_cancel(engine, third), TRQ_OK);
    }
    scene_settle(0);
    scene_close();
}

/* ---- the descriptor of a polled engine, by the real clock ------------------------------------------------------------------ */

static int poll_it(void)
{
    return trq_engine_poll(engine, 0, trq_ns(0));
}

static void poll_until_one_ran(void)
{
    int ran = 0;
    while (ran == 0) {
        fx_await_readable(trq_engine_fd(engine));
        ran = poll_it();
    }
    cr_assert_eq(ran, 1);
}

Test(schedule_fd, it_is_readable_when_a_job_is_due_and_not_for_one_of_tomorrow)
{
    engine = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE), &app);
    cr_assert_eq(poll_it(), 0);
    int fd = trq_engine_fd(engine);
    cr_assert_not(fx_readable(fd));
    struct trq_job_id far = put_in(1, day);
    put_at(2, after(day));
    cr_assert_eq(poll_it(), 0); /* it may ask for one look, and then sleeps */
    cr_assert_not(fx_readable(fd));
    for (int form = 0; form < 2; form++) {
        struct trq_wall due = after(trq_ms(5));
        if (form)
            put_at(3, due);
        else
            put_in(3, trq_ms(5));
        poll_until_one_ran();
        if (form)
            cr_assert_geq(trq_now(engine).ns, due.ns, "never early");
        cr_assert_eq(poll_it(), 0);
        cr_assert_not(fx_readable(fd));
    }
    cr_assert_eq(trq_run_now(engine, far), TRQ_OK);
    cr_assert(fx_readable(fd));
    cr_assert_eq(poll_it(), 1);
    cr_assert_not(fx_readable(fd));
    put_at(4, (struct trq_wall){1});
    cr_assert(fx_readable(fd));
    cr_assert_eq(poll_it(), 1);
    scene_close();
}

Test(schedule_fd, a_job_that_is_moved_to_the_past_makes_it_readable)
{
    engine = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE), &app);
    struct trq_job_id id = put_in(1, day);
    cr_assert_eq(poll_it(), 0);
    cr_assert_not(fx_readable(trq_engine_fd(engine)));
    cr_assert_eq(trq_move_in(engine, id, trq_ns(0)), TRQ_OK);
    poll_until_one_ran();
    scene_close();
}
