/* X.509 certificates that the injector makes (RFC 5280): authorities, cross certificates,
 * certificates of servers; and their PEM texts.
 *
 * Pure: no file, no clock; times are seconds since 1970 and come as arguments.
 * Only readers of texts can fail.  Any other failure is a lack of memory or entropy, which ends the
 * process. */
#ifndef SQ_K8S_INJECTOR_CERT_H
#define SQ_K8S_INJECTOR_CERT_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/buf.h"
#include "core/err.h"

enum {
	SQ_CERT_NAMES_MAX = 32,        /* of a server */
	SQ_CERT_LIST_MAX = 32,         /* certificates in one text */
	SQ_CERT_TEXT_MAX = 256 * 1024, /* bytes of one text */
};

struct sq_cert_span {
	int64_t from_s, until_s;
};

/* The key of an issuer and its certificate. */
struct sq_cert_issuer {
	X509 *cert;
	EVP_PKEY *key;
};

/* A new ECDSA key on P-256. */
EVP_PKEY *sq_cert_key(void);
/* An authority that signs itself, of that common name. */
X509 *sq_cert_authority(const char *name, EVP_PKEY *key, struct sq_cert_span);
/* A certificate by 'by' for the name and key of 'subject', an authority. */
X509 *sq_cert_cross(X509 *subject, const struct sq_cert_issuer *by, struct sq_cert_span);
/* A certificate of a server with these DNS names; the first one is also its common name, if it is
 * short enough. */
X509 *sq_cert_server(const char *const *names, size_t n, EVP_PKEY *key,
    const struct sq_cert_issuer *by, struct sq_cert_span);

struct sq_cert_span sq_cert_span_of(const X509 *);
/* Whether a certificate and a key are of one pair. */
bool sq_cert_has_key(const X509 *, const EVP_PKEY *);
/* Whether two certificates are the same, byte for byte. */
bool sq_cert_same(const X509 *, const X509 *);
/* Whether a certificate names 'issuer' and its key as its signer; the signature is not checked. */
bool sq_cert_is_by(X509 *, X509 *issuer);
/* Whether a certificate has all of these names. */
bool sq_cert_names(X509 *, const char *const *names, size_t n);
/* Whether a client that trusts 'bundle' accepts 'cert' of a server at that time, with 'chain' (NULL:
 * none) sent behind it. */
bool sq_cert_verifies(X509 *cert, STACK_OF(X509) * chain, STACK_OF(X509) * bundle, int64_t at_s);

/* All certificates of a PEM text, in its order; NULL if it has none, has something
 * broken, or is above a limit. */
STACK_OF(X509) * sq_cert_read(const void *text, size_t len);
EVP_PKEY *sq_cert_read_key(const void *text, size_t len); /* or NULL */
/* Append PEM. */
void sq_cert_write(const X509 *, struct sq_buf *out);
void sq_cert_write_all(const STACK_OF(X509) *, struct sq_buf *out); /* NULL: nothing */
void sq_cert_write_key(const EVP_PKEY *, struct sq_buf *out);

#endif
