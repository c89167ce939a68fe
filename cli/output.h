/* The file of --output: whole lines, from any thread. */
#ifndef TQ_CLI_OUTPUT_H
#define TQ_CLI_OUTPUT_H

#include <pthread.h>

#include "cli/buffer.h"

/* What could not be written is told once; then the rest is dropped and `failed` stays true. */
struct tq_output {
    const char *path;
    int fd;
    pthread_mutex_t mutex;
    struct tq_buffer pending;
    bool failed;
};

/* Replaces the file; "-" is standard output. It must not be a file that jobs are read from by one of these two; -1: none.
 * False: the message has been said. */
bool tq_output_open(struct tq_output *output, const char *path, int input_fd, int schedule_fd)
    TRQ_MUST_USE;

/* One or more lines, newlines included. Threads: any; may block in write. */
void tq_output_add(struct tq_output *output, const char *lines, size_t size);
/* One could not be made for lack of memory. */
void tq_output_lost(struct tq_output *output);
/* What was added is handed to the system. Threads: any; may block in write. */
void tq_output_flush(struct tq_output *output);

/* False: something could not be written. Threads: one, at the end. */
bool tq_output_close(struct tq_output *output) TRQ_MUST_USE;

#endif
