/* A line of --output: what became of a line of input, or of a job of the schedule. */
#ifndef TQ_CLI_OUTCOME_H
#define TQ_CLI_OUTCOME_H

#include <limits.h>

#include <tresque.h>

#include "cli/output.h"

/* Its job has ended. From the job's on_end, on its thread: what the worker Exec captured belongs to that thread. */
void tq_outcome_ended(struct tq_output *output, uint64_t line, const struct trq_event *event,
                      const struct trq_error *error);

/* The same for a job of a schedule, by the name of its entry. */
void tq_outcome_recurred(struct tq_output *output, const char *entry, const struct trq_event *event,
                         const struct trq_error *error);

enum { TQ_WHERE_SIZE = PATH_MAX + 300 }; /* a file, and a place in it */

/* It is not what was wished for. A job that ended while it waited after a failure has the error of that. */
bool tq_outcome_is_bad(const struct trq_event *event, const struct trq_error *error);
/* That as a message: "where: Exec died: exit status 3". */
void tq_outcome_say(const char *where, const struct trq_event *event,
                    const struct trq_error *error);

/* It became no job: one that waits, the twin, has the queue lock. code: TRQ_DUPLICATE or TRQ_DEBOUNCED. */
void tq_outcome_twin(struct tq_output *output, uint64_t line, const char *worker, int code,
                     struct trq_job_id twin);

#endif
