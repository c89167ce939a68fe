/* A stop while runs fail, under search.
 *
 * What locks.h says of each story, and: when all threads have ended, each job that was accepted has ended, also when the stop
 * did not wait for those that ran, and nothing of it is left: neither what it was to wait with, nor why it failed.
 *
 * The stop closes the gate, then the queues, then looks for what waits. Who comes back to wait meanwhile finds his queue closed, or,
 * if he is put off, reads the gate when he has become SCHEDULED: both are seq_cst, so that one of the two sees the other.
 */
#include "tests/weave/locks.h"

#define FREE .queue_key = LOCKS_NONE, .worker_key = LOCKS_NONE
#define LOCKED .queue_key = 0, .worker_key = LOCKS_NONE
#define ONCE .fails = 1, .retries = 1
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

static void enqueue_0(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK);
}
static void enqueue_1(void)
{
    locks_enqueue(1);
}
static void cancel_0(void)
{
    locks_cancel(0);
}

static const struct locks_spec once[] = {{FREE, ONCE}, LAST};
static const struct locks_spec once_later[] = {{FREE, ONCE, .after = 100}, LAST};
static const struct locks_spec dies[] = {{FREE, .fails = 1}, LAST};
static const struct locks_spec once_locked[] = {{LOCKED, ONCE}, {LOCKED}, {LOCKED}, LAST};
static const struct locks_spec from_start[] = {
    {LOCKED, ONCE, .after = 100, .from_start = true}, {LOCKED}, {LOCKED}, LAST};

static void all_have_ended(void)
{
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        weave_assert(locks.ends[k] == locks.accepted[k]);
}
static const struct locks_spec once_now_or_later[] = {{FREE, ONCE}, {FREE, ONCE}, LAST};
static const struct locks_story fail_and_stop = {.spec = once,
                                                 .build = enqueue_0,
                                                 .play = {locks_run, locks_stop_and_wait},
                                                 .then = all_have_ended,
                                                 .stops = true};
static const struct locks_story fail_and_stop_at_once = {.spec = once,
                                                         .build = enqueue_0,
                                                         .play = {locks_run, locks_stop},
                                                         .then = all_have_ended,
                                                         .stops = true};
static const struct locks_story later_and_stop = {.spec = once_later,
                                                  .build = enqueue_0,
                                                  .play = {locks_run, locks_stop_and_wait},
                                                  .then = all_have_ended,
                                                  .stops = true};
static const struct locks_story later_and_stop_at_once = {.spec = once_later,
                                                          .build = enqueue_0,
                                                          .play = {locks_run, locks_stop},
                                                          .then = all_have_ended,
                                                          .stops = true};
static const struct locks_story locked_and_stop = {.spec = once_locked,
                                                   .build = enqueue_0,
                                                   .play = {locks_run, locks_stop, enqueue_1},
                                                   .then = all_have_ended,
                                                   .stops = true};
static const struct locks_story from_start_and_stop = {.spec = from_start,
                                                       .build = enqueue_0,
                                                       .play = {locks_run, locks_stop, enqueue_1},
                                                       .then = all_have_ended,
                                                       .stops = true};
static const struct locks_story dies_and_stop = {.spec = dies,
                                                 .build = enqueue_0,
                                                 .play = {locks_run, locks_stop, cancel_0},
                                                 .then = all_have_ended,
                                                 .stops = true};
static const struct locks_spec mortal_fails[] = {{LOCKED, ONCE, .expires_in = 100}, {LOCKED}, LAST};
static const struct locks_story expiring_and_stop = {.spec = mortal_fails,
                                                     .build = enqueue_0,
                                                     .play = {locks_run, locks_stop, enqueue_1},
                                                     .then = all_have_ended,
                                                     .stops = true};
static void enqueue_two(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK && locks_enqueue(1) == TRQ_OK);
}
static const struct locks_story two_fail_and_stop = {.spec = once_now_or_later,
                                                     .build = enqueue_two,
                                                     .play = {locks_run, locks_stop, locks_run},
                                                     .then = all_have_ended,
                                                     .stops = true};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault weaker[] = {
    {"life.h", "tq_cas(&job->word, seq_cst, acquire): acq_rel"}, /* becomes SCHEDULED, then ... */
    {"engine.h", "tq_load(&engine->gate->state, seq_cst): acquire"},
    {"stop.c", "tq_cas(&e->gate->state, seq_cst, seq_cst): acq_rel"},
    {"stop.c", "tq_load(&tq_job_at(e, i)->word, seq_cst): acquire"},
    {NULL, NULL},
};
static const struct locks_fault left_out[] = {
    {"stop.c", "tq_cas(&e->gate->state"},
    {"life.h", "tq_cas(&job->word"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("fail and stop", &fail_and_stop, 2, 1),
        locks_case("fail and stop at once", &fail_and_stop_at_once, 2, 1),
        locks_case("fail for later and stop", &later_and_stop, 2, 1),
        locks_case("fail for later and stop at once", &later_and_stop_at_once, 2, 2),
        locks_case("fail with a lock, claim and stop", &locked_and_stop, 2, 0),
        locks_case("fail with the lock from the start, claim and stop", &from_start_and_stop, 2, 0),
        locks_case("die, cancel and stop", &dies_and_stop, 2, 0),
        locks_case("fail when it may expire, claim and stop", &expiring_and_stop, 2, 0),
        locks_case("two fail, and stop", &two_fail_and_stop, 2, 0),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case quick[] = {
        locks_case("fail and stop at once", &fail_and_stop_at_once, 1, 0),
        locks_case("fail for later and stop at once", &later_and_stop_at_once, 1, 1),
        locks_case("fail with a lock, claim and stop", &locked_and_stop, 1, 0),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_mutate(quick, QUICK, weaker);
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
