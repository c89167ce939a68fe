#include "weave_trace.h"

#include <stdarg.h>
#include <string.h>

#include "weave_memory.h"
#include "weave_sched.h"

static FILE *sink;

void weave_trace_begin(FILE *out)
{
    sink = out;
}

bool weave_trace_on(void)
{
    return sink != NULL;
}

const char *weave_trace_path(const char *file)
{
    while (strncmp(file, "../", 3) == 0)
        file += 3;
    return file;
}

static void loc_text(const struct weave_loc *loc, char *out, size_t size)
{
    out[0] = '\0';
    if (!loc || !loc->name)
        return;
    if (loc->index < 0)
        snprintf(out, size, "%s ", loc->name);
    else
        snprintf(out, size, "%s[%d] ", loc->name, loc->index);
}

void weave_trace(const struct weave_site *site, const struct weave_loc *loc, const char *note, ...)
{
    if (!sink)
        return;
    char what[192], name[64], values[128];
    weave_site_describe(site, what, sizeof what);
    loc_text(loc, name, sizeof name);
    va_list args;
    va_start(args, note);
    vsnprintf(values, sizeof values, note, args);
    va_end(args);
    int column = 4 * (int)weave_sched_self(), rest = 4 * (WEAVE_THREADS_MAX - 1) - column;
    fprintf(sink, "%5u  %*sT%u%*s  %-60s %s%s%s\n", weave_sched_step(), column, "",
            weave_sched_self(), rest, "", what, name, values,
            site->order_now != site->order || site->failure_now != site->failure || site->dropped
                ? "   (seeded fault)"
                : "");
}
