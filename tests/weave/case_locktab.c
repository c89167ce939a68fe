/* The lock table under search, with two buckets at first and two in a chunk: claims, releases, splits and walks.
 *
 * Each key has a datum that belongs to who has its record in the table: two holders, or a release that the next claim
 * does not see, are a race. So that chains are judged likewise, each look at a record counts as a plain write to it, and
 * each lock of a bucket as one of its head; for that the source is included here, with those calls replaced.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/arena.h"
#include "engine/sync/mutex.h"
#include "engine/sync/slab.h"
#include "tests/tap.h"
#include "weave.h"

#define TQ_LOCKTAB_SHIFT 1
static void *judged_slab_at(const struct tq_slab *slab, uint32_t index);
static void *judged_arena_at(const struct tq_arena *arena, uint32_t index, uint32_t size,
                             uint32_t shift);
static void judged_lock(struct tq_mutex *mutex);
#define tq_slab_at judged_slab_at
#define tq_arena_at_fixed judged_arena_at
#define tq_mutex_lock judged_lock
#include "engine/sync/locktab.c" /* NOLINT(bugprone-suspicious-include) */
#undef tq_slab_at
#undef tq_arena_at_fixed
#undef tq_mutex_lock

enum { THREADS = 3, WHO = THREADS + 1, SETUP = THREADS, KEYS = 4, RECORDS = 2 * THREADS + KEYS };

/* Places with 2, 3, 5 and 7 buckets:  A 0 0 0 0 | B 0 2 2 2 | C 0 0 4 4 | D 0 2 2 6 */
static const struct tq_digest key_of[KEYS] = {{0, 1}, {2, 1}, {4, 1}, {6, 1}};

/*  A .. D  claim that key if it is free     s  split two buckets
 *  a .. d  release it if it is mine         w  walk
 */
struct story {
    const char *script[THREADS];
    const char *there; /* keys that are there from begin to end: of nobody */
    uint32_t splits;   /* made before the threads begin */
    uint32_t most;     /* buckets; 0: as many as records */
    bool blind;        /* seeded: claims do not look at the count again, under the bucket */
};

static struct world {
    struct tq_slab slab;
    struct tq_slab_cache cache;
    struct tq_locktab tab;
    uint32_t record[WHO][KEYS]; /* a thread's A and C share one, and B and D */
    bool mine[WHO][KEYS];
    uint32_t shown[THREADS][KEYS];
    uint32_t holders[KEYS];
} w;
static uint32_t owner[KEYS]; /* the datum */

/* ---- memory: one block, cut from its begin in each execution ---------------------------------------- */

static struct {
    _Alignas(64) unsigned char bytes[8 * 1024];
    size_t used;
} heap;

static void *heap_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    size_t at = (heap.used + align - 1) / align * align;
    if (at + size > sizeof heap.bytes)
        return NULL;
    heap.used = at + size;
    struct tq_bucket *block = (struct tq_bucket *)(void *)(heap.bytes + at);
    /* What an allocator leaves in it; and who uses a head must have seen that it was written. */
    memset(block, weave_self() < 0 ? 0 : 0xa5, size);
    for (size_t i = 0; weave_self() >= 0 && i < size / sizeof *block; i++)
        WEAVE_WRITE(block[i].head, 0xa5a5a5a5);
    return block;
}

static void heap_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    (void)size;
}

static const struct tq_memory memory = {heap_alloc, heap_free, NULL};

/* ---- the table's own accesses, judged ---------------------------------------------------------------- */

static void *judged_slab_at(const struct tq_slab *slab, uint32_t index)
{
    struct tq_record *record = tq_slab_at(slab, index);
    if (weave_self() >= 0)
        WEAVE_WRITE(record->next, record->next);
    return record;
}

static void *judged_arena_at(const struct tq_arena *arena, uint32_t index, uint32_t size,
                             uint32_t shift)
{
    const char *chunk = tq_load(&arena->chunks[index >> shift], relaxed);
    weave_assert(chunk); /* not the pointer of before it was there */
    return (void *)(uintptr_t)(chunk + (size_t)(index & ((1u << shift) - 1)) * size);
}

static void judged_lock(struct tq_mutex *mutex)
{
    tq_mutex_lock(mutex);
    struct tq_bucket *bucket = (struct tq_bucket *)(void *)mutex;
    if (weave_self() >= 0)
        WEAVE_WRITE(bucket->head, bucket->head);
}

/* ---- operations -------------------------------------------------------------------------------------- */

static struct tq_bucket *lock_blindly(struct tq_digest digest)
{
    uint32_t place = tq_locktab_place_(tq_load(&w.tab.count, acquire), digest);
    struct tq_bucket *bucket = tq_locktab_at_(&w.tab, place);
    judged_lock(&bucket->mutex);
    return bucket;
}

static void claim(unsigned self, unsigned key, bool blind)
{
    uint32_t index = TQ_NONE;
    if (w.mine[self][key])
        return;
    struct tq_bucket *bucket =
        blind ? lock_blindly(key_of[key]) : tq_locktab_lock(&w.tab, key_of[key]);
    const bool is_free = !tq_locktab_find(&w.tab, bucket, key_of[key], &index);
    if (is_free)
        tq_locktab_add(&w.tab, bucket, w.record[self][key], key_of[key]);
    tq_locktab_unlock(&w.tab, bucket);
    if (!is_free)
        return;
    weave_assert(w.holders[key]++ == 0);
    w.mine[self][key] = true;
    WEAVE_WRITE(owner[key], self + 1);
}

static void release(unsigned self, unsigned key)
{
    uint32_t index = TQ_NONE;
    if (!w.mine[self][key])
        return;
    weave_assert(WEAVE_READ(owner[key]) == self + 1);
    WEAVE_WRITE(owner[key], 0);
    w.holders[key]--;
    w.mine[self][key] = false;
    struct tq_bucket *bucket = tq_locktab_lock(&w.tab, key_of[key]);
    weave_assert(tq_locktab_find(&w.tab, bucket, key_of[key], &index));
    weave_assert(index == w.record[self][key]);
    tq_locktab_remove(&w.tab, bucket, index);
    tq_locktab_unlock(&w.tab, bucket);
}

static void show(void *arg, struct tq_bucket *bucket, struct tq_record *record, uint32_t index)
{
    uint32_t *shown = arg;
    weave_assert(tq_mutex_is_held(&bucket->mutex));
    weave_assert(index < RECORDS);
    for (unsigned key = 0; key < KEYS; key++)
        shown[key] += tq_digest_same(record->digest, key_of[key]) != 0;
}

static void walk(const struct story *story, unsigned self)
{
    memset(w.shown[self], 0, sizeof w.shown[self]);
    tq_locktab_walk(&w.tab, show, w.shown[self]);
    for (const char *k = story->there; k && *k; k++)
        weave_assert(w.shown[self][*k - 'A'] >= 1);
}

static void play(void *arg)
{
    const struct story *story = arg;
    unsigned self = (unsigned)weave_self();
    for (const char *s = story->script[self]; *s; s++) {
        if (*s == 's')
            tq_locktab_grow(&w.tab);
        else if (*s == 'w')
            walk(story, self);
        else if (*s >= 'a')
            release(self, (unsigned)(*s - 'a'));
        else
            claim(self, (unsigned)(*s - 'A'), story->blind);
    }
}

static void setup(void *arg)
{
    const struct story *story = arg;
    memset(&w, 0, sizeof w);
    memset(owner, 0, sizeof owner);
    heap.used = 0;
    memset(heap.bytes, 0, sizeof heap.bytes);
    const struct tq_slab_shape shape = {
        .object_size = sizeof(struct tq_record),
        .align = 8,
        .chunk_objects = 16,
        .magazine_objects = 1,
        .limit = RECORDS,
        .caches_max = 1,
        .exact = true,
    };
    weave_assert(tq_slab_init(&w.slab, &memory, &shape));
    weave_assert(tq_slab_attach(&w.slab, &w.cache));
    for (uint32_t i = 0; i < RECORDS; i++) {
        uint32_t index;
        weave_assert(tq_slab_alloc(&w.slab, &w.cache, &index) == TQ_SLAB_OK);
        if (i < 2 * THREADS)
            w.record[i / 2][i % 2] = w.record[i / 2][i % 2 + 2] = index;
        else
            w.record[SETUP][i - 2 * THREADS] = index;
    }
    weave_assert(tq_locktab_init(&w.tab, &memory, &w.slab));
    for (uint32_t i = 0; i < story->splits; i++)
        tq_locktab_grow(&w.tab);
    for (const char *k = story->there; k && *k; k++)
        claim(SETUP, (unsigned)(*k - 'A'), false);
    if (story->most)
        w.slab.carved = story->most;
    weave_constant(&w.slab.carved);
    weave_constant(&w.slab.objects.chunks[0]);
    weave_constant(&w.tab.buckets.chunks[0]);
    weave_name(&w.tab.count, "count");
    weave_name(&w.tab.splitting.word, "splitting");
    for (int i = 0; i < 2; i++)
        weave_name_at(&tq_locktab_at_(&w.tab, (uint32_t)i)->mutex.word, "bucket", i);
}

static void finish(void *arg)
{
    (void)arg;
    uint64_t held = 0;
    for (unsigned who = 0; who < WHO; who++)
        for (unsigned key = 0; key < KEYS; key++)
            held += w.mine[who][key];
    w.slab.carved = RECORDS;
    weave_assert(tq_locktab_check(&w.tab));
    weave_assert(tq_locktab_count(&w.tab) == held);
    for (unsigned who = 0; who < WHO; who++) {
        for (unsigned key = 0; key < KEYS; key++) {
            uint32_t index = TQ_NONE;
            struct tq_bucket *bucket = tq_locktab_lock(&w.tab, key_of[key]);
            const bool there = tq_locktab_find(&w.tab, bucket, key_of[key], &index) != NULL;
            tq_locktab_unlock(&w.tab, bucket);
            weave_assert(there == (w.holders[key] == 1));
        }
    }
}

/* ---- the stories -------------------------------------------------------------------------------------- */

#define STORY(title, ...)                                                                          \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .threads = {play, play, play}

/* With "long" as its argument the program searches all with a preemption more. */
static const struct weave_case stories[] = {
    {STORY("claim and claim", {"A", "A", "A"}), .preemptions = 3},
    {STORY("claim and release of one key", {"Aa", "Aa", "Aa"}), .preemptions = 2, .stale = 1},
    {STORY("two keys of one bucket", {"AaB", "BbA", ""}), .preemptions = 3, .stale = 1},
    {STORY("claim and split", {"B", "s", "B"}, .most = 3), .preemptions = 2, .stale = 1},
    {STORY("release and split", {"Bb", "s", "B"}, .most = 3), .preemptions = 2, .stale = 1},
    {STORY("claims, releases, two splits", {"AaD", "s", "DdA"}, .there = "B"), .preemptions = 2,
     .stale = 1},
    {STORY("two that split", {"Bb", "s", "s"}, .there = "D"), .preemptions = 2, .stale = 1},
    {STORY("a digest moves twice", {"D", "sss", ""}), .preemptions = 2, .stale = 1},
    {STORY("a walk and a split", {"w", "s", ""}, .there = "ABCD"), .preemptions = 2, .stale = 1},
    {STORY("a walk, splits and claims", {"w", "ss", "Aa"}, .there = "BD"), .preemptions = 2,
     .stale = 1},
    {STORY("a walk to the end of a larger table", {"w", "s", "Bb"}, .there = "AD", .splits = 2),
     .preemptions = 2, .stale = 1},
};

static const struct weave_case quick[] = {
    {STORY("claim and release", {"Aa", "A", ""}), .preemptions = 2, .stale = 1},
    {STORY("claim and split", {"Bb", "s", "B"}, .most = 3), .preemptions = 1, .stale = 1},
    {STORY("a digest moves twice", {"D", "sss", ""}), .preemptions = 1, .stale = 1},
    {STORY("a walk", {"w", "s", ""}, .there = "AB"), .preemptions = 1, .stale = 1},
};
enum { QUICK = sizeof quick / sizeof *quick };

static void story_holds(const struct weave_case *story, bool deep)
{
    static struct weave_result r;
    struct weave_case c = *story;
    c.preemptions += deep;
    weave_run(&c, &r);
    char text[256];
    snprintf(text, sizeof text, "%s: clean (%d preemptions, all %" PRIu64 " executions)", c.name,
             c.preemptions, r.executions);
    TAP_OK(!r.failed && r.exhausted, text);
}

/* ---- seeded faults ------------------------------------------------------------------------------------ */

static const char *const needed[] = {
    "tq_store(&tab->count, release): relaxed", /* L2 */
    "tq_load(&tab->count, acquire): relaxed",  /* L2, of lock and of walk */
    "tq_swap(&mutex->word, release): relaxed", /* L1 */
    "tq_cas(&mutex->word, acquire, relaxed): relaxed",
};

static void weakened(const char *file, unsigned loads)
{
    static struct weave_tally tally;
    char text[192];
    snprintf(text, sizeof text, "%s: the small stories are clean without a fault", file);
    TAP_OK(weave_mutate(quick, QUICK, WEAVE_TO_RELAXED, file, &tally) == 0, text);
    unsigned caught[sizeof needed / sizeof *needed] = {0};
    for (unsigned i = 0; i < tally.count; i++)
        for (unsigned n = 0; n < sizeof needed / sizeof *needed; n++)
            caught[n] += tally.verdicts[i].caught && strstr(tally.verdicts[i].text, needed[n]);
    if (!loads) {
        TAP_OK(caught[2] >= 1 && caught[3] >= 1, "caught: L1, both ends");
        return;
    }
    TAP_OK(caught[0] >= 1, "caught: L2, the store of count");
    snprintf(text, sizeof text, "caught: L2, %u loads of count", loads);
    TAP_OK(caught[1] >= loads, text);
    printf("# %u orders weakened, %u caught\n", tally.count, tally.caught);
}

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

/* A fault of the protocol itself. */
static void blindness(void)
{
    static struct weave_result r;
    const struct weave_case c = {STORY("blind", {"B", "s", ""}, .most = 3, .blind = true),
                                 .preemptions = 1, .stale = 1, .quiet = true};
    TAP_OK(weave_run(&c, &r) != 0,
           "caught: a lock that does not look whether its bucket was split");
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (unsigned i = 0; i < sizeof stories / sizeof *stories; i++)
        story_holds(&stories[i], deep);
    weakened("engine/sync/locktab", 3);
    weakened("engine/sync/mutex", 0);
    left_out("tq_store(&tab->count, release)", "caught: a split that is not told");
    blindness();
    return tap_done();
}
