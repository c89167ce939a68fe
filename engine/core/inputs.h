/* Inputs: from a struct or a dictionary to the bytes that a job carries, and back.
 *
 * Shape of the bytes (nothing is aligned; all is read by memcpy):
 *
 *     fixed part     one field per declared row, at an offset known at registration:
 *                    bool 1 byte, i64 and f64 8, str and json a uint32: where the text ends, counted from
 *                    the beginning of the bytes; its top bit set: absent. A text begins where that of the
 *                    row before it (of type str or json) ends, the first at the end of the fixed part.
 *     texts          in row order
 *     extras         only if undeclared inputs were given: a hash table of them (O(1) by name)
 *
 * Defaults are written when the job is made, so a reader never looks for them.
 */
#ifndef TQ_CORE_INPUTS_H
#define TQ_CORE_INPUTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tresque/value.h>
#include <tresque/worker.h>

struct tq_memory;

enum { TQ_INPUTS_ROWS_MAX = 64 };

/* What registration makes of a declaration. */
struct tq_layout;
struct tq_row;

/* declared may be NULL (no row). Refuses with TRQ_EINVAL, and a text that names worker and row: more than 64 rows,
 * no name or one that is not UTF-8, one name twice, type out of range, a field that lies outside struct_size or
 * overlaps another, a default that is not UTF-8 or no JSON. TRQ_ENOMEM. */
int tq_layout_create(const struct tq_memory *memory, const char *worker,
                     const struct trq_inputs *declared, struct tq_layout **out_layout,
                     struct trq_error *error);
void tq_layout_destroy(const struct tq_memory *memory, struct tq_layout *layout);
size_t tq_layout_rows(const struct tq_layout *layout);

/* Same rows (names, types, required, defaults, offsets) and struct size, wherever they stand. */
bool tq_inputs_same(const struct trq_inputs *a, const struct trq_inputs *b);

/* Encode. Returns the size needed (>= 0); if it is more than capacity, what the buffer holds is undefined
 * and the call is repeated with more room. Or TRQ_EINPUT with a sentence that names worker and input
 * ("HardWorker: input count: an integer is wanted, a string was given"), or TRQ_ENOMEM.
 * size_max bounds the result (TRQ_EINPUT).
 * The struct form is the hot path: some ns per row. */
long tq_inputs_from_struct(const struct tq_layout *layout, const void *in, unsigned char *buffer,
                           size_t capacity, size_t size_max, struct trq_error *error);
/* A declared bool takes integers 0 and 1; a declared f64 takes integers that it can hold exactly; a declared json
 * takes any value. `trusted`: texts are known to be UTF-8 and JSON (they come from the JSON parser). */
long tq_inputs_from_dict(const struct tq_layout *layout, struct trq_dict dict, bool trusted,
                         unsigned char *buffer, size_t capacity, size_t size_max,
                         struct trq_error *error);

/* Decode. The texts point into bytes. */
void tq_inputs_to_struct(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                         void *out);
bool tq_inputs_get(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                   const char *name, size_t name_size, struct trq_value *out);
/* Of a declared row (tq_layout_find). */
bool tq_inputs_get_row(const struct tq_layout *layout, const struct tq_row *row,
                       const unsigned char *bytes, struct trq_value *out);
/* The i-th input, declared ones first (absent texts as TRQ_NULL), then extras; false past the end. */
bool tq_inputs_at(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                  size_t index, struct trq_kv *out);

#endif
