/* End to end: jobs per second from having the inputs to having counted them.
 *
 * A run is some bursts. In a burst the producers submit BURST jobs between them as fast as they can, and
 * the burst ends when all have run; so nobody has more than BURST jobs waiting, and none needs a counter
 * that would cost it something. Pools stay up for a scenario, and the implementations take turns burst by
 * burst: what else happens on the machine meanwhile meets all of them.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/report.h"
#include "bench/work.h"

enum { BURST = 100000, RUN_JOBS = 400000, TINY_JOBS = 2000, PEERS_MAX = 16, PRODUCERS_MAX = 32 };
enum { STUCK_SECONDS = 20 };

static const struct shape {
    const char *name, *title;
    int producers, workers;
    bool bulk;
    const char *part_of; /* also say what is left of that scenario's figure */
} shapes[] = {
    {"1t", "one thread enqueues and runs, 64 by 64", 1, 0, false, NULL},
    {"1t_bulk", "one thread, 64 a call", 1, 0, true, NULL},
    {"1p1w", "1 producer, 1 worker", 1, 1, false, NULL},
    {"1p2w", "1 producer, 2 workers", 1, 2, false, NULL},
    {"2p2w", "2 producers, 2 workers", 2, 2, false, NULL},
    {"4p4w", "4 producers, 4 workers", 4, 4, false, NULL},
    {"64t", "32 producers, 32 workers", 32, 32, false, "1p1w"},
    {"1p1w_bulk", "1 producer, 1 worker, 64 a call", 1, 1, true, NULL},
    {"4p4w_bulk", "4 producers, 4 workers, 64 a call", 4, 4, true, NULL},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static const char *const names[] = {
    "1t", "1t_bulk", "1p1w", "1p2w", "2p2w", "4p4w", "64t", "1p1w_bulk", "4p4w_bulk", NULL,
};
_Static_assert(sizeof names / sizeof names[0] == SHAPES + 1, "each shape has its name in the list");

/* ---- producers ------------------------------------------------------------------------------------- */

/* Threads of one scenario, shared by all implementations. */
static struct crew {
    int count;
    pthread_t threads[PRODUCERS_MAX];
    pthread_barrier_t go, done;
    /* Of this burst. Written before `go`, read after it. */
    const struct peer *peer; /* NULL: end */
    void *self;
    uint64_t first, jobs;
} crew;

static void *producer(void *arg)
{
    int me = (int)(intptr_t)arg;
    for (;;) {
        pthread_barrier_wait(&crew.go);
        if (!crew.peer)
            return NULL;
        uint64_t from = crew.jobs * (uint64_t)me / (uint64_t)crew.count;
        uint64_t to = crew.jobs * (uint64_t)(me + 1) / (uint64_t)crew.count;
        crew.peer->submit(crew.self, me, crew.first + from, to - from);
        pthread_barrier_wait(&crew.done);
    }
}

static void crew_start(int count)
{
    crew.count = count;
    pthread_barrier_init(&crew.go, NULL, (unsigned)count + 1);
    pthread_barrier_init(&crew.done, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++)
        if (pthread_create(&crew.threads[i], NULL, producer, (void *)(intptr_t)i) != 0)
            bench_die("cannot start %d threads", count);
}

static void crew_stop(void)
{
    crew.peer = NULL;
    pthread_barrier_wait(&crew.go);
    for (int i = 0; i < crew.count; i++)
        pthread_join(crew.threads[i], NULL);
    pthread_barrier_destroy(&crew.go);
    pthread_barrier_destroy(&crew.done);
}

/* ---- runs ---------------------------------------------------------------------------------------------- */

struct entrant {
    const struct peer *peer;
    void *self;
    struct work_tallies *tallies;
    uint64_t submitted;
    double *ns, *cpu_ns; /* of all bursts, by run */
    double *m_jobs_per_s, *cpu_us;
};

static void burst(struct entrant *e, uint64_t jobs)
{
    crew.peer = e->peer;
    crew.self = e->self;
    crew.first = e->submitted;
    crew.jobs = jobs;
    e->submitted += jobs;
    pthread_barrier_wait(&crew.go);
    pthread_barrier_wait(&crew.done);
    int64_t stuck_at = now_ns() + (int64_t)STUCK_SECONDS * 1000000000;
    for (uint64_t before = 0, ran; (ran = work_jobs(e->tallies)) < e->submitted; before = ran) {
        if (ran != before)
            stuck_at = now_ns() + (int64_t)STUCK_SECONDS * 1000000000;
        if (now_ns() > stuck_at)
            bench_die("%s: %llu of %llu jobs have not run for %d s", e->peer->name,
                      (unsigned long long)(e->submitted - ran), (unsigned long long)e->submitted,
                      STUCK_SECONDS);
        sleep_ns(50000); /* looking costs the workers a little, too */
    }
}

/* One burst, timed. The others' threads get a moment to fall asleep first. */
static void timed_burst(struct entrant *e, uint64_t jobs, unsigned run)
{
    sleep_ns(500000);
    work_use(e->tallies);
    int64_t cpu = cpu_ns(), t = now_ns();
    burst(e, jobs);
    e->ns[run] += (double)(now_ns() - t);
    e->cpu_ns[run] += (double)(cpu_ns() - cpu);
}

static unsigned needs_of(const struct shape *shape)
{
    return (shape->workers ? PEER_WORKERS : PEER_INLINE) | (shape->bulk ? PEER_BULK : PEER_SINGLE);
}

static double *numbers(size_t count)
{
    double *numbers = calloc(count, sizeof *numbers);
    if (!numbers)
        bench_die("out of memory");
    return numbers;
}

static size_t entrants_start(struct entrant *entrants, const struct shape *shape,
                             const struct options *options)
{
    struct setup setup = {shape->producers, shape->workers, shape->bulk};
    unsigned needs = needs_of(shape);
    size_t count = 0;
    for (size_t i = 0; peers[i]; i++) {
        if ((peers[i]->can & needs) != needs || !bench_wants_peer(options, peers[i]))
            continue;
        if (count == PEERS_MAX)
            bench_die("more than %d peers", PEERS_MAX);
        entrants[count] = (struct entrant){
            .peer = peers[i],
            .self = peers[i]->start(&setup),
            .tallies = work_tallies_new(),
            .ns = numbers(options->runs),
            .cpu_ns = numbers(options->runs),
            .m_jobs_per_s = numbers(options->runs),
            .cpu_us = numbers(options->runs),
        };
        count++;
    }
    return count;
}

static void entrants_measure(struct entrant *entrants, size_t count, uint64_t jobs, unsigned runs)
{
    uint64_t warm = jobs < BURST ? jobs : BURST;
    for (size_t i = 0; i < count; i++) { /* memory, threads, tokens */
        timed_burst(&entrants[i], warm, 0);
        entrants[i].ns[0] = entrants[i].cpu_ns[0] = 0;
    }
    for (unsigned r = 0; r < runs; r++)
        for (uint64_t left = jobs, n, turn = r; left > 0; left -= n, turn++) {
            n = left < BURST ? left : BURST;
            for (size_t i = 0; i < count; i++)
                timed_burst(&entrants[(i + turn) % count], n, r);
        }
    for (size_t i = 0; i < count; i++)
        for (unsigned r = 0; r < runs; r++) {
            entrants[i].m_jobs_per_s[r] = (double)jobs * 1e3 / entrants[i].ns[r];
            entrants[i].cpu_us[r] = entrants[i].cpu_ns[r] / 1e3 / (double)jobs;
        }
}

static void entrants_report(const struct entrant *entrants, size_t count, const struct shape *shape,
                            unsigned runs)
{
    struct series series[PEERS_MAX];
    struct scenario scenario = {
        .bench = "e2e",
        .name = shape->name,
        .title = shape->title,
        .threads = shape->producers + shape->workers,
        .unit = "M jobs/s",
        .better = MORE_IS_BETTER,
    };
    for (size_t i = 0; i < count; i++) {
        const struct entrant *e = &entrants[i];
        series[i] = (struct series){e->peer->name, (e->peer->can & PEER_OURS) != 0, e->m_jobs_per_s,
                                    e->cpu_us, runs};
    }
    report_scenario(&scenario, series, count);
}

/* ---- what one scenario keeps of another's figure ------------------------------------------------------ */

static double medians[SHAPES][PEERS_MAX]; /* by shape and by place in peers[]; 0: not measured */

static size_t place_of(const struct peer *peer)
{
    size_t i = 0;
    while (peers[i] != peer)
        i++;
    return i;
}

static void remember(const struct shape *shape, const struct entrant *entrants, size_t count,
                     unsigned runs)
{
    for (size_t i = 0; i < count; i++)
        medians[shape - shapes][place_of(entrants[i].peer)] =
            summary_of(entrants[i].m_jobs_per_s, runs).median;
}

static void report_part(const struct shape *shape)
{
    struct series series[PEERS_MAX];
    double kept[PEERS_MAX];
    char name[40];
    size_t whole = 0, count = 0;
    while (strcmp(shapes[whole].name, shape->part_of) != 0)
        whole++;
    for (size_t i = 0; peers[i]; i++) {
        double part = medians[shape - shapes][i];
        if (part == 0 || medians[whole][i] == 0)
            continue;
        kept[count] = part / medians[whole][i];
        series[count] = (struct series){peers[i]->name, (peers[i]->can & PEER_OURS) != 0,
                                        &kept[count], NULL, 1};
        count++;
    }
    snprintf(name, sizeof name, "%s_of_%s", shape->name, shape->part_of);
    struct scenario scenario = {
        .bench = "e2e",
        .name = name,
        .title = "what is left of the figure with fewer threads",
        .threads = shape->producers + shape->workers,
        .unit = "x",
        .better = MORE_IS_BETTER,
    };
    if (count)
        report_scenario(&scenario, series, count);
}

static void run_shape(const struct shape *shape, const struct options *options)
{
    struct entrant entrants[PEERS_MAX];
    uint64_t jobs = options->jobs ? options->jobs : options->tiny ? TINY_JOBS : RUN_JOBS;
    crew_start(shape->producers);
    size_t count = entrants_start(entrants, shape, options);
    entrants_measure(entrants, count, jobs, options->runs);
    crew_stop();
    entrants_report(entrants, count, shape, options->runs);
    remember(shape, entrants, count, options->runs);
    if (shape->part_of)
        report_part(shape);
    for (size_t i = 0; i < count; i++) {
        struct entrant *e = &entrants[i];
        e->peer->stop(e->self);
        if (!work_is_right(e->tallies, e->submitted))
            report_wrong("e2e", shape->name, e->peer->name);
        free(e->ns);
        free(e->cpu_ns);
        free(e->m_jobs_per_s);
        free(e->cpu_us);
    }
}

static void run_e2e(const struct options *options)
{
    for (size_t i = 0; i < SHAPES; i++)
        if (bench_wants(options, "e2e", shapes[i].name))
            run_shape(&shapes[i], options);
}

const struct bench bench_e2e = {
    .name = "e2e",
    .what = "M jobs/s and CPU time per job, from the inputs to the handler's end",
    .scenarios = names,
    .run = run_e2e,
};
