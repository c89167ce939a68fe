#include "engine/core/channel.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/core/engine.h"

#define CLOSED UINT32_MAX /* head of a channel that was destroyed */

struct trq_channel {
    TQ_ON_LINE tq_a32 head; /* note index + 1; 0: none; CLOSED */
    TQ_ON_LINE tq_a32 room;
    tq_a32 refs;
    TQ_ON_LINE struct trq_engine *engine;
    uint32_t first, last; /* the drainer's: taken, not yet delivered */
    int fd;
    struct trq_channel *next, *before; /* of the engine's channels, under `waiting` */
};

/* ---- room, references ----------------------------------------------------------------------------------- */

struct trq_engine *tq_channel_engine(const struct trq_channel *channel)
{
    return channel->engine;
}

bool tq_channel_take_room(struct trq_channel *channel)
{
    uint32_t room = tq_load(&channel->room, relaxed);
    while (room)
        if (tq_cas(&channel->room, &room, room - 1, acq_rel, relaxed)) {
            tq_add(&channel->refs, 1, relaxed);
            return true;
        }
    return false;
}

static void unref(struct trq_channel *channel)
{
    if (tq_sub(&channel->refs, 1, acq_rel) != 1)
        return;
    close(channel->fd); /* not before: a sender may be about to write it */
    tq_free(&channel->engine->memory, channel, sizeof *channel);
}

void tq_channel_give_room(struct trq_channel *channel, const struct tq_local *local)
{
    struct trq_engine *engine = channel->engine;
    tq_add(&channel->room, 1, acq_rel);
    unref(channel);
    if (!local->attempting)
        tq_bell_ring(&engine->room);
}

void tq_channel_push(struct trq_engine *engine, struct tq_local *local, uint32_t plus_one)
{
    struct tq_note *note = tq_note_at(engine, plus_one);
    struct trq_channel *channel = tq_load(&note->channel, relaxed);
    /* The drainer may deliver the note, and the owner destroy the channel, before we have written its fd. */
    tq_add(&channel->refs, 1, relaxed);
    uint32_t head = tq_load(&channel->head, relaxed);
    do {
        if (head == CLOSED) {
            tq_note_drop(engine, local, plus_one);
            unref(channel);
            return;
        }
        note->next = head;
    } while (!tq_cas(&channel->head, &head, plus_one, release, relaxed)); /* rel: O1 */
    if (head == 0)
        eventfd_write(channel->fd, 1);
    unref(channel);
}

int trq_channel_create(struct trq_engine *engine, uint32_t events_max, struct trq_channel **out)
{
    if (!engine || !out || events_max == 0 || events_max > 1u << 20)
        return TRQ_EINVAL;
    if (!tq_is_open(engine))
        return TRQ_ESTOPPED;
    struct trq_channel *c = tq_alloc(&engine->memory, sizeof *c, TQ_LINE);
    if (!c)
        return TRQ_ENOMEM;
    c->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->fd < 0) {
        tq_free(&engine->memory, c, sizeof *c);
        return TRQ_ENOMEM;
    }
    c->engine = engine;
    tq_store(&c->room, events_max, relaxed);
    tq_store(&c->refs, 1, relaxed);
    pthread_mutex_lock(&engine->waiting);
    c->next = engine->channels;
    if (c->next)
        c->next->before = c;
    engine->channels = c;
    pthread_mutex_unlock(&engine->waiting);
    *out = c;
    return TRQ_OK;
}

int trq_channel_fd(const struct trq_channel *channel)
{
    return channel ? channel->fd : TRQ_EINVAL;
}

/* All that was sent, behind what was taken before, the oldest first. */
static void take_sent(struct trq_channel *channel)
{
    uint32_t newest = tq_swap(&channel->head, 0, acquire); /* acq: O1 */
    if (!newest)
        return;
    uint32_t oldest = 0;
    for (uint32_t at = newest; at;) {
        struct tq_note *note = tq_note_at(channel->engine, at);
        uint32_t older = note->next;
        note->next = oldest; /* turned round: the one that was sent after it */
        oldest = at;
        at = older;
    }
    if (channel->first)
        tq_note_at(channel->engine, channel->last)->next = oldest;
    else
        channel->first = oldest;
    channel->last = newest;
}

int trq_channel_drain(struct trq_channel *channel, struct trq_event *out_events, int events_max)
{
    if (!channel || events_max < 0 || (events_max && !out_events))
        return TRQ_EINVAL;
    if (tq_is_forked(channel->engine))
        return TRQ_ESTOPPED;
    struct tq_local *local = tq_local_of(channel->engine);
    if (!local)
        return TRQ_ENOMEM;
    /* Emptied first: who sends after take_sent finds the stack empty and writes again. */
    eventfd_t unused;
    eventfd_read(channel->fd, &unused);
    take_sent(channel);
    int n = 0;
    for (; n < events_max && channel->first; n++) {
        uint32_t at = channel->first;
        struct tq_note *note = tq_note_at(channel->engine, at);
        channel->first = note->next;
        out_events[n] = note->event;
        tq_note_drop(channel->engine, local, at);
    }
    if (channel->first)
        eventfd_write(channel->fd, 1);
    return n;
}

int trq_channel_forget(struct trq_channel *channel, struct trq_job_id id)
{
    if (!channel)
        return TRQ_EINVAL;
    struct trq_engine *engine = channel->engine;
    if (tq_is_forked(engine))
        return TRQ_ESTOPPED;
    struct tq_job *job = tq_job_by_id(engine, id);
    if (!job)
        return TRQ_GONE;
    uint32_t plus_one = tq_job_note(engine, job);
    return plus_one && tq_note_forget(engine, plus_one, id.slot, channel) ? TRQ_OK : TRQ_GONE;
}

/* The owner lets go: what was sent and what is still to be sent concerns nobody any more. */
static void let_go(struct trq_channel *channel, struct tq_local *local)
{
    take_sent(channel);
    uint32_t late = tq_swap(&channel->head, CLOSED, acquire);
    while (late) {
        uint32_t next = tq_note_at(channel->engine, late)->next;
        tq_note_drop(channel->engine, local, late);
        late = next;
    }
    while (channel->first) {
        uint32_t at = channel->first;
        channel->first = tq_note_at(channel->engine, at)->next;
        tq_note_drop(channel->engine, local, at);
    }
}

void trq_channel_destroy(struct trq_channel *channel)
{
    if (!channel || tq_is_forked(channel->engine))
        return;
    struct trq_engine *engine = channel->engine;
    struct tq_local *local = tq_local_of(engine);
    if (!local)
        return; /* the engine's end frees it */
    pthread_mutex_lock(&engine->waiting);
    if (channel->before)
        channel->before->next = channel->next;
    else
        engine->channels = channel->next;
    if (channel->next)
        channel->next->before = channel->before;
    pthread_mutex_unlock(&engine->waiting);
    let_go(channel, local);
    unref(channel);
}

void tq_channels_destroy(struct trq_engine *engine)
{
    while (engine->channels) {
        struct trq_channel *channel = engine->channels;
        engine->channels = channel->next;
        close(channel->fd);
        tq_free(&engine->memory, channel, sizeof *channel);
    }
}
