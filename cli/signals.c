#include "cli/signals.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/say.h"

static pthread_t thread;
static int signal_fd = -1;
static int seen_fd = -1; /* an eventfd: a signal came */
static int end_fd = -1;  /* an eventfd: the thread shall end */
static atomic_int seen;

/* Write to an eventfd that nobody reads: it stays readable. */
static void raise_fd(int fd)
{
    const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

static void take_signal(void)
{
    struct signalfd_siginfo info;
    if (read(signal_fd, &info, sizeof info) != sizeof info)
        return;
    const int number = (int)info.ssi_signo;
    if (atomic_load(&seen)) {
        tq_children_terminate();
        _exit(128 + number);
    }
    atomic_store(&seen, number);
    raise_fd(seen_fd);
}

static void *wait_for_signals(void *unused)
{
    (void)unused;
    struct pollfd fds[2] = {{.fd = signal_fd, .events = POLLIN}, {.fd = end_fd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            return NULL;
        if (fds[0].revents)
            take_signal();
    }
}

static void close_all(void)
{
    int *const fds[] = {&signal_fd, &seen_fd, &end_fd};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

bool tq_signals_start(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    signal(SIGPIPE, SIG_IGN);
    /* A shell starts what it runs in the background with SIGINT ignored; asked by kill, we still obey. */
    signal(SIGINT, SIG_DFL);
    int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
    seen_fd = eventfd(0, EFD_CLOEXEC);
    end_fd = eventfd(0, EFD_CLOEXEC);
    if (!rc && (signal_fd < 0 || seen_fd < 0 || end_fd < 0))
        rc = errno;
    if (!rc)
        rc = pthread_create(&thread, NULL, wait_for_signals, NULL);
    if (rc) {
        tq_say("tresque: cannot wait for signals: %s", strerrordesc_np(rc));
        close_all();
    }
    return rc == 0;
}

void tq_signals_end(void)
{
    raise_fd(end_fd);
    pthread_join(thread, NULL);
    close_all();
}

int tq_signals_seen(void)
{
    return atomic_load(&seen);
}

int tq_signals_fd(void)
{
    return seen_fd;
}
