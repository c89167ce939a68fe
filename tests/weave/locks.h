/* An engine small enough for the search: its jobs, sides, records, queues and tables lie in static memory, all that it
 * calls beside jobs, locks and queues is stubbed (locks.c), and the production sources of these run over it.
 *
 * A job of a story has a number k below LOCKS_JOBS, by which answers, ends and data are kept; it is the job's note and its
 * block of inputs, too, so that each end is told once and each payload given back once, or the search fails.
 *
 * The user's data are a word for each job: its enqueuer sets it before the call, each run looks at all of them. They are
 * relaxed atomics, since the user's own accesses may race; what must not race is plain (`payload`, `owner`, the texts of
 * failures).
 *
 * There is one clock, which stands still until somebody says what time it is (locks_pass): all clocks of the engine show it.
 */
#ifndef WEAVE_LOCKS_H
#define WEAVE_LOCKS_H

#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/queuelock.h"
#include "engine/core/run.h"
#include "engine/core/schedule.h"
#include "engine/core/workerlock.h"
#include "engine/core/space.h"
#include "engine/core/trail.h"
#include "engine/core/view.h"
#include "tests/weave_sync/sync.h"
#include "weave.h"

enum {
    LOCKS_THREADS = 3,
    LOCKS_SETUP = LOCKS_THREADS, /* who, beside the threads: setup and finish */
    LOCKS_WHO = LOCKS_THREADS + 1,
    LOCKS_JOBS = 6, /* numbers */
    LOCKS_QUEUES = 2,
    LOCKS_KEYS = 4,
    LOCKS_NONE = -1,
    LOCKS_UNASKED = -1000
};

/* Classes. */
enum {
    LOCKS_PLAIN,  /* no worker lock */
    LOCKS_KEYED,  /* a worker lock on worker_key */
    LOCKS_ASKING, /* a worker lock by a function: story->key */
    LOCKS_CLASSES
};

struct locks_spec {
    int class;
    int queue_key, worker_key; /* LOCKS_NONE: no lock */
    uint32_t queue;
    enum trq_on_conflict rule;
    int64_t due; /* 0: now */
    int64_t max_wait;
    bool from_start, wall;
    int fails;          /* so many runs fail; then ... */
    int requeues;       /* ... so many ask to run again; the next one is done */
    int64_t after;      /* ... after that time; 0: at once; and so a job that has failed */
    int retries;        /* after more failures it is dead */
    int64_t expires_in; /* 0: never */
};

struct locks_story {
    const struct locks_spec *spec; /* by number */
    void (*build)(void); /* once, after the engine: what is there when the threads begin */
    void (*play[LOCKS_THREADS])(void);
    void (*then)(void); /* when they have ended, before what is left is run */
    void (*end)(void);  /* when all has been run */
    int (*key)(unsigned k);
    uint32_t limit;          /* of worker locks; 0: 1 */
    bool moves_queue;        /* pauses or resumes */
    bool stops;              /* the engine, by locks_stop */
    bool looks_back;         /* each run reads why the ones before it failed */
    unsigned without_stripe; /* the seeded fault: bit t, thread t takes none */
};

struct locks_timer {
    uint32_t item, generation;
    int64_t due;
    bool wall;
};

enum {
    LOCKS_HEAP = 2048,
    LOCKS_OBJECTS = 8,
    LOCKS_EXTRAS = 11, /* of what a job may need two of */
    LOCKS_KINDS = 8,
    LOCKS_TIMERS = 5
};

struct locks_world {
    struct tq_job job[LOCKS_OBJECTS];
    struct tq_side side[LOCKS_EXTRAS];
    struct tq_trail trail[LOCKS_EXTRAS];
    struct tq_slip slip[LOCKS_EXTRAS];
    struct tq_queue_key queue_record[LOCKS_OBJECTS];
    struct tq_worker_key worker_record[LOCKS_OBJECTS];
    struct tq_link link[LOCKS_OBJECTS];
    struct tq_segment segment[16];
    struct tq_bucket queue_bucket[LOCKS_OBJECTS], worker_bucket[LOCKS_OBJECTS];
    struct tq_queue queue[LOCKS_QUEUES];
    struct tq_view view;
    uint32_t rank_of[LOCKS_QUEUES];
    struct tq_queue *by_rank[LOCKS_QUEUES];
    struct tq_sleeper sleeper[LOCKS_WHO];
    struct tq_thread thread[LOCKS_WHO];
    struct tq_magazine magazine[LOCKS_WHO][LOCKS_KINDS];

    /* Timers that have been submitted. */
    struct locks_timer timer[LOCKS_WHO][LOCKS_TIMERS];
    tq_a32 timers[LOCKS_WHO];
    bool timer_done[LOCKS_WHO][LOCKS_TIMERS];

    int64_t now;                /* the clock */
    int64_t read_at[LOCKS_WHO]; /* what it showed when that thread read it last */
    tq_a32 running;             /* threads that work, for a stop */

    /* By number. */
    int code[LOCKS_JOBS];      /* the enqueuer's answer */
    uint32_t twin[LOCKS_JOBS]; /* the job of that answer, by number */
    struct trq_job_id id[LOCKS_JOBS];
    bool accepted[LOCKS_JOBS];
    uint32_t begun[LOCKS_JOBS]; /* runs */
    uint32_t when[LOCKS_JOBS];  /* the last run: as the how manieth of all */
    uint32_t runs;
    uint32_t saw[LOCKS_JOBS]; /* by the last run: bit i, datum i was set */
    uint32_t ends[LOCKS_JOBS];
    enum trq_outcome outcome[LOCKS_JOBS];
    uint16_t attempts[LOCKS_JOBS];
    uint32_t other[LOCKS_JOBS];
    bool given[LOCKS_JOBS];
    uint32_t asked[LOCKS_JOBS]; /* how often its key function was called */
    int ran_under[LOCKS_JOBS];  /* the key that it held at its last run */
    int64_t fired_at[LOCKS_JOBS], due[LOCKS_JOBS];
    uint32_t inside[LOCKS_KEYS];                          /* runs that hold the key just now */
    int result[LOCKS_WHO];                                /* of the thread's call */
    int64_t waits_from[LOCKS_JOBS], waits_to[LOCKS_JOBS]; /* its time to wait began between these */
    int64_t asked_at[LOCKS_JOBS];                         /* its enqueuer's call began */
    int64_t ended_at[LOCKS_JOBS];
    uint32_t failures[LOCKS_JOBS]; /* of which its last run knew ... */
    int slips[LOCKS_JOBS];         /* ... and so many texts, if it looked back */

    size_t used;
    _Alignas(64) unsigned char bytes[LOCKS_HEAP];
};

extern struct locks_world locks;
extern struct trq_engine locks_engine;
extern tq_a32 locks_datum[LOCKS_JOBS];
extern uint32_t locks_owner[LOCKS_KEYS];

unsigned locks_self(void);
struct tq_local *locks_local(void);

/* ---- what threads do ---- */

/* As engine/core/enqueue.c: the datum, the job, the asking. Returns the code. */
int locks_enqueue(unsigned k);
/* The seeded fault: it answers "duplicate" by a look at that twin's word; under the bucket, or not. */
int locks_enqueue_blind(unsigned k, unsigned twin, bool locked);
/* Take a job and run it. False: there was none. */
bool locks_work(void);
/* Until there is none. */
void locks_work_all(void);
int locks_cancel(unsigned k);
/* All that are scheduled and have no worker lock, by a walk through the slots. */
void locks_cancel_matching(void);
/* All timers that have been submitted and are due, once each; later ones as production: again when they are. How many jobs
 * fired. */
unsigned locks_fire(int64_t now);
/* In setup: the job is taken from its queue and holds its worker lock; the handler would begin. */
void locks_hold(unsigned k);
/* Its run ends, as in run.c. */
void locks_let_go(unsigned k);
/* It is later now, as everybody sees. */
void locks_pass(int64_t now);
/* Reads why it failed, by trq_failures: each text is of that job, or of one with its queue lock. Returns how many there
 * are, or the code. */
int locks_failures(unsigned k);
/* trq_engine_stop, without time for what runs; or it waits for those in locks_run. */
void locks_stop(void);
void locks_stop_and_wait(void);
/* A thread of the pool takes one job: a stop that waits waits for it. */
void locks_run(void);
/* As engine/core/view.c. */
void locks_pause(uint32_t queue, bool paused);
/* A pool thread, as engine/core/pool.c, until job k has ended. */
void locks_pool(unsigned k);

/* ---- what they can say ---- */

enum tq_state locks_state(unsigned k);
bool locks_state_seen(unsigned k); /* it lives, by a load of the thread */
bool locks_cancelled(unsigned k);
bool locks_ended_as(unsigned k, enum trq_outcome outcome);
/* Refused by a twin that ran: it saw the datum. */
void locks_no_lost_change(void);

/* A case of it: up to three threads. */
struct weave_case locks_case(const char *name, const struct locks_story *story, int preemptions,
                             int stale);
/* The search ends and no execution fails; how many different ends it has met. */
void locks_clean(const struct weave_case *cases, unsigned count);

/* Faults in engine/core, one at a time, seen by these cases; each line says "caught" or "SURVIVED". What contains both
 * texts must be caught somewhere. NULL ends the list. */
struct locks_fault {
    const char *file, *text;
};
/* Each order is weakened by one step. */
void locks_mutate(const struct weave_case *cases, unsigned count, const struct locks_fault *needed);
/* Each write is left out: a store does nothing, a modification only reads. */
void locks_drop(const struct weave_case *cases, unsigned count, const struct locks_fault *needed);

#endif
