#include "proxy_tls.h"

#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORD = 16384, OUT = 512 * 1024 };

struct sq_proxy_tls {
	SSL *ssl;
	const unsigned char *in; /* of the call, not yet taken by OpenSSL */
	size_t in_len;
};

static SSL_CTX *server_ctx, *client_ctx;
static BIO_METHOD *method;
static unsigned char out[OUT]; /* of the call */
static size_t out_len;

static void
tls_die(const char *what)
{
	fprintf(stderr, "sqmqos-bench-proxy: TLS: %s\n", what);
	exit(3);
}

static int
tls_bio_write(BIO *bio, const char *p, int len)
{
	(void)bio;
	if (len < 0 || (size_t)len > OUT - out_len)
		return -1;
	memcpy(out + out_len, p, (size_t)len);
	out_len += (size_t)len;
	return len;
}

static int
tls_bio_read(BIO *bio, char *p, int len)
{
	struct sq_proxy_tls *t = BIO_get_data(bio);
	size_t n = len > 0 ? (size_t)len : 0;

	BIO_clear_retry_flags(bio);
	if (t->in_len == 0) {
		BIO_set_retry_read(bio);
		return -1;
	}
	if (n > t->in_len)
		n = t->in_len;
	memcpy(p, t->in, n);
	t->in += n;
	t->in_len -= n;
	return (int)n;
}

static long
tls_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)bio, (void)num, (void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static SSL_CTX *
tls_ctx(const SSL_METHOD *of)
{
	SSL_CTX *ctx = SSL_CTX_new(of);

	if (ctx == NULL || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_128_GCM_SHA256") != 1 ||
	    SSL_CTX_set_num_tickets(ctx, 0) != 1)
		tls_die("no context");
	return ctx;
}

void
sq_proxy_tls_serve(const char *cert_file, const char *key_file)
{
	server_ctx = tls_ctx(TLS_server_method());
	if (SSL_CTX_use_certificate_chain_file(server_ctx, cert_file) != 1 ||
	    SSL_CTX_use_PrivateKey_file(server_ctx, key_file, SSL_FILETYPE_PEM) != 1)
		tls_die("no certificate with its key");
}

struct sq_proxy_tls *
sq_proxy_tls_new(bool server)
{
	struct sq_proxy_tls *t = calloc(1, sizeof *t);
	BIO *bio;

	if (!server && client_ctx == NULL)
		client_ctx = tls_ctx(TLS_client_method());
	if (method == NULL) {
		method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "proxy");
		(void)BIO_meth_set_write(method, tls_bio_write);
		(void)BIO_meth_set_read(method, tls_bio_read);
		(void)BIO_meth_set_ctrl(method, tls_bio_ctrl);
	}
	bio = BIO_new(method);
	if (t == NULL || bio == NULL ||
	    (t->ssl = SSL_new(server ? server_ctx : client_ctx)) == NULL)
		tls_die("out of memory");
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	if (server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	return t;
}

void
sq_proxy_tls_free(struct sq_proxy_tls *t)
{
	if (t != NULL)
		SSL_free(t->ssl);
	free(t);
}

bool
sq_proxy_tls_open(const struct sq_proxy_tls *t)
{
	return SSL_is_init_finished(t->ssl);
}

long
sq_proxy_tls_take(struct sq_proxy_tls *t, const unsigned char *p, size_t n, unsigned char *to)
{
	long have = 0;
	int rc;

	t->in = p;
	t->in_len = n;
	out_len = 0;
	if (!sq_proxy_tls_open(t)) {
		rc = SSL_do_handshake(t->ssl);
		if (rc != 1)
			return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : -1;
	}
	while ((rc = SSL_read(t->ssl, to + have, RECORD)) > 0)
		have += rc;
	return SSL_get_error(t->ssl, rc) == SSL_ERROR_WANT_READ ? have : -1;
}

bool
sq_proxy_tls_seal(struct sq_proxy_tls *t, const unsigned char *p, size_t n)
{
	out_len = 0;
	return SSL_write(t->ssl, p, (int)n) == (int)n;
}

const unsigned char *
sq_proxy_tls_sealed(struct sq_proxy_tls *t, size_t *n)
{
	(void)t;
	*n = out_len;
	return out;
}
