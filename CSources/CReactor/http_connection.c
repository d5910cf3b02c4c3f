/* Requests: from bytes to on_request.
 *
 * A request that arrives whole is handed over from the loop's read buffer, without a copy. One that
 * does not is kept in the connection's inbox, head and decoded body side by side, and its head is
 * parsed once more when it is whole: cheaper than keeping 100 fields for each slow peer. */
#include <stdlib.h>

#include "memory_bound.h"
#include "outbox.h"

bool ps_http_may_read(ps_loop *loop, const ps_connection *connection) {
    if (connection->flags & PS_FLAG_LAST) {
        return false;
    }
    uint32_t unanswered = connection->next_sequence - connection->answer_sequence;
    uint32_t held = unanswered > 1 && connection->rare ? connection->rare->http.ring_bytes : 0;
    uint32_t waiting = ps_outbox_waiting(connection) + held;
    return unanswered < loop->settings.pipeline_count && waiting < loop->settings.outbox_bytes
        && ps_memory_may_read(loop, waiting);
}

static size_t ring_capacity(const ps_loop *loop) {
    return loop->settings.pipeline_count * sizeof(struct ps_early_answer);
}

void ps_http_free_ring(ps_loop *loop, struct ps_rare *rare) {
    struct ps_early_answer *ring = rare->http.ring;
    if (!ring) {
        return;
    }
    ps_memory_give(loop, ring_capacity(loop) + rare->http.ring_bytes);
    for (uint32_t i = 0; rare->http.ring_bytes > 0 && i < loop->settings.pipeline_count; i++) {
        rare->http.ring_bytes -= ring[i].bytes ? ring[i].count : 0;
        free(ring[i].bytes);
    }
    free(ring);
    rare->http.ring = NULL;
}

/* Remembers how request `next_sequence` is to be answered. */
static bool push_request(ps_loop *loop, ps_connection *connection, uint16_t traits) {
    if (connection->next_sequence == connection->answer_sequence) {
        connection->flags = (uint16_t)((connection->flags & ~PS_ANSWER_TRAITS) | traits);
    } else {
        struct ps_rare *rare = ps_rare_get(loop, connection);
        if (rare && !rare->http.ring) {
            rare->http.ring = calloc(loop->settings.pipeline_count, sizeof *rare->http.ring);
            ps_memory_hold(loop, rare->http.ring ? ring_capacity(loop) : 0);
        }
        if (!rare || !rare->http.ring) {
            ps_connection_doom(loop, connection);
            return false;
        }
        uint32_t index = connection->next_sequence % loop->settings.pipeline_count;
        rare->http.ring[index] = (struct ps_early_answer){.traits = traits};
    }
    connection->next_sequence++;
    return true;
}

static void forget_progress(ps_connection *connection) {
    if (connection->rare) {
        struct ps_http_progress *progress = &connection->rare->http;
        struct ps_early_answer *ring = progress->ring;
        uint32_t ring_bytes = progress->ring_bytes;
        *progress = (struct ps_http_progress){.ring = ring, .ring_bytes = ring_bytes};
    }
}

/* 408 is counted by who knows which deadline has passed, 503 by who has no memory. */
static void count_refusal(ps_loop *loop, uint16_t status) {
    switch (status) {
    case 413:
        PS_COUNT_LIMIT(loop, PS_LIMIT_BODY);
        break;
    case 414:
        PS_COUNT_LIMIT(loop, PS_LIMIT_REQUEST_LINE);
        break;
    case 431:
        PS_COUNT_LIMIT(
            loop, loop->head.field_count >= loop->settings.http.field_count ? PS_LIMIT_FIELDS
                                                                            : PS_LIMIT_HEAD);
        break;
    default:
        break;
    }
    PS_COUNT(loop, malformed_requests, status != 408 && status != 503);
}

void ps_http_refuse(ps_loop *loop, ps_connection *connection, uint16_t status) {
    uint32_t sequence = connection->next_sequence;
    forget_progress(connection);
    ps_deadline_clear(connection);
    connection->flags |= PS_FLAG_LAST;
    if (push_request(loop, connection, PS_FLAG_ANSWER_CLOSE)) {
        count_refusal(loop, status);
        loop->callbacks.on_refused(
            loop->context, ps_connection_id_of(connection), sequence, status);
    }
}

static void deliver(
    ps_loop *loop, ps_connection *connection, const uint8_t *body, size_t body_bytes) {
    const ps_http_head *head = &loop->head;
    bool is_ops = connection->flags & PS_FLAG_OPS;
    bool closes = !head->keep_alive || (loop->draining && !is_ops);
    uint16_t traits = closes ? PS_FLAG_ANSWER_CLOSE : 0;
    traits |= head->method == PS_HTTP_HEAD ? PS_FLAG_ANSWER_HEAD : 0;
    traits |= head->minor_version_is_0 ? PS_FLAG_ANSWER_1_0 : 0;

    ps_request request = {
        .head = head,
        .body = {body, body_bytes},
        .sequence = connection->next_sequence,
        .listener_kind = is_ops ? PS_LISTENER_OPS : PS_LISTENER_PUBLIC,
        .peer_port = connection->peer_port,
        .received_unix_ms = loop->unix_ms,
    };
    __builtin_memcpy(request.peer_address, connection->peer_address, 16);

    forget_progress(connection);
    ps_deadline_clear(connection);
    connection->flags |= closes ? PS_FLAG_LAST : 0;
    if (!push_request(loop, connection, traits)) {
        return;
    }
    PS_COUNT(loop, requests, is_ops ? 0 : 1);
    loop->requester = connection;
    loop->callbacks.on_request(loop->context, ps_connection_id_of(connection), &request);
    loop->requester = NULL;
}

/* Keeps what is known of a request that is not whole. Returns 0: nothing was taken. */
static size_t keep(
    ps_loop *loop, ps_connection *connection, const struct ps_http_progress *progress) {
    struct ps_rare *rare = ps_rare_get(loop, connection);
    if (!rare) {
        ps_connection_doom(loop, connection);
        return 0;
    }
    rare->http = *progress;
    bool in_body = progress->head_bytes > 0;
    ps_deadline_class kind = in_body ? PS_DEADLINE_BODY : PS_DEADLINE_HEAD;
    if (connection->deadline_class != kind) {
        ps_deadline_set(
            loop, connection, kind,
            in_body ? loop->settings.body_timeout_ms : loop->settings.header_timeout_ms);
    }
    return 0;
}

static void offer_to_continue(
    ps_loop *loop, ps_connection *connection, struct ps_http_progress *progress) {
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (ps_http_unanswered(connection) > 0) {
        progress->wants_continue = true; /* an interim answer, too, waits for its turn */
    } else {
        ps_outbox_append(loop, connection, text, sizeof text - 1);
    }
}

/* Returns the request's size; 0 where the body is not whole; SIZE_MAX where it is refused, with
 * `*status`. */
static size_t measure_body(
    ps_loop *loop, struct ps_http_progress *progress, uint8_t *bytes, size_t *count,
    uint16_t *status) {
    if (!progress->chunked) {
        size_t whole = progress->head_bytes + progress->body_bytes;
        return *count < whole ? 0 : whole;
    }
    size_t before = progress->head_bytes + progress->body_bytes;
    size_t raw = *count - before;
    size_t decoded = 0;
    int answer = ps_http_chunks_decode(&progress->chunks, bytes + before, &raw, &decoded);
    progress->body_bytes += decoded;
    if (answer == PS_MALFORMED || progress->body_bytes > loop->settings.body_bytes) {
        *status = answer == PS_MALFORMED ? 400 : 413;
        return SIZE_MAX;
    }
    if (answer == PS_PARTIAL) {
        *count = before + decoded; /* all was read, the data moved to the front */
        return 0;
    }
    return before + raw;
}

size_t ps_http_take(ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t *count) {
    if (connection->flags & PS_FLAG_LAST) {
        return *count; /* after the last request nothing is looked at */
    }
    if (!ps_http_may_read(loop, connection)) {
        return 0;
    }
    struct ps_http_progress progress =
        connection->rare ? connection->rare->http : (struct ps_http_progress){0};
    ps_http_head *head = &loop->head;
    bool head_is_parsed = false;
    if (progress.head_bytes == 0) {
        int answer =
            ps_http_parse_head(head, bytes, *count, progress.scanned, &loop->settings.http);
        if (answer == PS_PARTIAL) {
            progress.scanned = (uint32_t)*count;
            return keep(loop, connection, &progress);
        }
        bool too_large = answer == PS_DONE && head->content_length > loop->settings.body_bytes;
        if (answer == PS_MALFORMED || too_large) {
            ps_http_refuse(loop, connection, too_large ? 413 : head->status);
            return *count;
        }
        head_is_parsed = true;
        progress.scanned = 0;
        progress.head_bytes = head->head_bytes;
        progress.chunked = head->chunked;
        progress.body_bytes = head->chunked ? 0 : head->content_length;
    }
    uint16_t status = 0;
    size_t whole = measure_body(loop, &progress, bytes, count, &status);
    if (whole == SIZE_MAX) {
        ps_http_refuse(loop, connection, status);
        return *count;
    }
    if (whole == 0) {
        uint64_t announced = progress.head_bytes + progress.body_bytes;
        if (head_is_parsed && !ps_memory_takes_input(loop, connection, announced, announced)) {
            ps_memory_count_shed(loop, PS_SHED_REQUESTS); /* before its body is sent */
            ps_http_refuse(loop, connection, 503);
            return *count;
        }
        if (head_is_parsed && head->expects_continue && !head->minor_version_is_0) {
            offer_to_continue(loop, connection, &progress);
        }
        return keep(loop, connection, &progress);
    }
    if (!head_is_parsed) {
        int again = ps_http_parse_head(head, bytes, progress.head_bytes, 0, &loop->settings.http);
        assert(again == PS_DONE);
        (void)again;
    }
    deliver(loop, connection, bytes + progress.head_bytes, progress.body_bytes);
    return whole;
}
