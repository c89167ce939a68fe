/* One seed without threads: every call, every run and every tick of the clock is ours. */
#include "engine/core/engine.h"

#include "world.h"

#define SECOND INT64_C(1000000000)

enum { START = 1 };

static void driven(struct world *w, const char *what, int ran)
{
    journal("  %s ran %d", what, ran);
    JOURNAL_MUST(ran == w->ran, "%s says that %d ran, and %d did", what, ran, w->ran);
    world_look_at_clock(w, NOBODY);
    look(w, NOBODY, NOBODY);
    world_after_call(w);
    JOURNAL_MUST(w->drops == 0, "%d states were not dropped", w->drops);
}

static void step(struct world *w)
{
    journal("step");
    w->ran = 0;
    int ran = trq_test_step(w->engine);
    driven(w, "step", ran);
    JOURNAL_MUST(ran == 0 || ran == 1, "a step ran %d", ran);
    if (ran == 0) {
        look_for_late_ones(w);
        JOURNAL_MUST(!model_has_work(&w->model), "nothing ran, and jobs are ready");
    }
}

static void drain(struct world *w)
{
    journal("drain");
    w->ran = 0;
    driven(w, "drain", trq_test_drain(w->engine));
    look_for_late_ones(w);
    JOURNAL_MUST(!model_has_work(&w->model), "drained, and jobs are ready");
}

static void advance(struct world *w, int64_t span)
{
    journal("advance by %lld", (long long)span);
    w->ran = 0;
    w->advancing = true;
    w->advance_left = span;
    driven(w, "advance", trq_test_advance(w->engine, trq_ns(span)));
    w->advancing = false;
    JOURNAL_MUST(w->advance_left == 0, "%lld ns are left of the span", (long long)w->advance_left);
    look_for_late_ones(w);
    JOURNAL_MUST(!model_has_work(&w->model), "time has passed, and jobs are ready");
}

/* A day either way, a little, or to where somebody waits. */
static void set_wall(struct world *w, struct draw *draw)
{
    int64_t by = draw_percent(draw, 60) ? 86400 * SECOND : draw_span(draw) % (86400 * SECOND);
    if (draw_percent(draw, 50))
        by = -by;
    int64_t wall = w->model.wall + by;
    journal("set the wall clock by %lld to %lld", (long long)by, (long long)wall);
    w->ran = 0;
    model_set_wall(&w->model, wall);
    int code = trq_test_set_wall(w->engine, (struct trq_wall){wall});
    JOURNAL_MUST(code == TRQ_OK && w->ran == 0, "set_wall: %s, ran %d", trq_code_name(code),
                 w->ran);
    look(w, NOBODY, NOBODY);
    world_after_call(w);
}

static void check(struct world *w)
{
    struct trq_error error = {0};
    int code = trq_engine_check(w->engine, &error);
    JOURNAL_MUST(code == TRQ_OK, "trq_engine_check: %s: %s", trq_code_name(code), error.text);
}

static void operate(struct world *w, struct draw *draw)
{
    int r = draw_below(draw, 100);
    if (r < 25)
        step(w);
    else if (r < 30)
        drain(w);
    else if (r < 44) {
        int64_t span = draw_span(draw);
        int64_t next = model_next_due(&w->model);
        if (next >= 0 && draw_percent(draw, 40)) /* just before, at, or after a due time */
            span = model_plus(next, draw_below(draw, 3) - 1);
        if (span < 0 || span > 5000 * 86400 * SECOND)
            span = 0;
        advance(w, span);
    } else if (r < 49)
        set_wall(w, draw);
    else
        act(w, draw, false);
}

static void end(struct world *w)
{
    for (int q = 0; q < M_QUEUES; q++)
        act_pause(w, q, false);
    drain(w);
    advance(w, 3 * 400 * 86400 * SECOND);
    compare_all(w);
    compare_counters(w);
    check(w);
    struct trq_leftover left = {.size = sizeof left};
    uint64_t expected = 0;
    for (int i = 0; i < w->model.job_count; i++)
        expected += w->model.job[i].state != M_ENDED;
    model_drop_all(&w->model);
    int code = trq_engine_stop(w->engine, trq_seconds(50), &left);
    JOURNAL_MUST(code == TRQ_OK && left.dropped == expected, "stop: %s, dropped %llu of %llu",
                 trq_code_name(code), (unsigned long long)left.dropped,
                 (unsigned long long)expected);
    world_after_call(w);
    compare_counters(w);
}

/* The engine of tests has no configuration. */
static void bound_the_dead(struct world *w, struct draw *draw)
{
    w->engine->config.on_dead_lost = world_on_dead_lost;
    if (draw_percent(draw, 50))
        w->engine->dead.roll.max = (uint32_t)(w->model.dead_max = draw_below(draw, 12));
}

void random_run(struct world *w, uint64_t seed, enum mistake mistake, int operations,
                const bool *skip)
{
    world_init(w, seed, mistake, false);
    struct draw draw = {seed ^ START};
    w->model.wall = draw_percent(&draw, 80) ? INT64_C(1767225600) * SECOND : 50 * 86400 * SECOND;
    const struct trq_app *const apps[] = {&w->app, NULL};
    struct trq_error error = {0};
    int code = trq_test_engine(w, (struct trq_wall){w->model.wall}, apps, &w->engine, &error);
    JOURNAL_MUST(code == TRQ_OK, "no engine: %s", error.text);
    bound_the_dead(w, &draw);
    for (int i = 0; i < operations; i++) {
        draw.state = seed * UINT64_C(0x9E3779B1) + (uint64_t)i * 977;
        if (skip && skip[i])
            continue;
        journal("[%d]", i);
        operate(w, &draw);
        compare_live(w);
        if (i % 32 == 0)
            compare_all(w);
        if (i % 4 == 0)
            compare_counters(w);
        if (i % 4 == 1)
            check(w);
    }
    end(w);
    JOURNAL_MUST(trq_engine_destroy(w->engine) == TRQ_OK, "not destroyed");
    world_fini(w);
}
