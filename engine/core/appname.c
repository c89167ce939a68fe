#include "engine/core/appname.h"

#include <stdio.h>
#include <string.h>

/* Not ctype.h: that depends on the locale. */
static bool is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}
static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}
static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}
static char lower(char c)
{
    return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}
static char word_char(char c)
{
    return is_upper(c) || is_lower(c) || is_digit(c) ? lower(c) : '_';
}

bool tq_appname_normalise(const char *name, char *out, size_t room)
{
    size_t n = strlen(name);
    if (n == 0 || n >= room)
        return false;
    for (size_t i = 0; i <= n; i++)
        out[i] = name[i] ? word_char(name[i]) : '\0';
    return true;
}

/* A capital begins a word after a small letter or digit, and as the last of several: HTTPServer is
 * http_server. */
static bool begins_word(const char *part, size_t size, size_t i)
{
    if (i == 0 || !is_upper(part[i]))
        return false;
    return is_lower(part[i - 1]) || is_digit(part[i - 1]) ||
           (is_upper(part[i - 1]) && i + 1 < size && is_lower(part[i + 1]));
}

bool tq_appname_of_worker(const char *worker, char *out, size_t room)
{
    const char *end = strstr(worker, "::");
    if (!end || end == worker)
        return (size_t)snprintf(out, room, "worker") < room;
    size_t size = (size_t)(end - worker), n = 0;
    for (size_t i = 0; i < size; i++) {
        if (n + 2 >= room)
            return false;
        if (begins_word(worker, size, i))
            out[n++] = '_';
        out[n++] = word_char(worker[i]);
    }
    out[n] = '\0';
    return true;
}
