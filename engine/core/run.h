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
struct tq_digest;
struct tq_former;
struct tq_job;
struct tq_key_prefix;
struct tq_taken;
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
    bool decoded; /* the struct form is made, in scratch */
    bool has_state;
    bool has_failed; /* and was counted */
    uint16_t result_size;
    void *scratch;           /* where the struct form goes, and the state behind it */
    int64_t started;         /* mono ns */
    int64_t deadline;        /* boot ns; INT64_MAX: none */
    struct trq_span requeue; /* after that time; 0: at once */
    unsigned char result[TRQ_RESULT_MAX];
    struct trq_error error;
};

/* Run the job that has just been taken from its queue. False: nothing was run, since it has ended meanwhile, or waits for
 * its worker lock now. */
bool tq_run(struct trq_engine *engine, struct tq_local *local, struct tq_thread *thread,
            const struct tq_taken *taken);

/* Ask a lock's function for the key, on whatever thread. former: whose whole is part of the key, or NULL. Anything but TRQ_DONE:
 * run->error. */
enum trq_end tq_run_ask(struct trq_job *run,
                        enum trq_end (*function)(struct trq_job *job, struct trq_key *key),
                        const struct tq_key_prefix *prefix, const struct tq_former *former,
                        struct tq_digest *out_digest);

/* The run's memory: first the inputs as a struct, then the state. NULL: out of memory. */
void *tq_run_scratch(struct tq_local *local, const struct tq_class *class);

#endif
