/* What an engine with nothing to do does: see activity.h. It has had work before, since that is when something might tick
 * on. */
#include "bench/activity.h"
#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { THREADS = 4, SETTLE_MS = 100 };

static const char *const names[] = {"switches", "cpu", NULL};

void child_idle(const struct child_task *task)
{
    struct trq_config config = trq_config_init();
    config.threads = THREADS;
    struct trq_engine *engine = ours_start(&config);
    struct work_tallies *tallies = work_tallies_new();
    work_use(tallies);
    ours_enqueue(engine, 0, task->jobs);
    while (work_jobs(tallies) < task->jobs)
        sleep_ns(100000);
    sleep_ns((int64_t)SETTLE_MS * 1000000);

    struct activity before = activity_of_others();
    sleep_ns((int64_t)task->ms * 1000000);
    struct activity after = activity_of_others();
    child_says(after.switches - before.switches);
    child_says(after.cpu_ns - before.cpu_ns);
    child_says(after.threads);
    ours_stop(engine);
    if (!work_is_right(tallies, task->jobs))
        bench_die("idle: wrong result");
}

static void run_idle(const struct options *options)
{
    struct child_figures figures;
    struct child_task task = {
        .name = "idle",
        .peer = &peer_tresque,
        .jobs = 10000,
        .ms = options->tiny ? 20 : 10000,
    };
    struct scenario switches = {
        .bench = "idle",
        .name = "switches",
        .title = "context switches of the engine's threads (0: no system call)",
        .threads = THREADS,
        .unit = "switches",
        .better = LESS_IS_BETTER,
    };
    struct scenario cpu = {
        .bench = "idle",
        .name = "cpu",
        .title = "time of the engine's threads on a processor (0: no system call)",
        .threads = THREADS,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    bool wants_switches = bench_wants(options, "idle", "switches");
    bool wants_cpu = bench_wants(options, "idle", "cpu");
    if (!wants_switches && !wants_cpu)
        return;
    if (!child_run(&task, &figures) || figures.count != 3) {
        report_wrong("idle", "all", "tresque");
        return;
    }
    report_note("\nidle: %.0f threads, %.2f s without a job", figures.values[2],
                (double)task.ms / 1000);
    if (wants_switches)
        report_exact(&switches, "tresque", figures.values[0], 0);
    if (wants_cpu)
        report_exact(&cpu, "tresque", figures.values[1], 0);
}

const struct bench bench_idle = {
    .name = "idle",
    .what = "system calls of an engine without work, 10 s",
    .scenarios = names,
    .run = run_idle,
};
