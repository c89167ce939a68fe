#include "engine/core/queuelock.h"

#include <assert.h>

#include "engine/core/note.h"
#include "engine/core/publish.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"
#include "engine/core/workerlock.h"

static struct tq_queue_key *find(struct trq_engine *e, const struct tq_bucket *bucket,
                                 struct tq_digest digest, uint32_t *out_index)
{
    return (struct tq_queue_key *)tq_locktab_find(&e->queue_locks, bucket, digest, out_index);
}

/* The record names that job from now on; without one, the side's credit becomes it. True: it did. */
static bool name(struct trq_engine *e, struct tq_local *local, struct tq_bucket *bucket,
                 struct tq_queue_key *r, struct tq_digest digest, struct tq_side *side,
                 uint32_t index, uint32_t generation)
{
    bool added = !r;
    if (added) {
        assert(side->queue_record != TQ_NONE);
        r = (struct tq_queue_key *)tq_locktab_add(&e->queue_locks, bucket, side->queue_record,
                                                  digest);
        side->queue_record = TQ_NONE;
    }
    /* What was merged into a job that has started and not yet taken it along passes on. */
    uint64_t before = added ? 0 : tq_load(&tq_job_at(e, r->job)->word, relaxed);
    bool passes = !added && tq_word_generation(before) == r->generation &&
                  (tq_word_state(before) == TQ_RUNNING || tq_word_state(before) == TQ_STARTING);
    if (!passes) {
        if (!added)
            tq_slips_give(e, local, r->slips);
        r->slips = 0;
        r->begun = 0;
        r->failures = 0;
    }
    r->job = index;
    r->generation = generation;
    return added;
}

/* I3. *word is the twin's. False: it does not wait any more. */
static bool absorb(struct tq_job *twin, uint32_t generation, uint64_t *word)
{
    *word = tq_load(&twin->word, acquire);
    do
        if (tq_word_generation(*word) != generation || !tq_word_waits(*word))
            return false;
    while (!tq_cas(&twin->word, word, *word | TQ_ABSORBED, acq_rel, acquire));
    return true;
}

static struct tq_side *side_of_job(struct trq_engine *e, const struct tq_job *job)
{
    return tq_side_at(e, tq_cold_side(tq_load(&job->cold, relaxed)));
}

/* ---- a new job asks ---------------------------------------------------------------------------------------- */

static bool publish(struct trq_engine *e, struct tq_local *local, uint32_t index)
{
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(tq_job_at(e, index))];
    return tq_publish(e, local, queue, &index, 1) == 1;
}

/* At the place that its side says. */
static void publish_in_front(struct trq_engine *e, struct tq_local *local, struct tq_side *side,
                             uint64_t place, uint32_t index)
{
    struct tq_queue *queue = e->registry.queues[tq_job_queue_number(tq_job_at(e, index))];
    uint32_t link = side->link;
    side->link = TQ_NONE;
    tq_fifo_put(&queue->fifo, &local->segments, link, place, index);
    tq_publish_mark(e, queue);
}

/* Into the slot of a job that has ended in its queue and is HELD: so it stands at that place in line. */
static void fill(struct trq_engine *e, const struct tq_asker *a, uint32_t slot,
                 struct tq_answer *out)
{
    struct tq_job *mine = tq_job_at(e, a->index), *there = tq_job_at(e, slot);
    uint64_t flags = tq_load(&mine->word, relaxed) & ~(UINT64_MAX << 32) & ~TQ_STATE_MASK;
    uint64_t held = tq_load(&there->word, relaxed);
    tq_job_carry(there, mine);
    side_of_job(e, there)->job = slot;
    tq_store(&there->enqueued, tq_load(&mine->enqueued, relaxed), relaxed);
    tq_store(&mine->cold, 0, relaxed);
    mine->block_class = TQ_INLINE_CLASS;
    uint32_t note = tq_job_note(e, there);
    if (note)
        tq_note_arm(e, note, tq_job_id(e, slot, held));
    out->index = slot;
    out->generation = tq_word_generation(held);
    out->moved = true;
    /* Nobody knows its id yet, so nobody sets a flag meanwhile. rel: pairs tq_job_settled */
    tq_store(&there->word, tq_word_after(held, TQ_HELD, TQ_TOOK_PLACE) | flags, release);
}

/* The twin has to go. False: it is starting, or gone. */
static bool replace(struct trq_engine *e, struct tq_local *local, const struct tq_asker *a,
                    uint32_t twin, uint64_t word, struct tq_answer *out)
{
    struct tq_job *mine = tq_job_at(e, a->index);
    struct tq_ended *ended = &out->ended;
    if (!a->later && tq_word_state(word) == TQ_READY) {
        if (!tq_job_end_ready(e, twin, &word, TQ_ENDED_REPLACED, ended))
            return false;
        bool used_up = tq_word_generation(word) + 1 == UINT32_MAX; /* the slot is to be retired */
        if (tq_job_queue_number(&ended->husk) == tq_job_queue_number(mine) && !used_up) {
            fill(e, a, twin, out);
        } else {
            tq_job_lay_down(e, ended);
            out->stopped = !publish(e, local, a->index);
        }
    } else {
        /* What was seen, and nothing else: if it has gone on, another place is its own. */
        uint64_t seen = word;
        if (!tq_job_end_seen(e, local, twin, &seen, TQ_ENDED_REPLACED, ended))
            return false;
        bool in_line = tq_job_queue_number(&ended->husk) == tq_job_queue_number(mine) &&
                       tq_word_state(ended->old) == TQ_PARKED;
        if (!a->later && in_line)
            publish_in_front(e, local, side_of_job(e, mine), side_of_job(e, &ended->husk)->place,
                             a->index);
        else if (!a->later)
            out->stopped = !publish(e, local, a->index);
    }
    out->code = TRQ_REPLACED;
    out->has_ended = true;
    ended->other = tq_job_id(e, out->index, tq_word(out->generation, TQ_READY));
    return true;
}

/* Its time to begin is over. The clock may be the host's, so it is read before the bucket is taken. */
static bool is_late(const struct trq_engine *e, uint32_t job, uint64_t word, int64_t boot)
{
    return tq_word_expires(word) && tq_trail_expires(e, tq_job_at(e, job)) <= boot;
}

static bool must_know_time(struct trq_engine *e, const struct tq_queue_key *r, int64_t boot)
{
    return r && !boot && tq_load(&tq_job_at(e, r->job)->word, acquire) & TQ_EXPIRES;
}

/* The job that the record names waits. False: not any more. */
static bool meet(struct trq_engine *e, struct tq_local *local, const struct tq_asker *a,
                 const struct tq_queue_key *r, struct tq_answer *out)
{
    struct tq_job *twin = tq_job_at(e, r->job);
    uint64_t word = tq_load(&twin->word, acquire);
    if (tq_word_generation(word) != r->generation || !tq_word_waits(word))
        return false;
    if (TQ_UNLIKELY(is_late(e, r->job, word, a->now.boot))) {
        out->has_ended = tq_job_end_seen(e, local, r->job, &word, TQ_ENDED_EXPIRED, &out->ended);
        return false;
    }
    if (a->rule == TRQ_REPLACE && tq_word_state(word) != TQ_STARTING)
        return replace(e, local, a, r->job, word, out);
    if (!absorb(twin, r->generation, &word))
        return false;
    out->code = TRQ_DUPLICATE;
    if (a->rule == TRQ_DEBOUNCE && a->later && tq_word_state(word) == TQ_SCHEDULED &&
        tq_schedule_put_off(e, &a->now, r->job, r->generation, a->due, a->wall, a->max_wait))
        out->code = TRQ_DEBOUNCED;
    out->index = r->job;
    out->generation = r->generation;
    return true;
}

static bool names_waiting(struct trq_engine *e, const struct tq_queue_key *r)
{
    uint64_t word = tq_load(&tq_job_at(e, r->job)->word, acquire);
    return tq_word_generation(word) == r->generation && tq_word_waits(word);
}

/* Whoever is refused by it is refused by one that was in time (I2b). */
static bool names_holder(struct trq_engine *e, const struct tq_queue_key *r, int64_t boot)
{
    uint64_t word = tq_load(&tq_job_at(e, r->job)->word, acquire);
    return tq_word_generation(word) == r->generation && tq_word_waits(word) &&
           !(tq_word_state(word) == TQ_STARTING && is_late(e, r->job, word, boot));
}

/* The engine stops, and the record names a job that never was in a queue. */
static void unname(struct trq_engine *e, struct tq_local *local, struct tq_bucket *bucket,
                   struct tq_digest digest, struct tq_side *side)
{
    uint32_t record = TQ_NONE;
    const struct tq_queue_key *r = find(e, bucket, digest, &record);
    tq_slips_give(e, local, r->slips);
    tq_locktab_remove(&e->queue_locks, bucket, record);
    if (side->queue_record == TQ_NONE)
        side->queue_record = record;
    else
        tq_slab_free(&e->queue_records, &local->queue_records, record);
}

/* False: it must know what time it is. */
static bool ask(struct trq_engine *engine, struct tq_local *local, const struct tq_asker *a,
                struct tq_answer *out)
{
    struct tq_job *job = tq_job_at(engine, a->index);
    struct tq_side *side = side_of_job(engine, job);
    struct tq_digest digest = tq_side_digest(side->queue_key);
    out->code = TRQ_OK; /* field by field: `ended` is large, and written only if something has */
    out->index = a->index;
    out->generation = tq_word_generation(tq_load(&job->word, relaxed));
    out->moved = out->stopped = out->has_ended = false;
    struct tq_bucket *bucket = tq_locktab_lock(&engine->queue_locks, digest);
    uint32_t record = TQ_NONE;
    bool added = false;
    struct tq_queue_key *r = find(engine, bucket, digest, &record);
    bool met = false;
    if (TQ_UNLIKELY(must_know_time(engine, r, a->now.boot))) {
        tq_locktab_unlock(&engine->queue_locks, bucket);
        return false;
    }
    while (r && names_holder(engine, r, a->now.boot) && !(met = meet(engine, local, a, r, out)))
        ;
    if (a->later && (!met || out->code == TRQ_REPLACED))
        tq_store(&job->word, a->word, seq_cst);
    if (!met || out->code == TRQ_REPLACED)
        added = name(engine, local, bucket, r, digest, side, out->index, out->generation);
    if (!met && !a->later && !publish(engine, local, a->index)) {
        out->code = TRQ_ESTOPPED; /* as if it had never been */
        unname(engine, local, bucket, digest, side);
    }
    tq_locktab_unlock(&engine->queue_locks, bucket);
    if (added)
        tq_locktab_grow(&engine->queue_locks);
    return true;
}

void tq_queue_lock_ask(struct trq_engine *engine, struct tq_local *local, const struct tq_asker *a,
                       struct tq_answer *out)
{
    if (TQ_LIKELY(ask(engine, local, a, out)))
        return;
    struct tq_asker again = *a;
    again.now = tq_moment(engine);
    again.now.boot += !again.now.boot; /* 0 is: not read */
    ask(engine, local, &again, out);
}

/* ---- a job comes back to wait ------------------------------------------------------------------------------- */

bool tq_queue_lock_credit(struct trq_engine *engine, struct tq_local *local, struct tq_side *side)
{
    return side->queue_record != TQ_NONE ||
           tq_slab_alloc(&engine->queue_records, &local->queue_records, &side->queue_record) ==
               TQ_SLAB_OK;
}

static uint16_t larger(uint16_t a, uint16_t b)
{
    return a > b ? a : b;
}

/* 4.6: so that a key that fails again and again comes to an end, however often it is enqueued anew. */
static void merge(struct trq_engine *e, struct tq_local *local, struct tq_queue_key *r,
                  struct tq_job *job, uint32_t index, bool under_stripe)
{
    r->begun = larger(r->begun, tq_job_begun(job));
    r->failures = larger(r->failures, tq_job_failures(job));
    r->slips = tq_slips_join(e, local, r->slips, tq_slips_detach(e, job, index, under_stripe));
}

/* A job that was cancelled while it ran does not come back. */
static bool become_again(struct tq_job *job, enum tq_reason reason, uint64_t *word)
{
    if (tq_word_state(*word) == TQ_RUNNING)
        return tq_job_become_unless(job, TQ_RUNNING, reason, TQ_STOP_ASKED, word);
    return tq_job_become_if(job, reason, word);
}

/* Who waits with the key has to go first, if its time is over. */
static void end_late(struct trq_engine *e, struct tq_local *local, const struct tq_queue_key *r,
                     struct tq_comeback *c)
{
    uint64_t word = tq_load(&tq_job_at(e, r->job)->word, acquire);
    if (TQ_UNLIKELY(tq_word_generation(word) == r->generation && is_late(e, r->job, word, c->boot)))
        c->has_met_late = tq_job_end_seen(e, local, r->job, &word, TQ_ENDED_EXPIRED, &c->late);
}

/* Under the bucket, and the stripe of one that is SCHEDULED. */
static enum tq_return come_back(struct trq_engine *e, struct tq_local *local,
                                struct tq_bucket *bucket, struct tq_digest digest,
                                struct tq_side *side, struct tq_comeback *c, bool *added)
{
    struct tq_job *job = tq_job_at(e, c->index);
    uint32_t generation = tq_word_generation(c->word);
    uint32_t record = TQ_NONE;
    uint64_t word = tq_load(&job->word, acquire);
    c->due = INT64_MIN;
    if (tq_word_generation(word) != generation || tq_word_state(word) != tq_word_state(c->word) ||
        (word ^ c->word) & TQ_TURN)
        return TQ_RETURN_LOST;
    if (tq_word_state(word) == TQ_SCHEDULED) {
        int64_t due = (int64_t)tq_load(&job->enqueued, relaxed);
        if (due > c->now) {
            c->due = due;
            return TQ_RETURN_LOST;
        }
    }
    struct tq_queue_key *r = find(e, bucket, digest, &record);
    bool mine = r && r->job == c->index && r->generation == generation;
    uint64_t twins;
    if (r && !mine)
        end_late(e, local, r, c);
    if (r && !mine && names_holder(e, r, c->boot) &&
        absorb(tq_job_at(e, r->job), r->generation, &twins)) {
        if (!tq_job_become_if(job, TQ_ENDED_MERGED, &c->word))
            return TQ_RETURN_LOST; /* cannot be: it leaves this state only under our locks, or by us */
        merge(e, local, r, job, c->index, tq_word_state(c->word) == TQ_SCHEDULED);
        tq_job_end_take(&c->ended, c->index, TQ_ENDED_MERGED, c->word, job);
        c->ended.other = tq_job_id(e, r->job, tq_word(r->generation, TQ_READY));
        return TQ_MERGED;
    }
    /* Whoever ends it from here on waits for our bucket before he gives back its side. */
    uint64_t before = tq_load(&job->enqueued, relaxed);
    tq_store(&job->enqueued, c->stamp, relaxed);
    if (TQ_UNLIKELY(word & TQ_EXPIRES && c->reason != TQ_PUT_OFF && !c->front))
        c->expires = tq_trail_begin_wait(e, job, c->boot);
    if (!become_again(job, c->reason, &c->word)) {
        tq_store(&job->enqueued, before, relaxed);
        return TQ_RETURN_LOST;
    }
    if (!mine)
        *added = name(e, local, bucket, r, digest, side, c->index, generation);
    return TQ_RETURNED;
}

enum tq_return tq_queue_lock_return(struct trq_engine *engine, struct tq_local *local,
                                    struct tq_comeback *c)
{
    struct tq_job *job = tq_job_at(engine, c->index);
    uint32_t at = tq_cold_side(tq_load(&job->cold, acquire));
    c->due = INT64_MIN;
    c->has_met_late = false;
    if (at == UINT32_MAX)
        return TQ_RETURN_LOST;
    struct tq_side *side = tq_side_at(engine, at);
    struct tq_digest digest = tq_side_digest(side->queue_key);
    bool scheduled = tq_word_state(c->word) == TQ_SCHEDULED, added = false;
    struct tq_bucket *bucket = tq_locktab_lock(&engine->queue_locks, digest);
    uint32_t record;
    if (TQ_UNLIKELY(must_know_time(engine, find(engine, bucket, digest, &record), c->boot))) {
        tq_locktab_unlock(&engine->queue_locks, bucket);
        int64_t boot = tq_clock_boot(&engine->clock);
        c->boot = boot ? boot : 1;
        bucket = tq_locktab_lock(&engine->queue_locks, digest);
    }
    if (scheduled)
        tq_stripe_lock(engine, c->index);
    enum tq_return result = come_back(engine, local, bucket, digest, side, c, &added);
    if (scheduled)
        tq_stripe_unlock(engine, c->index);
    if (result == TQ_RETURNED && c->reason != TQ_PUT_OFF) {
        if (c->front)
            publish_in_front(engine, local, side, side->place, c->index);
        else if (!publish(engine, local, c->index))
            result = TQ_RETURN_STOPPED;
    }
    tq_locktab_unlock(&engine->queue_locks, bucket);
    if (added)
        tq_locktab_grow(&engine->queue_locks);
    return result;
}

/* ---- and goes ------------------------------------------------------------------------------------------------ */

void tq_queue_lock_leave(struct trq_engine *engine, struct tq_local *local, struct tq_job *job,
                         uint32_t index, uint32_t generation, bool takes_along)
{
    struct tq_side *side = side_of_job(engine, job);
    struct tq_digest digest = tq_side_digest(side->queue_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->queue_locks, digest);
    uint32_t record = TQ_NONE;
    struct tq_queue_key *r = find(engine, bucket, digest, &record);
    uint32_t slips = 0;
    if (r && r->job == index && r->generation == generation) {
        if (takes_along)
            tq_job_set_counts(job, larger(tq_job_begun(job), r->begun),
                              larger(tq_job_failures(job), r->failures));
        slips = r->slips;
        tq_locktab_remove(&engine->queue_locks, bucket, record);
    } else {
        record = TQ_NONE;
    }
    tq_locktab_unlock(&engine->queue_locks, bucket);
    if (TQ_UNLIKELY(slips)) {
        if (takes_along)
            tq_slips_attach(engine, local, index, slips);
        else
            tq_slips_give(engine, local, slips);
    }
    if (record == TQ_NONE)
        return;
    if (side->queue_record == TQ_NONE)
        side->queue_record = record;
    else
        tq_slab_free(&engine->queue_records, &local->queue_records, record);
}

bool tq_queue_lock_held(struct trq_engine *engine, struct tq_digest digest, int64_t boot)
{
    struct tq_bucket *bucket = tq_locktab_lock(&engine->queue_locks, digest);
    uint32_t record = TQ_NONE;
    struct tq_queue_key *r = find(engine, bucket, digest, &record);
    bool held = r && names_waiting(engine, r) &&
                !is_late(engine, r->job, tq_load(&tq_job_at(engine, r->job)->word, acquire), boot);
    tq_locktab_unlock(&engine->queue_locks, bucket);
    return held;
}

struct audit {
    struct trq_engine *engine;
    uint64_t held;
    const char *wrong;
};

static void audit(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    struct audit *a = arg;
    const struct tq_queue_key *r = (const struct tq_queue_key *)record;
    (void)bucket;
    (void)index;
    a->held++;
    if (!names_waiting(a->engine, r)) {
        a->wrong = "a queue lock outlives its job's waiting";
        return;
    }
    const struct tq_job *job = tq_job_at(a->engine, r->job);
    if (!tq_digest_same(tq_side_digest(side_of_job(a->engine, job)->queue_key), record->digest))
        a->wrong = "a queue lock names a job with another key";
}

const char *tq_queue_locks_check(struct trq_engine *engine, uint64_t *out_held)
{
    struct audit a = {.engine = engine};
    if (!tq_locktab_check(&engine->queue_locks))
        return "the table of queue locks";
    tq_locktab_walk(&engine->queue_locks, audit, &a);
    *out_held = a.held;
    return a.wrong;
}
