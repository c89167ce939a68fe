/* Enqueue: one job or many, as a struct or a dictionary; wake; wait for one. */
#ifndef TRESQUE_ENQUEUE_H
#define TRESQUE_ENQUEUE_H

#include <tresque/channel.h>
#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_opts {
    uint32_t size;
    bool wake_later;   /* wake nobody: trq_wake at the end of the loop's round does */
    const char *queue; /* NULL: the worker's; short: of the worker's application; full: any */
    /* Not before then; the past means now. `at` follows the wall clock through its steps; `in` counts elapsed time, a
     * suspended machine's too. One of the two. */
    struct trq_wall at;
    struct trq_span in;
    /* This job's own, instead of its worker's; and what happens if one waits with that key. */
    const struct trq_lock *queue_lock;
    const struct trq_lock *worker_lock;
    enum trq_on_conflict on_conflict;
    /* This job's own limits, instead of its worker's; 0, NULL: its worker's. */
    struct trq_span expires_in;
    struct trq_span timeout;
    const struct trq_retry *retry;
    bool
        inherit_deadline; /* in a handler: what this run may not outlast, the job may not either: not begun by then it ends as
                              expired, and its own time is up then. Nothing if the run has no limit */
    /* The inputs are a dictionary of that version of the worker's declaration: kept as it is, and brought up to date when
     * the job starts (trq_worker.upgrade). 0: of this one. A struct is of this one: else TRQ_EINVAL. */
    uint32_t version;
    int *out_codes;              /* of several jobs: what became of each; or NULL */
    struct trq_channel *channel; /* tell the end there ... */
    /* ... and/or here: on the thread that ended the job. Must be quick and must not block; error is NULL
     * unless the job is dead or was discarded, or ended while it waited after a failure; then its text counts. Both pointers die with the call. */
    void (*on_end)(void *host, const struct trq_event *event, const struct trq_error *error);
    void *tag; /* with this, in the event */
    struct trq_span
        wait_for_room;       /* 0: a full engine or channel is TRQ_EFULL at once; else wait so long
                                       for room. TRQ_EINVAL in a handler, and in poll mode */
    struct trq_error *error; /* gets the sentence; or NULL */
};
TRQ_INLINE struct trq_opts trq_opts_init(void)
{
    struct trq_opts o;
    memset(&o, 0, sizeof o);
    o.size = (uint32_t)sizeof o;
    return o;
}
#ifndef __cplusplus
#define TRQ_OPTS(...) (&(const struct trq_opts){.size = sizeof(struct trq_opts), __VA_ARGS__})
#endif

/* One job. opts and out_id may be NULL; the sentence of an error goes to opts->error. Before TRQ_OK is returned the
 * job may have run to its end.
 * Returns: TRQ_OK: it is queued, or scheduled (opts->at, in). With a queue lock that another job has which waits:
 *          TRQ_DUPLICATE: nothing was queued, *out_id is that one; TRQ_DEBOUNCED: the same, and it is due later now;
 *          TRQ_REPLACED: that one has ended, and this one is queued.
 * Errors:  TRQ_EINPUT: missing, wrong type, not UTF-8, not JSON, named twice, too big; TRQ_EUNKNOWN: worker
 *          or queue is not registered; TRQ_EFULL: jobs_max, or the channel's room; TRQ_ETIMEOUT: still full
 *          after wait_for_room; TRQ_ESTOPPED; TRQ_ENOMEM; TRQ_EINVAL.
 * Threads: any, handlers too; lock-free, no system call but the wake-up of a sleeping thread; allocates only
 *          while the engine grows to its high-water mark, and for inputs above 4 KiB. */
TRQ_API int trq_enqueue(struct trq_engine *engine, const struct trq_worker *worker,
                        struct trq_dict inputs, const struct trq_opts *opts,
                        struct trq_job_id *out_id) TRQ_MUST_USE;
/* The struct form; use hard_enqueue(). `declared` is the worker's. */
TRQ_API int trq_enqueue_struct(struct trq_engine *engine, const struct trq_worker *worker,
                               const struct trq_inputs *declared, const void *in,
                               const struct trq_opts *opts, struct trq_job_id *out_id) TRQ_MUST_USE;

/* `count` structs, one after the other in memory: all or none, in their order, at most one wake-up.
 * out_ids: room for count ids, or NULL. With a channel, it needs room for all of them. count 0 is TRQ_OK, 1 is as
 * trq_enqueue. With queue locks each asks in its turn, and what is accepted is accepted: TRQ_OK if all were queued,
 * TRQ_DUPLICATE if not; opts->out_codes tells which. */
TRQ_API int trq_enqueue_many(struct trq_engine *engine, const struct trq_worker *worker,
                             const struct trq_inputs *declared, const void *ins, size_t count,
                             const struct trq_opts *opts, struct trq_job_id *out_ids) TRQ_MUST_USE;
/* The same with dictionaries. */
TRQ_API int trq_enqueue_many_dicts(struct trq_engine *engine, const struct trq_worker *worker,
                                   const struct trq_dict *dicts, size_t count,
                                   const struct trq_opts *opts, struct trq_job_id *out_ids)
    TRQ_MUST_USE;

/* One wake-up for what was enqueued with wake_later; nothing if all is taken. A matter of promptness only: a
 * thread that looks for work finds such jobs all the same. */
TRQ_API void trq_wake(struct trq_engine *engine);

/* Block until that job has ended. For tests and tools; a server uses a channel.
 * Returns TRQ_OK with *out_event (may be NULL); TRQ_GONE: it had ended before, nothing is known of how.
 * Errors:  TRQ_ETIMEOUT; TRQ_EINVAL in a handler, in poll mode, or for an id of another engine. */
TRQ_API int trq_wait(struct trq_engine *engine, struct trq_job_id id, struct trq_span at_most,
                     struct trq_event *out_event);

#ifdef __cplusplus
}
#endif

#endif
