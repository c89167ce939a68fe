/* Named time zones: every zone of the system against the C library, and files that are none. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/base/calendar.h"
#include "engine/core/zone.h"

static struct tq_memory memory;

static int load(struct tq_zone *zone, const char *directory, const char *name,
                struct trq_error *error)
{
    tq_memory_init(&memory, NULL);
    return tq_zone_load(zone, &memory, directory, name, error);
}

static void refused(const char *directory, const char *name, const char *part)
{
    struct tq_zone zone = {.type_count = 77};
    struct trq_error error = {0};
    cr_assert_eq(load(&zone, directory, name, &error), TRQ_EUNKNOWN, "%s", name);
    cr_assert_eq(error.code, TRQ_EUNKNOWN);
    cr_assert(strstr(error.text, part), "%s: %s", name, error.text);
    cr_assert_eq(zone.type_count, 77, "untouched");
}

/* ---- the calendar ----------------------------------------------------------------------------- */

Test(calendar, days_and_dates_are_those_of_gmtime)
{
    for (int64_t day = -800000; day < 800000; day += 13) {
        const time_t second = day * 86400;
        struct tm tm;
        cr_assert(gmtime_r(&second, &tm));
        const struct tq_date date = tq_date_of(day);
        cr_assert_eq(date.year, tm.tm_year + 1900);
        cr_assert_eq(date.month, tm.tm_mon + 1);
        cr_assert_eq(date.day, tm.tm_mday);
        cr_assert_eq(tq_weekday_of(day), tm.tm_wday);
        cr_assert_eq(tq_days_of(date.year, date.month, date.day), day);
        cr_assert(date.day <= tq_days_in_month(date.year, date.month));
    }
    cr_assert_eq(tq_days_in_month(1900, 2), 28);
    cr_assert_eq(tq_days_in_month(2000, 2), 29);
    cr_assert_eq(tq_floor_div(-1, 7), -1);
    cr_assert_eq(tq_floor_div(-7, 7), -1);
    cr_assert_eq(tq_floor_div(6, 7), 0);
}

/* ---- against the C library -------------------------------------------------------------------- */

static void same_as_libc(const struct tq_zone *zone, const char *name, int64_t at)
{
    const time_t second = at;
    struct tm tm;
    cr_assert(localtime_r(&second, &tm));
    const struct tq_zone_span span = tq_zone_at(zone, at);
    cr_assert_eq(span.offset, tm.tm_gmtoff, "%s at %lld: %d, not %ld", name, (long long)at,
                 (int)span.offset, tm.tm_gmtoff);
    cr_assert(span.from <= at && at < span.until, "%s at %lld", name, (long long)at);
}

/* From 1850 to 2262, span by span: the seconds around each change, and some between. */
static int walk(const struct tq_zone *zone, const char *name)
{
    const int64_t last = INT64_MAX / 1000000000;
    int spans = 0;
    for (int64_t at = -3786912000; at < last; spans++) {
        const struct tq_zone_span span = tq_zone_at(zone, at);
        same_as_libc(zone, name, at);
        same_as_libc(zone, name, at - 1);
        for (int64_t t = at; t < span.until && t < last; t += INT64_C(86400) * 41 + 7)
            same_as_libc(zone, name, t);
        if (span.until >= last)
            break;
        cr_assert_eq(tq_zone_at(zone, span.until).from, span.until, "%s", name);
        at = span.until;
    }
    return spans;
}

Test(zone, every_zone_of_the_system_is_as_the_c_library_has_it)
{
    FILE *list = fopen("/usr/share/zoneinfo/tzdata.zi", "re");
    char line[300], name[100];
    int zones = 0, spans = 0;
    cr_assert(list, "the package tzdata is missing");
    while (fgets(line, sizeof line, list)) {
        struct tq_zone zone;
        struct trq_error error;
        /* "Z Europe/Berlin 0:53:28 ...", "L Europe/Berlin Arctic/Longyearbyen" */
        if (sscanf(line, "Z %99s", name) != 1 && sscanf(line, "L %*s %99s", name) != 1)
            continue;
        if (load(&zone, NULL, name, &error) < 0) {
            /* Old names are a package of their own in later Debians. */
            cr_assert_eq(line[0], 'L', "%s", error.text);
            continue;
        }
        setenv("TZ", name, 1);
        tzset();
        spans += walk(&zone, name);
        tq_zone_unload(&zone);
        zones++;
    }
    fclose(list);
    cr_assert_geq(zones, 300);
    cr_assert_geq(spans, 10000);
}

Test(zone, utc_needs_no_file)
{
    struct tq_zone zone;
    cr_assert_eq(load(&zone, "/nowhere", NULL, NULL), 0);
    cr_assert_eq(tq_zone_at(&zone, 0).offset, 0);
    cr_assert_eq(tq_zone_at(&zone, 0).from, INT64_MIN);
    cr_assert_eq(tq_zone_at(&zone, 0).until, INT64_MAX);
    tq_zone_unload(&zone);
    cr_assert_eq(load(&zone, "/nowhere", "UTC", NULL), 0);
    tq_zone_unload(&zone);
}

/* ---- rules ------------------------------------------------------------------------------------ */

static bool parses(const char *text, struct tq_zonerule *out)
{
    return tq_zonerule_parse(out, text, strlen(text));
}

/* The C library reads the same strings from TZ. */
static void rule_is_as_libc_has_it(const char *text)
{
    struct tq_zonerule rule;
    cr_assert(parses(text, &rule), "%s", text);
    setenv("TZ", text, 1);
    tzset();
    for (int64_t at = 0; at < INT64_C(2500000000); at += 3600 * 5 + 11) {
        const time_t second = at;
        struct tm tm;
        cr_assert(localtime_r(&second, &tm));
        const struct tq_zone_span span = tq_zonerule_at(&rule, at);
        cr_assert_eq(span.offset, tm.tm_gmtoff, "%s at %lld", text, (long long)at);
        cr_assert(span.from <= at && at < span.until);
    }
}

Test(zone, a_rule_is_as_the_c_library_has_it)
{
    rule_is_as_libc_has_it("UTC0");
    rule_is_as_libc_has_it("<+0530>-5:30");
    rule_is_as_libc_has_it("XXX-1:02:03");
    rule_is_as_libc_has_it("CET-1CEST,M3.5.0,M10.5.0/3");
    rule_is_as_libc_has_it("IST-1GMT0,M10.5.0,M3.5.0/1");
    rule_is_as_libc_has_it("AEST-10AEDT,M10.1.0,M4.1.0/3");
    rule_is_as_libc_has_it("EET-2EEST,M3.4.4/50,M10.4.4/50");
    rule_is_as_libc_has_it("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");
    rule_is_as_libc_has_it("<+1030>-10:30<+11>-11,M10.1.0,M4.1.0");
    rule_is_as_libc_has_it("AAA3BBB,J60/0,J300");
    rule_is_as_libc_has_it("AAA3BBB,59/0,299");
    rule_is_as_libc_has_it("<-06>6<-05>,M9.1.6/22,M4.1.6/22");
}

Test(zone, a_summer_that_never_ends_is_always)
{
    struct tq_zonerule rule;
    cr_assert(parses("XXX3EDT4,0/0,J365/23", &rule));
    for (int64_t at = 0; at < INT64_C(2500000000); at += 3600 * 5)
        cr_assert_eq(tq_zonerule_at(&rule, at).offset, -4 * 3600);
}

Test(zone, what_is_no_rule_is_refused)
{
    static const char *const texts[] = {
        "",
        "CET",
        "CE-1",
        "CET-1CEST",
        "CET-25",
        "CET-1CEST,M3.5.0",
        "<CET-1",
        "CET-1:60",
        "CET-1:",
        "CET--1",
        "CET-1CEST,,",
        "CET-1CEST,M13.1.0,M1.1.0",
        "CET-1C",
        "CET-1CEST,M0.1.0,M3.1.0",
        "CET-1CEST,M1.6.0,M3.1.0",
        "CET-1CEST,M1.0.0,M3.1.0",
        "CET-1 ",
        "CET-1CEST,M1.1.7,M3.1.0",
        "CET-1CEST,J0,J5",
        "CET-1CEST,J1,J366",
        "CET-1CEST,366,1",
        "CET-1CEST,1/168,2",
        "CET-1CEST,1,2,3",
        "CET-99999999999",
    };
    struct tq_zonerule rule;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert_not(parses(texts[i], &rule), "%s", texts[i]);
    /* No beginning of a rule reads beyond it. */
    static const char whole[] = "<+1030>-10:30:01<+11>-11,M10.1.0/2:03:04,J300/-1";
    for (size_t size = 0; size < sizeof whole; size++) {
        char *part = malloc(size + 1);
        memcpy(part, whole, size);
        tq_zonerule_parse(&rule, part, size);
        free(part);
    }
}

/* ---- names and files -------------------------------------------------------------------------- */

Test(zone, a_name_is_of_the_directory_or_none)
{
    refused(NULL, "Europe/Atlantis", "no time zone \"Europe/Atlantis\" in /usr/share/zoneinfo");
    refused(NULL, "europe/berlin", "no time zone");
    refused(NULL, "", "no time zone");
    refused(NULL, "../../../etc/passwd", "no time zone");
    refused(NULL, "Europe/../Europe/Berlin", "no time zone");
    refused(NULL, "/usr/share/zoneinfo/Europe/Berlin", "no time zone");
    refused(NULL, "Europe//Berlin", "no time zone");
    refused(NULL, "Europe/", "no time zone");
    refused(NULL, "Europe/Berlin\n", "no time zone");
    refused(NULL, "CET-1CEST,M3.5.0,M10.5.0/3", "no time zone");
    refused(NULL, "Europe", "is no time zone");
    refused(NULL, "tzdata.zi", "no time zone");
    refused("/nowhere", "Europe/Berlin", "there is no /nowhere; the package tzdata");
    char name[500];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    refused(NULL, name, "no time zone");
}

static char directory[] = "/tmp/tresque-zone-XXXXXX";
static char path[64];

static void make_directory(void)
{
    strcpy(directory, "/tmp/tresque-zone-XXXXXX");
    cr_assert(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/Z", directory);
}
static void remove_directory(void)
{
    unlink(path);
    rmdir(directory);
}
static void write_zone(const void *bytes, size_t size)
{
    FILE *file = fopen(path, "we");
    cr_assert(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}
static size_t read_berlin(unsigned char *bytes, size_t room)
{
    FILE *file = fopen("/usr/share/zoneinfo/Europe/Berlin", "re");
    cr_assert(file);
    const size_t size = fread(bytes, 1, room, file);
    fclose(file);
    cr_assert(size > 500 && size < room);
    return size;
}

Test(zone, a_file_that_is_cut_anywhere_is_refused, .init = make_directory, .fini = remove_directory)
{
    static unsigned char bytes[8192];
    const size_t size = read_berlin(bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut += 1 + (cut > 60 && cut < size - 60) * 6) {
        write_zone(bytes, cut);
        refused(directory, "Z", "is no time zone");
    }
}

/* Whatever a byte becomes, it is refused, or read without harm (under the sanitizers). */
Test(zone, a_file_with_any_wrong_byte_does_no_harm, .init = make_directory,
     .fini = remove_directory)
{
    static unsigned char bytes[8192];
    const size_t size = read_berlin(bytes, sizeof bytes);
    int taken = 0, given_back = 0;
    for (size_t at = 0; at < size; at += 1 + (at > 120 && at < size - 120) * 3) {
        const unsigned char was = bytes[at];
        struct tq_zone zone;
        bytes[at] = (unsigned char)(at % 3 ? was ^ 0xff : was + 1);
        write_zone(bytes, size);
        if (load(&zone, directory, "Z", NULL) < 0) {
            given_back++;
        } else {
            taken++;
            for (int64_t t = -9000000000; t < INT64_C(9000000000); t += 1234567890) {
                const struct tq_zone_span span = tq_zone_at(&zone, t);
                cr_assert(span.from <= t && t < span.until);
            }
            tq_zone_unload(&zone);
        }
        bytes[at] = was;
    }
    cr_assert(taken && given_back);
}

Test(zone, a_file_of_the_first_version_is_read, .init = make_directory, .fini = remove_directory)
{
    /* Two times of 32 bits, two types: +1 h, and +2 h from 1000 to 2000. */
    static const unsigned char bytes[] = {
        'T', 'Z', 'i', 'f', 0, 0,   0, 0, 0, 0, 0,  0,  0, 0, 0, 0, 0,  0,  0, 0, 0, 0, 0,
        0,   0,   0,   0,   0, 0,   0, 0, 0, 0, 0,  0,  2, 0, 0, 0, 2,  0,  0, 0, 1, 0, 0,
        3,   232, 0,   0,   7, 208, 1, 0, 0, 0, 14, 16, 0, 0, 0, 0, 28, 32, 1, 0, 0};
    /* 20 bytes of nothing, six counts of four bytes: utc, std, leap, times, types, characters. */
    struct tq_zone zone;
    struct trq_error error = {0};
    unsigned char file[sizeof bytes];
    memcpy(file, bytes, sizeof bytes);
    write_zone(file, sizeof file);
    cr_assert_eq(load(&zone, directory, "Z", &error), 0, "%s", error.text);
    cr_assert_eq(tq_zone_at(&zone, 999).offset, 3600);
    cr_assert_eq(tq_zone_at(&zone, 1000).offset, 7200);
    cr_assert_eq(tq_zone_at(&zone, 1999).offset, 7200);
    cr_assert_eq(tq_zone_at(&zone, 2000).offset, 3600);
    cr_assert_eq(tq_zone_at(&zone, 1500).from, 1000);
    cr_assert_eq(tq_zone_at(&zone, 1500).until, 2000);
    tq_zone_unload(&zone);
}

Test(zone, leap_seconds_are_refused, .init = make_directory, .fini = remove_directory)
{
    unsigned char file[44 + 8 + 6 + 1] = {'T', 'Z', 'i', 'f'};
    file[31] = 1; /* leap seconds */
    file[39] = 1; /* types */
    file[43] = 1; /* characters */
    write_zone(file, sizeof file);
    refused(directory, "Z", "counts leap seconds");
}

static void *no_memory(void *context, size_t size, size_t align)
{
    (void)context;
    (void)size;
    (void)align;
    return NULL;
}

Test(zone, without_memory_it_says_so)
{
    struct tq_zone zone;
    struct trq_error error = {0};
    tq_memory_init(&memory, NULL);
    memory.alloc = no_memory;
    cr_assert_eq(tq_zone_load(&zone, &memory, NULL, "Europe/Berlin", &error), TRQ_ENOMEM);
    cr_assert(strstr(error.text, "no memory"));
}
