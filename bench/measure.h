/* Clocks, and what is made of several runs. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What cannot be measured must not look like a figure: says why and ends with status 2. */
#ifdef __cplusplus
[[noreturn]]
#else
_Noreturn
#endif
void bench_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

int64_t now_ns(void);
int64_t cpu_ns(void); /* of all threads of the process, in user and kernel mode */
void sleep_ns(int64_t ns);

/* Of this process, bytes. `Anonymous` was written by it; `Rss` holds pages of code, too. */
struct memory {
    double anonymous, rss;
};
struct memory memory_now(void);

/* The finest clock there is: for single calls. */
static inline uint64_t ticks(void)
{
#if defined __x86_64__
    uint32_t low, high;
    /* Ordered against the loads before it, not more: what is measured is a call among others. */
    __asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
#else
    return (uint64_t)now_ns();
#endif
}
double ticks_per_ns(void);

struct summary {
    double median, min, max;
};
/* Of count >= 1 values, which it puts in order. */
struct summary summary_of(double *values, size_t count);

#ifdef __cplusplus
}
#endif

#endif
