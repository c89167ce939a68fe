/* SipHash-2-4 with 128 bits: a keyed digest of a stream of bytes.
 *
 * What:    who does not know the key can neither predict a digest nor make two texts that share one. The stream
 *          is absorbed by whole 64-bit words, single bytes and texts, in any mixture: the digest is that of the bytes
 *          one after another (words as little-endian), as the reference implementation computes it.
 * Shape:   the state is plain data: a prefix is absorbed once, and the state copied for each text that begins so.
 * Cost:    2 rounds for each 8 bytes, 10 for the end; a round is some 2 ns.
 * Threads: a state has one owner.
 * Source:  Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; the 128 bits as in their later code.
 */
#ifndef TQ_BASE_SIPHASH_H
#define TQ_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct tq_digest {
    uint64_t a, b;
};

/* A key. Nobody outside the engine learns it. */
struct tq_secret {
    uint64_t k0, k1;
};

struct tq_siphash {
    uint64_t v[4];
    uint64_t tail; /* the bytes that do not yet fill a word; what is above them is zero */
    uint64_t size; /* of the stream so far */
};

#define TQ_SIPHASH_ROTATE_(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

static inline void tq_siphash_rounds_(uint64_t v[4], int count)
{
    uint64_t v0 = v[0], v1 = v[1], v2 = v[2], v3 = v[3];
    while (count--) {
        v0 += v1;
        v2 += v3;
        v1 = TQ_SIPHASH_ROTATE_(v1, 13) ^ v0;
        v3 = TQ_SIPHASH_ROTATE_(v3, 16) ^ v2;
        v0 = TQ_SIPHASH_ROTATE_(v0, 32);
        v2 += v1;
        v0 += v3;
        v1 = TQ_SIPHASH_ROTATE_(v1, 17) ^ v2;
        v3 = TQ_SIPHASH_ROTATE_(v3, 21) ^ v0;
        v2 = TQ_SIPHASH_ROTATE_(v2, 32);
    }
    v[0] = v0;
    v[1] = v1;
    v[2] = v2;
    v[3] = v3;
}

static inline void tq_siphash_compress_(struct tq_siphash *hash, uint64_t word)
{
    hash->v[3] ^= word;
    tq_siphash_rounds_(hash->v, 2);
    hash->v[0] ^= word;
}

static inline void tq_siphash_init(struct tq_siphash *hash, struct tq_secret secret)
{
    hash->v[0] = secret.k0 ^ UINT64_C(0x736f6d6570736575);
    hash->v[1] = secret.k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee; /* 0xee: 128 bits are wanted */
    hash->v[2] = secret.k0 ^ UINT64_C(0x6c7967656e657261);
    hash->v[3] = secret.k1 ^ UINT64_C(0x7465646279746573);
    hash->tail = 0;
    hash->size = 0;
}

/* Eight bytes, the lowest first. */
static inline void tq_siphash_u64(struct tq_siphash *hash, uint64_t value)
{
    const unsigned shift = 8 * (unsigned)(hash->size & 7);
    hash->size += 8;
    tq_siphash_compress_(hash, hash->tail | value << shift);
    hash->tail = shift ? value >> (64 - shift) : 0;
}

static inline void tq_siphash_u8(struct tq_siphash *hash, uint8_t value)
{
    const unsigned shift = 8 * (unsigned)(hash->size & 7);
    hash->size++;
    hash->tail |= (uint64_t)value << shift;
    if (shift == 56) {
        tq_siphash_compress_(hash, hash->tail);
        hash->tail = 0;
    }
}

/* data may be NULL if size is 0. */
void tq_siphash_bytes(struct tq_siphash *hash, const void *data, size_t size);

/* The digest of what was absorbed. The state is spent. */
static inline struct tq_digest tq_siphash_end(struct tq_siphash *hash)
{
    struct tq_digest digest;
    uint64_t *v = hash->v;
    tq_siphash_compress_(hash, hash->tail | hash->size << 56);
    v[2] ^= 0xee;
    tq_siphash_rounds_(v, 4);
    digest.a = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    tq_siphash_rounds_(v, 4);
    digest.b = v[0] ^ v[1] ^ v[2] ^ v[3];
    return digest;
}

static inline struct tq_digest tq_siphash(struct tq_secret secret, const void *data, size_t size)
{
    struct tq_siphash hash;
    tq_siphash_init(&hash, secret);
    tq_siphash_bytes(&hash, data, size);
    return tq_siphash_end(&hash);
}

static inline int tq_digest_same(struct tq_digest x, struct tq_digest y)
{
    return ((x.a ^ y.a) | (x.b ^ y.b)) == 0;
}

#endif
