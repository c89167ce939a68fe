/* locktab: who holds the key of this digest? A table of records, each bucket under a mutex of its own.
 *
 * What.    Each job with a lock asks when it is enqueued and again when it starts or ends: the record of a 128-bit digest
 *          is found, added or removed some ten million times a second, by any thread. The caller locks the bucket of a
 *          digest, does all that must be one step to others (look, decide, link, unlink), and unlocks.
 *
 *              buckets: [mutex head] [mutex head] ... in chunks that never move        `count` of them are in use
 *                             |
 *                             v  index + 1; 0: the end
 *                          record -> record                     objects of the caller's slab
 *
 *          It grows by linear hashing: bucket `count` gets its share of the records of bucket `count - 2^level`, one
 *          bucket at a time and under that bucket's mutex alone, so that no operation ever waits for a whole table to
 *          be moved. It does not shrink.
 *
 * Invariants
 *   I1  A record stands in the chain of the bucket that `count` gives its digest, and in no other; no digest twice (it is
 *       for the caller not to add what find has shown him). Digest and `next` are read and written under that bucket's
 *       mutex only, so they are plain: nobody else reads a record that is in the table.
 *   I2  `count` only grows, and it changes from n to n + 1 under the mutex of the one bucket that is split by it. So
 *       if a digest belonged to bucket i when somebody locked i, it does until he unlocks.
 *   I3  count <= objects carved in the slab, or the first 1,024. Once grow has caught up there are as many buckets as
 *       there ever were records at one time, and some more.
 *   I4  Nothing here fails. A split that gets no memory is not made; chains are longer until a later one succeeds.
 *
 * Ordering
 *   | publishing                            | observing                             | what becomes visible          |
 *   | L1 unlock of a bucket                 | lock of the bucket                    | its chain, the records        |
 *   | L2 split: store of `count`, release   | lock: load of `count`, acquire        | the new bucket and its chunk  |
 *   | L3 split: store of `count`, then      | lock of the old bucket, then the      | that the digest has moved     |
 *   |    unlock of the old bucket (L1)      |   second load of `count`              |                               |
 *   L2 must hold for the second load too: it may see a later split than that of the bucket at hand.
 *
 * Linearisation point: for what is done under a bucket, its unlock; for a split the store of `count`.
 *
 * Progress: blocking, for as long as another holds the bucket: a bounded number of instructions, and never user code.
 *   A split is done by one thread, others do not wait for it: while it has lost its processor the table does not grow,
 *   and makes up for it afterwards. Lock order: no thread holds two buckets.
 *
 * Cost: claim and release of a key, its record's allocation included: 27 to 31 ns by one thread, 26 to 34 by two or by
 *   eight on two processors. With a million keys at a time memory rules: some 700.
 *
 * Limits: a chain is walked in full, so a caller that lets strangers choose digests must key them.
 *
 * Rejected: a lock-free table (30 / 40-58 ns against 24-29, and a steal that meets a recycled record, counting holders to
 *   more than one, and growth are each a research project); one mutex for many buckets (threads that have
 *   nothing to do with each other meet); a count of the records (two atomic additions, on a line that all write: a third
 *   of the whole price, and what the slab has carved says the same).
 *
 * Source: Litwin, "Linear hashing: a new tool for file and table addressing", VLDB 1980.
 */
#ifndef TQ_SYNC_LOCKTAB_H
#define TQ_SYNC_LOCKTAB_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/atomic.h"
#include "engine/base/siphash.h"
#include "engine/sync/arena.h"
#include "engine/sync/line.h"
#include "engine/sync/mutex.h"
#include "engine/sync/slab.h"

#ifndef TQ_LOCKTAB_SHIFT
#define TQ_LOCKTAB_SHIFT 10
#endif
enum { TQ_LOCKTAB_CHUNK = 1 << TQ_LOCKTAB_SHIFT }; /* buckets at first, and in each chunk */

/* The first member of the caller's records. Both belong to the table while the record is in it. */
struct tq_record {
    struct tq_digest digest;
    uint32_t next; /* index + 1 */
};

struct tq_bucket {
    struct tq_mutex mutex;
    uint32_t head; /* index + 1 */
};
_Static_assert(sizeof(struct tq_bucket) == 8, "no bucket lies in two lines");

struct tq_locktab {
    TQ_ON_LINE const struct tq_slab *slab;
    struct tq_arena buckets;
    tq_a32 count;                         /* of buckets in use */
    TQ_ON_LINE struct tq_mutex splitting; /* who splits; the others go on */
    uint32_t patience;                    /* calls of grow to let pass, after one without memory */
};

/* records: where the records are; its objects begin with struct tq_record. It may have no other use, or the table
 * has more buckets than it needs. False: out of memory. */
bool tq_locktab_init(struct tq_locktab *tab, const struct tq_memory *memory,
                     const struct tq_slab *records);
/* The records remain the slab's. For a table that was zeroed too. */
void tq_locktab_fini(struct tq_locktab *tab);

/* ---- under a bucket ---- */

static inline uint32_t tq_locktab_place_(uint32_t count, struct tq_digest digest)
{
    const uint32_t level = UINT32_C(1) << (31 - __builtin_clz(count));
    const uint32_t place = (uint32_t)digest.a & (2 * level - 1);
    return place < count ? place : place - level;
}

static inline struct tq_bucket *tq_locktab_at_(const struct tq_locktab *tab, uint32_t place)
{
    return tq_arena_at_fixed(&tab->buckets, place, sizeof(struct tq_bucket), TQ_LOCKTAB_SHIFT);
}

/* A while before the lock, so that a large table's line is there when it is wanted. */
static inline void tq_locktab_prefetch(const struct tq_locktab *tab, struct tq_digest digest)
{
    const uint32_t count = tq_load(&tab->count, acquire);
    TQ_PREFETCH_WRITE(tq_locktab_at_(tab, tq_locktab_place_(count, digest)));
}

/* Lock the bucket of that digest: until the unlock nobody else adds, finds or removes it. The thread holds no other. */
static inline struct tq_bucket *tq_locktab_lock(struct tq_locktab *tab, struct tq_digest digest)
{
    uint32_t count = tq_load(&tab->count, acquire); /* acq: L2 */
    for (;;) {
        const uint32_t place = tq_locktab_place_(count, digest);
        struct tq_bucket *bucket = tq_locktab_at_(tab, place);
        tq_mutex_lock(&bucket->mutex);
        count = tq_load(&tab->count, acquire); /* acq: L2, L3 */
        if (TQ_LIKELY(tq_locktab_place_(count, digest) == place))
            return bucket;
        tq_mutex_unlock(&bucket->mutex);
    }
}

static inline void tq_locktab_unlock(struct tq_locktab *tab, struct tq_bucket *bucket)
{
    (void)tab;
    tq_mutex_unlock(&bucket->mutex);
}

/* NULL: there is none; *out_index is untouched. */
static inline struct tq_record *tq_locktab_find(const struct tq_locktab *tab,
                                                const struct tq_bucket *bucket,
                                                struct tq_digest digest, uint32_t *out_index)
{
    for (uint32_t at = bucket->head; at;) {
        struct tq_record *record = tq_slab_at(tab->slab, at - 1);
        if (TQ_LIKELY(tq_digest_same(record->digest, digest))) {
            *out_index = at - 1;
            return record;
        }
        at = record->next;
    }
    return NULL;
}

/* The record of that index is in no table, and none of that digest is in this one. Afterwards, when the bucket is
 * unlocked: tq_locktab_grow. */
static inline struct tq_record *tq_locktab_add(struct tq_locktab *tab, struct tq_bucket *bucket,
                                               uint32_t index, struct tq_digest digest)
{
    struct tq_record *record = tq_slab_at(tab->slab, index);
    record->digest = digest;
    record->next = bucket->head;
    bucket->head = index + 1;
    return record;
}

/* It is in this bucket. It can be given back to its slab, also before the unlock. */
void tq_locktab_remove_deep_(struct tq_locktab *tab, struct tq_bucket *bucket, uint32_t index);
static inline void tq_locktab_remove(struct tq_locktab *tab, struct tq_bucket *bucket,
                                     uint32_t index)
{
    if (TQ_LIKELY(bucket->head == index + 1))
        bucket->head = ((const struct tq_record *)tq_slab_at(tab->slab, index))->next;
    else
        tq_locktab_remove_deep_(tab, bucket, index);
}

/* ---- under none ---- */

/* After an add: split some buckets if there are too few; two as a rule, at most 32. */
void tq_locktab_grow_slow_(struct tq_locktab *tab);
static inline void tq_locktab_grow(struct tq_locktab *tab)
{
    if (TQ_UNLIKELY(tq_load(&tab->slab->carved, relaxed) > tq_load(&tab->count, relaxed)))
        tq_locktab_grow_slow_(tab);
}

/* Show fn each record, under the mutex of its bucket. fn locks no bucket; it may remove the record it was shown, and
 * give it back. A record that is there from begin to end is shown once, or twice if it moved meanwhile. */
typedef void tq_locktab_visit(void *arg, struct tq_bucket *bucket, struct tq_record *record,
                              uint32_t index);
void tq_locktab_walk(struct tq_locktab *tab, tq_locktab_visit *fn, void *arg);

/* By a walk: for checks and reports, not for the hot path. Exact when quiescent. */
uint64_t tq_locktab_count(struct tq_locktab *tab);

/* Quiescent: no bucket is held, I1, I3. */
bool tq_locktab_check(const struct tq_locktab *tab);

#endif
