/* A list of jobs, and two GHashTables for the claims on their keys, all under one mutex. The keys are the numbers themselves,
 * so no key is built, copied or compared: less than a general lock has to do. */
#include <glib.h>
#include <pthread.h>
#include <stdlib.h>

#include "bench/lock.h"
#include "bench/measure.h"
#include "bench/work.h"

struct claim {
    struct work_job job; /* first: freed as one */
    enum lock_kind kind;
    bool has_key; /* of its worker lock: it was handed over */
    struct claim *next;
};

struct list {
    struct claim *first, **last;
};

struct pool {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct list ready;
    GHashTable *waiting; /* keys of queue locks */
    GHashTable *running; /* keys of worker locks, and who waits for them */
    uint64_t parked;
    bool held, closed;
    struct claim *spare; /* of who enqueues: a job that was refused */
    int worker_count;
    pthread_t workers[];
};

static void list_init(struct list *list)
{
    list->first = NULL;
    list->last = &list->first;
}

static void append(struct list *list, struct claim *c)
{
    c->next = NULL;
    *list->last = c;
    list->last = &c->next;
}

static struct claim *take(struct list *list)
{
    struct claim *c = list->first;
    if (c && !(list->first = c->next))
        list->last = &list->first;
    return c;
}

static void push_front(struct list *list, struct claim *c)
{
    if (!(c->next = list->first))
        list->last = &c->next;
    list->first = c;
}

static bool has_queue_lock(enum lock_kind kind)
{
    return kind == LOCK_QUEUE || kind == LOCK_BOTH;
}

static gpointer key_of(enum lock_kind kind, int64_t user_id)
{
    return GSIZE_TO_POINTER(kind == LOCK_HOT ? (gsize)-1 : (gsize)user_id);
}

static gpointer key_of_claim(const struct claim *c)
{
    return key_of(c->kind, c->job.values[0].u.number);
}

static bool has_worker_lock(enum lock_kind kind)
{
    return kind == LOCK_WORKER || kind == LOCK_BOTH || kind == LOCK_HOT;
}

/* The value of a key that nobody waits for. */
static struct list nobody;

/* ---- under the mutex --------------------------------------------------------------------------------------- */

/* False: it has parked. */
static bool claim_worker(struct pool *p, struct claim *c)
{
    gpointer key = key_of_claim(c);
    struct list *waiters = g_hash_table_lookup(p->running, key);
    if (!waiters) {
        g_hash_table_insert(p->running, key, &nobody);
        return true;
    }
    if (waiters == &nobody) {
        waiters = malloc(sizeof *waiters);
        if (!waiters)
            bench_die("out of memory");
        list_init(waiters);
        g_hash_table_insert(p->running, key, waiters);
    }
    append(waiters, c);
    p->parked++;
    return false;
}

/* The next in line has the key, and is ready in front of all. */
static void release_worker(struct pool *p, gpointer key)
{
    struct list *waiters = g_hash_table_lookup(p->running, key);
    struct claim *next = waiters == &nobody ? NULL : take(waiters);
    if (next) {
        p->parked--;
        next->has_key = true;
        push_front(&p->ready, next);
        pthread_cond_signal(&p->changed);
        return;
    }
    g_hash_table_remove(p->running, key);
    if (waiters != &nobody)
        free(waiters);
}

static struct claim *next_job(struct pool *p)
{
    struct claim *c;
    while (!p->held && (c = take(&p->ready))) {
        if (c->has_key)
            return c;
        if (has_queue_lock(c->kind))
            g_hash_table_remove(p->waiting, key_of_claim(c));
        if (!has_worker_lock(c->kind) || claim_worker(p, c))
            return c;
    }
    return NULL;
}

/* ---- workers ------------------------------------------------------------------------------------------------ */

static void run_one(struct claim *c)
{
    if (c->kind == LOCK_HOT)
        lock_hot_begin();
    c->job.perform(&c->job);
    if (c->kind == LOCK_HOT)
        lock_hot_end();
    free(c);
}

/* Until there is nothing, or (as a worker) until the pool is closed. The mutex is taken once a job. */
static void run_jobs(struct pool *p, bool is_worker)
{
    pthread_mutex_lock(&p->mutex);
    for (;;) {
        struct claim *c = next_job(p);
        if (!c && is_worker && !p->closed) {
            pthread_cond_wait(&p->changed, &p->mutex);
            continue;
        }
        if (!c)
            break;
        bool releases = has_worker_lock(c->kind);
        gpointer key = key_of_claim(c);
        pthread_mutex_unlock(&p->mutex);
        run_one(c);
        pthread_mutex_lock(&p->mutex);
        if (releases)
            release_worker(p, key);
    }
    pthread_mutex_unlock(&p->mutex);
}

static void *worker(void *self)
{
    run_jobs(self, true);
    return NULL;
}

static void run(void *self)
{
    run_jobs(self, false);
}

/* ---- calls ---------------------------------------------------------------------------------------------------- */

/* Users that follow each other would lie side by side in the table, which is not what a key is. */
static guint hash(gconstpointer key)
{
    return (guint)(GPOINTER_TO_SIZE(key) * 0x9e3779b97f4a7c15 >> 32);
}

static void *start(int workers, uint64_t jobs_max)
{
    (void)jobs_max;
    struct pool *p = calloc(1, sizeof *p + (size_t)workers * sizeof p->workers[0]);
    if (!p)
        bench_die("out of memory");
    pthread_mutex_init(&p->mutex, NULL);
    pthread_cond_init(&p->changed, NULL);
    list_init(&p->ready);
    p->waiting = g_hash_table_new(hash, NULL);
    p->running = g_hash_table_new(hash, NULL);
    p->worker_count = workers;
    for (int i = 0; i < workers; i++)
        if (pthread_create(&p->workers[i], NULL, worker, p) != 0)
            bench_die("glib_table: cannot start");
    return p;
}

static struct claim *claim_new(struct pool *p)
{
    struct claim *c = p->spare ? p->spare : malloc(sizeof *c);
    p->spare = NULL;
    if (!c)
        bench_die("out of memory");
    return c;
}

static uint64_t enqueue(void *self, enum lock_kind kind, uint64_t first, uint64_t count)
{
    struct pool *p = self;
    uint64_t refused = 0;
    for (uint64_t i = first; i < first + count; i++) {
        struct claim *c = claim_new(p);
        struct work_input input = work_input(i);
        work_job_fill(&c->job, input);
        c->kind = kind;
        c->has_key = false;
        pthread_mutex_lock(&p->mutex);
        bool is_new =
            !has_queue_lock(kind) || g_hash_table_add(p->waiting, key_of(kind, input.user_id));
        if (is_new)
            append(&p->ready, c);
        pthread_mutex_unlock(&p->mutex);
        if (is_new) {
            pthread_cond_signal(&p->changed);
        } else {
            p->spare = c;
            refused++;
        }
    }
    return refused;
}

static void hold(void *self, bool holds)
{
    struct pool *p = self;
    pthread_mutex_lock(&p->mutex);
    p->held = holds;
    pthread_mutex_unlock(&p->mutex);
    pthread_cond_broadcast(&p->changed);
}

static uint64_t parked(void *self)
{
    struct pool *p = self;
    pthread_mutex_lock(&p->mutex);
    uint64_t parked = p->parked;
    pthread_mutex_unlock(&p->mutex);
    return parked;
}

static void stop(void *self)
{
    struct pool *p = self;
    pthread_mutex_lock(&p->mutex);
    p->closed = true;
    pthread_mutex_unlock(&p->mutex);
    pthread_cond_broadcast(&p->changed);
    for (int i = 0; i < p->worker_count; i++)
        pthread_join(p->workers[i], NULL);
    g_hash_table_destroy(p->waiting);
    g_hash_table_destroy(p->running);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    free(p->spare);
    free(p);
}

const struct lock_peer lock_glib = {
    .peer = {.name = "glib_table", .what = "claims in two GHashTables under a mutex"},
    .start = start,
    .enqueue = enqueue,
    .run = run,
    .hold = hold,
    .parked = parked,
    .stop = stop,
};
