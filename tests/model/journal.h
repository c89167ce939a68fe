/* What has happened so far, and how to see it again. */
#ifndef TESTS_MODEL_JOURNAL_H
#define TESTS_MODEL_JOURNAL_H

#include <stdint.h>

/* A new seed: forget the lines. `replay` is what runs it again; borrowed. */
void journal_begin(uint64_t seed, const char *replay);
__attribute__((format(printf, 1, 2))) void journal(const char *format, ...);
/* The rules do not allow this: print the last lines and the way to replay, and end the program with JOURNAL_FAILED. */
__attribute__((format(printf, 1, 2), noreturn)) void journal_fail(const char *format, ...);

#define JOURNAL_MUST(cond, ...)                                                                    \
    do {                                                                                           \
        if (!(cond))                                                                               \
            journal_fail(__VA_ARGS__);                                                             \
    } while (0)

enum { JOURNAL_FAILED = 3 };

#endif
