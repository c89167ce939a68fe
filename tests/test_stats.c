/* Counters, histograms, depth and age. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;

static enum trq_end by_number(struct trq_job *job)
{
    switch (trq_job_get_i64(job, "n")) {
    case 1:
        return TRQ_SKIP;
    case 2:
        return trq_fail(job, "no");
    case 3:
        return trq_discard(job, "no");
    default:
        return TRQ_DONE;
    }
}
static const struct trq_worker ends = {
    .size = sizeof ends, .name = "Ends", .retry = &trq_no_retry, .perform = by_number};

static enum trq_end three_times(struct trq_job *job)
{
    struct fx *host = trq_job_host(job);
    fx_note(host, 1);
    return fx_values(host) % 3 ? trq_requeue(job) : TRQ_DONE;
}
static const struct trq_worker requeues = {
    .size = sizeof requeues, .name = "Requeues", .retry = &trq_no_retry, .perform = three_times};

static struct trq_worker_stats in_handler;
static enum trq_end look(struct trq_job *job)
{
    in_handler = fx_stats(trq_job_engine(job), "Looks");
    return TRQ_DONE;
}
static const struct trq_worker looks = {
    .size = sizeof looks, .name = "Looks", .retry = &trq_no_retry, .perform = look};

static void set_up(void)
{
    engine = fx_start(
        FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = &fx, .sample_every = 4),
        FX_APP(.name = "app", .workers = TRQ_WORKERS(&num, &gated, &ends, &requeues, &looks)));
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(stats, .init = set_up, .fini = tear_down);

static void put(const struct trq_worker *worker, int64_t n, int times)
{
    while (times--)
        cr_assert_eq(trq_enqueue(engine, worker, TRQ_DICT(TRQ_KV("n", n)), NULL, NULL), TRQ_OK);
}
static uint64_t jobs_now(void)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_engine(engine, &stats), TRQ_OK);
    return stats.jobs;
}

Test(stats, each_end_has_its_counter_and_they_balance)
{
    put(&ends, 0, 5);
    put(&ends, 1, 4);
    put(&ends, 2, 3);
    put(&ends, 3, 2);
    put(&requeues, 0, 6);
    cr_assert_eq(jobs_now(), 20);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 14 + 18);
    struct trq_worker_stats s = fx_stats(engine, "Ends");
    cr_assert(s.enqueued == 14 && s.started == 14 && s.done == 5 && s.skipped == 4);
    cr_assert(s.dead == 3 && s.failed == 3 && s.discarded == 2 && s.requeued == 0);
    s = fx_stats(engine, "Requeues");
    cr_assert(s.enqueued == 6 && s.started == 18 && s.requeued == 12 && s.done == 6);
    put(&num, 0, 7);
    put(&ends, 0, 1);
    cr_assert_eq(jobs_now(), 8);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(fx_stats(engine, "Num").dropped, 7);
    s = fx_stats(engine, NULL);
    cr_assert(s.enqueued == 28 && s.dropped == 8 && fx_ended(&s) == 28);
    cr_assert_eq(jobs_now(), 0);
}

Test(stats, a_run_that_has_begun_is_counted_while_it_runs)
{
    put(&looks, 0, 1);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert(in_handler.enqueued == 1 && in_handler.started == 1 && in_handler.done == 0);
}

Test(stats, one_job_in_sample_every_is_timed)
{
    put(&num, 0, 100);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 100);
    struct trq_worker_stats s = fx_stats(engine, "Num");
    cr_assert(s.wait.count == 25 && s.run.count == 25, "%d", (int)s.wait.count);
    cr_assert(s.wait.p50.ns <= s.wait.p90.ns && s.wait.p90.ns <= s.wait.p99.ns);
    cr_assert(s.wait.p99.ns <= s.wait.p999.ns && s.wait.p50.ns > 0);
    cr_assert(s.run.max.ns > 0);
    cr_assert(s.wait.p999.ns <= s.wait.max.ns + s.wait.max.ns / 16 + 1);
}

Test(stats, an_untimed_event_says_no_run_time)
{
    struct trq_engine *never = fx_start(
        FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = &fx, .sample_every = UINT32_MAX), &fx_app);
    cr_assert_eq(fx_enqueue(never, 0, NULL), TRQ_OK); /* the first of a thread is timed */
    cr_assert_eq(fx_enqueue(never, 0, TRQ_OPTS(.on_end = fx_on_end)), TRQ_OK);
    cr_assert_eq(trq_engine_poll(never, 0, trq_ns(0)), 2);
    cr_assert_eq(fx.event.ran.ns, 0);
    cr_assert_eq(trq_engine_destroy(never), TRQ_OK);
}

Test(stats, nothing_happened_nothing_is_counted)
{
    struct trq_worker_stats s = fx_stats(engine, "Num");
    cr_assert(s.enqueued == 0 && fx_ended(&s) == 0 && s.wait.count == 0 && s.run.max.ns == 0);
    cr_assert_eq(trq_stats_worker(engine, "Nix", &s), TRQ_EUNKNOWN);
    cr_assert_eq(trq_stats_worker(engine, "", &s), TRQ_EUNKNOWN);
}

Test(stats, what_ended_threads_counted_stays)
{
    struct trq_engine *pool = fx_start(FX_CONFIG(.threads = 2, .host = &fx), &fx_app);
    for (int i = 0; i < 50; i++)
        cr_assert_eq(fx_enqueue(pool, i, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(pool, fx_long()), TRQ_OK);
    struct trq_engine_stats e = {.size = sizeof e};
    cr_assert_eq(trq_stats_engine(pool, &e), TRQ_OK);
    cr_assert(e.threads == 2 && e.asleep == 2 && e.jobs == 0);
    cr_assert_eq(trq_engine_stop(pool, fx_long(), NULL), TRQ_OK);
    struct trq_worker_stats s = fx_stats(pool, NULL);
    cr_assert(s.enqueued == 50 && s.done == 50 && s.started == 50);
    cr_assert_eq(trq_engine_destroy(pool), TRQ_OK);
}

Test(stats, an_older_callers_smaller_field_list_does_not_exist_yet)
{
    /* The first release's structs are the smallest: one byte less is refused. */
    struct trq_worker_stats s = {.size = sizeof s - 1};
    cr_assert_eq(trq_stats_worker(engine, "Num", &s), TRQ_EINVAL);
}
