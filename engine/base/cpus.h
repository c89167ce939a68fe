/* How many processors this process may keep busy. */
#ifndef TQ_BASE_CPUS_H
#define TQ_BASE_CPUS_H

/* The least of affinity and cgroup quota (rounded up); at least 1. */
int tq_cpus(void);
/* From the text of a cgroup's cpu.max: "150000 100000" is 2; 0: no bound. */
int tq_cpus_of_quota(const char *cpu_max);

#endif
