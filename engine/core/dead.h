/* The dead set: jobs whose retries are used up.
 *
 * Shape.   A roll (core/roll.h) of graves, at most `max` of them: what the job left (its husk, with side, trail and block, which are
 *          the grave's from then on) and the last text. Their slots are given back: a dead job is no job of jobs_max.
 *
 * Invariants
 *   I1  What a grave names (side, trail, block) is freed or carried into a slot by who took it out of the roll, under the mutex,
 *       and by nobody else.
 *   I2  The side of a grave has no record of a lock and no link: such things are for jobs that wait or run.
 *   I3  A number is given once, in the order in which they came.
 *
 * One mutex for all, innermost, held for a bounded number of entries at a time. No user code runs under it; the allocator is
 * asked for a chunk now and then.
 */
#ifndef TQ_CORE_DEAD_H
#define TQ_CORE_DEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresque/dead.h>

#include "engine/core/job.h"
#include "engine/core/roll.h"
#include "engine/sync/mutex.h"

struct trq_engine;
struct tq_class;
struct tq_ended;
struct tq_layout;
struct tq_local;

struct tq_grave {
    struct tq_roll_entry entry; /* its key: the slot of the job's id */
    char text[TRQ_FAILURE_TEXT];
    struct tq_job husk; /* word: before it ended; enqueued: when it died, ns of the wall clock */
};
_Static_assert(sizeof(struct tq_grave) == 5 * TQ_LINE, "a grave is five lines");

struct tq_dead {
    struct tq_mutex mutex;
    struct tq_roll roll;
    uint64_t numbers; /* the last one given */
    tq_a64 count, lost;
};

bool tq_dead_init(struct trq_engine *engine);
void tq_dead_fini(struct trq_engine *engine);

/* A job has become FREE as dead, and its payload was taken out, which is the set's from here on; the slot is the
 * caller's, and the note, if it has one, which the caller has read before. error may be NULL. Tells on_dead_lost: no
 * lock may be held. */
void tq_dead_put(struct trq_engine *engine, struct tq_local *local, struct tq_ended *ended,
                 const struct trq_error *error);

/* Out of the set; then what it names is the caller's. False: it is not there. */
bool tq_dead_take(struct trq_engine *engine, struct trq_job_id id, struct tq_grave *out);
/* After all, with the number that it had. */
void tq_dead_put_back(struct trq_engine *engine, struct tq_local *local,
                      const struct tq_grave *grave);
/* Free what it names. */
void tq_grave_free(struct trq_engine *engine, struct tq_local *local, struct tq_grave *grave);

/* Look. out, out_flags (of its word) may be NULL. */
bool tq_dead_find(struct trq_engine *engine, struct trq_job_id id, struct trq_dead *out,
                  uint64_t *out_flags);

/* Its inputs, if they are no larger than that; *out_size says; and by what they are encoded. */
bool tq_dead_copy(struct trq_engine *engine, struct trq_job_id id,
                  const struct tq_layout **out_layout, unsigned char *buffer, size_t capacity,
                  size_t *out_size);
/* As tq_trail_failures. */
bool tq_dead_failures(struct trq_engine *engine, struct trq_job_id id, struct trq_failure *out,
                      size_t max, size_t *out_count);
/* The number that was given last. */
uint64_t tq_dead_last(struct trq_engine *engine);

/* A walk in order of number: those of that class (NULL: of all) whose inputs contain these. */
struct tq_dead_walk {
    const struct tq_class *class;
    struct trq_dict inputs;
    uint64_t after; /* behind what was seen */
    uint64_t last;  /* none above */
    bool done;      /* there are no more */
};
/* Look at some more of them, perhaps without a match: call it until `done`. Returns how many were filled in. */
size_t tq_dead_walk(struct trq_engine *engine, struct tq_dead_walk *walk, struct trq_dead *out,
                    size_t max);

/* Quiescent: NULL, or what is wrong. *out_sides: those that graves name. */
const char *tq_dead_check(struct trq_engine *engine, uint64_t *out_sides);

#endif
