/* What a lock adds to a job: the same job with it and without it, in turns, by one engine.
 *
 *   free     one thread enqueues 64 jobs and runs them; every key is free
 *   refused  one thread calls for jobs that wait already, 64 after each other
 *   pair     one thread enqueues, one worker runs; every key is free
 *   million  one thread enqueues 10^6 jobs, each with its key, and then runs them
 *   hot      two workers, and one worker key that all jobs want: they wait in a queue when the clock starts
 *   parked   the same, but the key is held until all have asked for it and wait in its line
 *
 * Figures are ns a job; those of a lock are what it adds.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/lock.h"
#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { TURN_JOBS = 4096, RUN_JOBS = 204800, MILLION = 1000000, PAIR_JOBS = 100000 };
enum {
    HOT_JOBS = 50000,
    TINY_JOBS = 1024,
    MILLION_RUNS_MAX = 5,
    SERIES_MAX = 8,
    STUCK_SECONDS = 60
};

static const char *const names[] = {
    "free_none",     "free_queue",   "free_worker", "free_both", "refused",
    "pair_none",     "pair_queue",   "pair_worker", "pair_both", "million_none",
    "million_queue", "million_both", "hot_none",    "hot",       "parked",
    "bytes_queue",   NULL,
};

static const struct lock_peer *const entrants[] = {
    &lock_tresque,
#ifdef BENCH_GLIB
    &lock_glib,
#endif
    NULL,
};
enum { ENTRANTS_MAX = 2 };

/* ---- two at once would be seen --------------------------------------------------------------------------------- */

static atomic_int in_hot, hot_together;

void lock_hot_begin(void)
{
    if (atomic_exchange_explicit(&in_hot, 1, memory_order_relaxed))
        atomic_store(&hot_together, 1);
}

void lock_hot_end(void)
{
    atomic_store_explicit(&in_hot, 0, memory_order_relaxed);
}

/* ---- entrants ---------------------------------------------------------------------------------------------------- */

enum { REFUSED = LOCK_KINDS, PARKED, CELLS };

struct entrant {
    const struct lock_peer *peer;
    void *self;
    struct work_tallies *tallies[LOCK_KINDS];
    uint64_t submitted[LOCK_KINDS];
    double *ns[CELLS];      /* a job, by run: enqueued and run */
    double *enqueue[CELLS]; /* of it: the call */
};

static double *numbers(size_t count)
{
    double *numbers = calloc(count ? count : 1, sizeof *numbers);
    if (!numbers)
        bench_die("out of memory");
    return numbers;
}

static size_t entrants_start(struct entrant *e, const struct options *options, int workers,
                             uint64_t jobs_max, unsigned runs)
{
    size_t count = 0;
    for (size_t i = 0; entrants[i]; i++) {
        if (!bench_wants_peer(options, &entrants[i]->peer))
            continue;
        e[count] =
            (struct entrant){.peer = entrants[i], .self = entrants[i]->start(workers, jobs_max)};
        for (int k = 0; k < LOCK_KINDS; k++)
            e[count].tallies[k] = work_tallies_new();
        for (int c = 0; c < CELLS; c++) {
            e[count].ns[c] = numbers(runs);
            e[count].enqueue[c] = numbers(runs);
        }
        count++;
    }
    return count;
}

static void entrants_stop(struct entrant *e, size_t count, const char *scenario)
{
    for (size_t i = 0; i < count; i++) {
        e[i].peer->stop(e[i].self);
        bool right = !atomic_load(&hot_together);
        for (int k = 0; k < LOCK_KINDS; k++)
            right = right && work_is_right(e[i].tallies[k], e[i].submitted[k]);
        if (!right)
            report_wrong("locks", scenario, e[i].peer->peer.name);
        for (int c = 0; c < CELLS; c++) {
            free(e[i].ns[c]);
            free(e[i].enqueue[c]);
        }
    }
}

static uint64_t enqueue(struct entrant *e, enum lock_kind kind, uint64_t count)
{
    uint64_t refused = e->peer->enqueue(e->self, kind, e->submitted[kind], count);
    e->submitted[kind] += count;
    return refused;
}

static void expect_refused(const struct entrant *e, const char *scenario, uint64_t refused,
                           uint64_t wanted)
{
    if (refused != wanted)
        report_wrong("locks", scenario, e->peer->peer.name);
}

static void wait_for(const struct entrant *e, enum lock_kind kind)
{
    int64_t stuck_at = now_ns() + (int64_t)STUCK_SECONDS * 1000000000;
    while (work_jobs(e->tallies[kind]) < e->submitted[kind]) {
        sleep_ns(50000);
        if (now_ns() > stuck_at)
            bench_die("%s: jobs have not run for %d s", e->peer->peer.name, STUCK_SECONDS);
    }
}

/* ---- reports ------------------------------------------------------------------------------------------------------ */

static bool is_ours(const struct entrant *e)
{
    return (e->peer->peer.can & PEER_OURS) != 0;
}

/* minus: CELLS: nothing. */
static void report_cell(const struct options *options, const struct entrant *e, size_t count,
                        const char *name, const char *title, int threads, int cell, int minus,
                        unsigned runs)
{
    struct series series[SERIES_MAX];
    struct scenario scenario = {
        .bench = "locks",
        .name = name,
        .title = title,
        .threads = threads,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    if (!bench_wants(options, "locks", name))
        return;
    for (size_t i = 0; i < count; i++) {
        double *values = numbers(runs);
        for (unsigned r = 0; r < runs; r++)
            values[r] = e[i].ns[cell][r] - (minus == CELLS ? 0 : e[i].ns[minus][r]);
        series[i] = (struct series){e[i].peer->peer.name, is_ours(&e[i]), values, NULL, runs};
    }
    report_scenario(&scenario, series, count);
    for (size_t i = 0; i < count; i++)
        free(series[i].values);
}

/* A refused call beside calls that are not. */
static void report_refused(const struct options *options, const struct entrant *e, size_t count,
                           unsigned runs)
{
    struct series series[SERIES_MAX];
    char impls[ENTRANTS_MAX][2][40];
    size_t n = 0;
    struct scenario scenario = {
        .bench = "locks",
        .name = "refused",
        .title = "a call that is refused, and calls that are not",
        .threads = 1,
        .unit = "ns",
        .better = LESS_IS_BETTER,
    };
    if (!bench_wants(options, "locks", scenario.name))
        return;
    for (size_t i = 0; i < count; i++) {
        const char *name = e[i].peer->peer.name;
        snprintf(impls[i][0], sizeof impls[i][0], "%s_plain", name);
        snprintf(impls[i][1], sizeof impls[i][1], "%s_locked", name);
        series[n++] = (struct series){name, is_ours(&e[i]), e[i].ns[REFUSED], NULL, runs};
        series[n++] = (struct series){impls[i][0], false, e[i].enqueue[LOCK_NONE], NULL, runs};
        series[n++] = (struct series){impls[i][1], false, e[i].enqueue[LOCK_QUEUE], NULL, runs};
    }
    report_scenario(&scenario, series, n);
}

static bool wants_one_of(const struct options *options, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (bench_wants(options, "locks", names[i]))
            return true;
    return false;
}

/* ---- free, refused ------------------------------------------------------------------------------------------------- */

static void free_turn(struct entrant *e, enum lock_kind kind, uint64_t jobs, unsigned r,
                      double share)
{
    work_use(e->tallies[kind]);
    int64_t enqueued = 0, start = now_ns();
    for (uint64_t left = jobs; left > 0; left -= PEER_BATCH) {
        int64_t t = now_ns();
        expect_refused(e, "free", enqueue(e, kind, PEER_BATCH), 0);
        enqueued += now_ns() - t;
        e->peer->run(e->self);
    }
    e->ns[kind][r] += (double)(now_ns() - start) * share;
    e->enqueue[kind][r] += (double)enqueued * share;
}

static void refused_turn(struct entrant *e, uint64_t jobs, unsigned r, double share)
{
    int64_t ns = 0;
    work_use(e->tallies[LOCK_QUEUE]);
    for (uint64_t left = jobs; left > 0; left -= PEER_BATCH) {
        uint64_t first = e->submitted[LOCK_QUEUE];
        enqueue(e, LOCK_QUEUE, PEER_BATCH);
        int64_t t = now_ns();
        uint64_t refused = e->peer->enqueue(e->self, LOCK_QUEUE, first, PEER_BATCH);
        ns += now_ns() - t;
        expect_refused(e, "refused", refused, PEER_BATCH);
        e->peer->run(e->self);
    }
    e->ns[REFUSED][r] += (double)ns * share;
}

static void run_free(const struct options *options)
{
    struct entrant e[ENTRANTS_MAX];
    uint64_t turn = options->tiny ? PEER_BATCH : TURN_JOBS;
    uint64_t turns = (options->tiny ? TINY_JOBS : options->jobs ? options->jobs : RUN_JOBS) / turn;
    if (!wants_one_of(options, 0, 5))
        return;
    turns = turns ? turns : 1;
    double share = 1.0 / (double)(turns * turn);
    size_t count = entrants_start(e, options, 0, 0, options->runs + 1);
    for (unsigned r = 0; r <= options->runs; r++) /* the last is the first: warm-up, not reported */
        for (uint64_t t = 0; t < turns; t++)
            for (size_t i = 0; i < count; i++)
                for (unsigned k = 0; k < 5; k++) {
                    struct entrant *one = &e[(i + t) % count];
                    unsigned kind = (unsigned)(k + t) % 5, run = r ? r - 1 : options->runs;
                    if (kind == LOCK_HOT)
                        refused_turn(one, turn, run, share);
                    else
                        free_turn(one, (enum lock_kind)kind, turn, run, share);
                }
    static const char t0[] = "one thread, a job without a lock", t1[] = "what a queue lock adds",
                      t2[] = "what a worker lock adds", t3[] = "what both add";
    report_cell(options, e, count, "free_none", t0, 1, LOCK_NONE, CELLS, options->runs);
    report_cell(options, e, count, "free_queue", t1, 1, LOCK_QUEUE, LOCK_NONE, options->runs);
    report_cell(options, e, count, "free_worker", t2, 1, LOCK_WORKER, LOCK_NONE, options->runs);
    report_cell(options, e, count, "free_both", t3, 1, LOCK_BOTH, LOCK_NONE, options->runs);
    report_refused(options, e, count, options->runs);
    entrants_stop(e, count, "free");
}

/* ---- pair ------------------------------------------------------------------------------------------------------------ */

static void pair_turn(struct entrant *e, enum lock_kind kind, uint64_t jobs, unsigned r)
{
    sleep_ns(500000);
    work_use(e->tallies[kind]);
    int64_t t = now_ns();
    expect_refused(e, "pair", enqueue(e, kind, jobs), 0);
    wait_for(e, kind);
    e->ns[kind][r] = (double)(now_ns() - t) / (double)jobs;
}

static void run_pair(const struct options *options)
{
    struct entrant e[ENTRANTS_MAX];
    uint64_t jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : PAIR_JOBS;
    if (!wants_one_of(options, 5, 9))
        return;
    size_t count = entrants_start(e, options, 1, jobs * 2, options->runs + 1);
    for (unsigned r = 0; r <= options->runs; r++)
        for (unsigned k = 0; k < LOCK_HOT; k++)
            for (size_t i = 0; i < count; i++)
                pair_turn(&e[(i + r) % count], (enum lock_kind)((k + r) % LOCK_HOT), jobs,
                          r ? r - 1 : options->runs);
    static const char t0[] = "1 producer, 1 worker, a job without a lock",
                      t1[] = "between two threads, what a queue lock adds",
                      t2[] = "between two threads, what a worker lock adds",
                      t3[] = "between two threads, what both add";
    report_cell(options, e, count, "pair_none", t0, 2, LOCK_NONE, CELLS, options->runs);
    report_cell(options, e, count, "pair_queue", t1, 2, LOCK_QUEUE, LOCK_NONE, options->runs);
    report_cell(options, e, count, "pair_worker", t2, 2, LOCK_WORKER, LOCK_NONE, options->runs);
    report_cell(options, e, count, "pair_both", t3, 2, LOCK_BOTH, LOCK_NONE, options->runs);
    entrants_stop(e, count, "pair");
}

/* ---- a million keys -------------------------------------------------------------------------------------------------- */

static void million_turn(struct entrant *e, enum lock_kind kind, uint64_t jobs, unsigned r)
{
    work_use(e->tallies[kind]);
    int64_t t = now_ns();
    expect_refused(e, "million", enqueue(e, kind, jobs), 0);
    e->peer->run(e->self);
    e->ns[kind][r] = (double)(now_ns() - t) / (double)jobs;
}

static void run_million(const struct options *options)
{
    static const enum lock_kind kinds[] = {LOCK_NONE, LOCK_QUEUE, LOCK_BOTH};
    struct entrant e[ENTRANTS_MAX];
    uint64_t jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : MILLION;
    unsigned runs = options->runs < MILLION_RUNS_MAX ? options->runs : MILLION_RUNS_MAX;
    if (!wants_one_of(options, 9, 12))
        return;
    size_t count = entrants_start(e, options, 0, jobs + jobs / 8, runs + 1);
    for (unsigned r = 0; r <= runs; r++)
        for (unsigned k = 0; k < 3; k++)
            for (size_t i = 0; i < count; i++)
                million_turn(&e[(i + r) % count], kinds[(k + r) % 3], jobs, r ? r - 1 : runs);
    static const char t0[] = "10^6 jobs wait, without a lock",
                      t1[] = "10^6 jobs wait, what a queue lock adds",
                      t2[] = "10^6 jobs wait, what both add";
    report_cell(options, e, count, "million_none", t0, 1, LOCK_NONE, CELLS, runs);
    report_cell(options, e, count, "million_queue", t1, 1, LOCK_QUEUE, LOCK_NONE, runs);
    report_cell(options, e, count, "million_both", t2, 1, LOCK_BOTH, LOCK_NONE, runs);
    entrants_stop(e, count, "million");
}

/* ---- one hot key ------------------------------------------------------------------------------------------------------ */

static void hot_turn(struct entrant *e, enum lock_kind kind, uint64_t jobs, unsigned r)
{
    work_use(e->tallies[kind]);
    e->peer->hold(e->self, true);
    enqueue(e, kind, jobs);
    sleep_ns(1000000);
    int64_t t = now_ns();
    e->peer->hold(e->self, false);
    wait_for(e, kind);
    e->ns[kind][r] = (double)(now_ns() - t) / (double)jobs;
}

static void parked_turn(struct entrant *e, uint64_t jobs, unsigned r)
{
    work_use(e->tallies[LOCK_HOT]);
    work_gate_close();
    e->peer->enqueue(e->self, LOCK_HOT, WORK_GATE, 1);
    work_gate_wait_entered();
    e->peer->hold(e->self, true);
    enqueue(e, LOCK_HOT, jobs);
    int64_t t = now_ns();
    e->peer->hold(e->self, false);
    while (e->peer->parked(e->self) < jobs)
        sleep_ns(50000);
    work_gate_open();
    wait_for(e, LOCK_HOT);
    e->ns[PARKED][r] = (double)(now_ns() - t) / (double)jobs;
}

static void run_hot(const struct options *options)
{
    struct entrant e[ENTRANTS_MAX];
    uint64_t jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : HOT_JOBS;
    if (!wants_one_of(options, 12, 15))
        return;
    size_t count = entrants_start(e, options, 2, jobs * 2, options->runs + 1);
    for (unsigned r = 0; r <= options->runs; r++)
        for (size_t i = 0; i < count; i++) {
            struct entrant *one = &e[(i + r) % count];
            unsigned run = r ? r - 1 : options->runs;
            hot_turn(one, LOCK_NONE, jobs, run);
            hot_turn(one, LOCK_HOT, jobs, run);
            parked_turn(one, jobs, run);
        }
    static const char t0[] = "2 workers run what waits, without a lock",
                      t1[] = "2 workers run what waits, and all want one key",
                      t2[] = "and wait in its line, each of them, before they run";
    report_cell(options, e, count, "hot_none", t0, 2, LOCK_NONE, CELLS, options->runs);
    report_cell(options, e, count, "hot", t1, 2, LOCK_HOT, CELLS, options->runs);
    report_cell(options, e, count, "parked", t2, 2, PARKED, CELLS, options->runs);
    entrants_stop(e, count, "hot");
}

/* ---- bytes -------------------------------------------------------------------------------------------------------------- */

/* In a process of its own: jobs that wait, without a lock (ms 0) or with a queue lock. */
void child_locks_waiting(const struct child_task *task)
{
    for (size_t i = 0; entrants[i]; i++) {
        if (strcmp(entrants[i]->peer.name, task->peer->name) != 0)
            continue;
        work_use(work_tallies_new());
        void *self = entrants[i]->start(0, task->jobs);
        double before = memory_now().anonymous;
        entrants[i]->enqueue(self, task->ms ? LOCK_QUEUE : LOCK_NONE, 0, task->jobs);
        child_says((memory_now().anonymous - before) / (double)task->jobs);
        entrants[i]->run(self);
        entrants[i]->stop(self);
    }
}

static void run_bytes(const struct options *options)
{
    struct series series[SERIES_MAX];
    double bytes[SERIES_MAX];
    size_t count = 0;
    struct scenario scenario = {
        .bench = "locks",
        .name = "bytes_queue",
        .title = "memory that a queue lock adds to a waiting job, 10^6 of them",
        .threads = 1,
        .unit = "bytes",
        .better = LESS_IS_BETTER,
    };
    if (!bench_wants(options, "locks", scenario.name))
        return;
    for (size_t i = 0; entrants[i]; i++) {
        const struct peer *named =
            entrants[i] == &lock_tresque ? &peer_tresque : &entrants[i]->peer;
        struct child_figures with, without;
        struct child_task task = {.name = "locks_waiting", .peer = named};
        task.jobs = options->tiny ? TINY_JOBS : options->jobs ? options->jobs : MILLION;
        if (!bench_wants_peer(options, named))
            continue;
        bool ran = child_run(&task, &without);
        task.ms = 1;
        if (!ran || !child_run(&task, &with) || with.count != 1 || without.count != 1) {
            report_wrong("locks", scenario.name, named->name);
            continue;
        }
        bytes[count] = with.values[0] - without.values[0];
        series[count] =
            (struct series){named->name, entrants[i] == &lock_tresque, &bytes[count], NULL, 1};
        count++;
    }
    report_scenario(&scenario, series, count);
}

static void run_locks(const struct options *options)
{
    run_free(options);
    run_pair(options);
    run_million(options);
    run_hot(options);
    run_bytes(options);
}

const struct bench bench_locks = {
    .name = "locks",
    .what = "what a lock adds to a job, a refused call, one hot key, a million keys",
    .scenarios = names,
    .run = run_locks,
};
