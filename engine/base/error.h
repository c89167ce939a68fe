/* Codes and the sentence in the caller's buffer. */
#ifndef TQ_BASE_ERROR_H
#define TQ_BASE_ERROR_H

#include <stdarg.h>

#include <tresque/value.h>

/* Fill *error (may be NULL) and return code, so that a failing function ends in one line. */
int tq_error(struct trq_error *error, int code, const char *format, ...) TRQ_PRINTF(3, 4);
int tq_verror(struct trq_error *error, int code, const char *format, va_list args) TRQ_PRINTF(3, 0);

#endif
