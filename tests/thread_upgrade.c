/* Old jobs with many threads at once: mended, failing and tried again, parked, moved and looked for by their inputs, while
 * others come. Each runs once, with what its dictionary said. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { CALLS = 200 };
#else
enum { CALLS = 2000 };
#endif
enum { CALLERS = 4, JOBS = CALLERS * CALLS, LANES = 3 };

#define PAY_INPUTS(F, W)                                                                           \
    F(W, i64, account_id, TRQ_REQUIRED, 0)                                                         \
    F(W, str, text, TRQ_OPTIONAL, "short")                                                         \
    F(W, i64, added, TRQ_OPTIONAL, 11)
TRQ_INPUTS(pay, PAY_INPUTS);

static atomic_int runs[JOBS], mended[JOBS], failed[JOBS], ends, wrong, refused;

static enum trq_end mend(struct trq_job *job, uint32_t version)
{
    struct trq_value v;
    const int64_t n = trq_job_get_i64(job, "account");
    if (version != 1 || !trq_job_get(job, "account", &v) || trq_job_set(job, "account_id", v) < 0 ||
        trq_job_unset(job, "account") != TRQ_OK)
        wrong++;
    if (n % 5 == 0 && atomic_fetch_add(&failed[n], 1) == 0)
        return n % 2 ? trq_fail(job, "once") : trq_requeue(job);
    mended[n]++;
    return TRQ_DONE;
}

static enum trq_end perform(struct trq_job *job)
{
    const struct pay_in *in = pay_get(job);
    const int64_t n = in->account_id;
    struct trq_value v;
    if (in->added != 11 || trq_job_get_i64(job, "also") != n || trq_job_get(job, "account", &v) ||
        in->text.size != (n % 3 ? strlen("short") : (size_t)n))
        wrong++;
    if (runs[n]++ == 0 && n % 7 == 0)
        return trq_requeue(job);
    return TRQ_DONE;
}

static enum trq_end lane(struct trq_job *job, struct trq_key *key)
{
    trq_key_i64(key, pay_get(job)->account_id % LANES);
    return TRQ_DONE;
}
static const struct trq_lock lanes = {.size = sizeof lanes, .key = lane};
static const char *const account[] = {"account_id", NULL};
static const struct trq_lock by_account = {.size = sizeof by_account, .inputs = account};
static const struct trq_retry soon = {
    .size = sizeof soon, .constant = {1000}, .jitter = TRQ_JITTER_NONE};

#define PAY(name_)                                                                                 \
    TRQ_WORKER(pay, name_), .version = 2, .upgrade = mend, .perform = perform, .retry = &soon
const struct trq_worker pay = {PAY("Pay")};
static const struct trq_worker locked = {PAY("Locked"), .worker_lock = &lanes,
                                         .queue_lock = &by_account};

static struct trq_engine *engine;
static char filler[JOBS + 1];
static atomic_bool over;

static void on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    (void)error;
    wrong += event->outcome != TRQ_WAS_DONE;
    ends++;
}

static void *call(void *arg)
{
    const int first = *(const int *)arg;
    for (int n = first; n < JOBS; n += CALLERS) {
        struct trq_opts opts = trq_opts_init();
        const struct trq_kv kv[] = {
            TRQ_KV("account", n),
            TRQ_KV("also", n),
            {trq_str_of("text"), {.type = TRQ_STR, .u.s = {filler, (size_t)n}}},
        };
        opts.version = 1;
        opts.on_end = on_end;
        opts.in = trq_us(n % 4 ? 0 : 300);
        if (trq_enqueue(engine, n % 2 ? &pay : &locked, (struct trq_dict){kv, n % 3 ? 2 : 3}, &opts,
                        NULL) != TRQ_OK)
            refused++;
    }
    return NULL;
}

/* Reads the inputs of jobs that become due, and are mended, meanwhile. */
static void *look(void *arg)
{
    struct trq_job_id ids[4];
    (void)arg;
    while (!over) {
        if (trq_scheduled(engine, &pay, TRQ_DICT(TRQ_KV("account", 4)), ids, 4) < 0 ||
            trq_run_now_matching(engine, &locked, TRQ_DICT(TRQ_KV("account", 8))) < 0)
            wrong++;
        sched_yield();
    }
    return NULL;
}

static bool each_once(void)
{
    for (int n = 0; n < JOBS; n++)
        if (runs[n] != (n % 7 ? 1 : 2) || mended[n] != 1)
            return false;
    return true;
}

int main(void)
{
    pthread_t callers[CALLERS], looker;
    int first[CALLERS];
    struct trq_error error = {0};
    memset(filler, 'x', JOBS);
    engine = fx_start(FX_CONFIG(.threads = 3),
                      FX_APP(.name = "app", .workers = TRQ_WORKERS(&pay, &locked)));
    FX_MUST(pthread_create(&looker, NULL, look, NULL) == 0);
    for (int i = 0; i < CALLERS; i++) {
        first[i] = i;
        FX_MUST(pthread_create(&callers[i], NULL, call, &first[i]) == 0);
    }
    for (int i = 0; i < CALLERS; i++)
        FX_MUST(pthread_join(callers[i], NULL) == 0);
    FX_AWAIT(ends + refused >= JOBS);
    over = true;
    FX_MUST(pthread_join(looker, NULL) == 0);
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    TAP_OK(refused == 0 && ends == JOBS, "every old job was taken, and has ended");
    TAP_OK(wrong == 0, "each was mended from what it was given, and has that");
    TAP_OK(each_once(), "each was mended once, and ran as often as it asked to");
    TAP_OK(trq_engine_check(engine, &error) == TRQ_OK, "the engine contradicts itself nowhere");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
    return tap_done();
}
