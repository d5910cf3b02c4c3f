/* What the owner of a loop does to a connection of any kind. */
#include <string.h>
#include <sys/socket.h>

#include "memory_bound.h"
#include "outbox.h"

/* A stream or WebSocket with room for one more message; else what to return. */
static int prepare(ps_loop *loop, ps_connection_id id, ps_connection **out) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection->kind == PS_KIND_HTTP) {
        return PS_WRONG_STATE;
    }
    if (!ps_outbox_has_room(loop, connection)) {
        if (ps_outbox_waiting(connection) < loop->settings.outbox_bytes) {
            ps_memory_count_shed(loop, PS_SHED_READERS);
        } else {
            PS_COUNT_LIMIT(loop, PS_LIMIT_OUTBOX);
        }
        if (connection->kind == PS_KIND_WEBSOCKET) {
            ps_ws_begin_close(loop, connection, 1008, "not reading");
        } else {
            ps_connection_reset(loop, connection);
        }
        return PS_FULL;
    }
    if (connection->state != PS_STATE_OPEN) {
        return PS_GONE; /* sending what waited has found it dead */
    }
    *out = connection;
    return PS_OK;
}

static int send_message(
    ps_loop *loop, ps_connection_id id, uint8_t opcode, const uint8_t *bytes, size_t count) {
    ps_connection *connection;
    int result = prepare(loop, id, &connection);
    if (result != PS_OK) {
        return result;
    }
    if (connection->kind == PS_KIND_STREAM) {
        return ps_stream_append(loop, connection, bytes, count) ? PS_OK : PS_GONE;
    }
    ps_bytes payload = {bytes, count};
    bool compressed = connection->flags & PS_FLAG_DEFLATES
        && ps_frame_is_worth_deflating(loop, count)
        && ps_loop_deflate(loop, bytes, count, &payload);
    uint8_t header[PS_WS_SERVER_HEADER_BYTES_MAX];
    size_t header_count = ps_ws_write_header(header, opcode, compressed, payload.count);
    uint8_t *out = ps_outbox_extend(loop, connection, header_count + payload.count);
    if (!out) {
        return PS_GONE;
    }
    memcpy(out, header, header_count);
    if (payload.count > 0) {
        memcpy(out + header_count, payload.start, payload.count);
    }
    return PS_OK;
}

int ps_connection_send_text(
    ps_loop *loop, ps_connection_id id, const uint8_t *text, size_t count) {
    return send_message(loop, id, PS_WS_TEXT, text, count);
}

int ps_connection_send_binary(
    ps_loop *loop, ps_connection_id id, const uint8_t *bytes, size_t count) {
    return send_message(loop, id, PS_WS_BINARY, bytes, count);
}

int ps_connection_send_frame(ps_loop *loop, ps_connection_id id, ps_frame *frame) {
    ps_connection *connection;
    int result = prepare(loop, id, &connection);
    if (result != PS_OK) {
        return result;
    }
    if (connection->kind == PS_KIND_STREAM && !ps_stream_is_raw(connection)) {
        return PS_WRONG_STATE;
    }
    frame = ps_frame_form(frame, connection->flags & PS_FLAG_DEFLATES);
    return ps_outbox_append_frame(loop, connection, frame, 0) ? PS_OK : PS_GONE;
}

int ps_connection_close(ps_loop *loop, ps_connection_id id, uint16_t code, const char *reason) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    ps_connection_begin_close(loop, connection, code, reason);
    return PS_OK;
}

int ps_connection_kind_of(ps_loop *loop, ps_connection_id id) {
    const ps_connection *connection = ps_connection_find(loop, id);
    return connection ? connection->kind : PS_GONE;
}

int ps_connection_subscription_count(ps_loop *loop, ps_connection_id id) {
    const ps_connection *connection = ps_connection_find(loop, id);
    return connection ? connection->subscription_count : PS_GONE;
}

int64_t ps_connection_unsent(ps_loop *loop, ps_connection_id id, uint32_t enough) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (ps_outbox_waiting(connection) > enough && !(connection->flags & PS_FLAG_BLOCKED)) {
        ps_connection_flush(loop, connection);
    }
    return ps_outbox_waiting(connection);
}

int ps_connection_peer(ps_loop *loop, ps_connection_id id, uint8_t address[16]) {
    const ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    memcpy(address, connection->peer_address, 16);
    return PS_OK;
}

int ps_connection_set_peer(ps_loop *loop, ps_connection_id id, const uint8_t address[16]) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    memcpy(connection->peer_address, address, 16);
    return PS_OK;
}

void ps_connection_start_pings(ps_loop *loop, ps_connection *connection) {
    /* The first ping comes within a period, by slot, so that thousands who came together are not
     * pinged together; but not in its first quarter, when the peer has just been heard. */
    uint32_t period = (loop->settings.ping_period_ms >> PS_WHEEL_MS_BITS) + 1;
    uint32_t spread = period - period / 4;
    connection->heard = loop->wheel.now;
    connection->ping_due = loop->wheel.now + period - connection->slot % spread;
    connection->deadline_class = PS_DEADLINE_NONE;
    ps_deadline_arm(loop, connection);
}

void ps_connection_shrink_send_buffer(ps_loop *loop, const ps_connection *connection) {
    int bytes = (int)loop->settings.socket_send_buffer_bytes;
    if (bytes > 0) {
        /* A hint: with the system's own size, stale tallies would pile up in the kernel. */
        (void)setsockopt(
            ps_connection_fd(connection), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
}
