/* Workers that the tests of --load bring. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <tresque.h>
#include <tresque/json.h>

/* Not in a header of tresque: the program looks for it by name. */
int trq_plugin_init(struct trq_engine *engine);

#define ECHO_INPUTS(F, W) F(W, str, text, TRQ_REQUIRED, NULL)
TRQ_INPUTS(echo, ECHO_INPUTS);

static enum trq_end echo_perform(struct trq_job *job)
{
    const struct echo_in *in = echo_get(job);
    if (trq_job_set_result(job, in->text.data, in->text.size) < 0)
        return trq_fail(job, "%zu bytes are too many", in->text.size);
    return TRQ_DONE;
}
static const struct trq_worker echo_worker = {TRQ_WORKER(echo, "Account::EchoWorker"),
                                              .queue = "refresh", .retry = &trq_no_retry,
                                              .perform = echo_perform};

static enum trq_end never_perform(struct trq_job *job)
{
    return trq_fail(job, "it was not needed");
}
static bool never_needed(struct trq_job *job)
{
    (void)job;
    return false;
}
static const struct trq_worker never_worker = {.size = sizeof never_worker,
                                               .name = "Account::NeverWorker",
                                               .retry = &trq_no_retry,
                                               .perform = never_perform,
                                               .needed = never_needed};

static enum trq_end give_up_perform(struct trq_job *job)
{
    return trq_discard(job, "no such account");
}
static const struct trq_worker give_up_worker = {.size = sizeof give_up_worker,
                                                 .name = "Account::GiveUpWorker",
                                                 .retry = &trq_no_retry,
                                                 .perform = give_up_perform};

static enum trq_end fail_perform(struct trq_job *job)
{
    return trq_fail(job, "no luck");
}
static const struct trq_worker fail_worker = {TRQ_WORKER_PLAIN("Account::FailWorker"),
                                              .perform = fail_perform};

/* A job made by a job, with a tag of its own: the program's business with tags must not meet it. */
static enum trq_end parent_perform(struct trq_job *job)
{
    static int tag;
    const struct trq_opts opts = {.size = sizeof opts, .tag = &tag};
    const int rc = trq_enqueue(trq_job_engine(job), &echo_worker, TRQ_DICT(TRQ_KV("text", "child")),
                               &opts, NULL);
    return rc < 0 ? trq_fail(job, "%s", trq_code_name(rc)) : TRQ_DONE;
}
static const struct trq_worker parent_worker = {.size = sizeof parent_worker,
                                                .name = "Account::ParentWorker",
                                                .retry = &trq_no_retry,
                                                .perform = parent_perform};

/* One that is due soon, and one that never will be. */
static enum trq_end planner_perform(struct trq_job *job)
{
    struct trq_engine *engine = trq_job_engine(job);
    const struct trq_dict in = TRQ_DICT(TRQ_KV("text", "child"));
    struct trq_job_id id;
    if (trq_enqueue(engine, &echo_worker, in, TRQ_OPTS(.in = trq_ms(50)), NULL) < 0 ||
        trq_enqueue(engine, &echo_worker, in, TRQ_OPTS(.in = trq_hours(1)), &id) < 0)
        return trq_fail(job, "cannot plan");
    return trq_cancel(engine, id) == TRQ_OK ? TRQ_DONE : trq_fail(job, "cannot cancel");
}
static const struct trq_worker planner_worker = {
    TRQ_WORKER_PLAIN("Account::PlannerWorker"), .retry = &trq_no_retry, .perform = planner_perform};

/* Its result is what it was given, as far as that goes. */
static enum trq_end note_perform(struct trq_job *job)
{
    char text[256];
    const long size = trq_job_inputs_json(job, text, sizeof text);
    const size_t kept = size < TRQ_RESULT_MAX ? (size_t)size : TRQ_RESULT_MAX;
    return trq_job_set_result(job, text, kept) == TRQ_OK ? TRQ_DONE : TRQ_FAILED;
}
static const struct trq_worker note_worker = {TRQ_WORKER_PLAIN("Account::NoteWorker"),
                                              .perform = note_perform};

/* Enqueues a job, and cancels it once it runs. */
#define ABANDON_INPUTS(F, W)                                                                       \
    F(W, str, worker, TRQ_REQUIRED, NULL)                                                          \
    F(W, json, json, TRQ_REQUIRED, NULL)
TRQ_INPUTS(abandon, ABANDON_INPUTS);
static enum trq_end abandon_perform(struct trq_job *job)
{
    struct trq_engine *engine = trq_job_engine(job);
    const struct abandon_in *in = abandon_get(job);
    const struct timespec pause = {.tv_nsec = 1000 * 1000};
    struct trq_job_id id;
    char worker[64];
    snprintf(worker, sizeof worker, "%.*s", TRQ_STR_ARG(in->worker));
    if (trq_enqueue_json(engine, worker, in->json, NULL, &id) < 0)
        return trq_fail(job, "cannot enqueue");
    struct trq_why now = {.size = sizeof now};
    while (trq_explain(engine, id, &now) == TRQ_OK && now.state != TRQ_IS_RUNNING)
        nanosleep(&pause, NULL);
    return trq_cancel(engine, id) == TRQ_ASKED ? TRQ_DONE : trq_fail(job, "it does not run");
}
static const struct trq_worker abandon_worker = {TRQ_WORKER(abandon, "Account::AbandonWorker"),
                                                 .perform = abandon_perform};

/* Waits between its runs, with a thread for nobody: n of them. */
#define AGAIN_INPUTS(F, W) F(W, i64, n, TRQ_OPTIONAL, 5)
TRQ_INPUTS(again, AGAIN_INPUTS);
static atomic_int agains;
static enum trq_end again_perform(struct trq_job *job)
{
    return atomic_fetch_add(&agains, 1) + 1 < again_get(job)->n ? trq_requeue_in(job, trq_ms(20))
                                                                : TRQ_DONE;
}
static const struct trq_worker again_worker = {TRQ_WORKER(again, "Account::AgainWorker"),
                                               .retry = &trq_no_retry, .perform = again_perform};

/* One with a lock of its own. */
static const struct trq_worker once_worker = {TRQ_WORKER(echo, "Account::OnceWorker"),
                                              .queue_lock = TRQ_LOCK_ON("text"),
                                              .retry = &trq_no_retry, .perform = echo_perform};

/* Of no application: it stands beside Exec. */
static const struct trq_worker alone_worker = {TRQ_WORKER(echo, "AloneWorker"),
                                               .retry = &trq_no_retry, .perform = echo_perform};

static const struct trq_queue queues[] = {{"default", 100, 0}, {"refresh", -5000, 0}, {NULL, 0, 0}};
static const struct trq_worker *const workers[] = {
    &echo_worker,  &never_worker, &give_up_worker, &parent_worker,  &planner_worker,
    &again_worker, &once_worker,  &fail_worker,    &abandon_worker, &note_worker,
    NULL};
static const struct trq_worker *const alone[] = {&alone_worker, NULL};
static const struct trq_app account = {
    .size = sizeof account, .name = "account", .queues = queues, .workers = workers};
static const struct trq_app nobody = {.size = sizeof nobody, .workers = alone};

int trq_plugin_init(struct trq_engine *engine)
{
    const int rc = trq_register(engine, &account, NULL);
    return rc < 0 ? rc : trq_register(engine, &nobody, NULL);
}
