/* Rules 4.7 and 6.3: jobs that must begin within a time, runs that must end within one, and who is told. */
#include "engine/core/engine.h"

#include "scene.h"

#define ON_KEY                                                                                     \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "key", NULL                                                                                \
    }

static const int64_t second = INT64_C(1000000000);
static const struct trq_retry soon = {
    .size = sizeof soon, .jitter = TRQ_JITTER_NONE, .constant = {30000000000}, .retries = 3};

static const struct trq_lock when_due = {ON_KEY};
static const struct trq_lock from_start = {ON_KEY, .space = "start", .scope = TRQ_FROM_SCHEDULING};
static enum trq_end room_key(struct trq_job *job, struct trq_key *key);
static const struct trq_lock in_room = {.size = sizeof in_room, .space = "rooms", .key = room_key};

#define TEN .expires_in = {10000000000}
#define WORKER(name_, ...)                                                                         \
    {                                                                                              \
        .size = sizeof(struct trq_worker), .name = (name_), .inputs = &scene_worker_inputs,        \
        .perform = scene_perform, .retry = &soon, __VA_ARGS__                                      \
    }
static const struct trq_worker plain = WORKER("Plain", .timeout = {0});
static const struct trq_worker brief = WORKER("Brief", TEN);
static const struct trq_worker locked = WORKER("Locked", TEN, .queue_lock = &when_due);
static const struct trq_worker held = WORKER("Held", TEN, .queue_lock = &from_start);
static const struct trq_worker roomy = WORKER("Roomy", TEN, .worker_lock = &in_room);
static const struct trq_worker both =
    WORKER("Both", TEN, .queue_lock = &when_due, .worker_lock = &in_room);
static const struct trq_worker timed = WORKER("Timed", .timeout = {5000000000});

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &brief, &locked, &held, &roomy, &both, &timed),
};

/* What the function of the worker lock does besides, once. */
static void (*when_asked)(struct trq_job *job);
static const char *asked_room;
static enum trq_end room_key(struct trq_job *job, struct trq_key *key)
{
    void (*act)(struct trq_job *) = when_asked;
    when_asked = NULL;
    if (act)
        act(job);
    if (asked_room)
        trq_key_str(key, trq_str_of(asked_room));
    else
        trq_key_input(key, job, "room");
    return TRQ_DONE;
}

static void set_up(void)
{
    scene_open(&app);
}
TestSuite(limits, .init = set_up, .fini = scene_close);

static struct trq_job_id put(const struct trq_worker *worker, int64_t n, const char *key)
{
    return scene_put(worker, n, key, NULL, NULL);
}
static void drain(int count)
{
    int ran = trq_test_drain(engine);
    cr_assert_eq(ran, count, "%d ran", ran);
    scene_check();
}
static void advance_ns(int64_t ns, int count)
{
    int ran = trq_test_advance(engine, trq_ns(ns));
    cr_assert_eq(ran, count, "%d ran", ran);
    scene_check();
}
static void advance(int64_t seconds, int count)
{
    advance_ns(seconds * second, count);
}
/* Not a nanosecond early. */
static void ends_at(struct trq_job_id id, int64_t seconds, enum trq_outcome outcome)
{
    advance_ns(seconds * second - 1, 0);
    SCENE_NOT_ENDED(id);
    advance_ns(1, 0);
    SCENE_ENDED(id, outcome);
}
static void hold_queue(void)
{
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
}
static void let_queue(void)
{
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
}
static uint64_t timers(void)
{
    trq_test_drain(engine); /* those on their way are in the wheels then */
    return tq_load(&engine->house.timers, relaxed);
}

/* ---- not begun in time ------------------------------------------------------------------------------------------------ */

Test(limits, what_waits_in_a_paused_queue_expires_at_its_time)
{
    hold_queue();
    struct trq_job_id id = put(&brief, 1, NULL);
    struct trq_why why = scene_why(id);
    cr_assert_eq(why.limit.ns, trq_now(engine).ns + 10 * second);
    ends_at(id, 10, TRQ_WAS_EXPIRED);
    struct trq_worker_stats s = fx_stats(engine, "Brief");
    cr_assert(s.expired == 1 && s.started == 0 && s.dropped == 0);
    cr_assert_eq(scene_end_of(id).attempts, 0);
    cr_assert_str_eq(scene_end_of(id).queue, "app_default");
    why = scene_why(id);
    cr_assert_eq((int)why.outcome, TRQ_WAS_EXPIRED);
    let_queue();
    drain(0);
}

Test(limits, a_job_whose_time_is_over_when_it_is_taken_does_not_run)
{
    struct trq_job_id id = put(&brief, 1, NULL), other = put(&plain, 2, NULL);
    /* Nobody looks at the timers between. */
    struct trq_worker_stats s;
    tq_store(&engine->virtual_mono, tq_load(&engine->virtual_mono, relaxed) + 10 * second, relaxed);
    cr_assert_eq(trq_test_step(engine), 1);
    SCENE_RAN("2");
    SCENE_ENDED(id, TRQ_WAS_EXPIRED);
    SCENE_ENDED(other, TRQ_WAS_DONE);
    s = fx_stats(engine, "Brief");
    cr_assert(s.expired == 1 && s.started == 0);
}

Test(limits, a_nanosecond_before_it_begins)
{
    hold_queue();
    struct trq_job_id id = put(&brief, 1, NULL);
    advance_ns(10 * second - 1, 0);
    let_queue();
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    advance(100, 0);
}

Test(limits, a_span_of_the_call_holds_instead_of_the_workers)
{
    hold_queue();
    struct trq_job_id shorter =
        scene_put(&brief, 1, NULL, NULL, TRQ_OPTS(.expires_in = trq_seconds(2)));
    struct trq_job_id longer =
        scene_put(&brief, 2, NULL, NULL, TRQ_OPTS(.expires_in = trq_seconds(20)));
    struct trq_job_id mine =
        scene_put(&plain, 3, NULL, NULL, TRQ_OPTS(.expires_in = trq_seconds(5)));
    struct trq_job_id ever =
        scene_put(&brief, 4, NULL, NULL, TRQ_OPTS(.expires_in = trq_forever()));
    struct trq_job_id once = scene_put(&plain, 5, NULL, NULL, TRQ_OPTS(.expires_in = trq_ns(1)));
    ends_at(shorter, 2, TRQ_WAS_EXPIRED);
    SCENE_ENDED(once, TRQ_WAS_EXPIRED);
    ends_at(mine, 3, TRQ_WAS_EXPIRED);
    ends_at(longer, 15, TRQ_WAS_EXPIRED);
    cr_assert_eq(scene_why(ever).limit.ns, 0);
    advance(86400 * 36500ll, 0);
    SCENE_NOT_ENDED(ever);
    let_queue();
    drain(1);
}

Test(limits, a_scheduled_job_has_its_span_from_when_it_is_due)
{
    hold_queue();
    struct trq_job_id in = scene_put(&brief, 1, NULL, NULL, TRQ_OPTS(.in = trq_seconds(100)));
    struct trq_job_id at = scene_put(
        &brief, 2, NULL, NULL, TRQ_OPTS(.at = trq_wall_add(trq_now(engine), trq_seconds(200))));
    struct trq_job_id now = scene_put(&brief, 3, NULL, NULL, TRQ_OPTS(.in = trq_hours(9)));
    cr_assert_eq(trq_run_now(engine, now), TRQ_OK);
    ends_at(now, 10, TRQ_WAS_EXPIRED);
    ends_at(in, 100, TRQ_WAS_EXPIRED);
    ends_at(at, 100, TRQ_WAS_EXPIRED);
    /* The clock of the day has nothing to do with it. */
    struct trq_job_id id = put(&brief, 4, NULL);
    cr_assert_eq(trq_test_set_wall(engine, trq_wall_add(trq_now(engine), trq_hours(1000))), TRQ_OK);
    SCENE_NOT_ENDED(id);
    ends_at(id, 10, TRQ_WAS_EXPIRED);
}

static int requeues;
static enum trq_end come_back(struct trq_job *job)
{
    if (!requeues)
        return TRQ_DONE;
    requeues--;
    return requeues % 2 ? trq_requeue(job) : trq_requeue_in(job, trq_seconds(50));
}
Test(limits, each_wait_has_a_span_of_its_own)
{
    scene.during = come_back;
    requeues = 4;
    struct trq_job_id id = put(&brief, 1, NULL);
    advance(8, 2); /* at once, then in 50 s */
    SCENE_NOT_ENDED(id);
    hold_queue();
    advance(42, 0); /* due at 50 */
    advance_ns(10 * second - 1000, 0);
    let_queue();
    drain(2); /* in time; it came back at once, and again for later */
    SCENE_NOT_ENDED(id);
    hold_queue();
    advance(50, 0);
    ends_at(id, 10, TRQ_WAS_EXPIRED);
}

static enum trq_end fails(struct trq_job *job)
{
    return trq_fail(job, "no");
}
Test(limits, a_retry_has_its_span_from_when_it_is_due)
{
    scene.during = fails;
    struct trq_job_id id = put(&brief, 1, NULL);
    drain(1);
    hold_queue();
    advance(30, 0);
    SCENE_NOT_ENDED(id);
    advance_ns(10 * second - 1000, 0);
    let_queue();
    drain(1);
    hold_queue();
    advance(30, 0);
    ends_at(id, 10, TRQ_WAS_EXPIRED);
    cr_assert_eq(scene_end_of(id).attempts, 2);
    cr_assert_str_eq(scene.text, "no");
}

Test(limits, moving_a_job_moves_its_span)
{
    hold_queue();
    struct trq_job_id a = scene_put(&brief, 1, NULL, NULL, TRQ_OPTS(.in = trq_seconds(5)));
    struct trq_job_id b = scene_put(&brief, 2, NULL, NULL, TRQ_OPTS(.in = trq_seconds(500)));
    cr_assert_eq(trq_move_in(engine, a, trq_seconds(100)), TRQ_OK);
    cr_assert_eq(trq_move_in(engine, b, trq_seconds(2)), TRQ_OK);
    ends_at(b, 12, TRQ_WAS_EXPIRED);
    ends_at(a, 98, TRQ_WAS_EXPIRED);
}

/* ---- the twin that is late (4.7) ---------------------------------------------------------------------------------------- */

struct rule {
    enum trq_on_conflict rule;
    bool later;
};
static const struct rule rules[] = {
    {TRQ_KEEP, false}, {TRQ_REPLACE, false}, {TRQ_DEBOUNCE, false},
    {TRQ_KEEP, true},  {TRQ_REPLACE, true},  {TRQ_DEBOUNCE, true},
};
static struct trq_opts opts_of(const struct rule *r)
{
    return *TRQ_OPTS(.on_conflict = r->rule, .in = r->later ? trq_seconds(1) : trq_ns(0));
}
/* The clock goes on, and no timer is looked at. */
static void leap(int64_t seconds)
{
    tq_store(&engine->virtual_mono,
             tq_load(&engine->virtual_mono, relaxed) + (uint64_t)(seconds * second), relaxed);
}

Test(limits, who_meets_a_twin_whose_time_is_over_ends_it_and_is_queued)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        hold_queue();
        struct trq_opts opts = opts_of(&rules[i]);
        struct trq_job_id old = put(&held, 1, "k"), new = {0, 0};
        cr_assert(trq_test_locked(engine, &held, TRQ_DICT(TRQ_KV("key", "k"))));
        leap(10);
        cr_assert(!trq_test_locked(engine, &held, TRQ_DICT(TRQ_KV("key", "k"))));
        cr_assert_eq(scene_try(&held, 2, "k", NULL, &opts, &new), TRQ_OK, "%d", (int)i);
        SCENE_ENDED(old, TRQ_WAS_EXPIRED);
        SCENE_IS(new, rules[i].later ? TRQ_IS_SCHEDULED : TRQ_IS_PAUSED);
        scene_check();
        let_queue();
        advance(1, 1);
        SCENE_ENDED(new, TRQ_WAS_DONE);
    }
    cr_assert_eq(fx_stats(engine, "Held").duplicates, 0);
    cr_assert_eq(fx_stats(engine, "Held").replaced, 0);
}

Test(limits, a_nanosecond_earlier_the_twin_holds_its_key)
{
    static const int wanted[] = {TRQ_DUPLICATE, TRQ_REPLACED, TRQ_DUPLICATE};
    for (int i = 0; i < 3; i++) {
        hold_queue();
        put(&held, 1, "k");
        leap(10);
        tq_store(&engine->virtual_mono, tq_load(&engine->virtual_mono, relaxed) - 1, relaxed);
        struct trq_opts opts = opts_of(&rules[i]);
        cr_assert_eq(scene_try(&held, 2, "k", NULL, &opts, NULL), wanted[i]);
        scene_check();
        let_queue();
        drain(1);
    }
}

Test(limits, several_at_once_meet_late_twins_each_in_its_turn)
{
    enum { MANY = 40 };
    static struct scene_worker_in ins[MANY];
    static char names[MANY][8];
    static struct trq_job_id old[MANY], new[MANY];
    int codes[MANY];
    hold_queue();
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "%d", i / 2);
        ins[i] = (struct scene_worker_in){i, trq_str_of(names[i]), {NULL, 0}};
        if (i % 2 == 0)
            old[i] = put(&locked, i, names[i]);
    }
    leap(10);
    const struct trq_opts opts = {.size = sizeof opts, .out_codes = codes, .on_end = scene_on_end};
    cr_assert_eq(trq_enqueue_many(engine, &locked, &scene_worker_inputs, ins, MANY, &opts, new),
                 TRQ_DUPLICATE);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(codes[i], i % 2 ? TRQ_DUPLICATE : TRQ_OK);
        cr_assert(trq_job_id_equal(new[i], new[i - i % 2]));
        if (i % 2 == 0)
            SCENE_ENDED(old[i], TRQ_WAS_EXPIRED);
    }
    scene_check();
    ends_at(new[0], 10, TRQ_WAS_EXPIRED);
    for (int i = 0; i < MANY; i++)
        SCENE_ENDED(new[i], TRQ_WAS_EXPIRED);
}

Test(limits, many_at_once_expire_all_and_those_that_ran_do_not)
{
    enum { MANY = 600 };
    static struct scene_worker_in ins[MANY];
    static struct trq_job_id ids[MANY];
    const struct trq_opts opts = {.size = sizeof opts, .on_end = scene_on_end};
    cr_assert_eq(trq_enqueue_many(engine, &brief, &scene_worker_inputs, ins, MANY, &opts, ids),
                 TRQ_OK);
    for (int i = 0; i < MANY / 2; i++)
        cr_assert_eq(trq_test_step(engine), 1);
    hold_queue();
    advance_ns(10 * second - 1, 0);
    cr_assert_eq(scene.ends, MANY / 2);
    advance_ns(1, 0);
    for (int i = 0; i < MANY; i++)
        SCENE_ENDED(ids[i], i < MANY / 2 ? TRQ_WAS_DONE : TRQ_WAS_EXPIRED);
    let_queue();
    drain(0);
}

/* Merged into nobody, since who waits with the key is late. */
static struct trq_job_id met;
static enum trq_end meets_late(struct trq_job *job)
{
    if (trq_job_get_i64(job, "n") != 1)
        return TRQ_DONE;
    scene.during = NULL;
    FX_MUST(scene_try(&locked, 2, "k", NULL, NULL, &met) == TRQ_OK);
    leap(10);
    return trq_requeue(job);
}
Test(limits, who_comes_back_and_meets_a_late_twin_waits_in_its_place)
{
    scene.during = meets_late;
    struct trq_job_id id = put(&locked, 1, "k");
    drain(2);
    SCENE_RAN("1 1");
    SCENE_ENDED(met, TRQ_WAS_EXPIRED);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(limits, who_becomes_due_and_meets_a_late_twin_waits_in_its_place)
{
    hold_queue();
    struct trq_job_id due = scene_put(&locked, 1, "k", NULL, TRQ_OPTS(.in = trq_hours(1)));
    struct trq_job_id late = put(&locked, 2, "k");
    leap(10);
    cr_assert_eq(trq_run_now(engine, due), TRQ_OK); /* and not TRQ_DUPLICATE */
    SCENE_ENDED(late, TRQ_WAS_EXPIRED);
    let_queue();
    drain(1);
    SCENE_RAN("1");
}

/* The end of the late one enqueues: what was reserved for the one that comes back must not be used up by it. As many times
 * as a chunk of timers has places, and more. */
static int more;
static void enqueue_more(void *host, const struct trq_event *event, const struct trq_error *why)
{
    scene_on_end(host, event, why);
    for (int i = 0; event->outcome == TRQ_WAS_EXPIRED && i < more; i++)
        FX_MUST(scene_try(&plain, 7, NULL, NULL, TRQ_OPTS(.in = trq_hours(5)), NULL) == TRQ_OK);
}
Test(limits, the_end_of_a_late_twin_may_enqueue)
{
    hold_queue();
    for (int round = 0; round < 40; round++) {
        struct trq_job_id due = scene_put(&locked, 1, "k", NULL, TRQ_OPTS(.in = trq_hours(1)));
        more = 1 + round % 8;
        struct trq_job_id late = scene_put(&locked, 2, "k", NULL, TRQ_OPTS(.on_end = enqueue_more));
        leap(10);
        cr_assert_eq(trq_run_now(engine, due), TRQ_OK);
        SCENE_ENDED(late, TRQ_WAS_EXPIRED);
        scene_check();
        advance(10, 0);
        SCENE_ENDED(due, TRQ_WAS_EXPIRED);
    }
}

/* ---- with a worker lock -------------------------------------------------------------------------------------------------- */

static void leap_over(struct trq_job *job)
{
    (void)job;
    leap(10);
}
Test(limits, a_job_that_is_asked_for_its_key_in_time_has_begun_in_time)
{
    when_asked = leap_over;
    struct trq_job_id id = scene_put(&roomy, 1, NULL, "r", NULL);
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(limits, a_job_with_a_lock_whose_time_is_over_is_not_asked_for_its_key)
{
    struct trq_job_id id = scene_put(&both, 1, "k", "r", NULL);
    leap(10);
    when_asked = leap_over;
    drain(0);
    SCENE_ENDED(id, TRQ_WAS_EXPIRED);
    cr_assert(when_asked != NULL);
    scene_put(&both, 2, "k", "r", NULL);
    when_asked = NULL;
    drain(1);
}

/* A duplicate comes while the function is asked. So it is asked again, and has another key by then. */
static void change_room(struct trq_job *job);
static void meet_duplicate(struct trq_job *job)
{
    (void)job;
    FX_MUST(scene_try(&both, 9, "k", "r", NULL, NULL) == TRQ_DUPLICATE);
    when_asked = change_room;
}
static void change_room(struct trq_job *job)
{
    (void)job;
    asked_room = *asked_room == 'a' ? "b" : "a";
    if (--more > 0)
        when_asked = meet_duplicate;
}
Test(limits, a_job_that_goes_back_to_its_place_keeps_its_span_and_leaves_no_timers)
{
    when_asked = meet_duplicate;
    asked_room = "a";
    more = 500;
    struct trq_job_id id = scene_put(&both, 1, "k", "r", NULL);
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    int64_t stale = (int64_t)tq_load(&engine->house.stale, relaxed);
    cr_assert_geq(stale + 8, (int64_t)timers(), "timers that nobody counts");
    asked_room = NULL;
}

/* ---- timers do not pile up ------------------------------------------------------------------------------------------------- */

Test(limits, timers_of_jobs_that_began_in_time_are_swept)
{
    uint64_t most = 0;
    for (int i = 0; i < 20000; i++) {
        scene_put(&plain, 7, NULL, NULL, TRQ_OPTS(.expires_in = trq_hours(24)));
        cr_assert_eq(trq_test_drain(engine), 1);
        uint64_t now = tq_load(&engine->house.timers, relaxed);
        most = now > most ? now : most;
    }
    cr_assert_lt(most, 4000, "%llu timers for no job", (unsigned long long)most);
    scene_forget();
    /* And requeued or retried ones, whose waits have a timer each. */
    scene.during = fails;
    const struct trq_retry at_once = {.size = sizeof at_once,
                                      .jitter = TRQ_JITTER_NONE,
                                      .list = (const struct trq_span[]){{0}},
                                      .list_count = 1,
                                      .retries = 20000};
    scene_put(&plain, 1, NULL, NULL, TRQ_OPTS(.expires_in = trq_hours(24), .retry = &at_once));
    for (int i = 0; i <= 20000; i++) {
        cr_assert_eq(trq_test_step(engine), 1);
        if (i % 64 == 0)
            cr_assert_lt(tq_load(&engine->house.timers, relaxed), 4000);
    }
    cr_assert_eq(scene_stats().jobs, 0);
}

/* ---- a deadline that is inherited -------------------------------------------------------------------------------------------- */

static struct trq_job_id child[8];
static struct trq_span left[8];
static enum trq_end beget(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    left[n] = trq_job_time_left(job);
    leap(1);
    if (n < 4)
        FX_MUST(scene_try(&plain, n + 1, NULL, NULL, TRQ_OPTS(.inherit_deadline = true),
                          &child[n + 1]) == TRQ_OK);
    return TRQ_DONE;
}
Test(limits, a_deadline_goes_down_through_the_generations)
{
    scene.during = beget;
    scene_put(&timed, 0, NULL, NULL, NULL); /* 5 s */
    drain(5);
    for (int n = 0; n < 5; n++)
        cr_assert_eq(left[n].ns, (5 - n) * second);
    SCENE_ENDED(child[4], TRQ_WAS_DONE);
    /* One generation more, and it is too late to begin. */
    scene_put(&timed, 0, NULL, NULL, TRQ_OPTS(.timeout = trq_seconds(3)));
    drain(3);
    SCENE_ENDED(child[3], TRQ_WAS_EXPIRED);
    cr_assert_eq(fx_stats(engine, "Plain").expired, 1);
}

static const struct trq_opts *child_opts;
static enum trq_end beget_one(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    left[n] = trq_job_time_left(job);
    if (n == 0)
        FX_MUST(scene_try(&brief, 1, NULL, NULL, child_opts, &child[1]) == TRQ_OK);
    return TRQ_DONE;
}
static void expect_left(const struct trq_worker *parent, struct trq_opts opts, int64_t wanted)
{
    child_opts = &opts;
    scene_put(parent, 0, NULL, NULL, NULL);
    drain(2);
    cr_assert_eq(left[1].ns, wanted, "%lld", (long long)left[1].ns);
}
Test(limits, of_all_its_limits_the_nearest_holds)
{
    scene.during = beget_one;
    expect_left(&timed, *TRQ_OPTS(.inherit_deadline = true), 5 * second);
    expect_left(&timed, *TRQ_OPTS(.inherit_deadline = true, .timeout = trq_seconds(2)), 2 * second);
    expect_left(&timed, *TRQ_OPTS(.inherit_deadline = true, .timeout = trq_seconds(9)), 5 * second);
    expect_left(&timed, *TRQ_OPTS(.timeout = trq_seconds(9)), 9 * second);
    expect_left(&timed, *TRQ_OPTS(.expires_in = trq_seconds(1)), INT64_MAX);
    expect_left(&plain, *TRQ_OPTS(.inherit_deadline = true), INT64_MAX); /* there is none */
    expect_left(&plain, *TRQ_OPTS(.timeout = trq_forever()), INT64_MAX);
}

static enum trq_end beget_later(struct trq_job *job)
{
    if (trq_job_get_i64(job, "n"))
        return TRQ_DONE;
    FX_MUST(scene_try(&brief, 1, NULL, NULL,
                      TRQ_OPTS(.inherit_deadline = true, .in = trq_seconds(3)),
                      &child[1]) == TRQ_OK);
    FX_MUST(scene_try(&brief, 2, NULL, NULL,
                      TRQ_OPTS(.inherit_deadline = true, .in = trq_seconds(8)),
                      &child[2]) == TRQ_OK);
    FX_MUST(scene_try(&brief, 3, NULL, NULL, TRQ_OPTS(.inherit_deadline = true), &child[3]) ==
            TRQ_OK);
    return TRQ_DONE;
}
Test(limits, what_is_begotten_for_later_ends_at_the_deadline_too)
{
    scene.during = beget_later;
    scene_put(&timed, 0, NULL, NULL, NULL);
    cr_assert_eq(trq_test_step(engine), 1);
    hold_queue();
    cr_assert_eq(scene_why(child[3]).limit.ns, trq_now(engine).ns + 5 * second);
    ends_at(child[1], 5, TRQ_WAS_EXPIRED);
    SCENE_ENDED(child[3], TRQ_WAS_EXPIRED);
    SCENE_NOT_ENDED(child[2]);
    let_queue();
    advance(3, 0); /* due, and over */
    SCENE_ENDED(child[2], TRQ_WAS_EXPIRED);
}

static enum trq_end beget_failing(struct trq_job *job)
{
    if (trq_job_get_i64(job, "n"))
        return trq_fail(job, "child");
    FX_MUST(scene_try(&plain, 1, NULL, NULL, TRQ_OPTS(.inherit_deadline = true), &child[1]) ==
            TRQ_OK);
    return TRQ_DONE;
}
Test(limits, a_retry_beyond_the_deadline_does_not_begin)
{
    scene.during = beget_failing;
    scene_put(&timed, 0, NULL, NULL, NULL);
    drain(2);
    SCENE_IS(child[1], TRQ_IS_SCHEDULED);
    advance(30, 0);
    SCENE_ENDED(child[1], TRQ_WAS_EXPIRED);
    cr_assert_str_eq(scene.text, "child");
}

Test(limits, outside_a_handler_there_is_nothing_to_inherit)
{
    hold_queue();
    struct trq_job_id id = scene_put(&plain, 1, NULL, NULL, TRQ_OPTS(.inherit_deadline = true));
    cr_assert_eq(scene_why(id).limit.ns, 0);
    let_queue();
    drain(1);
}

/* ---- runs that take too long ----------------------------------------------------------------------------------------------------- */

static int64_t spend;
static bool told[3];
static struct trq_span remains[3];
static enum trq_end spend_time(struct trq_job *job)
{
    told[0] = trq_job_should_stop(job);
    remains[0] = trq_job_time_left(job);
    leap(spend - 1);
    tq_store(&engine->virtual_mono, tq_load(&engine->virtual_mono, relaxed) + (uint64_t)second - 1,
             relaxed);
    told[1] = trq_job_should_stop(job);
    remains[1] = trq_job_time_left(job);
    tq_store(&engine->virtual_mono, tq_load(&engine->virtual_mono, relaxed) + 1, relaxed);
    told[2] = trq_job_should_stop(job);
    remains[2] = trq_job_time_left(job);
    return TRQ_DONE;
}
Test(limits, a_run_is_told_to_stop_at_its_time_and_not_before)
{
    scene.during = spend_time;
    spend = 5;
    struct trq_job_id id = put(&timed, 1, NULL);
    drain(1);
    cr_assert(!told[0] && !told[1] && told[2]);
    cr_assert(remains[0].ns == 5 * second && remains[1].ns == 1 && remains[2].ns == 0);
    SCENE_ENDED(id, TRQ_WAS_DONE); /* late as it is */
    cr_assert_eq(fx_stats(engine, "Timed").overran, 1);
    cr_assert_eq(scene_stats().stuck, 1);
    spend = 4;
    put(&timed, 1, NULL);
    drain(1);
    cr_assert(!told[2] && remains[2].ns == second);
    cr_assert_eq(fx_stats(engine, "Timed").overran, 1);
    spend = 4;
    scene_put(&timed, 1, NULL, NULL, TRQ_OPTS(.timeout = trq_seconds(3)));
    drain(1);
    cr_assert(told[2] && !told[0] && remains[2].ns == 0);
    cr_assert_eq(fx_stats(engine, "Timed").overran, 2);
    spend = 10000;
    put(&plain, 1, NULL);
    drain(1);
    cr_assert(!told[2] && remains[2].ns == INT64_MAX);
    cr_assert_eq(fx_stats(engine, "Plain").overran, 0);
    cr_assert_eq(scene_stats().stuck, 2);
}

static enum trq_end overrun_and_fail(struct trq_job *job)
{
    leap(6);
    return trq_job_should_stop(job) ? trq_fail(job, "out of time") : TRQ_DONE;
}
Test(limits, each_attempt_has_the_whole_time)
{
    scene.during = overrun_and_fail;
    struct trq_job_id id = put(&timed, 1, NULL);
    advance(100, 4);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_str_eq(scene.text, "out of time");
    cr_assert_eq(fx_stats(engine, "Timed").overran, 4);
    cr_assert_eq(scene_stats().stuck, 4);
}

/* The lock's function is not part of the run. */
static void ask_long(struct trq_job *job)
{
    FX_MUST(trq_job_time_left(job).ns == INT64_MAX);
    leap(7);
}
Test(limits, the_function_of_a_lock_does_not_count)
{
    when_asked = ask_long;
    scene_put(&roomy, 1, NULL, "r", TRQ_OPTS(.timeout = trq_seconds(5)));
    drain(1);
    cr_assert_eq(fx_stats(engine, "Roomy").overran, 0);
}

static enum trq_end be_cancelled(struct trq_job *job)
{
    FX_MUST(!trq_job_should_stop(job));
    FX_MUST(trq_cancel(engine, trq_job_self(job)) == TRQ_ASKED);
    FX_MUST(trq_job_should_stop(job));
    return trq_fail(job, "cancelled");
}
Test(limits, who_fails_after_a_cancel_is_cancelled)
{
    scene.during = be_cancelled;
    struct trq_job_id id = put(&timed, 1, NULL);
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    cr_assert_eq(fx_stats(engine, "Timed").retried, 0);
}

/* ---- other ways out -------------------------------------------------------------------------------------------------------------------- */

Test(limits, who_takes_a_place_has_his_own_span)
{
    hold_queue();
    struct trq_job_id old = put(&locked, 1, "k"), new;
    advance(6, 0);
    cr_assert_eq(scene_try(&locked, 2, "k", NULL, TRQ_OPTS(.on_conflict = TRQ_REPLACE), &new),
                 TRQ_REPLACED);
    SCENE_ENDED(old, TRQ_WAS_REPLACED);
    advance(4, 0);
    SCENE_NOT_ENDED(new);
    ends_at(new, 6, TRQ_WAS_EXPIRED);
    /* One without a span, into the place of one with. */
    old = put(&locked, 1, "k");
    cr_assert_eq(scene_try(&locked, 3, "k", NULL,
                           TRQ_OPTS(.on_conflict = TRQ_REPLACE, .expires_in = trq_forever()), &new),
                 TRQ_REPLACED);
    advance(1000, 0);
    SCENE_NOT_ENDED(new);
    let_queue();
    drain(1);
}

Test(limits, a_job_that_calms_has_its_span_from_its_due_time)
{
    hold_queue();
    struct trq_job_id id =
        scene_put(&held, 1, "k", NULL, TRQ_OPTS(.in = trq_seconds(5), .on_conflict = TRQ_DEBOUNCE));
    cr_assert_eq(scene_try(&held, 2, "k", NULL,
                           TRQ_OPTS(.in = trq_seconds(20), .on_conflict = TRQ_DEBOUNCE), NULL),
                 TRQ_DEBOUNCED);
    ends_at(id, 30, TRQ_WAS_EXPIRED);
}

Test(limits, cancelled_or_dropped_it_does_not_expire)
{
    hold_queue();
    struct trq_job_id a = put(&brief, 1, NULL), b = put(&brief, 2, NULL);
    cr_assert_eq(trq_cancel(engine, a), TRQ_OK);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    SCENE_ENDED(a, TRQ_WAS_CANCELLED);
    SCENE_ENDED(b, TRQ_WAS_DROPPED);
}

/* ---- with threads ----------------------------------------------------------------------------------------------------------------------- */

static _Atomic int64_t clock_ns;
static int64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}
static struct trq_stuck reports[16];
static int reported;
static void on_stuck(void *host, const struct trq_stuck *stuck)
{
    (void)host;
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_EINVAL);
    pthread_mutex_lock(&scene.mutex);
    if (reported < 16)
        reports[reported] = *stuck;
    reported++;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.mutex);
}
static void await_reports(int n)
{
    pthread_mutex_lock(&scene.mutex);
    const struct timespec most = {.tv_sec = time(NULL) + 50};
    while (reported < n)
        FX_MUST(pthread_cond_timedwait(&scene.changed, &scene.mutex, &most) == 0);
    pthread_mutex_unlock(&scene.mutex);
}
static void open_with_threads(int threads, struct trq_span stuck_after)
{
    static struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_clock};
    clock_ns = 1000 * second;
    engine = fx_start(FX_CONFIG(.threads = threads, .hooks = &hooks, .on_stuck = on_stuck,
                                .stuck_after = stuck_after),
                      &app);
}
TestSuite(limits_threads, .fini = scene_close);

static enum trq_end wait_to_be_told(struct trq_job *job)
{
    return trq_job_should_stop(job) ? trq_fail(job, "out of time") : TRQ_DONE;
}

Test(limits_threads, a_run_past_its_time_is_reported_once)
{
    open_with_threads(2, trq_ns(0));
    scene.during = wait_to_be_told;
    struct trq_job_id a = put(&timed, SCENE_HELD, NULL);
    scene_await_held(SCENE_HELD);
    clock_ns += 2 * second;
    struct trq_job_id b =
        scene_put(&timed, SCENE_HELD + 1, NULL, NULL, TRQ_OPTS(.timeout = trq_seconds(100)));
    scene_await_held(SCENE_HELD + 1);
    clock_ns += 4 * second;
    await_reports(1);
    cr_assert(trq_job_id_equal(reports[0].id, a));
    cr_assert_str_eq(reports[0].worker, "Timed");
    cr_assert_str_eq(reports[0].queue, "app_default");
    cr_assert_eq(reports[0].since.ns, 1000 * second);
    cr_assert_eq(reports[0].over.ns, second);
    cr_assert_eq(reports[0].thread, scene_why(a).thread);
    cr_assert_eq(scene_why(a).limit.ns, 1005 * second);
    /* Its next report would come before that of b. */
    clock_ns += 200 * second;
    await_reports(2);
    cr_assert(trq_job_id_equal(reports[1].id, b));
    cr_assert_eq(reports[1].over.ns, 104 * second);
    cr_assert_eq(scene_stats().stuck, 2);
    scene_let_go(SCENE_HELD + 1);
    scene_let_go(SCENE_HELD);
    FX_AWAIT(fx_stats(engine, "Timed").retried == 2);
    cr_assert_eq(fx_stats(engine, "Timed").overran, 2);
    cr_assert_eq(reported, 2);
    cr_assert_eq(trq_cancel_matching(engine, &timed, TRQ_DICT_NONE), 2);
    scene_settle(0);
}

Test(limits_threads, each_run_of_a_job_is_reported)
{
    open_with_threads(1, trq_ns(0));
    for (int i = 0; i < 5; i++) {
        put(&timed, SCENE_HELD + i, NULL);
        scene_await_held(SCENE_HELD + i);
        clock_ns += 5 * second;
        await_reports(i + 1);
        cr_assert_eq(reports[i].over.ns, 0);
        scene_let_go(SCENE_HELD + i);
        FX_AWAIT(fx_stats(engine, "Timed").done == (uint64_t)i + 1);
    }
    cr_assert_eq(scene_stats().stuck, 5);
    scene_settle(0);
}

Test(limits_threads, a_run_without_a_timeout_is_reported_after_what_the_host_says)
{
    open_with_threads(1, trq_seconds(10));
    scene.during = wait_to_be_told;
    struct trq_job_id id = put(&plain, SCENE_HELD, NULL);
    scene_await_held(SCENE_HELD);
    clock_ns += 15 * second; /* to within a half of it */
    await_reports(1);
    cr_assert(trq_job_id_equal(reports[0].id, id));
    cr_assert_eq(reports[0].over.ns, 5 * second);
    scene_let_go(SCENE_HELD);
    FX_AWAIT(fx_stats(engine, "Plain").done == 1); /* it was not told to stop */
    cr_assert_eq(fx_stats(engine, "Plain").overran, 0);
    scene_settle(0);
}

/* Others wait for the room that the first holds. */
Test(limits_threads, a_parked_job_expires_while_the_key_is_held)
{
    open_with_threads(3, trq_ns(0));
    scene_put(&roomy, SCENE_HELD, NULL, "r", NULL);
    scene_await_held(SCENE_HELD);
    struct trq_job_id a = scene_put(&roomy, 1, NULL, "r", NULL);
    struct trq_job_id b = scene_put(&both, 2, "k", "r", TRQ_OPTS(.expires_in = trq_seconds(30)));
    FX_AWAIT(scene_stats().parked == 2);
    SCENE_IS(a, TRQ_IS_PARKED);
    SCENE_IS(b, TRQ_IS_PARKED);
    cr_assert_eq(scene_try(&both, 3, "k", "r", NULL, NULL), TRQ_DUPLICATE);
    clock_ns += 10 * second;
    FX_AWAIT(scene_ends() == 1);
    SCENE_ENDED(a, TRQ_WAS_EXPIRED);
    SCENE_IS(b, TRQ_IS_PARKED);
    /* Who meets the other before its timer does, or after, finds it gone. */
    clock_ns += 20 * second;
    struct trq_job_id c;
    cr_assert_eq(scene_try(&both, 4, "k", "r", TRQ_OPTS(.on_conflict = TRQ_REPLACE), &c), TRQ_OK);
    FX_AWAIT(scene_ends() == 2);
    SCENE_ENDED(b, TRQ_WAS_EXPIRED);
    scene_let_go(SCENE_HELD);
    FX_AWAIT(scene_ends() == 4);
    SCENE_ENDED(c, TRQ_WAS_DONE);
    scene_settle(0);
}

Test(limits_threads, what_was_told_of_the_stop_and_fails_is_interrupted)
{
    open_with_threads(1, trq_ns(0));
    scene.during = wait_to_be_told;
    struct trq_job_id id = put(&plain, SCENE_HELD, NULL);
    scene_await_held(SCENE_HELD);
    struct trq_leftover left_over = {.size = sizeof left_over};
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left_over), TRQ_ETIMEOUT);
    cr_assert_eq(left_over.still_running, 1);
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left_over), TRQ_OK);
    SCENE_ENDED(id, TRQ_WAS_DROPPED);
    cr_assert_str_eq(scene.text, "out of time");
    struct trq_worker_stats s = fx_stats(engine, "Plain");
    cr_assert(s.interrupted == 1 && s.retried == 0 && s.dead == 0 && s.failed == 1);
}

/* ---- a stop in the midst -------------------------------------------------------------------------------------------------------------------- */

/* The clock is read between the two looks at a twin that may be late: at that moment the engine is stopped. */
static atomic_bool stop_when_read;
static pthread_t stopper;
static void *stop_engine(void *arg)
{
    (void)arg;
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    return NULL;
}
static int64_t read_and_stop(void *context)
{
    (void)context;
    if (stop_when_read && pthread_self() != stopper) {
        stop_when_read = false;
        FX_MUST(pthread_create(&stopper, NULL, stop_engine, NULL) == 0);
        FX_AWAIT(!tq_is_open(engine));
        pthread_mutex_lock(&engine->stopping); /* the queues are closed under it */
        pthread_mutex_unlock(&engine->stopping);
    }
    return clock_ns;
}
Test(limits_threads, who_meets_a_late_twin_as_the_engine_stops_ends_it)
{
    static struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_and_stop};
    clock_ns = 1000 * second;
    engine = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &hooks), &app);
    hold_queue();
    struct trq_job_id late = put(&locked, 1, "k");
    clock_ns += 10 * second;
    stop_when_read = true;
    cr_assert_eq(scene_try(&locked, 2, "k", NULL, NULL, NULL), TRQ_ESTOPPED);
    FX_MUST(pthread_join(stopper, NULL) == 0);
    SCENE_ENDED(late, TRQ_WAS_EXPIRED);
    cr_assert_eq(scene.ends, 1);
}
