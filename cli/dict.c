#include "cli/dict.h"

#include <stdlib.h>

/* False: out of memory. */
static bool take_value(const json_t *json, struct trq_value *out, char **out_text)
{
    switch (json_typeof(json)) {
    case JSON_NULL:
        out->type = TRQ_NULL;
        return true;
    case JSON_TRUE:
    case JSON_FALSE:
        out->type = TRQ_BOOL;
        out->u.b = json_is_true(json);
        return true;
    case JSON_INTEGER:
        out->type = TRQ_I64;
        out->u.i = json_integer_value(json);
        return true;
    case JSON_REAL:
        out->type = TRQ_F64;
        out->u.f = json_real_value(json);
        return true;
    case JSON_STRING:
        out->type = TRQ_STR;
        out->u.s = (struct trq_str){json_string_value(json), json_string_length(json)};
        return true;
    case JSON_OBJECT:
    case JSON_ARRAY:
    default:
        *out_text = json_dumps(json, JSON_COMPACT);
        out->type = TRQ_JSON;
        out->u.s = trq_str_of(*out_text);
        return *out_text != NULL;
    }
}

bool tq_dict_init(struct tq_dict *out, const json_t *object)
{
    const size_t count = json_object_size(object);
    struct tq_dict dict = {.kv = calloc(count + 1, sizeof *dict.kv),
                           .texts = calloc(count + 1, sizeof *dict.texts)};
    bool good = dict.kv && dict.texts;
    const char *key;
    size_t size;
    json_t *value;
    dict.dict.kv = dict.kv;
    if (good && object)
        json_object_keylen_foreach((json_t *)(uintptr_t)object, key, size, value)
        {
            const size_t i = dict.dict.count++;
            dict.kv[i].key = (struct trq_str){key, size};
            good = good && take_value(value, &dict.kv[i].value, &dict.texts[i]);
        }
    if (good)
        *out = dict;
    else
        tq_dict_fini(&dict);
    return good;
}

void tq_dict_fini(struct tq_dict *dict)
{
    for (size_t i = 0; i < dict->dict.count; i++)
        free(dict->texts[i]);
    free(dict->texts);
    free(dict->kv);
    memset(dict, 0, sizeof *dict);
}
