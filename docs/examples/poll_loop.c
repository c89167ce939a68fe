/* An engine without threads in an epoll loop: its descriptor is one more to sleep on, and jobs run between the
 * other events of the loop, a few at a time. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <tresque.h>

#define LINE_INPUTS(F, W) F(W, str, text, TRQ_REQUIRED, NULL)
TRQ_INPUTS(line, LINE_INPUTS);

/* Handlers enqueue like anybody else: what is long is cut into more jobs. */
static enum trq_end line_perform(struct trq_job *job)
{
    struct trq_str text = line_get(job)->text;
    const char *comma = memchr(text.data, ',', text.size);
    if (!comma) {
        printf("  job: %.*s\n", (int)text.size, text.data);
        return TRQ_DONE;
    }
    const struct line_in parts[2] = {
        {.text = {text.data, (size_t)(comma - text.data)}},
        {.text = {comma + 1, text.size - (size_t)(comma + 1 - text.data)}},
    };
    int rc = line_enqueue_many(trq_job_engine(job), parts, 2, NULL, NULL);
    return rc < 0 ? trq_fail(job, "enqueue: %s", trq_code_name(rc)) : TRQ_DONE;
}
const struct trq_worker line = {TRQ_WORKER(line, "LineWorker"), .perform = line_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "loop", .workers = TRQ_WORKERS(&line)};

static void add(int ep, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event);
}

/* One line of the peer. False: he is gone. */
static bool read_line(int fd, struct trq_engine *engine)
{
    char text[64];
    ssize_t n = read(fd, text, sizeof text);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    printf("read: %.*s\n", (int)n, text);
    const struct line_in in = {.text = {text, (size_t)n}};
    return line_enqueue(engine, &in, NULL, NULL) == TRQ_OK;
}

static void loop(struct trq_engine *engine, int ep, int peer)
{
    for (bool connected = true;;) {
        struct epoll_event ready[8];
        /* When the peer is gone: only as long as there is something to do. */
        int n = epoll_wait(ep, ready, 8, connected ? -1 : 0);
        if (n == 0)
            return;
        for (int i = 0; i < n; i++) {
            if (ready[i].data.fd == peer) {
                connected = read_line(peer, engine);
                if (!connected)
                    epoll_ctl(ep, EPOLL_CTL_DEL, peer, NULL);
            } else {
                /* At most two jobs; a time can bound it, too. If there are more the descriptor stays
                 * readable, so the other events have their turn. */
                int ran = trq_engine_poll(engine, 2, trq_ns(0));
                if (ran > 0)
                    printf("poll: %d ran\n", ran);
            }
        }
    }
}

int main(void)
{
    struct trq_engine *engine = NULL;
    struct trq_error error;
    struct trq_config config = trq_config_init();
    config.threads = TRQ_THREADS_NONE;
    if (trq_engine_create(&config, &engine, &error) < 0 || trq_register(engine, &app, &error) < 0 ||
        trq_engine_start(engine, &error) < 0) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    int pipes[2];
    int ep = epoll_create1(EPOLL_CLOEXEC);
    if (ep < 0 || pipe(pipes) < 0)
        return 1;
    add(ep, trq_engine_fd(engine));
    add(ep, pipes[0]);
    if (write(pipes[1], "red,green,blue", 14) != 14)
        return 1;
    close(pipes[1]);
    loop(engine, ep, pipes[0]);
    close(pipes[0]);
    close(ep);
    return trq_engine_destroy(engine) == TRQ_OK ? 0 : 1;
}
