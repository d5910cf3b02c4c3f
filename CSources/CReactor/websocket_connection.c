/* WebSocket (RFC 6455): frames in, whole messages out; control frames are answered here. A frame
 * that arrives whole is unmasked and handed over in the read buffer, without a copy. */
#include <stdlib.h>
#include <string.h>

#include "memory_bound.h"
#include "outbox.h"

enum {
    PONG_BYTES = 4 << 10,      /* waiting bytes past which only the newest pong is kept */
    FRAME_BYTES_MAX = 1 << 30, /* whatever the limits say: sizes in an inbox are 32 bits */
};

/* What follows "Sec-WebSocket-Extensions: "; NULL where nothing is agreed on. Both sides forget each
 * message: a context takes 260 KB, and then each connection would need a stream of its own. */
static const char *agree_on_deflate(ps_loop *loop) {
    bool names_window = false;
    if (loop->settings.compress_above == UINT32_MAX
        || !ps_ws_offers_deflate(&loop->head, &names_window)) {
        return NULL;
    }
    loop->codec = loop->codec ? loop->codec : ps_deflate_create();
    return !loop->codec ? NULL
        : names_window
        ? "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
          "client_no_context_takeover; server_max_window_bits=9\r\n"
        : "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; "
          "client_no_context_takeover\r\n";
}

int ps_connection_upgrade(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, ps_bytes fields) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection != loop->requester || connection->kind != PS_KIND_HTTP
        || sequence != connection->answer_sequence
        || sequence + 1 != connection->next_sequence) {
        return PS_WRONG_STATE;
    }
    static const char text[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\n"
                               "Connection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: ";
    ps_bytes key = ps_http_find(&loop->head, "sec-websocket-key");
    assert(key.count == 24); /* ps_ws_check_handshake has seen it */
    char accept[PS_WS_ACCEPT_BYTES];
    ps_ws_accept_key(accept, key);
    if (connection->rare) {
        ps_http_free_ring(loop, connection->rare);
        memset(&connection->rare->ws, 0, sizeof connection->rare->ws);
    }
    connection->flags &= (uint16_t)~PS_FLAG_LAST;
    ps_connection_set_kind(loop, connection, PS_KIND_WEBSOCKET);
    ps_connection_start_pings(loop, connection);
    ps_connection_shrink_send_buffer(loop, connection);
    PS_COUNT(loop, handshakes, 1);
    ps_http_count_response(loop, connection, 101);
    const char *extensions = agree_on_deflate(loop);
    if (extensions) {
        connection->flags |= PS_FLAG_DEFLATES;
        PS_COUNT(loop, deflating_connections, 1);
    }
    bool appended = ps_outbox_append(loop, connection, text, sizeof text - 1)
        && ps_outbox_append(loop, connection, accept, sizeof accept)
        && ps_outbox_append(loop, connection, "\r\n", 2)
        && (!extensions
            || ps_outbox_append(loop, connection, extensions, strlen(extensions)))
        && ps_outbox_append(loop, connection, fields.start, fields.count)
        && ps_outbox_append(loop, connection, "\r\n", 2);
    return appended ? PS_OK : PS_GONE;
}

/* ---- Closing ---- */

static void append_close(
    ps_loop *loop, ps_connection *connection, uint16_t code, const char *reason) {
    uint8_t frame[PS_WS_SERVER_HEADER_BYTES_MAX + PS_WS_CONTROL_PAYLOAD_MAX];
    ps_outbox_append(loop, connection, frame, ps_ws_write_close(frame, code, reason));
}

void ps_ws_begin_close(
    ps_loop *loop, ps_connection *connection, uint16_t code, const char *reason) {
    if (connection->state != PS_STATE_OPEN) {
        return;
    }
    ps_topic_leave_all(loop, connection); /* nothing may follow a Close (RFC 6455 §5.5.1) */
    append_close(loop, connection, code, reason ? reason : "");
    if (connection->state == PS_STATE_OPEN) {
        ps_connection_set_state(loop, connection, PS_STATE_CLOSING);
        ps_deadline_set(
            loop, connection, PS_DEADLINE_CLOSE, loop->settings.close_timeout_ms);
    }
}

/* After a violation nothing of the peer's can be understood, not even its Close. */
static void violate(ps_loop *loop, ps_connection *connection, uint16_t code) {
    PS_COUNT(loop, protocol_closes, 1);
    if (code == 1008 || code == 1009) {
        PS_COUNT_LIMIT(loop, code == 1008 ? PS_LIMIT_FRAGMENTS : PS_LIMIT_MESSAGE);
    }
    if (connection->state == PS_STATE_OPEN) {
        append_close(loop, connection, code, "");
    }
    ps_connection_finish(loop, connection);
}

void ps_ws_refuse(ps_loop *loop, ps_connection *connection) {
    ps_memory_count_shed(loop, PS_SHED_MESSAGES);
    if (connection->state == PS_STATE_OPEN) {
        append_close(loop, connection, 1013, "out of memory, come back later");
    }
    ps_connection_finish(loop, connection);
}

static void take_close(
    ps_loop *loop, ps_connection *connection, const uint8_t *payload, size_t count) {
    uint16_t code = 1000;
    uint16_t violation = ps_ws_parse_close(&code, payload, count);
    if (violation != 0) {
        violate(loop, connection, violation);
        return;
    }
    if (connection->state == PS_STATE_OPEN) {
        append_close(loop, connection, code, "");
    }
    ps_connection_finish(loop, connection);
}

/* ---- Ping and pong ---- */

static void append_control(
    ps_loop *loop, ps_connection *connection, uint8_t opcode, const uint8_t *payload,
    size_t count) {
    uint8_t frame[PS_WS_SERVER_HEADER_BYTES_MAX + PS_WS_CONTROL_PAYLOAD_MAX];
    size_t header_bytes = ps_ws_write_header(frame, opcode, false, count);
    if (count > 0) {
        memcpy(frame + header_bytes, payload, count);
    }
    ps_outbox_append(loop, connection, frame, header_bytes + count);
}

void ps_ws_ping(ps_loop *loop, ps_connection *connection) {
    append_control(loop, connection, PS_WS_PING, NULL, 0);
}

/* A peer that pings faster than it reads gets the newest pong only (RFC 6455 §5.5.3). */
static void take_ping(
    ps_loop *loop, ps_connection *connection, const uint8_t *payload, size_t count) {
    if (connection->state != PS_STATE_OPEN) {
        return;
    }
    bool flows = !(connection->flags & PS_FLAG_BLOCKED);
    if (flows && ps_outbox_waiting(connection) < PONG_BYTES) {
        append_control(loop, connection, PS_WS_PONG, payload, count);
        return;
    }
    struct ps_rare *rare = ps_rare_get(loop, connection);
    if (rare) {
        memcpy(rare->ws.pong, payload, count);
        rare->ws.pong_count = (uint8_t)(count + 1);
    }
}

void ps_ws_release_pong(ps_loop *loop, ps_connection *connection) {
    struct ps_rare *rare = connection->rare;
    if (!rare || rare->ws.pong_count == 0 || connection->state != PS_STATE_OPEN) {
        return;
    }
    size_t count = rare->ws.pong_count - 1u;
    rare->ws.pong_count = 0;
    append_control(loop, connection, PS_WS_PONG, rare->ws.pong, count);
}

/* ---- Messages ---- */

static bool append_assembly(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    struct ps_rare *rare = connection->rare;
    size_t needed = rare->ws.assembly_count + count;
    if (needed > rare->ws.assembly_capacity) {
        size_t capacity = needed + needed / 2;
        size_t more = capacity - rare->ws.assembly_capacity;
        if (!ps_memory_takes_input(loop, connection, capacity, more)) {
            return false;
        }
        uint8_t *assembly = realloc(rare->ws.assembly, capacity);
        if (!assembly) {
            return false;
        }
        ps_memory_hold(loop, more);
        rare->ws.assembly = assembly;
        rare->ws.assembly_capacity = (uint32_t)capacity;
    }
    if (count > 0) {
        memcpy(rare->ws.assembly + rare->ws.assembly_count, bytes, count);
    }
    rare->ws.assembly_count += (uint32_t)count;
    return true;
}

/* Expands a compressed message. Returns 0, or the close code. */
static uint16_t inflate_message(ps_loop *loop, uint8_t opcode, ps_bytes *payload) {
    uint16_t violation = ps_inflate_message(
        loop->codec, payload->start, payload->count, (size_t)loop->settings.websocket.message_bytes,
        payload);
    if (violation == 0 && opcode == PS_WS_TEXT
        && !ps_utf8_valid(payload->start, payload->count)) {
        violation = 1007;
    }
    loop->work.inflated += payload->count;
    PS_COUNT(loop, messages_inflated, violation == 0);
    return violation;
}

/* Takes a whole message. Calls: on_message. */
static void deliver(
    ps_loop *loop, ps_connection *connection, const ps_ws_message *message, ps_bytes payload) {
    if (connection->state != PS_STATE_OPEN) {
        return; /* our Close is on its way: nobody listens */
    }
    if (connection->rare) {
        connection->rare->since = loop->wheel.now;
    }
    if (message->compressed) {
        uint16_t violation = inflate_message(loop, message->opcode, &payload);
        if (violation != 0) {
            violate(loop, connection, violation);
            return;
        }
    }
    PS_COUNT(loop, messages, 1);
    loop->callbacks.on_message(
        loop->context, ps_connection_id_of(connection), message->opcode, payload, loop->unix_ms);
}

/* A frame of a message in several, or the last of one. */
static void assemble(
    ps_loop *loop, ps_connection *connection, const ps_ws_message *message, bool complete,
    const uint8_t *bytes, size_t count) {
    struct ps_rare *rare = ps_rare_get(loop, connection);
    if (!rare || !append_assembly(loop, connection, bytes, count)) {
        ps_ws_refuse(loop, connection);
        return;
    }
    if (!complete) {
        rare->ws.message = *message;
        return;
    }
    uint8_t *assembly = rare->ws.assembly;
    size_t assembly_count = rare->ws.assembly_count;
    rare->ws.message = (ps_ws_message){0};
    ps_memory_give(loop, rare->ws.assembly_capacity); /* it goes with this call */
    rare->ws.assembly = NULL;
    rare->ws.assembly_count = rare->ws.assembly_capacity = 0;
    deliver(loop, connection, message, (ps_bytes){assembly, assembly_count});
    free(assembly);
}

/* Takes a data frame. Returns its size, 0 where it is not whole. */
static size_t take_data(
    ps_loop *loop, ps_connection *connection, const ps_ws_header *header, uint8_t *bytes,
    size_t count) {
    bool continues = connection->rare && connection->rare->ws.message.opcode != 0;
    ps_ws_message message = continues ? connection->rare->ws.message : (ps_ws_message){0};
    uint16_t violation =
        ps_ws_message_begin_frame(&message, header, &loop->settings.websocket);
    if (violation == 0 && header->payload_bytes > FRAME_BYTES_MAX) {
        violation = 1009;
    }
    if (violation != 0) {
        violate(loop, connection, violation);
        return count;
    }
    size_t whole = header->header_bytes + (size_t)header->payload_bytes;
    if (count < whole) {
        return 0; /* begun again when it is whole: `message` is a copy */
    }
    uint8_t *payload = bytes + header->header_bytes;
    size_t payload_bytes = (size_t)header->payload_bytes;
    bool complete = false;
    ps_ws_unmask(payload, payload_bytes, header->mask, 0);
    violation = ps_ws_message_feed(&message, payload, payload_bytes);
    if (violation == 0) {
        violation = ps_ws_message_end_frame(&message, header, &complete);
    }
    if (violation != 0) {
        violate(loop, connection, violation);
        return count;
    }
    if (complete && !continues) {
        deliver(loop, connection, &message, (ps_bytes){payload, payload_bytes});
    } else {
        assemble(loop, connection, &message, complete, payload, payload_bytes);
    }
    return whole;
}

size_t ps_ws_take(ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t count) {
    loop->work.frames++;
    ps_ws_header header;
    bool allows_compressed = connection->flags & PS_FLAG_DEFLATES;
    switch (ps_ws_parse_header(&header, bytes, count, allows_compressed)) {
    case PS_PARTIAL:
        return 0;
    case PS_MALFORMED:
        violate(loop, connection, 1002);
        return count;
    default:
        break;
    }
    if (header.opcode < PS_WS_CLOSE) {
        return take_data(loop, connection, &header, bytes, count);
    }
    size_t whole = header.header_bytes + (size_t)header.payload_bytes;
    if (count < whole) {
        return 0;
    }
    uint8_t *payload = bytes + header.header_bytes;
    ps_ws_unmask(payload, (size_t)header.payload_bytes, header.mask, 0);
    if (header.opcode == PS_WS_CLOSE) {
        take_close(loop, connection, payload, (size_t)header.payload_bytes);
        return count;
    }
    if (header.opcode == PS_WS_PING) {
        take_ping(loop, connection, payload, (size_t)header.payload_bytes);
    }
    return whole;
}
