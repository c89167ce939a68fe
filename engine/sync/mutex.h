/* mutex: four bytes, for critical sections of some tens of instructions.
 *
 * What.    A lock that stands inside what it protects: a bucket of the lock table is 8 bytes with it. It is held for a
 *          bounded number of instructions and never across a call of the user's.
 *
 * Shape.   One word:  0 free | 1 held | 2 held, and somebody may sleep. Zeroed memory is an unlocked mutex, and one that
 *          is free may simply be forgotten.
 *
 * Invariants
 *   I1  At most one thread is between lock and unlock.
 *   I2  While a thread sleeps on the word, either the word is 2, or somebody has been woken and has not yet
 *       looked: it is he who sets it to 2 again if he does not get the mutex, and also if he does, since he cannot
 *       know whether he was the last.
 *
 * Ordering
 *   | publishing                  | observing                        | what becomes visible                       |
 *   | M1 unlock: swap, release    | lock: CAS or swap, acquire       | all that was done under the mutex          |
 *   Both ends modify the word, so an unlock also passes on what unlocks before it published.
 *
 * Linearisation point: the CAS or swap that finds 0; the swap that leaves 0.
 *
 * Progress: blocking. A holder that loses its processor makes the others sleep, not spin: after some hundred
 *   nanoseconds they go to the kernel. Not fair: who comes by may overtake who is being woken.
 *
 * Rejected: pthread_mutex_t (40 bytes, and the search for interleavings cannot look into it); a spin lock (with more
 *   threads than processors the tails are 12 to 256 ms); an unlock by a plain store (whether somebody sleeps must be
 *   asked after the store is visible, and the fence for that costs as much as the swap).
 *
 * Source: Drepper, "Futexes Are Tricky", 2011, mutex 3.
 */
#ifndef TQ_SYNC_MUTEX_H
#define TQ_SYNC_MUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/futex.h"
#include "engine/sync/line.h"

struct tq_mutex {
    tq_a32 word;
};

void tq_mutex_lock_slow_(struct tq_mutex *mutex);

static inline bool tq_mutex_try_lock(struct tq_mutex *mutex)
{
    uint32_t unlocked = 0;
    return tq_cas(&mutex->word, &unlocked, 1, acquire, relaxed); /* acq: M1 */
}

static inline void tq_mutex_lock(struct tq_mutex *mutex)
{
    if (TQ_UNLIKELY(!tq_mutex_try_lock(mutex)))
        tq_mutex_lock_slow_(mutex);
}

/* The memory may be gone once the word is 0: another may have locked, unlocked and freed it. The wake-up then goes to
 * an address only, where at worst somebody looks once more. */
static inline void tq_mutex_unlock(struct tq_mutex *mutex)
{
    if (TQ_UNLIKELY(tq_swap(&mutex->word, 0, release) == 2)) /* rel: M1 */
        tq_futex_wake(&mutex->word, 1);
}

/* For assertions and checks: somebody holds it. */
static inline bool tq_mutex_is_held(const struct tq_mutex *mutex)
{
    return tq_load(&mutex->word, relaxed) != 0;
}

#endif
