/* Rule 6.1: retry policies, as pure functions of failures and seed. */
#include <criterion/criterion.h>

#include <math.h>

#include "engine_fixture.h"

static const int64_t second = INT64_C(1000000000);
static const struct trq_span ten_years = {INT64_C(3652) * 86400 * 1000000000};

static int64_t delay(const struct trq_retry *policy, int failures, uint64_t seed)
{
    return trq_retry_delay(policy, failures, NULL, seed).ns;
}

/* ---- chance ------------------------------------------------------------------------------------------------------------- */

enum { DRAWS = 20000, BINS = 50 };

/* What is added to `least` lies in [0, width), evenly. Seeds as they come: 0, 1, 2... and far apart. */
static void expect_even(const struct trq_retry *policy, int failures, int64_t least, int64_t width,
                        uint64_t step)
{
    int bin[BINS] = {0};
    double sum = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        int64_t d = delay(policy, failures, i * step);
        cr_assert_geq(d, least);
        cr_assert_lt(d, least + width);
        bin[(d - least) / (width / BINS)]++;
        sum += (double)(d - least) / (double)width;
    }
    double chi = 0, expected = (double)DRAWS / BINS;
    for (int i = 0; i < BINS; i++)
        chi += (bin[i] - expected) * (bin[i] - expected) / expected;
    cr_assert_lt(fabs(sum / DRAWS - 0.5), 0.01, "mean %f", sum / DRAWS);
    /* 49 degrees of freedom: above 86 once in a thousand; and what is too even is no chance either. */
    cr_assert_lt(chi, 86.0);
    cr_assert_gt(chi, 23.0);
}

Test(retry, the_defaults_chance_is_even_and_grows_with_the_failures)
{
    static const uint64_t steps[] = {1, UINT64_C(1) << 32, UINT64_C(0x9E3779B97F4A7C15)};
    for (size_t i = 0; i < 3; i++) {
        expect_even(NULL, 1, 15 * second, 10 * second, steps[i]);
        expect_even(NULL, 3, 31 * second, 30 * second, steps[i]);
        expect_even(NULL, 25, (331776 + 15) * second, 250 * second, steps[i]);
    }
}

Test(retry, a_jitter_is_so_many_per_cent_of_the_delay_and_only_added)
{
    const struct trq_retry *tenth = TRQ_RETRY(.constant = trq_seconds(100));
    const struct trq_retry *half = TRQ_RETRY(.constant = trq_seconds(100), .jitter = 50);
    const struct trq_retry *tenfold = TRQ_RETRY(.constant = trq_seconds(100), .jitter = 1000);
    const struct trq_span spans[] = {trq_seconds(7), trq_seconds(200)};
    const struct trq_retry *list = TRQ_RETRY(.list = spans, .list_count = 2, .jitter = 20);
    expect_even(tenth, 4, 100 * second, 10 * second, 1);
    expect_even(half, 4, 100 * second, 50 * second, 1);
    expect_even(tenfold, 4, 100 * second, 1000 * second, 1);
    expect_even(list, 2, 200 * second, 40 * second, 1);
    expect_even(TRQ_RETRY(.jitter = 50), 3, 31 * second, 31 * second / 2, 1); /* of the default */
}

Test(retry, the_same_seed_has_the_same_answer_and_another_one_another)
{
    int same = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        cr_assert_eq(delay(NULL, 5, seed), delay(NULL, 5, seed));
        same += delay(NULL, 5, seed) == delay(NULL, 5, seed + 1);
    }
    cr_assert_eq(same, 0);
}

/* ---- delays ---------------------------------------------------------------------------------------------------------------- */

Test(retry, without_jitter_the_default_is_the_fourth_power_and_fifteen_seconds)
{
    const struct trq_retry *exact = TRQ_RETRY(.jitter = TRQ_JITTER_NONE);
    int64_t sum = 0;
    for (int n = 0; n < 25; n++) {
        int64_t wanted = ((int64_t)n * n * n * n + 15) * second;
        cr_assert_eq(delay(exact, n + 1, 42), wanted);
        sum += wanted;
    }
    cr_assert_eq(delay(exact, 26, 42), INT64_MAX);
    cr_assert_eq(sum / (86400 * second), 20); /* days: "some three weeks" with the chance */
}

Test(retry, no_delay_is_longer_than_ten_years_however_many_failures)
{
    const struct trq_retry *forever = TRQ_RETRIES(TRQ_RETRY_FOREVER);
    const struct trq_retry *exact =
        TRQ_RETRY(.retries = TRQ_RETRY_FOREVER, .jitter = TRQ_JITTER_NONE);
    const struct trq_retry *tenfold = TRQ_RETRY(.retries = TRQ_RETRY_FOREVER, .jitter = 1000);
    static const int failures[] = {135, 136, 1999, 2000, 2001, 65535, 1 << 20, INT32_MAX};
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++)
        for (uint64_t seed = 0; seed < 100; seed++) {
            int64_t d = delay(forever, failures[i], seed);
            cr_assert(d <= ten_years.ns && d >= ten_years.ns - 20000 * second);
            cr_assert_eq(delay(exact, failures[i], seed), ten_years.ns);
            d = delay(tenfold, failures[i], seed);
            cr_assert(d <= ten_years.ns && d >= 0);
        }
    cr_assert_eq(delay(exact, 134, 0), (INT64_C(133) * 133 * 133 * 133 + 15) * second);
    const struct trq_retry *never = TRQ_RETRY(.constant = trq_forever(), .jitter = TRQ_JITTER_NONE);
    cr_assert_eq(delay(never, 1, 1), ten_years.ns);
    expect_even(TRQ_RETRY(.constant = trq_forever()), 1, ten_years.ns - ten_years.ns / 10,
                ten_years.ns / 10, 1);
}

Test(retry, a_constant_is_that_span_each_time)
{
    const struct trq_retry *policy =
        TRQ_RETRY(.constant = trq_ms(1500), .jitter = TRQ_JITTER_NONE, .retries = 3);
    for (int n = 1; n <= 3; n++)
        cr_assert_eq(delay(policy, n, (uint64_t)n), 1500000000);
    cr_assert_eq(delay(policy, 4, 0), INT64_MAX);
    /* Too short for its jitter to be a nanosecond. */
    cr_assert_eq(delay(TRQ_RETRY(.constant = trq_ns(1)), 1, 7), 1);
}

Test(retry, a_list_is_taken_one_by_one_and_its_last_stands_for_the_rest)
{
    const struct trq_span spans[] = {trq_seconds(3), trq_ns(0), trq_seconds(2)};
    const struct trq_retry *as_many =
        TRQ_RETRY(.list = spans, .list_count = 3, .jitter = TRQ_JITTER_NONE);
    const struct trq_retry *more =
        TRQ_RETRY(.list = spans, .list_count = 3, .jitter = TRQ_JITTER_NONE, .retries = 5);
    const struct trq_retry *fewer =
        TRQ_RETRY(.list = spans, .list_count = 3, .jitter = TRQ_JITTER_NONE, .retries = 1);
    static const int64_t wanted[] = {3, 0, 2, 2, 2};
    for (int n = 1; n <= 5; n++) {
        cr_assert_eq(delay(as_many, n, 1), n <= 3 ? wanted[n - 1] * second : INT64_MAX);
        cr_assert_eq(delay(more, n, 1), wanted[n - 1] * second);
        cr_assert_eq(delay(fewer, n, 1), n == 1 ? 3 * second : INT64_MAX);
    }
    cr_assert_eq(delay(more, 6, 1), INT64_MAX);
}

/* Where it cuts, the window of chance ends there, so that not all come back together. */
Test(retry, most_bounds_all_of_it)
{
    const struct trq_retry *policy = TRQ_RETRY(.most = trq_seconds(20));
    const struct trq_retry *hour =
        TRQ_RETRY(.constant = trq_hours(1), .most = trq_hours(1), .retries = 9);
    const struct trq_retry *near =
        TRQ_RETRY(.constant = trq_seconds(19), .most = trq_seconds(20), .jitter = 10);
    const struct trq_retry *exact =
        TRQ_RETRY(.constant = trq_seconds(21), .most = trq_seconds(20), .jitter = TRQ_JITTER_NONE);
    expect_even(policy, 1, 10 * second, 10 * second, 1);
    expect_even(hour, 7, 54 * 60 * second, 6 * 60 * second, 1);
    expect_even(near, 1, 18100 * (second / 1000), 1900 * (second / 1000), 1);
    cr_assert_eq(delay(exact, 1, 7), 20 * second);
    cr_assert_leq(delay(TRQ_RETRY(.constant = trq_hours(24), .most = trq_ns(1)), 1, 0), 1);
    for (uint64_t seed = 0; seed < 1000; seed++)
        for (int failures = 1; failures <= 25; failures++)
            cr_assert_leq(delay(policy, failures, seed), 20 * second);
}

/* ---- how many ------------------------------------------------------------------------------------------------------------------ */

Test(retry, retries_are_counted_after_the_first_attempt)
{
    cr_assert_neq(delay(NULL, 25, 0), INT64_MAX);
    cr_assert_eq(delay(NULL, 26, 0), INT64_MAX);
    cr_assert_eq(delay(&trq_no_retry, 1, 0), INT64_MAX);
    cr_assert_eq(delay(TRQ_RETRIES(TRQ_RETRY_NEVER), 1, 0), INT64_MAX);
    cr_assert_neq(delay(TRQ_RETRIES(1), 1, 0), INT64_MAX);
    cr_assert_eq(delay(TRQ_RETRIES(1), 2, 0), INT64_MAX);
    cr_assert_neq(delay(TRQ_RETRIES(TRQ_RETRY_MAX), TRQ_RETRY_MAX, 0), INT64_MAX);
    cr_assert_eq(delay(TRQ_RETRIES(TRQ_RETRY_MAX), TRQ_RETRY_MAX + 1, 0), INT64_MAX);
    cr_assert_neq(delay(TRQ_RETRIES(TRQ_RETRY_FOREVER), INT32_MAX, 0), INT64_MAX);
}

Test(retry, what_is_no_policy_and_no_failure_has_no_delay)
{
    const struct trq_retry bad[] = {
        {.size = 3},
        {.size = sizeof(struct trq_retry), .retries = -3},
        {.size = sizeof(struct trq_retry), .jitter = -2},
        {.size = sizeof(struct trq_retry), .most = {-1}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(delay(&bad[i], 1, 0), INT64_MAX);
    cr_assert_eq(delay(NULL, 0, 0), INT64_MAX);
    cr_assert_eq(delay(NULL, -1, 0), INT64_MAX);
    cr_assert_eq(delay(NULL, INT32_MIN, 0), INT64_MAX);
}

/* ---- a function ------------------------------------------------------------------------------------------------------------------- */

static struct {
    int failures;
    uint64_t seed;
    char text[252];
    int64_t answer;
    int calls;
} asked;

static struct trq_span ask(int failures, const struct trq_error *error, uint64_t seed)
{
    asked.failures = failures;
    asked.seed = seed;
    snprintf(asked.text, sizeof asked.text, "%s", error->text);
    asked.calls++;
    return trq_ns(asked.answer);
}

Test(retry, a_function_is_asked_with_all_that_is_known)
{
    const struct trq_error why = {.text = "no route"};
    asked.answer = 5 * second;
    cr_assert_eq(trq_retry_delay(TRQ_RETRY(.delay = ask), 7, &why, 99).ns, 5 * second);
    cr_assert_eq(asked.failures, 7);
    cr_assert_eq(asked.seed, 99);
    cr_assert_str_eq(asked.text, "no route");
    cr_assert_eq(delay(TRQ_RETRY(.delay = ask), 1, 3), 5 * second); /* never NULL */
    cr_assert_str_eq(asked.text, "");
    expect_even(TRQ_RETRY(.delay = ask, .jitter = 10), 2, 5 * second, second / 2, 1);
    asked.answer = 0;
    cr_assert_eq(delay(TRQ_RETRY(.delay = ask), 1, 3), 0);
}

Test(retry, a_function_may_say_that_there_is_no_more_and_is_not_asked_beyond_the_last)
{
    asked.answer = INT64_MAX;
    cr_assert_eq(delay(TRQ_RETRY(.delay = ask), 1, 0), INT64_MAX);
    asked.answer = 1;
    int calls = asked.calls;
    cr_assert_eq(delay(TRQ_RETRY(.delay = ask, .retries = 3), 4, 0), INT64_MAX);
    cr_assert_eq(asked.calls, calls);
}

Test(retry, nonsense_of_a_function_is_the_default_and_what_is_too_long_ten_years)
{
    static const int64_t nonsense[] = {-1, INT64_MIN, -second};
    for (size_t i = 0; i < 3; i++) {
        asked.answer = nonsense[i];
        cr_assert_eq(delay(TRQ_RETRY(.delay = ask), 3, 5), delay(NULL, 3, 5));
        cr_assert_eq(delay(TRQ_RETRY(.delay = ask, .jitter = TRQ_JITTER_NONE), 3, 5), 31 * second);
    }
    asked.answer = INT64_MAX - 1;
    cr_assert_eq(delay(TRQ_RETRY(.delay = ask), 3, 5), ten_years.ns);
    cr_assert_leq(delay(TRQ_RETRY(.delay = ask, .jitter = 1000), 3, 5), ten_years.ns);
}

/* ---- declarations -------------------------------------------------------------------------------------------------------------------- */

static enum trq_end done(struct trq_job *job)
{
    (void)job;
    return TRQ_DONE;
}

static const struct trq_span below[] = {{5}, {-5}};
static const struct trq_span few[] = {{5}};

static const struct {
    struct trq_retry policy;
    const char *sentence;
} refused[] = {
    {{.size = 8}, "worker W: retry: size is 8, or a field of a newer release is set"},
    {{.retries = 50001}, "worker W: retry: 50001 retries; at most 50000"},
    {{.retries = -3}, "worker W: retry: -3 retries; at most 50000"},
    {{.list = few}, "worker W: retry: one of constant, delay, and list with list_count"},
    {{.list_count = 1}, "worker W: retry: one of constant, delay, and list with list_count"},
    {{.list = few, .list_count = 1, .constant = {1}},
     "worker W: retry: one of constant, delay, and list with list_count"},
    {{.list = few, .list_count = 1, .delay = ask},
     "worker W: retry: one of constant, delay, and list with list_count"},
    {{.constant = {1}, .delay = ask},
     "worker W: retry: one of constant, delay, and list with list_count"},
    {{.list = few, .list_count = 50001}, "worker W: retry: a list of 50001; at most 50000"},
    {{.constant = {-1}}, "worker W: retry: a delay below zero"},
    {{.most = {-1}}, "worker W: retry: a delay below zero"},
    {{.list = below, .list_count = 2}, "worker W: retry: list[1] is below zero"},
    {{.jitter = -2}, "worker W: retry: jitter of -2 per cent; at most 1000"},
    {{.jitter = 1001}, "worker W: retry: jitter of 1001 per cent; at most 1000"},
};

Test(retry, what_is_wrong_is_said_at_registration_and_at_the_call)
{
    struct trq_engine *engine = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE), NULL);
    struct trq_worker worker = {.size = sizeof worker, .name = "W", .perform = done};
    const struct trq_app app = {.size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&worker)};
    struct trq_error error = {0};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct trq_retry policy = refused[i].policy;
        if (!policy.size)
            policy.size = sizeof policy;
        worker.retry = &policy;
        cr_assert_eq(trq_register(engine, &app, &error), TRQ_EINVAL);
        cr_assert_str_eq(error.text, refused[i].sentence);
        cr_assert_eq(delay(&policy, 1, 0), INT64_MAX);
    }
    worker.retry = NULL;
    worker.timeout.ns = -1;
    cr_assert_eq(trq_register(engine, &app, &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "worker W: timeout or expires_in is below zero");
    worker.timeout.ns = 0;
    worker.expires_in.ns = -1;
    cr_assert_eq(trq_register(engine, &app, &error), TRQ_EINVAL);
    worker.expires_in.ns = 0;
    cr_assert_eq(trq_register(engine, &app, &error), TRQ_OK, "%s", error.text);

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct trq_retry policy = refused[i].policy;
        if (!policy.size)
            policy.size = sizeof policy;
        const struct trq_opts opts = {.size = sizeof opts, .retry = &policy, .error = &error};
        error.text[0] = '\0';
        cr_assert_eq(trq_enqueue(engine, &worker, TRQ_DICT_NONE, &opts, NULL), TRQ_EINVAL);
        cr_assert_str_eq(error.text, refused[i].sentence);
    }
    const struct trq_opts late = {.size = sizeof late, .timeout = {-1}, .error = &error},
                          later = {.size = sizeof late, .expires_in = {-1}, .error = &error};
    cr_assert_eq(trq_enqueue(engine, &worker, TRQ_DICT_NONE, &late, NULL), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "timeout or expires_in is below zero");
    cr_assert_eq(trq_enqueue(engine, &worker, TRQ_DICT_NONE, &later, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(retry, another_policy_is_another_declaration)
{
    struct trq_engine *engine = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE), NULL);
    struct trq_worker a = {.size = sizeof a, .name = "W", .perform = done, .retry = TRQ_RETRIES(5)};
    struct trq_worker b = a;
    const struct trq_app app = {.size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&a)};
    const struct trq_app other = {.size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&b)};
    cr_assert_eq(trq_register(engine, &app, NULL), TRQ_OK);
    b.retry = TRQ_RETRIES(5); /* another one that says the same */
    cr_assert_eq(trq_register(engine, &other, NULL), TRQ_OK);
    b.retry = TRQ_RETRIES(6);
    cr_assert_eq(trq_register(engine, &other, NULL), TRQ_ECONFLICT);
    b = a;
    b.timeout.ns = 1;
    cr_assert_eq(trq_register(engine, &other, NULL), TRQ_ECONFLICT);
    b = a;
    b.expires_in.ns = 1;
    cr_assert_eq(trq_register(engine, &other, NULL), TRQ_ECONFLICT);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
