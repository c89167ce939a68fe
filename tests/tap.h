/* Checks for test programs that are plain programs: those that must also run under ThreadSanitizer,
 * where Criterion does not start. They print TAP, which the test runner counts.
 *
 *     TAP_OK(x == 1, "a claim, in words");
 *     return tap_done();
 *
 * Threads: TAP_OK and tap_note from any thread; tap_done when the others have ended.
 */
#ifndef TESTS_TAP_H
#define TESTS_TAP_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

static atomic_int tap_run, tap_failed;

/* The condition is an argument, and so cannot be torn apart by an operator of the macro. */
#define TAP_OK(cond, claim) tap_ok(!!(cond), (claim), #cond, __FILE__, __LINE__)

static inline bool tap_ok(bool good, const char *claim, const char *cond, const char *file,
                          int line)
{
    int n = atomic_fetch_add(&tap_run, 1) + 1;
    if (good) {
        printf("ok %d - %s\n", n, claim);
    } else {
        atomic_fetch_add(&tap_failed, 1);
        printf("not ok %d - %s\n# %s:%d: %s\n", n, claim, file, line, cond);
    }
    fflush(stdout); /* a crash right after must not swallow it */
    return good;
}

/* A remark for whoever reads the log: a seed, a count. */
__attribute__((format(printf, 1, 2))) static inline void tap_note(const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("# %s\n", text);
}

/* The plan, and the exit status of main. */
static inline int tap_done(void)
{
    printf("1..%d\n", atomic_load(&tap_run));
    return atomic_load(&tap_failed) != 0 || atomic_load(&tap_run) == 0;
}

#endif
