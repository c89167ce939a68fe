/* Lines of a file or a pipe, bounded in length, that a signal can interrupt.
 *
 * Shape:   a line is at most TQ_LINE_MAX bytes; of a longer one only the fact is told, once.
 * Threads: owner; tq_lines_next blocks until there is a line or stop_fd is readable.
 */
#ifndef TQ_CLI_LINES_H
#define TQ_CLI_LINES_H

#include <tresque/value.h>

enum { TQ_LINE_MAX = 1 << 20 };

enum tq_line {
    TQ_LINE_TEXT,    /* *out_line is one, without its newline */
    TQ_LINE_LONG,    /* one was too long and is skipped */
    TQ_LINE_END,     /* end of file */
    TQ_LINE_STOPPED, /* stop_fd became readable */
    TQ_LINE_ERROR    /* reading failed: see `error` */
};

struct tq_lines {
    int fd;
    int stop_fd;
    int error;       /* errno of a failed read */
    uint64_t number; /* of the line told last, from 1 */
    bool ended;
    bool skipping; /* inside a line that was too long */
    char *data;
    size_t capacity;
    size_t begin;   /* of what was not told yet */
    size_t scanned; /* up to here there is no newline */
    size_t end;
};

/* Borrows both descriptors; stop_fd -1: never stopped. */
void tq_lines_init(struct tq_lines *lines, int fd, int stop_fd);
void tq_lines_fini(struct tq_lines *lines);

/* The line dies with the next call. */
enum tq_line tq_lines_next(struct tq_lines *lines, struct trq_str *out_line);

#endif
