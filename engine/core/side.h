/* sides: what only jobs with locks, limits or failures need, beside the job's own line.
 *
 * Everything that its locks may need later is taken here at enqueue (its records in the lock tables, its place in a
 * front list), so that neither a claim, nor parking, nor waking up can fail for want of memory.
 *
 * Records come and go as credits: a job brings one of each kind that it needs; whoever finds no record under its key puts
 * in his own; who leaves a record behind for others takes one of theirs (they all have theirs, since one is in use and
 * each brought one); who leaves none behind takes it along.
 */
#ifndef TQ_CORE_SIDE_H
#define TQ_CORE_SIDE_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/worker.h>

#include "engine/base/atomic.h"
#include "engine/core/job.h"
#include "engine/sync/line.h"
#include "engine/sync/locktab.h"

struct trq_engine;
struct tq_local;
struct tq_space;

/* To the record of worker_key. Written under that key's bucket. */
enum tq_tie {
    TQ_UNTIED,
    TQ_WAITS,   /* parked */
    TQ_INVITED, /* woken: it is ready, and the key is left free for it or another */
    TQ_HOLDS
};

struct tq_side {
    TQ_ON_LINE tq_a32 note; /* as tq_job.cold without a side */
    uint32_t job;           /* its slot */
    uint32_t queue; /* its queue's number; here too, since a side outlives its job a little */
    tq_a32 trail;   /* 0: none; else what hangs there: trail.h */
    tq_a64 queue_key
        [2]; /* a digest; atomic since whoever looks for the job by id reads it, and then checks */
    tq_a64 worker_key
        [2]; /* of the record that it is tied to; its own lock's, if that is made of inputs */
    uint32_t queue_record; /* credits; TQ_NONE: spent */
    uint32_t worker_record;
    tq_a32 tie;    /* enum tq_tie */
    uint32_t link; /* for a front list; TQ_NONE: in one */

    /* In line at a worker lock; written under the bucket. */
    TQ_ON_LINE uint32_t
        prev; /* side + 1, among the waiters of one queue, or the users of the key */
    uint32_t next;
    uint32_t lane_next,
        lane_tail;  /* of the first waiter of a queue: the first one of another; its last */
    uint64_t place; /* in its queue */
    uint64_t order; /* of those who began to wait; 0: it does not yet */
    int64_t since;  /* mono ns: it waits, or holds */
    int64_t first;  /* when it was enqueued, ns on the clock that it is due by */
    /* Its own worker lock, not its worker's. */
    struct tq_space *space;                                        /* NULL: its worker's */
    enum trq_end (*key)(struct trq_job *job, struct trq_key *key); /* NULL: worker_key it is */
};
_Static_assert(sizeof(struct tq_side) == 2 * TQ_LINE, "a side is two lines");

enum { TQ_SIDES_SHIFT = 8 };

/* Of a job that may have none: NULL. What it says is the job's only while its word stays. */
static inline uint32_t tq_cold_side(uint32_t cold)
{
    return cold & TQ_COLD_SIDE ? cold & ~TQ_COLD_SIDE : UINT32_MAX;
}

/* A side for that job, with the credits for these locks. 0 or TRQ_ENOMEM. */
int tq_side_take(struct trq_engine *engine, struct tq_local *local, uint32_t job, uint32_t queue,
                 bool queue_lock, bool worker_lock, uint32_t *out_side);
/* All of it goes back. Returns its note. */
uint32_t tq_side_release(struct trq_engine *engine, struct tq_local *local, uint32_t side);

/* What a side has that only a job needs which waits or runs. */
struct tq_credits {
    uint32_t queue_record, worker_record, link; /* TQ_NONE: none */
};
/* 0 or TRQ_ENOMEM. */
int tq_credits_take(struct trq_engine *engine, struct tq_local *local, bool queue_lock,
                    bool worker_lock, struct tq_credits *out);
void tq_credits_give(struct trq_engine *engine, struct tq_local *local,
                     const struct tq_credits *credits);
/* Its job is dead: they go back, and it has no note any more. The rest stays. */
void tq_side_rest(struct trq_engine *engine, struct tq_local *local, uint32_t side);
/* It is that job's now, with these. */
void tq_side_rise(struct trq_engine *engine, uint32_t side, uint32_t job,
                  const struct tq_credits *credits);

static inline struct tq_digest tq_side_digest(const tq_a64 key[2])
{
    return (struct tq_digest){tq_load(&key[0], relaxed), tq_load(&key[1], relaxed)};
}
static inline void tq_side_set_digest(tq_a64 key[2], struct tq_digest digest)
{
    tq_store(&key[0], digest.a, relaxed);
    tq_store(&key[1], digest.b, relaxed);
}

#endif
