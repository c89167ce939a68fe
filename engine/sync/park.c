#include "engine/sync/park.h"

#include <assert.h>

#include "engine/sync/futex.h"

static inline uint32_t top_of(uint64_t w)
{
    return (uint32_t)(w & 0xffff);
}
static inline uint32_t searchers_of(uint64_t w)
{
    return (uint32_t)(w >> 16) & 0xffff;
}
static inline uint64_t word_of(uint64_t old, uint32_t searchers, uint32_t top)
{
    return ((old >> 32) + 1) << 32 | (uint64_t)searchers << 16 | top;
}

void tq_park_init(struct tq_park *park, struct tq_sleeper *sleepers)
{
    tq_store(&park->word, 0, relaxed);
    park->sleepers = sleepers;
}

int tq_park_pop_(struct tq_park *park, uint64_t word, bool even_if_searched)
{
    while (top_of(word) && (even_if_searched || !searchers_of(word))) {
        struct tq_sleeper *s = &park->sleepers[top_of(word) - 1];
        uint32_t below = tq_load(&s->below, relaxed); /* nonsense if he left: the tag tells */
        if (tq_cas(&park->word, &word, word_of(word, searchers_of(word) + 1, below), seq_cst,
                   seq_cst)) {
            tq_store(&s->awake, 1, release);
            return (int)top_of(word) - 1;
        }
    }
    return -1;
}

int tq_park_notify_any(struct tq_park *park)
{
    return tq_park_pop_(park, tq_load(&park->word, seq_cst), true);
}

void tq_park_wake(struct tq_park *park, int index)
{
    tq_futex_wake(&park->sleepers[index].awake, 1);
}

bool tq_park_search(struct tq_park *park, uint32_t most)
{
    uint64_t w = tq_load(&park->word, relaxed);
    while (searchers_of(w) < most)
        if (tq_cas(&park->word, &w, word_of(w, searchers_of(w) + 1, top_of(w)), seq_cst, relaxed))
            return true;
    return false;
}

bool tq_park_found(struct tq_park *park)
{
    uint64_t w = tq_load(&park->word, relaxed);
    assert(searchers_of(w) > 0);
    while (!tq_cas(&park->word, &w, word_of(w, searchers_of(w) - 1, top_of(w)), seq_cst, relaxed))
        ;
    return searchers_of(w) == 1;
}

void tq_park_join(struct tq_park *park, int index, bool was_searching)
{
    struct tq_sleeper *s = &park->sleepers[index];
    tq_store(&s->awake, 0, relaxed);
    uint64_t w = tq_load(&park->word, relaxed);
    do
        tq_store(&s->below, top_of(w), relaxed);
    while (!tq_cas(&park->word, &w,
                   word_of(w, searchers_of(w) - was_searching, (uint32_t)index + 1), seq_cst,
                   relaxed)); /* Q1 */
}

void tq_park_sleep(struct tq_park *park, int index)
{
    tq_a32 *awake = &park->sleepers[index].awake;
    while (!tq_load(awake, acquire))
        tq_futex_wait(awake, 0, INT64_MAX);
}

bool tq_park_is_awake(const struct tq_park *park, int index)
{
    return tq_load(&park->sleepers[index].awake, acquire) != 0;
}

uint32_t tq_park_asleep(const struct tq_park *park, uint32_t sleepers_count)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < sleepers_count; i++)
        n += !tq_park_is_awake(park, (int)i);
    return n;
}

bool tq_park_check(const struct tq_park *park, uint32_t sleepers_count)
{
    uint32_t n = 0;
    uint32_t at = top_of(tq_load(&park->word, acquire));
    for (; at; at = tq_load(&park->sleepers[at - 1].below, relaxed))
        if (++n > sleepers_count || at > sleepers_count || tq_park_is_awake(park, (int)at - 1))
            return false;
    return true;
}
