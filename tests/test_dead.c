/* The dead set, rule by rule: 6.2, and what 4.6 says of a retry. */
#include "scene.h"

#include <string.h>

static const struct trq_lock by_key = {.size = sizeof by_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_lock by_room = {.size = sizeof by_room,
                                        .inputs = (const char *const[]){"room", NULL}};
static const struct trq_lock own = {
    .size = sizeof own, .space = "own", .inputs = (const char *const[]){"key", NULL}};
static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_worker other = {SCENE_WORKER("Other")};
static const struct trq_worker both = {SCENE_WORKER("Both"), .queue_lock = &by_key,
                                       .worker_lock = &by_room};

static const struct trq_retry twice = {
    .size = sizeof twice, .retries = 2, .constant = {10000000000}, .jitter = TRQ_JITTER_NONE};
static const struct trq_worker tries = {.size = sizeof tries,
                                        .name = "Tries",
                                        .inputs = &scene_worker_inputs,
                                        .perform = scene_perform,
                                        .retry = &twice};
static const struct trq_worker limited = {SCENE_WORKER("Limited"), .queue_lock = &by_key,
                                          .expires_in = {60000000000}, .timeout = {7000000000}};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}),
    .workers = TRQ_WORKERS(&plain, &other, &both, &tries, &limited),
};

/* What on_dead_lost was told. */
enum { LOST_MAX = 128 };
static atomic_long lost;
static atomic_ullong lost_numbers; /* their sum */
static struct trq_dead lost_one[LOST_MAX];
static void on_lost(void *host, const struct trq_dead *dead)
{
    (void)host;
    long i = atomic_fetch_add(&lost, 1);
    atomic_fetch_add(&lost_numbers, dead->number);
    if (i < LOST_MAX)
        lost_one[i] = *dead;
}

static atomic_bool healthy;
static enum trq_end may_fail(struct trq_job *job)
{
    if (healthy)
        return TRQ_DONE;
    return trq_fail(job, "number %lld", (long long)trq_job_get_i64(job, "n"));
}

/* Without threads. */
#define OPEN(...)                                                                                  \
    do {                                                                                           \
        engine = fx_start(                                                                         \
            FX_CONFIG(.threads = TRQ_THREADS_NONE, .on_dead_lost = on_lost, __VA_ARGS__), &app);   \
        scene.during = may_fail;                                                                   \
    } while (0)

static int poll_all(void)
{
    return trq_engine_poll(engine, 0, trq_ns(0));
}

/* `count` of them die, n from that on. */
static void die(const struct trq_worker *worker, int64_t from, int count)
{
    char key[24];
    healthy = false;
    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%lld", (long long)from + i);
        scene_put(worker, from + i, key, key, TRQ_OPTS(.on_end = NULL));
        cr_assert_geq(poll_all(), 1);
    }
}

static struct trq_dead page[2000];
static long list(const struct trq_worker *worker, struct trq_dict inputs, uint64_t after,
                 size_t max)
{
    return trq_dead_list(engine, worker, inputs, after, page, max);
}
/* "3 4 5": the numbers of the dead. */
static const char *numbers(const struct trq_worker *worker, struct trq_dict inputs)
{
    static char text[4096];
    size_t used = 0;
    text[0] = '\0';
    long count = list(worker, inputs, 0, sizeof page / sizeof *page);
    cr_assert_geq(count, 0);
    for (long i = 0; i < count && used < sizeof text - 24; i++)
        used += (size_t)sprintf(text + used, "%s%llu", i ? " " : "",
                                (unsigned long long)page[i].number);
    return text;
}
#define NUMBERS(worker, inputs, text) cr_assert_str_eq(numbers(worker, inputs), text)
#define ALL_NUMBERS(text) NUMBERS(NULL, TRQ_DICT_NONE, text)

static struct trq_job_id id_of(uint64_t number)
{
    cr_assert_eq(list(NULL, TRQ_DICT_NONE, number - 1, 1), 1);
    cr_assert_eq(page[0].number, number);
    return page[0].id;
}

/* ---- in the set --------------------------------------------------------------------------------------------------- */

Test(dead, a_job_that_failed_is_found_by_its_id)
{
    struct trq_dead dead;
    char json[100];
    size_t needed;
    scene_open(&app);
    scene.during = may_fail;
    cr_assert_eq(trq_dead_count(engine), 0);
    struct trq_job_id id = scene_put(&plain, 5, "k", NULL, NULL);
    cr_assert_eq(trq_dead_get(engine, id, NULL), TRQ_GONE, "it waits");
    trq_test_advance(engine, trq_seconds(1));
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_eq(trq_dead_get(engine, id, &dead), TRQ_OK);
    cr_assert(trq_job_id_equal(dead.id, id));
    cr_assert_eq(dead.number, 1);
    cr_assert_eq(dead.died.ns, trq_seconds(1767225600).ns);
    cr_assert_str_eq(dead.worker, "Plain");
    cr_assert_str_eq(dead.queue, "app_default");
    cr_assert_eq(dead.failures, 1);
    cr_assert_str_eq(dead.text, "number 5");
    cr_assert_eq(trq_dead_count(engine), 1);
    cr_assert_eq(scene_stats().dead, 1);
    cr_assert_eq(scene_stats().jobs, 0);
    cr_assert_eq(trq_dead_json(engine, id, json, sizeof json, &needed), TRQ_OK);
    cr_assert_str_eq(json, "{\"n\":5,\"key\":\"k\"}");
    cr_assert_eq(needed, strlen(json));
    cr_assert_eq(trq_dead_json(engine, id, json, 4, &needed), TRQ_OK);
    cr_assert_str_eq(json, "{\"n");
    cr_assert_eq(needed, strlen("{\"n\":5,\"key\":\"k\"}"));
    cr_assert_eq(trq_dead_json(engine, id, NULL, 0, NULL), TRQ_OK);
    cr_assert_str_eq(scene_why(id).text,
                     "Plain: dead since 2026-01-01T00:00:00.000Z after 1 failed attempt: number 5");
    cr_assert_eq(scene_why(id).since.ns, dead.died.ns);
    scene_close();
}

Test(dead, its_own_end_is_told_when_it_can_be_found)
{
    scene_open(&app);
    scene.during = may_fail;
    struct trq_job_id id = scene_put(&plain, 5, NULL, NULL, NULL), no = id;
    trq_test_drain(engine);
    no.slot++;
    cr_assert_eq(trq_dead_get(engine, no, NULL), TRQ_GONE);
    no = id;
    no.birth++;
    cr_assert_eq(trq_dead_get(engine, no, NULL), TRQ_GONE);
    cr_assert_eq(trq_cancel(engine, id), TRQ_GONE);
    cr_assert_eq(trq_dead_get(engine, id, NULL), TRQ_OK);
    scene_close();
}

static enum trq_end ends_otherwise(struct trq_job *job)
{
    return trq_job_get_i64(job, "n") ? trq_discard(job, "never") : TRQ_DONE;
}
Test(dead, who_was_discarded_or_cancelled_is_not_among_them)
{
    scene_open(&app);
    scene.during = ends_otherwise;
    scene_put(&plain, 0, NULL, NULL, NULL);
    scene_put(&plain, 1, NULL, NULL, NULL);
    trq_test_drain(engine);
    trq_cancel(engine, scene_put(&plain, 2, NULL, NULL, NULL));
    cr_assert_eq(trq_dead_count(engine), 0);
    scene_close();
}

static enum trq_end says_much(struct trq_job *job)
{
    char text[2 * TRQ_FAILURE_TEXT] = "";
    for (int i = 0; i < 110; i++)
        strcat(text, "é");
    strcat(text, "xéé");
    return trq_fail(job, "%s", text);
}
Test(dead, a_text_is_cut_at_a_character)
{
    struct trq_dead dead;
    scene_open(&app);
    scene.during = says_much;
    struct trq_job_id id = scene_put(&plain, 1, NULL, NULL, NULL);
    trq_test_drain(engine);
    cr_assert_eq(trq_dead_get(engine, id, &dead), TRQ_OK);
    cr_assert_eq(strlen(dead.text), TRQ_FAILURE_TEXT - 1, "110 * 2 + 1 + 2 bytes");
    cr_assert_str_eq(dead.text + 219, "\xa9"
                                      "xé");
    scene_close();
}

Test(dead, a_page_follows_the_last_number_of_the_page_before)
{
    OPEN(.dead_max = 0);
    die(&plain, 0, 25);
    uint64_t after = 0, next = 1;
    for (int pages = 0; pages < 3; pages++) {
        long count = list(NULL, TRQ_DICT_NONE, after, 10);
        cr_assert_eq(count, pages < 2 ? 10 : 5);
        for (long i = 0; i < count; i++) {
            cr_assert_eq(page[i].number, next++);
            cr_assert_str_eq(page[i].worker, "Plain");
        }
        after = page[count - 1].number;
    }
    cr_assert_eq(list(NULL, TRQ_DICT_NONE, after, 10), 0);
    cr_assert_eq(list(NULL, TRQ_DICT_NONE, 0, 0), 0);
    cr_assert_eq(trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, NULL, 0), 0);
    cr_assert_eq(trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, NULL, 1), TRQ_EINVAL);
    scene_close();
}

Test(dead, a_page_shows_those_of_a_worker_with_these_inputs)
{
    OPEN(.dead_max = 0);
    die(&plain, 1, 3);
    die(&other, 2, 3);
    die(&both, 1, 2);
    NUMBERS(&plain, TRQ_DICT_NONE, "1 2 3");
    NUMBERS(&other, TRQ_DICT_NONE, "4 5 6");
    NUMBERS(&other, TRQ_DICT(TRQ_KV("n", 3)), "5");
    NUMBERS(&other, TRQ_DICT(TRQ_KV("n", 3), TRQ_KV("key", "4")), "");
    NUMBERS(NULL, TRQ_DICT(TRQ_KV("key", "2")), "2 4 8");
    NUMBERS(NULL, TRQ_DICT(TRQ_KV("unheard", "of")), "");
    static const struct trq_worker stranger = {SCENE_WORKER("Stranger")};
    cr_assert_eq(list(&stranger, TRQ_DICT_NONE, 0, 1), TRQ_EUNKNOWN);
    cr_assert_eq(list(NULL, (struct trq_dict){NULL, 1}, 0, 1), TRQ_EINVAL);
    scene_close();
}

/* More than are looked at under one hold of the mutex, none of which match. */
Test(dead, those_that_do_not_match_are_passed_over)
{
    OPEN(.dead_max = 0);
    die(&plain, 0, 200);
    die(&other, 0, 1);
    die(&plain, 0, 200);
    NUMBERS(&other, TRQ_DICT_NONE, "201");
    cr_assert_eq(trq_dead_delete_matching(engine, &other, TRQ_DICT_NONE), 1);
    cr_assert_eq(list(&plain, TRQ_DICT_NONE, 0, 1000), 400);
    scene_close();
}

Test(dead, pages_skip_and_double_nobody_while_others_die)
{
    OPEN(.dead_max = 50);
    die(&plain, 1, 50);
    uint64_t after = 0, seen = 0;
    for (long count; (count = list(NULL, TRQ_DICT_NONE, after, 7)) > 0;) {
        for (long i = 0; i < count; i++) {
            /* What falls out is older than what was seen, or is missed; what stays is seen once. */
            cr_assert_gt(page[i].number, after);
            after = page[i].number;
            seen++;
        }
        if (after < 60)
            die(&plain, 100, 3);
    }
    cr_assert_eq(after, 50 + scene_stats().dead_lost);
    cr_assert_eq(seen, after, "those that fell out had been seen");
    scene_close();
}

/* ---- out of it ------------------------------------------------------------------------------------------------------ */

Test(dead, who_has_been_dead_for_longest_falls_out_and_is_told)
{
    OPEN(.dead_max = 3);
    die(&plain, 11, 5);
    ALL_NUMBERS("3 4 5");
    cr_assert_eq(lost, 2);
    cr_assert_eq(lost_one[0].number, 1);
    cr_assert_str_eq(lost_one[0].text, "number 11");
    cr_assert_str_eq(lost_one[0].worker, "Plain");
    cr_assert_eq(lost_one[1].number, 2);
    cr_assert_eq(trq_dead_get(engine, lost_one[0].id, NULL), TRQ_GONE);
    cr_assert_eq(trq_dead_retry(engine, lost_one[0].id, NULL), TRQ_GONE);
    cr_assert_eq(scene_stats().dead, 3);
    cr_assert_eq(scene_stats().dead_lost, 2);
    cr_assert_str_eq(scene_why(lost_one[0].id).worker, "Plain", "its end is known still");
    scene_close();
}

Test(dead, a_set_of_none_loses_each_at_once)
{
    OPEN(.dead_max = TRQ_DEAD_NONE);
    die(&both, 1, 5);
    cr_assert_eq(trq_dead_count(engine), 0);
    cr_assert_eq(lost, 5);
    cr_assert_eq(lost_one[4].number, 5);
    cr_assert_eq(scene_stats().dead_lost, 5);
    ALL_NUMBERS("");
    cr_assert_eq(fx_stats(engine, NULL).dead, 5);
    scene_close();
}

static const struct trq_worker *const kinds[] = {&plain, &other, &both};

/* Inputs of all sizes, with locks and without; each number is told once, or is in the set. */
static void kill_many(int threads)
{
    enum { JOBS = 100000, STAY = 10000 };
    static char large[5000];
    memset(large, 'x', sizeof large - 1);
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    engine = fx_start(
        FX_CONFIG(.threads = threads, .on_dead_lost = on_lost, .hooks = &hooks, .jobs_max = 8000),
        &app);
    scene.during = may_fail;
    for (int i = 0; i < JOBS; i++) {
        char key[24];
        struct scene_worker_in in = {-i, {key, (size_t)snprintf(key, sizeof key, "%d", i)}, {0}};
        in.room = (struct trq_str){large, i % 10 ? (size_t)i % 20 : sizeof large * (i % 100 == 0)};
        const struct trq_opts wait = {.size = sizeof wait, .wait_for_room = fx_long()};
        while (trq_enqueue_struct(engine, kinds[i % 3], &scene_worker_inputs, &in,
                                  threads > 0 ? &wait : NULL, NULL) == TRQ_EFULL)
            poll_all();
    }
    if (threads > 0)
        cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    else
        poll_all();
    cr_assert_eq(lost, JOBS - STAY);
    cr_assert_eq(scene_stats().dead_lost, JOBS - STAY);
    cr_assert_eq(trq_dead_count(engine), STAY);
    unsigned long long sum = lost_numbers;
    uint64_t after = 0;
    for (long count; (count = list(NULL, TRQ_DICT_NONE, after, 1000)) > 0;)
        for (long i = 0; i < count; i++) {
            cr_assert_gt(page[i].number, after);
            sum += after = page[i].number;
        }
    cr_assert_eq(after, JOBS);
    cr_assert_eq(sum, (unsigned long long)JOBS * (JOBS + 1) / 2);
    scene_close();
    cr_assert(heap.blocks == 0 && heap.wrong == 0);
}
Test(dead, a_hundred_thousand_deaths_lose_ninety_thousand)
{
    kill_many(TRQ_THREADS_NONE);
}
Test(dead, also_when_they_die_on_two_threads)
{
    kill_many(2);
}

Test(dead, they_take_no_slot)
{
    OPEN(.jobs_max = 16);
    die(&both, 0, 1000);
    cr_assert_eq(trq_dead_count(engine), 1000);
    for (int i = 0; i < 16; i++)
        scene_put(&both, i, fx_text(&(struct fx){.value = {i}, .values = 1}), NULL, NULL);
    cr_assert_eq(scene_try(&plain, 1, NULL, NULL, NULL, NULL), TRQ_EFULL);
    cr_assert_eq(scene_stats().jobs, 16);
    poll_all();
    cr_assert_eq(trq_dead_count(engine), 1016);
    scene_close();
}

Test(dead, deleting_gives_back_what_they_had)
{
    OPEN(.dead_max = 0);
    die(&both, 0, 10);
    struct trq_job_id id = id_of(4);
    cr_assert_eq(trq_dead_delete(engine, id), TRQ_OK);
    cr_assert_eq(trq_dead_delete(engine, id), TRQ_GONE);
    cr_assert_eq(trq_dead_retry(engine, id, NULL), TRQ_GONE);
    cr_assert_eq(trq_dead_get(engine, id, NULL), TRQ_GONE);
    cr_assert_eq(trq_dead_json(engine, id, NULL, 0, NULL), TRQ_GONE);
    ALL_NUMBERS("1 2 3 5 6 7 8 9 10");
    cr_assert_eq(trq_dead_delete_matching(engine, &both, TRQ_DICT(TRQ_KV("n", 5))), 1);
    cr_assert_eq(trq_dead_delete_matching(engine, &plain, TRQ_DICT_NONE), 0);
    cr_assert_eq(trq_dead_delete_matching(engine, NULL, TRQ_DICT_NONE), 8);
    cr_assert_eq(trq_dead_count(engine), 0);
    die(&plain, 0, 1);
    ALL_NUMBERS("11"); /* no number is given twice */
    cr_assert_eq(scene_stats().dead_lost, 0);
    scene_close();
}

/* ---- back to life ------------------------------------------------------------------------------------------------------ */

Test(dead, a_retry_is_a_new_job_with_the_same_inputs)
{
    struct trq_job_id now = {0, 0};
    struct trq_dead dead;
    OPEN(.dead_max = 0);
    struct trq_job_id id = scene_put(&plain, 7, "a key that fits into no line of a job at all", "r",
                                     TRQ_OPTS(.queue = "high"));
    poll_all();
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    cr_assert(!trq_job_id_equal(id, now));
    cr_assert_eq(trq_dead_count(engine), 0);
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_GONE);
    SCENE_IS(now, TRQ_IS_READY);
    cr_assert_str_eq(scene_why(now).queue, "app_high");
    cr_assert_eq(fx_stats(engine, "Plain").enqueued, 2);
    poll_all();
    SCENE_RAN("7 7");
    cr_assert_eq(scene_ends(), 1, "who asked for the first end is not told of the second");
    cr_assert_eq(trq_dead_get(engine, now, &dead), TRQ_OK);
    cr_assert(dead.number == 2 && dead.failures == 1);
    cr_assert_str_eq(dead.queue, "app_high");
    healthy = true;
    cr_assert_eq(trq_dead_retry(engine, now, NULL), TRQ_OK);
    poll_all();
    SCENE_RAN("7 7 7");
    cr_assert_eq(fx_stats(engine, "Plain").done, 1);
    cr_assert_eq(trq_dead_count(engine), 0);
    scene_close();
}

Test(dead, a_retry_asks_for_its_queue_lock)
{
    struct trq_job_id now, twin;
    OPEN(.dead_max = 0);
    die(&both, 1, 2);
    struct trq_job_id first = id_of(1), second = id_of(2);
    cr_assert_eq(trq_dead_retry(engine, first, &now), TRQ_OK);
    cr_assert_eq(scene_try(&both, 9, "1", NULL, NULL, &twin), TRQ_DUPLICATE, "it holds it");
    cr_assert(trq_job_id_equal(twin, now));
    uint64_t enqueued = fx_stats(engine, NULL).enqueued;
    twin = scene_put(&both, 9, "2", NULL, NULL);
    cr_assert_eq(trq_dead_retry(engine, second, &now), TRQ_DUPLICATE, "another holds it");
    cr_assert(trq_job_id_equal(twin, now));
    cr_assert_eq(fx_stats(engine, NULL).enqueued, enqueued + 1);
    cr_assert_eq(fx_stats(engine, NULL).duplicates, 2);
    cr_assert_eq(trq_dead_retry(engine, second, &now), TRQ_GONE, "it has merged");
    cr_assert_eq(trq_dead_count(engine), 0);
    scene_check();
    healthy = true;
    poll_all();
    SCENE_RAN("1 2 1 9");
    scene_close();
}

Test(dead, a_retry_has_its_worker_lock)
{
    scene_open_threads(&app, 2);
    scene.during = may_fail;
    struct trq_job_id dead = scene_put(&both, 1, "a", "room", NULL), now;
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(trq_dead_count(engine), 1);
    scene_put(&both, SCENE_HELD, "b", "room", NULL);
    scene_await_held(SCENE_HELD);
    cr_assert_eq(trq_dead_retry(engine, dead, &now), TRQ_OK);
    FX_AWAIT(scene_stats().parked == 1);
    SCENE_IS(now, TRQ_IS_PARKED);
    cr_assert_eq(scene_try(&both, 9, "a", NULL, NULL, NULL), TRQ_DUPLICATE);
    healthy = true;
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(fx_stats(engine, NULL).done, 2);
    scene_close();
}

Test(dead, a_retry_has_the_locks_of_its_own)
{
    struct trq_job_id now, found;
    scene_open_threads(&app, 2);
    scene.during = may_fail;
    const struct trq_opts with_own = {
        .size = sizeof with_own, .queue_lock = &own, .worker_lock = &own};
    struct trq_job_id dead = scene_put(&plain, 1, "a", NULL, &with_own);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    scene_put(&other, SCENE_HELD, "a", NULL, &with_own);
    scene_await_held(SCENE_HELD);
    cr_assert_eq(trq_dead_retry(engine, dead, &now), TRQ_OK);
    FX_AWAIT(scene_stats().parked == 1);
    SCENE_IS(now, TRQ_IS_PARKED);
    cr_assert_eq(scene_try(&other, 5, "a", NULL, &with_own, &found), TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(found, now));
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
    cr_assert_eq(trq_dead_count(engine), 2, "both have died");
    scene_close();
}

Test(dead, in_a_full_engine_it_is_dead_as_before)
{
    OPEN(.jobs_max = 4);
    die(&both, 0, 3);
    struct trq_job_id id = id_of(2), now = {1, 1};
    for (int i = 0; i < 4; i++)
        scene_put(&plain, i, NULL, NULL, NULL);
    uint64_t refused = scene_stats().refused_full;
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_EFULL);
    cr_assert_eq(scene_stats().refused_full, refused + 1);
    cr_assert(now.slot == 1 && now.birth == 1, "untouched");
    cr_assert_eq(trq_dead_retry_matching(engine, &both, TRQ_DICT_NONE), TRQ_EFULL);
    ALL_NUMBERS("1 2 3");
    scene_check();
    healthy = true;
    poll_all();
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    ALL_NUMBERS("1 3");
    poll_all();
    scene_close();
}

/* Cancelled jobs keep their slots in the queue until they are swept. */
Test(dead, a_retry_sweeps_tombs)
{
    OPEN(.jobs_max = 4);
    die(&plain, 0, 1);
    for (int i = 0; i < 4; i++)
        trq_cancel(engine, scene_put(&plain, i, NULL, NULL, NULL));
    cr_assert_eq(trq_dead_retry(engine, id_of(1), NULL), TRQ_OK);
    scene_close();
}

Test(dead, many_are_retried_until_the_engine_is_full)
{
    OPEN(.jobs_max = 16);
    die(&plain, 0, 20);
    die(&both, 0, 4);
    cr_assert_eq(trq_dead_retry_matching(engine, &plain, TRQ_DICT(TRQ_KV("n", 3))), 1);
    cr_assert_eq(trq_dead_retry_matching(engine, &plain, TRQ_DICT_NONE), 15);
    NUMBERS(&plain, TRQ_DICT_NONE, "17 18 19 20");
    healthy = true;
    cr_assert_eq(poll_all(), 16);
    scene_put(&both, 9, "2", NULL, NULL);
    cr_assert_eq(trq_dead_retry_matching(engine, NULL, TRQ_DICT_NONE), 8, "one is merged");
    cr_assert_eq(scene_stats().jobs, 8);
    cr_assert_eq(trq_dead_count(engine), 0);
    poll_all();
    scene_close();
}

Test(dead, a_queue_that_is_not_worked_takes_them_all_the_same)
{
    struct trq_job_id now;
    OPEN(.dead_max = 0);
    die(&both, 0, 1);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_dead_retry(engine, id_of(1), &now), TRQ_OK);
    cr_assert_eq(poll_all(), 0);
    SCENE_IS(now, TRQ_IS_PAUSED);
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(poll_all(), 1);
    scene_close();
}

/* ---- what goes along ---------------------------------------------------------------------------------------------------- */

Test(dead, why_it_failed_goes_along)
{
    struct trq_failure why[TRQ_FAILURES_KEPT];
    struct trq_job_id now;
    struct trq_dead dead;
    size_t count = 99;
    scene_open(&app);
    scene.during = may_fail;
    struct trq_job_id id = scene_put(&tries, 5, NULL, NULL, NULL);
    trq_test_advance(engine, trq_seconds(60));
    cr_assert_eq(trq_dead_get(engine, id, &dead), TRQ_OK);
    cr_assert_eq(dead.failures, 3);
    cr_assert_eq(dead.died.ns, trq_seconds(1767225600 + 20).ns);
    cr_assert_eq(trq_failures(engine, id, why, TRQ_FAILURES_KEPT, &count), TRQ_OK);
    cr_assert_eq(count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(why[i].attempt, 3 - i);
        cr_assert_eq(why[i].at.ns, dead.died.ns - trq_seconds(10).ns * i);
        cr_assert_str_eq(why[i].text, "number 5");
    }
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    cr_assert_eq(trq_failures(engine, id, why, TRQ_FAILURES_KEPT, &count), TRQ_GONE);
    cr_assert_eq(trq_failures(engine, now, why, TRQ_FAILURES_KEPT, &count), TRQ_OK);
    cr_assert(count == 3 && why[0].attempt == 3);
    trq_test_drain(engine);
    SCENE_IS(now, TRQ_IS_SCHEDULED); /* it has all its retries again */
    cr_assert_eq(trq_failures(engine, now, why, TRQ_FAILURES_KEPT, &count), TRQ_OK);
    cr_assert(count == 4 && why[0].attempt == 1 && why[1].attempt == 3);
    trq_test_advance(engine, trq_seconds(60));
    cr_assert_eq(trq_dead_get(engine, now, &dead), TRQ_OK);
    cr_assert_eq(dead.failures, 3);
    SCENE_RAN("5 5 5 5 5 5");
    cr_assert_eq(trq_dead_delete(engine, now), TRQ_OK);
    cr_assert_eq(trq_failures(engine, now, why, TRQ_FAILURES_KEPT, &count), TRQ_GONE);
    scene_close();
}

static atomic_llong time_left;
static enum trq_end notes_time(struct trq_job *job)
{
    time_left = trq_job_time_left(job).ns;
    return may_fail(job);
}

Test(dead, a_time_to_begin_counts_anew)
{
    struct trq_job_id now;
    scene_open(&app);
    scene.during = notes_time;
    struct trq_job_id id = scene_put(&limited, 5, "k", NULL, NULL);
    trq_test_drain(engine);
    trq_test_advance(engine, trq_hours(1));
    cr_assert_eq(trq_dead_count(engine), 1);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    trq_test_advance(engine, trq_seconds(59));
    SCENE_IS(now, TRQ_IS_PAUSED);
    scene_check();
    trq_test_advance(engine, trq_seconds(2));
    cr_assert_eq(scene_why(now).outcome, TRQ_WAS_EXPIRED);
    cr_assert_eq(trq_dead_count(engine), 0);
    SCENE_RAN("5");
    scene_close();
}

Test(dead, limits_of_its_own_are_kept)
{
    struct trq_job_id now;
    scene_open(&app);
    scene.during = notes_time;
    struct trq_job_id id = scene_put(
        &plain, 5, NULL, NULL,
        TRQ_OPTS(.timeout = trq_seconds(3), .expires_in = trq_seconds(30), .retry = &twice));
    trq_test_advance(engine, trq_seconds(60));
    SCENE_RAN("5 5 5");
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    trq_test_advance(engine, trq_seconds(20));
    time_left = 0;
    cr_assert_eq(trq_queue_resume(engine, "app_default", NULL), TRQ_OK);
    trq_test_advance(engine, trq_seconds(60));
    cr_assert_eq(time_left, trq_seconds(3).ns);
    SCENE_RAN("5 5 5 5 5 5");
    cr_assert_eq(trq_dead_retry(engine, now, &now), TRQ_OK);
    cr_assert_eq(trq_queue_pause(engine, "app_default", NULL), TRQ_OK);
    trq_test_advance(engine, trq_seconds(31));
    cr_assert_eq(scene_why(now).outcome, TRQ_WAS_EXPIRED);
    scene_close();
}

static struct trq_job_id child;
static enum trq_end has_child(struct trq_job *job)
{
    notes_time(job);
    if (trq_job_worker(job) == &plain)
        return trq_fail(job, "child");
    struct scene_worker_in in = {2, {NULL, 0}, {NULL, 0}};
    FX_MUST(trq_enqueue_struct(engine, &plain, &scene_worker_inputs, &in,
                               TRQ_OPTS(.inherit_deadline = true), &child) == TRQ_OK);
    return TRQ_DONE;
}
Test(dead, a_deadline_that_was_inherited_is_forgotten)
{
    struct trq_job_id now;
    scene_open(&app);
    scene.during = has_child;
    scene_put(&limited, 1, "k", NULL, NULL);
    trq_test_drain(engine);
    cr_assert_eq(time_left, trq_seconds(7).ns);
    cr_assert_eq(trq_dead_get(engine, child, NULL), TRQ_OK);
    trq_test_advance(engine, trq_hours(1));
    cr_assert_eq(trq_dead_retry(engine, child, &now), TRQ_OK);
    scene_check();
    trq_test_drain(engine);
    SCENE_RAN("1 2 2");
    cr_assert_eq(time_left, trq_forever().ns);
    scene_close();
}

static atomic_llong clock_ns;
static int64_t read_clock(void *context)
{
    (void)context;
    return clock_ns;
}
/* 4.7: nobody has looked at the clock since. */
Test(dead, a_twin_whose_time_is_over_does_not_hold_the_lock)
{
    struct trq_hooks hooks = {.size = sizeof hooks, .mono_ns = read_clock, .wall_ns = read_clock};
    struct trq_job_id now;
    clock_ns = trq_hours(1).ns;
    OPEN(.hooks = &hooks);
    struct trq_job_id id = scene_put(&limited, 1, "k", NULL, NULL);
    poll_all();
    struct trq_job_id twin = scene_put(&limited, 2, "k", NULL, NULL);
    clock_ns += trq_seconds(61).ns;
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_OK);
    SCENE_ENDED(twin, TRQ_WAS_EXPIRED);
    poll_all();
    SCENE_RAN("1 1");
    scene_close();
}

/* ---- who else calls -------------------------------------------------------------------------------------------------- */

static enum trq_end retries_itself_not(struct trq_job *job)
{
    struct trq_dead dead;
    FX_MUST(trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, &dead, 1) <= 1);
    FX_MUST(trq_dead_get(engine, trq_job_self(job), NULL) == TRQ_GONE);
    FX_MUST(trq_dead_retry(engine, trq_job_self(job), NULL) == TRQ_GONE);
    if (trq_job_get_i64(job, "n"))
        return trq_fail(job, "again");
    FX_MUST(trq_dead_retry_matching(engine, &plain, TRQ_DICT_NONE) == 2);
    return TRQ_DONE;
}
Test(dead, a_handler_may_look_and_retry)
{
    OPEN(.dead_max = 0);
    scene.during = retries_itself_not;
    scene_put(&plain, 1, NULL, NULL, NULL);
    scene_put(&plain, 2, NULL, NULL, NULL);
    scene_put(&plain, 0, NULL, NULL, NULL);
    poll_all();
    SCENE_RAN("1 2 0 1 2");
    cr_assert_eq(trq_dead_count(engine), 2);
    scene_close();
}

static void lost_and_found(void *host, const struct trq_dead *dead)
{
    struct trq_dead some[4];
    (void)host;
    FX_MUST(trq_dead_get(engine, dead->id, NULL) == TRQ_GONE);
    FX_MUST(trq_dead_list(engine, NULL, TRQ_DICT_NONE, 0, some, 4) == 2);
    FX_MUST(trq_engine_stop(engine, trq_ns(0), NULL) == TRQ_EINVAL);
    FX_MUST(trq_dead_delete(engine, some[0].id) == TRQ_OK);
    struct scene_worker_in in = {0, {NULL, 0}, {NULL, 0}};
    FX_MUST(trq_enqueue_struct(engine, &other, &scene_worker_inputs, &in, NULL, NULL) == TRQ_OK);
    lost++;
}
static enum trq_end only_plain_fails(struct trq_job *job)
{
    return trq_job_worker(job) == &plain ? trq_fail(job, "plain") : TRQ_DONE;
}
Test(dead, the_hook_may_call)
{
    engine = fx_start(
        FX_CONFIG(.threads = TRQ_THREADS_NONE, .dead_max = 2, .on_dead_lost = lost_and_found),
        &app);
    scene.during = only_plain_fails;
    for (int i = 1; i <= 3; i++)
        scene_put(&plain, i, NULL, NULL, NULL);
    poll_all();
    cr_assert_eq(lost, 1);
    ALL_NUMBERS("3");
    SCENE_RAN("1 2 3 0");
    scene_close();
}

Test(dead, after_a_stop_they_can_be_seen_and_deleted)
{
    char json[100];
    OPEN(.dead_max = 0);
    die(&both, 1, 3);
    struct trq_job_id id = id_of(2), now = {1, 1};
    cr_assert_eq(trq_engine_stop(engine, fx_long(), NULL), TRQ_OK);
    ALL_NUMBERS("1 2 3");
    cr_assert_eq(trq_dead_get(engine, id, NULL), TRQ_OK);
    cr_assert_eq(trq_dead_json(engine, id, json, sizeof json, NULL), TRQ_OK);
    cr_assert_str_eq(json, "{\"n\":2,\"key\":\"2\",\"room\":\"2\"}");
    cr_assert_eq(trq_dead_retry(engine, id, &now), TRQ_ESTOPPED);
    cr_assert_eq(trq_dead_retry_matching(engine, NULL, TRQ_DICT_NONE), TRQ_ESTOPPED);
    cr_assert(now.slot == 1 && now.birth == 1);
    ALL_NUMBERS("1 2 3");
    cr_assert_eq(trq_dead_delete(engine, id), TRQ_OK);
    ALL_NUMBERS("1 3");
    scene_close();
}

Test(dead, calls_that_cannot_be_right)
{
    struct trq_job_id id = {1, 1};
    char c;
    OPEN(.dead_max = 0);
    cr_assert_eq(trq_dead_count(NULL), 0);
    cr_assert_eq(trq_dead_list(NULL, NULL, TRQ_DICT_NONE, 0, page, 1), TRQ_EINVAL);
    cr_assert_eq(trq_dead_get(NULL, id, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_dead_json(NULL, id, &c, 1, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_dead_json(engine, id, NULL, 1, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_dead_json(engine, id, &c, 1, NULL), TRQ_GONE);
    cr_assert_eq(trq_dead_retry(NULL, id, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_dead_delete(NULL, id), TRQ_EINVAL);
    cr_assert_eq(trq_dead_retry_matching(NULL, NULL, TRQ_DICT_NONE), TRQ_EINVAL);
    cr_assert_eq(trq_dead_delete_matching(NULL, NULL, TRQ_DICT_NONE), TRQ_EINVAL);
    scene_close();
}

/* ---- without memory --------------------------------------------------------------------------------------------------- */

static atomic_long fails;
static int fine(long code)
{
    FX_MUST(code >= 0 || code == TRQ_ENOMEM);
    fails += code < 0;
    return (int)code;
}

static void use(void)
{
    static char large[3000];
    struct trq_job_id now;
    memset(large, 'x', sizeof large - 1);
    healthy = false;
    for (int i = 0; i < 300; i++) {
        char key[24];
        snprintf(key, sizeof key, "%d", i);
        const struct trq_worker *worker = i % 7 ? kinds[i % 3] : &limited;
        fine(scene_try(worker, i, key, i % 5 ? key : large, TRQ_OPTS(.on_end = NULL), NULL));
        fine(poll_all());
    }
    long count = fine(list(&both, TRQ_DICT_NONE, 0, 200));
    FX_MUST(trq_dead_count(engine) <= 200);
    for (long i = 0; i < count && i < 60; i++) {
        struct trq_dead dead;
        uint64_t before = trq_dead_count(engine);
        int code = fine(trq_dead_retry(engine, page[i].id, &now));
        FX_MUST(trq_dead_count(engine) == before - (code == TRQ_OK));
        if (code != TRQ_OK)
            FX_MUST(trq_dead_get(engine, page[i].id, &dead) == TRQ_OK &&
                    dead.number == page[i].number);
        fine(trq_dead_json(engine, page[i + 1 < count ? i + 1 : i].id, NULL, 0, NULL));
    }
    struct trq_error wrong = {0};
    FX_MUST(fine(trq_engine_check(engine, &wrong)) == TRQ_OK || wrong.code == TRQ_ENOMEM);
    fine(trq_dead_retry_matching(engine, &plain, TRQ_DICT_NONE));
    healthy = true;
    fine(poll_all());
    fine(trq_dead_delete_matching(engine, &other, TRQ_DICT_NONE));
    FX_MUST(fine(trq_engine_check(engine, &wrong)) == TRQ_OK || wrong.code == TRQ_ENOMEM);
}

static void scenario(const struct trq_hooks *hooks)
{
    fails = lost = 0;
    if (fine(trq_engine_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 3000,
                                         .dead_max = 200, .on_dead_lost = on_lost, .hooks = hooks),
                               &engine, &error)) < 0)
        return;
    if (fine(trq_register(engine, &app, &error)) == TRQ_OK &&
        fine(trq_engine_start(engine, &error)) == TRQ_OK)
        use();
    if (fine(trq_engine_stop(engine, fx_long(), NULL)) < 0)
        FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    struct trq_engine_stats stats = {.size = sizeof stats};
    if (fine(trq_stats_engine(engine, &stats)) == TRQ_OK)
        FX_MUST(stats.dead_lost == (uint64_t)lost && stats.jobs == 0);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

Test(dead, any_allocation_may_fail)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    scene.during = may_fail;
    scenario(&hooks);
    cr_assert_eq(fails, 0);
    long calls = heap.calls;
    cr_assert_gt(calls, 40);
    for (long k = 1; k <= calls + 3; k++) {
        heap.calls = 0;
        heap.fail_at = k;
        scenario(&hooks);
        cr_assert_eq(heap.blocks, 0, "k = %ld: %ld blocks left", k, (long)heap.blocks);
        cr_assert_eq(heap.wrong, 0, "k = %ld: freed with another size", k);
    }
}

Test(dead, without_memory_for_it_it_falls_out_at_once)
{
    struct fx_heap heap = {0};
    struct trq_hooks hooks = fx_hooks(&heap);
    OPEN(.hooks = &hooks);
    /* What a failure needs is there then. */
    struct trq_job_id failed = scene_put(&tries, 1, NULL, NULL, TRQ_OPTS(.on_end = NULL));
    poll_all();
    cr_assert_eq(trq_cancel(engine, failed), TRQ_OK);
    scene_put(&plain, 2, NULL, NULL, TRQ_OPTS(.on_end = NULL));
    heap.calls = 0;
    heap.fail_at = 1;
    poll_all();
    heap.fail_at = 0;
    cr_assert_eq(lost, 1);
    cr_assert_eq(lost_one[0].number, 1);
    cr_assert_str_eq(lost_one[0].text, "number 2");
    die(&plain, 3, 1);
    ALL_NUMBERS("2");
    cr_assert_eq(scene_stats().dead_lost, 1);
    scene_close();
    cr_assert_eq(heap.blocks, 0);
}
