/* The kernel's wait-on-a-word, private to the process. */
#ifndef TQ_SYNC_FUTEX_H
#define TQ_SYNC_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"

#ifdef TQ_WEAVE
#include "weave.h"
#define tq_futex_wait(word, expected, deadline_ns)                                                 \
    __extension__({                                                                                \
        weave_futex_wait((word), (expected));                                                      \
        true;                                                                                      \
    })
#define tq_futex_wake(word, count) weave_futex_wake((word), (count))
#else

/* Sleep if *word is expected. Returns after a wake-up, a change of the word, a signal, or the deadline on
 * CLOCK_MONOTONIC (INT64_MAX: none): look again at the word. False: the deadline has passed. */
bool tq_futex_wait(tq_a32 *word, uint32_t expected, int64_t deadline_ns);
void tq_futex_wake(tq_a32 *word, int count);

#endif

#endif
