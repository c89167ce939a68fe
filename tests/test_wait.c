/* trq_wait, and ids: a job's name is never another job's. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;

static void set_up(void)
{
    engine = fx_start(FX_CONFIG(.threads = 2, .host = &fx, .jobs_max = 64), &fx_app);
}
static void tear_down(void)
{
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(wait, .init = set_up, .fini = tear_down);

static struct trq_job_id put(const struct trq_worker *worker, int64_t n)
{
    struct trq_job_id id;
    cr_assert_eq(trq_enqueue(engine, worker, TRQ_DICT(TRQ_KV("n", n)), NULL, &id), TRQ_OK);
    return id;
}

struct waiter {
    pthread_t thread;
    struct trq_job_id id;
    struct trq_event event;
    int rc;
};
static atomic_int waiting;
static void *wait_for_it(void *arg)
{
    struct waiter *w = arg;
    atomic_fetch_add(&waiting, 1);
    w->rc = trq_wait(engine, w->id, fx_long(), &w->event);
    return NULL;
}

Test(wait, the_event_of_the_end_is_told)
{
    struct trq_job_id id = put(&gated, 4);
    struct trq_event event;
    fx_gate_open(&fx.gate);
    int rc = trq_wait(engine, id, fx_long(), &event);
    if (rc == TRQ_OK) {
        cr_assert(trq_job_id_equal(event.id, id));
        cr_assert(event.outcome == TRQ_WAS_DONE && event.attempts == 1);
    } else {
        cr_assert_eq(rc, TRQ_GONE);
    }
    cr_assert_eq(trq_wait(engine, id, fx_long(), NULL), TRQ_GONE);
    cr_assert_str_eq(fx_text(&fx), "4");
}

Test(wait, it_ends_with_the_time)
{
    struct trq_job_id id = put(&gated, 1);
    struct trq_event event = {.attempts = 77};
    cr_assert_eq(trq_wait(engine, id, trq_ms(5), &event), TRQ_ETIMEOUT);
    cr_assert_eq(trq_wait(engine, id, trq_ns(0), &event), TRQ_ETIMEOUT);
    cr_assert_eq(trq_wait(engine, id, trq_ns(-1), &event), TRQ_ETIMEOUT);
    cr_assert_eq(event.attempts, 77, "untouched");
    fx_gate_open(&fx.gate);
    cr_assert(trq_wait(engine, id, trq_forever(), NULL) >= 0);
}

Test(wait, many_may_wait_for_one_job_and_for_many)
{
    enum { N = 16 };
    struct waiter w[N];
    struct trq_job_id one = put(&gated, 1), other = put(&gated, 2);
    for (int i = 0; i < N; i++) {
        w[i] = (struct waiter){.id = i % 2 ? one : other};
        pthread_create(&w[i].thread, NULL, wait_for_it, &w[i]);
    }
    FX_AWAIT(atomic_load(&waiting) == N);
    fx_gate_open(&fx.gate);
    for (int i = 0; i < N; i++) {
        pthread_join(w[i].thread, NULL);
        cr_assert(w[i].rc == TRQ_OK || w[i].rc == TRQ_GONE);
        cr_assert(w[i].rc == TRQ_GONE || trq_job_id_equal(w[i].event.id, w[i].id));
    }
}

static atomic_int rounds;
static enum trq_end five_rounds(struct trq_job *job)
{
    struct fx *host = trq_job_host(job);
    fx_gate_pass(&host->gate);
    return atomic_fetch_add(&rounds, 1) < 4 ? trq_requeue(job) : TRQ_SKIP;
}
Test(wait, a_requeued_job_is_waited_for_until_its_end)
{
    static const struct trq_worker w = {.size = sizeof w, .name = "W", .perform = five_rounds};
    struct waiter one = {.rc = 99};
    cr_assert_eq(trq_register(engine, FX_APP(.workers = TRQ_WORKERS(&w)), NULL), TRQ_OK);
    one.id = put(&w, 0);
    pthread_create(&one.thread, NULL, wait_for_it, &one);
    FX_AWAIT(atomic_load(&waiting) == 1);
    fx_gate_open(&fx.gate);
    pthread_join(one.thread, NULL);
    cr_assert(one.rc == TRQ_GONE || (one.rc == TRQ_OK && one.event.outcome == TRQ_WAS_SKIPPED &&
                                     one.event.attempts == 5));
    cr_assert_eq(atomic_load(&rounds), 5);
}

Test(wait, a_stop_tells_that_the_job_was_dropped)
{
    struct waiter one = {.rc = 99};
    put(&gated, 1);
    put(&gated, 2);
    fx_gate_await(&fx.gate, 2);
    one.id = put(&num, 3);
    pthread_create(&one.thread, NULL, wait_for_it, &one);
    FX_AWAIT(atomic_load(&waiting) == 1);
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_ETIMEOUT);
    pthread_join(one.thread, NULL);
    cr_assert(one.rc == TRQ_GONE || one.event.outcome == TRQ_WAS_DROPPED);
    cr_assert_eq(one.event.attempts, 0);
}

Test(wait, wrong_calls_are_refused)
{
    struct trq_engine *other = fx_polled(&fx, &fx_app);
    struct trq_job_id id = put(&num, 1), beyond = {id.slot + 5000, id.birth};
    cr_assert_eq(trq_wait(NULL, id, trq_ns(0), NULL), TRQ_EINVAL);
    cr_assert_eq(trq_wait(other, id, trq_ns(0), NULL), TRQ_EINVAL, "of another engine");
    cr_assert_eq(trq_wait(engine, (struct trq_job_id){0, 0}, trq_ns(0), NULL), TRQ_EINVAL);
    cr_assert_eq(trq_wait(engine, beyond, trq_ns(0), NULL), TRQ_GONE);
    struct num_in in = {0};
    cr_assert_eq(num_enqueue(other, &in, NULL, &id), TRQ_OK);
    cr_assert_eq(trq_wait(other, id, trq_ns(0), NULL), TRQ_EINVAL, "in poll mode");
    cr_assert_eq(trq_engine_destroy(other), TRQ_OK);
}

Test(wait, an_old_id_is_gone_however_often_its_slot_was_used)
{
    enum { N = 3000 };
    struct trq_engine *e = fx_start(FX_CONFIG(.threads = 1, .host = &fx, .jobs_max = 1), &fx_app);
    static struct trq_job_id id[N];
    struct num_in in = {0};
    for (int i = 0; i < N; i++) {
        cr_assert_eq(num_enqueue(e, &in, TRQ_OPTS(.wait_for_room = fx_long()), &id[i]), TRQ_OK);
        for (int k = i > 3 ? i - 3 : 0; k < i; k++)
            cr_assert_eq(trq_wait(e, id[k], fx_long(), NULL), TRQ_GONE);
        cr_assert(i == 0 || id[i].slot != id[i - 1].slot);
    }
    for (int i = 1; i < N; i++)
        cr_assert_eq(id[i].slot & UINT32_MAX, id[0].slot & UINT32_MAX, "the one slot");
    cr_assert(trq_wait(e, id[N - 1], fx_long(), NULL) >= 0);
    for (int i = 0; i < N; i++)
        cr_assert_eq(trq_wait(e, id[i], fx_long(), NULL), TRQ_GONE);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}
