/* notes: what only jobs need whose end is told to somebody.
 *
 * Shape.   A note belongs to one job from enqueue to its end, then to the channel until it is drained.
 *
 *              word:  generation 32 | FREE, ARMED, SENT or FORGOTTEN
 *
 *          ARMED -> SENT by who ends the job, ARMED -> FORGOTTEN by trq_channel_forget: one CAS decides which of
 *          the two it was, and the generation makes a late forget fail.
 */
#ifndef TQ_CORE_NOTE_H
#define TQ_CORE_NOTE_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/channel.h>
#include <tresque/enqueue.h>

#include "engine/base/atomic.h"
#include "engine/sync/line.h"

struct trq_engine;
struct tq_local;
struct tq_job;

enum tq_note_state { TQ_NOTE_FREE, TQ_NOTE_ARMED, TQ_NOTE_SENT, TQ_NOTE_FORGOTTEN };

struct tq_note {
    TQ_ON_LINE tq_a64 word;
    tq_a64 slot;   /* of the job's id, for forget */
    uint32_t next; /* in the channel: index + 1 */
    tq_aptr
        channel; /* struct trq_channel; forget reads it in a note that may be another job's by then */
    void (*on_end)(void *host, const struct trq_event *event, const struct trq_error *error);
    struct trq_event event; /* the tag from the beginning, the rest at the end */
};

/* A note for a job as opts ask; its room in the channel is taken. 0, TRQ_EFULL or TRQ_ENOMEM. */
int tq_note_take(struct trq_engine *engine, struct tq_local *local, const struct trq_opts *opts,
                 uint32_t *out_note);
/* Before the job is published. */
void tq_note_arm(struct trq_engine *engine, uint32_t note, struct trq_job_id id);
/* Nobody is to be told: the job never was, or the event has been delivered or forgotten. Its room goes back. */
void tq_note_drop(struct trq_engine *engine, struct tq_local *local, uint32_t note);
/* trq_channel_forget, for the job of that slot. False: it was sent already, or is another job's. */
bool tq_note_forget(struct trq_engine *engine, uint32_t note, uint64_t slot,
                    const struct trq_channel *channel);
/* The job has ended: tell. */
void tq_note_send(struct trq_engine *engine, struct tq_local *local, uint32_t note,
                  const struct trq_event *event, const struct trq_error *error);

struct tq_note *tq_note_at(const struct trq_engine *engine, uint32_t plus_one);

#endif
