#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/base/memory.h"
#include "engine/core/canon.h"
#include "engine/core/inputs.h"
#include "engine/core/key.h"

static const struct tq_secret secret = {0x0123456789abcdefu, 0xfedcba9876543210u};

static struct tq_key_prefix prefix_of(char kind, const char *space)
{
    struct tq_key_prefix prefix;
    tq_key_prefix_make(&prefix, &secret, kind, space);
    return prefix;
}

static bool same(struct tq_digest a, struct tq_digest b)
{
    return tq_digest_same(a, b);
}

/* ---- values ---------------------------------------------------------------------------------------- */

static struct trq_value of_bool(bool b)
{
    return (struct trq_value){.type = TRQ_BOOL, .u.b = b};
}
static struct trq_value of_i64(int64_t i)
{
    return (struct trq_value){.type = TRQ_I64, .u.i = i};
}
static struct trq_value of_f64(double f)
{
    return (struct trq_value){.type = TRQ_F64, .u.f = f};
}
static struct trq_value of_bytes(const char *data, size_t size)
{
    return (struct trq_value){.type = TRQ_STR, .u.s = {data, size}};
}
static struct trq_value of_str(const char *text)
{
    return of_bytes(text, strlen(text));
}
static struct trq_value of_json(const char *text)
{
    return (struct trq_value){.type = TRQ_JSON, .u.s = {text, strlen(text)}};
}
static struct trq_value of_null(void)
{
    return (struct trq_value){.type = TRQ_NULL};
}

static struct tq_digest of_parts(const struct tq_key_prefix *prefix, const struct trq_value *parts,
                                 size_t count)
{
    struct trq_key key;
    tq_key_begin(&key, prefix);
    for (size_t i = 0; i < count; i++)
        tq_key_value(&key, &parts[i]);
    return tq_key_end(&key);
}

enum { PARTS_MAX = 4 };
struct parts {
    size_t count;
    struct trq_value part[PARTS_MAX];
};

Test(key, no_two_of_these_are_one)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    const struct parts list[] = {
        {0, {{0}}},
        {1, {of_null()}},
        {2, {of_null(), of_null()}},
        {1, {of_str("")}},
        {2, {of_str(""), of_str("")}},
        {2, {of_str(""), of_null()}},
        {2, {of_null(), of_str("")}},
        {1, {of_bool(false)}},
        {1, {of_bool(true)}},
        {1, {of_i64(0)}},
        {1, {of_i64(1)}},
        {1, {of_i64(-1)}},
        {1, {of_i64(INT64_MIN)}},
        {1, {of_i64(INT64_MAX)}},
        {1, {of_i64('n')}},
        {2, {of_i64(1), of_i64(0)}},
        {2, {of_i64(0), of_i64(1)}},
        {1, {of_f64(0)}},
        {1, {of_f64(1)}},
        {1, {of_f64(-1)}},
        {1, {of_f64(1.0000000000000002)}},
        {1, {of_f64(HUGE_VAL)}},
        {1, {of_f64(-HUGE_VAL)}},
        {1, {of_f64((double)NAN)}},
        {1, {of_f64(5e-324)}},
        {1, {of_str("0")}},
        {1, {of_str("1")}},
        {1, {of_str("1.0")}},
        {1, {of_str("true")}},
        {1, {of_str("null")}},
        {1, {of_str("a-b")}},
        {2, {of_str("a-b"), of_str("c")}},
        {2, {of_str("a"), of_str("b-c")}},
        {1, {of_str("a-b-c")}},
        {3, {of_str("a"), of_str("b"), of_str("c")}},
        {2, {of_str("ab"), of_str("c")}},
        {2, {of_str("a"), of_str("bc")}},
        {1, {of_str("abc")}},
        {2, {of_str("abc"), of_str("")}},
        {2, {of_str(""), of_str("abc")}},
        {2, {of_str("abc"), of_null()}},
        {1, {of_bytes("\0", 1)}},
        {1, {of_bytes("\0\0", 2)}},
        {1, {of_bytes("abc\0", 4)}},
        {1, {of_bytes("abcdefg", 7)}},
        {1, {of_bytes("abcdefg\0", 8)}},
        {1, {of_bytes("s\3\0\0\0\0\0\0\0abc", 12)}},
        {1, {of_str("\xff")}},
        {1, {of_str("[1]")}},
        {1, {of_json("0")}},
        {1, {of_json("1")}},
        {1, {of_json("-1")}},
        {1, {of_json("1.0")}},
        {1, {of_json("-1.0")}},
        {1, {of_json("0.0")}},
        {1, {of_json("1e1")}},
        {1, {of_json("1e-1")}},
        {1, {of_json("1e2")}},
        {1, {of_json("101e0")}},
        {1, {of_json("1001e0")}},
        {1, {of_json("9223372036854775807")}},
        {1, {of_json("-9223372036854775808")}},
        {1, {of_json("true")}},
        {1, {of_json("false")}},
        {1, {of_json("null")}},
        {1, {of_json("\"\"")}},
        {1, {of_json("\"1\"")}},
        {1, {of_json("\"a\\u0000\"")}},
        {1, {of_json("\"a\"")}},
        {1, {of_json("[]")}},
        {1, {of_json("[[]]")}},
        {1, {of_json("[[],[]]")}},
        {1, {of_json("[null]")}},
        {1, {of_json("[1,2]")}},
        {1, {of_json("[2,1]")}},
        {1, {of_json("[12]")}},
        {1, {of_json("[[1],2]")}},
        {1, {of_json("[1,[2]]")}},
        {1, {of_json("[[1,2]]")}},
        {1, {of_json("{}")}},
        {1, {of_json("[{}]")}},
        {1, {of_json("{\"a\":{}}")}},
        {1, {of_json("{\"a\":[]}")}},
        {1, {of_json("{\"a\":null}")}},
        {1, {of_json("{\"a\":1}")}},
        {1, {of_json("{\"a\":\"1\"}")}},
        {1, {of_json("{\"a\":1,\"b\":2}")}},
        {1, {of_json("{\"a\":2,\"b\":1}")}},
        {1, {of_json("{\"a\":{\"b\":2}}")}},
        {1, {of_json("{\"a\":1,\"b\":{\"c\":3,\"d\":4}}")}},
        {1, {of_json("{\"a\":1,\"b\":{\"c\":4,\"d\":3}}")}},
        {1, {of_json("{\"a\":{\"c\":3},\"b\":{\"d\":4}}")}},
        {1, {of_json("{\"a\":{\"d\":4},\"b\":{\"c\":3}}")}},
        {1, {of_json("no json")}},
        {1, {of_json("")}},
        {1, {of_json("01")}},
        {1, {of_json("1 2")}},
        {1, {of_json("{\"a\":1")}},
        {1, {of_json("9223372036854775808")}},
        {1, {of_json("\"\\ud800\"")}},
        {1, {of_json("\"\\udc00\"")}},
        {2, {of_json("[1]"), of_json("[2]")}},
        {2, {of_json("[2]"), of_json("[1]")}},
    };
    enum { COUNT = sizeof list / sizeof *list };
    static struct tq_digest digest[COUNT];
    for (size_t i = 0; i < COUNT; i++) {
        digest[i] = of_parts(&queue, list[i].part, list[i].count);
        for (size_t k = 0; k < i; k++)
            cr_assert_not(same(digest[i], digest[k]), "%zu and %zu", k, i);
        cr_assert(same(digest[i], of_parts(&queue, list[i].part, list[i].count)));
    }
}

Test(key, these_are_one)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    const double negative_nan = copysign((double)NAN, -1.0);
    const struct trq_value pairs[][2] = {
        {of_f64(0.0), of_f64(-0.0)},
        {of_f64((double)NAN), of_f64(negative_nan)},
        {of_null(), of_bytes(NULL, 0)},
        {of_null(), {.type = TRQ_JSON, .u.s = {NULL, 0}}},
        {of_json("{\"a\":1,\"b\":2}"), of_json("{\"b\":2,\"a\":1}")},
        {of_json("{\"a\":1,\"b\":2}"), of_json(" {\n\t\"b\" : 2 ,\r \"a\" : 1 } ")},
        {of_json("[{\"a\":{\"x\":[1,2],\"y\":null},\"b\":true}]"),
         of_json("[ { \"b\" : true , \"a\" : { \"y\" : null , \"x\" : [ 1 , 2 ] } } ]")},
        {of_json("[]"), of_json("[ ]")},
        {of_json("{}"), of_json("{ }")},
        {of_json("\"A\""), of_json("\"\\u0041\"")},
        {of_json("\"/\\\"\\\\\\b\\f\\n\\r\\t\""),
         of_json("\"\\/\\u0022\\u005c\\u0008\\u000C\\u000a\\u000D\\u0009\"")},
        {of_json("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\""),
         of_json("\"\\u00e4\\u20AC\\ud83d\\ude00\"")},
        {of_json("{\"\\u0061\":1}"), of_json("{\"a\":1}")},
        {of_json("0"), of_json("-0")},
        {of_json("0.0"), of_json("-0e5")},
        {of_json("0.0"), of_json("0e-99999999999999999999999")},
        {of_json("1.5"), of_json("1.50")},
        {of_json("1.5"), of_json("15e-1")},
        {of_json("1.5"), of_json("0.00150E+3")},
        {of_json("1500.0"), of_json("15E2")},
        {of_json("100.0"), of_json("1e2")},
        {of_json("0.001"), of_json("1e-3")},
        {of_json("1001e-3"), of_json("1.001")},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        cr_assert(same(of_parts(&queue, &pairs[i][0], 1), of_parts(&queue, &pairs[i][1], 1)), "%zu",
                  i);
}

Test(key, kinds_name_spaces_and_engines_do_not_meet)
{
    const struct trq_value part = of_i64(1);
    struct tq_key_prefix list[] = {
        prefix_of('q', "Worker"),  prefix_of('w', "Worker"), prefix_of('q', "Worke"),
        prefix_of('q', "Workers"), prefix_of('q', ""),
    };
    enum { COUNT = sizeof list / sizeof *list };
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < i; k++) {
            cr_assert_not(same(of_parts(&list[i], &part, 1), of_parts(&list[k], &part, 1)));
            cr_assert_not(same(of_parts(&list[i], NULL, 0), of_parts(&list[k], NULL, 0)));
        }
    }
    const struct tq_secret other = {secret.k0, secret.k1 ^ 1};
    struct tq_key_prefix abroad;
    tq_key_prefix_make(&abroad, &other, 'q', "Worker");
    cr_assert_not(same(of_parts(&list[0], &part, 1), of_parts(&abroad, &part, 1)));
}

Test(key, what_a_function_gives_is_what_a_list_of_inputs_gives)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    const struct trq_value parts[] = {of_i64(-5), of_f64(2.5), of_bool(true), of_str("text")};
    struct trq_key key;
    tq_key_begin(&key, &queue);
    trq_key_i64(&key, -5);
    trq_key_f64(&key, 2.5);
    trq_key_bool(&key, true);
    trq_key_str(&key, trq_str_of("text"));
    cr_assert(same(tq_key_end(&key), of_parts(&queue, parts, 4)));

    const struct trq_value absent = of_null();
    tq_key_begin(&key, &queue);
    trq_key_str(&key, trq_str_of(NULL));
    cr_assert(same(tq_key_end(&key), of_parts(&queue, &absent, 1)));
}

Test(key, long_texts_differ_wherever_they_differ)
{
    enum { SIZE = 100000 };
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    char *text = malloc(SIZE);
    memset(text, 'a', SIZE);
    struct trq_value part = of_bytes(text, SIZE);
    const struct tq_digest whole = of_parts(&queue, &part, 1);
    for (size_t at = 0; at < SIZE; at += 997) {
        text[at] = 'b';
        cr_assert_not(same(of_parts(&queue, &part, 1), whole));
        text[at] = 'a';
    }
    cr_assert(same(of_parts(&queue, &part, 1), whole));
    part.u.s.size--;
    cr_assert_not(same(of_parts(&queue, &part, 1), whole));
    free(text);
}

/* ---- JSON: at random, and cut off ------------------------------------------------------------------- */

struct text {
    char data[8192];
    size_t size;
};

static void put(struct text *text, const char *more)
{
    const size_t size = strlen(more);
    if (text->size + size < sizeof text->data) {
        memcpy(text->data + text->size, more, size);
        text->size += size;
    }
}

static void put_space(struct text *text, bool spaced)
{
    static const char *const spaces[] = {"", " ", "\n", "\t ", "\r\n"};
    if (spaced)
        put(text, spaces[rand() % 5]);
}

/* The same value twice, once as it comes, once with white space and the members the other way round. `shape` decides what it
 * is, so both see the same. */
static void put_json(struct text *text, unsigned shape, int depth, bool other)
{
    char number[40];
    put_space(text, other);
    const unsigned next = shape * 2654435761u + 1;
    const unsigned count = shape >> 20 & 3;
    switch (depth ? shape >> 28 & 7 : 2 + (shape >> 28 & 3)) {
    case 0:
    case 6:
        put(text, "{");
        for (unsigned i = 0; i < count; i++) {
            const unsigned nth = other ? count - 1 - i : i;
            put_space(text, other);
            snprintf(number, sizeof number, other ? "\"k\\u%04x\"" : "\"k%c\"", 'a' + nth);
            put(text, number);
            put_space(text, other);
            put(text, ":");
            put_json(text, next + 7919 * nth, depth - 1, other);
            put(text, i + 1 < count ? "," : "");
        }
        put_space(text, other);
        put(text, "}");
        break;
    case 1:
    case 7:
        put(text, "[");
        for (unsigned i = 0; i < count; i++) {
            put_json(text, next + 104729 * i, depth - 1, other);
            put(text, i + 1 < count ? "," : "");
        }
        put_space(text, other);
        put(text, "]");
        break;
    case 2:
        snprintf(number, sizeof number, "%d", (int)next);
        put(text, number);
        break;
    case 3:
        snprintf(number, sizeof number, other ? "%u.%03u000" : "%u%03ue-3", next % 1000 + 1,
                 next % 997);
        put(text, number);
        break;
    case 4:
        put(text, next % 3 == 0 ? "true" : next % 3 == 1 ? "false" : "null");
        break;
    default:
        snprintf(number, sizeof number, "\"%u\"", next);
        put(text, number);
    }
    put_space(text, other);
}

Test(key, json_at_random_is_one_key_in_another_order_and_with_white_space)
{
    const unsigned seed = (unsigned)time(NULL);
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    printf("# seed %u\n", seed);
    srand(seed);
    unsigned shape = seed;
    for (int round = 0; round < 20000; round++) {
        static struct text one, other;
        struct tq_digest a, b;
        shape = shape * 1664525u + 1013904223u;
        one.size = other.size = 0;
        put_json(&one, shape, 4, false);
        put_json(&other, shape, 4, true);
        cr_assert(tq_canon_json(&queue.parts, (struct trq_str){one.data, one.size}, &a), "%u: %.*s",
                  seed, (int)one.size, one.data);
        cr_assert(tq_canon_json(&queue.parts, (struct trq_str){other.data, other.size}, &b),
                  "%u: %.*s", seed, (int)other.size, other.data);
        cr_assert(same(a, b), "%u: %.*s", seed, (int)one.size, one.data);
    }
}

/* In a block of its own, so that a read past its end is seen. */
static bool is_taken(const struct tq_key_prefix *prefix, const char *data, size_t size)
{
    struct tq_digest digest = {1, 2};
    char *block = malloc(size ? size : 1);
    memcpy(block, data, size);
    const bool taken = tq_canon_json(&prefix->parts, (struct trq_str){block, size}, &digest);
    cr_assert(taken || (digest.a == 1 && digest.b == 2), "the output is untouched");
    free(block);
    return taken;
}

Test(key, json_that_is_cut_off_or_wrong_is_refused_and_nothing_beyond_is_read)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    static const char whole[] = "{\"a\":[1,-2.5e+3,true,false,null],\"\\u0041\\ud83d\\ude00\\n\":"
                                "{\"x\":\"y\"},\"z\":[[],{}]}";
    static const char *const wrong[] = {
        "",
        " ",
        "{",
        "}",
        "[",
        "]",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "tru",
        "nul",
        "fals",
        "True",
        "01",
        "-",
        "+1",
        "1.",
        ".5",
        "1e",
        "1e+",
        "--1",
        "1x",
        "\"",
        "\"\\",
        "\"\\u12",
        "\"\\u12g4\"",
        "\"\\x\"",
        "\"\\ud83d\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ude00\"",
        "\"a\nb\"",
        "\"\xff\"",
        "[1]]",
        "nullx",
        "1 1",
        "99999999999999999999",
        "-9223372036854775809",
        "'a'",
    };
    for (size_t size = 0; size < sizeof whole - 1; size++)
        cr_assert_not(is_taken(&queue, whole, size), "%zu", size);
    cr_assert(is_taken(&queue, whole, sizeof whole - 1));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        cr_assert_not(is_taken(&queue, wrong[i], strlen(wrong[i])), "%s", wrong[i]);
    srand(1);
    for (int round = 0; round < 200000; round++) {
        char text[sizeof whole];
        memcpy(text, whole, sizeof whole);
        for (int i = rand() % 4; i >= 0; i--)
            text[(size_t)rand() % (sizeof whole - 1)] = "{}[]\",:\\u0e-1n\xff"[rand() % 16];
        (void)is_taken(&queue, text, sizeof whole - 1);
    }
}

Test(key, json_nests_as_deep_as_inputs_may_and_no_deeper)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    char text[300];
    for (size_t depth = 1; depth <= 100; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        cr_assert_eq(is_taken(&queue, text, 2 * depth), depth <= 64, "%zu", depth);
    }
}

/* ---- inputs ----------------------------------------------------------------------------------------- */

static struct tq_memory memory;

static const struct trq_input rows[] = {
    {"name", TRQ_STR, TRQ_OPTIONAL, 0, 0, 0, NULL},
    {"count", TRQ_I64, TRQ_OPTIONAL, 16, 7, 0, NULL},
    {"ratio", TRQ_F64, TRQ_OPTIONAL, 24, 0, 0.5, NULL},
    {"flag", TRQ_BOOL, TRQ_OPTIONAL, 32, 0, 0, NULL},
    {"data", TRQ_JSON, TRQ_OPTIONAL, 40, 0, 0, NULL},
};
static const struct trq_inputs declared = {rows, 5, 56};

struct bytes {
    unsigned char data[4096];
    size_t size;
};

static struct tq_layout *layout_of(const struct trq_inputs *inputs)
{
    struct tq_layout *layout = NULL;
    struct trq_error error = {0, ""};
    tq_memory_init(&memory, NULL);
    cr_assert_eq(tq_layout_create(&memory, "Worker", inputs, &layout, &error), TRQ_OK, "%s",
                 error.text);
    return layout;
}

static const struct bytes *encoded(const struct tq_layout *layout, struct trq_dict dict)
{
    static struct bytes bytes;
    struct trq_error error = {0, ""};
    const long size = tq_inputs_from_dict(layout, dict, false, bytes.data, sizeof bytes.data,
                                          sizeof bytes.data, &error);
    cr_assert(size >= 0, "%s", error.text);
    bytes.size = (size_t)size;
    return &bytes;
}

static struct tq_digest by_names(const struct tq_layout *layout, struct trq_dict dict,
                                 const char *const *names, size_t count)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    const struct bytes *bytes = encoded(layout, dict);
    struct trq_key key;
    tq_key_begin(&key, &queue);
    tq_key_names(&key, layout, bytes->data, bytes->size, names, count);
    return tq_key_end(&key);
}

static struct tq_digest by_all(const struct tq_layout *layout, struct trq_dict dict)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    const struct bytes *bytes = encoded(layout, dict);
    struct trq_key key;
    tq_key_begin(&key, &queue);
    tq_key_all(&key, layout, bytes->data, bytes->size);
    return tq_key_end(&key);
}

Test(key, inputs_by_name_are_their_values_in_order)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    struct tq_layout *layout = layout_of(&declared);
    static const char *const names[] = {"count", "data", "name", "nowhere", "more"};
    const struct trq_value parts[] = {of_i64(7), of_json("{\"b\":[ ],\"a\":1}"), of_null(),
                                      of_null(), of_str("x")};
    const struct tq_digest digest =
        by_names(layout,
                 TRQ_DICT(TRQ_KV("more", "x"), TRQ_KV("other", 2),
                          TRQ_KV("data", of_json("{\"a\":1,\"b\":[]}"))),
                 names, 5);
    cr_assert(same(digest, of_parts(&queue, parts, 5)));
    static const char *const turned[] = {"data", "count", "name", "nowhere", "more"};
    cr_assert_not(same(digest, by_names(layout,
                                        TRQ_DICT(TRQ_KV("more", "x"),
                                                 TRQ_KV("data", of_json("{\"a\":1,\"b\":[]}"))),
                                        turned, 5)));
    cr_assert(same(by_names(layout, TRQ_DICT_NONE, NULL, 0), of_parts(&queue, NULL, 0)));
    tq_layout_destroy(&memory, layout);
}

Test(key, rows_are_what_their_names_are)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    struct tq_layout *layout = layout_of(&declared);
    static const uint16_t at[] = {4, 0, 1, 3, 2};
    static const char *const names[] = {"data", "name", "count", "flag", "ratio"};
    const struct bytes *bytes = encoded(layout, TRQ_DICT(TRQ_KV("name", "n"), TRQ_KV("ratio", 3)));
    struct trq_key a, b;
    tq_key_begin(&a, &queue);
    tq_key_begin(&b, &queue);
    tq_key_rows(&a, layout, bytes->data, bytes->size, at, 5);
    tq_key_names(&b, layout, bytes->data, bytes->size, names, 5);
    cr_assert(same(tq_key_end(&a), tq_key_end(&b)));
    tq_layout_destroy(&memory, layout);
}

Test(key, absent_is_not_empty_and_a_default_is_what_it_says)
{
    struct tq_layout *layout = layout_of(&declared);
    static const char *const names[] = {"name", "more", "count", "ratio"};
    const struct tq_digest absent = by_names(layout, TRQ_DICT_NONE, names, 4);
    cr_assert_not(same(absent, by_names(layout, TRQ_DICT(TRQ_KV("name", "")), names, 4)));
    cr_assert_not(same(absent, by_names(layout, TRQ_DICT(TRQ_KV("more", "")), names, 4)));
    cr_assert_not(same(by_names(layout, TRQ_DICT(TRQ_KV("more", "")), names, 4),
                       by_names(layout, TRQ_DICT(TRQ_KV("name", "")), names, 4)));
    cr_assert(same(absent, by_names(layout, TRQ_DICT(TRQ_KV("count", 7)), names, 4)));
    cr_assert(same(absent, by_names(layout, TRQ_DICT(TRQ_KV("more", of_null())), names, 4)));
    /* A declared real takes integers: it is the real then. Undeclared they are two. */
    cr_assert(same(by_names(layout, TRQ_DICT(TRQ_KV("ratio", 2)), names, 4),
                   by_names(layout, TRQ_DICT(TRQ_KV("ratio", 2.0)), names, 4)));
    cr_assert_not(same(by_names(layout, TRQ_DICT(TRQ_KV("more", 2)), names, 4),
                       by_names(layout, TRQ_DICT(TRQ_KV("more", 2.0)), names, 4)));
    tq_layout_destroy(&memory, layout);
}

Test(key, all_inputs_undeclared_ones_in_any_order)
{
    struct tq_layout *layout = layout_of(&declared);
    const struct trq_kv a = TRQ_KV("a", 1), b = TRQ_KV("b", 2), c = TRQ_KV("c", "3"),
                        d = TRQ_KV("name", "n");
    const struct tq_digest digest = by_all(layout, TRQ_DICT(a, b, c, d));
    cr_assert(same(digest, by_all(layout, TRQ_DICT(c, d, b, a))));
    cr_assert(same(digest, by_all(layout, TRQ_DICT(d, b, a, c))));
    cr_assert_not(same(digest, by_all(layout, TRQ_DICT(a, b, c))));
    cr_assert_not(same(digest, by_all(layout, TRQ_DICT(a, b, d))));
    cr_assert_not(same(digest, by_all(layout, TRQ_DICT(a, b, c, d, TRQ_KV("e", of_null())))));
    cr_assert_not(same(digest, by_all(layout, TRQ_DICT(TRQ_KV("a", 2), TRQ_KV("b", 1), c, d))),
                  "values that changed places");
    cr_assert_not(same(by_all(layout, TRQ_DICT(TRQ_KV("ab", "c"))),
                       by_all(layout, TRQ_DICT(TRQ_KV("a", "bc")))));
    cr_assert_not(same(by_all(layout, TRQ_DICT_NONE), by_all(layout, TRQ_DICT(a))));
    cr_assert(same(by_all(layout, TRQ_DICT_NONE), by_all(layout, TRQ_DICT(TRQ_KV("count", 7)))));
    tq_layout_destroy(&memory, layout);
}

Test(key, all_of_a_worker_that_declares_nothing)
{
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    struct tq_layout *layout = layout_of(NULL);
    cr_assert(same(by_all(layout, TRQ_DICT_NONE), of_parts(&queue, NULL, 0)));
    cr_assert(same(by_all(layout, TRQ_DICT(TRQ_KV("x", 1), TRQ_KV("y", 2))),
                   by_all(layout, TRQ_DICT(TRQ_KV("y", 2), TRQ_KV("x", 1)))));
    tq_layout_destroy(&memory, layout);
}

/* ---- a million -------------------------------------------------------------------------------------- */

static int by_digest(const void *x, const void *y)
{
    const struct tq_digest *a = x, *b = y;
    if (a->a != b->a)
        return a->a < b->a ? -1 : 1;
    return (a->b > b->b) - (a->b < b->b);
}

Test(key, a_million_keys_are_a_million_digests)
{
    enum { COUNT = 1000000 };
    struct tq_key_prefix queue = prefix_of('q', "Worker");
    struct tq_digest *digest = malloc(COUNT * sizeof *digest);
    char text[32];
    for (int i = 0; i < COUNT; i++) {
        struct trq_key key;
        tq_key_begin(&key, &queue);
        if (i % 2) {
            trq_key_i64(&key, i);
        } else {
            const int size = snprintf(text, sizeof text, "customer-%d", i);
            trq_key_str(&key, (struct trq_str){text, (size_t)size});
        }
        digest[i] = tq_key_end(&key);
    }
    qsort(digest, COUNT, sizeof *digest, by_digest);
    size_t halves = 0;
    for (int i = 1; i < COUNT; i++) {
        cr_assert(by_digest(&digest[i - 1], &digest[i]) < 0);
        halves += digest[i - 1].a == digest[i].a;
    }
    cr_assert_eq(halves, 0, "64 bits of them alone would do for a million");
    free(digest);
}
