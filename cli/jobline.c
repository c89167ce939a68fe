#include "cli/jobline.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/fields.h"

/* What a line may say, in the order in which messages list it. */
static const struct tq_field fields[] = {
    {"worker", TQ_A(JSON_STRING), "a string", true},
    {"inputs", TQ_A(JSON_OBJECT), "an object", false},
    {"queue", TQ_A(JSON_STRING), "a string", false},
    {"at", TQ_A(JSON_STRING) | TQ_A_NUMBER, "a string or a number", false},
    {"in", TQ_A_NUMBER, "a number", false},
    {"queue_lock", TQ_A(JSON_ARRAY) | TQ_A(JSON_STRING), "a list or \"all\"", false},
    {"worker_lock", TQ_A(JSON_ARRAY) | TQ_A(JSON_STRING), "a list or \"all\"", false},
    {"lock_namespace", TQ_A(JSON_STRING), "a string", false},
    {"on_conflict", TQ_A(JSON_STRING), "a string", false},
    {"retries", TQ_A(JSON_INTEGER), "an integer", false},
    {"backoff", TQ_A_NUMBER, "a number", false},
    {"expires_in", TQ_A_NUMBER, "a number", false},
    {"timeout", TQ_A_NUMBER, "a number", false},
};

bool tq_jobline_blank(struct trq_str line)
{
    for (size_t i = 0; i < line.size; i++)
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r')
            return false;
    return true;
}

static json_t *load(struct trq_str line, char *why)
{
    json_error_t error;
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    json_t *root = json_loadb(line.data, line.size, flags, &error);
    if (!root) {
        snprintf(why, TQ_WHY_SIZE, "not JSON: %s (at byte %d)", error.text, error.position);
    } else if (!json_is_object(root)) {
        snprintf(why, TQ_WHY_SIZE, "%s, where a job is an object: {\"worker\":\"...\"}",
                 tq_fields_type(root));
        json_decref(root);
        root = NULL;
    }
    return root;
}

static bool take_inputs(struct tq_jobline *jobline, char *why)
{
    jobline->inputs_text =
        jobline->inputs ? json_dumps(jobline->inputs, JSON_COMPACT) : strdup("{}");
    if (!jobline->inputs_text)
        snprintf(why, TQ_WHY_SIZE, "out of memory");
    return jobline->inputs_text != NULL;
}

bool tq_jobline_parse(struct trq_str line, struct tq_jobline *out, char *why)
{
    struct tq_jobline jobline = {.root = load(line, why)};
    if (!jobline.root)
        return false;
    if (!tq_fields_check(jobline.root, "a job", fields, sizeof fields / sizeof fields[0], why))
        goto drop;
    jobline.worker = json_string_value(json_object_get(jobline.root, "worker"));
    jobline.queue = json_string_value(json_object_get(jobline.root, "queue"));
    jobline.inputs = json_object_get(jobline.root, "inputs");
    if (!take_inputs(&jobline, why) || !tq_due_parse(jobline.root, &jobline.due, why) ||
        !tq_limits_parse(jobline.root, &jobline.limits, why) ||
        !tq_locks_parse(jobline.root, &jobline.locks, why))
        goto drop;
    *out = jobline;
    return true;
drop:
    tq_jobline_fini(&jobline);
    return false;
}

void tq_jobline_fini(struct tq_jobline *jobline)
{
    free(jobline->inputs_text);
    tq_locks_fini(&jobline->locks);
    json_decref(jobline->root);
    memset(jobline, 0, sizeof *jobline);
}
