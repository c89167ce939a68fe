/* What a line's job may take: its keys "retries", "backoff", "expires_in" and "timeout". */
#ifndef TQ_CLI_JOBLIMITS_H
#define TQ_CLI_JOBLIMITS_H

#include <jansson.h>

#include <tresque.h>

struct tq_limits {
    struct trq_retry retry;     /* size 0: none given */
    struct trq_span expires_in; /* 0: likewise */
    struct trq_span timeout;
};

/* From the object of a line; the types of its values have been checked.
 * False: *out is untouched and `why`, of TQ_WHY_SIZE bytes, is the sentence. */
bool tq_limits_parse(const json_t *root, struct tq_limits *out, char *why) TRQ_MUST_USE;

#endif
