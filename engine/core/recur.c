#include "engine/core/recur.h"

#include <string.h>

#include "engine/base/calendar.h"
#include "engine/core/engine.h"
#include "engine/core/house.h"
#include "engine/core/life.h"
#include "engine/core/schedule.h"

#define SECOND INT64_C(1000000000)
#define TOLERATED (3 * 3600 * SECOND)
/* Of what will not fire as the clock stands. */
#define END_OF_TIME (INT64_MAX - SECOND)

enum { AGAIN_MIN_NS = 10000000 };

/* ---- the table ----------------------------------------------------------------------------------------------------- */

uint32_t tq_recur_find(const struct tq_recur *recur, const char *name, bool *out_there)
{
    uint32_t low = 0, high = tq_load(&recur->count, relaxed);
    *out_there = false;
    while (low < high && !*out_there) {
        const uint32_t middle = low + (high - low) / 2;
        const int order = strcmp(recur->order[middle]->name, name);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
        if (order == 0) {
            low = middle;
            *out_there = true;
        }
    }
    return low;
}

/* The recurrence of that timer. The mutex is held. */
static struct tq_recurrence *of_timer(const struct tq_recur *recur, uint32_t item,
                                      uint32_t generation)
{
    const uint32_t slot = tq_item_index(item) - TQ_RECUR_BASE;
    if (slot >= recur->used || recur->slots[slot].generation != generation)
        return NULL;
    return recur->slots[slot].there;
}

/* ---- its timer ----------------------------------------------------------------------------------------------------- */

/* NEVER: not as the clocks stand. */
static int64_t due_of(const struct tq_recurrence *r, const struct tq_moment *now)
{
    if (r->next == TQ_RECUR_NEVER || r->next > tq_recurspec_end(r->spec, now))
        return END_OF_TIME;
    const int64_t due = tq_recur_plus(r->next, r->spec->jitter);
    const int64_t later = due > r->again ? due : r->again;
    return later < END_OF_TIME ? later : END_OF_TIME;
}

bool tq_recur_upcoming(const struct tq_recurrence *r, const struct tq_moment *now,
                       struct trq_wall *out_next)
{
    const int64_t due = due_of(r, now);
    if (due == END_OF_TIME)
        return false;
    out_next->ns = tq_recurspec_to_wall(r->spec, now, due);
    return true;
}

bool tq_recur_arm(struct trq_engine *engine, struct tq_local *local, struct tq_recurrence *r,
                  const struct tq_moment *now)
{
    const int64_t due = due_of(r, now);
    if (due == r->armed)
        return false;
    struct tq_recur_slot *slot = &engine->recur.slots[r->slot];
    r->armed = due;
    tq_timer_submit(engine, local, TQ_RECUR_BASE + r->slot, ++slot->generation, due,
                    !r->spec->every);
    return true;
}

bool tq_recur_is_live(struct trq_engine *engine, uint32_t item, uint32_t generation)
{
    struct tq_recur *recur = &engine->recur;
    pthread_mutex_lock(&recur->mutex);
    const bool live = of_timer(recur, item, generation) != NULL;
    pthread_mutex_unlock(&recur->mutex);
    return live;
}

/* ---- the clock is set back ------------------------------------------------------------------------------------------- */

/* From now on by the time that it shows. The mutex is held. */
static void take_up(struct trq_engine *e, struct tq_local *local, struct tq_recurrence *r,
                    const struct tq_moment *now)
{
    if (!r->spec->every) {
        r->next = tq_recurspec_first(r->spec, now, 0);
        r->missed += r->again != INT64_MIN;
        r->again = r->granted = INT64_MIN;
    }
    if (tq_recur_arm(e, local, r, now))
        tq_timer_stale(e);
}

bool tq_recur_look(struct trq_engine *engine, struct tq_local *local)
{
    struct tq_recur *recur = &engine->recur;
    bool memory = true;
    if (!tq_load(&recur->count, acquire))
        return true;
    const struct tq_moment now = tq_moment(engine);
    pthread_mutex_lock(&recur->mutex);
    if (now.wall < recur->latest - TOLERATED)
        recur->correcting = true;
    if (recur->correcting) {
        for (uint32_t i = 0; memory && i < tq_load(&recur->count, relaxed); i++) {
            memory = tq_timer_reserve(engine, local, 1);
            if (memory)
                take_up(engine, local, recur->order[i], &now);
        }
        recur->correcting = !memory;
        recur->latest = now.wall;
    }
    if (now.wall > recur->latest)
        recur->latest = now.wall;
    pthread_mutex_unlock(&recur->mutex);
    return memory;
}

/* ---- firing -------------------------------------------------------------------------------------------------------- */

/* One firing, from the choice until what became of it is written down. */
struct firing {
    struct tq_recurspec *spec; /* counted */
    uint32_t slot, generation;
    uint64_t born;
    int64_t nominal;
    struct trq_wall at;
    struct trq_job_id before; /* {0, 0}: there need not be looked at one */
    struct trq_job_id id;
    int64_t now;
};

enum result { FIRED, SKIPPED, REFUSED, NO_ROOM, STOPPED };

/* Its first firing that is due. False: none, or by the policy none. The mutex is held. */
static bool choose(struct tq_recurrence *r, const struct tq_moment *now, int64_t clock,
                   struct firing *out)
{
    const struct tq_recurspec *spec = r->spec;
    if (spec->every && spec->start > now->wall && r->next <= clock)
        r->next = tq_recurspec_of_wall(spec, now, spec->start); /* the wall clock was set back */
    const int64_t last = tq_recurspec_end(spec, now);
    const int64_t nominal_now = tq_recur_plus(clock, -spec->jitter);
    const int64_t limit = nominal_now < last ? nominal_now : last;
    int64_t from = r->next;
    if (r->next > limit)
        return false;
    if (spec->catch_up != TRQ_CATCH_UP_ALL || r->next > r->granted) {
        uint64_t missed;
        tq_recurspec_choose(spec, r->next, limit, nominal_now, &from, &missed, &r->next);
        r->missed += missed;
        r->granted = limit;
    }
    if (from == TQ_RECUR_NEVER)
        return false;
    out->nominal = from;
    out->at.ns = tq_recurspec_to_wall(spec, now, from);
    out->before = spec->no_overlap ? r->job : (struct trq_job_id){0, 0};
    out->born = r->born;
    out->slot = r->slot;
    return true;
}

static bool lives(const struct trq_engine *e, struct trq_job_id id)
{
    const struct tq_job *job = id.birth ? tq_job_by_id(e, id) : NULL;
    const uint64_t word = job ? tq_load(&job->word, acquire) : 0;
    return job && tq_word_generation(word) == (uint32_t)(id.slot >> 32) && tq_word_lives(word);
}

/* Under no lock. */
static enum result make_job(struct trq_engine *e, struct firing *f, int *out_code,
                            struct trq_error *error)
{
    const struct tq_recurspec *spec = f->spec;
    if (lives(e, f->before))
        return SKIPPED;
    /* The specification may be in another's hands only to be counted, so its last value is ours to write. */
    if (spec->has_time)
        spec->kv[spec->count - 1].value.u.i = tq_floor_div(f->at.ns, SECOND);
    struct trq_opts opts = trq_opts_init();
    opts.queue = spec->queue;
    opts.on_end = spec->on_end;
    opts.tag = spec->tag;
    opts.wake_later = true; /* the round wakes, once */
    opts.error = error;
    *out_code = trq_enqueue(e, spec->class->declared, (struct trq_dict){spec->kv, spec->count},
                            &opts, &f->id);
    switch (*out_code) {
    case TRQ_EFULL:
    case TRQ_ENOMEM:
        return NO_ROOM;
    case TRQ_ESTOPPED:
        return STOPPED;
    default:
        return *out_code < 0 ? REFUSED : FIRED;
    }
}

/* The mutex is held. */
static void wait_for_room(struct tq_recurrence *r, const struct firing *f)
{
    const int64_t waited = f->now - tq_recur_plus(f->nominal, r->spec->jitter);
    const int64_t most = waited < SECOND ? waited : SECOND;
    r->delayed += r->again == INT64_MIN;
    r->again = tq_recur_plus(f->now, most > AGAIN_MIN_NS ? most : AGAIN_MIN_NS);
    r->granted = INT64_MIN;
}

/* What became of it. The mutex is held. True: the log is to be told. */
static bool record(struct tq_recurrence *r, const struct firing *f, enum result result, int code,
                   bool same_times)
{
    const bool told = r->refusing;
    r->refusing = result == REFUSED;
    if (result == NO_ROOM && same_times) {
        wait_for_room(r, f);
        return false;
    }
    r->fired += result == FIRED;
    r->skipped += result == SKIPPED;
    r->refused += result == REFUSED;
    r->missed += result == NO_ROOM;
    if (result == FIRED) {
        r->job = f->id;
        r->made = code == TRQ_OK || code == TRQ_REPLACED;
    }
    if (result != NO_ROOM)
        r->last = f->at;
    if (same_times) {
        r->next = tq_recurspec_following(r->spec, f->nominal);
        r->again = INT64_MIN;
    }
    return result == REFUSED && !told;
}

/* The recurrence of the firing is there still, whatever has become of its times. The mutex is held. */
static struct tq_recurrence *still_there(const struct tq_recur *recur, const struct firing *f)
{
    struct tq_recurrence *r = f->slot < recur->used ? recur->slots[f->slot].there : NULL;
    return r && r->born == f->born ? r : NULL;
}

/* The timer to its next time. The mutex is held. */
static bool again(struct tq_recurrence *r, const struct tq_moment *now, int64_t clock,
                  int64_t *out_at)
{
    *out_at = r->armed = due_of(r, now);
    return clock < END_OF_TIME;
}

bool tq_recur_due(struct trq_engine *engine, uint32_t item, uint32_t generation, int64_t now_ns,
                  int64_t *out_at, unsigned *fired)
{
    struct tq_recur *recur = &engine->recur;
    const struct tq_moment now = tq_moment(engine);
    struct firing f = {.generation = generation, .now = now_ns};
    bool answer = false;
    pthread_mutex_lock(&recur->mutex);
    struct tq_recurrence *r = of_timer(recur, item, generation);
    const bool due = r && due_of(r, &now) <= now_ns && choose(r, &now, now_ns, &f);
    if (!due) {
        if (r)
            answer = again(r, &now, now_ns, out_at);
        pthread_mutex_unlock(&recur->mutex);
        return answer;
    }
    f.spec = r->spec;
    f.spec->refs++;
    pthread_mutex_unlock(&recur->mutex);

    int code = TRQ_OK;
    struct trq_error error = {0};
    const enum result result = make_job(engine, &f, &code, &error);

    bool tell = false;
    pthread_mutex_lock(&recur->mutex);
    r = still_there(recur, &f);
    const bool same_times = r && recur->slots[f.slot].generation == generation;
    if (r && result != STOPPED)
        tell = record(r, &f, result, code, same_times);
    if (same_times)
        answer = again(r, &now, now_ns, out_at);
    struct tq_recurspec *spec = f.spec;
    if (tell) { /* the name is needed still */
        pthread_mutex_unlock(&recur->mutex);
        tq_log(engine, TRQ_LOG_WARNING, "recurring %.100s: %s", spec->name, error.text);
        pthread_mutex_lock(&recur->mutex);
    }
    tq_recurspec_drop(&engine->memory, &recur->zones, spec);
    pthread_mutex_unlock(&recur->mutex);
    *fired += result == FIRED;
    return answer;
}

/* ---- what others ask ------------------------------------------------------------------------------------------------- */

bool tq_recur_of_job(struct trq_engine *engine, struct trq_job_id id,
                     char out_name[TQ_RECUR_NAME_MAX + 1], struct trq_wall *out_next)
{
    struct tq_recur *recur = &engine->recur;
    bool found = false;
    if (!tq_load(&recur->count, acquire))
        return false;
    const struct tq_moment now = tq_moment(engine);
    pthread_mutex_lock(&recur->mutex);
    for (uint32_t i = 0; !found && i < tq_load(&recur->count, relaxed); i++) {
        const struct tq_recurrence *r = recur->order[i];
        found = r->made && trq_job_id_equal(r->job, id);
        if (!found)
            continue;
        memcpy(out_name, r->name, sizeof r->name);
        out_next->ns = INT64_MAX;
        tq_recur_upcoming(r, &now, out_next);
    }
    pthread_mutex_unlock(&recur->mutex);
    return found;
}

const char *tq_recur_check(struct trq_engine *engine, uint64_t *out_count)
{
    struct tq_recur *recur = &engine->recur;
    const char *wrong = NULL;
    uint32_t there = 0;
    pthread_mutex_lock(&recur->mutex);
    const uint32_t count = tq_load(&recur->count, relaxed);
    for (uint32_t i = 0; i < recur->used; i++)
        there += recur->slots[i].there != NULL;
    if (there != count)
        wrong = "recurrences are lost";
    for (uint32_t i = 0; i < count && !wrong; i++) {
        const struct tq_recurrence *r = recur->order[i];
        if (recur->slots[r->slot].there != r || strcmp(r->name, r->spec->name) != 0)
            wrong = "a recurrence is not in its slot";
        else if (i && strcmp(recur->order[i - 1]->name, r->name) >= 0)
            wrong = "recurrences are not in order";
    }
    pthread_mutex_unlock(&recur->mutex);
    *out_count = count;
    return wrong;
}

void tq_recur_init(struct trq_engine *engine)
{
    pthread_mutex_init(&engine->recur.mutex, NULL);
    engine->recur.latest = INT64_MIN / 2;
}

void tq_recur_fini(struct trq_engine *engine)
{
    struct tq_recur *recur = &engine->recur;
    for (uint32_t i = 0; i < tq_load(&recur->count, relaxed); i++) {
        tq_recurspec_drop(&engine->memory, &recur->zones, recur->order[i]->spec);
        tq_free(&engine->memory, recur->order[i], sizeof *recur->order[i]);
    }
    tq_free(&engine->memory, recur->slots, recur->room * sizeof *recur->slots);
    tq_free(&engine->memory, recur->order, recur->room * sizeof *recur->order);
    pthread_mutex_destroy(&recur->mutex);
}
