#include "cli/fields.h"

#include <stdio.h>

const char *tq_fields_type(const json_t *value)
{
    static const char *const names[] = {
        [JSON_OBJECT] = "an object",   [JSON_ARRAY] = "a list",  [JSON_STRING] = "a string",
        [JSON_INTEGER] = "an integer", [JSON_REAL] = "a number", [JSON_TRUE] = "true",
        [JSON_FALSE] = "false",        [JSON_NULL] = "null",
    };
    return names[json_typeof(value)];
}

static bool refuse_unknown(const char *key, const char *what, const struct tq_field *fields,
                           size_t count, char *why)
{
    size_t size = (size_t)snprintf(why, TQ_WHY_SIZE, "unknown key \"%.100s\"; %s has %s", key, what,
                                   fields[0].name);
    for (size_t f = 1; f < count && size < TQ_WHY_SIZE; f++)
        size += (size_t)snprintf(why + size, TQ_WHY_SIZE - size, ", %s", fields[f].name);
    return false;
}

static bool check_value(const struct tq_field *field, const json_t *value, char *why)
{
    if (!(field->types & TQ_A(json_typeof(value)))) {
        snprintf(why, TQ_WHY_SIZE, "\"%s\" must be %s, not %s", field->name, field->types_text,
                 tq_fields_type(value));
        return false;
    }
    if (json_is_string(value) && strlen(json_string_value(value)) != json_string_length(value)) {
        snprintf(why, TQ_WHY_SIZE, "\"%s\" must not contain a zero byte", field->name);
        return false;
    }
    return true;
}

bool tq_fields_check(const json_t *object, const char *what, const struct tq_field *fields,
                     size_t count, char *why)
{
    const char *key;
    json_t *value;
    /* jansson only hands out the object's iterator for a pointer that is not const. */
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        size_t f = 0;
        while (f < count && strcmp(fields[f].name, key) != 0)
            f++;
        if (f == count)
            return refuse_unknown(key, what, fields, count, why);
        if (!check_value(&fields[f], value, why))
            return false;
    }
    for (size_t f = 0; f < count; f++)
        if (fields[f].required && !json_object_get(object, fields[f].name)) {
            snprintf(why, TQ_WHY_SIZE, "\"%s\" is missing", fields[f].name);
            return false;
        }
    return true;
}
