/* Making work visible, and telling somebody. */
#include <sys/eventfd.h>

#include "engine/core/engine.h"
#include "engine/core/view.h"

uint32_t tq_publish(struct trq_engine *engine, struct tq_local *local, struct tq_queue *queue,
                    const uint32_t *items, uint32_t count)
{
    uint32_t pushed = tq_fifo_push(&queue->fifo, &local->segments, items, count);
    struct tq_view *view = tq_view_now(engine), *now;
    do {
        now = view;
        tq_ready_mark(view->ready, view->rank_of[queue->number]);
        view = tq_view_now(engine); /* see core/view.h */
    } while (view != now);
    return pushed;
}

/* In poll mode the only sleeper is the host, who sleeps on the descriptor. */
static void wake(struct trq_engine *engine, int index)
{
    if (engine->thread_count)
        tq_park_wake(&engine->park, index);
    else
        eventfd_write(engine->fd, 1);
}

void tq_notify(struct trq_engine *engine, struct tq_local *local)
{
    int index = tq_park_notify(&engine->park);
    if (TQ_LIKELY(index < 0))
        return;
    if (local)
        tq_count(&local->wakeups, 1);
    wake(engine, index);
}

bool tq_work_waits(struct trq_engine *engine)
{
    return tq_ready_any(tq_view_now(engine)->ready);
}

void tq_pool_wake_all(struct trq_engine *engine)
{
    int index;
    while ((index = tq_park_notify_any(&engine->park)) >= 0)
        wake(engine, index);
}

void trq_wake(struct trq_engine *engine)
{
    if (!engine || !tq_is_open(engine) || !tq_work_waits(engine))
        return;
    tq_notify(engine, tq_local_of(engine));
}
