#include "engine/core/note.h"

#include "engine/core/channel.h"
#include "engine/core/engine.h"

static inline uint64_t note_word(uint64_t old, enum tq_note_state state)
{
    return (old >> 32) << 32 | (uint64_t)state;
}

struct tq_note *tq_note_at(const struct trq_engine *engine, uint32_t plus_one)
{
    return tq_slab_at(&engine->notes, plus_one - 1);
}

static void free_note(struct trq_engine *engine, struct tq_local *local, uint32_t plus_one)
{
    struct tq_note *note = tq_note_at(engine, plus_one);
    uint64_t generation = (tq_load(&note->word, relaxed) >> 32) + 1;
    tq_store(&note->word, generation << 32 | TQ_NOTE_FREE, release);
    tq_slab_free(&engine->notes, &local->notes, plus_one - 1);
}

int tq_note_take(struct trq_engine *engine, struct tq_local *local, const struct trq_opts *opts,
                 uint32_t *out_note)
{
    if (opts->channel && !tq_channel_take_room(opts->channel))
        return TRQ_EFULL;
    uint32_t index;
    enum tq_slab_result r = tq_slab_alloc(&engine->notes, &local->notes, &index);
    if (r != TQ_SLAB_OK) {
        if (opts->channel)
            tq_channel_give_room(opts->channel, local);
        return r == TQ_SLAB_FULL ? TRQ_EFULL : TRQ_ENOMEM;
    }
    struct tq_note *note = tq_note_at(engine, index + 1);
    tq_store(&note->channel, opts->channel, relaxed);
    note->on_end = opts->on_end;
    note->event = (struct trq_event){.tag = opts->tag};
    *out_note = index + 1;
    return 0;
}

void tq_note_arm(struct trq_engine *engine, uint32_t plus_one, struct trq_job_id id)
{
    struct tq_note *note = tq_note_at(engine, plus_one);
    note->event.id = id;
    tq_store(&note->slot, id.slot, relaxed);
    tq_store(&note->word, note_word(tq_load(&note->word, relaxed), TQ_NOTE_ARMED), release);
}

void tq_note_drop(struct trq_engine *engine, struct tq_local *local, uint32_t plus_one)
{
    struct trq_channel *channel = tq_load(&tq_note_at(engine, plus_one)->channel, relaxed);
    free_note(engine, local, plus_one);
    if (channel)
        tq_channel_give_room(channel, local);
}

void tq_note_send(struct trq_engine *engine, struct tq_local *local, uint32_t plus_one,
                  const struct trq_event *event, const struct trq_error *error)
{
    struct tq_note *note = tq_note_at(engine, plus_one);
    uint64_t word = tq_load(&note->word, acquire);
    if ((word & UINT32_MAX) != TQ_NOTE_ARMED ||
        !tq_cas(&note->word, &word, note_word(word, TQ_NOTE_SENT), acq_rel, acquire)) {
        tq_note_drop(engine, local, plus_one); /* forgotten */
        return;
    }
    void *tag = note->event.tag;
    note->event = *event;
    note->event.tag = tag;
    if (note->on_end) {
        bool nested = local->in_callback;
        local->in_callback = true;
        note->on_end(engine->config.host, &note->event, error);
        local->in_callback = nested;
    }
    if (tq_load(&note->channel, relaxed))
        tq_channel_push(engine, local, plus_one);
    else
        free_note(engine, local, plus_one);
}

bool tq_note_forget(struct trq_engine *engine, uint32_t plus_one, uint64_t slot,
                    const struct trq_channel *channel)
{
    struct tq_note *note = tq_note_at(engine, plus_one);
    uint64_t word = tq_load(&note->word, acquire);
    /* Slot and channel are those of the note's present life if the word has not changed when the CAS succeeds. */
    return (word & UINT32_MAX) == TQ_NOTE_ARMED && tq_load(&note->slot, relaxed) == slot &&
           tq_load(&note->channel, relaxed) == channel &&
           tq_cas(&note->word, &word, note_word(word, TQ_NOTE_FORGOTTEN), acq_rel, acquire);
}
