/* For the workers of this program that wait: shall the run stop, and how long may it sleep until the next look?
 *
 * trq_job_should_stop is also true while the engine stops, and what runs then shall finish; so this tells the reasons
 * apart: a run without time left is stopped, and one that was cancelled, unless a signal stops the whole program.
 *
 * Threads: the one that runs the job.
 */
#ifndef TQ_CLI_WATCH_H
#define TQ_CLI_WATCH_H

#include <tresque.h>

enum tq_stop {
    TQ_STOP_NOT,
    TQ_STOP_TIMED_OUT,
    TQ_STOP_CANCELLED /* the job ends so, whatever its run says */
};

struct tq_watch {
    struct trq_job *job;
    struct trq_span limit; /* the time that it has; trq_forever(): no end */
};

/* At the beginning of the run. */
struct tq_watch tq_watch_start(struct trq_job *job);
enum tq_stop tq_watch_look(const struct tq_watch *watch);
/* Milliseconds until the next look: to the end of the time, and at most some hundreds. */
int tq_watch_wait_ms(const struct tq_watch *watch);

/* The run has been stopped: its failure, "timed out after 2 s" and what else there is to say. */
enum trq_end tq_watch_fail(const struct tq_watch *watch, enum tq_stop why, const char *more)
    TRQ_MUST_USE;

#endif
