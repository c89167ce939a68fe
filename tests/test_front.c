#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"

/* ---- memory that fails from the k-th call on, and knows what is not given back ------------------- */

struct heap {
    long calls, fail_from;
    long blocks;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    if (++heap->calls >= heap->fail_from && heap->fail_from)
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

/* ---- one queue, and one thread's cache ---------------------------------------------------------- */

enum { CELLS = TQ_FIFO_CELLS, LINKS = 20000 };

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab segments, links;
    struct tq_fifo_cache cache;
    struct tq_fifo fifo;
};

static struct rig *rig_open(void)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    struct tq_slab_shape segments = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = 400,
        .caches_max = 1,
    };
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = _Alignof(struct tq_link),
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = 4,
        .limit = LINKS,
        .caches_max = 1,
    };
    cr_assert(tq_slab_init(&r->segments, &r->memory, &segments));
    cr_assert(tq_slab_init(&r->links, &r->memory, &links));
    cr_assert(tq_slab_attach(&r->segments, &r->cache.slab));
    cr_assert(tq_slab_attach(&r->links, &r->cache.links));
    tq_fifo_cache_init(&r->cache);
    cr_assert(tq_fifo_init(&r->fifo, &r->segments, &r->links, &r->cache));
    return r;
}

/* All free but `used`, which are in the front. */
static void links_are_free(struct rig *r, uint32_t used)
{
    static unsigned char seen[LINKS + 100];
    memset(seen, 0, sizeof seen);
    const struct tq_slab_cache *cache = &r->cache.links;
    uint32_t unused;
    cr_assert(tq_slab_check(&r->links, &cache, 1, seen, &unused));
    cr_assert_eq(unused + used, tq_load(&r->links.carved, relaxed));
}

static void rig_close(struct rig *r)
{
    tq_fifo_fini(&r->fifo, &r->cache);
    links_are_free(r, 0);
    tq_slab_fini(&r->segments);
    tq_slab_fini(&r->links);
    cr_assert_eq(r->heap.blocks, 0);
    free(r);
}

static void push(struct rig *r, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        cr_assert(tq_fifo_reserve(&r->segments, &r->cache, 1));
        cr_assert_eq(tq_fifo_push_one(&r->fifo, &r->cache, first + i), 1);
    }
}

static bool take(struct rig *r, struct tq_taken *out)
{
    bool found = tq_fifo_pop(&r->fifo, &r->cache, out);
    if (found && out->link != TQ_NONE)
        tq_fifo_link_free(&r->links, &r->cache, out->link);
    return found;
}

static void must_give(struct rig *r, uint32_t item, uint64_t place)
{
    struct tq_taken taken;
    cr_assert(take(r, &taken));
    cr_assert_eq(taken.item, item, "%u, not %u", taken.item, item);
    cr_assert_eq(taken.place, place, "at %llu, not at %llu", (unsigned long long)taken.place,
                 (unsigned long long)place);
}

static void must_be_empty(struct rig *r)
{
    struct tq_taken taken;
    cr_assert_not(take(r, &taken));
    cr_assert_eq(taken.item, TQ_NONE);
}

static void must_have(struct rig *r, uint64_t count)
{
    uint64_t items;
    cr_assert(tq_fifo_check(&r->fifo, &items));
    cr_assert_eq(items, count);
    cr_assert_eq(tq_fifo_depth(&r->fifo), count);
}

static void put(struct rig *r, uint64_t place, uint32_t item)
{
    uint32_t link;
    cr_assert(tq_fifo_link_take(&r->links, &r->cache, &link));
    tq_fifo_put(&r->fifo, &r->cache, link, place, item);
}

static uint64_t state;

static uint32_t below(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 11) % n;
}

static void seed(void)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    fprintf(stderr, "state 0x%llx\n", (unsigned long long)state);
}

/* ---- put ---------------------------------------------------------------------------------------- */

Test(front, places_grow_by_one_over_segment_ends)
{
    struct rig *r = rig_open();
    push(r, 7, 5 * CELLS);
    for (uint32_t i = 0; i < 5 * CELLS; i++)
        must_give(r, 7 + i, i);
    push(r, 0, 1);
    must_give(r, 0, 5 * CELLS);
    rig_close(r);
}

Test(front, what_was_put_back_comes_first_wherever_the_segments_stand)
{
    for (uint32_t taken = 1; taken <= 2 * CELLS + 1; taken++)
        for (uint32_t left = 0; left < 3; left++) {
            struct rig *r = rig_open();
            push(r, 0, taken + left);
            for (uint32_t i = 0; i < taken; i++)
                must_give(r, i, i);
            put(r, taken - 1, taken - 1);
            must_have(r, 1 + left);
            cr_assert_eq(tq_fifo_peek(&r->fifo), taken - 1);
            push(r, taken + left, 1);
            for (uint32_t i = taken - 1; i <= taken + left; i++)
                must_give(r, i, i);
            must_be_empty(r);
            must_have(r, 0);
            rig_close(r);
        }
}

Test(front, those_that_were_put_come_in_order_of_place)
{
    enum { COUNT = 300 };
    seed();
    for (int round = 0; round < 50; round++) {
        struct rig *r = rig_open();
        uint32_t order[COUNT];
        push(r, 0, COUNT + 10);
        for (uint32_t i = 0; i < COUNT; i++) {
            must_give(r, i, i);
            order[i] = i;
        }
        uint32_t swaps = round == 0 ? 0 : below(2) ? 3 : COUNT;
        for (uint32_t i = 0; i < swaps; i++) {
            uint32_t a = below(COUNT), b = below(COUNT), t = order[a];
            order[a] = order[b];
            order[b] = t;
        }
        for (uint32_t i = 0; i < COUNT; i++) {
            put(r, order[i], order[i]);
            must_have(r, i + 11);
        }
        for (uint32_t i = 0; i < COUNT + 10; i++)
            must_give(r, i, i);
        must_be_empty(r);
        rig_close(r);
    }
}

Test(front, equals_come_as_they_came)
{
    struct rig *r = rig_open();
    put(r, 5, 50);
    put(r, 5, 51);
    put(r, 4, 40);
    put(r, 5, 52);
    put(r, 6, 60);
    put(r, 4, 41);
    static const uint32_t order[] = {40, 41, 50, 51, 52, 60};
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        must_give(r, order[i], order[i] / 10);
    rig_close(r);
}

Test(front, a_closed_one_takes_back_what_came_from_it)
{
    struct rig *r = rig_open();
    push(r, 0, 2);
    must_give(r, 0, 0);
    tq_fifo_close(&r->fifo);
    put(r, 0, 0);
    must_give(r, 0, 0);
    must_give(r, 1, 1);
    must_be_empty(r);
    put(r, 1, 1);
    must_give(r, 1, 1);
    must_be_empty(r);
    rig_close(r);
}

Test(front, upcoming_is_the_next_of_the_front)
{
    struct rig *r = rig_open();
    struct tq_taken taken;
    put(r, 1, 10);
    put(r, 2, 20);
    push(r, 0, 1);
    cr_assert(take(r, &taken));
    cr_assert_eq(taken.upcoming, 20);
    cr_assert(take(r, &taken));
    cr_assert_eq(taken.upcoming, TQ_NONE);
    rig_close(r);
}

Test(front, a_pop_hands_over_the_link_and_it_may_be_used_again)
{
    struct rig *r = rig_open();
    struct tq_taken taken;
    push(r, 0, 3);
    cr_assert(tq_fifo_pop(&r->fifo, &r->cache, &taken));
    cr_assert_eq(taken.link, TQ_NONE);
    uint32_t link;
    cr_assert(tq_fifo_link_take(&r->links, &r->cache, &link));
    for (int i = 0; i < 1000; i++) {
        tq_fifo_put(&r->fifo, &r->cache, link, taken.place, taken.item);
        cr_assert(tq_fifo_pop(&r->fifo, &r->cache, &taken));
        cr_assert_eq(taken.item, 0);
        cr_assert_eq(taken.link, link);
    }
    tq_fifo_link_free(&r->links, &r->cache, link);
    links_are_free(r, 0);
    rig_close(r);
}

Test(front, fini_frees_links_and_segments)
{
    struct rig *r = rig_open();
    push(r, 100, 3 * CELLS);
    for (uint32_t i = 0; i < 50; i++)
        put(r, i, i);
    links_are_free(r, 50);
    rig_close(r);
}

/* ---- sweep -------------------------------------------------------------------------------------- */

enum { MARKS = 20000 };

struct marks {
    bool tomb[MARKS];
    uint32_t asked, dropped;
    uint32_t last; /* dropped, and one */
};

static bool is_tomb(void *context, uint32_t item)
{
    struct marks *marks = context;
    marks->asked++;
    return marks->tomb[item];
}

static void drop(void *context, uint32_t item)
{
    struct marks *marks = context;
    cr_assert(marks->tomb[item]);
    marks->tomb[item] = false; /* a second time would be seen */
    marks->dropped++;
    marks->last = item + 1;
}

static bool sweep(struct rig *r, struct marks *marks, uint32_t step)
{
    struct tq_sweeper sweeper = {is_tomb, drop, marks};
    return tq_fifo_sweep(&r->fifo, &r->cache, &sweeper, step);
}

Test(front, a_sweep_takes_out_the_tombs_and_the_others_keep_their_places)
{
    static const uint32_t steps[] = {1, 2, 15, 16, 17, 100, 1000000};
    for (size_t s = 0; s < sizeof steps / sizeof *steps; s++)
        for (uint32_t every = 1; every < 5; every++) {
            struct rig *r = rig_open();
            static struct marks marks;
            memset(&marks, 0, sizeof marks);
            enum { COUNT = 3 * CELLS + 5 };
            push(r, 0, COUNT);
            uint32_t tombs = 0;
            for (uint32_t i = 0; i < COUNT; i++)
                tombs += marks.tomb[i] = i % every == 0;
            while (sweep(r, &marks, steps[s]))
                must_have(r, COUNT - marks.dropped);
            cr_assert_eq(marks.dropped, tombs);
            cr_assert_eq(marks.asked, COUNT);
            must_have(r, COUNT - tombs);
            links_are_free(r, COUNT - tombs);
            push(r, COUNT, 2);
            for (uint32_t i = 0; i < COUNT + 2; i++)
                if (i % every != 0 || i >= COUNT)
                    must_give(r, i, i);
            must_be_empty(r);
            rig_close(r);
        }
}

Test(front, a_round_ends_with_what_was_there_when_it_began)
{
    struct rig *r = rig_open();
    static struct marks marks;
    push(r, 0, 10);
    cr_assert(sweep(r, &marks, 5));
    for (uint32_t i = 10; i < 30; i++)
        marks.tomb[i] = true;
    push(r, 10, 20);
    cr_assert_not(sweep(r, &marks, 100));
    cr_assert_eq(marks.asked, 10);
    cr_assert_eq(marks.dropped, 0);
    cr_assert_not(sweep(r, &marks, 100));
    cr_assert_eq(marks.asked, 10 + 30);
    cr_assert_eq(marks.dropped, 20);
    must_have(r, 10);
    rig_close(r);
}

Test(front, a_round_goes_on_though_the_item_before_which_it_stopped_is_gone)
{
    struct rig *r = rig_open();
    static struct marks marks;
    push(r, 0, 10);
    while (sweep(r, &marks, 100)) /* all in the front */
        ;
    marks.tomb[8] = marks.tomb[1] = true;
    cr_assert(sweep(r, &marks, 2));
    cr_assert_eq(marks.dropped, 1);
    must_give(r, 0, 0);
    must_give(r, 2, 2);
    must_give(r, 3, 3);
    put(r, 3, 3);
    while (sweep(r, &marks, 2))
        ;
    cr_assert_eq(marks.dropped, 2);
    static const uint32_t left[] = {3, 4, 5, 6, 7, 9};
    for (int i = 0; i < 6; i++)
        must_give(r, left[i], left[i]);
    must_be_empty(r);
    rig_close(r);
}

Test(front, a_sweep_of_tombs_only_leaves_the_fifo_free)
{
    struct rig *r = rig_open();
    static struct marks marks;
    memset(marks.tomb, true, sizeof marks.tomb);
    push(r, 0, 2 * CELLS);
    while (sweep(r, &marks, 7))
        must_have(r, 2 * CELLS - marks.dropped);
    must_have(r, 0);
    links_are_free(r, 0);
    push(r, 5, 1);
    must_give(r, 5, 2 * CELLS);
    rig_close(r);
}

Test(front, a_sweep_without_memory_stops_and_loses_nothing)
{
    for (uint32_t before = 0; before < 2500; before += 97) {
        struct rig *r = rig_open();
        static struct marks marks;
        memset(&marks, 0, sizeof marks);
        push(r, 0, 5000);
        for (uint32_t i = 0; i < before; i++)
            must_give(r, i, i);
        for (uint32_t i = 0; i < before; i++)
            put(r, i, i);
        for (uint32_t i = 0; i < 5000; i += 2)
            marks.tomb[i] = true;
        r->heap.fail_from = r->heap.calls + 1;
        while (sweep(r, &marks, 10))
            ;
        must_have(r, 5000 - marks.dropped);
        if (before < 1000)
            cr_assert_lt(marks.dropped, 2500);
        cr_assert_geq(marks.dropped, before / 2, "no link is needed for those in the front");
        links_are_free(r, tq_load(&r->fifo.front.count, relaxed));
        for (int again = 0; again < 3; again++) /* it does not get stuck, nor go on */
            sweep(r, &marks, 10);
        r->heap.fail_from = 0;
        while (sweep(r, &marks, 10))
            ;
        while (sweep(r, &marks, 10)) /* that was the rest of a round, perhaps */
            ;
        cr_assert_eq(marks.dropped, 2500);
        for (uint32_t i = 1; i < 5000; i += 2)
            must_give(r, i, i);
        must_be_empty(r);
        rig_close(r);
    }
}

Test(front, a_sweep_does_not_wait_for_a_producer_between_ticket_and_cell)
{
    struct rig *r = rig_open();
    static struct marks marks;
    push(r, 0, 3);
    struct tq_segment *s = tq_segment_at(&r->fifo, (uint32_t)tq_load(&r->fifo.tail, relaxed));
    tq_add(&s->enq, 1, seq_cst); /* his ticket */
    push(r, 3, 1);
    while (sweep(r, &marks, 100))
        ;
    cr_assert_eq(marks.asked, 4);
    for (uint32_t i = 0; i < 4; i++)
        must_give(r, i, i + (i == 3));
    must_be_empty(r);
    must_have(r, 0);
    rig_close(r);
}

/* ---- find --------------------------------------------------------------------------------------- */

Test(front, find_counts_those_that_stand_before)
{
    struct rig *r = rig_open();
    uint64_t ahead = 12345;
    cr_assert_not(tq_fifo_find(&r->fifo, 1, NULL, &ahead));
    push(r, 0, 4 * CELLS);
    for (uint32_t i = 0; i < 300; i++)
        must_give(r, i, i);
    for (uint32_t i = 0; i < 300; i += 2)
        put(r, i, i);
    for (uint32_t i = 0; i < 300; i++)
        if (i % 2) {
            cr_assert_not(tq_fifo_find(&r->fifo, i, NULL, &ahead));
        } else {
            cr_assert(tq_fifo_find(&r->fifo, i, NULL, &ahead));
            cr_assert_eq(ahead, i / 2);
        }
    for (uint32_t i = 300; i < 4 * CELLS; i++) {
        cr_assert(tq_fifo_find(&r->fifo, i, NULL, &ahead));
        cr_assert_eq(ahead, i - 150);
    }
    ahead = 12345;
    cr_assert_not(tq_fifo_find(&r->fifo, 4 * CELLS, NULL, &ahead));
    cr_assert_eq(ahead, 12345, "untouched");
    rig_close(r);
}

/* ---- against a model ---------------------------------------------------------------------------- */

enum { MODEL_MAX = 3000 };

struct thing {
    uint64_t place;
    uint32_t item;
    bool tomb;
};

/* In order, and what was taken and may come back. */
struct model {
    struct thing queue[MODEL_MAX], hand[MODEL_MAX];
    uint32_t count, hand_count;
    uint64_t next_place;
    uint32_t next_item;
    struct marks marks;
};

static void model_insert(struct model *m, struct thing thing)
{
    uint32_t at = m->count++;
    for (; at > 0 && m->queue[at - 1].place > thing.place; at--)
        m->queue[at] = m->queue[at - 1];
    m->queue[at] = thing;
}

static void model_push(struct rig *r, struct model *m, uint32_t count)
{
    while (count-- && m->count + m->hand_count < MODEL_MAX && m->next_item < MARKS) {
        push(r, m->next_item, 1);
        model_insert(m, (struct thing){.place = m->next_place++, .item = m->next_item++});
    }
}

static void model_pop(struct rig *r, struct model *m, uint32_t count)
{
    while (count--) {
        if (!m->count) {
            must_be_empty(r);
            return;
        }
        struct thing first = m->queue[0];
        must_give(r, first.item, first.place);
        memmove(&m->queue[0], &m->queue[1], --m->count * sizeof m->queue[0]);
        m->marks.tomb[first.item] = false;
        if (below(3))
            m->hand[m->hand_count++] = first;
    }
}

static void model_put(struct rig *r, struct model *m, uint32_t count)
{
    while (count-- && m->hand_count) {
        uint32_t at = below(4) ? m->hand_count - 1 : below(m->hand_count);
        struct thing thing = m->hand[at];
        m->hand[at] = m->hand[--m->hand_count];
        put(r, thing.place, thing.item);
        model_insert(m, thing);
    }
}

static void model_kill(struct model *m, uint32_t count)
{
    while (count-- && m->count)
        m->marks.tomb[m->queue[below(m->count)].item] = true;
}

/* Those in the model that are dead, and no longer marked: they were dropped. */
static void model_sweep(struct rig *r, struct model *m, uint32_t step)
{
    static bool was[MARKS];
    memcpy(was, m->marks.tomb, sizeof was);
    uint32_t before = m->marks.dropped, gone = 0;
    sweep(r, &m->marks, step);
    for (uint32_t i = 0; i < m->count;) {
        uint32_t item = m->queue[i].item;
        if (!was[item] || m->marks.tomb[item]) {
            i++;
            continue;
        }
        memmove(&m->queue[i], &m->queue[i + 1], (--m->count - i) * sizeof m->queue[0]);
        gone++;
    }
    cr_assert_eq(gone, m->marks.dropped - before);
}

static void model_look(struct rig *r, const struct model *m)
{
    if (m->count && !tq_fifo_at_end(&r->fifo))
        cr_assert_eq(tq_fifo_peek(&r->fifo), m->queue[0].item);
    if (!m->count)
        cr_assert_eq(tq_fifo_peek(&r->fifo), TQ_NONE);
    uint32_t at = m->count ? below(m->count) : 0;
    uint64_t ahead;
    cr_assert_eq(m->count && tq_fifo_find(&r->fifo, m->queue[at].item, NULL, &ahead), m->count > 0);
    if (m->count)
        cr_assert_eq(ahead, at);
}

static void model_step(struct rig *r, struct model *m)
{
    uint32_t most = below(3) ? 4 : 200;
    switch (below(7)) {
    case 0:
    case 1:
        model_push(r, m, below(most));
        break;
    case 2:
    case 3:
        model_pop(r, m, below(most));
        break;
    case 4:
        model_put(r, m, below(most));
        break;
    case 5:
        model_kill(m, below(most));
        break;
    default:
        model_sweep(r, m, below(most));
    }
    model_look(r, m);
    must_have(r, m->count);
}

Test(front, random_use_agrees_with_a_naive_model)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    static struct model m;
    for (int round = 0; round < 15; round++) {
        fprintf(stderr, "round %d, state 0x%llx\n", round, (unsigned long long)state);
        struct rig *r = rig_open();
        memset(&m, 0, sizeof m);
        for (int i = 0; i < 2000; i++)
            model_step(r, &m);
        while (m.count)
            model_pop(r, &m, 1);
        must_be_empty(r);
        must_have(r, 0);
        rig_close(r);
    }
}

/* ---- damage ------------------------------------------------------------------------------------- */

static struct rig *lived_in(void)
{
    struct rig *r = rig_open();
    push(r, 0, 50);
    for (uint32_t i = 0; i < 20; i++)
        must_give(r, i, i);
    for (uint32_t i = 3; i < 10; i++)
        put(r, i, i);
    must_have(r, 37);
    return r;
}

static void must_be_bad(struct rig *r)
{
    uint64_t items;
    cr_assert_not(tq_fifo_check(&r->fifo, &items));
    tq_slab_fini(&r->segments);
    tq_slab_fini(&r->links);
    free(r);
}

Test(front, check_sees_places_out_of_order)
{
    struct rig *r = lived_in();
    tq_link_at(&r->fifo.front, r->fifo.front.last)->place = 1;
    must_be_bad(r);
}

Test(front, check_sees_links_that_do_not_agree)
{
    struct rig *r = lived_in();
    tq_link_at(&r->fifo.front, r->fifo.front.last)->prev = r->fifo.front.first;
    must_be_bad(r);
    r = lived_in();
    tq_link_at(&r->fifo.front, r->fifo.front.last)->next = r->fifo.front.first; /* a ring */
    must_be_bad(r);
}

Test(front, check_sees_a_wrong_count_and_a_wrong_first_item)
{
    struct rig *r = lived_in();
    tq_add(&r->fifo.front.count, 1, relaxed);
    must_be_bad(r);
    r = lived_in();
    tq_store(&r->fifo.front.item, 4, relaxed);
    must_be_bad(r);
}

Test(front, check_sees_a_cursor_that_points_elsewhere)
{
    struct rig *r = lived_in();
    cr_assert(tq_fifo_link_take(&r->links, &r->cache, &r->fifo.front.cursor));
    must_be_bad(r);
}

Test(front, check_sees_that_the_fifo_is_not_held_though_the_front_has_items_or_the_reverse)
{
    struct rig *r = lived_in();
    tq_a64 *deq = &tq_segment_at(&r->fifo, (uint32_t)tq_load(&r->fifo.head, relaxed))->deq;
    tq_and(deq, ~(uint64_t)0x80000000u, relaxed);
    must_be_bad(r);
    r = rig_open();
    push(r, 0, 5);
    deq = &tq_segment_at(&r->fifo, (uint32_t)tq_load(&r->fifo.head, relaxed))->deq;
    tq_or(deq, (uint64_t)0x80000000u, relaxed);
    must_be_bad(r);
}
