/* The patrol under search: a run that must be over by some time, and the housekeeper who looks, arms his alarm and sleeps.
 *
 * A worker has one run after another, as core/run.c: it shows when it began, which job it is, and its deadline, and rings the
 * alarm. A run that is late waits in its handler until it has been reported, so a report that never comes is a livelock. The
 * housekeeper is core/house.c without timers; he sleeps until he is told, or until the clock has come to what he armed.
 *
 *   - no report is lost: he who sleeps has seen the deadline, or is woken;
 *   - no run is reported twice, and none that is not late;
 *   - a report is about one run: its job, and since when, belong together.
 *
 * The clock is plain, since a clock does not show the past: it moves when a run is late, and `tick` lets sleepers look.
 */
#include <string.h>

#include "engine/core/engine.h"
#include "tests/weave_sync/sync.h"
#include "weave.h"

enum { WORKERS = 2, RUNS = 2, TIMEOUT = 10 };

struct story {
    int runs[WORKERS]; /* how many; 0: there is no such worker */
    bool late[WORKERS][RUNS];
    bool same_job; /* they are runs of one job, which comes back at once */
    bool coarse;   /* they begin in the same tick of the clock that `since` shows */
    bool blind;    /* seeded: he does not look again before he sleeps */
    bool hasty;    /* seeded: the alarm is rung before the deadline is shown */
};

static struct world {
    struct tq_thread thread[WORKERS];
    struct tq_job job[WORKERS * RUNS];
    struct tq_alarm alarm;
    TQ_ON_LINE tq_a32 told;
    tq_a32 tick, ended;
    tq_a32 reported[WORKERS][RUNS];
    int64_t now;
    int64_t deadline[WORKERS][RUNS]; /* 0: it has not begun */
    int workers;
} w;

static struct trq_engine engine;
static struct tq_class class;
static struct tq_queue queue;
static tq_aptr chunk;
static const struct story *story;

/* ---- in place of the engine ------------------------------------------------------------------------------------- */

int64_t tq_clock_boot(const struct tq_clock *clock)
{
    (void)clock;
    return w.now;
}
int64_t tq_clock_mono(const struct tq_clock *clock)
{
    (void)clock;
    return 1000;
}
int64_t tq_clock_wall(const struct tq_clock *clock)
{
    (void)clock;
    return 1000;
}

static void wake(void)
{
    tq_or(&w.told, 1, acq_rel);
}

void tq_house_ring(struct trq_engine *e, int64_t due_ns)
{
    (void)e;
    if (tq_alarm_ring(&w.alarm, TQ_BOOT, (uint64_t)due_ns))
        wake();
}

/* ---- a worker ---------------------------------------------------------------------------------------------------- */

static uint32_t job_of(int worker, int run)
{
    return (uint32_t)(worker * RUNS + (story->same_job ? 0 : run));
}

static int64_t since_of(int worker, int run)
{
    return story->coarse ? 1 : 1 + worker * RUNS + run;
}

static void begin(int worker, int run)
{
    struct tq_thread *t = &w.thread[worker];
    uint32_t index = job_of(worker, run);
    tq_store(&w.job[index].word, tq_word(7, TQ_RUNNING), release);
    tq_store(&t->since, (uint64_t)since_of(worker, run), release);
    tq_store(&t->class, 0, relaxed);
    tq_store(&t->running, UINT64_C(7) << 32 | index, release);
    w.deadline[worker][run] = w.now + TIMEOUT;
    if (!story->hasty) {
        tq_patrol_watch(&engine, t, w.deadline[worker][run]);
        return;
    }
    tq_house_ring(&engine, w.deadline[worker][run]);
    tq_store(&engine.patrol.watches, 1, seq_cst);
    tq_store(&t->deadline, (uint64_t)w.deadline[worker][run], seq_cst);
}

static void end(int worker, int run)
{
    struct tq_thread *t = &w.thread[worker];
    bool back = story->same_job && run + 1 < story->runs[worker];
    tq_store(&t->deadline, INT64_MAX, relaxed);
    tq_store(&w.job[job_of(worker, run)].word, tq_word(back ? 7 : 8, back ? TQ_READY : TQ_FREE),
             release);
    tq_store(&t->running, UINT64_MAX, relaxed);
}

static void pass(int64_t now)
{
    if (w.now < now)
        w.now = now;
    tq_add(&w.tick, 1, relaxed);
}

static void work(void *arg)
{
    const int worker = weave_self();
    (void)arg;
    for (int run = 0; run < story->runs[worker]; run++) {
        begin(worker, run);
        if (story->late[worker][run]) {
            pass(w.deadline[worker][run]);
            while (!tq_load(&w.reported[worker][run], acquire))
                tq_pause();
        }
        end(worker, run);
    }
    tq_add(&w.ended, 1, acq_rel);
    wake();
}

/* ---- the housekeeper ------------------------------------------------------------------------------------------------ */

static void on_stuck(void *host, const struct trq_stuck *stuck)
{
    const int worker = stuck->thread;
    int run = 0;
    (void)host;
    while (run < story->runs[worker] && since_of(worker, run) != stuck->since.ns)
        run++;
    weave_assert(run < story->runs[worker]);
    if (story->coarse) /* nobody can tell them apart but by their order */
        while (run + 1 < story->runs[worker] &&
               (!story->late[worker][run] || w.reported[worker][run]))
            run++;
    if (!w.deadline[worker][run] || w.deadline[worker][run] > w.now)
        weave_fail("run %d of worker %d is reported before its time", run, worker);
    weave_assert(stuck->over.ns >= 0);
    weave_assert((uint32_t)stuck->id.slot == job_of(worker, run));
    if (w.reported[worker][run])
        weave_fail("run %d of worker %d is reported twice", run, worker);
    tq_store(&w.reported[worker][run], 1, release);
}

/* False: there is something to do now. */
static bool prepare(int64_t *next)
{
    *next = tq_patrol_next(&engine);
    tq_alarm_arm(&w.alarm, TQ_BOOT, *next == INT64_MAX ? TQ_ALARM_NEVER : (uint64_t)*next);
    tq_alarm_arm(&w.alarm, TQ_WALL_DOMAIN, TQ_ALARM_NEVER);
    if (story->blind || tq_patrol_next(&engine) >= *next) /* S2 */
        return true;
    tq_alarm_disarm(&w.alarm);
    return false;
}

static void keep_house(void *arg)
{
    int64_t next;
    (void)arg;
    while ((int)tq_load(&w.ended, acquire) < w.workers) {
        tq_alarm_disarm(&w.alarm);
        tq_patrol_look(&engine);
        if (!prepare(&next))
            continue;
        while (!tq_swap(&w.told, 0, acq_rel) && w.now < next) /* a descriptor shows the newest */
            tq_pause();
    }
}

/* ---- one execution ---------------------------------------------------------------------------------------------------- */

static void setup(void *arg)
{
    story = arg;
    memset(&w, 0, sizeof w);
    memset(&engine.patrol, 0, sizeof engine.patrol);
    chunk = w.job;
    engine.jobs.objects = (struct tq_arena){.chunks = &chunk,
                                            .chunks_max = 1,
                                            .object_size = sizeof(struct tq_job),
                                            .shift = TQ_JOBS_SHIFT,
                                            .align = 64};
    engine.threads = w.thread;
    engine.thread_count = WORKERS;
    engine.config.on_stuck = on_stuck;
    engine.registry.classes[0] = &class;
    engine.registry.queues[0] = &queue;
    for (int i = 0; i < WORKERS; i++) {
        w.thread[i].running = w.thread[i].reported = UINT64_MAX;
        w.thread[i].deadline = INT64_MAX;
        w.thread[i].index = i;
        w.workers += story->runs[i] > 0;
        weave_name_at(&w.thread[i].deadline, "deadline", i);
        weave_name_at(&w.thread[i].running, "running", i);
        weave_name_at(&w.thread[i].since, "since", i);
    }
    for (int i = 0; i < WORKERS * RUNS; i++)
        w.job[i].word = tq_word(7, TQ_READY);
    weave_constant(&chunk);
    weave_name(&w.told, "told");
    weave_name(&w.alarm.tick[0], "alarm");
    weave_name(&engine.patrol.watches, "watches");
}

static void finish(void *arg)
{
    (void)arg;
    for (int i = 0; i < WORKERS; i++)
        for (int run = 0; run < story->runs[i]; run++)
            weave_assert(w.reported[i][run] == story->late[i][run] || !story->late[i][run]);
}

#define STORY(title, ...)                                                                          \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .clean_stack = 2048
#define ONE .threads = {work, keep_house}
#define TWO .threads = {work, work, keep_house}

static const struct weave_case stories[] = {
    {STORY("a late run is reported", .runs = {1}, .late = {{true}}), ONE},
    {STORY("a run in time is not", .runs = {2}), ONE, .preemptions = 3, .stale = 1},
    {STORY("two late runs", .runs = {2}, .late = {{true, true}}), ONE, .preemptions = 2},
    {STORY("the second is late", .runs = {2}, .late = {{false, true}}), ONE, .preemptions = 2},
    {STORY("two late runs of one job", .runs = {2}, .late = {{true, true}}, .same_job = true), ONE,
     .preemptions = 2},
    {STORY("the second of one job is late", .runs = {2}, .late = {{false, true}}, .same_job = true),
     ONE, .preemptions = 3, .stale = 1},
    {STORY("the first of one job is late", .runs = {2}, .late = {{true, false}}, .same_job = true),
     ONE, .preemptions = 3, .stale = 1},
    {STORY("two late runs of one job, in one tick", .runs = {2}, .late = {{true, true}},
           .same_job = true, .coarse = true),
     ONE, .preemptions = 3, .stale = 1},
    {STORY("two workers, both late", .runs = {1, 1}, .late = {{true}, {true}}), TWO,
     .preemptions = 1, .stale = 1},
    {STORY("two workers, one late", .runs = {1, 1}, .late = {{true}, {false}}), TWO,
     .preemptions = 2, .stale = WEAVE_NONE},
};
enum { STORIES = sizeof stories / sizeof *stories };

static const struct weave_case quick[] = {
    {STORY("late", .runs = {1}, .late = {{true}}), ONE, .preemptions = 2, .stale = 1},
    {STORY("one job, second late", .runs = {2}, .late = {{false, true}}, .same_job = true), ONE,
     .preemptions = 2, .stale = 1},
    {STORY("one job, both late", .runs = {2}, .late = {{true, true}}, .same_job = true), ONE,
     .preemptions = 2, .stale = 1},
    {STORY("two workers", .runs = {1, 1}, .late = {{true}, {true}}), TWO, .preemptions = 1,
     .stale = 1},
};
enum { QUICK = sizeof quick / sizeof *quick };

/* ---- seeded faults ------------------------------------------------------------------------------------------------ */

static const struct weave_case faulty[] = {
    {STORY("no second look before sleep", .runs = {1}, .late = {{true}}, .blind = true), ONE},
    {STORY("the alarm is rung too soon", .runs = {1}, .late = {{true}}, .hasty = true), ONE},
};

/* What is read of a run is read again before it is told, and compared: so most of these orders have no work to do here.
 * What is left of them is for a report about a run that has just ended. */
#define AGAIN "it is compared with what is read behind it"
static const struct sync_survivor of_patrol[] = {
    {"patrol.c", "tq_load(&engine->patrol.watches, acquire): relaxed", 1,
     "C11 may put another's write of the flag behind B1; the search does what comes first first"},
    {"patrol.c", "tq_load(&p->watches, seq_cst): acquire", 1, "S2 looks at it once more"},
    {"patrol.c", "tq_load(&t->deadline, seq_cst): acquire", 1,
     "likewise: that of the look, not S2"},
    {"patrol.c", "tq_load(&t->deadline, acquire): relaxed", 1, AGAIN},
    {"patrol.c", "tq_load(&t->since, acquire): relaxed", 2, AGAIN},
    {"patrol.c", "tq_load(&t->running, acquire): relaxed", 3, AGAIN},
    {"patrol.c", "->kind, acquire): relaxed", 1, "all jobs are in one queue here"},
    {"patrol.c", "tq_load(&thread->class, acquire): relaxed", 1, "and of one class"},
    {"patrol.c", "->word, acquire): relaxed", 1, AGAIN},
    {NULL, NULL, 0, NULL},
};
static const struct sync_survivor of_alarm[] = {
    {"alarm.h", "tq_cas(&alarm->tick[domain], seq_cst, seq_cst)", 2,
     "it reads the newest; what it writes tells others that they need not come"},
    {NULL, NULL, 0, NULL},
};

/* A write that does not happen. */
static void left_out(const char *text, const char *claim)
{
    static struct weave_result r;
    struct weave_site *site = weave_site_find(text, 0);
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
    sync_claim(caught, claim, "no execution fails");
}

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    for (unsigned i = 0; i < STORIES; i++)
        sync_clean(&stories[i]);
    for (unsigned i = 0; i < sizeof faulty / sizeof *faulty; i++)
        sync_found(&faulty[i], "livelock");
    left_out("tq_store(&thread->deadline, seq_cst)", "caught: a deadline that is not shown");
    left_out("tq_store(&engine->patrol.watches, seq_cst)", "caught: the flag is not set");
    left_out("tq_store(&alarm->tick[domain], seq_cst)", "caught: a sleep without an alarm");
    sync_mutate(quick, QUICK, "engine/core/patrol", of_patrol);
    sync_mutate(quick, QUICK, "engine/sync/alarm", of_alarm);
    return sync_end();
}
