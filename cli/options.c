#include "cli/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "cli/say.h"

const char tq_options_help[] =
    "  -j, --jobs N           run N jobs at once, 1 to 1024 (default: one per core)\n"
    "      --queues A,B       work only these queues\n"
    "      --weight NAME=N    make queue NAME, taken before all queues of lower weight\n"
    "      --max-jobs N       jobs in memory at once; reading waits (default: 100000)\n"
    "      --load FILE.so     workers of your own; may be given several times\n"
    "      --schedule FILE    run jobs again and again, as FILE says, until stopped\n"
    "      --strict           stop reading at the first bad line\n"
    "      --output FILE      one JSON line for each job that has ended; - is standard output\n"
    "      --summary FORM     text (default), json or none, on standard output\n"
    "      --progress WHEN    a live bar on standard error: auto (default), always or never\n"
    "  -h, --help             this text\n";

enum {
    OPT_QUEUES = 256,
    OPT_WEIGHT,
    OPT_MAX_JOBS,
    OPT_LOAD,
    OPT_SCHEDULE,
    OPT_STRICT,
    OPT_OUTPUT,
    OPT_SUMMARY,
    OPT_PROGRESS
};

static const struct option long_options[] = {
    {"jobs", required_argument, NULL, 'j'},
    {"queues", required_argument, NULL, OPT_QUEUES},
    {"weight", required_argument, NULL, OPT_WEIGHT},
    {"max-jobs", required_argument, NULL, OPT_MAX_JOBS},
    {"load", required_argument, NULL, OPT_LOAD},
    {"schedule", required_argument, NULL, OPT_SCHEDULE},
    {"strict", no_argument, NULL, OPT_STRICT},
    {"output", required_argument, NULL, OPT_OUTPUT},
    {"summary", required_argument, NULL, OPT_SUMMARY},
    {"progress", required_argument, NULL, OPT_PROGRESS},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

bool tq_options_number(const char *text, long long low, long long high, long long *out)
{
    char *end;
    errno = 0;
    const long long n = strtoll(text, &end, 10);
    if (end == text || *end || errno || n < low || n > high)
        return false;
    *out = n;
    return true;
}

/* The index of `text` among the words, which end with NULL; or -1. */
static int parse_word(const char *text, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    return -1;
}

static bool take_threads(struct tq_options *options, const char *text)
{
    long long n;
    if (!tq_options_number(text, 1, 1024, &n)) {
        tq_say("tresque run: -j takes a number from 1 to 1024, not \"%s\"", text);
        return false;
    }
    options->threads = (int)n;
    return true;
}

static bool take_jobs_max(struct tq_options *options, const char *text)
{
    long long n;
    if (!tq_options_number(text, 1, 1 << 26, &n)) {
        tq_say("tresque run: --max-jobs takes a number from 1 to %d, not \"%s\"", 1 << 26, text);
        return false;
    }
    options->jobs_max = (uint32_t)n;
    return true;
}

static bool out_of_memory(void)
{
    tq_say("tresque run: out of memory");
    return false;
}

static bool take_queues(struct tq_options *options, const char *text)
{
    if (options->queues_text) {
        tq_say("tresque run: --queues is given twice; name them all in one: --queues A,B");
        return false;
    }
    options->queues_text = strdup(text);
    options->queues = calloc(strlen(text) / 2 + 2, sizeof *options->queues);
    if (!options->queues_text || !options->queues)
        return out_of_memory();
    size_t count = 0;
    char *rest = options->queues_text;
    for (char *name; (name = strsep(&rest, ","));) {
        if (!*name) {
            tq_say("tresque run: --queues takes names with commas between them, not \"%s\"", text);
            return false;
        }
        options->queues[count++] = name;
    }
    return true;
}

static bool take_weight(struct tq_options *options, char *text)
{
    char *equals = strrchr(text, '=');
    long long n;
    if (!equals || equals == text || !tq_options_number(equals + 1, INT32_MIN, INT32_MAX, &n)) {
        tq_say("tresque run: --weight takes NAME=N, N a number of 32 bits, not \"%s\"", text);
        return false;
    }
    *equals = '\0';
    for (size_t i = 0; i < options->weight_count; i++)
        if (strcmp(options->weights[i].queue, text) == 0) {
            tq_say("tresque run: --weight of \"%s\" is given twice", text);
            return false;
        }
    options->weights[options->weight_count++] = (struct tq_weight){text, (int32_t)n};
    return true;
}

static bool take_summary(struct tq_options *options, const char *text)
{
    static const char *const words[] = {
        [TQ_SUMMARY_TEXT] = "text", [TQ_SUMMARY_JSON] = "json", [TQ_SUMMARY_NONE] = "none", NULL};
    const int form = parse_word(text, words);
    if (form < 0)
        tq_say("tresque run: --summary takes text, json or none, not \"%s\"", text);
    else
        options->summary = (enum tq_summary_form)form;
    return form >= 0;
}

static bool take_progress(struct tq_options *options, const char *text)
{
    static const char *const words[] = {
        [TQ_AUTO] = "auto", [TQ_ALWAYS] = "always", [TQ_NEVER] = "never", NULL};
    const int when = parse_word(text, words);
    if (when < 0)
        tq_say("tresque run: --progress takes auto, always or never, not \"%s\"", text);
    else
        options->progress = (enum tq_when)when;
    return when >= 0;
}

static bool take_schedule(struct tq_options *options, const char *path)
{
    if (options->schedule) {
        tq_say("tresque run: --schedule is given twice; a schedule is one list");
        return false;
    }
    options->schedule = path;
    return true;
}

static bool take_option(struct tq_options *options, int option)
{
    switch (option) {
    case 'j':
        return take_threads(options, optarg);
    case OPT_QUEUES:
        return take_queues(options, optarg);
    case OPT_WEIGHT:
        return take_weight(options, optarg);
    case OPT_MAX_JOBS:
        return take_jobs_max(options, optarg);
    case OPT_LOAD:
        options->plugins[options->plugin_count++] = optarg;
        return true;
    case OPT_SCHEDULE:
        return take_schedule(options, optarg);
    case OPT_STRICT:
        options->strict = true;
        return true;
    case OPT_OUTPUT:
        options->output = optarg;
        return true;
    case OPT_SUMMARY:
        return take_summary(options, optarg);
    case OPT_PROGRESS:
        return take_progress(options, optarg);
    case 'h':
    default:
        options->help = true;
        return true;
    }
}

bool tq_options_refuse(const char *command, int option, char **argv)
{
    const char *word = argv[optind - 1];
    if (option == ':')
        tq_say("tresque %s: %s needs an argument; see \"tresque help\"", command, word);
    else if (strchr(word, '=') && optopt)
        tq_say("tresque %s: %s takes no argument; see \"tresque help\"", command, word);
    else if (optopt)
        tq_say("tresque %s: there is no option -%c; see \"tresque help\"", command, optopt);
    else
        tq_say("tresque %s: there is no option %s; see \"tresque help\"", command, word);
    return false;
}

static bool take_input(struct tq_options *options, int argc, char **argv)
{
    if (optind < argc)
        options->input = argv[optind];
    else
        options->input = options->schedule ? NULL : "-"; /* a schedule needs no lines beside it */
    if (optind + 1 < argc) {
        tq_say("tresque run: one input at most, but there is \"%s\" too; "
               "join them: cat FILE... | tresque run",
               argv[optind + 1]);
        return false;
    }
    return true;
}

bool tq_options_parse(struct tq_options *out, int argc, char **argv)
{
    struct tq_options options = {.jobs_max = TQ_JOBS_MAX_DEFAULT};
    /* Neither list can be longer than the words are many. */
    options.weights = calloc((size_t)argc + 1, sizeof *options.weights);
    options.plugins = calloc((size_t)argc + 1, sizeof *options.plugins);
    bool good = options.weights && options.plugins;
    if (!good)
        out_of_memory();
    opterr = 0;
    optind = 1;
    while (good && !options.help) {
        const int option = getopt_long(argc, argv, ":j:h", long_options, NULL);
        if (option < 0) {
            good = take_input(&options, argc, argv);
            break;
        }
        if (option == '?' || option == ':')
            good = tq_options_refuse(argv[0], option, argv);
        else
            good = take_option(&options, option);
    }
    if (good)
        *out = options;
    else
        tq_options_fini(&options);
    return good;
}

void tq_options_fini(struct tq_options *options)
{
    free(options->queues_text);
    free(options->queues);
    free(options->weights);
    free(options->plugins);
    memset(options, 0, sizeof *options);
}
