/* When a recurrence fires, and which of the missed firings are made up. */
#include "engine/core/recurspec.h"
#include "engine/core/schedule.h"

#define SECOND INT64_C(1000000000)
#define LATE (60 * SECOND)
/* A clock that is set back by no more is believed to be set forward again. */
#define TOLERATED (3 * 3600 * SECOND)

static int64_t on_clock(int64_t from_now, int64_t to_now, int64_t time)
{
    int64_t span;
    if (__builtin_sub_overflow(time, from_now, &span))
        span = time > from_now ? INT64_MAX : INT64_MIN;
    return tq_recur_plus(to_now, span);
}

int64_t tq_recurspec_of_wall(const struct tq_recurspec *spec, const struct tq_moment *now,
                             int64_t wall)
{
    return spec->every ? on_clock(now->wall, now->boot, wall) : wall;
}

int64_t tq_recurspec_to_wall(const struct tq_recurspec *spec, const struct tq_moment *now,
                             int64_t time)
{
    return spec->every ? on_clock(now->boot, now->wall, time) : time;
}

/* The first of the class of `one`, from `one` on, after that time. */
static int64_t every_after(int64_t one, int64_t every, int64_t after)
{
    if (one > after)
        return one;
    return tq_recur_plus(after, every - (int64_t)(((uint64_t)after - (uint64_t)one) % every));
}

int64_t tq_recurspec_first(const struct tq_recurspec *spec, const struct tq_moment *now,
                           int64_t since)
{
    int64_t after = since;
    if (!since || since > tq_recur_plus(now->wall, TOLERATED))
        after = now->wall;
    if (!spec->every) {
        /* A firing at the start is one. */
        if (after < spec->start)
            after = spec->start - 1;
        return tq_cron_next(&spec->cron, &spec->zone->zone, after);
    }
    after = tq_recurspec_of_wall(spec, now, after);
    if (!spec->start)
        return tq_recur_plus(after, spec->every);
    return every_after(tq_recurspec_of_wall(spec, now, spec->start), spec->every, after);
}

int64_t tq_recurspec_following(const struct tq_recurspec *spec, int64_t nominal)
{
    return spec->every ? tq_recur_plus(nominal, spec->every)
                       : tq_cron_next(&spec->cron, &spec->zone->zone, nominal);
}

int64_t tq_recurspec_end(const struct tq_recurspec *spec, const struct tq_moment *now)
{
    if (spec->end == INT64_MAX)
        return TQ_RECUR_NEVER - 1;
    return tq_recur_plus(tq_recurspec_of_wall(spec, now, spec->end), -spec->jitter);
}

/* ---- searching ----------------------------------------------------------------------------------------------------- */

/* How many after that time, up to the limit; at most `most`. `one` is a firing. */
static uint64_t count_after(const struct tq_recurspec *spec, int64_t one, int64_t after,
                            int64_t limit, uint64_t most)
{
    uint64_t n = 0;
    if (after >= limit)
        return 0;
    if (spec->every) {
        const int64_t first = every_after(one, spec->every, after);
        n = first > limit ? 0 : ((uint64_t)limit - (uint64_t)first) / (uint64_t)spec->every + 1;
        return n < most ? n : most;
    }
    while (n < most && (after = tq_recurspec_following(spec, after)) <= limit)
        n++;
    return n;
}

/* The last up to the limit, `next` being one. */
static int64_t last_until(const struct tq_recurspec *spec, int64_t next, int64_t limit)
{
    if (spec->every)
        return limit - (int64_t)(((uint64_t)limit - (uint64_t)next) % (uint64_t)spec->every);
    /* Mostly it is the only one. Else it is between low, a firing, and high. */
    int64_t low = next, high = limit;
    if (tq_recurspec_following(spec, next) > limit)
        return next;
    while (high - low >= SECOND) {
        const int64_t middle = low + (high - low) / 2;
        const int64_t firing = tq_recurspec_following(spec, middle);
        if (firing <= limit)
            low = firing;
        else
            high = middle;
    }
    return low;
}

/* From which on there are at most `most`. */
static int64_t last_ones(const struct tq_recurspec *spec, int64_t next, int64_t limit,
                         uint32_t most)
{
    if (count_after(spec, next, next - 1, limit, (uint64_t)most + 1) <= most)
        return next;
    if (spec->every)
        return last_until(spec, next, limit) - (int64_t)(most - 1) * spec->every;
    int64_t low = next - 1, high = limit; /* too many after low, not after high */
    while (high - low >= SECOND) {
        const int64_t middle = low + (high - low) / 2;
        if (count_after(spec, next, middle, limit, (uint64_t)most + 1) > most)
            low = middle;
        else
            high = middle;
    }
    return tq_recurspec_following(spec, high);
}

void tq_recurspec_choose(const struct tq_recurspec *spec, int64_t next, int64_t limit, int64_t now,
                         int64_t *out_from, uint64_t *out_missed, int64_t *out_next)
{
    const int64_t last = last_until(spec, next, limit);
    int64_t from = last;
    if (spec->catch_up == TRQ_CATCH_UP_ALL)
        from = last_ones(spec, next, limit, spec->catch_up_max);
    *out_missed = count_after(spec, next, next - 1, from - 1, TQ_RECUR_COUNTED_MAX);
    *out_next = from;
    if (spec->catch_up == TRQ_CATCH_UP_NONE && now - last >= LATE) {
        from = TQ_RECUR_NEVER;
        *out_missed += *out_missed < TQ_RECUR_COUNTED_MAX;
        *out_next = tq_recurspec_following(spec, last);
    }
    *out_from = from;
}
