/* What an engine with nothing to do does.
 *
 * A thread that sleeps in the kernel makes no system call until it has been woken. So the kernel's own account
 * is enough: if the time on a processor (/proc/self/task/T/schedstat, in ns) and the context switches of all
 * of the engine's threads are what they were 10 s ago, none of them has made a system call. The thread that
 * looks is left out. The engine has had work before, since that is when something might tick on.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { THREADS = 4, SETTLE_MS = 100 };

static const char *const names[] = {"switches", "cpu", NULL};

struct activity {
    int threads;
    double switches;
    double cpu_ns;
};

static void add_switches(const char *task, struct activity *a)
{
    char path[300], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        const char *count = strstr(line, "_ctxt_switches:");
        if (count)
            a->switches += strtod(count + strlen("_ctxt_switches:"), NULL);
    }
    fclose(f);
}

static void add_cpu(const char *task, struct activity *a)
{
    char path[300];
    double ns = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lf", &ns) == 1)
        a->cpu_ns += ns;
    if (f)
        fclose(f);
}

static struct activity activity_of_others(void)
{
    struct activity a = {0};
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        bench_die("idle: cannot read /proc/self/task");
    for (struct dirent *e; (e = readdir(tasks));) {
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        a.threads++;
        add_switches(e->d_name, &a);
        add_cpu(e->d_name, &a);
    }
    closedir(tasks);
    return a;
}

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
