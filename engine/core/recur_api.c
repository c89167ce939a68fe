/* Recurring jobs as a program asks for them: add, change, remove, list. */
#include <string.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/house.h"
#include "engine/core/recur.h"
#include "engine/core/schedule.h"

enum { ROOM_FIRST = 16 };

/* ---- the table grows; the mutex is held ----------------------------------------------------------------------------- */

static bool grow(struct trq_engine *e)
{
    struct tq_recur *recur = &e->recur;
    const uint32_t room = recur->room ? 2 * recur->room : ROOM_FIRST;
    struct tq_recur_slot *slots =
        tq_alloc(&e->memory, room * sizeof *slots, _Alignof(struct tq_recur_slot));
    struct tq_recurrence **order = tq_alloc(&e->memory, room * sizeof *order, sizeof(void *));
    if (!slots || !order) {
        tq_free(&e->memory, slots, room * sizeof *slots);
        tq_free(&e->memory, order, room * sizeof *order);
        return false;
    }
    if (recur->room) {
        memcpy(slots, recur->slots, recur->room * sizeof *slots);
        memcpy(order, recur->order, recur->room * sizeof *order);
    }
    tq_free(&e->memory, recur->slots, recur->room * sizeof *slots);
    tq_free(&e->memory, recur->order, recur->room * sizeof *order);
    recur->slots = slots;
    recur->order = order;
    recur->room = room;
    return true;
}

static uint32_t take_slot(struct tq_recur *recur)
{
    if (!recur->free)
        return recur->used++;
    const uint32_t slot = recur->free - 1;
    recur->free = recur->slots[slot].next_free;
    return slot;
}

/* ---- add, change; the mutex is held --------------------------------------------------------------------------------- */

static void set_times(struct tq_recurrence *r, const struct tq_moment *now, int64_t since)
{
    r->next = tq_recurspec_first(r->spec, now, since);
    r->again = r->granted = INT64_MIN;
}

/* A timer is reserved. */
static int add(struct trq_engine *e, struct tq_local *local, struct tq_recurspec *spec, uint32_t at,
               const struct tq_moment *now, int64_t since, struct trq_error *error)
{
    struct tq_recur *recur = &e->recur;
    const uint32_t count = tq_load(&recur->count, relaxed);
    if (count == TQ_RECUR_MAX)
        return tq_error(error, TRQ_EFULL, "no more than %d recurring jobs", TQ_RECUR_MAX);
    struct tq_recurrence *r = tq_alloc(&e->memory, sizeof *r, _Alignof(struct tq_recurrence));
    if (!r || (count == recur->room && !grow(e))) {
        tq_free(&e->memory, r, sizeof *r);
        return tq_error(error, TRQ_ENOMEM, "no memory for a recurring job");
    }
    memcpy(r->name, spec->name, strlen(spec->name) + 1);
    r->spec = spec;
    r->born = ++recur->births;
    r->armed = INT64_MIN;
    r->slot = take_slot(recur);
    recur->slots[r->slot].there = r;
    memmove(&recur->order[at + 1], &recur->order[at], (count - at) * sizeof *recur->order);
    recur->order[at] = r;
    if (!count)
        recur->latest = now->wall;
    tq_store(&recur->count, count + 1, release);
    set_times(r, now, since);
    tq_recur_arm(e, local, r, now);
    return 0;
}

static void change(struct trq_engine *e, struct tq_local *local, struct tq_recurspec *spec,
                   struct tq_recurrence *r, const struct tq_moment *now, int64_t since)
{
    struct tq_recurspec *old = r->spec;
    r->spec = spec;
    if (!tq_recurspec_same_times(old, spec)) {
        r->missed += r->again != INT64_MIN; /* it waited for room */
        set_times(r, now, since);
        /* Of another clock, perhaps: a timer that is still good by chance is none. */
        r->armed = INT64_MIN;
        tq_recur_arm(e, local, r, now);
        tq_timer_stale(e);
    }
    tq_recurspec_drop(&e->memory, &e->recur.zones, old);
}

/* A timer is reserved; the specification is given away, or dropped. */
static int put(struct trq_engine *e, struct tq_local *local, struct tq_recurspec *spec,
               int64_t since, struct trq_error *error)
{
    struct tq_recur *recur = &e->recur;
    const struct tq_moment now = tq_moment(e);
    bool there;
    int rc = 0;
    pthread_mutex_lock(&recur->mutex);
    tq_recurzone_share(&e->memory, &recur->zones, spec);
    const uint32_t at = tq_recur_find(recur, spec->name, &there);
    if (there)
        change(e, local, spec, recur->order[at], &now, since);
    else
        rc = add(e, local, spec, at, &now, since, error);
    if (rc < 0)
        tq_recurspec_drop(&e->memory, &recur->zones, spec);
    if (now.wall > recur->latest)
        recur->latest = now.wall;
    pthread_mutex_unlock(&recur->mutex);
    return rc;
}

int trq_recur(struct trq_engine *engine, const struct trq_recurring *recurring,
              struct trq_error *error)
{
    struct tq_recurspec *spec;
    if (!engine || !recurring)
        return tq_error(error, TRQ_EINVAL, "%s is NULL", engine ? "recurring" : "engine");
    if (!tq_is_open(engine))
        return tq_error(error, TRQ_ESTOPPED,
                        "the engine is stopping, has stopped, or is another process's");
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return tq_error(error, TRQ_ENOMEM, "no memory for this thread, or too many threads");
    int rc = tq_recurspec_make(engine, local, recurring, &spec, error);
    if (rc < 0)
        return rc;
    if (!tq_timer_reserve(engine, local, 1)) {
        tq_recurspec_drop(&engine->memory, NULL, spec);
        return tq_error(error, TRQ_ENOMEM, "no memory for a timer");
    }
    return put(engine, local, spec, recurring->since.ns, error);
}

/* ---- remove --------------------------------------------------------------------------------------------------------- */

int trq_recur_remove(struct trq_engine *engine, const char *name)
{
    bool there;
    if (!engine || !name)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct tq_recur *recur = &engine->recur;
    pthread_mutex_lock(&recur->mutex);
    const uint32_t at = tq_recur_find(recur, name, &there);
    if (there) {
        struct tq_recurrence *r = recur->order[at];
        struct tq_recur_slot *slot = &recur->slots[r->slot];
        const uint32_t count = tq_load(&recur->count, relaxed) - 1;
        memmove(&recur->order[at], &recur->order[at + 1], (count - at) * sizeof *recur->order);
        slot->there = NULL;
        slot->generation++;
        slot->next_free = recur->free;
        recur->free = r->slot + 1;
        tq_store(&recur->count, count, release);
        tq_recurspec_drop(&engine->memory, &recur->zones, r->spec);
        tq_free(&engine->memory, r, sizeof *r);
        tq_timer_stale(engine);
    }
    pthread_mutex_unlock(&recur->mutex);
    return there ? TRQ_OK : TRQ_GONE;
}

/* ---- list ------------------------------------------------------------------------------------------------------------ */

static void describe(const struct tq_recurrence *r, const struct tq_moment *now,
                     struct trq_recurrence *out)
{
    struct trq_wall next;
    memset(out, 0, sizeof *out);
    memcpy(out->name, r->name, sizeof r->name);
    out->worker = r->spec->class->text;
    if (tq_recur_upcoming(r, now, &next))
        out->next = next;
    out->last = r->last;
    out->job = r->job;
    out->fired = r->fired;
    out->skipped = r->skipped;
    out->missed = r->missed;
    out->delayed = r->delayed;
    out->refused = r->refused;
}

long trq_recur_list(struct trq_engine *engine, const char *after, struct trq_recurrence *out,
                    size_t max)
{
    bool there = false;
    size_t n = 0;
    if (!engine || (max && !out))
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct tq_recur *recur = &engine->recur;
    const struct tq_moment now = tq_moment(engine);
    pthread_mutex_lock(&recur->mutex);
    uint32_t at = after ? tq_recur_find(recur, after, &there) : 0;
    for (at += there; n < max && at < tq_load(&recur->count, relaxed); at++)
        describe(recur->order[at], &now, &out[n++]);
    pthread_mutex_unlock(&recur->mutex);
    return (long)n;
}

long trq_recur_next(struct trq_engine *engine, const char *name, struct trq_wall *out, size_t max)
{
    struct tq_recurrence copy;
    bool there;
    size_t n = 0;
    if (!engine || !name || (max && !out))
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct tq_recur *recur = &engine->recur;
    const struct tq_moment now = tq_moment(engine);
    pthread_mutex_lock(&recur->mutex);
    const uint32_t at = tq_recur_find(recur, name, &there);
    if (there) {
        copy = *recur->order[at];
        copy.spec->refs++;
    }
    pthread_mutex_unlock(&recur->mutex);
    if (!there)
        return TRQ_EUNKNOWN;
    /* A long list takes its time, which is nobody else's. */
    for (; n < max && tq_recur_upcoming(&copy, &now, &out[n]); n++) {
        copy.next = tq_recurspec_following(copy.spec, copy.next);
        copy.again = INT64_MIN;
    }
    pthread_mutex_lock(&recur->mutex);
    tq_recurspec_drop(&engine->memory, &recur->zones, copy.spec);
    pthread_mutex_unlock(&recur->mutex);
    return (long)n;
}
