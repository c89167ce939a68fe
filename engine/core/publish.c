#include "engine/core/publish.h"

#include <sys/eventfd.h>

/* In poll mode the only sleeper is the host, who sleeps on the descriptor. */
static void wake(struct trq_engine *engine, int index)
{
    if (engine->thread_count)
        tq_park_wake(&engine->park, index);
    else
        eventfd_write(engine->fd, 1);
}

void tq_rouse(struct trq_engine *engine, struct tq_local *local, int index)
{
    if (local)
        tq_count(&local->wakeups, 1);
    wake(engine, index);
}

void tq_rouse_all(struct trq_engine *engine)
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
