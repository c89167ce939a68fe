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

/* The text of that error, or the beginning of it. */
static bool says(const struct trq_error *error, int number)
{
    char text[sizeof error->text];
    error_text_cut(number, text, sizeof text);
    return strcmp(error->text, text) == 0;
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

static void look_at_errors(struct world *w, struct trq_job *run, int job)
{
    const struct m_errors *e = &w->model.job[job].errors;
    char text[TRQ_FAILURE_TEXT] = "";
    compare_errors(w, job);
    if (e->count)
        error_text_cut(e->error[0].number, text, sizeof text);
    JOURNAL_MUST(strcmp(trq_job_last_error(run), text) == 0, "job %d: it failed last by: %.80s",
                 job, trq_job_last_error(run));
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
    JOURNAL_MUST(trq_job_attempt(run) == j->failures + 1, "job %d: attempt %d instead of %d", job,
                 trq_job_attempt(run), j->failures + 1);
    look_at_errors(w, run, job);
    int64_t left = trq_job_time_left(run).ns;
    int64_t expected = j->deadline == INT64_MAX ? INT64_MAX : j->deadline - w->model.boot;
    JOURNAL_MUST(left == expected, "job %d has %lld left instead of %lld", job, (long long)left,
                 (long long)expected);
}

/* ---- worker locks' functions --------------------------------------------------------------------------------------------- */

/* When it is due it might be merged, and nobody would tell. */
static bool must_not_wait(const struct world *w, int job)
{
    const struct m_job *j = &w->model.job[job];
    return j->key && !j->listens && !j->from_scheduling;
}

static enum trq_end answer(struct world *w, struct trq_job *run, int job, enum trq_end end)
{
    static const char *const word[] = {"done", "skip", "fail", "discard", "requeue"};
    char text[ERROR_TEXT];
    int error = 0;
    journal("  job %d ends: %s", job, word[end]);
    w->stage[job] = NOT_TAKEN;
    if (end == TRQ_FAILED && must_not_wait(w, job))
        end = TRQ_DISCARDED;
    switch (end) {
    case TRQ_FAILED:
        error = ++w->model.errors;
        end = trq_fail(run, "%s", error_text(error, text));
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
    model_end(&w->model, job, end, 0, error);
    return end;
}

/* What it enqueues may inherit its deadline. */
static void act_within(struct world *w, struct draw *plan, int job)
{
    w->within = job;
    act(w, plan, true);
    w->within = NOBODY;
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
    j->deadline =
        j->limits.deadline; /* what it inherited holds from here on; its time-out does not */
    if (draw_percent(&plan, 15))
        act_within(w, &plan, job);
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
    int runs = w->runs[job];
    if (runs <= 12 && draw_percent(plan, w->fails[w->model.job[job].worker]))
        return answer(w, run, job, TRQ_FAILED);
    if (runs > 5 || r < 65 || (r >= 86 && must_not_wait(w, job)))
        return answer(w, run, job, TRQ_DONE);
    if (r < 70)
        return answer(w, run, job, TRQ_SKIP);
    if (r < 74)
        return answer(w, run, job, TRQ_DISCARDED);
    if (r < 86)
        return answer(w, run, job, TRQ_REQUEUED);
    w->stage[job] = NOT_TAKEN;
    if (r == 99) {
        journal("  job %d returns a number that is no end", job);
        int error = NOT_SAID + ++w->model.errors;
        model_end(&w->model, job, TRQ_FAILED, 0, error);
        return (enum trq_end)error;
    }
    int64_t after = r == 98 ? -draw_span(plan) : draw_span(plan);
    journal("  job %d ends: requeue in %lld", job, (long long)after);
    model_end(&w->model, job, TRQ_REQUEUED, after, 0);
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
        act_within(w, &plan, job);
    if (draw_percent(&plan, 15))
        act_within(w, &plan, job);
    if (w->hold && draw_percent(&plan, 85)) {
        w->hold(w, job);
        w->model.thread = trq_job_thread(run) + 1;
        world_look_at_clock(w, NOBODY);
    }
    if (draw_percent(&plan, 15))
        act_within(w, &plan, job);
    bool stop = model_should_stop(&w->model, &w->model.job[job]);
    JOURNAL_MUST(trq_job_should_stop(run) == stop, "job %d is %s", job,
                 stop ? "to stop, and is not told" : "told to stop, and nobody said so");
    enum trq_end end = finish(w, run, job, &plan);
    world_leave(w);
    return end;
}

void world_exhausted(struct trq_job *run, const struct trq_error *error)
{
    struct world *w = trq_job_host(run);
    int job = enter(run);
    const struct m_job *j = &w->model.job[job];
    journal("  job %d is given up", job);
    JOURNAL_MUST(j->state == M_ENDED && j->outcome == TRQ_WAS_DEAD,
                 "job %d is given up, and can be tried again", job);
    JOURNAL_MUST(!w->given_up[job], "job %d is given up twice", job);
    JOURNAL_MUST(!w->state_seen[job], "job %d is given up before its state was dropped", job);
    JOURNAL_MUST(says(error, j->errors.error[0].number), "job %d is given up for: %.60s", job,
                 error->text);
    w->given_up[job] = true;
    struct draw plan = plan_of(w, job, 4000);
    if (draw_percent(&plan, 30)) {
        w->within = job;
        act_enqueue(w, &plan);
        w->within = NOBODY;
        world_hear_pending(w);
    }
    world_leave(w);
}

/* ---- ends ---------------------------------------------------------------------------------------------------------------------- */

static void hear(struct world *w, const struct pending_end *end)
{
    int job = world_find(w, end->id);
    JOURNAL_MUST(job >= 0, "the end of an unknown job");
    struct m_job *j = &w->model.job[job];
    int other = end->other.slot || end->other.birth ? world_find(w, end->other) : -1;
    if (end->outcome == TRQ_WAS_EXPIRED && j->state != M_ENDED) {
        model_expired(&w->model, job);
    } else if (j->firing) {
        model_merged(&w->model, job, other); /* one of many that are run now */
    } else if (j->state == M_SCHEDULED && end->outcome == TRQ_WAS_MERGED) {
        look(w, job, NOBODY);
        model_fire(&w->model, job);
        JOURNAL_MUST(model_is_due(&w->model, j), "job %d comes back before it is due", job);
        model_merged(&w->model, job, other);
        if (!w->gathering)
            model_settle(&w->model);
    }
    if (end->outcome == TRQ_WAS_DEAD) {
        JOURNAL_MUST(w->given_up[job] == (w->workers[j->worker].exhausted != NULL),
                     "job %d is dead, and its worker was %stold", job,
                     w->given_up[job] ? "" : "not ");
        JOURNAL_MUST(!w->model.falls_out, "job %d fell out of the dead set, and nobody was told",
                     w->model.fallen.job);
    }
    model_told(&w->model, job, end->outcome, other);
}

static void look_at_event(struct world *w, int job, const struct trq_event *event,
                          const struct trq_error *error)
{
    const struct m_job *j = &w->model.job[job];
    JOURNAL_MUST(event->attempts == j->begun || event->attempts == j->merged,
                 "job %d: its handler began %d times, its end says %d", job, j->begun,
                 event->attempts);
    bool must = event->outcome == TRQ_WAS_DEAD || event->outcome == TRQ_WAS_DISCARDED;
    bool may = must || (j->errors.count && event->outcome >= TRQ_WAS_DROPPED);
    /* One that has handed over why it failed has nothing to say, nor perhaps one that was cancelled while it ran. */
    must |= may && event->outcome != TRQ_WAS_MERGED && event->outcome != TRQ_WAS_CANCELLED;
    JOURNAL_MUST(error ? may && error->text[0] : !must,
                 "job %d: an error where there is none, or none", job);
    if (!error || event->outcome == TRQ_WAS_DISCARDED || j->errors.open)
        return;
    char text[ERROR_TEXT];
    size_t size = strlen(error_text(j->errors.error[0].number, text));
    size = size < TRQ_RESULT_MAX ? size : TRQ_RESULT_MAX;
    if (event->outcome != TRQ_WAS_DEAD) /* as it is kept */
        text[TRQ_FAILURE_TEXT - 1] = '\0';
    JOURNAL_MUST(strncmp(error->text, text, sizeof error->text - 1) == 0,
                 "job %d has failed by: %.60s", job, error->text);
    JOURNAL_MUST(event->result_size == size && memcmp(event->result, text, size) == 0,
                 "job %d has failed, and its event says %.*s", job, (int)event->result_size,
                 (const char *)event->result);
}

void world_on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    struct world *w = host;
    world_enter(w, -1);
    journal("  told: job %d ended as %s", world_find(w, event->id),
            trq_outcome_name(event->outcome));
    int job = world_find(w, event->id);
    w->expiring = event->outcome == TRQ_WAS_EXPIRED ? job : NOBODY;
    world_look_at_clock(w, job);
    w->expiring = NOBODY;
    struct pending_end end = {event->id, event->other, event->outcome};
    if (job >= 0)
        look_at_event(w, job, event, error);
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

void world_hear_pending(struct world *w)
{
    for (int i = 0; i < w->pending_count; i++)
        hear(w, &w->pending[i]);
    w->pending_count = 0;
}

void world_after_call(struct world *w)
{
    world_hear_pending(w);
    JOURNAL_MUST(!w->model.falls_out, "job %d fell out of the dead set, and nobody was told",
                 w->model.fallen.job);
    JOURNAL_MUST(w->model.untold == 0, "%d jobs have ended and nobody was told", w->model.untold);
}

void world_on_stuck(void *host, const struct trq_stuck *stuck)
{
    struct world *w = host;
    world_enter(w, -1);
    int job = world_find(w, stuck->id);
    journal("  told: job %d is stuck", job);
    JOURNAL_MUST(job >= 0, "an unknown job is stuck");
    const struct m_job *j = &w->model.job[job];
    JOURNAL_MUST(strcmp(stuck->worker, w->workers[j->worker].name) == 0 &&
                     strcmp(stuck->queue, w->queue_text[j->queue]) == 0,
                 "job %d is stuck, and is of %s in queue %s", job, stuck->worker, stuck->queue);
    model_report_stuck(&w->model, job, stuck->over.ns);
    world_leave(w);
}
