#include "cli/joblimits.h"

#include <stdio.h>

#include "cli/fields.h"
#include "cli/when.h"

/* No delay of the engine is longer; who writes milliseconds for seconds may well be beyond it. */
static const double seconds_max = 10 * 365 * 86400.0;

/* A constant of 0 would mean none. */
static struct trq_span at_once(int failures, const struct trq_error *error, uint64_t seed)
{
    (void)failures;
    (void)error;
    (void)seed;
    return trq_ns(0);
}

/* The span of that key; untouched if it is not there. */
static bool take_span(const json_t *root, const char *key, bool may_be_none, struct trq_span *out,
                      char *why)
{
    const json_t *value = json_object_get(root, key);
    const double seconds = json_number_value(value);
    if (!value)
        return true;
    if (seconds < 0 || (seconds <= 0 && !may_be_none) || seconds > seconds_max) {
        snprintf(why, TQ_WHY_SIZE,
                 "\"%s\" must be seconds, %s 0 and at most %.0f (ten years), not %.15g", key,
                 may_be_none ? "at least" : "more than", seconds_max, seconds);
        return false;
    }
    *out = tq_when_span(value);
    if (out->ns == 0 && seconds > 0) /* less than half of a microsecond is not none */
        out->ns = 1;
    return true;
}

static bool take_backoff(const json_t *root, struct trq_retry *retry, char *why)
{
    if (!json_object_get(root, "backoff"))
        return true;
    if (!retry->size) {
        snprintf(why, TQ_WHY_SIZE, "\"backoff\" is of no use without \"retries\"");
        return false;
    }
    if (!take_span(root, "backoff", true, &retry->constant, why))
        return false;
    retry->delay = retry->constant.ns ? NULL : at_once;
    return true;
}

static bool take_retries(const json_t *root, struct trq_retry *retry, char *why)
{
    const json_t *value = json_object_get(root, "retries");
    const json_int_t n = json_integer_value(value);
    if (!value)
        return true;
    if (n < 0 || n > TRQ_RETRY_MAX) {
        snprintf(why, TQ_WHY_SIZE, "\"retries\" must be from 0 to %d, not %lld", TRQ_RETRY_MAX,
                 (long long)n);
        return false;
    }
    retry->size = sizeof *retry;
    retry->retries = n ? (int32_t)n : TRQ_RETRY_NEVER;
    return true;
}

bool tq_limits_parse(const json_t *root, struct tq_limits *out, char *why)
{
    struct tq_limits limits = {0};
    if (!take_retries(root, &limits.retry, why) || !take_backoff(root, &limits.retry, why) ||
        !take_span(root, "expires_in", false, &limits.expires_in, why) ||
        !take_span(root, "timeout", false, &limits.timeout, why))
        return false;
    *out = limits;
    return true;
}
