/* What the tests of time and locks share: an engine on a clock that stands still, or one with threads whose jobs run for as
 * long as the test wants; and a journal of what ran and how it ended.
 *
 * scene_close, the end of every test here, asks trq_engine_check: the books agree with the jobs. */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

#include <criterion/criterion.h>

#include <tresque/test.h>

#include "engine_fixture.h"

/* Of all workers. */
#define SCENE_INPUTS(F, W)                                                                         \
    F(W, i64, n, TRQ_OPTIONAL, 0)                                                                  \
    F(W, str, key, TRQ_OPTIONAL, NULL)                                                             \
    F(W, str, room, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(scene_worker, SCENE_INPUTS);

enum {
    SCENE_JOURNAL = 1 << 14,
    SCENE_GATES = 32, /* a job whose n is SCENE_HELD or one of the next waits until it is let go */
    SCENE_HELD = 1000
};

struct scene {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int64_t ran[SCENE_JOURNAL]; /* n of each run, as they began */
    int runs;
    struct trq_event end[SCENE_JOURNAL];
    int ends;
    char text[256]; /* of the last end that had one */
    bool arrived[SCENE_GATES], may_go[SCENE_GATES];
    enum trq_end (*during)(struct trq_job *job); /* what a handler does; NULL: done */
};

static struct scene scene = {.mutex = PTHREAD_MUTEX_INITIALIZER,
                             .changed = PTHREAD_COND_INITIALIZER};
static struct trq_engine *engine;
static struct trq_error error;

/* ---- what handlers and ends leave behind ------------------------------------------------------------------------------ */

static inline void scene_ran(int64_t n)
{
    pthread_mutex_lock(&scene.mutex);
    if (scene.runs < SCENE_JOURNAL)
        scene.ran[scene.runs] = n;
    scene.runs++;
    pthread_mutex_unlock(&scene.mutex);
}

static inline void scene_pass_gate(int64_t n)
{
    pthread_mutex_lock(&scene.mutex);
    if (n >= SCENE_HELD && n < SCENE_HELD + SCENE_GATES) {
        scene.arrived[n - SCENE_HELD] = true;
        pthread_cond_broadcast(&scene.changed);
        const struct timespec most = {.tv_sec = time(NULL) + 50};
        while (!scene.may_go[n - SCENE_HELD])
            FX_MUST(pthread_cond_timedwait(&scene.changed, &scene.mutex, &most) == 0);
    }
    pthread_mutex_unlock(&scene.mutex);
}

/* That job runs now, and goes on doing so. */
static inline void scene_await_held(int64_t n)
{
    pthread_mutex_lock(&scene.mutex);
    const struct timespec most = {.tv_sec = time(NULL) + 50};
    while (!scene.arrived[n - SCENE_HELD])
        FX_MUST(pthread_cond_timedwait(&scene.changed, &scene.mutex, &most) == 0);
    pthread_mutex_unlock(&scene.mutex);
}
static inline void scene_let_go(int64_t n)
{
    pthread_mutex_lock(&scene.mutex);
    scene.may_go[n - SCENE_HELD] = true;
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.mutex);
}

static inline void scene_on_end(void *host, const struct trq_event *event,
                                const struct trq_error *why)
{
    (void)host;
    pthread_mutex_lock(&scene.mutex);
    if (scene.ends < SCENE_JOURNAL)
        scene.end[scene.ends] = *event;
    scene.ends++;
    if (why)
        snprintf(scene.text, sizeof scene.text, "%s", why->text);
    pthread_cond_broadcast(&scene.changed);
    pthread_mutex_unlock(&scene.mutex);
}

static inline int scene_ends(void)
{
    pthread_mutex_lock(&scene.mutex);
    int n = scene.ends;
    pthread_mutex_unlock(&scene.mutex);
    return n;
}

/* How that job ended: {0} with outcome -1 if it has not; never twice. */
static inline struct trq_event scene_end_of(struct trq_job_id id)
{
    struct trq_event found = {.outcome = (enum trq_outcome) - 1};
    int times = 0;
    pthread_mutex_lock(&scene.mutex);
    for (int i = 0; i < scene.ends && i < SCENE_JOURNAL; i++)
        if (trq_job_id_equal(scene.end[i].id, id)) {
            found = scene.end[i];
            times++;
        }
    pthread_mutex_unlock(&scene.mutex);
    cr_assert_leq(times, 1, "a job has ended twice");
    return found;
}
#define SCENE_ENDED(id, as) cr_assert_eq((int)scene_end_of(id).outcome, (int)(as))
#define SCENE_NOT_ENDED(id) cr_assert_eq((int)scene_end_of(id).outcome, -1)

/* "3 1 2": the runs so far. */
static inline const char *scene_runs(void)
{
    static char text[4096];
    size_t n = 0;
    text[0] = '\0';
    pthread_mutex_lock(&scene.mutex);
    for (int i = 0; i < scene.runs && i < SCENE_JOURNAL && n < sizeof text - 24; i++)
        n += (size_t)sprintf(text + n, "%s%lld", i ? " " : "", (long long)scene.ran[i]);
    pthread_mutex_unlock(&scene.mutex);
    return text;
}
#define SCENE_RAN(text) cr_assert_str_eq(scene_runs(), text)

static inline void scene_forget(void)
{
    pthread_mutex_lock(&scene.mutex);
    scene.runs = scene.ends = 0;
    pthread_mutex_unlock(&scene.mutex);
}

/* ---- the handler of all workers ------------------------------------------------------------------------------------------ */

static inline enum trq_end scene_perform(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    scene_ran(n);
    scene_pass_gate(n);
    return scene.during ? scene.during(job) : TRQ_DONE;
}
#define SCENE_WORKER(name_)                                                                        \
    .size = sizeof(struct trq_worker), .name = (name_), .inputs = &scene_worker_inputs,            \
    .retry = &trq_no_retry, .perform = scene_perform

/* ---- calls -------------------------------------------------------------------------------------------------------------- */

/* n, and what is not NULL of key and room. */
static inline int scene_try(const struct trq_worker *worker, int64_t n, const char *key,
                            const char *room, const struct trq_opts *given,
                            struct trq_job_id *out_id)
{
    struct scene_worker_in in = {n, trq_str_of(key), trq_str_of(room)};
    struct trq_opts opts = given ? *given : trq_opts_init();
    if (!opts.on_end)
        opts.on_end = scene_on_end;
    opts.error = &error;
    return trq_enqueue_struct(engine, worker, &scene_worker_inputs, &in, &opts, out_id);
}
static inline struct trq_job_id scene_put(const struct trq_worker *worker, int64_t n,
                                          const char *key, const char *room,
                                          const struct trq_opts *opts)
{
    struct trq_job_id id = {0, 0};
    int code = scene_try(worker, n, key, room, opts, &id);
    cr_assert_eq(code, TRQ_OK, "%s %s", trq_code_name(code), error.text);
    return id;
}

static inline struct trq_why scene_why(struct trq_job_id id)
{
    struct trq_why why = {.size = sizeof why};
    int rc = trq_explain(engine, id, &why);
    cr_assert_eq(rc, TRQ_OK, "%s", trq_code_name(rc));
    return why;
}
#define SCENE_IS(id, what)                                                                         \
    do {                                                                                           \
        struct trq_why why_ = scene_why(id);                                                       \
        cr_assert_eq((int)why_.state, (int)(what), "%s", why_.text);                               \
    } while (0)

static inline void scene_check(void)
{
    struct trq_error wrong = {0};
    int rc = trq_engine_check(engine, &wrong);
    cr_assert_eq(rc, TRQ_OK, "%s", wrong.text);
}

static inline struct trq_engine_stats scene_stats(void)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_engine(engine, &stats), TRQ_OK);
    return stats;
}

/* What waits or runs is what was accepted and has not ended. */
static inline void scene_balance(void)
{
    struct trq_worker_stats s = fx_stats(engine, NULL);
    uint64_t ended = s.done + s.skipped + s.discarded + s.dead + s.dropped + s.cancelled +
                     s.replaced + s.merged + s.expired;
    cr_assert_eq(s.enqueued, ended + scene_stats().jobs);
}

/* ---- engines ------------------------------------------------------------------------------------------------------------ */

/* Without threads, at 2026-01-01. */
static inline void scene_open(const struct trq_app *app)
{
    const struct trq_app *const apps[] = {app, NULL};
    int rc = trq_test_engine(NULL, (struct trq_wall){0}, apps, &engine, &error);
    cr_assert_eq(rc, TRQ_OK, "%s", error.text);
}
static inline void scene_open_threads(const struct trq_app *app, int threads)
{
    engine = fx_start(FX_CONFIG(.threads = threads), app);
}

/* All threads that hold no gated job sleep: nothing moves. */
static inline void scene_settle(int held)
{
    FX_AWAIT(scene_stats().asleep + (unsigned)held == scene_stats().threads);
}

static inline void scene_close(void)
{
    scene_check();
    scene_balance();
    cr_assert_eq(scene_stats().stale_releases, 0);
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
    engine = NULL;
}

#endif
