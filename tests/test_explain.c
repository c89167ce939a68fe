/* trq_explain: why a job does not run, as numbers and as a sentence. */
#include "scene.h"

static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_lock on_key = {.size = sizeof on_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_lock in_room = {
    .size = sizeof in_room, .space = "rooms", .inputs = (const char *const[]){"room", NULL}};
static const struct trq_worker locked = {SCENE_WORKER("Locked"), .queue_lock = &on_key,
                                         .worker_lock = &in_room};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&plain, &locked),
};

static void set_up(void)
{
    scene_open(&app);
}
TestSuite(explain, .init = set_up, .fini = scene_close);

static struct trq_job_id put(int64_t n, const struct trq_opts *opts)
{
    return scene_put(&plain, n, NULL, NULL, opts);
}
static void names(const struct trq_why *why, const char *worker, const char *queue, int32_t weight)
{
    cr_assert_str_eq(why->worker, worker);
    cr_assert_str_eq(why->queue, queue);
    cr_assert_eq(why->weight, weight);
}
static int look(struct trq_job_id id)
{
    struct trq_why why = {.size = sizeof why, .ahead = 4711};
    int rc = trq_explain(engine, id, &why);
    if (rc != TRQ_OK)
        cr_assert_eq(why.ahead, 4711, "untouched");
    return rc;
}
static int64_t at(void)
{
    return trq_now(engine).ns;
}

/* ---- each state ------------------------------------------------------------------------------------------------------------ */

Test(explain, of_a_scheduled_job_it_tells_when_it_is_due)
{
    struct trq_why why = scene_why(put(1, TRQ_OPTS(.in = trq_hours(1), .queue = "low")));
    cr_assert_eq(why.state, TRQ_IS_SCHEDULED);
    cr_assert_eq(why.due.ns, at() + trq_hours(1).ns);
    cr_assert_eq(why.thread, -1);
    names(&why, "Plain", "app_low", -7);
    cr_assert_str_eq(why.text, "Plain: due at 2026-01-01T01:00:00.000Z, then in queue app_low");
    why = scene_why(put(1, TRQ_OPTS(.in = trq_forever())));
    cr_assert_eq(why.due.ns, INT64_MAX);
    cr_assert_str_eq(why.text, "Plain: due at never, then in queue app_default");
}

Test(explain, of_a_span_the_due_time_is_as_the_wall_clock_stands_now)
{
    struct trq_job_id span = put(1, TRQ_OPTS(.in = trq_hours(1)));
    cr_assert_eq(trq_test_set_wall(engine, trq_wall_seconds(1000000)), TRQ_OK);
    cr_assert_eq(scene_why(span).due.ns, trq_wall_seconds(1003600).ns);
}

Test(explain, of_a_ready_job_it_tells_how_many_stand_ahead)
{
    struct trq_job_id id[5];
    int64_t since = at();
    for (int i = 0; i < 5; i++)
        id[i] = put(i, NULL);
    put(9, TRQ_OPTS(.queue = "high"));
    cr_assert_eq(trq_test_advance(engine, trq_ns(0)), 6);
    for (int i = 0; i < 5; i++)
        id[i] = put(i, NULL);
    cr_assert_eq(trq_test_set_wall(engine, trq_now(engine)), TRQ_OK);
    for (int i = 0; i < 5; i++)
        cr_assert_eq(scene_why(id[i]).ahead, (unsigned)i);
    struct trq_why why = scene_why(id[3]);
    cr_assert_eq(why.state, TRQ_IS_READY);
    cr_assert_eq(why.since.ns, since);
    names(&why, "Plain", "app_default", 100);
    cr_assert_str_eq(why.text, "Plain: ready, 3 ahead in queue app_default of weight 100");
    cr_assert_eq(trq_cancel(engine, id[0]), TRQ_OK);
    cr_assert_eq(trq_cancel(engine, id[2]), TRQ_OK);
    cr_assert_eq(scene_why(id[3]).ahead, 1, "who has ended stands there no more");
    cr_assert_eq(trq_test_step(engine), 1);
    cr_assert_eq(scene_why(id[3]).ahead, 0);
}

Test(explain, since_is_when_it_became_ready)
{
    struct trq_job_id id = put(1, TRQ_OPTS(.in = trq_hours(1)));
    int64_t due = at() + trq_hours(1).ns;
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_test_advance(engine, trq_hours(3)), 0);
    struct trq_why why = scene_why(id);
    cr_assert_eq(why.state, TRQ_IS_PAUSED);
    cr_assert_eq(why.since.ns, due);
    cr_assert_str_eq(why.text,
                     "Plain: ready, 0 ahead in queue app_default of weight 100, which is paused");
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    SCENE_IS(id, TRQ_IS_READY);
}

Test(explain_unworked, before_the_start_and_in_a_queue_of_others_nobody_works_it)
{
    static const char *const queues[] = {"app_default", NULL};
    engine = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .queues = queues), &app);
    struct trq_job_id id = put(1, NULL), low = put(2, TRQ_OPTS(.queue = "low"));
    SCENE_IS(id, TRQ_IS_UNWORKED);
    cr_assert_str_eq(scene_why(id).text,
                     "Plain: ready, 0 ahead in queue app_default of weight 100; "
                     "the engine is not started");
    cr_assert_eq(trq_engine_start(engine, NULL), TRQ_OK);
    SCENE_IS(id, TRQ_IS_READY);
    struct trq_why why = scene_why(low);
    cr_assert_eq(why.state, TRQ_IS_UNWORKED);
    cr_assert_str_eq(
        why.text,
        "Plain: ready, 0 ahead in queue app_low of weight -7, which this engine does not work");
    scene_close();
}

static enum trq_end looks_at_itself(struct trq_job *job)
{
    struct trq_job_id self = trq_job_self(job);
    struct trq_why why = scene_why(self);
    cr_assert_eq(why.state, TRQ_IS_RUNNING);
    cr_assert_eq(why.thread, 0);
    cr_assert_eq(why.since.ns, at());
    names(&why, "Plain", "app_default", 100);
    cr_assert_str_eq(why.text, "Plain: running on tresque-0 since 2026-01-01T00:00:01.500Z");
    cr_assert_eq(trq_cancel(engine, self), TRQ_ASKED);
    cr_assert_str_eq(scene_why(self).text, "Plain: running on tresque-0 since "
                                           "2026-01-01T00:00:01.500Z; it has been asked to stop");
    return TRQ_DONE;
}

Test(explain, of_a_running_job_it_tells_where_and_since_when)
{
    scene.during = looks_at_itself;
    put(1, TRQ_OPTS(.in = trq_ms(1500)));
    cr_assert_eq(trq_test_advance(engine, trq_seconds(2)), 1);
}

Test(explain_parked, of_a_parked_job_it_tells_its_place_and_who_holds_the_key)
{
    scene_open_threads(&app, 2);
    struct trq_job_id holder = scene_put(&locked, SCENE_HELD, "h", "r", NULL), id[3];
    scene_await_held(SCENE_HELD);
    static const char *const keys[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        id[i] = scene_put(&locked, i, keys[i], "r", TRQ_OPTS(.queue = i == 2 ? "high" : "low"));
        FX_AWAIT(scene_why(id[i]).state == TRQ_IS_PARKED);
    }
    struct trq_why why = scene_why(holder);
    cr_assert_eq(why.state, TRQ_IS_RUNNING);
    cr_assert(why.thread == 0 || why.thread == 1);
    why = scene_why(id[1]);
    cr_assert_eq(why.ahead, 2, "the heavier one, and who stands before it");
    cr_assert_eq(scene_why(id[0]).ahead, 1);
    cr_assert_eq(scene_why(id[2]).ahead, 0);
    cr_assert(trq_job_id_equal(why.holder, holder));
    cr_assert_str_eq(why.holder_worker, "Locked");
    cr_assert_leq(why.since.ns, at());
    names(&why, "Locked", "app_low", -7);
    char begin[] = "Locked: parked on key ", then[] = " of lock rooms as waiter 3; job ";
    cr_assert_eq(strncmp(why.text, begin, sizeof begin - 1), 0, "%s", why.text);
    cr_assert_eq(strncmp(why.text + sizeof begin - 1 + 16, then, sizeof then - 1), 0, "%s",
                 why.text);
    cr_assert(strstr(why.text, " (Locked) holds it since 2"), "%s", why.text);
    cr_assert_eq(trq_queue_pause(engine, "app_low", NULL), TRQ_OK);
    scene_let_go(SCENE_HELD);
    FX_AWAIT(scene_ends() == 2);
    scene_settle(0);
    why = scene_why(id[1]);
    cr_assert_eq(why.state, TRQ_IS_PARKED);
    cr_assert(why.holder.slot == 0 && why.holder.birth == 0 && !why.holder_worker);
    cr_assert(strstr(why.text, " of lock rooms, which nobody holds just now, as waiter 2 in queue "
                               "app_low, which is paused"),
              "%s", why.text);
    cr_assert_eq(trq_queue_resume(engine, "app_low", NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    scene_settle(0);
    scene_close();
}

/* ---- ends -------------------------------------------------------------------------------------------------------------------- */

static enum trq_end by_n(struct trq_job *job)
{
    switch (trq_job_get_i64(job, "n")) {
    case TRQ_SKIP:
        return TRQ_SKIP;
    case TRQ_FAILED:
        return trq_fail(job, "the index said %d", 503);
    case TRQ_DISCARDED:
        return trq_discard(job, "no such user");
    default:
        return TRQ_DONE;
    }
}
static void ended(struct trq_job_id id, enum trq_outcome outcome, const char *text)
{
    struct trq_why why = scene_why(id);
    cr_assert_eq(why.state, TRQ_IS_ENDED);
    cr_assert_eq(why.outcome, outcome);
    cr_assert_eq(why.since.ns, at());
    cr_assert_str_eq(why.text, text);
}

Test(explain, of_an_end_that_is_none_of_the_good_ones_it_tells_which)
{
    static const char *const texts[] = {
        NULL, "Plain: skipped at 2026-01-01T00:00:00.000Z",
        "Plain: dead since 2026-01-01T00:00:00.000Z after 1 failed attempt: the index said 503",
        "Plain: discarded at 2026-01-01T00:00:00.000Z: no such user"};
    static const enum trq_outcome as[] = {TRQ_WAS_DONE, TRQ_WAS_SKIPPED, TRQ_WAS_DEAD,
                                          TRQ_WAS_DISCARDED};
    scene.during = by_n;
    struct trq_job_id id[4];
    for (int n = 0; n < 4; n++)
        id[n] = put(n, NULL);
    cr_assert_eq(trq_test_drain(engine), 4);
    cr_assert_eq(look(id[0]), TRQ_GONE, "done is as it should be");
    for (int n = 1; n < 4; n++)
        ended(id[n], as[n], texts[n]);
    struct trq_job_id cancelled = put(1, NULL);
    cr_assert_eq(trq_cancel(engine, cancelled), TRQ_OK);
    ended(cancelled, TRQ_WAS_CANCELLED, "Plain: cancelled at 2026-01-01T00:00:00.000Z");
}

Test(explain, of_a_replaced_or_merged_one_it_tells_by_or_into_which)
{
    char text[200];
    struct trq_job_id later = scene_put(&locked, 1, "k", NULL, TRQ_OPTS(.in = trq_hours(1))),
                      old = scene_put(&locked, 2, "k", NULL, NULL), new;
    cr_assert_eq(scene_try(&locked, 3, "k", NULL, TRQ_OPTS(.on_conflict = TRQ_REPLACE), &new),
                 TRQ_REPLACED);
    snprintf(text, sizeof text, "Locked: replaced by job %llx at 2026-01-01T00:00:00.000Z",
             (unsigned long long)new.slot);
    ended(old, TRQ_WAS_REPLACED, text);
    cr_assert_eq(trq_run_now(engine, later), TRQ_DUPLICATE);
    snprintf(text, sizeof text, "Locked: merged into job %llx at 2026-01-01T00:00:00.000Z",
             (unsigned long long)new.slot);
    ended(later, TRQ_WAS_MERGED, text);
}

Test(explain, after_a_stop_it_still_tells)
{
    struct trq_job_id ready = put(1, NULL), later = put(2, TRQ_OPTS(.in = trq_hours(1)));
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_OK);
    ended(ready, TRQ_WAS_DROPPED, "Plain: dropped at 2026-01-01T00:00:00.000Z");
    ended(later, TRQ_WAS_DROPPED, "Plain: dropped at 2026-01-01T00:00:00.000Z");
}

Test(explain, the_last_1024_ends_are_kept)
{
    static struct trq_job_id id[3000];
    for (int i = 0; i < 3000; i++) {
        id[i] = put(-i, NULL);
        cr_assert_eq(trq_cancel(engine, id[i]), TRQ_OK);
        put(-i, NULL); /* one that is done takes no place */
        cr_assert_eq(trq_test_drain(engine), 1);
    }
    for (int i = 0; i < 3000; i++)
        cr_assert_eq(look(id[i]), i < 3000 - 1024 ? TRQ_GONE : TRQ_OK, "%d", i);
}

Test(explain, a_long_error_is_cut)
{
    struct trq_why why;
    char text[300];
    static char name[201];
    memset(name, 'n', 200);
    const struct trq_worker w = {SCENE_WORKER(name)};
    memset(text, 'x', sizeof text - 1);
    cr_assert_eq(trq_register(engine, FX_APP(.name = "app", .workers = TRQ_WORKERS(&w)), &error),
                 TRQ_OK);
    why = scene_why(scene_put(&w, 1, NULL, NULL, TRQ_OPTS(.in = trq_hours(1))));
    cr_assert_eq(strlen(why.text), sizeof why.text - 1);
    why = scene_why(scene_put(&w, 1, NULL, NULL, NULL));
    cr_assert_eq(strlen(why.text), sizeof why.text - 1);
    cr_assert_eq(trq_cancel_matching(engine, &w, TRQ_DICT_NONE), 1);
    cr_assert_eq(trq_test_drain(engine), 1);
}

/* ---- bad calls -------------------------------------------------------------------------------------------------------------- */

Test(explain, wrong_arguments_are_refused)
{
    struct trq_job_id id = put(1, NULL);
    struct {
        struct trq_why why;
        char more[16];
    } large = {.why = {.size = sizeof large}};
    struct trq_why why = {.size = sizeof why - 8};
    cr_assert_eq(trq_explain(engine, id, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_explain(NULL, id, &why), TRQ_EINVAL);
    cr_assert_eq(trq_explain(engine, id, &why), TRQ_EINVAL, "too small");
    why.size = 0;
    cr_assert_eq(trq_explain(engine, id, &why), TRQ_EINVAL);
    cr_assert_eq(trq_explain(engine, id, &large.why), TRQ_OK, "zeros behind what it knows");
    cr_assert_eq(large.why.size, sizeof large);
    large.more[8] = 1;
    cr_assert_eq(trq_explain(engine, id, &large.why), TRQ_EINVAL);
    cr_assert_eq(trq_engine_check(NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_engine_check(engine, NULL), TRQ_OK);
}

Test(explain, ids_of_another_engine_or_of_none_are_gone)
{
    struct trq_engine *mine = engine;
    struct trq_job_id id = put(1, NULL);
    scene_open(&app);
    cr_assert_eq(look(id), TRQ_GONE);
    cr_assert_eq(look((struct trq_job_id){0, 0}), TRQ_GONE);
    cr_assert_eq(look((struct trq_job_id){UINT64_MAX, UINT64_MAX}), TRQ_GONE);
    scene_close();
    engine = mine;
    cr_assert_eq(look(id), TRQ_OK);
    cr_assert_eq(look((struct trq_job_id){id.slot + (UINT64_C(1) << 32), id.birth}), TRQ_GONE);
}
