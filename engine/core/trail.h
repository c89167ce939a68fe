/* trails: limits that a job has of its own, and what its failed attempts left behind. Few jobs have either; they hang on the
 * job's side.
 *
 * Shape.   side->trail:  index + 1 of a trail, which has the list of failures; or TQ_TRAIL_SLIPS and the first of that list, of a job
 *          that has no limits; or 0.
 *
 * Threads: limits are written by who owns the job. The list of failures is changed and read under the stripe of the job's
 *          slot, so that who asks for it by id (trq_failures) sees a whole one: he asks for the generation under
 *          the stripe before and after he has found a list, and who ends the job raises that before he takes the stripe
 *          to free the list.
 *
 * Without memory for a failure's text the count is right all the same, and the text is lost.
 */
#ifndef TQ_CORE_TRAIL_H
#define TQ_CORE_TRAIL_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/retry.h>

#include "engine/base/atomic.h"
#include "engine/core/job.h"
#include "engine/sync/line.h"

struct trq_engine;
struct trq_opts;
struct tq_local;
struct tq_side;

#define TQ_TRAIL_SLIPS UINT32_C(0x80000000)

/* One failure, the newest first in a list by index + 1; 0 ends it. */
struct tq_slip {
    uint32_t next;
    uint32_t attempt;
    int64_t wall, mono; /* mono: for the order, whatever becomes of the wall clock */
    char text[TRQ_FAILURE_TEXT];
};

struct tq_trail {
    TQ_ON_LINE tq_a64
        expires; /* boot ns; a READY or PARKED job has begun by then or ends. INT64_MAX: none now */
    int64_t expires_in;     /* 0: none */
    int64_t timeout;        /* of one run; 0: its worker's */
    int64_t deadline;       /* boot ns, inherited; INT64_MAX: none */
    struct trq_retry retry; /* size 0: its worker's */
    tq_a32 slips;           /* read without the stripe by who then asks whether it was that job's */
    tq_a32 retries;         /* as tq_retry_limit says of the policy that holds */
    uint32_t version;       /* of the declaration that its inputs are for; 0: of its worker's */
};

/* The job's, which is the caller's or cannot go away. NULL: it has none. */
struct tq_trail *tq_trail_of(const struct trq_engine *engine, const struct tq_job *job);
/* A new one for a side that has none, without limits. NULL: out of memory. */
struct tq_trail *tq_trail_take(struct trq_engine *engine, struct tq_local *local,
                               uint32_t *out_trail);
/* What hung on a side, with its slips. */
void tq_trail_give(struct trq_engine *engine, struct tq_local *local, struct tq_side *side);

/* The job, which is the caller's, has failed: keep why. It may get a side by that. */
void tq_trail_fail(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                   uint32_t attempt, const char *text);
/* At most max, the newest first; the job, or what it left, cannot go away. Returns how many there are. */
size_t tq_trail_failures(const struct trq_engine *engine, const struct tq_job *job,
                         struct trq_failure *out, size_t max);

/* Why it failed last; "" if nothing is known. */
const char *tq_trail_last(const struct trq_engine *engine, const struct tq_job *job);

/* The whole list is the caller's now, as the job is. under_stripe: he has its stripe. 0: there is none. */
uint32_t tq_slips_detach(struct trq_engine *engine, struct tq_job *job, uint32_t index,
                         bool under_stripe);
/* Two lists that are the caller's as one, by age; what is too many goes. */
uint32_t tq_slips_join(struct trq_engine *engine, struct tq_local *local, uint32_t a, uint32_t b);
/* The job, which is the caller's, gets that list among its own, by age; what is too many goes. */
void tq_slips_attach(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint32_t slips);
void tq_slips_give(struct trq_engine *engine, struct tq_local *local, uint32_t slips);

/* The job is about to become ready: so long it may wait from now on. It has TQ_EXPIRES. Returns when it expires. */
int64_t tq_trail_begin_wait(struct trq_engine *engine, struct tq_job *job, int64_t boot_now);
/* Of a job that is perhaps another one by now: who acts on it makes a transition of the word that he read before. */
int64_t tq_trail_expires(const struct trq_engine *engine, const struct tq_job *job);

#endif
