/* Runs that fail, under search: they end or come back to wait, while others cancel, fire, and
 * enqueue.
 *
 * What locks.h says of each story, and:
 *   - who was told that a job is cancelled finds it so; one that was asked to stop while it ran does not wait again;
 *   - a job that fails and one that comes with its queue lock become one (4.6): the run that follows knows of the failures
 *     of both, and why, and no text is lost, or given back twice.
 */
#include "tests/weave/locks.h"

#include <tresque/schedule.h>

#define FREE .queue_key = LOCKS_NONE, .worker_key = LOCKS_NONE
#define LOCKED .queue_key = 0, .worker_key = LOCKS_NONE
#define ONCE .fails = 1, .retries = 1
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

enum { DUE = 150 };

static void enqueue_0(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK);
}
static void enqueue_1(void)
{
    locks_enqueue(1);
}
static void enqueue_2(void)
{
    locks_enqueue(2);
}
static void work(void)
{
    locks_work();
}
static void cancel_0(void)
{
    locks_cancel(0);
}
static void fire(void)
{
    locks_pass(DUE);
    locks_fire(DUE);
}
static void run_now_0(void)
{
    locks.result[locks_self()] = trq_run_now(&locks_engine, locks.id[0]);
}

/* ---- failure and cancel --------------------------------------------------------------------------------------- */

static const struct locks_spec once[] = {{FREE, ONCE}, LAST};
static const struct locks_spec once_later[] = {{FREE, ONCE, .after = 100}, LAST};
static const struct locks_spec dies[] = {{FREE, .fails = 1}, LAST};
static const struct locks_spec once_locked[] = {{LOCKED, ONCE}, {LOCKED}, {LOCKED}, LAST};

/* One run at most has begun when it is asked to stop: it does not wait again. */
static void cancelled_in_time(void)
{
    bool cancelled = locks_cancelled(0);
    weave_assert(cancelled == (locks.result[1] == TRQ_OK || locks.result[1] == TRQ_ASKED));
    weave_assert(locks.begun[0] <= (cancelled ? 1 : 2));
}
static const struct locks_story fail_and_cancel = {
    .spec = once, .build = enqueue_0, .play = {work, cancel_0}, .end = cancelled_in_time};
static const struct locks_story fail_later_and_cancel = {
    .spec = once_later, .build = enqueue_0, .play = {work, cancel_0}, .end = cancelled_in_time};
static const struct locks_story fail_locked_and_cancel = {
    .spec = once_locked, .build = enqueue_0, .play = {work, cancel_0}, .end = cancelled_in_time};
/* Its last attempt: it dies, or was cancelled before; asked to stop too late, it dies all the same. */
static void dead_or_cancelled(void)
{
    int said = locks.result[1];
    bool dead = locks_ended_as(0, TRQ_WAS_DEAD);
    weave_assert(dead != locks_cancelled(0));
    weave_assert(said != TRQ_OK || !locks.begun[0]);
    weave_assert(said != TRQ_GONE || dead);
    weave_assert(!dead || locks.begun[0] == 1);
}
static const struct locks_story die_and_cancel = {
    .spec = dies, .build = enqueue_0, .play = {work, cancel_0}, .end = dead_or_cancelled};

/* ---- put off, and due at once ----------------------------------------------------------------------------------- */

/* Who put it off may not have submitted its timer yet, when it is due, told to run, started elsewhere, or cancelled. */
static void twice(void)
{
    weave_assert(locks.begun[0] == 2 && locks.failures[0] == 1 && locks.slips[0] == 1);
}
static const struct locks_story fail_and_fire = {.spec = once_later,
                                                 .build = enqueue_0,
                                                 .play = {work, fire, work},
                                                 .end = twice,
                                                 .looks_back = true};
static const struct locks_story fail_and_run_now = {.spec = once_later,
                                                    .build = enqueue_0,
                                                    .play = {work, run_now_0, work},
                                                    .end = twice,
                                                    .looks_back = true};
static void run_now_and_fire(void)
{
    run_now_0();
    fire();
}
static const struct locks_story fail_now_and_fire = {.spec = once_later,
                                                     .build = enqueue_0,
                                                     .play = {work, run_now_and_fire},
                                                     .end = twice,
                                                     .looks_back = true};
static void cancelled_or_twice(void)
{
    int said = locks.result[2];
    weave_assert(locks_cancelled(0) == (said == TRQ_OK || said == TRQ_ASKED));
    weave_assert(locks.begun[0] <= (locks_cancelled(0) ? 1 : 2));
}
static const struct locks_story fail_fire_cancel = {.spec = once_later,
                                                    .build = enqueue_0,
                                                    .play = {work, fire, cancel_0},
                                                    .end = cancelled_or_twice};

/* ---- failure and a new one with its key (4.6) --------------------------------------------------------------------- */

static const struct locks_spec both_fail[] = {{LOCKED, ONCE}, {LOCKED, ONCE}, {LOCKED}, LAST};
static const struct locks_spec fails_and_replaced[] = {
    {LOCKED, ONCE}, {LOCKED, .rule = TRQ_REPLACE}, {LOCKED, .rule = TRQ_REPLACE}, LAST};
static const struct locks_spec from_start[] = {
    {LOCKED, ONCE, .after = 100, .from_start = true}, {LOCKED}, {LOCKED}, LAST};
static const struct locks_spec when_due[] = {{LOCKED, ONCE, .after = 100}, {LOCKED}, LAST};

/* Merged into one that waited, it is known to the run that follows: one failure, and why. */
static void known_to_the_other(void)
{
    unsigned other = locks.other[0];
    locks_no_lost_change();
    if (!locks_ended_as(0, TRQ_WAS_MERGED)) {
        weave_assert(locks.begun[0] == 2 && locks.failures[0] == 1 && locks.slips[0] == 1);
        return;
    }
    weave_assert(locks.begun[0] == 1 && other != 0 && other < LOCKS_JOBS);
    if (locks.begun[other] && !locks_ended_as(other, TRQ_WAS_REPLACED))
        weave_assert(locks.failures[other] >= 1 && locks.slips[other] >= 1);
}
static const struct locks_story fail_and_claim = {.spec = once_locked,
                                                  .build = enqueue_0,
                                                  .play = {work, enqueue_1},
                                                  .end = known_to_the_other,
                                                  .looks_back = true};
static const struct locks_story fail_claim_start = {.spec = once_locked,
                                                    .build = enqueue_0,
                                                    .play = {work, enqueue_1, work},
                                                    .end = known_to_the_other,
                                                    .looks_back = true};
static const struct locks_story both_fail_and_start = {
    .spec = both_fail, .build = enqueue_0, .play = {work, enqueue_1, work}, .looks_back = true};
/* What was merged into one that has started, and is not yet taken along, passes on to the next. */
static const struct locks_story merge_start_claim = {.spec = once_locked,
                                                     .build = enqueue_0,
                                                     .play = {work, enqueue_1, enqueue_2},
                                                     .end = known_to_the_other,
                                                     .looks_back = true};
static void failing_0_waiting_1(void)
{
    enqueue_0();
    locks_work(); /* it has failed, and is put off */
    weave_assert(locks_state(0) == TQ_SCHEDULED && locks_enqueue(1) == TRQ_OK);
    locks_pass(DUE);
}
static void work_and_enqueue_2(void)
{
    locks_work();
    locks_enqueue(2);
}
static const struct locks_spec when_due_and_more[] = {
    {LOCKED, ONCE, .after = 100}, {LOCKED}, {LOCKED}, LAST};
static const struct locks_story merge_and_next = {.spec = when_due_and_more,
                                                  .build = failing_0_waiting_1,
                                                  .play = {fire, work_and_enqueue_2},
                                                  .end = locks_no_lost_change,
                                                  .looks_back = true};
/* A job with merged failures is replaced, or cancelled: their texts go. */
static const struct locks_story merge_and_replace = {
    .spec = fails_and_replaced, .build = enqueue_0, .play = {work, enqueue_1, enqueue_2}};
static void cancel_1(void)
{
    locks_cancel(1);
}
static const struct locks_story merge_and_cancel = {
    .spec = when_due, .build = failing_0_waiting_1, .play = {fire, cancel_1, work}};
static const struct locks_story fail_from_start = {.spec = from_start,
                                                   .build = enqueue_0,
                                                   .play = {work, enqueue_1, fire},
                                                   .end = known_to_the_other,
                                                   .looks_back = true};

/* ---- seeded faults -------------------------------------------------------------------------------------------------- */

static const struct locks_fault left_out[] = {
    {"life.h", "tq_cas(&job->word"},
    {"job.h", "tq_store(&job->counts"},
    {"trail.c", "tq_store(&side->trail"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("fail and cancel", &fail_and_cancel, 3, 1),
        locks_case("fail for later, and cancel", &fail_later_and_cancel, 3, 1),
        locks_case("fail with a lock, and cancel", &fail_locked_and_cancel, 2, 1),
        locks_case("die and cancel", &die_and_cancel, 3, 2),
        locks_case("fail, fire and start", &fail_and_fire, 2, 0),
        locks_case("fail, run now and start", &fail_and_run_now, 2, 0),
        locks_case("fail, run now, and its timer", &fail_now_and_fire, 3, 1),
        locks_case("fail, fire and cancel", &fail_fire_cancel, 2, 0),
        locks_case("fail and claim", &fail_and_claim, 2, 1),
        locks_case("fail, claim and start", &fail_claim_start, 2, 0),
        locks_case("two fail, and start", &both_fail_and_start, 2, 0),
        locks_case("fail, and two claim", &merge_start_claim, 2, 0),
        locks_case("merge, start, and the next", &merge_and_next, 3, 0),
        locks_case("fail, and two replace", &merge_and_replace, 2, 0),
        locks_case("merge, cancel and start", &merge_and_cancel, 2, 0),
        locks_case("fail with the lock from the start, claim and fire", &fail_from_start, 2, 0),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case quick[] = {
        locks_case("fail and cancel", &fail_and_cancel, 1, 1),
        locks_case("fail for later, and cancel", &fail_later_and_cancel, 1, 0),
        locks_case("fail and claim", &fail_and_claim, 1, 1),
        locks_case("merge, start, and the next", &merge_and_next, 1, 0),
        locks_case("fail, run now, and its timer", &fail_now_and_fire, 1, 0),
        locks_case("fail with a lock, and cancel", &fail_locked_and_cancel, 1, 0),
        locks_case("merge, cancel and start", &merge_and_cancel, 1, 0),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
