/* One way to see to it that of jobs with the same key only one waits, or only one runs: ours, and what a user would build. */
#ifndef BENCH_LOCK_H
#define BENCH_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/peer.h"

/* What a job claims. The keys are its user_id, so all are distinct, but for LOCK_HOT, which all jobs of that kind share. */
enum lock_kind {
    LOCK_NONE,
    LOCK_QUEUE,  /* one with this key may wait */
    LOCK_WORKER, /* one with this key may run; others wait without a thread, and in line */
    LOCK_BOTH,
    LOCK_HOT, /* LOCK_WORKER */
    LOCK_KINDS
};

/* Contract: as in struct peer; jobs are enqueued by one thread. */
struct lock_peer {
    struct peer peer;                               /* its name; can nothing of what a peer can */
    void *(*start)(int workers, uint64_t jobs_max); /* 0: `run` runs the jobs */
    /* Jobs first .. first+count-1; returns how many were refused, since one with their key waits. */
    uint64_t (*enqueue)(void *self, enum lock_kind kind, uint64_t first, uint64_t count);
    void (*run)(void *self);              /* all that is ready, without workers */
    void (*hold)(void *self, bool holds); /* begin none, until told otherwise */
    uint64_t (*parked)(void *self);       /* jobs that wait for a key to be free */
    void (*stop)(void *self);             /* all have run */
};

/* What every handler of LOCK_HOT does: two at once would be seen. */
void lock_hot_begin(void);
void lock_hot_end(void);

extern const struct lock_peer lock_tresque;
extern const struct lock_peer lock_glib;

#endif
