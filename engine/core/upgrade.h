/* Change management: a job whose inputs are of another version of its worker's declaration (TQ_OLD) is brought up to date when
 * it starts, on its thread, before anything else of the worker is asked. Until then its bytes are encoded by the class's
 * layout without rows. */
#ifndef TQ_CORE_UPGRADE_H
#define TQ_CORE_UPGRADE_H

#include <tresque/worker.h>

#include "engine/core/former.h"

struct tq_class;

/* The job is the caller's, STARTING or RUNNING, and TQ_OLD. TRQ_DONE: its inputs are those of the present version, and the
 * flag is gone. Anything else is how the run ends, with run->error; the job is as it was. */
enum trq_end tq_upgrade(struct trq_job *run);

/* What the present version reads in the bytes of such a job. */
struct tq_former tq_upgrade_former(const struct tq_class *class, const unsigned char *bytes,
                                   size_t size);

#endif
