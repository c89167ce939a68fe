#include "cli/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum { READ_SIZE = 64 * 1024 };

void tq_lines_init(struct tq_lines *lines, int fd, int stop_fd)
{
    memset(lines, 0, sizeof *lines);
    lines->fd = fd;
    lines->stop_fd = stop_fd;
}

void tq_lines_fini(struct tq_lines *lines)
{
    free(lines->data);
    memset(lines, 0, sizeof *lines);
}

/* READ_SIZE bytes of room behind `end`: by moving what is left to the front, else by growing. A line
 * longer than TQ_LINE_MAX is dropped before, so this is bounded by twice that. */
static bool make_room(struct tq_lines *lines)
{
    if (lines->begin > 0) {
        memmove(lines->data, lines->data + lines->begin, lines->end - lines->begin);
        lines->end -= lines->begin;
        lines->scanned -= lines->begin;
        lines->begin = 0;
    }
    if (lines->capacity - lines->end >= READ_SIZE)
        return true;
    const size_t capacity = lines->capacity ? 2 * lines->capacity : 2 * (size_t)READ_SIZE;
    char *data = realloc(lines->data, capacity);
    if (!data)
        return false;
    lines->data = data;
    lines->capacity = capacity;
    return true;
}

/* Wait until there is something to read: TQ_LINE_TEXT, or why not. */
static enum tq_line wait_readable(struct tq_lines *lines)
{
    struct pollfd fds[2] = {{.fd = lines->fd, .events = POLLIN},
                            {.fd = lines->stop_fd, .events = POLLIN}};
    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR) {
            lines->error = errno;
            return TQ_LINE_ERROR;
        }
    return fds[1].revents ? TQ_LINE_STOPPED : TQ_LINE_TEXT;
}

/* Read on: TQ_LINE_TEXT, or why not. The end of the file is TQ_LINE_TEXT with `ended` set. */
static enum tq_line fill(struct tq_lines *lines)
{
    if (!make_room(lines)) {
        lines->error = ENOMEM;
        return TQ_LINE_ERROR;
    }
    for (;;) {
        const enum tq_line ready = wait_readable(lines);
        if (ready != TQ_LINE_TEXT)
            return ready;
        const ssize_t n = read(lines->fd, lines->data + lines->end, lines->capacity - lines->end);
        if (n >= 0) {
            lines->end += (size_t)n;
            lines->ended = n == 0;
            return TQ_LINE_TEXT;
        }
        if (errno != EINTR && errno != EAGAIN) {
            lines->error = errno;
            return TQ_LINE_ERROR;
        }
    }
}

/* A line lies between begin and here. */
static enum tq_line tell(struct tq_lines *lines, size_t here, struct trq_str *out_line)
{
    lines->number++;
    out_line->data = lines->data + lines->begin;
    out_line->size = here - lines->begin;
    lines->scanned = lines->begin = here < lines->end ? here + 1 : here;
    return out_line->size > TQ_LINE_MAX ? TQ_LINE_LONG : TQ_LINE_TEXT;
}

/* Position of the next newline, or `end` when there is none yet. */
static size_t find_newline(struct tq_lines *lines)
{
    if (lines->scanned == lines->end)
        return lines->end;
    const char *found = memchr(lines->data + lines->scanned, '\n', lines->end - lines->scanned);
    lines->scanned = found ? (size_t)(found - lines->data) : lines->end;
    return lines->scanned;
}

enum tq_line tq_lines_next(struct tq_lines *lines, struct trq_str *out_line)
{
    for (;;) {
        const size_t here = find_newline(lines);
        const bool whole = here < lines->end;
        if (lines->skipping) { /* told already */
            lines->scanned = lines->begin = whole ? here + 1 : here;
            lines->skipping = !whole;
            if (whole)
                continue;
        } else if (whole || (lines->ended && lines->begin < lines->end)) {
            return tell(lines, here, out_line);
        } else if (lines->end - lines->begin > TQ_LINE_MAX) {
            lines->skipping = true;
            return tell(lines, here, out_line);
        }
        if (lines->ended)
            return TQ_LINE_END;
        const enum tq_line filled = fill(lines);
        if (filled != TQ_LINE_TEXT)
            return filled;
    }
}
