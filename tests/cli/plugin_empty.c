/* A shared object that is no plugin. */
#include <tresque.h>

const char *plugin_version(void);
const char *plugin_version(void)
{
    return trq_version();
}
