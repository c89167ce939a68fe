/* tresque: background jobs inside your own process.
 *
 * A *worker* is a class of job, declared as const data with the inputs that it takes; an *application*
 * bundles workers and queues; an *engine* runs jobs on its own threads, or on yours. Start with
 * docs/examples/hello.c.
 *
 * Conventions of all headers:
 *  - A result >= 0 is a success and may say which; < 0 is one of the codes in <tresque/value.h>, nothing
 *    has changed, and no callback will fire for that call.
 *  - A struct that you fill begins with its own size; what you leave zero is the default. An engine built
 *    later knows the old sizes.
 *  - Strings and dictionaries that you give are borrowed for the call and copied.
 *  - Functions may be called from any thread unless their comment says otherwise.
 */
#ifndef TRESQUE_H
#define TRESQUE_H

#include <tresque/version.h>

#include <tresque/value.h>

#include <tresque/worker.h>

#include <tresque/hooks.h>

#include <tresque/engine.h>

#include <tresque/enqueue.h>

#include <tresque/channel.h>

#include <tresque/schedule.h>

#include <tresque/retry.h>

#include <tresque/cron.h>

#include <tresque/dead.h>

#include <tresque/recur.h>

#include <tresque/explain.h>

#include <tresque/stats.h>

#endif
