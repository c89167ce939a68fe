/* Failures, and what limits a wait and a run (6). */
#include "model.h"

#include <string.h>

#include "journal.h"

#define SECOND INT64_C(1000000000)

/* ---- policies (6.1) ----------------------------------------------------------------------------------------------- */

/* From least to most after that failure; INT64_MAX: never again. */
struct delay {
    int64_t least, most;
};

static int64_t growing(int failures)
{
    int64_t n = failures - 1;
    return (n * n * n * n + 15) * SECOND;
}

static struct delay delay_of(struct model *m, const struct m_policy *p, int failures, int error)
{
    const struct delay never = {INT64_MAX, INT64_MAX};
    int64_t delay = p->constant, chance = 0;
    int count = m->mistake == WRONG_DELAY ? 1 : failures, jitter = p->jitter;
    if (p->retries != M_FOREVER && failures > p->retries + (m->mistake == WRONG_ONE_MORE))
        return never;
    if (m->mistake == WRONG_NO_RETRY)
        return never;
    if (p->form == M_LIST)
        delay = p->list[(count < p->list_count ? count : p->list_count) - 1];
    if (p->form == M_ASKED)
        delay = p->delay(count, error);
    if (delay == INT64_MAX)
        return never;
    bool bad = delay < 0;
    m->bad_delays += bad;
    if (p->form == M_GROWS || bad)
        delay = growing(count);
    if (jitter == M_GROWING_JITTER || (bad && !jitter))
        chance = 10 * count * SECOND; /* as the default has it */
    else
        chance = delay / 100 * jitter;
    struct delay d = {delay, delay + chance};
    if (p->most && d.most > p->most) { /* the window ends there */
        if (delay > p->most && jitter != M_GROWING_JITTER && !(bad && !jitter))
            chance = p->most / 100 * jitter;
        d.most = p->most;
        if (chance > p->most / 2)
            chance = p->most / 2;
        d.least = p->most - chance;
        if (d.least > delay)
            d.least = delay;
    }
    return d;
}

/* ---- why it failed ------------------------------------------------------------------------------------------------ */

/* In the same moment nobody knows. */
static bool surely_newer(const struct m_error *a, const struct m_error *b)
{
    return a->boot > b->boot;
}

static void forget_oldest(struct m_errors *e)
{
    int oldest = 0;
    for (int i = 1; i < e->count; i++)
        if (e->error[i].boot < e->error[oldest].boot)
            oldest = i;
    memmove(&e->error[oldest], &e->error[oldest + 1],
            (size_t)(e->count - oldest - 1) * sizeof e->error[0]);
    e->count--;
}

static void add(struct m_errors *to, const struct m_errors *from)
{
    for (int i = 0; i < from->count; i++) {
        if (to->count == M_ERRORS)
            forget_oldest(to);
        to->error[to->count++] = from->error[i];
    }
    to->open |= from->count > 0;
}

static void push(struct m_errors *e, struct m_error error)
{
    int most = e->open ? M_ERRORS : TRQ_FAILURES_KEPT;
    if (e->count == most && e->open)
        forget_oldest(e);
    else if (e->count == most)
        e->count--;
    memmove(&e->error[1], &e->error[0], (size_t)e->count * sizeof error);
    e->error[0] = error;
    e->count++;
}

static bool same(const struct m_error *a, const struct m_error *b)
{
    return a->number == b->number && a->attempt == b->attempt && a->wall == b->wall;
}

static const struct m_error *find(const struct m_error *list, int count,
                                  const struct m_error *error)
{
    for (int i = 0; i < count; i++)
        if (same(&list[i], error))
            return &list[i];
    return NULL;
}

static bool may_be(const struct m_errors *e, const struct m_error *list, int count)
{
    int kept = e->count < TRQ_FAILURES_KEPT ? e->count : TRQ_FAILURES_KEPT;
    if (count != kept)
        return false;
    for (int i = 0; i < count; i++) {
        if (e->open ? !find(e->error, e->count, &list[i]) || find(list, i, &list[i])
                    : !same(&e->error[i], &list[i]))
            return false;
        for (int k = 0; e->open && k < i; k++)
            if (surely_newer(find(e->error, e->count, &list[i]),
                             find(e->error, e->count, &list[k])))
                return false;
    }
    for (int i = 0; e->open && i < e->count; i++)
        for (int k = 0; k < count; k++)
            if (surely_newer(&e->error[i], find(e->error, e->count, &list[k])) &&
                !find(list, count, &e->error[i]))
                return false;
    return true;
}

void model_learn_errors(struct model *m, int job, const struct m_error *list, int count)
{
    struct m_errors *e = &m->job[job].errors;
    if (!may_be(e, list, count)) {
        for (int i = 0; i < e->count; i++)
            journal("  wanted%s: error %d, attempt %d at %lld", e->open ? " one of" : "",
                    e->error[i].number, e->error[i].attempt, (long long)e->error[i].wall);
        for (int i = 0; i < count; i++)
            journal("  found: error %d, attempt %d at %lld", list[i].number, list[i].attempt,
                    (long long)list[i].wall);
        journal_fail("job %d: it failed for other reasons", job);
    }
    struct m_error learnt[TRQ_FAILURES_KEPT];
    for (int i = 0; i < count; i++)
        learnt[i] = *find(e->error, e->count, &list[i]);
    memcpy(e->error, learnt, (size_t)count * sizeof *learnt);
    e->count = count;
    e->open = false;
}

/* ---- to fail ------------------------------------------------------------------------------------------------------- */

void model_fail(struct model *m, int job, int error)
{
    struct m_job *j = &m->job[job];
    m->counters[j->worker].failed++;
    if (j->asked_to_stop && m->mistake != WRONG_CANCEL) {
        model_finish(m, job, TRQ_WAS_CANCELLED, -1);
        return;
    }
    j->failures++;
    if (m->mistake != WRONG_REASON || j->failures == 1)
        push(&j->errors,
             (struct m_error){
                 .number = error, .attempt = j->failures, .wall = m->wall, .boot = m->boot});
    struct delay d = delay_of(m, j->limits.policy, j->failures, error);
    if (d.least == INT64_MAX) {
        model_die(m, job, error);
        model_finish(m, job, TRQ_WAS_DEAD, -1);
        return;
    }
    m->counters[j->worker].retried++;
    model_return(m, job, model_plus(m->boot, d.least), model_plus(m->boot, d.most));
}

/* 4.6: the one that waits gets the larger counts and the last errors. */
void model_hand_over(const struct model *m, const struct m_job *from, struct m_job *to)
{
    if (m->mistake == WRONG_COUNT)
        return;
    if (to->merged_failures < from->failures)
        to->merged_failures = from->failures;
    add(&to->merged_errors, &from->errors);
}

void model_take_along(struct m_job *j)
{
    if (j->begun < j->merged)
        j->begun = j->merged;
    if (j->failures < j->merged_failures)
        j->failures = j->merged_failures;
    add(&j->errors, &j->merged_errors);
    j->merged = j->merged_failures = 0;
    j->merged_errors.count = 0;
}

/* ---- how long it may wait (6.3) -------------------------------------------------------------------------------------- */

void model_begin_wait(struct model *m, struct m_job *j, int64_t first, int64_t last)
{
    const struct m_limits *l = &j->limits;
    j->since = last;
    if (m->mistake == WRONG_EXPIRY) {
        j->expires_latest = j->expires;
        return;
    }
    j->expires = l->expires_in ? model_plus(first, l->expires_in) : INT64_MAX;
    j->expires_latest = l->expires_in ? model_plus(last, l->expires_in) : INT64_MAX;
    if (j->expires > l->deadline)
        j->expires = l->deadline;
    if (j->expires_latest > l->deadline)
        j->expires_latest = l->deadline;
}

bool model_is_late(const struct model *m, const struct m_job *j)
{
    if (m->mistake == WRONG_LATE && m->paused[j->queue])
        return false;
    return (j->state == M_READY || j->state == M_PARKED) && j->expires <= m->boot &&
           j->expires < INT64_MAX;
}

void model_end_late(struct model *m, int key)
{
    for (int i = 0; key && i < m->job_count && m->mistake != WRONG_TWIN; i++)
        if (m->job[i].key == key && model_is_late(m, &m->job[i]))
            model_finish(m, i, TRQ_WAS_EXPIRED, -1);
}

void model_expired(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    if (j->state == M_SCHEDULED && (j->firing || model_is_due(m, j))) {
        /* It has been ready, and nobody looked. */
        int64_t due = m->boot;
        if (model_is_due(m, j))
            due = model_on_clock(m, j->place.due, j->place.clock, M_BOOT);
        j->firing = false;
        j->state = M_READY;
        model_begin_wait(m, j, due > m->went_on ? due : m->went_on, m->boot);
    }
    JOURNAL_MUST(model_is_late(m, j), "job %d has expired, and its time is not over", job);
    model_finish(m, job, TRQ_WAS_EXPIRED, -1);
}

/* ---- what chance or a look has told ------------------------------------------------------------------------------------ */

void model_learn_due(struct model *m, int job, int64_t due)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(due >= j->place.due && due <= j->due_latest,
                 "job %d is tried again at %lld, not from %lld to %lld", job, (long long)due,
                 (long long)j->place.due, (long long)j->due_latest);
    j->place.due = j->due_latest = due;
}

void model_learn_expires(struct model *m, int job, int64_t expires)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(expires >= j->expires && expires <= j->expires_latest,
                 "job %d expires at %lld, not from %lld to %lld", job, (long long)expires,
                 (long long)j->expires, (long long)j->expires_latest);
    j->expires = j->expires_latest = expires;
}

/* ---- how long it may run ------------------------------------------------------------------------------------------------ */

void model_begin_run(struct model *m, struct m_job *j)
{
    j->deadline = j->limits.timeout ? model_plus(m->boot, j->limits.timeout) : INT64_MAX;
    if (m->mistake == WRONG_TIMEOUT)
        j->deadline = INT64_MAX;
    if (j->deadline > j->limits.deadline)
        j->deadline = j->limits.deadline;
    j->reported = false;
}

bool model_should_stop(const struct model *m, const struct m_job *j)
{
    return j->asked_to_stop || (j->deadline < INT64_MAX && j->deadline <= m->boot);
}

void model_end_run(struct model *m, struct m_job *j)
{
    m->counters[j->worker].overran += j->deadline < INT64_MAX && j->deadline <= m->boot;
}

void model_report_stuck(struct model *m, int job, int64_t over)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_RUNNING && j->deadline <= m->boot,
                 "job %d is stuck, they say, and its time is not over", job);
    JOURNAL_MUST(!j->reported, "job %d: a run is reported as stuck twice", job);
    JOURNAL_MUST(over == m->boot - j->deadline, "job %d is over by %lld, not by %lld", job,
                 (long long)over, (long long)(m->boot - j->deadline));
    j->reported = true;
    m->stuck++;
}
