/* Retry policies: when a job that has failed is tried again. Pure functions: the time, the chance and the number of failures are
 * arguments. */
#ifndef TQ_CORE_RETRY_H
#define TQ_CORE_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/retry.h>

enum { TQ_RETRIES_DEFAULT = 25 };

/* A policy as it may be declared; `of` is whose. 0 or TRQ_EINVAL. */
int tq_retry_check(const struct trq_retry *policy, const char *of, struct trq_error *error);
bool tq_retry_same(const struct trq_retry *a, const struct trq_retry *b);

/* How many retries there are; UINT32_MAX: no end. */
uint32_t tq_retry_limit(const struct trq_retry *policy);
/* ns until the next attempt after so many failures, which are at least 1; INT64_MAX: there is none. *out_bad: the policy's function gave
 * an answer that is none. */
int64_t tq_retry_delay(const struct trq_retry *policy, uint32_t failures,
                       const struct trq_error *error, uint64_t seed, bool *out_bad);

#endif
