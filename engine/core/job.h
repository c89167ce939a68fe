/* A job in memory: one cache line, and its life as a word.
 *
 * Shape.   word:  generation 32 | flags 24 | state 8
 *
 *              FREE --enqueue--> READY --start--> RUNNING --end--> FREE (generation + 1)
 *                                  ^                 |
 *                                  +----requeue------+
 *                                  +--drop (stop)--> FREE
 *
 *          All changes of state are made by tq_job_become (core/life.c), whose table says which there are.
 *
 * Who may write what. `word`: the owner by tq_job_become; anybody may set WATCHED by a CAS while the generation
 *          is the one that he knows. Everything else: the owner, that is the enqueuer until the job is pushed, the
 *          thread that started it while it runs. `enqueued` and `note` are atomic since others read them and
 *          then check the generation.
 */
#ifndef TQ_CORE_JOB_H
#define TQ_CORE_JOB_H

#include <stddef.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/line.h"

enum tq_state {
    TQ_FREE, /* zero: as a slot comes from the slab */
    TQ_READY,
    TQ_RUNNING
};

#define TQ_STATE_MASK UINT64_C(0xff)
#define TQ_WATCHED UINT64_C(0x100) /* somebody blocks in trq_wait for its end */

enum { TQ_INLINE = 32, TQ_JOBS_SHIFT = 10 /* the slab's chunks have 1 << 10 jobs */ };

struct tq_job {
    TQ_ON_LINE tq_a64 word;
    tq_a64 enqueued; /* mono ns, shifted left by one; lowest bit: this job is timed */
    tq_a32 note;     /* index + 1 of what few jobs need; 0: none */
    uint32_t size;   /* of the inputs */
    uint16_t worker; /* number of the class */
    uint16_t queue;  /* number of the queue */
    uint16_t begun;  /* how often its handler began; stays at the top */
    uint8_t failures;
    uint8_t block_class; /* of the inputs' block; TQ_INLINE_CLASS: they are here */
    union {
        unsigned char inputs[TQ_INLINE];
        uint32_t block; /* index in its class */
        void *large;
    } u;
};
_Static_assert(sizeof(struct tq_job) == TQ_LINE, "a job moves between cores as one line");

static inline enum tq_state tq_word_state(uint64_t word)
{
    return (enum tq_state)(word & TQ_STATE_MASK);
}
static inline uint32_t tq_word_generation(uint64_t word)
{
    return (uint32_t)(word >> 32);
}
static inline uint64_t tq_word(uint32_t generation, enum tq_state state)
{
    return (uint64_t)generation << 32 | (uint64_t)state;
}

#endif
