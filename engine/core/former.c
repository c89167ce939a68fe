#include "engine/core/former.h"

#include <string.h>

#include "engine/core/inputs.h"
#include "engine/core/key.h"
#include "engine/core/layout.h"

/* ---- one input --------------------------------------------------------------------------------------------- */

static bool given(const struct tq_former *f, const char *name, size_t size, struct trq_value *out)
{
    return tq_inputs_get(f->bare, f->bytes, f->size, name, size, out);
}

static bool to_bool(struct trq_value *value)
{
    const bool one = value->type == TRQ_I64 ? value->u.i == 1 : value->u.f == 1;
    const bool zero = value->type == TRQ_I64 ? value->u.i == 0 : value->u.f == 0;
    value->u.b = one;
    return one || zero;
}

static bool to_i64(struct trq_value *value)
{
    const double real = value->u.f;
    if (!(value->type == TRQ_F64 && real >= -0x1p63 && real < 0x1p63 &&
          (double)(int64_t)real == real))
        return false;
    value->u.i = (int64_t)real;
    return true;
}

static bool to_f64(struct trq_value *value)
{
    const int64_t integer = value->u.i;
    const double real = (double)integer;
    /* The largest integers round up to 2^63, which is none of them. */
    if (value->type != TRQ_I64 || real >= 0x1p63 || (int64_t)real != integer)
        return false;
    value->u.f = real;
    return true;
}

/* False, and *value as it was: it does not fit. */
static bool convert(unsigned type, struct trq_value *value)
{
    const bool number = value->type == TRQ_I64 || value->type == TRQ_F64;
    struct trq_value converted = *value;
    bool fits = false;
    if (value->type == type || type == TRQ_JSON)
        return true;
    if (!number)
        return false;
    if (type == TRQ_BOOL)
        fits = to_bool(&converted);
    else if (type == TRQ_I64)
        fits = to_i64(&converted);
    else if (type == TRQ_F64)
        fits = to_f64(&converted);
    if (!fits)
        return false;
    converted.type = (enum trq_type)type;
    *value = converted;
    return true;
}

enum tq_found tq_former_row(const struct tq_former *former, const struct tq_row *row,
                            struct trq_value *out)
{
    if (given(former, row->name, row->name_size, out))
        return convert(row->type, out) ? TQ_FITS : TQ_UNFITTING;
    *out = row->value;
    if (row->required || (row->type >= TRQ_STR && !row->value.u.s.data))
        out->type = TRQ_NULL;
    return row->required ? TQ_LACKING : TQ_DEFAULT;
}

/* ---- reading ----------------------------------------------------------------------------------------------- */

bool tq_former_get(const struct tq_former *former, const char *name, size_t name_size,
                   struct trq_value *out)
{
    const struct tq_row *row = tq_layout_find(former->present, name, name_size);
    if (!row)
        return given(former, name, name_size, out);
    struct trq_value value;
    const enum tq_found found = tq_former_row(former, row, &value);
    if (found == TQ_LACKING || (found == TQ_DEFAULT && value.type == TRQ_NULL))
        return false;
    *out = value;
    return true;
}

void tq_former_to_struct(const struct tq_former *former, void *out)
{
    const struct tq_layout *layout = former->present;
    for (uint32_t i = 0; i < layout->row_count; i++) {
        const struct tq_row *row = &layout->row[i];
        char *field = (char *)out + row->field;
        struct trq_value value;
        const enum tq_found found = tq_former_row(former, row, &value);
        const bool good = (found == TQ_FITS || found == TQ_DEFAULT) && value.type == row->type;
        struct trq_str text = {NULL, 0};
        if (row->type == TRQ_BOOL) {
            *field = good && value.u.b;
        } else if (row->type < TRQ_STR) {
            memset(field, 0, 8);
            if (good)
                memcpy(field, &value.u, 8);
        } else {
            if (good)
                text = value.u.s;
            memcpy(field, &text, sizeof text);
        }
    }
}

/* ---- keys -------------------------------------------------------------------------------------------------- */

static void put_row(struct trq_key *key, const struct tq_former *former, const struct tq_row *row)
{
    struct trq_value value;
    const enum tq_found found = tq_former_row(former, row, &value);
    if (found == TQ_FITS && row->type == TRQ_JSON)
        tq_key_json(key, &value);
    else
        tq_key_value(key, &value);
}

void tq_former_key_names(struct trq_key *key, const struct tq_former *former,
                         const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const size_t size = strlen(names[i]);
        const struct tq_row *row = tq_layout_find(former->present, names[i], size);
        struct trq_value value;
        if (row)
            put_row(key, former, row);
        else
            tq_key_value(key, given(former, names[i], size, &value) ? &value : NULL);
    }
}

static bool is_undeclared(const struct tq_former *former, const struct trq_kv *kv)
{
    return !tq_layout_find(former->present, kv->key.data, kv->key.size);
}

void tq_former_key_all(struct trq_key *key, const struct tq_former *former)
{
    struct tq_key_sum sum = {0, {0, 0}};
    struct trq_kv kv;
    for (uint32_t i = 0; i < former->present->row_count; i++)
        put_row(key, former, &former->present->row[i]);
    for (size_t i = 0; tq_inputs_at(former->bare, former->bytes, former->size, i, &kv); i++)
        if (is_undeclared(former, &kv))
            tq_key_sum_add(&sum, key, &kv);
    tq_key_sum_put(key, &sum);
}

static bool tells(const struct tq_former *former, const struct tq_row *row, bool whole)
{
    struct trq_value value;
    switch (tq_former_row(former, row, &value)) {
    case TQ_FITS:
        break;
    case TQ_DEFAULT:
        return !former->open;
    case TQ_LACKING:
        return false;
    case TQ_UNFITTING: /* named, it counts as it was given; in a struct it is not seen */
        return !whole;
    }
    return true;
}

bool tq_former_tells(const struct tq_former *former, const char *const *names, size_t count)
{
    for (uint32_t i = 0; !names && i < former->present->row_count; i++)
        if (!tells(former, &former->present->row[i], true))
            return false;
    for (size_t i = 0; names && i < count; i++) {
        const size_t size = strlen(names[i]);
        const struct tq_row *row = tq_layout_find(former->present, names[i], size);
        struct trq_value value;
        if (row ? !tells(former, row, false)
                : former->open && !given(former, names[i], size, &value))
            return false;
    }
    return true;
}

void tq_former_key_whole(struct trq_key *key, const struct tq_former *former)
{
    tq_key_all(key, former->bare, former->bytes, former->size);
}
