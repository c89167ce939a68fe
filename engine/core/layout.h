/* What registration makes of a declaration of inputs: a table that encoders and readers follow without
 * looking at the declaration again. Only inputs.c, layout.c, the extras, and handler.c for its look-ups see inside.
 */
#ifndef TQ_CORE_LAYOUT_H
#define TQ_CORE_LAYOUT_H

#include <string.h>

#include "engine/core/inputs.h"

enum {
    TQ_FIXED_MAX = 8 * TQ_INPUTS_ROWS_MAX,
    TQ_LAYOUT_SLOTS = 4 * TQ_INPUTS_ROWS_MAX, /* at most a quarter of them is taken */
    TQ_NO_TEXT = UINT16_MAX
};

/* The top bit of a text's end. */
#define TQ_TEXT_ABSENT UINT32_C(0x80000000)
/* No encoding is larger: sizes fit 28 bits, beside a type. The engine's own bound is 16 MiB. */
#define TQ_INPUTS_SIZE_MAX (((size_t)1 << 28) - 1)

/* The first and the last eight bytes of a name (they overlap if it is shorter): with the size they are the
 * whole of a name of up to 16 bytes, so most names are compared without a call. */
struct tq_name_words {
    uint64_t head;
    uint64_t tail;
};

static inline struct tq_name_words tq_name_words(const char *name, size_t size)
{
    struct tq_name_words words = {0, 0};
    if (size >= 8) {
        memcpy(&words.head, name, 8);
        memcpy(&words.tail, name + size - 8, 8);
    } else if (size >= 4) {
        memcpy(&words.head, name, 4);
        memcpy(&words.tail, name + size - 4, 4);
    } else if (size > 0) {
        const unsigned char *byte = (const unsigned char *)name;
        words.head = (uint64_t)byte[0] << 16 | (uint64_t)byte[size >> 1] << 8 | byte[size - 1];
    }
    return words;
}

/* Names that differ in the middle only collide; the rows are few and declared by the program, so a
 * stranger's names cannot make a probe long. */
static inline uint32_t tq_name_hash(struct tq_name_words words, size_t size)
{
    const uint64_t mixed = (words.head + size) * UINT64_C(0x9E3779B97F4A7C15) ^
                           (words.tail + (words.tail >> 29)) * UINT64_C(0xC2B2AE3D27D4EB4F);
    return (uint32_t)(mixed >> 40);
}

struct tq_row {
    const char *declared; /* the name's address in the declaration */
    struct tq_name_words words;
    const char *name;
    uint32_t name_size;
    uint32_t field; /* offset in the struct form */
    uint16_t at;    /* offset in the fixed part */
    uint16_t
        before; /* where the end of the text before this one stands; TQ_NO_TEXT: this is the first */
    uint8_t type;
    bool required;
    struct trq_value value; /* the default; a text whose data is NULL: absent */
};

/* Shape: one block; the rows, and behind them the names and default texts. */
struct tq_layout {
    size_t block_size;
    const char *worker;
    uint64_t required; /* bit i: row i */
    uint64_t
        seed; /* of the extras' hash: unknown outside, so that nobody can choose names that collide */
    size_t struct_size;
    uint32_t row_count;
    uint32_t fixed_size;
    uint32_t slot_mask;
    uint32_t name_size_max;
    uint16_t text_last; /* where the end of the last text stands; TQ_NO_TEXT: there is none */
    uint8_t slot[TQ_LAYOUT_SLOTS]; /* by name: index of the row plus one; 0: free */
    struct tq_row row[];
};

/* The row of that name, or NULL. */
static inline const struct tq_row *tq_layout_find(const struct tq_layout *layout, const char *name,
                                                  size_t size)
{
    const struct tq_name_words words = tq_name_words(name, size);
    uint32_t at = tq_name_hash(words, size) & layout->slot_mask;
    for (; layout->slot[at]; at = (at + 1) & layout->slot_mask) {
        const struct tq_row *row = &layout->row[layout->slot[at] - 1];
        if (row->name_size == size && row->words.head == words.head &&
            row->words.tail == words.tail && (size <= 16 || memcmp(row->name, name, size) == 0))
            return row;
    }
    return NULL;
}

/* "<worker>: input <name><format ...>" as TRQ_EINPUT, which it returns. What the name holds may come from
 * a stranger: control bytes are shown as ?, and a long name is cut between letters. */
int tq_input_error(const struct tq_layout *layout, struct trq_str name, struct trq_error *error,
                   const char *format, ...) TRQ_PRINTF(4, 5);

#endif
