/* A connection's life.
 *
 *   accept                       close asked for, a refusal answered, Connection: close
 *     │                        ┌───────────────────────────────► FINISHING
 *     ▼        HTTP, stream    │                                  │ outbox sent: our FIN
 *   OPEN ──────────────────────┤                                  ▼
 *     │        WebSocket       │  Close queued    violation:    LINGERING
 *     │                        └─► CLOSING ──────FINISHING──►     │ peer's FIN, or
 *     │                              │ both Close frames sent     │ close_timeout, or too much
 *     │ FIN, RST, write error,       │ and received, or           │ input
 *     │ idle, silent                 ▼ close_timeout              ▼
 *     └──────────────────────────► DOOMED ◄───────────────────────┘
 *                                    │ end of the turn: leaves its topics, on_close
 *                                    ▼
 *                                  CLOSED ── uv_close is done ──► FREE, next generation
 *
 * Only OPEN is found by its id. Nothing but the end of a turn goes from DOOMED to CLOSED, so a
 * connection outlives every call and callback in which it fails. */
#include "connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "memory_bound.h"
#include "outbox.h"
#include "tls.h"

enum {
    STREAM_INBOX_BYTES = 16 << 10, /* requests that may wait behind a stream */
    LINGER_BYTES = 1 << 20,        /* thrown away after our FIN; more is answered by RST */
};

void ps_connection_set_kind(ps_loop *loop, ps_connection *connection, uint8_t kind) {
    ps_counter_add(ps_connection_gauge(loop, connection->kind), UINT64_MAX); /* one less */
    connection->kind = kind;
    ps_counter_add(ps_connection_gauge(loop, kind), 1);
}

/* ---- Reading ---- */

static bool wants_input(ps_loop *loop, const ps_connection *connection) {
    if (connection->flags & PS_FLAG_PEER_FINISHED) {
        return false;
    }
    switch (connection->state) {
    case PS_STATE_OPEN:
        switch (connection->kind) {
        case PS_KIND_HTTP:
            return ps_http_may_read(loop, connection);
        case PS_KIND_WEBSOCKET: /* what is there already comes first */
            return !(connection->todo & PS_TODO_RESUME);
        default: /* to see its FIN */
            return ps_inbox_count(connection) < STREAM_INBOX_BYTES;
        }
    case PS_STATE_CLOSING:
        return !(connection->todo & PS_TODO_RESUME);
    case PS_STATE_LINGERING:
        return true;
    default:
        return false;
    }
}

/* Feeds input to the protocol. `*count` bytes at first; on return, what was not taken is
 * [result, *count). */
static size_t take(ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t *count) {
    size_t used = 0;
    ps_work_begin(loop);
    while (used < *count) {
        size_t rest = *count - used;
        size_t taken = 0;
        if (connection->flags & PS_FLAG_PROXY && connection->state == PS_STATE_OPEN) {
            used += ps_proxy_take(loop, connection, bytes + used, rest);
            if (connection->flags & PS_FLAG_PROXY) {
                break; /* a part of it, or the end of the connection */
            }
            if (connection->flags & PS_FLAG_TLS && used < *count) {
                ps_tls_feed(loop, connection, bytes + used, *count - used);
                return *count;
            }
            continue;
        }
        if (connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_HTTP) {
            taken = ps_http_take(loop, connection, bytes + used, &rest);
            *count = used + rest;
        } else if (
            connection->kind == PS_KIND_WEBSOCKET
            && (connection->state == PS_STATE_OPEN || connection->state == PS_STATE_CLOSING)) {
            taken = ps_ws_take(loop, connection, bytes + used, rest);
            if (taken > 0 && ps_work_is_done(loop)) {
                used += taken;
                ps_connection_add_todo(loop, connection, PS_TODO_RESUME);
                break; /* others have their turn before the rest */
            }
        } else if (
            connection->state != PS_STATE_OPEN
            || (connection->kind == PS_KIND_STREAM && connection->rare->stream.closes)) {
            return *count; /* nobody is interested any more */
        }
        if (taken == 0) {
            break;
        }
        used += taken;
    }
    return used;
}

/* FIN after a request only says that no other will come: what is asked for is still delivered. */
static void see_fin(ps_loop *loop, ps_connection *connection) {
    bool owes = false;
    if (connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_HTTP) {
        owes = ps_http_unanswered(connection) > 0 || connection->outbox;
    } else if (connection->state == PS_STATE_OPEN && connection->kind == PS_KIND_STREAM) {
        owes = !connection->rare->stream.endless;
    }
    if (!owes) {
        ps_connection_doom(loop, connection);
    }
}

/* After input, and after anything that lets more of it be read. */
static void settle_input(ps_loop *loop, ps_connection *connection) {
    if (connection->state >= PS_STATE_DOOMED) {
        return;
    }
    ps_rare_settle(loop, connection);
    if (connection->flags & PS_FLAG_PEER_FINISHED && !(connection->todo & PS_TODO_RESUME)) {
        see_fin(loop, connection);
    }
    ps_connection_watch(loop, connection);
}

static void take_inbox(ps_loop *loop, ps_connection *connection) {
    struct ps_rare *rare = connection->rare;
    size_t count = rare->inbox_count;
    size_t used = take(loop, connection, rare->inbox, &count);
    rare->inbox_count = (uint32_t)count;
    ps_inbox_consume(rare, used);
}

static void take_buffer(
    ps_loop *loop, ps_connection *connection, uint8_t *bytes, size_t count) {
    size_t used = take(loop, connection, bytes, &count);
    if (used < count && connection->state < PS_STATE_DOOMED
        && !ps_inbox_append(loop, connection, bytes + used, count - used)) {
        ps_memory_refuse_input(loop, connection);
    }
}

static void throw_away(ps_loop *loop, ps_connection *connection, size_t count) {
    connection->discarded += (uint32_t)count;
    if (connection->discarded > LINGER_BYTES) {
        ps_connection_reset(loop, connection);
    }
}

/* Reads behind what waits in the inbox, which has room, or into the loop's buffer. Returns as recv
 * does. */
static ssize_t receive(ps_loop *loop, ps_connection *connection, bool into_inbox) {
    uint8_t *into = loop->read_buffer;
    size_t room = PS_READ_BUFFER_BYTES;
    if (into_inbox) {
        struct ps_rare *rare = connection->rare;
        into = rare->inbox + rare->inbox_count;
        room = rare->inbox_capacity - rare->inbox_count;
        room = room < PS_READ_BUFFER_BYTES ? room : PS_READ_BUFFER_BYTES;
    }
    ssize_t count = recv(ps_connection_fd(connection), into, room, MSG_DONTWAIT);
    PS_COUNT(loop, bytes_received, count > 0 ? (uint64_t)count : 0);
    return count;
}

static void read_some(ps_loop *loop, ps_connection *connection) {
    bool is_lingering = connection->state == PS_STATE_LINGERING; /* what comes is not looked at */
    bool has_inbox = ps_inbox_count(connection) > 0 && !is_lingering;
    bool is_tls = (connection->flags & (PS_FLAG_TLS | PS_FLAG_PROXY)) == PS_FLAG_TLS
        && !is_lingering;
    if (has_inbox && !is_tls && !ps_inbox_reserve(loop, connection, 1)) {
        ps_memory_refuse_input(loop, connection);
        settle_input(loop, connection);
        return;
    }
    ssize_t count = is_tls ? ps_tls_read(loop, connection) : receive(loop, connection, has_inbox);
    if (count < 0) {
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            ps_connection_doom(loop, connection);
        }
        return;
    }
    if (count == 0) {
        connection->flags |= PS_FLAG_PEER_FINISHED;
    } else if (is_lingering) {
        throw_away(loop, connection, (size_t)count);
        return;
    } else {
        if (connection->kind == PS_KIND_WEBSOCKET) {
            connection->heard = loop->wheel.now;
        }
        if (!has_inbox) {
            take_buffer(loop, connection, loop->read_buffer, (size_t)count);
        } else if (!is_tls) {
            connection->rare->inbox_count += (uint32_t)count;
            take_inbox(loop, connection);
        } else if (ps_inbox_append(loop, connection, loop->read_buffer, (size_t)count)) {
            take_inbox(loop, connection);
        } else {
            ps_memory_refuse_input(loop, connection);
        }
    }
    settle_input(loop, connection);
}

static void take_events(ps_loop *loop, ps_connection *connection, int status, int events) {
    if (status < 0) {
        /* libuv stops the handle at EPOLLERR: the socket has failed. */
        connection->flags &= (uint16_t)~(PS_FLAG_WATCHES_READ | PS_FLAG_WATCHES_WRITE);
        ps_connection_doom(loop, connection);
        return;
    }
    if (events & UV_WRITABLE && connection->state < PS_STATE_DOOMED) {
        ps_connection_unblock(loop, connection);
        ps_connection_flush(loop, connection);
        ps_connection_watch(loop, connection);
    }
    if (!(events & UV_READABLE) || connection->state >= PS_STATE_DOOMED) {
        return;
    }
    if (!wants_input(loop, connection)) {
        ps_connection_watch(loop, connection); /* memory became short since it was watched */
    } else if (!(connection->flags & PS_FLAG_TLS && ps_tls_must_wait(loop, connection))) {
        read_some(loop, connection);
    }
}

static void on_ready(uv_poll_t *poll, int status, int events) {
    ps_loop *loop = poll->loop->data;
    ps_loop_enter(loop);
    take_events(loop, (ps_connection *)poll, status, events);
    ps_loop_leave(loop);
}

void ps_connection_watch(ps_loop *loop, ps_connection *connection) {
    if (connection->state >= PS_STATE_DOOMED) {
        return;
    }
    uint16_t wanted = wants_input(loop, connection) ? PS_FLAG_WATCHES_READ : 0;
    wanted |= connection->flags & PS_FLAG_BLOCKED ? PS_FLAG_WATCHES_WRITE : 0;
    uint16_t both = PS_FLAG_WATCHES_READ | PS_FLAG_WATCHES_WRITE;
    if ((connection->flags & both) == wanted) {
        return;
    }
    connection->flags = (uint16_t)((connection->flags & ~both) | wanted);
    if (wanted == 0) {
        uv_poll_stop(&connection->poll);
        return;
    }
    int events = (wanted & PS_FLAG_WATCHES_READ ? UV_READABLE : 0)
        | (wanted & PS_FLAG_WATCHES_WRITE ? UV_WRITABLE : 0);
    if (uv_poll_start(&connection->poll, events, on_ready) != 0) {
        ps_connection_doom(loop, connection);
    }
}

/* ---- Opening ---- */

void ps_connection_await_request(ps_loop *loop, ps_connection *connection) {
    ps_deadline_set(
        loop, connection, PS_DEADLINE_IDLE,
        loop->draining ? loop->settings.close_timeout_ms : loop->settings.idle_timeout_ms);
}

void ps_connection_await_client(ps_loop *loop, ps_connection *connection) {
    if (connection->flags & PS_FLAG_TLS) {
        ps_deadline_set(loop, connection, PS_DEADLINE_TLS, loop->settings.tls_timeout_ms);
    } else {
        ps_connection_await_request(loop, connection);
    }
}

static void store_peer(ps_connection *connection, const struct sockaddr *address) {
    if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
        memcpy(connection->peer_address, &ipv6->sin6_addr, 16);
        connection->peer_port = ntohs(ipv6->sin6_port);
    } else {
        const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;
        memset(connection->peer_address + 10, 0xff, 2); /* RFC 4291 §2.5.5.2 */
        memcpy(connection->peer_address + 12, &ipv4->sin_addr, 4);
        connection->peer_port = ntohs(ipv4->sin_port);
    }
}

bool ps_connection_open(ps_loop *loop, int fd, bool is_ops, const void *peer_sockaddr) {
    ps_connection *connection = ps_slot_take(loop);
    if (!connection) {
        return false;
    }
    if (uv_poll_init(&loop->uv, &connection->poll, fd) != 0) {
        ps_slot_free(loop, connection);
        return false;
    }
    /* Answers leave whole at the end of a turn: waiting for more bytes only adds latency. */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connection->state = PS_STATE_OPEN;
    connection->kind = PS_KIND_HTTP;
    connection->flags = is_ops ? PS_FLAG_OPS : loop->tls ? PS_FLAG_TLS : 0;
    store_peer(connection, peer_sockaddr);
    ps_counter_add(ps_connection_gauge(loop, PS_KIND_HTTP), 1);
    PS_COUNT(loop, accepted, 1);
    ps_connection_await_client(loop, connection);
    if (!is_ops) {
        ps_proxy_expect(loop, connection);
    }
    ps_connection_watch(loop, connection);
    return true;
}

/* ---- Work owed ---- */

void ps_connection_add_todo(ps_loop *loop, ps_connection *connection, uint8_t todo) {
    connection->todo |= todo;
    if (!(connection->flags & PS_FLAG_LISTED)) {
        connection->flags |= PS_FLAG_LISTED;
        ps_slot_list_append(loop, &loop->todo, connection, offsetof(ps_connection, todo_next));
    }
}

static void run_todo_of(ps_loop *loop, ps_connection *connection, uint8_t todo) {
    if (todo & PS_TODO_EXPIRE && connection->state < PS_STATE_DOOMED) {
        ps_deadline_expire(loop, connection);
    }
    if (todo & PS_TODO_WRITABLE && connection->state == PS_STATE_OPEN
        && connection->kind == PS_KIND_STREAM) {
        connection->rare->stream.was_full = false;
        loop->callbacks.on_writable(loop->context, ps_connection_id_of(connection));
    }
    if (todo & PS_TODO_RESUME && connection->state < PS_STATE_DOOMED) {
        if (ps_inbox_count(connection) > 0) {
            take_inbox(loop, connection);
        }
        settle_input(loop, connection);
    }
    if (todo & PS_TODO_CLOSE) {
        ps_connection_end(loop, connection);
    }
}

void ps_connection_run_todo(ps_loop *loop) {
    /* Whoever is listed from here on waits for the next turn. */
    uint32_t next = loop->todo.first;
    loop->todo = (struct ps_slot_list){0};
    while (next != 0) {
        ps_connection *connection = ps_slot_at(loop, next - 1);
        next = connection->todo_next;
        uint8_t todo = connection->todo;
        connection->todo = 0;
        connection->todo_next = 0;
        connection->flags &= (uint16_t)~PS_FLAG_LISTED;
        run_todo_of(loop, connection, todo);
    }
}
