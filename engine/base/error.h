/* Codes and the sentence in the caller's buffer. */
#ifndef TQ_BASE_ERROR_H
#define TQ_BASE_ERROR_H

#include <stdarg.h>

#include <tresque/value.h>

/* Fill *error, which may be NULL. */
void tq_error_set(struct trq_error *error, int code, const char *format, ...) TRQ_PRINTF(3, 4);
void tq_error_setv(struct trq_error *error, int code, const char *format, va_list args)
    TRQ_PRINTF(3, 0);
/* A text as it is, and cut. */
void tq_error_text(struct trq_error *error, int code, const char *text);

static inline int tq_error_code_(int code)
{
    return code;
}
/* Fill *error and be `code`, so that a failing function ends in one line: return tq_error(error, TRQ_ENOMEM, "...").
 * A macro, so that an analyser sees which code it is. */
#define tq_error(error, code, ...)                                                                 \
    (tq_error_set((error), (code), __VA_ARGS__), tq_error_code_(code))

#endif
