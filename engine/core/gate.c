#include <sys/mman.h>
#include <unistd.h>

#include "engine/core/engine.h"

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* The kernel zeroes the page in a forked child, where zero is TQ_GATE_FORKED. (Linux 4.14; where it is refused the
 * engine is not made: a child that used it would be a disaster in silence.) */
bool tq_gate_init(struct trq_engine *engine)
{
    void *at = mmap(NULL, page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED)
        return false;
    if (madvise(at, page(), MADV_WIPEONFORK) != 0) {
        munmap(at, page());
        return false;
    }
    engine->gate = at;
    tq_store(&engine->gate->state, TQ_GATE_OPEN, release);
    return true;
}

void tq_gate_fini(struct trq_engine *engine)
{
    if (engine->gate)
        munmap(engine->gate, page());
}
