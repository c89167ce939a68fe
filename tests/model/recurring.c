/* One seed of recurring jobs on the test engine's clock: what the model foretold, and what happened. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_recur.h"
#include "world.h"

#define SECOND INT64_C(1000000000)

static struct {
    struct r_model model;
    struct trq_engine *engine;
    int run_count;
    struct r_run run[R_RUNS];
    uint64_t ended[R_NAMES][16];
    int64_t jitter[R_NAMES][4]; /* by its bound */
} all;

static const char *const names[R_NAMES] = {"r0", "r1", "r2", "r3", "r4", "r5"};
static const int64_t jitters[] = {0, 0, 5 * SECOND, 1000001};

/* ---- the jobs -------------------------------------------------------------------------------------------------------- */

static enum trq_end perform(struct trq_job *run)
{
    int name = (int)trq_job_get_i64(run, "n");
    int64_t time = trq_job_get_i64(run, "t");
    /* The model may be ahead; what somebody has set the clock by is the same. */
    int64_t boot = trq_now(all.engine).ns - all.model.wall + all.model.boot;
    JOURNAL_MUST(all.run_count < R_RUNS, "too many runs");
    all.run[all.run_count++] = (struct r_run){boot, name, time};
    struct r_plan plan = r_plan(all.model.seed, boot, name, time);
    if (plan.end == TRQ_FAILED)
        return trq_fail(run, "as planned");
    return plan.end == TRQ_DONE ? TRQ_DONE : trq_requeue_in(run, trq_ns(plan.after));
}

static const struct trq_input rows[] = {
    {"n", TRQ_I64, TRQ_REQUIRED, 0, 0, 0.0, NULL},
    {"t", TRQ_I64, TRQ_OPTIONAL, sizeof(int64_t), -1, 0.0, NULL},
};
static const struct trq_inputs inputs = {rows, 2, 2 * sizeof(int64_t)};
static const struct trq_retry once_more = {.size = sizeof once_more,
                                           .retries = 1,
                                           .constant = {R_RETRY_US * INT64_C(1000)},
                                           .jitter = TRQ_JITTER_NONE};
static const struct trq_worker plain = {.size = sizeof plain,
                                        .name = "Plain",
                                        .inputs = &inputs,
                                        .retry = &once_more,
                                        .perform = perform};
static const char *const on_n[] = {"n", NULL};
static const struct trq_lock lock = {.size = sizeof lock, .inputs = on_n};
static const struct trq_worker locked = {.size = sizeof locked,
                                         .name = "Locked",
                                         .inputs = &inputs,
                                         .retry = &once_more,
                                         .queue_lock = &lock,
                                         .perform = perform};
static const struct trq_app app = {
    .size = sizeof app, .name = "r", .workers = TRQ_WORKERS(&plain, &locked)};

static void on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    (void)error;
    int name = (int)(intptr_t)event->tag - 1;
    JOURNAL_MUST(name >= 0 && name < R_NAMES, "an end of whom");
    all.ended[name][event->outcome]++;
}

/* ---- operations ------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *cron;
    int64_t period, offset; /* s */
} crons[] = {
    {"* * * * *", 60, 0},        {"*/5 * * * *", 300, 0},   {"7 * * * *", 3600, 420},
    {"30 2 * * *", 86400, 9000}, {"*/20 * * * * *", 20, 0}, {"15 30 * * * *", 3600, 1815},
    {"* * * * * *", 1, 0},       {"@hourly", 3600, 0},
};
enum { CRONS = sizeof crons / sizeof crons[0] };

static void put(struct draw *draw)
{
    static const int64_t spans[] = {1, 1000, 7500, 60000, 3600000, 90000000};
    struct r_model *m = &all.model;
    int name = draw_below(draw, R_NAMES), cron = draw_below(draw, CRONS);
    struct r_spec s = {.every = draw_percent(draw, 40)};
    struct trq_recurring r = trq_recurring_init();
    struct trq_error error = {0};
    if (m->of[name].there && draw_percent(draw, 40)) { /* the same times */
        s = m->of[name].spec;
        for (cron = 0; !s.every && (crons[cron].period * SECOND != s.period ||
                                    crons[cron].offset * SECOND != s.offset);
             cron++)
            ;
    } else {
        s.period = s.every ? spans[draw_below(draw, 6)] * 1000000 : crons[cron].period * SECOND;
        s.offset = s.every ? 0 : crons[cron].offset * SECOND;
        if (!s.every && draw_percent(draw, 20))
            s.start = m->wall + (draw_below(draw, 10) - 3) * s.period;
        if (draw_percent(draw, 35))
            s.end = (s.start > m->wall ? s.start : m->wall) + draw_below(draw, 40) * s.period;
        s.jitter_most = jitters[draw_below(draw, 4)];
    }
    s.catch_up = (enum trq_catch_up)draw_below(draw, 3);
    s.catch_up_max = draw_percent(draw, 50) ? 100 : 1 + draw_below(draw, 6);
    /* Of several that are made up at once, those made first may have run already when the next ask. */
    s.no_overlap = s.catch_up != TRQ_CATCH_UP_ALL && draw_percent(draw, 35);
    s.locked = s.catch_up != TRQ_CATCH_UP_ALL && draw_percent(draw, 40);
    int64_t since = draw_percent(draw, 25) ? m->wall - draw_below(draw, 15) * s.period - 1000 : 0;
    r.name = names[name];
    r.worker = s.locked ? &locked : &plain;
    r.inputs = TRQ_DICT(TRQ_KV("n", name));
    r.cron = s.every ? NULL : crons[cron].cron;
    r.every.ns = s.every ? s.period : 0;
    r.start.ns = s.start;
    r.end.ns = s.end;
    r.since.ns = since;
    r.jitter.ns = s.jitter_most;
    r.time_input = "t";
    r.on_end = on_end;
    r.tag = (void *)(intptr_t)(name + 1);
    r.no_overlap = s.no_overlap;
    r.catch_up = s.catch_up;
    r.catch_up_max = (uint32_t)s.catch_up_max;
    journal(
        "%s %s, %s %lld, start %lld, end %lld, jitter %lld, since %lld, catch up %d of %lld%s%s",
        m->of[name].there ? "change" : "add", names[name], s.every ? "every" : r.cron,
        (long long)s.period, (long long)s.start, (long long)s.end, (long long)s.jitter_most,
        (long long)since, (int)s.catch_up, (long long)s.catch_up_max,
        s.no_overlap ? ", no overlap" : "", s.locked ? ", locked" : "");
    int bound = 0;
    while (jitters[bound] != s.jitter_most)
        bound++;
    r_put(m, name, &s, since, all.jitter[name][bound]);
    int code = trq_recur(all.engine, &r, &error);
    JOURNAL_MUST(code == TRQ_OK, "trq_recur: %s", error.text);
}

/* It depends on the name alone: one that fires every hour shows it. */
static int64_t jitter_of(int name, int64_t most)
{
    struct trq_recurring r = trq_recurring_init();
    struct trq_recurrence found;
    r.name = names[name];
    r.worker = &plain;
    r.inputs = TRQ_DICT(TRQ_KV("n", name));
    r.every = trq_hours(1);
    r.jitter.ns = most;
    JOURNAL_MUST(trq_recur(all.engine, &r, NULL) == TRQ_OK &&
                     trq_recur_list(all.engine, NULL, &found, 1) == 1 &&
                     trq_recur_remove(all.engine, names[name]) == TRQ_OK,
                 "no jitter");
    int64_t jitter = found.next.ns - all.model.wall - trq_hours(1).ns;
    JOURNAL_MUST(jitter >= 0 && jitter <= most, "%s: a jitter of %lld", names[name],
                 (long long)jitter);
    return jitter;
}

static void take_away(int name)
{
    journal("remove %s", names[name]);
    int code = trq_recur_remove(all.engine, names[name]);
    JOURNAL_MUST(code == (all.model.of[name].there ? TRQ_OK : TRQ_GONE), "remove: %s",
                 trq_code_name(code));
    all.model.of[name].there = false;
}

static void advance(int64_t span)
{
    while (r_busy(&all.model, span) > 150)
        span /= 2;
    span = span / 1000000 * 1000000;
    journal("advance by %lld", (long long)span);
    r_advance(&all.model, span);
    int ran = trq_test_advance(all.engine, trq_ns(span));
    JOURNAL_MUST(ran >= 0, "advance: %s", trq_code_name(ran));
}

static void set_wall(struct draw *draw)
{
    static const int64_t by[] = {1, 30, 59, 61, 600, 3600, 7200, 10799, 10801, 86400, 34560000};
    int64_t span = by[draw_below(draw, 11)] * SECOND;
    if (draw_percent(draw, 50))
        span = -span;
    /* Whether its end, which is a wall time, has come again for what counts elapsed time is not said. */
    for (int i = 0; i < R_NAMES && span < 0; i++)
        if (all.model.of[i].there && all.model.of[i].spec.every && all.model.of[i].spec.end)
            take_away(i);
    all.model.wall += span;
    journal("set the wall clock by %lld to %lld", (long long)span, (long long)all.model.wall);
    int code = trq_test_set_wall(all.engine, (struct trq_wall){all.model.wall});
    JOURNAL_MUST(code == TRQ_OK, "set_wall: %s", trq_code_name(code));
}

static void drain(void)
{
    journal("drain");
    r_poll(&all.model);
    JOURNAL_MUST(trq_test_drain(all.engine) >= 0, "drain");
}

static void set_pause(bool paused)
{
    journal("%s", paused ? "pause" : "resume");
    all.model.paused = paused;
    int code = paused ? trq_queue_pause(all.engine, "r_default", NULL)
                      : trq_queue_resume(all.engine, "r_default", NULL);
    JOURNAL_MUST(code == TRQ_OK, "pause: %s", trq_code_name(code));
}

/* ---- comparison --------------------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct r_run *x = a, *y = b;
    if (x->at != y->at)
        return x->at < y->at ? -1 : 1;
    if (x->name != y->name)
        return x->name - y->name;
    return x->time < y->time ? -1 : x->time > y->time;
}

static void compare_runs(void)
{
    struct r_model *m = &all.model;
    qsort(m->run, (size_t)m->run_count, sizeof m->run[0], by_time);
    qsort(all.run, (size_t)all.run_count, sizeof all.run[0], by_time);
    int n = m->run_count < all.run_count ? m->run_count : all.run_count;
    for (int i = 0; i < n; i++)
        JOURNAL_MUST(by_time(&m->run[i], &all.run[i]) == 0,
                     "%s ran for %lld at %lld, and not %s for %lld at %lld", names[all.run[i].name],
                     (long long)all.run[i].time, (long long)all.run[i].at, names[m->run[i].name],
                     (long long)m->run[i].time, (long long)m->run[i].at);
    JOURNAL_MUST(m->run_count == all.run_count, "%d jobs have run instead of %d", all.run_count,
                 m->run_count);
    m->run_count = all.run_count = 0;
    JOURNAL_MUST(memcmp(m->ended, all.ended, sizeof m->ended) == 0, "other jobs have ended");
}

static void compare_last_job(int job, struct trq_job_id id)
{
    struct r_job *j = &all.model.job[job];
    struct trq_why why = {.size = sizeof why};
    if (!j->id.birth)
        j->id = id;
    JOURNAL_MUST(trq_job_id_equal(j->id, id), "another job of %s", names[j->name]);
    int code = trq_explain(all.engine, id, &why);
    enum trq_why_state wanted = j->state == M_ENDED       ? TRQ_IS_ENDED
                                : j->state == M_SCHEDULED ? TRQ_IS_SCHEDULED
                                : all.model.paused        ? TRQ_IS_PAUSED
                                                          : TRQ_IS_READY;
    if (code == TRQ_GONE)
        JOURNAL_MUST(j->state == M_ENDED && j->outcome == TRQ_WAS_DONE, "%s: its job is gone",
                     names[j->name]);
    else
        JOURNAL_MUST(code == TRQ_OK && why.state == wanted, "%s: its job is in state %d, not %d",
                     names[j->name], (int)why.state, (int)wanted);
}

static void compare(void)
{
    struct trq_recurrence found[R_NAMES + 1];
    struct trq_error error = {0};
    long count = trq_recur_list(all.engine, NULL, found, R_NAMES + 1), at = 0;
    compare_runs();
    for (int i = 0; i < R_NAMES; i++) {
        struct r_recurrence *r = &all.model.of[i];
        if (!r->there)
            continue;
        const struct trq_recurrence *f = &found[at++];
        JOURNAL_MUST(at <= count && strcmp(f->name, names[i]) == 0, "%s is not there", names[i]);
        int64_t due = r_due(&all.model, r);
        due = due == INT64_MAX ? 0 : r_wall(&all.model, r, due);
        JOURNAL_MUST(f->next.ns == due, "%s fires at %lld, not %lld", names[i],
                     (long long)f->next.ns, (long long)due);
        JOURNAL_MUST(f->last.ns == r->last, "%s fired for %lld, not %lld", names[i],
                     (long long)f->last.ns, (long long)r->last);
        JOURNAL_MUST(f->fired == r->fired && f->skipped == r->skipped && f->missed == r->missed &&
                         !f->delayed && !f->refused,
                     "%s: fired %llu, skipped %llu, missed %llu; not %llu, %llu, %llu", names[i],
                     (unsigned long long)f->fired, (unsigned long long)f->skipped,
                     (unsigned long long)f->missed, (unsigned long long)r->fired,
                     (unsigned long long)r->skipped, (unsigned long long)r->missed);
        if (r->job >= 0)
            compare_last_job(r->job, f->job);
    }
    JOURNAL_MUST(at == count, "there are %ld recurring jobs instead of %ld", count, at);
    int code = trq_engine_check(all.engine, &error);
    JOURNAL_MUST(code == TRQ_OK, "trq_engine_check: %s", error.text);
}

static void operate(struct draw *draw)
{
    static const int64_t spans[] = {1, 999, 1000, 20000, 60000, 300000, 3600000, 86400000};
    int r = draw_below(draw, 100);
    if (r < 22 && all.model.job_count < R_JOBS - 2000)
        put(draw);
    else if (r < 28)
        take_away(draw_below(draw, R_NAMES));
    else if (r < 65)
        advance(spans[draw_below(draw, 8)] * 1000000 * (1 + draw_below(draw, 5)));
    else if (r < 78)
        set_wall(draw);
    else if (r < 86)
        set_pause(draw_percent(draw, 40));
    else
        drain();
}

void recurring_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                   const bool *skip)
{
    struct draw draw = {seed};
    struct r_model *m = &all.model;
    const struct trq_app *const apps[] = {&app, NULL};
    struct trq_error error = {0};
    memset(&all, 0, sizeof all);
    m->mistake = mistake;
    m->seed = seed;
    m->wall = INT64_C(1767225600) * SECOND;
    world_init(w, seed, mistake, false); /* for its chance */
    int code = trq_test_engine(NULL, (struct trq_wall){m->wall}, apps, &all.engine, &error);
    JOURNAL_MUST(code == TRQ_OK, "no engine: %s", error.text);
    for (int i = 0; i < R_NAMES; i++)
        for (int k = 0; k < 4; k++)
            all.jitter[i][k] = jitter_of(i, jitters[k]);
    for (int i = 0; i < operations / 2; i++) {
        draw.state = seed * UINT64_C(0x9E3779B1) + (uint64_t)i * 977;
        if (skip && skip[i])
            continue;
        journal("[%d]", i);
        operate(&draw);
        compare();
    }
    for (int i = 0; i < R_NAMES; i++)
        take_away(i);
    set_pause(false);
    advance(30 * 86400 * SECOND);
    compare();
    for (int i = 0; i < m->job_count; i++)
        JOURNAL_MUST(m->job[i].state == M_ENDED, "model: a job of %s goes on",
                     names[m->job[i].name]);
    JOURNAL_MUST(trq_engine_destroy(all.engine) == TRQ_OK, "not destroyed");
    world_fini(w);
}
