/* Codes, errors, ids, times, strings, dictionaries: the values that every call is made of. */
#ifndef TRESQUE_VALUE_H
#define TRESQUE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#include <initializer_list>
extern "C" {
#endif

#if defined __GNUC__
#define TRQ_API __attribute__((visibility("default")))
#define TRQ_PRINTF(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define TRQ_MUST_USE __attribute__((warn_unused_result))
#define TRQ_UNUSED __attribute__((unused))
#define TRQ_INLINE static inline __attribute__((unused))
#else
#define TRQ_API
#define TRQ_PRINTF(format_at, first_at)
#define TRQ_MUST_USE
#define TRQ_UNUSED
#define TRQ_INLINE static inline
#endif

/* ---- codes ------------------------------------------------------------------------------------ */

/* X(name, number, sentence). Each negative code asks another action of the caller. */
#define TRQ_CODES(X)                                                                               \
    X(TRQ_OK, 0, "it happened")                                                                    \
    X(TRQ_DUPLICATE, 1, "a job with that queue lock waits already: nothing was queued")            \
    X(TRQ_REPLACED, 2, "queued; the job that waited with that queue lock has ended as replaced")   \
    X(TRQ_GONE, 3, "the job has ended already, or is past that: nothing to do")                    \
    X(TRQ_DEBOUNCED, 4, "a job with that queue lock is scheduled: it is due later now")            \
    X(TRQ_ASKED, 5, "the job runs: it has been asked to stop")                                     \
    X(TRQ_EINPUT, -1, "an input is missing, of the wrong type or too big: mend the call")          \
    X(TRQ_EUNKNOWN, -2, "no such worker, queue or time zone: mend the name or the registration")   \
    X(TRQ_EFULL, -3, "the engine or the channel is full: shed load, or try again later")           \
    X(TRQ_ETIMEOUT, -4, "the time that you gave is over")                                          \
    X(TRQ_ESTOPPED, -5, "the engine is stopping, has stopped, or belongs to another process")      \
    X(TRQ_ENOMEM, -6, "out of memory, threads or file descriptors")                                \
    X(TRQ_ECONFLICT, -8, "the name is registered with another meaning")                            \
    X(TRQ_EINVAL, -9, "a call that can never be right: mend the program")

enum trq_code {
#define TRQ_CODE_ENUM_(name, number, sentence) name = number,
    TRQ_CODES(TRQ_CODE_ENUM_)
#undef TRQ_CODE_ENUM_
};

/* "TRQ_EFULL" and its sentence; "TRQ_?" for a number that is no code. Static; wait-free. */
TRQ_API const char *trq_code_name(int code);
TRQ_API const char *trq_code_text(int code);

/* The sentence that belongs to one error: which worker, which input, what was expected.
 * Owner:  the caller's. A call that takes one fills it when it fails and leaves it alone otherwise.
 * Shape:  text is always terminated; what is too long is cut. */
struct trq_error {
    int code;
    char text[252];
};

/* ---- ids -------------------------------------------------------------------------------------- */

/* A job's name for all time: never another job, also after a restart. {0, 0} is no job. */
struct trq_job_id {
    uint64_t slot;
    uint64_t birth;
};
TRQ_INLINE bool trq_job_id_equal(struct trq_job_id a, struct trq_job_id b)
{
    return a.slot == b.slot && a.birth == b.birth;
}

/* ---- times: a point on the wall cannot be given for a span -------------------------------------- */

struct trq_wall { /* ns since 1970-01-01 UTC */
    int64_t ns;
};
struct trq_span { /* ns */
    int64_t ns;
};

TRQ_INLINE struct trq_span trq_ns(int64_t n)
{
    struct trq_span s;
    s.ns = n;
    return s;
}
/* n units; what is more than 292 years is trq_forever(), or as long ago. */
TRQ_INLINE struct trq_span trq_units_(int64_t n, int64_t unit_ns)
{
    if (n > INT64_MAX / unit_ns)
        return trq_ns(INT64_MAX);
    if (n < INT64_MIN / unit_ns)
        return trq_ns(INT64_MIN);
    return trq_ns(n * unit_ns);
}
TRQ_INLINE struct trq_span trq_us(int64_t n) { return trq_units_(n, 1000); }
TRQ_INLINE struct trq_span trq_ms(int64_t n) { return trq_units_(n, 1000000); }
TRQ_INLINE struct trq_span trq_seconds(int64_t n) { return trq_units_(n, 1000000000); }
TRQ_INLINE struct trq_span trq_minutes(int64_t n) { return trq_units_(n, INT64_C(60000000000)); }
TRQ_INLINE struct trq_span trq_hours(int64_t n) { return trq_units_(n, INT64_C(3600000000000)); }
/* As long as it takes: some 292 years. */
TRQ_INLINE struct trq_span trq_forever(void) { return trq_ns(INT64_MAX); }
/* Seconds since 1970, as time() has them. */
TRQ_INLINE struct trq_wall trq_wall_seconds(int64_t n)
{
    struct trq_wall w;
    w.ns = trq_seconds(n).ns;
    return w;
}
/* So much later; at the end of all times it stays there. */
TRQ_INLINE struct trq_wall trq_wall_add(struct trq_wall w, struct trq_span s)
{
    if (s.ns > 0 && w.ns > INT64_MAX - s.ns)
        w.ns = INT64_MAX;
    else if (s.ns < 0 && w.ns < INT64_MIN - s.ns)
        w.ns = INT64_MIN;
    else
        w.ns += s.ns;
    return w;
}

/* ---- strings ---------------------------------------------------------------------------------- */

/* UTF-8, not terminated. data NULL is *absent*; data not NULL with size 0 is the empty string. */
struct trq_str {
    const char *data;
    size_t size;
};
/* printf("%.*s", TRQ_STR_ARG(s)) */
#define TRQ_STR_ARG(s) (int)(s).size, (s).data
/* NULL gives absent. */
TRQ_INLINE struct trq_str trq_str_of(const char *terminated)
{
    struct trq_str s;
    s.data = terminated;
    s.size = terminated ? strlen(terminated) : 0;
    return s;
}

/* ---- dictionaries ----------------------------------------------------------------------------- */

enum trq_type {
    TRQ_NULL,
    TRQ_BOOL,
    TRQ_I64,
    TRQ_F64,
    TRQ_STR,
    TRQ_JSON /* the text of any JSON value: lists and nested dictionaries */
};

struct trq_value {
    enum trq_type type;
    union {
        bool b;
        int64_t i;
        double f;
        struct trq_str s; /* TRQ_STR and TRQ_JSON */
    } u;
};
struct trq_kv {
    struct trq_str key;
    struct trq_value value;
};
struct trq_dict { /* in no order; a key at most once */
    const struct trq_kv *kv;
    size_t count;
};

TRQ_INLINE struct trq_kv trq_kv_key_(const char *key, size_t size, enum trq_type type)
{
    struct trq_kv r;
    memset(&r, 0, sizeof r);
    r.key.data = key;
    r.key.size = size;
    r.value.type = type;
    return r;
}
TRQ_INLINE struct trq_kv trq_kv_bool(const char *key, size_t size, bool v)
{
    struct trq_kv r = trq_kv_key_(key, size, TRQ_BOOL);
    r.value.u.b = v;
    return r;
}
TRQ_INLINE struct trq_kv trq_kv_i64(const char *key, size_t size, int64_t v)
{
    struct trq_kv r = trq_kv_key_(key, size, TRQ_I64);
    r.value.u.i = v;
    return r;
}
TRQ_INLINE struct trq_kv trq_kv_f64(const char *key, size_t size, double v)
{
    struct trq_kv r = trq_kv_key_(key, size, TRQ_F64);
    r.value.u.f = v;
    return r;
}
TRQ_INLINE struct trq_kv trq_kv_str(const char *key, size_t size, struct trq_str v)
{
    struct trq_kv r = trq_kv_key_(key, size, TRQ_STR);
    r.value.u.s = v;
    return r;
}
TRQ_INLINE struct trq_kv trq_kv_cstr(const char *key, size_t size, const char *v)
{
    return trq_kv_str(key, size, trq_str_of(v));
}
/* Any other value, for instance {TRQ_JSON, text}. */
TRQ_INLINE struct trq_kv trq_kv_value(const char *key, size_t size, struct trq_value v)
{
    struct trq_kv r = trq_kv_key_(key, size, v.type);
    r.value = v;
    return r;
}
TRQ_INLINE struct trq_value trq_json(const char *text)
{
    struct trq_value v;
    memset(&v, 0, sizeof v);
    v.type = TRQ_JSON;
    v.u.s = trq_str_of(text);
    return v;
}
TRQ_INLINE struct trq_value trq_null(void)
{
    struct trq_value v;
    memset(&v, 0, sizeof v);
    v.type = TRQ_NULL;
    return v;
}

#ifdef __cplusplus
} /* extern "C" */
#endif

/* TRQ_DICT(TRQ_KV("name", "bob"), TRQ_KV("count", 5)): on the stack; lives to the end of the block (C) or of
 * the full expression (C++). A key is a literal. A value picks its type when compiled; what is no input type
 * (a pointer, an unsigned 64-bit number) does not compile.
 * In C, `true` is an int: say TRQ_TRUE. (A declared bool input takes 0 and 1, too.) */
#define TRQ_KEY_(key) "" key "", sizeof(key) - 1
#define TRQ_TRUE ((bool)1)
#define TRQ_FALSE ((bool)0)

#ifndef __cplusplus
#define TRQ_KV(key, v)                                                                             \
    _Generic((v),                                                                                  \
        bool: trq_kv_bool,                                                                         \
        signed char: trq_kv_i64,                                                                   \
        unsigned char: trq_kv_i64,                                                                 \
        short: trq_kv_i64,                                                                         \
        unsigned short: trq_kv_i64,                                                                \
        int: trq_kv_i64,                                                                           \
        unsigned: trq_kv_i64,                                                                      \
        long: trq_kv_i64,                                                                          \
        long long: trq_kv_i64,                                                                     \
        float: trq_kv_f64,                                                                         \
        double: trq_kv_f64,                                                                        \
        char *: trq_kv_cstr,                                                                       \
        const char *: trq_kv_cstr,                                                                 \
        struct trq_str: trq_kv_str,                                                                \
        struct trq_value: trq_kv_value)(TRQ_KEY_(key), v)
#define TRQ_DICT(...)                                                                              \
    ((struct trq_dict){(const struct trq_kv[]){__VA_ARGS__},                                       \
                       sizeof((const struct trq_kv[]){__VA_ARGS__}) / sizeof(struct trq_kv)})
#define TRQ_DICT_NONE ((struct trq_dict){NULL, 0})
#else
inline trq_kv trq_kv_of(const char *k, size_t n, bool v) { return trq_kv_bool(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, int v) { return trq_kv_i64(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, unsigned v) { return trq_kv_i64(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, long v) { return trq_kv_i64(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, long long v) { return trq_kv_i64(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, double v) { return trq_kv_f64(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, const char *v) { return trq_kv_cstr(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, trq_str v) { return trq_kv_str(k, n, v); }
inline trq_kv trq_kv_of(const char *k, size_t n, trq_value v) { return trq_kv_value(k, n, v); }
trq_kv trq_kv_of(const char *, size_t, const void *) = delete; /* no pointers as inputs */
inline trq_dict trq_dict_of(std::initializer_list<trq_kv> l) { return {l.begin(), l.size()}; }
#define TRQ_KV(key, v) trq_kv_of(TRQ_KEY_(key), v)
#define TRQ_DICT(...) trq_dict_of({__VA_ARGS__})
#define TRQ_DICT_NONE trq_dict_of({})
#endif

#endif
