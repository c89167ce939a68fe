/* Rule 10.3 under fire: a stop while eight threads enqueue. Each accepted job ends once, and after the stop has said
 * OK nothing runs and no callback fires. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { ROUNDS = 12 };
#else
enum { ROUNDS = 60 };
#endif

enum { PRODUCERS = 8, PER_PRODUCER = 20000, BULK = 24 };

/* So that a stop is busy closing queues while the other one comes. */
enum { QUEUES = 300 };
static char names[QUEUES][8];
static struct trq_queue queues[QUEUES + 1];

static struct trq_engine *engine;
static struct trq_channel *channel;
static atomic_uchar ends[PRODUCERS][PER_PRODUCER];
static atomic_long accepted, done, dropped, ran, late, wrong;
static atomic_bool stopped;
static atomic_int stoppers;
static bool may_wait; /* for room: not in poll mode */

static enum trq_end work(struct trq_job *job)
{
    atomic_fetch_add(&late, atomic_load(&stopped));
    atomic_fetch_add(&ran, 1);
    int64_t n = trq_job_get_i64(job, "n");
    if (n % 64 == 1 && trq_job_attempt(job) == 1 && !trq_job_should_stop(job))
        return trq_requeue(job);
    if (n % 16 == 2) /* its end is nobody's concern; at a stop it is refused */
        FX_MUST(trq_enqueue(engine, trq_job_worker(job), TRQ_DICT_NONE, TRQ_OPTS(.queue = "low"),
                            NULL) != TRQ_EINVAL);
    return TRQ_DONE;
}
static const struct trq_worker worker = {
    .size = sizeof worker, .name = "Worker", .inputs = &num_inputs, .perform = work};

static void ended(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    (void)error;
    atomic_fetch_add(&late, atomic_load(&stopped));
    atomic_fetch_add(event->outcome == TRQ_WAS_DONE ? &done : &dropped, 1);
    if (event->outcome != TRQ_WAS_DONE && event->outcome != TRQ_WAS_DROPPED)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add((atomic_uchar *)event->tag, 1);
    /* Also here, where a stop may be waiting for us. */
    if (trq_engine_stop(engine, trq_forever(), NULL) != TRQ_EINVAL)
        atomic_fetch_add(&wrong, 1);
}

struct producer {
    pthread_t thread;
    int index;
    unsigned seed;
};

/* A bulk's jobs share the tag: as many ends come as it has jobs. */
static void *produce(void *arg)
{
    static const char *const queue[] = {NULL, "low", "many_q299"}; /* of the last to be closed */
    struct producer *p = arg;
    struct num_in in[BULK];
    for (int n = 0; n < PER_PRODUCER; n++) {
        int many = rand_r(&p->seed) % 4 ? 1 : 1 + rand_r(&p->seed) % BULK;
        for (int i = 0; i < many; i++)
            in[i].n = rand_r(&p->seed);
        struct trq_opts opts = trq_opts_init();
        struct trq_job_id ids[BULK] = {{7, 7}};
        opts.tag = &ends[p->index][n];
        opts.on_end = ended;
        opts.wake_later = rand_r(&p->seed) % 8 == 0;
        opts.queue = queue[rand_r(&p->seed) % 3];
        if (rand_r(&p->seed) % 4 == 0)
            opts.channel = channel;
        if (may_wait && rand_r(&p->seed) % 2)
            opts.wait_for_room = fx_long();
        int rc = trq_enqueue_many(engine, &worker, &num_inputs, in, (size_t)many, &opts, ids);
        if (rc == TRQ_OK) {
            atomic_fetch_add(&accepted, many);
            atomic_fetch_sub(&ends[p->index][n], (unsigned char)many);
            continue;
        }
        if (ids[0].slot != 7 || (rc != TRQ_EFULL && rc != TRQ_ESTOPPED))
            atomic_fetch_add(&wrong, 1);
        if (rc == TRQ_ESTOPPED)
            break;
        n--; /* full: nothing was used */
        sched_yield();
    }
    return NULL;
}

static void *drain_channel(void *arg)
{
    struct trq_event events[32];
    while (!atomic_load((atomic_bool *)arg))
        if (trq_channel_drain(channel, events, 32) == 0)
            sched_yield();
    return NULL;
}

static void *stop(void *arg)
{
    (void)arg;
    int rc;
    atomic_fetch_add(&stoppers, 1);
    while (atomic_load(&stoppers) < 2)
        ; /* both at one instant */
    while ((rc = trq_engine_stop(engine, trq_us(300), NULL)) == TRQ_ETIMEOUT)
        ;
    atomic_store(&stopped, true);
    FX_MUST(rc == TRQ_OK);
    return NULL;
}

static void *poll_it(void *arg)
{
    (void)arg;
    int rc;
    while ((rc = trq_engine_poll(engine, 100, trq_ns(0))) >= 0)
        ;
    FX_MUST(rc == TRQ_ESTOPPED);
    return NULL;
}

/* The engine is stopped once `after` jobs have run; one that is not started, when it has taken so many. */
static void one_round(int threads, uint32_t jobs_max, bool started, long after, unsigned seed)
{
    struct producer producer[PRODUCERS];
    pthread_t drainer, second, poller;
    atomic_bool drained = false;
    long before = atomic_load(&accepted);
    atomic_store(&stoppers, 0);
    atomic_store(&stopped, false);
    atomic_store(&ran, 0);
    may_wait = threads != TRQ_THREADS_NONE && started;
    engine = fx_create(FX_CONFIG(.threads = threads, .jobs_max = jobs_max),
                       FX_APP(.name = "app", .queues = TRQ_QUEUES({"low", -1, 0}),
                              .workers = TRQ_WORKERS(&worker)));
    if (started)
        FX_MUST(trq_engine_start(engine, NULL) == TRQ_OK);
    FX_MUST(trq_register(engine, FX_APP(.name = "many", .queues = queues), NULL) == TRQ_OK);
    FX_MUST(trq_channel_create(engine, 500, &channel) == TRQ_OK);
    pthread_create(&drainer, NULL, drain_channel, &drained);
    if (threads == TRQ_THREADS_NONE)
        pthread_create(&poller, NULL, poll_it, NULL);
    for (int i = 0; i < PRODUCERS; i++) {
        producer[i] = (struct producer){.index = i, .seed = seed + (unsigned)i};
        pthread_create(&producer[i].thread, NULL, produce, &producer[i]);
    }
    FX_AWAIT((started ? atomic_load(&ran) : atomic_load(&accepted) - before) >= after);
    pthread_create(&second, NULL, stop, NULL);
    stop(NULL);
    pthread_join(second, NULL);
    for (int i = 0; i < PRODUCERS; i++)
        pthread_join(producer[i].thread, NULL);
    if (threads == TRQ_THREADS_NONE)
        pthread_join(poller, NULL);
    atomic_store(&drained, true);
    pthread_join(drainer, NULL);
    struct trq_worker_stats s = fx_stats(engine, NULL);
    struct trq_leftover left = {.size = sizeof left};
    FX_MUST(trq_engine_stop(engine, trq_ns(0), &left) == TRQ_OK);
    if (s.enqueued != fx_ended(&s) || s.dropped != left.dropped)
        atomic_fetch_add(&wrong, 1);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

static void stops(int threads, uint32_t jobs_max, bool started, const char *what)
{
    int unbalanced = 0;
    atomic_store(&accepted, 0);
    atomic_store(&done, 0);
    atomic_store(&dropped, 0);
    memset(ends, 0, sizeof ends);
    for (int i = 0; i < QUEUES; i++) {
        snprintf(names[i], sizeof names[i], "q%d", i);
        queues[i] = (struct trq_queue){names[i], i, 0};
    }
    for (unsigned i = 0; i < ROUNDS; i++)
        one_round(threads, jobs_max, started, (long)i * i, 99 + 1000 * i);
    for (int i = 0; i < PRODUCERS; i++)
        for (int n = 0; n < PER_PRODUCER; n++)
            unbalanced += atomic_load(&ends[i][n]) != 0;
    tap_note("%s: %ld accepted, %ld done, %ld dropped", what, atomic_load(&accepted),
             atomic_load(&done), atomic_load(&dropped));
    TAP_OK(atomic_load(&done) + atomic_load(&dropped) == atomic_load(&accepted),
           "what was accepted is done or dropped, and told");
    TAP_OK(unbalanced == 0, "each job once");
    TAP_OK(atomic_load(&late) == 0, "after a stop has said OK nothing runs and no callback fires");
    TAP_OK(atomic_load(&wrong) == 0, "counters balance, and no call says what it may not");
}

int main(void)
{
    stops(4, 0, true, "4 threads");
    stops(4, 64, true, "4 threads, 64 jobs");
    stops(64, 8192, true, "64 threads");
    stops(TRQ_THREADS_NONE, 300, true, "polled");
    stops(4, 0, false, "never started");
    return tap_done();
}
