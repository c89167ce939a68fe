/* Seeded faults, one at a time: is every order that the source asks for needed, and would we see it?
 *
 * A mutant that survives is either a weaker order that suffices in these cases and bounds, or a hole
 * in the cases. Both are worth a look; the test that calls this says which survivors it expects.
 */
#include <inttypes.h>
#include <string.h>

#include "weave_site.h"

struct mutant {
    struct weave_site *site;
    bool failure; /* the failure order of a CAS */
    enum weave_order order;
};

/* What `order` becomes, one step down; a load of seq_cst has no release to keep, a store no acquire. */
static unsigned one_step(const struct weave_site *site, bool failure, unsigned order,
                         enum weave_order out[2])
{
    bool load = failure || site->op == WEAVE_OP_LOAD, store = site->op == WEAVE_OP_STORE;
    out[0] = WEAVE_RELAXED;
    if (order == WEAVE_SEQ_CST)
        out[0] = load ? WEAVE_ACQUIRE : store ? WEAVE_RELEASE : WEAVE_ACQ_REL;
    if (order != WEAVE_ACQ_REL)
        return 1;
    out[0] = WEAVE_ACQUIRE;
    out[1] = WEAVE_RELEASE;
    return 2;
}

static unsigned add(struct mutant *mutants, unsigned count, struct weave_site *site, bool failure,
                    enum weave_ladder ladder)
{
    enum weave_order steps[2] = {WEAVE_RELAXED, WEAVE_RELAXED};
    unsigned order = failure ? site->failure : site->order, n = 1;
    if (order == WEAVE_RELAXED)
        return count;
    if (ladder == WEAVE_ONE_STEP)
        n = one_step(site, failure, order, steps);
    for (unsigned i = 0; i < n && count <= WEAVE_MUTANTS_MAX; i++)
        if (count++ < WEAVE_MUTANTS_MAX)
            mutants[count - 1] = (struct mutant){site, failure, steps[i]};
    return count;
}

static int run_clean(const struct weave_case *cases, unsigned count)
{
    static struct weave_result result;
    for (unsigned i = 0; i < weave_site_count(); i++)
        weave_site_at(i)->hits = 0;
    for (unsigned i = 0; i < count; i++)
        if (weave_run(&cases[i], &result) != 0)
            return -1;
    return 0;
}

static void run_mutant(const struct mutant *m, const struct weave_case *cases, unsigned count,
                       struct weave_verdict *v)
{
    static struct weave_result result;
    char site[160];
    weave_site_describe(m->site, site, sizeof site);
    snprintf(v->text, sizeof v->text, "%s: %s", site, weave_order_name(m->order));
    if (m->failure)
        snprintf(v->text, sizeof v->text, "%s: failure %s", site, weave_order_name(m->order));
    if (m->failure)
        weave_weaken_failure(m->site, m->order);
    else
        weave_weaken(m->site, m->order);
    for (unsigned i = 0; i < count && !v->caught; i++) {
        struct weave_case quiet = cases[i];
        quiet.quiet = true;
        weave_run(&quiet, &result);
        v->executions += result.executions;
        if (!result.failed)
            continue;
        v->caught = true;
        v->by = cases[i].name;
        snprintf(v->why, sizeof v->why, "%.127s", result.why);
    }
    weave_mend(m->site);
}

int weave_mutate(const struct weave_case *cases, unsigned count, enum weave_ladder ladder,
                 const char *only, struct weave_tally *out_tally)
{
    static struct mutant mutants[WEAVE_MUTANTS_MAX];
    unsigned total = 0;
    if (run_clean(cases, count) != 0)
        return -1;
    for (unsigned i = 0; i < weave_site_count(); i++) {
        struct weave_site *site = weave_site_at(i);
        if (site->hits == 0 || (only && !strstr(site->file, only)))
            continue;
        total = add(mutants, total, site, false, ladder);
        total = add(mutants, total, site, true, ladder);
    }
    if (total > WEAVE_MUTANTS_MAX) {
        printf("# more than %d mutants\n", WEAVE_MUTANTS_MAX);
        return -1;
    }
    memset(out_tally, 0, sizeof *out_tally);
    out_tally->count = total;
    for (unsigned i = 0; i < total; i++) {
        struct weave_verdict *v = &out_tally->verdicts[i];
        run_mutant(&mutants[i], cases, count, v);
        out_tally->caught += v->caught;
        out_tally->survived += !v->caught;
        printf("# %s  %s%s%s (%" PRIu64 " executions)\n", v->caught ? "caught  " : "SURVIVED",
               v->text, v->caught ? "  by " : "", v->caught ? v->why : "", v->executions);
    }
    return 0;
}

const struct weave_verdict *weave_tally_find(const struct weave_tally *tally, const char *text)
{
    for (unsigned i = 0; i < tally->count; i++)
        if (strstr(tally->verdicts[i].text, text))
            return &tally->verdicts[i];
    return NULL;
}
