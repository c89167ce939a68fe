/* Cron expressions: what is read, what is refused and where, and when they fire; by golden data of npm's cron-parser and by
 * a walk through every minute. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tresque.h>

#include "engine/base/calendar.h"
#include "engine/core/cron.h"

#define S INT64_C(1000000000)

static struct tq_cron parsed(const char *expression)
{
    struct tq_cron cron;
    struct trq_error error = {0};
    cr_assert_eq(tq_cron_parse(&cron, expression, NULL, &error), 0, "%s", error.text);
    return cron;
}

static void is_same(const char *one, const char *other)
{
    const struct tq_cron a = parsed(one), b = parsed(other);
    cr_assert(a.seconds == b.seconds && a.minutes == b.minutes && a.hours == b.hours &&
                  a.days == b.days && a.months == b.months && a.weekdays == b.weekdays &&
                  a.either_day == b.either_day && a.counts_hours == b.counts_hours &&
                  a.every_hour == b.every_hour,
              "%s is not %s", one, other);
}

/* ---- reading ---------------------------------------------------------------------------------- */

Test(cron, fields_are_sets)
{
    const struct tq_cron cron = parsed("1,3 5-7,50/4 0-12/6 1 2 3");
    cr_assert_eq(cron.seconds, 1 << 1 | 1 << 3);
    cr_assert_eq(cron.minutes,
                 UINT64_C(7) << 5 | UINT64_C(1) << 50 | UINT64_C(1) << 54 | UINT64_C(1) << 58);
    cr_assert_eq(cron.hours, 1 | 1 << 6 | 1 << 12);
    cr_assert_eq(cron.days, 1 << 1);
    cr_assert_eq(cron.months, 1 << 2);
    cr_assert_eq(cron.weekdays, 1 << 3);
    cr_assert(cron.either_day);
}

Test(cron, many_ways_to_write_one_thing)
{
    is_same("0 0 1 2 * *", "0 1 2 * *");
    is_same(" 0\t1  2 * *\t", "0 1 2 * *");
    is_same("0 0 1 jan,Feb,MAR-dec *", "0 0 1 1,2,3-12 *");
    is_same("0 0 * * SUN", "0 0 * * 0");
    is_same("0 0 * * 7", "0 0 * * sun");
    is_same("0 0 * * FRI-SUN", "0 0 * * 5-7");
    is_same("0 0 * * 5-7", "0 0 * * 0,5,6");
    is_same("0 0 * * SUN-TUE", "0 0 * * 0-2");
    is_same("0 0 * * 1/2", "0 0 * * 0,1,3,5");
    is_same("0 0 ? * ?", "0 0 * * *");
    is_same("? ? * * *", "* * * * *");
    is_same("5/15 * * * *", "5,20,35,50 * * * *");
    is_same("*/60 * * * *", "0 * * * *");
    is_same("007 * * * *", "7 * * * *");
    is_same("*,5 * * * *", "* * * * *");
    is_same("3,3,1-4 * * * *", "1-4 * * * *");
    is_same("@yearly", "0 0 1 1 *");
    is_same("@annually", "0 0 1 1 *");
    is_same("@monthly", "0 0 1 * *");
    is_same("@weekly", "0 0 * * 0");
    is_same("@daily", "0 0 * * *");
    is_same(" @Midnight ", "0 0 * * *");
    is_same("@HOURLY", "0 * * * *");
}

/* Refused there, with a text that says so. */
static void refused(const char *expression, size_t column, const char *part)
{
    struct tq_cron cron = {.seconds = 77};
    struct trq_error error = {0};
    size_t at = 0;
    char where[32];
    snprintf(where, sizeof where, "column %zu:", column);
    cr_assert_eq(tq_cron_parse(&cron, expression, &at, &error), TRQ_EINVAL, "%s", expression);
    cr_assert_eq(error.code, TRQ_EINVAL);
    cr_assert_eq(at, column, "%s: %zu: %s", expression, at, error.text);
    cr_assert(strstr(error.text, where), "%s: %s", expression, error.text);
    cr_assert(strstr(error.text, part), "%s: %s", expression, error.text);
    cr_assert_eq(cron.seconds, 77, "untouched");
}

Test(cron, what_is_wrong_is_told_with_its_column)
{
    refused("", 1, "expected 5 fields, or 6 with seconds first, not 0");
    refused("   ", 4, "not 0");
    refused("* * * *", 8, "not 4");
    refused("* * * * * * *", 13, "expected the end");
    refused("60 * * * *", 1, "minute: expected 0 to 59, not 60");
    refused("60 * * * * *", 1, "second: expected 0 to 59");
    refused("* 24 * * *", 3, "hour: expected 0 to 23, not 24");
    refused("* * 0 * *", 5, "day of the month: expected 1 to 31, not 0");
    refused("* * 32 * *", 5, "not 32");
    refused("* * * 0 *", 7, "month: expected 1 to 12");
    refused("* * * 13 *", 7, "month: expected 1 to 12");
    refused("* * * * 8", 9, "day of the week: expected 0 to 7, not 8");
    refused("* * * * 99999999999999999999", 9, "not 999999...");
    refused("-1 * * * *", 1, "expected a number or *, not '-'");
    refused("1- * * * *", 3, "expected a number, not the end");
    refused("1-* * * * *", 3, "expected a number, not '*'");
    refused("1,,2 * * * *", 3, "expected a number or *, not ','");
    refused("1, * * * *", 3, "not the end of the field");
    refused("*/ * * * *", 3, "expected a step");
    refused("*/0 * * * *", 3, "expected a step of 1 to 60, not 0");
    refused("*/61 * * * *", 3, "expected a step of 1 to 60, not 61");
    refused("* */25 * * *", 5, "expected a step of 1 to 24");
    refused("*/2/3 * * * *", 4, "expected a comma or a space, not '/'");
    refused("** * * * *", 2, "not '*'");
    refused("5-2 * * * *", 1, "a range that grows");
    refused("* * * * FRI-MON", 9, "a range that grows");
    refused("1.5 * * * *", 2, "not '.'");
    refused("0x1 * * * *", 2, "not 'x'");
    refused("JAN * * * *", 1, "minute: expected a number or *, not 'J'");
    refused("* * * MON *", 7, "month: expected a number or a name such as JAN, not MON");
    refused("* * * January *", 7, "not January");
    refused("* * * * MO", 9, "not MO");
    refused("* * L * *", 5, "'L' (last, nearest, n-th, hashed) is not known");
    refused("* * 15W * *", 7, "'W' (last, nearest");
    refused("* * * * 5#2", 10, "'#' (last, nearest");
    refused("* * * * 5L", 10, "'L' (last, nearest");
    refused("* * * * MON#1", 12, "'#' (last, nearest");
    refused("H * * * *", 1, "'H' (last, nearest");
    refused("* * * * *\n", 10, "not '?'");
    refused("\x80 * * * *", 1, "not '?'");
    refused("@reboot", 1, "expected @yearly");
    refused("@daily 5", 1, "expected @yearly");
    refused("@dail", 1, "expected @yearly");
    refused("@", 1, "expected @yearly");
    char big[70000];
    memset(big, '1', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    refused(big, 1, "expected 0 to 59, not 111111...");
}

Test(cron, a_day_that_no_month_has_is_refused)
{
    refused("0 0 30 2 *", 5, "never fire");
    refused("0 0 0 30,31 FEB ?", 7, "never fire");
    refused("0 0 31 2,4,6,9,11 *", 5, "never fire");
    refused("0 0 30 2 */2", 5, "never fire");
    parsed("0 0 29 2 *");
    parsed("0 0 31 2,3 *");
    parsed("0 0 30 2 MON"); /* the Mondays */
}

/* ---- firing ----------------------------------------------------------------------------------- */

static int64_t utc(int64_t year, int month, int day, int hour, int minute, int second)
{
    return (tq_days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second) * S;
}

/* The next one after `after`, in that zone. */
static void fires(const char *expression, const char *zone, int64_t after, int64_t at)
{
    struct trq_wall next = {1};
    struct trq_error error = {0};
    const int result = trq_cron_next(expression, zone, (struct trq_wall){after}, &next, &error);
    cr_assert_eq(result, TRQ_OK, "%s: %s", expression, error.text);
    cr_assert_eq(next.ns, at, "%s: %lld s, not %lld", expression, (long long)(next.ns / S),
                 (long long)(at / S));
}

Test(cron, next_is_strictly_after)
{
    const int64_t noon = utc(2021, 5, 1, 12, 0, 0);
    fires("0 12 * * *", NULL, noon - 1, noon);
    fires("0 12 * * *", NULL, noon, noon + 86400 * S);
    fires("0 12 * * *", NULL, noon + 1, noon + 86400 * S);
    fires("* * * * * *", NULL, noon, noon + S);
    fires("* * * * * *", "UTC", noon - 1, noon);
    fires("0 0 1 1 *", NULL, utc(1969, 6, 1, 0, 0, 0), 0);
    fires("* * * * * *", NULL, -1, 0);
    fires("* * * * * *", NULL, -S, 0);
    fires("* * * * * *", NULL, INT64_MIN, -9223372036 * S);
}

Test(cron, days_of_month_and_week)
{
    const int64_t from = utc(2021, 5, 1, 0, 0, 0); /* a Saturday */
    fires("0 0 13 * *", NULL, from, utc(2021, 5, 13, 0, 0, 0));
    fires("0 0 * * FRI", NULL, from, utc(2021, 5, 7, 0, 0, 0));
    fires("0 0 13 * FRI", NULL, utc(2021, 5, 7, 0, 0, 0), utc(2021, 5, 13, 0, 0, 0));
    fires("0 0 13 * FRI", NULL, utc(2021, 5, 13, 0, 0, 0), utc(2021, 5, 14, 0, 0, 0));
    /* A star with a step is a star: both. */
    fires("0 0 */2 * SUN", NULL, utc(2021, 5, 2, 0, 0, 0), utc(2021, 5, 9, 0, 0, 0));
    fires("0 0 29 2 */7", NULL, from, utc(2032, 2, 29, 0, 0, 0));
    fires("0 0 29 2 *", NULL, utc(2096, 3, 1, 0, 0, 0), utc(2104, 2, 29, 0, 0, 0));
}

Test(cron, it_never_fires_beyond_the_end_of_time)
{
    struct trq_wall next = {1};
    fires("* * * * * *", NULL, INT64_MAX - S, INT64_MAX / S * S);
    cr_assert_eq(trq_cron_next("* * * * * *", NULL, (struct trq_wall){INT64_MAX}, &next, NULL),
                 TRQ_GONE);
    cr_assert_eq(trq_cron_next("0 0 1 5 *", "Europe/Berlin",
                               (struct trq_wall){utc(2262, 1, 1, 0, 0, 0)}, &next, NULL),
                 TRQ_GONE);
    cr_assert_eq(next.ns, 1, "untouched");
}

/* New York: on 2021-03-14 at 7:00 UTC the clock goes from 2:00 to 3:00, on 2021-11-07 at 6:00 from 2:00 back to 1:00. */
#define NEW_YORK "America/New_York"

Test(cron, what_is_skipped_comes_at_the_first_moment_after_the_gap)
{
    const int64_t before = utc(2021, 3, 14, 5, 30, 0), gap = utc(2021, 3, 14, 7, 0, 0);
    fires("30 2 * * *", NEW_YORK, before, gap);
    fires("30 2 * * *", NEW_YORK, gap, utc(2021, 3, 15, 6, 30, 0));
    fires("30 2 * * *", NEW_YORK, gap - 1, gap);
    fires("0 2,3 * * *", NEW_YORK, before, gap);
    fires("0 2,3 * * *", NEW_YORK, gap, utc(2021, 3, 15, 6, 0, 0));
    /* Many of them are one. */
    fires("*/5 2 * * *", NEW_YORK, before, gap);
    fires("*/5 2 * * *", NEW_YORK, gap, utc(2021, 3, 15, 6, 0, 0));
    fires("30 */2 * * *", NEW_YORK, before, gap);
    /* Every hour has one of its own. */
    fires("30 * * * *", NEW_YORK, utc(2021, 3, 14, 6, 30, 0), utc(2021, 3, 14, 7, 30, 0));
    fires("30 0-23 * * *", NEW_YORK, utc(2021, 3, 14, 6, 30, 0), utc(2021, 3, 14, 7, 30, 0));
}

Test(cron, what_is_repeated_fires_once_if_the_hour_is_named_and_twice_if_counted)
{
    const int64_t first = utc(2021, 11, 7, 5, 30, 0), second = utc(2021, 11, 7, 6, 30, 0);
    fires("30 1 * * *", NEW_YORK, utc(2021, 11, 7, 0, 0, 0), first);
    fires("30 1 * * *", NEW_YORK, first, utc(2021, 11, 8, 6, 30, 0));
    fires("30 1 * * *", NEW_YORK, second - 1, utc(2021, 11, 8, 6, 30, 0));
    fires("30 1-2 * * *", NEW_YORK, first, utc(2021, 11, 7, 7, 30, 0));
    fires("30 * * * *", NEW_YORK, first, second);
    fires("30 0-23 * * *", NEW_YORK, first, second);
    fires("30 1/2 * * *", NEW_YORK, first, second);
    fires("30 */1 * * *", NEW_YORK, first, second);
}

Test(cron, a_day_that_a_zone_skips)
{
    /* Samoa went over the date line: after the 29th of December 2011 came the 31st. */
    const int64_t skip = utc(2011, 12, 30, 10, 0, 0);
    fires("0 12 * * *", "Pacific/Apia", skip - 1, skip);
    fires("0 12 * * *", "Pacific/Apia", skip, utc(2011, 12, 30, 22, 0, 0));
    fires("0 * * * *", "Pacific/Apia", skip - 1, skip);
    fires("0 * * * *", "Pacific/Apia", skip, skip + 3600 * S);
}

Test(cron, a_day_that_a_zone_has_twice)
{
    /* Alaska came from the other side of it: in October 1867 its clock was put back by a day, in local mean time. When
     * exactly is for the tzdata to say, which still learns of such times. */
    struct tq_memory memory;
    struct tq_zone zone;
    struct trq_wall next[3];
    tq_memory_init(&memory, NULL);
    cr_assert_eq(tq_zone_load(&zone, &memory, NULL, "America/Juneau", NULL), 0);
    const int64_t change = tq_zone_at(&zone, -3300000000).until;
    cr_assert_eq(tq_zone_at(&zone, change - 1).offset - tq_zone_at(&zone, change).offset, 86400);
    tq_zone_unload(&zone);
    cr_assert_eq(trq_cron_list("0 12 * * *", "America/Juneau",
                               (struct trq_wall){(change - 24 * 3600) * S}, next, 3, NULL),
                 3);
    /* Once, in the first of the two days of one date. */
    cr_assert_lt(next[0].ns, change * S);
    cr_assert_eq(next[1].ns - next[0].ns, 2 * 86400 * S);
    cr_assert_eq(next[2].ns - next[1].ns, 86400 * S);
    /* Every hour is every hour. */
    cr_assert_eq(trq_cron_list("30 * * * *", "America/Juneau",
                               (struct trq_wall){(change - 1800) * S}, next, 3, NULL),
                 3);
    cr_assert_eq(next[2].ns - next[0].ns, 2 * 3600 * S);
}

/* ---- golden data ------------------------------------------------------------------------------ */

struct golden {
    char zone_name[64];
    struct tq_zone zone;
    int64_t change, from, unit;
    int lines, zones, differ[128];
    int64_t total;
};

/* Minutes or seconds from one to the next; what is asked for are all until the end of the window. */
static void firings_are(struct golden *g, const char *expression, const char *list)
{
    const struct tq_cron cron = parsed(expression);
    const int64_t from = g->change + g->from;
    const int64_t until = from + (strcmp(g->zone_name, "UTC") == 0 ? 3637 : 5) * INT64_C(86400);
    int64_t wanted = tq_floor_div(from, 60) * 60, at = from * S;
    char *end;
    int count = 0;
    for (; *list && *list != '-'; list = end + (*end == ' '), count++) {
        wanted += strtoll(list, &end, 10) * g->unit;
        at = tq_cron_next(&cron, &g->zone, at);
        cr_expect_eq(at, wanted * S, "%s, %s, firing %d after %lld: %lld, not %lld", g->zone_name,
                     expression, count + 1, (long long)from, (long long)(at / S),
                     (long long)wanted);
        if (at != wanted * S)
            return;
        g->total++;
    }
    if (count < 6)
        cr_expect_geq(tq_cron_next(&cron, &g->zone, at), until * S, "%s, %s after %lld: one more",
                      g->zone_name, expression, (long long)from);
}

static void golden_line(struct golden *g, char *line)
{
    long long number;
    char name[64];
    if (sscanf(line, "zone %63s %lld", name, &number) == 2) {
        struct tq_memory memory;
        struct trq_error error = {0};
        if (strcmp(name, g->zone_name) != 0) {
            tq_memory_init(&memory, NULL);
            tq_zone_unload(&g->zone);
            cr_assert_eq(tq_zone_load(&g->zone, &memory, NULL, name, &error), 0, "%s", error.text);
            memcpy(g->zone_name, name, sizeof name);
            g->zones++;
        }
        g->change = number;
        return;
    }
    g->from = strtoll(strsep(&line, "\t"), NULL, 10);
    const char *expression = strsep(&line, "\t");
    const char *list = strsep(&line, "\t");
    cr_assert(expression && list);
    int spaces = 0;
    for (const char *c = expression; *c; c++)
        spaces += *c == ' ';
    g->unit = spaces == 5 ? 1 : 60;
    firings_are(g, expression, list);
    g->lines++;
    g->differ[line ? *line & 127 : 0]++;
}

Test(cron, it_fires_as_the_golden_data_say)
{
    struct golden g = {.zone_name = ""};
    char line[1000];
    const char *directory = getenv("GOLDEN");
    snprintf(line, sizeof line, "%s/cron.txt", directory ? directory : "tests/golden");
    FILE *file = fopen(line, "re");
    cr_assert(file, "%s", line);
    tq_memory_init(&g.zone.memory, NULL);
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (line[0] != '#')
            golden_line(&g, line);
    }
    fclose(file);
    tq_zone_unload(&g.zone);
    cr_assert_geq(g.lines, 2500);
    cr_assert_geq(g.zones, 30);
    cr_assert_geq(g.total, 10000);
    cr_assert_geq(g.differ[0], 2000, "cron-parser agrees");
    cr_assert_eq(g.differ[0] + g.differ['F'] + g.differ['B'] + g.differ['M'] + g.differ['S'] +
                     g.differ['H'],
                 g.lines, "each disagreement is explained");
}

/* ---- against a walk --------------------------------------------------------------------------- */

static uint64_t seed = 20260727;
static int chance(int n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((seed >> 33) % (uint64_t)n);
}

/* By the definition: each second of the zone's clock, one by one, from well before the first change. */
static int64_t walk(const struct tq_cron *cron, const struct tq_zone *zone, int64_t start,
                    int64_t after, int64_t until)
{
    int64_t shown = INT64_MIN; /* all before it has been shown */
    for (int64_t at = start; at < until; at++) {
        const int64_t clock = at + tq_zone_at(zone, at).offset;
        bool due = false;
        if (shown != INT64_MIN && !cron->every_hour)
            for (int64_t skipped = shown; skipped < clock && !due; skipped++)
                due = tq_cron_match(cron, skipped) == skipped;
        if (cron->counts_hours || clock >= shown)
            due = due || tq_cron_match(cron, clock) == clock;
        if (clock >= shown)
            shown = clock + 1;
        if (due && at > after)
            return at * S;
    }
    return TQ_CRON_NEVER;
}

/* A zone of two or three changes within hours, which no law would make. */
static void odd_zone(struct tq_zone *zone, unsigned char *file, int64_t middle)
{
    memset(zone, 0, sizeof *zone);
    zone->file = file;
    zone->time_count = 3;
    zone->time_size = 8;
    zone->type_count = 4;
    zone->times = file;
    zone->types = file + 24;
    zone->infos = file + 27;
    int64_t at = middle;
    for (int i = 0; i < 3; i++) {
        for (int b = 0; b < 8; b++)
            file[8 * i + b] = (unsigned char)((uint64_t)at >> (56 - 8 * b));
        file[24 + i] = (unsigned char)chance(4);
        at += 1 + chance(6 * 3600);
    }
    for (int i = 0; i < 4; i++) {
        const int32_t offset = (chance(9) - 4) * 1800 + (chance(4) ? 0 : chance(4000) - 2000);
        for (int b = 0; b < 4; b++)
            file[27 + 6 * i + b] = (unsigned char)((uint32_t)offset >> (24 - 8 * b));
    }
}

static void some_hours(char *out, size_t size)
{
    const int one = chance(12), other = 12 + chance(12);
    switch (chance(7)) {
    case 0:
        snprintf(out, size, "*");
        break;
    case 1:
        snprintf(out, size, "*/3");
        break;
    case 2:
        snprintf(out, size, "%d", one);
        break;
    case 3:
        snprintf(out, size, "%d,%d", one, other);
        break;
    case 4:
        snprintf(out, size, "%d-23", one);
        break;
    case 5:
        snprintf(out, size, "0-23");
        break;
    default:
        snprintf(out, size, "%d/2", one);
    }
}

Test(cron, it_fires_as_a_walk_through_every_second_says)
{
    for (int round = 0; round < 300; round++) {
        const int64_t middle = 1600000000 + chance(86400);
        unsigned char file[27 + 24] = {0};
        struct tq_zone zone;
        char hour[32], expression[100];
        odd_zone(&zone, file, middle);
        some_hours(hour, sizeof hour);
        snprintf(expression, sizeof expression, "%s %s%d %s * * *", chance(2) ? "0" : "*/7",
                 chance(2) ? "*/" : "", 1 + chance(50), hour);
        const struct tq_cron cron = parsed(expression);
        int64_t at = middle - 1 - chance(7200);
        const int64_t until = middle + 8 * 3600;
        for (int i = 0; i < 3 && at < until; i++) {
            const int64_t wanted = walk(&cron, &zone, middle - 12 * 3600, at, until);
            const int64_t next = tq_cron_next(&cron, &zone, at * S);
            if (wanted == TQ_CRON_NEVER)
                cr_assert_geq(next, until * S, "round %d: %s", round, expression);
            else
                cr_assert_eq(next, wanted, "round %d: %s after %lld: %lld, not %lld", round,
                             expression, (long long)at, (long long)(next / S),
                             (long long)(wanted / S));
            at = next / S;
        }
    }
}

/* ---- anything at all --------------------------------------------------------------------------- */

/* A field of anything, mostly of what fields are made of. */
static size_t some_text(char *out, size_t room)
{
    static const char *const parts[] = {"*",  "?",   "/",     "-",           ",",   "0",  "5", "7",
                                        "12", "23",  "31",    "59",          "60",  "L",  "W", "#",
                                        "H",  "JAN", "sun",   "FRI",         " ",   " ",  " ", " ",
                                        "\t", "@",   "daily", "99999999999", "*/5", "1-4"};
    size_t size = 0;
    for (int n = chance(24); n > 0 && size + 16 < room; n--) {
        const char *part = parts[chance((int)(sizeof parts / sizeof *parts))];
        if (chance(40))
            size += (size_t)snprintf(out + size, room - size, "%s", part);
        else
            out[size++] = (char)(1 + chance(255));
    }
    out[size] = '\0';
    return size;
}

Test(cron, any_text_is_read_or_refused_in_a_column_of_it)
{
    int read = 0, given_back = 0;
    for (int round = 0; round < 200000; round++) {
        char text[128];
        const size_t size = chance(3)
                                ? some_text(text, sizeof text)
                                : (size_t)snprintf(text, sizeof text, "*/%d %d-%d ? * %d",
                                                   chance(70), chance(30), chance(30), chance(9));
        /* Of its own, so that a look beyond its end is seen. */
        char *expression = malloc(size + 1);
        struct tq_cron cron;
        struct trq_error error = {0};
        size_t column = 0;
        memcpy(expression, text, size + 1);
        if (tq_cron_parse(&cron, expression, &column, &error) < 0) {
            given_back++;
            cr_assert(column >= 1 && column <= size + 1, "%s: %zu", expression, column);
            cr_assert(error.code == TRQ_EINVAL && strstr(error.text, "column"));
        } else {
            read++;
            const struct tq_zone utc_zone = {.file = NULL};
            const int64_t next = tq_cron_next(&cron, &utc_zone, 0);
            cr_assert(next > 0, "%s", expression);
            if (next != TQ_CRON_NEVER)
                cr_assert_eq(tq_cron_match(&cron, next / S) * S, next, "%s", expression);
        }
        free(expression);
    }
    cr_assert(read > 100 && given_back > 100, "%d %d", read, given_back);
}

/* ---- the calls -------------------------------------------------------------------------------- */

Test(cron, a_list_is_next_after_next)
{
    struct trq_wall all[20], at = {utc(2021, 3, 13, 0, 0, 0)};
    cr_assert_eq(trq_cron_list("*/40 1-3 * * *", NEW_YORK, at, all, 20, NULL), 20);
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(trq_cron_next("*/40 1-3 * * *", NEW_YORK, at, &at, NULL), TRQ_OK);
        cr_assert_eq(at.ns, all[i].ns);
    }
    cr_assert_eq(trq_cron_list("* * * * *", NULL, at, NULL, 0, NULL), 0);
    at.ns = INT64_MAX - 100 * S;
    cr_assert_eq(trq_cron_list("* * * * *", NULL, at, all, 20, NULL), 2);
}

Test(cron, calls_that_cannot_be_right)
{
    struct trq_wall at = {5};
    struct trq_span offset = {5};
    struct trq_error error = {0};
    size_t column = 7;
    cr_assert_eq(trq_cron_next(NULL, NULL, at, &at, &error), TRQ_EINVAL);
    cr_assert_eq(trq_cron_next("* * * * *", NULL, at, NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_cron_list("* * * * *", NULL, at, NULL, 1, &error), TRQ_EINVAL);
    cr_assert_eq(trq_cron_list(NULL, NULL, at, &at, 1, &error), TRQ_EINVAL);
    cr_assert_eq(trq_cron_check(NULL, NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_zone_offset(NULL, at, NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_cron_next("* * * *", NULL, at, &at, &error), TRQ_EINVAL);
    cr_assert(strstr(error.text, "column 8"));
    cr_assert_eq(trq_cron_next("* * * * *", "Mars/Olympus", at, &at, &error), TRQ_EUNKNOWN);
    cr_assert(strstr(error.text, "Mars/Olympus"));
    cr_assert_eq(error.code, TRQ_EUNKNOWN);
    cr_assert_eq(trq_zone_offset("Mars/Olympus", at, &offset, NULL), TRQ_EUNKNOWN);
    cr_assert_eq(trq_cron_check("* x * * *", &column, NULL), TRQ_EINVAL);
    cr_assert_eq(column, 3);
    column = 7;
    cr_assert_eq(trq_cron_check("* 5 * * *", &column, NULL), TRQ_OK);
    cr_assert(column == 7 && at.ns == 5 && offset.ns == 5, "untouched");
}

Test(cron, the_offset_of_a_zone)
{
    struct trq_span offset;
    cr_assert_eq(
        trq_zone_offset(NEW_YORK, (struct trq_wall){utc(2021, 3, 14, 7, 0, 0) - 1}, &offset, NULL),
        TRQ_OK);
    cr_assert_eq(offset.ns, -5 * 3600 * S);
    cr_assert_eq(
        trq_zone_offset(NEW_YORK, (struct trq_wall){utc(2021, 3, 14, 7, 0, 0)}, &offset, NULL),
        TRQ_OK);
    cr_assert_eq(offset.ns, -4 * 3600 * S);
    cr_assert_eq(trq_zone_offset(NULL, (struct trq_wall){0}, &offset, NULL), TRQ_OK);
    cr_assert_eq(offset.ns, 0);
}
