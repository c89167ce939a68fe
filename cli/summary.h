/* What a run came to, on standard output. */
#ifndef TQ_CLI_SUMMARY_H
#define TQ_CLI_SUMMARY_H

#include <tresque.h>

#include "cli/options.h"

struct tq_tally {
    struct trq_worker_stats stats; /* of all workers, after the stop */
    uint64_t rejected;             /* lines of the input that became no job */
    int64_t elapsed_ns;
};

/* Jobs that have ended, but for those that were left. */
uint64_t tq_ended(const struct trq_worker_stats *stats);

/* "TResque: worker_urgent, worker_default", for the text form. */
void tq_summary_begin(enum tq_summary_form form, struct trq_engine *engine);
void tq_summary_end(enum tq_summary_form form, const struct tq_tally *tally);
/* False, with a message: standard output could not be written. */
bool tq_summary_flush(void) TRQ_MUST_USE;

#endif
