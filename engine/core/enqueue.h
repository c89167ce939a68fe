/* What the forms of enqueue have in common. */
#ifndef TQ_CORE_ENQUEUE_H
#define TQ_CORE_ENQUEUE_H

#include <stdbool.h>
#include <stddef.h>

#include <tresque/enqueue.h>

/* The inputs of count jobs: structs or dictionaries. */
struct tq_source {
    const void *structs;
    const struct trq_dict *dicts;
    size_t count;
    bool trusted; /* texts come from the JSON parser */
};

int tq_enqueue_by_name(struct trq_engine *engine, const char *worker,
                       const struct tq_source *source, const struct trq_opts *opts,
                       struct trq_job_id *out_id);

#endif
