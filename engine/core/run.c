#include "engine/core/run.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/life.h"

static size_t state_offset(const struct tq_class *class)
{
    return (class->struct_size + 15u) & ~(size_t)15;
}

void *tq_run_scratch(struct tq_local *local, const struct tq_class *class)
{
    size_t size = state_offset(class) + class->state_size;
    if (TQ_LIKELY(local->scratch_size >= size))
        return local->scratch;
    const struct tq_memory *memory = &local->engine->memory;
    void *larger = tq_alloc_raw(memory, size, TQ_LINE);
    if (!larger)
        return NULL;
    tq_free(memory, local->scratch, local->scratch_size);
    local->scratch = larger;
    local->scratch_size = size;
    return larger;
}

/* needed and perform. */
static enum trq_end call_handler(struct trq_job *run)
{
    const struct tq_class *class = run->class;
    if (TQ_UNLIKELY(state_offset(class) + class->state_size > run->local->scratch_size) &&
        !tq_run_scratch(run->local, class))
        return trq_fail(run, "no memory for the inputs and state of a run");
    if (class->state_size) {
        run->has_state = true;
        memset((char *)run->local->scratch + state_offset(class), 0, class->state_size);
    }
    enum trq_end end = TRQ_SKIP;
    if (!class->needed || class->needed(run))
        end = class->perform(run);
    if (TQ_UNLIKELY((unsigned)end > TRQ_REQUEUED))
        end = trq_fail(run, "the handler returned %d, which is no end", (int)end);
    if (class->declared->state_drop)
        class->declared->state_drop(trq_job_state(run), run);
    return end;
}

void *trq_job_state(struct trq_job *run)
{
    return run && run->has_state ? (char *)run->local->scratch + state_offset(run->class) : NULL;
}

static const enum tq_reason reason_of[] = {
    [TRQ_DONE] = TQ_ENDED_DONE,   [TRQ_SKIP] = TQ_ENDED_SKIPPED,
    [TRQ_FAILED] = TQ_ENDED_DEAD, [TRQ_DISCARDED] = TQ_ENDED_DISCARDED,
    [TRQ_REQUEUED] = TQ_REQUEUED,
};
static const enum tq_counter counter_of[] = {
    [TRQ_DONE] = TQ_COUNT_done,         [TRQ_SKIP] = TQ_COUNT_skipped,
    [TRQ_FAILED] = TQ_COUNT_dead,       [TRQ_DISCARDED] = TQ_COUNT_discarded,
    [TRQ_REQUEUED] = TQ_COUNT_requeued,
};

static void time_run(struct trq_job *run, struct tq_tally *tally, int64_t waited, int64_t ran)
{
    struct tq_timings *timings = tq_load(&tally->hist, relaxed);
    if (!timings) {
        timings = tq_alloc(&run->engine->memory, sizeof *timings, TQ_LINE);
        if (!timings)
            return;                               /* a histogram is not worth a failure */
        tq_store(&tally->hist, timings, release); /* rel: pairs stats.c */
    }
    tq_hist_add(&timings->wait, waited);
    tq_hist_add(&timings->run, ran);
}

/* Behind what waits by now, with the same id. */
static void requeue(struct trq_job *run, uint64_t enqueued)
{
    struct trq_engine *e = run->engine;
    bool timed = enqueued & 1;
    int64_t now = timed ? tq_clock_mono(&e->clock) : tq_clock_coarse(&e->clock);
    tq_store(&run->job->enqueued, (uint64_t)now << 1 | timed, relaxed);
    uint32_t index = run->index;
    struct tq_queue *queue = e->registry.queues[run->job->queue];
    /* Before the job is ready again, so that nothing can fail then. */
    bool room = tq_fifo_reserve(&e->segments, &run->local->segments, 1);
    uint64_t word;
    if (!tq_job_become(e, run->job, TQ_REQUEUED, &word))
        return;
    if (!room || tq_publish(e, run->local, queue, &index, 1) == 0)
        tq_job_drop(e, run->local,
                    index); /* the engine stops, or has no memory for a queue to grow */
    else
        tq_notify(e, run->local);
}

/* Somebody wants to know how it ended. *event is begun; the slot may be another job's by now. */
static void tell(struct trq_job *run, enum trq_end end, struct trq_event *event, uint32_t note,
                 uint64_t old)
{
    const struct trq_error *error = NULL;
    event->id = tq_job_id(run->engine, run->index, run->word);
    event->worker = run->class->text;
    event->outcome = (enum trq_outcome)(reason_of[end] - TQ_ENDED_DONE);
    if (end == TRQ_FAILED || end == TRQ_DISCARDED) {
        error = &run->error;
        size_t n = strlen(error->text);
        event->result_size = (uint16_t)(n < TRQ_RESULT_MAX ? n : TRQ_RESULT_MAX);
        memcpy(event->result, error->text, event->result_size);
    } else {
        event->result_size = run->result_size;
        memcpy(event->result, run->result, run->result_size);
    }
    tq_job_tell(run->engine, run->local, note, old, event, error);
}

static void end_job(struct trq_job *run, enum trq_end end, int64_t waited, int64_t ran)
{
    uint16_t begun = run->job->begun;
    uint16_t queue = run->job->queue;
    uint64_t old;
    if (!tq_job_become(run->engine, run->job, reason_of[end], &old))
        return;
    uint32_t note = tq_job_release(run->engine, run->local, run->index);
    if (TQ_LIKELY(!note && !(old & TQ_WATCHED)))
        return;
    struct trq_event event = {
        .queue = run->engine->registry.queues[queue]->text,
        .attempts = begun,
        .waited = {waited > 0 ? waited : 0},
        .ran = {ran},
    };
    tell(run, end, &event, note, old);
}

void tq_run(struct trq_engine *engine, struct tq_local *local, struct tq_thread *thread,
            uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint64_t word;
    if (!tq_job_become(engine, job, TQ_STARTED, &word))
        return;
    struct trq_job run;
    run.engine = engine;
    run.local = local;
    run.class = engine->registry.classes[job->worker];
    run.job = job;
    run.inputs = tq_blocks_at(&engine->blocks, job);
    run.index = index;
    run.word = word;
    run.decoded = false;
    run.has_state = false;
    run.result_size = 0;
    run.error.code = 0;
    run.error.text[0] = '\0';

    uint64_t enqueued = tq_load(&job->enqueued, relaxed);
    bool timed = enqueued & 1;
    /* Most jobs do without a clock here. */
    run.started = TQ_UNLIKELY(timed) ? tq_clock_mono(&engine->clock)
                  : TQ_UNLIKELY(tq_load(&job->note, relaxed) || word & TQ_WATCHED)
                      ? tq_clock_coarse(&engine->clock)
                      : 0;
    tq_store(&thread->class, job->worker, relaxed);
    tq_store(&thread->running, (word >> 32) << 32 | index, release);
    if (TQ_LIKELY(job->begun < UINT16_MAX))
        job->begun++;
    struct tq_tally *tally = tq_local_tally(local, run.class->number);
    tq_class_count(run.class, tally, TQ_COUNT_started, 1);
    local->running = &run;
    enum trq_end end = call_handler(&run);
    local->running = NULL;

    int64_t waited = run.started ? run.started - (int64_t)(enqueued >> 1) : 0;
    int64_t ran = timed ? tq_clock_mono(&engine->clock) - run.started : 0;
    tq_class_count(run.class, tally, counter_of[end], 1);
    if (end == TRQ_FAILED)
        tq_class_count(run.class, tally, TQ_COUNT_failed, 1);
    if (timed && tally)
        time_run(&run, tally, waited, ran);
    if (TQ_UNLIKELY(end == TRQ_REQUEUED))
        requeue(&run, enqueued);
    else
        end_job(&run, end, waited, ran);
    tq_store(&thread->running, UINT64_MAX, relaxed); /* not before its end was told */
}
