#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/base/memory.h"
#include "engine/core/inputs.h"

/* ---- memory that fails at the k-th call, and knows what is not given back ------------------------- */

struct failing {
    int left; /* calls until it fails; negative: never */
    int blocks;
};

static void *failing_alloc(void *context, size_t size, size_t align)
{
    struct failing *failing = context;
    (void)align;
    if (failing->left == 0)
        return NULL;
    failing->left--;
    failing->blocks++;
    return malloc(size);
}

static void failing_free(void *context, void *block, size_t size)
{
    struct failing *failing = context;
    memset(block, 0xDD, size); /* a wrong size is seen here */
    failing->blocks--;
    free(block);
}

static struct failing heap = {-1, 0};
static const struct tq_memory memory = {failing_alloc, failing_free, &heap};

/* ---- a worker ------------------------------------------------------------------------------------ */

struct hard {
    struct trq_str name;
    int64_t count;
    bool flag;
    double ratio;
    struct trq_str data;
    struct trq_str note;
};
#define ROW(field, type, need, i, f, s)                                                            \
    {                                                                                              \
#field, type, need, offsetof(struct hard, field), i, f, s                                  \
    }
static const struct trq_input hard_rows[] = {
    ROW(name, TRQ_STR, TRQ_REQUIRED, 0, 0, NULL),
    ROW(count, TRQ_I64, TRQ_OPTIONAL, 7, 0, NULL),
    ROW(flag, TRQ_BOOL, TRQ_OPTIONAL, 1, 0, NULL),
    ROW(ratio, TRQ_F64, TRQ_OPTIONAL, 0, 0.5, NULL),
    ROW(data, TRQ_JSON, TRQ_OPTIONAL, 0, 0, "[1,2]"),
    ROW(note, TRQ_STR, TRQ_OPTIONAL, 0, 0, NULL),
};
enum { HARD_ROWS = sizeof hard_rows / sizeof hard_rows[0] };
static const struct trq_inputs hard_inputs = {hard_rows, HARD_ROWS, sizeof(struct hard)};

static struct tq_layout *make(const struct trq_inputs *declared)
{
    struct tq_layout *layout = NULL;
    struct trq_error error = {0, ""};
    cr_assert_eq(tq_layout_create(&memory, "HardWorker", declared, &layout, &error), TRQ_OK, "%s",
                 error.text);
    return layout;
}

enum { BYTES = 4096, LIMIT = 65536 };

/* A job's bytes in a block of exactly their size, so that the sanitizer sees a step beyond. */
struct job {
    struct tq_layout *layout;
    unsigned char *bytes;
    size_t size;
};

static struct job exact(struct tq_layout *layout, const unsigned char *bytes, long size)
{
    struct job job = {layout, malloc(size ? (size_t)size : 1), (size_t)size};
    memcpy(job.bytes, bytes, job.size);
    return job;
}

static struct job from_dict(const struct trq_inputs *declared, struct trq_dict dict)
{
    unsigned char bytes[BYTES];
    struct trq_error error = {0, ""};
    struct tq_layout *layout = make(declared);
    const long size = tq_inputs_from_dict(layout, dict, false, bytes, BYTES, LIMIT, &error);
    cr_assert(size >= 0 && size <= BYTES, "%s", error.text);
    return exact(layout, bytes, size);
}

static void drop(struct job *job)
{
    tq_layout_destroy(&memory, job->layout);
    free(job->bytes);
    cr_assert_eq(heap.blocks, 0);
}

static bool get(const struct job *job, const char *name, struct trq_value *out)
{
    return tq_inputs_get(job->layout, job->bytes, job->size, name, strlen(name), out);
}

static bool is_str(struct trq_str text, const char *expected)
{
    return text.data && text.size == strlen(expected) &&
           memcmp(text.data, expected, text.size) == 0;
}

/* The error that a dictionary gets, and whether it is this one. */
static void refuses(const struct trq_inputs *declared, struct trq_dict dict, const char *sentence)
{
    unsigned char bytes[BYTES];
    struct trq_error error = {0, ""};
    struct tq_layout *layout = make(declared);
    cr_expect_eq(tq_inputs_from_dict(layout, dict, false, bytes, BYTES, LIMIT, &error), TRQ_EINPUT);
    cr_expect_str_eq(error.text, sentence);
    cr_expect_eq(error.code, TRQ_EINPUT);
    cr_expect_eq(tq_inputs_from_dict(layout, dict, false, bytes, BYTES, LIMIT, NULL), TRQ_EINPUT);
    tq_layout_destroy(&memory, layout);
}

/* ---- declarations ---------------------------------------------------------------------------------- */

static void refuses_declaration(struct trq_inputs declared, const char *sentence)
{
    struct tq_layout *layout = NULL;
    struct trq_error error = {0, ""};
    cr_expect_eq(tq_layout_create(&memory, "HardWorker", &declared, &layout, &error), TRQ_EINVAL);
    cr_expect_str_eq(error.text, sentence);
    cr_expect_null(layout);
    cr_expect_eq(heap.blocks, 0);
}

#define ONE(...) ((struct trq_inputs){(const struct trq_input[]){__VA_ARGS__}, 1, 32})
#define TWO(...) ((struct trq_inputs){(const struct trq_input[]){__VA_ARGS__}, 2, 32})

Test(layout, each_wrong_declaration_has_its_sentence)
{
    refuses_declaration((struct trq_inputs){hard_rows, 65, 1000},
                        "HardWorker: 65 inputs are declared, 64 are allowed");
    refuses_declaration((struct trq_inputs){NULL, 2, 32},
                        "HardWorker: 2 inputs are declared, but no rows");
    refuses_declaration((struct trq_inputs){hard_rows, 1, SIZE_MAX},
                        "HardWorker: a struct of 18446744073709551615 bytes is too large");
    refuses_declaration(ONE({NULL, TRQ_I64, 0, 0, 0, 0, NULL}), "HardWorker: input 1 has no name");
    refuses_declaration(ONE({"", TRQ_I64, 0, 0, 0, 0, NULL}), "HardWorker: input 1 has no name");
    refuses_declaration(ONE({"ab\xFF", TRQ_I64, 0, 0, 0, 0, NULL}),
                        "HardWorker: the name of input 1: not UTF-8 at byte 2");
    refuses_declaration(TWO({"a", TRQ_I64, 0, 0, 0, 0, NULL}, {"a", TRQ_I64, 0, 8, 0, 0, NULL}),
                        "HardWorker: input a is declared twice");
    refuses_declaration(ONE({"a", TRQ_NULL, 0, 0, 0, 0, NULL}),
                        "HardWorker: input a: 0 is no type of an input");
    refuses_declaration(ONE({"a", (enum trq_type)9, 0, 0, 0, 0, NULL}),
                        "HardWorker: input a: 9 is no type of an input");
    refuses_declaration(ONE({"a", TRQ_I64, 0, 25, 0, 0, NULL}),
                        "HardWorker: input a: its field is outside the struct of 32 bytes");
    refuses_declaration(ONE({"a", TRQ_STR, 0, SIZE_MAX - 3, 0, 0, NULL}),
                        "HardWorker: input a: its field is outside the struct of 32 bytes");
    refuses_declaration(TWO({"a", TRQ_STR, 0, 0, 0, 0, NULL}, {"b", TRQ_BOOL, 0, 15, 0, 0, NULL}),
                        "HardWorker: inputs a and b: their fields overlap");
    refuses_declaration(ONE({"a", TRQ_STR, 0, 0, 0, 0, "x\x80"}),
                        "HardWorker: input a: the default is not UTF-8 at byte 1");
    refuses_declaration(ONE({"a", TRQ_JSON, 0, 0, 0, 0, ""}),
                        "HardWorker: input a: the default: JSON: line 1, column 0: unexpected "
                        "token near end of file");
}

Test(layout, a_declaration_of_nothing_is_one)
{
    static const struct trq_inputs nothing = {NULL, 0, 0};
    const struct trq_inputs *declared[] = {NULL, &nothing};
    for (int i = 0; i < 2; i++) {
        struct tq_layout *layout = make(declared[i]);
        cr_assert_eq(tq_layout_rows(layout), 0);
        cr_assert_eq(tq_inputs_from_dict(layout, TRQ_DICT_NONE, false, NULL, 0, LIMIT, NULL), 0);
        cr_assert_eq(tq_inputs_from_struct(layout, NULL, NULL, 0, LIMIT, NULL), 0);
        tq_layout_destroy(&memory, layout);
    }
}

Test(layout, out_of_memory_is_told_and_nothing_leaks)
{
    struct tq_layout *layout = NULL;
    struct trq_error error = {0, ""};
    int fails = 0;
    for (;; fails++) {
        heap.left = fails;
        const int rc = tq_layout_create(&memory, "HardWorker", &hard_inputs, &layout, &error);
        if (rc == TRQ_OK)
            break;
        cr_assert_eq(rc, TRQ_ENOMEM);
        cr_assert_str_eq(error.text, "HardWorker: out of memory");
        cr_assert_eq(heap.blocks, 0);
        cr_assert_null(layout);
    }
    cr_assert_gt(fails, 0);
    tq_layout_destroy(&memory, layout);
    cr_assert_eq(heap.blocks, 0);
    tq_layout_destroy(&memory, NULL);
}

Test(layout, it_does_not_look_at_the_declaration_again)
{
    char *name = strdup("a");
    char *text = strdup("the default");
    struct trq_input row = {name, TRQ_STR, 0, 0, 0, 0, text};
    struct trq_inputs declared = {&row, 1, 16};
    struct tq_layout *layout = make(&declared);
    memset(name, 'x', 1);
    memset(text, 'x', 3);
    free(name);
    free(text);
    memset(&row, 0xFF, sizeof row);

    unsigned char bytes[BYTES];
    struct trq_value value;
    const long size = tq_inputs_from_dict(layout, TRQ_DICT_NONE, false, bytes, BYTES, LIMIT, NULL);
    cr_assert(tq_inputs_get(layout, bytes, (size_t)size, "a", 1, &value));
    cr_assert(is_str(value.u.s, "the default"));
    tq_layout_destroy(&memory, layout);
}

Test(same, a_copy_is_the_same_and_any_change_is_not)
{
    struct trq_input rows[HARD_ROWS];
    struct trq_inputs copy = {rows, HARD_ROWS, sizeof(struct hard)};
    memcpy(rows, hard_rows, sizeof rows);
    char name[] = "name";
    rows[0].name = name;
    rows[3].default_f64 = (double)NAN;
    cr_assert(!tq_inputs_same(&hard_inputs, &copy));
    rows[3].default_f64 = 0.5;
    cr_assert(tq_inputs_same(&hard_inputs, &copy));

#define CHANGED(statement)                                                                         \
    do {                                                                                           \
        const struct trq_input kept = rows[4];                                                     \
        statement;                                                                                 \
        cr_assert(!tq_inputs_same(&hard_inputs, &copy), #statement);                               \
        rows[4] = kept;                                                                            \
    } while (0)
    CHANGED(rows[4].name = "dato");
    CHANGED(rows[4].name = NULL);
    CHANGED(rows[4].type = TRQ_STR);
    CHANGED(rows[4].required = 1);
    CHANGED(rows[4].offset++);
    CHANGED(rows[4].default_i64++);
    CHANGED(rows[4].default_f64 = -0.0);
    CHANGED(rows[4].default_str = "[1]");
    CHANGED(rows[4].default_str = NULL);
    cr_assert(tq_inputs_same(&hard_inputs, &copy));
    copy.count--;
    cr_assert(!tq_inputs_same(&hard_inputs, &copy));
    copy.count++;
    copy.struct_size++;
    cr_assert(!tq_inputs_same(&hard_inputs, &copy));
    copy = (struct trq_inputs){NULL, HARD_ROWS, sizeof(struct hard)};
    cr_assert(!tq_inputs_same(&hard_inputs, &copy));
}

Test(same, none_declared_is_the_same_as_no_declaration)
{
    static const struct trq_inputs nothing = {NULL, 0, 0};
    cr_assert(tq_inputs_same(NULL, NULL));
    cr_assert(tq_inputs_same(NULL, &nothing));
    cr_assert(!tq_inputs_same(NULL, &hard_inputs));
}

/* ---- what is given and what is read ------------------------------------------------------------------ */

Test(inputs, what_a_dictionary_leaves_out_reads_as_its_default)
{
    struct job job = from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("name", "bob")));
    struct trq_value v;
    cr_assert(get(&job, "name", &v) && v.type == TRQ_STR && is_str(v.u.s, "bob"));
    cr_assert(get(&job, "count", &v) && v.type == TRQ_I64 && v.u.i == 7);
    cr_assert(get(&job, "flag", &v) && v.type == TRQ_BOOL && v.u.b);
    cr_assert(get(&job, "ratio", &v) && v.type == TRQ_F64 && v.u.f == 0.5);
    cr_assert(get(&job, "data", &v) && v.type == TRQ_JSON && is_str(v.u.s, "[1,2]"));
    drop(&job);
}

Test(inputs, an_absent_text_is_not_found_and_leaves_the_output_alone)
{
    struct job job = from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("name", "")));
    struct trq_value v = {.type = TRQ_I64, .u = {.i = 99}};
    cr_assert(!get(&job, "note", &v));
    cr_assert(!get(&job, "nobody", &v));
    cr_assert(v.type == TRQ_I64 && v.u.i == 99);
    cr_assert(get(&job, "name", &v) && v.u.s.data && v.u.s.size == 0, "empty is not absent");
    drop(&job);
}

Test(inputs, a_null_string_in_a_dictionary_is_absent)
{
    struct job job =
        from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("data", trq_json(NULL)),
                                         TRQ_KV("other", (const char *)NULL)));
    struct trq_value v;
    cr_assert(get(&job, "data", &v) && is_str(v.u.s, "[1,2]"), "its default");
    cr_assert(!get(&job, "other", &v));
    struct trq_kv kv;
    cr_assert(!tq_inputs_at(job.layout, job.bytes, job.size, HARD_ROWS, &kv));
    drop(&job);
    refuses(&hard_inputs, TRQ_DICT(TRQ_KV("name", (const char *)NULL)),
            "HardWorker: input name is required");
}

Test(inputs, undeclared_ones_are_kept_with_their_types)
{
    struct job job =
        from_dict(NULL, TRQ_DICT(TRQ_KV("s", "text"), TRQ_KV("i", -5), TRQ_KV("f", 1.5),
                                 TRQ_KV("b", TRQ_TRUE), TRQ_KV("n", trq_null()),
                                 TRQ_KV("j", trq_json("{\"a\":[1]}")), TRQ_KV("", "nameless"),
                                 TRQ_KV("e", "")));
    struct trq_value v;
    cr_assert(get(&job, "s", &v) && v.type == TRQ_STR && is_str(v.u.s, "text"));
    cr_assert(get(&job, "i", &v) && v.type == TRQ_I64 && v.u.i == -5);
    cr_assert(get(&job, "f", &v) && v.type == TRQ_F64 && v.u.f == 1.5);
    cr_assert(get(&job, "b", &v) && v.type == TRQ_BOOL && v.u.b);
    cr_assert(get(&job, "n", &v) && v.type == TRQ_NULL);
    cr_assert(get(&job, "j", &v) && v.type == TRQ_JSON && is_str(v.u.s, "{\"a\":[1]}"));
    cr_assert(get(&job, "", &v) && is_str(v.u.s, "nameless"));
    cr_assert(get(&job, "e", &v) && v.u.s.data && v.u.s.size == 0);
    cr_assert(!get(&job, "x", &v));
    drop(&job);
}

Test(inputs, in_order_come_declared_ones_absent_ones_as_null_then_extras)
{
    static const char *const names[] = {"name", "count", "flag", "ratio", "data", "note", "z", "a"};
    struct job job =
        from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("z", 1), TRQ_KV("name", "bob"), TRQ_KV("a", 2)));
    struct trq_kv kv;
    size_t i = 0;
    for (; tq_inputs_at(job.layout, job.bytes, job.size, i, &kv); i++)
        cr_assert(is_str(kv.key, names[i]) && (kv.value.type == TRQ_NULL) == (i == 5));
    cr_assert_eq(i, 8);
    cr_assert(!tq_inputs_at(job.layout, job.bytes, job.size, SIZE_MAX, &kv));
    drop(&job);
}

Test(inputs, a_bool_takes_zero_and_one_and_a_real_takes_integers_that_it_can_hold)
{
    struct job job = from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("flag", 0),
                                                      TRQ_KV("ratio", (int64_t)1 << 62)));
    struct trq_value v;
    cr_assert(get(&job, "flag", &v) && v.type == TRQ_BOOL && !v.u.b);
    cr_assert(get(&job, "ratio", &v) && v.type == TRQ_F64 && v.u.f == 0x1p62);
    drop(&job);
    job = from_dict(&hard_inputs,
                    TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("flag", 1), TRQ_KV("ratio", INT64_MIN)));
    cr_assert(get(&job, "flag", &v) && v.u.b);
    cr_assert(get(&job, "ratio", &v) && v.u.f == -0x1p63);
    drop(&job);
}

Test(inputs, what_is_no_number_is_a_real_number_in_memory)
{
    struct job job =
        from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("name", "x"), TRQ_KV("ratio", (double)NAN),
                                         TRQ_KV("inf", -(double)INFINITY)));
    struct trq_value v;
    cr_assert(get(&job, "ratio", &v) && isnan(v.u.f));
    cr_assert(get(&job, "inf", &v) && v.u.f == -(double)INFINITY);
    drop(&job);
}

Test(inputs, a_json_input_takes_any_value_as_its_text)
{
    static const struct {
        struct trq_value value;
        const char *text;
    } rows[] = {
        {{TRQ_NULL, {0}}, "null"},
        {{TRQ_BOOL, {.b = true}}, "true"},
        {{TRQ_I64, {.i = INT64_MIN}}, "-9223372036854775808"},
        {{TRQ_F64, {.f = 0.1}}, "0.1"},
        {{TRQ_F64, {.f = (double)NAN}}, "null"},
        {{TRQ_STR, {.s = {"a\"\n", 3}}}, "\"a\\\"\\n\""},
        {{TRQ_JSON, {.s = {" [ 1 ]", 6}}}, " [ 1 ]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct job job =
            from_dict(&hard_inputs, TRQ_DICT(TRQ_KV("note", "after"), TRQ_KV("name", "x"),
                                             TRQ_KV("data", rows[i].value)));
        struct trq_value v;
        cr_assert(get(&job, "data", &v) && v.type == TRQ_JSON && is_str(v.u.s, rows[i].text),
                  "row %zu", i);
        cr_assert(get(&job, "note", &v) && is_str(v.u.s, "after"));
        drop(&job);
    }
}

Test(inputs, a_bool_whose_byte_holds_anything_is_true)
{
    struct trq_kv kv = trq_kv_bool("flag", 4, false);
    memset(&kv.value.u.b, 7, 1);
    struct trq_kv extra = kv;
    extra.key = trq_str_of("extra");
    const struct trq_kv kvs[] = {TRQ_KV("name", "x"), kv, extra};
    struct job job = from_dict(&hard_inputs, (struct trq_dict){kvs, 3});
    struct trq_value v;
    cr_assert(get(&job, "flag", &v) && v.u.b == true);
    cr_assert(get(&job, "extra", &v) && v.u.b == true);
    drop(&job);
}

/* ---- refusals -------------------------------------------------------------------------------------- */

#define HARD(...) TRQ_DICT(TRQ_KV("name", "x"), __VA_ARGS__)

Test(inputs, each_refusal_names_worker_and_input)
{
    refuses(&hard_inputs, TRQ_DICT_NONE, "HardWorker: input name is required");
    refuses(&hard_inputs, HARD(TRQ_KV("count", "five")),
            "HardWorker: input count: an integer is wanted, a string was given");
    refuses(&hard_inputs, HARD(TRQ_KV("count", 5.0)),
            "HardWorker: input count: an integer is wanted, a real number was given");
    refuses(&hard_inputs, HARD(TRQ_KV("count", trq_null())),
            "HardWorker: input count: an integer is wanted, null was given");
    refuses(&hard_inputs, HARD(TRQ_KV("flag", 2)),
            "HardWorker: input flag: a bool is wanted, the integer 2 was given");
    refuses(&hard_inputs, HARD(TRQ_KV("flag", "yes")),
            "HardWorker: input flag: a bool is wanted, a string was given");
    refuses(&hard_inputs, HARD(TRQ_KV("ratio", TRQ_TRUE)),
            "HardWorker: input ratio: a real number is wanted, a bool was given");
    refuses(&hard_inputs, HARD(TRQ_KV("ratio", ((int64_t)1 << 53) + 1)),
            "HardWorker: input ratio: a real number is wanted, and cannot hold the integer "
            "9007199254740993");
    refuses(&hard_inputs, HARD(TRQ_KV("ratio", INT64_MAX)),
            "HardWorker: input ratio: a real number is wanted, and cannot hold the integer "
            "9223372036854775807");
    refuses(&hard_inputs, TRQ_DICT(TRQ_KV("name", trq_json("\"x\""))),
            "HardWorker: input name: a string is wanted, JSON was given");
    refuses(&hard_inputs, TRQ_DICT(TRQ_KV("name", "abc\xFF")),
            "HardWorker: input name: not UTF-8 at byte 3");
    refuses(&hard_inputs, HARD(TRQ_KV("other", "\xC0\x80")),
            "HardWorker: input other: not UTF-8 at byte 0");
    refuses(&hard_inputs, HARD(TRQ_KV("data", trq_json("[1,"))),
            "HardWorker: input data: JSON: line 1, column 3: ']' expected near end of file");
    refuses(&hard_inputs, HARD(TRQ_KV("other", trq_json("nul"))),
            "HardWorker: input other: JSON: line 1, column 3: invalid token near 'nul'");
    refuses(&hard_inputs, HARD(TRQ_KV("name", "y")), "HardWorker: input name is given twice");
    refuses(&hard_inputs, HARD(TRQ_KV("other", 1), TRQ_KV("other", 2)),
            "HardWorker: input other is given twice");
    refuses(&hard_inputs, HARD(TRQ_KV("\xFFkey", 1)),
            "HardWorker: the name of the 2. input: not UTF-8 at byte 0");
    refuses(&hard_inputs, HARD(TRQ_KV("a\0b", 1)),
            "HardWorker: the name of the 2. input: a zero byte at byte 1");
}

Test(inputs, arguments_that_make_no_sense_are_refused)
{
    struct trq_kv kv = TRQ_KV("name", "x");
    refuses(&hard_inputs, (struct trq_dict){NULL, 3},
            "HardWorker: a dictionary of 3 inputs that is NULL");
    kv.key.data = NULL;
    refuses(&hard_inputs, (struct trq_dict){&kv, 1}, "HardWorker: the 1. input has no name");
    kv = TRQ_KV("count", 1);
    kv.value.type = (enum trq_type)77;
    refuses(&hard_inputs, (struct trq_dict){&kv, 1},
            "HardWorker: input count: an integer is wanted, a value of no known type was given");
    kv.key = trq_str_of("data");
    refuses(&hard_inputs, (struct trq_dict){&kv, 1},
            "HardWorker: input data: JSON is wanted, a value of no known type was given");
    kv.key = trq_str_of("other");
    refuses(&hard_inputs, (struct trq_dict){&kv, 1}, "HardWorker: input other: 77 is no type");
}

Test(inputs, a_strangers_name_is_shown_in_one_short_line)
{
    char name[301];
    for (size_t i = 0; i < 300; i += 3)
        memcpy(name + i, i ? "\xE2\x82\xAC" : "a\n\x7F", 3);
    const struct trq_kv kvs[] = {trq_kv_i64(name, 300, 1), trq_kv_i64(name, 300, 1)};
    unsigned char bytes[BYTES];
    struct trq_error error;
    struct tq_layout *layout = make(NULL);
    cr_assert_eq(
        tq_inputs_from_dict(layout, (struct trq_dict){kvs, 2}, false, bytes, BYTES, LIMIT, &error),
        TRQ_EINPUT);
    cr_assert(strstr(error.text, "HardWorker: input a??\xE2\x82\xAC") == error.text);
    cr_assert(strstr(error.text, "\xE2\x82\xAC... is given twice"), "%s", error.text);
    tq_layout_destroy(&memory, layout);
}

Test(inputs, a_size_beyond_the_bound_is_named_in_both_forms)
{
    unsigned char bytes[BYTES];
    struct trq_error error;
    struct tq_layout *layout = make(&hard_inputs);
    char *text = calloc(1, 70000);
    struct hard in = {.name = {text, 70000 - 34}, .note = {NULL, 12345}};
    in.data = trq_str_of("1234");
    const struct trq_kv kvs[] = {trq_kv_str("name", 4, in.name), TRQ_KV("data", 1234)};

    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, LIMIT, &error), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "HardWorker: the inputs take 69999 bytes, 65536 are allowed");
    cr_assert_eq(
        tq_inputs_from_dict(layout, (struct trq_dict){kvs, 2}, false, bytes, BYTES, LIMIT, &error),
        TRQ_EINPUT);
    cr_assert_str_eq(error.text, "HardWorker: the inputs take 69999 bytes, 65536 are allowed");
    cr_assert_eq(
        tq_inputs_from_dict(layout, (struct trq_dict){kvs, 2}, false, bytes, BYTES, 69999, &error),
        69999);
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, 69999, &error), 69999);
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, 69998, &error), TRQ_EINPUT);
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, 3, &error), TRQ_EINPUT);
    free(text);
    tq_layout_destroy(&memory, layout);
}

Test(inputs, an_impossible_size_is_refused_without_reading)
{
    static const size_t sizes[] = {1u << 20, (size_t)1 << 40, SIZE_MAX - 7, SIZE_MAX};
    unsigned char bytes[BYTES];
    struct tq_layout *layout = make(&hard_inputs);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct trq_str text = {"x", sizes[i]};
        const struct trq_kv kvs[][2] = {
            {trq_kv_str("name", 4, text), trq_kv_str("note", 4, text)},
            {TRQ_KV("name", "x"), trq_kv_str("other", 5, text)},
            {TRQ_KV("name", "x"), trq_kv_str("data", 4, text)},
            {TRQ_KV("name", "x"), trq_kv_i64("x", sizes[i], 1)},
        };
        for (size_t k = 0; k < 4; k++)
            cr_assert_eq(tq_inputs_from_dict(layout, (struct trq_dict){kvs[k], 2}, false, bytes,
                                             BYTES, LIMIT, NULL),
                         TRQ_EINPUT);
        struct hard in = {.name = text, .note = text};
        cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, LIMIT, NULL), TRQ_EINPUT);
    }
    tq_layout_destroy(&memory, layout);
}

Test(inputs, the_struct_form_has_the_same_sentences)
{
    unsigned char bytes[BYTES];
    struct trq_error error;
    struct tq_layout *layout = make(&hard_inputs);
    struct hard in;
    memset(&in, 0, sizeof in);
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, LIMIT, &error), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "HardWorker: input name is required");
    in.name = trq_str_of("0123456789abcdef\x80");
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, LIMIT, &error), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "HardWorker: input name: not UTF-8 at byte 16");
    in.name = trq_str_of("n");
    in.data = trq_str_of("{\"a\":1,\"a\":2}");
    cr_assert_eq(tq_inputs_from_struct(layout, &in, bytes, BYTES, LIMIT, &error), TRQ_EINPUT);
    cr_assert_str_eq(error.text,
                     "HardWorker: input data: JSON: line 1, column 10: duplicate object "
                     "key near '\"a\"'");
    tq_layout_destroy(&memory, layout);
}

/* ---- many, and random ones against a naive model ------------------------------------------------------ */

Test(inputs, thousands_of_extras_are_found_and_a_second_one_is_refused)
{
    enum { MANY = 20000 };
    struct trq_kv *kvs = malloc(MANY * sizeof *kvs);
    char(*names)[48] = malloc(MANY * sizeof *names);
    struct tq_layout *layout = make(&hard_inputs);
    kvs[0] = TRQ_KV("name", "x");
    for (int i = 1; i < MANY; i++) { /* alike at both ends, and of one size */
        snprintf(names[i], sizeof names[i], "customer_%05d_attribute", i);
        kvs[i] = trq_kv_i64(names[i], strlen(names[i]), i);
    }
    const struct trq_dict dict = {kvs, MANY};
    const size_t limit = 16u << 20;
    const long size = tq_inputs_from_dict(layout, dict, false, NULL, 0, limit, NULL);
    cr_assert_gt(size, 0);
    struct job job = {layout, malloc((size_t)size), (size_t)size};
    cr_assert_eq(tq_inputs_from_dict(layout, dict, false, job.bytes, job.size, limit, NULL), size);
    struct trq_value v;
    for (int i = 1; i < MANY; i++)
        cr_assert(get(&job, names[i], &v) && v.u.i == i);
    cr_assert(!get(&job, "customer_20000_attribute", &v));
    kvs[1] = kvs[MANY - 1];
    cr_assert_eq(tq_inputs_from_dict(layout, dict, false, job.bytes, job.size, limit, NULL),
                 TRQ_EINPUT);
    drop(&job);
    free(kvs);
    free(names);
}

enum { NAMES = 40 };

struct model {
    struct trq_input rows[TQ_INPUTS_ROWS_MAX];
    struct trq_inputs declared;
    struct trq_kv given[TQ_INPUTS_ROWS_MAX + NAMES];
    size_t given_count;
    char names[TQ_INPUTS_ROWS_MAX + NAMES][48];
};

static const char *const texts[] = {
    "", "a", "na\xC3\xAFve", "eight by", "sixteen bytes ok", "more than sixteen bytes it is", "\n",
};

static struct trq_value random_value(enum trq_type type)
{
    struct trq_value v = {.type = type};
    if (type == TRQ_BOOL)
        v.u.b = rand() % 2;
    else if (type == TRQ_I64)
        v.u.i = (int64_t)((uint64_t)rand() << 40 ^ (uint64_t)rand());
    else if (type == TRQ_F64)
        v.u.f = (double)rand() / 7;
    else if (type == TRQ_JSON)
        v.u.s = trq_str_of(rand() % 2 ? "[1,{\"a\":null}]" : "{}");
    else if (type == TRQ_STR)
        v.u.s = trq_str_of(texts[(size_t)rand() % (sizeof texts / sizeof texts[0])]);
    return v;
}

static void random_row(struct trq_input *row, const char *name, size_t *offset)
{
    const enum trq_type type = (enum trq_type)(1 + rand() % 5);
    const size_t size = type >= TRQ_STR ? 16 : type == TRQ_BOOL ? 1 : 8;
    const struct trq_value v = random_value(type);
    memset(row, 0, sizeof *row);
    *offset = size == 1 ? *offset : (*offset + 7) / 8 * 8;
    *row = (struct trq_input){.name = name, .type = type, .offset = *offset};
    *offset += size;
    if (type == TRQ_BOOL)
        row->default_i64 = v.u.b;
    else if (type == TRQ_I64)
        row->default_i64 = v.u.i;
    else if (type == TRQ_F64)
        row->default_f64 = v.u.f;
    else if (rand() % 3)
        row->default_str = v.u.s.data;
}

static void random_model(struct model *m)
{
    const size_t rows = (size_t)rand() % (rand() % 4 ? 6 : TQ_INPUTS_ROWS_MAX + 1);
    const size_t extras = (size_t)rand() % (rand() % 4 ? 4 : NAMES);
    size_t offset = 0;
    m->given_count = 0;
    for (size_t i = 0; i < rows + extras; i++) {
        snprintf(m->names[i], sizeof m->names[i], "%.*sn%zu", rand() % 18, "abcdefghijklmnopqrst",
                 i);
        enum trq_type type = (enum trq_type)(rand() % 6);
        if (i < rows) {
            random_row(&m->rows[i], m->names[i], &offset);
            type = m->rows[i].type;
        }
        if (i >= rows || rand() % 2)
            m->given[m->given_count++] =
                trq_kv_value(m->names[i], strlen(m->names[i]), random_value(type));
    }
    for (size_t i = m->given_count; i > 1; i--) { /* in any order */
        const size_t k = (size_t)rand() % i;
        const struct trq_kv kv = m->given[i - 1];
        m->given[i - 1] = m->given[k];
        m->given[k] = kv;
    }
    m->declared = (struct trq_inputs){m->rows, rows, offset};
}

/* What a reader must see; false: nothing. */
static bool expected(const struct model *m, const char *name, struct trq_value *out)
{
    for (size_t i = 0; i < m->given_count; i++) {
        *out = m->given[i].value;
        if (is_str(m->given[i].key, name))
            return true;
    }
    for (size_t i = 0; i < m->declared.count; i++) {
        const struct trq_input *row = &m->rows[i];
        if (strcmp(row->name, name) != 0)
            continue;
        out->type = row->type;
        if (row->type == TRQ_BOOL)
            out->u.b = row->default_i64 != 0;
        else if (row->type == TRQ_I64)
            out->u.i = row->default_i64;
        else if (row->type == TRQ_F64)
            out->u.f = row->default_f64;
        else
            out->u.s = trq_str_of(row->default_str);
        return row->type < TRQ_STR || row->default_str;
    }
    return false;
}

static bool equal(struct trq_value a, struct trq_value b)
{
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case TRQ_NULL:
        return true;
    case TRQ_BOOL:
        return a.u.b == b.u.b;
    case TRQ_I64:
        return a.u.i == b.u.i;
    case TRQ_F64:
        return a.u.f == b.u.f;
    default:
        return a.u.s.size == b.u.s.size && memcmp(a.u.s.data, b.u.s.data, a.u.s.size) == 0;
    }
}

static struct trq_value field_value(const struct trq_input *row, const void *in)
{
    const char *at = (const char *)in + row->offset;
    struct trq_value v = {.type = row->type};
    if (row->type == TRQ_BOOL)
        v.u.b = *at == 1;
    else
        memcpy(&v.u, at, row->type < TRQ_STR ? 8 : 16);
    if (row->type >= TRQ_STR && !v.u.s.data)
        v.type = TRQ_NULL;
    return v;
}

static void check_readers(const struct model *m, const struct job *job)
{
    size_t seen = 0;
    struct trq_kv kv;
    for (; tq_inputs_at(job->layout, job->bytes, job->size, seen, &kv); seen++) {
        char name[32];
        struct trq_value want, got;
        snprintf(name, sizeof name, "%.*s", (int)kv.key.size, kv.key.data);
        const bool there = expected(m, name, &want);
        cr_assert_eq(get(job, name, &got), there);
        cr_assert(there ? equal(want, got) && equal(want, kv.value) : kv.value.type == TRQ_NULL);
    }
    size_t extras = 0;
    for (size_t i = 0; i < m->given_count; i++) {
        bool declared = false;
        for (size_t k = 0; k < m->declared.count; k++)
            declared |= is_str(m->given[i].key, m->rows[k].name);
        extras += !declared;
    }
    cr_assert_eq(seen, m->declared.count + extras);
}

/* Decode to a struct, encode that: the readers see the same declared inputs. */
static void check_struct(const struct model *m, const struct job *job)
{
    void *in = malloc(m->declared.struct_size ? m->declared.struct_size : 1);
    tq_inputs_to_struct(job->layout, job->bytes, job->size, in);
    for (size_t i = 0; i < m->declared.count; i++) {
        struct trq_value want;
        const struct trq_value got = field_value(&m->rows[i], in);
        cr_assert(expected(m, m->rows[i].name, &want) ? equal(want, got) : got.type == TRQ_NULL);
    }
    const long size = tq_inputs_from_struct(job->layout, in, NULL, 0, LIMIT, NULL);
    cr_assert(size >= 0 && (size_t)size <= job->size);
    unsigned char *bytes = malloc(size ? (size_t)size : 1);
    for (size_t room = 0; room <= (size_t)size; room += 1 + (size_t)rand() % 16)
        cr_assert_eq(tq_inputs_from_struct(job->layout, in, bytes, room, LIMIT, NULL), size);
    cr_assert_eq(tq_inputs_from_struct(job->layout, in, bytes, (size_t)size, LIMIT, NULL), size);
    cr_assert_eq(memcmp(bytes, job->bytes, (size_t)size), 0);
    free(bytes);
    free(in);
}

Test(inputs, random_ones_agree_with_a_naive_model)
{
    struct model *m = malloc(sizeof *m);
    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 3000; round++) {
        random_model(m);
        struct tq_layout *layout = make(&m->declared);
        const struct trq_dict dict = {m->given, m->given_count};
        const bool trusted = rand() % 2;
        const long size = tq_inputs_from_dict(layout, dict, trusted, NULL, 0, LIMIT, NULL);
        cr_assert(size >= 0, "seed %u, round %d", seed, round);
        struct job job = {layout, malloc(size ? (size_t)size : 1), (size_t)size};
        cr_assert_eq(
            tq_inputs_from_dict(layout, dict, trusted, job.bytes, job.size, job.size, NULL), size,
            "seed %u, round %d", seed, round);
        check_readers(m, &job);
        check_struct(m, &job);
        drop(&job);
    }
    free(m);
}
