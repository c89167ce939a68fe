/* weave: an exhaustive search of interleavings over a memory that is weak on purpose.
 *
 * WHAT IT IS. A test gives up to four functions, the threads. All run in one OS thread, each on its
 * own stack, and only one at a time; every tq_ operation of the production source is a *point* where
 * another may go first, and every load may read any value that C11 lets it. An execution is thus a
 * list of choices, and the search runs the case again and again, depth first over that list, until
 * all lists within the bounds are done or one has failed.
 *
 *     setup -> [ choose thread -> operation -> choose message ]* -> all ended -> finish
 *                     ^ recorded prefix repeated, last choice with a way left changed
 *
 * FAILURES. A false weave_assert() (or assert() in the source), a data race on WEAVE_READ/WRITE data,
 * a deadlock (all threads that are left sleep on futexes: a lost wake-up), a livelock (those left
 * wait in tq_pause() for a change that nobody can make), too many steps, a crash, a write to an
 * atomic that went past the model, and a case that does not repeat itself.
 *
 * THE MODEL, and the rule of C11 that each part stands for:
 *
 *   M1  A location's messages are its modification order. A load reads any message that is not older
 *       than one that this thread knows: wrote, read, or learned of through happens-before
 *       (coherence, all four forms).
 *   M2  A release store carries what its thread knows; an acquire load that reads it learns that
 *       (synchronises-with). A relaxed load keeps it for a later acquire fence; a relaxed store
 *       carries what was known at the last release fence.
 *   M3  A read-modify-write reads the newest message and carries on that message's knowledge: release
 *       sequences run through modifications, of any thread and order. A later relaxed *store* of the
 *       same thread does not continue one (C11 lets it, C++20 and C23 do not).
 *   M4  A CAS that fails is a load with the failure order: of any readable value that differs from
 *       the expected one. It is strong: if only the expected value is readable, it succeeds.
 *   M5  A seq_cst load reads nothing older than the last seq_cst write of the location, nor than what
 *       a seq_cst fence has seen. Nothing else is ordered by it: seq_cst on an access is not a fence.
 *   M6  A seq_cst fence learns what earlier ones have seen, and, of each location, the last seq_cst
 *       write. That raises what may be read, not happens-before: a race stays a race.
 *   M7  futex_wait compares the newest value and sleeps in one step; futex_wake wakes any of the
 *       sleepers; neither orders memory.
 *   M8  Plain data has clocks only: two accesses, one a write, that happens-before does not order are
 *       a race, whichever came first in the execution at hand.
 *
 * WHAT IS NOT MODELLED. N1 and N2 are behaviours of C11 that the search cannot show; the others are
 * about the frame.
 *
 *   N1  A store takes effect when it is executed: no load reads from the future (load buffering), so
 *       control- and data-dependent relaxed loads are ordered more than C11 says.
 *   N2  Modification order is execution order: a store is never placed before one that ran earlier
 *       (the weak outcome of 2+2W).
 *   N3  A seq_cst fence's knowledge of M6's second part stays with its own thread, and two seq_cst
 *       loads of a relaxed write are not ordered with each other: here the model is weaker than C11
 *       and could accuse correct code. No correct program of test_weave.c is accused.
 *   N4  No spurious futex wake-ups and no timeouts, no signals, no consume, no volatile as atomics.
 *   N5  Plain accesses in the production source are not seen: make the user's data and the payload
 *       visible with WEAVE_READ and WEAVE_WRITE. Memory is known by address, for one execution: freed
 *       memory that comes back as something else in the same execution is not told apart, nor are
 *       two atomics that overlap.
 *   N6  Thread-locals are shared, as there is one OS thread: code that uses them cannot be a case.
 *   N7  Rest in tq_pause() (weave_sched.h): a loop that counts many pauses and then gives up is seen
 *       giving up only after as many changes by others, less two, or when all others are stuck. Under
 *       TQ_WEAVE let it give up after one or two.
 *
 * BOUNDS. At most `preemptions` switches away from a thread that could go on (others are free), at
 * most `stale` reads of a value that is not the newest. Within the bounds the search is complete;
 * most faults of concurrent code need two preemptions or fewer (Musuvathi and Qadeer, PLDI 2007). No
 * partial-order reduction: sleep sets are not sound together with a bound on preemptions. For a case
 * too big to exhaust, `seed` draws the choices instead.
 *
 * SPEED. Nothing is allocated and nothing cleared per execution: messages lie in one array that is
 * wound back, locations carry the number of the execution that last used them.
 *
 * FILES. weave_choice the stack of choices; weave_stack stacks and the switch; weave_sched threads;
 * weave_memory the model; weave_op the operations that join these; weave_site the register of sites
 * and seeded faults; weave_trace the printed schedule; weave_mutate faults one by one; this file runs.
 */
#include "weave.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weave_choice.h"
#include "weave_memory.h"
#include "weave_op.h"
#include "weave_sched.h"
#include "weave_trace.h"

#define SIMPLER_EXECUTIONS_MAX 2000000

struct bounds {
    unsigned preemptions, stale, steps;
};

static struct {
    jmp_buf bail; /* from setup, finish and the first choice */
    bool running, failed;
    char why[256];
} run;

int weave_self(void)
{
    return weave_sched_active() ? (int)weave_sched_self() : -1;
}

void weave_name_at(const volatile void *p, const char *name, int index)
{
    uint32_t hint = 0;
    struct weave_loc *loc = weave_memory_loc(p, &hint);
    loc->name = name;
    loc->index = index;
}

void weave_constant(const volatile void *p)
{
    uint32_t hint = 0;
    weave_memory_loc(p, &hint)->constant = true;
}

void weave_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run.why, sizeof run.why, format, args);
    va_end(args);
    if (!run.running) {
        fprintf(stderr, "weave: %s\n", run.why);
        abort();
    }
    run.failed = true;
    if (weave_sched_active())
        weave_sched_abandon();
    longjmp(run.bail, 1);
}

/* assert() in the production source is a failure of the execution. */
_Noreturn void __assert_fail(const char *, const char *, unsigned, const char *);
void __assert_fail(const char *expression, const char *file, unsigned line, const char *function)
{
    weave_fail("%s:%u: %s: assert(%s)", weave_trace_path(file), line, function, expression);
}

/* --- Crashes --- */

static char signal_stack[64 * 1024];

static void crashed(int number)
{
    if (!weave_sched_active()) {
        signal(number, SIG_DFL);
        raise(number);
        return;
    }
    weave_fail("crash: signal %d (%s)", number,
               number == SIGSEGV ? "bad address" : "see signal(7)");
}

/* SA_NODEFER: the handler is left by a switch of stacks and never returns. Once per process; a
 * sanitizer's own handler is left in place. */
static void catch_crashes(void)
{
    static bool done;
    struct sigaction before;
    if (done || sigaction(SIGSEGV, NULL, &before) != 0 || before.sa_handler != SIG_DFL)
        return;
    done = true;
    stack_t alternate = {.ss_sp = signal_stack, .ss_size = sizeof signal_stack};
    struct sigaction action = {.sa_handler = crashed, .sa_flags = SA_ONSTACK | SA_NODEFER};
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    sigaction(SIGFPE, &action, NULL);
}

/* --- One execution --- */

static void execute(const struct weave_case *c, const struct bounds *b)
{
    weave_choice_rewind();
    weave_memory_rewind();
    weave_op_rewind(b->stale);
    run.failed = false;
    run.running = true;
    if (setjmp(run.bail) == 0) {
        if (c->setup)
            c->setup(c->arg);
        weave_sched_run(c, b->preemptions, b->steps);
        if (!run.failed)
            weave_choice_end();
        if (!run.failed && c->finish)
            c->finish(c->arg);
    }
    run.running = false;
}

static void note_failure(const struct bounds *b, struct weave_result *out)
{
    out->failed = true;
    memcpy(out->why, run.why, sizeof out->why);
    int n = snprintf(out->choices, sizeof out->choices, "%u/%u:", b->preemptions, b->stale);
    weave_choice_write(out->choices + n, sizeof out->choices - (size_t)n);
}

/* --- The search --- */

/* Continues from the choices as they stand. */
static void search(const struct weave_case *c, const struct bounds *b, uint64_t executions,
                   struct weave_result *out)
{
    weave_memory_forget();
    *out = (struct weave_result){0};
    do {
        execute(c, b);
        out->executions++;
        if (run.failed) {
            note_failure(b, out);
            return;
        }
        if (executions && out->executions == executions)
            return;
    } while (weave_choice_advance());
    out->exhausted = true;
}

static unsigned bound(int given, unsigned standard)
{
    return given == 0 ? standard : given < 0 ? 0 : (unsigned)given;
}

static struct bounds case_bounds(const struct weave_case *c)
{
    struct bounds b = {bound(c->preemptions, 3), bound(c->stale, 2), bound(c->steps, 2000)};
    if (b.steps > WEAVE_STEPS_MAX)
        b.steps = WEAVE_STEPS_MAX;
    return b;
}

/* A schedule with fewer switches and old reads is easier to read: looks for one in smaller bounds. */
static void simplify(const struct weave_case *c, struct weave_result *found)
{
    static struct weave_result simpler;
    struct bounds all = case_bounds(c), b = all;
    for (unsigned sum = 0; sum < all.preemptions + all.stale && sum <= 8; sum++) {
        for (b.preemptions = 0; b.preemptions <= sum; b.preemptions++) {
            b.stale = sum - b.preemptions;
            if (b.preemptions > all.preemptions || b.stale > all.stale)
                continue;
            weave_choice_search();
            search(c, &b, SIMPLER_EXECUTIONS_MAX, &simpler);
            if (simpler.failed) {
                simpler.executions = found->executions;
                *found = simpler;
                return;
            }
        }
    }
}

int weave_replay(const struct weave_case *c, const char *choices, FILE *out,
                 struct weave_result *out_result)
{
    struct bounds b = case_bounds(c);
    int used = 0;
    catch_crashes();
    *out_result = (struct weave_result){0};
    if (sscanf(choices, "%u/%u:%n", &b.preemptions, &b.stale, &used) < 2 || used == 0 ||
        !weave_choice_prescribe(choices + used)) {
        out_result->failed = true;
        snprintf(out_result->why, sizeof out_result->why, "not a list of choices");
        return -1;
    }
    weave_trace_begin(out);
    search(c, &b, 1, out_result);
    weave_trace_begin(NULL);
    return out_result->failed ? -1 : 0;
}

static void report(const struct weave_case *c, struct weave_result *result)
{
    static struct weave_result again;
    simplify(c, result);
    fprintf(stderr, "\n%s: failed in execution %" PRIu64 ". The simplest such schedule found:\n\n",
            c->name, result->executions);
    weave_replay(c, result->choices, stderr, &again);
    fprintf(stderr, "\n%s: %s\nchoices %s\nagain: WEAVE_REPLAY='%s=%s'\n\n", c->name, result->why,
            result->choices, c->name, result->choices);
}

/* The choices that the environment asks for, if it means this case. */
static const char *asked_for(const struct weave_case *c)
{
    const char *asked = getenv("WEAVE_REPLAY");
    size_t length = strlen(c->name);
    if (!asked || strncmp(asked, c->name, length) != 0 || asked[length] != '=')
        return NULL;
    return asked + length + 1;
}

int weave_run(const struct weave_case *c, struct weave_result *out_result)
{
    const char *choices = asked_for(c);
    if (choices) {
        int status = weave_replay(c, choices, stderr, out_result);
        fprintf(stderr, "%s: %s\n", c->name, status ? out_result->why : "did not fail");
        return status;
    }
    struct bounds b = case_bounds(c);
    catch_crashes();
    if (c->seed)
        weave_choice_random(c->seed);
    else
        weave_choice_search();
    search(c, &b, c->seed && !c->executions ? 100000 : c->executions, out_result);
    if (out_result->failed && !c->quiet)
        report(c, out_result);
    return out_result->failed ? -1 : 0;
}
