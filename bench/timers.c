/* Jobs for later: what it costs to put one off, what it costs when it becomes due, what it takes meanwhile, how late it is.
 *
 *   insert   the call alone, from the inputs to a job that is pending; from none to all pending
 *   taken    the same, and what the loop has to do for it later: every 1,024 jobs it has a turn
 *   expire   from due to ready. Time leaps by a thousandth of the hour over which all are spread; what is due becomes
 *            ready and is run when the clock of this figure has stopped
 *   bytes    of a pending job, and how many of them are there only because it is not due
 *   late     from due to the handler's begin, in real time, a job every ms or so; ours with the thread of the housekeeper
 *            and one of the pool
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/ours.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/timer.h"
#include "bench/work.h"

enum { TURN_JOBS = 1024, LEAPS = 1000, TINY_JOBS = 1000, RUNS_MAX_10M = 5, SERIES_MAX = 8 };
enum { LATE_JOBS = 1000, QUEUE_CELL_BYTES = 8 };

static const struct size {
    const char *suffix;
    uint64_t jobs;
    const char *words;
} sizes[] = {{"1m", 1000000, "10^6"}, {"10m", 10000000, "10^7"}};
enum { SIZES = sizeof sizes / sizeof sizes[0] };

enum figure { INSERT, TAKEN, EXPIRE, FIGURES };
static const struct {
    const char *name, *title;
} figures[FIGURES] = {
    [INSERT] = {"insert", "the call that puts a job off"},
    [TAKEN] = {"taken", "the same, and the loop's part of it"},
    [EXPIRE] = {"expire", "from due to ready"},
};

static const char *const names[] = {
    "insert_1m", "taken_1m",  "expire_1m", "insert_10m", "taken_10m", "expire_10m",
    "bytes_1m",  "bytes_10m", "late_p50",  "late_p99",   "late_max",  NULL,
};

static const struct timer_peer *const entrants[] = {
    &timer_tresque, &timer_tresque_in, &timer_tresque_at, &timer_heap,
#ifdef BENCH_LIBUV
    &timer_libuv,
#endif
#ifdef BENCH_ASIO
    &timer_asio,
#endif
    NULL,
};

/* ---- times ------------------------------------------------------------------------------------------------ */

static int64_t leapt, then;

int64_t timer_now(void)
{
    return now_ns() + leapt;
}

void timer_leap(int64_t ns)
{
    leapt += ns;
    then = timer_now();
}

int64_t timer_then(void)
{
    return then;
}

static uint64_t scrambled(uint64_t i)
{
    i = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
    i = (i ^ i >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    i = (i ^ i >> 27) * UINT64_C(0x94d049bb133111eb);
    return i ^ i >> 31;
}

int64_t timer_after(uint64_t i)
{
    return TIMER_FIRST_NS + (int64_t)(scrambled(i) % (uint64_t)(TIMER_SPAN_NS - TIMER_FIRST_NS));
}

/* ---- one run --------------------------------------------------------------------------------------------- */

static bool is_wanted(const struct options *options, enum figure f, const struct size *size)
{
    char name[32];
    snprintf(name, sizeof name, "%s_%s", figures[f].name, size->suffix);
    return bench_wants(options, "timers", name);
}

static void insert_all(const struct timer_peer *p, void *self, uint64_t jobs, double *out_insert,
                       double *out_settle)
{
    int64_t insert = 0, settle = 0;
    for (uint64_t first = 0; first < jobs; first += TURN_JOBS) {
        int64_t t0 = now_ns();
        p->insert(self, first, jobs - first < TURN_JOBS ? jobs - first : TURN_JOBS);
        int64_t t1 = now_ns();
        if (p->settle)
            p->settle(self);
        insert += t1 - t0;
        settle += p->settle ? now_ns() - t1 : 0;
    }
    *out_insert = (double)insert / (double)jobs;
    *out_settle = (double)settle / (double)jobs;
}

static double expire_all(const struct timer_peer *p, void *self, uint64_t jobs)
{
    int64_t ns = 0;
    if (p->span_ns)
        sleep_ns(p->span_ns);
    /* The last leap is for what was inserted last. */
    for (int leap = 0; leap <= LEAPS; leap++) {
        if (!p->span_ns)
            timer_leap(leap < LEAPS ? TIMER_SPAN_NS / LEAPS : TIMER_SPAN_NS);
        int64_t t = now_ns();
        p->expire(self);
        ns += now_ns() - t;
        if (p->span_ns)
            break;
    }
    return (double)ns / (double)jobs;
}

/* ns a job, of those figures that it has. */
static void run_once(const struct timer_peer *p, uint64_t jobs, const char *scenario,
                     double out[FIGURES])
{
    struct work_tallies *tallies = work_tallies_new();
    double settle;
    work_use(tallies);
    timer_leap(0);
    void *self = p->start(jobs);
    insert_all(p, self, jobs, &out[INSERT], &settle);
    out[TAKEN] = out[INSERT] + settle;
    bool right = p->pending(self) == jobs;
    if (p->expire) {
        out[EXPIRE] = expire_all(p, self, jobs);
        right = right && p->pending(self) == 0 && work_jobs(tallies) == 0;
        p->finish(self);
        right = right && work_is_right(tallies, jobs);
    }
    p->stop(self);
    if (!right)
        report_wrong("timers", scenario, p->peer.name);
}

/* Insertions of ours are measured on the system's clocks, expiry on one that leaps. */
static bool has_figure(const struct timer_peer *p, enum figure f)
{
    return f == EXPIRE ? p->expire != NULL : p != &timer_tresque;
}

static bool is_ours(const struct timer_peer *p)
{
    return (p->peer.can & PEER_OURS) != 0;
}

static void report_figure(const struct options *options, enum figure f, const struct size *size,
                          unsigned runs, double *values[][FIGURES])
{
    struct series series[SERIES_MAX];
    size_t count = 0;
    char name[32], title[80];
    snprintf(name, sizeof name, "%s_%s", figures[f].name, size->suffix);
    snprintf(title, sizeof title, "%s, up to %s pending", figures[f].title, size->words);
    struct scenario scenario = {
        .bench = "timers",
        .name = name,
        .title = title,
        .threads = 1,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    for (size_t i = 0; entrants[i]; i++)
        if (has_figure(entrants[i], f) && bench_wants_peer(options, &entrants[i]->peer))
            series[count++] = (struct series){entrants[i]->peer.name, is_ours(entrants[i]),
                                              values[i][f], NULL, runs};
    report_scenario(&scenario, series, count);
}

static void run_size(const struct options *options, const struct size *size)
{
    double *values[SERIES_MAX][FIGURES] = {{NULL}};
    bool wanted = false;
    uint64_t jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : size->jobs;
    unsigned runs = options->runs;
    if (jobs > 1000000 && runs > RUNS_MAX_10M)
        runs = RUNS_MAX_10M;
    for (int f = 0; f < FIGURES; f++)
        wanted = wanted || is_wanted(options, (enum figure)f, size);
    if (!wanted)
        return;
    size_t count = 0;
    for (; entrants[count]; count++)
        for (int f = 0; f < FIGURES; f++)
            if (!(values[count][f] = calloc(runs, sizeof(double))))
                bench_die("out of memory");
    for (unsigned r = 0; r < runs; r++)
        for (size_t i = 0; i < count; i++) {
            const struct timer_peer *p = entrants[(i + r) % count];
            double out[FIGURES] = {0};
            if (!bench_wants_peer(options, &p->peer))
                continue;
            run_once(p, jobs, size->suffix, out);
            for (int f = 0; f < FIGURES; f++)
                values[(i + r) % count][f][r] = out[f];
        }
    for (int f = 0; f < FIGURES; f++)
        if (is_wanted(options, (enum figure)f, size))
            report_figure(options, (enum figure)f, size, runs, values);
    for (size_t i = 0; i < count; i++)
        for (int f = 0; f < FIGURES; f++)
            free(values[i][f]);
}

/* ---- bytes ------------------------------------------------------------------------------------------------- */

/* In a process of its own: pending jobs, by the memory that was written. */
void child_timers_pending(const struct child_task *task)
{
    double insert, settle;
    for (size_t i = 0; entrants[i]; i++) {
        const struct timer_peer *p = entrants[i];
        if (!p->expire || strcmp(p->peer.name, task->peer->name) != 0)
            continue;
        work_use(work_tallies_new());
        timer_leap(0);
        void *self = p->start(task->jobs);
        double before = memory_now().anonymous;
        insert_all(p, self, task->jobs, &insert, &settle);
        child_says((memory_now().anonymous - before) / (double)task->jobs);
        if (p->pending(self) != task->jobs)
            bench_die("timers: wrong result");
        expire_all(p, self, task->jobs);
        p->finish(self);
        p->stop(self);
    }
}

/* The same jobs, but ready: in a queue that is paused. */
void child_timers_ready(const struct child_task *task)
{
    work_use(work_tallies_new());
    void *self = timer_tresque.start(task->jobs);
    double before = memory_now().anonymous;
    ours_enqueue(self, 0, task->jobs);
    child_says((memory_now().anonymous - before) / (double)task->jobs);
    timer_tresque.finish(self);
    timer_tresque.stop(self);
}

static bool bytes_of(const struct options *options, const char *child, const struct peer *peer,
                     const struct size *size, double *out)
{
    struct child_figures said;
    struct child_task task = {.name = child, .peer = peer};
    task.jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : size->jobs;
    if (!child_run(&task, &said) || said.count != 1) {
        report_wrong("timers", "bytes", peer->name);
        return false;
    }
    *out = said.values[0];
    return true;
}

static void run_bytes(const struct options *options, const struct size *size)
{
    struct series series[SERIES_MAX];
    double bytes[SERIES_MAX], ready;
    size_t count = 0;
    char name[32], title[80];
    snprintf(name, sizeof name, "bytes_%s", size->suffix);
    if (!bench_wants(options, "timers", name))
        return;
    snprintf(title, sizeof title, "memory of a pending job, %s of them", size->words);
    struct scenario scenario = {
        .bench = "timers",
        .name = name,
        .title = title,
        .threads = 1,
        .unit = "bytes",
        .better = LESS_IS_BETTER,
    };
    for (size_t i = 0; entrants[i]; i++) {
        const struct timer_peer *p = entrants[i];
        if (!p->expire || !bench_wants_peer(options, &p->peer) ||
            !bytes_of(options, "timers_pending", is_ours(p) ? &peer_tresque : &p->peer, size,
                      &bytes[count]))
            continue;
        series[count] = (struct series){p->peer.name, is_ours(p), &bytes[count], NULL, 1};
        count++;
    }
    report_scenario(&scenario, series, count);
    if (count == 0 || !series[0].is_ours ||
        !bytes_of(options, "timers_ready", &peer_tresque, size, &ready))
        return;
    report_note("  a job in a queue takes %.1f, of which its place there %d", ready,
                QUEUE_CELL_BYTES);
    scenario.title = "beyond the job";
    report_exact(&scenario, "tresque", bytes[0] - (ready - QUEUE_CELL_BYTES),
                 options->tiny ? -1 : 16);
}

/* ---- lateness ----------------------------------------------------------------------------------------------- */

static struct {
    int64_t span_ns;
    int64_t due[LATE_JOBS];
    double late_us[LATE_JOBS];
    atomic_uint_fast64_t count;
} lateness;

int64_t timer_soon(uint64_t i)
{
    return 20000000 + (int64_t)(scrambled(i) % (uint64_t)lateness.span_ns);
}

void timer_put_off(uint64_t i)
{
    lateness.due[i] = now_ns() + timer_soon(i);
}

void timer_late(uint64_t i)
{
    lateness.late_us[i] = (double)(now_ns() - lateness.due[i]) / 1e3;
    atomic_fetch_add(&lateness.count, 1);
}

uint64_t timer_late_count(void)
{
    return atomic_load(&lateness.count);
}

enum { POINTS = 3 };

static void late_once(const struct timer_peer *p, uint64_t jobs, double out[POINTS])
{
    struct summary s;
    atomic_store(&lateness.count, 0);
    p->lateness(jobs);
    s = summary_of(lateness.late_us, jobs); /* in order by now */
    out[0] = s.median;
    out[1] = lateness.late_us[jobs - 1 - jobs / 100];
    out[2] = s.max;
    if (timer_late_count() != jobs || (is_ours(p) && s.min < 0))
        report_wrong("timers", "late", p->peer.name);
}

static void run_late(const struct options *options)
{
    static const char *const points[POINTS] = {"late_p50", "late_p99", "late_max"};
    static const char *const titles[POINTS] = {"from due to begin: half of the jobs",
                                               "from due to begin: 99 of 100 jobs",
                                               "from due to begin: the latest"};
    double *values[SERIES_MAX][POINTS] = {{NULL}};
    const struct timer_peer *late[SERIES_MAX];
    size_t count = 0;
    bool wanted = false;
    uint64_t jobs = options->tiny ? LATE_JOBS / 20 : LATE_JOBS;
    lateness.span_ns = (int64_t)jobs * 1000000;
    leapt = 0;
    for (int p = 0; p < POINTS; p++)
        wanted = wanted || bench_wants(options, "timers", points[p]);
    for (size_t i = 0; wanted && entrants[i]; i++)
        if (entrants[i]->lateness && bench_wants_peer(options, &entrants[i]->peer)) {
            for (int p = 0; p < POINTS; p++)
                if (!(values[count][p] = calloc(options->runs, sizeof(double))))
                    bench_die("out of memory");
            late[count++] = entrants[i];
        }
    for (unsigned r = 0; r < options->runs; r++)
        for (size_t i = 0; i < count; i++) {
            double out[POINTS];
            late_once(late[(i + r) % count], jobs, out);
            for (int p = 0; p < POINTS; p++)
                values[(i + r) % count][p][r] = out[p];
        }
    for (int p = 0; p < POINTS && count; p++) {
        struct series series[SERIES_MAX];
        struct scenario scenario = {
            .bench = "timers",
            .name = points[p],
            .title = titles[p],
            .threads = 2,
            .unit = "us",
            .better = LESS_IS_BETTER,
        };
        for (size_t i = 0; i < count; i++)
            series[i] = (struct series){late[i]->peer.name, is_ours(late[i]), values[i][p], NULL,
                                        options->runs};
        if (bench_wants(options, "timers", points[p]))
            report_scenario(&scenario, series, count);
    }
    for (size_t i = 0; i < count; i++)
        for (int p = 0; p < POINTS; p++)
            free(values[i][p]);
}

static void run_timers(const struct options *options)
{
    for (size_t i = 0; i < SIZES; i++)
        run_size(options, &sizes[i]);
    for (size_t i = 0; i < SIZES; i++)
        run_bytes(options, &sizes[i]);
    run_late(options);
}

const struct bench bench_timers = {
    .name = "timers",
    .what = "jobs for later: to put one off, from due to ready, memory, lateness",
    .scenarios = names,
    .run = run_timers,
};
