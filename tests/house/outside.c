/* A program outside the tree: it knows the installed headers and pkg-config, nothing else. */
#include <stdio.h>

#include <tresque.h>

#define GREET_INPUTS(F, W)                                                                         \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, times, TRQ_OPTIONAL, 1)
TRQ_INPUTS(greet, GREET_INPUTS);

static enum trq_end greet_perform(struct trq_job *job)
{
    const struct greet_in *in = greet_get(job);
    *(int64_t *)trq_job_host(job) += in->times;
    return TRQ_DONE;
}

const struct trq_worker greet = {TRQ_WORKER(greet, "Greet"), .perform = greet_perform};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "outside",
    .workers = TRQ_WORKERS(&greet),
};

int main(void)
{
    int64_t sum = 0;
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = 1;
    config.host = &sum;

    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0)
        goto bad;
    for (int64_t i = 1; i <= 10; i++)
        if (trq_enqueue(engine, &greet, TRQ_DICT(TRQ_KV("name", "bob"), TRQ_KV("times", i)),
                        TRQ_OPTS(.error = &error), NULL) < 0)
            goto bad;
    if (trq_engine_drain(engine, trq_seconds(30)) < 0 || trq_engine_destroy(engine) < 0)
        return 1;
    printf("%s: %lld\n", trq_version(), (long long)sum);
    return sum == 55 ? 0 : 1;
bad:
    fprintf(stderr, "%s: %s\n", trq_code_name(error.code), error.text);
    return 1;
}
