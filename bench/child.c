#include "bench/child.h"

#include <dlfcn.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/measure.h"
#include "bench/peer.h"

static const struct {
    const char *name;
    void (*run)(const struct child_task *task);
} tasks[] = {
    {"alloc", child_alloc},
    {"idle", child_idle},
    {"new_engine", child_new_engine},
    {"waiting", child_waiting},
    {"timers_pending", child_timers_pending},
    {"timers_ready", child_timers_ready},
    {"locks_waiting", child_locks_waiting},
    {"recurring", child_recurring},
};

/* ---- the child --------------------------------------------------------------------------------------- */

void child_says(double value)
{
    printf("%.17g\n", value);
    fflush(stdout);
}

int64_t child_malloc_calls(void)
{
    /* Of the library that is loaded before all others, and only there. */
    int64_t (*calls)(void);
    *(void **)&calls = dlsym(RTLD_DEFAULT, "tresque_bench_malloc_calls");
    return calls ? calls() : -1;
}

int child_main(int argc, char **argv)
{
    if (argc != 6)
        return 2;
    struct child_task task = {.name = argv[2]};
    for (size_t i = 0; peers[i]; i++)
        if (strcmp(peers[i]->name, argv[3]) == 0)
            task.peer = peers[i];
    task.jobs = strtoull(argv[4], NULL, 10);
    task.ms = strtoull(argv[5], NULL, 10);
    for (size_t i = 0; i < sizeof tasks / sizeof tasks[0]; i++)
        if (strcmp(tasks[i].name, task.name) == 0 && task.peer) {
            tasks[i].run(&task);
            return 0;
        }
    return 2;
}

/* ---- the parent -------------------------------------------------------------------------------------- */

/* The library that counts lies beside the program. */
static void preload(const char *program)
{
    char path[4200];
    const char *slash = strrchr(program, '/');
    snprintf(path, sizeof path, "%.*s/" BENCH_MALLOC_LIBRARY, (int)(slash - program), program);
    if (BENCH_MALLOC_LIBRARY[0] && access(path, R_OK) == 0)
        setenv("LD_PRELOAD", path, 1);
}

static pid_t start(const struct child_task *task, FILE **out_stream)
{
    char program[4096] = "", jobs[24], ms[24];
    if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
        bench_die("cannot find myself");
    snprintf(jobs, sizeof jobs, "%llu", (unsigned long long)task->jobs);
    snprintf(ms, sizeof ms, "%llu", (unsigned long long)task->ms);
    char name[32], peer[32], option[] = CHILD_OPTION;
    snprintf(name, sizeof name, "%s", task->name);
    snprintf(peer, sizeof peer, "%s", task->peer->name);
    char *args[] = {program, option, name, peer, jobs, ms, NULL};

    int ends[2];
    pid_t pid;
    posix_spawn_file_actions_t actions;
    if (pipe(ends) != 0 || posix_spawn_file_actions_init(&actions) != 0)
        bench_die("cannot make a pipe");
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    posix_spawn_file_actions_addclose(&actions, ends[1]);
    if (task->count_malloc)
        preload(program);
    if (posix_spawn(&pid, program, &actions, NULL, args, environ) != 0)
        bench_die("cannot run %s", program);
    unsetenv("LD_PRELOAD");
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    *out_stream = fdopen(ends[0], "r");
    if (!*out_stream)
        bench_die("out of memory");
    return pid;
}

bool child_run(const struct child_task *task, struct child_figures *out)
{
    FILE *stream;
    int status = -1;
    *out = (struct child_figures){0};
    pid_t pid = start(task, &stream);
    while (out->count < CHILD_FIGURES_MAX && fscanf(stream, "%lf", &out->values[out->count]) == 1)
        out->count++;
    fclose(stream);
    waitpid(pid, &status, 0);
    if (status == 0)
        return true;
    fprintf(stderr, "tresque-bench: the process for %s of %s failed (status 0x%x)\n", task->name,
            task->peer->name, (unsigned)status);
    return false;
}
