/* Who is taken next, and who may run (2.3, 5). */
#include "model.h"

#include "journal.h"

bool model_before(const struct m_place *a, const struct m_place *b)
{
    if (a->at != b->at)
        return a->at < b->at;
    return a->scheduled && b->scheduled && a->due == b->due && a->clock == b->clock &&
           a->thread == b->thread && a->scheduled < b->scheduled;
}

static bool stands_before(const struct model *m, const struct m_job *a, const struct m_job *b)
{
    if (m->mistake == WRONG_FIFO)
        return a->place.at > b->place.at;
    if (m->mistake == WRONG_EQUAL && a->place.at == b->place.at)
        return model_before(&b->place, &a->place);
    return model_before(&a->place, &b->place);
}

static bool heavier(const struct model *m, int a, int b)
{
    return m->mistake == WRONG_WEIGHT ? m->weight[a] < m->weight[b] : m->weight[a] > m->weight[b];
}

static bool can_be_taken(const struct model *m, const struct m_job *j)
{
    return j->state == M_READY && !m->unworked[j->queue] &&
           (!m->paused[j->queue] || m->mistake == WRONG_PAUSE);
}

bool model_has_work(const struct model *m)
{
    for (int i = 0; i < m->job_count; i++)
        if (can_be_taken(m, &m->job[i]) && !model_is_late(m, &m->job[i]))
            return true;
    return false;
}

/* Equals take turns: while a queue has work, its equals are not preferred for ever. */
static void take_turns(struct model *m, int queue)
{
    bool waits[M_QUEUES] = {false};
    for (int i = 0; i < m->job_count; i++)
        if (can_be_taken(m, &m->job[i]) && !model_is_late(m, &m->job[i]))
            waits[m->job[i].queue] = true;
    for (int q = 0; q < M_QUEUES; q++) {
        if (q == queue || !waits[q])
            m->passed_over[q] = 0;
        else if (m->weight[q] == m->weight[queue])
            JOURNAL_MUST(++m->passed_over[q] <= 2 * M_QUEUES * m->takers * (1 + m->tombs[q]),
                         "queue %d has waited while equals had %d turns", q, m->passed_over[q]);
    }
}

void model_pick(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_READY, "job %d was taken and was not ready (%d)", job,
                 (int)j->state);
    JOURNAL_MUST(!model_is_late(m, j) || m->boot < j->expires_latest,
                 "job %d was taken after its time to begin was over", job);
    JOURNAL_MUST(can_be_taken(m, j), "job %d was taken from queue %d, which is paused or unworked",
                 job, j->queue);
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *k = &m->job[i];
        if (!can_be_taken(m, k) || k == j || model_is_late(m, k))
            continue;
        JOURNAL_MUST(!heavier(m, k->queue, j->queue),
                     "job %d was taken before job %d, whose weight is higher", job, i);
        JOURNAL_MUST(k->queue != j->queue || !stands_before(m, k, j),
                     "job %d was taken before job %d of its queue", job, i);
    }
    take_turns(m, j->queue);
    j->state = M_STARTING;
    j->absorbed = false;
}

int model_running(const struct model *m, int worker_key)
{
    int n = 0;
    for (int i = 0; i < m->job_count; i++)
        n += m->job[i].state == M_RUNNING && m->job[i].worker_key == worker_key;
    return n;
}

static bool is_free(const struct model *m, const struct m_lock *lock, int key)
{
    return model_running(m, key) < lock->limit + (m->mistake == WRONG_LIMIT);
}

static void park(struct model *m, struct m_job *j, int key)
{
    m->counters[j->worker].parked++;
    j->parked_last = ++m->ticket;
    if (!j->parked_first)
        j->parked_first = j->parked_last;
    j->worker_key = key;
    j->woken = false;
    j->state = M_PARKED;
}

bool model_ask(struct model *m, int job, int key)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_STARTING, "job %d asks for its key and has not been taken", job);
    if (j->asked_to_stop) {
        model_finish(m, job, TRQ_WAS_CANCELLED, -1);
        return false;
    }
    if (!is_free(m, j->worker_lock, key)) {
        park(m, j, key);
        return false;
    }
    j->worker_key = key;
    j->woken = false;
    j->parked_first = 0;
    j->state = M_RUNNING;
    return true;
}

bool model_ask_again(struct model *m, int job, int key)
{
    struct m_job *j = &m->job[job];
    j->absorbed = false;
    if (key == j->worker_key)
        return true;
    j->worker_key = 0;
    if (j->asked_to_stop) {
        model_finish(m, job, TRQ_WAS_CANCELLED, -1);
        return false;
    }
    model_take_along(j);
    model_end_late(m, j->key);
    int twin = model_holder(m, j->key);
    if (twin >= 0)
        model_merge(m, job, twin);
    else
        j->state = M_READY;
    return false;
}

void model_begin(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == (j->worker_lock ? M_RUNNING : M_STARTING),
                 "job %d begins and has not been taken, or has not its worker lock", job);
    j->state = M_RUNNING;
    model_take_along(j);
    j->begun++;
    model_begin_run(m, j);
    m->counters[j->worker].started++;
}

void model_end(struct model *m, int job, enum trq_end end, int64_t after, int error)
{
    struct m_job *j = &m->job[job];
    struct m_counters *c = &m->counters[j->worker];
    j->worker_key = 0;
    j->woken = false;
    model_end_run(m, j);
    switch (end) {
    case TRQ_DONE:
        model_finish(m, job, TRQ_WAS_DONE, -1);
        return;
    case TRQ_SKIP:
        model_finish(m, job, TRQ_WAS_SKIPPED, -1);
        return;
    case TRQ_DISCARDED:
        model_finish(m, job, TRQ_WAS_DISCARDED, -1);
        return;
    case TRQ_REQUEUED:
        c->requeued++;
        if (j->asked_to_stop) {
            model_finish(m, job, TRQ_WAS_CANCELLED, -1);
            return;
        }
        after = after > 0 ? model_plus(m->boot, after) : m->boot;
        model_return(m, job, after, after);
        return;
    case TRQ_FAILED:
        model_fail(m, job, error);
        return;
    }
}

/* ---- waiting for a key (5.2) ------------------------------------------------------------------------------------------ */

bool model_waits_before(const struct model *m, const struct m_job *a, const struct m_job *b)
{
    if (m->weight[a->queue] != m->weight[b->queue])
        return m->mistake == WRONG_WAKE ? m->weight[a->queue] < m->weight[b->queue]
                                        : m->weight[a->queue] > m->weight[b->queue];
    if (a->queue == b->queue)
        return model_before(&a->place, &b->place);
    return false; /* who began to wait first is asked of the first of each queue only */
}

void model_saw_parked(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->worker_lock, "job %d waits for a worker lock and has none", job);
    JOURNAL_MUST(can_be_taken(m, j), "job %d was taken from a queue that is paused or unworked",
                 job);
    JOURNAL_MUST(j->worker_lock->form != M_FUNCTION && j->worker_lock->form != M_ON_NONE,
                 "job %d waits for a key that its function was not asked for", job);
    int key = model_key(j->worker_lock, j->worker, j->in, 0);
    JOURNAL_MUST(!is_free(m, j->worker_lock, key), "job %d waits for a key that is free", job);
    park(m, j, key);
}

static bool heads_its_queue(const struct model *m, const struct m_job *j, const bool *also)
{
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *k = &m->job[i];
        if (k != j && k->state == M_PARKED && k->worker_key == j->worker_key && !also[i] &&
            !model_is_late(m, k) && k->queue == j->queue && model_before(&k->place, &j->place))
            return false;
    }
    return true;
}

void model_saw_woken(struct model *m, int job, const bool *also)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_PARKED, "model: job %d is woken and does not wait", job);
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *k = &m->job[i];
        if (k == j || k->state != M_PARKED || k->worker_key != j->worker_key || also[i] ||
            m->paused[k->queue] || model_is_late(m, k))
            continue;
        JOURNAL_MUST(!model_waits_before(m, k, j), "job %d was woken before job %d", job, i);
        JOURNAL_MUST(k->queue == j->queue || m->weight[k->queue] != m->weight[j->queue] ||
                         k->parked_first >= j->parked_first || k->parked_last >= j->parked_last ||
                         !heads_its_queue(m, k, also),
                     "job %d was woken before job %d, which has waited longer", job, i);
    }
    j->state = M_READY;
    j->woken = true;
}

void model_check_waiters(const struct model *m)
{
    for (int i = 0; i < m->job_count; i++) {
        const struct m_job *j = &m->job[i];
        if (j->state != M_PARKED || m->paused[j->queue] || model_is_late(m, j) ||
            model_running(m, j->worker_key) >= j->worker_lock->limit)
            continue;
        bool woken = false;
        for (int k = 0; k < m->job_count; k++)
            woken |= m->job[k].woken && m->job[k].worker_key == j->worker_key &&
                     can_be_taken(m, &m->job[k]) && !model_is_late(m, &m->job[k]);
        JOURNAL_MUST(woken, "job %d waits for a free key, and nobody was woken for it", i);
    }
}
