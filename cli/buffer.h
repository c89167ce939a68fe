/* Bytes that grow, and JSON text put into them.
 *
 * Shape:   zero-initialised is empty.
 * Errors:  out of memory sets `failed`; what is added after that is left out.
 * Threads: owner.
 */
#ifndef TQ_CLI_BUFFER_H
#define TQ_CLI_BUFFER_H

#include <tresque/value.h>

struct tq_buffer {
    char *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void tq_buffer_fini(struct tq_buffer *buffer);
/* Empty again; the memory is kept. */
void tq_buffer_clear(struct tq_buffer *buffer);

void tq_buffer_add(struct tq_buffer *buffer, const char *data, size_t size);
void tq_buffer_print(struct tq_buffer *buffer, const char *format, ...) TRQ_PRINTF(2, 3);
/* As a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD each. */
void tq_buffer_add_string(struct tq_buffer *buffer, const char *data, size_t size);

#endif
