/* tresque: background jobs from the command line. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tresque.h>

#include "cli/cron.h"
#include "cli/help.h"
#include "cli/options.h"
#include "cli/run.h"
#include "cli/say.h"
#include "cli/summary.h"

static int help(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    return tq_help();
}

static int version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    printf("tresque %s\n", trq_version());
    return tq_summary_flush() ? TQ_EXIT_GOOD : TQ_EXIT_BAD;
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"run", tq_run}, {"cron", tq_cron},    {"help", help},         {"--help", help},
    {"-h", help},    {"version", version}, {"--version", version},
};

/* A descriptor of ours that is 0, 1 or 2 because the shell gave none would be taken for what it is not. */
static void open_standard_files(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

int main(int argc, char **argv)
{
    open_standard_files();
    if (argc < 2) {
        tq_say("tresque: what shall it do? For instance: tresque run FILE; see \"tresque help\"");
        return TQ_EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, argv[1]) == 0)
            return commands[i].run(argc - 1, argv + 1);
    tq_say("tresque: there is no command \"%s\"; see \"tresque help\"", argv[1]);
    return TQ_EXIT_USAGE;
}
