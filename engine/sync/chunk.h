/* chunk: the 128 bytes of which lists are made whose length nobody knows beforehand (wheel, inbox).
 *
 * One slab gives them to all lists, so that memory which one of them no longer needs serves the others. Two cache
 * lines, because the processor fetches neighbouring lines together. */
#ifndef TQ_SYNC_CHUNK_H
#define TQ_SYNC_CHUNK_H

#include "engine/sync/slab.h"

enum {
    TQ_CHUNK_SIZE = 128,
    TQ_CHUNKS_SHIFT = 10, /* the slab's own blocks have 1 << 10 of them */
    TQ_CHUNKS_IN_MAGAZINE = 16
};

/* A slab of at most `limit` chunks, used through at most `caches_max` caches. False: out of memory. */
static inline bool tq_chunks_init(struct tq_slab *slab, const struct tq_memory *memory,
                                  uint32_t limit, uint32_t caches_max)
{
    const struct tq_slab_shape shape = {
        .object_size = TQ_CHUNK_SIZE,
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_CHUNKS_SHIFT,
        .magazine_objects = TQ_CHUNKS_IN_MAGAZINE,
        .limit = limit,
        .caches_max = caches_max,
    };
    return tq_slab_init(slab, memory, &shape);
}

static inline void *tq_chunk_at(const struct tq_slab *slab, uint32_t index)
{
    return tq_arena_at_fixed(&slab->objects, index, TQ_CHUNK_SIZE, TQ_CHUNKS_SHIFT);
}

#endif
