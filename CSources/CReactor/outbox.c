#include "outbox.h"

#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "memory_bound.h"

enum {
    SPARE_COUNT = 64,          /* outboxes kept for the next turn */
    SPARE_BYTES = 16 << 10,    /* of a buffer that is kept with them */
    BYTES_MIN = 512,
    SEGMENTS_MIN = 4,
    PACE_BYTES_PER_S = 1024,   /* of who reads at all */
};

static ps_outbox *outbox_of(ps_loop *loop, ps_connection *connection) {
    if (connection->outbox) {
        return connection->outbox;
    }
    ps_outbox *outbox = loop->spare_outboxes;
    if (outbox) {
        loop->spare_outboxes = outbox->next_spare;
        loop->spare_outbox_count--;
    } else {
        outbox = calloc(1, sizeof *outbox);
        if (!outbox) {
            ps_connection_doom(loop, connection);
            return NULL;
        }
        ps_memory_hold(loop, sizeof *outbox);
    }
    outbox->progress = outbox->held = loop->wheel.now;
    outbox->is_paced = false;
    connection->outbox = outbox;
    ps_connection_mark(loop, connection);
    return outbox;
}

static void free_bytes(ps_loop *loop, ps_outbox *outbox) {
    ps_memory_give(loop, outbox->capacity);
    free(outbox->bytes);
    outbox->bytes = NULL;
    outbox->capacity = 0;
}

static void outbox_free(ps_loop *loop, ps_outbox *outbox) {
    free_bytes(loop, outbox);
    ps_memory_give(
        loop, sizeof *outbox + outbox->segment_capacity * sizeof *outbox->segments);
    free(outbox->segments);
    free(outbox);
}

void ps_outbox_destroy_spares(ps_loop *loop) {
    while (loop->spare_outboxes) {
        ps_outbox *outbox = loop->spare_outboxes;
        loop->spare_outboxes = outbox->next_spare;
        outbox_free(loop, outbox);
    }
    loop->spare_outbox_count = 0;
}

void ps_outbox_release(ps_loop *loop, ps_connection *connection) {
    ps_outbox *outbox = connection->outbox;
    if (!outbox) {
        return;
    }
    connection->outbox = NULL;
    for (uint32_t i = outbox->first; i < outbox->last; i++) {
        if (outbox->segments[i].frame) {
            ps_frame_release(outbox->segments[i].frame);
        }
    }
    if (loop->spare_outbox_count == SPARE_COUNT || ps_memory_is_short(loop)) {
        outbox_free(loop, outbox);
        return;
    }
    if (outbox->capacity > SPARE_BYTES) {
        free_bytes(loop, outbox);
    }
    outbox->start = outbox->end = outbox->first = outbox->last = outbox->waiting = 0;
    outbox->next_spare = loop->spare_outboxes;
    loop->spare_outboxes = outbox;
    loop->spare_outbox_count++;
}

/* Room for one more segment at the end. */
static bool reserve_segment(ps_loop *loop, ps_outbox *outbox) {
    if (outbox->last < outbox->segment_capacity) {
        return true;
    }
    if (outbox->first > outbox->segment_capacity / 2) {
        uint32_t count = outbox->last - outbox->first;
        memmove(
            outbox->segments, outbox->segments + outbox->first, count * sizeof *outbox->segments);
        outbox->first = 0;
        outbox->last = count;
        return true;
    }
    uint32_t capacity = outbox->segment_capacity ? outbox->segment_capacity * 2 : SEGMENTS_MIN;
    struct ps_segment *segments = realloc(outbox->segments, capacity * sizeof *segments);
    if (!segments) {
        return false;
    }
    ps_memory_hold(loop, (capacity - outbox->segment_capacity) * sizeof *segments);
    outbox->segments = segments;
    outbox->segment_capacity = capacity;
    return true;
}

static bool reserve_bytes(ps_loop *loop, ps_outbox *outbox, size_t count) {
    if (count <= outbox->capacity - outbox->end) {
        return true;
    }
    uint32_t unsent = outbox->end - outbox->start;
    if (count > UINT32_MAX / 4 || unsent > UINT32_MAX / 4) {
        return false; /* far beyond every limit */
    }
    if (outbox->start > 0) {
        memmove(outbox->bytes, outbox->bytes + outbox->start, unsent);
        outbox->start = 0;
        outbox->end = unsent;
    }
    if (count <= outbox->capacity - unsent) {
        return true;
    }
    uint32_t capacity = outbox->capacity ? outbox->capacity : BYTES_MIN;
    while (capacity - unsent < count) {
        capacity *= 2;
    }
    uint8_t *bytes = realloc(outbox->bytes, capacity);
    if (!bytes) {
        return false;
    }
    ps_memory_hold(loop, capacity - outbox->capacity);
    outbox->bytes = bytes;
    outbox->capacity = capacity;
    return true;
}

static void make_dirty(ps_loop *loop, ps_connection *connection) {
    if (connection->flags & (PS_FLAG_DIRTY | PS_FLAG_BLOCKED)) {
        return; /* on the list, or sent when writable */
    }
    connection->flags |= PS_FLAG_DIRTY;
    ps_slot_list_append(loop, &loop->dirty, connection, offsetof(ps_connection, dirty_next));
}

/* What the kernel holds that the peer has not acknowledged: it may be megabytes, and the kernel says only
 * when a third of them is gone that it takes more. */
static uint32_t queued_bytes(const ps_connection *connection) {
    int count = 0;
    return ioctl(ps_connection_fd(connection), SIOCOUTQ, &count) == 0 ? (uint32_t)count : 0;
}

static void begin_pace(const ps_loop *loop, const ps_connection *connection) {
    ps_outbox *outbox = connection->outbox;
    outbox->is_paced = true;
    outbox->pace = loop->wheel.now;
    outbox->paced = 0;
    outbox->queued = queued_bytes(connection);
}

static int64_t expected_bytes(const ps_loop *loop) {
    return 2LL * loop->settings.ping_period_ms * PACE_BYTES_PER_S / 1000;
}

bool ps_outbox_keeps_pace(const ps_loop *loop, const ps_connection *connection) {
    const ps_outbox *outbox = connection->outbox;
    int64_t taken = (int64_t)outbox->paced + outbox->queued - queued_bytes(connection);
    if (taken < expected_bytes(loop)) {
        return false;
    }
    begin_pace(loop, connection);
    return true;
}

/* A peer is to take much at a pace, from when there is much. */
static void grow(const ps_loop *loop, const ps_connection *connection, size_t count) {
    ps_outbox *outbox = connection->outbox;
    uint32_t before = outbox->waiting;
    outbox->waiting += (uint32_t)count;
    if (before < PS_LEAN_OUTBOX_BYTES && outbox->waiting >= PS_LEAN_OUTBOX_BYTES) {
        outbox->held = loop->wheel.now;
        if (outbox->is_paced) {
            begin_pace(loop, connection);
        }
    }
}

uint8_t *ps_outbox_extend(ps_loop *loop, ps_connection *connection, size_t count) {
    ps_outbox *outbox = outbox_of(loop, connection);
    if (!outbox) {
        return NULL;
    }
    if (!reserve_bytes(loop, outbox, count) || !reserve_segment(loop, outbox)) {
        ps_connection_doom(loop, connection);
        return NULL;
    }
    struct ps_segment *last =
        outbox->last > outbox->first ? &outbox->segments[outbox->last - 1] : NULL;
    if (!last || last->frame) {
        last = &outbox->segments[outbox->last++];
        *last = (struct ps_segment){0};
    }
    uint8_t *room = outbox->bytes + outbox->end;
    last->count += (uint32_t)count;
    outbox->end += (uint32_t)count;
    grow(loop, connection, count);
    make_dirty(loop, connection);
    return room;
}

void ps_outbox_shorten(ps_connection *connection, size_t count) {
    ps_outbox *outbox = connection->outbox;
    assert(outbox->segments[outbox->last - 1].count >= count);
    outbox->segments[outbox->last - 1].count -= (uint32_t)count;
    outbox->end -= (uint32_t)count;
    outbox->waiting -= (uint32_t)count;
}

bool ps_outbox_append(
    ps_loop *loop, ps_connection *connection, const void *bytes, size_t count) {
    if (count == 0) {
        return true;
    }
    uint8_t *room = ps_outbox_extend(loop, connection, count);
    if (!room) {
        return false;
    }
    memcpy(room, bytes, count);
    return true;
}

bool ps_outbox_append_frame(
    ps_loop *loop, ps_connection *connection, ps_frame *frame, uint32_t offset) {
    ps_outbox *outbox = outbox_of(loop, connection);
    if (!outbox) {
        return false;
    }
    if (!reserve_segment(loop, outbox)) {
        ps_connection_doom(loop, connection);
        return false;
    }
    ps_frame_retain(frame);
    outbox->segments[outbox->last++] = (struct ps_segment){
        .frame = frame, .offset = offset, .count = frame->count - offset};
    grow(loop, connection, frame->count - offset);
    make_dirty(loop, connection);
    return true;
}

bool ps_outbox_has_room(ps_loop *loop, ps_connection *connection) {
    uint32_t most = ps_memory_outbox_bytes(loop, connection);
    if (ps_outbox_waiting(connection) < most) {
        return true;
    }
    /* A burst within one turn is not the peer's fault: only what the kernel refuses counts. */
    if (!(connection->flags & PS_FLAG_BLOCKED)) {
        ps_connection_flush(loop, connection);
    }
    return ps_outbox_waiting(connection) < most;
}

bool ps_outbox_note_stall(ps_loop *loop, ps_connection *connection) {
    ps_outbox *outbox = outbox_of(loop, connection);
    if (!outbox) {
        return false;
    }
    outbox->progress = loop->wheel.now;
    if (!outbox->is_paced || outbox->paced >= expected_bytes(loop)) {
        begin_pace(loop, connection);
    }
    return true;
}
