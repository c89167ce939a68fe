#include "engine/core/lock.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/sized.h"
#include "engine/core/engine.h"
#include "engine/core/former.h"
#include "engine/core/key.h"
#include "engine/core/layout.h"
#include "engine/core/space.h"

static bool is_declared(const struct trq_inputs *declared, const char *name)
{
    for (size_t i = 0; i < declared->count; i++)
        if (strcmp(declared->rows[i].name, name) == 0)
            return true;
    return false;
}

/* A name that no job will ever have would be one key for all of them: surely a slip. The lock of a call is held against
 * the inputs of that call (enqueue.c). */
static int count_names(const struct trq_lock *given, const char *of, const char *kind,
                       const struct trq_inputs *declared, uint32_t *out, struct trq_error *error)
{
    uint32_t n = 0;
    for (; given->inputs && given->inputs[n]; n++) {
        if (n == TQ_LOCK_NAMES_MAX)
            return tq_error(error, TRQ_EINVAL, "worker %.100s: %s: more than %d inputs", of, kind,
                            TQ_LOCK_NAMES_MAX);
        if (declared && declared->count && !is_declared(declared, given->inputs[n]))
            return tq_error(error, TRQ_EINVAL, "worker %.100s: %s: input %.60s is not declared", of,
                            kind, given->inputs[n]);
    }
    *out = n;
    return 0;
}

static int check(const struct trq_lock *given, const char *of, const char *kind, bool worker,
                 struct trq_error *error)
{
    if (!tq_sized_ok(given, sizeof *given, sizeof *given))
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: %s: size is %u, or a field of a newer release is set", of,
                        kind, given->size);
    int named = (given->inputs && given->inputs[0]) + given->all + (given->key != NULL);
    if (named != 1)
        return tq_error(error, TRQ_EINVAL, "worker %.100s: %s: %s", of, kind,
                        named ? "one of inputs, all and key, not several"
                              : "neither inputs nor all nor key");
    if (given->limit > TQ_LOCK_LIMIT_MAX || (given->limit > 1 && !worker))
        return tq_error(error, TRQ_EINVAL, "worker %.100s: %s: limit %u%s", of, kind, given->limit,
                        worker ? " is above 65535" : ": only a worker lock has one");
    if ((unsigned)given->on_conflict > TRQ_DEBOUNCE ||
        (unsigned)given->scope > TRQ_FROM_SCHEDULING || given->max_wait.ns < 0)
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: %s: scope, on_conflict or max_wait is out of range", of,
                        kind);
    if (worker && (given->on_conflict || given->scope || given->max_wait.ns))
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: worker lock: scope, on_conflict and max_wait are for queue "
                        "locks",
                        of);
    return 0;
}

int tq_lock_make(struct trq_engine *engine, struct tq_local *local, const struct trq_lock *given,
                 const char *of, const struct trq_inputs *declared, bool worker, bool locked,
                 struct tq_lock *out, struct trq_error *error)
{
    const char *kind = worker ? "worker lock" : "queue lock";
    struct trq_error unwanted;
    if (!error)
        error = &unwanted;
    uint32_t names = 0;
    int rc = check(given, of, kind, worker, error);
    if (rc == 0)
        rc = count_names(given, of, kind, locked ? declared : NULL, &names, error);
    if (rc < 0)
        return rc;
    struct tq_lock lock = {
        .names = given->inputs,
        .names_count = names,
        .all = given->all,
        .key = given->key,
        .limit = given->limit ? given->limit : 1,
        .scope = given->on_conflict == TRQ_DEBOUNCE ? TRQ_FROM_SCHEDULING : given->scope,
        .rule = given->on_conflict == TRQ_AS_DECLARED ? TRQ_KEEP : given->on_conflict,
        .max_wait = given->max_wait.ns,
    };
    lock.space = tq_space_get(engine, local, given->space ? given->space : of, locked, error);
    if (!lock.space)
        return error->code;
    if (worker && (rc = tq_space_limit(engine, lock.space, lock.limit, locked, error)) < 0)
        return rc;
    *out = lock;
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool tq_lock_same(const struct trq_lock *a, const struct trq_lock *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->limit != b->limit || !same_text(a->space, b->space) || a->all != b->all ||
        a->key != b->key || a->scope != b->scope || a->on_conflict != b->on_conflict ||
        a->max_wait.ns != b->max_wait.ns || !a->inputs != !b->inputs)
        return false;
    for (size_t i = 0; a->inputs && (a->inputs[i] || b->inputs[i]); i++)
        if (!same_text(a->inputs[i], b->inputs[i]))
            return false;
    return true;
}

static bool row_of(const struct tq_layout *layout, const char *name, uint16_t *out)
{
    const struct tq_row *row = tq_layout_find(layout, name, strlen(name));
    if (row)
        *out = (uint16_t)(row - layout->row);
    return row != NULL;
}

void tq_lock_resolve(struct tq_lock *lock, const struct tq_layout *layout)
{
    if (!lock->names || lock->names_count > TQ_LOCK_ROWS)
        return;
    for (uint32_t i = 0; i < lock->names_count; i++)
        if (!row_of(layout, lock->names[i], &lock->rows[i]))
            return;
    lock->by_rows = true;
}

struct tq_digest tq_lock_digest(const struct tq_lock *lock, bool worker,
                                const struct tq_layout *layout, const unsigned char *bytes,
                                size_t size)
{
    struct trq_key key;
    tq_key_begin(&key, worker ? &lock->space->worker_prefix : &lock->space->queue_prefix);
    if (lock->all)
        tq_key_all(&key, layout, bytes, size);
    else if (lock->by_rows)
        tq_key_rows(&key, layout, bytes, size, lock->rows, lock->names_count);
    else
        tq_key_names(&key, layout, bytes, size, lock->names, lock->names_count);
    return tq_key_end(&key);
}

struct tq_digest tq_lock_digest_former(const struct tq_lock *lock, bool worker,
                                       const struct tq_former *former)
{
    struct trq_key key;
    tq_key_begin(&key, worker ? &lock->space->worker_prefix : &lock->space->queue_prefix);
    if (lock->all)
        tq_former_key_all(&key, former);
    else
        tq_former_key_names(&key, former, lock->names, lock->names_count);
    if (!worker && !lock->all && !tq_former_tells(former, lock->names, lock->names_count))
        tq_former_key_whole(&key, former);
    return tq_key_end(&key);
}
