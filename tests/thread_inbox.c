/* Producers with an inbox each and one housekeeper who sleeps. What was brought comes out once, in its order and with
 * what its producer wrote; and he never sleeps beyond the tick of what was brought. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "engine/base/memory.h"
#include "engine/sync/alarm.h"
#include "engine/sync/futex.h"
#include "engine/sync/inbox.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    ENTRIES = 60000,
    LONELY = 1500,
#else
    ENTRIES = 2000000,
    LONELY = 20000,
#endif
    PRODUCERS_MAX = 8,
};

struct producer {
    struct tq_inbox inbox;
    struct tq_slab_cache cache;
    struct run *run;
    uint32_t number;
    uint32_t *payload; /* written plainly before the push */
    uint32_t entries;
    uint32_t next; /* the housekeeper's */
    bool patient;  /* brings one when the one before came out */
    TQ_ON_LINE tq_a32 out;
    tq_a64 woke;
    pthread_t thread;
};

struct run {
    struct tq_slab chunks;
    struct tq_slab_cache cache;
    struct tq_alarm alarm;
    TQ_ON_LINE tq_a32 told;
    uint32_t producers;
    uint64_t sleeps;
    bool in_order;
    struct producer producer[PRODUCERS_MAX];
};

static void bring(struct producer *p, uint32_t i)
{
    while (!tq_inbox_reserve(&p->inbox, &p->run->chunks, &p->cache, 1))
        sched_yield();
    p->payload[i] = i * 3 + p->number;
    const uint64_t tick = 1 + i % 7; /* always earlier than NEVER */
    tq_inbox_push(&p->inbox, &p->run->chunks, (struct tq_inbox_entry){i, p->number, tick});
    const bool crowded = tq_inbox_is_crowded(&p->inbox);
    if (tq_alarm_ring(&p->run->alarm, i % TQ_ALARM_DOMAINS, crowded ? 0 : tick)) {
        tq_add(&p->woke, 1, relaxed);
        tq_store(&p->run->told, 1, release);
        tq_futex_wake(&p->run->told, 1);
    }
}

static void *produce(void *argument)
{
    struct producer *p = argument;
    for (uint32_t i = 0; i < p->entries; i++) {
        bring(p, i);
        while (p->patient && tq_load(&p->out, acquire) <= i)
            sched_yield();
    }
    return NULL;
}

static void drain(struct run *run, struct producer *p, uint64_t count)
{
    while (count) {
        uint32_t n;
        const struct tq_inbox_entry *e = tq_inbox_peek(&p->inbox, &run->chunks, count, &n);
        for (uint32_t i = 0; i < n; i++, p->next++)
            run->in_order &= e[i].item == p->next && e[i].generation == p->number &&
                             p->payload[p->next] == p->next * 3 + p->number;
        tq_inbox_pop(&p->inbox, &run->chunks, &run->cache, n);
        count -= n;
    }
    tq_store(&p->out, p->next, release);
}

static bool drain_all(struct run *run)
{
    bool any = false;
    for (uint32_t i = 0; i < run->producers; i++) {
        const uint64_t count = tq_inbox_count(&run->producer[i].inbox);
        any |= count > 0;
        drain(run, &run->producer[i], count);
    }
    return any;
}

static bool any_waits(struct run *run)
{
    for (uint32_t i = 0; i < run->producers; i++)
        if (tq_inbox_count(&run->producer[i].inbox))
            return true;
    return false;
}

/* False: an entry waits, and he was not told. */
static bool sleep_until_told(struct run *run)
{
    for (unsigned d = 0; d < TQ_ALARM_DOMAINS; d++)
        tq_alarm_arm(&run->alarm, d, TQ_ALARM_NEVER);
    bool fine = true;
    run->sleeps++;
    if (!any_waits(run)) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        const int64_t until = ((int64_t)now.tv_sec + 20) * 1000000000;
        while (!tq_load(&run->told, acquire) && fine)
            fine = tq_futex_wait(&run->told, 0, until);
    }
    tq_alarm_disarm(&run->alarm);
    tq_store(&run->told, 0, relaxed);
    return fine;
}

static bool all_out(struct run *run)
{
    for (uint32_t i = 0; i < run->producers; i++)
        if (run->producer[i].next < run->producer[i].entries)
            return false;
    return true;
}

static void run_once(uint32_t producers, uint32_t entries, bool patient)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    *run = (struct run){.producers = producers, .in_order = true};
    struct tq_memory memory;
    tq_memory_init(&memory, NULL);
    if (!tq_chunks_init(&run->chunks, &memory, 3000, producers + 1) ||
        !tq_slab_attach(&run->chunks, &run->cache))
        abort();
    for (uint32_t i = 0; i < producers; i++) {
        struct producer *p = &run->producer[i];
        *p = (struct producer){.run = run, .number = i, .entries = entries, .patient = patient};
        p->payload = calloc(entries, sizeof *p->payload);
        tq_inbox_init(&p->inbox);
        if (!p->payload || !tq_slab_attach(&run->chunks, &p->cache))
            abort();
    }
    for (uint32_t i = 0; i < producers; i++)
        if (pthread_create(&run->producer[i].thread, NULL, produce, &run->producer[i]) != 0)
            abort();
    bool woken = true;
    while (woken && !all_out(run))
        if (!drain_all(run))
            woken = sleep_until_told(run);
    if (!TAP_OK(woken, "he does not sleep while something waits"))
        exit(1);
    uint64_t woke = 0;
    bool good = true;
    for (uint32_t i = 0; i < producers; i++) {
        struct producer *p = &run->producer[i];
        uint32_t chunks;
        pthread_join(p->thread, NULL);
        woke += tq_load(&p->woke, relaxed);
        good &= tq_inbox_count(&p->inbox) == 0 && tq_inbox_check(&p->inbox, &run->chunks, &chunks);
        tq_inbox_fini(&p->inbox, &run->chunks, &p->cache);
        free(p->payload);
    }
    tap_note("%u producers of %u: %llu sleeps, %llu wake-ups", producers, entries,
             (unsigned long long)run->sleeps, (unsigned long long)woke);
    TAP_OK(run->in_order, "all comes out in order, with what was written before");
    TAP_OK(good, "nothing is left, and the check is content");
    TAP_OK(woke <= run->sleeps * TQ_ALARM_DOMAINS, "one wake-up at most for each alarm");
    tq_slab_fini(&run->chunks);
    free(run);
}

int main(void)
{
    run_once(1, ENTRIES, false);
    run_once(2, ENTRIES / 2, false);
    run_once(8, ENTRIES / 8, false);
    run_once(1, LONELY, true);
    run_once(3, LONELY / 3, true);
    return tap_done();
}
