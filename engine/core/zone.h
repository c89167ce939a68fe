/* Named time zones: how far a zone's clock is ahead of UTC, at any time.
 *
 * They come from the TZif files (RFC 8536) of the system's tzdata, so that new laws come with the system's updates. A
 * file is read whole into one block and checked once; a look-up searches its table, and beyond the table follows the
 * rule at the end of the file.
 *
 * Where: /usr/share/zoneinfo, and nowhere else. TZDIR is not looked at: the library reads no environment. UTC is known
 * without a file. A zone is const once it is loaded; who wants tomorrow's tzdata loads it again.
 *
 * Rejected, each for rule 10.1 (no global state, no abort):
 *   tzset, localtime_r      one zone a process, from the environment, under a lock of the C library
 *   GLib's GTimeZone        thread-safe, in C; but with a global cache, and out of memory it aborts
 *   cctz, ICU               C++ with a global cache of all zones; ICU also has its own data (30 MB), not the system's
 *   libical                 global tables of zones, filled on first use
 *
 * Threads: look-ups by any, wait-free.
 */
#ifndef TQ_CORE_ZONE_H
#define TQ_CORE_ZONE_H

#include <tresque/value.h>

#include "engine/base/memory.h"
#include "engine/core/zonerule.h"

/* A zone's clock is less than 26 hours from UTC. */
enum { TQ_ZONE_OFFSET_MAX = 26 * 3600, TQ_ZONE_FILE_MAX = 1 << 20, TQ_ZONE_NAME_MAX = 100 };

struct tq_zone {
    struct tq_memory memory;
    unsigned char *file; /* NULL: UTC */
    size_t file_size;
    const unsigned char *times; /* big-endian, time_size bytes each, growing */
    const unsigned char *types; /* one byte each: what holds from then on */
    const unsigned char *infos; /* 6 bytes each: the offset, and what nobody asks for here */
    uint32_t time_count, time_size, type_count;
    bool has_rule; /* for times after the last */
    struct tq_zonerule rule;
};

/* directory NULL: the system's. name NULL: UTC.
 * Errors:  TRQ_EUNKNOWN: no such zone, or a file that is none; TRQ_ENOMEM: memory, file descriptors. */
int tq_zone_load(struct tq_zone *out, const struct tq_memory *memory, const char *directory,
                 const char *name, struct trq_error *error);
void tq_zone_unload(struct tq_zone *zone);

/* at: seconds, as far as nanoseconds go. Two spans that follow each other may have one offset. */
struct tq_zone_span tq_zone_at(const struct tq_zone *zone, int64_t at);

#endif
