/* What the tests of the engine share: an engine in one line, workers that record or wait, memory that counts.
 *
 * For Criterion programs and for plain ones: what must hold for a test to make sense at all is FX_MUST, which ends
 * the program. An engine is made inside its test, since Criterion forks and an engine ends at a fork. */
#ifndef TESTS_ENGINE_FIXTURE_H
#define TESTS_ENGINE_FIXTURE_H

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <tresque.h>

#define FX_MUST(cond) fx_must(!!(cond), #cond, __FILE__, __LINE__)

static inline void fx_must(bool good, const char *cond, const char *file, int line)
{
    if (good)
        return;
    fprintf(stderr, "%s:%d: %s\n", file, line, cond);
    fflush(NULL);
    abort();
}

/* Longer than anything takes that works. */
static inline struct trq_span fx_long(void)
{
    return trq_seconds(50);
}

/* For what another thread makes true soon and nobody tells. */
#define FX_AWAIT(cond)                                                                             \
    do {                                                                                           \
        time_t fx_end = time(NULL) + 50;                                                           \
        while (!(cond)) {                                                                          \
            FX_MUST(time(NULL) < fx_end);                                                          \
            sched_yield();                                                                         \
        }                                                                                          \
    } while (0)

static inline bool fx_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}
static inline void fx_await_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    FX_MUST(poll(&p, 1, 50000) == 1);
}

/* ---- a gate that handlers wait at ---------------------------------------------------------------- */

struct fx_gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int arrived;
    bool open;
};
#define FX_GATE                                                                                    \
    {                                                                                              \
        .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER                    \
    }

static inline void fx_gate_pass(struct fx_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->arrived++;
    pthread_cond_broadcast(&gate->changed);
    while (!gate->open)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}
static inline void fx_gate_open(struct fx_gate *gate)
{
    pthread_mutex_lock(&gate->mutex);
    gate->open = true;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}
static inline void fx_gate_await(struct fx_gate *gate, int arrived)
{
    pthread_mutex_lock(&gate->mutex);
    while (gate->arrived < arrived)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

/* ---- the host of a test: what handlers and callbacks leave behind ------------------------------------ */

enum { FX_VALUES = 4096 };

struct fx {
    struct fx_gate gate;
    pthread_mutex_t mutex;
    int64_t value[FX_VALUES]; /* in the order of the runs */
    int values;
    struct trq_event event; /* the last that on_end was given */
    struct trq_error error;
    int ends;
    int outcome[5];
};
#define FX_INIT                                                                                    \
    {                                                                                              \
        .gate = FX_GATE, .mutex = PTHREAD_MUTEX_INITIALIZER                                        \
    }

static inline void fx_note(struct fx *fx, int64_t value)
{
    pthread_mutex_lock(&fx->mutex);
    if (fx->values < FX_VALUES)
        fx->value[fx->values] = value;
    fx->values++;
    pthread_mutex_unlock(&fx->mutex);
}
static inline int fx_values(struct fx *fx)
{
    pthread_mutex_lock(&fx->mutex);
    int n = fx->values;
    pthread_mutex_unlock(&fx->mutex);
    return n;
}
static inline int fx_ends(struct fx *fx)
{
    pthread_mutex_lock(&fx->mutex);
    int n = fx->ends;
    pthread_mutex_unlock(&fx->mutex);
    return n;
}

static inline void fx_on_end(void *host, const struct trq_event *event,
                             const struct trq_error *error)
{
    struct fx *fx = host;
    pthread_mutex_lock(&fx->mutex);
    fx->event = *event;
    fx->error = error ? *error : (struct trq_error){0};
    fx->outcome[event->outcome]++;
    fx->ends++;
    pthread_mutex_unlock(&fx->mutex);
}

/* Written as "3 1 2", so that an order is compared in one line. */
static inline const char *fx_text(struct fx *fx)
{
    static char text[8 * FX_VALUES];
    size_t n = 0;
    text[0] = '\0';
    pthread_mutex_lock(&fx->mutex);
    for (int i = 0; i < fx->values && i < FX_VALUES && n < sizeof text - 24; i++)
        n += (size_t)sprintf(text + n, "%s%lld", i ? " " : "", (long long)fx->value[i]);
    pthread_mutex_unlock(&fx->mutex);
    return text;
}

/* ---- workers ------------------------------------------------------------------------------------------ */

/* num notes its n; gated waits at the host's gate before that. */
#define FX_NUM_INPUTS(F, W) F(W, i64, n, TRQ_OPTIONAL, 0)
TRQ_INPUTS(num, FX_NUM_INPUTS);
TRQ_INPUTS(gated, FX_NUM_INPUTS);

static inline enum trq_end fx_num(struct trq_job *job)
{
    fx_note(trq_job_host(job), num_get(job)->n);
    return TRQ_DONE;
}
static inline enum trq_end fx_gated(struct trq_job *job)
{
    struct fx *fx = trq_job_host(job);
    fx_gate_pass(&fx->gate);
    fx_note(fx, gated_get(job)->n);
    return TRQ_DONE;
}
const struct trq_worker num = {TRQ_WORKER(num, "Num"), .perform = fx_num};
const struct trq_worker gated = {TRQ_WORKER(gated, "Gated"), .perform = fx_gated};

/* app_default, and one queue on either side of it. */
static const struct trq_app fx_app = {
    .size = sizeof(struct trq_app),
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&num, &gated),
};

/* ---- engines ------------------------------------------------------------------------------------------- */

#define FX_CONFIG(...) (&(const struct trq_config){.size = sizeof(struct trq_config), __VA_ARGS__})
#define FX_APP(...) (&(const struct trq_app){.size = sizeof(struct trq_app), __VA_ARGS__})

static inline struct trq_engine *fx_create(const struct trq_config *config,
                                           const struct trq_app *app)
{
    struct trq_engine *engine;
    struct trq_error error = {0};
    FX_MUST(trq_engine_create(config, &engine, NULL) == TRQ_OK);
    int rc = app ? trq_register(engine, app, &error) : TRQ_OK;
    if (rc < 0)
        fprintf(stderr, "%s\n", error.text);
    FX_MUST(rc == TRQ_OK);
    return engine;
}
static inline struct trq_engine *fx_start(const struct trq_config *config,
                                          const struct trq_app *app)
{
    struct trq_engine *engine = fx_create(config, app);
    FX_MUST(trq_engine_start(engine, NULL) == TRQ_OK);
    return engine;
}
/* One job after the other, on this thread, when the test says so. A registration asks for one look. */
static inline struct trq_engine *fx_polled(struct fx *fx, const struct trq_app *app)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .host = fx, .jobs_max = 4096), app);
    FX_MUST(trq_engine_poll(engine, 0, trq_ns(0)) == 0);
    return engine;
}

static inline int fx_enqueue(struct trq_engine *engine, int64_t n, const struct trq_opts *opts)
{
    struct num_in in = {.n = n};
    return num_enqueue(engine, &in, opts, NULL);
}

static inline struct trq_worker_stats fx_stats(struct trq_engine *engine, const char *worker)
{
    struct trq_worker_stats stats = {.size = sizeof stats};
    FX_MUST(trq_stats_worker(engine, worker, &stats) == TRQ_OK);
    return stats;
}
static inline uint64_t fx_ended(const struct trq_worker_stats *s)
{
    return s->done + s->skipped + s->discarded + s->dead + s->dropped;
}

/* ---- memory that counts, knows sizes, and fails when told ------------------------------------------------- */

struct fx_heap {
    atomic_long calls;   /* of alloc */
    atomic_long fail_at; /* the call with this number fails, from 1 on; 0: none */
    atomic_long blocks;  /* live */
    atomic_long bytes;   /* live */
    atomic_long wrong;   /* frees with another size than that of the alloc */
};

struct fx_header {
    size_t size;
    struct fx_heap *heap;
};

static inline void *fx_alloc(void *context, size_t size, size_t align)
{
    struct fx_heap *heap = context;
    FX_MUST(align && align <= 64 && (align & (align - 1)) == 0);
    if (atomic_fetch_add(&heap->calls, 1) + 1 == atomic_load(&heap->fail_at))
        return NULL;
    void *base;
    if (posix_memalign(&base, 64, size + 64) != 0)
        return NULL;
    memset(base, 0xA5, size + 64); /* who relies on zeroed memory must ask for it */
    *(struct fx_header *)base = (struct fx_header){size, heap};
    atomic_fetch_add(&heap->blocks, 1);
    atomic_fetch_add(&heap->bytes, (long)size);
    return (char *)base + 64;
}
static inline void fx_free(void *context, void *block, size_t size)
{
    struct fx_header *header = (struct fx_header *)(void *)((char *)block - 64);
    struct fx_heap *heap = header->heap;
    if (header->size != size || heap != context)
        atomic_fetch_add(&heap->wrong, 1);
    atomic_fetch_sub(&heap->blocks, 1);
    atomic_fetch_sub(&heap->bytes, (long)header->size);
    memset(header, 0xDD, header->size + 64);
    free(header);
}
static inline struct trq_hooks fx_hooks(struct fx_heap *heap)
{
    return (struct trq_hooks){
        .size = sizeof(struct trq_hooks), .context = heap, .alloc = fx_alloc, .free = fx_free};
}

#endif
