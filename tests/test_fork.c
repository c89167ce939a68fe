/* Rule 10.1: after fork the child's calls return an error, and the parent notices nothing. */
#include <criterion/criterion.h>

#include <sys/wait.h>

#include <tresque/json.h>
#include <tresque/test.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;
static struct trq_channel *channel;
static struct trq_job_id id;

static void set_up(void)
{
    struct num_in in = {1};
    engine = fx_start(FX_CONFIG(.threads = 2, .host = &fx), &fx_app);
    cr_assert_eq(trq_channel_create(engine, 64, &channel), TRQ_OK);
    cr_assert_eq(num_enqueue(engine, &in, TRQ_OPTS(.channel = channel), &id), TRQ_OK);
}
static void tear_down(void)
{
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(fork, .init = set_up, .fini = tear_down);

/* Run in a child, which says by its exit status whether all went well. A child that hangs is ended. */
static void in_child(void (*test)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        alarm(30);
        test();
        _exit(0);
    }
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %x", status);
}

static void call_all(void)
{
    struct trq_error error = {0};
    struct trq_event event;
    struct trq_channel *another;
    struct trq_worker_stats w = {.size = sizeof w};
    struct trq_queue_stats q = {.size = sizeof q};
    struct trq_engine_stats e = {.size = sizeof e};
    struct trq_leftover left = {.size = sizeof left};
    struct num_in in[2] = {{0}};
    FX_MUST(num_enqueue(engine, in, NULL, NULL) == TRQ_ESTOPPED);
    FX_MUST(num_enqueue(engine, in, TRQ_OPTS(.error = &error), NULL) == TRQ_ESTOPPED);
    FX_MUST(error.code == TRQ_ESTOPPED);
    FX_MUST(num_enqueue_many(engine, in, 2, NULL, NULL) == TRQ_ESTOPPED);
    FX_MUST(trq_enqueue(engine, &num, TRQ_DICT_NONE, NULL, NULL) == TRQ_ESTOPPED);
    FX_MUST(trq_enqueue_json(engine, "Num", trq_str_of("{}"), NULL, NULL) == TRQ_ESTOPPED);
    FX_MUST(trq_register(engine, &fx_app, &error) == TRQ_ESTOPPED);
    FX_MUST(trq_engine_start(engine, &error) == TRQ_ESTOPPED);
    FX_MUST(trq_engine_drain(engine, trq_ns(0)) == TRQ_ESTOPPED);
    FX_MUST(trq_engine_poll(engine, 0, trq_ns(0)) == TRQ_ESTOPPED);
    FX_MUST(trq_engine_stop(engine, trq_ns(0), &left) == TRQ_ESTOPPED);
    FX_MUST(trq_wait(engine, id, trq_ns(0), &event) == TRQ_ESTOPPED);
    FX_MUST(trq_queue_pause(engine, "app_default", &error) == TRQ_ESTOPPED);
    FX_MUST(trq_queue_resume(engine, "app_default", &error) == TRQ_ESTOPPED);
    FX_MUST(trq_stats_worker(engine, NULL, &w) == TRQ_ESTOPPED);
    FX_MUST(trq_stats_queue(engine, "app_default", &q) == TRQ_ESTOPPED);
    FX_MUST(trq_stats_engine(engine, &e) == TRQ_ESTOPPED);
    FX_MUST(trq_channel_create(engine, 1, &another) == TRQ_ESTOPPED);
    FX_MUST(trq_channel_drain(channel, &event, 1) == TRQ_ESTOPPED);
    FX_MUST(trq_channel_forget(channel, id) == TRQ_ESTOPPED);
    FX_MUST(trq_queue_names(engine, NULL, 0) == 0 && trq_worker_names(engine, NULL, 0) == 0);
    FX_MUST(trq_worker_find(engine, "Num") == NULL);
    FX_MUST(trq_queues_text(engine, NULL, 0) == 0);
    struct trq_dead dead;
    FX_MUST(trq_dead_count(engine) == 0);
    FX_MUST(trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, &dead, 1) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_get(engine, id, &dead) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_json(engine, id, NULL, 0, NULL) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_retry(engine, id, NULL) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_delete(engine, id) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_retry_matching(engine, &num, TRQ_DICT_NONE) == TRQ_ESTOPPED);
    FX_MUST(trq_dead_delete_matching(engine, &num, TRQ_DICT_NONE) == TRQ_ESTOPPED);
    trq_wake(engine);
    trq_channel_destroy(channel);
    FX_MUST(trq_now(engine).ns > 0);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(fork, every_call_of_the_child_is_refused_and_destroy_works)
{
    in_child(call_all);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    struct trq_event event;
    cr_assert_eq(trq_channel_drain(channel, &event, 1), 1, "the parent has its event");
    cr_assert_str_eq(fx_text(&fx), "1");
}

static void destroy_only(void)
{
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(fork, a_child_forked_while_handlers_run_can_destroy)
{
    struct gated_in in = {5};
    for (int i = 0; i < 4; i++)
        cr_assert_eq(gated_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    fx_gate_await(&fx.gate, 2);
    in_child(destroy_only);
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_str_eq(fx_text(&fx), "1 5 5 5 5");
}

static atomic_bool over;
static void *busy(void *arg)
{
    (void)arg;
    for (int64_t n = 0; !atomic_load(&over); n++)
        FX_MUST(fx_enqueue(engine, n,
                           TRQ_OPTS(.queue = n % 2 ? "app_low" : "high",
                                    .wait_for_room = fx_long())) == TRQ_OK);
    return NULL;
}
static enum trq_end nothing(struct trq_job *job)
{
    (void)job;
    return TRQ_DONE;
}

/* At whatever point the other threads are: in a look-up, in the allocator, holding a mutex. */
Test(fork, a_child_forked_at_any_moment_can_destroy)
{
    static const struct trq_worker later = {.size = sizeof later, .name = "W", .perform = nothing};
    pthread_t thread[3];
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, busy, NULL);
    for (int i = 0; i < 40; i++) {
        in_child(i % 8 ? destroy_only : call_all);
        cr_assert_eq(trq_register(engine, FX_APP(.workers = TRQ_WORKERS(&later)), NULL), TRQ_OK);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    struct trq_worker_stats stats = fx_stats(engine, NULL);
    cr_assert_eq(stats.done, stats.enqueued);
}

static void own_engine(void)
{
    struct trq_engine *own;
    static const struct trq_app *const apps[] = {&fx_app, NULL};
    FX_MUST(trq_test_engine(&fx, (struct trq_wall){0}, apps, &own, NULL) == TRQ_OK);
    FX_MUST(fx_enqueue(own, 9, NULL) == TRQ_OK);
    FX_MUST(trq_test_drain(own) == 1);
    FX_MUST(trq_engine_destroy(own) == TRQ_OK);
    own = fx_start(FX_CONFIG(.threads = 2, .host = &fx), &fx_app);
    FX_MUST(fx_enqueue(own, 9, NULL) == TRQ_OK);
    FX_MUST(trq_engine_drain(own, fx_long()) == TRQ_OK);
    FX_MUST(trq_engine_destroy(own) == TRQ_OK);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(fork, a_child_may_have_an_engine_of_its_own)
{
    in_child(own_engine);
}

Test(fork, a_polled_engine_is_refused_in_the_child_too)
{
    struct trq_engine *pool = engine;
    engine = fx_polled(&fx, &fx_app);
    cr_assert_eq(fx_enqueue(engine, 2, NULL), TRQ_OK);
    in_child(destroy_only);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    engine = pool;
}
