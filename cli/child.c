#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* All that run. A child is in the list only while it is not reaped, so its pid names nobody else. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct tq_child *running;

static void list(struct tq_child *child)
{
    pthread_mutex_lock(&mutex);
    child->prev = NULL;
    child->next = running;
    if (running)
        running->prev = child;
    running = child;
    pthread_mutex_unlock(&mutex);
}

static void unlist(struct tq_child *child)
{
    pthread_mutex_lock(&mutex);
    if (child->next)
        child->next->prev = child->prev;
    if (child->prev)
        child->prev->next = child->next;
    else
        running = child->next;
    pthread_mutex_unlock(&mutex);
}

bool tq_children_running(void)
{
    pthread_mutex_lock(&mutex);
    const bool any = running != NULL;
    pthread_mutex_unlock(&mutex);
    return any;
}

void tq_children_terminate(void)
{
    pthread_mutex_lock(&mutex);
    for (struct tq_child *child = running; child; child = child->next)
        tq_child_signal(child, SIGTERM);
    pthread_mutex_unlock(&mutex);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* The ends of the pipes: ours are non-blocking. */
struct ends {
    int ours[3];
    int theirs[3];
};

static void close_ends(int *ends)
{
    for (int i = 0; i < 3; i++)
        close_fd(&ends[i]);
}

static int open_end(struct ends *ends, int which)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) < 0)
        return errno;
    const int ours = which == STDIN_FILENO ? 1 : 0;
    ends->ours[which] = fds[ours];
    ends->theirs[which] = fds[!ours];
    return fcntl(ends->ours[which], F_SETFL, O_NONBLOCK) < 0 ? errno : 0;
}

static int open_ends(struct ends *ends, bool with_input)
{
    *ends = (struct ends){{-1, -1, -1}, {-1, -1, -1}};
    int rc = 0;
    if (with_input) {
        rc = open_end(ends, STDIN_FILENO);
    } else {
        ends->theirs[STDIN_FILENO] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        if (ends->theirs[STDIN_FILENO] < 0)
            rc = errno;
    }
    if (!rc)
        rc = open_end(ends, STDOUT_FILENO);
    if (!rc)
        rc = open_end(ends, STDERR_FILENO);
    if (rc) {
        close_ends(ends->ours);
        close_ends(ends->theirs);
    }
    return rc;
}

/* Pool threads have all signals blocked and this program ignores SIGPIPE: neither is for the child. */
static int set_signals(posix_spawnattr_t *attr)
{
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    int rc = posix_spawnattr_setsigmask(attr, &none);
    if (!rc)
        rc = posix_spawnattr_setsigdefault(attr, &all);
    if (!rc)
        rc = posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                POSIX_SPAWN_SETSID);
    return rc;
}

static int set_files(posix_spawn_file_actions_t *actions, const int *theirs, const char *directory)
{
    int rc = 0;
    for (int i = 0; i < 3 && !rc; i++)
        rc = posix_spawn_file_actions_adddup2(actions, theirs[i], i);
    if (!rc && directory)
        rc = posix_spawn_file_actions_addchdir_np(actions, directory);
    return rc;
}

static int spawn(pid_t *out_pid, char *const *argv, char *const *environment, const char *directory,
                 const int *theirs)
{
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t actions;
    int rc = posix_spawnattr_init(&attr);
    if (rc)
        return rc;
    rc = posix_spawn_file_actions_init(&actions);
    if (rc)
        goto drop_attr;
    rc = set_signals(&attr);
    if (!rc)
        rc = set_files(&actions, theirs, directory);
    if (!rc)
        rc = posix_spawnp(out_pid, argv[0], &actions, &attr, argv,
                          environment ? environment : environ);
    posix_spawn_file_actions_destroy(&actions);
drop_attr:
    posix_spawnattr_destroy(&attr);
    return rc;
}

int tq_child_start(struct tq_child *child, char *const *argv, char *const *environment,
                   const char *directory, bool with_input)
{
    struct ends ends;
    int rc = open_ends(&ends, with_input);
    if (rc)
        return rc;
    rc = spawn(&child->pid, argv, environment, directory, ends.theirs);
    close_ends(ends.theirs);
    if (rc) {
        close_ends(ends.ours);
        return rc;
    }
    child->in = ends.ours[STDIN_FILENO];
    child->out = ends.ours[STDOUT_FILENO];
    child->err = ends.ours[STDERR_FILENO];
    child->ended = pidfd_open(child->pid, 0);
    list(child);
    return 0;
}

bool tq_child_has_ended(const struct tq_child *child)
{
    siginfo_t info = {0};
    const int rc = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    return rc == 0 && info.si_pid == child->pid;
}

void tq_child_signal(const struct tq_child *child, int number)
{
    kill(-child->pid, number);
}

int tq_child_end(struct tq_child *child)
{
    close_fd(&child->in);
    close_fd(&child->out);
    close_fd(&child->err);
    siginfo_t info;
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        ;
    close_fd(&child->ended);
    unlist(child);
    int status = 0;
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}
