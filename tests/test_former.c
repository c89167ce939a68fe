/* Former inputs as the present declaration reads them: the same values and keys that it would have made of them. */
#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

#include <tresque/enqueue.h>

#include "engine/base/memory.h"
#include "engine/core/former.h"
#include "engine/core/inputs.h"
#include "engine/core/key.h"
#include "engine/core/layout.h"

#define HARD_INPUTS(F, W)                                                                          \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, count, TRQ_OPTIONAL, 7)                                                              \
    F(W, bool, flag, TRQ_OPTIONAL, true)                                                           \
    F(W, f64, ratio, TRQ_OPTIONAL, 0.5)                                                            \
    F(W, json, data, TRQ_OPTIONAL, "[1, 2]")                                                       \
    F(W, str, note, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(hard, HARD_INPUTS);

static enum trq_end perform(struct trq_job *job)
{
    (void)job;
    return TRQ_DONE;
}
const struct trq_worker hard = {TRQ_WORKER(hard, "Hard"), .perform = perform};

static const char *const all_names[] = {"name", "count", "flag", "ratio", "data", "note"};
enum { ALL = sizeof all_names / sizeof all_names[0], BYTES = 4096 };

static struct tq_memory memory;
static struct tq_layout *present, *bare;
static unsigned char old[BYTES], new[BYTES];
static struct tq_former former;
static long new_size; /* negative: the present declaration refuses it */

static void open_layouts(void)
{
    tq_memory_init(&memory, NULL);
    cr_assert_eq(tq_layout_create(&memory, "Hard", &hard_inputs, &present, NULL), TRQ_OK);
    cr_assert_eq(tq_layout_create(&memory, "Hard", NULL, &bare, NULL), TRQ_OK);
}
static void close_layouts(void)
{
    tq_layout_destroy(&memory, present);
    tq_layout_destroy(&memory, bare);
}
TestSuite(former, .init = open_layouts, .fini = close_layouts);

/* One dictionary, of a job of another version and of one of this. */
static void take(struct trq_dict dict)
{
    const long size = tq_inputs_from_dict(bare, dict, false, old, BYTES, BYTES, NULL);
    cr_assert(size >= 0 && size <= BYTES);
    former =
        (struct tq_former){.present = present, .bare = bare, .bytes = old, .size = (size_t)size};
    new_size = tq_inputs_from_dict(present, dict, false, new, BYTES, BYTES, NULL);
}

static bool get(const char *name, struct trq_value *out)
{
    return tq_former_get(&former, name, strlen(name), out);
}

/* ---- keys ---------------------------------------------------------------------------------------------- */

static struct tq_key_prefix prefix;

static void begin(struct trq_key *key)
{
    static const struct tq_secret secret = {1, 2};
    tq_key_prefix_make(&prefix, &secret, 'q', "Hard");
    tq_key_begin(key, &prefix);
}
static struct tq_digest old_key(const char *const *names, size_t count)
{
    struct trq_key key;
    begin(&key);
    if (names)
        tq_former_key_names(&key, &former, names, count);
    else
        tq_former_key_all(&key, &former);
    return tq_key_end(&key);
}
static struct tq_digest new_key(const char *const *names, size_t count)
{
    struct trq_key key;
    begin(&key);
    if (names)
        tq_key_names(&key, present, new, (size_t)new_size, names, count);
    else
        tq_key_all(&key, present, new, (size_t)new_size);
    return tq_key_end(&key);
}

static void same_keys(struct trq_dict dict)
{
    take(dict);
    cr_assert(new_size >= 0);
    cr_expect(tq_digest_same(old_key(all_names, ALL), new_key(all_names, ALL)));
    cr_expect(tq_digest_same(old_key(NULL, 0), new_key(NULL, 0)));
    for (size_t i = 0; i < ALL; i++)
        cr_expect(tq_digest_same(old_key(&all_names[i], 1), new_key(&all_names[i], 1)), "%s",
                  all_names[i]);
}

static struct trq_kv json(const char *name, const char *text)
{
    return (struct trq_kv){trq_str_of(name), {.type = TRQ_JSON, .u.s = trq_str_of(text)}};
}
static struct trq_kv null(const char *name)
{
    return (struct trq_kv){trq_str_of(name), {.type = TRQ_NULL}};
}

Test(former, an_old_dictionary_and_a_new_one_that_mean_the_same_have_one_key)
{
    same_keys(TRQ_DICT(TRQ_KV("name", "ann")));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("count", 3), TRQ_KV("flag", (bool)false),
                       TRQ_KV("ratio", 1.25), json("data", "{\"b\" : 1,\"a\":2}"),
                       TRQ_KV("note", "n")));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("flag", 1), TRQ_KV("ratio", 2)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("flag", 0), TRQ_KV("ratio", -0.0)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", "a \"b\"\\\n\x01\xc3\xa4")));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", 12)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", INT64_MIN)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", -1.7976931348623157e308)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", 5e-324)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", (double)NAN)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("data", (bool)true)));
    same_keys(TRQ_DICT(TRQ_KV("name", "ann"), null("data")));
    same_keys(TRQ_DICT(TRQ_KV("x", 1), TRQ_KV("name", "ann"), json("y", "[ 1 ]"), null("z")));
}

Test(former, a_number_counts_as_the_declared_type_where_nothing_is_lost)
{
    static const struct {
        const char *name;
        double given;
        struct trq_value is;
    } cases[] = {
        {"count", 3.0, {.type = TRQ_I64, .u.i = 3}},
        {"count", -0x1p63, {.type = TRQ_I64, .u.i = INT64_MIN}},
        {"count", 0x1p63, {.type = TRQ_F64, .u.f = 0x1p63}},
        {"count", 3.5, {.type = TRQ_F64, .u.f = 3.5}},
        {"count", HUGE_VAL, {.type = TRQ_F64, .u.f = HUGE_VAL}},
        {"flag", 1.0, {.type = TRQ_BOOL, .u.b = true}},
        {"flag", 0.0, {.type = TRQ_BOOL, .u.b = false}},
        {"flag", 2.0, {.type = TRQ_F64, .u.f = 2}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct trq_kv kv = {trq_str_of(cases[i].name),
                                  {.type = TRQ_F64, .u.f = cases[i].given}};
        struct trq_value v;
        take((struct trq_dict){&kv, 1});
        cr_assert(get(cases[i].name, &v));
        cr_expect_eq(v.type, cases[i].is.type, "%zu", i);
        cr_expect(v.type == TRQ_BOOL  ? v.u.b == cases[i].is.u.b
                  : v.type == TRQ_I64 ? v.u.i == cases[i].is.u.i
                                      : v.u.f == cases[i].is.u.f,
                  "%zu", i);
    }
    struct trq_value v;
    take(TRQ_DICT(TRQ_KV("ratio", INT64_MAX), TRQ_KV("count", (double)NAN)));
    cr_assert(get("ratio", &v) && v.type == TRQ_I64 && v.u.i == INT64_MAX);
    cr_assert(get("count", &v) && v.type == TRQ_F64);
}

/* Else one of two jobs that are not the same would be refused as the other's duplicate. */
Test(former, what_does_not_fit_counts_as_it_was_given)
{
    static const char *const count[] = {"count"};
    take(TRQ_DICT(TRQ_KV("count", "three")));
    const struct tq_digest three = old_key(count, 1), all_three = old_key(NULL, 0);
    take(TRQ_DICT(TRQ_KV("count", "four")));
    cr_assert_not(tq_digest_same(three, old_key(count, 1)));
    cr_assert_not(tq_digest_same(all_three, old_key(NULL, 0)));
    take(TRQ_DICT(TRQ_KV("count", 3.5)));
    const struct tq_digest more = old_key(count, 1);
    take(TRQ_DICT(TRQ_KV("count", 3)));
    cr_assert_not(tq_digest_same(more, old_key(count, 1)));
}

Test(former, keys_tell_what_is_given_or_certain)
{
    static const char *const name[] = {"name"}, *const count[] = {"count"}, *const gone[] = {"who"};
    take(TRQ_DICT(TRQ_KV("who", "ann")));
    cr_assert_not(tq_former_tells(&former, name, 1)); /* it is required */
    cr_assert(tq_former_tells(&former, count, 1));
    cr_assert(tq_former_tells(&former, gone, 1));
    cr_assert_not(tq_former_tells(&former, NULL, 0));
    former.open = true;
    cr_assert_not(tq_former_tells(&former, count, 1));
    cr_assert(tq_former_tells(&former, gone, 1));
    take(TRQ_DICT(TRQ_KV("name", "ann")));
    cr_assert(tq_former_tells(&former, NULL, 0));
    cr_assert(tq_former_tells(&former, gone, 1));
    former.open = true;
    cr_assert_not(tq_former_tells(&former, gone, 1));
    take(TRQ_DICT(TRQ_KV("name", 4)));
    cr_assert(tq_former_tells(&former, name, 1));
    cr_assert_not(tq_former_tells(&former, NULL, 0));
}

Test(former, the_whole_of_it_makes_keys_differ)
{
    struct trq_key key;
    take(TRQ_DICT(TRQ_KV("who", "ann")));
    begin(&key);
    tq_former_key_whole(&key, &former);
    const struct tq_digest ann = tq_key_end(&key);
    take(TRQ_DICT(TRQ_KV("who", "bob")));
    begin(&key);
    tq_former_key_whole(&key, &former);
    cr_assert_not(tq_digest_same(ann, tq_key_end(&key)));
}

/* ---- reading ------------------------------------------------------------------------------------------- */

static bool same_str(struct trq_str a, struct trq_str b)
{
    if (!a.data || !b.data)
        return a.data == b.data;
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

static void same_struct(struct trq_dict dict)
{
    struct hard_in was, is;
    memset(&was, 0xA5, sizeof was);
    take(dict);
    cr_assert(new_size >= 0);
    tq_former_to_struct(&former, &was);
    tq_inputs_to_struct(present, new, (size_t)new_size, &is);
    cr_expect(same_str(was.name, is.name) && same_str(was.data, is.data) &&
              same_str(was.note, is.note));
    cr_expect(was.count == is.count && was.flag == is.flag && was.ratio == is.ratio);
}

Test(former, the_struct_is_that_of_the_present_declaration)
{
    same_struct(TRQ_DICT(TRQ_KV("name", "ann")));
    same_struct(TRQ_DICT(TRQ_KV("name", "ann"), TRQ_KV("count", 3), TRQ_KV("flag", 0),
                         TRQ_KV("ratio", 4), json("data", "[]"), TRQ_KV("note", "")));
}

Test(former, what_does_not_fit_is_zero_or_absent_in_the_struct)
{
    struct hard_in in;
    memset(&in, 0xA5, sizeof in);
    take(TRQ_DICT(TRQ_KV("name", 1), TRQ_KV("count", "x"), TRQ_KV("flag", 2), TRQ_KV("data", 3),
                  TRQ_KV("ratio", (bool)true)));
    tq_former_to_struct(&former, &in);
    cr_expect(!in.name.data);
    cr_expect(in.count == 0);
    cr_expect(!in.flag);
    cr_expect(in.ratio == 0);
    cr_expect(!in.data.data);
    cr_expect(!in.note.data);
}

Test(former, by_name_an_added_input_is_its_default_and_a_removed_one_is_there)
{
    struct trq_value v = {.type = TRQ_NULL};
    take(TRQ_DICT(TRQ_KV("who", "ann")));
    cr_assert(get("who", &v) && v.type == TRQ_STR);
    cr_assert(get("count", &v) && v.type == TRQ_I64 && v.u.i == 7);
    cr_assert(get("data", &v) && v.type == TRQ_JSON);
    v.type = TRQ_I64;
    cr_assert_not(get("name", &v));
    cr_assert_not(get("note", &v));
    cr_assert_not(get("nobody", &v));
    cr_assert_eq(v.type, TRQ_I64); /* untouched */
}
