/* A small world drawn from a seed: queues, workers and locks; an engine that has them, and the model beside it. */
#ifndef TESTS_MODEL_WORLD_H
#define TESTS_MODEL_WORLD_H

#include <pthread.h>

#include <tresque/test.h>

#include "journal.h"
#include "model.h"
#include "policies.h"

/* splitmix64 */
struct draw {
    uint64_t state;
};
uint64_t draw_next(struct draw *draw);
int draw_below(struct draw *draw, int n);
int64_t draw_limit(struct draw *draw);
static inline bool draw_percent(struct draw *draw, int percent)
{
    return draw_below(draw, 100) < percent;
}

enum { OWN_LOCKS = 3, NAMED_SPACES = 3 };

/* A lock as the engine is told, and as the model is. */
struct lock_pair {
    struct trq_lock lock;
    struct m_lock rule;
    bool used;
    bool scope_said; /* its scope is declared, not implied */
};

/* How far a run has come: each step of it is a callback. */
enum stage { NOT_TAKEN, HAS_KEY, HAS_BEGUN };

struct pending_end {
    struct trq_job_id id, other;
    enum trq_outcome outcome;
};
enum { PENDING = 64, KEYS = 100000 };

struct world {
    struct model model;
    struct trq_engine *engine;
    uint64_t seed;
    bool threads; /* handlers stay until they are told to end (lockstep.c) */
    void (*hold)(struct world *w, int job);

    struct trq_queue queues[M_QUEUES + 1];
    const char *queue_text[M_QUEUES]; /* full names */
    struct trq_worker workers[M_WORKERS];
    const struct trq_worker *worker_list[M_WORKERS + 1];
    int home[M_WORKERS]; /* a worker's queue */
    struct m_limits limits[M_WORKERS];
    int fails[M_WORKERS]; /* per cent of the runs */
    struct lock_pair queue_lock[M_WORKERS], worker_lock[M_WORKERS];
    struct lock_pair own_queue_lock[OWN_LOCKS], own_worker_lock[OWN_LOCKS];
    struct trq_app app;

    int drift; /* what functions of worker locks look up */
    int jobs_max;
    unsigned data[KEYS]; /* what a queue lock's jobs work on: versions */

    enum stage stage[M_JOBS];
    bool state_seen[M_JOBS]; /* this run's state was zero, and is marked */
    int drops;               /* states dropped, and to be dropped */
    int runs[M_JOBS];        /* runs begun, for the plan */
    int asks[M_JOBS];        /* calls of the key function, likewise */
    int tag[M_JOBS];
    bool given_up[M_JOBS]; /* its worker was told that it is dead */
    int within;            /* the job whose handler is calling, or NOBODY */
    int ran;               /* jobs run in this call */
    int key_calls;         /* of queue locks' functions */
    bool advancing;        /* within trq_test_advance, so much to go: */
    int64_t advance_left;
    struct pending_end pending[PENDING];
    int pending_count;

    int expiring;   /* whose end is just told, since its time was over; or NOBODY */
    bool gathering; /* another thread makes jobs ready: in what order is not seen */

    pthread_mutex_t mutex; /* recursive: whoever runs user code holds it */
};

/* Draws the world. The engine is made by the caller, with w->app and w as its host. */
void world_init(struct world *w, uint64_t seed, enum mistake mistake, bool threads);
void world_fini(struct world *w);

/* Callbacks and calls are each made by one thread at a time; -1: whichever it is. */
void world_enter(struct world *w, int thread);
void world_leave(struct world *w);

int world_find(const struct world *w, struct trq_job_id id); /* or -1 */
void world_on_stuck(void *host, const struct trq_stuck *stuck);
void world_on_end(void *host, const struct trq_event *event, const struct trq_error *error);
/* After a call: ids are known now, everybody was told. The first: within the end of a job, which is still to be told. */
void world_hear_pending(struct world *w);
void world_after_call(struct world *w);
/* What the engine's clock says. */
void world_look_at_clock(struct world *w, int ended);

/* ---- acts.c ------------------------------------------------------------------------------------------------------ */

/* One random call. Within a handler: only what cannot make the plan of a seed endless. */
void act(struct world *w, struct draw *draw, bool in_handler);
void act_pause(struct world *w, int queue, bool paused);
void act_enqueue(struct world *w, struct draw *draw);
/* Of a search: some of the inputs, all of them given. */
struct trq_dict world_part_of(struct m_inputs *in, struct draw *draw, struct trq_kv kv[4]);
bool world_contains(const struct m_job *j, struct m_inputs part);
int64_t draw_span(struct draw *draw);

/* ---- dead.c ------------------------------------------------------------------------------------------------------- */

void act_dead(struct world *w, struct draw *draw);
void compare_dead(struct world *w);
void world_on_dead_lost(void *host, const struct trq_dead *dead);

/* ---- compare.c ---------------------------------------------------------------------------------------------------- */

/* What the engine did by itself: jobs that became ready, were parked, were woken. ended, taken: the one whose end is just
 * told, or that has just been taken; or NOBODY. */
enum { NOBODY = -1 };
void look(struct world *w, int ended, int taken);
/* No job is due and still scheduled. */
void look_for_late_ones(struct world *w);
void compare_job(struct world *w, int job);
void compare_errors(struct world *w, int job);
void compare_live(struct world *w); /* those that have not ended */
void compare_all(struct world *w);
void compare_counters(struct world *w);
enum trq_why_state world_state(struct world *w, int job, struct trq_why *out);

/* ---- the tests --------------------------------------------------------------------------------------------------- */

/* One seed on the test engine's clock, everything on this thread: random.c. One seed with threads, of which one runs at
 * a time: lockstep.c. One of recurring jobs: recurring.c. They return if engine and model agree. skip: operations that are left out, or NULL. */
void random_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                const bool *skip);
void lockstep_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                  const bool *skip);
void recurring_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                   const bool *skip);

#endif
