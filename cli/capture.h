/* What a program printed: the beginning of its output, and the last line of its errors. Bounded.
 *
 * One per thread, used again for each job: the job's end is told on the thread that ran it, so that
 * the capture is still there, and needs neither a lock nor a look-up nor memory of its own per job.
 */
#ifndef TQ_CLI_CAPTURE_H
#define TQ_CLI_CAPTURE_H

#include "cli/buffer.h"

enum { TQ_CAPTURE_MAX = 64 * 1024, TQ_CAPTURE_LINE_MAX = 240 };

struct tq_last_line {
    char whole[TQ_CAPTURE_LINE_MAX]; /* the last one that is not blank */
    size_t whole_size;
    char open[TQ_CAPTURE_LINE_MAX]; /* being read; its beginning */
    size_t open_size;
};

struct tq_capture {
    struct trq_job_id job;
    struct tq_buffer output; /* the first TQ_CAPTURE_MAX bytes */
    uint64_t cut;            /* bytes that came after them */
    struct tq_last_line errors;
};

/* This thread's, empty, for that job from now on. */
struct tq_capture *tq_capture_begin(struct trq_job_id job);
/* This thread's if the last that was begun on it was that job's, else NULL. */
const struct tq_capture *tq_capture_of(struct trq_job_id job);
/* This thread's memory is given back; before the thread ends. */
void tq_capture_forget(void);

void tq_capture_output(struct tq_capture *capture, const char *data, size_t size);
void tq_capture_errors(struct tq_capture *capture, const char *data, size_t size);
/* The last line of the errors that is not blank; empty if there is none. */
struct trq_str tq_capture_last_error(struct tq_capture *capture);

#endif
