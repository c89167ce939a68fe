/* Cron expressions: when they fire next, by the clock of a time zone. */
#ifndef TRESQUE_CRON_H
#define TRESQUE_CRON_H

#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An expression has five fields, or six with seconds first:
 *
 *     minute 0-59, hour 0-23, day of the month 1-31, month 1-12 or JAN-DEC, day of the week 0-7 or SUN-SAT
 *
 * with spaces or tabs between them. A field is a list, with commas, of `*` or `?`, n, n-m, each with a step if wanted
 * (`0-30/10`; `5/15` goes on to the end). Sunday is 0 and 7. Or it is one of @yearly, @annually, @monthly, @weekly,
 * @daily, @midnight, @hourly. L, W, # and H are refused.
 *
 * If neither day field contains a `*` or `?`, a day that matches one of the two will do; else it must match both.
 *
 * A zone is a name of the system's tzdata, such as "Europe/Berlin"; NULL is UTC. Where its clock is put forward, what
 * was to happen in the time that is skipped happens once, at the first moment after it, but for an expression of
 * every hour. Where it is put back, hours that are named (`2`, `1-3`) fire when the clock shows them first, hours
 * that are counted (`*`, or with a step) fire both times.
 *
 * Errors:  TRQ_EINVAL: not such an expression, or one that can never fire; the text names the column. TRQ_EUNKNOWN: no
 *          such zone. TRQ_ENOMEM: memory, or file descriptors, for the zone's file. Outputs untouched. error may be NULL.
 * Threads: any. Each call with a zone other than UTC reads its file: some tens of microseconds. No environment is read,
 *          nothing is kept. */

/* The first firing strictly after that time. TRQ_GONE: there is none before the year 2262; *out_next is untouched. */
TRQ_API int trq_cron_next(const char *expression, const char *zone, struct trq_wall after,
                          struct trq_wall *out_next, struct trq_error *error);
/* As many as max, in order, reading the zone once. Returns how many: fewer only if then there are no more. */
TRQ_API long trq_cron_list(const char *expression, const char *zone, struct trq_wall after,
                           struct trq_wall *out, size_t max, struct trq_error *error);
/* Is it an expression? TRQ_EINVAL: *out_column (may be NULL) is where it is not, in bytes from 1; one beyond its end if
 * something is missing there. */
TRQ_API int trq_cron_check(const char *expression, size_t *out_column, struct trq_error *error);
/* How far the zone's clock is ahead of UTC at that time; whole seconds. */
TRQ_API int trq_zone_offset(const char *zone, struct trq_wall at, struct trq_span *out_offset,
                            struct trq_error *error);

#ifdef __cplusplus
}
#endif

#endif
