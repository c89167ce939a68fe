#include "sync.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/sync/arena.h"
#include "tests/tap.h"

bool sync_long;

/* ---- memory ------------------------------------------------------------------------------------------- */

static void *heap_alloc(void *context, size_t size, size_t align)
{
    struct sync_heap *heap = context;
    size_t at = (heap->used + align - 1) & ~(align - 1);
    if (at + size > sizeof heap->bytes)
        return NULL;
    heap->used = at + size;
    return heap->bytes + at;
}

static void heap_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)block;
    (void)size;
}

struct tq_memory sync_memory(struct sync_heap *heap)
{
    return (struct tq_memory){heap_alloc, heap_free, heap};
}

void sync_world(void *world, void *image, struct sync_heap *heap, const void *arg,
                void (*build)(const void *))
{
    static const void *built;
    static size_t size;
    if (built == arg) {
        memcpy(world, image, size);
        return;
    }
    memset(world, 0, (size_t)((char *)(heap + 1) - (char *)world));
    build(arg);
    size = (size_t)((char *)heap->bytes + heap->used - (char *)world);
    memcpy(image, world, size);
    built = arg;
}

void sync_constant(const struct tq_arena *arena)
{
    for (uint32_t i = 0; i < arena->chunks_max && arena->chunks[i]; i++)
        weave_constant(&arena->chunks[i]);
}

/* ---- claims ------------------------------------------------------------------------------------------- */

enum { LONG_EXECUTIONS_MAX = 200000000 };

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void sync_begin(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    sync_long = argc > 1 && strcmp(argv[1], "long") == 0;
}

int sync_end(void)
{
    return tap_done();
}

void sync_claim(bool holds, const char *text, const char *why)
{
    if (!TAP_OK(holds, text))
        tap_note("%s", why);
}

static int given(int bound, int standard)
{
    return bound == 0 ? standard : bound < 0 ? 0 : bound;
}

void sync_clean(const struct weave_case *c)
{
    struct weave_case deep = *c;
    struct weave_result r;
    char text[256];
    deep.preemptions = given(c->preemptions, 3);
    deep.stale = given(c->stale, 2);
    if (sync_long) {
        deep.preemptions++;
        deep.stale++;
        deep.executions = LONG_EXECUTIONS_MAX;
    }
    int preemptions = deep.preemptions, stale = deep.stale;
    deep.preemptions = preemptions ? preemptions : WEAVE_NONE;
    deep.stale = stale ? stale : WEAVE_NONE;
    double from = seconds();
    weave_run(&deep, &r);
    double took = seconds() - from;
    bool whole = r.exhausted || (sync_long && !r.failed);
    snprintf(text, sizeof text, "%s (%" PRIu64 " executions%s, %d preemptions, %d old reads)",
             c->name, r.executions, r.exhausted ? "" : ", not exhausted", preemptions, stale);
    tap_note("%.1f s", took);
    if (!TAP_OK(!r.failed && whole, text))
        tap_note("%s", r.failed ? r.why : "not exhausted");
}

void sync_found(const struct weave_case *c, const char *why)
{
    struct weave_case quiet = *c;
    struct weave_result r;
    char text[256];
    quiet.quiet = true;
    weave_run(&quiet, &r);
    snprintf(text, sizeof text, "%s (execution %" PRIu64 ")", c->name, r.executions);
    if (!TAP_OK(r.failed && strstr(r.why, why), text))
        tap_note("%s", r.failed ? r.why : "no execution fails");
}

static bool is_of(const char *text, const struct sync_survivor *s)
{
    return strstr(text, s->file) && strstr(text, s->text);
}

static void print_unexcused(const struct weave_tally *tally, const struct sync_survivor *survivors)
{
    unsigned unexcused = 0;
    for (unsigned i = 0; i < tally->count; i++) {
        const struct sync_survivor *s = survivors;
        while (s->file && !is_of(tally->verdicts[i].text, s))
            s++;
        if (tally->verdicts[i].caught || s->file)
            continue;
        unexcused++;
        tap_note("nobody says why this may survive: %s", tally->verdicts[i].text);
    }
    TAP_OK(unexcused == 0, "each weaker order is caught, or it is known why not");
}

void sync_mutate(const struct weave_case *cases, unsigned count, const char *file,
                 const struct sync_survivor *survivors)
{
    static struct weave_tally tally;
    char text[320];
    double from = seconds();
    int status = weave_mutate(cases, count, WEAVE_ONE_STEP, file, &tally);
    snprintf(text, sizeof text, "%s: of %u weaker orders %u are caught, %u suffice in these cases",
             file, tally.count, tally.caught, tally.survived);
    TAP_OK(status == 0 && tally.caught > 0, text);
    tap_note("%.1f s", seconds() - from);
    print_unexcused(&tally, survivors);
    for (const struct sync_survivor *s = survivors; s->file; s++) {
        unsigned survived = 0;
        for (unsigned i = 0; i < tally.count; i++)
            survived += !tally.verdicts[i].caught && is_of(tally.verdicts[i].text, s);
        snprintf(text, sizeof text, "%u survive of: %s %s", s->count, s->file, s->text);
        if (!TAP_OK(survived == s->count, text))
            tap_note("%u do", survived);
        tap_note("%s", s->why);
    }
}

static bool fails(const struct weave_case *cases, unsigned count, char *why, size_t size)
{
    struct weave_result r;
    for (unsigned i = 0; i < count; i++) {
        struct weave_case quiet = cases[i];
        quiet.quiet = true;
        if (weave_run(&quiet, &r) == 0)
            continue;
        snprintf(why, size, "%s", r.why);
        return true;
    }
    return false;
}

void sync_fault(const struct weave_case *cases, unsigned count, const char *file, const char *text,
                enum weave_order order)
{
    struct weave_site *site;
    unsigned places = 0;
    for (unsigned nth = 0; (site = weave_site_find(text, nth)); nth++) {
        char description[160], claim[256], why[256] = "no case fails";
        weave_site_describe(site, description, sizeof description);
        if (!strstr(description, file))
            continue;
        places++;
        weave_weaken(site, order);
        bool found = fails(cases, count, why, sizeof why);
        weave_mend(site);
        snprintf(claim, sizeof claim, "caught: %s made %s", description,
                 order == WEAVE_RELAXED   ? "relaxed"
                 : order == WEAVE_ACQUIRE ? "acquire"
                                          : "weaker");
        TAP_OK(found, claim);
        tap_note("%s", why);
    }
    if (!places)
        TAP_OK(false, "a fault is seeded somewhere");
}
