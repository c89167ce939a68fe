/* A job in memory: one cache line, and its life as a word.
 *
 * Shape.   word:  generation 32 | more flags 11 | turn 5 | flags 8 | state 8
 *
 *                            +---- due, run now ----+       +---------------- requeue ---------------+
 *                            |                      v       v                                        |
 *              FREE --> SCHEDULED                   READY --+----------------------------------> RUNNING --> FREE
 *               |            ^                      ^   |   |                                     ^  |
 *               +------------|--- enqueue ----------+   |   +--> STARTING --- key is held --------+  |
 *                            |                      |   |            |                               |
 *                            |                 woken|   |            v                               |
 *                            |                      +---|-------- PARKED <---- key has changed ------+
 *                            +---- requeue later -------|--------------------------------------------+
 *                                                       v
 *                             HELD --> TOMB: ended, but its index still stands in its queue --popped--> FREE
 *
 *          A job that has failed goes the ways of a requeue. STARTING, PARKED: only jobs with a worker lock. FREE, or HELD
 *          from READY, by every end. HELD: a job that has
 *          ended in its queue is being taken out of its slot, which becomes a TOMB, or READY again, filled with the job
 *          that takes its place in line; some tens of instructions, for which who has popped the index waits.
 *          All changes of state are made by tq_job_become (core/life.h), whose table says which there are.
 *
 * Who may write what. `word`: who moves the job on, by tq_job_become; anybody may set WATCHED, STOP_ASKED or ABSORBED by a
 *          CAS while the generation is the one that he knows. A job leaves SCHEDULED, and its due time and `turn` are
 *          changed, only under its stripe (core/schedule.h), and `turn` besides by who has it running; it leaves PARKED only
 *          under its key's bucket
 *          (core/workerlock.h). Everything else: the owner, that is the enqueuer until the job is published, the
 *          thread that started it while it is STARTING or RUNNING, who ended it by the transition. `enqueued` and
 *          `cold` are atomic since others read them and then check the generation.
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
    TQ_STARTING,
    TQ_RUNNING,
    TQ_SCHEDULED,
    TQ_PARKED,
    TQ_HELD,
    TQ_TOMB,
    TQ_STATES
};

#define TQ_STATE_MASK UINT64_C(0xff)
#define TQ_WATCHED UINT64_C(0x100)       /* somebody blocks in trq_wait for its end */
#define TQ_QUEUE_LOCKED UINT64_C(0x200)  /* it has a queue lock, held while it waits ... */
#define TQ_FROM_START UINT64_C(0x400)    /* ... and also while it is scheduled */
#define TQ_WORKER_LOCKED UINT64_C(0x800) /* it has a worker lock */
#define TQ_ABSORBED UINT64_C(0x1000)   /* a duplicate was answered by it since it was last ready */
#define TQ_STOP_ASKED UINT64_C(0x2000) /* cancelled while it was STARTING or RUNNING */
#define TQ_WALL UINT64_C(0x4000)       /* scheduled: due by the wall clock */
#define TQ_EXPIRES UINT64_C(0x8000)    /* it must begin before its trail says so */
#define TQ_OLD UINT64_C(0x200000)      /* its inputs are of another version of the declaration */
#define TQ_RETRIES UINT64_C(0x800000)  /* it waits for another attempt, since one failed */
#define TQ_LIMITED UINT64_C(0x400000)  /* a time-out or a deadline of its own is in its trail */
/* Tells the timer entry of now from older ones. */
#define TQ_TURN UINT64_C(0x1f0000)
/* What a job has for good, also when it is dead and tried again. */
#define TQ_LASTING                                                                                 \
    (TQ_QUEUE_LOCKED | TQ_FROM_START | TQ_WORKER_LOCKED | TQ_EXPIRES | TQ_OLD | TQ_LIMITED)
/* These lead off the straight way from a queue to a handler. */
#define TQ_CAREFULLY (TQ_WORKER_LOCKED | TQ_EXPIRES | TQ_OLD)
enum { TQ_TURN_SHIFT = 16, TQ_ITEM_BITS = 27 /* of a slot: 2^26 jobs, and what threads bring */ };

_Static_assert((TQ_TURN >> TQ_TURN_SHIFT) < UINT64_C(1) << (32 - TQ_ITEM_BITS), "both in 32 bits");

#define TQ_COLD_SIDE UINT32_C(0x80000000)

enum { TQ_INLINE = 32, TQ_JOBS_SHIFT = 10 /* the slab's chunks have 1 << 10 jobs */ };

struct tq_job {
    TQ_ON_LINE tq_a64 word;
    tq_a64
        enqueued; /* mono ns, shifted left by one; lowest bit: this job is timed. SCHEDULED: due, ns */
    tq_a32 cold; /* what few jobs need. 0: nothing; TQ_COLD_SIDE | side; else note index + 1 */
    uint32_t size : 25;       /* of the inputs */
    uint32_t block_class : 7; /* of their block; TQ_INLINE_CLASS: they are here */
    tq_a32 kind;   /* numbers of the class and, above, of the queue; atomic as `cold` is */
    tq_a32 counts; /* starts, and from bit 16 on attempts that failed; atomic as `cold` is */
    union {
        unsigned char inputs[TQ_INLINE];
        uint32_t block; /* index in its class */
        void *large;
    } u;
};
_Static_assert(sizeof(struct tq_job) == TQ_LINE, "a job moves between cores as one line");

static inline uint32_t tq_job_class_number(const struct tq_job *job)
{
    return tq_load(&job->kind, relaxed) & 0xffff;
}
static inline uint32_t tq_job_queue_number(const struct tq_job *job)
{
    return tq_load(&job->kind, relaxed) >> 16;
}
static inline void tq_job_set_kind(struct tq_job *job, uint32_t class_number, uint32_t queue_number)
{
    tq_store(&job->kind, class_number | queue_number << 16, relaxed);
}

/* Each stays at its top. */
static inline uint16_t tq_job_begun(const struct tq_job *job)
{
    return (uint16_t)tq_load(&job->counts, relaxed);
}
static inline uint16_t tq_job_failures(const struct tq_job *job)
{
    return (uint16_t)(tq_load(&job->counts, relaxed) >> 16);
}
static inline void tq_job_set_counts(struct tq_job *job, uint16_t begun, uint16_t failures)
{
    tq_store(&job->counts, begun | (uint32_t)failures << 16, relaxed);
}

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

/* What a timer entry bears: slot and turn. */
static inline uint32_t tq_item(uint32_t index, uint64_t word)
{
    return index | (uint32_t)((word & TQ_TURN) >> TQ_TURN_SHIFT) << TQ_ITEM_BITS;
}
static inline uint32_t tq_item_index(uint32_t item)
{
    return item & ((1u << TQ_ITEM_BITS) - 1);
}
static inline uint64_t tq_item_turn(uint32_t item)
{
    return (uint64_t)(item >> TQ_ITEM_BITS) << TQ_TURN_SHIFT;
}
static inline uint64_t tq_next_turn(uint64_t word)
{
    return (word & ~TQ_TURN) | ((word + (UINT64_C(1) << TQ_TURN_SHIFT)) & TQ_TURN);
}

#endif
