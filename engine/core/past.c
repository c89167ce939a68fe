#include "engine/core/past.h"

#include <string.h>

#include "engine/core/engine.h"

void tq_past_keep(struct trq_engine *engine, const struct trq_event *event,
                  const struct trq_error *error)
{
    struct tq_past *past = &engine->past;
    int64_t now = tq_clock_wall_coarse(&engine->clock);
    tq_mutex_lock(&past->mutex);
    if (!past->ring) /* without memory nothing is kept, and nothing is lost but an answer to a question */
        past->ring = tq_alloc_raw(&engine->memory, TQ_PAST_MAX * sizeof *past->ring, 16);
    if (past->ring) {
        struct tq_past_end *end = &past->ring[past->count++ % TQ_PAST_MAX];
        end->id = event->id;
        end->other = event->other;
        end->wall = now;
        end->worker = event->worker;
        end->queue = event->queue;
        end->outcome = event->outcome;
        size_t size = error ? strnlen(error->text, TQ_PAST_TEXT - 1) : 0;
        memcpy(end->text, error ? error->text : "", size);
        end->text[size] = '\0';
    }
    tq_mutex_unlock(&past->mutex);
}

bool tq_past_find(struct trq_engine *engine, struct trq_job_id id, struct tq_past_end *out)
{
    struct tq_past *past = &engine->past;
    bool found = false;
    tq_mutex_lock(&past->mutex);
    for (uint32_t i = 0; past->ring && i < past->count && i < TQ_PAST_MAX && !found; i++) {
        const struct tq_past_end *end = &past->ring[(past->count - 1 - i) % TQ_PAST_MAX];
        found = trq_job_id_equal(end->id, id);
        if (found)
            *out = *end;
    }
    tq_mutex_unlock(&past->mutex);
    return found;
}

void tq_past_fini(struct trq_engine *engine)
{
    tq_free(&engine->memory, engine->past.ring, TQ_PAST_MAX * sizeof *engine->past.ring);
}
