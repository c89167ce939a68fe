/* The names of engine/base/atomic.h over the modelled memory of weave.
 *
 * Shape:   the types are plain words that always hold the newest value, so that layouts, static
 *          asserts and plain initialisation before publication mean what they mean in production;
 *          what older values a thread may still see is kept aside, by address (weave_memory.h).
 *          Every use of a macro is a *site*: file, line, operation, operand and order, one static
 *          struct. The printed schedule names it and a seeded fault is attached to it.
 * Errors:  an order that C11 forbids for an operation (a load with release) does not compile.
 * Threads: outside weave_run(), and in a case's setup and finish, the operations act at once on
 *          plain memory.
 */
#ifndef WEAVE_ATOMIC_H
#define WEAVE_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t tq_a32;
typedef uint64_t tq_a64;
typedef void *tq_aptr;

/* As bits: 1 acquires, 2 releases, 4 takes part in the one order of seq_cst. */
enum weave_order {
    WEAVE_RELAXED = 0,
    WEAVE_ACQUIRE = 1,
    WEAVE_RELEASE = 2,
    WEAVE_ACQ_REL = 3,
    WEAVE_SEQ_CST = 7,
};

enum weave_op {
    WEAVE_OP_LOAD,
    WEAVE_OP_STORE,
    WEAVE_OP_SWAP,
    WEAVE_OP_ADD,
    WEAVE_OP_SUB,
    WEAVE_OP_OR,
    WEAVE_OP_AND,
    WEAVE_OP_CAS,
    WEAVE_OP_FENCE,
    WEAVE_OP_PAUSE,
    WEAVE_OP_FUTEX_WAIT,
    WEAVE_OP_FUTEX_WAKE,
    WEAVE_OP_PLAIN_READ,
    WEAVE_OP_PLAIN_WRITE,
    WEAVE_OP_COUNT,
};

/* The upper part is written by the macro, the lower by weave_site.c. */
struct weave_site {
    const char *file;
    const char *where; /* the operand as it stands in the source */
    int line;
    uint8_t op, order, failure;

    uint8_t order_now, failure_now; /* after a seeded fault */
    bool dropped;                   /* seeded fault: the write does not happen */
    uint32_t loc_hint;              /* the location that this site used last */
    uint64_t hits;
    struct weave_site *home; /* one of several copies of an inline function stands for all */
};

uint64_t weave_load(struct weave_site *site, const volatile void *p, size_t size);
void weave_store(struct weave_site *site, volatile void *p, size_t size, uint64_t value);
uint64_t weave_modify(struct weave_site *site, volatile void *p, size_t size, uint64_t operand);
bool weave_cas(struct weave_site *site, volatile void *p, size_t size, void *expected,
               uint64_t desired);
void weave_fence(struct weave_site *site);
void weave_pause(struct weave_site *site);
int weave_sleep(struct weave_site *site, volatile void *p, uint32_t expected);
void weave_wake(struct weave_site *site, volatile void *p, int count);

/* Orders that each kind of operation may have; a name that is missing here does not compile. */
#define WEAVE_LOAD_relaxed WEAVE_RELAXED
#define WEAVE_LOAD_acquire WEAVE_ACQUIRE
#define WEAVE_LOAD_seq_cst WEAVE_SEQ_CST
#define WEAVE_STORE_relaxed WEAVE_RELAXED
#define WEAVE_STORE_release WEAVE_RELEASE
#define WEAVE_STORE_seq_cst WEAVE_SEQ_CST
#define WEAVE_BOTH_relaxed WEAVE_RELAXED
#define WEAVE_BOTH_acquire WEAVE_ACQUIRE
#define WEAVE_BOTH_release WEAVE_RELEASE
#define WEAVE_BOTH_acq_rel WEAVE_ACQ_REL
#define WEAVE_BOTH_seq_cst WEAVE_SEQ_CST

/* Uses nest (`tq_store(p, tq_load(q, relaxed), release)`), so each site has a name of its own. */
#define WEAVE_GLUE_(a, b) a##b
#define WEAVE_GLUE(a, b) WEAVE_GLUE_(a, b)
#define WEAVE_NAME WEAVE_GLUE(weave_site_, __COUNTER__)

#define WEAVE_SITE(name, what, text, order_, failure_)                                             \
    static struct weave_site name = {.file = __FILE__,                                             \
                                     .where = (text),                                              \
                                     .line = __LINE__,                                             \
                                     .op = (what),                                                 \
                                     .order = (order_),                                            \
                                     .failure = (failure_)}

/* The comma drops qualifiers: a load through a pointer to const has a plain type. */
#define WEAVE_TYPE(p) __typeof__(((void)0, *(p)))
#define WEAVE_BITS(v) ((uint64_t)(uintptr_t)(v))

#define WEAVE_LOAD(name, p, text, order_)                                                          \
    __extension__({                                                                                \
        WEAVE_SITE(name, WEAVE_OP_LOAD, text, order_, 0);                                          \
        (WEAVE_TYPE(p))(uintptr_t) weave_load(&name, (p), sizeof *(p));                            \
    })

#define WEAVE_STORE(name, p, text, v, order_)                                                      \
    __extension__({                                                                                \
        WEAVE_SITE(name, WEAVE_OP_STORE, text, order_, 0);                                         \
        weave_store(&name, (p), sizeof *(p), WEAVE_BITS(v));                                       \
    })

#define WEAVE_MODIFY(name, what, p, text, v, order_)                                               \
    __extension__({                                                                                \
        WEAVE_SITE(name, what, text, order_, 0);                                                   \
        (WEAVE_TYPE(p))(uintptr_t) weave_modify(&name, (p), sizeof *(p), WEAVE_BITS(v));           \
    })

#define WEAVE_CAS(name, p, text, expected, desired, order_, failure_)                              \
    __extension__({                                                                                \
        WEAVE_SITE(name, WEAVE_OP_CAS, text, order_, failure_);                                    \
        WEAVE_TYPE(p) * WEAVE_GLUE(name, e) = (expected);                                          \
        weave_cas(&name, (p), sizeof *(p), WEAVE_GLUE(name, e), WEAVE_BITS(desired));              \
    })

#define WEAVE_CALL(name, function, what, order_)                                                   \
    __extension__({                                                                                \
        WEAVE_SITE(name, what, "", order_, 0);                                                     \
        function(&name);                                                                           \
    })

#define WEAVE_FUTEX(name, function, what, word, text, v)                                           \
    __extension__({                                                                                \
        WEAVE_SITE(name, what, text, WEAVE_RELAXED, 0);                                            \
        function(&name, (word), (v));                                                              \
    })

#define tq_load(p, order) WEAVE_LOAD(WEAVE_NAME, p, #p, WEAVE_LOAD_##order)
#define tq_store(p, v, order) WEAVE_STORE(WEAVE_NAME, p, #p, v, WEAVE_STORE_##order)
#define tq_swap(p, v, order) WEAVE_MODIFY(WEAVE_NAME, WEAVE_OP_SWAP, p, #p, v, WEAVE_BOTH_##order)
#define tq_add(p, v, order) WEAVE_MODIFY(WEAVE_NAME, WEAVE_OP_ADD, p, #p, v, WEAVE_BOTH_##order)
#define tq_sub(p, v, order) WEAVE_MODIFY(WEAVE_NAME, WEAVE_OP_SUB, p, #p, v, WEAVE_BOTH_##order)
#define tq_or(p, v, order) WEAVE_MODIFY(WEAVE_NAME, WEAVE_OP_OR, p, #p, v, WEAVE_BOTH_##order)
#define tq_and(p, v, order) WEAVE_MODIFY(WEAVE_NAME, WEAVE_OP_AND, p, #p, v, WEAVE_BOTH_##order)
#define tq_cas(p, expected, desired, success, failure)                                             \
    WEAVE_CAS(WEAVE_NAME, p, #p, expected, desired, WEAVE_BOTH_##success, WEAVE_LOAD_##failure)
#define tq_fence(order) WEAVE_CALL(WEAVE_NAME, weave_fence, WEAVE_OP_FENCE, WEAVE_BOTH_##order)

/* Spinning: the thread rests until another has changed something. See weave_sched.h. */
#define tq_pause() WEAVE_CALL(WEAVE_NAME, weave_pause, WEAVE_OP_PAUSE, WEAVE_RELAXED)

/* Sleeps if the newest value of *word is `expected`, in one step. 0 after a wake-up, -EAGAIN if the
 * value differed. No timeout and no ordering. */
#define weave_futex_wait(word, expected)                                                           \
    WEAVE_FUTEX(WEAVE_NAME, weave_sleep, WEAVE_OP_FUTEX_WAIT, word, #word, expected)

/* Wakes at most `count` sleepers on word; which of them is a choice of the search. */
#define weave_futex_wake(word, count)                                                              \
    WEAVE_FUTEX(WEAVE_NAME, weave_wake, WEAVE_OP_FUTEX_WAKE, word, #word, count)

#endif
