/* channels: where an event loop learns of ends.
 *
 * What.    A stack of sent notes, pushed by whoever ends a job and taken whole by the one who drains, who turns it
 *          round: so a thread that is preempted in a push holds nobody up, and no cell has to be waited for. Room is
 *          a count that is taken at enqueue and given back when the event is delivered (or forgotten), so a push
 *          always has its note.
 * Ordering O1: push: CAS of head, release; drain: exchange, acquire: the note's event is visible.
 *          The fd: who pushes onto an empty stack writes it; who drains reads it first and takes the stack then, so
 *          a push that he does not take finds the stack empty and writes again.
 * Life.    refs counts the owner and every note that names the channel; the last one frees it.
 * Progress: push lock-free, and one system call a burst; drain wait-free but for the calls.
 */
#ifndef TQ_CORE_CHANNEL_H
#define TQ_CORE_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>

#include <tresque/channel.h>

struct trq_engine;
struct tq_local;

struct trq_engine *tq_channel_engine(const struct trq_channel *channel);

/* For one note, and a reference with it. False: full. */
bool tq_channel_take_room(struct trq_channel *channel);
void tq_channel_give_room(struct trq_channel *channel, const struct tq_local *local);
/* A note that was sent: to its channel. */
void tq_channel_push(struct trq_engine *engine, struct tq_local *local, uint32_t note);

/* At the end of an engine, when nobody else is there. */
void tq_channels_destroy(struct trq_engine *engine);

#endif
