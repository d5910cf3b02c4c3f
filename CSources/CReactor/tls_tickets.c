#include "tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <string.h>

#include "loop.h"

static bool make_key(struct ps_ticket_key *key) {
    return RAND_bytes(key->name, sizeof key->name) == 1
        && RAND_priv_bytes(key->cipher_key, sizeof key->cipher_key) == 1
        && RAND_priv_bytes(key->mac_key, sizeof key->mac_key) == 1;
}

bool ps_tickets_init(struct ps_tickets *tickets, uint32_t period_s) {
    pthread_mutex_init(&tickets->mutex, NULL);
    tickets->period_ns = (uint64_t)period_s * 1000000000u;
    tickets->since_ns = ps_monotonic_ns();
    /* A key before the first, too: else a name of zeros would name one that everybody knows. */
    return make_key(&tickets->current) && make_key(&tickets->previous);
}

void ps_tickets_destroy(struct ps_tickets *tickets) {
    pthread_mutex_destroy(&tickets->mutex);
    OPENSSL_cleanse(&tickets->current, sizeof tickets->current);
    OPENSSL_cleanse(&tickets->previous, sizeof tickets->previous);
}

/* Keys change when somebody needs one: without handshakes there is nothing to seal. */
static bool rotate(struct ps_tickets *tickets) {
    uint64_t now_ns = ps_monotonic_ns();
    uint64_t age_ns = now_ns - tickets->since_ns;
    if (age_ns < tickets->period_ns) {
        return true;
    }
    struct ps_ticket_key next;
    if (!make_key(&next)) {
        return false;
    }
    bool is_recent = age_ns < 2 * tickets->period_ns;
    tickets->previous = tickets->current;
    tickets->current = next;
    tickets->since_ns = now_ns;
    OPENSSL_cleanse(&next, sizeof next);
    return is_recent || make_key(&tickets->previous); /* it lay unused for too long */
}

/* Copies the key to use. Returns 1; 0 where none has this name, -1 on failure. */
static int find_key(
    struct ps_tickets *tickets, const uint8_t *name, bool seals, struct ps_ticket_key *key) {
    int result = 0;
    pthread_mutex_lock(&tickets->mutex);
    if (!rotate(tickets)) {
        result = -1;
    } else if (seals || memcmp(name, tickets->current.name, sizeof key->name) == 0) {
        *key = tickets->current;
        result = 1;
    } else if (memcmp(name, tickets->previous.name, sizeof key->name) == 0) {
        *key = tickets->previous;
        result = 1;
    }
    pthread_mutex_unlock(&tickets->mutex);
    return result;
}

static bool set_mac_key(EVP_MAC_CTX *mac, struct ps_ticket_key *key) {
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(
            OSSL_MAC_PARAM_KEY, key->mac_key, sizeof key->mac_key),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int ps_tickets_prepare(
    struct ps_tickets *tickets, uint8_t *name, uint8_t *vector, EVP_CIPHER_CTX *cipher,
    EVP_MAC_CTX *mac, bool seals) {
    struct ps_ticket_key key;
    int result = find_key(tickets, name, seals, &key);
    if (result != 1) {
        return result;
    }
    const EVP_CIPHER *kind = EVP_aes_256_cbc();
    bool ready = set_mac_key(mac, &key);
    if (seals) {
        memcpy(name, key.name, sizeof key.name);
        ready = ready && RAND_bytes(vector, EVP_CIPHER_get_iv_length(kind)) == 1
            && EVP_EncryptInit_ex(cipher, kind, NULL, key.cipher_key, vector) == 1;
    } else {
        ready = ready && EVP_DecryptInit_ex(cipher, kind, NULL, key.cipher_key, vector) == 1;
    }
    OPENSSL_cleanse(&key, sizeof key);
    /* A ticket that is used again shows that two connections are one client's (RFC 8446 §C.4). */
    enum { SEALED = 1, OPENED_AND_TO_BE_REPLACED = 2 };
    return !ready ? -1 : seals ? SEALED : OPENED_AND_TO_BE_REPLACED;
}
