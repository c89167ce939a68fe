/* ready under search, over real fifos: hints against looks, settlers against each other, pause against take.
 *
 * A story gives each thread a script, one letter an operation. Who has pushed and marked says so by a release store,
 * and a consumer acquires that before it looks: then I1 of ready.h binds it. What really waits is read from the
 * words as they stand, past the model, and so does not order anything.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/ready.h"
#include "tests/tap.h"
#include "weave.h"

enum { THREADS = 3, SETUP = 3, WHO = 4, PER_WHO = 4, ITEMS = WHO * PER_WHO };
enum { HEAVY, LIGHT, RANKS };

/*  h  push and mark, heavy       t  take               p  pause heavy
 *  l  push and mark, light       T  take, thorough     r  resume heavy
 *  b  put back to its place, and mark, the first that was taken before the threads began and is not back yet
 */
struct story {
    const char *before; /* the threads begin */
    const char *script[THREADS];
    bool equal; /* in weight, the two */
};

enum { TOLD_PAUSE = 1 << ITEMS, TOLD_RESUME = 2 << ITEMS };

static struct world {
    struct tq_slab slab, links;
    struct tq_fifo fifo[RANKS];
    struct tq_fifo_cache cache[WHO];
    struct tq_ready *ready;
    tq_a32
        told; /* a bit for each item whose push and mark have returned, and for pause and resume */
    uint32_t made[WHO];
    struct tq_taken kept[ITEMS]; /* taken by the setup */
    uint32_t kept_count, back_count;
    uint32_t link[WHO];
    uint8_t rank[ITEMS];
    bool pushed[ITEMS], taken[ITEMS];
    bool resuming; /* resume has begun */
    /* What each consumer saw last of each producer, and one. */
    uint32_t last[WHO][WHO][RANKS];
    size_t used;
    _Alignas(64) unsigned char bytes[18 * 1024];
} w, image;
static uint32_t payload[ITEMS];

/* ---- memory ---------------------------------------------------------------------------------------- */

static void *cut(void *context, size_t size, size_t align)
{
    (void)context;
    size_t at = (w.used + align - 1) / align * align;
    if (at + size > sizeof w.bytes)
        return NULL;
    w.used = at + size;
    return w.bytes + at;
}

static void keep(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    (void)size;
}

static const struct tq_memory memory = {cut, keep, NULL};

/* ---- operations ------------------------------------------------------------------------------------ */

static unsigned who(void)
{
    return weave_self() < 0 ? SETUP : (unsigned)weave_self();
}

/* In the words as they are, without a point: plain reads are not modelled. */
static bool waits(uint32_t item)
{
    const struct tq_fifo *fifo = &w.fifo[w.rank[item]];
    for (uint32_t i = fifo->front.first; i != TQ_NONE; i = tq_link_at(&fifo->front, i)->next)
        if (tq_link_at(&fifo->front, i)->item == item)
            return true;
    uint64_t at = fifo->head;
    for (;;) {
        const struct tq_segment *s = tq_slab_at(&w.slab, (uint32_t)at);
        for (uint32_t i = (uint32_t)s->deq & ~(1u << 31); i < TQ_FIFO_CELLS; i++)
            if (s->cell[i] == (((uint64_t)s->generation << 32) | (item + 1)))
                return true;
        uint32_t next = (uint32_t)s->next;
        if (next == 0)
            return false;
        at = next - 1;
    }
}

static void push(uint32_t rank)
{
    uint32_t item = who() * PER_WHO + w.made[who()]++;
    w.rank[item] = (uint8_t)rank;
    w.pushed[item] = true;
    WEAVE_WRITE(payload[item], item + 100);
    weave_assert(tq_fifo_push_one(&w.fifo[rank], &w.cache[who()], item) == 1);
    tq_ready_mark(w.ready, rank);
    tq_or(&w.told, 1u << item, release);
}

static void put_back(void)
{
    weave_assert(w.back_count < w.kept_count && w.link[who()] != TQ_NONE);
    const struct tq_taken *kept = &w.kept[w.back_count++];
    w.taken[kept->item] = false;
    memset(w.last, 0, sizeof w.last); /* it may come after those that came after it */
    WEAVE_WRITE(payload[kept->item], kept->item + 100);
    tq_fifo_put(&w.fifo[kept->rank], &w.cache[who()], w.link[who()], kept->place, kept->item);
    w.link[who()] = TQ_NONE;
    tq_ready_mark(w.ready, kept->rank);
    tq_or(&w.told, 1u << kept->item, release);
}

static bool pauses(const struct story *story)
{
    bool any = false;
    for (int i = 0; i < THREADS; i++)
        any = any || (story->script[i] && strchr(story->script[i], 'p'));
    return any;
}

/* What a consumer that was told of these before it began must not have left behind. `rank`: what it got, or RANKS. */
static void judge(const struct story *story, uint32_t told, uint32_t rank)
{
    bool open = !(told & TOLD_PAUSE) || (told & TOLD_RESUME);
    bool certain = !pauses(story) || (told & TOLD_RESUME);
    if (!open && !w.resuming)
        weave_assert(rank != HEAVY);
    for (uint32_t i = 0; i < ITEMS; i++) {
        if (!(told >> i & 1) || w.rank[i] >= rank)
            continue;
        if (w.rank[i] == HEAVY && !certain)
            continue;
        if (story->equal && rank != RANKS)
            continue; /* turns, not ranks */
        weave_assert(!waits(i));
    }
}

static bool take(const struct story *story, bool thorough)
{
    struct tq_taken taken;
    uint32_t told = tq_load(&w.told, acquire);
    bool found = tq_ready_take(w.ready, &w.cache[who()], thorough, &taken);
    judge(story, told, found ? taken.rank : RANKS);
    weave_assert(found == (taken.item != TQ_NONE));
    if (!found)
        return false;
    weave_assert(taken.item < ITEMS);
    weave_assert(w.pushed[taken.item] && !w.taken[taken.item]);
    weave_assert(w.rank[taken.item] == taken.rank);
    weave_assert(WEAVE_READ(payload[taken.item]) == taken.item + 100);
    w.taken[taken.item] = true;
    if (who() == SETUP) {
        w.kept[w.kept_count++] = taken;
        w.told &= ~(1u << taken.item);
    }
    uint32_t *last = &w.last[who()][taken.item / PER_WHO][taken.rank];
    weave_assert(taken.item + 1 > *last); /* FIFO of each producer */
    *last = taken.item + 1;
    return true;
}

static void play(const struct story *story, const char *script)
{
    for (; *script; script++) {
        switch (*script) {
        case 'h':
            push(HEAVY);
            break;
        case 'l':
            push(LIGHT);
            break;
        case 't':
            take(story, false);
            break;
        case 'T':
            take(story, true);
            break;
        case 'b':
            put_back();
            break;
        case 'p':
            tq_ready_open(w.ready, HEAVY, false);
            tq_or(&w.told, TOLD_PAUSE, release);
            break;
        case 'r':
            w.resuming = true;
            tq_ready_open(w.ready, HEAVY, true);
            tq_or(&w.told, TOLD_RESUME, release);
            break;
        default:
            weave_fail("no such letter: %c", *script);
        }
    }
}

/* ---- one execution --------------------------------------------------------------------------------- */

static void build(const struct story *story)
{
    memset(&w, 0, sizeof w);
    struct tq_slab_shape shape = {.object_size = sizeof(struct tq_segment),
                                  .align = TQ_LINE,
                                  .chunk_objects = 1 << TQ_SEGMENTS_SHIFT,
                                  .magazine_objects = 4,
                                  .limit = 8,
                                  .caches_max = WHO};
    struct tq_slab_shape links = {.object_size = sizeof(struct tq_link),
                                  .align = 8,
                                  .chunk_objects = 1 << TQ_LINKS_SHIFT,
                                  .magazine_objects = 1,
                                  .limit = WHO,
                                  .caches_max = WHO};
    weave_assert(tq_slab_init(&w.slab, &memory, &shape) && tq_slab_init(&w.links, &memory, &links));
    for (int i = 0; i < WHO; i++) {
        tq_fifo_cache_init(&w.cache[i]);
        weave_assert(tq_slab_attach(&w.links, &w.cache[i].links));
        weave_assert(tq_fifo_link_take(&w.links, &w.cache[i], &w.link[i]));
        weave_assert(tq_slab_attach(&w.slab, &w.cache[i].slab));
        weave_assert(tq_fifo_reserve(&w.slab, &w.cache[i], PER_WHO * TQ_FIFO_CELLS));
    }
    struct tq_fifo *fifos[RANKS] = {&w.fifo[HEAVY], &w.fifo[LIGHT]};
    for (int i = 0; i < RANKS; i++)
        weave_assert(tq_fifo_init(fifos[i], &w.slab, &w.links, &w.cache[SETUP]));
    const int32_t weights[RANKS] = {story->equal ? 1 : 2, 1};
    w.ready = tq_ready_create(&memory, fifos, weights, RANKS);
    weave_assert(w.ready);
    for (uint32_t i = 0; i < RANKS; i++)
        tq_ready_open(w.ready, i, true);
    play(story, story->before);
}

static void setup(void *arg)
{
    static const void *built;
    const struct story *story = arg;
    if (built == arg) {
        memcpy(&w, &image, sizeof w);
    } else {
        build(story);
        memcpy(&image, &w, sizeof w);
        built = arg;
    }
    weave_constant(&w.slab.objects.chunks[0]);
    weave_constant(&w.links.objects.chunks[0]);
    if (!pauses(story))
        weave_constant(&w.ready->open[0]);
    weave_name(&w.ready->word[0], "word");
    weave_name(&w.ready->open[0], "open");
    weave_name(&w.told, "told");
    weave_name_at(&w.fifo[HEAVY].head, "heavy.head", -1);
    weave_name_at(&w.fifo[LIGHT].head, "light.head", -1);
}

static void play_own(void *arg)
{
    const struct story *story = arg;
    play(story, story->script[weave_self()]);
}

static void finish(void *arg)
{
    const struct story *story = arg;
    tq_ready_open(w.ready, HEAVY, true);
    w.resuming = true;
    weave_assert(tq_ready_check(w.ready)); /* nothing waits without a hint */
    while (take(story, true))
        ;
    for (uint32_t i = 0; i < ITEMS; i++)
        weave_assert(w.pushed[i] == w.taken[i]);
    weave_assert(!tq_ready_any(w.ready)); /* and the last look took the hints away */
}

/* ---- claims ---------------------------------------------------------------------------------------- */

static struct weave_case case_of(const char *name, struct story *story, int preemptions, int stale)
{
    struct weave_case c = {.name = name,
                           .arg = story,
                           .setup = setup,
                           .finish = finish,
                           .preemptions = preemptions,
                           .stale = stale ? stale : WEAVE_NONE};
    for (int i = 0; i < THREADS && story->script[i]; i++)
        c.threads[i] = play_own;
    return c;
}

struct bounds {
    int preemptions, stale; /* 0, 0: none */
};

/* Two bounds each, since a case that is exhausted with many old reads and many preemptions takes minutes: those are
 * the last, for the argument `long`. */
static struct scene {
    const char *name;
    struct story story;
    struct bounds usual[2], deep;
} scenes[] = {
    {"push against take, of three: what was told comes first",
     {"l", {"h", "t", "t"}},
     {{3, 2}},
     {4, 3}},
    {"the hint of an empty heavy fifo is settled while it is filled",
     {"htl", {"h", "t", "t"}},
     {{3, 0}, {2, 1}},
     {3, 2}},
    {"two settle one fifo while it is filled", {"ht", {"h", "T", "T"}}, {{3, 0}, {2, 1}}, {3, 2}},
    {"two producers in one fifo, one settler", {"", {"h", "h", "T"}}, {{3, 2}}, {4, 3}},
    {"pause and resume against take", {"hl", {"pr", "t", "t"}}, {{3, 1}}, {4, 3}},
    {"pause and resume against push and a settler", {"ht", {"pr", "h", "T"}}, {{3, 1}}, {4, 3}},
    {.name = "equal weights, in turn",
     .story = {.before = "", .script = {"hl", "t", "T"}, .equal = true},
     .usual = {{3, 1}},
     .deep = {3, 3}},
    {"put back against take, of three", {"hlt", {"b", "t", "t"}}, {{3, 0}, {2, 1}}, {3, 2}},
    {"the hint of an empty heavy fifo is settled while one is put back",
     {"htl", {"b", "t", "T"}},
     {{3, 0}, {2, 1}},
     {3, 2}},
    {"one is put back, one is pushed, and a settler", {"ht", {"b", "h", "T"}}, {{3, 1}}, {3, 2}},
    {"two are put back, where the segment is used up",
     {"hhtt", {"b", "b", "T"}},
     {{3, 0}, {2, 1}},
     {3, 2}},
    {"two operations each: a producer, two settlers", {"ht", {"hh", "TT", "TT"}}, {{2, 1}}, {3, 1}},
    {"two operations each: both ranks", {"", {"hl", "lh", "tT"}}, {{3, 0}, {2, 2}}, {3, 2}},
};

static void clean(const char *name, struct story *story, struct bounds b)
{
    struct weave_result r;
    char text[256];
    struct weave_case c = case_of(name, story, b.preemptions, b.stale);
    weave_run(&c, &r);
    snprintf(text, sizeof text, "%s (%" PRIu64 " executions, %d preemptions, %d old reads)", name,
             r.executions, b.preemptions, b.stale);
    if (!TAP_OK(!r.failed && r.exhausted, text))
        tap_note("%s", r.failed ? r.why : "not exhausted");
}

/* ---- faults ---------------------------------------------------------------------------------------- */

/* Small, and each with what one of the orders is for. */
static struct story race = {"ht", {"h", "T"}}, first_push = {"", {"h", "T"}},
                    two_settle = {"ht", {"h", "T", "T"}}, at_end = {"htht", {"h", "T"}},
                    paused = {"hl", {"pr", "t"}}, back = {"ht", {"b", "T"}};
static struct weave_case fast[6];

static bool fails(struct weave_case *cases, unsigned count, char why[256])
{
    for (unsigned i = 0; i < count; i++) {
        struct weave_case quiet = cases[i];
        struct weave_result r;
        quiet.quiet = true;
        weave_run(&quiet, &r);
        if (r.failed) {
            memcpy(why, r.why, sizeof r.why);
            return true;
        }
    }
    return false;
}

struct fault {
    const char *site;
    bool drop; /* the write does not happen; else: */
    enum weave_order order;
};

/* One fault, or two at a time (the second's site may be NULL). */
static void caught(const char *claim, struct fault a, struct fault b)
{
    struct fault both[] = {a, b};
    char why[256] = "no case fails";
    bool there = true;
    for (int i = 0; i < 2 && both[i].site; i++) {
        struct weave_site *site = weave_site_find(both[i].site, 0);
        there = there && site;
        if (site && both[i].drop)
            weave_drop(site);
        else if (site)
            weave_weaken(site, both[i].order);
    }
    bool found = there && fails(fast, sizeof fast / sizeof *fast, why);
    for (int i = 0; i < 2 && both[i].site; i++)
        if (weave_site_find(both[i].site, 0))
            weave_mend(weave_site_find(both[i].site, 0));
    if (!TAP_OK(found, claim))
        tap_note("%s", there ? why : "no such site");
}

/* What survives, and why it stays:
 *   mark_slow's first load   in these cases it comes after another access to the same word by the same thread, which
 *                            it cannot go behind; a view that is made (core/view) calls mark_slow without one.
 *   or and and of mark, the  here the consumer was told of the push by the test's own release and acquire. The order
 *   loads of hinted()        with nobody telling is what sleepers rely on: case_park catches `or` and tq_ready_any().
 *   S3                       whoever reads the word from before it has read S1's doubt, and takes the slow way.
 *   open's                   pause and resume were told as well; who is not told has no "before".
 */
static void faults(void)
{
    static struct weave_tally tally;
    fast[0] = case_of("race", &race, 2, 2);
    fast[1] = case_of("first push", &first_push, 2, 1);
    fast[2] = case_of("two settle", &two_settle, 2, 0);
    fast[3] = case_of("pause", &paused, 2, 1);
    fast[4] = case_of("the segment is full", &at_end, 2, 1);
    fast[5] = case_of("put back", &back, 2, 2);
    int status =
        weave_mutate(fast, sizeof fast / sizeof *fast, WEAVE_ONE_STEP, "engine/sync/ready", &tally);
    tap_note("%u weaker orders, %u caught, %u survive", tally.count, tally.caught, tally.survived);
    TAP_OK(status == 0 && tally.count > 0, "each order of ready weakened by one step, alone");
    static const char *const expected[] = {
        "tq_load(&ready->word[rank / TQ_READY_RANKS_PER_WORD], seq_cst): acquire", /* M2 */
        "tq_cas(word, seq_cst, relaxed): acq_rel",                                 /* S1 */
    };
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++) {
        const struct weave_verdict *v = weave_tally_find(&tally, expected[i]);
        char text[256];
        snprintf(text, sizeof text, "caught: %s", expected[i]);
        TAP_OK(v && v->caught, text);
    }
    const struct fault none = {NULL, false, WEAVE_RELAXED};
    caught("caught: mark sets no hint", (struct fault){"tq_or(word", .drop = true}, none);
    caught("caught: mark leaves the doubt", (struct fault){"tq_and(word", .drop = true}, none);
    /* What ready asks of a fifo, M1 and S2. Within a segment both ticket and cell tell; either suffices. */
    caught("caught: neither the ticket nor the cell is read in the one order",
           (struct fault){"tq_load(&s->cell[d], seq_cst)", false, WEAVE_ACQUIRE},
           (struct fault){"tq_load(&s->enq, seq_cst)", false, WEAVE_ACQUIRE});
    caught("caught: a put does not hold the fifo in the one order",
           (struct fault){"tq_cas(&s->deq, seq_cst, relaxed)", false, WEAVE_ACQ_REL}, none);
    caught("caught: a look that does not ask in the one order whether the fifo is held",
           (struct fault){"tq_load(&s->deq, seq_cst)", false, WEAVE_ACQUIRE}, none);
    caught("caught: the next segment is not read in the one order",
           (struct fault){"tq_load(&s->next, seq_cst)", false, WEAVE_ACQUIRE}, none);
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        struct scene *s = &scenes[i];
        clean(s->name, &s->story, s->usual[0]);
        if (s->usual[1].preemptions)
            clean(s->name, &s->story, s->usual[1]);
        if (deep)
            clean(s->name, &s->story, s->deep);
    }
    faults();
    return tap_done();
}
