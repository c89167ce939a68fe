/* The atomic operations of the engine, each with its memory order in the call.
 *
 * C11 atomics under one short spelling. All lock-free code goes through these names, so that the
 * interleaving search (tests/weave) can compile the very same files against a memory that is weak on
 * purpose: there a load may return any value that C11 allows, and every operation is a point where
 * the scheduler may switch threads.
 *
 * `order` is the bare word: relaxed, acquire, release, acq_rel, seq_cst. Operations that modify
 * return the old value. Ordering stands on the access and not in fences, because ThreadSanitizer
 * understands the former only.
 */
#ifndef TQ_BASE_ATOMIC_H
#define TQ_BASE_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef TQ_WEAVE
#include "weave_atomic.h"
#else

#include <stdatomic.h>

typedef _Atomic uint32_t tq_a32;
typedef _Atomic uint64_t tq_a64;
typedef void *_Atomic tq_aptr;

#define tq_load(p, order) atomic_load_explicit((p), memory_order_##order)
#define tq_store(p, v, order) atomic_store_explicit((p), (v), memory_order_##order)
#define tq_swap(p, v, order) atomic_exchange_explicit((p), (v), memory_order_##order)
#define tq_add(p, v, order) atomic_fetch_add_explicit((p), (v), memory_order_##order)
#define tq_sub(p, v, order) atomic_fetch_sub_explicit((p), (v), memory_order_##order)
#define tq_or(p, v, order) atomic_fetch_or_explicit((p), (v), memory_order_##order)
#define tq_and(p, v, order) atomic_fetch_and_explicit((p), (v), memory_order_##order)

/* True if *p was *expected and is `desired` now; else *expected is what was read, with order
 * `failure`. Strong: it does not fail without a reason. */
#define tq_cas(p, expected, desired, success, failure)                                             \
    atomic_compare_exchange_strong_explicit((p), (expected), (desired), memory_order_##success,    \
                                            memory_order_##failure)

/* A turn of a loop that waits for another thread. */
static inline void tq_pause(void)
{
#if defined __x86_64__ || defined __i386__
    __builtin_ia32_pause();
#elif defined __aarch64__
    __asm__ volatile("yield");
#endif
}

#endif /* TQ_WEAVE */

#endif
