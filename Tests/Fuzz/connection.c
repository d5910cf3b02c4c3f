/* A whole connection: its bytes go through the reactor's sockets, HTTP, WebSocket, compression, topics
 * and their end. However they are cut, the handler must hear the same; every connection must end, once,
 * and leave nothing behind.
 *
 * The first byte of an input chooses how: bits 0 and 1 the proxy mode, bits 2 to 4 the size of the
 * pieces, bit 5 whether the peer goes away or stays silent in the end, bit 6 whether memory is short:
 * then what is heard depends on how it is cut, and everything else holds. */
#include <creactor.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "driven_loop.h"
#include "fuzz.h"

enum { TURN_NS = 1000000, TICK_NS = 100000000, MESSAGE_BYTES = 2000, OUTBOX_BYTES = 16384, PIECES_MAX = 200,
       SHORT_BYTES = 6000 };

struct bench {
    ps_loop *loop;
    ps_budget *budget;
    ps_topic *topic;
    uint64_t now_ns;

    /* Of the one connection. */
    uint64_t heard;      /* what the handler heard, as a digest */
    uint32_t unanswered; /* requests */
    bool is_open;        /* a WebSocket or a stream, whose end is to be told */
    uint32_t closes;
    uint64_t answered;   /* bytes that came back */
};

static struct bench benches[2][3]; /* by whether memory is short, and proxy mode */

static void hear(struct bench *bench, uint64_t kind, const uint8_t *bytes, size_t count) {
    uint64_t parts[] = {bench->heard, kind, count, count > 0 ? digest(bytes, count) : 0};
    bench->heard = digest((const uint8_t *)parts, sizeof parts);
}

/* ---- What the reactor calls ---- */

static void on_request(void *context, ps_connection_id id, const ps_request *request) {
    struct bench *bench = context;
    const ps_http_head *head = request->head;
    hear(bench, 1, head->target.start, head->target.count);
    hear(bench, head->field_count, request->body.start, request->body.count);
    bench->unanswered++;
    int result;
    if (ps_ws_check_handshake(head) == 101
        && ps_connection_upgrade(bench->loop, id, request->sequence, (ps_bytes){0}) == PS_OK) {
        bench->is_open = true;
        bench->unanswered--;
        return;
    }
    ps_response response = {.status = 200, .body = request->body};
    if (head->path.count == 2 && head->path.start[1] == 's') {
        ps_bytes ping = {(const uint8_t *)":\n\n", 3};
        ps_stream_framing framing =
            head->query.count > 0 ? PS_STREAM_UNTIL_CLOSE : PS_STREAM_CHUNKED;
        result = ps_connection_stream(
            bench->loop, id, request->sequence, &response, framing, ping);
        if (result == PS_OK) {
            bench->is_open = true;
            bench->unanswered--;
            (void)ps_topic_subscribe(bench->topic, id);
            return;
        }
        response.status = 503;
    }
    result = ps_connection_respond(bench->loop, id, request->sequence, &response);
    REQUIRE(result == PS_OK || result == PS_GONE);
    bench->unanswered -= result == PS_OK;
}

static void on_refused(void *context, ps_connection_id id, uint32_t sequence, uint16_t status) {
    struct bench *bench = context;
    hear(bench, 2, (const uint8_t *)&status, sizeof status);
    REQUIRE(status >= 400 && status <= 505);
    ps_response response = {.status = status};
    int result = ps_connection_respond(bench->loop, id, sequence, &response);
    REQUIRE(result == PS_OK || result == PS_GONE);
    REQUIRE(ps_connection_respond(bench->loop, id, sequence, &response) != PS_OK);
}

static ps_frame *text_frame(ps_loop *loop, ps_bytes text) {
    uint8_t message[PS_WS_SERVER_HEADER_BYTES_MAX + MESSAGE_BYTES];
    size_t header_count = ps_ws_write_header(message, PS_WS_TEXT, false, text.count);
    memcpy(message + header_count, text.start, text.count);
    return ps_frame_create_messages(loop, message, header_count + text.count);
}

static void on_message(
    void *context, ps_connection_id id, uint8_t opcode, ps_bytes payload, int64_t received_unix_ms) {
    struct bench *bench = context;
    (void)received_unix_ms;
    REQUIRE(bench->is_open);
    REQUIRE(payload.count <= MESSAGE_BYTES);
    REQUIRE(opcode == PS_WS_BINARY || is_utf8(payload.start, payload.count));
    hear(bench, 0x10u + opcode, payload.start, payload.count);
    ps_frame *frame = NULL;
    switch (payload.count > 0 ? payload.start[0] : 0) {
    case 's': (void)ps_topic_subscribe(bench->topic, id); break;
    case 'u': (void)ps_topic_unsubscribe(bench->topic, id); break;
    case 'c': (void)ps_connection_close(bench->loop, id, 1000, "asked for"); break;
    case 'p':
        if (opcode == PS_WS_TEXT) {
            frame = text_frame(bench->loop, payload);
            REQUIRE(frame != NULL);
            ps_topic_publish_tally(bench->topic, frame, 0);
            ps_topic_publish_viewers(bench->topic, frame);
            ps_frame_release(frame);
        }
        break;
    default:
        if (opcode == PS_WS_TEXT) {
            (void)ps_connection_send_text(bench->loop, id, payload.start, payload.count);
        } else {
            (void)ps_connection_send_binary(bench->loop, id, payload.start, payload.count);
        }
    }
}

static void on_writable(void *context, ps_connection_id id) {
    (void)context;
    (void)id;
}

static void on_close(void *context, ps_connection_id id, uint8_t kind) {
    struct bench *bench = context;
    (void)id;
    (void)kind;
    REQUIRE(bench->is_open || bench->unanswered > 0);
    bench->closes++;
    bench->is_open = false;
}

static void on_wake(void *context) { (void)context; }

static void on_tick(void *context, uint64_t now_ns) {
    (void)context;
    (void)now_ns;
}

/* ---- The loop ---- */

int LLVMFuzzerInitialize(int *argument_count, char ***arguments) {
    (void)argument_count;
    (void)arguments;
    static const ps_callbacks callbacks = {
        on_request, on_refused, on_message, on_writable, on_close, on_wake, on_tick};
    static const ps_network everybody = {{0}, 0};
    for (uint8_t kind = 0; kind < 6; kind++) {
        uint8_t mode = kind % 3;
        struct bench *bench = &benches[kind / 3][mode];
        bench->budget = ps_budget_create(2, kind / 3 ? SHORT_BYTES : UINT64_MAX);
        bench->now_ns = 1000000000u;
        ps_loop_settings settings = {
            .tick_ns = 50000000, .sweep_slice_count = 256,
            .header_timeout_ms = 1000, .body_timeout_ms = 1000, .idle_timeout_ms = 2000,
            .close_timeout_ms = 1000, .ping_period_ms = 1000,
            .http = {.request_line_bytes = 200, .head_bytes = 1000, .field_count = 20},
            .body_bytes = 1000,
            .websocket = {.message_bytes = MESSAGE_BYTES, .fragment_count = 8},
            .compress_above = 32, .subscription_count = 4, .outbox_bytes = OUTBOX_BYTES,
            .pipeline_count = 4, .proxy_mode = mode, .proxy_timeout_ms = 1000,
            .trusted = &everybody, .trusted_count = 1, .tls_timeout_ms = 1000,
            .budget = bench->budget,
        };
        REQUIRE(bench->budget != NULL);
        REQUIRE(ps_loop_create(&bench->loop, &settings, &callbacks, bench) == PS_OK);
        ps_driven_begin(bench->loop, bench->now_ns, 1800000000000);
        bench->topic = ps_topic_create(bench->loop);
        REQUIRE(bench->topic != NULL);
    }
    return 0;
}

/* Turns until nothing is left to do, and takes what has come back. Returns false once the gateway has
 * closed. */
static bool settle(struct bench *bench, int peer) {
    bool is_open = true;
    bool again = true;
    for (int turns = 0; again; turns++) {
        REQUIRE(turns < 10000);
        again = ps_driven_turn(bench->loop, bench->now_ns, 1800000000000, false);
        for (uint8_t back[4096]; is_open;) {
            ssize_t count = recv(peer, back, sizeof back, MSG_DONTWAIT);
            is_open = count > 0 || (count < 0 && errno == EAGAIN);
            if (count <= 0) {
                break;
            }
            bench->answered += (uint64_t)count;
            again = true;
        }
    }
    return is_open;
}

static void pass(struct bench *bench, uint64_t ns) {
    for (uint64_t end = bench->now_ns + ns; bench->now_ns < end;) {
        bench->now_ns += TICK_NS;
        (void)ps_driven_turn(bench->loop, bench->now_ns, 1800000000000, true);
    }
}

static uint64_t live(const ps_loop *loop) {
    ps_statistics now;
    ps_loop_statistics(loop, &now);
    REQUIRE(now.frames_owed >= now.frames_sent + now.frames_conflated + now.frames_dropped);
    return now.http_connections + now.websocket_connections + now.stream_connections;
}

/* A connection that brings the bytes in pieces of `size`, from its beginning to its end. Returns what
 * the handler heard. */
static uint64_t run(
    struct bench *bench, const uint8_t *bytes, size_t count, size_t size, bool goes_away) {
    bench->heard = bench->answered = 0;
    bench->unanswered = bench->closes = 0;
    bench->is_open = false;
    int peer = ps_driven_connect(bench->loop);
    REQUIRE(peer >= 0);
    bool is_open = true;
    for (size_t sent = 0; sent < count && is_open;) {
        bool is_cut = sent < PIECES_MAX * size && size < count - sent;
        size_t piece = is_cut ? size : count - sent;
        ssize_t taken = send(peer, bytes + sent, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += taken > 0 ? (size_t)taken : 0;
        is_open = settle(bench, peer);
    }
    uint64_t heard = bench->heard;
    if (goes_away) {
        close(peer);
    }
    /* Silent for so long, whatever it was in the middle of has run out, pings included. */
    for (int seconds = 0; live(bench->loop) > 0 && seconds < 60; seconds++) {
        pass(bench, 1000000000u);
    }
    if (!goes_away) {
        close(peer);
    }
    pass(bench, 2 * TICK_NS);
    REQUIRE(live(bench->loop) == 0);
    REQUIRE(ps_budget_connections(bench->budget) == 0);
    REQUIRE(ps_budget_buffer_bytes(bench->budget) < 2 << 20); /* kept for the next one */
    REQUIRE(ps_topic_subscriber_count(bench->topic) == 0);
    REQUIRE(!bench->is_open && bench->closes <= 1);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    if (count < 1) {
        return 0;
    }
    static const size_t sizes[] = {1, 2, 3, 7, 31, 128, 512, 1500};
    bool is_short = bytes[0] & 64;
    struct bench *bench = &benches[is_short][(bytes[0] & 3) % 3];
    size_t size = sizes[bytes[0] >> 2 & 7];
    bool goes_away = bytes[0] & 32;
    /* The end of a line, because a bad request line that comes in pieces is told at its end. */
    static const char end[] = "\r\n\r\n";
    size_t all = count - 1 + strlen(end);
    uint8_t *input = malloc(all);
    REQUIRE(input != NULL);
    memcpy(input, bytes + 1, count - 1);
    memcpy(input + count - 1, end, strlen(end));
    uint64_t whole = run(bench, input, all, all, goes_away);
    REQUIRE(run(bench, input, all, size, goes_away) == whole || is_short);
    free(input);
    return 0;
}
