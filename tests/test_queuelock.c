/* Rules 4.1 to 4.8: while a job waits, another with its key is not queued. The table of docs/SEMANTICS.md, cell by cell. */
#include <math.h>

#include "scene.h"

#define ON_KEY                                                                                     \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "key", NULL                                                                                \
    }

static const struct trq_lock on_key = {ON_KEY};
static const struct trq_worker one = {SCENE_WORKER("One"), .queue_lock = &on_key};
static const struct trq_worker plain = {SCENE_WORKER("Plain")};

/* Guests and cousins have a name space in common. Their worker lock asks its function, in which a test may act. */
static void (*when_asked)(struct trq_job *job);
static int asks;
static enum trq_end room_key(struct trq_job *job, struct trq_key *key)
{
    asks++;
    void (*act)(struct trq_job *) = when_asked;
    when_asked = NULL;
    if (act)
        act(job);
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}
static const struct trq_lock from_start = {ON_KEY, .space = "family", .scope = TRQ_FROM_SCHEDULING};
static const struct trq_lock in_room = {.size = sizeof in_room, .space = "rooms", .key = room_key};
static const struct trq_worker guest = {SCENE_WORKER("Guest"), .queue_lock = &from_start,
                                        .worker_lock = &in_room};
static const struct trq_worker cousin = {SCENE_WORKER("Cousin"), .queue_lock = &from_start,
                                         .worker_lock = &in_room};

static enum trq_end (*key_function)(struct trq_job *job, struct trq_key *key);
static enum trq_end any_key(struct trq_job *job, struct trq_key *key)
{
    return key_function(job, key);
}
static const struct trq_lock by_function = {.size = sizeof by_function, .key = any_key};
static const struct trq_worker asked = {SCENE_WORKER("Asked"), .queue_lock = &by_function};

static const struct trq_lock on_all = {.size = sizeof on_all, .all = true};
static const struct trq_worker whole = {SCENE_WORKER("Whole"), .queue_lock = &on_all};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&one, &plain, &guest, &cousin, &asked, &whole),
};

static void set_up(void)
{
    scene_open(&app);
}
TestSuite(queuelock, .init = set_up, .fini = scene_close);

static const struct trq_span hour = {INT64_C(3600000000000)};

static void pause_queue(void)
{
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
}
static void resume_queue(void)
{
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
}
static void drain(int runs)
{
    cr_assert_eq(trq_test_drain(engine), runs);
}
static void advance(struct trq_span span, int runs)
{
    cr_assert_eq(trq_test_advance(engine, span), runs);
}
static int64_t from_now(struct trq_span span)
{
    return trq_wall_add(trq_now(engine), span).ns;
}

/* ---- the table ---------------------------------------------------------------------------------------------------------- */

enum twin { READY, STARTING, SCHEDULED, PARKED };

struct cell {
    enum twin twin;
    enum trq_on_conflict rule;
    bool later;        /* in two hours; a scheduled twin is due in one */
    const char *queue; /* of the new one; the twin is in default */
    int code;
    const char *order; /* of the runs: 1, twin 2, 3, all in default; the new one is 9 */
};

/* What the newcomer, n 9, was answered. */
static const struct cell *now;
static int code;
static struct trq_job_id answered, twin;
static const struct trq_worker *newcomer;

static void come(struct trq_job *job)
{
    if (job && trq_job_get_i64(job, "n") != 2)
        return;
    answered = (struct trq_job_id){0, 0};
    code = scene_try(newcomer, 9, "k", "other",
                     TRQ_OPTS(.on_conflict = now->rule, .in = now->later ? trq_hours(2) : trq_ns(0),
                              .queue = now->queue),
                     &answered);
}

/* Answer, ends, ids and counters agree. */
static void judge(const struct trq_worker_stats *before)
{
    struct trq_worker_stats s = fx_stats(engine, NULL);
    cr_assert_eq(code, now->code, "%s", trq_code_name(code));
    bool replaced = code == TRQ_REPLACED;
    cr_assert_eq(s.enqueued - before->enqueued, replaced);
    cr_assert_eq(s.replaced - before->replaced, replaced);
    cr_assert_eq(s.duplicates - before->duplicates, !replaced);
    cr_assert_eq(s.debounced - before->debounced, code == TRQ_DEBOUNCED);
    cr_assert_eq(trq_job_id_equal(answered, twin), !replaced);
    if (!replaced)
        return;
    struct trq_event event = scene_end_of(twin);
    cr_assert_eq(event.outcome, TRQ_WAS_REPLACED);
    cr_assert(trq_job_id_equal(event.other, answered));
    cr_assert_eq(event.attempts, 0);
    if (now->twin != PARKED) /* there another thread may have run it by now */
        SCENE_NOT_ENDED(answered);
}

static void try_cell(const struct cell *cell)
{
    scene_open(&app);
    scene_forget();
    now = cell;
    scene_put(&plain, 1, NULL, NULL, NULL);
    twin = scene_put(&guest, 2, "k", "room",
                     TRQ_OPTS(.in = cell->twin == SCHEDULED ? hour : trq_ns(0)));
    scene_put(&plain, 3, NULL, NULL, NULL);
    struct trq_worker_stats before = fx_stats(engine, NULL);
    if (cell->twin == STARTING) {
        when_asked = come;
        drain(3);
    } else {
        come(NULL);
        SCENE_IS(answered, cell->later && code == TRQ_REPLACED               ? TRQ_IS_SCHEDULED
                           : cell->twin == SCHEDULED && code != TRQ_REPLACED ? TRQ_IS_SCHEDULED
                                                                             : TRQ_IS_READY);
        if (cell->later && (code == TRQ_REPLACED || code == TRQ_DEBOUNCED))
            cr_assert_eq(scene_why(answered).due.ns, from_now(trq_hours(2)));
    }
    judge(&before);
    scene_check();
    cr_assert_geq(trq_test_advance(engine, trq_hours(3)), 0);
    SCENE_RAN(cell->order);
    if (code != TRQ_REPLACED)
        SCENE_ENDED(twin, TRQ_WAS_DONE);
    scene_close();
}

static void try_cells(const struct cell *cells, size_t count)
{
    static const struct trq_worker *const newcomers[] = {&guest, &cousin};
    for (size_t i = 0; i < count; i++)
        for (int k = 0; k < 2; k++) {
            newcomer = newcomers[k];
            try_cell(&cells[i]);
        }
}
#define TRY(...)                                                                                   \
    do {                                                                                           \
        const struct cell cells_[] = {__VA_ARGS__};                                                \
        try_cells(cells_, sizeof cells_ / sizeof *cells_);                                         \
    } while (0)

Test(table, keep_answers_duplicate_whatever_the_twin_waits_for)
{
    TRY({READY, TRQ_KEEP, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_KEEP, true, NULL, TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_KEEP, false, "high", TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_KEEP, true, "low", TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_AS_DECLARED, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_KEEP, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_KEEP, true, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_KEEP, false, "high", TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_KEEP, true, "low", TRQ_DUPLICATE, "1 2 3"},
        {SCHEDULED, TRQ_KEEP, false, NULL, TRQ_DUPLICATE, "1 3 2"},
        {SCHEDULED, TRQ_KEEP, true, NULL, TRQ_DUPLICATE, "1 3 2"},
        {SCHEDULED, TRQ_KEEP, false, "high", TRQ_DUPLICATE, "1 3 2"},
        {SCHEDULED, TRQ_KEEP, true, "low", TRQ_DUPLICATE, "1 3 2"});
}

Test(table, replace_takes_the_place_of_a_ready_twin_in_its_queue)
{
    TRY({READY, TRQ_REPLACE, false, NULL, TRQ_REPLACED, "1 9 3"},
        {READY, TRQ_REPLACE, false, "default", TRQ_REPLACED, "1 9 3"});
}

Test(table, replace_from_another_queue_goes_to_the_end_of_that)
{
    TRY({READY, TRQ_REPLACE, false, "high", TRQ_REPLACED, "9 1 3"},
        {READY, TRQ_REPLACE, false, "low", TRQ_REPLACED, "1 3 9"},
        {SCHEDULED, TRQ_REPLACE, false, "high", TRQ_REPLACED, "9 1 3"},
        {SCHEDULED, TRQ_REPLACE, false, "low", TRQ_REPLACED, "1 3 9"});
}

Test(table, replace_by_a_later_one_is_due_at_its_own_time)
{
    TRY({READY, TRQ_REPLACE, true, NULL, TRQ_REPLACED, "1 3 9"},
        {READY, TRQ_REPLACE, true, "high", TRQ_REPLACED, "1 3 9"},
        {SCHEDULED, TRQ_REPLACE, true, NULL, TRQ_REPLACED, "1 3 9"},
        {SCHEDULED, TRQ_REPLACE, true, "low", TRQ_REPLACED, "1 3 9"});
}

Test(table, replace_of_a_scheduled_twin_by_one_for_now_is_ready_at_the_end)
{
    TRY({SCHEDULED, TRQ_REPLACE, false, NULL, TRQ_REPLACED, "1 3 9"});
}

Test(table, a_twin_that_is_just_starting_is_not_replaced_any_more)
{
    TRY({STARTING, TRQ_REPLACE, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_REPLACE, true, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_REPLACE, false, "high", TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_REPLACE, true, "low", TRQ_DUPLICATE, "1 2 3"});
}

Test(table, debounce_moves_a_scheduled_twin_and_nothing_else)
{
    TRY({READY, TRQ_DEBOUNCE, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_DEBOUNCE, true, NULL, TRQ_DUPLICATE, "1 2 3"},
        {READY, TRQ_DEBOUNCE, true, "high", TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_DEBOUNCE, false, NULL, TRQ_DUPLICATE, "1 2 3"},
        {STARTING, TRQ_DEBOUNCE, true, NULL, TRQ_DUPLICATE, "1 2 3"},
        {SCHEDULED, TRQ_DEBOUNCE, false, NULL, TRQ_DUPLICATE, "1 3 2"},
        {SCHEDULED, TRQ_DEBOUNCE, true, NULL, TRQ_DEBOUNCED, "1 3 2"},
        {SCHEDULED, TRQ_DEBOUNCE, true, "high", TRQ_DEBOUNCED, "1 3 2"});
}

/* One thread is kept by the holder of the room, the other does what there is. */
static void try_parked(const struct cell *cell)
{
    scene_open_threads(&app, 2);
    scene_forget();
    memset(scene.arrived, 0, sizeof scene.arrived);
    memset(scene.may_go, 0, sizeof scene.may_go);
    now = cell;
    struct trq_job_id holder = scene_put(&guest, SCENE_HELD, "holder's", "room", NULL);
    scene_await_held(SCENE_HELD);
    twin = scene_put(&guest, 2, "k", "room", NULL);
    FX_AWAIT(scene_why(twin).state == TRQ_IS_PARKED);
    scene_settle(1);
    pause_queue();
    scene_put(&plain, 3, NULL, NULL, NULL);
    struct trq_worker_stats before = fx_stats(engine, NULL);
    come(NULL);
    judge(&before);
    scene_check();
    bool replaced = code == TRQ_REPLACED;
    cr_assert_eq(scene_stats().parked, !replaced);
    if (replaced && cell->later) {
        SCENE_IS(answered, TRQ_IS_SCHEDULED);
        cr_assert_eq(trq_cancel(engine, answered), TRQ_OK);
    } else if (replaced && !cell->queue) {
        SCENE_IS(answered, TRQ_IS_PAUSED);
        cr_assert_eq(scene_why(answered).ahead, 0, "at the twin's place");
    } else if (replaced) {
        FX_AWAIT(scene_end_of(answered).outcome == TRQ_WAS_DONE);
    }
    resume_queue();
    FX_AWAIT(scene_ends() >= 1 + replaced + (replaced && (cell->later || cell->queue)));
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    SCENE_ENDED(holder, TRQ_WAS_DONE);
    SCENE_ENDED(twin, replaced ? TRQ_WAS_REPLACED : TRQ_WAS_DONE);
    if (replaced && !cell->later && !cell->queue)
        SCENE_RAN("1000 9 3");
    scene_settle(0);
    scene_close();
}

Test(table, a_parked_twin_keeps_its_lock)
{
    static const struct cell cells[] = {
        {PARKED, TRQ_KEEP, false, NULL, TRQ_DUPLICATE, NULL},
        {PARKED, TRQ_KEEP, true, NULL, TRQ_DUPLICATE, NULL},
        {PARKED, TRQ_KEEP, false, "high", TRQ_DUPLICATE, NULL},
        {PARKED, TRQ_DEBOUNCE, false, NULL, TRQ_DUPLICATE, NULL},
        {PARKED, TRQ_DEBOUNCE, true, NULL, TRQ_DUPLICATE, NULL},
        {PARKED, TRQ_DEBOUNCE, true, "low", TRQ_DUPLICATE, NULL},
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        newcomer = i % 2 ? &guest : &cousin;
        try_parked(&cells[i]);
    }
}

Test(table, a_parked_twin_is_replaced_at_the_front_or_at_the_end_of_another_queue_or_later)
{
    static const struct cell cells[] = {
        {PARKED, TRQ_REPLACE, false, NULL, TRQ_REPLACED, NULL},
        {PARKED, TRQ_REPLACE, false, "high", TRQ_REPLACED, NULL},
        {PARKED, TRQ_REPLACE, false, "low", TRQ_REPLACED, NULL},
        {PARKED, TRQ_REPLACE, true, NULL, TRQ_REPLACED, NULL},
        {PARKED, TRQ_REPLACE, true, "high", TRQ_REPLACED, NULL},
    };
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        for (int k = 0; k < 2; k++) {
            newcomer = k ? &guest : &cousin;
            try_parked(&cells[i]);
        }
}

/* ---- debounce ----------------------------------------------------------------------------------------------------------------- */

static struct trq_lock debounce = {ON_KEY, .space = "calm", .on_conflict = TRQ_DEBOUNCE,
                                   .max_wait = {INT64_C(5400000000000)}};

static int debounce_in(struct trq_span in, struct trq_job_id *out_id)
{
    return scene_try(&plain, 1, "k", NULL, TRQ_OPTS(.queue_lock = &debounce, .in = in), out_id);
}

Test(queuelock, a_debounce_is_bounded_by_max_wait_after_the_first_call)
{
    struct trq_job_id id, other;
    cr_assert_eq(debounce_in(hour, &id), TRQ_OK);
    int64_t first = trq_now(engine).ns;
    advance(trq_minutes(10), 0);
    cr_assert_eq(debounce_in(hour, &other), TRQ_DEBOUNCED);
    cr_assert_eq(scene_why(id).due.ns, first + trq_minutes(70).ns);
    advance(trq_minutes(30), 0);
    cr_assert_eq(debounce_in(hour, &other), TRQ_DEBOUNCED);
    cr_assert_eq(scene_why(id).due.ns, first + trq_minutes(90).ns, "the bound");
    advance(trq_minutes(30), 0);
    cr_assert_eq(debounce_in(hour, &other), TRQ_DUPLICATE, "it is not later any more");
    cr_assert(trq_job_id_equal(id, other));
    advance(trq_ns(trq_minutes(20).ns - 1), 0);
    advance(trq_ns(1), 1);
    cr_assert_eq(debounce_in(hour, &id), TRQ_OK, "and then a new one begins");
}

Test(queuelock, a_debounce_to_an_earlier_time_changes_nothing)
{
    struct trq_job_id id, other;
    cr_assert_eq(debounce_in(hour, &id), TRQ_OK);
    int64_t due = scene_why(id).due.ns;
    cr_assert_eq(debounce_in(trq_minutes(59), &other), TRQ_DUPLICATE);
    cr_assert_eq(debounce_in(hour, &other), TRQ_DUPLICATE, "the same time is not later");
    cr_assert_eq(scene_why(id).due.ns, due);
    debounce.max_wait.ns =
        trq_minutes(30).ns; /* that of the call counts: it was due later before */
    cr_assert_eq(debounce_in(trq_hours(2), &other), TRQ_DUPLICATE);
    cr_assert_eq(scene_why(id).due.ns, due, "a bound moves nothing to earlier");
    debounce.max_wait.ns = 0;
    cr_assert_eq(debounce_in(trq_hours(9000), &other), TRQ_DEBOUNCED, "no bound");
    cr_assert_eq(debounce_in(trq_forever(), &other), TRQ_DEBOUNCED);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
}

Test(queuelock, a_debounce_by_the_other_clock_is_the_same_moment)
{
    struct trq_job_id id, other;
    debounce.max_wait.ns = 0;
    cr_assert_eq(debounce_in(hour, &id), TRQ_OK);
    int64_t due = from_now(trq_hours(2));
    cr_assert_eq(
        scene_try(&plain, 1, "k", NULL, TRQ_OPTS(.queue_lock = &debounce, .at = {due}), &other),
        TRQ_DEBOUNCED);
    cr_assert_eq(scene_why(id).due.ns, due);
    advance(trq_ns(trq_hours(2).ns - 1), 0);
    advance(trq_ns(1), 1);
}

/* ---- no lost change ------------------------------------------------------------------------------------------------------------ */

static int truth, seen, answer;
static struct trq_job_id second;

static enum trq_end sees_and_is_told(struct trq_job *job)
{
    seen = truth;
    if (trq_job_get_i64(job, "n") == 1) {
        truth++; /* somebody changes it, and says so */
        answer = scene_try(&one, 2, "k", NULL, NULL, &second);
    }
    return TRQ_DONE;
}

Test(queuelock, a_change_during_the_run_is_queued_anew)
{
    scene.during = sees_and_is_told;
    truth = 1;
    scene_put(&one, 1, "k", NULL, NULL);
    cr_assert_eq(scene_try(&one, 5, "k", NULL, NULL, NULL), TRQ_DUPLICATE);
    drain(2);
    SCENE_RAN("1 2");
    cr_assert_eq(answer, TRQ_OK);
    cr_assert_eq(seen, truth);
}

static int looked_up;
static void looks_up(struct trq_job *job)
{
    (void)job;
    looked_up = truth;
    truth++;
    answer = scene_try(&guest, 3, "k", "room", NULL, &second);
}
static void looks_up_again(struct trq_job *job)
{
    looks_up(job);
    when_asked = NULL;
}
static enum trq_end sees(struct trq_job *job)
{
    (void)job;
    seen = truth;
    return TRQ_DONE;
}

Test(queuelock, a_function_that_looked_before_a_duplicate_was_answered_is_asked_again)
{
    scene.during = sees;
    when_asked = looks_up_again;
    asks = 0;
    struct trq_job_id id = scene_put(&guest, 1, "k", "room", NULL);
    drain(1);
    cr_assert_eq(answer, TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(id, second));
    cr_assert_eq(asks, 2);
    cr_assert_eq(seen, truth);
}

/* ---- coming back --------------------------------------------------------------------------------------------------------------- */

static void merged(struct trq_job_id id, struct trq_job_id into, int attempts)
{
    struct trq_event event = scene_end_of(id);
    cr_assert_eq(event.outcome, TRQ_WAS_MERGED);
    cr_assert(trq_job_id_equal(event.other, into));
    cr_assert_eq(event.attempts, attempts);
}

Test(queuelock, a_job_that_becomes_due_is_merged_into_the_one_that_waits)
{
    struct trq_job_id later = scene_put(&one, 1, "k", NULL, TRQ_OPTS(.in = hour));
    pause_queue();
    struct trq_job_id waits = scene_put(&one, 2, "k", NULL, NULL);
    advance(trq_ns(hour.ns - 1), 0);
    SCENE_NOT_ENDED(later);
    advance(trq_us(1), 0);
    merged(later, waits, 0);
    SCENE_IS(waits, TRQ_IS_PAUSED);
    resume_queue();
    drain(1);
    SCENE_RAN("2");
    cr_assert_eq(fx_stats(engine, "One").merged, 1);
}

Test(queuelock, run_now_is_merged_and_says_duplicate)
{
    struct trq_job_id later = scene_put(&one, 1, "k", NULL, TRQ_OPTS(.in = hour)),
                      more = scene_put(&one, 3, "k", NULL, TRQ_OPTS(.in = hour)),
                      waits = scene_put(&one, 2, "k", NULL, NULL);
    cr_assert_eq(trq_run_now(engine, later), TRQ_DUPLICATE);
    merged(later, waits, 0);
    cr_assert_eq(trq_run_now(engine, later), TRQ_GONE);
    cr_assert_eq(trq_run_now_matching(engine, &one, TRQ_DICT_NONE), 0);
    merged(more, waits, 0);
    drain(1);
    struct trq_job_id last = scene_put(&one, 4, "k", NULL, TRQ_OPTS(.in = hour));
    cr_assert_eq(trq_run_now(engine, last), TRQ_OK);
    cr_assert_eq(scene_try(&one, 5, "k", NULL, NULL, NULL), TRQ_DUPLICATE);
    drain(1);
}

static struct trq_span back_in;
static int back_times;
static enum trq_end is_overtaken(struct trq_job *job)
{
    if (back_times == 0)
        return TRQ_DONE;
    back_times--;
    second = scene_put(trq_job_worker(job), trq_job_get_i64(job, "n") + 1, "k", NULL, NULL);
    return trq_requeue_in(job, back_in);
}

Test(queuelock, a_requeued_job_is_merged_and_the_larger_count_stays)
{
    scene.during = is_overtaken;
    back_times = 1;
    struct trq_job_id id = scene_put(&one, 1, "k", NULL, NULL);
    drain(2);
    merged(id, second, 1);
    cr_assert_eq(scene_end_of(second).attempts, 2, "it goes on counting");
}

Test(queuelock, however_often_a_key_is_overtaken_the_count_goes_on)
{
    scene.during = is_overtaken;
    back_times = 50;
    scene_put(&one, 1, "k", NULL, NULL);
    drain(51);
    cr_assert_eq(scene_end_of(second).attempts, 51);
    cr_assert_eq(fx_stats(engine, "One").merged, 50);
}

Test(queuelock, a_job_requeued_for_later_asks_when_it_is_due)
{
    scene.during = is_overtaken;
    back_times = 1;
    back_in = hour;
    struct trq_job_id id = scene_put(&one, 1, "k", NULL, NULL);
    drain(2);
    SCENE_IS(id, TRQ_IS_SCHEDULED);
    pause_queue();
    struct trq_job_id third = scene_put(&one, 7, "k", NULL, NULL);
    advance(hour, 0);
    merged(id, third, 1);
    resume_queue();
    drain(1);
    cr_assert_eq(scene_end_of(third).attempts, 2);
    back_in.ns = 0;
}

Test(queuelock, a_job_requeued_for_later_that_holds_from_scheduling_asks_at_once)
{
    scene.during = is_overtaken;
    back_times = 1;
    back_in = hour;
    struct trq_job_id id = scene_put(&guest, 1, "k", NULL, NULL);
    drain(2);
    merged(id, second, 1);
    back_times = 0;
    scene.during = NULL;
    back_in.ns = 0;
}

static enum trq_end again_in_an_hour(struct trq_job *job)
{
    scene.during = NULL;
    return trq_requeue_in(job, hour);
}

Test(queuelock, a_job_requeued_for_later_holds_it_by_the_same_scope)
{
    scene.during = again_in_an_hour;
    struct trq_job_id id = scene_put(&guest, 1, "k", NULL, NULL), other;
    drain(1);
    cr_assert_eq(scene_try(&guest, 2, "k", NULL, NULL, &other), TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(id, other));
    scene.during = again_in_an_hour;
    id = scene_put(&one, 1, "k", NULL, NULL);
    drain(1);
    second = scene_put(&one, 2, "k", NULL, NULL);
    cr_assert_eq(trq_run_now(engine, id), TRQ_DUPLICATE);
    merged(id, second, 1);
    drain(1);
    advance(hour, 1);
}

Test(queuelock, a_job_that_becomes_due_is_merged_into_one_that_is_scheduled_with_the_lock)
{
    const struct trq_lock when_due = {ON_KEY, .space = "family"};
    struct trq_job_id due =
        scene_put(&plain, 1, "k", NULL, TRQ_OPTS(.queue_lock = &when_due, .in = hour));
    struct trq_job_id holds = scene_put(&guest, 2, "k", NULL, TRQ_OPTS(.in = trq_hours(2)));
    advance(hour, 0);
    merged(due, holds, 0);
    advance(hour, 1);
    SCENE_RAN("2");
}

/* ---- every way out gives it back -------------------------------------------------------------------------------------------------- */

static enum trq_end by_n(struct trq_job *job)
{
    switch (trq_job_get_i64(job, "n")) {
    case TRQ_SKIP:
        return TRQ_SKIP;
    case TRQ_FAILED:
        return trq_fail(job, "no");
    case TRQ_DISCARDED:
        return trq_discard(job, "never");
    case 99:
        return (enum trq_end)99;
    default:
        return TRQ_DONE;
    }
}
static bool locked(void)
{
    return trq_test_locked(engine, &one, TRQ_DICT(TRQ_KV("key", "k"), TRQ_KV("n", 5)));
}

Test(queuelock, however_a_run_ends_the_lock_is_free)
{
    static const int64_t ends[] = {TRQ_DONE, TRQ_SKIP, TRQ_FAILED, TRQ_DISCARDED, 99};
    scene.during = by_n;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        cr_assert_not(locked());
        scene_put(&one, ends[i], "k", NULL, NULL);
        cr_assert(locked());
        cr_assert_not(trq_test_locked(engine, &one, TRQ_DICT(TRQ_KV("key", "other"))));
        drain(1);
    }
    cr_assert_not(locked());
}

Test(queuelock, a_cancel_frees_it_at_once)
{
    struct trq_job_id id = scene_put(&one, 1, "k", NULL, NULL);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    cr_assert_not(locked());
    id = scene_put(&guest, 1, "k", NULL, TRQ_OPTS(.in = hour));
    cr_assert_eq(scene_try(&cousin, 1, "k", NULL, NULL, NULL), TRQ_DUPLICATE);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    id = scene_put(&cousin, 1, "k", NULL, NULL);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    scene_put(&guest, 2, "k", NULL, NULL);
    drain(1);
    SCENE_RAN("2");
}

static void cancels(struct trq_job *job)
{
    cr_assert_eq(trq_cancel(engine, trq_job_self(job)), TRQ_ASKED);
}

Test(queuelock, a_cancel_while_the_function_is_asked_frees_it)
{
    when_asked = cancels;
    struct trq_job_id id = scene_put(&guest, 1, "k", "room", NULL);
    drain(0);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    SCENE_RAN("");
    scene_put(&guest, 2, "k", "room", NULL);
    drain(1);
}

Test(queuelock, a_cancel_of_a_parked_job_frees_both_its_locks)
{
    scene_close();
    scene_open_threads(&app, 2);
    scene_put(&guest, SCENE_HELD, "h", "room", NULL);
    scene_await_held(SCENE_HELD);
    for (int i = 0; i < 5; i++) {
        struct trq_job_id id = scene_put(&guest, 1, "k", "room", NULL);
        FX_AWAIT(scene_why(id).state == TRQ_IS_PARKED);
        cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
        SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    }
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    SCENE_RAN("1000");
    scene_settle(0);
}

Test(queuelock, a_stop_ends_all_that_hold_one)
{
    struct trq_job_id ready = scene_put(&one, 1, "a", NULL, NULL),
                      later = scene_put(&one, 1, "a", NULL, TRQ_OPTS(.in = hour)),
                      held = scene_put(&guest, 1, "b", NULL, TRQ_OPTS(.in = hour));
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_OK);
    SCENE_ENDED(ready, TRQ_WAS_DROPPED);
    SCENE_ENDED(later, TRQ_WAS_DROPPED);
    SCENE_ENDED(held, TRQ_WAS_DROPPED);
    cr_assert_eq(scene_try(&one, 1, "a", NULL, NULL, NULL), TRQ_ESTOPPED);
}

/* A chain of replacements, with user code that replaces again at each end. */
static int chain;
static void replaces_again(void *host, const struct trq_event *event, const struct trq_error *why)
{
    scene_on_end(host, event, why);
    if (event->outcome == TRQ_WAS_REPLACED && chain-- > 0)
        cr_assert_eq(scene_try(&one, chain, "k", NULL,
                               TRQ_OPTS(.on_conflict = TRQ_REPLACE, .on_end = replaces_again),
                               NULL),
                     TRQ_REPLACED);
}

Test(queuelock, who_is_told_of_a_replacement_may_replace_in_turn)
{
    chain = 20;
    scene_put(&one, 100, "k", NULL, TRQ_OPTS(.on_end = replaces_again));
    cr_assert_eq(scene_try(&one, 101, "k", NULL,
                           TRQ_OPTS(.on_conflict = TRQ_REPLACE, .on_end = replaces_again), NULL),
                 TRQ_REPLACED);
    drain(1);
    cr_assert_eq(scene.ends, 22);
    SCENE_RAN("0");
}

Test(queuelock, a_replaced_job_keeps_no_room)
{
    scene_put(&one, 0, "k", NULL, NULL);
    for (int i = 1; i < 30000; i++)
        cr_assert_eq(
            scene_try(&one, i, "k", NULL,
                      TRQ_OPTS(.on_conflict = TRQ_REPLACE, .queue = i % 2 ? "low" : "default"),
                      NULL),
            TRQ_REPLACED);
    cr_assert_eq(scene_stats().jobs, 1);
    drain(1);
    SCENE_RAN("29999");
}

/* ---- the lock of a call --------------------------------------------------------------------------------------------------------- */

Test(queuelock, the_lock_of_a_call_is_read_during_the_call)
{
    struct trq_job_id first;
    {
        char name[8] = "key", space[16] = "mine";
        const char *names[2] = {name, NULL};
        struct trq_lock lock = {.size = sizeof lock, .inputs = names, .space = space};
        struct trq_opts opts = trq_opts_init();
        opts.queue_lock = &lock;
        first = scene_put(&one, 1, "k", NULL, &opts);
        memset(name, 'x', sizeof name);
        memset(space, 'x', sizeof space);
        memset(&lock, 0x5A, sizeof lock);
        memset(&opts, 0x5A, sizeof opts);
        memset(names, 0x5A, sizeof names);
    }
    struct trq_job_id other;
    struct trq_lock same = {ON_KEY, .space = "mine"};
    cr_assert_eq(scene_try(&plain, 2, "k", NULL, TRQ_OPTS(.queue_lock = &same), &other),
                 TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(first, other));
    cr_assert_not(locked(), "instead of the worker's");
    scene_put(&one, 3, "k", NULL, NULL);
    drain(2);
}

Test(queuelock, name_spaces_keep_keys_apart)
{
    struct trq_lock a = {ON_KEY, .space = "a"}, none = {ON_KEY};
    scene_put(&plain, 1, "k", NULL, TRQ_OPTS(.queue_lock = &a));
    scene_put(&plain, 2, "k", NULL, TRQ_OPTS(.queue_lock = &none));
    scene_put(&one, 3, "k", NULL, NULL);
    scene_put(&one, 4, "l", NULL, NULL);
    none.space = "Plain";
    cr_assert_eq(scene_try(&one, 5, "k", NULL, TRQ_OPTS(.queue_lock = &none), NULL), TRQ_DUPLICATE,
                 "the worker's name is its space");
    drain(4);
}

Test(queuelock, a_lock_of_a_call_may_name_an_input_that_is_given_and_no_other)
{
    struct trq_lock lock = {.size = sizeof lock, .inputs = (const char *const[]){"more", NULL}};
    const struct trq_opts *opts = TRQ_OPTS(.queue_lock = &lock, .error = &error);
    struct trq_kv kv[] = {TRQ_KV("more", 1)};
    cr_assert_eq(trq_enqueue(engine, &plain, (struct trq_dict){kv, 1}, opts, NULL), TRQ_OK);
    cr_assert_eq(trq_enqueue(engine, &plain, (struct trq_dict){kv, 1}, opts, NULL), TRQ_DUPLICATE);
    cr_assert_eq(trq_enqueue(engine, &plain, TRQ_DICT_NONE, opts, NULL), TRQ_EINPUT);
    cr_assert_str_eq(error.text,
                     "Plain: input more, which a lock names, is neither declared nor given");
    drain(1);
}

/* ---- many ------------------------------------------------------------------------------------------------------------------------- */

enum { MANY = 600 };
static struct scene_worker_in ins[MANY];
static struct trq_job_id ids[MANY];
static int codes[MANY];

static int put_many(const struct trq_worker *worker, size_t count, int keys, struct trq_opts opts)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};
    for (size_t i = 0; i < count; i++)
        ins[i] =
            (struct scene_worker_in){(int64_t)i, trq_str_of(names[i % (unsigned)keys]), {NULL, 0}};
    opts.out_codes = codes;
    opts.on_end = scene_on_end;
    return trq_enqueue_many(engine, worker, &scene_worker_inputs, ins, count, &opts, ids);
}

Test(queuelock, duplicates_within_one_call_are_told_one_by_one)
{
    cr_assert_eq(put_many(&one, MANY, 5, trq_opts_init()), TRQ_DUPLICATE);
    for (int i = 0; i < MANY; i++) {
        cr_assert_eq(codes[i], i < 5 ? TRQ_OK : TRQ_DUPLICATE);
        cr_assert(trq_job_id_equal(ids[i], ids[i % 5]));
    }
    struct trq_worker_stats stats = fx_stats(engine, "One");
    cr_assert(stats.enqueued == 5 && stats.duplicates == MANY - 5);
    drain(5);
    SCENE_RAN("0 1 2 3 4");
    cr_assert_eq(put_many(&one, 5, 5, trq_opts_init()), TRQ_OK, "none of them met another");
    drain(5);
}

Test(queuelock, each_of_many_may_replace_the_one_before)
{
    struct trq_opts opts = trq_opts_init();
    opts.on_conflict = TRQ_REPLACE;
    cr_assert_eq(put_many(&one, MANY, 3, opts), TRQ_OK);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(codes[i], i < 3 ? TRQ_OK : TRQ_REPLACED);
    cr_assert_eq(scene.ends, MANY - 3);
    for (int i = 0; i < MANY - 3; i++) {
        SCENE_ENDED(ids[i], TRQ_WAS_REPLACED);
        cr_assert(trq_job_id_equal(scene_end_of(ids[i]).other, ids[i + 3]));
    }
    drain(3);
    SCENE_RAN("597 598 599");
}

Test(queuelock, many_for_later_debounce_each_other)
{
    struct trq_opts opts = trq_opts_init();
    opts.on_conflict = TRQ_DEBOUNCE;
    opts.in = hour;
    cr_assert_eq(put_many(&guest, 10, 5, opts), TRQ_DUPLICATE);
    opts.in = trq_hours(2);
    cr_assert_eq(put_many(&guest, 5, 5, opts), TRQ_DUPLICATE);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(codes[i], TRQ_DEBOUNCED);
    advance(hour, 0);
    advance(hour, 5);
}

Test(queuelock, many_that_hold_when_due_are_all_scheduled_and_merge_then)
{
    struct trq_opts opts = trq_opts_init();
    opts.in = hour;
    cr_assert_eq(put_many(&one, MANY, 5, opts), TRQ_OK);
    pause_queue();
    advance(hour, 0);
    cr_assert_eq(scene.ends, MANY - 5);
    for (int i = 5; i < MANY; i++)
        merged(ids[i], ids[i % 5], 0);
    resume_queue();
    drain(5);
}

Test(queuelock, one_of_many_answers_as_a_single_call)
{
    scene_put(&guest, 1, "a", NULL, TRQ_OPTS(.in = hour));
    struct trq_opts opts = trq_opts_init();
    opts.on_conflict = TRQ_DEBOUNCE;
    opts.in = trq_hours(2);
    cr_assert_eq(put_many(&guest, 1, 1, opts), TRQ_DEBOUNCED);
    opts.on_conflict = TRQ_REPLACE;
    cr_assert_eq(put_many(&guest, 1, 1, opts), TRQ_REPLACED);
    cr_assert_eq(codes[0], TRQ_REPLACED);
    advance(trq_hours(2), 1);
}

/* ---- keys ---------------------------------------------------------------------------------------------------------------------------- */

static int put_str(const struct trq_worker *worker, struct trq_str key)
{
    struct scene_worker_in in = {.key = key};
    return trq_enqueue_struct(engine, worker, &scene_worker_inputs, &in, NULL, NULL);
}

Test(queuelock, keys_of_length_0_and_of_64_kib)
{
    static char text[65000];
    memset(text, 'a', sizeof text);
    cr_assert_eq(put_str(&one, (struct trq_str){"", 0}), TRQ_OK);
    cr_assert_eq(put_str(&one, (struct trq_str){"", 0}), TRQ_DUPLICATE);
    cr_assert_eq(put_str(&one, (struct trq_str){NULL, 0}), TRQ_OK, "absent is not empty");
    cr_assert_eq(put_str(&one, (struct trq_str){NULL, 0}), TRQ_DUPLICATE);
    cr_assert_eq(put_str(&one, (struct trq_str){text, sizeof text}), TRQ_OK);
    cr_assert_eq(put_str(&one, (struct trq_str){text, sizeof text}), TRQ_DUPLICATE);
    cr_assert_eq(put_str(&one, (struct trq_str){text, sizeof text - 1}), TRQ_OK);
    text[sizeof text - 1] = 'b';
    cr_assert_eq(put_str(&one, (struct trq_str){text, sizeof text}), TRQ_OK);
    cr_assert_eq(put_str(&one, (struct trq_str){"\0", 1}), TRQ_OK);
    drain(6);
}

static enum trq_end typed_key(struct trq_job *job, struct trq_key *key)
{
    static char large[1 << 20];
    switch (trq_job_get_i64(job, "n")) {
    case 0:
        return TRQ_DONE; /* a key without parts */
    case 1:
        trq_key_i64(key, 1);
        break;
    case 2:
        trq_key_str(key, trq_str_of("1"));
        break;
    case 3:
        trq_key_bool(key, true);
        break;
    case 4:
        trq_key_f64(key, 1);
        break;
    case 5:
        trq_key_str(key, trq_str_of("a-b"));
        trq_key_str(key, trq_str_of("c"));
        break;
    case 6:
        trq_key_str(key, trq_str_of("a"));
        trq_key_str(key, trq_str_of("b-c"));
        break;
    case 7:
        trq_key_input(key, job, "absent");
        break;
    case 8:
        trq_key_str(key, trq_str_of(""));
        break;
    case 9:
        trq_key_str(key, (struct trq_str){large, sizeof large});
        break;
    case 10:
        trq_key_str(key, (struct trq_str){large, sizeof large - 1});
        break;
    case 11:
        for (int i = 0; i < 100000; i++)
            trq_key_i64(key, i);
        break;
    default:
        return trq_fail(job, "no key %d", 12);
    }
    return TRQ_DONE;
}

Test(queuelock, keys_of_other_types_or_parts_never_meet)
{
    key_function = typed_key;
    for (int n = 0; n < 12; n++)
        scene_put(&asked, n, NULL, NULL, NULL);
    for (int n = 0; n < 12; n++)
        cr_assert_eq(scene_try(&asked, n, NULL, NULL, NULL, NULL), TRQ_DUPLICATE, "%d", n);
    drain(12);
}

static double real;
static enum trq_end real_key(struct trq_job *job, struct trq_key *key)
{
    (void)job;
    trq_key_f64(key, real);
    return TRQ_DONE;
}

Test(queuelock, zeros_are_one_key_and_so_is_what_is_no_number)
{
    key_function = real_key;
    real = 0.0;
    scene_put(&asked, 1, NULL, NULL, NULL);
    real = -0.0;
    cr_assert_eq(scene_try(&asked, 1, NULL, NULL, NULL, NULL), TRQ_DUPLICATE);
    real = (double)NAN;
    scene_put(&asked, 1, NULL, NULL, NULL);
    real = -(double)NAN;
    cr_assert_eq(scene_try(&asked, 1, NULL, NULL, NULL, NULL), TRQ_DUPLICATE);
    drain(2);
}

static int put_dict(struct trq_dict dict)
{
    return trq_enqueue(engine, &whole, dict, NULL, NULL);
}

Test(queuelock, all_counts_undeclared_inputs_in_any_order)
{
    struct trq_kv a = TRQ_KV("a", 1), b = TRQ_KV("b", 2), n = TRQ_KV("n", 0), c = TRQ_KV("b", 3);
    struct trq_kv ab[] = {a, b}, ba[] = {b, n, a}, ac[] = {a, c};
    cr_assert_eq(put_dict((struct trq_dict){ab, 2}), TRQ_OK);
    cr_assert_eq(put_dict((struct trq_dict){ba, 3}), TRQ_DUPLICATE);
    cr_assert_eq(put_dict((struct trq_dict){ac, 2}), TRQ_OK);
    cr_assert_eq(put_dict((struct trq_dict){ab, 1}), TRQ_OK);
    cr_assert_eq(put_dict(TRQ_DICT_NONE), TRQ_OK);
    cr_assert_eq(put_dict((struct trq_dict){&n, 1}), TRQ_DUPLICATE, "the default is the same");
    drain(4);
}

/* ---- a function that is not well-behaved ------------------------------------------------------------------------------------------- */

static enum trq_end bad_key(struct trq_job *job, struct trq_key *key)
{
    (void)key;
    switch (trq_job_get_i64(job, "n")) {
    case 1:
        return trq_fail(job, "no user %d", 17);
    case 2:
        return trq_discard(job, "never");
    case 3:
        return TRQ_SKIP;
    case 4:
        return trq_requeue(job);
    case 5:
        return (enum trq_end)77;
    default:
        return (enum trq_end) - 1;
    }
}

Test(queuelock, a_function_that_gives_no_key_refuses_the_call_with_its_text)
{
    static const char *const texts[] = {
        "Asked: queue lock: no user 17",
        "Asked: queue lock: never",
        "Asked: queue lock: its function gave an answer instead of a key",
        "Asked: queue lock: its function gave an answer instead of a key",
        "Asked: queue lock: the handler returned 77, which is no end",
        "Asked: queue lock: the handler returned -1, which is no end"};
    key_function = bad_key;
    for (int n = 1; n <= 6; n++) {
        struct trq_job_id id = {17, 18};
        cr_assert_eq(scene_try(&asked, n, NULL, NULL, NULL, &id), TRQ_EINPUT);
        cr_assert_str_eq(error.text, texts[n - 1]);
        cr_assert(id.slot == 17 && id.birth == 18);
    }
    cr_assert_eq(scene_stats().jobs, 0);
    cr_assert_eq(scene_stats().refused_input, 6);
    ins[0] = ins[1] = (struct scene_worker_in){.n = 1};
    cr_assert_eq(trq_enqueue_many(engine, &asked, &scene_worker_inputs, ins, 2, NULL, NULL),
                 TRQ_EINPUT);
    drain(0);
}

static enum trq_end nesting_key(struct trq_job *job, struct trq_key *key)
{
    int64_t n = trq_job_get_i64(job, "n");
    if (n > 0)
        cr_assert_eq(scene_try(&asked, n - 1, NULL, NULL, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_test_step(trq_job_engine(job)), TRQ_EINVAL, "not from here");
    cr_assert_eq(trq_engine_stop(trq_job_engine(job), trq_ns(0), NULL), TRQ_EINVAL);
    trq_key_i64(key, n);
    return TRQ_DONE;
}

Test(queuelock, a_function_may_enqueue_even_the_same_worker)
{
    key_function = nesting_key;
    scene_put(&asked, 30, NULL, NULL, NULL);
    drain(31);
    cr_assert_eq(scene.ran[0], 0);
    cr_assert_eq(scene.ran[30], 30);
}

static enum trq_end enqueues_that(struct trq_job *job)
{
    if (trq_job_worker(job) == &plain)
        scene_put(&asked, 5, "from inside", NULL, NULL);
    cr_assert_eq(trq_job_get_i64(job, "n"), scene.ran[scene.runs - 1], "the run is undisturbed");
    return TRQ_DONE;
}

Test(queuelock, a_function_within_a_handler_does_not_disturb_the_run)
{
    key_function = nesting_key;
    scene.during = enqueues_that;
    scene_put(&plain, 1, NULL, NULL, NULL);
    drain(7);
}

/* The first to be asked waits until the other call has been answered. */
static struct fx_gate gate = FX_GATE;
static enum trq_end slow_key(struct trq_job *job, struct trq_key *key)
{
    if (trq_job_get_i64(job, "n") == 1)
        fx_gate_pass(&gate);
    trq_key_i64(key, 5);
    return TRQ_DONE;
}
static void *put_slowly(void *arg)
{
    return (void *)(intptr_t)trq_enqueue(engine, &asked, TRQ_DICT(TRQ_KV("n", 1)), NULL, arg);
}

Test(queuelock, a_slow_function_holds_nobody_up)
{
    pthread_t thread;
    struct trq_job_id slow;
    void *rc;
    key_function = slow_key;
    pthread_create(&thread, NULL, put_slowly, &slow);
    fx_gate_await(&gate, 1);
    struct trq_job_id fast = scene_put(&asked, 2, NULL, NULL, NULL);
    cr_assert_eq(scene_try(&asked, 3, NULL, NULL, NULL, NULL), TRQ_DUPLICATE);
    fx_gate_open(&gate);
    pthread_join(thread, &rc);
    cr_assert_eq((int)(intptr_t)rc, TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(slow, fast));
    drain(1);
}

/* ---- declarations that are wrong ---------------------------------------------------------------------------------------------------- */

static void refused(struct trq_lock lock, bool of_worker, const char *text)
{
    struct trq_worker w = {SCENE_WORKER("Wrong")};
    if (of_worker)
        w.worker_lock = &lock;
    else
        w.queue_lock = &lock;
    cr_assert_eq(trq_register(engine, FX_APP(.name = "wrong", .workers = TRQ_WORKERS(&w)), &error),
                 TRQ_EINVAL);
    cr_assert_str_eq(error.text, text);
}

#define SIZED .size = sizeof(struct trq_lock)
#define NAMES(...)                                                                                 \
    .inputs = (const char *const[])                                                                \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

Test(queuelock, a_lock_that_is_wrong_is_refused_with_a_reason)
{
    refused((struct trq_lock){SIZED}, false,
            "worker Wrong: queue lock: neither inputs nor all nor key");
    refused((struct trq_lock){SIZED, .inputs = (const char *const[]){NULL}}, true,
            "worker Wrong: worker lock: neither inputs nor all nor key");
    refused((struct trq_lock){ON_KEY, .all = true}, false,
            "worker Wrong: queue lock: one of inputs, all and key, not several");
    refused((struct trq_lock){ON_KEY, .key = any_key}, true,
            "worker Wrong: worker lock: one of inputs, all and key, not several");
    refused((struct trq_lock){SIZED, .all = true, .key = any_key}, false,
            "worker Wrong: queue lock: one of inputs, all and key, not several");
    refused((struct trq_lock){SIZED, NAMES("kee")}, false,
            "worker Wrong: queue lock: input kee is not declared");
    refused((struct trq_lock){SIZED, NAMES("n", "kee")}, true,
            "worker Wrong: worker lock: input kee is not declared");
    refused((struct trq_lock){ON_KEY, .limit = 2}, false,
            "worker Wrong: queue lock: limit 2: only a worker lock has one");
    refused((struct trq_lock){ON_KEY, .limit = 65536}, true,
            "worker Wrong: worker lock: limit 65536 is above 65535");
    refused((struct trq_lock){ON_KEY, .max_wait = {-1}}, false,
            "worker Wrong: queue lock: scope, on_conflict or max_wait is out of range");
    refused((struct trq_lock){ON_KEY, .on_conflict = (enum trq_on_conflict)4}, false,
            "worker Wrong: queue lock: scope, on_conflict or max_wait is out of range");
    refused((struct trq_lock){ON_KEY, .scope = (enum trq_scope)2}, false,
            "worker Wrong: queue lock: scope, on_conflict or max_wait is out of range");
    refused((struct trq_lock){ON_KEY, .on_conflict = TRQ_REPLACE}, true,
            "worker Wrong: worker lock: scope, on_conflict and max_wait are for queue locks");
    refused((struct trq_lock){NAMES("key")}, false,
            "worker Wrong: queue lock: size is 0, or a field of a newer release is set");
    refused((struct trq_lock){ON_KEY, .space = ""}, false,
            "lock name space \"\": a name is UTF-8, 1 to 200 bytes");
    refused((struct trq_lock){ON_KEY, .space = "\xff"}, true,
            "lock name space \"\xff\": a name is UTF-8, 1 to 200 bytes");
    cr_assert_eq(trq_worker_names(engine, NULL, 0), 6, "none of them is registered");
}

Test(queuelock, a_wrong_lock_of_a_call_is_refused_and_nothing_is_queued)
{
    struct trq_lock nothing = {SIZED}, two = {ON_KEY, .all = true}, limited = {ON_KEY, .limit = 3},
                    unsized = {NAMES("key")}, nameless = {ON_KEY, .space = ""};
    const struct trq_lock *const wrong[] = {&nothing, &two, &limited, &unsized, &nameless};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_eq(scene_try(&plain, 1, "k", NULL, TRQ_OPTS(.queue_lock = wrong[i]), NULL),
                     TRQ_EINVAL);
    cr_assert_eq(scene_try(&plain, 1, "k", NULL, TRQ_OPTS(.worker_lock = &nothing), NULL),
                 TRQ_EINVAL);
    drain(0);
}

Test(queuelock, a_rule_for_conflicts_without_a_lock_is_refused)
{
    cr_assert_eq(scene_try(&plain, 1, "k", NULL, TRQ_OPTS(.on_conflict = TRQ_REPLACE), NULL),
                 TRQ_EINVAL);
    cr_assert_str_eq(error.text, "on_conflict without a queue lock");
    cr_assert_eq(
        scene_try(&one, 1, "k", NULL, TRQ_OPTS(.on_conflict = (enum trq_on_conflict)4), NULL),
        TRQ_EINVAL);
    cr_assert_str_eq(error.text, "on_conflict is out of range");
    drain(0);
}

Test(queuelock, the_same_declaration_again_is_the_same_and_another_is_a_conflict)
{
    struct trq_lock lock = {ON_KEY};
    struct trq_worker w = one;
    w.queue_lock = &lock;
    const struct trq_app *again = FX_APP(.name = "app", .workers = TRQ_WORKERS(&w));
    cr_assert_eq(trq_register(engine, again, &error), TRQ_OK);
    lock.on_conflict = TRQ_REPLACE;
    cr_assert_eq(trq_register(engine, again, &error), TRQ_ECONFLICT);
    w.queue_lock = NULL;
    cr_assert_eq(trq_register(engine, again, &error), TRQ_ECONFLICT);
}
