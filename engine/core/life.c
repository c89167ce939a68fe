#include "engine/core/life.h"

/* From which state to which, by reason. Everything that a job can become, and why. */
static const struct {
    uint8_t from, to;
} table[] = {
    [TQ_ENQUEUED] = {TQ_FREE, TQ_READY},        [TQ_STARTED] = {TQ_READY, TQ_RUNNING},
    [TQ_REQUEUED] = {TQ_RUNNING, TQ_READY},     [TQ_ENDED_DONE] = {TQ_RUNNING, TQ_FREE},
    [TQ_ENDED_SKIPPED] = {TQ_RUNNING, TQ_FREE}, [TQ_ENDED_DISCARDED] = {TQ_RUNNING, TQ_FREE},
    [TQ_ENDED_DEAD] = {TQ_RUNNING, TQ_FREE},    [TQ_ENDED_DROPPED] = {TQ_READY, TQ_FREE},
};

bool tq_job_become(struct trq_engine *engine, struct tq_job *job, enum tq_reason reason,
                   uint64_t *word)
{
    uint64_t old = tq_load(&job->word, acquire);
    uint64_t next;
    do {
        if (TQ_UNLIKELY(tq_word_state(old) != table[reason].from)) {
            tq_add(&engine->lost_races, 1, relaxed);
            return false;
        }
        /* An end raises the generation: every id of this job is one of the past now. */
        uint32_t generation = tq_word_generation(old) + (table[reason].to == TQ_FREE);
        uint64_t flags = table[reason].to == TQ_FREE ? 0 : old & TQ_WATCHED;
        next = tq_word(generation, (enum tq_state)table[reason].to) | flags;
    } while (!tq_cas(&job->word, &old, next, acq_rel, acquire));
    *word = old;
    return true;
}

void tq_job_discard_slot(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    /* The last generation is never given out: a slot that has used up its generations stays out of use, and
     * no id is ever another job's. */
    if (TQ_UNLIKELY(tq_word_generation(tq_load(&job->word, relaxed)) == UINT32_MAX))
        return;
    if (tq_slab_free(&engine->jobs, &local->jobs, index))
        tq_bell_ring(&engine->room);
}

void tq_job_finish(struct trq_engine *engine, struct tq_local *local, uint32_t index, uint64_t word,
                   struct trq_event *event, const struct trq_error *error)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint32_t note = tq_load(&job->note, relaxed);
    tq_blocks_give(&engine->blocks, &local->blocks, job);
    tq_store(&job->note, 0, relaxed);
    tq_job_discard_slot(engine, local, index);
    if (TQ_UNLIKELY(note))
        tq_note_send(engine, local, note, event, error);
    if (TQ_UNLIKELY(word & TQ_WATCHED))
        tq_waiters_tell(engine, event);
}

void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint64_t word;
    if (!tq_job_become(engine, job, TQ_ENDED_DROPPED, &word))
        return;
    struct trq_event event = {
        .id = tq_job_id(engine, index, word),
        .outcome = TRQ_WAS_DROPPED,
        .attempts = job->begun,
    };
    struct tq_tally *tally = tq_local_tally(local, job->worker);
    if (tally)
        tq_count(&tally->count[TQ_COUNT_dropped], 1);
    tq_job_finish(engine, local, index, word, &event, NULL);
}

struct tq_job *tq_job_by_id(const struct trq_engine *engine, struct trq_job_id id)
{
    uint32_t index = (uint32_t)id.slot;
    if (id.birth != engine->birth || index >= tq_load(&engine->jobs.carved, acquire))
        return NULL;
    return tq_job_at(engine, index);
}
