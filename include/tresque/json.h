/* Jobs from and to JSON text. Link as usual: no JSON library shows here. */
#ifndef TRESQUE_JSON_H
#define TRESQUE_JSON_H

#include <tresque/enqueue.h>
#include <tresque/value.h>
#include <tresque/worker.h>

#ifdef __cplusplus
extern "C" {
#endif

/* trq_enqueue with the worker by name and the inputs as the text of a JSON object. Duplicate keys, invalid
 * UTF-8, nesting beyond 64, integers beyond 64 bits and anything after the object are TRQ_EINPUT; the text
 * says where. A list or object is an input of type json. It allocates. */
TRQ_API int trq_enqueue_json(struct trq_engine *engine, const char *worker, struct trq_str json,
                             const struct trq_opts *opts, struct trq_job_id *out_id) TRQ_MUST_USE;

/* A running job's inputs as one JSON object, declared ones first, absent ones left out. Returns the length needed
 * without the terminator, as snprintf. */
TRQ_API long trq_job_inputs_json(const struct trq_job *job, char *buffer, size_t size);

#ifdef __cplusplus
}
#endif

#endif
