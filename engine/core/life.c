#include "engine/core/life.h"

#include <sched.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/core/past.h"
#include "engine/core/queuelock.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"
#include "engine/core/workerlock.h"

static const enum tq_counter counter_of[] = {
    [TQ_ENDED_DONE] = TQ_COUNT_done,           [TQ_ENDED_SKIPPED] = TQ_COUNT_skipped,
    [TQ_ENDED_DISCARDED] = TQ_COUNT_discarded, [TQ_ENDED_DEAD] = TQ_COUNT_dead,
    [TQ_ENDED_DROPPED] = TQ_COUNT_dropped,     [TQ_ENDED_CANCELLED] = TQ_COUNT_cancelled,
    [TQ_ENDED_REPLACED] = TQ_COUNT_replaced,   [TQ_ENDED_MERGED] = TQ_COUNT_merged,
    [TQ_ENDED_EXPIRED] = TQ_COUNT_expired,
};

enum tq_counter tq_counter_of_end(enum tq_reason reason)
{
    return counter_of[reason];
}

void tq_job_tell(struct trq_engine *engine, struct tq_local *local, uint32_t note, uint64_t old,
                 const struct trq_event *event, const struct trq_error *error)
{
    if (event->outcome != TRQ_WAS_DONE)
        tq_past_keep(engine, event, error);
    if (note)
        tq_note_send(engine, local, note, event, error);
    if (old & TQ_WATCHED)
        tq_waiters_tell(engine, event);
}

void tq_job_carry(struct tq_job *to, const struct tq_job *from)
{
    tq_store(&to->cold, tq_load(&from->cold, relaxed), release);
    to->size = from->size;
    tq_store(&to->kind, tq_load(&from->kind, relaxed), relaxed);
    tq_store(&to->counts, tq_load(&from->counts, relaxed), relaxed);
    to->block_class = from->block_class;
    to->u = from->u;
}

/* ---- ends of jobs that wait ------------------------------------------------------------------------------- */

void tq_job_end_take(struct tq_ended *out, uint32_t index, enum tq_reason reason, uint64_t old,
                     struct tq_job *job)
{
    out->reason = reason;
    out->index = index;
    out->keeps_slot = false;
    out->old = old;
    out->other = (struct trq_job_id){0, 0};
    tq_job_carry(&out->husk, job);
    tq_store(&job->cold, 0, relaxed);
    job->block_class = TQ_INLINE_CLASS;
}

bool tq_job_end_ready(struct trq_engine *engine, uint32_t index, uint64_t *word,
                      enum tq_reason reason, struct tq_ended *out)
{
    struct tq_job *job = tq_job_at(engine, index);
    if (!tq_job_become_if(job, reason, word))
        return false;
    tq_job_end_take(out, index, reason, *word, job);
    out->keeps_slot = true;
    return true;
}

void tq_job_lay_down(struct trq_engine *engine, struct tq_ended *ended)
{
    uint64_t held;
    tq_add(&engine->registry.queues[tq_job_queue_number(&ended->husk)]->tombs, 1, relaxed);
    tq_job_become(engine, tq_job_at(engine, ended->index), TQ_HELD, TQ_LAID_DOWN, &held);
}

bool tq_job_end_seen(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint64_t *word, enum tq_reason reason, struct tq_ended *out)
{
    switch (tq_word_state(*word)) {
    case TQ_READY:
        if (!tq_job_end_ready(engine, index, word, reason, out))
            return false;
        tq_job_lay_down(engine, out);
        return true;
    case TQ_SCHEDULED:
        if (!tq_schedule_end(engine, local, index, word, reason))
            return false;
        break;
    case TQ_PARKED:
        if (!tq_worker_lock_end_parked(engine, index, word, reason))
            return false;
        break;
    default:
        return false;
    }
    tq_job_end_take(out, index, reason, *word, tq_job_at(engine, index));
    return true;
}

bool tq_job_end_waiting(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                        uint32_t generation, enum tq_reason reason, struct tq_ended *out,
                        uint64_t *out_word)
{
    struct tq_job *job = tq_job_at(engine, index);
    for (;;) {
        uint64_t word = tq_load(&job->word, acquire);
        enum tq_state state = tq_word_state(word);
        *out_word = word;
        if (tq_word_generation(word) != generation ||
            (state != TQ_READY && state != TQ_SCHEDULED && state != TQ_PARKED))
            return false;
        if (tq_job_end_seen(engine, local, index, &word, reason, out))
            return true;
    }
}

void tq_ended_finish(struct trq_engine *engine, struct tq_local *local, struct tq_ended *ended)
{
    struct tq_job *husk = &ended->husk;
    struct tq_class *class = engine->registry.classes[tq_job_class_number(husk)];
    struct trq_event event = {
        .id = tq_job_id(engine, ended->index, ended->old),
        .worker = class->text,
        .queue = engine->registry.queues[tq_job_queue_number(husk)]->text,
        .outcome = (enum trq_outcome)(ended->reason - TQ_ENDED_DONE),
        .attempts = tq_job_begun(husk),
        .other = ended->other,
    };
    uint32_t side = tq_cold_side(tq_load(&husk->cold, relaxed));
    if (side != UINT32_MAX)
        tq_worker_lock_decline(engine, local, side);
    if (ended->old & TQ_QUEUE_LOCKED)
        tq_queue_lock_leave(engine, local, husk, ended->index, tq_word_generation(ended->old),
                            false);
    if (tq_word_expires(ended->old))
        tq_timer_stale(engine);
    struct tq_tally *tally = tq_local_tally(local, class->number);
    tq_class_count(class, tally, counter_of[ended->reason], 1);
    if (ended->reason == TQ_ENDED_DROPPED)
        tq_add(&engine->dropped, 1, release);
    struct trq_error error;
    const char *failed = tq_trail_last(engine, husk);
    bool has_failed = *failed != '\0';
    if (has_failed) { /* before its trail goes */
        tq_error_set(&error, 0, "%s", failed);
        size_t n = strlen(failed);
        event.result_size = (uint16_t)(n < TRQ_RESULT_MAX ? n : TRQ_RESULT_MAX);
        memcpy(event.result, failed, event.result_size);
    }
    uint32_t note = tq_job_strip(engine, local, husk);
    if (!ended->keeps_slot)
        tq_job_discard_slot(engine, local, ended->index);
    else
        tq_tombs_sweep(engine, local, engine->registry.queues[tq_job_queue_number(husk)]);
    tq_job_tell(engine, local, note, ended->old, &event, has_failed ? &error : NULL);
}

void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    struct tq_ended ended;
    for (;;) {
        switch (tq_job_settled(job)) {
        case TQ_TOMB: /* now, or it was cancelled before */
            tq_job_bury(engine, local, index);
            return;
        case TQ_READY: { /* perhaps another job, which took its place */
            uint64_t word = tq_load(&job->word, acquire);
            if (tq_word_state(word) == TQ_READY &&
                tq_job_end_ready(engine, index, &word, TQ_ENDED_DROPPED, &ended)) {
                tq_job_lay_down(engine, &ended);
                tq_ended_finish(engine, local, &ended);
            }
            break;
        }
        default:
            return;
        }
    }
}

/* ---- tombs -------------------------------------------------------------------------------------------------- */

enum tq_state tq_job_settled(struct tq_job *job)
{
    enum { PATIENCE = 64 };
    for (int i = 0;; i++) {
        enum tq_state state = tq_word_state(tq_load(&job->word, acquire));
        if (state != TQ_HELD)
            return state;
        if (i < PATIENCE)
            tq_pause();
        else
            sched_yield(); /* who holds it has lost its processor */
    }
}

void tq_job_bury(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    tq_sub(&engine->registry.queues[tq_job_queue_number(job)]->tombs, 1, relaxed);
    /* The generation has been raised already. */
    uint64_t word = tq_load(&job->word, relaxed);
    tq_store(&job->word, tq_word(tq_word_generation(word), TQ_FREE), relaxed);
    tq_job_discard_slot(engine, local, index);
}

struct sweep {
    struct trq_engine *engine;
    struct tq_local *local;
    uint32_t buried;
};

static bool is_tomb(void *context, uint32_t item)
{
    const struct sweep *s = context;
    return tq_word_state(tq_load(&tq_job_at(s->engine, item)->word, acquire)) == TQ_TOMB;
}

static void bury(void *context, uint32_t item)
{
    struct sweep *s = context;
    tq_job_bury(s->engine, s->local, item);
    s->buried++;
}

enum { SWEEP_STEP = 256 };

static bool sweep(struct sweep *s, struct tq_queue *queue)
{
    const struct tq_sweeper sweeper = {.is_tomb = is_tomb, .drop = bury, .context = s};
    return tq_fifo_sweep(&queue->fifo, &s->local->segments, &sweeper, SWEEP_STEP);
}

void tq_tombs_sweep(struct trq_engine *engine, struct tq_local *local, struct tq_queue *queue)
{
    enum { FEW = 64 };
    uint64_t tombs = tq_load(&queue->tombs, relaxed);
    struct sweep s = {engine, local, 0};
    if (tombs >= FEW && 2 * tombs >= tq_fifo_depth(&queue->fifo))
        sweep(&s, queue);
}

bool tq_tombs_clear(struct trq_engine *engine, struct tq_local *local)
{
    struct sweep s = {engine, local, 0};
    for (uint32_t i = 0; i < tq_load(&engine->registry.queues_count, acquire); i++) {
        struct tq_queue *queue = engine->registry.queues[i];
        while (tq_load(&queue->tombs, relaxed) && sweep(&s, queue))
            ;
    }
    return s.buried > 0;
}

bool tq_job_ahead(struct trq_engine *engine, struct tq_queue *queue, uint32_t index,
                  uint64_t *out_ahead)
{
    struct sweep s = {.engine = engine};
    const struct tq_sweeper tombs = {.is_tomb = is_tomb, .context = &s};
    return tq_fifo_find(&queue->fifo, index, &tombs, out_ahead);
}

struct tq_job *tq_job_by_id(const struct trq_engine *engine, struct trq_job_id id)
{
    uint32_t index = (uint32_t)id.slot;
    if (id.birth != engine->birth || index >= tq_load(&engine->jobs.carved, acquire))
        return NULL;
    return tq_job_at(engine, index);
}
