/* Structs that a caller fills and that begin with their size, so that they may grow. */
#ifndef TQ_BASE_SIZED_H
#define TQ_BASE_SIZED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* May a struct whose first member says `size` be read as one of `ours` bytes? It must be at least as large as the
 * first release's (`first`), and what a later release added must be zero here: we would not obey it. */
static inline bool tq_sized_ok(const void *given, size_t first, size_t ours)
{
    uint32_t size;
    memcpy(&size, given, sizeof size);
    if (size < first)
        return false;
    for (size_t i = ours; i < size; i++)
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Branch): the caller says that it is that large */
        if (((const unsigned char *)given)[i])
            return false;
    return true;
}

/* A copy of `ours` bytes; what the caller's does not have is zero. */
static inline void tq_sized_copy(void *copy, const void *given, size_t ours)
{
    uint32_t size;
    memcpy(&size, given, sizeof size);
    memset(copy, 0, ours);
    memcpy(copy, given, size < ours ? size : ours);
}

/* Write back at most what the caller's struct has; its size member stays. */
static inline void tq_sized_write(void *given, const void *result, size_t ours)
{
    uint32_t size;
    memcpy(&size, given, sizeof size);
    memcpy((char *)given + sizeof size, (const char *)result + sizeof size,
           (size < ours ? size : ours) - sizeof size);
}

#endif
