/* The help text. */
#ifndef TQ_CLI_HELP_H
#define TQ_CLI_HELP_H

/* On standard output. Returns the exit status: TQ_EXIT_BAD if it could not be written. */
int tq_help(void);

#endif
