/* The dead set: what the engine has in it, and calls that take out of it. */
#include <stdio.h>
#include <string.h>

#include <tresque/dead.h>

#include "engine/core/engine.h"
#include "engine/core/life.h"

#include "world.h"

/* ---- what is in it -------------------------------------------------------------------------------------------------- */

static void compare_one(struct world *w, const struct m_dead *d, const struct trq_dead *found)
{
    const struct m_job *j = &w->model.job[d->job];
    char text[TRQ_FAILURE_TEXT];
    error_text_cut(d->error, text, sizeof text);
    JOURNAL_MUST(trq_job_id_equal(found->id, j->id), "job %d is dead instead of job %d",
                 world_find(w, found->id), d->job);
    JOURNAL_MUST(found->number == d->number && found->died.ns == d->died &&
                     found->failures == (uint32_t)d->failures,
                 "job %d is dead as number %llu since %lld after %u failures, not %llu, %lld, %d",
                 d->job, (unsigned long long)found->number, (long long)found->died.ns,
                 found->failures, (unsigned long long)d->number, (long long)d->died, d->failures);
    JOURNAL_MUST(strcmp(found->worker, w->workers[j->worker].name) == 0 &&
                     strcmp(found->queue, w->queue_text[j->queue]) == 0 &&
                     strcmp(found->text, text) == 0,
                 "job %d is dead, and it was %s in %s: %.60s", d->job, found->worker, found->queue,
                 found->text);
}

/* In pages of that size; worker NULL: any. */
static void compare_pages(struct world *w, const struct trq_worker *worker, struct m_inputs part,
                          struct trq_dict dict, int page)
{
    struct trq_dead found[8];
    uint64_t after = 0;
    long count = 0, at = 0;
    for (int i = 0; i < w->model.dead_count; i++) {
        const struct m_dead *d = &w->model.dead[i];
        const struct m_job *j = &w->model.job[d->job];
        if ((worker && worker != &w->workers[j->worker]) || !world_contains(j, part))
            continue;
        if (at == count) {
            count = trq_dead_list(w->engine, worker, dict, after, found, (size_t)page);
            at = 0;
        }
        JOURNAL_MUST(at < count, "the dead job %d is on no page", d->job);
        compare_one(w, d, &found[at]);
        after = found[at++].number;
    }
    JOURNAL_MUST(at == count && trq_dead_list(w->engine, worker, dict, after, found, 8) == 0,
                 "there are more dead jobs");
}

void compare_dead(struct world *w)
{
    struct trq_engine_stats s = {.size = sizeof s};
    JOURNAL_MUST(trq_stats_engine(w->engine, &s) == TRQ_OK, "no stats of the engine");
    JOURNAL_MUST(s.dead == (uint64_t)w->model.dead_count &&
                     trq_dead_count(w->engine) == (uint64_t)w->model.dead_count,
                 "%llu jobs are dead, not %d", (unsigned long long)s.dead, w->model.dead_count);
    JOURNAL_MUST(s.dead_lost == w->model.dead_lost, "%llu have fallen out of the set, not %llu",
                 (unsigned long long)s.dead_lost, (unsigned long long)w->model.dead_lost);
    compare_pages(w, NULL, (struct m_inputs){-1, -1, -1, -1}, TRQ_DICT_NONE, 8);
}

void world_on_dead_lost(void *host, const struct trq_dead *dead)
{
    struct world *w = host;
    world_enter(w, -1);
    journal("  told: job %d falls out of the dead set", world_find(w, dead->id));
    JOURNAL_MUST(w->model.falls_out, "job %d falls out of the dead set, and there is room",
                 world_find(w, dead->id));
    compare_one(w, &w->model.fallen, dead);
    w->model.falls_out = false;
    struct draw plan = {w->seed ^ dead->number};
    if (draw_percent(&plan, 20)) {
        act_enqueue(w, &plan);
        world_hear_pending(w);
    }
    world_leave(w);
}

/* ---- out of it ------------------------------------------------------------------------------------------------------- */

static int draw_dead(struct world *w, struct draw *draw)
{
    if (w->model.dead_count && draw_percent(draw, 85))
        return w->model.dead[draw_below(draw, w->model.dead_count)].job;
    return w->model.job_count ? draw_below(draw, w->model.job_count) : -1;
}

static void act_look(struct world *w, int job)
{
    struct trq_dead found;
    char json[200], expected[40];
    size_t needed = 0;
    int at = model_find_dead(&w->model, job), wanted = at < 0 ? TRQ_GONE : TRQ_OK;
    const struct m_inputs in = w->model.job[job].in;
    journal("look at the dead job %d", job);
    int code = trq_dead_get(w->engine, w->model.job[job].id, &found);
    JOURNAL_MUST(code == wanted, "trq_dead_get: %s", trq_code_name(code));
    code = trq_dead_json(w->engine, w->model.job[job].id, json, sizeof json, &needed);
    JOURNAL_MUST(code == wanted, "trq_dead_json: %s", trq_code_name(code));
    if (at < 0)
        return;
    compare_one(w, &w->model.dead[at], &found);
    snprintf(expected, sizeof expected, "\"n\":%d,\"m\":%d", in.n, in.m);
    JOURNAL_MUST(strstr(json, expected) && strlen(json) == needed, "the dead job %d is %s", job,
                 json);
    compare_errors(w, job);
}

/* What the call that retries has changed is seen by who waits. */
static int foretell_retry(struct world *w, int job, int *out_job)
{
    struct model *m = &w->model;
    int key = m->job[job].key;
    unsigned version = key && model_find_dead(m, job) >= 0 ? ++w->data[key] : 0;
    int code = model_dead_retry(m, job, out_job);
    if (code == TRQ_DUPLICATE)
        m->job[*out_job].must_see = version;
    if (code == TRQ_OK)
        w->tag[*out_job] = -1;
    return code;
}

static void act_retry(struct world *w, int job)
{
    struct trq_job_id id = {7, 7};
    int other = -1;
    journal("retry the dead job %d", job);
    if (w->model.job_count >= w->jobs_max)
        return;
    int expected = foretell_retry(w, job, &other);
    int code = trq_dead_retry(w->engine, w->model.job[job].id, &id);
    journal("  %s, job %d", trq_code_name(code), other);
    JOURNAL_MUST(code == expected, "trq_dead_retry answered %s instead of %s", trq_code_name(code),
                 trq_code_name(expected));
    if (code == TRQ_OK)
        w->model.job[other].id = id;
    else if (code == TRQ_DUPLICATE)
        JOURNAL_MUST(trq_job_id_equal(id, w->model.job[other].id),
                     "the twin is job %d instead of job %d", world_find(w, id), other);
}

/* Which of the new jobs is it? Its last failure says so. */
static void name_new_job(struct world *w, struct trq_job_id id)
{
    struct trq_failure failure;
    size_t count = 0;
    int code = trq_failures(w->engine, id, &failure, 1, &count);
    int number = code == TRQ_OK && count ? error_number(failure.text) : -1;
    for (int i = 0; i < w->model.job_count; i++) {
        struct m_job *j = &w->model.job[i];
        if (!j->id.slot && !j->id.birth && j->errors.count && j->errors.error[0].number == number)
            j->id = id;
    }
}

static void look_for_new_jobs(struct world *w)
{
    for (uint32_t i = 0; i < tq_load(&w->engine->jobs.carved, acquire); i++) {
        uint64_t word = tq_load(&tq_job_at(w->engine, i)->word, acquire);
        struct trq_job_id id = tq_job_id(w->engine, i, word);
        if (tq_word_lives(word) && world_find(w, id) < 0)
            name_new_job(w, id);
    }
}

static void act_on_matching(struct world *w, struct draw *draw, bool deletes)
{
    struct trq_kv kv[4];
    struct m_inputs part;
    struct trq_dict dict = world_part_of(&part, draw, kv);
    int which = draw_below(draw, M_WORKERS + 1), dead[M_JOBS], count = w->model.dead_count;
    const struct trq_worker *worker = which < M_WORKERS ? &w->workers[which] : NULL;
    long expected = 0, done;
    compare_pages(w, worker, part, dict, 1 + draw_below(draw, 8));
    if (w->model.job_count + count >= w->jobs_max)
        return;
    journal("%s the dead that match W%d n=%d m=%d x=%d", deletes ? "delete" : "retry", which,
            part.n, part.m, part.x);
    for (int i = 0; i < count; i++)
        dead[i] = w->model.dead[i].job;
    for (int i = 0; i < count; i++) {
        const struct m_job *j = &w->model.job[dead[i]];
        int other;
        if ((worker && j->worker != which) || !world_contains(j, part))
            continue;
        expected++;
        if (deletes)
            model_dead_delete(&w->model, dead[i]);
        else
            foretell_retry(w, dead[i], &other);
    }
    done = deletes ? trq_dead_delete_matching(w->engine, worker, dict)
                   : trq_dead_retry_matching(w->engine, worker, dict);
    JOURNAL_MUST(done == expected, "it was done to %ld dead jobs instead of %ld", done, expected);
    look_for_new_jobs(w);
}

void act_dead(struct world *w, struct draw *draw)
{
    int job = draw_dead(w, draw), r = draw_below(draw, 100);
    if (job < 0)
        return;
    if (r < 30)
        act_look(w, job);
    else if (r < 65)
        act_retry(w, job);
    else if (r < 80) {
        journal("delete the dead job %d", job);
        int expected = model_dead_delete(&w->model, job);
        int code = trq_dead_delete(w->engine, w->model.job[job].id);
        JOURNAL_MUST(code == expected, "trq_dead_delete answered %s", trq_code_name(code));
    } else {
        act_on_matching(w, draw, r >= 92);
    }
}
