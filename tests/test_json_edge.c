#include <criterion/criterion.h>

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <jansson.h>

#include "engine/base/memory.h"
#include "engine/core/inputs.h"
#include "engine/core/json.h"

/* ---- memory that fails at the k-th call: for the engine's blocks and, in this program, jansson's ----- */

static struct {
    int left; /* calls until it fails; negative: never */
    int blocks;
} heap = {-1, 0};

static void *heap_malloc(size_t size)
{
    if (heap.left == 0)
        return NULL;
    heap.left--;
    heap.blocks++;
    return malloc(size);
}

static void heap_free(void *block)
{
    heap.blocks -= block != NULL;
    free(block);
}

static void *heap_alloc(void *context, size_t size, size_t align)
{
    (void)context;
    (void)align;
    return heap_malloc(size);
}

static void heap_drop(void *context, void *block, size_t size)
{
    (void)context;
    memset(block, 0xDD, size); /* a wrong size is seen here */
    heap_free(block);
}

static const struct tq_memory memory = {heap_alloc, heap_drop, NULL};

static bool is_str(struct trq_str text, const char *expected)
{
    return text.data && text.size == strlen(expected) &&
           memcmp(text.data, expected, text.size) == 0;
}

/* The text in a block of exactly its size, not terminated: the sanitizer sees a step beyond. */
static struct trq_str exact(const char *text, size_t size)
{
    char *copy = malloc(size ? size : 1);
    memcpy(copy, text, size);
    return (struct trq_str){copy, size};
}

static int check(const char *text, size_t size, char *why)
{
    const struct trq_str copy = exact(text, size);
    const int rc = tq_json_check(copy, why, TQ_JSON_WHY_SIZE);
    free((char *)(uintptr_t)copy.data);
    return rc;
}

static int parse(const char *text, struct tq_json_dict *out, struct trq_error *error)
{
    const struct trq_str copy = exact(text, strlen(text));
    const int rc = tq_json_parse_dict(&memory, copy, out, error);
    free((char *)(uintptr_t)copy.data);
    return rc;
}

/* ---- malformed and well formed ----------------------------------------------------------------------- */

#define TEXT(literal) literal, sizeof(literal) - 1

Test(json, each_malformed_text_is_refused_and_the_sentence_says_where)
{
    static const struct {
        const char *text;
        size_t size;
        const char *why;
    } rows[] = {
        {TEXT(""), "line 1, column 0: unexpected token near end of file"},
        {TEXT("  "), "line 1, column 2: unexpected token near end of file"},
        {TEXT("{"), "line 1, column 1: string or '}' expected near end of file"},
        {TEXT("}"), "line 1, column 1: unexpected token near '}'"},
        {TEXT("[1,]"), "line 1, column 4: unexpected token near ']'"},
        {TEXT("[1 2]"), "line 1, column 4: ']' expected near '2'"},
        {TEXT("[1}"), "line 1, column 3: ']' expected near '}'"},
        {TEXT("{\"a\"}"), "line 1, column 5: ':' expected near '}'"},
        {TEXT("{\"a\":}"), "line 1, column 6: unexpected token near '}'"},
        {TEXT("{\"a\":1,}"), "line 1, column 8: string or '}' expected near '}'"},
        {TEXT("{a:1}"), "line 1, column 2: string or '}' expected near 'a'"},
        {TEXT("{'a':1}"), "line 1, column 2: string or '}' expected near '''"},
        {TEXT("{1:1}"), "line 1, column 2: string or '}' expected near '1'"},
        {TEXT("{\"a\":1}x"), "line 1, column 8: end of file expected near 'x'"},
        {TEXT("1 2"), "line 1, column 3: end of file expected near '2'"},
        {TEXT("{}\n\n{}"), "line 3, column 1: end of file expected near '{'"},
        {TEXT("nul"), "line 1, column 3: invalid token near 'nul'"},
        {TEXT("True"), "line 1, column 4: invalid token near 'True'"},
        {TEXT("NaN"), "line 1, column 3: invalid token near 'NaN'"},
        {TEXT("Infinity"), "line 1, column 8: invalid token near 'Infinity'"},
        {TEXT("01"), "line 1, column 1: invalid token near '0'"},
        {TEXT("+1"), "line 1, column 1: invalid token near '+'"},
        {TEXT("-"), "line 1, column 1: invalid token near '-'"},
        {TEXT("1."), "line 1, column 2: invalid token near '1.'"},
        {TEXT(".5"), "line 1, column 1: invalid token near '.'"},
        {TEXT("1e"), "line 1, column 2: invalid token near '1e'"},
        {TEXT("0x10"), "line 1, column 2: end of file expected near 'x'"},
        {TEXT("9223372036854775808"),
         "line 1, column 19: too big integer near '9223372036854775808'"},
        {TEXT("-9223372036854775809"),
         "line 1, column 20: too big negative integer near '-9223372036854775809'"},
        {TEXT("1e999"), "line 1, column 5: real number overflow near '1e999'"},
        {TEXT("\"abc"), "line 1, column 4: premature end of input near '\"abc'"},
        {TEXT("\"a\nb\""), "line 1, column 2: unexpected newline near '\"a'"},
        {TEXT("\"a\tb\""), "line 1, column 2: control character 0x9 near '\"a'"},
        {TEXT("\"\\q\""), "line 1, column 3: invalid escape near '\"\\q'"},
        {TEXT("\"\\u12\""), "line 1, column 6: invalid escape near '\"\\u12\"'"},
        {TEXT("\"\\ud800\""), "line 1, column 8: invalid Unicode '\\uD800' near '\"\\ud800\"'"},
        {TEXT("\"\\udc00\""), "line 1, column 8: invalid Unicode '\\uDC00' near '\"\\udc00\"'"},
        {TEXT("\"\xFF\""), "line 1, column 1: unable to decode byte 0xff near '\"'"},
        {TEXT("\"\xC0\x80\""), "line 1, column 1: unable to decode byte 0xc0 near '\"'"},
        {TEXT("\"\xED\xA0\x80\""), "line 1, column 1: unable to decode byte 0xed near '\"'"},
        {TEXT("\xEF\xBB\xBF{}"), "line 1, column 1: invalid token near '\xEF\xBB\xBF'"},
        {TEXT("{\"a\":1,\"a\":2}"), "line 1, column 10: duplicate object key near '\"a\"'"},
        {TEXT("[{\"a\":{\"b\":1,\n\"b\":2}}]"),
         "line 2, column 3: duplicate object key near '\"b\"'"},
        {TEXT("{\"\\u0061\":1,\"a\":2}"), "line 1, column 15: duplicate object key near '\"a\"'"},
        {TEXT("{\"a\\u0000b\":1}"),
         "line 1, column 11: NUL byte in object key not supported near '\"a\\u0000b\"'"},
        {TEXT("{}\0"), "line 1, column 3: end of file expected near end of file"},
        {TEXT("\0"), "line 1, column 1: invalid token near end of file"},
        {TEXT("// no\n1"), "line 1, column 1: invalid token near '/'"},
    };
    char why[TQ_JSON_WHY_SIZE];
    char expected[TQ_JSON_WHY_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(expected, sizeof expected, "JSON: %s", rows[i].why);
        why[0] = '\0';
        cr_expect_eq(check(rows[i].text, rows[i].size, why), TRQ_EINPUT, "row %zu", i);
        cr_expect_str_eq(why, expected, "row %zu: %s", i, why);
    }
}

Test(json, each_kind_of_value_may_stand_alone)
{
    static const char *const rows[] = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "9223372036854775807",
        "-9223372036854775808",
        "1.5",
        "1E-400",
        "-1e+308",
        "\"\"",
        "\"a\\u0000b\"",
        "\"\\ud83d\\ude00\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "[]",
        "{}",
        " [ 1 , 2 ] ",
        "{\"\":{\"\":{}}}",
        "\"na\xC3\xAFve \xF0\x9F\x98\x80\"",
    };
    char why[TQ_JSON_WHY_SIZE];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        cr_expect_eq(check(rows[i], strlen(rows[i]), why), TRQ_OK, "%s", rows[i]);
}

Test(json, no_text_is_refused)
{
    char why[TQ_JSON_WHY_SIZE];
    cr_assert_eq(tq_json_check((struct trq_str){NULL, 5}, why, sizeof why), TRQ_EINPUT);
    cr_assert_str_eq(why, "JSON: line 1, column 1: no text is given");
}

Test(json, inputs_nest_as_deep_as_64_and_a_value_in_them_one_less)
{
    char text[400];
    char why[TQ_JSON_WHY_SIZE];
    struct trq_error error;
    struct tq_json_dict dict;
    for (int depth = 60; depth <= 70; depth++) {
        memset(text, '[', (size_t)depth);
        memset(text + depth, ']', (size_t)depth);
        const int rc = check(text, (size_t)depth * 2, why);
        cr_assert_eq(rc, depth <= 63 ? TRQ_OK : TRQ_EINPUT, "%d", depth);

        const int n = snprintf(text, sizeof text, "{\"a\":\n \"\xC3\xAF[[\\\"[\",\"b\":");
        memset(text + n, '[', (size_t)depth);
        memset(text + n + depth, ']', (size_t)depth);
        strcpy(text + n + 2 * depth, "}");
        const int rc2 = parse(text, &dict, &error);
        cr_assert_eq(rc2, depth <= 63 ? TRQ_OK : TRQ_EINPUT, "%d", depth);
        if (rc2 == TRQ_OK)
            tq_json_dict_fini(&memory, &dict);
    }
    cr_assert_str_eq(error.text, "JSON: line 2, column 78: nested deeper than 64");
}

Test(json, a_million_brackets_do_not_reach_the_stack)
{
    enum { MANY = 1000000 };
    char why[TQ_JSON_WHY_SIZE];
    char *text = malloc(MANY);
    for (int i = 0; i < 2; i++) {
        memset(text, i ? '{' : '[', MANY);
        cr_assert_eq(tq_json_check((struct trq_str){text, MANY}, why, sizeof why), TRQ_EINPUT);
        cr_assert_str_eq(why, "JSON: line 1, column 64: nested deeper than 64");
    }
    free(text);
}

/* ---- dictionaries ------------------------------------------------------------------------------------ */

Test(dict, members_come_in_the_order_of_the_text_with_their_types)
{
    struct tq_json_dict dict;
    cr_assert_eq(
        parse(" { \"s\" : \"a\\u0000b\" , \"n\":null,\"t\":true , \"f\":false,\"i\":-7,"
              "\"r\":2.0,\"l\" : [ 1.50 , \" ] \\\" \" ] ,\"o\":{ \"x\" : {} },\"e\":[]}\n",
              &dict, NULL),
        TRQ_OK);
    const struct trq_kv *kv = dict.dict.kv;
    cr_assert_eq(dict.dict.count, 9);
    cr_assert(is_str(kv[0].key, "s") && kv[0].value.type == TRQ_STR);
    cr_assert(kv[0].value.u.s.size == 3 && memcmp(kv[0].value.u.s.data, "a\0b", 3) == 0);
    cr_assert(is_str(kv[1].key, "n") && kv[1].value.type == TRQ_NULL);
    cr_assert(is_str(kv[2].key, "t") && kv[2].value.type == TRQ_BOOL && kv[2].value.u.b);
    cr_assert(is_str(kv[3].key, "f") && kv[3].value.type == TRQ_BOOL && !kv[3].value.u.b);
    cr_assert(is_str(kv[4].key, "i") && kv[4].value.type == TRQ_I64 && kv[4].value.u.i == -7);
    cr_assert(is_str(kv[5].key, "r") && kv[5].value.type == TRQ_F64 && kv[5].value.u.f == 2);
    cr_assert(is_str(kv[6].key, "l") && kv[6].value.type == TRQ_JSON);
    cr_assert(is_str(kv[6].value.u.s, "[1.50,\" ] \\\" \"]"));
    cr_assert(is_str(kv[7].key, "o") && is_str(kv[7].value.u.s, "{\"x\":{}}"));
    cr_assert(is_str(kv[8].key, "e") && is_str(kv[8].value.u.s, "[]"));
    tq_json_dict_fini(&memory, &dict);
    cr_assert_eq(heap.blocks, 0);
}

Test(dict, an_empty_object_is_a_dictionary_of_nothing)
{
    struct tq_json_dict dict;
    cr_assert_eq(parse(" {\n} ", &dict, NULL), TRQ_OK);
    cr_assert_eq(dict.dict.count, 0);
    tq_json_dict_fini(&memory, &dict);
    cr_assert_eq(heap.blocks, 0);
}

Test(dict, what_is_no_object_is_refused_by_its_kind)
{
    static const char *const rows[][2] = {
        {"[1]", "a list"},   {"\"x\"", "a string"}, {"1", "a number"},
        {"1.5", "a number"}, {"true", "a bool"},    {"null", "null"},
    };
    struct tq_json_dict dict;
    struct trq_error error;
    char expected[100];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        snprintf(expected, sizeof expected,
                 "JSON: line 1, column 1: an object is wanted, %s was given", rows[i][1]);
        cr_assert_eq(parse(rows[i][0], &dict, &error), TRQ_EINPUT);
        cr_assert_str_eq(error.text, expected);
    }
    cr_assert_eq(tq_json_parse_dict(&memory, (struct trq_str){NULL, 0}, &dict, &error), TRQ_EINPUT);
    cr_assert_eq(tq_json_parse_dict(&memory, (struct trq_str){NULL, 0}, &dict, NULL), TRQ_EINPUT);
}

Test(dict, wherever_memory_ends_it_says_so_and_nothing_leaks)
{
    static const char text[] = "{\"a\":[1,{\"b\":2.5}],\"a longer key\":\"a text \\u00e9\","
                               "\"c\":null,\"d\":{},\"e\":12345,\"f\":true,\"g\":\"\"}";
    struct tq_json_dict dict;
    struct trq_error error;
    int fails = 0;
    json_set_alloc_funcs(heap_malloc, heap_free);
    for (;; fails++) {
        heap.left = fails;
        const int rc = tq_json_parse_dict(&memory, trq_str_of(text), &dict, &error);
        if (rc == TRQ_OK)
            break;
        cr_expect_eq(rc, TRQ_ENOMEM, "call %d: %s", fails, error.text);
        cr_expect_str_eq(error.text, "JSON: out of memory");
        cr_assert_eq(heap.blocks, 0, "call %d", fails);
    }
    cr_assert_gt(fails, 20);
    cr_assert_eq(dict.dict.count, 7);
    tq_json_dict_fini(&memory, &dict);
    cr_assert_eq(heap.blocks, 0);
}

/* ---- writing ----------------------------------------------------------------------------------------- */

static const char *written(struct trq_value value)
{
    static char text[200];
    const size_t size = tq_json_write(&value, text, sizeof text - 1);
    cr_assert_eq(tq_json_write(&value, NULL, 0), size);
    text[size] = '\0';
    return text;
}

#define REAL(number) ((struct trq_value){TRQ_F64, {.f = (number)}})

Test(write, real_numbers_are_short_look_real_and_read_back_the_same)
{
    cr_assert_str_eq(written(REAL(0.1)), "0.1");
    cr_assert_str_eq(written(REAL(1.0)), "1.0");
    cr_assert_str_eq(written(REAL(-0.0)), "-0.0");
    cr_assert_str_eq(written(REAL(1e300)), "1e+300");
    cr_assert_str_eq(written(REAL(0.1 + 0.2)), "0.30000000000000004");
    cr_assert_str_eq(written(REAL(5e-324)), "4.94065645841247e-324");
    cr_assert_str_eq(written(REAL((double)NAN)), "null");
    cr_assert_str_eq(written(REAL(-(double)INFINITY)), "null");

    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = (uint64_t)rand() << 62 ^ (uint64_t)rand() << 31 ^ (uint64_t)rand();
        double real;
        memcpy(&real, &bits, sizeof real);
        if (isfinite(real))
            cr_assert_eq(strtod(written(REAL(real)), NULL), real, "seed %u, %a", seed, real);
    }
}

Test(write, the_locale_of_the_thread_changes_nothing)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "ps_AF.UTF-8",
                                        "fa_IR.UTF-8"};
    int found = 0;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const locale_t locale = newlocale(LC_ALL_MASK, names[i], (locale_t)0);
        if (!locale)
            continue;
        found++;
        const locale_t before = uselocale(locale);
        struct tq_json_dict dict;
        cr_expect_str_eq(written(REAL(1.5)), "1.5");
        cr_expect_eq(parse("{\"a\":1.5}", &dict, NULL), TRQ_OK);
        cr_expect(dict.dict.kv[0].value.u.f == 1.5);
        cr_expect_eq(uselocale((locale_t)0), locale, "the thread has its own again");
        tq_json_dict_fini(&memory, &dict);
        uselocale(before);
        freelocale(locale);
    }
    if (!found)
        cr_skip_test("no locale with a decimal comma is installed");
}

Test(write, strings_escape_what_must_be_and_nothing_else)
{
    static const char all[] = "\"\\/\b\f\n\r\t\x01\x1F\x7F na\xC3\xAFve";
    cr_assert_str_eq(written((struct trq_value){TRQ_STR, {.s = {all, sizeof all - 1}}}),
                     "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7F na\xC3\xAFve\"");
    cr_assert_str_eq(written((struct trq_value){TRQ_STR, {.s = {"a\0b", 3}}}), "\"a\\u0000b\"");
    cr_assert_str_eq(written((struct trq_value){TRQ_STR, {.s = {"", 0}}}), "\"\"");
    cr_assert_str_eq(written((struct trq_value){TRQ_STR, {.s = {NULL, 0}}}), "null");
}

static const struct trq_input rows[] = {
    {"name", TRQ_STR, 0, 0, 0, 0, NULL},          {"count", TRQ_I64, 0, 16, 1, 0, NULL},
    {"ratio", TRQ_F64, 0, 24, 0, 0.25, NULL},     {"flag", TRQ_BOOL, 0, 32, 0, 0, NULL},
    {"data", TRQ_JSON, 0, 40, 0, 0, "{\"a\":1}"}, {"note", TRQ_JSON, 0, 56, 0, 0, NULL},
};
static const struct trq_inputs declared = {rows, 6, 72};

static struct tq_layout *make(void)
{
    struct tq_layout *layout = NULL;
    cr_assert_eq(tq_layout_create(&memory, "W", &declared, &layout, NULL), TRQ_OK);
    return layout;
}

Test(write, inputs_are_one_object_without_the_absent_ones)
{
    unsigned char bytes[500];
    char text[200];
    struct tq_layout *layout = make();
    const struct trq_dict dict =
        TRQ_DICT(TRQ_KV("z", trq_null()), TRQ_KV("note", trq_null()), TRQ_KV("\"", (double)NAN));
    const long size =
        tq_inputs_from_dict(layout, dict, false, bytes, sizeof bytes, sizeof bytes, NULL);
    static const char expected[] = "{\"count\":1,\"ratio\":0.25,\"flag\":false,\"data\":{\"a\":1},"
                                   "\"note\":null,\"z\":null,\"\\\"\":null}";
    const long length = (long)strlen(expected);
    for (size_t room = 0; room < sizeof text; room++) { /* as snprintf, whatever the room */
        memset(text, 'x', sizeof text);
        cr_assert_eq(tq_json_from_inputs(layout, bytes, (size_t)size, text, room), length);
        if (room)
            cr_assert_eq(strlen(text), room - 1 < (size_t)length ? room - 1 : (size_t)length);
        cr_assert(strncmp(text, expected, room ? room - 1 : 0) == 0);
        cr_assert_eq(text[room], 'x');
    }
    tq_layout_destroy(&memory, layout);
}

static struct trq_value random_value(enum trq_type type)
{
    static const char *const texts[] = {"", "plain", "na\xC3\xAFve", "\" \\ \n \x01", "[1]"};
    static const char *const jsons[] = {"[]", "{\"a\":[1,\"x y\",{}]}", "[1.50,1e5,null]"};
    struct trq_value v = {.type = type};
    if (type == TRQ_BOOL)
        v.u.b = rand() % 2;
    else if (type == TRQ_I64)
        v.u.i = (int64_t)((uint64_t)rand() << 40 ^ (uint64_t)rand());
    else if (type == TRQ_F64)
        v.u.f = ldexp((double)rand() - (double)rand(), rand() % 100 - 50);
    else if (type == TRQ_STR)
        v.u.s = trq_str_of(texts[rand() % 5]);
    else if (type == TRQ_JSON)
        v.u.s = trq_str_of(jsons[rand() % 3]);
    return v;
}

Test(write, what_is_printed_and_read_again_is_the_same_job)
{
    static const char *const names[] = {"name", "count", "ratio", "flag", "data",
                                        "e\"x", "extra", "x3",    "x4",   "x5"};
    unsigned char first[2000], second[2000];
    char text[4000];
    struct tq_layout *layout = make();
    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 3000; round++) {
        struct trq_kv kv[10];
        struct trq_dict dict = {kv, 0};
        for (size_t i = 0; i < 10; i++) {
            static const enum trq_type types[] = {TRQ_STR, TRQ_I64, TRQ_F64, TRQ_BOOL};
            const enum trq_type type = i < 4 ? types[i] : (enum trq_type)(rand() % 6);
            if (rand() % 3)
                kv[dict.count++] = trq_kv_value(names[i], strlen(names[i]), random_value(type));
        }
        const long size =
            tq_inputs_from_dict(layout, dict, false, first, sizeof first, sizeof first, NULL);
        cr_assert(size >= 0);
        cr_assert(tq_json_from_inputs(layout, first, (size_t)size, text, sizeof text) < 4000);

        struct tq_json_dict again;
        struct trq_error error;
        cr_assert_eq(parse(text, &again, &error), TRQ_OK, "%s: %s", text, error.text);
        const long size2 = tq_inputs_from_dict(layout, again.dict, true, second, sizeof second,
                                               sizeof second, &error);
        cr_assert_eq(size2, size, "seed %u, round %d: %s", seed, round, text);
        cr_assert_eq(memcmp(first, second, (size_t)size), 0, "seed %u, round %d: %s", seed, round,
                     text);
        tq_json_dict_fini(&memory, &again);
    }
    tq_layout_destroy(&memory, layout);
    cr_assert_eq(heap.blocks, 0);
}

Test(write, random_mutations_of_a_text_never_disagree_with_the_parser)
{
    static const char seedling[] =
        "{\"a\":[1,{\"b\":2.5}],\"c\":\"x\\n\\u00e9\",\"d\":{\"e\":[]},\"f\":-1e5,\"g\":[\" \"]}";
    static const char letters[] = "{}[]:,\"\\ \n1-.eutrx\xC3\xFF";
    const unsigned seed = (unsigned)getpid();
    cr_log_info("seed %u", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof seedling];
        memcpy(text, seedling, sizeof seedling);
        for (int n = 1 + rand() % 3; n > 0; n--)
            text[(size_t)rand() % (sizeof seedling - 1)] =
                letters[(size_t)rand() % (sizeof letters - 1)];
        struct tq_json_dict dict;
        char why[TQ_JSON_WHY_SIZE];
        if (parse(text, &dict, NULL) != TRQ_OK)
            continue;
        for (size_t i = 0; i < dict.dict.count; i++) {
            const struct trq_value v = dict.dict.kv[i].value;
            if (v.type == TRQ_JSON)
                cr_assert_eq(tq_json_check(v.u.s, why, sizeof why), TRQ_OK, "seed %u: %s", seed,
                             text);
        }
        tq_json_dict_fini(&memory, &dict);
    }
}
