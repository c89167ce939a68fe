/* The keys that an object may have, and what their values may be. */
#ifndef TQ_CLI_FIELDS_H
#define TQ_CLI_FIELDS_H

#include <jansson.h>

#include <tresque/value.h>

enum { TQ_WHY_SIZE = 600 }; /* of the sentence that says what is wrong */

/* A set of JSON's types. */
#define TQ_A(type) (1U << (type))
enum { TQ_A_NUMBER = TQ_A(JSON_INTEGER) | TQ_A(JSON_REAL) };

struct tq_field {
    const char *name;
    unsigned types;
    const char *types_text;
    bool required;
};

/* "an object", "a string", ... */
const char *tq_fields_type(const json_t *value);

/* No key that is not among the fields, each of its types, none that is required missing, no zero byte in a string.
 * `what` has these keys: "a job". False: `why`, of TQ_WHY_SIZE bytes, is the sentence. */
bool tq_fields_check(const json_t *object, const char *what, const struct tq_field *fields,
                     size_t count, char *why) TRQ_MUST_USE;

#endif
