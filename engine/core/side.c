#include "engine/core/side.h"

#include <assert.h>

#include "engine/core/engine.h"
#include "engine/core/trail.h"

static inline __attribute__((always_inline)) int take_credits(struct trq_engine *e,
                                                              struct tq_local *local,
                                                              bool queue_lock, bool worker_lock,
                                                              struct tq_credits *out)
{
    *out = (struct tq_credits){TQ_NONE, TQ_NONE, TQ_NONE};
    if (queue_lock &&
        tq_slab_alloc(&e->queue_records, &local->queue_records, &out->queue_record) != TQ_SLAB_OK)
        return TRQ_ENOMEM;
    if (worker_lock && tq_slab_alloc(&e->worker_records, &local->worker_records,
                                     &out->worker_record) != TQ_SLAB_OK)
        goto no_worker_record;
    if (!(queue_lock || worker_lock) || tq_fifo_link_take(&e->links, &local->segments, &out->link))
        return 0;
    if (out->worker_record != TQ_NONE)
        tq_slab_free(&e->worker_records, &local->worker_records, out->worker_record);
no_worker_record:
    if (out->queue_record != TQ_NONE)
        tq_slab_free(&e->queue_records, &local->queue_records, out->queue_record);
    return TRQ_ENOMEM;
}

static inline __attribute__((always_inline)) void
give_credits(struct trq_engine *e, struct tq_local *local, const struct tq_credits *credits)
{
    if (credits->link != TQ_NONE)
        tq_fifo_link_free(&e->links, &local->segments, credits->link);
    if (credits->worker_record != TQ_NONE)
        tq_slab_free(&e->worker_records, &local->worker_records, credits->worker_record);
    if (credits->queue_record != TQ_NONE)
        tq_slab_free(&e->queue_records, &local->queue_records, credits->queue_record);
}

static struct tq_credits credits_of(const struct tq_side *side)
{
    return (struct tq_credits){side->queue_record, side->worker_record, side->link};
}

static void set_credits(struct tq_side *side, const struct tq_credits *credits)
{
    side->queue_record = credits->queue_record;
    side->worker_record = credits->worker_record;
    side->link = credits->link;
}

int tq_side_take(struct trq_engine *engine, struct tq_local *local, uint32_t job, uint32_t queue,
                 bool queue_lock, bool worker_lock, uint32_t *out_side)
{
    uint32_t at;
    struct tq_credits credits;
    if (tq_slab_alloc(&engine->sides, &local->sides, &at) != TQ_SLAB_OK)
        return TRQ_ENOMEM;
    if (take_credits(engine, local, queue_lock, worker_lock, &credits) < 0) {
        tq_slab_free(&engine->sides, &local->sides, at);
        return TRQ_ENOMEM;
    }
    struct tq_side *side = tq_side_at(engine, at);
    side->job = job;
    side->queue = queue;
    set_credits(side, &credits);
    side->order = 0;
    side->first = 0;
    side->space = NULL;
    side->key = NULL;
    tq_store(&side->note, 0, relaxed);
    tq_store(&side->trail, 0, relaxed);
    tq_store(&side->tie, TQ_UNTIED, relaxed);
    *out_side = at;
    return 0;
}

uint32_t tq_side_release(struct trq_engine *engine, struct tq_local *local, uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    uint32_t note = tq_load(&side->note, relaxed);
    assert(tq_load(&side->tie, relaxed) == TQ_UNTIED);
    if (TQ_UNLIKELY(tq_load(&side->trail, relaxed)))
        tq_trail_give(engine, local, side);
    const struct tq_credits credits = credits_of(side);
    give_credits(engine, local, &credits);
    tq_slab_free(&engine->sides, &local->sides, at);
    return note;
}

/* ---- of a dead job ---------------------------------------------------------------------------------------- */

int tq_credits_take(struct trq_engine *engine, struct tq_local *local, bool queue_lock,
                    bool worker_lock, struct tq_credits *out)
{
    return take_credits(engine, local, queue_lock, worker_lock, out);
}

void tq_credits_give(struct trq_engine *engine, struct tq_local *local,
                     const struct tq_credits *credits)
{
    give_credits(engine, local, credits);
}

void tq_side_rest(struct trq_engine *engine, struct tq_local *local, uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    const struct tq_credits credits = credits_of(side), none = {TQ_NONE, TQ_NONE, TQ_NONE};
    assert(tq_load(&side->tie, relaxed) == TQ_UNTIED);
    tq_store(&side->note, 0, relaxed);
    set_credits(side, &none);
    give_credits(engine, local, &credits);
}

void tq_side_rise(struct trq_engine *engine, uint32_t at, uint32_t job,
                  const struct tq_credits *credits)
{
    struct tq_side *side = tq_side_at(engine, at);
    side->job = job;
    side->order = 0;
    set_credits(side, credits);
}
