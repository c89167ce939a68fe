#include "engine/core/space.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/core/engine.h"

static struct tq_space *find(struct trq_engine *engine, struct tq_local *local, const char *name)
{
    return (struct tq_space *)tq_names_get(&engine->registry.space_names, &local->epoch, name,
                                           NULL);
}

static struct tq_space *create(struct trq_engine *engine, const char *name, struct trq_error *error)
{
    struct tq_registry *r = &engine->registry;
    size_t size = strlen(name);
    if (!size || size > TQ_SPACE_NAME_MAX || !tq_utf8_valid(name, size, NULL)) {
        tq_error(error, TRQ_EINVAL, "lock name space \"%.100s\": a name is UTF-8, 1 to %d bytes",
                 name, TQ_SPACE_NAME_MAX);
        return NULL;
    }
    if (r->spaces_count == TQ_SPACES_MAX) {
        tq_error(error, TRQ_EINVAL, "more than %d lock name spaces", TQ_SPACES_MAX);
        return NULL;
    }
    struct tq_space *space = tq_alloc(&engine->memory, sizeof *space, 16);
    if (!space)
        goto no_memory;
    memcpy(space->text, name, size);
    space->name = (struct tq_name){.text = space->text, .size = size};
    tq_key_prefix_make(&space->queue_prefix, &engine->secret, 'q', name);
    tq_key_prefix_make(&space->worker_prefix, &engine->secret, 'w', name);
    if (!tq_names_put(&r->space_names, &space->name)) {
        tq_free(&engine->memory, space, sizeof *space);
        goto no_memory;
    }
    space->next = r->spaces;
    r->spaces = space;
    r->spaces_count++;
    tq_names_publish(&space->name);
    return space;
no_memory:
    tq_error(error, TRQ_ENOMEM, "no memory for the lock name space %.100s", name);
    return NULL;
}

struct tq_space *tq_space_get(struct trq_engine *engine, struct tq_local *local, const char *name,
                              bool locked, struct trq_error *error)
{
    struct tq_space *space = find(engine, local, name);
    if (space)
        return space;
    if (!locked)
        pthread_mutex_lock(&engine->registry.mutex);
    space = find(engine, local, name);
    if (!space)
        space = create(engine, name, error);
    if (!locked) {
        ck_epoch_poll(&engine->registry.writer);
        pthread_mutex_unlock(&engine->registry.mutex);
    }
    return space;
}

int tq_space_limit(struct trq_engine *engine, struct tq_space *space, uint32_t limit, bool locked,
                   struct trq_error *error)
{
    uint32_t there = tq_load(&space->limit, acquire);
    if (!there && locked) {
        if (!space->planned)
            space->planned = limit;
        there = space->planned;
    } else if (!there) {
        /* Nobody plans while we have the mutex. */
        pthread_mutex_lock(&engine->registry.mutex);
        there = tq_load(&space->limit, relaxed);
        if (!there)
            tq_store(&space->limit, there = limit, release);
        pthread_mutex_unlock(&engine->registry.mutex);
    }
    if (there == limit)
        return 0;
    return tq_error(error, TRQ_ECONFLICT,
                    "lock name space %.100s: a worker lock with limit %u, where others have %u",
                    space->text, limit, there);
}

void tq_spaces_settle(struct trq_engine *engine, bool keep)
{
    for (struct tq_space *s = engine->registry.spaces; s; s = s->next) {
        if (s->planned && keep)
            tq_store(&s->limit, s->planned, release);
        s->planned = 0;
    }
}

void tq_spaces_destroy(struct trq_engine *engine)
{
    struct tq_space *space = engine->registry.spaces;
    while (space) {
        struct tq_space *next = space->next;
        tq_free(&engine->memory, space, sizeof *space);
        space = next;
    }
}
