/* slab: allocation of same-sized objects by index, through a magazine per thread.
 *
 * What.    An object is alloc'd by one thread (a producer) and freed by another (a worker), some ten million
 *          times a second. Threads therefore keep small arrays of free indices, *magazines*, for themselves and
 *          exchange whole ones through two lock-free stacks, the *depot*.
 *
 *              thread: loaded [i i i . . .]  spare [. . . . . .]
 *                          |  full ones   ^                          carved: the first index that was
 *                          v              |  empty ones              never used; below `limit`
 *              depot:  full -> M -> M     empty -> M -> M
 *
 *          When a thread has none and the depot is bare, new objects are carved from the arena.
 *
 * Invariants
 *   I1  A free index is in exactly one magazine; a used one in none.
 *   I2  A magazine is in exactly one of: a thread's cache (at most 3, one of them on its way to or from the
 *       depot), `full`, `empty`.
 *   I3  There are at least as many magazines as carvings plus 3 for each cache. So a thread that frees and needs an empty
 *       magazine finds one: if there were none, every magazine outside caches would be full, and then no object
 *       could be in the hand of the one who frees. Freeing never fails and never allocates.
 *   I4  In an exact slab (small bounds) a cache keeps no free index between calls: `limit` objects can be
 *       alloc'd, no matter which threads freed. Otherwise each cache raises the limit by what it may keep, so
 *       that no allocation fails while less than the original limit are in use.
 *
 * Ordering
 *   | publishing                        | observing                        | what becomes visible            |
 *   | O1 push: CAS of the top, release  | pop: load and CAS of top, acquire| the magazine's indices, and all |
 *   |                                   |                                  | that was done with the objects  |
 *   | O2 carve: CAS of `carved`         | the arena's own                  | the chunk                       |
 *   The tops carry a 32-bit tag that each change raises: a pop that read `next` of a magazine which went and
 *   came back fails (ABA), unless exactly 2^32 changes happened in between.
 *
 * Linearisation point: the CAS on the depot or on `carved`; within a magazine there is one thread only.
 *
 * Progress: lock-free but for the allocator, which is asked while the slab grows, never after.
 *
 * Rejected: one tagged free list (12 ns an object instead of 2, and all threads meet on one line); chains of
 *   objects instead of arrays of indices (each alloc must read a line that another core wrote to find the
 *   next: no prefetching); malloc (60 to 100 ns from producer to worker).
 *
 * Source: Bonwick and Adams, "Magazines and Vmem", USENIX 2001.
 */
#ifndef TQ_SYNC_SLAB_H
#define TQ_SYNC_SLAB_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/arena.h"
#include "engine/sync/line.h"

#define TQ_NONE UINT32_MAX

enum { TQ_MAGAZINE_MAX = 62 };

struct tq_magazine {
    tq_a32 next;   /* in the depot: index + 1 of the one below */
    uint32_t name; /* its own index + 1 */
    uint32_t count;
    uint32_t object[TQ_MAGAZINE_MAX]; /* as many as the slab's magazines hold */
};

struct tq_slab {
    struct tq_arena objects;
    struct tq_arena magazines;
    uint32_t capacity; /* of a magazine */
    bool exact;
    TQ_ON_LINE tq_a64 full;  /* (tag, magazine index + 1) */
    TQ_ON_LINE tq_a64 empty; /* likewise */
    TQ_ON_LINE tq_a32 carved;
    tq_a32 limit;
    tq_a32 magazines_carved;
    tq_a32 ahead; /* magazines beyond those that I3 asks for */
};

/* One thread's share, after tq_slab_attach. */
struct tq_slab_cache {
    struct tq_magazine *loaded;
    struct tq_magazine *spare;
};

struct tq_slab_shape {
    uint32_t object_size;
    uint32_t align;
    uint32_t chunk_objects; /* power of two */
    uint32_t magazine_objects;
    uint32_t limit;
    uint32_t caches_max;
    bool exact;
};

/* False: out of memory. */
bool tq_slab_init(struct tq_slab *slab, const struct tq_memory *memory,
                  const struct tq_slab_shape *shape);
void tq_slab_fini(struct tq_slab *slab);

/* Take part. False: out of memory, the cache stays as it is. At most caches_max at one time. */
bool tq_slab_attach(struct tq_slab *slab, struct tq_slab_cache *cache);
/* Take no part after all: its magazines, empty still, go to the depot. (A cache that was used stays attached and is
 * handed to another thread: half-filled magazines in the depot would break I3.) */
void tq_slab_detach(struct tq_slab *slab, struct tq_slab_cache *cache);

enum tq_slab_result { TQ_SLAB_OK, TQ_SLAB_FULL, TQ_SLAB_NOMEM };

/* A new object is zeroed when it is carved and then keeps what its last user left in it. */
enum tq_slab_result tq_slab_alloc_slow(struct tq_slab *slab, struct tq_slab_cache *cache,
                                       uint32_t *out_index);
/* True: objects went to the depot, where others can get them. */
bool tq_slab_free_slow(struct tq_slab *slab, struct tq_slab_cache *cache, uint32_t index);

static inline void *tq_slab_at(const struct tq_slab *slab, uint32_t index)
{
    return tq_arena_at(&slab->objects, index);
}

static inline enum tq_slab_result tq_slab_alloc(struct tq_slab *slab, struct tq_slab_cache *cache,
                                                uint32_t *out_index)
{
    struct tq_magazine *m = cache->loaded;
    if (TQ_LIKELY(m->count)) {
        *out_index = m->object[--m->count];
        return TQ_SLAB_OK;
    }
    return tq_slab_alloc_slow(slab, cache, out_index);
}

static inline bool tq_slab_free(struct tq_slab *slab, struct tq_slab_cache *cache, uint32_t index)
{
    struct tq_magazine *m = cache->loaded;
    if (TQ_LIKELY(m->count < slab->capacity && !slab->exact)) {
        m->object[m->count++] = index;
        return false;
    }
    return tq_slab_free_slow(slab, cache, index);
}

/* The index that the next but `ahead` alloc of this thread will give, to warm its line; or TQ_NONE. */
static inline uint32_t tq_slab_upcoming(const struct tq_slab_cache *cache, uint32_t ahead)
{
    const struct tq_magazine *m = cache->loaded;
    return m->count > ahead ? m->object[m->count - 1 - ahead] : TQ_NONE;
}

/* Quiescent: no index is free twice, and all that is free was carved. Returns how many are free in the depot;
 * seen: carved bytes, zeroed, of the caller. False: an invariant is broken. */
bool tq_slab_check(const struct tq_slab *slab, const struct tq_slab_cache *const *caches,
                   uint32_t caches_count, unsigned char *seen, uint32_t *out_free);

#endif
