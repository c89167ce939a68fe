#include "engine/core/key.h"

#include <string.h>

#include "engine/core/canon.h"
#include "engine/core/inputs.h"
#include "engine/core/json.h"

/* A part is its type and then as many bytes as the type, or the size that follows it, says. */
enum {
    PART_NULL = 'n',
    PART_BOOL = 'b',      /* 1 byte */
    PART_I64 = 'i',       /* 8 bytes */
    PART_F64 = 'f',       /* 8 bytes */
    PART_STR = 's',       /* size, 8 bytes; the text */
    PART_JSON = 'j',      /* the digest of what it says, 16 bytes */
    PART_NO_JSON = 'J',   /* size, 8 bytes; the text */
    PART_UNDECLARED = 'u' /* how many, 8 bytes; the sum of their digests, 16 bytes */
};

static void put_text(struct tq_siphash *hash, uint8_t type, struct trq_str text)
{
    tq_siphash_u8(hash, type);
    tq_siphash_u64(hash, text.size);
    tq_siphash_bytes(hash, text.data, text.size);
}

static void put_real(struct tq_siphash *hash, double real)
{
    uint64_t bits = UINT64_C(0x7ff8000000000000); /* of all NaNs */
    if (real == 0)
        real = 0;     /* not -0.0 */
    if (real == real) /* NOLINT(misc-redundant-expression) */
        memcpy(&bits, &real, sizeof bits);
    tq_siphash_u8(hash, PART_F64);
    tq_siphash_u64(hash, bits);
}

static void put_json(struct tq_siphash *hash, const struct tq_siphash *parts, struct trq_str text)
{
    struct tq_digest digest;
    if (!tq_canon_json(parts, text, &digest)) {
        put_text(hash, PART_NO_JSON, text);
        return;
    }
    tq_siphash_u8(hash, PART_JSON);
    tq_siphash_u64(hash, digest.a);
    tq_siphash_u64(hash, digest.b);
}

static void put_value(struct tq_siphash *hash, const struct tq_siphash *parts,
                      const struct trq_value *value)
{
    switch (value->type) {
    case TRQ_BOOL:
        tq_siphash_u8(hash, PART_BOOL);
        tq_siphash_u8(hash, value->u.b);
        return;
    case TRQ_I64:
        tq_siphash_u8(hash, PART_I64);
        tq_siphash_u64(hash, (uint64_t)value->u.i);
        return;
    case TRQ_F64:
        put_real(hash, value->u.f);
        return;
    case TRQ_STR:
    case TRQ_JSON:
        if (!value->u.s.data)
            break;
        if (value->type == TRQ_STR)
            put_text(hash, PART_STR, value->u.s);
        else
            put_json(hash, parts, value->u.s);
        return;
    case TRQ_NULL:
        break;
    }
    tq_siphash_u8(hash, PART_NULL);
}

static void put_json_string(struct tq_siphash *hash, const struct tq_siphash *parts,
                            struct trq_str text)
{
    const struct tq_digest digest = tq_canon_string(parts, text);
    tq_siphash_u8(hash, PART_JSON);
    tq_siphash_u64(hash, digest.a);
    tq_siphash_u64(hash, digest.b);
}

static const struct trq_value null_value = {.type = TRQ_NULL};

/* ---- inside the engine ------------------------------------------------------------------------------ */

/* The name is filled up to whole words: what follows is then absorbed without shifts. Its size tells where it ends. */
void tq_key_prefix_make(struct tq_key_prefix *prefix, const struct tq_secret *secret, char kind,
                        const char *space)
{
    const size_t size = strlen(space);
    tq_siphash_init(&prefix->parts, *secret);
    prefix->keys = prefix->parts;
    tq_siphash_u64(&prefix->parts, 'p');
    tq_siphash_u64(&prefix->keys, (unsigned char)kind);
    tq_siphash_u64(&prefix->keys, size);
    tq_siphash_bytes(&prefix->keys, space, size);
    while (prefix->keys.size % 8)
        tq_siphash_u8(&prefix->keys, 0);
}

void tq_key_value(struct trq_key *key, const struct trq_value *value)
{
    put_value(&key->hash, &key->prefix->parts, value ? value : &null_value);
}

void tq_key_json(struct trq_key *key, const struct trq_value *value)
{
    char text[40]; /* no number, and no word, is longer */
    if (value->type == TRQ_JSON) {
        tq_key_value(key, value);
    } else if (value->type == TRQ_STR) {
        put_json_string(&key->hash, &key->prefix->parts, value->u.s);
    } else {
        const size_t size = tq_json_write(value, text, sizeof text);
        put_json(&key->hash, &key->prefix->parts, (struct trq_str){text, size});
    }
}

void tq_key_rows(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                 size_t size, const uint16_t *rows, size_t count)
{
    struct trq_kv kv;
    for (size_t i = 0; i < count; i++)
        tq_key_value(key, tq_inputs_at(layout, bytes, size, rows[i], &kv) ? &kv.value : NULL);
}

void tq_key_names(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                  size_t size, const char *const *names, size_t count)
{
    struct trq_value value;
    for (size_t i = 0; i < count; i++) {
        const bool there = tq_inputs_get(layout, bytes, size, names[i], strlen(names[i]), &value);
        tq_key_value(key, there ? &value : NULL);
    }
}

void tq_key_sum_add(struct tq_key_sum *sum, const struct trq_key *key, const struct trq_kv *kv)
{
    struct tq_siphash own = key->prefix->parts;
    put_text(&own, PART_UNDECLARED, kv->key);
    put_value(&own, &key->prefix->parts, &kv->value);
    const struct tq_digest digest = tq_siphash_end(&own);
    sum->count++;
    sum->digest.a += digest.a;
    sum->digest.b += digest.b;
}

void tq_key_sum_put(struct trq_key *key, const struct tq_key_sum *sum)
{
    if (!sum->count)
        return;
    tq_siphash_u8(&key->hash, PART_UNDECLARED);
    tq_siphash_u64(&key->hash, sum->count);
    tq_siphash_u64(&key->hash, sum->digest.a);
    tq_siphash_u64(&key->hash, sum->digest.b);
}

void tq_key_all(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                size_t size)
{
    const size_t declared = tq_layout_rows(layout);
    struct tq_key_sum sum = {0, {0, 0}};
    struct trq_kv kv;
    size_t i = 0;
    for (; i < declared && tq_inputs_at(layout, bytes, size, i, &kv); i++)
        tq_key_value(key, &kv.value);
    for (; tq_inputs_at(layout, bytes, size, i, &kv); i++)
        tq_key_sum_add(&sum, key, &kv);
    tq_key_sum_put(key, &sum);
}

/* ---- in a lock's function --------------------------------------------------------------------------- */

void trq_key_bool(struct trq_key *key, bool value)
{
    tq_key_value(key, &(struct trq_value){.type = TRQ_BOOL, .u.b = value});
}

void trq_key_i64(struct trq_key *key, int64_t value)
{
    tq_key_value(key, &(struct trq_value){.type = TRQ_I64, .u.i = value});
}

void trq_key_f64(struct trq_key *key, double value)
{
    tq_key_value(key, &(struct trq_value){.type = TRQ_F64, .u.f = value});
}

void trq_key_str(struct trq_key *key, struct trq_str value)
{
    tq_key_value(key, &(struct trq_value){.type = TRQ_STR, .u.s = value});
}

void trq_key_input(struct trq_key *key, const struct trq_job *job, const char *name)
{
    struct trq_value value;
    tq_key_value(key, trq_job_get(job, name, &value) ? &value : NULL);
}
