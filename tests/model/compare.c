/* What the engine says of itself against the model. */
#include <string.h>

#include "world.h"

static const char *const word[] = {"scheduled", "ready",   "paused", "unworked",
                                   "parked",    "running", "ended"};

enum trq_why_state world_state(struct world *w, int job, struct trq_why *out)
{
    struct trq_why mine = {.size = sizeof mine};
    if (!out)
        out = &mine;
    out->size = sizeof *out;
    int code = trq_explain(w->engine, w->model.job[job].id, out);
    if (code == TRQ_GONE)
        return TRQ_IS_ENDED;
    JOURNAL_MUST(code == TRQ_OK, "trq_explain of job %d: %s", job, trq_code_name(code));
    return out->state;
}

static bool world_knows(const struct world *w, int job)
{
    return w->model.job[job].id.slot || w->model.job[job].id.birth;
}

/* ---- what it did by itself ------------------------------------------------------------------------------------------- */

static struct trq_why explain(struct world *w, int job)
{
    struct trq_why why = {.size = sizeof why};
    world_state(w, job, &why);
    return why;
}

/* A wall time, on the clock of elapsed time. */
static int64_t boot_of(const struct world *w, struct trq_wall wall)
{
    return model_on_clock(&w->model, wall.ns, M_WALL, M_BOOT);
}

/* What chance has made of a retry's delay, and when exactly it was that a wait began. */
static void look_at_unknown(struct world *w)
{
    struct model *m = &w->model;
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        if (!world_knows(w, i))
            continue;
        if (j->state == M_SCHEDULED && j->place.due < j->due_latest) {
            struct trq_why why = explain(w, i);
            if (why.state == TRQ_IS_SCHEDULED)
                model_learn_due(m, i, boot_of(w, why.due));
        } else if ((j->state == M_READY || j->state == M_PARKED) && !j->firing &&
                   j->expires < j->expires_latest) {
            struct trq_why why = explain(w, i);
            if (why.state != TRQ_IS_ENDED && why.state != TRQ_IS_RUNNING && why.limit.ns)
                model_learn_expires(m, i, boot_of(w, why.limit));
        }
    }
}

/* Of those that are told of their end we shall hear. */
static void look_at_late_ones(struct world *w)
{
    struct model *m = &w->model;
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        bool late = model_is_late(m, j) || (j->state == M_SCHEDULED && j->firing);
        if (late && !j->listens && world_state(w, i, NULL) == TRQ_IS_ENDED) {
            journal("  seen: job %d has expired", i);
            model_expired(m, i);
        }
    }
}

static void look_at_timers(struct world *w, int ended)
{
    struct model *m = &w->model;
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        if (j->state != M_SCHEDULED || j->firing || i == ended || !model_is_due(m, j) ||
            !world_knows(w, i))
            continue;
        enum trq_why_state state = world_state(w, i, NULL);
        if (state == TRQ_IS_SCHEDULED || (state == TRQ_IS_ENDED && j->listens))
            continue; /* of its end we shall be told */
        journal("  seen: job %d became ready", i);
        model_fire(m, i);
    }
    if (!w->gathering)
        model_settle(m);
}

/* Parked in one look, nobody knows in which order: since the same moment. */
static void look_at_starts(struct world *w, int taken)
{
    struct model *m = &w->model;
    bool parked[M_JOBS] = {false}, woken[M_JOBS] = {false};
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        if (!j->worker_lock || (j->state != M_READY && j->state != M_PARKED))
            continue;
        if (i == taken) {
            woken[i] = j->state == M_PARKED;
            continue;
        }
        if (model_is_late(m, j))
            continue;
        enum trq_why_state state = world_state(w, i, NULL);
        parked[i] = j->state == M_READY && state == TRQ_IS_PARKED;
        woken[i] = j->state == M_PARKED && (state == TRQ_IS_READY || state == TRQ_IS_PAUSED);
    }
    for (int i = 0; i < m->job_count; i++)
        if (parked[i]) {
            journal("  seen: job %d waits for its worker lock", i);
            model_saw_parked(m, i);
        }
    for (int i = 0; i < m->job_count; i++)
        if (parked[i]) {
            if (m->job[i].parked_first == m->job[i].parked_last)
                m->job[i].parked_first = m->ticket;
            m->job[i].parked_last = m->ticket;
        }
    for (int i = 0; i < m->job_count; i++)
        if (woken[i]) {
            journal("  seen: job %d was woken", i);
            model_saw_woken(m, i, woken);
        }
}

void look(struct world *w, int ended, int taken)
{
    struct model *m = &w->model;
    look_at_unknown(w);
    if (w->expiring >= 0 && m->job[w->expiring].state != M_ENDED)
        model_expired(m, w->expiring); /* it holds no lock any more */
    look_at_timers(w, ended);
    look_at_unknown(w);
    look_at_late_ones(w);
    m->before = m->boot;
    if (w->threads)
        look_at_starts(w, taken);
    for (int i = 0; i < m->job_count && !w->threads; i++)
        JOURNAL_MUST(i == ended || !model_is_late(m, &m->job[i]) ||
                         m->job[i].expires_latest > m->boot - M_TICK || m->job[i].since == m->boot,
                     "the time of job %d to begin is over, and it has not ended", i);
}

/* Time passes only in trq_test_advance, and only when nothing is ready: who was due before then must have run. */
void world_look_at_clock(struct world *w, int ended)
{
    struct model *m = &w->model;
    int64_t passed = trq_now(w->engine).ns - m->wall;
    bool due_before[M_JOBS] = {false};
    if (passed == 0)
        return;
    look_at_unknown(
        w); /* before the clock of the model goes on: a due time is told by the wall clock */
    JOURNAL_MUST(passed > 0 && w->advancing && passed <= w->advance_left, "the clock went by %lld",
                 (long long)passed);
    JOURNAL_MUST(!model_has_work(m), "time has passed while jobs were ready");
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        due_before[i] = j->state == M_SCHEDULED &&
                        model_remaining(m, j->place.clock, j->due_latest) <= passed - M_TICK;
    }
    journal("  the clock is %lld further", (long long)passed);
    w->advance_left -= passed;
    model_advance(m, passed);
    look(w, ended, NOBODY);
    for (int i = 0; i < m->job_count; i++)
        JOURNAL_MUST(!due_before[i] || i == ended || m->job[i].state == M_ENDED ||
                         m->paused[m->job[i].queue],
                     "time has passed while job %d was due", i);
}

void look_for_late_ones(struct world *w)
{
    look(w, NOBODY, NOBODY);
    for (int i = 0; i < w->model.job_count; i++)
        JOURNAL_MUST(w->model.job[i].state != M_SCHEDULED ||
                         model_remaining(&w->model, w->model.job[i].place.clock,
                                         w->model.job[i].due_latest) > -M_TICK,
                     "job %d is due and not ready", i);
}

/* ---- trq_explain ------------------------------------------------------------------------------------------------------- */

static void compare_ahead(struct world *w, int job, const struct trq_why *why)
{
    const struct model *m = &w->model;
    const struct m_job *j = &m->job[job];
    uint64_t surely = 0, perhaps = 0;
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *k = &m->job[i];
        if (k == j || k->state != j->state)
            continue;
        if (j->state == M_READY && k->queue == j->queue) {
            surely += model_before(&k->place, &j->place);
            perhaps += !model_before(&j->place, &k->place);
        } else if (j->state == M_PARKED && k->worker_key == j->worker_key) {
            surely += model_waits_before(m, k, j) && !m->paused[k->queue];
            perhaps += m->paused[j->queue] || !model_waits_before(m, j, k);
        }
    }
    JOURNAL_MUST(why->ahead >= surely && why->ahead <= perhaps,
                 "job %d: %llu are ahead of it, not %llu to %llu", job,
                 (unsigned long long)why->ahead, (unsigned long long)surely,
                 (unsigned long long)perhaps);
}

void compare_errors(struct world *w, int job)
{
    struct trq_failure failures[TRQ_FAILURES_KEPT];
    struct m_error list[TRQ_FAILURES_KEPT];
    size_t count = 0;
    int code = trq_failures(w->engine, w->model.job[job].id, failures, TRQ_FAILURES_KEPT, &count);
    JOURNAL_MUST(code == TRQ_OK, "trq_failures of job %d: %s", job, trq_code_name(code));
    JOURNAL_MUST(count <= TRQ_FAILURES_KEPT, "job %d: %zu failures are kept", job, count);
    for (size_t i = 0; i < count; i++) {
        char text[TRQ_FAILURE_TEXT];
        int number = error_number(failures[i].text);
        list[i] = (struct m_error){number, (int)failures[i].attempt, failures[i].at.ns};
        error_text_cut(list[i].number, text, sizeof text);
        JOURNAL_MUST(strcmp(text, failures[i].text) == 0, "job %d failed by: %s", job,
                     failures[i].text);
    }
    model_learn_errors(&w->model, job, list, (int)count);
}

/* How often it failed and may, and by when it has to begin, or to end. */
static void compare_limits(struct world *w, int job, const struct trq_why *why)
{
    const struct m_job *j = &w->model.job[job];
    int retries = j->limits.policy->retries;
    JOURNAL_MUST(why->failures == (uint32_t)j->failures, "job %d has failed %u times, not %d", job,
                 why->failures, j->failures);
    JOURNAL_MUST(why->retries == (retries == M_FOREVER ? UINT32_MAX : (uint32_t)retries),
                 "job %d has %u retries instead of %d", job, why->retries, retries);
    int64_t limit = INT64_MAX;
    if (j->state == M_READY || j->state == M_PARKED)
        limit = j->expires;
    else if (j->state == M_RUNNING)
        limit = j->deadline;
    int64_t wall = limit == INT64_MAX ? 0 : model_on_clock(&w->model, limit, M_BOOT, M_WALL);
    JOURNAL_MUST(why->limit.ns == wall, "job %d: its limit is %lld instead of %lld", job,
                 (long long)why->limit.ns, (long long)wall);
}

static void compare_due(struct world *w, int job, const struct trq_why *why)
{
    const struct m_job *j = &w->model.job[job];
    int64_t due = j->place.due;
    if (j->place.clock == M_BOOT)
        due = model_plus(w->model.wall, model_remaining(&w->model, M_BOOT, due));
    /* So far away the two clocks saturate one before the other. */
    if (j->place.clock == M_BOOT && due > INT64_MAX / 2 && why->due.ns > INT64_MAX / 2)
        return;
    JOURNAL_MUST(why->due.ns == due, "job %d is due at %lld instead of %lld", job,
                 (long long)why->due.ns, (long long)due);
}

static void compare_holder(struct world *w, int job, const struct trq_why *why)
{
    const struct m_job *j = &w->model.job[job];
    if (!why->holder.slot && !why->holder.birth) {
        JOURNAL_MUST(!model_running(&w->model, j->worker_key), "job %d: no holder is named", job);
        return;
    }
    int holder = world_find(w, why->holder);
    JOURNAL_MUST(holder >= 0 && w->model.job[holder].state == M_RUNNING &&
                     w->model.job[holder].worker_key == j->worker_key,
                 "job %d waits for job %d, it says", job, holder);
    JOURNAL_MUST(strcmp(why->holder_worker, w->workers[w->model.job[holder].worker].name) == 0,
                 "job %d: the holder's worker is %s", job, why->holder_worker);
}

void compare_job(struct world *w, int job)
{
    enum { KEPT = 1000 }; /* of 1,024: a few may go early */
    const struct m_job *j = &w->model.job[job];
    if (!world_knows(w, job) || j->state == M_STARTING)
        return;
    struct trq_why why = {.size = sizeof why};
    int code = trq_explain(w->engine, j->id, &why);
    if (j->state == M_ENDED) {
        bool kept = j->ended && w->model.ends_kept - j->ended < KEPT;
        JOURNAL_MUST(code == TRQ_GONE || code == TRQ_OK, "explain: %s", trq_code_name(code));
        JOURNAL_MUST(!kept || code == TRQ_OK, "the end of job %d is forgotten", job);
        JOURNAL_MUST(code == TRQ_GONE || (why.state == TRQ_IS_ENDED && why.outcome == j->outcome),
                     "job %d is %s, as %s", job, word[why.state], trq_outcome_name(why.outcome));
        return;
    }
    static const enum trq_why_state wanted[] = {[M_SCHEDULED] = TRQ_IS_SCHEDULED,
                                                [M_READY] = TRQ_IS_READY,
                                                [M_RUNNING] = TRQ_IS_RUNNING,
                                                [M_PARKED] = TRQ_IS_PARKED};
    enum trq_why_state state = wanted[j->state];
    if (state == TRQ_IS_READY && w->model.unworked[j->queue])
        state = TRQ_IS_UNWORKED;
    else if (state == TRQ_IS_READY && w->model.paused[j->queue])
        state = TRQ_IS_PAUSED;
    JOURNAL_MUST(code == TRQ_OK && why.state == state, "job %d is %s instead of %s", job,
                 code == TRQ_OK ? word[why.state] : trq_code_name(code), word[state]);
    JOURNAL_MUST(strcmp(why.worker, w->workers[j->worker].name) == 0 &&
                     strcmp(why.queue, w->queue_text[j->queue]) == 0 &&
                     why.weight == w->model.weight[j->queue],
                 "job %d: worker %s, queue %s, weight %d", job, why.worker, why.queue,
                 (int)why.weight);
    JOURNAL_MUST(why.text[0], "job %d: no sentence", job);
    compare_limits(w, job, &why);
    if (j->failures || j->errors.count)
        compare_errors(w, job);
    if (j->state == M_SCHEDULED)
        compare_due(w, job, &why);
    else if (j->state == M_PARKED)
        compare_holder(w, job, &why);
    if (j->state == M_READY || j->state == M_PARKED)
        compare_ahead(w, job, &why);
}

void compare_live(struct world *w)
{
    for (int i = 0; i < w->model.job_count; i++)
        if (w->model.job[i].state != M_ENDED)
            compare_job(w, i);
}

void compare_all(struct world *w)
{
    for (int i = 0; i < w->model.job_count; i++)
        compare_job(w, i);
}

/* ---- counters ------------------------------------------------------------------------------------------------------------ */

static void compare_sums(const struct world *w, const char *name, const struct m_counters *c,
                         const struct trq_worker_stats *s)
{
    uint64_t ended = s->done + s->skipped + s->discarded + s->dead + s->dropped + s->cancelled +
                     s->replaced + s->merged + s->expired;
    /* A start that had to wait and was woken and had to wait again may go unseen. */
    JOURNAL_MUST(s->parked >= c->parked && (w->threads || s->parked == c->parked),
                 "%s: parked %llu, not %llu", name, (unsigned long long)s->parked,
                 (unsigned long long)c->parked);
#define SAME(field, sentence)                                                                      \
    JOURNAL_MUST(&s->field == &s->parked || s->field == c->field, "%s: %s %llu, not %llu", name,   \
                 #field, (unsigned long long)s->field, (unsigned long long)c->field);
    TRQ_COUNTERS(SAME)
#undef SAME
    JOURNAL_MUST(ended <= s->enqueued, "%s: more ends than jobs", name);
}

static void compare_queues(struct world *w)
{
    for (int q = 0; q < M_QUEUES; q++) {
        uint64_t depth = 0, parked = 0;
        struct trq_queue_stats s = {.size = sizeof s};
        int code = trq_stats_queue(w->engine, w->queue_text[q], &s);
        for (int i = 0; i < w->model.job_count; i++) {
            depth += w->model.job[i].queue == q && w->model.job[i].state == M_READY;
            parked += w->model.job[i].queue == q && w->model.job[i].state == M_PARKED;
        }
        JOURNAL_MUST(code == TRQ_OK, "stats of queue %d: %s", q, trq_code_name(code));
        JOURNAL_MUST(s.depth == depth, "queue %d: depth %llu, not %llu", q,
                     (unsigned long long)s.depth, (unsigned long long)depth);
        JOURNAL_MUST(s.parked == parked, "queue %d: parked %llu, not %llu", q,
                     (unsigned long long)s.parked, (unsigned long long)parked);
        JOURNAL_MUST(s.paused == w->model.paused[q] && s.worked == !w->model.unworked[q] &&
                         s.weight == w->model.weight[q],
                     "queue %d: paused %d, worked %d, weight %d", q, s.paused, s.worked,
                     (int)s.weight);
    }
}

/* others: jobs that the model does not know. */
static void compare_engine(struct world *w)
{
    uint64_t jobs = 0, scheduled = 0, parked = 0;
    for (int i = 0; i < w->model.job_count; i++) {
        enum m_state state = w->model.job[i].state;
        jobs += state != M_ENDED;
        scheduled += state == M_SCHEDULED;
        parked += state == M_PARKED;
    }
    struct trq_engine_stats s = {.size = sizeof s};
    JOURNAL_MUST(trq_stats_engine(w->engine, &s) == TRQ_OK, "no stats of the engine");
    JOURNAL_MUST(w->threads || (s.jobs == jobs && s.scheduled == scheduled),
                 "the engine has %llu jobs, %llu scheduled, not %llu and %llu",
                 (unsigned long long)s.jobs, (unsigned long long)s.scheduled,
                 (unsigned long long)jobs, (unsigned long long)scheduled);
    JOURNAL_MUST(s.parked == parked, "the engine has %llu parked, not %llu",
                 (unsigned long long)s.parked, (unsigned long long)parked);
    JOURNAL_MUST(s.stuck == w->model.stuck || !w->threads, "%llu runs are stuck, not %llu",
                 (unsigned long long)s.stuck, (unsigned long long)w->model.stuck);
    JOURNAL_MUST(s.bad_delays == w->model.bad_delays, "%llu bad delays, not %llu",
                 (unsigned long long)s.bad_delays, (unsigned long long)w->model.bad_delays);
    JOURNAL_MUST(s.stale_releases == 0, "a worker lock was given back by who did not hold it");
}

void compare_counters(struct world *w)
{
    for (int i = 0; i < M_WORKERS; i++) {
        struct trq_worker_stats s = {.size = sizeof s};
        int code = trq_stats_worker(w->engine, w->workers[i].name, &s);
        JOURNAL_MUST(code == TRQ_OK, "stats of a worker: %s", trq_code_name(code));
        compare_sums(w, w->workers[i].name, &w->model.counters[i], &s);
    }
    compare_queues(w);
    compare_engine(w);
    compare_dead(w);
}
