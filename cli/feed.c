#include "cli/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include <tresque/json.h>

#include "cli/fields.h"
#include "cli/idle.h"
#include "cli/jobline.h"
#include "cli/outcome.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/workers.h"

enum { WAIT_FOR_ROOM_MS = 100 };

/* One job's, from its line to its end; the engine carries it as the tag. */
struct record {
    struct tq_feed *feed;
    uint64_t line;
};

/* ---- a job has ended -------------------------------------------------------------------------------- */

static void on_end(void *host, const struct trq_event *event, const struct trq_error *error)
{
    (void)host;
    struct record *record = event->tag;
    struct tq_feed *feed = record->feed;
    if (tq_outcome_is_bad(event, error)) {
        char where[TQ_WHERE_SIZE];
        snprintf(where, sizeof where, "%s:%llu", feed->name, (unsigned long long)record->line);
        tq_outcome_say(where, event, error);
    }
    feed->left += event->outcome == TRQ_WAS_DROPPED;
    if (feed->output)
        tq_outcome_ended(feed->output, record->line, event, error);
    free(record);
}

/* ---- a line ----------------------------------------------------------------------------------------- */

static void reject(struct tq_feed *feed, const char *why)
{
    feed->rejected++;
    tq_say("%s:%llu: %s", feed->name, (unsigned long long)feed->lines.number, why);
}

static bool is_given(const struct trq_lock *lock)
{
    return lock->size != 0;
}

/* A run must end: nothing is tried again unless the line says so. Our own workers say that in their declaration, which
 * costs a job nothing. */
static const struct trq_retry *retry_of(const struct tq_jobline *jobline)
{
    if (jobline->limits.retry.size)
        return &jobline->limits.retry;
    return tq_workers_is_ours(jobline->worker) ? NULL : &trq_no_retry;
}

/* Waits for room as long as there may be some: a full engine that is idle holds only jobs of queues that are not
 * worked. The last code of trq_enqueue_json; out_id: the job, or the twin that the line met. */
static int enqueue(struct tq_feed *feed, const struct tq_jobline *jobline,
                   struct trq_job_id *out_id, struct trq_error *out_error)
{
    struct record *record = malloc(sizeof *record);
    if (!record)
        return TRQ_ENOMEM;
    *record = (struct record){feed, feed->lines.number};
    const struct tq_locks *locks = &jobline->locks;
    const struct trq_opts opts = {
        .size = sizeof opts,
        .queue = jobline->queue,
        .at = jobline->due.at,
        .in = jobline->due.in,
        .queue_lock = is_given(&locks->queue) ? &locks->queue : NULL,
        .worker_lock = is_given(&locks->worker) ? &locks->worker : NULL,
        .on_conflict = locks->on_conflict,
        .expires_in = jobline->limits.expires_in,
        .timeout = jobline->limits.timeout,
        .retry = retry_of(jobline),
        .on_end = on_end,
        .tag = record,
        .wait_for_room = trq_ms(WAIT_FOR_ROOM_MS),
        .error = out_error,
    };
    int rc;
    do
        rc = trq_enqueue_json(feed->engine, jobline->worker, trq_str_of(jobline->inputs_text),
                              &opts, out_id);
    while (rc == TRQ_ETIMEOUT && !tq_signals_seen() && !tq_idle(feed->engine));
    if (rc != TRQ_OK && rc != TRQ_REPLACED) /* there is no job whose end could free it */
        free(record);
    return rc;
}

/* TQ_FEED_ALL: go on. */
static enum tq_feed_end take_job(struct tq_feed *feed, const struct tq_jobline *jobline)
{
    const char *fault = tq_workers_fault(jobline->worker, jobline->inputs);
    if (fault) {
        char why[TQ_WHY_SIZE];
        snprintf(why, sizeof why, "%s: %s", jobline->worker, fault);
        reject(feed, why);
        return feed->strict ? TQ_FEED_STRICT : TQ_FEED_ALL;
    }
    struct trq_error error = {0};
    struct trq_job_id id;
    const int rc = enqueue(feed, jobline, &id, &error);
    if (feed->output && (rc == TRQ_DUPLICATE || rc == TRQ_DEBOUNCED))
        tq_outcome_twin(feed->output, feed->lines.number, jobline->worker, rc, id);
    if (rc >= 0)
        return TQ_FEED_ALL;
    if (rc == TRQ_ETIMEOUT && tq_signals_seen())
        return TQ_FEED_STOPPED;
    if (rc == TRQ_ETIMEOUT) {
        reject(feed, "no room: all jobs in memory wait in queues that are not worked; "
                     "raise --max-jobs, or work those queues");
        return TQ_FEED_FULL;
    }
    reject(feed, error.text[0] ? error.text : trq_code_text(rc));
    return feed->strict ? TQ_FEED_STRICT : TQ_FEED_ALL;
}

static enum tq_feed_end take_line(struct tq_feed *feed, struct trq_str line)
{
    char why[TQ_WHY_SIZE];
    struct tq_jobline jobline;
    if (tq_jobline_blank(line))
        return TQ_FEED_ALL;
    if (!tq_jobline_parse(line, &jobline, why)) {
        reject(feed, why);
        return feed->strict ? TQ_FEED_STRICT : TQ_FEED_ALL;
    }
    const enum tq_feed_end end = take_job(feed, &jobline);
    tq_jobline_fini(&jobline);
    return end;
}

static enum tq_feed_end refuse_long(struct tq_feed *feed)
{
    char why[TQ_WHY_SIZE];
    snprintf(why, sizeof why, "the line is longer than %d bytes", TQ_LINE_MAX);
    reject(feed, why);
    return feed->strict ? TQ_FEED_STRICT : TQ_FEED_ALL;
}

enum tq_feed_end tq_feed_run(struct tq_feed *feed)
{
    for (;;) {
        struct trq_str line;
        enum tq_feed_end end = TQ_FEED_ALL;
        switch (tq_lines_next(&feed->lines, &line)) {
        case TQ_LINE_TEXT:
            end = take_line(feed, line);
            break;
        case TQ_LINE_LONG:
            end = refuse_long(feed);
            break;
        case TQ_LINE_END:
            return TQ_FEED_ALL;
        case TQ_LINE_STOPPED:
            return TQ_FEED_STOPPED;
        case TQ_LINE_ERROR:
            tq_say("tresque: cannot read %s: %s", feed->name, strerrordesc_np(feed->lines.error));
            return TQ_FEED_ERROR;
        }
        if (end != TQ_FEED_ALL)
            return end;
        if (tq_signals_seen())
            return TQ_FEED_STOPPED;
    }
}
