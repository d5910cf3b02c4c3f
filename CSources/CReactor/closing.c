/* The ways from OPEN to FREE; the states are drawn in connection.c. */
#include <sys/socket.h>
#include <unistd.h>

#include "budget.h"
#include "outbox.h"
#include "tls.h"

void ps_connection_set_state(ps_loop *loop, ps_connection *connection, uint8_t state) {
    bool was_closing = connection->state > PS_STATE_OPEN;
    bool is_closing = state < PS_STATE_CLOSED;
    if (was_closing != is_closing) {
        PS_COUNT(loop, closing_connections[connection->kind], is_closing ? 1 : UINT64_MAX);
    }
    connection->state = state;
}

void ps_connection_doom(ps_loop *loop, ps_connection *connection) {
    if (connection->state >= PS_STATE_DOOMED) {
        return;
    }
    ps_connection_set_state(loop, connection, PS_STATE_DOOMED);
    ps_connection_add_todo(loop, connection, PS_TODO_CLOSE);
}

void ps_connection_reset(ps_loop *loop, ps_connection *connection) {
    connection->flags |= PS_FLAG_RESET;
    ps_connection_doom(loop, connection);
}

static void on_closed(uv_handle_t *handle) {
    ps_loop *loop = handle->loop->data;
    ps_slot_free(loop, (ps_connection *)handle);
}

/* Frees everything but the slot, which is libuv's until on_closed. */
static void close_descriptor(ps_loop *loop, ps_connection *connection) {
    int fd = ps_connection_fd(connection);
    if (connection->flags & PS_FLAG_RESET) {
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    }
    if (connection->flags & PS_FLAG_TLS) {
        ps_tls_end(loop, connection);
    }
    ps_topic_leave_all(loop, connection);
    ps_deadline_unlink(loop, connection);
    ps_outbox_release(loop, connection);
    ps_rare_free(loop, connection);
    ps_connection_mark(loop, connection);
    ps_counter_add(ps_connection_gauge(loop, connection->kind), UINT64_MAX); /* one less */
    PS_COUNT(loop, closed, 1);
    if (connection->flags & PS_FLAG_DEFLATES) {
        PS_COUNT(loop, deflating_connections, UINT64_MAX); /* one less */
    }
    if (!(connection->flags & PS_FLAG_OPS)) {
        ps_budget_give(loop->settings.budget);
    }
    ps_connection_unblock(loop, connection);
    ps_connection_set_state(loop, connection, PS_STATE_CLOSED);
    uv_close((uv_handle_t *)&connection->poll, on_closed);
    close(fd); /* after uv_close, which takes it out of the kernel's set */
}

void ps_connection_end(ps_loop *loop, ps_connection *connection) {
    ps_connection_id id = ps_connection_id_of(connection);
    uint8_t kind = connection->kind;
    bool tell = kind != PS_KIND_HTTP || ps_http_unanswered(connection) > 0;
    close_descriptor(loop, connection);
    if (tell) {
        loop->callbacks.on_close(loop->context, id, kind);
    }
}

void ps_connection_abandon(ps_loop *loop, ps_connection *connection) {
    if (connection->state < PS_STATE_CLOSED && connection->state != PS_STATE_FREE) {
        close_descriptor(loop, connection);
    }
}

void ps_connection_finish(ps_loop *loop, ps_connection *connection) {
    if (connection->state >= PS_STATE_FINISHING) {
        return;
    }
    ps_topic_leave_all(loop, connection);
    ps_connection_set_state(loop, connection, PS_STATE_FINISHING);
    ps_deadline_clear(connection);
    if (connection->kind == PS_KIND_WEBSOCKET) {
        ps_deadline_set(loop, connection, PS_DEADLINE_CLOSE, loop->settings.close_timeout_ms);
    }
    if (!connection->outbox) {
        ps_connection_drained(loop, connection);
    }
}

/* Our FIN first, so that the peer reads what we sent: closing with unread input would answer it
 * with RST, which may destroy our last words on their way (RFC 9112 §9.6). TLS has its own FIN to go
 * before; where it is blocked, we come again when it is sent. */
static void linger(ps_loop *loop, ps_connection *connection) {
    if (connection->flags & PS_FLAG_TLS && !ps_tls_finish(loop, connection)) {
        return;
    }
    if (connection->flags & PS_FLAG_PEER_FINISHED
        || shutdown(ps_connection_fd(connection), SHUT_WR) != 0) {
        ps_connection_doom(loop, connection);
        return;
    }
    ps_connection_set_state(loop, connection, PS_STATE_LINGERING);
    connection->discarded = 0;
    ps_deadline_set(loop, connection, PS_DEADLINE_CLOSE, loop->settings.close_timeout_ms);
    ps_connection_watch(loop, connection);
}

void ps_connection_drained(ps_loop *loop, ps_connection *connection) {
    switch (connection->state) {
    case PS_STATE_OPEN:
        if (connection->kind == PS_KIND_HTTP
            && (connection->rare || connection->flags & PS_FLAG_PEER_FINISHED
                || !(connection->flags & PS_FLAG_WATCHES_READ))) {
            ps_connection_add_todo(loop, connection, PS_TODO_RESUME);
        }
        break;
    case PS_STATE_FINISHING:
        linger(loop, connection);
        break;
    default:
        break;
    }
}

void ps_connection_begin_close(
    ps_loop *loop, ps_connection *connection, uint16_t code, const char *reason) {
    if (connection->kind != PS_KIND_WEBSOCKET) {
        ps_connection_finish(loop, connection);
        return;
    }
    /* What its topics published before the close leaves before it. */
    if (connection->subscription_count > 0) {
        ps_connection_flush(loop, connection);
    }
    ps_ws_begin_close(loop, connection, code, reason);
}
