/* Answers: in the order of requests, whatever the order of respond. */
#include <stdlib.h>
#include <string.h>

#include "memory_bound.h"
#include "outbox.h"

static const char *reason_of(uint16_t status) {
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 426: return "Upgrade Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return ""; /* RFC 9112 §4: may be empty */
    }
}

static uint8_t *put(uint8_t *out, const void *bytes, size_t count) {
    if (count > 0) {
        memcpy(out, bytes, count);
    }
    return out + count;
}

static uint8_t *put_text(uint8_t *out, const char *text) {
    return put(out, text, strlen(text));
}

static uint8_t *put_number(uint8_t *out, uint64_t number) {
    uint8_t digits[20];
    size_t count = 0;
    do {
        digits[sizeof digits - ++count] = (uint8_t)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return put(out, digits + sizeof digits - count, count);
}

size_t ps_http_head_bytes_max(const ps_response *response) {
    enum { OUR_LINES = 256 }; /* status line, Date, framing, Connection: 176 at most */
    return OUR_LINES + response->fields.count;
}

static bool has_body(uint16_t status) {
    return status != 204 && status != 304 && status >= 200;
}

size_t ps_http_write_head(
    ps_loop *loop, uint8_t *out, const ps_response *response, enum ps_body_kind body,
    uint16_t traits, bool closes) {
    uint8_t *end = put_text(out, "HTTP/1.1 ");
    end = put_number(end, response->status);
    end = put_text(end, " ");
    end = put_text(end, reason_of(response->status));
    end = put_text(end, "\r\n");
    end = put_text(end, ps_loop_date(loop));
    end = put(end, response->fields.start, response->fields.count);
    if (body == PS_BODY_CHUNKED) {
        end = put_text(end, "Transfer-Encoding: chunked\r\n");
    } else if (body == PS_BODY_SIZED && has_body(response->status)) {
        end = put_text(end, "Content-Length: ");
        end = put_number(end, response->body.count);
        end = put_text(end, "\r\n");
    }
    if (closes) {
        end = put_text(end, "Connection: close\r\n");
    } else if (traits & PS_FLAG_ANSWER_1_0) {
        end = put_text(end, "Connection: keep-alive\r\n");
    }
    end = put_text(end, "\r\n");
    return (size_t)(end - out);
}

static size_t answer_bytes_max(const ps_response *response, uint16_t traits) {
    bool has = has_body(response->status) && !(traits & PS_FLAG_ANSWER_HEAD);
    return ps_http_head_bytes_max(response) + (has ? response->body.count : 0);
}

/* Writes a whole answer; `out` has room for answer_bytes_max. */
static size_t write_answer(
    ps_loop *loop, uint8_t *out, const ps_response *response, uint16_t traits, bool closes) {
    size_t count = ps_http_write_head(loop, out, response, PS_BODY_SIZED, traits, closes);
    if (has_body(response->status) && !(traits & PS_FLAG_ANSWER_HEAD)) {
        count = (size_t)(put(out + count, response->body.start, response->body.count) - out);
    }
    return count;
}

void ps_http_count_response(ps_loop *loop, const ps_connection *connection, uint16_t status) {
    assert(status >= 100 && status < 600);
    if (!(connection->flags & PS_FLAG_OPS)) {
        PS_COUNT(loop, responses[status / 100], 1);
    }
}

static int respond_early(
    ps_loop *loop, ps_connection *connection, struct ps_early_answer *early,
    const ps_response *response, bool closes) {
    early->bytes = malloc(answer_bytes_max(response, early->traits));
    if (!early->bytes) {
        ps_connection_doom(loop, connection);
        return PS_GONE;
    }
    early->count =
        (uint32_t)write_answer(loop, early->bytes, response, early->traits, closes);
    early->closes = closes;
    connection->rare->http.ring_bytes += early->count;
    ps_memory_hold(loop, early->count);
    return PS_OK;
}

/* Where all memory is taken, answers do not pile up for somebody who takes none. */
static bool lets_go(ps_loop *loop, ps_connection *connection) {
    if (!ps_memory_is_full(loop) || connection->flags & PS_FLAG_OPS) {
        return false;
    }
    uint32_t early = ps_http_unanswered(connection) > 1 ? connection->rare->http.ring_bytes : 0;
    if (early < PS_LEAN_OUTBOX_BYTES && ps_outbox_has_room(loop, connection)) {
        return connection->state >= PS_STATE_DOOMED; /* found dead by sending */
    }
    ps_memory_let_go(loop, connection);
    return true;
}

/* Whether there is no memory for it. Pages and files are large, and may be asked for again; what says
 * that something was made (201) may not. */
static bool is_too_large(
    const ps_loop *loop, const ps_connection *connection, const ps_response *response,
    uint16_t traits) {
    return response->status == 200 && answer_bytes_max(response, traits) > PS_LEAN_OUTBOX_BYTES
        && ps_memory_is_full(loop) && !(connection->flags & PS_FLAG_OPS);
}

static int refuse_answer(ps_loop *loop, ps_connection *connection) {
    ps_bytes busy = loop->settings.overload_response;
    ps_memory_count_shed(loop, PS_SHED_REQUESTS);
    ps_http_count_response(loop, connection, 503);
    if (!ps_outbox_append(loop, connection, busy.start, busy.count)) {
        return PS_GONE;
    }
    ps_http_advance(loop, connection, true);
    return PS_OK;
}

int ps_connection_respond(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, const ps_response *response) {
    ps_connection *connection = ps_connection_find(loop, id);
    if (!connection) {
        return PS_GONE;
    }
    uint32_t place = sequence - connection->answer_sequence;
    if (connection->kind != PS_KIND_HTTP || place >= ps_http_unanswered(connection)) {
        return PS_WRONG_STATE;
    }
    struct ps_early_answer *early = place > 0
        ? &connection->rare->http.ring[sequence % loop->settings.pipeline_count] : NULL;
    if (early && early->bytes) {
        return PS_WRONG_STATE;
    }
    if (lets_go(loop, connection)) {
        return PS_GONE;
    }
    uint16_t traits = early ? early->traits : connection->flags & PS_ANSWER_TRAITS;
    if (is_too_large(loop, connection, response, traits)) {
        if (!early) {
            return refuse_answer(loop, connection);
        }
        ps_memory_let_go(loop, connection);
        return PS_GONE;
    }
    ps_http_count_response(loop, connection, response->status);
    bool is_newest = sequence + 1 == connection->next_sequence;
    bool drains = loop->draining && !(connection->flags & PS_FLAG_OPS) && is_newest;
    bool closes = response->close || drains || traits & PS_FLAG_ANSWER_CLOSE;
    if (early) {
        connection->flags |= closes ? PS_FLAG_LAST : 0; /* RFC 9112 §9.6 */
        return respond_early(loop, connection, early, response, closes);
    }
    size_t room = answer_bytes_max(response, traits);
    uint8_t *out = ps_outbox_extend(loop, connection, room);
    if (!out) {
        return PS_GONE;
    }
    size_t count = write_answer(loop, out, response, traits, closes);
    ps_outbox_shorten(connection, room - count);
    ps_http_advance(loop, connection, closes);
    /* Large answers of a turn would pile up until its end, and none of them fits into a write with
     * others. */
    if (ps_outbox_waiting(connection) >= PS_LEAN_OUTBOX_BYTES) {
        ps_connection_flush(loop, connection);
    }
    return PS_OK;
}

/* Nothing is unanswered any more. */
static void rest(ps_loop *loop, ps_connection *connection) {
    if (connection->deadline_class == PS_DEADLINE_NONE) { /* else the next request has begun */
        ps_deadline_set(loop, connection, PS_DEADLINE_IDLE, loop->settings.idle_timeout_ms);
    }
    if (!connection->rare) {
        return;
    }
    struct ps_http_progress *progress = &connection->rare->http;
    ps_http_free_ring(loop, connection->rare);
    if (progress->wants_continue) {
        progress->wants_continue = false;
        static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
        ps_outbox_append(loop, connection, text, sizeof text - 1);
    }
}

void ps_http_advance(ps_loop *loop, ps_connection *connection, bool closes) {
    for (;;) {
        connection->answer_sequence++;
        if (closes) {
            ps_connection_finish(loop, connection);
            return;
        }
        if (connection->answer_sequence == connection->next_sequence) {
            rest(loop, connection);
            break;
        }
        struct ps_http_progress *progress = &connection->rare->http;
        struct ps_early_answer *early =
            &progress->ring[connection->answer_sequence % loop->settings.pipeline_count];
        connection->flags = (uint16_t)((connection->flags & ~PS_ANSWER_TRAITS) | early->traits);
        if (!early->bytes) {
            break;
        }
        bool appended = ps_outbox_append(loop, connection, early->bytes, early->count);
        progress->ring_bytes -= early->count;
        ps_memory_give(loop, early->count);
        closes = early->closes;
        free(early->bytes);
        early->bytes = NULL;
        if (!appended) {
            return;
        }
    }
    if (connection->rare || !(connection->flags & PS_FLAG_WATCHES_READ)) {
        ps_connection_add_todo(loop, connection, PS_TODO_RESUME);
    }
}
