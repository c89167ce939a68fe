#include "engine/core/workerlock.h"

#include <assert.h>

#include "engine/core/life.h"
#include "engine/core/publish.h"
#include "engine/core/space.h"

/* Sides are named by index + 1 in the record and in links; 0: none. */
static inline struct tq_side *side_of(const struct trq_engine *e, uint32_t plus_one)
{
    return tq_side_at(e, plus_one - 1);
}

static inline struct tq_job *job_of(const struct trq_engine *e, const struct tq_side *side)
{
    return tq_job_at(e, side->job);
}

static inline struct tq_queue *queue_of(const struct trq_engine *e, const struct tq_side *side)
{
    return e->registry.queues[side->queue];
}

static inline void set_tie(struct tq_side *side, enum tq_tie tie)
{
    tq_store(&side->tie, (uint32_t)tie, release); /* rel: pairs tie_of, for the credit */
}
static inline enum tq_tie tie_of(const struct tq_side *side)
{
    return (enum tq_tie)tq_load(&side->tie, acquire);
}

/* ---- users ---------------------------------------------------------------------------------------------- */

static void link_user(struct trq_engine *e, struct tq_worker_key *r, uint32_t me)
{
    struct tq_side *side = side_of(e, me);
    side->prev = 0;
    side->next = r->users;
    if (r->users)
        side_of(e, r->users)->prev = me;
    r->users = me;
}

static void unlink_user(struct trq_engine *e, struct tq_worker_key *r, uint32_t me)
{
    struct tq_side *side = side_of(e, me);
    if (side->prev)
        side_of(e, side->prev)->next = side->next;
    else
        r->users = side->next;
    if (side->next)
        side_of(e, side->next)->prev = side->prev;
    side->prev = side->next = 0;
}

/* ---- lanes ---------------------------------------------------------------------------------------------- */

/* What points to the first waiter of that queue; to 0: none of it waits. */
static uint32_t *find_lane(struct trq_engine *e, struct tq_worker_key *r, uint32_t queue)
{
    uint32_t *at = &r->lanes;
    while (*at && side_of(e, *at)->queue != queue)
        at = &side_of(e, *at)->lane_next;
    return at;
}

/* In order of place. New ones come behind all others, those that are back before them: both ends first. */
static void join_lane(struct trq_engine *e, struct tq_worker_key *r, uint32_t me)
{
    struct tq_side *side = side_of(e, me);
    uint32_t *lane = find_lane(e, r, side->queue);
    r->waiting++;
    side->prev = side->next = 0;
    if (!*lane) {
        side->lane_next = 0;
        side->lane_tail = me;
        *lane = me;
        return;
    }
    struct tq_side *head = side_of(e, *lane);
    if (side->place < head->place) {
        side->lane_next = head->lane_next;
        side->lane_tail = head->lane_tail;
        side->next = *lane;
        head->prev = me;
        *lane = me;
        return;
    }
    uint32_t after = head->lane_tail;
    while (side_of(e, after)->place > side->place)
        after = side_of(e, after)->prev;
    struct tq_side *before = side_of(e, after);
    side->prev = after;
    side->next = before->next;
    if (before->next)
        side_of(e, before->next)->prev = me;
    else
        head->lane_tail = me;
    before->next = me;
}

static void leave_lane(struct trq_engine *e, struct tq_worker_key *r, uint32_t me)
{
    struct tq_side *side = side_of(e, me);
    uint32_t *lane = find_lane(e, r, side->queue);
    r->waiting--;
    if (*lane == me) {
        if (side->next) {
            struct tq_side *heir = side_of(e, side->next);
            heir->lane_next = side->lane_next;
            heir->lane_tail = side->lane_tail;
            heir->prev = 0;
            *lane = side->next;
        } else {
            *lane = side->lane_next;
        }
    } else {
        side_of(e, side->prev)->next = side->next;
        if (side->next)
            side_of(e, side->next)->prev = side->prev;
        else
            side_of(e, *lane)->lane_tail = side->prev;
    }
    side->prev = side->next = 0;
}

/* ---- the record ------------------------------------------------------------------------------------------ */

/* I4. This job leaves; the record is `index`. */
static void settle_credit(struct trq_engine *e, struct tq_bucket *bucket, struct tq_worker_key *r,
                          uint32_t index, struct tq_side *leaving)
{
    uint32_t heir = r->users ? r->users : r->lanes;
    if (!heir) {
        tq_locktab_remove(&e->worker_locks, bucket, index);
        assert(leaving->worker_record == TQ_NONE);
        leaving->worker_record = index;
    } else if (leaving->worker_record == TQ_NONE) {
        /* All who stay have theirs, if I have not. */
        leaving->worker_record = side_of(e, heir)->worker_record;
        side_of(e, heir)->worker_record = TQ_NONE;
        assert(leaving->worker_record != TQ_NONE);
    }
}

static struct tq_worker_key *find(struct trq_engine *e, const struct tq_bucket *bucket,
                                  struct tq_digest digest, uint32_t *out_index)
{
    return (struct tq_worker_key *)tq_locktab_find(&e->worker_locks, bucket, digest, out_index);
}

static struct tq_worker_key *add(struct trq_engine *e, struct tq_bucket *bucket,
                                 struct tq_digest digest, uint32_t limit, struct tq_side *side)
{
    uint32_t index = side->worker_record;
    side->worker_record = TQ_NONE;
    struct tq_worker_key *r =
        (struct tq_worker_key *)tq_locktab_add(&e->worker_locks, bucket, index, digest);
    r->limit = limit;
    r->holders = r->invited = r->waiting = 0;
    r->users = r->lanes = 0;
    return r;
}

/* The lane whose first waiter the ready order would take first; what points to it. NULL: none may be worked. */
static uint32_t best_lane(struct trq_engine *e, const struct tq_worker_key *r)
{
    uint32_t best = 0;
    for (uint32_t at = r->lanes; at; at = side_of(e, at)->lane_next) {
        const struct tq_queue *queue = queue_of(e, side_of(e, at));
        if (!queue->worked || tq_load(&queue->paused, seq_cst))
            continue;
        if (!best) {
            best = at;
            continue;
        }
        int32_t mine = tq_queue_weight(queue);
        int32_t others = tq_queue_weight(queue_of(e, side_of(e, best)));
        if (mine > others || (mine == others && side_of(e, at)->order < side_of(e, best)->order))
            best = at;
    }
    return best;
}

/* Nobody else takes it out of PARKED: we have the bucket. */
static void wake(struct trq_engine *e, struct tq_local *local, struct tq_side *side, uint64_t *word)
{
    struct tq_queue *queue = queue_of(e, side);
    uint32_t link = side->link, index = side->job;
    uint64_t place = side->place;
    tq_sub(&queue->parked, 1, relaxed);
    side->link = TQ_NONE;
    if (!tq_job_become_if(tq_job_at(e, index), TQ_WOKEN, word))
        assert(!"parked");
    tq_fifo_put(&queue->fifo, &local->segments, link, place, index);
    tq_publish_mark(e, queue);
}

/* I2: invite as many as could have the key now. Returns how many; tq_notify is to follow, outside. */
static unsigned invite(struct trq_engine *e, struct tq_local *local, struct tq_worker_key *r)
{
    unsigned woken = 0;
    while (r->waiting && r->holders + r->invited < r->limit) {
        uint32_t me = best_lane(e, r);
        if (!me)
            break;
        struct tq_side *side = side_of(e, me);
        leave_lane(e, r, me);
        link_user(e, r, me);
        set_tie(side, TQ_INVITED);
        r->invited++;
        uint64_t word = tq_load(&job_of(e, side)->word, acquire);
        if (tq_word_state(word) == TQ_PARKED) {
            wake(e, local, side, &word);
            woken++;
        } /* else it is STARTING, and about to lie down, and will find out */
    }
    return woken;
}

static void notify(struct trq_engine *e, struct tq_local *local, unsigned invited)
{
    if (invited)
        tq_notify(e, local);
}

/* ---- what jobs do ------------------------------------------------------------------------------------------ */

bool tq_worker_lock_take(struct trq_engine *engine, struct tq_local *local, uint32_t at,
                         struct tq_digest digest, uint32_t limit, int64_t now)
{
    struct tq_side *side = tq_side_at(engine, at);
    if (tie_of(side) == TQ_INVITED && !tq_digest_same(tq_side_digest(side->worker_key), digest))
        tq_worker_lock_decline(engine, local, at);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    uint32_t index = TQ_NONE;
    struct tq_worker_key *r = find(engine, bucket, digest, &index);
    bool added = !r;
    if (added)
        r = add(engine, bucket, digest, limit, side);
    if (tie_of(side) ==
        TQ_INVITED) { /* by this key: others were declined, and nobody else invites */
        r->invited--;
        unlink_user(engine, r, at + 1);
    }
    tq_side_set_digest(side->worker_key, digest);
    side->since = now;
    bool took = r->holders < r->limit;
    if (took) {
        r->holders++;
        link_user(engine, r, at + 1);
        set_tie(side, TQ_HOLDS);
    } else {
        if (!side->order)
            side->order = tq_add(&engine->park_order, 1, relaxed) + 1;
        join_lane(engine, r, at + 1);
        set_tie(side, TQ_WAITS);
    }
    tq_locktab_unlock(&engine->worker_locks, bucket);
    if (added)
        tq_locktab_grow(&engine->worker_locks);
    return took;
}

enum tq_lie_down tq_worker_lock_lie_down(struct trq_engine *engine, struct tq_local *local,
                                         uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    struct tq_digest digest = tq_side_digest(side->worker_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    enum tq_lie_down result = TQ_CALLED;
    (void)local;
    if (tie_of(side) == TQ_WAITS) {
        struct tq_queue *queue = queue_of(engine, side);
        uint64_t old;
        result = TQ_LIES;
        tq_add(&queue->parked, 1, relaxed);
        /* From here on who ends it waits for our bucket. */
        if (!tq_job_become_unless(job_of(engine, side), TQ_STARTING, TQ_MUST_WAIT, TQ_STOP_ASKED,
                                  &old)) {
            uint32_t index = TQ_NONE;
            struct tq_worker_key *r = find(engine, bucket, digest, &index);
            tq_sub(&queue->parked, 1, relaxed);
            leave_lane(engine, r, at + 1);
            settle_credit(engine, bucket, r, index, side);
            set_tie(side, TQ_UNTIED);
            result = TQ_CALLED_OFF;
        }
    }
    tq_locktab_unlock(&engine->worker_locks, bucket);
    return result;
}

void tq_worker_lock_release(struct trq_engine *engine, struct tq_local *local, uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    struct tq_digest digest = tq_side_digest(side->worker_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    uint32_t index = TQ_NONE;
    struct tq_worker_key *r = find(engine, bucket, digest, &index);
    unsigned invited = 0;
    if (r && tie_of(side) == TQ_HOLDS) {
        r->holders--;
        unlink_user(engine, r, at + 1);
        set_tie(side, TQ_UNTIED);
        side->order = 0;
        invited = invite(engine, local, r);
        settle_credit(engine, bucket, r, index, side);
    } else {
        tq_add(&engine->stale_releases, 1, relaxed);
    }
    tq_locktab_unlock(&engine->worker_locks, bucket);
    notify(engine, local, invited);
}

void tq_worker_lock_decline(struct trq_engine *engine, struct tq_local *local, uint32_t at)
{
    struct tq_side *side = tq_side_at(engine, at);
    if (tie_of(side) != TQ_INVITED)
        return;
    struct tq_digest digest = tq_side_digest(side->worker_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    unsigned invited = 0;
    if (tie_of(side) == TQ_INVITED) {
        uint32_t index = TQ_NONE;
        struct tq_worker_key *r = find(engine, bucket, digest, &index);
        r->invited--;
        unlink_user(engine, r, at + 1);
        set_tie(side, TQ_UNTIED);
        side->order = 0; /* its wait for this key is over */
        invited = invite(engine, local, r);
        settle_credit(engine, bucket, r, index, side);
    }
    tq_locktab_unlock(&engine->worker_locks, bucket);
    notify(engine, local, invited);
}

bool tq_worker_lock_end_parked(struct trq_engine *engine, uint32_t index, uint64_t *word,
                               enum tq_reason reason)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint32_t at = tq_cold_side(tq_load(&job->cold, acquire));
    if (at == UINT32_MAX)
        return false; /* the word has changed since */
    struct tq_side *side = tq_side_at(engine, at);
    struct tq_digest digest = tq_side_digest(side->worker_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    /* It may have been woken meanwhile, and be parked on another key now. If it is not, it stays here while we have the
     * bucket. */
    uint64_t now = tq_load(&job->word, acquire);
    bool here = tq_word_generation(now) == tq_word_generation(*word) &&
                tq_word_state(now) == TQ_PARKED &&
                tq_digest_same(tq_side_digest(side->worker_key), digest);
    bool ended = here && tq_job_become_if(job, reason, word);
    if (ended) {
        uint32_t record = TQ_NONE;
        struct tq_worker_key *r = find(engine, bucket, digest, &record);
        leave_lane(engine, r, at + 1);
        set_tie(side, TQ_UNTIED);
        tq_sub(&queue_of(engine, side)->parked, 1, relaxed);
        settle_credit(engine, bucket, r, record, side);
    }
    tq_locktab_unlock(&engine->worker_locks, bucket);
    return ended;
}

/* ---- pause, resume ------------------------------------------------------------------------------------------ */

struct review {
    struct trq_engine *engine;
    struct tq_local *local;
    unsigned invited;
};

static void review(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    struct review *v = arg;
    struct trq_engine *e = v->engine;
    struct tq_worker_key *r = (struct tq_worker_key *)record;
    /* Who stands at the front of a queue that is paused now does not stand for I2. It stays where it is and keeps its
     * credit; the record it leaves has other users, or else goes when the last of them goes. */
    for (uint32_t me = r->users, next; me; me = next) {
        struct tq_side *side = side_of(e, me);
        next = side->next;
        if (tie_of(side) == TQ_INVITED && tq_load(&queue_of(e, side)->paused, seq_cst)) {
            r->invited--;
            unlink_user(e, r, me);
            settle_credit(e, bucket, r, index, side);
            set_tie(side, TQ_UNTIED);
            if (!r->users && !r->lanes)
                return; /* the record was its credit, and is gone */
        }
    }
    v->invited += invite(e, v->local, r);
}

void tq_worker_locks_review(struct trq_engine *engine, struct tq_local *local)
{
    struct review v = {.engine = engine, .local = local};
    tq_locktab_walk(&engine->worker_locks, review, &v);
    notify(engine, local, v.invited);
}

/* ---- looking --------------------------------------------------------------------------------------------------- */

static void look(struct trq_engine *e, const struct tq_worker_key *r, struct tq_side *side,
                 struct tq_parked_look *out)
{
    const struct tq_job *job = job_of(e, side);
    const struct tq_class *class = e->registry.classes[tq_job_class_number(job)];
    out->queue = queue_of(e, side);
    out->worker = class->text;
    out->space = side->space ? side->space->text : class->worker_lock.space->text;
    out->since = side->since;
    out->key = r->record.digest.a;
    int32_t weight = tq_queue_weight(out->queue);
    for (uint32_t lane = r->lanes; lane; lane = side_of(e, lane)->lane_next) {
        const struct tq_queue *queue = queue_of(e, side_of(e, lane));
        bool own = queue == out->queue;
        for (uint32_t at = lane; at; at = side_of(e, at)->next) {
            const struct tq_side *other = side_of(e, at);
            if (own && other == side)
                break;
            int32_t theirs = tq_queue_weight(queue);
            out->ahead +=
                own || theirs > weight || (theirs == weight && other->order < side->order);
        }
    }
    for (uint32_t at = r->users; at; at = side_of(e, at)->next) {
        struct tq_side *user = side_of(e, at);
        if (tie_of(user) != TQ_HOLDS)
            continue;
        const struct tq_job *holder = job_of(e, user);
        out->holder = tq_job_id(e, user->job, tq_load(&holder->word, relaxed));
        out->holder_worker = e->registry.classes[tq_job_class_number(holder)]->text;
        out->holder_since = user->since;
    }
}

bool tq_worker_lock_look(struct trq_engine *engine, uint32_t index, uint64_t word,
                         struct tq_parked_look *out)
{
    struct tq_job *job = tq_job_at(engine, index);
    uint32_t at = tq_cold_side(tq_load(&job->cold, acquire));
    *out = (struct tq_parked_look){0};
    if (at == UINT32_MAX)
        return false;
    struct tq_side *side = tq_side_at(engine, at);
    struct tq_digest digest = tq_side_digest(side->worker_key);
    struct tq_bucket *bucket = tq_locktab_lock(&engine->worker_locks, digest);
    uint64_t now = tq_load(&job->word, acquire);
    uint32_t record = TQ_NONE;
    struct tq_worker_key *r = find(engine, bucket, digest, &record);
    bool parked = r && tq_word_generation(now) == tq_word_generation(word) &&
                  tq_word_state(now) == TQ_PARKED &&
                  tq_digest_same(tq_side_digest(side->worker_key), digest);
    if (parked)
        look(engine, r, side, out);
    tq_locktab_unlock(&engine->worker_locks, bucket);
    return parked;
}

struct audit {
    struct trq_engine *engine;
    uint64_t waiting;
    const char *wrong;
};

static void audit(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    struct audit *a = arg;
    struct trq_engine *e = a->engine;
    const struct tq_worker_key *r = (const struct tq_worker_key *)record;
    uint32_t holders = 0, invited = 0, waiting = 0, credits = 0;
    (void)bucket;
    (void)index;
    for (uint32_t at = r->users; at; at = side_of(e, at)->next) {
        enum tq_tie tie = tie_of(side_of(e, at));
        enum tq_state state = tq_word_state(tq_load(&job_of(e, side_of(e, at))->word, relaxed));
        holders += tie == TQ_HOLDS;
        invited += tie == TQ_INVITED;
        credits += side_of(e, at)->worker_record != TQ_NONE;
        if (tie == TQ_HOLDS ? state != TQ_RUNNING && state != TQ_STARTING : state != TQ_READY)
            a->wrong = "a worker lock's user is in another state";
    }
    for (uint32_t lane = r->lanes; lane; lane = side_of(e, lane)->lane_next) {
        uint32_t last = lane;
        for (uint32_t at = lane; at; last = at, at = side_of(e, at)->next) {
            const struct tq_side *side = side_of(e, at);
            waiting++;
            credits += side->worker_record != TQ_NONE;
            if (tie_of(side) != TQ_WAITS ||
                tq_word_state(tq_load(&job_of(e, side)->word, relaxed)) != TQ_PARKED ||
                !tq_digest_same(tq_side_digest(side->worker_key), record->digest))
                a->wrong = "a worker lock's waiter is not parked there";
            if (queue_of(e, side) != queue_of(e, side_of(e, lane)) ||
                (at != lane && side->place < side_of(e, last)->place))
                a->wrong = "waiters are out of order";
        }
        if (side_of(e, lane)->lane_tail != last)
            a->wrong = "a lane's end is another waiter";
    }
    if (holders != r->holders || invited != r->invited || waiting != r->waiting)
        a->wrong = "a worker lock has miscounted";
    if (holders > r->limit)
        a->wrong = "a worker lock has more holders than its limit";
    if (waiting && holders + invited < r->limit && best_lane(e, r))
        a->wrong = "a key is free, somebody could have it, and nobody is on his way";
    if (holders + invited + waiting != credits + 1)
        a->wrong = "a credit is lost";
    a->waiting += waiting;
}

const char *tq_worker_locks_check(struct trq_engine *engine, uint64_t *out_waiting)
{
    struct audit a = {.engine = engine};
    if (!tq_locktab_check(&engine->worker_locks))
        return "the table of worker locks";
    tq_locktab_walk(&engine->worker_locks, audit, &a);
    *out_waiting = a.waiting;
    return a.wrong;
}
