/* Queue locks: while a job waits, another with its key is not enqueued.
 *
 * Shape.   Under the key's digest, in the table engine->queue_locks, a record that names one job by slot and generation.
 *
 * Invariants
 *   I1  The record says who may hold the key; the job's word says whether it does (tq_word_waits). A job that has begun to
 *       run, or has ended, does not, whether or not it has already taken its name out of the record: that is
 *       tidying, and done only by who is still named there.
 *   I2  A job with this key goes into a state of waiting, and into its queue, only under the bucket, having put its name
 *       into the record. So whoever finds it there and waiting finds it in its queue, too.
 *   I2b A job whose time to begin is over does not hold the key: who meets it ends it first (4.7). One that is STARTING then
 *       he cannot end. It is named no more: it begins, or ends as soon as it finds out, or parks, and ends there.
 *   I3  (no lost change) A call is refused only by a successful read-modify-write of the waiting job's word, with
 *       acq_rel order. The start of the job is one of the same word. So either the start comes later, and the run
 *       sees all that the caller wrote before; or it came before, the refusal fails, and the call queues a job. (A
 *       plain load of the word would answer from the past: the caller's writes may still be in its store buffer.)
 *
 * Lock order: this bucket -> stripe of a scheduled job -> bucket of a worker lock. No user code under it.
 */
#ifndef TQ_CORE_QUEUELOCK_H
#define TQ_CORE_QUEUELOCK_H

#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/schedule.h"

struct tq_queue_key {
    struct tq_record record; /* first */
    uint32_t job, generation;
    /* Of jobs that were merged into it. */
    uint16_t begun, failures;
    uint32_t slips; /* trail.h: why they failed */
};

/* A new job, made and not published: its word says READY, or FREE if it is for later; its side has the digest. */
struct tq_asker {
    uint32_t index;
    enum trq_on_conflict rule;
    bool later;    /* it becomes SCHEDULED, due then ... */
    uint64_t word; /* ... which this is its word for */
    bool wall;     /* ... by the wall clock */
    int64_t due;
    int64_t max_wait; /* 0: no bound */
    struct tq_moment
        now; /* for TRQ_DEBOUNCE, and if there may be one whose time is over; boot 0: not read */
};
struct tq_answer {
    int code; /* TRQ_OK, TRQ_DUPLICATE, TRQ_DEBOUNCED, TRQ_REPLACED, TRQ_ESTOPPED */
    uint32_t index, generation; /* of the job that waits with the key now */
    bool moved;   /* the asker's job is in another slot, its own is to be given back */
    bool stopped; /* it is named and READY, but its queue is closed: tq_job_drop is to follow */
    bool has_ended;
    struct tq_ended ended; /* replaced, or its time was over: tq_ended_finish is to follow */
};

/* Ask for its key, and if it may be, put a READY one into its queue. A SCHEDULED one is to be submitted by the caller,
 * on TRQ_OK and TRQ_REPLACED; on the other codes the job is the caller's still. */
void tq_queue_lock_ask(struct trq_engine *engine, struct tq_local *local,
                       const struct tq_asker *asker, struct tq_answer *out);

/* A job comes back to wait: RUNNING or SCHEDULED before, READY or SCHEDULED by `reason`. If READY, it is in its queue then.
 * Reserve a segment of a queue first, and if it was RUNNING its credit. */
enum tq_return {
    TQ_RETURNED,
    TQ_MERGED,        /* another waits: `ended` is to be finished */
    TQ_RETURN_LOST,   /* it is not in that state any more, or not due: `due` */
    TQ_RETURN_STOPPED /* its queue is closed: tq_job_drop is to follow */
};
struct tq_comeback {
    uint32_t index;
    uint64_t word; /* as found; then as it was before the transition */
    enum tq_reason reason;
    bool front;      /* READY: at its old place, by its side's link */
    int64_t now;     /* SCHEDULED before: only if due by then */
    uint64_t stamp;  /* READY, SCHEDULED: for job->enqueued */
    int64_t boot;    /* now; 0: not read */
    int64_t expires; /* READY, with TQ_EXPIRES: for its timer */
    int64_t due;     /* LOST since it is not due: when it is; else INT64_MIN */
    struct tq_ended ended;
    bool
        has_met_late; /* who waited with the key has ended, since its time was over: to be finished */
    struct tq_ended late;
};
enum tq_return tq_queue_lock_return(struct trq_engine *engine, struct tq_local *local,
                                    struct tq_comeback *c);

/* Credit for a return. False: out of memory. */
bool tq_queue_lock_credit(struct trq_engine *engine, struct tq_local *local, struct tq_side *side);

/* The job of that generation holds its key no more: tidy. job: where its payload is (the slot, or its husk). If others
 * were merged into it and `takes_along`, it gets the larger counts, and why they failed. */
void tq_queue_lock_leave(struct trq_engine *engine, struct tq_local *local, struct tq_job *job,
                         uint32_t index, uint32_t generation, bool takes_along);

/* Quiescent: NULL, or what is wrong. *out_held: keys that are held. */
const char *tq_queue_locks_check(struct trq_engine *engine, uint64_t *out_held);
/* Does a job wait with that key? */
bool tq_queue_lock_held(struct trq_engine *engine, struct tq_digest digest, int64_t boot);

#endif
