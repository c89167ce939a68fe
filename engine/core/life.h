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

/* From which state to which, by reason: everything that a job can become, and why. */
static const struct tq_transition {
    uint8_t from, to;
} tq_transitions[] = {
    [TQ_ENQUEUED] = {TQ_FREE, TQ_READY},        [TQ_STARTED] = {TQ_READY, TQ_RUNNING},
    [TQ_REQUEUED] = {TQ_RUNNING, TQ_READY},     [TQ_ENDED_DONE] = {TQ_RUNNING, TQ_FREE},
    [TQ_ENDED_SKIPPED] = {TQ_RUNNING, TQ_FREE}, [TQ_ENDED_DISCARDED] = {TQ_RUNNING, TQ_FREE},
    [TQ_ENDED_DEAD] = {TQ_RUNNING, TQ_FREE},    [TQ_ENDED_DROPPED] = {TQ_READY, TQ_FREE},
};

/* The one function that changes a job's state. False: the job is not in the state that the reason starts from (a
 * race was lost): nothing happened but that it is counted. *out_old is the word before. */
static inline bool tq_job_become(struct trq_engine *engine, struct tq_job *job,
                                 enum tq_reason reason, uint64_t *out_old)
{
    const struct tq_transition move = tq_transitions[reason];
    uint64_t old = tq_load(&job->word, acquire);
    uint64_t next;
    do {
        if (TQ_UNLIKELY(tq_word_state(old) != move.from)) {
            tq_add(&engine->lost_races, 1, relaxed);
            return false;
        }
        /* An end raises the generation: every id of this job is one of the past now, and no flag is left. */
        next = move.to == TQ_FREE ? tq_word(tq_word_generation(old) + 1, TQ_FREE)
                                  : (old & ~TQ_STATE_MASK) | move.to;
    } while (!tq_cas(&job->word, &old, next, acq_rel, acquire));
    *out_old = old;
    return true;
}

/* The job has become FREE just now, `old` is what its word was before. Its inputs and its slot go back. Returns its
 * note, or 0: if that or TQ_WATCHED in `old` says that somebody wants to know, tq_job_tell is to follow. */
static inline uint32_t tq_job_release(struct trq_engine *engine, struct tq_local *local,
                                      uint32_t index);
void tq_job_tell(struct trq_engine *engine, struct tq_local *local, uint32_t note, uint64_t old,
                 const struct trq_event *event, const struct trq_error *error);

/* End a job that waits, as dropped: it has just been taken from its queue. */
void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index);

/* Give back a slot. The last generation is never given out: a slot that has used up its generations stays out of
 * use, and no id is ever another job's. */
static inline void tq_job_discard_slot(struct trq_engine *engine, struct tq_local *local,
                                       uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    if (TQ_UNLIKELY(tq_word_generation(tq_load(&job->word, relaxed)) == UINT32_MAX))
        return;
    if (TQ_UNLIKELY(tq_slab_free(&engine->jobs, &local->jobs, index) && !local->attempting))
        tq_bell_ring(&engine->room);
}

static inline uint32_t tq_job_release(struct trq_engine *engine, struct tq_local *local,
                                      uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint32_t note = tq_load(&job->note, relaxed);
    if (TQ_UNLIKELY(note))
        tq_store(&job->note, 0, relaxed);
    if (TQ_UNLIKELY(job->block_class != TQ_INLINE_CLASS))
        tq_blocks_give(&engine->blocks, &local->blocks, job);
    tq_job_discard_slot(engine, local, index);
    return note;
}

/* Those in trq_wait (wait.c). */
void tq_waiters_tell(struct trq_engine *engine, const struct trq_event *event);

#endif
