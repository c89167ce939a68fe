/* Which orders of park and ready keep a job from waiting beside a sleeper.
 *
 * A job that runs may run for long, so a worker that has found one ends here, and so does one that sleeps. At the end: if
 * work waits that may be done, then no worker lies asleep that nobody has told to wake. (A search in which workers go on
 * after their job does not see the difference: they look again.)
 */
#include "engine/sync/park.h"
#include "engine/sync/ready.h"

#include <string.h>

#include "sync.h"

enum { THREADS = 3, ITEMS = 8 };

struct make {
    bool hinted;      /* the first queue, although nothing waits in it */
    uint32_t waiting; /* items in the first queue */
    uint32_t lower;   /* items in the second */
    bool paused;      /* the first queue */
    bool searching;   /* thread 0 is a searcher at first */
};

static struct world {
    struct tq_slab segments;
    struct tq_memory memory;
    struct tq_fifo fifo[2]; /* the second of lower weight */
    struct tq_ready *ready;
    struct tq_fifo_cache cache[THREADS];
    struct tq_park park;
    struct tq_sleeper sleepers[THREADS];
    int payload[ITEMS];
    bool lies[THREADS]; /* went to sleep; not modelled */
    struct sync_heap heap;
} world, image;

static void push(int self, uint32_t rank, uint32_t item)
{
    weave_assert(tq_fifo_reserve(&world.segments, &world.cache[self], 1));
    WEAVE_WRITE(world.payload[item], (int)item);
    weave_assert(tq_fifo_push_one(&world.fifo[rank], &world.cache[self], item) == 1);
    tq_ready_mark(world.ready, rank);
}

static void build(const void *arg)
{
    const struct make *make = arg;
    world.memory = sync_memory(&world.heap);
    struct tq_slab_shape shape = {.object_size = sizeof(struct tq_segment),
                                  .align = TQ_LINE,
                                  .chunk_objects = 1 << TQ_SEGMENTS_SHIFT,
                                  .magazine_objects = 2,
                                  .limit = 16,
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
    tq_ready_open(world.ready, 0, !make->paused);
    tq_ready_open(world.ready, 1, true);
    for (uint32_t i = 0; i < make->waiting; i++)
        push(0, 0, i);
    for (uint32_t i = 0; i < make->lower; i++)
        push(0, 1, 2 + i);
    if (make->hinted)
        tq_ready_mark(world.ready, 0);
    for (int t = 0; t < THREADS; t++)
        weave_assert(tq_fifo_reserve(&world.segments, &world.cache[t], 1));
    tq_park_init(&world.park, world.sleepers);
    for (int t = 0; t < THREADS; t++)
        tq_store(&world.sleepers[t].awake, 1, relaxed);
    if (make->searching)
        weave_assert(tq_park_search(&world.park, 1));
}

static void setup(void *arg)
{
    sync_world(&world, &image, &world.heap, arg, build);
    sync_constant(&world.segments.objects);
    sync_constant(&world.segments.magazines);
    weave_name(&world.ready->word[0], "hints");
    weave_name(&world.ready->open[0], "open");
    weave_name(&world.park.word, "park");
    for (int i = 0; i < 2; i++) {
        weave_name_at(&world.fifo[i].head, "head", i);
        weave_name_at(&world.fifo[i].tail, "tail", i);
    }
}

static void notify(void)
{
    int index = tq_park_notify(&world.park);
    if (index >= 0)
        tq_park_wake(&world.park, index);
}

static void run(const struct tq_taken *taken, bool searching)
{
    bool last = searching && tq_park_found(&world.park);
    if ((last || taken->wake) && tq_ready_any(world.ready))
        notify();
    weave_assert(WEAVE_READ(world.payload[taken->item]) == (int)taken->item);
}

static void go_to_sleep(int self, bool searching)
{
    world.lies[self] = true;
    tq_park_join(&world.park, self, searching);
    if (tq_ready_any(world.ready))
        notify();
}

/* As engine/core/pool.c, up to a job or to sleep. */
static void look_and_sleep(int self, bool searching)
{
    struct tq_taken taken;
    if (tq_ready_take(world.ready, &world.cache[self], true, &taken))
        run(&taken, searching);
    else
        go_to_sleep(self, searching);
}

/* Its look was before the hints were set that stand at first. */
static void has_looked(void *arg)
{
    (void)arg;
    go_to_sleep(weave_self(), false);
}

/* Not thorough: what it settles it does on the way to lower work. */
static void takes_lower(void *arg)
{
    (void)arg;
    struct tq_taken taken;
    if (tq_ready_take(world.ready, &world.cache[weave_self()], false, &taken))
        run(&taken, false);
}

static void searcher(void *arg)
{
    (void)arg;
    look_and_sleep(weave_self(), true);
}

static void searches_first(void *arg)
{
    (void)arg;
    look_and_sleep(weave_self(), tq_park_search(&world.park, 1));
}

static void worker(void *arg)
{
    (void)arg;
    look_and_sleep(weave_self(), false);
}

static void publisher(void *arg)
{
    (void)arg;
    push(weave_self(), 0, 4 + (uint32_t)weave_self());
    notify();
}

static void resumer(void *arg)
{
    (void)arg;
    tq_ready_open(world.ready, 0, true);
    notify();
}

static void finish(void *arg)
{
    (void)arg;
    uint64_t left[2];
    bool told = false, lies = false;
    weave_assert(tq_ready_check(world.ready));
    for (int i = 0; i < 2; i++)
        weave_assert(tq_fifo_check(&world.fifo[i], &left[i]));
    for (int t = 0; t < THREADS; t++) {
        lies |= world.lies[t];
        told |= world.lies[t] && tq_park_is_awake(&world.park, t);
    }
    weave_assert(!(left[0] + left[1]) || !lies || told);
    weave_assert(tq_park_check(&world.park, THREADS));
}

static struct make one_waits = {.waiting = 1, .searching = true};
static struct make stale_hint = {.hinted = true, .searching = true};
static struct make nothing = {.waiting = 0};
static struct make lower_waits = {.hinted = true, .lower = 1};
static struct make paused = {.waiting = 2, .paused = true};

#define CASE(text, make, old_reads, a, b, c)                                                       \
    (struct weave_case)                                                                            \
    {                                                                                              \
        .name = (text), .arg = &(make), .setup = setup, .threads = {a, b, c}, .finish = finish,    \
        .stale = (old_reads)                                                                       \
    }

static const struct sync_survivor of_park[] = {
    {"park.c", "tq_cas(&park->word, seq_cst, seq_cst): acq_rel", 1,
     "who does not see that somebody was popped fails in his own CAS"},
    {"park.c", "tq_cas(&park->word, seq_cst, seq_cst): failure acquire", 1,
     "P2, before it, was seq_cst and after the publication"},
    {"park.c", "tq_store(&s->awake, release): relaxed", 1, "nobody sleeps here: see weave_park"},
    {"park.c", "tq_cas(&park->word, seq_cst, relaxed): acq_rel", 1,
     "search: by a searcher who is not seen, one is woken too many; found and join are caught"},
    {NULL, NULL, 0, NULL},
};
static const struct sync_survivor of_ready[] = {
    {"ready.c", "tq_load(&ready->word[i], seq_cst): acquire", 1,
     "take: what it misses, tq_ready_any sees before one sleeps"},
    {"ready.c", "tq_load(&ready->open[i], seq_cst): acquire", 1, "the same"},
    {"ready.c", "tq_cas(word, seq_cst, relaxed): acq_rel", 1,
     "S3: S1 and marks modify the same word"},
    {"ready.c", "tq_load(word, seq_cst): acquire", 1,
     "mark_slow: M2 has looked already; who publishes a view calls it without"},
    {"ready.c", "tq_and(word, seq_cst): acq_rel", 1,
     "the settler whose S3 then fails has seen it, and looks once more or goes to work whose hint "
     "is set"},
    {NULL, NULL, 0, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    struct weave_case cases[] = {
        CASE("a searcher finds the last job, another goes to sleep, one is published", one_waits, 1,
             searcher, worker, publisher),
        CASE("a hint of nothing, a searcher and another go to sleep, one is published", stale_hint,
             1, searcher, worker, publisher),
        CASE("two who search or do not, one is published", nothing, 1, searches_first,
             searches_first, publisher),
        CASE("one goes to sleep while two publish", stale_hint, 1, searcher, publisher, publisher),
        CASE("two go to sleep while the queue is resumed", paused, 1, searches_first, worker,
             resumer),
        CASE("one settles on the way to lower work, another goes to sleep, one is published",
             lower_waits, 1, takes_lower, has_looked, publisher),
    };
    enum { CASES = sizeof cases / sizeof *cases };
    for (int i = 0; i < CASES; i++) {
        struct weave_case c = cases[i];
        if (i == 1 && !sync_long)
            c.stale = WEAVE_NONE; /* ten times as large as the others */
        sync_clean(&c);
        cases[i].preemptions = 2;
    }
    sync_mutate(cases, CASES, "engine/sync/park", of_park);
    sync_mutate(cases, CASES, "engine/sync/ready", of_ready);
    return sync_end();
}
