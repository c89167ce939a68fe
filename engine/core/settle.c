#include "engine/core/settle.h"

#include <string.h>

#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/queuelock.h"
#include "engine/core/schedule.h"

static const enum tq_reason reason_of[] = {
    [TRQ_DONE] = TQ_ENDED_DONE,   [TRQ_SKIP] = TQ_ENDED_SKIPPED,
    [TRQ_FAILED] = TQ_ENDED_DEAD, [TRQ_DISCARDED] = TQ_ENDED_DISCARDED,
    [TRQ_REQUEUED] = TQ_REQUEUED,
};
/* It was cancelled while it was this thread's, and is not to wait again. */
void tq_settle_cancelled(struct trq_job *run, enum tq_state from)
{
    struct tq_ended ended;
    uint64_t old;
    if (!tq_job_become(run->engine, run->job, from, TQ_ENDED_CANCELLED, &old))
        return;
    tq_job_end_take(&ended, run->index, TQ_ENDED_CANCELLED, old, run->job);
    tq_ended_finish(run->engine, run->local, &ended);
}

/* With a queue lock to ask for; `front`: to its old place. */
void tq_settle_come_back(struct trq_job *run, enum tq_reason reason, uint64_t stamp, bool front)
{
    struct trq_engine *e = run->engine;
    struct tq_comeback c = {
        .index = run->index,
        .word = tq_load(&run->job->word, relaxed),
        .reason = reason,
        .front = front,
        .stamp = stamp,
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
            tq_notify(e, run->local);
        }
        break;
    case TQ_RETURN_LOST: /* it was cancelled meanwhile: nothing else can happen to it while it is ours */
        tq_settle_cancelled(run, TQ_RUNNING);
        break;
    }
}

/* There is no memory for a return: it ends as dropped. */
void tq_settle_drop(struct trq_job *run)
{
    uint64_t old;
    if (tq_job_become(run->engine, run->job, TQ_RUNNING, TQ_REQUEUED, &old))
        tq_job_drop(run->engine, run->local, run->index);
}

bool tq_settle_credit(struct trq_job *run)
{
    uint32_t side = tq_cold_side(tq_load(&run->job->cold, relaxed));
    return !(run->word & TQ_QUEUE_LOCKED) ||
           tq_queue_lock_credit(run->engine, run->local, tq_side_at(run->engine, side));
}

/* Again, not before that time, with the same id. */
static void put_off(struct trq_job *run, int64_t after)
{
    struct trq_engine *e = run->engine;
    struct tq_job *job = run->job;
    if (!tq_settle_credit(run) || !tq_timer_reserve(e, run->local, 1)) {
        tq_settle_drop(run);
        return;
    }
    int64_t now = tq_clock_boot(&e->clock), due = tq_deadline(now, after);
    uint32_t side = tq_cold_side(tq_load(&job->cold, relaxed));
    if (side != UINT32_MAX)
        tq_side_at(e, side)->first = now; /* of this wait */
    uint64_t word = tq_load(&job->word, relaxed);
    while (!tq_cas(&job->word, &word, tq_next_turn(word) & ~TQ_WALL, acq_rel, relaxed))
        ;
    if (run->word & TQ_FROM_START) {
        tq_settle_come_back(run, TQ_PUT_OFF, (uint64_t)due, false);
        return;
    }
    tq_store(&job->enqueued, (uint64_t)due, relaxed);
    if (!tq_job_become_unless(job, TQ_RUNNING, TQ_PUT_OFF, TQ_STOP_ASKED, &word)) {
        tq_settle_cancelled(run, TQ_RUNNING);
        return;
    }
    tq_count(&run->local->scheduled, 1);
    tq_schedule_submit(e, run->local, run->index, tq_word_after(word, TQ_RUNNING, TQ_PUT_OFF), due);
}

/* Behind what waits by now, or later, with the same id. */
static void requeue(struct trq_job *run)
{
    struct trq_engine *e = run->engine;
    uint32_t index = run->index;
    uint64_t word = tq_load(&run->job->word, relaxed);
    if (word & TQ_STOP_ASKED) {
        tq_settle_cancelled(run, TQ_RUNNING);
        return;
    }
    if (run->requeue.ns > 0) {
        put_off(run, run->requeue.ns);
        return;
    }
    /* Before the job is ready again, so that nothing can fail then. */
    if (!tq_fifo_reserve(&e->segments, &run->local->segments, 1) || !tq_settle_credit(run)) {
        tq_settle_drop(run);
        return;
    }
    uint64_t stamp = tq_stamp(e, run->local);
    if (run->word & TQ_QUEUE_LOCKED) {
        tq_settle_come_back(run, TQ_REQUEUED, stamp, false);
        return;
    }
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(run->job)];
    tq_store(&run->job->enqueued, stamp, relaxed);
    if (!tq_job_become_unless(run->job, TQ_RUNNING, TQ_REQUEUED, TQ_STOP_ASKED, &word)) {
        tq_settle_cancelled(run, TQ_RUNNING);
        return;
    }
    if (tq_publish(e, run->local, queue, &index, 1) == 0)
        tq_job_drop(e, run->local, index); /* the engine stops */
    else
        tq_notify(e, run->local);
}

/* ---- telling ------------------------------------------------------------------------------------------------ */

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

static void end(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran)
{
    struct tq_gone gone = {.begun = run->job->begun, .queue = tq_job_queue_number(run->job)};
    if (!tq_job_become(run->engine, run->job, TQ_RUNNING, reason_of[end], &gone.old))
        return;
    gone.note = tq_job_release(run->engine, run->local, run->index);
    tq_settle_tell(run, end, &gone, waited, ran);
}

void tq_settle_other(struct trq_job *run, enum trq_end how, int64_t waited, int64_t ran)
{
    if (how == TRQ_REQUEUED)
        requeue(run);
    else
        end(run, how, waited, ran);
}
