#include "engine/base/cpus.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

int tq_cpus_of_quota(const char *cpu_max)
{
    long long quota, period;
    if (sscanf(cpu_max, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0)
        return 0;                              /* "max 100000", or nothing that we know */
    long long cpus = (quota - 1) / period + 1; /* rounded up */
    return cpus > 1 << 20 ? 0 : (int)cpus;
}

static int quota_in(const char *directory)
{
    char path[600], text[64];
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", directory);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int cpus = fgets(text, sizeof text, f) ? tq_cpus_of_quota(text) : 0;
    fclose(f);
    return cpus;
}

/* Version 2 of cgroups: the line "0::/path". In a container the path is often just "/". */
static int quota(void)
{
    char line[512];
    int cpus = 0;
    FILE *f = fopen("/proc/self/cgroup", "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        cpus = quota_in(strcmp(line + 3, "/") == 0 ? "" : line + 3);
    }
    fclose(f);
    return cpus;
}

int tq_cpus(void)
{
    cpu_set_t set;
    int cpus = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    int limit = quota();
    if (limit && limit < cpus)
        cpus = limit;
    return cpus > 0 ? cpus : 1;
}
