#include "cli/watch.h"

#include <stdio.h>

#include "cli/signals.h"

enum { LOOK_MS = 250 }; /* a cancelled run goes on for so long at most */

struct tq_watch tq_watch_start(struct trq_job *job)
{
    return (struct tq_watch){job, trq_job_time_left(job)};
}

/* Who has asked trq_job_should_stop while the engine stops, and fails, counts as interrupted: so it is not asked then. A
 * signal comes first, and the engine stops after it: also between two of these looks. */
static bool is_cancelled(const struct tq_watch *watch)
{
    return !tq_signals_seen() && trq_job_should_stop(watch->job) && !tq_signals_seen();
}

enum tq_stop tq_watch_look(const struct tq_watch *watch)
{
    if (trq_job_time_left(watch->job).ns <= 0)
        return TQ_STOP_TIMED_OUT;
    return is_cancelled(watch) ? TQ_STOP_CANCELLED : TQ_STOP_NOT;
}

int tq_watch_wait_ms(const struct tq_watch *watch)
{
    const int64_t ms = trq_job_time_left(watch->job).ns / 1000000 + 1; /* not once too early */
    return ms < LOOK_MS ? (int)ms : LOOK_MS;
}

/* The engine's clock runs for a moment before the worker does, so that 2 seconds are 1.99997 here. */
static double round_seconds(struct trq_span limit)
{
    const int64_t unit_ns = limit.ns >= trq_ms(200).ns ? trq_ms(10).ns : trq_us(100).ns;
    const int64_t units = (limit.ns + unit_ns / 2) / unit_ns;
    return (double)units * ((double)unit_ns / 1e9);
}

enum trq_end tq_watch_fail(const struct tq_watch *watch, enum tq_stop why, const char *more)
{
    if (why == TQ_STOP_CANCELLED)
        return trq_fail(watch->job, "cancelled%s", more);
    return trq_fail(watch->job, "timed out after %.9g s%s", round_seconds(watch->limit), more);
}
