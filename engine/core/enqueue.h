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

/* The queue-lock key that a job of that class with these inputs would have. 0, or the error of its enqueue. */
struct tq_class;
struct tq_digest;
struct tq_local;
int tq_enqueue_digest(struct trq_engine *engine, struct tq_local *local, struct tq_class *class,
                      struct trq_dict inputs, struct tq_digest *out_digest);

#endif
