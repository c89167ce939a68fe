/* The world as it is drawn. What its workers do is in handlers.c. */
#include "world.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "handlers.h"

uint64_t draw_next(struct draw *draw)
{
    uint64_t z = draw->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}
int draw_below(struct draw *draw, int n)
{
    return (int)(draw_next(draw) >> 33) % n;
}

/* In place of the system's, so that an engine's chance is the seed's, too. */
static struct draw chance;
ssize_t getrandom(void *buffer, size_t size, unsigned flags)
{
    (void)flags;
    for (size_t i = 0; i < size; i++)
        ((unsigned char *)buffer)[i] = (unsigned char)(draw_next(&chance) >> 32);
    return (ssize_t)size;
}

static const char *const short_names[M_QUEUES] = {"default", "a", "b", "c"};
static const char *const full_names[M_QUEUES] = {"m_default", "m_a", "m_b", "m_c"};
static const char *const worker_names[M_WORKERS] = {"W0", "W1", "W2", "W3", "W4"};
static const char *const space_names[NAMED_SPACES] = {"s0", "s1", "s2"};

static const struct trq_input rows[] = {
    {"n", TRQ_I64, TRQ_OPTIONAL, 0, 0, 0.0, NULL},
    {"m", TRQ_I64, TRQ_OPTIONAL, sizeof(int64_t), 0, 0.0, NULL},
    {"x", TRQ_STR, TRQ_OPTIONAL, 2 * sizeof(int64_t), 0, 0.0, NULL},
};
static const struct trq_inputs inputs = {rows, 3, 2 * sizeof(int64_t) + sizeof(struct trq_str)};

#define SECOND INT64_C(1000000000)

static const char *const on_n[] = {"n", NULL};
static const char *const on_nm[] = {"n", "m", NULL};
static const char *const on_x[] = {"x", NULL};

static void shape(struct trq_lock *lock, enum m_form form, bool of_worker)
{
    switch (form) {
    case M_ON_N:
        lock->inputs = on_n;
        break;
    case M_ON_NM:
        lock->inputs = on_nm;
        break;
    case M_ON_X:
        lock->inputs = on_x;
        break;
    case M_ON_ALL:
        lock->all = true;
        break;
    case M_ON_NONE:
        lock->key = of_worker ? world_worker_key_none : world_queue_key_none;
        break;
    case M_FUNCTION:
        lock->key = of_worker ? world_worker_key : world_queue_key;
        break;
    }
}

/* A name space has one form of key, one bound and one limit; a worker's own has any. */
static void draw_lock(struct lock_pair *p, struct draw *draw, bool of_worker, int space, int owner)
{
    static const enum m_form form_of_space[2][NAMED_SPACES] = {
        {M_ON_N, M_ON_NM, M_FUNCTION},
        {M_ON_N, M_FUNCTION, M_ON_ALL},
    };
    static const int64_t wait_of_space[NAMED_SPACES] = {0, INT64_C(5000000000), 1000000};
    static const int64_t waits[] = {0, 0, 1, 300000000, INT64_C(60000000000), INT64_MAX};
    static const int limit_of_space[NAMED_SPACES] = {1, 2, 1};
    memset(p, 0, sizeof *p);
    p->used = true;
    p->lock.size = sizeof p->lock;
    p->rule.space = space < NAMED_SPACES ? space + 1 : NAMED_SPACES + 1 + owner;
    p->rule.form = space < NAMED_SPACES ? form_of_space[of_worker][space]
                                        : (enum m_form)draw_below(draw, M_FUNCTION + 1);
    if (space < NAMED_SPACES)
        p->lock.space = space_names[space];
    shape(&p->lock, p->rule.form, of_worker);
    if (of_worker) {
        p->rule.limit = space < NAMED_SPACES ? limit_of_space[space] : 1 + draw_below(draw, 2);
        p->lock.limit = p->rule.limit == 1 && draw_percent(draw, 50) ? 0 : (uint32_t)p->rule.limit;
        return;
    }
    p->rule.on_conflict = (enum trq_on_conflict)draw_below(draw, TRQ_DEBOUNCE + 1);
    p->scope_said = p->rule.on_conflict != TRQ_DEBOUNCE || draw_percent(draw, 70);
    bool scheduled = draw_percent(draw, 50) || p->rule.on_conflict == TRQ_DEBOUNCE;
    p->rule.from_scheduling = scheduled;
    p->lock.scope = scheduled && p->scope_said ? TRQ_FROM_SCHEDULING : TRQ_WHEN_DUE;
    p->rule.max_wait = space < NAMED_SPACES ? wait_of_space[space] : waits[draw_below(draw, 6)];
    p->lock.max_wait.ns = p->rule.max_wait;
    p->lock.on_conflict = p->rule.on_conflict;
}

/* Times that other times meet, and some at the end of the range. */
int64_t draw_limit(struct draw *draw)
{
    static const int64_t limits[] = {1,         1000000,       10000000,         500000000,
                                     SECOND,    2 * SECOND,    5 * SECOND,       60 * SECOND,
                                     INT64_MAX, 3600 * SECOND, 100 * SECOND + 1, 17000000};
    return limits[draw_below(draw, (int)(sizeof limits / sizeof limits[0]))];
}

static void draw_limits(struct world *w, struct draw *draw, int number)
{
    static const int fails[] = {3, 10, 30, 70};
    struct trq_worker *worker = &w->workers[number];
    const struct policy_pair *policy = &policies[draw_below(draw, POLICIES)];
    struct m_limits *l = &w->limits[number];
    *l = (struct m_limits){.policy = &policy->rule, .deadline = INT64_MAX};
    worker->retry = policy->retry;
    w->fails[number] = fails[draw_below(draw, 4)];
    if (draw_percent(draw, 25))
        worker->expires_in.ns = l->expires_in = draw_limit(draw);
    if (draw_percent(draw, 25))
        worker->timeout.ns = l->timeout = draw_limit(draw);
    if (draw_percent(draw, 60))
        worker->exhausted = world_exhausted;
}

static void draw_worker(struct world *w, struct draw *draw, int number)
{
    struct trq_worker *worker = &w->workers[number];
    w->home[number] = draw_below(draw, M_QUEUES);
    *worker = (struct trq_worker){
        .size = sizeof *worker,
        .name = worker_names[number],
        .queue = w->home[number] || draw_percent(draw, 50) ? short_names[w->home[number]] : NULL,
        .inputs = &inputs,
        .perform = world_perform,
        .needed = draw_percent(draw, 40) ? world_needed : NULL,
    };
    draw_limits(w, draw, number);
    if (draw_percent(draw, 60)) {
        worker->state_size = sizeof(struct run_state);
        worker->state_drop = world_state_drop;
    }
    if (draw_percent(draw, 75)) {
        draw_lock(&w->queue_lock[number], draw, false, draw_below(draw, NAMED_SPACES + 2), number);
        worker->queue_lock = &w->queue_lock[number].lock;
    }
    if (draw_percent(draw, w->threads ? 80 : 40)) {
        draw_lock(&w->worker_lock[number], draw, true, draw_below(draw, NAMED_SPACES + 2), number);
        worker->worker_lock = &w->worker_lock[number].lock;
    }
}

void world_init(struct world *w, uint64_t seed, enum mistake mistake, bool threads)
{
    static const int32_t weights[] = {100, 100, 100, 50, -7, 0, INT32_MAX - 1, INT32_MIN + 1};
    struct draw draw = {seed * 2 + threads};
    chance.state = ~seed;
    memset(w, 0, sizeof *w);
    model_init(&w->model, mistake);
    w->seed = seed;
    w->threads = threads;
    w->within = w->expiring = NOBODY;
    w->model.jumps = threads;
    w->jobs_max = 100 + draw_below(&draw, 300);
    for (int q = 0; q < M_QUEUES; q++) {
        w->model.weight[q] = weights[draw_below(&draw, 8)];
        w->queues[q] = (struct trq_queue){short_names[q], w->model.weight[q], 0};
        w->queue_text[q] = full_names[q];
    }
    for (int i = 0; i < M_WORKERS; i++) {
        draw_worker(w, &draw, i);
        w->worker_list[i] = &w->workers[i];
    }
    /* Jobs' own locks have named spaces: what a worker's own space means with two forms is not said. */
    for (int i = 0; i < OWN_LOCKS; i++) {
        draw_lock(&w->own_queue_lock[i], &draw, false, i % NAMED_SPACES, 0);
        draw_lock(&w->own_worker_lock[i], &draw, true, i % NAMED_SPACES, 0);
    }
    w->app = (struct trq_app){
        .size = sizeof w->app, .name = "m", .queues = w->queues, .workers = w->worker_list};
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&w->mutex, &recursive);
    pthread_mutexattr_destroy(&recursive);
}

void world_fini(struct world *w)
{
    pthread_mutex_destroy(&w->mutex);
}

void world_enter(struct world *w, int thread)
{
    pthread_mutex_lock(&w->mutex);
    if (thread >= 0)
        w->model.thread = thread;
}
void world_leave(struct world *w)
{
    pthread_mutex_unlock(&w->mutex);
}

int world_find(const struct world *w, struct trq_job_id id)
{
    for (int i = w->model.job_count - 1; i >= 0; i--)
        if (trq_job_id_equal(w->model.job[i].id, id))
            return i;
    return -1;
}
