/* Lock keys: from values to the 128-bit digest by which a lock is known.
 *
 * A key is its parts, in order, behind a prefix: the kind of lock and the name space. Each part is typed and has a length,
 * so that no two lists of parts give one stream: "a-b","c" is not "a","b-c", and the integer 1, the real 1.0, true and "1"
 * are four keys. What is absent or null is a part, too, and is not the empty text. Equal reals are one part (0.0 and -0.0;
 * every NaN). JSON is taken by what it says (canon.h); a text that is no JSON is taken as it stands, under a type of its
 * own.
 *
 * Names are no part of a key, so that workers in one name space may call the same thing by different names; except undeclared
 * inputs of a lock on all.
 *
 * Nothing here allocates or fails, and the digest depends on the values only.
 */
#ifndef TQ_CORE_KEY_H
#define TQ_CORE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <tresque/value.h>
#include <tresque/worker.h>

#include "engine/base/siphash.h"

struct tq_layout;

/* What all keys of one kind and name space begin with. Never changes, and outlives its keys.
 * parts: where the digests of what is digested by itself begin. */
struct tq_key_prefix {
    struct tq_siphash keys;
    struct tq_siphash parts;
};

/* kind: 'q' queue lock, 'w' worker lock. */
void tq_key_prefix_make(struct tq_key_prefix *prefix, const struct tq_secret *secret, char kind,
                        const char *space);

/* One under construction, on somebody's stack. */
struct trq_key {
    struct tq_siphash hash;
    const struct tq_key_prefix *prefix;
};

static inline void tq_key_begin(struct trq_key *key, const struct tq_key_prefix *prefix)
{
    key->hash = prefix->keys;
    key->prefix = prefix;
}

/* The key is spent. */
static inline struct tq_digest tq_key_end(struct trq_key *key)
{
    return tq_siphash_end(&key->hash);
}

/* One part. NULL: as one of type TRQ_NULL. */
void tq_key_value(struct trq_key *key, const struct trq_value *value);
/* The part that a declared json makes of it, which takes any value. */
void tq_key_json(struct trq_key *key, const struct trq_value *value);

/* A part for each: rows are positions in the declaration, names are of declared or undeclared inputs. */
void tq_key_rows(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                 size_t size, const uint16_t *rows, size_t count);
void tq_key_names(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                  size_t size, const char *const *names, size_t count);
/* Undeclared inputs, in any order: one part of all, none if there is none. */
struct tq_key_sum {
    uint64_t count;
    struct tq_digest digest;
};
void tq_key_sum_add(struct tq_key_sum *sum, const struct trq_key *key, const struct trq_kv *kv);
void tq_key_sum_put(struct trq_key *key, const struct tq_key_sum *sum);
/* A part for each declared input, in order, and if there are undeclared ones a part of them all: names and values, in any
 * order. */
void tq_key_all(struct trq_key *key, const struct tq_layout *layout, const unsigned char *bytes,
                size_t size);

#endif
