/* Certificates and keys in files. */
#ifndef PS_TLS_FILES_H
#define PS_TLS_FILES_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

/* Gives `context` the certificate, the chain behind it in its file, and the key.
 *
 * Thread:    any.
 * Ownership: borrows all.
 * Returns:   false, and `problem` names the file that is unusable and says why. */
bool ps_tls_load(
    SSL_CTX *context, const char *certificate_path, const char *key_path, char *problem,
    size_t problem_bytes);

#endif
