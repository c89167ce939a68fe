/* What an engine has done and holds; readable while it runs, and never in its way. */
#ifndef TRESQUE_STATS_H
#define TRESQUE_STATS_H

#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;

/* X(name, sentence): one list gives the struct, the names and the docs. All since the engine was created.
 * enqueued == done + skipped + discarded + dead + dropped + cancelled + replaced + merged + expired + what waits
 * or runs. */
#define TRQ_COUNTERS(X)                                                                            \
    X(enqueued, "jobs accepted")                                                                   \
    X(started, "runs begun")                                                                       \
    X(done, "jobs that ended well")                                                                \
    X(skipped, "jobs that were no longer needed")                                                  \
    X(failed, "runs that failed")                                                                  \
    X(discarded, "jobs that a handler gave up for good")                                           \
    X(requeued, "runs that asked to run again")                                                    \
    X(dead, "jobs that ended by failure")                                                          \
    X(dropped, "jobs that waited when the engine stopped")                                         \
    X(cancelled, "jobs that were cancelled before they ran")                                       \
    X(replaced, "jobs whose place a newer one with their queue lock took")                         \
    X(merged, "jobs that came back to wait where another waited with their queue lock")            \
    X(duplicates, "calls that found a job waiting with their queue lock")                          \
    X(debounced, "of these: calls that moved the due time of that job")                            \
    X(parked, "starts that had to wait for their worker lock")                                     \
    X(expired, "jobs that had not begun when their time was over")                                 \
    X(retried, "failed runs whose job is to be tried again")                                       \
    X(interrupted, "runs that the stop of the engine cut short")                                   \
    X(overran, "runs that took longer than their timeout")

/* Of a log-linear histogram: a value is at most 1/16 above what was measured; max is exact. */
struct trq_summary {
    uint64_t count; /* sampled jobs */
    struct trq_span p50, p90, p99, p999, max;
};

struct trq_worker_stats {
    uint32_t size; /* set by you */
    uint32_t reserved;
#define TRQ_COUNTER_FIELD_(name, sentence) uint64_t name;
    TRQ_COUNTERS(TRQ_COUNTER_FIELD_)
#undef TRQ_COUNTER_FIELD_
    struct trq_summary wait; /* enqueued or requeued -> start */
    struct trq_summary run;  /* start -> end, `needed` included */
};

/* Of one worker by name, or of all together (NULL). Each counter is exact once what it counts has happened
 * before the call; they are not a snapshot of one instant.
 * Errors:  TRQ_EUNKNOWN; TRQ_EINVAL; TRQ_ENOMEM. */
TRQ_API int trq_stats_worker(struct trq_engine *engine, const char *worker,
                             struct trq_worker_stats *out);

struct trq_queue_stats {
    uint32_t size; /* set by you */
    int32_t weight;
    bool paused;
    bool worked;            /* by this engine: trq_config.queues */
    uint64_t depth;         /* jobs that are ready; close to it while others enqueue and take */
    uint64_t parked;        /* jobs of this queue that wait for their worker lock */
    struct trq_span oldest; /* age of the first in line; 0 if empty */
};
TRQ_API int trq_stats_queue(struct trq_engine *engine, const char *queue,
                            struct trq_queue_stats *out);

/* The names, static in the engine: queues in order of weight, workers in order of registration. Returns how
 * many there are; fills at most count. */
TRQ_API size_t trq_queue_names(struct trq_engine *engine, const char **out_names, size_t count);
TRQ_API size_t trq_worker_names(struct trq_engine *engine, const char **out_names, size_t count);

struct trq_engine_stats {
    uint32_t size; /* set by you */
    uint32_t threads;
    uint32_t asleep; /* of them */
    uint32_t reserved;
    uint64_t jobs;           /* waiting and running now */
    uint64_t scheduled;      /* of them: not due yet */
    uint64_t parked;         /* of them: waiting for their worker lock */
    uint64_t refused_full;   /* calls answered TRQ_EFULL */
    uint64_t refused_input;  /* calls answered TRQ_EINPUT */
    uint64_t wakeups;        /* of sleeping threads */
    uint64_t lost_races;     /* second ends of a job that came too late: nothing happened */
    uint64_t stale_releases; /* of worker locks, by who did not hold them: nothing happened */
    uint64_t dead;           /* in the dead set now */
    uint64_t dead_lost;      /* fell out of it */
    uint64_t recurring;      /* schedules there are (trq_recur) */
    uint64_t stuck;          /* runs that were reported as stuck */
    uint64_t bad_delays;     /* answers of retry policies that were none */
};
TRQ_API int trq_stats_engine(struct trq_engine *engine, struct trq_engine_stats *out);

#ifdef __cplusplus
}
#endif

#endif
