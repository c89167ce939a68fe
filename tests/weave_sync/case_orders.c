/* Which memory orders the fifo needs, and for what.
 *
 * Each order is weakened by one step, alone, and must be caught, or else it is said why it stands. What `ready` builds on
 * (seq_cst and not acq_rel) shows only where a push is followed by a look, and a pop follows a change of what is looked
 * at. Segments of two cells, no patience; what an item names is the producer's until it is pushed, then the consumer's.
 */
#include "engine/sync/fifo.h"

#include <string.h>

#include "sync.h"

enum { THREADS = 3, ITEMS = 16, LOG = 8 };

struct make {
    uint32_t magazine; /* of the slab of segments */
    uint32_t
        before; /* items pushed and popped before: the first segment has that many cells used up */
};

static struct world {
    struct tq_slab segments;
    struct tq_memory memory;
    struct tq_fifo fifo;
    struct tq_fifo_cache cache[THREADS];
    int payload[ITEMS];
    tq_a32 raised; /* stands for a hint of `ready` */
    /* Not modelled. */
    bool accepted[ITEMS];
    uint32_t unseen; /* items that were pushed by who then saw that nothing was raised */
    uint32_t popped[THREADS + 1][LOG]; /* in order; the last is what was left */
    uint32_t popped_count[THREADS + 1];
    struct sync_heap heap;
} world, image;

static void build(const void *arg)
{
    const struct make *make = arg;
    world.memory = sync_memory(&world.heap);
    struct tq_slab_shape shape = {.object_size = sizeof(struct tq_segment),
                                  .align = TQ_LINE,
                                  .chunk_objects = 1 << TQ_SEGMENTS_SHIFT,
                                  .magazine_objects = make->magazine,
                                  .limit = 16,
                                  .caches_max = THREADS};
    weave_assert(tq_slab_init(&world.segments, &world.memory, &shape));
    for (int t = 0; t < THREADS; t++) {
        weave_assert(tq_slab_attach(&world.segments, &world.cache[t].slab));
        tq_fifo_cache_init(&world.cache[t]);
        weave_assert(tq_fifo_reserve(&world.segments, &world.cache[t], 1));
    }
    weave_assert(tq_fifo_init(&world.fifo, &world.segments, NULL, &world.cache[0]));
    struct tq_taken taken;
    for (uint32_t i = 0; i < make->before; i++) {
        weave_assert(tq_fifo_reserve(&world.segments, &world.cache[0], 1));
        weave_assert(tq_fifo_push(&world.fifo, &world.cache[0], (const uint32_t[]){i}, 1) == 1);
        weave_assert(tq_fifo_pop(&world.fifo, &world.cache[0], &taken) && taken.item == i);
    }
    for (int t = 0; t < THREADS; t++)
        weave_assert(tq_fifo_reserve(&world.segments, &world.cache[t], 2 * TQ_FIFO_CELLS));
}

static void setup(void *arg)
{
    sync_world(&world, &image, &world.heap, arg, build);
    sync_constant(&world.segments.objects);
    sync_constant(&world.segments.magazines);
    weave_name(&world.fifo.head, "head");
    weave_name(&world.fifo.tail, "tail");
    for (uint32_t i = 0; i < world.segments.carved; i++) {
        struct tq_segment *s = tq_slab_at(&world.segments, i);
        weave_name_at(&s->enq, "enq", (int)i);
        weave_name_at(&s->deq, "deq", (int)i);
        weave_name_at(&s->next, "next", (int)i);
        weave_name_at(&s->cell[0], "cell 0 of", (int)i);
        weave_name_at(&s->cell[1], "cell 1 of", (int)i);
    }
}

/* Items of one producer rise by one; item / 4 tells the producer. */
static bool push(uint32_t item, uint32_t count)
{
    struct tq_fifo_cache *cache = &world.cache[weave_self()];
    uint32_t items[4];
    for (uint32_t i = 0; i < count; i++) {
        items[i] = item + i;
        WEAVE_WRITE(world.payload[item + i], (int)(item + i) * 10);
    }
    weave_assert(tq_fifo_reserve(&world.segments, cache, count));
    uint32_t pushed = tq_fifo_push(&world.fifo, cache, items, count);
    for (uint32_t i = 0; i < pushed; i++)
        world.accepted[item + i] = true;
    return pushed == count;
}

static bool push_one(uint32_t item)
{
    struct tq_fifo_cache *cache = &world.cache[weave_self()];
    WEAVE_WRITE(world.payload[item], (int)item * 10);
    weave_assert(tq_fifo_reserve(&world.segments, cache, 1));
    return world.accepted[item] = tq_fifo_push_one(&world.fifo, cache, item) == 1;
}

static void log_pop(int who, uint32_t item)
{
    weave_assert(item < ITEMS && world.popped_count[who] < LOG);
    world.popped[who][world.popped_count[who]++] = item;
}

static bool pop(void)
{
    struct tq_taken taken;
    if (!tq_fifo_pop(&world.fifo, &world.cache[weave_self()], &taken))
        return false;
    uint32_t item = taken.item;
    log_pop(weave_self(), item);
    weave_assert(WEAVE_READ(world.payload[item]) == (int)item * 10);
    WEAVE_WRITE(world.payload[item], -1);
    return true;
}

/* What was accepted is popped exactly once; of one producer in order, for each consumer and in what is left. */
static void finish(void *arg)
{
    (void)arg;
    uint64_t left;
    struct tq_taken taken;
    weave_assert(tq_fifo_check(&world.fifo, &left));
    while (tq_fifo_pop(&world.fifo, &world.cache[0], &taken))
        log_pop(THREADS, taken.item);
    weave_assert(left == world.popped_count[THREADS]);
    unsigned times[ITEMS] = {0};
    int highest[THREADS + 1] = {-1, -1, -1, -1};
    for (int who = 0; who <= THREADS; who++) {
        int last[ITEMS / 4];
        for (int p = 0; p < ITEMS / 4; p++)
            last[p] = who < THREADS ? -1 : highest[p];
        for (uint32_t i = 0; i < world.popped_count[who]; i++) {
            uint32_t item = world.popped[who][i];
            times[item]++;
            weave_assert((int)item > last[item / 4]);
            last[item / 4] = (int)item;
            if (highest[item / 4] < (int)item)
                highest[item / 4] = (int)item;
        }
    }
    for (uint32_t i = 0; i < ITEMS; i++)
        weave_assert(times[i] == world.accepted[i]);
}

/* ---- threads: each of at least two operations ----------------------------------------------------------- */

static uint32_t mine(void)
{
    return (uint32_t)weave_self() * 4;
}

static void push_two(void *arg)
{
    (void)arg;
    weave_assert(push_one(mine()));
    weave_assert(push(mine() + 1, 1));
}

static void pop_two(void *arg)
{
    (void)arg;
    pop();
    pop();
}

/* Who has pushed and pops once can find nothing only if there are more pops than pushes. */
static void push_and_pop(void *arg)
{
    (void)arg;
    weave_assert(push_one(mine()));
    weave_assert(pop());
}

static void push_and_pop_twice(void *arg)
{
    push_and_pop(arg);
    weave_assert(push_one(mine() + 1));
    weave_assert(pop());
}

static void in_turn(void *arg)
{
    (void)arg;
    weave_assert(push_one(mine()));
    pop();
    weave_assert(push_one(mine() + 1));
    pop();
}

static void push_while_open(void *arg)
{
    (void)arg;
    if (push_one(mine()))
        push(mine() + 1, 2);
}

static void close_then_push(void *arg)
{
    (void)arg;
    tq_fifo_close(&world.fifo);
    weave_assert(!push_one(mine()));
    weave_assert(!push(mine() + 1, 2));
}

/* O4 and O2 are what `ready` builds on: of a push followed by a seq_cst load, and a seq_cst change followed by a pop,
 * one sees the other. */
static void push_and_look(void *arg)
{
    (void)arg;
    weave_assert(push_one(mine()));
    if (!tq_load(&world.raised, seq_cst))
        world.unseen++;
}

static void push_slowly_and_look(void *arg)
{
    (void)arg;
    weave_assert(push(mine(), 1));
    if (!tq_load(&world.raised, seq_cst))
        world.unseen++;
}

static void raise_and_pop(void *arg)
{
    (void)arg;
    tq_swap(&world.raised, 1, seq_cst);
    while (pop())
        ;
}

static void one_saw_the_other(void *arg)
{
    weave_assert(world.popped_count[2] >= world.unseen);
    finish(arg);
}

static struct make fresh = {.magazine = 2};
static struct make used = {.magazine = 2, .before = 1};
static struct make full = {.magazine = 2, .before = 2};
static struct make ones = {.magazine = 1, .before = 2};

/* Words carry the generation, so that most loads may be old: the modification that follows reads the newest and decides.
 */
static const struct sync_survivor survivors[] = {
    {"fifo.h", "tq_load(&fifo->tail, acquire): relaxed", 1,
     "for the address of a chunk, constant here"},
    {"fifo.c", "tq_load(&fifo->tail, acquire): relaxed", 2,
     "advance_head compares only; close: as above"},
    {"fifo.h", "tq_cas(cell, seq_cst, relaxed): acq_rel", 1,
     "a ticket that is out (O4) sends the consumer to a CAS of the cell; the order costs nothing "
     "on x86"},
    {"fifo.c", "tq_cas(cell, seq_cst, relaxed): acq_rel", 1, "the same"},
    {"fifo.h", "tq_load(&s->cell[(uint32_t)deq], seq_cst): acquire", 1, "the same"},
    {"fifo.c", "tq_load(&s->cell[d], seq_cst): acquire", 1, "the same"},
    {"fifo.c", "tq_load(&s->next, seq_cst): acquire", 2, "append and close: their CAS decides"},
    {"fifo.c", "tq_cas(&s->next, seq_cst, seq_cst): failure acquire", 2, "they begin again"},
    {"fifo.c", "tq_cas(&s->next, seq_cst, seq_cst): acq_rel", 1,
     "close: against pushes, which modify the same words"},
    {"fifo.c", "tq_or(&s->enq, seq_cst): acq_rel", 1, "the same"},
    {"fifo.c", "tq_cas(&fifo->tail, acq_rel, relaxed): release", 1,
     "nothing is read through the old value"},
    {"fifo.c", "tq_cas(&fifo->head, acq_rel, relaxed): release", 1, "the same"},
    {"fifo.c", "tq_load(cell, acquire): relaxed", 1, "patience: the pop looks again"},
    {"fifo.c", "tq_cas(cell, acq_rel, relaxed): ", 2, "TAKEN carries nothing"},
    {"fifo.h", "tq_cas(&s->deq, release, relaxed): relaxed", 1,
     "keeps an earlier load where it is; weave has none that read what is yet to be written"},
    {"fifo.c", "tq_cas(&s->deq, release, relaxed): relaxed", 2,
     "the same; and LEFT leads to a look at next, which its reader repeats"},
    {"fifo.c", "tq_load(&s->deq, seq_cst): acquire", 1, "for a put (weave/case_front)"},
    {"fifo.c", "tq_store(&s->next, release): relaxed", 1, "for tq_fifo_find"},
    {NULL, NULL, 0, NULL},
};

#define CASE(text, make, old_reads, a, b, c)                                                       \
    &(struct weave_case)                                                                           \
    {                                                                                              \
        .name = (text), .arg = &(make), .setup = setup, .threads = {a, b, c}, .finish = finish,    \
        .stale = (old_reads)                                                                       \
    }

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    struct make *const starts[] = {&fresh, &used, &full};
    const char *const texts[] = {"push and look against raise and pop",
                                 "the same across a segment's end",
                                 "the same where a segment ends"};
    for (int i = 0; i < 3; i++) {
        struct weave_case c =
            *CASE(texts[i], *starts[i], 2, push_and_look, push_slowly_and_look, raise_and_pop);
        c.finish = one_saw_the_other;
        sync_clean(&c);
    }

    struct weave_case mutated[] = {
        *CASE("look", fresh, 1, push_and_look, push_and_look, raise_and_pop),
        *CASE("look, slowly", fresh, 1, push_slowly_and_look, push_slowly_and_look, raise_and_pop),
        *CASE("look across", used, 1, push_and_look, push_slowly_and_look, raise_and_pop),
        *CASE("look at the end", full, 1, push_and_look, push_slowly_and_look, raise_and_pop),
        *CASE("segments come back", full, 1, push_and_pop_twice, push_and_pop_twice, NULL),
        *CASE("close", fresh, 1, push_while_open, close_then_push, NULL),
        *CASE("close, three", used, 1, push_while_open, pop_two, close_then_push),
        /* A long run asks these as well, before it lets an order survive. */
        *CASE("producers and consumer", used, 1, push_two, push_two, pop_two),
        *CASE("producer and consumers", used, 1, push_two, pop_two, pop_two),
        *CASE("depot", ones, WEAVE_NONE, in_turn, push_two, pop_two),
    };
    enum { ALL = sizeof mutated / sizeof *mutated, USUAL = 7, LOOKS = 4 };
    unsigned count = sync_long ? ALL : USUAL;
    for (int i = 0; i < ALL; i++)
        mutated[i].preemptions = 2;
    for (int i = 0; i < LOOKS; i++)
        mutated[i].finish = one_saw_the_other;
    sync_mutate(mutated, count, "engine/sync/fifo", survivors);
    sync_fault(mutated, count, "engine/sync/fifo", "tq_cas(cell, seq_cst, relaxed)", WEAVE_RELAXED);
    sync_fault(mutated, count, "engine/sync/fifo", "tq_load(&s->cell[(uint32_t)deq], seq_cst)",
               WEAVE_RELAXED);
    sync_fault(mutated, count, "engine/sync/fifo", "tq_load(&s->cell[d], seq_cst)", WEAVE_RELAXED);
    return sync_end();
}
