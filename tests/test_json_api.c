/* <tresque/json.h>: jobs from JSON text, and inputs as JSON text. */
#include <criterion/criterion.h>

#include <tresque/json.h>

#include "engine_fixture.h"

#define ALL_INPUTS(F, W)                                                                           \
    F(W, str, name, TRQ_REQUIRED, NULL)                                                            \
    F(W, i64, count, TRQ_OPTIONAL, 7)                                                              \
    F(W, f64, ratio, TRQ_OPTIONAL, 0.5)                                                            \
    F(W, bool, flag, TRQ_OPTIONAL, false)                                                          \
    F(W, json, data, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(all, ALL_INPUTS);

static char seen[4096];
static long length;
static enum trq_end write_inputs(struct trq_job *job)
{
    length = trq_job_inputs_json(job, seen, sizeof seen);
    FX_MUST(trq_job_inputs_json(job, NULL, 0) == length);
    char cut[6];
    FX_MUST(trq_job_inputs_json(job, cut, sizeof cut) == length);
    FX_MUST(strlen(cut) == 5 && strncmp(cut, seen, 5) == 0);
    return TRQ_DONE;
}
const struct trq_worker all = {TRQ_WORKER(all, "All"), .perform = write_inputs};

static struct trq_engine *engine;
static struct trq_error error;

static void set_up(void)
{
    engine = fx_polled(NULL, FX_APP(.name = "app", .queues = TRQ_QUEUES({"side", 1, 0}),
                                    .workers = TRQ_WORKERS(&all)));
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(json_api, .init = set_up, .fini = tear_down);

static int put(const char *json)
{
    return trq_enqueue_json(engine, "All", trq_str_of(json), TRQ_OPTS(.error = &error), NULL);
}
static void becomes(const char *json, const char *wanted)
{
    cr_assert_eq(put(json), TRQ_OK, "%s", error.text);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
    cr_assert_str_eq(seen, wanted);
    cr_assert_eq(length, (long)strlen(wanted));
}
static void refused(const char *json, const char *text)
{
    cr_assert_eq(put(json), TRQ_EINPUT);
    cr_assert_eq(error.code, TRQ_EINPUT);
    cr_assert_str_eq(error.text, text);
}

Test(json_api, an_object_becomes_inputs_and_inputs_an_object_declared_ones_first)
{
    becomes("{\"x\":[1,2],\"data\":{\"a\":null},\"flag\":true,\"name\":\"b\\u00f6b\",\"ratio\":2,"
            "\"count\":-9223372036854775808}",
            "{\"name\":\"b\xC3\xB6"
            "b\",\"count\":-9223372036854775808,\"ratio\":2.0,\"flag\":true,"
            "\"data\":{\"a\":null},\"x\":[1,2]}");
}

Test(json_api, defaults_are_inputs_and_an_absent_text_is_left_out)
{
    becomes("{\"name\":\"\"}", "{\"name\":\"\",\"count\":7,\"ratio\":0.5,\"flag\":false}");
}

Test(json_api, what_comes_out_goes_in_again)
{
    becomes("{\"name\":\"\\\"\\\\\\u0001\",\"e\":1e300,\"n\":null}",
            "{\"name\":\"\\\"\\\\\\u0001\",\"count\":7,\"ratio\":0.5,\"flag\":false,"
            "\"e\":1e+300,\"n\":null}");
    char again[sizeof seen];
    strcpy(again, seen);
    becomes(again, again);
}

Test(json_api, an_input_that_is_wrong_is_told_as_from_a_dictionary)
{
    refused("{}", "All: input name is required");
    refused("{\"name\":1}", "All: input name: a string is wanted, an integer was given");
    refused("{\"name\":\"x\",\"count\":1.5}",
            "All: input count: an integer is wanted, a real number was given");
}

Test(json_api, a_text_that_is_wrong_is_told_where)
{
    static const char *const wrong[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"name\":\"x\"} x",
        "{,}",
        "{\"a\":1,}",
        "{\"a\":01}",
        "{'a':1}",
        "{\"a\":\"\xff\"}",
        "{a:1}",
        "{\"a\":}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":9223372036854775808}",
        "{\"name\":\"x\",\"name\":\"y\"}",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_assert_eq(put(wrong[i]), TRQ_EINPUT, "%s", wrong[i]);
        cr_assert(strncmp(error.text, "JSON: line 1, column ", 21) == 0, "%s: %s", wrong[i],
                  error.text);
    }
    struct trq_engine_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_engine(engine, &stats), TRQ_OK);
    cr_assert_eq(stats.refused_input, sizeof wrong / sizeof *wrong);
}

Test(json_api, nesting_ends_at_64)
{
    char text[400];
    for (int depth = 62; depth <= 66; depth++) {
        int lists = depth - 1; /* the object is one */
        int n = sprintf(text, "{\"name\":\"x\",\"data\":");
        memset(text + n, '[', (size_t)lists);
        memset(text + n + lists, ']', (size_t)lists);
        strcpy(text + n + 2 * lists, "}");
        cr_assert_eq(put(text), depth <= 64 ? TRQ_OK : TRQ_EINPUT, "%d", depth);
    }
}

Test(json_api, worker_and_queue_are_found_by_name)
{
    cr_assert_eq(trq_enqueue_json(engine, "Nix", trq_str_of("{}"), TRQ_OPTS(.error = &error), NULL),
                 TRQ_EUNKNOWN);
    cr_assert_str_eq(error.text, "no worker Nix; there is All");
    const struct trq_str good = trq_str_of("{\"name\":\"x\"}");
    cr_assert_eq(trq_enqueue_json(engine, "All", good, TRQ_OPTS(.queue = "side"), NULL), TRQ_OK);
    cr_assert_eq(
        trq_enqueue_json(engine, "All", good, TRQ_OPTS(.queue = "no", .error = &error), NULL),
        TRQ_EUNKNOWN);
    cr_assert_str_eq(error.text, "no queue no; there are app_default, app_side");
    struct trq_queue_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_queue(engine, "app_side", &stats), TRQ_OK);
    cr_assert_eq(stats.depth, 1);
}

Test(json_api, a_text_that_is_not_terminated_is_read_no_further)
{
    static const char text[] = "{\"name\":\"x\"}trailing";
    char *exact = malloc(12);
    memcpy(exact, text, 12);
    cr_assert_eq(trq_enqueue_json(engine, "All", (struct trq_str){exact, 12}, NULL, NULL), TRQ_OK);
    free(exact);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), 1);
}
