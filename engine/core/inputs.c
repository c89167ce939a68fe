#include "engine/core/inputs.h"

#include <assert.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/core/extras.h"
#include "engine/core/json.h"
#include "engine/core/layout.h"

static uint32_t load32(const unsigned char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static void store32(unsigned char *to, uint32_t value)
{
    memcpy(to, &value, sizeof value);
}

/* A bool that the caller made: its byte may hold anything, and reading that as a bool is undefined. */
static unsigned char truth(const void *flag)
{
    unsigned char byte;
    memcpy(&byte, flag, sizeof byte);
    return byte != 0;
}

static struct trq_str row_name(const struct tq_row *row)
{
    return (struct trq_str){row->name, row->name_size};
}

/* ---- the encoding under construction -------------------------------------------------------------- */

/* Texts that have no room are counted and not copied. */
struct out {
    unsigned char *bytes;
    size_t capacity;
    size_t end; /* of what was put */
};

/* The fixed part is written without looking at the capacity. If the buffer is smaller than that, the
 * encoding goes to the scratch, and nothing but its size matters. */
static struct out out_begin(const struct tq_layout *layout, unsigned char *buffer, size_t capacity,
                            unsigned char *scratch)
{
    const bool fits = layout->fixed_size <= capacity;
    return (struct out){fits ? buffer : scratch, fits ? capacity : TQ_FIXED_MAX,
                        layout->fixed_size};
}

/* Most texts are short: two moves instead of a call. */
static inline void copy_text(unsigned char *to, const char *from, size_t size)
{
    uint64_t words[2];
    uint32_t halves[2];
    if (size > 16) {
        memcpy(to, from, size);
    } else if (size >= 8) {
        memcpy(&words[0], from, 8);
        memcpy(&words[1], from + size - 8, 8);
        memcpy(to, &words[0], 8);
        memcpy(to + size - 8, &words[1], 8);
    } else if (size >= 4) {
        memcpy(&halves[0], from, 4);
        memcpy(&halves[1], from + size - 4, 4);
        memcpy(to, &halves[0], 4);
        memcpy(to + size - 4, &halves[1], 4);
    } else if (size > 0) {
        to[0] = (unsigned char)from[0];
        to[size >> 1] = (unsigned char)from[size >> 1];
        to[size - 1] = (unsigned char)from[size - 1];
    }
}

/* Also when the text has no room; sizes were bounded before, so the end cannot run over. */
static inline void put_text(struct out *out, const struct tq_row *row, struct trq_str text)
{
    const size_t end = out->end + text.size;
    if (!text.data) {
        store32(out->bytes + row->at, (uint32_t)out->end | TQ_TEXT_ABSENT);
        return;
    }
    if (end <= out->capacity)
        copy_text(out->bytes + out->end, text.data, text.size);
    out->end = end;
    store32(out->bytes + row->at, (uint32_t)end);
}

/* ---- errors --------------------------------------------------------------------------------------- */

static const char *type_text(unsigned type)
{
    static const char *const text[] = {"null",          "a bool",   "an integer",
                                       "a real number", "a string", "JSON"};
    return type < sizeof text / sizeof text[0] ? text[type] : "a value of no known type";
}

static int wrong_type(const struct tq_layout *layout, const struct tq_row *row, unsigned given,
                      struct trq_error *error)
{
    return tq_input_error(layout, row_name(row), error, ": %s is wanted, %s was given",
                          type_text(row->type), type_text(given));
}

static int missing(const struct tq_layout *layout, const struct tq_row *row,
                   struct trq_error *error)
{
    return tq_input_error(layout, row_name(row), error, " is required");
}

static int given_twice(const struct tq_layout *layout, struct trq_str name, struct trq_error *error)
{
    return tq_input_error(layout, name, error, " is given twice");
}

static int too_big(const struct tq_layout *layout, size_t size, size_t size_max,
                   struct trq_error *error)
{
    return tq_error(error, TRQ_EINPUT, "%s: the inputs take %zu bytes, %zu are allowed",
                    layout->worker, size, size_max);
}

static int check_utf8(const struct tq_layout *layout, struct trq_str name, struct trq_str text,
                      struct trq_error *error)
{
    size_t bad_at = 0;
    if (tq_utf8_valid(text.data, text.size, &bad_at))
        return TRQ_OK;
    return tq_input_error(layout, name, error, ": not UTF-8 at byte %zu", bad_at);
}

static int check_json(const struct tq_layout *layout, struct trq_str name, struct trq_str text,
                      struct trq_error *error)
{
    char why[TQ_JSON_WHY_SIZE];
    const int rc = tq_json_check(text, why, sizeof why);
    if (rc == TRQ_ENOMEM)
        return tq_error(error, TRQ_ENOMEM, "%s: out of memory", layout->worker);
    return rc == TRQ_OK ? rc : tq_input_error(layout, name, error, ": %s", why);
}

static size_t add_capped(size_t a, size_t b)
{
    return a > SIZE_MAX - b ? SIZE_MAX : a + b;
}

/* ---- from a struct -------------------------------------------------------------------------------- */

/* Of put_struct_text; no code of the API. */
enum { TOO_BIG = -100 };

/* Word by word: the caller has just stored them so, and a processor cannot forward two small stores to
 * one wide load. The same below, where a text is handed out. */
static inline struct trq_str struct_text(const struct tq_row *row, const void *in)
{
    const char *field = (const char *)in + row->field;
    struct trq_str text;
    memcpy(&text.data, field + offsetof(struct trq_str, data), sizeof text.data);
    memcpy(&text.size, field + offsetof(struct trq_str, size), sizeof text.size);
    return text;
}

/* The sentence wants the size of the whole, and the encoder gave up in the middle. */
static int struct_too_big(const struct tq_layout *layout, const void *in, size_t size_max,
                          struct trq_error *error)
{
    size_t size = layout->fixed_size;
    for (uint32_t i = 0; i < layout->row_count; i++) {
        const struct tq_row *row = &layout->row[i];
        if (row->type < TRQ_STR)
            continue;
        const struct trq_str given = struct_text(row, in);
        size = add_capped(size, given.data ? given.size : row->value.u.s.size);
    }
    return too_big(layout, size, size_max, error);
}

/* What needs more than a look: absent, JSON, or not plainly ASCII. */
static int take_text(const struct tq_layout *layout, const struct tq_row *row, struct trq_str *text,
                     struct trq_error *error)
{
    if (text->data)
        return row->type == TRQ_JSON ? check_json(layout, row_name(row), *text, error)
                                     : check_utf8(layout, row_name(row), *text, error);
    if (row->required)
        return missing(layout, row, error);
    *text = row->value.u.s;
    return TRQ_OK;
}

/* A text of the caller, or the default of that row; absent if there is neither. */
static inline int put_struct_text(const struct tq_layout *layout, const struct tq_row *row,
                                  struct trq_str text, struct out *out, size_t size_max,
                                  struct trq_error *error)
{
    const bool plain =
        text.data && row->type == TRQ_STR && tq_utf8_is_short_ascii(text.data, text.size);
    if (text.data && text.size > size_max - out->end)
        return TOO_BIG;
    if (!plain) {
        struct trq_str taken = text;
        const int rc = take_text(layout, row, &taken, error);
        if (rc < 0)
            return rc;
        text = taken;
        if (text.size > size_max - out->end) /* of a default */
            return TOO_BIG;
    }
    put_text(out, row, text);
    return TRQ_OK;
}

long tq_inputs_from_struct(const struct tq_layout *layout, const void *in, unsigned char *buffer,
                           size_t capacity, size_t size_max, struct trq_error *error)
{
    unsigned char scratch[TQ_FIXED_MAX];
    struct out out = out_begin(layout, buffer, capacity, scratch);
    if (size_max > TQ_INPUTS_SIZE_MAX)
        size_max = TQ_INPUTS_SIZE_MAX;
    if (out.end > size_max)
        return struct_too_big(layout, in, size_max, error);

    const struct tq_row *const rows_end = layout->row + layout->row_count;
    for (const struct tq_row *row = layout->row; row < rows_end; row++) {
        const char *field = (const char *)in + row->field;
        if (row->type == TRQ_BOOL) {
            out.bytes[row->at] = truth(field);
        } else if (row->type < TRQ_STR) {
            memcpy(out.bytes + row->at, field, 8);
        } else {
            const int rc =
                put_struct_text(layout, row, struct_text(row, in), &out, size_max, error);
            if (rc == TOO_BIG)
                return struct_too_big(layout, in, size_max, error);
            if (rc < 0)
                return rc;
        }
    }
    return (long)out.end;
}

/* ---- from a dictionary ---------------------------------------------------------------------------- */

struct taking {
    const struct tq_layout *layout;
    struct trq_error *error;
    size_t size_max;
    bool trusted;
    uint64_t named; /* bit i: row i was in the dictionary */
    uint64_t given; /* ... and was not absent */
    size_t extras;
    size_t extras_text; /* bytes of their names and texts */
    struct trq_value value[TQ_INPUTS_ROWS_MAX];
};

static bool is_text(const struct trq_value *value)
{
    return value->type == TRQ_STR || value->type == TRQ_JSON;
}

static bool is_absent(const struct trq_value *value)
{
    return is_text(value) && !value->u.s.data;
}

/* What the type promises about the text. A text that is too big for the whole is not read: the size
 * will be refused. */
static int check_text(const struct taking *taking, struct trq_str name,
                      const struct trq_value *value)
{
    if (taking->trusted || !is_text(value) || is_absent(value) ||
        value->u.s.size > taking->size_max)
        return TRQ_OK;
    return value->type == TRQ_JSON ? check_json(taking->layout, name, value->u.s, taking->error)
                                   : check_utf8(taking->layout, name, value->u.s, taking->error);
}

static int take_bool(const struct taking *taking, const struct tq_row *row,
                     const struct trq_value *given, struct trq_value *value)
{
    if (given->type == TRQ_BOOL) {
        value->u.b = truth(&given->u.b) != 0;
        return TRQ_OK;
    }
    if (given->type != TRQ_I64)
        return wrong_type(taking->layout, row, given->type, taking->error);
    if (given->u.i != 0 && given->u.i != 1)
        return tq_input_error(taking->layout, row_name(row), taking->error,
                              ": a bool is wanted, the integer %lld was given",
                              (long long)given->u.i);
    value->u.b = given->u.i == 1;
    return TRQ_OK;
}

static int take_f64(const struct taking *taking, const struct tq_row *row,
                    const struct trq_value *given, struct trq_value *value)
{
    if (given->type == TRQ_F64) {
        value->u.f = given->u.f;
        return TRQ_OK;
    }
    if (given->type != TRQ_I64)
        return wrong_type(taking->layout, row, given->type, taking->error);
    value->u.f = (double)given->u.i;
    /* The largest integers round up to 2^63, which is none of them. */
    if (value->u.f >= 0x1p63 || (int64_t)value->u.f != given->u.i)
        return tq_input_error(taking->layout, row_name(row), taking->error,
                              ": a real number is wanted, and cannot hold the integer %lld",
                              (long long)given->u.i);
    return TRQ_OK;
}

/* A row of type json keeps a scalar as it is; it becomes text when it is written. */
static int take_json(const struct taking *taking, const struct tq_row *row,
                     const struct trq_value *given, struct trq_value *value)
{
    if ((unsigned)given->type > TRQ_JSON)
        return wrong_type(taking->layout, row, given->type, taking->error);
    *value = *given;
    if (given->type == TRQ_BOOL)
        value->u.b = truth(&given->u.b) != 0;
    return check_text(taking, row_name(row), given);
}

static int take_same(const struct taking *taking, const struct tq_row *row,
                     const struct trq_value *given, struct trq_value *value)
{
    if ((unsigned)given->type != row->type)
        return wrong_type(taking->layout, row, given->type, taking->error);
    *value = *given;
    return check_text(taking, row_name(row), given);
}

static int take_declared(struct taking *taking, const struct tq_row *row,
                         const struct trq_value *given)
{
    const size_t index = (size_t)(row - taking->layout->row);
    const uint64_t bit = UINT64_C(1) << index;
    struct trq_value *value = &taking->value[index];
    struct trq_value taken = {.type = (enum trq_type)row->type};
    int rc;

    if (taking->named & bit)
        return given_twice(taking->layout, row_name(row), taking->error);
    taking->named |= bit;
    switch (row->type) {
    case TRQ_BOOL:
        rc = take_bool(taking, row, given, &taken);
        break;
    case TRQ_F64:
        rc = take_f64(taking, row, given, &taken);
        break;
    case TRQ_JSON:
        rc = take_json(taking, row, given, &taken);
        break;
    default:
        rc = take_same(taking, row, given, &taken);
    }
    if (rc < 0 || is_absent(&taken)) /* of an absent one the default stays */
        return rc;
    *value = taken;
    taking->given |= bit;
    return TRQ_OK;
}

/* An absent text is the same as no input. */
static bool is_extra(const struct taking *taking, const struct trq_kv *kv)
{
    return !is_absent(&kv->value) && !tq_layout_find(taking->layout, kv->key.data, kv->key.size);
}

static int take_extra(struct taking *taking, const struct trq_kv *kv)
{
    if ((unsigned)kv->value.type > TRQ_JSON)
        return tq_input_error(taking->layout, kv->key, taking->error, ": %u is no type",
                              (unsigned)kv->value.type);
    const int rc = check_text(taking, kv->key, &kv->value);
    if (rc < 0 || is_absent(&kv->value))
        return rc;
    taking->extras++;
    taking->extras_text = add_capped(taking->extras_text, kv->key.size);
    if (is_text(&kv->value))
        taking->extras_text = add_capped(taking->extras_text, kv->value.u.s.size);
    return TRQ_OK;
}

/* Names are printed and looked up as C strings, so a zero byte would cut them. */
static int check_name(const struct taking *taking, size_t index, struct trq_str name)
{
    const char *worker = taking->layout->worker;
    size_t bad_at = 0;
    if (!name.data)
        return tq_error(taking->error, TRQ_EINPUT, "%s: the %zu. input has no name", worker,
                        index + 1);
    if (name.size > taking->size_max && name.size > taking->layout->name_size_max)
        return too_big(taking->layout, name.size, taking->size_max, taking->error);
    if (taking->trusted)
        return TRQ_OK;
    if (!tq_utf8_valid(name.data, name.size, &bad_at))
        return tq_error(taking->error, TRQ_EINPUT,
                        "%s: the name of the %zu. input: not UTF-8 at byte %zu", worker, index + 1,
                        bad_at);
    const char *zero = name.size ? memchr(name.data, 0, name.size) : NULL;
    if (zero)
        return tq_error(taking->error, TRQ_EINPUT,
                        "%s: the name of the %zu. input: a zero byte at byte %zu", worker,
                        index + 1, (size_t)(zero - name.data));
    return TRQ_OK;
}

static int take_one(struct taking *taking, size_t index, const struct trq_kv *kv)
{
    const int rc = check_name(taking, index, kv->key);
    if (rc < 0)
        return rc;
    const struct tq_row *row = tq_layout_find(taking->layout, kv->key.data, kv->key.size);
    return row ? take_declared(taking, row, &kv->value) : take_extra(taking, kv);
}

static int take_all(struct taking *taking, struct trq_dict dict)
{
    const struct tq_layout *layout = taking->layout;
    if (dict.count && !dict.kv)
        return tq_error(taking->error, TRQ_EINPUT, "%s: a dictionary of %zu inputs that is NULL",
                        layout->worker, dict.count);
    for (uint32_t i = 0; i < layout->row_count; i++)
        taking->value[i] = layout->row[i].value;
    for (size_t i = 0; i < dict.count; i++) {
        const int rc = take_one(taking, i, &dict.kv[i]);
        if (rc < 0)
            return rc;
    }
    const uint64_t lacking = layout->required & ~taking->given;
    if (lacking)
        return missing(layout, &layout->row[__builtin_ctzll(lacking)], taking->error);
    return TRQ_OK;
}

/* Bytes that row i takes among the texts. */
static size_t text_size(const struct taking *taking, uint32_t i)
{
    const struct trq_value *value = &taking->value[i];
    const unsigned type = taking->layout->row[i].type;
    if (type < TRQ_STR || is_absent(value))
        return 0;
    if (type == TRQ_JSON && value->type != TRQ_JSON)
        return tq_json_write(value, NULL, 0);
    return value->u.s.size;
}

static size_t dict_size(const struct taking *taking)
{
    size_t size = taking->layout->fixed_size;
    size = add_capped(size, tq_extras_size(taking->extras, 0));
    size = add_capped(size, taking->extras_text);
    for (uint32_t i = 0; i < taking->layout->row_count; i++) {
        /* A text that alone is too big may be of any size, and was not looked at. */
        const struct trq_value *value = &taking->value[i];
        if (is_text(value) && value->u.s.size > taking->size_max)
            size = add_capped(size, value->u.s.size);
        else
            size = add_capped(size, text_size(taking, i));
    }
    return size;
}

static void put_row(struct out *out, const struct tq_row *row, const struct trq_value *value)
{
    unsigned char *at = out->bytes + row->at;
    if (row->type == TRQ_BOOL) {
        *at = value->u.b;
    } else if (row->type < TRQ_STR) {
        memcpy(at, row->type == TRQ_I64 ? (const void *)&value->u.i : (const void *)&value->u.f, 8);
    } else if (row->type == TRQ_JSON && value->type != TRQ_JSON && !is_absent(value)) {
        out->end += tq_json_write(value, (char *)out->bytes + out->end, out->capacity - out->end);
        store32(at, (uint32_t)out->end);
    } else {
        put_text(out, row, value->u.s);
    }
}

static int put_extras(const struct taking *taking, struct trq_dict dict, struct out *out)
{
    struct tq_extras_writer writer;
    tq_extras_begin(&writer, out->bytes, out->end, taking->extras, taking->layout->seed);
    for (size_t i = 0; i < dict.count; i++) {
        const struct trq_kv *kv = &dict.kv[i];
        if (is_extra(taking, kv) && !tq_extras_add(&writer, kv))
            return given_twice(taking->layout, kv->key, taking->error);
    }
    return TRQ_OK;
}

long tq_inputs_from_dict(const struct tq_layout *layout, struct trq_dict dict, bool trusted,
                         unsigned char *buffer, size_t capacity, size_t size_max,
                         struct trq_error *error)
{
    struct taking taking;
    taking.layout = layout;
    taking.error = error;
    taking.size_max = size_max < TQ_INPUTS_SIZE_MAX ? size_max : TQ_INPUTS_SIZE_MAX;
    taking.trusted = trusted;
    taking.named = taking.given = 0;
    taking.extras = taking.extras_text = 0;

    int rc = take_all(&taking, dict);
    if (rc < 0)
        return rc;
    const size_t size = dict_size(&taking);
    if (size > taking.size_max)
        return too_big(layout, size, taking.size_max, error);
    if (size > capacity)
        return (long)size;

    struct out out = {buffer, capacity, layout->fixed_size};
    for (uint32_t i = 0; i < layout->row_count; i++)
        put_row(&out, &layout->row[i], &taking.value[i]);
    if (taking.extras)
        rc = put_extras(&taking, dict, &out);
    return rc < 0 ? rc : (long)size;
}

/* ---- reading -------------------------------------------------------------------------------------- */

static inline void put_field(char *field, const char *data, size_t size)
{
    memcpy(field + offsetof(struct trq_str, data), &data, sizeof data);
    memcpy(field + offsetof(struct trq_str, size), &size, sizeof size);
}

void tq_inputs_to_struct(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                         void *out)
{
    size_t begin = layout->fixed_size;
    const struct tq_row *const rows_end = layout->row + layout->row_count;
    for (const struct tq_row *row = layout->row; row < rows_end; row++) {
        char *field = (char *)out + row->field;
        if (row->type == TRQ_BOOL) {
            *field = (char)bytes[row->at];
        } else if (row->type < TRQ_STR) {
            memcpy(field, bytes + row->at, 8);
        } else {
            const uint32_t end = load32(bytes + row->at);
            if (end & TQ_TEXT_ABSENT) {
                put_field(field, NULL, 0);
            } else {
                put_field(field, (const char *)bytes + begin, end - begin);
                begin = end;
            }
        }
    }
    assert(begin <= size);
    (void)size;
}

static size_t text_end(const struct tq_layout *layout, const unsigned char *bytes, uint16_t at)
{
    return at == TQ_NO_TEXT ? layout->fixed_size : load32(bytes + at) & ~TQ_TEXT_ABSENT;
}

/* False, and *out untouched, if it is absent. */
static inline bool get_row(const struct tq_layout *layout, const struct tq_row *row,
                           const unsigned char *bytes, struct trq_value *out)
{
    const unsigned char *at = bytes + row->at;
    if (row->type == TRQ_BOOL) {
        out->u.b = *at != 0;
    } else if (row->type < TRQ_STR) {
        memcpy(&out->u, at, 8);
    } else {
        const uint32_t end = load32(at);
        if (end & TQ_TEXT_ABSENT)
            return false;
        const size_t begin = text_end(layout, bytes, row->before);
        out->u.s.data = (const char *)bytes + begin;
        out->u.s.size = end - begin;
    }
    out->type = (enum trq_type)row->type;
    return true;
}

bool tq_inputs_get_row(const struct tq_layout *layout, const struct tq_row *row,
                       const unsigned char *bytes, struct trq_value *out)
{
    return get_row(layout, row, bytes, out);
}

bool tq_inputs_get(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                   const char *name, size_t name_size, struct trq_value *out)
{
    const struct tq_row *row = tq_layout_find(layout, name, name_size);
    if (row)
        return get_row(layout, row, bytes, out);
    const size_t extras_at = text_end(layout, bytes, layout->text_last);
    assert(extras_at <= size);
    return extras_at < size && tq_extras_find(bytes, extras_at, name, name_size, out);
}

size_t tq_layout_rows(const struct tq_layout *layout)
{
    return layout->row_count;
}

bool tq_inputs_at(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                  size_t index, struct trq_kv *out)
{
    if (index < layout->row_count) {
        const struct tq_row *row = &layout->row[index];
        out->key = row_name(row);
        if (!get_row(layout, row, bytes, &out->value))
            out->value.type = TRQ_NULL;
        return true;
    }
    const size_t extras_at = text_end(layout, bytes, layout->text_last);
    assert(extras_at <= size);
    index -= layout->row_count;
    if (extras_at >= size || index >= tq_extras_count(bytes, extras_at))
        return false;
    *out = tq_extras_get(bytes, extras_at, index);
    return true;
}
