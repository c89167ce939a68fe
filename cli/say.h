/* Messages on standard error: whole lines, and one line at the bottom that is drawn again and again.
 *
 * Both go through here, so that a message never lands in the middle of the progress bar.
 * Threads: any; a mutex, held while standard error is written.
 */
#ifndef TQ_CLI_SAY_H
#define TQ_CLI_SAY_H

#include <tresque/value.h>

/* One line; the newline is added, control characters become '?' (a job's words must not steer a
 * terminal), what is beyond 4 KiB is cut. */
void tq_say(const char *format, ...) TRQ_PRINTF(1, 2);

/* Show this text as the bottom line in place of the one before; "" takes it away. */
void tq_say_bar(const char *text);

#endif
