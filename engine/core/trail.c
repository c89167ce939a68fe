#include "engine/core/trail.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/utf8.h"
#include "engine/core/engine.h"
#include "engine/core/schedule.h"

static struct tq_slip *slip_at(const struct trq_engine *e, uint32_t plus_one)
{
    return tq_slab_at(&e->slips, plus_one - 1);
}

static struct tq_trail *trail_at(const struct trq_engine *e, uint32_t plus_one)
{
    return tq_slab_at(&e->trails, plus_one - 1);
}

static struct tq_side *side_of(const struct trq_engine *e, const struct tq_job *job)
{
    uint32_t at = tq_cold_side(tq_load(&job->cold, acquire));
    return at == UINT32_MAX ? NULL : tq_side_at(e, at);
}

/* ---- trails --------------------------------------------------------------------------------------------------- */

struct tq_trail *tq_trail_of(const struct trq_engine *engine, const struct tq_job *job)
{
    const struct tq_side *side = side_of(engine, job);
    uint32_t trail = side ? tq_load(&side->trail, acquire) : 0;
    return trail && !(trail & TQ_TRAIL_SLIPS) ? trail_at(engine, trail) : NULL;
}

struct tq_trail *tq_trail_take(struct trq_engine *engine, struct tq_local *local,
                               uint32_t *out_trail)
{
    uint32_t index;
    if (tq_slab_alloc(&engine->trails, &local->trails, &index) != TQ_SLAB_OK)
        return NULL;
    struct tq_trail *trail = trail_at(engine, index + 1);
    tq_store(&trail->expires, INT64_MAX, relaxed);
    trail->expires_in = trail->timeout = 0;
    trail->deadline = INT64_MAX;
    trail->retry.size = 0;
    tq_store(&trail->slips, 0, relaxed);
    tq_store(&trail->retries, 0, relaxed);
    trail->version = 0;
    *out_trail = index + 1;
    return trail;
}

/* The list, under the stripe, or by who owns the job. */
static uint32_t slips_of(const struct trq_engine *e, const struct tq_side *side)
{
    uint32_t trail = side ? tq_load(&side->trail, acquire) : 0;
    if (trail & TQ_TRAIL_SLIPS)
        return trail & ~TQ_TRAIL_SLIPS;
    return trail ? tq_load(&trail_at(e, trail)->slips, acquire) : 0;
}

static void set_slips(struct trq_engine *e, struct tq_side *side, uint32_t slips)
{
    uint32_t trail = tq_load(&side->trail, relaxed);
    if (trail && !(trail & TQ_TRAIL_SLIPS))
        tq_store(&trail_at(e, trail)->slips, slips, release); /* rel: pairs slips_of */
    else
        tq_store(&side->trail, slips ? slips | TQ_TRAIL_SLIPS : 0,
                 release); /* rel: pairs slips_of */
}

void tq_trail_give(struct trq_engine *engine, struct tq_local *local, struct tq_side *side)
{
    uint32_t slips = slips_of(engine, side);
    if (slips) { /* who reads them by the job's id has done so then, or finds another generation */
        tq_stripe_lock(engine, side->job);
        set_slips(engine, side, 0);
        tq_stripe_unlock(engine, side->job);
        tq_slips_give(engine, local, slips);
    }
    uint32_t trail = tq_load(&side->trail, relaxed);
    if (trail)
        tq_slab_free(&engine->trails, &local->trails, trail - 1);
}

/* The job's side, which it gets if it has none. NULL: out of memory. */
static struct tq_side *ensure(struct trq_engine *e, struct tq_local *local, uint32_t index)
{
    struct tq_job *job = tq_job_at(e, index);
    uint32_t cold = tq_load(&job->cold, relaxed), at = tq_cold_side(cold);
    if (at != UINT32_MAX)
        return tq_side_at(e, at);
    if (tq_side_take(e, local, index, tq_job_queue_number(job), false, false, &at) < 0)
        return NULL;
    tq_store(&tq_side_at(e, at)->note, cold, relaxed);
    tq_store(&job->cold, TQ_COLD_SIDE | at, release); /* rel: pairs tq_job_note, side_of */
    return tq_side_at(e, at);
}

int64_t tq_trail_begin_wait(struct trq_engine *engine, struct tq_job *job, int64_t boot_now)
{
    struct tq_trail *trail = tq_trail_of(engine, job);
    int64_t expires = trail->expires_in ? tq_deadline(boot_now, trail->expires_in) : INT64_MAX;
    if (expires > trail->deadline)
        expires = trail->deadline;
    tq_store(&trail->expires, (uint64_t)expires, relaxed);
    return expires;
}

int64_t tq_trail_expires(const struct trq_engine *engine, const struct tq_job *job)
{
    const struct tq_trail *trail = tq_trail_of(engine, job);
    return trail ? (int64_t)tq_load(&trail->expires, relaxed) : INT64_MAX;
}

/* ---- slips ---------------------------------------------------------------------------------------------------- */

/* Cut at a character. */
static void copy_text(char out[TRQ_FAILURE_TEXT], const char *text)
{
    size_t size = tq_utf8_cut(text, strlen(text), TRQ_FAILURE_TEXT - 1);
    memcpy(out, text, size);
    out[size] = '\0';
}

void tq_slips_give(struct trq_engine *engine, struct tq_local *local, uint32_t slips)
{
    while (slips) {
        uint32_t next = slip_at(engine, slips)->next;
        tq_slab_free(&engine->slips, &local->slips, slips - 1);
        slips = next;
    }
}

/* What follows the last one that may be kept. */
static uint32_t cut(const struct trq_engine *e, uint32_t slips)
{
    struct tq_slip *last = NULL;
    for (int i = 0; slips && i < TRQ_FAILURES_KEPT; i++) {
        last = slip_at(e, slips);
        slips = last->next;
    }
    if (last)
        last->next = 0;
    return slips;
}

void tq_trail_fail(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                   uint32_t attempt, const char *text)
{
    struct tq_side *side = ensure(engine, local, index);
    const int64_t wall = tq_clock_wall_coarse(&engine->clock),
                  mono = tq_clock_coarse(&engine->clock);
    uint32_t at, rest;
    if (!side || tq_slab_alloc(&engine->slips, &local->slips, &at) != TQ_SLAB_OK)
        return;
    struct tq_slip *slip = slip_at(engine, at + 1);
    slip->attempt = attempt;
    slip->wall = wall;
    slip->mono = mono;
    copy_text(slip->text, text);
    tq_stripe_lock(engine, index);
    slip->next = slips_of(engine, side);
    set_slips(engine, side, at + 1);
    rest = cut(engine, at + 1);
    tq_stripe_unlock(engine, index);
    tq_slips_give(engine, local, rest);
}

static size_t copy(const struct trq_engine *e, uint32_t slips, struct trq_failure *out, size_t max)
{
    size_t count = 0;
    for (uint32_t at = slips; at; at = slip_at(e, at)->next, count++) {
        const struct tq_slip *slip = slip_at(e, at);
        if (count >= max)
            continue;
        out[count] = (struct trq_failure){.at = {slip->wall}, .attempt = slip->attempt};
        memcpy(out[count].text, slip->text, sizeof slip->text);
    }
    return count;
}

size_t tq_trail_failures(const struct trq_engine *engine, const struct tq_job *job,
                         struct trq_failure *out, size_t max)
{
    return copy(engine, slips_of(engine, side_of(engine, job)), out, max);
}

const char *tq_trail_last(const struct trq_engine *engine, const struct tq_job *job)
{
    uint32_t slips = slips_of(engine, side_of(engine, job));
    return slips ? slip_at(engine, slips)->text : "";
}

uint32_t tq_slips_detach(struct trq_engine *engine, struct tq_job *job, uint32_t index,
                         bool under_stripe)
{
    struct tq_side *side = side_of(engine, job);
    uint32_t slips = slips_of(engine, side);
    if (!slips)
        return 0;
    if (!under_stripe)
        tq_stripe_lock(engine, index);
    set_slips(engine, side, 0);
    if (!under_stripe)
        tq_stripe_unlock(engine, index);
    return slips;
}

/* The newer first: both are so, as far as nobody has set the clock back. */
/* In the same moment the wall clock may have been set. */
static bool is_newer(const struct tq_slip *a, const struct tq_slip *b)
{
    return a->mono > b->mono || (a->mono == b->mono && a->wall >= b->wall);
}

static uint32_t join(const struct trq_engine *e, uint32_t a, uint32_t b)
{
    uint32_t first = 0, *end = &first;
    while (a && b) {
        uint32_t *newer = is_newer(slip_at(e, a), slip_at(e, b)) ? &a : &b;
        *end = *newer;
        end = &slip_at(e, *newer)->next;
        *newer = *end;
    }
    *end = a ? a : b;
    return first;
}

uint32_t tq_slips_join(struct trq_engine *engine, struct tq_local *local, uint32_t a, uint32_t b)
{
    uint32_t all = join(engine, a, b);
    tq_slips_give(engine, local, cut(engine, all));
    return all;
}

void tq_slips_attach(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint32_t slips)
{
    struct tq_side *side = ensure(engine, local, index);
    uint32_t rest = slips;
    if (side) {
        tq_stripe_lock(engine, index);
        uint32_t all = join(engine, slips, slips_of(engine, side));
        set_slips(engine, side, all);
        rest = cut(engine, all);
        tq_stripe_unlock(engine, index);
    }
    tq_slips_give(engine, local, rest);
}

/* ---- by id ---------------------------------------------------------------------------------------------------- */

static bool lives(uint64_t word, struct trq_job_id id)
{
    return tq_word_generation(word) == (uint32_t)(id.slot >> 32) && tq_word_lives(word);
}

/* By a modification that changes nothing: a load may answer from the past, when what was read of the job before is another's
 * already. */
static bool lives_now(struct tq_job *job, struct trq_job_id id)
{
    uint64_t word = tq_load(&job->word, acquire);
    do
        if (!lives(word, id))
            return false;
    while (!tq_cas(&job->word, &word, word, acq_rel, acquire));
    return true;
}

int trq_failures(struct trq_engine *engine, struct trq_job_id id, struct trq_failure *out,
                 size_t max, size_t *out_count)
{
    if (!engine || (max && !out))
        return TRQ_EINVAL;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    struct tq_job *job = tq_job_by_id(engine, id);
    uint32_t index = (uint32_t)id.slot;
    if (!job)
        return TRQ_GONE;
    size_t count = 0;
    tq_stripe_lock(engine, index);
    uint32_t slips =
        lives(tq_load(&job->word, acquire), id) ? slips_of(engine, side_of(engine, job)) : 0;
    /* If it still lives, it was its own list, and if that is not empty, who ends the job waits for the stripe to free it. */
    bool is_there = lives_now(job, id);
    if (is_there)
        count = copy(engine, slips, out, max);
    tq_stripe_unlock(engine, index);
    /* Who has died just now is found there: it was put there before anybody was told. */
    bool found = is_there || tq_dead_failures(engine, id, out, max, &count);
    if (found && out_count)
        *out_count = count;
    return found ? TRQ_OK : TRQ_GONE;
}
