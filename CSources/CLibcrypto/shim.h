#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

/* A macro of other macros' bits, which Swift does not see. */
static inline int ps_public_key_selection(void) {
    return EVP_PKEY_PUBLIC_KEY;
}
