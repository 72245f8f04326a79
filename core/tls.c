/* TLS 1.3 contexts for the link; see core/tls.h. */
#include "core/tls.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

#include "core/file.h"

static const unsigned char alpn_h2[] = {2, 'h', '2'};
static const unsigned char alpn_both[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
static const unsigned char alpn_http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

static const struct sq_tls_alpn tls_alpn_both = {alpn_both, sizeof alpn_both};
const struct sq_tls_alpn sq_tls_alpn_http1 = {alpn_http1, sizeof alpn_http1};

void
sq_tls_reason(const SSL *ssl, struct sq_buf *out)
{
	long verify = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
	unsigned long e = ERR_get_error();
	const char *text = e != 0 ? ERR_reason_error_string(e) : NULL;

	if (verify != X509_V_OK)
		sq_buf_printf(out, "certificate: %s", X509_verify_cert_error_string(verify));
	else if (text != NULL)
		sq_buf_printf(out, "%s", text);
	else if (e != 0 && ERR_SYSTEM_ERROR(e))
		sq_buf_printf(out, "%s", strerror(ERR_GET_REASON(e)));
	else
		sq_buf_printf(out, "connection closed");
	ERR_clear_error();
}

/* What both sides have in common.  Sessions are not resumed: links live long
 * and tickets would cost each side memory. */
static SSL_CTX *
tls_new(const SSL_METHOD *method, struct sq_buf *err)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx,
		"TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
		"TLS_CHACHA20_POLY1305_SHA256") != 1 ||
	    SSL_CTX_set1_groups_list(ctx, "X25519:P-256") != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1) {
		sq_buf_printf(err, "TLS: ");
		sq_tls_reason(NULL, err);
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx,
	    SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
		SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_AUTO_RETRY);
	return ctx;
}

/* One line on why 'file', which the setting 'key' names and which should hold
 * 'what', was not taken. */
static void
tls_file_error(struct sq_buf *err, const char *key, const char *file, const char *what)
{
	unsigned long e = ERR_peek_error();
	int lib = ERR_GET_LIB(e), reason = ERR_GET_REASON(e);

	sq_buf_printf(err, "%s: %s: ", key, file);
	if (!ERR_SYSTEM_ERROR(e) &&
	    (lib == ERR_LIB_OSSL_DECODER || (lib == ERR_LIB_PEM && reason == PEM_R_NO_START_LINE)))
		sq_buf_printf(err, "no %s in PEM format in it", what);
	else if (lib == ERR_LIB_X509 && reason == X509_R_KEY_VALUES_MISMATCH)
		sq_buf_printf(err, "not the key of the certificate in tls.cert-file");
	else
		sq_tls_reason(NULL, err);
	ERR_clear_error();
}

/* Appends the file that the setting 'key' names to 'text'. */
static int
tls_read(const char *key, const char *file, struct sq_buf *text, struct sq_buf *err)
{
	int rc = sq_file_read(file, SQ_TLS_FILE_MAX, text);

	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s: %s", key, file, sq_file_reason(rc));
	return rc;
}

/* What every client context has, but for whom it trusts. */
static SSL_CTX *
tls_client_new(struct sq_buf *err)
{
	SSL_CTX *ctx = tls_new(TLS_client_method(), err);

	if (ctx == NULL)
		return NULL;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_alpn_protos(ctx, alpn_h2, sizeof alpn_h2) != 0) {
		sq_buf_printf(err, "TLS: out of memory");
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

/* Adds the certificates of 'pem' to the store; returns how many, -1 where one is broken. */
static int
tls_trust(X509_STORE *store, BIO *pem)
{
	X509 *cert;
	int n = 0;

	while ((cert = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL)) != NULL) {
		int ok = X509_STORE_add_cert(store, cert);

		X509_free(cert);
		if (ok != 1)
			return -1;
		n++;
	}
	/* The end of the text shows as the lack of one more. */
	return ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE ? n : -1;
}

SSL_CTX *
sq_tls_client_text(const char *source, const void *pem, size_t len, struct sq_buf *err)
{
	SSL_CTX *ctx = tls_client_new(err);
	BIO *bio = len > 0 && len <= INT_MAX ? BIO_new_mem_buf(pem, (int)len) : NULL;
	int n = 0;

	if (ctx == NULL) {
		BIO_free(bio);
		return NULL;
	}
	if (bio != NULL)
		n = tls_trust(SSL_CTX_get_cert_store(ctx), bio);
	BIO_free(bio);
	if (n <= 0) {
		sq_buf_printf(err, "%s: %s", source,
		    n == 0 ? "no certificate in PEM format in it"
			   : "a certificate in it is damaged");
		SSL_CTX_free(ctx);
		ctx = NULL;
	}
	ERR_clear_error();
	return ctx;
}

SSL_CTX *
sq_tls_client(const char *ca_file, struct sq_buf *err)
{
	struct sq_buf text = {0}, source = {0};
	SSL_CTX *ctx = NULL;

	if (ca_file == NULL) {
		ctx = tls_client_new(err);
		if (ctx != NULL && SSL_CTX_set_default_verify_paths(ctx) != 1) {
			tls_file_error(err, "tls.ca-file", "the system's", "certificate");
			SSL_CTX_free(ctx);
			ctx = NULL;
		}
		return ctx;
	}
	sq_buf_printf(&source, "tls.ca-file: %s%c", ca_file, 0);
	if (tls_read("tls.ca-file", ca_file, &text, err) == SQ_OK)
		ctx = sq_tls_client_text(
		    (char *)sq_buf_data(&source), sq_buf_data(&text), sq_buf_len(&text), err);
	sq_buf_fini(&source);
	sq_buf_fini(&text);
	return ctx;
}

/* Picks from the client's list what the server's 'arg' has first. */
static int
tls_select(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in,
    unsigned inlen, void *arg)
{
	const struct sq_tls_alpn *alpn = arg;
	unsigned char *at;

	(void)ssl;
	if (SSL_select_next_proto(&at, outlen, alpn->protocols, alpn->len, in, inlen) !=
	    OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*out = at;
	return SSL_TLSEXT_ERR_OK;
}

static void
tls_set_alpn(SSL_CTX *ctx, const struct sq_tls_alpn *alpn)
{
	SSL_CTX_set_alpn_select_cb(ctx, tls_select, (void *)(uintptr_t)alpn);
}

/* The server's certificate and what is sent behind it. */
static bool
tls_use_chain(SSL_CTX *ctx, BIO *pem)
{
	X509 *cert = PEM_read_bio_X509_AUX(pem, NULL, NULL, NULL);
	bool ok = cert != NULL && SSL_CTX_use_certificate(ctx, cert) == 1;

	X509_free(cert);
	while (ok && (cert = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
		ok = SSL_CTX_add0_chain_cert(ctx, cert) == 1;
		if (!ok)
			X509_free(cert);
	}
	/* The end of the text shows as the lack of one more. */
	if (ok && ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE)
		ERR_clear_error();
	return ok && ERR_peek_error() == 0;
}

static bool
tls_is_key(const char *name)
{
	static const char end[] = "PRIVATE KEY";
	size_t len = strlen(name);

	return len >= sizeof end - 1 && strcmp(name + len - (sizeof end - 1), end) == 0;
}

EVP_PKEY *
sq_tls_key(BIO *pem)
{
	const unsigned char *p;
	unsigned char *der;
	char *name, *header;
	EVP_PKEY *key = NULL;
	bool found = false;
	long len;

	/* PEM_read_bio_PrivateKey() leaves copies of the text behind. */
	while (!found && PEM_read_bio_ex(pem, &name, &header, &der, &len, PEM_FLAG_SECURE) == 1) {
		found = tls_is_key(name);
		p = der;
		if (found)
			key = d2i_AutoPrivateKey(NULL, &p, len);
		OPENSSL_secure_clear_free(der, (size_t)len);
		OPENSSL_secure_free(name);
		OPENSSL_secure_free(header);
	}
	return key;
}

static bool
tls_use_key(SSL_CTX *ctx, BIO *pem)
{
	EVP_PKEY *key = sq_tls_key(pem);
	bool ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1;

	EVP_PKEY_free(key);
	return ok;
}

/* Reads 'file' and has 'use' take it; 'what' should be in it.  The file may hold a secret. */
static bool
tls_use_file(SSL_CTX *ctx, const char *key, const char *file, const char *what,
    bool (*use)(SSL_CTX *, BIO *), struct sq_buf *err)
{
	struct sq_buf text = {0};
	bool ok = tls_read(key, file, &text, err) == SQ_OK;
	BIO *pem;

	if (ok) {
		ERR_clear_error();
		pem = BIO_new_mem_buf(sq_buf_data(&text), (int)sq_buf_len(&text));
		ok = pem != NULL && use(ctx, pem);
		if (!ok)
			tls_file_error(err, key, file, what);
		BIO_free(pem);
	}
	sq_buf_wipe(&text);
	return ok;
}

SSL_CTX *
sq_tls_pair(const char *cert_file, const char *key_file, struct sq_buf *err)
{
	SSL_CTX *ctx = tls_new(TLS_method(), err);

	if (ctx == NULL)
		return NULL;
	if (!tls_use_file(ctx, "tls.cert-file", cert_file, "certificate", tls_use_chain, err) ||
	    !tls_use_file(ctx, "tls.key-file", key_file, "private key", tls_use_key, err)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

SSL_CTX *
sq_tls_server(const char *cert_file, const char *key_file, struct sq_buf *err)
{
	SSL_CTX *ctx = sq_tls_pair(cert_file, key_file, err);

	if (ctx != NULL)
		tls_set_alpn(ctx, &tls_alpn_both);
	return ctx;
}

SSL_CTX *
sq_tls_server_with(const struct sq_tls_alpn *alpn, X509 *cert, STACK_OF(X509) * chain,
    EVP_PKEY *key, struct sq_buf *err)
{
	SSL_CTX *ctx = tls_new(TLS_server_method(), err);

	if (ctx == NULL)
		return NULL;
	if (SSL_CTX_use_cert_and_key(ctx, cert, key, chain, 1) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1) {
		sq_tls_reason(NULL, err);
		SSL_CTX_free(ctx);
		return NULL;
	}
	tls_set_alpn(ctx, alpn);
	return ctx;
}

int
sq_tls_set_peer(SSL *ssl, const char *host)
{
	unsigned char addr[16];
	int ok;

	if (*host == '\0')
		return SQ_EINVAL;
	if (inet_pton(AF_INET, host, addr) == 1 || inet_pton(AF_INET6, host, addr) == 1) {
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
	} else {
		SSL_set_hostflags(ssl, SQ_TLS_NAME_FLAGS);
		ok = SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
	}
	ERR_clear_error();
	return ok == 1 ? 0 : SQ_EINVAL;
}

/* In seconds since 1970; 0: it can't be told. */
static int64_t
tls_cert_end(const X509 *cert)
{
	struct tm tm;

	if (cert == NULL || ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm) != 1)
		return 0;
	return (int64_t)timegm(&tm);
}

int64_t
sq_tls_end(const SSL_CTX *ctx)
{
	return tls_cert_end(SSL_CTX_get0_certificate(ctx));
}

struct sq_tls_ends
sq_tls_trusted_ends(const SSL_CTX *ctx)
{
	const STACK_OF(X509_OBJECT) *all = X509_STORE_get0_objects(SSL_CTX_get_cert_store(ctx));
	struct sq_tls_ends ends = {0};

	for (int i = 0; i < sk_X509_OBJECT_num(all); i++) {
		int64_t end = tls_cert_end(X509_OBJECT_get0_X509(sk_X509_OBJECT_value(all, i)));

		if (end == 0)
			continue;
		if (ends.first == 0 || end < ends.first)
			ends.first = end;
		if (end > ends.last)
			ends.last = end;
	}
	return ends;
}

bool
sq_tls_is_h2(const SSL *ssl)
{
	const unsigned char *p;
	unsigned len;

	SSL_get0_alpn_selected(ssl, &p, &len);
	return len == 2 && memcmp(p, "h2", 2) == 0;
}
