/* Lock-free means: whoever stops, in the middle of whatever, the others go on. A victim stops for ever before its k-th
 * atomic operation, for each k; two others do complete pushes and takes.
 *
 * The others end within a bounded number of operations, nothing of theirs is lost or comes twice, their FIFO holds, and
 * so does I1 of ready.h. What the victim may cost: the one item that it had taken, or the one that it had pushed and
 * not yet marked.
 *
 * A thread that wakes another is the exception: see the end.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/park.h"
#include "engine/sync/ready.h"
#include "tests/tap.h"
#include "weave.h"
#include "weave_sched.h"

enum { VICTIM, THREADS = 3, SETUP = 3, WHO = 4, PER_WHO = 4, ITEMS = WHO * PER_WHO };
enum { HEAVY, LIGHT, RANKS };
enum { STEPS_MAX = 250 }; /* of all threads together */

/* h  push and mark, heavy      t  take
 * l  push and mark, light      T  take, thorough
 */
struct story {
    const char *before;
    const char *script[THREADS]; /* the first is the victim's */
    unsigned k;
};

static struct world {
    struct tq_slab slab;
    struct tq_fifo fifo[RANKS];
    struct tq_fifo_cache cache[WHO];
    struct tq_ready *ready;
    tq_a32 told; /* a bit for each item whose push and mark have returned */
    uint32_t made[WHO];
    uint8_t rank[ITEMS];
    bool pushed[ITEMS], marked[ITEMS], taken[ITEMS];
    uint32_t last[WHO][WHO][RANKS]; /* what each consumer saw last of each producer, and one */
    bool victim_ended, victim_takes;
    size_t used;
    _Alignas(64) unsigned char bytes[15 * 1024];
} w, image;
static uint32_t payload[ITEMS];

/* Over all executions. */
static struct {
    uint64_t frozen;
    uint32_t most_steps;
} seen;

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
    w.marked[item] = true;
    tq_or(&w.told, 1u << item, release);
}

static bool take(bool thorough)
{
    struct tq_taken taken;
    uint32_t told = tq_load(&w.told, acquire);
    bool found = tq_ready_take(w.ready, &w.cache[who()], thorough, &taken);
    for (uint32_t i = 0; i < ITEMS; i++)
        if (told >> i & 1 && w.rank[i] < (found ? taken.rank : RANKS))
            weave_assert(!waits(i)); /* I1, whoever is frozen */
    if (!found)
        return false;
    weave_assert(taken.item < ITEMS);
    weave_assert(w.pushed[taken.item] && !w.taken[taken.item]);
    weave_assert(w.rank[taken.item] == taken.rank);
    weave_assert(WEAVE_READ(payload[taken.item]) == taken.item + 100);
    w.taken[taken.item] = true;
    uint32_t *last = &w.last[who()][taken.item / PER_WHO][taken.rank];
    weave_assert(taken.item + 1 > *last); /* FIFO of each producer */
    *last = taken.item + 1;
    return true;
}

static void play(const char *script)
{
    for (; *script; script++) {
        if (*script == 'h' || *script == 'l')
            push(*script == 'h' ? HEAVY : LIGHT);
        else
            take(*script == 'T');
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
    weave_assert(tq_slab_init(&w.slab, &memory, &shape));
    for (int i = 0; i < WHO; i++) {
        tq_fifo_cache_init(&w.cache[i]);
        weave_assert(tq_slab_attach(&w.slab, &w.cache[i].slab));
        weave_assert(tq_fifo_reserve(&w.slab, &w.cache[i], PER_WHO * TQ_FIFO_CELLS));
    }
    struct tq_fifo *fifos[RANKS] = {&w.fifo[HEAVY], &w.fifo[LIGHT]};
    for (int i = 0; i < RANKS; i++)
        weave_assert(tq_fifo_init(fifos[i], &w.slab, NULL, &w.cache[SETUP]));
    const int32_t weights[RANKS] = {2, 1};
    w.ready = tq_ready_create(&memory, fifos, weights, RANKS);
    weave_assert(w.ready);
    for (uint32_t i = 0; i < RANKS; i++)
        tq_ready_open(w.ready, i, true);
    w.victim_takes = strpbrk(story->script[VICTIM], "tT") != NULL;
    play(story->before);
}

static const void *built; /* the story that `image` belongs to */

static void setup(void *arg)
{
    if (built == arg) {
        memcpy(&w, &image, sizeof w);
    } else {
        build(arg);
        memcpy(&image, &w, sizeof w);
        built = arg;
    }
    weave_constant(&w.slab.objects.chunks[0]);
    weave_constant(&w.ready->open[0]);
    weave_name(&w.ready->word[0], "word");
    weave_name(&w.told, "told");
    weave_name(&w.fifo[HEAVY].head, "heavy.head");
    weave_name(&w.fifo[HEAVY].tail, "heavy.tail");
    weave_name(&w.fifo[LIGHT].head, "light.head");
    weave_name(&w.fifo[LIGHT].tail, "light.tail");
}

static void victim(void *arg)
{
    const struct story *story = arg;
    weave_freeze_after(story->k);
    play(story->script[VICTIM]);
    w.victim_ended = true;
}

static void other(void *arg)
{
    const struct story *story = arg;
    play(story->script[weave_self()]);
    if (seen.most_steps < weave_sched_step())
        seen.most_steps = weave_sched_step();
}

static bool is_hinted(uint32_t rank)
{
    return w.ready->word[0] >> rank & 1;
}

static void finish(void *arg)
{
    (void)arg;
    seen.frozen += !w.victim_ended;
    for (uint32_t i = 0; i < ITEMS; i++)
        weave_assert(!w.marked[i] || !waits(i) || is_hinted(w.rank[i])); /* I1 of ready.h */
    while (take(true))
        ;
    uint32_t missing = 0;
    for (uint32_t i = 0; i < ITEMS; i++) {
        missing += w.marked[i] && !w.taken[i];
        weave_assert(!w.taken[i] || w.pushed[i]);
    }
    weave_assert(missing <= (uint32_t)(!w.victim_ended && w.victim_takes));
}

/* ---- claims ---------------------------------------------------------------------------------------- */

/* Each k until the victim comes to its end in every execution. */
static void each_step(const char *name, struct story story, int preemptions, int stale)
{
    uint64_t executions = 0;
    struct weave_result r;
    char text[256];
    seen.most_steps = 0;
    unsigned k = 0;
    built = NULL; /* another story at the same address */
    do {
        seen.frozen = 0;
        story.k = k;
        struct weave_case c = {.name = name,
                               .arg = &story,
                               .setup = setup,
                               .threads = {victim, other, other},
                               .finish = finish,
                               .preemptions = preemptions,
                               .stale = stale ? stale : WEAVE_NONE,
                               .steps = STEPS_MAX};
        weave_run(&c, &r);
        executions += r.executions;
        k++;
    } while (!r.failed && r.exhausted && seen.frozen);
    snprintf(text, sizeof text,
             "%s: %u places to stop (%" PRIu64
             " executions, %d preemptions, %d old reads, at most %u operations)",
             name, k - 1, executions, preemptions, stale, seen.most_steps);
    if (!TAP_OK(!r.failed && r.exhausted && k > 1, text))
        tap_note("k = %u: %s", k - 1, r.failed ? r.why : "not exhausted");
}

static struct scene {
    const char *name;
    struct story full, small; /* the small one with more preemptions */
} scenes[] = {
    {"push into a fresh fifo", {"", {"h", "hh", "tt"}}, {"", {"h", "hh", "tt"}}},
    {"push under a stale hint", {"ht", {"h", "hl", "tT"}}, {"ht", {"h", "h", "tT"}}},
    {"push that appends a segment", {"htht", {"h", "hh", "Tt"}}, {"htht", {"h", "h", "Tt"}}},
    {"take that finds an item", {"h", {"t", "hl", "tt"}}, {"h", {"t", "h", "tt"}}},
    {"take that settles", {"htl", {"t", "hh", "tT"}}, {"htl", {"t", "h", "T"}}},
    {"take that leaves a segment", {"hhhtt", {"t", "hh", "tt"}}, {"hhhtt", {"t", "h", "t"}}},
};

/* If consumers waited for the cell of a ticket that is out, a victim between the two would hold them up. */
static void a_wait_is_found(void)
{
    struct weave_site *site = weave_site_find("tq_cas(cell, acq_rel, relaxed)", 0);
    struct story story = {"", {"h", "h", "t"}, 0};
    struct weave_result r = {0};
    if (site)
        weave_drop(site);
    built = NULL;
    for (; site && story.k < 20 && !r.failed; story.k++) {
        struct weave_case c = {.name = "no cell is given up",
                               .arg = &story,
                               .setup = setup,
                               .threads = {victim, other, other},
                               .finish = finish,
                               .preemptions = 1,
                               .stale = WEAVE_NONE,
                               .steps = STEPS_MAX,
                               .quiet = true};
        weave_run(&c, &r);
    }
    if (site)
        weave_mend(site);
    if (!TAP_OK(r.failed, "caught: a consumer gives no cell up, and waits for the victim"))
        tap_note("%s", site ? "no execution fails" : "no such site");
    else
        tap_note("k = %u: %s", story.k - 1, r.why);
}

/* ---- who wakes another -----------------------------------------------------------------------------
 *
 * tq_park_pop_ takes the sleeper off the stack and counts him as a searcher in one CAS; then his word is set, then
 * comes the futex call. A waker that stops
 *   before the CAS               has changed nothing;
 *   between the CAS and his word has a sleeper who does not wake, and a searcher who does not search: while he is
 *                                counted every notify finds a searcher and wakes nobody. Work that was published
 *                                waits for a thread that is awake and finds it before it lies down; the look after
 *                                lying down does not help, since its notify wakes nobody either;
 *   between word and futex call  is as bad if the sleeper was in the kernel already, and harmless if he was not.
 * Nothing is lost: all goes on when the waker does. A stop passes over the count and wakes whoever is on the stack; him
 * whom the waker has popped it does not, and so a join waits for the waker.
 */
enum { SLEEPERS = 2, VICTIMS_JOB = 1, OTHERS_JOB = 2 };

/* Where the victim stops, in operations done: its job, the load, `below`, | the CAS, | the word, | the futex call. */
enum { BEFORE_CAS = 3, BEFORE_WORD, BEFORE_CALL, AFTER_CALL, NEVER = 100 };

struct waking {
    unsigned k;
    unsigned asleep; /* who sleeps at first, by bit; 0 is on top */
    int index;       /* which of them the worker is */
    bool stop;       /* the other wakes everybody */
};

static struct {
    struct tq_park park;
    struct tq_sleeper sleepers[SLEEPERS];
    tq_a32 jobs;
} bed;

static void bed_setup(void *arg)
{
    const struct waking *waking = arg;
    memset(&bed, 0, sizeof bed);
    tq_park_init(&bed.park, bed.sleepers);
    for (int i = SLEEPERS; i-- > 0;)
        if (waking->asleep >> i & 1)
            tq_park_join(&bed.park, i, false);
    weave_name(&bed.park.word, "park");
    weave_name(&bed.jobs, "jobs");
}

static void notify(void)
{
    int index = tq_park_notify(&bed.park);
    if (index >= 0)
        tq_park_wake(&bed.park, index);
}

static void waker_that_stops(void *arg)
{
    const struct waking *waking = arg;
    weave_freeze_after(waking->k);
    (void)tq_or(&bed.jobs, VICTIMS_JOB, seq_cst);
    notify();
}

static void other_waker(void *arg)
{
    const struct waking *waking = arg;
    int index;
    (void)tq_or(&bed.jobs, OTHERS_JOB, seq_cst);
    if (!waking->stop)
        notify();
    while (waking->stop && (index = tq_park_notify_any(&bed.park)) >= 0)
        tq_park_wake(&bed.park, index);
}

/* Until it has run the other's job. */
static void worker(void *arg)
{
    const struct waking *waking = arg;
    bool searching = waking->asleep >> waking->index & 1;
    if (searching)
        tq_park_sleep(&bed.park, waking->index);
    for (;;) {
        uint32_t jobs = tq_and(&bed.jobs, 0, seq_cst);
        if (jobs & OTHERS_JOB)
            return;
        if (jobs) {
            if (searching)
                tq_park_found(&bed.park);
            searching = false;
        }
        tq_park_join(&bed.park, waking->index, searching);
        if (tq_load(&bed.jobs, seq_cst))
            notify();
        tq_park_sleep(&bed.park, waking->index);
        searching = true;
    }
}

static void waking_case(const char *name, struct waking waking, const char *why)
{
    struct weave_case c = {.name = name,
                           .arg = &waking,
                           .setup = bed_setup,
                           .threads = {waker_that_stops, other_waker, worker},
                           .quiet = why != NULL};
    struct weave_result r;
    char text[256];
    weave_run(&c, &r);
    snprintf(text, sizeof text, "%s (%" PRIu64 " executions, 3 preemptions, 2 old reads)", name,
             r.executions);
    if (!TAP_OK(why ? r.failed && strstr(r.why, why) : !r.failed && r.exhausted, text))
        tap_note("%s", r.failed ? r.why : r.exhausted ? "no execution fails" : "not exhausted");
}

static void wakers(void)
{
    for (unsigned k = 0; k <= BEFORE_CAS; k++)
        waking_case("a waker stops before its CAS: another wakes the sleeper",
                    (struct waking){.k = k, .asleep = 1}, NULL);
    waking_case("a waker stops after its CAS: nobody wakes the sleeper",
                (struct waking){.k = BEFORE_WORD, .asleep = 1}, "deadlock");
    waking_case("a waker stops before its futex call: nobody wakes a sleeper in the kernel",
                (struct waking){.k = BEFORE_CALL, .asleep = 1}, "deadlock");
    waking_case("a waker stops after its futex call: all goes on",
                (struct waking){.k = AFTER_CALL, .asleep = 1}, NULL);
    waking_case("a worker that is awake does not lie down over work",
                (struct waking){.k = NEVER, .asleep = 0, .index = 1}, NULL);
    waking_case("but may while somebody was popped by a waker that stopped",
                (struct waking){.k = BEFORE_WORD, .asleep = 1, .index = 1}, "deadlock");
    waking_case("a stop wakes who is still on the stack then",
                (struct waking){.k = BEFORE_WORD, .asleep = 3, .index = 1, .stop = true}, NULL);
    waking_case("and not whom the waker had popped",
                (struct waking){.k = BEFORE_WORD, .asleep = 3, .index = 0, .stop = true},
                "deadlock");
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        const struct scene *s = &scenes[i];
        each_step(s->name, s->full, 1, 1);
        each_step(s->name, s->small, 2, 0);
        if (deep) {
            each_step(s->name, s->full, 2, 1);
            each_step(s->name, s->small, 3, 1);
        }
    }
    a_wait_is_found();
    wakers();
    return tap_done();
}
