#include "cli/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/capture.h"
#include "cli/child.h"
#include "cli/talk.h"
#include "cli/watch.h"
#include "cli/workers.h"

#define EXEC_INPUTS(F, W)                                                                          \
    F(W, json, argv, TRQ_REQUIRED, NULL)                                                           \
    F(W, str, cwd, TRQ_OPTIONAL, NULL)                                                             \
    F(W, json, env, TRQ_OPTIONAL, NULL)                                                            \
    F(W, str, stdin, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(exec, EXEC_INPUTS);

enum { START_TRIES = 100 };

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

/* It was told to end: how it did is no matter. */
static enum trq_end end_of_stopped(const struct tq_watch *watch, const struct tq_told *told,
                                   struct trq_str last)
{
    char more[64 + TQ_CAPTURE_LINE_MAX];
    snprintf(more, sizeof more, "%s%s%.*s", told->killed ? ", and SIGTERM did not end it" : "",
             last.size ? ": " : "", (int)last.size, last.data);
    return tq_watch_fail(watch, told->stop, more);
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
    const struct tq_watch watch = tq_watch_start(job);
    struct tq_capture *capture = tq_capture_begin(trq_job_self(job));
    struct tq_child child;
    const int rc = start(&child, program);
    if (rc)
        return fail_start(job, program, rc);
    const struct tq_told told = tq_talk(&child, program->input, &watch, capture);
    const int status = tq_child_end(&child);
    if (told.stop)
        return end_of_stopped(&watch, &told, tq_capture_last_error(capture));
    return end_of(job, status, capture);
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
