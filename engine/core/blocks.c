#include "engine/core/blocks.h"

#include "engine/base/memory.h"
#include "engine/core/job.h"

static uint32_t class_size(uint32_t class)
{
    return (uint32_t)TQ_BLOCK_SMALLEST << class;
}

bool tq_blocks_init(struct tq_blocks *blocks, const struct tq_memory *memory, uint32_t jobs_max,
                    uint32_t caches_max)
{
    blocks->memory = memory;
    for (uint32_t c = 0; c < TQ_BLOCK_CLASSES; c++) {
        /* One block for each job suffices; what caches keep comes on top by itself. Magazines shrink as blocks
         * grow, so that a thread keeps some KiB of each class at most. */
        struct tq_slab_shape shape = {
            .object_size = class_size(c),
            .align = TQ_LINE,
            .chunk_objects = 512u >> (c / 2),
            .magazine_objects = c < 2 ? 30 : 30u >> (c - 1) | 1,
            .limit = jobs_max + 2 * TQ_MAGAZINE_MAX * caches_max,
            .caches_max = caches_max,
        };
        if (!tq_slab_init(&blocks->slab[c], memory, &shape))
            return false;
    }
    return true;
}

void tq_blocks_fini(struct tq_blocks *blocks)
{
    for (int c = 0; c < TQ_BLOCK_CLASSES; c++)
        tq_slab_fini(&blocks->slab[c]);
}

bool tq_blocks_attach(struct tq_blocks *blocks, struct tq_blocks_cache *cache)
{
    for (int c = 0; c < TQ_BLOCK_CLASSES; c++) {
        if (tq_slab_attach(&blocks->slab[c], &cache->slab[c]))
            continue;
        while (c--)
            tq_slab_detach(&blocks->slab[c], &cache->slab[c]);
        return false;
    }
    return true;
}

static uint8_t class_for(uint32_t size)
{
    for (uint32_t c = 0; c < TQ_BLOCK_CLASSES; c++)
        if (size <= class_size(c))
            return (uint8_t)c;
    return TQ_LARGE_CLASS;
}

unsigned char *tq_blocks_take(struct tq_blocks *blocks, struct tq_blocks_cache *cache,
                              struct tq_job *job)
{
    uint8_t c = class_for(job->size);
    if (c == TQ_LARGE_CLASS) {
        job->u.large = tq_alloc_raw(blocks->memory, job->size, 16);
        if (!job->u.large)
            return NULL;
    } else if (tq_slab_alloc(&blocks->slab[c], &cache->slab[c], &job->u.block) != TQ_SLAB_OK) {
        return NULL;
    }
    job->block_class = (uint32_t)c & TQ_INLINE_CLASS;
    return tq_blocks_at(blocks, job);
}

void tq_blocks_give(struct tq_blocks *blocks, struct tq_blocks_cache *cache, struct tq_job *job)
{
    uint8_t c = job->block_class;
    if (c == TQ_INLINE_CLASS)
        return;
    if (c == TQ_LARGE_CLASS)
        tq_free(blocks->memory, job->u.large, job->size);
    else
        tq_slab_free(&blocks->slab[c], &cache->slab[c], job->u.block);
}

unsigned char *tq_blocks_at(const struct tq_blocks *blocks, struct tq_job *job)
{
    switch (job->block_class) {
    case TQ_INLINE_CLASS:
        return job->u.inputs;
    case TQ_LARGE_CLASS:
        return job->u.large;
    default:
        return tq_slab_at(&blocks->slab[job->block_class], job->u.block);
    }
}
