/* One thread stops for good at each of its steps: the others go on.
 *
 * The victim, thread 0, does one operation. With one preemption and no old reads the search runs it up to its k-th
 * step, for every k, and then lets each of the others run to its end. They do whole operations, in a bounded number of
 * steps; that they did not wait for the victim is seen by its not having moved. Afterwards it goes on, and nothing is
 * lost or taken twice either.
 */
#include "engine/sync/park.h"
#include "engine/sync/ready.h"

#include <string.h>

#include "sync.h"
#include "weave_sched.h"

enum { THREADS = 3, VICTIM = 0, ITEMS = 24, STEPS_MAX = 400 };

/* ---- who is frozen where ---------------------------------------------------------------------------------- */

static struct progress {
    bool begun[THREADS], ended[THREADS];
    unsigned others; /* that ran to their end while the victim stood still */
    unsigned at;     /* it stands before this step of its own; 0: it does not */
} progress;

/* Over all executions of a case. */
static struct {
    unsigned length;          /* steps of the victim when nobody comes between */
    bool frozen[STEPS_MAX];   /* before which of them somebody else ran */
    bool two_went[STEPS_MAX]; /* and both others to their end */
    unsigned most;            /* steps that one operation of the others took */
} tally;

static void begin(int self)
{
    progress.begun[self] = true;
    bool frozen = progress.begun[VICTIM] && !progress.ended[VICTIM];
    if (self == VICTIM || !frozen || progress.at)
        return;
    if (progress.begun[1] && progress.begun[2])
        return; /* the other one was there before the victim, and is what stands still */
    progress.at = weave_sched_step();
    weave_assert(progress.at < STEPS_MAX);
    tally.frozen[progress.at] = true;
}

static void end(int self)
{
    progress.ended[self] = true;
    if (self != VICTIM) {
        if (progress.at && !progress.ended[VICTIM] && ++progress.others == 2)
            tally.two_went[progress.at] = true;
        return;
    }
    if (!progress.begun[1] && !progress.begun[2])
        tally.length = weave_sched_step();
    /* It was let go on only because the others had ended, or had not begun. */
    for (int t = 1; t < THREADS; t++)
        if (progress.at && progress.begun[t] && !progress.ended[t])
            weave_fail("thread %d waits for the frozen one", t);
}

/* One whole operation of the others. */
static unsigned step_before;
static void op_begin(void)
{
    step_before = weave_sched_step();
}
static void op_end(unsigned most)
{
    unsigned steps = weave_sched_step() - step_before;
    weave_assert(steps <= most);
    if (tally.most < steps)
        tally.most = steps;
}

static bool is_frozen(void)
{
    return progress.at && !progress.ended[VICTIM];
}

/* ---- push and take ---------------------------------------------------------------------------------------- */

enum { OP_STEPS_MAX = 150 };

struct story {
    void (*victim)(void);
    uint32_t before;  /* pushed and taken before: so much of a segment is used up */
    uint32_t waiting; /* items that are there at first */
    uint32_t hand;    /* items that the victim may have taken when it stands still */
};

static struct world {
    struct tq_slab segments;
    struct tq_memory memory;
    struct tq_fifo fifo[2];
    struct tq_ready *ready;
    struct tq_fifo_cache cache[THREADS];
    struct tq_park park;
    struct tq_sleeper sleepers[2]; /* asleep at first */
    uint32_t taken[ITEMS];
    struct sync_heap heap;
} world, image;

static void push(int self, uint32_t first, uint32_t count)
{
    uint32_t items[4];
    for (uint32_t i = 0; i < count; i++)
        items[i] = first + i;
    weave_assert(tq_fifo_reserve(&world.segments, &world.cache[self], count));
    if (count == 1)
        weave_assert(tq_fifo_push_one(&world.fifo[0], &world.cache[self], first) == 1);
    else
        weave_assert(tq_fifo_push(&world.fifo[0], &world.cache[self], items, count) == count);
    tq_ready_mark(world.ready, 0);
}

static uint32_t take(int self, bool thorough)
{
    struct tq_taken taken;
    if (!tq_ready_take(world.ready, &world.cache[self], thorough, &taken))
        return TQ_NONE;
    weave_assert(taken.item < ITEMS && taken.rank == 0);
    world.taken[taken.item]++;
    return taken.item;
}

/* Items: 0.. wait at first; 8.. are the victim's; 16.. and 20.. those of the others. */
static void victim_push_one(void)
{
    push(VICTIM, 8, 1);
}
static void victim_push_three(void)
{
    push(VICTIM, 8, 3);
}
static void victim_take(void)
{
    take(VICTIM, false);
}
static void victim_take_thorough(void)
{
    take(VICTIM, true);
}
static void victim_take_two(void)
{
    take(VICTIM, true);
    take(VICTIM, true);
}

static void build(const void *arg)
{
    const struct story *story = arg;
    world.memory = sync_memory(&world.heap);
    struct tq_slab_shape shape = {.object_size = sizeof(struct tq_segment),
                                  .align = TQ_LINE,
                                  .chunk_objects = 1 << TQ_SEGMENTS_SHIFT,
                                  .magazine_objects = 1,
                                  .limit = 32,
                                  .caches_max = THREADS};
    weave_assert(tq_slab_init(&world.segments, &world.memory, &shape));
    for (int t = 0; t < THREADS; t++) {
        weave_assert(tq_slab_attach(&world.segments, &world.cache[t].slab));
        tq_fifo_cache_init(&world.cache[t]);
    }
    struct tq_fifo *fifos[2] = {&world.fifo[0], &world.fifo[1]};
    for (int i = 0; i < 2; i++)
        weave_assert(tq_fifo_init(fifos[i], &world.segments, NULL, &world.cache[0]));
    world.ready = tq_ready_create(&world.memory, fifos, (const int32_t[]){2, 1}, 2);
    weave_assert(world.ready);
    for (uint32_t i = 0; i < 2; i++)
        tq_ready_open(world.ready, i, true);
    tq_ready_mark(world.ready, 1); /* the second is hinted and empty: so a take settles the first */
    tq_park_init(&world.park, world.sleepers);
    tq_park_join(&world.park, 0, false);
    tq_park_join(&world.park, 1, false);
    for (uint32_t i = 0; i < story->before; i++) {
        push(0, 0, 1);
        weave_assert(take(0, false) == 0);
    }
    world.taken[0] = 0;
    for (uint32_t i = 0; i < story->waiting; i++)
        push(0, i, 1);
    for (int t = 0; t < THREADS; t++)
        weave_assert(tq_fifo_reserve(&world.segments, &world.cache[t], 2 * TQ_FIFO_CELLS));
}

static void setup(void *arg)
{
    sync_world(&world, &image, &world.heap, arg, build);
    sync_constant(&world.segments.magazines);
    sync_constant(&world.segments.objects);
    progress = (struct progress){.at = 0};
}

static void victim(void *arg)
{
    const struct story *story = arg;
    begin(VICTIM);
    story->victim();
    end(VICTIM);
}

/* Pushes two, and takes what there is. While the victim stands still: in their order all that waited, but what it may
 * have in its hand, and then both of its own. */
static void other(void *arg)
{
    const struct story *story = arg;
    int self = weave_self();
    uint32_t item, first = 12 + 4 * (uint32_t)self, got = 0, own = 0, waited = 0, last = 0;
    for (int i = 0; i < ITEMS; i++)
        waited += i < (int)story->waiting && !world.taken[i];
    begin(self);
    for (uint32_t i = 0; i < 2; i++) {
        op_begin();
        push(self, first + i, 1);
        op_end(OP_STEPS_MAX);
    }
    do {
        op_begin();
        item = take(self, true);
        op_end(OP_STEPS_MAX);
        if (item == TQ_NONE || (item >= 8 && item < 12))
            continue; /* nothing, or one of the victim's */
        if (is_frozen())
            weave_assert(item >= last && (item < 8 || item >= first));
        last = item;
        got += item < 8;
        own += item >= first;
    } while (item != TQ_NONE);
    if (is_frozen())
        weave_assert(own == 2 && got + story->hand >= waited);
    end(self);
}

static void finish(void *arg)
{
    const struct story *story = arg;
    uint32_t item;
    weave_assert(tq_ready_check(world.ready));
    do
        item = take(0, true);
    while (item != TQ_NONE);
    for (uint32_t i = 0; i < ITEMS; i++) {
        bool there = i < story->waiting || (i >= 16 && i % 4 < 2);
        there |= (i == 8 && story->victim == victim_push_one);
        there |= (i >= 8 && i < 11 && story->victim == victim_push_three);
        weave_assert(world.taken[i] == there);
    }
}

/* ---- publish and wake ------------------------------------------------------------------------------------- */

/* By the step before which the victim stands still: how often another's notify woke somebody, and how often nobody. */
static unsigned woke[STEPS_MAX], woke_none[STEPS_MAX];

/* True: a sleeper was told. */
static bool publish(int self, uint32_t item)
{
    push(self, item, 1);
    int index = tq_park_notify(&world.park);
    if (index >= 0)
        tq_park_wake(&world.park, index);
    return index >= 0;
}

static void victim_publish(void)
{
    publish(VICTIM, 8);
}

static void other_publishes(void *arg)
{
    (void)arg;
    int self = weave_self();
    bool first = !progress.ended[3 - self];
    begin(self);
    op_begin();
    bool told = publish(self, 12 + 4 * (uint32_t)self);
    op_end(OP_STEPS_MAX);
    publish(self, 13 + 4 * (uint32_t)self);
    if (is_frozen() && first)
        (told ? woke : woke_none)[progress.at]++;
    /* Who is awake finds all that was published, whether the victim told anybody or not. */
    while (take(self, true) != TQ_NONE)
        ;
    if (is_frozen())
        weave_assert(world.taken[12 + 4 * self] && world.taken[13 + 4 * self]);
    end(self);
}

static void publish_finish(void *arg)
{
    (void)arg;
    weave_assert(tq_ready_check(world.ready));
    while (take(0, true) != TQ_NONE)
        ;
    weave_assert(world.taken[8] == 1);
    weave_assert(tq_park_is_awake(&world.park, 0) || tq_park_is_awake(&world.park, 1));
    weave_assert(tq_park_check(&world.park, 2));
}

/* ---- the slab --------------------------------------------------------------------------------------------- */

struct slab_story {
    void (*victim)(void);
    uint32_t limit, magazine;
    bool exact;
};

static struct slab_world {
    struct tq_slab slab;
    struct tq_memory memory;
    struct tq_slab_cache cache[THREADS];
    uint32_t held; /* by the victim, at first */
    int owner[16];
    struct sync_heap heap;
} pool, pool_image;

static void slab_build(const void *arg)
{
    const struct slab_story *story = arg;
    pool.memory = sync_memory(&pool.heap);
    struct tq_slab_shape shape = {.object_size = 8,
                                  .align = 8,
                                  .chunk_objects = 16,
                                  .magazine_objects = story->magazine,
                                  .limit = story->limit,
                                  .caches_max = THREADS,
                                  .exact = story->exact};
    weave_assert(tq_slab_init(&pool.slab, &pool.memory, &shape));
    for (int t = 0; t < THREADS; t++)
        weave_assert(tq_slab_attach(&pool.slab, &pool.cache[t]));
    weave_assert(tq_slab_alloc(&pool.slab, &pool.cache[VICTIM], &pool.held) == TQ_SLAB_OK);
    pool.owner[pool.held] = VICTIM + 1;
}

static void slab_setup(void *arg)
{
    sync_world(&pool, &pool_image, &pool.heap, arg, slab_build);
    progress = (struct progress){.at = 0};
}

static void own(uint32_t index)
{
    weave_assert(!pool.owner[index]);
    pool.owner[index] = weave_self() + 1;
}
static void disown(uint32_t index)
{
    weave_assert(pool.owner[index] == weave_self() + 1);
    pool.owner[index] = 0;
}

static void victim_alloc(void)
{
    uint32_t index;
    if (tq_slab_alloc(&pool.slab, &pool.cache[VICTIM], &index) == TQ_SLAB_OK)
        own(index);
}
static void victim_free(void)
{
    disown(pool.held);
    tq_slab_free(&pool.slab, &pool.cache[VICTIM], pool.held);
}
static void victim_both(void)
{
    victim_free();
    victim_alloc();
}
static void victim_alloc_three(void)
{
    for (int i = 0; i < 3; i++)
        victim_alloc();
}

static void slab_victim(void *arg)
{
    const struct slab_story *story = arg;
    begin(VICTIM);
    story->victim();
    end(VICTIM);
}

/* All that can be had but the victim's, twice. */
static void slab_other(void *arg)
{
    const struct slab_story *story = arg;
    int self = weave_self();
    begin(self);
    for (int turn = 0; turn < 2; turn++) {
        uint32_t had[16], count = 0;
        enum tq_slab_result r;
        do {
            op_begin();
            r = tq_slab_alloc(&pool.slab, &pool.cache[self], &had[count]);
            op_end(OP_STEPS_MAX);
            if (r == TQ_SLAB_OK)
                own(had[count++]);
        } while (r == TQ_SLAB_OK);
        weave_assert(r == TQ_SLAB_FULL);
        if (is_frozen() && story->exact)
            weave_assert(count + 2 >= story->limit); /* it has one, and one is on its way */
        while (count--) {
            disown(had[count]);
            op_begin();
            tq_slab_free(&pool.slab, &pool.cache[self], had[count]);
            op_end(OP_STEPS_MAX);
        }
    }
    end(self);
}

static void slab_finish(void *arg)
{
    (void)arg;
    const struct tq_slab_cache *caches[THREADS] = {&pool.cache[0], &pool.cache[1], &pool.cache[2]};
    unsigned char seen[16] = {0};
    uint32_t free_count, used = 0;
    weave_assert(tq_slab_check(&pool.slab, caches, THREADS, seen, &free_count));
    for (uint32_t i = 0; i < 16; i++)
        used += pool.owner[i] != 0;
    weave_assert(free_count + used == tq_load(&pool.slab.carved, relaxed));
}

/* ---- claims ----------------------------------------------------------------------------------------------- */

static void frozen(struct weave_case c, const char *text)
{
    struct weave_result r;
    char claim[256];
    memset(&tally, 0, sizeof tally);
    c.name = text;
    c.preemptions = 1;
    c.stale = WEAVE_NONE;
    weave_run(&c, &r);
    /* Before its first step it has not begun. */
    bool all = tally.length >= 2;
    for (unsigned k = 2; k <= tally.length; k++)
        all &= tally.frozen[k] && tally.two_went[k];
    snprintf(claim, sizeof claim,
             "%s: at each of %u steps the others go on, by %u steps an operation or fewer", text,
             tally.length, tally.most);
    sync_claim(!r.failed && r.exhausted && all, claim,
               r.failed ? r.why
               : all    ? "not exhausted"
                        : "not at every step");
}

static void story(const char *text, const struct story *s)
{
    frozen((struct weave_case){.arg = (void *)(uintptr_t)s,
                               .setup = setup,
                               .threads = {victim, other, other},
                               .finish = finish},
           text);
}

static void slab_story(const char *text, const struct slab_story *s)
{
    frozen((struct weave_case){.arg = (void *)(uintptr_t)s,
                               .setup = slab_setup,
                               .threads = {slab_victim, slab_other, slab_other},
                               .finish = slab_finish},
           text);
}

/* The limit of park, exactly: whom the victim has popped counts as a searcher, and until he is told, others wake
 * nobody. The last two steps of a notify: the store of `awake`, and the wake-up itself. */
static void publisher(void)
{
    static const struct story s = {.victim = victim_publish};
    frozen((struct weave_case){.arg = (void *)(uintptr_t)&s,
                               .setup = setup,
                               .threads = {victim, other_publishes, other_publishes},
                               .finish = publish_finish},
           "push, mark and notify");
    bool exact = tally.length > 2;
    for (unsigned k = 2; k <= tally.length; k++)
        exact &= k + 2 > tally.length ? !woke[k] && woke_none[k] : woke[k] && !woke_none[k];
    sync_claim(exact,
               "who stands still between popping a sleeper and waking him keeps others from waking "
               "one, at no other step",
               "another set of steps");
}

/* The same look at a structure that blocks: the test is worth nothing if it does not see that. */
static tq_a32 lock;

static void lock_setup(void *arg)
{
    (void)arg;
    lock = 0;
    progress = (struct progress){.at = 0};
}

static void lock_and_unlock(void *arg)
{
    (void)arg;
    begin(weave_self());
    while (tq_swap(&lock, 1, acquire))
        tq_pause();
    tq_store(&lock, 0, release);
    end(weave_self());
}

static void apparatus(void)
{
    sync_found(&(struct weave_case){.name = "a spin lock is seen to block",
                                    .setup = lock_setup,
                                    .threads = {lock_and_unlock, lock_and_unlock, lock_and_unlock},
                                    .preemptions = 1,
                                    .stale = WEAVE_NONE},
               "waits for the frozen one");
}

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    static const struct story pushes[] = {
        {.victim = victim_push_one},
        {.victim = victim_push_one, .before = 1, .waiting = 1},
        {.victim = victim_push_one, .before = 2},
        {.victim = victim_push_three},
        {.victim = victim_push_three, .before = 1, .waiting = 3},
    };
    story("push and mark", &pushes[0]);
    story("push and mark, the last cell", &pushes[1]);
    story("push and mark, another segment", &pushes[2]);
    story("push of three, and mark", &pushes[3]);
    story("push of three over two segments, and mark", &pushes[4]);
    static const struct story takes[] = {
        {.victim = victim_take, .waiting = 2, .hand = 1},
        {.victim = victim_take, .waiting = 5, .before = 2, .hand = 1},
        {.victim = victim_take_thorough},
        {.victim = victim_take_two, .waiting = 1, .hand = 1},
        {.victim = victim_take_two, .waiting = 2, .before = 1, .hand = 2},
    };
    story("take", &takes[0]);
    story("take where a segment ends", &takes[1]);
    story("thorough take of nothing", &takes[2]);
    story("take of the last, then of nothing", &takes[3]);
    story("two takes over two segments", &takes[4]);
    static const struct slab_story slabs[] = {
        {.victim = victim_alloc, .limit = 4, .magazine = 1, .exact = true},
        {.victim = victim_both, .limit = 4, .magazine = 1, .exact = true},
        {.victim = victim_alloc_three, .limit = 2, .magazine = 2},
    };
    slab_story("alloc, exact", &slabs[0]);
    slab_story("free and alloc, exact", &slabs[1]);
    slab_story("three allocs, magazines of two", &slabs[2]);
    publisher();
    apparatus();
    return sync_end();
}
