#include "journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINES = 2048, LINE = 160, SHOWN = 150 };

static char lines[LINES][LINE];
static unsigned count;
static uint64_t current;
static const char *how = "";

void journal_begin(uint64_t seed, const char *replay)
{
    count = 0;
    current = seed;
    how = replay;
}

void journal(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(lines[count++ % LINES], LINE, format, args);
    va_end(args);
}

void journal_fail(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *all = getenv("MODEL_LINES");
    unsigned shown = all ? (unsigned)atoi(all) : SHOWN;
    if (shown > LINES)
        shown = LINES;
    for (unsigned i = count > shown ? count - shown : 0; i < count; i++)
        printf("# %s\n", lines[i % LINES]);
    printf("not ok - seed %llu: %s\n# replay: %s --seed %llu\n", (unsigned long long)current, text,
           how, (unsigned long long)current);
    fflush(stdout);
    _exit(JOURNAL_FAILED); /* other threads stand in handlers */
}
