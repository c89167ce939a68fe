/* What the workers of the world do: as the plan of the run says, which is drawn when it runs. */
#ifndef TESTS_MODEL_HANDLERS_H
#define TESTS_MODEL_HANDLERS_H

#include "world.h"

struct run_state {
    int64_t mark; /* job + 1 once it has been seen */
    char room[40];
};

enum trq_end world_perform(struct trq_job *job);
bool world_needed(struct trq_job *job);
void world_exhausted(struct trq_job *job, const struct trq_error *error);
void world_state_drop(void *state, struct trq_job *job);
enum trq_end world_queue_key(struct trq_job *job, struct trq_key *key);
enum trq_end world_queue_key_none(struct trq_job *job, struct trq_key *key);
enum trq_end world_worker_key(struct trq_job *job, struct trq_key *key);
enum trq_end world_worker_key_none(struct trq_job *job, struct trq_key *key);

#endif
