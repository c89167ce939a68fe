#include "cli/capture.h"

static _Thread_local struct tq_capture mine;

struct tq_capture *tq_capture_begin(struct trq_job_id job)
{
    mine.job = job;
    tq_buffer_clear(&mine.output);
    mine.cut = 0;
    mine.errors.whole_size = 0;
    mine.errors.open_size = 0;
    return &mine;
}

const struct tq_capture *tq_capture_of(struct trq_job_id job)
{
    return trq_job_id_equal(mine.job, job) ? &mine : NULL;
}

void tq_capture_forget(void)
{
    tq_buffer_fini(&mine.output);
    memset(&mine, 0, sizeof mine);
}

void tq_capture_output(struct tq_capture *capture, const char *data, size_t size)
{
    const size_t room = TQ_CAPTURE_MAX - capture->output.size;
    const size_t kept = size < room ? size : room;
    tq_buffer_add(&capture->output, data, kept);
    capture->cut += size - kept;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void close_line(struct tq_last_line *line)
{
    while (line->open_size > 0 && is_space(line->open[line->open_size - 1]))
        line->open_size--;
    if (line->open_size > 0) {
        memcpy(line->whole, line->open, line->open_size);
        line->whole_size = line->open_size;
    }
    line->open_size = 0;
}

void tq_capture_errors(struct tq_capture *capture, const char *data, size_t size)
{
    struct tq_last_line *line = &capture->errors;
    while (size > 0) {
        const char *newline = memchr(data, '\n', size);
        const size_t length = newline ? (size_t)(newline - data) : size;
        const size_t room = sizeof line->open - line->open_size;
        const size_t kept = length < room ? length : room;
        memcpy(line->open + line->open_size, data, kept);
        line->open_size += kept;
        if (!newline)
            return;
        close_line(line);
        data += length + 1;
        size -= length + 1;
    }
}

struct trq_str tq_capture_last_error(struct tq_capture *capture)
{
    close_line(&capture->errors);
    return (struct trq_str){capture->errors.whole, capture->errors.whole_size};
}
