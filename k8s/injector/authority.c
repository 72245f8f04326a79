/* The steps of an authority; see k8s/injector/authority.h.  ca.c has the CA's state,
 * cert.c makes and reads X.509. */
#include "k8s/injector/authority.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/mem.h"
#include "k8s/injector/ca.h"
#include "k8s/injector/cert.h"

enum {
	/* Time for the holder of a CA to write it back, before another one is made although brokers
	 * have certificates of a CA. */
	AUTHORITY_WAIT_S = 15,
};

/* A server's certificate with its key; zeroed: none. */
struct pair {
	X509 *cert;
	STACK_OF(X509) * chain; /* behind it; NULL or empty: nothing */
	EVP_PKEY *key;
};

struct sq_authority {
	struct sq_authority_cfg cfg;
	struct sq_ca ca, pending_ca; /* pending: not written yet */
	struct pair broker, pending_broker, serving;
	struct sq_buf bundle;  /* of 'ca', as text */
	int64_t empty_since_s; /* the CA Secret was first seen empty then; 0: it is not */
};

/* ---- pairs ---- */

static void
pair_fini(struct pair *p)
{
	X509_free(p->cert);
	sk_X509_pop_free(p->chain, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct pair){0};
}

static void
pair_move(struct pair *to, struct pair *from)
{
	pair_fini(to);
	*to = *from;
	*from = (struct pair){0};
}

/* False, with '*p' zeroed, if the texts are no certificate and its key. */
static bool
pair_read(struct pair *p, const struct sq_pair_texts *in)
{
	*p = (struct pair){
	    .chain = sq_cert_read(sq_buf_data(&in->chain), sq_buf_len(&in->chain)),
	    .key = sq_cert_read_key(sq_buf_data(&in->key), sq_buf_len(&in->key)),
	};
	p->cert = p->chain != NULL ? sk_X509_shift(p->chain) : NULL;
	if (p->cert != NULL && sq_cert_has_key(p->cert, p->key))
		return true;
	pair_fini(p);
	return false;
}

static struct pair
pair_ref(const struct pair *of)
{
	struct pair p = *of;

	if (p.cert != NULL) {
		X509_up_ref(p.cert);
		EVP_PKEY_up_ref(p.key);
		p.chain = of->chain != NULL ? X509_chain_up_ref(of->chain) : NULL;
	}
	return p;
}

/* Puts what is to be sent behind the certificate in place of what is there. */
static void
pair_set_chain(struct pair *p, STACK_OF(X509) * chain)
{
	sk_X509_pop_free(p->chain, X509_free);
	p->chain = chain != NULL ? X509_chain_up_ref(chain) : NULL;
}

static bool
pair_has_chain(const struct pair *p, const STACK_OF(X509) * chain)
{
	int n = chain != NULL ? sk_X509_num(chain) : 0;

	if ((p->chain != NULL ? sk_X509_num(p->chain) : 0) != n)
		return false;
	for (int i = 0; i < n; i++)
		if (!sq_cert_same(sk_X509_value(p->chain, i), sk_X509_value(chain, i)))
			return false;
	return true;
}

/* Whether a pair may stay: of these names, not due, and signed by who signs now or,
 * where nobody has the key for that, by anybody in the bundle. */
static bool
pair_is_good(
    const struct pair *p, const struct sq_ca *ca, const char *const *names, size_t n, int64_t now_s)
{
	struct sq_cert_issuer signer = sq_ca_signer(ca, now_s);
	X509 *cert = p->cert;
	int64_t at_s = now_s;

	if (cert == NULL || !sq_cert_names(cert, names, n))
		return false;
	/* Of the future, if a replica's clock is behind the other's: no reason for a new one. */
	if (at_s < sq_cert_span_of(cert).from_s)
		at_s = sq_cert_span_of(cert).from_s;
	if (sq_ca_keeps_old(ca, now_s) && sq_cert_verifies(cert, p->chain, ca->bundle, at_s))
		return true; /* until the switch, at any age */
	return now_s < sq_ca_renew_s(sq_cert_span_of(cert)) && sq_cert_is_by(cert, signer.cert) &&
	    sq_cert_verifies(cert, p->chain, ca->bundle, at_s);
}

static struct pair
pair_make(const struct sq_authority *a, const char *const *names, size_t n, int64_t now_s)
{
	struct sq_cert_issuer signer = sq_ca_signer(&a->ca, now_s);
	int64_t left_s = sq_cert_span_of(signer.cert).until_s - now_s;
	struct sq_cert_span span = sq_ca_span(
	    now_s, a->cfg.leaf_s < left_s ? a->cfg.leaf_s : left_s);
	struct pair p = {.key = sq_cert_key()};

	p.cert = sq_cert_server(names, n, p.key, &signer, span);
	pair_set_chain(&p, sq_ca_chain(&a->ca, signer.cert));
	return p;
}

/* What belongs behind a good pair now: that of its own issuer, as long as an old one
 * stays in use that is left as it is. */
static STACK_OF(X509) *
    pair_due_chain(const struct sq_authority *a, const struct pair *p, int64_t now_s)
{
	struct sq_cert_issuer signer = sq_ca_signer(&a->ca, now_s);

	return sq_cert_is_by(p->cert, signer.cert) ? sq_ca_chain(&a->ca, signer.cert) : p->chain;
}

/* ---- life ---- */

struct sq_authority *
sq_authority_new(const struct sq_authority_cfg *cfg)
{
	struct sq_authority *a = sq_xcalloc(1, sizeof *a);

	a->cfg = *cfg;
	return a;
}

void
sq_authority_free(struct sq_authority **ap)
{
	struct sq_authority *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	sq_ca_fini(&a->ca);
	sq_ca_fini(&a->pending_ca);
	pair_fini(&a->broker);
	pair_fini(&a->pending_broker);
	pair_fini(&a->serving);
	sq_buf_fini(&a->bundle);
	free(a);
}

/* ---- the CA ---- */

static void
authority_hold(struct sq_authority *a, struct sq_ca *ca)
{
	sq_ca_move(&a->ca, ca);
	sq_buf_fini(&a->bundle);
	sq_cert_write_all(a->ca.bundle, &a->bundle);
	a->empty_since_s = 0;
}

/* Makes a CA where nobody holds one.  What brokers have stays good, if it is so now. */
static enum sq_authority_step
authority_begin(
    struct sq_authority *a, const struct sq_pair_texts *broker, int64_t now_s, struct sq_ca *out)
{
	STACK_OF(X509) *old = sq_cert_read(
	    sq_buf_data(&broker->bundle), sq_buf_len(&broker->bundle));
	enum sq_authority_step step = SQ_AUTHORITY_WRITE;
	struct pair used = {0};
	int64_t left_s = 0;

	if (old != NULL && pair_read(&used, broker) &&
	    sq_cert_verifies(used.cert, used.chain, old, now_s))
		left_s = sq_cert_span_of(used.cert).until_s - now_s;
	if (a->empty_since_s == 0)
		a->empty_since_s = now_s;
	if (left_s > 0 && now_s < a->empty_since_s + AUTHORITY_WAIT_S)
		step = SQ_AUTHORITY_WAIT;
	else if (left_s > 0)
		sq_ca_make(out, &a->cfg, old,
		    now_s + (a->cfg.overlap_s < left_s / 2 ? a->cfg.overlap_s : left_s / 2), now_s);
	else
		sq_ca_make(out, &a->cfg, NULL, 0, now_s);
	pair_fini(&used);
	sk_X509_pop_free(old, X509_free);
	return step;
}

enum sq_authority_step
sq_authority_ca(struct sq_authority *a, const struct sq_ca_texts *seen,
    const struct sq_pair_texts *broker, int64_t now_s, struct sq_ca_texts *write)
{
	enum sq_authority_step step = SQ_AUTHORITY_KEEP;
	struct sq_ca ca;

	if (!sq_ca_read(&ca, seen) || sq_ca_gives_way(&ca, &a->ca, now_s)) {
		sq_ca_fini(&ca);
		step = SQ_AUTHORITY_WRITE;
		if (a->ca.bundle != NULL)
			sq_ca_copy(&ca, &a->ca);
		else
			step = authority_begin(a, broker, now_s, &ca);
	}
	if (step == SQ_AUTHORITY_WAIT)
		return step;
	if (sq_ca_advance(&ca, &a->cfg, now_s))
		step = SQ_AUTHORITY_WRITE;
	if (step == SQ_AUTHORITY_KEEP) {
		authority_hold(a, &ca);
	} else {
		sq_ca_write(&ca, write);
		sq_ca_move(&a->pending_ca, &ca);
	}
	return step;
}

void
sq_authority_ca_written(struct sq_authority *a)
{
	assert(a->pending_ca.bundle != NULL);
	authority_hold(a, &a->pending_ca);
}

/* ---- the broker's ---- */

/* The pair that brokers shall have: what they have, else what they had, else a new one. */
static struct pair
authority_choose(struct sq_authority *a, const struct sq_pair_texts *seen, int64_t now_s)
{
	const char *const *names = a->cfg.broker_names;
	size_t n = a->cfg.n_broker_names;
	struct pair p;

	if (pair_read(&p, seen) && pair_is_good(&p, &a->ca, names, n, now_s))
		return p;
	pair_fini(&p);
	if (pair_is_good(&a->broker, &a->ca, names, n, now_s))
		return pair_ref(&a->broker);
	return pair_make(a, names, n, now_s);
}

enum sq_authority_step
sq_authority_broker(struct sq_authority *a, const struct sq_pair_texts *seen, int64_t now_s,
    struct sq_pair_texts *write)
{
	struct pair p;
	STACK_OF(X509) * chain;

	assert(a->ca.bundle != NULL);
	p = authority_choose(a, seen, now_s);
	chain = pair_due_chain(a, &p, now_s);
	if (chain != p.chain)
		pair_set_chain(&p, chain);
	sq_cert_write(p.cert, &write->chain);
	sq_cert_write_all(p.chain, &write->chain);
	sq_cert_write_key(p.key, &write->key);
	sq_buf_append(&write->bundle, sq_buf_data(&a->bundle), sq_buf_len(&a->bundle));
	if (sq_buf_equal(&write->chain, &seen->chain) && sq_buf_equal(&write->key, &seen->key) &&
	    sq_buf_equal(&write->bundle, &seen->bundle)) {
		sq_pair_texts_fini(write);
		pair_move(&a->broker, &p);
		return SQ_AUTHORITY_KEEP;
	}
	pair_move(&a->pending_broker, &p);
	return SQ_AUTHORITY_WRITE;
}

void
sq_authority_broker_written(struct sq_authority *a)
{
	assert(a->pending_broker.cert != NULL);
	pair_move(&a->broker, &a->pending_broker);
}

/* ---- our own ---- */

bool
sq_authority_serving(struct sq_authority *a, int64_t now_s)
{
	struct sq_cert_issuer signer;
	struct pair p;

	assert(a->ca.bundle != NULL);
	signer = sq_ca_signer(&a->ca, now_s);
	if (pair_is_good(
		&a->serving, &a->ca, a->cfg.serving_names, a->cfg.n_serving_names, now_s) &&
	    sq_cert_is_by(a->serving.cert, signer.cert) &&
	    pair_has_chain(&a->serving, sq_ca_chain(&a->ca, signer.cert)))
		return false;
	p = pair_make(a, a->cfg.serving_names, a->cfg.n_serving_names, now_s);
	pair_move(&a->serving, &p);
	return true;
}

X509 *
sq_authority_cert(const struct sq_authority *a)
{
	return a->serving.cert;
}

EVP_PKEY *
sq_authority_key(const struct sq_authority *a)
{
	return a->serving.key;
}

STACK_OF(X509) * sq_authority_chain(const struct sq_authority *a)
{
	return a->serving.chain;
}

const struct sq_buf *
sq_authority_bundle(const struct sq_authority *a)
{
	return &a->bundle;
}

static int64_t
authority_end(const X509 *cert)
{
	return cert != NULL ? sq_cert_span_of(cert).until_s : 0;
}

struct sq_authority_ends
sq_authority_ends(const struct sq_authority *a)
{
	return (struct sq_authority_ends){
	    .ca_s = a->ca.bundle != NULL ? authority_end(sk_X509_value(a->ca.bundle, 0)) : 0,
	    .broker_s = authority_end(a->broker.cert),
	    .serving_s = authority_end(a->serving.cert),
	};
}

/* ---- texts ---- */

void
sq_ca_texts_fini(struct sq_ca_texts *t)
{
	sq_buf_fini(&t->bundle);
	sq_buf_wipe(&t->key);
	sq_buf_wipe(&t->previous_key);
	sq_buf_fini(&t->cross);
	sq_buf_fini(&t->switch_at);
	sq_buf_fini(&t->forget_at);
}

void
sq_pair_texts_fini(struct sq_pair_texts *t)
{
	sq_buf_fini(&t->chain);
	sq_buf_wipe(&t->key);
	sq_buf_fini(&t->bundle);
}
