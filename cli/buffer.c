#include "cli/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void tq_buffer_fini(struct tq_buffer *buffer)
{
    free(buffer->data);
    memset(buffer, 0, sizeof *buffer);
}

void tq_buffer_clear(struct tq_buffer *buffer)
{
    buffer->size = 0;
    buffer->failed = false;
}

static bool grow(struct tq_buffer *buffer, size_t more)
{
    if (buffer->failed)
        return false;
    if (more <= buffer->capacity - buffer->size)
        return true;
    size_t capacity = buffer->capacity ? buffer->capacity : 512;
    while (capacity - buffer->size < more)
        capacity *= 2;
    char *data = realloc(buffer->data, capacity);
    if (!data) {
        buffer->failed = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void tq_buffer_add(struct tq_buffer *buffer, const char *data, size_t size)
{
    if (size == 0 || !grow(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void tq_buffer_print(struct tq_buffer *buffer, const char *format, ...)
{
    char text[256]; /* all uses are short: numbers and fixed words */
    va_list args;
    va_start(args, format);
    const int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0 || (size_t)n >= sizeof text)
        buffer->failed = true;
    else
        tq_buffer_add(buffer, text, (size_t)n);
}

static bool is_tail(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* Bytes of the well-formed UTF-8 sequence at data[0], or 0 (table 3-7 of the Unicode standard). */
static size_t sequence(const unsigned char *data, size_t size)
{
    const unsigned char lead = data[0];
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || lead > 0xF4 || size < 2)
        return 0;
    const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    if (data[1] < low || data[1] > high)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (size < 3 || !is_tail(data[2]))
        return 0;
    if (lead < 0xF0)
        return 3;
    return size >= 4 && is_tail(data[3]) ? 4 : 0;
}

static void add_escape(struct tq_buffer *buffer, unsigned char byte)
{
    static const char names[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (const char *name = names; *name; name += 2)
        if ((unsigned char)*name == byte) {
            const char escape[2] = {'\\', name[1]};
            tq_buffer_add(buffer, escape, sizeof escape);
            return;
        }
    tq_buffer_print(buffer, "\\u%04x", (unsigned)byte);
}

/* data may be NULL when there is nothing from here to there. */
static void add_run(struct tq_buffer *buffer, const char *data, size_t begin, size_t end)
{
    if (begin < end)
        tq_buffer_add(buffer, data + begin, end - begin);
}

void tq_buffer_add_string(struct tq_buffer *buffer, const char *data, size_t size)
{
    const unsigned char *bytes = (const unsigned char *)data;
    size_t plain = 0; /* where the run of bytes began that go in as they are */
    tq_buffer_add(buffer, "\"", 1);
    for (size_t at = 0; at < size;) {
        const unsigned char byte = bytes[at];
        const size_t length = sequence(bytes + at, size - at);
        if (length > 0 && byte >= 0x20 && byte != '"' && byte != '\\') {
            at += length;
            continue;
        }
        add_run(buffer, data, plain, at);
        if (length == 0)
            tq_buffer_add(buffer, "\xEF\xBF\xBD", 3);
        else
            add_escape(buffer, byte);
        plain = ++at;
    }
    add_run(buffer, data, plain, size);
    tq_buffer_add(buffer, "\"", 1);
}
