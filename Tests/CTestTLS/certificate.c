#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "test_tls.h"

static bool add_extension(X509 *certificate, X509V3_CTX *context, int kind, const char *value) {
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);
    bool added = extension && X509_add_ext(certificate, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    return added;
}

static bool describe(
    X509 *certificate, X509 *issuer, EVP_PKEY *key, const tls_certificate_options *options) {
    int64_t serial;
    RAND_bytes((unsigned char *)&serial, sizeof serial);
    ASN1_INTEGER_set_int64(X509_get_serialNumber(certificate), serial >> 2 & INT64_MAX);
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), (long)options->from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)options->until_s);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(
        name, "CN", MBSTRING_ASC, (const unsigned char *)options->name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(certificate, key);
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer ? issuer : certificate, certificate, NULL, NULL, 0);
    return options->alternatives
        ? add_extension(certificate, &context, NID_subject_alt_name, options->alternatives)
        : add_extension(certificate, &context, NID_basic_constraints, "critical,CA:TRUE");
}

static EVP_PKEY *read_key(const char *path) {
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;
    if (file) {
        fclose(file);
    }
    return key;
}

static X509 *read_certificate(const char *path) {
    FILE *file = fopen(path, "r");
    X509 *certificate = file ? PEM_read_X509(file, NULL, NULL, NULL) : NULL;
    if (file) {
        fclose(file);
    }
    return certificate;
}

static bool write_files(
    X509 *certificate, EVP_PKEY *key, const tls_certificate_options *options) {
    FILE *file = fopen(options->certificate_path, "w");
    bool written = file && PEM_write_X509(file, certificate) == 1;
    written = file && fclose(file) == 0 && written;
    file = fopen(options->key_path, "w");
    const EVP_CIPHER *cipher = options->passphrase ? EVP_aes_128_cbc() : NULL;
    written = file && written
        && PEM_write_PrivateKey(
               file, key, cipher, NULL, 0, NULL, (void *)options->passphrase) == 1;
    return file && fclose(file) == 0 && written;
}

bool tls_make_certificate(const tls_certificate_options *options) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    X509 *issuer = options->issuer_path ? read_certificate(options->issuer_path) : NULL;
    EVP_PKEY *issuer_key = options->issuer_path ? read_key(options->issuer_key_path) : NULL;
    bool good = key && certificate && (!options->issuer_path || (issuer && issuer_key))
        && describe(certificate, issuer, key, options)
        && X509_sign(certificate, issuer_key ? issuer_key : key, EVP_sha256()) > 0
        && write_files(certificate, key, options);
    EVP_PKEY_free(issuer_key);
    X509_free(issuer);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return good;
}
