#include "engine/core/upgrade.h"

#include <string.h>

#include "engine/base/error.h"
#include "engine/core/draft.h"
#include "engine/core/engine.h"
#include "engine/core/inputs.h"
#include "engine/core/run.h"
#include "engine/core/trail.h"

struct tq_former tq_upgrade_former(const struct tq_class *class, const unsigned char *bytes,
                                   size_t size)
{
    return (struct tq_former){
        .present = class->layout,
        .bare = class->bare,
        .bytes = bytes,
        .size = size,
        .open = class->declared->upgrade != NULL,
    };
}

/* The job's inputs from here on. */
static void adopt(struct trq_job *run, const struct tq_job *fresh)
{
    struct tq_job *job = run->job;
    uint64_t word = tq_load(&job->word, relaxed);
    tq_blocks_give(&run->engine->blocks, &run->local->blocks, job);
    job->size = fresh->size;
    job->block_class = fresh->block_class;
    memcpy(&job->u, &fresh->u, sizeof job->u);
    run->inputs = tq_blocks_at(&run->engine->blocks, job);
    /* The bytes are published with the state that the job goes to, as ever. */
    while (!tq_cas(&job->word, &word, word & ~TQ_OLD, acq_rel, relaxed))
        ;
    run->word &= ~TQ_OLD;
    tq_trail_of(run->engine, job)->version = 0;
}

/* Encoded as at an enqueue. 0, or the error of that. */
static int encode(const struct trq_job *run, struct trq_dict dict, struct tq_job *out,
                  struct trq_error *error)
{
    struct tq_blocks *blocks = &run->engine->blocks;
    const struct tq_layout *layout = run->class->layout;
    const size_t size_max = run->engine->job_size_max;
    long size = tq_inputs_from_dict(layout, dict, true, out->u.inputs, TQ_INLINE, size_max, error);
    if (size < 0)
        return (int)size;
    out->size = (uint32_t)size & ((1u << 25) - 1);
    out->block_class = TQ_INLINE_CLASS;
    if (size <= TQ_INLINE)
        return 0;
    unsigned char *block = tq_blocks_take(blocks, &run->local->blocks, out);
    if (!block)
        return tq_error(error, TRQ_ENOMEM, "no memory for %ld bytes of inputs", size);
    size = tq_inputs_from_dict(layout, dict, true, block, (size_t)size, size_max, error);
    if (size < 0)
        tq_blocks_give(blocks, &run->local->blocks, out);
    return size < 0 ? (int)size : 0;
}

static enum trq_end renew(struct trq_job *run, struct tq_draft *draft, uint32_t version)
{
    struct trq_error error = {0, ""};
    struct trq_dict dict;
    struct tq_job fresh;
    if (draft->short_of_memory || tq_draft_dict(draft, &dict) < 0)
        return trq_fail(run, "no memory to upgrade inputs of version %u", version);
    if (encode(run, dict, &fresh, &error) < 0)
        return trq_fail(run, "inputs of version %u: %s", version, error.text);
    adopt(run, &fresh);
    return TRQ_DONE;
}

enum trq_end tq_upgrade(struct trq_job *run)
{
    enum trq_end (*function)(struct trq_job *, uint32_t) = run->class->declared->upgrade;
    const struct tq_trail *trail = tq_trail_of(run->engine, run->job);
    struct trq_job *outer = run->local->running;
    enum trq_end end = TRQ_DONE;
    struct tq_draft draft;
    tq_draft_init(&draft, run, &run->engine->memory, run->class->bare, run->inputs, run->job->size,
                  run->engine->job_size_max);
    if (function) {
        run->local->draft = &draft;
        run->local->running = run;
        end = function(run, trail->version);
        run->local->running = outer;
        run->local->draft = NULL;
    }
    if ((unsigned)end > TRQ_REQUEUED)
        end = trq_fail(run, "upgrade returned %d, which is no end", (int)end);
    if (end == TRQ_DONE)
        end = renew(run, &draft, trail->version);
    tq_draft_fini(&draft);
    return end;
}

/* ---- in the function ------------------------------------------------------------------------------------------- */

static struct tq_draft *draft_of(const struct trq_job *run)
{
    struct tq_draft *draft = run ? run->local->draft : NULL;
    return draft && draft->of == run ? draft : NULL;
}

int trq_job_set(struct trq_job *run, const char *name, struct trq_value value)
{
    struct tq_draft *draft = draft_of(run);
    return draft && name ? tq_draft_set(draft, trq_str_of(name), &value) : TRQ_EINVAL;
}

int trq_job_unset(struct trq_job *run, const char *name)
{
    struct tq_draft *draft = draft_of(run);
    return draft && name ? tq_draft_unset(draft, trq_str_of(name)) : TRQ_EINVAL;
}
