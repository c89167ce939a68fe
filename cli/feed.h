/* From lines to jobs: reads the input to its end, enqueues, and tells what is wrong with a line.
 *
 * The engine is bounded (--max-jobs); when it is full, reading waits. So an input of any length needs
 * a bounded memory: that of the jobs that wait, and of one line.
 */
#ifndef TQ_CLI_FEED_H
#define TQ_CLI_FEED_H

#include <tresque.h>

#include "cli/lines.h"
#include "cli/output.h"

enum tq_feed_end {
    TQ_FEED_ALL,     /* everything was read */
    TQ_FEED_STRICT,  /* a bad line, and --strict */
    TQ_FEED_STOPPED, /* by a signal */
    TQ_FEED_FULL,    /* what waits will never be worked, and there is no room for more */
    TQ_FEED_ERROR    /* the input could not be read */
};

struct tq_feed {
    struct trq_engine *engine;
    struct tq_output *output; /* of the ended jobs; or NULL */
    const char *name;         /* of the input, in messages */
    struct tq_lines lines;
    bool strict;
    uint64_t rejected;
    _Atomic uint64_t left; /* jobs of lines that have been dropped */
};

/* Blocks. Messages have been said. The feed must live until the engine has stopped. */
enum tq_feed_end tq_feed_run(struct tq_feed *feed);

#endif
