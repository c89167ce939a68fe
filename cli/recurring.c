#include "cli/recurring.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/dict.h"
#include "cli/outcome.h"
#include "cli/say.h"
#include "cli/workers.h"

enum { PAGE = 16, LISTED_MAX = 16 };

struct tq_recurring_tag {
    const struct tq_recurring *recurring;
    const struct tq_entry *entry;
};

/* ---- a job has ended -------------------------------------------------------------------------------- */

static void on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    const struct tq_recurring_tag *tag = event->tag;
    const struct tq_recurring *recurring = tag->recurring;
    if (tq_outcome_is_bad(event, error)) {
        char where[TQ_WHERE_SIZE];
        snprintf(where, sizeof where, "%s: \"%s\"", recurring->schedule->path, tag->entry->name);
        tq_outcome_say(where, event, error);
    }
    if (recurring->output)
        tq_outcome_recurred(recurring->output, tag->entry->name, event, error);
}

/* ---- an entry ----------------------------------------------------------------------------------------- */

static int add(const struct tq_recurring *recurring, const struct tq_entry *entry,
               const struct trq_worker *worker, struct tq_recurring_tag *tag,
               struct trq_error *error)
{
    struct tq_dict inputs;
    if (!tq_dict_init(&inputs, entry->inputs))
        return TRQ_ENOMEM;
    const int rc = trq_recur(
        recurring->engine,
        TRQ_RECURRING(.name = entry->name, .worker = worker, .inputs = inputs.dict,
                      .cron = entry->cron, .zone = entry->zone, .every = entry->every,
                      .start = entry->start, .end = entry->end, .jitter = entry->jitter,
                      .queue = entry->queue, .time_input = entry->time_input,
                      .no_overlap = entry->no_overlap,
                      .catch_up = (enum trq_catch_up)entry->catch_up, .on_end = on_end, .tag = tag),
        error);
    tq_dict_fini(&inputs);
    return rc;
}

/* With those that there are, as far as there is room. */
static const char *refuse_worker(struct trq_engine *engine, const char *name,
                                 struct trq_error *error)
{
    const char *names[LISTED_MAX];
    const size_t count = trq_worker_names(engine, names, LISTED_MAX);
    int n = snprintf(error->text, sizeof error->text, "no worker %.100s; there are", name);
    for (size_t i = 0; i < count && i < LISTED_MAX && (size_t)n < sizeof error->text; i++)
        n += snprintf(error->text + n, sizeof error->text - (size_t)n, "%s %s", i ? "," : "",
                      names[i]);
    return error->text;
}

/* NULL, or what is wrong; it may be in *error. */
static const char *add_entry(struct tq_recurring *recurring, size_t index, struct trq_error *error)
{
    const struct tq_entry *entry = &recurring->schedule->entries[index];
    struct tq_recurring_tag *tag = &recurring->tags[index];
    const struct trq_worker *worker = trq_worker_find(recurring->engine, entry->worker);
    if (!worker)
        return refuse_worker(recurring->engine, entry->worker, error);
    const char *fault = tq_workers_fault(entry->worker, entry->inputs);
    if (fault) {
        snprintf(error->text, sizeof error->text, "%s: %s", entry->worker, fault);
        return error->text;
    }
    *tag = (struct tq_recurring_tag){recurring, entry};
    const int rc = add(recurring, entry, worker, tag, error);
    if (rc >= 0)
        return NULL;
    return error->text[0] ? error->text : trq_code_text(rc);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

bool tq_recurring_add(struct tq_recurring *recurring)
{
    const size_t count = recurring->schedule->count;
    recurring->tags = calloc(count + 1, sizeof *recurring->tags);
    bool good = recurring->tags != NULL;
    if (!good)
        tq_say("tresque: out of memory");
    for (size_t i = 0; recurring->tags && i < count; i++) {
        struct trq_error error = {0};
        const char *fault = add_entry(recurring, i, &error);
        if (fault) {
            tq_schedule_refuse(recurring->schedule, i, fault);
            good = false;
        }
    }
    return good;
}

void tq_recurring_fini(struct tq_recurring *recurring)
{
    free(recurring->tags);
    recurring->tags = NULL;
}

bool tq_recurring_alive(const struct tq_recurring *recurring)
{
    struct trq_recurrence page[PAGE];
    const char *after = NULL;
    for (;;) {
        const long n = trq_recur_list(recurring->engine, after, page, PAGE);
        for (long i = 0; i < n; i++)
            if (page[i].next.ns)
                return true;
        if (n < PAGE)
            return false;
        after = page[PAGE - 1].name;
    }
}
