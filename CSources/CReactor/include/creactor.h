/* CReactor: sockets on libuv. One ps_loop is one thread with its own listeners, connections and
 * topics; nothing is shared between loops but a ps_budget.
 *
 *   accept ─► HTTP/1.1 ─► on_request ─► respond            (keep-alive, pipelining, answers in order)
 *                                    ├► stream, stream_write, stream_end      (exports, events)
 *                                    └► upgrade ─► WebSocket ─► on_message ─► send
 *   topic_subscribe ─► publish ─► sweep: the same bytes to every subscriber, newest wins
 *
 * The rules that make it safe to call:
 *  1. A call never invokes a callback before it returns. Closes and failures are reported by
 *     on_close on a later turn.
 *  2. A connection is named by its id (slot and generation). A stale id finds nothing: the call
 *     returns PS_GONE, which is an ordinary answer.
 *  3. Bytes given to a call are borrowed until it returns; bytes given to a callback, until the
 *     callback returns.
 *  4. Everything is called on the loop's thread, except ps_loop_wake, ps_loop_statistics and
 *     ps_budget_*. Debug builds trap on another thread.
 *  5. What a turn queues for one connection leaves in one write at the end of that turn; an answer of
 *     16 KiB or more leaves at once. A turn ends when there is nothing more to do, and after 512 events
 *     of sockets: what one of them sent at once may take several.
 *  6. What returns int returns PS_OK or a count, or a negative ps_result.
 *
 * A declaration has labels (Thread, Ownership, Returns) for what these rules do not say. */
#ifndef PS_CREACTOR_H
#define PS_CREACTOR_H

#include <cwire.h>

#include "statistics.h"
#include "tls_context.h"

typedef struct ps_loop ps_loop;
typedef struct ps_topic ps_topic;
typedef struct ps_frame ps_frame;
typedef struct ps_budget ps_budget;

/* Slot in the low 32 bits, generation in the high 32; never 0. */
typedef uint64_t ps_connection_id;

enum ps_result {
    PS_OK = 0,
    PS_GONE = -1,       /* no such connection any more, or it is closing */
    PS_FULL = -2,       /* past a limit */
    PS_WRONG_STATE = -3,/* not possible for this kind of connection */
    PS_SYSTEM = -4,     /* the operating system refused; ps_loop_error_text says what */
};

/* ---- Budget: the connections of one process, and the memory of their buffers ---- */

/* Counts connections of all loops against one limit, and the bytes of what they hold against another:
 * unfinished requests and messages, answers that are not sent, TLS records, frames. Past that one
 * work is turned away, see memory_bound.h; UINT64_MAX for none.
 *
 * Thread:    any. Ownership: caller; outlives the loops. Returns: NULL without memory. */
ps_budget *ps_budget_create(uint32_t connection_limit, uint64_t buffer_limit);
void ps_budget_destroy(ps_budget *budget);
uint32_t ps_budget_connections(const ps_budget *budget);
uint64_t ps_budget_buffer_bytes(const ps_budget *budget);

/* Whether they hold more than three quarters of what they may: nothing is kept that can be made again.
 *
 * Thread: any. */
bool ps_budget_is_short(const ps_budget *budget);

/* Counts what somebody else than the reactor is about to hold for an answer, until it is released.
 *
 * Thread: any. Returns: false where memory is short, and nothing is counted. */
bool ps_budget_reserve(ps_budget *budget, uint64_t bytes);
void ps_budget_release(ps_budget *budget, uint64_t bytes);

/* Raises the soft RLIMIT_NOFILE to the hard one.
 *
 * Thread: any. Returns: the soft limit in force. */
uint64_t ps_raise_descriptor_limit(void);

/* Connections that wait for a listener, of one loop on one address, until they are accepted. The
 * kernel cuts it to net.core.somaxconn. */
enum { PS_ACCEPT_QUEUE_LENGTH = 4096 };

/* Cores this process may run on, at least 1. Thread: any. */
uint32_t ps_available_cores(void);

/* Whether sweeps may go through io_uring: sends some bytes so.
 *
 * Thread: any. Returns: 0 where it works, else why not, an errno. */
int ps_uring_try(void);

/* ---- Loop ---- */

typedef enum ps_listener_kind {
    PS_LISTENER_PUBLIC = 0,
    PS_LISTENER_OPS = 1, /* not counted against the budget, answered also while draining */
} ps_listener_kind;

/* Whether a load balancer before us says who its clients are (CWire, proxy.h). */
typedef enum ps_proxy_mode {
    PS_PROXY_OFF = 0,
    PS_PROXY_OPTIONAL = 1, /* from a trusted peer, where it begins with a header */
    PS_PROXY_REQUIRED = 2, /* from trusted peers only, and always */
} ps_proxy_mode;

/* All addresses that begin like this one. */
typedef struct ps_network {
    uint8_t address[16];   /* IPv6, or IPv4 mapped into it */
    uint8_t prefix_bits;   /* 0 to 128 */
} ps_network;

typedef struct ps_loop_settings {
    uint64_t tick_ns;              /* between the starts of two sweeps of a topic */
    uint32_t sweep_slice_count;    /* subscribers served per turn of the loop */
    bool uses_uring;               /* for sweeps; as ps_uring_try says that it works */
    uint32_t header_timeout_ms;    /* first byte of a head to its end: 408 */
    uint32_t body_timeout_ms;      /* end of the head to the end of the body: 408 */
    uint32_t idle_timeout_ms;      /* between requests: close */
    uint32_t close_timeout_ms;     /* our Close frame to the peer's, or last byte to FIN */
    uint32_t ping_period_ms;       /* silent for two: close; taking no byte for two: 1008 */
    ps_http_limits http;
    uint32_t body_bytes;           /* past it: 413 */
    ps_ws_limits websocket;
    uint32_t compress_above;       /* bytes of a message from which on permessage-deflate is worth
                                      its time; UINT32_MAX: not agreed on at all */
    uint32_t subscription_count;   /* per connection */
    uint32_t outbox_bytes;         /* unsent answers of one connection, past it 1008 or a reset */
    uint32_t pipeline_count;       /* unanswered requests of one connection; then reading stops */
    uint32_t socket_send_buffer_bytes; /* SO_SNDBUF of subscribers; 0 leaves the system's */
    uint8_t proxy_mode;            /* ps_proxy_mode; of public listeners */
    uint32_t proxy_timeout_ms;     /* accept to the end of the header: close */
    const ps_network *trusted;     /* who may send it; copied by ps_loop_create */
    size_t trusted_count;
    ps_tls *tls;                   /* what public listeners speak TLS with; NULL: they do not.
                                      ps_loop_create takes a reference */
    uint32_t tls_timeout_ms;       /* accept, or PROXY header, to the end of the handshake: close */
    ps_budget *budget;
    ps_bytes overload_response;    /* a whole response, sent to whoever comes past the budget;
                                      copied by ps_loop_create */
} ps_loop_settings;

/* A request with its whole body. */
typedef struct ps_request {
    const ps_http_head *head;
    ps_bytes body;
    uint32_t sequence;             /* names this request when it is answered */
    uint8_t listener_kind;         /* ps_listener_kind */
    uint16_t peer_port;
    uint8_t peer_address[16];      /* IPv6, or IPv4 mapped into it */
    int64_t received_unix_ms;      /* when its last byte was read */
} ps_request;

typedef enum ps_connection_kind {
    PS_KIND_HTTP = 0,
    PS_KIND_WEBSOCKET = 1,
    PS_KIND_STREAM = 2,
} ps_connection_kind;

/* Given to ps_loop_create, never changed. All are called on the loop's thread. */
typedef struct ps_callbacks {
    /* A whole request. It is answered now or later by respond, stream or upgrade (upgrade: only
     * inside the callback), exactly once. */
    void (*on_request)(void *context, ps_connection_id id, const ps_request *request);
    /* The peer broke HTTP or ran into a limit, or buffers are short (503). Answer with
     * ps_connection_respond; the connection closes after it whatever `close` says. status: 400, 408,
     * 413, 414, 417, 431, 501, 503, 505. */
    void (*on_refused)(void *context, ps_connection_id id, uint32_t sequence, uint16_t status);
    /* A whole WebSocket message, unmasked; text is valid UTF-8. */
    void (*on_message)(
        void *context, ps_connection_id id, uint8_t opcode, ps_bytes payload,
        int64_t received_unix_ms);
    /* A stream's outbox fell below half of its limit after a write that returned PS_FULL. */
    void (*on_writable)(void *context, ps_connection_id id);
    /* A WebSocket, a stream, or a connection with unanswered requests is gone; it has left all
     * its topics. Never called for plain idle HTTP connections. */
    void (*on_close)(void *context, ps_connection_id id, uint8_t kind);
    /* After ps_loop_wake, once for all calls since. */
    void (*on_wake)(void *context);
    /* About ten times a second. */
    void (*on_tick)(void *context, uint64_t now_ns);
} ps_callbacks;

/* Thread:    any, before ps_loop_run.
 * Ownership: copies settings and callbacks; borrows context until destroy.
 * Returns:   PS_OK, or PS_SYSTEM. */
int ps_loop_create(
    ps_loop **loop, const ps_loop_settings *settings, const ps_callbacks *callbacks,
    void *context);

/* Listens on a numeric address with SO_REUSEPORT; `*port` 0 picks a free one and stores it.
 *
 * Thread:  any, before ps_loop_run.
 * Returns: PS_OK, or PS_SYSTEM with the reason in ps_loop_error_text. */
int ps_loop_listen(ps_loop *loop, const char *address, uint16_t *port, ps_listener_kind kind);

/* Whether nobody listens there yet. With SO_REUSEPORT a second process would be let in silently and
 * share the connections, so the first loop asks before it listens.
 *
 * Thread:  any, before ps_loop_run.
 * Returns: PS_OK, or PS_SYSTEM with the reason in ps_loop_error_text. */
int ps_loop_probe(ps_loop *loop, const char *address, uint16_t port);

/* The last error in words, with the call that failed. Valid until the next call on this loop. */
const char *ps_loop_error_text(const ps_loop *loop);

/* Runs until ps_loop_stop, and makes the calling thread the loop's. */
void ps_loop_run(ps_loop *loop);

/* Makes ps_loop_run return after this turn. Thread: loop. */
void ps_loop_stop(ps_loop *loop);

/* Makes on_wake happen soon. Calls coalesce: what it is about must be in an inbox by then.
 *
 * Thread: any, until ps_loop_destroy begins. */
void ps_loop_wake(ps_loop *loop);

/* Handshakes that begin from here on use `tls`; sockets that are open keep what they began with.
 *
 * Thread:    loop, or any before ps_loop_run; only where the loop was created with TLS.
 * Ownership: takes a reference of its own. */
void ps_loop_use_tls(ps_loop *loop, ps_tls *tls);

/* Closes everything at once, without callbacks. Topics are destroyed and frames released before.
 *
 * Thread: any, after ps_loop_run returned. */
void ps_loop_destroy(ps_loop *loop);

/* Stops accepting on the public listeners (closes them); HTTP connections close after what they
 * have in flight. WebSockets and streams stay until they are closed one by one. */
void ps_loop_begin_drain(ps_loop *loop);

/* The next open connection at or after slot `*cursor` (0 at first), which moves past it; 0 at the
 * end. For walking all connections in slices. */
ps_connection_id ps_loop_next_connection(ps_loop *loop, uint32_t *cursor);

/* Monotonic nanoseconds, read once per turn. */
uint64_t ps_loop_now_ns(const ps_loop *loop);

/* Traps in debug builds when called off the loop's thread. */
void ps_loop_assert_thread(const ps_loop *loop);

/* ---- Connections ---- */

/* Status line, Date, Content-Length and Connection are written by the reactor; a body is left out
 * for HEAD, 204 and 304. */
typedef struct ps_response {
    uint16_t status;
    ps_bytes fields; /* "Name: value\r\n" each, nothing else */
    ps_bytes body;
    bool close;      /* say Connection: close, and close after it */
} ps_response;

/* Answers request `sequence`. Answers may come in any order and leave in the order of requests.
 *
 * Returns: PS_OK; PS_GONE, also where buffers are full and the peer takes nothing: it is let go;
 * PS_WRONG_STATE where it has been answered. */
int ps_connection_respond(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, const ps_response *response);

typedef enum ps_stream_framing {
    PS_STREAM_CHUNKED,     /* chunked; until close on HTTP/1.0 */
    PS_STREAM_UNTIL_CLOSE, /* raw bytes, so that a topic can serve it: Server-Sent Events */
} ps_stream_framing;

/* Answers with a body that follows piece by piece (response->body is its first piece). Only where no
 * other request of this connection is unanswered, or begun past its head (else PS_WRONG_STATE:
 * answer 503). `ping` is sent every ping period (Server-Sent Events: a comment), {NULL, 0} for none;
 * it is borrowed as long as the loop lives. */
int ps_connection_stream(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, const ps_response *response,
    ps_stream_framing framing, ps_bytes ping);

/* Adds a piece to a stream. Returns PS_OK; PS_FULL: taken, but wait for on_writable before the
 * next; PS_GONE. */
int ps_connection_stream_write(
    ps_loop *loop, ps_connection_id id, const uint8_t *bytes, size_t count);

/* Ends a stream whole. */
int ps_connection_stream_end(ps_loop *loop, ps_connection_id id);

/* Switches to WebSocket with 101. Only inside on_request, for a head that passed
 * ps_ws_check_handshake and where nothing earlier is unanswered. `fields` as in ps_response
 * (Sec-WebSocket-Protocol, Set-Cookie); Sec-WebSocket-Extensions is added here. Frames that came with the handshake are read next. */
int ps_connection_upgrade(
    ps_loop *loop, ps_connection_id id, uint32_t sequence, ps_bytes fields);

/* Sends one message over a WebSocket, as it is (text), or raw bytes over a stream; copied.
 *
 * Returns: PS_OK; PS_FULL: the outbox is past its limit and the connection is being closed with
 * 1008; PS_GONE. */
int ps_connection_send_text(
    ps_loop *loop, ps_connection_id id, const uint8_t *text, size_t count);

/* As send_text, for binary messages (the echo service). */
int ps_connection_send_binary(
    ps_loop *loop, ps_connection_id id, const uint8_t *bytes, size_t count);

/* Sends encoded bytes that many connections share. Keeps a reference until they are sent. */
int ps_connection_send_frame(ps_loop *loop, ps_connection_id id, ps_frame *frame);

/* Closes: a WebSocket with a Close frame and the peer's answer awaited; anything else when its
 * outbox is sent. */
int ps_connection_close(ps_loop *loop, ps_connection_id id, uint16_t code, const char *reason);

/* PS_KIND_…, or PS_GONE. */
int ps_connection_kind_of(ps_loop *loop, ps_connection_id id);

/* Topics this connection is subscribed to; PS_GONE. */
int ps_connection_subscription_count(ps_loop *loop, ps_connection_id id);

/* Bytes that wait to be sent, below outbox_bytes; PS_GONE. Sends first what waits for the turn's end
 * where it is more than `enough`. */
int64_t ps_connection_unsent(ps_loop *loop, ps_connection_id id, uint32_t enough);

/* Copies the peer's address (16 bytes, IPv4 mapped). Returns PS_OK or PS_GONE. */
int ps_connection_peer(ps_loop *loop, ps_connection_id id, uint8_t address[16]);

/* What ps_connection_peer answers from here on, where a proxy has said who its client is. */
int ps_connection_set_peer(ps_loop *loop, ps_connection_id id, const uint8_t address[16]);

/* ---- Frames: encoded, immutable, counted; of one loop ---- */

/* WebSocket messages in a row, each with its header as ps_ws_write_header leaves it, uncompressed.
 * Where anybody on this loop has agreed on permessage-deflate, the frame has a second form, made
 * here once for all of them. Returns NULL without memory. One reference. */
ps_frame *ps_frame_create_messages(ps_loop *loop, const uint8_t *bytes, size_t count);

/* Bytes as they are (Server-Sent Events). Else as above. */
ps_frame *ps_frame_create_raw(ps_loop *loop, const uint8_t *bytes, size_t count);

void ps_frame_retain(ps_frame *frame);
void ps_frame_release(ps_frame *frame);

/* ---- Topics: who hears of one poll in one view and encoding ----
 *
 * A topic has three lanes, each with its newest frame and a counter of what was published; a
 * subscriber has the three counters it has seen, and is behind in a lane where they differ.
 *
 *   tally    newest wins, at most one a tick
 *   state    never skipped, no tick: one behind gets the transition, further behind the snapshot
 *   viewers  newest wins, rides with the next sweep
 *
 * One write carries what a subscriber is owed: tally and state in the order in which they were
 * published, then viewers; for a connection with several topics due, all of them. A blocked
 * subscriber holds at most the rest of one write; what it misses meanwhile is told by its counters
 * alone. */

/* Ownership: caller, until destroy. Returns: NULL without memory. */
ps_topic *ps_topic_create(ps_loop *loop);

/* Subscribers are detached without a word. */
void ps_topic_destroy(ps_topic *topic);

/* Attaches a WebSocket or raw stream; it is owed nothing of what was published before: the caller
 * sends a snapshot itself. Returns: 1, 0 where it was attached already, PS_GONE, PS_FULL,
 * PS_WRONG_STATE where the connection cannot be a subscriber. */
int ps_topic_subscribe(ps_topic *topic, ps_connection_id id);

/* Returns: 1, 0 where it was not attached, PS_GONE. */
int ps_topic_unsubscribe(ps_topic *topic, ps_connection_id id);

bool ps_topic_has(ps_topic *topic, ps_connection_id id);
uint32_t ps_topic_subscriber_count(const ps_topic *topic);

/* Who is at `position`, below the count. Positions change as subscribers come and go. */
ps_connection_id ps_topic_subscriber(const ps_topic *topic, uint32_t position);

/* Offers `frame` to every subscriber, starting this turn if a tick has passed since the last
 * sweep began, else when it has. A subscriber that has not taken the previous one skips it.
 * `ballot_unix_ms`: when the oldest ballot came in that this tally is the first to count; 0 where
 * that is not to be measured.
 *
 * Calls:     nothing back. A socket that fails here is reported by on_close on a later turn.
 * Ownership: takes its own reference. */
void ps_topic_publish_tally(ps_topic *topic, ps_frame *frame, int64_t ballot_unix_ms);

/* Offers a change of state. `transition` is for whoever has seen the state before it (it may hold
 * several messages: final tally and state), `snapshot` for whoever missed more. Starts at the end
 * of this turn, tick or not, and takes a tally that waits along. With `supersedes_tally`, what the
 * tally lane holds is no longer owed to anybody: both frames carry what replaces it, and it counts
 * as conflated. */
void ps_topic_publish_state(
    ps_topic *topic, ps_frame *transition, ps_frame *snapshot, bool supersedes_tally);

void ps_topic_publish_viewers(ps_topic *topic, ps_frame *frame);

/* Lets go of the frames that every subscriber has had. */
void ps_topic_trim(ps_topic *topic);

/* ---- Statistics: written by the loop, read by anyone ---- */

/* A copy, each number by itself exact: owed = sent + conflated + dropped + still owed.
 *
 * Thread: any. */
void ps_loop_statistics(const ps_loop *loop, ps_statistics *out);

#endif
