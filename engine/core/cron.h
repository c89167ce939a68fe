/* Cron expressions: reading them, and when they fire next.
 *
 *     [second] minute hour day-of-month month day-of-week
 *
 * A field is a list of `*`, `?` (the same), n, n-m, each with `/step` if wanted; `n/step` goes on to the end of the
 * range. Months and days of the week have names of three letters; Sunday is 0 and 7. @yearly, @annually, @monthly,
 * @weekly, @daily, @midnight and @hourly stand for what one thinks. L, W, # and H are refused.
 *
 * Which day: both day fields must match; but if neither contains a `*` (or `?`), either will do. That is the rule of
 * Vixie's cron and of cronie, to whom a star with a step is one, too.
 *
 * When the clock is changed (summer time, or a new law), for a zone whose clock is read as it is told:
 *   forward   What was to happen in the time that is skipped happens once, at the first moment after it. So no firing is
 *             lost. But an expression for every hour follows the clock: the next hour's firing is there anyway.
 *   back      Hours that are named (2; 1-3; 1,2) fire once, when the clock shows them for the first time. Hours that are
 *             counted (a `*`, `?` or `/` in the hour field, or all 24 named) fire in both.
 * In other words: a firing that is due at a time of the clock happens at the first moment at which the clock shows that
 * time or a later one. Vixie's cron and cronie do so to jobs without `*` in minute and hour, and drop what others miss;
 * npm's cron-parser keeps the minute in the hour after the gap, and fires once for all but every hour. Where those two
 * differ from each other we lose nothing, and repeat only what is counted.
 *
 * Rejected: a library. Debian has none for C, and those of other languages disagree with each other just here.
 * Threads: any; nothing is shared.
 */
#ifndef TQ_CORE_CRON_H
#define TQ_CORE_CRON_H

#include <tresque/value.h>

#include "engine/core/zone.h"

/* Bit n of a set: n matches. */
struct tq_cron {
    uint64_t seconds, minutes;
    uint32_t hours, days;
    uint16_t months;
    uint8_t weekdays; /* 0: Sunday */
    bool either_day;  /* neither day field contains a star */
    bool counts_hours, every_hour;
};

/* No such time. */
#define TQ_CRON_NEVER INT64_MAX

/* TRQ_EINVAL: *out_column (may be NULL) is where, in bytes from 1; also for a day that is in none of the months. */
int tq_cron_parse(struct tq_cron *out, const char *expression, size_t *out_column,
                  struct trq_error *error);

/* The first time of the clock, not before that one, that matches; seconds as if the zone were UTC. TQ_CRON_NEVER: none
 * before the end of 64-bit nanoseconds. */
int64_t tq_cron_match(const struct tq_cron *cron, int64_t clock);

/* The first firing strictly after that time; ns since 1970. TQ_CRON_NEVER: none that ns could tell. */
int64_t tq_cron_next(const struct tq_cron *cron, const struct tq_zone *zone, int64_t after_ns);

#endif
