#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tresque.h>

#include "cli/capture.h"
#include "cli/feed.h"
#include "cli/help.h"
#include "cli/idle.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/recurring.h"
#include "cli/say.h"
#include "cli/schedule.h"
#include "cli/signals.h"
#include "cli/summary.h"
#include "cli/workers.h"

enum {
    SLICE_MS = 50, /* how often a wait for the engine looks for a signal */
    ALIVE_MS = 250 /* how often one between firings looks whether there will be more */
};

struct run {
    struct tq_options options;
    int input; /* -1: none */
    struct tq_schedule schedule;
    struct tq_recurring recurring;
    bool unread; /* a signal came before the end of the input */
    struct tq_output output;
    struct tq_workers workers;
    const char **queues; /* full names; or NULL */
    struct trq_engine *engine;
    struct tq_feed feed;
    struct tq_progress progress;
};

/* ---- the input -------------------------------------------------------------------------------------- */

/* A descriptor, or -1 after a message. Non-blocking, so that a pipe that nobody writes to yet holds up the
 * reader, who looks for signals, and not this call. */
static int open_input(const char *path)
{
    struct stat of_input;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    int error = errno;
    if (fd >= 0 && fstat(fd, &of_input) == 0 && S_ISDIR(of_input.st_mode)) {
        error = EISDIR;
        close(fd);
        fd = -1;
    }
    if (fd < 0)
        tq_say("tresque: cannot read %s: %s", path, strerrordesc_np(error));
    return fd;
}

/* ---- the engine ------------------------------------------------------------------------------------- */

static void thread_end(void *host, int index)
{
    (void)host;
    (void)index;
    tq_capture_forget();
}

static void log_text(void *host, enum trq_log_level level, const char *text)
{
    (void)host;
    if (level != TRQ_LOG_INFO)
        tq_say("tresque: %s", text);
}

static bool create_engine(struct run *run)
{
    const struct tq_options *options = &run->options;
    struct trq_config config = trq_config_init();
    struct trq_error error;
    config.threads = options->threads;
    config.jobs_max = options->jobs_max;
    config.sample_every = 1;         /* the times of each job are shown */
    config.dead_max = TRQ_DEAD_NONE; /* nobody could look at them: each is told as it dies */
    config.thread_end = thread_end;
    config.log = log_text;
    if (options->queues) {
        run->queues = tq_workers_queues(options);
        if (!run->queues) {
            tq_say("tresque: out of memory");
            return false;
        }
        config.queues = run->queues;
    }
    if (trq_engine_create(&config, &run->engine, &error) < 0) {
        tq_say("tresque: %s", error.text);
        return false;
    }
    return true;
}

static bool start_engine(struct run *run)
{
    struct trq_error error;
    if (!tq_workers_register(&run->workers, run->engine, &run->options))
        return false;
    run->recurring.engine = run->engine;
    run->recurring.schedule = &run->schedule;
    if (run->options.schedule && !tq_recurring_add(&run->recurring))
        return false;
    if (trq_engine_start(run->engine, &error) < 0) {
        tq_say("tresque: %s", error.text);
        return false;
    }
    return true;
}

/* Until all has ended, or a signal comes. An engine whose jobs are only scheduled is drained, and not idle. What a last
 * firing has made is in the engine by the time that no firing is left. */
static void drain(struct run *run)
{
    struct pollfd signal = {.fd = tq_signals_fd(), .events = POLLIN};
    while (!tq_signals_seen()) {
        const bool alive = run->options.schedule && tq_recurring_alive(&run->recurring);
        const int rc = trq_engine_drain(run->engine, trq_ms(SLICE_MS));
        if (rc == TRQ_ETIMEOUT)
            continue;
        if (rc < 0 || (!alive && tq_idle(run->engine)))
            return;
        poll(&signal, 1, alive ? ALIVE_MS : SLICE_MS);
    }
}

/* After a signal the first call only sees to it that no job is begun any more; then it can be told. */
static void stop(struct run *run)
{
    const int number = tq_signals_seen();
    if (number && trq_engine_stop(run->engine, trq_ns(0), NULL) == TRQ_ETIMEOUT)
        tq_say("tresque: SIG%s: finishing what runs; a second signal ends at once",
               sigabbrev_np(number));
    trq_engine_stop(run->engine, trq_forever(), NULL);
}

/* ---- the whole -------------------------------------------------------------------------------------- */

static bool shows_bar(enum tq_when when)
{
    return when == TQ_ALWAYS || (when == TQ_AUTO && isatty(STDERR_FILENO));
}

static void tell_left(uint64_t left, bool unread)
{
    const int number = tq_signals_seen();
    const char *jobs = left == 1 ? "job was" : "jobs were";
    if (number)
        tq_say("tresque: stopped by SIG%s: %llu %s left%s", sigabbrev_np(number),
               (unsigned long long)left, jobs,
               unread ? ", and the rest of the input was not read" : "");
    else if (left > 0)
        tq_say("tresque: %llu %s left: their queues are not worked", (unsigned long long)left,
               jobs);
}

/* A schedule alone has no end of its own: a signal is how it ends, and what it leaves is no loss. */
static bool is_stopped_well(const struct run *run)
{
    return run->options.schedule && !run->unread && run->feed.left == 0;
}

static bool all_well(const struct run *run, const struct tq_tally *tally)
{
    const struct trq_worker_stats *stats = &tally->stats;
    const uint64_t left = is_stopped_well(run) && tq_signals_seen() ? 0 : stats->dropped;
    return tally->rejected == 0 && stats->dead == 0 && stats->discarded == 0 &&
           stats->expired == 0 && stats->interrupted == 0 && left == 0;
}

/* The engine works: read, wait, stop, tell. */
static int work(struct run *run)
{
    struct tq_tally tally = {.stats = {.size = sizeof tally.stats}};
    const int64_t begun_ns = run->progress.begun_ns = tq_progress_now_ns();
    if (!tq_progress_start(&run->progress))
        return TQ_EXIT_BAD;
    const enum tq_feed_end end = run->input < 0 ? TQ_FEED_ALL : tq_feed_run(&run->feed);
    atomic_store(&run->progress.total_known, !run->options.schedule);
    drain(run);
    stop(run);
    tally.elapsed_ns = tq_progress_now_ns() - begun_ns;
    tq_progress_end(&run->progress);

    const int counted = trq_stats_worker(run->engine, NULL, &tally.stats);
    if (counted < 0)
        tq_say("tresque: no counts: %s", trq_code_text(counted));
    tally.rejected = run->feed.rejected;
    run->unread = end == TQ_FEED_STOPPED;
    tell_left(tally.stats.dropped, run->unread);
    /* The lines of --output come first, so that the summary is the last line where both go to one place. */
    if (run->feed.output)
        tq_output_flush(run->feed.output);
    tq_summary_end(run->options.summary, &tally);
    const bool good = end == TQ_FEED_ALL && counted >= 0 && all_well(run, &tally);
    return good ? TQ_EXIT_GOOD : TQ_EXIT_BAD;
}

static int with_engine(struct run *run)
{
    int status = TQ_EXIT_USAGE;
    if (!create_engine(run))
        goto drop;
    if (!start_engine(run))
        goto destroy;
    run->feed.engine = run->engine;
    run->progress.engine = run->engine;
    tq_summary_begin(run->options.summary, run->engine);
    status = work(run);
destroy:
    trq_engine_destroy(run->engine);
    tq_recurring_fini(&run->recurring);
    tq_workers_fini(&run->workers);
drop:
    free(run->queues);
    return status;
}

static int with_output(struct run *run)
{
    const char *path = run->options.output;
    if (!path)
        return with_engine(run);
    if (!tq_output_open(&run->output, path, run->input, run->schedule.fd))
        return TQ_EXIT_USAGE;
    run->feed.output = run->progress.output = run->recurring.output = &run->output;
    const int status = with_engine(run);
    return tq_output_close(&run->output) || status ? status : TQ_EXIT_BAD;
}

static int with_input(struct run *run)
{
    run->progress.bar = shows_bar(run->options.progress);
    run->input = -1;
    if (!run->options.input)
        return with_output(run);
    const bool is_stdin = strcmp(run->options.input, "-") == 0;
    const int input = is_stdin ? STDIN_FILENO : open_input(run->options.input);
    if (input < 0)
        return TQ_EXIT_USAGE;
    if (is_stdin && isatty(input))
        tq_say("tresque: reading jobs from the terminal, one JSON object a line; ^D ends");
    run->input = input;
    tq_lines_init(&run->feed.lines, input, tq_signals_fd());
    run->feed.name = run->options.input;
    run->feed.strict = run->options.strict;
    const int status = with_output(run);
    tq_lines_fini(&run->feed.lines);
    if (!is_stdin)
        close(input);
    return status;
}

static int with_signals(struct run *run)
{
    if (!tq_signals_start())
        return TQ_EXIT_BAD;
    int status = with_input(run);
    if (!tq_summary_flush() && status == TQ_EXIT_GOOD)
        status = TQ_EXIT_BAD;
    if (tq_signals_seen() && !is_stopped_well(run))
        status = 128 + tq_signals_seen();
    tq_signals_end();
    return status;
}

int tq_run(int argc, char **argv)
{
    struct run run = {.schedule.fd = -1};
    if (!tq_options_parse(&run.options, argc, argv))
        return TQ_EXIT_USAGE;
    int status = TQ_EXIT_USAGE;
    const char *schedule = run.options.schedule;
    if (run.options.help)
        status = tq_help();
    else if (!schedule || tq_schedule_load(&run.schedule, schedule))
        status = with_signals(&run);
    tq_schedule_fini(&run.schedule);
    tq_options_fini(&run.options);
    return status;
}
