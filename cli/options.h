/* What the words after `tresque run` say. */
#ifndef TQ_CLI_OPTIONS_H
#define TQ_CLI_OPTIONS_H

#include <tresque/value.h>

/* The exit statuses of every command. Ended by a signal: 128 and its number. */
enum { TQ_EXIT_GOOD = 0, TQ_EXIT_BAD = 1, TQ_EXIT_USAGE = 2 };

enum tq_summary_form { TQ_SUMMARY_TEXT, TQ_SUMMARY_JSON, TQ_SUMMARY_NONE };
enum tq_when { TQ_AUTO, TQ_ALWAYS, TQ_NEVER };

struct tq_weight {
    const char *queue; /* as given: short of application worker, or full */
    int32_t weight;
};

/* Jobs that wait or run at once, unless --max-jobs says otherwise: enough that an urgent line is seen
 * far ahead of its turn, little enough that an endless input of small jobs needs some tens of MB. */
enum { TQ_JOBS_MAX_DEFAULT = 100000 };

/* Owner:   strings are borrowed from argv; the lists are ours. */
struct tq_options {
    const char *input;    /* a path, "-", or NULL: only the schedule */
    const char *schedule; /* a path, or NULL */
    int threads;          /* 0: the engine's choice */
    uint32_t jobs_max;
    char *queues_text;   /* the argument of --queues, cut at the commas */
    const char **queues; /* NULL-ended; NULL: all */
    struct tq_weight *weights;
    size_t weight_count;
    const char **plugins; /* NULL-ended */
    size_t plugin_count;
    const char *output; /* a path, "-" or NULL */
    enum tq_summary_form summary;
    enum tq_when progress;
    bool strict;
    bool help;
};

/* argv[0] is the command's name. False: the message has been said. */
bool tq_options_parse(struct tq_options *out, int argc, char **argv) TRQ_MUST_USE;
void tq_options_fini(struct tq_options *options);

/* getopt_long has returned '?' or ':' for a word: say what is wrong with it. False. */
bool tq_options_refuse(const char *command, int option, char **argv);
/* All of the text is a number from low to high. */
bool tq_options_number(const char *text, long long low, long long high, long long *out)
    TRQ_MUST_USE;

/* The lines about these options in the help text. */
extern const char tq_options_help[];

#endif
