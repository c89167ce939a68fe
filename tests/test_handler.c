/* Rules 1.5 to 1.8: what a handler sees, what it may say, and how its run ends. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

#define READ_INPUTS(F, W)                                                                          \
    F(W, i64, i, TRQ_OPTIONAL, -3)                                                                 \
    F(W, f64, f, TRQ_OPTIONAL, 1.5)                                                                \
    F(W, bool, b, TRQ_OPTIONAL, true)                                                              \
    F(W, str, s, TRQ_OPTIONAL, "text")                                                             \
    F(W, json, j, TRQ_OPTIONAL, "null")                                                            \
    F(W, str, absent, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(reader, READ_INPUTS);

static struct fx fx = FX_INIT;
static struct trq_engine *engine;

static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(handler, .fini = tear_down);

static void set_up(const struct trq_worker *worker)
{
    engine = fx_polled(&fx, FX_APP(.name = "app", .workers = TRQ_WORKERS(worker)));
}
static void put(const struct trq_worker *worker, int64_t n)
{
    cr_assert_eq(trq_enqueue(engine, worker, TRQ_DICT(TRQ_KV("n", n)),
                             TRQ_OPTS(.on_end = fx_on_end, .tag = &fx), NULL),
                 TRQ_OK);
}
static void run(int jobs)
{
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), jobs);
}
static void ended(enum trq_outcome outcome, int attempts, const char *result)
{
    cr_assert_eq(fx.event.outcome, outcome);
    cr_assert_eq(fx.event.attempts, attempts);
    cr_assert_eq(fx.event.result_size, strlen(result));
    cr_assert_eq(memcmp(fx.event.result, result, strlen(result)), 0);
}

/* ---- ends ---------------------------------------------------------------------------------------------- */

/* Ends as its input n says. */
static enum trq_end by_number(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    fx_note(trq_job_host(job), n);
    switch (n) {
    case TRQ_SKIP:
        return TRQ_SKIP;
    case TRQ_FAILED:
        return trq_fail(job, "number %d said %s", 42, "no");
    case TRQ_DISCARDED:
        return trq_discard(job, "never %s", "again");
    case TRQ_REQUEUED:
        return fx_values(trq_job_host(job)) < 5 ? trq_requeue(job) : TRQ_DONE;
    default:
        return (enum trq_end)n;
    }
}
static const struct trq_worker ends = {
    .size = sizeof ends, .name = "Ends", .retry = &trq_no_retry, .perform = by_number};

Test(handler, done_ends_as_done)
{
    set_up(&ends);
    put(&ends, TRQ_DONE);
    run(1);
    ended(TRQ_WAS_DONE, 1, "");
    cr_assert(fx.event.tag == &fx && fx.error.text[0] == '\0');
    cr_assert_str_eq(fx.event.worker, "Ends");
    cr_assert_str_eq(fx.event.queue, "app_default");
}

Test(handler, skip_ends_as_skipped)
{
    set_up(&ends);
    put(&ends, TRQ_SKIP);
    run(1);
    ended(TRQ_WAS_SKIPPED, 1, "");
}

Test(handler, a_failure_ends_as_dead_with_its_text)
{
    set_up(&ends);
    put(&ends, TRQ_FAILED);
    run(1);
    ended(TRQ_WAS_DEAD, 1, "number 42 said no");
    cr_assert_str_eq(fx.error.text, "number 42 said no");
    struct trq_worker_stats stats = fx_stats(engine, "Ends");
    cr_assert(stats.failed == 1 && stats.dead == 1 && stats.done == 0);
}

Test(handler, discard_ends_as_discarded_with_its_text)
{
    set_up(&ends);
    put(&ends, TRQ_DISCARDED);
    run(1);
    ended(TRQ_WAS_DISCARDED, 1, "never again");
    cr_assert_str_eq(fx.error.text, "never again");
    cr_assert_eq(fx_stats(engine, "Ends").failed, 0);
}

Test(handler, a_requeued_job_runs_again_with_the_same_inputs_and_id)
{
    struct trq_job_id id;
    set_up(&ends);
    cr_assert_eq(trq_enqueue(engine, &ends, TRQ_DICT(TRQ_KV("n", TRQ_REQUEUED)),
                             TRQ_OPTS(.on_end = fx_on_end), &id),
                 TRQ_OK);
    run(5);
    ended(TRQ_WAS_DONE, 5, "");
    cr_assert(trq_job_id_equal(id, fx.event.id));
    cr_assert_str_eq(fx_text(&fx), "4 4 4 4 4");
    cr_assert_eq(fx.ends, 1);
    struct trq_worker_stats stats = fx_stats(engine, "Ends");
    cr_assert(stats.enqueued == 1 && stats.started == 5 && stats.requeued == 4 && stats.done == 1);
}

Test(handler, a_requeued_job_goes_behind_what_waits)
{
    set_up(&ends);
    put(&ends, TRQ_REQUEUED);
    for (int i = 0; i < 4; i++)
        put(&ends, TRQ_DONE);
    run(6);
    cr_assert_str_eq(fx_text(&fx), "4 0 0 0 0 4");
}

Test(handler, any_other_number_is_a_failure_that_names_it)
{
    static const int64_t odd[] = {5, 77, -1, INT32_MIN, INT32_MAX};
    set_up(&ends);
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char text[100];
        put(&ends, odd[i]);
        run(1);
        cr_assert_eq(fx.event.outcome, TRQ_WAS_DEAD);
        snprintf(text, sizeof text, "the handler returned %lld, which is no end",
                 (long long)odd[i]);
        cr_assert_str_eq(fx.error.text, text);
    }
}

static enum trq_end fail_at_length(struct trq_job *job)
{
    return trq_fail(job, "%0300d", 7);
}
Test(handler, a_long_text_is_cut_at_251_bytes_and_at_48_in_the_event)
{
    static const struct trq_worker w = {
        .size = sizeof w, .name = "Long", .retry = &trq_no_retry, .perform = fail_at_length};
    set_up(&w);
    put(&w, 0);
    run(1);
    cr_assert_eq(strlen(fx.error.text), 251);
    cr_assert_eq(fx.event.result_size, TRQ_RESULT_MAX);
}

/* ---- needed, state ------------------------------------------------------------------------------------------ */

static bool odd_ones(struct trq_job *job)
{
    struct fx *host = trq_job_host(job);
    fx_note(host, -1);
    return trq_job_attempt(job) == 1 && fx_values(host) >= 3;
}
static enum trq_end requeue_twice(struct trq_job *job)
{
    struct fx *host = trq_job_host(job);
    fx_note(host, 1);
    return fx_values(host) < 6 ? trq_requeue(job) : TRQ_DONE;
}

Test(handler, who_is_not_needed_is_skipped_and_does_not_perform)
{
    static const struct trq_worker w = {.size = sizeof w,
                                        .name = "W",
                                        .needed = odd_ones,
                                        .retry = &trq_no_retry,
                                        .perform = requeue_twice};
    set_up(&w);
    put(&w, 0);
    run(1);
    ended(TRQ_WAS_SKIPPED, 1, "");
    cr_assert_str_eq(fx_text(&fx), "-1");
}

Test(handler, needed_is_asked_at_each_run)
{
    static const struct trq_worker w = {.size = sizeof w,
                                        .name = "W",
                                        .needed = odd_ones,
                                        .retry = &trq_no_retry,
                                        .perform = requeue_twice};
    fx.values = 2;
    set_up(&w);
    put(&w, 0);
    run(2);
    cr_assert_eq(fx.values, 6);
    cr_assert(fx.value[2] == -1 && fx.value[3] == 1 && fx.value[4] == -1 && fx.value[5] == 1);
    ended(TRQ_WAS_DONE, 2, "");
}

struct look_up {
    int64_t asked, performed;
    unsigned char rest[1000];
};
static bool look(struct trq_job *job)
{
    struct look_up *state = trq_job_state(job);
    for (size_t i = 0; i < sizeof *state; i++)
        FX_MUST(((unsigned char *)state)[i] == 0);
    FX_MUST((uintptr_t)state % 16 == 0);
    memset(state->rest, 0x77, sizeof state->rest);
    state->asked = trq_job_get_i64(job, "n");
    return state->asked != 13;
}
static enum trq_end use(struct trq_job *job)
{
    struct look_up *state = trq_job_state(job);
    FX_MUST(state->asked == trq_job_get_i64(job, "n"));
    state->performed = 1;
    return state->asked == 7 && fx_values(trq_job_host(job)) < 3 ? trq_requeue(job) : TRQ_DONE;
}
static void drop(void *state, struct trq_job *job)
{
    const struct look_up *s = state;
    FX_MUST(state == trq_job_state(job));
    fx_note(trq_job_host(job), 10 * s->asked + s->performed);
}
static const struct trq_worker stateful = {.size = sizeof stateful,
                                           .name = "Stateful",
                                           .needed = look,
                                           .retry = &trq_no_retry,
                                           .perform = use,
                                           .state_size = sizeof(struct look_up),
                                           .state_drop = drop};

Test(handler, state_is_zeroed_for_each_run_shared_by_it_and_dropped_once)
{
    set_up(&stateful);
    put(&stateful, 7);
    put(&stateful, 5);
    put(&stateful, 13);
    run(4);
    cr_assert_str_eq(fx_text(&fx), "71 51 130 71");
}

static enum trq_end no_state(struct trq_job *job)
{
    fx_note(trq_job_host(job), trq_job_state(job) == NULL);
    return TRQ_DONE;
}
Test(handler, no_state_was_asked_for_none_is_given)
{
    static const struct trq_worker w = {
        .size = sizeof w, .name = "W", .retry = &trq_no_retry, .perform = no_state};
    set_up(&w);
    put(&w, 0);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "1");
}

/* Structs and states of many sizes, one after the other on one thread: each has to fit. */
static enum trq_end write_all(struct trq_job *job)
{
    const struct trq_worker *w = trq_job_worker(job);
    unsigned char *state = trq_job_state(job);
    const void *in = trq_job_inputs(job, w->inputs);
    for (size_t i = 0; i < w->state_size; i++)
        FX_MUST(state[i] == 0);
    if (w->state_size)
        memset(state, 0xEE, w->state_size);
    FX_MUST(w->inputs->count == 0 || *(const int64_t *)in == 4711);
    return TRQ_DONE;
}
Test(handler, states_and_structs_of_all_sizes_fit_in_any_order)
{
    static const struct trq_input row = {"n", TRQ_I64, 0, 0, 4711, 0, NULL};
    static const size_t size[] = {0, 1, 7, 8, 9, 16, 24, 31, 40, 64, 100, 4096, 65536};
    enum { N = sizeof size / sizeof *size };
    static struct trq_inputs inputs[N];
    static struct trq_worker all[N * N];
    static char name[N * N][16];
    static const struct trq_worker *list[N * N + 1];
    for (int i = 0; i < N * N; i++) {
        inputs[i % N] = (struct trq_inputs){&row, size[i % N] >= 8, size[i % N]};
        snprintf(name[i], sizeof name[i], "W%d", i);
        all[i] = (struct trq_worker){.size = sizeof *all,
                                     .name = name[i],
                                     .inputs = &inputs[i % N],
                                     .retry = &trq_no_retry,
                                     .perform = write_all,
                                     .state_size = size[i / N]};
        list[i] = &all[i];
    }
    engine = fx_polled(&fx, FX_APP(.name = "app", .workers = list));
    for (int i = 0; i < N * N; i++)
        for (int k = 0; k < 2; k++)
            cr_assert_eq(
                trq_enqueue(engine, list[(i * 29 + k) % (N * N)], TRQ_DICT_NONE, NULL, NULL),
                TRQ_OK);
    run(2 * N * N);
    cr_assert_eq(fx_stats(engine, NULL).done, 2 * N * N);
}

/* ---- the result ------------------------------------------------------------------------------------------------ */

static enum trq_end results(struct trq_job *job)
{
    static const char text[TRQ_RESULT_MAX + 1] = "0123456789012345678901234567890123456789abcdefgh";
    int64_t n = trq_job_get_i64(job, "n");
    FX_MUST(trq_job_set_result(job, text, TRQ_RESULT_MAX) == TRQ_OK);
    FX_MUST(trq_job_set_result(job, text, TRQ_RESULT_MAX + 1) == TRQ_EINVAL);
    FX_MUST(trq_job_set_result(job, NULL, 1) == TRQ_EINVAL);
    if (n == 1)
        FX_MUST(trq_job_set_result(job, "last", 4) == TRQ_OK);
    if (n == 2)
        FX_MUST(trq_job_set_result(job, NULL, 0) == TRQ_OK);
    return n == 3 ? trq_fail(job, "no") : TRQ_DONE;
}
static const struct trq_worker result = {
    .size = sizeof result, .name = "Result", .retry = &trq_no_retry, .perform = results};

Test(handler, a_result_of_up_to_48_bytes_comes_with_the_event)
{
    set_up(&result);
    put(&result, 0);
    run(1);
    ended(TRQ_WAS_DONE, 1, "0123456789012345678901234567890123456789abcdefgh");
}
Test(handler, the_last_result_counts)
{
    set_up(&result);
    put(&result, 1);
    run(1);
    ended(TRQ_WAS_DONE, 1, "last");
    put(&result, 2);
    run(1);
    ended(TRQ_WAS_DONE, 1, "");
}
Test(handler, the_result_of_a_dead_job_is_its_error)
{
    set_up(&result);
    put(&result, 3);
    run(1);
    ended(TRQ_WAS_DEAD, 1, "no");
}

/* ---- what it may ask ---------------------------------------------------------------------------------------- */

/* As many rows and bytes as reader's, and another meaning. */
static struct trq_input twisted_rows[6];
static struct trq_inputs twisted = {twisted_rows, 6, sizeof(struct reader_in)};

static bool is(struct trq_str s, const char *text)
{
    return s.data && s.size == strlen(text) && memcmp(s.data, text, s.size) == 0;
}
static enum trq_end reads(struct trq_job *job)
{
    struct trq_value v = {.type = TRQ_NULL, .u.i = 99};
    FX_MUST(trq_job_get_i64(job, "i") == -3 && trq_job_get_i64(job, "f") == 0);
    FX_MUST(trq_job_get_f64(job, "f") == 1.5 && trq_job_get_f64(job, "i") == -3.0);
    FX_MUST(trq_job_get_bool(job, "b") && !trq_job_get_bool(job, "i"));
    FX_MUST(is(trq_job_get_str(job, "s"), "text") && is(trq_job_get_str(job, "j"), "null"));
    FX_MUST(trq_job_get_str(job, "absent").data == NULL && trq_job_get_str(job, "i").data == NULL);
    FX_MUST(!trq_job_get(job, "nix", &v) && !trq_job_get(job, "", &v) &&
            !trq_job_get(job, "absent", &v) && !trq_job_get(job, NULL, &v));
    FX_MUST(v.type == TRQ_NULL && v.u.i == 99);
    FX_MUST(trq_job_get_i64(job, NULL) == 0 && trq_job_get_str(job, NULL).data == NULL);
    FX_MUST(trq_job_get_i64(job, "more") == 5 && trq_job_get_f64(job, "more") == 5.0);
    FX_MUST(reader_get(job)->i == -3 && is(reader_get(job)->s, "text"));
    FX_MUST(reader_get(job) == reader_get(job));
    FX_MUST(trq_job_inputs(job, &twisted) == NULL && trq_job_inputs(job, NULL) == NULL);

    FX_MUST(trq_job_engine(job) == engine && trq_job_host(job) == &fx && trq_job_tag(job) == &fx);
    FX_MUST(trq_job_attempt(job) == 1 && trq_job_thread(job) == 0 && !trq_job_should_stop(job));
    FX_MUST(strcmp(trq_job_queue(job), "app_default") == 0);
    FX_MUST(strcmp(trq_job_worker(job)->name, "Reader") == 0);
    int64_t age = trq_now(engine).ns - trq_job_enqueued_at(job).ns;
    FX_MUST(age >= 0 && age < trq_minutes(1).ns);
    fx_note(&fx, 1);
    return TRQ_DONE;
}
const struct trq_worker reader = {TRQ_WORKER(reader, "Reader"), .retry = &trq_no_retry,
                                  .perform = reads};

Test(handler, it_reads_inputs_by_name_and_as_a_struct_and_knows_its_job)
{
    for (int i = 0; i < 6; i++) {
        twisted_rows[i] = reader_rows[i];
        twisted_rows[i].name = reader_rows[5 - i].name;
    }
    set_up(&reader);
    cr_assert_eq(
        trq_enqueue(engine, &reader, TRQ_DICT(TRQ_KV("more", 5)), TRQ_OPTS(.tag = &fx), NULL),
        TRQ_OK);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "1");
}

Test(handler, a_copy_of_the_declaration_is_as_good_as_the_declaration)
{
    static struct trq_input rows[1];
    static const struct trq_inputs copy = {rows, 1, sizeof(struct num_in)};
    rows[0] = num_rows[0];
    set_up(&num);
    cr_assert_eq(trq_enqueue_struct(engine, &num, &copy, &(struct num_in){.n = 8}, NULL, NULL),
                 TRQ_OK);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "8");
}

/* ---- what it may do --------------------------------------------------------------------------------------- */

static enum trq_end forbidden(struct trq_job *job)
{
    struct trq_engine *e = trq_job_engine(job);
    FX_MUST(trq_engine_stop(e, trq_ns(0), NULL) == TRQ_EINVAL);
    FX_MUST(trq_engine_destroy(e) == TRQ_EINVAL);
    FX_MUST(trq_engine_drain(e, trq_ns(0)) == TRQ_EINVAL);
    FX_MUST(trq_engine_poll(e, 0, trq_ns(0)) == TRQ_EINVAL);
    FX_MUST(trq_wait(e, trq_job_self(job), trq_ns(0), NULL) == TRQ_EINVAL);
    FX_MUST(!trq_job_should_stop(job));
    fx_note(trq_job_host(job), 1);
    return TRQ_DONE;
}
static void forbidden_at_end(void *host, const struct trq_event *event,
                             const struct trq_error *error)
{
    (void)error;
    FX_MUST(trq_engine_stop(engine, trq_ns(0), NULL) == TRQ_EINVAL);
    FX_MUST(trq_engine_destroy(engine) == TRQ_EINVAL);
    FX_MUST(trq_engine_drain(engine, trq_ns(0)) != TRQ_OK);
    FX_MUST(trq_wait(engine, event->id, trq_ns(0), NULL) == TRQ_EINVAL);
    fx_note(host, 2);
}
static const struct trq_worker forbids = {
    .size = sizeof forbids, .name = "Forbids", .retry = &trq_no_retry, .perform = forbidden};

Test(handler, it_may_not_wait_for_its_own_engine)
{
    set_up(&forbids);
    cr_assert_eq(
        trq_enqueue(engine, &forbids, TRQ_DICT_NONE, TRQ_OPTS(.on_end = forbidden_at_end), NULL),
        TRQ_OK);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "1 2");
}

Test(handler, it_may_not_wait_for_its_own_engine_on_a_pool_thread)
{
    engine = fx_start(FX_CONFIG(.threads = 1, .host = &fx),
                      FX_APP(.name = "app", .workers = TRQ_WORKERS(&forbids)));
    cr_assert_eq(
        trq_enqueue(engine, &forbids, TRQ_DICT_NONE, TRQ_OPTS(.on_end = forbidden_at_end), NULL),
        TRQ_OK);
    FX_AWAIT(fx_values(&fx) == 2);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
}

static enum trq_end spread(struct trq_job *job)
{
    struct trq_engine *e = trq_job_engine(job);
    int64_t n = trq_job_get_i64(job, "n");
    for (int i = 0; n > 0 && i < 3; i++)
        FX_MUST(trq_enqueue(e, trq_job_worker(job), TRQ_DICT(TRQ_KV("n", n - 1)), NULL, NULL) ==
                TRQ_OK);
    return TRQ_DONE;
}
Test(handler, it_may_enqueue)
{
    static const struct trq_worker w = {
        .size = sizeof w, .name = "Spread", .retry = &trq_no_retry, .perform = spread};
    set_up(&w);
    put(&w, 5);
    run(1 + 3 + 9 + 27 + 81 + 243);
}

static struct trq_engine *elsewhere;
static enum trq_end use_another(struct trq_job *job)
{
    (void)job;
    FX_MUST(fx_enqueue(elsewhere, 6, NULL) == TRQ_OK);
    FX_MUST(trq_engine_drain(elsewhere, fx_long()) == TRQ_OK);
    FX_MUST(trq_engine_stop(elsewhere, fx_long(), NULL) == TRQ_OK);
    return TRQ_DONE;
}
Test(handler, it_may_drain_and_stop_another_engine)
{
    static const struct trq_worker w = {
        .size = sizeof w, .name = "W", .retry = &trq_no_retry, .perform = use_another};
    set_up(&w);
    elsewhere = fx_polled(&fx, &fx_app);
    put(&w, 0);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "6");
    cr_assert_eq(fx.event.outcome, TRQ_WAS_DONE);
    cr_assert_eq(trq_engine_destroy(elsewhere), TRQ_OK);
}
