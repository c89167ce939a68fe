/* Rules 1.2, 1.3, 1.9, 10.2: what enqueue takes, keeps and refuses. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

#define MIXED_INPUTS(F, W)                                                                         \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, count, TRQ_OPTIONAL, 7)                                                              \
    F(W, bool, flag, TRQ_OPTIONAL, true)                                                           \
    F(W, f64, ratio, TRQ_OPTIONAL, 0.5)                                                            \
    F(W, json, data, TRQ_OPTIONAL, "[1]")
TRQ_INPUTS(mixed, MIXED_INPUTS);

/* What the last run of mixed saw, as text. */
static char seen[512];

static enum trq_end mixed_perform(struct trq_job *job)
{
    const struct mixed_in *in = mixed_get(job);
    struct trq_value extra;
    snprintf(seen, sizeof seen, "%.*s %lld %d %g %.*s", (int)in->name.size, in->name.data,
             (long long)in->count, in->flag, in->ratio, (int)in->data.size, in->data.data);
    if (trq_job_get(job, "extra", &extra))
        snprintf(seen + strlen(seen), sizeof seen - strlen(seen), " %lld", (long long)extra.u.i);
    return TRQ_DONE;
}
const struct trq_worker mixed = {TRQ_WORKER(mixed, "Mixed"), .perform = mixed_perform};

static enum trq_end bare_perform(struct trq_job *job)
{
    fx_note(trq_job_host(job), trq_job_get_i64(job, "n"));
    return TRQ_DONE;
}
static const struct trq_worker bare = {
    .size = sizeof(struct trq_worker), .name = "Bare", .perform = bare_perform};

static const struct trq_app app = {
    .size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&mixed, &bare, &num, &gated)};

static struct fx fx = FX_INIT;
static struct trq_engine *engine;
static struct trq_error error;

static void set_up(void)
{
    engine = fx_polled(&fx, &app);
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(enqueue, .init = set_up, .fini = tear_down);

static int enqueue_mixed(struct trq_dict dict)
{
    error.code = 0;
    return trq_enqueue(engine, &mixed, dict, TRQ_OPTS(.error = &error), NULL);
}
static void saw(const char *wanted)
{
    cr_assert_eq(trq_engine_poll(engine, 1, trq_ns(0)), 1);
    cr_assert_str_eq(seen, wanted);
}
static void refused(struct trq_dict dict, const char *text)
{
    cr_assert_eq(enqueue_mixed(dict), TRQ_EINPUT);
    cr_assert_eq(error.code, TRQ_EINPUT);
    cr_assert_str_eq(error.text, text);
}

Test(enqueue, a_dictionary_reads_like_the_struct)
{
    const struct trq_dict dict =
        TRQ_DICT(TRQ_KV("name", "bob"), TRQ_KV("count", 3), TRQ_KV("flag", TRQ_FALSE),
                 TRQ_KV("ratio", 2.5), TRQ_KV("data", trq_json("{\"a\":1}")));
    cr_assert_eq(enqueue_mixed(dict), TRQ_OK);
    saw("bob 3 0 2.5 {\"a\":1}");
    struct mixed_in in = {
        .name = trq_str_of("bob"), .count = 3, .ratio = 2.5, .data = trq_str_of("{\"a\":1}")};
    cr_assert_eq(mixed_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    saw("bob 3 0 2.5 {\"a\":1}");
}

Test(enqueue, a_missing_optional_input_is_its_default)
{
    cr_assert_eq(enqueue_mixed(TRQ_DICT(TRQ_KV("name", "x"))), TRQ_OK);
    saw("x 7 1 0.5 [1]");
    struct mixed_in in = mixed_defaults();
    in.name = trq_str_of("x");
    cr_assert_eq(mixed_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    saw("x 7 1 0.5 [1]");
}

Test(enqueue, a_missing_required_input_is_named)
{
    refused(TRQ_DICT_NONE, "Mixed: input name is required");
    struct mixed_in in = mixed_defaults();
    cr_assert_eq(mixed_enqueue(engine, &in, TRQ_OPTS(.error = &error), NULL), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "Mixed: input name is required");
}

Test(enqueue, a_value_of_the_wrong_type_is_named)
{
    refused(TRQ_DICT(TRQ_KV("name", 5)),
            "Mixed: input name: a string is wanted, an integer was given");
    refused(TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("count", "y")),
            "Mixed: input count: an integer is wanted, a string was given");
    refused(TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("flag", 2)),
            "Mixed: input flag: a bool is wanted, the integer 2 was given");
    refused(TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("ratio", TRQ_TRUE)),
            "Mixed: input ratio: a real number is wanted, a bool was given");
    refused(TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("name", "y")), "Mixed: input name is given twice");
    refused(TRQ_DICT(TRQ_KV("name", "\xff")), "Mixed: input name: not UTF-8 at byte 0");
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 0, "and nothing was enqueued");
}

Test(enqueue, an_undeclared_input_is_kept)
{
    cr_assert_eq(enqueue_mixed(TRQ_DICT(TRQ_KV("extra", 99), TRQ_KV("name", "x"))), TRQ_OK);
    saw("x 7 1 0.5 [1] 99");
    cr_assert_eq(trq_enqueue(engine, &bare, TRQ_DICT(TRQ_KV("n", 4)), NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert_str_eq(fx_text(&fx), "4");
}

Test(enqueue, strings_are_copied)
{
    char name[] = "before";
    struct mixed_in in = mixed_defaults();
    in.name = trq_str_of(name);
    cr_assert_eq(mixed_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    memset(name, 'X', sizeof name - 1);
    saw("before 7 1 0.5 [1]");
}

Test(enqueue, inputs_are_bounded_by_64_kib)
{
    /* The fixed part of Mixed: 8 + 8 + 1 + two texts of 4; "[1]" comes behind. */
    size_t most = 64 * 1024 - (8 + 8 + 1 + 4 + 4) - 3;
    char *text = malloc(most + 1);
    memset(text, 'a', most + 1);
    struct mixed_in in = mixed_defaults();
    in.name = (struct trq_str){text, most};
    cr_assert_eq(mixed_enqueue(engine, &in, NULL, NULL), TRQ_OK);
    in.name.size = most + 1;
    cr_assert_eq(mixed_enqueue(engine, &in, TRQ_OPTS(.error = &error), NULL), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "Mixed: the inputs take 65537 bytes, 65536 are allowed");
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    free(text);
}

Test(enqueue, job_size_max_moves_the_bound)
{
    struct trq_engine *e =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .job_size_max = 16 << 20), &app);
    size_t size = 16u << 20;
    char *text = malloc(size);
    memset(text, 'a', size);
    struct mixed_in in = mixed_defaults();
    in.name = (struct trq_str){text, size - 28};
    cr_assert_eq(mixed_enqueue(e, &in, NULL, NULL), TRQ_OK);
    in.name.size++;
    cr_assert_eq(mixed_enqueue(e, &in, NULL, NULL), TRQ_EINPUT);
    in.name.size = (size_t)1 << 60; /* nothing of it may be read */
    cr_assert_eq(mixed_enqueue(e, &in, NULL, NULL), TRQ_EINPUT);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), 1);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    free(text);
}

Test(enqueue, every_size_of_inputs_comes_back_whole)
{
    enum { MOST = 5000 };
    char text[MOST];
    for (int i = 0; i < MOST; i++)
        text[i] = (char)('a' + i % 26);
    for (size_t size = 0; size < MOST; size += size < 300 ? 1 : 37) {
        struct mixed_in in = mixed_defaults();
        in.name = (struct trq_str){text, size};
        in.data = trq_str_of("7");
        cr_assert_eq(mixed_enqueue(engine, &in, NULL, NULL), TRQ_OK);
        char wanted[sizeof seen];
        snprintf(wanted, sizeof wanted, "%.*s 7 1 0.5 7", (int)size, text);
        saw(wanted);
    }
}

Test(enqueue, success_leaves_the_error_alone)
{
    error.code = 12345;
    strcpy(error.text, "mine");
    cr_assert_eq(fx_enqueue(engine, 1, TRQ_OPTS(.error = &error)), TRQ_OK);
    cr_assert_eq(error.code, 12345);
    cr_assert_str_eq(error.text, "mine");
}

Test(enqueue, a_refusal_leaves_the_id_alone)
{
    struct trq_job_id id = {17, 18};
    cr_assert_eq(trq_enqueue(engine, &mixed, TRQ_DICT_NONE, NULL, &id), TRQ_EINPUT);
    cr_assert(id.slot == 17 && id.birth == 18);
}

Test(enqueue, a_worker_that_was_not_registered_is_told_with_those_that_were)
{
    static const struct trq_worker stranger = {
        .size = sizeof stranger, .name = "Stranger", .perform = bare_perform};
    cr_assert_eq(trq_enqueue(engine, &stranger, TRQ_DICT_NONE, TRQ_OPTS(.error = &error), NULL),
                 TRQ_EUNKNOWN);
    cr_assert_str_eq(error.text, "no worker Stranger; there are Mixed, Bare, Num, Gated");
}

Test(enqueue, ids_differ_and_the_handler_has_the_same)
{
    struct trq_job_id a, b;
    struct num_in in = {1};
    cr_assert_eq(num_enqueue(engine, &in, NULL, &a), TRQ_OK);
    cr_assert_eq(num_enqueue(engine, &in, TRQ_OPTS(.on_end = fx_on_end), &b), TRQ_OK);
    cr_assert_not(trq_job_id_equal(a, b));
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 2);
    cr_assert(trq_job_id_equal(fx.event.id, b));
}

/* ---- full ------------------------------------------------------------------------------------------- */

Test(enqueue, a_small_jobs_max_is_exact)
{
    static const uint32_t bounds[] = {1, 2, 3, 7, 61, 62, 63, 64, 500, 8191};
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        struct trq_engine *e = fx_start(
            FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = bounds[i], .host = &fx), &app);
        for (int round = 0; round < 3; round++) {
            for (uint32_t k = 0; k < bounds[i]; k++)
                cr_assert_eq(fx_enqueue(e, k, NULL), TRQ_OK);
            cr_assert_eq(fx_enqueue(e, 0, NULL), TRQ_EFULL);
            cr_assert_eq(fx_enqueue(e, 0, TRQ_OPTS(.error = &error)), TRQ_EFULL);
            cr_assert_eq(trq_engine_poll(e, 1, trq_ns(0)), 1);
            cr_assert_eq(fx_enqueue(e, 0, NULL), TRQ_OK, "one has ended");
            cr_assert_eq(fx_enqueue(e, 0, NULL), TRQ_EFULL);
            cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), (int)bounds[i]);
        }
        struct trq_engine_stats stats = {.size = sizeof stats};
        cr_assert_eq(trq_stats_engine(e, &stats), TRQ_OK);
        cr_assert_eq(stats.refused_full, 9);
        cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    }
}

Test(enqueue, a_large_jobs_max_is_a_lower_bound)
{
    struct trq_engine *e =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 10000, .host = &fx), &app);
    int taken = 0;
    while (fx_enqueue(e, 1, NULL) == TRQ_OK)
        taken++;
    cr_assert(taken >= 10000 && taken <= 10000 + 128, "%d", taken);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), taken);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

static enum trq_end refill(struct trq_job *job)
{
    fx_note(trq_job_host(job), trq_enqueue(trq_job_engine(job), &num, TRQ_DICT_NONE, NULL, NULL));
    return TRQ_DONE;
}

Test(enqueue, a_running_job_takes_a_slot_until_its_end)
{
    static const struct trq_worker refiller = {
        .size = sizeof refiller, .name = "Refiller", .perform = refill};
    struct trq_engine *e =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 1, .host = &fx),
                 FX_APP(.name = "app", .workers = TRQ_WORKERS(&refiller, &num)));
    cr_assert_eq(trq_enqueue(e, &refiller, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), 1);
    cr_assert_eq(fx.value[0], TRQ_EFULL);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

static struct trq_engine *refilled;
static void refill_at_end(void *host, const struct trq_event *event, const struct trq_error *e)
{
    (void)event;
    (void)e;
    fx_note(host, fx_enqueue(refilled, 1, NULL));
}

Test(enqueue, who_is_told_of_an_end_finds_room)
{
    refilled = fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 1, .host = &fx), &app);
    cr_assert_eq(fx_enqueue(refilled, 5, TRQ_OPTS(.on_end = refill_at_end)), TRQ_OK);
    cr_assert_eq(trq_engine_poll(refilled, 1, trq_ns(0)), 1);
    cr_assert_str_eq(fx_text(&fx), "5 0");
    cr_assert_eq(trq_engine_destroy(refilled), TRQ_OK);
}

/* ---- many ------------------------------------------------------------------------------------------------ */

enum { BULK = 600 }; /* more than fit into one segment, and into the call's own stack */

static void fill_bulk(struct num_in *ins, size_t count)
{
    for (size_t i = 0; i < count; i++)
        ins[i].n = (int64_t)i;
}

Test(enqueue, many_are_run_in_their_order)
{
    struct num_in ins[BULK];
    struct trq_job_id ids[BULK];
    fill_bulk(ins, BULK);
    cr_assert_eq(num_enqueue_many(engine, ins, BULK, NULL, ids), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), BULK);
    for (int i = 0; i < BULK; i++) {
        cr_assert_eq(fx.value[i], i);
        for (int k = 0; k < i; k++)
            cr_assert_not(trq_job_id_equal(ids[i], ids[k]));
    }
    cr_assert_eq(fx_stats(engine, "Num").enqueued, BULK);
}

Test(enqueue, one_bad_input_refuses_all)
{
    struct trq_dict dicts[100];
    struct trq_job_id ids[100];
    memset(ids, 0x5A, sizeof ids);
    const struct trq_kv good = TRQ_KV("name", "x"), bad = TRQ_KV("name", 1);
    for (int at = 0; at < 100; at += 33) {
        for (int i = 0; i < 100; i++)
            dicts[i] = (struct trq_dict){i == at ? &bad : &good, 1};
        cr_assert_eq(
            trq_enqueue_many_dicts(engine, &mixed, dicts, 100, TRQ_OPTS(.error = &error), ids),
            TRQ_EINPUT);
        cr_assert_str_eq(error.text, "Mixed: input name: a string is wanted, an integer was given");
    }
    for (size_t i = 0; i < sizeof ids; i++)
        cr_assert_eq(((unsigned char *)ids)[i], 0x5A, "ids are untouched");
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 0);
    cr_assert_eq(fx_stats(engine, "Mixed").enqueued, 0);
    dicts[99] = (struct trq_dict){&good, 1};
    cr_assert_eq(trq_enqueue_many_dicts(engine, &mixed, dicts, 100, NULL, ids), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 100);
}

Test(enqueue, too_many_for_the_room_that_is_left_are_refused_whole)
{
    struct trq_engine *e =
        fx_start(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 100, .host = &fx), &app);
    struct num_in ins[101];
    fill_bulk(ins, 101);
    cr_assert_eq(num_enqueue_many(e, ins, 101, TRQ_OPTS(.error = &error), NULL), TRQ_EFULL);
    cr_assert_str_eq(error.text, "101 jobs at once, the engine holds 100");
    cr_assert_eq(fx_enqueue(e, -1, NULL), TRQ_OK);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(num_enqueue_many(e, ins, 100, NULL, NULL), TRQ_EFULL);
    cr_assert_eq(num_enqueue_many(e, ins, 99, NULL, NULL), TRQ_OK,
                 "what was refused holds nothing");
    cr_assert_eq(trq_engine_poll(e, 0, trq_ns(0)), 100);
    cr_assert_eq(fx.value[0], -1);
    cr_assert_eq(fx.value[99], 98);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

Test(enqueue, a_channel_without_room_for_all_refuses_all)
{
    struct trq_channel *channel;
    struct num_in ins[10] = {0};
    cr_assert_eq(trq_channel_create(engine, 9, &channel), TRQ_OK);
    const struct trq_opts *opts = TRQ_OPTS(.channel = channel, .error = &error);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(num_enqueue_many(engine, ins, 10, opts, NULL), TRQ_EFULL);
    cr_assert_str_eq(error.text, "the channel is full");
    cr_assert_eq(num_enqueue_many(engine, ins, 9, opts, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 9);
    trq_channel_destroy(channel);
}

Test(enqueue, none_is_fine)
{
    cr_assert_eq(num_enqueue_many(engine, NULL, 0, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_enqueue_many_dicts(engine, &num, NULL, 0, NULL, NULL), TRQ_OK);
    cr_assert_not(fx_readable(trq_engine_fd(engine)));
}

Test(enqueue, refused_calls_are_counted)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    for (int i = 0; i < 5; i++)
        cr_assert_eq(enqueue_mixed(TRQ_DICT_NONE), TRQ_EINPUT);
    cr_assert_eq(trq_stats_engine(engine, &stats), TRQ_OK);
    cr_assert_eq(stats.refused_input, 5);
    cr_assert_eq(stats.refused_full, 0);
}

/* ---- waking ------------------------------------------------------------------------------------------------ */

Test(enqueue, wake_later_wakes_nobody_until_trq_wake)
{
    int fd = trq_engine_fd(engine);
    for (int i = 0; i < 10; i++)
        cr_assert_eq(fx_enqueue(engine, i, TRQ_OPTS(.wake_later = true)), TRQ_OK);
    cr_assert_not(fx_readable(fd));
    trq_wake(engine);
    cr_assert(fx_readable(fd));
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 10);
    trq_wake(engine);
    cr_assert_not(fx_readable(fd), "all is taken: nothing to wake for");
}

Test(enqueue, many_wake_once)
{
    struct trq_engine_stats stats = {.size = sizeof stats};
    struct num_in ins[100] = {0};
    cr_assert_eq(num_enqueue_many(engine, ins, 100, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_stats_engine(engine, &stats), TRQ_OK);
    cr_assert_eq(stats.wakeups, 1);
}

/* ---- waiting for room ----------------------------------------------------------------------------------------- */

static struct trq_engine *small_pool(void)
{
    return fx_start(FX_CONFIG(.threads = 1, .jobs_max = 2, .host = &fx), &app);
}
static void fill_pool(struct trq_engine *e)
{
    struct gated_in in = {0};
    cr_assert_eq(gated_enqueue(e, &in, NULL, NULL), TRQ_OK);
    cr_assert_eq(gated_enqueue(e, &in, NULL, NULL), TRQ_OK);
    fx_gate_await(&fx.gate, 1);
}
static void *open_gate(void *arg)
{
    fx_gate_open(arg);
    return NULL;
}

Test(enqueue, waiting_for_room_ends_with_the_time)
{
    struct trq_engine *e = small_pool();
    fill_pool(e);
    cr_assert_eq(fx_enqueue(e, 1, TRQ_OPTS(.wait_for_room = trq_ms(20), .error = &error)),
                 TRQ_ETIMEOUT);
    cr_assert_eq(error.code, TRQ_ETIMEOUT);
    cr_assert_str_eq(error.text, "still full after 0.020 s");
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

Test(enqueue, waiting_for_room_gets_it_and_leaves_the_error_alone)
{
    struct trq_engine *e = small_pool();
    pthread_t opener;
    fill_pool(e);
    error.code = 7;
    strcpy(error.text, "mine");
    pthread_create(&opener, NULL, open_gate, &fx.gate);
    for (int i = 1; i < 100; i++)
        cr_assert_eq(fx_enqueue(e, i, TRQ_OPTS(.wait_for_room = fx_long(), .error = &error)),
                     TRQ_OK);
    struct num_in two[2] = {{100}, {101}};
    cr_assert_eq(num_enqueue_many(e, two, 2, TRQ_OPTS(.wait_for_room = fx_long()), NULL), TRQ_OK);
    cr_assert_eq(error.code, 7);
    cr_assert_str_eq(error.text, "mine");
    pthread_join(opener, NULL);
    cr_assert_eq(trq_engine_drain(e, fx_long()), TRQ_OK);
    cr_assert_eq(fx_values(&fx), 103);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

Test(enqueue, waiting_for_room_in_a_channel_gets_it)
{
    struct trq_engine *e = fx_start(FX_CONFIG(.threads = 1, .host = &fx), &app);
    struct trq_channel *channel;
    struct trq_event event;
    cr_assert_eq(trq_channel_create(e, 1, &channel), TRQ_OK);
    const struct trq_opts *opts = TRQ_OPTS(.channel = channel, .wait_for_room = trq_ms(1));
    cr_assert_eq(fx_enqueue(e, 1, opts), TRQ_OK);
    cr_assert_eq(fx_enqueue(e, 2, opts), TRQ_ETIMEOUT, "the event is not drained");
    fx_await_readable(trq_channel_fd(channel));
    cr_assert_eq(trq_channel_drain(channel, &event, 1), 1);
    cr_assert_eq(fx_enqueue(e, 3, opts), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

static void *wait_for_room(void *arg)
{
    struct trq_engine *e = arg;
    return (void *)(intptr_t)fx_enqueue(e, 1, TRQ_OPTS(.wait_for_room = fx_long()));
}

Test(enqueue, a_stop_ends_waiting_for_room)
{
    struct trq_engine *e = small_pool();
    pthread_t waiter;
    void *rc;
    fill_pool(e);
    pthread_create(&waiter, NULL, wait_for_room, e);
    /* Whether the waiter is there already or comes later must not matter. */
    cr_assert_eq(trq_engine_stop(e, trq_ms(5), NULL), TRQ_ETIMEOUT);
    pthread_join(waiter, &rc);
    cr_assert_eq((int)(intptr_t)rc, TRQ_ESTOPPED);
    fx_gate_open(&fx.gate);
    cr_assert_eq(trq_engine_stop(e, fx_long(), NULL), TRQ_OK);
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
}

static enum trq_end waits_in_handler(struct trq_job *job)
{
    fx_note(trq_job_host(job), fx_enqueue(trq_job_engine(job), 1,
                                          TRQ_OPTS(.wait_for_room = trq_ms(1), .error = &error)));
    return TRQ_DONE;
}

Test(enqueue, waiting_for_room_is_refused_where_it_could_never_come)
{
    static const struct trq_worker waiter = {
        .size = sizeof waiter, .name = "Waiter", .perform = waits_in_handler};
    struct trq_engine *e = fx_start(FX_CONFIG(.threads = 1, .host = &fx),
                                    FX_APP(.name = "app", .workers = TRQ_WORKERS(&waiter, &num)));
    cr_assert_eq(trq_enqueue(e, &waiter, TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_drain(e, fx_long()), TRQ_OK);
    cr_assert_eq(fx.value[0], TRQ_EINVAL);
    cr_assert_str_eq(error.text, "wait_for_room in a handler");
    cr_assert_eq(trq_engine_destroy(e), TRQ_OK);
    cr_assert_eq(fx_enqueue(engine, 1, TRQ_OPTS(.wait_for_room = trq_ms(1), .error = &error)),
                 TRQ_EINVAL);
    cr_assert_str_eq(error.text, "wait_for_room in an engine without threads");
}
