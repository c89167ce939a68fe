/* Rule 10.3: stop, drain, destroy. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;
static struct trq_leftover left;

static void set_up(void)
{
    engine = fx_start(FX_CONFIG(.threads = 2, .host = &fx, .thread_name = "pool"), &fx_app);
    left = (struct trq_leftover){.size = sizeof left};
}
TestSuite(stop, .init = set_up);

static void put(const struct trq_worker *worker, int64_t n)
{
    cr_assert_eq(
        trq_enqueue(engine, worker, TRQ_DICT(TRQ_KV("n", n)), TRQ_OPTS(.on_end = fx_on_end), NULL),
        TRQ_OK);
}
/* Both threads are in a handler, and more waits. */
static void occupy(int waiting)
{
    put(&gated, 1);
    put(&gated, 2);
    fx_gate_await(&fx.gate, 2);
    for (int i = 0; i < waiting; i++)
        put(&num, 100 + i);
}
static void end_it(void)
{
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(stop, an_idle_engine_stops_at_once_and_again)
{
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
        cr_assert(left.still_running == 0 && left.dropped == 0 && left.running[0] == '\0');
    }
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(stop, an_engine_that_never_started_drops_what_waits)
{
    struct trq_engine *e = fx_create(FX_CONFIG(.threads = 3, .host = &fx), &fx_app);
    cr_assert_eq(fx_enqueue(e, 1, TRQ_OPTS(.on_end = fx_on_end)), TRQ_OK);
    cr_assert_eq(trq_engine_stop(e, trq_ns(0), &left), TRQ_OK);
    cr_assert(left.dropped == 1 && fx.outcome[TRQ_WAS_DROPPED] == 1);
    cr_assert_eq(trq_engine_start(e, NULL), TRQ_ESTOPPED);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    end_it();
}

Test(stop, in_time_it_lets_handlers_finish_and_drops_the_rest)
{
    occupy(5);
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    cr_assert_eq(left.still_running, 0);
    cr_assert_eq(fx.outcome[TRQ_WAS_DONE] + fx.outcome[TRQ_WAS_DROPPED], 7);
    cr_assert_eq(fx.outcome[TRQ_WAS_DROPPED], (int)left.dropped);
    struct trq_worker_stats stats = fx_stats(engine, NULL);
    cr_assert(stats.enqueued == 7 && fx_ended(&stats) == 7 && stats.dropped == left.dropped);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(stop, out_of_time_it_names_what_still_runs)
{
    occupy(5);
    cr_assert_eq(trq_engine_stop(engine, trq_ms(1), &left), TRQ_ETIMEOUT);
    cr_assert(left.still_running == 2 && left.dropped == 5);
    cr_assert_str_eq(left.running, "Gated on pool-0, Gated on pool-1");
    cr_assert_eq(fx.outcome[TRQ_WAS_DROPPED], 5);
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left), TRQ_ETIMEOUT);
    cr_assert_eq(left.dropped, 5, "in all");
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    cr_assert(left.still_running == 0 && left.dropped == 5);
    cr_assert_eq(fx.outcome[TRQ_WAS_DONE], 2);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(stop, many_running_handlers_are_cut_to_the_room)
{
    struct trq_engine *e = fx_start(FX_CONFIG(.threads = 30, .host = &fx), &fx_app);
    struct gated_in in = {0};
    for (int i = 0; i < 30; i++)
        cr_assert_eq(gated_enqueue(e, &in, NULL, NULL), TRQ_OK);
    fx_gate_await(&fx.gate, 30);
    cr_assert_eq(trq_engine_stop(e, trq_ns(0), &left), TRQ_ETIMEOUT);
    cr_assert_eq(left.still_running, 30);
    cr_assert_eq(strlen(left.running), sizeof left.running - 1);
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(e, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    end_it();
}

Test(stop, destroy_is_refused_after_a_stop_that_timed_out_until_the_handlers_end)
{
    occupy(1);
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_ETIMEOUT);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(trq_engine_destroy(engine), TRQ_ETIMEOUT);
    cr_assert_eq(fx_stats(engine, "Gated").started, 2, "nothing was freed");
    fx_gate_open(&fx.gate);
    int rc;
    FX_AWAIT((rc = trq_engine_destroy(engine)) != TRQ_ETIMEOUT);
    cr_assert_eq(rc, TRQ_OK);
    cr_assert_eq(fx.outcome[TRQ_WAS_DONE], 2);
}

static void *open_later(void *arg)
{
    (void)arg;
    fx_gate_open(&fx.gate);
    return NULL;
}
Test(stop, destroy_alone_waits_as_long_as_it_takes)
{
    pthread_t opener;
    occupy(3);
    pthread_create(&opener, NULL, open_later, NULL);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    pthread_join(opener, NULL);
    cr_assert_eq(fx.ends, 5);
    cr_assert_eq(trq_engine_destroy(NULL), TRQ_OK);
}

static enum trq_end until_told(struct trq_job *job)
{
    fx_note(trq_job_host(job), 1);
    while (!trq_job_should_stop(job))
        sched_yield();
    return trq_requeue(job);
}
Test(stop, a_handler_is_told_and_what_it_requeues_is_dropped)
{
    static const struct trq_worker w = {.size = sizeof w, .name = "W", .perform = until_told};
    cr_assert_eq(trq_register(engine, FX_APP(.workers = TRQ_WORKERS(&w)), NULL), TRQ_OK);
    put(&w, 0);
    FX_AWAIT(fx_values(&fx) == 1);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    cr_assert_eq(left.dropped, 1);
    cr_assert(fx.outcome[TRQ_WAS_DROPPED] == 1 && fx.event.attempts == 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(stop, every_call_after_it_is_refused)
{
    struct trq_error error;
    struct trq_job_id id = {1, 2};
    struct num_in in[2] = {{0}};
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(num_enqueue(engine, in, NULL, &id), TRQ_ESTOPPED);
    cr_assert_eq(num_enqueue(engine, in, TRQ_OPTS(.error = &error), &id), TRQ_ESTOPPED);
    cr_assert_eq(error.code, TRQ_ESTOPPED);
    cr_assert_eq(num_enqueue_many(engine, in, 2, NULL, &id), TRQ_ESTOPPED);
    cr_assert_eq(trq_enqueue(engine, &num, TRQ_DICT_NONE, NULL, &id), TRQ_ESTOPPED);
    cr_assert(id.slot == 1 && id.birth == 2);
    cr_assert_eq(trq_register(engine, &fx_app, &error), TRQ_ESTOPPED);
    cr_assert_eq(trq_engine_start(engine, &error), TRQ_ESTOPPED);
    cr_assert_eq(trq_engine_drain(engine, trq_ns(0)), TRQ_ESTOPPED);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), TRQ_ESTOPPED);
    trq_wake(engine);
    cr_assert_eq(fx_stats(engine, "Num").enqueued, 0, "what was can still be read");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- drain ------------------------------------------------------------------------------------------------ */

Test(stop, a_drain_waits_for_what_waits_and_runs)
{
    pthread_t opener;
    occupy(20);
    cr_assert_eq(trq_engine_drain(engine, trq_ms(1)), TRQ_ETIMEOUT);
    cr_assert_eq(trq_engine_drain(engine, trq_ns(0)), TRQ_ETIMEOUT);
    pthread_create(&opener, NULL, open_later, NULL);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(fx.ends, 22);
    cr_assert_eq(trq_engine_drain(engine, trq_ns(0)), TRQ_OK, "it is quiet");
    pthread_join(opener, NULL);
    end_it();
}

Test(stop, a_drain_in_poll_mode_runs_them_here)
{
    struct trq_engine *e = fx_polled(&fx, &fx_app);
    cr_assert_eq(trq_engine_drain(e, trq_ns(0)), TRQ_OK, "nothing is ready");
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fx_enqueue(e, i, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(e, trq_ns(0)), TRQ_ETIMEOUT, "no time, no job");
    cr_assert_str_eq(fx_text(&fx), "");
    cr_assert_eq(trq_engine_drain(e, fx_long()), TRQ_OK);
    cr_assert_str_eq(fx_text(&fx), "0 1 2 3 4 5 6 7 8 9");
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    end_it();
}

static enum trq_end for_ever(struct trq_job *job)
{
    return trq_requeue(job);
}
Test(stop, a_drain_of_a_job_that_always_requeues_ends_with_the_time)
{
    static const struct trq_worker w = {.size = sizeof w, .name = "W", .perform = for_ever};
    const struct trq_app *app = FX_APP(.workers = TRQ_WORKERS(&w));
    struct trq_engine *polled = fx_polled(&fx, app);
    cr_assert_eq(trq_register(engine, app, NULL), TRQ_OK);
    cr_assert_eq(trq_enqueue(polled, &w, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(polled, trq_ms(2)), TRQ_ETIMEOUT);
    cr_assert_eq(trq_engine_destroy(polled), TRQ_OK);
    put(&w, 0);
    cr_assert_eq(trq_engine_drain(engine, trq_ms(2)), TRQ_ETIMEOUT);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    cr_assert_eq(left.dropped, 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

static void *drain_it(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)trq_engine_drain(engine, fx_long());
}
Test(stop, a_stop_ends_a_drain)
{
    pthread_t drainer;
    void *rc;
    occupy(1);
    pthread_create(&drainer, NULL, drain_it, NULL);
    cr_assert_eq(trq_engine_stop(engine, trq_ms(2), NULL), TRQ_ETIMEOUT);
    pthread_join(drainer, &rc);
    cr_assert_eq((int)(intptr_t)rc, TRQ_ESTOPPED);
    end_it();
}

Test(stop, a_drain_before_the_start_is_refused)
{
    struct trq_engine *e = fx_create(FX_CONFIG(.threads = 1), &fx_app);
    cr_assert_eq(trq_engine_drain(e, trq_ns(0)), TRQ_EINVAL);
    cr_assert_eq(trq_engine_drain(NULL, trq_ns(0)), TRQ_EINVAL);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    end_it();
}
