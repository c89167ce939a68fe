#include "bench/measure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void bench_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("tresque-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t now_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t cpu_ns(void)
{
    return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}

void sleep_ns(int64_t ns)
{
    struct timespec t = {ns / 1000000000, ns % 1000000000};
    while (nanosleep(&t, &t) != 0 && errno == EINTR) {
    }
}

struct memory memory_now(void)
{
    struct memory m = {0};
    char line[256];
    FILE *f = fopen("/proc/self/smaps_rollup", "r");
    if (!f)
        bench_die("cannot read /proc/self/smaps_rollup");
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "Anonymous:", 10) == 0)
            m.anonymous = strtod(line + 10, NULL) * 1024;
        else if (strncmp(line, "Rss:", 4) == 0)
            m.rss = strtod(line + 4, NULL) * 1024;
    }
    fclose(f);
    return m;
}

double ticks_per_ns(void)
{
    static double known;
    if (known == 0) {
        int64_t t0 = now_ns();
        uint64_t c0 = ticks();
        sleep_ns(20000000);
        int64_t t1 = now_ns();
        known = (double)(ticks() - c0) / (double)(t1 - t0);
    }
    return known;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct summary summary_of(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    double median = count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
    return (struct summary){median, values[0], values[count - 1]};
}
