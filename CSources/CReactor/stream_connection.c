/* Answers whose body follows piece by piece: exports, and Server-Sent Events as raw bytes that
 * topics serve. Requests that come meanwhile wait in the inbox until a chunked stream ends. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "outbox.h"

enum { CHUNK_LINE_BYTES = 16 + 2 }; /* a size in hex, CRLF */

static bool append_chunk(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    uint8_t line[CHUNK_LINE_BYTES];
    size_t digits = 0;
    for (size_t rest = count; rest > 0; rest >>= 4) {
        digits++;
    }
    for (size_t i = 0; i < digits; i++) {
        line[i] = (uint8_t)"0123456789abcdef"[count >> 4 * (digits - 1 - i) & 15];
    }
    memcpy(line + digits, "\r\n", 2);
    uint8_t *out = ps_outbox_extend(loop, connection, digits + 2 + count + 2);
    if (!out) {
        return false;
    }
    memcpy(out, line, digits + 2);
    memcpy(out + digits + 2, bytes, count);
    memcpy(out + digits + 2 + count, "\r\n", 2);
    return true;
}

bool ps_stream_append(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    if (count == 0 || connection->rare->stream.mute) {
        return true; /* an empty chunk would end the body */
    }
    return connection->rare->stream.chunked ? append_chunk(loop, connection, bytes, count)
                                            : ps_outbox_append(loop, connection, bytes, count);
}

int ps_connection_stream(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, const ps_response *response,
    ps_stream_framing framing, ps_bytes ping) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection->kind != PS_KIND_HTTP || sequence != connection->answer_sequence
        || sequence + 1 != connection->next_sequence
        || (connection->rare && connection->rare->http.head_bytes > 0)) {
        return PS_WRONG_STATE; /* a next body is decoded where it lies, and cannot be put off */
    }
    ps_deadline_clear(connection); /* of a next head, which waits like all that comes now */
    struct ps_rare *rare = ps_rare_get(loop, connection);
    if (!rare) {
        ps_connection_doom(loop, connection);
        return PS_GONE;
    }
    ps_http_count_response(loop, connection, response->status);
    uint16_t traits = connection->flags & PS_ANSWER_TRAITS;
    bool chunked = framing == PS_STREAM_CHUNKED && !(traits & PS_FLAG_ANSWER_1_0);
    bool closes = !chunked || response->close || traits & PS_FLAG_ANSWER_CLOSE;
    ps_http_free_ring(loop, rare);
    memset(&rare->stream, 0, sizeof rare->stream);
    rare->stream.ping = ping;
    rare->stream.next_sequence = connection->next_sequence;
    rare->stream.answer_sequence = connection->answer_sequence + 1; /* when it has ended */
    rare->stream.chunked = chunked;
    rare->stream.closes = closes;
    rare->stream.endless = framing == PS_STREAM_UNTIL_CLOSE;
    rare->stream.mute = traits & PS_FLAG_ANSWER_HEAD;
    ps_connection_set_kind(loop, connection, PS_KIND_STREAM);
    ps_connection_start_pings(loop, connection);

    if (framing == PS_STREAM_UNTIL_CLOSE) {
        ps_connection_shrink_send_buffer(loop, connection);
    }
    size_t room = ps_http_head_bytes_max(response);
    uint8_t *out = ps_outbox_extend(loop, connection, room);
    if (!out) {
        return PS_GONE;
    }
    size_t count = ps_http_write_head(
        loop, out, response, chunked ? PS_BODY_CHUNKED : PS_BODY_UNTIL_CLOSE, traits, closes);
    ps_outbox_shorten(connection, room - count);
    ps_stream_append(loop, connection, response->body.start, response->body.count);
    return PS_OK;
}

int ps_connection_stream_write(
    ps_loop *loop, ps_connection_id id, const uint8_t *bytes, size_t count) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection->kind != PS_KIND_STREAM) {
        return PS_WRONG_STATE;
    }
    if (ps_outbox_waiting(connection) / 2 >= loop->settings.outbox_bytes) {
        PS_COUNT_LIMIT(loop, PS_LIMIT_OUTBOX); /* the caller did not wait: the bound holds anyway */
        ps_connection_reset(loop, connection);
        return PS_GONE;
    }
    if (!ps_stream_append(loop, connection, bytes, count)) {
        return PS_GONE;
    }
    if (ps_outbox_has_room(loop, connection)) {
        return PS_OK;
    }
    connection->rare->stream.was_full = true;
    return PS_FULL;
}

int ps_connection_stream_end(ps_loop *loop, ps_connection_id id) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    if (connection->kind != PS_KIND_STREAM) {
        return PS_WRONG_STATE;
    }
    struct ps_rare *rare = connection->rare;
    if (rare->stream.chunked && !rare->stream.mute
        && !ps_outbox_append(loop, connection, "0\r\n\r\n", 5)) {
        return PS_GONE;
    }
    if (rare->stream.closes || (loop->draining && !(connection->flags & PS_FLAG_OPS))) {
        ps_connection_finish(loop, connection);
        return PS_OK;
    }
    ps_topic_leave_all(loop, connection);
    connection->next_sequence = rare->stream.next_sequence;
    connection->answer_sequence = rare->stream.answer_sequence;
    memset(&rare->stream, 0, sizeof rare->stream);
    ps_connection_set_kind(loop, connection, PS_KIND_HTTP);
    ps_deadline_set(loop, connection, PS_DEADLINE_IDLE, loop->settings.idle_timeout_ms);
    ps_connection_add_todo(loop, connection, PS_TODO_RESUME);
    return PS_OK;
}

void ps_stream_notice_room(ps_loop *loop, ps_connection *connection) {
    if (connection->rare->stream.was_full
        && ps_outbox_waiting(connection) < loop->settings.outbox_bytes / 2) {
        ps_connection_add_todo(loop, connection, PS_TODO_WRITABLE);
    }
}

void ps_stream_ping(ps_loop *loop, ps_connection *connection) {
    ps_bytes ping = connection->rare->stream.ping;
    ps_stream_append(loop, connection, ping.start, ping.count);
}
