/* A ring of pointers under a mutex, with a condition variable for the workers: what one writes in an hour.
 * In bulk, 64 jobs go in, and up to 64 come out, under one hold of the mutex. */
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/work.h"

struct queue {
    pthread_mutex_t mutex;
    pthread_cond_t filled;
    struct work_job **ring;
    size_t capacity; /* a power of two */
    size_t head;     /* the next to take; grows without end */
    size_t tail;
    size_t take_max; /* at once */
    bool closed;
    int worker_count;
    pthread_t workers[];
};

static void grow(struct queue *q)
{
    size_t capacity = q->capacity * 2;
    struct work_job **ring = malloc(capacity * sizeof *ring);
    if (!ring)
        bench_die("out of memory");
    for (size_t i = q->head; i != q->tail; i++)
        ring[i & (capacity - 1)] = q->ring[i & (q->capacity - 1)];
    free(q->ring);
    q->ring = ring;
    q->capacity = capacity;
}

static void push(struct queue *q, struct work_job **jobs, size_t count)
{
    pthread_mutex_lock(&q->mutex);
    if (q->tail - q->head + count > q->capacity)
        grow(q);
    for (size_t i = 0; i < count; i++)
        q->ring[q->tail++ & (q->capacity - 1)] = jobs[i];
    pthread_mutex_unlock(&q->mutex);
    pthread_cond_signal(&q->filled);
}

/* Waits for at least one, unless the queue is closed and empty. */
static size_t pop(struct queue *q, struct work_job **jobs)
{
    size_t count = 0;
    pthread_mutex_lock(&q->mutex);
    while (q->head == q->tail && !q->closed)
        pthread_cond_wait(&q->filled, &q->mutex);
    while (count < q->take_max && q->head != q->tail)
        jobs[count++] = q->ring[q->head++ & (q->capacity - 1)];
    bool more = q->head != q->tail;
    pthread_mutex_unlock(&q->mutex);
    if (more && q->take_max > 1) /* one signal came for 64 jobs */
        pthread_cond_signal(&q->filled);
    return count;
}

static void run(struct queue *q, struct work_job **jobs, size_t count)
{
    (void)q;
    for (size_t i = 0; i < count; i++)
        work_job_run(jobs[i]);
}

static void *worker(void *arg)
{
    struct queue *q = arg;
    struct work_job *jobs[PEER_BATCH];
    size_t count;
    while ((count = pop(q, jobs)) > 0)
        run(q, jobs, count);
    return NULL;
}

static void *start(const struct setup *setup)
{
    struct queue *q = calloc(1, sizeof *q + (size_t)setup->workers * sizeof q->workers[0]);
    if (!q)
        bench_die("out of memory");
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->filled, NULL);
    q->capacity = 512;
    q->ring = malloc(q->capacity * sizeof(struct work_job *));
    q->take_max = setup->bulk ? PEER_BATCH : 1;
    q->worker_count = setup->workers;
    for (int i = 0; i < setup->workers; i++)
        if (!q->ring || pthread_create(&q->workers[i], NULL, worker, q) != 0)
            bench_die("mutex: cannot start");
    return q;
}

static void submit(void *self, int producer, uint64_t first, uint64_t count)
{
    (void)producer;
    struct queue *q = self;
    struct work_job *jobs[PEER_BATCH];
    size_t ready = 0, queued = 0;
    for (uint64_t i = first; i < first + count; i++) {
        bool last = i + 1 == first + count;
        jobs[ready++] = work_job_new(work_input(i));
        if (ready == q->take_max || last) {
            push(q, jobs, ready);
            queued += ready;
            ready = 0;
        }
        if (q->worker_count == 0 && (queued >= PEER_BATCH || last))
            for (; queued > 0; queued -= ready, ready = 0) {
                ready = pop(q, jobs);
                run(q, jobs, ready);
            }
    }
}

static void stop(void *self)
{
    struct queue *q = self;
    pthread_mutex_lock(&q->mutex);
    q->closed = true;
    pthread_mutex_unlock(&q->mutex);
    pthread_cond_broadcast(&q->filled);
    for (int i = 0; i < q->worker_count; i++)
        pthread_join(q->workers[i], NULL);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mutex);
    free(q->ring);
    free(q);
}

const struct peer peer_mutex = {
    .name = "mutex",
    .what = "a ring, a mutex and a condition variable",
    .can = PEER_INLINE | PEER_WORKERS | PEER_SINGLE | PEER_BULK,
    .start = start,
    .submit = submit,
    .stop = stop,
};
