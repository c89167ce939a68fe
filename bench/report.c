#include "bench/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <tresque/version.h>

#include "bench/peer.h"

static FILE *json;
static int wrong_count, missed_count;

/* ---- the machine ----------------------------------------------------------------------------------- */

/* "model name : X" of /proc/cpuinfo. */
static void cpu_model(char *text, size_t size)
{
    snprintf(text, size, "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            colon[strcspn(colon, "\n")] = '\0';
            snprintf(text, size, "%s", colon + 2);
            break;
        }
    }
    if (f)
        fclose(f);
}

static void print_machine(void)
{
    char model[200];
    struct utsname os;
    double load = 0;
    cpu_model(model, sizeof model);
    uname(&os);
    if (getloadavg(&load, 1) != 1)
        load = NAN;
    printf("machine   %s, %ld cores, %s %s, load %.2f\n", model, sysconf(_SC_NPROCESSORS_ONLN),
           os.sysname, os.release, load);
#ifdef __clang__
    printf("compiler  %s\n", __VERSION__);
#else
    printf("compiler  gcc %s\n", __VERSION__);
#endif
#ifndef NDEBUG
    printf("          WITH ASSERTIONS: not a release build, the figures say little\n");
#endif
    printf("tresque   %s\n", trq_version());
    for (size_t i = 0; peers[i]; i++)
        if (!(peers[i]->can & PEER_OURS))
            printf("%s %s\n", i == 1 ? "peers    " : "         ", peers[i]->what);
    if (peers_left_out[0])
        printf("left out  %s: not found when this was built\n", peers_left_out);
}

void report_open(const char *json_path)
{
    if (json_path && !(json = fopen(json_path, "w")))
        bench_die("cannot write %s", json_path);
    print_machine();
    fflush(stdout);
}

int report_close(void)
{
    if (json && fclose(json) != 0)
        bench_die("cannot write all of the JSON");
    if (missed_count)
        printf("\n%d exact figure%s above what is wanted\n", missed_count,
               missed_count == 1 ? "" : "s");
    if (wrong_count)
        printf("\n%d WRONG RESULT%s\n", wrong_count, wrong_count == 1 ? "" : "S");
    return wrong_count != 0;
}

/* ---- results ----------------------------------------------------------------------------------------- */

static void json_number(const char *key, double value)
{
    if (isfinite(value))
        fprintf(json, ",\"%s\":%.9g", key, value);
    else
        fprintf(json, ",\"%s\":null", key);
}

/* All strings are our own names and need no escapes. */
static void json_line(const struct scenario *s, const char *impl, struct summary v, double ratio,
                      double cpu_us)
{
    if (!json)
        return;
    fprintf(json,
            "{\"bench\":\"%s\",\"scenario\":\"%s\",\"impl\":\"%s\",\"threads\":%d,\"unit\":\"%s\"",
            s->bench, s->name, impl, s->threads, s->unit);
    json_number("median", v.median);
    json_number("min", v.min);
    json_number("max", v.max);
    json_number("ratio", ratio);
    if (isfinite(cpu_us))
        json_number("cpu_us", cpu_us);
    fputs("}\n", json);
    fflush(json);
}

static double *copy_of(const double *values, size_t count)
{
    double *copy = malloc(count * sizeof *copy);
    if (!copy)
        bench_die("out of memory");
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

static struct summary summary_of_copy(const double *values, size_t count)
{
    double *copy = copy_of(values, count);
    struct summary s = summary_of(copy, count);
    free(copy);
    return s;
}

/* How many times better ours is, pair by pair. */
static struct summary ratio_of(const struct scenario *scenario, const struct series *ours,
                               const struct series *peer)
{
    double *ratios = copy_of(ours->values, ours->runs);
    for (size_t r = 0; r < ours->runs; r++)
        ratios[r] = scenario->better == MORE_IS_BETTER ? ours->values[r] / peer->values[r]
                                                       : peer->values[r] / ours->values[r];
    struct summary s = summary_of(ratios, ours->runs);
    free(ratios);
    return s;
}

static int digits(double value)
{
    return value >= 1000 ? 0 : value >= 100 ? 1 : 2;
}

static void print_title(const struct scenario *s)
{
    printf("\n%s %s: %s; %s, %s is better\n", s->bench, s->name, s->title, s->unit,
           s->better == MORE_IS_BETTER ? "more" : "less");
}

void report_scenario(const struct scenario *scenario, const struct series *series, size_t count)
{
    const struct series *ours = NULL;
    for (size_t i = 0; i < count; i++)
        if (series[i].is_ours)
            ours = &series[i];
    print_title(scenario);
    for (size_t i = 0; i < count; i++) {
        const struct series *s = &series[i];
        struct summary v = summary_of_copy(s->values, s->runs);
        struct summary ratio = {NAN, NAN, NAN};
        double cpu_us = NAN;
        char range[64];
        snprintf(range, sizeof range, "[%.*f-%.*f]", digits(v.min), v.min, digits(v.max), v.max);
        printf("  %-16s %8.*f %-17s", s->impl, digits(v.median), v.median, range);
        if (s->cpu_us) {
            cpu_us = summary_of_copy(s->cpu_us, s->runs).median;
            printf("  %6.3f CPU us/job", cpu_us);
        }
        if (ours && ours != s) {
            ratio = ratio_of(scenario, ours, s);
            printf("  ours %.2fx [%.2f-%.2f]", ratio.median, ratio.min, ratio.max);
        } else if (ours) {
            ratio.median = 1;
        }
        putchar('\n');
        json_line(scenario, s->impl, v, ratio.median, cpu_us);
    }
    fflush(stdout);
}

void report_exact(const struct scenario *scenario, const char *impl, double value, double at_most)
{
    printf("%s %s: %s: %s %.*f %s", scenario->bench, scenario->name, scenario->title, impl,
           value == floor(value) ? 0 : 1, value, scenario->unit);
    if (at_most >= 0) {
        printf(" (wanted: at most %.6g): %s", at_most, value <= at_most ? "good" : "MISSED");
        missed_count += value > at_most;
    }
    putchar('\n');
    fflush(stdout);
    json_line(scenario, impl, (struct summary){value, value, value}, NAN, NAN);
}

void report_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void report_wrong(const char *bench, const char *scenario, const char *impl)
{
    printf("%s %s: %s: WRONG RESULT: a job was lost, ran twice, or had other inputs\n", bench,
           scenario, impl);
    fflush(stdout);
    wrong_count++;
}
