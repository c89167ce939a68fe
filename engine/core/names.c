#include "engine/core/names.h"

#include <string.h>

#include "engine/base/memory.h"

/* ck's allocator callbacks carry no context. The writer puts its set here for the time of a call. */
static _Thread_local struct tq_names *allocating;

/* Before each block: what is needed to free it later. */
struct header {
    ck_epoch_entry_t entry; /* first: ck_epoch hands it back */
    const struct tq_memory *memory;
    size_t size;
};

static void *names_malloc(size_t size)
{
    struct header *h = tq_alloc_raw(allocating->memory, sizeof *h + size, _Alignof(max_align_t));
    if (!h)
        return NULL;
    h->memory = allocating->memory;
    h->size = sizeof *h + size;
    return h + 1;
}

static void free_block(ck_epoch_entry_t *entry)
{
    struct header *h = (struct header *)(void *)entry;
    tq_free(h->memory, h, h->size);
}

static void names_free(void *block, size_t size, bool defer)
{
    (void)size;
    struct header *h = (struct header *)block - 1;
    if (defer)
        ck_epoch_call(allocating->writer, &h->entry, free_block);
    else
        free_block(&h->entry);
}

static struct ck_malloc names_allocator = {.malloc = names_malloc, .free = names_free};

static unsigned long hash_part(unsigned long h, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)text[i]) * 1099511628211ul;
    return h;
}

static unsigned long hash_name(const void *object, unsigned long seed)
{
    const struct tq_name *name = object;
    unsigned long h = hash_part(seed, name->text, name->first_size);
    if (name->second)
        h = hash_part(hash_part(h, "_", 1), name->second, name->size - name->first_size - 1);
    return h;
}

/* What is stored is in one piece; what is looked for may be in two. */
static bool same_name(const void *stored, const void *looked_for)
{
    const struct tq_name *a = stored, *b = looked_for;
    if (a == b)
        return true; /* removal of what was not published */
    /* acq: pairs tq_names_publish */
    if (!tq_load(&a->published, acquire) || a->size != b->size)
        return false;
    if (!b->second)
        return memcmp(a->text, b->text, a->size) == 0;
    return memcmp(a->text, b->text, b->first_size) == 0 && a->text[b->first_size] == '_' &&
           memcmp(a->text + b->first_size + 1, b->second, a->size - b->first_size - 1) == 0;
}

bool tq_names_init(struct tq_names *names, const struct tq_memory *memory, unsigned long seed,
                   ck_epoch_record_t *writer)
{
    names->memory = memory;
    names->writer = writer;
    allocating = names;
    return ck_hs_init(&names->set, CK_HS_MODE_SPMC | CK_HS_MODE_OBJECT | CK_HS_MODE_DELETE,
                      hash_name, same_name, &names_allocator, 64, seed);
}

void tq_names_fini(struct tq_names *names)
{
    allocating = names;
    if (names->set.map)
        ck_hs_destroy(&names->set);
}

bool tq_names_put(struct tq_names *names, struct tq_name *name)
{
    allocating = names;
    name->first_size = name->size;
    name->second = NULL;
    return ck_hs_put(&names->set, CK_HS_HASH(&names->set, hash_name, name), name);
}

void tq_names_publish(struct tq_name *name)
{
    tq_store(&name->published, 1, release); /* rel: pairs same_name */
}

void tq_names_remove(struct tq_names *names, struct tq_name *name)
{
    allocating = names;
    ck_hs_remove(&names->set, CK_HS_HASH(&names->set, hash_name, name), name);
}

struct tq_name *tq_names_get(struct tq_names *names, ck_epoch_record_t *reader, const char *first,
                             const char *second)
{
    struct tq_name wanted = {.text = first, .first_size = strlen(first), .second = second};
    wanted.size = wanted.first_size + (second ? 1 + strlen(second) : 0);
    unsigned long hash = CK_HS_HASH(&names->set, hash_name, &wanted);
    ck_epoch_begin(reader, NULL);
    struct tq_name *found = ck_hs_get(&names->set, hash, &wanted);
    ck_epoch_end(reader, NULL);
    return found;
}
