/* The file of --schedule: a list of jobs that come again and again.
 *
 *     [{"name":"backup","cron":"30 2 * * *","zone":"Europe/Berlin",
 *       "worker":"Exec","inputs":{"argv":["backup","/home"]}},
 *      {"name":"beat","every":0.5,"worker":"Noop","jitter":0.1,"no_overlap":true}]
 */
#ifndef TQ_CLI_SCHEDULE_H
#define TQ_CLI_SCHEDULE_H

#include <jansson.h>

#include <tresque.h>

/* Strings and inputs belong to the file's JSON; what was not given is NULL, 0 or false. */
struct tq_entry {
    const char *name;
    const char *worker;
    const json_t *inputs;
    const char *cron; /* either this ... */
    const char *zone;
    struct trq_span every; /* ... or this */
    struct trq_wall start, end;
    struct trq_span jitter;
    const char *queue;
    const char *time_input;
    bool no_overlap;
    int catch_up; /* an enum trq_catch_up */
};

struct tq_schedule {
    const char *path; /* NULL: there is none */
    int fd;           /* kept open, so that the file is known from others */
    json_t *root;
    struct tq_entry *entries;
    size_t count;
};

/* All that can be checked without an engine. False: all that is wrong has been said, as FILE: "NAME": WHAT.
 * Owner:   end it with tq_schedule_fini in either case; zeroed memory may be ended, too. */
bool tq_schedule_load(struct tq_schedule *out, const char *path) TRQ_MUST_USE;
void tq_schedule_fini(struct tq_schedule *schedule);

/* What is wrong with that entry: said as tq_schedule_load says it. */
void tq_schedule_refuse(const struct tq_schedule *schedule, size_t index, const char *why);

#endif
