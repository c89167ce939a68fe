#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/memory.h"
#include "engine/sync/locktab.h"

/* ---- memory that fails from the k-th call on, or at it ------------------------------------------- */

struct heap {
    long calls, fail_at;
    bool fail_after; /* all later ones, too */
    long blocks;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    heap->calls++;
    if (heap->fail_at &&
        (heap->calls == heap->fail_at || (heap->fail_after && heap->calls > heap->fail_at)))
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, size) != 0)
        return NULL;
    memset(block, 0xa5, size); /* nobody may count on zeros */
    heap->blocks++;
    return block;
}

static void heap_free(void *context, void *block, size_t size)
{
    struct heap *heap = context;
    (void)size;
    heap->blocks--;
    free(block);
}

/* ---- a table and its records ---------------------------------------------------------------------- */

struct lock {
    struct tq_record record;
    uint32_t mark;
};

struct rig {
    struct heap heap, plenty; /* the table's, and the slab's that does not fail */
    struct tq_memory memory, slab_memory;
    struct tq_slab slab;
    struct tq_slab_cache cache;
    struct tq_locktab tab;
};

enum { LIMIT = 1 << 21 };

static bool try_open(struct rig *r)
{
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct lock),
        .align = 8,
        .chunk_objects = 4096,
        .magazine_objects = 32,
        .limit = LIMIT,
        .caches_max = 1,
    };
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    r->slab_memory = (struct tq_memory){heap_alloc, heap_free, &r->plenty};
    cr_assert(tq_slab_init(&r->slab, &r->slab_memory, &shape));
    cr_assert(tq_slab_attach(&r->slab, &r->cache));
    return tq_locktab_init(&r->tab, &r->memory, &r->slab);
}

static struct rig *rig_new(void)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    return r;
}

static struct rig *rig_open(void)
{
    struct rig *r = rig_new();
    cr_assert(try_open(r));
    return r;
}

static void rig_close(struct rig *r)
{
    tq_locktab_fini(&r->tab);
    tq_slab_fini(&r->slab);
    cr_assert_eq(r->heap.blocks, 0);
    cr_assert_eq(r->plenty.blocks, 0);
    free(r);
}

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

static struct tq_digest digest_of(uint64_t key)
{
    return (struct tq_digest){mixed(key + 1), mixed(key + 0x9e3779b97f4a7c15u)};
}

static struct lock *lock_at(const struct rig *r, uint32_t index)
{
    return tq_slab_at(&r->slab, index);
}

/* True: it was not there. As the engine does it: the record is had before the bucket is locked. */
static bool claim(struct rig *r, struct tq_digest digest, uint32_t mark)
{
    uint32_t fresh, index;
    cr_assert_eq(tq_slab_alloc(&r->slab, &r->cache, &fresh), TQ_SLAB_OK);
    struct tq_bucket *bucket = tq_locktab_lock(&r->tab, digest);
    const bool free = !tq_locktab_find(&r->tab, bucket, digest, &index);
    if (free) {
        tq_locktab_add(&r->tab, bucket, fresh, digest);
        lock_at(r, fresh)->mark = mark;
    }
    tq_locktab_unlock(&r->tab, bucket);
    if (free)
        tq_locktab_grow(&r->tab);
    else
        tq_slab_free(&r->slab, &r->cache, fresh);
    return free;
}

/* The mark, or TQ_NONE: it is not there. */
static uint32_t look(struct rig *r, struct tq_digest digest)
{
    uint32_t index = 12345, mark = TQ_NONE;
    struct tq_bucket *bucket = tq_locktab_lock(&r->tab, digest);
    struct tq_record *record = tq_locktab_find(&r->tab, bucket, digest, &index);
    if (record) {
        cr_assert_eq(record, tq_slab_at(&r->slab, index));
        mark = lock_at(r, index)->mark;
    } else {
        cr_assert_eq(index, 12345, "the output is untouched");
    }
    tq_locktab_unlock(&r->tab, bucket);
    return mark;
}

static bool drop(struct rig *r, struct tq_digest digest)
{
    uint32_t index = TQ_NONE;
    struct tq_bucket *bucket = tq_locktab_lock(&r->tab, digest);
    const bool there = tq_locktab_find(&r->tab, bucket, digest, &index) != NULL;
    if (there)
        tq_locktab_remove(&r->tab, bucket, index);
    tq_locktab_unlock(&r->tab, bucket);
    if (there)
        tq_slab_free(&r->slab, &r->cache, index);
    return there;
}

static uint32_t buckets(const struct rig *r)
{
    return tq_load(&r->tab.count, relaxed);
}

/* ---- contracts ------------------------------------------------------------------------------------- */

Test(locktab, a_new_one_is_good_and_empty)
{
    struct rig *r = rig_open();
    cr_assert(tq_locktab_check(&r->tab));
    cr_assert_eq(tq_locktab_count(&r->tab), 0);
    cr_assert_eq(buckets(r), 1024);
    cr_assert_eq(look(r, digest_of(1)), TQ_NONE);
    rig_close(r);
}

Test(locktab, what_was_added_is_found_until_it_is_removed)
{
    struct rig *r = rig_open();
    cr_assert(claim(r, digest_of(1), 7));
    cr_assert_not(claim(r, digest_of(1), 8));
    cr_assert_eq(look(r, digest_of(1)), 7);
    cr_assert_eq(look(r, digest_of(2)), TQ_NONE);
    cr_assert_eq(tq_locktab_count(&r->tab), 1);
    cr_assert(drop(r, digest_of(1)));
    cr_assert_not(drop(r, digest_of(1)));
    cr_assert_eq(look(r, digest_of(1)), TQ_NONE);
    cr_assert(claim(r, digest_of(1), 9));
    cr_assert_eq(look(r, digest_of(1)), 9);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

Test(locktab, digests_that_differ_in_one_bit_are_two)
{
    struct rig *r = rig_open();
    for (uint32_t bit = 0; bit < 128; bit++) {
        struct tq_digest digest = {0, 0};
        *(bit < 64 ? &digest.a : &digest.b) = UINT64_C(1) << bit % 64;
        cr_assert(claim(r, digest, bit));
    }
    cr_assert(claim(r, (struct tq_digest){0, 0}, 128));
    for (uint32_t bit = 0; bit < 128; bit++) {
        struct tq_digest digest = {0, 0};
        *(bit < 64 ? &digest.a : &digest.b) = UINT64_C(1) << bit % 64;
        cr_assert_eq(look(r, digest), bit);
    }
    cr_assert_eq(look(r, (struct tq_digest){0, 0}), 128);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

Test(locktab, from_a_long_chain_any_can_go)
{
    enum { CHAIN = 6 };
    static const uint32_t order[][CHAIN] = {
        {0, 1, 2, 3, 4, 5}, {5, 4, 3, 2, 1, 0}, {2, 3, 1, 4, 0, 5}, {0, 5, 1, 4, 2, 3}};
    struct rig *r = rig_open();
    for (unsigned o = 0; o < sizeof order / sizeof *order; o++) {
        for (uint32_t i = 0; i < CHAIN; i++)
            cr_assert(claim(r, (struct tq_digest){77, i}, i)); /* one bucket */
        for (uint32_t gone = 0; gone < CHAIN; gone++) {
            cr_assert(drop(r, (struct tq_digest){77, order[o][gone]}));
            for (uint32_t i = 0; i < CHAIN; i++)
                cr_assert_eq(look(r, (struct tq_digest){77, order[o][i]}),
                             i <= gone ? TQ_NONE : order[o][i]);
            cr_assert(tq_locktab_check(&r->tab));
        }
    }
    rig_close(r);
}

Test(locktab,
     every_count_of_buckets_gives_each_digest_one_place_and_a_split_moves_to_the_new_one_only)
{
    for (uint32_t count = 1; count < 3000; count++) {
        for (uint64_t key = 0; key < 200; key++) {
            struct tq_digest digest = digest_of(key);
            uint32_t before = tq_locktab_place_(count, digest);
            uint32_t after = tq_locktab_place_(count + 1, digest);
            cr_assert_lt(before, count);
            cr_assert(after == before || after == count);
            const uint32_t level = UINT32_C(1) << (31 - __builtin_clz(count));
            cr_assert(after == before || before == count - level, "only the bucket being split");
        }
    }
}

/* ---- the check finds what is wrong ----------------------------------------------------------------- */

Test(locktab, the_check_finds_what_is_wrong)
{
    struct rig *r = rig_open();
    for (uint64_t key = 0; key < 2000; key++)
        claim(r, digest_of(key), 0);
    cr_assert(tq_locktab_check(&r->tab));

    struct tq_bucket *bucket = tq_locktab_lock(&r->tab, digest_of(5));
    cr_assert_not(tq_locktab_check(&r->tab), "a held bucket");
    const uint32_t first = bucket->head - 1;
    tq_locktab_unlock(&r->tab, bucket);

    struct tq_record *record = tq_slab_at(&r->slab, first);
    const struct tq_record was = *record;
    record->digest.a ^= 1;
    cr_assert_not(tq_locktab_check(&r->tab), "a record in another's bucket");
    *record = was;
    record->next = first + 1;
    cr_assert_not(tq_locktab_check(&r->tab), "a circle");
    record->next = UINT32_MAX;
    cr_assert_not(tq_locktab_check(&r->tab), "an index that was never carved");
    *record = was;
    uint32_t twin;
    cr_assert_eq(tq_slab_alloc(&r->slab, &r->cache, &twin), TQ_SLAB_OK);
    tq_locktab_add(&r->tab, bucket, twin, digest_of(5));
    cr_assert_not(tq_locktab_check(&r->tab), "a digest twice");
    tq_locktab_remove(&r->tab, bucket, twin);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

/* ---- growth ---------------------------------------------------------------------------------------- */

Test(locktab, it_has_as_many_buckets_as_records_were_carved)
{
    struct rig *r = rig_open();
    uint64_t key = 0;
    for (uint32_t want = 1024; want < 50000; want += 777) {
        while (key < want) {
            cr_assert(claim(r, digest_of(key), (uint32_t)key));
            key++;
        }
        const uint32_t carved = tq_load(&r->slab.carved, relaxed);
        cr_assert(buckets(r) >= key && buckets(r) <= carved + 1);
    }
    cr_assert(tq_locktab_check(&r->tab));
    for (uint64_t i = 0; i < key; i++)
        cr_assert_eq(look(r, digest_of(i)), i);
    rig_close(r);
}

Test(locktab, a_million_records)
{
    enum { COUNT = 1000000 };
    struct rig *r = rig_open();
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert(claim(r, digest_of(i), i));
    cr_assert_eq(tq_locktab_count(&r->tab), COUNT);
    cr_assert(tq_locktab_check(&r->tab));
    cr_assert_geq(buckets(r), COUNT);
    uint32_t longest = 0;
    for (uint32_t i = 0; i < buckets(r); i++) {
        uint32_t length = 0;
        for (uint32_t at = tq_locktab_at_(&r->tab, i)->head; at; length++)
            at = ((struct tq_record *)tq_slab_at(&r->slab, at - 1))->next;
        longest = length > longest ? length : longest;
    }
    cr_assert_leq(longest, 16); /* of Poisson's law with a mean of 1, more once in 10^8 tables */
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert(drop(r, digest_of(i)));
    cr_assert_eq(tq_locktab_count(&r->tab), 0);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

/* ---- memory fails ---------------------------------------------------------------------------------- */

Test(locktab, without_memory_it_does_not_open)
{
    struct rig *r = rig_new();
    for (long k = 1;; k++) {
        memset(r, 0, sizeof *r);
        r->heap.fail_at = k;
        const bool opened = try_open(r);
        tq_locktab_fini(&r->tab);
        tq_slab_fini(&r->slab);
        cr_assert_eq(r->heap.blocks, 0);
        if (opened) {
            cr_assert_gt(k, 2);
            break;
        }
    }
    free(r);
}

Test(locktab, the_kth_allocation_fails_and_it_goes_on)
{
    enum { COUNT = 12000 };
    for (long k = 3; k < 12; k++) {
        struct rig *r = rig_open();
        r->heap.fail_at = k;
        for (uint32_t i = 0; i < COUNT; i++)
            cr_assert(claim(r, digest_of(i), i));
        for (uint32_t i = 0; i < COUNT; i++)
            cr_assert_eq(look(r, digest_of(i)), i);
        cr_assert(tq_locktab_check(&r->tab));
        cr_assert_geq(r->heap.calls, k);
        cr_assert_geq(buckets(r), COUNT - 2000, "it caught up");
        rig_close(r);
    }
}

Test(locktab, without_memory_chains_are_longer_and_when_there_is_some_it_grows)
{
    enum { COUNT = 8192 };
    struct rig *r = rig_open();
    r->heap.fail_at = r->heap.calls + 1;
    r->heap.fail_after = true;
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert(claim(r, digest_of(i), i));
    cr_assert_eq(buckets(r), 1024);
    cr_assert_leq(r->heap.calls - r->heap.fail_at, COUNT / 500, "it is not asked each time");
    cr_assert(tq_locktab_check(&r->tab));
    r->heap.fail_at = 0;
    for (uint32_t i = 0; i < COUNT; i++) { /* no new record is carved for these */
        cr_assert(drop(r, digest_of(i)));
        cr_assert(claim(r, digest_of(i), i));
    }
    cr_assert_geq(buckets(r), COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        cr_assert_eq(look(r, digest_of(i)), i);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

/* ---- a walk ----------------------------------------------------------------------------------------- */

enum { WALKED = 3000 };

struct walk {
    struct rig *r;
    uint32_t shown[WALKED + 64];
    uint32_t visits;
    bool remove_odd;
};

static void visit(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    struct walk *walk = arg;
    cr_assert_eq(record, tq_slab_at(&walk->r->slab, index));
    cr_assert(tq_mutex_is_held(&bucket->mutex));
    walk->shown[lock_at(walk->r, index)->mark]++;
    walk->visits++;
    if (walk->remove_odd && lock_at(walk->r, index)->mark % 2) {
        tq_locktab_remove(&walk->r->tab, bucket, index);
        tq_slab_free(&walk->r->slab, &walk->r->cache, index);
    }
}

Test(locktab, a_walk_shows_each_once_and_may_remove_it)
{
    struct rig *r = rig_open();
    static struct walk walk;
    walk.r = r;
    for (uint32_t i = 0; i < WALKED; i++)
        claim(r, digest_of(i), i);
    tq_locktab_walk(&r->tab, visit, &walk);
    for (uint32_t i = 0; i < WALKED; i++)
        cr_assert_eq(walk.shown[i], 1);
    walk.remove_odd = true;
    tq_locktab_walk(&r->tab, visit, &walk);
    cr_assert_eq(walk.visits, 2 * WALKED);
    for (uint32_t i = 0; i < WALKED; i++)
        cr_assert_eq(look(r, digest_of(i)), i % 2 ? TQ_NONE : i);
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

/* Another thread could split at any time, but for the bucket that the walk holds. */
static bool splits_soon(const struct tq_locktab *tab, uint32_t count,
                        const struct tq_bucket *bucket)
{
    for (uint32_t i = count; i < count + 32; i++)
        if (tq_locktab_at_(tab, i - (UINT32_C(1) << (31 - __builtin_clz(i)))) == bucket)
            return true;
    return false;
}

static void visit_and_grow(void *arg, struct tq_bucket *bucket, struct tq_record *record,
                           uint32_t index)
{
    struct walk *walk = arg;
    struct tq_locktab *tab = &walk->r->tab;
    const uint32_t count = tq_load(&tab->count, relaxed);
    visit(arg, bucket, record, index);
    if (count < WALKED - 32 && walk->visits % 16 == 0 && !splits_soon(tab, count, bucket))
        tq_locktab_grow(tab);
}

Test(locktab, a_walk_misses_nothing_while_it_grows)
{
    struct rig *r = rig_open();
    static struct walk walk;
    walk.r = r;
    r->heap.fail_at = r->heap.calls + 1;
    r->heap.fail_after = true;
    for (uint32_t i = 0; i < WALKED; i++)
        claim(r, digest_of(i), i);
    cr_assert_eq(buckets(r), 1024);
    r->heap.fail_at = 0;
    r->tab.patience = 0;
    tq_locktab_walk(&r->tab, visit_and_grow, &walk);
    cr_assert_geq(buckets(r), 2500);
    for (uint32_t i = 0; i < WALKED; i++)
        cr_assert_geq(walk.shown[i], 1);
    cr_assert_gt(walk.visits, WALKED, "some moved, and were shown twice");
    cr_assert(tq_locktab_check(&r->tab));
    rig_close(r);
}

/* ---- at random, against a list ---------------------------------------------------------------------- */

Test(locktab, at_random_it_does_what_a_list_does)
{
    enum { KEYS = 6000, STEPS = 400000 };
    static uint32_t model[KEYS]; /* the mark and one; 0: not there */
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    printf("# seed %u\n", seed);
    srand(seed);
    struct rig *r = rig_open();
    uint32_t present = 0;
    for (uint32_t step = 0; step < STEPS; step++) {
        /* Keys in pairs share a bucket for ever: chains that growth does not shorten. */
        const uint32_t key = (uint32_t)rand() % KEYS;
        struct tq_digest digest = digest_of(key / 2);
        digest.b += key % 2;
        const int fill = step / (STEPS / 4) % 2 ? 30 : 70; /* per cent of adds: it comes and goes */
        if (rand() % 100 < fill) {
            const bool added = claim(r, digest, step);
            cr_assert_eq(added, model[key] == 0, "seed %u", seed);
            if (added) {
                model[key] = step + 1;
                present++;
            }
        } else {
            cr_assert_eq(drop(r, digest), model[key] != 0, "seed %u", seed);
            present -= model[key] != 0;
            model[key] = 0;
        }
        cr_assert_eq(look(r, digest), model[key] - 1, "seed %u", seed);
        if (step % (STEPS / 20) == 0) {
            cr_assert(tq_locktab_check(&r->tab), "seed %u", seed);
            cr_assert_eq(tq_locktab_count(&r->tab), present, "seed %u", seed);
        }
    }
    rig_close(r);
}
