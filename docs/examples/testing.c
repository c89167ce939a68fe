/* Unit tests of one's own workers: no threads, no waiting; jobs run when the test says so, one after the other, and time
 * passes when it says so. */
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
/* While a mail to somebody waits, a second one is not enqueued. */
const struct trq_worker mail = {
    TRQ_WORKER(mail, "MailWorker"),
    .retry = &trq_no_retry,
    .perform = mail_perform,
    .queue_lock = TRQ_LOCK_ON(TRQ_FIELD(mail, to)),
};

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
    if (trq_test_engine(mailer, (struct trq_wall){0}, apps, &engine, &error) < 0)
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

static void test_a_reminder_comes_a_week_later(void)
{
    struct mailer mailer = {0};
    struct trq_engine *engine = engine_with(&mailer);
    const struct mail_in in = {.to = trq_str_of("ann")};
    const struct trq_dict to_ann = TRQ_DICT(TRQ_KV("to", "ann"));
    const struct trq_wall now = trq_now(engine);
    struct trq_wall due;
    if (mail_enqueue_in(engine, trq_hours(7 * 24), &in, NULL) < 0)
        failures++;
    check(trq_test_scheduled(engine, &mail, to_ann, &due) == 1, "a reminder is scheduled");
    check(due.ns == trq_wall_add(now, trq_hours(7 * 24)).ns, "in a week");
    check(trq_test_advance(engine, trq_hours(7 * 24 - 1)) == 0, "an hour before, nothing runs");
    check(trq_test_advance(engine, trq_hours(1)) == 1 && mailer.sent == 1, "then it does");
    trq_engine_destroy(engine);
}

static void test_two_mails_to_one_are_one(void)
{
    struct mailer mailer = {0};
    struct trq_engine *engine = engine_with(&mailer);
    const struct mail_in in = {.to = trq_str_of("ann")};
    const struct trq_dict to_ann = TRQ_DICT(TRQ_KV("to", "ann"));
    check(!trq_test_locked(engine, &mail, to_ann), "nothing waits for ann");
    check(mail_enqueue(engine, &in, NULL, NULL) == TRQ_OK, "the first is queued");
    check(trq_test_locked(engine, &mail, to_ann), "and holds its lock");
    check(mail_enqueue(engine, &in, NULL, NULL) == TRQ_DUPLICATE, "the second is a duplicate");
    check(trq_test_count(engine, &mail, to_ann) == 1, "so one waits");
    check(trq_test_drain(engine) == 1 && mailer.sent == 1, "and is sent");
    trq_engine_destroy(engine);
}

int main(void)
{
    test_everybody_gets_one();
    test_a_failure_says_why();
    test_a_reminder_comes_a_week_later();
    test_two_mails_to_one_are_one();
    return failures != 0;
}
