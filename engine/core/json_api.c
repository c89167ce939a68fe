/* <tresque/json.h>, on top of core/json. */
#include <tresque/json.h>

#include "engine/base/error.h"
#include "engine/base/sized.h"
#include "engine/core/engine.h"
#include "engine/core/enqueue.h"
#include "engine/core/json.h"
#include "engine/core/run.h"

int trq_enqueue_json(struct trq_engine *engine, const char *worker, struct trq_str json,
                     const struct trq_opts *opts, struct trq_job_id *out_id)
{
    struct trq_error *error = NULL;
    if (opts) {
        if (!tq_sized_ok(opts, sizeof *opts, sizeof *opts))
            return TRQ_EINVAL;
        error = opts->error;
    }
    if (!engine)
        return tq_error(error, TRQ_EINVAL, "engine is NULL");
    if (!tq_is_open(engine))
        return tq_error(error, TRQ_ESTOPPED,
                        "the engine is stopping, has stopped, or is another process's");
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return tq_error(error, TRQ_ENOMEM, "no memory for this thread, or too many threads");
    struct tq_json_dict parsed;
    int rc = tq_json_parse_dict(&engine->memory, json, &parsed, error);
    if (rc < 0) {
        if (rc == TRQ_EINPUT)
            tq_count(&local->refused_input, 1);
        return rc;
    }
    const struct tq_source source = {.dicts = &parsed.dict, .count = 1, .trusted = true};
    rc = tq_enqueue_by_name(engine, worker, &source, opts, out_id);
    tq_json_dict_fini(&engine->memory, &parsed);
    return rc;
}

long trq_job_inputs_json(const struct trq_job *run, char *buffer, size_t size)
{
    return tq_json_from_inputs(tq_job_layout(run->class, run->word), run->inputs, run->job->size,
                               buffer, size);
}
