#include "cli/locks.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/fields.h"

/* ---- what a lock names ------------------------------------------------------------------------------ */

static bool refuse_list(const char *key, const char *fault, char *why)
{
    snprintf(why, TQ_WHY_SIZE, "\"%s\" %s; it is a list of names of inputs, or \"all\"", key,
             fault);
    return false;
}

static bool check_name(const char *key, const json_t *name, char *why)
{
    if (!json_is_string(name))
        return refuse_list(key, "has a value that is no string", why);
    if (strlen(json_string_value(name)) != json_string_length(name))
        return refuse_list(key, "has a name with a zero byte", why);
    return true;
}

static bool take_names(const char *key, const json_t *list, const char ***out, char *why)
{
    const size_t count = json_array_size(list);
    if (count == 0)
        return refuse_list(key, "is empty", why);
    *out = calloc(count + 1, sizeof **out);
    if (!*out) {
        snprintf(why, TQ_WHY_SIZE, "out of memory");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *name = json_array_get(list, i);
        if (!check_name(key, name, why))
            return false;
        (*out)[i] = json_string_value(name);
    }
    return true;
}

static bool take_lock(const json_t *root, const char *key, struct trq_lock *out,
                      const char ***out_names, char *why)
{
    const json_t *value = json_object_get(root, key);
    if (!value)
        return true;
    out->size = sizeof *out;
    out->space = json_string_value(json_object_get(root, "lock_namespace"));
    if (json_is_string(value)) {
        out->all = strcmp(json_string_value(value), "all") == 0;
        return out->all || refuse_list(key, "is a string other than \"all\"", why);
    }
    if (!take_names(key, value, out_names, why))
        return false;
    out->inputs = *out_names;
    return true;
}

/* ---- the rest --------------------------------------------------------------------------------------- */

static bool check_namespace(const json_t *root, const struct tq_locks *locks, char *why)
{
    const char *space = json_string_value(json_object_get(root, "lock_namespace"));
    const char *fault = NULL;
    if (space && !*space)
        fault = "\"lock_namespace\" is empty";
    else if (space && !locks->queue.size && !locks->worker.size)
        fault = "\"lock_namespace\" is of no use without \"queue_lock\" or \"worker_lock\"";
    if (fault)
        snprintf(why, TQ_WHY_SIZE, "%s", fault);
    return !fault;
}

/* Who says what shall happen at this line means also the job that is not due yet: the lock is then held while it is
 * scheduled. Else a line that replaces would never find what it is to replace. */
static bool take_rule(const json_t *root, struct tq_locks *out, char *why)
{
    static const char *const words[] = {
        [TRQ_KEEP] = "keep", [TRQ_REPLACE] = "replace", [TRQ_DEBOUNCE] = "debounce"};
    const char *word = json_string_value(json_object_get(root, "on_conflict"));
    if (!word)
        return true;
    for (int rule = TRQ_KEEP; rule <= TRQ_DEBOUNCE; rule++)
        if (strcmp(word, words[rule]) == 0)
            out->on_conflict = (enum trq_on_conflict)rule;
    if (out->on_conflict == TRQ_AS_DECLARED) {
        snprintf(why, TQ_WHY_SIZE,
                 "\"on_conflict\" must be keep, replace or debounce, not \"%.60s\"", word);
        return false;
    }
    if (out->queue.size)
        out->queue.scope = TRQ_FROM_SCHEDULING;
    return true;
}

bool tq_locks_parse(const json_t *root, struct tq_locks *out, char *why)
{
    struct tq_locks locks = {0};
    if (!take_lock(root, "queue_lock", &locks.queue, &locks.queue_names, why) ||
        !take_lock(root, "worker_lock", &locks.worker, &locks.worker_names, why) ||
        !check_namespace(root, &locks, why) || !take_rule(root, &locks, why)) {
        tq_locks_fini(&locks);
        return false;
    }
    *out = locks;
    return true;
}

void tq_locks_fini(struct tq_locks *locks)
{
    free(locks->queue_names);
    free(locks->worker_names);
    memset(locks, 0, sizeof *locks);
}
