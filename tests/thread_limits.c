/* Failures and limits with many threads at once: jobs that expire, fail and are tried again at once or soon, are cancelled,
 * overrun their time, beget others under their deadline, with queue locks, worker locks, both or none; queues that are paused
 * and resumed; others who ask why a job failed and what it does.
 *
 * Whatever the order: every accepted job ends once; the counters are what was seen; the engine contradicts itself
 * nowhere. Once until all is done, and once with a stop in the midst. What is checked are counts, never times. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { CALLS = 120 };
#else
enum { CALLS = 1500 };
#endif
enum { POOL = 12, CALLERS = 12, KEYS = 6, CHILDREN = 4, JOBS = CALLERS * CALLS * (1 + CHILDREN) };

struct ticket {
    atomic_int ends, runs, outcome;
    atomic_uint attempts; /* that the last run saw */
    atomic_bool wrong;
    struct trq_job_id id;
    int code;
    atomic_bool known; /* publishes these */
};
static struct ticket tickets[JOBS];
static atomic_int taken;
static atomic_long inside[KEYS], too_many, exhausted_calls, stuck_reports, unasked;
static atomic_bool stopping;

static uint64_t draw_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
static int below(uint64_t *state, int n)
{
    return (int)((draw_next(state) >> 33) % (unsigned)n);
}

/* ---- workers ------------------------------------------------------------------------------------------------------------ */

#define ROW_INPUTS(F, W)                                                                           \
    F(W, i64, n, TRQ_OPTIONAL, 0)                                                                  \
    F(W, i64, seed, TRQ_OPTIONAL, 0)                                                               \
    F(W, i64, depth, TRQ_OPTIONAL, 0)
TRQ_INPUTS(row, ROW_INPUTS);

static void put(struct trq_engine *engine, const struct trq_worker *worker, uint64_t *draw,
                int depth);

static enum trq_end behave(struct trq_job *job)
{
    struct ticket *t = trq_job_tag(job);
    uint64_t draw =
        (uint64_t)trq_job_get_i64(job, "seed") * 977 + (uint64_t)atomic_fetch_add(&t->runs, 1);
    int attempt = trq_job_attempt(job), depth = (int)trq_job_get_i64(job, "depth");
    unsigned before = atomic_exchange(&t->attempts, (unsigned)attempt);
    if (before > (unsigned)attempt) /* attempts are never forgotten */
        atomic_store(&t->wrong, true);
    if (attempt == 1 && trq_job_last_error(job)[0])
        atomic_store(&t->wrong, true);
    if (trq_job_time_left(job).ns < 0)
        atomic_store(&t->wrong, true);
    if (depth < CHILDREN && below(&draw, 8) == 0)
        put(trq_job_engine(job), trq_job_worker(job), &draw, depth + 1);
    for (int i = below(&draw, 4) ? 0 : 200; i && !trq_job_should_stop(job); i--)
        sched_yield();
    switch (below(&draw, 12)) {
    case 0:
        return trq_requeue(job);
    case 1:
        return trq_requeue_in(job, trq_us(below(&draw, 800)));
    case 2:
        return TRQ_SKIP;
    case 3:
        return trq_discard(job, "never again");
    case 4:
    case 5:
        return TRQ_DONE;
    default:
        return trq_fail(job, "attempt %d of %d", attempt, depth);
    }
}
static enum trq_end hold_and_behave(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    if (atomic_fetch_add(&inside[n], 1) >= 1)
        atomic_fetch_add(&too_many, 1);
    enum trq_end end = behave(job);
    atomic_fetch_sub(&inside[n], 1);
    return end;
}
static void exhausted(struct trq_job *job, const struct trq_error *error)
{
    atomic_fetch_add(&exhausted_calls, 1);
    if (strncmp(error->text, "attempt ", 8) != 0 ||
        strcmp(error->text, trq_job_last_error(job)) != 0)
        atomic_fetch_add(&unasked, 1);
}
static enum trq_end by_n(struct trq_job *job, struct trq_key *key)
{
    trq_key_input(key, job, "n");
    return TRQ_DONE;
}

static const struct trq_span soon[] = {{0}, {1000000}, {0}, {0}, {1000000}};
static const struct trq_retry policy = {.size = sizeof policy, .list = soon, .list_count = 5};
static const struct trq_retry few = {.size = sizeof few, .list = soon, .list_count = 2};

#define ON_N                                                                                       \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "n", NULL                                                                                  \
    }
static const struct trq_lock when_due = {ON_N};
static const struct trq_lock from_start = {ON_N, .scope = TRQ_FROM_SCHEDULING};
static const struct trq_lock replaces = {ON_N, .on_conflict = TRQ_REPLACE};
static const struct trq_lock calms = {ON_N, .on_conflict = TRQ_DEBOUNCE, .max_wait = {2000000}};
static const struct trq_lock one_by_one = {ON_N};
static const struct trq_lock asked = {.size = sizeof asked, .key = by_n};

#define WORKER(name_, ...)                                                                         \
    {                                                                                              \
        .size = sizeof(struct trq_worker), .name = (name_), .inputs = &row_inputs,                 \
        .retry = &policy, .exhausted = exhausted, __VA_ARGS__                                      \
    }
static const struct trq_worker workers[] = {
    WORKER("Plain", .perform = behave),
    WORKER("Once", .perform = behave, .queue_lock = &when_due),
    WORKER("Held", .perform = behave, .queue_lock = &from_start),
    WORKER("Newest", .perform = behave, .queue_lock = &replaces),
    WORKER("Calm", .perform = behave, .queue_lock = &calms),
    WORKER("Single", .perform = hold_and_behave, .worker_lock = &one_by_one),
    WORKER("Both", .perform = hold_and_behave, .queue_lock = &when_due, .worker_lock = &asked),
};
enum { WORKERS = sizeof workers / sizeof *workers };
/* Single and Both each have keys of their own: n alone does not tell. */
static const char *const queues[] = {"high", "default", "low"};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&workers[0], &workers[1], &workers[2], &workers[3], &workers[4],
                           &workers[5], &workers[6]),
};

static void ended(void *host, const struct trq_event *event, const struct trq_error *error)
{
    struct ticket *t = event->tag;
    (void)host;
    if ((event->outcome == TRQ_WAS_DEAD) > (error && error->text[0]))
        atomic_store(&t->wrong, true);
    atomic_store(&t->outcome, (int)event->outcome);
    atomic_fetch_add(&t->ends, 1);
}
static void on_stuck(void *host, const struct trq_stuck *stuck)
{
    (void)host;
    if (!stuck->worker || !stuck->queue || stuck->over.ns < 0)
        atomic_fetch_add(&unasked, 1);
    atomic_fetch_add(&stuck_reports, 1);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------------- */

static void put(struct trq_engine *engine, const struct trq_worker *worker, uint64_t *draw,
                int depth)
{
    struct ticket *t = &tickets[atomic_fetch_add(&taken, 1)];
    /* The two workers with a worker lock have halves of the keys. */
    int half = KEYS / 2, n = below(draw, worker->worker_lock ? half : KEYS);
    struct trq_opts opts = trq_opts_init();
    n += worker->worker_lock == &asked ? half : 0;
    opts.on_end = ended;
    opts.tag = t;
    opts.queue = queues[below(draw, 3)];
    opts.inherit_deadline = depth > 0;
    if (depth == 0)
        opts.wait_for_room = fx_long();
    if (below(draw, 3) == 0)
        opts.in = below(draw, 4) ? trq_us(1 + below(draw, 1500)) : trq_hours(1);
    if (below(draw, 2))
        opts.expires_in = below(draw, 3) ? trq_us(1 + below(draw, 2000)) : trq_hours(1);
    if (below(draw, 3) == 0)
        opts.timeout = trq_us(1 + below(draw, 300));
    if (below(draw, 4) == 0)
        opts.retry = below(draw, 2) ? &few : &trq_no_retry;
    struct row_in in = {.n = n, .seed = (int64_t)(draw_next(draw) >> 24), .depth = depth};
    t->code = trq_enqueue_struct(engine, worker, &row_inputs, &in, &opts, &t->id);
    atomic_store_explicit(&t->known, true, memory_order_release);
}

static bool may_be(int code)
{
    return code >= 0 || (code == TRQ_ESTOPPED && atomic_load(&stopping));
}

static void disturb(struct trq_engine *engine, uint64_t *draw)
{
    int count = atomic_load(&taken), back = count < 200 ? count : 200, code = TRQ_OK;
    const struct ticket *t = &tickets[back ? count - 1 - below(draw, back) : 0];
    struct trq_failure failures[TRQ_FAILURES_KEPT];
    struct trq_why why = {.size = sizeof why};
    size_t kept = 0;
    if (!atomic_load_explicit(&t->known, memory_order_acquire) || t->code < 0)
        return;
    switch (below(draw, 10)) {
    case 0:
    case 1:
        code = trq_cancel(engine, t->id);
        break;
    case 2:
        code = trq_move_in(engine, t->id, trq_us(below(draw, 2000)));
        break;
    case 3:
        code = trq_run_now(engine, t->id);
        break;
    case 4:
        code = trq_queue_pause(engine, "app_default", NULL);
        break;
    case 5:
        code = trq_queue_resume(engine, "app_default", NULL);
        break;
    case 6:
    case 7:
        code = trq_explain(engine, t->id, &why);
        break;
    default:
        code = trq_failures(engine, t->id, failures, TRQ_FAILURES_KEPT, &kept);
        for (size_t i = 0; code == TRQ_OK && i < kept; i++)
            if (strncmp(failures[i].text, "attempt ", 8) != 0 ||
                (i && failures[i].at.ns > failures[i - 1].at.ns))
                atomic_fetch_add(&unasked, 1);
    }
    if (!may_be(code))
        atomic_fetch_add(&unasked, 1);
}

struct caller {
    pthread_t thread;
    struct trq_engine *engine;
    uint64_t draw;
};
static void *call(void *arg)
{
    struct caller *c = arg;
    for (int i = 0; i < CALLS && !atomic_load(&stopping); i++) {
        put(c->engine, &workers[below(&c->draw, WORKERS)], &c->draw, 0);
        for (int k = below(&c->draw, 3); k; k--)
            disturb(c->engine, &c->draw);
        if (below(&c->draw, 16) == 0)
            sched_yield();
    }
    return NULL;
}

/* ---- what must hold afterwards ----------------------------------------------------------------------------------------------- */

static void expect_consistent(struct trq_engine *engine)
{
    uint64_t outcomes[TRQ_WAS_EXPIRED + 1] = {0}, accepted = 0;
    int not_once = 0, wrong = 0, refused = 0;
    for (int i = 0; i < atomic_load(&taken); i++) {
        const struct ticket *t = &tickets[i];
        bool was_accepted = t->code == TRQ_OK || t->code == TRQ_REPLACED;
        accepted += was_accepted;
        not_once += atomic_load(&t->ends) != was_accepted;
        wrong += atomic_load(&t->wrong);
        refused += !may_be(t->code);
        outcomes[atomic_load(&t->outcome)] += was_accepted;
    }
    TAP_OK(refused == 0, "no call was refused without a reason");
    TAP_OK(not_once == 0, "every accepted job ended once, and no other");
    TAP_OK(wrong == 0, "what handlers and ends are told is right");
    TAP_OK(atomic_load(&unasked) == 0, "what others are told is right");
    TAP_OK(atomic_load(&too_many) == 0, "no key has two holders");
    struct trq_worker_stats s = fx_stats(engine, NULL);
    TAP_OK(s.enqueued == accepted && s.done == outcomes[TRQ_WAS_DONE] &&
               s.skipped == outcomes[TRQ_WAS_SKIPPED] &&
               s.discarded == outcomes[TRQ_WAS_DISCARDED] && s.dead == outcomes[TRQ_WAS_DEAD] &&
               s.dropped == outcomes[TRQ_WAS_DROPPED] &&
               s.cancelled == outcomes[TRQ_WAS_CANCELLED] &&
               s.replaced == outcomes[TRQ_WAS_REPLACED] && s.merged == outcomes[TRQ_WAS_MERGED] &&
               s.expired == outcomes[TRQ_WAS_EXPIRED],
           "the counters are what the listeners saw");
    TAP_OK(s.failed + s.requeued + s.done + s.skipped + s.discarded == s.started,
           "each run ended somehow");
    TAP_OK(s.retried + s.dead <= s.failed && s.dead == (uint64_t)atomic_load(&exhausted_calls),
           "a failed run was the last, or is followed by another, or was cut short");
    struct trq_engine_stats e = {.size = sizeof e};
    FX_MUST(trq_stats_engine(engine, &e) == TRQ_OK);
    TAP_OK(e.jobs == 0 && e.scheduled == 0 && e.parked == 0 && e.stale_releases == 0,
           "nothing is left");
    TAP_OK(e.stuck == (uint64_t)atomic_load(&stuck_reports) && e.stuck <= s.started,
           "a report at most for each run");
    struct trq_error error = {0};
    int code = trq_engine_check(engine, &error);
    if (code != TRQ_OK)
        tap_note("%s", error.text);
    TAP_OK(code == TRQ_OK, "the engine contradicts itself nowhere");
    tap_note("%llu accepted: %llu dead, %llu expired, %llu merged, %llu cancelled, %llu dropped; "
             "%llu retried, %llu overran, %llu stuck",
             (unsigned long long)accepted, (unsigned long long)s.dead,
             (unsigned long long)s.expired, (unsigned long long)s.merged,
             (unsigned long long)s.cancelled, (unsigned long long)s.dropped,
             (unsigned long long)s.retried, (unsigned long long)s.overran,
             (unsigned long long)e.stuck);
}

static void reset(void)
{
    memset(tickets, 0, sizeof tickets);
    atomic_store(&taken, 0);
    atomic_store(&too_many, 0);
    atomic_store(&unasked, 0);
    atomic_store(&exhausted_calls, 0);
    atomic_store(&stuck_reports, 0);
    atomic_store(&stopping, false);
}

static void finish(struct trq_engine *engine)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    FX_MUST(trq_queue_resume(engine, "app_default", NULL) == TRQ_OK);
    do {
        for (int i = 0; i < WORKERS; i++)
            FX_MUST(trq_run_now_matching(engine, &workers[i], TRQ_DICT_NONE) >= 0);
        FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
        FX_MUST(trq_stats_engine(engine, &stats) == TRQ_OK);
    } while (stats.jobs > 0);
}

static void storm(uint64_t seed, bool with_stop)
{
    struct caller callers[CALLERS];
    reset();
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = POOL, .jobs_max = 20000,
                                                   .on_stuck = on_stuck, .stuck_after = trq_ms(1)),
                                         &app);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.engine = engine, .draw = seed * 1000 + (uint64_t)i};
        FX_MUST(pthread_create(&callers[i].thread, NULL, call, &callers[i]) == 0);
    }
    if (with_stop) {
        FX_AWAIT(atomic_load(&taken) > CALLERS * CALLS / 3);
        atomic_store(&stopping, true);
        FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    }
    for (int i = 0; i < CALLERS; i++)
        FX_MUST(pthread_join(callers[i].thread, NULL) == 0);
    if (!with_stop)
        finish(engine);
    tap_note("%s, seed %llu", with_stop ? "with a stop" : "to the end", (unsigned long long)seed);
    expect_consistent(engine);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

int main(int argc, char **argv)
{
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20260101;
    storm(seed, false);
    for (uint64_t i = 1; i <= 5; i++)
        storm(seed + i, true);
    return tap_done();
}
