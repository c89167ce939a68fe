#include "weave_stack.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_SIZE ((size_t)64 * 1024)
#define GUARD_SIZE ((size_t)4096)

#if defined __SANITIZE_ADDRESS__
#define ADDRESS_SANITIZER
#elif defined __has_feature
#if __has_feature(address_sanitizer)
#define ADDRESS_SANITIZER
#endif
#endif

#ifdef ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
/* A failed execution leaves its frames, and their red zones, behind. */
#define FORGET_FRAMES(memory) __asan_unpoison_memory_region((memory), STACK_SIZE)
#else
#define FORGET_FRAMES(memory) ((void)0)
#endif

static char *stack_map(void)
{
    char *map = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED || mprotect(map, GUARD_SIZE, PROT_NONE) != 0) {
        perror("weave: no memory for a stack");
        exit(2);
    }
    return map + GUARD_SIZE;
}

bool weave_stack_has(const struct weave_stack *stack, const volatile void *p)
{
    const volatile char *at = p;
    return stack->memory && at >= stack->memory && at < stack->memory + STACK_SIZE;
}

#ifdef WEAVE_UCONTEXT

void weave_stack_start(struct weave_stack *stack, void (*entry)(void), size_t clean)
{
    if (!stack->memory)
        stack->memory = stack_map();
    FORGET_FRAMES(stack->memory);
    memset(stack->memory + STACK_SIZE - clean, 0, clean);
    getcontext(&stack->context);
    stack->context.uc_stack.ss_sp = stack->memory;
    stack->context.uc_stack.ss_size = STACK_SIZE;
    stack->context.uc_link = NULL;
    makecontext(&stack->context, entry, 0);
}

void weave_stack_switch(struct weave_stack *from, struct weave_stack *to)
{
    swapcontext(&from->context, &to->context);
}

#else

/* rdi: where to keep the stack pointer, rsi: the one to go on with. Naked: it is all there is. */
__attribute__((naked, noinline)) static void jump(void **save __attribute__((unused)),
                                                  void *sp __attribute__((unused)))
{
    __asm__ volatile("pushq %rbp\n\t"
                     "pushq %rbx\n\t"
                     "pushq %r12\n\t"
                     "pushq %r13\n\t"
                     "pushq %r14\n\t"
                     "pushq %r15\n\t"
                     "movq %rsp, (%rdi)\n\t"
                     "movq %rsi, %rsp\n\t"
                     "popq %r15\n\t"
                     "popq %r14\n\t"
                     "popq %r13\n\t"
                     "popq %r12\n\t"
                     "popq %rbx\n\t"
                     "popq %rbp\n\t"
                     "ret");
}

void weave_stack_start(struct weave_stack *stack, void (*entry)(void), size_t clean)
{
    if (!stack->memory)
        stack->memory = stack_map();
    FORGET_FRAMES(stack->memory);
    memset(stack->memory + STACK_SIZE - clean, 0, clean);
    /* Six registers, the address to return to, and a zero where entry's own return address would
     * be: entry finds the stack aligned as after a call. */
    uint64_t *top = (uint64_t *)(void *)(stack->memory + STACK_SIZE);
    top[-1] = 0;
    top[-2] = (uint64_t)(uintptr_t)entry;
    for (int i = 3; i <= 8; i++)
        top[-i] = 0;
    stack->sp = top - 8;
}

void weave_stack_switch(struct weave_stack *from, struct weave_stack *to)
{
    jump(&from->sp, to->sp);
}

#endif
