#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/ready.h"

/* ---- memory that fails at the k-th call, and knows what is not given back ------------------------ */

struct heap {
    long calls, fail_at;
    long blocks;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    if (++heap->calls == heap->fail_at)
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, size) != 0)
        return NULL;
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

/* ---- fifos under one ready ---------------------------------------------------------------------- */

enum { RANKS_MAX = 70 };

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab segments, links;
    struct tq_fifo_cache cache;
    uint32_t count;
    struct tq_fifo fifo[RANKS_MAX];
    struct tq_ready *ready;
};

/* All closed, as they are made. */
static struct rig *rig_closed(const int32_t *weights, uint32_t count)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    r->count = count;
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = 1000,
        .caches_max = 1,
    };
    cr_assert(tq_slab_init(&r->segments, &r->memory, &shape));
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = _Alignof(struct tq_link),
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = 4,
        .limit = 1000,
        .caches_max = 1,
    };
    cr_assert(tq_slab_init(&r->links, &r->memory, &links));
    cr_assert(tq_slab_attach(&r->segments, &r->cache.slab));
    cr_assert(tq_slab_attach(&r->links, &r->cache.links));
    tq_fifo_cache_init(&r->cache);
    struct tq_fifo *fifos[RANKS_MAX];
    for (uint32_t i = 0; i < count; i++) {
        fifos[i] = &r->fifo[i];
        cr_assert(tq_fifo_init(fifos[i], &r->segments, &r->links, &r->cache));
    }
    r->ready = tq_ready_create(&r->memory, fifos, weights, count);
    cr_assert_not_null(r->ready);
    return r;
}

static struct rig *rig_open(const int32_t *weights, uint32_t count)
{
    struct rig *r = rig_closed(weights, count);
    for (uint32_t i = 0; i < count; i++)
        tq_ready_open(r->ready, i, true);
    return r;
}

/* Each rank its own weight. */
static struct rig *rig_strict(uint32_t count)
{
    int32_t weights[RANKS_MAX];
    for (uint32_t i = 0; i < count; i++)
        weights[i] = 100 - (int32_t)i;
    return rig_open(weights, count);
}

static struct rig *rig_equal(uint32_t count)
{
    static const int32_t weights[RANKS_MAX];
    return rig_open(weights, count);
}

static void rig_close(struct rig *r)
{
    cr_assert(tq_ready_check(r->ready));
    tq_ready_destroy(&r->memory, r->ready);
    tq_slab_fini(&r->links);
    tq_slab_fini(&r->segments);
    cr_assert_eq(r->heap.blocks, 0);
    free(r);
}

static void put(struct rig *r, uint32_t rank, uint32_t item)
{
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
    cr_assert_eq(tq_fifo_push_one(&r->fifo[rank], &r->cache, item), 1);
    tq_ready_mark(r->ready, rank);
}

static bool look(struct rig *r, bool thorough, struct tq_taken *out)
{
    return tq_ready_take(r->ready, &r->cache, thorough, out);
}

static void must_give(struct rig *r, uint32_t rank, uint32_t item)
{
    struct tq_taken taken;
    cr_assert(look(r, false, &taken));
    cr_assert_eq(taken.rank, rank, "rank %u, not %u", taken.rank, rank);
    cr_assert_eq(taken.item, item);
    cr_assert_not(taken.wake);
}

static void must_be_bare(struct rig *r)
{
    struct tq_taken taken = {.item = 5};
    cr_assert_not(look(r, true, &taken));
    cr_assert_eq(taken.item, TQ_NONE);
    cr_assert_not(taken.wake);
    cr_assert_not(tq_ready_any(r->ready));
    cr_assert_not(tq_ready_glance(r->ready));
    cr_assert(tq_ready_check(r->ready));
}

/* ---- order -------------------------------------------------------------------------------------- */

Test(ready, without_fifos_there_is_nothing)
{
    struct rig *r = rig_open(NULL, 0);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, a_new_one_has_nothing_for_any_number_of_fifos)
{
    for (uint32_t count = 1; count <= RANKS_MAX; count++) {
        struct rig *r = rig_strict(count);
        must_be_bare(r);
        rig_close(r);
    }
}

Test(ready, what_was_put_is_found_at_any_rank)
{
    for (uint32_t count = 1; count <= RANKS_MAX; count += 3) {
        struct rig *r = rig_strict(count);
        for (uint32_t rank = 0; rank < count; rank++) {
            put(r, rank, 1000 + rank);
            must_give(r, rank, 1000 + rank);
            must_be_bare(r);
        }
        rig_close(r);
    }
}

Test(ready, a_higher_rank_comes_first_whenever_it_was_put)
{
    struct rig *r = rig_strict(3);
    put(r, 2, 20);
    put(r, 2, 21);
    put(r, 1, 10);
    must_give(r, 1, 10);
    must_give(r, 2, 20);
    put(r, 0, 0);
    put(r, 1, 11);
    must_give(r, 0, 0);
    must_give(r, 1, 11);
    must_give(r, 2, 21);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, ranks_are_strict_over_several_words)
{
    struct rig *r = rig_strict(RANKS_MAX);
    for (uint32_t rank = RANKS_MAX; rank-- > 0;)
        put(r, rank, rank);
    for (uint32_t rank = 0; rank < RANKS_MAX; rank++)
        must_give(r, rank, rank);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, one_fifo_gives_in_its_order)
{
    struct rig *r = rig_strict(2);
    for (uint32_t i = 0; i < 1000; i++)
        put(r, 1, i);
    for (uint32_t i = 0; i < 1000; i++)
        must_give(r, 1, i);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, equals_take_turns)
{
    for (uint32_t count = 2; count <= RANKS_MAX; count += 4) {
        struct rig *r = rig_equal(count);
        for (uint32_t i = 0; i < 5; i++)
            for (uint32_t rank = 0; rank < count; rank++)
                put(r, rank, i);
        for (uint32_t i = 0; i < 5; i++)
            for (uint32_t rank = 0; rank < count; rank++)
                must_give(r, rank, i);
        must_be_bare(r);
        rig_close(r);
    }
}

Test(ready, the_turn_passes_over_equals_that_have_nothing)
{
    struct rig *r = rig_equal(40);
    for (uint32_t i = 0; i < 3; i++) {
        put(r, 3, i);
        put(r, 17, i);
        put(r, 39, i);
    }
    for (uint32_t i = 0; i < 3; i++) {
        must_give(r, 3, i);
        must_give(r, 17, i);
        must_give(r, 39, i);
    }
    must_be_bare(r);
    rig_close(r);
}

Test(ready, a_long_backlog_of_one_equal_does_not_hold_up_the_other)
{
    struct rig *r = rig_equal(2);
    for (uint32_t i = 0; i < 500; i++)
        put(r, 0, i);
    must_give(r, 0, 0);
    put(r, 1, 7);
    must_give(r, 1, 7);
    for (uint32_t i = 1; i < 500; i++)
        must_give(r, 0, i);
    rig_close(r);
}

Test(ready, turns_are_taken_within_each_weight)
{
    static const int32_t weights[] = {9, 5, 5, 5, 2, 1, 1};
    struct rig *r = rig_open(weights, 7);
    for (uint32_t i = 0; i < 2; i++)
        for (uint32_t rank = 7; rank-- > 0;)
            put(r, rank, i);
    static const uint32_t order[] = {0, 0, 1, 2, 3, 1, 2, 3, 4, 4, 5, 6, 5, 6};
    for (size_t k = 0; k < sizeof order / sizeof *order; k++) {
        struct tq_taken taken;
        cr_assert(look(r, false, &taken));
        cr_assert_eq(taken.rank, order[k], "take %zu is of rank %u", k, taken.rank);
    }
    must_be_bare(r);
    rig_close(r);
}

Test(ready, upcoming_is_an_item_of_the_same_fifo)
{
    struct rig *r = rig_strict(2);
    put(r, 0, 5);
    for (uint32_t i = 0; i <= TQ_FIFO_AHEAD; i++)
        put(r, 1, 6 + i);
    struct tq_taken taken;
    cr_assert(look(r, false, &taken));
    cr_assert_eq(taken.upcoming, TQ_NONE);
    cr_assert(look(r, false, &taken));
    cr_assert_eq(taken.item, 6);
    cr_assert_eq(taken.upcoming, 6 + TQ_FIFO_AHEAD);
    rig_close(r);
}

/* ---- put back ----------------------------------------------------------------------------------- */

static void put_back(struct rig *r, const struct tq_taken *taken)
{
    uint32_t link = taken->link;
    if (link == TQ_NONE)
        cr_assert(tq_fifo_link_take(&r->links, &r->cache, &link));
    tq_fifo_put(&r->fifo[taken->rank], &r->cache, link, taken->place, taken->item);
    tq_ready_mark(r->ready, taken->rank);
}

Test(ready, what_was_put_back_is_seen_as_what_was_pushed)
{
    struct rig *r = rig_strict(RANKS_MAX);
    for (uint32_t rank = 0; rank < RANKS_MAX; rank++) {
        struct tq_taken taken;
        put(r, rank, 5);
        cr_assert(look(r, true, &taken));
        must_be_bare(r);
        put_back(r, &taken);
        cr_assert(tq_ready_any(r->ready));
        cr_assert(tq_ready_glance(r->ready));
        cr_assert(tq_ready_check(r->ready));
        must_give(r, rank, 5);
        must_be_bare(r);
    }
    rig_close(r);
}

Test(ready, what_was_put_back_comes_before_what_was_pushed_and_after_higher_ranks)
{
    struct rig *r = rig_strict(3);
    struct tq_taken first, second;
    for (uint32_t i = 0; i < 4; i++)
        put(r, 1, i);
    cr_assert(look(r, false, &first));
    cr_assert(look(r, false, &second));
    put_back(r, &second);
    put(r, 2, 20);
    put(r, 0, 0);
    put_back(r, &first);
    must_give(r, 0, 0);
    for (uint32_t i = 0; i < 4; i++)
        must_give(r, 1, i);
    must_give(r, 2, 20);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, check_sees_a_put_without_a_mark)
{
    struct rig *r = rig_strict(3);
    struct tq_taken taken;
    put(r, 1, 5);
    cr_assert(look(r, true, &taken));
    must_be_bare(r);
    uint32_t link;
    cr_assert(tq_fifo_link_take(&r->links, &r->cache, &link));
    tq_fifo_put(&r->fifo[1], &r->cache, link, taken.place, taken.item);
    cr_assert_not(tq_ready_check(r->ready));
    tq_ready_mark(r->ready, 1);
    rig_close(r);
}

/* ---- open, close -------------------------------------------------------------------------------- */

Test(ready, all_are_closed_at_first)
{
    static const int32_t weights[20];
    struct rig *r = rig_closed(weights, 20);
    for (uint32_t rank = 0; rank < 20; rank++)
        put(r, rank, rank);
    must_be_bare(r);
    for (uint32_t rank = 0; rank < 20; rank++) {
        tq_ready_open(r->ready, rank, true);
        must_give(r, rank, rank);
    }
    rig_close(r);
}

Test(ready, a_closed_fifo_keeps_what_it_has_until_it_is_opened)
{
    struct rig *r = rig_strict(30);
    put(r, 20, 1);
    put(r, 25, 2);
    tq_ready_open(r->ready, 20, false);
    put(r, 20, 3);
    must_give(r, 25, 2);
    must_be_bare(r);
    tq_ready_open(r->ready, 20, true);
    cr_assert(tq_ready_any(r->ready));
    cr_assert(tq_ready_glance(r->ready));
    must_give(r, 20, 1);
    must_give(r, 20, 3);
    must_be_bare(r);
    rig_close(r);
}

Test(ready, a_closed_equal_has_no_turn)
{
    struct rig *r = rig_equal(3);
    for (uint32_t i = 0; i < 3; i++)
        for (uint32_t rank = 0; rank < 3; rank++)
            put(r, rank, i);
    tq_ready_open(r->ready, 1, false);
    for (uint32_t i = 0; i < 3; i++) {
        must_give(r, 0, i);
        must_give(r, 2, i);
    }
    must_be_bare(r);
    rig_close(r);
}

Test(ready, to_open_or_close_one_leaves_its_neighbours)
{
    struct rig *r = rig_strict(34);
    for (uint32_t rank = 0; rank < 34; rank++)
        put(r, rank, rank);
    for (uint32_t rank = 0; rank < 34; rank += 2)
        tq_ready_open(r->ready, rank, false);
    for (uint32_t rank = 1; rank < 34; rank += 2)
        must_give(r, rank, rank);
    must_be_bare(r);
    for (uint32_t rank = 0; rank < 34; rank += 2)
        tq_ready_open(r->ready, rank, true);
    for (uint32_t rank = 0; rank < 34; rank += 2)
        must_give(r, rank, rank);
    rig_close(r);
}

/* ---- hints -------------------------------------------------------------------------------------- */

static uint64_t word_of(struct rig *r, uint32_t rank)
{
    return tq_load(&r->ready->word[rank / TQ_READY_RANKS_PER_WORD], relaxed);
}

static uint64_t hint(uint32_t rank)
{
    return (uint64_t)1 << rank % TQ_READY_RANKS_PER_WORD;
}

static uint64_t doubt(uint32_t rank)
{
    return hint(rank) << 16;
}

Test(ready, any_and_glance_see_what_was_put)
{
    struct rig *r = rig_strict(RANKS_MAX);
    for (uint32_t rank = 0; rank < RANKS_MAX; rank++) {
        put(r, rank, 1);
        cr_assert(tq_ready_any(r->ready));
        cr_assert(tq_ready_glance(r->ready));
        must_give(r, rank, 1);
        must_be_bare(r);
    }
    rig_close(r);
}

Test(ready, a_glance_sees_an_item_behind_a_segments_end)
{
    struct rig *r = rig_strict(1);
    for (uint32_t i = 0; i < TQ_FIFO_CELLS; i++) {
        put(r, 0, i);
        must_give(r, 0, i);
    }
    cr_assert_not(tq_ready_glance(r->ready));
    put(r, 0, 7);
    cr_assert(tq_ready_glance(r->ready));
    must_give(r, 0, 7);
    rig_close(r);
}

Test(ready, the_hint_of_the_only_one_stays_until_a_thorough_look)
{
    struct rig *r = rig_strict(3);
    struct tq_taken taken;
    put(r, 1, 1);
    must_give(r, 1, 1);
    cr_assert_not(look(r, false, &taken));
    cr_assert(tq_ready_any(r->ready));
    cr_assert_not(tq_ready_glance(r->ready), "a glance knows better");
    cr_assert_not(look(r, true, &taken));
    cr_assert_not(tq_ready_any(r->ready));
    rig_close(r);
}

Test(ready, the_hint_of_an_empty_one_goes_at_once_where_a_lower_one_has_work)
{
    struct rig *r = rig_strict(40);
    put(r, 3, 1);
    put(r, 30, 2);
    must_give(r, 3, 1);
    must_give(r, 30, 2);
    cr_assert_not(word_of(r, 3) & hint(3));
    cr_assert(word_of(r, 30) & hint(30));
    rig_close(r);
}

Test(ready, a_thorough_look_takes_all_hints_of_empty_ones_away)
{
    struct rig *r = rig_strict(RANKS_MAX);
    for (uint32_t rank = 0; rank < RANKS_MAX; rank++)
        tq_ready_mark(r->ready, rank);
    must_be_bare(r);
    for (uint32_t rank = 0; rank < RANKS_MAX; rank++)
        cr_assert_not(word_of(r, rank) & (hint(rank) | doubt(rank)));
    rig_close(r);
}

Test(ready, a_mark_writes_nothing_where_the_hint_is_there)
{
    struct rig *r = rig_strict(20);
    put(r, 18, 1);
    uint64_t w = word_of(r, 18);
    put(r, 18, 2);
    cr_assert_eq(word_of(r, 18), w);
    rig_close(r);
}

Test(ready, a_mark_removes_a_doubt)
{
    struct rig *r = rig_strict(20);
    put(r, 18, 1);
    tq_or(&r->ready->word[1], doubt(18), seq_cst); /* of a consumer who is about to look again */
    cr_assert_not(tq_ready_any(r->ready), "somebody takes it away or finds the item himself");
    put(r, 18, 2);
    cr_assert_eq(word_of(r, 18) & (hint(18) | doubt(18)), hint(18));
    cr_assert(tq_ready_any(r->ready));
    rig_close(r);
}

Test(ready, an_item_is_found_though_its_hint_is_in_doubt)
{
    struct rig *r = rig_strict(20);
    put(r, 18, 1);
    tq_or(&r->ready->word[1], doubt(18), seq_cst);
    put(r, 19, 2);
    must_give(r, 18, 1);
    must_give(r, 19, 2);
    rig_close(r);
}

/* ---- memory fails ------------------------------------------------------------------------------- */

Test(ready, one_that_gets_no_memory_is_null_and_destroy_accepts_it)
{
    static const int32_t weights[RANKS_MAX];
    static struct tq_fifo *fifos[RANKS_MAX];
    struct heap heap = {.fail_at = 1};
    struct tq_memory memory = {heap_alloc, heap_free, &heap};
    struct tq_ready *ready = tq_ready_create(&memory, fifos, weights, RANKS_MAX);
    cr_assert_null(ready);
    tq_ready_destroy(&memory, ready);
    ready = tq_ready_create(&memory, fifos, weights, RANKS_MAX);
    cr_assert_not_null(ready);
    cr_assert_eq(heap.calls, 2, "one call each");
    tq_ready_destroy(&memory, ready);
    cr_assert_eq(heap.blocks, 0);
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

struct model {
    int32_t weight[RANKS_MAX];
    uint32_t put[RANKS_MAX], got[RANKS_MAX];
    bool open[RANKS_MAX];
    uint32_t turn[RANKS_MAX]; /* by the first rank of a weight */
};

/* The rank that a take must give, by a dumb scan; count if none. */
static uint32_t due(struct model *m, uint32_t count)
{
    for (uint32_t first = 0, end; first < count; first = end) {
        for (end = first; end < count && m->weight[end] == m->weight[first];)
            end++;
        for (uint32_t i = 0; i < end - first; i++) {
            uint32_t rank = first + (m->turn[first] + i) % (end - first);
            if (!m->open[rank] || m->put[rank] == m->got[rank])
                continue;
            m->turn[first] = rank - first + 1;
            return rank;
        }
    }
    return count;
}

static void random_run(uint32_t count, uint32_t kinds, int steps)
{
    struct model m = {.turn = {0}};
    for (uint32_t i = 0; i < count; i++)
        m.weight[i] = -(int32_t)(i * kinds / count);
    struct rig *r = rig_closed(m.weight, count);
    for (int i = 0; i < steps; i++) {
        uint32_t rank = below(count);
        uint32_t dice = below(10);
        if (dice == 0) {
            m.open[rank] = !m.open[rank] || below(2);
            tq_ready_open(r->ready, rank, m.open[rank]);
        } else if (dice < 5) {
            put(r, rank, m.put[rank]++);
        } else {
            struct tq_taken taken;
            uint32_t want = due(&m, count);
            cr_assert_eq(look(r, below(2), &taken), want < count);
            if (want < count) {
                cr_assert_eq(taken.rank, want, "%u instead of %u", taken.rank, want);
                cr_assert_eq(taken.item, m.got[want]++);
            } else {
                cr_assert_eq(taken.item, TQ_NONE);
            }
        }
        if (i % 16 == 0)
            cr_assert(tq_ready_check(r->ready));
    }
    rig_close(r);
}

Test(ready, random_use_agrees_with_a_naive_model)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    for (int round = 0; round < 60; round++) {
        const uint64_t seed = state;
        const uint32_t count = 1 + below(RANKS_MAX);
        const uint32_t kinds = 1 + below(count);
        fprintf(stderr, "round %d, state 0x%llx: %u fifos, %u weights\n", round,
                (unsigned long long)seed, count, kinds);
        random_run(count, kinds, 2000);
    }
}

/* ---- damage ------------------------------------------------------------------------------------- */

Test(ready, check_sees_that_a_hint_is_lost)
{
    for (uint32_t rank = 0; rank < RANKS_MAX; rank += 23) {
        struct rig *r = rig_strict(RANKS_MAX);
        put(r, rank, 1);
        cr_assert(tq_ready_check(r->ready));
        tq_and(&r->ready->word[rank / TQ_READY_RANKS_PER_WORD], ~hint(rank), relaxed);
        cr_assert_not(tq_ready_check(r->ready));
        tq_ready_mark(r->ready, rank);
        rig_close(r);
    }
}

Test(ready, check_sees_a_push_without_a_mark)
{
    struct rig *r = rig_strict(3);
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
    tq_fifo_push_one(&r->fifo[2], &r->cache, 1);
    cr_assert_not(tq_ready_check(r->ready));
    tq_ready_mark(r->ready, 2);
    rig_close(r);
}

Test(ready, check_sees_a_damaged_fifo)
{
    struct rig *r = rig_strict(3);
    put(r, 1, 1);
    tq_sub(&r->fifo[1].head, (uint64_t)1 << 32, relaxed);
    cr_assert_not(tq_ready_check(r->ready));
    tq_add(&r->fifo[1].head, (uint64_t)1 << 32, relaxed);
    rig_close(r);
}
