/* Memory through the engine's allocator hook, so that every allocation can be counted and made to fail. */
#ifndef TQ_BASE_MEMORY_H
#define TQ_BASE_MEMORY_H

#include <stddef.h>

struct trq_hooks;

struct tq_memory {
    void *(*alloc)(void *context, size_t size, size_t align);
    void (*free)(void *context, void *block, size_t size);
    void *context;
};

/* The system's allocator, or the hooks' own. hooks may be NULL. */
void tq_memory_init(struct tq_memory *memory, const struct trq_hooks *hooks);

/* Zeroed; NULL when out of memory. align: a power of two up to 64. */
void *tq_alloc(const struct tq_memory *memory, size_t size, size_t align);
/* Not zeroed, so that pages of it which nobody uses stay untouched. */
void *tq_alloc_raw(const struct tq_memory *memory, size_t size, size_t align);
/* block may be NULL; size as it was asked for. */
void tq_free(const struct tq_memory *memory, void *block, size_t size);

#endif
