/* k8s/injector/authority: years of it in a moment.  The Secrets are texts here, and
 * replicas take turns at them. */
#include <criterion/criterion.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "core/mem.h"
#include "core/tls.h"
#include "k8s/injector/authority.h"
#include "k8s/injector/ca.h"
#include "k8s/injector/cert.h"

enum { DAY = 86400, YEAR = 365 * DAY, HOUR = 3600 };

static const int64_t T0 = 1790000000; /* 2026 */

static const char *const broker_names[] = {
    "sqmqos-broker.sys.svc.cluster.local", "*.sqmqos-broker-headless.sys.svc.cluster.local"};
static const char *const serving_names[] = {"sqmqos-injector.sys.svc"};

static struct sq_authority_cfg cfg = {
    .name = "sys/sqmqos",
    .broker_names = broker_names,
    .serving_names = serving_names,
    .n_broker_names = 2,
    .n_serving_names = 1,
    .ca_s = 10 * (int64_t)YEAR,
    .leaf_s = 90 * DAY,
    .overlap_s = DAY,
};

/* The two Secrets, with how often each was written. */
static struct sq_ca_texts ca;
static struct sq_pair_texts broker;
static unsigned ca_writes, broker_writes;

static void
put(struct sq_buf *to, const struct sq_buf *from)
{
	sq_buf_fini(to);
	sq_buf_append(to, sq_buf_data(from), sq_buf_len(from));
}

static void
put_ca(struct sq_ca_texts *to, const struct sq_ca_texts *from)
{
	put(&to->bundle, &from->bundle);
	put(&to->key, &from->key);
	put(&to->previous_key, &from->previous_key);
	put(&to->cross, &from->cross);
	put(&to->switch_at, &from->switch_at);
	put(&to->forget_at, &from->forget_at);
}

static void
put_pair(struct sq_pair_texts *to, const struct sq_pair_texts *from)
{
	put(&to->chain, &from->chain);
	put(&to->key, &from->key);
	put(&to->bundle, &from->bundle);
}

static void
tidy(void)
{
	sq_ca_texts_fini(&ca);
	sq_pair_texts_fini(&broker);
}

TestSuite(authority, .fini = tidy);

/* One turn of a replica; returns what it did about the CA. */
static enum sq_authority_step
turn(struct sq_authority *a, int64_t now)
{
	struct sq_ca_texts new_ca = {0};
	struct sq_pair_texts new_pair = {0};
	enum sq_authority_step step = sq_authority_ca(a, &ca, &broker, now, &new_ca);

	if (step == SQ_AUTHORITY_WRITE) {
		put_ca(&ca, &new_ca);
		ca_writes++;
		sq_authority_ca_written(a);
	}
	if (step != SQ_AUTHORITY_WAIT) {
		if (sq_authority_broker(a, &broker, now, &new_pair) == SQ_AUTHORITY_WRITE) {
			put_pair(&broker, &new_pair);
			broker_writes++;
			sq_authority_broker_written(a);
		}
		(void)sq_authority_serving(a, now);
	}
	sq_ca_texts_fini(&new_ca);
	sq_pair_texts_fini(&new_pair);
	return step;
}

static bool
same(const struct sq_buf *a, const struct sq_buf *b)
{
	return sq_buf_len(a) == sq_buf_len(b) &&
	    memcmp(sq_buf_data(a), sq_buf_data(b), sq_buf_len(a)) == 0;
}

static STACK_OF(X509) * certs(const struct sq_buf *text)
{
	STACK_OF(X509) *list = sq_cert_read(sq_buf_data(text), sq_buf_len(text));

	cr_assert_not_null(list);
	return list;
}

static int
count(const struct sq_buf *text)
{
	STACK_OF(X509) *list = sq_cert_read(sq_buf_data(text), sq_buf_len(text));
	int n = list != NULL ? sk_X509_num(list) : 0;

	sk_X509_pop_free(list, X509_free);
	return n;
}

/* Whether who trusts 'bundle' takes the broker of 'pair' at that time. */
static bool
trusts(const struct sq_buf *bundle, const struct sq_pair_texts *pair, int64_t now)
{
	STACK_OF(X509) *roots = certs(bundle), *chain = certs(&pair->chain);
	X509 *leaf = sk_X509_shift(chain);
	bool ok = sq_cert_verifies(leaf, chain, roots, now) && sq_cert_names(leaf, broker_names, 2);

	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
	sk_X509_pop_free(roots, X509_free);
	return ok;
}

static bool
trusts_serving(const struct sq_buf *bundle, const struct sq_authority *a, int64_t now)
{
	STACK_OF(X509) *roots = certs(bundle);
	bool ok = sq_cert_verifies(sq_authority_cert(a), sq_authority_chain(a), roots, now);

	sk_X509_pop_free(roots, X509_free);
	return ok;
}

/* ---- beginnings ---- */

Test(authority, empty_secrets_get_a_ca_and_a_certificate_that_it_signed)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	struct sq_authority_ends ends;

	cr_assert_eq(turn(a, T0), SQ_AUTHORITY_WRITE);
	cr_assert(trusts(&ca.bundle, &broker, T0));
	cr_assert(trusts_serving(&ca.bundle, a, T0));
	cr_assert(same(&ca.bundle, &broker.bundle));
	cr_assert(same(&ca.bundle, sq_authority_bundle(a)));
	cr_assert_eq(sq_buf_len(&ca.previous_key), 0);
	ends = sq_authority_ends(a);
	cr_assert_eq(ends.ca_s, T0 + cfg.ca_s);
	cr_assert_eq(ends.broker_s, T0 + cfg.leaf_s);
	cr_assert_eq(ends.serving_s, T0 + cfg.leaf_s);
	cr_assert_eq(turn(a, T0 + 3), SQ_AUTHORITY_KEEP);
	cr_assert_eq(ca_writes, 1);
	cr_assert_eq(broker_writes, 1, "nothing to do, nothing written");
	sq_authority_free(&a);
}

Test(authority, of_two_at_once_the_loser_takes_the_winners_ca)
{
	struct sq_authority *a = sq_authority_new(&cfg), *b = sq_authority_new(&cfg);
	struct sq_ca_texts of_a = {0}, of_b = {0};

	cr_assert_eq(sq_authority_ca(a, &ca, &broker, T0, &of_a), SQ_AUTHORITY_WRITE);
	cr_assert_eq(sq_authority_ca(b, &ca, &broker, T0, &of_b), SQ_AUTHORITY_WRITE);
	put_ca(&ca, &of_b);
	sq_authority_ca_written(b);
	/* a's write met a newer version: it reads again. */
	cr_assert_eq(turn(a, T0 + 1), SQ_AUTHORITY_KEEP);
	cr_assert(same(sq_authority_bundle(a), sq_authority_bundle(b)));
	cr_assert_eq(turn(b, T0 + 1), SQ_AUTHORITY_KEEP);
	cr_assert(trusts_serving(&ca.bundle, a, T0 + 1));
	cr_assert(trusts_serving(&ca.bundle, b, T0 + 1));
	cr_assert_eq(broker_writes, 1, "and one certificate of brokers");
	sq_ca_texts_fini(&of_a);
	sq_ca_texts_fini(&of_b);
	sq_authority_free(&a);
	sq_authority_free(&b);
}

/* ---- wiped and foreign ---- */

Test(authority, wiped_secrets_get_back_what_is_held)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	struct sq_ca_texts was = {0};
	struct sq_pair_texts was_pair = {0};

	turn(a, T0);
	put_ca(&was, &ca);
	put_pair(&was_pair, &broker);
	tidy();
	cr_assert_eq(turn(a, T0 + HOUR), SQ_AUTHORITY_WRITE);
	cr_assert(same(&was.bundle, &ca.bundle) && same(&was.key, &ca.key));
	cr_assert(same(&was_pair.chain, &broker.chain) && same(&was_pair.key, &broker.key));
	/* Broken is as good as wiped. */
	((char *)sq_buf_data(&ca.key))[60] ^= 1;
	sq_buf_fini(&broker.key);
	cr_assert_eq(turn(a, T0 + 2 * HOUR), SQ_AUTHORITY_WRITE);
	cr_assert(same(&was.key, &ca.key) && same(&was_pair.key, &broker.key));
	sq_ca_texts_fini(&was);
	sq_pair_texts_fini(&was_pair);
	sq_authority_free(&a);
}

Test(authority, younger_stranger_gives_way_and_an_older_one_does_not)
{
	struct sq_authority *a = sq_authority_new(&cfg), *young = sq_authority_new(&cfg);
	struct sq_ca_texts was = {0};

	turn(a, T0);
	put_ca(&was, &ca);
	tidy();
	turn(young, T0 + HOUR);
	cr_assert_not(same(&was.bundle, &ca.bundle));
	cr_assert_eq(turn(a, T0 + HOUR + 3), SQ_AUTHORITY_WRITE);
	cr_assert(same(&was.bundle, &ca.bundle));
	cr_assert_eq(turn(young, T0 + HOUR + 3), SQ_AUTHORITY_KEEP, "no fight about it");
	cr_assert(same(sq_authority_bundle(young), &was.bundle));
	cr_assert(trusts(&was.bundle, &broker, T0 + HOUR + 3));
	sq_ca_texts_fini(&was);
	sq_authority_free(&a);
	sq_authority_free(&young);
}

Test(authority, predecessor_from_a_backup_gives_way)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	struct sq_ca_texts backup = {0}, was = {0};
	int64_t now = T0;

	turn(a, now);
	put_ca(&backup, &ca);
	for (; now < T0 + 7 * (int64_t)YEAR; now += 2 * DAY) /* a renewal, long past */
		turn(a, now);
	put_ca(&was, &ca);
	cr_assert_not(same(&was.bundle, &backup.bundle));
	put_ca(&ca, &backup);
	cr_assert_eq(turn(a, now), SQ_AUTHORITY_WRITE);
	cr_assert(same(&was.bundle, &ca.bundle) && same(&was.key, &ca.key));
	sq_ca_texts_fini(&backup);
	sq_ca_texts_fini(&was);
	sq_authority_free(&a);
}

Test(authority, lost_ca_leaves_brokers_and_their_sidecars_alone)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	struct sq_pair_texts was = {0};
	int64_t now = T0 + 10 * DAY;

	turn(a, T0);
	put_pair(&was, &broker);
	sq_authority_free(&a); /* nobody holds it any more */
	sq_ca_texts_fini(&ca);
	a = sq_authority_new(&cfg);
	cr_assert_eq(turn(a, now), SQ_AUTHORITY_WAIT, "somebody may still write it back");
	cr_assert_eq(turn(a, now + 3), SQ_AUTHORITY_WAIT);
	cr_assert_eq(turn(a, now + 20), SQ_AUTHORITY_WRITE);
	cr_assert_eq(count(&ca.bundle), 2, "the old one is trusted, too");
	cr_assert(same(&was.chain, &broker.chain), "the certificate in use stays");
	cr_assert(trusts(&was.bundle, &broker, now + 20));
	cr_assert(trusts(&ca.bundle, &broker, now + 20));
	cr_assert(trusts_serving(&ca.bundle, a, now + 20));
	turn(a, now + 20 + cfg.overlap_s);
	cr_assert_not(same(&was.chain, &broker.chain), "the new one signs after the overlap");
	cr_assert(trusts(&ca.bundle, &broker, now + 20 + cfg.overlap_s));
	cr_assert_eq(count(&ca.bundle), 2);
	turn(a, now + 20 + 2 * cfg.overlap_s);
	cr_assert_eq(count(&ca.bundle), 1);
	sq_pair_texts_fini(&was);
	sq_authority_free(&a);
}

/* ---- renewal ---- */

Test(authority, renewal_is_in_three_steps)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	struct sq_ca_texts was = {0};
	int64_t renew;

	turn(a, T0);
	put_ca(&was, &ca);
	renew = T0 + cfg.ca_s / 3 * 2;
	turn(a, renew - HOUR);
	cr_assert(same(&was.bundle, &ca.bundle), "not before two thirds of its life");
	turn(a, renew);
	cr_assert_eq(count(&ca.bundle), 2);
	cr_assert_eq(count(&ca.cross), 1);
	cr_assert(same(&was.key, &ca.previous_key), "the old one signs on");
	cr_assert_eq(count(&broker.chain), 1);
	cr_assert(trusts(&was.bundle, &broker, renew));
	cr_assert(trusts_serving(&was.bundle, a, renew));
	turn(a, renew + cfg.overlap_s - 1);
	cr_assert_neq(sq_buf_len(&ca.previous_key), 0);
	turn(a, renew + cfg.overlap_s);
	cr_assert_eq(sq_buf_len(&ca.previous_key), 0, "its key is gone");
	cr_assert_eq(count(&broker.chain), 2, "the cross certificate is sent");
	cr_assert_eq(count(&ca.bundle), 2);
	turn(a, renew + 2 * cfg.overlap_s);
	cr_assert_eq(count(&ca.bundle), 1);
	cr_assert_eq(count(&broker.chain), 2, "and stays");
	sq_ca_texts_fini(&was);
	sq_authority_free(&a);
}

/* What somebody trusts or shows who is behind the others. */
struct behind {
	struct sq_buf bundle;
	struct sq_pair_texts pair;
};

Test(authority, nobody_is_refused_for_thirty_years, .timeout = 120)
{
	/* Mounts and links lag by a turn less than the overlap. */
	enum { LAG = 4, STEP = 16 * DAY };
	struct sq_authority_cfg slow = cfg;
	struct sq_authority *a[2];
	struct behind then[LAG] = {0};
	struct sq_buf born = {0}; /* what an idle pod was injected with */
	int64_t born_until = 0;
	unsigned i = 0, cas = 0, look = 0, writes = 0;

	slow.overlap_s = LAG * STEP;
	slow.leaf_s = YEAR;
	a[0] = sq_authority_new(&slow);
	a[1] = sq_authority_new(&slow);
	for (int64_t now = T0; now < T0 + 30 * (int64_t)YEAR; now += STEP, i++) {
		struct behind *old = &then[i % LAG];

		turn(a[i % 2], now);
		turn(a[1 - i % 2], now);
		if (writes != ca_writes + broker_writes)
			look = i + LAG + 1; /* while anybody can be behind that */
		writes = ca_writes + broker_writes;
		if (i >= LAG - 1 && (i < look || i % 16 == 0)) {
			const struct behind *oldest = &then[(i + 1) % LAG];

			cr_assert(trusts(&oldest->bundle, &broker, now), "old bundle, day %lld",
			    (long long)((now - T0) / DAY));
			cr_assert(trusts(&ca.bundle, &oldest->pair, now), "old pair, day %lld",
			    (long long)((now - T0) / DAY));
			cr_assert(trusts(&oldest->bundle, &oldest->pair, now));
			cr_assert(trusts_serving(&oldest->bundle, a[0], now));
			cr_assert(trusts_serving(&oldest->bundle, a[1], now));
		}
		if (now >= born_until) {
			STACK_OF(X509) *list = certs(&ca.bundle);

			born_until = sq_cert_span_of(sk_X509_value(list, 0)).until_s;
			sk_X509_pop_free(list, X509_free);
			put(&born, &ca.bundle);
			cas++;
		}
		cr_assert(trusts(&born, &broker, now), "a pod whose brokers were away, day %lld",
		    (long long)((now - T0) / DAY));
		put(&old->bundle, &ca.bundle);
		put_pair(&old->pair, &broker);
	}
	cr_assert_geq(cas, 3);
	cr_assert_lt(ca_writes, 20);
	cr_assert_lt(broker_writes, 30 * 2 + 20);
	for (unsigned k = 0; k < LAG; k++) {
		sq_buf_fini(&then[k].bundle);
		sq_pair_texts_fini(&then[k].pair);
	}
	sq_buf_fini(&born);
	sq_authority_free(&a[0]);
	sq_authority_free(&a[1]);
}

Test(authority, seconds_are_lifetimes_as_good_as_years)
{
	struct sq_authority_cfg quick = cfg;
	struct sq_authority *a;
	struct sq_buf old = {0};

	quick.ca_s = 90;
	quick.leaf_s = 30;
	quick.overlap_s = 10;
	a = sq_authority_new(&quick);
	for (int64_t now = T0; now < T0 + 400; now++) {
		turn(a, now);
		if (sq_buf_len(&old) > 0)
			cr_assert(trusts(&old, &broker, now), "second %lld", (long long)(now - T0));
		if ((now - T0) % 5 == 0)
			put(&old, &ca.bundle);
		cr_assert(trusts_serving(&ca.bundle, a, now));
	}
	cr_assert_geq(ca_writes, 3 * 4);
	sq_buf_fini(&old);
	sq_authority_free(&a);
}

Test(authority, certificate_never_outlives_its_ca)
{
	struct sq_authority_cfg odd = cfg;
	struct sq_authority *a;
	STACK_OF(X509) * list;

	odd.leaf_s = 20 * (int64_t)YEAR;
	a = sq_authority_new(&odd);
	turn(a, T0);
	list = certs(&broker.chain);
	cr_assert_leq(sq_cert_span_of(sk_X509_value(list, 0)).until_s, T0 + odd.ca_s);
	sk_X509_pop_free(list, X509_free);
	sq_authority_free(&a);
}

Test(authority, ca_that_ended_while_everybody_was_away_is_replaced_at_once)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	int64_t now = T0 + 11 * (int64_t)YEAR;

	turn(a, T0);
	sq_authority_free(&a);
	a = sq_authority_new(&cfg);
	cr_assert_eq(turn(a, now), SQ_AUTHORITY_WRITE);
	cr_assert_eq(count(&ca.bundle), 1);
	cr_assert_eq(sq_buf_len(&ca.previous_key), 0);
	cr_assert(trusts(&ca.bundle, &broker, now));
	sq_authority_free(&a);
}

Test(authority, replicas_with_different_clocks_do_not_fight)
{
	struct sq_authority *a = sq_authority_new(&cfg), *behind = sq_authority_new(&cfg);

	for (int64_t now = T0; now < T0 + 100; now += 3) {
		turn(a, now);
		turn(behind, now - DAY);
	}
	cr_assert_eq(ca_writes, 1);
	cr_assert_eq(broker_writes, 1);
	cr_assert(trusts(&ca.bundle, &broker, T0 + 100));
	cr_assert(trusts_serving(&ca.bundle, behind, T0 + 100), "whatever its clock says");
	sq_authority_free(&a);
	sq_authority_free(&behind);
}

/* ---- a real handshake ---- */

/* Whether a TLS client that trusts nothing but 'bundle' comes through to the pair. */
static bool
shakes(const struct sq_buf *bundle, const struct sq_pair_texts *pair, const char *host)
{
	STACK_OF(X509) *roots = certs(bundle), *chain = certs(&pair->chain);
	X509 *leaf = sk_X509_shift(chain);
	EVP_PKEY *key = sq_cert_read_key(sq_buf_data(&pair->key), sq_buf_len(&pair->key));
	SSL_CTX *client = SSL_CTX_new(TLS_client_method());
	struct sq_buf err = {0};
	SSL_CTX *server = sq_tls_server_with(&sq_tls_alpn_http1, leaf, chain, key, &err);
	SSL *c, *s;
	BIO *x, *y;
	int rc = 0, rs = 0;

	cr_assert_not_null(server);
	for (int i = 0; i < sk_X509_num(roots); i++)
		X509_STORE_add_cert(SSL_CTX_get_cert_store(client), sk_X509_value(roots, i));
	SSL_CTX_set_verify(client, SSL_VERIFY_PEER, NULL);
	c = SSL_new(client);
	s = SSL_new(server);
	cr_assert_eq(sq_tls_set_peer(c, host), 0);
	cr_assert_eq(BIO_new_bio_pair(&x, 0, &y, 0), 1);
	SSL_set_bio(c, x, x);
	SSL_set_bio(s, y, y);
	SSL_set_connect_state(c);
	SSL_set_accept_state(s);
	for (int i = 0; i < 10 && (rc != 1 || rs != 1); i++) {
		rc = SSL_do_handshake(c);
		if (rc != 1 && SSL_get_error(c, rc) != SSL_ERROR_WANT_READ)
			break;
		rs = SSL_do_handshake(s);
	}
	SSL_free(c);
	SSL_free(s);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	EVP_PKEY_free(key);
	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
	sk_X509_pop_free(roots, X509_free);
	sq_buf_fini(&err);
	return rc == 1 && rs == 1;
}

/* Handshakes have the machine's clock: the renewal is in its past. */
Test(authority, pod_that_knows_the_old_ca_alone_shakes_hands_with_the_new_chain)
{
	static const char host[] = "sqmqos-broker.sys.svc.cluster.local";
	struct sq_authority *a = sq_authority_new(&cfg);
	int64_t now = (int64_t)time(NULL), renew;
	struct sq_buf old = {0};
	struct sq_pair_texts bare = {0};
	char *end;

	turn(a, now - 8 * (int64_t)YEAR);
	put(&old, &ca.bundle);
	renew = now - 8 * (int64_t)YEAR + cfg.ca_s / 3 * 2;
	turn(a, renew);
	turn(a, renew + cfg.overlap_s);
	turn(a, renew + 2 * cfg.overlap_s);
	turn(a, now);
	cr_assert_eq(count(&ca.bundle), 1);
	cr_assert_not(same(&old, &ca.bundle));
	cr_assert(shakes(&ca.bundle, &broker, host));
	cr_assert(shakes(&old, &broker, host), "the cross certificate leads to the old CA");
	cr_assert(
	    shakes(&old, &broker, "sqmqos-broker-0.sqmqos-broker-headless.sys.svc.cluster.local"));
	cr_assert_not(shakes(&old, &broker, "sqmqos-broker.other.svc.cluster.local"));
	/* It is the cross certificate that does it. */
	put_pair(&bare, &broker);
	sq_buf_u8(&bare.chain, '\0');
	end = strstr((char *)sq_buf_data(&bare.chain), "-----END CERTIFICATE-----\n");
	bare.chain.end = bare.chain.start +
	    (size_t)(end + strlen("-----END CERTIFICATE-----\n") -
		(char *)sq_buf_data(&bare.chain));
	cr_assert_eq(count(&bare.chain), 1);
	cr_assert(shakes(&ca.bundle, &bare, host));
	cr_assert_not(shakes(&old, &bare, host));
	sq_pair_texts_fini(&bare);
	sq_buf_fini(&old);
	sq_authority_free(&a);
}

/* ---- X.509 ---- */

static bool
extension_is_critical(X509 *cert, int nid)
{
	return X509_EXTENSION_get_critical(X509_get_ext(cert, X509_get_ext_by_NID(cert, nid, -1)));
}

Test(authority, certificates_are_as_rfc_5280_has_them)
{
	struct sq_authority *a = sq_authority_new(&cfg);
	STACK_OF(X509) * cas, *chain;
	X509 *root, *leaf;

	turn(a, T0);
	cas = certs(&ca.bundle);
	chain = certs(&broker.chain);
	root = sk_X509_value(cas, 0);
	leaf = sk_X509_value(chain, 0);
	cr_assert_eq(X509_get_version(root), X509_VERSION_3);
	cr_assert_eq(X509_check_ca(root), 1);
	cr_assert_eq(X509_get_key_usage(root), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	cr_assert(extension_is_critical(root, NID_basic_constraints));
	cr_assert(extension_is_critical(root, NID_key_usage));
	cr_assert_eq(X509_check_ca(leaf), 0);
	cr_assert_eq(X509_get_key_usage(leaf), KU_DIGITAL_SIGNATURE);
	cr_assert_eq(X509_get_extended_key_usage(leaf), XKU_SSL_SERVER);
	cr_assert(extension_is_critical(leaf, NID_basic_constraints));
	cr_assert_eq(
	    ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(leaf), X509_get0_subject_key_id(root)),
	    0);
	cr_assert_not_null(X509_get0_subject_key_id(leaf));
	cr_assert_neq(
	    ASN1_INTEGER_cmp(X509_get0_serialNumber(leaf), X509_get0_serialNumber(root)), 0);
	cr_assert_geq(ASN1_STRING_length((const ASN1_STRING *)X509_get0_serialNumber(leaf)), 15);
	cr_assert_eq(sq_cert_span_of(leaf).from_s, T0 - 300, "for clocks that are behind");
	cr_assert_eq(
	    X509_check_host(leaf, "x.sqmqos-broker-headless.sys.svc.cluster.local", 0, 0, NULL), 1);
	cr_assert_eq(EVP_PKEY_get_bits(X509_get0_pubkey(leaf)), 256);
	sk_X509_pop_free(cas, X509_free);
	sk_X509_pop_free(chain, X509_free);
	sq_authority_free(&a);
}
