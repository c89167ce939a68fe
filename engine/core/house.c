#include "engine/core/house.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "engine/base/error.h"
#include "engine/core/engine.h"
#include "engine/core/life.h"
#include "engine/core/publish.h"
#include "engine/core/schedule.h"

enum {
    TICK_NS = 1000000,
    TICK_HOOKED_NS = 1000,
    RETRY_NS = 10000000, /* after want of memory */
    LOOK_MS = 10,        /* how often, by real time, at a clock that is not the system's */
    DRAIN = 1024,        /* timers from one inbox at a time */
    SWEEP = 1024,        /* entries looked at in one step */
    STALE_MIN = 1024,
    CHUNKS_FREE = 1 << 20,
    AHEAD = 8 /* jobs whose lines are on their way */
};

#define WALL_BIT (UINT64_C(1) << 63)

/* ---- time --------------------------------------------------------------------------------------------------- */

static int64_t now_of(const struct trq_engine *e, enum tq_domain domain)
{
    const int64_t now = domain == TQ_BOOT ? tq_clock_boot(&e->clock) : tq_clock_wall(&e->clock);
    return now > 0 ? now : 0;
}

/* The first tick at which it is due; the tick that has been reached. */
static uint64_t tick_of_due(const struct tq_house *h, uint64_t due)
{
    return due / (uint64_t)h->tick_ns + (due % (uint64_t)h->tick_ns != 0);
}
static uint64_t tick_of_now(const struct tq_house *h, int64_t now)
{
    return (uint64_t)(now / h->tick_ns);
}

static int64_t ns_of_tick(const struct tq_house *h, uint64_t tick)
{
    return tick > (uint64_t)(INT64_MAX / h->tick_ns) ? INT64_MAX : (int64_t)tick * h->tick_ns;
}

/* ---- submit --------------------------------------------------------------------------------------------------- */

static void wake(struct trq_engine *e)
{
    eventfd_write(e->thread_count ? e->house.wake_fd - 1 : e->fd, 1);
}

bool tq_timer_reserve(struct trq_engine *engine, struct tq_local *local, uint32_t count)
{
    return tq_inbox_reserve(&local->inbox, &engine->house.chunks, &local->chunks, count);
}

void tq_timer_submit(struct trq_engine *engine, struct tq_local *local, uint32_t item,
                     uint32_t generation, int64_t due_ns, bool wall)
{
    struct tq_house *h = &engine->house;
    uint64_t due = due_ns > 0 ? (uint64_t)due_ns : 0;
    tq_inbox_push(&local->inbox, &h->chunks,
                  (struct tq_inbox_entry){item, generation, due | (wall ? WALL_BIT : 0)});
    if (TQ_UNLIKELY(tq_inbox_is_crowded(&local->inbox)))
        due = 0;
    if (TQ_UNLIKELY(tq_alarm_ring(&h->alarm, wall ? TQ_WALL_DOMAIN : TQ_BOOT, due)))
        wake(engine);
}

void tq_house_ring(struct trq_engine *engine, int64_t due_ns)
{
    if (TQ_UNLIKELY(
            tq_alarm_ring(&engine->house.alarm, TQ_BOOT, due_ns > 0 ? (uint64_t)due_ns : 0)))
        wake(engine);
}

static bool is_stale_worth_it(const struct tq_house *h)
{
    const int64_t stale = (int64_t)tq_load(&h->stale, seq_cst);
    return stale > STALE_MIN && stale > (int64_t)tq_load(&h->timers, relaxed) / 2;
}

void tq_timer_stale(struct trq_engine *engine)
{
    struct tq_house *h = &engine->house;
    tq_add(&h->stale, 1, seq_cst); /* B1 of the alarm */
    if (TQ_UNLIKELY(is_stale_worth_it(h)) && tq_alarm_ring(&h->alarm, TQ_BOOT, 0))
        wake(engine);
}

/* ---- a round -------------------------------------------------------------------------------------------------- */

static void retry_later(struct tq_house *h)
{
    h->retry_at = now_of(h->engine, TQ_BOOT) + RETRY_NS;
}

/* Into the wheels, until there is nothing more to pop or no memory. The mutex is held. */
static bool drain(struct tq_house *h, struct tq_local *housekeeper, struct tq_inbox *inbox)
{
    uint64_t count = tq_inbox_count(inbox);
    bool more = count > DRAIN;
    for (count = more ? DRAIN : count; count;) {
        uint32_t n, i = 0;
        const struct tq_inbox_entry *entry = tq_inbox_peek(inbox, &h->chunks, count, &n);
        for (; i < n; i++) {
            struct tq_wheel *wheel = &h->wheel[entry[i].tick & WALL_BIT ? TQ_WALL_DOMAIN : TQ_BOOT];
            const uint64_t tick = tick_of_due(h, entry[i].tick & ~WALL_BIT);
            if (!tq_wheel_insert(wheel, &housekeeper->chunks, tick, entry[i].item,
                                 entry[i].generation))
                break;
        }
        if (i)
            tq_inbox_pop(inbox, &h->chunks, &housekeeper->chunks, i);
        if (i < n) {
            retry_later(h);
            return false;
        }
        count -= n;
    }
    return more;
}

/* True: there is more. */
static bool drain_all(struct trq_engine *e, struct tq_local *housekeeper)
{
    struct tq_house *h = &e->house;
    bool more = false;
    if (h->set_back[TQ_BOOT] || h->set_back[TQ_WALL_DOMAIN])
        return false; /* I3 */
    struct tq_local *local = tq_load(&e->locals, seq_cst);
    for (; local; local = tq_load(&local->older, relaxed))
        more |= drain(h, housekeeper, &local->inbox);
    return more;
}

static bool is_live(void *context, uint32_t item, uint32_t generation)
{
    struct trq_engine *e = context;
    if (tq_item_recurs(item))
        return tq_recur_is_live(e, item, generation);
    const uint64_t word = tq_load(&tq_job_at(e, tq_item_index(item))->word, acquire);
    return tq_word_generation(word) == generation && (word & TQ_TURN) == tq_item_turn(item) &&
           (tq_word_state(word) == TQ_SCHEDULED || tq_word_expires(word));
}

/* A step of a sweep that is under way, or worth it. True: there is more. */
static bool sweep(struct trq_engine *e, struct tq_local *housekeeper)
{
    struct tq_house *h = &e->house;
    bool more = false;
    if (!h->sweeping[TQ_BOOT] && !h->sweeping[TQ_WALL_DOMAIN]) {
        if (!is_stale_worth_it(h))
            return false;
        h->sweeping[TQ_BOOT] = h->sweeping[TQ_WALL_DOMAIN] = true;
        /* Those that it will meet. A count that had gone wrong is right again. */
        tq_store(&h->stale, 0, relaxed);
    }
    for (int d = 0; d < TQ_DOMAINS; d++) {
        if (h->sweeping[d])
            h->sweeping[d] = !tq_wheel_sweep(&h->wheel[d], &housekeeper->chunks, SWEEP, is_live, e);
        more |= h->sweeping[d];
    }
    return more;
}

static void again(struct tq_house *h, enum tq_domain domain, const struct tq_due *due, int64_t at)
{
    pthread_mutex_lock(&h->mutex);
    tq_wheel_again(&h->wheel[domain], tick_of_due(h, at > 0 ? (uint64_t)at : 0), due->item,
                   due->generation);
    pthread_mutex_unlock(&h->mutex);
}

static enum tq_fire fire_one(struct trq_engine *e, struct tq_local *housekeeper,
                             enum tq_domain domain, const struct tq_due *due, int64_t now,
                             int64_t *out_at, unsigned *fired)
{
    if (TQ_UNLIKELY(tq_item_recurs(due->item)))
        return tq_recur_due(e, due->item, due->generation, now, out_at, fired) ? TQ_LATER
                                                                               : TQ_STALE;
    const enum tq_fire result = tq_job_due(e, housekeeper, due->item, due->generation, now,
                                           domain == TQ_WALL_DOMAIN, out_at);
    *fired += result == TQ_FIRED;
    return result;
}

/* What is in the batch, in order. Not under the mutex, since callbacks may be called. False: no memory; the rest stays
 * in the batch. */
static bool fire(struct trq_engine *e, struct tq_local *housekeeper, enum tq_domain domain,
                 int64_t now, unsigned *fired)
{
    struct tq_house *h = &e->house;
    struct tq_batch *batch = &h->batch[domain];
    const unsigned before = *fired;
    enum tq_fire result = TQ_STALE;
    for (; batch->next < batch->count; batch->next++) {
        const struct tq_due *due = &batch->due[batch->next];
        int64_t at;
        if (batch->next + AHEAD < batch->count && !tq_item_recurs(due[AHEAD].item))
            TQ_PREFETCH_WRITE(tq_job_at(e, tq_item_index(due[AHEAD].item)));
        result = fire_one(e, housekeeper, domain, due, now, &at, fired);
        if (result == TQ_AGAIN)
            break;
        if (result == TQ_LATER)
            again(h, domain, due, at);
        else if (result == TQ_STALE)
            tq_sub(&h->stale, 1, relaxed);
    }
    if (*fired > before)
        tq_notify(e, housekeeper);
    if (result == TQ_AGAIN)
        retry_later(h);
    return result != TQ_AGAIN;
}

/* The clock as it stands; a wheel that is ahead of it is set back before anything is inserted. The mutex is held. */
static int64_t look_at_clock(struct trq_engine *e, struct tq_local *housekeeper,
                             enum tq_domain domain)
{
    struct tq_house *h = &e->house;
    struct tq_wheel *wheel = &h->wheel[domain];
    const int64_t now = now_of(e, domain);
    if (tick_of_now(h, now) < wheel->cursor) {
        tq_wheel_rebase(wheel, &housekeeper->chunks, tick_of_now(h, now));
        h->set_back[domain] = tq_wheel_has_due(wheel);
    }
    return now;
}

/* The next batch of a wheel. The mutex is held. True: there may be more. */
static bool fill(struct tq_house *h, struct tq_local *housekeeper, enum tq_domain domain,
                 int64_t now)
{
    struct tq_wheel *wheel = &h->wheel[domain];
    struct tq_batch *batch = &h->batch[domain];
    bool more = false;
    if (batch->next == batch->count) {
        batch->next = 0;
        batch->count = tq_wheel_expire(wheel, &housekeeper->chunks, tick_of_now(h, now), batch->due,
                                       TQ_HOUSE_BATCH, &more);
    }
    h->set_back[domain] &= tq_wheel_has_due(wheel);
    return more || batch->count > 0;
}

static void begin(struct trq_engine *e)
{
    struct tq_house *h = &e->house;
    h->begun = true;
    h->tick_ns = e->clock.mono ? TICK_HOOKED_NS : TICK_NS;
    for (int d = 0; d < TQ_DOMAINS; d++)
        tq_wheel_init(&h->wheel[d], &h->chunks, tick_of_now(h, now_of(e, (enum tq_domain)d)));
}

static bool anything_new(struct trq_engine *e)
{
    struct tq_house *h = &e->house;
    if (h->retry_at != INT64_MAX)
        return false; /* what waits in the inboxes waits for memory */
    struct tq_local *local = tq_load(&e->locals, seq_cst);
    for (; local; local = tq_load(&local->older, relaxed))
        if (tq_inbox_count(&local->inbox))
            return true;
    return is_stale_worth_it(h);
}

/* Neither the clock nor anything else needs to be looked at. */
static bool has_nothing(struct trq_engine *e)
{
    const struct tq_house *h = &e->house;
    if (h->retry_at != INT64_MAX)
        return false; /* what waits for memory is in no wheel */
    for (int d = 0; d < TQ_DOMAINS; d++)
        if (h->wheel[d].count || h->batch[d].next != h->batch[d].count || h->sweeping[d])
            return false;
    return !anything_new(e);
}

unsigned tq_house_round(struct trq_engine *engine, struct tq_local *local)
{
    struct tq_house *h = &engine->house;
    unsigned fired = 0;
    bool more = true, memory = true;
    tq_alarm_disarm(&h->alarm);
    h->retry_at = INT64_MAX;
    if (engine->thread_count)
        tq_patrol_look(engine);
    if (has_nothing(engine))
        return 0;
    while (more && memory && tq_is_open(engine)) {
        int64_t now[TQ_DOMAINS];
        if (!tq_recur_look(engine, local))
            retry_later(h);
        pthread_mutex_lock(&h->mutex);
        for (int d = 0; d < TQ_DOMAINS; d++)
            now[d] = look_at_clock(engine, local, (enum tq_domain)d);
        more = drain_all(engine, local);
        for (int d = 0; d < TQ_DOMAINS; d++)
            more |= fill(h, local, (enum tq_domain)d, now[d]);
        more |= sweep(engine, local);
        tq_store(&h->timers, h->wheel[TQ_BOOT].count + h->wheel[TQ_WALL_DOMAIN].count, relaxed);
        pthread_mutex_unlock(&h->mutex);
        for (int d = 0; d < TQ_DOMAINS; d++)
            memory &= fire(engine, local, (enum tq_domain)d, now[d], &fired);
    }
    return fired;
}

/* ---- sleep ---------------------------------------------------------------------------------------------------- */

/* By the wheels alone. The mutex is held. */
static int64_t next_of(const struct tq_house *h, enum tq_domain domain)
{
    const uint64_t tick = tq_wheel_next(&h->wheel[domain]);
    return tick == TQ_WHEEL_NEVER ? INT64_MAX : ns_of_tick(h, tick);
}

static void next_of_all(struct tq_house *h, int64_t next[TQ_DOMAINS])
{
    pthread_mutex_lock(&h->mutex);
    for (int d = 0; d < TQ_DOMAINS; d++)
        next[d] = next_of(h, (enum tq_domain)d);
    pthread_mutex_unlock(&h->mutex);
}

/* Without memory all waits until it is tried again. */
static void put_off(const struct tq_house *h, int64_t next[TQ_DOMAINS])
{
    if (h->retry_at == INT64_MAX)
        return;
    next[TQ_BOOT] = h->retry_at;
    next[TQ_WALL_DOMAIN] = INT64_MAX;
}

bool tq_house_next(struct trq_engine *engine, int64_t *out_boot, int64_t *out_wall)
{
    int64_t next[TQ_DOMAINS];
    if (!engine->house.begun)
        return false;
    next_of_all(&engine->house, next);
    put_off(&engine->house, next);
    *out_boot = next[TQ_BOOT];
    *out_wall = next[TQ_WALL_DOMAIN];
    return next[TQ_BOOT] != INT64_MAX || next[TQ_WALL_DOMAIN] != INT64_MAX;
}

static void arm_timer(struct tq_house *h, enum tq_domain domain, int64_t at, int flags)
{
    const int64_t set = at > 0 ? at : 1; /* 0 would mean never */
    const struct itimerspec when = {
        .it_value = {.tv_sec = set / 1000000000, .tv_nsec = set % 1000000000}};
    static const struct itimerspec never;
    if (h->armed[domain] == at)
        return;
    h->armed[domain] = at;
    timerfd_settime(h->timer_fd[domain] - 1, at == INT64_MAX ? 0 : flags,
                    at == INT64_MAX ? &never : &when, NULL);
}

/* What is due in the same tick is in time. */
static uint64_t alarm_of(const struct tq_house *h, int64_t next)
{
    if (next == INT64_MAX)
        return TQ_ALARM_NEVER;
    return next < h->tick_ns ? 0 : (uint64_t)(next - h->tick_ns + 1);
}

/* Publishes when it will get up, and sets the descriptors to that. False: there is something to do now. */
static bool prepare(struct trq_engine *e)
{
    struct tq_house *h = &e->house;
    int64_t next[TQ_DOMAINS];
    next_of_all(h, next);
    put_off(h, next);
    const int64_t patrol = tq_patrol_next(e);
    if (patrol < next[TQ_BOOT])
        next[TQ_BOOT] = patrol;
    for (int d = 0; d < TQ_DOMAINS; d++)
        tq_alarm_arm(&h->alarm, (unsigned)d, alarm_of(h, next[d]));
    if (anything_new(e) || tq_patrol_next(e) < patrol) { /* S2 */
        tq_alarm_disarm(&h->alarm);
        return false;
    }
    if (e->clock.mono) {
        /* Somebody else's clock: nobody knows when it strikes. */
        const bool pending = next[TQ_BOOT] != INT64_MAX || next[TQ_WALL_DOMAIN] != INT64_MAX;
        static const struct tq_clock system = {0};
        arm_timer(h, TQ_BOOT,
                  pending ? tq_clock_boot(&system) + LOOK_MS * INT64_C(1000000) : INT64_MAX,
                  TFD_TIMER_ABSTIME);
        return true;
    }
    arm_timer(h, TQ_BOOT, next[TQ_BOOT], TFD_TIMER_ABSTIME);
    arm_timer(h, TQ_WALL_DOMAIN, next[TQ_WALL_DOMAIN], TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
    return true;
}

/* What struck must be armed anew, and no descriptor stays readable. */
static void get_up(struct tq_house *h)
{
    for (int d = 0; d < TQ_DOMAINS; d++) {
        uint64_t times;
        if (h->armed[d] == INT64_MAX)
            continue;
        if (read(h->timer_fd[d] - 1, &times, sizeof times) > 0 || errno == ECANCELED)
            h->armed[d] = INT64_MIN;
    }
}

static void sleep_until_next(struct trq_engine *e)
{
    struct tq_house *h = &e->house;
    if (!prepare(e))
        return;
    struct pollfd fds[] = {
        {.fd = h->wake_fd - 1, .events = POLLIN},
        {.fd = h->timer_fd[TQ_BOOT] - 1, .events = POLLIN},
        {.fd = h->timer_fd[TQ_WALL_DOMAIN] - 1, .events = POLLIN},
    };
    poll(fds, sizeof fds / sizeof *fds, -1);
    eventfd_t unused;
    if (fds[0].revents)
        eventfd_read(h->wake_fd - 1, &unused);
    if (fds[1].revents | fds[2].revents)
        get_up(h);
}

void tq_house_lie_down(struct trq_engine *engine)
{
    struct tq_house *h = &engine->house;
    get_up(h); /* what struck meanwhile was seen by the round, or is armed anew */
    if (!prepare(engine))
        wake(engine);
}

int tq_house_fd(const struct trq_engine *engine)
{
    return engine->house.poll_fd - 1;
}

/* ---- the thread ------------------------------------------------------------------------------------------------ */

static void *keep_house(void *argument)
{
    struct trq_engine *e = argument;
    struct tq_house *h = &e->house;
    char name[24];
    snprintf(name, sizeof name, "%s-t", e->thread_name);
    name[15] = '\0'; /* the kernel's limit */
    pthread_setname_np(pthread_self(), name);
    pthread_setspecific(e->key, h->local);
    h->local->in_callback = true; /* an on_end of a job that is merged may do what a handler may */
    while (!tq_load(&h->stopping, seq_cst)) {
        tq_house_round(e, h->local);
        if (!tq_load(&h->stopping, seq_cst))
            sleep_until_next(e);
    }
    tq_alarm_disarm(&h->alarm);
    h->local->in_callback = false;
    pthread_setspecific(e->key, NULL);
    tq_local_release(h->local);
    return NULL;
}

int tq_house_start(struct trq_engine *engine, struct trq_error *error)
{
    struct tq_house *h = &engine->house;
    begin(engine);
    if (!engine->thread_count)
        return 0;
    h->local = tq_local_reserve(engine);
    if (!h->local)
        return tq_error(error, TRQ_ENOMEM, "no memory for the housekeeping thread");
    tq_store(&h->stopping, 0, relaxed);
    /* Signals are the host's. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&h->handle, NULL, keep_house, engine);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        tq_local_release(h->local);
        return tq_error(error, TRQ_ENOMEM, "the housekeeping thread could not be made");
    }
    tq_store(&h->running, 1, release);
    return 0;
}

void tq_house_stop(struct trq_engine *engine)
{
    struct tq_house *h = &engine->house;
    tq_store(&h->stopping, 1, seq_cst);
    if (!tq_swap(&h->running, 0, acq_rel))
        return;
    wake(engine);
    pthread_join(h->handle, NULL);
}

/* ---- init, fini, check ------------------------------------------------------------------------------------------ */

static bool watch(int epoll, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

static bool open_fds(struct trq_engine *e)
{
    struct tq_house *h = &e->house;
    h->timer_fd[TQ_BOOT] = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK) + 1;
    h->timer_fd[TQ_WALL_DOMAIN] = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK) + 1;
    if (!h->timer_fd[TQ_BOOT] || !h->timer_fd[TQ_WALL_DOMAIN])
        return false;
    if (e->thread_count) {
        h->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) + 1;
        return h->wake_fd != 0;
    }
    h->poll_fd = epoll_create1(EPOLL_CLOEXEC) + 1;
    return h->poll_fd && watch(h->poll_fd - 1, e->fd) &&
           watch(h->poll_fd - 1, h->timer_fd[TQ_BOOT] - 1) &&
           watch(h->poll_fd - 1, h->timer_fd[TQ_WALL_DOMAIN] - 1);
}

bool tq_house_init(struct trq_engine *engine)
{
    struct tq_house *h = &engine->house;
    h->engine = engine;
    pthread_mutex_init(&h->mutex, NULL);
    h->retry_at = h->armed[TQ_BOOT] = h->armed[TQ_WALL_DOMAIN] = INT64_MAX;
    /* Live timers, and stale ones: these are as many as come before the housekeeper does. */
    const uint32_t limit = engine->jobs_max + TQ_RECUR_MAX + CHUNKS_FREE;
    return tq_chunks_init(&h->chunks, &engine->memory, limit, TQ_LOCALS_MAX) && open_fds(engine);
}

static void shut(int fd_plus_one)
{
    if (fd_plus_one)
        close(fd_plus_one - 1);
}

void tq_house_fini(struct trq_engine *engine)
{
    struct tq_house *h = &engine->house;
    if (!h->engine)
        return;
    shut(h->poll_fd);
    shut(h->wake_fd);
    shut(h->timer_fd[TQ_BOOT]);
    shut(h->timer_fd[TQ_WALL_DOMAIN]);
    tq_slab_fini(&h->chunks);
    pthread_mutex_destroy(&h->mutex);
}

const char *tq_house_check(struct trq_engine *engine, uint64_t waiting)
{
    struct tq_house *h = &engine->house;
    uint64_t timers = 0;
    bool good = true;
    pthread_mutex_lock(&h->mutex);
    for (int d = 0; d < TQ_DOMAINS && h->begun; d++) {
        good &= tq_wheel_check(&h->wheel[d]);
        timers += tq_wheel_count(&h->wheel[d]) + h->batch[d].count - h->batch[d].next;
    }
    pthread_mutex_unlock(&h->mutex);
    struct tq_local *local = tq_load(&engine->locals, seq_cst);
    for (; local; local = tq_load(&local->older, relaxed))
        timers += tq_inbox_count(&local->inbox);
    if (!good)
        return "a timer wheel is broken";
    return timers < waiting ? "timers of jobs that are scheduled, recur or expire are lost" : NULL;
}
