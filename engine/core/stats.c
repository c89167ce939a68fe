/* Sums over the threads' own counts. */
#include <tresque/stats.h>

#include "engine/base/sized.h"
#include "engine/core/engine.h"
#include "engine/core/schedule.h"
#include "engine/core/view.h"

static void add_tally(const struct tq_tally *tally, struct trq_worker_stats *out,
                      struct tq_timings *timings)
{
#define ADD(name, sentence) out->name += tq_load(&tally->count[TQ_COUNT_##name], relaxed);
    TRQ_COUNTERS(ADD)
#undef ADD
    const struct tq_timings *hist = tq_load(&tally->hist, acquire);
    if (hist) {
        tq_hist_merge(&timings->wait, &hist->wait);
        tq_hist_merge(&timings->run, &hist->run);
    }
}

static void add_class(struct trq_engine *e, uint32_t class, struct trq_worker_stats *out,
                      struct tq_timings *timings)
{
    const struct tq_class *c = e->registry.classes[class];
#define ADD(name, sentence) out->name += tq_load(&c->shared[TQ_COUNT_##name], relaxed);
    TRQ_COUNTERS(ADD)
#undef ADD
    const struct tq_local *local = tq_load(&e->locals, acquire);
    for (; local; local = tq_load(&local->older, relaxed)) {
        const struct tq_tally *chunk = tq_load(&local->tallies[class / TQ_TALLY_CHUNK], acquire);
        if (chunk)
            add_tally(&chunk[class % TQ_TALLY_CHUNK], out, timings);
    }
}

static struct trq_summary summary(const struct tq_hist *hist)
{
    return (struct trq_summary){
        .count = tq_hist_count(hist),
        .p50 = {tq_hist_quantile(hist, 0.50)},
        .p90 = {tq_hist_quantile(hist, 0.90)},
        .p99 = {tq_hist_quantile(hist, 0.99)},
        .p999 = {tq_hist_quantile(hist, 0.999)},
        .max = {tq_hist_max(hist)},
    };
}

int trq_stats_worker(struct trq_engine *engine, const char *worker, struct trq_worker_stats *out)
{
    if (!engine || !out || !tq_sized_ok(out, sizeof *out, sizeof *out))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    struct tq_local *local = tq_local_of(engine);
    struct tq_timings *timings = local ? tq_alloc(&engine->memory, sizeof *timings, TQ_LINE) : NULL;
    if (!timings)
        return TRQ_ENOMEM;
    struct trq_worker_stats sum = {0};
    int rc = TRQ_OK;
    if (worker) {
        const struct tq_class *class = tq_class_by_name(engine, local, worker);
        if (class)
            add_class(engine, class->number, &sum, timings);
        else
            rc = TRQ_EUNKNOWN;
    } else {
        for (uint32_t i = 0; i < tq_load(&engine->registry.classes_count, acquire); i++)
            add_class(engine, i, &sum, timings);
    }
    sum.wait = summary(&timings->wait);
    sum.run = summary(&timings->run);
    tq_free(&engine->memory, timings, sizeof *timings);
    if (rc == TRQ_OK)
        tq_sized_write(out, &sum, sizeof sum);
    return rc;
}

/* The first in line may be taken, and its slot be another job's, while we look: then the queue's head has moved. */
static int64_t oldest(struct trq_engine *e, const struct tq_fifo *fifo)
{
    uint32_t index = tq_fifo_peek(fifo);
    if (index == TQ_NONE)
        return 0;
    uint64_t enqueued = tq_load(&tq_job_at(e, index)->enqueued, relaxed);
    if (tq_fifo_peek(fifo) != index)
        return 0;
    int64_t age = tq_clock_mono(&e->clock) - (int64_t)(enqueued >> 1);
    return age > 0 ? age : 0;
}

int trq_stats_queue(struct trq_engine *engine, const char *queue, struct trq_queue_stats *out)
{
    if (!engine || !queue || !out || !tq_sized_ok(out, sizeof *out, sizeof *out))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return TRQ_ENOMEM;
    struct tq_queue *q = tq_queue_find(engine, local, NULL, queue);
    if (!q)
        return TRQ_EUNKNOWN;
    pthread_mutex_lock(&engine->registry.mutex);
    struct trq_queue_stats stats = {
        .weight = tq_queue_weight(q),
        .paused = tq_load(&q->paused, relaxed),
        .worked = q->worked,
    };
    pthread_mutex_unlock(&engine->registry.mutex);
    uint64_t items = tq_fifo_depth(&q->fifo), tombs = tq_load(&q->tombs, relaxed);
    stats.depth = items > tombs ? items - tombs : 0;
    stats.parked = tq_load(&q->parked, relaxed);
    stats.oldest.ns = oldest(engine, &q->fifo);
    tq_sized_write(out, &stats, sizeof stats);
    return TRQ_OK;
}

size_t trq_queue_names(struct trq_engine *engine, const char **out_names, size_t count)
{
    if (!engine || tq_is_forked(engine))
        return 0;
    const struct tq_view *view = tq_view_now(engine);
    for (uint32_t i = 0; i < view->count && i < count; i++)
        out_names[i] = view->by_rank[i]->text;
    return view->count;
}

size_t trq_worker_names(struct trq_engine *engine, const char **out_names, size_t count)
{
    if (!engine || tq_is_forked(engine))
        return 0;
    uint32_t classes = tq_load(&engine->registry.classes_count, acquire);
    for (uint32_t i = 0; i < classes && i < count; i++)
        out_names[i] = engine->registry.classes[i]->text;
    return classes;
}

int trq_stats_engine(struct trq_engine *engine, struct trq_engine_stats *out)
{
    if (!engine || !out || !tq_sized_ok(out, sizeof *out, sizeof *out))
        return TRQ_EINVAL;
    struct trq_worker_stats all = {.size = sizeof all};
    int rc = trq_stats_worker(engine, NULL, &all);
    if (rc < 0)
        return rc;
    struct trq_engine_stats stats = {.threads = (uint32_t)engine->thread_count};
    stats.asleep = tq_load(&engine->idle, relaxed);
    uint64_t ended = all.done + all.skipped + all.discarded + all.dead + all.dropped +
                     all.cancelled + all.replaced + all.merged + all.expired;
    stats.jobs = all.enqueued > ended ? all.enqueued - ended : 0;
    const struct tq_local *local = tq_load(&engine->locals, acquire);
    for (; local; local = tq_load(&local->older, relaxed)) {
        stats.refused_full += tq_load(&local->refused_full, relaxed);
        stats.refused_input += tq_load(&local->refused_input, relaxed);
        stats.wakeups += tq_load(&local->wakeups, relaxed);
    }
    stats.scheduled = tq_schedule_count(engine);
    for (uint32_t i = 0; i < tq_load(&engine->registry.queues_count, acquire); i++)
        stats.parked += tq_load(&engine->registry.queues[i]->parked, relaxed);
    stats.lost_races = tq_load(&engine->lost_races, relaxed);
    stats.stale_releases = tq_load(&engine->stale_releases, relaxed);
    stats.dead = tq_load(&engine->dead.count, relaxed);
    stats.dead_lost = tq_load(&engine->dead.lost, relaxed);
    stats.recurring = tq_load(&engine->recur.count, relaxed);
    stats.stuck = tq_load(&engine->patrol.stuck, relaxed);
    stats.bad_delays = tq_load(&engine->bad_delays, relaxed);
    tq_sized_write(out, &stats, sizeof stats);
    return TRQ_OK;
}

static const char *const outcome_names[] = {
#define NAME(name, word) [name] = word,
    TRQ_OUTCOMES(NAME)
#undef NAME
};

const char *trq_outcome_name(enum trq_outcome outcome)
{
    size_t i = (size_t)outcome;
    return i < sizeof outcome_names / sizeof *outcome_names ? outcome_names[i] : "?";
}
