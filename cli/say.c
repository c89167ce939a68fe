#include "cli/say.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#define CLEAR_LINE "\r\033[K"

enum { TEXT_MAX = 4096, BAR_MAX = 256 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static char bar[BAR_MAX]; /* what is shown now */

/* An error has nowhere to be told. */
static void put(const char *data, size_t size)
{
    while (size > 0) {
        const ssize_t n = write(STDERR_FILENO, data, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        data += n;
        size -= (size_t)n;
    }
}

static void tame(char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
}

void tq_say(const char *format, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    size_t size = (size_t)n < sizeof text - 1 ? (size_t)n : sizeof text - 2;
    tame(text, size);
    text[size++] = '\n';

    /* One write for all of it, so that lines stay whole even when several processes share the file. */
    char whole[sizeof CLEAR_LINE + TEXT_MAX + BAR_MAX];
    pthread_mutex_lock(&mutex);
    n = snprintf(whole, sizeof whole, "%s%.*s%s", bar[0] ? CLEAR_LINE : "", (int)size, text, bar);
    put(whole, (size_t)n);
    pthread_mutex_unlock(&mutex);
}

void tq_say_bar(const char *text)
{
    char whole[sizeof CLEAR_LINE + BAR_MAX];
    pthread_mutex_lock(&mutex);
    if (bar[0] || text[0]) {
        snprintf(bar, sizeof bar, "%s", text);
        const int n = snprintf(whole, sizeof whole, CLEAR_LINE "%s", bar);
        put(whole, (size_t)n);
    }
    pthread_mutex_unlock(&mutex);
}
