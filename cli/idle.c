#include "cli/idle.h"

#include <time.h>

enum { PAUSE_MS = 10 };

struct look {
    uint64_t jobs, scheduled;
    uint64_t enqueued, started, requeued;
};

/* False: something is ready or runs. */
static bool look(struct trq_engine *engine, struct look *out)
{
    struct trq_engine_stats now = {.size = sizeof now};
    struct trq_worker_stats all = {.size = sizeof all};
    if (trq_engine_drain(engine, trq_ns(0)) != TRQ_OK || trq_stats_engine(engine, &now) < 0 ||
        trq_stats_worker(engine, NULL, &all) < 0)
        return false;
    *out = (struct look){now.jobs, now.scheduled, all.enqueued, all.started, all.requeued};
    return true;
}

static bool is_same(const struct look *a, const struct look *b)
{
    return a->jobs == b->jobs && a->scheduled == b->scheduled && a->enqueued == b->enqueued &&
           a->started == b->started && a->requeued == b->requeued;
}

/* The counts are not those of one instant: a job that becomes due, runs and is scheduled again while we read them may
 * be seen nowhere. But then it has been counted, and a second look is another. Where jobs are left, one that is just
 * becoming due may be among them: it is given the time to. */
bool tq_idle(struct trq_engine *engine)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * 1000 * 1000};
    struct look first;
    struct look second;
    if (!look(engine, &first) || first.scheduled > 0)
        return false;
    if (first.jobs > 0)
        nanosleep(&pause, NULL);
    return look(engine, &second) && is_same(&first, &second);
}
