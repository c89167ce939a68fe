#include "cli/jobline.h"

#include <stdio.h>
#include <stdlib.h>

/* What a line may say. Names stand in the order in which messages list them. */
enum field {
    WORKER,
    INPUTS,
    QUEUE,
    AT,
    IN,
    QUEUE_LOCK,
    WORKER_LOCK,
    LOCK_NAMESPACE,
    ON_CONFLICT,
    FIELD_COUNT
};

#define A(type) (1U << (type))

static const struct {
    const char *name;
    unsigned types;
    const char *types_text;
    bool required;
} fields[FIELD_COUNT] = {
    [WORKER] = {"worker", A(JSON_STRING), "a string", true},
    [INPUTS] = {"inputs", A(JSON_OBJECT), "an object", false},
    [QUEUE] = {"queue", A(JSON_STRING), "a string", false},
    [AT] = {"at", A(JSON_STRING) | A(JSON_INTEGER) | A(JSON_REAL), "a string or a number", false},
    [IN] = {"in", A(JSON_INTEGER) | A(JSON_REAL), "a number", false},
    [QUEUE_LOCK] = {"queue_lock", A(JSON_ARRAY) | A(JSON_STRING), "a list or \"all\"", false},
    [WORKER_LOCK] = {"worker_lock", A(JSON_ARRAY) | A(JSON_STRING), "a list or \"all\"", false},
    [LOCK_NAMESPACE] = {"lock_namespace", A(JSON_STRING), "a string", false},
    [ON_CONFLICT] = {"on_conflict", A(JSON_STRING), "a string", false},
};

static const char *type_name(json_type type)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return names[type];
}

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
                 type_name(json_typeof(root)));
        json_decref(root);
        root = NULL;
    }
    return root;
}

/* The row of that name, or FIELD_COUNT. */
static enum field find_field(const char *name)
{
    enum field f = WORKER;
    while (f < FIELD_COUNT && strcmp(fields[f].name, name) != 0)
        f++;
    return f;
}

static void refuse_unknown(const char *key, char *why)
{
    size_t size = (size_t)snprintf(why, TQ_WHY_SIZE, "unknown key \"%.100s\"; a job has %s", key,
                                   fields[0].name);
    for (int f = 1; f < FIELD_COUNT && size < TQ_WHY_SIZE; f++)
        size += (size_t)snprintf(why + size, TQ_WHY_SIZE - size, ", %s", fields[f].name);
}

static bool check_known(json_t *root, char *why)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        const enum field f = find_field(key);
        if (f == FIELD_COUNT) {
            refuse_unknown(key, why);
            return false;
        }
        if (!(fields[f].types & A(json_typeof(value)))) {
            snprintf(why, TQ_WHY_SIZE, "\"%s\" must be %s, not %s", key, fields[f].types_text,
                     type_name(json_typeof(value)));
            return false;
        }
        if (json_is_string(value) &&
            strlen(json_string_value(value)) != json_string_length(value)) {
            snprintf(why, TQ_WHY_SIZE, "\"%s\" must not contain a zero byte", key);
            return false;
        }
    }
    return true;
}

static bool check_required(const json_t *root, char *why)
{
    for (enum field f = WORKER; f < FIELD_COUNT; f++)
        if (fields[f].required && !json_object_get(root, fields[f].name)) {
            snprintf(why, TQ_WHY_SIZE, "\"%s\" is missing", fields[f].name);
            return false;
        }
    return true;
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
    if (!check_known(jobline.root, why) || !check_required(jobline.root, why))
        goto drop;
    jobline.worker = json_string_value(json_object_get(jobline.root, "worker"));
    jobline.queue = json_string_value(json_object_get(jobline.root, "queue"));
    jobline.inputs = json_object_get(jobline.root, "inputs");
    if (!take_inputs(&jobline, why) || !tq_due_parse(jobline.root, &jobline.due, why) ||
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
