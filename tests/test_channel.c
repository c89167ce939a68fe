/* Rule 10.5: channels and on_end. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static struct fx fx = FX_INIT;
static struct trq_engine *engine;
static struct trq_channel *channel;
static struct trq_event events[64];

static void set_up(void)
{
    engine = fx_polled(&fx, &fx_app);
    cr_assert_eq(trq_channel_create(engine, 8, &channel), TRQ_OK);
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(channel, .init = set_up, .fini = tear_down);

static int put(int64_t n)
{
    return fx_enqueue(engine, n, TRQ_OPTS(.channel = channel, .tag = (char *)&fx + n));
}
static void run(int jobs)
{
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), jobs);
}
static int drain(int most)
{
    return trq_channel_drain(channel, events, most);
}
static bool readable(void)
{
    return fx_readable(trq_channel_fd(channel));
}
static int64_t tag(int i)
{
    return (char *)events[i].tag - (char *)&fx;
}

Test(channel, room_is_taken_at_enqueue_and_given_back_at_the_drain)
{
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 8; i++)
            cr_assert_eq(put(i), TRQ_OK);
        cr_assert_eq(put(8), TRQ_EFULL);
        run(8);
        cr_assert_eq(put(8), TRQ_EFULL, "the end gives no room");
        cr_assert_eq(drain(3), 3);
        for (int i = 0; i < 3; i++)
            cr_assert_eq(put(i), TRQ_OK);
        cr_assert_eq(put(8), TRQ_EFULL);
        run(3);
        cr_assert_eq(drain(64), 8);
    }
}

Test(channel, a_refused_enqueue_gives_its_room_back)
{
    for (int i = 0; i < 20; i++)
        cr_assert_eq(trq_enqueue(engine, &num, TRQ_DICT(TRQ_KV("n", "text")),
                                 TRQ_OPTS(.channel = channel), NULL),
                     TRQ_EINPUT);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(put(i), TRQ_OK);
}

Test(channel, its_descriptor_is_readable_exactly_while_there_are_events)
{
    cr_assert_not(readable());
    for (int i = 0; i < 5; i++)
        cr_assert_eq(put(i), TRQ_OK);
    cr_assert_not(readable(), "nothing has ended");
    cr_assert_eq(trq_engine_poll(engine, 1, trq_ns(0)), 1);
    cr_assert(readable() && readable());
    run(4);
    for (int left = 5; left > 0; left--) {
        cr_assert(readable(), "%d are left", left);
        cr_assert_eq(drain(1), 1);
    }
    cr_assert_not(readable());
    cr_assert_eq(drain(64), 0);
    cr_assert_eq(put(1), TRQ_OK);
    run(1);
    cr_assert_eq(drain(0), 0);
    cr_assert(readable(), "draining none leaves it readable");
}

Test(channel, events_come_in_the_order_of_the_ends_with_tag_and_id)
{
    struct trq_job_id id[6];
    static const char *const queue[] = {"low", "high", "low", "default", "high", "default"};
    static const int64_t order[] = {1, 4, 3, 5, 0, 2};
    for (int i = 0; i < 6; i++) {
        struct num_in in = {i};
        cr_assert_eq(
            num_enqueue(engine, &in,
                        TRQ_OPTS(.channel = channel, .queue = queue[i], .tag = (char *)&fx + i),
                        &id[i]),
            TRQ_OK);
    }
    cr_assert_eq(trq_engine_poll(engine, 4, trq_ns(0)), 4);
    cr_assert_eq(trq_channel_drain(channel, events, 2), 2);
    run(2);
    cr_assert_eq(trq_channel_drain(channel, events + 2, 64), 4);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(tag(i), order[i]);
        cr_assert(trq_job_id_equal(events[i].id, id[order[i]]));
        cr_assert(events[i].outcome == TRQ_WAS_DONE && events[i].attempts == 1);
        cr_assert(events[i].waited.ns >= 0 && events[i].ran.ns >= 0);
        cr_assert_str_eq(events[i].worker, "Num");
    }
}

Test(channel, a_job_may_tell_a_channel_and_a_callback)
{
    cr_assert_eq(fx_enqueue(engine, 1, TRQ_OPTS(.channel = channel, .on_end = fx_on_end)), TRQ_OK);
    run(1);
    cr_assert(fx.ends == 1 && drain(64) == 1);
}

Test(channel, two_channels_get_their_own)
{
    struct trq_channel *second;
    cr_assert_eq(trq_channel_create(engine, 8, &second), TRQ_OK);
    for (int i = 0; i < 6; i++)
        cr_assert_eq(
            fx_enqueue(engine, i,
                       TRQ_OPTS(.channel = i % 2 ? second : channel, .tag = (char *)&fx + i)),
            TRQ_OK);
    run(6);
    cr_assert_eq(drain(64), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tag(i), 2 * i);
    cr_assert_not(readable());
    cr_assert(fx_readable(trq_channel_fd(second)));
    cr_assert_eq(trq_channel_drain(second, events, 64), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(tag(i), 2 * i + 1);
}

/* ---- forget --------------------------------------------------------------------------------------------- */

static struct trq_job_id put_one(struct trq_channel *where)
{
    struct trq_job_id id;
    struct num_in in = {1};
    cr_assert_eq(num_enqueue(engine, &in, TRQ_OPTS(.channel = where, .on_end = fx_on_end), &id),
                 TRQ_OK);
    return id;
}

Test(channel, a_forgotten_job_runs_and_tells_nobody)
{
    struct trq_job_id id = put_one(channel);
    cr_assert_eq(trq_channel_forget(channel, id), TRQ_OK);
    cr_assert_eq(trq_channel_forget(channel, id), TRQ_GONE, "that is done");
    run(1);
    cr_assert(drain(64) == 0 && !readable() && fx.ends == 0);
    cr_assert_str_eq(fx_text(&fx), "1");
    for (int i = 0; i < 8; i++)
        cr_assert_eq(put(i), TRQ_OK, "its room is back");
}

Test(channel, forgetting_after_the_end_comes_too_late)
{
    struct trq_job_id id = put_one(channel);
    run(1);
    cr_assert_eq(trq_channel_forget(channel, id), TRQ_GONE);
    cr_assert_eq(drain(64), 1);
    cr_assert_eq(trq_channel_forget(channel, id), TRQ_GONE);
    put_one(channel); /* the same slot */
    cr_assert_eq(trq_channel_forget(channel, id), TRQ_GONE, "an old id is not the new job");
    run(1);
    cr_assert_eq(drain(64), 1);
}

Test(channel, forget_leaves_alone_what_was_never_its_own)
{
    struct trq_channel *second;
    cr_assert_eq(trq_channel_create(engine, 8, &second), TRQ_OK);
    struct trq_job_id of_second = put_one(second), of_none = put_one(NULL);
    cr_assert_eq(trq_channel_forget(channel, of_second), TRQ_GONE);
    cr_assert_eq(trq_channel_forget(channel, of_none), TRQ_GONE);
    cr_assert_eq(trq_channel_forget(channel, (struct trq_job_id){0, 0}), TRQ_GONE);
    cr_assert_eq(trq_channel_forget(channel, (struct trq_job_id){UINT64_MAX, of_none.birth}),
                 TRQ_GONE);
    run(2);
    cr_assert_eq(trq_channel_drain(second, events, 64), 1);
    cr_assert_eq(fx.ends, 2);
}

static enum trq_end forget_me(struct trq_job *job)
{
    fx_note(trq_job_host(job), trq_channel_forget(channel, trq_job_self(job)));
    return TRQ_DONE;
}
Test(channel, a_running_job_can_be_forgotten)
{
    static const struct trq_worker w = {.size = sizeof w, .name = "W", .perform = forget_me};
    cr_assert_eq(trq_register(engine, FX_APP(.workers = TRQ_WORKERS(&w)), NULL), TRQ_OK);
    cr_assert_eq(trq_enqueue(engine, &w, TRQ_DICT_NONE, TRQ_OPTS(.channel = channel), NULL),
                 TRQ_OK);
    run(1);
    cr_assert_str_eq(fx_text(&fx), "0");
    cr_assert_eq(drain(64), 0);
}

/* ---- destroy ------------------------------------------------------------------------------------------------ */

Test(channel, destroyed_with_waiting_jobs_and_undrained_events_it_tells_nobody)
{
    for (int i = 0; i < 8; i++)
        cr_assert_eq(put(i), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 4, trq_ns(0)), 4);
    cr_assert_eq(drain(2), 2);
    trq_channel_destroy(channel);
    run(4);
    cr_assert_eq(fx_values(&fx), 8);
}

Test(channel, it_dies_with_the_engine_in_any_state)
{
    struct trq_channel *more[5];
    for (int i = 0; i < 5; i++)
        cr_assert_eq(trq_channel_create(engine, 1 << 20, &more[i]), TRQ_OK);
    trq_channel_destroy(more[4]);
    trq_channel_destroy(more[0]);
    trq_channel_destroy(more[2]);
    for (int i = 0; i < 8; i++)
        cr_assert_eq(put(i), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 4, trq_ns(0)), 4);
    cr_assert_eq(drain(2), 2);
}

Test(channel, dropped_jobs_are_told_and_can_be_drained_after_the_stop)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(put(i), TRQ_OK);
    run(3);
    for (int i = 3; i < 7; i++)
        cr_assert_eq(put(i), TRQ_OK);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    cr_assert(readable());
    cr_assert_eq(drain(64), 7);
    for (int i = 0; i < 7; i++) {
        cr_assert_eq(tag(i), i);
        cr_assert_eq(events[i].outcome, i < 3 ? TRQ_WAS_DONE : TRQ_WAS_DROPPED);
        cr_assert_eq(events[i].attempts, i < 3);
    }
    cr_assert_not(readable());
    struct trq_channel *late;
    cr_assert_eq(trq_channel_create(engine, 1, &late), TRQ_ESTOPPED);
}

Test(channel, wrong_calls_are_refused)
{
    struct trq_channel *none;
    struct trq_engine *other = fx_polled(&fx, &fx_app);
    struct trq_error error;
    cr_assert_eq(trq_channel_create(NULL, 1, &none), TRQ_EINVAL);
    cr_assert_eq(trq_channel_create(engine, 0, &none), TRQ_EINVAL);
    cr_assert_eq(trq_channel_create(engine, (1 << 20) + 1, &none), TRQ_EINVAL);
    cr_assert_eq(trq_channel_create(engine, 1, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_channel_fd(NULL), TRQ_EINVAL);
    cr_assert_eq(trq_channel_drain(NULL, events, 1), TRQ_EINVAL);
    cr_assert_eq(trq_channel_drain(channel, NULL, 1), TRQ_EINVAL);
    cr_assert_eq(trq_channel_drain(channel, events, -1), TRQ_EINVAL);
    cr_assert_eq(trq_channel_drain(channel, NULL, 0), 0);
    cr_assert_eq(trq_channel_forget(NULL, (struct trq_job_id){0, 0}), TRQ_EINVAL);
    trq_channel_destroy(NULL);
    cr_assert_eq(fx_enqueue(other, 1, TRQ_OPTS(.channel = channel, .error = &error)), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "the channel belongs to another engine");
    cr_assert_eq(trq_engine_destroy(other), TRQ_OK);
}

Test(channel, outcomes_have_names)
{
    static const char *const name[] = {"done",      "skipped",  "discarded", "dead",   "dropped",
                                       "cancelled", "replaced", "merged",    "expired"};
    for (int i = 0; i < 9; i++)
        cr_assert_str_eq(trq_outcome_name((enum trq_outcome)i), name[i]);
    cr_assert_str_eq(trq_outcome_name((enum trq_outcome)9), "?");
    cr_assert_str_eq(trq_outcome_name((enum trq_outcome) - 1), "?");
}
