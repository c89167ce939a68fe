#include "cli/outcome.h"

#include "cli/capture.h"

static void print_result(struct tq_buffer *text, const struct trq_event *event)
{
    const struct tq_capture *capture = tq_capture_of(event->id);
    tq_buffer_print(text, ",\"output\":");
    if (capture)
        tq_buffer_add_string(text, capture->output.data, capture->output.size);
    else if (event->outcome == TRQ_WAS_DONE)
        tq_buffer_add_string(text, (const char *)event->result, event->result_size);
    else
        tq_buffer_print(text, "\"\"");
    const long long waited = event->waited.ns;
    const long long ran = event->ran.ns;
    tq_buffer_print(text, ",\"wait_us\":%lld.%03lld,\"run_us\":%lld.%03lld", waited / 1000,
                    waited % 1000, ran / 1000, ran % 1000);
    if (capture && capture->cut > 0)
        tq_buffer_print(text, ",\"output_cut\":%llu", (unsigned long long)capture->cut);
}

void tq_outcome_ended(struct tq_output *output, const struct trq_event *event,
                      const struct trq_error *error)
{
    struct tq_buffer text = {0};
    tq_buffer_print(&text, "{\"id\":\"%llx-%llx\",\"worker\":", (unsigned long long)event->id.birth,
                    (unsigned long long)event->id.slot);
    tq_buffer_add_string(&text, event->worker, strlen(event->worker));
    tq_buffer_print(&text, ",\"queue\":");
    tq_buffer_add_string(&text, event->queue, strlen(event->queue));
    tq_buffer_print(&text, ",\"outcome\":\"%s\",\"attempts\":%u,\"error\":",
                    trq_outcome_name(event->outcome), (unsigned)event->attempts);
    if (error)
        tq_buffer_add_string(&text, error->text, strlen(error->text));
    else
        tq_buffer_print(&text, "null");
    print_result(&text, event);
    tq_buffer_print(&text, "}\n");
    if (text.failed)
        tq_output_lost(output);
    else
        tq_output_add(output, text.data, text.size);
    tq_buffer_fini(&text);
}
