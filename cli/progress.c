#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/say.h"
#include "cli/summary.h"

enum { TICK_MS = 150, BAR_WIDTH = 24, TEXT_MAX = 240 };

int64_t tq_progress_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* A line as wide as the terminal would wrap, and a wrapped line cannot be drawn over. */
static size_t text_max(void)
{
    struct winsize window;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 1 &&
        window.ws_col <= TEXT_MAX)
        return window.ws_col - 1U;
    return TEXT_MAX - 1;
}

static int print_bar(char *text, size_t size, uint64_t ended, uint64_t total)
{
    const int full = total ? (int)((double)ended / (double)total * BAR_WIDTH) : BAR_WIDTH;
    char bar[BAR_WIDTH + 1];
    memset(bar, '#', sizeof bar);
    if (full < BAR_WIDTH)
        memset(bar + full, '-', (size_t)(BAR_WIDTH - full));
    bar[BAR_WIDTH] = '\0';
    return snprintf(text, size, "[%s] %llu/%llu", bar, (unsigned long long)ended,
                    (unsigned long long)total);
}

/* If there are any. Returns where the text, of TEXT_MAX bytes, ends then. */
static int add_count(char *text, int n, uint64_t count, const char *what)
{
    if (count > 0)
        n += snprintf(text + n, TEXT_MAX - (size_t)n, "  %llu %s", (unsigned long long)count, what);
    return n < TEXT_MAX ? n : TEXT_MAX - 1;
}

/* While the input goes on nobody knows the total: only counts and a rate. */
static void draw(struct tq_progress *progress)
{
    struct trq_worker_stats stats = {.size = sizeof stats};
    struct trq_engine_stats now = {.size = sizeof now};
    if (trq_stats_worker(progress->engine, NULL, &stats) < 0 ||
        trq_stats_engine(progress->engine, &now) < 0)
        return;
    const uint64_t ended = tq_ended(&stats);
    const double seconds = (double)(tq_progress_now_ns() - progress->begun_ns) / 1e9;
    char text[TEXT_MAX];
    int n;
    if (atomic_load(&progress->total_known))
        n = print_bar(text, sizeof text, ended, stats.enqueued);
    else
        n = snprintf(text, sizeof text, "%llu of %llu so far", (unsigned long long)ended,
                     (unsigned long long)stats.enqueued);
    n += snprintf(text + n, sizeof text - (size_t)n, "  %.0f/s",
                  seconds > 0 ? (double)ended / seconds : 0.0);
    n = add_count(text, n, now.scheduled, "scheduled");
    n = add_count(text, n, stats.retried, "retried");
    n = add_count(text, n, stats.expired, "expired");
    add_count(text, n, stats.dead + stats.discarded, "dead");
    text[text_max()] = '\0';
    tq_say_bar(text);
}

/* Sleep for one tick: false when it is time to end. */
static bool tick(struct tq_progress *progress)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += TICK_MS * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_nsec -= 1000000000L;
        until.tv_sec++;
    }
    pthread_mutex_lock(&progress->mutex);
    int rc = 0;
    while (!progress->ending && rc == 0)
        rc = pthread_cond_timedwait(&progress->wake, &progress->mutex, &until);
    const bool on = !progress->ending;
    pthread_mutex_unlock(&progress->mutex);
    return on;
}

static void *tick_on(void *argument)
{
    struct tq_progress *progress = argument;
    while (tick(progress)) {
        if (progress->bar)
            draw(progress);
        if (progress->output)
            tq_output_flush(progress->output);
    }
    return NULL;
}

bool tq_progress_start(struct tq_progress *progress)
{
    if (!progress->bar && !progress->output)
        return true;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&progress->wake, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&progress->mutex, NULL);
    progress->ending = false;
    const int rc = pthread_create(&progress->thread, NULL, tick_on, progress);
    if (rc)
        tq_say("tresque: cannot start a thread: %s", strerrordesc_np(rc));
    return rc == 0;
}

void tq_progress_end(struct tq_progress *progress)
{
    if (!progress->bar && !progress->output)
        return;
    pthread_mutex_lock(&progress->mutex);
    progress->ending = true;
    pthread_cond_signal(&progress->wake);
    pthread_mutex_unlock(&progress->mutex);
    pthread_join(progress->thread, NULL);
    if (progress->bar)
        draw(progress);
    tq_say_bar("");
    pthread_cond_destroy(&progress->wake);
    pthread_mutex_destroy(&progress->mutex);
}
