/* Why a job failed, asked while it fails, ends, is merged, or has left its things to another, under search.
 *
 * What locks.h says of each story, and: each text that is told is whole, and of that job, or of one with its queue lock; what
 * is told was so at one moment: as many failures as it had then, or that it has ended.
 *
 * Of what is read, only who has the stripe may change a list that is not empty; that what was read was that job's is known by
 * a modification of its word that changes nothing (trail.c). A load in its place answers from the past: the seeded fault. The
 * orders of cold, side->trail and the list survive all the same: what they would order is asked for by that modification.
 */
#include "tests/weave/locks.h"

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
static void work(void)
{
    locks_work();
}
static void fire(void)
{
    locks_pass(DUE);
    locks_fire(DUE);
}
static void ask_0(void)
{
    locks.result[locks_self()] = locks_failures(0);
}

static const struct locks_spec when_due[] = {{LOCKED, ONCE, .after = 100}, {LOCKED}, LAST};
static void failing_0_waiting_1(void)
{
    enqueue_0();
    locks_work(); /* it has failed, and is put off */
    weave_assert(locks_state(0) == TQ_SCHEDULED && locks_enqueue(1) == TRQ_OK);
    locks_pass(DUE);
}

/* Of a job that fails just now; that ends; whose slot, side and list are another job's by then. */
static const struct locks_spec others[] = {
    {FREE, .fails = 2, .retries = 2}, {FREE, .fails = 2, .retries = 2}, LAST};
static const struct locks_spec bystander[] = {
    {.class = LOCKS_KEYED, .queue_key = LOCKS_NONE, .worker_key = 0},
    {.class = LOCKS_KEYED, .queue_key = LOCKS_NONE, .worker_key = 1, ONCE},
    LAST};
static const struct locks_spec mortal_bystander[] = {
    {FREE, .expires_in = 100}, {FREE, .expires_in = 100, ONCE}, LAST};
static const struct locks_spec four_times[] = {{FREE, .fails = 5, .retries = 5}, LAST};
static void failed_once(void)
{
    enqueue_0();
    locks_work();
    weave_assert(locks_state(0) == TQ_READY);
}
static void failed_four_times(void)
{
    enqueue_0();
    for (int i = 0; i < 4; i++)
        locks_work();
}
static void failed_and_last(void)
{
    enqueue_0();
    locks_work();
    locks_work();
}
static void told_one_or_two(void)
{
    int said = locks.result[1];
    weave_assert(said == 1 || said == 2);
}
static const struct locks_story ask_and_fail = {
    .spec = others, .build = failed_once, .play = {work, ask_0}, .end = told_one_or_two};
static void told_all_or_gone(void)
{
    int said = locks.result[1];
    weave_assert(said == 2 || said == TRQ_GONE);
}
static const struct locks_story ask_and_end = {
    .spec = others, .build = failed_and_last, .play = {work, ask_0}, .end = told_all_or_gone};
static void work_and_another(void)
{
    locks_work();
    locks_enqueue(1);
    locks_work();
}
static const struct locks_story ask_and_reuse = {.spec = others,
                                                 .build = failed_and_last,
                                                 .play = {work_and_another, ask_0},
                                                 .end = told_all_or_gone};
/* A job that never failed, with a side or limits of its own, which are those of one that fails an instant later. */
static void told_none_or_gone(void)
{
    int said = locks.result[1];
    weave_assert(said == 0 || said == TRQ_GONE);
}
static const struct locks_story ask_a_side = {.spec = bystander,
                                              .build = enqueue_0,
                                              .play = {work_and_another, ask_0},
                                              .end = told_none_or_gone};
static const struct locks_story ask_a_trail = {.spec = mortal_bystander,
                                               .build = enqueue_0,
                                               .play = {work_and_another, ask_0},
                                               .end = told_none_or_gone};
/* The oldest is cut off: there are never more than are kept. */
static void told_four(void)
{
    weave_assert(locks.result[1] == TRQ_FAILURES_KEPT);
}
static const struct locks_story ask_and_cut = {
    .spec = four_times, .build = failed_four_times, .play = {work, ask_0}, .end = told_four};
static const struct locks_story ask_and_merge = {
    .spec = when_due, .build = failing_0_waiting_1, .play = {fire, ask_0, work}};
static void ask_1(void)
{
    locks.result[locks_self()] = locks_failures(1);
}
static const struct locks_story ask_and_take_along = {
    .spec = when_due, .build = failing_0_waiting_1, .play = {fire, ask_1, work}};

/* The seeded fault: who asks, or who changes, does not take the stripe. */
static const struct locks_story hasty_reader = {.spec = others,
                                                .build = failed_and_last,
                                                .play = {work_and_another, ask_0},
                                                .without_stripe = 1 << 1};
static const struct locks_story hasty_owner = {.spec = others,
                                               .build = failed_and_last,
                                               .play = {work_and_another, ask_0},
                                               .without_stripe = 1 << 0};

/* ... or is content with a look at the word. */
static void ask_0_by_look(void)
{
    struct trq_failure told[2];
    uint32_t index = (uint32_t)locks.id[0].slot;
    const struct tq_job *job = tq_job_at(&locks_engine, index);
    size_t count = 0;
    tq_stripe_lock(&locks_engine, index);
    if (locks_state_seen(0))
        count = tq_trail_failures(&locks_engine, job, told, 2);
    bool lives = locks_state_seen(0);
    tq_stripe_unlock(&locks_engine, index);
    locks.result[locks_self()] = lives ? (int)count : TRQ_GONE;
}
static const struct locks_story by_look = {.spec = others,
                                           .build = failed_and_last,
                                           .play = {work, ask_0_by_look},
                                           .end = told_all_or_gone};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault left_out[] = {
    {"trail.c", "tq_store(&side->trail"},
    {"trail.c", "tq_store(&trail_at(e, trail)->slips"},
    {"trail.c", "tq_store(&job->cold"},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("ask why, and fail", &ask_and_fail, 3, 2),
        locks_case("ask why, and end", &ask_and_end, 3, 2),
        locks_case("ask why, and another in its slot", &ask_and_reuse, 3, 1),
        locks_case("ask why, and another with its side", &ask_a_side, 3, 1),
        locks_case("ask why, and another with its limits", &ask_a_trail, 3, 1),
        locks_case("ask why, and the oldest goes", &ask_and_cut, 3, 1),
        locks_case("ask why, and merge", &ask_and_merge, 2, 1),
        locks_case("ask why, and it is taken along", &ask_and_take_along, 2, 1),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case faulty[] = {
        locks_case("why, without the stripe", &hasty_reader, 2, 1),
        locks_case("an end without the stripe", &hasty_owner, 2, 1),
        locks_case("why, by a look", &by_look, 3, 1),
    };
    for (unsigned i = 0; i < sizeof faulty / sizeof *faulty; i++)
        sync_found(&faulty[i], "");
    const struct weave_case quick[] = {
        locks_case("ask why, and fail", &ask_and_fail, 1, 1),
        locks_case("ask why, and end", &ask_and_end, 2, 1),
        locks_case("ask why, and another in its slot", &ask_and_reuse, 1, 1),
        locks_case("ask why, and another with its side", &ask_a_side, 1, 1),
        locks_case("ask why, and another with its limits", &ask_a_trail, 1, 1),
        locks_case("ask why, and merge", &ask_and_merge, 1, 0),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_mutate(quick, QUICK, (const struct locks_fault[]){{NULL, NULL}});
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
