/* What one call of enqueue costs its caller, call by call.
 *
 *   held    the only worker is held back in a handler: nobody sleeps, nobody is in the way
 *   taken   the only worker takes jobs meanwhile, so caller and worker share cache lines
 *   asleep  the only worker sleeps and is woken by the call
 *
 * Each has the median call, the 99th of 100, and the slowest; what reading the clock costs is taken off.
 * A peer's figure holds the allocation of its job.
 */
#include <stdio.h>
#include <stdlib.h>

#include "bench/bench.h"
#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { CALLS = 20000, CALLS_ASLEEP = 1000, CALLS_TINY = 20, PEERS_MAX = 16, POINTS = 3 };

enum mode { HELD, TAKEN, ASLEEP, MODES };

static const struct {
    const char *names[POINTS]; /* p50, p99, max */
    const char *title;
} modes[MODES] = {
    [HELD] = {{"held_p50", "held_p99", "held_max"}, "enqueue, the worker held back"},
    [TAKEN] = {{"taken_p50", "taken_p99", "taken_max"}, "enqueue, the worker takes meanwhile"},
    [ASLEEP] = {{"asleep_p50", "asleep_p99", "asleep_max"}, "enqueue, the worker is woken"},
};

static const char *const names[] = {
    "held_p50",  "held_p99",   "held_max",   "taken_p50",  "taken_p99",
    "taken_max", "asleep_p50", "asleep_p99", "asleep_max", NULL,
};

static int ascending(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint64_t median_of_clock(void)
{
    enum { READINGS = 1001 };
    uint64_t readings[READINGS];
    for (int i = 0; i < READINGS; i++) {
        uint64_t t = ticks();
        readings[i] = ticks() - t;
    }
    qsort(readings, READINGS, sizeof readings[0], ascending);
    return readings[READINGS / 2];
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

struct entrant {
    const struct peer *peer;
    void *self;
    struct work_tallies *tallies;
    uint64_t submitted;
    double *points[POINTS];
};

static void wait_for(const struct entrant *e)
{
    while (work_jobs(e->tallies) < e->submitted)
        sleep_ns(20000);
}

static void time_calls(struct entrant *e, enum mode mode, uint64_t *calls, size_t count)
{
    work_use(e->tallies);
    if (mode == HELD) {
        work_gate_close();
        e->peer->submit(e->self, 0, WORK_GATE, 1);
        work_gate_wait_entered();
    }
    for (size_t i = 0; i < count; i++) {
        if (mode == ASLEEP) {
            wait_for(e);
            sleep_ns(200000); /* it looks around, and falls asleep */
        }
        uint64_t t = ticks();
        e->peer->submit(e->self, 0, e->submitted, 1);
        calls[i] = ticks() - t;
        e->submitted++;
    }
    if (mode == HELD)
        work_gate_open();
    wait_for(e);
}

static void run(struct entrant *e, enum mode mode, uint64_t *calls, size_t count, unsigned r)
{
    uint64_t clock = median_of_clock();
    time_calls(e, mode, calls, count);
    qsort(calls, count, sizeof *calls, ascending);
    size_t at[POINTS] = {count / 2, count - 1 - count / 100, count - 1};
    for (int p = 0; p < POINTS; p++) {
        uint64_t call = calls[at[p]];
        e->points[p][r] = (double)(call > clock ? call - clock : 1) / ticks_per_ns();
    }
}

static void report(enum mode mode, const struct options *options, const struct entrant *entrants,
                   size_t count)
{
    static const char *const words[POINTS] = {"half of the calls", "99 of 100 calls",
                                              "the slowest"};
    for (int p = 0; p < POINTS; p++) {
        struct series series[PEERS_MAX];
        char title[80];
        snprintf(title, sizeof title, "%s: %s", modes[mode].title, words[p]);
        struct scenario scenario = {
            .bench = "enqueue",
            .name = modes[mode].names[p],
            .title = title,
            .threads = 2,
            .unit = "ns",
            .better = LESS_IS_BETTER,
        };
        for (size_t i = 0; i < count; i++)
            series[i] =
                (struct series){entrants[i].peer->name, (entrants[i].peer->can & PEER_OURS) != 0,
                                entrants[i].points[p], NULL, options->runs};
        if (bench_wants(options, "enqueue", scenario.name))
            report_scenario(&scenario, series, count);
    }
}

static size_t entrants_start(struct entrant *entrants, const struct options *options)
{
    struct setup setup = {1, 1, false};
    unsigned needs = PEER_WORKERS | PEER_SINGLE;
    size_t count = 0;
    for (size_t i = 0; peers[i] && count < PEERS_MAX; i++) {
        if ((peers[i]->can & needs) != needs || !bench_wants_peer(options, peers[i]))
            continue;
        entrants[count] = (struct entrant){
            .peer = peers[i], .self = peers[i]->start(&setup), .tallies = work_tallies_new()};
        for (int p = 0; p < POINTS; p++)
            if (!(entrants[count].points[p] = calloc(options->runs, sizeof(double))))
                bench_die("out of memory");
        count++;
    }
    return count;
}

static void run_mode(enum mode mode, const struct options *options)
{
    struct entrant entrants[PEERS_MAX];
    size_t calls_count = options->tiny ? CALLS_TINY : mode == ASLEEP ? CALLS_ASLEEP : CALLS;
    if (options->jobs)
        calls_count = options->jobs;
    uint64_t *calls = calloc(calls_count, sizeof *calls);
    if (!calls)
        bench_die("out of memory");
    size_t count = entrants_start(entrants, options);
    for (size_t i = 0; i < count; i++)
        time_calls(&entrants[i], mode == ASLEEP ? TAKEN : mode, calls, calls_count);
    for (unsigned r = 0; r < options->runs; r++)
        for (size_t i = 0; i < count; i++)
            run(&entrants[(i + r) % count], mode, calls, calls_count, r);
    report(mode, options, entrants, count);
    for (size_t i = 0; i < count; i++) {
        entrants[i].peer->stop(entrants[i].self);
        if (!work_is_right(entrants[i].tallies, entrants[i].submitted))
            report_wrong("enqueue", modes[mode].names[0], entrants[i].peer->name);
        for (int p = 0; p < POINTS; p++)
            free(entrants[i].points[p]);
    }
    free(calls);
}

static void run_enqueue(const struct options *options)
{
    for (int mode = 0; mode < MODES; mode++) {
        bool wanted = false;
        for (int p = 0; p < POINTS; p++)
            wanted = wanted || bench_wants(options, "enqueue", modes[mode].names[p]);
        if (wanted)
            run_mode((enum mode)mode, options);
    }
}

const struct bench bench_enqueue = {
    .name = "enqueue",
    .what = "what one enqueue costs its caller: half of them, 99 of 100, the slowest",
    .scenarios = names,
    .run = run_enqueue,
};
