/* The search itself: that it visits everything once, keeps to its bounds, names every kind of failure,
 * replays, and seeds faults.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "claim.h"

#define UNUSED(arg) (void)(arg)

/* It stops the program at a bad address itself. */
#if defined __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER 1
#elif defined __has_feature
#define ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define ADDRESS_SANITIZER 0
#endif

static tq_a32 a, b, waiting;
static tq_aptr pointer;

static void setup(void *arg)
{
    UNUSED(arg);
    a = b = waiting = 0;
    pointer = NULL;
    weave_name(&a, "a");
    weave_name(&b, "b");
}

static void add_twice(void *arg)
{
    UNUSED(arg);
    (void)tq_add(&a, 1, relaxed);
    (void)tq_add(&a, 1, relaxed);
}

static void add_thrice(void *arg)
{
    add_twice(arg);
    (void)tq_add(&a, 1, relaxed);
}

static void claim_count(const char *text, struct weave_case c, uint64_t expected)
{
    struct weave_result r;
    char why[64];
    c.name = text;
    c.setup = setup;
    weave_run(&c, &r);
    snprintf(why, sizeof why, "%" PRIu64 " executions and not %" PRIu64, r.executions, expected);
    claim(r.exhausted && !r.failed && r.executions == expected, text, why);
}

static void store_thrice(void *arg)
{
    UNUSED(arg);
    for (uint32_t i = 1; i <= 3; i++)
        tq_store(&a, i, relaxed);
    tq_store(&b, 1, relaxed);
}

static void read_once(void *arg)
{
    UNUSED(arg);
    (void)tq_load(&a, relaxed);
}

/* Interleavings of m and n operations: (m + n)! / m! n!. */
static void counts(void)
{
    claim_count("two threads of three operations interleave in 20 ways",
                (struct weave_case){.threads = {add_thrice, add_thrice}, .preemptions = WEAVE_ANY},
                20);
    claim_count(
        "three threads of two operations interleave in 90 ways",
        (struct weave_case){.threads = {add_twice, add_twice, add_twice}, .preemptions = WEAVE_ANY},
        90);
    claim_count("without preemptions three threads run in 6 orders",
                (struct weave_case){.threads = {add_thrice, add_thrice, add_thrice},
                                    .preemptions = WEAVE_NONE},
                6);
    claim_count("two threads of three operations, one preemption: 2 + 4",
                (struct weave_case){.threads = {add_thrice, add_thrice}, .preemptions = 1}, 6);
    /* The load stands before, between or after the four stores and reads any of 1..4 messages. */
    claim_count("a load beside four stores reads every message in every place: 1 + 2 + 3 + 4 + 4",
                (struct weave_case){.threads = {store_thrice, read_once}, .preemptions = WEAVE_ANY},
                14);
    claim_count("without old reads the same load has its five places",
                (struct weave_case){.threads = {store_thrice, read_once},
                                    .preemptions = WEAVE_ANY,
                                    .stale = WEAVE_NONE},
                5);
}

/* --- Constants --- */

static tq_a32 table[2];

static void constant_setup(void *arg)
{
    setup(arg);
    table[0] = table[1] = 3;
    weave_constant(&table[0]);
}

static void use_table(void *arg)
{
    UNUSED(arg);
    for (uint32_t i = 0; i < 4; i++)
        weave_assert(tq_load(&table[0], relaxed) == 3);
    (void)tq_add(&a, 1, relaxed);
}

static void change_table(void *arg)
{
    UNUSED(arg);
    tq_store(&table[0], 4, relaxed);
}

static void constants(void)
{
    struct weave_case c = {.name = "loads of a constant are not points: two orders of two threads",
                           .setup = constant_setup,
                           .threads = {use_table, use_table},
                           .preemptions = WEAVE_ANY};
    struct weave_result r;
    weave_run(&c, &r);
    claim(!r.failed && r.exhausted && r.executions == 2, c.name, "another number");
    c.threads[1] = change_table;
    c.name = "a constant that is changed";
    claim_found(&c, "was called constant");
}

/* --- Every kind of failure --- */

static void wait_for_b(void *arg)
{
    UNUSED(arg);
    while (!tq_load(&b, acquire))
        tq_pause();
}

static void give_up_then_set_b(void *arg)
{
    UNUSED(arg);
    for (int i = 0; i < 3 && !tq_load(&a, acquire); i++)
        tq_pause();
    tq_store(&b, 1, release);
}

static void ticket_then_item(void *arg)
{
    UNUSED(arg);
    tq_store(&a, 1, relaxed);
    (void)tq_add(&b, 1, relaxed);
}

static void give_up_between(void *arg)
{
    UNUSED(arg);
    if (!tq_load(&a, relaxed))
        return;
    for (int i = 0; i < 2 && !tq_load(&b, relaxed); i++)
        tq_pause();
    weave_assert(tq_add(&b, 0, relaxed) != 0);
}

static void wait_for_a(void *arg)
{
    UNUSED(arg);
    tq_store(&waiting, 1, relaxed);
    while (!tq_load(&a, relaxed))
        tq_pause();
    weave_assert(tq_add(&b, 0, relaxed) != 0);
}

static void serve_who_waits(void *arg)
{
    if (!tq_load(&waiting, relaxed))
        tq_store(&b, 1, relaxed);
    ticket_then_item(arg);
}

static void spin_without_pause(void *arg)
{
    UNUSED(arg);
    while (!tq_load(&b, acquire))
        ;
}

static void write_behind(void *arg)
{
    UNUSED(arg);
    (void)tq_load(&a, relaxed);
    a = 5;
    (void)tq_load(&a, relaxed);
}

static void forget_itself(void *arg)
{
    static unsigned turn;
    UNUSED(arg);
    if (turn++ % 2 == 0)
        add_twice(arg);
    add_thrice(arg);
}

static void bad_pointer(void *arg)
{
    UNUSED(arg);
    int *p = tq_load(&pointer, relaxed);
    *(volatile int *)p = 1;
}

static void set_b(void *arg)
{
    UNUSED(arg);
    tq_store(&b, 1, release);
}

static void fails(void *arg)
{
    UNUSED(arg);
    weave_assert(tq_load(&b, relaxed) == 0);
}

static void failures(void)
{
    struct weave_case c = {.setup = setup, .threads = {wait_for_b, wait_for_b}};
    c.name = "waiting in tq_pause() for nobody: livelock";
    claim_found(&c, "livelock");
    c.threads[1] = set_b;
    c.name = "waiting in tq_pause() for another's store: clean";
    claim_clean(&c);
    c.threads[1] = give_up_then_set_b;
    c.name = "a loop that counts its pauses gives up: clean";
    claim_clean(&c);
    c.threads[0] = give_up_between;
    c.threads[1] = ticket_then_item;
    c.name = "a loop that counts its pauses may give up while another stands still";
    claim_found(&c, "not true");
    c = (struct weave_case){.name = "a change ends the rest of who waits, at once",
                            .setup = setup,
                            .threads = {wait_for_a, serve_who_waits},
                            .preemptions = 1,
                            .stale = WEAVE_NONE};
    claim_found(&c, "not true");
    c = (struct weave_case){.setup = setup};
    c.threads[0] = c.threads[1] = spin_without_pause;
    c.name = "a loop without tq_pause(): the bound on steps";
    claim_found(&c, "operations");
    c.threads[0] = write_behind;
    c.threads[1] = NULL;
    c.name = "an atomic changed by plain assignment";
    claim_found(&c, "otherwise than by");
    c.threads[0] = forget_itself;
    c.threads[1] = add_twice;
    c.name = "a case that does not repeat itself";
    claim_found(&c, "not deterministic");
    c.threads[0] = set_b;
    c.threads[1] = NULL;
    c.finish = fails;
    c.name = "a false assertion in finish";
    claim_found(&c, "not true");
    if (!ADDRESS_SANITIZER) {
        c.threads[0] = bad_pointer;
        c.finish = NULL;
        c.name = "a bad address";
        claim_found(&c, "crash");
    }
}

/* --- A thread that stops for ever --- */

static void freeze_in_the_third(void *arg)
{
    weave_freeze_after(2);
    add_thrice(arg);
}

static void freeze_before_b(void *arg)
{
    weave_freeze_after(1);
    (void)tq_add(&a, 1, relaxed);
    set_b(arg);
}

static void sleep_for_b(void *arg)
{
    UNUSED(arg);
    while (!tq_load(&b, acquire))
        weave_futex_wait(&b, 0);
}

static void two_and_one(void *arg)
{
    UNUSED(arg);
    weave_assert(a == 2 && b == 1);
}

static void frozen(void)
{
    struct weave_case c = {.setup = setup, .threads = {freeze_in_the_third, set_b}};
    c.name = "a thread freezes after two operations, the other ends: clean";
    c.finish = two_and_one;
    claim_clean(&c);
    c.finish = NULL;
    c.threads[0] = freeze_before_b;
    c.threads[1] = wait_for_b;
    c.name = "waiting in tq_pause() for a thread that is frozen: livelock";
    claim_found(&c, "livelock");
    c.threads[1] = sleep_for_b;
    c.name = "sleeping until a frozen thread comes: deadlock";
    claim_found(&c, "deadlock");
}

/* --- Replay --- */

static void take_both(void *arg)
{
    UNUSED(arg);
    uint32_t first = tq_load(&b, relaxed);
    weave_assert(!first || tq_load(&a, relaxed) == 3);
}

static void replays(void)
{
    struct weave_case c = {
        .name = "replay", .setup = setup, .threads = {store_thrice, take_both}, .quiet = true};
    struct weave_result found, again;
    weave_run(&c, &found);
    weave_replay(&c, found.choices, NULL, &again);
    claim(found.failed && again.failed && again.executions == 1 &&
              strcmp(found.why, again.why) == 0,
          "the choices of a failure replay it", again.why);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    weave_replay(&c, found.choices, out, &again);
    fclose(out);
    claim(strstr(text, "tq_load(&a, relaxed)") && strstr(text, "stale"),
          "a schedule names its operations and the old reads", text);
    free(text);
    weave_replay(&c, "3/2:0=9", NULL, &again);
    claim(again.failed && strstr(again.why, "belong to another"),
          "choices of another case are refused", again.why);
    weave_replay(&c, "nonsense", NULL, &again);
    claim(again.failed, "choices that are none are refused", "accepted");
    c.seed = 42;
    weave_run(&c, &found);
    weave_replay(&c, found.choices, NULL, &again);
    claim(found.failed && again.failed, "random walks find it too, and replay", found.why);
}

/* --- Seeded faults --- */

static tq_a32 *const message = &a, *const flag = &b; /* names of their own, to find the sites by */

static void take_pair(void *arg)
{
    UNUSED(arg);
    if (tq_load(flag, acquire))
        weave_assert(tq_load(message, relaxed) == 7);
}

static void give_pair(void *arg)
{
    UNUSED(arg);
    tq_store(message, 7, relaxed);
    tq_store(flag, 1, release);
}

static void faults(void)
{
    struct weave_case c = {
        .name = "seeded faults: clean without", .setup = setup, .threads = {give_pair, take_pair}};
    claim_clean(&c);
    struct weave_site *release = weave_site_find("tq_store(flag, release)", 0);
    struct weave_site *store = weave_site_find("tq_store(message, relaxed)", 0);
    claim(release && store, "sites are found by their text", "not found");
    if (!release || !store)
        return;
    weave_weaken(release, WEAVE_RELAXED);
    c.name = "a weakened store is found";
    claim_found(&c, "not true");
    weave_mend(release);
    weave_drop(store);
    c.name = "a dropped store is found";
    claim_found(&c, "not true");
    weave_mend(store);
    c.name = "mended sites are clean again";
    claim_clean(&c);
}

/* --- Types and values --- */

static tq_a64 wide;

static void every_operation(void *arg)
{
    UNUSED(arg);
    const tq_a32 *reader = &a;
    int target;
    void *before = NULL;
    uint64_t six = 6;
    tq_store(&a, UINT32_MAX, relaxed);
    weave_assert(tq_add(&a, 2, relaxed) == UINT32_MAX && tq_load(reader, relaxed) == 1);
    weave_assert(tq_sub(&a, 2, relaxed) == 1 && tq_load(&a, relaxed) == UINT32_MAX);
    weave_assert(tq_and(&a, ~0xFu, relaxed) == UINT32_MAX && tq_or(&a, 1, relaxed) == 0xFFFFFFF0);
    tq_store(&wide, UINT64_C(1) << 40, relaxed);
    weave_assert(tq_swap(&wide, 5, relaxed) == UINT64_C(1) << 40);
    weave_assert(!tq_cas(&wide, &six, 7, seq_cst, relaxed) && six == 5);
    weave_assert(tq_cas(&wide, &six, tq_load(&wide, relaxed) + 3, seq_cst, relaxed) && wide == 8);
    weave_assert(tq_cas(&pointer, &before, &target, release, relaxed));
    weave_assert(tq_load(&pointer, acquire) == &target);
    weave_assert(tq_swap(&pointer, NULL, relaxed) == (void *)&target);
    before = tq_load(&pointer, relaxed);
    weave_assert(before == NULL);
}

static void types(void)
{
    claim_clean(&(struct weave_case){.name = "every operation and type has its value in a thread",
                                     .setup = setup,
                                     .threads = {every_operation}});
    claim_clean(&(struct weave_case){.name = "and outside of one",
                                     .setup = setup,
                                     .threads = {NULL},
                                     .finish = every_operation});
}

/* --- Speed: printed, and held to a floor that only a broken build misses --- */

static void speed(void)
{
    struct weave_case c = {.name = "speed",
                           .setup = setup,
                           .threads = {add_thrice, add_thrice, add_thrice},
                           .preemptions = WEAVE_ANY};
    struct timespec from, to;
    struct weave_result r;
    uint64_t executions = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (int i = 0; i < 200; i++) {
        weave_run(&c, &r);
        executions += r.executions;
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double s = (double)(to.tv_sec - from.tv_sec) + (double)(to.tv_nsec - from.tv_nsec) * 1e-9;
    char text[96];
    snprintf(text, sizeof text, "speed: %.0f thousand executions of nine operations a second",
             (double)executions / s / 1e3);
    claim(executions == 200 * 1680 && (double)executions / s > 10e3, text, "below ten thousand");
}

void apparatus_claims(void)
{
    types();
    counts();
    constants();
    failures();
    frozen();
    replays();
    faults();
    speed();
}
