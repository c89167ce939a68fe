#include "cli/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/capture.h"
#include "cli/child.h"

#define EXEC_INPUTS(F, W)                                                                          \
    F(W, json, argv, TRQ_REQUIRED, NULL)                                                           \
    F(W, str, cwd, TRQ_OPTIONAL, NULL)                                                             \
    F(W, json, env, TRQ_OPTIONAL, NULL)                                                            \
    F(W, str, stdin, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(exec, EXEC_INPUTS);

enum {
    READ_SIZE = 64 * 1024,
    /* After the program has ended, what it left in a pipe is read; not what programs that it left behind
     * go on to write. A pipe holds at most this by the system's default. */
    LEFT_IN_PIPE_MAX = 1024 * 1024,
    START_TRIES = 100
};

/* ---- inputs ---------------------------------------------------------------------------------------- */

static bool is_terminated(const json_t *string)
{
    return strlen(json_string_value(string)) == json_string_length(string);
}

static const char *argv_fault(const json_t *argv)
{
    if (!json_is_array(argv))
        return "argv must be a list of strings, such as [\"sha256sum\",\"/etc/hosts\"]";
    if (json_array_size(argv) == 0)
        return "argv is empty: its first string is the program";
    size_t i;
    json_t *word;
    json_array_foreach(argv, i, word)
    {
        if (!json_is_string(word))
            return "argv must be a list of strings, and one of its values is none";
        if (!is_terminated(word))
            return "argv has a string with a zero byte, which no program can be given";
    }
    if (json_string_length(json_array_get(argv, 0)) == 0)
        return "argv begins with an empty string: the first is the program";
    return NULL;
}

static const char *env_fault(const json_t *env)
{
    if (!env || json_is_null(env))
        return NULL;
    if (!json_is_object(env))
        return "env must be an object of strings, such as {\"LC_ALL\":\"C\"}";
    const char *name;
    json_t *value;
    /* jansson only hands out the object's iterator for a pointer that is not const. */
    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        if (!json_is_string(value) || !is_terminated(value))
            return "env must be an object of strings without zero bytes";
        if (!*name || strchr(name, '='))
            return "env has a name that is empty or contains \"=\"";
    }
    return NULL;
}

static const char *cwd_fault(const json_t *cwd)
{
    if (!json_is_string(cwd))
        return NULL; /* the declaration has its own say */
    if (json_string_length(cwd) == 0)
        return "cwd is empty";
    return is_terminated(cwd) ? NULL : "cwd has a zero byte";
}

const char *tq_exec_fault(const json_t *inputs)
{
    const json_t *argv = json_object_get(inputs, "argv");
    const char *fault = argv ? argv_fault(argv) : NULL;
    if (!fault)
        fault = env_fault(json_object_get(inputs, "env"));
    return fault ? fault : cwd_fault(json_object_get(inputs, "cwd"));
}

/* ---- the program ------------------------------------------------------------------------------------ */

struct program {
    json_t *argv_json;
    json_t *env_json;
    char **argv;          /* NULL-ended; its strings belong to argv_json */
    char **environment;   /* NULL-ended; NULL: ours */
    char *added;          /* NAME=VALUE of env, one after the other */
    char *directory;      /* or NULL */
    struct trq_str input; /* absent: none */
};

static void program_fini(struct program *program)
{
    json_decref(program->argv_json);
    json_decref(program->env_json);
    free(program->argv);
    free(program->environment);
    free(program->added);
    free(program->directory);
}

/* Absent text is an absent value. */
static bool load(struct trq_str text, json_t **out)
{
    if (text.data)
        *out = json_loadb(text.data, text.size, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    return !text.data || *out;
}

static bool make_argv(struct program *program)
{
    const size_t count = json_array_size(program->argv_json);
    program->argv = calloc(count + 1, sizeof *program->argv);
    for (size_t i = 0; program->argv && i < count; i++) {
        const char *word = json_string_value(json_array_get(program->argv_json, i));
        program->argv[i] = (char *)(uintptr_t)word; /* exec takes char *, and writes nothing */
    }
    return program->argv != NULL;
}

/* Is NAME=VALUE to be replaced by what env says? */
static bool is_replaced(const char *entry, const json_t *env)
{
    const char *equals = strchr(entry, '=');
    if (!equals)
        return false;
    return json_object_getn(env, entry, (size_t)(equals - entry)) != NULL;
}

/* Ours but for what env replaces, then env. */
static bool make_environment(struct program *program)
{
    json_t *env = program->env_json;
    if (!env || json_object_size(env) == 0)
        return true;
    size_t count = json_object_size(env);
    for (char **entry = environ; *entry; entry++)
        count++;
    size_t size = 1; /* malloc of nothing may be NULL */
    const char *name;
    json_t *value;
    json_object_foreach(env, name, value) size += strlen(name) + json_string_length(value) + 2;

    program->environment = calloc(count + 1, sizeof *program->environment);
    program->added = malloc(size);
    if (!program->environment || !program->added)
        return false;
    char **next = program->environment;
    for (char **entry = environ; *entry; entry++)
        if (!is_replaced(*entry, env))
            *next++ = *entry;
    char *text = program->added;
    json_object_foreach(env, name, value)
    {
        *next++ = text;
        text = stpcpy(stpcpy(stpcpy(text, name), "="), json_string_value(value)) + 1;
    }
    return true;
}

static const char *const out_of_memory = "out of memory";

/* NULL, or what is wrong. End it with program_fini in any case. */
static const char *program_init(struct program *program, const struct exec_in *in)
{
    memset(program, 0, sizeof *program);
    program->input = in->stdin;
    if (!load(in->argv, &program->argv_json) || !load(in->env, &program->env_json))
        return out_of_memory;
    const char *fault = argv_fault(program->argv_json);
    if (!fault)
        fault = env_fault(program->env_json);
    if (fault)
        return fault;
    if (in->cwd.data && memchr(in->cwd.data, '\0', in->cwd.size))
        return "cwd has a zero byte";
    if (in->cwd.data)
        program->directory = strndup(in->cwd.data, in->cwd.size);
    if (!make_argv(program) || !make_environment(program) || (in->cwd.data && !program->directory))
        return out_of_memory;
    return NULL;
}

/* ---- talking with it -------------------------------------------------------------------------------- */

enum { IN, OUT, ERR, ENDED, TALK_FDS };

static void stop_talking(struct pollfd *poll_fd, int *fd)
{
    close(*fd);
    poll_fd->fd = *fd = -1;
}

/* Write what it takes of the rest; close when all is written or it does not listen. */
static void feed(struct tq_child *child, struct pollfd *poll_fd, struct trq_str *rest)
{
    const ssize_t n = write(child->in, rest->data, rest->size);
    if (n >= 0) {
        rest->data += n;
        rest->size -= (size_t)n;
    }
    if (rest->size == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        stop_talking(poll_fd, &child->in);
}

/* Read once: how many bytes; 0 when there are none now, or none will come (then it is closed). */
static size_t hear(struct tq_child *child, struct pollfd *poll_fd, struct tq_capture *capture)
{
    char data[READ_SIZE];
    int *fd = poll_fd->fd == child->out ? &child->out : &child->err;
    const ssize_t n = read(*fd, data, sizeof data);
    if (n > 0 && fd == &child->out)
        tq_capture_output(capture, data, (size_t)n);
    else if (n > 0)
        tq_capture_errors(capture, data, (size_t)n);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        stop_talking(poll_fd, fd);
    return n > 0 ? (size_t)n : 0;
}

/* It has ended: take what is still in the pipe. */
static void hear_rest(struct tq_child *child, struct pollfd *poll_fd, struct tq_capture *capture)
{
    size_t heard = 0;
    while (poll_fd->fd >= 0 && heard < LEFT_IN_PIPE_MAX) {
        const size_t n = hear(child, poll_fd, capture);
        if (n == 0)
            return;
        heard += n;
    }
}

/* Until it has ended, or has closed all that we could talk through. All at once, or a program that prints
 * before it has read its input would wait for us while we wait for it. */
static void talk(struct tq_child *child, struct trq_str input, struct tq_capture *capture)
{
    struct pollfd fds[TALK_FDS] = {
        [IN] = {.fd = child->in, .events = POLLOUT},
        [OUT] = {.fd = child->out, .events = POLLIN},
        [ERR] = {.fd = child->err, .events = POLLIN},
        [ENDED] = {.fd = child->ended, .events = POLLIN},
    };
    while (fds[IN].fd >= 0 || fds[OUT].fd >= 0 || fds[ERR].fd >= 0) {
        if (poll(fds, TALK_FDS, -1) < 0)
            continue; /* EINTR, or no memory for the moment */
        if (fds[IN].revents)
            feed(child, &fds[IN], &input);
        if (fds[OUT].revents)
            hear(child, &fds[OUT], capture);
        if (fds[ERR].revents)
            hear(child, &fds[ERR], capture);
        if (fds[ENDED].revents) {
            hear_rest(child, &fds[OUT], capture);
            hear_rest(child, &fds[ERR], capture);
            return;
        }
    }
}

/* ---- the handler ------------------------------------------------------------------------------------ */

/* The directory and the program can both be what does not exist. */
static enum trq_end fail_start(struct trq_job *job, const struct program *program, int rc)
{
    if (program->directory) {
        const int fd = open(program->directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return trq_fail(job, "cannot enter directory %s: %s", program->directory,
                            strerrordesc_np(errno));
        close(fd);
    }
    if (rc == ENOENT && !strchr(program->argv[0], '/'))
        return trq_fail(job, "cannot run %s: no such program in PATH", program->argv[0]);
    return trq_fail(job, "cannot run %s: %s", program->argv[0], strerrordesc_np(rc));
}

static enum trq_end end_of(struct trq_job *job, int status, struct tq_capture *capture)
{
    const struct trq_str last = tq_capture_last_error(capture);
    const char *colon = last.size ? ": " : "";
    if (WIFSIGNALED(status))
        return trq_fail(job, "killed by signal %d (%s)%s%.*s", WTERMSIG(status),
                        sigdescr_np(WTERMSIG(status)), colon, (int)last.size, last.data);
    if (WEXITSTATUS(status) != 0)
        return trq_fail(job, "exit status %d%s%.*s", WEXITSTATUS(status), colon, (int)last.size,
                        last.data);
    if (capture->output.failed)
        return trq_fail(job, "out of memory for its output");
    return TRQ_DONE;
}

static bool is_shortage(int rc)
{
    return rc == EMFILE || rc == ENFILE || rc == EAGAIN;
}

/* Where descriptors or processes are few, more threads than they allow must not make jobs die: what the
 * others hold comes back as they end. Gives up when nothing runs that could give any back. */
static int start(struct tq_child *child, const struct program *program)
{
    const struct timespec pause = {.tv_nsec = 10 * 1000 * 1000};
    for (int tries = 0;; tries++) {
        const int rc = tq_child_start(child, program->argv, program->environment,
                                      program->directory, program->input.size > 0);
        if (!is_shortage(rc) || (tries >= START_TRIES && !tq_children_running()))
            return rc;
        nanosleep(&pause, NULL);
    }
}

static enum trq_end run_program(struct trq_job *job, const struct program *program)
{
    struct tq_capture *capture = tq_capture_begin(trq_job_self(job));
    struct tq_child child;
    const int rc = start(&child, program);
    if (rc)
        return fail_start(job, program, rc);
    talk(&child, program->input, capture);
    return end_of(job, tq_child_end(&child), capture);
}

static enum trq_end exec_perform(struct trq_job *job)
{
    struct program program;
    const char *fault = program_init(&program, exec_get(job));
    enum trq_end end;
    if (!fault)
        end = run_program(job, &program);
    else if (fault == out_of_memory)
        end = trq_fail(job, "%s", fault);
    else
        end = trq_discard(job, "%s", fault);
    program_fini(&program);
    return end;
}

const struct trq_worker tq_exec_worker = {TRQ_WORKER(exec, "Exec"), .retry = &trq_no_retry,
                                          .perform = exec_perform};
