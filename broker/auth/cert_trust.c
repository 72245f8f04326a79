/* See broker/auth/cert_trust.h. */
#include "broker/auth/cert_trust.h"

#include <assert.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "core/htab.h"
#include "core/mem.h"

enum { TRUST_DEPTH_MAX = SQ_BASIS_ABOVE_MAX - 1 }; /* between the client's and the root */

/* A sorted set of hashes. */
struct set {
	uint64_t *v;
	size_t n, cap;
};

struct sq_cert_trust {
	atomic_uint refs;
	X509_STORE *store;
	struct set authorities, revoked;
	int64_t lists_end_s; /* of the first that ends; INT64_MAX: none does */
};

static int
set_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void
set_add(struct set *s, uint64_t hash)
{
	if (s->n == s->cap) {
		s->cap = s->cap > 0 ? 2 * s->cap : 16;
		s->v = sq_xrealloc(s->v, s->cap * sizeof *s->v);
	}
	s->v[s->n++] = hash;
}

static bool
set_has(const struct set *s, uint64_t hash)
{
	return s->n > 0 && bsearch(&hash, s->v, s->n, sizeof *s->v, set_compare) != NULL;
}

static uint64_t
trust_authority(const X509 *cert)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1)
		abort(); /* out of memory, or a broken library */
	return sq_hash(digest, len);
}

/* Of a certificate by its issuer and number; names are compared as X.509 does. */
static uint64_t
trust_number(const X509_NAME *issuer, const ASN1_INTEGER *number)
{
	struct sq_buf b = {0};
	uint64_t hash;

	sq_buf_u64(&b, X509_NAME_hash_ex(issuer, NULL, NULL, NULL));
	sq_buf_append(&b, ASN1_STRING_get0_data(number), (size_t)ASN1_STRING_length(number));
	hash = sq_hash(sq_buf_data(&b), sq_buf_len(&b));
	sq_buf_fini(&b);
	return hash;
}

/* Whether reading PEM objects one by one has come to the end of the text. */
static bool
trust_at_end(void)
{
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	ERR_clear_error();
	return end;
}

/* What is wrong with the authorities; NULL: nothing. */
static const char *
trust_add_authorities(struct sq_cert_trust *t, BIO *pem)
{
	X509 *cert;

	while ((cert = PEM_read_bio_X509(pem, NULL, NULL, NULL)) != NULL) {
		int ok = X509_STORE_add_cert(t->store, cert);

		set_add(&t->authorities, trust_authority(cert));
		X509_free(cert);
		if (ok != 1)
			return "a certificate in it can't be taken";
	}
	if (!trust_at_end())
		return "a certificate in it is damaged";
	return t->authorities.n > 0 ? NULL : "no certificate in PEM format in it";
}

/* In seconds since 1970; INT64_MAX: it is not said. */
static int64_t
trust_time(const ASN1_TIME *at)
{
	struct tm tm;

	return at != NULL && ASN1_TIME_to_tm(at, &tm) == 1 ? (int64_t)timegm(&tm) : INT64_MAX;
}

static void
trust_add_revoked(struct sq_cert_trust *t, X509_CRL *crl)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(crl);
	X509_REVOKED *first;

	if (sk_X509_REVOKED_num(all) > 0) /* sorts it, or the first client would be kept waiting */
		(void)X509_CRL_get0_by_serial(
		    crl, &first, X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(all, 0)));
	for (int i = 0; i < sk_X509_REVOKED_num(all); i++)
		set_add(&t->revoked,
		    trust_number(X509_CRL_get_issuer(crl),
			X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(all, i))));
}

static const char *
trust_add_lists(struct sq_cert_trust *t, BIO *pem)
{
	unsigned n = 0;
	X509_CRL *crl;

	while ((crl = PEM_read_bio_X509_CRL(pem, NULL, NULL, NULL)) != NULL) {
		int ok = X509_STORE_add_crl(t->store, crl);
		int64_t end_s = trust_time(X509_CRL_get0_nextUpdate(crl));

		t->lists_end_s = end_s < t->lists_end_s ? end_s : t->lists_end_s;
		trust_add_revoked(t, crl);
		X509_CRL_free(crl);
		if (ok != 1)
			return "a list in it can't be taken";
		n++;
	}
	if (!trust_at_end())
		return "a list in it is damaged";
	if (n == 0)
		return "no CRL in PEM format in it";
	X509_STORE_set_flags(t->store, X509_V_FLAG_CRL_CHECK);
	return NULL;
}

static const char *
trust_read(struct sq_cert_trust *t, struct sq_bytes text,
    const char *(*add)(struct sq_cert_trust *, BIO *))
{
	BIO *bio = text.len > 0 && text.len <= INT_MAX ? BIO_new_mem_buf(text.p, (int)text.len)
						       : BIO_new(BIO_s_mem());
	const char *why = bio != NULL ? add(t, bio) : "out of memory";

	BIO_free(bio);
	ERR_clear_error();
	return why;
}

struct sq_cert_trust *
sq_cert_trust_new(struct sq_bytes ca, struct sq_bytes crl, struct sq_buf *err)
{
	struct sq_cert_trust *t = sq_xcalloc(1, sizeof *t);
	const char *key = "auth.client-ca-file", *why;

	atomic_init(&t->refs, 1);
	t->lists_end_s = INT64_MAX;
	t->store = X509_STORE_new();
	if (t->store == NULL)
		abort();
	X509_STORE_set_flags(t->store, X509_V_FLAG_PARTIAL_CHAIN); /* each one is trusted itself */
	why = trust_read(t, ca, trust_add_authorities);
	if (why == NULL && crl.p != NULL) {
		key = "auth.client-crl-file";
		why = trust_read(t, crl, trust_add_lists);
	}
	if (t->authorities.n > 0)
		qsort(t->authorities.v, t->authorities.n, sizeof *t->authorities.v, set_compare);
	if (t->revoked.n > 0)
		qsort(t->revoked.v, t->revoked.n, sizeof *t->revoked.v, set_compare);
	if (why != NULL) {
		sq_buf_printf(err, "%s: %s", key, why);
		sq_cert_trust_unref(&t);
	}
	return t;
}

struct sq_cert_trust *
sq_cert_trust_ref(struct sq_cert_trust *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void
sq_cert_trust_unref(struct sq_cert_trust **tp)
{
	struct sq_cert_trust *t = *tp;

	*tp = NULL;
	if (t == NULL || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	X509_STORE_free(t->store);
	free(t->authorities.v);
	free(t->revoked.v);
	free(t);
}

int64_t
sq_cert_trust_lists_end(const struct sq_cert_trust *t)
{
	return t->lists_end_s != INT64_MAX ? t->lists_end_s : 0;
}

static enum sq_auth_reason
trust_reason(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return SQ_AUTH_CERT_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return SQ_AUTH_CERT_REVOKED;
	default:
		return SQ_AUTH_CERT_UNTRUSTED;
	}
}

static uint64_t
trust_number_of(const X509 *cert)
{
	return trust_number(X509_get_issuer_name(cert), X509_get0_serialNumber(cert));
}

/* Whether a list of its own revokes none above the client's, which X509_verify_cert() has looked
 * at.  That would want a list of each authority for these, the root's too. */
static bool
trust_above(const struct sq_cert_trust *t, STACK_OF(X509) * chain, struct sq_basis *basis)
{
	int n = sk_X509_num(chain) - 1;
	bool good = true;

	assert(n <= SQ_BASIS_ABOVE_MAX);
	for (int i = 0; i < n; i++) {
		basis->above[i] = trust_number_of(sk_X509_value(chain, i + 1));
		good = good && !set_has(&t->revoked, basis->above[i]);
	}
	return good;
}

/* When the first of the chain ends, in seconds since 1970. */
static int64_t
trust_end(STACK_OF(X509) * chain)
{
	int64_t first = INT64_MAX;

	for (int i = 0; i < sk_X509_num(chain); i++) {
		int64_t end = trust_time(X509_get0_notAfter(sk_X509_value(chain, i)));

		first = end < first ? end : first;
	}
	return first;
}

enum sq_auth_reason
sq_cert_trust_verify(struct sq_cert_trust *t, X509 *cert, STACK_OF(X509) * chain,
    struct sq_cert_proof *out, struct sq_buf *known)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	enum sq_auth_reason why = SQ_AUTH_NONE;
	int error;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, t->store, cert, chain) != 1 ||
	    X509_STORE_CTX_set_purpose(ctx, X509_PURPOSE_SSL_CLIENT) != 1)
		abort(); /* out of memory */
	X509_STORE_CTX_set_depth(ctx, TRUST_DEPTH_MAX);
	if (X509_verify_cert(ctx) == 1) {
		STACK_OF(X509) *proven = X509_STORE_CTX_get0_chain(ctx);

		out->basis.what = trust_authority(sk_X509_value(proven, sk_X509_num(proven) - 1));
		out->basis.number = trust_number_of(cert);
		out->expires_s = trust_end(proven);
		if (!trust_above(t, proven, &out->basis)) {
			why = SQ_AUTH_CERT_REVOKED;
			sq_buf_printf(known, "an authority above it is revoked");
		}
	} else {
		error = X509_STORE_CTX_get_error(ctx);
		why = trust_reason(error);
		sq_buf_printf(known, "%s", X509_verify_cert_error_string(error));
	}
	X509_STORE_CTX_free(ctx);
	ERR_clear_error(); /* the thread's TLS connections look there, too */
	return why;
}

bool
sq_cert_trust_holds(const struct sq_cert_trust *t, const struct sq_basis *basis)
{
	bool good = set_has(&t->authorities, basis->what) && !set_has(&t->revoked, basis->number);

	for (size_t i = 0; good && i < SQ_BASIS_ABOVE_MAX && basis->above[i] != 0; i++)
		good = !set_has(&t->revoked, basis->above[i]);
	return good;
}
