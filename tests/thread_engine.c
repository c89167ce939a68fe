/* The engine under many threads: nothing is lost, nothing runs twice, and the order is the one that is promised.
 *
 * Pauses are random, from a printed seed. What is checked are counts and orders, never times. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { SCALE = 1 };
#else
enum { SCALE = 6 };
#endif

enum { PRODUCERS = 8, PER_PRODUCER = 4000 * SCALE, JOBS = PRODUCERS * PER_PRODUCER };

static unsigned seed_of(int i)
{
    return 20240607u + (unsigned)i * 7919u;
}
static void pause_a_little(unsigned *seed)
{
    int r = rand_r(seed) % 64;
    if (r == 0)
        sched_yield();
    for (volatile int i = 0; r < 4 && i < r * 50; i++)
        ;
}

/* ---- every job ends once ------------------------------------------------------------------------------ */

#define STEP_INPUTS(F, W)                                                                          \
    F(W, i64, number, TRQ_OPTIONAL, 0)                                                             \
    F(W, i64, rounds, TRQ_OPTIONAL, 0)                                                             \
    F(W, str, text, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(step, STEP_INPUTS);

static atomic_uchar runs[JOBS], wanted_runs[JOBS], ends[JOBS];
static atomic_int torn, failures;
static atomic_bool over;

static enum trq_end step_perform(struct trq_job *job)
{
    const struct step_in *in = step_get(job);
    for (size_t i = 0; i < in->text.size; i++)
        if (in->text.data[i] != (char)('a' + in->number % 26))
            atomic_fetch_add(&torn, 1);
    int run = atomic_fetch_add(&runs[in->number], 1) + 1;
    if (run <= in->rounds)
        return trq_requeue(job);
    return in->number % 5 ? TRQ_DONE : trq_fail(job, "number %lld", (long long)in->number);
}
const struct trq_worker step = {TRQ_WORKER(step, "Step"), .retry = &trq_no_retry,
                                .perform = step_perform};

static void step_ended(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    ptrdiff_t number = (atomic_uchar *)event->tag - ends;
    if (event->outcome != (number % 5 ? TRQ_WAS_DONE : TRQ_WAS_DEAD) || !error == !(number % 5))
        atomic_fetch_add(&failures, 1);
    atomic_fetch_add(&ends[number], 1);
}

static const char *const queues[] = {"high", "default", "low", "e1", "e2", "app_e3"};
static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 900, 0}, {"default", 100, 0}, {"low", -9, 0}, {"e1", 5, 0},
                         {"e2", 5, 0}, {"e3", 5, 0}),
    .workers = TRQ_WORKERS(&step),
};

struct producer {
    pthread_t thread;
    struct trq_engine *engine;
    int index;
};

static struct step_in random_step(int64_t number, unsigned *seed, char *text)
{
    struct step_in in = {.number = number};
    size_t size = rand_r(seed) % 4 ? 0 : (size_t)rand_r(seed) % (rand_r(seed) % 8 ? 300 : 9000);
    memset(text, (int)('a' + number % 26), size);
    in.rounds = rand_r(seed) % 6 ? 0 : rand_r(seed) % 3;
    in.text = (struct trq_str){text, size};
    atomic_store(&wanted_runs[number], (unsigned char)(in.rounds + 1));
    return in;
}

static void *produce(void *arg)
{
    char(*text)[9000] = malloc(32 * sizeof *text);
    struct producer *p = arg;
    unsigned seed = seed_of(p->index);
    int64_t first = (int64_t)p->index * PER_PRODUCER, last = first + PER_PRODUCER;
    for (int64_t n = first; n < last;) {
        struct trq_opts opts = trq_opts_init();
        opts.queue = queues[rand_r(&seed) % 6];
        opts.on_end = step_ended;
        opts.wake_later = rand_r(&seed) % 4 == 0;
        opts.wait_for_room = fx_long();
        opts.tag = &ends[n];
        /* Those of a bulk have one tag, so on_end is for single ones. */
        int64_t many = rand_r(&seed) % 8 ? 1 : 1 + rand_r(&seed) % 32;
        if (many > last - n)
            many = last - n;
        struct step_in in[32];
        for (int64_t i = 0; i < many; i++)
            in[i] = random_step(n + i, &seed, text[i]);
        if (many > 1) {
            opts.on_end = NULL;
            for (int64_t i = 0; i < many; i++)
                atomic_store(&ends[n + i], 1);
        }
        int rc = many == 1 ? step_enqueue(p->engine, in, &opts, NULL)
                           : step_enqueue_many(p->engine, in, (size_t)many, &opts, NULL);
        if (rc != TRQ_OK)
            atomic_fetch_add(&failures, 1);
        if (opts.wake_later && rand_r(&seed) % 4 == 0)
            trq_wake(p->engine);
        pause_a_little(&seed);
        n += many;
    }
    trq_wake(p->engine);
    free(text);
    return NULL;
}

/* Meanwhile: new queues and raised weights, pauses, and somebody who reads all figures. */
static void *disturb(void *arg)
{
    struct producer *p = arg;
    unsigned seed = seed_of(100 + p->index);
    for (int i = 0; !atomic_load(&over); i++) {
        char name[16], full[20];
        struct trq_worker_stats w = {.size = sizeof w};
        struct trq_queue_stats q = {.size = sizeof q};
        struct trq_engine_stats e = {.size = sizeof e};
        switch (p->index) {
        case 0:
            snprintf(name, sizeof name, "new%d", i % 40);
            struct trq_queue two[] = {
                {name, rand_r(&seed) % 2000 - 1000, 0}, {"e1", 5 + i, 0}, {NULL, 0, 0}};
            if (trq_register(p->engine, FX_APP(.name = "app", .queues = two), NULL) != TRQ_OK)
                atomic_fetch_add(&failures, 1);
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
            break;
        case 1:
            snprintf(full, sizeof full, "app_%s", i % 2 ? "high" : "low");
            if (trq_queue_pause(p->engine, full, NULL) != TRQ_OK)
                atomic_fetch_add(&failures, 1);
            nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
            if (trq_queue_resume(p->engine, full, NULL) != TRQ_OK)
                atomic_fetch_add(&failures, 1);
            break;
        default:
            if (trq_stats_worker(p->engine, "Step", &w) != TRQ_OK ||
                trq_stats_queue(p->engine, "app_default", &q) != TRQ_OK ||
                trq_stats_engine(p->engine, &e) != TRQ_OK || q.depth > 2 * JOBS ||
                w.enqueued > JOBS || e.asleep > e.threads)
                atomic_fetch_add(&failures, 1);
            nanosleep(&(struct timespec){.tv_nsec = 300000}, NULL);
        }
    }
    return NULL;
}

static void nothing_is_lost(int threads, uint32_t jobs_max)
{
    enum { DISTURBERS = 3 };
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = threads, .jobs_max = jobs_max), &app);
    struct producer producer[PRODUCERS], disturber[DISTURBERS];
    for (int i = 0; i < JOBS; i++) {
        atomic_store(&runs[i], 0);
        atomic_store(&ends[i], 0);
    }
    atomic_store(&over, false);
    for (int i = 0; i < DISTURBERS; i++) {
        disturber[i] = (struct producer){.engine = engine, .index = i};
        pthread_create(&disturber[i].thread, NULL, disturb, &disturber[i]);
    }
    for (int i = 0; i < PRODUCERS; i++) {
        producer[i] = (struct producer){.engine = engine, .index = i};
        pthread_create(&producer[i].thread, NULL, produce, &producer[i]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producer[i].thread, NULL);
    atomic_store(&over, true);
    for (int i = 0; i < DISTURBERS; i++)
        pthread_join(disturber[i].thread, NULL);
    tap_note("seed %u, %d threads, jobs_max %u", seed_of(0), threads, jobs_max);
    TAP_OK(trq_engine_drain(engine, fx_long()) == TRQ_OK, "a drain comes to an end");
    int wrong_runs = 0, wrong_ends = 0;
    for (int i = 0; i < JOBS; i++) {
        wrong_runs += atomic_load(&runs[i]) != atomic_load(&wanted_runs[i]);
        wrong_ends += atomic_load(&ends[i]) != 1;
    }
    TAP_OK(wrong_runs == 0, "every job ran as often as it asked");
    TAP_OK(wrong_ends == 0, "every end was told once");
    TAP_OK(atomic_load(&torn) == 0, "inputs arrived whole");
    struct trq_worker_stats s = fx_stats(engine, "Step");
    TAP_OK(s.enqueued == JOBS && s.done + s.dead == JOBS && s.started == JOBS + s.requeued,
           "counters balance");
    TAP_OK(trq_engine_destroy(engine) == TRQ_OK && atomic_load(&failures) == 0,
           "no call failed, and no end was another's");
}

/* ---- order ------------------------------------------------------------------------------------------------- */

static int64_t last_of[PRODUCERS]; /* by the one worker thread */
static int overtakers;

static enum trq_end in_order(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n"), p = n >> 32;
    overtakers += n <= last_of[p];
    last_of[p] = n;
    return TRQ_DONE;
}
static const struct trq_worker ordered = {.size = sizeof ordered,
                                          .name = "Ordered",
                                          .inputs = &num_inputs,
                                          .retry = &trq_no_retry,
                                          .perform = in_order};

static void *produce_in_order(void *arg)
{
    struct producer *p = arg;
    unsigned seed = seed_of(p->index);
    struct num_in in[16];
    for (int64_t n = 1; n < PER_PRODUCER;) {
        size_t many = rand_r(&seed) % 3 ? 1 : 1 + rand_r(&seed) % 16;
        for (size_t i = 0; i < many; i++)
            in[i].n = (int64_t)p->index << 32 | n++;
        FX_MUST(trq_enqueue_many(p->engine, &ordered, &num_inputs, in, many,
                                 TRQ_OPTS(.wait_for_room = fx_long()), NULL) == TRQ_OK);
        pause_a_little(&seed);
    }
    return NULL;
}

static void one_queue_is_fifo(void)
{
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 1, .jobs_max = 3000),
                                         FX_APP(.name = "app", .workers = TRQ_WORKERS(&ordered)));
    struct producer producer[PRODUCERS];
    for (int i = 0; i < PRODUCERS; i++) {
        producer[i] = (struct producer){.engine = engine, .index = i};
        pthread_create(&producer[i].thread, NULL, produce_in_order, &producer[i]);
    }
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producer[i].thread, NULL);
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    TAP_OK(overtakers == 0, "rule 2.3: jobs of one producer in one queue are begun in their order");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

/* ---- strictness -------------------------------------------------------------------------------------------- */

static atomic_long heavy_returned, heavy_started, heavy_missed;
static atomic_int strict_threads;
static _Thread_local long returned_before_look;

/* The thread looks for its next job after this one has returned. What was enqueued by then it has to prefer; up to
 * all other threads may have taken such a job and not have begun to count it. */
static enum trq_end heavy_perform(struct trq_job *job)
{
    (void)job;
    atomic_fetch_add(&heavy_started, 1);
    returned_before_look = atomic_load(&heavy_returned);
    return TRQ_DONE;
}
static enum trq_end light_perform(struct trq_job *job)
{
    (void)job;
    long taken = atomic_load(&heavy_started) + atomic_load(&strict_threads) - 1;
    if (taken < returned_before_look)
        atomic_fetch_add(&heavy_missed, 1);
    returned_before_look = atomic_load(&heavy_returned);
    return TRQ_DONE;
}
static const struct trq_worker heavy = {.size = sizeof heavy,
                                        .name = "Heavy",
                                        .queue = "heavy",
                                        .retry = &trq_no_retry,
                                        .perform = heavy_perform};
static const struct trq_worker light = {
    .size = sizeof light, .name = "Light", .retry = &trq_no_retry, .perform = light_perform};

static void *produce_heavy(void *arg)
{
    struct producer *p = arg;
    unsigned seed = seed_of(p->index);
    for (int i = 0; i < PER_PRODUCER; i++) {
        FX_MUST(trq_enqueue(p->engine, &heavy, TRQ_DICT_NONE, TRQ_OPTS(.wait_for_room = fx_long()),
                            NULL) == TRQ_OK);
        atomic_fetch_add(&heavy_returned, 1);
        pause_a_little(&seed);
    }
    return NULL;
}
static void *produce_light(void *arg)
{
    struct producer *p = arg;
    unsigned seed = seed_of(p->index);
    char queue[8];
    for (int i = 0; !atomic_load(&over); i++) {
        snprintf(queue, sizeof queue, "l%d", i % 40);
        int rc = trq_enqueue(p->engine, &light, TRQ_DICT_NONE, TRQ_OPTS(.queue = queue), NULL);
        FX_MUST(rc == TRQ_OK || rc == TRQ_EFULL);
        if (rc == TRQ_EFULL)
            sched_yield();
        pause_a_little(&seed);
    }
    return NULL;
}

static void weights_are_strict(int threads, bool registering)
{
    struct trq_engine *engine =
        fx_start(FX_CONFIG(.threads = threads, .jobs_max = 2000),
                 FX_APP(.name = "app", .queues = TRQ_QUEUES({"heavy", INT32_MAX, 0}),
                        .workers = TRQ_WORKERS(&heavy, &light)));
    struct producer p[3], disturber = {.engine = engine, .index = 0};
    char name[8];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof name, "l%d", i);
        FX_MUST(trq_register(engine, FX_APP(.name = "app", .queues = TRQ_QUEUES({name, 3 * i, 0})),
                             NULL) == TRQ_OK);
    }
    atomic_store(&over, false);
    atomic_store(&heavy_returned, 0);
    atomic_store(&heavy_started, 0);
    atomic_store(&strict_threads, threads);
    for (int i = 0; i < 3; i++) {
        p[i] = (struct producer){.engine = engine, .index = i};
        pthread_create(&p[i].thread, NULL, i ? produce_heavy : produce_light, &p[i]);
    }
    if (registering)
        pthread_create(&disturber.thread, NULL, disturb, &disturber);
    for (int i = 2; i >= 1; i--)
        pthread_join(p[i].thread, NULL);
    atomic_store(&over, true);
    pthread_join(p[0].thread, NULL);
    if (registering)
        pthread_join(disturber.thread, NULL);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    tap_note("%d threads%s: %ld heavy, %llu light", threads, registering ? ", registering" : "",
             atomic_load(&heavy_started), (unsigned long long)fx_stats(engine, "Light").done);
    TAP_OK(atomic_load(&heavy_missed) == 0,
           "rule 2.3: who looks after a heavier job was enqueued begins no lighter one before it");
    TAP_OK(atomic_load(&heavy_started) == 2 * PER_PRODUCER, "and none is lost");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

#ifndef __SANITIZE_THREAD__ /* which needs some MiB for each thread */
/* ---- threads come and go ----------------------------------------------------------------------------------- */

static struct fx_gate all_there = FX_GATE;
static atomic_int said[2]; /* TRQ_OK, TRQ_ENOMEM */

static void *enqueue_and_stay(void *arg)
{
    int rc = fx_enqueue(arg, 1, NULL);
    FX_MUST(rc == TRQ_OK || rc == TRQ_ENOMEM);
    atomic_fetch_add(&said[rc != TRQ_OK], 1);
    fx_gate_pass(&all_there);
    return NULL;
}

static int many_threads(struct trq_engine *engine, int count)
{
    pthread_t *thread = calloc((size_t)count, sizeof *thread);
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    all_there.arrived = 0;
    all_there.open = false;
    int made = 0;
    while (made < count && pthread_create(&thread[made], &small, enqueue_and_stay, engine) == 0)
        made++;
    fx_gate_await(&all_there, made);
    fx_gate_open(&all_there);
    for (int i = 0; i < made; i++)
        pthread_join(thread[i], NULL);
    pthread_attr_destroy(&small);
    free(thread);
    return made;
}

static void threads_have_a_limit(void)
{
    enum { LIMIT = 4096, MORE = 50 };
    static struct fx fx = FX_INIT;
    struct trq_engine *engine = fx_start(FX_CONFIG(.threads = 1, .host = &fx), &fx_app);
    int made = many_threads(engine, LIMIT + MORE);
    if (made < LIMIT + MORE) {
        tap_note("only %d threads can be made here", made);
    } else {
        /* One is the pool's, and this thread has one from the registration. */
        TAP_OK(atomic_load(&said[0]) == LIMIT - 2 && atomic_load(&said[1]) == MORE + 2,
               "4,096 threads may use an engine at one time, the next is out of memory");
        atomic_store(&said[0], 0);
        many_threads(engine, 100);
        TAP_OK(atomic_load(&said[0]) == 100, "and when they have ended, others may");
    }
    TAP_OK(trq_engine_drain(engine, fx_long()) == TRQ_OK, "what they enqueued has run");
    struct trq_worker_stats s = fx_stats(engine, NULL);
    TAP_OK(s.done == s.enqueued, "counters balance");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

#endif

int main(void)
{
    nothing_is_lost(4, 0);
    nothing_is_lost(4, 100);
    nothing_is_lost(64, 5000);
    one_queue_is_fifo();
    weights_are_strict(1, false);
    weights_are_strict(1, true);
    weights_are_strict(4, true);
#ifndef __SANITIZE_THREAD__
    threads_have_a_limit();
#endif
    return tap_done();
}
