/* <tresque/dead.h>: looking, and deleting. */
#include <tresque/dead.h>

#include "engine/core/dead.h"
#include "engine/core/engine.h"
#include "engine/core/json.h"

/* 0 and *out_local, or what to return. Looking is allowed after a stop. */
static int begin(struct trq_engine *engine, struct tq_local **out_local)
{
    if (!engine)
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    *out_local = tq_local_of(engine);
    return *out_local ? 0 : TRQ_ENOMEM;
}

uint64_t trq_dead_count(struct trq_engine *engine)
{
    return engine && !tq_is_forked(engine) ? tq_load(&engine->dead.count, relaxed) : 0;
}

int trq_dead_get(struct trq_engine *engine, struct trq_job_id id, struct trq_dead *out)
{
    if (!engine)
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    return tq_dead_find(engine, id, out, NULL) ? TRQ_OK : TRQ_GONE;
}

/* A copy is printed, since printing takes long and may allocate. */
int trq_dead_json(struct trq_engine *engine, struct trq_job_id id, char *buffer, size_t size,
                  size_t *out_needed)
{
    enum { SMALL = 1024 };
    unsigned char small[SMALL], *bytes = small;
    const struct tq_layout *layout;
    size_t capacity = sizeof small, has;
    if (!engine || (size && !buffer))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    bool found = tq_dead_copy(engine, id, &layout, bytes, capacity, &has);
    if (found && has > capacity) {
        capacity = has;
        bytes = tq_alloc_raw(&engine->memory, capacity, 16);
        if (!bytes)
            return TRQ_ENOMEM;
        found = tq_dead_copy(engine, id, &layout, bytes, capacity, &has);
    }
    if (found) {
        long needed = tq_json_from_inputs(layout, bytes, has, buffer, size);
        if (out_needed)
            *out_needed = (size_t)needed;
    }
    if (bytes != small)
        tq_free(&engine->memory, bytes, capacity);
    return found ? TRQ_OK : TRQ_GONE;
}

int trq_dead_delete(struct trq_engine *engine, struct trq_job_id id)
{
    struct tq_local *local;
    struct tq_grave grave;
    int rc = begin(engine, &local);
    if (rc < 0)
        return rc;
    if (!tq_dead_take(engine, id, &grave))
        return TRQ_GONE;
    tq_grave_free(engine, local, &grave);
    return TRQ_OK;
}

/* ---- many ----------------------------------------------------------------------------------------------------- */

static int begin_walk(struct trq_engine *engine, const struct trq_worker *worker,
                      struct trq_dict inputs, struct tq_dead_walk *out)
{
    struct tq_local *local;
    int rc = begin(engine, &local);
    if (rc < 0)
        return rc;
    if (inputs.count && !inputs.kv)
        return TRQ_EINVAL;
    *out = (struct tq_dead_walk){.inputs = inputs, .last = UINT64_MAX};
    if (worker && !(out->class = tq_class_known(engine, local, worker)))
        return TRQ_EUNKNOWN;
    return 0;
}

long trq_dead_list(struct trq_engine *engine, const struct trq_worker *worker,
                   struct trq_dict inputs, uint64_t after, struct trq_dead *out, size_t max)
{
    struct tq_dead_walk walk;
    size_t filled = 0;
    int rc = begin_walk(engine, worker, inputs, &walk);
    if (rc < 0 || (max && !out))
        return rc < 0 ? rc : TRQ_EINVAL;
    walk.after = after;
    while (filled < max && !walk.done)
        filled += tq_dead_walk(engine, &walk, out + filled, max - filled);
    return (long)filled;
}

/* TRQ_GONE: somebody was faster, and it does not count. */
static long each(struct trq_engine *engine, const struct trq_worker *worker, struct trq_dict inputs,
                 int (*act)(struct trq_engine *engine, struct trq_job_id id))
{
    enum { AT_ONCE = 8 };
    struct trq_dead some[AT_ONCE];
    struct tq_dead_walk walk;
    long count = 0;
    int rc = begin_walk(engine, worker, inputs, &walk);
    if (rc < 0)
        return rc;
    walk.last = tq_dead_last(engine);
    while (!walk.done) {
        size_t n = tq_dead_walk(engine, &walk, some, AT_ONCE);
        for (size_t i = 0; i < n; i++) {
            rc = act(engine, some[i].id);
            if (rc < 0)
                return count ? count : rc;
            count += rc != TRQ_GONE;
        }
    }
    return count;
}

static int retry_one(struct trq_engine *engine, struct trq_job_id id)
{
    return trq_dead_retry(engine, id, NULL);
}

long trq_dead_retry_matching(struct trq_engine *engine, const struct trq_worker *worker,
                             struct trq_dict inputs)
{
    if (engine && !tq_is_open(engine))
        return TRQ_ESTOPPED;
    return each(engine, worker, inputs, retry_one);
}

long trq_dead_delete_matching(struct trq_engine *engine, const struct trq_worker *worker,
                              struct trq_dict inputs)
{
    return each(engine, worker, inputs, trq_dead_delete);
}
