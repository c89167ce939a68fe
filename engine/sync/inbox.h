/* inbox: what one thread has to say to the housekeeper. A list without bound, one producer, one consumer.
 *
 * What.    A thread that schedules a job writes an entry into its own inbox and goes on; the housekeeper empties all
 *          inboxes into the wheels. Neither waits for the other, and a producer writes no line that another one writes.
 *
 * Shape.   A list of chunks of 7 entries from a slab that both sides share:
 *
 *            consumer                                producer
 *             | chunk, place                          | tail, used
 *             v                                       v
 *            [x x a b c d e] -link-> [f g h i j k l] -link-> [m n . . . . .]     spare: the next ones
 *
 * Invariants
 *   I1  pushed counts entries that are complete. Entry n is in the chunk that n / 7 links lead to from the first,
 *       at n % 7; entry and link are written before `pushed` goes beyond n, and never changed after.
 *   I2  The consumer does not pass `pushed`. It gives a chunk back when it has read the link, so the producer's tail is
 *       never given back.
 *   I3  After `reserve` there is room for as many pushes: in the tail, and in spares.
 *
 * Ordering
 *   | publishing                         | observing                          | what becomes visible             |
 *   | O1 push: store of pushed, seq_cst  | peek: load of pushed, seq_cst      | entries, links, and all that the |
 *   |                                    |                                    | producer did before              |
 *   | O2 pop: store of popped, relaxed   | is_crowded: load, relaxed          | nothing: it is a hint            |
 *   O1 is seq_cst and not release because the alarm (alarm.h) builds on it: a push that is followed by a seq_cst load
 *   of the alarm, and a look into all inboxes that follows a seq_cst store of it: one of the two sees the other.
 *
 * Linearisation point: the store of `pushed`; of a pop the store of `popped`.
 * Progress: push and pop are wait-free. reserve: as the slab.
 *
 * The producer's side belongs to one thread at a time, and goes from one to the next with a release and an acquire; so
 * does the consumer's.
 *
 * Rejected: striped inboxes of many producers (a CAS, 20 ns, on a line that two cores write; and order within one
 *   thread's entries only if it keeps to its stripe); a bounded ring (what to do when it is full? the caller may
 *   be a handler); the wheel under a mutex (who schedules waits while thousands are poured).
 */
#ifndef TQ_SYNC_INBOX_H
#define TQ_SYNC_INBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/chunk.h"

/* The interleaving search uses a chunk of two entries, so that few operations fill it. */
#ifndef TQ_INBOX_ENTRIES
#define TQ_INBOX_ENTRIES 7
#endif

enum {
    TQ_INBOX_CROWD = 4096, /* entries that wait: somebody should come */
    TQ_INBOX_SPARES =
        64 /* more of them are given back by the next reserve that does not need them */
};

struct tq_inbox_entry {
    uint32_t item;
    uint32_t generation;
    uint64_t tick; /* the owner's use of its highest bits */
};

struct tq_inbox_chunk {
    uint32_t link;
    uint32_t unused;
    struct tq_inbox_entry entry[TQ_INBOX_ENTRIES];
};
_Static_assert(sizeof(struct tq_inbox_chunk) <= TQ_CHUNK_SIZE, "two lines");

struct tq_inbox {
    /* The producer's. */
    TQ_ON_LINE tq_a64 pushed;
    uint32_t tail;
    uint32_t used;  /* entries of the tail */
    uint32_t spare; /* list by `link` */
    uint32_t spares;
    uint32_t first; /* the very first chunk: as a link that leads to it */
    /* The consumer's. */
    TQ_ON_LINE tq_a64 popped;
    uint32_t chunk; /* TQ_NONE: at `first` */
    uint32_t place;
};

void tq_inbox_init(struct tq_inbox *inbox);
/* When nobody uses it any more; entries are forgotten. */
void tq_inbox_fini(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_slab_cache *cache);

/* ---- the producer ---- */

bool tq_inbox_reserve_slow(struct tq_inbox *inbox, struct tq_slab *chunks,
                           struct tq_slab_cache *cache, uint32_t count);
/* Before `count` pushes. False: out of memory. */
static inline bool tq_inbox_reserve(struct tq_inbox *inbox, struct tq_slab *chunks,
                                    struct tq_slab_cache *cache, uint32_t count)
{
    const uint64_t room =
        TQ_INBOX_ENTRIES - inbox->used + (uint64_t)inbox->spares * TQ_INBOX_ENTRIES;
    return TQ_LIKELY(room >= count && inbox->spares <= TQ_INBOX_SPARES) ||
           tq_inbox_reserve_slow(inbox, chunks, cache, count);
}

/* After reserve: cannot fail. */
void tq_inbox_push(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_inbox_entry entry);

/* So many wait that the memory is out of proportion. */
static inline bool tq_inbox_is_crowded(const struct tq_inbox *inbox)
{
    return tq_load(&inbox->pushed, relaxed) - tq_load(&inbox->popped, relaxed) > TQ_INBOX_CROWD;
}

/* ---- the consumer ---- */

/* How many there are, at least. S2 of the alarm. */
static inline uint64_t tq_inbox_count(const struct tq_inbox *inbox)
{
    return tq_load(&inbox->pushed, seq_cst) - tq_load(&inbox->popped, relaxed); /* acq: O1 */
}

/* The first `count` entries, or as many as stand together; *out_count: how many that is. They stay until popped.
 * count: at most what tq_inbox_count said. */
const struct tq_inbox_entry *tq_inbox_peek(const struct tq_inbox *inbox,
                                           const struct tq_slab *chunks, uint64_t count,
                                           uint32_t *out_count);
/* Drop entries that peek gave. */
void tq_inbox_pop(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_slab_cache *cache,
                  uint32_t count);

/* Quiescent: as many chunks are linked as the counts ask for. *out_chunks: how many it has, with its spares. */
bool tq_inbox_check(const struct tq_inbox *inbox, const struct tq_slab *chunks,
                    uint32_t *out_chunks);

#endif
