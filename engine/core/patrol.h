/* The patrol: does a run take longer than it may? It is reported once; nothing is done to it.
 *
 * A run that must be over at some time shows its deadline in its thread's record, and rings the housekeeping's alarm as a
 * timer would: so the housekeeper gets up then, and looks at the records of all threads. Runs without a deadline are
 * looked at every half of config.stuck_after, if that is given. Where nobody has a deadline, this costs nothing.
 *
 * What is read of another thread's run may be past: the record and the job's word are read again behind it, and a report that
 * comes a moment after its run has ended says what was true.
 */
#ifndef TQ_CORE_PATROL_H
#define TQ_CORE_PATROL_H

#include <stdint.h>

#include "engine/base/atomic.h"

struct trq_engine;
struct tq_thread;

struct tq_patrol {
    tq_a32 watches; /* a deadline was shown since the engine was made */
    tq_a64 stuck;   /* reports */
    int64_t next;   /* the housekeeper's: when he looks at runs without a deadline, boot ns */
};

/* By the thread whose run it is. */
void tq_patrol_watch(struct trq_engine *engine, struct tq_thread *thread, int64_t deadline);
/* Look, and report. The housekeeper. */
void tq_patrol_look(struct trq_engine *engine);
/* When there may be something to report: boot ns; INT64_MAX: never. */
int64_t tq_patrol_next(const struct trq_engine *engine);
/* Report the run that this thread, the caller's, is at the end of. */
void tq_patrol_tell(struct trq_engine *engine, const struct tq_thread *thread, int64_t over);

#endif
