/* A figure that needs a process of its own: one that has allocated nothing yet, that has no thread but the
 * engine's, or whose malloc is counted. The program runs itself, and the child prints its figures. */
#ifndef BENCH_CHILD_H
#define BENCH_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#define CHILD_OPTION "--child"

struct peer;

struct child_task {
    const char *name; /* of the function in child.c's table */
    const struct peer *peer;
    uint64_t jobs;
    uint64_t ms;
    bool count_malloc;
};

enum { CHILD_FIGURES_MAX = 8 };
struct child_figures {
    int count;
    double values[CHILD_FIGURES_MAX]; /* in the order of child_says */
};

/* False, and said so, if the child failed. */
bool child_run(const struct child_task *task, struct child_figures *out);

/* In the child: one figure more. */
void child_says(double value);
/* In the child: calls of malloc and its like so far, by all threads; negative if they are not counted. */
int64_t child_malloc_calls(void);

int child_main(int argc, char **argv);

/* What children do. */
void child_alloc(const struct child_task *task);          /* alloc.c */
void child_idle(const struct child_task *task);           /* idle.c */
void child_new_engine(const struct child_task *task);     /* footprint.c */
void child_waiting(const struct child_task *task);        /* footprint.c */
void child_timers_pending(const struct child_task *task); /* timers.c */
void child_timers_ready(const struct child_task *task);   /* timers.c */
void child_locks_waiting(const struct child_task *task);  /* locks.c */
void child_recurring(const struct child_task *task);      /* recurring.c */

#endif
