#include "bench/activity.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/measure.h"

static void add_switches(const char *task, struct activity *a)
{
    char path[300], line[128];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", task);
    FILE *f = fopen(path, "r");
    if (!f)
        return;
    while (fgets(line, sizeof line, f)) {
        const char *count = strstr(line, "_ctxt_switches:");
        if (count)
            a->switches += strtod(count + strlen("_ctxt_switches:"), NULL);
    }
    fclose(f);
}

static void add_cpu(const char *task, struct activity *a)
{
    char path[300];
    double ns = 0;
    snprintf(path, sizeof path, "/proc/self/task/%s/schedstat", task);
    FILE *f = fopen(path, "r");
    if (f && fscanf(f, "%lf", &ns) == 1)
        a->cpu_ns += ns;
    if (f)
        fclose(f);
}

struct activity activity_of_others(void)
{
    struct activity a = {0};
    DIR *tasks = opendir("/proc/self/task");
    if (!tasks)
        bench_die("cannot read /proc/self/task");
    for (struct dirent *e; (e = readdir(tasks));) {
        if (e->d_name[0] == '.' || atoi(e->d_name) == getpid())
            continue;
        a.threads++;
        add_switches(e->d_name, &a);
        add_cpu(e->d_name, &a);
    }
    closedir(tasks);
    return a;
}
