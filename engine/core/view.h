/* The order of the queues: made anew by each registration that changes it, read by all without a lock.
 *
 * Protocol. A registration hints every queue in the new view, then stores it. A publisher pushes, loads the view, marks
 * in it, and looks whether it is still the current one; if not, it marks in the new one as well. All four are
 * seq_cst: either the publisher sees the new view, or its push came before the view was stored, and who follows the
 * view's hint finds the job. The hints come first, since whoever looks between the two would pass over heavy
 * queues and begin lighter work. */
#ifndef TQ_CORE_VIEW_H
#define TQ_CORE_VIEW_H

#include "engine/core/engine.h"
#include "engine/core/registry.h"

static inline struct tq_view *tq_view_now(const struct trq_engine *engine)
{
    return tq_load(&engine->view, seq_cst);
}

/* All of the first `count` queues of the registry, with these weights. NULL: out of memory. */
struct tq_view *tq_view_make(struct trq_engine *engine, uint32_t count, const int32_t *weights);
/* Under the registry's mutex. */
void tq_view_publish(struct trq_engine *engine, struct tq_view *view);
/* The first, empty one. */
bool tq_view_renew(struct trq_engine *engine);
void tq_views_destroy(struct trq_engine *engine);

#endif
