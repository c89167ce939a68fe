/* From the dead set back to a queue: a new job with what the dead one left. All that can fail comes before it is taken out of
 * the set, but the closing of the queue at a stop; then it is put back. */
#include <tresque/dead.h>

#include "engine/core/dead.h"
#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/publish.h"
#include "engine/core/queuelock.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"

/* What it needs to live. */
struct body {
    uint32_t index; /* its slot */
    struct tq_credits credits;
    int64_t deadline; /* that it had inherited */
    bool may_expire;
    int64_t expires;
};

static int take_body(struct trq_engine *e, struct tq_local *local, uint64_t flags, struct body *out)
{
    bool queue_lock = flags & TQ_QUEUE_LOCKED, worker_lock = flags & TQ_WORKER_LOCKED;
    enum tq_slab_result r = tq_slab_alloc(&e->jobs, &local->jobs, &out->index);
    if (r == TQ_SLAB_FULL && tq_tombs_clear(e, local))
        r = tq_slab_alloc(&e->jobs, &local->jobs, &out->index);
    if (r == TQ_SLAB_FULL)
        tq_count(&local->refused_full, 1);
    if (r != TQ_SLAB_OK)
        return r == TQ_SLAB_FULL ? TRQ_EFULL : TRQ_ENOMEM;
    if (tq_credits_take(e, local, queue_lock, worker_lock, &out->credits) == 0) {
        if (tq_fifo_reserve(&e->segments, &local->segments, 1) &&
            (!(flags & TQ_EXPIRES) || tq_timer_reserve(e, local, 1)))
            return 0;
        tq_credits_give(e, local, &out->credits);
    }
    tq_job_discard_slot(e, local, out->index);
    return TRQ_ENOMEM;
}

static void give_body(struct trq_engine *e, struct tq_local *local, const struct body *body)
{
    tq_credits_give(e, local, &body->credits);
    tq_job_discard_slot(e, local, body->index);
}

/* A deadline is for who waits for this job, and that is over; limits of its own it keeps. Returns what lasts of the flags. */
static uint64_t forget_deadline(struct tq_trail *trail, uint64_t flags, int64_t *out_deadline)
{
    flags &= TQ_LASTING;
    if (!trail)
        return flags;
    *out_deadline = trail->deadline;
    trail->deadline = INT64_MAX;
    return flags & ~((trail->expires_in ? 0 : TQ_EXPIRES) | (trail->timeout ? 0 : TQ_LIMITED));
}

/* As an enqueue leaves a job that is about to be published. */
static void make(struct trq_engine *e, struct tq_local *local, const struct tq_grave *grave,
                 struct body *body)
{
    struct tq_job *job = tq_job_at(e, body->index);
    uint32_t side = tq_cold_side(tq_load(&grave->husk.cold, relaxed));
    uint64_t flags = tq_load(&grave->husk.word, relaxed);
    tq_job_carry(job, &grave->husk);
    tq_job_set_counts(job, 0, 0);
    if (side != UINT32_MAX) {
        /* Who reads its failures by the id of its first life has its old slot's stripe; from now on the new one's protects
         * them. */
        uint32_t old = (uint32_t)grave->entry.key;
        tq_stripe_lock(e, old);
        tq_stripe_unlock(e, old);
        tq_side_rise(e, side, body->index, &body->credits);
    }
    flags = forget_deadline(tq_trail_of(e, job), flags, &body->deadline);
    body->may_expire = flags & TQ_EXPIRES;
    if (body->may_expire)
        body->expires = tq_trail_begin_wait(e, job, tq_clock_boot(&e->clock));
    tq_store(&job->enqueued, tq_stamp(e, local), relaxed);
    uint64_t word = tq_word_after(tq_load(&job->word, relaxed), TQ_FREE, TQ_ENQUEUED);
    tq_store(&job->word, word | flags, relaxed);
}

/* It never was: what it had is the grave's again, and its slot goes back. */
static void unmake(struct trq_engine *e, struct tq_local *local, const struct tq_grave *grave,
                   const struct body *body)
{
    struct tq_job *job = tq_job_at(e, body->index);
    uint32_t side = tq_cold_side(tq_load(&grave->husk.cold, relaxed));
    struct tq_trail *trail = tq_trail_of(e, job);
    if (trail)
        trail->deadline = body->deadline;
    if (side != UINT32_MAX)
        tq_side_rest(e, local, side);
    tq_store(&job->cold, 0, relaxed);
    job->block_class = TQ_INLINE_CLASS;
    tq_job_unmake(e, local, body->index);
}

/* Who waited with its queue lock has ended, since his time was over: to be finished. */
struct late {
    bool has_ended;
    struct tq_ended ended;
};

/* Into its queue, if its queue lock lets it. *out_id: of the job that waits now. */
static int publish(struct trq_engine *e, struct tq_local *local, uint32_t index,
                   struct trq_job_id *out_id, struct late *late)
{
    struct tq_job *job = tq_job_at(e, index);
    uint64_t word = tq_load(&job->word, relaxed);
    late->has_ended = false;
    if (word & TQ_QUEUE_LOCKED) {
        const struct tq_asker asker = {.index = index, .rule = TRQ_KEEP};
        struct tq_answer answer;
        tq_queue_lock_ask(e, local, &asker, &answer);
        *out_id = tq_job_id(e, answer.index, tq_word(answer.generation, TQ_READY));
        late->has_ended = answer.has_ended;
        if (answer.has_ended)
            late->ended = answer.ended;
        return answer.code;
    }
    /* Once published it may end. */
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(job)];
    *out_id = tq_job_id(e, index, word);
    return tq_publish(e, local, queue, &index, 1) ? TRQ_OK : TRQ_ESTOPPED;
}

static int revive(struct trq_engine *e, struct tq_local *local, const struct tq_grave *grave,
                  struct body *body, struct trq_job_id *out_id)
{
    struct tq_class *class = e->registry.classes[tq_job_class_number(&grave->husk)];
    struct tq_tally *tally = tq_local_tally(local, class->number);
    struct late late;
    make(e, local, grave, body);
    int rc = publish(e, local, body->index, out_id, &late);
    switch (rc) {
    case TRQ_OK:
        tq_class_count(class, tally, TQ_COUNT_enqueued, 1);
        if (body->may_expire)
            tq_timer_submit(e, local, tq_item(body->index, 0), (uint32_t)(out_id->slot >> 32),
                            body->expires, false);
        tq_notify(e, local);
        break;
    case TRQ_DUPLICATE:
        tq_class_count(class, tally, TQ_COUNT_duplicates, 1);
        tq_job_strip(e, local, tq_job_at(e, body->index));
        tq_job_unmake(e, local, body->index);
        break;
    default:
        unmake(e, local, grave, body);
        tq_dead_put_back(e, local, grave);
    }
    if (late.has_ended)
        tq_ended_finish(e, local, &late.ended);
    return rc;
}

/* A stop waits for it. */
static int retry(struct trq_engine *e, struct tq_local *local, struct trq_job_id id,
                 struct trq_job_id *out_id)
{
    struct tq_grave grave;
    struct body body;
    uint64_t flags;
    if (!tq_dead_find(e, id, NULL, &flags))
        return TRQ_GONE;
    int rc = take_body(e, local, flags, &body);
    if (rc < 0)
        return rc;
    if (!tq_dead_take(e, id, &grave)) {
        give_body(e, local, &body);
        return TRQ_GONE;
    }
    return revive(e, local, &grave, &body, out_id);
}

int trq_dead_retry(struct trq_engine *engine, struct trq_job_id id, struct trq_job_id *out_id)
{
    if (!engine)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return TRQ_ENOMEM;
    if (!tq_call_enter(engine, local))
        return TRQ_ESTOPPED;
    struct trq_job_id waits;
    int rc = retry(engine, local, id, &waits);
    tq_call_leave(local);
    if (out_id && (rc == TRQ_OK || rc == TRQ_DUPLICATE))
        *out_id = waits;
    return rc;
}
