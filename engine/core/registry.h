/* Applications, classes of workers and queues, by name.
 *
 * All changes under one mutex; what is registered stays until the engine ends, so a handle once found is good for
 * ever. Readers take names without a lock (core/names), and the order of queues from the current *view*.
 */
#ifndef TQ_CORE_REGISTRY_H
#define TQ_CORE_REGISTRY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <tresque/engine.h>

#include "engine/core/local.h"
#include "engine/core/lock.h"
#include "engine/core/names.h"
#include "engine/sync/fifo.h"
#include "engine/sync/ready.h"

struct trq_engine;
struct tq_layout;

enum { TQ_QUEUES_MAX = 4096, TQ_STATE_MAX = 64 * 1024, TQ_NAME_MAX = 200 };

struct tq_queue {
    struct tq_name name; /* first: full name */
    struct tq_fifo fifo;
    uint32_t number;
    tq_a32 weight; /* an int32_t */
    tq_a32 paused; /* 0 or 1 */
    tq_a32 tombs;  /* of its items, those that are none: ended, and not popped yet */
    tq_a32 parked; /* of its jobs, those that wait for their worker lock */
    bool declared; /* its weight was given, not assumed */
    bool worked;
    char text[TQ_NAME_MAX + 1];
};

struct tq_class {
    struct tq_name name; /* first */
    const struct trq_worker *declared;
    struct tq_layout *layout;
    struct tq_layout *bare; /* without rows: for dictionaries of other versions */
    struct tq_queue *queue;
    enum trq_end (*perform)(struct trq_job *job);
    bool (*needed)(struct trq_job *job);
    uint32_t number;
    uint32_t struct_size;
    uint32_t state_size;
    int64_t timeout, expires_in; /* ns; 0: none */
    uint64_t flags; /* of its jobs' words: which locks they have, and whether they expire */
    struct tq_lock queue_lock, worker_lock;
    tq_a64 shared[TQ_COUNTERS]; /* counts of threads that had no memory for their own */
    char app[TQ_NAME_MAX + 1];
    char text[TQ_NAME_MAX + 1];
    struct tq_class *next; /* of the same application */
};

/* The queues in order of weight at one time. A registration makes another one. The old ones live on, since a
 * thread may still be marking in them. */
struct tq_view {
    struct tq_ready *ready;
    struct tq_view *older;
    uint32_t count;
    uint32_t *rank_of; /* by queue number */
    struct tq_queue **by_rank;
};

struct tq_registry {
    pthread_mutex_t mutex;
    struct tq_names worker_names;
    struct tq_names queue_names;
    struct tq_names space_names;
    struct tq_space *spaces;
    uint32_t spaces_count;
    ck_epoch_record_t writer;
    struct tq_queue *queues[TQ_QUEUES_MAX];
    struct tq_class *classes[TQ_CLASSES_MAX];
    tq_a32 queues_count;
    tq_a32 classes_count;
};

static inline int32_t tq_queue_weight(const struct tq_queue *queue)
{
    return (int32_t)tq_load(&queue->weight, relaxed);
}

/* tally: the thread's own of that class; NULL: it could not be had. */
static inline void tq_class_count(struct tq_class *class, struct tq_tally *tally,
                                  enum tq_counter which, uint64_t n)
{
    if (TQ_LIKELY(tally != NULL))
        tq_count(&tally->count[which], n);
    else
        tq_add(&class->shared[which], n, relaxed);
}

int tq_registry_init(struct trq_engine *engine);
void tq_registry_fini(struct trq_engine *engine);

/* Of the worker's declaration, or of an equal one. NULL: not registered. */
struct tq_class *tq_class_find(struct trq_engine *engine, struct tq_local *local,
                               const struct trq_worker *declared);
struct tq_class *tq_class_by_name(struct trq_engine *engine, struct tq_local *local,
                                  const char *name);
/* A short name in the class's application, or a full one. */
struct tq_queue *tq_queue_find(struct trq_engine *engine, struct tq_local *local,
                               const struct tq_class *class, const char *name);
/* "...; there are account_default, account_refresh" into the error. Returns TRQ_EUNKNOWN. */
int tq_queue_unknown(struct trq_engine *engine, const char *name, struct trq_error *error);
int tq_worker_unknown(struct trq_engine *engine, const char *name, struct trq_error *error);

/* Mark config.queues. */
int tq_registry_choose_queues(struct trq_engine *engine, struct trq_error *error);
/* Let no job in any more. */
void tq_registry_close(struct trq_engine *engine);

static inline struct tq_class *tq_class_known(struct trq_engine *engine, struct tq_local *local,
                                              const struct trq_worker *declared)
{
    uint32_t at = (uint32_t)((uintptr_t)declared >> 4 ^ (uintptr_t)declared >> 9) % TQ_KNOWN;
    if (TQ_LIKELY(local->known[at].declared == declared))
        return local->known[at].class;
    struct tq_class *class = tq_class_find(engine, local, declared);
    if (class) {
        local->known[at].declared = declared;
        local->known[at].class = class;
    }
    return class;
}

#endif
