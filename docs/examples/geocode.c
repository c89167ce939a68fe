/* An address is geocoded when its postal code has changed, and when nobody has typed for half a minute; at the latest two
 * minutes after the first change. The clock is the test's. */
#include <inttypes.h>
#include <stdio.h>
#include <tresque.h>
#include <tresque/test.h>

/* ---- the host's own world -------------------------------------------------------------------------- */

struct address {
    char postal_code[12];
    char geocoded[12]; /* for which code the map has a point */
};
struct book {
    struct address address[2];
};

/* ---- the worker -------------------------------------------------------------------------------------- */

#define GEOCODE_INPUTS(F, W) F(W, i64, address_id, TRQ_REQUIRED, 0)
TRQ_INPUTS(geocode, GEOCODE_INPUTS);

static struct address *address(struct trq_job *job)
{
    struct book *book = trq_job_host(job);
    return &book->address[geocode_get(job)->address_id];
}

/* Changed and changed back: the map is right. */
static bool geocode_needed(struct trq_job *job)
{
    return strcmp(address(job)->postal_code, address(job)->geocoded) != 0;
}

/* It reads the code of now: which one it was when the job was enqueued does not matter. */
static enum trq_end geocode_perform(struct trq_job *job)
{
    strcpy(address(job)->geocoded, address(job)->postal_code);
    printf("    geocoded %s\n", address(job)->geocoded);
    return TRQ_DONE;
}

const struct trq_worker geocode = {
    TRQ_WORKER(geocode, "Account::GeocodeWorker"),
    .needed = geocode_needed,
    .perform = geocode_perform,
    .queue_lock = TRQ_LOCK(.inputs = (const char *const[]){TRQ_FIELD(geocode, address_id), NULL},
                           .on_conflict = TRQ_DEBOUNCE, .max_wait = {INT64_C(120000000000)}),
};
static const struct trq_app app = {
    .size = sizeof app, .name = "account", .workers = TRQ_WORKERS(&geocode)};

/* ---- saving an address --------------------------------------------------------------------------------- */

static void save(struct trq_engine *engine, struct book *book, int64_t id, const char *code)
{
    struct address *a = &book->address[id];
    if (strcmp(a->postal_code, code) == 0) {
        printf("  saved %s: nothing to do\n", code);
        return;
    }
    snprintf(a->postal_code, sizeof a->postal_code, "%s", code);
    const struct geocode_in in = {.address_id = id};
    int rc = geocode_enqueue_in(engine, trq_seconds(30), &in, NULL);
    printf("  saved %s: %s\n", code, trq_code_name(rc));
}

static void pass(struct trq_engine *engine, int seconds)
{
    int ran = trq_test_advance(engine, trq_seconds(seconds));
    printf("  %d s later, %d run\n", seconds, ran);
}

int main(void)
{
    static const struct trq_app *const apps[] = {&app, NULL};
    struct book book = {0};
    struct trq_engine *engine = NULL;
    if (trq_test_engine(&book, (struct trq_wall){0}, apps, &engine, NULL) < 0)
        return 1;

    printf("three changes\n");
    save(engine, &book, 0, "8010");
    pass(engine, 10);
    save(engine, &book, 0, "8020");
    pass(engine, 10);
    save(engine, &book, 0, "8020");
    save(engine, &book, 0, "8036");
    pass(engine, 29);
    pass(engine, 1);

    printf("changed, and changed back\n");
    save(engine, &book, 0, "1010");
    save(engine, &book, 0, "8036");
    pass(engine, 30);

    printf("somebody who never stops\n");
    for (int i = 0; i < 6; i++) {
        save(engine, &book, 1, i % 2 ? "4020" : "4030");
        pass(engine, 20);
    }
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
