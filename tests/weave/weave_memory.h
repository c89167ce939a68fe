/* The modelled memory: what each thread may read.
 *
 * Shape:   a location has its messages (values written) in modification order, the newest first. A
 *          thread has a *view*: per thread, how many of its operations it knows of. A message says
 *          when each thread first knew of it; if that is inside a thread's view, nothing older is
 *          readable for it. A view has two halves: `hb`, happens-before, by which races on plain
 *          data are judged, and `co`, which seq_cst fences raise as well.
 * Units:   clocks count operations of one thread, below WEAVE_STEPS_MAX
 * Threads: by number; the caller (weave_op.c) decides when an operation takes place
 * Source:  the view machines of Kang et al., "A Promising Semantics for Relaxed-Memory Concurrency"
 *          (POPL 2017), without promises; clocks in place of maps from location to time as in relacy
 */
#ifndef WEAVE_MEMORY_H
#define WEAVE_MEMORY_H

#include "weave.h"

#define WEAVE_LOCS_MAX 2048
#define WEAVE_NEVER INT16_MAX
#define WEAVE_READABLE_MAX 32

typedef int16_t weave_clock __attribute__((vector_size(2 * WEAVE_THREADS_MAX)));

struct weave_view {
    weave_clock hb, co;
};

struct weave_message {
    uint64_t value;
    struct weave_view view; /* what reading it with acquire makes known */
    weave_clock known;      /* each thread's clock when it wrote or read this; WEAVE_NEVER */
    uint32_t older;         /* index of the message before this one; 0: none */
    uint32_t step;
    bool seq_cst;
};

enum weave_kind { WEAVE_UNUSED, WEAVE_ATOMIC, WEAVE_DATA };

struct weave_loc {
    const volatile void *address;
    const char *name;
    int index;
    uint32_t size;
    uint32_t epoch; /* the execution that the fields below belong to */
    uint32_t newest;
    enum weave_kind kind;
    bool constant; /* by weave_constant(): until the next case */
    int writer;    /* plain data: the last write and the last read of each thread */
    int16_t written;
    weave_clock reads;
    const struct weave_site *last_site;
};

void weave_memory_forget(void); /* another case: no location, no name */
void weave_memory_rewind(void); /* an execution begins: each location holds what stands in memory */

struct weave_loc *weave_memory_loc(const volatile void *p, uint32_t *hint);
struct weave_loc *weave_memory_atomic(const volatile void *p, size_t size, uint32_t *hint);
const struct weave_message *weave_memory_message(uint32_t index);

/* One operation of a thread: its clock moves on. */
void weave_memory_tick(unsigned thread, uint32_t step);

/* The messages of loc that the thread may read, the newest first; with `but`, none but the newest may
 * hold that value. Returns their number, at most `max`. */
unsigned weave_memory_readable(unsigned thread, const struct weave_loc *loc, enum weave_order order,
                               const uint64_t *but, unsigned max, uint32_t *out);
uint64_t weave_memory_read(unsigned thread, uint32_t message, enum weave_order order);

/* Appends to the modification order. `modified` is the message that a read-modify-write has read, 0
 * for a store: its view is carried on, which is the release sequence. */
void weave_memory_write(unsigned thread, struct weave_loc *loc, uint64_t value,
                        enum weave_order order, uint32_t modified);
void weave_memory_fence(unsigned thread, enum weave_order order);

/* NULL, or the site of the other side of a race. */
const struct weave_site *weave_memory_plain(unsigned thread, struct weave_loc *loc, bool write,
                                            const struct weave_site *site);

#endif
