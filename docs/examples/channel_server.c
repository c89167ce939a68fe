/* A small server: one epoll loop, a unix socket, and jobs whose ends come back to the loop by a channel.
 *
 *     channel_server SOCKET
 *
 * A request is a line, an answer a line that begins with a number as in HTTP:
 *
 *     square N     200 and the square, when the job has ended; 500 and why, when it failed
 *     later N      202 at once; nobody is told of the end
 *     pause        200; jobs wait from now on
 *     resume       200; they run again
 *     counts       200 and how many requests were enqueued, answered by a job's end, and forgotten
 *     stop         200, and the server ends
 *
 * What is worth a look: `enqueue` never waits (503 when it is full); one wake-up for all that a round of the
 * loop enqueued; and `hang_up`, for who goes away before his job has ended. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <tresque.h>

/* ---- the job ------------------------------------------------------------------------------------------- */

#define SQUARE_INPUTS(F, W) F(W, i64, number, TRQ_REQUIRED, 0)
TRQ_INPUTS(square, SQUARE_INPUTS);

static enum trq_end square_perform(struct trq_job *job)
{
    int64_t n = square_get(job)->number;
    if (n < -1000000 || n > 1000000)
        return trq_fail(job, "%" PRId64 " is too large", n);
    int64_t result = n * n;
    trq_job_set_result(job, &result, sizeof result);
    return TRQ_DONE;
}
const struct trq_worker square = {TRQ_WORKER(square, "Math::SquareWorker"), .retry = &trq_no_retry,
                                  .perform = square_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "math", .workers = TRQ_WORKERS(&square)};

/* ---- connections ---------------------------------------------------------------------------------------- */

/* One request at a time: while its job runs, what comes next stays in the socket. */
struct connection {
    struct connection *next, *before; /* of all */
    int fd; /* -1: the peer is gone, and the event of its job is on its way */
    bool busy;
    struct trq_job_id job;
    size_t size;
    char line[128];
};

struct server {
    struct trq_engine *engine;
    struct trq_channel *ends;
    struct connection *connections;
    int ep, listener;
    bool stop;
    unsigned enqueued, answered, forgotten;
};

static void watch(struct server *server, int fd, void *what, int how, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    epoll_ctl(server->ep, how, fd, &event);
}

/* A line fits into an empty socket buffer; who does not read his answers is cut off. */
static void answer(struct connection *c, int status, const char *text)
{
    char line[320];
    int n = snprintf(line, sizeof line, "%d %s\n", status, text);
    if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) != n)
        shutdown(c->fd, SHUT_RDWR);
}

static void drop(struct server *server, struct connection *c)
{
    if (c->before)
        c->before->next = c->next;
    else
        server->connections = c->next;
    if (c->next)
        c->next->before = c->before;
    free(c);
}

static void hang_up(struct server *server, struct connection *c)
{
    close(c->fd);
    c->fd = -1;
    if (c->busy && trq_channel_forget(server->ends, c->job) == TRQ_OK) {
        server->forgotten++;
        c->busy = false;
    }
    /* TRQ_GONE: the job ended just now. Its event, with this connection in it, is in the channel. */
    if (!c->busy)
        drop(server, c);
}

/* ---- requests -------------------------------------------------------------------------------------------- */

static void enqueue(struct server *server, struct connection *c, bool later, int64_t number)
{
    struct trq_error error;
    const struct square_in in = {.number = number};
    struct trq_opts opts = {.size = sizeof opts, .wake_later = true, .error = &error};
    if (!later) {
        opts.channel = server->ends;
        opts.tag = c;
    }
    int rc = square_enqueue(server->engine, &in, &opts, &c->job);
    if (rc == TRQ_EFULL) {
        answer(c, 503, "busy, come again");
    } else if (rc < 0) {
        answer(c, 400, error.text);
    } else {
        server->enqueued++;
        c->busy = !later;
        if (later)
            answer(c, 202, "accepted");
    }
}

static void request(struct server *server, struct connection *c, const char *line)
{
    static const char *const queue = "math_default";
    int64_t number;
    if (sscanf(line, "square %" SCNd64, &number) == 1) {
        enqueue(server, c, false, number);
    } else if (sscanf(line, "later %" SCNd64, &number) == 1) {
        enqueue(server, c, true, number);
    } else if (strcmp(line, "pause") == 0 || strcmp(line, "resume") == 0) {
        bool pause = *line == 'p';
        int rc = pause ? trq_queue_pause(server->engine, queue, NULL)
                       : trq_queue_resume(server->engine, queue, NULL);
        answer(c, rc < 0 ? 500 : 200, trq_code_name(rc));
    } else if (strcmp(line, "counts") == 0) {
        char text[96];
        snprintf(text, sizeof text, "enqueued %u, answered %u, forgotten %u", server->enqueued,
                 server->answered, server->forgotten);
        answer(c, 200, text);
    } else if (strcmp(line, "stop") == 0) {
        server->stop = true;
        answer(c, 200, "bye");
    } else {
        answer(c, 400, "what?");
    }
}

/* The lines that are complete, until one of them makes the connection wait. */
static void requests(struct server *server, struct connection *c)
{
    char *end;
    while (!c->busy && (end = memchr(c->line, '\n', c->size))) {
        char line[sizeof c->line];
        size_t length = (size_t)(end - c->line);
        memcpy(line, c->line, length);
        line[length] = '\0';
        c->size -= length + 1;
        memmove(c->line, end + 1, c->size);
        request(server, c, line);
    }
    /* Who waits is watched for hanging up only. */
    watch(server, c->fd, c, EPOLL_CTL_MOD, c->busy ? EPOLLRDHUP : EPOLLIN | EPOLLRDHUP);
}

/* ---- the loop's events ------------------------------------------------------------------------------------ */

static void from_peer(struct server *server, struct connection *c, uint32_t events)
{
    if (events & EPOLLIN) {
        ssize_t n = recv(c->fd, c->line + c->size, sizeof c->line - c->size, MSG_DONTWAIT);
        if (n > 0) {
            c->size += (size_t)n;
            requests(server, c);
            if (c->busy || c->size < sizeof c->line)
                return;
            answer(c, 400, "the line is too long");
        } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
    }
    hang_up(server, c);
}

static void from_listener(struct server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        return;
    }
    c->fd = fd;
    c->next = server->connections;
    if (c->next)
        c->next->before = c;
    server->connections = c;
    watch(server, fd, c, EPOLL_CTL_ADD, EPOLLIN | EPOLLRDHUP);
}

static void job_ended(struct server *server, const struct trq_event *event)
{
    struct connection *c = event->tag;
    c->busy = false;
    if (c->fd < 0) {
        drop(server, c);
        return;
    }
    char text[TRQ_RESULT_MAX + 1];
    server->answered++;
    if (event->outcome == TRQ_WAS_DONE) {
        int64_t result;
        memcpy(&result, event->result, sizeof result);
        snprintf(text, sizeof text, "%" PRId64, result);
        answer(c, 200, text);
    } else {
        /* The beginning of the text of a failure; a job that was dropped has none. */
        snprintf(text, sizeof text, "%.*s", (int)event->result_size, (const char *)event->result);
        if (!event->result_size)
            snprintf(text, sizeof text, "%s", trq_outcome_name(event->outcome));
        answer(c, 500, text);
    }
    if (!server->stop)
        requests(server, c);
}

static int from_channel(struct server *server)
{
    struct trq_event events[64];
    /* 64 now; if there are more, the descriptor stays readable. */
    int n = trq_channel_drain(server->ends, events, 64);
    for (int i = 0; i < n; i++)
        job_ended(server, &events[i]);
    return n;
}

static void serve(struct server *server)
{
    while (!server->stop) {
        struct epoll_event ready[64];
        int n = epoll_wait(server->ep, ready, 64, -1);
        bool ends = false;
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == server)
                from_listener(server);
            else if (ready[i].data.ptr == &server->ends)
                ends = true;
            else
                from_peer(server, ready[i].data.ptr, ready[i].events);
        }
        /* After the peers: job_ended may drop a connection that has an event in `ready`. */
        if (ends)
            from_channel(server);
        /* One wake-up for all that this round has enqueued; nothing if there is none. */
        trq_wake(server->engine);
    }
}

/* ---- begin and end ------------------------------------------------------------------------------------------ */

static bool listen_at(struct server *server, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path)
        return false;
    memcpy(address.sun_path, path, strlen(path) + 1);
    server->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    server->ep = epoll_create1(EPOLL_CLOEXEC);
    if (server->listener < 0 || server->ep < 0 ||
        bind(server->listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(server->listener, 16) < 0)
        return false;
    watch(server, server->listener, server, EPOLL_CTL_ADD, EPOLLIN);
    watch(server, trq_channel_fd(server->ends), &server->ends, EPOLL_CTL_ADD, EPOLLIN);
    return true;
}

/* What runs may finish, what waits is dropped; either way its event is in the channel then. */
static void end(struct server *server, const char *path)
{
    unlink(path);
    close(server->listener);
    struct trq_leftover left = {.size = sizeof left};
    if (trq_engine_stop(server->engine, trq_seconds(5), &left) < 0)
        fprintf(stderr, "still running: %s\n", left.running);
    while (from_channel(server) > 0)
        ;
    for (struct connection *c = server->connections, *next; c; c = next) {
        next = c->next;
        hang_up(server, c);
    }
    trq_channel_destroy(server->ends);
    close(server->ep);
}

int main(int argc, char **argv)
{
    struct server server = {.listener = -1, .ep = -1};
    struct trq_error error;
    if (argc != 2)
        return 2;
    if (trq_engine_create(NULL, &server.engine, &error) < 0 ||
        trq_register(server.engine, &app, &error) < 0 ||
        trq_engine_start(server.engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    if (trq_channel_create(server.engine, 1024, &server.ends) < 0 || !listen_at(&server, argv[1])) {
        fprintf(stderr, "%s: %s\n", argv[1], strerror(errno));
        return 1;
    }
    serve(&server);
    end(&server, argv[1]);
    return trq_engine_destroy(server.engine) == TRQ_OK ? 0 : 1;
}
