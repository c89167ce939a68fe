#include "engine/core/schedule.h"

#include <string.h>

#include <tresque/schedule.h>

#include "engine/core/house.h"
#include "engine/core/inputs.h"
#include "engine/core/publish.h"
#include "engine/core/queuelock.h"
#include "engine/core/trail.h"

/* ---- times ------------------------------------------------------------------------------------------------ */

/* At the ends of the range they stay there. */
static int64_t later_by(int64_t time, int64_t span)
{
    int64_t sum;
    if (__builtin_add_overflow(time, span, &sum))
        return span > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

static int64_t between(int64_t from, int64_t to)
{
    int64_t span;
    if (__builtin_sub_overflow(to, from, &span))
        return to > from ? INT64_MAX : INT64_MIN;
    return span;
}

bool tq_schedule_due(const struct trq_engine *engine, const struct trq_opts *opts, int64_t *out_due,
                     bool *out_wall, int64_t *out_now)
{
    *out_wall = opts->in.ns <= 0;
    *out_now = *out_wall ? tq_clock_wall(&engine->clock) : tq_clock_boot(&engine->clock);
    *out_due = *out_wall ? opts->at.ns : later_by(*out_now, opts->in.ns);
    return !*out_wall || (opts->at.ns && opts->at.ns > *out_now);
}

struct tq_moment tq_moment(const struct trq_engine *engine)
{
    return (struct tq_moment){tq_clock_boot(&engine->clock), tq_clock_wall(&engine->clock)};
}

/* The same time on the other clock, as they stand now. */
static int64_t on_clock(const struct tq_moment *now, int64_t time, bool from_wall, bool to_wall)
{
    if (from_wall == to_wall)
        return time;
    return later_by(to_wall ? now->wall : now->boot,
                    between(from_wall ? now->wall : now->boot, time));
}

int64_t tq_schedule_wall_due(const struct trq_engine *engine, const struct tq_job *job,
                             uint64_t word)
{
    struct tq_moment now = tq_moment(engine);
    return on_clock(&now, (int64_t)tq_load(&job->enqueued, relaxed), (word & TQ_WALL) != 0, true);
}

/* ---- submit, end --------------------------------------------------------------------------------------------- */

void tq_schedule_submit(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                        uint64_t word, int64_t due)
{
    uint32_t generation = tq_word_generation(word);
    tq_timer_submit(engine, local, tq_item(index, word), generation, due, (word & TQ_WALL) != 0);
    if (TQ_LIKELY(tq_is_open(engine)))
        return;
    /* The engine stops, and may have looked for scheduled jobs before this one was there. */
    struct tq_ended ended;
    uint64_t found;
    if (tq_job_end_waiting(engine, local, index, generation, TQ_ENDED_DROPPED, &ended, &found))
        tq_ended_finish(engine, local, &ended);
}

/* The stripe is held. */
static bool leave(struct tq_local *local, struct tq_job *job, uint64_t *word, enum tq_reason reason)
{
    if (!tq_job_become_if(job, reason, word))
        return false;
    tq_count(&local->scheduled,
             UINT64_MAX); /* one less: it is the sum over all threads that counts */
    return true;
}

bool tq_schedule_end(struct trq_engine *engine, struct tq_local *local, uint32_t index,
                     uint64_t *word, enum tq_reason reason)
{
    tq_stripe_lock(engine, index);
    bool ended = leave(local, tq_job_at(engine, index), word, reason);
    tq_stripe_unlock(engine, index);
    if (ended)
        tq_timer_stale(engine);
    return ended;
}

/* ---- fire ----------------------------------------------------------------------------------------------------- */

/* It may wait so long from now on; *out_expires, for the timer, which has memory. */
static void begin_wait(struct trq_engine *e, struct tq_job *job, uint64_t word, int64_t boot,
                       int64_t *out_expires)
{
    if (TQ_UNLIKELY(word & TQ_EXPIRES))
        *out_expires = tq_trail_begin_wait(e, job, boot);
}

/* Without a queue lock. */
static enum tq_fire fire(struct trq_engine *e, struct tq_local *local, uint32_t index,
                         uint64_t word, int64_t now, int64_t *out_due)
{
    struct tq_job *job = tq_job_at(e, index);
    enum tq_fire result = TQ_STALE;
    uint64_t stamp = tq_stamp(e, local); /* not under the stripe: a clock may be the host's */
    int64_t boot = word & TQ_EXPIRES ? tq_clock_boot(&e->clock) : 0, expires = 0;
    tq_stripe_lock(e, index);
    uint64_t seen = tq_load(&job->word, acquire);
    if (tq_word_state(seen) == TQ_SCHEDULED &&
        tq_word_generation(seen) == tq_word_generation(word) && !((seen ^ word) & TQ_TURN)) {
        *out_due = (int64_t)tq_load(&job->enqueued, relaxed);
        result = TQ_LATER;
        if (*out_due <= now) {
            tq_store(&job->enqueued, stamp, relaxed);
            begin_wait(e, job, seen, boot, &expires);
            result = leave(local, job, &seen, TQ_BECAME_DUE) ? TQ_FIRED : TQ_STALE;
        }
    }
    tq_stripe_unlock(e, index);
    if (result == TQ_FIRED) {
        struct tq_queue *queue = e->registry.queues[tq_job_queue_number(job)];
        if (tq_publish(e, local, queue, &index, 1) == 0)
            tq_job_drop(e, local, index); /* the engine stops */
        else
            tq_expiry_submit(e, local, index, seen, expires);
    }
    return result;
}

/* It asks for its queue lock, or holds it already; either way it goes into its queue under the bucket. */
static enum tq_fire fire_asking(struct trq_engine *e, struct tq_local *local, uint32_t index,
                                uint64_t word, int64_t now, int64_t *out_due, bool *out_merged)
{
    struct tq_comeback c = {
        .index = index,
        .word = word,
        .reason = TQ_BECAME_DUE,
        .now = now,
        .stamp = tq_stamp(e, local),
        .boot = word & TQ_EXPIRES ? tq_clock_boot(&e->clock) : 0,
    };
    enum tq_fire result = TQ_FIRED;
    switch (tq_queue_lock_return(e, local, &c)) {
    case TQ_RETURN_LOST:
        *out_due = c.due;
        result = c.due == INT64_MIN ? TQ_STALE : TQ_LATER;
        break;
    case TQ_MERGED:
        *out_merged = true;
        tq_ended_finish(e, local, &c.ended);
        break;
    case TQ_RETURN_STOPPED:
        tq_job_drop(e, local, index);
        break;
    case TQ_RETURNED:
        tq_expiry_submit(e, local, index, word, c.expires);
        break;
    }
    if (result == TQ_FIRED)
        tq_count(&local->scheduled, UINT64_MAX);
    if (c.has_met_late) /* last: its on_end may enqueue, and use up what was reserved here */
        tq_ended_finish(e, local, &c.late);
    return result;
}

static enum tq_fire fire_any(struct trq_engine *e, struct tq_local *local, uint32_t index,
                             uint64_t word, int64_t now, int64_t *out_due, bool *out_merged)
{
    if (!tq_fifo_reserve(&e->segments, &local->segments, 1))
        return TQ_AGAIN;
    if (word & TQ_EXPIRES && !tq_timer_reserve(e, local, 1))
        return TQ_AGAIN;
    return word & TQ_QUEUE_LOCKED ? fire_asking(e, local, index, word, now, out_due, out_merged)
                                  : fire(e, local, index, word, now, out_due);
}

/* It has not begun yet. */
static enum tq_fire expire(struct trq_engine *e, struct tq_local *local, uint32_t index,
                           uint64_t word, int64_t now, int64_t *out_due)
{
    enum { STARTING_AGAIN_NS = 10000000 };
    struct tq_ended ended;
    int64_t expires = tq_trail_expires(e, tq_job_at(e, index));
    *out_due = expires;
    if (expires > now)
        return TQ_LATER;
    if (tq_word_state(word) == TQ_STARTING) { /* it may yet have to wait for its key */
        *out_due = now + STARTING_AGAIN_NS;
        return TQ_LATER;
    }
    /* By the word as it was before the trail was read: that was this wait's. */
    if (!tq_job_end_seen(e, local, index, &word, TQ_ENDED_EXPIRED, &ended)) {
        *out_due = now;
        return TQ_LATER; /* it is looked at anew */
    }
    tq_ended_finish(e, local, &ended);
    return TQ_STALE;
}

enum tq_fire tq_job_due(struct trq_engine *engine, struct tq_local *local, uint32_t item,
                        uint32_t generation, int64_t now_ns, bool wall, int64_t *out_due)
{
    uint32_t index = tq_item_index(item);
    uint64_t word = tq_load(&tq_job_at(engine, index)->word, acquire);
    bool merged = false;
    if (tq_word_generation(word) != generation || (word & TQ_TURN) != tq_item_turn(item))
        return TQ_STALE;
    if (TQ_UNLIKELY(tq_word_expires(word)) && !wall)
        return expire(engine, local, index, word, now_ns, out_due);
    if (tq_word_state(word) != TQ_SCHEDULED || !(word & TQ_WALL) != !wall)
        return TQ_STALE;
    return fire_any(engine, local, index, word, now_ns, out_due, &merged);
}

/* ---- move ----------------------------------------------------------------------------------------------------- */

bool tq_schedule_put_off(struct trq_engine *engine, const struct tq_moment *now, uint32_t index,
                         uint32_t generation, int64_t due, bool wall, int64_t max_wait)
{
    struct tq_job *job = tq_job_at(engine, index);
    bool moved = false;
    tq_stripe_lock(engine, index);
    uint64_t word = tq_load(&job->word, acquire);
    if (tq_word_generation(word) == generation && tq_word_state(word) == TQ_SCHEDULED) {
        due = on_clock(now, due, wall, (word & TQ_WALL) != 0);
        struct tq_side *side = tq_side_at(engine, tq_cold_side(tq_load(&job->cold, relaxed)));
        int64_t last = max_wait ? later_by(side->first, max_wait) : INT64_MAX;
        if (due > last)
            due = last;
        moved = due > (int64_t)tq_load(&job->enqueued, relaxed);
        if (moved)
            tq_store(&job->enqueued, (uint64_t)due, relaxed);
    }
    tq_stripe_unlock(engine, index);
    return moved;
}

/* The stripe is held, and the job is SCHEDULED. True: *out_word is to be submitted. */
static bool set_due(struct trq_engine *e, const struct tq_moment *now, struct tq_job *job,
                    int64_t due, bool wall, uint64_t *out_word)
{
    uint64_t word = tq_load(&job->word, relaxed);
    bool was_wall = (word & TQ_WALL) != 0;
    if (wall == was_wall && due >= (int64_t)tq_load(&job->enqueued, relaxed)) {
        tq_store(&job->enqueued, (uint64_t)due, relaxed);
        return false;
    }
    uint32_t side = tq_cold_side(tq_load(&job->cold, relaxed));
    if (side != UINT32_MAX)
        tq_side_at(e, side)->first = on_clock(now, tq_side_at(e, side)->first, was_wall, wall);
    uint64_t next;
    do
        next = (tq_next_turn(word) & ~TQ_WALL) | (wall ? TQ_WALL : 0);
    while (!tq_cas(&job->word, &word, next, acq_rel, relaxed));
    tq_store(&job->enqueued, (uint64_t)due, relaxed);
    *out_word = next;
    return true;
}

/* ---- the calls -------------------------------------------------------------------------------------------------- */

/* 0 and *out_local, *out_job; then tq_call_leave is to follow. Or what to return. */
static int begin(struct trq_engine *engine, struct trq_job_id id, struct tq_local **out_local,
                 struct tq_job **out_job)
{
    if (!engine)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    *out_local = tq_local_of(engine);
    *out_job = tq_job_by_id(engine, id);
    if (!*out_local)
        return TRQ_ENOMEM;
    if (!*out_job)
        return TRQ_GONE;
    return tq_call_enter(engine, *out_local) ? 0 : TRQ_ESTOPPED;
}

static uint32_t generation_of(struct trq_job_id id)
{
    return (uint32_t)(id.slot >> 32);
}

/* It runs, or is about to: tell it. False: not any more. */
static bool ask_to_stop(struct tq_job *job, uint32_t generation, uint64_t *word)
{
    do
        if (tq_word_generation(*word) != generation ||
            (tq_word_state(*word) != TQ_STARTING && tq_word_state(*word) != TQ_RUNNING))
            return false;
    while (!tq_cas(&job->word, word, *word | TQ_STOP_ASKED, acq_rel, acquire));
    return true;
}

static int cancel(struct trq_engine *e, struct tq_local *local, struct tq_job *job,
                  struct trq_job_id id)
{
    for (;;) {
        struct tq_ended ended;
        uint64_t word;
        if (tq_job_end_waiting(e, local, (uint32_t)id.slot, generation_of(id), TQ_ENDED_CANCELLED,
                               &ended, &word)) {
            tq_ended_finish(e, local, &ended);
            return TRQ_OK;
        }
        if (ask_to_stop(job, generation_of(id), &word))
            return TRQ_ASKED;
        if (tq_word_generation(word) != generation_of(id) || !tq_word_lives(word))
            return TRQ_GONE;
    }
}

int trq_cancel(struct trq_engine *engine, struct trq_job_id id)
{
    struct tq_local *local;
    struct tq_job *job;
    int rc = begin(engine, id, &local, &job);
    if (rc)
        return rc;
    rc = cancel(engine, local, job, id);
    tq_call_leave(local);
    return rc;
}

static int move(struct trq_engine *engine, struct trq_job_id id, int64_t due, bool wall)
{
    struct tq_local *local;
    struct tq_job *job;
    int rc = begin(engine, id, &local, &job);
    if (rc)
        return rc;
    if (!tq_timer_reserve(engine, local, 1)) {
        tq_call_leave(local);
        return TRQ_ENOMEM;
    }
    struct tq_moment now = tq_moment(engine);
    uint32_t index = (uint32_t)id.slot;
    bool anew = false, found = false;
    uint64_t word;
    tq_stripe_lock(engine, index);
    word = tq_load(&job->word, acquire);
    if (tq_word_generation(word) == generation_of(id) && tq_word_state(word) == TQ_SCHEDULED) {
        found = true;
        anew = set_due(engine, &now, job, due, wall, &word);
    }
    tq_stripe_unlock(engine, index);
    if (anew) {
        tq_timer_stale(engine);
        tq_schedule_submit(engine, local, index, word, due);
    }
    tq_call_leave(local);
    return found ? TRQ_OK : TRQ_GONE;
}

int trq_move(struct trq_engine *engine, struct trq_job_id id, struct trq_wall to)
{
    return move(engine, id, to.ns, true);
}

int trq_move_in(struct trq_engine *engine, struct trq_job_id id, struct trq_span after)
{
    if (!engine)
        return TRQ_EINVAL;
    int64_t now = tq_clock_boot(&engine->clock);
    return move(engine, id, after.ns > 0 ? later_by(now, after.ns) : now, false);
}

static int run_now(struct trq_engine *e, struct tq_local *local, struct tq_job *job,
                   struct trq_job_id id)
{
    for (;;) {
        uint64_t word = tq_load(&job->word, acquire);
        int64_t due;
        bool merged = false;
        if (tq_word_generation(word) != generation_of(id) || tq_word_state(word) != TQ_SCHEDULED)
            return TRQ_GONE;
        switch (fire_any(e, local, (uint32_t)id.slot, word, INT64_MAX, &due, &merged)) {
        case TQ_FIRED:
            tq_timer_stale(e);
            if (!merged)
                tq_notify(e, local);
            return merged ? TRQ_DUPLICATE : TRQ_OK;
        case TQ_AGAIN:
            return TRQ_ENOMEM;
        case TQ_STALE:
        case TQ_LATER:
            break; /* moved just now, or gone */
        }
    }
}

int trq_run_now(struct trq_engine *engine, struct trq_job_id id)
{
    struct tq_local *local;
    struct tq_job *job;
    int rc = begin(engine, id, &local, &job);
    if (rc)
        return rc;
    rc = run_now(engine, local, job, id);
    tq_call_leave(local);
    return rc;
}

/* ---- by worker and inputs ------------------------------------------------------------------------------------------ */

static bool same_value(const struct trq_value *has, const struct trq_value *wanted)
{
    if (has->type == TRQ_F64 && wanted->type == TRQ_I64)
        return has->u.f == (double)wanted->u.i;
    if (has->type != wanted->type)
        return false;
    switch (has->type) {
    case TRQ_NULL:
        return true;
    case TRQ_BOOL:
        return has->u.b == wanted->u.b;
    case TRQ_I64:
        return has->u.i == wanted->u.i;
    case TRQ_F64:
        return has->u.f == wanted->u.f;
    case TRQ_STR:
    case TRQ_JSON:
        break;
    }
    return !has->u.s.data == !wanted->u.s.data && has->u.s.size == wanted->u.s.size &&
           (!has->u.s.size || memcmp(has->u.s.data, wanted->u.s.data, has->u.s.size) == 0);
}

bool tq_job_contains(const struct trq_engine *engine, struct tq_job *job, struct trq_dict inputs)
{
    const struct tq_class *class = engine->registry.classes[tq_job_class_number(job)];
    const struct tq_layout *layout = tq_job_layout(class, tq_load(&job->word, relaxed));
    const unsigned char *bytes = tq_blocks_at(&engine->blocks, job);
    for (size_t i = 0; i < inputs.count; i++) {
        const struct trq_kv *kv = &inputs.kv[i];
        struct trq_value has = {.type = TRQ_NULL};
        bool there = tq_inputs_get(layout, bytes, job->size, kv->key.data, kv->key.size, &has);
        if (!there)
            has.type = TRQ_NULL;
        if (!same_value(&has, &kv->value))
            return false;
    }
    return true;
}

typedef int visit(struct trq_engine *engine, struct trq_job_id id, void *arg);

/* To how many `fn` said TRQ_OK. */
static long each(struct trq_engine *engine, const struct trq_worker *worker, struct trq_dict inputs,
                 visit *fn, void *arg)
{
    if (!engine || !worker || (inputs.count && !inputs.kv))
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return TRQ_ENOMEM;
    const struct tq_class *class = tq_class_known(engine, local, worker);
    if (!class)
        return TRQ_EUNKNOWN;
    long count = 0;
    uint32_t carved = tq_load(&engine->jobs.carved, acquire);
    for (uint32_t i = 0; i < carved; i++) {
        struct tq_job *job = tq_job_at(engine, i);
        if (tq_word_state(tq_load(&job->word, acquire)) != TQ_SCHEDULED)
            continue;
        tq_stripe_lock(engine, i);
        uint64_t word = tq_load(&job->word, acquire);
        bool matches = tq_word_state(word) == TQ_SCHEDULED &&
                       tq_job_class_number(job) == class->number &&
                       tq_job_contains(engine, job, inputs);
        tq_stripe_unlock(engine, i);
        if (matches && fn(engine, tq_job_id(engine, i, word), arg) == TRQ_OK)
            count++;
    }
    return count;
}

struct collect {
    struct trq_job_id *ids;
    size_t max, count;
};
static int collect(struct trq_engine *engine, struct trq_job_id id, void *arg)
{
    struct collect *c = arg;
    (void)engine;
    if (c->count < c->max)
        c->ids[c->count++] = id;
    return TRQ_OK;
}
static int cancel_one(struct trq_engine *engine, struct trq_job_id id, void *arg)
{
    (void)arg;
    return trq_cancel(engine, id);
}
static int move_one(struct trq_engine *engine, struct trq_job_id id, void *arg)
{
    return trq_move(engine, id, *(const struct trq_wall *)arg);
}
static int run_one(struct trq_engine *engine, struct trq_job_id id, void *arg)
{
    (void)arg;
    return trq_run_now(engine, id);
}

long trq_scheduled(struct trq_engine *engine, const struct trq_worker *worker,
                   struct trq_dict inputs, struct trq_job_id *out_ids, size_t max)
{
    struct collect c = {out_ids, out_ids ? max : 0, 0};
    return each(engine, worker, inputs, collect, &c);
}

long trq_cancel_matching(struct trq_engine *engine, const struct trq_worker *worker,
                         struct trq_dict inputs)
{
    return each(engine, worker, inputs, cancel_one, NULL);
}

long trq_move_matching(struct trq_engine *engine, const struct trq_worker *worker,
                       struct trq_dict inputs, struct trq_wall to)
{
    return each(engine, worker, inputs, move_one, &to);
}

long trq_run_now_matching(struct trq_engine *engine, const struct trq_worker *worker,
                          struct trq_dict inputs)
{
    return each(engine, worker, inputs, run_one, NULL);
}

uint64_t tq_schedule_count(const struct trq_engine *engine)
{
    uint64_t count = 0;
    const struct tq_local *local = tq_load(&engine->locals, acquire);
    for (; local; local = tq_load(&local->older, relaxed))
        count += tq_load(&local->scheduled, relaxed);
    return (int64_t)count > 0 ? count : 0;
}
