#include "weave_sched.h"

#include <string.h>

#include "weave_choice.h"
#include "weave_stack.h"
#include "weave_trace.h"

#define REST_ROUNDS_MAX 64
#define IMPATIENT_MAX 2

struct thread {
    struct weave_stack stack;
    const volatile void *word;     /* asleep on it */
    const struct weave_site *site; /* where it sleeps */
    uint32_t changes_seen;         /* at the last pause, changes by others */
    uint32_t changes_own;
    bool stale;          /* read an old value since the last pause */
    bool at_point;       /* its next operation was chosen already */
    unsigned freezes_in; /* operations until it stops for ever, and one; 0: never */
};

static struct {
    struct thread threads[WEAVE_THREADS_MAX];
    struct weave_stack home;
    const struct weave_case *c;
    uint32_t ready, asleep, resting; /* sets of threads, bit by number */
    uint32_t changes;
    unsigned self;
    unsigned preemptions; /* left */
    unsigned impatient;   /* left: pauses that may end without a change */
    unsigned step, steps_max;
    unsigned rest_rounds;
    bool active;
} sched;

static inline uint32_t bit(unsigned thread)
{
    return UINT32_C(1) << thread;
}

static inline unsigned set_count(uint32_t set)
{
    return (unsigned)__builtin_popcount(set);
}

static inline unsigned set_nth(uint32_t set, unsigned n)
{
    while (n--)
        set &= set - 1;
    return (unsigned)__builtin_ctz(set);
}

bool weave_sched_active(void)
{
    return sched.active;
}

unsigned weave_sched_self(void)
{
    return sched.self;
}

bool weave_sched_on_stack(const volatile void *p)
{
    return weave_stack_has(&sched.threads[sched.self].stack, p);
}

uint32_t weave_sched_step(void)
{
    return sched.step;
}

static void go_to(unsigned thread)
{
    if (thread == sched.self)
        return;
    struct weave_stack *from = &sched.threads[sched.self].stack;
    sched.self = thread;
    weave_stack_switch(from, &sched.threads[thread].stack);
}

void weave_sched_count(void)
{
    if (sched.step++ >= sched.steps_max)
        weave_fail("more than %u operations: a loop that does not end, or a bound too low",
                   sched.steps_max);
}

static unsigned next_free(void);

/* Not ready, not asleep, not resting: nobody can bring it back, and nobody waits for its end. */
static _Noreturn void freeze(void)
{
    sched.ready &= ~bit(sched.self);
    if (!sched.ready && !sched.resting && !sched.asleep)
        weave_sched_abandon();
    go_to(next_free());
    __builtin_unreachable();
}

void weave_freeze_after(unsigned operations)
{
    sched.threads[sched.self].freezes_in = operations + 1;
}

void weave_sched_point(void)
{
    weave_sched_count();
    struct thread *self = &sched.threads[sched.self];
    if (self->freezes_in && --self->freezes_in == 0)
        freeze();
    if (self->at_point) {
        self->at_point = false;
        return;
    }
    uint32_t others = sched.ready & ~bit(sched.self);
    if (!others || !sched.preemptions)
        return;
    unsigned way = weave_choose(1 + set_count(others));
    if (way == 0)
        return;
    sched.preemptions--;
    go_to(set_nth(others, way - 1));
}

/* --- Threads that cannot go on --- */

static _Noreturn void fail_stuck(void)
{
    char text[160];
    size_t used = 0;
    text[0] = '\0';
    for (uint32_t left = sched.asleep; left; left &= left - 1) {
        unsigned t = set_nth(left, 0);
        int n =
            snprintf(text + used, sizeof text - used, "%sT%u at %s:%d", used ? ", " : "", t,
                     weave_trace_path(sched.threads[t].site->file), sched.threads[t].site->line);
        used += (size_t)n < sizeof text - used ? (size_t)n : 0;
    }
    weave_fail("deadlock: nobody is left to wake %s", text);
}

/* No thread is ready: those that rest get a turn, or the execution has failed. */
static void turn_of_the_resting(void)
{
    if (!sched.resting)
        fail_stuck();
    if (++sched.rest_rounds > REST_ROUNDS_MAX)
        weave_fail("livelock: every thread that is left waits in tq_pause() or sleeps");
    sched.ready = sched.resting;
    sched.resting = 0;
}

static unsigned next_free(void)
{
    unsigned way = 0;
    if (sched.ready)
        way = weave_choose(set_count(sched.ready));
    else
        turn_of_the_resting();
    return set_nth(sched.ready, way);
}

/* This thread is not ready. Returns when it runs again; that it does was a choice, so that there is
 * none before its next operation. */
static void give_way(void)
{
    struct thread *self = &sched.threads[sched.self];
    self->at_point = true;
    go_to(next_free());
}

/* Spinning on although nothing has changed is what a loop that counts its turns may do while another
 * thread stands still. That is a bad order of the scheduler, and it costs as much as a preemption. */
static bool go_on_anyway(void)
{
    if (!sched.preemptions || !sched.impatient || weave_choose(2) == 0)
        return false;
    sched.preemptions--;
    sched.impatient--;
    return true;
}

void weave_sched_pause(void)
{
    struct thread *self = &sched.threads[sched.self];
    uint32_t by_others = sched.changes - self->changes_own;
    bool look_again = by_others != self->changes_seen || self->stale;
    self->changes_seen = by_others;
    self->stale = false;
    if (look_again || go_on_anyway())
        return;
    sched.ready &= ~bit(sched.self);
    sched.resting |= bit(sched.self);
    give_way();
    self->changes_seen = sched.changes - self->changes_own;
}

void weave_sched_changed(void)
{
    sched.changes++;
    sched.threads[sched.self].changes_own++;
    sched.rest_rounds = 0;
    sched.ready |= sched.resting;
    sched.resting = 0;
}

void weave_sched_stale(void)
{
    sched.threads[sched.self].stale = true;
}

void weave_sched_sleep(const volatile void *word, const struct weave_site *site)
{
    struct thread *self = &sched.threads[sched.self];
    self->word = word;
    self->site = site;
    sched.ready &= ~bit(sched.self);
    sched.asleep |= bit(sched.self);
    give_way();
}

unsigned weave_sched_wake(const volatile void *word, int count)
{
    unsigned woken = 0;
    uint32_t set = 0;
    for (uint32_t left = sched.asleep; left; left &= left - 1)
        if (sched.threads[set_nth(left, 0)].word == word)
            set |= bit(set_nth(left, 0));
    while (set && (int)woken < count) {
        bool all = (unsigned)count - woken >= set_count(set);
        unsigned t = set_nth(set, all ? 0 : weave_choose(set_count(set)));
        set &= ~bit(t);
        sched.asleep &= ~bit(t);
        sched.ready |= bit(t);
        woken++;
    }
    return woken;
}

/* --- A run --- */

_Noreturn void weave_sched_abandon(void)
{
    sched.active = false;
    weave_stack_switch(&sched.threads[sched.self].stack, &sched.home);
    __builtin_unreachable();
}

static void thread_main(void)
{
    sched.c->threads[sched.self](sched.c->arg);
    sched.ready &= ~bit(sched.self);
    if (!sched.ready && !sched.resting && !sched.asleep)
        weave_sched_abandon();
    go_to(next_free());
    __builtin_unreachable();
}

void weave_sched_run(const struct weave_case *c, unsigned preemptions, unsigned steps)
{
    sched.c = c;
    sched.ready = sched.asleep = sched.resting = 0;
    sched.changes = sched.step = sched.rest_rounds = 0;
    sched.preemptions = preemptions;
    sched.impatient = IMPATIENT_MAX;
    sched.steps_max = steps;
    for (unsigned t = 0; t < WEAVE_THREADS_MAX && c->threads[t]; t++) {
        struct thread *thread = &sched.threads[t];
        thread->changes_seen = thread->changes_own = 0;
        thread->stale = false;
        thread->at_point = true;
        thread->freezes_in = 0;
        weave_stack_start(&thread->stack, thread_main, c->clean_stack);
        sched.ready |= bit(t);
    }
    if (!sched.ready)
        return;
    sched.self = set_nth(sched.ready, weave_choose(set_count(sched.ready)));
    sched.active = true; /* from here on weave_fail() leaves a thread's stack for this one */
    weave_stack_switch(&sched.home, &sched.threads[sched.self].stack);
}
