/* Memory: what a new engine touches, and what a waiting job takes.
 *
 * By /proc/self/smaps_rollup, each figure in a process of its own. `Anonymous` is memory that was written;
 * `Rss` also holds the pages of the library's code that were needed, which all engines and processes share.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { THREADS = 2, WAITING_JOBS = 1000000 };

static const char *const names[] = {"new_engine", "new_engine_rss", "waiting_job", NULL};

void child_new_engine(const struct child_task *task)
{
    (void)task;
    (void)memory_now(); /* stdio's own buffers */
    struct memory before = memory_now();
    struct trq_config config = trq_config_init();
    config.threads = THREADS;
    config.jobs_max = 1000000;
    struct trq_engine *engine = ours_start(&config);
    sleep_ns(50000000); /* the threads have begun */
    struct memory after = memory_now();
    child_says(after.anonymous - before.anonymous);
    child_says(after.rss - before.rss);
    ours_stop(engine);
}

/* The only worker is held back; a run before has brought up what is there for any number of jobs. */
void child_waiting(const struct child_task *task)
{
    struct setup setup = {1, 1, false};
    void *self = task->peer->start(&setup);
    struct work_tallies *tallies = work_tallies_new();
    work_use(tallies);
    work_gate_close();
    task->peer->submit(self, 0, WORK_GATE, 1);
    work_gate_wait_entered();
    struct memory before = memory_now();
    task->peer->submit(self, 0, 0, task->jobs);
    struct memory after = memory_now();
    child_says((after.anonymous - before.anonymous) / (double)task->jobs);
    work_gate_open();
    while (work_jobs(tallies) < task->jobs)
        sleep_ns(1000000);
    task->peer->stop(self);
    if (!work_is_right(tallies, task->jobs))
        bench_die("waiting: wrong result");
}

static void run_new_engine(const struct options *options)
{
    struct child_figures figures;
    struct child_task task = {.name = "new_engine", .peer = &peer_tresque};
    struct scenario anonymous = {
        .bench = "footprint",
        .name = "new_engine",
        .title = "memory written by a new engine, jobs_max 10^6, 2 threads",
        .threads = THREADS,
        .unit = "bytes",
        .better = LESS_IS_BETTER,
    };
    struct scenario rss = anonymous;
    rss.name = "new_engine_rss";
    rss.title = "the same with the code that it needed";
    bool wants_anonymous = bench_wants(options, "footprint", anonymous.name);
    bool wants_rss = bench_wants(options, "footprint", rss.name);
    if (!wants_anonymous && !wants_rss)
        return;
    if (!child_run(&task, &figures) || figures.count != 2) {
        report_wrong("footprint", "new_engine", "tresque");
        return;
    }
    report_note("\nfootprint: in processes of their own");
    if (wants_anonymous)
        report_exact(&anonymous, "tresque", figures.values[0], 1 << 20);
    if (wants_rss)
        report_exact(&rss, "tresque", figures.values[1], 1 << 20);
}

static void run_waiting(const struct options *options)
{
    enum { PEERS_MAX = 16 };
    struct series series[PEERS_MAX];
    double bytes[PEERS_MAX];
    size_t count = 0;
    struct scenario scenario = {
        .bench = "footprint",
        .name = "waiting_job",
        .title = "memory of a waiting job with two inputs",
        .threads = 2,
        .unit = "bytes",
        .better = LESS_IS_BETTER,
    };
    unsigned needs = PEER_WORKERS | PEER_SINGLE;
    if (!bench_wants(options, "footprint", scenario.name))
        return;
    for (size_t i = 0; peers[i]; i++) {
        struct child_figures figures;
        struct child_task task = {
            .name = "waiting",
            .peer = peers[i],
            .jobs = options->tiny ? WAITING_JOBS / 100 : WAITING_JOBS,
        };
        if ((peers[i]->can & needs) != needs || !bench_wants_peer(options, peers[i]))
            continue;
        if (!child_run(&task, &figures) || figures.count != 1 || count == PEERS_MAX) {
            report_wrong("footprint", scenario.name, peers[i]->name);
            continue;
        }
        bytes[count] = figures.values[0];
        series[count] = (struct series){peers[i]->name, (peers[i]->can & PEER_OURS) != 0,
                                        &bytes[count], NULL, 1};
        count++;
    }
    report_scenario(&scenario, series, count);
}

static void run_footprint(const struct options *options)
{
    run_new_engine(options);
    run_waiting(options);
}

const struct bench bench_footprint = {
    .name = "footprint",
    .what = "memory of a new engine, and of a waiting job",
    .scenarios = names,
    .run = run_footprint,
};
