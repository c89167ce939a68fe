/* Rules 1.1, 2.1, 2.2: applications are registered whole or not at all. */
#include <criterion/criterion.h>

#include "engine_fixture.h"

static enum trq_end nothing(struct trq_job *job)
{
    (void)job;
    return TRQ_DONE;
}
static enum trq_end another(struct trq_job *job)
{
    (void)job;
    return TRQ_SKIP;
}

static void drop_nothing(void *state, struct trq_job *job)
{
    (void)state;
    (void)job;
}

#define WORKER(...)                                                                                \
    {                                                                                              \
        .size = sizeof(struct trq_worker), .perform = nothing, __VA_ARGS__                         \
    }
#define QUEUES(...) .queues = TRQ_QUEUES(__VA_ARGS__)
#define ONE(worker) .workers = TRQ_WORKERS(worker)

static struct trq_engine *engine;
static struct trq_error error;

static void set_up(void)
{
    engine = fx_create(FX_CONFIG(.threads = TRQ_THREADS_NONE), NULL);
}
static void tear_down(void)
{
    cr_assert_eq(trq_engine_destroy(engine), TRQ_OK);
}
TestSuite(register, .init = set_up, .fini = tear_down);

static void order_is(const char *wanted)
{
    char text[1000];
    cr_assert_eq(trq_queues_text(engine, text, sizeof text), strlen(wanted));
    cr_assert_str_eq(text, wanted);
}
static int32_t weight_of(const char *queue)
{
    struct trq_queue_stats stats = {.size = sizeof stats};
    cr_assert_eq(trq_stats_queue(engine, queue, &stats), TRQ_OK);
    return stats.weight;
}
static void registered(const struct trq_app *app)
{
    cr_assert_eq(trq_register(engine, app, &error), TRQ_OK, "%s", error.text);
}
static void refused(const struct trq_app *app, int code, const char *text)
{
    size_t queues = trq_queue_names(engine, NULL, 0), workers = trq_worker_names(engine, NULL, 0);
    error.code = 0;
    cr_assert_eq(trq_register(engine, app, &error), code);
    cr_assert_eq(error.code, code);
    cr_assert_str_eq(error.text, text);
    cr_assert_eq(trq_queue_names(engine, NULL, 0), queues, "nothing has changed");
    cr_assert_eq(trq_worker_names(engine, NULL, 0), workers, "nothing has changed");
}

Test(register, weights_order_the_queues_and_equals_keep_their_order)
{
    registered(FX_APP(.name = "account", QUEUES({"low", INT32_MIN, 0}, {"default", 100, 0},
                                                {"b", 5, 0}, {"a", 5, 0}, {"top", INT32_MAX, 0})));
    order_is("account_top, account_default, account_b, account_a, account_low");
}

Test(register, an_application_name_is_normalised)
{
    registered(FX_APP(.name = "My-App 2.x", QUEUES({"default", 1, 0})));
    order_is("my_app_2_x_default");
    registered(FX_APP(.name = "MY_APP.2_X", QUEUES({"default", 9, 0})));
    order_is("my_app_2_x_default");
    cr_assert_eq(weight_of("my_app_2_x_default"), 9);
}

Test(register, a_queue_name_is_kept_as_it_is)
{
    registered(FX_APP(.name = "a", QUEUES({"My Queue-\xC3\xA9", 1, 0})));
    order_is("a_My Queue-\xC3\xA9");
}

Test(register, of_two_weights_the_higher_stands)
{
    registered(FX_APP(.name = "a", QUEUES({"q", 5, 0}, {"q", 7, 0}, {"q", 6, 0})));
    cr_assert_eq(weight_of("a_q"), 7);
    registered(FX_APP(.name = "a", QUEUES({"q", -3, 0})));
    cr_assert_eq(weight_of("a_q"), 7);
    registered(FX_APP(.name = "a", QUEUES({"q", 8, 0})));
    cr_assert_eq(weight_of("a_q"), 8);
}

Test(register, a_queue_that_nobody_named_weighs_100)
{
    static const struct trq_worker w = WORKER(.name = "W", .queue = "side");
    registered(FX_APP(.name = "a", ONE(&w)));
    cr_assert_eq(weight_of("a_side"), 100);
    registered(FX_APP(.name = "a", QUEUES({"side", -5, 0})));
    cr_assert_eq(weight_of("a_side"), -5, "100 was only assumed");
}

Test(register, a_worker_belongs_to_its_own_word_then_to_who_registers_it_then_to_its_name)
{
    static const struct trq_worker own = WORKER(.name = "X::Own", .app = "Its-Own");
    static const struct trq_worker app = WORKER(.name = "X::App");
    static const struct trq_worker name = WORKER(.name = "BusDriver::Heart::Beat");
    static const struct trq_worker plain = WORKER(.name = "PlainWorker");
    registered(FX_APP(.name = "a", .workers = TRQ_WORKERS(&own, &app)));
    registered(FX_APP(.workers = TRQ_WORKERS(&name, &plain)));
    order_is("its_own_default, a_default, bus_driver_default, worker_default");
}

Test(register, the_same_again_is_fine)
{
    static const struct trq_worker w = WORKER(.name = "W");
    static const struct trq_worker copy = WORKER(.name = "W");
    registered(FX_APP(.name = "a", QUEUES({"q", 5, 0}), ONE(&w)));
    registered(FX_APP(.name = "a", QUEUES({"q", 5, 0}), .workers = TRQ_WORKERS(&w, &copy, &w)));
    cr_assert_eq(trq_worker_names(engine, NULL, 0), 1);
    cr_assert_eq(trq_enqueue(engine, &copy, TRQ_DICT_NONE, NULL, NULL), TRQ_OK,
                 "an equal declaration is as good");
}

Test(register, another_meaning_is_a_conflict)
{
    static const struct trq_worker w = WORKER(.name = "W");
    static const struct trq_worker handler = {
        .size = sizeof handler, .name = "W", .perform = another};
    static const struct trq_worker queue = WORKER(.name = "W", .queue = "other");
    static const struct trq_worker state = WORKER(.name = "W", .state_size = 1);
    static const struct trq_worker inputs = WORKER(.name = "W", .inputs = &num_inputs);
    const struct trq_worker *const wrong[] = {&handler, &queue, &state, &inputs};
    const char *text = "worker W is registered with another meaning";
    registered(FX_APP(.name = "a", ONE(&w)));
    for (size_t i = 0; i < 4; i++)
        refused(FX_APP(.name = "a", ONE(wrong[i])), TRQ_ECONFLICT, text);
    refused(FX_APP(.name = "b", ONE(&w)), TRQ_ECONFLICT, text);
    order_is("a_default");
}

Test(register, a_failing_registration_leaves_nothing_behind)
{
    static const struct trq_worker good = WORKER(.name = "Good", .queue = "made");
    static const struct trq_worker bad = {.size = sizeof bad, .name = "Bad"};
    const struct trq_app *whole =
        FX_APP(.name = "a", QUEUES({"q", 5, 0}, {"r", 50, 0}), .workers = TRQ_WORKERS(&good, &bad));
    registered(FX_APP(.name = "a", QUEUES({"q", 1, 0})));
    for (int i = 0; i < 50; i++)
        refused(whole, TRQ_EINVAL, "worker Bad: perform is NULL");
    order_is("a_q");
    cr_assert_eq(weight_of("a_q"), 1, "its weight, too");
    cr_assert_eq(trq_enqueue(engine, &good, TRQ_DICT_NONE, NULL, NULL), TRQ_EUNKNOWN);
    registered(FX_APP(.name = "a", QUEUES({"q", 5, 0}, {"r", 50, 0}), ONE(&good)));
    order_is("a_made, a_r, a_q");
}

Test(register, wrong_declarations_are_told_where)
{
    static char long_name[202];
    static const struct trq_worker size = {.size = 8, .name = "W", .perform = nothing};
    static const struct trq_worker nameless = WORKER(.queue = "q");
    static const struct trq_worker empty = WORKER(.name = "");
    static const struct trq_worker odd = WORKER(.name = "W\xff");
    static const struct trq_worker large = WORKER(.name = "W", .state_size = 65537);
    static const struct trq_worker drop = WORKER(.name = "W", .state_drop = drop_nothing);
    static const struct trq_worker reserved = WORKER(.name = "W", .reserved = 1);
    static const struct trq_worker queue = WORKER(.name = "W", .queue = "");
    static const struct trq_worker app = WORKER(.name = "W", .app = "");
    static const struct trq_worker tail[2] = {
        {.size = sizeof tail, .name = "W", .perform = nothing}, {.size = 1}};
    memset(long_name, 'n', sizeof long_name - 1);
    const struct trq_worker longest = WORKER(.name = long_name);

    refused(FX_APP(ONE(&size)), TRQ_EINVAL,
            "worker: size is 8, or a field of a newer release is set; this library's is 136");
    refused(FX_APP(ONE(tail)), TRQ_EINVAL,
            "worker: size is 272, or a field of a newer release is set; this library's is 136");
    refused(FX_APP(ONE(&nameless)), TRQ_EINVAL, "worker \"\": a name is UTF-8, 1 to 200 bytes");
    refused(FX_APP(ONE(&empty)), TRQ_EINVAL, "worker \"\": a name is UTF-8, 1 to 200 bytes");
    cr_assert_eq(trq_register(engine, FX_APP(ONE(&odd)), &error), TRQ_EINVAL);
    cr_assert_eq(trq_register(engine, FX_APP(ONE(&longest)), &error), TRQ_EINVAL);
    refused(FX_APP(ONE(&large)), TRQ_EINVAL, "worker W: state_size is 65537, at most 65536");
    refused(FX_APP(ONE(&drop)), TRQ_EINVAL, "worker W: state_drop without state_size");
    refused(FX_APP(ONE(&reserved)), TRQ_EINVAL, "worker W: reserved is not zero");
    refused(FX_APP(ONE(&app)), TRQ_EINVAL, "worker W: application: 1 to 200 bytes");
    cr_assert_eq(trq_register(engine, FX_APP(ONE(&queue)), NULL), TRQ_EINVAL);
    refused(FX_APP(.name = "", QUEUES({"q", 1, 0})), TRQ_EINVAL,
            "application: a name is 1 to 200 bytes");
    refused(FX_APP(QUEUES({"q", 1, 0})), TRQ_EINVAL, "an application with queues has a name");
    refused(FX_APP(.name = "a", QUEUES({"q", 1, 7})), TRQ_EINVAL, "queue q: reserved is not zero");
    cr_assert_eq(trq_register(engine, FX_APP(.name = "a", .reserved = 1), NULL), TRQ_EINVAL);
    cr_assert_eq(trq_register(engine, &(struct trq_app){.size = 4}, NULL), TRQ_EINVAL);
    cr_assert_eq(trq_register(engine, NULL, &error), TRQ_EINVAL);
    cr_assert_eq(trq_register(NULL, FX_APP(.name = "a"), &error), TRQ_EINVAL);
    long_name[198] = '\0'; /* "a_" and 198 make 200 */
    registered(FX_APP(.name = "a", QUEUES({long_name, 1, 0})));
    cr_assert_eq(trq_register(engine, FX_APP(.name = "ab", QUEUES({long_name, 1, 0})), &error),
                 TRQ_EINVAL);
}

Test(register, a_wrong_declaration_of_inputs_is_told_where)
{
    static const struct trq_input twice[] = {{"a", TRQ_I64, 0, 0, 0, 0, NULL},
                                             {"a", TRQ_I64, 0, 8, 0, 0, NULL}};
    static const struct trq_inputs inputs = {twice, 2, 16};
    static const struct trq_worker w = WORKER(.name = "W", .inputs = &inputs);
    cr_assert_eq(trq_register(engine, FX_APP(ONE(&w)), &error), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "W: input a is declared twice");
    cr_assert_eq(trq_queue_names(engine, NULL, 0), 0);
}

enum { LIMIT = 4096 };
static char names[LIMIT + 1][8];
static struct trq_queue queues[LIMIT + 2];
static struct trq_worker workers[LIMIT + 1];
static const struct trq_worker *list[LIMIT + 2];

static void name_all(void)
{
    for (int i = 0; i <= LIMIT; i++) {
        snprintf(names[i], sizeof names[i], "n%d", i);
        queues[i] = (struct trq_queue){names[i], i % 97, 0};
        workers[i] = (struct trq_worker)WORKER(.name = names[i]);
        list[i] = &workers[i];
    }
}

Test(register, there_can_be_4096_queues_and_no_more)
{
    struct trq_queue_stats stats = {.size = sizeof stats};
    name_all();
    refused(FX_APP(.name = "a", .queues = queues), TRQ_EINVAL, "more than 4096 queues");
    queues[LIMIT].name = NULL;
    registered(FX_APP(.name = "a", .queues = queues));
    refused(FX_APP(.name = "a", QUEUES({"one more", 1, 0})), TRQ_EINVAL, "more than 4096 queues");
    for (int i = 0; i < LIMIT; i++) {
        char full[16];
        snprintf(full, sizeof full, "a_n%d", i);
        cr_assert_eq(trq_stats_queue(engine, full, &stats), TRQ_OK);
        cr_assert_eq(stats.weight, i % 97);
    }
    const char *all[LIMIT];
    cr_assert_eq(trq_queue_names(engine, all, LIMIT), LIMIT);
    for (int i = 1; i < LIMIT; i++)
        cr_assert(weight_of(all[i - 1]) >= weight_of(all[i]));
}

Test(register, there_can_be_4096_workers_and_no_more)
{
    name_all();
    refused(FX_APP(.name = "a", .workers = list), TRQ_EINVAL, "more than 4096 workers");
    list[LIMIT] = NULL;
    registered(FX_APP(.name = "a", .workers = list));
    cr_assert_eq(trq_register(engine, FX_APP(.name = "a", ONE(&num)), &error), TRQ_EINVAL);
    cr_assert_eq(trq_engine_start(engine, NULL), TRQ_OK);
    for (int i = 0; i < LIMIT; i++)
        cr_assert_eq(trq_enqueue(engine, list[i], TRQ_DICT_NONE, NULL, NULL), TRQ_OK);
    cr_assert_eq(trq_engine_poll(engine, 0, trq_ns(0)), LIMIT);
    cr_assert_eq(fx_stats(engine, names[LIMIT - 1]).done, 1);
    cr_assert_eq(fx_stats(engine, NULL).done, LIMIT);
}

Test(register, a_worker_is_found_by_its_name)
{
    static const struct trq_worker b = WORKER(.name = "B"), same = WORKER(.name = "B");
    cr_assert_null(trq_worker_find(engine, "B"));
    registered(FX_APP(.workers = TRQ_WORKERS(&b)));
    registered(FX_APP(.workers = TRQ_WORKERS(&same)));
    cr_assert_eq(trq_worker_find(engine, "B"), &b, "as it was registered first");
    cr_assert_null(trq_worker_find(engine, "b"));
    cr_assert_null(trq_worker_find(engine, ""));
    cr_assert_null(trq_worker_find(engine, NULL));
    cr_assert_null(trq_worker_find(NULL, "B"));
    cr_assert_eq(trq_enqueue(engine, trq_worker_find(engine, "B"), TRQ_DICT_NONE, NULL, NULL),
                 TRQ_OK);
}

Test(register, names_are_listed_in_order_of_registration)
{
    static const struct trq_worker b = WORKER(.name = "B"), a = WORKER(.name = "A");
    const char *all[3] = {"", "", "untouched"};
    registered(FX_APP(.workers = TRQ_WORKERS(&b, &a)));
    cr_assert_eq(trq_worker_names(engine, all, 2), 2);
    cr_assert_str_eq(all[0], "B");
    cr_assert_str_eq(all[1], "A");
    cr_assert_eq(trq_worker_names(engine, all + 1, 1), 2, "how many there are");
    cr_assert_str_eq(all[1], "B");
    cr_assert_str_eq(all[2], "untouched");
}
