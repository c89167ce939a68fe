/* The workers that come with the program, the queues of --weight, and workers that are loaded. */
#ifndef TQ_CLI_WORKERS_H
#define TQ_CLI_WORKERS_H

#include <jansson.h>

#include <tresque.h>

#include "cli/options.h"

/* Exec, Sleep and Noop, of application `worker`. Sleep takes seconds and ms (numbers, added up). */
extern const struct trq_worker tq_exec_worker;
extern const struct trq_worker tq_sleep_worker;
extern const struct trq_worker tq_noop_worker;

/* A queue that --weight named, as the engine needs it: constant as long as the engine lives. */
struct tq_named_queue {
    char *app_name;
    struct trq_queue rows[2];
    struct trq_app app;
};
struct tq_workers {
    struct tq_named_queue *queues;
    size_t queue_count;
};

/* All that the options name: queues, built-in workers, plugins. False: the message has been said.
 * Owner:   *out must outlive the engine; end it with tq_workers_fini in either case. */
bool tq_workers_register(struct tq_workers *out, struct trq_engine *engine,
                         const struct tq_options *options) TRQ_MUST_USE;
void tq_workers_fini(struct tq_workers *workers);

/* Is it one of the three above? */
bool tq_workers_is_ours(const char *worker);
/* What is wrong with the inputs of a built-in worker beyond what its declaration says; else NULL. */
const char *tq_workers_fault(const char *worker, const json_t *inputs);

/* The full names of the queues to work for trq_config.queues: a name without an underscore, or one that
 * --weight gave, is short for a queue of application `worker`. NULL: out of memory. Free it with one free. */
const char **tq_workers_queues(const struct tq_options *options);

#endif
