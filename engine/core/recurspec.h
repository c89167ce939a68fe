/* What a recurrence makes, and when: the caller's words checked and copied, and the arithmetic of its times.
 *
 * Nominal times are what the cron expression or `every` says, ns on the clock that it follows (wall, or boot); jitter comes
 * on top. A nominal time of `every` stands for all of its class: it fires then and every so often after it.
 *
 * A specification never changes. Owner: who counts in `refs`, under the table's mutex. */
#ifndef TQ_CORE_RECURSPEC_H
#define TQ_CORE_RECURSPEC_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/recur.h>

#include "engine/base/memory.h"
#include "engine/core/cron.h"
#include "engine/core/zone.h"

struct trq_engine;
struct tq_class;
struct tq_local;
struct tq_moment;

enum { TQ_RECUR_NAME_MAX = 200, TQ_RECUR_CATCH_UP_MAX = 1000, TQ_RECUR_COUNTED_MAX = 10000 };
#define TQ_RECUR_NEVER INT64_MAX

/* One for all that name it while its file has not changed. */
struct tq_recurzone {
    struct tq_zone zone;
    uint32_t refs;
    struct tq_recurzone *next;
    char name[TQ_ZONE_NAME_MAX + 1];
};

struct tq_recurspec {
    uint32_t refs;
    size_t size; /* of this block: texts and values lie behind it */
    struct tq_class *class;
    const char *name, *queue; /* queue may be NULL */
    struct trq_kv *kv;
    size_t count; /* of kv */
    void (*on_end)(void *host, const struct trq_event *event, const struct trq_error *error);
    void *tag;
    bool has_time; /* the last kv is the time of the firing */
    bool no_overlap;
    enum trq_catch_up catch_up;
    uint32_t catch_up_max;

    int64_t every; /* 0: cron */
    struct tq_cron cron;
    struct tq_recurzone *zone;
    int64_t start, end, jitter; /* wall ns; end INT64_MAX: none */
};

/* Checks all but whether there is room; the zone is its own (tq_recurzone_share). */
int tq_recurspec_make(struct trq_engine *engine, struct tq_local *local,
                      const struct trq_recurring *given, struct tq_recurspec **out_spec,
                      struct trq_error *error);
/* Its zone is replaced by one of the list that is the same, or becomes one of the list. */
void tq_recurzone_share(const struct tq_memory *memory, struct tq_recurzone **zones,
                        struct tq_recurspec *spec);
/* One reference less. zones: the list; NULL: it was never shared. */
void tq_recurspec_drop(const struct tq_memory *memory, struct tq_recurzone **zones,
                       struct tq_recurspec *spec);
/* Do they fire at the same times? Both shared. */
bool tq_recurspec_same_times(const struct tq_recurspec *a, const struct tq_recurspec *b);

/* ---- times; all in ns of its clock, NEVER: none ---- */

static inline int64_t tq_recur_plus(int64_t time, int64_t span)
{
    int64_t sum;
    if (__builtin_add_overflow(time, span, &sum))
        return span > 0 ? INT64_MAX : INT64_MIN;
    return sum;
}

/* A wall time on its clock, as both stand now, and back. */
int64_t tq_recurspec_of_wall(const struct tq_recurspec *spec, const struct tq_moment *now,
                             int64_t wall);
int64_t tq_recurspec_to_wall(const struct tq_recurspec *spec, const struct tq_moment *now,
                             int64_t time);

/* The first nominal time, of one that fired last at `since` (wall; 0: now). */
int64_t tq_recurspec_first(const struct tq_recurspec *spec, const struct tq_moment *now,
                           int64_t since);
int64_t tq_recurspec_following(const struct tq_recurspec *spec, int64_t nominal);
/* The last nominal time that may fire, as the clocks stand: its end. */
int64_t tq_recurspec_end(const struct tq_recurspec *spec, const struct tq_moment *now);

/* What is to be done with the nominal times from `next` to `limit`, both included, next being one: *out_from is the first
 * that gets a job, or NEVER; *out_missed how many get none; *out_next the first of which nothing is decided yet, if
 * *out_from is NEVER. now: nominal; what is a minute older is late. */
void tq_recurspec_choose(const struct tq_recurspec *spec, int64_t next, int64_t limit, int64_t now,
                         int64_t *out_from, uint64_t *out_missed, int64_t *out_next);

#endif
