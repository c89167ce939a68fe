#include "engine/base/calendar.h"

/* Years here begin in March, so that the day that comes and goes is their last; 400 of them are one era.
 * 1970-01-01 is day 719468 of the era that began with 0000-03-01. */
enum { ERA_DAYS = 146097, EPOCH_DAY = 719468 };

int64_t tq_days_of(int64_t year, int month, int day)
{
    const int64_t y = month > 2 ? year : year - 1;
    const int64_t era = tq_floor_div(y, 400);
    const int64_t year_of_era = y - era * 400;
    const int month_of_year = month > 2 ? month - 3 : month + 9;
    const int day_of_year = (153 * month_of_year + 2) / 5 + day - 1;
    return era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           EPOCH_DAY;
}

struct tq_date tq_date_of(int64_t days)
{
    const int64_t era = tq_floor_div(days + EPOCH_DAY, ERA_DAYS);
    const int day_of_era = (int)(days + EPOCH_DAY - era * ERA_DAYS);
    const int year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (ERA_DAYS - 1)) / 365;
    const int day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const int month_of_year = (5 * day_of_year + 2) / 153;
    const int month = month_of_year < 10 ? month_of_year + 3 : month_of_year - 9;
    return (struct tq_date){
        .year = era * 400 + year_of_era + (month <= 2),
        .month = month,
        .day = day_of_year - (153 * month_of_year + 2) / 5 + 1,
    };
}

int tq_weekday_of(int64_t days)
{
    return (int)(days + 4 - tq_floor_div(days + 4, 7) * 7);
}

int tq_days_in_month(int64_t year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap);
}
