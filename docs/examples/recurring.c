/* Recurring jobs: a report in the night, by a cron expression in a time zone, and a look at the queue every so often. On a
 * clock of its own, so that the weekend passes at once; a program that serves calls trq_recur in the same way, before or
 * after trq_engine_start, and has threads that run the jobs. */
#include <stdio.h>
#include <time.h>
#include <tresque.h>
#include <tresque/test.h>

/* ---- the workers ----------------------------------------------------------------------------------------- */

#define REPORT_INPUTS(F, W)                                                                        \
    F(W, str, office, TRQ_REQUIRED, NULL)                                                          \
    F(W, i64, night, TRQ_REQUIRED, 0)
TRQ_INPUTS(report, REPORT_INPUTS);

static const char *in_utc(int64_t seconds)
{
    static char text[40];
    const time_t t = (time_t)seconds;
    struct tm tm;
    strftime(text, sizeof text, "%a %d %b %H:%M UTC", gmtime_r(&t, &tm));
    return text;
}

/* Which night it is for stands in the inputs, and does not change if the job runs late, or again. */
static enum trq_end report_perform(struct trq_job *job)
{
    const struct report_in *in = report_get(job);
    printf("report of %.*s for %s\n", TRQ_STR_ARG(in->office), in_utc(in->night));
    return TRQ_DONE;
}
const struct trq_worker report = {TRQ_WORKER(report, "ReportWorker"), .perform = report_perform};

static int looks;
static enum trq_end look_perform(struct trq_job *job)
{
    (void)job;
    looks++;
    return TRQ_DONE;
}
static const struct trq_worker look = {
    .size = sizeof look, .name = "LookWorker", .perform = look_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "office", .workers = TRQ_WORKERS(&report, &look)};

/* ---- the schedule ---------------------------------------------------------------------------------------- */

static void say(struct trq_engine *engine, const char *when)
{
    struct trq_recurrence all[10];
    const long count = trq_recur_list(engine, NULL, all, 10);
    printf("%s\n", when);
    for (long i = 0; i < count; i++)
        printf("  %-9s fired %d, missed %d, next %s\n", all[i].name, (int)all[i].fired,
               (int)all[i].missed, in_utc(all[i].next.ns / 1000000000));
}

int main(void)
{
    static const struct trq_app *const apps[] = {&app, NULL};
    const struct trq_wall friday = trq_wall_seconds(1774569600); /* 2026-03-27 00:00 UTC */
    struct trq_engine *engine;
    struct trq_error error;
    if (trq_test_engine(NULL, friday, apps, &engine, &error) < 0)
        goto bad;

    /* What is wrong is told here, not in the night. */
    if (trq_recur(engine, TRQ_RECURRING(.name = "oops", .worker = &look, .cron = "0 25 * * *"),
                  &error) < 0)
        printf("%s\n", error.text);

    /* Its program was down since Wednesday: one report makes up for what was missed. */
    if (trq_recur(engine,
                  TRQ_RECURRING(.name = "report", .worker = &report, .cron = "30 2 * * *",
                                .zone = "Europe/Berlin", .time_input = "night",
                                .inputs = TRQ_DICT(TRQ_KV("office", "Berlin")),
                                .since = trq_wall_seconds(1774569600 - 47 * 3600)),
                  &error) < 0)
        goto bad;
    if (trq_recur(engine,
                  TRQ_RECURRING(.name = "look", .worker = &look, .every = trq_minutes(10),
                                .no_overlap = true),
                  &error) < 0)
        goto bad;

    say(engine, "on Friday:");
    /* On Sunday the clock goes from 2:00 to 3:00: there is no half past two, and yet a report. */
    trq_test_advance(engine, trq_hours(3 * 24));
    say(engine, "on Monday:");
    printf("%d looks\n", looks);

    trq_recur_remove(engine, "look");
    trq_test_advance(engine, trq_hours(1));
    printf("%d looks\n", looks);
    trq_engine_destroy(engine);
    return 0;
bad:
    fprintf(stderr, "%s\n", error.text);
    return 1;
}
