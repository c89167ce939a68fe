#include "engine/core/zone.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/base/error.h"

static const char system_directory[] = "/usr/share/zoneinfo";

/* ---- the file --------------------------------------------------------------------------------- */

/* Letters, digits, _, + and -, in parts with slashes between them: no name leaves the directory. */
static bool name_ok(const char *name)
{
    bool part = false;
    size_t size = 0;
    for (; *name && size <= TQ_ZONE_NAME_MAX; name++, size++) {
        const char c = *name;
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '_' || c == '+' || c == '-';
        if (!good && !(c == '/' && part))
            return false;
        part = good;
    }
    return part && size <= TQ_ZONE_NAME_MAX;
}

static int open_failed(const char *directory, const char *name, struct trq_error *error)
{
    const int why = errno;
    struct stat there;
    if (why == EMFILE || why == ENFILE || why == ENOMEM)
        return tq_error(error, TRQ_ENOMEM, "time zone \"%s\": no more file descriptors", name);
    if (stat(directory, &there) != 0)
        return tq_error(error, TRQ_EUNKNOWN,
                        "time zone \"%s\": there is no %.100s; the package tzdata brings it", name,
                        directory);
    return tq_error(error, TRQ_EUNKNOWN,
                    "no time zone \"%s\" in %.100s; names are such as Europe/Berlin", name,
                    directory);
}

static bool read_all(int fd, unsigned char *bytes, size_t size)
{
    while (size) {
        const ssize_t n = read(fd, bytes, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes += n;
        size -= (size_t)n;
    }
    return true;
}

static int read_file(struct tq_zone *zone, const char *directory, const char *name,
                     struct trq_error *error)
{
    char path[512];
    struct stat there;
    int result = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", directory, name) >= sizeof path)
        return tq_error(error, TRQ_EUNKNOWN, "time zone \"%s\": its path is too long", name);
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return open_failed(directory, name, error);
    if (fstat(fd, &there) != 0 || !S_ISREG(there.st_mode) || there.st_size <= 0 ||
        there.st_size > TQ_ZONE_FILE_MAX) {
        result = tq_error(error, TRQ_EUNKNOWN, "\"%s\" is no time zone", name);
        goto close_file;
    }
    zone->file_size = (size_t)there.st_size;
    zone->file = tq_alloc_raw(&zone->memory, zone->file_size, 8);
    if (!zone->file)
        result = tq_error(error, TRQ_ENOMEM, "no memory for the time zone \"%s\"", name);
    else if (!read_all(fd, zone->file, zone->file_size))
        result = tq_error(error, TRQ_EUNKNOWN, "time zone \"%s\": its file cannot be read", name);
close_file:
    close(fd);
    return result;
}

/* ---- its form --------------------------------------------------------------------------------- */

static uint32_t be32(const unsigned char *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static int64_t time_at(const struct tq_zone *zone, uint32_t i)
{
    const unsigned char *b = zone->times + (size_t)i * zone->time_size;
    if (zone->time_size == 4)
        return (int32_t)be32(b);
    return (int64_t)((uint64_t)be32(b) << 32 | be32(b + 4));
}

static int32_t offset_of(const struct tq_zone *zone, uint32_t type)
{
    return (int32_t)be32(zone->infos + 6 * (size_t)type);
}

enum { HEADER_SIZE = 44 };

struct header {
    uint32_t ut_count, std_count, leap_count, time_count, type_count, char_count;
    size_t body_size;
};

static bool read_header(const unsigned char *bytes, size_t size, uint32_t time_size,
                        struct header *out)
{
    if (size < HEADER_SIZE || memcmp(bytes, "TZif", 4) != 0)
        return false;
    const struct header h = {
        .ut_count = be32(bytes + 20),
        .std_count = be32(bytes + 24),
        .leap_count = be32(bytes + 28),
        .time_count = be32(bytes + 32),
        .type_count = be32(bytes + 36),
        .char_count = be32(bytes + 40),
    };
    *out = h;
    /* Each count is below the size of the file, so that nothing overflows. */
    if (h.ut_count > size || h.std_count > size || h.leap_count > size || h.time_count > size ||
        h.type_count > size || h.char_count > size)
        return false;
    out->body_size = (size_t)h.time_count * (time_size + 1) + (size_t)h.type_count * 6 +
                     h.char_count + (size_t)h.leap_count * (time_size + 4) + h.std_count +
                     h.ut_count;
    return out->body_size <= size - HEADER_SIZE;
}

/* What the look-ups take for granted. */
static bool table_ok(const struct tq_zone *zone)
{
    if (zone->type_count == 0 || zone->type_count > 256)
        return false;
    for (uint32_t i = 0; i < zone->type_count; i++) {
        const int32_t offset = offset_of(zone, i);
        if (offset < -TQ_ZONE_OFFSET_MAX || offset > TQ_ZONE_OFFSET_MAX)
            return false;
    }
    for (uint32_t i = 0; i < zone->time_count; i++) {
        const int64_t time = time_at(zone, i);
        if (zone->types[i] >= zone->type_count || time < INT64_MIN / 2 || time > INT64_MAX / 2 ||
            (i && time <= time_at(zone, i - 1)))
            return false;
    }
    return true;
}

/* A line feed, the rule or nothing, a line feed. */
static bool take_footer(struct tq_zone *zone, const unsigned char *bytes, size_t size)
{
    if (size < 2 || bytes[0] != '\n')
        return false;
    const unsigned char *end = memchr(bytes + 1, '\n', size - 1);
    if (!end)
        return false;
    const size_t length = (size_t)(end - bytes) - 1;
    zone->has_rule = length > 0;
    return !length || tq_zonerule_parse(&zone->rule, (const char *)bytes + 1, length);
}

/* Version 1 has one part, with times of 32 bits; later ones a second, with 64 bits, and the rule. */
static const char *take_form(struct tq_zone *zone)
{
    static const char *const broken = "is no time zone, or a broken one";
    const unsigned char *bytes = zone->file;
    size_t size = zone->file_size;
    struct header h;
    zone->time_size = 4;
    if (!read_header(bytes, size, 4, &h))
        return broken;
    const bool modern = bytes[4] != 0;
    if (modern) {
        bytes += HEADER_SIZE + h.body_size;
        size -= HEADER_SIZE + h.body_size;
        zone->time_size = 8;
        if (!read_header(bytes, size, 8, &h))
            return broken;
    }
    if (h.leap_count)
        return "counts leap seconds, and our clock does not";
    zone->time_count = h.time_count;
    zone->type_count = h.type_count;
    zone->times = bytes + HEADER_SIZE;
    zone->types = zone->times + (size_t)h.time_count * zone->time_size;
    zone->infos = zone->types + h.time_count;
    if (!table_ok(zone))
        return broken;
    bytes += HEADER_SIZE + h.body_size;
    size -= HEADER_SIZE + h.body_size;
    return !modern || take_footer(zone, bytes, size) ? NULL : broken;
}

int tq_zone_load(struct tq_zone *out, const struct tq_memory *memory, const char *directory,
                 const char *name, struct trq_error *error)
{
    struct tq_zone zone = {.memory = *memory};
    if (name && strcmp(name, "UTC") != 0) {
        if (!name_ok(name))
            return tq_error(error, TRQ_EUNKNOWN,
                            "no time zone \"%.100s\"; names are such as Europe/Berlin", name);
        const int result = read_file(&zone, directory ? directory : system_directory, name, error);
        const char *fault = result < 0 ? NULL : take_form(&zone);
        if (fault)
            tq_error(error, TRQ_EUNKNOWN, "\"%s\" %s", name, fault);
        if (fault || result < 0) {
            tq_zone_unload(&zone);
            return fault ? TRQ_EUNKNOWN : result;
        }
    }
    *out = zone;
    return 0;
}

void tq_zone_unload(struct tq_zone *zone)
{
    tq_free(&zone->memory, zone->file, zone->file_size);
    zone->file = NULL;
}

/* ---- looking up ------------------------------------------------------------------------------- */

/* How many times of the table are not after `at`. */
static uint32_t times_until(const struct tq_zone *zone, int64_t at)
{
    uint32_t low = 0, high = zone->time_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (time_at(zone, middle) <= at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct tq_zone_span tq_zone_at(const struct tq_zone *zone, int64_t at)
{
    struct tq_zone_span span = {INT64_MIN, INT64_MAX, 0};
    if (!zone->file)
        return span;
    const uint32_t i = times_until(zone, at);
    if (i == zone->time_count && zone->has_rule)
        span = tq_zonerule_at(&zone->rule, at);
    else
        span.offset = offset_of(zone, i ? zone->types[i - 1] : 0);
    if (i && span.from < time_at(zone, i - 1))
        span.from = time_at(zone, i - 1);
    if (i < zone->time_count)
        span.until = time_at(zone, i);
    return span;
}
