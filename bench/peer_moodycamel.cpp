// moodycamel::BlockingConcurrentQueue with a token per producer and per worker, as its author advises for
// speed: one job a call, and up to 64 a call.
#include <concurrentqueue/blockingconcurrentqueue.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/work.h"

namespace
{

using Queue = moodycamel::BlockingConcurrentQueue<work_job *>;

struct Pool {
    Queue queue;
    std::vector<moodycamel::ProducerToken> producers;
    std::vector<std::thread> workers;
    bool bulk;
};

void work_single(Pool *pool)
{
    moodycamel::ConsumerToken token(pool->queue);
    for (;;) {
        work_job *job;
        pool->queue.wait_dequeue(token, job);
        if (!job)
            return;
        work_job_run(job);
    }
}

// A null job ends one worker: whoever takes several gives the others theirs back.
void work_bulk(Pool *pool)
{
    moodycamel::ConsumerToken token(pool->queue);
    for (std::size_t ends = 0; ends == 0;) {
        work_job *jobs[PEER_BATCH];
        std::size_t count = pool->queue.wait_dequeue_bulk(token, jobs, PEER_BATCH);
        for (std::size_t i = 0; i < count; i++) {
            if (jobs[i])
                work_job_run(jobs[i]);
            else if (ends++ > 0)
                pool->queue.enqueue(nullptr);
        }
    }
}

void *start(const setup *setup)
{
    Pool *pool = new Pool;
    pool->bulk = setup->bulk;
    for (int i = 0; i < setup->producers; i++)
        pool->producers.emplace_back(pool->queue);
    for (int i = 0; i < setup->workers; i++)
        pool->workers.emplace_back(pool->bulk ? work_bulk : work_single, pool);
    return pool;
}

void run_here(Pool *pool)
{
    work_job *jobs[PEER_BATCH];
    if (pool->bulk) {
        while (std::size_t count = pool->queue.try_dequeue_bulk(jobs, PEER_BATCH))
            for (std::size_t i = 0; i < count; i++)
                work_job_run(jobs[i]);
    } else {
        while (pool->queue.try_dequeue(jobs[0]))
            work_job_run(jobs[0]);
    }
}

void submit(void *self, int producer, std::uint64_t first, std::uint64_t count)
{
    Pool *pool = static_cast<Pool *>(self);
    moodycamel::ProducerToken &token = pool->producers[static_cast<std::size_t>(producer)];
    for (std::uint64_t i = first; i < first + count;) {
        work_job *jobs[PEER_BATCH];
        std::uint64_t left = first + count - i;
        std::size_t n = std::min<std::uint64_t>(left, PEER_BATCH);
        bool good = true;
        if (pool->bulk) {
            for (std::size_t k = 0; k < n; k++)
                jobs[k] = work_job_new(work_input(i + k));
            good = pool->queue.enqueue_bulk(token, jobs, n);
        } else {
            for (std::size_t k = 0; k < n; k++)
                good = pool->queue.enqueue(token, work_job_new(work_input(i + k))) && good;
        }
        if (!good)
            bench_die("moodycamel: out of memory");
        i += n;
        if (pool->workers.empty())
            run_here(pool);
    }
}

void stop(void *self)
{
    Pool *pool = static_cast<Pool *>(self);
    for (std::size_t i = 0; i < pool->workers.size(); i++)
        pool->queue.enqueue(nullptr);
    for (std::thread &worker : pool->workers)
        worker.join();
    delete pool;
}

} // namespace

extern "C" const peer peer_moodycamel = {
    "moodycamel",
    "moodycamel::BlockingConcurrentQueue, tokens, one job a call",
    PEER_INLINE | PEER_WORKERS | PEER_SINGLE,
    start,
    submit,
    stop,
};

extern "C" const peer peer_moodycamel_bulk = {
    "moodycamel_bulk",
    "moodycamel::BlockingConcurrentQueue, tokens, 64 jobs a call",
    PEER_INLINE | PEER_WORKERS | PEER_BULK,
    start,
    submit,
    stop,
};
