/* From a call to a job that waits. The order is fixed: slot, inputs, key, side, note, segment or timer; then, if it has a
 * queue lock to ask for, the question (queuelock.h), and the publication. Nothing can fail after it but the closing of
 * the queue at a stop, and then it is as if it had never been. */
#include <tresque/enqueue.h>

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/sized.h"
#include "engine/core/channel.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/enqueue.h"
#include "engine/core/inputs.h"
#include "engine/core/key.h"
#include "engine/core/layout.h"
#include "engine/core/life.h"
#include "engine/core/queuelock.h"
#include "engine/core/retry.h"
#include "engine/core/run.h"
#include "engine/core/schedule.h"
#include "engine/core/space.h"
#include "engine/core/trail.h"
#include "engine/core/upgrade.h"

/* What a job with locks, or for later, needs. */
struct plan {
    struct tq_lock own_queue_lock, own_worker_lock; /* of the call */
    const struct tq_lock *queue_lock, *worker_lock; /* the call's or the worker's; NULL: none */
    enum trq_on_conflict rule;
    uint64_t flags; /* of the job's word */
    /* Of its trail, if it has one. */
    bool has_trail;
    const struct trq_retry *retry; /* NULL: the worker's */
    int64_t expires_in, timeout;
    int64_t deadline; /* boot ns, inherited; INT64_MAX: none */
    uint32_t version; /* with TQ_OLD in flags */
    bool later;
    int64_t due, first; /* both on the clock that TQ_WALL in flags names */
};

struct call {
    struct trq_engine *engine;
    struct tq_local *local;
    struct tq_class *class;
    struct tq_queue *queue;
    const struct tq_source *source;
    const struct trq_opts *opts; /* may be NULL */
    struct trq_error *error;     /* may be NULL */
    const struct plan *plan;     /* NULL: ready now, without locks */
    struct tq_ended *endings;    /* of jobs that end because of these: room for one each */
    int64_t expires;             /* of the first job: boot ns */
    uint64_t now; /* of several jobs: the stamp of all that are not timed; 0: read the clock */
};

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static int refuse(const struct call *c, int code)
{
    if (code == TRQ_EFULL)
        tq_count(&c->local->refused_full, 1);
    else if (code == TRQ_EINPUT)
        tq_count(&c->local->refused_input, 1);
    return code;
}

/* ---- inputs ------------------------------------------------------------------------------------------------ */

/* old: of another version of the declaration, for which only dictionaries are taken. */
ALWAYS_INLINE long encode(const struct call *c, bool old, size_t i, unsigned char *buffer,
                          size_t capacity)
{
    const struct tq_source *s = c->source;
    if (TQ_LIKELY(s->structs != NULL))
        return tq_inputs_from_struct(c->class->layout,
                                     (const char *)s->structs + i * c->class->struct_size, buffer,
                                     capacity, c->engine->job_size_max, c->error);
    return tq_inputs_from_dict(old ? c->class->bare : c->class->layout, s->dicts[i], s->trusted,
                               buffer, capacity, c->engine->job_size_max, c->error);
}

ALWAYS_INLINE int fill_inputs(const struct call *c, bool old, struct tq_job *job, size_t i)
{
    long size = encode(c, old, i, job->u.inputs, TQ_INLINE);
    if (TQ_UNLIKELY(size < 0))
        return (int)size;
    job->size = (uint32_t)size & ((1u << 25) - 1);
    job->block_class = TQ_INLINE_CLASS;
    if (TQ_LIKELY(size <= TQ_INLINE))
        return 0;
    unsigned char *block = tq_blocks_take(&c->engine->blocks, &c->local->blocks, job);
    if (!block) {
        job->block_class = TQ_INLINE_CLASS;
        return tq_error(c->error, TRQ_ENOMEM, "no memory for %ld bytes of inputs", size);
    }
    /* Some errors are found only where there is room for all. */
    size = encode(c, old, i, block, (size_t)size);
    if (size < 0)
        tq_blocks_give(&c->engine->blocks, &c->local->blocks, job);
    return size < 0 ? (int)size : 0;
}

/* Several jobs share a reading of the coarse clock. */
ALWAYS_INLINE uint64_t stamp(const struct call *c)
{
    if (c->now && --c->local->sample_in)
        return c->now;
    if (c->now)
        c->local->sample_in = 1;
    return tq_stamp(c->engine, c->local);
}

/* ---- locks: what a job brings along --------------------------------------------------------------------- */

/* As the present version reads them. */
static struct tq_former former_of(const struct call *c, struct tq_job *job)
{
    return tq_upgrade_former(c->class, tq_blocks_at(&c->engine->blocks, job), job->size);
}

/* The function of a queue lock: on the enqueuer's thread, and perhaps inside a handler, whose run must not be disturbed. */
static int ask_key(const struct call *c, struct tq_job *job, uint32_t index, struct tq_digest *out)
{
    enum { SMALL = 256 };
    _Alignas(16) unsigned char small[SMALL];
    const struct tq_memory *memory = &c->engine->memory;
    size_t size = c->class->struct_size;
    struct trq_job run;
    memset(&run, 0, sizeof run);
    run.engine = c->engine;
    run.local = c->local;
    run.class = c->class;
    run.job = job;
    run.inputs = tq_blocks_at(&c->engine->blocks, job);
    run.index = index;
    run.word = tq_load(&job->word, relaxed) | (c->plan->flags & TQ_OLD);
    run.deadline = INT64_MAX;
    run.scratch = size <= SMALL ? small : tq_alloc_raw(memory, size, 16);
    if (!run.scratch)
        return tq_error(c->error, TRQ_ENOMEM, "no memory for the inputs as a struct");
    bool was_in_callback = c->local->in_callback, was_attempting = c->local->attempting;
    c->local->in_callback = true;
    c->local->attempting = false;
    const struct tq_former former = former_of(c, job);
    bool whole = c->plan->flags & TQ_OLD && !tq_former_tells(&former, NULL, 0);
    enum trq_end end =
        tq_run_ask(&run, c->plan->queue_lock->key, &c->plan->queue_lock->space->queue_prefix,
                   whole ? &former : NULL, out);
    c->local->in_callback = was_in_callback;
    c->local->attempting = was_attempting;
    if (size > SMALL)
        tq_free(memory, run.scratch, size);
    if (end == TRQ_DONE)
        return 0;
    return tq_error(c->error, TRQ_EINPUT, "%.100s: queue lock: %.120s", c->class->text,
                    end == TRQ_FAILED || end == TRQ_DISCARDED
                        ? run.error.text
                        : "its function gave an answer instead of a key");
}

/* Of a lock of this call: each of its names is an input that is declared, or given. */
static int check_names(const struct call *c, const struct tq_lock *lock, struct tq_job *job)
{
    const unsigned char *bytes = tq_blocks_at(&c->engine->blocks, job);
    const struct tq_layout *layout = tq_job_layout(c->class, c->plan->flags);
    for (uint32_t i = 0; i < lock->names_count; i++) {
        const char *name = lock->names[i];
        struct trq_value value;
        if (!tq_layout_find(c->class->layout, name, strlen(name)) &&
            !tq_inputs_get(layout, bytes, job->size, name, strlen(name), &value))
            return tq_error(
                c->error, TRQ_EINPUT,
                "%.100s: input %.60s, which a lock names, is neither declared nor given",
                c->class->text, name);
    }
    return 0;
}

/* Of a lock without a function. */
static struct tq_digest digest_of(const struct call *c, const struct tq_lock *lock, bool worker,
                                  struct tq_job *job)
{
    const struct tq_former former = former_of(c, job);
    if (TQ_UNLIKELY(c->plan->flags & TQ_OLD))
        return tq_lock_digest_former(lock, worker, &former);
    return tq_lock_digest(lock, worker, c->class->layout, former.bytes, job->size);
}

static int queue_digest(const struct call *c, struct tq_job *job, uint32_t index,
                        struct tq_digest *out)
{
    if (c->plan->queue_lock->key)
        return ask_key(c, job, index, out);
    *out = digest_of(c, c->plan->queue_lock, false, job);
    tq_locktab_prefetch(&c->engine->queue_locks, *out);
    return 0;
}

/* Limits of its own. */
static bool fill_trail(const struct call *c, struct tq_side *side)
{
    const struct plan *p = c->plan;
    uint32_t plus_one;
    struct tq_trail *trail = tq_trail_take(c->engine, c->local, &plus_one);
    if (!trail)
        return false;
    trail->expires_in = p->expires_in;
    trail->timeout = p->timeout;
    trail->deadline = p->deadline;
    trail->version = p->version;
    if (p->retry)
        tq_sized_copy(&trail->retry, p->retry, sizeof trail->retry);
    tq_store(&trail->retries, tq_retry_limit(p->retry ? p->retry : c->class->declared->retry),
             relaxed);
    tq_store(&side->trail, plus_one, relaxed);
    return true;
}

/* A side, if it has a lock or limits. *out_cold: 0 or what names it. */
static int fill_side(const struct call *c, struct tq_job *job, uint32_t index, uint32_t *out_cold)
{
    const struct plan *p = c->plan;
    struct tq_digest digest = {0, 0};
    int rc = 0;
    if (p->queue_lock == &p->own_queue_lock)
        rc = check_names(c, p->queue_lock, job);
    if (rc == 0 && p->worker_lock == &p->own_worker_lock)
        rc = check_names(c, p->worker_lock, job);
    if (rc == 0 && p->queue_lock)
        rc = queue_digest(c, job, index, &digest);
    if (rc < 0)
        return rc;
    uint32_t at;
    if (tq_side_take(c->engine, c->local, index, c->queue->number, p->queue_lock != NULL,
                     p->worker_lock != NULL, &at) < 0)
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a job with locks or limits");
    uint32_t upcoming = tq_slab_upcoming(&c->local->sides, 1);
    if (upcoming != TQ_NONE) {
        TQ_PREFETCH_WRITE(tq_side_at(c->engine, upcoming));
        TQ_PREFETCH_WRITE((char *)tq_side_at(c->engine, upcoming) + TQ_LINE);
    }
    struct tq_side *side = tq_side_at(c->engine, at);
    if (p->has_trail && !fill_trail(c, side)) {
        tq_side_release(c->engine, c->local, at);
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a job with limits");
    }
    tq_side_set_digest(side->queue_key, digest);
    side->first = p->first;
    if (p->worker_lock == &p->own_worker_lock) {
        side->space = p->worker_lock->space;
        side->key = p->worker_lock->key;
        if (!side->key)
            tq_side_set_digest(side->worker_key, digest_of(c, p->worker_lock, true, job));
    }
    *out_cold = TQ_COLD_SIDE | at;
    return 0;
}

/* ---- one job, made but not published ------------------------------------------------------------------- */

ALWAYS_INLINE int make_job(const struct call *c, bool old, size_t i, uint32_t *out_index)
{
    uint32_t index = TQ_NONE;
    struct trq_engine *e = c->engine;
    enum tq_slab_result r = tq_slab_alloc(&e->jobs, &c->local->jobs, &index);
    if (TQ_UNLIKELY(r == TQ_SLAB_FULL && tq_tombs_clear(e, c->local)))
        r = tq_slab_alloc(&e->jobs, &c->local->jobs, &index);
    if (TQ_UNLIKELY(r != TQ_SLAB_OK))
        return r == TQ_SLAB_FULL
                   ? tq_error(c->error, TRQ_EFULL, "the engine is full: %u jobs", e->jobs_max)
                   : tq_error(c->error, TRQ_ENOMEM, "no memory for a job");
    uint32_t upcoming = tq_slab_upcoming(&c->local->jobs, 3);
    if (upcoming != TQ_NONE)
        TQ_PREFETCH_WRITE(tq_job_at(e, upcoming));
    struct tq_job *job = tq_job_at(e, index);
    int rc = fill_inputs(c, old, job, i);
    if (TQ_UNLIKELY(rc < 0))
        goto give_slot;
    uint32_t note = 0, cold = 0;
    if (c->opts && (c->opts->channel || c->opts->on_end || c->opts->tag)) {
        rc = tq_note_take(e, c->local, c->opts, &note);
        if (rc < 0) {
            tq_error(c->error, rc,
                     rc != TRQ_EFULL    ? "no memory for a job"
                     : c->opts->channel ? "the channel is full"
                                        : "too many ends are to be told");
            goto give_inputs;
        }
    }
    /* Last, since it may ask a function of the caller's: when there is room for the job. */
    if (TQ_UNLIKELY(c->plan != NULL &&
                    (c->plan->queue_lock || c->plan->worker_lock || c->plan->has_trail))) {
        rc = fill_side(c, job, index, &cold);
        if (rc < 0)
            goto give_note;
    }
    if (TQ_UNLIKELY(cold))
        tq_store(&tq_side_at(e, cold & ~TQ_COLD_SIDE)->note, note, relaxed);
    else
        cold = note;
    tq_store(&job->cold, cold, relaxed);
    tq_job_set_kind(job, c->class->number, c->queue->number);
    tq_job_set_counts(job, 0, 0);
    /* Nobody else knows the slot: stores are enough, and the push releases them. */
    uint64_t word = tq_load(&job->word, relaxed);
    if (TQ_LIKELY(!c->plan || !c->plan->later)) {
        if (TQ_UNLIKELY(c->plan && c->plan->flags & TQ_EXPIRES))
            tq_trail_begin_wait(e, job, tq_clock_boot(&e->clock));
        tq_store(&job->enqueued, stamp(c), relaxed);
        word = tq_word_after(word, TQ_FREE, TQ_ENQUEUED);
        tq_store(&job->word, c->plan ? word | c->plan->flags : word, relaxed);
    } else {
        /* SCHEDULED only when it is admitted, since there are those who look for such jobs in all slots. */
        tq_store(&job->enqueued, (uint64_t)c->plan->due, relaxed);
    }
    if (note)
        tq_note_arm(e, note, tq_job_id(e, index, word));
    *out_index = index;
    return 0;
give_note:
    if (note)
        tq_note_drop(e, c->local, note);
give_inputs:
    tq_blocks_give(&e->blocks, &c->local->blocks, job);
give_slot:
    tq_job_discard_slot(e, c->local, index);
    return rc;
}

/* As if it had never been: no call-back. Its id was never told to anybody. */
static void undo_job(const struct call *c, uint32_t index)
{
    struct trq_engine *e = c->engine;
    uint32_t note = tq_job_strip(e, c->local, tq_job_at(e, index));
    if (note)
        tq_note_drop(e, c->local, note);
    tq_job_unmake(e, c->local, index);
}

/* ---- some jobs, all or none ------------------------------------------------------------------------------ */

/* After the jobs are made, since the function of a key may enqueue, too. */
static int reserve(const struct call *c)
{
    uint32_t count = (uint32_t)c->source->count;
    if (!tq_fifo_reserve(&c->engine->segments, &c->local->segments, count))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a queue to grow");
    bool timed = c->plan && (c->plan->later || c->plan->flags & TQ_EXPIRES);
    if (timed && !tq_timer_reserve(c->engine, c->local, count))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for timers");
    return 0;
}

static int make_jobs(const struct call *c, uint32_t *items)
{
    size_t count = c->source->count, made = 0;
    struct trq_engine *e = c->engine;
    const bool old = c->plan && c->plan->flags & TQ_OLD;
    int rc = 0;
    while (rc == 0 && made < count) {
        rc = make_job(c, old, made, &items[made]);
        made += rc == 0;
    }
    if (rc == 0)
        rc = reserve(c);
    if (TQ_UNLIKELY(rc < 0)) {
        while (made--)
            undo_job(c, items[made]);
        return rc;
    }
    /* Once published they may end, and their generations be those of other jobs. */
    for (size_t i = 0; i < count; i++)
        items[count + i] = tq_word_generation(tq_load(&tq_job_at(e, items[i])->word, relaxed));
    return 0;
}

static inline void count_enqueued(const struct call *c, size_t count)
{
    struct tq_tally *tally = tq_local_tally(c->local, c->class->number);
    tq_class_count(c->class, tally, TQ_COUNT_enqueued, count);
}

/* It is in its queue; may have left it, too. */
static void watch_expiry(const struct call *c, uint32_t index, uint32_t generation)
{
    if (c->plan)
        tq_expiry_submit(c->engine, c->local, index, tq_word(generation, TQ_READY) | c->plan->flags,
                         c->expires);
}

static int publish_jobs(const struct call *c, const uint32_t *items)
{
    uint32_t count = (uint32_t)c->source->count;
    uint32_t pushed = tq_publish(c->engine, c->local, c->queue, items, count);
    if (TQ_UNLIKELY(pushed < count)) {
        /* The engine stops. If some are in the queue, they are dropped there, and the rest here: accepted,
         * all of them, and told so. */
        for (uint32_t i = pushed; i < count; i++)
            if (pushed)
                tq_job_drop(c->engine, c->local, items[i]);
            else
                undo_job(c, items[i]);
        if (!pushed)
            return tq_error(c->error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    }
    count_enqueued(c, count);
    for (uint32_t i = 0; i < pushed; i++)
        watch_expiry(c, items[i], items[count + i]);
    for (uint32_t i = 0; c->opts && c->opts->out_codes && i < count; i++)
        c->opts->out_codes[i] = TRQ_OK;
    if (!c->opts || !c->opts->wake_later)
        tq_notify(c->engine, c->local);
    return TRQ_OK;
}

/* ---- those that ask for a queue lock, or are for later ------------------------------------------------------ */

static void count_one(const struct call *c, enum tq_counter which)
{
    tq_class_count(c->class, tq_local_tally(c->local, c->class->number), which, 1);
}

static uint64_t word_when_put_off(const struct call *c, uint32_t generation)
{
    return tq_word_after(tq_word(generation, TQ_FREE), TQ_FREE, TQ_PUT_OFF) | c->plan->flags;
}

/* It is SCHEDULED. */
static void submit(const struct call *c, uint32_t index, uint32_t generation)
{
    count_enqueued(c, 1);
    tq_count(&c->local->scheduled, 1);
    tq_schedule_submit(c->engine, c->local, index, word_when_put_off(c, generation), c->plan->due);
}

static void put_off(const struct call *c, uint32_t index, uint32_t generation)
{
    tq_store(&tq_job_at(c->engine, index)->word, word_when_put_off(c, generation), seq_cst);
    submit(c, index, generation);
}

/* What the asking has made visible to the caller's own code comes at its end: that may enqueue, too, and use up what was
 * reserved here. */
struct asking {
    bool any_ready;
    size_t endings;
};

static void finish_endings(const struct call *c, const struct asking *asking)
{
    for (size_t i = 0; i < asking->endings; i++)
        tq_ended_finish(c->engine, c->local, &c->endings[i]);
}

/* The i-th asks. *item, *generation: of the job that waits now. Returns what became of it. */
static int ask(const struct call *c, size_t i, uint32_t *item, uint32_t *generation,
               struct asking *asking)
{
    const struct plan *p = c->plan;
    const struct tq_asker asker = {
        .index = *item,
        .rule = p->rule,
        .later = p->later,
        .word = p->later ? word_when_put_off(c, *generation) : 0,
        .wall = (p->flags & TQ_WALL) != 0,
        .due = p->due,
        .max_wait = p->queue_lock->max_wait,
        .now =
            p->later && p->rule == TRQ_DEBOUNCE ? tq_moment(c->engine) : (struct tq_moment){0, 0},
    };
    struct tq_answer answer;
    tq_queue_lock_ask(c->engine, c->local, &asker, &answer);
    int code = answer.code;
    if (answer.has_ended)
        c->endings[asking->endings++] = answer.ended;
    switch (code) {
    case TRQ_DEBOUNCED:
        count_one(c, TQ_COUNT_debounced);
        /* fall through */
    case TRQ_DUPLICATE:
        count_one(c, TQ_COUNT_duplicates);
        undo_job(c, asker.index);
        break;
    case TRQ_ESTOPPED:
        if (i == 0) {
            undo_job(c, asker.index);
            return tq_error(c->error, code, "the engine is stopping or has stopped");
        }
        code = TRQ_OK; /* those before it were accepted: so it is, too, and dropped */
        count_enqueued(c, 1);
        tq_job_drop(c->engine, c->local, asker.index);
        break;
    default:
        if (answer.moved)
            tq_job_unmake(c->engine, c->local, asker.index);
        if (p->later) {
            submit(c, answer.index, answer.generation);
        } else {
            count_enqueued(c, 1);
            if (answer.stopped) {
                tq_job_drop(c->engine, c->local, answer.index);
            } else {
                watch_expiry(c, answer.index, answer.generation);
                asking->any_ready = true;
            }
        }
    }
    *item = answer.index;
    *generation = answer.generation;
    return code;
}

static int admit_jobs(const struct call *c, uint32_t *items)
{
    const struct plan *p = c->plan;
    size_t count = c->source->count;
    bool asks = p->queue_lock && (!p->later || p->flags & TQ_FROM_START);
    int *codes = c->opts ? c->opts->out_codes : NULL;
    int result = TRQ_OK;
    struct asking asking = {false, 0};
    if (!asks && !p->later)
        return publish_jobs(c, items);
    for (size_t i = 0; i < count; i++) {
        int code = TRQ_OK;
        if (asks)
            code = ask(c, i, &items[i], &items[count + i], &asking);
        else
            put_off(c, items[i], items[count + i]);
        if (code <
            0) { /* the first one: nothing has happened, but that it may have met one whose time was over */
            while (++i < count)
                undo_job(c, items[i]);
            finish_endings(c, &asking);
            return code;
        }
        if (codes)
            codes[i] = code;
        if (count == 1)
            result = code;
        else if (code == TRQ_DUPLICATE || code == TRQ_DEBOUNCED)
            result = TRQ_DUPLICATE;
    }
    if (asking.any_ready && (!c->opts || !c->opts->wake_later))
        tq_notify(c->engine, c->local);
    finish_endings(c, &asking);
    return result;
}

/* Full now: wait until a slot or room in a channel comes back, as long as the caller said.
 *
 * An attempt that fails half-way gives back what it had taken without a ring, or waiters would wake each other for ever
 * over what they only held for a moment. But another waiter may have failed just because of that moment: therefore
 * nobody sleeps for longer than ROOM_AGAIN_NS before he looks by himself. */
enum { ROOM_AGAIN_NS = 20 * 1000 * 1000 };

static int make_jobs_later(const struct call *c, uint32_t *items)
{
    static const struct tq_clock system = {0};
    struct trq_engine *e = c->engine;
    struct tq_bell *bell = &e->room;
    int64_t now = tq_clock_mono(&system);
    int64_t deadline = tq_deadline(now, c->opts->wait_for_room.ns);
    uint32_t turn = tq_bell_enter(bell);
    int rc;
    for (;;) {
        c->local->attempting = true;
        rc = make_jobs(c, items);
        c->local->attempting = false;
        if (rc != TRQ_EFULL)
            break;
        if (!tq_is_open(e)) {
            rc = tq_error(c->error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
            break;
        }
        if (now >= deadline) {
            rc = tq_error(c->error, TRQ_ETIMEOUT, "still full after %.3f s",
                          (double)c->opts->wait_for_room.ns / 1e9);
            break;
        }
        int64_t again = tq_deadline(now, ROOM_AGAIN_NS);
        tq_bell_sleep(bell, turn, again < deadline ? again : deadline);
        turn = tq_bell_turn(bell);
        now = tq_clock_mono(&system);
    }
    tq_bell_leave(bell);
    return rc;
}

static int make_jobs_waiting(const struct call *c, uint32_t *items)
{
    struct trq_error why = {0};
    struct call quiet = *c;
    quiet.error = &why;
    int rc = make_jobs(&quiet, items);
    if (rc == TRQ_EFULL)
        rc = make_jobs_later(&quiet, items);
    if (rc < 0 && c->error)
        *c->error = why;
    return rc;
}

/* items: room for two numbers of each job. */
static int enqueue_all(struct call *c, uint32_t *items, struct trq_job_id *out_ids)
{
    size_t count = c->source->count;
    bool may_wait = c->opts && c->opts->wait_for_room.ns > 0 && count <= c->engine->jobs_max;
    int rc = may_wait ? make_jobs_waiting(c, items) : make_jobs(c, items);
    if (TQ_UNLIKELY(rc < 0))
        return refuse(c, rc);
    /* Some may be in the queue when it is closed: then this thread still has to drop the others. */
    bool counted = c->plan || count > 1;
    if (counted && !tq_call_enter(c->engine, c->local)) {
        while (count--)
            undo_job(c, items[count]);
        return tq_error(c->error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    }
    if (TQ_UNLIKELY(c->plan &&
                    c->plan->flags &
                        TQ_EXPIRES)) /* those made after the first expire a little later */
        c->expires = tq_trail_expires(c->engine, tq_job_at(c->engine, items[0]));
    rc = TQ_UNLIKELY(c->plan != NULL) ? admit_jobs(c, items) : publish_jobs(c, items);
    for (size_t i = 0; rc >= 0 && out_ids && i < count; i++)
        out_ids[i] = tq_job_id(c->engine, items[i], tq_word(items[count + i], TQ_READY));
    if (counted)
        tq_call_leave(c->local);
    return rc;
}

/* ---- the call ---------------------------------------------------------------------------------------------- */

static int check_opts(struct call *c)
{
    const struct trq_opts *o = c->opts;
    bool must_not_wait = c->local->running || c->local->in_callback;
    if (o->wait_for_room.ns > 0 && (must_not_wait || !c->engine->thread_count))
        return tq_error(c->error, TRQ_EINVAL, "wait_for_room %s",
                        must_not_wait ? "in a handler" : "in an engine without threads");
    if (o->channel && tq_channel_engine(o->channel) != c->engine)
        return tq_error(c->error, TRQ_EINVAL, "the channel belongs to another engine");
    if (o->queue) {
        c->queue = tq_queue_find(c->engine, c->local, c->class, o->queue);
        if (!c->queue)
            return tq_queue_unknown(c->engine, o->queue, c->error);
    }
    return 0;
}

/* How long it may wait and run, and what becomes of it when it fails. */
static int plan_limits(const struct call *c, struct plan *out)
{
    const struct trq_opts *o = c->opts;
    const struct trq_job *parent = c->local->running;
    out->retry = o ? o->retry : NULL;
    out->timeout = o ? o->timeout.ns : 0;
    out->expires_in = o && o->expires_in.ns ? o->expires_in.ns : c->class->expires_in;
    out->deadline = o && o->inherit_deadline && parent ? parent->deadline : INT64_MAX;
    if (out->timeout < 0 || out->expires_in < 0)
        return tq_error(c->error, TRQ_EINVAL, "timeout or expires_in is below zero");
    if (out->retry && tq_retry_check(out->retry, c->class->text, c->error) < 0)
        return TRQ_EINVAL;
    bool bounded = out->deadline != INT64_MAX;
    if (out->expires_in || bounded)
        out->flags |= TQ_EXPIRES;
    if (out->timeout || bounded)
        out->flags |= TQ_LIMITED;
    out->has_trail = out->retry || out->flags & (TQ_EXPIRES | TQ_LIMITED | TQ_OLD);
    return 0;
}

/* A dictionary of another version of the declaration is kept as it is, until the job starts. */
static int plan_version(const struct call *c, struct plan *out)
{
    out->version = c->opts ? c->opts->version : 0;
    if (!out->version || out->version == c->class->declared->version)
        return 0;
    if (c->source->structs)
        return tq_error(c->error, TRQ_EINVAL,
                        "worker %.100s: a struct of version %u: this program's is %u",
                        c->class->text, out->version, c->class->declared->version);
    out->flags |= TQ_OLD;
    return 0;
}

/* Locks, times and limits, of the call and of the worker. */
static int make_plan(const struct call *c, struct plan *out)
{
    const struct trq_opts *o = c->opts;
    struct trq_engine *e = c->engine;
    const struct trq_inputs *declared = c->class->declared->inputs;
    bool wall = false;
    int rc = 0;
    out->rule = TRQ_AS_DECLARED;
    out->flags = 0;
    out->later = false;
    out->due = out->first = 0;
    out->queue_lock = c->class->queue_lock.space ? &c->class->queue_lock : NULL;
    out->worker_lock = c->class->worker_lock.space ? &c->class->worker_lock : NULL;
    if (o && o->queue_lock) {
        rc = tq_lock_make(e, c->local, o->queue_lock, c->class->text, declared, false, false,
                          &out->own_queue_lock, c->error);
        out->queue_lock = &out->own_queue_lock;
    }
    if (rc == 0 && o && o->worker_lock) {
        rc = tq_lock_make(e, c->local, o->worker_lock, c->class->text, declared, true, false,
                          &out->own_worker_lock, c->error);
        out->worker_lock = &out->own_worker_lock;
    }
    if (rc < 0)
        return rc;
    if (o && o->at.ns && o->in.ns)
        return tq_error(c->error, TRQ_EINVAL, "at and in: one of the two");
    if (o && ((unsigned)o->on_conflict > TRQ_DEBOUNCE || (o->on_conflict && !out->queue_lock)))
        return tq_error(c->error, TRQ_EINVAL, "on_conflict %s",
                        out->queue_lock ? "is out of range" : "without a queue lock");
    if (o && (o->at.ns || o->in.ns))
        out->later = tq_schedule_due(e, o, &out->due, &wall, &out->first);
    if (out->queue_lock) {
        out->rule = o && o->on_conflict ? o->on_conflict : out->queue_lock->rule;
        out->flags |= TQ_QUEUE_LOCKED;
        if (out->queue_lock->scope == TRQ_FROM_SCHEDULING || out->rule == TRQ_DEBOUNCE)
            out->flags |= TQ_FROM_START;
    }
    if (out->worker_lock)
        out->flags |= TQ_WORKER_LOCKED;
    if (out->later && wall)
        out->flags |= TQ_WALL;
    rc = plan_version(c, out);
    return rc < 0 ? rc : plan_limits(c, out);
}

static bool wants_plan(const struct tq_class *class, const struct trq_opts *o)
{
    return class->flags || (o && (o->queue_lock || o->worker_lock || o->on_conflict || o->at.ns ||
                                  o->in.ns || o->expires_in.ns || o->timeout.ns || o->retry ||
                                  o->inherit_deadline || o->version));
}

/* Everything but the class. */
static int begin(struct call *c)
{
    if (c->opts) {
        if (!tq_sized_ok(c->opts, sizeof *c->opts, sizeof *c->opts))
            return TRQ_EINVAL; /* no place for a sentence is known */
        c->error = c->opts->error;
    }
    if (!c->engine)
        return tq_error(c->error, TRQ_EINVAL, "engine is NULL");
    if (!tq_is_open(c->engine))
        return tq_error(c->error, TRQ_ESTOPPED,
                        "the engine is stopping, has stopped, or is another process's");
    c->local = tq_local_of(c->engine);
    if (TQ_UNLIKELY(!c->local))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for this thread, or too many threads");
    return 0;
}

static int finish_call(struct call *c, struct trq_job_id *out_ids)
{
    enum { ON_STACK = 256 };
    uint32_t one_or_some[2 * ON_STACK];
    uint32_t *items = one_or_some;
    size_t count = c->source->count;
    c->queue = c->class->queue;
    if (c->opts) {
        int rc = check_opts(c);
        if (rc < 0)
            return rc;
    }
    struct plan plan; /* the locks of the call are written if it has them */
    if (wants_plan(c->class, c->opts)) {
        int rc = make_plan(c, &plan);
        if (rc < 0)
            return rc;
        c->plan = &plan;
    }
    struct tq_ended one_end;
    c->endings = &one_end;
    if (TQ_LIKELY(count == 1))
        return enqueue_all(c, items, out_ids);
    if (count == 0)
        return TRQ_OK;
    struct trq_engine *e = c->engine;
    if (count > e->jobs_max)
        return refuse(c, tq_error(c->error, TRQ_EFULL, "%zu jobs at once, the engine holds %u",
                                  count, e->jobs_max));
    size_t size = 2 * count * sizeof *items;
    if (count > ON_STACK && !(items = tq_alloc_raw(&e->memory, size, sizeof *items)))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for %zu jobs", count);
    /* Each may end another that waits: it takes its place, or finds that its time is over. */
    size_t ends_size = c->plan && c->plan->queue_lock ? count * sizeof *c->endings : 0;
    c->endings = ends_size ? tq_alloc_raw(&e->memory, ends_size, TQ_LINE) : NULL;
    if (ends_size && !c->endings) {
        if (items != one_or_some)
            tq_free(&e->memory, items, size);
        return tq_error(c->error, TRQ_ENOMEM, "no memory for %zu jobs", count);
    }
    c->now = (uint64_t)tq_clock_coarse(&e->clock) << 1;
    int rc = enqueue_all(c, items, out_ids);
    tq_fifo_trim(&e->segments, &c->local->segments);
    tq_free(&e->memory, c->endings, ends_size);
    if (items != one_or_some)
        tq_free(&e->memory, items, size);
    return rc;
}

int tq_enqueue_by_name(struct trq_engine *engine, const char *worker,
                       const struct tq_source *source, const struct trq_opts *opts,
                       struct trq_job_id *out_id)
{
    struct call c = {.engine = engine, .source = source, .opts = opts};
    int rc = begin(&c);
    if (rc < 0)
        return rc;
    c.class = worker ? tq_class_by_name(engine, c.local, worker) : NULL;
    if (!c.class)
        return tq_worker_unknown(engine, worker, c.error);
    return finish_call(&c, out_id);
}

/* Nothing that would lead off the straight path. */
static inline bool is_plain(const struct trq_opts *o)
{
    return !o || !(o->queue || o->channel || o->on_end || o->tag || o->wait_for_room.ns > 0 ||
                   o->queue_lock || o->worker_lock || o->at.ns || o->in.ns || o->on_conflict ||
                   o->out_codes || o->expires_in.ns || o->timeout.ns || o->retry ||
                   o->inherit_deadline || o->version);
}

/* One job without such options: the path that most calls take, straight through. */
ALWAYS_INLINE int enqueue_plain(struct call *c, struct trq_job_id *out_id)
{
    struct trq_engine *e = c->engine;
    uint32_t index = TQ_NONE;
    if (TQ_UNLIKELY(!tq_fifo_reserve(&e->segments, &c->local->segments, 1)))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a queue to grow");
    c->queue = c->class->queue;
    int rc = make_job(c, false, 0, &index);
    if (TQ_UNLIKELY(rc < 0))
        return refuse(c, rc);
    /* Once published it may end, and its generation be another job's. */
    struct trq_job_id id = tq_job_id(e, index, tq_load(&tq_job_at(e, index)->word, relaxed));
    if (TQ_UNLIKELY(tq_publish(e, c->local, c->queue, &index, 1) == 0)) {
        undo_job(c, index);
        return tq_error(c->error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    }
    if (out_id)
        *out_id = id;
    count_enqueued(c, 1);
    if (!c->opts || !c->opts->wake_later)
        tq_notify(e, c->local);
    return TRQ_OK;
}

ALWAYS_INLINE int enqueue(struct trq_engine *engine, const struct trq_worker *worker,
                          const struct trq_inputs *declared, const struct tq_source *source,
                          const struct trq_opts *opts, struct trq_job_id *out_ids)
{
    struct call c = {.engine = engine, .source = source, .opts = opts};
    int rc = begin(&c);
    if (TQ_UNLIKELY(rc < 0))
        return rc;
    if (TQ_UNLIKELY(!worker || (source->count && !source->structs && !source->dicts)))
        return tq_error(c.error, TRQ_EINVAL, "%s is NULL", worker ? "inputs" : "worker");
    c.class = tq_class_known(engine, c.local, worker);
    if (TQ_UNLIKELY(!c.class)) {
        if (worker->name && tq_class_by_name(engine, c.local, worker->name))
            return tq_error(c.error, TRQ_EUNKNOWN,
                            "worker %.100s is registered with another declaration", worker->name);
        return tq_worker_unknown(engine, worker->name, c.error);
    }
    if (TQ_UNLIKELY(source->structs &&
                    (!declared || declared->struct_size != c.class->struct_size)))
        return tq_error(c.error, TRQ_EINVAL, "worker %.100s: not its struct", c.class->text);
    if (TQ_LIKELY(source->count == 1 && !c.class->flags && is_plain(opts)))
        return enqueue_plain(&c, out_ids);
    return finish_call(&c, out_ids);
}

int tq_enqueue_digest(struct trq_engine *engine, struct tq_local *local, struct tq_class *class,
                      struct trq_dict inputs, struct tq_digest *out_digest)
{
    const struct tq_source source = {.dicts = &inputs, .count = 1};
    const struct plan plan = {.queue_lock = &class->queue_lock};
    const struct call c = {
        .engine = engine,
        .local = local,
        .class = class,
        .source = &source,
        .plan = &plan,
    };
    struct tq_job job = {.size = 0};
    tq_job_set_kind(&job, class->number, class->queue->number);
    int rc = fill_inputs(&c, false, &job, 0);
    if (rc == 0) {
        rc = queue_digest(&c, &job, 0, out_digest);
        tq_blocks_give(&engine->blocks, &local->blocks, &job);
    }
    return rc;
}

int trq_enqueue(struct trq_engine *engine, const struct trq_worker *worker, struct trq_dict inputs,
                const struct trq_opts *opts, struct trq_job_id *out_id)
{
    const struct tq_source source = {.dicts = &inputs, .count = 1};
    return enqueue(engine, worker, NULL, &source, opts, out_id);
}

int trq_enqueue_struct(struct trq_engine *engine, const struct trq_worker *worker,
                       const struct trq_inputs *declared, const void *in,
                       const struct trq_opts *opts, struct trq_job_id *out_id)
{
    const struct tq_source source = {.structs = in, .count = 1};
    return enqueue(engine, worker, declared, &source, opts, out_id);
}

int trq_enqueue_many(struct trq_engine *engine, const struct trq_worker *worker,
                     const struct trq_inputs *declared, const void *ins, size_t count,
                     const struct trq_opts *opts, struct trq_job_id *out_ids)
{
    const struct tq_source source = {.structs = ins, .count = count};
    return enqueue(engine, worker, declared, &source, opts, out_ids);
}

int trq_enqueue_many_dicts(struct trq_engine *engine, const struct trq_worker *worker,
                           const struct trq_dict *dicts, size_t count, const struct trq_opts *opts,
                           struct trq_job_id *out_ids)
{
    const struct tq_source source = {.dicts = dicts, .count = count};
    return enqueue(engine, worker, NULL, &source, opts, out_ids);
}
