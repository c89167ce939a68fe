/* A job finds out at the last moment whether it is still needed, by one look-up that `needed` and `perform`
 * share: what the one has seen is what the other acts on. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <tresque.h>

/* ---- the host's own world -------------------------------------------------------------------------- */

struct invoice {
    int64_t id, payee_id;
    bool pending;
};
struct shop {
    struct invoice invoices[3];
    int lookups, released;
};

/* NULL: there is none. The caller frees it. */
static struct invoice *find_invoice(struct shop *shop, int64_t id)
{
    shop->lookups++;
    for (size_t i = 0; i < sizeof shop->invoices / sizeof *shop->invoices; i++)
        if (shop->invoices[i].id == id) {
            struct invoice *copy = malloc(sizeof *copy);
            if (copy)
                *copy = shop->invoices[i];
            return copy;
        }
    return NULL;
}

/* ---- the worker -------------------------------------------------------------------------------------- */

#define CHARGE_INPUTS(F, W) F(W, i64, invoice_id, TRQ_REQUIRED, 0)
TRQ_INPUTS(charge, CHARGE_INPUTS);

struct charge_state {
    bool looked;
    struct invoice *invoice;
};

/* @invoice ||= Invoice.find(invoice_id) */
static const struct invoice *invoice(struct trq_job *job)
{
    struct charge_state *s = trq_job_state(job);
    if (!s->looked) {
        s->invoice = find_invoice(trq_job_host(job), charge_get(job)->invoice_id);
        s->looked = true;
    }
    return s->invoice;
}

static bool charge_needed(struct trq_job *job)
{
    return !invoice(job) || invoice(job)->pending;
}

static enum trq_end charge_perform(struct trq_job *job)
{
    if (!invoice(job))
        return trq_discard(job, "there is no invoice %" PRId64, charge_get(job)->invoice_id);
    trq_job_set_result(job, &invoice(job)->payee_id, sizeof invoice(job)->payee_id);
    return TRQ_DONE;
}

static void charge_drop(void *state, struct trq_job *job)
{
    struct charge_state *s = state;
    struct shop *shop = trq_job_host(job);
    free(s->invoice);
    shop->released++;
}

const struct trq_worker charge = {
    TRQ_WORKER(charge, "Billing::ChargeWorker"),
    .needed = charge_needed,
    .perform = charge_perform,
    .state_size = sizeof(struct charge_state),
    .state_drop = charge_drop,
};

static const struct trq_app app = {
    .size = sizeof app, .name = "billing", .workers = TRQ_WORKERS(&charge)};

/* ---- the end of a job, told on the thread that ran it -------------------------------------------------- */

static void told(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    printf("%s: %s", (const char *)event->tag, trq_outcome_name(event->outcome));
    if (event->outcome == TRQ_WAS_DONE) {
        int64_t payee_id;
        memcpy(&payee_id, event->result, sizeof payee_id);
        printf(", payee %" PRId64, payee_id);
    }
    printf("%s%s\n", error ? ", " : "", error ? error->text : "");
}

int main(void)
{
    struct shop shop = {.invoices = {{1, 70, true}, {2, 71, false}}};
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 1;
    config.host = &shop;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    static char names[3][8] = {"pending", "paid", "unknown"};
    static const int64_t ids[] = {1, 2, 99};
    for (int i = 0; i < 3; i++) {
        const struct charge_in in = {.invoice_id = ids[i]};
        if (charge_enqueue(engine, &in, TRQ_OPTS(.on_end = told, .tag = names[i]), NULL) < 0)
            return 1;
    }
    trq_engine_drain(engine, trq_forever());
    printf("%d runs, %d look-ups\n", shop.released, shop.lookups);
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
