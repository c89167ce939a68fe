/* The dead set: a bug kills invoices; somebody sees them, mends it, and tries them again. Without threads, and without delays
 * between attempts, so that all happens at once and always the same. */
#include <inttypes.h>
#include <stdio.h>
#include <tresque.h>

struct office {
    bool has_german; /* the template that was forgotten */
};

/* ---- the worker ---------------------------------------------------------------------------------------------- */

#define INVOICE_INPUTS(F, W)                                                                       \
    F(W, str, customer, TRQ_REQUIRED, NULL)                                                        \
    F(W, str, language, TRQ_OPTIONAL, "en")
TRQ_INPUTS(invoice, INVOICE_INPUTS);

static enum trq_end invoice_perform(struct trq_job *job)
{
    const struct invoice_in *in = invoice_get(job);
    const struct office *office = trq_job_host(job);
    if (*in->language.data != 'e' && !(*in->language.data == 'd' && office->has_german))
        return trq_fail(job, "no template for %.*s", TRQ_STR_ARG(in->language));
    printf("invoice to %.*s\n", TRQ_STR_ARG(in->customer));
    return TRQ_DONE;
}

/* For each that dies. */
static void invoice_exhausted(struct trq_job *job, const struct trq_error *error)
{
    printf("! %.*s has no invoice: %s\n", TRQ_STR_ARG(invoice_get(job)->customer), error->text);
}

static const struct trq_span at_once[] = {{0}, {0}};

const struct trq_worker invoice = {
    TRQ_WORKER(invoice, "InvoiceWorker"), .perform = invoice_perform,
    .exhausted = invoice_exhausted,
    .retry = TRQ_RETRY(.list = at_once, .list_count = 2), /* the default waits, for three weeks */
};
static const struct trq_app app = {
    .size = sizeof app, .name = "office", .workers = TRQ_WORKERS(&invoice)};

/* ---- somebody looks ------------------------------------------------------------------------------------------- */

/* Page by page, as a table in an admin's browser would; pages of two here. */
static void list(struct trq_engine *engine)
{
    struct trq_dead page[2];
    long count;
    printf("%" PRIu64 " dead\n", trq_dead_count(engine));
    for (uint64_t after = 0;
         (count = trq_dead_list(engine, NULL, TRQ_DICT_NONE, after, page, 2)) > 0;
         after = page[count - 1].number)
        for (long i = 0; i < count; i++) {
            char inputs[100];
            if (trq_dead_json(engine, page[i].id, inputs, sizeof inputs, NULL) == TRQ_OK)
                printf("  %d. %s %s, %d attempts: %s\n", (int)page[i].number, page[i].worker,
                       inputs, (int)page[i].failures, page[i].text);
        }
}

/* The set is full, and the oldest has to go: the last chance to write it down. */
static void on_dead_lost(void *host, const struct trq_dead *dead)
{
    (void)host;
    printf("! the dead job number %d is lost: %s: %s\n", (int)dead->number, dead->worker,
           dead->text);
}

static int send(struct trq_engine *engine, const char *customer, const char *language)
{
    const struct invoice_in in = {.customer = trq_str_of(customer),
                                  .language = trq_str_of(language)};
    int rc = invoice_enqueue(engine, &in, NULL, NULL);
    trq_engine_poll(engine, 0, trq_ns(0));
    return rc;
}

int main(void)
{
    struct office office = {.has_german = false};
    struct trq_config config = trq_config_init();
    struct trq_engine *engine;
    struct trq_error error;
    config.threads = TRQ_THREADS_NONE;
    config.host = &office;
    config.dead_max = 3;
    config.on_dead_lost = on_dead_lost;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (send(engine, "ann", "en") < 0 || send(engine, "max", "fi") < 0 ||
        send(engine, "eva", "de") < 0 || send(engine, "luc", "fr") < 0 ||
        send(engine, "ida", "de") < 0)
        return 1;
    list(engine);

    office.has_german = true;
    printf("%ld tried again\n",
           trq_dead_retry_matching(engine, &invoice, TRQ_DICT(TRQ_KV("language", "de"))));
    trq_engine_drain(engine, trq_forever());
    list(engine);

    /* He has paid in cash. */
    printf("%ld deleted\n",
           trq_dead_delete_matching(engine, &invoice, TRQ_DICT(TRQ_KV("customer", "luc"))));
    list(engine);
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
