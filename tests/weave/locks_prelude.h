/* Before each source that the searches of jobs and locks compile: what is not under proof, and would only make more points.
 *
 * Counters of one thread, which nobody reads there, become plain additions, and the parts of a key are not mixed.
 * (pthread_getspecific and sched_yield have other names there: see meson.build.)
 */
#ifndef WEAVE_LOCKS_PRELUDE_H
#define WEAVE_LOCKS_PRELUDE_H

#include "engine/base/siphash.h"
#include "engine/core/local.h"

#define tq_count(counter, n) ((void)(*(counter) += (n)))

/* A key is what a key function of the story put there. */
#define tq_siphash_end(hash) ((struct tq_digest){(hash)->tail, 1})

#endif
