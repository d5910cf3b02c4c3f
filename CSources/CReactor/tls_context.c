/* A context of OpenSSL for each certificate, all set up alike; a handshake begins with the first and
 * changes to another where that is valid for the name the client asks for. */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tls.h"
#include "tls_files.h"
#include "tls_tickets.h"

struct ps_tls {
    _Atomic uint32_t references;
    size_t count;
    SSL_CTX **contexts;
    struct ps_tickets tickets;
};

/* ---- What the handshake asks ---- */

/* Which certificate (RFC 6066 §3). Nobody is turned away for a name that none is valid for: the
 * client itself will not go on if that matters to it. */
static int choose_certificate(SSL *ssl, int *alert, void *argument) {
    (void)alert;
    const ps_tls *tls = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (size_t i = 0; name && i < tls->count; i++) {
        X509 *certificate = SSL_CTX_get0_certificate(tls->contexts[i]);
        if (X509_check_host(certificate, name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1) {
            if (i > 0) {
                SSL_set_SSL_CTX(ssl, tls->contexts[i]);
            }
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/* Which protocol (RFC 7301). Whoever names some but not ours would not understand us. */
static int choose_protocol(
    SSL *ssl, const unsigned char **out, unsigned char *out_count, const unsigned char *offered,
    unsigned int offered_count, void *argument) {
    (void)ssl;
    (void)argument;
    static const unsigned char ours[] = "\x08http/1.1";
    int found = SSL_select_next_proto(
        (unsigned char **)out, out_count, ours, sizeof ours - 1, offered, offered_count);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int prepare_ticket(
    SSL *ssl, unsigned char *name, unsigned char *vector, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, int seals) {
    ps_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    return ps_tickets_prepare(&tls->tickets, name, vector, cipher, mac, seals);
}

/* ---- Settings ---- */

/* TLS 1.2 with forward secrecy and an authenticated cipher, or 1.3. What a machine's openssl.cnf
 * says does not weaken it. The client chooses among the ciphers: it knows which it has hardware for. */
static bool set_up(ps_tls *tls, SSL_CTX *context, uint32_t ticket_period_s) {
    SSL_CTX_set_security_level(context, 2);
    SSL_CTX_set_options(
        context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_clear_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* An idle connection keeps no buffers, a moving one borrows its from malloc. */
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets alone */
    SSL_CTX_set_timeout(context, (long)ticket_period_s);
    SSL_CTX_set_tlsext_servername_callback(context, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    SSL_CTX_set_app_data(context, tls);
    return SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1
        && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1
        && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20") == 1
        && SSL_CTX_set_num_tickets(context, 1) == 1
        && SSL_CTX_set_session_id_context(context, (const unsigned char *)"pollstream", 10) == 1
        && SSL_CTX_set_tlsext_ticket_key_evp_cb(context, prepare_ticket) == 1;
}

static int out_of_memory(char *problem, size_t problem_bytes) {
    snprintf(problem, problem_bytes, "there is not enough memory for a certificate");
    return PS_SYSTEM;
}

int ps_tls_add(
    ps_tls *tls, const char *certificate_path, const char *key_path, char *problem,
    size_t problem_bytes) {
    SSL_CTX **contexts = realloc(tls->contexts, (tls->count + 1) * sizeof *contexts);
    if (!contexts) {
        return out_of_memory(problem, problem_bytes);
    }
    tls->contexts = contexts;
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    uint32_t period_s = (uint32_t)(tls->tickets.period_ns / 1000000000u);
    if (!context || !set_up(tls, context, period_s)) {
        SSL_CTX_free(context);
        ERR_clear_error();
        return out_of_memory(problem, problem_bytes);
    }
    if (!ps_tls_load(context, certificate_path, key_path, problem, problem_bytes)) {
        SSL_CTX_free(context);
        return PS_SYSTEM;
    }
    tls->contexts[tls->count++] = context;
    return PS_OK;
}

static int64_t unix_seconds(const ASN1_TIME *time) {
    struct tm parts;
    return ASN1_TIME_to_tm(time, &parts) == 1 ? (int64_t)timegm(&parts) : 0;
}

void ps_tls_validity(const ps_tls *tls, size_t index, int64_t *from, int64_t *until) {
    assert(index < tls->count);
    const X509 *certificate = SSL_CTX_get0_certificate(tls->contexts[index]);
    *from = unix_seconds(X509_get0_notBefore(certificate));
    *until = unix_seconds(X509_get0_notAfter(certificate));
}

/* ---- Life ---- */

ps_tls *ps_tls_create(uint32_t ticket_period_s) {
    ps_tls *tls = calloc(1, sizeof *tls);
    if (!tls) {
        return NULL;
    }
    atomic_init(&tls->references, 1);
    if (!ps_tickets_init(&tls->tickets, ticket_period_s)) {
        ps_tls_release(tls);
        return NULL;
    }
    return tls;
}

void ps_tls_retain(ps_tls *tls) {
    atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
}

void ps_tls_release(ps_tls *tls) {
    /* What others did with it comes before its end: release, and acquire for the last. */
    if (atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1) {
        return;
    }
    for (size_t i = 0; i < tls->count; i++) {
        SSL_CTX_free(tls->contexts[i]);
    }
    free(tls->contexts);
    ps_tickets_destroy(&tls->tickets);
    free(tls);
}

SSL *ps_tls_open(const ps_tls *tls) {
    assert(tls->count > 0);
    SSL *ssl = SSL_new(tls->contexts[0]);
    if (ssl) {
        SSL_set_accept_state(ssl);
    }
    return ssl;
}
