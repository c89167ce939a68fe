/* Counted exactly: no call of the allocator once an engine is warm, and no context switch while it is idle. */
#include <dirent.h>

#include "engine_fixture.h"

#include "tap.h"

#if defined __SANITIZE_THREAD__ || defined __SANITIZE_ADDRESS__
enum { JOBS = 100000 };
#else
enum { JOBS = 1000000 };
#endif

enum { JOBS_MAX = 1000, BULK = 16 };

#define PLAIN_INPUTS(F, W)                                                                         \
    F(W, i64, n, TRQ_OPTIONAL, 0)                                                                  \
    F(W, str, text, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(plain, PLAIN_INPUTS);

static struct fx_gate gate = FX_GATE;
static atomic_bool blocked;

static enum trq_end plain_perform(struct trq_job *job)
{
    if (atomic_load(&blocked))
        fx_gate_pass(&gate);
    return plain_get(job)->n % 100 == 99 ? TRQ_SKIP : TRQ_DONE;
}
const struct trq_worker plain = {TRQ_WORKER(plain, "Plain"), .perform = plain_perform};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"low", 1, 0}),
    .workers = TRQ_WORKERS(&plain),
};

/* ---- no allocation --------------------------------------------------------------------------------------- */

/* Sizes of every kind of block up to 4 KiB, single and in bulk, with and without a channel, to three queues. */
static void enqueue_some(struct trq_engine *engine, struct trq_channel *channel, int64_t n)
{
    static const char *const queue[] = {"high", "default", "app_low"};
    static const char text[4000] = {'x'};
    struct plain_in in[BULK];
    struct trq_opts opts = trq_opts_init();
    struct trq_event events[BULK];
    opts.queue = queue[n % 3];
    opts.channel = n % 4 ? NULL : channel;
    opts.wait_for_room = fx_long();
    if (opts.channel)
        trq_channel_drain(channel, events, BULK);
    for (int i = 0; i < BULK; i++)
        in[i] = (struct plain_in){n + i, {text, (size_t)(n * 37 % 3990)}};
    if (n / BULK % 2) {
        FX_MUST(plain_enqueue_many(engine, in, BULK, &opts, NULL) == TRQ_OK);
        return;
    }
    for (int i = 0; i < BULK; i++) {
        int rc;
        while ((rc = plain_enqueue(engine, &in[i], i ? &opts : NULL, NULL)) == TRQ_EFULL)
            sched_yield(); /* without options there is no waiting for room */
        FX_MUST(rc == TRQ_OK);
    }
}

static void no_allocation_in_a_pool(void)
{
    struct fx_heap heap = {0};
    const struct trq_hooks hooks = fx_hooks(&heap);
    struct trq_engine *engine = fx_start(
        FX_CONFIG(.threads = 2, .jobs_max = JOBS_MAX, .hooks = &hooks, .sample_every = 16), &app);
    struct trq_channel *channel;
    FX_MUST(trq_channel_create(engine, JOBS_MAX, &channel) == TRQ_OK);

    /* Warm: the engine full of jobs of the largest block of each kind, in one queue after the other. */
    static const char *const queue[] = {"high", "default", "low"};
    static const char text[4000] = {'x'};
    for (int q = 0; q < 3; q++)
        for (size_t size = 10; size < sizeof text; size *= 2) {
            struct plain_in in = {0, {text, size}};
            gate.open = false;
            gate.arrived = 0;
            atomic_store(&blocked, true);
            int rc;
            while ((rc = plain_enqueue(engine, &in, TRQ_OPTS(.queue = queue[q], .channel = channel),
                                       NULL)) == TRQ_OK)
                ;
            FX_MUST(rc == TRQ_EFULL);
            atomic_store(&blocked, false);
            fx_gate_open(&gate);
            FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
            struct trq_event events[64];
            while (trq_channel_drain(channel, events, 64) > 0)
                ;
        }
    for (int64_t n = 0; n < JOBS / 4; n += BULK)
        enqueue_some(engine, channel, n);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);

    long before = atomic_load(&heap.calls);
    for (int64_t n = 0; n < JOBS; n += BULK)
        enqueue_some(engine, channel, n);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    long after = atomic_load(&heap.calls);
    tap_note("%ld calls of the allocator to warm up, %ld over %d jobs", before, after - before,
             (int)JOBS);
    TAP_OK(after == before, "a warm pool runs jobs without a call of the allocator");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
    TAP_OK(heap.blocks == 0 && heap.wrong == 0, "and all memory goes back");
}

static void no_allocation_when_polled(void)
{
    struct fx_heap heap = {0};
    const struct trq_hooks hooks = fx_hooks(&heap);
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &hooks), &app);
    long before = 0;
    for (int64_t n = 0; n < JOBS + 2000; n++) {
        struct plain_in in = {n, {NULL, 0}};
        if (n == 2000)
            before = atomic_load(&heap.calls);
        FX_MUST(plain_enqueue(engine, &in, NULL, NULL) == TRQ_OK);
        if (n % 64 == 63)
            FX_MUST(trq_engine_poll(engine, 0, trq_ns(0)) == 64);
    }
    TAP_OK(atomic_load(&heap.calls) == before,
           "a warm polled engine runs jobs without a call of the allocator");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

/* ---- idle --------------------------------------------------------------------------------------------------- */

/* The switches of all threads whose name begins so; -1: /proc does not say. */
static long switches(const char *prefix, int *out_threads)
{
    DIR *tasks = opendir("/proc/self/task");
    long sum = 0;
    *out_threads = 0;
    for (struct dirent *d; tasks && (d = readdir(tasks));) {
        char path[300], line[200], name[32] = "";
        long n;
        snprintf(path, sizeof path, "/proc/self/task/%s/status", d->d_name);
        FILE *f = fopen(path, "r");
        for (bool ours = false; f && fgets(line, sizeof line, f);) {
            if (sscanf(line, "Name: %31s", name) == 1) {
                ours = strncmp(name, prefix, strlen(prefix)) == 0;
                *out_threads += ours;
            }
            if (ours && (sscanf(line, "voluntary_ctxt_switches: %ld", &n) == 1 ||
                         sscanf(line, "nonvoluntary_ctxt_switches: %ld", &n) == 1))
                sum += n;
        }
        if (f)
            fclose(f);
    }
    if (!tasks)
        return -1;
    closedir(tasks);
    return sum;
}

static void wait_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static void idle_threads_sleep(void)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 8, .thread_name = "idler"), &app);
    for (int64_t n = 0; n < 1000; n++)
        FX_MUST(plain_enqueue(engine, &(struct plain_in){n, {NULL, 0}}, NULL, NULL) == TRQ_OK);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    int threads;
    long before, now = switches("idler-", &threads);
    if (now < 0 || threads != 8) {
        tap_note("/proc does not tell of threads here");
    } else {
        do { /* those that are about to sleep */
            before = now;
            wait_ms(20);
            now = switches("idler-", &threads);
        } while (now != before);
        wait_ms(1000);
        now = switches("idler-", &threads);
        tap_note("%ld context switches of 8 idle threads in 1 s", now - before);
        TAP_OK(now == before, "idle threads are not switched to");
    }
    struct trq_engine_stats stats = {.size = sizeof stats};
    FX_MUST(trq_stats_engine(engine, &stats) == TRQ_OK);
    TAP_OK(stats.asleep == 8 && stats.jobs == 0, "they count as asleep");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

int main(void)
{
    no_allocation_when_polled();
    no_allocation_in_a_pool();
    idle_threads_sleep();
    return tap_done();
}
