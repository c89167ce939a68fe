/* Making and unmaking an engine. */
#include "engine/core/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "engine/base/cpus.h"
#include "engine/base/error.h"
#include "engine/base/sized.h"
#include "engine/core/channel.h"
#include "engine/core/queuelock.h"
#include "engine/core/stop.h"
#include "engine/core/trail.h"
#include "engine/core/workerlock.h"

enum {
    JOBS_DEFAULT = 1 << 20,
    JOBS_MAX = 1 << 26,
    JOBS_EXACT = 8192, /* below, jobs_max is kept exactly */
    DEAD_DEFAULT = 10000,
    SIZE_DEFAULT = 64 * 1024,
    SIZE_MAX_ = 16 * 1024 * 1024,
    THREADS_MAX = 1024,
    SAMPLE_DEFAULT = 32,
    SPIN_DEFAULT_NS = 15000,
    NOTES_UNDRAINED = 1 << 22 /* events that wait in channels, at most */
};

/* ---- the configuration ------------------------------------------------------------------------------------ */

static int check_hooks(const struct trq_hooks *h, struct trq_error *error)
{
    if (!h)
        return 0;
    if (!tq_sized_ok(h, sizeof *h, sizeof *h) || h->reserved)
        return tq_error(error, TRQ_EINVAL,
                        "hooks: size is %u, or a field of a newer release is set; "
                        "this library's is %zu",
                        h->size, sizeof *h);
    if (!h->mono_ns != !h->wall_ns)
        return tq_error(error, TRQ_EINVAL, "hooks: mono_ns and wall_ns: both or neither");
    if (!h->alloc != !h->free)
        return tq_error(error, TRQ_EINVAL, "hooks: alloc and free: both or neither");
    return 0;
}

static int check_config(const struct trq_config *c, struct trq_error *error)
{
    if (!tq_sized_ok(c, sizeof *c, sizeof *c))
        return tq_error(error, TRQ_EINVAL,
                        "config: size is %u, or a field of a newer release is set; "
                        "this library's is %zu",
                        c->size, sizeof *c);
    if (c->threads < TRQ_THREADS_NONE || c->threads > THREADS_MAX)
        return tq_error(error, TRQ_EINVAL, "config.threads: %d; -1 (none) to %d", c->threads,
                        THREADS_MAX);
    if (c->jobs_max > JOBS_MAX)
        return tq_error(error, TRQ_EINVAL, "config.jobs_max: %u; at most %d", c->jobs_max,
                        JOBS_MAX);
    if (c->dead_max > JOBS_MAX && c->dead_max != TRQ_DEAD_NONE)
        return tq_error(error, TRQ_EINVAL, "config.dead_max: %u; at most %d, or TRQ_DEAD_NONE",
                        c->dead_max, JOBS_MAX);
    if (c->job_size_max > SIZE_MAX_)
        return tq_error(error, TRQ_EINVAL, "config.job_size_max: %u; at most %d", c->job_size_max,
                        SIZE_MAX_);
    if (c->thread_name && strlen(c->thread_name) > 10)
        return tq_error(error, TRQ_EINVAL, "config.thread_name: at most 10 bytes");
    if (c->stuck_after.ns < 0)
        return tq_error(error, TRQ_EINVAL, "config.stuck_after is below zero");
    return check_hooks(c->hooks, error);
}

static void take_config(struct trq_engine *e, const struct trq_config *c)
{
    e->thread_count = c->threads == TRQ_THREADS_NONE ? 0 : c->threads ? c->threads : tq_cpus();
    e->jobs_max = c->jobs_max ? c->jobs_max : JOBS_DEFAULT;
    e->dead_max = c->dead_max ? c->dead_max : DEAD_DEFAULT;
    if (e->dead_max == TRQ_DEAD_NONE)
        e->dead_max = 0;
    e->job_size_max = c->job_size_max ? c->job_size_max : SIZE_DEFAULT;
    e->sample_every = c->sample_every ? c->sample_every : SAMPLE_DEFAULT;
    snprintf(e->thread_name, sizeof e->thread_name, "%s",
             c->thread_name ? c->thread_name : "tresque");
    /* A spinning thread that keeps another off its core does harm. */
    bool crowded = e->thread_count > tq_cpus();
    e->spin_ns = c->spin.ns < 0 ? 0 : c->spin.ns ? c->spin.ns : crowded ? 0 : SPIN_DEFAULT_NS;
}

static bool copy_queue_names(struct trq_engine *e, const char *const *names)
{
    if (!names)
        return true;
    uint32_t count = 0;
    while (names[count])
        count++;
    e->queue_names = tq_alloc(&e->memory, (count + 1) * sizeof *e->queue_names, sizeof(char *));
    if (!e->queue_names)
        return false;
    e->queue_names_room = count + 1;
    for (; e->queue_names_count < count; e->queue_names_count++) {
        size_t size = strlen(names[e->queue_names_count]) + 1;
        char *copy = tq_alloc_raw(&e->memory, size, 1);
        if (!copy)
            return false;
        memcpy(copy, names[e->queue_names_count], size);
        e->queue_names[e->queue_names_count] = copy;
    }
    return true;
}

static void free_queue_names(struct trq_engine *e)
{
    for (uint32_t i = 0; i < e->queue_names_count; i++)
        tq_free(&e->memory, e->queue_names[i], strlen(e->queue_names[i]) + 1);
}

/* ---- parts ------------------------------------------------------------------------------------------------- */

static bool init_slabs(struct trq_engine *e)
{
    bool exact = e->jobs_max < JOBS_EXACT;
    struct tq_slab_shape jobs = {
        .object_size = sizeof(struct tq_job),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_JOBS_SHIFT,
        .magazine_objects = exact ? 1 : TQ_MAGAZINE_MAX,
        .limit = e->jobs_max,
        .caches_max = TQ_LOCALS_MAX,
        .exact = exact,
    };
    /* A note belongs to a job, or waits in a channel to be drained. */
    struct tq_slab_shape notes = {
        .object_size = sizeof(struct tq_note),
        .align = TQ_LINE,
        .chunk_objects = 256,
        .magazine_objects = 30,
        .limit = e->jobs_max + NOTES_UNDRAINED,
        .caches_max = TQ_LOCALS_MAX,
    };
    /* A segment holds a job that waits, or is the last of its queue, or a thread's spare for its next push. */
    struct tq_slab_shape segments = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = e->jobs_max + TQ_QUEUES_MAX + TQ_LOCALS_MAX,
        .caches_max = TQ_LOCALS_MAX,
    };
    /* A job with locks brings a link for when it waits ahead of its queue; a sweep takes another for each job. */
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = _Alignof(struct tq_link),
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = 30,
        .limit = 2 * (e->jobs_max + TQ_MAGAZINE_MAX * TQ_LOCALS_MAX),
        .caches_max = TQ_LOCALS_MAX,
    };
    /* Of jobs with locks, and of the dead; records are credits of jobs, and change hands. */
    uint32_t locked = e->jobs_max + TQ_MAGAZINE_MAX * TQ_LOCALS_MAX;
    struct tq_slab_shape sides = {
        .object_size = sizeof(struct tq_side),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SIDES_SHIFT,
        .magazine_objects = 30,
        .limit = locked + e->dead_max,
        .caches_max = TQ_LOCALS_MAX,
    };
    struct tq_slab_shape trails = {
        .object_size = sizeof(struct tq_trail),
        .align = TQ_LINE,
        .chunk_objects = 64,
        .magazine_objects = 30,
        .limit = locked + e->dead_max,
        .caches_max = TQ_LOCALS_MAX,
    };
    /* A job's, those that are merged into a job before it starts, and one more for a moment; those of the dead. */
    struct tq_slab_shape slips = {
        .object_size = sizeof(struct tq_slip),
        .align = _Alignof(struct tq_slip),
        .chunk_objects = 256,
        .magazine_objects = 30,
        .limit = (2 * TRQ_FAILURES_KEPT + 1) * locked + TRQ_FAILURES_KEPT * e->dead_max,
        .caches_max = TQ_LOCALS_MAX,
    };
    struct tq_slab_shape queue_records = {
        .object_size = sizeof(struct tq_queue_key),
        .align = _Alignof(struct tq_queue_key),
        .chunk_objects = 256,
        .magazine_objects = 30,
        .limit = 2 * locked,
        .caches_max = TQ_LOCALS_MAX,
    };
    struct tq_slab_shape worker_records = {
        .object_size = sizeof(struct tq_worker_key),
        .align = _Alignof(struct tq_worker_key),
        .chunk_objects = 256,
        .magazine_objects = 30,
        .limit = locked,
        .caches_max = TQ_LOCALS_MAX,
    };
    return tq_slab_init(&e->jobs, &e->memory, &jobs) &&
           tq_slab_init(&e->notes, &e->memory, &notes) &&
           tq_slab_init(&e->segments, &e->memory, &segments) &&
           tq_slab_init(&e->links, &e->memory, &links) &&
           tq_slab_init(&e->sides, &e->memory, &sides) &&
           tq_slab_init(&e->trails, &e->memory, &trails) &&
           tq_slab_init(&e->slips, &e->memory, &slips) &&
           tq_slab_init(&e->queue_records, &e->memory, &queue_records) &&
           tq_slab_init(&e->worker_records, &e->memory, &worker_records) &&
           tq_locktab_init(&e->queue_locks, &e->memory, &e->queue_records) &&
           tq_locktab_init(&e->worker_locks, &e->memory, &e->worker_records) &&
           tq_blocks_init(&e->blocks, &e->memory, e->jobs_max + e->dead_max, TQ_LOCALS_MAX) &&
           tq_dead_init(e);
}

static bool init_threads(struct trq_engine *e)
{
    size_t count = e->thread_count ? (size_t)e->thread_count : 1;
    e->threads = tq_alloc(&e->memory, count * sizeof *e->threads, TQ_LINE);
    e->sleepers = tq_alloc(&e->memory, count * sizeof *e->sleepers, TQ_LINE);
    if (!e->threads || !e->sleepers)
        return false;
    for (size_t i = 0; i < count; i++) {
        e->threads[i].engine = e;
        e->threads[i].index = (int)i;
        tq_store(&e->threads[i].running, UINT64_MAX, relaxed);
        e->threads[i].reported = UINT64_MAX;
        tq_store(&e->threads[i].deadline, INT64_MAX, relaxed);
        tq_store(&e->sleepers[i].awake, 1, relaxed);
    }
    tq_park_init(&e->park, e->sleepers);
    if (e->thread_count)
        return true;
    e->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (e->fd < 0)
        return false;
    /* The host sleeps on the descriptor from the beginning. */
    tq_park_join(&e->park, 0, false);
    return true;
}

static void thread_ended(void *local)
{
    tq_local_release(local);
}

/* Everything that can be freed whether it was made or not: the engine's memory was zeroed. */
static void free_parts(struct trq_engine *e)
{
    size_t count = e->thread_count ? (size_t)e->thread_count : 1;
    tq_channels_destroy(e);
    tq_recur_fini(e);
    tq_registry_fini(e);
    tq_locals_destroy(e);
    tq_dead_fini(e);
    tq_blocks_fini(&e->blocks);
    tq_locktab_fini(&e->worker_locks);
    tq_locktab_fini(&e->queue_locks);
    tq_slab_fini(&e->worker_records);
    tq_slab_fini(&e->queue_records);
    tq_slab_fini(&e->slips);
    tq_slab_fini(&e->trails);
    tq_slab_fini(&e->sides);
    tq_slab_fini(&e->links);
    tq_house_fini(e);
    tq_past_fini(e);
    tq_slab_fini(&e->segments);
    tq_slab_fini(&e->notes);
    tq_slab_fini(&e->jobs);
    tq_free(&e->memory, e->threads, count * sizeof *e->threads);
    tq_free(&e->memory, e->sleepers, count * sizeof *e->sleepers);
    free_queue_names(e);
    tq_free(&e->memory, e->queue_names, e->queue_names_room * sizeof *e->queue_names);
    if (e->fd >= 0)
        close(e->fd);
    pthread_mutex_destroy(&e->stopping);
    pthread_mutex_destroy(&e->waiting);
    tq_gate_fini(e);
}

/* Early at boot there may be no randomness yet; then it is the time and an address. */
static uint64_t draw(const struct trq_engine *e)
{
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != sizeof number)
        number = (uint64_t)tq_clock_wall(&e->clock) ^ (uint64_t)(uintptr_t)e << 20;
    return number ? number : 1;
}

static int init_parts(struct trq_engine *e, const struct trq_config *config,
                      struct trq_error *error)
{
    if (pthread_key_create(&e->key, thread_ended) != 0)
        return tq_error(error, TRQ_ENOMEM, "no thread key: too many engines in this process");
    pthread_mutex_init(&e->stopping, NULL);
    pthread_mutex_init(&e->waiting, NULL);
    tq_recur_init(e);
    ck_epoch_init(&e->epoch);
    e->birth = draw(e);
    e->secret = (struct tq_secret){draw(e), draw(e)};
    bool made = tq_gate_init(e) && copy_queue_names(e, config->queues) && init_slabs(e) &&
                init_threads(e) && tq_house_init(e) && tq_registry_init(e) == 0;
    return made ? 0 : tq_error(error, TRQ_ENOMEM, "no memory for an engine");
}

int trq_engine_create(const struct trq_config *config, struct trq_engine **out_engine,
                      struct trq_error *error)
{
    static const struct trq_config all_defaults = {.size = sizeof all_defaults};
    if (!config)
        config = &all_defaults;
    if (!out_engine)
        return tq_error(error, TRQ_EINVAL, "out_engine is NULL");
    int rc = check_config(config, error);
    if (rc < 0)
        return rc;
    struct tq_memory memory;
    tq_memory_init(&memory, config->hooks);
    struct trq_engine *e = tq_alloc(&memory, sizeof *e, TQ_LINE);
    if (!e)
        return tq_error(error, TRQ_ENOMEM, "no memory for an engine");
    e->memory = memory;
    e->fd = -1;
    tq_sized_copy(&e->config, config, sizeof e->config);
    tq_clock_init(&e->clock, config->hooks);
    take_config(e, config);
    rc = init_parts(e, config, error);
    if (rc < 0) {
        if (e->birth) {
            pthread_key_delete(e->key);
            free_parts(e);
        }
        tq_free(&memory, e, sizeof *e);
        return rc;
    }
    *out_engine = e;
    return TRQ_OK;
}

/* ---- start, destroy ------------------------------------------------------------------------------------------ */

int trq_engine_start(struct trq_engine *engine, struct trq_error *error)
{
    if (!engine)
        return tq_error(error, TRQ_EINVAL, "engine is NULL");
    if (!tq_is_open(engine))
        return tq_error(error, TRQ_ESTOPPED,
                        "the engine is stopping, has stopped, or is another process's");
    pthread_mutex_lock(&engine->stopping);
    int rc = 0;
    if (!tq_is_open(engine)) /* a stop was faster */
        rc = tq_error(error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    else if (tq_load(&engine->started, relaxed))
        rc = tq_error(error, TRQ_EINVAL, "started before");
    if (rc == 0)
        rc = tq_registry_choose_queues(engine, error);
    if (rc == 0)
        rc = tq_house_start(engine, error);
    if (rc == 0 && (rc = tq_pool_start(engine, error)) < 0)
        tq_house_stop(engine);
    if (rc == 0)
        tq_store(&engine->started, 1, release);
    pthread_mutex_unlock(&engine->stopping);
    if (rc == 0)
        tq_log(engine, TRQ_LOG_INFO, "started: %d threads, %u jobs", engine->thread_count,
               engine->jobs_max);
    else
        tq_log(engine, TRQ_LOG_ERROR, "start: %s", trq_code_name(rc));
    return rc;
}

int trq_engine_destroy(struct trq_engine *engine)
{
    if (!engine)
        return TRQ_OK;
    bool forked = tq_is_forked(engine);
    if (!forked) {
        bool never_stopped = tq_is_open(engine);
        int rc = trq_engine_stop(engine, never_stopped ? trq_forever() : trq_ns(0), NULL);
        if (rc < 0)
            return rc;
    }
    struct tq_memory memory = engine->memory;
    pthread_key_delete(engine->key);
    free_parts(engine);
    tq_free(&memory, engine, sizeof *engine);
    return TRQ_OK;
}

struct trq_wall trq_now(const struct trq_engine *engine)
{
    return (struct trq_wall){engine ? tq_clock_wall(&engine->clock) : 0};
}

void tq_log(struct trq_engine *engine, enum trq_log_level level, const char *format, ...)
{
    if (!engine->config.log)
        return;
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    engine->config.log(engine->config.host, level, text);
}
