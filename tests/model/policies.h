/* Retry policies as the engine is told, and as the model is; and what a failed run says. */
#ifndef TESTS_MODEL_POLICIES_H
#define TESTS_MODEL_POLICIES_H

#include "model.h"

struct policy_pair {
    const struct trq_retry *retry; /* NULL: the default */
    struct m_policy rule;
};
enum { POLICIES = 11 };
extern const struct policy_pair policies[POLICIES];

/* The text of that error; from NOT_SAID on: of a handler that returns this number, which is no end. */
enum { ERROR_TEXT = 300, NOT_SAID = 1000000 };
const char *error_text(int number, char buffer[ERROR_TEXT]);
void error_text_cut(int number, char *buffer, size_t size);
/* Or -1. */
int error_number(const char *text);

#endif
