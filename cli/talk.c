#include "cli/talk.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/progress.h"

enum {
    READ_SIZE = 64 * 1024,
    /* After the program has ended, what it left in a pipe is read; not what programs that it left behind
     * go on to write. A pipe holds at most this by the system's default. */
    LEFT_IN_PIPE_MAX = 1024 * 1024,
    BLIND_MS = 20 /* how often to ask where no descriptor tells its end */
};

enum { IN, OUT, ERR, ENDED, TALK_FDS };

struct talk {
    struct tq_child *child;
    const struct tq_watch *watch;
    struct tq_capture *capture;
    struct trq_str input; /* what it has not taken yet */
    struct pollfd fds[TALK_FDS];
    bool ended;
    struct tq_told told;
    int64_t kill_ns; /* when its grace is over, if it has been told */
};

/* ---- the pipes ---------------------------------------------------------------------------------------- */

static void stop_talking(struct talk *talk, int which, int *fd)
{
    close(*fd);
    talk->fds[which].fd = *fd = -1;
}

/* Write what it takes of the rest; close when all is written or it does not listen. */
static void feed(struct talk *talk)
{
    struct trq_str *rest = &talk->input;
    const ssize_t n = write(talk->child->in, rest->data, rest->size);
    if (n >= 0) {
        rest->data += n;
        rest->size -= (size_t)n;
    }
    if (rest->size == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stop_talking(talk, IN, &talk->child->in);
}

/* Read once: how many bytes; 0 when there are none now, or none will come (then it is closed). */
static size_t hear(struct talk *talk, int which)
{
    char data[READ_SIZE];
    int *fd = which == OUT ? &talk->child->out : &talk->child->err;
    const ssize_t n = read(*fd, data, sizeof data);
    if (n > 0 && which == OUT)
        tq_capture_output(talk->capture, data, (size_t)n);
    else if (n > 0)
        tq_capture_errors(talk->capture, data, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        stop_talking(talk, which, fd);
    return n > 0 ? (size_t)n : 0;
}

/* It has ended: take what is still in the pipe. */
static void hear_rest(struct talk *talk, int which)
{
    size_t heard = 0;
    while (talk->fds[which].fd >= 0 && heard < LEFT_IN_PIPE_MAX) {
        const size_t n = hear(talk, which);
        if (n == 0)
            return;
        heard += n;
    }
}

/* Somebody may still write what we read. */
static bool is_held(const struct talk *talk)
{
    return talk->fds[OUT].fd >= 0 || talk->fds[ERR].fd >= 0;
}

/* ---- the end ------------------------------------------------------------------------------------------ */

static void see_whether_ended(struct talk *talk)
{
    if (talk->child->ended >= 0 && !talk->fds[ENDED].revents)
        return;
    talk->ended = talk->ended || tq_child_has_ended(talk->child);
    if (talk->ended)
        talk->fds[ENDED].fd = -1; /* it would be readable for ever */
}

/* While its first process is not reaped, the group's number is nobody else's. */
static void see_to_its_end(struct talk *talk)
{
    struct tq_told *told = &talk->told;
    if (!told->stop) {
        told->stop = tq_watch_look(talk->watch);
        if (!told->stop)
            return;
        tq_child_signal(talk->child, SIGTERM);
        talk->kill_ns = tq_progress_now_ns() + trq_seconds(TQ_TALK_GRACE_S).ns;
    } else if (!told->killed && tq_progress_now_ns() >= talk->kill_ns) {
        tq_child_signal(talk->child, SIGKILL);
        told->killed = true;
    }
}

static bool is_over(const struct talk *talk)
{
    return talk->ended && (!talk->told.stop || talk->told.killed || !is_held(talk));
}

static int wait_ms(const struct talk *talk)
{
    int ms = tq_watch_wait_ms(talk->watch);
    if (talk->told.stop) {
        const int64_t rest_ns = talk->kill_ns - tq_progress_now_ns();
        ms = talk->told.killed ? 1000 : rest_ns > 0 ? (int)(rest_ns / 1000000) + 1 : 0;
    }
    return talk->child->ended < 0 && ms > BLIND_MS ? BLIND_MS : ms;
}

/* All at once, or a program that prints before it has read its input would wait for us while we wait for it. */
struct tq_told tq_talk(struct tq_child *child, struct trq_str input, const struct tq_watch *watch,
                       struct tq_capture *capture)
{
    struct talk talk = {
        .child = child,
        .watch = watch,
        .capture = capture,
        .input = input,
        .fds =
            {
                [IN] = {.fd = child->in, .events = POLLOUT},
                [OUT] = {.fd = child->out, .events = POLLIN},
                [ERR] = {.fd = child->err, .events = POLLIN},
                [ENDED] = {.fd = child->ended, .events = POLLIN},
            },
    };
    while (!is_over(&talk)) {
        if (poll(talk.fds, TALK_FDS, wait_ms(&talk)) < 0)
            continue; /* EINTR, or no memory for the moment */
        if (talk.fds[IN].revents)
            feed(&talk);
        if (talk.fds[OUT].revents)
            hear(&talk, OUT);
        if (talk.fds[ERR].revents)
            hear(&talk, ERR);
        see_whether_ended(&talk);
        if (!talk.ended || talk.told.stop)
            see_to_its_end(&talk);
    }
    hear_rest(&talk, OUT);
    hear_rest(&talk, ERR);
    return talk.told;
}
