/* The dead set: a list in the order of death (6.2). */
#include "model.h"

#include <string.h>

#include "journal.h"

int model_find_dead(const struct model *m, int job)
{
    for (int i = 0; i < m->dead_count; i++)
        if (m->dead[i].job == job)
            return i;
    return -1;
}

static void take_out(struct model *m, int at)
{
    m->dead_count--;
    memmove(&m->dead[at], &m->dead[at + 1], (size_t)(m->dead_count - at) * sizeof m->dead[0]);
}

void model_die(struct model *m, int job, int error)
{
    int place = m->mistake == WRONG_GRAVE ? 0 : m->dead_count;
    memmove(&m->dead[place + 1], &m->dead[place],
            (size_t)(m->dead_count - place) * sizeof m->dead[0]);
    m->dead_count++;
    m->dead[place] = (struct m_dead){.job = job,
                                     .number = ++m->deaths,
                                     .died = m->wall,
                                     .failures = m->job[job].failures,
                                     .error = error};
    if (m->dead_count <= m->dead_max || m->mistake == WRONG_BOUND)
        return;
    JOURNAL_MUST(!m->falls_out,
                 "model: two fall out of the dead set, and nobody was told of the first");
    m->falls_out = true;
    m->fallen = m->dead[0];
    m->dead_lost++;
    take_out(m, 0);
}

int model_dead_delete(struct model *m, int job)
{
    int at = model_find_dead(m, job);
    if (at < 0)
        return TRQ_GONE;
    take_out(m, at);
    return TRQ_OK;
}

int model_dead_retry(struct model *m, int job, int *out_job)
{
    int at = model_find_dead(m, job);
    if (at < 0)
        return TRQ_GONE;
    const struct m_job *d = &m->job[job];
    take_out(m, at);
    model_end_late(m, d->key);
    *out_job = m->mistake == WRONG_REVIVAL ? -1 : model_holder(m, d->key);
    if (*out_job >= 0) {
        m->job[*out_job].absorbed |= m->job[*out_job].state == M_STARTING;
        m->counters[d->worker].duplicates++;
        return TRQ_DUPLICATE;
    }
    const struct m_call call = {.worker = d->worker,
                                .queue = d->queue,
                                .limits = d->limits,
                                .in = d->in,
                                .worker_lock = d->worker_lock};
    *out_job = model_add(m, &call, d->key, d->from_scheduling);
    struct m_job *j = &m->job[*out_job];
    j->limits.deadline = INT64_MAX;
    j->errors = d->errors;
    j->failures = m->mistake == WRONG_BUDGET ? d->failures : 0;
    model_line_up(m, *out_job);
    return TRQ_OK;
}
