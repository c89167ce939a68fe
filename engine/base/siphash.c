#include "engine/base/siphash.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#define TO_LITTLE(x) __builtin_bswap64(x)
#else
#define TO_LITTLE(x) (x)
#endif

void tq_siphash_bytes(struct tq_siphash *hash, const void *data, size_t size)
{
    const unsigned char *at = data;
    struct tq_siphash state = *hash; /* in registers: the caller's could be what `data` points to */
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        tq_siphash_u64(&state, TO_LITTLE(word));
    }
    for (; size; size--, at++)
        tq_siphash_u8(&state, *at);
    *hash = state;
}
