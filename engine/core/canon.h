/* A digest of what a JSON text says, not of how it is written.
 *
 * Two texts have one digest if they are the same value: white space, the order of an object's members, escapes ("\u0041" is
 * "A") and the way a real number is written (1.50, 15e-1) do not matter. The integer 1 and the real 1.0 are two. Reals
 * are compared as the decimals that they are written as, without rounding.
 *
 * The text is read in one pass and nothing is allocated: a lock key must not come out otherwise because memory was short.
 * An object's members are digested each for itself, and the digests added: a sum has no order.
 */
#ifndef TQ_CORE_CANON_H
#define TQ_CORE_CANON_H

#include <stdbool.h>

#include <tresque/value.h>

#include "engine/base/siphash.h"

/* begin: a state to begin from, keyed. False, and *out untouched: it is no JSON, nests deeper than TQ_JSON_DEPTH_MAX, or has an
 * integer beyond 64 bits. Inputs are none of these, they were checked when they were given. */
bool tq_canon_json(const struct tq_siphash *begin, struct trq_str text, struct tq_digest *out);
/* The same of the JSON string that says this text. */
struct tq_digest tq_canon_string(const struct tq_siphash *begin, struct trq_str text);

#endif
