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

/* A run, by what its thread shows of it. Of two runs of one job on one thread `since` may be the same, a coarse tick; then
 * their deadlines differ. */
struct run {
    uint64_t running;
    int64_t since, deadline;
};

/* How long it has been too long; below zero: not yet. Besides a deadline the rule for those without one. */
static int64_t over(const struct trq_engine *e, const struct run *run, int64_t boot, int64_t mono)
{
    if (run->deadline != INT64_MAX)
        return boot - run->deadline;
    if (!e->config.stuck_after.ns)
        return -1;
    return mono - run->since - e->config.stuck_after.ns;
}

static bool is_reported(const struct tq_thread *t, const struct run *run)
{
    return t->reported == run->running && t->reported_since == run->since &&
           t->reported_deadline == run->deadline;
}

/* Is it that run still? Its job may have ended while its thread has not come to say so. */
static bool runs(const struct trq_engine *e, const struct tq_thread *t, const struct run *run)
{
    uint64_t word = tq_load(&tq_job_at(e, (uint32_t)run->running)->word, acquire);
    return tq_word_generation(word) == run->running >> 32 && tq_word_lives(word) &&
           (int64_t)tq_load(&t->deadline, acquire) == run->deadline &&
           (int64_t)tq_load(&t->since, acquire) == run->since &&
           tq_load(&t->running, acquire) == run->running;
}

static void look_at(struct trq_engine *e, struct tq_thread *t, int64_t boot, int64_t mono)
{
    struct run run = {.running = tq_load(&t->running, acquire)};
    if (run.running == UINT64_MAX)
        return;
    run.since = (int64_t)tq_load(&t->since, acquire);
    run.deadline = (int64_t)tq_load(&t->deadline, seq_cst);
    int64_t late = over(e, &run, boot, mono);
    if (late < 0 || is_reported(t, &run))
        return;
    struct trq_stuck stuck = see(e, t, run.running, run.since, late);
    if (!runs(e, t, &run))
        return;
    t->reported = run.running;
    t->reported_since = run.since;
    t->reported_deadline = run.deadline;
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
        struct run run = {.deadline = (int64_t)tq_load(&t->deadline, seq_cst)};
        if (run.deadline >= next)
            continue;
        /* Behind the deadline: what is read now is of its run, or a later one. */
        run.running = tq_load(&t->running, acquire);
        run.since = (int64_t)tq_load(&t->since, relaxed);
        if (!is_reported(t, &run))
            next = run.deadline;
    }
    return next;
}
