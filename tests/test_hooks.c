/* Hooks: the clock, thread_begin and thread_end, the log; and what a pool thread is. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <signal.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;

/* ---- a clock of one's own ------------------------------------------------------------------------------- */

static _Atomic int64_t mono, wall;
static int64_t get_mono(void *context)
{
    FX_MUST(context == &fx);
    return atomic_load(&mono);
}
static int64_t get_wall(void *context)
{
    FX_MUST(context == &fx);
    return atomic_load(&wall);
}
static const struct trq_hooks own_clock = {
    .size = sizeof own_clock, .context = &fx, .mono_ns = get_mono, .wall_ns = get_wall};

static struct trq_wall enqueued_at;
static enum trq_end takes_5_ms(struct trq_job *job)
{
    enqueued_at = trq_job_enqueued_at(job);
    atomic_fetch_add(&mono, 5000000);
    return TRQ_DONE;
}
static const struct trq_worker slow = {.size = sizeof slow, .name = "Slow", .perform = takes_5_ms};

Test(hooks, all_times_are_the_clocks)
{
    struct trq_engine *engine = fx_start(
        FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &own_clock, .sample_every = 1, .host = &fx),
        FX_APP(.name = "app", .workers = TRQ_WORKERS(&slow)));
    atomic_store(&wall, 1700000000000000000);
    cr_assert_eq(trq_now(engine).ns, 1700000000000000000);
    atomic_store(&mono, 1000000000);
    cr_assert_eq(trq_enqueue(engine, &slow, TRQ_DICT_NONE, TRQ_OPTS(.on_end = fx_on_end), NULL),
                 TRQ_OK);
    atomic_fetch_add(&mono, 3000000);
    struct trq_queue_stats queue = {.size = sizeof queue};
    cr_assert_eq(trq_stats_queue(engine, "app_default", &queue), TRQ_OK);
    cr_assert_eq(queue.oldest.ns, 3000000);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert_eq(enqueued_at.ns, 1700000000000000000 - 3000000);
    cr_assert(fx.event.waited.ns == 3000000 && fx.event.ran.ns == 5000000);
    struct trq_worker_stats stats = fx_stats(engine, "Slow");
    cr_assert(stats.wait.count == 1 && stats.run.count == 1);
    cr_assert(stats.wait.max.ns == 3000000 && stats.run.max.ns == 5000000);
    cr_assert(stats.run.p50.ns >= 5000000 && stats.run.p50.ns <= 5000000 * 17 / 16);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(hooks, a_clock_that_stands_still_stops_nothing)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = 2, .hooks = &own_clock, .host = &fx), &fx_app);
    struct trq_job_id id;
    struct num_in in = {1};
    for (int i = 0; i < 100; i++)
        cr_assert_eq(num_enqueue(engine, &in, NULL, &id), TRQ_OK);
    cr_assert(trq_wait(engine, id, fx_long(), NULL) >= 0);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(trq_engine_drain(engine, trq_ns(0)), TRQ_OK);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(hooks, a_bound_on_the_time_of_a_poll_follows_the_clock)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &own_clock, .host = &fx),
                 FX_APP(.name = "app", .workers = TRQ_WORKERS(&slow)));
    for (int i = 0; i < 10; i++)
        cr_assert_eq(trq_enqueue(engine, &slow, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ms(12)), 3, "at 0, 5 and 10 ms");
    cr_assert_eq(trq_engine_drain(engine, trq_ms(5)), TRQ_ETIMEOUT);
    cr_assert_eq(fx_stats(engine, "Slow").done, 4);
    cr_assert_eq(trq_engine_drain(engine, trq_ms(1000)), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- memory ------------------------------------------------------------------------------------------------ */

Test(hooks, all_memory_is_the_allocators_and_goes_back)
{
    struct fx_heap heap = {0}, other = {0};
    const struct trq_hooks hooks = fx_hooks(&heap), hooks2 = fx_hooks(&other);
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = 2, .hooks = &hooks, .host = &fx), &fx_app);
    struct trq_engine *second =
        fx_start(FX_CONFIG(.threads = 1, .hooks = &hooks2, .host = &fx), &fx_app);
    cr_assert(heap.blocks > 0 && other.blocks > 0);
    for (int i = 0; i < 5000; i++) {
        cr_assert_eq(fx_enqueue(engine, i, NULL), TRQ_OK);
        cr_assert_eq(fx_enqueue(second, i, NULL), TRQ_OK);
    }
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    cr_assert(heap.blocks == 0 && heap.bytes == 0 && heap.wrong == 0);
    cr_assert(other.blocks > 0);
    cr_assert_eq(trq_engine_destroy(second), TRQ_OK);
    cr_assert(other.blocks == 0 && other.bytes == 0 && other.wrong == 0);
}

/* ---- threads ------------------------------------------------------------------------------------------------- */

enum { THREADS = 5 };
static atomic_int begun[THREADS], over[THREADS], wrong;

static void name_of_self(char *name)
{
    FX_MUST(pthread_getname_np(pthread_self(), name, 16) == 0);
}
static bool signals_blocked(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int s = 1; s < SIGRTMAX; s++)
        if (s != SIGKILL && s != SIGSTOP && (s < 32 || s > 33) && !sigismember(&mask, s))
            return false;
    return true;
}
static void begin(void *host, int index)
{
    char name[16], wanted[16];
    name_of_self(name);
    snprintf(wanted, sizeof wanted, "pool-%d", index);
    if (host != &fx || strcmp(name, wanted) != 0 || !signals_blocked())
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&begun[index], 1);
}
static void end(void *host, int index)
{
    atomic_fetch_add(&wrong, host != &fx);
    atomic_fetch_add(&over[index], 1);
}
static enum trq_end meet(struct trq_job *job)
{
    char name[16], wanted[16];
    fx_gate_pass(&fx.gate);
    name_of_self(name);
    snprintf(wanted, sizeof wanted, "pool-%d", trq_job_thread(job));
    if (strcmp(name, wanted) != 0 || !signals_blocked())
        atomic_fetch_add(&wrong, 1);
    fx_note(&fx, trq_job_thread(job));
    return TRQ_DONE;
}
static const struct trq_worker meets = {.size = sizeof meets, .name = "Meets", .perform = meet};

/* How many threads of this process have a name that begins so. */
static int threads_named(const char *prefix)
{
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *d; tasks && (d = readdir(tasks));) {
        char path[300], name[32] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/comm", d->d_name);
        FILE *f = fopen(path, "r");
        if (f && fgets(name, sizeof name, f))
            n += strncmp(name, prefix, strlen(prefix)) == 0;
        if (f)
            fclose(f);
    }
    if (tasks)
        closedir(tasks);
    return n;
}

Test(hooks, each_pool_thread_begins_and_ends_once_named_and_with_signals_blocked)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = THREADS, .thread_name = "pool", .thread_begin = begin,
                           .thread_end = end, .host = &fx),
                 FX_APP(.name = "app", .workers = TRQ_WORKERS(&meets)));
    cr_assert_not(signals_blocked(), "the host's mask is as before");
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(trq_enqueue(engine, &meets, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    fx_gate_await(&fx.gate, THREADS);
    while (threads_named("pool-") < THREADS + 1) /* each gives itself its name */
        sched_yield();
    cr_assert_eq(threads_named("pool-"), THREADS + 1, "and one for housekeeping");
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    cr_assert_eq(threads_named("pool-"), 0);
    cr_assert_eq(atomic_load(&wrong), 0);
    int seen[THREADS] = {0};
    for (int i = 0; i < THREADS; i++)
        seen[fx.value[i]]++;
    for (int i = 0; i < THREADS; i++)
        cr_assert(begun[i] == 1 && over[i] == 1 && seen[i] == 1, "thread %d", i);
}

Test(hooks, a_thread_name_of_10_bytes_and_a_number_of_4_fit)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = 3, .thread_name = "0123456789"), NULL);
    FX_AWAIT(threads_named("0123456789-2") == 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    engine = fx_start(FX_CONFIG(.threads = 1), NULL);
    FX_AWAIT(threads_named("tresque-0") == 1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(hooks, a_signal_to_the_process_is_never_handled_on_a_pool_thread)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 4), NULL);
    sigset_t usr1;
    int got;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL); /* now nobody takes it but who waits for it */
    kill(getpid(), SIGUSR1);
    cr_assert_eq(sigwait(&usr1, &got), 0);
    cr_assert_eq(got, SIGUSR1);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

/* ---- log ---------------------------------------------------------------------------------------------------- */

static char logged[2000];
static void log_line(void *host, enum trq_log_level level, const char *text)
{
    FX_MUST(host == &fx);
    pthread_mutex_lock(&fx.mutex);
    size_t n = strlen(logged);
    snprintf(logged + n, sizeof logged - n, "%d %s\n", (int)level, text);
    pthread_mutex_unlock(&fx.mutex);
}

Test(hooks, the_log_tells_of_start_and_of_a_stop_that_timed_out)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = 1, .jobs_max = 99, .log = log_line, .host = &fx), &fx_app);
    struct gated_in in = {0};
    cr_assert_eq(gated_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    fx_gate_await(&fx.gate, 1);
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_ETIMEOUT);
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    char start[50], stop[80];
    snprintf(start, sizeof start, "%d started: 1 threads, 99 jobs\n", (int)TRQ_LOG_INFO);
    snprintf(stop, sizeof stop, "%d stop: still running: Gated on tresque-0\n",
             (int)TRQ_LOG_WARNING);
    cr_assert(strstr(logged, start) == logged && strstr(logged, stop), "%s", logged);
}

Test(hooks, the_log_tells_of_a_start_that_failed)
{
    static const char *const queues[] = {"nix", NULL};
    struct trq_engine *engine =
        fx_create(FX_CONFIG(.threads = 1, .queues = queues, .log = log_line, .host = &fx), &fx_app);
    cr_assert_eq(trq_engine_start(engine, NULL), TRQ_EUNKNOWN);
    cr_assert_str_eq(logged, "0 start: TRQ_EUNKNOWN\n");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
