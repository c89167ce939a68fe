#include "engine/core/draft.h"

#include <string.h>

#include "engine/base/memory.h"
#include "engine/base/utf8.h"
#include "engine/core/inputs.h"
#include "engine/core/json.h"

struct tq_change {
    struct trq_kv kv;
    bool unset;
};

struct tq_copy {
    struct tq_copy *next;
    size_t size; /* of all of it */
    char text[];
};

enum { CHANGES_FIRST = 8 };

void tq_draft_init(struct tq_draft *draft, const void *of, const struct tq_memory *memory,
                   const struct tq_layout *bare, const unsigned char *bytes, size_t size,
                   size_t size_max)
{
    *draft = (struct tq_draft){
        .of = of,
        .memory = memory,
        .bare = bare,
        .bytes = bytes,
        .size = size,
        .size_max = size_max,
    };
}

static void free_all(struct tq_draft *draft)
{
    tq_free(draft->memory, draft->all, draft->all_size);
    draft->all = NULL;
}

void tq_draft_fini(struct tq_draft *draft)
{
    free_all(draft);
    tq_free(draft->memory, draft->changes, draft->room * sizeof *draft->changes);
    while (draft->copies) {
        struct tq_copy *copy = draft->copies;
        draft->copies = copy->next;
        tq_free(draft->memory, copy, copy->size);
    }
}

static int out_of_memory(struct tq_draft *draft)
{
    draft->short_of_memory = true;
    return TRQ_ENOMEM;
}

/* ---- names ------------------------------------------------------------------------------------------------- */

static struct tq_change *find(const struct tq_draft *draft, struct trq_str name)
{
    for (size_t i = 0; i < draft->count; i++) {
        const struct trq_str key = draft->changes[i].kv.key;
        if (key.size == name.size && memcmp(key.data, name.data, name.size) == 0)
            return &draft->changes[i];
    }
    return NULL;
}

static bool was_there(const struct tq_draft *draft, struct trq_str name, struct trq_value *out)
{
    return tq_inputs_get(draft->bare, draft->bytes, draft->size, name.data, name.size, out);
}

bool tq_draft_get(const struct tq_draft *draft, struct trq_str name, struct trq_value *out)
{
    const struct tq_change *change = find(draft, name);
    if (!change)
        return was_there(draft, name, out);
    if (!change->unset)
        *out = change->kv.value;
    return !change->unset;
}

/* ---- changing ---------------------------------------------------------------------------------------------- */

/* Room for one more change. */
static bool grow(struct tq_draft *draft)
{
    const size_t room = draft->room ? 2 * draft->room : CHANGES_FIRST;
    if (draft->count < draft->room)
        return true;
    struct tq_change *larger = tq_alloc_raw(draft->memory, room * sizeof *larger, 16);
    if (!larger)
        return false;
    if (draft->count)
        memcpy(larger, draft->changes, draft->count * sizeof *larger);
    tq_free(draft->memory, draft->changes, draft->room * sizeof *larger);
    draft->changes = larger;
    draft->room = room;
    return true;
}

/* Both texts, one behind the other. NULL: out of memory. */
static const char *keep(struct tq_draft *draft, struct trq_str a, struct trq_str b)
{
    const size_t size = sizeof(struct tq_copy) + a.size + b.size;
    struct tq_copy *copy = tq_alloc_raw(draft->memory, size, _Alignof(struct tq_copy));
    if (!copy)
        return NULL;
    copy->size = size;
    copy->next = draft->copies;
    draft->copies = copy;
    if (a.size)
        memcpy(copy->text, a.data, a.size);
    if (b.size)
        memcpy(copy->text + a.size, b.data, b.size);
    return copy->text;
}

static bool is_text(const struct trq_value *value)
{
    return value->type == TRQ_STR || value->type == TRQ_JSON;
}

static int check(const struct tq_draft *draft, struct trq_str name, const struct trq_value *value)
{
    char why[TQ_JSON_WHY_SIZE];
    if ((unsigned)value->type > TRQ_JSON || name.size > draft->size_max ||
        !tq_utf8_valid(name.data, name.size, NULL))
        return TRQ_EINPUT;
    if (!is_text(value))
        return TRQ_OK;
    if (value->u.s.size > draft->size_max - name.size)
        return TRQ_EINPUT;
    if (value->type == TRQ_JSON)
        return tq_json_check(value->u.s, why, sizeof why);
    return tq_utf8_valid(value->u.s.data, value->u.s.size, NULL) ? TRQ_OK : TRQ_EINPUT;
}

/* The change of that name, perhaps a new one that says nothing yet; the text is copied. NULL: out of memory. */
static struct tq_change *change_of(struct tq_draft *draft, struct trq_str name, struct trq_str text,
                                   const char **out_text)
{
    static const struct trq_str nothing = {"", 0};
    struct tq_change *change = find(draft, name);
    if (!change && !grow(draft))
        return NULL;
    const struct trq_str own = change ? nothing : name;
    const char *kept = "";
    if (own.size + text.size && !(kept = keep(draft, own, text)))
        return NULL;
    if (!change) {
        change = &draft->changes[draft->count++];
        *change = (struct tq_change){.kv.key = {kept, own.size}, .unset = true};
    }
    *out_text = kept + own.size;
    return change;
}

int tq_draft_set(struct tq_draft *draft, struct trq_str name, const struct trq_value *value)
{
    if (is_text(value) && !value->u.s.data) {
        const int rc = tq_draft_unset(draft, name);
        return rc == TRQ_GONE ? TRQ_OK : rc;
    }
    const struct trq_str text = is_text(value) ? value->u.s : (struct trq_str){"", 0};
    const int rc = check(draft, name, value);
    if (rc < 0)
        return rc == TRQ_ENOMEM ? out_of_memory(draft) : rc;
    const char *kept;
    struct tq_change *change = change_of(draft, name, text, &kept);
    if (!change)
        return out_of_memory(draft);
    free_all(draft);
    change->unset = false;
    change->kv.value = *value;
    if (is_text(value))
        change->kv.value.u.s.data = kept;
    return TRQ_OK;
}

int tq_draft_unset(struct tq_draft *draft, struct trq_str name)
{
    static const struct trq_str nothing = {"", 0};
    struct trq_value value;
    const char *kept;
    if (!tq_draft_get(draft, name, &value))
        return TRQ_GONE;
    struct tq_change *change = change_of(draft, name, nothing, &kept);
    if (!change)
        return out_of_memory(draft);
    free_all(draft);
    change->unset = true;
    return TRQ_OK;
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

int tq_draft_dict(struct tq_draft *draft, struct trq_dict *out)
{
    struct trq_kv kv;
    size_t was = 0, count = 0;
    while (tq_inputs_at(draft->bare, draft->bytes, draft->size, was, &kv))
        was++;
    free_all(draft);
    draft->all_size = (was + draft->count + 1) * sizeof kv;
    draft->all = tq_alloc_raw(draft->memory, draft->all_size, _Alignof(struct trq_kv));
    if (!draft->all)
        return out_of_memory(draft);
    for (size_t i = 0; i < was && tq_inputs_at(draft->bare, draft->bytes, draft->size, i, &kv); i++)
        if (tq_draft_get(draft, kv.key, &kv.value))
            draft->all[count++] = kv;
    for (size_t i = 0; i < draft->count; i++) {
        const struct tq_change *change = &draft->changes[i];
        struct trq_value before;
        if (!change->unset && !was_there(draft, change->kv.key, &before))
            draft->all[count++] = change->kv;
    }
    *out = (struct trq_dict){draft->all, count};
    return TRQ_OK;
}
