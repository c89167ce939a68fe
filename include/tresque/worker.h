/* Workers: classes of jobs, declared once as const data, with the inputs that they take. What TRQ_INPUTS makes calls
 * functions of <tresque/enqueue.h>: include <tresque.h> where you use it. */
#ifndef TRESQUE_WORKER_H
#define TRESQUE_WORKER_H

#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

struct trq_engine;
struct trq_job; /* lives while its handler runs; for that thread only */
struct trq_opts;
struct trq_retry;

/* ---- inputs, declared once --------------------------------------------------------------------- */

enum { TRQ_OPTIONAL = 0, TRQ_REQUIRED = 1 };

struct trq_input { /* one row of a declaration, as TRQ_INPUTS makes it */
    const char *name;
    enum trq_type type; /* not TRQ_NULL */
    int required;
    size_t offset;       /* of the field in the struct form */
    int64_t default_i64; /* bool, too */
    double default_f64;
    const char *default_str; /* TRQ_STR and TRQ_JSON; NULL: absent */
};
struct trq_inputs {
    const struct trq_input *rows; /* at most 64 */
    size_t count;
    size_t struct_size;
};

/* TRQ_INPUTS(worker, LIST), once, in the header that its enqueuers include:
 *
 *     #define HARD_INPUTS(F, W)                \
 *         F(W, str, name,  TRQ_REQUIRED, NULL) \
 *         F(W, i64, count, TRQ_OPTIONAL, 1)
 *     TRQ_INPUTS(hard, HARD_INPUTS);
 *
 * A type is bool, i64, f64, str or json. It gives
 *
 *     struct hard_in { struct trq_str name; int64_t count; }
 *     hard_defaults()                    every optional at its default, the rest zero or absent
 *     hard_get(job)                      the running job's inputs; they die with the run
 *     hard_enqueue(engine, &in, opts, out_id)
 *     hard_enqueue_in(engine, trq_hours(24), &in, out_id)
 *     hard_enqueue_at(engine, wall, &in, out_id)
 *     hard_enqueue_many(engine, ins, count, opts, out_ids)
 *     extern const struct trq_worker hard;  to be defined once, in a source file
 *
 * `hard` is a name of your whole program, as any function is.
 *
 * In the struct form a number or bool is always given: start from hard_defaults() where a default is not
 * zero. A str or json whose data is NULL is absent: it takes its default, or is refused if required. */
#define TRQ_CTYPE_bool bool
#define TRQ_CTYPE_i64 int64_t
#define TRQ_CTYPE_f64 double
#define TRQ_CTYPE_str struct trq_str
#define TRQ_CTYPE_json struct trq_str
#define TRQ_ROW_bool(d) TRQ_BOOL, (d), 0.0, NULL
#define TRQ_ROW_i64(d) TRQ_I64, (d), 0.0, NULL
#define TRQ_ROW_f64(d) TRQ_F64, 0, (d), NULL
#define TRQ_ROW_str(d) TRQ_STR, 0, 0.0, (d)
#define TRQ_ROW_json(d) TRQ_JSON, 0, 0.0, (d)
#define TRQ_MAKE_ROW_(in, field, need, type, i, f, s)                                              \
    {#field, type, need, offsetof(struct in, field), i, f, s},
#define TRQ_MAKE_ROW(...) TRQ_MAKE_ROW_(__VA_ARGS__)
#define TRQ_SET_bool(d) (d)
#define TRQ_SET_i64(d) (d)
#define TRQ_SET_f64(d) (d)
#define TRQ_SET_str(d) trq_str_of(d)
#define TRQ_SET_json(d) trq_str_of(d)

#define TRQ_F_FIELD(W, type, field, need, dflt) TRQ_CTYPE_##type field;
#define TRQ_F_ROW(W, type, field, need, dflt)                                                      \
    TRQ_MAKE_ROW(W##_in, field, need, TRQ_ROW_##type(dflt))
#define TRQ_F_DEFAULT(W, type, field, need, dflt) d.field = TRQ_SET_##type(dflt);
#define TRQ_INPUTS(W, LIST)                                                                        \
    struct W##_in {                                                                                \
        LIST(TRQ_F_FIELD, W)                                                                       \
    };                                                                                             \
    extern const struct trq_worker W;                                                              \
    static const struct trq_input W##_rows[] = {LIST(TRQ_F_ROW, W)};                               \
    static const struct trq_inputs W##_inputs = {W##_rows, sizeof W##_rows / sizeof W##_rows[0],   \
                                                 sizeof(struct W##_in)};                           \
    TRQ_INLINE struct W##_in W##_defaults(void)                                                    \
    {                                                                                              \
        struct W##_in d;                                                                           \
        memset(&d, 0, sizeof d);                                                                   \
        LIST(TRQ_F_DEFAULT, W)                                                                     \
        return d;                                                                                  \
    }                                                                                              \
    TRQ_INLINE const struct W##_in *W##_get(struct trq_job *job)                                   \
    {                                                                                              \
        return (const struct W##_in *)trq_job_inputs(job, &W##_inputs);                            \
    }                                                                                              \
    TRQ_MUST_USE TRQ_INLINE int W##_enqueue(struct trq_engine *engine, const struct W##_in *in,    \
                                            const struct trq_opts *opts,                           \
                                            struct trq_job_id *out_id)                             \
    {                                                                                              \
        return trq_enqueue_struct(engine, &W, &W##_inputs, in, opts, out_id);                      \
    }                                                                                              \
    TRQ_MUST_USE TRQ_INLINE int W##_enqueue_in(struct trq_engine *engine, struct trq_span after,   \
                                               const struct W##_in *in, struct trq_job_id *out_id) \
    {                                                                                              \
        struct trq_opts opts = trq_opts_init();                                                    \
        opts.in = after;                                                                           \
        return trq_enqueue_struct(engine, &W, &W##_inputs, in, &opts, out_id);                     \
    }                                                                                              \
    TRQ_MUST_USE TRQ_INLINE int W##_enqueue_at(struct trq_engine *engine, struct trq_wall when,    \
                                               const struct W##_in *in, struct trq_job_id *out_id) \
    {                                                                                              \
        struct trq_opts opts = trq_opts_init();                                                    \
        opts.at = when;                                                                            \
        return trq_enqueue_struct(engine, &W, &W##_inputs, in, &opts, out_id);                     \
    }                                                                                              \
    TRQ_MUST_USE TRQ_INLINE int W##_enqueue_many(                                                  \
        struct trq_engine *engine, const struct W##_in *ins, size_t count,                         \
        const struct trq_opts *opts, struct trq_job_id *out_ids)                                   \
    {                                                                                              \
        return trq_enqueue_many(engine, &W, &W##_inputs, ins, count, opts, out_ids);               \
    }                                                                                              \
    struct W##_in /* takes the semicolon */

/* ---- how a run ends ----------------------------------------------------------------------------- */

/* What a handler returns. Any other number counts as a failure that names it. */
enum trq_end {
    TRQ_DONE,
    TRQ_SKIP,      /* no longer needed: a success */
    TRQ_FAILED,    /* made by trq_fail */
    TRQ_DISCARDED, /* made by trq_discard */
    TRQ_REQUEUED   /* made by trq_requeue */
};

/* return trq_fail(job, "search index said %d", rc);
 * A failure of this attempt. The job is tried again as its retry policy says (by default up to 25 times, the first time
 * after 15 s or more), or else it is dead: see <tresque/retry.h>, <tresque/dead.h>. The text (cut at 251 bytes) is kept. */
TRQ_API enum trq_end trq_fail(struct trq_job *job, const char *format, ...) TRQ_PRINTF(2, 3);
/* Not a failure of the attempt but of the job: it must never run again. Ends as TRQ_WAS_DISCARDED. */
TRQ_API enum trq_end trq_discard(struct trq_job *job, const char *format, ...) TRQ_PRINTF(2, 3);
/* Run again with the same inputs, behind what waits in its queue by now. Not a failure; same id. A queue lock is
 * asked for anew: if another job waits with it, this one ends as TRQ_WAS_MERGED. */
TRQ_API enum trq_end trq_requeue(struct trq_job *job);
/* The same, not before that time has passed. */
TRQ_API enum trq_end trq_requeue_in(struct trq_job *job, struct trq_span after);

/* ---- locks ---------------------------------------------------------------------------------------- */

/* A lock key under construction: typed and length-prefixed, so that no two lists of parts meet; of any size. A key
 * without parts is a key. */
struct trq_key;
TRQ_API void trq_key_bool(struct trq_key *key, bool value);
TRQ_API void trq_key_i64(struct trq_key *key, int64_t value);
TRQ_API void trq_key_f64(struct trq_key *key, double value);
TRQ_API void trq_key_str(struct trq_key *key, struct trq_str value);
TRQ_API void trq_key_input(struct trq_key *key, const struct trq_job *job, const char *name);

/* A job meets one that waits with its queue lock. */
enum trq_on_conflict {
    TRQ_AS_DECLARED, /* in trq_opts: as the lock says; in a lock: TRQ_KEEP */
    TRQ_KEEP,        /* the one that waits stays; TRQ_DUPLICATE */
    TRQ_REPLACE,     /* it ends as TRQ_WAS_REPLACED, the new one takes its place; TRQ_REPLACED */
    TRQ_DEBOUNCE     /* if it is scheduled, it is due later; TRQ_DEBOUNCED. Implies
                        TRQ_FROM_SCHEDULING */
};
enum trq_scope {
    TRQ_WHEN_DUE,       /* a scheduled job asks for its queue lock when it becomes due */
    TRQ_FROM_SCHEDULING /* ... when it is enqueued, and holds it while it is scheduled */
};

/* Shape:   one of inputs, all, key. TRQ_LOCK_ON("user_id"), TRQ_LOCK_BY(function), TRQ_LOCK(.all = true).
 * Owner:   in a worker: const data, must outlive the engine; in trq_opts: read during the call (the function must stay).
 *
 * A *queue lock* is held while a job waits: enqueueing another with that key is a no-op. It ends when the job begins to
 * run, and whatever the refused caller wrote before its call is seen by that run.
 * A *worker lock* is held while a job runs: at most `limit` jobs with that key run at a time. Others wait for it without
 * a thread and keep their place in line. */
struct trq_lock {
    uint32_t size;
    uint32_t limit;    /* worker lock: jobs at a time; 0 is 1. The same in all of a name space */
    const char *space; /* workers that share a name space share keys; NULL: the worker's name */
    const char *const *inputs; /* names, NULL-ended; one that is absent counts as null */
    bool all;                  /* every input, undeclared ones too, in any order */
    /* Anything but TRQ_DONE is an answer instead of a key.
     * Queue lock: on the enqueuer's thread, once; it may read inputs (trq_job_get, the struct form) and nothing else of
     *   the job, and must be quick. trq_fail: the call is refused with TRQ_EINPUT and that text.
     * Worker lock: on the pool thread, at each start; may look things up, shares the run's state with needed
     *   and perform; how it ends is how the job ends (skip, fail, discard, requeue). */
    enum trq_end (*key)(struct trq_job *job, struct trq_key *key);
    /* Of a queue lock only: */
    enum trq_scope scope;
    enum trq_on_conflict on_conflict;
    struct trq_span
        max_wait; /* debounce: not beyond so long after it was first enqueued; 0: no bound */
};
#ifndef __cplusplus
#define TRQ_LOCK(...) (&(const struct trq_lock){.size = sizeof(struct trq_lock), __VA_ARGS__})
#define TRQ_LOCK_ON(...) TRQ_LOCK(.inputs = (const char *const[]){__VA_ARGS__, NULL})
#define TRQ_LOCK_BY(function) TRQ_LOCK(.key = (function))
#endif
/* A field's name, checked by the compiler: TRQ_LOCK_ON(TRQ_FIELD(user_index, user_id)). */
#define TRQ_FIELD(W, field) (&#field[0 * sizeof(((struct W##_in *)0)->field)])

/* ---- the declaration ----------------------------------------------------------------------------- */

/* Shape:   begins with TRQ_WORKER(hard, "HardWorker") or TRQ_WORKER_PLAIN("TickWorker"); what is left zero is the
 *          default.
 * Owner:   yours; const; must outlive every engine that it is registered with. */
struct trq_worker {
    uint32_t size;
    uint32_t reserved;               /* zero */
    const char *name;                /* "Billing::InvoiceChargeWorker": unique in the engine */
    const char *app;                 /* NULL: the application that registers it; of one without a
                                        name: the name's first part, underscored, or "worker" */
    const char *queue;               /* NULL: "default"; a short name inside the application */
    const struct trq_inputs *inputs; /* NULL: none declared; given ones are kept */
    /* On a pool thread (or in trq_engine_poll); may call everything but stop, destroy, drain, poll and
     * trq_wait. Must return: nothing can end a handler from outside, and stop waits for it. If it crashes,
     * so does the process. */
    enum trq_end (*perform)(struct trq_job *job);
    bool (*needed)(struct trq_job *job); /* asked right before perform; false: skipped. NULL: yes */
    const struct trq_lock *queue_lock;   /* NULL: none */
    const struct trq_lock *worker_lock;  /* NULL: none */
    size_t state_size;                   /* zeroed bytes for one run; at most 64 KiB */
    /* Once after the run, or when it waits for its worker lock after all; NULL: nothing. */
    void (*state_drop)(void *state, struct trq_job *job);
    const struct trq_retry *retry; /* NULL: the default */
    /* The last attempt has failed: asked once, after state_drop and before the job is put into the dead set; may do what a
     * handler may. Not if the handler discarded it. NULL: nothing. */
    void (*exhausted)(struct trq_job *job, const struct trq_error *error);
    struct trq_span
        timeout; /* of one run: then trq_job_should_stop is true, and it is reported as stuck; 0: none */
    struct trq_span
        expires_in; /* a job that has not begun so long after it could ends as expired; 0: none */
    /* Jobs that were enqueued for another version of this declaration (trq_opts.version; from a file, or another program)
     * run all the same. Inputs added since read as their defaults, those removed since are kept. What else has changed
     * (renamed, retyped, added and required) is mended here: on the pool thread, before anything else of the worker is
     * asked, with trq_job_get, trq_job_set and trq_job_unset; once, since the mended inputs are kept. TRQ_DONE, or how the
     * run ends instead; then the job keeps its old inputs. NULL: nothing to mend. If a required input is missing after
     * it, or one has a wrong type, the attempt fails and says so. */
    uint32_t version; /* of the declaration; 0 for one that has never changed */
    enum trq_end (*upgrade)(struct trq_job *job, uint32_t version_then);
};

#define TRQ_WORKER(W, class_name)                                                                  \
    .size = sizeof(struct trq_worker), .name = (class_name), .inputs = &W##_inputs
/* One that declares no inputs; what is given is kept. */
#define TRQ_WORKER_PLAIN(class_name) .size = sizeof(struct trq_worker), .name = (class_name)

/* ---- what a handler may ask; all O(1), none allocates ---------------------------------------------- */

/* The struct form: use hard_get(job). NULL if that is not the declaration of the job's worker; and in `exhausted`, if the
 * attempt failed for want of memory. */
TRQ_API const void *trq_job_inputs(struct trq_job *job, const struct trq_inputs *declared);

/* By name. False, and *out untouched, if there is no such input or a str or json is absent.
 * Strings die with the run. */
TRQ_API bool trq_job_get(const struct trq_job *job, const char *name, struct trq_value *out);
TRQ_API int64_t trq_job_get_i64(const struct trq_job *job, const char *name); /* else 0 */
TRQ_API double trq_job_get_f64(const struct trq_job *job,
                               const char *name); /* else 0; integers, too */
TRQ_API bool trq_job_get_bool(const struct trq_job *job, const char *name); /* else false */
TRQ_API struct trq_str trq_job_get_str(const struct trq_job *job,
                                       const char *name); /* else absent */

/* Bytes that the worker lock's function, `needed` and `perform` of this run share, zeroed before: "look the truth up once".
 * NULL if state_size is 0. */
TRQ_API void *trq_job_state(struct trq_job *job);

TRQ_API struct trq_engine *trq_job_engine(const struct trq_job *job);
TRQ_API void *trq_job_host(const struct trq_job *job); /* trq_config.host */
TRQ_API void *trq_job_tag(const struct trq_job *job);  /* trq_opts.tag, or NULL */
TRQ_API struct trq_job_id trq_job_self(const struct trq_job *job);
TRQ_API int trq_job_attempt(const struct trq_job *job); /* 1, and one more after each failure */
TRQ_API const char *trq_job_queue(const struct trq_job *job); /* full name */
TRQ_API const struct trq_worker *trq_job_worker(const struct trq_job *job);
TRQ_API int
trq_job_thread(const struct trq_job *job); /* index of the pool thread, 0, 1, ...; polled: 0 */
/* When it was enqueued or requeued, or became due, to within the system's coarse clock (some ms). */
TRQ_API struct trq_wall trq_job_enqueued_at(const struct trq_job *job);
/* The job was cancelled, its time is up (timeout, or a deadline that it inherited), or the engine is stopping and waits for
 * this handler. Poll it in long loops. */
TRQ_API bool trq_job_should_stop(const struct trq_job *job);
/* How long until its time is up: trq_forever() without a limit, 0 if it is. */
TRQ_API struct trq_span trq_job_time_left(const struct trq_job *job);
/* Why the attempt before this one failed; "" at the first. Dies with the run. */
TRQ_API const char *trq_job_last_error(const struct trq_job *job);

/* In `upgrade` only, else TRQ_EINVAL. What is set is read by trq_job_get from then on, and what was read before stays good until
 * `upgrade` returns. The value is copied; an absent text unsets. The struct form is NULL there.
 * Errors:  TRQ_EINPUT: not UTF-8, no JSON, too big; TRQ_ENOMEM: the attempt will fail. Unset: TRQ_GONE if there is no such input. */
TRQ_API int trq_job_set(struct trq_job *job, const char *name, struct trq_value value);
TRQ_API int trq_job_unset(struct trq_job *job, const char *name);

enum { TRQ_RESULT_MAX = 48 };
/* A small result for who waits for the end. TRQ_EINVAL if size > TRQ_RESULT_MAX. The last one counts. */
TRQ_API int trq_job_set_result(struct trq_job *job, const void *data, size_t size);

#ifdef __cplusplus
} /* extern "C" */

/* C++17 has no designated initialisers:
 *     const trq_worker hard = TRQ_WORKER_CXX(hard, "HardWorker", w.perform = hard_perform); */
#define TRQ_WORKER_CXX(W, class_name, ...)                                                         \
    [] {                                                                                           \
        trq_worker w = trq_worker();                                                               \
        w.size = sizeof(trq_worker);                                                               \
        w.name = (class_name);                                                                     \
        w.inputs = &W##_inputs;                                                                    \
        __VA_ARGS__;                                                                               \
        return w;                                                                                  \
    }()
#endif

#endif
