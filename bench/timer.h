/* One way to have a job done later: ours, and what a user would take instead. */
#ifndef BENCH_TIMER_H
#define BENCH_TIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/peer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* When jobs are due that are far away, after they were put off: at random from a minute to an hour, so none is due
 * before all have been. */
#define TIMER_FIRST_NS INT64_C(60000000000)
#define TIMER_SPAN_NS INT64_C(3600000000000)

/* Of job i, ns from now; always the same for i. */
int64_t timer_after(uint64_t i);
/* The clock that implementations read: the system's monotonic one, and the leaps of this program. */
int64_t timer_now(void);
void timer_leap(int64_t ns);
/* The same, as it was at the last leap: so that an engine that is not meant to have a clock of its own pays for none. */
int64_t timer_then(void);

/* Contract: as in struct peer. Everything on one thread but what timer_late says.
 * A job is the one of work.h. When it is due it becomes ready; `finish` runs what is. */
struct timer_peer {
    struct peer peer; /* its name; can nothing of what a peer can */
    void *(*start)(uint64_t jobs_max);
    /* Jobs first .. first+count-1, each after timer_after(i). */
    void (*insert)(void *self, uint64_t first, uint64_t count);
    /* What insert has left for the loop to do; NULL: nothing. */
    void (*settle)(void *self);
    /* All that is due by timer_now() becomes ready and does not run. NULL: for insertions only. */
    void (*expire)(void *self);
    void (*finish)(void *self);
    /* Jobs that are not yet due. */
    uint64_t (*pending)(void *self);
    void (*stop)(void *self); /* all have run; or, of those whose expire is NULL, none */
    /* If not 0: its clock cannot be set, and all jobs are due within so many ns of real time. */
    int64_t span_ns;
    /* In real time: jobs 0 .. count-1 after timer_soon(i); each calls timer_late when it runs. Returns when all have. */
    void (*lateness)(uint64_t count);
};

/* ---- lateness ------------------------------------------------------------------------------------- */

/* Of job i, ns from now. */
int64_t timer_soon(uint64_t i);
/* Job i was put off just now: to be called right before. */
void timer_put_off(uint64_t i);
/* Job i runs, on any thread, one at a time. */
void timer_late(uint64_t i);
/* How many have. */
uint64_t timer_late_count(void);

extern const struct timer_peer timer_tresque;
/* The same on the system's clocks, for insertions: enqueue_in and enqueue_at. */
extern const struct timer_peer timer_tresque_in;
extern const struct timer_peer timer_tresque_at;
extern const struct timer_peer timer_heap;
extern const struct timer_peer timer_libuv;
extern const struct timer_peer timer_asio;

#ifdef __cplusplus
}
#endif

#endif
