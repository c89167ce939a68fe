/* libuv: a uv_timer_t in each job. Its loop's clock cannot be set, so the jobs are due in some seconds of real time and all
 * in one turn of the loop. Timers are for the loop's thread; what another thread would pay is not counted here. */
#include <stdlib.h>
#include <uv.h>

#include "bench/measure.h"
#include "bench/timer.h"
#include "bench/work.h"

struct timed {
    struct work_job job; /* first: freed as one */
    uv_timer_t timer;
    struct timed *next;
};

struct loop {
    uv_loop_t uv;
    struct timed *ready, **last;
    uint64_t pending;
};

enum { SPAN_MS = 500 };

static void *start(uint64_t jobs_max)
{
    (void)jobs_max;
    struct loop *l = calloc(1, sizeof *l);
    if (!l || uv_loop_init(&l->uv) != 0)
        bench_die("libuv: cannot start");
    l->last = &l->ready;
    return l;
}

static void on_due(uv_timer_t *timer)
{
    struct timed *t = timer->data;
    struct loop *l = timer->loop->data;
    t->next = NULL;
    *l->last = t;
    l->last = &t->next;
    l->pending--;
}

static void insert_after(struct loop *l, uint64_t i, uint64_t ms, uv_timer_cb callback)
{
    struct timed *t = malloc(sizeof *t);
    if (!t)
        bench_die("out of memory");
    work_job_fill(&t->job, work_input(i));
    l->uv.data = l;
    uv_timer_init(&l->uv, &t->timer);
    t->timer.data = t;
    uv_timer_start(&t->timer, callback, ms, 0);
    l->pending++;
}

static void insert(void *self, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        insert_after(self, i, (uint64_t)(timer_after(i) / (TIMER_SPAN_NS / SPAN_MS)), on_due);
}

static void expire(void *self)
{
    struct loop *l = self;
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

/* A handle that has been started must be closed, and belongs to libuv until then. */
static void on_close(uv_handle_t *handle)
{
    work_job_run(handle->data);
}

static void finish(void *self)
{
    struct loop *l = self;
    for (struct timed *t = l->ready, *next; t; t = next) {
        next = t->next;
        uv_close((uv_handle_t *)&t->timer, on_close);
    }
    l->ready = NULL;
    l->last = &l->ready;
    uv_run(&l->uv, UV_RUN_NOWAIT);
}

static uint64_t pending(void *self)
{
    struct loop *l = self;
    return l->pending;
}

static void on_close_free(uv_handle_t *handle)
{
    free(handle->data);
}

static void stop(void *self)
{
    struct loop *l = self;
    if (uv_loop_close(&l->uv) != 0)
        bench_die("libuv: its loop is not empty");
    free(l);
}

static void on_due_soon(uv_timer_t *timer)
{
    struct timed *t = timer->data;
    timer_late((uint64_t)t->job.values[0].u.number);
    uv_close((uv_handle_t *)timer, on_close_free);
}

/* It counts in ms, and its clock is read once a turn: rounded up, as one does who must not be early. */
static void lateness(uint64_t count)
{
    struct loop *l = start(count);
    for (uint64_t i = 0; i < count; i++) {
        timer_put_off(i);
        uv_update_time(&l->uv);
        insert_after(l, i, (uint64_t)(timer_soon(i) + 999999) / 1000000, on_due_soon);
    }
    uv_run(&l->uv, UV_RUN_DEFAULT);
    stop(l);
}

const struct timer_peer timer_libuv = {
    .peer = {.name = "libuv", .what = "timers of libuv " BENCH_LIBUV},
    .start = start,
    .insert = insert,
    .expire = expire,
    .finish = finish,
    .pending = pending,
    .stop = stop,
    .span_ns = SPAN_MS * INT64_C(1000000),
    .lateness = lateness,
};
