/* The worker Exec: runs a program.
 *
 * Inputs:  argv (a list of strings; the first is the program, looked for in PATH), cwd (a directory),
 *          env (an object of strings, added to the environment), stdin (text).
 * End:     done if it exits with 0; else failed, with the last line that it wrote to its standard
 *          error. Inputs that can never run are discarded.
 */
#ifndef TQ_CLI_EXEC_H
#define TQ_CLI_EXEC_H

#include <jansson.h>

/* What is wrong with these inputs beyond what the declaration says, or NULL. Static. */
const char *tq_exec_fault(const json_t *inputs);

#endif
