/* Allocator calls of a warm engine over many jobs: counted, so one run says it.
 *
 * Warm means that as many jobs have waited at once as ever will: that many are enqueued while the only worker
 * is held back. The bursts that are counted stay below.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { WARM_JOBS = 16384, BURST = 4096 };

static const char *const names[] = {"pool_hooks", "pool_malloc", "poll_hooks", "poll_malloc", NULL};

static atomic_llong hook_calls;

static void *counted_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    atomic_fetch_add(&hook_calls, 1);
    return aligned_alloc(align, (size + align - 1) & ~(align - 1));
}

static void counted_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    atomic_fetch_add(&hook_calls, 1);
    free(block);
}

static void wait_for(struct trq_engine *engine, bool polls, const struct work_tallies *tallies,
                     uint64_t jobs)
{
    while (work_jobs(tallies) < jobs) {
        if (polls)
            ours_poll(engine);
        else
            sleep_ns(20000);
    }
}

/* Says how often the hooks and malloc were called during `jobs` jobs, single and 64 at a time. */
static void count_calls(bool polls, uint64_t jobs)
{
    struct trq_hooks hooks = {.size = sizeof hooks, .alloc = counted_alloc, .free = counted_free};
    struct trq_config config = trq_config_init();
    config.threads = polls ? TRQ_THREADS_NONE : 1;
    config.jobs_max = 1000000;
    config.hooks = &hooks;
    struct trq_engine *engine = ours_start(&config);
    struct work_tallies *tallies = work_tallies_new();
    work_use(tallies);

    if (!polls) {
        work_gate_close();
        ours_enqueue(engine, WORK_GATE, 1);
        work_gate_wait_entered();
    }
    ours_enqueue(engine, 0, WARM_JOBS / 2);
    ours_enqueue_bulk(engine, WARM_JOBS / 2, WARM_JOBS / 2);
    if (!polls)
        work_gate_open();
    wait_for(engine, polls, tallies, WARM_JOBS);

    long long hooks_before = atomic_load(&hook_calls);
    int64_t malloc_before = child_malloc_calls();
    uint64_t next = WARM_JOBS, end = WARM_JOBS + jobs;
    for (bool bulk = false; next < end; bulk = !bulk) {
        uint64_t n = end - next < BURST ? end - next : BURST;
        (bulk ? ours_enqueue_bulk : ours_enqueue)(engine, next, n);
        next += n;
        wait_for(engine, polls, tallies, next);
    }
    int64_t malloc_after = child_malloc_calls();
    child_says((double)(atomic_load(&hook_calls) - hooks_before));
    child_says(malloc_before < 0 ? -1 : (double)(malloc_after - malloc_before));
    ours_stop(engine);
    if (!work_is_right(tallies, end))
        bench_die("alloc: wrong result");
}

void child_alloc(const struct child_task *task)
{
    count_calls(false, task->jobs);
    count_calls(true, task->jobs);
}

static void run_alloc(const struct options *options)
{
    static const char *const titles[] = {
        "calls of the allocator's hooks, 1 worker",
        "calls of malloc and its like, 1 worker",
        "calls of the allocator's hooks, engine without threads",
        "calls of malloc and its like, engine without threads",
    };
    struct child_figures figures;
    struct child_task task = {
        .name = "alloc",
        .peer = &peer_tresque,
        .jobs = options->jobs   ? options->jobs
                : options->tiny ? 10000
                                : 1000000,
        .count_malloc = true,
    };
    bool wanted = false;
    for (size_t i = 0; names[i]; i++)
        wanted = wanted || bench_wants(options, "alloc", names[i]);
    if (!wanted)
        return;
    report_note("\nalloc: over %llu jobs after warm-up", (unsigned long long)task.jobs);
    if (!child_run(&task, &figures) || figures.count != 4) {
        report_wrong("alloc", "all", "tresque");
        return;
    }
    for (int i = 0; i < 4; i++) {
        struct scenario scenario = {
            .bench = "alloc",
            .name = names[i],
            .title = titles[i],
            .threads = i < 2 ? 2 : 1,
            .unit = "calls",
            .better = LESS_IS_BETTER,
        };
        if (!bench_wants(options, "alloc", names[i]))
            continue;
        if (figures.values[i] < 0)
            report_note("alloc %s: not counted: %s", names[i],
                        BENCH_MALLOC_LIBRARY[0] ? BENCH_MALLOC_LIBRARY " is not beside the program"
                                                : "a sanitizer has its own malloc");
        else
            report_exact(&scenario, "tresque", figures.values[i], 0);
    }
}

const struct bench bench_alloc = {
    .name = "alloc",
    .what = "allocator calls over 10^6 jobs after warm-up",
    .scenarios = names,
    .run = run_alloc,
};
