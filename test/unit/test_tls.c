/* core/tls: handshakes between our contexts, and with peers that lack what the
 * link requires.  Certificates are made by openssl(1) in a folder of each test. */
#include <criterion/criterion.h>

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/tls.h"

static char dir[] = "/tmp/sq_test_tls_XXXXXX";
static struct sq_buf err;

static const char *
file(const char *name)
{
	static char paths[4][100];
	static unsigned i;

	i = (i + 1) % 4;
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

static void
setup(void)
{
	char cmd[800];

	cr_assert_not_null(mkdtemp(dir));
	snprintf(cmd, sizeof cmd,
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=test -addext subjectAltName=DNS:broker.test,IP:127.0.0.1 "
	    "-keyout key.pem -out cert.pem 2>/dev/null && "
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=other -keyout other-key.pem -out other.pem 2>/dev/null",
	    dir);
	cr_assert_eq(system(cmd), 0);
}

static void
tidy(void)
{
	static const char *const names[] = {"key.pem", "cert.pem", "other-key.pem", "other.pem"};

	for (size_t i = 0; i < 4; i++)
		unlink(file(names[i]));
	rmdir(dir);
	sq_buf_fini(&err);
}

TestSuite(tls, .init = setup, .fini = tidy);

static const char *
error(void)
{
	sq_buf_u8(&err, 0);
	return (const char *)sq_buf_data(&err);
}

/* One handshake over a pair of memory BIOs. */
struct pair {
	SSL *client, *server;
};

static struct pair
pair_new(SSL_CTX *client, SSL_CTX *server)
{
	struct pair p = {SSL_new(client), SSL_new(server)};
	BIO *a, *b;

	cr_assert_eq(BIO_new_bio_pair(&a, 0, &b, 0), 1);
	SSL_set_bio(p.client, a, a);
	SSL_set_bio(p.server, b, b);
	SSL_set_connect_state(p.client);
	SSL_set_accept_state(p.server);
	return p;
}

/* True if both sides come through. */
static bool
pair_shake(struct pair *p)
{
	int c = 0, s = 0;

	for (int i = 0; i < 10 && (c != 1 || s != 1); i++) {
		c = SSL_do_handshake(p->client);
		if (c != 1 && SSL_get_error(p->client, c) != SSL_ERROR_WANT_READ) {
			sq_buf_fini(&err);
			sq_tls_reason(p->client, &err);
			return false;
		}
		s = SSL_do_handshake(p->server);
		if (s != 1 && SSL_get_error(p->server, s) != SSL_ERROR_WANT_READ) {
			sq_buf_fini(&err);
			sq_tls_reason(NULL, &err);
			return false;
		}
	}
	return c == 1 && s == 1;
}

static void
pair_free(struct pair *p)
{
	SSL_free(p->client);
	SSL_free(p->server);
}

/* Whether a client that trusts 'ca' and expects 'host' gets through to a server of 'cert'. */
static bool
shakes_with(const char *ca, const char *host, const char *cert, const char *key)
{
	SSL_CTX *client = sq_tls_client(file(ca), &err);
	SSL_CTX *server = sq_tls_server(file(cert), file(key), &err);
	struct pair p;
	bool ok;

	cr_assert(client != NULL && server != NULL, "%s", error());
	p = pair_new(client, server);
	cr_assert_eq(sq_tls_set_peer(p.client, host), 0);
	ok = pair_shake(&p);
	if (ok) {
		cr_assert_eq(SSL_version(p.client), TLS1_3_VERSION);
		cr_assert(sq_tls_is_h2(p.client) && sq_tls_is_h2(p.server));
	}
	pair_free(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return ok;
}

static bool
shakes(const char *ca, const char *host)
{
	return shakes_with(ca, host, "cert.pem", "key.pem");
}

/* RFC 9525 §2: a name in the subject is none. */
Test(tls, name_in_the_subject_alone_is_refused)
{
	cr_assert(!shakes_with("other.pem", "other", "other.pem", "other-key.pem"));
	cr_assert_not_null(strstr(error(), "certificate: hostname mismatch"), "%s", error());
	cr_assert(!shakes("cert.pem", "test"), "nor beside one of subjectAltName");
}

Test(tls, ends_of_certificates_are_known)
{
	SSL_CTX *server = sq_tls_server(file("cert.pem"), file("key.pem"), &err);
	SSL_CTX *client = sq_tls_client(file("other.pem"), &err);
	struct sq_tls_ends ends = sq_tls_trusted_ends(client), none = sq_tls_trusted_ends(server);
	int64_t in_two_days = (int64_t)time(NULL) + 2 * 86400;

	cr_assert_leq(llabs(sq_tls_end(server) - in_two_days), 60);
	cr_assert_leq(llabs(ends.first - in_two_days), 60);
	cr_assert_eq(ends.first, ends.last);
	cr_assert_eq(sq_tls_end(client), 0);
	cr_assert(none.first == 0 && none.last == 0);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

Test(tls, known_server_of_the_right_name_or_address_is_accepted)
{
	cr_assert(shakes("cert.pem", "broker.test"));
	cr_assert(shakes("cert.pem", "127.0.0.1"));
}

Test(tls, wrong_name_address_or_authority_is_refused_with_the_reason)
{
	cr_assert(!shakes("cert.pem", "other.test"));
	cr_assert_not_null(strstr(error(), "certificate: hostname mismatch"), "%s", error());
	cr_assert(!shakes("cert.pem", "127.0.0.2"));
	cr_assert_not_null(strstr(error(), "certificate: IP address mismatch"), "%s", error());
	cr_assert(!shakes("other.pem", "broker.test"));
	cr_assert_not_null(strstr(error(), "certificate: self-signed certificate"), "%s", error());
}

/* The certificate and key of the folder, for a server of HTTP/1.1. */
static SSL_CTX *
http1_server(const char *key_name)
{
	BIO *cert_file = BIO_new_file(file("cert.pem"), "r");
	BIO *key_file = BIO_new_file(file(key_name), "r");
	X509 *cert = PEM_read_bio_X509(cert_file, NULL, NULL, NULL);
	EVP_PKEY *key = PEM_read_bio_PrivateKey(key_file, NULL, NULL, NULL);
	SSL_CTX *ctx = sq_tls_server_with(&sq_tls_alpn_http1, cert, NULL, key, &err);

	EVP_PKEY_free(key);
	X509_free(cert);
	BIO_free(key_file);
	BIO_free(cert_file);
	return ctx;
}

/* Whether a client that offers 'alpn' (NULL: nothing) gets through to the server, and has agreed on
 * 'want' then. */
static bool
alpn_shakes(SSL_CTX *server, const char *alpn, const char *want)
{
	SSL_CTX *client = sq_tls_client(file("cert.pem"), &err);
	const unsigned char *agreed;
	unsigned len;
	struct pair p;
	bool ok;

	SSL_CTX_set_alpn_protos(
	    client, (const unsigned char *)alpn, alpn != NULL ? (unsigned)strlen(alpn) : 0);
	p = pair_new(client, server);
	ok = pair_shake(&p);
	if (ok && alpn != NULL) {
		SSL_get0_alpn_selected(p.client, &agreed, &len);
		cr_assert(len == strlen(want) && memcmp(agreed, want, len) == 0);
	}
	pair_free(&p);
	SSL_CTX_free(client);
	return ok;
}

Test(tls, server_of_http1_takes_it_or_no_alpn_and_nothing_else)
{
	SSL_CTX *server = http1_server("key.pem");

	cr_assert_not_null(server, "%s", error());
	cr_assert(alpn_shakes(server, "\x08http/1.1", "http/1.1"));
	cr_assert(alpn_shakes(server, "\x02h2\x08http/1.1", "http/1.1"));
	cr_assert(alpn_shakes(server, NULL, "http/1.1"));
	cr_assert(!alpn_shakes(server, "\x02h2", "http/1.1"));
	SSL_CTX_free(server);
}

Test(tls, server_of_the_listener_takes_h2_before_http1)
{
	SSL_CTX *server = sq_tls_server(file("cert.pem"), file("key.pem"), &err);

	cr_assert_not_null(server, "%s", error());
	cr_assert(alpn_shakes(server, "\x08http/1.1\x02h2", "h2"));
	cr_assert(alpn_shakes(server, "\x08http/1.1", "http/1.1"));
	cr_assert(alpn_shakes(server, NULL, NULL));
	cr_assert(!alpn_shakes(server, "\x08http/1.0", NULL));
	SSL_CTX_free(server);
}

Test(tls, server_with_the_key_of_another_certificate_is_refused)
{
	cr_assert_null(http1_server("other-key.pem"));
	cr_assert_not_null(strstr(error(), "mismatch"), "%s", error());
}

Test(tls, server_that_ignores_alpn_is_noticed)
{
	SSL_CTX *client = sq_tls_client(file("cert.pem"), &err);
	SSL_CTX *server = sq_tls_server(file("cert.pem"), file("key.pem"), &err);
	struct pair p;

	SSL_CTX_set_alpn_select_cb(server, NULL, NULL);
	p = pair_new(client, server);
	cr_assert(pair_shake(&p));
	cr_assert(!sq_tls_is_h2(p.client));
	pair_free(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

Test(tls, older_versions_are_refused)
{
	SSL_CTX *client = sq_tls_client(file("cert.pem"), &err);
	SSL_CTX *server = sq_tls_server(file("cert.pem"), file("key.pem"), &err);
	struct pair p = pair_new(client, server);

	SSL_set_min_proto_version(p.client, TLS1_2_VERSION);
	SSL_set_max_proto_version(p.client, TLS1_2_VERSION);
	cr_assert(!pair_shake(&p));
	pair_free(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

Test(tls, bad_files_are_named)
{
	cr_assert_null(sq_tls_client("/nonexistent/ca.pem", &err));
	cr_assert_str_eq(error(), "tls.ca-file: /nonexistent/ca.pem: No such file or directory");
	sq_buf_fini(&err);
	cr_assert_null(sq_tls_server(file("cert.pem"), "/nonexistent/key.pem", &err));
	cr_assert_str_eq(error(), "tls.key-file: /nonexistent/key.pem: No such file or directory");
	sq_buf_fini(&err);
	cr_assert_null(sq_tls_server(file("key.pem"), file("key.pem"), &err));
	cr_assert_not_null(strstr(error(), "tls.cert-file: "), "%s", error());
	cr_assert_not_null(strstr(error(), "key.pem: no certificate in PEM format"), "%s", error());
	sq_buf_fini(&err);
	cr_assert_null(sq_tls_server(file("cert.pem"), file("cert.pem"), &err));
	cr_assert_not_null(strstr(error(), "tls.key-file: "), "%s", error());
	cr_assert_not_null(
	    strstr(error(), "cert.pem: no private key in PEM format"), "%s", error());
	sq_buf_fini(&err);
	cr_assert_null(sq_tls_client(file("key.pem"), &err));
	cr_assert_not_null(strstr(error(), "tls.ca-file: "), "%s", error());
	sq_buf_fini(&err);
	cr_assert_null(sq_tls_server(file("cert.pem"), file("other-key.pem"), &err));
	cr_assert_not_null(
	    strstr(error(), "other-key.pem: not the key of the certificate"), "%s", error());
}

Test(tls, names_that_are_none_are_refused)
{
	SSL_CTX *client = sq_tls_client(NULL, &err);
	SSL *ssl = SSL_new(client);

	cr_assert_eq(sq_tls_set_peer(ssl, ""), SQ_EINVAL);
	cr_assert_eq(sq_tls_set_peer(ssl, "::1"), 0);
	SSL_free(ssl);
	SSL_CTX_free(client);
}
