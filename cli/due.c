#include "cli/due.h"

#include <stdio.h>

#include "cli/jobline.h"
#include "cli/rfc3339.h"

/* 10000-01-01T00:00:00Z. Who writes milliseconds for seconds is far beyond it. */
static const double epoch_end_s = 253402300800;

/* A double of today's seconds is good to a quarter of a microsecond: the nearest whole one is what was written.
 * What does not fit is the end of the range. */
static int64_t ns_of(const json_t *seconds)
{
    if (json_is_integer(seconds))
        return trq_seconds(json_integer_value(seconds)).ns;
    const double us = json_real_value(seconds) * 1e6;
    if (us >= (double)INT64_MAX || us <= (double)INT64_MIN)
        return us > 0 ? INT64_MAX : INT64_MIN;
    return trq_us((int64_t)(us < 0 ? us - 0.5 : us + 0.5)).ns;
}

static bool parse_at(const json_t *at, struct trq_wall *out, char *why)
{
    if (json_is_string(at)) {
        const char *text = json_string_value(at);
        const char *fault = tq_rfc3339_parse(trq_str_of(text), out);
        if (fault)
            snprintf(why, TQ_WHY_SIZE, "\"at\" %s: \"%.60s\"", fault, text);
        return !fault;
    }
    if (json_number_value(at) >= epoch_end_s) {
        snprintf(why, TQ_WHY_SIZE, "\"at\" is beyond the year 9999: it is in seconds since 1970");
        return false;
    }
    out->ns = ns_of(at);
    return true;
}

bool tq_due_parse(const json_t *root, struct tq_due *out, char *why)
{
    const json_t *at = json_object_get(root, "at");
    const json_t *in = json_object_get(root, "in");
    struct tq_due due = {0};
    if (at && in) {
        snprintf(why, TQ_WHY_SIZE, "\"at\" and \"in\" are both given; a job is due once");
        return false;
    }
    if (at && !parse_at(at, &due.at, why))
        return false;
    if (in)
        due.in.ns = ns_of(in);
    *out = due;
    return true;
}
