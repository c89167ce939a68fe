#include "engine/core/life.h"

void tq_job_tell(struct trq_engine *engine, struct tq_local *local, uint32_t note, uint64_t old,
                 const struct trq_event *event, const struct trq_error *error)
{
    if (note)
        tq_note_send(engine, local, note, event, error);
    if (old & TQ_WATCHED)
        tq_waiters_tell(engine, event);
}

void tq_job_drop(struct trq_engine *engine, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint64_t old;
    if (!tq_job_become(engine, job, TQ_ENDED_DROPPED, &old))
        return;
    const struct trq_event event = {
        .id = tq_job_id(engine, index, old),
        .worker = engine->registry.classes[job->worker]->text,
        .queue = engine->registry.queues[job->queue]->text,
        .outcome = TRQ_WAS_DROPPED,
        .attempts = job->begun,
    };
    struct tq_tally *tally = tq_local_tally(local, job->worker);
    tq_class_count(engine->registry.classes[job->worker], tally, TQ_COUNT_dropped, 1);
    tq_add(&engine->dropped, 1, release);
    uint32_t note = tq_job_release(engine, local, index);
    tq_job_tell(engine, local, note, old, &event, NULL);
}

struct tq_job *tq_job_by_id(const struct trq_engine *engine, struct trq_job_id id)
{
    uint32_t index = (uint32_t)id.slot;
    if (id.birth != engine->birth || index >= tq_load(&engine->jobs.carved, acquire))
        return NULL;
    return tq_job_at(engine, index);
}
