/* The workers Sleep and Noop: nothing is done, slowly or quickly. For trying things out. */
#include <time.h>

#include "cli/progress.h"
#include "cli/watch.h"
#include "cli/workers.h"

#define SLEEP_INPUTS(F, W)                                                                         \
    F(W, f64, seconds, TRQ_OPTIONAL, 0)                                                            \
    F(W, f64, ms, TRQ_OPTIONAL, 0)
TRQ_INPUTS(sleeper, SLEEP_INPUTS);

/* Ten years: longer is a slip of the pen. */
static const double seconds_max = 10 * 365 * 86400.0;

/* The shorter of the two; less if a signal comes. */
static void pause_ns(int64_t a_ns, int64_t b_ns)
{
    const int64_t ns = a_ns < b_ns ? a_ns : b_ns;
    const struct timespec time = {ns / 1000000000, ns % 1000000000};
    nanosleep(&time, NULL);
}

static enum trq_end sleep_perform(struct trq_job *job)
{
    const struct sleeper_in *in = sleeper_get(job);
    const double seconds = in->seconds + in->ms / 1000;
    if (!(seconds >= 0 && seconds <= seconds_max))
        return trq_discard(job, "cannot sleep for %g seconds", seconds);
    const struct tq_watch watch = tq_watch_start(job);
    const int64_t end_ns = tq_progress_now_ns() + (int64_t)(seconds * 1e9);
    for (;;) {
        const int64_t rest_ns = end_ns - tq_progress_now_ns();
        if (rest_ns <= 0)
            return TRQ_DONE;
        const enum tq_stop stop = tq_watch_look(&watch);
        if (stop)
            return tq_watch_fail(&watch, stop, "");
        pause_ns(rest_ns, trq_ms(tq_watch_wait_ms(&watch)).ns);
    }
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
