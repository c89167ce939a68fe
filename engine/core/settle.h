/* How a run ends, and what becomes of its job: it ends, or comes back to wait.
 *
 * The thread that ran the job owns it until one transition of its word, made here: out of RUNNING (or STARTING, for one
 * that was cancelled, or whose time was over, before it had its key). What a return to waiting needs (a segment, a timer, a
 * record of its queue lock) is taken before, so that nothing fails after it.
 *
 * A handler that fails after it was told that the engine stops was interrupted. So is one that asks to run again then. That
 * costs no attempt, and the job goes the way of all that waits then. */
#ifndef TQ_CORE_SETTLE_H
#define TQ_CORE_SETTLE_H

#include "engine/core/life.h"
#include "engine/core/run.h"

/* The run is over, and its worker lock is given back. waited, ran: ns. */
static inline void tq_settle(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran);
void tq_settle_other(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran);
/* It ends without having run: it was cancelled, or its time was over. */
void tq_settle_ended(struct trq_job *run, enum tq_state from, enum tq_reason reason);
/* To its old place: it is RUNNING, and has not begun. */
void tq_settle_go_back(struct trq_job *run);

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
    struct tq_gone gone = {.begun = tq_job_begun(run->job), .queue = tq_job_queue_number(run->job)};
    if (!tq_job_become(run->engine, run->job, TQ_RUNNING, TQ_ENDED_DONE, &gone.old))
        return;
    gone.note = tq_job_release(run->engine, run->local, run->index);
    if (TQ_UNLIKELY(gone.note || gone.old & TQ_WATCHED))
        tq_settle_tell(run, end, &gone, waited, ran);
}

#endif
