/* Engine and model side by side, over many seeds.
 *
 *     model_random                            as in the suite
 *     model_random --seeds 100000 --from 7    more of them
 *     model_random --seed 1234                one; prints how it failed
 *     model_random --threads --seed 1234      with threads; --recurring: of recurring jobs
 *     model_random --shrink --seed 1234       the same, with as few operations as will do
 *     model_random --wrong NUMBER ...         with a mistake in the model, which must be found
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/tap.h"

#include "world.h"

#if defined __SANITIZE_THREAD__
enum { SEEDS = 40, SEEDS_THREADS = 30, SEEDS_RECURRING = 20 }; /* most have but one thread */
#elif defined __SANITIZE_ADDRESS__
enum { SEEDS = 300, SEEDS_THREADS = 60, SEEDS_RECURRING = 40 };
#else
enum { SEEDS = 1000, SEEDS_THREADS = 100, SEEDS_RECURRING = 100 };
#endif
enum { OPERATIONS_MAX = 2000, SEEDS_FOR_A_MISTAKE = 400 };

struct wish {
    uint64_t from;
    long seeds; /* 0: as in the suite */
    int operations;
    enum kind { ALONE, THREADS, RECURRING } kind;
    bool shrink;
    enum mistake mistake;
};

static struct world world;
static const char *const replay[] = {"model_random", "model_random --threads",
                                     "model_random --recurring"};

static void run(const struct wish *wish, uint64_t seed, const bool *skip)
{
    static void (*const run_of[])(struct world *, uint64_t, enum mistake, int,
                                  const bool *) = {random_run, lockstep_run, recurring_run};
    journal_begin(seed, replay[wish->kind]);
    run_of[wish->kind](&world, seed, wish->mistake, wish->operations, skip);
}

static void run_all(const struct wish *wish, long seeds)
{
    for (long i = 0; i < seeds; i++)
        run(wish, wish->from + (uint64_t)i, NULL);
}

/* In a child, quietly: what must not end this program, and what fails on purpose. */
static int run_apart(const struct wish *wish, const bool *skip, long seeds)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
            _exit(1);
        for (long i = 0; i < seeds; i++)
            run(wish, wish->from + (uint64_t)i, skip);
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
}

/* ---- mistakes must be found ------------------------------------------------------------------------------------------ */

static void find_mistakes(struct wish wish)
{
    static const char *const sentence[] = {
#define SENTENCE_(name, text) text,
        MISTAKES(SENTENCE_)
#undef SENTENCE_
    };
    for (int i = NO_MISTAKE + 1; i < MISTAKE_COUNT; i++) {
        char claim[160];
        wish.mistake = (enum mistake)i;
        wish.kind = i >= WRONG_ONCE ? RECURRING
                    : i >= WRONG_PARKED
                        ? THREADS /* nobody waits for a key where one job runs at a time */
                        : ALONE;
        int status = run_apart(&wish, NULL, SEEDS_FOR_A_MISTAKE);
        snprintf(claim, sizeof claim, "a model that errs is found out: %s", sentence[i]);
        TAP_OK(WIFEXITED(status) && WEXITSTATUS(status) == JOURNAL_FAILED, claim);
    }
}

/* ---- fewer operations ------------------------------------------------------------------------------------------------- */

static void shrink(const struct wish *wish)
{
    static bool skip[OPERATIONS_MAX];
    for (int size = wish->operations / 2; size; size /= 2)
        for (int first = 0; first < wish->operations; first += size) {
            bool saved[OPERATIONS_MAX];
            memcpy(saved, skip, sizeof saved);
            for (int i = first; i < first + size && i < wish->operations; i++)
                skip[i] = true;
            if (run_apart(wish, skip, 1) == 0)
                memcpy(skip, saved, sizeof skip);
        }
    run(wish, wish->from, skip);
    printf("# seed %llu is good\n", (unsigned long long)wish->from);
}

/* ---- the suite ---------------------------------------------------------------------------------------------------------- */

static void suite(struct wish wish)
{
    static const struct {
        long seeds;
        const char *claim;
    } of[] = {
        {SEEDS, "engine and model agree, one job after the other"},
        {SEEDS_THREADS,
         "engine and model agree, with jobs that hold keys and jobs that wait for them"},
        {SEEDS_RECURRING, "engine and model agree on recurring jobs"},
    };
    static const enum kind order[] = {ALONE, RECURRING, THREADS};
    for (int i = 0; i < 3; i++) {
        time_t begin = time(NULL);
        wish.kind = order[i];
        long seeds = wish.seeds ? wish.seeds : of[wish.kind].seeds;
        run_all(&wish, seeds);
        tap_note("%ld seeds of %d operations in %ld s", seeds, wish.operations,
                 (long)(time(NULL) - begin));
        TAP_OK(true, of[wish.kind].claim);
    }
}

int main(int argc, char **argv)
{
    struct wish wish = {.from = 1, .operations = 250};
    bool one = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--threads") == 0)
            wish.kind = THREADS;
        else if (strcmp(argv[i], "--recurring") == 0)
            wish.kind = RECURRING;
        else if (strcmp(argv[i], "--shrink") == 0)
            wish.shrink = true;
        else if (strcmp(argv[i], "--seed") == 0)
            wish.from = strtoull(value, NULL, 0), wish.seeds = 1, one = true, i++;
        else if (strcmp(argv[i], "--seeds") == 0)
            wish.seeds = atol(value), i++;
        else if (strcmp(argv[i], "--from") == 0)
            wish.from = strtoull(value, NULL, 0), i++;
        else if (strcmp(argv[i], "--operations") == 0)
            wish.operations = atoi(value), i++;
        else if (strcmp(argv[i], "--wrong") == 0)
            wish.mistake = (enum mistake)atoi(value), one = true, i++;
        else
            return fprintf(stderr, "%s: see the first lines of its source\n", argv[i]), 2;
    }
    if (wish.operations < 1 || wish.operations > OPERATIONS_MAX)
        wish.operations = OPERATIONS_MAX;
    if (wish.shrink) {
        shrink(&wish);
        return 0;
    }
    if (one || wish.kind) {
        run_all(&wish, wish.seeds ? wish.seeds : SEEDS_THREADS);
        TAP_OK(true, "engine and model agree");
        return tap_done();
    }
    find_mistakes(wish); /* first: children are made before there were threads */
    suite(wish);
    return tap_done();
}
