#include "policies.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "journal.h"

#define MS INT64_C(1000000)
#define SECOND INT64_C(1000000000)

/* ---- errors -------------------------------------------------------------------------------------------------------- */

static const char not_said[] = "the handler returned ";

void error_text_cut(int number, char *buffer, size_t size)
{
    if (number >= NOT_SAID)
        snprintf(buffer, size, "%s%d, which is no end", not_said, number);
    else if (number % 16 == 7) /* it will be cut */
        snprintf(buffer, size, "error %d %0240d", number, 0);
    else
        snprintf(buffer, size, "error %d", number);
}

const char *error_text(int number, char buffer[ERROR_TEXT])
{
    error_text_cut(number, buffer, ERROR_TEXT);
    return buffer;
}

int error_number(const char *text)
{
    if (strncmp(text, not_said, sizeof not_said - 1) == 0)
        return atoi(text + sizeof not_said - 1);
    return strncmp(text, "error ", 6) == 0 ? atoi(text + 6) : -1;
}

/* ---- functions ----------------------------------------------------------------------------------------------------- */

/* A pure one: by how often it failed, and why. */
static int64_t delay_of(int failures, int error)
{
    if (error % 7 == 3)
        return INT64_MAX;
    if (error % 7 == 5)
        return -failures;
    return (error % 3) * 700 * MS + failures * MS;
}

static struct trq_span ask(int failures, const struct trq_error *error, uint64_t seed)
{
    (void)seed;
    int number = error_number(error->text);
    JOURNAL_MUST(number >= 0, "a policy is told of another error");
    return trq_ns(delay_of(failures, number));
}

/* ---- the policies -------------------------------------------------------------------------------------------------- */

#define RETRY(...) (&(const struct trq_retry){.size = sizeof(struct trq_retry), __VA_ARGS__})

static const struct trq_span at_once_then[] = {{0}, {SECOND}, {5 * SECOND}};
static const int64_t at_once_then_ns[] = {0, SECOND, 5 * SECOND};
static const struct trq_span soon_then[] = {{10 * MS}, {3600 * SECOND}};
static const int64_t soon_then_ns[] = {10 * MS, 3600 * SECOND};

const struct policy_pair policies[POLICIES] = {
    {NULL, {.retries = 25, .jitter = M_GROWING_JITTER}},
    {&trq_no_retry, {.retries = 0, .jitter = M_GROWING_JITTER}},
    {RETRY(.retries = 2), {.retries = 2, .jitter = M_GROWING_JITTER}},
    {RETRY(.retries = 4, .jitter = TRQ_JITTER_NONE, .most = {20 * SECOND}),
     {.retries = 4, .jitter = 0, .most = 20 * SECOND}},
    {RETRY(.retries = 2, .constant = {2 * SECOND}, .jitter = TRQ_JITTER_NONE),
     {.retries = 2, .form = M_CONSTANT, .constant = 2 * SECOND}},
    {RETRY(.retries = TRQ_RETRY_FOREVER, .constant = {SECOND}),
     {.retries = M_FOREVER, .form = M_CONSTANT, .constant = SECOND, .jitter = 10}},
    {RETRY(.list = at_once_then, .list_count = 3, .jitter = TRQ_JITTER_NONE),
     {.retries = 3, .form = M_LIST, .list = at_once_then_ns, .list_count = 3}},
    {RETRY(.list = soon_then, .list_count = 2, .retries = 5, .jitter = 50, .most = {4000 * SECOND}),
     {.retries = 5,
      .form = M_LIST,
      .list = soon_then_ns,
      .list_count = 2,
      .jitter = 50,
      .most = 4000 * SECOND}},
    {RETRY(.retries = 4, .delay = ask), {.retries = 4, .form = M_ASKED, .delay = delay_of}},
    {RETRY(.retries = TRQ_RETRY_FOREVER, .delay = ask, .jitter = 1000, .most = {2 * SECOND}),
     {.retries = M_FOREVER,
      .form = M_ASKED,
      .delay = delay_of,
      .jitter = 1000,
      .most = 2 * SECOND}},
    {RETRY(.constant = {86400 * SECOND}, .jitter = 1, .retries = 1),
     {.retries = 1, .form = M_CONSTANT, .constant = 86400 * SECOND, .jitter = 1}},
};
