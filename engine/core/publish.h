/* Making work visible, and telling somebody. */
#ifndef TQ_CORE_PUBLISH_H
#define TQ_CORE_PUBLISH_H

#include "engine/core/engine.h"
#include "engine/core/view.h"

/* After a push: the queue's hint, in the view of now (core/view.h). */
static inline void tq_publish_mark(struct trq_engine *engine, const struct tq_queue *queue)
{
    struct tq_view *view = tq_view_now(engine), *then;
    do {
        then = view;
        tq_ready_mark(view->ready, view->rank_of[queue->number]);
        view = tq_view_now(engine);
    } while (TQ_UNLIKELY(view != then));
}

/* How many were pushed: less than count only if the engine is stopping. */
static inline uint32_t tq_publish(struct trq_engine *engine, struct tq_local *local,
                                  struct tq_queue *queue, const uint32_t *items, uint32_t count)
{
    uint32_t pushed = count == 1 ? tq_fifo_push_one(&queue->fifo, &local->segments, *items)
                                 : tq_fifo_push(&queue->fifo, &local->segments, items, count);
    tq_publish_mark(engine, queue);
    return pushed;
}

/* Wake a thread that was chosen by the park; in poll mode the host, by its descriptor. */
void tq_rouse(struct trq_engine *engine, struct tq_local *local, int index);

/* Somebody should look. local: whose wake-up it is counted as; may be NULL. */
static inline void tq_notify(struct trq_engine *engine, struct tq_local *local)
{
    int index = tq_park_notify(&engine->park);
    if (TQ_UNLIKELY(index >= 0))
        tq_rouse(engine, local, index);
}

static inline bool tq_work_waits(const struct trq_engine *engine)
{
    return tq_ready_any(tq_view_now(engine)->ready);
}

/* Everybody must look: at a stop. */
void tq_rouse_all(struct trq_engine *engine);

#endif
