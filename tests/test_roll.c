/* The roll: entries by number and by key, against an array. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/core/roll.h"
#include "engine/sync/slab.h"
#include "engine_fixture.h"

enum { MAX = 500, SIZE = 64 };

/* Numbers and keys of what is on the roll, in order of number. */
struct model {
    uint64_t number[MAX], key[MAX];
    uint32_t count;
};

static struct tq_memory memory;
static struct tq_roll roll;

static void open_roll(struct fx_heap *heap)
{
    static struct trq_hooks hooks;
    hooks = fx_hooks(heap);
    tq_memory_init(&memory, &hooks);
    cr_assert(tq_roll_init(&roll, &memory, SIZE, 64, MAX));
}
static void close_roll(struct fx_heap *heap)
{
    tq_roll_fini(&roll);
    cr_assert(heap->blocks == 0 && heap->wrong == 0);
}

static void check(void)
{
    const char *wrong = tq_roll_check(&roll);
    cr_assert_null(wrong, "%s", wrong);
}

static const struct tq_roll_entry *at(uint32_t index)
{
    return tq_roll_at(&roll, index);
}

static bool enter(uint64_t number, uint64_t key)
{
    uint32_t index;
    if (!tq_roll_take(&roll, &index))
        return false;
    tq_roll_enter(&roll, index, number, key);
    return true;
}
static void strike(uint32_t index)
{
    tq_roll_strike(&roll, index);
    tq_roll_give(&roll, index);
}

static void put(struct model *m, uint64_t number, uint64_t key)
{
    uint32_t i = m->count++;
    for (; i && m->number[i - 1] > number; i--) {
        m->number[i] = m->number[i - 1];
        m->key[i] = m->key[i - 1];
    }
    m->number[i] = number;
    m->key[i] = key;
}
static void drop(struct model *m, uint32_t i)
{
    m->count--;
    memmove(&m->number[i], &m->number[i + 1], (m->count - i) * sizeof *m->number);
    memmove(&m->key[i], &m->key[i + 1], (m->count - i) * sizeof *m->key);
}

static void compare(const struct model *m)
{
    uint32_t index = tq_roll_oldest(&roll);
    cr_assert_eq(roll.count, m->count);
    for (uint32_t i = 0; i < m->count; i++, index = tq_roll_next(&roll, index)) {
        cr_assert(at(index)->number == m->number[i] && at(index)->key == m->key[i]);
        cr_assert_eq(tq_roll_by_key(&roll, m->key[i]), index);
        cr_assert_eq(tq_roll_above(&roll, m->number[i] - 1), index);
        cr_assert_eq(tq_roll_above(&roll, m->number[i]), tq_roll_next(&roll, index));
    }
    cr_assert_eq(index, TQ_NONE);
}

Test(roll, is_empty_at_first)
{
    struct fx_heap heap = {0};
    open_roll(&heap);
    cr_assert_eq(tq_roll_oldest(&roll), TQ_NONE);
    cr_assert_eq(tq_roll_above(&roll, 0), TQ_NONE);
    cr_assert_eq(tq_roll_by_key(&roll, 0), TQ_NONE);
    check();
    close_roll(&heap);
}

Test(roll, one_that_holds_nothing_takes_nothing)
{
    struct fx_heap heap = {0};
    uint32_t index;
    struct trq_hooks hooks = fx_hooks(&heap);
    tq_memory_init(&memory, &hooks);
    cr_assert(tq_roll_init(&roll, &memory, SIZE, 64, 0));
    cr_assert(!tq_roll_take(&roll, &index));
    check();
    close_roll(&heap);
}

Test(roll, holds_as_many_as_it_was_made_for)
{
    struct fx_heap heap = {0};
    open_roll(&heap);
    for (uint64_t i = 1; i <= MAX; i++)
        cr_assert(enter(i, i * 7));
    cr_assert(!enter(MAX + 1, 1));
    strike(tq_roll_oldest(&roll));
    cr_assert(enter(MAX + 1, 1));
    cr_assert_eq(at(tq_roll_oldest(&roll))->number, 2);
    check();
    close_roll(&heap);
}

/* As the set does when it is full: in at one end, out at the other. */
Test(roll, the_oldest_goes_first)
{
    struct fx_heap heap = {0};
    open_roll(&heap);
    for (uint64_t i = 1; i <= 20 * MAX; i++) {
        if (roll.count == MAX) {
            cr_assert_eq(at(tq_roll_oldest(&roll))->number, i - MAX);
            strike(tq_roll_oldest(&roll));
        }
        cr_assert(enter(i, i << 32 | 5));
        cr_assert(i % 97 || !tq_roll_check(&roll));
    }
    cr_assert_eq(roll.carved, MAX);
    check();
    close_roll(&heap);
}

Test(roll, an_array_says_the_same)
{
    struct fx_heap heap = {0};
    struct model m = {.count = 0}, away = {.count = 0};
    uint64_t next = 1;
    srand(4711);
    open_roll(&heap);
    for (int step = 0; step < 20000; step++) {
        int what = rand() % 100, grows = step / 4000 % 2 ? 35 : 60;
        uint32_t i = m.count ? (uint32_t)rand() % m.count : 0;
        if (what < grows && m.count + away.count < MAX) {
            uint64_t key = (uint64_t)rand() << 32 | next;
            cr_assert(enter(next, key));
            put(&m, next++, key);
        } else if (what < 90 && m.count) {
            i = what % 2 ? i : 0;
            if (what < 80 || away.count == MAX / 2) {
                strike(tq_roll_by_key(&roll, m.key[i]));
            } else {
                strike(tq_roll_by_key(&roll, m.key[i]));
                put(&away, m.number[i], m.key[i]);
            }
            drop(&m, i);
        } else if (away.count) { /* back, with the number that it had */
            cr_assert(enter(away.number[0], away.key[0]));
            put(&m, away.number[0], away.key[0]);
            drop(&away, 0);
        }
        if (step % 50 == 0) {
            compare(&m);
            check();
        }
    }
    compare(&m);
    cr_assert_gt(next, 5000);
    close_roll(&heap);
}

/* The search for a number must not take as long as the roll is: a tree of this many that came in order, and lost every
 * second one, is no list. */
Test(roll, the_tree_is_not_deep)
{
    enum { MANY = 100000 };
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    tq_memory_init(&memory, &hooks);
    cr_assert(tq_roll_init(&roll, &memory, SIZE, 64, MANY));
    for (uint64_t i = 1; i <= MANY; i++)
        cr_assert(enter(i, i));
    for (uint64_t i = 2; i <= MANY; i += 2)
        strike(tq_roll_by_key(&roll, i));
    int deepest = 0;
    for (uint32_t i = tq_roll_oldest(&roll); i != TQ_NONE; i = tq_roll_next(&roll, i)) {
        int depth = 0;
        for (uint32_t up = i + 1; up; up = at(up - 1)->parent)
            depth++;
        deepest = depth > deepest ? depth : deepest;
    }
    cr_assert_lt(deepest, 64);
    cr_assert_eq(roll.buckets, MANY);
    close_roll(&heap);
}

/* Chains become longer, that is all. */
Test(roll, without_memory_for_buckets_all_are_found)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    enum { MANY = 5000 };
    uint32_t n = 0;
    tq_memory_init(&memory, &hooks);
    cr_assert(tq_roll_init(&roll, &memory, SIZE, 64, MANY));
    for (uint64_t i = 1; n < MANY; i++) {
        heap.calls = 0;
        heap.fail_at = i % 3 ? 1 : 0;
        if (enter(i, i * 3))
            n++;
    }
    heap.fail_at = 0;
    check();
    close_roll(&heap);
}
