#include "cli/plugin.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "cli/say.h"

/* A name without a slash means a file here, not one somewhere on the library path. */
static void *open_object(const char *path)
{
    if (strchr(path, '/'))
        return dlopen(path, RTLD_NOW | RTLD_LOCAL);
    char *here = malloc(strlen(path) + sizeof "./");
    if (!here)
        return NULL;
    stpcpy(stpcpy(here, "./"), path);
    void *object = dlopen(here, RTLD_NOW | RTLD_LOCAL);
    free(here);
    return object;
}

bool tq_plugin_load(struct trq_engine *engine, const char *path)
{
    void *object = open_object(path);
    if (!object) {
        const char *why = dlerror();
        tq_say("tresque: cannot load %s: %s", path, why ? why : "out of memory");
        return false;
    }
    int (*init)(struct trq_engine *) = NULL;
    /* POSIX's way to get a function out of a void pointer. */
    *(void **)&init = dlsym(object, "trq_plugin_init");
    if (!init) {
        tq_say("tresque: %s has no function trq_plugin_init(struct trq_engine *)", path);
        return false;
    }
    const int rc = init(engine);
    if (rc < 0)
        tq_say("tresque: %s: trq_plugin_init returned %s: %s", path, trq_code_name(rc),
               trq_code_text(rc));
    return rc >= 0;
}
