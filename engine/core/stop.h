/* The end of an engine's work, and waiting for quiet. */
#ifndef TQ_CORE_STOP_H
#define TQ_CORE_STOP_H

#include <tresque/engine.h>

struct trq_engine;

/* Is the calling thread in a handler of this engine, or in an on_end? There it must not wait for the engine. */
bool tq_in_handler(struct trq_engine *engine);

#endif
