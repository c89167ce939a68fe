#include "cli/help.h"

#include <stdio.h>

#include "cli/cron.h"
#include "cli/options.h"
#include "cli/summary.h"

static const char head[] =
    "usage: tresque run [OPTION...] [FILE|-]\n"
    "       tresque cron [OPTION...] 'EXPRESSION'\n"
    "       tresque help\n"
    "       tresque --version\n"
    "\n"
    "tresque run reads jobs from FILE, or from standard input, one JSON object a line, and runs\n"
    "them in threads until all have ended:\n"
    "\n"
    "  "
    "{\"worker\":\"Exec\",\"inputs\":{\"argv\":[\"sha256sum\",\"/etc/"
    "hosts\"]},\"queue\":\"default\"}\n"
    "\n"
    "A line may also say when its job is due, \"at\" a time or \"in\" some seconds; which jobs "
    "must not\n"
    "wait twice or run at once: \"queue_lock\", \"worker_lock\", \"lock_namespace\", "
    "\"on_conflict\";\n"
    "how often it is tried again if it fails, \"retries\", after \"backoff\" seconds; and how "
    "many\n"
    "seconds it has to begin, \"expires_in\", and to run, \"timeout\".\n"
    "\n"
    "With --schedule it runs jobs again and again until it is stopped, and reads lines only if "
    "FILE or -\n"
    "is given. The schedule is a JSON list:\n"
    "\n"
    "  [{\"name\":\"backup\",\"cron\":\"30 2 * * "
    "*\",\"worker\":\"Exec\",\"inputs\":{\"argv\":[\"backup\"]}}]\n"
    "\n"
    "Workers:\n"
    "  Exec   runs a program: argv; optional cwd, env (an object), stdin (text)\n"
    "  Sleep  waits: seconds, ms\n"
    "  Noop   does nothing\n"
    "\n"
    "Options of tresque run:\n";

static const char cron[] =
    "\n"
    "tresque cron prints when a cron expression fires next, one time a line:\n"
    "\n";

static const char tail[] =
    "\n"
    "Exit status: 0 all jobs ended well; 1 a job died or expired or a line was rejected; 2 wrong "
    "usage;\n"
    "130 or 143 stopped by SIGINT or SIGTERM: the first lets running jobs finish, a second ends "
    "at\n"
    "once. More in tresque(1).\n";

int tq_help(void)
{
    fputs(head, stdout);
    fputs(tq_options_help, stdout);
    fputs(cron, stdout);
    fputs(tq_cron_help, stdout);
    fputs(tail, stdout);
    return tq_summary_flush() ? TQ_EXIT_GOOD : TQ_EXIT_BAD;
}
