/* What a failure costs: a job that fails once and is tried again, beside one that succeeds.
 *
 *   done    the job succeeds
 *   again   it fails, and is tried again at once (a policy of no delay)
 *   later   it fails, and is tried again by a timer; so many jobs that the timer is over when the last has failed
 *   dead    it fails, and has no retries
 *
 * One thread enqueues and runs them, in turns of 64, and for the timer of 100,000, beside as many that succeed; ns a job, from
 * enqueue to its end. Why it failed is kept, as always.
 */
#include <stdlib.h>

#include <tresque.h>

#include "bench/bench.h"
#include "bench/measure.h"
#include "bench/report.h"

enum { TURN_JOBS = 64, LATER_JOBS = 100000, TINY_JOBS = 64, RUN_TURNS = 3000, KINDS = 5 };

static const char *const names[] = {"done", "again", "dead", "done_many", "later", NULL};

#define TRIED_INPUTS(F, W) F(W, i64, n, TRQ_REQUIRED, 0)
TRQ_INPUTS(tried, TRIED_INPUTS);

static uint64_t ended;

static enum trq_end succeed(struct trq_job *job)
{
    (void)job;
    ended++;
    return TRQ_DONE;
}

static enum trq_end fail_once(struct trq_job *job)
{
    if (trq_job_attempt(job) == 1)
        return trq_fail(job, "the service is down");
    return succeed(job);
}

static enum trq_end fail_for_good(struct trq_job *job)
{
    ended++;
    return trq_fail(job, "the service is down");
}

/* A delay of nothing is no constant. */
static struct trq_span at_once(int failures, const struct trq_error *error, uint64_t seed)
{
    (void)failures;
    (void)error;
    (void)seed;
    return trq_ns(0);
}

const struct trq_worker tried = {TRQ_WORKER(tried, "Done"), .perform = succeed};
static const struct trq_worker again = {TRQ_WORKER(tried, "Again"), .perform = fail_once,
                                        .retry = TRQ_RETRY(.delay = at_once)};
static const struct trq_worker later = {
    TRQ_WORKER(tried, "Later"), .perform = fail_once,
    .retry = TRQ_RETRY(.constant = {1000}, .jitter = TRQ_JITTER_NONE)};
static const struct trq_worker dead = {TRQ_WORKER(tried, "Dead"), .perform = fail_for_good,
                                       .retry = &trq_no_retry};
static const struct trq_worker *const kinds[KINDS] = {&tried, &again, &dead, &tried, &later};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "bench",
    .workers = TRQ_WORKERS(&tried, &again, &later, &dead),
};

/* ns a job. */
static double turn(struct trq_engine *engine, const struct trq_worker *worker, uint64_t jobs,
                   unsigned turns)
{
    int64_t begun = now_ns();
    for (unsigned t = 0; t < turns; t++) {
        ended = 0;
        for (uint64_t i = 0; i < jobs; i++)
            if (trq_enqueue_struct(engine, worker, &tried_inputs,
                                   &(struct tried_in){.n = (int64_t)i}, NULL, NULL) != TRQ_OK)
                bench_die("retries: enqueue");
        while (ended < jobs)
            if (trq_engine_poll(engine, 0, trq_ns(0)) < 0)
                bench_die("retries: poll");
    }
    return (double)(now_ns() - begun) / (double)(jobs * turns);
}

static void run_retries(const struct options *options)
{
    static const char *const titles[KINDS] = {
        "one thread, a job that succeeds", "it fails once, and is tried again at once",
        "it fails, and is dead", "100,000 at a time, a job that succeeds",
        "it fails once, and is tried again by a timer"};
    struct trq_engine *engine;
    struct trq_error error;
    struct trq_config config = trq_config_init();
    double *values[KINDS];
    bool wanted = false;
    for (int k = 0; k < KINDS; k++)
        wanted |= bench_wants(options, "retries", names[k]);
    if (!wanted)
        return;
    config.threads = TRQ_THREADS_NONE;
    if (trq_engine_create(&config, &engine, &error) != TRQ_OK ||
        trq_register(engine, &app, &error) != TRQ_OK || trq_engine_start(engine, &error) != TRQ_OK)
        bench_die("retries: %s", error.text);
    for (int k = 0; k < KINDS; k++)
        values[k] = calloc(options->runs, sizeof **values);
    for (unsigned r = 0; r <= options->runs; r++) /* the first brings up memory */
        for (int k = 0; k < KINDS; k++) {
            if (!bench_wants(options, "retries", names[k]))
                continue;
            uint64_t jobs = options->tiny ? TINY_JOBS : k >= 3 ? LATER_JOBS : TURN_JOBS;
            unsigned turns = options->tiny || k >= 3 ? 1 : RUN_TURNS;
            double ns = turn(engine, kinds[k], jobs, turns);
            if (r)
                values[k][r - 1] = ns;
        }
    for (int k = 0; k < KINDS; k++) {
        struct scenario scenario = {
            .bench = "retries",
            .name = names[k],
            .title = titles[k],
            .threads = 1,
            .unit = "ns/job",
            .better = LESS_IS_BETTER,
        };
        struct series series = {"tresque", true, values[k], NULL, options->runs};
        if (bench_wants(options, "retries", names[k]))
            report_scenario(&scenario, &series, 1);
    }
    for (int k = 0; k < KINDS; k++) {
        double like = summary_of(values[k < 3 ? 0 : 3], options->runs).median;
        if (k != 0 && k != 3 && like > 0)
            report_note("  %s: %.2f times a job that succeeds", names[k],
                        summary_of(values[k], options->runs).median / like);
    }
    for (int k = 0; k < KINDS; k++)
        free(values[k]);
    if (trq_engine_destroy(engine) != TRQ_OK)
        bench_die("retries: destroy");
}

const struct bench bench_retries = {
    .name = "retries",
    .what = "a job that fails and is tried again, beside one that succeeds",
    .scenarios = names,
    .run = run_retries,
};
