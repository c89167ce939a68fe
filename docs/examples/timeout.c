/* Limits of time: a run that stops when its time is up, jobs that may not outlast the one that made them, and one that does
 * not listen. The clock is the program's own, and work moves it, so that nothing waits and all is the same each time. A
 * program that serves has threads, and its on_stuck is called while the run still lasts. */
#include <inttypes.h>
#include <stdio.h>
#include <tresque.h>

#define MS INT64_C(1000000)

static int64_t now_ns; /* the clock */

static int64_t clock_read(void *context)
{
    return *(const int64_t *)context;
}

/* Work of that time; or a call of something that blocks, and has a time-out of its own. False: it took too long. */
static bool work(int64_t ms, struct trq_span at_most)
{
    bool in_time = ms * MS <= at_most.ns;
    now_ns += in_time ? ms * MS : at_most.ns;
    return in_time;
}

/* ---- a part of a page: a second each, as long as there is time ------------------------------------------- */

#define PART_INPUTS(F, W)                                                                          \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, pieces, TRQ_OPTIONAL, 1)
TRQ_INPUTS(part, PART_INPUTS);

static enum trq_end part_perform(struct trq_job *job)
{
    const struct part_in *in = part_get(job);
    printf("%.*s: %" PRId64 " ms left\n", TRQ_STR_ARG(in->name), trq_job_time_left(job).ns / MS);
    for (int i = 0; i < in->pieces; i++) {
        if (trq_job_should_stop(job))
            return trq_discard(job, "%d of %d pieces were done in time", i, (int)in->pieces);
        work(1000, trq_forever());
    }
    return TRQ_DONE;
}
const struct trq_worker part = {TRQ_WORKER(part, "PartWorker"), .perform = part_perform};

/* ---- a page, for which somebody waits: ten seconds ---------------------------------------------------------- */

static void told(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    printf("%s: %s%s%s\n", (const char *)event->tag, trq_outcome_name(event->outcome),
           error ? ", " : "", error ? error->text : "");
}

static char header[] = "header", body[] = "body", footer[] = "footer", page[] = "page",
            deaf[] = "deaf";

static int make_part(struct trq_job *job, char *name, int pieces)
{
    const struct part_in in = {.name = trq_str_of(name), .pieces = pieces};
    /* What this run may not outlast, the part may not either. */
    return part_enqueue(trq_job_engine(job), &in,
                        TRQ_OPTS(.inherit_deadline = true, .on_end = told, .tag = name), NULL);
}

static enum trq_end page_perform(struct trq_job *job)
{
    if (!work(2000, trq_job_time_left(job))) /* asks a database */
        return trq_fail(job, "the database does not answer");
    if (make_part(job, header, 3) < 0 || make_part(job, body, 100) < 0 ||
        make_part(job, footer, 1) < 0)
        return trq_fail(job, "enqueue");
    printf("page: %" PRId64 " ms left, for three parts\n", trq_job_time_left(job).ns / MS);
    return TRQ_DONE;
}
static const struct trq_worker page_worker = {.size = sizeof page_worker,
                                              .name = "PageWorker",
                                              .perform = page_perform,
                                              .timeout = {10000 * MS}};

/* ---- one that does not listen --------------------------------------------------------------------------------- */

static enum trq_end deaf_perform(struct trq_job *job)
{
    (void)job;
    work(7500, trq_forever());
    return TRQ_DONE;
}
static const struct trq_worker deaf_worker = {
    .size = sizeof deaf_worker, .name = "DeafWorker", .perform = deaf_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "site", .workers = TRQ_WORKERS(&part, &page_worker, &deaf_worker)};

/* Somebody should know: log it, count it, page who is on call. */
static void on_stuck(void *host, const struct trq_stuck *stuck)
{
    (void)host;
    printf("! %s of queue %s on thread %d should have ended %" PRId64 " ms ago\n", stuck->worker,
           stuck->queue, stuck->thread, stuck->over.ns / MS);
}

int main(void)
{
    const struct trq_hooks hooks = {
        .size = sizeof hooks, .context = &now_ns, .mono_ns = clock_read, .wall_ns = clock_read};
    struct trq_config config = trq_config_init();
    struct trq_engine *engine;
    struct trq_error error;
    config.threads = TRQ_THREADS_NONE;
    config.hooks = &hooks;
    config.on_stuck = on_stuck;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (trq_enqueue(engine, &page_worker, TRQ_DICT_NONE, TRQ_OPTS(.on_end = told, .tag = page),
                    NULL) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    if (trq_enqueue(engine, &deaf_worker, TRQ_DICT_NONE,
                    TRQ_OPTS(.timeout = trq_seconds(5), .on_end = told, .tag = deaf), NULL) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
