/* The rules of time and locks once more, as plainly as they can be said: flat arrays, linear scans, no clever order.
 *
 * The model is told of every call before the engine gets it, and answers what must come back. Of what the engine decides
 * by itself (which job a thread takes, who of two equals comes first) it is told afterwards, and says whether the rules
 * allow it. Whatever they do not allow ends the program in journal_fail, with the seed.
 *
 * It knows nothing of the engine but codes, outcomes and ends. Numbers of rules are those of docs/SEMANTICS.md.
 */
#ifndef TESTS_MODEL_MODEL_H
#define TESTS_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque.h>

enum { M_JOBS = 1500, M_QUEUES = 4, M_WORKERS = 5, M_SPACES = 16 };

/* ---- deliberate mistakes, so that it is known that they would be found ------------------------------------- */

#define MISTAKES(X)                                                                                \
    X(NO_MISTAKE, "none")                                                                          \
    X(WRONG_FIFO, "the last of a queue is taken first")                                            \
    X(WRONG_WEIGHT, "the lowest weight is taken first")                                            \
    X(WRONG_PAUSE, "jobs of a paused queue run")                                                   \
    X(WRONG_CLOCK, "a step of the wall clock moves what counts elapsed time")                      \
    X(WRONG_DUE, "a job is ready two ticks late")                                                  \
    X(WRONG_EQUAL, "of equal due times, the last scheduled comes first")                           \
    X(WRONG_SCOPE, "a scheduled job never holds its queue lock")                                   \
    X(WRONG_RUNNING, "a running job holds its queue lock still")                                   \
    X(WRONG_PLACE, "a job that replaces another goes to the end of the line")                      \
    X(WRONG_DEBOUNCE, "debouncing knows no bound")                                                 \
    X(WRONG_MERGE, "a requeued job does not ask for its queue lock")                               \
    X(WRONG_RUN_NOW, "a job that is run now does not ask for its queue lock")                      \
    X(WRONG_NO_RETRY, "a job that failed is never tried again")                                    \
    X(WRONG_ONE_MORE, "a job is tried once more than its policy says")                             \
    X(WRONG_DELAY, "each retry waits as long as the first")                                        \
    X(WRONG_REASON, "why a job failed is known of the first time only")                            \
    X(WRONG_COUNT, "what was merged into a job does not raise its count of failures")              \
    X(WRONG_CANCEL, "a job that was cancelled while it ran is tried again")                        \
    X(WRONG_EXPIRY, "the time to begin counts from the enqueueing, and not from each wait")        \
    X(WRONG_LATE, "a job in a paused queue does not expire")                                       \
    X(WRONG_TWIN, "a job whose time is over holds its queue lock still")                           \
    X(WRONG_GRAVE, "who died last stands first among the dead")                                    \
    X(WRONG_BOUND, "the dead set has no bound")                                                    \
    X(WRONG_REVIVAL, "a dead job that is retried does not ask for its queue lock")                 \
    X(WRONG_BUDGET, "a dead job that is retried has used up its retries")                          \
    X(WRONG_PARKED, "a parked job has given its queue lock back")                                  \
    X(WRONG_LIMIT, "one more than the limit may run")                                              \
    X(WRONG_WAKE, "the waiter with the lowest weight is woken")                                    \
    X(WRONG_TIMEOUT, "a run is never told that its time is up")                                    \
    X(WRONG_INHERIT, "nobody inherits a deadline")                                                 \
    X(WRONG_ONCE, "of all firings that were missed one is made up")                                \
    X(WRONG_NONE, "a firing that was missed is made up against its policy")                        \
    X(WRONG_OVERLAP, "a recurring job overlaps with the one before")                               \
    X(WRONG_CHANGE, "a recurring job that is given again begins anew")                             \
    X(WRONG_BACK, "when the clock is set back a little, firings come twice")

enum mistake {
#define MISTAKE_ENUM_(name, sentence) name,
    MISTAKES(MISTAKE_ENUM_)
#undef MISTAKE_ENUM_
        MISTAKE_COUNT
};

/* ---- what a call says --------------------------------------------------------------------------------------- */

struct m_inputs {
    int n, m;
    int x; /* a text, declared and without default; -1: absent */
    int y; /* undeclared; -1: absent */
};

enum m_form {
    M_ON_N,    /* inputs: n */
    M_ON_NM,   /* inputs: n, m */
    M_ON_X,    /* inputs: x, which may be absent */
    M_ON_ALL,  /* all */
    M_ON_NONE, /* a function that adds no part */
    M_FUNCTION, /* a function: of n (queue lock), or of m and what the world says just now (worker lock) */
};

struct m_lock {
    int space; /* from 1; of queue locks and of worker locks apart */
    enum m_form form;
    int limit;            /* worker lock */
    bool from_scheduling; /* as declared or implied */
    enum trq_on_conflict on_conflict;
    int64_t max_wait;
};

enum m_clock { M_BOOT, M_WALL };

/* 3.3: what is due within a tick becomes ready at its end at the latest. */
enum { M_TICK = 1000000 };

/* A retry policy. */
struct m_policy {
    int retries; /* M_FOREVER: no end */
    enum { M_GROWS, M_CONSTANT, M_LIST, M_ASKED } form;
    int64_t constant;
    const int64_t *list;
    int list_count;
    int jitter;   /* per cent */
    int64_t most; /* 0: no bound that could be met */
    /* What a function says, of the how manieth error; INT64_MAX: no more, below zero: nothing of use. */
    int64_t (*delay)(int failures, int error);
};
enum { M_FOREVER = INT32_MAX, M_GROWING_JITTER = -1 /* that of the default */ };

struct m_limits {
    const struct m_policy *policy;
    int64_t expires_in, timeout; /* 0: none */
    int64_t deadline;            /* inherited, on the clock of elapsed time; INT64_MAX: none */
};

struct m_call {
    int worker, queue;
    struct m_limits limits;
    struct m_inputs in;
    enum { M_NOW, M_IN, M_AT } when;
    int64_t when_ns;
    const struct m_lock *queue_lock, *worker_lock; /* the job's own, else its worker's, or NULL */
    enum trq_on_conflict on_conflict;              /* of the call, or TRQ_AS_DECLARED */
    bool listens;                                  /* it has an on_end */
};

/* ---- jobs ---------------------------------------------------------------------------------------------------- */

enum m_state { M_SCHEDULED, M_READY, M_STARTING, M_RUNNING, M_PARKED, M_ENDED };

/* Where in line. Those that became ready by one turn of the clock have one `at`; among them only equal due times have an
 * order, if one thread scheduled them and none was moved. */
struct m_place {
    int64_t at;
    int64_t due;
    int scheduled; /* number of the scheduling; 0: no place among equals */
    int thread;    /* who scheduled it */
    enum m_clock clock;
};

/* One failure. Two are surely in an order if the wall clock says so, and it was so. */
struct m_error {
    int number; /* which of all: what its text says */
    int attempt;
    int64_t wall;
    int64_t boot; /* the model's own: for the order */
};
enum { M_ERRORS = 3 * TRQ_FAILURES_KEPT };
struct m_errors {
    int count;
    bool open; /* in whatever order, some too many: what the engine says is taken if it may be */
    struct m_error error[M_ERRORS];
};

struct m_job {
    struct trq_job_id id;
    int worker, queue;
    struct m_limits limits;
    struct m_inputs in;
    enum m_state state;
    struct m_place place;
    bool firing; /* due, and the engine is just making it ready */
    /* place.due is the earliest that the rules allow, this the latest, until it is known what chance has made of it. */
    int64_t due_latest;
    int64_t since; /* READY: at the latest */
    int64_t expires,
        expires_latest; /* READY, PARKED: it has begun by then, or it ends; INT64_MAX: no bound */
    int64_t deadline;   /* of its run; INT64_MAX: none */
    bool reported;      /* that run, as stuck */
    int64_t first;      /* when it began to wait for its time, on the clock that it is due by */
    bool listens, told;
    bool asked_to_stop;
    int begun;    /* runs */
    int failures; /* attempts that failed */
    struct m_errors errors;
    /* Of those that were merged into it: counts when it runs, if it is more. */
    int merged, merged_failures;
    struct m_errors merged_errors;
    bool absorbed; /* somebody was told that it will see his change while its key was being asked */
    /* queue lock */
    int key; /* 0: none */
    bool from_scheduling;
    unsigned must_see; /* the data that callers wrote who were told that this job will see it */
    /* worker lock */
    const struct m_lock *worker_lock;
    int worker_key; /* while it runs or waits; 0: none */
    /* Since when it waits: counted from the first time since it held a key, whatever key it was and whether or not it went
     * back in line between, or from the last time. The rules say "who began to wait first": either will do. */
    int64_t parked_first, parked_last;
    bool woken; /* ready after it waited */
    /* end */
    enum trq_outcome outcome;
    int other;
    int ended; /* the how manieth end that is not done */
};

struct m_dead {
    int job;
    uint64_t number;
    int64_t died;
    int failures;
    int error; /* the last one's number */
};

struct m_counters {
#define M_COUNTER_(name, sentence) uint64_t name;
    TRQ_COUNTERS(M_COUNTER_)
#undef M_COUNTER_
};

struct model {
    enum mistake mistake;
    int64_t boot, wall;
    int thread; /* who calls just now */
    int64_t ticket, turn;
    int64_t before;  /* elapsed time when it was last looked at */
    int64_t went_on; /* ... before the clock last went on */
    bool jumps;      /* time goes by in leaps, and nothing happens in between */
    int schedulings, ends, ends_kept, errors;
    uint64_t bad_delays, stuck;
    int worker_count;
    int32_t weight[M_QUEUES];
    bool paused[M_QUEUES], unworked[M_QUEUES];
    int takers;                /* threads, each of which takes turns for itself */
    int tombs[M_QUEUES];       /* jobs that ended in line: each may use up its queue's turn */
    int passed_over[M_QUEUES]; /* how often an equal was preferred */
    int limit[M_SPACES];       /* of a name space of worker locks */
    int dead_count, dead_max;
    struct m_dead dead[M_JOBS + 1]; /* who died first is the first */
    uint64_t deaths, dead_lost;
    bool falls_out; /* somebody is to be told so */
    struct m_dead fallen;
    int job_count, untold;
    struct m_job job[M_JOBS];
    struct m_counters counters[M_WORKERS];
};

void model_init(struct model *m, enum mistake mistake);

/* ---- calls: what must come back ---------------------------------------------------------------------------------- */

/* The key's number: never 0, equal for equal keys only. `extra`: what a function of a worker lock adds. */
int model_key(const struct m_lock *lock, int worker, struct m_inputs in, int extra);
/* The waiting job that holds the key, or -1. */
int model_holder(const struct model *m, int key);

/* *out_job: the new job, or its twin. */
int model_enqueue(struct model *m, const struct m_call *call, int *out_job);
int model_cancel(struct model *m, int job);
int model_move(struct model *m, int job, enum m_clock clock, int64_t due);
/* Of the one job; out of many at once, see model_fire. */
int model_run_now(struct model *m, int job);
void model_pause(struct model *m, int queue, bool paused);

/* ---- time (model_time.c) ------------------------------------------------------------------------------------------- */

int64_t model_plus(int64_t a, int64_t b); /* saturates */
bool model_is_due(const struct model *m, const struct m_job *job);
/* In nanoseconds from now, saturated. */
int64_t model_remaining(const struct model *m, enum m_clock clock, int64_t due);
/* The same moment on the other clock, as they stand now. */
int64_t model_on_clock(const struct model *m, int64_t time, enum m_clock from, enum m_clock to);
void model_advance(struct model *m, int64_t span);
void model_set_wall(struct model *m, int64_t wall);
/* The next due time, counted from now, or -1. */
int64_t model_next_due(const struct model *m);

/* Jobs become ready in an order that is the engine's: model_fire marks one, model_merged says that the engine found a
 * twin of it, model_settle that the rest are ready. */
void model_fire(struct model *m, int job);
void model_fire_due(struct model *m);
void model_merged(struct model *m, int job, int into);
void model_settle(struct model *m);

/* ---- runs (model_run.c) -------------------------------------------------------------------------------------------- */

/* Someone must be taken next, if a thread looks. */
bool model_has_work(const struct model *m);
/* A thread has taken this job. */
void model_pick(struct model *m, int job);
/* Its worker lock's key; false: it waits now, or has been cancelled meanwhile. */
bool model_ask(struct model *m, int job, int key);
/* Asked once more, since somebody changed something meanwhile; false: another key, it is back in line. */
bool model_ask_again(struct model *m, int job, int key);
void model_begin(struct model *m, int job);
/* Its run is over (or its key function has ended it). error: the number of the failure's text. */
void model_end(struct model *m, int job, enum trq_end end, int64_t after, int error);

/* Seen from outside: it was taken and waits for its key; it no longer waits, but is in its queue again. `also` says of a
 * job whether it has been seen to be woken as well. */
void model_saw_parked(struct model *m, int job);
void model_saw_woken(struct model *m, int job, const bool *also);
/* 5.2: who may run is not left waiting. */
void model_check_waiters(const struct model *m);

/* a stands before b: surely, by the rules. */
bool model_before(const struct m_place *a, const struct m_place *b);
/* a would be taken before b, surely; of waiters of one key. */
bool model_waits_before(const struct model *m, const struct m_job *a, const struct m_job *b);
int model_running(const struct model *m, int worker_key);

/* The engine has told of this job's end. */
void model_told(struct model *m, int job, enum trq_outcome outcome, int other);
/* Everything that waits, at a stop. */
void model_drop_all(struct model *m);

/* ---- failures and limits (model_fail.c) ------------------------------------------------------------------------------ */

/* It waited for longer than it may. */
bool model_is_late(const struct model *m, const struct m_job *job);
/* The engine says so, or shows it. */
void model_expired(struct model *m, int job);
/* The due time, or when it expires, is known now. */
void model_learn_due(struct model *m, int job, int64_t due);
void model_learn_expires(struct model *m, int job, int64_t expires);
/* The engine's list of why it failed, the newest first. */
void model_learn_errors(struct model *m, int job, const struct m_error *list, int count);
void model_report_stuck(struct model *m, int job, int64_t over);
bool model_should_stop(const struct model *m, const struct m_job *job);

/* The dead set (model_dead.c). The index in it, or -1. */
int model_find_dead(const struct model *m, int job);
int model_dead_delete(struct model *m, int job);
/* *out_job: the new one, or the twin. */
int model_dead_retry(struct model *m, int job, int *out_job);

/* Within the model. */
void model_die(struct model *m, int job, int error);
int model_add(struct model *m, const struct m_call *call, int key, bool from_scheduling);
void model_fail(struct model *m, int job, int error);
/* It may begin from now on; ready since about that moment. */
void model_begin_wait(struct model *m, struct m_job *job, int64_t first, int64_t last);
void model_take_along(struct m_job *job);
void model_hand_over(const struct model *m, const struct m_job *from, struct m_job *to);
/* Who waits with that key and is late ends, since it is met. */
void model_end_late(struct model *m, int key);
void model_begin_run(struct model *m, struct m_job *job);
void model_end_run(struct model *m, struct m_job *job);
void model_finish(struct model *m, int job, enum trq_outcome outcome, int other);
void model_merge(struct model *m, int job, int into);
void model_line_up(struct model *m, int job);
/* Later, if that is not now: at one of these times. */
void model_return(struct model *m, int job, int64_t due, int64_t latest);
void model_schedule(struct model *m, int job, enum m_clock clock, int64_t due);

#endif
