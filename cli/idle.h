/* Whether an engine has anything left to do. */
#ifndef TQ_CLI_IDLE_H
#define TQ_CLI_IDLE_H

#include <tresque.h>

/* True: no job runs, is scheduled, or is ready in a queue that is worked; what is left, if anything, will never run.
 * Threads: one that is in no handler, while no other thread but the engine's enqueues. May sleep for some ms. */
bool tq_idle(struct trq_engine *engine) TRQ_MUST_USE;

#endif
