#include "engine/core/patrol.h"

#include "engine/core/engine.h"
#include "engine/core/life.h"

void tq_patrol_watch(struct trq_engine *engine, struct tq_thread *thread, int64_t deadline)
{
    if (!tq_load(&engine->patrol.watches, acquire)) /* also another's comes before this deadline */
        tq_store(&engine->patrol.watches, 1, seq_cst);
    tq_store(&thread->deadline, (uint64_t)deadline, seq_cst); /* B1 of the alarm */
    if (engine->thread_count)
        tq_house_ring(engine, deadline);
}

/* running: (generation, slot). The clocks are not read here: between what is read of the thread and the question whether
 * it is that run still, nothing of the host's is called. */
static struct trq_stuck see(const struct trq_engine *engine, const struct tq_thread *thread,
                            uint64_t running, int64_t since, int64_t over)
{
    uint32_t kind = tq_load(&tq_job_at(engine, (uint32_t)running)->kind, acquire);
    return (struct trq_stuck){
        .id = tq_job_id(engine, (uint32_t)running, running),
        .worker = engine->registry.classes[tq_load(&thread->class, acquire)]->text,
        .queue = engine->registry.queues[kind >> 16]->text,
        .thread = thread->index,
        .since = {since}, /* mono yet */
        .over = {over},
    };
}

static void tell(struct trq_engine *engine, struct trq_stuck *stuck)
{
    int64_t age = tq_clock_mono(&engine->clock) - stuck->since.ns;
    stuck->since.ns = tq_clock_wall(&engine->clock) - (age > 0 ? age : 0);
    tq_add(&engine->patrol.stuck, 1, relaxed);
    if (engine->config.on_stuck)
        engine->config.on_stuck(engine->config.host, stuck);
}

void tq_patrol_tell(struct trq_engine *engine, const struct tq_thread *thread, int64_t over)
{
    struct trq_stuck stuck = see(engine, thread, tq_load(&thread->running, relaxed),
                                 (int64_t)tq_load(&thread->since, relaxed), over);
    tell(engine, &stuck);
}

/* How long it has been too long; below zero: not yet. Besides a deadline the rule for those without one. */
static int64_t over(const struct trq_engine *e, const struct tq_thread *t, int64_t since,
                    int64_t boot, int64_t mono)
{
    int64_t deadline = (int64_t)tq_load(&t->deadline, seq_cst);
    if (deadline != INT64_MAX)
        return boot - deadline;
    if (!e->config.stuck_after.ns)
        return -1;
    return mono - since - e->config.stuck_after.ns;
}

static bool is_reported(const struct tq_thread *t, uint64_t running)
{
    return t->reported == running && t->reported_since == tq_load(&t->since, relaxed);
}

/* Is it that run still? Its job may have ended while its thread has not come to say so. */
static bool runs(const struct trq_engine *e, const struct tq_thread *t, uint64_t running)
{
    uint64_t word = tq_load(&tq_job_at(e, (uint32_t)running)->word, acquire);
    return tq_word_generation(word) == running >> 32 && tq_word_lives(word) &&
           tq_load(&t->running, acquire) == running;
}

static void look_at(struct trq_engine *e, struct tq_thread *t, int64_t boot, int64_t mono)
{
    uint64_t running = tq_load(&t->running, acquire);
    if (running == UINT64_MAX)
        return;
    int64_t since = (int64_t)tq_load(&t->since, acquire);
    int64_t late = over(e, t, since, boot, mono);
    if (late < 0 || is_reported(t, running))
        return;
    struct trq_stuck stuck = see(e, t, running, since, late);
    if (!runs(e, t, running))
        return;
    t->reported = running;
    t->reported_since = (uint64_t)since;
    tell(e, &stuck);
}

void tq_patrol_look(struct trq_engine *engine)
{
    struct tq_patrol *p = &engine->patrol;
    if (!tq_load(&p->watches, seq_cst) && !engine->config.stuck_after.ns)
        return;
    int64_t boot = tq_clock_boot(&engine->clock), mono = tq_clock_mono(&engine->clock);
    if (engine->config.stuck_after.ns && boot >= p->next)
        p->next = tq_deadline(boot, engine->config.stuck_after.ns / 2 + 1);
    for (int i = 0; i < engine->thread_count; i++)
        look_at(engine, &engine->threads[i], boot, mono);
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
