/* How applications and queues get their full names (semantics 2.1, 2.2). */
#ifndef TQ_CORE_APPNAME_H
#define TQ_CORE_APPNAME_H

#include <stdbool.h>
#include <stddef.h>

/* "My App" -> "my_app": what is no letter, digit or underscore becomes one; upper case lower. False: empty, or
 * longer than room. */
bool tq_appname_normalise(const char *name, char *out, size_t room);
/* "FooBar::Baz" -> "foo_bar"; "HardWorker" -> "worker". False: longer than room. */
bool tq_appname_of_worker(const char *worker, char *out, size_t room);

#endif
