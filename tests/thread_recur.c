/* Recurring jobs that are added, changed, removed and listed by several threads while they fire every millisecond. */
#include "tap.h"

#include <stdatomic.h>

#include "engine_fixture.h"

enum { THREADS = 3, NAMES = 8, ROUNDS = 300, FIRINGS = 30 };

static atomic_int runs, overlapping, worst;
#define TICK_INPUTS(F, W)                                                                          \
    F(W, i64, at, TRQ_OPTIONAL, 0)                                                                 \
    F(W, str, text, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(tick, TICK_INPUTS);

static struct trq_engine *engine;

static enum trq_end tick_perform(struct trq_job *job)
{
    const struct tick_in *in = tick_get(job);
    const int64_t now = trq_now(trq_job_engine(job)).ns / 1000000000;
    FX_MUST(in->at <= now && in->at > now - 60);
    FX_MUST(in->text.size == 100);
    atomic_fetch_add(&runs, 1);
    return TRQ_DONE;
}
static enum trq_end alone_perform(struct trq_job *job)
{
    (void)job;
    const int now = atomic_fetch_add(&overlapping, 1) + 1;
    if (now > atomic_load(&worst))
        atomic_store(&worst, now);
    sched_yield();
    atomic_fetch_sub(&overlapping, 1);
    return TRQ_DONE;
}
const struct trq_worker tick = {TRQ_WORKER(tick, "Tick"), .perform = tick_perform};
static const struct trq_worker alone = {
    .size = sizeof alone, .name = "Alone", .perform = alone_perform};

static void put(const char *name, int64_t every_ns, const char *cron)
{
    char text[101];
    memset(text, 'x', 100);
    text[100] = '\0';
    struct trq_error error = {0};
    struct trq_recurring r = trq_recurring_init();
    r.name = name;
    r.worker = &tick;
    r.inputs = TRQ_DICT(TRQ_KV("text", (const char *)text));
    r.time_input = "at";
    r.every = trq_ns(every_ns);
    r.cron = cron;
    r.zone = cron ? "Europe/Berlin" : NULL;
    const int rc = trq_recur(engine, &r, &error);
    if (rc < 0)
        fprintf(stderr, "%s\n", error.text);
    FX_MUST(rc == TRQ_OK);
}

static void *meddle(void *argument)
{
    uint64_t seed = (uintptr_t)argument + 1;
    for (int i = 0; i < ROUNDS; i++) {
        char name[20];
        struct trq_recurrence page[4];
        struct trq_wall next[4];
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        snprintf(name, sizeof name, "r%d", (int)(seed >> 33) % NAMES);
        switch (seed >> 60 & 7) {
        case 0:
        case 1:
            FX_MUST(trq_recur_remove(engine, name) >= 0);
            break;
        case 2:
            put(name, 0, "* * * * * *");
            break;
        case 3:
            FX_MUST(trq_recur_list(engine, name, page, 4) >= 0);
            break;
        case 4: {
            const long n = trq_recur_next(engine, name, next, 4);
            FX_MUST(n == 4 || n == TRQ_EUNKNOWN);
            break;
        }
        default:
            put(name, 1000000 + (int64_t)(seed >> 40 & 1) * 1000000, NULL);
        }
        sched_yield();
    }
    return NULL;
}

static bool many_at_once(void)
{
    engine = fx_start(FX_CONFIG(.threads = 2, .jobs_max = 10000),
                      FX_APP(.name = "app", .workers = TRQ_WORKERS(&tick, &alone)));
    FX_MUST(trq_recur(engine,
                      TRQ_RECURRING(.name = "alone", .worker = &alone, .every = trq_ms(1),
                                    .no_overlap = true),
                      NULL) == TRQ_OK);
    put("r0", 1000000, NULL);
    pthread_t thread[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        FX_MUST(pthread_create(&thread[i], NULL, meddle, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    put("r0", 1000000, NULL);
    const int before = atomic_load(&runs);
    FX_AWAIT(atomic_load(&runs) >= before + FIRINGS);
    struct trq_recurrence r = {.name = ""};
    FX_MUST(trq_recur_list(engine, "aaaa", &r, 1) == 1 && strcmp(r.name, "alone") == 0);
    FX_AWAIT(trq_recur_list(engine, "aaaa", &r, 1) == 1 && r.fired >= FIRINGS);
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    const int after = atomic_load(&runs);
    bool good = trq_engine_check(engine, NULL) == TRQ_OK && atomic_load(&worst) == 1;
    good = good && atomic_load(&runs) == after;
    return good && trq_engine_destroy(engine) == TRQ_OK;
}

/* The stop comes while they fire. */
static bool stop_amid(void)
{
    for (int i = 0; i < 20; i++) {
        engine = fx_start(FX_CONFIG(.threads = 1, .jobs_max = 100),
                          FX_APP(.name = "app", .workers = TRQ_WORKERS(&tick)));
        char name[20];
        for (int n = 0; n < 10; n++) {
            snprintf(name, sizeof name, "r%d", n);
            put(name, 1000000, NULL);
        }
        const int before = atomic_load(&runs);
        FX_AWAIT(atomic_load(&runs) > before);
        FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
        FX_MUST(trq_recur_remove(engine, "r0") == TRQ_ESTOPPED);
        FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
    }
    return true;
}

int main(void)
{
    TAP_OK(many_at_once(), "many threads add, change, remove and list while they fire");
    TAP_OK(stop_amid(), "the engine is stopped while they fire");
    return tap_done();
}
