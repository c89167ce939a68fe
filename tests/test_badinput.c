/* What can only be a mistake, and memory that runs out at every point: a documented result each. */
#include <criterion/criterion.h>

#include <sys/eventfd.h>
#include <sys/resource.h>

#include <tresque/json.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_error error;

/* ---- NULL ------------------------------------------------------------------------------------------------ */

Test(badinput, null_is_refused_by_every_call)
{
    struct trq_engine *engine = fx_polled(&fx, &fx_app);
    struct num_in in = {0};
    struct trq_worker_stats w = {.size = sizeof w};
    struct trq_queue_stats q = {.size = sizeof q};
    struct trq_engine_stats e = {.size = sizeof e};
    char text[8] = "before";

    cr_assert_eq(trq_engine_create(NULL, NULL, &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "out_engine is NULL");
    cr_assert_eq(trq_engine_start(NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_engine_stop(NULL, trq_ns(0), NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue(NULL, &num, TRQ_DICT_NONE, TRQ_OPTS(.error = &error), NULL),
                 TRQ_EINVAL);
    cr_assert_str_eq(error.text, "engine is NULL");
    cr_assert_eq(trq_enqueue(engine, NULL, TRQ_DICT_NONE, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue_struct(engine, NULL, &num_inputs, &in, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue_struct(engine, &num, NULL, &in, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue_struct(engine, &num, &num_inputs, NULL, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue_many(engine, &num, &num_inputs, NULL, 2, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_enqueue_many_dicts(engine, &num, NULL, 2, NULL, NULL), TRQ_EINVAL);
    cr_assert_lt(trq_enqueue(engine, &num, (struct trq_dict){NULL, 3}, NULL, NULL), 0);
    cr_assert_lt(trq_enqueue_json(engine, NULL, trq_str_of("{}"), NULL, NULL), 0);
    cr_assert_lt(trq_enqueue_json(engine, "Num", trq_str_of(NULL), NULL, NULL), 0);
    cr_assert_lt(trq_enqueue_json(NULL, "Num", trq_str_of("{}"), NULL, NULL), 0);
    trq_wake(NULL);
    cr_assert_eq(trq_stats_worker(NULL, NULL, &w), TRQ_EINVAL);
    cr_assert_eq(trq_stats_worker(engine, NULL, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_stats_queue(NULL, "app_default", &q), TRQ_EINVAL);
    cr_assert_eq(trq_stats_queue(engine, NULL, &q), TRQ_EINVAL);
    cr_assert_eq(trq_stats_queue(engine, "app_default", NULL), TRQ_EINVAL);
    cr_assert_eq(trq_stats_engine(NULL, &e), TRQ_EINVAL);
    cr_assert_eq(trq_stats_engine(engine, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_queue_names(NULL, NULL, 0), 0);
    cr_assert_eq(trq_worker_names(NULL, NULL, 0), 0);
    cr_assert_eq(trq_queues_text(NULL, text, sizeof text), 0);
    cr_assert_str_eq(text, "");
    cr_assert_eq(trq_now(NULL).ns, 0);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 0, "and nothing of it became a job");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- sizes of structs --------------------------------------------------------------------------------------- */

/* A struct of a later release: as ours, with more behind it. */
#define LATER(type)                                                                                \
    struct {                                                                                       \
        struct type now;                                                                           \
        unsigned char later[16];                                                                   \
    }

Test(badinput, a_larger_struct_is_fine_while_what_we_do_not_know_is_zero)
{
    LATER(trq_config) config = {.now = {.size = sizeof config, .threads = TRQ_THREADS_NONE}};
    LATER(trq_app) app = {.now = fx_app};
    LATER(trq_opts) opts = {.now = {.size = sizeof opts}};
    LATER(trq_leftover) left = {.now = {.size = sizeof left}};
    LATER(trq_worker_stats) stats = {.now = {.size = sizeof stats}};
    struct trq_engine *engine;
    app.now.size = sizeof app;

    config.later[15] = 1;
    cr_assert_eq(trq_engine_create(&config.now, &engine, &error), TRQ_EINVAL);
    cr_assert(strstr(error.text, "a field of a newer release is set"), "%s", error.text);
    config.later[15] = 0;
    cr_assert_eq(trq_engine_create(&config.now, &engine, &error), TRQ_OK);
    app.later[0] = 1;
    cr_assert_eq(trq_register(engine, &app.now, NULL), TRQ_EINVAL);
    app.later[0] = 0;
    cr_assert_eq(trq_register(engine, &app.now, NULL), TRQ_OK);
    opts.later[7] = 1;
    cr_assert_eq(fx_enqueue(engine, 1, &opts.now), TRQ_EINVAL);
    opts.later[7] = 0;
    cr_assert_eq(fx_enqueue(engine, 1, &opts.now), TRQ_OK);
    stats.later[1] = 1;
    cr_assert_eq(trq_stats_worker(engine, "Num", &stats.now), TRQ_EINVAL);
    stats.later[1] = 0;
    cr_assert_eq(trq_stats_worker(engine, "Num", &stats.now), TRQ_OK);
    cr_assert(stats.now.enqueued == 1 && stats.now.size == sizeof stats);
    left.later[1] = 1;
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left.now), TRQ_EINVAL);
    left.later[1] = 0;
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left.now), TRQ_OK);
    cr_assert_eq(left.now.dropped, 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(badinput, a_struct_that_is_too_small_or_says_no_size_is_refused)
{
    struct trq_engine *engine = fx_polled(&fx, &fx_app), *none;
    struct trq_hooks hooks = {.size = 8};
    static const uint32_t wrong[] = {0, 1, 4, 8};
    for (size_t i = 0; i < 4; i++) {
        uint32_t size = wrong[i];
        struct trq_opts opts = {.size = size};
        struct trq_leftover left = {.size = size};
        struct trq_worker_stats w = {.size = size};
        struct trq_queue_stats q = {.size = size};
        struct trq_engine_stats e = {.size = size};
        cr_assert_eq(trq_engine_create(&(struct trq_config){.size = size}, &none, NULL),
                     TRQ_EINVAL);
        cr_assert_eq(fx_enqueue(engine, 1, &opts), TRQ_EINVAL);
        cr_assert_eq(trq_enqueue_json(engine, "Num", trq_str_of("{}"), &opts, NULL), TRQ_EINVAL);
        cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left), TRQ_EINVAL);
        cr_assert_eq(trq_stats_worker(engine, NULL, &w), TRQ_EINVAL);
        cr_assert_eq(trq_stats_queue(engine, "app_default", &q), TRQ_EINVAL);
        cr_assert_eq(trq_stats_engine(engine, &e), TRQ_EINVAL);
    }
    cr_assert_eq(trq_engine_create(FX_CONFIG(.hooks = &hooks), &none, &error), TRQ_EINVAL);
    cr_assert_eq(fx_enqueue(engine, 1, NULL), TRQ_OK, "it has not stopped");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- the configuration -------------------------------------------------------------------------------------- */

static int64_t some_time(void *context)
{
    (void)context;
    return 1;
}

Test(badinput, a_wrong_configuration_names_its_field)
{
    struct trq_hooks half_clock = {.size = sizeof half_clock, .mono_ns = some_time};
    struct trq_hooks half_heap = {.size = sizeof half_heap, .free = fx_free};
    struct trq_hooks reserved = {.size = sizeof reserved, .reserved = 1};
    const struct {
        const struct trq_config *config;
        const char *text;
    } wrong[] = {
        {FX_CONFIG(.threads = -2), "config.threads: -2; -1 (none) to 1024"},
        {FX_CONFIG(.threads = 1025), "config.threads: 1025; -1 (none) to 1024"},
        {FX_CONFIG(.jobs_max = (1 << 26) + 1), "config.jobs_max: 67108865; at most 67108864"},
        {FX_CONFIG(.job_size_max = (16 << 20) + 1),
         "config.job_size_max: 16777217; at most 16777216"},
        {FX_CONFIG(.thread_name = "elevenbytes"), "config.thread_name: at most 10 bytes"},
        {FX_CONFIG(.dead_max = (1 << 26) + 1),
         "config.dead_max: 67108865; at most 67108864, or TRQ_DEAD_NONE"},
        {FX_CONFIG(.hooks = &half_clock), "hooks: mono_ns and wall_ns: both or neither"},
        {FX_CONFIG(.hooks = &half_heap), "hooks: alloc and free: both or neither"},
    };
    struct trq_engine *engine = (void *)&fx;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(trq_engine_create(wrong[i].config, &engine, &error), TRQ_EINVAL);
        cr_assert_str_eq(error.text, wrong[i].text);
        cr_assert_eq(trq_engine_create(wrong[i].config, &engine, NULL), TRQ_EINVAL);
    }
    cr_assert_eq(trq_engine_create(FX_CONFIG(.hooks = &reserved), &engine, NULL), TRQ_EINVAL);
    cr_assert(engine == (void *)&fx, "untouched");
}

Test(badinput, starting_twice_is_refused)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 1), &fx_app);
    cr_assert_eq(trq_engine_start(engine, &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "started before");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- threads, keys, descriptors that cannot be had ------------------------------------------------------------ */

static atomic_int begun, over;
static void begin(void *host, int index)
{
    (void)host;
    (void)index;
    atomic_fetch_add(&begun, 1);
}
static void end(void *host, int index)
{
    (void)host;
    (void)index;
    atomic_fetch_add(&over, 1);
}

Test(badinput, threads_that_cannot_be_made_leave_an_engine_that_can_be_stopped)
{
    struct trq_engine *engine =
        fx_create(FX_CONFIG(.threads = 4, .stack_size = (size_t)1 << 46, .host = &fx), &fx_app);
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(trq_engine_start(engine, &error), TRQ_ENOMEM);
        cr_assert_str_eq(error.text, "thread 1 of 4 could not be made; none was started");
        cr_assert_eq(fx_enqueue(engine, i, TRQ_OPTS(.on_end = fx_on_end)), TRQ_OK);
    }
    struct trq_leftover left = {.size = sizeof left};
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), &left), TRQ_OK);
    cr_assert(left.dropped == 3 && fx.outcome[TRQ_WAS_DROPPED] == 3);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    engine = fx_create(FX_CONFIG(.threads = 1, .stack_size = 1), &fx_app);
    cr_assert_eq(trq_engine_start(engine, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* Stacks of 1 GiB until the address space is full: some threads can be made and the next cannot. */
Test(badinput, a_start_that_fails_half_way_ends_its_threads_and_can_be_tried_again)
{
    struct trq_engine *engine =
        fx_create(FX_CONFIG(.threads = 64, .stack_size = 1 << 30, .thread_begin = begin,
                            .thread_end = end, .host = &fx),
                  &fx_app);
    struct rlimit before, tight;
#ifdef __SANITIZE_ADDRESS__
    cr_skip("a sanitizer ends the program when the address space is full");
#endif
    FX_MUST(getrlimit(RLIMIT_AS, &before) == 0);
    tight = before;
    tight.rlim_cur = (rlim_t)20 << 30;
    FX_MUST(setrlimit(RLIMIT_AS, &tight) == 0);
    int rc = trq_engine_start(engine, &error);
    FX_MUST(setrlimit(RLIMIT_AS, &before) == 0);
    cr_assert_eq(rc, TRQ_ENOMEM);
    cr_assert(begun == 0 && over == 0, "%d begun, %d ended", begun, over);
    cr_assert_eq(fx.outcome[TRQ_WAS_DONE], 0, "nothing has started");
    cr_assert_eq(fx_enqueue(engine, 1, TRQ_OPTS(.on_end = fx_on_end)), TRQ_OK);
    cr_assert_eq(trq_engine_drain(engine, trq_ns(0)), TRQ_EINVAL, "not started");
    rc = trq_engine_start(engine, &error);
    cr_assert_eq(rc, TRQ_OK, "%s", error.text);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(fx.outcome[TRQ_WAS_DONE], 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    cr_assert_eq(begun, over);
}

Test(badinput, without_descriptors_no_channel_and_no_polled_engine)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 1), &fx_app), *none;
    struct trq_channel *channel = (void *)&fx;
    struct rlimit before, tight;
    FX_MUST(getrlimit(RLIMIT_NOFILE, &before) == 0);
    tight = (struct rlimit){3, before.rlim_max};
    FX_MUST(setrlimit(RLIMIT_NOFILE, &tight) == 0);
    int of_channel = trq_channel_create(engine, 8, &channel);
    int of_engine = trq_engine_create(FX_CONFIG(.threads = TRQ_THREADS_NONE), &none, &error);
    FX_MUST(setrlimit(RLIMIT_NOFILE, &before) == 0);
    cr_assert_eq(of_channel, TRQ_ENOMEM);
    cr_assert(channel == (void *)&fx);
    cr_assert_eq(of_engine, TRQ_ENOMEM);
    cr_assert_eq(trq_channel_create(engine, 8, &channel), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(badinput, more_engines_than_thread_keys_are_refused)
{
    enum { MOST = 1100 };
    static struct trq_engine *engine[MOST];
    int n = 0, rc = TRQ_OK;
    while (n < MOST) {
        rc = trq_engine_create(FX_CONFIG(.threads = 1, .jobs_max = 8), &engine[n], &error);
        if (rc < 0)
            break;
        n++;
    }
    cr_assert(n > 900 && n < MOST, "%d", n);
    cr_assert_eq(rc, TRQ_ENOMEM);
    cr_assert_str_eq(error.text, "no thread key: too many engines in this process");
    while (n--)
        cr_assert_eq(trq_engine_destroy(engine[n]), TRQ_OK);
}

/* ---- the k-th allocation fails ---------------------------------------------------------------------------------- */

#define BODY_INPUTS(F, W) F(W, str, body, TRQ_REQUIRED, NULL)
TRQ_INPUTS(body, BODY_INPUTS);
static enum trq_end body_perform(struct trq_job *job)
{
    struct trq_str text = body_get(job)->body;
    FX_MUST(text.size > 0 && text.data[0] == 'b' && text.data[text.size - 1] == 'b');
    return TRQ_DONE;
}
const struct trq_worker body = {TRQ_WORKER(body, "Other::Body"), .retry = &trq_no_retry,
                                .perform = body_perform};

static enum trq_end twice_perform(struct trq_job *job)
{
    char *state = trq_job_state(job);
    state[299] = 1;
    return trq_job_get_i64(job, "again") && !trq_job_should_stop(job) &&
                   trq_enqueue(trq_job_engine(job), &num, TRQ_DICT_NONE, NULL, NULL) == TRQ_OK
               ? trq_fail(job, "enough")
               : TRQ_DONE;
}
static const struct trq_worker twice = {.size = sizeof twice,
                                        .name = "Other::Twice",
                                        .retry = &trq_no_retry,
                                        .perform = twice_perform,
                                        .state_size = 300};

static const struct trq_app other = {
    .size = sizeof other,
    .name = "other",
    .queues = TRQ_QUEUES({"slow", -1, 0}),
    .workers = TRQ_WORKERS(&body, &twice),
};

static struct {
    long fails;    /* calls that said TRQ_ENOMEM */
    long accepted; /* jobs that were to tell their end by on_end */
    long told;     /* to the channel */
} tried;

/* Success, or out of memory: nothing else, and the error says the same. */
static bool had(int rc)
{
    FX_MUST(rc == TRQ_OK || rc == TRQ_ENOMEM);
    tried.fails += rc < 0;
    return rc == TRQ_OK;
}
static void put(struct trq_engine *engine, const struct trq_worker *worker, struct trq_dict dict,
                const struct trq_opts *opts)
{
    struct trq_error why = {0};
    struct trq_opts all = opts ? *opts : trq_opts_init();
    all.on_end = fx_on_end;
    all.error = &why;
    int rc = trq_enqueue(engine, worker, dict, &all, NULL);
    tried.accepted += had(rc);
    FX_MUST(why.code == rc && (rc == TRQ_OK || why.text[0]));
}

static void work_it(struct trq_engine *engine, bool started)
{
    static char text[100 << 10];
    struct trq_channel *channel = NULL;
    struct trq_event events[16];
    memset(text, 'b', sizeof text);
    for (size_t size = 8; size <= sizeof text; size = size * 5 / 2)
        put(engine, &body, TRQ_DICT(TRQ_KV("body", ((struct trq_str){text, size}))), NULL);
    put(engine, &body, TRQ_DICT(TRQ_KV("body", ((struct trq_str){text, sizeof text}))), NULL);
    put(engine, &num, TRQ_DICT(TRQ_KV("n", 1), TRQ_KV("extra", "kept")), NULL);
    put(engine, &twice, TRQ_DICT(TRQ_KV("again", 1)), TRQ_OPTS(.queue = "slow"));
    if (had(trq_channel_create(engine, 16, &channel)))
        put(engine, &num, TRQ_DICT_NONE, TRQ_OPTS(.channel = channel));
    static struct num_in many[700];
    if (had(num_enqueue_many(engine, many, 700, TRQ_OPTS(.on_end = fx_on_end), NULL)))
        tried.accepted += 700;
    had(trq_enqueue_json(engine, "Num", trq_str_of("{\"n\":5,\"list\":[1,{}]}"), NULL, NULL));
    struct trq_worker_stats stats = {.size = sizeof stats};
    had(trq_stats_worker(engine, NULL, &stats));
    struct trq_engine_stats whole = {.size = sizeof whole};
    had(trq_stats_engine(engine, &whole));
    had(trq_queue_pause(engine, "app_low", NULL));
    had(trq_queue_resume(engine, "app_low", NULL));
    if (started)
        FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    if (channel)
        tried.told += trq_channel_drain(channel, events, 16) > 0;
}

/* The whole of it, as far as memory allows. */
static void scenario(const struct trq_hooks *hooks, int threads)
{
    static const char *const queues[] = {"app_default", "other_default", "other_slow", "app_low",
                                         NULL};
    struct trq_engine *engine;
    fx.ends = 0;
    memset(&tried, 0, sizeof tried);
    memset(fx.outcome, 0, sizeof fx.outcome);
    if (!had(trq_engine_create(FX_CONFIG(.threads = threads, .jobs_max = 1000, .queues = queues,
                                         .job_size_max = 1 << 20, .sample_every = 1, .host = &fx,
                                         .hooks = hooks),
                               &engine, &error)))
        return;
    bool whole = had(trq_register(engine, &fx_app, &error));
    whole = had(trq_register(engine, &other, &error)) && whole;
    bool started = whole && had(trq_engine_start(engine, &error));
    if (whole)
        work_it(engine, started);
    /* Out of memory once: asked again, it must do. */
    int rc = trq_engine_stop(engine, fx_long(), NULL);
    if (!had(rc))
        rc = trq_engine_stop(engine, fx_long(), NULL);
    FX_MUST(rc == TRQ_OK);
    struct trq_worker_stats stats = {.size = sizeof stats};
    if (trq_stats_worker(engine, NULL, &stats) == TRQ_OK && tried.fails == 0)
        FX_MUST(stats.enqueued == fx_ended(&stats));
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

static void fail_each(int threads)
{
    struct fx_heap heap = {0};
    const struct trq_hooks hooks = fx_hooks(&heap);
    scenario(&hooks, threads);
    FX_MUST(tried.fails == 0 && tried.told == 1);
    long calls = atomic_load(&heap.calls);
    cr_log_info("%ld allocations", calls);
    cr_assert(calls > 20);
    for (long k = 1; k <= calls + 20; k++) {
        atomic_store(&heap.calls, 0);
        atomic_store(&heap.fail_at, k);
        scenario(&hooks, threads);
        cr_assert_eq(atomic_load(&heap.blocks), 0, "k = %ld: %ld blocks left", k,
                     atomic_load(&heap.blocks));
        cr_assert_eq(atomic_load(&heap.bytes), 0);
        cr_assert_eq(atomic_load(&heap.wrong), 0, "k = %ld: freed with another size", k);
        cr_assert_eq(fx.ends, tried.accepted, "k = %ld: accepted %ld, ended %d", k, tried.accepted,
                     fx.ends);
    }
}

Test(badinput, any_allocation_may_fail_and_nothing_leaks_or_is_lost_when_polled)
{
    fail_each(TRQ_THREADS_NONE);
}
Test(badinput, any_allocation_may_fail_and_nothing_leaks_or_is_lost_with_threads)
{
    fail_each(2);
}
