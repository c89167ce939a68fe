#include "engine/base/memory.h"

#include <stdlib.h>
#include <string.h>

#include <tresque/hooks.h>

static void *system_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    void *block = NULL;
    if (align <= _Alignof(max_align_t))
        return malloc(size);
    return posix_memalign(&block, align, size) == 0 ? block : NULL;
}

static void system_free(void *context, void *block, size_t size)
{
    (void)context;
    (void)size;
    free(block);
}

void tq_memory_init(struct tq_memory *memory, const struct trq_hooks *hooks)
{
    if (hooks && hooks->alloc)
        *memory = (struct tq_memory){hooks->alloc, hooks->free, hooks->context};
    else
        *memory = (struct tq_memory){system_alloc, system_free, NULL};
}

void *tq_alloc_raw(const struct tq_memory *memory, size_t size, size_t align)
{
    return memory->alloc(memory->context, size ? size : 1, align);
}

void *tq_alloc(const struct tq_memory *memory, size_t size, size_t align)
{
    /* calloc knows which pages come zeroed from the kernel and leaves them alone: a large table costs what is
     * used of it. */
    if (memory->alloc == system_alloc && align <= _Alignof(max_align_t))
        return calloc(1, size ? size : 1);
    void *block = tq_alloc_raw(memory, size, align);
    if (block)
        memset(block, 0, size);
    return block;
}

void tq_free(const struct tq_memory *memory, void *block, size_t size)
{
    if (block)
        memory->free(memory->context, block, size ? size : 1);
}
