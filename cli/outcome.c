#include "cli/outcome.h"

#include <stdio.h>

#include "cli/capture.h"
#include "cli/say.h"

/* ---- parts ------------------------------------------------------------------------------------------ */

static const struct trq_job_id no_job;

/* no_job: null. */
static void add_id(struct tq_buffer *text, const char *key, struct trq_job_id id)
{
    if (trq_job_id_equal(id, no_job))
        tq_buffer_print(text, "\"%s\":null", key);
    else
        tq_buffer_print(text, "\"%s\":\"%llx-%llx\"", key, (unsigned long long)id.birth,
                        (unsigned long long)id.slot);
}

/* NULL: null. */
static void add_string(struct tq_buffer *text, const char *key, const char *value)
{
    tq_buffer_print(text, ",\"%s\":", key);
    if (value)
        tq_buffer_add_string(text, value, strlen(value));
    else
        tq_buffer_print(text, "null");
}

/* Where a job comes from: a line of the input, or an entry of the schedule. */
struct source {
    uint64_t line;     /* 0: of none */
    const char *entry; /* or NULL */
};

static void begin(struct tq_buffer *text, struct trq_job_id id, struct source source,
                  const char *worker, const char *queue)
{
    tq_buffer_print(text, "{");
    add_id(text, "id", id);
    if (source.line)
        tq_buffer_print(text, ",\"line\":%llu", (unsigned long long)source.line);
    if (source.entry)
        add_string(text, "schedule", source.entry);
    add_string(text, "worker", worker);
    add_string(text, "queue", queue);
}

static void add_times(struct tq_buffer *text, long long wait_ns, long long run_ns)
{
    tq_buffer_print(text, ",\"wait_us\":%lld.%03lld,\"run_us\":%lld.%03lld", wait_ns / 1000,
                    wait_ns % 1000, run_ns / 1000, run_ns % 1000);
}

static void end(struct tq_buffer *text, struct trq_job_id twin, struct tq_output *output)
{
    if (!trq_job_id_equal(twin, no_job)) {
        tq_buffer_print(text, ",");
        add_id(text, "twin", twin);
    }
    tq_buffer_print(text, "}\n");
    if (text->failed)
        tq_output_lost(output);
    else
        tq_output_add(output, text->data, text->size);
    tq_buffer_fini(text);
}

/* ---- lines ------------------------------------------------------------------------------------------ */

static void add_result(struct tq_buffer *text, const struct trq_event *event)
{
    const struct tq_capture *capture = tq_capture_of(event->id);
    tq_buffer_print(text, ",\"output\":");
    if (capture)
        tq_buffer_add_string(text, capture->output.data, capture->output.size);
    else if (event->outcome == TRQ_WAS_DONE)
        tq_buffer_add_string(text, (const char *)event->result, event->result_size);
    else
        tq_buffer_print(text, "\"\"");
    add_times(text, event->waited.ns, event->ran.ns);
    if (capture && capture->cut > 0)
        tq_buffer_print(text, ",\"output_cut\":%llu", (unsigned long long)capture->cut);
}

static void ended(struct tq_output *output, struct source source, const struct trq_event *event,
                  const struct trq_error *error)
{
    struct tq_buffer text = {0};
    begin(&text, event->id, source, event->worker, event->queue);
    tq_buffer_print(&text, ",\"outcome\":\"%s\",\"attempts\":%u", trq_outcome_name(event->outcome),
                    (unsigned)event->attempts);
    add_string(&text, "error", error ? error->text : NULL);
    add_result(&text, event);
    end(&text, event->other, output);
}

void tq_outcome_ended(struct tq_output *output, uint64_t line, const struct trq_event *event,
                      const struct trq_error *error)
{
    ended(output, (struct source){.line = line}, event, error);
}

void tq_outcome_recurred(struct tq_output *output, const char *entry, const struct trq_event *event,
                         const struct trq_error *error)
{
    ended(output, (struct source){.entry = entry}, event, error);
}

void tq_outcome_twin(struct tq_output *output, uint64_t line, const char *worker, int code,
                     struct trq_job_id twin)
{
    struct tq_buffer text = {0};
    begin(&text, no_job, (struct source){.line = line}, worker, NULL);
    tq_buffer_print(&text, ",\"outcome\":\"%s\",\"attempts\":0",
                    code == TRQ_DEBOUNCED ? "debounced" : "duplicate");
    add_string(&text, "error", NULL);
    add_string(&text, "output", "");
    add_times(&text, 0, 0);
    end(&text, twin, output);
}

/* ---- messages --------------------------------------------------------------------------------------- */

bool tq_outcome_is_bad(const struct trq_event *event, const struct trq_error *error)
{
    return event->outcome == TRQ_WAS_DEAD || event->outcome == TRQ_WAS_DISCARDED ||
           event->outcome == TRQ_WAS_EXPIRED || (event->outcome == TRQ_WAS_DROPPED && error);
}

void tq_outcome_say(const char *where, const struct trq_event *event, const struct trq_error *error)
{
    char what[64];
    if (event->outcome == TRQ_WAS_DEAD && event->attempts > 1)
        snprintf(what, sizeof what, "died at attempt %u", (unsigned)event->attempts);
    else if (event->outcome == TRQ_WAS_DEAD)
        snprintf(what, sizeof what, "died");
    else if (event->outcome == TRQ_WAS_EXPIRED)
        snprintf(what, sizeof what, "expired: it had not begun in time");
    else
        snprintf(what, sizeof what, "was %s", trq_outcome_name(event->outcome));
    tq_say("%s: %s %s%s%s", where, event->worker, what, error ? ": " : "",
           error ? error->text : "");
}
