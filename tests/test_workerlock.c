/* Rules 5.1 to 5.5: at most so many jobs with a key run at a time; the others wait without a thread and keep their place. */
#include "engine/core/life.h"
#include "engine/core/run.h"
#include "engine/core/workerlock.h"

#include "scene.h"

#define ON_ROOM                                                                                    \
    .size = sizeof(struct trq_lock), .inputs = (const char *const[])                               \
    {                                                                                              \
        "room", NULL                                                                               \
    }

static const struct trq_worker plain = {SCENE_WORKER("Plain")};
static const struct trq_lock in_room = {ON_ROOM, .space = "rooms"};
static const struct trq_worker solo = {SCENE_WORKER("Solo"), .worker_lock = &in_room};
static const struct trq_worker other = {SCENE_WORKER("Other"), .worker_lock = &in_room};
static const struct trq_lock three = {ON_ROOM, .limit = 3};
static const struct trq_worker trio = {SCENE_WORKER("Trio"), .worker_lock = &three};
static const struct trq_lock on_key = {.size = sizeof on_key,
                                       .inputs = (const char *const[]){"key", NULL}};
static const struct trq_worker both = {SCENE_WORKER("Both"), .queue_lock = &on_key,
                                       .worker_lock = &in_room};

/* One whose key is asked for: its room, unless a test says otherwise; its state is counted in and out. */
struct memory {
    int asked, needed;
};
static atomic_int asked, dropped, performed;
static enum trq_end (*ask)(struct trq_job *job, struct trq_key *key);
static enum trq_end ask_room(struct trq_job *job, struct trq_key *key)
{
    struct memory *m = trq_job_state(job);
    cr_assert(m->asked == 0 && m->needed == 0, "zeroed");
    m->asked = 1;
    asked++;
    if (ask)
        return ask(job, key);
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}
static bool is_needed(struct trq_job *job)
{
    struct memory *m = trq_job_state(job);
    cr_assert(m->asked == 1 && m->needed == 0);
    m->needed = 1;
    return trq_job_get_i64(job, "n") != 404;
}
static enum trq_end perform(struct trq_job *job)
{
    const struct memory *m = trq_job_state(job);
    cr_assert(m->asked == 1 && m->needed == 1, "what was looked up is there");
    performed++;
    return scene_perform(job);
}
static void drop(void *state, struct trq_job *job)
{
    const struct memory *m = state;
    cr_assert_eq(m->asked, 1);
    cr_assert_eq(state, trq_job_state(job));
    dropped++;
}
static const struct trq_lock by_function = {
    .size = sizeof by_function, .space = "asked", .key = ask_room};
static const struct trq_worker asker = {
    .size = sizeof asker,
    .name = "Asker",
    .inputs = &scene_worker_inputs,
    .retry = &trq_no_retry,
    .perform = perform,
    .needed = is_needed,
    .worker_lock = &by_function,
    .state_size = sizeof(struct memory),
    .state_drop = drop,
};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .queues = TRQ_QUEUES({"high", 200, 0}, {"default", 100, 0}, {"even", 100, 0}, {"low", -7, 0}),
    .workers = TRQ_WORKERS(&plain, &solo, &other, &trio, &both, &asker),
};

/* ---- helpers -------------------------------------------------------------------------------------------------------------- */

static void drain(void)
{
    cr_assert_eq(trq_engine_drain(engine, fx_long()), TRQ_OK);
}
static struct trq_job_id put(const struct trq_worker *worker, int64_t n, const char *queue)
{
    return scene_put(worker, n, NULL, "room", TRQ_OPTS(.queue = queue));
}
/* It runs, and goes on doing so. */
static struct trq_job_id hold(const struct trq_worker *worker, int64_t n, const char *queue)
{
    struct trq_job_id id = put(worker, n, queue);
    scene_await_held(n);
    return id;
}
static void await(struct trq_job_id id, enum trq_why_state state)
{
    FX_AWAIT(scene_why(id).state == state);
}
static struct trq_job_id park(const struct trq_worker *worker, int64_t n, const char *queue)
{
    struct trq_job_id id = put(worker, n, queue);
    await(id, TRQ_IS_PARKED);
    return id;
}
static void await_end(struct trq_job_id id, enum trq_outcome outcome)
{
    FX_AWAIT((int)scene_end_of(id).outcome != -1);
    SCENE_ENDED(id, outcome);
}
static void pause_queue(const char *queue)
{
    cr_assert_eq(trq_queue_pause(engine, queue, NULL), TRQ_OK);
}
static void resume_queue(const char *queue)
{
    cr_assert_eq(trq_queue_resume(engine, queue, NULL), TRQ_OK);
}

/* One thread for who holds the key, one for the rest. */
static void set_up(void)
{
    scene_open_threads(&app, 2);
}
static void tear_down(void)
{
    drain();
    scene_settle(0);
    scene_close();
}
TestSuite(workerlock, .init = set_up, .fini = tear_down);

static void set_up_virtual(void)
{
    scene_open(&app);
}
TestSuite(workerlock_asked, .init = set_up_virtual, .fini = scene_close);

/* ---- exclusion ---------------------------------------------------------------------------------------------------------------- */

static atomic_int inside, most, runs;
static int unguarded;
static enum trq_end counts_who_is_inside(struct trq_job *job)
{
    int now = atomic_fetch_add(&inside, 1) + 1, before = atomic_load(&most);
    (void)job;
    while (before < now && !atomic_compare_exchange_weak(&most, &before, now))
        ;
    unguarded++;
    sched_yield();
    atomic_fetch_sub(&inside, 1);
    return TRQ_DONE;
}

Test(workerlock_storm, one_at_a_time_runs_with_a_key)
{
    scene_open_threads(&app, 6);
    scene.during = counts_who_is_inside;
    for (int i = 0; i < 3000; i++)
        scene_put(i % 2 ? &solo : &other, -i, NULL, "room",
                  TRQ_OPTS(.queue = i % 3 ? "default" : "high"));
    tear_down();
    cr_assert_eq(most, 1);
    cr_assert_eq(unguarded, 3000);
}

Test(workerlock_storm, as_many_as_the_limit_run_with_a_key)
{
    scene_open_threads(&app, 6);
    scene.during = counts_who_is_inside;
    for (int i = 0; i < 3000; i++)
        scene_put(&trio, -i, NULL, "room", NULL);
    tear_down();
    cr_assert_leq(most, 3);
}

Test(workerlock_storm, the_limit_is_used_to_the_full_and_the_next_one_waits)
{
    scene_open_threads(&app, 4);
    for (int i = 0; i < 3; i++)
        hold(&trio, SCENE_HELD + i, NULL);
    struct trq_job_id fourth = park(&trio, 1, NULL), fifth = park(&trio, 2, NULL);
    scene_put(&trio, 3, NULL, "another", NULL);
    put(&plain, 4, NULL);
    FX_AWAIT(scene_ends() == 2);
    scene_settle(3);
    scene_check();
    scene_let_go(SCENE_HELD + 1);
    await_end(fourth, TRQ_WAS_DONE);
    await_end(fifth, TRQ_WAS_DONE);
    scene_let_go(SCENE_HELD);
    scene_let_go(SCENE_HELD + 2);
    tear_down();
}

Test(workerlock, who_waits_takes_no_thread_and_blocks_nobody)
{
    hold(&solo, SCENE_HELD, NULL);
    struct trq_job_id waits[5];
    for (int i = 0; i < 5; i++)
        waits[i] = park(i % 2 ? &solo : &other, i, NULL);
    struct trq_job_id behind = put(&plain, 7, NULL),
                      elsewhere = scene_put(&solo, 8, NULL, "another", NULL);
    await_end(behind, TRQ_WAS_DONE);
    await_end(elsewhere, TRQ_WAS_DONE);
    scene_settle(1);
    scene_check();
    cr_assert_eq(scene_stats().parked, 5);
    struct trq_queue_stats queue = {.size = sizeof queue};
    cr_assert_eq(trq_stats_queue(engine, "app_default", &queue), TRQ_OK);
    cr_assert(queue.parked == 5 && queue.depth == 0);
    cr_assert_eq(fx_stats(engine, NULL).parked, 5, "each of them once: nobody polls");
    scene_let_go(SCENE_HELD);
    await_end(waits[4], TRQ_WAS_DONE);
    SCENE_RAN("1000 7 8 0 1 2 3 4");
}

/* ---- limits ------------------------------------------------------------------------------------------------------------------- */

static struct trq_lock a = {ON_ROOM}, b = {ON_ROOM};
static const struct trq_worker wa = {SCENE_WORKER("A"), .worker_lock = &a},
                               wb = {SCENE_WORKER("B"), .worker_lock = &b};
static int register_two(uint32_t limit_of_a, uint32_t limit_of_b, const char *space)
{
    a.limit = limit_of_a;
    b.limit = limit_of_b;
    a.space = b.space = space;
    return trq_register(engine, FX_APP(.name = "two", .workers = TRQ_WORKERS(&wa, &wb)), &error);
}

Test(workerlock_asked, limits_that_differ_in_a_name_space_are_refused_and_nothing_is_registered)
{
    cr_assert_eq(register_two(2, 3, "fresh"), TRQ_ECONFLICT);
    cr_assert_str_eq(error.text,
                     "lock name space fresh: a worker lock with limit 3, where others have 2");
    cr_assert_eq(trq_worker_names(engine, NULL, 0), 6);
    cr_assert_eq(register_two(1, 2, "rooms"), TRQ_ECONFLICT);
    cr_assert_str_eq(error.text,
                     "lock name space rooms: a worker lock with limit 2, where others have 1");
    cr_assert_eq(trq_worker_names(engine, NULL, 0), 6);
    cr_assert_eq(register_two(3, 3, "fresh"), TRQ_OK, "what was refused has left no limit");
    cr_assert_eq(trq_worker_names(engine, NULL, 0), 8);
}

Test(workerlock_asked, a_limit_of_nothing_is_one)
{
    cr_assert_eq(register_two(0, 1, "fresh"), TRQ_OK);
}

Test(workerlock_asked, a_call_with_another_limit_is_refused)
{
    struct trq_lock lock = {ON_ROOM, .space = "Trio", .limit = 2};
    cr_assert_eq(scene_try(&plain, 1, NULL, "room", TRQ_OPTS(.worker_lock = &lock), NULL),
                 TRQ_ECONFLICT);
    cr_assert_str_eq(error.text,
                     "lock name space Trio: a worker lock with limit 2, where others have 3");
    struct trq_lock queue_lock = {ON_ROOM, .space = "Trio"};
    scene_put(&plain, 1, NULL, "room", TRQ_OPTS(.queue_lock = &queue_lock));
    lock.limit = 3;
    scene_put(&plain, 2, NULL, "room", TRQ_OPTS(.worker_lock = &lock));
    lock = (struct trq_lock){ON_ROOM, .space = "by the call", .limit = 7};
    scene_put(&plain, 3, NULL, "room", TRQ_OPTS(.worker_lock = &lock));
    cr_assert_eq(register_two(2, 2, "by the call"), TRQ_ECONFLICT);
    cr_assert_eq(register_two(7, 7, "by the call"), TRQ_OK);
    cr_assert_eq(trq_test_drain(engine), 3);
}

Test(workerlock, the_lock_of_a_call_counts_instead_of_the_workers)
{
    char name[8] = "room", space[8] = "own";
    const char *names[2] = {name, NULL};
    struct trq_lock lock = {.size = sizeof lock, .inputs = names, .space = space};
    struct trq_opts opts = trq_opts_init();
    opts.worker_lock = &lock;
    hold(&solo, SCENE_HELD, NULL);
    struct trq_job_id free_of_it = scene_put(&solo, SCENE_HELD + 1, NULL, "room", &opts);
    scene_await_held(SCENE_HELD + 1);
    scene_let_go(SCENE_HELD);
    struct trq_job_id waits = scene_put(&plain, 2, NULL, "room", &opts);
    memset(name, 'x', sizeof name);
    memset(space, 'x', sizeof space);
    memset(&lock, 0x5A, sizeof lock);
    await(waits, TRQ_IS_PARKED);
    cr_assert(trq_job_id_equal(scene_why(waits).holder, free_of_it));
    scene_let_go(SCENE_HELD + 1);
    await_end(waits, TRQ_WAS_DONE);
}

/* ---- order of wake-up ------------------------------------------------------------------------------------------------------------ */

Test(workerlock, the_heaviest_queue_comes_first_and_in_it_who_stands_first)
{
    hold(&solo, SCENE_HELD, NULL);
    park(&solo, 1, "low");
    park(&solo, 2, "default");
    park(&other, 3, "high");
    park(&solo, 4, "default");
    park(&other, 5, "high");
    struct trq_job_id last = park(&solo, 6, "low");
    cr_assert_eq(scene_why(last).ahead, 5);
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD);
    await_end(last, TRQ_WAS_DONE);
    SCENE_RAN("1000 3 5 2 4 1 6");
}

Test(workerlock, between_queues_of_one_weight_who_began_to_wait_first)
{
    hold(&solo, SCENE_HELD, NULL);
    park(&solo, 1, "even");
    park(&solo, 2, "default");
    park(&solo, 3, "even");
    struct trq_job_id last = park(&solo, 4, "default");
    scene_let_go(SCENE_HELD);
    await_end(last, TRQ_WAS_DONE);
    SCENE_RAN("1000 1 2 3 4");
}

Test(workerlock, who_is_woken_stands_at_the_front_of_its_queue)
{
    hold(&solo, SCENE_HELD, NULL);
    park(&solo, 1, NULL);
    hold(&plain, SCENE_HELD + 1, NULL);
    put(&plain, 7, NULL);
    struct trq_job_id last = put(&plain, 8, NULL);
    scene_let_go(SCENE_HELD);
    await_end(last, TRQ_WAS_DONE);
    SCENE_RAN("1000 1001 1 7 8");
    scene_let_go(SCENE_HELD + 1);
}

/* Both threads are taken; 1 and 2 wait, and 1 has been woken. 1000 has let go, 1001 and 1002 go on. */
static struct trq_job_id first, second;
static void invite(const char *queue)
{
    hold(&solo, SCENE_HELD, NULL);
    first = park(&solo, 1, queue);
    second = park(&solo, 2, "low");
    hold(&plain, SCENE_HELD + 1, "high");
    put(&plain, SCENE_HELD + 2, "high");
    scene_let_go(SCENE_HELD);
    scene_await_held(SCENE_HELD + 2);
    await(first, TRQ_IS_READY);
    SCENE_IS(second, TRQ_IS_PARKED);
    scene_check();
}

Test(workerlock, who_is_woken_and_comes_too_late_waits_again_at_its_old_place)
{
    hold(&solo, SCENE_HELD, NULL);
    struct trq_job_id woken = park(&solo, 1, "low"), next = park(&solo, 2, "low");
    hold(&plain, SCENE_HELD + 1, "high");
    put(&other, SCENE_HELD + 2, "high"); /* has not asked yet, and goes before */
    scene_let_go(SCENE_HELD);
    scene_await_held(SCENE_HELD + 2);
    SCENE_IS(woken, TRQ_IS_READY);
    scene_check();
    scene_let_go(SCENE_HELD + 1);
    await(woken, TRQ_IS_PARKED);
    scene_settle(1);
    scene_check();
    cr_assert_eq(scene_why(woken).ahead, 0);
    cr_assert_eq(scene_why(next).ahead, 1);
    scene_let_go(SCENE_HELD + 2);
    await_end(next, TRQ_WAS_DONE);
    SCENE_RAN("1000 1001 1002 1 2");
}

Test(workerlock, a_new_one_may_take_the_key_before_the_woken_and_goes_behind_those_that_wait)
{
    invite("default");
    put(&solo, 3, "default");
    put(&solo, 4, "high");
    scene_let_go(SCENE_HELD + 1);
    FX_AWAIT(scene_ends() == 6);
    SCENE_RAN("1000 1001 1002 4 1 3 2");
    scene_let_go(SCENE_HELD + 2);
}

static enum trq_end requeues_once(struct trq_job *job)
{
    if (trq_job_get_i64(job, "n") != SCENE_HELD)
        return TRQ_DONE;
    scene.during = NULL;
    return trq_requeue(job);
}

/* Where it comes among the others, is open: whoever asks first gets a key that is free. They keep their order. */
Test(workerlock, who_requeues_gives_its_key_back_and_waits_anew)
{
    scene.during = requeues_once;
    struct trq_job_id holder = hold(&solo, SCENE_HELD, NULL);
    park(&solo, 1, NULL);
    park(&solo, 2, NULL);
    scene_let_go(SCENE_HELD);
    await_end(holder, TRQ_WAS_DONE);
    scene_settle(0);
    const char *order = scene_runs();
    cr_assert(strcmp(order, "1000 1 2 1000") == 0 || strcmp(order, "1000 1 1000 2") == 0 ||
                  strcmp(order, "1000 1000 1 2") == 0,
              "%s", order);
}

/* ---- paused queues ------------------------------------------------------------------------------------------------------------------ */

Test(workerlock, a_paused_queue_is_passed_over_and_looked_at_when_it_resumes)
{
    hold(&solo, SCENE_HELD, NULL);
    first = park(&solo, 1, "default");
    second = park(&solo, 2, "low");
    pause_queue("app_default");
    scene_let_go(SCENE_HELD);
    await_end(second, TRQ_WAS_DONE);
    scene_settle(0);
    scene_check();
    SCENE_IS(first, TRQ_IS_PARKED);
    cr_assert_eq(scene_why(first).holder.birth, 0, "the key is free");
    resume_queue("app_default");
    await_end(first, TRQ_WAS_DONE);
}

Test(workerlock, an_invitation_into_a_queue_that_is_paused_then_passes_to_the_next)
{
    invite("default");
    pause_queue("app_default");
    await(second, TRQ_IS_READY);
    SCENE_IS(first, TRQ_IS_PAUSED);
    scene_check();
    scene_let_go(SCENE_HELD + 1);
    await_end(second, TRQ_WAS_DONE);
    SCENE_IS(first, TRQ_IS_PAUSED);
    scene_let_go(SCENE_HELD + 2);
    scene_settle(0);
    scene_check();
    resume_queue("app_default");
    await_end(first, TRQ_WAS_DONE);
}

Test(workerlock, pausing_all_and_resuming_in_any_order_forgets_nobody)
{
    for (int round = 0; round < 8; round++) {
        memset(scene.arrived, 0, sizeof scene.arrived);
        memset(scene.may_go, 0, sizeof scene.may_go);
        hold(&solo, SCENE_HELD, NULL);
        struct trq_job_id id[3] = {park(&solo, 1, "high"), park(&solo, 2, "default"),
                                   park(&solo, 3, "low")};
        static const char *const queues[] = {"app_high", "app_default", "app_low"};
        for (int i = 0; i < 3; i++)
            pause_queue(queues[i]);
        scene_let_go(SCENE_HELD);
        scene_settle(0);
        scene_check();
        for (int i = 0; i < 3; i++) {
            int at = (round & 1 ? i * 2 + round : i + round) % 3;
            resume_queue(queues[at]);
            await_end(id[at], TRQ_WAS_DONE);
        }
    }
}

Test(workerlock_storm, a_queue_that_is_not_worked_keeps_nobody_waiting)
{
    static const char *const queues[] = {"app_default", NULL};
    engine = fx_start(FX_CONFIG(.threads = 2, .queues = queues), &app);
    hold(&solo, SCENE_HELD, NULL);
    struct trq_job_id never = put(&solo, 9, "high");
    first = park(&solo, 1, "default");
    SCENE_IS(never, TRQ_IS_UNWORKED);
    scene_let_go(SCENE_HELD);
    await_end(first, TRQ_WAS_DONE);
    scene_settle(0);
    scene_check();
    cr_assert_eq(trq_cancel(engine, never), TRQ_OK);
    tear_down();
}

/* ---- cancel -------------------------------------------------------------------------------------------------------------------------- */

static atomic_bool was_asked;
static enum trq_end notes_should_stop(struct trq_job *job)
{
    if (trq_job_get_i64(job, "n") == SCENE_HELD)
        was_asked = trq_job_should_stop(job);
    return TRQ_DONE;
}

Test(workerlock, a_holder_that_is_cancelled_is_asked_and_the_next_comes_when_it_ends)
{
    scene.during = notes_should_stop;
    struct trq_job_id holder = hold(&solo, SCENE_HELD, NULL);
    first = park(&solo, 1, NULL);
    cr_assert_eq(trq_cancel(engine, holder), TRQ_ASKED);
    scene_settle(1);
    SCENE_IS(first, TRQ_IS_PARKED);
    scene_let_go(SCENE_HELD);
    await_end(first, TRQ_WAS_DONE);
    await_end(holder, TRQ_WAS_DONE); /* told after the key was given back */
    cr_assert(was_asked);
}

Test(workerlock, a_cancelled_waiter_ends_at_once_wherever_it_stands)
{
    struct trq_job_id id[6];
    hold(&solo, SCENE_HELD, NULL);
    for (int i = 0; i < 6; i++)
        id[i] = park(&solo, i, i % 2 ? "high" : "default");
    static const int order[] = {2, 0, 5, 1};
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(trq_cancel(engine, id[order[i]]), TRQ_OK);
        SCENE_ENDED(id[order[i]], TRQ_WAS_CANCELLED);
        cr_assert_eq(trq_cancel(engine, id[order[i]]), TRQ_GONE);
        scene_settle(1);
        scene_check();
    }
    scene_let_go(SCENE_HELD);
    await_end(id[4], TRQ_WAS_DONE);
    SCENE_RAN("1000 3 4");
}

Test(workerlock, an_invited_one_that_is_cancelled_passes_it_to_the_next)
{
    invite("default");
    cr_assert_eq(trq_cancel(engine, first), TRQ_OK);
    await(second, TRQ_IS_READY);
    scene_check();
    scene_let_go(SCENE_HELD + 1);
    await_end(second, TRQ_WAS_DONE);
    scene_let_go(SCENE_HELD + 2);
}

Test(workerlock, the_last_waiter_that_is_cancelled_leaves_a_free_key)
{
    invite("default");
    cr_assert_eq(trq_cancel(engine, second), TRQ_OK);
    cr_assert_eq(trq_cancel(engine, first), TRQ_OK);
    scene_check();
    struct trq_job_id fresh = put(&other, 5, NULL);
    scene_let_go(SCENE_HELD + 1);
    await_end(fresh, TRQ_WAS_DONE);
    scene_let_go(SCENE_HELD + 2);
}

/* ---- very many -------------------------------------------------------------------------------------------------------------------------- */

enum { CROWD = 10000 };
static struct trq_job_id crowd[CROWD];

static struct trq_job_id gather(void)
{
    struct trq_job_id holder = hold(&solo, SCENE_HELD, NULL);
    for (int i = 0; i < CROWD; i++)
        crowd[i] = scene_put(&solo, 10000 + i, NULL, "room", NULL);
    FX_AWAIT(scene_stats().parked == CROWD);
    scene_settle(1);
    scene_check();
    return holder;
}

Test(workerlock, ten_thousand_waiters_run_in_order_when_their_holder_is_cancelled)
{
    struct trq_job_id holder = gather();
    cr_assert_eq(trq_cancel(engine, holder), TRQ_ASKED);
    scene_let_go(SCENE_HELD);
    drain();
    FX_AWAIT(scene_ends() == CROWD + 1);
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(scene.ran[i + 1], 10000 + i);
}

Test(workerlock, ten_thousand_waiters_can_be_cancelled_in_any_order)
{
    gather();
    for (int i = 0; i < CROWD; i++)
        cr_assert_eq(trq_cancel(engine, crowd[i * 7919 % CROWD]), TRQ_OK);
    cr_assert_eq(scene_stats().parked, 0);
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD);
}

/* A million, where no sanitizer slows them down. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { MULTITUDE = 100000 };
#else
enum { MULTITUDE = 1000000 };
#endif

static enum trq_end counts(struct trq_job *job)
{
    if (scene.may_go[0])
        runs++;
    else
        return scene_perform(job);
    return TRQ_DONE;
}
static const struct trq_lock own_key = {ON_ROOM};
static const struct trq_worker counter = {.size = sizeof counter,
                                          .name = "Counter",
                                          .inputs = &scene_worker_inputs,
                                          .retry = &trq_no_retry,
                                          .perform = counts,
                                          .worker_lock = &own_key};

Test(workerlock_storm, a_million_jobs_wait_for_one_key_and_all_run)
{
    scene_open_threads(FX_APP(.name = "app", .workers = TRQ_WORKERS(&counter)), 2);
    struct scene_worker_in in = {SCENE_HELD, {NULL, 0}, trq_str_of("r")};
    cr_assert_eq(trq_enqueue_struct(engine, &counter, &scene_worker_inputs, &in, NULL, NULL),
                 TRQ_OK);
    scene_await_held(SCENE_HELD);
    in.n = 1;
    for (int i = 0; i < MULTITUDE; i++)
        cr_assert_eq(trq_enqueue_struct(engine, &counter, &scene_worker_inputs, &in, NULL, NULL),
                     TRQ_OK);
    FX_AWAIT(scene_stats().parked == MULTITUDE);
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD);
    tear_down();
    cr_assert_eq(runs, MULTITUDE);
}

/* ---- a key that is asked for -------------------------------------------------------------------------------------------------------------- */

static int64_t first_answer = -1;
static enum trq_end answers_by_n(struct trq_job *job, struct trq_key *key)
{
    switch (trq_job_get_i64(job, "n")) {
    case 1:
        return TRQ_SKIP;
    case 2:
        return trq_fail(job, "no payee %d", 5);
    case 3:
        return trq_discard(job, "paid");
    case 4:
        if (first_answer-- > 0)
            return trq_requeue(job);
        break;
    case 5:
        if (first_answer-- > 0)
            return trq_requeue_in(job, trq_hours(1));
        break;
    case 6:
        return (enum trq_end)77;
    default:
        break;
    }
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}

Test(workerlock_asked, a_function_may_say_how_the_job_ends)
{
    static const enum trq_outcome as[] = {TRQ_WAS_SKIPPED, TRQ_WAS_DEAD, TRQ_WAS_DISCARDED};
    static const char *const texts[] = {"", "no payee 5", "paid"};
    ask = answers_by_n;
    for (int n = 1; n <= 3; n++) {
        scene.text[0] = '\0';
        struct trq_job_id id = put(&asker, n, NULL);
        cr_assert_geq(trq_test_drain(engine), 0);
        SCENE_ENDED(id, as[n - 1]);
        cr_assert_str_eq(scene.text, texts[n - 1]);
        scene_check();
    }
    struct trq_job_id odd = put(&asker, 6, NULL);
    cr_assert_geq(trq_test_drain(engine), 0);
    SCENE_ENDED(odd, TRQ_WAS_DEAD);
    cr_assert_str_eq(scene.text, "the handler returned 77, which is no end");
    SCENE_RAN("");
    cr_assert_eq(asked, 4);
    cr_assert_eq(dropped, 4);
}

Test(workerlock_asked, a_function_may_put_the_job_off)
{
    ask = answers_by_n;
    first_answer = 3;
    struct trq_job_id id = put(&asker, 4, NULL);
    cr_assert_geq(trq_test_drain(engine), 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_eq(asked, 4);
    first_answer = 1;
    id = put(&asker, 5, NULL);
    cr_assert_geq(trq_test_drain(engine), 0);
    SCENE_IS(id, TRQ_IS_SCHEDULED);
    cr_assert_eq(trq_test_advance(engine, trq_hours(1)), 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_eq(asked, dropped);
}

Test(workerlock_asked, the_state_is_shared_with_needed_and_perform_and_dropped_once)
{
    put(&asker, 1, NULL);
    put(&asker, 404, NULL);
    cr_assert_geq(trq_test_drain(engine), 1);
    SCENE_RAN("1");
    cr_assert(asked == 2 && dropped == 2 && performed == 1);
    cr_assert_eq(fx_stats(engine, "Asker").skipped, 1);
}

Test(workerlock, the_state_is_dropped_when_the_job_parks_and_made_anew)
{
    hold(&asker, SCENE_HELD, NULL);
    for (int i = 0; i < 5; i++)
        first = park(&asker, i, NULL);
    scene_settle(1);
    cr_assert_eq(asked, 6);
    cr_assert_eq(dropped, 5);
    scene_let_go(SCENE_HELD);
    await_end(first, TRQ_WAS_DONE);
    scene_settle(0);
    cr_assert_eq(asked, 11);
    cr_assert_eq(dropped, 11);
    cr_assert_eq(performed, 6);
}

static enum trq_end asks_much(struct trq_job *job, struct trq_key *key)
{
    cr_assert_eq(trq_engine_poll(trq_job_engine(job), 0, trq_ns(0)), TRQ_EINVAL);
    cr_assert_eq(trq_engine_stop(trq_job_engine(job), trq_ns(0), NULL), TRQ_EINVAL);
    if (trq_job_get_i64(job, "n") > 0)
        scene_put(&asker, trq_job_get_i64(job, "n") - 1, NULL, "room", NULL);
    SCENE_IS(trq_job_self(job), TRQ_IS_RUNNING);
    trq_key_input(key, job, "room");
    return TRQ_DONE;
}

Test(workerlock_asked, a_function_may_enqueue_and_ask_as_a_handler_may)
{
    ask = asks_much;
    put(&asker, 5, NULL);
    cr_assert_eq(trq_test_drain(engine), 6);
    SCENE_RAN("5 4 3 2 1 0");
}

/* The payee of each invoice, by n. */
static _Atomic(const char *) payee[10];
static enum trq_end asks_payee(struct trq_job *job, struct trq_key *key)
{
    trq_key_str(key, trq_str_of(payee[trq_job_get_i64(job, "n") % 10]));
    return TRQ_DONE;
}

Test(workerlock, whose_key_has_changed_meanwhile_gives_way_to_the_next_of_the_old_one)
{
    ask = asks_payee;
    payee[0] = payee[1] = payee[2] = "a";
    hold(&asker, SCENE_HELD, NULL);
    first = park(&asker, SCENE_HELD + 1, NULL);
    second = park(&asker, SCENE_HELD + 2, NULL);
    payee[1] = "b";
    scene_let_go(SCENE_HELD);
    scene_await_held(SCENE_HELD + 1);
    scene_await_held(SCENE_HELD + 2);
    scene_check();
    SCENE_IS(first, TRQ_IS_RUNNING);
    SCENE_IS(second, TRQ_IS_RUNNING);
    scene_let_go(SCENE_HELD + 1);
    scene_let_go(SCENE_HELD + 2);
    await_end(second, TRQ_WAS_DONE);
}

Test(workerlock_storm, whose_key_has_changed_may_have_to_wait_for_the_new_one)
{
    scene_open_threads(&app, 3);
    ask = asks_payee;
    payee[0] = payee[1] = payee[2] = "a";
    payee[3] = "b";
    hold(&asker, SCENE_HELD, NULL);
    hold(&asker, SCENE_HELD + 3, NULL);
    first = park(&asker, 1, NULL);
    second = park(&asker, 2, NULL);
    payee[1] = "b";
    scene_let_go(SCENE_HELD);
    await_end(second, TRQ_WAS_DONE);
    await(first, TRQ_IS_PARKED);
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD + 3);
    await_end(first, TRQ_WAS_DONE);
    tear_down();
    cr_assert_eq(asked, dropped);
}

/* ---- both locks ------------------------------------------------------------------------------------------------------------------------------ */

Test(workerlock, a_worker_may_have_both_locks)
{
    struct trq_job_id twin;
    scene_put(&both, SCENE_HELD, "k", "room", NULL);
    scene_await_held(SCENE_HELD);
    first = scene_put(&both, 1, "k", "room", NULL);
    await(first, TRQ_IS_PARKED);
    cr_assert_eq(scene_try(&both, 2, "k", "room", NULL, &twin), TRQ_DUPLICATE);
    cr_assert(trq_job_id_equal(twin, first));
    second = scene_put(&both, 3, "l", "room", NULL);
    await(second, TRQ_IS_PARKED);
    scene_settle(1);
    scene_check();
    scene_let_go(SCENE_HELD);
    await_end(second, TRQ_WAS_DONE);
    SCENE_RAN("1000 1 3");
}

/* ---- stop --------------------------------------------------------------------------------------------------------------------------------------- */

Test(workerlock_storm, a_stop_drops_those_that_wait)
{
    struct trq_leftover left = {.size = sizeof left};
    struct trq_job_id id[4];
    scene_open_threads(&app, 2);
    struct trq_job_id holder = hold(&asker, SCENE_HELD, NULL);
    for (int i = 0; i < 4; i++)
        id[i] = park(&asker, i, i % 2 ? "high" : "low");
    cr_assert_eq(trq_engine_stop(engine, trq_ms(1), &left), TRQ_ETIMEOUT);
    scene_let_go(SCENE_HELD);
    cr_assert_eq(trq_engine_stop(engine, fx_long(), &left), TRQ_OK);
    for (int i = 0; i < 4; i++)
        SCENE_ENDED(id[i], TRQ_WAS_DROPPED);
    SCENE_ENDED(holder, TRQ_WAS_DONE);
    SCENE_RAN("1000");
    cr_assert_eq(asked, dropped);
    scene_close();
}

/* ---- a release by who does not hold it --------------------------------------------------------------------------------------------------------------- */

static uint32_t side_of(const struct tq_job *job)
{
    return tq_cold_side(tq_load(&job->cold, relaxed));
}
static uint64_t stale[3];
static enum trq_end releases_twice(struct trq_job *job)
{
    for (int i = 0; i < 3; i++) {
        tq_worker_lock_release(job->engine, job->local, side_of(job->job));
        stale[i] = scene_stats().stale_releases;
    }
    return TRQ_DONE;
}

Test(workerlock_stale, a_second_release_is_counted_and_does_nothing)
{
    scene_open(&app);
    scene.during = releases_twice;
    put(&solo, 1, NULL);
    cr_assert_eq(trq_test_drain(engine), 1);
    cr_assert(stale[0] == 0 && stale[1] == 1 && stale[2] == 2);
    scene.during = NULL;
    put(&solo, 2, NULL);
    cr_assert_eq(trq_test_drain(engine), 1);
    scene_check();
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}

Test(workerlock_stale, a_release_by_one_who_waits_is_counted_and_does_nothing)
{
    scene_open_threads(&app, 2);
    hold(&solo, SCENE_HELD, NULL);
    first = park(&solo, 1, NULL);
    second = park(&solo, 2, NULL);
    scene_settle(1);
    tq_worker_lock_release(engine, tq_local_of(engine), side_of(tq_job_by_id(engine, first)));
    cr_assert_eq(scene_stats().stale_releases, 1);
    SCENE_IS(first, TRQ_IS_PARKED);
    SCENE_IS(second, TRQ_IS_PARKED);
    scene_check();
    scene_let_go(SCENE_HELD);
    drain();
    SCENE_RAN("1000 1 2");
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
