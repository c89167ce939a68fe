/* What one thread keeps of one engine: its magazines, its counters, what it looked up.
 *
 * Found through a pthread key of the engine, so that there is no global state; when the thread ends, the
 * next thread takes all of it over. Counters are written by their thread alone (relaxed stores) and
 * summed by whoever asks. */
#ifndef TQ_CORE_LOCAL_H
#define TQ_CORE_LOCAL_H

#include <ck_epoch.h>
#include <stdbool.h>
#include <stdint.h>

#include <tresque/stats.h>

#include "engine/base/atomic.h"
#include "engine/core/blocks.h"
#include "engine/sync/fifo.h"
#include "engine/sync/inbox.h"
#include "engine/sync/slab.h"

struct trq_engine;
struct trq_job;
struct trq_worker;
struct tq_class;
struct tq_draft;
struct tq_hist;
struct tq_layout;
struct tq_row;

enum {
    TQ_LOCALS_MAX = 4097, /* threads at one time, and the engine's own for housekeeping */
    TQ_KNOWN = 32,
    TQ_NAMED = 32,
    TQ_TALLY_CHUNK = 32,
    TQ_CLASSES_MAX = 4096
};

enum tq_counter {
#define TQ_COUNTER_(name, sentence) TQ_COUNT_##name,
    TRQ_COUNTERS(TQ_COUNTER_)
#undef TQ_COUNTER_
        TQ_COUNTERS
};

/* One thread's counts of one class of worker. */
struct tq_tally {
    tq_a64 count[TQ_COUNTERS];
    tq_aptr hist; /* struct tq_timings; NULL until a job was timed */
};

struct tq_local {
    struct trq_engine *engine;
    struct trq_job *running; /* the handler that this thread is in */
    struct tq_draft *draft;  /* of the job that this thread brings up to date; else NULL */
    bool in_callback;        /* in an on_end, which must not block either */
    bool told_to_stop;       /* the engine stops, and this thread's handler knows */
    bool attempting;         /* waits for room: what it gives back now, nobody need be told of */
    int thread;              /* index in the pool; -1: a thread of the host */
    uint32_t sample_in;      /* jobs until the next that is timed */

    struct tq_slab_cache jobs;
    struct tq_slab_cache notes;
    struct tq_fifo_cache segments;
    struct tq_blocks_cache blocks;
    struct tq_slab_cache sides;
    struct tq_slab_cache trails, slips;
    struct tq_slab_cache queue_records, worker_records;
    struct tq_slab_cache chunks; /* of timers */
    struct tq_inbox inbox;       /* timers on their way to the wheels */

    struct { /* classes by the address of their declaration, direct-mapped */
        const struct trq_worker *declared;
        struct tq_class *class;
    } known[TQ_KNOWN];
    struct { /* rows by the address of the name that a handler asks for: usually a literal */
        const char *name;
        const struct tq_layout *layout;
        const struct tq_row *row;
    } named[TQ_NAMED];
    tq_aptr tallies[TQ_CLASSES_MAX / TQ_TALLY_CHUNK]; /* to TQ_TALLY_CHUNK struct tq_tally */

    tq_a64 refused_full;
    tq_a64 refused_input;
    tq_a64 wakeups;
    tq_a32 calls;     /* of this thread, that a stop waits for: see tq_call_enter */
    tq_a64 scheduled; /* became so by this thread, less those that it took out: may be negative */

    ck_epoch_record_t epoch;

    /* Memory for one run: the inputs as a struct, the run's state. */
    void *scratch;
    size_t scratch_size;

    tq_aptr older; /* in the engine's list of all; never changes */
    tq_a32 taken;  /* 1: a thread owns it */
};

/* Of the calling thread. NULL: out of memory, or 4,096 threads have one. */
struct tq_local *tq_local_make(struct trq_engine *engine);

/* One that no thread owns yet, for a pool thread to be. */
struct tq_local *tq_local_reserve(struct trq_engine *engine);
/* Another thread may take it. */
void tq_local_release(struct tq_local *local);

void tq_locals_destroy(struct trq_engine *engine);

struct tq_tally *tq_local_tally_make(struct tq_local *local, uint32_t class);
/* NULL: out of memory. */
static inline struct tq_tally *tq_local_tally(struct tq_local *local, uint32_t class)
{
    struct tq_tally *chunk = tq_load(&local->tallies[class / TQ_TALLY_CHUNK], relaxed);
    return TQ_LIKELY(chunk != NULL) ? &chunk[class % TQ_TALLY_CHUNK]
                                    : tq_local_tally_make(local, class);
}

/* By the owner only: no read-modify-write is needed. */
static inline void tq_count(tq_a64 *counter, uint64_t n)
{
    tq_store(counter, tq_load(counter, relaxed) + n, relaxed);
}

#endif
