/* A search index that follows its users: however often a user is saved, he is indexed once more, and what is in the
 * index in the end is what was saved last. Four threads save, and three others index. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <tresque.h>

enum { SAVERS = 4, SAVES = 250, ROUNDS = 100 };

/* ---- the host's own world -------------------------------------------------------------------------- */

struct site {
    struct trq_engine *jobs;
    atomic_int saved;   /* what the database says */
    atomic_int indexed; /* what the index says */
    atomic_int queued, duplicates, failures;
    atomic_bool hold, held; /* a run is to stay, stays, between its look-up and its write */
};

/* ---- the worker -------------------------------------------------------------------------------------- */

#define REINDEX_INPUTS(F, W) F(W, i64, user_id, TRQ_REQUIRED, 0)
TRQ_INPUTS(reindex, REINDEX_INPUTS);

static enum trq_end reindex_perform(struct trq_job *job)
{
    struct site *site = trq_job_host(job);
    int user = atomic_load_explicit(&site->saved, memory_order_relaxed);
    for (; site->hold; sched_yield())
        site->held = true;
    site->indexed = user;
    return TRQ_DONE;
}

/* The queue lock: while a job for this user waits, another is not needed; that one will see this change, too. It ends
 * before perform begins: a change after the look-up gets a job of its own. The worker lock: that job does not run
 * beside this one, or the older look-up might be written last. */
const struct trq_worker reindex = {
    TRQ_WORKER(reindex, "Account::ReindexWorker"),
    .perform = reindex_perform,
    .queue_lock = TRQ_LOCK_ON(TRQ_FIELD(reindex, user_id)),
    .worker_lock = TRQ_LOCK_ON(TRQ_FIELD(reindex, user_id)),
};
static const struct trq_app app = {
    .size = sizeof app, .name = "account", .workers = TRQ_WORKERS(&reindex)};

/* First the data, then the job. */
static void save(struct site *site)
{
    const struct reindex_in in = {.user_id = 42};
    atomic_fetch_add_explicit(&site->saved, 1, memory_order_relaxed);
    int rc = reindex_enqueue(site->jobs, &in, NULL, NULL);
    if (rc < 0)
        site->failures++;
    else
        ++*(rc == TRQ_DUPLICATE ? &site->duplicates : &site->queued);
}

static void *save_often(void *arg)
{
    for (int i = 0; i < SAVES; i++)
        save(arg);
    return NULL;
}

static void save_at_once(struct site *site)
{
    pthread_t savers[SAVERS];
    int n = 0;
    for (; n < SAVERS && pthread_create(&savers[n], NULL, save_often, site) == 0; n++)
        ;
    site->failures += SAVERS - n;
    while (n--)
        pthread_join(savers[n], NULL);
}

static void tell(struct site *site, const char *what)
{
    trq_engine_drain(site->jobs, trq_forever());
    printf("%s: %d queued, %d duplicates; the index is %s\n", what,
           atomic_exchange(&site->queued, 0), atomic_exchange(&site->duplicates, 0),
           site->indexed == site->saved ? "right" : "BEHIND");
}

int main(void)
{
    static struct site site;
    struct trq_config config = trq_config_init();
    config.threads = 3;
    config.host = &site;
    if (trq_engine_create(&config, &site.jobs, NULL) < 0 ||
        trq_register(site.jobs, &app, NULL) < 0 || trq_engine_start(site.jobs, NULL) < 0)
        return 1;
    /* Nothing runs yet. */
    trq_queue_pause(site.jobs, "account_default", NULL);
    save_at_once(&site);
    trq_queue_resume(site.jobs, "account_default", NULL);
    tell(&site, "before the run");

    /* A run has looked the user up already. */
    site.hold = true;
    save(&site);
    while (!site.held)
        sched_yield();
    save_at_once(&site);
    site.hold = false;
    tell(&site, "during a run");

    /* And as it comes. */
    int behind = 0;
    for (int round = 0; round < ROUNDS; round++) {
        save_at_once(&site);
        trq_engine_drain(site.jobs, trq_forever());
        behind += site.indexed != site.saved;
    }
    printf("%d rounds: the index was behind %d times\n", ROUNDS, behind);
    return trq_engine_destroy(site.jobs) != TRQ_OK || site.failures;
}
