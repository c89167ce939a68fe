/* Workers of the user's own, from a shared object. */
#ifndef TQ_CLI_PLUGIN_H
#define TQ_CLI_PLUGIN_H

#include <tresque.h>

/* Calls its `int trq_plugin_init(struct trq_engine *)`, which registers what it brings. It stays loaded: the
 * engine borrows what it registered. False: the message has been said. */
bool tq_plugin_load(struct trq_engine *engine, const char *path) TRQ_MUST_USE;

#endif
