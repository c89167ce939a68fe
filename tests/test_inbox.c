#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/alarm.h"
#include "engine/sync/inbox.h"

/* ---- memory that fails from the k-th call on, and knows what is not given back ------------------- */

struct heap {
    long calls, fail_from;
    long blocks;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    if (++heap->calls >= heap->fail_from && heap->fail_from)
        return NULL;
    void *block = NULL;
    if (posix_memalign(&block, align < sizeof(void *) ? sizeof(void *) : align, size) != 0)
        return NULL;
    memset(block, 0xa5, size);
    heap->blocks++;
    return block;
}

static void heap_free(void *context, void *block, size_t size)
{
    struct heap *heap = context;
    (void)size;
    heap->blocks--;
    free(block);
}

enum { CHUNKS = 8192 };

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab chunks;
    struct tq_slab_cache producer, consumer;
    struct tq_inbox inbox;
    uint64_t in, out;
};

static struct rig *rig_open(void)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    cr_assert(tq_chunks_init(&r->chunks, &r->memory, CHUNKS, 2));
    cr_assert(tq_slab_attach(&r->chunks, &r->producer));
    cr_assert(tq_slab_attach(&r->chunks, &r->consumer));
    tq_inbox_init(&r->inbox);
    return r;
}

static uint32_t chunks_of(struct rig *r)
{
    uint32_t count;
    cr_assert(tq_inbox_check(&r->inbox, &r->chunks, &count));
    return count;
}

/* As many chunks are used as the inbox has. */
static void must_be_good(struct rig *r)
{
    const struct tq_slab_cache *caches[] = {&r->producer, &r->consumer};
    unsigned char *seen = calloc(1, CHUNKS + 256);
    uint32_t unused;
    cr_assert(tq_slab_check(&r->chunks, caches, 2, seen, &unused));
    cr_assert_eq(unused + chunks_of(r), tq_load(&r->chunks.carved, relaxed));
    free(seen);
}

static void rig_close(struct rig *r)
{
    must_be_good(r);
    tq_inbox_fini(&r->inbox, &r->chunks, &r->producer);
    must_be_good(r);
    tq_slab_fini(&r->chunks);
    cr_assert_eq(r->heap.blocks, 0);
    free(r);
}

static bool push(struct rig *r)
{
    if (!tq_inbox_reserve(&r->inbox, &r->chunks, &r->producer, 1))
        return false;
    tq_inbox_push(&r->inbox, &r->chunks,
                  (struct tq_inbox_entry){(uint32_t)r->in, ~(uint32_t)r->in, r->in << 20});
    r->in++;
    return true;
}

/* Up to `most`; all that it takes must be the next ones. */
static void pop(struct rig *r, uint64_t most)
{
    uint64_t count = tq_inbox_count(&r->inbox);
    cr_assert_eq(count, r->in - r->out);
    if (count > most)
        count = most;
    while (count) {
        uint32_t n;
        const struct tq_inbox_entry *e = tq_inbox_peek(&r->inbox, &r->chunks, count, &n);
        cr_assert(n > 0 && n <= count);
        for (uint32_t i = 0; i < n; i++, r->out++) {
            cr_assert_eq(e[i].item, (uint32_t)r->out);
            cr_assert_eq(e[i].generation, ~(uint32_t)r->out);
            cr_assert_eq(e[i].tick, r->out << 20);
        }
        tq_inbox_pop(&r->inbox, &r->chunks, &r->consumer, n);
        count -= n;
    }
}

/* ---- inbox ------------------------------------------------------------------------------------------ */

Test(inbox, a_new_one_is_empty_and_has_no_memory)
{
    struct rig *r = rig_open();
    cr_assert_eq(tq_inbox_count(&r->inbox), 0);
    cr_assert_eq(chunks_of(r), 0);
    rig_close(r);
}

Test(inbox, entries_come_out_in_the_order_in_which_they_went_in)
{
    for (uint64_t burst = 1; burst < 40; burst++) {
        struct rig *r = rig_open();
        for (int round = 0; round < 20; round++) {
            for (uint64_t i = 0; i < burst; i++)
                cr_assert(push(r));
            must_be_good(r);
            pop(r, round % 3 ? UINT64_MAX : burst / 2);
            must_be_good(r);
        }
        rig_close(r);
    }
}

Test(inbox, what_was_peeked_stays_until_it_is_popped)
{
    struct rig *r = rig_open();
    for (int i = 0; i < 20; i++)
        push(r);
    for (int i = 0; i < 3; i++) {
        uint32_t n;
        cr_assert_eq(tq_inbox_peek(&r->inbox, &r->chunks, 20, &n)->item, 0);
        cr_assert_eq(n, TQ_INBOX_ENTRIES);
        cr_assert_eq(tq_inbox_peek(&r->inbox, &r->chunks, 3, &n)->item, 0);
        cr_assert_eq(n, 3);
    }
    tq_inbox_pop(&r->inbox, &r->chunks, &r->consumer, 3);
    r->out = 3;
    pop(r, UINT64_MAX);
    rig_close(r);
}

Test(inbox, memory_is_in_proportion_to_what_waits)
{
    struct rig *r = rig_open();
    for (int i = 0; i < 10000; i++)
        push(r);
    cr_assert(chunks_of(r) <= 10000 / TQ_INBOX_ENTRIES + 2);
    pop(r, UINT64_MAX);
    cr_assert(chunks_of(r) <= 1, "%u", chunks_of(r));
    must_be_good(r);
    const uint32_t carved = tq_load(&r->chunks.carved, relaxed);
    for (int i = 0; i < 100000; i++) {
        push(r);
        pop(r, UINT64_MAX);
    }
    cr_assert_eq(tq_load(&r->chunks.carved, relaxed), carved, "chunks are used again");
    rig_close(r);
}

Test(inbox, after_a_reserve_a_push_needs_no_memory)
{
    struct rig *r = rig_open();
    uint64_t pushed = 0;
    for (long k = 1; k < 30; k++) {
        r->heap.fail_from = r->heap.calls + k;
        while (pushed < 200000 && push(r))
            pushed++;
        cr_assert_eq(tq_inbox_count(&r->inbox), pushed);
        must_be_good(r);
        r->heap.fail_from = 0;
    }
    cr_assert(pushed > 1000);
    pop(r, UINT64_MAX);
    rig_close(r);
}

Test(inbox, one_reserve_makes_room_for_many_and_what_is_not_used_goes_back)
{
    for (uint32_t count = 1; count < 3000; count += 1 + count / 3) {
        struct rig *r = rig_open();
        for (uint32_t used = 0; used < 9; used++) {
            cr_assert(tq_inbox_reserve(&r->inbox, &r->chunks, &r->producer, count));
            r->heap.fail_from = r->heap.calls + 1;
            for (uint32_t i = 0; i < count; i++)
                tq_inbox_push(
                    &r->inbox, &r->chunks,
                    (struct tq_inbox_entry){(uint32_t)r->in, ~(uint32_t)r->in, r->in++ << 20});
            r->heap.fail_from = 0;
            must_be_good(r);
            pop(r, UINT64_MAX);
            cr_assert(push(r));
        }
        cr_assert(tq_inbox_reserve(&r->inbox, &r->chunks, &r->producer, 5000));
        must_be_good(r);
        cr_assert(push(r));
        cr_assert(chunks_of(r) <= 3);
        rig_close(r);
    }
}

Test(inbox, it_says_when_too_many_wait)
{
    struct rig *r = rig_open();
    for (int i = 0; i < TQ_INBOX_CROWD; i++) {
        cr_assert_not(tq_inbox_is_crowded(&r->inbox));
        push(r);
    }
    push(r);
    cr_assert(tq_inbox_is_crowded(&r->inbox));
    pop(r, 1);
    cr_assert_not(tq_inbox_is_crowded(&r->inbox));
    rig_close(r);
}

Test(inbox, random_use_agrees_with_two_counters)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    fprintf(stderr, "state 0x%llx\n", (unsigned long long)state);
    struct rig *r = rig_open();
    for (int i = 0; i < 40000; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        if (state % 8 < (i / 4000 % 2 ? 3u : 5u) && r->in - r->out < 30000)
            push(r);
        else
            pop(r, state >> 20 & 7);
        if (i % 101 == 0)
            must_be_good(r);
    }
    rig_close(r);
}

Test(inbox, check_sees_a_lost_chunk)
{
    struct rig *r = rig_open();
    uint32_t count;
    for (int i = 0; i < 30; i++)
        push(r);
    r->inbox.tail = r->inbox.first;
    cr_assert_not(tq_inbox_check(&r->inbox, &r->chunks, &count));
    tq_slab_fini(&r->chunks);
    free(r);
}

Test(inbox, check_sees_a_wrong_count)
{
    struct rig *r = rig_open();
    uint32_t count;
    for (int i = 0; i < 30; i++)
        push(r);
    tq_store(&r->inbox.pushed, 29, relaxed);
    cr_assert_not(tq_inbox_check(&r->inbox, &r->chunks, &count));
    tq_slab_fini(&r->chunks);
    free(r);
}

/* ---- alarm ------------------------------------------------------------------------------------------- */

Test(alarm, nobody_wakes_who_is_awake)
{
    struct tq_alarm a = {0};
    cr_assert_not(tq_alarm_ring(&a, 0, 0));
    cr_assert_not(tq_alarm_ring(&a, 1, 5));
    tq_alarm_arm(&a, 0, 100);
    tq_alarm_disarm(&a);
    cr_assert_not(tq_alarm_ring(&a, 0, 5));
}

Test(alarm, only_what_is_earlier_rings_and_only_once)
{
    struct tq_alarm a = {0};
    tq_alarm_arm(&a, 0, 100);
    tq_alarm_arm(&a, 1, TQ_ALARM_NEVER);
    cr_assert_not(tq_alarm_ring(&a, 0, 101));
    cr_assert_not(tq_alarm_ring(&a, 0, 100), "he gets up then anyway");
    cr_assert(tq_alarm_ring(&a, 0, 99));
    cr_assert_not(tq_alarm_ring(&a, 0, 98), "he was told");
    cr_assert(tq_alarm_ring(&a, 1, 1000000), "the other domain has its own");
    tq_alarm_arm(&a, 0, 100);
    cr_assert(tq_alarm_ring(&a, 0, 99));
}

Test(alarm, zero_rings_whenever_he_sleeps)
{
    struct tq_alarm a = {0};
    tq_alarm_arm(&a, 0, 0);
    cr_assert(tq_alarm_ring(&a, 0, 0));
    cr_assert_not(tq_alarm_ring(&a, 0, 0));
}
