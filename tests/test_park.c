#include <criterion/criterion.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/sync/park.h"

enum { SLEEPERS = 16 };

struct rig {
    struct tq_park park;
    struct tq_sleeper sleeper[SLEEPERS];
};

static void rig_init(struct rig *r)
{
    for (int i = 0; i < SLEEPERS; i++) {
        tq_store(&r->sleeper[i].awake, 1, relaxed);
        tq_store(&r->sleeper[i].below, 0, relaxed);
    }
    tq_park_init(&r->park, r->sleeper);
}

static void join_all(struct rig *r, int count)
{
    for (int i = 0; i < count; i++)
        tq_park_join(&r->park, i, false);
}

/* ---- whom to wake ------------------------------------------------------------------------------- */

Test(park, a_new_one_is_good_and_nobody_is_woken)
{
    struct rig r;
    rig_init(&r);
    cr_assert_eq(tq_park_notify(&r.park), -1);
    cr_assert_eq(tq_park_notify_any(&r.park), -1);
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 0);
    cr_assert(tq_park_check(&r.park, SLEEPERS));
}

Test(park, the_last_to_sleep_is_the_first_to_be_woken)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, SLEEPERS);
    for (int i = SLEEPERS - 1; i >= 0; i--) {
        cr_assert_eq(tq_park_notify(&r.park), i);
        cr_assert(tq_park_found(&r.park));
        cr_assert(tq_park_check(&r.park, SLEEPERS));
    }
    cr_assert_eq(tq_park_notify(&r.park), -1);
}

Test(park, who_comes_back_is_on_top_again)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 3);
    cr_assert_eq(tq_park_notify(&r.park), 2);
    tq_park_join(&r.park, 2, true);
    cr_assert(tq_park_check(&r.park, SLEEPERS));
    cr_assert_eq(tq_park_notify(&r.park), 2);
    tq_park_found(&r.park);
    cr_assert_eq(tq_park_notify(&r.park), 1);
}

Test(park, while_somebody_searches_notify_wakes_nobody)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 3);
    cr_assert(tq_park_search(&r.park, 1));
    cr_assert_eq(tq_park_notify(&r.park), -1);
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 3);
    cr_assert(tq_park_found(&r.park));
    cr_assert_eq(tq_park_notify(&r.park), 2);
}

Test(park, who_is_popped_counts_as_a_searcher)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 3);
    cr_assert_eq(tq_park_notify(&r.park), 2);
    cr_assert_eq(tq_park_notify(&r.park), -1);
    cr_assert_not(tq_park_search(&r.park, 1));
    cr_assert(tq_park_found(&r.park));
}

Test(park, notify_any_wakes_all_though_somebody_searches)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 5);
    cr_assert(tq_park_search(&r.park, 1));
    for (int i = 4; i >= 0; i--)
        cr_assert_eq(tq_park_notify_any(&r.park), i);
    cr_assert_eq(tq_park_notify_any(&r.park), -1);
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 0);
    for (int i = 0; i < 5; i++)
        cr_assert_not(tq_park_found(&r.park));
    cr_assert(tq_park_found(&r.park), "five were popped, and one searched before");
}

/* ---- searchers ---------------------------------------------------------------------------------- */

Test(park, no_more_search_than_were_asked_for)
{
    struct rig r;
    rig_init(&r);
    cr_assert_not(tq_park_search(&r.park, 0));
    cr_assert(tq_park_search(&r.park, 2));
    cr_assert_not(tq_park_search(&r.park, 1));
    cr_assert(tq_park_search(&r.park, 2));
    cr_assert_not(tq_park_search(&r.park, 2));
}

Test(park, found_says_who_was_the_last_searcher)
{
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 3; i++)
        cr_assert(tq_park_search(&r.park, 3));
    cr_assert_not(tq_park_found(&r.park));
    cr_assert_not(tq_park_found(&r.park));
    cr_assert(tq_park_found(&r.park));
}

Test(park, a_searcher_who_goes_to_sleep_searches_no_more)
{
    struct rig r;
    rig_init(&r);
    cr_assert(tq_park_search(&r.park, 1));
    tq_park_join(&r.park, 0, true);
    cr_assert_eq(tq_park_notify(&r.park), 0);
}

Test(park, one_who_did_not_search_leaves_the_searchers_as_they_are)
{
    struct rig r;
    rig_init(&r);
    cr_assert(tq_park_search(&r.park, 1));
    tq_park_join(&r.park, 0, false);
    cr_assert_eq(tq_park_notify(&r.park), -1);
    cr_assert(tq_park_found(&r.park));
    cr_assert_eq(tq_park_notify(&r.park), 0);
}

/* ---- sleep -------------------------------------------------------------------------------------- */

Test(park, one_is_asleep_from_join_until_popped)
{
    struct rig r;
    rig_init(&r);
    cr_assert(tq_park_is_awake(&r.park, 0));
    join_all(&r, 2);
    cr_assert_not(tq_park_is_awake(&r.park, 0));
    cr_assert_not(tq_park_is_awake(&r.park, 1));
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 2);
    tq_park_notify(&r.park);
    cr_assert(tq_park_is_awake(&r.park, 1));
    cr_assert_not(tq_park_is_awake(&r.park, 0));
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 1);
}

Test(park, who_was_popped_before_he_slept_does_not_sleep)
{
    struct rig r;
    rig_init(&r);
    tq_park_join(&r.park, 0, false);
    cr_assert_eq(tq_park_notify(&r.park), 0);
    tq_park_sleep(&r.park, 0); /* comes back at once, or this test hangs */
    tq_park_wake(&r.park, 0);  /* late, and harms nobody */
}

static void *sleep_once(void *rig)
{
    struct rig *r = rig;
    tq_park_join(&r->park, 3, false);
    tq_park_sleep(&r->park, 3);
    return NULL;
}

Test(park, a_wake_ends_the_sleep_and_the_sleeper_is_a_searcher)
{
    struct rig r;
    rig_init(&r);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, sleep_once, &r), 0);
        while (tq_park_is_awake(&r.park, 3))
            sched_yield();
        int index;
        while ((index = tq_park_notify(&r.park)) < 0)
            sched_yield();
        cr_assert_eq(index, 3);
        tq_park_wake(&r.park, index);
        pthread_join(thread, NULL);
        cr_assert(tq_park_found(&r.park));
    }
}

Test(park, a_wake_without_a_pop_does_not_end_the_sleep)
{
    struct rig r;
    rig_init(&r);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, sleep_once, &r), 0);
    while (tq_park_is_awake(&r.park, 3))
        sched_yield();
    for (int i = 0; i < 100; i++) {
        tq_park_wake(&r.park, 3);
        sched_yield();
    }
    cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), 1);
    int index;
    while ((index = tq_park_notify(&r.park)) < 0)
        sched_yield();
    tq_park_wake(&r.park, index);
    pthread_join(thread, NULL);
}

Test(park, as_many_can_sleep_as_are_promised)
{
    struct tq_sleeper *sleepers = NULL;
    const size_t size = TQ_PARK_SLEEPERS_MAX * sizeof *sleepers;
    cr_assert_eq(posix_memalign((void **)&sleepers, TQ_LINE, size), 0);
    struct tq_park park;
    tq_park_init(&park, sleepers);
    for (int i = 0; i < TQ_PARK_SLEEPERS_MAX; i++)
        tq_park_join(&park, i, false);
    cr_assert(tq_park_check(&park, TQ_PARK_SLEEPERS_MAX));
    cr_assert_eq(tq_park_asleep(&park, TQ_PARK_SLEEPERS_MAX), TQ_PARK_SLEEPERS_MAX);
    for (int i = TQ_PARK_SLEEPERS_MAX - 1; i >= 0; i--)
        cr_assert_eq(tq_park_notify_any(&park), i);
    cr_assert_eq(tq_park_notify_any(&park), -1);
    free(sleepers);
}

/* ---- against a model ---------------------------------------------------------------------------- */

static uint64_t state;

static int below(int n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (int)((state >> 11) % (uint64_t)n);
}

enum place { ASLEEP, SEARCHING, BUSY };

struct model {
    enum place place[SLEEPERS];
    int stack[SLEEPERS];
    int asleep, searching;
};

/* Somebody who is there, or -1. */
static int any_of(const struct model *m, enum place place)
{
    int from = below(SLEEPERS);
    for (int i = 0; i < SLEEPERS; i++)
        if (m->place[(from + i) % SLEEPERS] == place)
            return (from + i) % SLEEPERS;
    return -1;
}

static void move(struct model *m, int who, enum place to)
{
    m->searching += (to == SEARCHING) - (m->place[who] == SEARCHING);
    m->place[who] = to;
    if (to == ASLEEP)
        m->stack[m->asleep++] = who;
}

static void step(struct rig *r, struct model *m)
{
    int who;
    switch (below(6)) {
    case 0: /* a publisher */
        who = m->asleep && !m->searching ? m->stack[m->asleep - 1] : -1;
        cr_assert_eq(tq_park_notify(&r->park), who);
        break;
    case 1: /* a stop, now and then */
        if (below(4))
            return;
        who = m->asleep ? m->stack[m->asleep - 1] : -1;
        cr_assert_eq(tq_park_notify_any(&r->park), who);
        break;
    case 2:
        if ((who = any_of(m, BUSY)) >= 0) {
            int most = below(4);
            bool may = m->searching < most;
            cr_assert_eq(tq_park_search(&r->park, (uint32_t)most), may);
            if (may)
                move(m, who, SEARCHING);
        }
        return;
    case 3:
        if ((who = any_of(m, SEARCHING)) >= 0) {
            cr_assert_eq(tq_park_found(&r->park), m->searching == 1);
            move(m, who, BUSY);
        }
        return;
    default:
        if ((who = any_of(m, below(2) ? BUSY : SEARCHING)) >= 0) {
            tq_park_join(&r->park, who, m->place[who] == SEARCHING);
            move(m, who, ASLEEP);
        }
        return;
    }
    if (who >= 0) {
        m->asleep--;
        move(m, who, SEARCHING);
    }
}

Test(park, random_use_agrees_with_a_naive_model)
{
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    fprintf(stderr, "state 0x%llx\n", (unsigned long long)state);
    struct rig r;
    rig_init(&r);
    struct model m = {.asleep = 0};
    for (int i = 0; i < SLEEPERS; i++)
        m.place[i] = BUSY;
    for (int i = 0; i < 200000; i++) {
        step(&r, &m);
        cr_assert_eq(tq_park_asleep(&r.park, SLEEPERS), m.asleep);
        for (int k = 0; k < SLEEPERS; k++)
            cr_assert_eq(tq_park_is_awake(&r.park, k), m.place[k] != ASLEEP);
        cr_assert(tq_park_check(&r.park, SLEEPERS));
    }
}

/* ---- damage ------------------------------------------------------------------------------------- */

Test(park, check_sees_a_circle_in_the_stack)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 4);
    cr_assert(tq_park_check(&r.park, 4));
    tq_store(&r.sleeper[0].below, 3, relaxed);
    cr_assert_not(tq_park_check(&r.park, 4));
}

Test(park, check_sees_a_thread_that_is_below_itself)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 1);
    tq_park_join(&r.park, 0, false); /* though it sleeps already */
    cr_assert_not(tq_park_check(&r.park, SLEEPERS));
}

Test(park, check_sees_one_in_the_stack_who_is_awake)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 4);
    tq_store(&r.sleeper[1].awake, 1, relaxed);
    cr_assert_not(tq_park_check(&r.park, 4));
}

Test(park, check_sees_a_thread_that_does_not_exist)
{
    struct rig r;
    rig_init(&r);
    join_all(&r, 4);
    tq_store(&r.sleeper[0].below, SLEEPERS, relaxed);
    cr_assert_not(tq_park_check(&r.park, SLEEPERS - 1));
}
