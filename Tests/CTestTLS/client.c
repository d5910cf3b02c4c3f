#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test_tls.h"

struct tls_client {
    SSL_CTX *context;
    SSL *ssl;
    BIO *from_server, *to_server; /* of `ssl` */
    SSL_SESSION *session;
    char error[256];
};

/* The struct is never made: a session is OpenSSL's own. */
static SSL_SESSION *session_of(tls_session *session) {
    return (SSL_SESSION *)session;
}

static int keep_session(SSL *ssl, SSL_SESSION *session) {
    tls_client *client = SSL_get_app_data(ssl);
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1; /* the reference is ours */
}

static bool trust(SSL_CTX *context, const char *authority) {
    BIO *pem = BIO_new_mem_buf(authority, -1);
    X509 *certificate = PEM_read_bio_X509(pem, NULL, NULL, NULL);
    bool good = certificate
        && X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
    X509_free(certificate);
    BIO_free(pem);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    return good;
}

static bool set_up(tls_client *client, const tls_client_options *options) {
    SSL_CTX *context = client->context;
    SSL_CTX_set_security_level(context, 0); /* the server is what refuses weak things */
    /* A cache would forbid to resume what is in it when its client goes away. */
    SSL_CTX_set_session_cache_mode(
        context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
    SSL_CTX_sess_set_new_cb(context, keep_session);
    if ((options->authority && !trust(context, options->authority))
        || SSL_CTX_set_min_proto_version(context, options->lowest_version) != 1
        || SSL_CTX_set_max_proto_version(context, options->highest_version) != 1
        || (options->ciphers && SSL_CTX_set_cipher_list(context, options->ciphers) != 1)) {
        return false;
    }
    client->ssl = SSL_new(context);
    if (!client->ssl) {
        return false;
    }
    SSL_set_app_data(client->ssl, client);
    SSL_set_connect_state(client->ssl);
    client->from_server = BIO_new(BIO_s_mem());
    client->to_server = BIO_new(BIO_s_mem());
    SSL_set_bio(client->ssl, client->from_server, client->to_server);
    const char *name = options->server_name;
    const char *protocols = options->protocols;
    return (!name || (SSL_set_tlsext_host_name(client->ssl, name) == 1
                      && SSL_set1_host(client->ssl, name) == 1))
        && (!protocols
            || SSL_set_alpn_protos(
                   client->ssl, (const unsigned char *)protocols,
                   (unsigned)strlen(protocols)) == 0)
        && (!options->session
            || SSL_set_session(client->ssl, session_of(options->session)) == 1);
}

tls_client *tls_client_create(const tls_client_options *options) {
    tls_client *client = calloc(1, sizeof *client);
    client->context = SSL_CTX_new(TLS_client_method());
    if (!client->context || !set_up(client, options)) {
        tls_client_destroy(client);
        return NULL;
    }
    return client;
}

void tls_client_destroy(tls_client *client) {
    if (client->ssl) { /* else its session may not be resumed */
        SSL_set_shutdown(client->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(client->ssl);
    SSL_SESSION_free(client->session);
    SSL_CTX_free(client->context);
    free(client);
}

/* What a result of OpenSSL's means; `closed` is for close_notify. */
static int outcome(tls_client *client, int result, int closed) {
    switch (SSL_get_error(client->ssl, result)) {
    case SSL_ERROR_NONE:
        return result;
    case SSL_ERROR_WANT_READ:
        return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return closed;
    default: {
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        if (client->error[0] == 0) { /* what follows from the first is of no interest */
            snprintf(client->error, sizeof client->error, "%s", reason ? reason : "unknown");
        }
        ERR_clear_error();
        return TLS_FAILED;
    }
    }
}

int tls_client_shake_hands(tls_client *client) {
    ERR_clear_error();
    return outcome(client, SSL_do_handshake(client->ssl), TLS_FAILED);
}

size_t tls_client_take(tls_client *client, uint8_t *out, size_t capacity) {
    int count = BIO_read(client->to_server, out, (int)capacity);
    return count > 0 ? (size_t)count : 0;
}

void tls_client_give(tls_client *client, const uint8_t *bytes, size_t count) {
    BIO_write(client->from_server, bytes, (int)count);
}

int tls_client_write(tls_client *client, const uint8_t *bytes, size_t count) {
    ERR_clear_error();
    return outcome(client, SSL_write(client->ssl, bytes, (int)count), TLS_FAILED) > 0
        ? 1 : TLS_FAILED;
}

int tls_client_read(tls_client *client, uint8_t *out, size_t capacity) {
    ERR_clear_error();
    return outcome(client, SSL_read(client->ssl, out, (int)capacity), 0);
}

void tls_client_finish(tls_client *client) {
    ERR_clear_error();
    (void)SSL_shutdown(client->ssl);
    ERR_clear_error();
}

int tls_client_renegotiate(tls_client *client) {
    ERR_clear_error();
    if (SSL_renegotiate(client->ssl) != 1) {
        return outcome(client, 0, TLS_FAILED);
    }
    (void)SSL_do_handshake(client->ssl);
    ERR_clear_error();
    return 1;
}

int tls_client_update_keys(tls_client *client) {
    ERR_clear_error();
    bool asked = SSL_key_update(client->ssl, SSL_KEY_UPDATE_REQUESTED) == 1
        && SSL_do_handshake(client->ssl) == 1;
    return asked ? 1 : outcome(client, 0, TLS_FAILED);
}

const char *tls_client_error(const tls_client *client) {
    return client->error;
}

int tls_client_version(const tls_client *client) {
    return SSL_version(client->ssl);
}

bool tls_client_resumed(const tls_client *client) {
    return SSL_session_reused(client->ssl) == 1;
}

bool tls_client_compresses(const tls_client *client) {
    return SSL_get_current_compression(client->ssl) != NULL;
}

bool tls_client_peer_name(const tls_client *client, char *out, size_t capacity) {
    X509 *certificate = SSL_get1_peer_certificate(client->ssl);
    bool found = certificate
        && X509_NAME_get_text_by_NID(
               X509_get_subject_name(certificate), NID_commonName, out, (int)capacity) > 0;
    X509_free(certificate);
    return found;
}

bool tls_client_protocol(const tls_client *client, char *out, size_t capacity) {
    const unsigned char *name;
    unsigned count;
    SSL_get0_alpn_selected(client->ssl, &name, &count);
    snprintf(out, capacity, "%.*s", (int)count, name ? (const char *)name : "");
    return count > 0;
}

tls_session *tls_client_session(tls_client *client) {
    SSL_SESSION *session = client->session;
    client->session = NULL;
    if (!session && SSL_version(client->ssl) < TLS1_3_VERSION) { /* a new ticket is not told of */
        session = SSL_get1_session(client->ssl);
    }
    return (tls_session *)session;
}

void tls_session_destroy(tls_session *session) {
    SSL_SESSION_free(session_of(session));
}
