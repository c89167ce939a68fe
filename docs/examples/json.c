/* Jobs from JSON text, and a job's inputs as JSON text. */
#include <stdio.h>
#include <tresque.h>
#include <tresque/json.h>

#define ORDER_INPUTS(F, W)                                                                         \
    F(W, i64, id, TRQ_REQUIRED, 0)                                                                 \
    F(W, bool, express, TRQ_OPTIONAL, false)                                                       \
    F(W, f64, discount, TRQ_OPTIONAL, 0.5)                                                         \
    F(W, json, lines, TRQ_OPTIONAL, "[]")
TRQ_INPUTS(order, ORDER_INPUTS);

static enum trq_end order_perform(struct trq_job *job)
{
    char text[256];
    long size = trq_job_inputs_json(job, text, sizeof text);
    if (size < 0 || size >= (long)sizeof text)
        return trq_fail(job, "inputs: %ld", size);
    printf("%s\n", text);
    return TRQ_DONE;
}
const struct trq_worker order = {TRQ_WORKER(order, "Shop::OrderWorker"), .retry = &trq_no_retry,
                                 .perform = order_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "shop", .workers = TRQ_WORKERS(&order)};

static void enqueue(struct trq_engine *engine, const char *worker, const char *json)
{
    struct trq_error error;
    int rc = trq_enqueue_json(engine, worker, trq_str_of(json), TRQ_OPTS(.error = &error), NULL);
    if (rc < 0)
        printf("%s: %s\n", trq_code_name(rc), error.text);
}

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    const char *const name = "Shop::OrderWorker";
    enqueue(engine, name, "{\"id\": 1}");
    enqueue(engine, name,
            "{\"lines\": [{\"sku\": \"a\", \"n\": 2}], \"express\": true, \"id\": 2}");
    enqueue(engine, name, "{\"id\": 3, \"note\": \"\\u00fcber\"}"); /* undeclared, kept */
    trq_engine_drain(engine, trq_forever());

    enqueue(engine, name, "{\"id\": \"four\"}");
    enqueue(engine, name, "{\"express\": true}");
    enqueue(engine, name, "{\"id\": 5, \"id\": 6}");
    enqueue(engine, name, "{\"id\": 7");
    enqueue(engine, "Shop::OdrerWorker", "{}");

    /* In a dictionary of C values, nested ones are JSON text. */
    if (trq_enqueue(engine, &order, TRQ_DICT(TRQ_KV("id", 8), TRQ_KV("lines", trq_json("[1, 2]"))),
                    NULL, NULL) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
