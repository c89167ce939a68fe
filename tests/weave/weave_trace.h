/* The schedule of one execution, written down only when it is replayed.
 *
 * Shape:   one line per operation: step, thread, file:line, operation, what was read and written
 */
#ifndef WEAVE_TRACE_H
#define WEAVE_TRACE_H

#include "weave.h"

struct weave_loc;

void weave_trace_begin(FILE *out); /* NULL: off */
bool weave_trace_on(void);

/* `loc` may be NULL; `note` is in the style of printf and says what the values were. */
void weave_trace(const struct weave_site *site, const struct weave_loc *loc, const char *note, ...)
    __attribute__((format(printf, 3, 4)));

/* A source path without the "../" that a build directory puts before it. */
const char *weave_trace_path(const char *file);

#endif
