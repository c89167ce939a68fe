/* Which thread runs: the modelled threads, their switches and their sleep.
 *
 * Shape:   a thread is ready, asleep on a futex word, resting in tq_pause(), frozen or ended. A switch
 *          away from a ready thread is a preemption and is counted; others are free.
 * Rest:    a thread that pauses has just looked at memory in vain. It goes on at once if since its
 *          last pause another thread changed a value or it read an old one itself; else it rests
 *          until another thread changes a value, or until no thread is ready. Twice in an execution
 *          it may go on all the same, for the price of a preemption, so that a loop that counts its
 *          turns is seen giving up while another thread stands still. After REST_ROUNDS_MAX turns of
 *          the resting without any change the execution fails as a livelock.
 */
#ifndef WEAVE_SCHED_H
#define WEAVE_SCHED_H

#include "weave.h"

/* Runs all threads of a case until they have ended or weave_fail() was called. */
void weave_sched_run(const struct weave_case *c, unsigned preemptions, unsigned steps);

bool weave_sched_active(void);
unsigned weave_sched_self(void);
bool weave_sched_on_stack(const volatile void *p); /* of the thread that runs */
uint32_t weave_sched_step(void);

void weave_sched_count(void); /* one more step of this execution; fails at the bound */

/* Before each operation: counts it, and may run others first. */
void weave_sched_point(void);
void weave_sched_changed(void); /* this thread changed a value */
void weave_sched_stale(void);   /* this thread read an old value */
void weave_sched_pause(void);
void weave_sched_sleep(const volatile void *word, const struct weave_site *site);
unsigned weave_sched_wake(const volatile void *word, int count); /* how many were woken */

/* Leaves the threads where they are and returns from weave_sched_run(). */
_Noreturn void weave_sched_abandon(void);

#endif
