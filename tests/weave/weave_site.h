/* The register of sites: every use of a tq_ operation that was executed in this process. */
#ifndef WEAVE_SITE_H
#define WEAVE_SITE_H

#include "weave.h"

#define WEAVE_SITES_MAX 1024

/* The site that stands for this one: an inline function in a header has a copy per source file. */
struct weave_site *weave_site_register(struct weave_site *site);

static inline struct weave_site *weave_site_use(struct weave_site *site)
{
    struct weave_site *home = site->home ? site->home : weave_site_register(site);
    home->hits++;
    return home;
}

unsigned weave_site_count(void);
const char *weave_order_name(enum weave_order order);
struct weave_site *weave_site_at(unsigned index);

#endif
