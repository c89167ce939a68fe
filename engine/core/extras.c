#include "engine/core/extras.h"

#include <assert.h>
#include <string.h>

enum {
    LOOKED_THROUGH_MAX = 8,
    COUNT_SIZE = 4,
    SEED_SIZE = 8,
    SLOT_SIZE = 4,
    ENTRY_SIZE = 16,
    NAME_BITS = 28 /* of the size of a name, beside the type */
};

struct entry {
    uint32_t name_at; /* from the beginning of the job's bytes; the entry's text follows the name */
    uint32_t name;    /* size, and from bit 28 on the type of the value */
    uint64_t bits;    /* a number, or the size of the text */
};
_Static_assert(sizeof(struct entry) == ENTRY_SIZE, "written as it is");

static uint32_t load32(const unsigned char *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint64_t load64(const unsigned char *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return value;
}

static uint32_t slots_for(size_t count)
{
    uint32_t slots = 2 * LOOKED_THROUGH_MAX;
    if (count <= LOOKED_THROUGH_MAX)
        return 0;
    while (slots < 2 * count)
        slots *= 2;
    return slots;
}

static size_t entries_at(size_t at, uint32_t slots)
{
    return at + COUNT_SIZE + (slots ? SEED_SIZE + (size_t)slots * SLOT_SIZE : 0);
}

size_t tq_extras_size(size_t count, size_t text_bytes)
{
    return count ? entries_at(0, slots_for(count)) + count * ENTRY_SIZE + text_bytes : 0;
}

size_t tq_extras_count(const unsigned char *bytes, size_t at)
{
    return load32(bytes + at);
}

/* ---- the hash: of all bytes, under a secret seed -------------------------------------------------- */

__extension__ typedef unsigned __int128 uint128;

static uint64_t fold(uint64_t a, uint64_t b)
{
    const uint128 product = (uint128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint32_t hash(const char *name, size_t size, uint64_t seed)
{
    const unsigned char *bytes = (const unsigned char *)name;
    uint64_t state = seed ^ (uint64_t)size * UINT64_C(0x9E3779B97F4A7C15);
    uint64_t last = 0;
    for (; size > 8; size -= 8, bytes += 8)
        state = fold(state ^ load64(bytes), seed ^ UINT64_C(0xA0761D6478BD642F));
    if (size)
        memcpy(&last, bytes, size);
    return (uint32_t)fold(state ^ last, seed ^ UINT64_C(0xE7037ED1A0B428DB));
}

/* ---- entries -------------------------------------------------------------------------------------- */

static struct entry entry_at(const unsigned char *bytes, size_t entries, uint32_t index)
{
    struct entry entry;
    memcpy(&entry, bytes + entries + (size_t)index * ENTRY_SIZE, sizeof entry);
    return entry;
}

static struct trq_str entry_name(const unsigned char *bytes, struct entry entry)
{
    return (struct trq_str){(const char *)bytes + entry.name_at,
                            entry.name & ((UINT32_C(1) << NAME_BITS) - 1)};
}

static struct trq_value entry_value(const unsigned char *bytes, struct entry entry)
{
    const struct trq_str name = entry_name(bytes, entry);
    struct trq_value value = {.type = (enum trq_type)(entry.name >> NAME_BITS)};
    switch (value.type) {
    case TRQ_NULL:
        break;
    case TRQ_BOOL:
        value.u.b = entry.bits != 0;
        break;
    case TRQ_I64:
        value.u.i = (int64_t)entry.bits;
        break;
    case TRQ_F64:
        memcpy(&value.u.f, &entry.bits, sizeof value.u.f);
        break;
    case TRQ_STR:
    case TRQ_JSON:
        value.u.s = (struct trq_str){name.data + name.size, (size_t)entry.bits};
    }
    return value;
}

static bool has_name(const unsigned char *bytes, struct entry entry, const char *name, size_t size)
{
    const struct trq_str own = entry_name(bytes, entry);
    return own.size == size && (size == 0 || memcmp(own.data, name, size) == 0);
}

/* Where a name is or belongs. */
struct place {
    uint32_t index; /* of the entry */
    bool found;
    size_t slot_at; /* the free slot, in the bytes; 0: there is no table */
};

/* Among the first `count` entries of a table that is made for `room`. */
static struct place locate(const unsigned char *bytes, size_t at, uint32_t room, uint32_t count,
                           const char *name, size_t size)
{
    const uint32_t slots = slots_for(room);
    const size_t entries = entries_at(at, slots);
    if (!slots) {
        for (uint32_t i = 0; i < count; i++) {
            if (has_name(bytes, entry_at(bytes, entries, i), name, size))
                return (struct place){i, true, 0};
        }
        return (struct place){0, false, 0};
    }
    const size_t table = at + COUNT_SIZE + SEED_SIZE;
    uint32_t slot = hash(name, size, load64(bytes + at + COUNT_SIZE)) & (slots - 1);
    for (;; slot = (slot + 1) & (slots - 1)) {
        const size_t slot_at = table + (size_t)slot * SLOT_SIZE;
        const uint32_t taken = load32(bytes + slot_at);
        if (!taken)
            return (struct place){0, false, slot_at};
        if (has_name(bytes, entry_at(bytes, entries, taken - 1), name, size))
            return (struct place){taken - 1, true, slot_at};
    }
}

bool tq_extras_find(const unsigned char *bytes, size_t at, const char *name, size_t name_size,
                    struct trq_value *out)
{
    const uint32_t count = load32(bytes + at);
    const struct place place = locate(bytes, at, count, count, name, name_size);
    if (place.found)
        *out = entry_value(bytes, entry_at(bytes, entries_at(at, slots_for(count)), place.index));
    return place.found;
}

struct trq_kv tq_extras_get(const unsigned char *bytes, size_t at, size_t index)
{
    const uint32_t count = load32(bytes + at);
    assert(index < count);
    const struct entry entry = entry_at(bytes, entries_at(at, slots_for(count)), (uint32_t)index);
    return (struct trq_kv){entry_name(bytes, entry), entry_value(bytes, entry)};
}

/* ---- writing -------------------------------------------------------------------------------------- */

void tq_extras_begin(struct tq_extras_writer *writer, unsigned char *bytes, size_t at, size_t count,
                     uint64_t seed)
{
    const uint32_t room = (uint32_t)count;
    const uint32_t slots = slots_for(count);
    memcpy(bytes + at, &room, sizeof room);
    if (slots) {
        memcpy(bytes + at + COUNT_SIZE, &seed, sizeof seed);
        memset(bytes + at + COUNT_SIZE + SEED_SIZE, 0, (size_t)slots * SLOT_SIZE);
    }
    *writer = (struct tq_extras_writer){
        .bytes = bytes,
        .at = at,
        .text_at = entries_at(at, slots) + count * ENTRY_SIZE,
    };
}

static void put_text(struct tq_extras_writer *writer, struct trq_str text)
{
    if (text.size)
        memcpy(writer->bytes + writer->text_at, text.data, text.size);
    writer->text_at += text.size;
}

/* The value in 64 bits; its text, if it has one, goes behind the name. */
static uint64_t put_value(struct tq_extras_writer *writer, const struct trq_value *value)
{
    uint64_t bits = 0;
    unsigned char truth;
    switch (value->type) {
    case TRQ_NULL:
        break;
    case TRQ_BOOL:
        memcpy(&truth, &value->u.b, sizeof truth); /* may hold anything: it is the caller's */
        bits = truth != 0;
        break;
    case TRQ_I64:
        bits = (uint64_t)value->u.i;
        break;
    case TRQ_F64:
        memcpy(&bits, &value->u.f, sizeof bits);
        break;
    case TRQ_STR:
    case TRQ_JSON:
        bits = value->u.s.size;
        put_text(writer, value->u.s);
    }
    return bits;
}

bool tq_extras_add(struct tq_extras_writer *writer, const struct trq_kv *kv)
{
    unsigned char *bytes = writer->bytes;
    const uint32_t room = load32(bytes + writer->at);
    const uint32_t index = writer->added;
    assert(index < room);

    const struct place place = locate(bytes, writer->at, room, index, kv->key.data, kv->key.size);
    if (place.found)
        return false;
    struct entry entry = {
        .name_at = (uint32_t)writer->text_at,
        .name = (uint32_t)kv->key.size | (uint32_t)kv->value.type << NAME_BITS,
    };
    put_text(writer, kv->key);
    entry.bits = put_value(writer, &kv->value);
    memcpy(bytes + entries_at(writer->at, slots_for(room)) + (size_t)index * ENTRY_SIZE, &entry,
           sizeof entry);
    writer->added = index + 1;
    if (place.slot_at)
        memcpy(bytes + place.slot_at, &writer->added, sizeof writer->added);
    return true;
}
