/* One way to get a job from who has it to who does it: ours, and what a user would take instead. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct setup {
    int producers; /* threads that will call submit */
    int workers;   /* threads to start; 0: submit runs the jobs itself, 64 after each other */
    bool bulk;     /* hand over 64 jobs in one call where there is one for that */
};

enum { PEER_BATCH = 64 };

/* What a peer can do; a scenario leaves out who cannot. */
enum {
    PEER_INLINE = 1, /* without workers */
    PEER_WORKERS = 2,
    PEER_SINGLE = 4,
    PEER_BULK = 8,
    PEER_OURS = 16, /* the one that the others are compared with */
};

/* Contract of start, submit, stop: they succeed or call bench_die. Workers sleep while there is nothing to
 * do; a job is counted by work_count when it has run; waiting for that is the caller's business. */
struct peer {
    const char *name;
    const char *what; /* for --list and the header: which library, which version */
    unsigned can;
    void *(*start)(const struct setup *setup);
    /* Jobs first .. first+count-1, by producer 0 .. producers-1, each from one thread at a time. */
    void (*submit)(void *self, int producer, uint64_t first, uint64_t count);
    void (*stop)(void *self); /* all jobs have run */
};

/* NULL-ended, ours first. */
extern const struct peer *const peers[];

extern const struct peer peer_tresque;
extern const struct peer peer_loop;
extern const struct peer peer_mutex;
extern const struct peer peer_glib;
extern const struct peer peer_moodycamel;
extern const struct peer peer_moodycamel_bulk;
/* Those of timer.h and lock.h stand in the list, too, for their names; they can nothing of the above. */

/* Those that were not found when this was built: "glib, moodycamel", or "". */
extern const char peers_left_out[];

#ifdef __cplusplus
}
#endif

#endif
