/* What an engine says about itself: counters and times of each worker, depth and age of each queue. */
#include <inttypes.h>
#include <stdio.h>
#include <tresque.h>

#define STEP_INPUTS(F, W) F(W, i64, number, TRQ_REQUIRED, 0)
TRQ_INPUTS(step, STEP_INPUTS);

/* Numbers that 5 divides fail, the other even ones are not needed. */
static bool step_needed(struct trq_job *job)
{
    int64_t n = step_get(job)->number;
    return n % 2 == 1 || n % 5 == 0;
}
static enum trq_end step_perform(struct trq_job *job)
{
    int64_t n = step_get(job)->number;
    return n % 5 ? TRQ_DONE : trq_fail(job, "5 divides %" PRId64, n);
}
const struct trq_worker step = {TRQ_WORKER(step, "StepWorker"), .needed = step_needed,
                                .retry = &trq_no_retry, .perform = step_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "steps", .workers = TRQ_WORKERS(&step)};

/* The counters are one list, so a program that prints them needs no change when one is added. */
static void print_counters(const struct trq_worker_stats *s)
{
#define PRINT(name, sentence) printf("  %3" PRIu64 " %s\n", s->name, sentence);
    TRQ_COUNTERS(PRINT)
#undef PRINT
}

static void print_queues(struct trq_engine *engine)
{
    const char *names[16];
    size_t count = trq_queue_names(engine, names, 16);
    for (size_t i = 0; i < count && i < 16; i++) {
        struct trq_queue_stats q = {.size = sizeof q};
        if (trq_stats_queue(engine, names[i], &q) == TRQ_OK)
            printf("%s: weight %d, %" PRIu64 " waiting%s%s\n", names[i], q.weight, q.depth,
                   q.paused ? ", paused" : "", q.oldest.ns ? ", the oldest for a while" : "");
    }
}

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 1;
    config.sample_every = 1; /* every job's times; by default one in 32 */
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0)
        return 1;
    struct step_in ins[20];
    for (int64_t i = 0; i < 20; i++)
        ins[i].number = i + 1;
    if (step_enqueue_many(engine, ins, 20, NULL, NULL) < 0 ||
        trq_queue_pause(engine, "steps_default", &error) < 0 ||
        trq_engine_start(engine, &error) < 0)
        return 1;
    print_queues(engine);
    trq_queue_resume(engine, "steps_default", NULL);
    trq_engine_drain(engine, trq_forever());
    print_queues(engine);

    struct trq_worker_stats s = {.size = sizeof s};
    if (trq_stats_worker(engine, "StepWorker", &s) < 0)
        return 1;
    printf("StepWorker:\n");
    print_counters(&s);
    bool plausible = s.wait.max.ns >= s.run.p50.ns && s.run.p50.ns <= s.run.p99.ns;
    printf("%" PRIu64 " timed%s\n", s.run.count, plausible ? "" : ", strangely");
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
