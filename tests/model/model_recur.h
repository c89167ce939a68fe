/* Recurring jobs once more (3.5): an arithmetic progression each, counted one by one. Nothing else is in this world, so that all of
 * it can be foretold: which job runs when, for which firing. */
#ifndef TESTS_MODEL_MODEL_RECUR_H
#define TESTS_MODEL_MODEL_RECUR_H

#include <tresque/recur.h>

#include "model.h"

enum { R_NAMES = 6, R_JOBS = 6000, R_RUNS = 6000 };

struct r_spec {
    bool
        every; /* counts elapsed time; else by the clock, in UTC: each `offset` after a multiple of `period` */
    int64_t period, offset;
    int64_t start, end; /* wall; 0: none */
    int64_t jitter_most;
    enum trq_catch_up catch_up;
    int64_t catch_up_max;
    bool no_overlap, locked; /* its worker has a queue lock */
};

struct r_job {
    int name;
    int64_t time; /* that its firing was for, in seconds */
    bool locked;
    enum m_state state;
    int64_t due;
    int failures;
    struct trq_job_id id; /* {0, 0}: not known */
    enum trq_outcome outcome;
};

struct r_recurrence {
    bool there;
    struct r_spec spec;
    int64_t next; /* on its clock */
    int64_t jitter;
    int64_t last;
    int job; /* of the last firing, or -1 */
    uint64_t fired, skipped, missed;
};

/* What a run does, as its plan says. */
struct r_plan {
    enum trq_end end;
    int64_t after;
};

struct r_run {
    int64_t at; /* elapsed time */
    int name;
    int64_t time;
};

struct r_model {
    enum mistake mistake;
    uint64_t seed;
    int64_t boot, wall, latest;
    bool paused;
    struct r_recurrence of[R_NAMES];
    int job_count, run_count;
    struct r_job job[R_JOBS];
    struct r_run run[R_RUNS]; /* since the last comparison */
    uint64_t ended[R_NAMES][16];
};

enum { R_RETRY_US = 30000777 }; /* no firing comes just then */

struct r_plan r_plan(uint64_t seed, int64_t boot, int name, int64_t time);
void r_put(struct r_model *m, int name, const struct r_spec *spec, int64_t since, int64_t jitter);
/* What is due is done, and what is ready runs. */
void r_poll(struct r_model *m);
void r_advance(struct r_model *m, int64_t span);
/* The same moment as a wall time. */
int64_t r_wall(const struct r_model *m, const struct r_recurrence *r, int64_t time);
/* When it fires next, on its clock, jitter included; INT64_MAX: never. */
int64_t r_due(const struct r_model *m, const struct r_recurrence *r);
/* How many firings there are in that span, about. */
int64_t r_busy(const struct r_model *m, int64_t span);

#endif
