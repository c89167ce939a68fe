/* The work that every implementation does, so that only the way to it differs.
 *
 * A job has a dictionary of two inputs, `user_id` (integer) and `name` (a string of 7 to 13 bytes that is
 * copied into the job). Its handler finds both by name and calls work_count. The sums are checked after
 * the clock has stopped: a queue that loses a job, runs one twice or spoils an input gives no figure.
 *
 * Jobs are numbered; job i has the inputs work_input(i).
 */
#ifndef BENCH_WORK_H
#define BENCH_WORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct work_input {
    int64_t user_id;
    const char *name;
    size_t name_size;
};

enum { WORK_NAMES = 64 }; /* a power of two */
struct work_name {
    const char *text;
    size_t size;
};
extern const struct work_name work_names[WORK_NAMES];

/* The number of the job that holds its worker back: see work_gate_close. No other comes near it, and the
 * number after it is one, too. */
#define WORK_GATE (UINT64_MAX - WORK_NAMES)

static inline struct work_input work_input(uint64_t i)
{
    const struct work_name *name = &work_names[i % WORK_NAMES];
    struct work_input input = {(int64_t)i, name->text, name->size};
    return input;
}

/* What all handlers end in: counts in a line of its own thread. */
void work_count(int64_t user_id, size_t name_size);

/* ---- what was counted -------------------------------------------------------------------------- */

struct work_tallies;

/* One per implementation under test. It lives as long as the process, since a pool's thread may hold on to
 * its line of it. */
struct work_tallies *work_tallies_new(void);
/* Whose jobs are counted from now on. Not while jobs run. */
void work_use(struct work_tallies *tallies);
/* How many jobs have been counted. Exact once they have been waited for. */
uint64_t work_jobs(const struct work_tallies *tallies);
/* True if jobs 0 .. jobs-1 have each been counted once, as far as the sums can tell. */
bool work_is_right(const struct work_tallies *tallies, uint64_t jobs);

/* ---- a worker held back ------------------------------------------------------------------------- */

/* After this the handler of job WORK_GATE waits until the gate opens, and occupies its worker without using
 * the processor. It is not counted. */
void work_gate_close(void);
void work_gate_wait_entered(void); /* until a worker stands there */
void work_gate_open(void);         /* and wait until it has gone through */

/* ---- the job of those that bring none of their own ----------------------------------------------- */

struct work_value {
    const char *key;
    uint32_t is_string;
    uint32_t size;
    union {
        int64_t number;
        const char *text;
    } u;
};

/* With malloc's own 8 bytes it takes 112. */
struct work_job {
    void (*perform)(const struct work_job *job);
    size_t count;
    struct work_value values[2];
    char text[40];
};

/* Allocate, fill ... */
struct work_job *work_job_new(struct work_input input);
/* (only fill: for a job that is the first member of something that malloc gave) */
void work_job_fill(struct work_job *job, struct work_input input);
/* ... call, free. */
void work_job_run(struct work_job *job);

#ifdef __cplusplus
}
#endif

#endif
