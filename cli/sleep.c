/* The workers Sleep and Noop: nothing is done, slowly or quickly. For trying things out. */
#include <errno.h>
#include <time.h>

#include "cli/workers.h"

#define SLEEP_INPUTS(F, W)                                                                         \
    F(W, f64, seconds, TRQ_OPTIONAL, 0)                                                            \
    F(W, f64, ms, TRQ_OPTIONAL, 0)
TRQ_INPUTS(sleeper, SLEEP_INPUTS);

/* Ten years: longer is a slip of the pen, and would not fit into a timespec for long. */
static const double seconds_max = 10 * 365 * 86400.0;

static enum trq_end sleep_perform(struct trq_job *job)
{
    const struct sleeper_in *in = sleeper_get(job);
    const double seconds = in->seconds + in->ms / 1000;
    if (!(seconds >= 0 && seconds <= seconds_max))
        return trq_discard(job, "cannot sleep for %g seconds", seconds);
    struct timespec rest = {.tv_sec = (time_t)seconds};
    rest.tv_nsec = (long)((seconds - (double)rest.tv_sec) * 1e9);
    while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
        ;
    return TRQ_DONE;
}

static enum trq_end noop_perform(struct trq_job *job)
{
    (void)job;
    return TRQ_DONE;
}

const struct trq_worker tq_sleep_worker = {TRQ_WORKER(sleeper, "Sleep"), .retry = &trq_no_retry,
                                           .perform = sleep_perform};
const struct trq_worker tq_noop_worker = {.size = sizeof(struct trq_worker),
                                          .name = "Noop",
                                          .retry = &trq_no_retry,
                                          .perform = noop_perform};
