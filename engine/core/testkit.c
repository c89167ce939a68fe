/* An engine without threads on a clock that stands still until it is told to go on. */
#include <tresque/test.h>

#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/enqueue.h"
#include "engine/core/queuelock.h"
#include "engine/core/run.h"
#include "engine/core/schedule.h"

enum { DAY_ONE = 1767225600 /* 2026-01-01 */, MONO_AT_FIRST = 1000000000 };

static int64_t virtual_mono(void *context)
{
    const struct trq_engine *e = context;
    return (int64_t)tq_load(&e->virtual_mono, relaxed);
}

static int64_t virtual_wall(void *context)
{
    const struct trq_engine *e = context;
    return (int64_t)tq_load(&e->virtual_wall, relaxed);
}

static bool is_virtual(const struct trq_engine *engine)
{
    return engine && engine->clock.mono == virtual_mono;
}

int trq_test_engine(void *host, struct trq_wall now, const struct trq_app *const *apps,
                    struct trq_engine **out_engine, struct trq_error *error)
{
    if (!out_engine)
        return tq_error(error, TRQ_EINVAL, "out_engine is NULL");
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    config.jobs_max = 8191; /* kept exactly */
    config.sample_every = 1;
    config.host = host;
    struct trq_engine *engine;
    int rc = trq_engine_create(&config, &engine, error);
    if (rc < 0)
        return rc;
    tq_store(&engine->virtual_mono, MONO_AT_FIRST, relaxed);
    tq_store(&engine->virtual_wall, (uint64_t)(now.ns ? now.ns : trq_seconds(DAY_ONE).ns), relaxed);
    engine->clock = (struct tq_clock){virtual_mono, virtual_wall, engine};
    for (; rc == 0 && apps && *apps; apps++)
        rc = trq_register(engine, *apps, error);
    if (rc == 0)
        rc = trq_engine_start(engine, error);
    if (rc < 0)
        trq_engine_destroy(engine);
    else
        *out_engine = engine;
    return rc;
}

int trq_test_drain(struct trq_engine *engine)
{
    return trq_engine_poll(engine, 0, trq_ns(0));
}

int trq_test_step(struct trq_engine *engine)
{
    return trq_engine_poll(engine, 1, trq_ns(0));
}

/* ---- time ----------------------------------------------------------------------------------------------------- */

/* At the end of all times a clock stands still. */
static void pass(struct trq_engine *e, int64_t span)
{
    tq_store(&e->virtual_mono, (uint64_t)tq_deadline(virtual_mono(e), span), relaxed);
    tq_store(&e->virtual_wall, (uint64_t)tq_deadline(virtual_wall(e), span), relaxed);
}

/* From now to when the next job may be due, or `most`. */
static int64_t until_next(struct trq_engine *e, int64_t most)
{
    int64_t boot, wall, span = most;
    if (!tq_house_next(e, &boot, &wall))
        return most;
    int64_t boot_now = virtual_mono(e), wall_now = virtual_wall(e);
    if (boot != INT64_MAX && boot - boot_now < span)
        span = boot - boot_now;
    if (wall != INT64_MAX && wall - wall_now < span)
        span = wall - wall_now;
    return span;
}

int trq_test_advance(struct trq_engine *engine, struct trq_span span)
{
    enum { TICK = 1000000 };
    if (!is_virtual(engine) || span.ns < 0)
        return TRQ_EINVAL;
    int ran = 0;
    for (int64_t left = span.ns;;) {
        int now = trq_engine_poll(engine, 0, trq_ns(0));
        if (now < 0)
            return now;
        ran += now;
        if (!left)
            return ran;
        /* What the jobs have put off is on its way to the wheels still. */
        if (tq_house_round(engine, tq_local_of(engine)))
            continue;
        int64_t step = until_next(engine, left);
        if (step <= 0) /* what is due cannot become ready: no memory; it is tried again */
            step = left < TICK ? left : TICK;
        pass(engine, step);
        left -= step;
    }
}

int trq_test_set_wall(struct trq_engine *engine, struct trq_wall now)
{
    if (!is_virtual(engine))
        return TRQ_EINVAL;
    tq_store(&engine->virtual_wall, (uint64_t)now.ns, relaxed);
    return TRQ_OK;
}

/* ---- what is there -------------------------------------------------------------------------------------------- */

static bool is_waiting(enum tq_state state)
{
    return state == TQ_READY || state == TQ_SCHEDULED || state == TQ_PARKED;
}

static int count(struct trq_engine *engine, const struct trq_worker *worker, struct trq_dict inputs,
                 bool scheduled_only, struct trq_wall *out_due)
{
    struct tq_local *local = engine && worker ? tq_local_of(engine) : NULL;
    if (!local)
        return TRQ_EINVAL;
    const struct tq_class *class = tq_class_known(engine, local, worker);
    if (!class)
        return TRQ_EUNKNOWN;
    int n = 0;
    int64_t first = INT64_MAX;
    for (uint32_t i = 0; i < tq_load(&engine->jobs.carved, acquire); i++) {
        struct tq_job *job = tq_job_at(engine, i);
        uint64_t word = tq_load(&job->word, acquire);
        enum tq_state state = tq_word_state(word);
        if (!is_waiting(state) || (scheduled_only && state != TQ_SCHEDULED) ||
            tq_job_class_number(job) != class->number || !tq_job_contains(engine, job, inputs))
            continue;
        n++;
        if (state != TQ_SCHEDULED)
            continue;
        int64_t due = tq_schedule_wall_due(engine, job, word);
        first = due < first ? due : first;
    }
    if (out_due && n)
        out_due->ns = first;
    return n;
}

int trq_test_count(struct trq_engine *engine, const struct trq_worker *worker,
                   struct trq_dict inputs)
{
    return count(engine, worker, inputs, false, NULL);
}

int trq_test_scheduled(struct trq_engine *engine, const struct trq_worker *worker,
                       struct trq_dict inputs, struct trq_wall *out_due)
{
    return count(engine, worker, inputs, true, out_due);
}

bool trq_test_locked(struct trq_engine *engine, const struct trq_worker *worker,
                     struct trq_dict inputs)
{
    struct tq_local *local = engine && worker ? tq_local_of(engine) : NULL;
    struct tq_class *class = local ? tq_class_known(engine, local, worker) : NULL;
    struct tq_digest digest;
    if (!class || !class->queue_lock.space)
        return false;
    return tq_enqueue_digest(engine, local, class, inputs, &digest) == 0 &&
           tq_queue_lock_held(engine, digest, tq_clock_boot(&engine->clock));
}
