/* A worker's declaration changes while jobs wait for it: here in a file, as lines that earlier releases of this program
 * wrote, each with the version that its declaration had then. They run all the same.
 *
 *     version 1: name, count        version 2: accent came        version 3: name became full_name */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <tresque.h>
#include <tresque/json.h>

#define HARD_INPUTS(F, W)                                                                          \
    F(W, str, full_name, TRQ_REQUIRED, NULL)                                                       \
    F(W, i64, count, TRQ_REQUIRED, 0)                                                              \
    F(W, str, accent, TRQ_OPTIONAL, "en")
TRQ_INPUTS(hard, HARD_INPUTS);

static enum trq_end hard_perform(struct trq_job *job)
{
    char json[200];
    const struct hard_in *in = hard_get(job);
    printf("%.*s, %" PRId64 " times, accent %.*s\n", (int)in->full_name.size, in->full_name.data,
           in->count, (int)in->accent.size, in->accent.data);
    if (trq_job_inputs_json(job, json, sizeof json) >= 0)
        printf("    %s\n", json);
    return TRQ_DONE;
}

/* An input that was added needs nothing but its default. One that was renamed has to be told. */
static enum trq_end hard_upgrade(struct trq_job *job, uint32_t version_then)
{
    struct trq_value name;
    printf("upgrade from %" PRIu32 ": ", version_then);
    if (trq_job_get(job, "name", &name) && trq_job_set(job, "full_name", name) == TRQ_OK)
        trq_job_unset(job, "name");
    return TRQ_DONE;
}

const struct trq_worker hard = {
    TRQ_WORKER(hard, "HardWorker"),
    .perform = hard_perform,
    .version = 3,
    .upgrade = hard_upgrade,
    .retry = TRQ_RETRIES(TRQ_RETRY_NEVER),
};

static const struct trq_app app = {.size = sizeof app, .workers = TRQ_WORKERS(&hard)};

static void ended(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    if (error)
        printf("%s: %s\n", trq_outcome_name(event->outcome), error->text);
}

static char waiting[] = "1 {\"name\": \"bob\", \"count\": 5}\n"
                        "2 {\"name\": \"eve\", \"count\": 2, \"accent\": \"de\"}\n"
                        "2 {\"name\": \"joe\", \"count\": 1, \"from\": {\"town\": \"Graz\"}}\n"
                        "3 {\"full_name\": \"ann\", \"count\": 4}\n"
                        "1 {\"count\": 3}\n"
                        "3 {\"count\": 3}\n";

/* One line: the version, and the inputs. */
static void enqueue(struct trq_engine *engine, const char *line)
{
    char *json;
    struct trq_error error;
    struct trq_opts opts = trq_opts_init();
    opts.version = (uint32_t)strtoul(line, &json, 10);
    opts.error = &error;
    opts.on_end = ended;
    int rc = trq_enqueue_json(engine, "HardWorker", trq_str_of(json), &opts, NULL);
    if (rc < 0)
        printf("%s: %s\n", trq_code_name(rc), error.text);
}

int main(void)
{
    struct trq_error error;
    struct trq_engine *engine = NULL;
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    char line[200];
    FILE *file = fmemopen(waiting, sizeof waiting - 1, "r");
    while (file && fgets(line, sizeof line, file)) {
        enqueue(engine, line);
        trq_engine_drain(engine, trq_forever());
    }
    if (file)
        fclose(file);
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
