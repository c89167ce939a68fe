/* Times as RFC 3339 writes them, against gmtime of the C library. */
#include <stdlib.h>
#include <time.h>

#include "cli/rfc3339.h"
#include "tests/tap.h"

#define S INT64_C(1000000000)

/* In memory of exactly its size, so that a read beyond it is seen. */
static const char *parse(const char *text, struct trq_wall *out)
{
    const size_t size = strlen(text);
    char *copy = malloc(size + (size == 0));
    if (!copy)
        abort();
    memcpy(copy, text, size);
    const char *fault = tq_rfc3339_parse((struct trq_str){copy, size}, out);
    free(copy);
    return fault;
}

static bool is(const char *text, int64_t ns)
{
    struct trq_wall when = {1};
    const char *fault = parse(text, &when);
    if (fault || when.ns != ns)
        tap_note("%s: %s, %lld", text, fault ? fault : "taken", (long long)when.ns);
    return !fault && when.ns == ns;
}

static bool is_refused(const char *text, const char *part)
{
    struct trq_wall when = {1};
    const char *fault = parse(text, &when);
    if (!fault || !strstr(fault, part) || when.ns != 1)
        tap_note("%s: %s, %lld", text, fault ? fault : "taken", (long long)when.ns);
    return fault && strstr(fault, part) && when.ns == 1;
}

static void what_is_taken(void)
{
    TAP_OK(is("1970-01-01T00:00:00Z", 0), "the epoch");
    TAP_OK(is("1970-01-01t00:00:00z", 0), "T and Z may be small");
    TAP_OK(is("1970-01-01 00:00:00Z", 0), "a space may stand between date and time");
    TAP_OK(is("1985-04-12T23:20:50.52Z", 482196050 * S + 520000000), "the RFC's first example");
    TAP_OK(is("1996-12-19T16:39:57-08:00", 851042397 * S), "its second");
    TAP_OK(is("1937-01-01T12:00:27.87+00:20", -1041337173 * S + 870000000), "its last");
    TAP_OK(is("2026-12-31T23:59:59+23:59", 1798761599 * S - 86340 * S), "the largest offset");
    TAP_OK(is("2026-12-31T23:59:59-23:59", 1798761599 * S + 86340 * S), "the smallest");
    TAP_OK(is("2026-12-31T23:59:59-00:00", 1798761599 * S), "-00:00 is UTC");
    TAP_OK(is("2024-02-29T00:00:00Z", 1709164800 * S), "a leap day");
    TAP_OK(is("2000-02-29T00:00:00Z", 951782400 * S), "that of a century of four");
}

static void fractions(void)
{
    TAP_OK(is("1970-01-01T00:00:01.000000001Z", S + 1), "nine digits are nanoseconds");
    TAP_OK(is("1970-01-01T00:00:01.9Z", S + 900000000), "one is a tenth");
    TAP_OK(is("1970-01-01T00:00:01.0000000000000000000000000000000Z", S), "many zeros are nothing");
    TAP_OK(is("1970-01-01T00:00:01.0000000000000000001Z", S + 1), "more digits round up");
    TAP_OK(is("1970-01-01T00:00:01.99999999999Z", 2 * S), "into the next second");
    TAP_OK(is("1969-12-31T23:59:59.25Z", -750000000), "before the epoch they count forward, too");
    TAP_OK(is_refused("1970-01-01T00:00:01.Z", "must be"), "a point asks for digits");
    TAP_OK(is_refused("1970-01-01T00:00:01,5Z", "must be"), "a comma is none");
}

static void ends_of_the_range(void)
{
    TAP_OK(is("2262-04-11T23:47:16.854775807Z", INT64_MAX), "the last nanosecond of 64 bits");
    TAP_OK(is("2262-04-11T23:47:16.854775808Z", INT64_MAX), "the next is the same");
    TAP_OK(is("2262-04-11T23:47:17Z", INT64_MAX), "and what comes later");
    TAP_OK(is("9999-12-31T23:59:59.999999999999-23:59", INT64_MAX), "up to the last of all");
    TAP_OK(is("1677-09-21T00:12:44Z", -9223372036 * S), "the first second of 64 bits");
    TAP_OK(is("1677-09-21T00:12:43Z", INT64_MIN), "the one before is their beginning");
    TAP_OK(is("0000-01-01T00:00:00+23:59", INT64_MIN), "down to the first of all");
}

static void what_there_is_not(void)
{
    TAP_OK(is_refused("2026-00-01T00:00:00Z", "month"), "month 0");
    TAP_OK(is_refused("2026-13-01T00:00:00Z", "month"), "month 13");
    TAP_OK(is_refused("2026-01-00T00:00:00Z", "day"), "day 0");
    TAP_OK(is_refused("2026-01-32T00:00:00Z", "day"), "January 32nd");
    TAP_OK(is_refused("2026-04-31T00:00:00Z", "day"), "April 31st");
    TAP_OK(is_refused("2026-02-29T00:00:00Z", "day"), "February 29th of a common year");
    TAP_OK(is_refused("2100-02-29T00:00:00Z", "day"), "of a century");
    TAP_OK(is_refused("2026-01-01T24:00:00Z", "hour"), "hour 24");
    TAP_OK(is_refused("2026-01-01T23:60:00Z", "minute"), "minute 60");
    TAP_OK(is_refused("2026-12-31T23:59:60Z", "leap seconds"), "second 60");
    TAP_OK(is_refused("1990-12-31T23:59:60Z", "leap seconds"), "that of a true leap second, too");
    TAP_OK(is_refused("2026-01-01T00:00:00+24:00", "offset"), "offset 24:00");
    TAP_OK(is_refused("2026-01-01T00:00:00+01:60", "offset"), "offset 01:60");
}

static void other_forms(void)
{
    static const char *const texts[] = {
        "",
        "tomorrow",
        "2026-01-01",
        "2026-01-01T00:00Z",
        "2026-1-1T00:00:00Z",
        "26-01-01T00:00:00Z",
        "02026-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "+2026-01-01T00:00:00Z",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "2026-001T00:00:00Z",
        "2026/01/01T00:00:00Z",
        "2026-01-01_00:00:00Z",
        "2026-01-01  00:00:00Z",
        " 2026-01-01T00:00:00Z",
        "2026-01-01T00:00:00 Z",
        "2026-01-01T00:00:00Z ",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00UTC",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+01",
        "2026-01-01T00:00:00+01:00:00",
        "2026-01-01T00:00:00+1:00",
        "2026-01-01T00:00:00+-1:00",
        "2026-01-01T 0:00:00Z",
        "2026-01-01T00:00:00.5.5Z",
        "1767225600",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        TAP_OK(is_refused(texts[i], "such as 2026-12-31T23:59:59Z"), texts[i]);
    TAP_OK(is_refused("2026-01-01T00:00:00", "no offset"), "one without an offset");
    TAP_OK(is_refused("2026-01-01T00:00:00.5", "no offset"), "also after a fraction");

    struct trq_wall when = {1};
    const struct trq_str with_zero = {"2026-01-01T00:00:00Z\0", 21};
    TAP_OK(tq_rfc3339_parse(with_zero, &when) && when.ns == 1, "a zero byte at the end");
    const struct trq_str zero_for_t = {"2026-01-01\00000:00:00Z", 20};
    TAP_OK(tq_rfc3339_parse(zero_for_t, &when) && when.ns == 1, "a zero byte inside");
}

/* A beginning of a good text is none, whatever its length. */
static void beginnings(void)
{
    const char whole[] = "2026-12-31T23:59:59.123+01:00";
    bool all_refused = true;
    for (size_t size = 0; size < sizeof whole - 1; size++) {
        char part[sizeof whole];
        struct trq_wall when;
        memcpy(part, whole, size);
        part[size] = '\0';
        all_refused = all_refused && parse(part, &when);
    }
    TAP_OK(all_refused, "a beginning is refused");
}

/* Seconds from first to last that are not taken as gmtime names them. */
static int wrong_between(int64_t first, int64_t last, int64_t step)
{
    int wrong = 0;
    for (int64_t second = first; second <= last; second += step) {
        const time_t time = second;
        struct tm tm;
        char text[80];
        struct trq_wall when;
        if (!gmtime_r(&time, &tm))
            abort();
        snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
                 tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        if (parse(text, &when) || when.ns != trq_seconds(second).ns)
            wrong++;
    }
    return wrong;
}

/* The calendar comes round in 400 years. The step goes through the hours of the day as well. */
static void against_gmtime(void)
{
    const int64_t first = -62167219200; /* 0000-01-01T00:00:00Z */
    const int64_t last = 253402300799;  /* 9999-12-31T23:59:59Z */
    const int64_t day = 86400;
    TAP_OK(wrong_between(-146097 * day, 146097 * day, day + 7) == 0,
           "800 years day by day are those of gmtime");
    TAP_OK(wrong_between(first, last, 31 * day + 7) == 0, "10,000 years month by month, too");
    TAP_OK(wrong_between(last, last, 1) == 0, "to the last second");
}

static bool prints(int64_t ns, const int64_t *offset_s, const char *expected)
{
    char text[TQ_RFC3339_SIZE];
    const struct trq_span offset = trq_seconds(offset_s ? *offset_s : 0);
    tq_rfc3339_print((struct trq_wall){ns}, offset_s ? &offset : NULL, text);
    if (strcmp(text, expected) != 0)
        tap_note("%s, not %s", text, expected);
    return strcmp(text, expected) == 0;
}
#define AHEAD(seconds) (&(const int64_t){seconds})

static void what_is_printed(void)
{
    TAP_OK(prints(0, NULL, "1970-01-01T00:00:00Z"), "the epoch");
    TAP_OK(prints(-1, NULL, "1969-12-31T23:59:59Z"), "a fraction belongs to its second");
    TAP_OK(prints(S - 1, NULL, "1970-01-01T00:00:00Z"), "on both sides");
    TAP_OK(prints(0, AHEAD(0), "1970-01-01T00:00:00+00:00"), "an offset of nothing");
    TAP_OK(prints(0, AHEAD(20700), "1970-01-01T05:45:00+05:45"), "one ahead");
    TAP_OK(prints(0, AHEAD(-12600), "1969-12-31T20:30:00-03:30"), "one behind");
    TAP_OK(prints(0, AHEAD(-60), "1969-12-31T23:59:00-00:01"), "a minute behind");
    TAP_OK(prints(0, AHEAD(-2670), "1969-12-31T23:16:00-00:44"),
           "seconds of an offset are rounded");
    TAP_OK(prints(0, AHEAD(3208), "1970-01-01T00:53:00+00:53"), "to the nearest minute");
    TAP_OK(prints(INT64_MIN, AHEAD(-86340), "1677-09-20T00:13:43-23:59"), "the first of all");
    TAP_OK(prints(INT64_MAX, AHEAD(86340), "2262-04-12T23:46:16+23:59"), "the last of all");
}

static int wrong_again_between(int64_t first, int64_t last, int64_t step)
{
    int wrong = 0;
    for (int64_t second = first; second <= last; second += step) {
        char text[TQ_RFC3339_SIZE];
        struct trq_wall when;
        const struct trq_span offset = trq_minutes(second % 1439);
        tq_rfc3339_print(trq_wall_seconds(second), &offset, text);
        if (parse(text, &when) || when.ns != trq_seconds(second).ns)
            wrong++;
    }
    return wrong;
}

/* The parser is held against gmtime above, and this against the parser. */
static void there_and_back(void)
{
    const int64_t day = 86400;
    TAP_OK(wrong_again_between(-106750 * day, 106750 * day, day / 2 + 7) == 0,
           "all days are read as they are printed");
}

int main(void)
{
    what_is_taken();
    fractions();
    ends_of_the_range();
    what_there_is_not();
    other_forms();
    beginnings();
    against_gmtime();
    what_is_printed();
    there_and_back();
    return tap_done();
}
