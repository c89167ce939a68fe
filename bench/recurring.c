/* Recurring jobs: what they cost while they do not fire, and what a firing costs.
 *
 *   idle_N    switches and time on a processor of an engine's threads, with N recurring jobs that fire in some years, in
 *             10 s (activity.h); 0 of them beside it
 *   firing    ns from due to ready. Time leaps by a minute; all are due; the queue is paused, so nothing runs before the
 *             clock of this figure has stopped. Beside it the enqueue alone of the same dictionary, which is a part of it
 *   bytes     of memory, each
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/activity.h"
#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { THREADS = 4, MANY = 10000, TINY = 200, SETTLE_MS = 100, KINDS = 4 };

static const char *const names[] = {"idle_none", "idle_many", "firing", "bytes", NULL};

static void expect(long code, const char *call)
{
    if (code < 0)
        bench_die("%s: %s", call, trq_code_name((int)code));
}

static void add(struct trq_engine *engine, uint64_t i, struct trq_recurring recurring)
{
    struct trq_error error = {0};
    const struct work_input w = work_input(i);
    char name[32];
    snprintf(name, sizeof name, "job %d", (int)i);
    recurring.name = name;
    recurring.worker = &ours_count;
    recurring.inputs = TRQ_DICT(TRQ_KV("user_id", w.user_id),
                                TRQ_KV("name", ((struct trq_str){w.name, w.name_size})));
    if (trq_recur(engine, &recurring, &error) < 0)
        bench_die("recurring: %s", error.text);
}

/* ---- idle ------------------------------------------------------------------------------------------------- */

void child_recurring(const struct child_task *task)
{
    struct trq_config config = trq_config_init();
    config.threads = THREADS;
    struct trq_engine *engine = ours_start(&config);
    struct work_tallies *tallies = work_tallies_new();
    const struct trq_wall start = trq_wall_add(trq_now(engine), trq_hours(24 * 365 * 5));
    work_use(tallies);
    ours_enqueue(engine, 0, 1000);
    while (work_jobs(tallies) < 1000)
        sleep_ns(100000);
    (void)memory_now();
    const struct memory less = memory_now();
    for (uint64_t i = 0; i < task->jobs; i++) {
        struct trq_recurring r = trq_recurring_init();
        r.start = start;
        if (i % 2)
            r.every = trq_hours(1);
        else
            r.cron = "30 2 * * *";
        r.zone = i % 2 ? NULL : "Europe/Berlin";
        add(engine, i, r);
    }
    const struct memory more = memory_now();
    sleep_ns((int64_t)SETTLE_MS * 1000000);

    const struct activity before = activity_of_others();
    sleep_ns((int64_t)task->ms * 1000000);
    const struct activity after = activity_of_others();
    child_says(after.switches - before.switches);
    child_says(after.cpu_ns - before.cpu_ns);
    child_says((more.anonymous - less.anonymous) / (double)(task->jobs ? task->jobs : 1));
    ours_stop(engine);
}

static void run_idle(const struct options *options, const char *name, uint64_t count)
{
    struct child_figures figures;
    char title[100];
    const struct child_task task = {
        .name = "recurring",
        .peer = &peer_tresque,
        .jobs = count,
        .ms = options->tiny ? 20 : 10000,
    };
    struct scenario scenario = {
        .bench = "recurring",
        .name = name,
        .title = title,
        .threads = THREADS,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    const bool bytes = count && bench_wants(options, "recurring", "bytes");
    if (!bench_wants(options, "recurring", name) && !bytes)
        return;
    if (!child_run(&task, &figures) || figures.count != 3) {
        report_wrong("recurring", name, "tresque");
        return;
    }
    snprintf(title, sizeof title, "time on a processor in %.2f s, %d recurring jobs far off",
             (double)task.ms / 1000, (int)count);
    if (bench_wants(options, "recurring", name)) {
        report_exact(&scenario, "tresque", figures.values[1], 0);
        scenario.unit = "switches";
        scenario.title = "context switches (0: no system call)";
        report_exact(&scenario, "tresque", figures.values[0], 0);
    }
    scenario.name = "bytes";
    scenario.unit = "bytes";
    scenario.title = "memory of a recurring job with two inputs";
    if (bytes)
        report_exact(&scenario, "tresque", figures.values[2], -1);
}

/* ---- firing ------------------------------------------------------------------------------------------------ */

/* It stands still between leaps, so that each makes all of them due once. */
static int64_t leaping = INT64_C(1767225600000000000);

static int64_t leaping_now(void *context)
{
    (void)context;
    return leaping;
}

static const struct {
    const char *impl, *cron, *zone;
    bool enqueues;
} kinds[KINDS] = {
    {"every minute", NULL, NULL, false},
    {"* * * * *", "* * * * *", NULL, false},
    {"the same, Berlin", "* * * * *", "Europe/Berlin", false},
    {"enqueue alone", NULL, NULL, true},
};

static void enqueue_all(struct trq_engine *engine, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        const struct work_input w = work_input(i);
        expect(trq_enqueue(engine, &ours_count,
                           TRQ_DICT(TRQ_KV("user_id", w.user_id),
                                    TRQ_KV("name", ((struct trq_str){w.name, w.name_size}))),
                           NULL, NULL),
               "trq_enqueue");
    }
}

/* ns a firing, a value for each leap; they have been warmed up by one. */
static void fire(int kind, uint64_t count, unsigned leaps, double *out)
{
    const struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = leaping_now, .wall_ns = leaping_now};
    struct trq_config config = trq_config_init();
    struct work_tallies *tallies = work_tallies_new();
    config.threads = TRQ_THREADS_NONE;
    config.hooks = &hooks;
    struct trq_engine *engine = ours_start(&config);
    work_use(tallies);
    for (uint64_t i = 0; i < count && !kinds[kind].enqueues; i++) {
        struct trq_recurring r = trq_recurring_init();
        r.cron = kinds[kind].cron;
        r.zone = kinds[kind].zone;
        r.every = r.cron ? trq_ns(0) : trq_minutes(1);
        add(engine, i, r);
    }
    for (unsigned leap = 0; leap <= leaps; leap++) {
        expect(trq_queue_pause(engine, "bench_default", NULL), "trq_queue_pause");
        ours_poll(engine);
        leaping += trq_minutes(1).ns;
        const int64_t t = now_ns();
        if (kinds[kind].enqueues)
            enqueue_all(engine, count);
        ours_poll(engine);
        const double ns = (double)(now_ns() - t) / (double)count;
        if (leap)
            out[leap - 1] = ns;
        expect(trq_queue_resume(engine, "bench_default", NULL), "trq_queue_resume");
        ours_poll(engine);
        if (work_jobs(tallies) != count * (leap + 1))
            report_wrong("recurring", "firing", kinds[kind].impl);
    }
    ours_stop(engine);
}

static void run_firing(const struct options *options)
{
    const uint64_t count = options->tiny ? TINY : MANY;
    const struct scenario scenario = {
        .bench = "recurring",
        .name = "firing",
        .title = "from due to ready, a firing",
        .threads = 1,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    struct series series[KINDS];
    if (!bench_wants(options, "recurring", "firing"))
        return;
    for (int k = 0; k < KINDS; k++) {
        double *values = calloc(options->runs, sizeof *values);
        if (!values)
            bench_die("out of memory");
        fire(k, count, options->runs, values);
        series[k] = (struct series){kinds[k].impl, k == 0, values, NULL, options->runs};
    }
    report_scenario(&scenario, series, KINDS);
    for (int k = 0; k < KINDS; k++)
        free(series[k].values);
}

static void run_recurring(const struct options *options)
{
    run_idle(options, "idle_none", 0);
    run_idle(options, "idle_many", options->tiny ? TINY : MANY);
    run_firing(options);
}

const struct bench bench_recurring = {
    .name = "recurring",
    .what = "recurring jobs: idle, and what a firing costs",
    .scenarios = names,
    .run = run_recurring,
};
