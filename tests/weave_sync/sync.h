/* What the searches of engine/sync have in common: memory that is the same in every execution, and claims.
 *
 * A case builds its world once, by ordinary calls; before each further execution the bytes are put back. All that the
 * structures allocate lies in the world's heap, which is a static block: the same addresses every time.
 */
#ifndef WEAVE_SYNC_H
#define WEAVE_SYNC_H

#include "engine/base/memory.h"
#include "weave.h"

struct sync_heap {
    size_t used;
    _Alignas(64) unsigned char bytes[24 * 1024];
};

/* An allocator that cuts pieces off the heap and takes nothing back. */
struct tq_memory sync_memory(struct sync_heap *heap);

struct tq_arena;

/* `build` makes the world from `arg`, zeroed, when arg is another one than the last time; else its bytes are put back
 * from `image`. The heap is the world's last member. */
void sync_world(void *world, void *image, struct sync_heap *heap, const void *arg,
                void (*build)(const void *));
/* The chunks that the arena has by now are all that it will need. */
void sync_constant(const struct tq_arena *arena);

/* Deeper bounds: `long` on the command line. */
extern bool sync_long;
void sync_begin(int argc, char **argv);
int sync_end(void);

/* A line of TAP; why: what was found instead. */
void sync_claim(bool holds, const char *text, const char *why);

/* The search ends, and no execution fails. Prints executions and bounds. In a long run the bounds are each one more,
 * and what is not exhausted after some minutes is told as such. */
void sync_clean(const struct weave_case *c);
/* Some execution fails, for a reason that contains `why`. */
void sync_found(const struct weave_case *c, const char *why);

/* A weaker order that these cases allow, and why the source asks for more all the same. */
struct sync_survivor {
    const char *file; /* NULL ends a list */
    const char *text; /* as the tally has it, without the line */
    unsigned count;   /* how many such places survive; if there are more, the others are caught */
    const char *why;
};

/* Each order in `file` is weakened by one step, alone. All are caught but the survivors: no more, and no fewer, since a
 * list that says too much is wrong, too. */
void sync_mutate(const struct weave_case *cases, unsigned count, const char *file,
                 const struct sync_survivor *survivors);

/* Every place whose description contains `file` and `text` given this order, each alone, fails a case. */
void sync_fault(const struct weave_case *cases, unsigned count, const char *file, const char *text,
                enum weave_order order);

#endif
