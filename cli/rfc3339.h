/* Date and time as RFC 3339 writes them: 2026-12-31T23:59:59.5+01:00. */
#ifndef TQ_CLI_RFC3339_H
#define TQ_CLI_RFC3339_H

#include <tresque/value.h>

/* NULL and the time in *out; else what is wrong, as it goes on after a name ("has no such day"), static.
 * Shape:   exactly that form, of the years 0000 to 9999. Between date and time T, t or a space; Z or z is UTC.
 *          Any number of fractional digits: those beyond nanoseconds round up, so that it is never too early.
 * Range:   what 64 bits cannot hold (before 1677, after 2262) is the end of theirs.
 * Errors:  also for second 60: leap seconds have no number in the count of seconds since 1970. */
const char *tq_rfc3339_parse(struct trq_str text, struct trq_wall *out) TRQ_MUST_USE;

enum { TQ_RFC3339_SIZE = 32 }; /* "2026-12-31T23:59:59+01:00" and its end, with room */

/* The second that this time belongs to, on a clock that is so far ahead of UTC; NULL: UTC, with a Z.
 * Shape:   an offset has no seconds here: one of local mean time (before 1972) is rounded to its minute, and the time
 *          beside it is that clock's, so that both together name the right second. */
void tq_rfc3339_print(struct trq_wall at, const struct trq_span *offset, char out[TQ_RFC3339_SIZE]);

#endif
