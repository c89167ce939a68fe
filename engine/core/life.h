/* The life of a job: every transition, and how it ends. */
#ifndef TQ_CORE_LIFE_H
#define TQ_CORE_LIFE_H

#include "engine/core/engine.h"

/* Why a job changed its state. */
enum tq_reason {
    TQ_ENQUEUED,
    TQ_STARTED,
    TQ_REQUEUED,
    TQ_ENDED_DONE, /* from here on in the order of enum trq_outcome */
    TQ_ENDED_SKIPPED,
    TQ_ENDED_DISCARDED,
    TQ_ENDED_DEAD,
    TQ_ENDED_DROPPED
};

/* The one function that changes a job's state. False: the job is not in the state that the reason starts from (a
 * race was lost): nothing happened but that it is counted. *word is the job's word afterwards. */
bool tq_job_become(struct trq_engine *engine, struct tq_job *job, enum tq_reason reason,
                   uint64_t *word);

/* Tell how it ended to whom it may concern, and give the slot back. The job has become FREE by `reason` just now;
 * `word` is what it was before that. */
void tq_job_finish(struct trq_engine *engine, struct tq_local *local, uint32_t index, uint64_t word,
                   struct trq_event *event, const struct trq_error *error);

/* End a job that waits, as dropped: it has just been taken from its queue. */
void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index);

/* Give back a slot that never became a job. */
void tq_job_discard_slot(struct trq_engine *engine, struct tq_local *local, uint32_t index);

/* Those in trq_wait (wait.c). */
void tq_waiters_tell(struct trq_engine *engine, const struct trq_event *event);

#endif
