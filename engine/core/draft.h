/* A draft: a dictionary under change. What a job's inputs were, encoded by a layout without rows, and what was set and
 * unset since; read at any time as if it were one.
 *
 * Names and values that are set are copied, and every copy lives as long as the draft: what was read from it stays good
 * when the name gets another value. The changes are looked through, so a name costs as many comparisons as there are
 * changed names.
 */
#ifndef TQ_CORE_DRAFT_H
#define TQ_CORE_DRAFT_H

#include <stdbool.h>
#include <stddef.h>

#include <tresque/value.h>

struct tq_layout;
struct tq_memory;
struct tq_change;
struct tq_copy;

struct tq_draft {
    const void *of; /* whose; the caller's to compare */
    const struct tq_memory *memory;
    const struct tq_layout *bare;
    const unsigned char *bytes;
    size_t size;
    size_t size_max; /* of one input */
    struct tq_change *changes;
    size_t count, room;
    struct tq_copy *copies;
    struct trq_kv *all;
    size_t all_size;
    bool short_of_memory; /* something could not be changed: the draft is not what was meant */
};

/* The bytes stay where they are until tq_draft_fini. */
void tq_draft_init(struct tq_draft *draft, const void *of, const struct tq_memory *memory,
                   const struct tq_layout *bare, const unsigned char *bytes, size_t size,
                   size_t size_max);
void tq_draft_fini(struct tq_draft *draft);

/* An absent text unsets. Errors: TRQ_EINPUT: not UTF-8, no JSON, no type, too big; TRQ_ENOMEM; then nothing is changed. */
int tq_draft_set(struct tq_draft *draft, struct trq_str name, const struct trq_value *value);
/* TRQ_GONE: there is no such input. TRQ_ENOMEM. */
int tq_draft_unset(struct tq_draft *draft, struct trq_str name);
bool tq_draft_get(const struct tq_draft *draft, struct trq_str name, struct trq_value *out);

/* All of it: what was there in its order, and behind it what is new in the order in which it was first set. Lives until
 * the draft is changed or ends. TRQ_ENOMEM. */
int tq_draft_dict(struct tq_draft *draft, struct trq_dict *out);

#endif
