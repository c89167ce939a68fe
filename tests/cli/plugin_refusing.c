/* A plugin that cannot start. */
#include <tresque.h>

int trq_plugin_init(struct trq_engine *engine);
int trq_plugin_init(struct trq_engine *engine)
{
    (void)engine;
    return TRQ_ECONFLICT;
}
