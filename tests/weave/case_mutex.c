/* The mutex under search: one thread at a time, who waits is woken, and what was done under it is seen by the next. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/sync/mutex.h"
#include "tests/tap.h"
#include "weave.h"

enum { THREADS = 3 };

/*  l  lock, add one, unlock        t  the same if try_lock gets it */
struct story {
    const char *script[THREADS];
};

static struct tq_mutex mutex;
static uint32_t counter; /* the datum */
static unsigned inside, done;

static void critical(void)
{
    weave_assert(inside++ == 0);
    weave_assert(tq_mutex_is_held(&mutex));
    uint32_t was = WEAVE_READ(counter);
    WEAVE_WRITE(counter, was + 1);
    done++;
    inside--;
    tq_mutex_unlock(&mutex);
}

static void play(void *arg)
{
    const struct story *story = arg;
    for (const char *s = story->script[weave_self()]; *s; s++) {
        if (*s == 'l')
            tq_mutex_lock(&mutex);
        else if (!tq_mutex_try_lock(&mutex))
            continue;
        critical();
    }
}

static void setup(void *arg)
{
    (void)arg;
    memset(&mutex, 0, sizeof mutex);
    counter = 0;
    inside = done = 0;
    weave_name(&mutex.word, "mutex");
}

static void finish(void *arg)
{
    (void)arg;
    weave_assert(counter == done);
    weave_assert(mutex.word == 0);
}

#define STORY(title, ...)                                                                          \
    .name = title, .arg = &(struct story){__VA_ARGS__}, .setup = setup, .finish = finish,          \
    .threads = {play, play, play}

static const struct weave_case stories[] = {
    {STORY("three lock", {"l", "l", "l"})},
    {STORY("two lock twice", {"ll", "ll", ""}), .preemptions = 4},
    {STORY("three lock twice", {"ll", "ll", "ll"}), .preemptions = 2, .stale = 1},
    {STORY("two lock, one tries", {"ll", "l", "tt"})},
};

static const struct weave_case quick[] = {
    {STORY("two lock", {"ll", "l", ""}), .preemptions = 2, .stale = 1},
    {STORY("three lock", {"l", "l", "l"}), .preemptions = 2, .stale = 1},
};
enum { QUICK = sizeof quick / sizeof *quick };

static void story_holds(const struct weave_case *story, bool deep)
{
    static struct weave_result r;
    struct weave_case c = *story;
    if (deep)
        c.preemptions = 4;
    weave_run(&c, &r);
    char text[256];
    snprintf(text, sizeof text, "%s: clean (all %" PRIu64 " executions)", c.name, r.executions);
    TAP_OK(!r.failed && r.exhausted, text);
}

/* ---- seeded faults --------------------------------------------------------------------------------- */

static void weakened(void)
{
    static struct weave_tally tally;
    static const char *const needed[] = {
        "mutex.h", "tq_cas(&mutex->word, acquire, relaxed): relaxed", /* M1, the quick way */
        "mutex.h", "tq_swap(&mutex->word, release): relaxed",         /* M1, unlock */
        "mutex.c", "tq_swap(&mutex->word, acquire): relaxed",         /* M1, who waited */
    };
    TAP_OK(weave_mutate(quick, QUICK, WEAVE_TO_RELAXED, "engine/sync/mutex", &tally) == 0,
           "the small stories are clean without a fault");
    for (unsigned n = 0; n < sizeof needed / sizeof *needed; n += 2) {
        char text[192];
        bool caught = false;
        for (unsigned i = 0; i < tally.count; i++)
            caught =
                caught || (tally.verdicts[i].caught && strstr(tally.verdicts[i].text, needed[n]) &&
                           strstr(tally.verdicts[i].text, needed[n + 1]));
        snprintf(text, sizeof text, "caught: %s %s", needed[n], needed[n + 1]);
        TAP_OK(caught, text);
    }
    TAP_OK(tally.survived == 0, "every order is needed");
}

static void left_out(const char *site_text, const char *claim)
{
    static struct weave_result r;
    struct weave_site *site = weave_site_find(site_text, 0);
    bool caught = false;
    if (site)
        weave_drop(site);
    for (unsigned i = 0; i < QUICK && site && !caught; i++) {
        struct weave_case c = quick[i];
        c.quiet = true;
        caught = weave_run(&c, &r) != 0;
    }
    if (site)
        weave_mend(site);
    TAP_OK(caught, claim);
}

int main(int argc, char **argv)
{
    bool deep = argc > 1 && strcmp(argv[1], "long") == 0;
    for (unsigned i = 0; i < sizeof stories / sizeof *stories; i++)
        story_holds(&stories[i], deep);
    weakened();
    left_out("futex_wake", "caught: a sleeper that nobody wakes");
    left_out("tq_cas(&mutex->word, acquire, relaxed)", "caught: a lock that does not take it");
    left_out("tq_swap(&mutex->word, acquire)", "caught: who was woken takes what he did not mark");
    left_out("tq_swap(&mutex->word, release)", "caught: an unlock that does not");
    return tap_done();
}
