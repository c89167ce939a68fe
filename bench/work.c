#include "bench/work.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "bench/measure.h"

#define NAME(text)                                                                                 \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define NAMES_4(a, b) NAME(a "lice" b), NAME(a "obert" b), NAME(a "ianca" b), NAME(a "enjamin" b)
#define NAMES_16(b) NAMES_4("A", b), NAMES_4("B", b), NAMES_4("Cl", b), NAMES_4("Fr", b)

const struct work_name work_names[WORK_NAMES] = {
    NAMES_16("-001"),
    NAMES_16("-02"),
    NAMES_16("-3"),
    NAMES_16("-444"),
};

/* ---- what was counted -------------------------------------------------------------------------- */

enum { TALLIES_MAX = 256 };

/* A thread's own line: written by it with plain stores, read by whoever waits for the end. */
struct tally {
    _Alignas(64) _Atomic uint64_t jobs;
    _Atomic uint64_t user_ids;
    _Atomic uint64_t name_bytes;
    _Atomic(const void *) owner;
};

struct work_tallies {
    struct tally lines[TALLIES_MAX];
    atomic_uint used;
    struct work_tallies *older;
};

static struct work_tallies *newest; /* so that none of them looks like a leak */
static _Atomic(struct work_tallies *) current;

static _Thread_local struct work_tallies *my_tallies;
static _Thread_local struct tally *my_tally;

struct work_tallies *work_tallies_new(void)
{
    struct work_tallies *tallies = aligned_alloc(64, sizeof *tallies);
    if (!tallies)
        bench_die("out of memory");
    memset(tallies, 0, sizeof *tallies);
    tallies->older = newest;
    newest = tallies;
    return tallies;
}

void work_use(struct work_tallies *tallies)
{
    atomic_store(&current, tallies);
}

/* Threads move between pools (GLib keeps ended ones for the next), and the one thread of `1t` works for all:
 * who comes back finds the line that it had. */
static struct tally *tally_of_thread(struct work_tallies *tallies)
{
    unsigned used = atomic_load(&tallies->used);
    for (unsigned i = 0; i < used && i < TALLIES_MAX; i++)
        if (atomic_load(&tallies->lines[i].owner) == (const void *)&my_tally)
            return &tallies->lines[i];
    unsigned line = atomic_fetch_add(&tallies->used, 1);
    if (line >= TALLIES_MAX)
        bench_die("more than %d threads work for one implementation", TALLIES_MAX);
    atomic_store(&tallies->lines[line].owner, &my_tally);
    return &tallies->lines[line];
}

static void add(_Atomic uint64_t *sum, uint64_t n)
{
    atomic_store_explicit(sum, atomic_load_explicit(sum, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static void gate_pass(void);

void work_count(int64_t user_id, size_t name_size)
{
    if (user_id == (int64_t)WORK_GATE) {
        gate_pass();
        return;
    }
    struct work_tallies *tallies = atomic_load_explicit(&current, memory_order_acquire);
    if (tallies != my_tallies) {
        my_tally = tally_of_thread(tallies);
        my_tallies = tallies;
    }
    add(&my_tally->user_ids, (uint64_t)user_id);
    add(&my_tally->name_bytes, name_size);
    /* The last, and a release: who has seen the job counted sees the sums. A plain store on x86. */
    atomic_store_explicit(&my_tally->jobs,
                          atomic_load_explicit(&my_tally->jobs, memory_order_relaxed) + 1,
                          memory_order_release);
}

static unsigned lines_used(const struct work_tallies *tallies)
{
    unsigned used = atomic_load(&tallies->used);
    return used < TALLIES_MAX ? used : TALLIES_MAX;
}

uint64_t work_jobs(const struct work_tallies *tallies)
{
    uint64_t jobs = 0;
    for (unsigned i = 0; i < lines_used(tallies); i++)
        jobs += atomic_load_explicit(&tallies->lines[i].jobs, memory_order_acquire);
    return jobs;
}

bool work_is_right(const struct work_tallies *tallies, uint64_t jobs)
{
    uint64_t user_ids = 0, name_bytes = 0, expected_bytes = 0;
    for (unsigned i = 0; i < lines_used(tallies); i++) {
        user_ids += atomic_load_explicit(&tallies->lines[i].user_ids, memory_order_relaxed);
        name_bytes += atomic_load_explicit(&tallies->lines[i].name_bytes, memory_order_relaxed);
    }
    for (unsigned i = 0; i < WORK_NAMES; i++)
        expected_bytes += work_names[i].size * (jobs / WORK_NAMES + (i < jobs % WORK_NAMES));
    return work_jobs(tallies) == jobs && user_ids == jobs * (jobs - 1) / 2 &&
           name_bytes == expected_bytes;
}

/* ---- a worker held back ------------------------------------------------------------------------- */

static pthread_mutex_t gate_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static enum { GATE_CLOSED, GATE_ENTERED, GATE_OPEN, GATE_PASSED } gate;

static void gate_set(int state)
{
    pthread_mutex_lock(&gate_mutex);
    gate = state;
    pthread_cond_broadcast(&gate_changed);
    pthread_mutex_unlock(&gate_mutex);
}

static void gate_wait(int state)
{
    pthread_mutex_lock(&gate_mutex);
    while ((int)gate != state)
        pthread_cond_wait(&gate_changed, &gate_mutex);
    pthread_mutex_unlock(&gate_mutex);
}

static void gate_pass(void)
{
    gate_set(GATE_ENTERED);
    gate_wait(GATE_OPEN);
    gate_set(GATE_PASSED);
}

void work_gate_close(void)
{
    gate_set(GATE_CLOSED);
}

void work_gate_wait_entered(void)
{
    gate_wait(GATE_ENTERED);
}

void work_gate_open(void)
{
    gate_set(GATE_OPEN);
    gate_wait(GATE_PASSED);
}

/* ---- the job of those that bring none of their own ----------------------------------------------- */

_Static_assert(sizeof(struct work_job) == 104, "with malloc's header, 112 bytes");

static const struct work_value *find(const struct work_job *job, const char *name)
{
    for (size_t i = 0; i < job->count; i++)
        if (strcmp(job->values[i].key, name) == 0)
            return &job->values[i];
    return NULL;
}

static void perform(const struct work_job *job)
{
    const struct work_value *user_id = find(job, "user_id");
    const struct work_value *name = find(job, "name");
    work_count(user_id ? user_id->u.number : 0, name ? name->size : 0);
}

void work_job_fill(struct work_job *job, struct work_input input)
{
    if (input.name_size > sizeof job->text)
        bench_die("a name is too long");
    job->perform = perform;
    job->count = 2;
    job->values[0] = (struct work_value){"user_id", 0, sizeof(int64_t), {.number = input.user_id}};
    job->values[1] = (struct work_value){"name", 1, (uint32_t)input.name_size, {.text = job->text}};
    memcpy(job->text, input.name, input.name_size);
}

struct work_job *work_job_new(struct work_input input)
{
    struct work_job *job = malloc(sizeof *job);
    if (!job)
        bench_die("out of memory");
    work_job_fill(job, input);
    return job;
}

void work_job_run(struct work_job *job)
{
    job->perform(job);
    free(job);
}
