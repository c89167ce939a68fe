/* A binary heap under a mutex: what one writes in an hour. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/measure.h"
#include "bench/timer.h"
#include "bench/work.h"

struct entry {
    int64_t due;
    uint64_t number; /* among equals, in the order of their coming */
    struct work_job *job;
};

struct heap {
    pthread_mutex_t mutex;
    struct entry *entries;
    size_t count, capacity;
    struct work_job **ready;
    size_t ready_count;
    uint64_t inserted;
};

static bool is_before(const struct entry *a, const struct entry *b)
{
    return a->due != b->due ? a->due < b->due : a->number < b->number;
}

static void push(struct heap *h, struct entry e)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 64;
        struct entry *grown = malloc(h->capacity * sizeof *grown);
        if (!grown)
            bench_die("out of memory");
        if (h->count)
            memcpy(grown, h->entries, h->count * sizeof *grown);
        free(h->entries);
        h->entries = grown;
    }
    size_t at = h->count++;
    for (; at > 0 && is_before(&e, &h->entries[(at - 1) / 2]); at = (at - 1) / 2)
        h->entries[at] = h->entries[(at - 1) / 2];
    h->entries[at] = e;
}

static struct work_job *pop(struct heap *h)
{
    struct work_job *job = h->entries[0].job;
    struct entry last = h->entries[--h->count];
    size_t at = 0, child;
    while ((child = 2 * at + 1) < h->count) {
        if (child + 1 < h->count && is_before(&h->entries[child + 1], &h->entries[child]))
            child++;
        if (!is_before(&h->entries[child], &last))
            break;
        h->entries[at] = h->entries[child];
        at = child;
    }
    h->entries[at] = last;
    return job;
}

static void *start(uint64_t jobs_max)
{
    struct heap *h = calloc(1, sizeof *h);
    if (!h || !(h->ready = malloc((jobs_max ? jobs_max : 1) * sizeof(struct work_job *))))
        bench_die("out of memory");
    pthread_mutex_init(&h->mutex, NULL);
    return h;
}

static void insert_after(struct heap *h, uint64_t i, int64_t after)
{
    struct work_job *job = work_job_new(work_input(i));
    int64_t due = timer_now() + after;
    pthread_mutex_lock(&h->mutex);
    push(h, (struct entry){due, h->inserted++, job});
    pthread_mutex_unlock(&h->mutex);
}

static void insert(void *self, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        insert_after(self, i, timer_after(i));
}

static void expire(void *self)
{
    struct heap *h = self;
    int64_t now = timer_now();
    pthread_mutex_lock(&h->mutex);
    while (h->count > 0 && h->entries[0].due <= now)
        h->ready[h->ready_count++] = pop(h);
    pthread_mutex_unlock(&h->mutex);
}

static void finish(void *self)
{
    struct heap *h = self;
    for (size_t i = 0; i < h->ready_count; i++)
        work_job_run(h->ready[i]);
    h->ready_count = 0;
}

static uint64_t pending(void *self)
{
    struct heap *h = self;
    return h->count;
}

static void stop(void *self)
{
    struct heap *h = self;
    pthread_mutex_destroy(&h->mutex);
    free(h->entries);
    free(h->ready);
    free(h);
}

/* A thread that sleeps until the first is due; here it is this one. */
static void lateness(uint64_t count)
{
    struct heap *h = start(count);
    for (uint64_t i = 0; i < count; i++) {
        timer_put_off(i);
        insert_after(h, i, timer_soon(i));
    }
    while (h->count > 0) {
        int64_t due = h->entries[0].due;
        struct timespec at = {due / 1000000000, due % 1000000000};
        while (timer_now() < due)
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        struct work_job *job = pop(h);
        timer_late((uint64_t)job->values[0].u.number);
        h->ready[h->ready_count++] = job;
    }
    for (size_t i = 0; i < h->ready_count; i++)
        free(h->ready[i]);
    stop(h);
}

const struct timer_peer timer_heap = {
    .peer = {.name = "heap", .what = "timers in a binary heap under a mutex"},
    .start = start,
    .insert = insert,
    .expire = expire,
    .finish = finish,
    .pending = pending,
    .stop = stop,
    .lateness = lateness,
};
