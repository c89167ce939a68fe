/* Rule 3.5: recurring jobs. */
#include "scene.h"

#define S INT64_C(1000000000)
#define MINUTE (60 * S)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static const struct trq_lock on_key = {.size = sizeof on_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_lock newest = {
    .size = sizeof newest, .all = true, .on_conflict = TRQ_REPLACE};
static enum trq_end no_key(struct trq_job *job, struct trq_key *key)
{
    (void)key;
    return trq_fail(job, "no such account");
}
static const struct trq_lock refuses = {.size = sizeof refuses, .key = no_key};

static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_worker unique = {SCENE_WORKER("Unique"), .queue_lock = &on_key};
static const struct trq_worker replaces = {SCENE_WORKER("Replaces"), .queue_lock = &newest};
static const struct trq_worker refused = {SCENE_WORKER("Refused"), .queue_lock = &refuses};
static const struct trq_retry later = {.size = sizeof later, .constant = {12000000000}};
static const struct trq_worker retries = {.size = sizeof retries,
                                          .name = "Retries",
                                          .inputs = &scene_worker_inputs,
                                          .retry = &later,
                                          .perform = scene_perform};
static const struct trq_worker stranger = {SCENE_WORKER("Stranger")};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &unique, &replaces, &refused, &retries),
};

static void open_at(int64_t seconds)
{
    const struct trq_app *const apps[] = {&app, NULL};
    int rc = trq_test_engine(NULL, trq_wall_seconds(seconds), apps, &engine, &error);
    cr_assert_eq(rc, TRQ_OK, "%s", error.text);
}
/* 2026-01-01 00:00:00 UTC */
enum { NEW_YEAR = 1767225600 };
static void open_engine(void)
{
    open_at(NEW_YEAR);
}

static int64_t now(void)
{
    return trq_now(engine).ns;
}
static void advance(int64_t ns)
{
    cr_assert_geq(trq_test_advance(engine, trq_ns(ns)), 0);
}
static void set_wall(int64_t ns)
{
    cr_assert_eq(trq_test_set_wall(engine, (struct trq_wall){ns}), TRQ_OK);
}

static void recur(const struct trq_recurring *recurring)
{
    int rc = trq_recur(engine, recurring, &error);
    cr_assert_eq(rc, TRQ_OK, "%s %s", trq_code_name(rc), error.text);
}
#define RECUR(name_, ...) recur(TRQ_RECURRING(.name = (name_), .worker = &plain, __VA_ARGS__))

static struct trq_recurrence look(const char *name)
{
    static struct trq_recurrence all[300];
    long n = trq_recur_list(engine, NULL, all, 300);
    for (long i = 0; i < n; i++)
        if (strcmp(all[i].name, name) == 0)
            return all[i];
    cr_assert(false, "no %s", name);
    return all[0];
}

static void close_engine(void)
{
    scene_close();
}

/* Each run leaves the time of its firing, which is its n. */
#define AT .time_input = "n"

/* ---- cron -------------------------------------------------------------------------------------------------------------- */

Test(recur, a_year_of_two_in_the_morning_where_the_clock_is_changed)
{
    open_engine();
    RECUR("nightly", .cron = "0 2 * * *", .zone = "Europe/Berlin", AT);
    advance(365 * DAY);
    cr_assert_eq(scene.runs, 365);
    for (int i = 1; i < 365; i++) {
        const int64_t hours = (scene.ran[i] - scene.ran[i - 1]) / 3600;
        /* On the 29th of March 2:00 is skipped: it is 3:00 at once. On the 25th of October there are two. */
        const int64_t wanted = i == 87 ? 24 : i == 88 ? 23 : i == 297 ? 24 : i == 298 ? 25 : 24;
        cr_assert_eq(hours, wanted, "firing %d after %d hours", i, (int)hours);
    }
    const struct trq_recurrence r = look("nightly");
    cr_assert_eq(r.fired, 365);
    cr_assert_eq(r.missed + r.skipped + r.delayed + r.refused, 0);
    cr_assert_eq(r.last.ns, scene.ran[364] * S);
    cr_assert_str_eq(r.worker, "Plain");
    close_engine();
}

static int64_t ran_at[64];
static enum trq_end note_time(struct trq_job *job)
{
    (void)job;
    if (scene.runs <= 64)
        ran_at[scene.runs - 1] = now();
    return TRQ_DONE;
}

Test(recur, each_firing_is_at_its_very_time, .init = open_engine, .fini = close_engine)
{
    scene.during = note_time;
    RECUR("seconds", .cron = "*/20 * * * * *");
    advance(MINUTE - 1);
    cr_assert_eq(scene.runs, 2);
    advance(1);
    cr_assert_eq(scene.runs, 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(ran_at[i], (NEW_YEAR + 20 * (i + 1)) * S);
}

Test(recur, nothing_fires_before_the_start_or_after_the_end, .init = open_engine,
     .fini = close_engine)
{
    RECUR("some", .cron = "0 * * * *", .start = trq_wall_seconds(NEW_YEAR + 7200),
          .end = trq_wall_seconds(NEW_YEAR + 4 * 3600), AT);
    RECUR("none", .cron = "0 2 1 1 *", .start = trq_wall_seconds(NEW_YEAR + 7201),
          .end = trq_wall_seconds(NEW_YEAR + 7202));
    RECUR("every", .every = trq_minutes(90), .start = trq_wall_seconds(NEW_YEAR + 600),
          .end = trq_wall_seconds(NEW_YEAR + 600 + 3 * 5400 - 1));
    cr_assert_eq(look("some").next.ns, (NEW_YEAR + 7200) * S, "the start itself");
    cr_assert_eq(look("none").next.ns, 0);
    cr_assert_eq(look("every").next.ns, (NEW_YEAR + 600) * S);
    advance(2 * DAY);
    cr_assert_eq(look("some").fired, 3);
    cr_assert_eq(look("some").last.ns, (NEW_YEAR + 4 * 3600) * S, "the end itself");
    cr_assert_eq(look("some").next.ns, 0, "never again");
    cr_assert_eq(look("none").fired, 0);
    cr_assert_eq(look("every").fired, 3);
    cr_assert_eq(look("every").next.ns, 0);
    struct trq_wall next;
    cr_assert_eq(trq_recur_next(engine, "some", &next, 1), 0);
}

/* ---- every --------------------------------------------------------------------------------------------------------------- */

Test(recur, every_counts_elapsed_time, .init = open_engine, .fini = close_engine)
{
    RECUR("ten", .every = trq_seconds(10));
    advance(9 * S);
    cr_assert_eq(scene.runs, 0);
    set_wall(now() + DAY); /* that is no elapsed time */
    advance(S - 1);
    cr_assert_eq(scene.runs, 0);
    advance(1);
    cr_assert_eq(scene.runs, 1);
    set_wall(now() - 20 * DAY);
    advance(50 * S);
    cr_assert_eq(scene.runs, 6);
    cr_assert_eq(look("ten").missed, 0);
    cr_assert_eq(look("ten").next.ns, now() + 10 * S);
    cr_assert_eq(look("ten").last.ns, now(), "as the wall clock stands");
}

Test(recur, every_begins_at_its_start_and_keeps_in_step_with_it, .init = open_engine,
     .fini = close_engine)
{
    RECUR("later", .every = trq_hours(1), .start = trq_wall_seconds(NEW_YEAR + 60));
    RECUR("before", .every = trq_hours(1), .start = trq_wall_seconds(NEW_YEAR - 1800 - 36000));
    RECUR("plain", .every = trq_hours(1));
    cr_assert_eq(look("later").next.ns, (NEW_YEAR + 60) * S);
    cr_assert_eq(look("before").next.ns, (NEW_YEAR + 1800) * S);
    cr_assert_eq(look("plain").next.ns, (NEW_YEAR + 3600) * S);
    advance(HOUR);
    cr_assert_eq(scene.runs, 3);
    cr_assert_eq(look("later").next.ns, (NEW_YEAR + 3660) * S);
}

/* ---- add, change, remove --------------------------------------------------------------------------------------------------- */

Test(recur, a_change_of_what_is_made_leaves_the_times_alone, .init = open_engine,
     .fini = close_engine)
{
    RECUR("x", .every = trq_seconds(10), .inputs = TRQ_DICT(TRQ_KV("n", 1)));
    advance(15 * S);
    RECUR("x", .every = trq_seconds(10), .inputs = TRQ_DICT(TRQ_KV("n", 2)),
          .since = trq_wall_seconds(5));
    cr_assert_eq(look("x").next.ns, (NEW_YEAR + 20) * S);
    advance(5 * S);
    SCENE_RAN("1 2");
    RECUR("x", .every = trq_seconds(30), .inputs = TRQ_DICT(TRQ_KV("n", 3)));
    advance(29 * S);
    SCENE_RAN("1 2");
    advance(S);
    SCENE_RAN("1 2 3");
    /* From elapsed time to the wall clock, and back. */
    RECUR("x", .cron = "0 * * * *", .inputs = TRQ_DICT(TRQ_KV("n", 4)));
    advance(HOUR - 50 * S);
    SCENE_RAN("1 2 3 4");
    RECUR("x", .every = trq_seconds(30), .inputs = TRQ_DICT(TRQ_KV("n", 5)));
    advance(30 * S);
    SCENE_RAN("1 2 3 4 5");
    cr_assert_eq(look("x").fired, 5, "the counts go on");
    cr_assert_eq(scene_stats().recurring, 1);
}

Test(recur, removed_it_fires_no_more, .init = open_engine, .fini = close_engine)
{
    RECUR("a", .every = trq_seconds(10), .inputs = TRQ_DICT(TRQ_KV("n", 1)));
    RECUR("b", .every = trq_seconds(10), .inputs = TRQ_DICT(TRQ_KV("n", 2)));
    cr_assert_eq(scene_stats().recurring, 2);
    advance(10 * S);
    cr_assert_eq(trq_recur_remove(engine, "a"), TRQ_OK);
    cr_assert_eq(trq_recur_remove(engine, "a"), TRQ_GONE);
    /* Another one in its place is not fired by its timer. */
    RECUR("c", .every = trq_seconds(25), .inputs = TRQ_DICT(TRQ_KV("n", 3)));
    advance(20 * S);
    SCENE_RAN("1 2 2 2");
    advance(5 * S);
    SCENE_RAN("1 2 2 2 3");
}

static enum trq_end changes_itself(struct trq_job *job)
{
    switch (trq_job_get_i64(job, "n")) {
    case 1:
        RECUR("x", .every = trq_seconds(5), .inputs = TRQ_DICT(TRQ_KV("n", 2)));
        break;
    case 2:
        cr_assert_eq(trq_recur_remove(engine, "x"), TRQ_OK);
        RECUR("y", .every = trq_seconds(7), .inputs = TRQ_DICT(TRQ_KV("n", 3)));
        break;
    case 3:
        cr_assert_eq(trq_recur_remove(engine, "y"), TRQ_OK);
    }
    return TRQ_DONE;
}

Test(recur, a_handler_may_change_and_remove_what_made_it, .init = open_engine, .fini = close_engine)
{
    scene.during = changes_itself;
    RECUR("x", .every = trq_seconds(10), .inputs = TRQ_DICT(TRQ_KV("n", 1)));
    advance(14 * S);
    SCENE_RAN("1");
    advance(S + 7 * S);
    SCENE_RAN("1 2 3");
    advance(DAY);
    SCENE_RAN("1 2 3");
    cr_assert_eq(scene_stats().recurring, 0);
}

static int told;
static void removes_it(void *host, const struct trq_event *event, const struct trq_error *why)
{
    (void)host;
    (void)why;
    cr_assert_eq((int)event->outcome, TRQ_WAS_REPLACED);
    if (told++ == 0)
        cr_assert_eq(trq_recur_remove(engine, "x"), TRQ_OK);
    else
        recur(TRQ_RECURRING(.name = "x", .worker = &replaces, .every = trq_seconds(3)));
}

/* The on_end of a job that its firing replaces is called in the middle of that. */
Test(recur, it_may_be_removed_or_changed_while_it_fires, .init = open_engine, .fini = close_engine)
{
    const struct trq_opts opts = {.size = sizeof opts, .on_end = removes_it};
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    scene_put(&replaces, 0, NULL, NULL, &opts);
    recur(TRQ_RECURRING(.name = "x", .worker = &replaces, .every = trq_seconds(10)));
    advance(10 * S);
    cr_assert_eq(told, 1);
    cr_assert_eq(scene_stats().recurring, 0);
    cr_assert_eq(scene_stats().jobs, 1, "the firing has made its job");
    /* It has no on_end, so another one for it to replace. */
    cr_assert_eq(trq_cancel_matching(engine, &replaces, TRQ_DICT_NONE), 0);
    cr_assert_eq(scene_try(&replaces, 0, NULL, NULL, &opts, NULL), TRQ_REPLACED);
    recur(TRQ_RECURRING(.name = "x", .worker = &replaces, .every = trq_seconds(10)));
    advance(10 * S);
    cr_assert_eq(told, 2);
    cr_assert_eq(look("x").fired, 1);
    cr_assert_eq(look("x").next.ns, now() + 3 * S, "the new times count");
    cr_assert_eq(trq_recur_remove(engine, "x"), TRQ_OK);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    advance(S);
}

/* ---- jitter ------------------------------------------------------------------------------------------------------------------ */

Test(recur, jitter_depends_on_the_name_alone, .init = open_engine, .fini = close_engine)
{
    int64_t first = -1;
    int others = 0;
    for (int i = 0; i < 20; i++) {
        char name[20];
        struct trq_wall next[3];
        snprintf(name, sizeof name, "job %d", i);
        RECUR(name, .cron = "*/10 * * * *", .jitter = trq_minutes(9));
        cr_assert_eq(trq_recur_next(engine, name, next, 3), 3);
        const int64_t late = next[0].ns - (NEW_YEAR + 600) * S;
        cr_assert(late >= 0 && late <= 9 * MINUTE);
        cr_assert_eq(next[1].ns - next[0].ns, 10 * MINUTE);
        cr_assert_eq(next[2].ns - next[1].ns, 10 * MINUTE);
        others += late != first;
        first = late;
    }
    cr_assert_geq(others, 19, "they spread");
    struct trq_wall one;
    cr_assert_eq(trq_recur_next(engine, "job 0", &one, 1), 1);
    cr_assert_eq(one.ns, INT64_C(1767226357408239565), "%lld: in any process", (long long)one.ns);
    advance(20 * MINUTE);
    cr_assert_eq(look("job 0").last.ns % (10 * MINUTE), 0, "what it was for has no jitter");
}

/* ---- overlap and locks --------------------------------------------------------------------------------------------------------- */

static enum trq_end takes_long(struct trq_job *job)
{
    return scene.runs % 3 ? trq_requeue_in(job, trq_seconds(12)) : TRQ_DONE;
}

Test(recur, no_overlap_waits_for_the_end_of_the_one_before, .init = open_engine,
     .fini = close_engine)
{
    scene.during = takes_long;
    RECUR("x", .every = trq_seconds(10), .no_overlap = true);
    /* At 10 it runs, and again at 22 and 34; 20 and 30 are skipped. At 40 there is another one. */
    advance(39 * S);
    cr_assert_eq(look("x").fired, 1);
    cr_assert_eq(look("x").skipped, 2);
    advance(S);
    cr_assert_eq(look("x").fired, 2, "%s", scene_why(look("x").job).text);
    cr_assert_eq(scene_stats().jobs, 1);
    advance(24 * S);
}

static int ends_of[2];
static void count_end(void *host, const struct trq_event *event, const struct trq_error *why)
{
    (void)host;
    (void)why;
    ends_of[*(const int *)event->tag] += event->outcome == TRQ_WAS_DONE;
}

Test(recur, the_end_of_each_of_its_jobs_is_told, .init = open_engine, .fini = close_engine)
{
    static int first = 0, second = 1;
    RECUR("x", .every = trq_seconds(10), .on_end = count_end, .tag = &first);
    advance(25 * S);
    cr_assert_eq(ends_of[0], 2);
    RECUR("x", .every = trq_seconds(10), .on_end = count_end, .tag = &second);
    advance(10 * S);
    cr_assert_eq(ends_of[0], 2);
    cr_assert_eq(ends_of[1], 1, "from the change on");
    RECUR("x", .every = trq_seconds(10));
    advance(10 * S);
    cr_assert_eq(ends_of[1], 1, "to nobody");
    cr_assert_eq(look("x").fired, 4);
}

static enum trq_end fails_twice(struct trq_job *job)
{
    return trq_job_attempt(job) < 3 ? trq_fail(job, "not yet") : TRQ_DONE;
}

Test(recur, a_job_that_is_to_be_tried_again_has_not_ended, .init = open_engine,
     .fini = close_engine)
{
    scene.during = fails_twice;
    recur(TRQ_RECURRING(.name = "x", .worker = &retries, .every = trq_seconds(100),
                        .no_overlap = true));
    recur(TRQ_RECURRING(.name = "y", .worker = &retries, .every = trq_seconds(10),
                        .no_overlap = true));
    /* Of y: made at 10, and it fails there and some 12 s later; done some 12 s after that. */
    advance(29 * S);
    cr_assert_eq(look("y").fired, 1);
    cr_assert_eq(look("y").skipped, 1);
    advance(300 * S);
    cr_assert_geq(look("y").fired, 5);
    cr_assert_eq(look("y").fired + look("y").skipped, 32);
    cr_assert_eq(look("x").fired, 3);
    cr_assert_eq(trq_recur_remove(engine, "x"), TRQ_OK);
    cr_assert_eq(trq_recur_remove(engine, "y"), TRQ_OK);
    advance(100 * S);
    cr_assert_eq(scene_stats().jobs, 0);
}

Test(recur, with_a_queue_lock_one_waits_and_the_firing_counts, .init = open_engine,
     .fini = close_engine)
{
    recur(TRQ_RECURRING(.name = "x", .worker = &unique, .every = trq_seconds(10),
                        .inputs = TRQ_DICT(TRQ_KV("key", "k"))));
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    advance(60 * S);
    cr_assert_eq(look("x").fired, 6);
    cr_assert_eq(scene_stats().jobs, 1);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    advance(0);
    cr_assert_eq(scene.runs, 1);
}

static int warnings;
static void log_to(void *host, enum trq_log_level level, const char *text)
{
    (void)host;
    if (level == TRQ_LOG_WARNING && strstr(text, "recurring x: ")) {
        warnings++;
        cr_assert(strstr(text, "no such account"), "%s", text);
    }
}

static atomic_llong clock_ns;
static int64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}

Test(recur, what_its_lock_refuses_is_counted_and_told_once)
{
    const struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_clock};
    clock_ns = NEW_YEAR * S;
    engine = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &hooks, .log = log_to), &app);
    recur(TRQ_RECURRING(.name = "x", .worker = &refused, .every = trq_seconds(10)));
    for (int i = 0; i < 31; i++) {
        cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 0);
        clock_ns += S;
    }
    cr_assert_eq(look("x").refused, 3);
    cr_assert_eq(look("x").fired, 0);
    cr_assert_eq(warnings, 1);
    close_engine();
}

/* ---- what was missed ------------------------------------------------------------------------------------------------------------ */

static const struct {
    enum trq_catch_up catch_up;
    int jobs;
} policies[] = {{TRQ_CATCH_UP_ONCE, 1}, {TRQ_CATCH_UP_NONE, 0}, {TRQ_CATCH_UP_ALL, 5}};

Test(recur, what_was_missed_while_the_process_was_down)
{
    for (int i = 0; i < 3; i++) {
        open_at(NEW_YEAR + 1800);
        scene_forget();
        /* Eleven hours; the last is half an hour ago. */
        RECUR("cron", .cron = "0 * * * *", AT, .catch_up = policies[i].catch_up, .catch_up_max = 5,
              .since = trq_wall_seconds(NEW_YEAR - 11 * 3600));
        advance(0);
        cr_assert_eq(scene.runs, policies[i].jobs);
        for (int n = 0; n < scene.runs; n++)
            cr_assert_eq(scene.ran[n], NEW_YEAR - 3600 * (scene.runs - 1 - n));
        cr_assert_eq((int)look("cron").missed, 11 - policies[i].jobs);
        cr_assert_eq(look("cron").next.ns, (NEW_YEAR + 3600) * S);
        scene_forget();
        RECUR("every", .every = trq_hours(2), AT, .catch_up = policies[i].catch_up,
              .catch_up_max = 5, .since = trq_wall_seconds(NEW_YEAR + 1800 - 20 * 3600 - 100));
        advance(0);
        cr_assert_eq(scene.runs, policies[i].jobs);
        cr_assert_eq((int)look("every").missed, 10 - policies[i].jobs);
        cr_assert_eq(look("every").next.ns, (NEW_YEAR + 1800 + 7200 - 100) * S);
        advance(HOUR);
        cr_assert_eq((int)look("cron").fired, policies[i].jobs + 1, "and on time again");
        close_engine();
    }
}

Test(recur, late_by_less_than_a_minute_is_not_missed)
{
    open_at(NEW_YEAR + 59);
    RECUR("x", .cron = "0 * * * *", .catch_up = TRQ_CATCH_UP_NONE,
          .since = trq_wall_seconds(NEW_YEAR - 3601));
    advance(0);
    cr_assert_eq(look("x").fired, 1);
    cr_assert_eq(look("x").missed, 1, "that of an hour ago");
    RECUR("y", .cron = "0 * * * *", .catch_up = TRQ_CATCH_UP_NONE,
          .since = trq_wall_seconds(NEW_YEAR - 1));
    advance(0);
    cr_assert_eq(look("y").fired, 1);
    advance(S);
    RECUR("z", .cron = "0 * * * *", .catch_up = TRQ_CATCH_UP_NONE,
          .since = trq_wall_seconds(NEW_YEAR - 1));
    advance(0);
    cr_assert_eq(look("z").fired, 0);
    cr_assert_eq(look("z").missed, 1);
    close_engine();
}

Test(recur, the_wall_clock_is_set_forward)
{
    for (int i = 0; i < 3; i++) {
        open_engine();
        scene_forget();
        RECUR("x", .cron = "30 * * * *", AT, .catch_up = policies[i].catch_up, .catch_up_max = 5);
        advance(HOUR);
        cr_assert_eq(scene.runs, 1);
        set_wall(now() + 10 * HOUR);
        advance(0);
        cr_assert_eq(scene.runs, 1 + policies[i].jobs);
        cr_assert_eq((int)look("x").missed, 10 - policies[i].jobs);
        cr_assert_eq(look("x").next.ns, now() + 30 * MINUTE);
        /* By years, each second of which was due. */
        RECUR("s", .cron = "* * * * * *", .catch_up = policies[i].catch_up, .catch_up_max = 1000);
        set_wall(now() + 3650 * DAY);
        advance(0);
        cr_assert_eq(look("s").fired, i == 0 ? 1 : i == 1 ? 1 : 1000);
        cr_assert_eq(look("s").missed, 10000, "no more are counted");
        cr_assert_eq(look("s").next.ns, now() + S);
        close_engine();
    }
}

Test(recur, the_wall_clock_is_set_back_by_an_hour, .init = open_engine, .fini = close_engine)
{
    RECUR("x", .cron = "*/10 * * * *", AT);
    advance(65 * MINUTE);
    cr_assert_eq(scene.runs, 6);
    set_wall(now() - HOUR);
    advance(64 * MINUTE);
    cr_assert_eq(scene.runs, 6, "nothing fires twice");
    advance(MINUTE);
    cr_assert_eq(scene.runs, 7);
    cr_assert_eq(scene.ran[6], NEW_YEAR + 4200);
    cr_assert_eq(look("x").missed, 0);
}

Test(recur, the_wall_clock_is_set_back_by_years, .init = open_engine, .fini = close_engine)
{
    RECUR("x", .cron = "*/10 * * * *", AT);
    RECUR("ended", .cron = "0 * * * *", .end = trq_wall_seconds(NEW_YEAR + 60));
    RECUR("tick", .every = trq_minutes(1));
    advance(15 * MINUTE);
    cr_assert_eq(look("ended").next.ns, 0);
    set_wall(now() - 3650 * DAY);
    advance(5 * MINUTE);
    cr_assert_eq(look("x").fired, 2);
    cr_assert_eq(look("x").last.ns, now());
    cr_assert_eq(look("x").missed, 0);
    cr_assert_eq(look("tick").fired, 20);
    advance(HOUR);
    cr_assert_eq(look("x").fired, 8);
    cr_assert_eq(look("ended").fired, 1, "its end is far away again");
    scene_check();
    /* And on in steps: three hours together are one correction. */
    set_wall(now() - 2 * HOUR);
    advance(0);
    set_wall(now() - 2 * HOUR);
    advance(10 * MINUTE);
    cr_assert_eq(look("x").fired, 9);
}

Test(recur, a_since_that_is_far_ahead_is_a_mistake, .init = open_engine, .fini = close_engine)
{
    RECUR("far", .cron = "0 * * * *", .since = trq_wall_seconds(NEW_YEAR + 86400));
    RECUR("near", .cron = "0 * * * *", .since = trq_wall_seconds(NEW_YEAR + 7200));
    cr_assert_eq(look("far").next.ns, (NEW_YEAR + 3600) * S);
    cr_assert_eq(look("near").next.ns, (NEW_YEAR + 3 * 3600) * S, "it has fired already");
}

Test(recur, before_the_start_of_the_engine_it_is_missed)
{
    const struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_clock};
    clock_ns = NEW_YEAR * S;
    engine = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &hooks), &app);
    RECUR("x", .every = trq_minutes(10));
    RECUR("y", .every = trq_minutes(10), .catch_up = TRQ_CATCH_UP_NONE);
    clock_ns += 35 * MINUTE;
    cr_assert_eq(trq_engine_start(engine, &error), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert_eq(look("x").missed, 2);
    cr_assert_eq(look("y").missed, 3);
    clock_ns += 5 * MINUTE;
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 2);
    close_engine();
}

/* ---- no room ---------------------------------------------------------------------------------------------------------------------- */

Test(recur, in_a_full_engine_it_waits_and_nothing_is_lost)
{
    const struct trq_hooks hooks = {
        .size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_clock};
    clock_ns = NEW_YEAR * S;
    engine =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .hooks = &hooks, .jobs_max = 10), &app);
    for (int i = 0; i < 10; i++)
        scene_put(&plain, 7, NULL, NULL, TRQ_OPTS(.in = trq_seconds(45)));
    RECUR("once", .every = trq_seconds(10), AT);
    RECUR("all", .every = trq_seconds(10), AT, .catch_up = TRQ_CATCH_UP_ALL);
    int polls = 0;
    for (; clock_ns < (NEW_YEAR + 46) * S; clock_ns += 5 * S / 1000)
        polls += trq_engine_poll(engine, 0, trq_ns(0));
    cr_assert_eq(polls, 10 + 1 + 4);
    cr_assert_eq(look("once").fired, 1);
    cr_assert_eq(look("once").missed, 3);
    cr_assert_eq(look("once").delayed, 1);
    cr_assert_eq(look("all").fired, 4);
    cr_assert_eq(look("all").missed, 0);
    /* It tried again after 10 ms, and less often as time went by. */
    cr_assert_lt(scene_stats().refused_full, 100);
    cr_assert_gt(scene_stats().refused_full, 20);
    close_engine();
}

Test(recur, what_fires_faster_than_it_runs_piles_up_to_the_bound)
{
    open_engine();
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    RECUR("x", .every = trq_ms(1));
    advance(10 * S);
    cr_assert_eq(scene_stats().jobs, 8191);
    cr_assert_eq(look("x").fired, 8191);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    advance(2 * S);
    cr_assert_geq(look("x").fired, 8191 + 1000);
    cr_assert_eq(look("x").fired + look("x").missed, 12000);
    close_engine();
}

/* ---- calls that are wrong ------------------------------------------------------------------------------------------------------------ */

static void wrong(int code, const char *part, const struct trq_recurring *recurring)
{
    memset(&error, 0, sizeof error);
    cr_assert_eq(trq_recur(engine, recurring, &error), code, "%s: %s", part, error.text);
    cr_assert_eq(error.code, code);
    cr_assert(strstr(error.text, part), "%s", error.text);
    cr_assert_eq(trq_recur(engine, recurring, NULL), code);
}
#define WRONG(code, part, ...)                                                                     \
    wrong(code, part, TRQ_RECURRING(.name = "x", .worker = &plain, __VA_ARGS__))

Test(recur, what_is_wrong_is_told_at_the_call, .init = open_engine, .fini = close_engine)
{
    char name[202];
    memset(name, 'n', 201);
    name[201] = '\0';
    WRONG(TRQ_EINVAL, "column 3", .cron = "0 x * * *");
    WRONG(TRQ_EINVAL, "one of the two", .cron = NULL);
    WRONG(TRQ_EINVAL, "one of the two", .cron = "* * * * *", .every = trq_seconds(1));
    WRONG(TRQ_EINVAL, "at least 1 ms", .every = trq_ns(999999));
    WRONG(TRQ_EINVAL, "at least 1 ms", .every = trq_seconds(-1));
    WRONG(TRQ_EINVAL, "zone", .every = trq_seconds(1), .zone = "UTC");
    WRONG(TRQ_EINVAL, "below 0", .every = trq_seconds(1), .start = {-1});
    WRONG(TRQ_EINVAL, "below 0", .every = trq_seconds(1), .jitter = {-1});
    WRONG(TRQ_EINVAL, "before it starts", .every = trq_seconds(1), .start = {9}, .end = {8});
    WRONG(TRQ_EINVAL, "catch_up is", .every = trq_seconds(1), .catch_up = (enum trq_catch_up)3);
    WRONG(TRQ_EINVAL, "catch_up_max is", .every = trq_seconds(1), .catch_up_max = 1001);
    WRONG(TRQ_EUNKNOWN, "Mars/Olympus", .cron = "* * * * *", .zone = "Mars/Olympus");
    WRONG(TRQ_EUNKNOWN, "nowhere", .every = trq_seconds(1), .queue = "nowhere");
    WRONG(TRQ_EINPUT, "input n", .every = trq_seconds(1),
          .inputs = TRQ_DICT(TRQ_KV("n", "no number")));
    WRONG(TRQ_EINPUT, "input key", .every = trq_seconds(1), .time_input = "key");
    WRONG(TRQ_EINPUT, "n", .every = trq_seconds(1), .inputs = TRQ_DICT(TRQ_KV("n", 1)),
          .time_input = "n");
    wrong(TRQ_EINVAL, "worker is NULL", TRQ_RECURRING(.name = "x", .every = trq_seconds(1)));
    wrong(TRQ_EUNKNOWN, "Stranger",
          TRQ_RECURRING(.name = "x", .worker = &stranger, .every = trq_seconds(1)));
    wrong(TRQ_EINVAL, "a name is",
          TRQ_RECURRING(.name = name, .worker = &plain, .every = trq_seconds(1)));
    wrong(TRQ_EINVAL, "a name is",
          TRQ_RECURRING(.name = "", .worker = &plain, .every = trq_seconds(1)));
    wrong(TRQ_EINVAL, "a name is",
          TRQ_RECURRING(.name = "\xff", .worker = &plain, .every = trq_seconds(1)));
    wrong(TRQ_EINVAL, "size", &(const struct trq_recurring){.name = "x"});
    cr_assert_eq(trq_recur(engine, NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_recur(NULL, TRQ_RECURRING(.name = "x"), &error), TRQ_EINVAL);
    cr_assert_eq(scene_stats().recurring, 0);
    /* What is wrong leaves the one of that name as it was. */
    RECUR("x", .every = trq_seconds(10));
    WRONG(TRQ_EINVAL, "column 3", .cron = "0 x * * *");
    advance(10 * S);
    cr_assert_eq(scene.runs, 1);
    cr_assert_eq(trq_recur_remove(engine, "y"), TRQ_GONE);
    cr_assert_eq(trq_recur_remove(engine, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_recur_next(engine, "y", NULL, 0), TRQ_EUNKNOWN);
    cr_assert_eq(trq_recur_next(engine, "x", NULL, 1), TRQ_EINVAL);
    cr_assert_eq(trq_recur_list(engine, NULL, NULL, 1), TRQ_EINVAL);
    cr_assert_eq(trq_recur_list(engine, NULL, NULL, 0), 0);
}

Test(recur, after_a_stop_nothing_fires_and_calls_say_so, .init = open_engine)
{
    struct trq_recurrence r;
    struct trq_wall next;
    RECUR("x", .every = trq_seconds(10));
    cr_assert_eq(trq_engine_stop(engine, trq_ns(0), NULL), TRQ_OK);
    cr_assert_eq(trq_test_advance(engine, trq_hours(1)), TRQ_ESTOPPED);
    cr_assert_eq(scene.runs, 0);
    cr_assert_eq(trq_recur(engine, TRQ_RECURRING(.name = "y"), &error), TRQ_ESTOPPED);
    cr_assert_eq(trq_recur_remove(engine, "x"), TRQ_ESTOPPED);
    cr_assert_eq(trq_recur_list(engine, NULL, &r, 1), TRQ_ESTOPPED);
    cr_assert_eq(trq_recur_next(engine, "x", &next, 1), TRQ_ESTOPPED);
    scene_close();
}

/* ---- listing -------------------------------------------------------------------------------------------------------------------------- */

Test(recur, they_are_listed_by_name_page_by_page, .init = open_engine, .fini = close_engine)
{
    struct trq_recurrence page[7];
    char name[20], before[204] = "";
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "r%02d", i * 37 % 100);
        RECUR(name, .every = trq_seconds(10 + i));
    }
    int n = 0;
    long got;
    while ((got = trq_recur_list(engine, n ? before : NULL, page, 7)) > 0)
        for (long i = 0; i < got; i++, n++) {
            snprintf(name, sizeof name, "r%02d", n);
            cr_assert_str_eq(page[i].name, name);
            memcpy(before, page[i].name, sizeof before);
        }
    cr_assert_eq(n, 100);
    cr_assert_eq(trq_recur_list(engine, "r5", page, 1), 1, "a name that there is not");
    cr_assert_str_eq(page[0].name, "r50");
}

Test(recur, the_next_firings_are_told_as_they_come, .init = open_engine, .fini = close_engine)
{
    struct trq_wall next[20];
    RECUR("x", .cron = "0 0 1 */3 *", .zone = "Asia/Tokyo",
          .end = trq_wall_seconds(NEW_YEAR + 365 * 86400));
    cr_assert_eq(trq_recur_next(engine, "x", next, 20), 4);
    cr_assert_eq(next[0].ns, (NEW_YEAR + 90 * 86400 - 9 * 3600) * S);
    advance(365 * DAY);
    cr_assert_eq(scene.runs, 4);
}

static bool says(struct trq_job_id id, const char *part)
{
    return strstr(scene_why(id).text, part) != NULL;
}

Test(recur, explain_says_who_made_a_job, .init = open_engine, .fini = close_engine)
{
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    RECUR("nightly", .cron = "0 2 * * *", .end = trq_wall_seconds(NEW_YEAR + 2 * 86400));
    struct trq_job_id other = scene_put(&plain, 1, NULL, NULL, NULL);
    advance(2 * HOUR);
    struct trq_job_id id = look("nightly").job;
    cr_assert(says(id, "; made by nightly, which fires next at 2026-01-02T02:00:00.000Z"), "%s",
              scene_why(id).text);
    cr_assert_not(says(other, "made by"));
    advance(DAY);
    cr_assert_not(says(id, "made by"), "it is not the last");
    id = look("nightly").job;
    cr_assert(says(id, "; made by nightly, which fires next at never"), "%s", scene_why(id).text);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    advance(0);
}

Test(recur, a_job_goes_to_the_queue_that_is_named, .init = open_engine, .fini = close_engine)
{
    cr_assert_eq(trq_queue_pause(engine, "app_high", NULL), TRQ_OK);
    RECUR("x", .every = trq_seconds(1), .queue = "high",
          .inputs = TRQ_DICT(TRQ_KV("key", "k"), TRQ_KV("more", "undeclared"),
                             TRQ_KV("list", trq_json("[1, 2]"))));
    advance(S);
    cr_assert_str_eq(scene_why(look("x").job).queue, "app_high");
    cr_assert_eq(trq_test_count(engine, &plain, TRQ_DICT(TRQ_KV("more", "undeclared"))), 1);
    cr_assert_eq(trq_queue_resume(engine, "app_high", NULL), TRQ_OK);
}

/* ---- many ------------------------------------------------------------------------------------------------------------------------------ */

Test(recur, ten_thousand_of_them)
{
    enum { MANY = 10000 };
    const struct trq_app *const apps[] = {&app, NULL};
    cr_assert_eq(trq_test_engine(NULL, trq_wall_seconds(NEW_YEAR), apps, &engine, &error), TRQ_OK);
    for (int i = 0; i < MANY; i++) {
        char name[20];
        snprintf(name, sizeof name, "%d", i * 7 % MANY);
        RECUR(name, .cron = i % 2 ? "0 3 * * *" : "30 */6 * * *",
              .zone = i % 3 ? "America/New_York" : NULL, .jitter = trq_minutes(30));
    }
    cr_assert_eq(scene_stats().recurring, MANY);
    scene_check();
    advance(DAY);
    cr_assert_eq(scene.runs, MANY / 2 + MANY / 2 * 4);
    for (int i = 0; i < MANY; i += 2) {
        char name[20];
        snprintf(name, sizeof name, "%d", i * 7 % MANY);
        cr_assert_eq(trq_recur_remove(engine, name), TRQ_OK);
    }
    scene_check();
    const int before = scene.runs;
    advance(DAY);
    cr_assert_eq(scene.runs, before + MANY / 2);
    cr_assert_eq(scene_stats().recurring, MANY / 2);
    close_engine();
}

Test(recur, there_is_a_bound)
{
    open_engine();
    char name[20];
    for (int i = 0; i < 65536; i++) {
        snprintf(name, sizeof name, "%05d", i);
        RECUR(name, .every = trq_hours(1));
    }
    WRONG(TRQ_EFULL, "65536", .every = trq_seconds(1));
    RECUR("00000", .every = trq_seconds(1));
    cr_assert_eq(trq_recur_remove(engine, "00001"), TRQ_OK);
    RECUR("x", .every = trq_seconds(1));
    advance(S);
    cr_assert_eq(scene.runs, 2);
    close_engine();
}

/* ---- against a model ------------------------------------------------------------------------------------------------------------------- */

static uint64_t seed;
static int chance(int n)
{
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (int)((seed >> 33) % (uint64_t)n);
}

/* Minutes are due that match; with ONCE each look makes at most one job, for the last that came since the look before. */
Test(recur, with_the_clock_leaping_about_it_fires_as_a_walk_over_the_minutes_says)
{
    for (seed = 1; seed < 40; seed++) {
        const uint64_t round = seed;
        open_engine();
        scene_forget();
        const int step = 2 + chance(29);
        char cron[40];
        snprintf(cron, sizeof cron, "*/%d * * * *", step);
        RECUR("x", .cron = cron, AT);
        int64_t done = now(); /* all minutes up to here are dealt with */
        int64_t latest = now();
        int fired = 0;
        for (int i = 0; i < 60; i++) {
            int64_t leap = (chance(3) ? chance(120) : chance(400) - 200) * MINUTE + chance(60) * S;
            if (latest - (now() + leap) > 3 * HOUR)
                leap = 0;
            set_wall(now() + leap);
            latest = now() > latest ? now() : latest;
            advance(0);
            int64_t last = 0;
            for (int64_t t = done / MINUTE * MINUTE + MINUTE; t <= now(); t += MINUTE)
                if (t / MINUTE % 60 % step == 0)
                    last = t;
            fired += last != 0;
            if (now() > done)
                done = now();
            cr_assert_eq(scene.runs, fired, "seed %d, leap %d: %d, not %d", (int)round, i,
                         scene.runs, fired);
            if (last)
                cr_assert_eq(scene.ran[scene.runs - 1], last / S);
        }
        seed = round;
        close_engine();
    }
}
