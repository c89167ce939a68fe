/* Recurring jobs: by a cron expression in a time zone, or every so often. */
#ifndef TRESQUE_RECUR_H
#define TRESQUE_RECUR_H

#include <tresque/channel.h>
#include <tresque/cron.h>
#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;

/* A firing is missed if nobody could make its job in time (the process was down: see `since`; the clock was set forward;
 * the engine was full): when its time is a minute ago or more, or when another's has come since. What becomes of those
 * that were missed: */
enum trq_catch_up {
    TRQ_CATCH_UP_ONCE, /* one job for all that are due, for the last of them */
    TRQ_CATCH_UP_NONE, /* nothing */
    TRQ_CATCH_UP_ALL   /* a job each, but only for the last `catch_up_max` that are due */
};

struct trq_recurring {
    uint32_t size;
    uint32_t catch_up_max;           /* 0: 100; at most 1,000 */
    const char *name;                /* unique in the engine; UTF-8, at most 200 bytes */
    const struct trq_worker *worker; /* registered */
    struct trq_dict inputs;          /* of each of its jobs; copied */
    const char *cron;                /* either this, by the clock of `zone` (NULL: UTC) ... */
    const char *zone;
    struct trq_span
        every; /* ... or this, at least 1 ms: elapsed time, first after one such span; with `start`
                                     first then */
    struct trq_wall start, end; /* no firing before / after; 0: no such bound */
    struct trq_wall
        since; /* it fired last for that time (trq_recurrence.last), so that what came after was
                                     missed; 0: now */
    struct trq_span
        jitter; /* each firing so much later at most; how much depends on the name alone, so that many
                                     schedules of one minute spread, and each keeps its period */
    const char *queue; /* as in trq_opts; NULL: the worker's */
    const char *
        time_input; /* this input gets the time that the firing is for, jitter aside, in seconds since
                                     1970; NULL: none */
    /* As in trq_opts: told the end of each of its jobs, on the thread that ended it. `tag` must stay until the last of them has
     * ended, also when the entry is changed or removed. */
    void (*on_end)(void *host, const struct trq_event *event, const struct trq_error *error);
    void *tag;
    bool no_overlap; /* no job is made while the one before has not ended: counted as skipped */
    enum trq_catch_up catch_up;
};
TRQ_INLINE struct trq_recurring trq_recurring_init(void)
{
    struct trq_recurring r;
    memset(&r, 0, sizeof r);
    r.size = (uint32_t)sizeof r;
    return r;
}
#ifndef __cplusplus
#define TRQ_RECURRING(...)                                                                         \
    (&(const struct trq_recurring){.size = sizeof(struct trq_recurring), __VA_ARGS__})
#endif

/* Add it, or change the one of that name: jobs that it has made are not touched, its counts go on. If what is due when
 * (cron, zone and its rules, every, start, end, jitter) stays the same, so do the times, whatever `since` says; else they
 * are anew from now, or from `since`. Before the engine's start, too; what is due before that is missed.
 * When the clock is set back by three hours or less nothing fires twice; by more, that is a correction, and cron goes on
 * from the new time.
 * Errors:  TRQ_EINVAL: cron (the text names the column), both or neither of cron and every, name, times; TRQ_EUNKNOWN:
 *          zone, worker, queue; TRQ_EINPUT: the inputs are none of that worker's; TRQ_EFULL: more than 65,536; TRQ_ENOMEM;
 *          TRQ_ESTOPPED. error may be NULL.
 * Threads: any, handlers too; mutex. */
TRQ_API int trq_recur(struct trq_engine *engine, const struct trq_recurring *recurring,
                      struct trq_error *error) TRQ_MUST_USE;
/* It fires no more. TRQ_OK; TRQ_GONE: there is none of that name; TRQ_EINVAL, TRQ_ESTOPPED. */
TRQ_API int trq_recur_remove(struct trq_engine *engine, const char *name);

struct trq_recurrence {
    char name[204];
    const char *worker;   /* lives as long as the engine */
    struct trq_wall next; /* jitter included; 0: never again, as the clock stands */
    struct trq_wall last; /* the time that the last firing was for, jitter aside; 0: none yet */
    struct trq_job_id
        job; /* of the last firing: made by it, or the one that waited (queue lock); {0, 0}: none */
    uint64_t fired;   /* jobs made, or answered by one that waits */
    uint64_t skipped; /* not made: the one before had not ended */
    uint64_t
        missed; /* not made: by the policy; of more than 10,000 at a time only so many are counted */
    uint64_t delayed; /* times that it had to wait for room or memory */
    uint64_t refused; /* not made: its enqueue failed, as when a lock's function gives no key */
};
/* In order of name (of its bytes), those after `after` (NULL: from the first on). Returns how many were filled in, or
 * TRQ_EINVAL, TRQ_ESTOPPED. */
TRQ_API long trq_recur_list(struct trq_engine *engine, const char *after,
                            struct trq_recurrence *out, size_t max);
/* Its next firings, jitter included, as things stand. Returns how many: fewer than max only if then there are no more.
 * Errors:  TRQ_EUNKNOWN: there is none of that name; TRQ_EINVAL; TRQ_ESTOPPED. */
TRQ_API long trq_recur_next(struct trq_engine *engine, const char *name, struct trq_wall *out,
                            size_t max);

#ifdef __cplusplus
}
#endif

#endif
