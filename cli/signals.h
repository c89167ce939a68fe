/* SIGINT and SIGTERM: the first asks to stop, the second ends the program at once.
 *
 * A thread of its own waits for them; all others have them blocked. So nothing runs in a signal handler, and
 * the second signal works whatever the other threads wait for.
 */
#ifndef TQ_CLI_SIGNALS_H
#define TQ_CLI_SIGNALS_H

#include <tresque/value.h>

/* Before any other thread is made. False: the message has been said. SIGPIPE is ignored from now on. */
bool tq_signals_start(void) TRQ_MUST_USE;
void tq_signals_end(void);

/* Which one came first, or 0. Threads: any; wait-free. */
int tq_signals_seen(void);
/* Readable from then on. */
int tq_signals_fd(void);

#endif
