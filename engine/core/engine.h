/* The engine's parts, and the calls between the files of core. */
#ifndef TQ_CORE_ENGINE_H
#define TQ_CORE_ENGINE_H

#include <ck_epoch.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tresque/channel.h>
#include <tresque/engine.h>
#include <tresque/enqueue.h>
#include <tresque/stats.h>

#include "engine/base/atomic.h"
#include "engine/base/clock.h"
#include "engine/base/hist.h"
#include "engine/base/memory.h"
#include "engine/core/blocks.h"
#include "engine/core/dead.h"
#include "engine/core/house.h"
#include "engine/core/job.h"
#include "engine/core/local.h"
#include "engine/core/names.h"
#include "engine/core/note.h"
#include "engine/core/past.h"
#include "engine/core/recur.h"
#include "engine/core/patrol.h"
#include "engine/core/registry.h"
#include "engine/core/side.h"
#include "engine/sync/fifo.h"
#include "engine/sync/line.h"
#include "engine/sync/locktab.h"
#include "engine/sync/mutex.h"
#include "engine/sync/park.h"
#include "engine/sync/ready.h"
#include "engine/sync/slab.h"

/* May jobs come and go? On a page of its own that a fork leaves zeroed to the child, so that one load answers for
 * both stop and fork. */
enum tq_gate_state { TQ_GATE_FORKED, TQ_GATE_OPEN, TQ_GATE_STOPPING, TQ_GATE_STOPPED };
struct tq_gate {
    tq_a32 state;
};

/* What the threads of a start wait for. */
enum tq_go { TQ_GO_WAIT, TQ_GO, TQ_GO_HOME };

struct tq_timings {
    struct tq_hist wait, run;
};

/* Threads that wait for something that others make true: they count themselves, read `turn`, look, and sleep on
 * it; who makes it true looks for waiters and turns. Both begin with a read-modify-write of `waiters`, so one of
 * them sees the other. */
struct tq_bell {
    TQ_ON_LINE tq_a32 waiters;
    tq_a32 turn;
};

/* A pool thread, or the host's in poll mode (index 0). */
struct tq_thread {
    TQ_ON_LINE tq_a64 running; /* (generation, slot) of its job; ~0: none */
    tq_a64 since;              /* mono ns */
    tq_a64 deadline;           /* of its run, boot ns; INT64_MAX: none */
    uint64_t reported;         /* the housekeeper's: the run that it told of as stuck */
    int64_t reported_since, reported_deadline;
    tq_a32 class;
    struct trq_engine *engine;
    struct tq_local *local;
    struct tq_view *view; /* from which it took last */
    pthread_t handle;
    int index;
    bool searching;
};

enum { TQ_STRIPES = 64 };

struct trq_engine {
    /* Read by all, written at the start. */
    struct tq_gate *gate;
    struct tq_clock clock;
    tq_a64 virtual_mono, virtual_wall; /* of a test engine (testkit.c) */
    struct tq_memory memory;
    struct trq_config config;
    struct trq_hooks hooks;
    uint64_t birth;
    pthread_key_t key;
    uint32_t sample_every;
    uint32_t job_size_max;
    uint32_t jobs_max;
    uint32_t dead_max; /* 0: none are kept */
    int64_t spin_ns;   /* 0: none */
    int thread_count;  /* 0: the host polls */
    char thread_name[16];
    char **queue_names; /* config.queues, copied; NULL: all */
    uint32_t queue_names_count, queue_names_room;

    /* Work. */
    tq_aptr view; /* struct tq_view: the queues in order of weight */
    struct tq_slab jobs;
    struct tq_slab notes;
    struct tq_slab segments;
    struct tq_slab links;
    struct tq_slab sides;
    struct tq_slab trails, slips;
    struct tq_slab queue_records, worker_records;
    struct tq_blocks blocks;
    struct tq_park park;
    struct tq_bell room;    /* waiting for a slot or for room in a channel */
    struct tq_bell quiet;   /* waiting until nothing is ready and nothing runs */
    TQ_ON_LINE tq_a32 idle; /* pool threads that sleep, or are about to */
    tq_a32 go;              /* enum tq_go */
    tq_a32 alive;           /* pool threads that have not ended */
    tq_a64 lost_races;      /* transitions that found another state: see life.h */

    /* Time and locks. */
    struct tq_house house;
    struct tq_locktab queue_locks, worker_locks;
    struct tq_secret secret;                        /* of their keys */
    TQ_ON_LINE struct tq_mutex stripes[TQ_STRIPES]; /* see schedule.h */
    tq_a64 park_order;                              /* the last one given to who began to wait */
    tq_a64 stale_releases;
    tq_a64 bad_delays; /* of retry policies */
    struct tq_past past;
    struct tq_dead dead;
    struct tq_recur recur;
    struct tq_patrol patrol;

    /* Threads. */
    struct tq_thread *threads;
    struct tq_sleeper *sleepers;
    tq_a32 started; /* written under `stopping` */
    bool joined;    /* likewise */
    tq_a64 dropped; /* jobs that ended as such, by whomever */
    pthread_mutex_t stopping;
    int fd; /* poll mode: readable while there may be work; else -1 */
    tq_a32 polling;

    /* Names. */
    struct tq_registry registry;

    /* Who blocks in trq_wait, and the channels there are. */
    pthread_mutex_t waiting;
    struct tq_waiter *waiters;
    struct trq_channel *channels;

    tq_aptr locals; /* struct tq_local, all there ever were */
    tq_a32 locals_count;
    ck_epoch_t epoch;
};

/* ---- gate, bells ---- */

static inline bool tq_is_open(const struct trq_engine *engine)
{
    return TQ_LIKELY(tq_load(&engine->gate->state, seq_cst) == TQ_GATE_OPEN);
}
static inline bool tq_is_forked(const struct trq_engine *engine)
{
    return tq_load(&engine->gate->state, relaxed) == TQ_GATE_FORKED;
}
bool tq_gate_init(struct trq_engine *engine);
void tq_gate_fini(struct trq_engine *engine);

/* Begin to wait; look then; tq_bell_sleep if need be; tq_bell_leave at the end. */
uint32_t tq_bell_enter(struct tq_bell *bell);
uint32_t tq_bell_turn(const struct tq_bell *bell);
bool tq_bell_sleep(struct tq_bell *bell, uint32_t turn, int64_t deadline);
void tq_bell_leave(struct tq_bell *bell);
/* After something became true. */
void tq_bell_ring(struct tq_bell *bell);

/* ---- threads' own ---- */

/* NULL: out of memory, or too many threads. */
static inline struct tq_local *tq_local_of(struct trq_engine *engine)
{
    struct tq_local *local = pthread_getspecific(engine->key);
    return TQ_LIKELY(local != NULL) ? local : tq_local_make(engine);
}

/* A call that may run an on_end, or that makes several things visible of which a stop must see all or none, is
 * counted while it does, and nothing in it blocks. False: the engine stops, or is another process's. Either the stop sees
 * the count, or the call sees the gate closed: both are seq_cst. */
static inline bool tq_call_enter(struct trq_engine *engine, struct tq_local *local)
{
    tq_store(&local->calls, tq_load(&local->calls, relaxed) + 1, seq_cst);
    if (tq_is_open(engine))
        return true;
    tq_store(&local->calls, tq_load(&local->calls, relaxed) - 1, release);
    return false;
}
static inline void tq_call_leave(struct tq_local *local)
{
    tq_store(&local->calls, tq_load(&local->calls, relaxed) - 1, release);
}

/* ---- jobs ---- */

static inline struct tq_job *tq_job_at(const struct trq_engine *engine, uint32_t index)
{
    return tq_arena_at_fixed(&engine->jobs.objects, index, sizeof(struct tq_job), TQ_JOBS_SHIFT);
}
static inline struct tq_side *tq_side_at(const struct trq_engine *engine, uint32_t index)
{
    return tq_arena_at_fixed(&engine->sides.objects, index, sizeof(struct tq_side), TQ_SIDES_SHIFT);
}
static inline struct trq_job_id tq_job_id(const struct trq_engine *engine, uint32_t index,
                                          uint64_t word)
{
    struct trq_job_id id = {(uint64_t)tq_word_generation(word) << 32 | index, engine->birth};
    return id;
}
/* The job that an id names, if the slot can be one of this engine; the caller compares the generation. NULL:
 * never was. */
struct tq_job *tq_job_by_id(const struct trq_engine *engine, struct trq_job_id id);

/* By which the bytes of a job with that word are encoded. */
static inline const struct tq_layout *tq_job_layout(const struct tq_class *class, uint64_t word)
{
    return TQ_UNLIKELY(word & TQ_OLD) ? class->bare : class->layout;
}

/* Index + 1, or 0. */
static inline uint32_t tq_job_note(const struct trq_engine *engine, const struct tq_job *job)
{
    uint32_t cold = tq_load(&job->cold, acquire);
    return TQ_UNLIKELY(cold & TQ_COLD_SIDE)
               ? tq_load(&tq_side_at(engine, cold & ~TQ_COLD_SIDE)->note, acquire)
               : cold;
}

/* For job->enqueued. One job in sample_every is timed exactly; the others bear the coarse clock, which costs a
 * fifth. */
static inline uint64_t tq_stamp(const struct trq_engine *engine, struct tq_local *local)
{
    if (TQ_LIKELY(--local->sample_in))
        return (uint64_t)tq_clock_coarse(&engine->clock) << 1;
    local->sample_in = engine->sample_every;
    return (uint64_t)tq_clock_mono(&engine->clock) << 1 | 1;
}

/* ---- log ---- */

void tq_log(struct trq_engine *engine, enum trq_log_level level, const char *format, ...)
    TRQ_PRINTF(3, 4);

/* ---- pool ---- */

/* False: it was not to be run after all. */
bool tq_thread_run(struct trq_engine *engine, struct tq_thread *thread,
                   const struct tq_taken *taken);
/* Start all; on failure none runs. */
int tq_pool_start(struct trq_engine *engine, struct trq_error *error);

#endif
