#include <stdio.h>
#include <tresque.h>

#define HELLO_INPUTS(F, W) F(W, str, name, TRQ_REQUIRED, NULL) F(W, i64, count, TRQ_OPTIONAL, 1)
TRQ_INPUTS(hello, HELLO_INPUTS);

static enum trq_end hello_perform(struct trq_job *job)
{
    const struct hello_in *in = hello_get(job);
    printf("Hello %.*s, %d times\n", (int)in->name.size, in->name.data, (int)in->count);
    return TRQ_DONE;
}
const struct trq_worker hello = {TRQ_WORKER(hello, "HelloWorker"), .perform = hello_perform};
static const struct trq_app app = {.size = sizeof app, .workers = TRQ_WORKERS(&hello)};

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine;
    struct hello_in in = {.name = trq_str_of("bob"), .count = 5};
    if (trq_engine_create(NULL, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0 || hello_enqueue(engine, &in, NULL, NULL) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
