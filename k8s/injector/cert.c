/* Certificates by OpenSSL; see k8s/injector/cert.h. */
#include "k8s/injector/cert.h"

#include <assert.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"

enum {
	CERT_SERIAL_BITS = 127, /* positive, at most 20 bytes (RFC 5280 §4.1.2.2) */
	CERT_NAME_MAX = 64,     /* ub-common-name */
};

/* OpenSSL has no memory or no entropy: nothing to go on with. */
static void
cert_must(bool ok)
{
	if (ok)
		return;
	sq_log(SQ_LOG_ERROR, "certificates", "OpenSSL: %s",
	    ERR_reason_error_string(ERR_peek_error()) != NULL
		? ERR_reason_error_string(ERR_peek_error())
		: "failed");
	abort();
}

/* ---- making ---- */

EVP_PKEY *
sq_cert_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	cert_must(key != NULL);
	return key;
}

static void
cert_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&ctx);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	cert_must(ext != NULL && X509_add_ext(cert, ext, -1) == 1);
	X509_EXTENSION_free(ext);
}

static void
cert_set_serial(X509 *cert)
{
	BIGNUM *n = BN_new();

	cert_must(n != NULL &&
	    BN_rand(n, CERT_SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != NULL);
	BN_free(n);
}

/* What all have: version 3, serial, validity, names, key and its identifiers.
 * 'issuer' NULL: itself. */
static X509 *
cert_begin(const X509_NAME *subject, EVP_PKEY *key, X509 *issuer, struct sq_cert_span span)
{
	X509 *cert = X509_new();

	cert_must(cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1);
	cert_set_serial(cert);
	cert_must(ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)span.from_s) != NULL &&
	    ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)span.until_s) != NULL &&
	    X509_set_subject_name(cert, subject) == 1 &&
	    X509_set_issuer_name(cert, issuer != NULL ? X509_get_subject_name(issuer) : subject) ==
		1 &&
	    X509_set_pubkey(cert, key) == 1);
	cert_extend(cert, issuer != NULL ? issuer : cert, NID_subject_key_identifier, "hash");
	cert_extend(
	    cert, issuer != NULL ? issuer : cert, NID_authority_key_identifier, "keyid:always");
	return cert;
}

static X509 *
cert_sign(X509 *cert, EVP_PKEY *by)
{
	cert_must(X509_sign(cert, by, EVP_sha256()) > 0);
	return cert;
}

/* What an authority may do: sign certificates of servers and, by way of a cross
 * certificate, of its successor. */
static void
cert_extend_authority(X509 *cert, X509 *issuer)
{
	cert_extend(cert, issuer, NID_basic_constraints, "critical,CA:TRUE");
	cert_extend(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
}

static X509_NAME *
cert_name(const char *common)
{
	X509_NAME *name = X509_NAME_new();

	cert_must(name != NULL);
	if (strlen(common) <= CERT_NAME_MAX)
		cert_must(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
			      (const unsigned char *)common, -1, -1, 0) == 1);
	return name;
}

X509 *
sq_cert_authority(const char *common, EVP_PKEY *key, struct sq_cert_span span)
{
	X509_NAME *name = cert_name(common);
	X509 *cert = cert_begin(name, key, NULL, span);

	cert_extend_authority(cert, cert);
	X509_NAME_free(name);
	return cert_sign(cert, key);
}

X509 *
sq_cert_cross(X509 *subject, const struct sq_cert_issuer *by, struct sq_cert_span span)
{
	X509 *cert = cert_begin(
	    X509_get_subject_name(subject), X509_get0_pubkey(subject), by->cert, span);

	cert_extend_authority(cert, by->cert);
	return cert_sign(cert, by->key);
}

static void
cert_add_names(X509 *cert, const char *const *names, size_t n)
{
	GENERAL_NAMES *list = GENERAL_NAMES_new();

	cert_must(list != NULL);
	for (size_t i = 0; i < n; i++) {
		GENERAL_NAME *name = GENERAL_NAME_new();
		ASN1_IA5STRING *text = ASN1_IA5STRING_new();

		cert_must(name != NULL && text != NULL && ASN1_STRING_set(text, names[i], -1) == 1);
		GENERAL_NAME_set0_value(name, GEN_DNS, text);
		cert_must(sk_GENERAL_NAME_push(list, name) > 0);
	}
	/* Critical where the subject is empty (RFC 5280 §4.2.1.6). */
	cert_must(
	    X509_add1_ext_i2d(cert, NID_subject_alt_name, list,
		X509_NAME_entry_count(X509_get_subject_name(cert)) == 0, X509V3_ADD_DEFAULT) == 1);
	GENERAL_NAMES_free(list);
}

X509 *
sq_cert_server(const char *const *names, size_t n, EVP_PKEY *key, const struct sq_cert_issuer *by,
    struct sq_cert_span span)
{
	X509_NAME *name;
	X509 *cert;

	assert(n > 0 && n <= SQ_CERT_NAMES_MAX);
	name = cert_name(names[0]);
	cert = cert_begin(name, key, by->cert, span);
	cert_extend(cert, by->cert, NID_basic_constraints, "critical,CA:FALSE");
	cert_extend(cert, by->cert, NID_key_usage, "critical,digitalSignature");
	cert_extend(cert, by->cert, NID_ext_key_usage, "serverAuth");
	cert_add_names(cert, names, n);
	X509_NAME_free(name);
	return cert_sign(cert, by->key);
}

/* ---- looking ---- */

static int64_t
cert_time(const ASN1_TIME *t)
{
	struct tm tm;

	return ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

struct sq_cert_span
sq_cert_span_of(const X509 *cert)
{
	return (struct sq_cert_span){
	    cert_time(X509_get0_notBefore(cert)), cert_time(X509_get0_notAfter(cert))};
}

bool
sq_cert_has_key(const X509 *cert, const EVP_PKEY *key)
{
	EVP_PKEY *of = X509_get0_pubkey(cert);

	return of != NULL && key != NULL && EVP_PKEY_eq(of, key) == 1;
}

bool
sq_cert_same(const X509 *a, const X509 *b)
{
	return X509_cmp(a, b) == 0;
}

bool
sq_cert_is_by(X509 *cert, X509 *issuer)
{
	return X509_check_issued(issuer, cert) == X509_V_OK;
}

bool
sq_cert_names(X509 *cert, const char *const *names, size_t n)
{
	GENERAL_NAMES *list = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t found = 0;

	for (size_t i = 0; i < n; i++) {
		bool has = false;

		for (int j = 0; j < sk_GENERAL_NAME_num(list) && !has; j++) {
			const GENERAL_NAME *name = sk_GENERAL_NAME_value(list, j);
			const ASN1_IA5STRING *text = name->type == GEN_DNS ? name->d.dNSName : NULL;

			has = text != NULL &&
			    (size_t)ASN1_STRING_length(text) == strlen(names[i]) &&
			    memcmp(ASN1_STRING_get0_data(text), names[i], strlen(names[i])) == 0;
		}
		found += has;
	}
	GENERAL_NAMES_free(list);
	return found == n;
}

bool
sq_cert_verifies(X509 *cert, STACK_OF(X509) * chain, STACK_OF(X509) * bundle, int64_t at_s)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	bool ok;

	cert_must(ctx != NULL && store != NULL);
	for (int i = 0; i < sk_X509_num(bundle); i++)
		cert_must(X509_STORE_add_cert(store, sk_X509_value(bundle, i)) == 1);
	cert_must(X509_STORE_CTX_init(ctx, store, cert, chain) == 1 &&
	    X509_STORE_CTX_set_default(ctx, "ssl_server") == 1);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)at_s);
	ok = X509_verify_cert(ctx) == 1;
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	ERR_clear_error();
	return ok;
}

/* ---- texts ---- */

/* No passphrase: a key that needs one is unusable. */
static int
cert_no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)arg;
	return -1;
}

static bool
cert_is_end(void)
{
	unsigned long e = ERR_peek_last_error();

	return ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
}

STACK_OF(X509) * sq_cert_read(const void *text, size_t len)
{
	STACK_OF(X509) * list;
	BIO *in;
	X509 *cert;
	bool good;

	if (len == 0 || len > SQ_CERT_TEXT_MAX)
		return NULL;
	list = sk_X509_new_null();
	in = BIO_new_mem_buf(text, (int)len);
	cert_must(list != NULL && in != NULL);
	ERR_clear_error();
	while (sk_X509_num(list) <= SQ_CERT_LIST_MAX &&
	    (cert = PEM_read_bio_X509(in, NULL, cert_no_password, NULL)) != NULL)
		cert_must(sk_X509_push(list, cert) > 0);
	good = sk_X509_num(list) > 0 && sk_X509_num(list) <= SQ_CERT_LIST_MAX && cert_is_end();
	ERR_clear_error();
	BIO_free(in);
	if (good)
		return list;
	sk_X509_pop_free(list, X509_free);
	return NULL;
}

EVP_PKEY *
sq_cert_read_key(const void *text, size_t len)
{
	EVP_PKEY *key;
	BIO *in;

	if (len == 0 || len > SQ_CERT_TEXT_MAX)
		return NULL;
	in = BIO_new_mem_buf(text, (int)len);
	cert_must(in != NULL);
	key = sq_tls_key(in);
	BIO_free(in);
	ERR_clear_error();
	return key;
}

/* Takes what was written to 'bio' and frees it, with no copy of it left behind. */
static void
cert_written(BIO *bio, struct sq_buf *out)
{
	char *text;
	long len = BIO_get_mem_data(bio, &text);

	sq_buf_append(out, text, (size_t)len);
	OPENSSL_cleanse(text, (size_t)len);
	BIO_free(bio);
}

void
sq_cert_write(const X509 *cert, struct sq_buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cert_must(bio != NULL && PEM_write_bio_X509(bio, cert) == 1);
	cert_written(bio, out);
}

void
sq_cert_write_all(const STACK_OF(X509) * list, struct sq_buf *out)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		sq_cert_write(sk_X509_value(list, i), out);
}

void
sq_cert_write_key(const EVP_PKEY *key, struct sq_buf *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	cert_must(
	    bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	cert_written(bio, out);
}
