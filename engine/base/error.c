#include "engine/base/error.h"

#include <stdio.h>
#include <string.h>

#include <tresque/version.h>

void tq_error_setv(struct trq_error *error, int code, const char *format, va_list args)
{
    if (!error)
        return;
    error->code = code;
    vsnprintf(error->text, sizeof error->text, format, args);
}

void tq_error_text(struct trq_error *error, int code, const char *text)
{
    size_t size = strnlen(text, sizeof error->text - 1);
    error->code = code;
    memcpy(error->text, text, size);
    error->text[size] = '\0';
}

void tq_error_set(struct trq_error *error, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    tq_error_setv(error, code, format, args);
    va_end(args);
}

const char *trq_code_name(int code)
{
    switch (code) {
#define NAME(name, number, sentence)                                                               \
    case number:                                                                                   \
        return #name;
        TRQ_CODES(NAME)
#undef NAME
    default:
        return "TRQ_?";
    }
}

const char *trq_code_text(int code)
{
    switch (code) {
#define TEXT(name, number, sentence)                                                               \
    case number:                                                                                   \
        return sentence;
        TRQ_CODES(TEXT)
#undef TEXT
    default:
        return "no such code";
    }
}

#define STRING_(x) #x
#define STRING(x) STRING_(x)

const char *trq_version(void)
{
    return STRING(TRQ_VERSION_MAJOR) "." STRING(TRQ_VERSION_MINOR) "." STRING(TRQ_VERSION_PATCH);
}
