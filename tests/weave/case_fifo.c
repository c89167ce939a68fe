/* The fifo under search: segments of two cells, so that a few pushes and pops fill, leave and use again.
 *
 * A story gives each thread a script, one letter an operation. What it did is written down with the
 * order of the execution and judged at the end: each item once, FIFO, no pop that says "empty" while
 * an item lies there from its begin to its end, no push accepted that began after close.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"
#include "tests/tap.h"
#include "weave.h"

enum { THREADS = 3, SETUP = 3, WHO = 4, PER_PRODUCER = 4, ITEMS = WHO * PER_PRODUCER };

/*  +  push one             3  push three at once
 *  -  pop                  r  reserve a segment: one that was freed, if there is one
 *  x  close
 */
struct story {
    const char *script[THREADS];
    int pushed, popped; /* before the threads begin */
    bool unread; /* each look that finds nothing is an error: there is always an item for it */
};

struct span {
    unsigned begin, end; /* in order of the execution; 0: not yet */
};

static struct world {
    struct tq_slab slab;
    struct tq_fifo fifo;
    struct tq_fifo_cache cache[WHO];
    uint32_t made[WHO]; /* items so far */
    unsigned clock;
    struct span push[ITEMS], pop[ITEMS];
    struct span empty[ITEMS]; /* pops that found nothing */
    uint32_t empties;
    uint32_t last[WHO][WHO]; /* the last item of each producer, and one, that each consumer saw */
    bool accepted[ITEMS];
    unsigned closed; /* when close had returned */
} w;
static uint32_t payload[ITEMS];

/* ---- memory: one block, cut from its begin in each execution -------------------------------------- */

static struct {
    _Alignas(64) unsigned char bytes[20 * 1024];
    size_t used;
} heap;

static void *heap_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    size_t at = (heap.used + align - 1) / align * align;
    if (at + size > sizeof heap.bytes)
        return NULL;
    heap.used = at + size;
    return heap.bytes + at;
}

static void heap_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    (void)size;
}

static const struct tq_memory memory = {heap_alloc, heap_free, NULL};

/* ---- operations ------------------------------------------------------------------------------------ */

static unsigned who(void)
{
    return weave_self() < 0 ? SETUP : (unsigned)weave_self();
}

static void push(uint32_t count)
{
    unsigned self = who();
    uint32_t first = self * PER_PRODUCER + w.made[self], item[PER_PRODUCER];
    w.made[self] += count;
    for (uint32_t i = 0; i < count; i++) {
        item[i] = first + i;
        WEAVE_WRITE(payload[first + i], first + i + 100);
        w.push[first + i].begin = ++w.clock;
    }
    if (!tq_fifo_reserve(&w.slab, &w.cache[self], count))
        weave_fail("no segment to reserve");
    uint32_t done = count == 1 ? tq_fifo_push_one(&w.fifo, &w.cache[self], first)
                               : tq_fifo_push(&w.fifo, &w.cache[self], item, count);
    for (uint32_t i = 0; i < count; i++) {
        w.accepted[first + i] = i < done;
        w.push[first + i].end = ++w.clock;
    }
}

static bool pop(void)
{
    unsigned self = who();
    struct span span = {.begin = ++w.clock};
    struct tq_taken taken;
    bool found = tq_fifo_pop(&w.fifo, &w.cache[self], &taken);
    span.end = ++w.clock;
    if (!found) {
        w.empty[w.empties++] = span;
        return false;
    }
    uint32_t item = taken.item;
    weave_assert(taken.upcoming == TQ_NONE || taken.upcoming < ITEMS);
    weave_assert(item < ITEMS);
    weave_assert(w.push[item].begin);
    weave_assert(!w.pop[item].begin); /* once */
    weave_assert(WEAVE_READ(payload[item]) == item + 100);
    w.pop[item] = span;
    uint32_t *last = &w.last[self][item / PER_PRODUCER];
    weave_assert(item + 1 > *last); /* FIFO of each producer, as each consumer sees it */
    *last = item + 1;
    return true;
}

/* I3, of the newest values: the segment of tail lives, and is not behind that of head. */
static void look_at_ends(void)
{
    const struct tq_segment *first = tq_segment_at(&w.fifo, (uint32_t)w.fifo.head);
    const struct tq_segment *last = tq_segment_at(&w.fifo, (uint32_t)w.fifo.tail);
    weave_assert(w.fifo.head >> 32 == first->generation);
    weave_assert(w.fifo.tail >> 32 == last->generation);
    weave_assert(last->place >= first->place);
}

static void play(void *arg)
{
    const struct story *story = arg;
    for (const char *s = story->script[weave_self()]; *s; s++) {
        if (*s == '+')
            push(1);
        else if (*s == '3')
            push(3);
        else if (*s == 'r')
            (void)tq_fifo_reserve(&w.slab, &w.cache[weave_self()], 1);
        else if (*s == '-')
            weave_assert(pop() || !story->unread);
        else {
            tq_fifo_close(&w.fifo);
            w.closed = ++w.clock;
        }
        look_at_ends();
    }
}

static void setup(void *arg)
{
    const struct story *story = arg;
    memset(&w, 0, sizeof w);
    heap.used = 0;
    struct tq_slab_shape shape = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 1,
        .limit = 16,
        .caches_max = WHO,
        .exact = true, /* what one thread frees, another reserves at once */
    };
    bool good = tq_slab_init(&w.slab, &memory, &shape);
    for (unsigned i = 0; i < WHO && good; i++) {
        tq_fifo_cache_init(&w.cache[i]);
        good = tq_slab_attach(&w.slab, &w.cache[i].slab);
        const char *script = i < THREADS ? story->script[i] : "";
        if (good && script[0] != 'r' && strpbrk(script, "+3"))
            good = tq_fifo_reserve(&w.slab, &w.cache[i], strchr(script, '3') ? 3 : 1);
    }
    good = good && tq_fifo_init(&w.fifo, &w.slab, NULL, &w.cache[SETUP]);
    if (!good)
        weave_fail("no memory for the setup");
    for (uint32_t i = 0; i < w.slab.objects.chunks_max; i++)
        weave_constant(&w.slab.objects.chunks[i]);
    for (uint32_t i = 0; i < w.slab.magazines.chunks_max; i++)
        weave_constant(&w.slab.magazines.chunks[i]);
    weave_name(&w.fifo.head, "head");
    weave_name(&w.fifo.tail, "tail");
    for (int i = 0; i < story->pushed; i++)
        push(1);
    for (int i = 0; i < story->popped; i++)
        weave_assert(pop());
}

static void judge_order(void)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        weave_assert(w.accepted[i] == (w.pop[i].begin != 0));
        weave_assert(!w.closed || !w.accepted[i] || w.push[i].begin < w.closed);
        for (unsigned j = 0; j < ITEMS && w.accepted[i]; j++)
            if (w.accepted[j] && w.push[i].end < w.push[j].begin)
                weave_assert(w.pop[j].end > w.pop[i].begin);
        for (unsigned e = 0; e < w.empties && w.accepted[i]; e++)
            if (w.push[i].end < w.empty[e].begin)
                weave_assert(w.pop[i].begin < w.empty[e].end);
    }
}

static void finish(void *arg)
{
    (void)arg;
    uint64_t items, swept = 0;
    weave_assert(tq_fifo_check(&w.fifo, &items));
    weave_assert(tq_fifo_depth(&w.fifo) >= items);
    while (pop())
        swept++;
    w.empties--; /* the sweep's own end */
    weave_assert(swept == items);
    weave_assert(tq_fifo_check(&w.fifo, &items) && items == 0);
    judge_order();
}

/* ---- the stories ----------------------------------------------------------------------------------- */

#define STORY(title, ...)                                                                          \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .threads = {play, play, play}

/* Three threads with two operations each or more. The bounds are those that end within seconds; with
 * "long" as its argument the program searches all with 3 preemptions and 2 old reads. */
static const struct weave_case stories[] = {
    {STORY("two producers, one consumer", .script = {"++", "++", "--"}), .stale = 1},
    {STORY("one producer, two consumers", .script = {"++", "--", "--"}), .stale = 1},
    {STORY("a push, then a pop that must find something", .script = {"+-", "+-", "+-"},
           .unread = true),
     .preemptions = 2, .stale = 1},
    {STORY("close against pushes and pops", .script = {"++", "x", "--"})},
    {STORY("close against two producers", .script = {"++", "++", "x"})},
    {STORY("three at once against a push and a consumer that gives up", .script = {"3", "+", "--"}),
     .preemptions = 2},
    {STORY("three at once against two consumers", .script = {"3", "--", "--"}), .preemptions = 2,
     .stale = 1},
    {STORY("the same at the end of a segment", .script = {"++", "++", "--"}, .pushed = 1,
           .popped = 1),
     .preemptions = 2, .stale = 1},
    {STORY("a segment is used again under a slow consumer", .script = {"r++", "--", "--"},
           .pushed = 3, .popped = 1),
     .preemptions = 2, .stale = 1},
    {STORY("a segment is used again under a slow producer", .script = {"+", "+r+r+", "--"},
           .pushed = 2, .popped = 2),
     .preemptions = 2, .stale = 1},
};
enum { STORIES = sizeof stories / sizeof *stories };

/* Small ones, run again for each seeded fault. */
static const struct weave_case quick[] = {
    {STORY("two producers, one consumer", .script = {"++", "++", "--"}), .preemptions = 1},
    {STORY("two pushes, two pops", .script = {"+", "+", "--"}), .preemptions = 2},
    {STORY("a push, then a pop that must find something", .script = {"+-", "+-", "+-"},
           .unread = true),
     .preemptions = 1},
    {STORY("at the end of a segment", .script = {"++", "+", "--"}, .pushed = 1, .popped = 1),
     .preemptions = 1},
    {STORY("three at once", .script = {"3", "+", "--"}), .preemptions = 1},
    {STORY("close", .script = {"++", "x", "--"}), .preemptions = 1},
    {STORY("two segments on", .script = {"+++", "-", "--"}, .pushed = 2, .popped = 2),
     .preemptions = 1},
    {STORY("again under a consumer", .script = {"r++", "--", "--"}, .pushed = 3, .popped = 1),
     .preemptions = 1},
    {STORY("again under a producer", .script = {"+", "+r+r+", "--"}, .pushed = 2, .popped = 2),
     .preemptions = 1},
};
enum { QUICK = sizeof quick / sizeof *quick };

static void story_holds(const struct weave_case *story, bool deep)
{
    static struct weave_result r;
    struct weave_case c = *story;
    if (deep)
        c.preemptions = c.stale = 0;
    weave_run(&c, &r);
    char text[256];
    snprintf(text, sizeof text,
             "%s: clean (%d preemptions, %d old reads: all %" PRIu64 " executions)", c.name,
             c.preemptions ? c.preemptions : 3,
             c.stale < 0 ? 0
             : c.stale   ? c.stale
                         : 2,
             r.executions);
    TAP_OK(!r.failed && r.exhausted, text);
}

/* ---- seeded faults --------------------------------------------------------------------------------- */

/* What must be caught: the file, the operation, at how many places. What survives, and why it stands:
 *
 *   push_one: tail, acquire    A cell's value decides by its generation, and the cas sees the newest: one that is
 *                              read too old costs a turn. push() reads tail alike, and there append() needs it.
 *   push: enq, seq_cst         An addition reads the newest whatever its order; what a consumer must not miss (O4)
 *                              shows with the same addition in push_one.
 *   append: next, failure      It looks again and reads `next` anew, with seq_cst.
 *   cell_is_due: cell, three   They decide to wait or to give up; the item is read by the next look of pop, seq_cst.
 *                              The cas brings TAKEN, which names nothing.
 *   advance_head: tail         Who knows head knows, by its acquire, all that tail went through to get there.
 *   close: all five            What follows reads by modification: the push adds to enq, the append's cas of next
 *                              fails. They are seq_cst for a caller who closes and then looks, as `ready` does.
 */
static const struct {
    const char *file, *what;
    unsigned count;
} needed[] = {
    {"fifo.h:", "tq_cas(cell, seq_cst, relaxed): relaxed", 1}, /* O1 */
    {"fifo.c:", "tq_cas(cell, seq_cst, relaxed): relaxed", 1},
    {"fifo.h:", "tq_load(&s->cell[(uint32_t)deq], seq_cst): relaxed", 1},
    {"fifo.c:", "tq_load(&s->cell[d], seq_cst): relaxed", 1},
    {"fifo.c:", "tq_cas(&s->next, seq_cst, seq_cst): relaxed", 1},    /* O2: append */
    {"fifo.c:", "tq_load(&s->next, seq_cst): relaxed", 2},            /* append, advance_head */
    {"fifo.c:", "tq_cas(&fifo->tail, acq_rel, relaxed): relaxed", 1}, /* O3 */
    {"fifo.c:", "tq_cas(&fifo->head, acq_rel, relaxed): relaxed", 1},
    {"fifo.h:", "tq_load(&fifo->head, acquire): relaxed", 1},
    {"fifo.c:", "tq_load(&fifo->head, acquire): relaxed", 1},
    {"fifo.h:", "tq_add(&s->enq, seq_cst): relaxed", 1}, /* O4 */
    {"fifo.c:", "tq_load(&s->enq, seq_cst): relaxed", 1},
};

static void weakened(void)
{
    static struct weave_tally tally;
    bool ran = weave_mutate(quick, QUICK, WEAVE_TO_RELAXED, "engine/sync/fifo", &tally) == 0;
    TAP_OK(ran, "the small stories are clean without a fault");
    for (unsigned n = 0; n < sizeof needed / sizeof *needed; n++) {
        unsigned caught = 0;
        for (unsigned i = 0; i < tally.count; i++)
            caught += tally.verdicts[i].caught && strstr(tally.verdicts[i].text, needed[n].file) &&
                      strstr(tally.verdicts[i].text, needed[n].what);
        char text[192];
        snprintf(text, sizeof text, "caught: %s %s", needed[n].file, needed[n].what);
        TAP_OK(caught >= needed[n].count, text);
    }
    printf("# %u orders weakened, %u caught\n", tally.count, tally.caught);
}

/* A modification that is left out, while its thread believes that it took place. */
static void left_out(const char *site_text, const char *claim)
{
    static struct weave_result r;
    struct weave_site *site = weave_site_find(site_text, 0);
    bool caught = false;
    if (site)
        weave_drop(site);
    for (unsigned i = 0; i < QUICK && site && !caught; i++) {
        struct weave_case c = quick[i];
        c.quiet = true;
        caught = weave_run(&c, &r) != 0;
    }
    if (site)
        weave_mend(site);
    TAP_OK(caught, claim);
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    for (unsigned i = 0; i < STORIES; i++)
        story_holds(&stories[i], deep);
    weakened();
    left_out("tq_cas(cell, acq_rel, relaxed)", "caught: a consumer who does not give up a cell");
    left_out("tq_cas(&s->deq, release, relaxed)", "caught: an item taken, and deq not moved");
    left_out("tq_or(&s->enq, seq_cst)", "caught: close that does not mark the tickets");
    return tap_done();
}
