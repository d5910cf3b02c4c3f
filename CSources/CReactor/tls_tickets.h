/* The keys that seal session tickets (RFC 5077, RFC 8446 §4.6.1). A ticket holds the session, so
 * nothing of a client that went away is kept here. */
#ifndef PS_TLS_TICKETS_H
#define PS_TLS_TICKETS_H

#include <openssl/evp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct ps_ticket_key {
    uint8_t name[16];
    uint8_t cipher_key[32];
    uint8_t mac_key[32];
};

struct ps_tickets {
    pthread_mutex_t mutex; /* guards all below: handshakes of all loops come here */
    uint64_t period_ns;
    uint64_t since_ns; /* that `current` seals */
    struct ps_ticket_key current, previous;
};

/* Returns: false without random bytes. */
bool ps_tickets_init(struct ps_tickets *tickets, uint32_t period_s);
void ps_tickets_destroy(struct ps_tickets *tickets);

/* Makes OpenSSL's contexts ready to seal (`seals`) or open a ticket; writes, or reads, the name of
 * the key and the initialization vector. One that is opened is replaced by another.
 *
 * Thread:    any.
 * Returns:   as SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants it: 0 where no key opens it, -1 on
 *            failure. */
int ps_tickets_prepare(
    struct ps_tickets *tickets, uint8_t *name, uint8_t *vector, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, bool seals);

#endif
