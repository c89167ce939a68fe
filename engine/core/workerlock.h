/* Worker locks: at most `limit` jobs of a key run at a time; the others park without a thread.
 *
 * Shape.   Under the key's digest, in the table engine->worker_locks, a record:
 *
 *              users    the jobs that hold the key, and those that were *invited*: woken, since the key is free, and
 *                       ready again at the front of their queue
 *              lanes    those that wait, by queue:    lane -> lane -> ...      (lane_next)
 *                                                      |       |
 *                                                      v       v
 *                                                     next    next             in order of place
 *
 * Invariants, under the record's bucket
 *   I1  holders <= limit.
 *   I2  (no waiter forgotten) If holders + invited < limit, then no lane belongs to a queue that may be worked. For
 *       each key that could be had somebody is on his way to have it.
 *   I3  A job of state PARKED stands in exactly one lane, of the record that its worker_key names. It leaves that state
 *       only under that bucket. Besides, one that is STARTING may stand there, about to lie down: if it is invited,
 *       it finds out when it does.
 *   I4  The record's credits: users + waiters of it have brought as many records as they are, one of which is this.
 *
 *   Only running jobs hold keys. An invited one does not: whoever asks first gets it, and the invited one parks again at
 *   its old place. But it stands for I2 until it has asked. Whatever else becomes of it (cancelled, replaced, its
 *   queue paused, another key wanted now) ends the invitation, and the next is invited in its stead.
 *
 * Order: weight of the queue, then place in it; between queues of one weight, who began to wait first.
 *
 * Lock order: bucket of a queue lock -> bucket of a worker lock -> mutex of a front list. No user code under any.
 */
#ifndef TQ_CORE_WORKERLOCK_H
#define TQ_CORE_WORKERLOCK_H

#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/side.h"

struct tq_worker_key {
    struct tq_record record; /* first */
    uint32_t limit;
    uint32_t holders, invited, waiting;
    uint32_t users; /* side + 1 */
    uint32_t lanes; /* side + 1: the first waiter of a queue */
};

/* A job that is STARTING asks for the key; its side knows its place. True: it holds it. False: it stands in line, and is
 * to lie down when it has put its things away. */
bool tq_worker_lock_take(struct trq_engine *engine, struct tq_local *local, uint32_t side,
                         struct tq_digest digest, uint32_t limit, int64_t now);
/* It becomes PARKED, and is no longer the caller's (LIES); or it has been invited meanwhile and is to ask again (CALLED);
 * or it was cancelled and has left the line (CALLED_OFF). In the last two it is still STARTING. */
enum tq_lie_down { TQ_LIES, TQ_CALLED, TQ_CALLED_OFF };
enum tq_lie_down tq_worker_lock_lie_down(struct trq_engine *engine, struct tq_local *local,
                                         uint32_t side);
/* The run is over. A release by one who does not hold it is counted and does nothing. */
void tq_worker_lock_release(struct trq_engine *engine, struct tq_local *local, uint32_t side);
/* An invited job will not ask for that key after all. Nothing if it is not invited. */
void tq_worker_lock_decline(struct trq_engine *engine, struct tq_local *local, uint32_t side);

/* End a PARKED job: the transition and the way out of its lane. False: it is not that any more; *word is what it was,
 * or is. */
bool tq_worker_lock_end_parked(struct trq_engine *engine, uint32_t index, uint64_t *word,
                               enum tq_reason reason);

/* Queues have been paused or resumed: see to I2 everywhere. O(keys). */
void tq_worker_locks_review(struct trq_engine *engine, struct tq_local *local);

/* For explain. False: it is not parked any more. */
struct tq_parked_look {
    uint64_t ahead; /* waiters that would be invited before it */
    uint64_t key;   /* half of its digest */
    int64_t since;  /* mono */
    const char *worker, *space;
    struct tq_queue *queue;
    struct trq_job_id holder;
    const char *holder_worker; /* NULL: nobody holds it */
    int64_t holder_since;
};
bool tq_worker_lock_look(struct trq_engine *engine, uint32_t index, uint64_t word,
                         struct tq_parked_look *out);

/* Quiescent: is what the records say what the jobs say? NULL, or what is wrong. *out_waiting: all waiters. */
const char *tq_worker_locks_check(struct trq_engine *engine, uint64_t *out_waiting);

#endif
