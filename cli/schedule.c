#include "cli/schedule.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/buffer.h"
#include "cli/fields.h"
#include "cli/say.h"
#include "cli/when.h"

enum { FILE_MAX = 16 << 20, READ_SIZE = 64 * 1024 };

/* In the order in which messages list them. */
static const struct tq_field fields[] = {
    {"name", TQ_A(JSON_STRING), "a string", true},
    {"cron", TQ_A(JSON_STRING), "a string", false},
    {"zone", TQ_A(JSON_STRING), "a string", false},
    {"every", TQ_A_NUMBER, "a number", false},
    {"worker", TQ_A(JSON_STRING), "a string", true},
    {"inputs", TQ_A(JSON_OBJECT), "an object", false},
    {"queue", TQ_A(JSON_STRING), "a string", false},
    {"jitter", TQ_A_NUMBER, "a number", false},
    {"start", TQ_A(JSON_STRING) | TQ_A_NUMBER, "a string or a number", false},
    {"end", TQ_A(JSON_STRING) | TQ_A_NUMBER, "a string or a number", false},
    {"no_overlap", TQ_A(JSON_TRUE) | TQ_A(JSON_FALSE), "true or false", false},
    {"catch_up", TQ_A(JSON_STRING), "a string", false},
    {"time_input", TQ_A(JSON_STRING), "a string", false},
};

/* ---- the file ----------------------------------------------------------------------------------------- */

static int read_all(int fd, struct tq_buffer *out)
{
    char data[READ_SIZE];
    for (;;) {
        const ssize_t n = read(fd, data, sizeof data);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? errno : 0;
        tq_buffer_add(out, data, (size_t)n);
        if (out->failed)
            return ENOMEM;
        if (out->size > FILE_MAX)
            return EFBIG;
    }
}

static bool read_file(struct tq_schedule *schedule, struct tq_buffer *text)
{
    schedule->fd = open(schedule->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    const int error = schedule->fd < 0 ? errno : read_all(schedule->fd, text);
    if (error)
        tq_say("tresque: cannot read %s: %s", schedule->path, strerrordesc_np(error));
    return !error;
}

static bool parse_file(struct tq_schedule *schedule, const struct tq_buffer *text)
{
    json_error_t error;
    const size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_ANY;
    schedule->root = json_loadb(text->size ? text->data : "", text->size, flags, &error);
    if (!schedule->root)
        tq_say("%s:%d:%d: not JSON: %s", schedule->path, error.line, error.column, error.text);
    else if (!json_is_array(schedule->root))
        tq_say("%s: %s, where a schedule is a list: [{\"name\":\"...\",\"cron\":\"...\","
               "\"worker\":\"...\"}]",
               schedule->path, tq_fields_type(schedule->root));
    return json_is_array(schedule->root);
}

/* ---- one entry ---------------------------------------------------------------------------------------- */

static bool refuse(char *why, const char *sentence)
{
    snprintf(why, TQ_WHY_SIZE, "%s", sentence);
    return false;
}

static const char *string_of(const json_t *entry, const char *key)
{
    return json_string_value(json_object_get(entry, key));
}

static bool take_span(const json_t *entry, const char *key, double least, struct trq_span *out,
                      char *why)
{
    static const double most = 10 * 365 * 86400.0;
    const json_t *value = json_object_get(entry, key);
    const double seconds = json_number_value(value);
    if (!value)
        return true;
    if (seconds < least || seconds > most) {
        snprintf(why, TQ_WHY_SIZE, "\"%s\" must be from %g to %.0f seconds (ten years), not %.15g",
                 key, least, most, seconds);
        return false;
    }
    *out = tq_when_span(value);
    return true;
}

/* 0 would mean that it was not given: a moment later is near enough. */
static bool take_bound(const json_t *entry, const char *key, struct trq_wall *out, char *why)
{
    char name[16];
    const json_t *value = json_object_get(entry, key);
    snprintf(name, sizeof name, "\"%s\"", key);
    if (!value)
        return true;
    if (!tq_when_wall(value, name, out, why))
        return false;
    out->ns = out->ns > 0 ? out->ns : 1;
    return true;
}

static bool take_times(const json_t *json, struct tq_entry *entry, char *why)
{
    entry->cron = string_of(json, "cron");
    entry->zone = string_of(json, "zone");
    const bool is_every = json_object_get(json, "every") != NULL;
    if (entry->cron && is_every)
        return refuse(why, "\"cron\" and \"every\" are both given; it is one of them");
    if (!entry->cron && !is_every)
        return refuse(why, "\"cron\" or \"every\" is missing");
    if (entry->zone && is_every)
        return refuse(why, "\"zone\" is of no use without \"cron\"");
    if (!take_span(json, "every", 0.001, &entry->every, why) ||
        !take_span(json, "jitter", 0, &entry->jitter, why) ||
        !take_bound(json, "start", &entry->start, why) ||
        !take_bound(json, "end", &entry->end, why))
        return false;
    if (entry->end.ns && entry->end.ns < entry->start.ns)
        return refuse(why, "\"end\" is before \"start\"");
    return true;
}

static bool check_times(const struct tq_entry *entry, char *why)
{
    struct trq_error error;
    struct trq_span offset;
    if (entry->cron && trq_cron_check(entry->cron, NULL, &error) < 0)
        return refuse(why, error.text);
    if (entry->zone && trq_zone_offset(entry->zone, trq_wall_seconds(0), &offset, &error) < 0)
        return refuse(why, error.text);
    return true;
}

static bool take_catch_up(const json_t *json, struct tq_entry *entry, char *why)
{
    static const char *const words[] = {"once", "none", "all"};
    const char *word = string_of(json, "catch_up");
    for (int i = 0; word && i < 3; i++)
        if (strcmp(word, words[i]) == 0) {
            entry->catch_up = i;
            return true;
        }
    if (word)
        snprintf(why, TQ_WHY_SIZE, "\"catch_up\" must be once, none or all, not \"%.60s\"", word);
    return !word;
}

static bool take_entry(const json_t *json, struct tq_entry *entry, char *why)
{
    if (!json_is_object(json)) {
        snprintf(why, TQ_WHY_SIZE, "%s, where an entry is an object", tq_fields_type(json));
        return false;
    }
    if (!tq_fields_check(json, "an entry", fields, sizeof fields / sizeof fields[0], why))
        return false;
    entry->name = string_of(json, "name");
    entry->worker = string_of(json, "worker");
    entry->inputs = json_object_get(json, "inputs");
    entry->queue = string_of(json, "queue");
    entry->time_input = string_of(json, "time_input");
    entry->no_overlap = json_is_true(json_object_get(json, "no_overlap"));
    return take_times(json, entry, why) && check_times(entry, why) &&
           take_catch_up(json, entry, why);
}

/* ---- all of them -------------------------------------------------------------------------------------- */

/* By its name if it has one. */
void tq_schedule_refuse(const struct tq_schedule *schedule, size_t index, const char *why)
{
    const json_t *entry = json_array_get(schedule->root, index);
    const char *name = string_of(entry, "name");
    if (name && *name)
        tq_say("%s: \"%s\": %s", schedule->path, name, why);
    else
        tq_say("%s: entry %zu: %s", schedule->path, index + 1, why);
}

/* A second one of a name would only change the first. */
static bool take_name(json_t *names, const char *name, char *why)
{
    if (!*name)
        return refuse(why, "\"name\" is empty");
    if (json_object_get(names, name))
        return refuse(why, "the name is given twice");
    return json_object_set_new(names, name, json_true()) == 0 || refuse(why, "out of memory");
}

static bool take_entries(struct tq_schedule *schedule)
{
    const size_t count = json_array_size(schedule->root);
    json_t *names = json_object();
    schedule->entries = calloc(count + 1, sizeof *schedule->entries);
    bool good = names && schedule->entries;
    if (!good) {
        tq_say("tresque: out of memory");
        json_decref(names);
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        char why[TQ_WHY_SIZE];
        struct tq_entry *entry = &schedule->entries[i];
        if (!take_entry(json_array_get(schedule->root, i), entry, why) ||
            !take_name(names, entry->name, why)) {
            tq_schedule_refuse(schedule, i, why);
            good = false;
        }
    }
    schedule->count = count;
    json_decref(names);
    return good;
}

bool tq_schedule_load(struct tq_schedule *out, const char *path)
{
    struct tq_buffer text = {0};
    *out = (struct tq_schedule){.path = path, .fd = -1};
    const bool good = read_file(out, &text) && parse_file(out, &text) && take_entries(out);
    tq_buffer_fini(&text);
    return good;
}

void tq_schedule_fini(struct tq_schedule *schedule)
{
    if (schedule->path && schedule->fd >= 0)
        close(schedule->fd);
    free(schedule->entries);
    json_decref(schedule->root);
    *schedule = (struct tq_schedule){.fd = -1};
}
