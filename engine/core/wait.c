/* Blocking until one job has ended. For tests and tools: a mutex and a list are enough. A job that nobody waits for
 * knows nothing of it; who waits sets a flag in the job's word, and the end of a flagged job looks into the list. */
#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/stop.h"
#include "engine/sync/futex.h"

struct tq_waiter {
    struct trq_job_id id;
    struct trq_event event;
    tq_a32 told;
    struct tq_waiter *next, **link;
};

static void link_in(struct trq_engine *e, struct tq_waiter *w)
{
    w->next = e->waiters;
    w->link = &e->waiters;
    if (w->next)
        w->next->link = &w->next;
    e->waiters = w;
}

static void unlink(struct tq_waiter *w)
{
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
}

/* False: it has ended. */
static bool flag_job(struct trq_engine *e, struct trq_job_id id)
{
    struct tq_job *job = tq_job_by_id(e, id);
    if (!job)
        return false;
    uint64_t word = tq_load(&job->word, acquire);
    do {
        if (tq_word_generation(word) != (uint32_t)(id.slot >> 32) || !tq_word_lives(word))
            return false;
    } while (!tq_cas(&job->word, &word, word | TQ_WATCHED, acq_rel, acquire));
    return true;
}

void tq_waiters_tell(struct trq_engine *engine, const struct trq_event *event)
{
    pthread_mutex_lock(&engine->waiting);
    for (struct tq_waiter *w = engine->waiters; w; w = w->next) {
        if (!trq_job_id_equal(w->id, event->id) || tq_load(&w->told, relaxed))
            continue;
        w->event = *event;
        tq_store(&w->told, 1, release);
        tq_futex_wake(&w->told, 1);
    }
    pthread_mutex_unlock(&engine->waiting);
}

int trq_wait(struct trq_engine *engine, struct trq_job_id id, struct trq_span at_most,
             struct trq_event *out_event)
{
    if (!engine || id.birth != engine->birth)
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    if (!engine->thread_count || tq_in_handler(engine))
        return TRQ_EINVAL;
    static const struct tq_clock system = {0};
    int64_t deadline = tq_deadline(tq_clock_mono(&system), at_most.ns);
    struct tq_waiter w = {.id = id};
    pthread_mutex_lock(&engine->waiting);
    link_in(engine, &w);
    bool waits = flag_job(engine, id);
    if (!waits)
        unlink(&w);
    pthread_mutex_unlock(&engine->waiting);
    if (!waits)
        return TRQ_GONE;
    while (!tq_load(&w.told, acquire))
        if (!tq_futex_wait(&w.told, 0, deadline))
            break;
    pthread_mutex_lock(&engine->waiting);
    unlink(&w);
    bool told = tq_load(&w.told, acquire);
    pthread_mutex_unlock(&engine->waiting);
    if (told && out_event)
        *out_event = w.event;
    return told ? TRQ_OK : TRQ_ETIMEOUT;
}
