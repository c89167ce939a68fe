/* tresque-bench: what a job costs, beside what a user would take instead. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "bench/bench.h"
#include "bench/child.h"
#include "bench/measure.h"
#include "bench/peer.h"
#include "bench/report.h"

static const struct bench *const benches[] = {
    &bench_e2e,    &bench_enqueue, &bench_alloc,   &bench_idle,      &bench_footprint,
    &bench_timers, &bench_locks,   &bench_retries, &bench_recurring, NULL,
};

static const char usage[] =
    "usage: tresque-bench [NAME...] [--runs N] [--peer NAME]... [--jobs N] [--json FILE] [--tiny]\n"
    "       tresque-bench --list\n"
    "\n"
    "  NAME         a benchmark, a scenario, or BENCH/SCENARIO; without one, all of them\n"
    "  --runs N     runs of each implementation, in turns with the others (9)\n"
    "  --peer NAME  only this beside ours; may be given again; `none`: ours alone\n"
    "  --jobs N     jobs of one run\n"
    "  --json FILE  one line per scenario and implementation\n"
    "  --tiny       everything in milliseconds, to see that it works\n";

static _Noreturn void wrong_usage(const char *what, const char *name)
{
    fprintf(stderr, "tresque-bench: %s%s%s\n%s", what, name ? ": " : "", name ? name : "", usage);
    exit(2);
}

static void list(void)
{
    for (size_t b = 0; benches[b]; b++) {
        printf("%-10s %s\n          ", benches[b]->name, benches[b]->what);
        for (size_t s = 0; benches[b]->scenarios[s]; s++)
            printf(" %s", benches[b]->scenarios[s]);
        putchar('\n');
    }
    puts("\npeers");
    for (size_t p = 0; peers[p]; p++)
        printf("  %-16s %s\n", peers[p]->name, peers[p]->what);
    if (peers_left_out[0])
        printf("  not built in:%s\n", peers_left_out);
}

/* ---- what is asked for ------------------------------------------------------------------------------- */

static bool is_name_of(const char *name, const char *bench, const char *scenario)
{
    size_t n = strlen(bench);
    return strcmp(name, bench) == 0 || strcmp(name, scenario) == 0 ||
           (strncmp(name, bench, n) == 0 && name[n] == '/' && strcmp(name + n + 1, scenario) == 0);
}

bool bench_wants(const struct options *options, const char *bench, const char *scenario)
{
    for (size_t i = 0; options->only[i]; i++)
        if (is_name_of(options->only[i], bench, scenario))
            return true;
    return !options->only[0];
}

bool bench_wants_peer(const struct options *options, const struct peer *peer)
{
    for (size_t i = 0; options->peers[i]; i++)
        if (strcmp(options->peers[i], peer->name) == 0)
            return true;
    return !options->peers[0] || (peer->can & PEER_OURS);
}

static bool is_known_name(const char *name)
{
    for (size_t b = 0; benches[b]; b++)
        for (size_t s = 0; benches[b]->scenarios[s]; s++)
            if (is_name_of(name, benches[b]->name, benches[b]->scenarios[s]))
                return true;
    return false;
}

static bool is_known_peer(const char *name)
{
    for (size_t p = 0; peers[p]; p++)
        if (strcmp(name, peers[p]->name) == 0)
            return true;
    return strcmp(name, "none") == 0;
}

static uint64_t number_of(const char *option, const char *text)
{
    char *end = NULL;
    unsigned long long n = text ? strtoull(text, &end, 10) : 0;
    if (n == 0 || n > 1000000000 || *end || text[0] == '-')
        wrong_usage("a number from 1 to 1000000000 goes with", option);
    return n;
}

static const char *value_of(char **args, int *at)
{
    if (!args[*at + 1])
        wrong_usage("a value is missing after", args[*at]);
    return args[++*at];
}

static void append(const char **names, const char *name)
{
    size_t count = 0;
    while (names[count])
        count++;
    if (count == OPTIONS_NAMES_MAX)
        wrong_usage("too many names", name);
    names[count] = name;
}

static void option(struct options *options, const char **json_path, char **args, int *at)
{
    const char *arg = args[*at];
    if (strcmp(arg, "--tiny") == 0) {
        options->tiny = true;
    } else if (strcmp(arg, "--json") == 0) {
        *json_path = value_of(args, at);
    } else if (strcmp(arg, "--runs") == 0) {
        options->runs = (unsigned)number_of(arg, value_of(args, at));
    } else if (strcmp(arg, "--jobs") == 0) {
        options->jobs = number_of(arg, value_of(args, at));
    } else if (strcmp(arg, "--peer") == 0) {
        append(options->peers, value_of(args, at));
        if (!is_known_peer(args[*at]))
            wrong_usage("no such peer", args[*at]);
    } else if (arg[0] == '-') {
        wrong_usage("no such option", arg);
    } else {
        append(options->only, arg);
        if (!is_known_name(arg))
            wrong_usage("no such benchmark or scenario", arg);
    }
}

int main(int argc, char **argv)
{
    struct options options = {0};
    const char *json_path = NULL;

    if (argc > 1 && strcmp(argv[1], CHILD_OPTION) == 0)
        return child_main(argc, argv);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            list();
            return 0;
        }
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(usage, stdout);
            return 0;
        }
        option(&options, &json_path, argv, &i);
    }
    if (options.runs == 0)
        options.runs = options.tiny ? 1 : 9;

    /* Waiting for the end of a run is a series of short sleeps: let them be short. */
    prctl(PR_SET_TIMERSLACK, 1);
    report_open(json_path);
    for (size_t b = 0; benches[b]; b++)
        benches[b]->run(&options);
    return report_close();
}
