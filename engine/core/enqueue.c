/* From a call to a job in a queue. The order is fixed: slot, inputs, note, segment; then the publication. Nothing can
 * fail after it but the closing of the queue at a stop, and then it is as if it had never been. */
#include <tresque/enqueue.h>

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/sized.h"
#include "engine/core/channel.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/enqueue.h"
#include "engine/core/inputs.h"
#include "engine/core/life.h"

struct call {
    struct trq_engine *engine;
    struct tq_local *local;
    struct tq_class *class;
    struct tq_queue *queue;
    const struct tq_source *source;
    const struct trq_opts *opts; /* may be NULL */
    struct trq_error *error;     /* may be NULL */
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

/* ---- one job, made but not published ------------------------------------------------------------------- */

ALWAYS_INLINE long encode(const struct call *c, size_t i, unsigned char *buffer, size_t capacity)
{
    const struct tq_source *s = c->source;
    if (TQ_LIKELY(s->structs != NULL))
        return tq_inputs_from_struct(c->class->layout,
                                     (const char *)s->structs + i * c->class->struct_size, buffer,
                                     capacity, c->engine->job_size_max, c->error);
    return tq_inputs_from_dict(c->class->layout, s->dicts[i], s->trusted, buffer, capacity,
                               c->engine->job_size_max, c->error);
}

ALWAYS_INLINE int fill_inputs(const struct call *c, struct tq_job *job, size_t i)
{
    long size = encode(c, i, job->u.inputs, TQ_INLINE);
    if (TQ_UNLIKELY(size < 0))
        return (int)size;
    job->size = (uint32_t)size;
    job->block_class = TQ_INLINE_CLASS;
    if (TQ_LIKELY(size <= TQ_INLINE))
        return 0;
    unsigned char *block = tq_blocks_take(&c->engine->blocks, &c->local->blocks, job);
    if (!block) {
        job->block_class = TQ_INLINE_CLASS;
        return tq_error(c->error, TRQ_ENOMEM, "no memory for %ld bytes of inputs", size);
    }
    /* Some errors are found only where there is room for all. */
    size = encode(c, i, block, (size_t)size);
    if (size < 0)
        tq_blocks_give(&c->engine->blocks, &c->local->blocks, job);
    return size < 0 ? (int)size : 0;
}

/* One job in sample_every is timed exactly; the others bear the coarse clock, which costs a fifth. */
ALWAYS_INLINE uint64_t stamp(const struct call *c)
{
    const struct tq_clock *clock = &c->engine->clock;
    if (TQ_LIKELY(--c->local->sample_in))
        return c->now ? c->now : (uint64_t)tq_clock_coarse(clock) << 1;
    c->local->sample_in = c->engine->sample_every;
    return (uint64_t)tq_clock_mono(clock) << 1 | 1;
}

ALWAYS_INLINE int make_job(const struct call *c, size_t i, uint32_t *out_index)
{
    uint32_t index = TQ_NONE;
    struct trq_engine *e = c->engine;
    enum tq_slab_result r = tq_slab_alloc(&e->jobs, &c->local->jobs, &index);
    if (TQ_UNLIKELY(r != TQ_SLAB_OK))
        return r == TQ_SLAB_FULL
                   ? tq_error(c->error, TRQ_EFULL, "the engine is full: %u jobs", e->jobs_max)
                   : tq_error(c->error, TRQ_ENOMEM, "no memory for a job");
    uint32_t upcoming = tq_slab_upcoming(&c->local->jobs, 3);
    if (upcoming != TQ_NONE)
        TQ_PREFETCH_WRITE(tq_job_at(e, upcoming));
    struct tq_job *job = tq_job_at(e, index);
    int rc = fill_inputs(c, job, i);
    if (TQ_UNLIKELY(rc < 0))
        goto give_slot;
    uint32_t note = 0;
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
    tq_store(&job->note, note, relaxed);
    job->worker = (uint16_t)c->class->number;
    job->queue = (uint16_t)c->queue->number;
    job->begun = 0;
    job->failures = 0;
    tq_store(&job->enqueued, stamp(c), relaxed);
    /* Nobody else knows the slot: a store is enough, and the push releases it. */
    uint64_t word = tq_load(&job->word, relaxed);
    tq_store(&job->word, tq_word(tq_word_generation(word), TQ_READY), relaxed);
    if (note)
        tq_note_arm(e, note, tq_job_id(e, index, word));
    *out_index = index;
    return 0;
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
    struct tq_job *job = tq_job_at(e, index);
    uint32_t note = tq_load(&job->note, relaxed);
    if (note)
        tq_note_drop(e, c->local, note);
    tq_store(&job->note, 0, relaxed);
    tq_blocks_give(&e->blocks, &c->local->blocks, job);
    uint32_t generation = tq_word_generation(tq_load(&job->word, relaxed));
    tq_store(&job->word, tq_word(generation + 1, TQ_FREE), relaxed);
    tq_job_discard_slot(e, c->local, index);
}

/* ---- some jobs, all or none ------------------------------------------------------------------------------ */

static int make_jobs(const struct call *c, uint32_t *items)
{
    size_t count = c->source->count;
    struct trq_engine *e = c->engine;
    if (!tq_fifo_reserve(&e->segments, &c->local->segments, (uint32_t)count))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a queue to grow");
    for (size_t i = 0; i < count; i++) {
        int rc = make_job(c, i, &items[i]);
        if (TQ_UNLIKELY(rc < 0)) {
            while (i--)
                undo_job(c, items[i]);
            return rc;
        }
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
    if (!c->opts || !c->opts->wake_later)
        tq_notify(c->engine, c->local);
    return TRQ_OK;
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
static int enqueue_all(const struct call *c, uint32_t *items, struct trq_job_id *out_ids)
{
    size_t count = c->source->count;
    bool may_wait = c->opts && c->opts->wait_for_room.ns > 0 && count <= c->engine->jobs_max;
    int rc = may_wait ? make_jobs_waiting(c, items) : make_jobs(c, items);
    if (TQ_UNLIKELY(rc < 0))
        return refuse(c, rc);
    rc = publish_jobs(c, items);
    for (size_t i = 0; rc == TRQ_OK && out_ids && i < count; i++)
        out_ids[i] = tq_job_id(c->engine, items[i], tq_word(items[count + i], TQ_READY));
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
    c->now = (uint64_t)tq_clock_coarse(&e->clock) << 1;
    /* A stop waits for calls with several jobs: some may be in the queue when it is closed, and then this
     * thread still has to drop the others. */
    tq_add(&e->bulks, 1, seq_cst);
    int rc = tq_is_open(e)
                 ? enqueue_all(c, items, out_ids)
                 : tq_error(c->error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    tq_sub(&e->bulks, 1, release);
    tq_fifo_trim(&e->segments, &c->local->segments);
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
    return !o || !(o->queue || o->channel || o->on_end || o->tag || o->wait_for_room.ns > 0);
}

/* One job without such options: the path that most calls take, straight through. */
ALWAYS_INLINE int enqueue_plain(struct call *c, struct trq_job_id *out_id)
{
    struct trq_engine *e = c->engine;
    uint32_t index = TQ_NONE;
    if (TQ_UNLIKELY(!tq_fifo_reserve(&e->segments, &c->local->segments, 1)))
        return tq_error(c->error, TRQ_ENOMEM, "no memory for a queue to grow");
    c->queue = c->class->queue;
    int rc = make_job(c, 0, &index);
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
    if (TQ_LIKELY(source->count == 1 && is_plain(opts)))
        return enqueue_plain(&c, out_ids);
    return finish_call(&c, out_ids);
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
