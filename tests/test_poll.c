/* Rule 10.4: an engine without threads, whose host sleeps on its descriptor. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;

static void set_up(void)
{
    engine = fx_polled(&fx, &fx_app);
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(poll, .init = set_up, .fini = tear_down);

static bool readable(void)
{
    return fx_readable(trq_engine_fd(engine));
}
static void put(int count)
{
    for (int i = 0; i < count; i++)
        cr_assert_eq(fx_enqueue(engine, i, NULL), TRQ_OK);
}
static int poll_some(unsigned most)
{
    return trq_engine_poll(engine, most, trq_ns(0));
}

Test(poll, its_descriptor_is_readable_while_there_is_something_and_then_not)
{
    for (int round = 0; round < 10; round++) {
        cr_assert_not(readable());
        cr_assert_eq(poll_some(0), 0);
        cr_assert_not(readable(), "an empty look leaves it so");
        put(3);
        cr_assert(readable() && readable());
        cr_assert_eq(poll_some(1), 1);
        cr_assert(readable());
        cr_assert_eq(poll_some(0), 2);
    }
}

Test(poll, jobs_max_is_respected)
{
    put(10);
    cr_assert_eq(poll_some(4), 4);
    cr_assert_eq(poll_some(1), 1);
    cr_assert_eq(poll_some(100), 5);
    cr_assert_eq(fx_values(&fx), 10);
}

/* A host that sleeps on the descriptor alone neither misses a job nor turns without one for long. */
Test(poll, a_host_on_the_descriptor_alone_finds_every_job)
{
    unsigned seed = 7;
    int enqueued = 0, ran = 0, idle = 0;
    while (enqueued < 2000) {
        int burst = rand_r(&seed) % 4;
        put(burst);
        enqueued += burst;
        while (readable()) {
            int n = poll_some(rand_r(&seed) % 3);
            cr_assert_geq(n, 0);
            idle = n ? 0 : idle + 1;
            cr_assert(idle < 3, "readable with nothing to do");
            ran += n;
        }
        cr_assert_eq(ran, enqueued);
    }
}

static void *enqueue_elsewhere(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        FX_MUST(fx_enqueue(engine, i, NULL) == TRQ_OK);
    return NULL;
}
Test(poll, other_threads_make_it_readable)
{
    pthread_t other;
    pthread_create(&other, NULL, enqueue_elsewhere, NULL);
    for (int ran = 0; ran < 200;) {
        fx_await_readable(trq_engine_fd(engine));
        int n = poll_some(7);
        cr_assert_geq(n, 0);
        ran += n;
    }
    pthread_join(other, NULL);
    cr_assert_eq(fx_values(&fx), 200);
    for (int i = 0; i < 200; i++)
        cr_assert_eq(fx.value[i], i);
}

static enum trq_end again(struct trq_job *job)
{
    fx_note(trq_job_host(job), 1);
    return trq_requeue(job);
}
static const struct trq_worker requeues = {
    .size = sizeof requeues, .name = "Requeues", .perform = again};

Test(poll, the_time_bounds_it_between_jobs)
{
    cr_assert_eq(trq_register(engine, FX_APP(.workers = TRQ_WORKERS(&requeues)), NULL), TRQ_OK);
    cr_assert_eq(trq_enqueue(engine, &requeues, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_gt(trq_engine_poll(engine, 0, trq_us(200)), 0);
    cr_assert(readable());
    cr_assert_eq(trq_engine_poll(engine, 5, fx_long()), 5);
}

Test(poll, an_engine_with_threads_cannot_be_polled)
{
    struct trq_engine *pool = fx_start(FX_CONFIG(.threads = 1), &fx_app);
    cr_assert_eq(trq_engine_fd(pool), TRQ_EINVAL);
    cr_assert_eq(trq_engine_poll(pool, 0, trq_ns(0)), TRQ_EINVAL);
    cr_assert_eq(trq_engine_destroy(pool), TRQ_OK);
    cr_assert_eq(trq_engine_fd(NULL), TRQ_EINVAL);
    cr_assert_eq(trq_engine_poll(NULL, 0, trq_ns(0)), TRQ_EINVAL);
}

static atomic_int second_poll;
static void *poll_elsewhere(void *arg)
{
    (void)arg;
    fx_gate_await(&fx.gate, 1);
    atomic_store(&second_poll, poll_some(0));
    /* A stop cannot end the first one's handler; it names it. */
    struct trq_leftover left = {.size = sizeof left};
    FX_MUST(trq_engine_stop(engine, trq_ns(0), &left) == TRQ_ETIMEOUT);
    FX_MUST(left.still_running == 1);
    FX_MUST(strcmp(left.running, "Gated on tresque-0") == 0);
    fx_gate_open(&fx.gate);
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    return NULL;
}
Test(poll, one_thread_polls_at_a_time)
{
    pthread_t other;
    struct gated_in in = {9};
    cr_assert_eq(gated_enqueue(engine, &in, TRQ_OPTS(.on_end = fx_on_end), NULL), TRQ_OK);
    cr_assert_eq(gated_enqueue(engine, &in, TRQ_OPTS(.on_end = fx_on_end), NULL), TRQ_OK);
    pthread_create(&other, NULL, poll_elsewhere, NULL);
    cr_assert_eq(poll_some(0), 1, "the stop keeps the second from beginning");
    pthread_join(other, NULL);
    cr_assert_eq(atomic_load(&second_poll), TRQ_EINVAL);
    cr_assert(fx.outcome[TRQ_WAS_DONE] == 1 && fx.outcome[TRQ_WAS_DROPPED] == 1);
    cr_assert_eq(poll_some(0), TRQ_ESTOPPED);
}

Test(poll, the_polling_thread_may_change)
{
    pthread_t other;
    put(4);
    cr_assert_eq(poll_some(2), 2);
    pthread_create(&other, NULL, enqueue_elsewhere, NULL);
    pthread_join(other, NULL);
    cr_assert_eq(poll_some(0), 202);
}

Test(poll, two_engines_are_independent)
{
    struct fx *mine = calloc(1, sizeof *mine);
    *mine = (struct fx)FX_INIT;
    struct trq_engine *other = fx_polled(mine, &fx_app);
    put(3);
    cr_assert_not(fx_readable(trq_engine_fd(other)));
    cr_assert_eq(trq_engine_poll(other, 0, trq_ns(0)), 0);
    cr_assert_eq(trq_queue_pause(other, "app_default", NULL), TRQ_OK);
    cr_assert_eq(fx_enqueue(other, 50, NULL), TRQ_OK);
    cr_assert_eq(poll_some(0), 3);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_queue_resume(other, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(other, 0, trq_ns(0)), 1);
    cr_assert_str_eq(fx_text(mine), "50");
    cr_assert_eq(fx_stats(other, NULL).enqueued, 1);
    cr_assert_eq(trq_engine_destroy(other), TRQ_OK);
    free(mine);
}
