#ifndef TEST_TLS_H
#define TEST_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A TLS client without a socket: the test carries the bytes, and may cut, repeat or spoil them. */
typedef struct tls_client tls_client;

/* What may be resumed later. */
typedef struct tls_session tls_session;

typedef struct tls_client_options {
    const char *authority;  /* PEM; NULL: any certificate is taken */
    const char *server_name;/* SNI, and what the certificate must be valid for; NULL: neither */
    const char *protocols;  /* ALPN, one by one behind their lengths; NULL: none */
    int lowest_version;     /* 0x0302 and so on; 0: the library's */
    int highest_version;
    const char *ciphers;    /* up to TLS 1.2; NULL: the library's */
    tls_session *session;   /* to be resumed; NULL: none */
} tls_client_options;

/* Thread: one at a time. Ownership: caller. Returns: NULL where the options are refused. */
tls_client *tls_client_create(const tls_client_options *options);
void tls_client_destroy(tls_client *client);

enum { TLS_MORE = -1, TLS_FAILED = -2 };

/* Returns 1 when it is done, TLS_MORE, TLS_FAILED. */
int tls_client_shake_hands(tls_client *client);

/* Bytes that are to go to the server; at most `capacity`. */
size_t tls_client_take(tls_client *client, uint8_t *out, size_t capacity);

/* Bytes that came from it. */
void tls_client_give(tls_client *client, const uint8_t *bytes, size_t count);

/* Returns 1 or TLS_FAILED. */
int tls_client_write(tls_client *client, const uint8_t *bytes, size_t count);

/* Returns bytes read; 0 after close_notify; TLS_MORE, TLS_FAILED. */
int tls_client_read(tls_client *client, uint8_t *out, size_t capacity);

/* Writes close_notify. */
void tls_client_finish(tls_client *client);

/* TLS 1.2: asks for another handshake. TLS 1.3: changes keys and asks the server to. Returns 1, or
 * TLS_FAILED. */
int tls_client_renegotiate(tls_client *client);
int tls_client_update_keys(tls_client *client);

/* What it failed with, in OpenSSL's words; "" before. */
const char *tls_client_error(const tls_client *client);

/* 0x0303, 0x0304. */
int tls_client_version(const tls_client *client);
bool tls_client_resumed(const tls_client *client);
bool tls_client_compresses(const tls_client *client);

/* The subject's common name of the server's certificate; false without one. */
bool tls_client_peer_name(const tls_client *client, char *out, size_t capacity);
bool tls_client_protocol(const tls_client *client, char *out, size_t capacity);

/* The newest session that the server has offered a ticket for; NULL: none. Ownership: caller. */
tls_session *tls_client_session(tls_client *client);
void tls_session_destroy(tls_session *session);

typedef struct tls_certificate_options {
    const char *certificate_path, *key_path; /* written */
    const char *name;                        /* the subject's */
    const char *alternatives;                /* "DNS:a.test,DNS:*.b.test"; NULL: an authority */
    const char *issuer_path, *issuer_key_path; /* NULL: signed by itself */
    int64_t from_s, until_s;                 /* from now */
    const char *passphrase;                  /* of the key; NULL: none */
} tls_certificate_options;

/* Makes a key on P-256 and a certificate for it. Returns false where that is impossible. */
bool tls_make_certificate(const tls_certificate_options *options);

#endif
