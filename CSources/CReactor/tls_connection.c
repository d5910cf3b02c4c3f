#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "memory_bound.h"
#include "outbox.h"
#include "tls.h"

enum {
    RECORD_BYTES = SSL3_RT_MAX_PACKET_SIZE, /* OpenSSL's buffer for one that is not whole yet */
    HANDSHAKE_BYTES = 48 << 10, /* that, its buffer of messages and its state, until hands are shaken */
    HELLO_BYTES_MAX = 16 << 10, /* of which real ones have 2 KB; OpenSSL takes 131, at its announcement */
    HELLO_HEAD_BYTES = 9,       /* a record's header and a message's (RFC 8446 §4, §5.1) */
    HANDSHAKE_NS = 5000000, /* of a turn; the rest of a storm waits for the next */
    /* Past it, the peer makes us answer (key updates, refused renegotiations) and does not read. */
    UNSENT_BYTES_MAX = PS_TLS_WRITE_BYTES + (16 << 10),
};

struct tls_state {
    SSL *ssl;
    ps_tls *context; /* a reference: its callbacks run until the handshake is done */
    uint8_t *unsent; /* records that the kernel has not taken, from `unsent_start` on; or NULL */
    uint32_t unsent_start, unsent_end;
    uint32_t held;  /* bytes of OpenSSL's that are counted */
    uint32_t since; /* step of the wheel: since when a record is not whole */
    uint8_t hello[HELLO_HEAD_BYTES];
    uint8_t hello_count;
    bool established;
    bool failed; /* OpenSSL is not to be asked again */
};

static struct tls_state *state_of(const ps_connection *connection) {
    return connection->poll.data;
}

static void free_unsent(ps_loop *loop, struct tls_state *state) {
    ps_memory_give(loop, state->unsent_end);
    free(state->unsent);
    state->unsent = NULL;
    state->unsent_start = state->unsent_end = 0;
}

static void hold(ps_loop *loop, struct tls_state *state, uint32_t bytes) {
    if (state->held == 0) {
        state->since = loop->wheel.now;
    }
    ps_memory_hold(loop, bytes);
    ps_memory_give(loop, state->held);
    state->held = bytes;
}

static void state_free(ps_loop *loop, struct tls_state *state) {
    SSL_free(state->ssl);
    ps_tls_release(state->context);
    hold(loop, state, 0);
    free_unsent(loop, state);
    free(state);
}

/* Not before the first byte: who only connects costs nothing. */
static struct tls_state *begin(ps_loop *loop, ps_connection *connection) {
    if (ps_memory_is_full(loop)) { /* it may have connected when it was not */
        ps_memory_count_shed(loop, PS_SHED_CONNECTIONS);
        return NULL;
    }
    struct tls_state *state = calloc(1, sizeof *state);
    if (!state) {
        return NULL;
    }
    state->context = loop->tls;
    ps_tls_retain(state->context);
    state->ssl = ps_tls_open(state->context);
    if (!state->ssl || !ps_tls_pipe_attach(loop->tls_pipe, state->ssl)) {
        state_free(loop, state);
        ERR_clear_error();
        return NULL;
    }
    hold(loop, state, HANDSHAKE_BYTES);
    connection->poll.data = state;
    PS_COUNT(loop, tls_connections, 1);
    return state;
}

/* ---- Out ---- */

static bool keep_unsent(
    ps_loop *loop, struct tls_state *state, const uint8_t *bytes, size_t count) {
    size_t held = state->unsent_end - state->unsent_start;
    if (held + count > UNSENT_BYTES_MAX) {
        return false;
    }
    uint8_t *unsent = malloc(held + count);
    if (!unsent) {
        return false;
    }
    if (held > 0) {
        memcpy(unsent, state->unsent + state->unsent_start, held);
    }
    memcpy(unsent + held, bytes, count);
    free_unsent(loop, state);
    ps_memory_hold(loop, held + count);
    state->unsent = unsent;
    state->unsent_end = (uint32_t)(held + count);
    return true;
}

/* Sends what OpenSSL has written, behind what is unsent. */
static void send_out(ps_loop *loop, ps_connection *connection) {
    struct tls_state *state = state_of(connection);
    struct ps_tls_pipe *pipe = loop->tls_pipe;
    size_t count = pipe->out_count;
    size_t taken = 0;
    pipe->out_count = 0;
    if (count == 0) {
        return;
    }
    if (!state->unsent) {
        struct iovec all = {pipe->out, count};
        ssize_t result = ps_connection_send(loop, connection, &all, 1);
        taken = result > 0 ? (size_t)result : 0;
    }
    if (taken == count || connection->state >= PS_STATE_DOOMED) {
        return;
    }
    if (keep_unsent(loop, state, pipe->out + taken, count - taken)) {
        ps_connection_block(loop, connection);
    } else {
        ps_connection_reset(loop, connection);
    }
}

bool ps_tls_flush(ps_loop *loop, ps_connection *connection) {
    struct tls_state *state = state_of(connection);
    if (!state || !state->unsent) {
        return true;
    }
    uint32_t count = state->unsent_end - state->unsent_start;
    struct iovec rest = {state->unsent + state->unsent_start, count};
    ssize_t taken = ps_connection_send(loop, connection, &rest, 1);
    if (taken < 0) {
        return false;
    }
    state->unsent_start += (uint32_t)taken;
    if ((size_t)taken < count) {
        ps_connection_block(loop, connection);
        return false;
    }
    free_unsent(loop, state);
    return true;
}

/* A record costs 22 bytes and a pass of the cipher: what leaves together is encrypted together. */
static ps_bytes gather(
    struct ps_tls_pipe *pipe, const struct iovec *iov, size_t iov_count) {
    size_t first = iov[0].iov_len;
    if (iov_count == 1 || first >= PS_TLS_WRITE_BYTES) {
        first = first < PS_TLS_WRITE_BYTES ? first : PS_TLS_WRITE_BYTES;
        return (ps_bytes){iov[0].iov_base, first};
    }
    size_t count = 0;
    for (size_t i = 0; i < iov_count && count < sizeof pipe->plaintext; i++) {
        size_t room = sizeof pipe->plaintext - count;
        size_t part = iov[i].iov_len < room ? iov[i].iov_len : room;
        memcpy(pipe->plaintext + count, iov[i].iov_base, part);
        count += part;
    }
    return (ps_bytes){pipe->plaintext, count};
}

ssize_t ps_tls_write(
    ps_loop *loop, ps_connection *connection, const struct iovec *iov, size_t iov_count) {
    struct tls_state *state = state_of(connection);
    assert(state && state->established && !state->unsent);
    ps_bytes plaintext = gather(loop->tls_pipe, iov, iov_count);
    size_t written = 0;
    ERR_clear_error();
    bool good = !state->failed
        && SSL_write_ex(state->ssl, plaintext.start, plaintext.count, &written) == 1;
    if (!good) {
        state->failed = true;
        loop->tls_pipe->out_count = 0;
        ERR_clear_error();
        ps_connection_doom(loop, connection);
        return -1;
    }
    send_out(loop, connection);
    return connection->state >= PS_STATE_DOOMED ? -1 : (ssize_t)written;
}

/* ---- In ---- */

/* OpenSSL gives the connection up; its alert, if any, is sent before the end. */
static void fail(ps_loop *loop, ps_connection *connection) {
    state_of(connection)->failed = true;
    ERR_clear_error();
    PS_COUNT(loop, tls_failures, 1);
    send_out(loop, connection);
    ps_connection_doom(loop, connection);
}

/* A step of the handshake. Returns false while there is another to come, and at its failure. */
static bool shake_hands(ps_loop *loop, ps_connection *connection, struct tls_state *state) {
    uint64_t began_ns = ps_monotonic_ns();
    ERR_clear_error();
    int result = SSL_do_handshake(state->ssl);
    loop->handshake_ns += ps_monotonic_ns() - began_ns;
    if (result != 1) {
        if (SSL_get_error(state->ssl, result) != SSL_ERROR_WANT_READ) {
            fail(loop, connection);
        }
        return false;
    }
    state->established = true;
    PS_COUNT(loop, tls_handshakes, 1);
    PS_COUNT(loop, tls_resumptions, SSL_session_reused(state->ssl) == 1);
    ps_connection_await_request(loop, connection);
    return true;
}

/* All plaintext that there is. It fits: no more of it than of ciphertext, and a record that began
 * earlier. Returns false where OpenSSL found something wrong. */
static bool decrypt(ps_loop *loop, ps_connection *connection, SSL *ssl, size_t *count) {
    size_t some = 0;
    ERR_clear_error();
    while (SSL_read_ex(
        ssl, loop->read_buffer + *count, PS_READ_BUFFER_BYTES - *count, &some) == 1) {
        *count += some;
        assert(*count < PS_READ_BUFFER_BYTES);
    }
    switch (SSL_get_error(ssl, 0)) {
    case SSL_ERROR_ZERO_RETURN: /* close_notify: as FIN, it ends one direction */
        connection->flags |= PS_FLAG_PEER_FINISHED;
        return true;
    case SSL_ERROR_WANT_READ:
        return true;
    default:
        return false;
    }
}

_Static_assert(
    sizeof((struct ps_tls_pipe){0}.ciphertext) + SSL3_RT_MAX_PLAIN_LENGTH < PS_READ_BUFFER_BYTES,
    "the plaintext of one read fits");

static ssize_t nothing(int error) {
    errno = error;
    return -1;
}

/* Part of a record waits in OpenSSL for the rest. Where all memory is taken, not any more. */
static void see_record(ps_loop *loop, ps_connection *connection, struct tls_state *state) {
    /* "RB": its header was read and its body has not come. */
    bool holds = !state->established || SSL_has_pending(state->ssl)
        || SSL_rstate_string(state->ssl)[1] == 'B';
    if (holds && state->held == 0 && ps_memory_is_full(loop)) {
        ps_memory_count_shed(
            loop, connection->kind == PS_KIND_HTTP ? PS_SHED_REQUESTS : PS_SHED_MESSAGES);
        ps_connection_reset(loop, connection);
    }
    uint32_t bytes = !state->established ? HANDSHAKE_BYTES : holds ? RECORD_BYTES : 0;
    if (bytes != state->held) {
        hold(loop, state, bytes);
    }
}

bool ps_tls_holds_record(const ps_connection *connection, uint32_t *since) {
    const struct tls_state *state = state_of(connection);
    if (!state || state->held == 0) {
        return false;
    }
    *since = state->since;
    return true;
}

/* OpenSSL makes room for a whole first message as soon as it has read how long it says it is. */
static bool announces_too_much(struct tls_state *state, const uint8_t *bytes, size_t count) {
    if (state->hello_count == HELLO_HEAD_BYTES) {
        return false;
    }
    size_t room = HELLO_HEAD_BYTES - state->hello_count;
    size_t taken = count < room ? count : room;
    memcpy(state->hello + state->hello_count, bytes, taken);
    state->hello_count += (uint8_t)taken;
    const uint8_t *length = state->hello + 6;
    return state->hello_count == HELLO_HEAD_BYTES && state->hello[0] == SSL3_RT_HANDSHAKE
        && (length[0] << 16 | length[1] << 8 | length[2]) > HELLO_BYTES_MAX;
}

/* Takes ciphertext. Returns as ps_tls_read does. */
static ssize_t take(
    ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    struct tls_state *state = state_of(connection);
    state = state ? state : begin(loop, connection);
    if (!state || state->failed) {
        return nothing(ENOMEM);
    }
    if (announces_too_much(state, bytes, count)) {
        PS_COUNT(loop, tls_failures, 1);
        return nothing(EPROTO);
    }
    loop->tls_pipe->in = bytes;
    loop->tls_pipe->in_count = count;
    size_t decrypted = 0;
    if (state->established || shake_hands(loop, connection, state)) {
        if (!decrypt(loop, connection, state->ssl, &decrypted)) {
            fail(loop, connection);
        }
        ERR_clear_error();
    }
    loop->tls_pipe->in_count = 0;
    if (decrypted > 0) {
        state->since = loop->wheel.now;
    }
    see_record(loop, connection, state);
    send_out(loop, connection);
    if (connection->state >= PS_STATE_DOOMED) {
        return nothing(ECONNRESET);
    }
    bool ended = connection->flags & PS_FLAG_PEER_FINISHED;
    return decrypted > 0 || ended ? (ssize_t)decrypted : nothing(EAGAIN);
}

ssize_t ps_tls_read(ps_loop *loop, ps_connection *connection) {
    uint8_t *ciphertext = loop->tls_pipe->ciphertext;
    ssize_t count = recv(
        ps_connection_fd(connection), ciphertext, sizeof loop->tls_pipe->ciphertext, MSG_DONTWAIT);
    if (count <= 0) {
        return count;
    }
    PS_COUNT(loop, bytes_received, (uint64_t)count);
    return take(loop, connection, ciphertext, (size_t)count);
}

void ps_tls_feed(ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count) {
    ssize_t decrypted = take(loop, connection, bytes, count);
    assert(decrypted < 0); /* the peer cannot be done before it has heard of us */
    if (decrypted < 0 && errno != EAGAIN) {
        ps_connection_doom(loop, connection);
    }
}

bool ps_tls_must_wait(const ps_loop *loop, const ps_connection *connection) {
    const struct tls_state *state = state_of(connection);
    return loop->handshake_ns > HANDSHAKE_NS && !(state && state->established);
}

/* ---- The end ---- */

/* Writes close_notify where that is possible and has not been done. */
static void write_close_notify(struct tls_state *state) {
    if (state->established && !state->failed
        && !(SSL_get_shutdown(state->ssl) & SSL_SENT_SHUTDOWN)) {
        ERR_clear_error();
        (void)SSL_shutdown(state->ssl); /* 0: the peer's is not waited for here */
        ERR_clear_error();
    }
}

bool ps_tls_finish(ps_loop *loop, ps_connection *connection) {
    struct tls_state *state = state_of(connection);
    if (!state) {
        return true;
    }
    write_close_notify(state);
    send_out(loop, connection);
    return connection->state < PS_STATE_DOOMED && !state->unsent;
}

void ps_tls_end(ps_loop *loop, ps_connection *connection) {
    struct tls_state *state = state_of(connection);
    if (!state) {
        return;
    }
    if (!state->unsent && !(connection->flags & PS_FLAG_RESET)) {
        struct ps_tls_pipe *pipe = loop->tls_pipe;
        write_close_notify(state);
        if (pipe->out_count > 0) {
            (void)send(
                ps_connection_fd(connection), pipe->out, pipe->out_count,
                MSG_NOSIGNAL | MSG_DONTWAIT);
            pipe->out_count = 0;
        }
    }
    state_free(loop, state);
    connection->poll.data = NULL;
    PS_COUNT(loop, tls_connections, UINT64_MAX); /* one less */
}
