#include "engine/core/dead.h"

#include <string.h>

#include "engine/base/utf8.h"
#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/schedule.h"
#include "engine/core/trail.h"

bool tq_dead_init(struct trq_engine *engine)
{
    return tq_roll_init(&engine->dead.roll, &engine->memory, sizeof(struct tq_grave), TQ_LINE,
                        engine->dead_max);
}

static struct tq_grave *grave_at(const struct trq_engine *e, uint32_t index)
{
    return tq_roll_at(&e->dead.roll, index);
}

/* Sides and blocks go with their slabs. What the allocator gave singly is found without the tree, which in a forked child may
 * be what another thread was just changing. */
void tq_dead_fini(struct trq_engine *engine)
{
    struct tq_roll *roll = &engine->dead.roll;
    for (uint32_t i = 0; i < roll->carved; i++) {
        struct tq_job *husk = &grave_at(engine, i)->husk;
        if (grave_at(engine, i)->entry.number && husk->block_class == TQ_LARGE_CLASS)
            tq_free(&engine->memory, husk->u.large, husk->size);
    }
    tq_roll_fini(roll);
}

static struct trq_job_id id_of(const struct trq_engine *e, const struct tq_grave *grave)
{
    return (struct trq_job_id){grave->entry.key, e->birth};
}

static void show(const struct trq_engine *e, const struct tq_grave *grave, struct trq_dead *out)
{
    out->id = id_of(e, grave);
    out->number = grave->entry.number;
    out->died.ns = (int64_t)tq_load(&grave->husk.enqueued, relaxed);
    out->worker = e->registry.classes[tq_job_class_number(&grave->husk)]->text;
    out->queue = e->registry.queues[tq_job_queue_number(&grave->husk)]->text;
    out->failures = tq_job_failures(&grave->husk);
    out->reserved = 0;
    memcpy(out->text, grave->text, sizeof out->text);
}

/* ---- in and out ------------------------------------------------------------------------------------------------ */

void tq_grave_free(struct trq_engine *engine, struct tq_local *local, struct tq_grave *grave)
{
    tq_job_strip(engine, local, &grave->husk);
}

/* What waits or runs has more. */
static void dig(struct trq_engine *e, struct tq_local *local, const struct tq_ended *ended,
                const struct trq_error *error, struct tq_grave *out)
{
    const char *text = error ? error->text : "";
    size_t size = tq_utf8_cut(text, strlen(text), sizeof out->text - 1);
    memset(out->text, 0, sizeof out->text);
    memcpy(out->text, text, size);
    out->husk = ended->husk;
    out->entry.number = 0;
    out->entry.key = tq_job_id(e, ended->index, ended->old).slot;
    tq_store(&out->husk.word, ended->old, relaxed);
    tq_store(&out->husk.enqueued, (uint64_t)tq_clock_wall(&e->clock), relaxed);
    uint32_t cold = tq_load(&out->husk.cold, relaxed);
    if (cold & TQ_COLD_SIDE)
        tq_side_rest(e, local, cold & ~TQ_COLD_SIDE);
    else
        tq_store(&out->husk.cold, 0, relaxed);
}

/* The mutex is held. True: somebody falls out for it, who is in *out_lost: perhaps it itself. */
static bool enter(struct tq_dead *dead, const struct tq_grave *grave, uint64_t number,
                  struct tq_grave *out_lost)
{
    struct tq_roll *roll = &dead->roll;
    uint32_t index = tq_roll_oldest(roll);
    bool full = roll->count == roll->max;
    bool stays =
        full ? roll->max && ((struct tq_grave *)tq_roll_at(roll, index))->entry.number < number
             : tq_roll_take(roll, &index);
    if (!stays) {
        *out_lost = *grave;
        out_lost->entry.number = number;
        return true;
    }
    struct tq_grave *at = tq_roll_at(roll, index);
    if (full) {
        *out_lost = *at;
        tq_roll_strike(roll, index);
    }
    memcpy(at->text, grave->text, sizeof at->text);
    at->husk = grave->husk;
    tq_roll_enter(roll, index, number, grave->entry.key);
    tq_store(&dead->count, roll->count, relaxed);
    return full;
}

/* number: 0: the next. */
static void put(struct trq_engine *e, struct tq_local *local, const struct tq_grave *grave,
                uint64_t number)
{
    struct tq_dead *dead = &e->dead;
    struct tq_grave lost;
    tq_mutex_lock(&dead->mutex);
    bool falls = enter(dead, grave, number ? number : ++dead->numbers, &lost);
    tq_mutex_unlock(&dead->mutex);
    if (!falls)
        return;
    tq_add(&dead->lost, 1, relaxed);
    if (e->config.on_dead_lost) {
        struct trq_dead shown;
        show(e, &lost, &shown);
        bool nested = local->in_callback;
        local->in_callback = true;
        e->config.on_dead_lost(e->config.host, &shown);
        local->in_callback = nested;
    }
    tq_grave_free(e, local, &lost);
}

void tq_dead_put(struct trq_engine *engine, struct tq_local *local, struct tq_ended *ended,
                 const struct trq_error *error)
{
    struct tq_grave grave;
    dig(engine, local, ended, error, &grave);
    put(engine, local, &grave, 0);
}

void tq_dead_put_back(struct trq_engine *engine, struct tq_local *local,
                      const struct tq_grave *grave)
{
    put(engine, local, grave, grave->entry.number);
}

/* The mutex is held. NULL: it is not there. */
static struct tq_grave *find(struct trq_engine *e, struct trq_job_id id, uint32_t *out_index)
{
    *out_index = id.birth == e->birth ? tq_roll_by_key(&e->dead.roll, id.slot) : TQ_NONE;
    return *out_index == TQ_NONE ? NULL : grave_at(e, *out_index);
}

bool tq_dead_take(struct trq_engine *engine, struct trq_job_id id, struct tq_grave *out)
{
    struct tq_dead *dead = &engine->dead;
    uint32_t index;
    tq_mutex_lock(&dead->mutex);
    const struct tq_grave *grave = find(engine, id, &index);
    if (grave) {
        *out = *grave;
        tq_roll_strike(&dead->roll, index);
        tq_roll_give(&dead->roll, index);
        tq_store(&dead->count, dead->roll.count, relaxed);
    }
    tq_mutex_unlock(&dead->mutex);
    return grave != NULL;
}

/* ---- looking ------------------------------------------------------------------------------------------------------ */

bool tq_dead_find(struct trq_engine *engine, struct trq_job_id id, struct trq_dead *out,
                  uint64_t *out_flags)
{
    uint32_t index;
    tq_mutex_lock(&engine->dead.mutex);
    const struct tq_grave *grave = find(engine, id, &index);
    if (grave && out)
        show(engine, grave, out);
    if (grave && out_flags)
        *out_flags = tq_load(&grave->husk.word, relaxed);
    tq_mutex_unlock(&engine->dead.mutex);
    return grave != NULL;
}

bool tq_dead_copy(struct trq_engine *engine, struct trq_job_id id,
                  const struct tq_layout **out_layout, unsigned char *buffer, size_t capacity,
                  size_t *out_size)
{
    uint32_t index;
    tq_mutex_lock(&engine->dead.mutex);
    struct tq_grave *grave = find(engine, id, &index);
    if (grave) {
        const struct tq_class *class = engine->registry.classes[tq_job_class_number(&grave->husk)];
        *out_layout = tq_job_layout(class, tq_load(&grave->husk.word, relaxed));
        *out_size = grave->husk.size;
        if (*out_size <= capacity)
            memcpy(buffer, tq_blocks_at(&engine->blocks, &grave->husk), *out_size);
    }
    tq_mutex_unlock(&engine->dead.mutex);
    return grave != NULL;
}

bool tq_dead_failures(struct trq_engine *engine, struct trq_job_id id, struct trq_failure *out,
                      size_t max, size_t *out_count)
{
    uint32_t index;
    tq_mutex_lock(&engine->dead.mutex);
    const struct tq_grave *grave = find(engine, id, &index);
    if (grave)
        *out_count = tq_trail_failures(engine, &grave->husk, out, max);
    tq_mutex_unlock(&engine->dead.mutex);
    return grave != NULL;
}

static bool matches(struct trq_engine *e, const struct tq_dead_walk *walk, struct tq_grave *grave)
{
    return (!walk->class || tq_job_class_number(&grave->husk) == walk->class->number) &&
           tq_job_contains(e, &grave->husk, walk->inputs);
}

size_t tq_dead_walk(struct trq_engine *engine, struct tq_dead_walk *walk, struct trq_dead *out,
                    size_t max)
{
    enum { AT_ONCE = 64 };
    const struct tq_roll *roll = &engine->dead.roll;
    size_t filled = 0;
    tq_mutex_lock(&engine->dead.mutex);
    uint32_t index = tq_roll_above(roll, walk->after);
    for (int i = 0; i < AT_ONCE && filled < max; i++) {
        struct tq_grave *grave = index == TQ_NONE ? NULL : grave_at(engine, index);
        walk->done = !grave || grave->entry.number > walk->last;
        if (walk->done)
            break;
        if (matches(engine, walk, grave))
            show(engine, grave, &out[filled++]);
        walk->after = grave->entry.number;
        index = tq_roll_next(roll, index);
    }
    tq_mutex_unlock(&engine->dead.mutex);
    return filled;
}

uint64_t tq_dead_last(struct trq_engine *engine)
{
    tq_mutex_lock(&engine->dead.mutex);
    uint64_t last = engine->dead.numbers;
    tq_mutex_unlock(&engine->dead.mutex);
    return last;
}

/* ---- check -------------------------------------------------------------------------------------------------------- */

static const char *check_grave(struct trq_engine *e, const struct tq_grave *grave,
                               uint64_t *out_sides)
{
    uint32_t cold = tq_load(&grave->husk.cold, relaxed);
    uint64_t word = tq_load(&grave->husk.word, relaxed);
    if (grave->entry.number > e->dead.numbers)
        return "a dead job has a number that was never given";
    if (!cold)
        return word & TQ_LASTING ? "a dead job has lost its locks or limits" : NULL;
    if (!(cold & TQ_COLD_SIDE))
        return "a dead job has a note";
    const struct tq_side *side = tq_side_at(e, cold & ~TQ_COLD_SIDE);
    ++*out_sides;
    if (tq_load(&side->note, relaxed) || side->queue_record != TQ_NONE ||
        side->worker_record != TQ_NONE || side->link != TQ_NONE ||
        tq_load(&side->tie, relaxed) != TQ_UNTIED)
        return "a dead job has what only living ones have";
    return NULL;
}

const char *tq_dead_check(struct trq_engine *engine, uint64_t *out_sides)
{
    const struct tq_roll *roll = &engine->dead.roll;
    const char *wrong = tq_roll_check(roll);
    *out_sides = 0;
    if (roll->count > roll->max || roll->count != tq_load(&engine->dead.count, relaxed))
        wrong = "more are dead than may be, or the count of them is wrong";
    for (uint32_t i = tq_roll_oldest(roll); i != TQ_NONE && !wrong; i = tq_roll_next(roll, i))
        wrong = check_grave(engine, grave_at(engine, i), out_sides);
    return wrong;
}
