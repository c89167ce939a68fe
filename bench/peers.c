#include "bench/peer.h"

#include <stddef.h>

#include "bench/lock.h"
#include "bench/timer.h"

const struct peer *const peers[] = {
    &peer_tresque,
    &peer_loop,
    &peer_mutex,
#ifdef BENCH_GLIB
    &peer_glib,
#endif
#ifdef BENCH_MOODYCAMEL
    &peer_moodycamel,
    &peer_moodycamel_bulk,
#endif
    &timer_heap.peer,
#ifdef BENCH_LIBUV
    &timer_libuv.peer,
#endif
#ifdef BENCH_ASIO
    &timer_asio.peer,
#endif
#ifdef BENCH_GLIB
    &lock_glib.peer,
#endif
    NULL,
};

const char peers_left_out[] = ""
#ifndef BENCH_GLIB
                              " glib glib_table"
#endif
#ifndef BENCH_MOODYCAMEL
                              " moodycamel moodycamel_bulk"
#endif
#ifndef BENCH_LIBUV
                              " libuv"
#endif
#ifndef BENCH_ASIO
                              " asio"
#endif
    ;
