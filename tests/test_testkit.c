/* Rule 10.6, as far as it goes: an engine for tests of workers. */
#include <criterion/criterion.h>

#include <tresque/test.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static const struct trq_app *const apps[] = {&fx_app, NULL};

Test(testkit, nothing_runs_until_a_step_or_a_drain_says_so)
{
    struct trq_engine *engine;
    struct trq_error error;
    cr_assert_eq(trq_test_engine(&fx, (struct trq_wall){0}, apps, &engine, &error), TRQ_OK);
    for (int i = 1; i <= 4; i++)
        cr_assert_eq(fx_enqueue(engine, i, NULL), TRQ_OK);
    cr_assert_str_eq(fx_text(&fx), "");
    cr_assert_eq(trq_test_step(engine), 1);
    cr_assert_str_eq(fx_text(&fx), "1");
    cr_assert_eq(trq_test_drain(engine), 3);
    cr_assert_str_eq(fx_text(&fx), "1 2 3 4");
    cr_assert_eq(trq_test_step(engine), 0);
    cr_assert_eq(trq_test_drain(engine), 0);
    cr_assert_eq(fx_stats(engine, "Num").run.count, 4, "each job is timed");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(testkit, without_applications_it_is_an_empty_engine)
{
    struct trq_engine *engine;
    cr_assert_eq(trq_test_engine(NULL, (struct trq_wall){0}, NULL, &engine, NULL), TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 0);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(testkit, a_wrong_application_is_refused_and_nothing_is_left)
{
    static const struct trq_worker bad = {.size = sizeof bad, .name = "Bad"};
    struct trq_engine *engine = (void *)&fx;
    struct trq_error error = {0};
    const struct trq_app *const wrong[] = {&fx_app, FX_APP(.workers = TRQ_WORKERS(&bad)), NULL};
    cr_assert_eq(trq_test_engine(NULL, (struct trq_wall){0}, wrong, &engine, &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "worker Bad: perform is NULL");
    cr_assert(engine == (void *)&fx, "untouched");
    cr_assert_eq(trq_test_engine(NULL, (struct trq_wall){0}, apps, NULL, &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "out_engine is NULL");
}

Test(testkit, after_a_stop_a_step_is_refused)
{
    struct trq_engine *engine;
    cr_assert_eq(trq_test_engine(&fx, (struct trq_wall){0}, apps, &engine, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_OK);
    cr_assert_eq(trq_test_step(engine), TRQ_ESTOPPED);
    cr_assert_eq(trq_test_drain(engine), TRQ_ESTOPPED);
    cr_assert_eq(trq_test_step(NULL), TRQ_EINVAL);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
