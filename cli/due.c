#include "cli/due.h"

#include <stdio.h>

#include "cli/fields.h"
#include "cli/when.h"

bool tq_due_parse(const json_t *root, struct tq_due *out, char *why)
{
    const json_t *at = json_object_get(root, "at");
    const json_t *in = json_object_get(root, "in");
    struct tq_due due = {0};
    if (at && in) {
        snprintf(why, TQ_WHY_SIZE, "\"at\" and \"in\" are both given; a job is due once");
        return false;
    }
    if (at && !tq_when_wall(at, "\"at\"", &due.at, why))
        return false;
    if (in)
        due.in = tq_when_span(in);
    *out = due;
    return true;
}
