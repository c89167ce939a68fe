/* Retries: a service that is down for two calls, one that is gone, and one that refuses. On a clock of its own, so that three
 * weeks pass at once; a program that serves has threads, and waits that long. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <tresque.h>
#include <tresque/test.h>

/* ---- the world outside ------------------------------------------------------------------------------------ */

struct service {
    const char *host;
    int calls, bad; /* the first so many calls are answered ... */
    int answer;     /* ... so; those after them with 200 */
};
static struct service services[] = {{"flaky.example", 0, 2, 503},
                                    {"gone.example", 0, INT32_MAX, 503},
                                    {"strict.example", 0, 1, 404}};

/* The order's number goes along: a service that gets it twice knows that it has it already. */
static int http_put(struct trq_str host, int64_t order)
{
    struct service *s = services;
    (void)order;
    while (strncmp(s->host, host.data, host.size) != 0)
        s++;
    return ++s->calls <= s->bad ? s->answer : 200;
}

/* ---- the worker ------------------------------------------------------------------------------------------- */

#define ORDER_INPUTS(F, W)                                                                         \
    F(W, str, host, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, order, TRQ_REQUIRED, 0)
TRQ_INPUTS(order, ORDER_INPUTS);

static enum trq_end order_perform(struct trq_job *job)
{
    const struct order_in *in = order_get(job);
    int status = http_put(in->host, in->order);
    if (status == 200) {
        printf("order %" PRId64 " is there at attempt %d; before it was: %s\n", in->order,
               trq_job_attempt(job), trq_job_last_error(job));
        return TRQ_DONE;
    }
    if (status >= 500) /* perhaps it is well later */
        return trq_fail(job, "%.*s says %d", TRQ_STR_ARG(in->host), status);
    /* It will never be. */
    return trq_discard(job, "%.*s says %d", TRQ_STR_ARG(in->host), status);
}

/* The last attempt has failed: tell somebody. */
static void order_exhausted(struct trq_job *job, const struct trq_error *error)
{
    printf("order %" PRId64 " needs a human: %s\n", order_get(job)->order, error->text);
}

const struct trq_worker order = {
    TRQ_WORKER(order, "OrderWorker"),
    .perform = order_perform,
    .exhausted = order_exhausted,
    /* The default's delays, but without chance, so that this program always prints the same. */
    .retry = TRQ_RETRY(.jitter = TRQ_JITTER_NONE),
};
static const struct trq_app app = {
    .size = sizeof app, .name = "shop", .workers = TRQ_WORKERS(&order)};

/* ---- three orders ------------------------------------------------------------------------------------------ */

static void told(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    printf("  %s at run %d%s%s\n", trq_outcome_name(event->outcome), (int)event->attempts,
           error ? ": " : "", error ? error->text : "");
}

static struct trq_job_id send(struct trq_engine *engine, const char *host, int64_t number)
{
    const struct order_in in = {.host = trq_str_of(host), .order = number};
    struct trq_job_id id = {0};
    if (order_enqueue(engine, &in, TRQ_OPTS(.on_end = told), &id) < 0)
        printf("not enqueued\n");
    trq_test_drain(engine);
    return id;
}

static void why(struct trq_engine *engine, struct trq_job_id id)
{
    struct trq_why why = {.size = sizeof why};
    if (trq_explain(engine, id, &why) == TRQ_OK)
        printf("%s\n", why.text);
}

int main(void)
{
    static const struct trq_app *const apps[] = {&app, NULL};
    const struct trq_wall new_year = trq_wall_seconds(1767225600); /* 2026 */
    struct trq_engine *engine;
    struct trq_error error;
    if (trq_test_engine(NULL, new_year, apps, &engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    struct trq_job_id id = send(engine, "flaky.example", 1);
    why(engine, id);
    trq_test_advance(engine, trq_seconds(15));
    why(engine, id);
    trq_test_advance(engine, trq_seconds(16));

    send(engine, "strict.example", 2);

    id = send(engine, "gone.example", 3);
    trq_test_advance(engine, trq_hours(20 * 24));
    why(engine, id);
    struct trq_failure last[TRQ_FAILURES_KEPT];
    size_t count = 0;
    trq_failures(engine, id, last, TRQ_FAILURES_KEPT, &count);
    for (size_t i = 0; i < count; i++)
        printf("  attempt %d, on day %d: %s\n", (int)last[i].attempt,
               (int)((last[i].at.ns - new_year.ns) / trq_hours(24).ns), last[i].text);
    trq_test_advance(engine, trq_hours(24));
    trq_engine_destroy(engine);
    return 0;
}
