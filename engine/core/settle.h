/* How a run ends, and what becomes of its job: it ends, or comes back to wait.
 *
 * The thread that ran the job owns it until one transition of its word, made here: out of RUNNING (or STARTING, for one
 * that was cancelled while it took its key). What a return to waiting needs (a segment, a timer, a record of its queue
 * lock) is taken before, so that nothing fails after it. */
#ifndef TQ_CORE_SETTLE_H
#define TQ_CORE_SETTLE_H

#include "engine/core/life.h"
#include "engine/core/run.h"

/* The run is over, and its worker lock is given back. waited, ran: ns. */
static inline void tq_settle(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran);
void tq_settle_other(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran);
/* It was cancelled while it was this thread's, and is not to wait again. */
void tq_settle_cancelled(struct trq_job *run, enum tq_state from);

/* Ahead of the other part of a return: what its queue lock needs. False: out of memory. */
bool tq_settle_credit(struct trq_job *run);
/* There is no memory for a return: it ends as dropped. */
void tq_settle_drop(struct trq_job *run);
/* A job with a queue lock to ask for comes back; `front`: to its old place. */
void tq_settle_come_back(struct trq_job *run, enum tq_reason reason, uint64_t stamp, bool front);

/* Somebody wants to know how it ended. The slot may be another job's by now. */
struct tq_gone {
    uint64_t old;
    uint32_t note, queue;
    uint16_t begun;
};
void tq_settle_tell(struct trq_job *run, enum trq_end end, const struct tq_gone *gone,
                    int64_t waited, int64_t ran);

static inline void tq_settle(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran)
{
    if (TQ_UNLIKELY(end != TRQ_DONE)) {
        tq_settle_other(run, end, waited, ran);
        return;
    }
    struct tq_gone gone = {.begun = run->job->begun, .queue = tq_job_queue_number(run->job)};
    if (!tq_job_become(run->engine, run->job, TQ_RUNNING, TQ_ENDED_DONE, &gone.old))
        return;
    gone.note = tq_job_release(run->engine, run->local, run->index);
    if (TQ_UNLIKELY(gone.note || gone.old & TQ_WATCHED))
        tq_settle_tell(run, end, &gone, waited, ran);
}

#endif
