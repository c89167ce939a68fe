#include "engine/sync/slab.h"

#include <assert.h>
#include <string.h>

#include "engine/base/memory.h"

static uint64_t word_of(uint64_t old, uint32_t plus_one)
{
    return ((old >> 32) + 1) << 32 | plus_one;
}

static struct tq_magazine *magazine_at(const struct tq_slab *slab, uint32_t name)
{
    return tq_arena_at(&slab->magazines, name - 1);
}

static void push(tq_a64 *top, struct tq_magazine *m)
{
    uint64_t old = tq_load(top, relaxed);
    do
        tq_store(&m->next, (uint32_t)old, relaxed);
    while (!tq_cas(top, &old, word_of(old, m->name), release, relaxed)); /* rel: O1, pairs pop */
}

/* NULL: bare. */
static struct tq_magazine *pop(struct tq_slab *slab, tq_a64 *top)
{
    uint64_t old = tq_load(top, acquire); /* acq: O1, pairs push */
    while ((uint32_t)old) {
        /* The magazine may have been popped and filled anew by now: then `next` is nonsense and the tag
         * makes the CAS fail. */
        struct tq_magazine *m = magazine_at(slab, (uint32_t)old);
        uint32_t next = tq_load(&m->next, relaxed);
        if (tq_cas(top, &old, word_of(old, next), acquire, acquire)) /* acq: O1 */
            return m;
    }
    return NULL;
}

bool tq_slab_init(struct tq_slab *slab, const struct tq_memory *memory,
                  const struct tq_slab_shape *shape)
{
    assert(shape->magazine_objects >= 1 && shape->magazine_objects <= TQ_MAGAZINE_MAX);
    assert(!shape->exact || shape->magazine_objects == 1); /* I4: a carving leaves nothing behind */
    memset(slab, 0, sizeof *slab);
    slab->capacity = shape->magazine_objects;
    slab->exact = shape->exact;
    tq_store(&slab->limit, shape->limit, relaxed);

    uint64_t kept = shape->exact ? 0 : 2ull * slab->capacity * shape->caches_max;
    uint64_t objects_max = shape->limit + kept;
    /* For each cache: three (I3), one for a carving cut short by the limit, which every attach raises, and one made
     * ahead for a carving that then fails. */
    uint64_t magazines_max = objects_max / slab->capacity + 2 + 5ull * shape->caches_max;
    uint32_t magazine_size =
        (uint32_t)(offsetof(struct tq_magazine, object) + slab->capacity * sizeof(uint32_t));
    return tq_arena_init(&slab->objects, memory, shape->object_size, shape->align,
                         shape->chunk_objects, objects_max) &&
           tq_arena_init(&slab->magazines, memory, (magazine_size + 7) & ~7u, 8, 64, magazines_max);
}

void tq_slab_fini(struct tq_slab *slab)
{
    tq_arena_fini(&slab->objects);
    tq_arena_fini(&slab->magazines);
}

/* A magazine that never was; NULL: out of memory. */
static struct tq_magazine *new_magazine(struct tq_slab *slab)
{
    uint32_t i = tq_load(&slab->magazines_carved, relaxed);
    do
        if (!tq_arena_ensure(&slab->magazines, i, 1))
            return NULL;
    while (!tq_cas(&slab->magazines_carved, &i, i + 1, relaxed, relaxed));
    struct tq_magazine *m = magazine_at(slab, i + 1);
    tq_store(&m->next, 0, relaxed);
    m->name = i + 1;
    m->count = 0;
    return m;
}

/* There is one more than I3 asks for, from a carving that failed or a cache that was detached: use it up. */
static bool take_ahead(struct tq_slab *slab)
{
    uint32_t ahead = tq_load(&slab->ahead, relaxed);
    while (ahead)
        if (tq_cas(&slab->ahead, &ahead, ahead - 1, relaxed, relaxed))
            return true;
    return false;
}

/* An attach brings three magazines of its own (I3), it does not take them from those who are there. */
bool tq_slab_attach(struct tq_slab *slab, struct tq_slab_cache *cache)
{
    struct tq_magazine *three[3];
    for (int i = 0; i < 3; i++) {
        three[i] = take_ahead(slab) ? pop(slab, &slab->empty) : NULL;
        if (!three[i])
            three[i] = new_magazine(slab);
        if (three[i])
            continue;
        tq_add(&slab->ahead, (uint32_t)i, relaxed);
        while (i--)
            push(&slab->empty, three[i]);
        return false;
    }
    cache->loaded = three[0];
    cache->spare = three[1];
    push(&slab->empty, three[2]);
    if (!slab->exact)
        tq_add(&slab->limit, 2 * slab->capacity, relaxed); /* I4 */
    return true;
}

void tq_slab_detach(struct tq_slab *slab, struct tq_slab_cache *cache)
{
    assert(cache->loaded->count == 0);
    assert(cache->spare->count == 0);
    push(&slab->empty, cache->loaded);
    push(&slab->empty, cache->spare);
    tq_add(&slab->ahead, 3, relaxed);
    if (!slab->exact)
        tq_sub(&slab->limit, 2 * slab->capacity, relaxed);
    *cache = (struct tq_slab_cache){0};
}

/* Objects that never were, into an empty magazine. */
static enum tq_slab_result carve(struct tq_slab *slab, struct tq_slab_cache *cache)
{
    uint32_t first = tq_load(&slab->carved, relaxed);
    uint32_t count;
    do {
        uint32_t limit = tq_load(&slab->limit, relaxed);
        count = limit > first ? limit - first : 0;
        if (count > slab->capacity)
            count = slab->capacity;
        if (!count)
            return TQ_SLAB_FULL;
        if (!tq_arena_ensure(&slab->objects, first, count))
            return TQ_SLAB_NOMEM;
        /* rel: who reads `carved` with acquire may look at any object below it, which is zeroed. */
    } while (!tq_cas(&slab->carved, &first, first + count, acq_rel, relaxed));
    struct tq_magazine *m = cache->loaded;
    for (uint32_t i = 0; i < count; i++)
        m->object[count - 1 - i] = first + i; /* the lowest first */
    m->count = count;
    return TQ_SLAB_OK;
}

/* I3: the magazine of a carving is had before the objects, so that the carving cannot fail half-way. */
static enum tq_slab_result grow(struct tq_slab *slab, struct tq_slab_cache *cache)
{
    if (tq_load(&slab->carved, relaxed) >= tq_load(&slab->limit, relaxed))
        return TQ_SLAB_FULL;
    if (!take_ahead(slab)) {
        struct tq_magazine *magazine = new_magazine(slab);
        if (!magazine)
            return TQ_SLAB_NOMEM;
        push(&slab->empty, magazine);
    }
    enum tq_slab_result r = carve(slab, cache);
    if (r != TQ_SLAB_OK)
        tq_add(&slab->ahead, 1, relaxed);
    return r;
}

static void swap_both(struct tq_slab_cache *cache)
{
    struct tq_magazine *loaded = cache->loaded;
    cache->loaded = cache->spare;
    cache->spare = loaded;
}

enum tq_slab_result tq_slab_alloc_slow(struct tq_slab *slab, struct tq_slab_cache *cache,
                                       uint32_t *out_index)
{
    if (cache->loaded->count == 0)
        swap_both(cache);
    struct tq_magazine *m = cache->loaded;
    if (m->count == 0) {
        struct tq_magazine *full = pop(slab, &slab->full);
        enum tq_slab_result r = full ? TQ_SLAB_OK : grow(slab, cache);
        /* I4: something may have come back before another thread carved the last object. */
        if (r == TQ_SLAB_FULL && (full = pop(slab, &slab->full)))
            r = TQ_SLAB_OK;
        if (r != TQ_SLAB_OK)
            return r;
        if (full) {
            push(&slab->empty, cache->loaded);
            cache->loaded = full;
        }
        m = cache->loaded;
    }
    *out_index = m->object[--m->count];
    return TQ_SLAB_OK;
}

bool tq_slab_free_slow(struct tq_slab *slab, struct tq_slab_cache *cache, uint32_t index)
{
    bool shared = false;
    if (cache->loaded->count == slab->capacity)
        swap_both(cache);
    if (cache->loaded->count == slab->capacity) {
        push(&slab->full, cache->loaded);
        cache->loaded = pop(slab, &slab->empty);
        assert(cache->loaded); /* I3 */
        shared = true;
    }
    struct tq_magazine *m = cache->loaded;
    m->object[m->count++] = index;
    if (slab->exact) { /* I4: a magazine of one, and it is full */
        struct tq_magazine *empty = pop(slab, &slab->empty);
        assert(empty); /* I3 */
        push(&slab->full, cache->loaded);
        cache->loaded = empty;
        shared = true;
    }
    return shared;
}

static bool check_magazine(const struct tq_slab *slab, const struct tq_magazine *m,
                           unsigned char *seen, uint32_t *free_count)
{
    if (m->count > slab->capacity)
        return false;
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->object[i] >= tq_load(&slab->carved, relaxed) || seen[m->object[i]]++)
            return false;
        ++*free_count;
    }
    return true;
}

/* `full` holds full ones, or (after a carving that the limit cut short) at least not empty ones. */
static bool check_stack(const struct tq_slab *slab, const tq_a64 *top, bool empty,
                        unsigned char *seen, uint32_t *free_count, uint32_t *magazines)
{
    uint32_t at = (uint32_t)tq_load(top, acquire);
    while (at) {
        const struct tq_magazine *m = magazine_at(slab, at);
        if (++*magazines > tq_load(&slab->magazines_carved, relaxed) || m->name != at ||
            empty != (m->count == 0) || !check_magazine(slab, m, seen, free_count))
            return false;
        at = tq_load(&m->next, relaxed);
    }
    return true;
}

bool tq_slab_check(const struct tq_slab *slab, const struct tq_slab_cache *const *caches,
                   uint32_t caches_count, unsigned char *seen, uint32_t *out_free)
{
    uint32_t magazines = 0;
    *out_free = 0;
    if (!check_stack(slab, &slab->empty, true, seen, out_free, &magazines) ||
        !check_stack(slab, &slab->full, false, seen, out_free, &magazines))
        return false;
    for (uint32_t i = 0; i < caches_count; i++) {
        if (!caches[i]->loaded)
            continue;
        magazines += 2;
        if (!check_magazine(slab, caches[i]->loaded, seen, out_free) ||
            !check_magazine(slab, caches[i]->spare, seen, out_free))
            return false;
    }
    return magazines == tq_load(&slab->magazines_carved, relaxed); /* I2 */
}
