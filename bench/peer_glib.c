/* GLib's GThreadPool, with threads of its own (exclusive), as its manual shows it. */
#include <glib.h>

#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/work.h"

static void run(gpointer job, gpointer unused)
{
    (void)unused;
    work_job_run(job);
}

static void *start(const struct setup *setup)
{
    GThreadPool *pool = g_thread_pool_new(run, NULL, setup->workers, TRUE, NULL);
    if (!pool)
        bench_die("glib: cannot start");
    return pool;
}

static void submit(void *self, int producer, uint64_t first, uint64_t count)
{
    (void)producer;
    for (uint64_t i = first; i < first + count; i++)
        if (!g_thread_pool_push(self, work_job_new(work_input(i)), NULL))
            bench_die("glib: cannot push");
}

static void stop(void *self)
{
    g_thread_pool_free(self, FALSE, TRUE);
}

const struct peer peer_glib = {
    .name = "glib",
    .what = "GThreadPool of GLib " G_STRINGIFY(GLIB_MAJOR_VERSION) "." G_STRINGIFY(
        GLIB_MINOR_VERSION) "." G_STRINGIFY(GLIB_MICRO_VERSION),
    .can = PEER_WORKERS | PEER_SINGLE,
    .start = start,
    .submit = submit,
    .stop = stop,
};
