#include "engine/core/patrol.h"

#include "engine/core/engine.h"

void tq_patrol_watch(struct trq_engine *engine, struct tq_thread *thread, int64_t deadline)
{
    if (!tq_load(&engine->patrol.watches, relaxed))
        tq_store(&engine->patrol.watches, 1, seq_cst);
    tq_store(&thread->deadline, (uint64_t)deadline, seq_cst); /* B1 of the alarm */
    if (engine->thread_count)
        tq_house_ring(engine, deadline);
}

void tq_patrol_tell(struct trq_engine *engine, const struct tq_thread *thread, uint64_t word,
                    uint32_t index, int64_t over)
{
    const struct tq_job *job = tq_job_at(engine, index);
    int64_t age = tq_clock_mono(&engine->clock) - (int64_t)tq_load(&thread->since, relaxed);
    const struct trq_stuck stuck = {
        .id = tq_job_id(engine, index, word),
        .worker = engine->registry.classes[tq_load(&thread->class, relaxed)]->text,
        .queue = engine->registry.queues[tq_job_queue_number(job)]->text,
        .thread = thread->index,
        .since = {tq_clock_wall(&engine->clock) - (age > 0 ? age : 0)},
        .over = {over},
    };
    tq_add(&engine->patrol.stuck, 1, relaxed);
    if (engine->config.on_stuck)
        engine->config.on_stuck(engine->config.host, &stuck);
}

/* How long it has been too long; below zero: not yet. Besides a deadline the rule for those without one. */
static int64_t over(const struct trq_engine *e, const struct tq_thread *t, int64_t boot,
                    int64_t mono)
{
    int64_t deadline = (int64_t)tq_load(&t->deadline, seq_cst);
    if (deadline != INT64_MAX)
        return boot - deadline;
    if (!e->config.stuck_after.ns)
        return -1;
    int64_t ran = mono - (int64_t)tq_load(&t->since, relaxed);
    return ran - e->config.stuck_after.ns;
}

static bool is_reported(const struct tq_thread *t, uint64_t running)
{
    return t->reported == running && t->reported_since == tq_load(&t->since, relaxed);
}

void tq_patrol_look(struct trq_engine *engine)
{
    struct tq_patrol *p = &engine->patrol;
    if (!tq_load(&p->watches, seq_cst) && !engine->config.stuck_after.ns)
        return;
    int64_t boot = tq_clock_boot(&engine->clock), mono = tq_clock_mono(&engine->clock);
    if (engine->config.stuck_after.ns && boot >= p->next)
        p->next = tq_deadline(boot, engine->config.stuck_after.ns / 2 + 1);
    for (int i = 0; i < engine->thread_count; i++) {
        struct tq_thread *t = &engine->threads[i];
        uint64_t running = tq_load(&t->running, acquire);
        int64_t late = over(engine, t, boot, mono);
        if (running == UINT64_MAX || late < 0 || is_reported(t, running) ||
            tq_load(&t->running, acquire) != running)
            continue;
        t->reported = running;
        t->reported_since = tq_load(&t->since, relaxed);
        tq_patrol_tell(engine, t, running, (uint32_t)running, late);
    }
}

int64_t tq_patrol_next(const struct trq_engine *engine)
{
    int64_t next = engine->config.stuck_after.ns ? engine->patrol.next : INT64_MAX;
    if (!engine->thread_count)
        return INT64_MAX;
    if (!tq_load(&engine->patrol.watches, seq_cst))
        return next;
    for (int i = 0; i < engine->thread_count; i++) {
        const struct tq_thread *t = &engine->threads[i];
        int64_t deadline = (int64_t)tq_load(&t->deadline, seq_cst);
        if (deadline < next && !is_reported(t, tq_load(&t->running, acquire)))
            next = deadline;
    }
    return next;
}
