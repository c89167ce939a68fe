#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/slab.h"

/* ---- memory that fails at the k-th call, and knows what is not given back ------------------------ */

struct heap {
    long calls, fail_at;
    long blocks;
    size_t bytes;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    if (++heap->calls == heap->fail_at)
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, size) != 0)
        return NULL;
    memset(block, 0xa5, size); /* nobody may count on zeros */
    heap->blocks++;
    heap->bytes += size;
    return block;
}

static void heap_free(void *context, void *block, size_t size)
{
    struct heap *heap = context;
    heap->blocks--;
    heap->bytes -= size;
    free(block);
}

/* ---- a slab with caches ------------------------------------------------------------------------- */

enum { CACHES_MAX = 64, OBJECTS_MAX = 8192 };

struct object {
    uint64_t user;
    uint64_t more[3];
};

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab slab;
    struct tq_slab_cache cache[CACHES_MAX];
    uint32_t caches;
    unsigned char seen[OBJECTS_MAX];
};

static bool try_open(struct rig *r, uint32_t limit, uint32_t magazine, uint32_t caches, bool exact)
{
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    r->caches = 0;
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct object),
        .align = 32,
        .chunk_objects = 16,
        .magazine_objects = magazine,
        .limit = limit,
        .caches_max = caches,
        .exact = exact,
    };
    if (!tq_slab_init(&r->slab, &r->memory, &shape))
        return false;
    while (r->caches < caches) {
        if (!tq_slab_attach(&r->slab, &r->cache[r->caches]))
            return false;
        r->caches++;
    }
    return true;
}

static struct rig *rig_open(uint32_t limit, uint32_t magazine, uint32_t caches, bool exact)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    cr_assert(try_open(r, limit, magazine, caches, exact));
    return r;
}

/* True if the structure's own check is content. */
static bool good(struct rig *r, uint32_t *out_free)
{
    const struct tq_slab_cache *caches[CACHES_MAX];
    for (uint32_t i = 0; i < r->caches; i++)
        caches[i] = &r->cache[i];
    memset(r->seen, 0, sizeof r->seen);
    return tq_slab_check(&r->slab, caches, r->caches, r->seen, out_free);
}

static void rig_close(struct rig *r)
{
    tq_slab_fini(&r->slab);
    cr_assert_eq(r->heap.blocks, 0);
    cr_assert_eq(r->heap.bytes, 0);
    free(r);
}

static uint32_t take(struct rig *r, uint32_t cache)
{
    uint32_t index = TQ_NONE;
    cr_assert_eq(tq_slab_alloc(&r->slab, &r->cache[cache], &index), TQ_SLAB_OK);
    return index;
}

static bool give(struct rig *r, uint32_t cache, uint32_t index)
{
    return tq_slab_free(&r->slab, &r->cache[cache], index);
}

static void must_be_good(struct rig *r, uint32_t used)
{
    uint32_t unused;
    cr_assert(good(r, &unused));
    cr_assert_eq(unused + used, tq_load(&r->slab.carved, relaxed));
}

/* ---- contracts ---------------------------------------------------------------------------------- */

Test(slab, a_new_one_is_good_and_nothing_in_it_is_carved)
{
    struct rig *r = rig_open(100, 8, 3, false);
    must_be_good(r, 0);
    cr_assert_eq(tq_load(&r->slab.carved, relaxed), 0);
    rig_close(r);
}

Test(slab, the_lowest_index_comes_first)
{
    struct rig *r = rig_open(100, 8, 1, false);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(take(r, 0), i);
    must_be_good(r, 100);
    rig_close(r);
}

Test(slab, objects_are_aligned_and_neither_overlap_nor_move)
{
    struct rig *r = rig_open(200, 7, 2, false);
    struct object *at[OBJECTS_MAX] = {NULL};
    for (uint32_t i = 0; i < 200; i++) {
        uint32_t index = take(r, i % 2);
        at[index] = tq_slab_at(&r->slab, index);
        cr_assert_eq((uintptr_t)at[index] % 32, 0);
        memset(at[index], (int)index, sizeof *at[index]);
    }
    for (uint32_t i = 0; i < tq_load(&r->slab.carved, relaxed); i++) {
        if (!at[i])
            continue;
        cr_assert_eq(tq_slab_at(&r->slab, i), at[i]);
        const unsigned char *byte = (const unsigned char *)at[i];
        for (size_t k = 0; k < sizeof *at[i]; k++)
            cr_assert_eq(byte[k], i);
    }
    rig_close(r);
}

Test(slab, a_new_object_is_zeroed)
{
    struct rig *r = rig_open(50, 4, 1, false);
    static const struct object zero;
    for (int i = 0; i < 50; i++)
        cr_assert_arr_eq(tq_slab_at(&r->slab, take(r, 0)), &zero, sizeof zero);
    rig_close(r);
}

Test(slab, a_used_object_keeps_what_its_last_user_left)
{
    struct rig *r = rig_open(50, 4, 1, false);
    uint32_t index = take(r, 0);
    ((struct object *)tq_slab_at(&r->slab, index))->user = 77;
    give(r, 0, index);
    cr_assert_eq(take(r, 0), index);
    cr_assert_eq(((struct object *)tq_slab_at(&r->slab, index))->user, 77);
    rig_close(r);
}

Test(slab, what_was_freed_last_is_alloced_first)
{
    struct rig *r = rig_open(50, 10, 1, false);
    uint32_t a = take(r, 0), b = take(r, 0), c = take(r, 0);
    give(r, 0, b);
    give(r, 0, a);
    give(r, 0, c);
    cr_assert_eq(take(r, 0), c);
    cr_assert_eq(take(r, 0), a);
    cr_assert_eq(take(r, 0), b);
    rig_close(r);
}

Test(slab, upcoming_names_what_alloc_gives)
{
    struct rig *r = rig_open(50, 5, 1, false);
    cr_assert_eq(tq_slab_upcoming(&r->cache[0], 0), TQ_NONE);
    take(r, 0);
    uint32_t next = tq_slab_upcoming(&r->cache[0], 0);
    uint32_t after = tq_slab_upcoming(&r->cache[0], 1);
    cr_assert_eq(tq_slab_upcoming(&r->cache[0], 4), TQ_NONE); /* four of five are left: 0 to 3 */
    cr_assert_eq(take(r, 0), next);
    cr_assert_eq(take(r, 0), after);
    rig_close(r);
}

Test(slab, an_exact_one_gives_its_limit_and_then_says_full)
{
    for (uint32_t limit = 1; limit <= 40; limit++) {
        struct rig *r = rig_open(limit, 1, 3, true);
        for (uint32_t i = 0; i < limit; i++)
            take(r, i % 3);
        uint32_t index = 12345;
        for (uint32_t c = 0; c < 3; c++)
            cr_assert_eq(tq_slab_alloc(&r->slab, &r->cache[c], &index), TQ_SLAB_FULL);
        cr_assert_eq(index, 12345, "the output is untouched");
        must_be_good(r, limit);
        rig_close(r);
    }
}

Test(slab, an_exact_one_gives_to_any_cache_what_any_other_freed)
{
    struct rig *r = rig_open(20, 1, 5, true);
    for (uint32_t i = 0; i < 20; i++)
        take(r, 0);
    for (uint32_t i = 0; i < 20; i++) {
        cr_assert(give(r, 1 + i % 4, i), "others can get it at once");
        cr_assert_eq(take(r, (i + 3) % 5), i);
    }
    must_be_good(r, 20);
    rig_close(r);
}

Test(slab, no_alloc_fails_below_the_limit_whatever_other_caches_keep)
{
    enum { LIMIT = 60, MAGAZINE = 5, CACHES = 6 };
    struct rig *r = rig_open(LIMIT, MAGAZINE, CACHES, false);
    uint32_t held[OBJECTS_MAX];
    /* All are alloc'd through one cache and freed through another, which so keeps what it may. */
    for (uint32_t round = 0; round < 4 * CACHES; round++) {
        for (uint32_t i = 0; i < LIMIT; i++)
            held[i] = take(r, round % CACHES);
        for (uint32_t i = 0; i < LIMIT; i++)
            give(r, (round + 1) % CACHES, held[i]);
        must_be_good(r, 0);
    }
    cr_assert(tq_load(&r->slab.carved, relaxed) <= LIMIT + 2 * MAGAZINE * CACHES);
    rig_close(r);
}

Test(slab, one_that_is_full_goes_on_when_something_is_freed)
{
    struct rig *r = rig_open(10, 4, 2, false);
    uint32_t count = 0, index, last = 0;
    while (tq_slab_alloc(&r->slab, &r->cache[0], &index) == TQ_SLAB_OK) {
        last = index;
        count++;
    }
    cr_assert_eq(count, 10 + 2 * 2 * 4, "the limit, and what two caches may keep");
    cr_assert_eq(tq_slab_alloc(&r->slab, &r->cache[0], &index), TQ_SLAB_FULL);
    give(r, 0, last);
    cr_assert_eq(take(r, 0), last);
    must_be_good(r, count);
    rig_close(r);
}

Test(slab, free_says_when_objects_went_where_others_get_them)
{
    enum { MAGAZINE = 4 };
    struct rig *r = rig_open(100, MAGAZINE, 2, false);
    uint32_t held[3 * MAGAZINE + 1];
    for (uint32_t i = 0; i < 3 * MAGAZINE + 1; i++)
        held[i] = take(r, 0);
    /* Two magazines fit into the cache; the next object sends one of them to the depot. */
    for (uint32_t i = 0; i < 3 * MAGAZINE + 1; i++)
        cr_assert_eq(give(r, 1, held[i]), i == 2 * MAGAZINE || i == 3 * MAGAZINE, "at %u", i);
    must_be_good(r, 0);
    rig_close(r);
}

Test(slab, objects_freed_on_another_cache_come_back_and_nothing_is_carved_for_them)
{
    struct rig *r = rig_open(1000, 10, 2, false);
    for (int round = 0; round < 200; round++) {
        uint32_t held[100];
        for (int i = 0; i < 100; i++)
            held[i] = take(r, 0);
        for (int i = 0; i < 100; i++)
            give(r, 1, held[i]);
    }
    cr_assert(tq_load(&r->slab.carved, relaxed) <= 100 + 2 * 2 * 10);
    must_be_good(r, 0);
    rig_close(r);
}

Test(slab, after_it_has_grown_it_asks_for_no_memory)
{
    struct rig *r = rig_open(500, 8, 4, false);
    uint32_t held[500];
    long calls = 0;
    for (int round = 0; round < 50; round++) {
        for (uint32_t i = 0; i < 500; i++)
            held[i] = take(r, i % 4);
        for (uint32_t i = 0; i < 500; i++)
            give(r, (i + 1) % 4, held[i]);
        if (round == 10)
            calls = r->heap.calls;
    }
    cr_assert_eq(r->heap.calls, calls);
    rig_close(r);
}

/* ---- attach, detach ----------------------------------------------------------------------------- */

Test(slab, an_attach_raises_the_limit_by_what_the_cache_may_keep_and_a_detach_lowers_it)
{
    struct rig *r = rig_open(10, 6, 4, false);
    cr_assert_eq(tq_load(&r->slab.limit, relaxed), 10 + 4 * 2 * 6);
    tq_slab_detach(&r->slab, &r->cache[3]);
    cr_assert_eq(tq_load(&r->slab.limit, relaxed), 10 + 3 * 2 * 6);
    cr_assert_null(r->cache[3].loaded);
    must_be_good(r, 0);
    rig_close(r);
}

Test(slab, the_limit_of_an_exact_one_does_not_depend_on_its_caches)
{
    struct rig *r = rig_open(10, 1, 4, true);
    cr_assert_eq(tq_load(&r->slab.limit, relaxed), 10);
    tq_slab_detach(&r->slab, &r->cache[0]);
    cr_assert_eq(tq_load(&r->slab.limit, relaxed), 10);
    rig_close(r);
}

Test(slab, a_detached_caches_magazines_serve_the_next_attach)
{
    struct rig *r = rig_open(100, 6, 8, false);
    uint32_t magazines = tq_load(&r->slab.magazines_carved, relaxed);
    for (int i = 0; i < 10000; i++) {
        uint32_t c = (uint32_t)i % 8;
        tq_slab_detach(&r->slab, &r->cache[c]);
        must_be_good(r, 0);
        cr_assert(tq_slab_attach(&r->slab, &r->cache[c]));
    }
    cr_assert_eq(tq_load(&r->slab.magazines_carved, relaxed), magazines);
    must_be_good(r, 0);
    rig_close(r);
}

Test(slab, a_detached_caches_magazines_serve_what_is_carved_next)
{
    struct rig *r = rig_open(12, 6, 8, false);
    uint32_t magazines = tq_load(&r->slab.magazines_carved, relaxed);
    tq_slab_detach(&r->slab, &r->cache[7]);
    for (int i = 0; i < 12; i++)
        take(r, 0);
    cr_assert_eq(tq_load(&r->slab.magazines_carved, relaxed), magazines);
    must_be_good(r, 12);
    rig_close(r);
}

Test(slab, many_caches_share_one)
{
    struct rig *r = rig_open(500, 3, CACHES_MAX, false);
    uint32_t held[500];
    for (int round = 0; round < 20; round++) {
        for (uint32_t i = 0; i < 500; i++)
            held[i] = take(r, i * 7 % CACHES_MAX);
        must_be_good(r, 500);
        for (uint32_t i = 0; i < 500; i++)
            give(r, i * 11 % CACHES_MAX, held[i]);
        must_be_good(r, 0);
    }
    rig_close(r);
}

/* ---- memory fails ------------------------------------------------------------------------------- */

/* False: an allocation failed, and what there is has been found good. */
static bool live_once(struct rig *r, bool exact)
{
    enum { COUNT = 60 };
    bool opened = try_open(r, COUNT, exact ? 1 : 4, 3, exact);
    for (uint32_t i = 0; opened && i < COUNT; i++) {
        uint32_t index = 12345;
        enum tq_slab_result result = tq_slab_alloc(&r->slab, &r->cache[i % 3], &index);
        if (result == TQ_SLAB_OK)
            continue;
        cr_assert_eq(result, TQ_SLAB_NOMEM);
        cr_assert_eq(index, 12345);
        must_be_good(r, i);
        /* Memory is there again: as if nothing had been. */
        for (; i < COUNT; i++)
            take(r, i % 3);
        must_be_good(r, COUNT);
        return false;
    }
    return opened;
}

static void fail_each(bool exact)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    bool done = false;
    long k = 0;
    while (!done) {
        memset(r, 0, sizeof *r);
        r->heap.fail_at = ++k;
        done = live_once(r, exact);
        tq_slab_fini(&r->slab);
        cr_assert_eq(r->heap.blocks, 0, "call %ld failed", k);
        cr_assert_eq(r->heap.bytes, 0, "call %ld failed", k);
    }
    cr_assert(k > 5);
    free(r);
}

Test(slab, the_kth_allocation_fails_and_nothing_is_lost)
{
    fail_each(false);
}

Test(slab, the_kth_allocation_of_an_exact_one_fails_and_nothing_is_lost)
{
    fail_each(true);
}

Test(slab, an_attach_that_fails_leaves_the_cache_as_it_is)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    cr_assert(try_open(r, 10, 4, 0, false));
    r->heap.fail_at = r->heap.calls + 1;
    struct tq_slab_cache cache = {0};
    cr_assert_not(tq_slab_attach(&r->slab, &cache));
    cr_assert_null(cache.loaded);
    cr_assert_null(cache.spare);
    cr_assert_eq(tq_load(&r->slab.limit, relaxed), 10);
    must_be_good(r, 0);
    rig_close(r);
}

/* ---- a slab that grows to its limit ------------------------------------------------------------- */

static struct rig *race;
static int acts;

/* What others do while the first cache asks for memory: the third takes the object that was never used; and while it
 * asks for memory itself, the second frees one. */
static void *meanwhile(void *context, size_t size, size_t align)
{
    if (acts++ == 0)
        cr_assert_eq(take(race, 2), tq_load(&race->slab.limit, relaxed) - 1);
    else
        give(race, 1, 0);
    return heap_alloc(context, size, align);
}

Test(slab, what_came_back_before_the_last_object_was_carved_is_found)
{
    enum { MAGAZINES_A_CHUNK = 64 };
    const uint32_t limit =
        MAGAZINES_A_CHUNK - 3 * 3 + 1; /* the last needs another chunk of magazines */
    struct rig *r = race = rig_open(limit, 1, 3, true);
    for (uint32_t i = 0; i < limit - 1; i++)
        take(r, 0);
    cr_assert_eq(tq_load(&r->slab.magazines_carved, relaxed), MAGAZINES_A_CHUNK);
    r->memory.alloc = meanwhile;
    cr_assert_eq(take(r, 0), 0, "there is room: %u are in use", limit - 1);
    cr_assert_eq(acts, 2);
    must_be_good(r, limit);
    rig_close(r);
}

/* ---- against a model ---------------------------------------------------------------------------- */

static uint64_t state;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % n;
}

static void random_run(uint32_t limit, uint32_t magazine, uint32_t caches, bool exact, int steps)
{
    struct rig *r = rig_open(limit, magazine, caches, exact);
    static bool used[OBJECTS_MAX];
    static uint32_t held[OBJECTS_MAX];
    memset(used, 0, sizeof used);
    uint32_t count = 0;
    const uint32_t most = exact ? limit : limit + 2 * magazine * caches;
    for (int i = 0; i < steps; i++) {
        const bool more = below(100) < (i / 500 % 2 ? 30 : 70);
        if (more) {
            uint32_t index;
            enum tq_slab_result result = tq_slab_alloc(&r->slab, &r->cache[below(caches)], &index);
            if (result == TQ_SLAB_FULL) {
                cr_assert(count >= limit);
                continue;
            }
            cr_assert_eq(result, TQ_SLAB_OK);
            cr_assert(index < most && !used[index]);
            used[index] = true;
            held[count++] = index;
            cr_assert(count <= most);
        } else if (count) {
            uint32_t k = below(count);
            used[held[k]] = false;
            give(r, below(caches), held[k]);
            held[k] = held[--count];
        }
        if (i % 97 == 0)
            must_be_good(r, count);
    }
    must_be_good(r, count);
    rig_close(r);
}

Test(slab, random_use_agrees_with_a_naive_model)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    for (int round = 0; round < 60; round++) {
        const uint64_t seed = state;
        const bool exact = below(3) == 0;
        const uint32_t limit = 1 + below(400);
        const uint32_t magazine = exact ? 1 : 1 + below(TQ_MAGAZINE_MAX);
        const uint32_t caches = 1 + below(12);
        fprintf(stderr, "round %d, state 0x%llx: limit %u, magazine %u, caches %u\n", round,
                (unsigned long long)seed, limit, magazine, caches);
        random_run(limit, magazine, caches, exact, 4000);
    }
}

/* ---- damage ------------------------------------------------------------------------------------- */

/* Objects in the caches, in the depot, and in use; empty magazines in the depot. */
static struct rig *lived_in(void)
{
    struct rig *r = rig_open(100, 4, 3, false);
    uint32_t held[40];
    for (int i = 0; i < 40; i++)
        held[i] = take(r, 0);
    for (int i = 0; i < 22; i++)
        give(r, 1, held[i]);
    for (int i = 22; i < 25; i++)
        give(r, 2, held[i]);
    must_be_good(r, 15);
    cr_assert_neq((uint32_t)tq_load(&r->slab.full, relaxed), 0);
    cr_assert_neq((uint32_t)tq_load(&r->slab.empty, relaxed), 0);
    return r;
}

static struct tq_magazine *first_of(struct rig *r, tq_a64 *top)
{
    return tq_arena_at(&r->slab.magazines, (uint32_t)tq_load(top, relaxed) - 1);
}

static void must_be_bad(struct rig *r)
{
    uint32_t unused;
    cr_assert_not(good(r, &unused));
    rig_close(r);
}

Test(slab, check_sees_an_index_twice_in_a_magazine)
{
    struct rig *r = lived_in();
    struct tq_magazine *m = r->cache[2].loaded;
    m->object[0] = m->object[1];
    must_be_bad(r);
}

Test(slab, check_sees_an_index_in_a_cache_and_in_the_depot)
{
    struct rig *r = lived_in();
    r->cache[2].loaded->object[0] = first_of(r, &r->slab.full)->object[0];
    must_be_bad(r);
}

Test(slab, check_sees_an_index_that_was_never_carved)
{
    struct rig *r = lived_in();
    r->cache[2].loaded->object[0] = tq_load(&r->slab.carved, relaxed);
    must_be_bad(r);
}

Test(slab, check_sees_a_magazine_that_holds_more_than_it_can)
{
    struct rig *r = lived_in();
    r->cache[2].spare->count = r->slab.capacity + 1;
    must_be_bad(r);
}

Test(slab, check_sees_that_a_magazine_is_lost)
{
    struct rig *r = lived_in();
    struct tq_magazine *m = first_of(r, &r->slab.empty);
    tq_store(&r->slab.empty, tq_load(&m->next, relaxed), relaxed);
    must_be_bad(r);
}

Test(slab, check_sees_a_circle_of_empty_magazines)
{
    struct rig *r = lived_in();
    struct tq_magazine *m = first_of(r, &r->slab.empty);
    tq_store(&m->next, m->name, relaxed);
    must_be_bad(r);
}

Test(slab, check_sees_a_circle_of_full_magazines)
{
    struct rig *r = lived_in();
    struct tq_magazine *m = first_of(r, &r->slab.full);
    tq_store(&m->next, m->name, relaxed);
    must_be_bad(r);
}

Test(slab, check_sees_a_full_magazine_among_the_empty)
{
    struct rig *r = lived_in();
    struct tq_magazine *m = first_of(r, &r->slab.empty);
    m->object[0] = 39; /* in use: a free index it would be */
    m->count = 1;
    must_be_bad(r);
}

Test(slab, check_sees_an_empty_magazine_among_the_full)
{
    struct rig *r = lived_in();
    first_of(r, &r->slab.full)->count = 0;
    must_be_bad(r);
}

Test(slab, check_sees_a_magazine_under_another_name)
{
    struct rig *r = lived_in();
    first_of(r, &r->slab.full)->name++;
    must_be_bad(r);
}

Test(slab, check_sees_a_magazine_in_two_caches)
{
    struct rig *r = lived_in();
    r->cache[1].loaded = r->cache[2].loaded;
    must_be_bad(r);
}
