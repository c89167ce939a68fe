#include "cli/workers.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/exec.h"
#include "cli/plugin.h"
#include "cli/say.h"

#define OUR_APP "worker"
#define OUR_PREFIX OUR_APP "_"

static const struct trq_worker *const our_workers[] = {&tq_exec_worker, &tq_sleep_worker,
                                                       &tq_noop_worker, NULL};
static const struct trq_app our_app = {
    .size = sizeof(struct trq_app), .name = OUR_APP, .workers = our_workers};

bool tq_workers_is_ours(const char *worker)
{
    for (size_t i = 0; our_workers[i]; i++)
        if (strcmp(worker, our_workers[i]->name) == 0)
            return true;
    return false;
}

const char *tq_workers_fault(const char *worker, const json_t *inputs)
{
    return strcmp(worker, tq_exec_worker.name) == 0 ? tq_exec_fault(inputs) : NULL;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* ---- names of queues -------------------------------------------------------------------------------- */

static bool has_weight(const struct tq_options *options, const char *queue)
{
    for (size_t i = 0; i < options->weight_count; i++)
        if (strcmp(options->weights[i].queue, queue) == 0)
            return true;
    return false;
}

static bool is_short(const struct tq_options *options, const char *queue)
{
    if (starts_with(queue, OUR_PREFIX))
        return false;
    return !strchr(queue, '_') || has_weight(options, queue);
}

const char **tq_workers_queues(const struct tq_options *options)
{
    size_t count = 0;
    size_t size = 0;
    for (; options->queues[count]; count++)
        size += strlen(OUR_PREFIX) + strlen(options->queues[count]) + 1;
    const char **names = malloc((count + 1) * sizeof *names + size);
    if (!names)
        return NULL;
    char *text = (char *)(names + count + 1);
    for (size_t i = 0; i < count; i++) {
        const char *queue = options->queues[i];
        names[i] = text;
        text = stpcpy(text, is_short(options, queue) ? OUR_PREFIX : "");
        text = stpcpy(text, queue) + 1;
    }
    names[count] = NULL;
    return names;
}

/* The names of all queues that there are now; *out_count of them. NULL: out of memory. */
static const char **queue_names(struct trq_engine *engine, size_t *out_count)
{
    const size_t count = trq_queue_names(engine, NULL, 0);
    const char **names = calloc(count + 1, sizeof *names);
    if (names)
        trq_queue_names(engine, names, count);
    *out_count = count;
    return names;
}

/* How many bytes at the beginning of a full name are its application's, if it is one of an application that
 * has a queue already: both names then begin with the same words. 0: of none. */
static size_t app_length(const char *queue, const char *const *names, size_t count)
{
    for (const char *cut = strchr(queue, '_'); cut; cut = strchr(cut + 1, '_')) {
        const size_t length = (size_t)(cut - queue);
        for (size_t i = 0; cut[1] && i < count; i++)
            if (strncmp(names[i], queue, length + 1) == 0)
                return length;
    }
    return 0;
}

/* ---- queues of --weight ------------------------------------------------------------------------------ */

/* A full name's application is registered again with this queue; the engine joins the two. */
static bool split_name(struct tq_named_queue *named, const char *queue, size_t app_size)
{
    named->app_name = app_size ? strndup(queue, app_size) : strdup(OUR_APP);
    named->rows[0].name = app_size ? queue + app_size + 1 : queue;
    named->app.size = sizeof named->app;
    named->app.name = named->app_name;
    named->app.queues = named->rows;
    return named->app_name != NULL;
}

/* Of two registrations the higher weight stands; a lower wish must not be lost in silence. */
static bool check_weight(struct trq_engine *engine, const struct tq_named_queue *named)
{
    char full[512];
    struct trq_queue_stats stats = {.size = sizeof stats};
    snprintf(full, sizeof full, "%s_%s", named->app_name, named->rows[0].name);
    if (trq_stats_queue(engine, full, &stats) == TRQ_OK && stats.weight != named->rows[0].weight) {
        tq_say("tresque: queue %s has weight %d from its application; --weight can only raise it",
               full, (int)stats.weight);
        return false;
    }
    return true;
}

static bool register_queue(struct tq_workers *workers, struct trq_engine *engine,
                           const struct tq_weight *weight, size_t app_size)
{
    struct trq_error error;
    struct tq_named_queue *named = &workers->queues[workers->queue_count++];
    if (!split_name(named, weight->queue, app_size)) {
        tq_say("tresque: out of memory");
        return false;
    }
    named->rows[0].weight = weight->weight;
    if (trq_register(engine, &named->app, &error) < 0) {
        tq_say("tresque: --weight %s: %s", weight->queue, error.text);
        return false;
    }
    return check_weight(engine, named);
}

static bool register_queues(struct tq_workers *workers, struct trq_engine *engine,
                            const struct tq_options *options)
{
    size_t count;
    const char **names = queue_names(engine, &count);
    bool good = names != NULL;
    if (!good)
        tq_say("tresque: out of memory");
    for (size_t i = 0; good && i < options->weight_count; i++) {
        const struct tq_weight *weight = &options->weights[i];
        good = register_queue(workers, engine, weight, app_length(weight->queue, names, count));
    }
    free(names);
    return good;
}

bool tq_workers_register(struct tq_workers *out, struct trq_engine *engine,
                         const struct tq_options *options)
{
    struct trq_error error;
    memset(out, 0, sizeof *out);
    out->queues = calloc(options->weight_count + 1, sizeof *out->queues);
    if (!out->queues) {
        tq_say("tresque: out of memory");
        return false;
    }
    if (trq_register(engine, &our_app, &error) < 0) {
        tq_say("tresque: %s", error.text);
        return false;
    }
    for (size_t i = 0; i < options->plugin_count; i++)
        if (!tq_plugin_load(engine, options->plugins[i]))
            return false;
    return register_queues(out, engine, options);
}

void tq_workers_fini(struct tq_workers *workers)
{
    for (size_t i = 0; i < workers->queue_count; i++)
        free(workers->queues[i].app_name);
    free(workers->queues);
    memset(workers, 0, sizeof *workers);
}
