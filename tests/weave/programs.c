/* Small concurrent programs in a right and a wrong form: the faults that this project fears. */
#include "claim.h"

#define UNUSED(arg) (void)(arg)

/* --- A spin lock around a plain counter --- */

static tq_a32 locked;
static int counter;

static void lock_setup(void *arg)
{
    UNUSED(arg);
    locked = 0;
    counter = 0;
    weave_name(&locked, "locked");
}

static void lock_add(void *arg)
{
    UNUSED(arg);
    while (tq_swap(&locked, 1, acquire))
        tq_pause();
    WEAVE_WRITE(counter, WEAVE_READ(counter) + 1);
    tq_store(&locked, 0, release);
}

static void lock_three(void *arg)
{
    UNUSED(arg);
    weave_assert(counter == 3);
}

static const struct weave_case spin_lock = {.name = "spin lock, three threads: clean",
                                            .setup = lock_setup,
                                            .threads = {lock_add, lock_add, lock_add},
                                            .finish = lock_three};

static void spin_lock_claims(void)
{
    static struct weave_tally tally;
    claim_clean(&spin_lock);
    int status = weave_mutate(&spin_lock, 1, WEAVE_TO_RELAXED, "programs.c", &tally);
    claim(status == 0 && tally.count == 2 && tally.caught == 2,
          "spin lock: both orders, weakened, are caught", "one survived");
    const struct weave_verdict *v = weave_tally_find(&tally, "tq_store(&locked, release): relaxed");
    claim(v && v->caught, "spin lock: the verdict on its store is found by text", "not found");
}

/* --- Sleep on a futex --- */

static tq_a32 work, version;

static void sleep_setup(void *arg)
{
    UNUSED(arg);
    work = version = 0;
    weave_name(&work, "work");
    weave_name(&version, "version");
}

static void announce(void *arg)
{
    UNUSED(arg);
    tq_store(&work, 1, relaxed);
    (void)tq_add(&version, 1, release);
    weave_futex_wake(&version, 1);
}

static void await_naively(void *arg)
{
    UNUSED(arg);
    while (!tq_load(&work, relaxed)) {
        uint32_t seen = tq_load(&version, acquire);
        weave_futex_wait(&version, seen);
    }
}

static void await(void *arg)
{
    UNUSED(arg);
    for (;;) {
        uint32_t seen = tq_load(&version, acquire);
        if (tq_load(&work, relaxed))
            return;
        weave_futex_wait(&version, seen);
    }
}

static void sleep_claims(void)
{
    claim_found(&(struct weave_case){.name = "futex, version read after the check: lost wake-up",
                                     .setup = sleep_setup,
                                     .threads = {announce, await_naively}},
                "deadlock");
    claim_clean(&(struct weave_case){.name = "futex, version read before the check: clean",
                                     .setup = sleep_setup,
                                     .threads = {announce, await}});
    claim_found(&(struct weave_case){.name = "futex, two sleepers and one woken: lost wake-up",
                                     .setup = sleep_setup,
                                     .threads = {announce, await, await}},
                "deadlock");
}

/* --- A stack of three nodes by index, with and without a generation beside the head --- */

enum { NODES = 4 }; /* 0 is the end of the list */

static tq_a64 head;
static tq_a32 next[NODES];
static int owner[NODES]; /* 0: on the stack, else the thread that popped it and one */
static bool tagged;

static void stack_setup(void *arg)
{
    tagged = *(const bool *)arg;
    head = 1;
    weave_name(&head, "head");
    for (uint32_t i = 0; i < NODES; i++) {
        next[i] = i && i + 1 < NODES ? i + 1 : 0;
        owner[i] = 0;
        weave_name_at(&next[i], "next", (int)i);
    }
}

static uint64_t with_index(uint64_t old, uint32_t index)
{
    return tagged ? ((old >> 32) + 1) << 32 | index : index;
}

static uint32_t pop(void)
{
    uint64_t old = tq_load(&head, acquire), new;
    do {
        if ((uint32_t)old == 0)
            return 0;
        new = with_index(old, tq_load(&next[(uint32_t)old], relaxed));
    } while (!tq_cas(&head, &old, new, acq_rel, acquire));
    owner[(uint32_t)old] = weave_self() + 1;
    return (uint32_t)old;
}

static void push(uint32_t index)
{
    uint64_t old = tq_load(&head, relaxed);
    owner[index] = 0;
    do
        tq_store(&next[index], (uint32_t)old, relaxed);
    while (!tq_cas(&head, &old, with_index(old, index), acq_rel, relaxed));
}

static void pop_one(void *arg)
{
    UNUSED(arg);
    pop();
}

static void pop_two_push_one(void *arg)
{
    UNUSED(arg);
    uint32_t first = pop();
    uint32_t second = pop();
    if (first && second)
        push(first);
}

static void stack_whole(void *arg)
{
    UNUSED(arg);
    bool on_stack[NODES] = {false};
    for (uint32_t i = (uint32_t)head; i; i = next[i]) {
        weave_assert(!on_stack[i]);
        weave_assert(owner[i] == 0);
        on_stack[i] = true;
    }
    for (uint32_t i = 1; i < NODES; i++)
        weave_assert(on_stack[i] || owner[i] != 0);
}

static void stack_claims(void)
{
    bool plain = false, tag = true;
    struct weave_case c = {.name = "Treiber stack without a generation: ABA",
                           .arg = &plain,
                           .setup = stack_setup,
                           .threads = {pop_one, pop_two_push_one},
                           .finish = stack_whole};
    claim_found(&c, "not true");
    c.name = "Treiber stack with a generation: clean";
    c.arg = &tag;
    claim_clean(&c);
}

/* --- A refusal is a write ---
 *
 * A caller changes its data (an atomic, as the user's own storage would be) and asks for a job. One is
 * waiting already, so that it is told "duplicate": then the job, when it starts, must see the change.
 */
enum { READY = 1, RUNNING = 2, ABSORBED = 4 };

static tq_a32 job, user_data;
static tq_a32 *const twin = &job; /* as the caller knows it */
static uint32_t job_saw;
static bool refused;

static void refusal_setup(void *arg)
{
    UNUSED(arg);
    job = READY;
    user_data = 0;
    job_saw = 0;
    refused = false;
    weave_name(&job, "job");
    weave_name(&user_data, "user_data");
}

static void ask_by_read(void *arg)
{
    UNUSED(arg);
    tq_store(&user_data, 1, relaxed);
    refused = tq_load(twin, seq_cst) == READY;
}

static void ask_by_write(void *arg)
{
    UNUSED(arg);
    tq_store(&user_data, 1, relaxed);
    uint32_t seen = tq_load(twin, relaxed);
    while (!refused && (seen & READY))
        refused = tq_cas(twin, &seen, seen + ABSORBED, acq_rel, relaxed);
}

static void start_job(void *arg)
{
    UNUSED(arg);
    uint32_t seen = tq_load(&job, relaxed);
    while (!tq_cas(&job, &seen, (seen & ~(uint32_t)READY) | RUNNING, acq_rel, relaxed))
        ;
    job_saw = tq_load(&user_data, relaxed);
}

static void change_not_lost(void *arg)
{
    UNUSED(arg);
    weave_assert(!refused || job_saw == 1);
}

static void refusal_claims(void)
{
    static struct weave_tally tally;
    struct weave_case c = {.name = "refusal by a seq_cst read: the change is lost",
                           .setup = refusal_setup,
                           .threads = {ask_by_read, start_job},
                           .finish = change_not_lost};
    claim_found(&c, "not true");
    c.name = "refusal by an acq_rel modification: clean";
    c.threads[0] = ask_by_write;
    claim_clean(&c);
    int status = weave_mutate(&c, 1, WEAVE_ONE_STEP, NULL, &tally);
    const struct weave_verdict *caller =
        weave_tally_find(&tally, "tq_cas(twin, acq_rel, relaxed): acquire");
    const struct weave_verdict *starter =
        weave_tally_find(&tally, "tq_cas(&job, acq_rel, relaxed): release");
    claim(
        status == 0 && tally.count == 4 && tally.caught == 2 && caller && caller->caught &&
            starter && starter->caught,
        "refusal: the caller's release and the starter's acquire are needed, the other halves not",
        "other mutants were caught");
}

/* --- The hint that a queue is not empty --- */

static tq_a32 cell, hint;
static bool fenced;

static void hint_setup(void *arg)
{
    fenced = *(const bool *)arg;
    cell = 0;
    hint = 1;
    weave_name(&cell, "cell");
    weave_name(&hint, "hint");
}

static void publish(void *arg)
{
    UNUSED(arg);
    tq_store(&cell, 1, release);
    if (fenced)
        tq_fence(seq_cst);
    if (!tq_load(&hint, relaxed))
        (void)tq_or(&hint, 1, release);
}

static void clear_hint(void *arg)
{
    UNUSED(arg);
    (void)tq_and(&hint, 0, acquire);
    if (fenced)
        tq_fence(seq_cst);
    if (tq_load(&cell, acquire))
        (void)tq_or(&hint, 1, release);
}

static void not_stranded(void *arg)
{
    UNUSED(arg);
    weave_assert(!cell || hint);
}

static void hint_claims(void)
{
    bool without = false, with = true;
    struct weave_case c = {.name = "hint cleared and set without fences: a job is stranded",
                           .arg = &without,
                           .setup = hint_setup,
                           .threads = {publish, clear_hint},
                           .finish = not_stranded};
    claim_found(&c, "not true");
    c.name = "hint cleared and set with seq_cst fences: clean";
    c.arg = &with;
    claim_clean(&c);
}

void program_claims(void)
{
    spin_lock_claims();
    sleep_claims();
    stack_claims();
    refusal_claims();
    hint_claims();
}
