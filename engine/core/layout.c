#include "engine/core/layout.h"

#include <stdio.h>
#include <sys/random.h>

#include "engine/base/error.h"
#include "engine/base/memory.h"
#include "engine/base/utf8.h"
#include "engine/core/json.h"

/* Room for the longest reason that the parts below give. */
enum { WHY_SIZE = 200 };

/* ---- errors ----------------------------------------------------------------------------------- */

struct shown {
    char text[72];
};

static struct shown show(struct trq_str name)
{
    struct shown shown;
    const size_t room = sizeof shown.text - sizeof "...";
    size_t size = name.size;
    if (size > room) {
        for (size = room; size > 0 && ((unsigned char)name.data[size] & 0xC0) == 0x80;)
            size--;
    }
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = (unsigned char)name.data[i];
        shown.text[i] = byte < 0x20 || byte == 0x7F ? '?' : name.data[i];
    }
    strcpy(shown.text + size, size < name.size ? "..." : "");
    return shown;
}

int tq_input_error(const struct tq_layout *layout, struct trq_str name, struct trq_error *error,
                   const char *format, ...)
{
    if (!error)
        return TRQ_EINPUT;
    char what[sizeof error->text];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    return tq_error(error, TRQ_EINPUT, "%s: input %s%s", layout->worker, show(name).text, what);
}

/* ---- what a declaration must be ----------------------------------------------------------------- */

/* Bytes of a row in the fixed part and in the struct; 0 for a type that is none. */
static size_t fixed_bytes(enum trq_type type)
{
    switch (type) {
    case TRQ_BOOL:
        return 1;
    case TRQ_I64:
    case TRQ_F64:
        return 8;
    case TRQ_STR:
    case TRQ_JSON:
        return 4;
    case TRQ_NULL:
        break;
    }
    return 0;
}

static bool is_text(enum trq_type type)
{
    return type == TRQ_STR || type == TRQ_JSON;
}

static size_t field_bytes(enum trq_type type)
{
    return is_text(type) ? sizeof(struct trq_str) : fixed_bytes(type);
}

static int check_name(const struct trq_inputs *declared, size_t index, char *why)
{
    const char *name = declared->rows[index].name;
    size_t bad_at;
    if (!name || !*name) {
        snprintf(why, WHY_SIZE, "input %zu has no name", index + 1);
        return TRQ_EINVAL;
    }
    if (!tq_utf8_valid(name, strlen(name), &bad_at)) {
        snprintf(why, WHY_SIZE, "the name of input %zu: not UTF-8 at byte %zu", index + 1, bad_at);
        return TRQ_EINVAL;
    }
    for (size_t i = 0; i < index; i++) {
        if (strcmp(declared->rows[i].name, name) == 0) {
            snprintf(why, WHY_SIZE, "input %s is declared twice", show(trq_str_of(name)).text);
            return TRQ_EINVAL;
        }
    }
    return TRQ_OK;
}

static int check_field(const struct trq_inputs *declared, size_t index, char *why)
{
    const struct trq_input *row = &declared->rows[index];
    const size_t size = field_bytes(row->type);
    const struct shown shown = show(trq_str_of(row->name));
    if (size > declared->struct_size || row->offset > declared->struct_size - size) {
        snprintf(why, WHY_SIZE, "input %s: its field is outside the struct of %zu bytes",
                 shown.text, declared->struct_size);
        return TRQ_EINVAL;
    }
    for (size_t i = 0; i < index; i++) {
        const struct trq_input *other = &declared->rows[i];
        if (row->offset < other->offset + field_bytes(other->type) &&
            other->offset < row->offset + size) {
            snprintf(why, WHY_SIZE, "inputs %s and %s: their fields overlap",
                     show(trq_str_of(other->name)).text, shown.text);
            return TRQ_EINVAL;
        }
    }
    return TRQ_OK;
}

static int check_default(const struct trq_input *row, char *why)
{
    const struct trq_str text = trq_str_of(row->default_str);
    const struct shown shown = show(trq_str_of(row->name));
    size_t bad_at;
    if (row->type == TRQ_STR && !tq_utf8_valid(text.data, text.size, &bad_at)) {
        snprintf(why, WHY_SIZE, "input %s: the default is not UTF-8 at byte %zu", shown.text,
                 bad_at);
        return TRQ_EINVAL;
    }
    if (row->type == TRQ_JSON && text.data) {
        char json[WHY_SIZE / 2];
        const int rc = tq_json_check(text, json, sizeof json);
        snprintf(why, WHY_SIZE, "input %s: the default: %s", shown.text, rc < 0 ? json : "");
        return rc == TRQ_EINPUT ? TRQ_EINVAL : rc;
    }
    return TRQ_OK;
}

static int check_row(const struct trq_inputs *declared, size_t index, char *why)
{
    const struct trq_input *row = &declared->rows[index];
    int rc = check_name(declared, index, why);
    if (rc < 0)
        return rc;
    if (!fixed_bytes(row->type)) {
        snprintf(why, WHY_SIZE, "input %s: %u is no type of an input",
                 show(trq_str_of(row->name)).text, (unsigned)row->type);
        return TRQ_EINVAL;
    }
    rc = check_field(declared, index, why);
    return rc < 0 ? rc : check_default(row, why);
}

static int check(const struct trq_inputs *declared, char *why)
{
    if (declared->count > TQ_INPUTS_ROWS_MAX) {
        snprintf(why, WHY_SIZE, "%zu inputs are declared, %d are allowed", declared->count,
                 TQ_INPUTS_ROWS_MAX);
        return TRQ_EINVAL;
    }
    if (declared->count && !declared->rows) {
        snprintf(why, WHY_SIZE, "%zu inputs are declared, but no rows", declared->count);
        return TRQ_EINVAL;
    }
    if (declared->struct_size > INT32_MAX) {
        snprintf(why, WHY_SIZE, "a struct of %zu bytes is too large", declared->struct_size);
        return TRQ_EINVAL;
    }
    for (size_t i = 0; i < declared->count; i++) {
        const int rc = check_row(declared, i, why);
        if (rc < 0)
            return rc;
    }
    return TRQ_OK;
}

/* ---- making it ---------------------------------------------------------------------------------- */

static size_t block_size(const char *worker, const struct trq_inputs *declared)
{
    size_t size = sizeof(struct tq_layout) + declared->count * sizeof(struct tq_row);
    size += strlen(worker) + 1;
    for (size_t i = 0; i < declared->count; i++) {
        const struct trq_input *row = &declared->rows[i];
        size += strlen(row->name) + 1;
        if (is_text(row->type) && row->default_str)
            size += strlen(row->default_str) + 1;
    }
    return size;
}

/* Copies the terminated text to *end and moves *end behind it. */
static const char *keep(char **end, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *kept = memcpy(*end, text, size);
    *end += size;
    return kept;
}

static struct trq_value default_of(const struct trq_input *row, char **texts)
{
    struct trq_value value = {.type = row->type};
    switch (row->type) {
    case TRQ_BOOL:
        value.u.b = row->default_i64 != 0;
        break;
    case TRQ_I64:
        value.u.i = row->default_i64;
        break;
    case TRQ_F64:
        value.u.f = row->default_f64;
        break;
    default:
        value.u.s = trq_str_of(row->default_str ? keep(texts, row->default_str) : NULL);
    }
    return value;
}

static void add_to_slots(struct tq_layout *layout, uint32_t index)
{
    const struct tq_row *row = &layout->row[index];
    uint32_t at = tq_name_hash(row->words, row->name_size) & layout->slot_mask;
    while (layout->slot[at])
        at = (at + 1) & layout->slot_mask;
    layout->slot[at] = (uint8_t)(index + 1);
}

static void add_row(struct tq_layout *layout, const struct trq_input *from, char **texts)
{
    const uint32_t index = layout->row_count++;
    struct tq_row *row = &layout->row[index];
    row->declared = from->name;
    row->name = keep(texts, from->name);
    row->name_size = (uint32_t)strlen(row->name);
    row->words = tq_name_words(row->name, row->name_size);
    if (row->name_size > layout->name_size_max)
        layout->name_size_max = row->name_size;
    row->field = (uint32_t)from->offset;
    row->at = (uint16_t)layout->fixed_size;
    row->type = (uint8_t)from->type;
    row->required = from->required != TRQ_OPTIONAL;
    row->value = default_of(from, texts);
    if (row->required)
        layout->required |= UINT64_C(1) << index;

    layout->fixed_size += (uint32_t)fixed_bytes(from->type);
    row->before = layout->text_last;
    if (is_text(from->type))
        layout->text_last = row->at;
    add_to_slots(layout, index);
}

/* The kernel may have no random bytes yet, early after boot; then an address must do. */
static uint64_t make_seed(const void *block)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = (uint64_t)(uintptr_t)block * UINT64_C(0x9E3779B97F4A7C15);
    return seed | 1;
}

static uint32_t slots_for(size_t rows)
{
    uint32_t slots = 1;
    while (slots < 4 * rows)
        slots *= 2;
    return slots;
}

int tq_layout_create(const struct tq_memory *memory, const char *worker,
                     const struct trq_inputs *declared, struct tq_layout **out_layout,
                     struct trq_error *error)
{
    static const struct trq_inputs none = {NULL, 0, 0};
    if (!declared)
        declared = &none;

    char why[WHY_SIZE] = "";
    const int rc = check(declared, why);
    if (rc < 0)
        return tq_error(error, rc, "%s: %s", worker, why);

    const size_t size = block_size(worker, declared);
    struct tq_layout *layout = tq_alloc(memory, size, _Alignof(struct tq_layout));
    if (!layout)
        return tq_error(error, TRQ_ENOMEM, "%s: out of memory", worker);

    char *texts = (char *)&layout->row[declared->count];
    layout->block_size = size;
    layout->worker = keep(&texts, worker);
    layout->seed = make_seed(layout);
    layout->struct_size = declared->struct_size;
    layout->slot_mask = slots_for(declared->count) - 1;
    layout->text_last = TQ_NO_TEXT;
    for (size_t i = 0; i < declared->count; i++)
        add_row(layout, &declared->rows[i], &texts);
    *out_layout = layout;
    return TRQ_OK;
}

void tq_layout_destroy(const struct tq_memory *memory, struct tq_layout *layout)
{
    if (layout)
        tq_free(memory, layout, layout->block_size);
}

/* ---- the same declaration in another place ------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_row(const struct trq_input *a, const struct trq_input *b)
{
    /* The bits of the number: a NaN is the same as itself here, and 0.0 another default than -0.0. */
    return a->type == b->type && a->required == b->required && a->offset == b->offset &&
           a->default_i64 == b->default_i64 &&
           /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
           memcmp(&a->default_f64, &b->default_f64, sizeof a->default_f64) == 0 &&
           same_text(a->name, b->name) && same_text(a->default_str, b->default_str);
}

bool tq_inputs_same(const struct trq_inputs *a, const struct trq_inputs *b)
{
    static const struct trq_inputs none = {NULL, 0, 0};
    a = a ? a : &none;
    b = b ? b : &none;
    if (a == b)
        return true;
    if (a->count != b->count || a->struct_size != b->struct_size)
        return false;
    if (a->rows == b->rows)
        return true;
    for (size_t i = 0; i < a->count; i++) {
        if (!a->rows || !b->rows || !same_row(&a->rows[i], &b->rows[i]))
            return false;
    }
    return true;
}
