/* Unit tests of one's own workers: no threads, no waiting; jobs run when the test says so, one after the other. */
#include <stdio.h>
#include <tresque.h>
#include <tresque/test.h>

/* ---- what is to be tested ------------------------------------------------------------------------------ */

struct mailer {
    int sent;
    bool down;
};

#define MAIL_INPUTS(F, W) F(W, str, to, TRQ_REQUIRED, NULL)
TRQ_INPUTS(mail, MAIL_INPUTS);

static enum trq_end mail_perform(struct trq_job *job)
{
    struct mailer *mailer = trq_job_host(job);
    if (mailer->down)
        return trq_fail(job, "the mailer is down");
    mailer->sent++;
    return TRQ_DONE;
}
const struct trq_worker mail = {TRQ_WORKER(mail, "MailWorker"), .perform = mail_perform};

/* One mail for each member: enqueued by a handler. */
static enum trq_end everybody_perform(struct trq_job *job)
{
    static const char *const members[] = {"ann", "bob", "eve"};
    for (int i = 0; i < 3; i++) {
        const struct mail_in in = {.to = trq_str_of(members[i])};
        if (mail_enqueue(trq_job_engine(job), &in, NULL, NULL) < 0)
            return trq_fail(job, "enqueue");
    }
    return TRQ_DONE;
}
static const struct trq_worker everybody = {
    .size = sizeof everybody, .name = "EverybodyWorker", .perform = everybody_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "mail", .workers = TRQ_WORKERS(&mail, &everybody)};

/* ---- the tests ------------------------------------------------------------------------------------------- */

static const struct trq_app *const apps[] = {&app, NULL};
static int failures;

static void check(bool is_true, const char *claim)
{
    printf("%s: %s\n", is_true ? "good" : "BAD", claim);
    failures += !is_true;
}

static struct trq_engine *engine_with(struct mailer *mailer)
{
    struct trq_engine *engine = NULL;
    struct trq_error error;
    if (trq_test_engine(mailer, apps, &engine, &error) < 0)
        printf("%s\n", error.text);
    return engine;
}

static void test_everybody_gets_one(void)
{
    struct mailer mailer = {0};
    struct trq_engine *engine = engine_with(&mailer);
    if (trq_enqueue(engine, &everybody, TRQ_DICT_NONE, NULL, NULL) < 0)
        failures++;
    check(mailer.sent == 0, "nothing runs by itself");
    check(trq_test_step(engine) == 1 && mailer.sent == 0, "a step runs one job");
    struct trq_queue_stats queue = {.size = sizeof queue};
    trq_stats_queue(engine, "mail_default", &queue);
    check(queue.depth == 3, "which has enqueued three");
    check(trq_test_drain(engine) == 3 && mailer.sent == 3, "a drain runs them all");
    check(trq_test_step(engine) == 0, "then nothing is left");
    trq_engine_destroy(engine);
}

static void note_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    *(bool *)event->tag =
        event->outcome == TRQ_WAS_DEAD && strcmp(error->text, "the mailer is down") == 0;
}

static void test_a_failure_says_why(void)
{
    struct mailer mailer = {.down = true};
    struct trq_engine *engine = engine_with(&mailer);
    const struct mail_in in = {.to = trq_str_of("ann")};
    bool told = false;
    if (mail_enqueue(engine, &in, TRQ_OPTS(.on_end = note_end, .tag = &told), NULL) < 0)
        failures++;
    trq_test_drain(engine);
    check(told, "a failure says why");
    trq_engine_destroy(engine);
}

int main(void)
{
    test_everybody_gets_one();
    test_a_failure_says_why();
    return failures != 0;
}
