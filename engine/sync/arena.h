/* Objects of one size, named by a 32-bit index, in chunks that never move and live until the end.
 *
 * What:    type-stable memory. Lock-free code may read an object that was given back: it is still an
 *          object of that type, and a generation in it tells that it is another one now.
 * Shape:   a table of chunk pointers; a chunk is taken when its first index is needed.
 * Invariant I1: a chunk pointer goes from NULL to its value once and never changes.
 * Progress: at: wait-free. ensure: lock-free but for the allocator.
 */
#ifndef TQ_SYNC_ARENA_H
#define TQ_SYNC_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"

struct tq_memory;

struct tq_arena {
    const struct tq_memory *memory;
    tq_aptr *chunks;
    uint32_t chunks_max;
    uint32_t object_size;
    uint32_t shift; /* objects in a chunk: 1 << shift */
    uint32_t align;
};

/* For indices below objects_max. align: of each object, and object_size is a multiple of it.
 * False: out of memory. */
bool tq_arena_init(struct tq_arena *arena, const struct tq_memory *memory, uint32_t object_size,
                   uint32_t align, uint32_t chunk_objects, uint64_t objects_max);
void tq_arena_fini(struct tq_arena *arena);

/* Make sure that the objects first .. first + count - 1 have memory. They are zeroed when they come. False: out of
 * memory. */
bool tq_arena_ensure(struct tq_arena *arena, uint32_t first, uint32_t count);

/* The index must have been ensured, and have reached this thread by an acquire of what the ensuring thread
 * released: so the relaxed load cannot see NULL. */
static inline void *tq_arena_at(const struct tq_arena *arena, uint32_t index)
{
    char *chunk = tq_load(&arena->chunks[index >> arena->shift], relaxed);
    return chunk + (uint64_t)(index & ((1u << arena->shift) - 1)) * arena->object_size;
}

/* The same where size and 1 << shift are constants known to the compiler, and those of the arena. */
static inline void *tq_arena_at_fixed(const struct tq_arena *arena, uint32_t index, uint32_t size,
                                      uint32_t shift)
{
    char *chunk = tq_load(&arena->chunks[index >> shift], relaxed);
    return chunk + (uint64_t)(index & ((1u << shift) - 1)) * size;
}

#endif
