/* A lock as declared, made ready for use: which key is asked, of what, and with which rule. */
#ifndef TQ_CORE_LOCK_H
#define TQ_CORE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/worker.h>

#include "engine/base/siphash.h"

struct trq_engine;
struct tq_local;
struct tq_class;
struct tq_space;
struct tq_layout;
struct tq_former;

enum { TQ_LOCK_NAMES_MAX = 64, TQ_LOCK_LIMIT_MAX = 65535 };

enum { TQ_LOCK_ROWS = 4 };
struct tq_lock {
    struct tq_space *space; /* NULL: no lock */
    const char *const *names;
    uint32_t names_count;
    uint16_t rows[TQ_LOCK_ROWS]; /* of the names, if they are so few and all declared ... */
    bool by_rows;                /* ... which then is true */
    bool all;
    enum trq_end (*key)(struct trq_job *job, struct trq_key *key);
    uint32_t limit;
    enum trq_scope scope;
    enum trq_on_conflict rule; /* not TRQ_AS_DECLARED */
    int64_t max_wait;
};

/* of: what has the lock, for the texts. worker: is it a worker lock? locked: the caller has the registry's mutex. */
int tq_lock_make(struct trq_engine *engine, struct tq_local *local, const struct trq_lock *given,
                 const char *of, const struct trq_inputs *declared, bool worker, bool locked,
                 struct tq_lock *out, struct trq_error *error);
bool tq_lock_same(const struct trq_lock *a, const struct trq_lock *b);

/* Of a registered lock: its names, as rows of the layout. */
void tq_lock_resolve(struct tq_lock *lock, const struct tq_layout *layout);

/* The key of a lock without a function. */
struct tq_digest tq_lock_digest(const struct tq_lock *lock, bool worker,
                                const struct tq_layout *layout, const unsigned char *bytes,
                                size_t size);
/* The same of inputs of another version. A queue lock's key that they do not tell is that of the whole dictionary besides: else
 * jobs that have nothing in common but the want of an input would be duplicates of each other, and lost. */
struct tq_digest tq_lock_digest_former(const struct tq_lock *lock, bool worker,
                                       const struct tq_former *former);

#endif
