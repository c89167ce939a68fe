/* Where inputs live that do not fit into the job's line: blocks of a few sizes, each a slab; larger ones come from
 * the allocator. */
#ifndef TQ_CORE_BLOCKS_H
#define TQ_CORE_BLOCKS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/sync/slab.h"

struct tq_memory;
struct tq_job;

enum {
    TQ_BLOCK_CLASSES = 6, /* 128, 256, ... 4096 bytes */
    TQ_BLOCK_SMALLEST = 128,
    TQ_INLINE_CLASS = 0x7f /* seven bits of a job */,
    TQ_LARGE_CLASS = 0x7e
};

struct tq_blocks {
    const struct tq_memory *memory;
    struct tq_slab slab[TQ_BLOCK_CLASSES];
};
struct tq_blocks_cache {
    struct tq_slab_cache slab[TQ_BLOCK_CLASSES];
};

bool tq_blocks_init(struct tq_blocks *blocks, const struct tq_memory *memory, uint32_t jobs_max,
                    uint32_t caches_max);
void tq_blocks_fini(struct tq_blocks *blocks);
bool tq_blocks_attach(struct tq_blocks *blocks, struct tq_blocks_cache *cache);

/* Room for job->size bytes, more than TQ_INLINE; sets the job's block. NULL: out of memory. */
unsigned char *tq_blocks_take(struct tq_blocks *blocks, struct tq_blocks_cache *cache,
                              struct tq_job *job);
void tq_blocks_give(struct tq_blocks *blocks, struct tq_blocks_cache *cache, struct tq_job *job);
/* The job's inputs, wherever they are. */
unsigned char *tq_blocks_at(const struct tq_blocks *blocks, struct tq_job *job);

#endif
