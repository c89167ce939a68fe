/* What the mutants of these searches say, that is not said by their names.
 *
 * Orders. Few of the orders in engine/core are caught, since nearly all that passes from one thread to another about a job
 * passes a mutex (bucket, stripe, front list) or a cell of a fifo as well; those are needed, and caught, in the cases of
 * engine/sync. The word alone carries: the payload of a job that takes the place of one that is popped (fill ->
 * tq_job_settled), what was written before a refusal of a job whose key is being made (absorb -> STARTED), the digest of a
 * job that is parked elsewhere by now (lie_down -> end_parked), and the tie of one that has been woken. The refusal of a
 * job without a function is ordered twice: run_job takes its name out of the record, under the same bucket, before the
 * handler begins. So a refusal by a plain look under the bucket is clean, too; one without the bucket is not.
 *
 * Of the ends the word alone carries: when a wait is over, to a timer that has its turn and was submitted before (X2 of
 * docs/CONCURRENCY.md, "expiry"); and, with the gate, that a job has been put off. All else about failures passes the stripe.
 *
 * Writes left out. Those that survive everywhere are for reports (`since`, `class`, `running`, counters), stamps, what is
 * zero anyway in these stories, and `cold` of a slot that is given back, which the next owner sets.
 */
#include "tests/weave/locks.h"

#include <string.h>

#include <tresque/schedule.h>

#include "engine/base/clock.h"
#include "engine/core/publish.h"
#include "engine/core/inputs.h"
#include "engine/core/key.h"
#include "engine/core/stop.h"
#include "engine/core/upgrade.h"

#undef memcpy

struct locks_world locks;
static struct locks_world image;
struct trq_engine locks_engine;
static struct trq_engine engine_image;
tq_a32 locks_datum[LOCKS_JOBS];
uint32_t locks_owner[LOCKS_KEYS];
static uint32_t payload[LOCKS_JOBS];
static uint32_t slip_text[LOCKS_EXTRAS];

static const struct locks_story *story;

/* Not put back before an execution: it does not change, or is set anew. */
static struct tq_local locals[LOCKS_WHO];
static struct tq_tally tallies[LOCKS_WHO][TQ_TALLY_CHUNK];
static unsigned char scratch[LOCKS_WHO][256];
static struct tq_class classes[LOCKS_CLASSES];
static struct tq_space space;
static struct tq_gate gate;
static const struct trq_worker declared;

/* Sides, segments, ... in the order of the magazines. */
enum { JOBS, SIDES, TRAILS, SLIPS, QUEUE_RECORDS, WORKER_RECORDS, LINKS, SEGMENTS };
static tq_aptr chunk[LOCKS_KINDS], bucket_chunk[2];

unsigned locks_self(void)
{
    return weave_self() < 0 ? LOCKS_SETUP : (unsigned)weave_self();
}

struct tq_local *locks_local(void)
{
    return &locals[locks_self()];
}

/* ---- in place of what is not under proof -------------------------------------------------------------------- */

void *locks_getspecific(pthread_key_t key);
void *locks_getspecific(pthread_key_t key)
{
    (void)key;
    return locks_local();
}

int locks_yield(void);
int locks_yield(void)
{
    if (weave_self() < 0)
        weave_fail("somebody waits, and nobody is left");
    tq_pause();
    return 0;
}

struct tq_local *tq_local_make(struct trq_engine *engine)
{
    (void)engine;
    weave_fail("each thread has its local");
}

struct tq_tally *tq_local_tally_make(struct tq_local *local, uint32_t class)
{
    (void)local;
    (void)class;
    return NULL;
}

/* One clock for all. Stamps and reports are not looked at. */
static int64_t read_clock(void)
{
    return locks.read_at[locks_self()] = locks.now;
}
int64_t tq_clock_boot(const struct tq_clock *clock)
{
    (void)clock;
    return read_clock();
}
int64_t tq_clock_wall(const struct tq_clock *clock)
{
    (void)clock;
    return locks.now;
}
int64_t tq_clock_wall_coarse(const struct tq_clock *clock)
{
    return tq_clock_wall(clock);
}
int64_t tq_clock_mono(const struct tq_clock *clock)
{
    return tq_clock_wall(clock);
}
int64_t tq_clock_coarse(const struct tq_clock *clock)
{
    return tq_clock_wall(clock);
}

void tq_past_keep(struct trq_engine *engine, const struct trq_event *event,
                  const struct trq_error *error)
{
    (void)engine;
    (void)event;
    (void)error;
}

void tq_patrol_watch(struct trq_engine *engine, struct tq_thread *thread, int64_t deadline)
{
    (void)engine;
    (void)thread;
    (void)deadline;
}
void tq_patrol_tell(struct trq_engine *engine, const struct tq_thread *thread, int64_t over)
{
    (void)engine;
    (void)thread;
    (void)over;
}

/* Who is dead leaves nothing behind. */
void tq_dead_put(struct trq_engine *engine, struct tq_local *local, struct tq_ended *ended,
                 const struct trq_error *error)
{
    (void)error;
    tq_job_strip(engine, local, &ended->husk);
}
bool tq_dead_failures(struct trq_engine *engine, struct trq_job_id id, struct trq_failure *out,
                      size_t max, size_t *out_count)
{
    (void)engine;
    (void)id;
    (void)out;
    (void)max;
    (void)out_count;
    return false;
}

/* Of a text of a failure: the text is read or written here. */
static void touch(const void *at, bool writes)
{
    const char *from = (const char *)locks.slip, *to = (const char *)(locks.slip + LOCKS_EXTRAS);
    if ((const char *)at < from || (const char *)at >= to || weave_self() < 0)
        return;
    size_t i = (size_t)((const char *)at - from) / sizeof locks.slip[0];
    if (writes)
        WEAVE_WRITE(slip_text[i], 0);
    else
        weave_assert(WEAVE_READ(slip_text[i]) == 0);
}

void *locks_copy(void *to, const void *from, size_t size)
{
    touch(from, false);
    touch(to, true);
    return memcpy(to, from, size);
}

bool locks_leaves_out(const struct tq_mutex *mutex)
{
    return mutex >= locks_engine.stripes && mutex < locks_engine.stripes + TQ_STRIPES &&
           story->without_stripe >> locks_self() & 1;
}

void tq_waiters_tell(struct trq_engine *engine, const struct trq_event *event)
{
    (void)engine;
    (void)event;
}

static unsigned number_of(struct trq_job_id id)
{
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        if (locks.id[k].birth && locks.id[k].slot == id.slot)
            return k;
    return LOCKS_JOBS;
}

void tq_note_arm(struct trq_engine *engine, uint32_t note, struct trq_job_id id)
{
    (void)engine;
    weave_assert(note && note <= LOCKS_JOBS);
    locks.id[note - 1] = id;
}

/* It waited so long by then that it does not hold its queue lock. */
static bool is_over(unsigned k, int64_t now)
{
    return story->spec[k].expires_in &&
           now >= tq_deadline(locks.waits_to[k], story->spec[k].expires_in);
}

void tq_note_send(struct trq_engine *engine, struct tq_local *local, uint32_t note,
                  const struct trq_event *event, const struct trq_error *error)
{
    (void)engine;
    (void)local;
    (void)error;
    unsigned k = note - 1;
    weave_assert(k < LOCKS_JOBS && !locks.ends[k]);
    weave_assert(event->id.slot == locks.id[k].slot);
    locks.ends[k]++;
    locks.outcome[k] = event->outcome;
    locks.ended_at[k] = locks.now;
    if (event->outcome == TRQ_WAS_EXPIRED && /* not before its time */
        locks.now < locks.waits_from[k] + story->spec[k].expires_in)
        weave_fail("%u expires before its time", k);
    locks.attempts[k] = event->attempts;
    locks.other[k] = event->other.birth ? number_of(event->other) : LOCKS_JOBS;
    if (event->outcome == TRQ_WAS_MERGED && is_over(locks.other[k], locks.waits_from[k]))
        weave_fail("%u was merged into %u, whose time was over", k, locks.other[k]);
}

unsigned char *tq_blocks_at(const struct tq_blocks *blocks, struct tq_job *job)
{
    (void)blocks;
    unsigned k = job->u.block;
    weave_assert(job->block_class == 0 && k < LOCKS_JOBS && !locks.given[k]);
    if (weave_self() >= 0)
        weave_assert(WEAVE_READ(payload[k]) == k);
    return (unsigned char *)&payload[k];
}

void tq_blocks_give(struct tq_blocks *blocks, struct tq_blocks_cache *cache, struct tq_job *job)
{
    (void)blocks;
    (void)cache;
    unsigned k = job->u.block;
    if (job->block_class == TQ_INLINE_CLASS)
        return;
    weave_assert(k < LOCKS_JOBS && !locks.given[k]);
    locks.given[k] = true;
    if (weave_self() >= 0)
        WEAVE_WRITE(payload[k], k);
}

void tq_bell_ring(struct tq_bell *bell)
{
    (void)bell;
}

void tq_rouse(struct trq_engine *engine, struct tq_local *local, int index)
{
    (void)local;
    tq_park_wake(&engine->park, index);
}

void tq_rouse_all(struct trq_engine *engine)
{
    int index;
    while ((index = tq_park_notify_any(&engine->park)) >= 0)
        tq_park_wake(&engine->park, index);
}

uint32_t tq_bell_enter(struct tq_bell *bell)
{
    (void)bell;
    return 0;
}
uint32_t tq_bell_turn(const struct tq_bell *bell)
{
    (void)bell;
    return 0;
}
/* Only a stop waits: for the threads, or not at all. */
bool tq_bell_sleep(struct tq_bell *bell, uint32_t turn, int64_t deadline)
{
    (void)bell;
    (void)turn;
    if (deadline == locks.now)
        return false;
    while (tq_load(&locks_engine.alive, acquire))
        tq_pause();
    return true;
}
void tq_bell_leave(struct tq_bell *bell)
{
    (void)bell;
}

/* Timers do not fire while it stops. */
void tq_house_stop(struct trq_engine *engine)
{
    (void)engine;
}
void tq_registry_close(struct trq_engine *engine)
{
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++)
        tq_fifo_close(&engine->registry.queues[i]->fifo);
}
void tq_log(struct trq_engine *engine, enum trq_log_level level, const char *format, ...)
{
    (void)engine;
    (void)level;
    (void)format;
}
int trq_engine_poll(struct trq_engine *engine, unsigned max_jobs, struct trq_span at_most)
{
    (void)engine;
    (void)max_jobs;
    (void)at_most;
    weave_fail("nobody polls");
}

bool tq_timer_reserve(struct trq_engine *engine, struct tq_local *local, uint32_t count)
{
    (void)engine;
    (void)local;
    (void)count;
    return true;
}

void tq_timer_submit(struct trq_engine *engine, struct tq_local *local, uint32_t item,
                     uint32_t generation, int64_t due, bool wall)
{
    (void)engine;
    (void)local;
    unsigned self = locks_self();
    uint32_t n = tq_load(&locks.timers[self], relaxed);
    weave_assert(n < LOCKS_TIMERS);
    locks.timer[self][n] = (struct locks_timer){item, generation, due, wall};
    tq_store(&locks.timers[self], n + 1, release);
}

void tq_timer_stale(struct trq_engine *engine)
{
    (void)engine;
}

struct tq_class *tq_class_find(struct trq_engine *engine, struct tq_local *local,
                               const struct trq_worker *worker)
{
    (void)engine;
    (void)local;
    return worker == &declared ? &classes[LOCKS_PLAIN] : NULL;
}

bool tq_inputs_get(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                   const char *name, size_t name_size, struct trq_value *out)
{
    (void)layout;
    (void)bytes;
    (void)size;
    (void)name;
    (void)name_size;
    (void)out;
    return false;
}

static struct tq_digest digest_of(int key)
{
    return (struct tq_digest){(uint64_t)key, 1};
}

struct tq_digest tq_lock_digest(const struct tq_lock *lock, bool worker,
                                const struct tq_layout *layout, const unsigned char *bytes,
                                size_t size)
{
    (void)layout;
    (void)size;
    weave_assert(worker && lock->space); /* asked only of who has one */
    return digest_of(story->spec[(const uint32_t *)(const void *)bytes - payload].worker_key);
}

/* No job here is of another version. */
enum trq_end tq_upgrade(struct trq_job *run)
{
    (void)run;
    weave_fail("an upgrade");
}

void tq_former_key_whole(struct trq_key *key, const struct tq_former *former)
{
    (void)key;
    (void)former;
    weave_fail("a key of former inputs");
}

enum trq_end trq_fail(struct trq_job *job, const char *format, ...)
{
    (void)job;
    weave_fail("a run fails: %s", format);
}

/* ---- handlers -------------------------------------------------------------------------------------------------- */

static unsigned number_of_run(const struct trq_job *run)
{
    return run->job->u.block;
}

static enum trq_end ask(struct trq_job *run, struct trq_key *key)
{
    unsigned k = number_of_run(run);
    locks.asked[k]++;
    key->hash.tail = (uint64_t)(story->key ? story->key(k) : story->spec[k].worker_key);
    return TRQ_DONE;
}

/* Of its own: a digit for the job, one for the run. */
static void say_why(char text[3], unsigned k, unsigned run)
{
    text[0] = (char)('0' + k);
    text[1] = (char)('0' + run);
    text[2] = '\0';
}

static struct trq_span delay(int failures, const struct trq_error *error, uint64_t seed)
{
    unsigned k = number_of_run(locks_local()->running);
    (void)error;
    (void)seed;
    return failures > story->spec[k].retries ? trq_forever() : trq_ns(story->spec[k].after);
}

static const struct trq_retry policy = {
    .size = sizeof policy, .retries = TRQ_RETRY_FOREVER, .delay = delay};
static const struct trq_worker declared = {.retry = &policy};

static void enter(unsigned k, int key)
{
    locks.begun[k]++;
    locks.when[k] = ++locks.runs;
    locks.ran_under[k] = key;
    uint32_t saw = 0;
    for (unsigned i = 0; i < LOCKS_JOBS && story->spec[i].class >= 0; i++)
        saw |= tq_load(&locks_datum[i], relaxed) << i;
    locks.saw[k] = saw;
    if (key == LOCKS_NONE)
        return;
    weave_assert(++locks.inside[key] <= (story->limit ? story->limit : 1));
    if (!story->limit && weave_self() >= 0)
        WEAVE_WRITE(locks_owner[key], k);
}

static void leave(unsigned k, int key)
{
    if (key == LOCKS_NONE)
        return;
    if (!story->limit && weave_self() >= 0)
        weave_assert(WEAVE_READ(locks_owner[key]) == k);
    locks.inside[key]--;
}

static int held_key(const struct trq_job *run)
{
    if (!(run->word & TQ_WORKER_LOCKED))
        return LOCKS_NONE;
    const struct tq_side *side = &locks.side[run->job->cold & ~TQ_COLD_SIDE];
    weave_assert(side->tie == TQ_HOLDS);
    return (int)side->worker_key[0];
}

static enum trq_end perform(struct trq_job *run)
{
    unsigned k = number_of_run(run);
    int key = held_key(run);
    weave_assert(k < LOCKS_JOBS && !locks.ends[k]);
    weave_assert(!(run->word & TQ_STOP_ASKED)); /* who was asked to stop does not begin again */
    if (weave_self() >= 0)
        weave_assert(WEAVE_READ(payload[k]) == k);
    const struct locks_spec *s = &story->spec[k];
    /* It began in time: by the clock as it was looked at last. */
    if (s->expires_in)
        weave_assert(locks.read_at[locks_self()] < tq_deadline(locks.waits_to[k], s->expires_in));
    if (story->stops && !tq_is_open(&locks_engine)) /* as a handler that asks */
        locks_local()->told_to_stop = true;
    enter(k, key);
    locks.failures[k] = tq_job_failures(run->job);
    if (story->looks_back)
        locks.slips[k] = locks_failures(k);
    leave(k, key);
    locks.waits_from[k] = locks.now; /* if it comes back */
    locks.waits_to[k] = INT64_MAX;
    int runs = (int)locks.begun[k];
    if (runs <= s->fails) {
        say_why(run->error.text, k, (unsigned)runs);
        return TRQ_FAILED;
    }
    if (runs <= s->fails + s->requeues) {
        run->requeue.ns = s->after;
        return TRQ_REQUEUED;
    }
    return TRQ_DONE;
}

/* ---- what threads do ------------------------------------------------------------------------------------------- */

static uint64_t flags_of(const struct locks_spec *s)
{
    return (s->queue_key != LOCKS_NONE ? TQ_QUEUE_LOCKED : 0) |
           (s->from_start ? TQ_FROM_START : 0) | (s->class != LOCKS_PLAIN ? TQ_WORKER_LOCKED : 0) |
           (s->wall ? TQ_WALL : 0) | (s->expires_in ? TQ_EXPIRES : 0);
}

static void give_trail(struct tq_side *side, const struct locks_spec *s)
{
    uint32_t plus_one;
    struct tq_trail *trail = tq_trail_take(&locks_engine, locks_local(), &plus_one);
    weave_assert(trail);
    trail->expires_in = s->expires_in;
    tq_store(&side->trail, plus_one, relaxed);
}

static uint32_t make(unsigned k)
{
    struct trq_engine *e = &locks_engine;
    const struct locks_spec *s = &story->spec[k];
    struct tq_local *local = locks_local();
    uint32_t index, at;
    weave_assert(tq_slab_alloc(&e->jobs, &local->jobs, &index) == TQ_SLAB_OK);
    struct tq_job *job = tq_job_at(e, index);
    job->block_class = 0;
    job->u.block = k;
    if (weave_self() >= 0)
        WEAVE_WRITE(payload[k], k);
    uint32_t cold = k + 1;
    bool worker_lock = s->class != LOCKS_PLAIN;
    if (s->queue_key != LOCKS_NONE || worker_lock || s->expires_in) {
        weave_assert(tq_side_take(e, local, index, s->queue, s->queue_key != LOCKS_NONE,
                                  worker_lock, &at) == 0);
        struct tq_side *side = tq_side_at(e, at);
        tq_side_set_digest(side->queue_key, digest_of(s->queue_key));
        tq_store(&side->note, cold, relaxed);
        if (s->expires_in)
            give_trail(side, s);
        cold = TQ_COLD_SIDE | at;
    }
    tq_store(&job->cold, cold, relaxed);
    job->size = 4;
    tq_job_set_kind(job, (uint32_t)s->class, s->queue);
    tq_job_set_counts(job, 0, 0);
    uint64_t word = tq_load(&job->word, relaxed);
    weave_assert(tq_word_state(word) == TQ_FREE);
    tq_store(&job->enqueued, s->due ? (uint64_t)s->due : 2, relaxed);
    if (!s->due && s->expires_in)
        tq_trail_begin_wait(e, job, tq_clock_boot(&e->clock));
    if (!s->due)
        tq_store(&job->word, tq_word_after(word, TQ_FREE, TQ_ENQUEUED) | flags_of(s), relaxed);
    tq_note_arm(e, k + 1, tq_job_id(e, index, word));
    locks.due[k] = s->due;
    locks.waits_from[k] = locks.asked_at[k];
    locks.waits_to[k] = s->due ? INT64_MAX : locks.now;
    weave_assert(tq_fifo_reserve(&e->segments, &local->segments, 1));
    return index;
}

static void give_slot(uint32_t index)
{
    struct tq_job *job = tq_job_at(&locks_engine, index);
    uint32_t generation = tq_word_generation(tq_load(&job->word, relaxed));
    tq_store(&job->word, tq_word(generation + 1, TQ_FREE), relaxed);
    tq_job_discard_slot(&locks_engine, locks_local(), index);
}

static void undo(unsigned k, uint32_t index)
{
    tq_job_strip(&locks_engine, locks_local(), tq_job_at(&locks_engine, index));
    locks.id[k] = (struct trq_job_id){0, 0};
    give_slot(index);
}

static uint64_t word_when_put_off(unsigned k, uint32_t generation)
{
    return tq_word_after(tq_word(generation, TQ_FREE), TQ_FREE, TQ_PUT_OFF) |
           flags_of(&story->spec[k]);
}

static void submit(unsigned k, uint32_t index, uint32_t generation)
{
    tq_count(&locks_local()->scheduled, 1);
    tq_schedule_submit(&locks_engine, locks_local(), index, word_when_put_off(k, generation),
                       story->spec[k].due);
}

/* It is in its queue; may have left it, too. */
static void watch_expiry(unsigned k, uint32_t index, uint32_t generation, int64_t expires)
{
    if (story->spec[k].expires_in)
        tq_timer_submit(&locks_engine, locks_local(), tq_item(index, 0), generation, expires,
                        false);
}

static int refused(unsigned k)
{
    locks.accepted[k] = false;
    return locks.code[k] = TRQ_ESTOPPED;
}

static int answered(unsigned k, int code, uint32_t index, uint32_t generation)
{
    struct trq_job_id id = {(uint64_t)generation << 32 | index, locks_engine.birth};
    locks.code[k] = code;
    locks.twin[k] = number_of(id);
    locks.accepted[k] = code == TRQ_OK || code == TRQ_REPLACED;
    weave_assert(locks.twin[k] < LOCKS_JOBS && locks.accepted[k] == (locks.twin[k] == k));
    return code;
}

static int asks(unsigned k, uint32_t index, uint32_t generation, int64_t expires)
{
    const struct locks_spec *s = &story->spec[k];
    struct trq_engine *e = &locks_engine;
    const struct tq_asker asker = {
        .index = index,
        .rule = s->rule,
        .later = s->due != 0,
        .word = s->due ? word_when_put_off(k, generation) : 0,
        .wall = s->wall,
        .due = s->due,
        .max_wait = s->max_wait,
        .now = s->due && s->rule == TRQ_DEBOUNCE ? tq_moment(e) : (struct tq_moment){0, 0}};
    struct tq_answer answer;
    tq_queue_lock_ask(e, locks_local(), &asker, &answer);
    int code = answer.code;
    weave_assert(code >= 0 || code == TRQ_ESTOPPED);
    if (code == TRQ_DUPLICATE || code == TRQ_DEBOUNCED || code == TRQ_ESTOPPED) {
        undo(k, index);
    } else {
        if (answer.moved)
            give_slot(index);
        if (s->due) {
            submit(k, answer.index, answer.generation);
        } else if (answer.stopped) {
            tq_job_drop(e, locks_local(), answer.index);
        } else {
            watch_expiry(k, answer.index, answer.generation, expires);
            tq_notify(e, locks_local());
        }
    }
    if (answer.has_ended)
        tq_ended_finish(e, locks_local(), &answer.ended);
    return code < 0 ? refused(k) : answered(k, code, answer.index, answer.generation);
}

static int admit(unsigned k, uint32_t index)
{
    const struct locks_spec *s = &story->spec[k];
    struct trq_engine *e = &locks_engine;
    uint32_t generation = tq_word_generation(tq_load(&tq_job_at(e, index)->word, relaxed));
    int64_t expires = s->expires_in ? tq_trail_expires(e, tq_job_at(e, index)) : 0;
    if (s->queue_key != LOCKS_NONE && (!s->due || s->from_start))
        return asks(k, index, generation, expires);
    if (s->due) {
        tq_store(&tq_job_at(e, index)->word, word_when_put_off(k, generation), seq_cst);
        submit(k, index, generation);
    } else if (tq_publish(e, locks_local(), &locks.queue[s->queue], &index, 1) == 0) {
        undo(k, index);
        return refused(k);
    } else {
        watch_expiry(k, index, generation, expires);
        tq_notify(e, locks_local());
    }
    return answered(k, TRQ_OK, index, generation);
}

int locks_enqueue(unsigned k)
{
    tq_store(&locks_datum[k], 1, relaxed);
    locks.asked_at[k] = locks.now;
    if (!story->stops)
        return admit(k, make(k));
    if (!tq_is_open(&locks_engine))
        return refused(k);
    uint32_t index = make(k);
    if (!tq_call_enter(&locks_engine, locks_local())) {
        undo(k, index);
        return refused(k);
    }
    int code = admit(k, index);
    tq_call_leave(locks_local());
    return code;
}

int locks_enqueue_blind(unsigned k, unsigned twin, bool locked)
{
    struct trq_engine *e = &locks_engine;
    struct tq_digest digest = digest_of(story->spec[k].queue_key);
    struct tq_bucket *bucket = NULL;
    tq_store(&locks_datum[k], 1, relaxed);
    if (locked)
        bucket = tq_locktab_lock(&e->queue_locks, digest);
    uint32_t index = (uint32_t)locks.id[twin].slot;
    uint64_t word = tq_load(&tq_job_at(e, index)->word, acquire);
    if (locked)
        tq_locktab_unlock(&e->queue_locks, bucket);
    if (tq_word_generation(word) == locks.id[twin].slot >> 32 && tq_word_waits(word))
        return answered(k, TRQ_DUPLICATE, index, tq_word_generation(word));
    return locks_enqueue(k);
}

static bool take(struct tq_taken *taken)
{
    struct tq_view *view = tq_view_now(&locks_engine);
    return tq_ready_take(view->ready, &locks_local()->segments, true, taken);
}

bool locks_work(void)
{
    struct tq_taken taken;
    if (!take(&taken))
        return false;
    tq_run(&locks_engine, locks_local(), &locks.thread[locks_self()], &taken);
    return true;
}

void locks_work_all(void)
{
    while (locks_work())
        ;
}

int locks_cancel(unsigned k)
{
    return locks.result[locks_self()] = trq_cancel(&locks_engine, locks.id[k]);
}

void locks_cancel_matching(void)
{
    const struct trq_dict all = {0};
    locks.result[locks_self()] = (int)trq_cancel_matching(&locks_engine, &declared, all);
}

static unsigned number_of_timer(const struct locks_timer *t)
{
    struct trq_job_id id = {(uint64_t)t->generation << 32 | tq_item_index(t->item),
                            locks_engine.birth};
    return number_of(id);
}

/* One that is due by its own account. */
static bool fire_one(unsigned who, uint32_t n, int64_t now)
{
    struct locks_timer *t = &locks.timer[who][n];
    int64_t due = INT64_MIN;
    if (locks.timer_done[who][n] || t->due > now)
        return false;
    /* Of what is left, nothing is late by the time that finish goes on to. */
    if (weave_self() < 0 && tq_word_expires(locks.job[tq_item_index(t->item)].word) &&
        t->due > locks.now)
        return false;
    unsigned k = number_of_timer(t);
    switch (tq_job_due(&locks_engine, locks_local(), t->item, t->generation, now, t->wall, &due)) {
    case TQ_FIRED:
        weave_assert(k < LOCKS_JOBS);
        locks.fired_at[k] = now;
        locks.timer_done[who][n] = true;
        return true;
    case TQ_LATER: /* not before then; or it has just gone on, and is looked at anew */
        weave_assert(due > now || (due == now && k < LOCKS_JOBS && story->spec[k].expires_in));
        t->due = due;
        return false;
    case TQ_STALE:
        locks.timer_done[who][n] = true;
        return false;
    case TQ_AGAIN:
        break;
    }
    weave_fail("no memory");
}

void locks_pass(int64_t now)
{
    if (locks.now < now)
        locks.now = now;
}

unsigned locks_fire(int64_t now)
{
    unsigned fired = 0;
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        for (uint32_t n = 0; n < tq_load(&locks.timers[who], acquire); n++)
            fired += fire_one(who, n, now);
    if (fired)
        tq_notify(&locks_engine, locks_local());
    return fired;
}

static struct tq_job *job_of(unsigned k)
{
    return tq_job_at(&locks_engine, (uint32_t)locks.id[k].slot);
}

void locks_hold(unsigned k)
{
    struct tq_taken taken;
    struct trq_engine *e = &locks_engine;
    uint64_t word;
    weave_assert(take(&taken) && taken.item == (uint32_t)locks.id[k].slot);
    struct tq_job *job = job_of(k);
    uint32_t at = tq_cold_side(job->cold);
    weave_assert(tq_job_become(e, job, TQ_READY, TQ_ASKS_KEY, &word));
    locks.side[at].place = taken.place;
    weave_assert(tq_worker_lock_take(e, locks_local(), at, digest_of(story->spec[k].worker_key),
                                     story->limit ? story->limit : 1, 0));
    weave_assert(tq_job_become(e, job, TQ_STARTING, TQ_STARTED, &word));
    if (word & TQ_QUEUE_LOCKED)
        tq_queue_lock_leave(e, locks_local(), job, (uint32_t)locks.id[k].slot,
                            tq_word_generation(word), job);
    enter(k, story->spec[k].worker_key);
}

void locks_let_go(unsigned k)
{
    struct trq_engine *e = &locks_engine;
    struct tq_job *job = job_of(k);
    uint64_t old;
    if (weave_self() >= 0 && !story->limit)
        WEAVE_WRITE(locks_owner[story->spec[k].worker_key], k);
    leave(k, story->spec[k].worker_key);
    tq_worker_lock_release(e, locks_local(), tq_cold_side(tq_load(&job->cold, relaxed)));
    if (!tq_job_become(e, job, TQ_RUNNING, TQ_ENDED_DONE, &old))
        weave_fail("it runs");
    uint32_t note = tq_job_release(e, locks_local(), (uint32_t)locks.id[k].slot);
    struct trq_event event = {.id = locks.id[k], .outcome = TRQ_WAS_DONE};
    tq_job_tell(e, locks_local(), note, old, &event, NULL);
}

/* That text is about that job, or one that was merged into it. */
static bool is_about(unsigned k, const struct trq_failure *why)
{
    unsigned of = (unsigned)(why->text[0] - '0');
    int key = story->spec[k].queue_key;
    return of < LOCKS_JOBS && why->text[1] == (char)('0' + why->attempt) && !why->text[2] &&
           (of == k || (key != LOCKS_NONE && key == story->spec[of].queue_key));
}

int locks_failures(unsigned k)
{
    enum { MOST_READ = 2 };
    struct trq_failure told[MOST_READ];
    size_t count = 0;
    int code = trq_failures(&locks_engine, locks.id[k], told, MOST_READ, &count);
    if (code != TRQ_OK)
        return code;
    weave_assert(count <= TRQ_FAILURES_KEPT);
    for (size_t i = 0; i < count && i < MOST_READ; i++)
        if (!is_about(k, &told[i]))
            weave_fail("why %u failed is told as: %.2s, attempt %u", k, told[i].text,
                       told[i].attempt);
    return (int)count;
}

static void stop(struct trq_span at_most)
{
    int code = trq_engine_stop(&locks_engine, at_most, NULL);
    weave_assert(code == TRQ_OK || (!at_most.ns && code == TRQ_ETIMEOUT));
}
void locks_stop(void)
{
    stop(trq_ns(0));
}
void locks_stop_and_wait(void)
{
    stop(trq_ns(1));
}

void locks_run(void)
{
    locks_work();
    tq_sub(&locks_engine.alive, 1, acq_rel);
}

void locks_pause(uint32_t queue, bool paused)
{
    struct trq_engine *e = &locks_engine;
    tq_store(&locks.queue[queue].paused, paused, seq_cst);
    struct tq_view *view = tq_view_now(e);
    tq_ready_open(view->ready, view->rank_of[queue], !paused);
    tq_worker_locks_review(e, locks_local());
    if (!paused)
        tq_notify(e, locks_local());
}

void locks_pool(unsigned k)
{
    struct trq_engine *e = &locks_engine;
    int self = (int)locks_self();
    while (!locks.ends[k]) {
        if (locks_work())
            continue;
        tq_park_join(&e->park, self, false);
        if (tq_work_waits(e))
            tq_notify(e, locks_local());
        if (!tq_park_is_awake(&e->park, self))
            tq_park_sleep(&e->park, self);
        tq_park_found(&e->park);
    }
}

/* ---- the engine --------------------------------------------------------------------------------------------------- */

static void *cut(void *context, size_t size, size_t align)
{
    (void)context;
    size_t at = (locks.used + align - 1) / align * align;
    if (at + size > sizeof locks.bytes)
        return NULL;
    locks.used = at + size;
    return locks.bytes + at;
}

static void keep(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    (void)size;
}

static void make_arena(struct tq_arena *arena, tq_aptr *chunks, void *objects, size_t size,
                       uint32_t shift)
{
    *chunks = objects;
    *arena = (struct tq_arena){.chunks = chunks,
                               .chunks_max = 1,
                               .object_size = (uint32_t)size,
                               .shift = shift,
                               .align = 8};
}

/* A slab whose objects are all in the magazines of the threads, so that none needs the depot: one for each, or two of what
 * there are more of, and the others for setup. */
static void make_slab(struct tq_slab *slab, int kind, void *objects, size_t size, uint32_t count,
                      uint32_t shift)
{
    make_arena(&slab->objects, &chunk[kind], objects, size, shift);
    slab->capacity = TQ_MAGAZINE_MAX;
    slab->carved = slab->limit = count;
    for (uint32_t i = count; i--;) {
        unsigned each = count > LOCKS_OBJECTS ? 2 : 1;
        unsigned who = kind == SEGMENTS           ? i % LOCKS_WHO
                       : i < each * LOCKS_THREADS ? i % LOCKS_THREADS
                                                  : LOCKS_SETUP;
        struct tq_magazine *m = &locks.magazine[who][kind];
        m->object[m->count++] = i;
    }
}

static void make_table(struct tq_locktab *tab, const struct tq_slab *records,
                       struct tq_bucket *buckets, tq_aptr *chunks)
{
    tab->slab = records;
    make_arena(&tab->buckets, chunks, buckets, sizeof *buckets, TQ_LOCKTAB_SHIFT);
    tab->count = TQ_LOCKTAB_CHUNK;
}

static void make_slabs(struct trq_engine *e)
{
    _Static_assert((int)LOCKS_OBJECTS <= (int)TQ_LOCKTAB_CHUNK &&
                       LOCKS_OBJECTS <= 1 << TQ_LINKS_SHIFT,
                   "no table grows");
    make_slab(&e->jobs, JOBS, locks.job, sizeof locks.job[0], LOCKS_OBJECTS, TQ_JOBS_SHIFT);
    make_slab(&e->sides, SIDES, locks.side, sizeof locks.side[0], LOCKS_EXTRAS, 6);
    make_slab(&e->trails, TRAILS, locks.trail, sizeof locks.trail[0], LOCKS_EXTRAS, 6);
    make_slab(&e->slips, SLIPS, locks.slip, sizeof locks.slip[0], LOCKS_EXTRAS, 6);
    make_slab(&e->queue_records, QUEUE_RECORDS, locks.queue_record, sizeof locks.queue_record[0],
              LOCKS_OBJECTS, 6);
    make_slab(&e->worker_records, WORKER_RECORDS, locks.worker_record,
              sizeof locks.worker_record[0], LOCKS_OBJECTS, 6);
    make_slab(&e->links, LINKS, locks.link, sizeof locks.link[0], LOCKS_OBJECTS, TQ_LINKS_SHIFT);
    make_slab(&e->segments, SEGMENTS, locks.segment, sizeof locks.segment[0], 16,
              TQ_SEGMENTS_SHIFT);
    make_table(&e->queue_locks, &e->queue_records, locks.queue_bucket, &bucket_chunk[0]);
    make_table(&e->worker_locks, &e->worker_records, locks.worker_bucket, &bucket_chunk[1]);
}

static void make_local(unsigned who)
{
    struct tq_local *l = &locals[who];
    struct tq_slab_cache *caches[LOCKS_KINDS] = {
        &l->jobs,          &l->sides,          &l->trails,         &l->slips,
        &l->queue_records, &l->worker_records, &l->segments.links, &l->segments.slab,
    };
    for (int kind = 0; kind < LOCKS_KINDS; kind++)
        caches[kind]->loaded = &locks.magazine[who][kind];
    l->engine = &locks_engine;
    l->scratch = scratch[who];
    l->scratch_size = sizeof scratch[who];
    l->tallies[0] = tallies[who];
    locks.thread[who].engine = &locks_engine;
    locks.thread[who].local = l;
    locks.thread[who].running = UINT64_MAX;
}

static void make_queues(struct trq_engine *e)
{
    struct tq_fifo *fifos[LOCKS_QUEUES];
    const int32_t weights[LOCKS_QUEUES] = {2, 1};
    struct tq_fifo_cache *cache = &locals[LOCKS_SETUP].segments;
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++) {
        struct tq_queue *q = &locks.queue[i];
        weave_assert(tq_fifo_init(&q->fifo, &e->segments, &e->links, cache));
        q->number = i;
        q->weight = (uint32_t)weights[i];
        q->worked = true;
        e->registry.queues[i] = q;
        locks.rank_of[i] = i;
        locks.by_rank[i] = q;
        fifos[i] = &q->fifo;
    }
    e->registry.queues_count = LOCKS_QUEUES;
    locks.view =
        (struct tq_view){.count = LOCKS_QUEUES,
                         .rank_of = locks.rank_of,
                         .by_rank = locks.by_rank,
                         .ready = tq_ready_create(&e->memory, fifos, weights, LOCKS_QUEUES)};
    weave_assert(locks.view.ready);
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++)
        tq_ready_open(locks.view.ready, i, true);
    e->view = &locks.view;
}

static void make_classes(struct trq_engine *e)
{
    space.limit = story->limit ? story->limit : 1;
    for (uint32_t i = 0; i < LOCKS_CLASSES; i++) {
        struct tq_class *c = &classes[i];
        c->declared = &declared;
        c->perform = perform;
        c->number = i;
        if (i != LOCKS_PLAIN)
            c->worker_lock.space = &space;
        if (i == LOCKS_ASKING)
            c->worker_lock.key = ask;
        e->registry.classes[i] = c;
    }
}

static void reset_locals(void)
{
    memset(tallies, 0, sizeof tallies);
    for (unsigned who = 0; who < LOCKS_WHO; who++) {
        struct tq_local *l = &locals[who];
        l->running = NULL;
        l->told_to_stop = false;
        l->calls = 0;
        l->scheduled = l->wakeups = 0;
        l->sample_in = 1000;
        tq_fifo_cache_init(&l->segments);
    }
}

/* Each begins with a spare segment: what a spare costs is the business of sync/fifo. */
static void take_spares(void)
{
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        weave_assert(tq_fifo_reserve(&locks_engine.segments, &locals[who].segments, 1));
}

static void build(void)
{
    struct trq_engine *e = &locks_engine;
    memset(e, 0, sizeof *e);
    memset(&locks, 0, sizeof locks);
    memset(locks_datum, 0, sizeof locks_datum);
    e->memory = (struct tq_memory){cut, keep, NULL};
    gate.state = TQ_GATE_OPEN;
    e->gate = &gate;
    e->birth = 1;
    e->thread_count = LOCKS_THREADS;
    e->threads = locks.thread;
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        locals[who].older = who + 1 < LOCKS_WHO ? &locals[who + 1] : NULL;
    e->locals = &locals[0];
    for (unsigned t = 0; t < LOCKS_THREADS; t++)
        e->alive += story->play[t] == locks_run;
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        locks.code[k] = LOCKS_UNASKED;
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        locks.sleeper[who].awake = 1;
    make_slabs(e);
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        make_local(who);
    reset_locals();
    make_queues(e);
    make_classes(e);
    tq_park_init(&e->park, locks.sleeper);
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        payload[k] = k;
    if (story->build)
        story->build();
}

/* ---- one execution ------------------------------------------------------------------------------------------------ */

enum { ENGINE_BYTES = offsetof(struct trq_engine, registry) };

static uint32_t spares_then[LOCKS_WHO][2];
static uint32_t datum_then[LOCKS_JOBS];
static uint64_t scheduled_then;

static void constants(void)
{
    struct trq_engine *e = &locks_engine;
    for (int kind = 0; kind < LOCKS_KINDS; kind++)
        weave_constant(&chunk[kind]);
    weave_constant(&bucket_chunk[0]);
    weave_constant(&bucket_chunk[1]);
    weave_constant(&e->queue_locks.count);
    weave_constant(&e->worker_locks.count);
    weave_constant(&e->queue_records.carved);
    weave_constant(&e->worker_records.carved);
    weave_constant(&e->jobs.carved);
    weave_constant(&e->view);
    if (!story->stops)
        weave_constant(&gate.state);
    weave_constant(&e->locals);
    weave_constant(&space.limit);
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        weave_constant(&locals[who].tallies[0]);
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        weave_constant(&locals[who].older);
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++) {
        weave_constant(&locks.queue[i].weight);
        if (!story->moves_queue)
            weave_constant(&locks.queue[i].paused);
        weave_constant(&locks.view.ready->level[i].turn);
    }
    if (!story->moves_queue)
        weave_constant(&locks.view.ready->open[0]);
    for (unsigned k = 0; k < LOCKS_JOBS && story->spec[k].class >= 0; k++)
        weave_name_at(&locks_datum[k], "datum", (int)k);
    for (int i = 0; i < LOCKS_OBJECTS; i++) {
        weave_name_at(&locks.job[i].word, "word", i);
        weave_name_at(&locks.job[i].cold, "cold", i);
        weave_name_at(&locks.side[i].tie, "tie", i);
        weave_name_at(&locks.queue_bucket[i].mutex.word, "queue bucket", i);
        weave_name_at(&locks.worker_bucket[i].mutex.word, "worker bucket", i);
        weave_name_at(&e->stripes[i].word, "stripe", i);
    }
}

static void setup(void *arg)
{
    static const void *built;
    story = arg;
    gate.state = TQ_GATE_OPEN;
    if (built == arg) {
        memcpy(&locks, &image, sizeof locks);
        memcpy(&locks_engine, &engine_image, ENGINE_BYTES);
        reset_locals();
        memcpy(locks_datum, datum_then, sizeof locks_datum);
        locals[LOCKS_SETUP].scheduled = scheduled_then;
        for (unsigned who = 0; who < LOCKS_WHO; who++) {
            locals[who].segments.spare = spares_then[who][0];
            locals[who].segments.spares = spares_then[who][1];
        }
    } else {
        build();
        take_spares();
        memcpy(&image, &locks, sizeof locks);
        memcpy(&engine_image, &locks_engine, ENGINE_BYTES);
        memcpy(datum_then, locks_datum, sizeof locks_datum);
        scheduled_then = locals[LOCKS_SETUP].scheduled;
        for (unsigned who = 0; who < LOCKS_WHO; who++) {
            spares_then[who][0] = locals[who].segments.spare;
            spares_then[who][1] = locals[who].segments.spares;
        }
        built = arg;
    }
    constants();
}

static void play(void *arg)
{
    (void)arg;
    story->play[locks_self()]();
}

static void no_fault(const char *what)
{
    if (what)
        weave_fail("%s", what);
}

/* No object is lost, or free twice. */
static void all_are_free(int kind, uint32_t count)
{
    uint32_t seen = 0;
    for (unsigned who = 0; who < LOCKS_WHO; who++) {
        const struct tq_magazine *m = &locks.magazine[who][kind];
        for (uint32_t i = 0; i < m->count; i++) {
            weave_assert(!(seen >> m->object[i] & 1));
            seen |= 1u << m->object[i];
        }
    }
    if (seen != (1u << count) - 1)
        weave_fail("an object of kind %d is lost: %x", kind, seen);
}

/* How the executions of a case can end, as answers, outcomes and results. */
enum { KINDS_MAX = 64 };
static uint64_t kinds[KINDS_MAX];
static unsigned kinds_count;

enum { MOST = 20 }; /* rounds of finish, for what a fault makes come back for ever */

static void note_kind(void)
{
    uint64_t hash = 0;
    unsigned i = 0;
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        hash = hash * 1000003 + (uint64_t)(locks.code[k] + 2000) * 64 + locks.outcome[k] * 8 +
               locks.ends[k] * 4 + locks.begun[k];
    for (unsigned who = 0; who < LOCKS_THREADS; who++)
        hash = hash * 1000003 + (uint64_t)(locks.result[who] + 2000);
    while (i < kinds_count && kinds[i] != hash)
        i++;
    if (i == kinds_count && kinds_count < KINDS_MAX)
        kinds[kinds_count++] = hash;
}

/* I2, I3 of core/schedule.h: each scheduled job has one timer of its turn, which is not later than its due time; each that
 * is to begin by some time has one, or more. */
static void check_timers(void)
{
    uint32_t live[LOCKS_OBJECTS] = {0};
    if (story->stops)
        return;
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        for (uint32_t n = 0; n < locks.timers[who]; n++) {
            const struct locks_timer *t = &locks.timer[who][n];
            int64_t due;
            if (locks.timer_done[who][n] ||
                tq_job_due(&locks_engine, locks_local(), t->item, t->generation, INT64_MIN, t->wall,
                           &due) != TQ_LATER)
                continue;
            /* (Who is STARTING then may have to wait for its key: it is looked at again a little later.) */
            weave_assert(t->due <= due || tq_word_expires(locks.job[tq_item_index(t->item)].word));
            live[tq_item_index(t->item)]++;
        }
    for (uint32_t i = 0; i < LOCKS_OBJECTS; i++)
        if (tq_word_expires(locks.job[i].word))
            weave_assert(live[i] > 0);
        else
            weave_assert(live[i] == (tq_word_state(locks.job[i].word) == TQ_SCHEDULED));
}

static void finish(void *arg)
{
    (void)arg;
    struct trq_engine *e = &locks_engine;
    uint64_t held, waiting, scheduled = 0;
    no_fault(tq_queue_locks_check(e, &held));
    no_fault(tq_worker_locks_check(e, &waiting));
    weave_assert(tq_ready_check(locks.view.ready));
    weave_assert(tq_park_check(&e->park, LOCKS_WHO));
    check_timers();
    if (story->then)
        story->then();
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++)
        if (locks.queue[i].paused)
            locks_pause(i, false);
    unsigned rounds = 0;
    do
        for (unsigned taken = 0; locks_work(); taken++)
            weave_assert(taken < MOST);
    while (locks_fire(INT64_MAX) && rounds++ < MOST);
    weave_assert(rounds < MOST);
    no_fault(tq_queue_locks_check(e, &held));
    no_fault(tq_worker_locks_check(e, &waiting));
    weave_assert(held == 0 && waiting == 0);
    for (unsigned k = 0; k < LOCKS_JOBS; k++) {
        weave_assert(locks.ends[k] == locks.accepted[k]);
        weave_assert(locks.accepted[k] || !locks.begun[k]);
        weave_assert(!locks.ends[k] || locks.outcome[k] != TRQ_WAS_DONE || locks.begun[k]);
    }
    for (unsigned who = 0; who < LOCKS_WHO; who++)
        scheduled += locals[who].scheduled;
    weave_assert(scheduled == 0);
    for (uint32_t i = 0; i < LOCKS_QUEUES; i++)
        weave_assert(locks.queue[i].tombs == 0 && locks.queue[i].parked == 0);
    for (int kind = JOBS; kind <= LINKS; kind++)
        all_are_free(kind, kind >= SIDES && kind <= SLIPS ? LOCKS_EXTRAS : LOCKS_OBJECTS);
    weave_assert(e->stale_releases == 0);
    if (story->end)
        story->end();
    note_kind();
}

/* ---- what they can say ---------------------------------------------------------------------------------------------- */

enum tq_state locks_state(unsigned k)
{
    uint64_t word = job_of(k)->word;
    return locks.id[k].birth && tq_word_generation(word) == locks.id[k].slot >> 32
               ? tq_word_state(word)
               : TQ_FREE;
}

bool locks_state_seen(unsigned k)
{
    uint64_t word = tq_load(&job_of(k)->word, acquire);
    return tq_word_generation(word) == locks.id[k].slot >> 32 && tq_word_lives(word);
}

bool locks_ended_as(unsigned k, enum trq_outcome outcome)
{
    return locks.ends[k] && locks.outcome[k] == outcome;
}

bool locks_cancelled(unsigned k)
{
    return locks_ended_as(k, TRQ_WAS_CANCELLED);
}

void locks_no_lost_change(void)
{
    for (unsigned k = 0; k < LOCKS_JOBS; k++) {
        unsigned by = k;
        if (locks.code[k] == LOCKS_UNASKED || locks.code[k] == TRQ_ESTOPPED)
            continue;
        if (!locks.accepted[k])
            by = locks.twin[k];
        /* A job that was replaced, or was merged, has passed it on. */
        while (locks.ends[by] && locks.other[by] < LOCKS_JOBS)
            by = locks.other[by];
        if (locks_ended_as(by, TRQ_WAS_EXPIRED) && !locks.accepted[k] &&
            is_over(by, locks.asked_at[k]))
            weave_fail("%u was refused by %u, whose time was over", k, by);
        if (locks_cancelled(by) || locks_ended_as(by, TRQ_WAS_EXPIRED) ||
            locks_ended_as(by, TRQ_WAS_DROPPED))
            continue;
        if (!(locks.saw[by] >> k & 1))
            weave_fail("the change of %u is lost: %u was to see it", k, by);
    }
}

struct weave_case locks_case(const char *name, const struct locks_story *s, int preemptions,
                             int stale)
{
    struct weave_case c = {.name = name,
                           .arg = (void *)(uintptr_t)s,
                           .setup = setup,
                           .finish = finish,
                           .preemptions = preemptions ? preemptions : WEAVE_NONE,
                           .stale = stale ? stale : WEAVE_NONE,
                           .steps = 800,
                           .clean_stack = 6144};
    for (int i = 0; i < LOCKS_THREADS && s->play[i]; i++)
        c.threads[i] = play;
    return c;
}

/* ---- claims ------------------------------------------------------------------------------------------------------ */

void locks_clean(const struct weave_case *cases, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        kinds_count = 0;
        sync_clean(&cases[i]);
        printf("# %u different ends\n", kinds_count);
    }
}

static bool is_write(const struct weave_site *site)
{
    switch (site->op) {
    case WEAVE_OP_STORE:
    case WEAVE_OP_SWAP:
    case WEAVE_OP_ADD:
    case WEAVE_OP_SUB:
    case WEAVE_OP_OR:
    case WEAVE_OP_AND:
    case WEAVE_OP_CAS:
        return true;
    default:
        return false;
    }
}

static bool fails(const struct weave_case *cases, unsigned count, const char **by)
{
    static struct weave_result r;
    for (unsigned i = 0; i < count; i++) {
        struct weave_case c = cases[i];
        c.quiet = true;
        c.executions = 0;
        *by = c.name;
        if (weave_run(&c, &r) != 0)
            return true;
    }
    return false;
}

static bool contains(const char *text, const struct locks_fault *fault)
{
    return strstr(text, fault->file) && strstr(text, fault->text);
}

void locks_drop(const struct weave_case *cases, unsigned count, const struct locks_fault *needed)
{
    enum { NEEDED_MAX = 32 };
    unsigned dropped = 0, caught = 0;
    bool seen[NEEDED_MAX] = {false};
    struct weave_site *site;
    const char *by;
    char text[320];
    /* What these cases come by. */
    for (unsigned i = 0; (site = weave_site_find("", i)); i++)
        site->hits = 0;
    if (fails(cases, count, &by))
        sync_claim(false, "clean, before writes are left out", by);
    for (unsigned i = 0; (site = weave_site_find("engine/core/", i)); i++) {
        char description[200];
        if (!is_write(site) || !site->hits)
            continue;
        weave_site_describe(site, description, sizeof description);
        weave_drop(site);
        bool found = fails(cases, count, &by);
        weave_mend(site);
        dropped++;
        caught += found;
        for (unsigned n = 0; needed[n].file; n++)
            seen[n] = seen[n] || (found && contains(description, &needed[n]));
        printf("# %s  left out: %s%s%s\n", found ? "caught  " : "SURVIVED", description,
               found ? "  by " : "", found ? by : "");
    }
    printf("# of %u writes left out %u are caught\n", dropped, caught);
    for (unsigned n = 0; needed[n].file; n++) {
        snprintf(text, sizeof text, "caught: %s, left out: %s", needed[n].file, needed[n].text);
        sync_claim(seen[n], text, "it survives");
    }
}

void locks_mutate(const struct weave_case *cases, unsigned count, const struct locks_fault *needed)
{
    static struct weave_tally tally;
    char text[320];
    int status = weave_mutate(cases, count, WEAVE_ONE_STEP, "engine/core/", &tally);
    snprintf(text, sizeof text, "of %u weaker orders %u are caught", tally.count, tally.caught);
    sync_claim(status == 0, text, "not clean without a fault");
    for (; needed->file; needed++) {
        bool caught = false;
        for (unsigned i = 0; i < tally.count; i++)
            caught =
                caught || (tally.verdicts[i].caught && contains(tally.verdicts[i].text, needed));
        snprintf(text, sizeof text, "caught: %s %s", needed->file, needed->text);
        sync_claim(caught, text, "it survives");
    }
}
