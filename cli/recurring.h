/* A schedule at work: its entries as the engine's recurring jobs, and what becomes of those. */
#ifndef TQ_CLI_RECURRING_H
#define TQ_CLI_RECURRING_H

#include "cli/output.h"
#include "cli/schedule.h"

struct tq_recurring_tag; /* what a job carries: whose it is */

struct tq_recurring {
    const struct tq_schedule *schedule;
    struct trq_engine *engine;
    struct tq_output *output; /* of the ended jobs; or NULL */
    struct tq_recurring_tag *tags;
};

/* Before the start. False: what is wrong with entries has been said.
 * Owner:   end it with tq_recurring_fini in either case, when the engine has been destroyed. */
bool tq_recurring_add(struct tq_recurring *recurring) TRQ_MUST_USE;
void tq_recurring_fini(struct tq_recurring *recurring);

/* Will any of them fire again? Threads: any. */
bool tq_recurring_alive(const struct tq_recurring *recurring);

#endif
