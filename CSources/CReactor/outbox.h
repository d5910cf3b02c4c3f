/* The unsent bytes of one connection: copies of its own in one growable buffer, and references to
 * frames that many share, in the order in which they leave. */
#ifndef PS_OUTBOX_H
#define PS_OUTBOX_H

#include <sys/types.h>
#include <sys/uio.h>

#include "connection.h"

struct ps_frame {
    ps_loop *loop;
    ps_frame *deflated; /* the same, compressed; NULL where nobody takes it so, or it is no shorter */
    uint32_t references;
    uint32_t count;
    uint8_t bytes[];
};

/* The form in which a connection takes it. */
static inline ps_frame *ps_frame_form(ps_frame *frame, bool deflates) {
    return deflates && frame->deflated ? frame->deflated : frame;
}

/* Whether a message of this size is to leave compressed, where its connection takes it so. */
static inline bool ps_frame_is_worth_deflating(const ps_loop *loop, size_t count) {
    return count > loop->settings.compress_above;
}

struct ps_segment {
    ps_frame *frame; /* NULL: the outbox's own bytes, in order */
    uint32_t offset; /* of the frame's first unsent byte */
    uint32_t count;  /* unsent bytes */
};

struct ps_outbox {
    uint8_t *bytes; /* own bytes: [start, end) are unsent */
    struct ps_segment *segments; /* [first, last) are unsent */
    ps_outbox *next_spare;
    uint32_t start, end, capacity;
    uint32_t first, last, segment_capacity;
    uint32_t waiting;  /* unsent bytes, all in all */
    /* Steps of the wheel. */
    uint32_t progress; /* when the peer last took a byte */
    uint32_t held;     /* since when it has held PS_LEAN_OUTBOX_BYTES or more */
    uint32_t pace;     /* since when the peer's pace is measured */
    uint32_t paced;    /* bytes that the kernel took since */
    uint32_t queued;   /* bytes that it held then */
    bool is_paced;     /* it is measured: the kernel has once taken no more */
};

static inline uint32_t ps_outbox_waiting(const ps_connection *connection) {
    return connection->outbox ? connection->outbox->waiting : 0;
}

/* Room for `count` bytes at the end of what waits, to be filled before the next call. The outbox
 * leaves at the end of this turn. Returns NULL without memory; the connection is doomed then. */
uint8_t *ps_outbox_extend(ps_loop *loop, ps_connection *connection, size_t count);

/* Gives back what the last extend did not need. */
void ps_outbox_shorten(ps_connection *connection, size_t count);

bool ps_outbox_append(
    ps_loop *loop, ps_connection *connection, const void *bytes, size_t count);

/* Takes a reference of its own. */
bool ps_outbox_append_frame(
    ps_loop *loop, ps_connection *connection, ps_frame *frame, uint32_t offset);

/* Whether another answer may be added; sends what waits first, if that may help. */
bool ps_outbox_has_room(ps_loop *loop, ps_connection *connection);

/* Remembers since when the kernel takes no more. Returns false without memory; the connection is doomed
 * then. */
bool ps_outbox_note_stall(ps_loop *loop, ps_connection *connection);

/* Whether the peer has taken as much as it is expected to, of what waits in the kernel too; then its pace
 * is measured anew. */
bool ps_outbox_keeps_pace(const ps_loop *loop, const ps_connection *connection);

/* Forgets what waits. */
void ps_outbox_release(ps_loop *loop, ps_connection *connection);
void ps_outbox_destroy_spares(ps_loop *loop);

/* ---- flush.c ---- */

/* Sends what waits, and with it what the connection is owed by its topics, in as few writes as
 * there are iovecs for. Calls: nothing. */
void ps_connection_flush(ps_loop *loop, ps_connection *connection);

/* One write to the socket. Returns bytes taken; -1 where the connection is blocked or doomed by it. */
ssize_t ps_connection_send(
    ps_loop *loop, ps_connection *connection, struct iovec *iov, size_t iov_count);

/* The kernel takes no more: wait for writability. */
void ps_connection_block(ps_loop *loop, ps_connection *connection);

/* Sends all dirty outboxes: the end of a turn. */
void ps_outbox_flush_dirty(ps_loop *loop);

#endif
