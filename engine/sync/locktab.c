#include "engine/sync/locktab.h"

#include <assert.h>
#include <string.h>

enum {
    PATIENCE = 1000, /* calls */
    SPLITS_MAX = 32  /* in one call: some microseconds */
};

/* Two for each record that was added, and more if it has fallen behind: nobody splits while who does has lost his
 * processor, and with more threads than processors that is most of the time. */
static uint32_t splits_now(uint32_t lacking)
{
    const uint32_t splits = 2 + lacking / 64;
    return splits < SPLITS_MAX ? splits : SPLITS_MAX;
}

bool tq_locktab_init(struct tq_locktab *tab, const struct tq_memory *memory,
                     const struct tq_slab *records)
{
    memset(tab, 0, sizeof *tab);
    assert(records->objects.object_size >= sizeof(struct tq_record));
    /* As many as objects can be carved, so that growth has no other end. */
    uint64_t most = (uint64_t)records->objects.chunks_max << records->objects.shift;
    if (most < TQ_LOCKTAB_CHUNK)
        most = TQ_LOCKTAB_CHUNK;
    tab->slab = records;
    if (!tq_arena_init(&tab->buckets, memory, sizeof(struct tq_bucket), sizeof(struct tq_bucket),
                       TQ_LOCKTAB_CHUNK, most))
        return false;
    if (!tq_arena_ensure(&tab->buckets, 0, TQ_LOCKTAB_CHUNK)) {
        tq_locktab_fini(tab);
        return false;
    }
    memset(tq_locktab_at_(tab, 0), 0, TQ_LOCKTAB_CHUNK * sizeof(struct tq_bucket));
    tq_store(&tab->count, TQ_LOCKTAB_CHUNK, relaxed);
    return true;
}

void tq_locktab_fini(struct tq_locktab *tab)
{
    tq_arena_fini(&tab->buckets);
}

void tq_locktab_remove_deep_(struct tq_locktab *tab, struct tq_bucket *bucket, uint32_t index)
{
    uint32_t *link = &bucket->head;
    while (*link != index + 1) {
        assert(*link); /* else it is not in this bucket */
        link = &((struct tq_record *)tq_slab_at(tab->slab, *link - 1))->next;
    }
    *link = ((struct tq_record *)tq_slab_at(tab->slab, index))->next;
}

/* ---- growth ----------------------------------------------------------------------------------------- */

/* Those of the old bucket's records that belong to the new one, in the order in which they stood. */
static void move_share(struct tq_locktab *tab, struct tq_bucket *old, struct tq_bucket *fresh,
                       uint32_t fresh_place)
{
    uint32_t *stay = &old->head;
    uint32_t *go = &fresh->head;
    for (uint32_t at = old->head; at;) {
        struct tq_record *record = tq_slab_at(tab->slab, at - 1);
        const bool goes = tq_locktab_place_(fresh_place + 1, record->digest) == fresh_place;
        uint32_t **end = goes ? &go : &stay;
        **end = at;
        *end = &record->next;
        at = record->next;
    }
    *stay = 0;
    *go = 0;
}

/* The caller holds `splitting`, so count is his. False: no memory. */
static bool split(struct tq_locktab *tab, uint32_t count)
{
    /* The allocator is asked before a bucket is held. */
    if (!tq_arena_ensure(&tab->buckets, count, 1))
        return false;
    struct tq_bucket *fresh = tq_locktab_at_(tab, count);
    const uint32_t level = UINT32_C(1) << (31 - __builtin_clz(count));
    struct tq_bucket *old = tq_locktab_at_(tab, count - level);
    tq_store(&fresh->mutex.word, 0, relaxed);
    tq_mutex_lock(&old->mutex);
    move_share(tab, old, fresh, count);
    tq_store(&tab->count, count + 1, release); /* rel: L2, L3, pairs tq_locktab_lock */
    tq_mutex_unlock(&old->mutex);
    return true;
}

void tq_locktab_grow_slow_(struct tq_locktab *tab)
{
    if (!tq_mutex_try_lock(&tab->splitting))
        return;
    if (tab->patience) {
        tab->patience--;
    } else {
        const uint32_t carved = tq_load(&tab->slab->carved, relaxed);
        uint32_t count = tq_load(&tab->count, relaxed);
        uint32_t left = carved > count ? splits_now(carved - count) : 0;
        for (; left && count < carved; left--, count++) {
            if (!split(tab, count)) {
                tab->patience = PATIENCE;
                break;
            }
        }
    }
    tq_mutex_unlock(&tab->splitting);
}

/* ---- all of it -------------------------------------------------------------------------------------- */

/* A split takes records from behind the walk, which has shown them, or from ahead of it, to the end, where it comes
 * to them. That it sees the end move: it locked the old bucket after the split did (L3). */
void tq_locktab_walk(struct tq_locktab *tab, tq_locktab_visit *fn, void *arg)
{
    for (uint32_t i = 0; i < tq_load(&tab->count, acquire); i++) { /* acq: L2 */
        struct tq_bucket *bucket = tq_locktab_at_(tab, i);
        tq_mutex_lock(&bucket->mutex);
        for (uint32_t at = bucket->head; at;) {
            struct tq_record *record = tq_slab_at(tab->slab, at - 1);
            const uint32_t index = at - 1;
            at = record->next;
            fn(arg, bucket, record, index);
        }
        tq_mutex_unlock(&bucket->mutex);
    }
}

static void count_one(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    (void)bucket;
    (void)record;
    (void)index;
    ++*(uint64_t *)arg;
}

uint64_t tq_locktab_count(struct tq_locktab *tab)
{
    uint64_t count = 0;
    tq_locktab_walk(tab, count_one, &count);
    return count;
}

/* All of one chain: no circle, each where it belongs, and none of the same digest behind it. */
static bool check_chain(const struct tq_locktab *tab, uint32_t count, uint32_t place,
                        uint64_t *records)
{
    const uint32_t carved = tq_load(&tab->slab->carved, relaxed);
    for (uint32_t at = tq_locktab_at_(tab, place)->head; at;) {
        if (at > carved || ++*records > carved)
            return false;
        const struct tq_record *record = tq_slab_at(tab->slab, at - 1);
        if (tq_locktab_place_(count, record->digest) != place)
            return false;
        at = record->next;
        uint32_t steps = 0;
        for (uint32_t other = at; other; steps++) {
            if (other > carved || steps > carved)
                return false;
            const struct tq_record *twin = tq_slab_at(tab->slab, other - 1);
            if (tq_digest_same(twin->digest, record->digest))
                return false;
            other = twin->next;
        }
    }
    return true;
}

bool tq_locktab_check(const struct tq_locktab *tab)
{
    const uint32_t count = tq_load(&tab->count, acquire);
    const uint32_t carved = tq_load(&tab->slab->carved, relaxed);
    uint64_t records = 0;
    if (count < TQ_LOCKTAB_CHUNK || (count > TQ_LOCKTAB_CHUNK && count > carved))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (tq_mutex_is_held(&tq_locktab_at_(tab, i)->mutex) ||
            !check_chain(tab, count, i, &records))
            return false;
    return !tq_mutex_is_held(&tab->splitting);
}
