/* fifo: an unbounded queue of 32-bit items, many producers, many consumers; and ahead of it a list of those who go first.
 *
 * What.    A linked list of *segments* of TQ_FIFO_CELLS cells. A producer takes a ticket in the last segment by
 *          fetch-and-add and puts its item into the ticket's cell; a consumer reads the cell at `deq` of the
 *          first segment and takes it by moving `deq` on. Segments come from a type-stable slab and are used again
 *          at once, in any queue: memory is in proportion to the backlog.
 *
 *            head                                   tail
 *             |                                       |
 *             v                                       v
 *          [ x x a b c d e f ] -next-> [ g h i . . . . . ] -next-> NIL (or CLOSED)
 *                ^deq                        ^enq
 *
 *          An item has a *place*, the number of its cell in the queue. A pop tells it, and who wants to wait
 *          somewhere else for a while comes back to it by tq_fifo_put: into the *front*, a list in order of place
 *          (sync/front). All in the front goes before all in the segments. While it is not empty the fifo is *held*:
 *          a bit in `deq` of the first segment makes each consumer's CAS fail, and he takes from the front, under a
 *          mutex. Nobody who finds the bit unset pays for the front.
 *
 * Shape.   Every word carries the *generation* of the segment's present life in its upper half, and a cell the
 *          generation in which it was written. A cell of an older generation is empty: nothing is reset.
 *
 *            enq   generation | closed bit | tickets given (may exceed the number of cells)
 *            deq   generation | held bit | cells taken, or LEFT
 *            next  generation | NIL, CLOSED or segment index + 1
 *            cell  generation | TAKEN or item + 1
 *            head, tail   generation | segment index
 *
 *            deq                  may become
 *            d < cells            d + 1, by any consumer; d | held, by a put or a sweep
 *            cells (used up)      LEFT, by any consumer, if a segment follows; cells | held
 *            LEFT                 nothing: head moves on, and whoever sees it may move it
 *            held, any d          held, d + 1; d; or with cells: head moves on to a segment held from the start. All by
 *                                 him who has the mutex
 *
 * Invariants
 *   I1  In one life a cell goes from empty to an item, or to TAKEN, once.
 *   I2  deq moves from d to d+1 only when cell d is not empty. So when deq has reached the end, no cell of this
 *       life is empty and no late producer can write one; from then on the segment belongs to who unlinks it.
 *   I3  tail is never behind head: who moves head moves tail first. So a segment that head has left is reachable
 *       from nowhere, and every word that a late thread still reads there has another generation soon, which
 *       makes its CAS fail. (A late fetch-and-add on `enq` may burn one ticket of the new life: such a cell is
 *       skipped as that of a producer who is slow.)
 *   I4  Generations of one segment only grow; one whose generations are used up is never used again.
 *   I5  When nobody has the mutex, deq of the first segment is held if and only if the front has an item.
 *   I6  head moves only away from a segment that is LEFT, or held and used up. So who sets the held bit in deq of a
 *       segment, sets it in that of the first.
 *
 * Ordering
 *   | publishing                          | observing                         | what becomes visible          |
 *   | O1 push: CAS of the cell, seq_cst   | pop: load of the cell, seq_cst    | the item and what it names    |
 *   | O2 append: CAS of next, seq_cst     | load of next, seq_cst             | the new segment's words       |
 *   | O3 CAS of tail or head, release     | load, acquire                     | the generation they name, and |
 *   |                                     |                                   | that its deq is held          |
 *   | O4 push: fetch-add of enq, seq_cst  | pop: load of enq, seq_cst         | that a ticket is out          |
 *   | O5 put: CAS of deq, seq_cst         | pop: load of deq, seq_cst         | that the front has something  |
 *   | O6 the mutex                        |                                   | the front, and what it names  |
 *   | O7 pop: CAS of deq, release         | leave: load of deq, acquire       | that `place` was read: the    |
 *   |                                     |                                   | next life may write another   |
 *   | O8 new life: store of next, release | find: load of next, acquire       | that head left the old one    |
 *   seq_cst where `ready` builds on it: a push (or put) that is followed by a seq_cst load of a hint, and a pop that
 *   follows a seq_cst change of that hint: one of the two sees the other.
 *
 * Linearisation. push: the CAS of the cell, or of next. pop of an item: the CAS of deq, or what it does to the front
 *   under the mutex. put: the CAS that sets the held bit, or what it does under the mutex. pop that says empty: the
 *   load of a deq that was not held, behind which neither cell nor ticket (or no segment) was found: what was not
 *   there later, was not there then.
 *   A pop that begins when a push or a put has returned, and that item is there all the time, takes none with a larger
 *   place. A sweep moves items to the front and does not change this: it holds the fifo first.
 *
 * Progress. Lock-free while the front is empty and nobody sweeps. A producer that stops between ticket and cell holds
 *   nobody up: after some patience a consumer marks the cell TAKEN, and that producer takes another ticket when he goes
 *   on. With the front in use consumers wait for who has the mutex: some 100 ns, or for a sweep about 2 us; producers
 *   never do.
 *   FIFO for the items of one producer, and for any two pushes of which one began after the other had ended.
 *
 * Limits. Items below 2^32 - 2. A push needs one spare segment beforehand (tq_fifo_reserve), and a put a link
 *   (tq_fifo_link_take), so that neither can fail for want of memory.
 *
 * Rejected, with what was measured (millions of items a second, one producer and one consumer | 8 threads on 2
 *   cores): Michael-Scott on tagged indices, 5 | 7: two contended CAS an item. A ring that reserves and publishes
 *   in order (ck_ring mpmc), 11 | 0.02: who is preempted between the two holds up all. SCQ, 16-24 | 12: as good,
 *   but each ring is as large as its bound, and a thousand queues want a thousand rings. Hazard pointers or
 *   epochs for the segments: a fence for each operation, which generations make unnecessary.
 *   For the front: a word beside head that each pop reads after its CAS, and brings its item back to the front if the
 *   word is set: an item is then in nobody's queue for a moment, and one with a larger place is taken past it.
 *
 * Source: the ticket-and-poison scheme of LCRQ (Morrison and Afek, PPoPP 2013) and of Ramalhete's FAAArrayQueue,
 *   with generations in place of hazard pointers and a CAS in place of the consumers' fetch-and-add.
 */
#ifndef TQ_SYNC_FIFO_H
#define TQ_SYNC_FIFO_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/front.h"
#include "engine/sync/line.h"
#include "engine/sync/mutex.h"
#include "engine/sync/slab.h"

/* The interleaving search uses a segment of two cells, so that few operations fill it. */
#ifndef TQ_FIFO_CELLS
#define TQ_FIFO_CELLS 112
#endif

struct tq_segment {
    TQ_ON_LINE tq_a64 enq;
    TQ_ON_LINE tq_a64 deq;
    tq_a64 place; /* of the first cell */
    tq_a64 next;
    uint32_t generation; /* of the last life; its owner's while it is in no queue */
    uint32_t link;       /* in a list of spares: index of the next */
    TQ_ON_LINE tq_a64 cell[TQ_FIFO_CELLS];
};

/* How far ahead a pop looks, so that the line of a job is on its way while the two before it run. */
enum { TQ_FIFO_AHEAD = TQ_FIFO_CELLS > 8 ? 3 : 1 };

/* Of how many items a sweep disposes at most while it has the mutex. */
enum { TQ_FIFO_SWEEP = 16 };

enum { TQ_SEGMENTS_SHIFT = 6 }; /* the slab's chunks have 1 << 6 segments */

struct tq_fifo {
    TQ_ON_LINE tq_a64 head;
    TQ_ON_LINE tq_a64 tail;
    TQ_ON_LINE struct tq_slab *segments; /* of struct tq_segment */
    TQ_ON_LINE struct tq_mutex mutex;    /* of what follows, and of a held deq */
    struct tq_front front;
    bool sweeping;      /* a round has begun; the front's cursor, then head, tell how far it is */
    uint64_t sweep_end; /* place behind the last item that it looks at */
};

static inline struct tq_segment *tq_segment_at(const struct tq_fifo *fifo, uint32_t index)
{
    return tq_arena_at_fixed(&fifo->segments->objects, index, sizeof(struct tq_segment),
                             TQ_SEGMENTS_SHIFT);
}

/* One thread's segments: a share of the slab, and spares that pushes use up. And its share of the links, attached
 * where something is put or swept. */
struct tq_fifo_cache {
    struct tq_slab_cache slab;
    struct tq_slab_cache links;
    uint32_t spare; /* list by `link`; TQ_NONE: none */
    uint32_t spares;
};

#define TQ_FIFO_TAKEN UINT32_MAX /* in the lower half of a cell */

/* links: of struct tq_link; NULL: nothing will be put or swept. False: out of memory. */
bool tq_fifo_init(struct tq_fifo *fifo, struct tq_slab *segments, struct tq_slab *links,
                  struct tq_fifo_cache *cache);

/* When nobody uses it any more; items are forgotten. */
void tq_fifo_fini(struct tq_fifo *fifo, struct tq_fifo_cache *cache);

/* After the cache's shares of the slabs are attached: no spares. */
static inline void tq_fifo_cache_init(struct tq_fifo_cache *cache)
{
    cache->spare = TQ_NONE;
    cache->spares = 0;
}

/* All spares but one back to the slab: after a push that was refused, or took fewer than were reserved. */
void tq_fifo_trim_slow(struct tq_slab *segments, struct tq_fifo_cache *cache);
static inline void tq_fifo_trim(struct tq_slab *segments, struct tq_fifo_cache *cache)
{
    if (TQ_UNLIKELY(cache->spares > 1))
        tq_fifo_trim_slow(segments, cache);
}

bool tq_fifo_reserve_slow(struct tq_slab *segments, struct tq_fifo_cache *cache, uint32_t spares);
/* Before a push of `count` items. False: out of memory. */
static inline bool tq_fifo_reserve(struct tq_slab *segments, struct tq_fifo_cache *cache,
                                   uint32_t count)
{
    uint32_t wanted = (count - 1) / TQ_FIFO_CELLS + 1;
    return TQ_LIKELY(cache->spares >= wanted) || tq_fifo_reserve_slow(segments, cache, wanted);
}

/* count items in their order, not as one: a consumer may see some before the rest. The number pushed: less than
 * count only if the queue was closed meanwhile. Reserve first. */
uint32_t tq_fifo_push(struct tq_fifo *fifo, struct tq_fifo_cache *cache, const uint32_t *items,
                      uint32_t count);

/* tq_fifo_push of one item; the usual case without a call. */
static inline uint32_t tq_fifo_push_one(struct tq_fifo *fifo, struct tq_fifo_cache *cache,
                                        uint32_t item)
{
    uint64_t tail = tq_load(&fifo->tail, acquire); /* acq: O3 */
    struct tq_segment *s = tq_segment_at(fifo, (uint32_t)tail);
    uint64_t enq = tq_add(&s->enq, 1, seq_cst); /* O4 */
    /* The same life, not closed, a ticket below the end: in one comparison. */
    if (TQ_LIKELY(enq - (tail >> 32 << 32) < TQ_FIFO_CELLS)) {
        tq_a64 *cell = &s->cell[(uint32_t)enq];
        uint64_t seen = tq_load(cell, relaxed);
        if (TQ_LIKELY(seen >> 32 < tail >> 32 &&
                      tq_cas(cell, &seen, (tail >> 32 << 32) | (item + 1), seq_cst,
                             relaxed))) /* rel: O1 */
            return 1;
    }
    return tq_fifo_push(fifo, cache, &item, 1);
}

/* What a pop gives; rank and wake are of sync/ready. A link is the caller's now: to be freed, or for his next put. */
struct tq_taken {
    uint32_t item;     /* TQ_NONE: nothing, and what follows is not filled */
    uint32_t upcoming; /* likely an item of that fifo soon, to warm its line; or TQ_NONE */
    uint64_t place;    /* where the item stood in that fifo */
    uint32_t link;     /* with which it stood in the front; TQ_NONE: it did not */
    uint32_t rank;     /* which fifo */
    bool wake;         /* a hint was restored: somebody else may have gone to sleep over it */
};

bool tq_fifo_pop_slow(struct tq_fifo *fifo, struct tq_fifo_cache *cache, struct tq_taken *out);
/* False: empty. */
static inline bool tq_fifo_pop(struct tq_fifo *fifo, struct tq_fifo_cache *cache,
                               struct tq_taken *out)
{
    uint64_t head = tq_load(&fifo->head, acquire); /* acq: O3 */
    struct tq_segment *s = tq_segment_at(fifo, (uint32_t)head);
    uint64_t deq = tq_load(&s->deq, relaxed);
    /* The same life, not held, not near the end: in one comparison. */
    if (TQ_LIKELY(deq - (head >> 32 << 32) < TQ_FIFO_CELLS - TQ_FIFO_AHEAD)) {
        uint64_t cell = tq_load(&s->cell[(uint32_t)deq], seq_cst); /* acq: O1 */
        uint64_t place = tq_load(&s->place, relaxed);
        if (TQ_LIKELY(cell >> 32 == head >> 32 && (uint32_t)cell != TQ_FIFO_TAKEN &&
                      tq_cas(&s->deq, &deq, deq + 1, release, relaxed))) { /* rel: O7 */
            uint64_t ahead = tq_load(&s->cell[(uint32_t)deq + TQ_FIFO_AHEAD], relaxed);
            out->item = (uint32_t)cell - 1;
            out->upcoming = ahead >> 32 == head >> 32 && (uint32_t)ahead != TQ_FIFO_TAKEN
                                ? (uint32_t)ahead - 1
                                : TQ_NONE;
            out->place = place + (uint32_t)deq;
            out->link = TQ_NONE;
            return true;
        }
    }
    return tq_fifo_pop_slow(fifo, cache, out);
}

/* ---- ahead of the rest ---- */

/* A link for a put. False: out of memory. */
static inline bool tq_fifo_link_take(struct tq_slab *links, struct tq_fifo_cache *cache,
                                     uint32_t *out_link)
{
    return tq_slab_alloc(links, &cache->links, out_link) == TQ_SLAB_OK;
}
/* One that was not used, or that a pop gave. */
static inline void tq_fifo_link_free(struct tq_slab *links, struct tq_fifo_cache *cache,
                                     uint32_t link)
{
    tq_slab_free(links, &cache->links, link);
}

/* The item goes before all in the fifo that did not come by a put (or a sweep), and among those that did in order of
 * place; behind those of the same place. Also into one that is closed. May wait for the mutex. */
void tq_fifo_put(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint32_t link, uint64_t place,
                 uint32_t item);

/* Who knows which items are dead. */
struct tq_sweeper {
    /* Asked under the mutex: some loads, no lock. What is a tomb stays one until it is dropped. */
    bool (*is_tomb)(void *context, uint32_t item);
    void (*drop)(void *context, uint32_t item); /* it is in the queue no more */
    void *context;
};

/* Looks at up to `step` items in their order and takes out those that are tombs; the others go to the front, each at its
 * place. A round goes through what is in the queue when it begins; a call goes on where the last one stopped, and may be
 * made by several threads. Takes the mutex for TQ_FIFO_SWEEP items at a time.
 * True: the round is not over. False: it is, or there was no memory for links; the next call begins a new one. */
bool tq_fifo_sweep(struct tq_fifo *fifo, struct tq_fifo_cache *cache,
                   const struct tq_sweeper *sweeper, uint32_t step);

/* ---- close, look ---- */

/* No push succeeds that begins after close has returned. What was pushed can be popped. */
void tq_fifo_close(struct tq_fifo *fifo);

/* Close to the number of items while others push and pop; exact but for skipped cells when they do not. */
uint64_t tq_fifo_depth(const struct tq_fifo *fifo);
/* The first item, which may be gone already; TQ_NONE: empty. */
uint32_t tq_fifo_peek(const struct tq_fifo *fifo);

/* *out_ahead: how many items stand before that one, but for those that `dead` (or NULL) knows as tombs, and give or take
 * what moves meanwhile. A walk through the queue, for a
 * diagnosis. False: it is not there, or it moved while we looked. May wait for the mutex. */
bool tq_fifo_find(struct tq_fifo *fifo, uint32_t item, const struct tq_sweeper *dead,
                  uint64_t *out_ahead);

/* The first segment is used up and another one follows: peek sees nothing, pop may find something. */
bool tq_fifo_at_end(const struct tq_fifo *fifo);

/* Quiescent: segments are linked, their words agree, the cells between deq and enq hold items or TAKEN; the front is in
 * order, and the fifo held if it has something.
 * *out_items: how many items. */
bool tq_fifo_check(const struct tq_fifo *fifo, uint64_t *out_items);

#endif
