/* The locks of a line's job: its keys "queue_lock", "worker_lock", "lock_namespace" and "on_conflict". */
#ifndef TQ_CLI_LOCKS_H
#define TQ_CLI_LOCKS_H

#include <jansson.h>

#include <tresque.h>

/* Owner:   the strings belong to the line's object, the lists to this; end it with tq_locks_fini. */
struct tq_locks {
    struct trq_lock queue;  /* size 0: none given */
    struct trq_lock worker; /* likewise */
    enum trq_on_conflict on_conflict;
    const char **queue_names;
    const char **worker_names;
};

/* From the object of a line; the types of its values have been checked.
 * False: there is nothing to end, and `why`, of TQ_WHY_SIZE bytes, is the sentence. */
bool tq_locks_parse(const json_t *root, struct tq_locks *out, char *why) TRQ_MUST_USE;
void tq_locks_fini(struct tq_locks *locks);

#endif
