/* No queue at all: allocate, fill, call, free. What is left to gain. */
#include <stddef.h>

#include "bench/peer.h"
#include "bench/work.h"

static void *start(const struct setup *setup)
{
    (void)setup;
    return NULL;
}

static void submit(void *self, int producer, uint64_t first, uint64_t count)
{
    (void)self;
    (void)producer;
    for (uint64_t i = first; i < first + count; i++)
        work_job_run(work_job_new(work_input(i)));
}

static void stop(void *self)
{
    (void)self;
}

const struct peer peer_loop = {
    .name = "loop",
    .what = "malloc, fill, call, free; no queue",
    .can = PEER_INLINE | PEER_SINGLE,
    .start = start,
    .submit = submit,
    .stop = stop,
};
