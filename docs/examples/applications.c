/* Two parts of a server, each of which registers itself and knows nothing of the other; and the order in which
 * their queues are worked. */
#include <stdio.h>
#include <tresque.h>

static enum trq_end say(struct trq_job *job)
{
    printf("%s: %s\n", trq_job_queue(job), trq_job_worker(job)->name);
    return TRQ_DONE;
}

/* ---- the account part ---------------------------------------------------------------------------- */

/* Without declared inputs. */
static const struct trq_worker geocode = {
    .size = sizeof geocode, .name = "Account::GeocodeWorker", .perform = say};
static const struct trq_worker reindex = {
    .size = sizeof reindex, .name = "Account::ReindexWorker", .queue = "refresh", .perform = say};

static int account_register(struct trq_engine *engine, struct trq_error *error)
{
    static const struct trq_queue queues[] = {{"default", 100, 0}, {"refresh", -5000, 0}, {0}};
    static const struct trq_worker *const workers[] = {&geocode, &reindex, NULL};
    static const struct trq_app app = {
        .size = sizeof app, .name = "account", .queues = queues, .workers = workers};
    return trq_register(engine, &app, error);
}

/* ---- the billing part ---------------------------------------------------------------------------- */

static const struct trq_worker charge = {
    .size = sizeof charge, .name = "Billing::ChargeWorker", .queue = "now", .perform = say};

static int billing_register(struct trq_engine *engine, struct trq_error *error)
{
    static const struct trq_queue queues[] = {{"now", 1000, 0}, {0}};
    static const struct trq_worker *const workers[] = {&charge, NULL};
    static const struct trq_app app = {
        .size = sizeof app, .name = "billing", .queues = queues, .workers = workers};
    return trq_register(engine, &app, error);
}

/* ---- the server ---------------------------------------------------------------------------------- */

static int enqueue(struct trq_engine *engine, const struct trq_worker *worker, const char *queue)
{
    struct trq_error error;
    int rc =
        trq_enqueue(engine, worker, TRQ_DICT_NONE, TRQ_OPTS(.queue = queue, .error = &error), NULL);
    if (rc < 0)
        printf("%s: %s\n", trq_code_name(rc), error.text);
    return rc;
}

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 1;
    if (trq_engine_create(&config, &engine, &error) < 0 || account_register(engine, &error) < 0 ||
        billing_register(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    char text[256];
    trq_queues_text(engine, text, sizeof text);
    printf("TResque: %s\n", text);

    /* Before the start, so that all of them wait. The lightest first: it runs last all the same. */
    enqueue(engine, &reindex, NULL);
    enqueue(engine, &geocode, NULL);
    enqueue(engine, &reindex, "default"); /* short: of the worker's application */
    enqueue(engine, &charge, NULL);
    enqueue(engine, &charge, "account_refresh"); /* full: any */
    enqueue(engine, &charge, "nwo");             /* nobody's */

    if (trq_engine_start(engine, &error) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
