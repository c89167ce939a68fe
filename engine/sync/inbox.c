#include "engine/sync/inbox.h"

#include <assert.h>

static struct tq_inbox_chunk *chunk_at(const struct tq_slab *chunks, uint32_t index)
{
    return tq_chunk_at(chunks, index);
}

void tq_inbox_init(struct tq_inbox *inbox)
{
    tq_store(&inbox->pushed, 0, relaxed);
    tq_store(&inbox->popped, 0, relaxed);
    inbox->tail = inbox->spare = inbox->first = inbox->chunk = TQ_NONE;
    inbox->spares = 0;
    inbox->used = inbox->place = TQ_INBOX_ENTRIES; /* as if a full one came before the first */
}

void tq_inbox_fini(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_slab_cache *cache)
{
    uint32_t index = inbox->chunk == TQ_NONE ? inbox->first : inbox->chunk;
    while (index != TQ_NONE) {
        const uint32_t next = index == inbox->tail ? TQ_NONE : chunk_at(chunks, index)->link;
        tq_slab_free(chunks, cache, index);
        index = next;
    }
    for (index = inbox->spare; index != TQ_NONE;) {
        const uint32_t next = chunk_at(chunks, index)->link;
        tq_slab_free(chunks, cache, index);
        index = next;
    }
    tq_inbox_init(inbox);
}

/* ---- the producer ------------------------------------------------------------------------------------------ */

static uint32_t take_spare(struct tq_inbox *inbox, const struct tq_slab *chunks)
{
    const uint32_t index = inbox->spare;
    assert(index != TQ_NONE); /* I3 */
    inbox->spare = chunk_at(chunks, index)->link;
    inbox->spares--;
    return index;
}

bool tq_inbox_reserve_slow(struct tq_inbox *inbox, struct tq_slab *chunks,
                           struct tq_slab_cache *cache, uint32_t count)
{
    const uint32_t room = TQ_INBOX_ENTRIES - inbox->used;
    const uint32_t wanted = count > room ? (count - room - 1) / TQ_INBOX_ENTRIES + 1 : 0;
    while (inbox->spares < wanted) {
        uint32_t index;
        if (tq_slab_alloc(chunks, cache, &index) != TQ_SLAB_OK)
            return false;
        chunk_at(chunks, index)->link = inbox->spare;
        inbox->spare = index;
        inbox->spares++;
    }
    while (inbox->spares > wanted)
        tq_slab_free(chunks, cache, take_spare(inbox, chunks));
    return true;
}

void tq_inbox_push(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_inbox_entry entry)
{
    if (inbox->used == TQ_INBOX_ENTRIES) {
        const uint32_t next = take_spare(inbox, chunks);
        if (inbox->tail == TQ_NONE)
            inbox->first = next;
        else
            chunk_at(chunks, inbox->tail)->link = next;
        inbox->tail = next;
        inbox->used = 0;
    }
    chunk_at(chunks, inbox->tail)->entry[inbox->used++] = entry;
    tq_store(&inbox->pushed, tq_load(&inbox->pushed, relaxed) + 1, seq_cst); /* rel: O1, B1 */
}

/* ---- the consumer ------------------------------------------------------------------------------------------ */

/* Where the next entry is, if there is one. */
static uint32_t next_chunk(const struct tq_inbox *inbox, const struct tq_slab *chunks)
{
    return inbox->chunk == TQ_NONE ? inbox->first : chunk_at(chunks, inbox->chunk)->link;
}

const struct tq_inbox_entry *tq_inbox_peek(const struct tq_inbox *inbox,
                                           const struct tq_slab *chunks, uint64_t count,
                                           uint32_t *out_count)
{
    assert(count > 0);
    const bool at_end = inbox->place == TQ_INBOX_ENTRIES;
    const uint32_t place = at_end ? 0 : inbox->place;
    const uint32_t index = at_end ? next_chunk(inbox, chunks) : inbox->chunk;
    *out_count =
        count < TQ_INBOX_ENTRIES - place ? (uint32_t)count : (uint32_t)TQ_INBOX_ENTRIES - place;
    return &chunk_at(chunks, index)->entry[place];
}

void tq_inbox_pop(struct tq_inbox *inbox, struct tq_slab *chunks, struct tq_slab_cache *cache,
                  uint32_t count)
{
    if (inbox->place == TQ_INBOX_ENTRIES) {
        const uint32_t before = inbox->chunk;
        inbox->chunk = next_chunk(inbox, chunks);
        inbox->place = 0;
        if (before != TQ_NONE)
            tq_slab_free(chunks, cache, before); /* I2 */
    }
    inbox->place += count;
    tq_store(&inbox->popped, tq_load(&inbox->popped, relaxed) + count, relaxed); /* O2 */
}

bool tq_inbox_check(const struct tq_inbox *inbox, const struct tq_slab *chunks,
                    uint32_t *out_chunks)
{
    const uint64_t waiting = tq_load(&inbox->pushed, acquire) - tq_load(&inbox->popped, acquire);
    uint64_t room = 0; /* entries from the consumer's place to the end of the list */
    uint32_t index = inbox->chunk;
    *out_chunks = inbox->spares;
    if (index == TQ_NONE)
        index = inbox->first;
    else
        room = TQ_INBOX_ENTRIES - inbox->place;
    bool counted = inbox->chunk != TQ_NONE;
    while (index != TQ_NONE) {
        ++*out_chunks;
        if (!counted)
            room += TQ_INBOX_ENTRIES;
        counted = false;
        if (room > waiting + TQ_INBOX_ENTRIES)
            return false;
        index = index == inbox->tail ? TQ_NONE : chunk_at(chunks, index)->link;
    }
    return room == waiting + (TQ_INBOX_ENTRIES - inbox->used);
}
