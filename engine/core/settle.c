#include "engine/core/settle.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/queuelock.h"
#include "engine/core/retry.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"

static const enum tq_reason reason_of[] = {
    [TRQ_DONE] = TQ_ENDED_DONE,
    [TRQ_SKIP] = TQ_ENDED_SKIPPED,
    [TRQ_FAILED] = TQ_ENDED_DEAD,
    [TRQ_DISCARDED] = TQ_ENDED_DISCARDED,
};

static void count(const struct trq_job *run, enum tq_counter which, uint64_t n)
{
    tq_class_count(run->class, tq_local_tally(run->local, run->class->number), which, n);
}

void tq_settle_ended(struct trq_job *run, enum tq_state from, enum tq_reason reason)
{
    struct tq_ended ended;
    uint64_t old;
    if (!tq_job_become(run->engine, run->job, from, reason, &old))
        return;
    tq_job_end_take(&ended, run->index, reason, old, run->job);
    tq_ended_finish(run->engine, run->local, &ended);
}

static void end_cancelled(struct trq_job *run)
{
    tq_settle_ended(run, TQ_RUNNING, TQ_ENDED_CANCELLED);
}

/* ---- back to wait ----------------------------------------------------------------------------------------------- */

/* What its queue lock needs. False: out of memory. */
static bool credit(struct trq_job *run)
{
    uint32_t side = tq_cold_side(tq_load(&run->job->cold, relaxed));
    return !(run->word & TQ_QUEUE_LOCKED) ||
           tq_queue_lock_credit(run->engine, run->local, tq_side_at(run->engine, side));
}

/* Others set flags meanwhile. */
static void set_flag(struct tq_job *job, uint64_t flag, bool on)
{
    uint64_t word = tq_load(&job->word, relaxed);
    while (!(word & flag) == on &&
           !tq_cas(&job->word, &word, on ? word | flag : word & ~flag, acq_rel, relaxed))
        ;
}

/* A wait of its own, which no timer of an earlier one knows. */
static void next_turn(struct tq_job *job, uint64_t without)
{
    uint64_t word = tq_load(&job->word, relaxed);
    while (!tq_cas(&job->word, &word, tq_next_turn(word) & ~without, acq_rel, relaxed))
        ;
}

/* With a queue lock to ask for; `front`: to its old place. */
static void come_back(struct trq_job *run, enum tq_reason reason, uint64_t stamp, bool front)
{
    struct trq_engine *e = run->engine;
    struct tq_comeback c = {
        .index = run->index,
        .word = tq_load(&run->job->word, relaxed),
        .reason = reason,
        .front = front,
        .stamp = stamp,
        .boot = run->word & TQ_EXPIRES ? tq_clock_boot(&e->clock) : 0,
        .expires = front ? tq_trail_expires(e, run->job) : 0,
    };
    switch (tq_queue_lock_return(e, run->local, &c)) {
    case TQ_MERGED:
        tq_ended_finish(e, run->local, &c.ended);
        break;
    case TQ_RETURN_STOPPED:
        tq_job_drop(e, run->local, run->index);
        break;
    case TQ_RETURNED:
        if (reason == TQ_PUT_OFF) {
            tq_count(&run->local->scheduled, 1);
            tq_schedule_submit(e, run->local, run->index,
                               tq_word_after(c.word, TQ_RUNNING, TQ_PUT_OFF), (int64_t)stamp);
        } else {
            tq_expiry_submit(e, run->local, run->index, c.word, c.expires);
            tq_notify(e, run->local);
        }
        break;
    case TQ_RETURN_LOST: /* it was cancelled meanwhile: nothing else can happen to it while it is ours */
        end_cancelled(run);
        break;
    }
    if (c.has_met_late) /* last: its on_end may enqueue, and use up what was reserved here */
        tq_ended_finish(e, run->local, &c.late);
}

/* Again, not before that time, with the same id. False: out of memory; it is RUNNING as before. */
static bool put_off(struct trq_job *run, int64_t after)
{
    struct trq_engine *e = run->engine;
    struct tq_job *job = run->job;
    if (!credit(run) || !tq_timer_reserve(e, run->local, 1))
        return false;
    int64_t now = tq_clock_boot(&e->clock), due = tq_deadline(now, after);
    uint32_t side = tq_cold_side(tq_load(&job->cold, relaxed));
    if (side != UINT32_MAX)
        tq_side_at(e, side)->first = now; /* of this wait */
    next_turn(job, TQ_WALL);
    if (run->word & TQ_FROM_START) {
        come_back(run, TQ_PUT_OFF, (uint64_t)due, false);
        return true;
    }
    uint64_t word;
    tq_store(&job->enqueued, (uint64_t)due, relaxed);
    if (!tq_job_become_unless(job, TQ_RUNNING, TQ_PUT_OFF, TQ_STOP_ASKED, &word)) {
        end_cancelled(run);
        return true;
    }
    tq_count(&run->local->scheduled, 1);
    tq_schedule_submit(e, run->local, run->index, tq_word_after(word, TQ_RUNNING, TQ_PUT_OFF), due);
    return true;
}

/* Behind what waits by now, with the same id. False: out of memory; it is RUNNING as before. */
static bool line_up(struct trq_job *run)
{
    struct trq_engine *e = run->engine;
    uint32_t index = run->index;
    uint64_t word;
    int64_t expires = 0;
    bool may_expire = run->word & TQ_EXPIRES;
    /* Before the job is ready again, so that nothing can fail then. */
    if (!tq_fifo_reserve(&e->segments, &run->local->segments, 1) || !credit(run) ||
        (may_expire && !tq_timer_reserve(e, run->local, 1)))
        return false;
    uint64_t stamp = tq_stamp(e, run->local);
    if (may_expire)
        next_turn(run->job, 0);
    if (run->word & TQ_QUEUE_LOCKED) {
        come_back(run, TQ_REQUEUED, stamp, false);
        return true;
    }
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(run->job)];
    tq_store(&run->job->enqueued, stamp, relaxed);
    if (may_expire)
        expires = tq_trail_begin_wait(e, run->job, tq_clock_boot(&e->clock));
    if (!tq_job_become_unless(run->job, TQ_RUNNING, TQ_REQUEUED, TQ_STOP_ASKED, &word)) {
        end_cancelled(run);
    } else if (tq_publish(e, run->local, queue, &index, 1) == 0) {
        tq_job_drop(e, run->local, index); /* the engine stops */
    } else {
        tq_expiry_submit(e, run->local, run->index, word, expires);
        tq_notify(e, run->local);
    }
    return true;
}

/* Now, or later. */
static bool again(struct trq_job *run, int64_t after)
{
    if (tq_load(&run->job->word, relaxed) & TQ_STOP_ASKED) {
        end_cancelled(run);
        return true;
    }
    return after > 0 ? put_off(run, after) : line_up(run);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

void tq_settle_tell(struct trq_job *run, enum trq_end end, const struct tq_gone *gone,
                    int64_t waited, int64_t ran)
{
    const struct trq_error *error = NULL;
    struct trq_event event = {
        .id = tq_job_id(run->engine, run->index, run->word),
        .worker = run->class->text,
        .queue = run->engine->registry.queues[gone->queue]->text,
        .outcome = (enum trq_outcome)(reason_of[end] - TQ_ENDED_DONE),
        .attempts = gone->begun,
        .waited = {waited > 0 ? waited : 0},
        .ran = {ran},
    };
    if (end == TRQ_FAILED || end == TRQ_DISCARDED) {
        error = &run->error;
        size_t n = strlen(error->text);
        event.result_size = (uint16_t)(n < TRQ_RESULT_MAX ? n : TRQ_RESULT_MAX);
        memcpy(event.result, error->text, event.result_size);
    } else {
        event.result_size = run->result_size;
        memcpy(event.result, run->result, run->result_size);
    }
    tq_job_tell(run->engine, run->local, gone->note, gone->old, &event, error);
}

/* What it leaves is the dead set's. Returns its note. */
static uint32_t die(struct trq_job *run, uint64_t old)
{
    struct trq_engine *e = run->engine;
    struct tq_ended ended;
    tq_job_end_take(&ended, run->index, TQ_ENDED_DEAD, old, run->job);
    uint32_t note = tq_job_note(e, &ended.husk);
    tq_job_discard_slot(e, run->local, run->index);
    tq_dead_put(e, run->local, &ended, &run->error);
    return note;
}

static void end(struct trq_job *run, enum trq_end how, int64_t waited, int64_t ran)
{
    struct tq_gone gone = {.begun = tq_job_begun(run->job), .queue = tq_job_queue_number(run->job)};
    if (!tq_job_become(run->engine, run->job, TQ_RUNNING, reason_of[how], &gone.old))
        return;
    gone.note = how == TRQ_FAILED ? die(run, gone.old)
                                  : tq_job_release(run->engine, run->local, run->index);
    tq_settle_tell(run, how, &gone, waited, ran);
}

/* There is no memory for it to wait again: as a dead job it takes none that it has not, and can be seen and tried again. */
static void cannot_wait(struct trq_job *run)
{
    tq_error_text(&run->error, TRQ_ENOMEM, "no memory for it to wait again");
    count(run, TQ_COUNT_dead, 1);
    end(run, TRQ_FAILED, 0, 0);
}

/* ---- to its old place ------------------------------------------------------------------------------------------- */

void tq_settle_go_back(struct trq_job *run)
{
    struct trq_engine *e = run->engine;
    struct tq_side *side = tq_side_at(e, tq_cold_side(tq_load(&run->job->cold, relaxed)));
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(run->job)];
    uint64_t word;
    if (run->word & TQ_QUEUE_LOCKED)
        tq_queue_lock_leave(e, run->local, run->job, run->index, tq_word_generation(run->word),
                            true);
    if (tq_load(&run->job->word, relaxed) & TQ_STOP_ASKED) {
        end_cancelled(run);
        return;
    }
    if (!credit(run) || (run->word & TQ_EXPIRES && !tq_timer_reserve(e, run->local, 1))) {
        cannot_wait(run);
        return;
    }
    if (run->word & TQ_EXPIRES) { /* its timer may have come and gone while it was RUNNING */
        next_turn(run->job, 0);
        tq_timer_stale(e);
    }
    if (run->word & TQ_QUEUE_LOCKED) {
        come_back(run, TQ_REQUEUED, tq_load(&run->job->enqueued, relaxed), true);
    } else {
        uint32_t link = side->link, index = run->index;
        uint64_t place = side->place;
        int64_t expires = tq_trail_expires(e, run->job);
        side->link = TQ_NONE;
        if (!tq_job_become_unless(run->job, TQ_RUNNING, TQ_REQUEUED, TQ_STOP_ASKED, &word)) {
            side->link = link;
            end_cancelled(run);
        } else {
            tq_fifo_put(&queue->fifo, &run->local->segments, link, place, index);
            tq_publish_mark(e, queue);
            tq_expiry_submit(e, run->local, run->index, word, expires);
            tq_notify(e, run->local);
        }
    }
}

/* ---- failure ---------------------------------------------------------------------------------------------------- */

/* For chance: no two failures have the same, and nobody who sees it, or the delays that come of it, learns the secret. */
static uint64_t seed_of(const struct trq_job *run)
{
    struct tq_siphash hash;
    tq_siphash_init(&hash, run->engine->secret);
    tq_siphash_u64(&hash, (run->word >> 32) << 32 | run->index);
    tq_siphash_u64(&hash, tq_job_failures(run->job));
    return tq_siphash_end(&hash).a;
}

/* When it is tried again; INT64_MAX: not any more. */
static int64_t next_attempt(struct trq_job *run)
{
    const struct tq_trail *trail = tq_trail_of(run->engine, run->job);
    const struct trq_retry *policy =
        trail && trail->retry.size ? &trail->retry : run->class->declared->retry;
    struct trq_job *outer = run->local->running;
    bool bad;
    run->local->running = run; /* a policy's function is in a handler still */
    int64_t delay =
        tq_retry_delay(policy, tq_job_failures(run->job), &run->error, seed_of(run), &bad);
    run->local->running = outer;
    if (bad)
        tq_add(&run->engine->bad_delays, 1, relaxed);
    return delay;
}

static void exhausted(struct trq_job *run)
{
    if (!run->class->declared->exhausted)
        return;
    run->local->running = run;
    run->class->declared->exhausted(run, &run->error);
    run->local->running = NULL;
}

static void fail(struct trq_job *run, int64_t waited, int64_t ran)
{
    struct tq_job *job = run->job;
    if (tq_load(&job->word, relaxed) & TQ_STOP_ASKED) {
        end_cancelled(run);
        return;
    }
    run->has_failed = true;
    if (tq_job_failures(job) < UINT16_MAX)
        tq_job_set_counts(job, tq_job_begun(job), tq_job_failures(job) + 1);
    tq_trail_fail(run->engine, run->local, run->index, tq_job_failures(job), run->error.text);
    int64_t after = next_attempt(run);
    if (after != INT64_MAX) {
        count(run, TQ_COUNT_retried, 1); /* before others may see it */
        set_flag(job, TQ_RETRIES, true);
        if (again(run, after))
            return;
        count(run, TQ_COUNT_retried, UINT64_MAX); /* it was not */
    }
    /* Also without memory for it to wait: what is dead can be seen and tried again. */
    exhausted(run);
    count(run, TQ_COUNT_dead, 1);
    end(run, TRQ_FAILED, waited, ran);
}

void tq_settle_other(struct trq_job *run, enum trq_end how, int64_t waited, int64_t ran)
{
    bool told = run->local->told_to_stop;
    if (TQ_UNLIKELY(!tq_is_open(run->engine)) &&
        (how == TRQ_REQUEUED || (how == TRQ_FAILED && told))) {
        count(run, TQ_COUNT_interrupted, 1);
        if (how == TRQ_FAILED)
            tq_trail_fail(run->engine, run->local, run->index, tq_job_failures(run->job) + 1u,
                          run->error.text);
        run->requeue.ns = 0;
        how = TRQ_REQUEUED;
    }
    if (how == TRQ_FAILED)
        fail(run, waited, ran);
    else if (how != TRQ_REQUEUED)
        end(run, how, waited, ran);
    else {
        set_flag(run->job, TQ_RETRIES, false);
        if (!again(run, run->requeue.ns))
            cannot_wait(run);
    }
}
