#include "engine/core/local.h"

#include <assert.h>

#include "engine/core/engine.h"

static bool attach(struct tq_local *local)
{
    struct trq_engine *e = local->engine;
    struct {
        struct tq_slab *slab;
        struct tq_slab_cache *cache;
    } const shares[] = {
        {&e->jobs, &local->jobs},
        {&e->notes, &local->notes},
        {&e->segments, &local->segments.slab},
        {&e->links, &local->segments.links},
        {&e->sides, &local->sides},
        {&e->trails, &local->trails},
        {&e->slips, &local->slips},
        {&e->queue_records, &local->queue_records},
        {&e->worker_records, &local->worker_records},
        {&e->house.chunks, &local->chunks},
    };
    size_t count = sizeof shares / sizeof *shares, made = 0;
    while (made < count && tq_slab_attach(shares[made].slab, shares[made].cache))
        made++;
    if (made == count && tq_blocks_attach(&e->blocks, &local->blocks)) {
        tq_fifo_cache_init(&local->segments);
        tq_inbox_init(&local->inbox);
        return true;
    }
    while (made--)
        tq_slab_detach(shares[made].slab, shares[made].cache);
    return false;
}

/* One that a thread left behind. */
static struct tq_local *adopt(struct trq_engine *engine)
{
    struct tq_local *local = tq_load(&engine->locals, acquire);
    for (; local; local = tq_load(&local->older, relaxed)) {
        uint32_t nobody = 0;
        if (!tq_load(&local->taken, relaxed) &&
            tq_cas(&local->taken, &nobody, 1, acquire, relaxed)) /* acq: pairs release */
            return local;
    }
    return NULL;
}

static struct tq_local *create(struct trq_engine *engine)
{
    if (tq_add(&engine->locals_count, 1, relaxed) >= TQ_LOCALS_MAX)
        goto too_many;
    struct tq_local *local = tq_alloc(&engine->memory, sizeof *local, TQ_LINE);
    if (!local)
        goto too_many;
    local->engine = engine;
    tq_store(&local->taken, 1, relaxed);
    if (!attach(local)) {
        tq_free(&engine->memory, local, sizeof *local);
        goto too_many;
    }
    ck_epoch_register(&engine->epoch, &local->epoch, NULL);
    void *older = tq_load(&engine->locals, relaxed);
    do
        tq_store(&local->older, older, relaxed);
    while (
        !tq_cas(&engine->locals, &older, local, seq_cst, relaxed)); /* before B1 of sync/alarm.h */
    return local;
too_many:
    tq_sub(&engine->locals_count, 1, relaxed);
    return NULL;
}

struct tq_local *tq_local_reserve(struct trq_engine *engine)
{
    struct tq_local *local = adopt(engine);
    if (!local)
        local = create(engine);
    if (local) {
        local->running = NULL;
        local->thread = -1;
        local->sample_in = 1;
    }
    return local;
}

struct tq_local *tq_local_make(struct trq_engine *engine)
{
    struct tq_local *local = tq_local_reserve(engine);
    if (local && pthread_setspecific(engine->key, local) != 0) {
        tq_local_release(local);
        return NULL;
    }
    return local;
}

/* What its magazines hold stays in them for the thread that comes next: the slabs' limits allow for it. */
void tq_local_release(struct tq_local *local)
{
    tq_store(&local->taken, 0, release); /* rel: pairs adopt */
}

struct tq_tally *tq_local_tally_make(struct tq_local *local, uint32_t class)
{
    struct tq_tally *chunk =
        tq_alloc(&local->engine->memory, TQ_TALLY_CHUNK * sizeof *chunk, TQ_LINE);
    if (!chunk)
        return NULL;
    tq_store(&local->tallies[class / TQ_TALLY_CHUNK], chunk, release); /* rel: pairs stats.c */
    return &chunk[class % TQ_TALLY_CHUNK];
}

static void free_tallies(struct tq_local *local)
{
    const struct tq_memory *memory = &local->engine->memory;
    for (int i = 0; i < TQ_CLASSES_MAX / TQ_TALLY_CHUNK; i++) {
        struct tq_tally *chunk = tq_load(&local->tallies[i], relaxed);
        for (int k = 0; chunk && k < TQ_TALLY_CHUNK; k++)
            tq_free(memory, tq_load(&chunk[k].hist, relaxed), sizeof(struct tq_timings));
        tq_free(memory, chunk, TQ_TALLY_CHUNK * sizeof *chunk);
    }
}

void tq_locals_destroy(struct trq_engine *engine)
{
    struct tq_local *local = tq_load(&engine->locals, acquire);
    while (local) {
        struct tq_local *older = tq_load(&local->older, relaxed);
        free_tallies(local);
        tq_free(&engine->memory, local->scratch, local->scratch_size);
        tq_free(&engine->memory, local, sizeof *local);
        local = older;
    }
}
