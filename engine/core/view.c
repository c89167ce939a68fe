#include "engine/core/view.h"

#include <stdlib.h>
#include <string.h>

#include "engine/base/error.h"
#include "engine/core/publish.h"
#include "engine/core/workerlock.h"

struct place {
    int32_t weight;
    uint32_t number;
};

/* Heavier first; equals in the order of their registration. */
static int by_weight(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->weight != y->weight)
        return x->weight > y->weight ? -1 : 1;
    return x->number < y->number ? -1 : 1;
}

static size_t view_size(uint32_t count)
{
    return sizeof(struct tq_view) + count * (sizeof(struct tq_queue *) + sizeof(uint32_t));
}

static bool fill(struct trq_engine *engine, struct tq_view *view, struct place *places,
                 struct tq_fifo **fifos, int32_t *weights)
{
    for (uint32_t rank = 0; rank < view->count; rank++) {
        struct tq_queue *q = engine->registry.queues[places[rank].number];
        view->by_rank[rank] = q;
        view->rank_of[q->number] = rank;
        fifos[rank] = &q->fifo;
        weights[rank] = places[rank].weight;
    }
    view->ready = tq_ready_create(&engine->memory, fifos, weights, view->count);
    if (!view->ready)
        return false;
    for (uint32_t rank = 0; rank < view->count; rank++)
        if (view->by_rank[rank]->worked && !tq_load(&view->by_rank[rank]->paused, relaxed))
            tq_ready_open(view->ready, rank, true);
    return true;
}

struct tq_view *tq_view_make(struct trq_engine *engine, uint32_t count, const int32_t *weights)
{
    struct tq_memory *memory = &engine->memory;
    size_t sort_size = count * (sizeof(struct place) + sizeof(struct tq_fifo *) + sizeof(int32_t));
    struct tq_view *view = tq_alloc(memory, view_size(count), 8);
    char *sort = tq_alloc(memory, sort_size, 8);
    if (!view || !sort)
        goto fail;
    view->count = count;
    view->by_rank = (struct tq_queue **)(void *)(view + 1);
    view->rank_of = (uint32_t *)(void *)(view->by_rank + count);
    struct tq_fifo **fifos = (struct tq_fifo **)(void *)sort;
    struct place *places = (struct place *)(void *)(fifos + count);
    int32_t *sorted = (int32_t *)(void *)(places + count);
    for (uint32_t i = 0; i < count; i++)
        places[i] = (struct place){weights[i], i};
    if (count)
        qsort(places, count, sizeof *places, by_weight);
    if (!fill(engine, view, places, fifos, sorted))
        goto fail;
    tq_free(memory, sort, sort_size);
    return view;
fail:
    tq_free(memory, sort, sort_size);
    tq_free(memory, view, view_size(count));
    return NULL;
}

void tq_view_publish(struct trq_engine *engine, struct tq_view *view)
{
    view->older = tq_load(&engine->view, relaxed);
    for (uint32_t rank = 0; rank < view->count; rank++)
        tq_ready_mark_slow(view->ready, rank);
    tq_store(&engine->view, view, seq_cst);
}

bool tq_view_renew(struct trq_engine *engine)
{
    struct tq_view *view = tq_view_make(engine, 0, NULL);
    if (view)
        tq_view_publish(engine, view);
    return view != NULL;
}

void tq_views_destroy(struct trq_engine *engine)
{
    struct tq_view *view = tq_load(&engine->view, relaxed);
    while (view) {
        struct tq_view *older = view->older;
        tq_ready_destroy(&engine->memory, view->ready);
        tq_free(&engine->memory, view, view_size(view->count));
        view = older;
    }
}

/* ---- pause, resume, text ----------------------------------------------------------------------------- */

static int set_paused(struct trq_engine *engine, const char *name, bool paused,
                      struct trq_error *error)
{
    if (!engine || !name)
        return tq_error(error, TRQ_EINVAL, "%s is NULL", engine ? "queue" : "engine");
    if (tq_is_forked(engine))
        return tq_error(error, TRQ_ESTOPPED, "the engine belongs to another process");
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return tq_error(error, TRQ_ENOMEM, "no memory");
    struct tq_queue *queue = tq_queue_find(engine, local, NULL, name);
    if (!queue)
        return tq_queue_unknown(engine, name, error);
    pthread_mutex_lock(&engine->registry.mutex);
    tq_store(&queue->paused, paused, seq_cst); /* before the review, which must see it */
    struct tq_view *view = tq_view_now(engine);
    tq_ready_open(view->ready, view->rank_of[queue->number], queue->worked && !paused);
    pthread_mutex_unlock(&engine->registry.mutex);
    /* Waiters of this queue may be passed over now, or may be invited. */
    tq_worker_locks_review(engine, local);
    if (!paused)
        tq_notify(engine, local);
    return TRQ_OK;
}

int trq_queue_pause(struct trq_engine *engine, const char *queue, struct trq_error *error)
{
    return set_paused(engine, queue, true, error);
}

int trq_queue_resume(struct trq_engine *engine, const char *queue, struct trq_error *error)
{
    return set_paused(engine, queue, false, error);
}

size_t trq_queues_text(struct trq_engine *engine, char *buffer, size_t size)
{
    if (size)
        buffer[0] = '\0';
    if (!engine || tq_is_forked(engine))
        return 0;
    const struct tq_view *view = tq_view_now(engine);
    size_t n = 0;
    for (uint32_t i = 0; i < view->count; i++) {
        const struct tq_queue *q = view->by_rank[i];
        if (!q->worked)
            continue;
        const char *const part[2] = {n ? ", " : "", q->text};
        for (int k = 0; k < 2; k++) {
            size_t length = strlen(part[k]);
            if (n < size) {
                size_t fits = length < size - n - 1 ? length : size - n - 1;
                memcpy(buffer + n, part[k], fits);
                buffer[n + fits] = '\0';
            }
            n += length;
        }
    }
    return n;
}
