/* A BIO over memory. OpenSSL's own keeps a growing buffer for each connection and direction; this
 * one reads where recv has just written and gathers records in a buffer of the loop's, so that a
 * flight or an answer of several records leaves in one send. */
#include <stdlib.h>
#include <string.h>

#include "tls.h"

enum { OUT_BYTES_MIN = 32 << 10 };

static int pipe_read(BIO *bio, char *out, int count) {
    struct ps_tls_pipe *pipe = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (pipe->in_count == 0) {
        BIO_set_retry_read(bio); /* the end of a connection is seen by whoever reads its socket */
        return -1;
    }
    size_t taken = (size_t)count < pipe->in_count ? (size_t)count : pipe->in_count;
    memcpy(out, pipe->in, taken);
    pipe->in += taken;
    pipe->in_count -= taken;
    return (int)taken;
}

/* What one call of OpenSSL's writes is bounded: a flight, a record, answers to what was read. */
static bool reserve(struct ps_tls_pipe *pipe, size_t count) {
    if (count <= pipe->out_capacity - pipe->out_count) {
        return true;
    }
    size_t capacity = pipe->out_capacity ? pipe->out_capacity : OUT_BYTES_MIN;
    while (capacity - pipe->out_count < count) {
        capacity *= 2;
    }
    uint8_t *out = realloc(pipe->out, capacity);
    if (!out) {
        return false;
    }
    pipe->out = out;
    pipe->out_capacity = capacity;
    return true;
}

static int pipe_write(BIO *bio, const char *bytes, int count) {
    struct ps_tls_pipe *pipe = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (count < 0 || !reserve(pipe, (size_t)count)) {
        return -1;
    }
    memcpy(pipe->out + pipe->out_count, bytes, (size_t)count);
    pipe->out_count += (size_t)count;
    return count;
}

static long pipe_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH; /* whoever called OpenSSL sends what it has written */
}

static int pipe_start(BIO *bio) {
    BIO_set_init(bio, 1);
    return 1;
}

struct ps_tls_pipe *ps_tls_pipe_create(void) {
    struct ps_tls_pipe *pipe = malloc(sizeof *pipe);
    if (!pipe) {
        return NULL;
    }
    pipe->in_count = pipe->out_count = pipe->out_capacity = 0;
    pipe->out = NULL;
    pipe->method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "a loop's buffers");
    if (!pipe->method || BIO_meth_set_read(pipe->method, pipe_read) != 1
        || BIO_meth_set_write(pipe->method, pipe_write) != 1
        || BIO_meth_set_ctrl(pipe->method, pipe_control) != 1
        || BIO_meth_set_create(pipe->method, pipe_start) != 1) {
        ps_tls_pipe_destroy(pipe);
        return NULL;
    }
    return pipe;
}

void ps_tls_pipe_destroy(struct ps_tls_pipe *pipe) {
    if (pipe) {
        BIO_meth_free(pipe->method);
        free(pipe->out);
        free(pipe);
    }
}

bool ps_tls_pipe_attach(struct ps_tls_pipe *pipe, SSL *ssl) {
    BIO *bio = BIO_new(pipe->method);
    if (!bio) {
        return false;
    }
    BIO_set_data(bio, pipe);
    SSL_set_bio(ssl, bio, bio); /* one reference for both */
    return true;
}
