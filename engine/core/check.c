/* trq_engine_check: the engine's books against the jobs themselves, by a dumb walk over all slots. */
#include <tresque/explain.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/queuelock.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"
#include "engine/core/view.h"
#include "engine/core/workerlock.h"

struct census {
    uint64_t state[TQ_STATES];
    uint64_t queue_locks;   /* jobs that hold one */
    uint64_t tombs, parked; /* as the queues have them */
    uint64_t items;         /* in the queues */
    uint64_t expiring;      /* they wait, and have a timer by which that ends */
    const char *wrong;
};

static void check_side(struct trq_engine *e, uint32_t index, uint64_t word, struct census *c)
{
    uint32_t at = tq_cold_side(tq_load(&tq_job_at(e, index)->cold, relaxed));
    bool locked = word & (TQ_QUEUE_LOCKED | TQ_WORKER_LOCKED);
    if (at == UINT32_MAX) {
        if (locked || word & (TQ_EXPIRES | TQ_LIMITED | TQ_OLD))
            c->wrong = "a job has locks or limits, and no side";
        return;
    }
    const struct tq_side *side = tq_side_at(e, at);
    uint32_t trail = tq_load(&side->trail, relaxed);
    bool limits = trail && !(trail & TQ_TRAIL_SLIPS);
    if ((word & (TQ_EXPIRES | TQ_LIMITED | TQ_OLD) && !limits) ||
        (!locked && !trail && !tq_job_failures(tq_job_at(e, index))))
        c->wrong = "a job has limits and no trail, or a side without need";
    enum tq_tie tie = (enum tq_tie)tq_load(&side->tie, relaxed);
    if (side->job != index)
        c->wrong = "a side belongs to another job";
    if ((tq_word_state(word) == TQ_PARKED) != (tie == TQ_WAITS))
        c->wrong = "a job is parked and waits for no key, or the other way round";
    if (tq_word_state(word) == TQ_SCHEDULED && tie != TQ_UNTIED)
        c->wrong = "a scheduled job has a worker lock";
}

static void count_jobs(struct trq_engine *e, struct census *c)
{
    for (uint32_t i = 0; i < tq_load(&e->jobs.carved, acquire); i++) {
        uint64_t word = tq_load(&tq_job_at(e, i)->word, acquire);
        enum tq_state state = tq_word_state(word);
        if (state >= TQ_STATES || state == TQ_HELD) {
            c->wrong = "a job is in a state that does not last";
            return;
        }
        c->state[state]++;
        if (state == TQ_FREE || state == TQ_TOMB)
            continue;
        c->expiring += tq_word_expires(word);
        c->queue_locks += word & TQ_QUEUE_LOCKED && tq_word_waits(word);
        check_side(e, i, word, c);
    }
}

static void count_queues(struct trq_engine *e, struct census *c)
{
    for (uint32_t i = 0; i < tq_load(&e->registry.queues_count, acquire); i++) {
        struct tq_queue *queue = e->registry.queues[i];
        uint64_t items = 0;
        if (!tq_fifo_check(&queue->fifo, &items))
            c->wrong = "a queue is broken";
        c->items += items;
        c->tombs += tq_load(&queue->tombs, relaxed);
        c->parked += tq_load(&queue->parked, relaxed);
    }
}

int trq_engine_check(struct trq_engine *engine, struct trq_error *error)
{
    if (!engine)
        return tq_error(error, TRQ_EINVAL, "engine is NULL");
    if (tq_is_forked(engine))
        return tq_error(error, TRQ_ESTOPPED, "the engine belongs to another process");
    struct census c = {.wrong = NULL};
    uint64_t held = 0, waiting = 0, recurring = 0, sides = 0;
    count_jobs(engine, &c);
    count_queues(engine, &c);
    const char *wrong = c.wrong;
    if (!wrong)
        wrong = tq_queue_locks_check(engine, &held);
    if (!wrong)
        wrong = tq_worker_locks_check(engine, &waiting);
    if (!wrong)
        wrong = tq_recur_check(engine, &recurring);
    if (!wrong)
        wrong = tq_house_check(engine, c.state[TQ_SCHEDULED] + recurring + c.expiring);
    if (!wrong)
        wrong = tq_dead_check(engine, &sides);
    if (wrong)
        return tq_error(error, TRQ_ECONFLICT, "%s", wrong);
    const struct {
        const char *what;
        uint64_t jobs, books;
    } sums[] = {
        {"jobs in queues", c.state[TQ_READY] + c.state[TQ_TOMB], c.items},
        {"tombs", c.state[TQ_TOMB], c.tombs},
        {"parked jobs", c.state[TQ_PARKED], c.parked},
        {"waiters of worker locks", c.state[TQ_PARKED], waiting},
        {"queue locks", c.queue_locks, held},
        {"scheduled jobs", c.state[TQ_SCHEDULED], tq_schedule_count(engine)},
    };
    for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
        if (sums[i].jobs != sums[i].books)
            return tq_error(error, TRQ_ECONFLICT, "%s: %llu, and the books say %llu", sums[i].what,
                            (unsigned long long)sums[i].jobs, (unsigned long long)sums[i].books);
    if (!tq_ready_check(tq_view_now(engine)->ready))
        return tq_error(error, TRQ_ECONFLICT, "a queue with jobs has no hint");
    return TRQ_OK;
}
