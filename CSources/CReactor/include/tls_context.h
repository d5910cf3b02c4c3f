/* What a TLS handshake needs to know: certificates, keys, protocol versions. Shared by all loops. */
#ifndef PS_TLS_CONTEXT_H
#define PS_TLS_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_tls ps_tls;

/* Without a certificate yet; `ticket_period_s` is how long one key seals session tickets. It opens
 * them for as long again, and then no session can be resumed that it knew.
 *
 * Thread:    any.
 * Ownership: caller; one reference.
 * Returns:   NULL without memory, or without random bytes. */
ps_tls *ps_tls_create(uint32_t ticket_period_s);

/* Reads a certificate with the chain behind it, and its key, both PEM. Of several, a client gets
 * the first that is valid for the name it asks for (SNI), or the first of all.
 *
 * Thread:    the creator's, before the first loop uses it.
 * Ownership: borrows the paths; nothing of the files is kept open.
 * Returns:   PS_OK; else PS_SYSTEM, and `problem` says which file is unusable and why. */
int ps_tls_add(
    ps_tls *tls, const char *certificate_path, const char *key_path, char *problem,
    size_t problem_bytes);

/* When the certificate of this index is valid, in Unix seconds.
 *
 * Thread:    any. */
void ps_tls_validity(const ps_tls *tls, size_t index, int64_t *from, int64_t *until);

/* Counted; the last release frees it. Sockets count as well, so that one whose handshake began with
 * it may end with it.
 *
 * Thread:    any. */
void ps_tls_retain(ps_tls *tls);
void ps_tls_release(ps_tls *tls);

#endif
