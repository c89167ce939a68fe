#include "engine/core/recurspec.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/base/siphash.h"
#include "engine/base/sized.h"
#include "engine/base/utf8.h"
#include "engine/core/engine.h"
#include "engine/core/inputs.h"

enum { EVERY_MIN_NS = 1000000, CATCH_UP_DEFAULT = 100 };

/* ---- zones -------------------------------------------------------------------------------------------------------- */

static bool same_zone(const struct tq_recurzone *a, const struct tq_recurzone *b)
{
    return strcmp(a->name, b->name) == 0 && a->zone.file_size == b->zone.file_size &&
           (!a->zone.file || memcmp(a->zone.file, b->zone.file, a->zone.file_size) == 0);
}

static void free_zone(const struct tq_memory *memory, struct tq_recurzone *zone)
{
    tq_zone_unload(&zone->zone);
    tq_free(memory, zone, sizeof *zone);
}

static int make_zone(const struct tq_memory *memory, const char *name,
                     struct tq_recurzone **out_zone, struct trq_error *error)
{
    struct tq_recurzone *zone = tq_alloc(memory, sizeof *zone, _Alignof(struct tq_recurzone));
    if (!zone)
        return tq_error(error, TRQ_ENOMEM, "no memory for a time zone");
    const int rc = tq_zone_load(&zone->zone, memory, NULL, name, error);
    if (rc < 0) {
        tq_free(memory, zone, sizeof *zone);
        return rc;
    }
    zone->refs = 1;
    memcpy(zone->name, name ? name : "UTC", strlen(name ? name : "UTC") + 1);
    *out_zone = zone;
    return 0;
}

void tq_recurzone_share(const struct tq_memory *memory, struct tq_recurzone **zones,
                        struct tq_recurspec *spec)
{
    struct tq_recurzone *mine = spec->zone, *other = *zones;
    if (!mine)
        return;
    while (other && !same_zone(mine, other))
        other = other->next;
    if (other) {
        other->refs++;
        spec->zone = other;
        free_zone(memory, mine);
    } else {
        mine->next = *zones;
        *zones = mine;
    }
}

static void drop_zone(const struct tq_memory *memory, struct tq_recurzone **zones,
                      struct tq_recurzone *zone)
{
    if (!zone || --zone->refs)
        return;
    while (zones && *zones != zone)
        zones = &(*zones)->next;
    if (zones)
        *zones = zone->next;
    free_zone(memory, zone);
}

/* ---- checks -------------------------------------------------------------------------------------------------------- */

static bool is_text(const char *text, size_t most)
{
    const size_t size = strnlen(text, most + 1);
    return size && size <= most && tq_utf8_valid(text, size, NULL);
}

static int check_times(const struct trq_recurring *g, struct trq_error *error)
{
    if (!g->cron == !g->every.ns)
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: cron or every: one of the two",
                        g->name);
    if (!g->cron && g->every.ns < EVERY_MIN_NS)
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: every: at least 1 ms", g->name);
    if (!g->cron && g->zone)
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: a zone belongs to cron", g->name);
    if (g->start.ns < 0 || g->end.ns < 0 || g->since.ns < 0 || g->jitter.ns < 0)
        return tq_error(error, TRQ_EINVAL,
                        "recurring %.100s: start, end, since, jitter: not below 0", g->name);
    if (g->end.ns && g->end.ns < g->start.ns)
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: it ends before it starts", g->name);
    return 0;
}

static int check(const struct trq_recurring *g, struct trq_error *error)
{
    if (!g->name || !is_text(g->name, TQ_RECUR_NAME_MAX))
        return tq_error(error, TRQ_EINVAL, "recurring: a name is UTF-8, of 1 to %d bytes",
                        TQ_RECUR_NAME_MAX);
    if (!g->worker || (g->inputs.count && !g->inputs.kv))
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: %s is NULL", g->name,
                        g->worker ? "inputs" : "worker");
    if ((unsigned)g->catch_up > TRQ_CATCH_UP_ALL || g->catch_up_max > TQ_RECUR_CATCH_UP_MAX)
        return tq_error(error, TRQ_EINVAL, "recurring %.100s: catch_up%s is out of range", g->name,
                        (unsigned)g->catch_up > TRQ_CATCH_UP_ALL ? "" : "_max");
    return check_times(g, error);
}

static int find_class(struct trq_engine *e, struct tq_local *local, const struct trq_recurring *g,
                      struct tq_class **out_class, struct trq_error *error)
{
    *out_class = tq_class_known(e, local, g->worker);
    if (!*out_class && g->worker->name && tq_class_by_name(e, local, g->worker->name))
        return tq_error(error, TRQ_EUNKNOWN, "worker %.100s is registered with another declaration",
                        g->worker->name);
    if (!*out_class)
        return tq_worker_unknown(e, g->worker->name, error);
    if (g->queue && !tq_queue_find(e, local, *out_class, g->queue))
        return tq_queue_unknown(e, g->queue, error);
    return 0;
}

/* As at the enqueue. */
static int check_inputs(struct trq_engine *e, const struct tq_recurspec *spec,
                        struct trq_error *error)
{
    const struct trq_dict dict = {spec->kv, spec->count};
    unsigned char none[1];
    long size =
        tq_inputs_from_dict(spec->class->layout, dict, false, none, 0, e->job_size_max, error);
    if (size <= 0)
        return (int)size;
    /* Some errors are found only where there is room. */
    unsigned char *bytes = tq_alloc_raw(&e->memory, (size_t)size, 8);
    if (!bytes)
        return tq_error(error, TRQ_ENOMEM, "no memory for %ld bytes of inputs", size);
    const long again = tq_inputs_from_dict(spec->class->layout, dict, false, bytes, (size_t)size,
                                           e->job_size_max, error);
    tq_free(&e->memory, bytes, (size_t)size);
    return again < 0 ? (int)again : 0;
}

/* ---- the copy ------------------------------------------------------------------------------------------------------ */

static bool has_text(const struct trq_value *value)
{
    return (value->type == TRQ_STR || value->type == TRQ_JSON) && value->u.s.data;
}

static size_t copy_size(const struct trq_recurring *g)
{
    size_t size = sizeof(struct tq_recurspec) + (g->inputs.count + 1) * sizeof(struct trq_kv);
    for (size_t i = 0; i < g->inputs.count; i++) {
        const struct trq_kv *kv = &g->inputs.kv[i];
        size += kv->key.size + (has_text(&kv->value) ? kv->value.u.s.size : 0);
    }
    size += strlen(g->name) + 1;
    size += g->queue ? strlen(g->queue) + 1 : 0;
    size += g->time_input ? strlen(g->time_input) + 1 : 0;
    return size;
}

static const char *put(char **at, const char *text, size_t size)
{
    char *copy = *at;
    if (size)
        memcpy(copy, text, size);
    *at += size;
    return copy;
}

static void copy_inputs(struct tq_recurspec *spec, const struct trq_recurring *g, char **at)
{
    spec->count = g->inputs.count;
    for (size_t i = 0; i < spec->count; i++) {
        struct trq_kv *kv = &spec->kv[i];
        *kv = g->inputs.kv[i];
        if (kv->key.data)
            kv->key.data = put(at, kv->key.data, kv->key.size);
        if (has_text(&kv->value))
            kv->value.u.s.data = put(at, kv->value.u.s.data, kv->value.u.s.size);
    }
    if (!g->time_input)
        return;
    const size_t size = strlen(g->time_input);
    spec->has_time = true;
    spec->kv[spec->count++] = trq_kv_i64(put(at, g->time_input, size + 1), size, 0);
}

/* How much depends on the name alone, in any process: the key is nobody's secret. */
static int64_t jitter_of(const char *name, int64_t most)
{
    static const struct tq_secret key = {UINT64_C(0x7472657371756521),
                                         UINT64_C(0x6a69747465722121)};
    return (int64_t)(tq_siphash(key, name, strlen(name)).a % ((uint64_t)most + 1));
}

static struct tq_recurspec *copy(const struct tq_memory *memory, const struct trq_recurring *g)
{
    const size_t size = copy_size(g);
    struct tq_recurspec *spec = tq_alloc(memory, size, _Alignof(struct tq_recurspec));
    if (!spec)
        return NULL;
    spec->refs = 1;
    spec->size = size;
    spec->kv = (struct trq_kv *)(void *)(spec + 1);
    char *at = (char *)(spec->kv + g->inputs.count + 1);
    spec->name = put(&at, g->name, strlen(g->name) + 1);
    if (g->queue)
        spec->queue = put(&at, g->queue, strlen(g->queue) + 1);
    copy_inputs(spec, g, &at);
    spec->on_end = g->on_end;
    spec->tag = g->tag;
    spec->no_overlap = g->no_overlap;
    spec->catch_up = g->catch_up;
    spec->catch_up_max = g->catch_up_max ? g->catch_up_max : CATCH_UP_DEFAULT;
    spec->every = g->every.ns;
    spec->start = g->start.ns;
    spec->end = g->end.ns ? g->end.ns : INT64_MAX;
    spec->jitter = jitter_of(g->name, g->jitter.ns);
    return spec;
}

int tq_recurspec_make(struct trq_engine *engine, struct tq_local *local,
                      const struct trq_recurring *given, struct tq_recurspec **out_spec,
                      struct trq_error *error)
{
    struct trq_recurring g;
    struct tq_class *class;
    if (!tq_sized_ok(given, sizeof g, sizeof g))
        return tq_error(error, TRQ_EINVAL,
                        "recurring: size is %u, or a field of a newer release is set; "
                        "this library's is %zu",
                        given->size, sizeof g);
    tq_sized_copy(&g, given, sizeof g);
    int rc = check(&g, error);
    if (rc == 0)
        rc = find_class(engine, local, &g, &class, error);
    if (rc < 0)
        return rc;
    struct tq_recurspec *spec = copy(&engine->memory, &g);
    if (!spec)
        return tq_error(error, TRQ_ENOMEM, "no memory for a recurring job");
    spec->class = class;
    if (g.cron)
        rc = tq_cron_parse(&spec->cron, g.cron, NULL, error);
    if (rc == 0 && g.cron)
        rc = make_zone(&engine->memory, g.zone, &spec->zone, error);
    if (rc == 0)
        rc = check_inputs(engine, spec, error);
    if (rc < 0)
        tq_recurspec_drop(&engine->memory, NULL, spec);
    else
        *out_spec = spec;
    return rc;
}

void tq_recurspec_drop(const struct tq_memory *memory, struct tq_recurzone **zones,
                       struct tq_recurspec *spec)
{
    if (!spec || --spec->refs)
        return;
    drop_zone(memory, zones, spec->zone);
    tq_free(memory, spec, spec->size);
}

bool tq_recurspec_same_times(const struct tq_recurspec *a, const struct tq_recurspec *b)
{
    const struct tq_cron *x = &a->cron, *y = &b->cron;
    return a->every == b->every && a->zone == b->zone && a->start == b->start && a->end == b->end &&
           a->jitter == b->jitter && x->seconds == y->seconds && x->minutes == y->minutes &&
           x->hours == y->hours && x->days == y->days && x->months == y->months &&
           x->weekdays == y->weekdays && x->either_day == y->either_day &&
           x->counts_hours == y->counts_hours && x->every_hour == y->every_hour;
}
