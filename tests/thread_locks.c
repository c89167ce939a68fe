/* Time and locks with many threads at once, two thirds of them the engine's and more of both than there are cores.
 *
 * Each storm is a mix of calls on one worker and few keys. Whatever the order: every accepted job ends once; who was told
 * that another job will see his change is right; no key has more holders than its limit; the counters balance, and the
 * engine contradicts itself nowhere. What is checked are counts and orders, never times. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { CALLS = 150 };
#else
enum { CALLS = 2000 };
#endif

enum { POOL = 40, CALLERS = 24, KEYS = 8, JOBS = CALLERS * CALLS, OTHER_KEYS = 3 };

/* ---- what is known of each call and its job -------------------------------------------------------------------------- */

struct ticket {
    atomic_int ends, runs;
    atomic_int outcome;
    atomic_uint saw; /* the version that its last run found when it began */
    /* Of the call; `known` publishes them. */
    struct trq_job_id id;
    int code;
    unsigned version; /* written right before */
    atomic_bool known;
    struct trq_job_id other; /* its end's; published by `ends` */
};
static struct ticket tickets[JOBS];
static atomic_int taken;

static atomic_uint version[KEYS];
static atomic_int inside[KEYS]; /* a worker key's holders */
static long plain[KEYS];        /* what a worker lock guards: ThreadSanitizer sees if it does not */
static atomic_long guarded[KEYS];
static atomic_int too_many, wrong_state, wrong_code;

static uint64_t draw_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
static int draw_below(uint64_t *state, int n)
{
    return (int)((draw_next(state) >> 33) % (unsigned)n);
}

/* ---- workers ------------------------------------------------------------------------------------------------------------ */

#define ROW_INPUTS(F, W) F(W, i64, n, TRQ_OPTIONAL, 0)
TRQ_INPUTS(once, ROW_INPUTS);
TRQ_INPUTS(single, ROW_INPUTS);
TRQ_INPUTS(three, ROW_INPUTS);
TRQ_INPUTS(both, ROW_INPUTS);
TRQ_INPUTS(later, ROW_INPUTS);
TRQ_INPUTS(newest, ROW_INPUTS);
TRQ_INPUTS(again, ROW_INPUTS);

static void see(struct trq_job *job, int n)
{
    struct ticket *t = trq_job_tag(job);
    unsigned found = atomic_load_explicit(&version[n], memory_order_relaxed);
    unsigned before = atomic_load_explicit(&t->saw, memory_order_relaxed);
    while (before < found &&
           !atomic_compare_exchange_weak_explicit(&t->saw, &before, found, memory_order_relaxed,
                                                  memory_order_relaxed))
        ;
    atomic_fetch_add_explicit(&t->runs, 1, memory_order_relaxed);
}

static void hold(int key, int limit)
{
    if (atomic_fetch_add_explicit(&inside[key], 1, memory_order_relaxed) >= limit)
        atomic_fetch_add(&too_many, 1);
    if (limit == 1) {
        plain[key]++;
        atomic_fetch_add_explicit(&guarded[key], 1, memory_order_relaxed);
    }
    if (guarded[key] % 4 == 0)
        sched_yield();
    atomic_fetch_sub_explicit(&inside[key], 1, memory_order_relaxed);
}

static enum trq_end see_only(struct trq_job *job)
{
    int n = (int)trq_job_get_i64(job, "n");
    see(job, n);
    return n % 3 ? TRQ_DONE : TRQ_SKIP;
}
static enum trq_end hold_one(struct trq_job *job)
{
    int n = (int)trq_job_get_i64(job, "n");
    see(job, n);
    hold(n, 1);
    return n % 3 ? TRQ_DONE : trq_fail(job, "key %d fails", n);
}
static enum trq_end hold_three(struct trq_job *job)
{
    int n = (int)trq_job_get_i64(job, "n");
    see(job, n);
    hold(n, 3);
    return TRQ_DONE;
}

/* The other key is looked up once, and shared. */
struct looked_up {
    int64_t other, zero;
};
static enum trq_end look_up(struct trq_job *job, struct trq_key *key)
{
    struct looked_up *state = trq_job_state(job);
    if (state->other || state->zero)
        atomic_fetch_add(&wrong_state, 1);
    state->other = 1 + trq_job_get_i64(job, "n") % OTHER_KEYS;
    trq_key_i64(key, state->other);
    return TRQ_DONE;
}
static enum trq_end hold_other(struct trq_job *job)
{
    const struct looked_up *state = trq_job_state(job);
    int n = (int)trq_job_get_i64(job, "n");
    see(job, n);
    if (state->other != 1 + n % OTHER_KEYS)
        atomic_fetch_add(&wrong_state, 1);
    hold((int)state->other, 1);
    return TRQ_DONE;
}
static enum trq_end run_again(struct trq_job *job)
{
    struct ticket *t = trq_job_tag(job);
    int n = (int)trq_job_get_i64(job, "n");
    see(job, n);
    hold(n, 2);
    switch (atomic_load(&t->runs)) {
    case 1:
        return trq_requeue(job);
    case 2:
        return trq_requeue_in(job, trq_us(n * 200));
    default:
        return TRQ_DONE;
    }
}

#define ON_N TRQ_LOCK_ON("n")
const struct trq_worker once = {TRQ_WORKER(once, "Once"), .retry = &trq_no_retry,
                                .perform = see_only, .queue_lock = ON_N};
const struct trq_worker single = {TRQ_WORKER(single, "Single"), .retry = &trq_no_retry,
                                  .perform = hold_one, .worker_lock = ON_N};
const struct trq_worker three = {
    TRQ_WORKER(three, "Three"), .retry = &trq_no_retry, .perform = hold_three,
    .worker_lock = TRQ_LOCK(.inputs = (const char *const[]){"n", NULL}, .limit = 3)};
const struct trq_worker both = {TRQ_WORKER(both, "Both"),
                                .retry = &trq_no_retry,
                                .perform = hold_other,
                                .queue_lock = TRQ_LOCK(.all = true),
                                .worker_lock = TRQ_LOCK_BY(look_up),
                                .state_size = sizeof(struct looked_up)};
const struct trq_worker later = {
    TRQ_WORKER(later, "Later"), .retry = &trq_no_retry, .perform = see_only,
    .queue_lock = TRQ_LOCK(.inputs = (const char *const[]){"n", NULL}, .on_conflict = TRQ_DEBOUNCE,
                           .max_wait = {3000000})};
const struct trq_worker newest = {
    TRQ_WORKER(newest, "Newest"), .retry = &trq_no_retry, .perform = hold_one, .worker_lock = ON_N,
    .queue_lock = TRQ_LOCK(.inputs = (const char *const[]){"n", NULL}, .on_conflict = TRQ_REPLACE,
                           .scope = TRQ_FROM_SCHEDULING)};
const struct trq_worker again = {
    TRQ_WORKER(again, "Again"), .retry = &trq_no_retry, .perform = run_again, .queue_lock = ON_N,
    .worker_lock = TRQ_LOCK(.inputs = (const char *const[]){"n", NULL}, .limit = 2)};

static const char *const queues[] = {"high", "default", "equal", "low"};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"equal", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&once, &single, &three, &both, &later, &newest, &again),
};

static void ended(void *host, const struct trq_event *event, const struct trq_error *error)
{
    struct ticket *t = event->tag;
    (void)host;
    (void)error;
    t->other = event->other;
    atomic_store(&t->outcome, (int)event->outcome);
    atomic_fetch_add(&t->ends, 1);
}

/* ---- callers --------------------------------------------------------------------------------------------------------------- */

struct storm {
    const char *name;
    const struct trq_worker *worker;
    int scheduled;                    /* of a hundred enqueues: later */
    int cancel, move, run_now, pause; /* of a hundred calls */
};

struct caller {
    pthread_t thread;
    struct trq_engine *engine;
    const struct storm *storm;
    uint64_t draw;
};

static void enqueue_one(struct caller *c)
{
    struct ticket *t = &tickets[atomic_fetch_add(&taken, 1)];
    int n = draw_below(&c->draw, KEYS);
    struct trq_opts opts = trq_opts_init();
    opts.on_end = ended;
    opts.tag = t;
    opts.queue = queues[draw_below(&c->draw, 4)];
    opts.wait_for_room = fx_long();
    if (draw_below(&c->draw, 100) < c->storm->scheduled)
        opts.in = draw_below(&c->draw, 3) ? trq_us(1 + draw_below(&c->draw, 3000)) : trq_hours(1);
    t->version = atomic_fetch_add_explicit(&version[n], 1, memory_order_relaxed) + 1;
    t->code = trq_enqueue(c->engine, c->storm->worker, TRQ_DICT(TRQ_KV("n", n)), &opts, &t->id);
    if (t->code < 0)
        atomic_fetch_add(&wrong_code, 1);
    atomic_store_explicit(&t->known, true, memory_order_release);
}

static void disturb(struct caller *c, int what)
{
    int count = atomic_load(&taken);
    const struct ticket *t = &tickets[count ? draw_below(&c->draw, count) : 0];
    const struct storm *s = c->storm;
    if (count > 300 && draw_below(&c->draw, 2)) /* rather one that may still wait */
        t = &tickets[count - 1 - draw_below(&c->draw, 300)];
    if (!atomic_load_explicit(&t->known, memory_order_acquire) || t->code < 0)
        return;
    int code = TRQ_OK;
    if (what < s->cancel)
        code = trq_cancel(c->engine, t->id);
    else if ((what -= s->cancel) < s->move)
        code = trq_move_in(c->engine, t->id, trq_us(draw_below(&c->draw, 3000)));
    else if ((what -= s->move) < s->run_now)
        code = trq_run_now(c->engine, t->id);
    else if (draw_below(&c->draw, 2))
        code = trq_queue_pause(c->engine, "app_default", NULL);
    else
        code = trq_queue_resume(c->engine, "app_default", NULL);
    if (code < 0)
        atomic_fetch_add(&wrong_code, 1);
}

static void *call(void *arg)
{
    struct caller *c = arg;
    const struct storm *s = c->storm;
    int others = s->cancel + s->move + s->run_now + s->pause;
    for (int enqueued = 0; enqueued < CALLS;) {
        int r = draw_below(&c->draw, 100);
        if (r < others) {
            disturb(c, r);
        } else {
            enqueue_one(c);
            enqueued++;
        }
        if (draw_below(&c->draw, 32) == 0)
            sched_yield();
    }
    return NULL;
}

/* ---- what must hold afterwards ----------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
    const struct ticket *x = *(struct ticket *const *)a, *y = *(struct ticket *const *)b;
    if (x->id.slot != y->id.slot)
        return x->id.slot < y->id.slot ? -1 : 1;
    return x->id.birth < y->id.birth ? -1 : x->id.birth > y->id.birth;
}
static struct ticket *sorted[JOBS];
static size_t accepted_count;

static const struct ticket *find(struct trq_job_id id)
{
    struct ticket wanted = {.id = id}, *key = &wanted;
    struct ticket **found = bsearch(&key, sorted, accepted_count, sizeof key, by_id);
    return found ? *found : NULL;
}

static bool was_accepted(const struct ticket *t)
{
    return t->code == TRQ_OK || t->code == TRQ_REPLACED;
}

/* Who was refused, or replaced, or merged, has written something that a run must have seen: his twin's, or of whoever
 * took the twin's place. A job that was cancelled saw nothing, rightly. */
static bool was_seen(const struct ticket *t)
{
    const struct ticket *seer = was_accepted(t) ? t : find(t->id);
    while (seer && (atomic_load(&seer->outcome) == TRQ_WAS_REPLACED ||
                    atomic_load(&seer->outcome) == TRQ_WAS_MERGED))
        seer = find(seer->other);
    if (!seer)
        return false;
    return atomic_load(&seer->outcome) == TRQ_WAS_CANCELLED ||
           atomic_load(&seer->saw) >= t->version;
}

static void check_tickets(const struct storm *s, const struct trq_worker_stats *stats)
{
    char claim[160];
    int not_once = 0, unseen = 0;
    uint64_t outcomes[TRQ_WAS_MERGED + 1] = {0}, duplicates = 0;
    accepted_count = 0;
    for (int i = 0; i < JOBS; i++)
        if (was_accepted(&tickets[i]))
            sorted[accepted_count++] = &tickets[i];
    qsort(sorted, accepted_count, sizeof sorted[0], by_id);
    for (int i = 0; i < JOBS; i++) {
        const struct ticket *t = &tickets[i];
        not_once += atomic_load(&t->ends) != was_accepted(t);
        unseen += !was_seen(t);
        outcomes[atomic_load(&t->outcome)] += was_accepted(t);
        duplicates += t->code == TRQ_DUPLICATE || t->code == TRQ_DEBOUNCED;
    }
    snprintf(claim, sizeof claim, "%s: every accepted job ended once, and no other", s->name);
    TAP_OK(not_once == 0, claim);
    snprintf(claim, sizeof claim, "%s: no change is lost", s->name);
    TAP_OK(unseen == 0, claim);
    snprintf(claim, sizeof claim, "%s: the counters are what the callers and listeners saw",
             s->name);
    TAP_OK(stats->enqueued == accepted_count && stats->duplicates == duplicates &&
               stats->done == outcomes[TRQ_WAS_DONE] &&
               stats->skipped == outcomes[TRQ_WAS_SKIPPED] &&
               stats->dead == outcomes[TRQ_WAS_DEAD] &&
               stats->cancelled == outcomes[TRQ_WAS_CANCELLED] &&
               stats->replaced == outcomes[TRQ_WAS_REPLACED] &&
               stats->merged == outcomes[TRQ_WAS_MERGED] && stats->dropped == 0,
           claim);
    tap_note("%s: %zu of %d accepted, %llu cancelled, %llu replaced, %llu merged, %llu parked",
             s->name, accepted_count, (int)JOBS, (unsigned long long)stats->cancelled,
             (unsigned long long)stats->replaced, (unsigned long long)stats->merged,
             (unsigned long long)stats->parked);
}

/* Whatever is scheduled is run now, until nothing is left. */
static void finish(struct trq_engine *engine, const struct trq_worker *worker)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    FX_MUST(trq_queue_resume(engine, "app_default", NULL) == TRQ_OK);
    do {
        FX_MUST(trq_run_now_matching(engine, worker, TRQ_DICT_NONE) >= 0);
        FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
        FX_MUST(trq_stats_engine(engine, &stats) == TRQ_OK);
    } while (stats.jobs > 0);
    TAP_OK(stats.scheduled == 0 && stats.parked == 0 && stats.stale_releases == 0,
           "nothing is scheduled, nothing is parked, nobody gave back what he did not hold");
}

static void run_storm(const struct storm *storm, uint64_t seed)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = POOL, .jobs_max = 60000), &app);
    struct caller callers[CALLERS];
    memset(tickets, 0, sizeof tickets);
    atomic_store(&taken, 0);
    for (int i = 0; i < KEYS; i++) {
        plain[i] = 0;
        atomic_store(&guarded[i], 0);
        atomic_store(&version[i], 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        callers[i] =
            (struct caller){.engine = engine, .storm = storm, .draw = seed * 1000 + (uint64_t)i};
        FX_MUST(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0);
    }
    for (int i = 0; i < CALLERS; i++)
        FX_MUST(pthread_join(callers[i].thread, NULL) == 0);
    finish(engine, storm->worker);

    struct trq_error error = {0};
    int code = trq_engine_check(engine, &error);
    if (code != TRQ_OK)
        tap_note("%s", error.text);
    TAP_OK(code == TRQ_OK, "the engine contradicts itself nowhere");
    struct trq_worker_stats stats = fx_stats(engine, storm->worker->name);
    check_tickets(storm, &stats);
    TAP_OK(atomic_load(&too_many) == 0, "no key had more holders than its limit");
    bool lost = false;
    for (int i = 0; i < KEYS; i++)
        lost |= plain[i] != atomic_load(&guarded[i]);
    TAP_OK(!lost, "what a worker lock guards was changed by one at a time");
    TAP_OK(atomic_load(&wrong_state) == 0 && atomic_load(&wrong_code) == 0,
           "no call failed, and no run found another's state");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

int main(int argc, char **argv)
{
    static const struct storm storms[] = {
        {"queue lock", &once, 0, 0, 0, 0, 0},
        {"queue lock, scheduled", &once, 60, 5, 10, 15, 0},
        {"worker lock", &single, 0, 0, 0, 0, 0},
        {"worker lock, cancelled and paused", &single, 20, 15, 5, 5, 5},
        {"worker lock of three", &three, 10, 5, 0, 5, 2},
        {"both locks", &both, 0, 0, 0, 0, 0},
        {"both locks, all at once", &both, 40, 10, 10, 15, 3},
        {"debouncing", &later, 95, 0, 2, 2, 0},
        {"debouncing, cancelled", &later, 80, 5, 10, 10, 0},
        {"replacing", &newest, 50, 0, 5, 5, 2},
        {"requeueing and merging", &again, 20, 0, 0, 10, 0},
        {"requeueing, all at once", &again, 30, 10, 10, 10, 3},
    };
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240811;
    tap_note("seed %llu", (unsigned long long)seed);
    for (size_t i = 0; i < sizeof storms / sizeof storms[0]; i++)
        run_storm(&storms[i], seed + i);
    return tap_done();
}
