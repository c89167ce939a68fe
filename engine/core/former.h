/* Former inputs: those of a job that was made for another version of its worker's declaration, as the present one reads
 * them until the job is brought up to date.
 *
 * The bytes are encoded without rows, by names and the types that were given. Read by the present declaration, an input
 * that is absent is its default, and a number is of the declared type where it converts without loss; what fits in no way
 * stays as it was given.
 */
#ifndef TQ_CORE_FORMER_H
#define TQ_CORE_FORMER_H

#include <stdbool.h>
#include <stddef.h>

#include <tresque/value.h>

struct tq_layout;
struct tq_row;
struct trq_key;

struct tq_former {
    const struct tq_layout *present;
    const struct tq_layout *bare; /* by which the bytes are encoded: without rows */
    const unsigned char *bytes;
    size_t size;
    bool open; /* the worker has an `upgrade`, which may yet change anything */
};

/* How the present declaration finds an input. */
enum tq_found {
    TQ_FITS,     /* *out is of the row's type; of a row of json any type */
    TQ_DEFAULT,  /* not given: the default, or TRQ_NULL if there is none */
    TQ_LACKING,  /* not given, and required: TRQ_NULL */
    TQ_UNFITTING /* of a wrong type: as it was given */
};
enum tq_found tq_former_row(const struct tq_former *former, const struct tq_row *row,
                            struct trq_value *out);

/* As tq_inputs_get. */
bool tq_former_get(const struct tq_former *former, const char *name, size_t name_size,
                   struct trq_value *out);
/* What is lacking or unfitting is zero or absent; so is a json that was given as something else than text of JSON. */
void tq_former_to_struct(const struct tq_former *former, void *out);

/* The parts of a key, as the inputs would give them if they were encoded by the present declaration. */
void tq_former_key_names(struct trq_key *key, const struct tq_former *former,
                         const char *const *names, size_t count);
void tq_former_key_all(struct trq_key *key, const struct tq_former *former);

/* Can these inputs, or all that are declared (names NULL), be told yet? Not if one is lacking, or not given where
 * `upgrade` may give it: then jobs that are to have many keys seem to have one. */
bool tq_former_tells(const struct tq_former *former, const char *const *names, size_t count);
/* Makes two keys differ if the inputs do. */
void tq_former_key_whole(struct trq_key *key, const struct tq_former *former);

#endif
