/* The command `tresque run [FILE|-]`. */
#ifndef TQ_CLI_RUN_H
#define TQ_CLI_RUN_H

/* argv[0] is "run". Returns the exit status. */
int tq_run(int argc, char **argv);

#endif
