#include "engine/sync/arena.h"

#include <assert.h>

#include "engine/base/memory.h"

static uint64_t chunk_size(const struct tq_arena *arena)
{
    return (uint64_t)arena->object_size << arena->shift;
}

bool tq_arena_init(struct tq_arena *arena, const struct tq_memory *memory, uint32_t object_size,
                   uint32_t align, uint32_t chunk_objects, uint64_t objects_max)
{
    assert(object_size % align == 0);
    assert((chunk_objects & (chunk_objects - 1)) == 0);
    uint32_t shift = (uint32_t)__builtin_ctz(chunk_objects);
    uint64_t chunks_max = (objects_max + chunk_objects - 1) >> shift;
    *arena = (struct tq_arena){
        .memory = memory,
        .chunks = tq_alloc(memory, chunks_max * sizeof *arena->chunks, sizeof(void *)),
        .chunks_max = (uint32_t)chunks_max,
        .object_size = object_size,
        .shift = shift,
        .align = align,
    };
    return arena->chunks != NULL;
}

void tq_arena_fini(struct tq_arena *arena)
{
    if (!arena->chunks)
        return;
    for (uint32_t i = 0; i < arena->chunks_max; i++)
        tq_free(arena->memory, tq_load(&arena->chunks[i], relaxed), chunk_size(arena));
    tq_free(arena->memory, arena->chunks, arena->chunks_max * sizeof *arena->chunks);
    arena->chunks = NULL;
}

static bool ensure_chunk(struct tq_arena *arena, uint32_t i)
{
    if (tq_load(&arena->chunks[i], acquire))
        return true;
    void *fresh = tq_alloc(arena->memory, chunk_size(arena), arena->align);
    if (!fresh)
        return false;
    void *none = NULL;
    if (!tq_cas(&arena->chunks[i], &none, fresh, acq_rel, acquire))
        tq_free(arena->memory, fresh, chunk_size(arena)); /* another thread was first */
    return true;
}

bool tq_arena_ensure(struct tq_arena *arena, uint32_t first, uint32_t count)
{
    uint32_t last = (first + count - 1) >> arena->shift;
    assert(last < arena->chunks_max);
    for (uint32_t i = first >> arena->shift; i <= last; i++)
        if (!ensure_chunk(arena, i))
            return false;
    return true;
}
