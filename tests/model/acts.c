/* Random calls: the model says what must come back, then the engine is asked. */
#include <string.h>

#include "world.h"

#define SECOND INT64_C(1000000000)

/* Few different ones, so that due times meet; some about a tick, some at the end of the range. */
int64_t draw_span(struct draw *draw)
{
    static const int64_t spans[] = {
        1,
        999999,
        1000000,
        1000001,
        2000000,
        10000000,
        50000000,
        SECOND / 2,
        SECOND,
        SECOND,
        5 * SECOND,
        60 * SECOND,
        3600 * SECOND,
        86400 * SECOND,
        86400 * SECOND,
        3 * SECOND,
        SECOND + 1,
        17,
        400 * 86400 * SECOND,
        2 * SECOND,
    };
    if (draw_percent(draw, 2))
        return INT64_MAX - draw_below(draw, 2);
    int64_t span = spans[draw_below(draw, (int)(sizeof spans / sizeof spans[0]))];
    return draw_percent(draw, 20) ? span * (1 + draw_below(draw, 4)) : span;
}

static int64_t draw_wall(struct world *w, struct draw *draw)
{
    int64_t at = model_plus(w->model.wall, draw_span(draw));
    if (draw_percent(draw, 12))
        at = w->model.wall - draw_below(draw, 1000) * SECOND;
    if (draw_percent(draw, 3))
        at = draw_percent(draw, 50) ? INT64_MAX : INT64_MIN;
    return at ? at : 1; /* 0 is no time */
}

static int draw_job(struct world *w, struct draw *draw)
{
    int live[M_JOBS], count = 0;
    for (int i = 0; i < w->model.job_count; i++)
        if (w->model.job[i].state != M_ENDED)
            live[count++] = i;
    int job = w->model.job_count ? draw_below(draw, w->model.job_count) : -1;
    if (count && draw_percent(draw, 88))
        job = live[draw_below(draw, count)];
    /* Another thread is about to end it. */
    return job >= 0 && w->threads && model_is_late(&w->model, &w->model.job[job]) ? -1 : job;
}

static struct m_inputs draw_inputs(struct draw *draw)
{
    return (struct m_inputs){draw_below(draw, 3), draw_below(draw, 2),
                             draw_percent(draw, 70) ? -1 : draw_below(draw, 2),
                             draw_percent(draw, 85) ? -1 : draw_below(draw, 2)};
}

static const char *const text[] = {"0", "1"};

/* In any order; what has its default may be left out. */
static struct trq_dict dict_of(struct m_inputs in, struct draw *draw, struct trq_kv kv[4])
{
    size_t count = 0;
    int first = draw_below(draw, 4);
    for (int k = 0; k < 4; k++) {
        int which = (first + k) % 4;
        if (which == 0 && (in.n || draw_percent(draw, 60)))
            kv[count++] = TRQ_KV("n", in.n);
        if (which == 1 && (in.m || draw_percent(draw, 60)))
            kv[count++] = TRQ_KV("m", in.m);
        if (which == 2 && in.x >= 0)
            kv[count++] = TRQ_KV("x", text[in.x]);
        if (which == 3 && in.y >= 0)
            kv[count++] = TRQ_KV("y", in.y);
    }
    return (struct trq_dict){kv, count};
}

struct trq_dict world_part_of(struct m_inputs *in, struct draw *draw, struct trq_kv kv[4])
{
    size_t count = 0;
    in->n = draw_percent(draw, 50) ? draw_below(draw, 3) : -1;
    in->m = draw_percent(draw, 30) ? draw_below(draw, 2) : -1;
    in->x = draw_percent(draw, 15) ? draw_below(draw, 2) : -1;
    in->y = draw_percent(draw, 5) ? draw_below(draw, 2) : -1;
    if (in->n >= 0)
        kv[count++] = TRQ_KV("n", in->n);
    if (in->x >= 0)
        kv[count++] = TRQ_KV("x", text[in->x]);
    if (in->y >= 0)
        kv[count++] = TRQ_KV("y", in->y);
    if (in->m >= 0)
        kv[count++] = TRQ_KV("m", in->m);
    return (struct trq_dict){kv, count};
}
bool world_contains(const struct m_job *j, struct m_inputs part)
{
    return (part.n < 0 || part.n == j->in.n) && (part.m < 0 || part.m == j->in.m) &&
           (part.x < 0 || part.x == j->in.x) && (part.y < 0 || part.y == j->in.y);
}

/* ---- enqueue ----------------------------------------------------------------------------------------------------------- */

/* Another thread would end it at once, and who of two is first to do so is not seen. */
static bool is_born_late(const struct world *w, const struct m_call *call)
{
    return w->threads && call->queue_lock && call->limits.deadline <= w->model.boot;
}

static void draw_limits(struct world *w, struct draw *draw, struct m_call *call,
                        struct trq_opts *opts)
{
    call->limits = w->limits[call->worker];
    if (draw_percent(draw, 12)) {
        const struct policy_pair *policy = &policies[1 + draw_below(draw, POLICIES - 1)];
        opts->retry = policy->retry;
        call->limits.policy = &policy->rule;
    }
    if (draw_percent(draw, 12))
        opts->expires_in.ns = call->limits.expires_in = draw_limit(draw);
    if (draw_percent(draw, 12))
        opts->timeout.ns = call->limits.timeout = draw_limit(draw);
    opts->inherit_deadline = draw_percent(draw, w->within >= 0 ? 50 : 10);
    if (opts->inherit_deadline && w->within >= 0)
        call->limits.deadline = w->model.job[w->within].deadline;
    if (opts->inherit_deadline && is_born_late(w, call)) {
        opts->inherit_deadline = false;
        call->limits.deadline = INT64_MAX;
    }
}

static void draw_call(struct world *w, struct draw *draw, struct m_call *call,
                      struct trq_opts *opts)
{
    static const char *const in_app[M_QUEUES] = {"default", "a", "b", "c"};
    memset(call, 0, sizeof *call);
    *opts = trq_opts_init();
    call->worker = draw_below(draw, M_WORKERS);
    call->in = draw_inputs(draw);
    call->queue = w->home[call->worker];
    if (draw_percent(draw, 25)) {
        call->queue = draw_below(draw, M_QUEUES);
        opts->queue = draw_percent(draw, 50) ? in_app[call->queue] : w->queue_text[call->queue];
    }
    const struct lock_pair *queue_lock = &w->queue_lock[call->worker],
                           *worker_lock = &w->worker_lock[call->worker];
    if (draw_percent(draw, 15)) {
        queue_lock = &w->own_queue_lock[draw_below(draw, OWN_LOCKS)];
        opts->queue_lock = &queue_lock->lock;
    }
    if (draw_percent(draw, 15)) {
        worker_lock = &w->own_worker_lock[draw_below(draw, OWN_LOCKS)];
        opts->worker_lock = &worker_lock->lock;
    }
    call->queue_lock = queue_lock->used ? &queue_lock->rule : NULL;
    call->worker_lock = worker_lock->used ? &worker_lock->rule : NULL;
    if (queue_lock->used && queue_lock->scope_said && draw_percent(draw, 25))
        opts->on_conflict = call->on_conflict =
            (enum trq_on_conflict)(1 + draw_below(draw, TRQ_DEBOUNCE));
    int when = draw_below(draw, 100);
    if (when < 25) {
        call->when = M_IN;
        call->when_ns = opts->in.ns = draw_percent(draw, 5) ? -draw_span(draw) : draw_span(draw);
    } else if (when < 45) {
        call->when = M_AT;
        call->when_ns = opts->at.ns = draw_wall(w, draw);
    }
    draw_limits(w, draw, call, opts);
    /* Who may be merged must be able to say into whom. */
    call->listens = call->queue_lock || draw_percent(draw, 85);
    if (call->listens)
        opts->on_end = world_on_end;
}

static bool refuses(const struct m_call *call)
{
    return call->queue_lock && call->queue_lock->form == M_FUNCTION && call->in.n == 2 &&
           call->in.m == 1;
}
static int has_function(const struct m_call *call)
{
    return call->queue_lock && call->queue_lock->form >= M_ON_NONE;
}

static void describe(const struct m_call *call, const char *what)
{
    static const char *const when[] = {"now", "in", "at"};
    static const char *const rule[] = {"", " keep", " replace", " debounce"};
    const struct m_limits *l = &call->limits;
    journal("%s W%d n=%d m=%d x=%d y=%d queue %d %s %lld%s", what, call->worker, call->in.n,
            call->in.m, call->in.x, call->in.y, call->queue, when[call->when],
            (long long)call->when_ns, rule[call->on_conflict]);
    if (l->expires_in || l->timeout || l->deadline != INT64_MAX)
        journal("    expires in %lld, timeout %lld, deadline %lld", (long long)l->expires_in,
                (long long)l->timeout, (long long)l->deadline);
}

static unsigned write_data(struct world *w, const struct m_call *call)
{
    if (!call->queue_lock)
        return 0;
    return ++w->data[model_key(call->queue_lock, call->worker, call->in, call->in.n)];
}

static int foretell(struct world *w, const struct m_call *call, int *out_job)
{
    unsigned version = write_data(w, call);
    int code = model_enqueue(&w->model, call, out_job);
    if (code == TRQ_DUPLICATE || code == TRQ_DEBOUNCED)
        w->model.job[*out_job].must_see = version;
    return code;
}

static void expect_job(struct world *w, int code, int expected, int job, struct trq_job_id id)
{
    JOURNAL_MUST(code == expected, "enqueue answered %s instead of %s (job %d)",
                 trq_code_name(code), trq_code_name(expected), job);
    if (code == TRQ_DUPLICATE || code == TRQ_DEBOUNCED)
        JOURNAL_MUST(trq_job_id_equal(id, w->model.job[job].id),
                     "the twin is job %d instead of job %d", world_find(w, id), job);
    else
        JOURNAL_MUST(world_find(w, id) < 0, "an id for the second time");
}

void act_enqueue(struct world *w, struct draw *draw)
{
    struct m_call call;
    struct trq_opts opts;
    struct trq_kv kv[4];
    struct trq_error error = {0};
    struct trq_job_id id = {7, 7};
    if (w->model.job_count >= w->jobs_max)
        return;
    draw_call(w, draw, &call, &opts);
    struct trq_dict dict = dict_of(call.in, draw, kv);
    opts.tag = (void *)(intptr_t)(w->model.job_count + 1);
    opts.error = &error;
    describe(&call, "enqueue");
    int mistake = draw_below(draw, 60);
    int expected = TRQ_OK, job = -1;
    if (mistake == 0 && call.when == M_IN && call.when_ns > 0) {
        opts.at.ns = 1000;
        expected = TRQ_EINVAL;
    } else if (mistake == 1) {
        opts.queue = "nowhere";
        expected = TRQ_EUNKNOWN;
    } else if (refuses(&call)) {
        expected = TRQ_EINPUT;
    } else {
        expected = foretell(w, &call, &job);
    }
    w->key_calls = 0;
    int code = trq_enqueue(w->engine, &w->workers[call.worker], dict, &opts, &id);
    journal("  %s, job %d", trq_code_name(code), job);
    if (expected < 0) {
        JOURNAL_MUST(code == expected, "enqueue answered %s instead of %s", trq_code_name(code),
                     trq_code_name(expected));
        JOURNAL_MUST(error.text[0], "no sentence for %s", trq_code_name(code));
        JOURNAL_MUST(id.slot == 7 && id.birth == 7, "an id of a call that failed");
        return;
    }
    expect_job(w, code, expected, job, id);
    JOURNAL_MUST(w->key_calls == has_function(&call), "the key was asked for %d times",
                 w->key_calls);
    if (code == TRQ_OK || code == TRQ_REPLACED) {
        w->model.job[job].id = id;
        w->tag[job] = job;
    }
}

enum { MANY = 5 };

static void act_enqueue_many(struct world *w, struct draw *draw)
{
    struct m_call call;
    struct trq_opts opts;
    struct trq_kv kv[MANY][4];
    struct trq_dict dicts[MANY];
    struct trq_job_id ids[MANY];
    int codes[MANY], expected[MANY], jobs[MANY], count = 1 + draw_below(draw, MANY);
    struct m_inputs in[MANY];
    if (w->model.job_count + MANY >= w->jobs_max)
        return;
    draw_call(w, draw, &call, &opts);
    opts.out_codes = codes;
    int tag = w->model.job_count;
    opts.tag = (void *)(intptr_t)(tag + 1);
    bool refused = false;
    for (int i = 0; i < count; i++) {
        call.in = in[i] = draw_inputs(draw);
        dicts[i] = dict_of(in[i], draw, kv[i]);
        describe(&call, i ? "    and" : "enqueue_many");
        refused |= refuses(&call);
    }
    int expected_code = refused ? TRQ_EINPUT : TRQ_OK;
    for (int i = 0; i < count && !refused; i++) {
        call.in = in[i];
        expected[i] = foretell(w, &call, &jobs[i]);
        if (expected[i] == TRQ_DUPLICATE || expected[i] == TRQ_DEBOUNCED)
            expected_code = TRQ_DUPLICATE;
    }
    int code = trq_enqueue_many_dicts(w->engine, &w->workers[call.worker], dicts, (size_t)count,
                                      &opts, ids);
    journal("  %s", trq_code_name(code));
    if (count == 1 && code > 0 && !refused) /* one alone may say more */
        expected_code = expected[0];
    JOURNAL_MUST(code == expected_code, "enqueue_many answered %s instead of %s",
                 trq_code_name(code), trq_code_name(expected_code));
    for (int i = 0; i < count && code >= 0; i++) {
        journal("  %s, job %d", trq_code_name(codes[i]), jobs[i]);
        expect_job(w, codes[i], expected[i], jobs[i], ids[i]);
        if (codes[i] == TRQ_OK || codes[i] == TRQ_REPLACED) {
            w->model.job[jobs[i]].id = ids[i];
            w->tag[jobs[i]] = tag;
        }
    }
}

/* ---- one job by its id ---------------------------------------------------------------------------------------------------- */

static void expect(const char *what, int job, int code, int expected)
{
    journal("%s job %d: %s", what, job, trq_code_name(code));
    JOURNAL_MUST(code == expected, "%s of job %d answered %s instead of %s", what, job,
                 trq_code_name(code), trq_code_name(expected));
}

static void act_cancel(struct world *w, struct draw *draw)
{
    int job = draw_job(w, draw);
    if (job < 0)
        return;
    journal("cancel job %d", job);
    int expected = model_cancel(&w->model, job);
    expect("cancel", job, trq_cancel(w->engine, w->model.job[job].id), expected);
}

/* Threads of the house make ready what is due by now, so with threads only the caller that waits for it moves
 * anything there. */
static void act_move(struct world *w, struct draw *draw, bool in_handler)
{
    int job = draw_job(w, draw);
    if (job < 0)
        return;
    bool past = !(w->threads && in_handler);
    int64_t to = draw_wall(w, draw), span = draw_span(draw);
    if (!past && to <= w->model.wall)
        to = model_plus(w->model.wall, span);
    if (past && draw_percent(draw, 10))
        span = draw_percent(draw, 50) ? 0 : -span;
    if (draw_percent(draw, 50)) {
        journal("move job %d to %lld", job, (long long)to);
        int expected = model_move(&w->model, job, M_WALL, to);
        expect("move", job, trq_move(w->engine, w->model.job[job].id, (struct trq_wall){to}),
               expected);
    } else {
        journal("move job %d in %lld", job, (long long)span);
        int expected =
            model_move(&w->model, job, M_BOOT, model_plus(w->model.boot, span > 0 ? span : 0));
        expect("move_in", job, trq_move_in(w->engine, w->model.job[job].id, trq_ns(span)),
               expected);
    }
}

static void act_run_now(struct world *w, struct draw *draw)
{
    int job = draw_job(w, draw);
    if (job < 0)
        return;
    journal("run now job %d", job);
    int expected = model_run_now(&w->model, job);
    expect("run_now", job, trq_run_now(w->engine, w->model.job[job].id), expected);
}

void act_pause(struct world *w, int queue, bool paused)
{
    journal("%s queue %d", paused ? "pause" : "resume", queue);
    model_pause(&w->model, queue, paused);
    int code = paused ? trq_queue_pause(w->engine, w->queue_text[queue], NULL)
                      : trq_queue_resume(w->engine, w->queue_text[queue], NULL);
    JOURNAL_MUST(code == TRQ_OK, "pause or resume answered %s", trq_code_name(code));
    look(w, NOBODY, NOBODY); /* who was woken, before another queue changes that */
}

/* ---- all that match ---------------------------------------------------------------------------------------------------------- */

static long matching(const struct world *w, int worker, struct m_inputs part, bool *match)
{
    long count = 0;
    for (int i = 0; i < w->model.job_count; i++) {
        const struct m_job *j = &w->model.job[i];
        match[i] = j->state == M_SCHEDULED && j->worker == worker && world_contains(j, part);
        count += match[i];
    }
    return count;
}

static void expect_same_ids(struct world *w, const struct trq_worker *worker, struct trq_dict dict,
                            const bool *match, long expected)
{
    struct trq_job_id ids[M_JOBS];
    bool seen[M_JOBS] = {false};
    long count = trq_scheduled(w->engine, worker, dict, ids, M_JOBS);
    JOURNAL_MUST(count == expected, "%ld scheduled jobs match instead of %ld", count, expected);
    for (long i = 0; i < count; i++) {
        int job = world_find(w, ids[i]);
        JOURNAL_MUST(job >= 0 && match[job] && !seen[job], "job %d is said to match", job);
        seen[job] = true;
    }
}

static void act_matching(struct world *w, struct draw *draw, bool in_handler)
{
    struct trq_kv kv[4];
    struct m_inputs part;
    bool match[M_JOBS] = {false};
    int which = draw_below(draw, M_WORKERS);
    const struct trq_worker *worker = &w->workers[which];
    struct trq_dict dict = world_part_of(&part, draw, kv);
    long expected = matching(w, which, part, match), count = expected;
    expect_same_ids(w, worker, dict, match, expected);
    int r = draw_below(draw, 6);
    if (r == 0) {
        journal("cancel matching W%d n=%d m=%d x=%d", which, part.n, part.m, part.x);
        for (int i = 0; i < w->model.job_count; i++)
            if (match[i])
                model_cancel(&w->model, i);
        count = trq_cancel_matching(w->engine, worker, dict);
    } else if (r == 1) {
        int64_t to = draw_wall(w, draw);
        if (w->threads && in_handler && to <= w->model.wall)
            to = w->model.wall + SECOND;
        journal("move matching W%d n=%d m=%d x=%d to %lld", which, part.n, part.m, part.x,
                (long long)to);
        for (int i = 0; i < w->model.job_count; i++)
            if (match[i])
                model_move(&w->model, i, M_WALL, to);
        count = trq_move_matching(w->engine, worker, dict, (struct trq_wall){to});
    } else if (r == 2) {
        journal("run now matching W%d n=%d m=%d x=%d", which, part.n, part.m, part.x);
        for (int i = 0; i < w->model.job_count; i++)
            if (match[i]) {
                model_fire(&w->model, i);
                w->model.job[i].place.scheduled = 0; /* in whatever order they are found */
            }
        count = trq_run_now_matching(w->engine, worker, dict);
        for (int i = 0; i < w->model.job_count; i++) /* merged ones did not run */
            expected -= match[i] && w->model.job[i].state == M_ENDED &&
                        w->model.job[i].outcome == TRQ_WAS_MERGED;
        model_settle(&w->model);
    }
    JOURNAL_MUST(count == expected, "it was done to %ld jobs instead of %ld", count, expected);
}

/* ---- questions ------------------------------------------------------------------------------------------------------------------ */

static void act_ask(struct world *w, struct draw *draw)
{
    struct trq_kv kv[4];
    struct m_inputs part;
    bool match[M_JOBS] = {false};
    int which = draw_below(draw, M_WORKERS);
    const struct trq_worker *worker = &w->workers[which];
    struct trq_dict dict = world_part_of(&part, draw, kv);
    long scheduled = matching(w, which, part, match);
    int waiting = 0;
    int64_t first = INT64_MAX;
    for (int i = 0; i < w->model.job_count; i++) {
        const struct m_job *j = &w->model.job[i];
        waiting += j->worker == which && world_contains(j, part) &&
                   (j->state == M_READY || j->state == M_PARKED || j->state == M_SCHEDULED);
        if (match[i]) {
            int64_t due =
                model_plus(w->model.wall, model_remaining(&w->model, j->place.clock, j->place.due));
            if (j->place.clock == M_WALL)
                due = j->place.due;
            first = due < first ? due : first;
        }
    }
    struct trq_wall due = {0};
    int n = trq_test_scheduled(w->engine, worker, dict, &due);
    JOURNAL_MUST(n == scheduled, "%d jobs of W%d are scheduled instead of %ld", n, which,
                 scheduled);
    JOURNAL_MUST(!n || due.ns == first, "the first of W%d is due at %lld instead of %lld", which,
                 (long long)due.ns, (long long)first);
    n = trq_test_count(w->engine, worker, dict);
    JOURNAL_MUST(n == waiting, "%d jobs of W%d wait instead of %d", n, which, waiting);

    const struct lock_pair *lock = &w->queue_lock[which];
    struct m_call call = {.worker = which, .in = draw_inputs(draw), .queue_lock = &lock->rule};
    if (!lock->used || refuses(&call))
        return;
    bool locked = trq_test_locked(w->engine, worker, dict_of(call.in, draw, kv));
    int twin = model_holder(&w->model, model_key(&lock->rule, which, call.in, call.in.n));
    JOURNAL_MUST(locked == (twin >= 0), "trq_test_locked says %d, and job %d waits", locked, twin);
}

void act(struct world *w, struct draw *draw, bool in_handler)
{
    look(w, NOBODY, NOBODY);
    int r = draw_below(draw, 100);
    if (in_handler && r >= 30 && r < 40)
        w->drift = draw_below(draw, 3); /* what key functions look up has changed */
    else if (r < 50)
        act_enqueue(w, draw);
    else if (r < 55)
        act_enqueue_many(w, draw);
    else if (r < 59)
        act_dead(w, draw);
    else if (r < 68)
        act_cancel(w, draw);
    else if (r < 77)
        act_move(w, draw, in_handler);
    else if (r < 84)
        act_run_now(w, draw);
    else if (r < 92) {
        bool paused = draw_percent(draw, 45);
        act_pause(w, draw_below(draw, M_QUEUES), paused);
    } else if (r < 96)
        act_matching(w, draw, in_handler);
    else if (!in_handler && !w->threads)
        act_ask(w, draw);
    world_after_call(w);
}
