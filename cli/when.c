#include "cli/when.h"

#include <stdio.h>

#include "cli/fields.h"
#include "cli/rfc3339.h"

/* 10000-01-01T00:00:00Z. Who writes milliseconds for seconds is far beyond it. */
static const double epoch_end_s = 253402300800;

/* A double of today's seconds is good to a quarter of a microsecond: the nearest whole one is what was written. */
struct trq_span tq_when_span(const json_t *seconds)
{
    if (json_is_integer(seconds))
        return trq_seconds(json_integer_value(seconds));
    const double us = json_real_value(seconds) * 1e6;
    if (us >= (double)INT64_MAX || us <= (double)INT64_MIN)
        return trq_ns(us > 0 ? INT64_MAX : INT64_MIN);
    return trq_us((int64_t)(us < 0 ? us - 0.5 : us + 0.5));
}

bool tq_when_wall(const json_t *value, const char *name, struct trq_wall *out, char *why)
{
    if (json_is_string(value)) {
        const char *text = json_string_value(value);
        const char *fault = tq_rfc3339_parse(trq_str_of(text), out);
        if (fault)
            snprintf(why, TQ_WHY_SIZE, "%s %s: \"%.60s\"", name, fault, text);
        return !fault;
    }
    if (json_number_value(value) >= epoch_end_s) {
        snprintf(why, TQ_WHY_SIZE, "%s is beyond the year 9999: it is in seconds since 1970", name);
        return false;
    }
    out->ns = tq_when_span(value).ns;
    return true;
}
