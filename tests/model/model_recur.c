#include "model_recur.h"

#include <string.h>

#include "journal.h"

#define SECOND INT64_C(1000000000)

enum { TICK = 1000, COUNTED = 10000 };

struct r_plan r_plan(uint64_t seed, int64_t boot, int name, int64_t time)
{
    uint64_t z = seed * 31 + (uint64_t)boot * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)name * 7919 +
                 (uint64_t)time;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    switch ((z >> 40) % 10) {
    case 0:
        return (struct r_plan){TRQ_REQUEUED, 90 * SECOND + 333000};
    case 1:
        return (struct r_plan){TRQ_REQUEUED, 3600 * SECOND + 555000};
    case 2:
    case 3:
        return (struct r_plan){TRQ_FAILED, 0};
    default:
        return (struct r_plan){TRQ_DONE, 0};
    }
}

/* ---- times --------------------------------------------------------------------------------------------------------- */

static int64_t clock_of(const struct r_model *m, const struct r_recurrence *r)
{
    return r->spec.every ? m->boot : m->wall;
}

int64_t r_wall(const struct r_model *m, const struct r_recurrence *r, int64_t time)
{
    return r->spec.every ? time - m->boot + m->wall : time;
}

static int64_t on_clock(const struct r_model *m, const struct r_recurrence *r, int64_t wall)
{
    return r->spec.every ? wall - m->wall + m->boot : wall;
}

static bool has_ended(const struct r_model *m, const struct r_recurrence *r)
{
    return r->spec.end && r->next + r->jitter > on_clock(m, r, r->spec.end);
}

int64_t r_due(const struct r_model *m, const struct r_recurrence *r)
{
    return !r->there || has_ended(m, r) ? INT64_MAX : r->next + r->jitter;
}

/* The engine looks at the end of a tick. */
static int64_t seen_at(int64_t due)
{
    return (due + TICK - 1) / TICK * TICK;
}

static int64_t first_after(const struct r_recurrence *r, int64_t after)
{
    const struct r_spec *s = &r->spec;
    if (after < s->start)
        after = s->start - 1;
    return ((after - s->offset) / s->period + 1) * s->period + s->offset;
}

static void begin_times(const struct r_model *m, struct r_recurrence *r, int64_t since)
{
    int64_t after = since ? since : m->wall;
    r->next = r->spec.every ? on_clock(m, r, after) + r->spec.period : first_after(r, after);
}

static bool same_times(const struct r_spec *a, const struct r_spec *b)
{
    return a->every == b->every && a->period == b->period && a->offset == b->offset &&
           a->start == b->start && a->end == b->end && a->jitter_most == b->jitter_most;
}

void r_put(struct r_model *m, int name, const struct r_spec *spec, int64_t since, int64_t jitter)
{
    struct r_recurrence *r = &m->of[name];
    bool others = false;
    for (int i = 0; i < R_NAMES; i++)
        others |= m->of[i].there;
    if (!others || m->latest < m->wall)
        m->latest = m->wall;
    if (!r->there)
        memset(r, 0, sizeof *r);
    bool keeps = r->there && same_times(&r->spec, spec) && m->mistake != WRONG_CHANGE;
    r->jitter = jitter;
    if (!r->there)
        r->job = -1;
    r->there = true;
    r->spec = *spec;
    if (!keeps)
        begin_times(m, r, since);
}

/* ---- to fire ------------------------------------------------------------------------------------------------------- */

static int holder(const struct r_model *m, int name)
{
    for (int i = 0; i < m->job_count; i++)
        if (m->job[i].locked && m->job[i].name == name && m->job[i].state == M_READY)
            return i;
    return -1;
}

static void fire(struct r_model *m, int name, int64_t nominal)
{
    struct r_recurrence *r = &m->of[name];
    r->last = r_wall(m, r, nominal);
    r->next = nominal + r->spec.period;
    if (r->spec.no_overlap && r->job >= 0 && m->job[r->job].state != M_ENDED &&
        m->mistake != WRONG_OVERLAP) {
        r->skipped++;
        return;
    }
    r->fired++;
    int twin = r->spec.locked ? holder(m, name) : -1;
    if (twin >= 0) {
        r->job = twin;
        return;
    }
    JOURNAL_MUST(m->job_count < R_JOBS, "model: too many jobs");
    r->job = m->job_count++;
    m->job[r->job] = (struct r_job){
        .name = name, .time = r->last / SECOND, .locked = r->spec.locked, .state = M_READY};
}

static void miss(struct r_recurrence *r, int64_t count)
{
    r->missed += (uint64_t)(count < COUNTED ? count : COUNTED);
}

/* All that are due: 3.5c. */
static void look(struct r_model *m, int name)
{
    struct r_recurrence *r = &m->of[name];
    const struct r_spec *s = &r->spec;
    int64_t due = r_due(m, r), now = clock_of(m, r);
    if (due == INT64_MAX || seen_at(due) > now)
        return;
    now -= r->jitter;
    int64_t limit = now, end = on_clock(m, r, s->end) - r->jitter;
    if (s->end && end < limit)
        limit = end;
    int64_t count = (limit - r->next) / s->period + 1, last = r->next + (count - 1) * s->period;
    int64_t made = 1;
    if (s->catch_up == TRQ_CATCH_UP_ALL && m->mistake != WRONG_ONCE)
        made = count < s->catch_up_max ? count : s->catch_up_max;
    if (s->catch_up == TRQ_CATCH_UP_NONE && now - last >= 60 * SECOND && m->mistake != WRONG_NONE)
        made = 0;
    miss(r, count - made);
    r->next = last + s->period;
    for (int64_t i = made - 1; i >= 0; i--)
        fire(m, name, last - i * s->period);
}

/* 3.5e */
static void look_at_clock(struct r_model *m)
{
    bool any = false;
    for (int i = 0; i < R_NAMES; i++)
        any |= m->of[i].there;
    if (!any)
        return;
    int64_t tolerated = m->mistake == WRONG_BACK ? 0 : 3 * 3600 * SECOND;
    if (m->wall < m->latest - tolerated) {
        for (int i = 0; i < R_NAMES; i++)
            if (m->of[i].there && !m->of[i].spec.every)
                begin_times(m, &m->of[i], 0);
        m->latest = m->wall;
    }
    if (m->latest < m->wall)
        m->latest = m->wall;
}

/* ---- jobs ----------------------------------------------------------------------------------------------------------- */

static void finish(struct r_model *m, int job, enum trq_outcome outcome)
{
    m->job[job].state = M_ENDED;
    m->job[job].outcome = outcome;
    m->ended[m->job[job].name][outcome]++;
}

static void run(struct r_model *m, int job)
{
    struct r_job *j = &m->job[job];
    struct r_plan plan = r_plan(m->seed, m->boot, j->name, j->time);
    JOURNAL_MUST(m->run_count < R_RUNS, "model: too many runs");
    m->run[m->run_count++] = (struct r_run){m->boot, j->name, j->time};
    if (plan.end == TRQ_DONE) {
        finish(m, job, TRQ_WAS_DONE);
    } else if (plan.end == TRQ_FAILED && ++j->failures > 1) {
        finish(m, job, TRQ_WAS_DEAD);
    } else {
        j->state = M_SCHEDULED;
        j->due = m->boot + (plan.end == TRQ_FAILED ? R_RETRY_US * INT64_C(1000) : plan.after);
    }
}

static void become_due(struct r_model *m, int job)
{
    struct r_job *j = &m->job[job];
    int twin = j->locked ? holder(m, j->name) : -1;
    if (twin < 0) {
        j->state = M_READY;
        return;
    }
    if (m->job[twin].failures < j->failures)
        m->job[twin].failures = j->failures;
    finish(m, job, TRQ_WAS_MERGED);
}

void r_poll(struct r_model *m)
{
    look_at_clock(m);
    for (int i = 0; i < R_NAMES; i++)
        look(m, i);
    for (int i = 0; i < m->job_count; i++)
        if (m->job[i].state == M_SCHEDULED && m->job[i].due <= m->boot)
            become_due(m, i);
    for (int i = 0; i < m->job_count && !m->paused; i++)
        if (m->job[i].state == M_READY)
            run(m, i);
}

static int64_t until_next(const struct r_model *m, int64_t most)
{
    for (int i = 0; i < R_NAMES; i++) {
        const struct r_recurrence *r = &m->of[i];
        int64_t due = r_due(m, r);
        if (due < INT64_MAX && seen_at(due) - clock_of(m, r) < most)
            most = seen_at(due) - clock_of(m, r);
    }
    for (int i = 0; i < m->job_count; i++)
        if (m->job[i].state == M_SCHEDULED && m->job[i].due - m->boot < most)
            most = m->job[i].due - m->boot;
    return most;
}

void r_advance(struct r_model *m, int64_t span)
{
    for (;;) {
        r_poll(m);
        if (!span)
            return;
        int64_t step = until_next(m, span);
        JOURNAL_MUST(step > 0, "model: time stands still");
        m->boot += step;
        m->wall += step;
        span -= step;
    }
}

int64_t r_busy(const struct r_model *m, int64_t span)
{
    int64_t count = 0;
    for (int i = 0; i < R_NAMES; i++)
        if (m->of[i].there) /* also when its end is past: the clock may have been set back */
            count += span / m->of[i].spec.period + 1;
    return count;
}
