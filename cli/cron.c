#include "cli/cron.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <tresque/cron.h>

#include "cli/fields.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/rfc3339.h"
#include "cli/say.h"
#include "cli/summary.h"
#include "cli/when.h"

const char tq_cron_help[] =
    "      --tz ZONE          by the clock of that zone, such as Europe/Berlin (default: UTC)\n"
    "      --from TIME        times after that, as \"at\" has them (default: now)\n"
    "  -n N                   so many (default: 5)\n";

enum { COUNT_DEFAULT = 5, COUNT_MAX = 100000, CARET_MAX = 200 };

enum { OPT_TZ = 256, OPT_FROM };

static const struct option long_options[] = {
    {"tz", required_argument, NULL, OPT_TZ},
    {"from", required_argument, NULL, OPT_FROM},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

struct cron {
    const char *expression;
    const char *zone; /* NULL: UTC */
    struct trq_wall from;
    size_t count;
    bool help;
};

/* ---- the words -------------------------------------------------------------------------------------- */

/* A number is what JSON calls one; all else shall be a date and time. */
static bool take_from(struct cron *cron, const char *text)
{
    char why[TQ_WHY_SIZE];
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!json_is_number(value)) {
        json_decref(value);
        value = json_string_nocheck(text);
    }
    const bool good = value && tq_when_wall(value, "--from", &cron->from, why);
    if (!good)
        tq_say("tresque cron: %s", value ? why : "out of memory");
    json_decref(value);
    return good;
}

static bool take_count(struct cron *cron, const char *text)
{
    long long n;
    if (!tq_options_number(text, 1, COUNT_MAX, &n)) {
        tq_say("tresque cron: -n takes a number from 1 to %d, not \"%s\"", COUNT_MAX, text);
        return false;
    }
    cron->count = (size_t)n;
    return true;
}

static bool take_expression(struct cron *cron, int argc, char **argv)
{
    if (optind == argc)
        tq_say("tresque cron: which expression? For instance: tresque cron '30 2 * * *'");
    else if (optind + 1 < argc)
        tq_say("tresque cron: one expression, and there is \"%s\" too; put it in quotes: "
               "tresque cron '30 2 * * *'",
               argv[optind + 1]);
    else
        cron->expression = argv[optind];
    return cron->expression != NULL;
}

static bool take_words(struct cron *cron, int argc, char **argv)
{
    opterr = 0;
    optind = 1;
    bool good = true;
    while (good && !cron->help) {
        const int option = getopt_long(argc, argv, ":n:h", long_options, NULL);
        if (option < 0)
            return take_expression(cron, argc, argv);
        if (option == OPT_TZ)
            cron->zone = optarg;
        else if (option == OPT_FROM)
            good = take_from(cron, optarg);
        else if (option == 'n')
            good = take_count(cron, optarg);
        else if (option == 'h')
            cron->help = true;
        else
            good = tq_options_refuse(argv[0], option, argv);
    }
    return good;
}

/* ---- what is wrong with it --------------------------------------------------------------------------- */

/* A caret below that byte of the line above it, which shows characters. */
static void point_at(const char *expression, size_t column)
{
    char spaces[CARET_MAX];
    size_t width = 0;
    if (!*expression || strlen(expression) > CARET_MAX)
        return;
    for (size_t i = 0; i + 1 < column && expression[i]; i++)
        if (((unsigned char)expression[i] & 0xC0) != 0x80)
            spaces[width++] = ' ';
    tq_say("  %s", expression);
    tq_say("  %.*s^", (int)width, spaces);
}

static int refuse(const struct cron *cron, const struct trq_error *error, int code)
{
    size_t column = 0;
    tq_say("tresque cron: %s", error->text);
    if (code == TRQ_EINVAL && trq_cron_check(cron->expression, &column, NULL) == TRQ_EINVAL)
        point_at(cron->expression, column);
    return code == TRQ_ENOMEM ? TQ_EXIT_BAD : TQ_EXIT_USAGE;
}

/* ---- the times --------------------------------------------------------------------------------------- */

static bool print_time(const struct cron *cron, struct trq_wall at)
{
    char text[TQ_RFC3339_SIZE];
    struct trq_span offset = {0};
    struct trq_error error;
    if (cron->zone && trq_zone_offset(cron->zone, at, &offset, &error) < 0) {
        tq_say("tresque cron: %s", error.text);
        return false;
    }
    tq_rfc3339_print(at, cron->zone ? &offset : NULL, text);
    puts(text);
    return true;
}

static int print_times(const struct cron *cron, struct trq_wall *times)
{
    struct trq_error error;
    const long n =
        trq_cron_list(cron->expression, cron->zone, cron->from, times, cron->count, &error);
    if (n < 0)
        return refuse(cron, &error, (int)n);
    for (long i = 0; i < n; i++)
        if (!print_time(cron, times[i]))
            return TQ_EXIT_BAD;
    if (!tq_summary_flush())
        return TQ_EXIT_BAD;
    if ((size_t)n < cron->count)
        tq_say("tresque cron: it does not fire %s before the year 2262", n ? "again" : "at all");
    return n ? TQ_EXIT_GOOD : TQ_EXIT_BAD;
}

int tq_cron(int argc, char **argv)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct cron cron = {.count = COUNT_DEFAULT, .from = trq_wall_seconds(now.tv_sec)};
    if (!take_words(&cron, argc, argv))
        return TQ_EXIT_USAGE;
    if (cron.help)
        return tq_help();
    struct trq_wall *times = calloc(cron.count, sizeof *times);
    if (!times) {
        tq_say("tresque cron: out of memory");
        return TQ_EXIT_BAD;
    }
    const int status = print_times(&cron, times);
    free(times);
    return status;
}
