#include <criterion/criterion.h>

#include <pthread.h>
#include <time.h>

#include "engine/sync/mutex.h"

static struct tq_mutex mutex;

Test(mutex, four_bytes_that_are_zero_are_an_unlocked_one)
{
    cr_assert_eq(sizeof(struct tq_mutex), 4);
    cr_assert_not(tq_mutex_is_held(&mutex));
    cr_assert(tq_mutex_try_lock(&mutex));
    cr_assert(tq_mutex_is_held(&mutex));
    tq_mutex_unlock(&mutex);
    cr_assert_eq(tq_load(&mutex.word, relaxed), 0);
}

Test(mutex, try_lock_does_not_wait_and_changes_nothing)
{
    tq_mutex_lock(&mutex);
    cr_assert_not(tq_mutex_try_lock(&mutex));
    cr_assert_eq(tq_load(&mutex.word, relaxed), 1);
    tq_mutex_unlock(&mutex);
    cr_assert(tq_mutex_try_lock(&mutex));
}

static void *lock_once(void *arg)
{
    tq_mutex_lock(&mutex);
    ++*(int *)arg;
    tq_mutex_unlock(&mutex);
    return NULL;
}

static int64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

Test(mutex, who_waits_long_sleeps_and_is_woken)
{
    enum { WAITERS = 4 };
    pthread_t thread[WAITERS];
    int count = 0;
    tq_mutex_lock(&mutex);
    for (int i = 0; i < WAITERS; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, lock_once, &count), 0);
    while (tq_load(&mutex.word, relaxed) != 2)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* let all of them fall asleep */
    const int64_t before = cpu_ns();
    nanosleep(&(struct timespec){.tv_nsec = 200000000}, NULL);
    cr_assert_lt(cpu_ns() - before, 50000000, "they do not spin");
    cr_assert_eq(count, 0);
    tq_mutex_unlock(&mutex);
    for (int i = 0; i < WAITERS; i++)
        pthread_join(thread[i], NULL);
    cr_assert_eq(count, WAITERS);
    cr_assert_eq(tq_load(&mutex.word, relaxed), 0);
}

enum { THREADS = 8, STEPS = 100000 };

static void *lock_often(void *arg)
{
    long *shared = arg; /* plain: a lost increment is seen at the end */
    for (int i = 0; i < STEPS; i++) {
        if (i % 7 == 0)
            while (!tq_mutex_try_lock(&mutex))
                tq_pause();
        else
            tq_mutex_lock(&mutex);
        ++*shared;
        tq_mutex_unlock(&mutex);
    }
    return NULL;
}

Test(mutex, one_at_a_time)
{
    pthread_t thread[THREADS];
    long shared = 0;
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&thread[i], NULL, lock_often, &shared), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    cr_assert_eq(shared, (long)THREADS * STEPS);
    cr_assert_eq(tq_load(&mutex.word, relaxed), 0);
}
