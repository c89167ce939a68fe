/* Name spaces of lock keys: what workers share that share locks.
 *
 * A space is made when it is first named, by a registration or by a call with a lock of its own, and stays until the engine
 * ends. All worker locks in it have one limit: the first one's.
 */
#ifndef TQ_CORE_SPACE_H
#define TQ_CORE_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/value.h>

#include "engine/base/atomic.h"
#include "engine/core/key.h"
#include "engine/core/names.h"

struct trq_engine;
struct tq_local;

enum { TQ_SPACES_MAX = 65536, TQ_SPACE_NAME_MAX = 200 };

struct tq_space {
    struct tq_name name; /* first */
    tq_a32 limit;        /* of worker locks; 0: there is none yet */
    uint32_t planned;    /* by a registration that is not committed; 0: none */
    struct tq_key_prefix queue_prefix, worker_prefix;
    struct tq_space *next;
    char text[TQ_SPACE_NAME_MAX + 1];
};

/* The space of that name. NULL: the error is filled. `locked`: the caller has the registry's mutex. */
struct tq_space *tq_space_get(struct trq_engine *engine, struct tq_local *local, const char *name,
                              bool locked, struct trq_error *error);
/* There is to be a worker lock of that limit (at least 1). 0 or TRQ_ECONFLICT. */
int tq_space_limit(struct trq_engine *engine, struct tq_space *space, uint32_t limit, bool locked,
                   struct trq_error *error);
/* Under the registry's mutex: keep, or take back, the limits that this registration brought. */
void tq_spaces_settle(struct trq_engine *engine, bool keep);
void tq_spaces_destroy(struct trq_engine *engine);

#endif
