/* An invoice is charged a day after it was sent: only if it is still pending then, never two at once for one payee, and
 * by one look-up a run. First on a clock that the test moves, then on threads. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <tresque.h>
#include <tresque/test.h>

/* ---- the host's own world -------------------------------------------------------------------------- */

enum { INVOICES = 60, PAYEES = 3 };

struct invoice {
    int64_t payee_id;
    bool pending;
};
struct shop {
    struct invoice invoices[INVOICES];
    atomic_int lookups, charges;
    atomic_int at_once[PAYEES], most_at_once; /* charges of a payee that are under way */
};

/* ---- the worker -------------------------------------------------------------------------------------- */

#define CHARGE_INPUTS(F, W) F(W, i64, invoice_id, TRQ_REQUIRED, 0)
TRQ_INPUTS(charge, CHARGE_INPUTS);

/* @invoice ||= Invoice.find(invoice_id): shared by the lock's key, needed and perform of one run. */
static struct invoice *invoice(struct trq_job *job)
{
    struct invoice **found = trq_job_state(job);
    struct shop *shop = trq_job_host(job);
    if (!*found) {
        *found = &shop->invoices[charge_get(job)->invoice_id];
        shop->lookups++;
    }
    return *found;
}

/* The payee is no input: he is looked up when the job is about to run, for the invoice may be another's by then. A job
 * that has to wait for its payee is a new run when its turn has come, and looks again. */
static enum trq_end payee(struct trq_job *job, struct trq_key *key)
{
    trq_key_i64(key, invoice(job)->payee_id);
    return TRQ_DONE;
}

static bool charge_needed(struct trq_job *job)
{
    return invoice(job)->pending;
}

static enum trq_end charge_perform(struct trq_job *job)
{
    struct shop *shop = trq_job_host(job);
    atomic_int *at_once = &shop->at_once[invoice(job)->payee_id];
    int n = ++*at_once;
    if (n > shop->most_at_once)
        shop->most_at_once = n;
    invoice(job)->pending = false;
    shop->charges++;
    --*at_once;
    return TRQ_DONE;
}

const struct trq_worker charge = {
    TRQ_WORKER(charge, "Billing::ChargeWorker"),
    .needed = charge_needed,
    .perform = charge_perform,
    .worker_lock = TRQ_LOCK_BY(payee),
    .state_size = sizeof(struct invoice *),
};
static const struct trq_app app = {
    .size = sizeof app, .name = "billing", .workers = TRQ_WORKERS(&charge)};

static int a_day_later(void)
{
    static const struct trq_app *const apps[] = {&app, NULL};
    static struct shop shop = {.invoices = {{0, true}, {1, true}}};
    struct trq_engine *engine = NULL;
    if (trq_test_engine(&shop, (struct trq_wall){0}, apps, &engine, NULL) < 0)
        return 1;
    for (int64_t id = 0; id < 2; id++)
        if (charge_enqueue_in(engine, trq_hours(24), &(struct charge_in){id}, NULL) < 0)
            return 1;
    printf("23 hours: %d run\n", trq_test_advance(engine, trq_hours(23)));
    shop.invoices[1].pending = false; /* paid meanwhile */
    printf("24 hours: %d run, ", trq_test_advance(engine, trq_hours(1)));
    printf("%d look-ups, %d charged\n", shop.lookups, shop.charges);
    return trq_engine_destroy(engine);
}

static int many_threads(void)
{
    static struct shop shop;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 4;
    config.host = &shop;
    if (trq_engine_create(&config, &engine, NULL) < 0 || trq_register(engine, &app, NULL) < 0 ||
        trq_engine_start(engine, NULL) < 0)
        return 1;
    for (int64_t id = 0; id < INVOICES; id++) {
        shop.invoices[id] = (struct invoice){id % PAYEES, true};
        if (charge_enqueue(engine, &(struct charge_in){id}, NULL, NULL) < 0)
            return 1;
    }
    trq_engine_drain(engine, trq_forever());
    printf("%d charged, of one payee at most %d at once\n", shop.charges, shop.most_at_once);
    return trq_engine_destroy(engine);
}

int main(void)
{
    return a_day_later() != 0 || many_threads() != 0;
}
