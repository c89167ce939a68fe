/* What a handler may ask and say. */
#include <stdio.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/core/draft.h"
#include "engine/core/engine.h"
#include "engine/core/inputs.h"
#include "engine/core/layout.h"
#include "engine/core/run.h"
#include "engine/core/trail.h"
#include "engine/core/upgrade.h"

static void TRQ_PRINTF(2, 0) say(struct trq_job *run, const char *format, va_list args)
{
    if (!run)
        return;
    if (format && !strchr(format, '%'))
        tq_error_text(&run->error, 0, format);
    else if (format)
        tq_error_setv(&run->error, 0, format, args);
    else
        tq_error_set(&run->error, 0, "no reason was given");
}

enum trq_end trq_fail(struct trq_job *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(run, format, args);
    va_end(args);
    return TRQ_FAILED;
}

enum trq_end trq_discard(struct trq_job *run, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    say(run, format, args);
    va_end(args);
    return TRQ_DISCARDED;
}

enum trq_end trq_requeue(struct trq_job *run)
{
    return trq_requeue_in(run, trq_ns(0));
}

enum trq_end trq_requeue_in(struct trq_job *run, struct trq_span after)
{
    if (run)
        run->requeue = after;
    return TRQ_REQUEUED;
}

/* ---- inputs of another version -------------------------------------------------------------------------------- */

/* Seldom asked: so that who reads the inputs of this version does not pay for it. */
#define NEVER_INLINE static __attribute__((noinline))

static bool is_drafting(const struct trq_job *run)
{
    return run->local->draft && run->local->draft->of == run;
}

static struct tq_former former_of(const struct trq_job *run)
{
    return tq_upgrade_former(run->class, run->inputs, run->job->size);
}

NEVER_INLINE bool get_former(const struct trq_job *run, const char *name, struct trq_value *out)
{
    const struct tq_former former = former_of(run);
    return is_drafting(run) ? tq_draft_get(run->local->draft, trq_str_of(name), out)
                            : tq_former_get(&former, name, strlen(name), out);
}

/* The run has no memory yet, since it has not come so far; or its inputs are of another version. */
NEVER_INLINE const void *inputs_anyway(struct trq_job *run)
{
    const struct tq_former former = former_of(run);
    if (is_drafting(run))
        return NULL;
    if (!run->scratch)
        run->scratch = tq_run_scratch(run->local, run->class);
    if (!run->scratch)
        return NULL;
    if (run->word & TQ_OLD)
        tq_former_to_struct(&former, run->scratch);
    else
        tq_inputs_to_struct(run->class->layout, run->inputs, run->job->size, run->scratch);
    run->decoded = true;
    return run->scratch;
}

/* ---- inputs ---------------------------------------------------------------------------------------------------- */

const void *trq_job_inputs(struct trq_job *run, const struct trq_inputs *declared)
{
    const struct trq_inputs *own = run->class->declared->inputs;
    /* Another source file has a copy of its own. */
    if (declared != own && (!declared || !own || !tq_inputs_same(declared, own)))
        return NULL;
    if (!run->decoded) {
        if (TQ_UNLIKELY(!run->scratch || run->word & TQ_OLD))
            return inputs_anyway(run);
        tq_inputs_to_struct(run->class->layout, run->inputs, run->job->size, run->scratch);
        run->decoded = true;
    }
    return run->scratch;
}

enum { ROWS_BY_ADDRESS = 6 }; /* then hashing is quicker */

static inline bool same_text(const char *a, const char *b)
{
    while (*a && *a == *b) /* names are short: a call of strcmp costs more than it saves */
        a++, b++;
    return *a == *b;
}

/* A handler asks for the same few literals again and again. Often the linker has made one of them and of the name in the
 * declaration, which never changes: the address is enough. Else, where it asked with this pointer last time, comparing
 * the text is all. */
static inline bool get(const struct trq_job *run, const char *name, struct trq_value *out)
{
    if (TQ_UNLIKELY(!name))
        return false;
    if (TQ_UNLIKELY(run->word & TQ_OLD))
        return get_former(run, name, out);
    struct tq_local *local = run->local;
    const struct tq_layout *layout = run->class->layout;
    for (uint32_t i = 0; i < layout->row_count && i < ROWS_BY_ADDRESS; i++)
        if (layout->row[i].declared == name)
            return tq_inputs_get_row(layout, &layout->row[i], run->inputs, out);
    uint32_t at = (uint32_t)((uintptr_t)name >> 2 ^ (uintptr_t)name >> 7) % TQ_NAMED;
    if (TQ_LIKELY(local->named[at].name == name && local->named[at].layout == layout &&
                  same_text(local->named[at].row->name, name)))
        return tq_inputs_get_row(layout, local->named[at].row, run->inputs, out);
    size_t size = strlen(name);
    const struct tq_row *row = tq_layout_find(layout, name, size);
    if (!row)
        return tq_inputs_get(layout, run->inputs, run->job->size, name, size, out);
    local->named[at].name = name;
    local->named[at].layout = layout;
    local->named[at].row = row;
    return tq_inputs_get_row(layout, row, run->inputs, out);
}

bool trq_job_get(const struct trq_job *run, const char *name, struct trq_value *out)
{
    return get(run, name, out);
}

int64_t trq_job_get_i64(const struct trq_job *run, const char *name)
{
    struct trq_value v;
    return get(run, name, &v) && v.type == TRQ_I64 ? v.u.i : 0;
}

double trq_job_get_f64(const struct trq_job *run, const char *name)
{
    struct trq_value v;
    if (!get(run, name, &v))
        return 0;
    return v.type == TRQ_F64 ? v.u.f : v.type == TRQ_I64 ? (double)v.u.i : 0;
}

bool trq_job_get_bool(const struct trq_job *run, const char *name)
{
    struct trq_value v;
    return get(run, name, &v) && v.type == TRQ_BOOL && v.u.b;
}

struct trq_str trq_job_get_str(const struct trq_job *run, const char *name)
{
    struct trq_value v;
    if (get(run, name, &v) && (v.type == TRQ_STR || v.type == TRQ_JSON))
        return v.u.s;
    return (struct trq_str){NULL, 0};
}

struct trq_engine *trq_job_engine(const struct trq_job *run)
{
    return run->engine;
}

void *trq_job_host(const struct trq_job *run)
{
    return run->engine->config.host;
}

void *trq_job_tag(const struct trq_job *run)
{
    uint32_t note = tq_job_note(run->engine, run->job);
    return note ? tq_note_at(run->engine, note)->event.tag : NULL;
}

struct trq_job_id trq_job_self(const struct trq_job *run)
{
    return tq_job_id(run->engine, run->index, run->word);
}

int trq_job_attempt(const struct trq_job *run)
{
    return tq_job_failures(run->job) + !run->has_failed;
}

const char *trq_job_queue(const struct trq_job *run)
{
    return run->engine->registry.queues[tq_job_queue_number(run->job)]->text;
}

const struct trq_worker *trq_job_worker(const struct trq_job *run)
{
    return run->class->declared;
}

int trq_job_thread(const struct trq_job *run)
{
    return run->local->thread < 0 ? 0 : run->local->thread;
}

struct trq_wall trq_job_enqueued_at(const struct trq_job *run)
{
    const struct tq_clock *clock = &run->engine->clock;
    int64_t age = tq_clock_mono(clock) - (int64_t)(tq_load(&run->job->enqueued, relaxed) >> 1);
    return (struct trq_wall){tq_clock_wall(clock) - (age > 0 ? age : 0)};
}

bool trq_job_should_stop(const struct trq_job *run)
{
    if (TQ_UNLIKELY(!tq_is_open(run->engine))) {
        run->local->told_to_stop = true; /* what fails from here on, fails because of that */
        return true;
    }
    return tq_load(&run->job->word, relaxed) & TQ_STOP_ASKED ||
           (run->deadline != INT64_MAX && tq_clock_boot(&run->engine->clock) >= run->deadline);
}

struct trq_span trq_job_time_left(const struct trq_job *run)
{
    if (run->deadline == INT64_MAX)
        return trq_forever();
    int64_t left = run->deadline - tq_clock_boot(&run->engine->clock);
    return trq_ns(left > 0 ? left : 0);
}

/* Nobody changes the list while the job runs, but for this thread. */
const char *trq_job_last_error(const struct trq_job *run)
{
    return tq_trail_last(run->engine, run->job);
}

int trq_job_set_result(struct trq_job *run, const void *data, size_t size)
{
    if (size > TRQ_RESULT_MAX || (size && !data))
        return TRQ_EINVAL;
    if (size)
        memcpy(run->result, data, size);
    run->result_size = (uint16_t)size;
    return TRQ_OK;
}
