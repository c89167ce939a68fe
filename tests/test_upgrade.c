/* Rule 1.4: a job whose worker's declaration has changed since it was made still runs, and nothing of it is lost. */
#include <tresque.h>
#include <tresque/json.h>

/* Payments, as declared now. */
#define PAY_INPUTS(F, W)                                                                           \
    F(W, i64, account_id, TRQ_REQUIRED, 0)                                                         \
    F(W, f64, amount, TRQ_REQUIRED, 0)                                                             \
    F(W, str, currency, TRQ_OPTIONAL, "EUR")                                                       \
    F(W, bool, urgent, TRQ_OPTIONAL, false)                                                        \
    F(W, json, meta, TRQ_OPTIONAL, NULL)
TRQ_INPUTS(pay, PAY_INPUTS);

#include "scene.h"

/* ---- workers -------------------------------------------------------------------------------------------------- */

static struct {
    int upgrades, runs, keys, needs, drops, exhausted;
    uint32_t version; /* of the last upgrade */
    enum trq_end (*upgrade)(struct trq_job *job, uint32_t version);
    enum trq_end (*during)(struct trq_job *job);
    enum trq_end (*queue_key)(struct trq_job *job, struct trq_key *key);
    char inputs[200]; /* of the last run, as JSON */
    struct pay_in in; /* of the last run; texts are gone */
    int64_t failed_account;
} seen;

static enum trq_end upgrade(struct trq_job *job, uint32_t version)
{
    seen.upgrades++;
    seen.version = version;
    return seen.upgrade ? seen.upgrade(job, version) : TRQ_DONE;
}
static enum trq_end perform(struct trq_job *job)
{
    seen.runs++;
    seen.in = *pay_get(job);
    FX_MUST(trq_job_inputs_json(job, seen.inputs, sizeof seen.inputs) >= 0);
    return seen.during ? seen.during(job) : TRQ_DONE;
}
static bool needed(struct trq_job *job)
{
    seen.needs++;
    FX_MUST(*(int64_t *)trq_job_state(job) == 5);
    FX_MUST(trq_job_set(job, "currency", (struct trq_value){.type = TRQ_NULL}) == TRQ_EINVAL);
    return true;
}
static void drop(void *state, struct trq_job *job)
{
    (void)job;
    (void)state;
    seen.drops++;
}
static void exhausted(struct trq_job *job, const struct trq_error *why)
{
    (void)why;
    seen.exhausted++;
    seen.failed_account = pay_get(job)->account_id;
    FX_MUST(trq_job_get_i64(job, "account_id") == seen.failed_account);
}
static enum trq_end account_key(struct trq_job *job, struct trq_key *key)
{
    int64_t *state = trq_job_state(job);
    seen.keys++;
    FX_MUST(*state == 0);
    *state = 5;
    trq_key_i64(key, pay_get(job)->account_id);
    return TRQ_DONE;
}
static enum trq_end queue_key(struct trq_job *job, struct trq_key *key)
{
    FX_MUST(trq_job_unset(job, "currency") == TRQ_EINVAL);
    if (seen.queue_key)
        return seen.queue_key(job, key);
    trq_key_i64(key, pay_get(job)->account_id);
    trq_key_input(key, job, "currency");
    return TRQ_DONE;
}

static const char *const by_account_names[] = {"account_id", "currency", NULL};
static const struct trq_lock by_account = {.size = sizeof by_account, .inputs = by_account_names};
static const struct trq_lock by_all = {.size = sizeof by_all, .all = true};
static const struct trq_lock by_function = {.size = sizeof by_function, .key = queue_key};
static const struct trq_lock one_at_a_time = {
    .size = sizeof one_at_a_time, .space = "accounts", .key = account_key};
static const struct trq_retry once_more = {
    .size = sizeof once_more, .retries = 1, .constant = {1000000000}, .jitter = TRQ_JITTER_NONE};

#define PAY(name_)                                                                                 \
    .size = sizeof(struct trq_worker), .name = (name_), .inputs = &pay_inputs, .perform = perform, \
    .version = 3, .retry = &once_more
const struct trq_worker pay = {PAY("Pay"), .upgrade = upgrade, .exhausted = exhausted};
static const struct trq_worker bare = {PAY("Bare"), .exhausted = exhausted};
static const struct trq_worker unique = {PAY("Unique"), .upgrade = upgrade,
                                         .queue_lock = &by_account};
static const struct trq_worker sure = {PAY("Sure"), .queue_lock = &by_account};
static const struct trq_worker whole = {PAY("Whole"), .upgrade = upgrade, .queue_lock = &by_all};
static const struct trq_worker asked = {PAY("Asked"), .upgrade = upgrade,
                                        .queue_lock = &by_function};
static const struct trq_worker full = {
    PAY("Full"),      .upgrade = upgrade, .queue_lock = &by_account, .worker_lock = &one_at_a_time,
    .needed = needed, .state_size = 8,    .state_drop = drop};

static const struct trq_app app = {
    .size = sizeof app,
    .name = "app",
    .workers = TRQ_WORKERS(&pay, &bare, &unique, &sure, &whole, &asked, &full),
};

/* ---- calls ---------------------------------------------------------------------------------------------------- */

static int try_put(const struct trq_worker *worker, struct trq_dict inputs, uint32_t version,
                   const struct trq_opts *given, struct trq_job_id *out_id)
{
    struct trq_opts opts = given ? *given : trq_opts_init();
    opts.version = version;
    opts.error = &error;
    if (!opts.on_end)
        opts.on_end = scene_on_end;
    return trq_enqueue(engine, worker, inputs, &opts, out_id);
}
static struct trq_job_id put(const struct trq_worker *worker, struct trq_dict inputs,
                             uint32_t version)
{
    struct trq_job_id id = {0, 0};
    const int code = try_put(worker, inputs, version, NULL, &id);
    cr_assert_eq(code, TRQ_OK, "%s %s", trq_code_name(code), error.text);
    return id;
}
#define DRAIN(jobs) cr_assert_eq(trq_test_drain(engine), (jobs))
#define SAW(text) cr_assert_str_eq(seen.inputs, (text))

static struct trq_value str(const char *text)
{
    return (struct trq_value){.type = TRQ_STR, .u.s = trq_str_of(text)};
}
static struct trq_value i64(int64_t i)
{
    return (struct trq_value){.type = TRQ_I64, .u.i = i};
}
static struct trq_value f64(double f)
{
    return (struct trq_value){.type = TRQ_F64, .u.f = f};
}

static void open_scene(void)
{
    scene_open(&app);
}
TestSuite(upgrade, .init = open_scene, .fini = scene_close);

/* What release 1 enqueued, and 2: the account had another name, the amount was a text and is in cents. */
#define OLD_1(account) TRQ_DICT(TRQ_KV("account", (account)), TRQ_KV("amount", "12.5"))
static enum trq_end mend(struct trq_job *job, uint32_t version)
{
    struct trq_value v;
    if (version < 2) {
        FX_MUST(trq_job_get(job, "amount", &v) && v.type == TRQ_STR);
        FX_MUST(trq_job_set(job, "amount", f64(strtod(v.u.s.data, NULL))) == TRQ_OK);
    }
    if (version < 3 && trq_job_get(job, "account", &v)) {
        FX_MUST(trq_job_set(job, "account_id", v) == TRQ_OK);
        FX_MUST(trq_job_unset(job, "account") == TRQ_OK);
    }
    return TRQ_DONE;
}

/* ---- what a declaration reads in old inputs --------------------------------------------------------------------- */

Test(upgrade, without_a_hook_added_inputs_are_defaults_and_removed_ones_are_kept)
{
    struct trq_job_id id = put(&bare,
                               TRQ_DICT(TRQ_KV("account_id", 4), TRQ_KV("amount", 2),
                                        TRQ_KV("fax", "none"), TRQ_KV("urgent", 1)),
                               1);
    DRAIN(1);
    SAW("{\"account_id\":4,\"amount\":2.0,\"currency\":\"EUR\",\"urgent\":true,\"fax\":\"none\"}");
    cr_assert_eq(seen.in.account_id, 4);
    cr_assert_eq(seen.in.amount, 2);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(upgrade, of_this_version_a_dictionary_is_checked_at_enqueue_and_never_mended)
{
    cr_assert_eq(try_put(&pay, OLD_1(1), 0, NULL, NULL), TRQ_EINPUT);
    cr_assert_eq(try_put(&pay, OLD_1(1), 3, NULL, NULL), TRQ_EINPUT);
    put(&pay, TRQ_DICT(TRQ_KV("account_id", 4), TRQ_KV("amount", 2)), 0);
    put(&pay, TRQ_DICT(TRQ_KV("account_id", 4), TRQ_KV("amount", 2)), 3);
    DRAIN(2);
    cr_assert_eq(seen.upgrades, 0);
}

Test(upgrade, the_hook_is_told_the_version_also_a_newer_one)
{
    put(&pay, TRQ_DICT(TRQ_KV("account_id", 4), TRQ_KV("amount", 2)), 2);
    DRAIN(1);
    cr_assert_eq(seen.version, 2);
    put(&pay, TRQ_DICT(TRQ_KV("account_id", 4), TRQ_KV("amount", 2)), UINT32_MAX);
    DRAIN(1);
    cr_assert_eq(seen.version, UINT32_MAX);
    cr_assert_eq(seen.upgrades, 2);
}

Test(upgrade, a_struct_is_of_this_version)
{
    struct pay_in in = {.account_id = 1};
    struct trq_opts opts = {.size = sizeof opts, .version = 2, .error = &error};
    cr_assert_eq(pay_enqueue(engine, &in, &opts, NULL), TRQ_EINVAL);
    cr_assert_str_eq(error.text, "worker Pay: a struct of version 2: this program's is 3");
    cr_assert_eq(pay_enqueue_many(engine, &in, 1, &opts, NULL), TRQ_EINVAL);
    opts.version = 3;
    cr_assert_eq(pay_enqueue(engine, &in, &opts, NULL), TRQ_OK);
    DRAIN(1);
    cr_assert_eq(seen.upgrades, 0);
}

Test(upgrade, an_old_dictionary_must_be_well_formed_all_the_same)
{
    static char big[70000];
    const struct trq_kv no_json = {trq_str_of("a"), {.type = TRQ_JSON, .u.s = trq_str_of("[1")}};
    memset(big, 'x', sizeof big - 1);
    cr_assert_eq(try_put(&pay, TRQ_DICT(TRQ_KV("a", 1), TRQ_KV("a", 1)), 1, NULL, NULL),
                 TRQ_EINPUT);
    cr_assert_str_eq(error.text, "Pay: input a is given twice");
    cr_assert_eq(try_put(&pay, TRQ_DICT(TRQ_KV("a", "\xff")), 1, NULL, NULL), TRQ_EINPUT);
    cr_assert_eq(try_put(&pay, (struct trq_dict){&no_json, 1}, 1, NULL, NULL), TRQ_EINPUT);
    cr_assert_eq(try_put(&pay, TRQ_DICT(TRQ_KV("a", (const char *)big)), 1, NULL, NULL),
                 TRQ_EINPUT);
    DRAIN(0);
}

Test(upgrade, json_and_several_dictionaries_may_be_old_too)
{
    struct trq_opts opts = {.size = sizeof opts, .version = 1, .error = &error};
    const struct trq_dict dicts[] = {OLD_1(2), OLD_1(3)};
    seen.upgrade = mend;
    cr_assert_eq(trq_enqueue_json(engine, "Pay",
                                  trq_str_of("{\"amount\": \"1e2\", \"account\": 1, "
                                             "\"meta\": {\"a\": [1, {\"b\": null}]}}"),
                                  &opts, NULL),
                 TRQ_OK, "%s", error.text);
    DRAIN(1);
    SAW("{\"account_id\":1,\"amount\":100.0,\"currency\":\"EUR\",\"urgent\":false,"
        "\"meta\":{\"a\":[1,{\"b\":null}]}}");
    cr_assert_eq(trq_enqueue_many_dicts(engine, &pay, dicts, 2, &opts, NULL), TRQ_OK);
    DRAIN(2);
    SAW("{\"account_id\":3,\"amount\":12.5,\"currency\":\"EUR\",\"urgent\":false}");
}

/* ---- what does not fit -------------------------------------------------------------------------------------------- */

/* Both attempts fail with that sentence, and the job is dead with its old inputs. */
static void fails_with(const struct trq_worker *worker, struct trq_dict inputs,
                       const char *sentence)
{
    struct trq_failure failure[4];
    size_t failures = 0;
    struct trq_job_id id = put(worker, inputs, 1);
    DRAIN(1);
    SCENE_NOT_ENDED(id);
    cr_assert_eq(trq_failures(engine, id, failure, 4, &failures), TRQ_OK);
    cr_assert_eq(failures, 1);
    cr_assert_str_eq(failure[0].text, sentence);
    cr_assert_eq(trq_test_count(engine, worker, inputs), 1, "it keeps its inputs");
    cr_assert_eq(trq_test_advance(engine, trq_seconds(2)), 1);
    SCENE_ENDED(id, TRQ_WAS_DEAD);
    cr_assert_str_eq(scene.text, sentence);
    cr_assert_eq(seen.runs, 0);
}

Test(upgrade, a_missing_required_input_fails_the_attempt_by_name)
{
    fails_with(
        &bare, OLD_1(7),
        "inputs of version 1: Bare: input amount: a real number is wanted, a string was given");
    fails_with(&bare, TRQ_DICT(TRQ_KV("amount", 1)),
               "inputs of version 1: Bare: input account_id is required");
    cr_assert_eq(seen.exhausted, 2);
    cr_assert_eq(seen.failed_account, 0);
    fails_with(&pay, TRQ_DICT(TRQ_KV("account_id", 9)),
               "inputs of version 1: Pay: input amount is required");
    cr_assert_eq(seen.failed_account, 9);
    cr_assert_eq(seen.upgrades, 2, "once for each attempt");
}

static enum trq_end grow(struct trq_job *job, uint32_t version)
{
    static char big[40001];
    (void)version;
    memset(big, 'y', sizeof big - 1);
    FX_MUST(trq_job_set(job, "more", str(big)) == TRQ_OK);
    FX_MUST(trq_job_set(job, "most", str(big)) == TRQ_OK);
    return TRQ_DONE;
}
Test(upgrade, mended_inputs_have_the_bound_of_all_inputs)
{
    seen.upgrade = grow;
    fails_with(&pay, TRQ_DICT(TRQ_KV("account_id", 9), TRQ_KV("amount", 1)),
               "inputs of version 1: Pay: the inputs take 80072 bytes, 65536 are allowed");
}

/* ---- the hook ------------------------------------------------------------------------------------------------------- */

static enum trq_end reads_what_it_sets(struct trq_job *job, uint32_t version)
{
    struct trq_value v;
    char json[100];
    (void)version;
    FX_MUST(!pay_get(job) && !trq_job_state(job));
    FX_MUST(!trq_job_get(job, "currency", &v)); /* nothing but what was given */
    struct trq_str before = trq_job_get_str(job, "who");
    FX_MUST(before.size == 3);
    FX_MUST(trq_job_set(job, "who", str("bob the builder")) == TRQ_OK);
    FX_MUST(memcmp(before.data, "ann", 3) == 0);
    FX_MUST(trq_job_get_str(job, "who").size == strlen("bob the builder"));
    FX_MUST(trq_job_unset(job, "who") == TRQ_OK);
    FX_MUST(trq_job_unset(job, "who") == TRQ_GONE);
    FX_MUST(!trq_job_get(job, "who", &v));
    FX_MUST(trq_job_set(job, "account_id", i64(6)) == TRQ_OK);
    FX_MUST(trq_job_get_i64(job, "account_id") == 6);
    FX_MUST(trq_job_set(job, NULL, i64(6)) == TRQ_EINVAL && trq_job_unset(job, NULL) == TRQ_EINVAL);
    FX_MUST(trq_job_set(job, "a", str("\xff")) == TRQ_EINPUT);
    FX_MUST(trq_job_set(job, "currency", str("CHF")) == TRQ_OK);
    FX_MUST(trq_job_set(job, "currency", str(NULL)) == TRQ_OK);
    FX_MUST(trq_job_set(NULL, "a", i64(6)) == TRQ_EINVAL);
    FX_MUST(trq_job_inputs_json(job, json, sizeof json) >= 0);
    FX_MUST(strcmp(json, "{\"who\":\"ann\",\"amount\":3}") == 0);
    return TRQ_DONE;
}
static enum trq_end may_not_set(struct trq_job *job)
{
    FX_MUST(trq_job_set(job, "amount", f64(9)) == TRQ_EINVAL);
    FX_MUST(trq_job_unset(job, "amount") == TRQ_EINVAL);
    return TRQ_DONE;
}
Test(upgrade, the_hook_reads_what_it_sets_and_nobody_else_may_set)
{
    seen.upgrade = reads_what_it_sets;
    seen.during = may_not_set;
    put(&pay, TRQ_DICT(TRQ_KV("who", "ann"), TRQ_KV("amount", 3)), 2);
    DRAIN(1);
    SAW("{\"account_id\":6,\"amount\":3.0,\"currency\":\"EUR\",\"urgent\":false}");
}

static int answers_left;
static enum trq_end answer;
static enum trq_end answers_first(struct trq_job *job, uint32_t version)
{
    FX_MUST(mend(job, version) == TRQ_DONE); /* is not kept */
    if (answers_left-- > 0)
        return answer == TRQ_FAILED      ? trq_fail(job, "not yet")
               : answer == TRQ_DISCARDED ? trq_discard(job, "never")
               : answer == TRQ_REQUEUED  ? trq_requeue_in(job, trq_seconds(1))
                                         : answer;
    return TRQ_DONE;
}
static struct trq_job_id put_answered(enum trq_end what)
{
    answers_left = 1;
    answer = what;
    seen.upgrades = seen.runs = 0;
    struct trq_job_id id = put(&pay, OLD_1(5), 1);
    DRAIN(1);
    cr_assert_eq(seen.upgrades, 1);
    cr_assert_eq(seen.runs, 0);
    return id;
}

Test(upgrade, a_hook_that_fails_or_requeues_is_asked_again_with_the_old_inputs)
{
    const enum trq_end ends[] = {TRQ_FAILED, TRQ_REQUEUED, (enum trq_end)99};
    seen.upgrade = answers_first;
    for (int i = 0; i < 3; i++) {
        struct trq_job_id id = put_answered(ends[i]);
        SCENE_NOT_ENDED(id);
        cr_assert_eq(trq_test_count(engine, &pay, OLD_1(5)), 1);
        cr_assert_eq(trq_test_advance(engine, trq_seconds(2)), 1);
        cr_assert_eq(seen.upgrades, 2);
        SAW("{\"account_id\":5,\"amount\":12.5,\"currency\":\"EUR\",\"urgent\":false}");
        SCENE_ENDED(id, TRQ_WAS_DONE);
    }
    cr_assert_eq(fx_stats(engine, "Pay").failed, 2);
}

Test(upgrade, a_hook_may_end_the_job)
{
    seen.upgrade = answers_first;
    SCENE_ENDED(put_answered(TRQ_SKIP), TRQ_WAS_SKIPPED);
    SCENE_ENDED(put_answered(TRQ_DISCARDED), TRQ_WAS_DISCARDED);
    cr_assert_str_eq(scene.text, "never");
}

static enum trq_end comes_back(struct trq_job *job)
{
    return seen.runs == 1   ? trq_requeue(job)
           : seen.runs == 2 ? trq_requeue_in(job, trq_seconds(1))
           : seen.runs == 3 ? trq_fail(job, "once")
                            : TRQ_DONE;
}
Test(upgrade, it_happens_once_whatever_becomes_of_the_run)
{
    seen.upgrade = mend;
    seen.during = comes_back;
    struct trq_job_id id = put(&pay, OLD_1(5), 1);
    cr_assert_eq(trq_test_advance(engine, trq_seconds(5)), 4);
    cr_assert_eq(seen.runs, 4);
    cr_assert_eq(seen.upgrades, 1);
    cr_assert_eq(seen.in.account_id, 5);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

Test(upgrade, a_dead_job_has_its_old_inputs_and_is_mended_when_it_is_tried_again)
{
    char json[100];
    const struct trq_worker *const workers[] = {&pay, &full};
    for (int i = 0; i < 2; i++) {
        seen.upgrade = NULL;
        struct trq_job_id id = put(workers[i], OLD_1(6), 1);
        cr_assert_eq(trq_test_advance(engine, trq_seconds(2)), 2);
        SCENE_ENDED(id, TRQ_WAS_DEAD);
        cr_assert_eq(trq_dead_json(engine, id, json, sizeof json, NULL), TRQ_OK);
        cr_assert_str_eq(json, "{\"account\":6,\"amount\":\"12.5\"}");
        cr_assert_eq(trq_dead_retry_matching(engine, workers[i], TRQ_DICT(TRQ_KV("account", 7))),
                     0);
        seen.upgrade = mend;
        seen.in.account_id = 0;
        cr_assert_eq(trq_dead_retry_matching(engine, workers[i], TRQ_DICT(TRQ_KV("account", 6))),
                     1);
        DRAIN(1);
        cr_assert_eq(seen.version, 1);
        cr_assert_eq(seen.in.account_id, 6);
    }
}

/* ---- sizes ------------------------------------------------------------------------------------------------------------ */

enum { SIZES = 8, SIZE_MAX_HERE = 30001 };
static const size_t sizes[SIZES] = {0, 3, 40, 130, 1000, 4000, 4100, 30000};
static char filler[SIZE_MAX_HERE];
static size_t size_then;

static enum trq_end resize(struct trq_job *job, uint32_t version)
{
    const struct trq_str text = trq_job_get_str(job, "text");
    (void)version;
    FX_MUST(text.size == size_then && (!text.size || text.data[text.size - 1] == 'x'));
    struct trq_value longer = {.type = TRQ_STR,
                               .u.s = {filler, (size_t)trq_job_get_i64(job, "to")}};
    FX_MUST(trq_job_set(job, "currency", longer) == TRQ_OK);
    FX_MUST(trq_job_set(job, "text", longer) == TRQ_OK);
    return TRQ_DONE;
}
static enum trq_end has_size(struct trq_job *job)
{
    const struct trq_str a = pay_get(job)->currency, b = trq_job_get_str(job, "text");
    const size_t size = (size_t)trq_job_get_i64(job, "to");
    FX_MUST(a.size == size && memcmp(a.data, filler, size) == 0);
    FX_MUST(b.size == size && memcmp(b.data, filler, size) == 0);
    return seen.runs % 2 ? trq_requeue(job) : TRQ_DONE;
}
Test(upgrade, inputs_may_grow_and_shrink_to_any_size)
{
    memset(filler, 'x', sizeof filler);
    seen.upgrade = resize;
    seen.during = has_size;
    for (int from = 0; from < SIZES; from++)
        for (int to = 0; to < SIZES; to++) {
            const struct trq_kv kv[] = {
                TRQ_KV("account_id", 1),
                TRQ_KV("amount", 1),
                {trq_str_of("text"), {.type = TRQ_STR, .u.s = {filler, sizes[from]}}},
                TRQ_KV("to", (int64_t)sizes[to]),
            };
            size_then = sizes[from];
            put(&pay, (struct trq_dict){kv, 4}, 1);
            DRAIN(2);
        }
    cr_assert_eq(seen.upgrades, SIZES * SIZES);
}

/* ---- queue locks --------------------------------------------------------------------------------------------------------- */

static int put_code(const struct trq_worker *worker, struct trq_dict inputs, uint32_t version)
{
    return try_put(worker, inputs, version, NULL, NULL);
}
#define PAYS(account, ...)                                                                         \
    TRQ_DICT(TRQ_KV("account_id", (account)), TRQ_KV("amount", 1), __VA_ARGS__)

Test(upgrade, old_and_new_jobs_that_mean_the_same_have_one_queue_lock)
{
    const struct trq_worker *const workers[] = {&unique, &sure, &whole, &asked};
    for (int i = 0; i < 4; i++) {
        const struct trq_dict new = PAYS(1, TRQ_KV("currency", "EUR"));
        cr_assert_eq(put_code(workers[i], new, 0), TRQ_OK);
        cr_assert_eq(put_code(workers[i], PAYS(1.0, TRQ_KV("currency", "EUR")), 1),
                     i == 3 ? TRQ_OK : TRQ_DUPLICATE, "%d", i); /* urgent is open: see below */
        cr_assert_eq(put_code(workers[i], PAYS(2, TRQ_KV("currency", "EUR")), 1), TRQ_OK);
    }
    cr_assert_eq(put_code(&sure, TRQ_DICT(TRQ_KV("account_id", 1)), 1), TRQ_DUPLICATE,
                 "the default of what was added");
    cr_assert_eq(trq_test_advance(engine, trq_seconds(5)), 10,
                 "an integer is wanted: that of the function fails twice");
}

/* Else the second of them would be taken for the first, and be lost. */
Test(upgrade, a_key_that_is_not_known_yet_is_that_of_the_whole_dictionary)
{
    const struct trq_worker *const workers[] = {&unique, &whole, &asked};
    seen.upgrade = mend;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(put_code(workers[i], OLD_1(1), 1), TRQ_OK);
        cr_assert_eq(put_code(workers[i], OLD_1(2), 1), TRQ_OK);
        cr_assert_eq(put_code(workers[i], OLD_1(1), 1), TRQ_DUPLICATE);
    }
    DRAIN(6);
    cr_assert_eq(put_code(&sure, OLD_1(1), 1), TRQ_OK);
    cr_assert_eq(put_code(&sure, OLD_1(2), 1), TRQ_OK);
    cr_assert_eq(trq_test_advance(engine, trq_seconds(5)), 4, "each fails twice");
}

static enum trq_end key_refuses(struct trq_job *job, struct trq_key *key)
{
    (void)key;
    return trq_fail(job, "no key for %lld", (long long)trq_job_get_i64(job, "account"));
}
Test(upgrade, the_function_of_a_queue_lock_may_refuse_an_old_job)
{
    seen.queue_key = key_refuses;
    cr_assert_eq(put_code(&asked, OLD_1(4), 1), TRQ_EINPUT);
    cr_assert_str_eq(error.text, "Asked: queue lock: no key for 4");
}

Test(upgrade, the_version_goes_with_the_job_that_replaces_another)
{
    const struct trq_dict new = PAYS(1, TRQ_KV("currency", "EUR"));
    const struct trq_dict old = PAYS(1, TRQ_KV("currency", "EUR"), TRQ_KV("since", "long"));
    const struct trq_opts replace = {.size = sizeof replace, .on_conflict = TRQ_REPLACE};
    put(&sure, old, 1);
    cr_assert_eq(try_put(&sure, new, 0, &replace, NULL), TRQ_REPLACED);
    DRAIN(1);
    SAW("{\"account_id\":1,\"amount\":1.0,\"currency\":\"EUR\",\"urgent\":false}");
    put(&sure, new, 0);
    cr_assert_eq(try_put(&sure, old, 1, &replace, NULL), TRQ_REPLACED);
    DRAIN(1);
    SAW("{\"account_id\":1,\"amount\":1.0,\"currency\":\"EUR\",\"urgent\":false,\"since\":"
        "\"long\"}");
}

/* ---- with everything ------------------------------------------------------------------------------------------------------ */

Test(upgrade, it_comes_before_the_worker_lock_needed_and_perform)
{
    seen.upgrade = mend;
    struct trq_job_id id = put(&full, OLD_1(8), 1);
    DRAIN(1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
    cr_assert_eq(seen.in.account_id, 8);
    cr_assert(seen.upgrades == 1 && seen.keys == 1 && seen.needs == 1 && seen.runs == 1 &&
              seen.drops == 1);
}

Test(upgrade, before_a_worker_lock_it_may_fail_and_then_be_done)
{
    const enum trq_end ends[] = {TRQ_FAILED, TRQ_REQUEUED, TRQ_SKIP, TRQ_DISCARDED};
    seen.upgrade = answers_first;
    for (int i = 0; i < 4; i++) {
        answers_left = 1;
        answer = ends[i];
        seen.upgrades = seen.keys = 0;
        struct trq_job_id id = put(&full, OLD_1(8), 1);
        DRAIN(1);
        cr_assert(seen.upgrades == 1 && seen.keys == 0 && seen.drops == 0 && seen.runs == 0);
        cr_assert_eq(trq_test_advance(engine, trq_seconds(2)), i < 2);
        cr_assert_eq(seen.runs, i < 2);
        SCENE_ENDED(id, i < 2 ? TRQ_WAS_DONE : i == 2 ? TRQ_WAS_SKIPPED : TRQ_WAS_DISCARDED);
        seen.runs = seen.drops = 0;
    }
}

static enum trq_end misses_a_change(struct trq_job *job, uint32_t version)
{
    if (seen.upgrades > 1)
        return mend(job, version);
    FX_MUST(put_code(&full, OLD_1(8), 1) == TRQ_DUPLICATE);
    return TRQ_SKIP; /* because of what that caller has changed since */
}
Test(upgrade, what_it_says_before_a_duplicate_is_answered_does_not_count)
{
    seen.upgrade = misses_a_change;
    struct trq_job_id id = put(&full, OLD_1(8), 1);
    cr_assert_geq(trq_test_drain(engine), 1);
    cr_assert_eq(seen.upgrades, 2);
    cr_assert_eq(seen.runs, 1);
    SCENE_ENDED(id, TRQ_WAS_DONE);
}

static enum trq_end enqueues_another(struct trq_job *job, uint32_t version)
{
    if (version == 1) {
        FX_MUST(trq_job_set(job, "amount", f64(5)) == TRQ_OK);
        FX_MUST(put_code(&asked, PAYS(40, TRQ_KV("currency", "USD")), 2) == TRQ_OK);
        FX_MUST(put_code(&asked, PAYS(40, TRQ_KV("currency", "USD")), 2) == TRQ_DUPLICATE);
        FX_MUST(trq_job_set(job, "account_id", i64(30)) == TRQ_OK);
    }
    return TRQ_DONE;
}
Test(upgrade, a_hook_may_enqueue_an_old_job_whose_lock_has_a_function)
{
    seen.upgrade = enqueues_another;
    put(&pay, TRQ_DICT(TRQ_KV("x", 1)), 1);
    cr_assert_eq(trq_test_step(engine), 1);
    SAW("{\"account_id\":30,\"amount\":5.0,\"currency\":\"EUR\",\"urgent\":false,\"x\":1}");
    DRAIN(1);
    cr_assert_eq(seen.in.account_id, 40);
}

/* ---- cancel, schedule --------------------------------------------------------------------------------------------------- */

static enum trq_end cancels_itself(struct trq_job *job, uint32_t version)
{
    FX_MUST(trq_cancel(engine, trq_job_self(job)) == TRQ_ASKED);
    return mend(job, version);
}
static enum trq_end was_asked_to_stop(struct trq_job *job)
{
    return trq_job_should_stop(job) ? trq_requeue(job) : TRQ_DONE;
}
Test(upgrade, a_job_may_be_cancelled_before_it_and_in_it)
{
    struct trq_job_id id = put(&pay, OLD_1(1), 1);
    cr_assert_eq(trq_cancel(engine, id), TRQ_OK);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    DRAIN(0);
    seen.upgrade = cancels_itself;
    seen.during = was_asked_to_stop;
    id = put(&pay, OLD_1(1), 1);
    cr_assert_geq(trq_test_drain(engine), 0);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    cr_assert_eq(seen.runs, 1);
    id = put(&full, OLD_1(1), 1);
    cr_assert_geq(trq_test_drain(engine), 0);
    SCENE_ENDED(id, TRQ_WAS_CANCELLED);
    cr_assert_eq(seen.runs, 1, "it had not begun");
}

Test(upgrade, a_scheduled_job_is_found_by_what_it_was_given)
{
    const struct trq_opts later = {.size = sizeof later, .in = trq_hours(1)};
    struct trq_job_id id = {0, 0}, found[2];
    seen.upgrade = mend;
    cr_assert_eq(try_put(&pay, OLD_1(4), 1, &later, &id), TRQ_OK);
    cr_assert_eq(trq_scheduled(engine, &pay, TRQ_DICT(TRQ_KV("account", 4)), found, 2), 1);
    cr_assert(trq_job_id_equal(found[0], id));
    cr_assert_eq(trq_scheduled(engine, &pay, TRQ_DICT(TRQ_KV("account_id", 4)), found, 2), 0);
    cr_assert_eq(trq_test_advance(engine, trq_hours(1)), 1);
    cr_assert_eq(seen.in.account_id, 4);
}

/* ---- registration ------------------------------------------------------------------------------------------------------- */

Test(upgrade, another_version_or_hook_is_another_meaning)
{
    const struct trq_worker next = {.size = sizeof next,
                                    .name = "Bare",
                                    .inputs = &pay_inputs,
                                    .perform = perform,
                                    .retry = &once_more,
                                    .exhausted = exhausted,
                                    .version = 4};
    struct trq_worker hooked = next;
    hooked.version = 3;
    const struct trq_app same = {
        .size = sizeof same, .name = "app", .workers = TRQ_WORKERS(&hooked)};
    cr_assert_eq(trq_register(engine, &same, &error), TRQ_OK, "%s", error.text);
    hooked.upgrade = upgrade;
    cr_assert_eq(trq_register(engine, &same, &error), TRQ_ECONFLICT);
    const struct trq_app newer = {
        .size = sizeof newer, .name = "app", .workers = TRQ_WORKERS(&next)};
    cr_assert_eq(trq_register(engine, &newer, &error), TRQ_ECONFLICT);
}

/* ---- without memory ------------------------------------------------------------------------------------------------------ */

static int sets_failed;
static enum trq_end mend_without_memory(struct trq_job *job, uint32_t version)
{
    struct trq_value v;
    (void)version;
    if (trq_job_get(job, "account", &v)) {
        const int code = trq_job_set(job, "account_id", v);
        FX_MUST(code == TRQ_OK || code == TRQ_ENOMEM);
        sets_failed += code < 0;
        trq_job_unset(job, "account"); /* whatever became of that */
    }
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        sets_failed += trq_job_set(job, name, str("some text, and some more")) < 0;
    }
    sets_failed += trq_job_set(job, "amount", f64(1)) < 0;
    return TRQ_DONE;
}

/* Who runs has all that was set, though the hook did not look whether it could be. */
static enum trq_end has_all(struct trq_job *job)
{
    struct trq_value v;
    for (int i = 0; i < 20; i++) {
        char name[8];
        snprintf(name, sizeof name, "n%d", i);
        cr_assert(trq_job_get(job, name, &v), "%s is lost", name);
    }
    cr_assert(!trq_job_get(job, "account", &v));
    cr_assert_eq(trq_job_get_str(job, "text").size, 6000);
    return TRQ_DONE;
}

static bool starve(struct fx_heap *heap, long k)
{
    static char big[6001];
    struct trq_hooks hooks = fx_hooks(heap);
    memset(big, 'z', sizeof big - 1);
    scene_forget();
    seen.runs = 0;
    heap->fail_at = 0;
    FX_MUST(
        trq_engine_create(FX_CONFIG(.threads = TRQ_THREADS_NONE, .jobs_max = 100, .hooks = &hooks),
                          &engine, NULL) == TRQ_OK);
    FX_MUST(trq_register(engine, &app, NULL) == TRQ_OK);
    FX_MUST(trq_engine_start(engine, NULL) == TRQ_OK);
    struct trq_job_id id = put(&pay, OLD_1(5), 1);
    put(&pay, TRQ_DICT(TRQ_KV("account", 5), TRQ_KV("text", (const char *)big)), 1);
    FX_MUST(trq_cancel(engine, id) == TRQ_OK); /* the threads' caches are warm */
    heap->calls = 0;
    heap->fail_at = k;
    FX_MUST(trq_engine_poll(engine, 10, trq_ns(0)) >= 0);
    const bool failed = heap->calls >= k;
    heap->fail_at = 0;
    /* It has run with all, or it has failed and has all that it had, mended or not. */
    const struct trq_dict old = TRQ_DICT(TRQ_KV("text", (const char *)big), TRQ_KV("account", 5));
    const struct trq_dict new =
        TRQ_DICT(TRQ_KV("text", (const char *)big), TRQ_KV("account_id", 5));
    const int waits = trq_test_count(engine, &pay, old) + trq_test_count(engine, &pay, new);
    const int dead = (int)fx_stats(engine, "Pay").dead; /* there was no memory for a wait either */
    cr_assert_eq(seen.runs + waits + dead, 1, "k = %ld", k);
    cr_assert(!seen.runs || (seen.in.account_id == 5 && seen.in.currency.size == 3));
    scene_check();
    FX_MUST(trq_engine_stop(engine, fx_long(), NULL) == TRQ_OK);
    FX_MUST(trq_engine_destroy(engine) == TRQ_OK);
    cr_assert_eq(heap->blocks, 0, "k = %ld: %ld blocks left", k, (long)heap->blocks);
    cr_assert_eq(heap->wrong, 0);
    return failed;
}

Test(upgrade_nomem, any_allocation_may_fail_and_nothing_is_lost)
{
    struct fx_heap heap = {0};
    long k = 1;
    seen.upgrade = mend_without_memory;
    seen.during = has_all;
    while (starve(&heap, k))
        cr_assert_lt(++k, 300);
    cr_assert_gt(k, 20);
    cr_assert_gt(sets_failed, 10);
}
