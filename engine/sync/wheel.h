/* wheel: what is due when. Entries in the order of their ticks, and among equal ticks in that of their coming.
 *
 * What.    A hierarchical timing wheel of 5 levels with 256 slots each: 2^40 ticks, which at 1 ms are 34.8 years. An
 *          entry is a hint for its owner: a 32-bit item, a generation, and a tick. Nothing is ever taken out by name;
 *          what is no longer wanted comes out when it is due, or is swept. One thread at a time uses it (the caller
 *          sees to that), and time is an argument.
 *
 * Shape.   `cursor` is the tick that has been reached. A tick after it stands on the level of the highest digit (of
 *          8 bits) in which it differs from the cursor, in the slot which that digit names:
 *
 *            cursor   02 . 7f . 10 . 33
 *                     02 . 7f . 10 . 35    level 0, slot 35
 *                     02 . 7f . 24 . 00    level 1, slot 24
 *                     02 . 80 . 10 . 33    level 2, slot 80
 *
 *          The fifth level goes round: its slot is the digit itself, at most 255 ahead of the cursor's; what is farther
 *          away is put there and comes out early. A slot is a chain of chunks with 10 entries of 12 bytes; only its
 *          last chunk is not full. Bitmaps tell which slots hold something, so time without entries costs nothing.
 *
 *            slot: head -> [10] -> [10] -> before -> [10] -> tail -> [3 . . .]
 *            due:  what has been reached and not yet been handed out
 *
 *          To move on: the first slot of the lowest level in use. On level 0 its chain becomes `due` as it is. On a
 *          higher one its entries are *poured* into the levels below, in their order, some thousands in one call;
 *          the cursor meanwhile stands one tick before the slot, which keeps its rule.
 *
 * Invariants
 *   I1  Entries of equal tick that are not yet due are in one chain, in the order of their coming; but while a slot is
 *       poured some may be below: those came before those that are still in it. For where a tick stands depends on tick
 *       and cursor alone, and what comes for the slot that is being poured goes to the end of that slot's chain.
 *   I2  All levels below a slot are empty when its pouring begins, since it was the first of the lowest level in use.
 *   I3  No entry comes out before its tick, but for those that were too far away, and those that were due already when
 *       the clock was set back. They come out by tick; what came when its tick had passed counts as of the cursor's.
 *   I4  The wheel has as many chunks as its entries may need however they lie: a tenth of their number, and one for
 *       each slot that they may open, with those counted that were handed out last. An insert that cannot have them
 *       fails and changes nothing; nothing else allocates, so to pour, to sweep and to set back cannot fail.
 *
 * Cost.    12.8 bytes an entry, and at most 170 KB. insert: two or three lines that are usually warm. An entry is
 *          poured at most four times, by tens from memory that is fetched ahead.
 *
 * Rejected: entries linked by index within the objects themselves (a miss for each entry and level: 258 ns to expire
 *   one of a million, 424 of ten million, and a pouring that stops everything for 85 ms); a heap (260 and 463 ns);
 *   slots by distance instead of by digit (an entry that comes late overtakes equal ones that came early and
 *   are still higher up); a sequence number in each entry (a third more memory, and a sort).
 *
 * Source: Varghese and Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987; occupancy bitmaps as in
 *   wahern/timeout.
 */
#ifndef TQ_SYNC_WHEEL_H
#define TQ_SYNC_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sync/chunk.h"

enum {
    TQ_WHEEL_LEVELS = 5,
    TQ_WHEEL_SLOTS = 256 * TQ_WHEEL_LEVELS,
    TQ_WHEEL_STEP = 4096, /* entries that one expire pours, at most */
    TQ_WHEEL_ENTRIES = 10
};
#define TQ_WHEEL_NEVER UINT64_MAX

struct tq_wheel_entry {
    uint32_t item;
    uint32_t generation;
    uint32_t tick; /* its lower half; the slot knows the rest */
};

struct tq_wheel_chunk {
    uint32_t link; /* the next; TQ_NONE */
    uint16_t count;
    uint16_t loose; /* 1: neither full nor the last of its chain */
    struct tq_wheel_entry entry[TQ_WHEEL_ENTRIES];
};
_Static_assert(sizeof(struct tq_wheel_chunk) == TQ_CHUNK_SIZE, "two lines");

struct tq_wheel_chain {
    uint32_t head;
    uint32_t before; /* the last but one */
    uint32_t tail;
};

struct tq_due {
    uint32_t item;
    uint32_t generation;
};

struct tq_wheel {
    struct tq_slab *chunks;
    uint64_t cursor;
    uint64_t count;  /* entries, with `due_taken` */
    uint64_t enough; /* entries for which the chunks suffice (I4) */
    uint32_t owned;  /* chunks, with those in `spare` */
    uint32_t spare;  /* list of unused ones by `link` */
    uint32_t spares;
    uint32_t loose;   /* chunks that are */
    uint32_t out;     /* entries that the last expire handed out, less those that came again */
    uint32_t pouring; /* slot; TQ_NONE: none */
    struct tq_wheel_chain due;
    uint32_t due_taken; /* entries of its first chunk that were handed out */

    uint32_t sweeping; /* slot; TQ_NONE: none */
    uint32_t
        sweep_below; /* slots of lower number are still to be swept; 0: no sweep is under way */
    struct tq_wheel_chain unswept; /* what is left of that slot's chain */

    uint32_t poured_max; /* entries that one call poured, at most so far */
    uint64_t occupied[TQ_WHEEL_LEVELS][4];
    struct tq_wheel_chain slot[TQ_WHEEL_SLOTS];
};

/* chunks: made by tq_chunks_init. */
void tq_wheel_init(struct tq_wheel *wheel, struct tq_slab *chunks, uint64_t now);
/* Its chunks go back; entries are forgotten. */
void tq_wheel_fini(struct tq_wheel *wheel, struct tq_slab_cache *cache);

/* False: out of memory, and nothing has changed. What is in the past comes out with what is due now. */
bool tq_wheel_insert(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t tick,
                     uint32_t item, uint32_t generation);

/* Entries with tick <= now, in the order of ticks, then of coming. Returns how many; *out_more: there may be others, so
 * call again (with at least the same `now`, unless rebase was called). Bounded: at most `max` come out, and at most
 * TQ_WHEEL_STEP are poured; so it may return 0 and say that there is more. */
uint32_t tq_wheel_expire(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t now,
                         struct tq_due *out, uint32_t max, bool *out_more);

/* An entry comes again that the last expire handed out: as insert, but cannot fail. */
void tq_wheel_again(struct tq_wheel *wheel, uint64_t tick, uint32_t item, uint32_t generation);

/* When to call expire: the first tick of any entry; where many share a slot of a higher level, the beginning of that
 * slot, when it can be poured. At most `cursor`: at once. TQ_WHEEL_NEVER: it is empty. */
uint64_t tq_wheel_next(const struct tq_wheel *wheel);

/* The clock was set back: now < cursor. (A clock that went ahead needs nothing: expire goes there.) What was due
 * already stays so and is handed out first: too early now, so its owner inserts it again; let him do that before he
 * inserts others, and equals keep their order. Takes the time of at most 1,021 chunks. */
void tq_wheel_rebase(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t now);

/* Drop what is not live, in a pass over all entries. Looks at no more than `budget` (at least TQ_WHEEL_ENTRIES);
 * returns true when the pass is complete. Between calls the wheel can be used in every way; what came or was handed out
 * since the pass began may have been seen or not. */
bool tq_wheel_sweep(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint32_t budget,
                    bool (*is_live)(void *context, uint32_t item, uint32_t generation),
                    void *context);

static inline uint64_t tq_wheel_count(const struct tq_wheel *wheel)
{
    return wheel->count - wheel->due_taken;
}

/* Is something due, as far as the wheel went? */
static inline bool tq_wheel_has_due(const struct tq_wheel *wheel)
{
    return wheel->due.head != TQ_NONE;
}

/* Every entry stands where its tick says, chains and bitmaps agree, no chunk is lost, and I4. */
bool tq_wheel_check(const struct tq_wheel *wheel);

#endif
