/* The choices of one execution, as a stack that a depth-first search walks.
 *
 * Shape:   choice i of an execution takes one of count[i] ways, way 0 first; a choice with one way is
 *          not recorded. The next execution repeats the recorded prefix and differs in its last
 *          choice that has a way left.
 * Errors:  a prefix that does not fit (another number of ways at the same depth, or at another step of
 *          the execution) fails the execution: the case is not deterministic.
 */
#ifndef WEAVE_CHOICE_H
#define WEAVE_CHOICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void weave_choice_search(void);                /* forget all: search from the first execution */
void weave_choice_random(uint64_t seed);       /* every execution draws its choices */
bool weave_choice_prescribe(const char *text); /* one execution; false if the text is not a list */
void weave_choice_rewind(void);                /* an execution begins */
void weave_choice_end(void);           /* it has ended: was the prefix repeated to its end? */
bool weave_choice_advance(void);       /* to the next execution; false: there is none */
unsigned weave_choose(unsigned count); /* a way, below count */

/* The choices so far that are not 0, as "depth=way,...": what weave_choice_prescribe() takes. */
void weave_choice_write(char *out, size_t size);

#endif
