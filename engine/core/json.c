#include "engine/core/json.h"

#include <assert.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "engine/base/error.h"
#include "engine/base/memory.h"
#include "engine/core/inputs.h"

/* ---- locale ---------------------------------------------------------------------------------------- */

/* strtod and printf follow the thread's locale, and jansson mends that only where the decimal point is
 * one byte. Owner: the thread, for the length of a call. */
struct plain {
    locale_t own;
    locale_t before;
};

static struct plain plain_begin(void)
{
    struct plain plain;
    plain.own = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    plain.before = uselocale(plain.own); /* if there is none: only asks */
    return plain;
}

static void plain_end(struct plain plain)
{
    uselocale(plain.before);
    if (plain.own)
        freelocale(plain.own);
}

/* ---- a walk over the text --------------------------------------------------------------------------- */

/* Behind the string that begins at `at`, or the end. */
static const char *skip_string(const char *at, const char *end)
{
    for (at++; at < end && *at != '"'; at++) {
        if (*at == '\\')
            at++;
    }
    return at < end ? at + 1 : end;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool opens(char c)
{
    return c == '{' || c == '[';
}

static bool closes(char c)
{
    return c == '}' || c == ']';
}

/* Where it nests deeper than depth_max, or NULL. The text need not be JSON: the parser, which recurses,
 * comes after this. */
static const char *too_deep(struct trq_str text, int depth_max)
{
    const char *const end = text.data + text.size;
    int depth = 0;
    for (const char *at = text.data; at < end;) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        if (opens(*at) && ++depth > depth_max)
            return at;
        if (closes(*at))
            depth--;
        at++;
    }
    return NULL;
}

/* Behind the list or object that begins at `at`, in a text that was found right. */
static const char *skip_nested(const char *at, const char *end)
{
    int depth = 0;
    while (at < end) {
        if (*at == '"') {
            at = skip_string(at, end);
            continue;
        }
        depth += opens(*at) - closes(*at);
        at++;
        if (depth == 0)
            break;
    }
    return at;
}

static const char *skip_spaces(const char *at, const char *end)
{
    while (at < end && is_space(*at))
        at++;
    return at;
}

/* Behind a value in a right text. */
static const char *skip_value(const char *at, const char *end)
{
    if (opens(*at))
        return skip_nested(at, end);
    if (*at == '"')
        return skip_string(at, end);
    while (at < end && !is_space(*at) && *at != ',' && !closes(*at))
        at++;
    return at;
}

/* Copies without the white space between tokens; returns behind the copy. */
static char *put_compact(char *to, const char *from, const char *end)
{
    while (from < end) {
        const char *next = *from == '"' ? skip_string(from, end) : from + 1;
        if (!is_space(*from)) {
            memcpy(to, from, (size_t)(next - from));
            to += next - from;
        }
        from = next;
    }
    return to;
}

/* ---- parsing ---------------------------------------------------------------------------------------- */

static int say(char *why, size_t size, int line, int column, const char *what)
{
    snprintf(why, size, "JSON: line %d, column %d: %s", line, column, what);
    return TRQ_EINPUT;
}

static int say_too_deep(char *why, size_t size, struct trq_str text, const char *where)
{
    char what[40];
    int line = 1;
    int column = 1;
    for (const char *at = text.data; at < where; at++) {
        if (*at == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)*at & 0xC0) != 0x80) {
            column++;
        }
    }
    snprintf(what, sizeof what, "nested deeper than %d", TQ_JSON_DEPTH_MAX);
    return say(why, size, line, column, what);
}

/* jansson has a code for it and seldom uses it: it gives no sentence, or calls the token wrong whose
 * string it could not keep. Such a token ends with a quote, and those that are wrong in themselves, or
 * where a key is wanted, never do. */
static bool ran_out_of_memory(struct trq_str text, const json_error_t *error)
{
    const size_t read = error->position > 0 ? (size_t)error->position : 0;
    if (!error->text[0] || json_error_code(error) == json_error_out_of_memory)
        return true;
    return read > 0 && read <= text.size && text.data[read - 1] == '"' &&
           (strncmp(error->text, "invalid token", strlen("invalid token")) == 0 ||
            strncmp(error->text, "string or '}'", strlen("string or '}'")) == 0);
}

/* jansson's tree of a right text. */
static int parse(struct trq_str text, int depth_max, json_t **out_root, char *why, size_t why_size)
{
    json_error_t error;
    if (!text.data)
        return say(why, why_size, 1, 1, "no text is given");
    const char *deep = too_deep(text, depth_max);
    if (deep)
        return say_too_deep(why, why_size, text, deep);

    memset(&error, 0, sizeof error);
    const struct plain plain = plain_begin();
    json_t *root = json_loadb(text.data, text.size,
                              JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    plain_end(plain);
    if (!root) {
        if (ran_out_of_memory(text, &error))
            return TRQ_ENOMEM;
        return say(why, why_size, error.line, error.column, error.text);
    }
    *out_root = root;
    return TRQ_OK;
}

int tq_json_check(struct trq_str text, char *why, size_t why_size)
{
    json_t *root = NULL;
    const int rc = parse(text, TQ_JSON_DEPTH_MAX - 1, &root, why, why_size);
    if (rc == TRQ_OK)
        json_decref(root);
    return rc;
}

/* ---- a dictionary ----------------------------------------------------------------------------------- */

static const char *kind_of(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a bool";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* Stands in `text` before a member's key, or at the end of the object. */
static const char *next_value(const char *at, const char *end)
{
    at = skip_spaces(at, end);
    if (at < end && *at == ',')
        at = skip_spaces(at + 1, end);
    at = skip_spaces(skip_string(at, end), end);
    return skip_spaces(at + 1, end); /* the colon */
}

static struct trq_value value_of(const json_t *value)
{
    struct trq_value v = {.type = TRQ_NULL};
    switch (json_typeof(value)) {
    case JSON_STRING:
        v.type = TRQ_STR;
        v.u.s = (struct trq_str){json_string_value(value), json_string_length(value)};
        break;
    case JSON_INTEGER:
        v.type = TRQ_I64;
        v.u.i = json_integer_value(value);
        break;
    case JSON_REAL:
        v.type = TRQ_F64;
        v.u.f = json_real_value(value);
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        v.type = TRQ_BOOL;
        v.u.b = json_is_true(value);
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        v.type = TRQ_JSON;
        break;
    case JSON_NULL:
        break;
    }
    return v;
}

/* jansson hands the members out in the order of the text, so that one walk over both finds the text of
 * those that are lists and objects; the copies go to `texts`. */
static void fill(json_t *root, struct trq_str text, struct trq_kv *kv, char *texts)
{
    const char *const end = text.data + text.size;
    const char *at = skip_spaces(text.data, end) + 1;
    for (void *member = json_object_iter(root); member;
         member = json_object_iter_next(root, member), kv++) {
        const char *const from = next_value(at, end);
        at = skip_value(from, end);
        kv->key = trq_str_of(json_object_iter_key(member));
        kv->value = value_of(json_object_iter_value(member));
        if (kv->value.type == TRQ_JSON) {
            assert(opens(*from));
            char *const texts_end = put_compact(texts, from, at);
            kv->value.u.s = (struct trq_str){texts, (size_t)(texts_end - texts)};
            texts = texts_end;
        }
    }
}

/* Upper bound of what fill copies: the text holds it. */
static size_t nested_bytes(const json_t *root, size_t text_size)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)root, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            return text_size;
    }
    return 0;
}

int tq_json_parse_dict(const struct tq_memory *memory, struct trq_str text,
                       struct tq_json_dict *out, struct trq_error *error)
{
    char why[TQ_JSON_WHY_SIZE];
    json_t *root = NULL;
    const int rc = parse(text, TQ_JSON_DEPTH_MAX, &root, why, sizeof why);
    if (rc < 0)
        return tq_error(error, rc, "%s", rc == TRQ_ENOMEM ? "JSON: out of memory" : why);
    if (!json_is_object(root)) {
        const char *kind = kind_of(root);
        json_decref(root);
        return tq_error(error, TRQ_EINPUT,
                        "JSON: line 1, column 1: an object is wanted, %s was given", kind);
    }
    const size_t count = json_object_size(root);
    const size_t size = count * sizeof(struct trq_kv) + nested_bytes(root, text.size);
    void *block = NULL;
    if (count) {
        block = tq_alloc_raw(memory, size, _Alignof(struct trq_kv));
        if (!block) {
            json_decref(root);
            return tq_error(error, TRQ_ENOMEM, "JSON: out of memory");
        }
        fill(root, text, block, (char *)block + count * sizeof(struct trq_kv));
    }
    *out = (struct tq_json_dict){{block, count}, root, block, size};
    return TRQ_OK;
}

void tq_json_dict_fini(const struct tq_memory *memory, struct tq_json_dict *dict)
{
    json_decref(dict->root);
    tq_free(memory, dict->block, dict->block_size);
}

/* ---- writing ---------------------------------------------------------------------------------------- */

struct out {
    char *buffer;
    size_t capacity;
    size_t size; /* needed so far */
};

static void put(struct out *out, const char *data, size_t size)
{
    if (out->size < out->capacity && size) {
        const size_t room = out->capacity - out->size;
        memcpy(out->buffer + out->size, data, size < room ? size : room);
    }
    out->size += size;
}

static void put_escaped(struct out *out, unsigned char byte)
{
    static const char letters[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    char text[8];
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if ((unsigned char)letters[i] == byte) {
            text[0] = '\\';
            text[1] = letters[i + 1];
            put(out, text, 2);
            return;
        }
    }
    snprintf(text, sizeof text, "\\u%04x", byte);
    put(out, text, 6);
}

static void put_string(struct out *out, struct trq_str text)
{
    size_t begin = 0;
    put(out, "\"", 1);
    for (size_t i = 0; i < text.size; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        put(out, text.data + begin, i - begin);
        put_escaped(out, byte);
        begin = i + 1;
    }
    put(out, text.data + begin, text.size - begin);
    put(out, "\"", 1);
}

static void put_real(struct out *out, double real)
{
    char text[40];
    int size = 0;
    if (!isfinite(real)) {
        put(out, "null", 4);
        return;
    }
    const struct plain plain = plain_begin();
    for (int digits = 15; digits <= 17; digits++) {
        size = snprintf(text, sizeof text - 2, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    plain_end(plain);
    put(out, text, (size_t)size);
    if (!strpbrk(text, ".e"))
        put(out, ".0", 2);
}

static void put_value(struct out *out, const struct trq_value *value)
{
    char text[24];
    switch (value->type) {
    case TRQ_BOOL:
        put(out, value->u.b ? "true" : "false", value->u.b ? 4 : 5);
        return;
    case TRQ_I64:
        put(out, text, (size_t)snprintf(text, sizeof text, "%lld", (long long)value->u.i));
        return;
    case TRQ_F64:
        put_real(out, value->u.f);
        return;
    case TRQ_STR:
    case TRQ_JSON:
        if (!value->u.s.data)
            break;
        if (value->type == TRQ_STR)
            put_string(out, value->u.s);
        else
            put(out, value->u.s.data, value->u.s.size);
        return;
    case TRQ_NULL:
        break;
    }
    put(out, "null", 4);
}

size_t tq_json_write(const struct trq_value *value, char *buffer, size_t capacity)
{
    struct out out = {buffer, capacity, 0};
    put_value(&out, value);
    return out.size;
}

long tq_json_from_inputs(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                         char *buffer, size_t capacity)
{
    struct out out = {buffer, capacity ? capacity - 1 : 0, 0};
    struct trq_kv kv;
    const size_t declared = tq_layout_rows(layout);
    bool first = true;
    put(&out, "{", 1);
    for (size_t i = 0; tq_inputs_at(layout, bytes, size, i, &kv); i++) {
        if (i < declared && kv.value.type == TRQ_NULL)
            continue; /* absent: a null would be refused if the text were enqueued again */
        put(&out, ",", first ? 0 : 1);
        put_string(&out, kv.key);
        put(&out, ":", 1);
        put_value(&out, &kv.value);
        first = false;
    }
    put(&out, "}", 1);
    if (capacity)
        buffer[out.size < capacity ? out.size : capacity - 1] = '\0';
    return (long)out.size;
}
