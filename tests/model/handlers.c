#include "handlers.h"

#include <string.h>

/* ---- the beginning of a run ------------------------------------------------------------------------------------------- */

static struct draw plan_of(const struct world *w, int job, int salt)
{
    return (struct draw){w->seed * UINT64_C(0x100000001B3) + (uint64_t)job * 4099 +
                         (uint64_t)salt * UINT64_C(0x10001)};
}

static int enter(struct trq_job *run)
{
    struct world *w = trq_job_host(run);
    world_enter(w, trq_job_thread(run) + 1);
    int job = world_find(w, trq_job_self(run));
    JOURNAL_MUST(job >= 0, "a job runs whose enqueueing has not returned");
    JOURNAL_MUST((intptr_t)trq_job_tag(run) == w->tag[job] + 1, "job %d has another's tag", job);
    return job;
}

/* The bytes that one run's functions share. */
static void look_at_state(struct world *w, struct trq_job *run, int job)
{
    struct run_state *state = trq_job_state(run);
    JOURNAL_MUST(!state == !w->workers[w->model.job[job].worker].state_size,
                 "job %d: state where none is declared, or none", job);
    if (!state)
        return;
    if (!w->state_seen[job]) {
        for (size_t i = 0; i < sizeof *state; i++)
            JOURNAL_MUST(((const char *)state)[i] == 0, "job %d: its state is not zeroed", job);
        w->state_seen[job] = true;
        w->drops++;
        memset(state->room, 1, sizeof state->room);
        state->mark = job + 1;
    }
    JOURNAL_MUST(state->mark == job + 1, "job %d: its functions do not share their state", job);
}

void world_state_drop(void *state, struct trq_job *run)
{
    struct world *w = trq_job_host(run);
    int job = enter(run);
    const struct run_state *s = state;
    if (w->state_seen[job]) {
        JOURNAL_MUST(s->mark == job + 1, "job %d: another state is dropped", job);
        w->state_seen[job] = false;
        w->drops--;
    }
    world_leave(w);
}

/* The first that is heard of a run. */
static void take(struct world *w, struct trq_job *run, int job)
{
    const struct m_job *j = &w->model.job[job];
    world_look_at_clock(w, NOBODY);
    look(w, NOBODY, job);
    journal("  taken: job %d", job);
    JOURNAL_MUST(w->model.untold == 0, "%d jobs have ended and nobody was told", w->model.untold);
    model_pick(&w->model, job);
    JOURNAL_MUST(strcmp(trq_job_queue(run), w->queue_text[j->queue]) == 0,
                 "job %d runs from queue %s", job, trq_job_queue(run));
    JOURNAL_MUST(trq_job_worker(run) == &w->workers[j->worker], "job %d: another worker", job);
    JOURNAL_MUST(trq_job_get_i64(run, "n") == j->in.n && trq_job_get_i64(run, "m") == j->in.m,
                 "job %d has other inputs", job);
    struct trq_value y;
    bool has_y = trq_job_get(run, "y", &y);
    struct trq_str x = trq_job_get_str(run, "x");
    JOURNAL_MUST(has_y == (j->in.y >= 0) && (!has_y || y.u.i == j->in.y), "job %d: another y", job);
    JOURNAL_MUST(j->in.x < 0 ? !x.data : x.size == 1 && *x.data == '0' + j->in.x,
                 "job %d: another x", job);
}

static void begin(struct world *w, struct trq_job *run, int job)
{
    struct m_job *j = &w->model.job[job];
    if (w->stage[job] == NOT_TAKEN) {
        take(w, run, job);
        if (j->worker_lock) {
            JOURNAL_MUST(!j->worker_lock->form || j->worker_lock->form < M_ON_NONE,
                         "job %d begins and its key function was not asked", job);
            int key = model_key(j->worker_lock, j->worker, j->in, 0);
            JOURNAL_MUST(model_ask(&w->model, job, key),
                         "job %d begins while others hold its worker lock", job);
        }
    }
    JOURNAL_MUST(!j->absorbed, "job %d has told a caller to see his change, and not asked again",
                 job);
    w->stage[job] = HAS_BEGUN;
    w->ran++;
    model_begin(&w->model, job);
    JOURNAL_MUST(w->data[j->key] >= j->must_see, "job %d does not see what was written", job);
    j->must_see = 0;
    JOURNAL_MUST(trq_job_attempt(run) == 1, "job %d: attempt %d", job, trq_job_attempt(run));
}

/* ---- worker locks' functions --------------------------------------------------------------------------------------------- */

static enum trq_end answer(struct world *w, struct trq_job *run, int job, enum trq_end end)
{
    static const char *const word[] = {"done", "skip", "fail", "discard", "requeue"};
    journal("  job %d ends: %s", job, word[end]);
    w->stage[job] = NOT_TAKEN;
    switch (end) {
    case TRQ_FAILED:
        end = trq_fail(run, "as planned");
        break;
    case TRQ_DISCARDED:
        end = trq_discard(run, "as planned");
        break;
    case TRQ_REQUEUED:
        end = trq_requeue(run);
        break;
    default:
        break;
    }
    model_end(&w->model, job, end, 0);
    return end;
}

static enum trq_end ask(struct trq_job *run, struct trq_key *key, bool with_part)
{
    struct world *w = trq_job_host(run);
    int job = enter(run);
    struct m_job *j = &w->model.job[job];
    bool again = w->stage[job] == HAS_KEY;
    JOURNAL_MUST(w->stage[job] != HAS_BEGUN, "job %d runs and is asked for its key", job);
    JOURNAL_MUST(!again || j->absorbed, "job %d is asked for its key twice in one start", job);
    if (!again)
        take(w, run, job);
    look_at_state(w, run, job);
    struct draw plan = plan_of(w, job, 1000 + w->asks[job]++);
    if (draw_percent(&plan, 15))
        act(w, &plan, true);
    enum trq_end end = TRQ_DONE;
    if (draw_percent(&plan, 16) && w->asks[job] < 20)
        end = (enum trq_end)(1 + draw_below(&plan, 4));
    if (end != TRQ_DONE && j->asked_to_stop && !again) {
        model_finish(&w->model, job, TRQ_WAS_CANCELLED, -1);
        w->stage[job] = NOT_TAKEN;
    } else if (end != TRQ_DONE && j->absorbed && !again) {
        journal("  job %d would end, and is to be asked again", job);
        j->state = M_RUNNING;
        w->stage[job] = HAS_KEY;
    } else if (end != TRQ_DONE) {
        /* A run, as any other: it has begun, and so ended. */
        j->state = M_RUNNING;
        j->absorbed = false;
        w->ran++;
        model_begin(&w->model, job);
        end = answer(w, run, job, end);
    } else {
        int part = (j->in.m + w->drift) % 3;
        if (with_part)
            trq_key_i64(key, part);
        int number = model_key(j->worker_lock, j->worker, j->in, part);
        bool held =
            again ? model_ask_again(&w->model, job, number) : model_ask(&w->model, job, number);
        journal("  job %d asks for key %d: %s", job, number, held ? "held" : "not held");
        w->stage[job] = held ? HAS_KEY : NOT_TAKEN;
    }
    world_leave(w);
    return end;
}

enum trq_end world_worker_key(struct trq_job *run, struct trq_key *key)
{
    return ask(run, key, true);
}
enum trq_end world_worker_key_none(struct trq_job *run, struct trq_key *key)
{
    return ask(run, key, false);
}

/* ---- queue locks' functions ------------------------------------------------------------------------------------------------- */

enum trq_end world_queue_key(struct trq_job *run, struct trq_key *key)
{
    struct world *w = trq_job_host(run);
    world_enter(w, -1);
    w->key_calls++;
    int64_t n = trq_job_get_i64(run, "n"), m = trq_job_get_i64(run, "m");
    world_leave(w);
    if (n == 2 && m == 1)
        return trq_fail(run, "no key for 2, 1");
    trq_key_input(key, run, "n");
    return TRQ_DONE;
}
enum trq_end world_queue_key_none(struct trq_job *run, struct trq_key *key)
{
    struct world *w = trq_job_host(run);
    (void)key;
    world_enter(w, -1);
    w->key_calls++;
    world_leave(w);
    return TRQ_DONE;
}

/* ---- needed and perform ------------------------------------------------------------------------------------------------------ */

bool world_needed(struct trq_job *run)
{
    struct world *w = trq_job_host(run);
    int job = enter(run);
    JOURNAL_MUST(w->stage[job] != HAS_BEGUN, "job %d: needed is asked twice", job);
    begin(w, run, job);
    look_at_state(w, run, job);
    struct draw plan = plan_of(w, job, 2000 + w->runs[job]);
    bool needed = !draw_percent(&plan, 10);
    if (!needed)
        (void)answer(w, run, job, TRQ_SKIP);
    world_leave(w);
    return needed;
}

static enum trq_end finish(struct world *w, struct trq_job *run, int job, struct draw *plan)
{
    int r = draw_below(plan, 100);
    if (w->runs[job] > 5 || r < 60)
        return answer(w, run, job, TRQ_DONE);
    if (r < 65)
        return answer(w, run, job, TRQ_SKIP);
    if (r < 70)
        return answer(w, run, job, TRQ_FAILED);
    if (r < 74)
        return answer(w, run, job, TRQ_DISCARDED);
    if (r < 86)
        return answer(w, run, job, TRQ_REQUEUED);
    w->stage[job] = NOT_TAKEN;
    if (r == 99) {
        journal("  job %d returns a number that is no end", job);
        model_end(&w->model, job, TRQ_FAILED, 0);
        return (enum trq_end)77;
    }
    int64_t after = r == 98 ? -draw_span(plan) : draw_span(plan);
    journal("  job %d ends: requeue in %lld", job, (long long)after);
    model_end(&w->model, job, TRQ_REQUEUED, after);
    return trq_requeue_in(run, trq_ns(after));
}

enum trq_end world_perform(struct trq_job *run)
{
    struct world *w = trq_job_host(run);
    int job = enter(run);
    if (w->stage[job] != HAS_BEGUN)
        begin(w, run, job);
    look_at_state(w, run, job);
    journal("  job %d performs", job);
    struct draw plan = plan_of(w, job, 3000 + w->runs[job]++);
    if (draw_percent(&plan, 35))
        act(w, &plan, true);
    if (draw_percent(&plan, 15))
        act(w, &plan, true);
    if (w->hold && draw_percent(&plan, 85)) {
        w->hold(w, job);
        w->model.thread = trq_job_thread(run) + 1;
        world_look_at_clock(w, NOBODY);
    }
    if (draw_percent(&plan, 15))
        act(w, &plan, true);
    if (w->model.job[job].asked_to_stop)
        JOURNAL_MUST(trq_job_should_stop(run), "job %d was cancelled and is not told", job);
    else if (w->runs[job] == 1)
        JOURNAL_MUST(!trq_job_should_stop(run), "job %d is to stop, and nobody said so", job);
    enum trq_end end = finish(w, run, job, &plan);
    world_leave(w);
    return end;
}

/* ---- ends ---------------------------------------------------------------------------------------------------------------------- */

static void hear(struct world *w, const struct pending_end *end)
{
    int job = world_find(w, end->id);
    JOURNAL_MUST(job >= 0, "the end of an unknown job");
    struct m_job *j = &w->model.job[job];
    int other = end->other.slot || end->other.birth ? world_find(w, end->other) : -1;
    if (j->firing) {
        model_merged(&w->model, job, other); /* one of many that are run now */
    } else if (j->state == M_SCHEDULED && end->outcome == TRQ_WAS_MERGED) {
        look(w, job, NOBODY);
        model_fire(&w->model, job);
        JOURNAL_MUST(model_is_due(&w->model, j), "job %d comes back before it is due", job);
        model_merged(&w->model, job, other);
        if (!w->gathering)
            model_settle(&w->model);
    }
    model_told(&w->model, job, end->outcome, other);
}

void world_on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    struct world *w = host;
    world_enter(w, -1);
    journal("  told: job %d ended as %s", world_find(w, event->id),
            trq_outcome_name(event->outcome));
    world_look_at_clock(w, world_find(w, event->id));
    bool failed = event->outcome == TRQ_WAS_DEAD || event->outcome == TRQ_WAS_DISCARDED;
    JOURNAL_MUST(failed == (error && error->text[0]), "an error where there is none, or none");
    struct pending_end end = {event->id, event->other, event->outcome};
    int job = world_find(w, event->id);
    if (job >= 0)
        JOURNAL_MUST(event->attempts == w->model.job[job].begun ||
                         event->attempts == w->model.job[job].merged,
                     "job %d: its handler began %d times, its end says %d", job,
                     w->model.job[job].begun, event->attempts);
    bool other_known =
        (!event->other.slot && !event->other.birth) || world_find(w, event->other) >= 0;
    if (job >= 0 && other_known) {
        hear(w, &end);
    } else { /* of a call that has not returned yet */
        JOURNAL_MUST(w->pending_count < PENDING, "too many ends in one call");
        w->pending[w->pending_count++] = end;
    }
    world_leave(w);
}

void world_after_call(struct world *w)
{
    for (int i = 0; i < w->pending_count; i++)
        hear(w, &w->pending[i]);
    w->pending_count = 0;
    JOURNAL_MUST(w->model.untold == 0, "%d jobs have ended and nobody was told", w->model.untold);
}
