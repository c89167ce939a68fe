/* Scheduled jobs under search: firing, cancels, moves, debounces, and what else wants the same job at the same time.
 *
 * What locks.h says of each story, and: a job fires once, and never before its due time as it stands then; a call that was
 * told it had moved the job to a later time is not overtaken by the old one; a cancel that said so is the end of it.
 *
 * Who fires goes through all timers that were submitted and are due by their own account, each once, at a time that the
 * story says; finish goes on with whatever there is then, and misses a job whose timer is lost.
 */
#include "tests/weave/locks.h"

#include <tresque/schedule.h>

#define FREE .queue_key = LOCKS_NONE, .worker_key = LOCKS_NONE
#define LATER FREE, .due = 100
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

enum { NOW = 150 };

static void enqueue_0(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK);
}
static void enqueue_1(void)
{
    locks_enqueue(1);
}
static void fire(void)
{
    locks_fire(NOW);
}
static void fire_and_work(void)
{
    locks_fire(NOW);
    locks_work();
}
static void work(void)
{
    locks_work();
}
static void cancel_0(void)
{
    locks_cancel(0);
}
static void move_0(int64_t due)
{
    int rc = trq_move_in(&locks_engine, locks.id[0], (struct trq_span){due});
    weave_assert(rc == TRQ_OK || rc == TRQ_GONE);
    locks.result[locks_self()] = rc;
    if (rc == TRQ_OK)
        locks.due[0] = due;
}
static void move_later(void)
{
    move_0(200);
}
static void move_earlier(void)
{
    move_0(50);
}
static void run_now_0(void)
{
    locks.result[locks_self()] = trq_run_now(&locks_engine, locks.id[0]);
}

static const struct locks_spec at_100[] = {{LATER}, LAST};
static const struct locks_spec at_200[] = {{FREE, .due = 200}, LAST};

static int64_t due_of(unsigned k)
{
    return (int64_t)locks.job[(uint32_t)locks.id[k].slot].enqueued;
}

/* ---- cancel and fire ---------------------------------------------------------------------------------------- */

static void cancelled_or_ran(void)
{
    int said = locks.result[1];
    weave_assert(said == TRQ_OK || said == TRQ_GONE || said == TRQ_ASKED);
    weave_assert(locks_cancelled(0) == (said == TRQ_OK));
    weave_assert(locks.begun[0] == (said != TRQ_OK));
}
static const struct locks_story cancel_and_fire = {
    .spec = at_100, .build = enqueue_0, .play = {fire, cancel_0}, .end = cancelled_or_ran};
static const struct locks_story cancel_fire_start = {
    .spec = at_100, .build = enqueue_0, .play = {fire, cancel_0, work}, .end = cancelled_or_ran};

/* ---- move and fire ------------------------------------------------------------------------------------------ */

/* Fired at NOW only if the move came too late. */
static void not_by_the_old_time(void)
{
    bool fired = locks.fired_at[0] == NOW;
    weave_assert(fired == (locks.result[1] == TRQ_GONE));
    weave_assert(fired || locks_state(0) == TQ_SCHEDULED);
}
static void ran_once(void)
{
    weave_assert(locks.begun[0] == 1);
}
static const struct locks_story later_and_fire = {.spec = at_100,
                                                  .build = enqueue_0,
                                                  .play = {fire, move_later},
                                                  .then = not_by_the_old_time,
                                                  .end = ran_once};
/* The new timer may be in the hands of the mover still. */
static void not_before(void)
{
    weave_assert(locks.fired_at[0] == 0 || locks.due[0] <= NOW);
    weave_assert(locks_state(0) != TQ_SCHEDULED || due_of(0) == locks.due[0]);
}
static const struct locks_story earlier_and_fire = {.spec = at_200,
                                                    .build = enqueue_0,
                                                    .play = {fire, move_earlier},
                                                    .then = not_before,
                                                    .end = ran_once};
/* There and back: the old timer is stale although the job is due when it comes. */
static void move_later_and_back(void)
{
    move_later();
    move_earlier();
}
static const struct locks_story back_and_fire = {
    .spec = at_100, .build = enqueue_0, .play = {fire, move_later_and_back}, .end = ran_once};
static void moved_last(void)
{
    weave_assert(locks_state(0) != TQ_SCHEDULED || due_of(0) == 50 || due_of(0) == 200);
}
static const struct locks_story two_moves = {.spec = at_100,
                                             .build = enqueue_0,
                                             .play = {fire, move_later, move_earlier},
                                             .then = moved_last,
                                             .end = ran_once};
static void move_to_wall(void)
{
    int rc = trq_move(&locks_engine, locks.id[0], (struct trq_wall){200});
    locks.result[1] = rc;
}
static const struct locks_story other_clock = {.spec = at_100,
                                               .build = enqueue_0,
                                               .play = {fire, move_to_wall},
                                               .then = not_by_the_old_time,
                                               .end = ran_once};
static const struct locks_story move_and_cancel = {.spec = at_200,
                                                   .build = enqueue_0,
                                                   .play = {fire_and_work, cancel_0, move_earlier},
                                                   .end = cancelled_or_ran};

/* ---- run now ------------------------------------------------------------------------------------------------ */

static void one_of_them(void)
{
    weave_assert((locks.fired_at[0] == NOW) + (locks.result[1] == TRQ_OK) == 1);
}
static const struct locks_story now_and_fire = {.spec = at_100,
                                                .build = enqueue_0,
                                                .play = {fire, run_now_0},
                                                .then = one_of_them,
                                                .end = ran_once};
static void one_of_two(void)
{
    weave_assert((locks.result[0] == TRQ_OK) + (locks.result[1] == TRQ_OK) == 1);
}
static const struct locks_story now_and_now = {.spec = at_100,
                                               .build = enqueue_0,
                                               .play = {run_now_0, run_now_0, work},
                                               .then = one_of_two,
                                               .end = ran_once};
static const struct locks_story now_and_cancel = {.spec = at_100,
                                                  .build = enqueue_0,
                                                  .play = {run_now_0, cancel_0, work},
                                                  .end = cancelled_or_ran};
static const struct locks_story now_and_later = {
    .spec = at_100, .build = enqueue_0, .play = {run_now_0, move_later, work}, .end = ran_once};

/* ---- with a queue lock ---------------------------------------------------------------------------------------- */

#define LOCKED .queue_key = 0, .worker_key = LOCKS_NONE

/* It asks when it is due: of it and one that comes just then, one is left. */
static const struct locks_spec when_due[] = {{LOCKED, .due = 100}, {LOCKED}, LAST};
static void merged_or_duplicate(void)
{
    bool merged = locks.outcome[0] == TRQ_WAS_MERGED;
    weave_assert(locks.begun[0] == !merged);
    weave_assert(!merged || locks.accepted[1]);
    locks_no_lost_change();
}
static const struct locks_story fire_and_claim = {
    .spec = when_due, .build = enqueue_0, .play = {fire, enqueue_1}, .end = merged_or_duplicate};
static const struct locks_story fire_claim_start = {.spec = when_due,
                                                    .build = enqueue_0,
                                                    .play = {fire, enqueue_1, work},
                                                    .end = merged_or_duplicate};
static void merged_or_cancelled(void)
{
    weave_assert((locks.result[1] == TRQ_OK) == locks_cancelled(0));
    locks_no_lost_change();
}
static void twin_waits(void)
{
    enqueue_0();
    weave_assert(locks_enqueue(1) == TRQ_OK);
}
static const struct locks_story merge_and_cancel = {.spec = when_due,
                                                    .build = twin_waits,
                                                    .play = {fire, cancel_0, work},
                                                    .end = merged_or_cancelled};
static const struct locks_story now_merges = {.spec = when_due,
                                              .build = twin_waits,
                                              .play = {fire, run_now_0, work},
                                              .end = locks_no_lost_change};

/* It holds the key from the beginning: debounced, replaced, or refused. */
static const struct locks_spec debounced[] = {
    {LOCKED, .due = 100, .from_start = true},
    {LOCKED, .due = 200, .from_start = true, .rule = TRQ_DEBOUNCE},
    LAST};
static void debounced_or_ready(void)
{
    bool fired = locks.fired_at[0] == NOW;
    weave_assert(locks.code[1] != TRQ_DEBOUNCED || !fired);
    weave_assert(locks.code[1] == TRQ_DEBOUNCED || fired);
}
static const struct locks_story debounce_and_fire = {.spec = debounced,
                                                     .build = enqueue_0,
                                                     .play = {fire, enqueue_1},
                                                     .then = debounced_or_ready,
                                                     .end = locks_no_lost_change};
static const struct locks_story debounce_fire_start = {.spec = debounced,
                                                       .build = enqueue_0,
                                                       .play = {fire_and_work, enqueue_1},
                                                       .end = locks_no_lost_change};
static const struct locks_story debounce_and_cancel = {.spec = debounced,
                                                       .build = enqueue_0,
                                                       .play = {fire, enqueue_1, cancel_0},
                                                       .end = locks_no_lost_change};
static const struct locks_spec replaced[] = {
    {LOCKED, .due = 100, .from_start = true}, {LOCKED, .rule = TRQ_REPLACE}, LAST};
static void replaced_or_ran(void)
{
    bool was = locks.outcome[0] == TRQ_WAS_REPLACED;
    weave_assert(locks.begun[0] == !was && locks.accepted[1] && locks.begun[1] == 1);
    locks_no_lost_change();
}
static const struct locks_story replace_and_fire = {
    .spec = replaced, .build = enqueue_0, .play = {fire, enqueue_1}, .end = replaced_or_ran};
static const struct locks_story replace_fire_start = {
    .spec = replaced, .build = enqueue_0, .play = {fire, enqueue_1, work}, .end = replaced_or_ran};

/* ---- requeued for later ----------------------------------------------------------------------------------------- */

static const struct locks_spec requeued[] = {{FREE, .requeues = 1, .after = 200}, LAST};
static void not_fired(void)
{
    weave_assert(locks.fired_at[0] != NOW);
}
static void requeued_or_cancelled(void)
{
    int said = locks.result[1];
    weave_assert(said == TRQ_OK || said == TRQ_ASKED);
    weave_assert(locks_cancelled(0) && locks.begun[0] <= 1);
}
static const struct locks_story requeue_and_cancel = {.spec = requeued,
                                                      .build = enqueue_0,
                                                      .play = {work, cancel_0, fire},
                                                      .then = not_fired,
                                                      .end = requeued_or_cancelled};
static void ran_twice(void)
{
    weave_assert(locks.begun[0] == 2);
}
static const struct locks_story requeue_and_move = {
    .spec = requeued, .build = enqueue_0, .play = {work, move_earlier, fire}, .end = ran_twice};
/* The timer of its first wait has not come yet when it waits again. */
static const struct locks_spec twice_later[] = {{LATER, .requeues = 1, .after = 200}, LAST};
static void run_now_and_work(void)
{
    trq_run_now(&locks_engine, locks.id[0]);
    locks_work();
}
static const struct locks_story old_timer = {
    .spec = twice_later, .build = enqueue_0, .play = {run_now_and_work, fire}, .end = ran_twice};

/* ---- by a walk through the slots ------------------------------------------------------------------------------ */

/* It reads a job's inputs under its stripe, while others make it, end it, or make another one of its slot. */
static const struct locks_spec two_later[] = {{LATER}, {LATER}, LAST};
static void matched(void)
{
    for (unsigned k = 0; k < 2; k++)
        weave_assert(!locks.accepted[k] || locks.begun[k] == !locks_cancelled(k));
}
static void cancel_0_and_again(void)
{
    locks_cancel(0);
    locks_enqueue(1);
}
static const struct locks_story match_and_enqueue = {
    .spec = two_later, .play = {enqueue_1, locks_cancel_matching}, .end = matched};
static const struct locks_story match_and_end = {
    .spec = two_later,
    .build = enqueue_0,
    .play = {cancel_0_and_again, locks_cancel_matching, fire},
    .end = matched};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault left_out[] = {
    {"schedule.c", "tq_cas(&job->word"}, /* the turn */
    {"settle.c", "tq_cas(&job->word"},   /* of a requeue, too */
    {"settle.c", "tq_store(&job->enqueued"},
    {"queuelock.c", "tq_store(&job->word"},
    {"schedule.c", "tq_store(&job->enqueued"},
    {"life.h", "tq_cas(&job->word"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("cancel and fire", &cancel_and_fire, 3, 2),
        locks_case("cancel, fire and start", &cancel_fire_start, 2, 1),
        locks_case("move later and fire", &later_and_fire, 3, 2),
        locks_case("move earlier and fire", &earlier_and_fire, 3, 2),
        locks_case("move there and back, and fire", &back_and_fire, 3, 1),
        locks_case("two moves and fire", &two_moves, 2, 1),
        locks_case("move to the other clock and fire", &other_clock, 3, 1),
        locks_case("move, cancel and fire", &move_and_cancel, 2, 0),
        locks_case("run now and fire", &now_and_fire, 3, 2),
        locks_case("run now twice", &now_and_now, 2, 1),
        locks_case("run now and cancel", &now_and_cancel, 2, 1),
        locks_case("run now and move", &now_and_later, 2, 1),
        locks_case("fire and claim", &fire_and_claim, 3, 1),
        locks_case("fire, claim and start", &fire_claim_start, 2, 0),
        locks_case("fire into a twin, and cancel", &merge_and_cancel, 2, 0),
        locks_case("fire and run now, into a twin", &now_merges, 2, 0),
        locks_case("debounce and fire", &debounce_and_fire, 3, 1),
        locks_case("debounce, fire and start", &debounce_fire_start, 3, 1),
        locks_case("debounce, fire and cancel", &debounce_and_cancel, 2, 0),
        locks_case("replace and fire", &replace_and_fire, 3, 1),
        locks_case("replace, fire and start", &replace_fire_start, 2, 0),
        locks_case("requeue for later and cancel", &requeue_and_cancel, 2, 0),
        locks_case("requeue for later and move", &requeue_and_move, 2, 0),
        locks_case("requeue for later, and an old timer", &old_timer, 3, 1),
        locks_case("a walk and an enqueue", &match_and_enqueue, 3, 1),
        locks_case("a walk and an end", &match_and_end, 2, 0),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case quick[] = {
        locks_case("cancel and fire", &cancel_and_fire, 2, 1),
        locks_case("move later and fire", &later_and_fire, 2, 1),
        locks_case("move earlier and fire", &earlier_and_fire, 2, 1),
        locks_case("move there and back, and fire", &back_and_fire, 2, 1),
        locks_case("move to the other clock and fire", &other_clock, 2, 1),
        locks_case("run now and fire", &now_and_fire, 2, 1),
        locks_case("fire and claim", &fire_and_claim, 1, 1),
        locks_case("debounce and fire", &debounce_and_fire, 2, 1),
        locks_case("replace and fire", &replace_and_fire, 1, 1),
        locks_case("requeue for later and cancel", &requeue_and_cancel, 1, 0),
        locks_case("requeue for later, and an old timer", &old_timer, 1, 0),
        locks_case("debounce, fire and cancel", &debounce_and_cancel, 1, 0),
        locks_case("a walk and an enqueue", &match_and_enqueue, 1, 1),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
