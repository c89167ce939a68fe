/* Cron expressions as a program asks for them: no engine, no state. */
#include <tresque/cron.h>

#include <limits.h>

#include "engine/base/calendar.h"
#include "engine/base/error.h"
#include "engine/core/cron.h"

static int load_zone(struct tq_zone *out, const char *name, struct trq_error *error)
{
    struct tq_memory memory;
    tq_memory_init(&memory, NULL);
    return tq_zone_load(out, &memory, NULL, name, error);
}

int trq_cron_check(const char *expression, size_t *out_column, struct trq_error *error)
{
    struct tq_cron cron;
    if (!expression) {
        if (out_column)
            *out_column = 1;
        return tq_error(error, TRQ_EINVAL, "a cron expression is needed, not NULL");
    }
    return tq_cron_parse(&cron, expression, out_column, error);
}

long trq_cron_list(const char *expression, const char *zone_name, struct trq_wall after,
                   struct trq_wall *out, size_t max, struct trq_error *error)
{
    struct tq_cron cron;
    struct tq_zone zone;
    if (!expression || (!out && max) || max > LONG_MAX)
        return tq_error(error, TRQ_EINVAL, "an expression and room for the times are needed");
    int result = tq_cron_parse(&cron, expression, NULL, error);
    if (result < 0)
        return result;
    result = load_zone(&zone, zone_name, error);
    if (result < 0)
        return result;
    size_t n = 0;
    for (int64_t at = after.ns; n < max; n++) {
        at = tq_cron_next(&cron, &zone, at);
        if (at == TQ_CRON_NEVER)
            break;
        out[n].ns = at;
    }
    tq_zone_unload(&zone);
    return (long)n;
}

int trq_cron_next(const char *expression, const char *zone, struct trq_wall after,
                  struct trq_wall *out_next, struct trq_error *error)
{
    if (!expression || !out_next)
        return tq_error(error, TRQ_EINVAL, "an expression and room for a time are needed");
    const long n = trq_cron_list(expression, zone, after, out_next, 1, error);
    return n < 0 ? (int)n : n ? TRQ_OK : TRQ_GONE;
}

int trq_zone_offset(const char *zone_name, struct trq_wall at, struct trq_span *out_offset,
                    struct trq_error *error)
{
    struct tq_zone zone;
    if (!out_offset)
        return tq_error(error, TRQ_EINVAL, "room for an offset is needed");
    const int result = load_zone(&zone, zone_name, error);
    if (result < 0)
        return result;
    const int64_t second = tq_floor_div(at.ns, trq_seconds(1).ns);
    *out_offset = trq_seconds(tq_zone_at(&zone, second).offset);
    tq_zone_unload(&zone);
    return TRQ_OK;
}
