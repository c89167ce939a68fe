#include "engine/sync/fifo.h"

#include <assert.h>

/* How often a consumer looks at the cell of a ticket that is out before it gives the cell up. A producer needs
 * some 20 to 100 ns from ticket to cell unless it was preempted. */
#ifndef TQ_FIFO_PATIENCE
#define TQ_FIFO_PATIENCE 16
#endif

#define NIL 0u
#define CLOSED UINT32_MAX
#define TAKEN TQ_FIFO_TAKEN
#define CLOSED_BIT 0x80000000u
#define HELD_BIT 0x80000000u
#define LEFT (TQ_FIFO_CELLS + 1u)
/* A spare with fewer lives behind it is used. What is left to 2^32 is for appends that lose: each begins a life, and the
 * spare stays where it is. */
#define GENERATIONS (UINT32_MAX - 0xffff)

_Static_assert(sizeof(struct tq_segment) % TQ_LINE == 0, "a segment ends with its line");
_Static_assert(TQ_FIFO_CELLS >= 2,
               "a segment has room for more than the item it was appended with");

static inline uint64_t word(uint32_t generation, uint32_t low)
{
    return (uint64_t)generation << 32 | low;
}
static inline uint32_t generation_of(uint64_t w)
{
    return (uint32_t)(w >> 32);
}
static inline uint32_t low_of(uint64_t w)
{
    return (uint32_t)w;
}
static inline uint32_t tickets_of(uint64_t enq)
{
    return (uint32_t)enq & ~CLOSED_BIT;
}

/* Cells taken: as much as LEFT are all. */
static inline uint32_t taken_of(uint64_t deq)
{
    uint32_t taken = (uint32_t)deq & ~HELD_BIT;
    return taken < TQ_FIFO_CELLS ? taken : TQ_FIFO_CELLS;
}

static inline struct tq_segment *segment_at(const struct tq_fifo *fifo, uint32_t index)
{
    return tq_segment_at(fifo, index);
}

/* ---- spares -------------------------------------------------------------------------------------- */

bool tq_fifo_reserve_slow(struct tq_slab *segments, struct tq_fifo_cache *cache, uint32_t spares)
{
    while (cache->spares < spares) {
        uint32_t index;
        if (tq_slab_alloc(segments, &cache->slab, &index) != TQ_SLAB_OK)
            return false;
        struct tq_segment *s = tq_slab_at(segments, index);
        if (s->generation >= GENERATIONS)
            continue; /* I4: out of use for good */
        s->link = cache->spare;
        cache->spare = index;
        cache->spares++;
    }
    return true;
}

void tq_fifo_trim_slow(struct tq_slab *segments, struct tq_fifo_cache *cache)
{
    while (cache->spares > 1) {
        uint32_t index = cache->spare;
        cache->spare = ((struct tq_segment *)tq_slab_at(segments, index))->link;
        cache->spares--;
        tq_slab_free(segments, &cache->slab, index);
    }
}

static uint32_t take_spare(const struct tq_fifo *fifo, struct tq_fifo_cache *cache)
{
    uint32_t index = cache->spare;
    assert(index != TQ_NONE);
    cache->spare = segment_at(fifo, index)->link;
    cache->spares--;
    return index;
}

static void put_spare(const struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint32_t index)
{
    segment_at(fifo, index)->link = cache->spare;
    cache->spare = index;
    cache->spares++;
}

/* A new life, with count items in it. Nobody else looks at it yet but threads of an older life, whose CAS fail
 * by the generation whatever they see. */
static struct tq_segment *begin_life(const struct tq_fifo *fifo, uint32_t index, uint64_t place,
                                     const uint32_t *items, uint32_t count)
{
    struct tq_segment *s = segment_at(fifo, index);
    uint32_t g = ++s->generation;
    for (uint32_t i = 0; i < count; i++)
        tq_store(&s->cell[i], word(g, items[i] + 1), relaxed);
    tq_store(&s->next, word(g, NIL), release); /* rel: O8 */
    tq_store(&s->place, place, relaxed);
    tq_store(&s->deq, word(g, 0), relaxed);
    tq_store(&s->enq, word(g, count), relaxed);
    return s;
}

bool tq_fifo_init(struct tq_fifo *fifo, struct tq_slab *segments, struct tq_slab *links,
                  struct tq_fifo_cache *cache)
{
    assert(segments->objects.shift == TQ_SEGMENTS_SHIFT);
    assert(segments->objects.object_size == sizeof(struct tq_segment));
    fifo->segments = segments;
    tq_store(&fifo->mutex.word, 0, relaxed);
    tq_front_init(&fifo->front, links);
    fifo->sweeping = false;
    if (!tq_fifo_reserve(segments, cache, 1))
        return false;
    uint32_t index = take_spare(fifo, cache);
    struct tq_segment *s = begin_life(fifo, index, 0, NULL, 0);
    tq_store(&fifo->head, word(s->generation, index), relaxed);
    tq_store(&fifo->tail, word(s->generation, index), relaxed);
    return true;
}

void tq_fifo_fini(struct tq_fifo *fifo, struct tq_fifo_cache *cache)
{
    while (fifo->front.first != TQ_NONE) {
        uint32_t link = fifo->front.first;
        tq_front_unlink(&fifo->front, link);
        tq_slab_free(fifo->front.links, &cache->links, link);
    }
    uint32_t index = low_of(tq_load(&fifo->head, acquire));
    for (;;) {
        uint32_t next = low_of(tq_load(&segment_at(fifo, index)->next, acquire));
        tq_slab_free(fifo->segments, &cache->slab, index);
        if (next == NIL || next == CLOSED)
            return;
        index = next - 1;
    }
}

/* ---- push ---------------------------------------------------------------------------------------- */

/* Help tail over to the segment that follows. If it is no longer `tail`, somebody did. */
static void advance_tail(struct tq_fifo *fifo, uint64_t tail, uint64_t next)
{
    uint32_t index = low_of(next) - 1;
    /* `deq` tells the generation: if tail is still `tail` when the CAS succeeds, then head was not beyond it
     * (I3), so the next segment was alive when its generation was read here. */
    uint32_t g = generation_of(tq_load(&segment_at(fifo, index)->deq, relaxed));
    tq_cas(&fifo->tail, &tail, word(g, index), acq_rel, relaxed); /* rel: O3 */
}

enum append { APPENDED, RETRY, REFUSED };

/* The segment of `tail` is full: link another one that holds the first items. */
static enum append append(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint64_t tail,
                          const uint32_t *items, uint32_t count)
{
    struct tq_segment *s = segment_at(fifo, low_of(tail));
    uint64_t next = tq_load(&s->next, seq_cst); /* acq: O2 */
    if (generation_of(next) != generation_of(tail))
        return RETRY;
    if (low_of(next) == CLOSED)
        return REFUSED;
    if (low_of(next) == NIL) {
        uint32_t index = take_spare(fifo, cache);
        begin_life(fifo, index, tq_load(&s->place, relaxed) + TQ_FIFO_CELLS, items, count);
        uint64_t linked = word(generation_of(tail), index + 1);
        if (tq_cas(&s->next, &next, linked, seq_cst,
                   seq_cst)) { /* rel: O2; linearisation of push */
            advance_tail(fifo, tail, linked);
            return APPENDED;
        }
        put_spare(fifo, cache, index);
        return RETRY;
    }
    advance_tail(fifo, tail, next);
    return RETRY;
}

/* An item, or TAKEN, into the cell of a ticket. False: a consumer gave it up, or its life is over. */
static inline bool put(tq_a64 *cell, uint32_t generation, uint32_t low)
{
    uint64_t seen = tq_load(cell, relaxed);
    /* Empty is any older generation. Ours: TAKEN; a later one: our ticket's life is over. */
    return generation_of(seen) < generation &&
           tq_cas(cell, &seen, word(generation, low), seq_cst, relaxed); /* rel: O1 */
}

/* Items into the cells of `count` tickets from `ticket` on. How many went in: at the first cell that a consumer
 * gave up we stop, since what follows must not overtake; and give up the rest ourselves, so that no consumer waits
 * for it. */
static uint32_t fill(struct tq_segment *s, uint32_t generation, uint32_t ticket,
                     const uint32_t *items, uint32_t count)
{
    /* The lines were another core's, in another life: ask for all of them at once. */
    for (uint32_t i = 0; i < count; i += TQ_LINE / sizeof(tq_a64))
        TQ_PREFETCH_WRITE(&s->cell[ticket + i]);
    for (uint32_t i = 0; i < count; i++) {
        if (TQ_LIKELY(put(&s->cell[ticket + i], generation, items[i] + 1)))
            continue;
        for (uint32_t k = i + 1; k < count; k++)
            put(&s->cell[ticket + k], generation, TAKEN);
        return i;
    }
    return count;
}

/* Each refused push takes tickets too. Long before they run over into the generation, there are again as many given
 * as there are cells: it means the same. */
static void spare_tickets(struct tq_segment *s, uint64_t enq)
{
    if (tickets_of(enq) > CLOSED_BIT / 2)
        tq_cas(&s->enq, &enq, word(generation_of(enq), CLOSED_BIT | TQ_FIFO_CELLS), relaxed,
               relaxed);
}

uint32_t tq_fifo_push(struct tq_fifo *fifo, struct tq_fifo_cache *cache, const uint32_t *items,
                      uint32_t count)
{
    uint32_t done = 0;
    while (done < count) {
        uint64_t tail = tq_load(&fifo->tail, acquire); /* acq: O3 */
        struct tq_segment *s = segment_at(fifo, low_of(tail));
        uint32_t wanted = count - done < TQ_FIFO_CELLS ? count - done : TQ_FIFO_CELLS;
        uint64_t enq = tq_add(&s->enq, wanted, seq_cst); /* O4 */
        if (TQ_UNLIKELY(generation_of(enq) != generation_of(tail)))
            continue; /* I3: burnt tickets of another life */
        if (TQ_UNLIKELY(enq & CLOSED_BIT)) {
            spare_tickets(s, enq + wanted);
            break;
        }
        uint32_t ticket = tickets_of(enq);
        if (TQ_LIKELY(ticket < TQ_FIFO_CELLS)) {
            uint32_t room = TQ_FIFO_CELLS - ticket;
            done +=
                fill(s, generation_of(tail), ticket, items + done, wanted < room ? wanted : room);
            continue;
        }
        enum append r = append(fifo, cache, tail, items + done, wanted);
        if (r == APPENDED)
            done += wanted;
        else if (r == REFUSED)
            break;
    }
    return done;
}

/* ---- pop ----------------------------------------------------------------------------------------- */

/* From the segment of `head`, which is LEFT or held, to the one that follows. */
static void advance_head(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint64_t head,
                         uint64_t next)
{
    uint64_t tail = tq_load(&fifo->tail, acquire);
    if (tail == head)
        advance_tail(fifo, tail, next); /* I3 */
    uint32_t index = low_of(next) - 1;
    uint32_t g = generation_of(tq_load(&segment_at(fifo, index)->deq, relaxed));
    if (tq_cas(&fifo->head, &head, word(g, index), acq_rel, relaxed)) /* rel: O3 */
        tq_slab_free(fifo->segments, &cache->slab, low_of(head));     /* I2: it is ours */
}

static inline bool is_last(uint64_t next)
{
    return low_of(next) == NIL || low_of(next) == CLOSED;
}

/* The segment of `head` is used up, and was not held. False: nothing follows. */
static bool leave(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint64_t head, uint64_t deq)
{
    struct tq_segment *s = segment_at(fifo, low_of(head));
    uint64_t next = tq_load(&s->next, seq_cst); /* acq: O2 */
    if (generation_of(next) != generation_of(head))
        return true;
    if (is_last(next))
        return false;
    /* I6. The release is for who reads LEFT and then wants to see what follows. */
    if (low_of(deq) != LEFT &&
        !tq_cas(&s->deq, &deq, word(generation_of(head), LEFT), release, relaxed))
        return true; /* held, or another was here */
    advance_head(fifo, cache, head, next);
    return true;
}

static inline bool is_empty(uint64_t cell, uint32_t generation)
{
    return generation_of(cell) < generation;
}

/* The cell at d is empty. False: no ticket for it is out, the queue is empty. */
static bool cell_is_due(struct tq_segment *s, uint32_t generation, uint32_t d)
{
    uint64_t enq = tq_load(&s->enq, seq_cst); /* O4 */
    if (generation_of(enq) != generation)
        return true; /* look again: it is another life */
    if (tickets_of(enq) <= d)
        return false;
    tq_a64 *cell = &s->cell[d];
    uint64_t seen = tq_load(cell, acquire);
    for (int i = 0; i < TQ_FIFO_PATIENCE && is_empty(seen, generation); i++) {
        tq_pause();
        seen = tq_load(cell, acquire);
    }
    if (is_empty(seen, generation))
        tq_cas(cell, &seen, word(generation, TAKEN), acq_rel, relaxed);
    return true;
}

/* ---- the front ------------------------------------------------------------------------------------ */

/* From now on only who has the mutex, as we do, moves deq and head. */
static void hold(struct tq_fifo *fifo, struct tq_fifo_cache *cache)
{
    for (;;) {
        uint64_t head = tq_load(&fifo->head, acquire); /* acq: O3 */
        struct tq_segment *s = segment_at(fifo, low_of(head));
        uint64_t deq = tq_load(&s->deq, relaxed);
        if (generation_of(deq) != generation_of(head))
            continue;
        assert(!(deq & HELD_BIT));
        if (low_of(deq) == LEFT)
            leave(fifo, cache, head, deq);
        else if (tq_cas(&s->deq, &deq, deq | HELD_BIT, seq_cst, relaxed)) /* O5, I6 */
            return;
    }
}

/* Everybody may pop. A store suffices: nobody else's CAS can succeed while it is held. */
static void let_go(struct tq_fifo *fifo)
{
    struct tq_segment *s = segment_at(fifo, low_of(tq_load(&fifo->head, acquire)));
    uint64_t deq = tq_load(&s->deq, relaxed);
    assert(deq & HELD_BIT);
    tq_store(&s->deq, deq & ~(uint64_t)HELD_BIT, release); /* rel: O7 */
}

void tq_fifo_put(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint32_t link, uint64_t place,
                 uint32_t item)
{
    tq_mutex_lock(&fifo->mutex);
    if (fifo->front.first == TQ_NONE)
        hold(fifo, cache);
    tq_front_insert(&fifo->front, link, place, item);
    tq_mutex_unlock(&fifo->mutex);
}

/* The first of the front. False: it is empty by now. */
static bool pop_front(struct tq_fifo *fifo, struct tq_taken *out)
{
    struct tq_front *front = &fifo->front;
    tq_mutex_lock(&fifo->mutex);
    out->link = front->first;
    if (out->link != TQ_NONE) {
        const struct tq_link *link = tq_link_at(front, out->link);
        out->item = link->item;
        out->place = link->place;
        tq_front_unlink(front, out->link);
        out->upcoming = tq_load(&front->item, relaxed);
        if (front->first == TQ_NONE)
            let_go(fifo);
    }
    tq_mutex_unlock(&fifo->mutex);
    return out->link != TQ_NONE;
}

/* The first of the segments, for who holds the fifo, if its place is before `end`. False: there is none. */
static bool take_held(struct tq_fifo *fifo, struct tq_fifo_cache *cache, uint64_t end,
                      uint64_t *out_place, uint32_t *out_item)
{
    for (;;) {
        uint64_t head = tq_load(&fifo->head, acquire);
        struct tq_segment *s = segment_at(fifo, low_of(head));
        uint64_t deq = tq_load(&s->deq, relaxed);
        uint32_t d = taken_of(deq);
        assert(deq & HELD_BIT);
        if (d == TQ_FIFO_CELLS) {
            uint64_t next = tq_load(&s->next, seq_cst); /* acq: O2 */
            if (is_last(next))
                return false;
            tq_a64 *its = &segment_at(fifo, low_of(next) - 1)->deq;
            /* I6: before head names it (rel: O3), and nobody pops from it yet. */
            tq_store(its, word(generation_of(tq_load(its, relaxed)), HELD_BIT), relaxed);
            advance_head(fifo, cache, head, next);
            continue;
        }
        *out_place = tq_load(&s->place, relaxed) + d;
        if (*out_place >= end)
            return false;
        uint64_t cell = tq_load(&s->cell[d], seq_cst); /* acq: O1 */
        if (is_empty(cell, generation_of(head))) {
            if (!cell_is_due(s, generation_of(head), d))
                return false;
            continue;
        }
        tq_store(&s->deq, deq + 1, release); /* rel: O7 */
        if (low_of(cell) == TAKEN)
            continue;
        *out_item = low_of(cell) - 1;
        return true;
    }
}

static uint64_t given(const struct tq_fifo *fifo)
{
    struct tq_segment *last = segment_at(fifo, low_of(tq_load(&fifo->tail, acquire)));
    uint32_t tickets = tickets_of(tq_load(&last->enq, relaxed));
    return tq_load(&last->place, relaxed) + (tickets < TQ_FIFO_CELLS ? tickets : TQ_FIFO_CELLS);
}

/* What a sweep has in hand: free links, at most as many as it reserved and found; and tombs to be dropped. */
struct sweep {
    const struct tq_sweeper *by;
    uint32_t links, tombs;
    uint32_t link[2 * TQ_FIFO_SWEEP];
    uint32_t tomb[TQ_FIFO_SWEEP];
};

static bool bury(struct sweep *sweep, uint32_t item)
{
    if (!sweep->by->is_tomb(sweep->by->context, item))
        return false;
    sweep->tomb[sweep->tombs++] = item;
    return true;
}

static void look_in_front(struct tq_front *front, struct sweep *sweep)
{
    uint32_t index = front->cursor;
    front->cursor = tq_link_at(front, index)->next;
    if (!bury(sweep, tq_link_at(front, index)->item))
        return;
    tq_front_unlink(front, index);
    sweep->link[sweep->links++] = index;
}

/* False: there is nothing that belongs to this round, or no link. */
static bool look_in_segments(struct tq_fifo *fifo, struct tq_fifo_cache *cache, struct sweep *sweep)
{
    uint64_t place;
    uint32_t item;
    if (!sweep->links || !take_held(fifo, cache, fifo->sweep_end, &place, &item))
        return false;
    if (!bury(sweep, item))
        tq_front_insert(&fifo->front, sweep->link[--sweep->links], place, item);
    return true;
}

/* Under the mutex. False: the round is over. */
static bool sweep_some(struct tq_fifo *fifo, struct tq_fifo_cache *cache, struct sweep *sweep,
                       uint32_t count)
{
    struct tq_front *front = &fifo->front;
    if (!fifo->sweeping) {
        fifo->sweeping = true;
        fifo->sweep_end = given(fifo);
        front->cursor = front->first;
    }
    if (front->first == TQ_NONE)
        hold(fifo, cache);
    while (count-- && fifo->sweeping)
        if (front->cursor != TQ_NONE)
            look_in_front(front, sweep);
        else
            fifo->sweeping = look_in_segments(fifo, cache, sweep);
    if (front->first == TQ_NONE)
        let_go(fifo);
    return fifo->sweeping;
}

bool tq_fifo_sweep(struct tq_fifo *fifo, struct tq_fifo_cache *cache,
                   const struct tq_sweeper *sweeper, uint32_t step)
{
    struct tq_slab *slab = fifo->front.links;
    struct sweep sweep = {.by = sweeper};
    bool more = true;
    while (more && step) {
        uint32_t count = step < TQ_FIFO_SWEEP ? step : TQ_FIFO_SWEEP;
        step -= count;
        /* The allocator may be the user's: ask it before. */
        while (sweep.links < count && tq_fifo_link_take(slab, cache, &sweep.link[sweep.links]))
            sweep.links++;
        tq_mutex_lock(&fifo->mutex);
        more = sweep_some(fifo, cache, &sweep, count);
        tq_mutex_unlock(&fifo->mutex);
        for (uint32_t i = 0; i < sweep.tombs; i++)
            sweeper->drop(sweeper->context, sweep.tomb[i]);
        sweep.tombs = 0;
        while (sweep.links > TQ_FIFO_SWEEP)
            tq_fifo_link_free(slab, cache, sweep.link[--sweep.links]);
    }
    while (sweep.links)
        tq_fifo_link_free(slab, cache, sweep.link[--sweep.links]);
    return more;
}

bool tq_fifo_pop_slow(struct tq_fifo *fifo, struct tq_fifo_cache *cache, struct tq_taken *out)
{
    out->item = TQ_NONE;
    for (;;) {
        uint64_t head = tq_load(&fifo->head, acquire); /* acq: O3 */
        struct tq_segment *s = segment_at(fifo, low_of(head));
        uint32_t g = generation_of(head);
        uint64_t deq = tq_load(&s->deq, seq_cst); /* O5; acq: O7 */
        if (TQ_UNLIKELY(generation_of(deq) != g))
            continue;
        if (TQ_UNLIKELY(deq & HELD_BIT)) {
            if (pop_front(fifo, out))
                return true;
            continue;
        }
        uint32_t d = low_of(deq);
        if (TQ_UNLIKELY(d >= TQ_FIFO_CELLS)) {
            if (!leave(fifo, cache, head, deq))
                return false;
            continue;
        }
        uint64_t cell = tq_load(&s->cell[d], seq_cst); /* acq: O1 */
        if (is_empty(cell, g)) {
            if (!cell_is_due(s, g, d))
                return false;
            continue;
        }
        uint64_t place = tq_load(&s->place, relaxed);
        /* A cell of a later life: deq is too, and the CAS fails. */
        if (!tq_cas(&s->deq, &deq, word(g, d + 1), release, relaxed)) /* rel: O7 */
            continue;
        if (TQ_UNLIKELY(low_of(cell) == TAKEN))
            continue;
        out->item = low_of(cell) - 1;
        out->upcoming = TQ_NONE;
        if (d + TQ_FIFO_AHEAD < TQ_FIFO_CELLS) {
            uint64_t ahead = tq_load(&s->cell[d + TQ_FIFO_AHEAD], relaxed);
            if (generation_of(ahead) == g && low_of(ahead) != TAKEN)
                out->upcoming = low_of(ahead) - 1;
        }
        out->place = place + d;
        out->link = TQ_NONE;
        return true;
    }
}

/* ---- close, look --------------------------------------------------------------------------------- */

void tq_fifo_close(struct tq_fifo *fifo)
{
    for (;;) {
        uint64_t tail = tq_load(&fifo->tail, acquire);
        struct tq_segment *s = segment_at(fifo, low_of(tail));
        uint64_t next = tq_load(&s->next, seq_cst);
        if (generation_of(next) != generation_of(tail))
            continue;
        if (low_of(next) == NIL) {
            /* Nothing can be appended any more, so this segment stays the last and lives. */
            if (tq_cas(&s->next, &next, word(generation_of(tail), CLOSED), seq_cst, seq_cst))
                next = word(generation_of(tail), CLOSED);
        }
        if (low_of(next) == CLOSED) {
            tq_or(&s->enq, CLOSED_BIT, seq_cst);
            return;
        }
        if (low_of(next) != NIL)
            advance_tail(fifo, tail, next);
    }
}

uint64_t tq_fifo_depth(const struct tq_fifo *fifo)
{
    struct tq_segment *first = segment_at(fifo, low_of(tq_load(&fifo->head, acquire)));
    uint64_t taken = tq_load(&first->place, relaxed) + taken_of(tq_load(&first->deq, relaxed));
    uint64_t end = given(fifo);
    return (end > taken ? end - taken : 0) + tq_load(&fifo->front.count, relaxed);
}

uint32_t tq_fifo_peek(const struct tq_fifo *fifo)
{
    uint64_t head = tq_load(&fifo->head, acquire);
    uint32_t g = generation_of(head);
    struct tq_segment *s = segment_at(fifo, low_of(head));
    uint64_t deq = tq_load(&s->deq, acquire);
    if (deq & HELD_BIT) {
        uint32_t item = tq_load(&fifo->front.item, relaxed);
        if (item != TQ_NONE)
            return item;
    }
    if (generation_of(deq) == g && taken_of(deq) == TQ_FIFO_CELLS) {
        uint64_t next = tq_load(&s->next, acquire);
        if (generation_of(next) != g || is_last(next))
            return TQ_NONE;
        s = segment_at(fifo, low_of(next) - 1);
        deq = tq_load(&s->deq, relaxed);
        g = generation_of(deq);
    }
    if (generation_of(deq) != g || taken_of(deq) == TQ_FIFO_CELLS)
        return TQ_NONE;
    uint64_t cell = tq_load(&s->cell[taken_of(deq)], acquire);
    if (generation_of(cell) != g || low_of(cell) == TAKEN)
        return TQ_NONE;
    return low_of(cell) - 1;
}

enum { FIND_LINKS = 64, FIND_TRIES = 16 };

static bool is_dead(const struct tq_sweeper *dead, uint32_t item)
{
    return dead && dead->is_tomb(dead->context, item);
}

/* So many links at a time, since others wait for the mutex. */
static bool find_in_front(struct tq_fifo *fifo, uint32_t item, const struct tq_sweeper *dead,
                          uint64_t *out_count)
{
    struct tq_front *front = &fifo->front;
    uint32_t at = TQ_NONE, life = 0;
    bool found = false;
    for (int tries = 0; !found && tries < FIND_TRIES;) {
        tq_mutex_lock(&fifo->mutex);
        if (at == TQ_NONE || tq_load(&tq_link_at(front, at)->life, relaxed) != life) {
            at = front->first; /* it was taken away, and all before it probably, too */
            *out_count = 0;
            tries++;
        }
        for (int i = 0; i < FIND_LINKS && at != TQ_NONE && !found; i++) {
            found = tq_link_at(front, at)->item == item;
            *out_count += !found && !is_dead(dead, tq_link_at(front, at)->item);
            at = tq_link_at(front, at)->next;
        }
        if (at != TQ_NONE)
            life = tq_load(&tq_link_at(front, at)->life, relaxed);
        tq_mutex_unlock(&fifo->mutex);
        if (at == TQ_NONE)
            break;
    }
    return found;
}

/* Has head not gone beyond the segment that begins at `place`? */
static bool is_in_queue(const struct tq_fifo *fifo, uint64_t place)
{
    for (;;) {
        uint64_t head = tq_load(&fifo->head, acquire);
        const struct tq_segment *s = segment_at(fifo, low_of(head));
        uint64_t first = tq_load(&s->place, relaxed);
        if (generation_of(tq_load(&s->deq, acquire)) == generation_of(head))
            return first <= place;
    }
}

enum find { FOUND, ABSENT, LOST };

/* In the segment of `at`, which becomes the next one. */
static enum find find_in_segment(const struct tq_fifo *fifo, uint64_t *at, uint32_t item,
                                 const struct tq_sweeper *dead, uint64_t *count)
{
    const struct tq_segment *s = segment_at(fifo, low_of(*at));
    uint32_t g = generation_of(*at);
    uint64_t place = tq_load(&s->place, relaxed);
    uint64_t deq = tq_load(&s->deq, acquire);
    for (uint32_t i = taken_of(deq); i < TQ_FIFO_CELLS; i++) {
        uint64_t cell = tq_load(&s->cell[i], acquire);
        if (generation_of(cell) != g || low_of(cell) == TAKEN)
            continue;
        if (low_of(cell) == item + 1)
            return FOUND;
        *count += !is_dead(dead, low_of(cell) - 1);
    }
    uint64_t next = tq_load(&s->next, acquire);
    if (generation_of(deq) != g || generation_of(next) != g)
        return LOST;
    if (is_last(next))
        return ABSENT;
    uint32_t index = low_of(next) - 1;
    *at =
        word(generation_of(tq_load(&segment_at(fifo, index)->next, acquire)), index); /* acq: O8 */
    /* If ours is there still, the next one was when its generation was read. */
    return is_in_queue(fifo, place) ? ABSENT : LOST;
}

static bool find_in_segments(const struct tq_fifo *fifo, uint32_t item,
                             const struct tq_sweeper *dead, uint64_t *out_count)
{
    for (int tries = 0; tries < FIND_TRIES; tries++) {
        uint64_t at = tq_load(&fifo->head, acquire), last;
        enum find r;
        *out_count = 0;
        do {
            last = at;
            r = find_in_segment(fifo, &at, item, dead, out_count);
        } while (r == ABSENT && at != last);
        if (r != LOST)
            return r == FOUND;
    }
    return false;
}

bool tq_fifo_find(struct tq_fifo *fifo, uint32_t item, const struct tq_sweeper *dead,
                  uint64_t *out_ahead)
{
    uint64_t front = 0, segments = 0;
    /* A sweep may have moved it from here to there between the two looks: then it is there at the second. */
    for (int tries = 0; tries < 2; tries++)
        if (find_in_front(fifo, item, dead, &front)) {
            *out_ahead = front;
            return true;
        } else if (find_in_segments(fifo, item, dead, &segments)) {
            *out_ahead = front + segments;
            return true;
        }
    return false;
}

bool tq_fifo_at_end(const struct tq_fifo *fifo)
{
    uint64_t head = tq_load(&fifo->head, acquire);
    struct tq_segment *s = segment_at(fifo, low_of(head));
    return taken_of(tq_load(&s->deq, relaxed)) == TQ_FIFO_CELLS &&
           !is_last(tq_load(&s->next, acquire));
}

/* Cells beyond those taken; held: what deq must say. */
static bool check_segment(const struct tq_segment *s, bool held, uint64_t *items)
{
    uint64_t deq = tq_load(&s->deq, relaxed);
    uint32_t g = generation_of(deq);
    uint32_t tickets = tickets_of(tq_load(&s->enq, relaxed));
    uint32_t end = tickets < TQ_FIFO_CELLS ? tickets : TQ_FIFO_CELLS;
    if (generation_of(tq_load(&s->enq, relaxed)) != g || g != s->generation ||
        !!(deq & HELD_BIT) != held || (low_of(deq) & ~HELD_BIT) > TQ_FIFO_CELLS)
        return false;
    for (uint32_t i = taken_of(deq); i < TQ_FIFO_CELLS; i++) {
        uint64_t cell = tq_load(&s->cell[i], relaxed);
        if (i >= end && generation_of(cell) == g)
            return false; /* nobody had that ticket */
        *items += i < end && generation_of(cell) == g && low_of(cell) != TAKEN;
    }
    return true;
}

bool tq_fifo_check(const struct tq_fifo *fifo, uint64_t *out_items)
{
    uint64_t items = tq_load(&fifo->front.count, relaxed);
    bool held = items != 0; /* I5 */
    if (!tq_front_check(&fifo->front))
        return false;
    uint64_t at = tq_load(&fifo->head, acquire);
    uint64_t place = tq_load(&segment_at(fifo, low_of(at))->place, relaxed);
    for (;; place += TQ_FIFO_CELLS, held = false) {
        const struct tq_segment *s = segment_at(fifo, low_of(at));
        uint64_t next = tq_load(&s->next, acquire);
        if (s->generation != generation_of(at) || generation_of(next) != generation_of(at) ||
            tq_load(&s->place, relaxed) != place || !check_segment(s, held, &items))
            return false;
        *out_items = items;
        if (is_last(next))
            return at == tq_load(&fifo->tail, acquire);
        uint32_t index = low_of(next) - 1;
        at = word(segment_at(fifo, index)->generation, index);
    }
}
