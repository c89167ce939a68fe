/* A JSON object as the dictionary of inputs that calls take. */
#ifndef TQ_CLI_DICT_H
#define TQ_CLI_DICT_H

#include <jansson.h>

#include <tresque/value.h>

/* Owner:   strings belong to the object, lists and objects are text of ours. */
struct tq_dict {
    struct trq_dict dict;
    struct trq_kv *kv;
    char **texts; /* as many as dict.count; NULL where a value needs none */
};

/* NULL is the empty object. False: out of memory, and there is nothing to end. */
bool tq_dict_init(struct tq_dict *out, const json_t *object) TRQ_MUST_USE;
void tq_dict_fini(struct tq_dict *dict);

#endif
