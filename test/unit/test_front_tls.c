/* broker/front/door, broker/front/link over TLS: certificate and bundle of authorities, by files that change. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/tls.h"
#include "proto/link/frame.h"
#include "proto/link/trust.h"

#define MESSAGES "/v1/sessions/s~w~c/messages?epoch=0000000000000001"

static struct h2_client *client;
static struct h2_response *deliveries;

TestSuite(front_tls, .timeout = 100);

static struct h2_response *
open_link(struct h2_client *c, unsigned id, const char *version)
{
	char path[64];
	struct h2_response *r;

	snprintf(path, sizeof path, "/v1/links/%016x/deliveries", id);
	h2_version(c, version);
	r = h2_start(c, "GET", path, NULL, 0);
	h2_version(c, NULL);
	cr_assert(h2_body(c, r, 5));
	cr_assert_eq(r->status, 200);
	return r;
}

static struct {
	char dir[40], cert[64], key[64], bundle[64];
} tls;

/* A certificate of its own, in the files 'cert' and 'key'. */
static void
make_pair(const char *cert, const char *key)
{
	char cmd[500];

	snprintf(cmd, sizeof cmd,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
	    "-subj /CN=localhost -addext subjectAltName=DNS:localhost "
	    "-keyout %s -out %s 2>/dev/null",
	    key, cert);
	cr_assert_eq(system(cmd), 0);
}

static void
tls_make(void)
{
	strcpy(tls.dir, "/tmp/sq_test_front_XXXXXX");
	cr_assert_not_null(mkdtemp(tls.dir));
	snprintf(tls.cert, sizeof tls.cert, "%s/cert.pem", tls.dir);
	snprintf(tls.key, sizeof tls.key, "%s/key.pem", tls.dir);
	snprintf(tls.bundle, sizeof tls.bundle, "%s/bundle.pem", tls.dir);
	make_pair(tls.cert, tls.key);
}

static void
tls_remove(void)
{
	char cmd[100];

	snprintf(cmd, sizeof cmd, "rm -r %s", tls.dir);
	cr_assert_eq(system(cmd), 0);
}

static SSL_CTX *
tls_peer(const char *trusts)
{
	struct sq_buf err = {0};
	SSL_CTX *peer = sq_tls_client(trusts, &err);

	cr_assert_not_null(peer);
	return peer;
}

static void
tls_start(struct fake_front_cfg *cfg)
{
	tls_make();
	cfg->door.cert_file = tls.cert;
	cfg->door.key_file = tls.key;
	fake_start(cfg);
}

Test(front_tls, the_link_works_over_tls)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	SSL_CTX *peer;

	tls_start(&cfg);
	peer = tls_peer(tls.cert);
	client = h2_open(sq_front_port(fake.front), NULL); /* clear text at a TLS port */
	h2_start(client, "GET", "/", NULL, 0);
	cr_assert(h2_lost(client));
	h2_close(&client);
	client = h2_open(sq_front_port(fake.front), peer);
	cr_assert_not_null(client);
	deliveries = open_link(client, 0xaa, "2");
	cr_assert_eq(h2_ask(client, "POST", MESSAGES, "big 32 deliver 3", 16)->status, 200);
	cr_assert(h2_body(client, deliveries, 32u << 16));
	h2_start(client, "POST", MESSAGES, "hold", 4);
	cr_assert(fake_await(&fake.held, 1));
	h2_close(&client);
	cr_assert(fake_await(&fake.links_closed, 1));
	fake_stop();
	SSL_CTX_free(peer);
	tls_remove();
}

/* Puts 'from' in the place of 'to', as a whole. */
static void
replace(const char *from, const char *to)
{
	cr_assert_eq(rename(from, to), 0);
}

/* Dials until the certificate of the front is one that 'peer' trusts. */
static void
await_certificate(SSL_CTX *peer)
{
	while ((client = h2_open(sq_front_port(fake.front), peer)) == NULL)
		continue;
	cr_assert_eq(h2_ask(client, "GET", "/", NULL, 0)->status, 404);
	h2_close(&client);
}

Test(front_tls, a_new_certificate_is_taken_up_once_its_key_is_there)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	char cert[80], key[80];
	SSL_CTX *old, *new;
	struct h2_client *before;

	tls_start(&cfg);
	old = tls_peer(tls.cert);
	before = h2_open(sq_front_port(fake.front), old);
	snprintf(cert, sizeof cert, "%s/next-cert.pem", tls.dir);
	snprintf(key, sizeof key, "%s/next-key.pem", tls.dir);
	make_pair(cert, key);
	new = tls_peer(cert);
	replace(cert, tls.cert); /* without its key */
	for (uint64_t until = sq_clock_ms() + 1500; sq_clock_ms() < until;) {
		client = h2_open(sq_front_port(fake.front), old);
		cr_assert_not_null(client, "the last good pair is not in use any more");
		h2_close(&client);
	}
	replace(key, tls.key);
	await_certificate(new);
	cr_assert_null(h2_open(sq_front_port(fake.front), old));
	cr_assert_eq(h2_ask(before, "GET", "/", NULL, 0)->status, 404, "what is open stays");
	h2_close(&before);
	fake_stop();
	SSL_CTX_free(old);
	SSL_CTX_free(new);
	tls_remove();
}

/* The digest of the last trust frame that the link has got by the time that there are 'n'. */
static uint64_t
await_trust(struct h2_client *c, struct h2_response *d, unsigned n)
{
	uint64_t digest = 0;

	for (unsigned seen = 0; seen < n;) {
		const unsigned char *p = sq_buf_data(&d->body);
		size_t left = sq_buf_len(&d->body), used;
		struct sq_frame f;

		for (seen = 0; sq_frame_decode(p, left, SQ_FRAME_MAX, &f, &used) == SQ_OK;
		     p += used, left -= used) {
			if (f.type != SQ_FRAME_TRUST)
				continue;
			digest = f.digest;
			seen++;
		}
		if (seen < n)
			cr_assert(h2_body(c, d, sq_buf_len(&d->body) + 1));
	}
	return digest;
}

static void
bundle_write(const char *pem)
{
	char cmd[300];

	snprintf(cmd, sizeof cmd, "cp %s %s.tmp && mv %s.tmp %s", pem, tls.bundle, tls.bundle,
	    tls.bundle);
	cr_assert_eq(system(cmd), 0);
}

Test(front_tls, the_bundle_is_served_and_its_change_is_told)
{
	struct fake_front_cfg cfg = fake_front_cfg();
	struct h2_response *got;
	char other[80], key[80];
	SSL_CTX *peer;
	uint64_t digest;

	tls_make();
	bundle_write(tls.cert);
	cfg.door.cert_file = tls.cert;
	cfg.door.key_file = tls.key;
	cfg.link.bundle_file = tls.bundle;
	fake_start(&cfg);
	peer = tls_peer(tls.cert);
	client = h2_open(sq_front_port(fake.front), peer);
	deliveries = open_link(client, 0xaa, "2");
	digest = await_trust(client, deliveries, 1);
	got = h2_ask(client, "GET", "/v1/trust/bundle", NULL, 0);
	cr_assert_eq(got->status, 200);
	cr_assert_eq(sq_trust_digest(sq_buf_data(&got->body), sq_buf_len(&got->body)), digest);
	cr_assert_eq(h2_ask(client, "GET", "/v1/trust/other", NULL, 0)->status, 404);
	cr_assert_eq(h2_ask(client, "POST", "/v1/trust/bundle", NULL, 0)->status, 405);

	bundle_write(tls.key); /* no bundle: the last one stays */
	snprintf(other, sizeof other, "%s/other.pem", tls.dir);
	snprintf(key, sizeof key, "%s/other.key", tls.dir);
	make_pair(other, key);
	bundle_write(other);
	cr_assert_neq(await_trust(client, deliveries, 2), digest);
	got = h2_ask(client, "GET", "/v1/trust/bundle", NULL, 0);
	cr_assert_eq(sq_trust_digest(sq_buf_data(&got->body), sq_buf_len(&got->body)),
	    await_trust(client, deliveries, 2));
	h2_close(&client);
	fake_stop();
	SSL_CTX_free(peer);
	tls_remove();
}
