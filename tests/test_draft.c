/* A dictionary under change: reads as one, against a naive model; copies live as long as it; and every allocation may fail. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/base/memory.h"
#include "engine/core/draft.h"
#include "engine/core/inputs.h"

/* ---- memory that fails at the k-th call, and knows what is not given back ------------------------- */

static long left = -1; /* calls until it fails; negative: never */
static long blocks;

static void *failing_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    (void)align;
    if (left == 0)
        return NULL;
    left -= left > 0;
    blocks++;
    return malloc(size);
}
static void failing_free(void *context, void *block, size_t size)
{
    (void)context;
    memset(block, 0xDD, size); /* a wrong size is seen here */
    blocks--;
    free(block);
}
static const struct tq_memory memory = {failing_alloc, failing_free, NULL};

/* ---- a draft of some bytes -------------------------------------------------------------------------- */

static struct tq_layout *bare;
static unsigned char bytes[1 << 16];

static void open_draft(struct tq_draft *draft, struct trq_dict dict)
{
    const long before = left;
    left = -1;
    if (!bare)
        cr_assert_eq(tq_layout_create(&memory, "HardWorker", NULL, &bare, NULL), TRQ_OK);
    left = before;
    const long size =
        tq_inputs_from_dict(bare, dict, false, bytes, sizeof bytes, sizeof bytes, NULL);
    cr_assert(size >= 0 && (size_t)size <= sizeof bytes);
    tq_draft_init(draft, draft, &memory, bare, bytes, (size_t)size, 10000);
}

static void close_draft(struct tq_draft *draft)
{
    tq_draft_fini(draft);
    tq_layout_destroy(&memory, bare);
    bare = NULL;
    cr_assert_eq(blocks, 0);
}

static struct trq_value str(const char *text)
{
    return (struct trq_value){.type = TRQ_STR, .u.s = trq_str_of(text)};
}
static struct trq_value i64(int64_t i)
{
    return (struct trq_value){.type = TRQ_I64, .u.i = i};
}
static int set(struct tq_draft *draft, const char *name, struct trq_value value)
{
    return tq_draft_set(draft, trq_str_of(name), &value);
}
static int unset(struct tq_draft *draft, const char *name)
{
    return tq_draft_unset(draft, trq_str_of(name));
}
static bool has_str(const struct tq_draft *draft, const char *name, const char *text)
{
    struct trq_value v;
    return tq_draft_get(draft, trq_str_of(name), &v) && v.type == TRQ_STR &&
           v.u.s.size == strlen(text) && memcmp(v.u.s.data, text, v.u.s.size) == 0;
}
static bool has(const struct tq_draft *draft, const char *name)
{
    struct trq_value v;
    return tq_draft_get(draft, trq_str_of(name), &v);
}

/* "a b c": the names of all of it, in their order. */
static const char *names(struct tq_draft *draft)
{
    static char text[200];
    struct trq_dict dict;
    size_t n = 0;
    text[0] = '\0';
    cr_assert_eq(tq_draft_dict(draft, &dict), TRQ_OK);
    for (size_t i = 0; i < dict.count; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%.*s", i ? " " : "",
                              (int)dict.kv[i].key.size, dict.kv[i].key.data);
    return text;
}

/* ---- claims ------------------------------------------------------------------------------------------- */

Test(draft, without_a_change_it_is_what_was_there)
{
    struct tq_draft draft;
    open_draft(&draft, TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("count", 3)));
    cr_assert_str_eq(names(&draft), "name count");
    cr_assert(has_str(&draft, "name", "ann"));
    cr_assert_not(has(&draft, "nam"));
    cr_assert_eq(unset(&draft, "nam"), TRQ_GONE);
    close_draft(&draft);
    open_draft(&draft, TRQ_DICT_NONE);
    cr_assert_str_eq(names(&draft), "");
    close_draft(&draft);
}

Test(draft, what_is_set_is_read_and_what_is_unset_is_not)
{
    struct tq_draft draft;
    open_draft(&draft, TRQ_DICT(TRQ_KV("a", 1), TRQ_KV("b", "two"), TRQ_KV("c", 3)));
    cr_assert_eq(set(&draft, "d", i64(4)), TRQ_OK);
    cr_assert_eq(set(&draft, "b", str("deux")), TRQ_OK);
    cr_assert_eq(unset(&draft, "a"), TRQ_OK);
    cr_assert_eq(unset(&draft, "a"), TRQ_GONE);
    cr_assert_not(has(&draft, "a"));
    cr_assert(has_str(&draft, "b", "deux"));
    cr_assert_str_eq(names(&draft), "b c d");
    cr_assert_eq(set(&draft, "a", str("back")), TRQ_OK);
    cr_assert_eq(unset(&draft, "d"), TRQ_OK);
    cr_assert_not(has(&draft, "d"));
    cr_assert_str_eq(names(&draft), "a b c");
    cr_assert_eq(set(&draft, "e", str("")), TRQ_OK);
    cr_assert(has_str(&draft, "e", ""));
    close_draft(&draft);
}

Test(draft, an_absent_text_unsets)
{
    struct tq_draft draft;
    open_draft(&draft, TRQ_DICT(TRQ_KV("a", 1)));
    cr_assert_eq(set(&draft, "a", str(NULL)), TRQ_OK);
    cr_assert_eq(set(&draft, "none", str(NULL)), TRQ_OK);
    cr_assert_str_eq(names(&draft), "");
    close_draft(&draft);
}

Test(draft, what_was_read_stays_good_when_it_is_changed)
{
    struct tq_draft draft;
    struct trq_value old, first;
    char own[] = "first";
    open_draft(&draft, TRQ_DICT(TRQ_KV("a", "old")));
    cr_assert(tq_draft_get(&draft, trq_str_of("a"), &old));
    cr_assert_eq(set(&draft, "a", str(own)), TRQ_OK);
    memset(own, 'x', 5); /* the caller's text is not kept */
    cr_assert(tq_draft_get(&draft, trq_str_of("a"), &first));
    for (int i = 0; i < 100; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        cr_assert_eq(set(&draft, "a", first), TRQ_OK); /* its own value again */
        cr_assert_eq(set(&draft, name, old), TRQ_OK);
    }
    cr_assert_eq(memcmp(old.u.s.data, "old", 3), 0);
    cr_assert_eq(memcmp(first.u.s.data, "first", 5), 0);
    cr_assert(has_str(&draft, "a", "first"));
    cr_assert(has_str(&draft, "n99", "old"));
    close_draft(&draft);
}

Test(draft, what_no_input_can_be_is_refused_and_changes_nothing)
{
    static char big[10002];
    struct tq_draft draft;
    struct trq_value json = {.type = TRQ_JSON, .u.s = trq_str_of("{\"a\":[1,")};
    struct trq_value no_type = {.type = (enum trq_type)7};
    struct trq_value long_text = {.type = TRQ_STR, .u.s = {big, 9999}};
    memset(big, 'x', sizeof big - 1);
    open_draft(&draft, TRQ_DICT(TRQ_KV("a", "old")));
    cr_assert_eq(set(&draft, "a", str("\xff")), TRQ_EINPUT);
    cr_assert_eq(set(&draft, "\xff", i64(1)), TRQ_EINPUT);
    cr_assert_eq(set(&draft, "a", json), TRQ_EINPUT);
    cr_assert_eq(set(&draft, "a", no_type), TRQ_EINPUT);
    cr_assert_eq(set(&draft, big, i64(1)), TRQ_EINPUT);
    cr_assert_eq(set(&draft, "ab", long_text), TRQ_EINPUT);
    cr_assert(has_str(&draft, "a", "old"));
    cr_assert_str_eq(names(&draft), "a");
    cr_assert_not(draft.short_of_memory);
    cr_assert_eq(set(&draft, "b", long_text), TRQ_OK);
    json.u.s = trq_str_of("{\"a\":[1,{\"b\":null}]}");
    cr_assert_eq(set(&draft, "a", json), TRQ_OK);
    close_draft(&draft);
}

/* ---- against a model ---------------------------------------------------------------------------------- */

enum { NAMES = 40 };

static struct {
    bool there;
    int64_t value;
} model[NAMES];

static void agree(struct tq_draft *draft)
{
    struct trq_dict dict;
    size_t count = 0;
    for (int i = 0; i < NAMES; i++) {
        char name[8];
        struct trq_value v;
        snprintf(name, sizeof name, "%d", i);
        cr_assert_eq(tq_draft_get(draft, trq_str_of(name), &v), model[i].there);
        cr_assert(!model[i].there || v.u.i == model[i].value);
        count += model[i].there;
    }
    cr_assert_eq(tq_draft_dict(draft, &dict), TRQ_OK);
    cr_assert_eq(dict.count, count);
    for (size_t i = 0; i < dict.count; i++) {
        char name[8] = "";
        memcpy(name, dict.kv[i].key.data, dict.kv[i].key.size);
        const int at = atoi(name);
        cr_assert(model[at].there && dict.kv[i].value.u.i == model[at].value);
    }
}

Test(draft, any_changes_are_those_of_a_plain_table)
{
    srand(7);
    for (int round = 0; round < 50; round++) {
        struct trq_kv kv[NAMES];
        char text[NAMES][8];
        struct tq_draft draft;
        size_t count = 0;
        for (int i = 0; i < NAMES; i++) {
            model[i].there = rand() % 2;
            model[i].value = i;
            snprintf(text[i], sizeof text[i], "%d", i);
            if (model[i].there)
                kv[count++] = (struct trq_kv){trq_str_of(text[i]), i64(i)};
        }
        open_draft(&draft, (struct trq_dict){kv, count});
        for (int step = 0; step < 100; step++) {
            const int at = rand() % NAMES;
            if (rand() % 3) {
                model[at].there = true;
                model[at].value = rand();
                cr_assert_eq(set(&draft, text[at], i64(model[at].value)), TRQ_OK);
            } else {
                cr_assert_eq(unset(&draft, text[at]), model[at].there ? TRQ_OK : TRQ_GONE);
                model[at].there = false;
            }
            if (step % 10 == 0)
                agree(&draft);
        }
        agree(&draft);
        close_draft(&draft);
    }
}

/* ---- without memory ------------------------------------------------------------------------------------ */

static bool change_much(struct tq_draft *draft)
{
    struct trq_dict dict;
    bool good = true;
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        const int rc = set(draft, name, str("text"));
        cr_assert(rc == TRQ_OK || rc == TRQ_ENOMEM);
        cr_assert_eq(has(draft, name), rc == TRQ_OK);
        good &= rc == TRQ_OK;
    }
    const int rc = unset(draft, "a");
    cr_assert_eq(has(draft, "a"), rc == TRQ_ENOMEM);
    good &= rc == TRQ_OK;
    good &= tq_draft_dict(draft, &dict) == TRQ_OK;
    return good;
}

Test(draft, any_allocation_may_fail_and_it_says_so)
{
    for (long k = 0;; k++) {
        struct tq_draft draft;
        open_draft(&draft, TRQ_DICT(TRQ_KV("a", "old")));
        left = k;
        const bool good = change_much(&draft);
        const bool failed = left == 0;
        left = -1;
        cr_assert_eq(good, !draft.short_of_memory);
        cr_assert(good || failed);
        close_draft(&draft);
        if (!failed)
            break;
        cr_assert_lt(k, 200);
    }
}
