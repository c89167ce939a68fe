#include "engine/sync/front.h"

#include <assert.h>

_Static_assert(sizeof(struct tq_link) == 24, "a link is small");

void tq_front_init(struct tq_front *front, struct tq_slab *links)
{
    assert(!links || links->objects.shift == TQ_LINKS_SHIFT);
    assert(!links || links->objects.object_size == sizeof(struct tq_link));
    front->links = links;
    front->first = front->last = front->near = front->cursor = TQ_NONE;
    tq_store(&front->count, 0, relaxed);
    tq_store(&front->item, TQ_NONE, relaxed);
}

static void tell(struct tq_front *front, uint32_t count)
{
    tq_store(&front->count, count, relaxed);
    tq_store(&front->item, count ? tq_link_at(front, front->first)->item : TQ_NONE, relaxed);
}

/* The link behind which that place belongs; TQ_NONE: first. */
static uint32_t predecessor(const struct tq_front *front, uint64_t place)
{
    if (front->last == TQ_NONE || tq_link_at(front, front->last)->place <= place)
        return front->last;
    if (tq_link_at(front, front->first)->place > place)
        return TQ_NONE;
    uint32_t at = front->near != TQ_NONE ? front->near : front->first;
    while (tq_link_at(front, at)->place > place) /* ends: the first is not beyond */
        at = tq_link_at(front, at)->prev;
    for (;;) { /* ends: the last is beyond */
        uint32_t next = tq_link_at(front, at)->next;
        if (tq_link_at(front, next)->place > place)
            return at;
        at = next;
    }
}

void tq_front_insert(struct tq_front *front, uint32_t index, uint64_t place, uint32_t item)
{
    struct tq_link *link = tq_link_at(front, index);
    uint32_t before = predecessor(front, place);
    uint32_t after = before == TQ_NONE ? front->first : tq_link_at(front, before)->next;
    link->place = place;
    link->item = item;
    link->prev = before;
    link->next = after;
    *(before == TQ_NONE ? &front->first : &tq_link_at(front, before)->next) = index;
    *(after == TQ_NONE ? &front->last : &tq_link_at(front, after)->prev) = index;
    front->near = index;
    tell(front, tq_load(&front->count, relaxed) + 1);
}

void tq_front_unlink(struct tq_front *front, uint32_t index)
{
    struct tq_link *link = tq_link_at(front, index);
    *(link->prev == TQ_NONE ? &front->first : &tq_link_at(front, link->prev)->next) = link->next;
    *(link->next == TQ_NONE ? &front->last : &tq_link_at(front, link->next)->prev) = link->prev;
    if (front->near == index)
        front->near = link->next;
    if (front->cursor == index)
        front->cursor = link->next;
    tq_store(&link->life, tq_load(&link->life, relaxed) + 1, relaxed);
    tell(front, tq_load(&front->count, relaxed) - 1);
}

bool tq_front_check(const struct tq_front *front)
{
    uint32_t count = 0, prev = TQ_NONE;
    bool near = front->near == TQ_NONE, cursor = front->cursor == TQ_NONE;
    for (uint32_t at = front->first; at != TQ_NONE; at = tq_link_at(front, at)->next) {
        const struct tq_link *link = tq_link_at(front, at);
        if (++count > tq_load(&front->count, relaxed) || link->prev != prev ||
            (prev != TQ_NONE && tq_link_at(front, prev)->place > link->place))
            return false;
        near = near || front->near == at;
        cursor = cursor || front->cursor == at;
        prev = at;
    }
    uint32_t item = count ? tq_link_at(front, front->first)->item : TQ_NONE;
    return near && cursor && front->last == prev && count == tq_load(&front->count, relaxed) &&
           item == tq_load(&front->item, relaxed);
}
