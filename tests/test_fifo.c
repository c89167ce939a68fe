#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"

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

/* ---- queues that share their segments, and one thread's cache ----------------------------------- */

enum { QUEUES = 3, CELLS = TQ_FIFO_CELLS, SEGMENTS = 400 };

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab segments;
    struct tq_fifo_cache cache;
    struct tq_fifo fifo[QUEUES];
};

static bool try_open(struct rig *r)
{
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = SEGMENTS,
        .caches_max = 1,
    };
    if (!tq_slab_init(&r->segments, &r->memory, &shape) ||
        !tq_slab_attach(&r->segments, &r->cache.slab))
        return false;
    tq_fifo_cache_init(&r->cache);
    for (int i = 0; i < QUEUES; i++)
        if (!tq_fifo_init(&r->fifo[i], &r->segments, NULL, &r->cache))
            return false;
    return true;
}

static struct rig *rig_make(void)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    return r;
}

static struct rig *rig_open(void)
{
    struct rig *r = rig_make();
    cr_assert(try_open(r));
    return r;
}

static void rig_close(struct rig *r)
{
    tq_slab_fini(&r->segments);
    cr_assert_eq(r->heap.blocks, 0);
    free(r);
}

static uint32_t put(struct rig *r, int queue, uint32_t item)
{
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
    return tq_fifo_push_one(&r->fifo[queue], &r->cache, item);
}

/* first, first + 1 ... as one bulk. */
static uint32_t put_many(struct rig *r, int queue, uint32_t first, uint32_t count)
{
    uint32_t *items = malloc(count * sizeof *items);
    for (uint32_t i = 0; i < count; i++)
        items[i] = first + i;
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, count));
    uint32_t done = tq_fifo_push(&r->fifo[queue], &r->cache, items, count);
    free(items);
    return done;
}

static uint32_t get(struct rig *r, int queue)
{
    struct tq_taken taken;
    return tq_fifo_pop(&r->fifo[queue], &r->cache, &taken) ? taken.item : TQ_NONE;
}

static void must_give(struct rig *r, int queue, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(get(r, queue), first + i, "item %u of %u", i, count);
}

static void must_have(struct rig *r, int queue, uint64_t count)
{
    uint64_t items;
    cr_assert(tq_fifo_check(&r->fifo[queue], &items));
    cr_assert_eq(items, count);
    cr_assert_eq(tq_fifo_depth(&r->fifo[queue]), count);
}

static struct tq_segment *first_of(struct rig *r, int queue)
{
    return tq_segment_at(&r->fifo[queue], (uint32_t)tq_load(&r->fifo[queue].head, relaxed));
}

static struct tq_segment *last_of(struct rig *r, int queue)
{
    return tq_segment_at(&r->fifo[queue], (uint32_t)tq_load(&r->fifo[queue].tail, relaxed));
}

/* ---- order -------------------------------------------------------------------------------------- */

Test(fifo, a_new_one_is_good_and_empty)
{
    struct rig *r = rig_open();
    must_have(r, 0, 0);
    cr_assert_eq(get(r, 0), TQ_NONE);
    cr_assert_eq(tq_fifo_peek(&r->fifo[0]), TQ_NONE);
    cr_assert_not(tq_fifo_at_end(&r->fifo[0]));
    rig_close(r);
}

Test(fifo, items_come_in_their_order_over_segment_ends)
{
    struct rig *r = rig_open();
    for (uint32_t i = 0; i < 5 * CELLS + 3; i++)
        cr_assert_eq(put(r, 0, i), 1);
    must_have(r, 0, 5 * CELLS + 3);
    must_give(r, 0, 0, 5 * CELLS + 3);
    cr_assert_eq(get(r, 0), TQ_NONE);
    must_have(r, 0, 0);
    rig_close(r);
}

Test(fifo, a_bulk_of_any_size_from_any_cell_on_keeps_its_order)
{
    static const uint32_t sizes[] = {1,         2,         CELLS - 1,     CELLS,
                                     CELLS + 1, 3 * CELLS, 3 * CELLS + 1, 1000};
    for (uint32_t before = 0; before <= CELLS; before++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct rig *r = rig_open();
            for (uint32_t k = 0; k < before; k++)
                put(r, 0, k);
            cr_assert_eq(put_many(r, 0, before, sizes[i]), sizes[i]);
            cr_assert_eq(put(r, 0, before + sizes[i]), 1);
            must_have(r, 0, before + sizes[i] + 1);
            must_give(r, 0, 0, before + sizes[i] + 1);
            must_have(r, 0, 0);
            rig_close(r);
        }
}

Test(fifo, the_largest_item_is_an_item)
{
    struct rig *r = rig_open();
    put(r, 0, UINT32_MAX - 3);
    put(r, 0, 0);
    cr_assert_eq(get(r, 0), UINT32_MAX - 3);
    cr_assert_eq(get(r, 0), 0);
    rig_close(r);
}

Test(fifo, queues_of_one_slab_do_not_mix)
{
    struct rig *r = rig_open();
    for (uint32_t i = 0; i < 1000; i++)
        for (int q = 0; q < QUEUES; q++)
            put(r, q, (uint32_t)q * 100000 + i);
    for (int q = 0; q < QUEUES; q++) {
        must_have(r, q, 1000);
        must_give(r, q, (uint32_t)q * 100000, 1000);
        must_have(r, q, 0);
    }
    rig_close(r);
}

Test(fifo, upcoming_is_an_item_of_the_same_segment_that_comes_soon)
{
    struct rig *r = rig_open();
    put_many(r, 0, 0, 2 * CELLS);
    for (uint32_t i = 0; i < 2 * CELLS; i++) {
        struct tq_taken taken;
        cr_assert(tq_fifo_pop(&r->fifo[0], &r->cache, &taken));
        cr_assert_eq(taken.item, i);
        cr_assert_eq(taken.upcoming,
                     i % CELLS + TQ_FIFO_AHEAD < CELLS ? i + TQ_FIFO_AHEAD : TQ_NONE);
    }
    struct tq_taken taken = {.item = 12345};
    cr_assert_not(tq_fifo_pop(&r->fifo[0], &r->cache, &taken));
    cr_assert_eq(taken.item, TQ_NONE);
    rig_close(r);
}

/* ---- looks -------------------------------------------------------------------------------------- */

Test(fifo, the_depth_is_exact_when_nobody_pushes_or_pops)
{
    struct rig *r = rig_open();
    uint64_t depth = 0;
    for (int round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < 3 * CELLS; i++) {
            put(r, 0, i);
            must_have(r, 0, ++depth);
        }
        for (uint32_t i = 0; i < 2 * CELLS + 7; i++) {
            get(r, 0);
            must_have(r, 0, --depth);
        }
    }
    rig_close(r);
}

Test(fifo, peek_names_the_next_item_and_takes_nothing)
{
    struct rig *r = rig_open();
    put_many(r, 0, 0, 3 * CELLS);
    for (uint32_t i = 0; i < 3 * CELLS; i++) {
        cr_assert_eq(tq_fifo_peek(&r->fifo[0]), i);
        cr_assert_eq(tq_fifo_peek(&r->fifo[0]), i);
        cr_assert_eq(get(r, 0), i);
    }
    cr_assert_eq(tq_fifo_peek(&r->fifo[0]), TQ_NONE);
    rig_close(r);
}

Test(fifo, at_end_says_that_the_first_segment_is_used_up_and_another_one_follows)
{
    struct rig *r = rig_open();
    put_many(r, 0, 0, CELLS);
    cr_assert_not(tq_fifo_at_end(&r->fifo[0]));
    must_give(r, 0, 0, CELLS);
    cr_assert_not(tq_fifo_at_end(&r->fifo[0]), "nothing follows");
    put(r, 0, 7);
    cr_assert(tq_fifo_at_end(&r->fifo[0]));
    cr_assert_eq(get(r, 0), 7);
    cr_assert_not(tq_fifo_at_end(&r->fifo[0]));
    rig_close(r);
}

/* ---- close -------------------------------------------------------------------------------------- */

Test(fifo, a_closed_one_refuses_and_gives_what_was_accepted)
{
    static const uint32_t accepted[] = {0,         1,         CELLS - 1,     CELLS,
                                        CELLS + 1, 2 * CELLS, 2 * CELLS + 5, 1000};
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++) {
        struct rig *r = rig_open();
        if (accepted[i])
            put_many(r, 0, 0, accepted[i]);
        tq_fifo_close(&r->fifo[0]);
        must_have(r, 0, accepted[i]);
        cr_assert_eq(put(r, 0, 99), 0);
        cr_assert_eq(put_many(r, 0, 99, 3 * CELLS), 0);
        must_give(r, 0, 0, accepted[i]);
        cr_assert_eq(get(r, 0), TQ_NONE);
        cr_assert_eq(put(r, 0, 99), 0);
        cr_assert_eq(get(r, 0), TQ_NONE);
        cr_assert_not(tq_fifo_at_end(&r->fifo[0]));
        rig_close(r);
    }
}

Test(fifo, to_close_twice_is_to_close_once)
{
    struct rig *r = rig_open();
    put(r, 0, 1);
    tq_fifo_close(&r->fifo[0]);
    tq_fifo_close(&r->fifo[0]);
    cr_assert_eq(put(r, 0, 2), 0);
    cr_assert_eq(get(r, 0), 1);
    cr_assert_eq(get(r, 0), TQ_NONE);
    rig_close(r);
}

Test(fifo, to_close_one_leaves_the_others_open)
{
    struct rig *r = rig_open();
    tq_fifo_close(&r->fifo[0]);
    cr_assert_eq(put(r, 1, 5), 1);
    cr_assert_eq(get(r, 1), 5);
    rig_close(r);
}

Test(fifo, refused_pushes_do_not_overflow_the_tickets)
{
    struct rig *r = rig_open();
    put(r, 0, 1);
    tq_fifo_close(&r->fifo[0]);
    /* As after two thousand million of them. */
    tq_a64 *enq = &last_of(r, 0)->enq;
    tq_store(enq, tq_load(enq, relaxed) | 0x7fffff00u, relaxed);
    for (uint32_t i = 0; i < 1000; i++) {
        cr_assert_eq(put(r, 0, 2), 0);
        cr_assert_eq(put_many(r, 0, 2, CELLS), 0);
    }
    cr_assert_eq(get(r, 0), 1);
    cr_assert_eq(get(r, 0), TQ_NONE);
    rig_close(r);
}

/* ---- a producer who is slow --------------------------------------------------------------------- */

Test(fifo, a_producer_between_ticket_and_cell_holds_nobody_up)
{
    struct rig *r = rig_open();
    put(r, 0, 1);
    tq_add(&last_of(r, 0)->enq, 1, seq_cst); /* his ticket */
    put(r, 0, 2);
    cr_assert_eq(get(r, 0), 1);
    cr_assert_eq(tq_fifo_peek(&r->fifo[0]), TQ_NONE);
    cr_assert_eq(get(r, 0), 2);
    cr_assert_eq(get(r, 0), TQ_NONE);
    must_have(r, 0, 0);
    rig_close(r);
}

Test(fifo, who_finds_his_cell_given_up_takes_another_ticket)
{
    struct rig *r = rig_open();
    for (uint32_t taken = 0; taken < CELLS; taken += 5) {
        struct tq_segment *s = last_of(r, 0);
        uint64_t g = tq_load(&s->enq, relaxed) >> 32 << 32;
        uint32_t ticket = (uint32_t)tq_load(&s->enq, relaxed);
        if (ticket < CELLS)
            tq_store(&s->cell[ticket], g | TQ_FIFO_TAKEN, relaxed);
        cr_assert_eq(put(r, 0, taken), 1);
    }
    for (uint32_t taken = 0; taken < CELLS; taken += 5)
        cr_assert_eq(get(r, 0), taken);
    cr_assert_eq(get(r, 0), TQ_NONE);
    rig_close(r);
}

Test(fifo, a_bulk_whose_cell_was_given_up_keeps_its_order)
{
    for (uint32_t at = 0; at < CELLS; at++) {
        struct rig *r = rig_open();
        struct tq_segment *s = last_of(r, 0);
        tq_store(&s->cell[at], (uint64_t)s->generation << 32 | TQ_FIFO_TAKEN, relaxed);
        cr_assert_eq(put_many(r, 0, 0, 2 * CELLS), 2 * CELLS);
        uint64_t items;
        cr_assert(tq_fifo_check(&r->fifo[0], &items));
        cr_assert_eq(items, 2 * CELLS);
        must_give(r, 0, 0, 2 * CELLS);
        cr_assert_eq(get(r, 0), TQ_NONE);
        must_have(r, 0, 0);
        rig_close(r);
    }
}

Test(fifo, a_late_ticket_in_a_segments_next_life_is_skipped)
{
    struct rig *r = rig_open();
    struct tq_segment *old = last_of(r, 0);
    put_many(r, 0, 0, CELLS + 1);
    must_give(r, 0, 0, CELLS + 1);
    cr_assert_neq(first_of(r, 0), old);
    while (last_of(r, 1) != old) /* until the other queue lives in it */
        put(r, 1, 5);
    uint64_t waiting = tq_fifo_depth(&r->fifo[1]);
    tq_add(&old->enq, 1, seq_cst); /* a producer of the first queue, who read its tail long ago */
    put(r, 1, 6);
    while (waiting--)
        cr_assert_eq(get(r, 1), 5);
    cr_assert_eq(get(r, 1), 6);
    cr_assert_eq(get(r, 1), TQ_NONE);
    must_have(r, 1, 0);
    rig_close(r);
}

/* ---- segments ----------------------------------------------------------------------------------- */

Test(fifo, segments_are_used_again)
{
    struct rig *r = rig_open();
    for (uint32_t i = 0; i < 200 * CELLS; i++) {
        put(r, (int)(i % QUEUES), i);
        cr_assert_eq(get(r, (int)(i % QUEUES)), i);
    }
    /* One in each queue, one that goes and one that comes, one spare; and in whole magazines. */
    cr_assert(tq_load(&r->segments.carved, relaxed) <= 2 * 4 + QUEUES + 1);
    rig_close(r);
}

Test(fifo, fini_gives_all_segments_back)
{
    struct rig *r = rig_open();
    for (int q = 0; q < QUEUES; q++)
        put_many(r, q, 0, 1000);
    tq_fifo_close(&r->fifo[1]);
    for (int q = 0; q < QUEUES; q++)
        tq_fifo_fini(&r->fifo[q], &r->cache);
    unsigned char seen[SEGMENTS + 8] = {0};
    const struct tq_slab_cache *cache = &r->cache.slab;
    uint32_t unused;
    cr_assert(tq_slab_check(&r->segments, &cache, 1, seen, &unused));
    cr_assert_eq(unused + r->cache.spares, tq_load(&r->segments.carved, relaxed));
    rig_close(r);
}

Test(fifo, a_segment_whose_generations_are_used_up_is_retired)
{
    struct rig *r = rig_open();
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
    uint32_t worn = r->cache.spare;
    tq_segment_at(&r->fifo[0], worn)->generation = UINT32_MAX - 1;
    /* Its last life is as good as any. */
    put_many(r, 0, 0, CELLS);
    put(r, 0, CELLS);
    cr_assert_eq(last_of(r, 0), tq_segment_at(&r->fifo[0], worn));
    cr_assert_eq(last_of(r, 0)->generation, UINT32_MAX);
    put_many(r, 0, CELLS + 1, 2 * CELLS);
    must_have(r, 0, 3 * CELLS + 1);
    must_give(r, 0, 0, 3 * CELLS + 1);
    /* And it never comes back. */
    for (uint32_t i = 0; i < 100 * CELLS; i++) {
        cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
        cr_assert_neq(r->cache.spare, worn);
        put(r, 0, i);
        cr_assert_neq((uint32_t)tq_load(&r->fifo[0].tail, relaxed), worn);
        cr_assert_eq(get(r, 0), i);
    }
    must_have(r, 0, 0);
    rig_close(r);
}

Test(fifo, a_reserve_for_a_bulk_suffices_for_it)
{
    struct rig *r = rig_open();
    for (uint32_t count = 1; count < 10 * CELLS; count += 13) {
        cr_assert_eq(put_many(r, 0, 0, count), count);
        must_give(r, 0, 0, count);
    }
    rig_close(r);
}

/* ---- memory fails ------------------------------------------------------------------------------- */

/* False: an allocation failed, and nothing was lost by it. */
static bool live_once(struct rig *r)
{
    bool done = try_open(r);
    uint32_t count = 0;
    while (done && count < 100 * CELLS) {
        done = tq_fifo_reserve(&r->segments, &r->cache, 1);
        if (done)
            cr_assert_eq(tq_fifo_push_one(&r->fifo[0], &r->cache, count++), 1);
    }
    if (!count)
        return done;
    must_have(r, 0, count);
    must_give(r, 0, 0, count);
    cr_assert_eq(put(r, 0, 7), 1); /* memory is there again */
    return done;
}

Test(fifo, the_kth_allocation_fails_and_nothing_is_lost)
{
    struct rig *r = rig_make();
    bool done = false;
    long k = 0;
    while (!done) {
        memset(r, 0, sizeof *r);
        r->heap.fail_at = ++k;
        done = live_once(r);
        tq_slab_fini(&r->segments);
        cr_assert_eq(r->heap.blocks, 0, "call %ld failed", k);
    }
    cr_assert(k > 4);
    free(r);
}

Test(fifo, a_reserve_beyond_the_slabs_limit_fails)
{
    struct rig *r = rig_open();
    cr_assert_not(tq_fifo_reserve(&r->segments, &r->cache, (SEGMENTS + 100) * CELLS));
    cr_assert(tq_fifo_reserve(&r->segments, &r->cache, (SEGMENTS - QUEUES) * CELLS));
    cr_assert_eq(put(r, 0, 1), 1);
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

struct model {
    uint32_t put, got; /* items are numbers that go up */
    bool closed;
};

static void step(struct rig *r, int q, struct model *m)
{
    uint32_t count;
    switch (below(8)) {
    case 0:
    case 1:
        cr_assert_eq(put(r, q, m->put), !m->closed);
        m->put += !m->closed;
        break;
    case 2:
        count = 1 + below(below(4) ? 20 : 3 * CELLS);
        if (m->put - m->got + count > 20 * CELLS)
            break;
        cr_assert_eq(put_many(r, q, m->put, count), m->closed ? 0 : count);
        m->put += m->closed ? 0 : count;
        break;
    case 3:
        cr_assert_eq(tq_fifo_at_end(&r->fifo[q]) ? m->got : tq_fifo_peek(&r->fifo[q]),
                     m->got < m->put ? m->got : TQ_NONE);
        break;
    case 4:
        if (below(4000) == 0) {
            tq_fifo_close(&r->fifo[q]);
            m->closed = true;
        }
        break;
    default:
        for (count = below(50); count > 0; count--) {
            cr_assert_eq(get(r, q), m->got < m->put ? m->got : TQ_NONE);
            m->got += m->got < m->put;
        }
    }
    /* Refused tickets are skipped by pops, but until then the depth counts them. */
    uint64_t items;
    cr_assert(tq_fifo_check(&r->fifo[q], &items));
    cr_assert_eq(items, m->put - m->got);
    if (!m->closed)
        cr_assert_eq(tq_fifo_depth(&r->fifo[q]), m->put - m->got);
}

Test(fifo, random_use_agrees_with_a_naive_model)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    for (int round = 0; round < 10; round++) {
        fprintf(stderr, "round %d, state 0x%llx\n", round, (unsigned long long)state);
        struct rig *r = rig_open();
        struct model model[QUEUES] = {{0}};
        for (int i = 0; i < 20000; i++) {
            int q = (int)below(QUEUES);
            step(r, q, &model[q]);
        }
        rig_close(r);
    }
}

/* ---- damage ------------------------------------------------------------------------------------- */

static struct rig *lived_in(void)
{
    struct rig *r = rig_open();
    put_many(r, 0, 0, 4 * CELLS + 5);
    must_give(r, 0, 0, CELLS + 5);
    must_have(r, 0, 3 * CELLS);
    return r;
}

static void must_be_bad(struct rig *r)
{
    uint64_t items;
    cr_assert_not(tq_fifo_check(&r->fifo[0], &items));
    rig_close(r);
}

static uint64_t of_another_life(uint64_t w)
{
    return w + ((uint64_t)1 << 32);
}

Test(fifo, check_sees_an_item_in_a_cell_without_a_ticket)
{
    struct rig *r = lived_in();
    struct tq_segment *s = last_of(r, 0);
    uint64_t enq = tq_load(&s->enq, relaxed);
    tq_store(&s->cell[(uint32_t)enq], (enq >> 32 << 32) | 1, relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_a_ticket_that_was_taken_back)
{
    struct rig *r = lived_in();
    tq_sub(&last_of(r, 0)->enq, 1, relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_words_of_another_life)
{
    for (int which = 0; which < 3; which++) {
        struct rig *r = lived_in();
        struct tq_segment *s = first_of(r, 0);
        tq_a64 *w = which == 0 ? &s->enq : which == 1 ? &s->deq : &s->next;
        tq_store(w, of_another_life(tq_load(w, relaxed)), relaxed);
        must_be_bad(r);
    }
}

Test(fifo, check_sees_a_head_of_another_life)
{
    struct rig *r = lived_in();
    tq_store(&r->fifo[0].head, of_another_life(tq_load(&r->fifo[0].head, relaxed)), relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_a_tail_that_is_not_the_last)
{
    struct rig *r = lived_in();
    tq_store(&r->fifo[0].tail, tq_load(&r->fifo[0].head, relaxed), relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_that_the_list_is_cut)
{
    struct rig *r = lived_in();
    tq_a64 *next = &first_of(r, 0)->next;
    tq_store(next, tq_load(next, relaxed) >> 32 << 32, relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_a_circle_of_segments)
{
    struct rig *r = lived_in();
    tq_a64 *next = &last_of(r, 0)->next;
    uint32_t head = (uint32_t)tq_load(&r->fifo[0].head, relaxed);
    tq_store(next, (tq_load(next, relaxed) >> 32 << 32) | (head + 1), relaxed);
    must_be_bad(r);
}

Test(fifo, check_sees_places_that_do_not_follow_each_other)
{
    struct rig *r = lived_in();
    tq_add(&last_of(r, 0)->place, 1, relaxed); /* the depth would be one too large */
    must_be_bad(r);
}
