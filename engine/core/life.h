/* The life of a job: every transition, and how it ends. */
#ifndef TQ_CORE_LIFE_H
#define TQ_CORE_LIFE_H

#include "engine/core/engine.h"
#include "engine/core/side.h"

/* Why a job changed its state. */
enum tq_reason {
    TQ_ENQUEUED,
    TQ_PUT_OFF,    /* scheduled: by its enqueuer, or requeued for later */
    TQ_BECAME_DUE, /* or was told to run now */
    TQ_ASKS_KEY,   /* a thread has taken it and computes its worker lock's key */
    TQ_STARTED,
    TQ_MUST_WAIT, /* for its worker lock */
    TQ_WOKEN,     /* its key may be free */
    TQ_REQUEUED,
    TQ_LAID_DOWN,  /* the slot of a job that has ended in its queue is empty */
    TQ_TOOK_PLACE, /* a newer job is in that slot now */
    TQ_ENDED_DONE, /* from here on in the order of enum trq_outcome */
    TQ_ENDED_SKIPPED,
    TQ_ENDED_DISCARDED,
    TQ_ENDED_DEAD,
    TQ_ENDED_DROPPED,
    TQ_ENDED_CANCELLED,
    TQ_ENDED_REPLACED,
    TQ_ENDED_MERGED,
    TQ_ENDED_EXPIRED,
    TQ_REASONS
};
#define TQ_ENDED(outcome) ((enum tq_reason)(TQ_ENDED_DONE + (int)(outcome)))

/* To which state, by reason and by the state before: everything that a job can become, and why. A state is meant plus
 * one; 0: it cannot. */
static const uint8_t tq_transitions[TQ_REASONS][TQ_STATES] = {
#define TO(state) (TQ_##state + 1)
    [TQ_ENQUEUED] = {[TQ_FREE] = TO(READY)},
    [TQ_PUT_OFF] = {[TQ_FREE] = TO(SCHEDULED), [TQ_RUNNING] = TO(SCHEDULED)},
    [TQ_BECAME_DUE] = {[TQ_SCHEDULED] = TO(READY)},
    [TQ_ASKS_KEY] = {[TQ_READY] = TO(STARTING)},
    [TQ_STARTED] = {[TQ_READY] = TO(RUNNING), [TQ_STARTING] = TO(RUNNING)},
    [TQ_MUST_WAIT] = {[TQ_STARTING] = TO(PARKED)},
    [TQ_WOKEN] = {[TQ_PARKED] = TO(READY)},
    [TQ_REQUEUED] = {[TQ_RUNNING] = TO(READY)},
    [TQ_LAID_DOWN] = {[TQ_HELD] = TO(TOMB)},
    [TQ_TOOK_PLACE] = {[TQ_HELD] = TO(READY)},
    [TQ_ENDED_DONE] = {[TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_SKIPPED] = {[TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_DISCARDED] = {[TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_DEAD] = {[TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_DROPPED] = {[TQ_READY] = TO(HELD), [TQ_SCHEDULED] = TO(FREE), [TQ_PARKED] = TO(FREE)},
    [TQ_ENDED_CANCELLED] = {[TQ_READY] = TO(HELD),
                            [TQ_STARTING] = TO(FREE),
                            [TQ_SCHEDULED] = TO(FREE),
                            [TQ_PARKED] = TO(FREE),
                            [TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_REPLACED] =
        {[TQ_READY] = TO(HELD), [TQ_SCHEDULED] = TO(FREE), [TQ_PARKED] = TO(FREE)},
    [TQ_ENDED_MERGED] = {[TQ_SCHEDULED] = TO(FREE), [TQ_RUNNING] = TO(FREE)},
    [TQ_ENDED_EXPIRED] = {[TQ_READY] = TO(HELD),
                          [TQ_PARKED] = TO(FREE),
                          [TQ_STARTING] = TO(FREE),
                          [TQ_RUNNING] = TO(FREE)},
#undef TO
};

/* What the word becomes. An end raises the generation: every id of this job is one of the past then, and no flag is
 * left. What was answered to others while it was ready will be seen by whoever computes its key from here on. */
static inline uint64_t tq_word_after(uint64_t old, enum tq_state from, enum tq_reason reason)
{
    const unsigned to = tq_transitions[reason][from] - 1u;
    if (to == TQ_FREE || to == TQ_HELD)
        return tq_word(tq_word_generation(old) + 1, (enum tq_state)to);
    return (old & ~(TQ_STATE_MASK | (to == TQ_STARTING ? TQ_ABSORBED : 0))) | to;
}

/* The one function that changes a job's state, for who owns it. False: the job is not in state `from`, or has a flag
 * of `unless` (a race was lost): nothing happened. *out_old is the word before, or the one found. (seq_cst for who puts a job
 * off and then reads the gate: a stop that did not wait for him closed it, and then looks for such jobs.) */
static inline bool tq_job_become_unless(struct tq_job *job, enum tq_state from,
                                        enum tq_reason reason, uint64_t unless, uint64_t *out_old)
{
    uint64_t old = tq_load(&job->word, acquire);
    do {
        if (TQ_UNLIKELY(tq_word_state(old) != from || old & unless)) {
            *out_old = old;
            return false;
        }
    } while (!tq_cas(&job->word, &old, tq_word_after(old, from, reason), seq_cst, acquire));
    *out_old = old;
    return true;
}

static inline bool tq_job_become(struct trq_engine *engine, struct tq_job *job, enum tq_state from,
                                 enum tq_reason reason, uint64_t *out_old)
{
    bool became = tq_job_become_unless(job, from, reason, 0, out_old);
    if (TQ_UNLIKELY(!became))
        tq_add(&engine->lost_races, 1, relaxed);
    return became;
}

/* The same for others, who know the job by its word: it must be the same job in the same state still, of the same turn; flags
 * may have changed. *word is the word before, or the one found. */
static inline bool tq_job_become_if(struct tq_job *job, enum tq_reason reason, uint64_t *word)
{
    const uint64_t known = *word;
    const enum tq_state from = tq_word_state(known);
    while (!tq_cas(&job->word, word, tq_word_after(*word, from, reason), acq_rel, acquire))
        if (tq_word_generation(*word) != tq_word_generation(known) ||
            tq_word_state(*word) != from || (*word ^ known) & TQ_TURN)
            return false;
    return true;
}

/* A timer of its own is under way, by which it has begun or ends. */
static inline bool tq_word_expires(uint64_t word)
{
    enum tq_state state = tq_word_state(word);
    return word & TQ_EXPIRES && (state == TQ_READY || state == TQ_STARTING || state == TQ_PARKED);
}

/* A job, and not what is left of one. */
static inline bool tq_word_lives(uint64_t word)
{
    enum tq_state state = tq_word_state(word);
    return state != TQ_FREE && state != TQ_HELD && state != TQ_TOMB;
}

/* Does it hold its queue lock? */
static inline bool tq_word_waits(uint64_t word)
{
    switch (tq_word_state(word)) {
    case TQ_READY:
    case TQ_STARTING:
    case TQ_PARKED:
        return true;
    case TQ_SCHEDULED:
        return (word & TQ_FROM_START) != 0;
    default:
        return false;
    }
}

/* The job has become FREE just now, `old` is what its word was before. Its inputs and its slot go back. Returns its
 * note, or 0: if that or TQ_WATCHED in `old` says that somebody wants to know, tq_job_tell is to follow. */
static inline uint32_t tq_job_release(struct trq_engine *engine, struct tq_local *local,
                                      uint32_t index);
void tq_job_tell(struct trq_engine *engine, struct tq_local *local, uint32_t note, uint64_t old,
                 const struct trq_event *event, const struct trq_error *error);

/* A job that was ended while it waited, from the transition until everything of it is given back and told. In between
 * there is nothing that user code could see, so it may be under a lock; finish may not. */
struct tq_ended {
    enum tq_reason reason;
    uint32_t index;
    bool keeps_slot; /* a tomb, or another job is in it */
    uint64_t old;
    struct tq_job husk; /* what it left: everything but word and stamp */
    struct trq_job_id other;
};

/* End a job that waits, whatever it waits for: READY, SCHEDULED or PARKED, of that generation. False: it is in none of
 * these states; *out_word is what was found. */
bool tq_job_end_waiting(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                        uint32_t generation, enum tq_reason reason, struct tq_ended *out,
                        uint64_t *out_word);
/* The same of one whose word was just seen, and only if it is still in that state. *word: before the transition. */
bool tq_job_end_seen(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint64_t *word, enum tq_reason reason, struct tq_ended *out);
/* Of a READY one the first half: HELD, and taken out of its slot. */
bool tq_job_end_ready(struct trq_engine *engine, uint32_t index, uint64_t *word,
                      enum tq_reason reason, struct tq_ended *out);
/* ... whose second half is this, or that another job is put into the slot. */
void tq_job_lay_down(struct trq_engine *engine, struct tq_ended *ended);
/* The transition of a job has been made that frees its slot: take its payload out. */
void tq_job_end_take(struct tq_ended *out, uint32_t index, enum tq_reason reason, uint64_t old,
                     struct tq_job *job);
/* Give back its locks, count, free, tell. May run user code (on_end). */
void tq_ended_finish(struct trq_engine *engine, struct tq_local *local, struct tq_ended *ended);
/* Put a job's payload into another slot, or out of it. */
void tq_job_carry(struct tq_job *to, const struct tq_job *from);

/* End a job that waits, as dropped: it has just been taken from its queue. */
void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index);
/* What was popped is a tomb: its slot is free. */
void tq_job_bury(struct trq_engine *engine, struct tq_local *local, uint32_t index);
/* A tomb has come to this queue: if they are the half of it, sweep a bounded part of it. */
void tq_tombs_sweep(struct trq_engine *engine, struct tq_local *local, struct tq_queue *queue);
/* There is no slot left: sweep all. True: a slot may be free now. */
bool tq_tombs_clear(struct trq_engine *engine, struct tq_local *local);
/* How many jobs stand before it in its queue. */
bool tq_job_ahead(struct trq_engine *engine, struct tq_queue *queue, uint32_t index,
                  uint64_t *out_ahead);
/* Its state, once nobody holds it. */
enum tq_state tq_job_settled(struct tq_job *job);
enum tq_counter tq_counter_of_end(enum tq_reason reason);

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

/* The slot of a job that nobody knows, or that is elsewhere now. */
static inline void tq_job_unmake(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint32_t generation = tq_word_generation(tq_load(&job->word, relaxed));
    tq_store(&job->word, tq_word(generation + 1, TQ_FREE), relaxed);
    tq_job_discard_slot(engine, local, index);
}

/* Everything but the slot. Returns its note. */
static inline uint32_t tq_job_strip(struct trq_engine *engine, struct tq_local *local,
                                    struct tq_job *job)
{
    uint32_t cold = tq_load(&job->cold, relaxed);
    if (TQ_UNLIKELY(cold)) {
        tq_store(&job->cold, 0, relaxed);
        if (cold & TQ_COLD_SIDE)
            cold = tq_side_release(engine, local, cold & ~TQ_COLD_SIDE);
    }
    if (TQ_UNLIKELY(job->block_class != TQ_INLINE_CLASS))
        tq_blocks_give(&engine->blocks, &local->blocks, job);
    return cold;
}

static inline uint32_t tq_job_release(struct trq_engine *engine, struct tq_local *local,
                                      uint32_t index)
{
    uint32_t note = tq_job_strip(engine, local, tq_job_at(engine, index));
    tq_job_discard_slot(engine, local, index);
    return note;
}

/* Those in trq_wait (wait.c). */
void tq_waiters_tell(struct trq_engine *engine, const struct trq_event *event);

#endif
