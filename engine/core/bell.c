#include "engine/core/engine.h"
#include "engine/sync/futex.h"

/* The read-modify-writes of `waiters` order the two sides: if the ringer's comes second it sees the waiter; if it comes
 * first, the waiter's acquires all that the ringer did before, and the waiter looks after it. */

uint32_t tq_bell_enter(struct tq_bell *bell)
{
    uint32_t turn = tq_load(&bell->turn, acquire);
    tq_add(&bell->waiters, 1, acq_rel);
    return turn;
}

uint32_t tq_bell_turn(const struct tq_bell *bell)
{
    return tq_load(&bell->turn, acquire);
}

bool tq_bell_sleep(struct tq_bell *bell, uint32_t turn, int64_t deadline)
{
    return tq_load(&bell->turn, acquire) != turn || tq_futex_wait(&bell->turn, turn, deadline);
}

void tq_bell_leave(struct tq_bell *bell)
{
    tq_sub(&bell->waiters, 1, relaxed);
}

void tq_bell_ring(struct tq_bell *bell)
{
    if (TQ_LIKELY(tq_add(&bell->waiters, 0, acq_rel) == 0))
        return;
    tq_add(&bell->turn, 1, release);
    tq_futex_wake(&bell->turn, INT32_MAX);
}
