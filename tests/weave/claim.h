/* One line per claim: "ok - <claim>" or "not ok - <claim>: <why>". */
#ifndef WEAVE_CLAIM_H
#define WEAVE_CLAIM_H

#include "weave.h"

void claim(bool holds, const char *text, const char *why);

/* The case is searched to the end and no execution fails. */
void claim_clean(const struct weave_case *c);

/* Some execution fails, and `why` is in the reason. */
void claim_found(const struct weave_case *c, const char *why);

void litmus_claims(void);    /* litmus.c: what the memory allows and forbids */
void program_claims(void);   /* programs.c: small concurrent programs, right and wrong */
void apparatus_claims(void); /* apparatus.c: the search, its bounds, replay, seeded faults */

#endif
