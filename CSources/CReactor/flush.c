/* Sending what waits: own bytes, frames that many share, and what topics owe, in one write. */
#include <errno.h>
#include <sys/socket.h>

#include "fanout.h"
#include "outbox.h"
#include "tls.h"

enum {
    IOV_COUNT = 64, /* segments in one write */
    DUE_COUNT = 64, /* frames of topics in one write */
};

void ps_connection_block(ps_loop *loop, ps_connection *connection) {
    if (!(connection->flags & PS_FLAG_BLOCKED)) {
        connection->flags |= PS_FLAG_BLOCKED;
        PS_COUNT(loop, sends_blocked, 1);
        PS_COUNT(loop, blocked_connections, 1);
    }
    if (!ps_outbox_note_stall(loop, connection)) {
        return;
    }
    ps_connection_mark(loop, connection);
    ps_deadline_arm(loop, connection);
    ps_connection_watch(loop, connection);
}

/* Describes what waits, as far as `iov` reaches. Returns the number of iovecs. */
static size_t gather(const ps_outbox *outbox, struct iovec *iov) {
    size_t count = 0;
    uint8_t *own = outbox->bytes + outbox->start;
    for (uint32_t i = outbox->first; i < outbox->last && count < IOV_COUNT; i++) {
        const struct ps_segment *segment = &outbox->segments[i];
        uint8_t *start = segment->frame ? segment->frame->bytes + segment->offset : own;
        own += segment->frame ? 0 : segment->count;
        iov[count++] = (struct iovec){.iov_base = start, .iov_len = segment->count};
    }
    return count;
}

/* Forgets the first `count` bytes. */
static void consume(ps_outbox *outbox, size_t count) {
    outbox->waiting -= (uint32_t)count;
    outbox->paced += (uint32_t)count;
    while (count > 0) {
        struct ps_segment *segment = &outbox->segments[outbox->first];
        uint32_t taken = count < segment->count ? (uint32_t)count : segment->count;
        if (segment->frame) {
            segment->offset += taken;
        } else {
            outbox->start += taken;
        }
        segment->count -= taken;
        count -= taken;
        if (segment->count == 0) {
            if (segment->frame) {
                ps_frame_release(segment->frame);
            }
            outbox->first++;
        }
    }
    if (outbox->waiting == 0) {
        outbox->start = outbox->end = outbox->first = outbox->last = 0;
    }
}

ssize_t ps_connection_send(
    ps_loop *loop, ps_connection *connection, struct iovec *iov, size_t iov_count) {
    for (;;) {
        ssize_t taken;
        if (iov_count == 1) {
            taken = send(
                ps_connection_fd(connection), iov->iov_base, iov->iov_len,
                MSG_NOSIGNAL | MSG_DONTWAIT);
        } else {
            struct msghdr message = {.msg_iov = iov, .msg_iovlen = iov_count};
            taken = sendmsg(ps_connection_fd(connection), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        }
        PS_COUNT(loop, sends, 1);
        if (taken >= 0) {
            PS_COUNT(loop, bytes_sent, (uint64_t)taken);
            return taken;
        }
        if (errno == EINTR) {
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS) {
            ps_connection_block(loop, connection);
        } else {
            ps_connection_doom(loop, connection);
        }
        return -1;
    }
}

void ps_connection_flush(ps_loop *loop, ps_connection *connection) {
    if (connection->state >= PS_STATE_LINGERING || connection->flags & PS_FLAG_BLOCKED) {
        return;
    }
    bool is_tls = connection->flags & PS_FLAG_TLS;
    if (is_tls && !ps_tls_flush(loop, connection)) {
        return;
    }
    if (connection->kind == PS_KIND_WEBSOCKET) {
        ps_ws_release_pong(loop, connection);
    }
    for (;;) {
        struct iovec iov[IOV_COUNT + DUE_COUNT];
        struct ps_due due[DUE_COUNT];
        ps_outbox *outbox = connection->outbox;
        size_t iov_count = outbox ? gather(outbox, iov) : 0;
        size_t due_count = 0;
        bool more = false;
        bool gathered_all = !outbox || outbox->last - outbox->first == iov_count;
        if (gathered_all && connection->subscription_count > 0) {
            due_count = ps_fanout_due(connection, due, DUE_COUNT, &more);
            for (size_t i = 0; i < due_count; i++) {
                iov[iov_count + i] = (struct iovec){
                    .iov_base = due[i].frame->bytes, .iov_len = due[i].frame->count};
            }
        }
        size_t offered = 0;
        for (size_t i = 0; i < iov_count + due_count; i++) {
            offered += iov[i].iov_len;
        }
        if (offered == 0) {
            break;
        }
        ssize_t taken = is_tls
            ? ps_tls_write(loop, connection, iov, iov_count + due_count)
            : ps_connection_send(loop, connection, iov, iov_count + due_count);
        if (taken < 0) {
            return;
        }
        size_t rest = (size_t)taken;
        if (outbox) {
            size_t own = rest < outbox->waiting ? rest : outbox->waiting;
            consume(outbox, own);
            rest -= own;
        }
        ps_fanout_taken(loop, connection, due, due_count, rest);
        if (connection->kind == PS_KIND_STREAM) {
            ps_stream_notice_room(loop, connection);
        }
        if (connection->state >= PS_STATE_LINGERING) {
            return;
        }
        bool took_all = (size_t)taken == offered;
        if (!took_all && !is_tls) { /* TLS takes a record at a time, and blocks for itself */
            ps_connection_block(loop, connection);
        }
        if (connection->flags & PS_FLAG_BLOCKED) {
            return;
        }
        if (took_all && gathered_all && !more) {
            break;
        }
    }
    if (connection->outbox) {
        ps_outbox_release(loop, connection);
        ps_connection_mark(loop, connection);
    }
    ps_connection_drained(loop, connection);
}

void ps_outbox_flush_dirty(ps_loop *loop) {
    /* What a flush leaves behind is blocked. It makes nothing dirty, but where TLS cuts a frame of a
     * topic in two: then the next turn looks here once more, and finds nothing. */
    uint32_t next = loop->dirty.first;
    loop->dirty = (struct ps_slot_list){0};
    while (next != 0) {
        ps_connection *connection = ps_slot_at(loop, next - 1);
        next = connection->dirty_next;
        connection->dirty_next = 0;
        connection->flags &= (uint16_t)~PS_FLAG_DIRTY;
        if (connection->outbox) {
            ps_connection_flush(loop, connection);
        }
    }
}
