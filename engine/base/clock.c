#include "engine/base/clock.h"

#include <stddef.h>
#include <time.h>

#include <tresque/hooks.h>

static int64_t system_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void tq_clock_init(struct tq_clock *clock, const struct trq_hooks *hooks)
{
    *clock = (struct tq_clock){0};
    if (hooks && hooks->mono_ns)
        *clock = (struct tq_clock){hooks->mono_ns, hooks->wall_ns, hooks->context};
}

int64_t tq_clock_mono(const struct tq_clock *clock)
{
    return clock->mono ? clock->mono(clock->context) : system_clock(CLOCK_MONOTONIC);
}

int64_t tq_clock_coarse(const struct tq_clock *clock)
{
    return clock->mono ? clock->mono(clock->context) : system_clock(CLOCK_MONOTONIC_COARSE);
}

int64_t tq_clock_boot(const struct tq_clock *clock)
{
    return clock->mono ? clock->mono(clock->context) : system_clock(CLOCK_BOOTTIME);
}

int64_t tq_clock_wall(const struct tq_clock *clock)
{
    return clock->wall ? clock->wall(clock->context) : system_clock(CLOCK_REALTIME);
}

int64_t tq_clock_wall_coarse(const struct tq_clock *clock)
{
    return clock->wall ? clock->wall(clock->context) : system_clock(CLOCK_REALTIME_COARSE);
}
