/* Own workers for `tresque run --load ./plugin.so`: a shared object that exports trq_plugin_init.
 *
 *     cc -shared -fPIC -o plugin.so plugin.c $(pkg-config --cflags --libs tresque)
 *     echo '{"worker":"Text::ReverseWorker","inputs":{"text":"olleh"}}' | \
 *         tresque run --load ./plugin.so --output ended.jsonl
 */
#include <stdio.h>
#include <tresque.h>

#define REVERSE_INPUTS(F, W) F(W, str, text, TRQ_REQUIRED, NULL)
TRQ_INPUTS(reverse, REVERSE_INPUTS);

static enum trq_end reverse_perform(struct trq_job *job)
{
    struct trq_str text = reverse_get(job)->text;
    char out[TRQ_RESULT_MAX];
    if (text.size > sizeof out)
        return trq_discard(job, "%zu bytes are too long", text.size);
    for (size_t i = 0; i < text.size; i++)
        out[i] = text.data[text.size - 1 - i];
    trq_job_set_result(job, out, text.size); /* "output" in the file of --output */
    return TRQ_DONE;
}
const struct trq_worker reverse = {TRQ_WORKER(reverse, "Text::ReverseWorker"),
                                   .perform = reverse_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "text", .workers = TRQ_WORKERS(&reverse)};

/* Called once, before the engine starts. What is negative ends the program. */
int trq_plugin_init(struct trq_engine *engine);

int trq_plugin_init(struct trq_engine *engine)
{
    struct trq_error error;
    int rc = trq_register(engine, &app, &error);
    if (rc < 0)
        fprintf(stderr, "text: %s\n", error.text);
    return rc;
}
