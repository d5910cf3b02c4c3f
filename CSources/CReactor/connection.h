/* A connection and its slot. The states are drawn in connection.c. */
#ifndef PS_CONNECTION_H
#define PS_CONNECTION_H

#include "loop.h"
#include "topic.h"

typedef enum ps_connection_state {
    PS_STATE_FREE = 0,
    PS_STATE_OPEN,
    PS_STATE_CLOSING,   /* WebSocket: our Close is queued or sent, the peer's is awaited */
    PS_STATE_FINISHING, /* the outbox leaves, then our FIN */
    PS_STATE_LINGERING, /* our FIN is sent, input is thrown away until the peer's */
    PS_STATE_DOOMED,    /* to be closed at the end of the turn */
    PS_STATE_CLOSED,    /* uv_close is under way */
} ps_connection_state;

enum ps_connection_flags {
    PS_FLAG_WATCHES_READ = 1 << 0,  /* what the uv_poll_t is started for */
    PS_FLAG_WATCHES_WRITE = 1 << 1,
    PS_FLAG_BLOCKED = 1 << 2,       /* the kernel took no more: wait for writability */
    PS_FLAG_DIRTY = 1 << 3,         /* on loop->dirty */
    PS_FLAG_LISTED = 1 << 4,        /* on loop->todo */
    PS_FLAG_OPS = 1 << 5,           /* came through the ops listener, outside the budget */
    PS_FLAG_PEER_FINISHED = 1 << 6, /* FIN was read */
    PS_FLAG_LAST = 1 << 7,          /* HTTP: no further request is read */
    PS_FLAG_RESET = 1 << 8,         /* close with RST: what the kernel holds is of no use */
    PS_FLAG_ANSWER_HEAD = 1 << 9,   /* traits of the oldest unanswered request, in this order */
    PS_FLAG_ANSWER_1_0 = 1 << 10,
    PS_FLAG_ANSWER_CLOSE = 1 << 11,
    PS_FLAG_PROXY = 1 << 12,        /* the first bytes may be, or have to be, a PROXY header */
    PS_FLAG_DEFLATES = 1 << 13,     /* WebSocket: permessage-deflate was agreed on */
    PS_FLAG_TLS = 1 << 14,          /* bytes pass through tls.h, state in poll.data */
};

enum {
    PS_ANSWER_TRAITS = PS_FLAG_ANSWER_HEAD | PS_FLAG_ANSWER_1_0 | PS_FLAG_ANSWER_CLOSE,
};

/* Work that must not be done inside a call, because it calls back. */
enum ps_connection_todo {
    PS_TODO_CLOSE = 1 << 0,    /* on_close, and the end */
    PS_TODO_RESUME = 1 << 1,   /* look at the input again */
    PS_TODO_WRITABLE = 1 << 2, /* on_writable */
    PS_TODO_EXPIRE = 1 << 3,   /* a deadline may have passed */
};

/* An answer that is ready before its turn, or the traits of a request that has none yet. */
struct ps_early_answer {
    uint8_t *bytes; /* NULL: not answered yet */
    uint32_t count;
    uint16_t traits;
    bool closes;
};

/* What most connections do not have: allocated on demand, freed as soon as nothing is in it. */
struct ps_rare {
    /* Input that is no whole request or frame yet, or that waits for its turn. */
    uint8_t *inbox;
    uint32_t inbox_count, inbox_capacity;
    uint32_t since; /* step of the wheel: its first byte, or its last whole message */

    union { /* by kind; zero while there is nothing to remember */
        struct ps_http_progress {
            uint32_t scanned;      /* bytes of an unfinished head already searched */
            uint32_t head_bytes;   /* 0 until the head is whole */
            uint64_t body_bytes;   /* announced; with chunked: decoded so far, behind the head */
            ps_http_chunks chunks;
            bool chunked;
            bool wants_continue;   /* 100 is owed once earlier requests are answered */
            struct ps_early_answer *ring; /* pipeline_count of them, by sequence */
            uint32_t ring_bytes;          /* of the answers in it */
        } http;
        struct {
            ps_ws_message message; /* under way where its opcode is not 0 */
            uint8_t *assembly;     /* its fragments so far, unmasked */
            uint32_t assembly_count, assembly_capacity;
            uint8_t pong_count;    /* payload bytes + 1; 0: none is owed */
            uint8_t pong[PS_WS_CONTROL_PAYLOAD_MAX];
        } ws;
        struct {
            ps_bytes ping;
            uint32_t next_sequence, answer_sequence; /* for when it is plain HTTP again */
            bool chunked;
            bool closes;
            bool endless;  /* nobody waits for its end: the peer's FIN says that nobody reads */
            bool mute;     /* of a HEAD request: no body */
            bool was_full; /* on_writable is owed */
        } stream;
    };
};

struct ps_subscription {
    ps_topic *topic;
    uint32_t position; /* of its entry */
};

/* 256 bytes: what an idle subscriber costs, together with
 *
 *     256  ps_connection, of which libuv's uv_poll_t is 160
 *      20  its entry in a topic: 16, and a quarter of slack (topic.c)
 *      16  libuv's table of watchers: a pointer per descriptor, at most half of it unused
 *       1  its bit in `busy`, rounded up; the tables of chunks
 *     ---
 *     293  bytes; a test subscribes thousands and measures */
struct ps_connection {
    uv_poll_t poll;
    ps_outbox *outbox;    /* NULL: nothing waits */
    struct ps_rare *rare; /* NULL: nothing rare */
    union {
        ps_topic *topic;                      /* of the one subscription, at `position` */
        struct ps_subscription *subscriptions;/* of several: subscription_capacity of them */
    };
    uint8_t peer_address[16];
    uint32_t slot, generation;
    union {
        uint32_t position;
        uint32_t subscription_capacity;
        uint32_t discarded; /* LINGERING: bytes thrown away */
    };
    uint32_t wheel_previous, wheel_next; /* slot + 1 */
    uint32_t wheel_step;                 /* where the entry stands; 0: nowhere */
    uint32_t due;                        /* of deadline_class */
    uint32_t todo_next, dirty_next;      /* slot + 1; todo_next also links free slots */
    union {
        struct {
            uint32_t next_sequence;   /* HTTP: of the next request */
            uint32_t answer_sequence; /* of the oldest unanswered */
        };
        struct {
            uint32_t heard;    /* WebSocket: step of the last byte received */
            uint32_t ping_due; /* WebSocket, stream */
        };
    };
    uint16_t peer_port;
    uint16_t subscription_count;
    uint16_t flags;
    uint8_t kind;  /* ps_connection_kind */
    uint8_t state; /* ps_connection_state */
    uint8_t deadline_class;
    uint8_t todo;
};

enum { PS_IDLE_SUBSCRIBER_BYTES = sizeof(struct ps_connection) + sizeof(struct ps_entry) * 5 / 4
                                  + 2 * sizeof(void *) + 1 };
_Static_assert(PS_IDLE_SUBSCRIBER_BYTES <= 300, "an idle subscriber must stay small");

/* ---- slots.c: where connections live; addresses are stable ---- */

/* Returns NULL without memory. All fields but slot and generation are zero. */
ps_connection *ps_slot_take(ps_loop *loop);
void ps_slot_free(ps_loop *loop, ps_connection *connection);
void ps_slots_destroy(ps_loop *loop);
uint32_t ps_slots_capacity(const ps_loop *loop);
void ps_slot_list_append(
    ps_loop *loop, struct ps_slot_list *list, ps_connection *connection, size_t link_offset);

enum { PS_CHUNK_SLOTS = 256 };

static inline ps_connection *ps_slot_at(const ps_loop *loop, uint32_t slot) {
    return &loop->slots.chunks[slot / PS_CHUNK_SLOTS][slot % PS_CHUNK_SLOTS];
}

/* The open connection of this id, else NULL. */
ps_connection *ps_connection_find(ps_loop *loop, ps_connection_id id);

static inline ps_connection_id ps_connection_id_of(const ps_connection *connection) {
    return (ps_connection_id)connection->generation << 32 | connection->slot;
}

/* Recomputes the bit that keeps a sweep's short path away. */
void ps_connection_mark(ps_loop *loop, const ps_connection *connection);

/* ---- proxy_connection.c ---- */

/* Makes the list of trusted networks ours. Returns false without memory. */
bool ps_proxy_copy_networks(ps_loop_settings *settings);

/* Looks at who has connected: it may, or must, send a PROXY header first, or is turned away. */
void ps_proxy_expect(ps_loop *loop, ps_connection *connection);

/* Takes the header that is expected, or finds that there is none: then PS_FLAG_PROXY is cleared.
 * Returns how many bytes it took; while the flag stays, more are needed, or the connection ends. */
size_t ps_proxy_take(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count);

/* ---- connection.c ---- */

/* Takes over `fd`, non-blocking, and starts reading; `is_ops` speaks no TLS. Returns false where that is impossible; the
 * descriptor is the caller's then. */
bool ps_connection_open(ps_loop *loop, int fd, bool is_ops, const void *peer_sockaddr);

static inline int ps_connection_fd(const ps_connection *connection) {
    uv_os_fd_t fd = -1;
    (void)uv_fileno((const uv_handle_t *)&connection->poll, &fd); /* fails only once closed */
    return fd;
}

/* How many connections of this kind there are now, in the statistics. */
static inline _Atomic uint64_t *ps_connection_gauge(ps_loop *loop, uint8_t kind) {
    static const size_t offsets[] = {
        [PS_KIND_HTTP] = offsetof(ps_statistics, http_connections),
        [PS_KIND_WEBSOCKET] = offsetof(ps_statistics, websocket_connections),
        [PS_KIND_STREAM] = offsetof(ps_statistics, stream_connections),
    };
    return &loop->counters[offsets[kind] / sizeof(uint64_t)];
}

/* From OPEN or a later state to one that is later still. */
void ps_connection_set_state(ps_loop *loop, ps_connection *connection, uint8_t state);

/* The kernel may take more again. */
static inline void ps_connection_unblock(ps_loop *loop, ps_connection *connection) {
    if (connection->flags & PS_FLAG_BLOCKED) {
        connection->flags &= (uint16_t)~PS_FLAG_BLOCKED;
        PS_COUNT(loop, blocked_connections, UINT64_MAX); /* one less */
    }
}

/* What comes next is from the client itself: its handshake, where it speaks TLS. */
void ps_connection_await_client(ps_loop *loop, ps_connection *connection);

/* What comes next is its first request. */
void ps_connection_await_request(ps_loop *loop, ps_connection *connection);

void ps_connection_add_todo(ps_loop *loop, ps_connection *connection, uint8_t todo);

/* Runs what is owed to the connections listed so far. Calls: everything. */
void ps_connection_run_todo(ps_loop *loop);

/* Makes the poll handle watch for what the state asks for. */
void ps_connection_watch(ps_loop *loop, ps_connection *connection);

void ps_connection_set_kind(ps_loop *loop, ps_connection *connection, uint8_t kind);

/* ---- closing.c ---- */

/* To be closed at the end of the turn, whatever waits. */
void ps_connection_doom(ps_loop *loop, ps_connection *connection);

/* As doom, with RST: nothing the kernel holds will be taken. */
void ps_connection_reset(ps_loop *loop, ps_connection *connection);

/* Sends the outbox, then FIN, then waits for the peer's. */
void ps_connection_finish(ps_loop *loop, ps_connection *connection);

/* Begins to close as ps_connection_close does. */
void ps_connection_begin_close(
    ps_loop *loop, ps_connection *connection, uint16_t code, const char *reason);

/* From DOOMED to CLOSED. Calls: on_close. */
void ps_connection_end(ps_loop *loop, ps_connection *connection);

/* Called when the outbox has been sent whole. */
void ps_connection_drained(ps_loop *loop, ps_connection *connection);

/* For ps_loop_destroy: closes at once, without callbacks. */
void ps_connection_abandon(ps_loop *loop, ps_connection *connection);

/* ---- room.c ---- */

/* Closes a connection that has asked for nothing for a second or longer, so that another may take its
 * place: the longest idle of some. Returns false where none of them is. */
bool ps_connection_make_room(ps_loop *loop);

/* ---- rare.c ---- */

/* Returns NULL without memory. */
struct ps_rare *ps_rare_get(ps_loop *loop, ps_connection *connection);

/* Frees what is empty. Not while its inbox is being read. */
void ps_rare_settle(ps_loop *loop, ps_connection *connection);
void ps_rare_free(ps_loop *loop, ps_connection *connection);

/* Makes room for at least `count` more bytes of input, beside what makes it rare. Returns false without
 * memory, or past its bound: ps_memory_refuse_input says so. */
bool ps_inbox_reserve(ps_loop *loop, ps_connection *connection, uint32_t count);
bool ps_inbox_append(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count);
void ps_inbox_consume(struct ps_rare *rare, size_t count);

static inline uint32_t ps_inbox_count(const ps_connection *connection) {
    return connection->rare ? connection->rare->inbox_count : 0;
}

/* ---- http_connection.c, http_answer.c ---- */

/* Takes one request from the front of the bytes. Returns how many it was; 0: not whole, or not
 * its turn; `*count` shrinks where a chunked body was decoded in place. Calls: on_request,
 * on_refused. */
size_t ps_http_take(ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t *count);

/* Reports a refusal in its turn; nothing later is read. Calls: on_refused. */
void ps_http_refuse(ps_loop *loop, ps_connection *connection, uint16_t status);

/* Whether another request may be read. */
bool ps_http_may_read(ps_loop *loop, const ps_connection *connection);

/* Forgets which requests are unanswered, and answers that wait for their turn. */
void ps_http_free_ring(ps_loop *loop, struct ps_rare *rare);

/* The oldest request was answered: what was ready behind it leaves. */
void ps_http_advance(ps_loop *loop, ps_connection *connection, bool closes);

/* Writes status line and fields up to the empty line. Returns the length. */
enum ps_body_kind { PS_BODY_SIZED, PS_BODY_CHUNKED, PS_BODY_UNTIL_CLOSE };
size_t ps_http_write_head(
    ps_loop *loop, uint8_t *out, const ps_response *response, enum ps_body_kind body,
    uint16_t traits, bool closes);
size_t ps_http_head_bytes_max(const ps_response *response);

/* Operators' own requests and answers are left out of the statistics. */
void ps_http_count_response(ps_loop *loop, const ps_connection *connection, uint16_t status);

/* Requests handed over that have not been answered. */
static inline uint32_t ps_http_unanswered(const ps_connection *connection) {
    return connection->kind == PS_KIND_HTTP
        ? connection->next_sequence - connection->answer_sequence : 0;
}

/* ---- stream_connection.c ---- */

void ps_stream_ping(ps_loop *loop, ps_connection *connection);

/* Queues a piece of the body in its framing. Returns false where the connection is lost. */
bool ps_stream_append(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count);

/* Whether bytes may be sent to it as they are, as topics do. */
static inline bool ps_stream_is_raw(const ps_connection *connection) {
    return !connection->rare->stream.chunked && !connection->rare->stream.mute;
}

/* Owes on_writable where a full outbox has fallen below half of its limit. */
void ps_stream_notice_room(ps_loop *loop, ps_connection *connection);

/* ---- sending.c ---- */

void ps_connection_start_pings(ps_loop *loop, ps_connection *connection);
void ps_connection_shrink_send_buffer(ps_loop *loop, const ps_connection *connection);

/* ---- websocket_connection.c ---- */

/* Takes one frame from the front of the bytes; 0: not whole. Calls: on_message. */
size_t ps_ws_take(ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t count);

/* Queues a Close frame and waits for the peer's. */
void ps_ws_begin_close(
    ps_loop *loop, ps_connection *connection, uint16_t code, const char *reason);

/* Closes with 1013: there is no memory for what comes. What comes is thrown away. */
void ps_ws_refuse(ps_loop *loop, ps_connection *connection);

/* Queues what was held back while the connection was blocked. */
void ps_ws_release_pong(ps_loop *loop, ps_connection *connection);
void ps_ws_ping(ps_loop *loop, ps_connection *connection);

#endif
