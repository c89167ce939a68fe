#include "weave_memory.h"

#include <string.h>

#include "weave_sched.h"

#define MESSAGES_MAX (2 * WEAVE_STEPS_MAX + WEAVE_LOCS_MAX + 2)
#define SLOTS (4 * WEAVE_LOCS_MAX) /* of the hash table; a power of two */

_Static_assert((SLOTS & (SLOTS - 1)) == 0, "slots are found by a mask");
_Static_assert(WEAVE_STEPS_MAX < WEAVE_NEVER, "a clock never reaches NEVER");

struct knowledge {
    struct weave_view now;
    struct weave_view pending; /* read by relaxed loads: an acquire fence makes it known */
    struct weave_view fence;   /* known at the last release fence: relaxed stores carry it */
    uint32_t fence_step;       /* of the last seq_cst fence */
};

static struct {
    struct knowledge threads[WEAVE_THREADS_MAX];
    weave_clock fences; /* what the seq_cst fences so far have seen */
    struct weave_message messages[MESSAGES_MAX];
    uint32_t message_count; /* message 0 is not used */
    struct weave_loc locs[WEAVE_LOCS_MAX];
    uint32_t loc_count;
    uint16_t slots[SLOTS]; /* index of a location and one; 0: free */
    uint32_t epoch;
    uint32_t step;
} memory;

static inline weave_clock clock_max(weave_clock a, weave_clock b)
{
    weave_clock greater = (weave_clock)(a > b);
    return (a & greater) | (b & ~greater);
}

static inline void view_join(struct weave_view *into, const struct weave_view *from)
{
    into->hb = clock_max(into->hb, from->hb);
    into->co = clock_max(into->co, from->co);
}

static inline bool any(weave_clock mask)
{
    uint64_t bits;
    _Static_assert(sizeof bits == sizeof mask, "four threads");
    memcpy(&bits, &mask, sizeof bits);
    return bits != 0;
}

/* --- Locations --- */

void weave_memory_forget(void)
{
    memset(memory.slots, 0, sizeof memory.slots);
    memory.loc_count = 0;
    memory.epoch = 0;
}

void weave_memory_rewind(void)
{
    memset(memory.threads, 0, sizeof memory.threads);
    memory.fences = (weave_clock){0};
    memory.message_count = 1;
    memory.epoch++;
}

static struct weave_loc *loc_add(const volatile void *p)
{
    if (memory.loc_count == WEAVE_LOCS_MAX)
        weave_fail("more than %d locations: does setup use the same memory every time?",
                   WEAVE_LOCS_MAX);
    struct weave_loc *loc = &memory.locs[memory.loc_count++];
    *loc = (struct weave_loc){.address = p, .index = -1};
    return loc;
}

struct weave_loc *weave_memory_loc(const volatile void *p, uint32_t *hint)
{
    if (*hint < memory.loc_count && memory.locs[*hint].address == p)
        return &memory.locs[*hint];
    uint64_t hash = (uint64_t)(uintptr_t)p * UINT64_C(0x9E3779B97F4A7C15);
    uint32_t slot = (uint32_t)(hash >> 40) & (SLOTS - 1);
    while (memory.slots[slot] && memory.locs[memory.slots[slot] - 1].address != p)
        slot = (slot + 1) & (SLOTS - 1);
    if (!memory.slots[slot]) {
        loc_add(p);
        memory.slots[slot] = (uint16_t)memory.loc_count;
    }
    *hint = memory.slots[slot] - 1u;
    return &memory.locs[*hint];
}

static uint64_t stored(const volatile void *p, size_t size)
{
    return size == 4 ? *(const volatile uint32_t *)p : *(const volatile uint64_t *)p;
}

static uint32_t message_add(void)
{
    return memory.message_count++; /* two per step and one per location: it cannot overflow */
}

const struct weave_message *weave_memory_message(uint32_t index)
{
    return &memory.messages[index];
}

/* The first access of an execution: the value in memory was there before all threads. */
static void loc_begin(struct weave_loc *loc, size_t size, enum weave_kind kind)
{
    loc->epoch = memory.epoch;
    loc->kind = kind;
    loc->size = (uint32_t)size;
    loc->writer = -1;
    loc->reads = (weave_clock){0};
    loc->last_site = NULL;
    if (kind != WEAVE_ATOMIC)
        return;
    loc->newest = message_add();
    memory.messages[loc->newest] = (struct weave_message){.value = stored(loc->address, size)};
}

/* On a stack another variable, of another call, may be there by now. */
static bool is_another(const struct weave_loc *loc, size_t size)
{
    bool same = loc->kind == WEAVE_ATOMIC && loc->size == size &&
                memory.messages[loc->newest].value == stored(loc->address, size);
    return !same && weave_sched_on_stack(loc->address);
}

struct weave_loc *weave_memory_atomic(const volatile void *p, size_t size, uint32_t *hint)
{
    struct weave_loc *loc = weave_memory_loc(p, hint);
    if (loc->epoch != memory.epoch || is_another(loc, size))
        loc_begin(loc, size, WEAVE_ATOMIC);
    if (loc->kind != WEAVE_ATOMIC || loc->size != size)
        weave_fail("%p (%s) is used both as %s of %u bytes and as an atomic of %zu",
                   (void *)(uintptr_t)p, loc->name ? loc->name : "no name",
                   loc->kind == WEAVE_DATA ? "plain data" : "an atomic", loc->size, size);
    if (memory.messages[loc->newest].value != stored(p, size))
        weave_fail("%p (%s) was changed otherwise than by a tq_ operation", (void *)(uintptr_t)p,
                   loc->name ? loc->name : "no name");
    return loc;
}

/* --- Atomics --- */

void weave_memory_tick(unsigned thread, uint32_t step)
{
    struct weave_view *now = &memory.threads[thread].now;
    now->hb[thread]++;
    now->co[thread] = now->hb[thread];
    memory.step = step;
}

/* Nothing older than message m is readable. */
static inline bool is_floor(const struct knowledge *k, const struct weave_message *m,
                            enum weave_order order)
{
    if (any((weave_clock)(m->known <= k->now.co)))
        return true;
    if (m->seq_cst && (order == WEAVE_SEQ_CST || m->step <= k->fence_step))
        return true;
    return order == WEAVE_SEQ_CST && any((weave_clock)(m->known <= memory.fences));
}

unsigned weave_memory_readable(unsigned thread, const struct weave_loc *loc, enum weave_order order,
                               const uint64_t *but, unsigned max, uint32_t *out)
{
    const struct knowledge *k = &memory.threads[thread];
    uint32_t at = loc->newest;
    unsigned count = 1;
    out[0] = at;
    while (count < max && !is_floor(k, &memory.messages[at], order)) {
        at = memory.messages[at].older;
        if (!but || memory.messages[at].value != *but)
            out[count++] = at;
    }
    return count;
}

static void know(unsigned thread, struct weave_message *m)
{
    int16_t clock = memory.threads[thread].now.hb[thread];
    if (m->known[thread] > clock)
        m->known[thread] = clock;
}

uint64_t weave_memory_read(unsigned thread, uint32_t message, enum weave_order order)
{
    struct knowledge *k = &memory.threads[thread];
    struct weave_message *m = &memory.messages[message];
    know(thread, m);
    view_join(order & WEAVE_ACQUIRE ? &k->now : &k->pending, &m->view);
    return m->value;
}

void weave_memory_write(unsigned thread, struct weave_loc *loc, uint64_t value,
                        enum weave_order order, uint32_t modified)
{
    const struct knowledge *k = &memory.threads[thread];
    uint32_t index = message_add();
    struct weave_message *m = &memory.messages[index];
    m->value = value;
    m->view = order & WEAVE_RELEASE ? k->now : k->fence;
    if (modified)
        view_join(&m->view, &memory.messages[modified].view);
    m->known = (weave_clock){WEAVE_NEVER, WEAVE_NEVER, WEAVE_NEVER, WEAVE_NEVER};
    know(thread, m);
    m->older = loc->newest;
    m->step = memory.step;
    m->seq_cst = order == WEAVE_SEQ_CST;
    loc->newest = index;
    volatile void *p = (volatile void *)(uintptr_t)loc->address;
    if (loc->size == 4)
        *(volatile uint32_t *)p = (uint32_t)value;
    else
        *(volatile uint64_t *)p = value;
}

void weave_memory_fence(unsigned thread, enum weave_order order)
{
    struct knowledge *k = &memory.threads[thread];
    if (order & WEAVE_ACQUIRE)
        view_join(&k->now, &k->pending);
    if (order == WEAVE_SEQ_CST) {
        k->now.co = clock_max(k->now.co, memory.fences);
        memory.fences = k->now.co;
        k->fence_step = memory.step;
    }
    if (order & WEAVE_RELEASE)
        k->fence = k->now;
}

/* --- Plain data --- */

const struct weave_site *weave_memory_plain(unsigned thread, struct weave_loc *loc, bool write,
                                            const struct weave_site *site)
{
    if (loc->epoch != memory.epoch)
        loc_begin(loc, 0, WEAVE_DATA);
    const struct weave_view *now = &memory.threads[thread].now;
    bool race = loc->kind != WEAVE_DATA;
    race |= loc->writer >= 0 && loc->written > now->hb[loc->writer];
    race |= write && any((weave_clock)(loc->reads > now->hb));
    if (race)
        return loc->last_site ? loc->last_site : site;
    if (write) {
        loc->writer = (int)thread;
        loc->written = now->hb[thread];
    } else {
        loc->reads[thread] = now->hb[thread];
    }
    loc->last_site = site;
    return NULL;
}
