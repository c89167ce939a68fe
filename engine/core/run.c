#include "engine/core/run.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/key.h"
#include "engine/core/life.h"
#include "engine/core/publish.h"
#include "engine/core/queuelock.h"
#include "engine/core/settle.h"
#include "engine/core/space.h"
#include "engine/core/trail.h"
#include "engine/core/upgrade.h"
#include "engine/core/workerlock.h"

/* Off the straight way: so that it costs nothing there. */
#define NEVER_INLINE static __attribute__((noinline))

static size_t state_offset(const struct tq_class *class)
{
    return (class->struct_size + 15u) & ~(size_t)15;
}

void *tq_run_scratch(struct tq_local *local, const struct tq_class *class)
{
    size_t size = state_offset(class) + class->state_size;
    if (TQ_LIKELY(local->scratch_size >= size))
        return local->scratch;
    const struct tq_memory *memory = &local->engine->memory;
    void *larger = tq_alloc_raw(memory, size, TQ_LINE);
    if (!larger)
        return NULL;
    tq_free(memory, local->scratch, local->scratch_size);
    local->scratch = larger;
    local->scratch_size = size;
    return larger;
}

/* ---- the run's memory ------------------------------------------------------------------------------------- */

/* Inputs not yet decoded, and the state zeroed. False: out of memory. */
static inline bool open_memory(struct trq_job *run)
{
    const struct tq_class *class = run->class;
    if (TQ_UNLIKELY(state_offset(class) + class->state_size > run->local->scratch_size) &&
        !tq_run_scratch(run->local, class))
        return false;
    run->scratch = run->local->scratch;
    if (class->state_size) {
        run->has_state = true;
        memset((char *)run->scratch + state_offset(class), 0, class->state_size);
    }
    return true;
}

static inline void close_state(struct trq_job *run)
{
    if (TQ_UNLIKELY(run->has_state && run->class->declared->state_drop)) {
        struct trq_job *outer = run->local->running;
        run->local->running = run; /* it may do what a handler may */
        run->class->declared->state_drop(trq_job_state(run), run);
        run->local->running = outer;
    }
    run->has_state = false;
}

void *trq_job_state(struct trq_job *run)
{
    return run && run->has_state ? (char *)run->scratch + state_offset(run->class) : NULL;
}

static const char no_memory[] = "no memory for the inputs and state of a run";

static enum trq_end checked(struct trq_job *run, enum trq_end end)
{
    if (TQ_LIKELY((unsigned)end <= TRQ_REQUEUED))
        return end;
    return trq_fail(run, "the handler returned %d, which is no end", (int)end);
}

/* ---- counting ------------------------------------------------------------------------------------------------ */

static const enum tq_counter counter_of[] = {
    [TRQ_DONE] = TQ_COUNT_done,         [TRQ_SKIP] = TQ_COUNT_skipped,
    [TRQ_FAILED] = TQ_COUNT_failed,     [TRQ_DISCARDED] = TQ_COUNT_discarded,
    [TRQ_REQUEUED] = TQ_COUNT_requeued,
};

static void time_run(struct trq_job *run, struct tq_tally *tally, int64_t waited, int64_t ran)
{
    struct tq_timings *timings = tq_load(&tally->hist, relaxed);
    if (!timings) {
        timings = tq_alloc(&run->engine->memory, sizeof *timings, TQ_LINE);
        if (!timings)
            return;                               /* a histogram is not worth a failure */
        tq_store(&tally->hist, timings, release); /* rel: pairs stats.c */
    }
    tq_hist_add(&timings->wait, waited);
    tq_hist_add(&timings->run, ran);
}

/* ---- the worker lock's key ---------------------------------------------------------------------------------- */

enum trq_end tq_run_ask(struct trq_job *run,
                        enum trq_end (*function)(struct trq_job *job, struct trq_key *key),
                        const struct tq_key_prefix *prefix, const struct tq_former *former,
                        struct tq_digest *out_digest)
{
    struct trq_key key;
    tq_key_begin(&key, prefix);
    enum trq_end end = checked(run, function(run, &key));
    if (end != TRQ_DONE)
        return end;
    if (former)
        tq_former_key_whole(&key, former);
    *out_digest = tq_key_end(&key);
    return end;
}

static struct tq_side *side_of(const struct trq_job *run)
{
    return tq_side_at(run->engine, tq_cold_side(tq_load(&run->job->cold, relaxed)));
}

static const struct tq_space *space_of(const struct trq_job *run)
{
    const struct tq_side *side = side_of(run);
    return side->space ? side->space : run->class->worker_lock.space;
}

/* The function that has to be asked. NULL: the key is made of inputs. */
static enum trq_end (*key_function(const struct trq_job *run))(struct trq_job *, struct trq_key *)
{
    const struct tq_side *side = side_of(run);
    return side->space ? side->key : run->class->worker_lock.key;
}

/* A new state for it, if it is a function. */
static enum trq_end ask_key(struct trq_job *run, struct tq_digest *out)
{
    enum trq_end (*function)(struct trq_job *, struct trq_key *) = key_function(run);
    struct tq_side *side = side_of(run);
    if (function) {
        if (!open_memory(run))
            return trq_fail(run, no_memory);
        run->local->running = run;
        enum trq_end end = tq_run_ask(run, function, &space_of(run)->worker_prefix, NULL, out);
        run->local->running = NULL;
        return end;
    }
    *out = side->space ? tq_side_digest(side->worker_key)
                       : tq_lock_digest(&run->class->worker_lock, true, run->class->layout,
                                        run->inputs, run->job->size);
    return TRQ_DONE;
}

/* ---- one run -------------------------------------------------------------------------------------------------- */

static inline void open_run(struct trq_job *run, struct trq_engine *engine, struct tq_local *local,
                            uint32_t index, uint64_t word)
{
    struct tq_job *job = tq_job_at(engine, index);
    run->engine = engine;
    run->local = local;
    run->class = engine->registry.classes[tq_job_class_number(job)];
    run->job = job;
    run->inputs = tq_blocks_at(&engine->blocks, job);
    run->index = index;
    run->word = word;
    run->decoded = false;
    run->has_state = false;
    run->has_failed = false;
    run->result_size = 0;
    run->scratch = NULL;
    run->requeue.ns = 0;
    run->deadline = INT64_MAX;
    run->error.code = 0;
    run->error.text[0] = '\0';
}

static inline void show(struct tq_thread *thread, const struct trq_job *run)
{
    tq_store(&thread->class, run->class->number, relaxed);
    tq_store(&thread->running, (run->word >> 32) << 32 | run->index, release);
}

static inline void hide(struct tq_thread *thread)
{
    tq_store(&thread->running, UINT64_MAX, relaxed);
}

/* It has to be over at some time: the housekeeping looks whether it is. */
static void enter_limit(struct trq_job *run, struct tq_thread *thread)
{
    const struct tq_trail *trail =
        run->word & TQ_LIMITED ? tq_trail_of(run->engine, run->job) : NULL;
    int64_t timeout = trail && trail->timeout ? trail->timeout : run->class->timeout;
    if (timeout)
        run->deadline = tq_deadline(tq_clock_boot(&run->engine->clock), timeout);
    if (trail && trail->deadline < run->deadline)
        run->deadline = trail->deadline;
    tq_patrol_watch(run->engine, thread, run->deadline);
}

static void leave_limit(struct trq_job *run, struct tq_thread *thread, struct tq_tally *tally)
{
    tq_store(&thread->deadline, INT64_MAX, relaxed);
    int64_t over = tq_clock_boot(&run->engine->clock) - run->deadline;
    if (over < 0)
        return;
    tq_class_count(run->class, tally, TQ_COUNT_overran, 1);
    if (run->engine->thread_count)
        return;
    run->local->in_callback = true; /* nobody else could look meanwhile */
    tq_patrol_tell(run->engine, thread, over);
    run->local->in_callback = false;
}

/* needed and perform. */
static inline enum trq_end call_handler(struct trq_job *run)
{
    const struct tq_class *class = run->class;
    enum trq_end end = TRQ_SKIP;
    if (TQ_UNLIKELY(!run->scratch) && !open_memory(run))
        return trq_fail(run, no_memory);
    if (!class->needed || class->needed(run))
        end = checked(run, class->perform(run));
    return end;
}

/* No end of a run, but how it has to begin: its inputs are of another version. */
#define UPGRADE_FIRST ((enum trq_end)(TRQ_REQUEUED + 1))

NEVER_INLINE enum trq_end upgrade_first(struct trq_job *run)
{
    enum trq_end end = tq_upgrade(run);
    return end == TRQ_DONE ? call_handler(run) : end;
}

/* It is RUNNING; its run is open. `end`: TRQ_DONE, or what the function of its worker lock said instead. */
static inline void run_job(struct trq_job *run, struct tq_thread *thread, int64_t since,
                           enum trq_end end)
{
    struct trq_engine *engine = run->engine;
    struct tq_local *local = run->local;
    struct tq_job *job = run->job;
    uint64_t enqueued = tq_load(&job->enqueued, relaxed);
    bool timed = enqueued & 1;
    const bool limited = run->class->timeout || run->word & TQ_LIMITED;
    /* The patrol tells two runs of a job by when they began. */
    run->started = TQ_UNLIKELY(timed || limited) ? tq_clock_mono(&engine->clock)
                   : since                       ? since
                                                 : tq_clock_coarse(&engine->clock);
    tq_store(&thread->since, (uint64_t)run->started, release); /* rel: behind the last deadline */
    show(thread, run);
    if (TQ_UNLIKELY(limited))
        enter_limit(run, thread);
    if (TQ_UNLIKELY(run->word & TQ_QUEUE_LOCKED))
        tq_queue_lock_leave(engine, local, job, run->index, tq_word_generation(run->word), true);
    const uint32_t counts = tq_load(&job->counts, relaxed);
    if (TQ_LIKELY((uint16_t)counts < UINT16_MAX))
        tq_store(&job->counts, counts + 1, relaxed);
    struct tq_tally *tally = tq_local_tally(local, run->class->number);
    tq_class_count(run->class, tally, TQ_COUNT_started, 1);
    local->running = run;
    if (TQ_LIKELY(end == TRQ_DONE))
        end = call_handler(run);
    else if (end == UPGRADE_FIRST)
        end = upgrade_first(run);
    close_state(run);
    local->running = NULL;
    if (TQ_UNLIKELY(run->word & TQ_WORKER_LOCKED)) {
        uint32_t side = tq_cold_side(tq_load(&job->cold, relaxed));
        if (tq_load(&tq_side_at(engine, side)->tie, relaxed) == TQ_HOLDS)
            tq_worker_lock_release(engine, local, side);
    }
    int64_t waited = run->started - (int64_t)(enqueued >> 1);
    int64_t ran = timed ? tq_clock_mono(&engine->clock) - run->started : 0;
    tq_class_count(run->class, tally, counter_of[end], 1);
    if (TQ_UNLIKELY(run->deadline != INT64_MAX))
        leave_limit(run, thread, tally);
    if (timed && tally)
        time_run(run, tally, waited, ran);
    tq_settle(run, end, waited, ran);
    hide(thread); /* not before its end was told */
}

/* ---- with a worker lock --------------------------------------------------------------------------------------- */

/* It runs, perhaps with a key, but since its function looked something up a duplicate was answered, whose caller has
 * perhaps changed just that. So it is asked again: no more duplicates are answered by now. If the answer asks for another
 * key than that which it holds, the job goes back to its place. False: it did.
 * So is an upgrade that ended the run; not one that is done, since its inputs are the job's by now. */
static bool ask_again(struct trq_job *run, struct tq_digest held, enum trq_end *end)
{
    struct tq_digest digest;
    uint32_t at = tq_cold_side(tq_load(&run->job->cold, relaxed));
    bool holds = tq_load(&tq_side_at(run->engine, at)->tie, relaxed) == TQ_HOLDS;
    close_state(run);
    run->decoded = false; /* in the same memory */
    *end = run->word & TQ_OLD ? tq_upgrade(run) : TRQ_DONE;
    if (*end == TRQ_DONE)
        *end = ask_key(run, &digest);
    if (*end != TRQ_DONE || (holds && tq_digest_same(digest, held)))
        return true;
    close_state(run);
    if (holds)
        tq_worker_lock_release(run->engine, run->local, at);
    tq_settle_go_back(run);
    return false;
}

/* STARTING, until it holds its key, or waits for it, or its function has said how it ends. False: it waits. */
static bool take_key(struct trq_job *run, int64_t now, struct tq_digest *digest, enum trq_end *end)
{
    struct trq_engine *e = run->engine;
    uint32_t side = tq_cold_side(tq_load(&run->job->cold, relaxed));
    enum trq_end upgraded = run->word & TQ_OLD ? tq_upgrade(run) : TRQ_DONE;
    for (;;) {
        *end = upgraded == TRQ_DONE ? ask_key(run, digest) : upgraded;
        if (*end != TRQ_DONE) {
            tq_worker_lock_decline(e, run->local, side);
            return true;
        }
        uint32_t limit = tq_load(&space_of(run)->limit, relaxed);
        if (tq_worker_lock_take(e, run->local, side, *digest, limit,
                                key_function(run) ? tq_clock_coarse(&e->clock) : now))
            return true;
        /* While the job is still ours. */
        close_state(run);
        switch (tq_worker_lock_lie_down(e, run->local, side)) {
        case TQ_LIES:
            return false;
        case TQ_CALLED: /* the key has become free meanwhile */
            break;
        case TQ_CALLED_OFF:
            return true; /* cancelled: seen below */
        }
    }
}

/* It has waited for longer than it may. */
static bool is_late(const struct trq_job *run)
{
    return tq_clock_boot(&run->engine->clock) >= tq_trail_expires(run->engine, run->job);
}

/* It stood in the front of its queue, and does not need the link again. */
static inline void free_link(struct trq_engine *e, struct tq_local *local,
                             const struct tq_taken *taken)
{
    if (TQ_UNLIKELY(taken->link != TQ_NONE))
        tq_fifo_link_free(&e->links, &local->segments, taken->link);
}

/* False: nothing was run. */
static bool run_locked(struct trq_job *run, struct tq_thread *thread, const struct tq_taken *taken)
{
    struct trq_engine *e = run->engine;
    uint32_t at = tq_cold_side(tq_load(&run->job->cold, relaxed));
    struct tq_side *side = tq_side_at(e, at);
    struct tq_digest digest = {0, 0};
    enum trq_end end;
    uint64_t word;
    if (run->word & TQ_EXPIRES && is_late(run)) {
        free_link(e, run->local, taken);
        tq_settle_ended(run, TQ_STARTING, TQ_ENDED_EXPIRED);
        return false;
    }
    if (run->word & TQ_LIMITED) /* its lock's function may not outlast what it inherited, either */
        run->deadline = tq_trail_of(e, run->job)->deadline;
    side->place = taken->place;
    if (side->link == TQ_NONE)
        side->link = taken->link; /* it was put with it */
    else
        free_link(e, run->local, taken);
    struct tq_tally *tally = tq_local_tally(run->local, run->class->number);
    struct tq_class *class = run->class;
    const int64_t since = tq_clock_coarse(&e->clock);
    tq_store(&thread->since, (uint64_t)since, relaxed);
    show(thread, run);
    if (!take_key(run, since, &digest, &end)) {
        hide(thread);
        tq_class_count(class, tally, TQ_COUNT_parked, 1);
        return false;
    }
    bool ran = false;
    if (!tq_job_become_unless(run->job, TQ_STARTING, TQ_STARTED, TQ_STOP_ASKED, &word)) {
        close_state(run);
        if (tq_load(&side->tie, relaxed) == TQ_HOLDS)
            tq_worker_lock_release(e, run->local, at);
        tq_settle_ended(run, TQ_STARTING, TQ_ENDED_CANCELLED);
    } else if (word & TQ_ABSORBED && (key_function(run) || run->word & TQ_OLD) &&
               !ask_again(run, digest, &end)) {
        /* it has gone back */
    } else {
        if (run->word & TQ_EXPIRES)
            tq_timer_stale(e);
        run_job(run, thread, key_function(run) ? 0 : since, end);
        ran = true;
    }
    hide(thread);
    return ran;
}

/* With something that leads off the straight way. False: nothing was run. */
NEVER_INLINE bool run_carefully(struct trq_job *run, struct tq_thread *thread,
                                const struct tq_taken *taken)
{
    if (run->word & TQ_WORKER_LOCKED)
        return run_locked(run, thread, taken);
    free_link(run->engine, run->local, taken);
    if (run->word & TQ_EXPIRES) {
        tq_timer_stale(run->engine); /* that which would have ended it */
        if (is_late(run)) {
            tq_settle_ended(run, TQ_RUNNING, TQ_ENDED_EXPIRED);
            return false;
        }
    }
    run_job(run, thread, 0, run->word & TQ_OLD ? UPGRADE_FIRST : TRQ_DONE);
    return true;
}

/* It was not simply READY. False: there is nothing to run. */
static bool start_other(struct trq_engine *e, struct tq_local *local, uint32_t index,
                        uint64_t *out_word)
{
    struct tq_job *job = tq_job_at(e, index);
    for (;;) {
        switch (tq_job_settled(job)) {
        case TQ_READY: /* another job may have been put into the slot meanwhile: with a lock or without */
            *out_word = tq_load(&job->word, acquire);
            if (tq_word_state(*out_word) == TQ_READY &&
                tq_job_become_if(job, *out_word & TQ_WORKER_LOCKED ? TQ_ASKS_KEY : TQ_STARTED,
                                 out_word))
                return true;
            break;
        case TQ_TOMB:
            tq_job_bury(e, local, index);
            return false;
        default:
            tq_add(&e->lost_races, 1, relaxed);
            return false;
        }
    }
}

bool tq_run(struct trq_engine *engine, struct tq_local *local, struct tq_thread *thread,
            const struct tq_taken *taken)
{
    struct tq_job *job = tq_job_at(engine, taken->item);
    struct trq_job run;
    uint64_t word;
    if (TQ_UNLIKELY(!tq_job_become_unless(job, TQ_READY, TQ_STARTED, TQ_CAREFULLY, &word) &&
                    !start_other(engine, local, taken->item, &word))) {
        free_link(engine, local, taken);
        return false;
    }
    open_run(&run, engine, local, taken->item, word);
    if (TQ_UNLIKELY(word & TQ_CAREFULLY))
        return run_carefully(&run, thread, taken);
    free_link(engine, local, taken);
    run_job(&run, thread, 0, TRQ_DONE);
    return true;
}
