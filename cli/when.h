/* Times and spans as JSON has them: a string as RFC 3339 writes it, or a number of seconds. */
#ifndef TQ_CLI_WHEN_H
#define TQ_CLI_WHEN_H

#include <jansson.h>

#include <tresque/value.h>

/* Of a number: to the microsecond where it has a fraction. What does not fit is the end of the range. */
struct trq_span tq_when_span(const json_t *seconds);

/* Of a string or a number (since 1970); `name` is what the sentence calls it.
 * False: *out is untouched and `why`, of TQ_WHY_SIZE bytes, is the sentence. */
bool tq_when_wall(const json_t *value, const char *name, struct trq_wall *out, char *why)
    TRQ_MUST_USE;

#endif
