/* The rule that a time zone follows beyond its table: the TZ string of POSIX at the end of a TZif file, such as
 * "CET-1CEST,M3.5.0,M10.5.0/3". */
#ifndef TQ_CORE_ZONERULE_H
#define TQ_CORE_ZONERULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stretch of time in which a zone's clock is `offset` seconds ahead of UTC.
 * Units:   seconds since 1970 in UTC; from <= t < until; INT64_MIN and INT64_MAX: without end. */
struct tq_zone_span {
    int64_t from, until;
    int32_t offset;
};

struct tq_zonerule_day {
    char kind; /* J: day 1 to 365, the 29th of February is not counted; 0: day 0 to 365; M */
    int16_t day;
    int8_t month, week, weekday; /* M: that weekday, the week-th in the month; 5: the last */
    int32_t
        time; /* seconds after midnight, by the clock before the change; also below 0 or beyond a day */
};

struct tq_zonerule {
    int32_t standard; /* ahead of UTC, seconds */
    int32_t summer;
    bool has_summer;
    struct tq_zonerule_day begin, end; /* of summer */
};

/* False: not such a string, or one without the dates of its summer time. */
bool tq_zonerule_parse(struct tq_zonerule *out, const char *text, size_t size);
/* at: some hundred thousand years around 1970. */
struct tq_zone_span tq_zonerule_at(const struct tq_zonerule *rule, int64_t at);

#endif
