/* Proof of the checker: each claim states what the search must find or must not find. A weaver that
 * finds nothing, and one that accuses everything, both fail here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "claim.h"

static unsigned claims, failures;

void claim(bool holds, const char *text, const char *why)
{
    claims++;
    failures += !holds;
    if (holds)
        printf("ok - %s\n", text);
    else
        printf("not ok - %s: %s\n", text, why);
}

static void claim_result(bool holds, const struct weave_case *c, const struct weave_result *r)
{
    char text[256], why[384];
    snprintf(text, sizeof text, "%s (%" PRIu64 " executions)", c->name, r->executions);
    snprintf(why, sizeof why, "%s",
             r->failed      ? r->why
             : r->exhausted ? "no execution fails"
                            : "not exhausted");
    claim(holds, text, why);
}

void claim_clean(const struct weave_case *c)
{
    struct weave_result r;
    weave_run(c, &r);
    claim_result(!r.failed && r.exhausted, c, &r);
}

void claim_found(const struct weave_case *c, const char *why)
{
    struct weave_result r;
    struct weave_case quiet = *c;
    quiet.quiet = true;
    weave_run(&quiet, &r);
    claim_result(r.failed && strstr(r.why, why), c, &r);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    litmus_claims();
    program_claims();
    apparatus_claims();
    printf("1..%u\n", claims);
    return failures != 0;
}
