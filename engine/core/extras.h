/* Extras: the undeclared inputs of one job, as a table at the end of its bytes.
 *
 * Shape of the bytes, from `at` on (nothing is aligned):
 *
 *     count      uint32, at least 1
 *     seed       uint64   } only above 8 inputs: fewer are looked through,
 *     slots      uint32[] } a hash table: index of the entry plus one, 0 is free; at most half is taken
 *     entries    16 bytes each, in the order in which they were given
 *     texts      of each entry its name, and its text if it has one
 *
 * The seed stands in the bytes, so that whoever reads them needs nothing else.
 */
#ifndef TQ_CORE_EXTRAS_H
#define TQ_CORE_EXTRAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresque/value.h>

/* text_bytes: of all names and texts. */
size_t tq_extras_size(size_t count, size_t text_bytes);

/* Writing: begin, and then add `count` times; the buffer has room for tq_extras_size. */
struct tq_extras_writer {
    unsigned char *bytes;
    size_t at;
    size_t text_at;
    uint32_t added;
};
void tq_extras_begin(struct tq_extras_writer *writer, unsigned char *bytes, size_t at, size_t count,
                     uint64_t seed);
/* False: that name is there already. A text is not absent. */
bool tq_extras_add(struct tq_extras_writer *writer, const struct trq_kv *kv);

size_t tq_extras_count(const unsigned char *bytes, size_t at);
bool tq_extras_find(const unsigned char *bytes, size_t at, const char *name, size_t name_size,
                    struct trq_value *out);
struct trq_kv tq_extras_get(const unsigned char *bytes, size_t at, size_t index);

#endif
