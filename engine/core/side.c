#include "engine/core/side.h"

#include <assert.h>

#include "engine/core/engine.h"
#include "engine/core/trail.h"

int tq_side_take(struct trq_engine *engine, struct tq_local *local, uint32_t job, uint32_t queue,
                 bool queue_lock, bool worker_lock, uint32_t *out_side)
{
    uint32_t at, queue_record = TQ_NONE, worker_record = TQ_NONE, link = TQ_NONE;
    if (tq_slab_alloc(&engine->sides, &local->sides, &at) != TQ_SLAB_OK)
        return TRQ_ENOMEM;
    if (queue_lock &&
        tq_slab_alloc(&engine->queue_records, &local->queue_records, &queue_record) != TQ_SLAB_OK)
        goto no_queue_record;
    if (worker_lock && tq_slab_alloc(&engine->worker_records, &local->worker_records,
                                     &worker_record) != TQ_SLAB_OK)
        goto no_worker_record;
    if ((queue_lock || worker_lock) && !tq_fifo_link_take(&engine->links, &local->segments, &link))
        goto no_link;
    struct tq_side *side = tq_side_at(engine, at);
    side->job = job;
    side->queue = queue;
    side->queue_record = queue_record;
    side->worker_record = worker_record;
    side->link = link;
    side->order = 0;
    side->first = 0;
    side->space = NULL;
    side->key = NULL;
    tq_store(&side->note, 0, relaxed);
    tq_store(&side->trail, 0, relaxed);
    tq_store(&side->tie, TQ_UNTIED, relaxed);
    *out_side = at;
    return 0;
no_link:
    if (worker_record != TQ_NONE)
        tq_slab_free(&engine->worker_records, &local->worker_records, worker_record);
no_worker_record:
    if (queue_record != TQ_NONE)
        tq_slab_free(&engine->queue_records, &local->queue_records, queue_record);
no_queue_record:
    tq_slab_free(&engine->sides, &local->sides, at);
    return TRQ_ENOMEM;
}

uint32_t tq_side_release(struct trq_engine *engine, struct tq_local *local, uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    uint32_t note = tq_load(&side->note, relaxed);
    assert(tq_load(&side->tie, relaxed) == TQ_UNTIED);
    if (TQ_UNLIKELY(tq_load(&side->trail, relaxed)))
        tq_trail_give(engine, local, side);
    if (side->link != TQ_NONE)
        tq_fifo_link_free(&engine->links, &local->segments, side->link);
    if (side->worker_record != TQ_NONE)
        tq_slab_free(&engine->worker_records, &local->worker_records, side->worker_record);
    if (side->queue_record != TQ_NONE)
        tq_slab_free(&engine->queue_records, &local->queue_records, side->queue_record);
    tq_slab_free(&engine->sides, &local->sides, at);
    return note;
}
