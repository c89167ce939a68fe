/* What goes on between us and a program that runs for a job: its input, what it prints, and its end in time.
 *
 * When the run shall stop (tq_watch), its process group gets SIGTERM. What is left of the group when its first process
 * has ended and nobody holds its output any more, or after TQ_TALK_GRACE_S, gets SIGKILL.
 */
#ifndef TQ_CLI_TALK_H
#define TQ_CLI_TALK_H

#include "cli/capture.h"
#include "cli/child.h"
#include "cli/watch.h"

enum { TQ_TALK_GRACE_S = 5 };

struct tq_told {
    enum tq_stop stop; /* why it was told to end, if it was */
    bool killed;       /* SIGTERM did not do */
};

/* Until it has ended: tq_child_end does not block then. Threads: the one that runs the job; blocks. */
struct tq_told tq_talk(struct tq_child *child, struct trq_str input, const struct tq_watch *watch,
                       struct tq_capture *capture);

#endif
