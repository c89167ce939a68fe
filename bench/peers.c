#include "bench/peer.h"

#include <stddef.h>

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
    NULL,
};

const char peers_left_out[] = ""
#ifndef BENCH_GLIB
                              " glib"
#endif
#ifndef BENCH_MOODYCAMEL
                              " moodycamel moodycamel_bulk"
#endif
    ;
