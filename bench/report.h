/* Results: a table for people and JSON Lines for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/measure.h"

enum better { MORE_IS_BETTER, LESS_IS_BETTER };

/* The values of one implementation in one scenario, a run each. */
struct series {
    const char *impl;
    bool is_ours;
    double *values;
    double *cpu_us; /* per job; NULL: not measured */
    size_t runs;
};

struct scenario {
    const char *bench, *name;
    const char *title; /* for people */
    int threads;
    const char *unit;
    enum better better;
};

/* Also the machine, the compiler and the versions. json_path may be NULL. */
void report_open(const char *json_path);
/* Run r of each series was measured right after run r of the others, so ratios are of such pairs: the
 * median over runs. Without a series of ours there is none. */
void report_scenario(const struct scenario *scenario, const struct series *series, size_t count);
/* A figure that is counted, not timed, and what it must not exceed (negative: no such bound). */
void report_exact(const struct scenario *scenario, const char *impl, double value, double at_most);
void report_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A result that was wrong. The status of the program tells. */
void report_wrong(const char *bench, const char *scenario, const char *impl);
/* The program's exit status. */
int report_close(void);

#endif
