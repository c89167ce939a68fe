/* Names: text -> entry, read by many without a lock while one adds.
 *
 * ck_hs (single writer, many readers) holds the set; when it grows, readers may still walk the old table, so it
 * is freed by ck_epoch once they have left. Entries are never removed while the engine lives.
 *
 * Threads: put under the registry's mutex; get from any thread, wait-free but for the table's probes. */
#ifndef TQ_CORE_NAMES_H
#define TQ_CORE_NAMES_H

#include <ck_epoch.h>
#include <ck_hs.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/base/atomic.h"

struct tq_memory;

/* First member of what is named. */
struct tq_name {
    const char *text;
    size_t size;
    size_t first_size;  /* of what is looked for: text is <first>_<second>, */
    const char *second; /* and nobody has joined the two; NULL: it is one */
    tq_a32 published;   /* readers skip it until it is 1; pairs what is named and get */
};

struct tq_names {
    ck_hs_t set;
    const struct tq_memory *memory;
    ck_epoch_record_t *writer; /* of the one who adds */
};

bool tq_names_init(struct tq_names *names, const struct tq_memory *memory, unsigned long seed,
                   ck_epoch_record_t *writer);
void tq_names_fini(struct tq_names *names);
/* Make place for it; readers do not find it yet. text must live as long as the set. False: out of memory,
 * nothing changed. */
bool tq_names_put(struct tq_names *names, struct tq_name *name);
void tq_names_publish(struct tq_name *name);
/* Take back what was put and not published. */
void tq_names_remove(struct tq_names *names, struct tq_name *name);
/* The name <first>_<second>, or just <first> if second is NULL. NULL: there is none. */
struct tq_name *tq_names_get(struct tq_names *names, ck_epoch_record_t *reader, const char *first,
                             const char *second);

#endif
