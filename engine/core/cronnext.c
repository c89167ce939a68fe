/* When a cron expression fires next: on a calendar, and by a zone's clock. */
#include "engine/core/cron.h"

#include "engine/base/calendar.h"

enum { DAY_S = 86400 };
#define NS_PER_S INT64_C(1000000000)
#define LAST_S (INT64_MAX / NS_PER_S)

/* ---- on a calendar ---------------------------------------------------------------------------- */

/* The first of the set from n on, or -1. */
static int first_from(uint64_t set, int n)
{
    const uint64_t rest = n < 64 ? set >> n << n : 0;
    return rest ? __builtin_ctzll(rest) : -1;
}

/* The first second of a day from that one on, or -1. */
static int time_from(const struct tq_cron *cron, int time)
{
    const int hour = time / 3600, minute = time / 60 % 60, second = time % 60;
    const int first_minute = first_from(cron->minutes, 0);
    const int first_second = first_from(cron->seconds, 0);
    if (cron->hours >> hour & 1) {
        if (cron->minutes >> minute & 1) {
            const int s = first_from(cron->seconds, second);
            if (s >= 0)
                return hour * 3600 + minute * 60 + s;
        }
        const int m = first_from(cron->minutes, minute + 1);
        if (m >= 0)
            return hour * 3600 + m * 60 + first_second;
    }
    const int h = first_from(cron->hours, hour + 1);
    return h < 0 ? -1 : h * 3600 + first_minute * 60 + first_second;
}

static bool day_matches(const struct tq_cron *cron, int day, int weekday)
{
    const bool of_month = cron->days >> day & 1;
    const bool of_week = cron->weekdays >> weekday & 1;
    return cron->either_day ? of_month || of_week : of_month && of_week;
}

/* The first day from that one on; beyond the last that counts it may be any. */
static int64_t day_from(const struct tq_cron *cron, int64_t day)
{
    const int64_t last = LAST_S / DAY_S + 2;
    while (day <= last) {
        const struct tq_date date = tq_date_of(day);
        const int days = tq_days_in_month(date.year, date.month);
        const int weekday = tq_weekday_of(day);
        if (cron->months >> date.month & 1)
            for (int d = date.day; d <= days; d++)
                if (day_matches(cron, d, (weekday + d - date.day) % 7))
                    return day + d - date.day;
        day += days - date.day + 1;
    }
    return day;
}

int64_t tq_cron_match(const struct tq_cron *cron, int64_t clock)
{
    int64_t day = tq_floor_div(clock, DAY_S);
    int64_t found = day_from(cron, day);
    int time = time_from(cron, found == day ? (int)(clock - day * DAY_S) : 0);
    /* That day's last time is over; or there is none at 0:00:00. */
    if (time < 0 && found == day) {
        found = day_from(cron, day + 1);
        time = time_from(cron, 0);
    }
    return found > LAST_S / DAY_S + 2 ? TQ_CRON_NEVER : found * DAY_S + time;
}

/* ---- by a zone's clock ------------------------------------------------------------------------ */

/* What the clock had shown at most, and not quite, before that change of it. Further back than two days it cannot have
 * been ahead of what it shows now. */
static int64_t shown_before(const struct tq_zone *zone, int64_t change)
{
    const int64_t back = change - 2 * (int64_t)TQ_ZONE_OFFSET_MAX;
    int64_t shown = INT64_MIN;
    while (change > back) {
        const struct tq_zone_span before = tq_zone_at(zone, change - 1);
        if (shown < change + before.offset)
            shown = change + before.offset;
        if (before.from == INT64_MIN)
            break;
        change = before.from;
    }
    return shown;
}

/* From which time of the clock on to look for a firing at `at` or later in this span. */
static int64_t clock_from(const struct tq_cron *cron, const struct tq_zone *zone,
                          const struct tq_zone_span *span, int64_t at)
{
    const int64_t clock = at + span->offset;
    if (span->from == INT64_MIN)
        return clock;
    const int64_t shown = shown_before(zone, span->from);
    const bool repeats = shown > clock && !cron->counts_hours;
    const bool skipped = shown < clock && at == span->from && !cron->every_hour;
    return repeats || skipped ? shown : clock;
}

int64_t tq_cron_next(const struct tq_cron *cron, const struct tq_zone *zone, int64_t after_ns)
{
    int64_t at = tq_floor_div(after_ns, NS_PER_S) + 1;
    while (at <= LAST_S) {
        const struct tq_zone_span span = tq_zone_at(zone, at);
        const int64_t clock = tq_cron_match(cron, clock_from(cron, zone, &span, at));
        if (clock == TQ_CRON_NEVER)
            break;
        /* What was skipped comes now. */
        const int64_t due = clock - span.offset > at ? clock - span.offset : at;
        if (due < span.until)
            return due > LAST_S ? TQ_CRON_NEVER : due * NS_PER_S;
        at = span.until;
    }
    return TQ_CRON_NEVER;
}
