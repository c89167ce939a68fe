#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/say.h"

enum { PENDING_MAX = 64 * 1024 };

static bool is_same_file(int a, int b)
{
    struct stat of_a;
    struct stat of_b;
    return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && S_ISREG(of_a.st_mode) &&
           of_a.st_dev == of_b.st_dev && of_a.st_ino == of_b.st_ino;
}

bool tq_output_open(struct tq_output *output, const char *path, int input_fd, int schedule_fd)
{
    const bool is_stdout = strcmp(path, "-") == 0;
    memset(output, 0, sizeof *output);
    output->path = is_stdout ? "standard output" : path;
    /* Emptied only once it is known not to be the input. */
    output->fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                           : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (output->fd < 0) {
        tq_say("tresque: cannot write %s: %s", output->path, strerrordesc_np(errno));
        return false;
    }
    if (is_same_file(output->fd, input_fd) || is_same_file(output->fd, schedule_fd)) {
        tq_say("tresque: --output %s is the file that the jobs are read from", path);
        close(output->fd);
        return false;
    }
    struct stat of_output;
    if (!is_stdout && fstat(output->fd, &of_output) == 0 && S_ISREG(of_output.st_mode) &&
        ftruncate(output->fd, 0) < 0) {
        tq_say("tresque: cannot empty %s: %s", path, strerrordesc_np(errno));
        close(output->fd);
        return false;
    }
    pthread_mutex_init(&output->mutex, NULL);
    return true;
}

/* Told once. With the mutex held. */
static void fail(struct tq_output *output, int error)
{
    if (!output->failed)
        tq_say("tresque: cannot write %s: %s; what ends from now on is not written", output->path,
               strerrordesc_np(error));
    output->failed = true;
    tq_buffer_clear(&output->pending);
}

static void write_pending(struct tq_output *output)
{
    const char *data = output->pending.data;
    size_t size = output->pending.size;
    while (size > 0) {
        const ssize_t n = write(output->fd, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fail(output, errno);
            return;
        }
        data += n;
        size -= (size_t)n;
    }
    tq_buffer_clear(&output->pending);
}

void tq_output_add(struct tq_output *output, const char *lines, size_t size)
{
    pthread_mutex_lock(&output->mutex);
    if (!output->failed) {
        tq_buffer_add(&output->pending, lines, size);
        if (output->pending.failed)
            fail(output, ENOMEM);
        else if (output->pending.size >= PENDING_MAX)
            write_pending(output);
    }
    pthread_mutex_unlock(&output->mutex);
}

void tq_output_lost(struct tq_output *output)
{
    pthread_mutex_lock(&output->mutex);
    fail(output, ENOMEM);
    pthread_mutex_unlock(&output->mutex);
}

void tq_output_flush(struct tq_output *output)
{
    pthread_mutex_lock(&output->mutex);
    write_pending(output);
    pthread_mutex_unlock(&output->mutex);
}

bool tq_output_close(struct tq_output *output)
{
    tq_output_flush(output);
    /* Some file systems tell a write's error only now. */
    if (close(output->fd) < 0 && errno != EINTR)
        fail(output, errno);
    pthread_mutex_destroy(&output->mutex);
    tq_buffer_fini(&output->pending);
    return !output->failed;
}
