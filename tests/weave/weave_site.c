#include "weave_site.h"

#include <string.h>

#include "weave_trace.h"

static struct weave_site *sites[WEAVE_SITES_MAX];
static unsigned site_count;

static bool same_place(const struct weave_site *a, const struct weave_site *b)
{
    return a->line == b->line && a->op == b->op && a->order == b->order &&
           a->failure == b->failure && strcmp(a->where, b->where) == 0 &&
           strcmp(a->file, b->file) == 0;
}

struct weave_site *weave_site_register(struct weave_site *site)
{
    site->home = site;
    for (unsigned i = 0; i < site_count && site->home == site; i++)
        if (same_place(sites[i], site))
            site->home = sites[i];
    if (site->home == site) {
        site->order_now = site->order;
        site->failure_now = site->failure;
        if (site_count == WEAVE_SITES_MAX)
            weave_fail("more than %d sites", WEAVE_SITES_MAX);
        sites[site_count++] = site;
    }
    return site->home;
}

unsigned weave_site_count(void)
{
    return site_count;
}

struct weave_site *weave_site_at(unsigned index)
{
    return sites[index];
}

const char *weave_order_name(enum weave_order order)
{
    switch (order) {
    case WEAVE_RELAXED:
        return "relaxed";
    case WEAVE_ACQUIRE:
        return "acquire";
    case WEAVE_RELEASE:
        return "release";
    case WEAVE_ACQ_REL:
        return "acq_rel";
    default:
        return "seq_cst";
    }
}

static const char *const op_names[WEAVE_OP_COUNT] = {
    [WEAVE_OP_LOAD] = "tq_load",
    [WEAVE_OP_STORE] = "tq_store",
    [WEAVE_OP_SWAP] = "tq_swap",
    [WEAVE_OP_ADD] = "tq_add",
    [WEAVE_OP_SUB] = "tq_sub",
    [WEAVE_OP_OR] = "tq_or",
    [WEAVE_OP_AND] = "tq_and",
    [WEAVE_OP_CAS] = "tq_cas",
    [WEAVE_OP_FENCE] = "tq_fence",
    [WEAVE_OP_PAUSE] = "tq_pause",
    [WEAVE_OP_FUTEX_WAIT] = "futex_wait",
    [WEAVE_OP_FUTEX_WAKE] = "futex_wake",
    [WEAVE_OP_PLAIN_READ] = "read",
    [WEAVE_OP_PLAIN_WRITE] = "write",
};

void weave_site_describe(const struct weave_site *site, char *out, size_t size)
{
    const char *op = op_names[site->op], *file = weave_trace_path(site->file);
    const char *order = weave_order_name(site->order);
    if (site->op == WEAVE_OP_CAS)
        snprintf(out, size, "%s:%d %s(%s, %s, %s)", file, site->line, op, site->where, order,
                 weave_order_name(site->failure));
    else if (site->op == WEAVE_OP_FENCE)
        snprintf(out, size, "%s:%d %s(%s)", file, site->line, op, order);
    else if (site->op < WEAVE_OP_FENCE)
        snprintf(out, size, "%s:%d %s(%s, %s)", file, site->line, op, site->where, order);
    else
        snprintf(out, size, "%s:%d %s(%s)", file, site->line, op, site->where);
}

struct weave_site *weave_site_find(const char *text, unsigned nth)
{
    for (unsigned i = 0; i < site_count; i++) {
        char description[256];
        weave_site_describe(sites[i], description, sizeof description);
        if (strstr(description, text) && nth-- == 0)
            return sites[i];
    }
    return NULL;
}

void weave_weaken(struct weave_site *site, enum weave_order order)
{
    site->order_now = (uint8_t)order;
}

void weave_weaken_failure(struct weave_site *site, enum weave_order order)
{
    site->failure_now = (uint8_t)order;
}

void weave_drop(struct weave_site *site)
{
    site->dropped = true;
}

void weave_mend(struct weave_site *site)
{
    site->order_now = site->order;
    site->failure_now = site->failure;
    site->dropped = false;
}
