/* What the other threads of this process have done so far, by the kernel's own account.
 *
 * A thread that sleeps in the kernel makes no system call until it has been woken. So if the time on a processor
 * (/proc/self/task/T/schedstat, in ns) and the context switches of all of them are what they were before, none of them has
 * made a system call. The thread that looks, the first, is left out. */
#ifndef BENCH_ACTIVITY_H
#define BENCH_ACTIVITY_H

struct activity {
    int threads;
    double switches;
    double cpu_ns;
};

struct activity activity_of_others(void);

#endif
