/* Calls, queue locks, ends. */
#include "model.h"

#include <string.h>

#include "journal.h"

void model_init(struct model *m, enum mistake mistake)
{
    memset(m, 0, sizeof *m);
    m->mistake = mistake;
    m->takers = 1;
    m->dead_max = 10000;
}

/* ---- ends ----------------------------------------------------------------------------------------------------- */

static uint64_t *counter_of(struct m_counters *c, enum trq_outcome outcome)
{
    switch (outcome) {
    case TRQ_WAS_DONE:
        return &c->done;
    case TRQ_WAS_SKIPPED:
        return &c->skipped;
    case TRQ_WAS_DISCARDED:
        return &c->discarded;
    case TRQ_WAS_DEAD:
        return &c->dead;
    case TRQ_WAS_DROPPED:
        return &c->dropped;
    case TRQ_WAS_CANCELLED:
        return &c->cancelled;
    case TRQ_WAS_REPLACED:
        return &c->replaced;
    case TRQ_WAS_MERGED:
        return &c->merged;
    case TRQ_WAS_EXPIRED:
        return &c->expired;
    }
    journal_fail("outcome %d", (int)outcome);
}

void model_finish(struct model *m, int job, enum trq_outcome outcome, int other)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state != M_ENDED, "model: job %d ends twice", job);
    m->tombs[j->queue] += j->state == M_READY;
    j->state = M_ENDED;
    j->outcome = outcome;
    j->other = other;
    j->ended = outcome == TRQ_WAS_DONE ? 0 : ++m->ends_kept;
    j->woken = false;
    j->worker_key = 0;
    ++*counter_of(&m->counters[j->worker], outcome);
    if (j->listens)
        m->untold++;
    else
        j->told = true;
}

void model_told(struct model *m, int job, enum trq_outcome outcome, int other)
{
    struct m_job *j = &m->job[job];
    JOURNAL_MUST(j->state == M_ENDED, "job %d ended as %s, and should not have ended", job,
                 trq_outcome_name(outcome));
    JOURNAL_MUST(j->listens, "job %d asked nobody to be told", job);
    JOURNAL_MUST(!j->told, "job %d ended twice", job);
    JOURNAL_MUST(j->outcome == outcome, "job %d ended as %s instead of %s", job,
                 trq_outcome_name(outcome), trq_outcome_name(j->outcome));
    JOURNAL_MUST(j->other == other, "job %d: the other is job %d instead of %d", job, other,
                 j->other);
    j->told = true;
    m->untold--;
}

void model_drop_all(struct model *m)
{
    for (int i = 0; i < m->job_count; i++)
        if (m->job[i].state != M_ENDED)
            model_finish(m, i, TRQ_WAS_DROPPED, -1);
}

/* ---- queue locks (4) -------------------------------------------------------------------------------------------- */

int model_key(const struct m_lock *lock, int worker, struct m_inputs in, int extra)
{
    int number = lock->space;
    int part[4] = {9, 9, 9, 9}; /* 9: no part; 8: null */
    (void)worker;
    switch (lock->form) {
    case M_ON_N:
        part[0] = in.n;
        break;
    case M_ON_NM:
        part[0] = in.n;
        part[1] = in.m;
        break;
    case M_ON_X:
        part[2] = in.x < 0 ? 8 : in.x;
        break;
    case M_ON_ALL:
        part[0] = in.n;
        part[1] = in.m;
        part[2] = in.x < 0 ? 8 : in.x;
        part[3] = in.y < 0 ? 8 : in.y;
        break;
    case M_ON_NONE:
        break;
    case M_FUNCTION:
        part[0] = extra;
        break;
    }
    for (int i = 0; i < 4; i++)
        number = number * 10 + part[i];
    return number;
}

static bool holds(const struct model *m, const struct m_job *j)
{
    switch (j->state) {
    case M_READY:
    case M_STARTING:
        return true;
    case M_PARKED:
        return m->mistake != WRONG_PARKED;
    case M_SCHEDULED:
        return j->from_scheduling && m->mistake != WRONG_SCOPE;
    case M_RUNNING:
        return m->mistake == WRONG_RUNNING;
    case M_ENDED:
        break;
    }
    return false;
}

/* 4.7 */
static bool lets_go(const struct model *m, const struct m_job *j)
{
    return model_is_late(m, j) && m->mistake != WRONG_TWIN;
}

int model_holder(const struct model *m, int key)
{
    int found = -1;
    for (int i = 0; key && i < m->job_count; i++)
        if (m->job[i].key == key && holds(m, &m->job[i]) && !lets_go(m, &m->job[i])) {
            JOURNAL_MUST(found < 0, "model: jobs %d and %d wait with one queue lock", found, i);
            found = i;
        }
    return found;
}

int model_add(struct model *m, const struct m_call *call, int key, bool from_scheduling)
{
    JOURNAL_MUST(m->job_count < M_JOBS, "model: too many jobs");
    int job = m->job_count++;
    struct m_job *j = &m->job[job];
    memset(j, 0, sizeof *j);
    j->worker = call->worker;
    j->queue = call->queue;
    j->in = call->in;
    j->limits = call->limits;
    j->expires = j->expires_latest = j->deadline = INT64_MAX;
    if (m->mistake == WRONG_INHERIT)
        j->limits.deadline = INT64_MAX;
    if (m->mistake == WRONG_EXPIRY && call->limits.expires_in)
        j->expires = model_plus(m->boot, call->limits.expires_in);
    j->listens = call->listens;
    j->key = key;
    j->from_scheduling = from_scheduling;
    j->worker_lock = call->worker_lock;
    j->other = -1;
    j->state = M_RUNNING; /* in nobody's way until it is put somewhere */
    m->counters[call->worker].enqueued++;
    return job;
}

/* Debouncing: the later of the two due times, within the bound, on the clock that the twin is due by. */
static int debounce(struct model *m, struct m_job *twin, const struct m_lock *lock,
                    enum m_clock clock, int64_t due)
{
    due = model_on_clock(m, due, clock, twin->place.clock);
    if (lock->max_wait > 0 && m->mistake != WRONG_DEBOUNCE) {
        int64_t bound = model_plus(twin->first, lock->max_wait);
        due = bound < due ? bound : due;
    }
    if (due <= twin->place.due)
        return TRQ_DUPLICATE;
    twin->place.due = twin->due_latest = due;
    twin->place.scheduled = 0;
    return TRQ_DEBOUNCED;
}

/* The conflict table: what becomes of a call that meets a twin. TRQ_OK: nothing stands in its way. */
static int meet(struct model *m, const struct m_call *call, enum trq_on_conflict rule, bool later,
                enum m_clock clock, int64_t due, int twin)
{
    struct m_job *t = &m->job[twin];
    if (rule == TRQ_REPLACE && t->state != M_STARTING)
        return TRQ_REPLACED;
    int code = TRQ_DUPLICATE;
    if (rule == TRQ_DEBOUNCE && later && t->state == M_SCHEDULED)
        code = debounce(m, t, call->queue_lock, clock, due);
    t->absorbed |= t->state == M_STARTING;
    m->counters[call->worker].duplicates++;
    m->counters[call->worker].debounced += code == TRQ_DEBOUNCED;
    return code;
}

int model_enqueue(struct model *m, const struct m_call *call, int *out_job)
{
    const struct m_lock *lock = call->queue_lock;
    enum m_clock clock = call->when == M_AT ? M_WALL : M_BOOT;
    int64_t due = call->when == M_IN && call->when_ns > 0 ? model_plus(m->boot, call->when_ns)
                                                          : call->when_ns;
    bool later = call->when != M_NOW && model_remaining(m, clock, due) > 0 &&
                 (call->when == M_AT || call->when_ns > 0);
    enum trq_on_conflict rule = TRQ_KEEP;
    if (lock && lock->on_conflict != TRQ_AS_DECLARED)
        rule = lock->on_conflict;
    if (call->on_conflict != TRQ_AS_DECLARED)
        rule = call->on_conflict;
    bool from_scheduling = lock && (lock->from_scheduling || rule == TRQ_DEBOUNCE);
    int key = lock ? model_key(lock, call->worker, call->in, call->in.n) : 0;
    if (!later || from_scheduling)
        model_end_late(m, key);
    int twin = key && (!later || from_scheduling) ? model_holder(m, key) : -1;
    int code = twin < 0 ? TRQ_OK : meet(m, call, rule, later, clock, due, twin);
    if (code == TRQ_DUPLICATE || code == TRQ_DEBOUNCED) {
        *out_job = twin;
        return code;
    }
    int job = model_add(m, call, key, from_scheduling);
    struct m_place place = {0};
    if (code == TRQ_REPLACED) {
        struct m_job *t = &m->job[twin];
        if ((t->state == M_READY || t->state == M_PARKED) && t->queue == call->queue && !later &&
            m->mistake != WRONG_PLACE)
            place = t->place;
        model_finish(m, twin, TRQ_WAS_REPLACED, job);
    }
    if (later) {
        model_schedule(m, job, clock, due);
    } else {
        model_line_up(m, job);
        if (place.at)
            m->job[job].place = place;
    }
    *out_job = job;
    return code;
}

/* ---- by id (3.4, 6.4) ---------------------------------------------------------------------------------------------- */

int model_cancel(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    if (j->state == M_ENDED)
        return TRQ_GONE;
    if (j->state == M_RUNNING || j->state == M_STARTING) {
        j->asked_to_stop = true;
        return TRQ_ASKED;
    }
    model_finish(m, job, TRQ_WAS_CANCELLED, -1);
    return TRQ_OK;
}

int model_move(struct model *m, int job, enum m_clock clock, int64_t due)
{
    struct m_job *j = &m->job[job];
    if (j->state != M_SCHEDULED)
        return TRQ_GONE;
    j->first = model_on_clock(m, j->first, j->place.clock, clock);
    j->place.clock = clock;
    j->place.due = j->due_latest = due;
    j->place.scheduled = 0;
    return TRQ_OK;
}

int model_run_now(struct model *m, int job)
{
    struct m_job *j = &m->job[job];
    if (j->state != M_SCHEDULED)
        return TRQ_GONE;
    if (!j->from_scheduling)
        model_end_late(m, j->key);
    int twin = j->from_scheduling || m->mistake == WRONG_RUN_NOW ? -1 : model_holder(m, j->key);
    if (twin < 0) {
        model_line_up(m, job);
        return TRQ_OK;
    }
    model_merge(m, job, twin);
    return TRQ_DUPLICATE;
}

void model_pause(struct model *m, int queue, bool paused)
{
    m->paused[queue] = paused;
    m->passed_over[queue] = 0;
}

/* ---- to wait, and to wait again (4.6) --------------------------------------------------------------------------------- */

/* The twin keeps the larger count, and has all the more to see. */
void model_merge(struct model *m, int job, int into)
{
    struct m_job *j = &m->job[job], *t = &m->job[into];
    if (t->merged < j->begun)
        t->merged = j->begun;
    model_hand_over(m, j, t);
    if (t->must_see < j->must_see)
        t->must_see = j->must_see;
    t->absorbed |= t->state == M_STARTING;
    j->firing = false;
    model_finish(m, job, TRQ_WAS_MERGED, into);
}

/* At the end of its queue. */
void model_line_up(struct model *m, int job)
{
    m->job[job].state = M_READY;
    m->job[job].firing = false;
    m->job[job].place = (struct m_place){.at = ++m->ticket};
    model_begin_wait(m, &m->job[job], m->boot, m->boot);
}

void model_schedule(struct model *m, int job, enum m_clock clock, int64_t due)
{
    m->job[job].state = M_SCHEDULED;
    m->job[job].first = clock == M_WALL ? m->wall : m->boot;
    m->job[job].place = (struct m_place){
        .due = due, .clock = clock, .scheduled = ++m->schedulings, .thread = m->thread};
    m->job[job].due_latest = due;
}

void model_return(struct model *m, int job, int64_t due, int64_t latest)
{
    struct m_job *j = &m->job[job];
    bool later = latest > m->boot;
    j->state = M_RUNNING;
    bool asks = (!later || j->from_scheduling) && m->mistake != WRONG_MERGE;
    if (asks)
        model_end_late(m, j->key);
    int twin = asks ? model_holder(m, j->key) : -1;
    if (twin >= 0 && twin != job) {
        model_merge(m, job, twin);
    } else if (later) {
        model_schedule(m, job, M_BOOT, due);
        j->due_latest = latest;
        if (latest > due)
            j->place.scheduled = 0;
    } else {
        model_line_up(m, job);
    }
}
