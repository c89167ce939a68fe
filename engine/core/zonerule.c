#include "engine/core/zonerule.h"

#include "engine/base/calendar.h"

/* ---- reading ---------------------------------------------------------------------------------- */

struct cursor {
    const char *at, *end;
};

static bool take(struct cursor *text, char c)
{
    const bool there = text->at < text->end && *text->at == c;
    text->at += there;
    return there;
}

static bool is_digit(const struct cursor *text)
{
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static bool is_letter(const struct cursor *text)
{
    return text->at < text->end &&
           ((*text->at >= 'a' && *text->at <= 'z') || (*text->at >= 'A' && *text->at <= 'Z'));
}

static bool take_number(struct cursor *text, int low, int high, int *out)
{
    int n = 0;
    if (!is_digit(text))
        return false;
    for (; is_digit(text) && n <= high; text->at++)
        n = 10 * n + (*text->at - '0');
    *out = n;
    return n >= low && n <= high;
}

/* CEST, or <+0530>. */
static bool skip_name(struct cursor *text)
{
    const char *start = text->at;
    if (take(text, '<')) {
        while (text->at < text->end && *text->at != '>')
            text->at++;
        return take(text, '>');
    }
    while (is_letter(text))
        text->at++;
    return text->at - start >= 3;
}

/* [+-]hh[:mm[:ss]], in seconds. */
static bool take_time(struct cursor *text, int hours_max, int32_t *out)
{
    const bool negative = take(text, '-');
    int hours, minutes = 0, seconds = 0;
    if (!negative)
        take(text, '+');
    if (!take_number(text, 0, hours_max, &hours))
        return false;
    if (take(text, ':') && !take_number(text, 0, 59, &minutes))
        return false;
    if (take(text, ':') && !take_number(text, 0, 59, &seconds))
        return false;
    *out = (hours * 3600 + minutes * 60 + seconds) * (negative ? -1 : 1);
    return true;
}

static bool take_day(struct cursor *text, struct tq_zonerule_day *out)
{
    int day, month = 0, week = 0, weekday = 0;
    out->time = 2 * 3600;
    out->kind = 0;
    if (!take(text, ','))
        return false;
    if (take(text, 'M')) {
        out->kind = 'M';
        day = 0;
        if (!take_number(text, 1, 12, &month) || !take(text, '.') ||
            !take_number(text, 1, 5, &week) || !take(text, '.') ||
            !take_number(text, 0, 6, &weekday))
            return false;
    } else if (take(text, 'J')) {
        out->kind = 'J';
        if (!take_number(text, 1, 365, &day))
            return false;
    } else if (!take_number(text, 0, 365, &day)) {
        return false;
    }
    out->day = (int16_t)day;
    out->month = (int8_t)month;
    out->week = (int8_t)week;
    out->weekday = (int8_t)weekday;
    return !take(text, '/') || take_time(text, 167, &out->time);
}

bool tq_zonerule_parse(struct tq_zonerule *out, const char *string, size_t size)
{
    struct cursor text = {string, string + size};
    struct tq_zonerule rule = {0};
    if (!skip_name(&text) || !take_time(&text, 24, &rule.standard))
        return false;
    /* POSIX counts what is west. */
    rule.standard = -rule.standard;
    rule.has_summer = text.at < text.end;
    if (rule.has_summer) {
        if (!skip_name(&text))
            return false;
        rule.summer = rule.standard + 3600;
        if (text.at < text.end && *text.at != ',') {
            if (!take_time(&text, 24, &rule.summer))
                return false;
            rule.summer = -rule.summer;
        }
        if (!take_day(&text, &rule.begin) || !take_day(&text, &rule.end))
            return false;
    }
    if (text.at != text.end)
        return false;
    *out = rule;
    return true;
}

/* ---- applying --------------------------------------------------------------------------------- */

enum { DAY_S = 86400 };

static int64_t day_in(const struct tq_zonerule_day *day, int64_t year)
{
    if (day->kind == 0)
        return tq_days_of(year, 1, 1) + day->day;
    if (day->kind == 'J')
        return tq_days_of(year, 1, 1) + day->day - 1 +
               (day->day > 59 && tq_days_in_month(year, 2) == 29);
    const int64_t first = tq_days_of(year, day->month, 1);
    const int days = tq_days_in_month(year, day->month);
    int n = (day->weekday - tq_weekday_of(first) + 7) % 7 + 7 * (day->week - 1);
    if (n >= days)
        n -= 7;
    return first + n;
}

/* When it changes, in UTC. `offset`: of the clock before. */
static int64_t change_in(const struct tq_zonerule_day *day, int64_t year, int32_t offset)
{
    return day_in(day, year) * DAY_S + day->time - offset;
}

struct tq_zone_span tq_zonerule_at(const struct tq_zonerule *rule, int64_t at)
{
    struct tq_zone_span span = {INT64_MIN, INT64_MAX, rule->standard};
    if (!rule->has_summer)
        return span;
    const int64_t year = tq_date_of(tq_floor_div(at, DAY_S)).year;
    /* A change may lie days outside its year. Of two at one time the beginning of summer counts: a summer that ends as
     * the next begins is summer for ever. */
    for (int64_t y = year - 2; y <= year + 2; y++)
        for (int which = 0; which < 2; which++) {
            const int64_t change = which ? change_in(&rule->begin, y, rule->standard)
                                         : change_in(&rule->end, y, rule->summer);
            const bool later = change > span.from || (change == span.from && which);
            if (change <= at && later) {
                span.from = change;
                span.offset = which ? rule->summer : rule->standard;
            }
            if (change > at && change < span.until)
                span.until = change;
        }
    return span;
}
