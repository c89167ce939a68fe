/* house: the housekeeping. Timers of scheduled jobs, from the threads that submit them to the moment when they fire.
 *
 * What.    Each thread has an inbox (sync/inbox.h) for the timers that it submits. The housekeeper, a thread of its
 *          own, or the host when it polls, empties them into two wheels (sync/wheel.h): `boot` for what counts elapsed
 *          time, `wall` for what follows the wall clock. When a timer is due it tells core/schedule, which knows
 *          whether the job still waits for that timer. Then it sleeps until the next one; an alarm (sync/alarm.h)
 *          tells submitters whether to wake it. With nothing scheduled it sleeps for ever.
 *
 * Invariants
 *   I1  A timer that was submitted is in an inbox, in a wheel, in the batch that is being fired, or has fired or
 *       become stale. Want of memory delays it by 10 ms at a time and loses nothing: an entry leaves its inbox when
 *       the wheel has it, stays in the batch until it has fired, and comes again to a wheel without new memory.
 *   I2  No job fires before its due time, which is compared in ns with the clock that it follows, read in the same
 *       round.
 *   I3  Timers of one thread with the same tick fire in the order in which they were submitted: also when the wall
 *       clock is set back, since then what was due already is looked at before anything is inserted.
 *   I4  While the housekeeper sleeps and nobody has told it to wake up, no timer is due before its alarm.
 *
 * A tick is 1 ms; with a clock of the host's 1 us, so that a test sees its jobs at the very time. When the wall clock
 * leaps nothing need be known of how far: what is due is due by the clock as it stands, the descriptor it sleeps on
 * follows the clock by itself, and a wheel whose cursor is ahead of the clock is set back.
 *
 * Threads: reserve, submit: of the local's thread; stale: any; round, sleep: the housekeeper; next, check: any.
 */
#ifndef TQ_CORE_HOUSE_H
#define TQ_CORE_HOUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/sync/alarm.h"
#include "engine/sync/inbox.h"
#include "engine/sync/wheel.h"

struct trq_engine;
struct trq_error;
struct tq_local;

enum tq_domain { TQ_BOOT, TQ_WALL_DOMAIN, TQ_DOMAINS };
_Static_assert((int)TQ_DOMAINS == (int)TQ_ALARM_DOMAINS, "an alarm for each");

enum { TQ_HOUSE_BATCH = 128 };

/* What was handed out by a wheel and has not yet fired. */
struct tq_batch {
    struct tq_due due[TQ_HOUSE_BATCH];
    uint32_t count, next;
};

struct tq_house {
    struct tq_slab chunks; /* of wheels and inboxes */
    struct tq_alarm alarm;
    TQ_ON_LINE tq_a64 stale; /* timers that will not fire, at a guess: signed */
    tq_a64 timers;           /* in the wheels, as of the last round */
    tq_a32 stopping;
    tq_a32 running; /* there is a thread */

    /* The housekeeper's; `mutex` for those who look. */
    TQ_ON_LINE pthread_mutex_t mutex;
    struct tq_wheel wheel[TQ_DOMAINS];
    struct tq_batch batch[TQ_DOMAINS];
    bool set_back[TQ_DOMAINS]; /* and what was due then has not all been looked at */
    bool sweeping[TQ_DOMAINS];
    bool begun;
    int64_t tick_ns;
    int64_t retry_at;          /* boot ns; INT64_MAX: nothing is to be tried again */
    int64_t armed[TQ_DOMAINS]; /* of the descriptors; INT64_MAX: not armed */

    struct trq_engine *engine;
    struct tq_local *local;
    pthread_t handle;
    int timer_fd[TQ_DOMAINS]; /* + 1 each; 0: none */
    int wake_fd;              /* threaded: an eventfd */
    int poll_fd;              /* poll mode: of epoll, over the engine's eventfd and the timers */
};

/* After the engine's eventfd of poll mode was made. False: out of memory, or of descriptors. */
bool tq_house_init(struct trq_engine *engine);
void tq_house_fini(struct trq_engine *engine);
int tq_house_start(struct trq_engine *engine, struct trq_error *error);
/* The gate is closed. Waits for the thread. */
void tq_house_stop(struct trq_engine *engine);

/* Before so many submits by this thread. False: out of memory. */
bool tq_timer_reserve(struct trq_engine *engine, struct tq_local *local, uint32_t count);
/* Cannot fail, does not wait. */
void tq_timer_submit(struct trq_engine *engine, struct tq_local *local, uint32_t item,
                     uint32_t generation, int64_t due_ns, bool wall);
/* A timer that was submitted will not fire. When such are many they are swept. */
void tq_timer_stale(struct trq_engine *engine);

/* Something that is due then was made visible, and is no timer: the housekeeper gets up in time. */
void tq_house_ring(struct trq_engine *engine, int64_t due_ns);

/* Until nothing is due. Returns how many jobs fired. */
unsigned tq_house_round(struct trq_engine *engine, struct tq_local *local);
/* Poll mode, after a round: the descriptor becomes readable when there is something to do for the next. */
void tq_house_lie_down(struct trq_engine *engine);
/* For the host to sleep on in poll mode. */
int tq_house_fd(const struct trq_engine *engine);

/* When the next round has something to do, on each clock; INT64_MAX: never. False: never on both. */
bool tq_house_next(struct trq_engine *engine, int64_t *out_boot, int64_t *out_wall);

/* Quiescent; for so many jobs and recurrences there must be timers. NULL, or what is wrong. */
const char *tq_house_check(struct trq_engine *engine, uint64_t waiting);

#endif
