#include "engine/base/utf8.h"

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* How many bytes at the beginning are ASCII; rounded down to eights, so the caller looks on. */
static size_t ascii_words(const unsigned char *data, size_t size)
{
    size_t at = 0;
    for (; at + 32 <= size; at += 32) {
        uint64_t word[4];
        memcpy(word, data + at, sizeof word);
        if ((word[0] | word[1] | word[2] | word[3]) & HIGH_BITS)
            break;
    }
    for (; at + 8 <= size; at += 8) {
        uint64_t word;
        memcpy(&word, data + at, sizeof word);
        if (word & HIGH_BITS)
            break;
    }
    return at;
}

static bool is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Length of the well-formed sequence at data[0], or 0. After table 3-7 of the Unicode standard: only
 * the second byte's range depends on the first, and that is what keeps overlong forms, surrogates and
 * numbers above U+10FFFF out. */
static size_t sequence(const unsigned char *data, size_t size)
{
    const unsigned char lead = data[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4 || size < 2)
        return 0;

    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (data[1] < low || data[1] > high)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (size < 3 || !is_tail(data[2]))
        return 0;
    if (lead < 0xF0)
        return 3;
    return size >= 4 && is_tail(data[3]) ? 4 : 0;
}

bool tq_utf8_check(const char *data, size_t size, size_t *out_bad_at)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t at = 0;
    while (at < size) {
        /* Among multi-byte letters a run of eight ASCII bytes is rare: look for one only after ASCII. */
        if (bytes[at] < 0x80) {
            at += ascii_words(bytes + at, size - at);
            while (at < size && bytes[at] < 0x80)
                at++;
            if (at == size)
                return true;
        }
        const size_t step = sequence(bytes + at, size - at);
        if (!step) {
            if (out_bad_at)
                *out_bad_at = at;
            return false;
        }
        at += step;
    }
    return true;
}
