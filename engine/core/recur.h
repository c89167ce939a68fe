/* recur: recurring jobs. A table by name, and one timer for each in the wheels of the housekeeping.
 *
 * What.    A *recurrence* has a specification (recurspec.h: worker, inputs, times; never changed, shared by count), its
 *          counts, and `next`: the first firing that has not been dealt with, as the specification says it, jitter
 *          aside. It has no thread, and nobody looks after it between firings: a timer item from TQ_RECUR_BASE on is the
 *          slot of a recurrence instead of a job, and when it is due the housekeeper makes the job by the public call.
 *          Cron follows the wall clock, `every` elapsed time (house.h: the two domains).
 *
 * Invariants
 *   I1  Each recurrence has exactly one timer of its generation, whose tick is not later than its `armed`: in an inbox,
 *       a wheel, a batch, or in the hands of who fires it. One that will not fire again, as its end and the clock stand, has
 *       one at the end of time: so the housekeeper's sleep follows the wall clock, and learns when it is set back.
 *   I2  No firing before its time, which is compared in ns with the clock of this round. `next` only grows, but for a
 *       correction of the clock (below) and for a change of the times: so nothing fires twice.
 *   I3  The mutex is not held while the job is made, since on_end of a job that it replaces may call anything, and log, too.
 *       A recurrence that was removed or given other times meanwhile keeps what it is told by `born` and `generation`:
 *       the job counts if the recurrence lives, `next` goes on only if the times are the same.
 *   I4  Firing needs no memory but the job's: the wheel takes the same timer again. If there is no room or no memory for the
 *       job, `next` stays, and `again` says when it is tried again: after 10 ms, then about as long as it has waited
 *       already, at most 1 s, since many may wait for room that somebody else will have to make.
 *
 * Missed.  When a timer fires, `next` to now are due; `last` is the last of them. The policy chooses from which on jobs are
 *          made (recurtime.c): by searching, not by walking, since the clock may have gone on by years.
 *
 * Clock.   `latest` is the latest wall time that a round has seen. When it is set back by up to three hours, the next
 *          firings simply are further off. By more: all times are computed anew from the time that it shows now. A step
 *          forward needs nothing: what is due is due.
 *
 * Order of locks: the house's mutex before this one (tq_recur_is_live in a sweep). Under this one an inbox is written, and
 * memory and clock are the host's (rule 10 of ARCHITECTURE).
 *
 * Rejected
 *   a heap of its own, or a thread   the wheels are there, and what sleeps until a timer sleeps until these
 *   a scheduled job that enqueues    it takes a slot of jobs_max, waits in a queue behind others, and is lost when the engine
 *                                    is full
 *   inputs encoded once              the dictionary is read at each firing: some 100 ns, and no second way to make jobs
 *
 * Threads: due, look: the housekeeper; the others: any. */
#ifndef TQ_CORE_RECUR_H
#define TQ_CORE_RECUR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tresque/recur.h>

#include "engine/base/atomic.h"
#include "engine/core/job.h"
#include "engine/core/recurspec.h"

/* Timer items from here on; a job's index is below 2^26 and what threads keep at hand. */
enum { TQ_RECUR_MAX = 1 << 16, TQ_RECUR_BASE = (1 << TQ_ITEM_BITS) - TQ_RECUR_MAX };

struct tq_recurrence {
    struct tq_recurspec *spec;
    uint32_t slot;
    uint64_t born; /* which it is of all that there ever were */
    int64_t next;  /* ns of its clock; INT64_MAX: none */
    int64_t again; /* of one that waits for room: not before then; else INT64_MIN */
    int64_t armed; /* when its timer is due */
    int64_t
        granted; /* of those to be made up one by one: they are no more than may be up to this one */
    struct trq_wall last;
    struct trq_job_id job;
    bool made;     /* that job is its own */
    bool refusing; /* and the log has been told */
    uint64_t fired, skipped, missed, delayed, refused;
    char name[TQ_RECUR_NAME_MAX + 1];
};

struct tq_recur_slot {
    struct tq_recurrence *there; /* NULL: free */
    uint32_t generation;         /* of the timer that counts */
    uint32_t next_free;          /* slot + 1, or 0 */
};

struct tq_recur {
    pthread_mutex_t mutex;
    tq_a32 count; /* written under the mutex */
    uint32_t room, used, free;
    struct tq_recur_slot *slots;
    struct tq_recurrence **order; /* by name */
    struct tq_recurzone *zones;
    uint64_t births;
    int64_t latest;
    bool correcting; /* and was out of memory */
};

struct trq_engine;
struct tq_local;

void tq_recur_init(struct trq_engine *engine);
void tq_recur_fini(struct trq_engine *engine);

static inline bool tq_item_recurs(uint32_t item)
{
    return tq_item_index(item) >= TQ_RECUR_BASE;
}

/* A timer of that item is due: it may fire once, and *fired is raised then. True: the timer is to be set to *out_at, which
 * may be now. False: it is stale. */
bool tq_recur_due(struct trq_engine *engine, uint32_t item, uint32_t generation, int64_t now_ns,
                  int64_t *out_at, unsigned *fired);
bool tq_recur_is_live(struct trq_engine *engine, uint32_t item, uint32_t generation);
/* In each round, before what is due is taken from the wheels. False: no memory, it is to be called again. */
bool tq_recur_look(struct trq_engine *engine, struct tq_local *local);

/* The index in `order` of that name, or of the first behind it. The mutex is held. */
uint32_t tq_recur_find(const struct tq_recur *recur, const char *name, bool *out_there);
/* The timer to when it is due now, if that is another time; one is reserved. The mutex is held. True: it was submitted. */
bool tq_recur_arm(struct trq_engine *engine, struct tq_local *local, struct tq_recurrence *r,
                  const struct tq_moment *now);

/* Its next firing, jitter included, as a wall time. False: there is none as the clocks stand. The mutex is held, or it is a
 * copy. */
bool tq_recur_upcoming(const struct tq_recurrence *r, const struct tq_moment *now,
                       struct trq_wall *out_next);

/* Of a job that a recurrence made last: its name, and its next firing (INT64_MAX: never). False: no such job. */
bool tq_recur_of_job(struct trq_engine *engine, struct trq_job_id id,
                     char out_name[TQ_RECUR_NAME_MAX + 1], struct trq_wall *out_next);
/* Quiescent. NULL, or what is wrong; *out_count: how many timers there must be at least. */
const char *tq_recur_check(struct trq_engine *engine, uint64_t *out_count);

#endif
