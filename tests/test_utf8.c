#include <criterion/criterion.h>

#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/utf8.h"

static bool valid(const char *text)
{
    return tq_utf8_valid(text, strlen(text), NULL);
}

/* Where a text goes wrong, or -1. On the heap, so that the sanitizer sees a read beyond its end. */
static long bad_at(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    size_t at = SIZE_MAX;
    memcpy(copy, data, size);
    const bool ok = tq_utf8_valid(copy, size, &at);
    free(copy);
    cr_assert(ok == (at == SIZE_MAX), "the position is untouched exactly on success");
    return ok ? -1 : (long)at;
}

/* The other way round: decode by arithmetic, and then ask what number came out. */
static long naive_bad_at(const unsigned char *data, size_t size)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t at = 0; at < size;) {
        const unsigned char lead = data[at];
        size_t step = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : 4;
        uint32_t number = step == 1 ? lead : lead & (0x7Fu >> step);
        if ((lead & 0xC0) == 0x80 || lead >> 3 == 31 || at + step > size)
            return (long)at;
        for (size_t i = 1; i < step; i++) {
            if ((data[at + i] & 0xC0) != 0x80)
                return (long)at;
            number = number << 6 | (data[at + i] & 0x3F);
        }
        if (number < smallest[step] || number > 0x10FFFF || (number >= 0xD800 && number < 0xE000))
            return (long)at;
        at += step;
    }
    return -1;
}

Test(utf8, an_empty_text_is_valid_also_at_null)
{
    cr_assert(tq_utf8_valid(NULL, 0, NULL));
    cr_assert(valid(""));
}

Test(utf8, letters_of_every_length_are_valid)
{
    cr_assert(valid("plain"));
    cr_assert(valid("na\xC3\xAFve"));
    cr_assert(valid("\xE2\x82\xAC"));
    cr_assert(valid("\xF0\x9F\x98\x80"));
    cr_assert(valid("\xED\x9F\xBF\xEE\x80\x80")); /* the neighbours of the surrogates */
    cr_assert(valid("\xF4\x8F\xBF\xBF"));         /* U+10FFFF */
}

Test(utf8, a_zero_byte_is_a_letter_like_any_other)
{
    cr_assert(tq_utf8_valid("a\0b", 3, NULL));
}

Test(utf8, overlong_forms_surrogates_and_numbers_too_large_are_not)
{
    static const char *const bad[] = {
        "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80", "\xE0\x9F\xBF", "\xF0\x80\x80\x80",
        "\xF0\x8F\xBF\xBF", "\xED\xA0\x80",     "\xED\xBF\xBF", "\x80",         "\xBF",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFE",         "\xFF",         "\xC3",
        "\xE2\x82",         "\xF0\x9F\x98",     "\xC3(",        "\xE2(\x82",    "\xE2\x82(",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_assert(!valid(bad[i]), "row %zu", i);
}

Test(utf8, the_position_is_where_the_bad_sequence_begins)
{
    cr_assert_eq(bad_at("abc\xC3(", 5), 3);
    cr_assert_eq(bad_at("0123456789abcdef0123456789abcdef\xE2\x82", 34), 32);
    cr_assert_eq(bad_at("\xE2\x82\xAC\xE2\x82", 5), 3);
}

Test(utf8, a_bad_byte_is_found_at_every_position_of_every_length)
{
    char text[100];
    for (size_t size = 1; size <= sizeof text; size++) {
        for (size_t at = 0; at < size; at++) {
            memset(text, 'a', sizeof text);
            cr_assert_eq(bad_at(text, size), -1);
            text[at] = (char)0xFF;
            cr_assert_eq(bad_at(text, size), (long)at, "size %zu, byte %zu", size, at);
        }
    }
}

Test(utf8, all_texts_of_up_to_three_bytes_agree_with_a_decoder)
{
    for (uint32_t i = 0; i < 1u << 24; i++) {
        const unsigned char text[3] = {(unsigned char)(i >> 16), (unsigned char)(i >> 8),
                                       (unsigned char)i};
        size_t at = 0;
        const bool ok = tq_utf8_valid((const char *)text, 3, &at);
        const long naive = naive_bad_at(text, 3);
        if (ok != (naive < 0) || (!ok && (long)at != naive))
            cr_assert_fail("%02x %02x %02x", text[0], text[1], text[2]);
    }
}

Test(utf8, random_texts_agree_with_a_decoder)
{
    static const char *const parts[] = {"a", "abcdefgh", "\xC3\xAF", "\xE2\x82\xAC",
                                        "\xF0\x9F\x98\x80"};
    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 100000; round++) {
        unsigned char text[80];
        size_t size = 0;
        for (int n = rand() % 9; n > 0; n--) {
            const char *part = parts[rand() % 5];
            memcpy(text + size, part, strlen(part));
            size += strlen(part);
        }
        if (size && rand() % 2)
            text[(size_t)rand() % size] = (unsigned char)rand();
        cr_assert_eq(bad_at(text, size), naive_bad_at(text, size), "seed %u, round %d", seed,
                     round);
    }
}
