/* JSON text: is it right, a dictionary from it, and the text of a job's inputs.
 *
 * Right means: UTF-8, no duplicate keys, no zero byte in a key, integers within 64 bits, real numbers that a
 * double can hold. A job's inputs as one object nest at most 64 deep, so a value in it at most 63: what
 * was printed can be read again. Any value may stand alone, scalars too.
 *
 * Numbers are read and printed with a decimal point, whatever the thread's locale is.
 */
#ifndef TQ_CORE_JSON_H
#define TQ_CORE_JSON_H

#include <stddef.h>

#include <tresque/value.h>

struct tq_layout;
struct tq_memory;

enum {
    TQ_JSON_DEPTH_MAX = 64,
    TQ_JSON_WHY_SIZE = 160 /* room for any sentence, "JSON: line 1, column 5: ..." */
};

/* One value of an input. Errors: TRQ_EINPUT, why says where; TRQ_ENOMEM. */
int tq_json_check(struct trq_str text, char *why, size_t why_size);

/* The inputs of one object, in the order of the text. Lists and objects in it are TRQ_JSON: their text
 * without white space, numbers and escapes as they stood. */
struct tq_json_dict {
    struct trq_dict dict;
    void *root;
    void *block;
    size_t block_size;
};
/* Errors:  TRQ_EINPUT: the sentence begins with "JSON: "; TRQ_ENOMEM; *out untouched.
 * Owner:   the caller, until tq_json_dict_fini; text may go. */
int tq_json_parse_dict(const struct tq_memory *memory, struct trq_str text,
                       struct tq_json_dict *out, struct trq_error *error);
void tq_json_dict_fini(const struct tq_memory *memory, struct tq_json_dict *dict);

/* The value as JSON; returns the bytes needed and writes what fits, without a terminator. A text of type
 * TRQ_JSON stands as it is; an absent text and what JSON cannot say (NaN, infinities) is null. Real
 * numbers are the shortest that read as the same double, and look like one (1.0). */
size_t tq_json_write(const struct trq_value *value, char *buffer, size_t capacity);

/* A job's inputs as one object, declared ones first, absent ones left out. As snprintf: returns the
 * length needed, writes what fits and a terminator. It does not allocate. */
long tq_json_from_inputs(const struct tq_layout *layout, const unsigned char *bytes, size_t size,
                         char *buffer, size_t capacity);

#endif
