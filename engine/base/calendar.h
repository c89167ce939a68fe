/* Days since 1970 and dates: the Gregorian calendar, before its beginning, too. */
#ifndef TQ_BASE_CALENDAR_H
#define TQ_BASE_CALENDAR_H

#include <stdbool.h>
#include <stdint.h>

struct tq_date {
    int64_t year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* Range:  a million years around 1970. */
int64_t tq_days_of(int64_t year, int month, int day);
struct tq_date tq_date_of(int64_t days);
/* 0: Sunday. */
int tq_weekday_of(int64_t days);
int tq_days_in_month(int64_t year, int month);

/* n / d, rounded down also below zero; d > 0. */
static inline int64_t tq_floor_div(int64_t n, int64_t d)
{
    return n / d - (n % d < 0);
}

#endif
