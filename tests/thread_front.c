/* Producers, consumers who put back some of what they took, threads that kill what waits, and sweepers: each item ends
 * once, keeps its place, and none is taken past another that was there all the time. */
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/sync/fifo.h"
#include "tests/tap.h"

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__ 1
#endif
#endif

enum {
#ifdef __SANITIZE_THREAD__
    ITEMS = 20000,
#else
    ITEMS = 200000,
#endif
    STAYS = 3 * ITEMS,
    THREADS_MAX = 64,
    BACKLOG = 2000,
};

enum state { WAITS = 1, TAKEN, DEAD, DONE, DROPPED };

/* From a push or put to a pop. Ticks order what one thread ended before another began. */
struct stay {
    uint64_t place;
    uint64_t came, began_to_go, gone;
};

struct run {
    struct tq_memory memory;
    struct tq_slab segments, links;
    struct tq_fifo_cache cache[THREADS_MAX];
    struct tq_fifo fifo;
    uint32_t share;
    tq_a32 producing, working;
    tq_a32 pushed, ended;
    tq_a32 stays;
    tq_a64 tick;
    tq_a32 bad_state, bad_place, bad_payload, bad_find;
    tq_a32 found;
    tq_a32 state[ITEMS];
    uint32_t payload[ITEMS]; /* its owner's */
    uint32_t stay_of[ITEMS]; /* its owner's: the stay that began last */
    uint64_t place[ITEMS];   /* its owner's */
    struct stay stay[STAYS];
};

struct job {
    struct run *run;
    int number;
    uint32_t random;
    pthread_t thread;
};

static uint32_t below(struct job *job, uint32_t n)
{
    job->random ^= job->random << 13;
    job->random ^= job->random >> 17;
    job->random ^= job->random << 5;
    return job->random % n;
}

static uint64_t tick(struct run *run)
{
    return tq_add(&run->tick, 1, seq_cst);
}

/* Before the push or put. Whose `came` the caller writes afterwards, when others may have taken the item. */
static struct stay *begin_stay(struct run *run, uint32_t item)
{
    uint32_t i = tq_add(&run->stays, 1, relaxed);
    if (i >= STAYS)
        abort();
    run->stay_of[item] = i;
    run->payload[item] = ~i;
    tq_store(&run->state[item], WAITS, relaxed);
    return &run->stay[i];
}

static void *produce(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t first = (uint32_t)job->number * run->share;
    for (uint32_t item = first; item < first + run->share; item++) {
        while (tq_load(&run->pushed, relaxed) - tq_load(&run->ended, relaxed) > BACKLOG)
            sched_yield();
        struct stay *stay = begin_stay(run, item);
        tq_add(&run->pushed, 1, relaxed);
        if (!tq_fifo_reserve(&run->segments, cache, 1) ||
            !tq_fifo_push_one(&run->fifo, cache, item))
            abort();
        stay->came = tick(run);
    }
    tq_sub(&run->producing, 1, release);
    tq_sub(&run->working, 1, release);
    return NULL;
}

/* It came out: dead or alive, it is ours. */
static void end_stay(struct run *run, uint32_t item, uint64_t place, uint64_t began)
{
    struct stay *stay = &run->stay[run->stay_of[item]];
    stay->place = place;
    stay->began_to_go = began;
    stay->gone = tick(run);
    if (run->payload[item] != ~run->stay_of[item])
        tq_add(&run->bad_payload, 1, relaxed);
    if (run->place[item] != UINT64_MAX && run->place[item] != place)
        tq_add(&run->bad_place, 1, relaxed);
    run->place[item] = place;
}

static void end(struct run *run, uint32_t item, enum state from, enum state to)
{
    if (tq_swap(&run->state[item], to, relaxed) != from)
        tq_add(&run->bad_state, 1, relaxed);
    tq_add(&run->ended, 1, relaxed);
}

static void put_back(struct run *run, struct tq_fifo_cache *cache, const struct tq_taken *taken)
{
    uint32_t link = taken->link;
    if (link == TQ_NONE && !tq_fifo_link_take(&run->links, cache, &link))
        abort();
    struct stay *stay = begin_stay(run, taken->item);
    tq_fifo_put(&run->fifo, cache, link, taken->place, taken->item);
    stay->came = tick(run);
}

static void *consume(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    uint32_t returns = ITEMS; /* so that the stays suffice */
    for (;;) {
        /* Read before the look: then what the look does not find nobody will bring but consumers who have not ended. */
        bool over = tq_load(&run->working, acquire) == 0;
        struct tq_taken taken;
        uint64_t began = tick(run);
        if (!tq_fifo_pop(&run->fifo, cache, &taken)) {
            if (over)
                return NULL;
            sched_yield();
            continue;
        }
        end_stay(run, taken.item, taken.place, began);
        uint32_t alive = WAITS;
        if (!tq_cas(&run->state[taken.item], &alive, TAKEN, relaxed, relaxed)) {
            end(run, taken.item, DEAD, DROPPED);
        } else if (tq_load(&run->stays, relaxed) < STAYS - 2 * THREADS_MAX - ITEMS && returns &&
                   below(job, 4) == 0) {
            returns--;
            if (below(job, 8) == 0)
                sched_yield(); /* and come back late */
            put_back(run, cache, &taken);
            continue;
        } else {
            end(run, taken.item, TAKEN, DONE);
        }
        if (taken.link != TQ_NONE)
            tq_fifo_link_free(&run->links, cache, taken.link);
    }
}

static bool is_tomb(void *context, uint32_t item)
{
    struct run *run = context;
    return tq_load(&run->state[item], relaxed) == DEAD;
}

static void drop(void *context, uint32_t item)
{
    end(context, item, DEAD, DROPPED);
}

/* Kills, sweeps, and looks for some. */
static void *sweep(void *argument)
{
    struct job *job = argument;
    struct run *run = job->run;
    struct tq_fifo_cache *cache = &run->cache[job->number];
    struct tq_sweeper sweeper = {is_tomb, drop, run};
    while (tq_load(&run->producing, acquire)) {
        uint32_t item = tq_load(&run->pushed, relaxed) % ITEMS;
        for (int i = 0; i < 50; i++) {
            uint32_t alive = WAITS;
            tq_cas(
                &run->state[below(job, 2) ? below(job, ITEMS) : item - below(job, 50) % (item + 1)],
                &alive, DEAD, relaxed, relaxed);
        }
        tq_fifo_sweep(&run->fifo, cache, &sweeper, below(job, 200));
        uint64_t ahead;
        item = tq_fifo_peek(&run->fifo);
        if (item != TQ_NONE && tq_fifo_find(&run->fifo, item, NULL, &ahead)) {
            tq_add(&run->found, 1, relaxed);
            if (ahead > ITEMS)
                tq_add(&run->bad_find, 1, relaxed);
        }
        sched_yield();
    }
    tq_sub(&run->working, 1, release);
    return NULL;
}

static bool prepare(struct run *run, int threads)
{
    tq_memory_init(&run->memory, NULL);
    struct tq_slab_shape segments = {
        .object_size = sizeof(struct tq_segment),
        .align = TQ_LINE,
        .chunk_objects = 1u << TQ_SEGMENTS_SHIFT,
        .magazine_objects = 4,
        .limit = ITEMS,
        .caches_max = THREADS_MAX,
    };
    struct tq_slab_shape links = {
        .object_size = sizeof(struct tq_link),
        .align = _Alignof(struct tq_link),
        .chunk_objects = 1u << TQ_LINKS_SHIFT,
        .magazine_objects = 30,
        .limit = ITEMS,
        .caches_max = THREADS_MAX,
    };
    if (!tq_slab_init(&run->segments, &run->memory, &segments) ||
        !tq_slab_init(&run->links, &run->memory, &links))
        return false;
    for (int i = 0; i < threads; i++) {
        if (!tq_slab_attach(&run->segments, &run->cache[i].slab) ||
            !tq_slab_attach(&run->links, &run->cache[i].links))
            return false;
        tq_fifo_cache_init(&run->cache[i]);
    }
    memset(run->place, 0xff, sizeof run->place);
    return tq_fifo_init(&run->fifo, &run->segments, &run->links, &run->cache[0]);
}

static int by_coming(const void *a, const void *b)
{
    const struct stay *x = a, *y = b;
    return (x->came > y->came) - (x->came < y->came);
}

static int by_beginning(const void *a, const void *b)
{
    const struct stay *x = *(const struct stay *const *)a, *y = *(const struct stay *const *)b;
    return (x->began_to_go > y->began_to_go) - (x->began_to_go < y->began_to_go);
}

/* How many pops took an item though one with a smaller place had come before they began and was not looked for by who
 * got it until they had ended: it was there all the time. A Fenwick tree over places: the latest began_to_go. */
static uint32_t overtakes(struct run *run, uint64_t places)
{
    uint32_t count = tq_load(&run->stays, relaxed), arrived = 0, bad = 0;
    uint64_t *latest = calloc(places + 2, sizeof *latest);
    struct stay **pops = malloc(count * sizeof *pops);
    if (!latest || !pops)
        abort();
    qsort(run->stay, count, sizeof *run->stay, by_coming);
    for (uint32_t i = 0; i < count; i++)
        pops[i] = &run->stay[i];
    qsort(pops, count, sizeof *pops, by_beginning);
    for (uint32_t i = 0; i < count; i++) {
        for (; arrived < count && run->stay[arrived].came < pops[i]->began_to_go; arrived++)
            if (run->stay[arrived].gone) /* not swept */
                for (uint64_t at = run->stay[arrived].place + 1; at <= places; at += at & -at)
                    if (latest[at] < run->stay[arrived].began_to_go)
                        latest[at] = run->stay[arrived].began_to_go;
        bool overtook = false;
        for (uint64_t at = pops[i]->gone ? pops[i]->place : 0; at; at -= at & -at)
            overtook = overtook || latest[at] > pops[i]->gone;
        bad += overtook;
    }
    free(latest);
    free(pops);
    return bad;
}

/* Quiescent, and all was taken: a link is free or a thread's. */
static bool check(struct run *run, int threads)
{
    uint64_t items;
    if (!tq_fifo_check(&run->fifo, &items) || items || tq_fifo_depth(&run->fifo))
        return false;
    const struct tq_slab_cache *caches[THREADS_MAX];
    for (int i = 0; i < threads; i++)
        caches[i] = &run->cache[i].links;
    uint32_t carved = tq_load(&run->links.carved, relaxed), unused;
    unsigned char *seen = calloc(carved + 1, 1);
    bool good = seen && tq_slab_check(&run->links, caches, (uint32_t)threads, seen, &unused);
    free(seen);
    return good && unused == carved;
}

static void run_once(int producers, int consumers, int sweepers)
{
    struct run *run = NULL;
    if (posix_memalign((void **)&run, TQ_LINE, sizeof *run) != 0)
        abort();
    memset(run, 0, sizeof *run);
    int threads = producers + consumers + sweepers;
    run->share = (uint32_t)(ITEMS / producers);
    tq_store(&run->producing, (uint32_t)producers, relaxed);
    tq_store(&run->working, (uint32_t)(producers + sweepers), relaxed);
    tap_note("%d producers, %d consumers, %d sweepers", producers, consumers, sweepers);
    TAP_OK(prepare(run, threads), "there is memory");
    struct job job[THREADS_MAX];
    for (int i = 0; i < threads; i++) {
        job[i] = (struct job){.run = run, .number = i, .random = 2463534242u + (uint32_t)i};
        void *(*body)(void *) = i < producers               ? produce
                                : i < producers + consumers ? consume
                                                            : sweep;
        if (pthread_create(&job[i].thread, NULL, body, &job[i]) != 0)
            abort();
    }
    for (int i = 0; i < threads; i++)
        pthread_join(job[i].thread, NULL);

    uint32_t items = run->share * (uint32_t)producers, wrong = 0, dropped = 0;
    for (uint32_t i = 0; i < items; i++) {
        uint32_t state = tq_load(&run->state[i], relaxed);
        wrong += state != DONE && state != DROPPED;
        dropped += state == DROPPED;
    }
    tap_note("%u stays of %u items, %u dropped, %u found", tq_load(&run->stays, relaxed), items,
             dropped, tq_load(&run->found, relaxed));
    TAP_OK(wrong == 0 && tq_load(&run->ended, relaxed) == items, "each item ends once");
    TAP_OK(tq_load(&run->bad_state, relaxed) == 0, "no one is dropped who lives");
    TAP_OK(tq_load(&run->bad_place, relaxed) == 0, "each keeps its place");
    TAP_OK(tq_load(&run->bad_payload, relaxed) == 0, "what was written before is seen");
    TAP_OK(tq_load(&run->bad_find, relaxed) == 0,
           "who is found has not more before him than there are");
    TAP_OK(check(run, threads), "the check is content, no link is lost");
    /* Cells that were given up have places, too. */
    uint64_t places = 0;
    for (uint32_t i = 0; i < tq_load(&run->stays, relaxed); i++)
        if (run->stay[i].gone && run->stay[i].place >= places)
            places = run->stay[i].place + 1;
    TAP_OK(overtakes(run, places) == 0, "none is taken past one that was there all the time");
    tq_slab_fini(&run->segments);
    tq_slab_fini(&run->links);
    free(run);
}

int main(void)
{
    run_once(1, 1, 0);
    run_once(1, 1, 1);
    run_once(1, 2, 0);
    run_once(2, 2, 2);
    run_once(4, 4, 0);
    run_once(8, 16, 4);
    return tap_done();
}
