/* What goes ahead of a fifo, under search: puts, pops and sweeps against each other, in segments of two cells.
 *
 * A story gives each thread a script, one letter an operation. Each stay of an item in the queue is written down with
 * the order of the execution and judged at the end: no pop takes an item while another with a smaller place is there
 * from the pop's begin to its end, none says "empty" while any is, each stay ends once, and an item keeps its place.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"
#include "tests/tap.h"
#include "weave.h"

enum { THREADS = 3, SETUP = 3, WHO = 4, PER_WHO = 4, ITEMS = WHO * PER_WHO, STAYS = 3, LINKS = 8 };

/*  +  push                b  put back what this thread popped last; or else what the setup popped, the first of it
 *  -  pop                 B  the same, the last of it
 *  s  sweep, one step     S  sweep until the round is over
 */
struct story {
    const char *script[THREADS];
    int pushed, popped; /* before the threads begin */
    uint32_t tombs;     /* a bit for each item of the setup that is one */
};

struct stay {
    unsigned came, began_to_go, gone; /* in order of the execution; 0: not yet */
};

static struct world {
    struct tq_slab segments, links;
    struct tq_fifo fifo;
    struct tq_fifo_cache cache[WHO];
    uint32_t link[WHO][2 * LINKS], link_count[WHO];
    uint32_t made[WHO];
    uint32_t hand[WHO][ITEMS], hand_count[WHO];
    unsigned clock;
    struct stay stay[ITEMS][STAYS];
    uint32_t stays[ITEMS];
    uint64_t place[ITEMS]; /* UINT64_MAX: nobody popped it yet */
    unsigned sweep_began[WHO];
    struct {
        unsigned begin, end;
    } empty[ITEMS];
    uint32_t empties;
    uint32_t tombs;
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

/* What whoever takes it must read: written anew for each stay. */
static uint32_t payload_of(uint32_t item)
{
    return item + 100 * w.stays[item];
}

static void came(uint32_t item)
{
    w.stay[item][w.stays[item] - 1].came = ++w.clock;
}

static void went(uint32_t item, unsigned began)
{
    weave_assert(item < ITEMS && w.stays[item]);
    struct stay *stay = &w.stay[item][w.stays[item] - 1];
    weave_assert(!stay->gone); /* once */
    weave_assert(WEAVE_READ(payload[item]) == payload_of(item));
    stay->began_to_go = began;
    stay->gone = ++w.clock;
}

static void push(void)
{
    unsigned self = who();
    uint32_t item = self * PER_WHO + w.made[self]++;
    w.place[item] = UINT64_MAX;
    w.stays[item]++;
    WEAVE_WRITE(payload[item], payload_of(item));
    weave_assert(tq_fifo_push_one(&w.fifo, &w.cache[self], item) == 1);
    came(item);
}

static bool pop(void)
{
    unsigned self = who(), began = ++w.clock;
    struct tq_taken taken;
    if (!tq_fifo_pop(&w.fifo, &w.cache[self], &taken)) {
        w.empty[w.empties].begin = began;
        w.empty[w.empties++].end = ++w.clock;
        return false;
    }
    went(taken.item, began);
    weave_assert(w.place[taken.item] == UINT64_MAX || w.place[taken.item] == taken.place);
    w.place[taken.item] = taken.place;
    if (taken.link != TQ_NONE)
        w.link[self][w.link_count[self]++] = taken.link;
    w.hand[self][w.hand_count[self]++] = taken.item;
    return true;
}

static void put_back(bool last)
{
    unsigned self = who(), from = w.hand_count[self] ? self : SETUP;
    weave_assert(w.hand_count[from]);
    uint32_t at = last || from == self ? w.hand_count[from] - 1 : 0;
    uint32_t item = w.hand[from][at];
    memmove(&w.hand[from][at], &w.hand[from][at + 1],
            (--w.hand_count[from] - at) * sizeof w.hand[from][0]);
    w.stays[item]++;
    WEAVE_WRITE(payload[item], payload_of(item));
    weave_assert(w.link_count[self]);
    tq_fifo_put(&w.fifo, &w.cache[self], w.link[self][--w.link_count[self]], w.place[item], item);
    came(item);
}

static bool is_tomb(void *context, uint32_t item)
{
    (void)context;
    weave_assert(WEAVE_READ(payload[item]) == payload_of(item));
    return item / PER_WHO == SETUP && w.tombs >> item % PER_WHO & 1;
}

static void drop(void *context, uint32_t item)
{
    (void)context;
    weave_assert(is_tomb(NULL, item));
    went(item, w.sweep_began[who()]);
}

static bool sweep(uint32_t step)
{
    static const struct tq_sweeper sweeper = {is_tomb, drop, NULL};
    w.sweep_began[who()] = ++w.clock;
    return tq_fifo_sweep(&w.fifo, &w.cache[who()], &sweeper, step);
}

static void play(void *arg)
{
    const struct story *story = arg;
    for (const char *s = story->script[weave_self()]; *s; s++) {
        if (*s == '+')
            push();
        else if (*s == '-')
            pop();
        else if (*s == 's')
            sweep(1);
        else if (*s == 'S')
            while (sweep(2))
                ;
        else
            put_back(*s == 'B');
    }
}

/* ---- one execution --------------------------------------------------------------------------------- */

static bool attach(unsigned i)
{
    struct tq_fifo_cache *cache = &w.cache[i];
    bool good =
        tq_slab_attach(&w.segments, &cache->slab) && tq_slab_attach(&w.links, &cache->links);
    if (!good)
        return false;
    tq_fifo_cache_init(cache);
    good = tq_fifo_reserve(&w.segments, cache, 3 * TQ_FIFO_CELLS);
    for (int k = 0; k < LINKS; k++) /* some for puts, the others stay with the cache, for sweeps */
        good = good && tq_fifo_link_take(&w.links, cache, &w.link[i][w.link_count[i]++]);
    for (int k = 0; good && k < LINKS - 3; k++)
        tq_fifo_link_free(&w.links, cache, w.link[i][--w.link_count[i]]);
    return good;
}

static void setup(void *arg)
{
    const struct story *story = arg;
    memset(&w, 0, sizeof w);
    heap.used = 0;
    w.tombs = story->tombs;
    struct tq_slab_shape segments = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = 16,
        .caches_max = WHO,
    };
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = 8,
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = LINKS,
        .limit = WHO * LINKS,
        .caches_max = WHO,
    };
    bool good =
        tq_slab_init(&w.segments, &memory, &segments) && tq_slab_init(&w.links, &memory, &links);
    for (unsigned i = 0; i < WHO && good; i++)
        good = attach(i);
    good = good && tq_fifo_init(&w.fifo, &w.segments, &w.links, &w.cache[SETUP]);
    if (!good)
        weave_fail("no memory for the setup");
    const struct tq_arena *arenas[] = {&w.segments.objects, &w.segments.magazines, &w.links.objects,
                                       &w.links.magazines};
    for (int a = 0; a < 4; a++)
        for (uint32_t i = 0; i < arenas[a]->chunks_max; i++)
            weave_constant(&arenas[a]->chunks[i]);
    weave_name(&w.fifo.head, "head");
    weave_name(&w.fifo.tail, "tail");
    weave_name(&w.fifo.mutex.word, "mutex");
    for (uint32_t i = 0; i < 4; i++) {
        struct tq_segment *s = tq_slab_at(&w.segments, i);
        weave_name_at(&s->deq, "deq of", (int)i);
        weave_name_at(&s->next, "next of", (int)i);
    }
    for (int i = 0; i < story->pushed; i++)
        push();
    for (int i = 0; i < story->popped; i++)
        weave_assert(pop());
}

static void judge(void)
{
    for (uint32_t i = 0; i < ITEMS; i++)
        for (uint32_t k = 0; k < w.stays[i]; k++) {
            const struct stay *there = &w.stay[i][k];
            for (uint32_t e = 0; e < w.empties; e++)
                weave_assert(there->came > w.empty[e].begin || there->began_to_go < w.empty[e].end);
            for (uint32_t j = 0; j < ITEMS; j++)
                for (uint32_t l = 0; l < w.stays[j] && w.place[j] > w.place[i]; l++) {
                    const struct stay *taken = &w.stay[j][l];
                    if (w.place[j] != UINT64_MAX) /* not swept */
                        weave_assert(there->came > taken->began_to_go ||
                                     there->began_to_go < taken->gone);
                }
        }
}

static void finish(void *arg)
{
    (void)arg;
    uint64_t items, rest = 0, ahead = 0;
    weave_assert(tq_fifo_check(&w.fifo, &items));
    weave_assert(tq_fifo_depth(&w.fifo) >= items);
    while (tq_fifo_peek(&w.fifo) != TQ_NONE || tq_fifo_at_end(&w.fifo)) {
        uint32_t first = tq_fifo_peek(&w.fifo);
        weave_assert(first == TQ_NONE ||
                     (tq_fifo_find(&w.fifo, first, NULL, &ahead) && ahead == 0));
        weave_assert(pop());
        rest++;
    }
    while (pop()) /* behind cells that were given up */
        rest++;
    w.empties--;
    weave_assert(rest == items);
    weave_assert(tq_fifo_check(&w.fifo, &items) && items == 0);
    for (uint32_t i = 0; i < ITEMS; i++)
        for (uint32_t k = 0; k < w.stays[i]; k++)
            weave_assert(w.stay[i][k].gone);
    judge();
}

/* ---- the stories ----------------------------------------------------------------------------------- */

#define STORY(title, ...)                                                                          \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .threads = {play, play, play}
#define PAIR(title, ...)                                                                           \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .threads = {play, play}

/* The bounds are those that end within seconds; with "long" as its argument the program searches all with 3 preemptions
 * and 2 old reads. */
static const struct weave_case stories[] = {
    {PAIR("put and pop", .script = {"b", "---"}, .pushed = 3, .popped = 1)},
    {PAIR("put into an empty one", .script = {"b", "--"}, .pushed = 1, .popped = 1)},
    {PAIR("put where a segment is used up", .script = {"b+", "--"}, .pushed = 2, .popped = 2)},
    {PAIR("put where another one follows", .script = {"b", "---"}, .pushed = 3, .popped = 2)},
    {STORY("put against two consumers", .script = {"b", "-", "-"}, .pushed = 3, .popped = 1),
     .preemptions = 2, .stale = 1},
    {STORY("the same at the end of a segment", .script = {"b", "-", "-"}, .pushed = 4, .popped = 2),
     .preemptions = 2, .stale = 1},
    {STORY("put against a push and a pop", .script = {"b", "+", "--"}, .pushed = 2, .popped = 2),
     .preemptions = 2, .stale = 1},
    {STORY("two puts, in either order", .script = {"B", "b", "--"}, .pushed = 3, .popped = 2),
     .preemptions = 2, .stale = 1},
    {PAIR("both take and put back", .script = {"-b-", "-b-"}, .pushed = 3), .preemptions = 2},
    {STORY("three take, one puts back", .script = {"-b", "--", "-"}, .pushed = 4), .preemptions = 2,
     .stale = WEAVE_NONE},
    {PAIR("sweep and pop", .script = {"S", "--"}, .pushed = 4, .tombs = 2)},
    {PAIR("sweep and pop, tombs only", .script = {"S", "-"}, .pushed = 3, .tombs = 7)},
    {PAIR("sweep and pop, no tomb", .script = {"S", "--"}, .pushed = 3)},
    {STORY("sweep against two consumers", .script = {"S", "-", "-"}, .pushed = 4, .tombs = 2),
     .preemptions = 2, .stale = WEAVE_NONE},
    {STORY("sweep against a push and a pop", .script = {"S", "+", "-"}, .pushed = 3, .tombs = 1),
     .preemptions = 2, .stale = WEAVE_NONE},
    {STORY("sweep, put and pop", .script = {"S", "b", "-"}, .pushed = 4, .popped = 1, .tombs = 4),
     .preemptions = 2, .stale = WEAVE_NONE},
    {STORY("two sweeps and a pop", .script = {"S", "ss", "-"}, .pushed = 3, .tombs = 2),
     .preemptions = 1, .stale = WEAVE_NONE},
};
enum { STORIES = sizeof stories / sizeof *stories };

/* Small ones, run again for each seeded fault. */
static const struct weave_case quick[] = {
    {PAIR("put and pop", .script = {"b", "--"}, .pushed = 3, .popped = 1), .preemptions = 2},
    {PAIR("put at the end", .script = {"b", "--"}, .pushed = 3, .popped = 2), .preemptions = 2},
    {PAIR("take and put back", .script = {"-b-", "--"}, .pushed = 3), .preemptions = 2},
    {PAIR("sweep and pop", .script = {"S", "--"}, .pushed = 4, .tombs = 2), .preemptions = 2},
    {PAIR("sweep what comes", .script = {"S", "++"}, .pushed = 1), .preemptions = 2},
    {PAIR("sweep over an end", .script = {"S", "-"}, .pushed = 4, .popped = 1), .preemptions = 2},
    {STORY("two puts", .script = {"B", "b", "--"}, .pushed = 3, .popped = 2), .preemptions = 1,
     .stale = 1},
    {STORY("two leave", .script = {"b", "-", "-"}, .pushed = 3, .popped = 2), .preemptions = 2,
     .stale = 1},
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

/* A modification that is left out, while its thread believes that it took place; wherever it stands. */
static void left_out(const char *site_text, unsigned places, const char *claim)
{
    static struct weave_result r;
    unsigned caught = 0;
    for (unsigned n = 0; n < places; n++) {
        struct weave_site *site = weave_site_find(site_text, n);
        if (!site)
            break;
        bool seen = false;
        weave_drop(site);
        for (unsigned i = 0; i < QUICK && !seen; i++) {
            struct weave_case c = quick[i];
            c.quiet = true;
            seen = weave_run(&c, &r) != 0;
        }
        weave_mend(site);
        caught += seen;
        char text[256];
        weave_site_describe(site, text, sizeof text);
        tap_note("%s: %s", text, seen ? r.why : "SURVIVED");
    }
    TAP_OK(caught == places && !weave_site_find(site_text, places), claim);
}

/* What must be caught here. The seq_cst of O5 is for sync/ready (case_ready); the orders of push and pop beside the front
 * are for case_fifo. These survive, and stand nevertheless:
 *
 *   head, in hold, let_go and take_held   It changes under the mutex that we have, or by who finds the segment LEFT, and
 *                                  then the CAS of deq fails: the acquire is for the address only.
 *   advance_head: head, release    A consumer who reads an old deq of the next segment fails with his CAS, unless it is
 *                                  empty: then he says so, and need not have known of the put.
 *   deq, release (O7)              Keeps an earlier load where it is; weave has none that read what is yet to be written.
 */
static const char *const needed[] = {
    "tq_cas(&s->deq, seq_cst, relaxed): relaxed",
    "tq_load(&s->deq, seq_cst): relaxed",
    "tq_cas(&mutex->word, acquire, relaxed): relaxed",
    "tq_swap(&mutex->word, release): relaxed",
    "tq_swap(&mutex->word, acquire): relaxed",
    "tq_load(&s->cell[d], seq_cst): relaxed",
    "tq_load(&s->next, seq_cst): relaxed",
    "tq_cas(cell, seq_cst, relaxed): relaxed",
};

static void faults(void)
{
    static struct weave_tally tally;
    bool ran = weave_mutate(quick, QUICK, WEAVE_TO_RELAXED, "engine/sync/", &tally) == 0;
    TAP_OK(ran, "the small stories are clean without a fault");
    tap_note("%u orders weakened, %u caught", tally.count, tally.caught);
    for (unsigned n = 0; n < sizeof needed / sizeof *needed; n++) {
        bool caught = false;
        for (unsigned i = 0; i < tally.count; i++)
            caught =
                caught || (tally.verdicts[i].caught && strstr(tally.verdicts[i].text, needed[n]));
        char text[192];
        snprintf(text, sizeof text, "caught: %s", needed[n]);
        TAP_OK(caught, text);
    }
    left_out("tq_cas(&s->deq, seq_cst, relaxed)", 1, "caught: a put that does not hold the fifo");
    left_out("tq_cas(&s->deq, release, relaxed)", 3,
             "caught: an item taken, and deq not moved; a segment left, and not marked as left");
    left_out("tq_store(&s->deq, release)", 2, "caught: deq not moved by a sweep; never let go");
    left_out("tq_store(its, relaxed)", 1, "caught: the next segment is not held");
    left_out("tq_cas(&mutex->word, acquire, relaxed)", 1, "caught: a mutex that lets two in");
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < STORIES; i++)
        story_holds(&stories[i], deep);
    faults();
    return tap_done();
}
