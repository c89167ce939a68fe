/* The operations: each is a point where threads may switch, then one step of the memory.
 *
 * Outside the threads of a case (setup, finish, other code of the program) they act on plain memory.
 */
#include "weave_op.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "weave_choice.h"
#include "weave_memory.h"
#include "weave_sched.h"
#include "weave_site.h"
#include "weave_trace.h"

static unsigned stale_left;

void weave_op_rewind(unsigned stale)
{
    stale_left = stale;
}

static uint64_t plain_get(const volatile void *p, size_t size)
{
    return size == 4 ? *(const volatile uint32_t *)p : *(const volatile uint64_t *)p;
}

static void plain_set(volatile void *p, size_t size, uint64_t value)
{
    if (size == 4)
        *(volatile uint32_t *)p = (uint32_t)value;
    else
        *(volatile uint64_t *)p = value;
}

/* The operation takes place now; this thread's clock moves on. */
static struct weave_loc *begin(struct weave_site *site, const volatile void *p, size_t size)
{
    weave_sched_point();
    weave_memory_tick(weave_sched_self(), weave_sched_step());
    struct weave_loc *loc = weave_memory_atomic(p, size, &site->loc_hint);
    if (loc->constant)
        weave_fail("%s was called constant, and %s may change it",
                   loc->name ? loc->name : "an atomic", site->where);
    return loc;
}

static void write_value(struct weave_loc *loc, uint64_t value, enum weave_order order,
                        uint32_t modified)
{
    bool change = weave_memory_message(loc->newest)->value != value;
    weave_memory_write(weave_sched_self(), loc, value, order, modified);
    if (change)
        weave_sched_changed();
}

/* Which message a load reads: a choice. Returns how many are newer. */
static unsigned pick(const struct weave_loc *loc, enum weave_order order, const uint64_t *but,
                     uint32_t *out_message)
{
    uint32_t readable[WEAVE_READABLE_MAX];
    unsigned max = stale_left ? WEAVE_READABLE_MAX : 1;
    unsigned count = weave_memory_readable(weave_sched_self(), loc, order, but, max, readable);
    unsigned way = weave_choose(count);
    if (way) {
        stale_left--;
        weave_sched_stale();
    }
    *out_message = readable[way];
    return way;
}

static const char *stale_text(unsigned k, char *out, size_t size)
{
    out[0] = '\0';
    if (k)
        snprintf(out, size, "   stale %u", k);
    return out;
}

uint64_t weave_load(struct weave_site *copy, const volatile void *p, size_t size)
{
    if (!weave_sched_active())
        return plain_get(p, size);
    struct weave_site *site = weave_site_use(copy);
    if (weave_memory_loc(p, &site->loc_hint)->constant)
        return plain_get(p, size);
    struct weave_loc *loc = begin(site, p, size);
    uint32_t message;
    unsigned stale = pick(loc, site->order_now, NULL, &message);
    uint64_t value = weave_memory_read(weave_sched_self(), message, site->order_now);
    if (weave_trace_on()) {
        char text[24];
        weave_trace(site, loc, "= %#" PRIx64 "%s", value, stale_text(stale, text, sizeof text));
    }
    return value;
}

void weave_store(struct weave_site *copy, volatile void *p, size_t size, uint64_t value)
{
    if (!weave_sched_active()) {
        plain_set(p, size, value);
        return;
    }
    struct weave_site *site = weave_site_use(copy);
    struct weave_loc *loc = begin(site, p, size);
    if (size == 4)
        value = (uint32_t)value;
    if (weave_trace_on())
        weave_trace(site, loc, ":= %#" PRIx64, value);
    if (!site->dropped)
        write_value(loc, value, site->order_now, 0);
}

static uint64_t modified(enum weave_op op, uint64_t old, uint64_t operand, size_t size)
{
    uint64_t value = operand;
    switch (op) {
    case WEAVE_OP_ADD:
        value = old + operand;
        break;
    case WEAVE_OP_SUB:
        value = old - operand;
        break;
    case WEAVE_OP_OR:
        value = old | operand;
        break;
    case WEAVE_OP_AND:
        value = old & operand;
        break;
    default:
        break;
    }
    return size == 4 ? (uint32_t)value : value;
}

uint64_t weave_modify(struct weave_site *copy, volatile void *p, size_t size, uint64_t operand)
{
    if (!weave_sched_active()) {
        uint64_t before = plain_get(p, size);
        plain_set(p, size, modified(copy->op, before, operand, size));
        return before;
    }
    struct weave_site *site = weave_site_use(copy);
    struct weave_loc *loc = begin(site, p, size);
    uint32_t message = loc->newest;
    uint64_t old = weave_memory_read(weave_sched_self(), message, site->order_now);
    uint64_t value = modified(site->op, old, operand, size);
    if (weave_trace_on())
        weave_trace(site, loc, "%#" PRIx64 " -> %#" PRIx64, old, value);
    if (!site->dropped)
        write_value(loc, value, site->order_now, message);
    return old;
}

static bool plain_cas(volatile void *p, size_t size, void *expected, uint64_t desired)
{
    uint64_t value = plain_get(p, size);
    bool equal = value == plain_get(expected, size);
    if (equal)
        plain_set(p, size, desired);
    else
        plain_set(expected, size, value);
    return equal;
}

/* If the newest value is the expected one, it succeeds or fails on an older value that differs; else
 * it fails on any readable value that differs. */
bool weave_cas(struct weave_site *copy, volatile void *p, size_t size, void *expected,
               uint64_t desired)
{
    if (!weave_sched_active())
        return plain_cas(p, size, expected, desired);
    struct weave_site *site = weave_site_use(copy);
    struct weave_loc *loc = begin(site, p, size);
    uint64_t wanted = plain_get(expected, size);
    uint32_t message;
    unsigned stale = pick(loc, site->failure_now, &wanted, &message);
    bool success = weave_memory_message(message)->value == wanted;
    enum weave_order order = success ? site->order_now : site->failure_now;
    uint64_t value = weave_memory_read(weave_sched_self(), message, order);
    desired = size == 4 ? (uint32_t)desired : desired;
    if (success) {
        if (weave_trace_on())
            weave_trace(site, loc, "%#" PRIx64 " -> %#" PRIx64, value, desired);
        if (!site->dropped)
            write_value(loc, desired, site->order_now, message);
        return true;
    }
    if (weave_trace_on()) {
        char text[24];
        weave_trace(site, loc, "= %#" PRIx64 ", not %#" PRIx64 "%s", value, wanted,
                    stale_text(stale, text, sizeof text));
    }
    plain_set(expected, size, value);
    return false;
}

void weave_fence(struct weave_site *copy)
{
    if (!weave_sched_active())
        return;
    struct weave_site *site = weave_site_use(copy);
    weave_sched_point();
    weave_memory_tick(weave_sched_self(), weave_sched_step());
    weave_trace(site, NULL, "%s", "");
    weave_memory_fence(weave_sched_self(), site->order_now);
}

void weave_pause(struct weave_site *copy)
{
    if (!weave_sched_active())
        return;
    weave_trace(weave_site_use(copy), NULL, "%s", "");
    weave_sched_pause();
}

int weave_sleep(struct weave_site *copy, volatile void *p, uint32_t expected)
{
    if (!weave_sched_active())
        return -EAGAIN; /* nobody could wake it */
    struct weave_site *site = weave_site_use(copy);
    struct weave_loc *loc = begin(site, p, sizeof(uint32_t));
    uint64_t value = weave_memory_read(weave_sched_self(), loc->newest, WEAVE_RELAXED);
    if (value != expected) {
        weave_trace(site, loc, "= %#" PRIx64 ", not %#" PRIx32 ": no sleep", value, expected);
        return -EAGAIN;
    }
    weave_trace(site, loc, "= %#" PRIx64 ": sleeps", value);
    weave_sched_sleep(p, site);
    weave_trace(site, loc, "woken");
    return 0;
}

void weave_wake(struct weave_site *copy, volatile void *p, int count)
{
    if (!weave_sched_active())
        return;
    struct weave_site *site = weave_site_use(copy);
    struct weave_loc *loc = begin(site, p, sizeof(uint32_t));
    unsigned woken = site->dropped ? 0 : weave_sched_wake(p, count);
    weave_trace(site, loc, "%u woken", woken);
}

void weave_plain(struct weave_site *copy, const volatile void *p, size_t size)
{
    (void)size;
    if (!weave_sched_active())
        return;
    struct weave_site *site = weave_site_use(copy);
    weave_sched_count();
    weave_memory_tick(weave_sched_self(), weave_sched_step());
    struct weave_loc *loc = weave_memory_loc(p, &site->loc_hint);
    bool write = site->op == WEAVE_OP_PLAIN_WRITE;
    weave_trace(site, loc, "%s", "");
    const struct weave_site *other = weave_memory_plain(weave_sched_self(), loc, write, site);
    if (other)
        weave_fail("data race: %s at %s:%d and at %s:%d", site->where,
                   weave_trace_path(other->file), other->line, weave_trace_path(site->file),
                   site->line);
}
