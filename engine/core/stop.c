#include "engine/core/stop.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/sized.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/life.h"
#include "engine/core/view.h"

bool tq_in_handler(struct trq_engine *engine)
{
    const struct tq_local *local = pthread_getspecific(engine->key);
    return local && (local->running || local->in_callback);
}

/* ---- drain ---------------------------------------------------------------------------------------------------- */

/* First the work, then the threads: a thread that took what waited stopped being idle before that. */
static bool is_quiet(struct trq_engine *e)
{
    return !tq_work_waits(e) && tq_load(&e->idle, seq_cst) == (uint32_t)e->thread_count;
}

static int drain_here(struct trq_engine *e, int64_t deadline)
{
    int n;
    do {
        int64_t left = deadline - tq_clock_mono(&e->clock);
        if (left <= 0) /* for a poll it would mean: no bound */
            return tq_work_waits(e) ? TRQ_ETIMEOUT : TRQ_OK;
        n = trq_engine_poll(e, 0, trq_ns(left));
    } while (n > 0);
    return n;
}

int trq_engine_drain(struct trq_engine *engine, struct trq_span at_most)
{
    if (!engine)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    if (tq_in_handler(engine) || !tq_load(&engine->started, acquire))
        return TRQ_EINVAL;
    if (!engine->thread_count)
        return drain_here(engine, tq_deadline(tq_clock_mono(&engine->clock), at_most.ns));
    static const struct tq_clock system = {0};
    int64_t deadline = tq_deadline(tq_clock_mono(&system), at_most.ns);
    int rc = TRQ_OK;
    tq_notify(engine, NULL);
    uint32_t turn = tq_bell_enter(&engine->quiet);
    while (!is_quiet(engine) && rc == TRQ_OK) {
        if (!tq_is_open(engine))
            rc = TRQ_ESTOPPED;
        else if (!tq_bell_sleep(&engine->quiet, turn, deadline))
            rc = TRQ_ETIMEOUT;
        turn = tq_bell_turn(&engine->quiet);
    }
    tq_bell_leave(&engine->quiet);
    return rc;
}

/* ---- stop ----------------------------------------------------------------------------------------------------- */

/* Whatever still waits ends here. The queues are closed: nothing comes after it. */
static void drop_waiting(struct trq_engine *e, struct tq_local *local)
{
    for (uint32_t i = 0; i < tq_load(&e->registry.queues_count, acquire); i++) {
        struct tq_fifo *fifo = &e->registry.queues[i]->fifo;
        struct tq_taken taken;
        while (tq_fifo_pop(fifo, &local->segments, &taken)) {
            if (taken.link != TQ_NONE)
                tq_fifo_link_free(&e->links, &local->segments, taken.link);
            tq_job_drop(e, local, taken.item);
        }
    }
}

/* What waits for a time or for a lock. */
static void drop_others(struct trq_engine *e, struct tq_local *local)
{
    uint32_t carved = tq_load(&e->jobs.carved, acquire);
    for (uint32_t i = 0; i < carved; i++) {
        uint64_t word = tq_load(&tq_job_at(e, i)->word, seq_cst);
        struct tq_ended ended;
        if ((tq_word_state(word) == TQ_SCHEDULED || tq_word_state(word) == TQ_PARKED) &&
            tq_job_end_waiting(e, local, i, tq_word_generation(word), TQ_ENDED_DROPPED, &ended,
                               &word))
            tq_ended_finish(e, local, &ended);
    }
}

static bool threads_have_ended(struct trq_engine *e)
{
    return tq_load(&e->alive, acquire) == 0 && tq_load(&e->polling, acquire) == 0;
}

static bool wait_for_threads(struct trq_engine *e, int64_t deadline)
{
    uint32_t turn = tq_bell_enter(&e->quiet);
    bool in_time = true;
    while (!threads_have_ended(e) && in_time) {
        in_time = tq_bell_sleep(&e->quiet, turn, deadline);
        turn = tq_bell_turn(&e->quiet);
    }
    tq_bell_leave(&e->quiet);
    /* Calls that were faster than the gate: they do not block. */
    const struct tq_local *local = tq_load(&e->locals, seq_cst);
    for (; local; local = tq_load(&local->older, relaxed))
        while (tq_load(&local->calls, seq_cst))
            sched_yield();
    return threads_have_ended(e);
}

static void name_running(struct trq_engine *e, struct trq_leftover *out)
{
    size_t n = 0;
    int count = e->thread_count ? e->thread_count : 1;
    for (int i = 0; i < count; i++) {
        struct tq_thread *t = &e->threads[i];
        uint64_t running = tq_load(&t->running, acquire);
        if (running == UINT64_MAX)
            continue;
        out->still_running++;
        uint32_t worker = tq_load(&t->class, relaxed);
        if (n < sizeof out->running)
            n += (size_t)snprintf(out->running + n, sizeof out->running - n, "%s%s on %s-%d",
                                  n ? ", " : "", e->registry.classes[worker]->text, e->thread_name,
                                  i);
    }
}

/* Whoever comes second finds the queues closed when he has the mutex: what he drops then is the last. */
static void close_gate(struct trq_engine *e)
{
    uint32_t open = TQ_GATE_OPEN;
    pthread_mutex_lock(&e->stopping);
    if (tq_cas(&e->gate->state, &open, TQ_GATE_STOPPING, seq_cst, seq_cst))
        tq_registry_close(e);
    pthread_mutex_unlock(&e->stopping);
    tq_rouse_all(e);
    tq_bell_ring(&e->room);
    tq_bell_ring(&e->quiet);
}

static void join_threads(struct trq_engine *e)
{
    if (tq_load(&e->started, relaxed) && !e->joined)
        for (int i = 0; i < e->thread_count; i++)
            pthread_join(e->threads[i].handle, NULL);
    e->joined = true;
    tq_store(&e->gate->state, TQ_GATE_STOPPED, release);
}

int trq_engine_stop(struct trq_engine *engine, struct trq_span at_most, struct trq_leftover *out)
{
    struct trq_leftover left = {0};
    if (!engine || (out && !tq_sized_ok(out, sizeof *out, sizeof *out)))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    if (tq_in_handler(engine))
        return TRQ_EINVAL;
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return TRQ_ENOMEM;
    static const struct tq_clock system = {0};
    close_gate(engine);
    pthread_mutex_lock(&engine->stopping);
    tq_house_stop(engine); /* its thread ends at once: it has seen the gate closed, or is woken */
    pthread_mutex_unlock(&engine->stopping);
    bool ended = wait_for_threads(engine, tq_deadline(tq_clock_mono(&system), at_most.ns));
    pthread_mutex_lock(&engine->stopping);
    drop_others(engine, local); /* first: it may bring invited ones back to their queues */
    drop_waiting(engine, local);
    left.dropped = tq_load(&engine->dropped, acquire);
    if (ended)
        join_threads(engine);
    else
        name_running(engine, &left);
    pthread_mutex_unlock(&engine->stopping);
    if (left.still_running)
        tq_log(engine, TRQ_LOG_WARNING, "stop: still running: %.200s", left.running);
    if (out)
        tq_sized_write(out, &left, sizeof left);
    return ended ? TRQ_OK : TRQ_ETIMEOUT;
}
