/* What a test says to the interleaving search. The model is described at the top of weave.c, the
 * use in README.md.
 */
#ifndef WEAVE_H
#define WEAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "weave_atomic.h"

#define WEAVE_THREADS_MAX 4
#define WEAVE_STEPS_MAX 30000
#define WEAVE_NONE (-1) /* a bound of zero; 0 itself means the default */
#define WEAVE_ANY 30000 /* a bound that never binds */

/* A small concurrent program and its bounds.
 * Shape:   threads end at the first NULL; a bound of 0 is its default
 * Owner:   the caller; `arg` is given to every function
 * Threads: all functions run in the OS thread that calls weave_run(), on stacks of 64 KiB. They must
 *          be deterministic, and setup must bring back the very same memory before each execution. */
struct weave_case {
    const char *name;
    void *arg;
    void (*setup)(void *arg);
    void (*threads[WEAVE_THREADS_MAX])(void *arg);
    void (*finish)(void *arg); /* after all threads ended: invariants */
    int preemptions;           /* switches away from a thread that could go on; 3 */
    int stale;                 /* loads that do not read the newest value; 2 */
    int steps;                 /* operations of one execution; 2,000 */
    uint64_t executions;       /* 0: until the search is exhausted */
    uint64_t seed;             /* not 0: `executions` random walks in place of a search */
    bool quiet;                /* a failure is expected: do not print its schedule */
    /* So many bytes of each stack are zero at first, at most 64 KiB: for sources that have atomics there. What was left there
     * would be the value before the first, and whether that is a change (weave_sched.h) must not depend on it. */
    size_t clean_stack;
};

struct weave_result {
    bool failed;
    bool exhausted; /* every execution within the bounds was run */
    uint64_t executions;
    char why[256];
    char choices[2048]; /* for weave_replay(); "..." at its end if it did not fit */
};

/* Runs executions until one fails, all are done, or `executions` of them are. 0 if none failed, else
 * -1, and the simplest failing schedule that a search in smaller bounds finds is printed to stderr.
 * With WEAVE_REPLAY="<case name>=<choices>" in the environment a case of that name runs only that
 * schedule and prints it. */
int weave_run(const struct weave_case *c, struct weave_result *out_result);

/* Runs one execution and prints every operation of it to `out` (NULL: nowhere). */
int weave_replay(const struct weave_case *c, const char *choices, FILE *out,
                 struct weave_result *out_result);

/* --- In the threads, setup and finish of a case --- */

/* Which of `threads` this is; -1 in setup and finish. */
int weave_self(void);

/* The name of an address in schedules; `index` is shown if it is not negative. For use in setup; the
 * text must outlive the run. */
void weave_name_at(const volatile void *p, const char *name, int index);
#define weave_name(p, name) weave_name_at((p), (name), -1)

/* The atomic at p keeps its value in this execution: loads of it are not points, since in whatever order they come
 * nothing differs. A change of it fails. For use in setup: a table that is complete before the threads begin. */
void weave_constant(const volatile void *p);

/* This thread does so many operations more (futex calls are such, pauses are not) and then nothing, for ever. The others
 * go on, and the execution ends when they have ended. */
void weave_freeze_after(unsigned operations);

/* Ends this execution as failed. */
_Noreturn void weave_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
#define weave_assert(cond)                                                                         \
    ((cond) ? (void)0 : weave_fail("%s:%d: not true: %s", __FILE__, __LINE__, #cond))

/* Plain data of the test: an access that no happens-before orders against another thread's fails.
 * Not a point where threads switch: a race shows whichever comes first. */
void weave_plain(struct weave_site *site, const volatile void *p, size_t size);
#define WEAVE_PLAIN(name, what, x, text)                                                           \
    __extension__({                                                                                \
        WEAVE_SITE(name, what, text, WEAVE_RELAXED, 0);                                            \
        weave_plain(&name, &(x), sizeof(x));                                                       \
    })
#define WEAVE_READ(x) (WEAVE_PLAIN(WEAVE_NAME, WEAVE_OP_PLAIN_READ, x, #x), (x))
#define WEAVE_WRITE(x, v) (WEAVE_PLAIN(WEAVE_NAME, WEAVE_OP_PLAIN_WRITE, x, #x), (void)((x) = (v)))

/* --- Seeded faults, without a change of the source --- */

/* The nth (from 0) site seen in this process whose description, such as
 * "engine/sync/fifo.c:88 tq_cas(&q->tail, acq_rel, acquire)", contains `text`; NULL if none. */
struct weave_site *weave_site_find(const char *text, unsigned nth);
void weave_site_describe(const struct weave_site *site, char *out, size_t size);

void weave_weaken(struct weave_site *site, enum weave_order order); /* success order of a CAS */
void weave_weaken_failure(struct weave_site *site, enum weave_order order); /* its failure order */
void weave_drop(struct weave_site *site); /* a store does nothing, a modification only reads */
void weave_mend(struct weave_site *site);

#define WEAVE_MUTANTS_MAX 256

struct weave_verdict {
    char text[192]; /* the site's description and what was done to it */
    char why[128];  /* how it was caught */
    const char *by; /* the case that caught it */
    bool caught;
    uint64_t executions;
};

struct weave_tally {
    unsigned count, caught, survived;
    struct weave_verdict verdicts[WEAVE_MUTANTS_MAX];
};

enum weave_ladder {
    WEAVE_TO_RELAXED, /* each order stronger than relaxed becomes relaxed */
    WEAVE_ONE_STEP,   /* seq_cst to acq_rel, acq_rel to acquire and to release, those to relaxed */
};

/* Runs the cases clean, then again with each order weakened that a site in a file whose path contains
 * `only` (NULL: any) was seen to use, one at a time; a mutant is caught when one case fails.
 * Prints one line per mutant to stdout, as a comment in TAP. -1 if a clean run fails, or there are too many mutants. */
int weave_mutate(const struct weave_case *cases, unsigned count, enum weave_ladder ladder,
                 const char *only, struct weave_tally *out_tally);

/* The first verdict whose text contains `text`; NULL if none. */
const struct weave_verdict *weave_tally_find(const struct weave_tally *tally, const char *text);

#endif
