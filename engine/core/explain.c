/* trq_explain: one look at one job. What it reads may change meanwhile; the generation tells whether it was still that
 * job's. */
#include <tresque/explain.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/base/sized.h"
#include "engine/base/utf8.h"
#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/retry.h"
#include "engine/core/schedule.h"
#include "engine/core/space.h"
#include "engine/core/trail.h"
#include "engine/core/workerlock.h"

/* "2026-11-23T22:20:53.250Z" */
static const char *time_text(struct trq_wall wall, char out[40])
{
    int64_t seconds = wall.ns / 1000000000, ns = wall.ns % 1000000000;
    if (ns < 0) {
        ns += 1000000000;
        seconds--;
    }
    time_t t = (time_t)seconds;
    struct tm tm;
    char day[32];
    if (wall.ns == INT64_MAX || !gmtime_r(&t, &tm) ||
        !strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm))
        snprintf(out, 40, "never");
    else
        snprintf(out, 40, "%s.%03dZ", day, (int)(ns / 1000000));
    return out;
}

static struct trq_wall wall_of_mono(const struct trq_engine *e, int64_t mono)
{
    int64_t age = tq_clock_mono(&e->clock) - mono;
    return (struct trq_wall){tq_clock_wall(&e->clock) - (age > 0 ? age : 0)};
}

struct look {
    struct trq_engine *engine;
    struct trq_job_id id;
    uint32_t index;
    struct tq_job *job;
    uint64_t word;
};

static bool is_still_so(const struct look *l)
{
    uint64_t now = tq_load(&l->job->word, acquire);
    return tq_word_generation(now) == tq_word_generation(l->word) &&
           tq_word_state(now) == tq_word_state(l->word);
}

static void name_it(const struct look *l, struct trq_why *why)
{
    const struct tq_registry *r = &l->engine->registry;
    const struct tq_queue *queue = r->queues[tq_job_queue_number(l->job)];
    why->worker = r->classes[tq_job_class_number(l->job)]->text;
    why->queue = queue->text;
    why->weight = tq_queue_weight(queue);
}

/* A moment of the clock of elapsed time. */
static struct trq_wall wall_of_boot(const struct trq_engine *e, int64_t boot)
{
    if (boot == INT64_MAX)
        return (struct trq_wall){0};
    return trq_wall_add((struct trq_wall){tq_clock_wall(&e->clock)},
                        trq_ns(boot - tq_clock_boot(&e->clock)));
}

static void say_limit(struct trq_why *why, const char *does)
{
    char limit[40];
    size_t n = strlen(why->text);
    if (why->limit.ns)
        snprintf(why->text + n, sizeof why->text - n, "; %s at %s", does,
                 time_text(why->limit, limit));
}

/* How often it failed, and may. What is read is that job's while its word stays. */
static void count_failures(const struct look *l, struct trq_why *why)
{
    const struct tq_trail *trail = tq_trail_of(l->engine, l->job);
    const struct tq_class *class = l->engine->registry.classes[tq_job_class_number(l->job)];
    why->failures = tq_job_failures(l->job);
    why->retries =
        trail ? tq_load(&trail->retries, relaxed) : tq_retry_limit(class->declared->retry);
}

/* "retry 2 of 25 at T after: TEXT" */
static void say_retry(struct trq_why *why, const char *due, const char *error)
{
    char of[24] = "";
    if (why->retries != UINT32_MAX)
        snprintf(of, sizeof of, " of %u", why->retries);
    snprintf(why->text, sizeof why->text, "%s: retry %u%s at %s, in queue %s; it failed: %s",
             why->worker, why->failures, of, due, why->queue, error);
}

static bool explain_scheduled(const struct look *l, struct trq_why *why)
{
    char due[40], error[TRQ_FAILURE_TEXT] = "";
    tq_stripe_lock(l->engine, l->index);
    bool so = is_still_so(l);
    if (so) {
        name_it(l, why);
        why->due.ns = tq_schedule_wall_due(l->engine, l->job, tq_load(&l->job->word, relaxed));
        count_failures(l, why);
        snprintf(error, sizeof error, "%s", tq_trail_last(l->engine, l->job));
    }
    tq_stripe_unlock(l->engine, l->index);
    why->state = TRQ_IS_SCHEDULED;
    if (so && l->word & TQ_RETRIES)
        say_retry(why, time_text(why->due, due), error);
    else if (so)
        snprintf(why->text, sizeof why->text, "%s: due at %s, then in queue %s", why->worker,
                 time_text(why->due, due), why->queue);
    return so;
}

static bool explain_ready(const struct look *l, struct trq_why *why)
{
    struct trq_engine *e = l->engine;
    uint32_t number = tq_job_queue_number(l->job);
    if (!is_still_so(l))
        return false;
    struct tq_queue *queue = e->registry.queues[number];
    name_it(l, why);
    why->since = wall_of_mono(e, (int64_t)(tq_load(&l->job->enqueued, relaxed) >> 1));
    tq_job_ahead(e, queue, l->index, &why->ahead);
    count_failures(l, why);
    if (l->word & TQ_EXPIRES)
        why->limit = wall_of_boot(e, tq_trail_expires(e, l->job));
    if (!is_still_so(l))
        return false;
    bool started = tq_load(&e->started, acquire), paused = tq_load(&queue->paused, relaxed);
    why->state = !queue->worked || !started ? TRQ_IS_UNWORKED
                 : paused                   ? TRQ_IS_PAUSED
                                            : TRQ_IS_READY;
    snprintf(why->text, sizeof why->text, "%s: ready, %" PRIu64 " ahead in queue %s of weight %d%s",
             why->worker, why->ahead, why->queue, (int)why->weight,
             !started         ? "; the engine is not started"
             : !queue->worked ? ", which this engine does not work"
             : paused         ? ", which is paused"
                              : "");
    say_limit(why, "expires");
    return true;
}

static bool explain_parked(const struct look *l, struct trq_why *why)
{
    struct trq_engine *e = l->engine;
    struct tq_parked_look parked;
    char since[40];
    if (!tq_worker_lock_look(e, l->index, l->word, &parked))
        return false;
    count_failures(l, why);
    if (l->word & TQ_EXPIRES)
        why->limit = wall_of_boot(e, tq_trail_expires(e, l->job));
    if (!is_still_so(l))
        return false;
    why->state = TRQ_IS_PARKED;
    why->worker = parked.worker;
    why->queue = parked.queue->text;
    why->weight = tq_queue_weight(parked.queue);
    why->ahead = parked.ahead;
    why->since = wall_of_mono(e, parked.since);
    why->holder = parked.holder;
    why->holder_worker = parked.holder_worker;
    count_failures(l, why);
    if (l->word & TQ_EXPIRES)
        why->limit = wall_of_boot(e, tq_trail_expires(e, l->job));
    if (!is_still_so(l))
        return false;
    if (!parked.holder_worker) {
        snprintf(why->text, sizeof why->text,
                 "%s: parked on key %016" PRIx64
                 " of lock %s, which nobody holds just now, as waiter %" PRIu64 " in queue %s%s",
                 why->worker, parked.key, parked.space, why->ahead + 1, why->queue,
                 tq_load(&parked.queue->paused, relaxed) ? ", which is paused" : "");
        say_limit(why, "expires");
        return true;
    }
    why->holder_since = wall_of_mono(e, parked.holder_since);
    snprintf(why->text, sizeof why->text,
             "%s: parked on key %016" PRIx64 " of lock %s as waiter %" PRIu64 "; job %" PRIx64
             " (%s) holds it since %s",
             why->worker, parked.key, parked.space, why->ahead + 1, parked.holder.slot,
             parked.holder_worker, time_text(why->holder_since, since));
    say_limit(why, "expires");
    return true;
}

/* On a thread: those that compute their key, too. */
static bool explain_running(const struct look *l, struct trq_why *why)
{
    struct trq_engine *e = l->engine;
    uint64_t running = (l->word >> 32) << 32 | l->index;
    int count = e->thread_count ? e->thread_count : 1;
    char since[40];
    if (!is_still_so(l))
        return false;
    name_it(l, why);
    why->state = TRQ_IS_RUNNING;
    why->thread = -1;
    for (int i = 0; i < count; i++)
        if (tq_load(&e->threads[i].running, acquire) == running) {
            why->thread = i;
            why->since = wall_of_mono(e, (int64_t)tq_load(&e->threads[i].since, relaxed));
            why->limit = wall_of_boot(e, (int64_t)tq_load(&e->threads[i].deadline, relaxed));
        }
    count_failures(l, why);
    if (!is_still_so(l))
        return false;
    if (why->thread < 0) /* it is just beginning */
        snprintf(why->text, sizeof why->text, "%s: taken by a thread", why->worker);
    else
        snprintf(why->text, sizeof why->text, "%s: running on %s-%d since %s%s", why->worker,
                 e->thread_name, why->thread, time_text(why->since, since),
                 l->word & TQ_STOP_ASKED ? "; it has been asked to stop" : "");
    say_limit(why, "times out");
    return true;
}

static bool explain_dead(struct trq_engine *e, struct trq_job_id id, struct trq_why *why)
{
    enum { TEXT = 150 };
    struct trq_dead dead;
    char since[40];
    if (!tq_dead_find(e, id, &dead, NULL))
        return false;
    why->state = TRQ_IS_ENDED;
    why->outcome = TRQ_WAS_DEAD;
    why->worker = dead.worker;
    why->queue = dead.queue;
    why->since = dead.died;
    dead.text[tq_utf8_cut(dead.text, strlen(dead.text), TEXT)] = '\0';
    snprintf(why->text, sizeof why->text,
             "%s: dead since %s after %" PRIu32 " failed attempt%s%s%.*s", dead.worker,
             time_text(dead.died, since), dead.failures, dead.failures == 1 ? "" : "s",
             *dead.text ? ": " : "", TEXT, dead.text);
    return true;
}

static int explain_past(struct trq_engine *e, struct trq_job_id id, struct trq_why *why)
{
    struct tq_past_end end;
    char at[40], other[64] = "";
    if (!tq_past_find(e, id, &end))
        return TRQ_GONE;
    why->state = TRQ_IS_ENDED;
    why->outcome = end.outcome;
    why->worker = end.worker;
    why->queue = end.queue;
    why->since.ns = end.wall;
    if (end.other.birth)
        snprintf(other, sizeof other, " %s %" PRIx64,
                 end.outcome == TRQ_WAS_MERGED ? "into job" : "by job", end.other.slot);
    snprintf(why->text, sizeof why->text, "%s: %s%s at %s%s%s", end.worker,
             trq_outcome_name(end.outcome), other, time_text(why->since, at), *end.text ? ": " : "",
             end.text);
    return TRQ_OK;
}

/* As far as there is room. */
static void add_recurrence(const struct look *l, struct trq_why *why)
{
    char name[TQ_RECUR_NAME_MAX + 1], at[40];
    struct trq_wall next;
    const size_t size = strlen(why->text);
    if (!tq_recur_of_job(l->engine, l->id, name, &next))
        return;
    snprintf(why->text + size, sizeof why->text - size, "; made by %s, which fires next at %s",
             name, time_text(next, at));
}

int trq_explain(struct trq_engine *engine, struct trq_job_id id, struct trq_why *out)
{
    if (!engine || !out || !tq_sized_ok(out, sizeof *out, sizeof *out))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    struct look l = {.engine = engine, .id = id, .index = (uint32_t)id.slot};
    l.job = tq_job_by_id(engine, id);
    struct trq_why why;
    bool done = false;
    while (l.job && !done) {
        memset(&why, 0, sizeof why);
        why.thread = -1;
        l.word = tq_load(&l.job->word, acquire);
        if (tq_word_generation(l.word) != (uint32_t)(id.slot >> 32))
            break;
        switch (tq_word_state(l.word)) {
        case TQ_SCHEDULED:
            done = explain_scheduled(&l, &why);
            break;
        case TQ_READY:
            done = explain_ready(&l, &why);
            break;
        case TQ_PARKED:
            done = explain_parked(&l, &why);
            break;
        case TQ_STARTING:
        case TQ_RUNNING:
            done = explain_running(&l, &why);
            break;
        default:
            l.job = NULL; /* a slot that nobody has been given */
        }
    }
    if (!done) {
        memset(&why, 0, sizeof why);
        why.thread = -1;
        int rc = explain_dead(engine, id, &why) ? TRQ_OK : explain_past(engine, id, &why);
        if (rc != TRQ_OK)
            return rc;
    }
    add_recurrence(&l, &why);
    tq_sized_write(out, &why, sizeof why);
    return TRQ_OK;
}
