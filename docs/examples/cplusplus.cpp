// The same headers from C++17: inputs as a struct, dictionaries of C++ values, handlers as lambdas.
#include <cinttypes>
#include <cstdio>
#include <string>
#include <tresque.h>

#define GREET_INPUTS(F, W)                                                                         \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, times, TRQ_OPTIONAL, 1)
TRQ_INPUTS(greet, GREET_INPUTS);

// No exception may leave a handler: the engine is C.
static trq_end greet_perform(trq_job *job)
{
    const greet_in *in = greet_get(job);
    std::string name(in->name.data, in->name.size);
    std::printf("hello %s, %" PRId64 "\n", name.c_str(), in->times);
    return TRQ_DONE;
}
const trq_worker greet = TRQ_WORKER_CXX(greet, "GreetWorker", w.perform = greet_perform);

static const trq_worker *const workers[] = {&greet, nullptr};

static trq_app make_app()
{
    trq_app app = {};
    app.size = sizeof app;
    app.name = "cxx";
    app.workers = workers;
    return app;
}
static const trq_app app = make_app();

static trq_error error;

static int enqueue(trq_engine *engine, trq_dict inputs)
{
    trq_opts opts = trq_opts_init();
    opts.error = &error;
    return trq_enqueue(engine, &greet, inputs, &opts, nullptr);
}

int main()
{
    trq_engine *engine = nullptr;
    trq_config config = trq_config_init();
    config.threads = 1;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        std::fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    greet_in in = greet_defaults();
    std::string bob = "bob"; // copied by the call
    in.name = {bob.data(), bob.size()};
    if (greet_enqueue(engine, &in, nullptr, nullptr) < 0)
        return 1;

    if (enqueue(engine, TRQ_DICT(TRQ_KV("name", "eve"), TRQ_KV("times", 2))) < 0)
        return 1;
    trq_engine_drain(engine, trq_forever());
    if (enqueue(engine, TRQ_DICT(TRQ_KV("name", true))) < 0)
        std::printf("%s: %s\n", trq_code_name(error.code), error.text);
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
