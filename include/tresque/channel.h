/* Channels: a bounded queue of completions with a file descriptor, one per event loop. */
#ifndef TRESQUE_CHANNEL_H
#define TRESQUE_CHANNEL_H

#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_channel;

/* X(name, word): how a job ended. */
#define TRQ_OUTCOMES(X)                                                                            \
    X(TRQ_WAS_DONE, "done")                                                                        \
    X(TRQ_WAS_SKIPPED, "skipped")     /* needed said no, or the handler: a success */              \
    X(TRQ_WAS_DISCARDED, "discarded") /* the handler said: never again */                          \
    X(TRQ_WAS_DEAD, "dead")           /* it failed, and its retries are used up */                 \
    X(TRQ_WAS_DROPPED, "dropped")     /* it waited when the engine stopped */                      \
    X(TRQ_WAS_CANCELLED, "cancelled") /* trq_cancel, before it ran */                              \
    X(TRQ_WAS_REPLACED, "replaced")   /* queue lock: a newer job took its place: event.other */    \
    X(TRQ_WAS_MERGED, "merged")   /* queue lock: it came back to wait, and event.other waited */   \
    X(TRQ_WAS_EXPIRED, "expired") /* it had not begun when its expires_in was over */

enum trq_outcome {
#define TRQ_OUTCOME_ENUM_(name, word) name,
    TRQ_OUTCOMES(TRQ_OUTCOME_ENUM_)
#undef TRQ_OUTCOME_ENUM_
};
/* "done"; "?" for a number that is none. Static. */
TRQ_API const char *trq_outcome_name(enum trq_outcome outcome);

struct trq_event {
    struct trq_job_id id;
    void *tag;          /* trq_opts.tag */
    const char *worker; /* its name; lives as long as the engine */
    const char *queue;  /* full name; likewise */
    enum trq_outcome outcome;
    uint16_t attempts; /* how often it was started; 0 if it never was */
    uint16_t result_size;
    struct trq_span
        waited; /* enqueued or requeued -> last start; within the coarse clock unless timed */
    struct trq_job_id other; /* replaced: by this one; merged: into this one; else {0, 0} */
    struct trq_span ran; /* the last run; 0 if this job was not timed (trq_config.sample_every) */
    /* What trq_job_set_result was given; of a dead or discarded job, and of one that ended while it waited after a
     * failure, the beginning of its error text, not terminated. */
    unsigned char result[TRQ_RESULT_MAX];
};

/* events_max: completions that may be outstanding and undrained at once, 1 to 2^20. Room is taken when a job
 * names the channel (else TRQ_EFULL, there), so a pool thread never waits for a slow loop and no event is
 * dropped.
 * Errors:  TRQ_EINVAL, TRQ_ENOMEM (memory or descriptors), TRQ_ESTOPPED. */
TRQ_API int trq_channel_create(struct trq_engine *engine, uint32_t events_max,
                               struct trq_channel **out_channel) TRQ_MUST_USE;
/* Readable while there are events to drain (level-triggered). One write per burst. Do not read or close it. */
TRQ_API int trq_channel_fd(const struct trq_channel *channel);
/* Up to events_max events, in the order of their ends; returns how many. One thread at a time. */
TRQ_API int trq_channel_drain(struct trq_channel *channel, struct trq_event *out_events,
                              int events_max);
/* The connection died: TRQ_OK, no event of that job will come (the job runs all the same, and its on_end is not
 * called); TRQ_GONE: its event is in the channel or on its way there, or it never was to come: drain.
 * Threads: any; lock-free. */
TRQ_API int trq_channel_forget(struct trq_channel *channel, struct trq_job_id id);
/* Jobs that are still to tell it something tell nobody. NULL is fine. Not while another thread is in a call
 * with this channel. */
TRQ_API void trq_channel_destroy(struct trq_channel *channel);

#ifdef __cplusplus
}
#endif

#endif
