/* Time: two clocks, and each in an exact and a cheap reading.
 *
 * Nanoseconds. `mono` never runs backwards and counts from anywhere; `wall` is UTC since 1970.
 */
#ifndef TQ_BASE_CLOCK_H
#define TQ_BASE_CLOCK_H

#include <stdint.h>

struct trq_hooks;

struct tq_clock {
    int64_t (*mono)(void *context); /* NULL: the system's */
    int64_t (*wall)(void *context);
    void *context;
};

/* hooks may be NULL. */
void tq_clock_init(struct tq_clock *clock, const struct trq_hooks *hooks);

int64_t tq_clock_mono(const struct tq_clock *clock); /* exact; about 36 ns */
int64_t tq_clock_coarse(
    const struct tq_clock *clock); /* behind mono by up to one kernel tick; about 8 ns */
/* What a span from now is measured by: it goes on while the machine is suspended. With hooks it is mono. */
int64_t tq_clock_boot(const struct tq_clock *clock);
int64_t tq_clock_wall(const struct tq_clock *clock);
int64_t tq_clock_wall_coarse(const struct tq_clock *clock);

/* now + span without overflow; a negative span counts as 0. */
static inline int64_t tq_deadline(int64_t now, int64_t span)
{
    if (span < 0)
        span = 0;
    return span > INT64_MAX - now ? INT64_MAX : now + span;
}

#endif
