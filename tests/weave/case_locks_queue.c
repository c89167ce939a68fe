/* Queue locks under search: claims, refusals, starts, cancels, replacements and returns of jobs with one key.
 *
 * In each story (locks.h): each accepted job ends once and is told of once, its payload, slot and credits go back once;
 * afterwards the tables agree with the jobs, and no key is held. No lost change: a datum that was set before a call that was
 * refused is seen by the run of the twin that it was told of, unless that one is cancelled.
 */
#include "tests/weave/locks.h"

#define JOB(...)                                                                                   \
    {                                                                                              \
        .queue_key = 0, .worker_key = LOCKS_NONE, __VA_ARGS__                                      \
    }
#define LAST                                                                                       \
    {                                                                                              \
        .class = LOCKS_NONE                                                                        \
    }

static void enqueue_0(void)
{
    locks_enqueue(0);
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
static void work_all(void)
{
    locks_work_all();
}
static void cancel_0(void)
{
    locks_cancel(0);
}

static unsigned accepted(void)
{
    unsigned n = 0;
    for (unsigned k = 0; k < LOCKS_JOBS; k++)
        n += locks.accepted[k];
    return n;
}

static const struct locks_spec plain[] = {JOB(), JOB(), JOB(), LAST};

/* ---- claim and claim -------------------------------------------------------------------------------------- */

static void one_was_accepted(void)
{
    weave_assert(accepted() == 1);
    locks_no_lost_change();
}
static const struct locks_story claim_and_claim = {
    .spec = plain, .play = {enqueue_0, enqueue_1}, .end = one_was_accepted};
static const struct locks_story three_claims = {
    .spec = plain, .play = {enqueue_0, enqueue_1, enqueue_2}, .end = one_was_accepted};
static const struct locks_story claims_and_start = {
    .spec = plain, .play = {enqueue_0, enqueue_1, work}, .end = locks_no_lost_change};

/* ---- refusal and start: the litmus ------------------------------------------------------------------------ */

static const struct locks_story refusal_and_start = {
    .spec = plain, .build = enqueue_0, .play = {work, enqueue_1}, .end = locks_no_lost_change};
static const struct locks_story two_refusals_and_start = {.spec = plain,
                                                          .build = enqueue_0,
                                                          .play = {work, enqueue_1, enqueue_2},
                                                          .end = locks_no_lost_change};
static void enqueue_1_blind(void)
{
    locks_enqueue_blind(1, 0, false);
}
static void enqueue_1_by_look(void)
{
    locks_enqueue_blind(1, 0, true);
}
static const struct locks_story by_look = {.spec = plain,
                                           .build = enqueue_0,
                                           .play = {work, enqueue_1_by_look},
                                           .end = locks_no_lost_change};
static const struct locks_story blind = {.spec = plain,
                                         .build = enqueue_0,
                                         .play = {work, enqueue_1_blind},
                                         .end = locks_no_lost_change};

/* ---- cancel and start ------------------------------------------------------------------------------------- */

static void cancelled_or_run(int cancel, unsigned k)
{
    weave_assert(locks.begun[k] <= 1);
    switch (cancel) {
    case TRQ_OK:
        weave_assert(locks_cancelled(k) && !locks.begun[k]);
        break;
    case TRQ_GONE:
    case TRQ_ASKED:
        weave_assert(locks.begun[k] == 1 && !locks_cancelled(k));
        break;
    default:
        weave_fail("cancel said %d", cancel);
    }
}
static void cancelled_or_run_0(void)
{
    cancelled_or_run(locks.result[1], 0);
    locks_no_lost_change();
}
static const struct locks_story cancel_and_start = {
    .spec = plain, .build = enqueue_0, .play = {work_all, cancel_0}, .end = cancelled_or_run_0};
static const struct locks_story cancel_start_claim = {.spec = plain,
                                                      .build = enqueue_0,
                                                      .play = {work, cancel_0, enqueue_1},
                                                      .end = cancelled_or_run_0};

/* A slot that is another job's by now: the old id says "gone". */
static void work_and_again(void)
{
    locks_work();
    locks_enqueue(1);
}
static void the_next_lives(void)
{
    cancelled_or_run_0();
    weave_assert(!locks.accepted[1] || !locks_cancelled(1));
}
static const struct locks_story old_id = {
    .spec = plain, .build = enqueue_0, .play = {work_and_again, cancel_0}, .end = the_next_lives};
static const struct locks_story stale_record = {.spec = plain,
                                                .build = enqueue_0,
                                                .play = {work_and_again, enqueue_2, work},
                                                .end = locks_no_lost_change};

/* ---- replace and pop -------------------------------------------------------------------------------------- */

static const struct locks_spec replacing[] = {JOB(), JOB(.rule = TRQ_REPLACE),
                                              JOB(.rule = TRQ_REPLACE), LAST};
static void replaced_or_run(void)
{
    for (unsigned k = 0; k < 3; k++) {
        bool replaced = locks.ends[k] && locks.outcome[k] == TRQ_WAS_REPLACED;
        weave_assert(locks.code[k] == LOCKS_UNASKED || locks.accepted[k]);
        weave_assert(!replaced || !locks.begun[k]);
        weave_assert(locks.begun[k] <= 1);
    }
    locks_no_lost_change();
}
static const struct locks_story replace_and_pop = {
    .spec = replacing, .build = enqueue_0, .play = {work_all, enqueue_1}, .end = replaced_or_run};
static const struct locks_story two_replace = {.spec = replacing,
                                               .build = enqueue_0,
                                               .play = {enqueue_1, enqueue_2, work},
                                               .end = replaced_or_run};
static const struct locks_story replace_pop_cancel = {.spec = replacing,
                                                      .build = enqueue_0,
                                                      .play = {work, enqueue_1, cancel_0},
                                                      .end = replaced_or_run};
static const struct locks_spec replacing_locked[] = {
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0},
    {.class = LOCKS_KEYED, .queue_key = 0, .worker_key = 0, .rule = TRQ_REPLACE},
    LAST};
static void replaced_or_duplicate(void)
{
    locks_no_lost_change();
}
static const struct locks_story replace_and_pop_locked = {.spec = replacing_locked,
                                                          .build = enqueue_0,
                                                          .play = {work_all, enqueue_1},
                                                          .end = replaced_or_duplicate};

/* ---- a job comes back and its twin starts ------------------------------------------------------------------ */

static const struct locks_spec returning[] = {JOB(.requeues = 1), JOB(), LAST};
static const struct locks_spec returning_later[] = {
    JOB(.requeues = 1, .after = 100, .from_start = true), JOB(), LAST};

/* It was merged, or ran twice. */
static void came_back(void)
{
    bool merged = locks.outcome[0] == TRQ_WAS_MERGED;
    weave_assert(locks.begun[0] == (merged ? 1 : 2));
    weave_assert(!merged || (locks.other[0] == 1 && locks.attempts[1] == 2));
    locks_no_lost_change();
}
static const struct locks_story merge_and_start = {
    .spec = returning, .build = enqueue_0, .play = {work, enqueue_1, work}, .end = came_back};
static const struct locks_story merge_later = {
    .spec = returning_later, .build = enqueue_0, .play = {work, enqueue_1, work}, .end = came_back};
/* One run at most has begun when it is asked to stop: it does not wait again. */
static void cancelled_in_time(void)
{
    bool cancelled = locks_cancelled(0);
    weave_assert(cancelled == (locks.result[1] == TRQ_OK || locks.result[1] == TRQ_ASKED));
    weave_assert(locks.begun[0] <= (cancelled ? 1 : 2));
}
static const struct locks_story return_and_cancel = {
    .spec = returning, .build = enqueue_0, .play = {work, cancel_0}, .end = cancelled_in_time};

/* ---- seeded faults -------------------------------------------------------------------------------------------- */

static const struct locks_fault weaker[] = {
    {"queuelock.c", "tq_store(&there->word, release): relaxed"}, /* fill */
    {NULL, NULL},
};
static const struct locks_fault left_out[] = {
    {"life.h", "tq_cas(&job->word"}, /* every transition */
    {"life.c", "tombs"},
    {"queuelock.c", "tq_store(&there->word"},
    {"schedule.c", "tq_cas(&job->word"}, /* a cancel of one that runs */
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    sync_begin(argc, argv);
    const struct weave_case cases[] = {
        locks_case("claim and claim", &claim_and_claim, 3, 2),
        locks_case("three claims", &three_claims, 2, 0),
        locks_case("claims and start", &claims_and_start, 2, 1),
        locks_case("refusal and start", &refusal_and_start, 3, 2),
        locks_case("refused by a look under the bucket", &by_look, 3, 2),
        locks_case("two refusals and start", &two_refusals_and_start, 2, 0),
        locks_case("cancel and start", &cancel_and_start, 3, 2),
        locks_case("cancel, start and claim", &cancel_start_claim, 2, 1),
        locks_case("an old id", &old_id, 3, 1),
        locks_case("a stale record", &stale_record, 2, 0),
        locks_case("replace and pop", &replace_and_pop, 2, 1),
        locks_case("replace and pop, with worker locks", &replace_and_pop_locked, 2, 1),
        locks_case("replace, pop and cancel", &replace_pop_cancel, 2, 0),
        locks_case("two replace", &two_replace, 2, 0),
        locks_case("merge and start", &merge_and_start, 2, 0),
        locks_case("merge for later, and start", &merge_later, 2, 0),
        locks_case("return and cancel", &return_and_cancel, 3, 1),
    };
    locks_clean(cases, sizeof cases / sizeof *cases);
    const struct weave_case faulty = locks_case("refused by a look", &blind, 2, 1);
    sync_found(&faulty, "is lost");
    const struct weave_case quick[] = {
        locks_case("claim and claim", &claim_and_claim, 1, 1),
        locks_case("refusal and start", &refusal_and_start, 1, 1),
        locks_case("cancel and start", &cancel_and_start, 1, 1),
        locks_case("an old id", &old_id, 1, 1),
        locks_case("replace and pop", &replace_and_pop, 1, 0),
        locks_case("replace and pop, with worker locks", &replace_and_pop_locked, 1, 1),
        locks_case("return and cancel", &return_and_cancel, 1, 0),
    };
    enum { QUICK = sizeof quick / sizeof *quick };
    locks_mutate(quick, QUICK, weaker);
    locks_drop(quick, QUICK, left_out);
    return sync_end();
}
