/* A program that runs for a job: started with pipes, known by its pid until it is reaped.
 *
 * It has a session of its own, so that a ^C at the terminal reaches tresque alone, which then lets it
 * finish; default signal handlers and none blocked; and no descriptor of ours but 0, 1 and 2.
 */
#ifndef TQ_CLI_CHILD_H
#define TQ_CLI_CHILD_H

#include <sys/types.h>

#include <tresque/value.h>

struct tq_child {
    pid_t pid;
    int in; /* write its standard input here; -1: it reads /dev/null */
    int out;
    int err;
    int ended;             /* readable once it has ended; -1: this kernel cannot tell */
    struct tq_child *next; /* of all that run */
    struct tq_child *prev;
};

/* A NULL environment is ours; a NULL directory too. The descriptors are non-blocking.
 * Returns 0, or an errno with everything closed.
 * Threads: any; blocks until the program is loaded. */
int tq_child_start(struct tq_child *child, char *const *argv, char *const *environment,
                   const char *directory, bool with_input) TRQ_MUST_USE;

/* It is not reaped by that. */
bool tq_child_has_ended(const struct tq_child *child);
/* To it and to what it has started, as far as that is in its process group. Before tq_child_end. */
void tq_child_signal(const struct tq_child *child, int number);
/* Close what is still open, wait for its end; returns its status as waitpid gives it. */
int tq_child_end(struct tq_child *child);

/* Does any run now? */
bool tq_children_running(void);
/* Send SIGTERM to all that run, and to what they started. */
void tq_children_terminate(void);

#endif
