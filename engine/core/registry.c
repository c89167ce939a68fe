#include "engine/core/registry.h"

#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/memory.h"
#include "engine/base/sized.h"
#include "engine/base/utf8.h"
#include "engine/core/appname.h"
#include "engine/core/engine.h"
#include "engine/core/publish.h"
#include "engine/core/inputs.h"
#include "engine/core/space.h"
#include "engine/core/retry.h"
#include "engine/core/view.h"

enum { WEIGHT_DEFAULT = 100 };

int tq_registry_init(struct trq_engine *engine)
{
    struct tq_registry *r = &engine->registry;
    pthread_mutex_init(&r->mutex, NULL);
    ck_epoch_register(&engine->epoch, &r->writer, NULL);
    unsigned long seed = (unsigned long)engine->birth;
    if (!tq_names_init(&r->worker_names, &engine->memory, seed, &r->writer) ||
        !tq_names_init(&r->queue_names, &engine->memory, seed, &r->writer) ||
        !tq_names_init(&r->space_names, &engine->memory, seed, &r->writer))
        return TRQ_ENOMEM;
    return tq_view_renew(engine) ? 0 : TRQ_ENOMEM;
}

static void free_class(struct trq_engine *engine, struct tq_class *class)
{
    tq_layout_destroy(&engine->memory, class->layout);
    tq_layout_destroy(&engine->memory, class->bare);
    tq_free(&engine->memory, class, sizeof *class);
}

void tq_registry_fini(struct trq_engine *engine)
{
    struct tq_registry *r = &engine->registry;
    tq_names_fini(&r->worker_names);
    tq_names_fini(&r->queue_names);
    tq_names_fini(&r->space_names);
    tq_spaces_destroy(engine);
    /* No reader is left to wait for; in a forked child, one that looked something up at the fork would seem to be
     * there for ever. */
    ck_epoch_reclaim(&r->writer);
    for (uint32_t i = 0; i < tq_load(&r->classes_count, relaxed); i++)
        free_class(engine, r->classes[i]);
    for (uint32_t i = 0; i < tq_load(&r->queues_count, relaxed); i++)
        tq_free(&engine->memory, r->queues[i], sizeof *r->queues[i]);
    tq_views_destroy(engine);
    pthread_mutex_destroy(&r->mutex);
}

/* ---- look-ups -------------------------------------------------------------------------------------- */

struct tq_class *tq_class_by_name(struct trq_engine *engine, struct tq_local *local,
                                  const char *name)
{
    return (struct tq_class *)tq_names_get(&engine->registry.worker_names, &local->epoch, name,
                                           NULL);
}

struct tq_queue *tq_queue_find(struct trq_engine *engine, struct tq_local *local,
                               const struct tq_class *class, const char *name)
{
    struct tq_names *names = &engine->registry.queue_names;
    struct tq_name *found = class ? tq_names_get(names, &local->epoch, class->app, name) : NULL;
    if (!found)
        found = tq_names_get(names, &local->epoch, name, NULL);
    return (struct tq_queue *)found;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_worker(const struct trq_worker *a, const struct trq_worker *b)
{
    if (a == b)
        return true;
    bool inputs =
        a->inputs == b->inputs || (a->inputs && b->inputs && tq_inputs_same(a->inputs, b->inputs));
    return inputs && same_text(a->name, b->name) && same_text(a->app, b->app) &&
           same_text(a->queue, b->queue) && a->perform == b->perform && a->needed == b->needed &&
           a->state_size == b->state_size && a->state_drop == b->state_drop &&
           tq_lock_same(a->queue_lock, b->queue_lock) &&
           tq_lock_same(a->worker_lock, b->worker_lock) && tq_retry_same(a->retry, b->retry) &&
           a->exhausted == b->exhausted && a->timeout.ns == b->timeout.ns &&
           a->expires_in.ns == b->expires_in.ns && a->version == b->version &&
           a->upgrade == b->upgrade;
}

struct tq_class *tq_class_find(struct trq_engine *engine, struct tq_local *local,
                               const struct trq_worker *declared)
{
    if (!declared->name)
        return NULL;
    struct tq_class *class = tq_class_by_name(engine, local, declared->name);
    return class && same_worker(class->declared, declared) ? class : NULL;
}

/* ---- what exists, for error texts -------------------------------------------------------------------- */

/* "<what>; there are a, b, c" or "...; none is registered". */
static int unknown(struct trq_error *error, const char *kind, const char *name,
                   const char *const *names, uint32_t count)
{
    if (!error)
        return TRQ_EUNKNOWN;
    tq_error(error, TRQ_EUNKNOWN, "no %s %.100s; %s", kind, name,
             count == 0   ? "none is registered"
             : count == 1 ? "there is "
                          : "there are ");
    size_t n = strlen(error->text);
    for (uint32_t i = 0; i < count; i++) {
        size_t room = sizeof error->text - n;
        if (strlen(names[i]) + sizeof ", , ..." > room) {
            snprintf(error->text + n, room, "%s...", i ? ", " : "");
            break;
        }
        n += (size_t)snprintf(error->text + n, room, "%s%s", i ? ", " : "", names[i]);
    }
    return TRQ_EUNKNOWN;
}

enum { TOLD_MAX = 32 }; /* no error text has room for more */

int tq_queue_unknown(struct trq_engine *engine, const char *name, struct trq_error *error)
{
    const char *names[TOLD_MAX];
    const struct tq_view *view = tq_view_now(engine);
    uint32_t count = view->count < TOLD_MAX ? view->count : TOLD_MAX;
    for (uint32_t i = 0; i < count; i++)
        names[i] = view->by_rank[i]->text;
    return unknown(error, "queue", name, names, count);
}

int tq_worker_unknown(struct trq_engine *engine, const char *name, struct trq_error *error)
{
    const char *names[TOLD_MAX];
    uint32_t count = tq_load(&engine->registry.classes_count, acquire);
    if (count > TOLD_MAX)
        count = TOLD_MAX;
    for (uint32_t i = 0; i < count; i++)
        names[i] = engine->registry.classes[i]->text;
    return unknown(error, "worker", name ? name : "(no name)", names, count);
}

/* ---- registration: plan everything, then commit ------------------------------------------------------- */

struct plan {
    struct trq_engine *engine;
    struct trq_error *error;
    const struct trq_app *app;
    char app_name[TQ_NAME_MAX + 1];
    /* New ones stand at the end of the registry's arrays already; the counts there are raised at the commit. */
    uint32_t queues, classes;
    uint32_t named_queues, named_classes; /* how many of the new ones are in the sets of names */
    int32_t weights[TQ_QUEUES_MAX];       /* of all queues, as they will be */
    bool declared[TQ_QUEUES_MAX];
};

static struct tq_queue *plan_find_queue(struct plan *p, const char *full)
{
    for (uint32_t i = 0; i < p->queues; i++)
        if (strcmp(p->engine->registry.queues[i]->text, full) == 0)
            return p->engine->registry.queues[i];
    return NULL;
}

static bool is_chosen(const struct trq_engine *engine, const struct tq_queue *queue)
{
    if (!engine->queue_names)
        return true;
    for (uint32_t i = 0; i < engine->queue_names_count; i++)
        if (strcmp(engine->queue_names[i], queue->text) == 0)
            return true;
    return false;
}

/* An existing or a new queue. NULL: the error is filled. */
static struct tq_queue *plan_queue(struct plan *p, const char *app, const char *name)
{
    char full[2 * TQ_NAME_MAX];
    size_t size = (size_t)snprintf(full, sizeof full, "%s_%s", app, name);
    if (!*name || size > TQ_NAME_MAX || !tq_utf8_valid(name, strlen(name), NULL)) {
        tq_error(p->error, TRQ_EINVAL,
                 "queue \"%.100s\": a name is UTF-8, not empty, and at most %d bytes with its "
                 "application",
                 name, TQ_NAME_MAX);
        return NULL;
    }
    struct tq_queue *q = plan_find_queue(p, full);
    if (q)
        return q;
    if (p->queues == TQ_QUEUES_MAX) {
        tq_error(p->error, TRQ_EINVAL, "more than %d queues", TQ_QUEUES_MAX);
        return NULL;
    }
    struct tq_local *local = tq_local_of(p->engine);
    q = tq_alloc(&p->engine->memory, sizeof *q, TQ_LINE);
    if (!q || !local ||
        !tq_fifo_init(&q->fifo, &p->engine->segments, &p->engine->links, &local->segments)) {
        tq_free(&p->engine->memory, q, sizeof *q);
        tq_error(p->error, TRQ_ENOMEM, "no memory for queue %.150s", full);
        return NULL;
    }
    memcpy(q->text, full, size + 1);
    q->name = (struct tq_name){.text = q->text, .size = size};
    q->number = p->queues;
    q->worked = is_chosen(p->engine, q);
    p->weights[p->queues] = WEIGHT_DEFAULT;
    p->declared[p->queues] = false;
    p->engine->registry.queues[p->queues++] = q;
    return q;
}

static int plan_queues(struct plan *p)
{
    const struct trq_queue *given = p->app->queues;
    if (given && given->name && !p->app->name)
        return tq_error(p->error, TRQ_EINVAL, "an application with queues has a name");
    for (; given && given->name; given++) {
        if (given->reserved)
            return tq_error(p->error, TRQ_EINVAL, "queue %.100s: reserved is not zero",
                            given->name);
        struct tq_queue *q = plan_queue(p, p->app_name, given->name);
        if (!q)
            return p->error->code;
        if (!p->declared[q->number] || given->weight > p->weights[q->number])
            p->weights[q->number] = given->weight;
        p->declared[q->number] = true;
    }
    return 0;
}

static int check_worker(struct plan *p, const struct trq_worker *w)
{
    const size_t size = sizeof(struct trq_worker);
    if (!tq_sized_ok(w, size, size))
        return tq_error(
            p->error, TRQ_EINVAL,
            "worker: size is %u, or a field of a newer release is set; this library's is %zu",
            w->size, size);
    if (!w->name || !*w->name || strlen(w->name) > TQ_NAME_MAX ||
        !tq_utf8_valid(w->name, strlen(w->name), NULL))
        return tq_error(p->error, TRQ_EINVAL, "worker \"%.100s\": a name is UTF-8, 1 to %d bytes",
                        w->name ? w->name : "", TQ_NAME_MAX);
    if (!w->perform)
        return tq_error(p->error, TRQ_EINVAL, "worker %.100s: perform is NULL", w->name);
    if (w->reserved)
        return tq_error(p->error, TRQ_EINVAL, "worker %.100s: reserved is not zero", w->name);
    if (w->state_size > TQ_STATE_MAX)
        return tq_error(p->error, TRQ_EINVAL, "worker %.100s: state_size is %zu, at most %d",
                        w->name, w->state_size, TQ_STATE_MAX);
    if (w->timeout.ns < 0 || w->expires_in.ns < 0)
        return tq_error(p->error, TRQ_EINVAL, "worker %.100s: timeout or expires_in is below zero",
                        w->name);
    if (tq_retry_check(w->retry, w->name, p->error) < 0)
        return TRQ_EINVAL;
    if (w->state_drop && !w->state_size)
        return tq_error(p->error, TRQ_EINVAL, "worker %.100s: state_drop without state_size",
                        w->name);
    return 0;
}

/* The application that a worker belongs to: its own word, else who registers it, else its name's first part. */
static int app_of(struct plan *p, const struct trq_worker *w, char *out)
{
    bool ok;
    if (w->app)
        ok = tq_appname_normalise(w->app, out, TQ_NAME_MAX + 1);
    else if (p->app->name)
        ok = snprintf(out, TQ_NAME_MAX + 1, "%s", p->app_name) > 0;
    else
        ok = tq_appname_of_worker(w->name, out, TQ_NAME_MAX + 1);
    return ok ? 0
              : tq_error(p->error, TRQ_EINVAL, "worker %.100s: application: 1 to %d bytes", w->name,
                         TQ_NAME_MAX);
}

static struct tq_class *plan_find_class(struct plan *p, const char *name)
{
    for (uint32_t i = 0; i < p->classes; i++)
        if (strcmp(p->engine->registry.classes[i]->text, name) == 0)
            return p->engine->registry.classes[i];
    return NULL;
}

static int plan_locks(struct plan *p, struct tq_class *class, const struct trq_worker *w)
{
    struct tq_local *local = tq_local_of(p->engine);
    int rc = 0;
    if (!local)
        return tq_error(p->error, TRQ_ENOMEM, "no memory for worker %.100s", w->name);
    if (w->queue_lock) {
        rc = tq_lock_make(p->engine, local, w->queue_lock, w->name, w->inputs, false, true,
                          &class->queue_lock, p->error);
        class->flags |= TQ_QUEUE_LOCKED;
        if (class->queue_lock.scope == TRQ_FROM_SCHEDULING)
            class->flags |= TQ_FROM_START;
    }
    if (rc == 0 && w->worker_lock) {
        rc = tq_lock_make(p->engine, local, w->worker_lock, w->name, w->inputs, true, true,
                          &class->worker_lock, p->error);
        class->flags |= TQ_WORKER_LOCKED;
    }
    return rc;
}

static int plan_worker(struct plan *p, const struct trq_worker *w)
{
    struct tq_registry *r = &p->engine->registry;
    char app[TQ_NAME_MAX + 1];
    int rc = check_worker(p, w);
    if (rc < 0 || (rc = app_of(p, w, app)) < 0)
        return rc;
    struct tq_class *class = plan_find_class(p, w->name);
    if (class) {
        if (same_worker(class->declared, w) && strcmp(class->app, app) == 0)
            return 0;
        return tq_error(p->error, TRQ_ECONFLICT, "worker %.100s is registered with another meaning",
                        w->name);
    }
    if (p->classes == TQ_CLASSES_MAX)
        return tq_error(p->error, TRQ_EINVAL, "more than %d workers", TQ_CLASSES_MAX);
    struct tq_queue *queue = plan_queue(p, app, w->queue ? w->queue : "default");
    if (!queue)
        return p->error->code;
    class = tq_alloc(&p->engine->memory, sizeof *class, TQ_LINE);
    if (!class)
        return tq_error(p->error, TRQ_ENOMEM, "no memory for worker %.100s", w->name);
    rc = tq_layout_create(&p->engine->memory, w->name, w->inputs, &class->layout, p->error);
    if (rc == 0)
        rc = tq_layout_create(&p->engine->memory, w->name, NULL, &class->bare, p->error);
    if (rc == 0)
        rc = plan_locks(p, class, w);
    if (rc < 0) {
        free_class(p->engine, class);
        return rc;
    }
    tq_lock_resolve(&class->queue_lock, class->layout);
    tq_lock_resolve(&class->worker_lock, class->layout);
    snprintf(class->text, sizeof class->text, "%s", w->name);
    snprintf(class->app, sizeof class->app, "%s", app);
    class->name = (struct tq_name){.text = class->text, .size = strlen(class->text)};
    class->declared = w;
    class->queue = queue;
    class->perform = w->perform;
    class->needed = w->needed;
    class->number = p->classes;
    class->struct_size = w->inputs ? (uint32_t)w->inputs->struct_size : 0;
    class->state_size = (uint32_t)w->state_size;
    class->timeout = w->timeout.ns;
    class->expires_in = w->expires_in.ns;
    if (class->expires_in)
        class->flags |= TQ_EXPIRES;
    r->classes[p->classes++] = class;
    return 0;
}

static int plan_names(struct plan *p)
{
    struct tq_registry *r = &p->engine->registry;
    for (; p->named_queues < p->queues; p->named_queues++)
        if (!tq_names_put(&r->queue_names, &r->queues[p->named_queues]->name))
            return tq_error(p->error, TRQ_ENOMEM, "no memory for names");
    for (; p->named_classes < p->classes; p->named_classes++)
        if (!tq_names_put(&r->worker_names, &r->classes[p->named_classes]->name))
            return tq_error(p->error, TRQ_ENOMEM, "no memory for names");
    return 0;
}

static void undo(struct plan *p)
{
    struct tq_registry *r = &p->engine->registry;
    uint32_t queues = tq_load(&r->queues_count, relaxed);
    uint32_t classes = tq_load(&r->classes_count, relaxed);
    while (p->named_classes > classes)
        tq_names_remove(&r->worker_names, &r->classes[--p->named_classes]->name);
    while (p->named_queues > queues)
        tq_names_remove(&r->queue_names, &r->queues[--p->named_queues]->name);
    /* A reader may be comparing with a name that is gone now: let it leave. */
    ck_epoch_barrier(&r->writer);
    while (p->classes > classes)
        free_class(p->engine, r->classes[--p->classes]);
    struct tq_local *local = tq_local_of(p->engine);
    while (p->queues > queues) {
        struct tq_queue *q = r->queues[--p->queues];
        tq_fifo_fini(&q->fifo, &local->segments);
        tq_free(&p->engine->memory, q, sizeof *q);
    }
}

/* From here on only memory can be missing, and for one thing: the view. */
static int commit(struct plan *p)
{
    struct tq_registry *r = &p->engine->registry;
    uint32_t queues_before = tq_load(&r->queues_count, relaxed);
    bool changed = p->queues != queues_before;
    for (uint32_t i = 0; i < queues_before; i++)
        changed |= p->weights[i] != tq_queue_weight(r->queues[i]);
    if (changed) {
        struct tq_view *view = tq_view_make(p->engine, p->queues, p->weights);
        if (!view)
            return tq_error(p->error, TRQ_ENOMEM, "no memory for the order of %u queues",
                            p->queues);
        for (uint32_t i = 0; i < p->queues; i++) {
            tq_store(&r->queues[i]->weight, (uint32_t)p->weights[i], relaxed);
            r->queues[i]->declared = p->declared[i];
        }
        tq_view_publish(p->engine, view);
    }
    tq_spaces_settle(p->engine, true); /* before a job of theirs can be */
    for (uint32_t i = queues_before; i < p->queues; i++)
        tq_names_publish(&r->queues[i]->name);
    for (uint32_t i = tq_load(&r->classes_count, relaxed); i < p->classes; i++)
        tq_names_publish(&r->classes[i]->name);
    tq_store(&r->queues_count, p->queues, release);
    tq_store(&r->classes_count, p->classes, release);
    return 0;
}

static int make_plan(struct plan *p)
{
    int rc = 0;
    if (p->app->name && !tq_appname_normalise(p->app->name, p->app_name, sizeof p->app_name))
        return tq_error(p->error, TRQ_EINVAL, "application: a name is 1 to %d bytes", TQ_NAME_MAX);
    rc = plan_queues(p);
    for (const struct trq_worker *const *w = p->app->workers; rc == 0 && w && *w; w++)
        rc = plan_worker(p, *w);
    return rc;
}

static int register_locked(struct trq_engine *engine, const struct trq_app *app,
                           struct trq_error *error)
{
    struct tq_registry *r = &engine->registry;
    if (!tq_is_open(engine))
        return tq_error(error, TRQ_ESTOPPED, "the engine is stopping or has stopped");
    struct plan *p = tq_alloc(&engine->memory, sizeof *p, 8);
    if (!p)
        return tq_error(error, TRQ_ENOMEM, "no memory for a registration");
    p->engine = engine;
    p->error = error;
    p->app = app;
    p->queues = p->named_queues = tq_load(&r->queues_count, relaxed);
    p->classes = p->named_classes = tq_load(&r->classes_count, relaxed);
    for (uint32_t i = 0; i < p->queues; i++) {
        p->weights[i] = tq_queue_weight(r->queues[i]);
        p->declared[i] = r->queues[i]->declared;
    }
    int rc = make_plan(p);
    if (rc == 0)
        rc = plan_names(p);
    if (rc == 0)
        rc = commit(p);
    if (rc < 0) {
        undo(p);
        tq_spaces_settle(engine, false);
    }
    tq_free(&engine->memory, p, sizeof *p);
    ck_epoch_poll(&r->writer);
    return rc;
}

int trq_register(struct trq_engine *engine, const struct trq_app *app, struct trq_error *error)
{
    struct trq_error unwanted;
    if (!error)
        error = &unwanted;
    if (!engine || !app)
        return tq_error(error, TRQ_EINVAL, "%s is NULL", engine ? "app" : "engine");
    if (tq_is_forked(engine))
        return tq_error(error, TRQ_ESTOPPED, "the engine belongs to another process");
    if (!tq_sized_ok(app, sizeof *app, sizeof *app) || app->reserved)
        return tq_error(
            error, TRQ_EINVAL,
            "application: size is %u, or a field of a newer release is set; this library's is %zu",
            app->size, sizeof *app);
    pthread_mutex_lock(&engine->registry.mutex);
    int rc = register_locked(engine, app, error);
    pthread_mutex_unlock(&engine->registry.mutex);
    if (rc == 0)
        tq_notify(engine, NULL);
    return rc;
}

const struct trq_worker *trq_worker_find(struct trq_engine *engine, const char *name)
{
    if (!engine || !name || tq_is_forked(engine))
        return NULL;
    struct tq_local *local = tq_local_of(engine);
    const struct tq_class *class = local ? tq_class_by_name(engine, local, name) : NULL;
    return class ? class->declared : NULL;
}

int tq_registry_choose_queues(struct trq_engine *engine, struct trq_error *error)
{
    struct tq_registry *r = &engine->registry;
    int rc = 0;
    pthread_mutex_lock(&r->mutex);
    for (uint32_t i = 0; rc == 0 && i < engine->queue_names_count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < tq_load(&r->queues_count, relaxed); k++)
            found |= strcmp(engine->queue_names[i], r->queues[k]->text) == 0;
        if (!found)
            rc = tq_queue_unknown(engine, engine->queue_names[i], error);
    }
    pthread_mutex_unlock(&r->mutex);
    return rc;
}

void tq_registry_close(struct trq_engine *engine)
{
    struct tq_registry *r = &engine->registry;
    pthread_mutex_lock(&r->mutex);
    for (uint32_t i = 0; i < tq_load(&r->queues_count, relaxed); i++)
        tq_fifo_close(&r->queues[i]->fifo);
    pthread_mutex_unlock(&r->mutex);
}
