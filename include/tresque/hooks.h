/* Hooks: clock and allocator of an engine, for hosts that have their own and for tests. */
#ifndef TRESQUE_HOOKS_H
#define TRESQUE_HOOKS_H

#include <tresque/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owner:   copied by trq_engine_create; what `context` points to must outlive the engine.
 * Threads: called from any thread that calls the engine, and from pool threads. */
struct trq_hooks {
    uint32_t size;
    uint32_t reserved; /* zero */
    void *context;     /* handed to each of them */

    /* Both or neither. mono_ns never runs backwards and is never negative. */
    int64_t (*mono_ns)(void *context);
    int64_t (*wall_ns)(void *context);

    /* Both or neither. alloc: `align` is a power of two up to 64; NULL means out of memory and ends as
     * TRQ_ENOMEM. free is told the size of the block. */
    void *(*alloc)(void *context, size_t size, size_t align);
    void (*free)(void *context, void *block, size_t size);
};

#ifdef __cplusplus
}
#endif

#endif
