/* Stacks for the modelled threads, and the step from one to another.
 *
 * Shape:   64 KiB each, a page without access below it
 * Source:  the saved registers are those that the System V x86-64 call keeps; elsewhere, or with
 *          WEAVE_UCONTEXT defined, ucontext.h does the same through the kernel, ten times slower
 */
#ifndef WEAVE_STACK_H
#define WEAVE_STACK_H

#include <stdbool.h>
#include <stddef.h>

#if !defined __x86_64__ && !defined WEAVE_UCONTEXT
#define WEAVE_UCONTEXT
#endif

#ifdef WEAVE_UCONTEXT
#include <ucontext.h>
#endif

struct weave_stack {
    char *memory; /* NULL for the stack that the program started on */
#ifdef WEAVE_UCONTEXT
    ucontext_t context;
#else
    void *sp;
#endif
};

/* Makes `entry` what runs at the next switch to it, whatever the stack was used for before; the first `clean` bytes of it are
 * zero. `entry` must not return. */
void weave_stack_start(struct weave_stack *stack, void (*entry)(void), size_t clean);
bool weave_stack_has(const struct weave_stack *stack, const volatile void *p);
void weave_stack_switch(struct weave_stack *from, struct weave_stack *to);

#endif
