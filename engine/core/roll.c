#include "engine/core/roll.h"

#include "engine/base/memory.h"
#include "engine/sync/slab.h"

enum { CHUNK = 64, TABLE_CHUNK = 1024 };

bool tq_roll_init(struct tq_roll *roll, const struct tq_memory *memory, uint32_t object_size,
                  uint32_t align, uint32_t max)
{
    *roll = (struct tq_roll){.max = max};
    return tq_arena_init(&roll->entries, memory, object_size, align, CHUNK, max ? max : 1) &&
           tq_arena_init(&roll->table, memory, sizeof(uint32_t), sizeof(uint32_t), TABLE_CHUNK,
                         max ? max : 1);
}

void tq_roll_fini(struct tq_roll *roll)
{
    tq_arena_fini(&roll->table);
    tq_arena_fini(&roll->entries);
}

/* Links are index + 1. */
static struct tq_roll_entry *entry(const struct tq_roll *roll, uint32_t link)
{
    return tq_roll_at(roll, link - 1);
}

static uint32_t index_of(uint32_t link)
{
    return link ? link - 1 : TQ_NONE;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

/* ---- by key -------------------------------------------------------------------------------------------------- */

static uint32_t *bucket_at(const struct tq_roll *roll, uint32_t i)
{
    return tq_arena_at(&roll->table, i);
}

/* The largest power of two that is not above it. */
static uint32_t floor_power(uint32_t n)
{
    return 1u << (31 - __builtin_clz(n));
}

static uint32_t *bucket_of(const struct tq_roll *roll, uint64_t key)
{
    uint32_t hash = (uint32_t)mix(key), power = floor_power(roll->buckets);
    uint32_t i = hash & (2 * power - 1);
    return bucket_at(roll, i < roll->buckets ? i : i & (power - 1));
}

/* One bucket more takes half of what another has. False: no memory. */
static bool split(struct tq_roll *roll)
{
    uint32_t fresh = roll->buckets;
    if (!tq_arena_ensure(&roll->table, fresh, 1))
        return false;
    roll->buckets++;
    if (!fresh)
        return true;
    uint32_t *from = bucket_at(roll, fresh - floor_power(fresh));
    uint32_t at = *from;
    *from = 0;
    while (at) {
        struct tq_roll_entry *e = entry(roll, at);
        uint32_t next = e->chain, *to = bucket_of(roll, e->key);
        e->chain = *to;
        *to = at;
        at = next;
    }
    return true;
}

static void link_key(struct tq_roll *roll, uint32_t me)
{
    enum { AT_ONCE = 2 }; /* one more than need be: it may have fallen behind for want of memory */
    struct tq_roll_entry *e = entry(roll, me);
    for (int i = 0; i < AT_ONCE && roll->buckets < roll->count && split(roll); i++)
        ;
    uint32_t *bucket = bucket_of(roll, e->key);
    e->chain = *bucket;
    *bucket = me;
}

static void unlink_key(struct tq_roll *roll, uint32_t me)
{
    uint32_t *at = bucket_of(roll, entry(roll, me)->key);
    while (*at != me)
        at = &entry(roll, *at)->chain;
    *at = entry(roll, me)->chain;
}

uint32_t tq_roll_by_key(const struct tq_roll *roll, uint64_t key)
{
    uint32_t at = roll->count ? *bucket_of(roll, key) : 0;
    while (at && entry(roll, at)->key != key)
        at = entry(roll, at)->chain;
    return index_of(at);
}

/* ---- by number ------------------------------------------------------------------------------------------------- */

static bool is_above(const struct tq_roll *roll, uint32_t a, uint32_t b)
{
    return mix(entry(roll, a)->number) > mix(entry(roll, b)->number);
}

/* `to` (0: nothing) takes the place of `from` under its parent. */
static void take_place(struct tq_roll *roll, uint32_t parent, uint32_t from, uint32_t to)
{
    if (!parent)
        roll->root = to;
    else if (entry(roll, parent)->left == from)
        entry(roll, parent)->left = to;
    else
        entry(roll, parent)->right = to;
    if (to)
        entry(roll, to)->parent = parent;
}

/* It becomes its parent's parent. */
static void rotate_up(struct tq_roll *roll, uint32_t me)
{
    struct tq_roll_entry *e = entry(roll, me);
    uint32_t parent = e->parent, child;
    struct tq_roll_entry *p = entry(roll, parent);
    take_place(roll, p->parent, parent, me);
    if (p->left == me) {
        p->left = child = e->right;
        e->right = parent;
    } else {
        p->right = child = e->left;
        e->left = parent;
    }
    p->parent = me;
    if (child)
        entry(roll, child)->parent = parent;
}

/* As a leaf at its place. */
static void hang(struct tq_roll *roll, uint32_t me)
{
    struct tq_roll_entry *e = entry(roll, me);
    uint32_t at = roll->last, parent = 0;
    bool left = false;
    if (at && e->number > entry(roll, at)->number) {
        parent = at;
    } else {
        for (at = roll->root; at; at = left ? entry(roll, at)->left : entry(roll, at)->right) {
            parent = at;
            left = e->number < entry(roll, at)->number;
        }
    }
    e->parent = parent;
    e->left = e->right = 0;
    if (!parent)
        roll->root = me;
    else if (left)
        entry(roll, parent)->left = me;
    else
        entry(roll, parent)->right = me;
}

static uint32_t step(const struct tq_roll *roll, uint32_t me, bool forward)
{
    const struct tq_roll_entry *e = entry(roll, me);
    uint32_t at = forward ? e->right : e->left, next;
    if (at) {
        while ((next = forward ? entry(roll, at)->left : entry(roll, at)->right))
            at = next;
        return at;
    }
    for (at = e->parent; at && (forward ? entry(roll, at)->right : entry(roll, at)->left) == me;
         at = entry(roll, at)->parent)
        me = at;
    return at;
}

static void link_number(struct tq_roll *roll, uint32_t me)
{
    hang(roll, me);
    while (entry(roll, me)->parent && is_above(roll, me, entry(roll, me)->parent))
        rotate_up(roll, me);
    uint64_t number = entry(roll, me)->number;
    if (!roll->first || number < entry(roll, roll->first)->number)
        roll->first = me;
    if (!roll->last || number > entry(roll, roll->last)->number)
        roll->last = me;
}

static void unlink_number(struct tq_roll *roll, uint32_t me)
{
    struct tq_roll_entry *e = entry(roll, me);
    if (roll->first == me)
        roll->first = step(roll, me, true);
    if (roll->last == me)
        roll->last = step(roll, me, false);
    while (e->left && e->right)
        rotate_up(roll, is_above(roll, e->left, e->right) ? e->left : e->right);
    take_place(roll, e->parent, me, e->left ? e->left : e->right);
}

uint32_t tq_roll_oldest(const struct tq_roll *roll)
{
    return index_of(roll->first);
}

uint32_t tq_roll_above(const struct tq_roll *roll, uint64_t number)
{
    uint32_t found = 0;
    for (uint32_t at = roll->root; at;) {
        bool above = entry(roll, at)->number > number;
        if (above)
            found = at;
        at = above ? entry(roll, at)->left : entry(roll, at)->right;
    }
    return index_of(found);
}

uint32_t tq_roll_next(const struct tq_roll *roll, uint32_t index)
{
    return index_of(step(roll, index + 1, true));
}

/* ---- entries ----------------------------------------------------------------------------------------------------- */

bool tq_roll_take(struct tq_roll *roll, uint32_t *out_index)
{
    if (!roll->buckets && !split(roll))
        return false;
    if (roll->spare) {
        *out_index = roll->spare - 1;
        roll->spare = entry(roll, roll->spare)->chain;
        return true;
    }
    if (roll->carved == roll->max || !tq_arena_ensure(&roll->entries, roll->carved, 1))
        return false;
    *out_index = roll->carved++;
    return true;
}

void tq_roll_give(struct tq_roll *roll, uint32_t index)
{
    entry(roll, index + 1)->chain = roll->spare;
    roll->spare = index + 1;
}

void tq_roll_enter(struct tq_roll *roll, uint32_t index, uint64_t number, uint64_t key)
{
    struct tq_roll_entry *e = tq_roll_at(roll, index);
    e->number = number;
    e->key = key;
    roll->count++;
    link_key(roll, index + 1);
    link_number(roll, index + 1);
}

void tq_roll_strike(struct tq_roll *roll, uint32_t index)
{
    unlink_number(roll, index + 1);
    unlink_key(roll, index + 1);
    entry(roll, index + 1)->number = 0;
    roll->count--;
}

/* ---- check --------------------------------------------------------------------------------------------------------- */

static const char *check_entry(const struct tq_roll *roll, uint32_t me, uint32_t before)
{
    const struct tq_roll_entry *e = entry(roll, me);
    const uint32_t children[] = {e->left, e->right};
    if (!e->number || (before && e->number <= entry(roll, before)->number))
        return "the dead are out of order";
    for (int i = 0; i < 2; i++)
        if (children[i] &&
            (entry(roll, children[i])->parent != me || is_above(roll, children[i], me)))
            return "the tree of the dead is no heap";
    if (tq_roll_by_key(roll, e->key) != me - 1)
        return "a dead job is not found by its id";
    return NULL;
}

const char *tq_roll_check(const struct tq_roll *roll)
{
    uint32_t count = 0, spare = 0, before = 0;
    const char *wrong = NULL;
    if ((roll->root && entry(roll, roll->root)->parent) ||
        tq_roll_above(roll, 0) != index_of(roll->first))
        return "the tree of the dead has another root or first";
    for (uint32_t at = roll->first; at && !wrong; before = at, at = step(roll, at, true)) {
        if (count++ > roll->count)
            return "the tree of the dead is a circle";
        wrong = check_entry(roll, at, before);
    }
    if (wrong)
        return wrong;
    for (uint32_t at = roll->spare; at && spare <= roll->carved; at = entry(roll, at)->chain)
        spare += entry(roll, at)->number == 0;
    if (before != roll->last || count != roll->count || count + spare != roll->carved)
        return "the dead have been miscounted";
    return NULL;
}
