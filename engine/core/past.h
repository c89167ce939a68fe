/* What has become of jobs that ended otherwise than done: the last thousand, for trq_explain.
 *
 * A ring under a mutex: such ends are rare, or somebody has time to read about them. Its memory is taken at the first. */
#ifndef TQ_CORE_PAST_H
#define TQ_CORE_PAST_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/channel.h>

#include "engine/sync/mutex.h"

struct trq_engine;

enum { TQ_PAST_MAX = 1024, TQ_PAST_TEXT = 96 };

struct tq_past_end {
    struct trq_job_id id, other;
    int64_t wall;
    const char *worker, *queue;
    enum trq_outcome outcome;
    char text[TQ_PAST_TEXT]; /* of a dead or discarded job; else empty */
};

struct tq_past {
    struct tq_mutex mutex;
    uint32_t count; /* ever kept; wraps */
    struct tq_past_end *ring;
};

/* error may be NULL. */
void tq_past_keep(struct trq_engine *engine, const struct trq_event *event,
                  const struct trq_error *error);
bool tq_past_find(struct trq_engine *engine, struct trq_job_id id, struct tq_past_end *out);
void tq_past_fini(struct trq_engine *engine);

#endif
