/* Is this text UTF-8? Strictly: no overlong form, no surrogate, nothing above U+10FFFF.
 *
 * Nearly every text that a job carries is short and ASCII, so that case is inline: one or two loads.
 */
#ifndef TQ_BASE_UTF8_H
#define TQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The general case of tq_utf8_valid. */
bool tq_utf8_check(const char *data, size_t size, size_t *out_bad_at);

/* True: at most 16 bytes, and all are ASCII. Else who knows. */
static inline bool tq_utf8_is_short_ascii(const char *data, size_t size)
{
    uint64_t head = 0;
    uint64_t tail = 0;
    if (size > 16)
        return false;
    if (size >= 8) {
        memcpy(&head, data, 8);
        memcpy(&tail, data + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&head, data, 4);
        memcpy(&tail, data + size - 4, 4);
    } else if (size > 0) {
        head = (unsigned char)(data[0] | data[size >> 1] | data[size - 1]);
    }
    return !((head | tail) & UINT64_C(0x8080808080808080));
}

/* out_bad_at: where the first bad sequence begins, counted from 0; may be NULL, untouched on success.
 * data may be NULL if size is 0. */
static inline bool tq_utf8_valid(const char *data, size_t size, size_t *out_bad_at)
{
    return tq_utf8_is_short_ascii(data, size) || tq_utf8_check(data, size, out_bad_at);
}

/* How much of a text fits into so many bytes: cut between characters. */
static inline size_t tq_utf8_cut(const char *data, size_t size, size_t max)
{
    if (size <= max)
        return size;
    while (max && ((unsigned char)data[max] & 0xC0) == 0x80)
        max--;
    return max;
}

#endif
