/* TLS on a connection. Its bytes pass here between the socket and what everybody else sees:
 *
 *   socket ── recv ──► ciphertext ── OpenSSL ──► loop->read_buffer ──► HTTP, WebSocket
 *   socket ◄── send ── records ◄──── OpenSSL ◄── outbox, frames of topics
 *                 └► unsent: what the kernel did not take of the last records
 *
 * A record that was made must be sent, so a connection has those of one write outstanding, at most
 * PS_TLS_WRITE_BYTES of plaintext; the next is made when they are gone. What it is owed meanwhile
 * waits as it does without TLS: in the outbox, or as marks in its topics.
 *
 * All of this costs who speaks no TLS a flag: the state hangs from the handle's user pointer, and a
 * sweep meets a connection with TLS as a busy one. */
#ifndef PS_TLS_H
#define PS_TLS_H

#include <openssl/ssl.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "connection.h"

enum {
    PS_TLS_WRITE_BYTES = 16 << 10, /* a record's worth */
};

/* ---- tls_context.c ---- */

/* A session to be, for a client that has just come. Returns NULL without memory. */
SSL *ps_tls_open(const ps_tls *tls);

/* ---- tls_pipe.c: what OpenSSL reads from and writes to, one for all connections of a loop ---- */

/* Returns: NULL without memory. */
struct ps_tls_pipe *ps_tls_pipe_create(void);
void ps_tls_pipe_destroy(struct ps_tls_pipe *pipe);

/* Lets `ssl` read and write here. Returns false without memory. */
bool ps_tls_pipe_attach(struct ps_tls_pipe *pipe, SSL *ssl);

struct ps_tls_pipe {
    BIO_METHOD *method;
    /* Bytes that came and that OpenSSL has not read yet; it reads all within the call. */
    const uint8_t *in;
    size_t in_count;
    /* Records that OpenSSL has written; empty between calls. */
    uint8_t *out;
    size_t out_count, out_capacity;
    uint8_t ciphertext[40 << 10];
    uint8_t plaintext[PS_TLS_WRITE_BYTES]; /* for what is to leave in one record */
};

/* ---- tls_connection.c ---- */

/* Reads what came, as recv into loop->read_buffer would: returns how many bytes of plaintext there
 * are; 0 at the end; -1 with EAGAIN where there is nothing to see, or with another error, and the
 * connection is lost. Sets PS_FLAG_PEER_FINISHED where the end follows the bytes. */
ssize_t ps_tls_read(ps_loop *loop, ps_connection *connection);

/* Begins with bytes that were read behind a PROXY header. */
void ps_tls_feed(ps_loop *loop, ps_connection *connection, const uint8_t *bytes, size_t count);

/* Whether OpenSSL holds part of a record, and `*since` which step of the wheel. */
bool ps_tls_holds_record(const ps_connection *connection, uint32_t *since);

/* Whether this turn has shaken hands for long enough, and the connection's turn is the next one. */
bool ps_tls_must_wait(const ps_loop *loop, const ps_connection *connection);

/* Encrypts and sends some of the bytes; there is nothing unsent. Returns how many, all of which leave
 * sooner or later; -1 where the connection is lost by it. It may be blocked after it. */
ssize_t ps_tls_write(
    ps_loop *loop, ps_connection *connection, const struct iovec *iov, size_t iov_count);

/* Sends the rest of the last records. Returns false where the connection is still blocked, or lost. */
bool ps_tls_flush(ps_loop *loop, ps_connection *connection);

/* Says that nothing follows (close_notify). Returns false where that has to wait: the connection is
 * blocked; or where it is lost. */
bool ps_tls_finish(ps_loop *loop, ps_connection *connection);

/* Frees what hangs from a connection that is closed; says close_notify if there is a chance to. */
void ps_tls_end(ps_loop *loop, ps_connection *connection);

#endif
