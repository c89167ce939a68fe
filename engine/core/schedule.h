/* Jobs that are scheduled: put off, fire, move, cancel; and those whose time to begin is limited.
 *
 * A timer (core/house.h) is a hint: slot, generation and `turn` of a job that was due then when it was submitted. The
 * truth stands in the job: its state, its turn, and its due time in `enqueued`, ns on the clock that TQ_WALL names.
 *
 * Invariants
 *   I1  A job leaves SCHEDULED, and its due time, turn and TQ_WALL change, only under its stripe: so who holds the stripe
 *       and finds it SCHEDULED may read its inputs, too.
 *   I2  For each SCHEDULED job there is a timer of its turn, in the inbox of a thread, in a wheel, or in the hands of who is
 *       about to submit it, whose tick is not later than its due time.
 *   I3  For each READY or PARKED job with TQ_EXPIRES there is a timer of its turn, or will be when who publishes it has come so
 *       far, whose tick is not later than when it expires, by the clock of elapsed time. Each such wait has a turn of its
 *       own, so that a timer never ends a wait that it was not made for.
 *   Later only writes the due time: the timer comes too early and is set anew. Earlier raises the turn and submits
 *   another one; the old one is stale.
 */
#ifndef TQ_CORE_SCHEDULE_H
#define TQ_CORE_SCHEDULE_H

#include "engine/core/engine.h"
#include "engine/core/life.h"

static inline void tq_stripe_lock(struct trq_engine *engine, uint32_t index)
{
    tq_mutex_lock(&engine->stripes[index % TQ_STRIPES]);
}
static inline void tq_stripe_unlock(struct trq_engine *engine, uint32_t index)
{
    tq_mutex_unlock(&engine->stripes[index % TQ_STRIPES]);
}

/* Both clocks, read before any lock is taken, since they may be the host's. */
struct tq_moment {
    int64_t boot, wall;
};
struct tq_moment tq_moment(const struct trq_engine *engine);

/* When is opts' `at` or `in`? False: now, or past. */
bool tq_schedule_due(const struct trq_engine *engine, const struct trq_opts *opts, int64_t *out_due,
                     bool *out_wall, int64_t *out_now);
/* Submit the timer of a job that has just become SCHEDULED, `word` since. If the engine stops, the job ends as dropped,
 * here or there. */
void tq_schedule_submit(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                        uint64_t word, int64_t due);

/* A timer says that this job may be due, or that it should have begun. FIRED: it is ready, or was merged into another; nobody has been woken. */
enum tq_fire { TQ_FIRED, TQ_STALE, TQ_LATER, TQ_AGAIN };
enum tq_fire tq_job_due(struct trq_engine *engine, struct tq_local *local, uint32_t item,
                        uint32_t generation, int64_t now_ns, bool wall, int64_t *out_due);

/* The timer of a READY job that may expire, if it does; `word` since it is ready, or but for its state. It may have left its
 * queue by now. */
static inline void tq_expiry_submit(struct trq_engine *engine, struct tq_local *local,
                                    uint32_t index, uint64_t word, int64_t expires)
{
    if (TQ_UNLIKELY(word & TQ_EXPIRES))
        tq_timer_submit(engine, local, tq_item(index, word), tq_word_generation(word), expires,
                        false);
}

/* End a SCHEDULED job, which *word was. False: not that any more. */
bool tq_schedule_end(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint64_t *word, enum tq_reason reason);
/* Debounce: due at the later of its own and that time, but at most so long after it was enqueued first. True: it is
 * due later now. */
bool tq_schedule_put_off(struct trq_engine *engine, const struct tq_moment *now, uint32_t index,
                         uint32_t generation, int64_t due, bool wall, int64_t max_wait);
/* Of a job that is SCHEDULED: when it is due, as the wall clock stands now. */
int64_t tq_schedule_wall_due(const struct trq_engine *engine, const struct tq_job *job,
                             uint64_t word);
/* Jobs that are scheduled now, by all threads' counts. */
uint64_t tq_schedule_count(const struct trq_engine *engine);

/* Do the inputs of that job, which cannot go away, contain these? */
bool tq_job_contains(const struct trq_engine *engine, struct tq_job *job, struct trq_dict inputs);

#endif
