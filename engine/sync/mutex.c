#include "engine/sync/mutex.h"

/* Looks before sleeping: about as long as a critical section takes, and little beside what the kernel costs. */
#ifndef TQ_MUTEX_SPINS
#define TQ_MUTEX_SPINS 40
#endif

/* Looks without writing, so that the holder's line stays with him until he unlocks. */
static bool spin(struct tq_mutex *mutex)
{
    for (int i = 0; i < TQ_MUTEX_SPINS; i++) {
        uint32_t word = tq_load(&mutex->word, relaxed);
        if (word == 0 && tq_mutex_try_lock(mutex))
            return true;
        if (word == 2)
            return false; /* others sleep already: the holder is late */
        tq_pause();
    }
    return false;
}

void tq_mutex_lock_slow_(struct tq_mutex *mutex)
{
    if (spin(mutex))
        return;
    while (tq_swap(&mutex->word, 2, acquire) != 0) /* acq: M1; I2 */
        tq_futex_wait(&mutex->word, 2, INT64_MAX);
}
