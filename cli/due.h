/* When the job of a line is due: its keys "at" and "in". */
#ifndef TQ_CLI_DUE_H
#define TQ_CLI_DUE_H

#include <jansson.h>

#include <tresque/value.h>

/* At most one is not 0; both 0: now. Times that are over are handed on as they are: they mean now, too. */
struct tq_due {
    struct trq_wall at;
    struct trq_span in;
};

/* From the object of a line; the types of its values have been checked.
 * False: *out is untouched and `why`, of TQ_WHY_SIZE bytes, is the sentence. */
bool tq_due_parse(const json_t *root, struct tq_due *out, char *why) TRQ_MUST_USE;

#endif
