/* One worker, and the ways to give it its inputs: a struct that the compiler checks, or a dictionary that is
 * checked at enqueue. An input that is wrong is refused there, by a sentence that names it. */
#include <inttypes.h>
#include <stdio.h>
#include <tresque.h>

/* `accent` was added later: jobs that do not give it have "en". */
#define HARD_INPUTS(F, W)                                                                          \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, count, TRQ_REQUIRED, 0)                                                              \
    F(W, str, accent, TRQ_OPTIONAL, "en")
TRQ_INPUTS(hard, HARD_INPUTS);

static enum trq_end hard_perform(struct trq_job *job)
{
    const struct hard_in *in = hard_get(job);
    printf("%.*s, %" PRId64 " times, accent %.*s", (int)in->name.size, in->name.data, in->count,
           (int)in->accent.size, in->accent.data);

    /* By name, too: also what the worker does not declare. */
    struct trq_value from;
    if (trq_job_get(job, "from", &from) && from.type == TRQ_STR)
        printf(", from %.*s", (int)from.u.s.size, from.u.s.data);
    printf("\n");
    return TRQ_DONE;
}

const struct trq_worker hard = {TRQ_WORKER(hard, "HardWorker"), .perform = hard_perform};

static const struct trq_app app = {.size = sizeof app, .workers = TRQ_WORKERS(&hard)};

static void enqueue(struct trq_engine *engine, struct trq_dict inputs)
{
    struct trq_error error;
    int rc = trq_enqueue(engine, &hard, inputs, TRQ_OPTS(.error = &error), NULL);
    if (rc < 0)
        printf("%s: %s\n", trq_code_name(rc), error.text);
}

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 1; /* one after the other, so that the output has an order */
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }

    /* The struct form. Begin with the defaults where one of them is not zero. */
    struct hard_in in = hard_defaults();
    in.name = trq_str_of("bob");
    in.count = 5;
    if (hard_enqueue(engine, &in, NULL, NULL) < 0)
        return 1;

    /* The dictionary. */
    enqueue(engine, TRQ_DICT(TRQ_KV("name", "eve"), TRQ_KV("count", 2), TRQ_KV("accent", "de")));
    enqueue(engine, TRQ_DICT(TRQ_KV("count", 1), TRQ_KV("name", "joe"), TRQ_KV("from", "Graz")));
    trq_engine_drain(engine, trq_forever());

    /* What is wrong never becomes a job. */
    enqueue(engine, TRQ_DICT(TRQ_KV("name", "bob")));
    enqueue(engine, TRQ_DICT(TRQ_KV("name", "bob"), TRQ_KV("count", "five")));
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
