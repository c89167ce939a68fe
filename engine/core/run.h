/* One run of a job: what its handler sees. */
#ifndef TQ_CORE_RUN_H
#define TQ_CORE_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/channel.h>
#include <tresque/value.h>
#include <tresque/worker.h>

struct trq_engine;
struct tq_local;
struct tq_class;
struct tq_job;
struct tq_thread;

/* On the stack of the thread that runs it. */
struct trq_job {
    struct trq_engine *engine;
    struct tq_local *local;
    struct tq_class *class;
    struct tq_job *job;
    const unsigned char *inputs;
    uint32_t index;
    uint64_t word;
    bool decoded; /* the struct form is made */
    bool has_state;
    uint16_t result_size;
    int64_t started; /* mono ns; 0: not read */
    unsigned char result[TRQ_RESULT_MAX];
    struct trq_error error;
};

/* Run the job of that slot, which has just been taken from its queue. */
void tq_run(struct trq_engine *engine, struct tq_local *local, struct tq_thread *thread,
            uint32_t index);

/* The run's memory: first the inputs as a struct, then the state. NULL: out of memory. */
void *tq_run_scratch(struct tq_local *local, const struct tq_class *class);

#endif
