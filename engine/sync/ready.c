#include "engine/sync/ready.h"

#include <assert.h>

#include "engine/base/memory.h"

enum { PER_WORD = TQ_READY_RANKS_PER_WORD };

static inline uint64_t hint_bit(uint32_t rank)
{
    return (uint64_t)1 << rank % PER_WORD;
}
static inline uint64_t doubt_bit(uint32_t rank)
{
    return (uint64_t)0x10000 << rank % PER_WORD;
}
static inline uint32_t tag_of(uint64_t w)
{
    return (uint32_t)(w >> 32);
}

struct tq_ready *tq_ready_create(const struct tq_memory *memory, struct tq_fifo *const *fifos,
                                 const int32_t *weights, uint32_t count)
{
    uint32_t words = (count + PER_WORD - 1) / PER_WORD;
    size_t size = sizeof(struct tq_ready) + count * sizeof(struct tq_fifo *) +
                  words * (sizeof(tq_a64) + sizeof(tq_a32)) + count * sizeof(uint32_t) +
                  count * sizeof(struct tq_ready_level);
    char *at = tq_alloc(memory, size, TQ_LINE);
    if (!at)
        return NULL;
    struct tq_ready *r = (struct tq_ready *)(void *)at;
    r->size = size;
    r->count = count;
    r->words = words;
    r->fifo = (struct tq_fifo **)(void *)(at += sizeof *r);
    r->word = (tq_a64 *)(void *)(at += count * sizeof *r->fifo);
    r->open = (tq_a32 *)(void *)(at += words * sizeof *r->word);
    r->level_of = (uint32_t *)(void *)(at += words * sizeof *r->open);
    r->level = (struct tq_ready_level *)(void *)(at + count * sizeof *r->level_of);
    uint32_t levels = 0;
    for (uint32_t i = 0; i < count; i++) {
        r->fifo[i] = fifos[i];
        assert(i == 0 || weights[i] <= weights[i - 1]);
        if (i == 0 || weights[i] != weights[i - 1])
            r->level[levels++] = (struct tq_ready_level){.first = i, .turn = i};
        r->level_of[i] = levels - 1;
        r->level[levels - 1].end = i + 1;
    }
    for (uint32_t i = 0; i < levels; i++)
        if (r->level[i].end - r->level[i].first == 1 && r->level[i].first < PER_WORD)
            r->alone |= 1u << r->level[i].first;
    return r;
}

void tq_ready_destroy(const struct tq_memory *memory, struct tq_ready *ready)
{
    if (ready)
        tq_free(memory, ready, ready->size);
}

void tq_ready_open(struct tq_ready *ready, uint32_t rank, bool open)
{
    uint32_t bit = 1u << rank % PER_WORD;
    if (open)
        tq_or(&ready->open[rank / PER_WORD], bit, seq_cst);
    else
        tq_and(&ready->open[rank / PER_WORD], ~bit, seq_cst);
}

void tq_ready_mark_slow(struct tq_ready *ready, uint32_t rank)
{
    tq_a64 *word = &ready->word[rank / PER_WORD];
    uint64_t w = tq_load(word, seq_cst);
    if (w & doubt_bit(rank))
        w = tq_and(word, ~doubt_bit(rank), seq_cst);
    if (!(w & hint_bit(rank)))
        tq_or(word, hint_bit(rank), seq_cst);
}

/* The fifo was found empty: take its hint away, unless something comes in between. */
static bool settle(struct tq_ready *ready, struct tq_fifo_cache *cache, uint32_t rank,
                   struct tq_taken *out)
{
    tq_a64 *word = &ready->word[rank / PER_WORD];
    uint64_t both = hint_bit(rank) | doubt_bit(rank);
    uint64_t w = tq_load(word, relaxed);
    uint64_t mine;
    do {
        if (!(w & hint_bit(rank)))
            return false; /* another consumer did */
        mine = (w | doubt_bit(rank)) + ((uint64_t)1 << 32);
    } while (!tq_cas(word, &w, mine, seq_cst, relaxed)); /* S1 */

    if (tq_fifo_pop(ready->fifo[rank], cache, out)) { /* S2 */
        tq_ready_mark_slow(ready, rank);
        return true;
    }
    w = mine;
    while (!tq_cas(word, &w, w & ~both, seq_cst, relaxed)) /* S3 */
        if (tag_of(w) != tag_of(mine) || (w & both) != both)
            break; /* a push was here, or another settler is */
    return false;
}

static inline uint32_t hinted(const struct tq_ready *ready, uint32_t i)
{
    return (uint32_t)tq_load(&ready->word[i], seq_cst) & 0xffff & tq_load(&ready->open[i], seq_cst);
}

/* The first hinted rank in from <= rank < end; end if there is none. */
static uint32_t next_hinted(const struct tq_ready *ready, uint32_t from, uint32_t end)
{
    while (from < end) {
        uint32_t bits = hinted(ready, from / PER_WORD) >> from % PER_WORD;
        if (bits) {
            uint32_t rank = from + (uint32_t)__builtin_ctz(bits);
            return rank < end ? rank : end;
        }
        from += PER_WORD - from % PER_WORD;
    }
    return end;
}

/* Look into one fifo. */
static bool try_rank(struct tq_ready *ready, struct tq_fifo_cache *cache, uint32_t rank,
                     bool thorough, struct tq_taken *out)
{
    out->rank = rank;
    if (TQ_LIKELY(tq_fifo_pop(ready->fifo[rank], cache, out)))
        return true;
    /* A hint that stays costs a look each time. Where others are hinted too it is taken away at once; alone
     * it may stay until one goes to sleep, which spares both sides the exchange when the consumer is the
     * faster. */
    if (!thorough && next_hinted(ready, rank + 1, ready->count) == ready->count)
        return false;
    return out->wake = settle(ready, cache, rank, out);
}

static bool try_range(struct tq_ready *ready, struct tq_fifo_cache *cache, uint32_t from,
                      uint32_t end, bool thorough, struct tq_taken *out)
{
    for (uint32_t r = next_hinted(ready, from, end); r < end; r = next_hinted(ready, r + 1, end))
        if (try_rank(ready, cache, r, thorough, out))
            return true;
    return false;
}

/* Equals, beginning with the one whose turn it is. */
static bool try_level(struct tq_ready *ready, struct tq_fifo_cache *cache,
                      struct tq_ready_level *level, bool thorough, struct tq_taken *out)
{
    uint32_t turn = tq_load(&level->turn, relaxed);
    if (!try_range(ready, cache, turn, level->end, thorough, out) &&
        !try_range(ready, cache, level->first, turn, thorough, out))
        return false;
    uint32_t next = out->rank + 1;
    tq_store(&level->turn, next < level->end ? next : level->first, relaxed);
    return true;
}

/* Each rank is visited at most once: a push into one that was passed began after our look. */
static bool take_from(struct tq_ready *ready, struct tq_fifo_cache *cache, uint32_t rank,
                      bool thorough, struct tq_taken *out)
{
    while (rank < ready->count) {
        struct tq_ready_level *level = &ready->level[ready->level_of[rank]];
        bool alone = level->end - level->first == 1;
        if (alone ? try_rank(ready, cache, rank, thorough, out)
                  : try_level(ready, cache, level, thorough, out))
            return true;
        rank = next_hinted(ready, level->end, ready->count);
    }
    out->item = TQ_NONE;
    return false;
}

bool tq_ready_take(struct tq_ready *ready, struct tq_fifo_cache *cache, bool thorough,
                   struct tq_taken *out)
{
    out->wake = false;
    /* The usual case without a detour: the first hinted rank is alone in its weight and has an item. */
    uint32_t bits = TQ_LIKELY(ready->words) ? hinted(ready, 0) : 0;
    uint32_t rank = bits ? (uint32_t)__builtin_ctz(bits) : next_hinted(ready, 0, ready->count);
    if (TQ_LIKELY(bits && ready->alone >> rank & 1)) {
        out->rank = rank;
        if (TQ_LIKELY(tq_fifo_pop(ready->fifo[rank], cache, out)))
            return true;
    }
    return take_from(ready, cache, rank, thorough, out);
}

void tq_ready_again(struct tq_ready *ready, uint32_t rank)
{
    struct tq_ready_level *level = &ready->level[ready->level_of[rank]];
    if (level->end - level->first > 1)
        tq_store(&level->turn, rank, relaxed);
}

bool tq_ready_glance(const struct tq_ready *ready)
{
    for (uint32_t r = next_hinted(ready, 0, ready->count); r < ready->count;
         r = next_hinted(ready, r + 1, ready->count))
        if (tq_fifo_peek(ready->fifo[r]) != TQ_NONE || tq_fifo_at_end(ready->fifo[r]))
            return true;
    return false;
}

bool tq_ready_any(const struct tq_ready *ready)
{
    for (uint32_t i = 0; i < ready->words; i++) {
        uint64_t w = tq_load(&ready->word[i], seq_cst);
        if ((uint32_t)(w & ~(w >> 16)) & 0xffff & tq_load(&ready->open[i], seq_cst))
            return true;
    }
    return false;
}

bool tq_ready_check(const struct tq_ready *ready)
{
    for (uint32_t rank = 0; rank < ready->count; rank++) {
        uint64_t items;
        if (!tq_fifo_check(ready->fifo[rank], &items))
            return false;
        if (items && !(tq_load(&ready->word[rank / PER_WORD], seq_cst) & hint_bit(rank)))
            return false;
    }
    return true;
}
