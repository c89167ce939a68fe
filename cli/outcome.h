/* A line of --output: what became of a line of input. */
#ifndef TQ_CLI_OUTCOME_H
#define TQ_CLI_OUTCOME_H

#include <tresque.h>

#include "cli/output.h"

/* Its job has ended. From the job's on_end, on its thread: what the worker Exec captured belongs to that thread. */
void tq_outcome_ended(struct tq_output *output, uint64_t line, const struct trq_event *event,
                      const struct trq_error *error);

/* It became no job: one that waits, the twin, has the queue lock. code: TRQ_DUPLICATE or TRQ_DEBOUNCED. */
void tq_outcome_twin(struct tq_output *output, uint64_t line, const char *worker, int code,
                     struct trq_job_id twin);

#endif
