/* Worker locks under search: claims, releases, parking, invitations, pauses and cancels of jobs with one key.
 *
 * What locks.h says of each story, and: never more runs inside a key than its limit, and what one of them did is seen by the
 * next (a plain word for each key); when all threads have stopped, no key is free that a waiter could have without somebody
 * being on his way, and a hint stands for whatever is ready.
 */
#include "tests/weave/locks.h"

#define KEYED .class = LOCKS_KEYED, .queue_key = LOCKS_NONE, .worker_key = 0
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

static void work(void)
{
    locks_work();
}
static void work_all(void)
{
    locks_work_all();
}
static void let_go_0(void)
{
    locks_let_go(0);
}
static void cancel_1(void)
{
    locks_cancel(1);
}
static void enqueue_2(void)
{
    locks_enqueue(2);
}

static void enqueue_first(unsigned count)
{
    for (unsigned k = 0; k < count; k++)
        weave_assert(locks_enqueue(k) == TRQ_OK);
}

static const struct locks_spec keyed[] = {{KEYED}, {KEYED}, {KEYED}, LAST};

static void all_ran(void)
{
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        weave_assert(!locks.accepted[k] || locks.begun[k] == 1);
}

/* ---- release and claim ------------------------------------------------------------------------------------ */

static void two_wait(void)
{
    enqueue_first(2);
}
static void three_wait(void)
{
    enqueue_first(3);
}
static const struct locks_story two_ask = {
    .spec = keyed, .build = two_wait, .play = {work_all, work_all}, .end = all_ran};
static const struct locks_story three_ask = {
    .spec = keyed, .build = three_wait, .play = {work, work, work}, .end = all_ran};
static const struct locks_story limit_of_two = {
    .spec = keyed, .build = three_wait, .play = {work, work, work}, .end = all_ran, .limit = 2};

static void one_holds(void)
{
    enqueue_first(2);
    locks_hold(0);
}
static const struct locks_story release_and_claim = {
    .spec = keyed, .build = one_holds, .play = {let_go_0, work_all}, .end = all_ran};

/* ---- park and release ------------------------------------------------------------------------------------- */

static void one_holds_one_is_parked(void)
{
    enqueue_first(2);
    locks_hold(0);
    locks_work();
    weave_assert(locks_state(1) == TQ_PARKED);
}
static void one_holds_two_ask(void)
{
    enqueue_first(3);
    locks_hold(0);
}
static const struct locks_story park_and_release = {
    .spec = keyed, .build = one_holds_two_ask, .play = {let_go_0, work, work}, .end = all_ran};

/* The invited one is overtaken by one that has just come, and parks at its old place. */
static const struct locks_story overtaken = {.spec = keyed,
                                             .build = one_holds_one_is_parked,
                                             .play = {let_go_0, enqueue_2, work_all},
                                             .end = all_ran};

/* A pool thread that sleeps when there is nothing: it is woken, or it never ends. */
static void pool_until_1(void)
{
    locks_pool(1);
}
static const struct locks_story asleep = {
    .spec = keyed, .build = one_holds, .play = {let_go_0, pool_until_1}, .end = all_ran};

/* ---- cancels ------------------------------------------------------------------------------------------------ */

static void cancelled_or_run(void)
{
    int said = locks.result[1];
    weave_assert(said == TRQ_OK || said == TRQ_ASKED || said == TRQ_GONE);
    weave_assert(locks.begun[1] == !locks_cancelled(1));
    weave_assert(said != TRQ_OK || locks_cancelled(1));
    weave_assert(said != TRQ_GONE || !locks_cancelled(1));
}
static const struct locks_story cancel_a_waiter = {.spec = keyed,
                                                   .build = one_holds_one_is_parked,
                                                   .play = {let_go_0, cancel_1},
                                                   .end = cancelled_or_run};
static const struct locks_story cancel_an_invited = {.spec = keyed,
                                                     .build = one_holds_one_is_parked,
                                                     .play = {let_go_0, cancel_1, work},
                                                     .end = cancelled_or_run};
static const struct locks_story cancel_who_asks = {
    .spec = keyed, .build = one_holds, .play = {work, cancel_1, let_go_0}, .end = cancelled_or_run};

static void two_are_parked(void)
{
    enqueue_first(3);
    locks_hold(0);
    locks_work_all();
    weave_assert(locks_state(1) == TQ_PARKED && locks_state(2) == TQ_PARKED);
}
/* Invited and cancelled: the next is invited in its stead. */
static const struct locks_story next_in_line = {
    .spec = keyed, .build = two_are_parked, .play = {let_go_0, cancel_1}, .end = cancelled_or_run};

/* ---- a key function that changes its mind ----------------------------------------------------------------- */

static const struct locks_spec asking[] = {
    {KEYED},
    {.class = LOCKS_ASKING, .queue_key = LOCKS_NONE},
    {.class = LOCKS_KEYED, .queue_key = LOCKS_NONE, .worker_key = 1},
    LAST};
static int key_0_then_1(unsigned k)
{
    return locks.asked[k] > 1;
}
static void parked_by_function(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK && locks_enqueue(2) == TRQ_OK);
    locks_hold(0);
    locks_hold(2);
    weave_assert(locks_enqueue(1) == TRQ_OK);
    locks_work_all();
    weave_assert(locks_state(1) == TQ_PARKED);
}
static void let_go_0_and_work(void)
{
    locks_let_go(0);
    locks_work();
}
static void let_go_2(void)
{
    weave_assert(locks_state(1) == TQ_PARKED || locks.ends[1]);
    locks_let_go(2);
}
static const struct locks_story another_key = {.spec = asking,
                                               .build = parked_by_function,
                                               .play = {let_go_0_and_work, cancel_1},
                                               .then = let_go_2,
                                               .key = key_0_then_1};

/* The key is made of the user's data, which change while it is made, or before the run begins. */
static const struct locks_spec derived[] = {
    {.class = LOCKS_ASKING, .queue_key = 0}, {.class = LOCKS_ASKING, .queue_key = 0}, LAST};
static int key_of_datum(unsigned k)
{
    (void)k;
    return (int)tq_load(&locks_datum[1], relaxed);
}
static void enqueue_0(void)
{
    weave_assert(locks_enqueue(0) == TRQ_OK);
}
static void enqueue_1(void)
{
    locks_enqueue(1);
}
/* Refused: the run held the key of what the caller wrote. */
static void key_of_now(void)
{
    locks_no_lost_change();
    weave_assert(locks.accepted[1] || locks.ran_under[0] == 1);
}
static const struct locks_story refused_while_asking = {.spec = derived,
                                                        .build = enqueue_0,
                                                        .play = {work, enqueue_1},
                                                        .end = key_of_now,
                                                        .key = key_of_datum};

/* ---- pause and wake-up --------------------------------------------------------------------------------------- */

static const struct locks_spec two_queues[] = {{KEYED}, {KEYED}, {KEYED, .queue = 1}, LAST};
static void pause_0(void)
{
    locks_pause(0, true);
}
static void resume_0(void)
{
    locks_pause(0, false);
}
static void pause_and_resume_0(void)
{
    pause_0();
    resume_0();
}
static void parked_while_paused(void)
{
    one_holds_one_is_parked();
    locks_pause(0, true);
}
/* That one of the other queue is invited instead is what finish looks at: I2. */
static const struct locks_story pause_and_release = {.spec = two_queues,
                                                     .build = two_are_parked,
                                                     .play = {let_go_0, pause_0},
                                                     .end = all_ran,
                                                     .moves_queue = true};
static const struct locks_story pause_and_invited = {.spec = two_queues,
                                                     .build = two_are_parked,
                                                     .play = {let_go_0, pause_0, work},
                                                     .end = all_ran,
                                                     .moves_queue = true};
static const struct locks_story resume_and_release = {.spec = keyed,
                                                      .build = parked_while_paused,
                                                      .play = {let_go_0, resume_0},
                                                      .end = all_ran,
                                                      .moves_queue = true};
static const struct locks_story resume_and_sleeper = {.spec = keyed,
                                                      .build = parked_while_paused,
                                                      .play = {let_go_0, pool_until_1, resume_0},
                                                      .end = all_ran,
                                                      .moves_queue = true};
static const struct locks_story pause_and_park = {.spec = two_queues,
                                                  .build = one_holds_two_ask,
                                                  .play = {let_go_0, pause_and_resume_0, work},
                                                  .end = all_ran,
                                                  .moves_queue = true};
static const struct locks_story pause_and_cancel = {.spec = two_queues,
                                                    .build = two_are_parked,
                                                    .play = {let_go_0, pause_0, cancel_1},
                                                    .moves_queue = true};

/* ---- both locks: a parked twin is replaced -------------------------------------------------------------------- */

static const struct locks_spec both[] = {
    {KEYED},
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0},
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0, .rule = TRQ_REPLACE},
    LAST};
static void replaced_or_ran(void)
{
    bool replaced = locks.outcome[1] == TRQ_WAS_REPLACED;
    weave_assert(locks.begun[1] == !replaced);
    weave_assert(!replaced || locks.code[2] == TRQ_REPLACED);
    locks_no_lost_change();
}
static const struct locks_story replace_a_parked = {.spec = both,
                                                    .build = one_holds_one_is_parked,
                                                    .play = {let_go_0, enqueue_2},
                                                    .end = replaced_or_ran};
static const struct locks_story replace_and_wake = {.spec = both,
                                                    .build = one_holds_one_is_parked,
                                                    .play = {let_go_0, enqueue_2, work},
                                                    .end = replaced_or_ran};
static const struct locks_story replace_who_asks = {
    .spec = both, .build = one_holds, .play = {let_go_0, enqueue_2, work}, .end = replaced_or_ran};

/* It takes the place in line of the one it replaces, whether that one is parked or just woken: ahead of what came later. */
static const struct locks_spec in_line[] = {
    {KEYED},
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0},
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0, .rule = TRQ_REPLACE},
    {.queue_key = LOCKS_NONE},
    LAST};
static void parked_and_one_behind(void)
{
    one_holds_one_is_parked();
    weave_assert(locks_enqueue(3) == TRQ_OK);
}
static void in_its_place(void)
{
    replaced_or_ran();
    weave_assert(locks.when[2] < locks.when[3]);
}
static const struct locks_story place_in_line = {.spec = in_line,
                                                 .build = parked_and_one_behind,
                                                 .play = {let_go_0, enqueue_2},
                                                 .end = in_its_place};
static const struct locks_story replace_and_pause = {.spec = both,
                                                     .build = one_holds_one_is_parked,
                                                     .play = {let_go_0, enqueue_2, pause_0},
                                                     .end = replaced_or_ran,
                                                     .moves_queue = true};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault weaker[] = {
    {"queuelock.c",
     "tq_cas(&twin->word, acq_rel, acquire): acquire"},        /* I3: the release of a refusal */
    {"workerlock.c", "tq_load(&job->word, acquire): relaxed"}, /* end_parked */
    {"life.h", "tq_cas(&job->word, acq_rel, acquire): acquire"},
    {NULL, NULL},
};
static const struct locks_fault left_out[] = {
    {"queuelock.c", "tq_cas(&twin->word"}, /* I3: a refusal that is no write */
    {"workerlock.c", "tq_store(&side->tie"},   {"workerlock.c", "tq_add(&queue->parked"},
    {"workerlock.c", "tq_sub(&queue->parked"}, {"side.h", "tq_store(&key[0]"},
    {"life.h", "tq_cas(&job->word"},           {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("release and claim", &release_and_claim, 3, 0),
        locks_case("two ask for a key", &two_ask, 2, 1),
        locks_case("three ask for a key", &three_ask, 1, 0),
        locks_case("three ask for a key of two", &limit_of_two, 1, 0),
        locks_case("park and release", &park_and_release, 2, 0),
        locks_case("overtaken", &overtaken, 2, 0),
        locks_case("a sleeper is woken", &asleep, 2, 1),
        locks_case("a waiter is cancelled", &cancel_a_waiter, 3, 2),
        locks_case("an invited one is cancelled", &cancel_an_invited, 2, 0),
        locks_case("the next in line", &next_in_line, 3, 1),
        locks_case("who asks is cancelled", &cancel_who_asks, 2, 0),
        locks_case("another key", &another_key, 2, 0),
        locks_case("refused while the key is made", &refused_while_asking, 2, 1),
        locks_case("pause and release", &pause_and_release, 3, 1),
        locks_case("pause and an invited one", &pause_and_invited, 2, 0),
        locks_case("pause and park", &pause_and_park, 2, 0),
        locks_case("pause and cancel", &pause_and_cancel, 2, 0),
        locks_case("resume and release", &resume_and_release, 3, 1),
        locks_case("resume and a sleeper", &resume_and_sleeper, 2, 0),
        locks_case("a parked one is replaced", &replace_a_parked, 2, 1),
        locks_case("a parked one is replaced and woken", &replace_and_wake, 2, 0),
        locks_case("a place in line", &place_in_line, 3, 1),
        locks_case("replace and pause", &replace_and_pause, 2, 0),
        locks_case("who asks is to be replaced", &replace_who_asks, 2, 0),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case quick[] = {
        locks_case("release and claim", &release_and_claim, 1, 1),
        locks_case("a sleeper is woken", &asleep, 1, 1),
        locks_case("a waiter is cancelled", &cancel_a_waiter, 1, 1),
        locks_case("an invited one is cancelled", &cancel_an_invited, 1, 0),
        locks_case("another key", &another_key, 1, 1),
        locks_case("refused while the key is made", &refused_while_asking, 2, 1),
        locks_case("pause and release", &pause_and_release, 1, 1),
        locks_case("resume and release", &resume_and_release, 1, 1),
        locks_case("a parked one is replaced", &replace_a_parked, 1, 1),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_mutate(quick, QUICK, weaker);
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
