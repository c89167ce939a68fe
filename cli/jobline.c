#include "cli/jobline.h"

#include <stdio.h>
#include <stdlib.h>

/* What a line may say. Names stand in the order in which messages list them. */
enum field { WORKER, INPUTS, QUEUE, FIELD_COUNT };

static const struct {
    const char *name;
    json_type type;
    bool required;
} fields[FIELD_COUNT] = {
    [WORKER] = {"worker", JSON_STRING, true},
    [INPUTS] = {"inputs", JSON_OBJECT, false},
    [QUEUE] = {"queue", JSON_STRING, false},
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

static bool check_known(json_t *root, char *why)
{
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value)
    {
        const enum field f = find_field(key);
        if (f == FIELD_COUNT) {
            snprintf(why, TQ_WHY_SIZE, "unknown key \"%.100s\"; a job has worker, inputs, queue",
                     key);
            return false;
        }
        if (json_typeof(value) != fields[f].type) {
            snprintf(why, TQ_WHY_SIZE, "\"%s\" must be %s, not %s", key, type_name(fields[f].type),
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
    if (!take_inputs(&jobline, why))
        goto drop;
    *out = jobline;
    return true;
drop:
    json_decref(jobline.root);
    return false;
}

void tq_jobline_fini(struct tq_jobline *jobline)
{
    free(jobline->inputs_text);
    json_decref(jobline->root);
    memset(jobline, 0, sizeof *jobline);
}
