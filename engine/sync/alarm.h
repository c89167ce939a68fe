/* alarm: when a sleeper will get up by himself, so that who brings something earlier wakes him and nobody else does.
 *
 * Shape.   A word for each domain of time: the tick at which he gets up; NEVER: not by that domain; 0: nobody need
 *          wake him, he is awake or has been told to wake up.
 *
 * Invariant I1 (no lost alarm): when he sleeps and nobody has told him to wake up, nothing was brought in a domain that
 *          is earlier than the alarm of that domain.
 *
 * Protocol and ordering, all seq_cst:
 *   | who brings  B1 make it visible (tq_inbox_push)   B2 load the alarm; later than his tick: 0 in its place by a
 *   |                                                  CAS, and who does that wakes the sleeper
 *   | sleeper     S1 store the alarm of each domain    S2 look for what was brought; there is some: stay awake
 *   If B2 comes before S1 in the one order of seq_cst operations, then B1 comes before S2, which sees what was brought.
 *   Otherwise B2 reads the alarm of S1, or one that came later. Were it that of an earlier sleep, then the sleeper
 *   still slept that sleep when B1 was made, or got up since and comes to S2 of a later one: he sees it there.
 *   The CAS is of the value that was compared. It fails when the sleeper got up, when he published another tick,
 *   which is compared anew, or when another has told him.
 *   One of those who bring something early wakes him; a wake-up that is told before the sleep begins must end it (a
 *   descriptor that stays readable, a word that is compared).
 *
 * Progress: wait-free to arm and disarm, lock-free to ring; one load if nothing need be done.
 *
 * Rejected: a wake-up for each entry (a system call of 500 ns; the sleeper looks up a million times in vain when a
 *   million jobs are scheduled for tomorrow); a mutex around inbox and alarm (all producers on one line).
 */
#ifndef TQ_SYNC_ALARM_H
#define TQ_SYNC_ALARM_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/line.h"

enum { TQ_ALARM_DOMAINS = 2 };
#define TQ_ALARM_NEVER UINT64_MAX

/* Zeroed: the sleeper is awake. */
struct tq_alarm {
    TQ_ON_LINE tq_a64 tick[TQ_ALARM_DOMAINS];
};

/* S1, for each domain. tick 0 counts as 1: he who would get up at once. */
static inline void tq_alarm_arm(struct tq_alarm *alarm, unsigned domain, uint64_t tick)
{
    tq_store(&alarm->tick[domain], tick ? tick : 1, seq_cst);
}

/* He is awake. */
static inline void tq_alarm_disarm(struct tq_alarm *alarm)
{
    for (unsigned i = 0; i < TQ_ALARM_DOMAINS; i++)
        tq_store(&alarm->tick[i], 0, relaxed);
}

/* B2, after something of that tick was made visible; tick 0: he must come now. True: the caller is to wake him. */
static inline bool tq_alarm_ring(struct tq_alarm *alarm, unsigned domain, uint64_t tick)
{
    uint64_t armed = tq_load(&alarm->tick[domain], seq_cst);
    while (TQ_UNLIKELY(tick < armed))
        if (tq_cas(&alarm->tick[domain], &armed, 0, seq_cst, seq_cst))
            return true;
    return false;
}

#endif
