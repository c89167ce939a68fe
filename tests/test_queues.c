/* Rules 2.2 to 2.6: strict weights, turns among equals, FIFO, pause, and queues by name. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"default", 100, 0}, {"low", -5000, 0}, {"high", 9000, 0}, {"e1", 7, 0},
                         {"e2", 7, 0}, {"e3", 7, 0}),
    .workers = TRQ_WORKERS(&num),
};
static const struct trq_app other = {
    .size = sizeof other, .name = "other", .queues = TRQ_QUEUES({"default", 50, 0})};

static struct fx fx = FX_INIT;
static struct trq_engine *engine;
static struct trq_error error;

static void set_up(void)
{
    engine = fx_polled(&fx, &app);
    cr_assert_eq(trq_register(engine, &other, NULL), TRQ_OK);
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(queues, .init = set_up, .fini = tear_down);

static int put(const char *queue, int64_t n)
{
    return fx_enqueue(engine, n, TRQ_OPTS(.queue = queue, .error = &error));
}
static void put_all(const char *queue, int64_t first, int64_t last)
{
    for (int64_t n = first; n <= last; n++)
        cr_assert_eq(put(queue, n), TRQ_OK);
}
static void runs(const char *wanted)
{
    cr_assert(trq_engine_poll(engine, 0, trq_ns(0)) >= 0);
    cr_assert_str_eq(fx_text(&fx), wanted);
}
static struct trq_queue_stats stats_of(const char *queue)
{
    struct trq_queue_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_queue(engine, queue, &stats), TRQ_OK);
    return stats;
}

Test(queues, heavier_queues_come_first_strictly)
{
    put_all("low", 1, 3);
    put_all(NULL, 11, 13);
    put_all("high", 21, 23);
    runs("21 22 23 11 12 13 1 2 3");
}

Test(queues, what_comes_later_into_a_heavier_queue_is_next)
{
    put_all("low", 1, 2);
    cr_assert_eq(trq_engine_poll(engine, 1, trq_ns(0)), 1);
    put_all("high", 21, 21);
    runs("1 21 2");
}

Test(queues, equals_take_turns)
{
    put_all("e1", 11, 13);
    put_all("e2", 21, 23);
    put_all("e3", 31, 33);
    runs("11 21 31 12 22 32 13 23 33");
}

Test(queues, an_empty_equal_misses_its_turn)
{
    put_all("e1", 11, 13);
    put_all("e3", 31, 33);
    runs("11 31 12 32 13 33");
}

Test(queues, one_queue_is_first_in_first_out)
{
    enum { MANY = 4000 };
    put_all(NULL, 1, MANY);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), MANY);
    for (int i = 0; i < MANY; i++)
        cr_assert_eq(fx.value[i], i + 1);
}

Test(queues, a_short_name_is_of_the_application_and_a_full_name_any)
{
    put_all("low", 1, 1);
    put_all("app_low", 2, 2);
    put_all("other_default", 3, 3);
    cr_assert_eq(stats_of("app_low").depth, 2);
    cr_assert_eq(stats_of("other_default").depth, 1);
}

Test(queues, a_short_name_goes_before_a_full_one)
{
    cr_assert_eq(trq_register(engine,
                              FX_APP(.name = "app", .queues = TRQ_QUEUES({"other_default", 1, 0})),
                              NULL),
                 TRQ_OK);
    put_all("other_default", 1, 1);
    cr_assert_eq(stats_of("app_other_default").depth, 1);
    cr_assert_eq(stats_of("other_default").depth, 0);
}

Test(queues, an_unknown_name_is_told_what_exists)
{
    cr_assert_eq(put("lo", 1), TRQ_EUNKNOWN);
    cr_assert_str_eq(error.text, "no queue lo; there are app_high, app_default, other_default, "
                                 "app_e1, app_e2, app_e3, app_low");
    cr_assert_eq(put("", 1), TRQ_EUNKNOWN);
    cr_assert_eq(put("default_", 1), TRQ_EUNKNOWN);
    cr_assert_eq(put("app_", 1), TRQ_EUNKNOWN);
    cr_assert_eq(put("other", 1), TRQ_EUNKNOWN);
    char odd[600];
    memset(odd, '\xff', sizeof odd - 1);
    odd[sizeof odd - 1] = '\0';
    cr_assert_eq(put(odd, 1), TRQ_EUNKNOWN);
    cr_assert(strlen(error.text) < sizeof error.text);
    runs("");
}

Test(queues, what_exists_is_cut_at_a_name)
{
    char name[8];
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "many%d", i);
        cr_assert_eq(
            trq_register(engine, FX_APP(.name = "app", .queues = TRQ_QUEUES({name, 100, 0})), NULL),
            TRQ_OK);
    }
    cr_assert_eq(put("x", 1), TRQ_EUNKNOWN);
    size_t n = strlen(error.text);
    cr_assert(n < sizeof error.text && strcmp(error.text + n - 5, ", ...") == 0, "%s", error.text);
}

Test(queues, a_weight_raised_by_another_registration_counts_from_then_on)
{
    put_all("low", 1, 2);
    put_all(NULL, 11, 12);
    cr_assert_eq(
        trq_register(engine, FX_APP(.name = "app", .queues = TRQ_QUEUES({"low", 101, 0})), NULL),
        TRQ_OK);
    runs("1 2 11 12");
}

Test(queues, jobs_enqueued_before_the_start_run_after_it_in_order)
{
    struct trq_engine *e = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = &fx), &app);
    cr_assert_eq(fx_enqueue(e, 1, TRQ_OPTS(.queue = "low")), TRQ_OK);
    cr_assert_eq(fx_enqueue(e, 2, TRQ_OPTS(.queue = "high")), TRQ_OK);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), TRQ_EINVAL, "not started");
    cr_assert_eq(trq_engine_start(e, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), 2);
    cr_assert_str_eq(fx_text(&fx), "2 1");
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

/* ---- pause ------------------------------------------------------------------------------------------ */

Test(queues, a_paused_queue_is_passed_over_until_it_is_resumed)
{
    put_all("high", 21, 22);
    cr_assert_eq(trq_queue_pause(engine, "app_high", NULL), TRQ_OK);
    cr_assert_eq(trq_queue_pause(engine, "app_high", NULL), TRQ_OK, "idempotent");
    put_all("high", 23, 23);
    put_all("low", 1, 1);
    runs("1");
    cr_assert(stats_of("app_high").paused);
    cr_assert_eq(stats_of("app_high").depth, 3);
    cr_assert_not(fx_readable(trq_engine_fd(engine)), "there is nothing to do");
    cr_assert_eq(trq_queue_resume(engine, "app_high", NULL), TRQ_OK);
    cr_assert_eq(trq_queue_resume(engine, "app_high", NULL), TRQ_OK, "idempotent");
    cr_assert(fx_readable(trq_engine_fd(engine)));
    runs("1 21 22 23");
    cr_assert_not(stats_of("app_high").paused);
}

Test(queues, a_pause_outlives_a_registration)
{
    put_all("high", 21, 21);
    cr_assert_eq(trq_queue_pause(engine, "app_high", NULL), TRQ_OK);
    cr_assert_eq(
        trq_register(engine, FX_APP(.name = "app", .queues = TRQ_QUEUES({"new", 1, 0})), NULL),
        TRQ_OK);
    runs("");
    cr_assert_eq(trq_queue_resume(engine, "app_high", NULL), TRQ_OK);
    runs("21");
}

Test(queues, a_drain_does_not_wait_for_a_paused_queue)
{
    put_all(NULL, 1, 3);
    put_all("low", 4, 4);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_str_eq(fx_text(&fx), "4");
}

Test(queues, pausing_what_does_not_exist_tells_what_does)
{
    cr_assert_eq(trq_queue_pause(engine, "high", &error), TRQ_EUNKNOWN, "full names only");
    cr_assert_str_eq(error.text, "no queue high; there are app_high, app_default, other_default, "
                                 "app_e1, app_e2, app_e3, app_low");
    cr_assert_eq(trq_queue_resume(engine, "nix", NULL), TRQ_EUNKNOWN);
    cr_assert_eq(trq_queue_pause(engine, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_queue_pause(NULL, "app_high", NULL), TRQ_EINVAL);
}

/* ---- only some queues ------------------------------------------------------------------------------------ */

Test(queues, an_engine_may_work_only_some)
{
    const char *some[] = {"app_low", "app_late", NULL};
    struct trq_engine *e =
        fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = &fx, .queues = some), &app);
    char text[100];
    cr_assert_eq(trq_engine_start(e, &error), TRQ_EUNKNOWN);
    cr_assert(strncmp(error.text, "no queue app_late; there are app_high", 37) == 0);
    cr_assert_eq(trq_register(e, FX_APP(.name = "app", .queues = TRQ_QUEUES({"late", 1, 0})), NULL),
                 TRQ_OK);
    some[0] = some[1] = "changed"; /* the engine has its own copy */
    cr_assert_eq(trq_engine_start(e, &error), TRQ_OK, "it may be tried again");
    for (int i = 0; i < 3; i++)
        cr_assert_eq(fx_enqueue(e, i,
                                TRQ_OPTS(.queue = i == 0   ? "default"
                                                  : i == 1 ? "low"
                                                           : "late")),
                     TRQ_OK);
    cr_assert_eq(trq_engine_drain(e, fx_long()), TRQ_OK);
    cr_assert_str_eq(fx_text(&fx), "2 1");
    trq_queues_text(e, text, sizeof text);
    cr_assert_str_eq(text, "app_late, app_low");
    struct trq_queue_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_queue(e, "app_default", &stats), TRQ_OK);
    cr_assert(!stats.worked && stats.depth == 1);
    cr_assert_eq(trq_queue_resume(e, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), 0, "a resume does not make it worked");
    struct trq_leftover left = {.size = sizeof left};
    cr_assert_eq(trq_engine_stop(e, fx_long(), &left), TRQ_OK);
    cr_assert_eq(left.dropped, 1);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

/* ---- text, depth, age ---------------------------------------------------------------------------------------- */

Test(queues, the_order_is_had_as_text_of_any_room)
{
    const char *whole = "app_high, app_default, other_default, app_e1, app_e2, app_e3, app_low";
    size_t size = strlen(whole);
    for (size_t room = 0; room <= size + 2; room++) {
        char *buffer = malloc(room ? room : 1);
        cr_assert_eq(trq_queues_text(engine, buffer, room), size);
        if (room) {
            size_t fits = room - 1 < size ? room - 1 : size;
            cr_assert(strlen(buffer) == fits && strncmp(buffer, whole, fits) == 0);
        }
        free(buffer);
    }
    cr_assert_eq(trq_queues_text(engine, NULL, 0), size);
}

Test(queues, depth_and_age_are_those_of_what_waits)
{
    cr_assert(stats_of("app_default").depth == 0 && stats_of("app_default").oldest.ns == 0);
    put_all(NULL, 1, 250);
    struct timespec pause = {.tv_nsec = 20000000}; /* so that an age shows on the coarse clock */
    nanosleep(&pause, NULL);
    for (int left = 250; left > 0; left--) {
        cr_assert_eq(stats_of("app_default").depth, left);
        cr_assert(stats_of("app_default").oldest.ns >= 10000000);
        cr_assert_eq(trq_engine_poll(engine, 1, trq_ns(0)), 1);
    }
    cr_assert(stats_of("app_default").depth == 0 && stats_of("app_default").oldest.ns == 0);
    struct trq_queue_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_queue(engine, "default", &stats), TRQ_EUNKNOWN);
}

/* A random mix against a list that is searched the dumb way. */
Test(queues, any_mix_runs_in_the_order_of_the_model)
{
    static const char *const queue[] = {"high", "default", "low"};
    enum { JOBS = 1500 };
    static int waits[3][JOBS];
    int first[3] = {0}, last[3] = {0};
    unsigned seed = 20240607;
    for (int i = 0, n = 0; n < JOBS; i++) {
        if (rand_r(&seed) % 5 < 3) {
            int q = rand_r(&seed) % 3;
            cr_assert_eq(put(queue[q], n), TRQ_OK);
            waits[q][last[q]++] = n++;
            continue;
        }
        int q = 0;
        while (q < 3 && first[q] == last[q])
            q++;
        int ran = fx.values;
        cr_assert_eq(trq_engine_poll(engine, 1, trq_ns(0)), q < 3);
        if (q < 3)
            cr_assert_eq(fx.value[ran], waits[q][first[q]++], "step %d of seed 20240607", i);
    }
}
