/* park: where idle threads sleep, and whom to wake.
 *
 * What.    A stack of sleeping threads: the last to sleep is the first to be woken, since its caches are warm; and
 *          a count of *searchers*, threads that are awake and look for work. While one searches nobody else is
 *          woken: it will find what has become visible, and if there is more, wake the next.
 *
 * Shape.   One word:   tag 32 | searchers 16 | top 16 (sleeper index + 1; 0: nobody sleeps)
 *          and for each thread a word to sleep on, and the index below it in the stack.
 *
 * Invariant I1 (no lost wake-up): when a publication and its notify have returned and the work is still there,
 *          then a thread is running a job and will look before it sleeps, or one searches, or one has been told to
 *          wake. It never is the case that all sleep.
 *
 * Protocol and ordering; P and Q are seq_cst:
 *   | publisher  P1 make work visible       P2 load the word: nobody searches and somebody sleeps: pop him and
 *   |                                          count him as a searcher, in one CAS
 *   | sleeper    Q1 join the stack and stop searching, in one CAS     Q2 look for work once more; there is some:
 *   |                                          do as a publisher (who is popped may be he himself)
 *   | searcher who has found work: stops searching, and if he was the last, looks and does as a publisher.
 *   If P2 read the word before Q1 (so it saw a searcher, or did not see the sleeper), then Q2 sees P1.
 *   The wake-up itself: the waker's release store of the sleeper's word pairs the sleeper's acquire load.
 *   The tag makes a pop fail that read `below` of a thread which left the stack and came back.
 *
 * Linearisation point: the CAS of the word.
 * Progress: lock-free but for the sleep. With nobody asleep notify is one load.
 *
 * Rejected: one futex on which all sleep (measured with 8 idle threads: 6.5 false wake-ups and 93 us CPU for each
 *   job, against none and 41); a condition variable (a mutex for every notify).
 */
#ifndef TQ_SYNC_PARK_H
#define TQ_SYNC_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/line.h"

enum { TQ_PARK_SLEEPERS_MAX = 65534 };

struct tq_sleeper {
    TQ_ON_LINE tq_a32 awake; /* 0 from Q1 until somebody pops us */
    tq_a32 below;            /* in the stack: index + 1 */
};

struct tq_park {
    TQ_ON_LINE tq_a64 word;
    TQ_ON_LINE struct tq_sleeper *sleepers;
};

void tq_park_init(struct tq_park *park, struct tq_sleeper *sleepers);

/* ---- publishers ---- */

int tq_park_pop_(struct tq_park *park, uint64_t word, bool even_if_searched);

/* After work was made visible. Returns whom to wake by tq_park_wake, or by other means: he is a searcher now.
 * -1: nobody. */
static inline int tq_park_notify(struct tq_park *park)
{
    uint64_t w = tq_load(&park->word, seq_cst); /* P2 */
    if (TQ_LIKELY((uint32_t)(w & 0xffff) == 0 || (w & 0xffff0000u)))
        return -1;
    return tq_park_pop_(park, w, false);
}
/* Everybody must look, for instance at a stop: call until it says -1. */
int tq_park_notify_any(struct tq_park *park);
/* End his sleep. */
void tq_park_wake(struct tq_park *park, int index);

/* ---- the threads ---- */

/* Begin to search, unless `most` do already. */
bool tq_park_search(struct tq_park *park, uint32_t most);
/* Stop searching, since work was found. True: he was the last: look whether there is more, and notify. */
bool tq_park_found(struct tq_park *park);
/* Q1. Then look, notify if there is work, and sleep. */
void tq_park_join(struct tq_park *park, int index, bool was_searching);
/* Until woken; returns as a searcher. */
void tq_park_sleep(struct tq_park *park, int index);
/* Has it been popped? For who sleeps by other means. */
bool tq_park_is_awake(const struct tq_park *park, int index);

uint32_t tq_park_asleep(const struct tq_park *park, uint32_t sleepers_count);

/* Quiescent: the stack has no circle, and who is in it is not awake. */
bool tq_park_check(const struct tq_park *park, uint32_t sleepers_count);

#endif
