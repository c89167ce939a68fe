#include "cli/summary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/say.h"

/* ---- text ------------------------------------------------------------------------------------------- */

static void print_count(const char *name, uint64_t count, bool always)
{
    if (always || count > 0)
        printf("%-10s %12llu\n", name, (unsigned long long)count);
}

/* Three digits and a unit, right-aligned in 12 characters. */
static void print_span(struct trq_span span)
{
    static const struct {
        double ns;
        const char *unit;
    } units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}, {1, "ns"}};
    const double ns = (double)span.ns;
    size_t u = 0;
    while (u < 3 && ns < units[u].ns)
        u++;
    const double value = ns / units[u].ns;
    const int digits = u == 3 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
    printf("%*.*f %s", u == 0 ? 10 : 9, digits, value, units[u].unit);
}

static void print_spans(const char *name, const struct trq_summary *summary)
{
    printf("%-4s", name);
    print_span(summary->p50);
    print_span(summary->p99);
    print_span(summary->p999);
    print_span(summary->max);
    printf("\n");
}

uint64_t tq_ended(const struct trq_worker_stats *stats)
{
    return stats->done + stats->skipped + stats->discarded + stats->dead + stats->cancelled +
           stats->replaced + stats->merged + stats->expired;
}

/* The engine counts every call that met a twin; here each has one word, as in --output. */
static uint64_t duplicate(const struct trq_worker_stats *stats)
{
    return stats->duplicates - stats->debounced;
}

static double seconds(const struct tq_tally *tally)
{
    return (double)tally->elapsed_ns / 1e9;
}

static double jobs_per_s(const struct tq_tally *tally)
{
    return tally->elapsed_ns > 0 ? (double)tq_ended(&tally->stats) / seconds(tally) : 0;
}

static void print_text(const struct tq_tally *tally)
{
    const struct trq_worker_stats *stats = &tally->stats;
    print_count("enqueued", stats->enqueued, true);
    print_count("done", stats->done, true);
    print_count("skipped", stats->skipped, false);
    print_count("discarded", stats->discarded, false);
    print_count("dead", stats->dead, false);
    print_count("expired", stats->expired, false);
    print_count("retried", stats->retried, false);
    print_count("cancelled", stats->cancelled, false);
    print_count("replaced", stats->replaced, false);
    print_count("merged", stats->merged, false);
    print_count("left", stats->dropped, false);
    print_count("duplicate", duplicate(stats), false);
    print_count("debounced", stats->debounced, false);
    print_count("rejected", tally->rejected, false);
    printf("%-10s %12.3f s, %.1f jobs/s\n", "elapsed", seconds(tally), jobs_per_s(tally));
    if (tq_ended(stats) > 0) {
        printf("%-4s%12s%12s%12s%12s\n", "", "p50", "p99", "p99.9", "max");
        print_spans("wait", &stats->wait);
        print_spans("run", &stats->run);
    }
}

/* ---- JSON ------------------------------------------------------------------------------------------- */

static void print_json_count(const char *name, uint64_t count)
{
    printf("\"%s\":%llu,", name, (unsigned long long)count);
}

static void print_json_spans(const char *name, const struct trq_summary *summary, const char *after)
{
    printf("\"%s\":{\"p50\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}%s", name,
           (double)summary->p50.ns / 1e3, (double)summary->p99.ns / 1e3,
           (double)summary->p999.ns / 1e3, (double)summary->max.ns / 1e3, after);
}

/* The keys are fixed. */
static void print_json(const struct tq_tally *tally)
{
    const struct trq_worker_stats *stats = &tally->stats;
    printf("{");
    print_json_count("enqueued", stats->enqueued);
    print_json_count("duplicate", duplicate(stats));
    print_json_count("debounced", stats->debounced);
    print_json_count("done", stats->done);
    print_json_count("skipped", stats->skipped);
    print_json_count("failed", stats->failed);
    print_json_count("retried", stats->retried);
    print_json_count("dead", stats->dead);
    print_json_count("discarded", stats->discarded);
    print_json_count("expired", stats->expired);
    print_json_count("cancelled", stats->cancelled);
    print_json_count("replaced", stats->replaced);
    print_json_count("merged", stats->merged);
    print_json_count("dropped", stats->dropped);
    print_json_count("rejected", tally->rejected);
    printf("\"elapsed_s\":%.6f,\"jobs_per_s\":%.1f,", seconds(tally), jobs_per_s(tally));
    print_json_spans("wait_us", &stats->wait, ",");
    print_json_spans("run_us", &stats->run, "}\n");
}

/* ---- both ------------------------------------------------------------------------------------------- */

void tq_summary_begin(enum tq_summary_form form, struct trq_engine *engine)
{
    if (form != TQ_SUMMARY_TEXT)
        return;
    const size_t size = trq_queues_text(engine, NULL, 0) + 1;
    char *text = malloc(size);
    if (!text)
        return;
    trq_queues_text(engine, text, size);
    printf("TResque: %s\n", text);
    fflush(stdout);
    free(text);
}

void tq_summary_end(enum tq_summary_form form, const struct tq_tally *tally)
{
    if (form == TQ_SUMMARY_TEXT)
        print_text(tally);
    else if (form == TQ_SUMMARY_JSON)
        print_json(tally);
}

bool tq_summary_flush(void)
{
    if (fflush(stdout) != 0)
        tq_say("tresque: cannot write standard output: %s", strerrordesc_np(errno));
    else if (ferror(stdout)) /* an earlier write failed, and its reason is gone */
        tq_say("tresque: cannot write standard output");
    else
        return true;
    return false;
}
