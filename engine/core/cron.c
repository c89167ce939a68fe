#include "engine/core/cron.h"

#include <string.h>

#include "engine/base/calendar.h"
#include "engine/base/error.h"

/* ---- the fields ------------------------------------------------------------------------------- */

enum { SECOND, MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

static const char month_names[] = "JANFEBMARAPRMAYJUNJULAUGSEPOCTNOVDEC";
static const char weekday_names[] = "SUNMONTUEWEDTHUFRISAT";

static const struct kind {
    const char *name;
    int low, high;     /* what may be written */
    int count;         /* how many different ones */
    const char *names; /* three letters each, from `low` on */
} kinds[FIELDS] = {
    [SECOND] = {"second", 0, 59, 60, ""},
    [MINUTE] = {"minute", 0, 59, 60, ""},
    [HOUR] = {"hour", 0, 23, 24, ""},
    [DAY] = {"day of the month", 1, 31, 31, ""},
    [MONTH] = {"month", 1, 12, 12, month_names},
    [WEEKDAY] = {"day of the week", 0, 7, 7, weekday_names},
};

struct field {
    uint64_t set;
    bool star, step;
    const char *start;
};

struct reading {
    const char *expression;
    const char *at;
    size_t *out_column;
    struct trq_error *error;
};

/* What is wrong, at `where`. */
#define fault(reading, where, ...)                                                                 \
    ((void)fault_at((reading), (where), __VA_ARGS__), tq_error_code_(TRQ_EINVAL))

static void fault_at(const struct reading *r, const char *where, const char *format, ...)
    TRQ_PRINTF(3, 4);
static void fault_at(const struct reading *r, const char *where, const char *format, ...)
{
    struct trq_error why;
    va_list args;
    const size_t column = (size_t)(where - r->expression) + 1;
    va_start(args, format);
    tq_error_setv(&why, TRQ_EINVAL, format, args);
    va_end(args);
    if (r->out_column)
        *r->out_column = column;
    tq_error_set(r->error, TRQ_EINVAL, "cron \"%.60s\", column %zu: %.150s", r->expression, column,
                 why.text);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static char upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}
static bool is_letter(char c)
{
    return upper(c) >= 'A' && upper(c) <= 'Z';
}

/* "'x'", as an error may show it. */
static const char *shown(char c, char out[4])
{
    memcpy(out, "'?'", 4);
    if (c > ' ' && c <= '~')
        out[1] = c;
    return c && !is_space(c) ? out : "the end of the field";
}

static int unexpected(const struct reading *r, const struct kind *kind, const char *expected)
{
    char character[4];
    const char c = *r->at;
    if (c && strchr("LW#H", upper(c)))
        return fault(r, r->at, "%s: expected %s; '%c' (last, nearest, n-th, hashed) is not known",
                     kind->name, expected, c);
    return fault(r, r->at, "%s: expected %s, not %s", kind->name, expected, shown(c, character));
}

/* ---- values ----------------------------------------------------------------------------------- */

/* Within those bounds. `what`: "", or "a step of ". */
static int take_number(struct reading *r, const struct kind *kind, const char *what, int low,
                       int high, int *out)
{
    const char *start = r->at;
    int n = 0;
    for (; is_digit(*r->at); r->at++)
        n = n > 9999 ? n : 10 * n + (*r->at - '0');
    *out = n;
    if (n >= low && n <= high)
        return 0;
    const int size = (int)(r->at - start > 6 ? 6 : r->at - start);
    return fault(r, start, "%s: expected %s%d to %d, not %.*s%s", kind->name, what, low, high, size,
                 start, start + size < r->at ? "..." : "");
}

static int take_name(struct reading *r, const struct kind *kind, int *out)
{
    const char *start = r->at;
    int size = 0;
    while (is_letter(start[size]))
        size++;
    for (const char *name = kind->names; size == 3 && *name; name += 3)
        if (upper(start[0]) == name[0] && upper(start[1]) == name[1] &&
            upper(start[2]) == name[2]) {
            r->at += 3;
            *out = kind->low + (int)(name - kind->names) / 3;
            return 0;
        }
    if (size == 1)
        return unexpected(r, kind, "a number, a name or *");
    return fault(r, start, "%s: expected a number or a name such as %.3s, not %.*s", kind->name,
                 kind->names, size > 20 ? 20 : size, start);
}

static int take_value(struct reading *r, const struct kind *kind, int *out)
{
    if (is_digit(*r->at))
        return take_number(r, kind, "", kind->low, kind->high, out);
    if (is_letter(*r->at) && *kind->names)
        return take_name(r, kind, out);
    const bool ends_range = r->at > r->expression && r->at[-1] == '-';
    if (*kind->names)
        return unexpected(r, kind, ends_range ? "a number or a name" : "a number, a name or *");
    return unexpected(r, kind, ends_range ? "a number" : "a number or *");
}

/* n or n-m. *out_open: there is no m. */
static int take_range(struct reading *r, const struct kind *kind, int *low, int *high,
                      bool *out_open)
{
    const char *start = r->at;
    int result = take_value(r, kind, low);
    if (result < 0)
        return result;
    *high = *low;
    *out_open = *r->at != '-';
    if (*out_open)
        return 0;
    r->at++;
    result = take_value(r, kind, high);
    if (result < 0)
        return result;
    /* FRI-SUN */
    if (kind == &kinds[WEEKDAY] && *high == 0 && *low > 0)
        *high = 7;
    if (*high < *low)
        return fault(r, start, "%s: expected a range that grows; write two, with a comma between",
                     kind->name);
    return 0;
}

static int take_step(struct reading *r, const struct kind *kind, int *out)
{
    r->at++;
    if (!is_digit(*r->at))
        return unexpected(r, kind, "a step, which is a number");
    return take_number(r, kind, "a step of ", 1, kind->count, out);
}

static int take_item(struct reading *r, const struct kind *kind, struct field *field)
{
    int low = kind->low, high = kind->high, step = 1;
    bool open = true;
    if (*r->at == '*' || *r->at == '?') {
        field->star = true;
        r->at++;
    } else {
        const int result = take_range(r, kind, &low, &high, &open);
        if (result < 0)
            return result;
        if (open && *r->at == '/')
            high = kind->high;
    }
    if (*r->at == '/') {
        const int result = take_step(r, kind, &step);
        if (result < 0)
            return result;
        field->step = true;
    }
    for (int n = low; n <= high; n += step)
        field->set |= UINT64_C(1) << n;
    return 0;
}

static int take_field(struct reading *r, const struct kind *kind, struct field *field)
{
    field->start = r->at;
    for (;;) {
        const int result = take_item(r, kind, field);
        if (result < 0)
            return result;
        if (!*r->at || is_space(*r->at))
            return 0;
        if (*r->at != ',')
            return unexpected(r, kind, "a comma or a space");
        r->at++;
    }
}

/* ---- the whole -------------------------------------------------------------------------------- */

static const char *macro_of(const char *expression)
{
    static const char *const macros[][2] = {
        {"YEARLY", "0 0 1 1 *"}, {"ANNUALLY", "0 0 1 1 *"}, {"MONTHLY", "0 0 1 * *"},
        {"WEEKLY", "0 0 * * 0"}, {"DAILY", "0 0 * * *"},    {"MIDNIGHT", "0 0 * * *"},
        {"HOURLY", "0 * * * *"},
    };
    for (size_t i = 0; i < sizeof macros / sizeof macros[0]; i++) {
        const char *name = macros[i][0], *at = expression;
        while (*name && upper(*at) == *name)
            name++, at++;
        while (is_space(*at))
            at++;
        if (!*name && !*at)
            return macros[i][1];
    }
    return NULL;
}

static size_t count_fields(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += !is_space(*text) && (!text[1] || is_space(text[1]));
    return n;
}

static void skip_space(struct reading *r)
{
    while (is_space(*r->at))
        r->at++;
}

static int take_fields(struct reading *r, struct field fields[FIELDS])
{
    const size_t count = count_fields(r->at);
    const int first = count >= FIELDS ? SECOND : MINUTE;
    if (first == MINUTE)
        fields[SECOND].set = 1; /* at second 0 */
    for (int i = first; i < FIELDS; i++) {
        skip_space(r);
        if (!*r->at)
            return fault(r, r->at, "expected 5 fields, or 6 with seconds first, not %zu", count);
        const int result = take_field(r, &kinds[i], &fields[i]);
        if (result < 0)
            return result;
    }
    skip_space(r);
    if (*r->at)
        return fault(r, r->at,
                     "expected the end: 5 fields, or 6 with seconds first; there are no years");
    return 0;
}

/* Some day of the set is in some month of the set. */
static bool day_exists(const struct tq_cron *cron)
{
    for (int month = 1; month <= 12; month++)
        for (int day = 1; cron->months >> month & 1 && day <= tq_days_in_month(2000, month); day++)
            if (cron->days >> day & 1)
                return true;
    return false;
}

int tq_cron_parse(struct tq_cron *out, const char *expression, size_t *out_column,
                  struct trq_error *error)
{
    struct reading r = {expression, expression, out_column, error};
    struct field fields[FIELDS] = {{0}};
    skip_space(&r);
    if (*r.at == '@') {
        const char *macro = macro_of(r.at + 1);
        if (!macro)
            return fault(
                &r, r.at,
                "expected @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly");
        r.at = r.expression = macro;
    }
    const int result = take_fields(&r, fields);
    if (result < 0)
        return result;
    const uint64_t weekdays = fields[WEEKDAY].set;
    const uint64_t all_hours = (UINT64_C(1) << 24) - 1;
    const struct tq_cron cron = {
        .seconds = fields[SECOND].set,
        .minutes = fields[MINUTE].set,
        .hours = (uint32_t)fields[HOUR].set,
        .days = (uint32_t)fields[DAY].set,
        .months = (uint16_t)fields[MONTH].set,
        .weekdays = (uint8_t)((weekdays | weekdays >> 7) & 0x7f),
        .either_day = !fields[DAY].star && !fields[WEEKDAY].star,
        .every_hour = fields[HOUR].set == all_hours,
        .counts_hours = fields[HOUR].set == all_hours || fields[HOUR].star || fields[HOUR].step,
    };
    if (!cron.either_day && !day_exists(&cron))
        return fault(&r, fields[DAY].start,
                     "day of the month: expected one that the months have; it would never fire");
    *out = cron;
    return 0;
}
