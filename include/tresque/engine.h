/* The engine: create, register, start, stop, destroy; queues; and an engine without threads. */
#ifndef TRESQUE_ENGINE_H
#define TRESQUE_ENGINE_H

#include <tresque/hooks.h>
#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- applications: one call per part of a server ------------------------------------------------- */

struct trq_queue {
    const char *name;  /* short: full is <application>_<name> */
    int32_t weight;    /* higher is taken first, strictly */
    uint32_t reserved; /* zero */
};

/* Owner:   yours; const, with all that it points to; must outlive the engine. */
struct trq_app {
    uint32_t size;
    uint32_t reserved;                       /* zero */
    const char *name;                        /* "account"; NULL: workers that stand alone */
    const struct trq_queue *queues;          /* ended by one whose name is NULL; or NULL */
    const struct trq_worker *const *workers; /* NULL-ended; or NULL */
};
/* For C++17, which has no designated initialisers; queues and workers may be NULL. */
TRQ_INLINE struct trq_app trq_app_init(const char *name, const struct trq_queue *queues,
                                       const struct trq_worker *const *workers)
{
    struct trq_app a;
    memset(&a, 0, sizeof a);
    a.size = (uint32_t)sizeof a;
    a.name = name;
    a.queues = queues;
    a.workers = workers;
    return a;
}
#ifndef __cplusplus
#define TRQ_QUEUES(...) ((const struct trq_queue[]){__VA_ARGS__, {NULL, 0, 0}})
#define TRQ_WORKERS(...) ((const struct trq_worker *const[]){__VA_ARGS__, NULL})
#endif

/* All of it or none, before start or after. The name is normalised: what is no letter, digit or underscore
 * becomes an underscore, upper case lower case. A queue that is named twice has the higher of its weights; a
 * worker's queue that nobody named has weight 100.
 * Errors:  TRQ_ECONFLICT: another worker, or another content, has that name (the same content again is
 *          TRQ_OK); TRQ_EINVAL: the declaration is wrong, the text says where; TRQ_ENOMEM; TRQ_ESTOPPED.
 * Threads: any; mutex. Jobs that run are not disturbed. */
TRQ_API int trq_register(struct trq_engine *engine, const struct trq_app *app,
                         struct trq_error *error) TRQ_MUST_USE;
/* The worker of that name, as it was registered: for who read the name in a file. NULL: there is none, or no memory for
 * what a thread's first call needs; in a forked child. */
TRQ_API const struct trq_worker *trq_worker_find(struct trq_engine *engine, const char *name);

/* ---- the engine ----------------------------------------------------------------------------------- */

enum { TRQ_THREADS_NONE = -1 };
#define TRQ_DEAD_NONE UINT32_MAX /* of trq_config.dead_max */

struct trq_dead; /* <tresque/dead.h> */

/* A run that takes too long. Threads are never ended from outside: it is told to stop (trq_job_should_stop), and you are. */
struct trq_stuck {
    struct trq_job_id id;
    const char *worker; /* these two live as long as the engine */
    const char *queue;
    int thread;            /* of the pool */
    struct trq_wall since; /* it began then */
    struct trq_span over;  /* so long after it should have ended */
};

enum trq_log_level { TRQ_LOG_ERROR, TRQ_LOG_WARNING, TRQ_LOG_INFO };

struct trq_config {
    uint32_t size;
    int threads;       /* 0: as many as cores by affinity and cgroup quota; at most 1024 */
    uint32_t jobs_max; /* waiting and running at once; 0: 2^20; at most 2^26. From 8192 on it is a
                              lower bound: each thread that enqueues may bring 124 more */
    uint32_t job_size_max;     /* bytes of one job's inputs, encoded; 0: 64 KiB; at most 16 MiB */
    const char *const *queues; /* work these only: full names, NULL-ended; NULL: all */
    void *host;                /* handed to every handler and to the callbacks below */
    void (*thread_begin)(void *host,
                         int index); /* on each pool thread: pin it, nice it, uselocale */
    void (*thread_end)(void *host, int index);
    const char *thread_name; /* NULL: "tresque"; the n-th thread is tresque-n; at most 10 bytes */
    size_t stack_size;       /* of pool threads; 0: the system's default */
    struct trq_span spin;    /* how long one idle thread looks for work before it sleeps; 0: 15 us,
                                and none if there are more threads than cores; negative: none */
    uint32_t sample_every;   /* every n-th job is timed for the histograms; 0: 32; 1: all */
    uint32_t dead_max; /* jobs in the dead set; 0: 10,000; at most 2^26; TRQ_DEAD_NONE: all fall
                                out of it at once */
    void (*log)(void *host, enum trq_log_level level,
                const char *text); /* any thread; NULL: none */
    const struct trq_hooks *hooks; /* NULL: the system's clock and allocator */
    /* A job fell out of the full dead set, or could not be put into it for want of memory; `dead` dies with the call. On the
     * thread whose job died; may do what a handler may. NULL: only counted. */
    void (*on_dead_lost)(void *host, const struct trq_dead *dead);
    /* A run is past its timeout; once for each run. On the housekeeping thread; without threads, on yours after the run. Must
     * be quick. NULL: only counted. */
    void (*on_stuck)(void *host, const struct trq_stuck *stuck);
    struct trq_span
        stuck_after; /* runs without a timeout are reported after so long, to within a half of it, but not told to
                                    stop; 0: never. Costs a look every so often while the engine is idle, too */
};
TRQ_INLINE struct trq_config trq_config_init(void)
{
    struct trq_config c;
    memset(&c, 0, sizeof c);
    c.size = (uint32_t)sizeof c;
    return c;
}

/* config may be NULL: all defaults. Memory is taken as jobs come: an idle engine of 2^20 jobs is small.
 * Errors:  TRQ_EINVAL, the text says which field; TRQ_ENOMEM. */
TRQ_API int trq_engine_create(const struct trq_config *config, struct trq_engine **out_engine,
                              struct trq_error *error) TRQ_MUST_USE;

/* Threads begin. Jobs may be enqueued before. Pool threads have all signals blocked. If a thread cannot be
 * made, those that were are ended and nothing has started: TRQ_ENOMEM; it may be tried again.
 * Errors:  TRQ_EUNKNOWN: config.queues names a queue that nobody registered; TRQ_EINVAL: started before;
 *          TRQ_ESTOPPED. */
TRQ_API int trq_engine_start(struct trq_engine *engine, struct trq_error *error) TRQ_MUST_USE;

/* Wait until nothing is ready and nothing runs; jobs of paused and unworked queues are not waited for. New
 * jobs may be enqueued meanwhile and are waited for, too. An engine without threads runs them here. With
 * at_most 0 it only tells.
 * Errors:  TRQ_ETIMEOUT; TRQ_EINVAL in a handler, or if not started. TRQ_ESTOPPED.
 * Threads: any but a handler; blocks <= at_most. */
TRQ_API int trq_engine_drain(struct trq_engine *engine, struct trq_span at_most);

struct trq_leftover {
    uint32_t size;
    uint32_t still_running;
    uint64_t
        dropped; /* jobs that waited; each ended as TRQ_WAS_DROPPED, nearly all on the thread that stops */
    char running[240]; /* "HardWorker on tresque-0, ...": what still runs; cut */
};

/* Take no job any more, let running handlers finish, end what waits as dropped (memory is all there is): ready, scheduled
 * or parked. An on_end must not wait for another thread that starts or stops the same engine.
 * TRQ_OK:  all handlers have returned; from now on none runs and no callback fires (but a log call that another
 *          thread has begun may still end).
 * Errors:  TRQ_ETIMEOUT: handlers still run, see *out; call it again to go on waiting. TRQ_EINVAL in a
 *          handler. TRQ_ESTOPPED in a forked child. TRQ_ENOMEM: none for a thread that calls this engine for
 *          the first time; nothing has stopped.
 * Threads: any but a handler; blocks <= at_most; again is TRQ_OK. out may be NULL. */
TRQ_API int trq_engine_stop(struct trq_engine *engine, struct trq_span at_most,
                            struct trq_leftover *out);

/* Stops for as long as it takes, if you have not; then everything is freed. NULL is fine. No other thread
 * may be in a call of this engine, or be ending after one, meanwhile; channels die with it.
 * Returns TRQ_OK; TRQ_ETIMEOUT after a stop that timed out whose handlers still run: nothing was freed;
 * TRQ_EINVAL in a handler; TRQ_ENOMEM as stop: nothing was freed. In a forked child it frees the child's copy and returns TRQ_OK. */
TRQ_API int trq_engine_destroy(struct trq_engine *engine);

/* ---- queues ---------------------------------------------------------------------------------------- */

/* By full name. No job of a paused queue is begun by a look that starts after pause has returned; what runs
 * goes on; enqueueing goes on. Both are idempotent.
 * Errors:  TRQ_EUNKNOWN: error names those that there are. error may be NULL.
 * Threads: any; mutex. */
TRQ_API int trq_queue_pause(struct trq_engine *engine, const char *queue, struct trq_error *error);
TRQ_API int trq_queue_resume(struct trq_engine *engine, const char *queue, struct trq_error *error);

/* "account_default, account_refresh": the queues that this engine works, in the order of work; before start, too.
 * Returns the length needed without the terminator, as snprintf. */
TRQ_API size_t trq_queues_text(struct trq_engine *engine, char *buffer, size_t size);

/* ---- an engine without threads ---------------------------------------------------------------------- */

/* Readable while there may be something to do; sleep on it in your event loop, then poll. Only with
 * TRQ_THREADS_NONE, else TRQ_EINVAL. The engine's; do not read or close it. */
TRQ_API int trq_engine_fd(struct trq_engine *engine);

/* Run ready jobs on this thread: at most jobs_max of them (0: no bound) and none begun after at_most
 * (zero: no bound). Returns how many ran.
 * Errors:  TRQ_EINVAL: the engine has threads or is not started, the call comes from a handler, or another
 *          thread is polling; TRQ_ESTOPPED. */
TRQ_API int trq_engine_poll(struct trq_engine *engine, unsigned jobs_max, struct trq_span at_most);

TRQ_API struct trq_wall trq_now(const struct trq_engine *engine); /* the engine's wall clock */

#ifdef __cplusplus
}
#endif

#endif
