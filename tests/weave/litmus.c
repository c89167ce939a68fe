/* The classic litmus tests: for each, the order under which the odd outcome must be found, and the one
 * under which the search must end without it. Names of tests as in Alglave, Maranget and Tautschnig,
 * "Herding cats" (TOPLAS 2014).
 */
#include "claim.h"

static tq_a32 x, y, z;
static int data;
static uint32_t r[4];

static void setup(void *arg)
{
    (void)arg;
    x = y = z = 0;
    data = 0;
    r[0] = r[1] = r[2] = r[3] = 0;
    weave_name(&x, "x");
    weave_name(&y, "y");
    weave_name(&z, "z");
}

#define BODY(name, ...)                                                                            \
    static void name(void *arg)                                                                    \
    {                                                                                              \
        (void)arg;                                                                                 \
        __VA_ARGS__                                                                                \
    }
#define CASE(title, end, ...)                                                                      \
    (&(struct weave_case){                                                                         \
        .name = (title), .setup = setup, .threads = {__VA_ARGS__}, .finish = (end)})

/* --- Message passing --- */

BODY(pass_relaxed, tq_store(&x, 1, relaxed); tq_store(&y, 1, relaxed);)
BODY(pass_release, tq_store(&x, 1, relaxed); tq_store(&y, 1, release);)
BODY(pass_fence, tq_store(&x, 1, relaxed); tq_fence(release); tq_store(&y, 1, relaxed);)
BODY(take_relaxed, r[0] = tq_load(&y, relaxed); r[1] = tq_load(&x, relaxed);)
BODY(take_acquire, r[0] = tq_load(&y, acquire); r[1] = tq_load(&x, relaxed);)
BODY(take_fence, r[0] = tq_load(&y, relaxed); tq_fence(acquire); r[1] = tq_load(&x, relaxed);)
BODY(no_stale_message, weave_assert(!(r[0] == 1 && r[1] == 0));)

static void message_passing(void)
{
    claim_found(CASE("MP, relaxed: the flag without the message", no_stale_message, pass_relaxed,
                     take_relaxed),
                "not true");
    claim_found(CASE("MP, release and relaxed: the flag without the message", no_stale_message,
                     pass_release, take_relaxed),
                "not true");
    claim_found(CASE("MP, relaxed and acquire: the flag without the message", no_stale_message,
                     pass_relaxed, take_acquire),
                "not true");
    claim_clean(
        CASE("MP, release and acquire: clean", no_stale_message, pass_release, take_acquire));
    claim_clean(CASE("MP, fences: clean", no_stale_message, pass_fence, take_fence));
    claim_clean(
        CASE("MP, release and acquire fence: clean", no_stale_message, pass_release, take_fence));
}

/* --- Store buffering --- */

#define SB(name, first, fence, store, load)                                                        \
    BODY(name##_0, tq_store(&x, first, store); fence; r[0] = tq_load(&y, load);)                   \
    BODY(name##_1, tq_store(&y, first, store); fence; r[1] = tq_load(&x, load);)
SB(sb_relacq, 1, (void)0, release, acquire)
SB(sb_sc, 1, (void)0, seq_cst, seq_cst)
SB(sb_fence, 1, tq_fence(seq_cst), relaxed, relaxed)
SB(sb_weak_fence, 1, tq_fence(acq_rel), relaxed, relaxed)
SB(sb_sc_store, 1, (void)0, seq_cst, acquire)
SB(sb_sc_load, 1, (void)0, release, seq_cst)
BODY(sb_swap_0, (void)tq_swap(&x, 1, acq_rel); r[0] = tq_load(&y, acquire);)
BODY(sb_swap_1, (void)tq_swap(&y, 1, acq_rel); r[1] = tq_load(&x, acquire);)
BODY(one_sees, weave_assert(r[0] || r[1]);)

static void store_buffering(void)
{
    claim_found(CASE("SB, release and acquire: both read 0", one_sees, sb_relacq_0, sb_relacq_1),
                "not true");
    claim_found(CASE("SB, acq_rel fences: both read 0", one_sees, sb_weak_fence_0, sb_weak_fence_1),
                "not true");
    claim_found(CASE("SB, seq_cst stores, acquire loads: both read 0", one_sees, sb_sc_store_0,
                     sb_sc_store_1),
                "not true");
    claim_found(CASE("SB, release stores, seq_cst loads: both read 0", one_sees, sb_sc_load_0,
                     sb_sc_load_1),
                "not true");
    claim_found(
        CASE("SB, acq_rel exchange is no fence: both read 0", one_sees, sb_swap_0, sb_swap_1),
        "not true");
    claim_clean(CASE("SB, seq_cst: clean", one_sees, sb_sc_0, sb_sc_1));
    claim_clean(CASE("SB, relaxed with seq_cst fences: clean", one_sees, sb_fence_0, sb_fence_1));
    claim_clean(
        CASE("SB, seq_cst accesses against a seq_cst fence: clean", one_sees, sb_sc_0, sb_fence_1));
}

/* --- Coherence --- */

BODY(count_x, tq_store(&x, 1, relaxed); tq_store(&x, 2, relaxed);)
BODY(read_x_twice, r[0] = tq_load(&x, relaxed); r[1] = tq_load(&x, relaxed);)
BODY(forward, weave_assert(r[1] >= r[0]);)
BODY(newest_both, weave_assert(r[0] == 2);)
BODY(write_then_read, tq_store(&x, 3, relaxed); r[0] = tq_load(&x, relaxed);)
BODY(own_or_later, weave_assert(r[0] != 0);)
BODY(read_then_tell, r[0] = tq_load(&x, relaxed); tq_store(&y, 1, release);)
BODY(told_then_read, r[2] = tq_load(&y, acquire); r[1] = tq_load(&x, relaxed);)
BODY(told_forward, weave_assert(!r[2] || r[1] >= r[0]);)

static void coherence(void)
{
    claim_clean(CASE("CoRR: two loads never go back", forward, count_x, read_x_twice));
    claim_found(
        CASE("a load that comes last may read an old value", newest_both, count_x, read_x_twice),
        "not true");
    claim_clean(CASE("CoWR: a load never goes behind its thread's own store", own_or_later, count_x,
                     write_then_read));
    claim_clean(
        CASE("CoRR across threads: what another has read is known through release and acquire",
             told_forward, count_x, read_then_tell, told_then_read));
}

/* --- Independent reads of independent writes --- */

BODY(put_x_release, tq_store(&x, 1, release);)
BODY(put_y_release, tq_store(&y, 1, release);)
BODY(put_x_sc, tq_store(&x, 1, seq_cst);)
BODY(put_y_sc, tq_store(&y, 1, seq_cst);)
BODY(see_xy_acquire, r[0] = tq_load(&x, acquire); r[1] = tq_load(&y, acquire);)
BODY(see_yx_acquire, r[2] = tq_load(&y, acquire); r[3] = tq_load(&x, acquire);)
BODY(see_xy_sc, r[0] = tq_load(&x, seq_cst); r[1] = tq_load(&y, seq_cst);)
BODY(see_yx_sc, r[2] = tq_load(&y, seq_cst); r[3] = tq_load(&x, seq_cst);)
BODY(one_order, weave_assert(!(r[0] && !r[1] && r[2] && !r[3]));)

static void independent_reads(void)
{
    claim_found(CASE("IRIW, release and acquire: the readers disagree", one_order, put_x_release,
                     put_y_release, see_xy_acquire, see_yx_acquire),
                "not true");
    claim_clean(CASE("IRIW, seq_cst: clean", one_order, put_x_sc, put_y_sc, see_xy_sc, see_yx_sc));
}

/* --- Races and release sequences --- */

BODY(give, WEAVE_WRITE(data, 1); tq_store(&x, 1, release);)
BODY(give_relaxed, WEAVE_WRITE(data, 1); tq_store(&x, 1, relaxed);)
BODY(give_late, tq_store(&x, 1, release); WEAVE_WRITE(data, 1);)
BODY(get_at_1, if (tq_load(&x, acquire) == 1) weave_assert(WEAVE_READ(data) == 1);)
BODY(get_at_2, if (tq_load(&x, acquire) == 2) weave_assert(WEAVE_READ(data) == 1);)
BODY(bump, if (tq_load(&x, relaxed) == 1)(void) tq_add(&x, 1, relaxed);)
BODY(bump_cas, uint32_t one = 1; (void)tq_cas(&x, &one, 2, relaxed, relaxed);)
BODY(overwrite, if (tq_load(&x, relaxed) == 1) tq_store(&x, 2, relaxed);)
BODY(touch, WEAVE_WRITE(data, 2);)
BODY(peek, (void)WEAVE_READ(data);)
BODY(write_then_fence, WEAVE_WRITE(data, 1); tq_fence(seq_cst);)
BODY(fence_then_read, tq_fence(seq_cst); (void)WEAVE_READ(data);)

/* The first execution runs the threads one after the other in their order. A race does not depend on
 * luck: it shows in that one too. */
static void claim_race_at_once(struct weave_case *c)
{
    struct weave_result result;
    c->quiet = true;
    c->executions = 1;
    weave_run(c, &result);
    claim(result.failed, c->name, "the first execution did not fail");
}

static void races(void)
{
    claim_found(CASE("two plain writes race", NULL, touch, touch), "data race");
    claim_found(CASE("a plain read and a write race", NULL, peek, touch), "data race");
    claim_clean(CASE("two plain reads do not race", NULL, peek, peek));
    claim_race_at_once(CASE("a write after another thread's read races", NULL, peek, touch));
    claim_race_at_once(CASE("a read after another thread's write races", NULL, touch, peek));
    claim_clean(CASE("release and acquire order plain data: clean", NULL, give, get_at_1));
    claim_found(CASE("a relaxed flag does not order plain data", NULL, give_relaxed, get_at_1),
                "data race");
    claim_found(CASE("a write after the release is not ordered by it", NULL, give_late, get_at_1),
                "data race");
    claim_clean(
        CASE("a relaxed add continues a release sequence: clean", NULL, give, bump, get_at_2));
    claim_clean(
        CASE("a relaxed CAS continues a release sequence: clean", NULL, give, bump_cas, get_at_2));
    claim_found(
        CASE("another thread's store ends a release sequence", NULL, give, overwrite, get_at_2),
        "data race");
    claim_race_at_once(CASE("seq_cst fences alone do not order plain data", NULL, write_then_fence,
                            fence_then_read));
}

/* --- Read-modify-write --- */

BODY(add_x, (void)tq_add(&x, 1, relaxed);)
BODY(load_add_x, tq_store(&x, tq_load(&x, relaxed) + 1, relaxed);)
BODY(three, weave_assert(tq_load(&x, relaxed) == 3);)
BODY(signal_x, tq_store(&x, 1, relaxed); tq_store(&y, 1, relaxed);)
BODY(fail_cas, r[0] = tq_load(&y, relaxed); r[1] = 7; (void)tq_cas(&x, &r[1], 9, seq_cst, relaxed);)
BODY(fail_cas_acquire, r[0] = tq_load(&y, relaxed); r[1] = 7;
     (void)tq_cas(&x, &r[1], 9, relaxed, acquire); if (r[1] == 1)(void) WEAVE_READ(data);)
BODY(strong_cas, r[1] = 0; r[0] = tq_cas(&x, &r[1], 9, relaxed, relaxed);)
BODY(strong, weave_assert(r[0] || r[1] != 0);)

static void modifications(void)
{
    claim_clean(CASE("RMW: three relaxed adds make three", three, add_x, add_x, add_x));
    claim_found(CASE("load and store lose an add", three, load_add_x, load_add_x, load_add_x),
                "not true");
    claim_found(CASE("a failing CAS may read an old value", no_stale_message, signal_x, fail_cas),
                "not true");
    claim_clean(
        CASE("a failing CAS acquires by its failure order: clean", NULL, give, fail_cas_acquire));
    claim_clean(CASE("CAS is strong: it fails only on another value", strong, count_x, strong_cas));
}

void litmus_claims(void)
{
    message_passing();
    store_buffering();
    coherence();
    independent_reads();
    races();
    modifications();
}
