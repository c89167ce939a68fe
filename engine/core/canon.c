#include "engine/core/canon.h"

#include <string.h>

#include "engine/core/json.h"

/* What is absorbed, so that no value is the beginning of another: a tag, and what follows it. */
enum {
    TAG_NULL = 'n',
    TAG_TRUE = 't',
    TAG_FALSE = 'f',
    TAG_INTEGER = 'i', /* 8 bytes */
    TAG_REAL =
        'd', /* digits from the first to the last that is not 0; END; sign; where the point is, 8 bytes */
    TAG_STRING = 's', /* UTF-8; END */
    TAG_LIST = '[',   /* the values; CLOSE */
    TAG_OBJECT = '{', /* how many members, 8 bytes; the sum of their digests, 16 bytes */
    CLOSE = ']',
    END = 0xff /* no byte of UTF-8, and no digit */
};

struct reader {
    const char *at;
    const char *end;
    const struct tq_siphash *begin;
};

static bool value(struct reader *in, struct tq_siphash *hash, int depth);

static void skip_spaces(struct reader *in)
{
    while (in->at < in->end &&
           (*in->at == ' ' || *in->at == '\t' || *in->at == '\n' || *in->at == '\r'))
        in->at++;
}

/* Behind white space: is it this one? Then it is read. */
static bool take(struct reader *in, char wanted)
{
    skip_spaces(in);
    if (in->at == in->end || *in->at != wanted)
        return false;
    in->at++;
    return true;
}

static bool take_word(struct reader *in, const char *word)
{
    const size_t size = strlen(word);
    if ((size_t)(in->end - in->at) < size || memcmp(in->at, word, size) != 0)
        return false;
    in->at += size;
    return true;
}

/* ---- strings ---------------------------------------------------------------------------------------- */

static bool hex4(struct reader *in, uint32_t *out)
{
    uint32_t code = 0;
    if (in->end - in->at < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        const char c = *in->at++;
        if (c >= '0' && c <= '9')
            code = code << 4 | (uint32_t)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            code = code << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
        else
            return false;
    }
    *out = code;
    return true;
}

static void put_utf8(struct tq_siphash *hash, uint32_t code)
{
    unsigned char bytes[4];
    size_t size = 0;
    if (code < 0x80) {
        bytes[size++] = (unsigned char)code;
    } else if (code < 0x800) {
        bytes[size++] = (unsigned char)(0xc0 | code >> 6);
        bytes[size++] = (unsigned char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        bytes[size++] = (unsigned char)(0xe0 | code >> 12);
        bytes[size++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        bytes[size++] = (unsigned char)(0x80 | (code & 0x3f));
    } else {
        bytes[size++] = (unsigned char)(0xf0 | code >> 18);
        bytes[size++] = (unsigned char)(0x80 | (code >> 12 & 0x3f));
        bytes[size++] = (unsigned char)(0x80 | (code >> 6 & 0x3f));
        bytes[size++] = (unsigned char)(0x80 | (code & 0x3f));
    }
    tq_siphash_bytes(hash, bytes, size);
}

/* Behind \u: above 0xffff it takes two. */
static bool escaped_code(struct reader *in, struct tq_siphash *hash)
{
    uint32_t code;
    uint32_t low;
    if (!hex4(in, &code))
        return false;
    if (code >= 0xdc00 && code < 0xe000)
        return false;
    if (code >= 0xd800 && code < 0xdc00) {
        if (!take_word(in, "\\u") || !hex4(in, &low) || low < 0xdc00 || low >= 0xe000)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    put_utf8(hash, code);
    return true;
}

/* Behind the backslash. */
static bool escaped(struct reader *in, struct tq_siphash *hash)
{
    static const char letters[] = "\"\"\\\\//b\bf\fn\nr\rt\t";
    if (in->at == in->end)
        return false;
    const char c = *in->at++;
    if (c == 'u')
        return escaped_code(in, hash);
    for (size_t i = 0; i + 1 < sizeof letters; i += 2) {
        if (letters[i] == c) {
            tq_siphash_u8(hash, (uint8_t)letters[i + 1]);
            return true;
        }
    }
    return false;
}

/* Behind the first quote. */
static bool string(struct reader *in, struct tq_siphash *hash)
{
    tq_siphash_u8(hash, TAG_STRING);
    for (;;) {
        const char *const from = in->at;
        while (in->at < in->end && *in->at != '"' && *in->at != '\\') {
            const unsigned char byte = (unsigned char)*in->at++;
            if (byte < 0x20 || byte == END)
                return false;
        }
        tq_siphash_bytes(hash, from, (size_t)(in->at - from));
        if (in->at == in->end)
            return false;
        if (*in->at++ == '"')
            break;
        if (!escaped(in, hash))
            return false;
    }
    tq_siphash_u8(hash, END);
    return true;
}

/* ---- numbers ---------------------------------------------------------------------------------------- */

static bool is_digit(const struct reader *in)
{
    return in->at < in->end && *in->at >= '0' && *in->at <= '9';
}

static bool integer(const char *at, const char *end, bool negative, struct tq_siphash *hash)
{
    const uint64_t most = (uint64_t)INT64_MAX + negative;
    uint64_t sum = 0;
    for (; at < end; at++) {
        const unsigned digit = (unsigned)(*at - '0');
        if (sum > (most - digit) / 10)
            return false;
        sum = 10 * sum + digit;
    }
    tq_siphash_u8(hash, TAG_INTEGER);
    tq_siphash_u64(hash, negative ? 0 - sum : sum);
    return true;
}

/* The digits between two places, with a point among them. Those in front that are 0 are passed over, those at the end too.
 * Returns where the point is, counted from the first digit that is not 0; *out_any: there is such a digit. */
static int64_t significant(const char *at, const char *end, struct tq_siphash *hash, bool *out_any)
{
    int64_t point = 0;
    size_t zeros = 0; /* not yet absorbed: perhaps the last ones */
    bool fraction = false;
    *out_any = false;
    for (; at < end; at++) {
        if (*at == '.') {
            fraction = true;
            continue;
        }
        if (!*out_any && *at == '0') {
            point -= fraction;
            continue;
        }
        *out_any = true;
        point += !fraction;
        if (*at == '0') {
            zeros++;
            continue;
        }
        for (; zeros; zeros--)
            tq_siphash_u8(hash, '0');
        tq_siphash_u8(hash, (uint8_t)*at);
    }
    return point;
}

/* Where it no longer matters: such a number is 0, or was refused. */
#define EXPONENT_MAX INT64_C(1000000000000)

/* Behind the e. */
static bool exponent(struct reader *in, int64_t *out)
{
    int64_t sum = 0;
    bool negative = false;
    if (in->at < in->end && (*in->at == '+' || *in->at == '-'))
        negative = *in->at++ == '-';
    if (!is_digit(in))
        return false;
    for (; is_digit(in); in->at++)
        if (sum < EXPONENT_MAX)
            sum = 10 * sum + (*in->at - '0');
    *out = negative ? -sum : sum;
    return true;
}

static bool number(struct reader *in, struct tq_siphash *hash)
{
    const bool negative = *in->at == '-';
    in->at += negative;
    const char *const from = in->at;
    while (is_digit(in))
        in->at++;
    if (in->at == from || (*from == '0' && in->at - from > 1))
        return false;
    const bool fraction = in->at < in->end && *in->at == '.';
    if (fraction) {
        in->at++;
        if (!is_digit(in))
            return false;
        while (is_digit(in))
            in->at++;
    }
    const char *const end = in->at;
    const bool scaled = in->at < in->end && (*in->at | 0x20) == 'e';
    int64_t scale = 0;
    if (!fraction && !scaled)
        return integer(from, end, negative, hash);
    if (scaled) {
        in->at++;
        if (!exponent(in, &scale))
            return false;
    }

    /* Whether it is 0, and so has no sign, is known at the end: the sign goes there. */
    bool any;
    tq_siphash_u8(hash, TAG_REAL);
    const int64_t point = significant(from, end, hash, &any);
    tq_siphash_u8(hash, END);
    tq_siphash_u8(hash, any && negative);
    tq_siphash_u64(hash, any ? (uint64_t)(point + scale) : 0);
    return true;
}

/* ---- lists, objects --------------------------------------------------------------------------------- */

/* Behind the bracket. */
static bool list(struct reader *in, struct tq_siphash *hash, int depth)
{
    tq_siphash_u8(hash, TAG_LIST);
    if (!take(in, ']')) {
        do {
            if (!value(in, hash, depth))
                return false;
        } while (take(in, ','));
        if (!take(in, ']'))
            return false;
    }
    tq_siphash_u8(hash, CLOSE);
    return true;
}

static bool member(struct reader *in, struct tq_digest *sum, int depth)
{
    struct tq_siphash own = *in->begin;
    if (!take(in, '"') || !string(in, &own) || !take(in, ':') || !value(in, &own, depth))
        return false;
    const struct tq_digest digest = tq_siphash_end(&own);
    sum->a += digest.a;
    sum->b += digest.b;
    return true;
}

/* Behind the brace. */
static bool object(struct reader *in, struct tq_siphash *hash, int depth)
{
    struct tq_digest sum = {0, 0};
    uint64_t count = 0;
    if (!take(in, '}')) {
        do {
            if (!member(in, &sum, depth))
                return false;
            count++;
        } while (take(in, ','));
        if (!take(in, '}'))
            return false;
    }
    tq_siphash_u8(hash, TAG_OBJECT);
    tq_siphash_u64(hash, count);
    tq_siphash_u64(hash, sum.a);
    tq_siphash_u64(hash, sum.b);
    return true;
}

static bool word(struct reader *in, struct tq_siphash *hash, const char *text, uint8_t tag)
{
    tq_siphash_u8(hash, tag);
    return take_word(in, text);
}

/* depth: how much deeper it may nest. */
static bool value(struct reader *in, struct tq_siphash *hash, int depth)
{
    skip_spaces(in);
    if (in->at == in->end)
        return false;
    switch (*in->at) {
    case '{':
        in->at++;
        return depth > 0 && object(in, hash, depth - 1);
    case '[':
        in->at++;
        return depth > 0 && list(in, hash, depth - 1);
    case '"':
        in->at++;
        return string(in, hash);
    case 't':
        return word(in, hash, "true", TAG_TRUE);
    case 'f':
        return word(in, hash, "false", TAG_FALSE);
    case 'n':
        return word(in, hash, "null", TAG_NULL);
    default:
        return number(in, hash);
    }
}

bool tq_canon_json(const struct tq_siphash *begin, struct trq_str text, struct tq_digest *out)
{
    struct reader in = {text.data, text.data + text.size, begin};
    struct tq_siphash hash = *begin;
    if (!value(&in, &hash, TQ_JSON_DEPTH_MAX))
        return false;
    skip_spaces(&in);
    if (in.at != in.end)
        return false;
    *out = tq_siphash_end(&hash);
    return true;
}

struct tq_digest tq_canon_string(const struct tq_siphash *begin, struct trq_str text)
{
    struct tq_siphash hash = *begin;
    tq_siphash_u8(&hash, TAG_STRING);
    tq_siphash_bytes(&hash, text.data, text.size);
    tq_siphash_u8(&hash, END);
    return tq_siphash_end(&hash);
}
