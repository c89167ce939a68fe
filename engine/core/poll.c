/* An engine without threads: the host is its one worker. */
#include <sys/eventfd.h>

#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/stop.h"
#include "engine/core/view.h"

int trq_engine_fd(struct trq_engine *engine)
{
    if (!engine || engine->thread_count)
        return TRQ_EINVAL;
    return tq_is_forked(engine) ? TRQ_ESTOPPED : tq_house_fd(engine);
}

/* Awake: off the stack, so that enqueuers do not write the descriptor while we look anyway. Either we pop ourselves, or
 * somebody has, whether or not he has come to tell us yet: we count as a searcher in both cases. */
static void get_up(struct trq_engine *e)
{
    tq_park_notify_any(&e->park);
    tq_park_found(&e->park);
    eventfd_t unused;
    eventfd_read(e->fd, &unused);
}

/* Asleep: the next enqueue makes the descriptor readable, and so does what waits already. */
static void lie_down(struct trq_engine *e)
{
    tq_park_join(&e->park, 0, false);
    tq_house_lie_down(e);
    if (tq_work_waits(e))
        tq_notify(e, NULL);
}

static int run_ready(struct trq_engine *e, struct tq_thread *t, unsigned jobs_max, int64_t deadline)
{
    int ran = 0;
    while ((!jobs_max || (unsigned)ran < jobs_max) && tq_is_open(e)) {
        struct tq_taken taken;
        t->view = tq_view_now(e);
        if (!tq_ready_take(t->view->ready, &t->local->segments, true, &taken))
            break;
        ran += tq_thread_run(e, t, &taken);
        if (deadline != INT64_MAX && tq_clock_mono(&e->clock) >= deadline)
            break;
    }
    return ran;
}

int trq_engine_poll(struct trq_engine *engine, unsigned jobs_max, struct trq_span at_most)
{
    if (!engine)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    if (engine->thread_count || !tq_load(&engine->started, acquire) || tq_in_handler(engine))
        return TRQ_EINVAL;
    uint32_t nobody = 0;
    if (!tq_cas(&engine->polling, &nobody, 1, seq_cst, relaxed))
        return TRQ_EINVAL;
    struct tq_thread *t = &engine->threads[0];
    int ran = TRQ_ENOMEM;
    t->local = tq_local_of(engine);
    if (t->local) {
        int64_t deadline =
            at_most.ns > 0 ? tq_deadline(tq_clock_mono(&engine->clock), at_most.ns) : INT64_MAX;
        get_up(engine);
        tq_house_round(engine, t->local);
        ran = run_ready(engine, t, jobs_max, deadline);
        /* What has become due meanwhile, or was put there by those that ran. */
        while ((!jobs_max || (unsigned)ran < jobs_max) && tq_is_open(engine) &&
               tq_house_round(engine, t->local) &&
               (deadline == INT64_MAX || tq_clock_mono(&engine->clock) < deadline))
            ran += run_ready(engine, t, jobs_max ? jobs_max - (unsigned)ran : 0, deadline);
        lie_down(engine);
    }
    tq_store(&engine->polling, 0, seq_cst);
    if (!tq_is_open(engine))
        tq_bell_ring(&engine->quiet);
    return ran;
}
