/* A graceful stop: what runs may finish, within a time; what waits is told that it was dropped; who still runs
 * is named, and one can go on waiting. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <tresque.h>

struct server {
    atomic_bool begun, answered;
};

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000}, NULL);
}

/* Long loops look at trq_job_should_stop. */
static enum trq_end polite(struct trq_job *job)
{
    struct server *server = trq_job_host(job);
    atomic_store(&server->begun, true);
    while (!trq_job_should_stop(job))
        pause_ms(1);
    return trq_fail(job, "interrupted");
}

/* Waits for something else, and never looks. */
static enum trq_end stubborn(struct trq_job *job)
{
    struct server *server = trq_job_host(job);
    atomic_store(&server->begun, true);
    while (!atomic_load(&server->answered))
        pause_ms(1);
    return TRQ_DONE;
}

static const struct trq_worker polite_worker = {
    .size = sizeof polite_worker, .name = "Polite", .perform = polite};
static const struct trq_worker stubborn_worker = {
    .size = sizeof stubborn_worker, .name = "Stubborn", .perform = stubborn};

static const struct trq_app app = {.size = sizeof app,
                                   .workers = TRQ_WORKERS(&polite_worker, &stubborn_worker)};

static void told(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    printf("  told: %s: %s%s%s\n", (const char *)event->tag, trq_outcome_name(event->outcome),
           error ? ", " : "", error ? error->text : "");
}

/* The tags: who is told about which job. */
static char first[] = "the first", second[] = "the second", third[] = "the third";

static int enqueue(struct trq_engine *engine, const struct trq_worker *worker, char *tag)
{
    return trq_enqueue(engine, worker, TRQ_DICT_NONE, TRQ_OPTS(.on_end = told, .tag = tag), NULL);
}

static int stop(struct trq_engine *engine, struct trq_span at_most)
{
    struct trq_leftover left = {.size = sizeof left};
    int rc = trq_engine_stop(engine, at_most, &left);
    printf("stop: %s, %" PRIu32 " still running, %" PRIu64 " dropped\n", trq_code_name(rc),
           left.still_running, left.dropped);
    if (left.still_running)
        printf("  runs: %.*s...\n", (int)strcspn(left.running, "0123456789"), left.running);
    return rc;
}

/* An engine of one thread that runs a job of this worker, with two jobs behind it. */
static struct trq_engine *busy_engine(struct server *server, const struct trq_worker *worker)
{
    struct trq_engine *engine = NULL;
    struct trq_error error;
    struct trq_config config = trq_config_init();
    config.threads = 1;
    config.host = server;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0 || enqueue(engine, worker, first) < 0 ||
        enqueue(engine, worker, second) < 0 || enqueue(engine, worker, third) < 0)
        return NULL;
    while (!atomic_load(&server->begun))
        pause_ms(1);
    return engine;
}

int main(void)
{
    struct server server = {false, false};
    struct trq_engine *engine = busy_engine(&server, &polite_worker);
    if (!engine)
        return 1;
    stop(engine, trq_minutes(1));
    printf("enqueue: %s\n", trq_code_name(enqueue(engine, &polite_worker, first)));
    trq_engine_destroy(engine);

    atomic_store(&server.begun, false);
    engine = busy_engine(&server, &stubborn_worker);
    if (!engine)
        return 1;
    stop(engine, trq_ms(20));
    /* Its handler may still use what the engine lends to it. */
    printf("destroy: %s\n", trq_code_name(trq_engine_destroy(engine)));
    atomic_store(&server.answered, true);
    stop(engine, trq_minutes(1));
    printf("destroy: %s\n", trq_code_name(trq_engine_destroy(engine)));
    return 0;
}
