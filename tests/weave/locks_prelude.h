/* Before each source that the searches of jobs and locks compile: what is not under proof, and would only make more points.
 *
 * Counters of one thread, which nobody reads there, become plain additions, and the parts of a key are not mixed.
 * (pthread_getspecific and sched_yield have other names there: see meson.build.)
 */
#ifndef WEAVE_LOCKS_PRELUDE_H
#define WEAVE_LOCKS_PRELUDE_H

#include <string.h>

#include "engine/base/siphash.h"
#include "engine/core/local.h"
#include "engine/sync/mutex.h"

#define tq_count(counter, n) ((void)(*(counter) += (n)))

/* A key is what a key function of the story put there. */
#define tq_siphash_end(hash) ((struct tq_digest){(hash)->tail, 1})

/* The text of a failure is plain data that the search looks after (locks.c). */
void *locks_copy(void *to, const void *from, size_t size);
#undef memcpy
#define memcpy(to, from, size) locks_copy((to), (from), (size))

/* Seeded faults: a mutex that a thread does not take. */
bool locks_leaves_out(const struct tq_mutex *mutex);
static inline void locks_mutex_lock(struct tq_mutex *mutex)
{
    if (!locks_leaves_out(mutex))
        tq_mutex_lock(mutex);
}
static inline void locks_mutex_unlock(struct tq_mutex *mutex)
{
    if (!locks_leaves_out(mutex))
        tq_mutex_unlock(mutex);
}
#define tq_mutex_lock(mutex) locks_mutex_lock(mutex)
#define tq_mutex_unlock(mutex) locks_mutex_unlock(mutex)

#endif
