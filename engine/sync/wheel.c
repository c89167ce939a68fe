#include "engine/sync/wheel.h"

#include <assert.h>
#include <string.h>

enum {
    DIGIT = 255,
    TOP = 4 * 256, /* first slot of the level that goes round */
    AWAY_MAX = 255,
    /* Chunks beyond I4's: one half handed out, one being poured, one of a slot that is swept in two chains, and the
     * loose ones of some settings of the clock that no insert came between. */
    SLACK = 16,
    LOOK = 64 /* chunks that `next` looks through for the first tick */
};

static const struct tq_wheel_chain empty_chain = {TQ_NONE, TQ_NONE, TQ_NONE};

static inline struct tq_wheel_chunk *chunk_at(const struct tq_wheel *w, uint32_t index)
{
    return tq_chunk_at(w->chunks, index);
}

/* ---- chunks (I4) ------------------------------------------------------------------------------------------ */

static uint64_t need(const struct tq_wheel *w, uint64_t entries)
{
    uint64_t opened = entries < TQ_WHEEL_SLOTS ? entries : TQ_WHEEL_SLOTS;
    return entries / TQ_WHEEL_ENTRIES + opened + w->loose + SLACK;
}

/* From below where a division would have to be undone: then the next insert asks again. */
static void set_enough(struct tq_wheel *w)
{
    const uint64_t fixed = (uint64_t)w->loose + SLACK;
    const uint64_t chunks = w->owned > fixed ? w->owned - fixed : 0;
    const uint64_t all_open = TQ_WHEEL_SLOTS + TQ_WHEEL_SLOTS / TQ_WHEEL_ENTRIES;
    w->enough = chunks >= all_open
                    ? (chunks - TQ_WHEEL_SLOTS) * TQ_WHEEL_ENTRIES + TQ_WHEEL_ENTRIES - 1
                    : chunks * TQ_WHEEL_ENTRIES / (TQ_WHEEL_ENTRIES + 1);
}

static void keep_spare(struct tq_wheel *w, uint32_t index)
{
    chunk_at(w, index)->link = w->spare;
    w->spare = index;
    w->spares++;
}

static bool grow(struct tq_wheel *w, struct tq_slab_cache *cache, uint64_t entries)
{
    while (w->owned < need(w, entries)) {
        uint32_t index;
        if (tq_slab_alloc(w->chunks, cache, &index) != TQ_SLAB_OK)
            return false;
        keep_spare(w, index);
        w->owned++;
    }
    set_enough(w);
    return true;
}

/* Nobody uses it any more. What is not needed goes to whoever does. */
static void release(struct tq_wheel *w, struct tq_slab_cache *cache, uint32_t index)
{
    w->loose -= chunk_at(w, index)->loose;
    keep_spare(w, index);
    if (w->owned <= need(w, w->count + w->out))
        return;
    do {
        index = w->spare;
        w->spare = chunk_at(w, index)->link;
        w->spares--;
        w->owned--;
        tq_slab_free(w->chunks, cache, index);
    } while (w->spares && w->owned > need(w, w->count + w->out));
    set_enough(w);
}

/* ---- chains ----------------------------------------------------------------------------------------------- */

static bool is_empty(const struct tq_wheel_chain *chain)
{
    return chain->head == TQ_NONE;
}

static struct tq_wheel_chunk *extend(struct tq_wheel *w, struct tq_wheel_chain *chain)
{
    const uint32_t index = w->spare;
    assert(index != TQ_NONE); /* I4 */
    struct tq_wheel_chunk *c = chunk_at(w, index);
    w->spare = c->link;
    w->spares--;
    c->link = TQ_NONE;
    c->count = c->loose = 0;
    if (is_empty(chain))
        chain->head = index;
    else
        chunk_at(w, chain->tail)->link = index;
    chain->before = chain->tail;
    chain->tail = index;
    return c;
}

static inline void append(struct tq_wheel *w, struct tq_wheel_chain *chain,
                          struct tq_wheel_entry entry)
{
    struct tq_wheel_chunk *c;
    if (chain->tail == TQ_NONE || (c = chunk_at(w, chain->tail))->count == TQ_WHEEL_ENTRIES)
        c = extend(w, chain);
    c->entry[c->count++] = entry;
}

static void drop_head(struct tq_wheel *w, struct tq_slab_cache *cache, struct tq_wheel_chain *chain)
{
    const uint32_t index = chain->head;
    chain->head = chunk_at(w, index)->link;
    if (chain->head == TQ_NONE)
        *chain = empty_chain;
    else if (chain->head == chain->tail)
        chain->before = TQ_NONE;
    release(w, cache, index);
}

static void prefetch_chunk(const struct tq_wheel *w, uint32_t index)
{
    if (index == TQ_NONE)
        return;
    const char *c = (const char *)chunk_at(w, index);
    TQ_PREFETCH(c);
    TQ_PREFETCH(c + TQ_LINE);
}

/* `late` behind `early`, in one piece: the last chunk of `early` may stay loose. */
static void join(struct tq_wheel *w, struct tq_wheel_chain *early,
                 const struct tq_wheel_chain *late)
{
    if (is_empty(late))
        return;
    if (is_empty(early)) {
        *early = *late;
        return;
    }
    struct tq_wheel_chunk *last = chunk_at(w, early->tail);
    last->link = late->head;
    if (last->count < TQ_WHEEL_ENTRIES && !last->loose) {
        last->loose = 1;
        w->loose++;
        set_enough(w);
    }
    early->before = late->before == TQ_NONE ? early->tail : late->before;
    early->tail = late->tail;
}

/* All of `other` into `chain`, which has none of its ticks. Nothing is left loose: what is full goes before the last
 * chunk, and the two last ones become one. */
static void merge(struct tq_wheel *w, struct tq_slab_cache *cache, struct tq_wheel_chain *chain,
                  struct tq_wheel_chain *other)
{
    if (is_empty(chain)) {
        *chain = *other;
        *other = empty_chain;
        return;
    }
    if (other->before != TQ_NONE) {
        if (chain->before == TQ_NONE)
            chain->head = other->head;
        else
            chunk_at(w, chain->before)->link = other->head;
        chunk_at(w, other->before)->link = chain->tail;
        chain->before = other->before;
    }
    const struct tq_wheel_chunk rest = *chunk_at(w, other->tail);
    release(w, cache, other->tail);
    for (uint32_t i = 0; i < rest.count; i++)
        append(w, chain, rest.entry[i]);
    *other = empty_chain;
}

/* ---- slots ------------------------------------------------------------------------------------------------ */

static void set_occupied(struct tq_wheel *w, uint32_t slot)
{
    w->occupied[slot >> 8][slot >> 6 & 3] |= UINT64_C(1) << (slot & 63);
}

static void clear_occupied(struct tq_wheel *w, uint32_t slot)
{
    w->occupied[slot >> 8][slot >> 6 & 3] &= ~(UINT64_C(1) << (slot & 63));
}

/* The first digit from `from` on that is in use on a level; 256: none. */
static uint32_t digit_in_use(const uint64_t bits[4], uint32_t from)
{
    for (uint32_t i = from >> 6; i < 4; i++) {
        uint64_t word = bits[i];
        if (i == from >> 6)
            word &= ~UINT64_C(0) << (from & 63);
        if (word)
            return i << 6 | (uint32_t)__builtin_ctzll(word);
    }
    return 256;
}

static inline uint32_t level_of(uint32_t differ)
{
    return (uint32_t)(31 - __builtin_clz(differ | 1)) >> 3;
}

/* Where a tick stands as seen from `cursor`; one too far away becomes the farthest there is. */
static inline uint32_t slot_of(uint64_t cursor, uint64_t *tick)
{
    const uint64_t differ = *tick ^ cursor;
    if (TQ_UNLIKELY(differ >> 32)) {
        if ((*tick >> 32) - (cursor >> 32) > AWAY_MAX)
            *tick = ((cursor >> 32) + AWAY_MAX) << 32;
        return TOP + (*tick >> 32 & DIGIT);
    }
    const uint32_t level = level_of((uint32_t)differ);
    return level << 8 | (uint32_t)(*tick >> 8 * level & DIGIT);
}

/* The first tick that a slot is for. */
static uint64_t start_of(const struct tq_wheel *w, uint32_t slot)
{
    if (slot >= TOP) {
        const uint64_t top = w->cursor >> 32;
        return (top + 1 + ((slot - top - 1) & DIGIT)) << 32;
    }
    const uint32_t shift = 8 * (slot >> 8);
    return w->cursor >> (shift + 8) << (shift + 8) | (uint64_t)(slot & DIGIT) << shift;
}

/* TQ_NONE: the wheel is empty. */
static uint32_t first_slot(const struct tq_wheel *w)
{
    uint32_t digit;
    if (!w->count)
        return TQ_NONE;
    for (uint32_t level = 0; level < TQ_WHEEL_LEVELS - 1; level++)
        if ((digit = digit_in_use(w->occupied[level], 0)) < 256)
            return level << 8 | digit;
    const uint32_t after = (uint32_t)((w->cursor >> 32) + 1) & DIGIT;
    digit = digit_in_use(w->occupied[TQ_WHEEL_LEVELS - 1], after);
    if (digit == 256)
        digit = digit_in_use(w->occupied[TQ_WHEEL_LEVELS - 1], 0);
    return digit < 256 ? TOP + digit : TQ_NONE;
}

/* ---- init, insert ----------------------------------------------------------------------------------------- */

void tq_wheel_init(struct tq_wheel *wheel, struct tq_slab *chunks, uint64_t now)
{
    memset(wheel, 0, sizeof *wheel);
    wheel->chunks = chunks;
    wheel->cursor = now;
    wheel->spare = wheel->pouring = wheel->sweeping = TQ_NONE;
    wheel->due = wheel->unswept = empty_chain;
    for (uint32_t i = 0; i < TQ_WHEEL_SLOTS; i++)
        wheel->slot[i] = empty_chain;
}

static void give_back(struct tq_wheel *w, struct tq_slab_cache *cache, uint32_t index)
{
    while (index != TQ_NONE) {
        const uint32_t next = chunk_at(w, index)->link;
        tq_slab_free(w->chunks, cache, index);
        index = next;
    }
}

void tq_wheel_fini(struct tq_wheel *wheel, struct tq_slab_cache *cache)
{
    give_back(wheel, cache, wheel->due.head);
    give_back(wheel, cache, wheel->unswept.head);
    give_back(wheel, cache, wheel->spare);
    for (uint32_t i = 0; i < TQ_WHEEL_SLOTS; i++)
        give_back(wheel, cache, wheel->slot[i].head);
    tq_wheel_init(wheel, wheel->chunks, wheel->cursor);
}

static inline void add(struct tq_wheel *w, uint64_t tick, uint32_t item, uint32_t generation)
{
    w->count++;
    struct tq_wheel_chain *chain = &w->due;
    if (TQ_LIKELY(tick > w->cursor)) {
        const uint32_t slot = slot_of(w->cursor, &tick);
        set_occupied(w, slot);
        chain = TQ_UNLIKELY(slot == w->sweeping) ? &w->unswept : &w->slot[slot];
    }
    append(w, chain, (struct tq_wheel_entry){item, generation, (uint32_t)tick});
}

bool tq_wheel_insert(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t tick,
                     uint32_t item, uint32_t generation)
{
    if (TQ_UNLIKELY(wheel->count + wheel->out >= wheel->enough) &&
        !grow(wheel, cache, wheel->count + wheel->out + 1))
        return false;
    add(wheel, tick, item, generation);
    return true;
}

void tq_wheel_again(struct tq_wheel *wheel, uint64_t tick, uint32_t item, uint32_t generation)
{
    assert(wheel->out > 0);
    wheel->out--;
    add(wheel, tick, item, generation);
}

/* ---- expire ----------------------------------------------------------------------------------------------- */

/* The slot is wanted for something else: what the sweep has not seen goes back behind what it has. */
static void put_back(struct tq_wheel *w, uint32_t slot)
{
    if (w->sweeping != slot)
        return;
    join(w, &w->slot[slot], &w->unswept);
    w->unswept = empty_chain;
    w->sweeping = TQ_NONE;
    w->sweep_below = slot;
}

/* The chain of the slot whose pouring goes on, as far as `budget` reaches. */
static bool pour(struct tq_wheel *w, struct tq_slab_cache *cache, uint32_t *budget)
{
    const uint64_t base = w->cursor + 1;
    struct tq_wheel_chain *chain = &w->slot[w->pouring];
    while (!is_empty(chain)) {
        struct tq_wheel_chunk *c = chunk_at(w, chain->head);
        if (c->count > *budget)
            return false;
        *budget -= c->count;
        prefetch_chunk(w, c->link);
        for (uint32_t i = 0; i < c->count; i++) {
            uint64_t tick = base >> 32 << 32 | c->entry[i].tick;
            const uint32_t slot = slot_of(base, &tick);
            set_occupied(w, slot);
            append(w, &w->slot[slot], c->entry[i]);
        }
        drop_head(w, cache, chain);
    }
    clear_occupied(w, w->pouring);
    w->pouring = TQ_NONE;
    return true;
}

/* The cursor reaches a tick; the chain of its slot on the lowest level is due. */
static void reach(struct tq_wheel *w, uint64_t tick)
{
    const uint32_t slot = (uint32_t)tick & DIGIT;
    w->cursor = tick;
    put_back(w, slot);
    w->due = w->slot[slot];
    w->due_taken = 0;
    w->slot[slot] = empty_chain;
    clear_occupied(w, slot);
}

static uint32_t take_due(struct tq_wheel *w, struct tq_slab_cache *cache, struct tq_due *out,
                         uint32_t max)
{
    uint32_t n = 0;
    while (n < max && !is_empty(&w->due)) {
        const struct tq_wheel_chunk *c = chunk_at(w, w->due.head);
        if (w->due_taken == 0)
            prefetch_chunk(w, c->link);
        for (; n < max && w->due_taken < c->count; n++, w->due_taken++)
            out[n] =
                (struct tq_due){c->entry[w->due_taken].item, c->entry[w->due_taken].generation};
        if (w->due_taken == c->count) {
            w->count -= c->count;
            w->out += c->count;
            w->due_taken = 0;
            drop_head(w, cache, &w->due);
        }
    }
    return n;
}

/* One step towards `now`. False: it is done, or the budget is used up. */
static bool advance(struct tq_wheel *w, struct tq_slab_cache *cache, uint64_t now, uint32_t *budget,
                    bool *out_more)
{
    if (w->pouring != TQ_NONE) {
        put_back(w, w->pouring);
        if (!pour(w, cache, budget)) {
            *out_more = true;
            return false;
        }
        reach(w, w->cursor + 1);
        return true;
    }
    const uint32_t slot = first_slot(w);
    const uint64_t start = slot == TQ_NONE ? TQ_WHEEL_NEVER : start_of(w, slot);
    if (start > now) {
        if (now > w->cursor)
            w->cursor = now;
        return false;
    }
    if (slot < 256) {
        reach(w, start);
    } else {
        w->cursor = start - 1;
        w->pouring = slot;
    }
    return true;
}

uint32_t tq_wheel_expire(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t now,
                         struct tq_due *out, uint32_t max, bool *out_more)
{
    uint32_t budget = TQ_WHEEL_STEP;
    uint32_t n = 0;
    bool going = true;
    *out_more = false;
    wheel->out = 0;
    while (going) {
        n += take_due(wheel, cache, out + n, max - n);
        if (n == max) {
            *out_more = tq_wheel_count(wheel) > 0;
            break;
        }
        going = advance(wheel, cache, now, &budget, out_more);
    }
    if (TQ_WHEEL_STEP - budget > wheel->poured_max)
        wheel->poured_max = TQ_WHEEL_STEP - budget;
    assert(wheel->poured_max <= TQ_WHEEL_STEP);
    wheel->out = n;
    return n;
}

/* ---- next ------------------------------------------------------------------------------------------------- */

/* False: there are too many to look at. */
static bool first_tick(const struct tq_wheel *w, const struct tq_wheel_chain *chain,
                       uint32_t *first)
{
    uint32_t looks = 0;
    for (uint32_t i = chain->head; i != TQ_NONE; i = chunk_at(w, i)->link) {
        const struct tq_wheel_chunk *c = chunk_at(w, i);
        if (++looks > LOOK)
            return false;
        for (uint32_t k = 0; k < c->count; k++)
            if (c->entry[k].tick < *first)
                *first = c->entry[k].tick;
    }
    return true;
}

uint64_t tq_wheel_next(const struct tq_wheel *wheel)
{
    if (!is_empty(&wheel->due) || wheel->pouring != TQ_NONE)
        return wheel->cursor;
    const uint32_t slot = first_slot(wheel);
    if (slot == TQ_NONE)
        return TQ_WHEEL_NEVER;
    const uint64_t start = start_of(wheel, slot);
    uint32_t first = UINT32_MAX;
    if (slot < 256 || !first_tick(wheel, &wheel->slot[slot], &first) ||
        (slot == wheel->sweeping && !first_tick(wheel, &wheel->unswept, &first)))
        return start;
    return start >> 32 << 32 | first;
}

/* ---- rebase ----------------------------------------------------------------------------------------------- */

/* What stands on the levels below `level` goes into one chain. */
static void gather(struct tq_wheel *w, struct tq_slab_cache *cache, uint32_t level,
                   struct tq_wheel_chain *chain)
{
    for (uint32_t slot = 0; slot < level << 8; slot++)
        if (!is_empty(&w->slot[slot]))
            merge(w, cache, chain, &w->slot[slot]);
    memset(w->occupied, 0, level * sizeof w->occupied[0]);
}

/* A pouring that has not come to its end is undone: what is below goes back, before what is still there (I1). */
static void unpour(struct tq_wheel *w, struct tq_slab_cache *cache)
{
    if (w->pouring == TQ_NONE)
        return;
    struct tq_wheel_chain below = empty_chain;
    gather(w, cache, w->pouring >> 8, &below);
    join(w, &below, &w->slot[w->pouring]);
    w->slot[w->pouring] = below;
    w->pouring = TQ_NONE;
}

/* Seen from a cursor that is lower in a digit, all that agrees with the old cursor in that digit and those above stands
 * in the slot of that digit: it was on the levels below. What was on that level and above stays where it is. (On the
 * level that goes round a slot may now mean 2^40 ticks less, which is early.) */
void tq_wheel_rebase(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint64_t now)
{
    if (now >= wheel->cursor)
        return;
    if (wheel->sweeping != TQ_NONE)
        put_back(wheel, wheel->sweeping);
    if (wheel->sweep_below)
        wheel->sweep_below = TQ_WHEEL_SLOTS;
    unpour(wheel, cache);
    uint64_t reached = wheel->cursor;
    const uint32_t slot = slot_of(now, &reached);
    struct tq_wheel_chain below = empty_chain;
    gather(wheel, cache, slot >> 8, &below);
    if (!is_empty(&below)) {
        if (is_empty(&wheel->slot[slot]))
            wheel->slot[slot] = below;
        else
            merge(wheel, cache, &wheel->slot[slot], &below);
        set_occupied(wheel, slot);
    }
    wheel->cursor = now;
    grow(wheel, cache,
         wheel->count + wheel->out); /* for what is loose; if it fails the slack serves */
}

/* ---- sweep ------------------------------------------------------------------------------------------------ */

/* From above to below, as entries move: none goes by unseen. */
static uint32_t slot_to_sweep(const struct tq_wheel *w)
{
    for (uint32_t slot = w->sweep_below; slot-- > 0;)
        if (!is_empty(&w->slot[slot]))
            return slot;
    return TQ_NONE;
}

static bool sweep_slot(struct tq_wheel *w, struct tq_slab_cache *cache, uint32_t *budget,
                       bool (*is_live)(void *, uint32_t, uint32_t), void *context)
{
    struct tq_wheel_chain *kept = &w->slot[w->sweeping];
    while (!is_empty(&w->unswept)) {
        const struct tq_wheel_chunk *c = chunk_at(w, w->unswept.head);
        if (c->count > *budget)
            return false;
        *budget -= c->count;
        prefetch_chunk(w, c->link);
        for (uint32_t i = 0; i < c->count; i++) {
            if (is_live(context, c->entry[i].item, c->entry[i].generation))
                append(w, kept, c->entry[i]);
            else
                w->count--;
        }
        drop_head(w, cache, &w->unswept);
    }
    if (is_empty(kept) && w->sweeping != w->pouring)
        clear_occupied(w, w->sweeping);
    w->sweep_below = w->sweeping;
    w->sweeping = TQ_NONE;
    return true;
}

bool tq_wheel_sweep(struct tq_wheel *wheel, struct tq_slab_cache *cache, uint32_t budget,
                    bool (*is_live)(void *context, uint32_t item, uint32_t generation),
                    void *context)
{
    assert(budget >= TQ_WHEEL_ENTRIES);
    if (wheel->sweep_below == 0)
        wheel->sweep_below = TQ_WHEEL_SLOTS;
    for (;;) {
        if (wheel->sweeping == TQ_NONE) {
            const uint32_t slot = slot_to_sweep(wheel);
            if (slot == TQ_NONE)
                break;
            wheel->sweeping = slot;
            wheel->unswept = wheel->slot[slot];
            wheel->slot[slot] = empty_chain;
        }
        if (!sweep_slot(wheel, cache, &budget, is_live, context))
            return false;
    }
    wheel->sweep_below = 0;
    return true;
}

/* ---- check ------------------------------------------------------------------------------------------------ */

struct tally {
    uint64_t entries, chunks, loose;
};

static bool stands_in(const struct tq_wheel *w, uint32_t slot, uint32_t low)
{
    if (slot >= TOP)
        return true; /* its level has no digit of the lower half */
    const uint64_t cursor =
        w->pouring != TQ_NONE && slot < (w->pouring & ~DIGIT) ? w->cursor + 1 : w->cursor;
    uint64_t tick = cursor >> 32 << 32 | low;
    return tick >= cursor && slot_of(cursor, &tick) == slot;
}

/* slot: TQ_NONE: any tick may stand in it. */
static bool check_chain(const struct tq_wheel *w, const struct tq_wheel_chain *chain, uint32_t slot,
                        struct tally *tally)
{
    uint32_t before = TQ_NONE, last = TQ_NONE;
    for (uint32_t i = chain->head; i != TQ_NONE; i = chunk_at(w, i)->link) {
        const struct tq_wheel_chunk *c = chunk_at(w, i);
        if (++tally->chunks > w->owned || c->count == 0 || c->count > TQ_WHEEL_ENTRIES)
            return false;
        if (c->link != TQ_NONE && (c->count < TQ_WHEEL_ENTRIES) > c->loose)
            return false;
        for (uint32_t k = 0; k < c->count && slot != TQ_NONE; k++)
            if (!stands_in(w, slot, c->entry[k].tick))
                return false;
        tally->entries += c->count;
        tally->loose += c->loose;
        before = last;
        last = i;
    }
    return last == chain->tail && before == chain->before;
}

bool tq_wheel_check(const struct tq_wheel *wheel)
{
    struct tally tally = {0};
    if (!check_chain(wheel, &wheel->due, TQ_NONE, &tally) ||
        !check_chain(wheel, &wheel->unswept, wheel->sweeping, &tally))
        return false;
    for (uint32_t slot = 0; slot < TQ_WHEEL_SLOTS; slot++) {
        const bool holds = !is_empty(&wheel->slot[slot]) || slot == wheel->sweeping;
        const bool marked = wheel->occupied[slot >> 8][slot >> 6 & 3] >> (slot & 63) & 1;
        if (holds > marked || (marked > holds && slot != wheel->pouring) ||
            !check_chain(wheel, &wheel->slot[slot], slot, &tally))
            return false;
    }
    uint32_t spares = 0;
    for (uint32_t i = wheel->spare; i != TQ_NONE; i = chunk_at(wheel, i)->link)
        if (++spares > wheel->owned)
            return false;
    /* A chunk that is half handed out counts with all its entries. */
    return tally.entries == wheel->count && tally.chunks + spares == wheel->owned &&
           spares == wheel->spares && tally.loose == wheel->loose &&
           (wheel->count == 0 || wheel->owned + SLACK / 2 >= need(wheel, wheel->count));
}
