/* The dead set under fire: threads kill, retry, delete and look at once. Each death has exactly one end: it was lost and
 * told, retried, merged, or deleted, or it is in the set still. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { JOBS = 6000, ROUNDS = 10 };
#else
enum { JOBS = 40000, ROUNDS = 60 };
#endif

enum { KILLERS = 2, NUMBERS = 40 * JOBS, PAGE = 24, KEYS = 50 };

#define INPUTS(F, W)                                                                               \
    F(W, i64, key, TRQ_REQUIRED, 0)                                                                \
    F(W, i64, lane, TRQ_OPTIONAL, 0)                                                               \
    F(W, str, text, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(mortal, INPUTS);

static struct trq_engine *engine;
static atomic_uchar ends[NUMBERS]; /* of each death, by number */
static atomic_long lost, retried, merged, deleted, full, wrong, late, seen;
static atomic_bool over, stopped;
static atomic_uint chance;
static atomic_uint die_of_16; /* so many runs fail */

static void end(uint64_t number)
{
    if (number < NUMBERS)
        atomic_fetch_add(&ends[number], 1);
    else
        atomic_fetch_add(&wrong, 1);
}

static void on_lost(void *host, const struct trq_dead *dead)
{
    (void)host;
    atomic_fetch_add(&late, atomic_load(&stopped));
    atomic_fetch_add(&lost, 1);
    end(dead->number);
}

/* ---- jobs --------------------------------------------------------------------------------------------------------- */

static enum trq_end work(struct trq_job *job)
{
    atomic_fetch_add(&late, atomic_load(&stopped));
    uint32_t n = atomic_fetch_add(&chance, 1) * 2654435761u >> 28;
    return n < die_of_16 ? trq_fail(job, "%lld", (long long)trq_job_get_i64(job, "key")) : TRQ_DONE;
}

static const struct trq_lock by_key = {.size = sizeof by_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_lock by_lane = {.size = sizeof by_lane,
                                        .inputs = (const char *const[]){"lane", NULL}};
#define WORKER(name_)                                                                              \
    .size = sizeof(struct trq_worker), .name = (name_), .inputs = &mortal_inputs,                  \
    .retry = &trq_no_retry, .perform = work
static const struct trq_worker plain = {WORKER("Plain")};
static const struct trq_worker once = {WORKER("Once"), .queue_lock = &by_key,
                                       .expires_in = {3600000000000}};
static const struct trq_worker slow = {WORKER("Slow"), .queue_lock = &by_key,
                                       .worker_lock = &by_lane};
static const struct trq_app app = {
    .size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&plain, &once, &slow)};

static void enqueue(unsigned *seed)
{
    static const struct trq_worker *const worker[] = {&plain, &once, &slow};
    static const char text[300] = "";
    struct mortal_in in = {
        rand_r(seed) % KEYS, rand_r(seed) % 3, {text, rand_r(seed) % 4 ? 3 : sizeof text}};
    int rc = trq_enqueue_struct(engine, worker[rand_r(seed) % 3], &mortal_inputs, &in,
                                TRQ_OPTS(.wait_for_room = fx_long()), NULL);
    atomic_fetch_add(&wrong, rc != TRQ_OK && rc != TRQ_DUPLICATE);
}

static void *kill_some(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < JOBS; i++)
        enqueue(&seed);
    return NULL;
}

/* ---- what is done to the dead -------------------------------------------------------------------------------------- */

/* From somewhere in the set. */
static long look(unsigned *seed, struct trq_dead *page)
{
    struct trq_dead first;
    uint64_t after = 0;
    if (trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, &first, 1) == 1)
        after = first.number + (unsigned)rand_r(seed) % 100;
    long count =
        trq_dead_list(engine, NULL, TRQ_DICT_NONE, rand_r(seed) % 2 ? after : 0, page, PAGE);
    atomic_fetch_add(&wrong, count < 0);
    for (long i = 1; i < count; i++)
        atomic_fetch_add(&wrong, page[i].number <= page[i - 1].number);
    return count;
}

static int retry(const struct trq_dead *dead)
{
    struct trq_job_id now = {0, 0};
    int rc = trq_dead_retry(engine, dead->id, &now);
    if (rc == TRQ_OK || rc == TRQ_DUPLICATE) {
        atomic_fetch_add(rc == TRQ_OK ? &retried : &merged, 1);
        end(dead->number);
    }
    atomic_fetch_add(&full, rc == TRQ_EFULL);
    atomic_fetch_add(&wrong, (rc == TRQ_OK || rc == TRQ_DUPLICATE) != (now.birth != 0));
    return rc;
}

static void *retry_some(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct trq_dead page[PAGE];
    while (!atomic_load(&over)) {
        long count = look(&seed, page);
        for (long i = 0; i < count; i++) {
            int rc = retry(&page[i]);
            atomic_fetch_add(&wrong, rc < 0 && rc != TRQ_EFULL);
        }
    }
    return NULL;
}

static void *delete_some(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct trq_dead page[PAGE];
    while (!atomic_load(&over)) {
        long count = look(&seed, page);
        for (long i = 0; i < count; i += 3)
            if (trq_dead_delete(engine, page[i].id) == TRQ_OK) {
                atomic_fetch_add(&deleted, 1);
                end(page[i].number);
            }
    }
    return NULL;
}

static void *look_at_some(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct trq_dead page[PAGE], again;
    struct trq_why why = {.size = sizeof why};
    char json[400];
    size_t kept;
    while (!atomic_load(&over)) {
        long count = look(&seed, page);
        for (long i = 0; i < count; i++) {
            if (trq_dead_get(engine, page[i].id, &again) == TRQ_OK)
                atomic_fetch_add(&wrong, again.number != page[i].number ||
                                             strcmp(again.text, page[i].text) != 0);
            if (trq_dead_json(engine, page[i].id, json, sizeof json, NULL) == TRQ_OK)
                atomic_fetch_add(&wrong, atoll(json + 7) != atoll(page[i].text));
            trq_explain(engine, page[i].id, &why);
            struct trq_failure failure;
            if (trq_failures(engine, page[i].id, &failure, 1, &kept) == TRQ_OK && kept)
                atomic_fetch_add(&wrong, strcmp(failure.text, page[i].text) != 0);
            atomic_fetch_add(&seen, 1);
        }
        atomic_fetch_add(
            &wrong, trq_dead_list(engine, &once, TRQ_DICT(TRQ_KV("key", 3)), 0, page, PAGE) < 0);
    }
    return NULL;
}

/* All that match, by the calls for many. */
static void *sweep_some(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    while (!atomic_load(&over)) {
        struct trq_dict key = TRQ_DICT(TRQ_KV("key", rand_r(&seed) % KEYS));
        long count = trq_dead_retry_matching(engine, rand_r(&seed) % 2 ? &slow : NULL, key);
        if (count > 0)
            atomic_fetch_add(&retried, count);
        atomic_fetch_add(&wrong, count < 0 && count != TRQ_EFULL);
        key = TRQ_DICT(TRQ_KV("key", rand_r(&seed) % KEYS));
        count = trq_dead_delete_matching(engine, &plain, key);
        atomic_fetch_add(count < 0 ? &wrong : &deleted, count < 0 ? 1 : count);
    }
    return NULL;
}

/* ---- rounds ----------------------------------------------------------------------------------------------------------- */

static void open_engine(uint32_t jobs_max, uint32_t dead_max, unsigned die)
{
    memset(ends, 0, sizeof ends);
    lost = retried = merged = deleted = full = wrong = late = seen = 0;
    over = stopped = false;
    die_of_16 = die;
    engine = fx_start(FX_CONFIG(.threads = 2, .jobs_max = jobs_max, .dead_max = dead_max,
                                .on_dead_lost = on_lost),
                      &app);
}

static struct trq_engine_stats engine_stats(void)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    FX_MUST(trq_stats_engine(engine, &stats) == TRQ_OK);
    return stats;
}

static void check(void)
{
    struct trq_error error = {0};
    bool good = TAP_OK(trq_engine_check(engine, &error) == TRQ_OK, "the books are right");
    if (!good)
        tap_note("%s", error.text);
}

static void fire(void *(*const *what)(void *), int count, bool by_number)
{
    pthread_t killer[KILLERS], other[8];
    open_engine(64, 100, 12);
    for (int i = 0; i < count; i++)
        pthread_create(&other[i], NULL, what[i], (void *)(uintptr_t)(i + 1));
    for (int i = 0; i < KILLERS; i++)
        pthread_create(&killer[i], NULL, kill_some, (void *)(uintptr_t)(i + 100));
    for (int i = 0; i < KILLERS; i++)
        pthread_join(killer[i], NULL);
    atomic_store(&over, true);
    for (int i = 0; i < count; i++)
        pthread_join(other[i], NULL);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);

    struct trq_dead rest[100];
    long left = trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, rest, 100);
    for (long i = 0; i < left; i++)
        end(rest[i].number);
    struct trq_worker_stats s = fx_stats(engine, NULL);
    struct trq_engine_stats e = engine_stats();
    long bad = 0;
    for (uint64_t i = 1; i <= s.dead && i < NUMBERS; i++)
        bad += ends[i] != 1;
    tap_note("%llu deaths: %ld lost, %ld retried, %ld merged, %ld deleted, %ld left; %ld full",
             (unsigned long long)s.dead, (long)lost, (long)retried, (long)merged, (long)deleted,
             left, (long)full);
    TAP_OK(wrong == 0, "no answer was wrong");
    TAP_OK(s.enqueued == s.done + s.dead, "each job has ended once");
    TAP_OK(s.dead == (uint64_t)(lost + retried + merged + deleted + left),
           "each death has had one end");
    TAP_OK(!by_number || (bad == 0 && s.dead < NUMBERS), "and each number");
    TAP_OK(e.dead == (uint64_t)left && e.dead_lost == (uint64_t)lost && left <= 100,
           "the counts are those");
    TAP_OK(lost && retried && deleted, "there was something to see");
    check();
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

/* Until the engine says no. */
static void *retry_until_stopped(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    struct trq_dead page[PAGE];
    for (int rc = 0; rc != TRQ_ESTOPPED;) {
        long count = look(&seed, page);
        for (long i = 0; i < count && rc != TRQ_ESTOPPED; i++) {
            rc = retry(&page[i]);
            atomic_fetch_add(&wrong, rc < 0 && rc != TRQ_ESTOPPED && rc != TRQ_EFULL);
        }
        if (!count && stopped)
            break;
    }
    return NULL;
}

/* What was retried runs or is dropped, what was refused is dead still, whenever the stop comes. */
static void stop_meanwhile(int round)
{
    pthread_t thread[3];
    unsigned seed = (unsigned)round;
    open_engine(512, 20, 16);
    for (int i = 0; i < 60; i++)
        enqueue(&seed);
    for (int i = 0; i < 3; i++)
        pthread_create(&thread[i], NULL, retry_until_stopped, (void *)(uintptr_t)(i + 1));
    FX_AWAIT(atomic_load(&retried) > 20 * (round % 10));
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    atomic_store(&stopped, true);
    for (int i = 0; i < 3; i++)
        pthread_join(thread[i], NULL);
    struct trq_worker_stats s = fx_stats(engine, NULL);
    struct trq_dead rest[20];
    long left = trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, rest, 20);
    bool good = wrong == 0 && late == 0 && s.enqueued == s.done + s.dead + s.dropped &&
                s.dead == (uint64_t)(lost + retried + merged + left) &&
                trq_engine_check(engine, NULL) == TRQ_OK;
    if (!good || round == ROUNDS - 1)
        TAP_OK(good, "a stop that comes between leaves nobody neither dead nor alive");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

int main(void)
{
    static void *(*const singly[])(void *) = {retry_some, retry_some, delete_some, look_at_some};
    static void *(*const in_bulk[])(void *) = {sweep_some, sweep_some, retry_some, look_at_some};
    fire(singly, 4, true);
    fire(in_bulk, 4, false);
    for (int round = 0; round < ROUNDS; round++)
        stop_meanwhile(round);
    return tap_done();
}
