/* One seed with threads: handlers stay until they are told to end, so that keys are held and others wait for them. Of
 * all threads one runs at a time, and so all is as random as the seed and no more.
 *
 * How: every thread stands in a handler, its job's or that of a guard, a job of ours. Work is taken when a guard lets its
 * thread go while another guard waits in a queue below all others: whatever can run comes first, and then the guard
 * catches the thread. When a job is to end, a guard waits above all others for its thread.
 * The clock is ours, too; the thread that keeps the time is the engine's, and we wait until it has seen what is due. */
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#include "world.h"

#define SECOND INT64_C(1000000000)

enum { THREADS = 8, PATIENCE_S = 50 };

struct stay {
    pthread_cond_t over;
    bool go;
    int job; /* or GUARD */
};
enum { GUARD = -1, GUARD_BELOW = -2 };

static struct {
    struct world *w;
    pthread_cond_t driver;
    bool drivers_turn, no_more;
    struct stay *stays[THREADS];
    int count;
    bool below; /* a guard waits below all others */
    _Atomic int64_t boot, wall;
} house;

static int64_t boot_ns(void *context)
{
    (void)context;
    return atomic_load(&house.boot);
}
static int64_t wall_ns(void *context)
{
    (void)context;
    return atomic_load(&house.wall);
}

/* ---- whose turn it is ----------------------------------------------------------------------------------------------------- */

static void stay(struct world *w, int job)
{
    struct stay here = {.over = PTHREAD_COND_INITIALIZER, .job = job};
    JOURNAL_MUST(house.count < THREADS, "more handlers than threads");
    house.stays[house.count++] = &here;
    house.drivers_turn = true;
    pthread_cond_signal(&house.driver);
    while (!here.go)
        pthread_cond_wait(&here.over, &w->mutex);
}

static void await_turn(struct world *w)
{
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += PATIENCE_S;
    while (!house.drivers_turn)
        JOURNAL_MUST(pthread_cond_timedwait(&house.driver, &w->mutex, &end) != ETIMEDOUT,
                     "a thread that was let go takes nothing");
    w->model.thread = 0;
}

static void let_go(struct world *w, int which)
{
    struct stay *s = house.stays[which];
    house.stays[which] = house.stays[--house.count];
    house.drivers_turn = false;
    s->go = true;
    pthread_cond_signal(&s->over);
    await_turn(w);
}

static enum trq_end guard_perform(struct trq_job *run)
{
    struct world *w = trq_job_host(run);
    world_enter(w, trq_job_thread(run) + 1);
    int kind = trq_job_get_bool(run, "below") ? GUARD_BELOW : GUARD;
    if (!house.no_more)
        stay(w, kind);
    world_leave(w);
    return TRQ_DONE;
}

static const struct trq_worker guard = {TRQ_WORKER_PLAIN("Guard"), .perform = guard_perform};
static const struct trq_app guards = {
    .size = sizeof guards,
    .name = "guard",
    .queues = TRQ_QUEUES({"above", INT32_MAX, 0}, {"below", INT32_MIN, 0}, {"never", 0, 0}),
    .workers = TRQ_WORKERS(&guard),
};

static void post_guard(struct world *w, bool below)
{
    int code = trq_enqueue(w->engine, &guard, TRQ_DICT(TRQ_KV("below", below)),
                           TRQ_OPTS(.queue = below ? "below" : "above"), NULL);
    JOURNAL_MUST(code == TRQ_OK, "no guard: %s", trq_code_name(code));
}

/* ---- operations ------------------------------------------------------------------------------------------------------------- */

static int find_stay(bool guards_only, struct draw *draw)
{
    int found[THREADS], count = 0;
    for (int i = 0; i < house.count; i++)
        if ((house.stays[i]->job < 0) == guards_only)
            found[count++] = i;
    return count ? found[draw_below(draw, count)] : -1;
}

static void await_due(struct world *w, bool clock_was_set);

static void after_turn(struct world *w)
{
    await_due(w, false); /* who was late when it was made ends */
    model_check_waiters(&w->model);
}

/* A thread takes what is next. False: nothing was, or there is no thread. */
static bool take_next(struct world *w, struct draw *draw)
{
    int which = find_stay(true, draw);
    if (which < 0)
        return false;
    journal("a thread is free");
    if (!house.below)
        post_guard(w, true);
    house.below = true;
    let_go(w, which);
    bool caught = house.stays[house.count - 1]->job == GUARD_BELOW;
    after_turn(w);
    if (!caught)
        return true;
    house.below = false;
    JOURNAL_MUST(!model_has_work(&w->model), "a thread found nothing, and jobs are ready");
    return false;
}

static bool end_one(struct world *w, struct draw *draw)
{
    int which = find_stay(false, draw);
    if (which < 0)
        return false;
    journal("job %d is told to end", house.stays[which]->job);
    post_guard(w, false);
    let_go(w, which);
    after_turn(w);
    return true;
}

static bool all_seen(struct world *w)
{
    uint64_t depth = 0;
    look(w, NOBODY, NOBODY);
    for (int i = 0; i < w->model.job_count; i++) {
        const struct m_job *j = &w->model.job[i];
        if (j->state == M_SCHEDULED && !j->firing && model_is_due(&w->model, j))
            return false;
        if (model_is_late(&w->model, j) ||
            (j->state == M_RUNNING && j->deadline <= w->model.boot && !j->reported))
            return false;
        depth += j->state == M_READY || j->firing;
    }
    for (int q = 0; q < M_QUEUES; q++) {
        struct trq_queue_stats s = {.size = sizeof s};
        JOURNAL_MUST(trq_stats_queue(w->engine, w->queue_text[q], &s) == TRQ_OK, "no stats");
        depth -= s.depth;
    }
    return depth == 0;
}

/* The thread that keeps the time sleeps by the system's clock, not by ours: a new time before all others wakes it. */
static void tick(struct world *w)
{
    struct trq_job_id id;
    int code = trq_enqueue(w->engine, &guard, TRQ_DICT_NONE,
                           TRQ_OPTS(.queue = "never", .in = trq_us(900)), &id);
    JOURNAL_MUST(code == TRQ_OK, "no tick: %s", trq_code_name(code));
}

static void await_due(struct world *w, bool clock_was_set)
{
    time_t end = time(NULL) + PATIENCE_S, again = 0;
    w->gathering = true;
    while (!all_seen(w)) {
        JOURNAL_MUST(time(NULL) < end, "what is due does not become ready");
        if (clock_was_set && time(NULL) != again) {
            tick(w);
            again = time(NULL);
        }
        world_leave(w);
        sched_yield();
        world_enter(w, 0);
    }
    w->gathering = false;
    model_settle(&w->model);
    world_after_call(w);
}

static void pass_time(struct world *w, struct draw *draw)
{
    int64_t span = draw_span(draw) % (400 * 86400 * SECOND);
    if (draw_percent(draw, 25)) {
        span = draw_percent(draw, 50) ? 86400 * SECOND : -86400 * SECOND;
        journal("set the wall clock by %lld", (long long)span);
        model_set_wall(&w->model, w->model.wall + span);
    } else {
        int64_t next = model_next_due(&w->model);
        if (next >= 0 && next < 5000 * 86400 * SECOND && draw_percent(draw, 60))
            span = next;
        span = (span / M_TICK + 1) *
               M_TICK; /* in the middle of a tick, who is due may be early or late */
        journal("the clock goes by %lld", (long long)span);
        model_advance(&w->model, span);
    }
    atomic_store(&house.boot, w->model.boot);
    atomic_store(&house.wall, w->model.wall);
    await_due(w, true);
}

static void operate(struct world *w, struct draw *draw)
{
    int r = draw_below(draw, 100);
    if (r < 34)
        take_next(w, draw);
    else if (r < 52)
        end_one(w, draw);
    else if (r < 55)
        pass_time(w, draw);
    else {
        act(w, draw, false);
        await_due(w, false);
        model_check_waiters(&w->model);
    }
}

/* ---- a seed -------------------------------------------------------------------------------------------------------------------- */

/* Without the world's mutex: the engine has one for its start and stop, and a stop tells of ends under it. */
static void make_engine(struct world *w)
{
    static struct trq_hooks hooks = {.size = sizeof hooks, .mono_ns = boot_ns, .wall_ns = wall_ns};
    static const int dead_max[] = {0, 1, 5, 10000};
    struct trq_error error = {0};
    house.w = w;
    house.no_more = house.below = false;
    house.count = 0;
    pthread_cond_init(&house.driver, NULL);
    w->model.wall = INT64_C(1767225600) * SECOND;
    w->model.boot = 1000 * SECOND;
    atomic_store(&house.boot, w->model.boot);
    atomic_store(&house.wall, w->model.wall);
    w->hold = stay;
    w->model.takers = THREADS;
    w->model.dead_max = dead_max[w->seed % 4];
    struct trq_config config = {.size = sizeof config,
                                .threads = THREADS,
                                .jobs_max = 4000,
                                .host = w,
                                .sample_every = 1,
                                .dead_max =
                                    w->model.dead_max ? (uint32_t)w->model.dead_max : TRQ_DEAD_NONE,
                                .on_dead_lost = world_on_dead_lost,
                                .on_stuck = world_on_stuck,
                                .hooks = &hooks};
    JOURNAL_MUST(trq_engine_create(&config, &w->engine, &error) == TRQ_OK &&
                     trq_register(w->engine, &w->app, &error) == TRQ_OK &&
                     trq_register(w->engine, &guards, &error) == TRQ_OK &&
                     trq_queue_pause(w->engine, "guard_never", &error) == TRQ_OK &&
                     trq_engine_start(w->engine, &error) == TRQ_OK,
                 "no engine: %s", error.text);
}

static void open_house(struct world *w)
{
    for (int i = 0; i < THREADS; i++) {
        house.drivers_turn = false;
        post_guard(w, false);
        await_turn(w);
    }
}

/* The thread that keeps the time may not be asleep again. */
static void check_when_idle(struct world *w)
{
    struct trq_error error = {0};
    time_t end = time(NULL) + PATIENCE_S;
    while (trq_engine_check(w->engine, &error) != TRQ_OK) {
        JOURNAL_MUST(time(NULL) < end, "trq_engine_check: %s", error.text);
        sched_yield();
    }
}

static void close_house(struct world *w, struct draw *draw)
{
    for (bool more = true; more;) {
        more = false;
        for (int q = 0; q < M_QUEUES; q++) /* handlers may have paused one again */
            if (w->model.paused[q]) {
                act_pause(w, q, false);
                more = true;
            }
        while (take_next(w, draw))
            compare_live(w);
        while (end_one(w, draw))
            more = true;
    }
    compare_all(w);
    compare_counters(w);
    for (int i = 0; i < w->model.job_count; i++)
        JOURNAL_MUST(w->model.job[i].state == M_ENDED || w->model.job[i].state == M_SCHEDULED,
                     "all has run, and job %d waits", i);
    house.no_more = true;
    for (int i = 0; i < house.count; i++) {
        house.stays[i]->go = true;
        pthread_cond_signal(&house.stays[i]->over);
    }
    world_leave(w);
    int code = trq_engine_drain(w->engine, trq_seconds(PATIENCE_S));
    world_enter(w, 0);
    JOURNAL_MUST(code == TRQ_OK, "drain: %s", trq_code_name(code));
    check_when_idle(w);
    model_drop_all(&w->model);
    world_leave(w);
    code = trq_engine_stop(w->engine, trq_seconds(PATIENCE_S), NULL);
    world_enter(w, 0);
    JOURNAL_MUST(code == TRQ_OK, "stop: %s", trq_code_name(code));
    world_after_call(w);
    compare_counters(w);
}

void lockstep_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                  const bool *skip)
{
    world_init(w, seed, mistake, true);
    struct draw draw = {seed};
    make_engine(w);
    world_enter(w, 0);
    open_house(w);
    for (int i = 0; i < operations; i++) {
        draw.state = seed * UINT64_C(0x9E3779B1) + (uint64_t)i * 977;
        if (skip && skip[i])
            continue;
        journal("[%d]", i);
        operate(w, &draw);
        compare_live(w);
        if (i % 32 == 0)
            compare_all(w);
        if (i % 4 == 0)
            compare_counters(w);
    }
    close_house(w, &draw);
    world_leave(w);
    JOURNAL_MUST(trq_engine_destroy(w->engine) == TRQ_OK, "not destroyed");
    pthread_cond_destroy(&house.driver);
    world_fini(w);
}
