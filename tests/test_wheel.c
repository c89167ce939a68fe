#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/sync/wheel.h"

/* ---- memory that fails at the k-th call, and knows what is not given back ------------------------ */

struct heap {
    long calls, fail_at; /* fail_at < 0: every call from -fail_at on fails */
    long blocks;
};

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct heap *heap = context;
    heap->calls++;
    if (heap->calls == heap->fail_at || (heap->fail_at < 0 && heap->calls >= -heap->fail_at))
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

/* ---- a wheel --------------------------------------------------------------------------------------- */

#define TOP_SPAN (UINT64_C(1) << 32) /* ticks of a slot of the last level */

struct rig {
    struct heap heap;
    struct tq_memory memory;
    struct tq_slab chunks;
    struct tq_slab_cache cache;
    struct tq_wheel wheel;
    uint64_t now;
    uint64_t poured_seen;
};

static struct rig *rig_open(uint64_t now)
{
    struct rig *r = NULL;
    cr_assert_eq(posix_memalign((void **)&r, TQ_LINE, sizeof *r), 0);
    memset(r, 0, sizeof *r);
    r->memory = (struct tq_memory){heap_alloc, heap_free, &r->heap};
    cr_assert(tq_chunks_init(&r->chunks, &r->memory, 400000, 2));
    cr_assert(tq_slab_attach(&r->chunks, &r->cache));
    tq_wheel_init(&r->wheel, &r->chunks, now);
    r->now = now;
    return r;
}

static void must_be_good(struct rig *r)
{
    cr_assert(tq_wheel_check(&r->wheel));
}

static void rig_close(struct rig *r)
{
    must_be_good(r);
    tq_wheel_fini(&r->wheel, &r->cache);
    must_be_good(r);
    /* Every chunk went back: what is free is what was carved. */
    const struct tq_slab_cache *caches[] = {&r->cache};
    unsigned char *seen = calloc(1, 400000 + 64);
    uint32_t unused;
    cr_assert(tq_slab_check(&r->chunks, caches, 1, seen, &unused));
    cr_assert_eq(unused, tq_load(&r->chunks.carved, relaxed));
    free(seen);
    tq_slab_fini(&r->chunks);
    cr_assert_eq(r->heap.blocks, 0);
    free(r);
}

static void put(struct rig *r, uint64_t tick, uint32_t item)
{
    cr_assert(tq_wheel_insert(&r->wheel, &r->cache, tick, item, ~item));
}

/* All that is due at `now`, in pieces of `max`. */
static uint32_t take(struct rig *r, uint64_t now, uint32_t max, uint32_t *out, uint32_t room)
{
    struct tq_due due[64];
    uint32_t count = 0;
    bool more = true;
    r->now = now;
    while (more) {
        uint32_t n = tq_wheel_expire(&r->wheel, &r->cache, now, due, max, &more);
        for (uint32_t i = 0; i < n; i++) {
            cr_assert_eq(due[i].generation, ~due[i].item);
            cr_assert(count < room);
            out[count++] = due[i].item;
        }
    }
    return count;
}

static void must_take(struct rig *r, uint64_t now, const char *items)
{
    uint32_t out[64];
    char text[65] = "";
    uint32_t n = take(r, now, 64, out, 64);
    for (uint32_t i = 0; i < n; i++)
        text[i] = (char)out[i];
    cr_assert_str_eq(text, items, "at %llu", (unsigned long long)now);
    must_be_good(r);
}

/* ---- contracts ------------------------------------------------------------------------------------- */

Test(wheel, an_empty_one_gives_nothing_and_never_wants_to_be_called)
{
    struct rig *r = rig_open(5000);
    const long calls = r->heap.calls;
    must_take(r, 5000, "");
    must_take(r, 900000, "");
    cr_assert_eq(tq_wheel_next(&r->wheel), TQ_WHEEL_NEVER);
    cr_assert_eq(r->heap.calls, calls, "no memory for what is not there");
    rig_close(r);
}

Test(wheel, an_entry_comes_out_at_its_tick_and_not_before)
{
    static const uint64_t away[] = {1,
                                    2,
                                    255,
                                    256,
                                    257,
                                    65535,
                                    65536,
                                    65537,
                                    1u << 24,
                                    (1u << 24) + 1,
                                    UINT32_MAX,
                                    TOP_SPAN,
                                    TOP_SPAN + 7,
                                    200 * TOP_SPAN,
                                    255 * TOP_SPAN - 1};
    static const uint64_t starts[] = {0, 1, 255, 256, 0xffff, 0xffffff, UINT32_MAX, 1700000000000};
    for (size_t s = 0; s < sizeof starts / sizeof *starts; s++) {
        for (size_t i = 0; i < sizeof away / sizeof *away; i++) {
            struct rig *r = rig_open(starts[s]);
            put(r, starts[s] + away[i], 'a');
            cr_assert_eq(tq_wheel_next(&r->wheel), starts[s] + away[i]);
            must_take(r, starts[s] + away[i] - 1, "");
            cr_assert_eq(tq_wheel_next(&r->wheel), starts[s] + away[i]);
            must_take(r, starts[s] + away[i], "a");
            cr_assert_eq(tq_wheel_count(&r->wheel), 0);
            rig_close(r);
        }
    }
}

Test(wheel, what_is_in_the_past_comes_out_at_the_next_call)
{
    struct rig *r = rig_open(1000);
    put(r, 1000, 'a');
    put(r, 0, 'b');
    put(r, 999, 'c');
    cr_assert(tq_wheel_next(&r->wheel) <= 1000);
    must_take(r, 1000, "abc");
    rig_close(r);
}

Test(wheel, earlier_ticks_come_first_whatever_the_order_of_their_coming)
{
    struct rig *r = rig_open(0);
    put(r, 70000, 'e');
    put(r, 3, 'b');
    put(r, 300, 'c');
    put(r, 20000000, 'f');
    put(r, 2, 'a');
    put(r, 301, 'd');
    must_take(r, 20000000, "abcdef");
    rig_close(r);
}

Test(wheel, equals_keep_their_order_though_they_came_to_different_levels)
{
    struct rig *r = rig_open(0);
    const uint64_t tick = 0x030405;
    put(r, tick, 'a');
    must_take(r, 0x02ffff, "");
    put(r, tick, 'b');
    must_take(r, 0x030000, "");
    put(r, tick, 'c');
    must_take(r, 0x0303ff, "");
    put(r, tick, 'd');
    must_take(r, 0x030401, "");
    put(r, tick, 'e');
    must_take(r, tick - 1, "");
    put(r, tick, 'f');
    must_take(r, tick, "abcdef");
    rig_close(r);
}

Test(wheel, an_entry_does_not_overtake_equals_in_a_slot_that_is_being_poured)
{
    enum { MANY = 3 * TQ_WHEEL_STEP };
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < MANY; i++)
        put(r, 256 + i % 100, i);
    struct tq_due due[8];
    bool more;
    cr_assert_eq(tq_wheel_expire(&r->wheel, &r->cache, 256, due, 8, &more), 0);
    cr_assert(more, "a part is poured");
    must_be_good(r);
    for (uint32_t i = MANY; i < MANY + 100; i++)
        put(r, 256 + i % 100, i);
    must_be_good(r);
    static uint32_t out[MANY + 100], last[100];
    cr_assert_eq(take(r, 400, 64, out, MANY + 100), MANY + 100);
    for (uint32_t i = 0; i < MANY + 100; i++) {
        if (i)
            cr_assert(out[i] % 100 == (out[i - 1]) % 100 || out[i] > 0);
        cr_assert(out[i] >= last[out[i] % 100], "%u after %u", out[i], last[out[i] % 100]);
        last[out[i] % 100] = out[i];
    }
    rig_close(r);
}

Test(wheel, one_call_gives_no_more_than_asked_for)
{
    struct rig *r = rig_open(0);
    struct tq_due due[7];
    bool more;
    for (uint32_t i = 0; i < 25; i++)
        put(r, 5, i);
    for (uint32_t i = 0; i < 25; i += 7) {
        uint32_t n = tq_wheel_expire(&r->wheel, &r->cache, 5, due, 7, &more);
        cr_assert_eq(n, i < 21 ? 7 : 4);
        cr_assert_eq(more, i < 21);
        for (uint32_t k = 0; k < n; k++)
            cr_assert_eq(due[k].item, i + k);
        cr_assert_eq(tq_wheel_count(&r->wheel), 25 - i - n);
        must_be_good(r);
    }
    rig_close(r);
}

Test(wheel, what_was_handed_out_can_come_again_without_memory)
{
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < 3000; i++)
        put(r, 1 + i / 3, i);
    r->heap.fail_at = -(r->heap.calls + 1);
    /* Another wheel takes all that this one gives back. */
    static struct tq_wheel other;
    tq_wheel_init(&other, &r->chunks, 0);
    uint32_t in_other = 0, came = 0;
    for (uint64_t now = 1; tq_wheel_count(&r->wheel); now += 40) {
        struct tq_due due[64];
        bool more = true;
        while (more) {
            const uint32_t n = tq_wheel_expire(&r->wheel, &r->cache, now, due, 64, &more);
            while (tq_wheel_insert(&other, &r->cache, 9, 9, 9))
                in_other++;
            for (uint32_t i = 0; i < n; i++)
                if (++came < 20000 && due[i].item % 3)
                    tq_wheel_again(&r->wheel, now + 1 + due[i].item * 10, due[i].item,
                                   due[i].generation);
            must_be_good(r);
        }
    }
    cr_assert(came > 10000 && in_other > 100, "%u %u", came, in_other);
    tq_wheel_fini(&other, &r->cache);
    rig_close(r);
}

Test(wheel, one_call_pours_no_more_than_its_step)
{
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < 50000; i++)
        put(r, 0x10000 + i % 30000, i);
    static uint32_t out[50000];
    cr_assert_eq(take(r, 0x20000, 64, out, 50000), 50000);
    cr_assert(r->wheel.poured_max <= TQ_WHEEL_STEP);
    cr_assert(r->wheel.poured_max > TQ_WHEEL_STEP / 2);
    rig_close(r);
}

Test(wheel, next_tells_the_first_tick_on_every_level)
{
    struct rig *r = rig_open(0x01020304);
    put(r, 0x500000000, 'e');
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x500000000);
    put(r, 0x02000007, 'd');
    put(r, 0x02000009, 'd');
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x02000007);
    put(r, 0x01070003, 'c');
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x01070003);
    put(r, 0x01020403, 'b');
    put(r, 0x01020402, 'b');
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x01020402);
    put(r, 0x01020305, 'a');
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x01020305);
    must_take(r, 0x0102ffff, "abb");
    cr_assert_eq(tq_wheel_next(&r->wheel), 0x01070003);
    rig_close(r);
}

Test(wheel, who_sleeps_until_next_wakes_in_vain_once_at_most_for_a_slot_of_a_higher_level)
{
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < 5000; i++)
        put(r, 0x020000 + 0x8000, i);
    static uint32_t out[5000];
    int in_vain = 0;
    uint32_t got = 0;
    while (got < 5000) {
        uint32_t n = take(r, tq_wheel_next(&r->wheel), 64, out, 5000);
        in_vain += n == 0;
        got += n;
    }
    cr_assert(in_vain <= 2, "%d", in_vain);
    rig_close(r);
}

Test(wheel, ten_years_without_entries_cost_nothing)
{
    struct rig *r = rig_open(0);
    const uint64_t year = UINT64_C(365) * 86400000;
    put(r, 10 * year, 'a');
    put(r, 30 * year, 'b');
    must_take(r, 10 * year - 1, "");
    must_take(r, 10 * year, "a");
    must_take(r, 30 * year, "b");
    rig_close(r);
}

Test(wheel, what_is_too_far_away_comes_out_early_and_in_order)
{
    struct rig *r = rig_open(1000);
    put(r, UINT64_MAX - 1, 'a');
    put(r, 255 * TOP_SPAN + 5, 'c'); /* near enough */
    put(r, UINT64_MAX - 2, 'b');
    cr_assert_eq(tq_wheel_next(&r->wheel), 255 * TOP_SPAN);
    must_take(r, 255 * TOP_SPAN - 1, "");
    must_take(r, 255 * TOP_SPAN, "ab");
    must_take(r, 255 * TOP_SPAN + 5, "c");
    /* And so on, for longer than the range of the wheel. */
    put(r, 600 * TOP_SPAN, 'd');
    must_take(r, 509 * TOP_SPAN, "");
    must_take(r, 510 * TOP_SPAN, "d");
    rig_close(r);
}

/* ---- the clock is set back ---------------------------------------------------------------------------- */

Test(wheel, after_the_clock_was_set_back_entries_come_at_their_tick)
{
    static const uint64_t steps[] = {1, 100, 300, 70000, 1u << 25, TOP_SPAN * 3};
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        const uint64_t now = 10 * TOP_SPAN + 0x01020304;
        struct rig *r = rig_open(now);
        put(r, now + 10, 'a');
        put(r, now + 10, 'b');
        put(r, now + 1000, 'c');
        put(r, now + 100000, 'd');
        put(r, now + (1u << 26), 'e');
        put(r, now + 2 * TOP_SPAN, 'f');
        tq_wheel_rebase(&r->wheel, &r->cache, now - steps[i]);
        must_be_good(r);
        put(r, now + 10, 'B');
        cr_assert_eq(tq_wheel_next(&r->wheel), now + 10);
        must_take(r, now + 9, "");
        must_take(r, now + 10, "abB");
        must_take(r, now + 1000, "c");
        must_take(r, now + 100000 - 1, "");
        must_take(r, now + 100000, "d");
        must_take(r, now + (1u << 26), "e");
        must_take(r, now + 2 * TOP_SPAN, "f");
        rig_close(r);
    }
}

Test(wheel, what_was_due_when_the_clock_was_set_back_is_handed_out_first)
{
    struct rig *r = rig_open(100);
    put(r, 50, 'a');
    put(r, 90, 'b');
    put(r, 101, 'c');
    tq_wheel_rebase(&r->wheel, &r->cache, 10);
    cr_assert(tq_wheel_has_due(&r->wheel));
    must_take(r, 10, "ab");
    cr_assert_not(tq_wheel_has_due(&r->wheel));
    put(r, 50, 'a');
    put(r, 90, 'b');
    must_take(r, 89, "a");
    must_take(r, 101, "bc");
    rig_close(r);
}

Test(wheel, equals_keep_their_order_when_the_clock_is_set_back_while_a_slot_is_poured)
{
    enum { MANY = 3 * TQ_WHEEL_STEP };
    for (uint64_t back = 1; back < 1000000; back *= 10) {
        struct rig *r = rig_open(0x020000);
        for (uint32_t i = 0; i < MANY; i++)
            put(r, 0x020100 + i % 100, i);
        struct tq_due due[8];
        bool more;
        cr_assert_eq(tq_wheel_expire(&r->wheel, &r->cache, 0x020100, due, 8, &more), 0);
        cr_assert(more);
        tq_wheel_rebase(&r->wheel, &r->cache, 0x0200ff - back);
        must_be_good(r);
        for (uint32_t i = MANY; i < MANY + 100; i++)
            put(r, 0x020100 + i % 100, i);
        static uint32_t out[MANY + 100];
        cr_assert_eq(take(r, 0x0200ff, 64, out, 1), 0);
        cr_assert_eq(take(r, 0x030000, 64, out, MANY + 100), MANY + 100);
        for (uint32_t i = 1; i < MANY + 100; i++)
            cr_assert(out[i] % 100 > out[i - 1] % 100 ||
                      (out[i] % 100 == out[i - 1] % 100 && out[i] > out[i - 1]));
        rig_close(r);
    }
}

Test(wheel, a_clock_set_back_by_more_than_the_range_loses_nothing_and_makes_nothing_late)
{
    const uint64_t now = 1000 * TOP_SPAN + 77;
    for (uint64_t back = 200; back < 1000; back += 99) {
        struct rig *r = rig_open(now);
        uint64_t tick[64];
        bool out[64] = {false};
        for (uint32_t i = 0; i < 64; i++) {
            tick[i] = now + 1 + ((TOP_SPAN / 3 + 12345) << (i % 8)) * (i / 8);
            put(r, tick[i], i);
        }
        tq_wheel_rebase(&r->wheel, &r->cache, now - back * TOP_SPAN);
        must_be_good(r);
        uint32_t left = 64;
        while (left) {
            const uint64_t next = tq_wheel_next(&r->wheel);
            uint32_t due[64];
            cr_assert_neq(next, TQ_WHEEL_NEVER);
            const uint32_t n = take(r, next, 64, due, 64);
            for (uint32_t i = 0; i < n; i++) {
                const uint32_t it = due[i];
                cr_assert(tick[it] >= next && !out[it], "%u: late by %lld", it,
                          (long long)(next - tick[it]));
                if (tick[it] > next) {
                    put(r, tick[it], it);
                } else {
                    out[it] = true;
                    left--;
                }
            }
        }
        rig_close(r);
    }
}

/* ---- sweep -------------------------------------------------------------------------------------------- */

static bool is_odd(void *context, uint32_t item, uint32_t generation)
{
    if (context)
        ++*(uint32_t *)context;
    return generation == ~item && item % 2;
}

Test(wheel, a_sweep_drops_what_is_not_live_and_keeps_the_order_of_the_rest)
{
    enum { MANY = 30000 };
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < MANY; i++)
        put(r, 1 + i % 7 * 40000, i);
    const uint32_t owned = r->wheel.owned;
    uint32_t calls = 0, looked = 0;
    do {
        const uint32_t before = looked;
        calls++;
        const bool complete = tq_wheel_sweep(&r->wheel, &r->cache, 1000, is_odd, &looked);
        must_be_good(r);
        cr_assert(looked - before <= 1000);
        if (complete)
            break;
    } while (true);
    cr_assert(calls >= MANY / 1000);
    cr_assert_eq(looked, MANY);
    cr_assert_eq(tq_wheel_count(&r->wheel), MANY / 2);
    cr_assert(r->wheel.owned < owned * 2 / 3, "memory goes back");
    static uint32_t out[MANY];
    cr_assert_eq(take(r, 1000000, 64, out, MANY), MANY / 2);
    for (uint32_t i = 1; i < MANY / 2; i++)
        cr_assert(out[i] % 7 > out[i - 1] % 7 ||
                  (out[i] % 7 == out[i - 1] % 7 && out[i] > out[i - 1]));
    rig_close(r);
}

Test(wheel, entries_that_come_out_or_in_between_the_steps_of_a_sweep_keep_their_order)
{
    enum { MANY = 9000 };
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < MANY; i++)
        put(r, 300, i);
    uint32_t looked = 0;
    cr_assert_not(tq_wheel_sweep(&r->wheel, &r->cache, 2000, is_odd, &looked));
    must_be_good(r);
    put(r, 300, MANY);
    must_be_good(r);
    /* The slot that is being swept is reached. */
    static uint32_t out[MANY + 1];
    const uint32_t n = take(r, 300, 64, out, MANY + 1);
    cr_assert_eq(n, MANY - looked / 2 + 1);
    for (uint32_t i = 1; i < n; i++)
        cr_assert(out[i] > out[i - 1]);
    cr_assert(tq_wheel_sweep(&r->wheel, &r->cache, 2000, is_odd, NULL));
    rig_close(r);
}

Test(wheel, a_sweep_sees_all_that_was_there_when_it_began_and_is_there_at_its_end)
{
    enum { MANY = 20000 };
    struct rig *r = rig_open(0);
    for (uint32_t i = 0; i < MANY; i++)
        put(r, 100 + i * 10, i);
    static uint32_t out[MANY];
    uint64_t now = 0;
    while (!tq_wheel_sweep(&r->wheel, &r->cache, 500, is_odd, NULL)) {
        now += 1777; /* slots are poured meanwhile */
        take(r, now, 64, out, MANY);
    }
    const uint32_t n = take(r, 1000000, 64, out, MANY);
    cr_assert(n > 1000);
    for (uint32_t i = 0; i < n; i++)
        cr_assert(out[i] % 2);
    rig_close(r);
}

/* ---- memory ------------------------------------------------------------------------------------------- */

Test(wheel, an_insert_without_memory_fails_and_changes_nothing_and_all_else_goes_on)
{
    for (long k = 1; k < 40; k += 3) {
        struct rig *r = rig_open(0);
        r->heap.fail_at = -(r->heap.calls + k);
        uint32_t in = 0;
        while (in < 60000 &&
               tq_wheel_insert(&r->wheel, &r->cache, 0x10000 + in * 7 % 40000, in, ~in))
            in++;
        cr_assert_eq(tq_wheel_count(&r->wheel), in);
        must_be_good(r);
        /* From here on there is no memory at all: pouring, sweeping, setting back. */
        struct tq_due due[8];
        bool more;
        tq_wheel_expire(&r->wheel, &r->cache, 0x10000, due, 8, &more);
        must_be_good(r);
        tq_wheel_rebase(&r->wheel, &r->cache, 0x5000);
        must_be_good(r);
        tq_wheel_sweep(&r->wheel, &r->cache, 1000, is_odd, NULL);
        must_be_good(r);
        const uint64_t left = tq_wheel_count(&r->wheel);
        static uint32_t out[60000];
        cr_assert_eq(take(r, 0x30000, 64, out, 60000), left);
        rig_close(r);
    }
}

Test(wheel, it_has_a_chunk_for_every_slot_that_a_pouring_may_open)
{
    /* The worst: full chunks high up, which fall into as many slots as there are. */
    for (uint32_t shift = 8; shift <= 32; shift += 8) {
        struct rig *r = rig_open(0);
        const uint64_t start = UINT64_C(1) << shift;
        for (uint32_t i = 0; i < 3000; i++)
            put(r, start + (UINT64_C(0x9e3779b97f4a7c15) * i & (start - 1)), i);
        r->heap.fail_at = -(r->heap.calls + 1);
        static uint32_t out[3000];
        uint32_t n = 0;
        for (uint64_t now = start; n < 3000; now = tq_wheel_next(&r->wheel)) {
            n += take(r, now, 64, out, 3000);
            must_be_good(r);
        }
        rig_close(r);
    }
}

Test(wheel, a_million_take_13_bytes_each_and_all_come_out_in_order)
{
    enum { MANY = 1000000 };
    struct rig *r = rig_open(0);
    uint64_t state = 88172645463325252u;
    uint32_t *tick = malloc(MANY * sizeof *tick);
    for (uint32_t i = 0; i < MANY; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        tick[i] = 1 + (uint32_t)(state % 3600000);
        put(r, tick[i], i);
    }
    must_be_good(r);
    cr_assert(r->wheel.owned * 128.0 / MANY < 13.1);
    uint32_t *out = malloc(MANY * sizeof *out);
    cr_assert_eq(take(r, 3600000, 64, out, MANY), MANY);
    for (uint32_t i = 1; i < MANY; i++)
        cr_assert(tick[out[i]] > tick[out[i - 1]] ||
                  (tick[out[i]] == tick[out[i - 1]] && out[i] > out[i - 1]));
    cr_assert(r->wheel.poured_max <= TQ_WHEEL_STEP);
    cr_assert(r->wheel.owned < 2000, "memory goes back: %u", r->wheel.owned);
    free(tick);
    free(out);
    rig_close(r);
}

/* ---- a naive model --------------------------------------------------------------------------------------- */

struct entry {
    uint64_t tick;
    uint32_t item;
};

enum { MODEL_MAX = 12000 };

struct model {
    struct entry entry[MODEL_MAX]; /* in the order in which they must come out */
    uint32_t count;
    uint32_t items;
};

static uint64_t state;

static uint64_t below(uint64_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (state >> 11) % n;
}

static void model_put(struct model *m, uint64_t tick, uint32_t item)
{
    uint32_t low = 0, high = m->count;
    while (low < high) { /* behind its equals */
        const uint32_t mid = (low + high) / 2;
        if (m->entry[mid].tick <= tick)
            low = mid + 1;
        else
            high = mid;
    }
    memmove(&m->entry[low + 1], &m->entry[low], (m->count++ - low) * sizeof *m->entry);
    m->entry[low] = (struct entry){tick, item};
}

static void random_put(struct rig *r, struct model *m)
{
    static const uint64_t spans[] = {3, 300, 300, 70000, 1u << 20, 1u << 25, TOP_SPAN * 4};
    const uint64_t span = spans[below(7)];
    const uint64_t cursor = r->wheel.cursor;
    uint64_t count = below(30) ? 1 + below(5) : 1 + below(9000);
    const uint64_t alike = below(3) ? 0 : 1 + below(span);
    while (count-- && m->count < MODEL_MAX) {
        uint64_t tick = cursor + (alike ? alike : 1 + below(span));
        if (below(10) == 0)
            tick = cursor - below(50);
        else if (below(5) == 0)
            tick &= ~UINT64_C(0xff); /* the edges of slots */
        const uint32_t item = m->items++;
        if (!tq_wheel_insert(&r->wheel, &r->cache, tick, item, ~item))
            continue;
        model_put(m, tick > cursor ? tick : cursor, item);
    }
}

static void random_expire(struct rig *r, struct model *m)
{
    static const uint64_t jumps[] = {1, 2, 100, 1000, 70000, 1u << 21};
    struct tq_due due[300];
    bool more = true;
    if (below(3))
        r->now += below(jumps[below(6)] + 1);
    if (below(40) == 0 && m->count) /* just before, or at, an entry */
        r->now = m->entry[below(m->count)].tick - below(2);
    if (r->now < r->wheel.cursor)
        r->now = r->wheel.cursor;
    for (uint64_t calls = 1 + below(60); calls && more; calls--) {
        const uint32_t n =
            tq_wheel_expire(&r->wheel, &r->cache, r->now, due, 1 + (uint32_t)below(300), &more);
        cr_assert(n <= m->count);
        for (uint32_t i = 0; i < n; i++) {
            cr_assert(m->entry[i].tick <= r->now, "too early");
            cr_assert_eq(due[i].item, m->entry[i].item, "out of order");
            cr_assert_eq(due[i].generation, ~due[i].item);
        }
        memmove(m->entry, m->entry + n, (m->count -= n) * sizeof *m->entry);
    }
    if (!more)
        cr_assert(m->count == 0 || m->entry[0].tick > r->now, "something is late");
}

static void random_rebase(struct rig *r, struct model *m)
{
    static const uint64_t spans[] = {2, 300, 70000, 1u << 25, TOP_SPAN * 2};
    const uint64_t before = r->wheel.cursor;
    const uint64_t span = spans[below(5)];
    r->now = before - below(span);
    tq_wheel_rebase(&r->wheel, &r->cache, r->now);
    for (uint32_t i = 0; i < m->count && m->entry[i].tick <= before; i++)
        m->entry[i].tick = r->now; /* stays due */
}

/* What it drops is gone from the model too: those below a line that had been drawn when the pass began. */
static uint32_t dead_below;

static bool is_young(void *context, uint32_t item, uint32_t generation)
{
    bool *dropped = context;
    cr_assert_eq(generation, ~item);
    if (item >= dead_below || item % 3 == 0)
        return true;
    dropped[item] = true;
    return false;
}

static void random_sweep(struct rig *r, struct model *m, bool *dropped)
{
    if (r->wheel.sweep_below == 0)
        dead_below = m->items - (uint32_t)below(m->items / 2 + 1);
    for (uint64_t calls = 1 + below(5); calls; calls--)
        tq_wheel_sweep(&r->wheel, &r->cache, 10 + (uint32_t)below(2000), is_young, dropped);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++)
        if (!dropped[m->entry[i].item])
            m->entry[kept++] = m->entry[i];
    m->count = kept;
}

static void must_agree(struct rig *r, const struct model *m)
{
    must_be_good(r);
    cr_assert_eq(tq_wheel_count(&r->wheel), m->count);
    cr_assert(r->wheel.poured_max <= TQ_WHEEL_STEP);
    const uint64_t next = tq_wheel_next(&r->wheel);
    if (m->count)
        cr_assert(next <= m->entry[0].tick, "a wake-up would come too late");
    else
        cr_assert_eq(next, TQ_WHEEL_NEVER);
    if (m->count && r->wheel.pouring == TQ_NONE && m->entry[0].tick <= (r->wheel.cursor | 255))
        cr_assert(next >= r->wheel.cursor && (next == m->entry[0].tick || next == r->wheel.cursor));
}

Test(wheel, random_use_agrees_with_a_naive_model, .timeout = 240)
{
    enum { ITEMS_MAX = 4000000 };
    struct model *m = malloc(sizeof *m);
    bool *dropped = malloc(ITEMS_MAX);
    state = 0x9e3779b97f4a7c15u ^ (uint64_t)getpid();
    for (int round = 0; round < 10; round++) {
        const uint64_t seed = state;
        const uint64_t start =
            below(2) ? 10 * TOP_SPAN + below(TOP_SPAN) : 1700000000000 + below(999);
        struct rig *r = rig_open(start);
        m->count = m->items = 0;
        memset(dropped, 0, ITEMS_MAX);
        const bool poor = below(4) == 0;
        fprintf(stderr, "round %d, state 0x%llx\n", round, (unsigned long long)seed);
        for (int i = 0; i < 800 && m->items < ITEMS_MAX - 10000; i++) {
            const uint64_t what = below(100);
            if (what < 50)
                random_put(r, m);
            else if (what < 90)
                random_expire(r, m);
            else if (what < 93)
                random_rebase(r, m);
            else
                random_sweep(r, m, dropped);
            if (poor && i == 200)
                r->heap.fail_at = -(r->heap.calls + 1);
            if (i % 16 == 0)
                must_agree(r, m);
        }
        must_agree(r, m);
        rig_close(r);
    }
    free(m);
    free(dropped);
}

/* ---- damage -------------------------------------------------------------------------------------------- */

static struct rig *lived_in(void)
{
    struct rig *r = rig_open(1000);
    for (uint32_t i = 0; i < 300; i++)
        put(r, 1001 + i * i, i);
    must_be_good(r);
    return r;
}

static void must_be_bad(struct rig *r)
{
    cr_assert_not(tq_wheel_check(&r->wheel));
    free(r);
}

static struct tq_wheel_chunk *first_chunk(struct rig *r, uint32_t slot)
{
    return tq_chunk_at(&r->chunks, r->wheel.slot[slot].head);
}

Test(wheel, check_sees_an_entry_in_a_wrong_slot)
{
    struct rig *r = lived_in();
    first_chunk(r, 1001 & 255)->entry[0].tick++;
    must_be_bad(r);
}

Test(wheel, check_sees_a_slot_that_no_bit_tells_of)
{
    struct rig *r = lived_in();
    r->wheel.occupied[0][(1001 & 255) >> 6] = 0;
    must_be_bad(r);
}

Test(wheel, check_sees_a_lost_chunk)
{
    struct rig *r = lived_in();
    r->wheel.spare = TQ_NONE;
    must_be_bad(r);
}

Test(wheel, check_sees_a_lost_entry)
{
    struct rig *r = lived_in();
    r->wheel.count++;
    must_be_bad(r);
}

Test(wheel, check_sees_a_chain_whose_end_is_another)
{
    struct rig *r = lived_in();
    r->wheel.slot[1001 & 255].tail = r->wheel.slot[1002 & 255].tail;
    must_be_bad(r);
}
