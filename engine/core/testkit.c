#include <tresque/test.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"

int trq_test_engine(void *host, const struct trq_app *const *apps, struct trq_engine **out_engine,
                    struct trq_error *error)
{
    if (!out_engine)
        return tq_error(error, TRQ_EINVAL, "out_engine is NULL");
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    config.jobs_max = 8191; /* kept exactly */
    config.sample_every = 1;
    config.host = host;
    struct trq_engine *engine;
    int rc = trq_engine_create(&config, &engine, error);
    if (rc < 0)
        return rc;
    for (; rc == 0 && apps && *apps; apps++)
        rc = trq_register(engine, *apps, error);
    if (rc == 0)
        rc = trq_engine_start(engine, error);
    if (rc < 0)
        trq_engine_destroy(engine);
    else
        *out_engine = engine;
    return rc;
}

int trq_test_drain(struct trq_engine *engine)
{
    return trq_engine_poll(engine, 0, trq_ns(0));
}

int trq_test_step(struct trq_engine *engine)
{
    return trq_engine_poll(engine, 1, trq_ns(0));
}
