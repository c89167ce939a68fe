/* The threads: take, run, and when there is nothing, search a little and sleep. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/run.h"
#include "engine/core/view.h"
#include "engine/sync/futex.h"

/* How often a thread that has just run dry looks again before it becomes a searcher, which others see. A producer
 * that is a little slower than we are then costs neither side a shared write. */
enum { GLANCES = 64 };

static bool take(struct tq_thread *t, bool thorough, struct tq_taken *taken)
{
    t->view = tq_view_now(t->engine);
    return tq_ready_take(t->view->ready, &t->local->segments, thorough, taken);
}

bool tq_thread_run(struct trq_engine *engine, struct tq_thread *thread,
                   const struct tq_taken *taken)
{
    if (TQ_LIKELY(taken->upcoming != TQ_NONE))
        TQ_PREFETCH_WRITE(tq_job_at(engine, taken->upcoming));
    /* Who has found work wakes the next, if there is more; so a burst wakes as many as it needs, one by one. */
    if (TQ_UNLIKELY(thread->searching || taken->wake)) {
        bool last = thread->searching && tq_park_found(&engine->park);
        thread->searching = false;
        if ((last || taken->wake) && tq_work_waits(engine))
            tq_notify(engine, thread->local);
    }
    bool ran = tq_run(engine, thread->local, thread, taken);
    if (TQ_UNLIKELY(!ran))
        tq_ready_again(thread->view->ready, taken->rank);
    return ran;
}

static bool glance(struct tq_thread *t, int looks)
{
    struct tq_view *view = tq_view_now(t->engine);
    for (int i = 0; i < looks; i++) {
        if (tq_ready_glance(view->ready))
            return true;
        tq_pause();
    }
    return false;
}

/* One thread at a time keeps looking for a while: it starts a job some 10 us earlier than one that sleeps. */
static bool spin(struct tq_thread *t)
{
    struct trq_engine *e = t->engine;
    if (glance(t, GLANCES))
        return true;
    if (!e->spin_ns)
        return false;
    if (!t->searching && !(t->searching = tq_park_search(&e->park, 1)))
        return false;
    static const struct tq_clock system = {0};
    int64_t until = tq_deadline(tq_clock_mono(&system), e->spin_ns);
    do
        if (glance(t, GLANCES) || !tq_is_open(e))
            return true;
    while (tq_clock_mono(&system) < until);
    return false;
}

/* Nothing is ready and nothing runs, as far as this thread can tell. */
static void tell_quiet(struct trq_engine *e)
{
    if (tq_add(&e->idle, 1, seq_cst) + 1 == (uint32_t)e->thread_count)
        tq_bell_ring(&e->quiet);
}

static void sleep_until_woken(struct tq_thread *t)
{
    struct trq_engine *e = t->engine;
    tq_park_join(&e->park, t->index, t->searching);
    t->searching = false;
    /* Once more, now that others can see that we sleep. */
    if (tq_work_waits(e))
        tq_notify(e, t->local);
    if (!tq_is_open(e))
        return; /* the stop wakes all; nobody waits for us on the stack any more */
    if (!tq_park_is_awake(&e->park, t->index)) {
        tell_quiet(e);
        tq_park_sleep(&e->park, t->index);
        tq_sub(&e->idle, 1, seq_cst);
    }
    t->searching = true;
}

static void work(struct tq_thread *t)
{
    struct trq_engine *e = t->engine;
    struct tq_taken taken;
    while (tq_is_open(e)) {
        if (!take(t, false, &taken)) {
            if (spin(t))
                continue;
            if (!take(t, true, &taken)) {
                sleep_until_woken(t);
                continue;
            }
        }
        tq_thread_run(e, t, &taken);
    }
}

/* By the thread itself, so that the name stands before any hook or handler runs. */
static void take_name(const struct tq_thread *t)
{
    char name[24];
    snprintf(name, sizeof name, "%s-%d", t->engine->thread_name, t->index);
    name[15] = '\0'; /* the kernel's limit */
    pthread_setname_np(pthread_self(), name);
}

/* Nobody begins before all are there. False: one could not be made. */
static bool wait_for_all(struct trq_engine *e)
{
    uint32_t go;
    while ((go = tq_load(&e->go, acquire)) == TQ_GO_WAIT)
        tq_futex_wait(&e->go, TQ_GO_WAIT, INT64_MAX);
    return go == TQ_GO;
}

static void tell_all(struct trq_engine *e, enum tq_go go)
{
    tq_store(&e->go, go, release);
    tq_futex_wake(&e->go, INT32_MAX);
}

static void *thread_main(void *argument)
{
    struct tq_thread *t = argument;
    struct trq_engine *e = t->engine;
    if (!wait_for_all(e))
        goto end;
    take_name(t);
    pthread_setspecific(e->key,
                        t->local); /* if it fails, enqueues of handlers find another local */
    t->local->in_callback = true;  /* the hooks may do what a handler may */
    if (e->config.thread_begin)
        e->config.thread_begin(e->config.host, t->index);
    t->local->in_callback = false;
    work(t);
    t->local->in_callback = true;
    if (e->config.thread_end)
        e->config.thread_end(e->config.host, t->index);
    t->local->in_callback = false;
    pthread_setspecific(e->key, NULL);
end:
    tq_local_release(t->local);
    if (tq_sub(&e->alive, 1, acq_rel) == 1)
        tq_bell_ring(&e->quiet);
    return NULL;
}

static int start_one(struct trq_engine *e, struct tq_thread *t, const pthread_attr_t *attributes)
{
    t->local = tq_local_reserve(e);
    if (!t->local)
        return TRQ_ENOMEM;
    t->local->thread = t->index;
    tq_add(&e->alive, 1, relaxed);
    if (pthread_create(&t->handle, attributes, thread_main, t) != 0) {
        tq_sub(&e->alive, 1, relaxed);
        tq_local_release(t->local);
        return TRQ_ENOMEM;
    }
    return 0;
}

/* Those that were made go home without having begun, and the engine is as before. */
static void take_back(struct trq_engine *e, int made)
{
    tell_all(e, TQ_GO_HOME);
    for (int i = 0; i < made; i++)
        pthread_join(e->threads[i].handle, NULL);
}

int tq_pool_start(struct trq_engine *engine, struct trq_error *error)
{
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return tq_error(error, TRQ_ENOMEM, "no memory for threads");
    int rc = 0;
    if (engine->config.stack_size &&
        pthread_attr_setstacksize(&attributes, engine->config.stack_size) != 0)
        rc = tq_error(error, TRQ_EINVAL, "stack_size: %zu is refused by the system",
                      engine->config.stack_size);
    /* Signals are the host's: a pool thread inherits a mask that blocks them all. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    tq_store(&engine->go, TQ_GO_WAIT, relaxed);
    for (int i = 0; rc == 0 && i < engine->thread_count; i++) {
        rc = start_one(engine, &engine->threads[i], &attributes);
        if (rc < 0) {
            tq_error(error, rc, "thread %d of %d could not be made; none was started", i + 1,
                     engine->thread_count);
            take_back(engine, i);
        }
    }
    if (rc == 0)
        tell_all(engine, TQ_GO);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return rc;
}
