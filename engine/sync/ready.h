/* ready: many fifos, taken strictly by weight, in turn among equals.
 *
 * What.    The fifos in order of weight (their *rank*), and for each two bits that say whether a look into it may
 *          be worth while: *hint* and *doubt*. A consumer looks at hinted fifos, highest rank first. The set of
 *          fifos is fixed; another registration makes another `ready` (see core/registry).
 *
 * Shape.   A word for each 16 ranks:   tag 32 | doubt 16 | hint 16
 *
 *            hint 0            nothing was pushed since somebody looked into it and found it empty
 *            hint 1, doubt 0   there may be something
 *            hint 1, doubt 1   there may be something; a consumer who found it empty is about to look once more
 *                              and then to take the hint away
 *
 *          `open` has a bit for each rank whose fifo may be worked (not paused, and worked by this engine).
 *
 * Invariant I1 (no stranded job, and strictness): when a push and its mark have returned and the item is still
 *          there, its hint is 1. In any state, also while a consumer is taking hints away. So whoever begins to
 *          look then sees it, and takes nothing of lower rank first.
 *
 * Protocol and ordering; all four accesses are seq_cst, so one of the two sides sees the other:
 *   | mark   M1 the push or put                  M2 load the word; if hint 0: or it in; if doubt: and it out   |
 *   | settle S1 CAS: doubt in, tag + 1           S2 pop; found something: mark, done                           |
 *   |        S3 CAS from S1's value: both bits out. Fails if the doubt is gone, or the tag is another            |
 *   If M1 comes after S2's look, then M2 comes after S1: it sees the doubt and removes it, S3 fails. If M1 comes
 *   before the look, the look finds the item. The tag names the settler: a doubt that went and came back is
 *   another consumer's, whose look may not have been yet.
 *
 * Linearisation point: that of the fifo's pop; for "nothing", the last of the loads of the words.
 *
 * Progress: mark wait-free on x86 (or and and); take lock-free.
 *
 * Rejected: one hint bit, cleared, then looked, then set back: between the two another consumer sees no hint and
 *   takes lower work first, and without a seq_cst pair jobs are stranded. A summary word above the words: the
 *   same protocol twice, to save a scan of 63 words at a thousand queues (some 20 ns). Counters instead of
 *   bits: two contended writes for each job.
 */
#ifndef TQ_SYNC_READY_H
#define TQ_SYNC_READY_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/fifo.h"
#include "engine/sync/line.h"

struct tq_memory;

enum { TQ_READY_RANKS_PER_WORD = 16 };

/* Ranks of one weight: first <= rank < end. */
struct tq_ready_level {
    uint32_t first, end;
    tq_a32 turn; /* where the next look among equals begins */
};

struct tq_ready {
    uint32_t count;
    uint32_t words;
    uint32_t alone; /* of the first word: ranks that share their weight with no other */
    tq_a64 *word;
    tq_a32 *open;
    struct tq_fifo **fifo; /* by rank */
    uint32_t *level_of;    /* by rank: index into level */
    struct tq_ready_level *level;
    size_t size; /* of the one block that all of this is in */
};

/* fifos and weights in order of rank, that is weights descending. All are closed to work at first, and without a
 * hint. NULL: out of memory. */
struct tq_ready *tq_ready_create(const struct tq_memory *memory, struct tq_fifo *const *fifos,
                                 const int32_t *weights, uint32_t count);
void tq_ready_destroy(const struct tq_memory *memory, struct tq_ready *ready);

/* May work the fifo of that rank, or may not. A take that begins afterwards obeys. */
void tq_ready_open(struct tq_ready *ready, uint32_t rank, bool open);

void tq_ready_mark_slow(struct tq_ready *ready, uint32_t rank);
/* After a push into that fifo, or a put. */
static inline void tq_ready_mark(struct tq_ready *ready, uint32_t rank)
{
    uint64_t both = (uint64_t)0x10001 << rank % TQ_READY_RANKS_PER_WORD;
    uint64_t hint = (uint64_t)1 << rank % TQ_READY_RANKS_PER_WORD;
    uint64_t w = tq_load(&ready->word[rank / TQ_READY_RANKS_PER_WORD], seq_cst); /* M2 */
    if (TQ_UNLIKELY((w & both) != hint))
        tq_ready_mark_slow(ready, rank);
}

/* The first item of the first fifo that has one. thorough: also settle the hint of the only fifo there is to look
 * at when it is empty; before one goes to sleep. False: nothing, and out->item is TQ_NONE. */
bool tq_ready_take(struct tq_ready *ready, struct tq_fifo_cache *cache, bool thorough,
                   struct tq_taken *out);

/* What was taken from that rank was nothing to run: among its equals it has its turn again. */
void tq_ready_again(struct tq_ready *ready, uint32_t rank);

/* Is a look worth while? A hint that proves empty at a glance does not count; reads what a producer writes last, and
 * nothing that it is about to write. May be wrong either way. */
bool tq_ready_glance(const struct tq_ready *ready);

/* Is there a hint that nobody is about to take away? After a thorough take that found nothing, and the sleeper's
 * announcement, false means: safe to sleep. */
bool tq_ready_any(const struct tq_ready *ready);

/* Quiescent: I1 for every fifo. */
bool tq_ready_check(const struct tq_ready *ready);

#endif
