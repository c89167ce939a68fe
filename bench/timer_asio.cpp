// Asio: a waitable timer in each job, by a clock that the program can set.
#include <asio.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "bench/measure.h"
#include "bench/timer.h"
#include "bench/work.h"

namespace
{

struct Clock {
    using duration = std::chrono::nanoseconds;
    using rep = duration::rep;
    using period = duration::period;
    using time_point = std::chrono::time_point<Clock>;
    static constexpr bool is_steady = false;
    static time_point now()
    {
        return time_point(duration(timer_now()));
    }
};

using Timer = asio::basic_waitable_timer<Clock>;

struct Timed {
    work_job job;
    Timed *next;
    Timer timer;
    explicit Timed(asio::io_context &io) : job(), next(nullptr), timer(io)
    {
    }
};

struct Loop {
    asio::io_context io{1}; // one thread: it locks less
    Timed *ready = nullptr;
    Timed **last = &ready;
    std::uint64_t pending = 0;
};

Timed *timed_new(Loop *l, std::uint64_t i)
{
    auto *t = new Timed(l->io);
    work_job_fill(&t->job, work_input(i));
    return t;
}

void *start(std::uint64_t)
{
    return new Loop;
}

void insert(void *self, std::uint64_t first, std::uint64_t count)
{
    auto *l = static_cast<Loop *>(self);
    for (std::uint64_t i = first; i < first + count; i++) {
        Timed *t = timed_new(l, i);
        t->timer.expires_after(Clock::duration(timer_after(i)));
        l->pending++;
        t->timer.async_wait([l, t](const asio::error_code &) {
            *l->last = t;
            l->last = &t->next;
            l->pending--;
        });
    }
}

void expire(void *self)
{
    auto *l = static_cast<Loop *>(self);
    // It has set a timerfd and knows nothing of leaps; a timer that is due makes it look at its clock.
    Timer look(l->io);
    bool has_looked = false;
    look.expires_at(Clock::time_point(Clock::duration(0)));
    look.async_wait([&has_looked](const asio::error_code &) { has_looked = true; });
    l->io.restart();
    while (!has_looked)
        l->io.poll();
}

void finish(void *self)
{
    auto *l = static_cast<Loop *>(self);
    for (Timed *t = l->ready, *next; t; t = next) {
        next = t->next;
        t->job.perform(&t->job);
        delete t;
    }
    l->ready = nullptr;
    l->last = &l->ready;
}

std::uint64_t pending(void *self)
{
    return static_cast<Loop *>(self)->pending;
}

void stop(void *self)
{
    delete static_cast<Loop *>(self);
}

void lateness(std::uint64_t count)
{
    Loop l;
    for (std::uint64_t i = 0; i < count; i++) {
        Timed *t = timed_new(&l, i);
        timer_put_off(i);
        t->timer.expires_after(Clock::duration(timer_soon(i)));
        t->timer.async_wait([t, i](const asio::error_code &) {
            timer_late(i);
            delete t;
        });
    }
    l.io.run();
}

} // namespace

extern "C" const timer_peer timer_asio = {
    {"asio", "timers of Asio " BENCH_ASIO, 0, nullptr, nullptr, nullptr},
    start,
    insert,
    nullptr,
    expire,
    finish,
    pending,
    stop,
    0,
    lateness,
};
