#include "engine/core/retry.h"

#include "engine/base/error.h"
#include "engine/base/sized.h"

#define SECOND INT64_C(1000000000)
#define TEN_YEARS (INT64_C(3652) * 86400 * SECOND)

enum { JITTER_DEFAULT = 10 /* per cent */, JITTER_MAX = 1000 };

/* ---- declarations ------------------------------------------------------------------------------------------- */

int tq_retry_check(const struct trq_retry *p, const char *of, struct trq_error *error)
{
    if (!p)
        return 0;
    if (!tq_sized_ok(p, sizeof *p, sizeof *p))
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: retry: size is %u, or a field of a newer release is set",
                        of, p->size);
    if (p->retries < TRQ_RETRY_FOREVER || p->retries > TRQ_RETRY_MAX)
        return tq_error(error, TRQ_EINVAL, "worker %.100s: retry: %d retries; at most %d", of,
                        p->retries, TRQ_RETRY_MAX);
    if (!p->list != !p->list_count ||
        (p->list != NULL) + (p->constant.ns != 0) + (p->delay != NULL) > 1)
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: retry: one of constant, delay, and list with list_count",
                        of);
    if (p->list_count > TRQ_RETRY_MAX)
        return tq_error(error, TRQ_EINVAL, "worker %.100s: retry: a list of %u; at most %d", of,
                        p->list_count, TRQ_RETRY_MAX);
    if (p->constant.ns < 0 || p->most.ns < 0)
        return tq_error(error, TRQ_EINVAL, "worker %.100s: retry: a delay below zero", of);
    for (uint32_t i = 0; i < p->list_count; i++)
        if (p->list[i].ns < 0)
            return tq_error(error, TRQ_EINVAL, "worker %.100s: retry: list[%u] is below zero", of,
                            i);
    if (p->jitter < TRQ_JITTER_NONE || p->jitter > JITTER_MAX)
        return tq_error(error, TRQ_EINVAL,
                        "worker %.100s: retry: jitter of %d per cent; at most %d", of, p->jitter,
                        JITTER_MAX);
    return 0;
}

bool tq_retry_same(const struct trq_retry *a, const struct trq_retry *b)
{
    if (a == b)
        return true;
    if (!a || !b || a->retries != b->retries || a->constant.ns != b->constant.ns ||
        a->list_count != b->list_count || a->jitter != b->jitter || a->delay != b->delay ||
        a->most.ns != b->most.ns)
        return false;
    for (uint32_t i = 0; i < a->list_count; i++)
        if (a->list[i].ns != b->list[i].ns)
            return false;
    return true;
}

/* ---- the answer ----------------------------------------------------------------------------------------------- */

uint32_t tq_retry_limit(const struct trq_retry *p)
{
    if (!p)
        return TQ_RETRIES_DEFAULT;
    switch (p->retries) {
    case TRQ_RETRY_FOREVER:
        return UINT32_MAX;
    case TRQ_RETRY_NEVER:
        return 0;
    case 0:
        return p->list ? p->list_count : TQ_RETRIES_DEFAULT;
    default:
        return (uint32_t)p->retries;
    }
}

/* A number that looks like chance, from 0 to below `end`; 0 if that is nothing. (The finaliser of splitmix64.) */
static int64_t chance(uint64_t seed, int64_t end)
{
    uint64_t x = seed + UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    x ^= x >> 31;
    __extension__ typedef unsigned __int128 wide;
    return end > 0 ? (int64_t)((wide)x * (uint64_t)end >> 64) : 0;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* So many that more make no difference. */
static int64_t counted(uint32_t failures)
{
    enum { MANY = 2000 };
    return failures < MANY ? failures : MANY;
}

/* n^4 + 15 s after n + 1 failures; n^4 in ns leaves the range long after ten years. */
static int64_t polynomial(uint32_t failures)
{
    int64_t n = counted(failures) - 1;
    int64_t seconds = n * n * n * n + 15;
    return seconds > TEN_YEARS / SECOND ? TEN_YEARS : seconds * SECOND;
}

/* Somewhere in a window of that width, which begins at the delay. Where `most` cuts, it ends there, so that not all come back
 * together, and begins earlier, but not before half of it. */
static int64_t within(int64_t delay, int64_t width, int64_t most, uint64_t seed)
{
    if (delay > most || width > most - delay)
        width = least(width, most / 2);
    return least(delay, most - width) + chance(seed, width);
}

int64_t tq_retry_delay(const struct trq_retry *p, uint32_t failures, const struct trq_error *error,
                       uint64_t seed, bool *out_bad)
{
    const int64_t most = p && p->most.ns ? least(p->most.ns, TEN_YEARS) : TEN_YEARS;
    const int jitter = p ? p->jitter : 0;
    int64_t delay, per_cent = jitter < 0 ? 0 : jitter ? jitter : JITTER_DEFAULT;
    bool is_default = !p || !(p->list || p->constant.ns || p->delay);
    *out_bad = false;
    if (failures > tq_retry_limit(p))
        return INT64_MAX;
    if (p && p->delay) {
        delay = p->delay((int)failures, error, seed).ns;
        if (delay == INT64_MAX)
            return delay;
        *out_bad = is_default = delay < 0;
        if (!jitter)
            per_cent = 0;
    } else if (p && p->list) {
        delay = p->list[failures <= p->list_count ? failures - 1 : p->list_count - 1].ns;
    } else {
        delay = p ? p->constant.ns : 0;
    }
    if (is_default) {
        delay = polynomial(failures);
        if (!jitter)
            return within(delay, 10 * SECOND * counted(failures), most, seed);
    }
    delay = least(delay, most); /* ten years times ten are in the range */
    return within(delay, delay / 100 * per_cent, most, seed);
}

struct trq_span trq_retry_delay(const struct trq_retry *policy, int failures,
                                const struct trq_error *error, uint64_t seed)
{
    static const struct trq_error none = {0};
    bool bad;
    if (failures < 1 || tq_retry_check(policy, "", NULL) < 0)
        return trq_forever();
    return trq_ns(tq_retry_delay(policy, (uint32_t)failures, error ? error : &none, seed, &bad));
}
