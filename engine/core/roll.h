/* A roll: entries in order of number, found by number, by key, and as the oldest.
 *
 * Shape.   Each object begins with a struct tq_roll_entry. They lie in chunks that are taken as they are needed and kept
 *          until the end; those that are not used hang in a list.
 *
 *              by number: a treap, that is a search tree by number which is a heap by a hash of the number. Numbers
 *                         mostly come in ascending order and go from the low end: both at the tree's margins, in O(1)
 *                         (amortised); anywhere else in O(log n), expected.
 *              by key:    chains under a table that grows by one bucket at a time (linear hashing), so that no call
 *                         moves more than some entries. Without memory for a bucket the chains become longer.
 *
 * Rejected: a list alone (where a page begins would have to be searched for from the oldest on); an array in order of
 *          number (what is taken out of its middle leaves holes, and closing them takes as long as the array is).
 *
 * Threads: one at a time; the caller has a mutex. Allocates a chunk now and then, frees nothing before fini.
 */
#ifndef TQ_CORE_ROLL_H
#define TQ_CORE_ROLL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sync/arena.h"

struct tq_memory;

struct tq_roll_entry {
    uint64_t number;              /* 0: it is not on the roll */
    uint64_t key;                 /* never that of two entries */
    uint32_t parent, left, right; /* index + 1; 0: none */
    uint32_t chain;               /* likewise: of its bucket, or of those not used */
};

struct tq_roll {
    struct tq_arena entries;
    struct tq_arena table; /* of uint32_t: the first of a bucket, index + 1 */
    uint32_t max;
    uint32_t carved; /* that ever were used */
    uint32_t spare;  /* of those that are not used, index + 1 */
    uint32_t count;  /* on the roll */
    uint32_t buckets;
    uint32_t root, first, last; /* index + 1 */
};

/* For at most so many objects, of that size, a multiple of their alignment. False: out of memory. */
bool tq_roll_init(struct tq_roll *roll, const struct tq_memory *memory, uint32_t object_size,
                  uint32_t align, uint32_t max);
void tq_roll_fini(struct tq_roll *roll);

static inline void *tq_roll_at(const struct tq_roll *roll, uint32_t index)
{
    return tq_arena_at(&roll->entries, index);
}

/* An object that is not used; it is the caller's. False: all are, or there is no memory. */
bool tq_roll_take(struct tq_roll *roll, uint32_t *out_index);
void tq_roll_give(struct tq_roll *roll, uint32_t index);

/* On the roll, and off it: then it is the caller's again. */
void tq_roll_enter(struct tq_roll *roll, uint32_t index, uint64_t number, uint64_t key);
void tq_roll_strike(struct tq_roll *roll, uint32_t index);

/* TQ_NONE: there is none. */
uint32_t tq_roll_by_key(const struct tq_roll *roll, uint64_t key);
uint32_t tq_roll_oldest(const struct tq_roll *roll);
/* The first with a number above that one. */
uint32_t tq_roll_above(const struct tq_roll *roll, uint64_t number);
uint32_t tq_roll_next(const struct tq_roll *roll, uint32_t index);

/* NULL, or what is wrong. */
const char *tq_roll_check(const struct tq_roll *roll);

#endif
