/* The command `tresque cron 'EXPR'`: when a cron expression fires next. */
#ifndef TQ_CLI_CRON_H
#define TQ_CLI_CRON_H

/* argv[0] is "cron". Returns the exit status. */
int tq_cron(int argc, char **argv);

/* The lines about its options in the help text. */
extern const char tq_cron_help[];

#endif
