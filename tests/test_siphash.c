#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/siphash.h"

/* ---- a second implementation, byte by byte, from the paper ---------------------------------------- */

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void plain_round(uint64_t v[4])
{
    v[0] += v[1], v[1] = rotate(v[1], 13), v[1] ^= v[0], v[0] = rotate(v[0], 32);
    v[2] += v[3], v[3] = rotate(v[3], 16), v[3] ^= v[2];
    v[0] += v[3], v[3] = rotate(v[3], 21), v[3] ^= v[0];
    v[2] += v[1], v[1] = rotate(v[1], 17), v[1] ^= v[2], v[2] = rotate(v[2], 32);
}

static struct tq_digest plain(struct tq_secret secret, const unsigned char *text, size_t size)
{
    uint64_t v[4] = {secret.k0 ^ 0x736f6d6570736575u, secret.k1 ^ 0x646f72616e646f6du ^ 0xee,
                     secret.k0 ^ 0x6c7967656e657261u, secret.k1 ^ 0x7465646279746573u};
    size_t at = 0;
    for (bool last = false; !last;) {
        uint64_t word = 0;
        last = size - at < 8;
        for (size_t i = 0; i < 8 && at + i < size; i++)
            word |= (uint64_t)text[at + i] << 8 * i;
        if (last)
            word |= (uint64_t)size << 56;
        at += 8;
        v[3] ^= word;
        plain_round(v);
        plain_round(v);
        v[0] ^= word;
    }
    struct tq_digest digest;
    v[2] ^= 0xee;
    for (int i = 0; i < 4; i++)
        plain_round(v);
    digest.a = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    for (int i = 0; i < 4; i++)
        plain_round(v);
    digest.b = v[0] ^ v[1] ^ v[2] ^ v[3];
    return digest;
}

/* ---- claims --------------------------------------------------------------------------------------- */

/* The key of all published vectors: bytes 0 to 15; their texts: 0, 1, 2 ... */
static const struct tq_secret published = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void bytes_of(struct tq_digest digest, unsigned char out[16])
{
    for (int i = 0; i < 8; i++) {
        out[i] = (unsigned char)(digest.a >> 8 * i);
        out[8 + i] = (unsigned char)(digest.b >> 8 * i);
    }
}

Test(siphash, it_gives_the_published_vectors)
{
    static const struct {
        size_t size;
        unsigned char digest[16];
    } vectors[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02,
          0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc,
          0x45}},
        {2,
         {0x81, 0x77, 0x22, 0x8d, 0xa4, 0xa4, 0x5d, 0xc7, 0xfc, 0xa3, 0x8b, 0xde, 0xf6, 0x0a, 0xff,
          0xe4}},
        {3,
         {0x9c, 0x70, 0xb6, 0x0c, 0x52, 0x67, 0xa9, 0x4e, 0x5f, 0x33, 0xb6, 0xb0, 0x29, 0x85, 0xed,
          0x51}},
        {7,
         {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f, 0xf0, 0x82,
          0x39}},
        {8,
         {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3, 0x14, 0x97,
          0xb4}},
        {9,
         {0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab, 0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d, 0x71,
          0xed}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97, 0xcf, 0xc3,
          0xd9}},
        {16,
         {0x6e, 0xe2, 0xa4, 0xca, 0x67, 0xb0, 0x54, 0xbb, 0xfd, 0x33, 0x15, 0xbf, 0x85, 0x23, 0x05,
          0x77}},
        {24,
         {0x2d, 0xb4, 0x79, 0xae, 0x78, 0xbd, 0x50, 0xd8, 0x88, 0x2a, 0x8a, 0x17, 0x8a, 0x61, 0x32,
          0xad}},
        {31,
         {0x29, 0x39, 0xb0, 0x18, 0x32, 0x23, 0xfa, 0xfc, 0x17, 0x23, 0xde, 0x4f, 0x52, 0xc4, 0x3d,
          0x35}},
        {63,
         {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97, 0x3f, 0xbd,
          0x7c}},
    };
    unsigned char text[64], digest[16];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (unsigned char)i;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        bytes_of(tq_siphash(published, text, vectors[i].size), digest);
        cr_assert_arr_eq(digest, vectors[i].digest, 16, "of %zu bytes", vectors[i].size);
    }
}

static uint64_t random64(void)
{
    return (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
}

Test(siphash, it_is_what_the_paper_says_for_any_key_text_and_cut_into_words_bytes_and_texts)
{
    const unsigned seed = (unsigned)time(NULL);
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        struct tq_secret secret = {random64(), random64()};
        struct tq_siphash hash;
        unsigned char text[300];
        const size_t size = (size_t)rand() % sizeof text;
        for (size_t i = 0; i < size; i++)
            text[i] = (unsigned char)rand();
        tq_siphash_init(&hash, secret);
        for (size_t at = 0; at < size;) {
            uint64_t word = 0;
            const size_t left = size - at;
            const size_t part = (size_t)rand() % (left + 1);
            if (rand() % 2 && left >= 8) {
                for (size_t i = 0; i < 8; i++)
                    word |= (uint64_t)text[at + i] << 8 * i;
                tq_siphash_u64(&hash, word);
                at += 8;
            } else if (rand() % 2) {
                tq_siphash_u8(&hash, text[at++]);
            } else {
                tq_siphash_bytes(&hash, text + at, part);
                at += part;
            }
        }
        cr_assert(tq_digest_same(tq_siphash_end(&hash), plain(secret, text, size)), "seed %u",
                  seed);
        cr_assert(tq_digest_same(tq_siphash(secret, text, size), plain(secret, text, size)),
                  "seed %u", seed);
    }
}

Test(siphash, a_state_is_copied_and_both_go_on)
{
    struct tq_siphash prefix, one, other;
    tq_siphash_init(&prefix, published);
    tq_siphash_bytes(&prefix, "the same beginning, ", 20);
    one = other = prefix;
    tq_siphash_bytes(&one, "one", 3);
    tq_siphash_bytes(&other, "other", 5);
    cr_assert(
        tq_digest_same(tq_siphash_end(&one), tq_siphash(published, "the same beginning, one", 23)));
    cr_assert(tq_digest_same(tq_siphash_end(&other),
                             tq_siphash(published, "the same beginning, other", 25)));
}

Test(siphash, no_bytes_are_absorbed_from_nowhere)
{
    struct tq_siphash hash;
    tq_siphash_init(&hash, published);
    tq_siphash_bytes(&hash, NULL, 0);
    cr_assert(tq_digest_same(tq_siphash_end(&hash), tq_siphash(published, "", 0)));
}

Test(siphash, every_bit_of_the_key_and_of_the_text_matters)
{
    static const unsigned char text[24] = "two words and the third";
    const struct tq_digest whole = tq_siphash(published, text, sizeof text);
    for (unsigned bit = 0; bit < 8 * sizeof text; bit++) {
        unsigned char other[sizeof text];
        memcpy(other, text, sizeof text);
        other[bit / 8] ^= (unsigned char)(1u << bit % 8);
        const struct tq_digest digest = tq_siphash(published, other, sizeof other);
        cr_assert(digest.a != whole.a);
        cr_assert(digest.b != whole.b);
    }
    for (unsigned bit = 0; bit < 128; bit++) {
        struct tq_secret secret = published;
        *(bit < 64 ? &secret.k0 : &secret.k1) ^= UINT64_C(1) << bit % 64;
        cr_assert_not(tq_digest_same(tq_siphash(secret, text, sizeof text), whole));
    }
}
