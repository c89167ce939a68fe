/* The benchmarks, each in its own file. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct peer;

enum { OPTIONS_NAMES_MAX = 64 };

struct options {
    unsigned runs;
    uint64_t jobs;                            /* 0: what the benchmark takes */
    const char *only[OPTIONS_NAMES_MAX + 1];  /* benchmarks and scenarios; NULL-ended; empty: all */
    const char *peers[OPTIONS_NAMES_MAX + 1]; /* beside ours; NULL-ended; empty: all */
    bool tiny;                                /* milliseconds: does it work at all? */
};

struct bench {
    const char *name;
    const char *what;
    const char *const *scenarios; /* NULL-ended */
    void (*run)(const struct options *options);
};

extern const struct bench bench_e2e;
extern const struct bench bench_enqueue;
extern const struct bench bench_alloc;
extern const struct bench bench_idle;
extern const struct bench bench_footprint;
extern const struct bench bench_timers;
extern const struct bench bench_locks;
extern const struct bench bench_retries;
extern const struct bench bench_recurring;

/* Is it asked for? `BENCH`, `SCENARIO` and `BENCH/SCENARIO` name it; nothing named is all. */
bool bench_wants(const struct options *options, const char *bench, const char *scenario);
bool bench_wants_peer(const struct options *options, const struct peer *peer);

#endif
