/* front: items that go ahead of a fifo, in order of place.
 *
 * What.    A list, doubly linked, of links that come from a slab which many fronts share. A link is taken from the
 *          slab by who puts an item, before he needs it, so that putting cannot fail.
 *
 *            first                              last
 *              |                                  |
 *              v                                  v
 *            [3] <-> [5] <-> [8] <-> [40] <-> [41]        in brackets: places, ascending; equals as they came
 *                             ^
 *                           near: where the last one was inserted
 *
 *          An item is inserted at an end or near the last insertion: that is where nearly all belong, since a sweep
 *          appends and those who come back come in the order in which they went. Otherwise from there on by a scan.
 *
 * Ordering. All of it under the fifo's mutex, but for `count` and `item`, which anybody may read at any time, and
 *          `life` of a link: a thread that went away from a link in the middle of a walk finds out by it, when it
 *          holds the mutex again, whether the link still stands where it was.
 *
 * Rejected: a heap (a walk in order, and the removal from the middle, cost more than the scan does here); a skip
 *          list (24 bytes a link become 60, for an insertion into the middle that hardly occurs).
 */
#ifndef TQ_SYNC_FRONT_H
#define TQ_SYNC_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/slab.h"

struct tq_link {
    uint64_t place;
    uint32_t item;
    uint32_t next, prev; /* TQ_NONE: none */
    tq_a32 life;         /* raised when it is unlinked */
};

/* The slab's chunks have 1 << TQ_LINKS_SHIFT links. (Fewer under the interleaving search, which sets them up anew for each
 * execution.) */
#ifndef TQ_LINKS_SHIFT
#define TQ_LINKS_SHIFT 10
#endif

struct tq_front {
    tq_a32 count;
    tq_a32 item; /* of the first link; TQ_NONE: empty */
    uint32_t first, last;
    uint32_t near;         /* any link, or TQ_NONE */
    uint32_t cursor;       /* the next to be swept; moves on when it is unlinked */
    struct tq_slab *links; /* of struct tq_link */
};

static inline struct tq_link *tq_link_at(const struct tq_front *front, uint32_t index)
{
    return tq_arena_at_fixed(&front->links->objects, index, sizeof(struct tq_link), TQ_LINKS_SHIFT);
}

/* links: NULL if nothing will be put. */
void tq_front_init(struct tq_front *front, struct tq_slab *links);

void tq_front_insert(struct tq_front *front, uint32_t index, uint64_t place, uint32_t item);
void tq_front_unlink(struct tq_front *front, uint32_t index);

/* Links both ways, places ascend, and the words that all may read agree. */
bool tq_front_check(const struct tq_front *front);

#endif
