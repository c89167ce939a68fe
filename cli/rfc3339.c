#include "cli/rfc3339.h"

struct cursor {
    const char *at;
    const char *end;
};

/* As written: nothing is known to exist yet. */
struct reading {
    int year, month, day;
    int hour, minute, second;
    int64_t ns;
    int offset_sign, offset_hours, offset_minutes;
};

/* ---- the form --------------------------------------------------------------------------------------- */

static bool is_digit(const struct cursor *text)
{
    return text->at < text->end && *text->at >= '0' && *text->at <= '9';
}

static bool take_digits(struct cursor *text, int count, int *out)
{
    int n = 0;
    for (; count > 0; count--) {
        if (!is_digit(text))
            return false;
        n = 10 * n + (*text->at++ - '0');
    }
    *out = n;
    return true;
}

static bool take_one_of(struct cursor *text, const char *characters)
{
    const bool is_one = text->at < text->end && *text->at && strchr(characters, *text->at);
    text->at += is_one;
    return is_one;
}

static bool take_date(struct cursor *text, struct reading *r)
{
    return take_digits(text, 4, &r->year) && take_one_of(text, "-") &&
           take_digits(text, 2, &r->month) && take_one_of(text, "-") &&
           take_digits(text, 2, &r->day);
}

static bool take_fraction(struct cursor *text, int64_t *out_ns)
{
    int64_t ns = 0;
    int64_t unit_ns = 100 * 1000 * 1000;
    bool rest = false;
    if (!is_digit(text))
        return false;
    for (; is_digit(text); text->at++) {
        const int digit = *text->at - '0';
        ns += digit * unit_ns;
        rest = rest || (unit_ns == 0 && digit > 0);
        unit_ns /= 10;
    }
    *out_ns = ns + rest;
    return true;
}

static bool take_time(struct cursor *text, struct reading *r)
{
    const bool whole = take_digits(text, 2, &r->hour) && take_one_of(text, ":") &&
                       take_digits(text, 2, &r->minute) && take_one_of(text, ":") &&
                       take_digits(text, 2, &r->second);
    if (!whole)
        return false;
    return !take_one_of(text, ".") || take_fraction(text, &r->ns);
}

static bool take_offset(struct cursor *text, struct reading *r)
{
    if (take_one_of(text, "Zz"))
        return true;
    r->offset_sign = text->at < text->end && *text->at == '-' ? -1 : 1;
    return take_one_of(text, "+-") && take_digits(text, 2, &r->offset_hours) &&
           take_one_of(text, ":") && take_digits(text, 2, &r->offset_minutes);
}

static const char *read_form(struct trq_str string, struct reading *out)
{
    static const char *const no_time = "must be a time such as 2026-12-31T23:59:59Z";
    struct cursor text = {string.data, string.data + string.size};
    if (!take_date(&text, out) || !take_one_of(&text, "Tt ") || !take_time(&text, out))
        return no_time;
    if (text.at == text.end)
        return "has no offset: end it with Z for UTC, or as in +01:00";
    return take_offset(&text, out) && text.at == text.end ? NULL : no_time;
}

/* ---- what there is ---------------------------------------------------------------------------------- */

static int days_of_month(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}

static const char *find_fault(const struct reading *r)
{
    if (r->month < 1 || r->month > 12)
        return "has no such month";
    if (r->day < 1 || r->day > days_of_month(r->year, r->month))
        return "has no such day";
    if (r->hour > 23)
        return "has no such hour";
    if (r->minute > 59)
        return "has no such minute";
    if (r->second > 59)
        return "has no such second (leap seconds are not known here)";
    if (r->offset_hours > 23 || r->offset_minutes > 59)
        return "has no such offset";
    return NULL;
}

/* ---- the count -------------------------------------------------------------------------------------- */

static int days_of_year(int year)
{
    return 337 + days_of_month(year, 2);
}

/* Before the first of that year, from year 0, which was a leap year. */
static int64_t days_before_year(int year)
{
    const int last = year - 1;
    return year == 0 ? 0 : 365 * (int64_t)year + last / 4 - last / 100 + last / 400 + 1;
}

static int64_t seconds_since_1970(const struct reading *r)
{
    int64_t days = days_before_year(r->year) - days_before_year(1970) + r->day - 1;
    for (int month = 1; month < r->month; month++)
        days += days_of_month(r->year, month);
    const int64_t local = ((days * 24 + r->hour) * 60 + r->minute) * 60 + r->second;
    return local - r->offset_sign * (r->offset_hours * 60 + r->offset_minutes) * 60;
}

const char *tq_rfc3339_parse(struct trq_str text, struct trq_wall *out)
{
    struct reading r = {0};
    const char *fault = read_form(text, &r);
    if (!fault)
        fault = find_fault(&r);
    if (fault)
        return fault;
    if (__builtin_add_overflow(trq_seconds(seconds_since_1970(&r)).ns, r.ns, &out->ns))
        out->ns = INT64_MAX;
    return NULL;
}

/* ---- the other way ---------------------------------------------------------------------------------- */

static int64_t divide_down(int64_t n, int64_t by)
{
    return n / by - (n % by < 0);
}

/* So many digits, and what stands behind them; returns where to go on. */
static char *put(char *out, int n, int digits, char behind)
{
    for (int i = digits; i-- > 0; n /= 10)
        out[i] = (char)('0' + n % 10);
    out[digits] = behind;
    return out + digits + 1;
}

/* From the year 1600 on: no time that 64 bits hold is before it. `out` goes on without an end. */
static char *put_clock(char *out, int64_t seconds)
{
    int64_t days = divide_down(seconds, 86400);
    const int rest = (int)(seconds - days * 86400);
    int year = 1600;
    int month = 1;
    days += days_before_year(1970) - days_before_year(year);
    year += (int)(days / 366); /* never too many */
    days -= days_before_year(year) - days_before_year(1600);
    for (; days >= days_of_year(year); year++)
        days -= days_of_year(year);
    for (; days >= days_of_month(year, month); month++)
        days -= days_of_month(year, month);
    out = put(put(put(out, year, 4, '-'), month, 2, '-'), (int)days + 1, 2, 'T');
    return put(put(put(out, rest / 3600, 2, ':'), rest / 60 % 60, 2, ':'), rest % 60, 2, '\0') - 1;
}

void tq_rfc3339_print(struct trq_wall at, const struct trq_span *offset, char out[TQ_RFC3339_SIZE])
{
    const int64_t second_ns = 1000 * 1000 * 1000;
    const int64_t minutes = offset ? divide_down(offset->ns + 30 * second_ns, 60 * second_ns) : 0;
    const int absolute = (int)(minutes < 0 ? -minutes : minutes);
    out = put_clock(out, divide_down(at.ns, second_ns) + minutes * 60);
    if (!offset) {
        memcpy(out, "Z", sizeof "Z");
        return;
    }
    *out++ = minutes < 0 ? '-' : '+';
    put(put(out, absolute / 60, 2, ':'), absolute % 60, 2, '\0');
}
