/* Jobs that must begin by some time, under search: the timer that ends them, and whoever else wants the same job just then.
 *
 * What locks.h says of each story, and:
 *   - a job ends as expired only when the time of *that* wait is over, by the clock; a timer of an earlier wait never ends
 *     a later one;
 *   - it begins only in time, by the clock as it stood when it was started; one that has begun does not expire;
 *   - each READY, STARTING or PARKED job that may expire has a timer of its turn, not later than its time (core/schedule.h,
 *     I3): looked at when all threads have stopped;
 *   - a call is not refused by a job whose time was over when the call began (4.7): who meets such a one ends it.
 */
#include "tests/weave/locks.h"

#include <tresque/schedule.h>

#define FREE .queue_key = LOCKS_NONE, .worker_key = LOCKS_NONE
#define LOCKED .queue_key = 0, .worker_key = LOCKS_NONE
#define KEYED .class = LOCKS_KEYED, .queue_key = LOCKS_NONE, .worker_key = 0
#define BOTH .class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0
#define MORTAL .expires_in = 100
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

enum { OVER = 150 /* for who began to wait at 0 */, LONG_OVER = 300 };

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
static void cancel_1(void)
{
    locks_cancel(1);
}
static void let_go_0(void)
{
    locks_let_go(0);
}
/* The time is over, and the housekeeper has seen that. */
static void time_is_over(void)
{
    locks_pass(OVER);
    locks_fire(OVER);
}
static void time_is_long_over(void)
{
    locks_pass(LONG_OVER);
    locks_fire(LONG_OVER);
}

static bool expired(unsigned k)
{
    return locks_ended_as(k, TRQ_WAS_EXPIRED);
}

/* ---- expiry and start --------------------------------------------------------------------------------------- */

static const struct locks_spec mortal[] = {{FREE, MORTAL}, LAST};
static void expired_or_ran(void)
{
    weave_assert(locks.begun[0] == !expired(0));
}
static const struct locks_story expire_and_start = {
    .spec = mortal, .build = enqueue_0, .play = {work, time_is_over}, .end = expired_or_ran};

/* Its timer is submitted after it was published. */
static const struct locks_story enqueue_and_expire = {
    .spec = mortal, .play = {enqueue_0, time_is_over, work}, .end = expired_or_ran};

static void cancelled_or_so(void)
{
    int said = locks.result[2];
    weave_assert(said == TRQ_OK || said == TRQ_ASKED || said == TRQ_GONE);
    weave_assert(locks_cancelled(0) == (said == TRQ_OK));
    weave_assert(locks.begun[0] == (!expired(0) && said != TRQ_OK));
}
static const struct locks_story expire_start_cancel = {.spec = mortal,
                                                       .build = enqueue_0,
                                                       .play = {work, time_is_over, cancel_0},
                                                       .end = cancelled_or_so};

/* Its slot is another job's, who has all his time before him, when the timer comes. */
static const struct locks_spec two_mortals[] = {{FREE, MORTAL}, {FREE, MORTAL}, LAST};
static void work_and_another(void)
{
    locks_work();
    locks_enqueue(1);
}
static const struct locks_story old_slot = {.spec = two_mortals,
                                            .build = enqueue_0,
                                            .play = {work_and_another, time_is_over},
                                            .end = expired_or_ran};

/* ---- a wait after a wait: the turn ---------------------------------------------------------------------------- */

/* That it does not expire before its time is looked at when it is told; here: who has run once and is asked for at once is
 * not ended by the timer of the first wait. */
static const struct locks_spec again[] = {{FREE, MORTAL, .requeues = 1}, LAST};
static const struct locks_spec fails_once[] = {{FREE, MORTAL, .fails = 1, .retries = 1}, LAST};
static const struct locks_spec again_later[] = {{FREE, MORTAL, .requeues = 1, .after = 10}, LAST};
static const struct locks_spec again_locked[] = {{LOCKED, MORTAL, .requeues = 1}, {LOCKED}, LAST};
static void twice_unless_expired(void)
{
    weave_assert(locks.begun[0] == 2 || expired(0));
}
static const struct locks_story requeue_and_expire = {
    .spec = again, .build = enqueue_0, .play = {work, time_is_over}, .end = twice_unless_expired};
static const struct locks_story requeue_expire_start = {.spec = again,
                                                        .build = enqueue_0,
                                                        .play = {work, time_is_over, work},
                                                        .end = twice_unless_expired};
static const struct locks_story retry_and_expire = {.spec = fails_once,
                                                    .build = enqueue_0,
                                                    .play = {work, time_is_over},
                                                    .end = twice_unless_expired};
static const struct locks_story later_and_expire = {.spec = again_later,
                                                    .build = enqueue_0,
                                                    .play = {work, time_is_over},
                                                    .end = twice_unless_expired};
static const struct locks_story requeue_locked = {.spec = again_locked,
                                                  .build = enqueue_0,
                                                  .play = {work, time_is_over},
                                                  .end = twice_unless_expired};
static void merged_or_twice(void)
{
    bool merged = locks_ended_as(0, TRQ_WAS_MERGED);
    weave_assert(locks.begun[0] == 2 || merged || expired(0));
    locks_no_lost_change();
}
static const struct locks_story requeue_expire_claim = {.spec = again_locked,
                                                        .build = enqueue_0,
                                                        .play = {work, time_is_over, enqueue_1},
                                                        .end = merged_or_twice};

/* The seeded fault: a housekeeper who ends whatever waits in that slot, of that generation, since it is late. */
static void blind_to_turns(void)
{
    struct tq_ended ended;
    uint64_t word;
    uint32_t index = (uint32_t)locks.id[0].slot;
    locks_pass(OVER);
    if (tq_trail_expires(&locks_engine, tq_job_at(&locks_engine, index)) <= OVER &&
        tq_job_end_waiting(&locks_engine, locks_local(), index, (uint32_t)(locks.id[0].slot >> 32),
                           TQ_ENDED_EXPIRED, &ended, &word))
        tq_ended_finish(&locks_engine, locks_local(), &ended);
}
static const struct locks_story without_turn = {
    .spec = again, .build = enqueue_0, .play = {work, blind_to_turns}};

/* ---- scheduled before ------------------------------------------------------------------------------------------ */

/* Its time counts from when it is due; the timer by which it is due, and that by which it expires, have the same turn. */
static const struct locks_spec later[] = {{FREE, .due = 100, MORTAL}, LAST};
static void run_now_0(void)
{
    trq_run_now(&locks_engine, locks.id[0]);
}
static const struct locks_story due_and_expire = {.spec = later,
                                                  .build = enqueue_0,
                                                  .play = {time_is_over, time_is_long_over, work},
                                                  .end = expired_or_ran};
static const struct locks_story now_and_expire = {.spec = later,
                                                  .build = enqueue_0,
                                                  .play = {run_now_0, time_is_over, work},
                                                  .end = expired_or_ran};
/* Put off and then told to run now: the timer by which it was to be due comes to a job that is READY, and has the turn of its
 * wait. What it finds there is when *this* wait is over, not the one before. */
static void put_off_0(void)
{
    enqueue_0();
    locks_work();
    weave_assert(locks_state(0) == TQ_SCHEDULED);
    locks_pass(OVER);
}
static void fire_over(void)
{
    locks_fire(OVER);
}
static void in_its_second_wait(void)
{
    weave_assert(locks.begun[0] == 2);
}
static const struct locks_story now_and_old_timer = {.spec = again_later,
                                                     .build = put_off_0,
                                                     .play = {run_now_0, fire_over},
                                                     .end = in_its_second_wait};
static const struct locks_spec later_locked[] = {{LOCKED, .due = 100, MORTAL}, {LOCKED}, LAST};
static void merged_or_ran(void)
{
    weave_assert(locks.begun[0] == !(expired(0) || locks_ended_as(0, TRQ_WAS_MERGED)));
    locks_no_lost_change();
}
static const struct locks_story due_expire_claim = {.spec = later_locked,
                                                    .build = enqueue_0,
                                                    .play = {time_is_over, enqueue_1, work},
                                                    .end = merged_or_ran};

/* ---- with a queue lock: who meets a late one (4.7) ------------------------------------------------------------- */

static const struct locks_spec twins[] = {{LOCKED, MORTAL}, {LOCKED}, {LOCKED}, LAST};
static const struct locks_spec mortal_twins[] = {
    {LOCKED, MORTAL}, {LOCKED, MORTAL}, {LOCKED, MORTAL}, LAST};
static const struct locks_spec replacing[] = {
    {LOCKED, MORTAL}, {LOCKED, MORTAL, .rule = TRQ_REPLACE}, {LOCKED}, LAST};
static void late_0(void)
{
    enqueue_0();
    locks_pass(OVER);
}
static void the_late_one_goes(void)
{
    weave_assert(expired(0));
    locks_no_lost_change();
}
static void one_is_left(void)
{
    the_late_one_goes();
    weave_assert(locks.accepted[1] && locks.begun[1] == 1);
}
static const struct locks_story meet_and_expire = {
    .spec = twins, .build = late_0, .play = {enqueue_1, time_is_over}, .end = one_is_left};
static const struct locks_story meet_and_start = {
    .spec = twins, .build = late_0, .play = {enqueue_1, work}, .end = one_is_left};
static const struct locks_story meet_start_expire = {
    .spec = twins, .build = late_0, .play = {enqueue_1, work, time_is_over}, .end = one_is_left};
static const struct locks_story two_meet = {
    .spec = twins, .build = late_0, .play = {enqueue_1, enqueue_2, work}, .end = the_late_one_goes};
static const struct locks_story meet_in_time = {.spec = twins,
                                                .build = enqueue_0,
                                                .play = {enqueue_1, time_is_over, work},
                                                .end = locks_no_lost_change};
static const struct locks_story meet_and_cancel = {
    .spec = twins, .build = late_0, .play = {enqueue_1, cancel_0}, .end = locks_no_lost_change};
static const struct locks_story meet_mortals = {.spec = mortal_twins,
                                                .build = enqueue_0,
                                                .play = {enqueue_1, time_is_over, work},
                                                .end = locks_no_lost_change};
/* The newer one is in the slot of the older, and the older one's timer comes. */
static const struct locks_story replace_and_expire = {.spec = replacing,
                                                      .build = enqueue_0,
                                                      .play = {enqueue_1, time_is_over},
                                                      .end = locks_no_lost_change};
static const struct locks_story replace_expire_start = {.spec = replacing,
                                                        .build = enqueue_0,
                                                        .play = {enqueue_1, time_is_over, work},
                                                        .end = locks_no_lost_change};

/* One comes back, and who waits with its key is late: that one goes, or both are one before its time is over. */
static const struct locks_spec comes_back[] = {{LOCKED, .requeues = 1}, {LOCKED, MORTAL}, LAST};
static void not_into_a_late_one(void)
{
    if (locks_ended_as(0, TRQ_WAS_MERGED))
        weave_assert(locks.other[0] == 1);
    else
        weave_assert(locks.begun[0] == 2);
    locks_no_lost_change();
}
static void enqueue_1_and_wait(void)
{
    locks_enqueue(1);
    locks_pass(OVER);
}
static const struct locks_story return_to_a_late_one = {.spec = comes_back,
                                                        .build = enqueue_0,
                                                        .play = {work, enqueue_1_and_wait},
                                                        .end = not_into_a_late_one};
static const struct locks_story return_expire_start = {
    .spec = comes_back,
    .build = enqueue_0,
    .play = {work, enqueue_1_and_wait, time_is_over},
    .end = not_into_a_late_one};

/* ---- with a worker lock ----------------------------------------------------------------------------------------- */

static const struct locks_spec keyed[] = {{KEYED}, {KEYED, MORTAL}, {KEYED}, LAST};
static void one_holds(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK && locks_enqueue(1) == TRQ_OK);
    locks_hold(0);
}
static void one_holds_one_is_parked(void)
{
    one_holds();
    locks_work();
    weave_assert(locks_state(1) == TQ_PARKED);
}
static void expired_or_ran_1(void)
{
    weave_assert(locks.begun[1] == !expired(1));
}
static const struct locks_story expire_a_parked = {.spec = keyed,
                                                   .build = one_holds_one_is_parked,
                                                   .play = {let_go_0, time_is_over},
                                                   .end = expired_or_ran_1};
static const struct locks_story expire_an_invited = {.spec = keyed,
                                                     .build = one_holds_one_is_parked,
                                                     .play = {let_go_0, time_is_over, work},
                                                     .end = expired_or_ran_1};
/* STARTING when the timer comes, and then parked: the timer comes again. */
static const struct locks_story expire_who_asks = {.spec = keyed,
                                                   .build = one_holds,
                                                   .play = {work, time_is_over, let_go_0},
                                                   .end = expired_or_ran_1};
static void cancelled_or_so_1(void)
{
    int said = locks.result[2];
    weave_assert(said == TRQ_OK || said == TRQ_ASKED || said == TRQ_GONE);
    weave_assert(said != TRQ_OK || locks_cancelled(1));
    weave_assert(locks.begun[1] == (!expired(1) && !locks_cancelled(1)));
}
static const struct locks_story expire_cancel_asking = {.spec = keyed,
                                                        .build = one_holds,
                                                        .play = {work, time_is_over, cancel_1},
                                                        .then = let_go_0,
                                                        .end = cancelled_or_so_1};
/* Parked, late, and met. */
static const struct locks_spec both[] = {{KEYED}, {BOTH, MORTAL}, {BOTH}, LAST};
static const struct locks_spec both_replacing[] = {
    {KEYED}, {BOTH, MORTAL}, {BOTH, .rule = TRQ_REPLACE}, LAST};
static void parked_and_late(void)
{
    one_holds_one_is_parked();
    locks_pass(OVER);
}
static void the_parked_one_goes(void)
{
    weave_assert(locks.accepted[2] && expired(1));
    locks_no_lost_change();
}
static const struct locks_story meet_a_parked = {.spec = both,
                                                 .build = parked_and_late,
                                                 .play = {let_go_0, enqueue_2, time_is_over},
                                                 .end = the_parked_one_goes};
static const struct locks_story replace_a_parked = {.spec = both_replacing,
                                                    .build = one_holds_one_is_parked,
                                                    .play = {let_go_0, enqueue_2, time_is_over},
                                                    .end = locks_no_lost_change};
/* Late, and about to find out as it asks for its key, when it is met. */
static const struct locks_spec asks_late[] = {{BOTH, MORTAL}, {BOTH}, LAST};
static const struct locks_story meet_who_starts = {
    .spec = asks_late, .build = late_0, .play = {work, enqueue_1}, .end = locks_no_lost_change};
static const struct locks_story meet_who_starts_late = {.spec = asks_late,
                                                        .build = enqueue_0,
                                                        .play = {work, enqueue_1, time_is_over},
                                                        .end = locks_no_lost_change};

/* ... and has to wait for its key: two of one queue lock wait then, but only the newer one has it. */
static void over_and_enqueue_2(void)
{
    locks_pass(OVER);
    locks_enqueue(2);
}
static void the_newer_one_runs(void)
{
    locks_no_lost_change();
    weave_assert(locks.begun[1] == !expired(1));
}
static const struct locks_story meet_who_parks = {.spec = both,
                                                  .build = one_holds,
                                                  .play = {work, over_and_enqueue_2, let_go_0},
                                                  .end = the_newer_one_runs};
static const struct locks_story meet_who_parks_late = {.spec = both,
                                                       .build = one_holds,
                                                       .play = {work, enqueue_2, time_is_over},
                                                       .then = let_go_0,
                                                       .end = the_newer_one_runs};

/* Back to its place, since its key has changed: within the same wait, whose timer may have come meanwhile. */
static const struct locks_spec derived[] = {
    {.class = LOCKS_ASKING, .queue_key = 0, MORTAL}, {.class = LOCKS_ASKING, .queue_key = 0}, LAST};
static int key_of_datum(unsigned k)
{
    (void)k;
    return (int)tq_load(&locks_datum[1], relaxed);
}
static const struct locks_story back_to_its_place = {.spec = derived,
                                                     .build = enqueue_0,
                                                     .play = {work, enqueue_1, time_is_over},
                                                     .end = locks_no_lost_change,
                                                     .key = key_of_datum};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault weaker[] = {
    /* A timer that finds the word of this wait finds when it is over, too. */
    {"schedule.c", "tq_load(&tq_job_at(engine, index)->word, acquire): relaxed"},
    {"life.h", "tq_cas(&job->word, acq_rel, acquire): acquire"},
    {NULL, NULL},
};
static const struct locks_fault left_out[] = {
    {"settle.c", "tq_cas(&job->word"}, /* the turn */
    {"trail.c", "tq_store(&trail->expires"},
    {"life.h", "tq_cas(&job->word"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("expire and start", &expire_and_start, 3, 1),
        locks_case("enqueue and expire", &enqueue_and_expire, 2, 0),
        locks_case("expire, start and cancel", &expire_start_cancel, 2, 1),
        locks_case("expire, in an old slot", &old_slot, 2, 1),
        locks_case("requeue and expire", &requeue_and_expire, 3, 2),
        locks_case("requeue, expire and start", &requeue_expire_start, 2, 0),
        locks_case("retry and expire", &retry_and_expire, 2, 1),
        locks_case("requeue for later and expire", &later_and_expire, 2, 1),
        locks_case("requeue with a lock, and expire", &requeue_locked, 2, 1),
        locks_case("requeue with a lock, expire and claim", &requeue_expire_claim, 2, 0),
        locks_case("due and expire", &due_and_expire, 2, 0),
        locks_case("run now and expire", &now_and_expire, 2, 0),
        locks_case("run now, and the timer of the put-off", &now_and_old_timer, 3, 2),
        locks_case("due with a lock, expire and claim", &due_expire_claim, 2, 0),
        locks_case("a late one is met and expires", &meet_and_expire, 2, 1),
        locks_case("a late one is met and started", &meet_and_start, 2, 1),
        locks_case("a late one is met, started, and expires", &meet_start_expire, 2, 0),
        locks_case("a late one is met twice", &two_meet, 2, 0),
        locks_case("one is met when its time is over", &meet_in_time, 2, 0),
        locks_case("a late one is met and cancelled", &meet_and_cancel, 2, 1),
        locks_case("one that may expire is met by another", &meet_mortals, 2, 0),
        locks_case("replace and expire", &replace_and_expire, 2, 1),
        locks_case("replace, expire and start", &replace_expire_start, 2, 0),
        locks_case("a return to a late one", &return_to_a_late_one, 2, 1),
        locks_case("a return to one that expires", &return_expire_start, 2, 0),
        locks_case("a parked one expires", &expire_a_parked, 3, 1),
        locks_case("an invited one expires", &expire_an_invited, 2, 0),
        locks_case("who asks expires", &expire_who_asks, 2, 0),
        locks_case("who asks expires and is cancelled", &expire_cancel_asking, 2, 0),
        locks_case("a late parked one is met", &meet_a_parked, 2, 0),
        locks_case("a parked one is replaced and expires", &replace_a_parked, 2, 0),
        locks_case("a late one is met as it starts", &meet_who_starts, 2, 1),
        locks_case("one is met as it starts and is late", &meet_who_starts_late, 2, 0),
        locks_case("who asks is late, is met and waits", &meet_who_parks, 2, 0),
        locks_case("who asks is met, is late and waits", &meet_who_parks_late, 2, 0),
        locks_case("back to its place, and late", &back_to_its_place, 2, 0),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case faulty = locks_case("a timer that knows no turn", &without_turn, 2, 1);
    sync_found(&faulty, "before its time");
    const struct weave_case quick[] = {
        locks_case("expire and start", &expire_and_start, 1, 1),
        locks_case("requeue and expire", &requeue_and_expire, 2, 1),
        locks_case("run now, and the timer of the put-off", &now_and_old_timer, 2, 1),
        locks_case("expire, in an old slot", &old_slot, 1, 1),
        locks_case("a late one is met and expires", &meet_and_expire, 1, 1),
        locks_case("replace and expire", &replace_and_expire, 1, 0),
        locks_case("a return to a late one", &return_to_a_late_one, 1, 0),
        locks_case("who asks expires", &expire_who_asks, 1, 0),
        locks_case("one is met as it starts and is late", &meet_who_starts_late, 1, 0),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_mutate(quick, QUICK, weaker);
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
