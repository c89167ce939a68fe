/* Rules 4.6 and 6.1 to 6.5: what becomes of a job whose handler fails, on a clock that stands still. */
#include "scene.h"

#define ON_KEY                                                                                     \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "key", NULL                                                                                \
    }
#define EXACTLY .size = sizeof(struct trq_retry), .jitter = TRQ_JITTER_NONE

static const int64_t second = INT64_C(1000000000);

/* After 10, 20, 30 s. */
static const struct trq_span steps[] = {{10000000000}, {20000000000}, {30000000000}};
static const struct trq_retry stepwise = {EXACTLY, .list = steps, .list_count = 3};
static const struct trq_retry at_once = {EXACTLY, .list = (const struct trq_span[]){{0}},
                                         .list_count = 1, .retries = 3};
static const struct trq_retry each_minute = {EXACTLY, .constant = {60000000000}, .retries = 5};

/* What the attempt sees: as the run's number, attempt and last error. */
static char seen[4096];
static int exhausted_calls;
static char exhausted_text[256];
static void (*when_exhausted)(struct trq_job *job);
static void exhausted(struct trq_job *job, const struct trq_error *why)
{
    exhausted_calls++;
    snprintf(exhausted_text, sizeof exhausted_text, "%s", why->text);
    if (when_exhausted)
        when_exhausted(job);
}
static bool is_needed;
static bool needed(struct trq_job *job)
{
    (void)job;
    return is_needed;
}

#define WORKER(name_, ...)                                                                         \
    {                                                                                              \
        .size = sizeof(struct trq_worker), .name = (name_), .inputs = &scene_worker_inputs,        \
        .perform = scene_perform, .exhausted = exhausted, __VA_ARGS__                              \
    }
static const struct trq_worker plain = WORKER("Plain", .retry = &stepwise);
static const struct trq_worker usual = WORKER("Usual", .retry = NULL); /* the default policy */
static const struct trq_worker never = WORKER("Never", .retry = &trq_no_retry);
static const struct trq_worker asks = WORKER("Asks", .retry = &at_once, .needed = needed);

static const struct trq_lock when_due = {ON_KEY};
static const struct trq_lock from_start = {ON_KEY, .scope = TRQ_FROM_SCHEDULING};
static const struct trq_lock replaces = {ON_KEY, .on_conflict = TRQ_REPLACE};
static const struct trq_lock replaces_soon = {ON_KEY, .on_conflict = TRQ_REPLACE,
                                              .scope = TRQ_FROM_SCHEDULING};
static const struct trq_lock calms = {ON_KEY, .on_conflict = TRQ_DEBOUNCE};
static const struct trq_worker due_lock =
    WORKER("DueLock", .retry = &stepwise, .queue_lock = &when_due);
static const struct trq_worker start_lock =
    WORKER("StartLock", .retry = &stepwise, .queue_lock = &from_start);
static const struct trq_worker replacing =
    WORKER("Replacing", .retry = &stepwise, .queue_lock = &replaces);
static const struct trq_worker replacing_soon =
    WORKER("ReplacingSoon", .retry = &stepwise, .queue_lock = &replaces_soon);
static const struct trq_worker calming =
    WORKER("Calming", .retry = &stepwise, .queue_lock = &calms);

static enum trq_end (*room_answer)(struct trq_job *job, struct trq_key *key);
static enum trq_end room_key(struct trq_job *job, struct trq_key *key)
{
    if (room_answer)
        return room_answer(job, key);
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}
static const struct trq_lock in_room = {.size = sizeof in_room, .space = "rooms", .key = room_key};
static const struct trq_worker roomy =
    WORKER("Roomy", .retry = &stepwise, .worker_lock = &in_room, .queue_lock = &when_due);

static struct trq_span answer;
static char asked_text[256];
static int asked_failures;
static struct trq_span ask(int failures, const struct trq_error *why, uint64_t seed)
{
    (void)seed;
    asked_failures = failures;
    snprintf(asked_text, sizeof asked_text, "%s", why->text);
    return answer;
}
static const struct trq_worker asking = WORKER("Asking", .retry = TRQ_RETRY(.delay = ask));

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &usual, &never, &asks, &due_lock, &start_lock, &replacing,
                           &replacing_soon, &calming, &roomy, &asking),
};

/* A letter for each run, the last for all that follow. */
static const char *script;
static int runs;
static enum trq_end act(struct trq_job *job)
{
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof seen - n, "%s%d(%s)", n ? " " : "", trq_job_attempt(job),
             trq_job_last_error(job));
    char what = script[0];
    if (script[1])
        script++;
    runs++;
    switch (what) {
    case 'f':
        return trq_fail(job, "failure %d", runs);
    case 'F':
        return TRQ_FAILED;
    case 'x':
        return trq_discard(job, "no use %d", runs);
    case 's':
        return TRQ_SKIP;
    case 'r':
        return trq_requeue(job);
    case 'l':
        return trq_requeue_in(job, trq_seconds(5));
    case 'n':
        return (enum trq_end)77;
    case 'c':
        FX_MUST(trq_cancel(trq_job_engine(job), trq_job_self(job)) == TRQ_ASKED);
        return trq_fail(job, "failure %d", runs);
    default:
        return TRQ_DONE;
    }
}

static void set_up(void)
{
    scene_open(&app);
    scene.during = act;
    script = "f";
    is_needed = true;
}
/* And no failure's text, nor anything else of a job, is left over. */
static void close_down(void)
{
    scene_close();
}
TestSuite(failure, .init = set_up, .fini = close_down);

static struct trq_job_id put(const struct trq_worker *worker, int64_t n, const char *key)
{
    return scene_put(worker, n, key, NULL, NULL);
}
static void drain(int count)
{
    cr_assert_eq(trq_test_drain(engine), count);
    scene_check();
}
static void advance(int64_t seconds, int count)
{
    int ran = trq_test_advance(engine, trq_seconds(seconds));
    cr_assert_eq(ran, count, "%d ran", ran);
    scene_check();
}
static struct trq_worker_stats stats_of(const struct trq_worker *worker)
{
    return fx_stats(engine, worker->name);
}

static int64_t until(struct trq_wall when)
{
    return when.ns - trq_now(engine).ns;
}

/* "3 failure 3, 2 failure 2": attempts and texts, as they are kept. */
static const char *kept(struct trq_job_id id)
{
    static char text[2048];
    struct trq_failure f[TRQ_FAILURES_KEPT + 1];
    size_t count = 99, n = 0;
    int rc = trq_failures(engine, id, f, TRQ_FAILURES_KEPT + 1, &count);
    if (rc != TRQ_OK)
        return trq_code_name(rc);
    cr_assert_leq(count, TRQ_FAILURES_KEPT);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%u %s", i ? ", " : "", f[i].attempt,
                              f[i].text);
        cr_assert(i == 0 || f[i].at.ns <= f[i - 1].at.ns, "older ones later");
    }
    return text;
}

/* ---- attempts --------------------------------------------------------------------------------------------------------- */

Test(failure, a_failed_job_is_tried_again_at_the_times_of_its_policy_and_then_is_dead)
{
    struct trq_job_id id = put(&plain, 1, NULL);
    drain(1);
    SCENE_IS(id, TRQ_IS_SCHEDULED);
    advance(9, 0);
    advance(1, 1);
    advance(19, 0);
    advance(1, 1);
    advance(29, 0);
    SCENE_NOT_ENDED(id);
    advance(1, 1);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_str_eq(seen, "1() 2(failure 1) 3(failure 2) 4(failure 3)");
    cr_assert_str_eq(scene.text, "failure 4");
    cr_assert_eq(scene_end_of(id).attempts, 4);
    cr_assert_eq(exhausted_calls, 1);
    cr_assert_str_eq(exhausted_text, "failure 4");
    struct trq_worker_stats s = stats_of(&plain);
    cr_assert(s.started == 4 && s.failed == 4 && s.retried == 3 && s.dead == 1);
    cr_assert_str_eq(kept(id), "4 failure 4, 3 failure 3, 2 failure 2, 1 failure 1");
}

Test(failure, a_job_that_succeeds_at_last_is_done)
{
    script = "ffd";
    struct trq_job_id id = put(&plain, 1, NULL);
    advance(100, 3);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_eq(scene_end_of(id).attempts, 3);
    cr_assert_eq(exhausted_calls, 0);
    struct trq_worker_stats s = stats_of(&plain);
    cr_assert(s.failed == 2 && s.retried == 2 && s.dead == 0 && s.done == 1);
    cr_assert_str_eq(kept(id), "TRQ_GONE");
}

Test(failure, without_retries_the_first_failure_is_the_last)
{
    struct trq_job_id id = put(&never, 1, NULL);
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_eq(exhausted_calls, 1);
    cr_assert_eq(stats_of(&never).retried, 0);
}

Test(failure, at_once_is_behind_what_waits)
{
    script = "fd";
    put(&asks, 1, NULL);
    put(&asks, 2, NULL);
    put(&asks, 3, NULL);
    drain(4);
    SCENE_RAN("1 2 3 1");
}

Test(failure, the_default_has_twenty_five_retries_within_its_bounds)
{
    struct trq_job_id id = put(&usual, 1, NULL);
    int64_t least = 0, most = 0;
    for (int64_t n = 0; n < 25; n++) {
        cr_assert_eq(trq_test_drain(engine), n == 0);
        struct trq_why why = scene_why(id);
        int64_t in = until(why.due);
        least = (n * n * n * n + 15) * second;
        most = least + 10 * (n + 1) * second;
        cr_assert(in >= least && in < most, "%lld", (long long)in);
        cr_assert_eq(why.failures, n + 1);
        cr_assert_eq(why.retries, 25);
        cr_assert_eq(trq_test_advance(engine, trq_ns(in + 1000)), 1);
    }
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_eq(scene_end_of(id).attempts, 26);
}

Test(failure, two_jobs_that_fail_at_once_are_not_tried_again_at_once)
{
    struct trq_job_id a = put(&usual, 1, NULL), b = put(&usual, 2, NULL);
    drain(2);
    cr_assert_neq(scene_why(a).due.ns, scene_why(b).due.ns);
}

/* ---- other ends --------------------------------------------------------------------------------------------------------- */

Test(failure, a_requeue_spends_no_attempt)
{
    script = "rflrfd";
    struct trq_job_id id = put(&plain, 1, NULL);
    advance(100, 6);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_str_eq(seen, "1() 1() 2(failure 2) 2(failure 2) 2(failure 2) 3(failure 5)");
    struct trq_worker_stats s = stats_of(&plain);
    cr_assert(s.requeued == 3 && s.retried == 2 && s.started == 6);
}

Test(failure, a_handler_that_discards_or_skips_is_not_tried_again)
{
    script = "fxfs";
    struct trq_job_id a = put(&plain, 1, NULL);
    advance(100, 2);
    SCENE_ENDED(a, TRQ_WAS_DISCARDED);
    cr_assert_str_eq(scene.text, "no use 2");
    struct trq_job_id b = put(&plain, 2, NULL);
    advance(100, 2);
    SCENE_ENDED(b, TRQ_WAS_SKIPPED);
    cr_assert_eq(exhausted_calls, 0);
}

Test(failure, an_answer_that_is_none_and_a_failure_without_a_text_are_failures)
{
    script = "nFd";
    struct trq_job_id id = put(&plain, 1, NULL);
    drain(1);
    advance(10, 1);
    cr_assert_str_eq(kept(id), "2 , 1 the handler returned 77, which is no end");
    advance(20, 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(failure, needed_is_asked_at_every_attempt)
{
    script = "f";
    struct trq_job_id id = put(&asks, 1, NULL);
    cr_assert_eq(trq_test_step(engine), 1);
    is_needed = false;
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_SKIPPED);
    cr_assert_eq(runs, 1);
}

static enum trq_end room_fails(struct trq_job *job, struct trq_key *key)
{
    (void)key;
    runs++;
    return trq_fail(job, "no room %d", runs);
}
Test(failure, a_lock_function_that_fails_is_an_attempt)
{
    room_answer = room_fails;
    struct trq_job_id id = scene_put(&roomy, 1, "k", "r", NULL);
    drain(1);
    cr_assert_str_eq(kept(id), "1 no room 1");
    advance(10, 1);
    cr_assert_str_eq(kept(id), "2 no room 2, 1 no room 1");
    room_answer = NULL;
    script = "d";
    advance(20, 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_str_eq(seen, "3(no room 2)");
}

Test(failure, a_job_cancelled_while_it_runs_does_not_come_back)
{
    script = "fc";
    struct trq_job_id id = put(&plain, 1, NULL);
    advance(100, 2);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    cr_assert_eq(exhausted_calls, 0);
    struct trq_worker_stats s = stats_of(&plain);
    cr_assert(s.failed == 2 && s.retried == 1 && s.cancelled == 1 && s.dead == 0);
}

Test(failure, the_engine_that_stops_drops_what_waits_for_a_retry)
{
    struct trq_job_id id = put(&plain, 1, NULL);
    drain(1);
    struct trq_leftover left = {.size = sizeof left};
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    cr_assert_eq(left.dropped, 1);
    SCENE_ENDED(id, TRQ_WAS_DROPPED);
    cr_assert_str_eq(scene.text, "failure 1"); /* why it waited */
}

/* ---- what is kept --------------------------------------------------------------------------------------------------------- */

Test(failure, the_last_four_texts_are_kept_newest_first)
{
    struct trq_job_id id =
        scene_put(&plain, 1, NULL, NULL, TRQ_OPTS(.retry = TRQ_RETRIES(TRQ_RETRY_FOREVER)));
    struct trq_failure f[TRQ_FAILURES_KEPT];
    size_t count = 99;
    cr_assert_eq(trq_failures(engine, id, NULL, 0, &count), TRQ_OK);
    cr_assert_eq(count, 0);
    drain(1);
    int64_t first = trq_now(engine).ns;
    for (int i = 2; i <= 9; i++) {
        cr_assert_eq(trq_run_now(engine, id), TRQ_OK);
        cr_assert_eq(trq_test_advance(engine, trq_ms(1)), 1);
    }
    cr_assert_str_eq(kept(id), "9 failure 9, 8 failure 8, 7 failure 7, 6 failure 6");
    cr_assert_eq(trq_failures(engine, id, f, TRQ_FAILURES_KEPT, NULL), TRQ_OK);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(f[i].at.ns, first + (7 - i) * INT64_C(1000000));
    memset(f, 0x55, sizeof f);
    cr_assert_eq(trq_failures(engine, id, f, 2, &count), TRQ_OK);
    cr_assert_eq(count, 4);
    cr_assert_str_eq(f[1].text, "failure 8");
    cr_assert_eq(f[2].attempt, 0x55555555); /* no more than max */
    cr_assert_eq(trq_failures(NULL, id, f, 2, &count), TRQ_EINVAL);
    cr_assert_eq(trq_failures(engine, id, NULL, 2, &count), TRQ_EINVAL);
    cr_assert_eq(trq_failures(engine, (struct trq_job_id){id.birth + 1, id.slot}, f, 2, &count),
                 TRQ_GONE);
    cr_assert_eq(trq_failures(engine, (struct trq_job_id){id.birth, UINT32_MAX}, f, 2, &count),
                 TRQ_GONE);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    cr_assert_eq(trq_failures(engine, id, f, 2, &count), TRQ_GONE);
}

static char *long_text;
static enum trq_end fail_at_length(struct trq_job *job)
{
    size_t size = strlen(trq_job_last_error(job));
    FX_MUST(size < TRQ_FAILURE_TEXT);
    return trq_fail(job, "%s", long_text);
}
Test(failure, a_text_of_a_mebibyte_is_cut_at_a_character)
{
    /* Of one, two, three and four bytes, and each way that the cut may fall. */
    static const char *const character[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\xa2"};
    enum { LONG = 1 << 20 };
    long_text = malloc(LONG + 8);
    FX_MUST(long_text);
    scene.during = fail_at_length;
    for (int c = 0; c < 4; c++)
        for (int shift = 0; shift < 4; shift++) {
            size_t size = strlen(character[c]), n = (size_t)shift;
            memset(long_text, '-', n);
            for (; n < LONG; n += size)
                memcpy(long_text + n, character[c], size);
            long_text[n] = '\0';
            struct trq_job_id id = put(&plain, 1, NULL);
            drain(1);
            struct trq_failure f;
            cr_assert_eq(trq_failures(engine, id, &f, 1, NULL), TRQ_OK);
            size_t whole = shift + (TRQ_FAILURE_TEXT - 1 - (size_t)shift) / size * size;
            cr_assert_eq(strlen(f.text), whole, "%zu of %zu", strlen(f.text), whole);
            cr_assert_eq(memcmp(f.text, long_text, whole), 0);
            cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
        }
    free(long_text);
}

/* ---- when the last attempt has failed ---------------------------------------------------------------------------------------- */

static struct trq_job_id helper;
static void enqueue_helper(struct trq_job *job)
{
    FX_MUST(job && trq_job_get_i64(job, "n") == 1);
    FX_MUST(strcmp(trq_job_last_error(job), "failure 1") == 0);
    FX_MUST(trq_job_inputs(job, &scene_worker_inputs));
    FX_MUST(trq_engine_poll(engine, 0, trq_ns(0)) == TRQ_EINVAL);
    FX_MUST(scene_try(&plain, 2, NULL, NULL, NULL, &helper) == TRQ_OK);
    FX_MUST(scene_try(&plain, 3, NULL, NULL, TRQ_OPTS(.in = trq_seconds(5)), NULL) == TRQ_OK);
    SCENE_NOT_ENDED(trq_job_self(job));
}
Test(failure, the_hook_may_enqueue_and_comes_before_the_end)
{
    script = "fd";
    when_exhausted = enqueue_helper;
    struct trq_job_id id = put(&never, 1, NULL);
    drain(2);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    SCENE_ENDED(helper, TRQ_WAS_DONE);
    advance(5, 1);
    SCENE_RAN("1 2 3");
}

static enum trq_end hold_state(struct trq_job *job)
{
    return trq_fail(job, "%s", trq_job_last_error(job)[0] ? "again" : "first");
}
Test(failure, what_the_hook_sees_is_the_last_error)
{
    scene.during = hold_state;
    put(&asks, 1, NULL);
    drain(4);
    cr_assert_str_eq(exhausted_text, "again");
}

/* ---- policies ---------------------------------------------------------------------------------------------------------------- */

Test(failure, the_policy_of_a_call_holds_instead_of_its_workers)
{
    struct trq_retry own = {EXACTLY, .constant = {7 * second}, .retries = 2};
    struct trq_job_id mine = scene_put(&plain, 1, NULL, NULL, TRQ_OPTS(.retry = &own));
    memset(&own, 0x77, sizeof own); /* it was copied */
    struct trq_job_id theirs = put(&plain, 2, NULL);
    struct trq_job_id none = scene_put(&plain, 3, NULL, NULL, TRQ_OPTS(.retry = &trq_no_retry));
    drain(3);
    SCENE_ENDED(none, TRQ_WAS_DEAD);
    cr_assert_eq(scene_why(mine).retries, 2);
    cr_assert_eq(scene_why(theirs).retries, 3);
    advance(7, 1);
    advance(7, 2);
    SCENE_ENDED(mine, TRQ_WAS_DEAD);
    SCENE_RAN("1 2 3 1 2 1");
}

Test(failure, a_function_hears_why_and_may_say_that_there_is_no_more)
{
    answer = trq_seconds(3);
    struct trq_job_id id = put(&asking, 1, NULL);
    drain(1);
    cr_assert_str_eq(asked_text, "failure 1");
    cr_assert_eq(asked_failures, 1);
    advance(3, 1);
    cr_assert_eq(asked_failures, 2);
    answer = trq_ns(-5); /* none: the default, and it is counted */
    advance(3, 1);
    cr_assert_eq(scene_stats().bad_delays, 1);
    int64_t in = until(scene_why(id).due);
    cr_assert(in >= 31 * second && in < 61 * second, "%lld", (long long)in);
    answer = trq_ns(0);
    cr_assert_eq(trq_run_now(engine, id), TRQ_OK);
    cr_assert_eq(trq_test_step(engine), 1);
    SCENE_IS(id, TRQ_IS_READY);
    answer = trq_forever();
    cr_assert_eq(trq_test_step(engine), 1);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
}

Test(failure, many_jobs_at_once_have_the_policy_of_the_call)
{
    static struct scene_worker_in ins[300];
    static struct trq_job_id ids[300];
    const struct trq_opts opts = {
        .size = sizeof opts, .retry = &each_minute, .on_end = scene_on_end};
    cr_assert_eq(trq_enqueue_many(engine, &plain, &scene_worker_inputs, ins, 300, &opts, ids),
                 TRQ_OK);
    drain(300);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(until(scene_why(ids[i]).due), 60 * second);
        cr_assert_eq(scene_why(ids[i]).failures, 1);
    }
    advance(5 * 60, 5 * 300);
    for (int i = 0; i < 300; i++)
        SCENE_ENDED(ids[i], TRQ_WAS_DEAD);
}

/* ---- it waits as any scheduled job ---------------------------------------------------------------------------------------------- */

Test(failure, a_retry_that_waits_can_be_cancelled_moved_and_run)
{
    struct trq_job_id a = put(&plain, 1, NULL), b = put(&plain, 2, NULL), c = put(&plain, 3, NULL),
                      d = put(&plain, 4, NULL);
    drain(4);
    cr_assert_eq(scene_stats().scheduled, 4);
    cr_assert_eq(trq_cancel(engine, a), TRQ_OK);
    SCENE_ENDED(a, TRQ_WAS_CANCELLED);
    cr_assert_eq(trq_move_in(engine, b, trq_seconds(2)), TRQ_OK);
    cr_assert_eq(trq_move(engine, c, trq_wall_add(trq_now(engine), trq_seconds(49))), TRQ_OK);
    cr_assert_eq(trq_run_now(engine, d), TRQ_OK);
    scene_forget();
    drain(1);
    advance(2, 1);
    advance(48, 4); /* 4 after 20; 2 after 20; 3 after 49; 4 after 30 */
    SCENE_RAN("4 2 4 2 3 4");
    SCENE_ENDED(d, TRQ_WAS_DEAD);
    cr_assert_eq(trq_cancel_matching(engine, &plain, TRQ_DICT_NONE), 2);
    cr_assert_eq(scene_stats().jobs, 0);
}

Test(failure, a_retry_that_waits_is_explained)
{
    struct trq_job_id id = put(&plain, 1, NULL);
    drain(1);
    struct trq_why why = scene_why(id);
    cr_assert_eq((int)why.state, TRQ_IS_SCHEDULED);
    cr_assert_str_eq(why.text, "Plain: retry 1 of 3 at 2026-01-01T00:00:10.000Z, in queue "
                               "app_default; it failed: failure 1");
    advance(10, 1);
    why = scene_why(id);
    cr_assert_str_eq(why.text, "Plain: retry 2 of 3 at 2026-01-01T00:00:30.000Z, in queue "
                               "app_default; it failed: failure 2");
    cr_assert_eq(why.failures, 2);
    cr_assert_eq(why.retries, 3);
    cr_assert_eq(trq_run_now(engine, id), TRQ_OK);
    why = scene_why(id);
    cr_assert_eq((int)why.state, TRQ_IS_READY);
    cr_assert_eq(why.failures, 2);
    struct trq_job_id other =
        scene_put(&plain, 2, NULL, NULL, TRQ_OPTS(.retry = TRQ_RETRIES(TRQ_RETRY_FOREVER)));
    cr_assert_eq(trq_test_drain(engine), 2);
    why = scene_why(other);
    cr_assert_eq(why.retries, UINT32_MAX);
    cr_assert(strncmp(why.text, "Plain: retry 1 at ", 18) == 0, "%s", why.text);
}

/* ---- queue locks -------------------------------------------------------------------------------------------------------------- */

Test(failure, while_a_retry_waits_its_key_is_free_or_held_as_the_scope_says)
{
    struct trq_job_id a = put(&due_lock, 1, "k"), b = put(&start_lock, 2, "k");
    drain(2);
    struct trq_job_id other = {0, 0};
    cr_assert_eq(scene_try(&start_lock, 3, "k", NULL, NULL, &other), TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(other, b));
    cr_assert_eq(scene_try(&due_lock, 4, "k", NULL, NULL, &other), TRQ_OK);
    scene_check();
    /* It waits in its queue when a becomes due. */
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    advance(10, 0);
    SCENE_ENDED(a, TRQ_WAS_MERGED);
    cr_assert(trq_job_id_equal(scene_end_of(a).other, other));
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    seen[0] = '\0';
    script = "d";
    drain(2);
    cr_assert_str_eq(seen, "2(failure 1) 2(failure 2)");
    SCENE_ENDED(b, TRQ_WAS_DONE);
}

Test(failure, a_job_that_fails_at_once_is_merged_into_the_one_that_came_meanwhile)
{
    script = "ffd";
    struct trq_opts opts = *TRQ_OPTS(.retry = &at_once);
    struct trq_job_id a = scene_put(&due_lock, 1, "k", NULL, &opts);
    cr_assert_eq(trq_test_step(engine), 1);
    SCENE_IS(a, TRQ_IS_READY); /* and holds its key again */
    cr_assert_eq(scene_try(&due_lock, 2, "k", NULL, NULL, NULL), TRQ_DUPLICATE);
    drain(2);
    SCENE_ENDED(a, TRQ_WAS_DONE);
    cr_assert_str_eq(seen, "1() 2(failure 1) 3(failure 2)");
}

/* Whatever is enqueued with the key, and however often: the key's failures add up. */
static void never_ends_well(const struct trq_worker *worker, int64_t every, int calls)
{
    int dead = 0;
    for (int i = 0; i < calls; i++) {
        int code = scene_try(worker, i, "k", NULL, NULL, NULL);
        cr_assert_geq(code, 0, "%s", trq_code_name(code));
        cr_assert_geq(trq_test_advance(engine, trq_seconds(every)), 0);
        scene_check();
    }
    for (int i = 0; i < scene.ends; i++)
        dead += scene.end[i].outcome == TRQ_WAS_DEAD;
    cr_assert_gt(dead, 0, "%s, every %lld s: none of %d died", worker->name, (long long)every,
                 scene.ends);
    cr_assert_eq(stats_of(worker).done, 0);
    cr_assert_eq(exhausted_calls, dead);
    cr_assert(strncmp(scene.text, "failure ", 8) == 0);
    cr_assert_geq(trq_test_advance(engine, trq_hours(1)), 0);
    cr_assert_eq(scene_stats().jobs, 0);
}

/* Each new one comes while the last one waits for its retry, which becomes due while the new one does: 10 s. */
static void comes_again_and_again(const struct trq_worker *worker)
{
    static const int64_t every[] = {1, 3, 7, 10, 15, 60};
    for (size_t i = 0; i < sizeof every / sizeof *every; i++) {
        scene_forget();
        exhausted_calls = 0;
        never_ends_well(worker, every[i], 60);
    }
}
Test(failure, a_key_that_always_fails_dies_though_it_is_enqueued_anew_when_due)
{
    comes_again_and_again(&due_lock);
}
Test(failure, a_key_that_always_fails_dies_though_it_is_enqueued_anew_from_scheduling)
{
    comes_again_and_again(&start_lock);
}
Test(failure, a_key_that_always_fails_dies_though_it_is_enqueued_anew_and_replaces)
{
    comes_again_and_again(&replacing);
}
/* Who replaces says that the old one does not count. */
Test(failure, who_replaces_a_retry_or_a_job_that_others_were_merged_into_begins_anew)
{
    struct trq_job_id a = put(&replacing_soon, 1, "k"), b;
    drain(1);
    cr_assert_eq(scene_try(&replacing_soon, 2, "k", NULL, NULL, &b), TRQ_REPLACED);
    SCENE_ENDED(a, TRQ_WAS_REPLACED);
    cr_assert_str_eq(scene.text, "failure 1"); /* why it waited */
    cr_assert_str_eq(kept(b), "");
    drain(1);
    cr_assert_str_eq(seen, "1() 1()");

    put(&replacing, 3, "k");
    drain(1);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    put(&replacing, 4, "k");
    advance(10, 0);
    cr_assert_eq(stats_of(&replacing).merged, 1);
    cr_assert_eq(scene_try(&replacing, 5, "k", NULL, NULL, NULL), TRQ_REPLACED);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    seen[0] = '\0';
    drain(2);
    cr_assert_str_eq(seen, "1() 2(failure 2)"); /* 5, in the place of 4; and b */
}
Test(failure, a_key_that_always_fails_dies_though_it_is_enqueued_anew_and_calms)
{
    comes_again_and_again(&calming);
}

/* Merged one into the other, each before the other runs: only the counts that pass on bring the end. */
static void merge_only(const struct trq_worker *worker, const struct trq_opts *opts)
{
    struct trq_job_id before = scene_put(worker, 0, "k", NULL, opts), id = before;
    for (int i = 1; i <= 3; i++) {
        cr_assert_eq(trq_test_drain(engine), 1);
        cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
        before = id;
        id = scene_put(worker, i, "k", NULL, NULL);
        advance(30, 0);
        SCENE_ENDED(before, TRQ_WAS_MERGED);
        cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    }
    drain(1);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_eq(scene_end_of(id).attempts, 4);
    cr_assert_str_eq(kept(id), "4 failure 4, 3 failure 3, 2 failure 2, 1 failure 1");
    cr_assert_str_eq(seen, "1() 2(failure 1) 3(failure 2) 4(failure 3)");
    cr_assert_eq(stats_of(worker).merged, 3);
}
Test(failure, the_twin_keeps_the_counts_and_the_texts)
{
    merge_only(&due_lock, NULL);
}
Test(failure, the_twin_keeps_the_counts_and_the_texts_with_the_rule_replace)
{
    merge_only(&replacing, NULL);
}

Test(failure, failures_that_meet_are_kept_in_order_of_age)
{
    script = "fffffd";
    static const struct trq_span first[] = {{4000000000}, {15000000000}};
    static const struct trq_span last[] = {{12000000000}};
    const struct trq_retry a_retry = {EXACTLY, .list = first, .list_count = 2, .retries = 9};
    const struct trq_retry b_retry = {EXACTLY, .list = last, .list_count = 1, .retries = 9};
    struct trq_job_id a = scene_put(&due_lock, 1, "k", NULL, TRQ_OPTS(.retry = &a_retry));
    drain(1); /* a at 0, its next at 4, and 19 */
    advance(2, 0);
    struct trq_job_id b = scene_put(&due_lock, 2, "k", NULL, TRQ_OPTS(.retry = &b_retry));
    drain(1); /* b at 2, its next at 14 */
    advance(2, 1);
    cr_assert_str_eq(kept(a), "2 failure 3, 1 failure 1");
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    advance(16, 0); /* b is ready at 14, and a merged into it at 19 */
    SCENE_ENDED(a, TRQ_WAS_MERGED);
    cr_assert_str_eq(kept(b), "1 failure 2");
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    seen[0] = '\0';
    drain(1);
    cr_assert_str_eq(seen, "3(failure 3)");
    cr_assert_str_eq(kept(b), "3 failure 4, 2 failure 3, 1 failure 2, 1 failure 1");
}

Test(failure, of_two_that_are_merged_into_one_the_newest_failures_stay)
{
    static const struct trq_span spans[] = {{30000000000}, {20000000000}};
    const struct trq_retry early = {EXACTLY, .list = &spans[0], .list_count = 1, .retries = 9};
    const struct trq_retry late = {EXACTLY, .list = &spans[1], .list_count = 1, .retries = 9};
    scene_put(&due_lock, 1, "k", NULL, TRQ_OPTS(.retry = &early));
    drain(1); /* at 0, and 30 */
    advance(5, 0);
    scene_put(&due_lock, 2, "k", NULL, TRQ_OPTS(.retry = &late));
    drain(1); /* at 5, and 25 */
    advance(1, 0);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    struct trq_job_id id = put(&due_lock, 3, "k");
    advance(40, 0);
    cr_assert_eq(stats_of(&due_lock).merged, 2);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    seen[0] = '\0';
    drain(1);
    cr_assert_str_eq(seen, "2(failure 2)");
    cr_assert_str_eq(kept(id), "2 failure 3, 1 failure 2, 1 failure 1");
}

Test(failure, a_job_with_a_worker_lock_gives_it_back_while_its_retry_waits)
{
    script = "fdd";
    struct trq_job_id a = scene_put(&roomy, 1, "a", "r", NULL),
                      b = scene_put(&roomy, 2, "b", "r", NULL);
    drain(2);
    SCENE_IS(a, TRQ_IS_SCHEDULED);
    SCENE_ENDED(b, TRQ_WAS_DONE);
    advance(10, 1);
    SCENE_ENDED(a, TRQ_WAS_DONE);
}

Test(failure, a_slot_that_is_used_again_has_no_failures)
{
    script = "ff";
    for (int i = 0; i < 50; i++) {
        struct trq_job_id id = put(&plain, i, NULL);
        cr_assert_str_eq(kept(id), "");
        drain(1);
        char wanted[40];
        snprintf(wanted, sizeof wanted, "1 failure %d", i + 1);
        cr_assert_str_eq(kept(id), wanted);
        cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    }
}
