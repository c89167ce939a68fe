/* Two clocks, and what is due (3). */
#include "model.h"

#include "journal.h"

int64_t model_plus(int64_t a, int64_t b)
{
    int64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return b > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

int64_t model_remaining(const struct model *m, enum m_clock clock, int64_t due)
{
    int64_t now = clock == M_WALL ? m->wall : m->boot, left;
    if (__builtin_sub_overflow(due, now, &left))
        return due > 0 ? INT64_MAX : INT64_MIN;
    return left;
}

int64_t model_on_clock(const struct model *m, int64_t time, enum m_clock from, enum m_clock to)
{
    if (from == to)
        return time;
    return model_plus(to == M_WALL ? m->wall : m->boot, model_remaining(m, from, time));
}

bool model_is_due(const struct model *m, const struct m_job *job)
{
    int64_t left = model_remaining(m, job->place.clock, job->place.due);
    return left <= (m->mistake == WRONG_DUE ? -2 * M_TICK : 0);
}

void model_advance(struct model *m, int64_t span)
{
    m->before = m->went_on = m->boot;
    m->boot = model_plus(m->boot, span);
    m->wall = model_plus(m->wall, span);
}

void model_set_wall(struct model *m, int64_t wall)
{
    if (m->mistake == WRONG_CLOCK)
        for (int i = 0; i < m->job_count; i++) {
            struct m_job *j = &m->job[i];
            if (j->state == M_SCHEDULED && j->place.clock == M_BOOT)
                j->place.due = j->due_latest = model_plus(j->place.due, m->wall - wall);
        }
    m->wall = wall;
}

int64_t model_next_due(const struct model *m)
{
    int64_t next = -1;
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        int64_t left = INT64_MAX;
        if (j->state == M_SCHEDULED)
            left = model_remaining(m, j->place.clock, j->place.due);
        else if (j->state == M_READY || j->state == M_PARKED)
            left = model_remaining(m, M_BOOT, j->expires);
        if (left < 0)
            left = 0;
        if (left < INT64_MAX && (next < 0 || left < next))
            next = left;
    }
    return next;
}

/* ---- to become ready ---------------------------------------------------------------------------------------------- */

void model_fire(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_SCHEDULED, "model: job %d fires and is not scheduled", job);
    if (!m->turn)
        m->turn = ++m->ticket;
    j->firing = true;
}

static void make_ready(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    int twin = j->from_scheduling ? -1 : model_holder(m, j->key);
    JOURNAL_MUST(twin < 0, "job %d became ready although job %d waits with its queue lock", job,
                 twin);
    /* When exactly nobody saw; it shows in when the job expires. */
    int64_t first = m->boot, last = m->boot;
    if (!m->jumps && model_is_due(m, j)) {
        int64_t due = model_on_clock(m, j->place.due, j->place.clock, M_BOOT);
        int64_t latest = model_on_clock(m, j->due_latest, j->place.clock, M_BOOT);
        first = due > m->before ? due : m->before;
        last = model_plus(latest > first ? latest : first, M_TICK);
        last = last < m->boot ? last : m->boot;
    }
    j->firing = false;
    j->state = M_READY;
    j->place.at = m->turn;
    model_begin_wait(m, j, first, last);
}

/* Among those that become ready just now the engine chose who came first; equal due times leave it no choice. */
void model_merged(struct model *m, int job, int into)
{
    struct m_job *j = &m->job[job], *t = &m->job[into];
    JOURNAL_MUST(j->key && j->key == t->key, "job %d was merged into job %d: another key", job,
                 into);
    JOURNAL_MUST(!j->from_scheduling, "job %d was merged: it held its queue lock", job);
    if (t->firing) {
        JOURNAL_MUST(!model_before(&j->place, &t->place), "job %d is merged into the later %d", job,
                     into);
        make_ready(m, into);
    }
    JOURNAL_MUST(model_holder(m, j->key) == into,
                 "job %d was merged into job %d, which does not hold the queue lock", job, into);
    model_merge(m, job, into);
}

void model_settle(struct model *m)
{
    for (int i = 0; m->turn && i < m->job_count; i++)
        if (m->job[i].firing)
            make_ready(m, i);
    m->turn = 0;
}
