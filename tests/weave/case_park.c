/* park with ready: workers take, search, sleep; publishers push, mark, notify. Nobody may sleep over work.
 *
 * The fifo is a stand-in of a few words that keeps the contract which ready relies on: a push that ends in a seq_cst
 * change, a pop that begins with a seq_cst look. The worker follows engine/core/pool.c, without clocks: it glances,
 * becomes a searcher, glances once more. A lost wake-up is a deadlock: whoever runs the last job wakes all to stop.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/futex.h"
#include "engine/sync/park.h"
#include "engine/sync/slab.h"
#include "tests/tap.h"
#include "weave.h"

/* ---- the stand-in ---------------------------------------------------------------------------------- */

#define TQ_SYNC_FIFO_H /* in place of the header that ready.h would include */

enum { CELLS = 4 };

struct tq_fifo {
    tq_a32 cell[CELLS]; /* item + 1 */
    tq_a32 deq;
};
struct tq_fifo_cache {
    int none;
};
struct tq_taken {
    uint32_t item, upcoming;
    uint64_t place;
    uint32_t link, rank;
    bool wake;
};

static void fifo_push(struct tq_fifo *fifo, uint32_t item)
{
    uint32_t empty = 0;
    for (int i = 0; !tq_cas(&fifo->cell[i], &empty, item + 1, seq_cst, relaxed); i++) {
        weave_assert(i + 1 < CELLS);
        empty = 0;
    }
}

static bool tq_fifo_pop(struct tq_fifo *fifo, struct tq_fifo_cache *cache, struct tq_taken *out)
{
    (void)cache;
    *out = (struct tq_taken){.item = TQ_NONE, .upcoming = TQ_NONE, .rank = out->rank};
    uint32_t deq = tq_load(&fifo->deq, relaxed);
    while (deq < CELLS) {
        uint32_t cell = tq_load(&fifo->cell[deq], seq_cst);
        if (!cell)
            return false;
        if (tq_cas(&fifo->deq, &deq, deq + 1, relaxed, relaxed)) {
            out->item = cell - 1;
            return true;
        }
    }
    return false;
}

static uint32_t tq_fifo_peek(const struct tq_fifo *fifo)
{
    uint32_t deq = tq_load(&fifo->deq, relaxed);
    return deq < CELLS ? tq_load(&fifo->cell[deq], acquire) - 1 : TQ_NONE;
}

static bool tq_fifo_at_end(const struct tq_fifo *fifo)
{
    (void)fifo;
    return false;
}

static bool tq_fifo_check(const struct tq_fifo *fifo, uint64_t *out_items)
{
    *out_items = 0;
    for (uint32_t i = tq_load(&fifo->deq, relaxed); i < CELLS; i++)
        *out_items += tq_load(&fifo->cell[i], relaxed) != 0;
    return true;
}

#include "engine/sync/ready.c"

/* ---- the world ------------------------------------------------------------------------------------- */

enum { THREADS = WEAVE_THREADS_MAX, RANKS = 2, ITEMS = 8 };

/*  w  a worker                        1 .. 4  a publisher of so many, in ranks 0, 1, 0, 1
 *  z  a worker, asleep at first
 */
struct story {
    const char *script; /* a letter for each thread */
    uint32_t ranks;
    bool hinted; /* at first, although nothing is there */
    bool spins;  /* who runs dry searches before he sleeps */
    bool
        together; /* no job ends before all have begun: there must be as many workers awake as jobs */
    bool blind;   /* seeded: no second look before sleep */
    bool alone;   /* seeded: who has found work wakes nobody */
};

static struct world {
    struct tq_fifo fifo[RANKS];
    struct tq_ready *ready;
    struct tq_park park;
    struct tq_sleeper sleepers[THREADS];
    tq_a32 stopping, done, begun;
    uint32_t total;
    bool taken[ITEMS];
    size_t used;
    _Alignas(64) unsigned char bytes[512];
} w, image;
static uint32_t payload[ITEMS];

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

/* ---- a publisher ----------------------------------------------------------------------------------- */

static void notify(void)
{
    int index = tq_park_notify(&w.park);
    if (index >= 0)
        tq_park_wake(&w.park, index);
}

static void publish(const struct story *story, uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t rank = i % story->ranks, item = first + i;
        WEAVE_WRITE(payload[item], item + 100);
        fifo_push(&w.fifo[rank], item);
        tq_ready_mark(w.ready, rank);
        notify();
    }
}

/* ---- a worker -------------------------------------------------------------------------------------- */

struct worker {
    const struct story *story;
    int index;
    bool searching;
};

static bool is_open(void)
{
    return !tq_load(&w.stopping, seq_cst);
}

static bool take(bool thorough, struct tq_taken *taken)
{
    struct tq_fifo_cache cache = {0};
    return tq_ready_take(w.ready, &cache, thorough, taken);
}

static void stop(void)
{
    tq_store(&w.stopping, 1, seq_cst);
    int index;
    while ((index = tq_park_notify_any(&w.park)) >= 0)
        tq_park_wake(&w.park, index);
}

static void run(struct worker *t, const struct tq_taken *taken)
{
    if (t->searching || taken->wake) {
        bool last = t->searching && tq_park_found(&w.park);
        t->searching = false;
        if (!t->story->alone && (last || taken->wake) && tq_ready_any(w.ready))
            notify();
    }
    weave_assert(taken->item < ITEMS && !w.taken[taken->item]);
    w.taken[taken->item] = true;
    weave_assert(WEAVE_READ(payload[taken->item]) == taken->item + 100);
    if (t->story->together) {
        (void)tq_add(&w.begun, 1, relaxed);
        while (tq_load(&w.begun, relaxed) < w.total)
            tq_pause();
    }
    if (tq_add(&w.done, 1, acq_rel) + 1 == w.total)
        stop();
}

/* Without tq_pause(), after which others would go first: to give up at once is what the search must see. */
static bool spin(struct worker *t)
{
    if (tq_ready_glance(w.ready))
        return true;
    if (!t->story->spins)
        return false;
    if (!t->searching && !(t->searching = tq_park_search(&w.park, 1)))
        return false;
    return tq_ready_glance(w.ready) || !is_open();
}

static void sleep_until_woken(struct worker *t)
{
    tq_park_join(&w.park, t->index, t->searching);
    t->searching = false;
    if (!t->story->blind && tq_ready_any(w.ready))
        notify();
    if (!is_open())
        return;
    if (!tq_park_is_awake(&w.park, t->index))
        tq_park_sleep(&w.park, t->index);
    t->searching = true;
}

static void work(const struct story *story, bool asleep)
{
    struct worker t = {story, weave_self(), false};
    struct tq_taken taken;
    if (asleep) {
        tq_park_sleep(&w.park, t.index);
        t.searching = true;
    }
    while (is_open()) {
        if (!take(false, &taken)) {
            if (spin(&t))
                continue;
            if (!take(true, &taken)) {
                sleep_until_woken(&t);
                continue;
            }
        }
        run(&t, &taken);
    }
}

/* ---- one execution --------------------------------------------------------------------------------- */

static bool is_publisher(char letter)
{
    return letter >= '1' && letter <= '4';
}

static void build(const struct story *story)
{
    memset(&w, 0, sizeof w);
    struct tq_fifo *fifos[RANKS] = {&w.fifo[0], &w.fifo[1]};
    const int32_t weights[RANKS] = {2, 1};
    w.ready = tq_ready_create(&memory, fifos, weights, story->ranks);
    weave_assert(w.ready);
    for (uint32_t i = 0; i < story->ranks; i++) {
        tq_ready_open(w.ready, i, true);
        if (story->hinted)
            tq_ready_mark(w.ready, i);
    }
    tq_park_init(&w.park, w.sleepers);
    for (int i = 0; story->script[i]; i++) {
        if (story->script[i] == 'z')
            tq_park_join(&w.park, i, false);
        if (is_publisher(story->script[i]))
            w.total += (uint32_t)(story->script[i] - '0');
    }
}

static void setup(void *arg)
{
    static const void *built;
    if (built == arg) {
        memcpy(&w, &image, sizeof w);
    } else {
        build(arg);
        memcpy(&image, &w, sizeof w);
        built = arg;
    }
    weave_constant(&w.ready->open[0]);
    weave_name(&w.ready->word[0], "hints");
    weave_name(&w.park.word, "park");
    weave_name(&w.stopping, "stopping");
    weave_name(&w.done, "done");
    for (int i = 0; i < THREADS; i++)
        weave_name_at(&w.sleepers[i].awake, "awake", i);
    for (int i = 0; i < RANKS; i++)
        weave_name_at(&w.fifo[i].cell[0], "cell 0 of fifo", i);
}

static void play(void *arg)
{
    const struct story *story = arg;
    int self = weave_self();
    char letter = story->script[self];
    if (!is_publisher(letter)) {
        work(story, letter == 'z');
        return;
    }
    uint32_t first = 0;
    for (int i = 0; i < self; i++)
        if (is_publisher(story->script[i]))
            first += (uint32_t)(story->script[i] - '0');
    publish(story, first, (uint32_t)(letter - '0'));
}

static void finish(void *arg)
{
    (void)arg;
    weave_assert(w.done == w.total);
    for (uint32_t i = 0; i < ITEMS; i++)
        weave_assert(w.taken[i] == (i < w.total));
    weave_assert(tq_ready_check(w.ready));
    weave_assert(tq_park_check(&w.park, THREADS));
}

/* ---- claims ---------------------------------------------------------------------------------------- */

struct bounds {
    int preemptions, stale;
};

static struct weave_case case_of(const char *name, struct story *story, struct bounds b)
{
    struct weave_case c = {.name = name,
                           .arg = story,
                           .setup = setup,
                           .finish = finish,
                           .preemptions = b.preemptions ? b.preemptions : WEAVE_NONE,
                           .stale = b.stale ? b.stale : WEAVE_NONE};
    for (int i = 0; story->script[i]; i++)
        c.threads[i] = play;
    return c;
}

static struct scene {
    const char *name;
    struct story story;
    struct bounds usual[2], deep;
} scenes[] = {
    {"a worker, a publisher of two", {.script = "w2", .ranks = 1}, {{3, 2}}, {4, 3}},
    {"a worker that spins, a publisher of two",
     {.script = "w2", .ranks = 1, .hinted = true, .spins = true},
     {{3, 2}},
     {4, 3}},
    {"a worker, two publishers of two", {.script = "w22", .ranks = 1}, {{2, 1}}, {3, 1}},
    {"two workers, a publisher of two", {.script = "ww2", .ranks = 1}, {{3, 0}, {2, 1}}, {3, 1}},
    {"two workers that spin, a publisher of two, two ranks",
     {.script = "ww2", .ranks = 2, .hinted = true, .spins = true},
     {{2, 0}},
     {3, 0}},
    {"two workers, two publishers", {.script = "ww11", .ranks = 1}, {{1, 1}}, {2, 1}},
    {"two that sleep, two publishers", {.script = "zz11", .ranks = 1}, {{1, 1}}, {3, 0}},
    {"two that sleep, a publisher of two: both jobs run at once",
     {.script = "zz2", .ranks = 1, .together = true},
     {{2, 1}},
     {3, 1}},
    {"two that sleep, two publishers: both jobs run at once",
     {.script = "zz11", .ranks = 1, .together = true},
     {{1, 1}},
     {3, 0}},
    {"two workers that spin, a publisher of two: both jobs run at once",
     {.script = "ww2", .ranks = 1, .spins = true, .together = true},
     {{2, 0}},
     {3, 0}},
};

static void clean(const char *name, struct story *story, struct bounds b)
{
    struct weave_result r;
    char text[256];
    struct weave_case c = case_of(name, story, b);
    weave_run(&c, &r);
    snprintf(text, sizeof text, "%s (%" PRIu64 " executions, %d preemptions, %d old reads)", name,
             r.executions, b.preemptions, b.stale);
    if (!TAP_OK(!r.failed && r.exhausted, text))
        tap_note("%s", r.failed ? r.why : "not exhausted");
}

/* ---- faults ---------------------------------------------------------------------------------------- */

/* Faults of the protocol itself: what a worker leaves out. */
static void found(const char *name, struct story *story, const char *why)
{
    struct weave_result r;
    char text[256];
    struct weave_case c = case_of(name, story, (struct bounds){2, 1});
    c.quiet = true;
    weave_run(&c, &r);
    snprintf(text, sizeof text, "%s (execution %" PRIu64 ")", name, r.executions);
    if (!TAP_OK(r.failed && strstr(r.why, why), text))
        tap_note("%s", r.failed ? r.why : "no execution fails");
}

static void omissions(void)
{
    static struct story blind = {.script = "w1", .ranks = 1, .blind = true},
                        alone = {.script = "zz2", .ranks = 1, .together = true, .alone = true};
    found("no second look before sleep: a lost wake-up", &blind, "deadlock");
    found("who has found work wakes nobody: a job waits beside a sleeper", &alone, "livelock");
}

static struct story one = {.script = "w1", .ranks = 1},
                    stale_hint = {.script = "w1", .ranks = 1, .hinted = true},
                    spins = {.script = "ww1", .ranks = 1, .spins = true},
                    chain = {.script = "zz2", .ranks = 1, .together = true};
static struct weave_case fast[4];

struct expected {
    const char *name, *file, *text;
};

static bool any_caught(const struct weave_tally *tally, const struct expected *e)
{
    for (unsigned i = 0; i < tally->count; i++)
        if (tally->verdicts[i].caught && strstr(tally->verdicts[i].text, e->file) &&
            strstr(tally->verdicts[i].text, e->text))
            return true;
    return false;
}

static void faults_in(const char *file, const struct expected *expected)
{
    static struct weave_tally tally;
    char text[256];
    int status = weave_mutate(fast, sizeof fast / sizeof *fast, WEAVE_ONE_STEP, file, &tally);
    tap_note("%s: %u weaker orders, %u caught, %u survive", file, tally.count, tally.caught,
             tally.survived);
    snprintf(text, sizeof text, "%s: each order weakened by one step, alone", file);
    TAP_OK(status == 0 && tally.count > 0, text);
    for (; expected->name; expected++) {
        snprintf(text, sizeof text, "caught: %s", expected->name);
        TAP_OK(any_caught(&tally, expected), text);
    }
}

static void dropped(const char *site_text)
{
    struct weave_site *site = weave_site_find(site_text, 0);
    char text[256];
    bool failed = false;
    if (site)
        weave_drop(site);
    for (unsigned i = 0; site && i < sizeof fast / sizeof *fast && !failed; i++) {
        struct weave_case quiet = fast[i];
        struct weave_result r;
        quiet.quiet = true;
        weave_run(&quiet, &r);
        failed = r.failed;
    }
    if (site)
        weave_mend(site);
    snprintf(text, sizeof text, "caught: %s dropped", site_text);
    TAP_OK(failed, text);
}

/* What survives, and why it stays:
 *   pop_'s CAS, search's CAS    who reads an older word sees fewer searchers or more sleepers, tries to wake, and fails
 *                               in his own CAS, which always meets the newest.
 *   pop_'s failure order        the load before it stands in the one order; what comes after is not older.
 *   found's CAS                 the hint of what was taken still stands, so who has found work notifies in any case.
 *                               The order is for when another has settled that hint between the pop and the look.
 *   awake's release and acquire only the wake-up travels by it; work travels by hints and cells.
 *   ready: hinted()             a sleeper does not look there; he asks tq_ready_any(), which is caught.
 *   ready: the others           see case_ready.c.
 */
static void faults(void)
{
    fast[0] = case_of("one", &one, (struct bounds){2, 1});
    fast[1] = case_of("a hint of nothing", &stale_hint, (struct bounds){2, 1});
    fast[2] = case_of("spins", &spins, (struct bounds){1, 1});
    fast[3] = case_of("chain", &chain, (struct bounds){1, 1});
    static const struct expected in_park[] = {
        {"P2, the load of notify", "park.h", "tq_load(&park->word, seq_cst): acquire"},
        {"Q1, the CAS of join", "park.c", "tq_cas(&park->word, seq_cst, relaxed): acq_rel"},
        {.name = NULL},
    };
    static const struct expected in_ready[] = {
        {"M2, the load of mark", "ready.h",
         "tq_load(&ready->word[rank / TQ_READY_RANKS_PER_WORD], seq_cst): acquire"},
        {"the or of mark", "ready.c", "tq_or(word, seq_cst): acq_rel"},
        {"S1, the CAS of settle", "ready.c", "tq_cas(word, seq_cst, relaxed): acq_rel"},
        {"Q2, the load of tq_ready_any", "ready.c", "tq_load(&ready->word[i], seq_cst): acquire"},
        {.name = NULL},
    };
    faults_in("engine/sync/park", in_park);
    faults_in("engine/sync/ready", in_ready);
    dropped("tq_store(&s->awake, release)");
    dropped("futex_wake");
    dropped("tq_or(word");
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
    omissions();
    faults();
    return tap_done();
}
