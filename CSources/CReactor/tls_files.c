#include "tls_files.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

struct problem {
    char *text;
    size_t bytes;
};

/* Writes "PATH what[: why]". Returns false. */
static bool fail(struct problem problem, const char *path, const char *what, const char *why) {
    snprintf(
        problem.text, problem.bytes, "%s %s%s%s", path, what, why ? ": " : "", why ? why : "");
    return false;
}

/* What OpenSSL found wrong last, in its words. */
static const char *openssl_reason(void) {
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason ? reason : "OpenSSL does not say why";
}

static BIO *open_file(const char *path, struct problem problem) {
    errno = 0;
    BIO *file = BIO_new_file(path, "r");
    if (!file) {
        char text[128];
        fail(problem, path, "cannot be read", strerror_r(errno, text, sizeof text));
    }
    return file;
}

/* Whether the last read failed because nothing of the kind is (or follows) in the file. */
static bool found_nothing(void) {
    unsigned long error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

/* The certificates that follow the first: those that lead from it to one that clients know. */
static bool read_chain(SSL_CTX *context, BIO *file, const char *path, struct problem problem) {
    for (;;) {
        ERR_clear_error();
        X509 *certificate = PEM_read_bio_X509(file, NULL, NULL, NULL);
        if (!certificate) {
            return found_nothing()
                || fail(problem, path, "holds a broken certificate", openssl_reason());
        }
        if (SSL_CTX_add0_chain_cert(context, certificate) != 1) {
            X509_free(certificate);
            return fail(problem, path, "holds a certificate of no use", openssl_reason());
        }
    }
}

static bool load_certificate(SSL_CTX *context, const char *path, struct problem problem) {
    BIO *file = open_file(path, problem);
    if (!file) {
        return false;
    }
    X509 *certificate = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL);
    bool good = false;
    if (!certificate && found_nothing()) {
        fail(problem, path, "holds no PEM certificate", NULL);
    } else if (!certificate) {
        fail(problem, path, "holds a broken certificate", openssl_reason());
    } else if (SSL_CTX_use_certificate(context, certificate) != 1) {
        fail(problem, path, "holds a certificate of no use", openssl_reason());
    } else {
        good = read_chain(context, file, path, problem);
    }
    X509_free(certificate); /* the context has taken a reference */
    BIO_free(file);
    return good;
}

/* Nobody is there to be asked for a passphrase. */
static int refuse_passphrase(char *buffer, int size, int is_writing, void *was_asked) {
    (void)buffer;
    (void)size;
    (void)is_writing;
    *(bool *)was_asked = true;
    return -1;
}

static bool load_key(
    SSL_CTX *context, const char *path, const char *certificate_path, struct problem problem) {
    BIO *file = open_file(path, problem);
    if (!file) {
        return false;
    }
    bool is_encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, refuse_passphrase, &is_encrypted);
    bool good = false;
    if (is_encrypted) {
        fail(problem, path, "is encrypted; give a key without a passphrase", NULL);
    } else if (!key) {
        fail(problem, path, "holds no PEM private key", NULL);
    } else if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1) {
        fail(problem, path, "does not belong to its certificate", certificate_path);
    } else if (SSL_CTX_use_PrivateKey(context, key) != 1) {
        fail(problem, path, "holds a key of no use", openssl_reason());
    } else {
        good = true;
    }
    EVP_PKEY_free(key);
    BIO_free(file);
    return good;
}

bool ps_tls_load(
    SSL_CTX *context, const char *certificate_path, const char *key_path, char *problem,
    size_t problem_bytes) {
    struct problem text = {problem, problem_bytes};
    ERR_clear_error();
    bool good = load_certificate(context, certificate_path, text)
        && load_key(context, key_path, certificate_path, text);
    ERR_clear_error();
    return good;
}
