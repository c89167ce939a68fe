/* Rule 10.5 under fire: loops that sleep on their descriptors, connections that die, channels that go. */
#include "engine_fixture.h"

#include "tap.h"

#ifdef __SANITIZE_THREAD__
enum { SCALE = 4 };
#else
enum { SCALE = 8 };
#endif

enum { LOOPS = 3, PER_LOOP = 5000 * SCALE, ROOM = 64 };

static struct trq_engine *engine;

static enum trq_end echo(struct trq_job *job)
{
    int64_t n = trq_job_get_i64(job, "n");
    FX_MUST(trq_job_set_result(job, &n, sizeof n) == TRQ_OK);
    if (n % 50 == 3 && trq_job_attempt(job) == 1 && n % 100 == 3)
        return TRQ_SKIP;
    return n % 50 == 7 ? trq_fail(job, "%lld", (long long)n) : TRQ_DONE;
}
static const struct trq_worker echoes = {.size = sizeof echoes,
                                         .name = "Echo",
                                         .inputs = &num_inputs,
                                         .retry = &trq_no_retry,
                                         .perform = echo};
static const struct trq_app app = {
    .size = sizeof app, .name = "app", .workers = TRQ_WORKERS(&echoes)};

/* ---- event loops ------------------------------------------------------------------------------------------ */

enum { WAITS, TOLD, FORGOTTEN };

struct loop {
    pthread_t thread;
    struct trq_channel *channel;
    unsigned seed;
    int state[PER_LOOP];
    struct trq_job_id id[PER_LOOP];
    int sent, open, told, forgotten, too_late, wrong;
};

static bool is_right(const struct trq_event *event, int64_t n)
{
    char text[24];
    int size = snprintf(text, sizeof text, "%lld", (long long)n);
    if (n % 50 == 7)
        return event->outcome == TRQ_WAS_DEAD && event->result_size == size &&
               memcmp(event->result, text, (size_t)size) == 0;
    return event->outcome == (n % 100 == 3 ? TRQ_WAS_SKIPPED : TRQ_WAS_DONE) &&
           event->result_size == sizeof n && memcmp(event->result, &n, sizeof n) == 0;
}

static void receive(struct loop *l)
{
    struct trq_event events[16];
    int most = 1 + rand_r(&l->seed) % 16;
    fx_await_readable(trq_channel_fd(l->channel));
    int count = trq_channel_drain(l->channel, events, most);
    l->wrong += count < 0;
    for (int i = 0; i < count; i++) {
        int64_t n = (int *)events[i].tag - l->state;
        l->wrong += l->state[n] != WAITS || !is_right(&events[i], n) ||
                    !trq_job_id_equal(events[i].id, l->id[n]);
        l->state[n] = TOLD;
        l->told++;
        l->open--;
    }
}

static void forget_one(struct loop *l)
{
    int64_t n = rand_r(&l->seed) % (unsigned)l->sent;
    if (l->sent - n > ROOM && rand_r(&l->seed) % 4)
        n = l->sent - 1;
    int rc = trq_channel_forget(l->channel, l->id[n]);
    if (rc == TRQ_OK) {
        l->wrong += l->state[n] != WAITS;
        l->state[n] = FORGOTTEN;
        l->forgotten++;
        l->open--;
    } else {
        l->wrong += rc != TRQ_GONE;
        l->too_late += l->state[n] == WAITS; /* its event is on the way */
    }
}

static void *run_loop(void *arg)
{
    struct loop *l = arg;
    while (l->sent < PER_LOOP || l->open) {
        if (l->sent == PER_LOOP) {
            receive(l);
            continue;
        }
        struct num_in in = {l->sent};
        int rc = trq_enqueue_struct(engine, &echoes, &num_inputs, &in,
                                    TRQ_OPTS(.channel = l->channel, .tag = &l->state[l->sent],
                                             .wake_later = rand_r(&l->seed) % 2),
                                    &l->id[l->sent]);
        if (rc == TRQ_OK) {
            l->sent++;
            l->open++;
        } else {
            l->wrong += rc != TRQ_EFULL;
            trq_wake(engine);
            if (l->open)
                receive(l);
            else
                sched_yield(); /* only forgotten jobs hold room */
        }
        if (l->sent && rand_r(&l->seed) % 3 == 0)
            forget_one(l);
        if (l->sent == PER_LOOP)
            trq_wake(engine);
    }
    return NULL;
}

static void loops_are_told(int threads)
{
    static struct loop loop[LOOPS];
    memset(loop, 0, sizeof loop);
    engine = fx_start(FX_CONFIG(.threads = threads, .jobs_max = 500), &app);
    for (int i = 0; i < LOOPS; i++) {
        loop[i].seed = 4711u + (unsigned)i;
        FX_MUST(trq_channel_create(engine, ROOM, &loop[i].channel) == TRQ_OK);
        pthread_create(&loop[i].thread, NULL, run_loop, &loop[i]);
    }
    int told = 0, forgotten = 0, too_late = 0, wrong = 0, more = 0;
    for (int i = 0; i < LOOPS; i++) {
        pthread_join(loop[i].thread, NULL);
        told += loop[i].told;
        forgotten += loop[i].forgotten;
        too_late += loop[i].too_late;
        wrong += loop[i].wrong;
    }
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    struct trq_event event;
    for (int i = 0; i < LOOPS; i++)
        more += trq_channel_drain(loop[i].channel, &event, 1);
    tap_note("%d threads: %d told, %d forgotten, %d forgotten too late", threads, told, forgotten,
             too_late);
    TAP_OK(told + forgotten == LOOPS * PER_LOOP, "each job is told, or was forgotten before");
    TAP_OK(wrong == 0, "once, with its own tag, id, outcome and result");
    TAP_OK(more == 0, "a forgotten job tells nobody");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

/* ---- channels that go while jobs are to tell them ------------------------------------------------------------- */

static atomic_long running_on;

static void *come_and_go(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < 300 * SCALE; i++) {
        struct trq_channel *channel;
        struct trq_event events[8];
        struct num_in in = {0};
        FX_MUST(trq_channel_create(engine, 8, &channel) == TRQ_OK);
        for (int k = rand_r(&seed) % 12; k > 0; k--) {
            int rc = trq_enqueue_struct(engine, &echoes, &num_inputs, &in,
                                        TRQ_OPTS(.channel = channel), NULL);
            FX_MUST(rc == TRQ_OK || rc == TRQ_EFULL);
            atomic_fetch_add(&running_on, rc == TRQ_OK);
        }
        for (int k = rand_r(&seed) % 3; k > 0; k--) {
            FX_MUST(trq_channel_drain(channel, events, rand_r(&seed) % 8) >= 0);
            sched_yield();
        }
        trq_channel_destroy(channel);
    }
    return NULL;
}

static void channels_come_and_go(void)
{
    pthread_t thread[4];
    unsigned seed[4] = {1, 2, 3, 4};
    engine = fx_start(FX_CONFIG(.threads = 3), &app);
    for (int i = 0; i < 4; i++)
        pthread_create(&thread[i], NULL, come_and_go, &seed[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(thread[i], NULL);
    FX_MUST(trq_engine_drain(engine, fx_long()) == TRQ_OK);
    TAP_OK(fx_stats(engine, "Echo").done == (uint64_t)atomic_load(&running_on),
           "jobs run on when their channel is gone");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

/* ---- waiters ------------------------------------------------------------------------------------------------- */

static atomic_long seen_end, was_gone, wait_failed;

static void *enqueue_and_wait(void *arg)
{
    unsigned seed = *(unsigned *)arg;
    for (int i = 0; i < 400 * SCALE; i++) {
        struct trq_job_id id;
        struct trq_event event;
        struct num_in in = {rand_r(&seed) % 1000};
        FX_MUST(trq_enqueue_struct(engine, &echoes, &num_inputs, &in,
                                   TRQ_OPTS(.wait_for_room = fx_long()), &id) == TRQ_OK);
        int rc = trq_wait(engine, id, fx_long(), &event);
        if (rc == TRQ_GONE)
            atomic_fetch_add(&was_gone, 1);
        else if (rc == TRQ_OK && trq_job_id_equal(id, event.id) && is_right(&event, in.n))
            atomic_fetch_add(&seen_end, 1);
        else
            atomic_fetch_add(&wait_failed, 1);
    }
    return NULL;
}

static void waiters_are_told(void)
{
    pthread_t thread[8];
    unsigned seed[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    engine = fx_start(FX_CONFIG(.threads = 3, .jobs_max = 5), &app);
    for (int i = 0; i < 8; i++)
        pthread_create(&thread[i], NULL, enqueue_and_wait, &seed[i]);
    for (int i = 0; i < 8; i++)
        pthread_join(thread[i], NULL);
    tap_note("%ld told, %ld gone before", atomic_load(&seen_end), atomic_load(&was_gone));
    TAP_OK(atomic_load(&wait_failed) == 0, "who waits is told of his own job, or that it is gone");
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
}

int main(void)
{
    loops_are_told(1);
    loops_are_told(4);
    channels_come_and_go();
    waiters_are_told();
    return tap_done();
}
