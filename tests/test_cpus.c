/* engine/base/cpus: how many threads are worth while here. */
#include <criterion/criterion.h>

#include <sched.h>

#include "engine/base/cpus.h"

Test(cpus, a_quota_is_rounded_up)
{
    cr_assert_eq(tq_cpus_of_quota("100000 100000\n"), 1);
    cr_assert_eq(tq_cpus_of_quota("150000 100000"), 2);
    cr_assert_eq(tq_cpus_of_quota("1000 100000"), 1);
    cr_assert_eq(tq_cpus_of_quota("800000 100000"), 8);
}

Test(cpus, no_quota_or_nonsense_is_none)
{
    static const char *const none[] = {
        "max 100000", "",     "max", "-1 100000", "100000",
        "0 100000",   "1 -1", "x y", "100000 0",  "9223372036854775807 1"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_eq(tq_cpus_of_quota(none[i]), 0, "%s", none[i]);
}

Test(cpus, it_follows_the_affinity)
{
    cpu_set_t all, one;
    cr_assert_eq(sched_getaffinity(0, sizeof all, &all), 0);
    cr_assert(tq_cpus() >= 1 && tq_cpus() <= CPU_COUNT(&all));
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(tq_cpus(), 1);
}
