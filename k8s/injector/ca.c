/* The state of an authority; see k8s/injector/ca.h and the map in authority.h. */
#include "k8s/injector/ca.h"

#include <assert.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/mem.h"

enum {
	CA_SKEW_S = 300,
	CA_BUNDLE_MAX = 8, /* what is kept of a bundle; renewals leave 3 at most */
};

#define CA_TIME "%Y-%m-%dT%H:%M:%SZ"

struct sq_cert_span
sq_ca_span(int64_t now_s, int64_t life_s)
{
	int64_t back_s = life_s / 10 < CA_SKEW_S ? life_s / 10 : CA_SKEW_S;

	return (struct sq_cert_span){now_s - back_s, now_s + life_s};
}

int64_t
sq_ca_renew_s(struct sq_cert_span span)
{
	return span.from_s + (span.until_s - span.from_s) / 3 * 2;
}

/* ---- lists ---- */

static STACK_OF(X509) * ca_list_copy(const STACK_OF(X509) * of)
{
	return of != NULL ? X509_chain_up_ref((STACK_OF(X509) *)(uintptr_t)of) : NULL;
}

static void
ca_list_free(STACK_OF(X509) * *list)
{
	sk_X509_pop_free(*list, X509_free);
	*list = NULL;
}

/* Puts 'cert', whose reference it takes, before the others. */
static void
ca_list_put(STACK_OF(X509) * *list, X509 *cert)
{
	if (*list == NULL)
		*list = sk_X509_new_null();
	if (*list == NULL || sk_X509_insert(*list, cert, 0) <= 0)
		abort(); /* no memory */
}

/* Cuts the list to its first 'n'; true if it was longer. */
static bool
ca_list_cut(STACK_OF(X509) * list, int n)
{
	bool longer = sk_X509_num(list) > n;

	while (sk_X509_num(list) > n)
		X509_free(sk_X509_pop(list));
	return longer;
}

/* Takes out what has ended, from index 'from' on; true if there was any. */
static bool
ca_list_expire(STACK_OF(X509) * list, int from, int64_t now_s)
{
	bool any = false;

	for (int i = sk_X509_num(list) - 1; i >= from; i--) {
		if (sq_cert_span_of(sk_X509_value(list, i)).until_s > now_s)
			continue;
		X509_free(sk_X509_delete(list, i));
		any = true;
	}
	return any;
}

static bool
ca_list_has(const STACK_OF(X509) * list, const X509 *cert)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		if (sq_cert_same(sk_X509_value(list, i), cert))
			return true;
	return false;
}

static X509 *
ca_newest(const struct sq_ca *ca)
{
	return sk_X509_value(ca->bundle, 0);
}

/* ---- life ---- */

/* Puts a new CA in front; its key's predecessor is the caller's to keep. */
static void
ca_put_new(struct sq_ca *ca, const struct sq_authority_cfg *cfg, int64_t now_s)
{
	char name[64];

	/* Each has a name of its own, which makes chains plain to people and programs. */
	snprintf(name, sizeof name, "%.40s CA %lld", cfg->name, (long long)now_s);
	ca->key = sq_cert_key();
	ca_list_put(&ca->bundle, sq_cert_authority(name, ca->key, sq_ca_span(now_s, cfg->ca_s)));
	ca_list_cut(ca->bundle, CA_BUNDLE_MAX);
}

void
sq_ca_make(struct sq_ca *ca, const struct sq_authority_cfg *cfg, STACK_OF(X509) * old,
    int64_t switch_s, int64_t now_s)
{
	*ca = (struct sq_ca){.bundle = ca_list_copy(old)};
	if (old != NULL) {
		ca->switch_s = switch_s;
		ca->forget_s = switch_s + cfg->overlap_s;
	}
	ca_put_new(ca, cfg, now_s);
}

void
sq_ca_fini(struct sq_ca *ca)
{
	ca_list_free(&ca->bundle);
	ca_list_free(&ca->cross);
	EVP_PKEY_free(ca->key);
	EVP_PKEY_free(ca->previous);
	*ca = (struct sq_ca){0};
}

void
sq_ca_move(struct sq_ca *to, struct sq_ca *from)
{
	sq_ca_fini(to);
	*to = *from;
	*from = (struct sq_ca){0};
}

void
sq_ca_copy(struct sq_ca *to, const struct sq_ca *from)
{
	*to = *from;
	to->bundle = ca_list_copy(from->bundle);
	to->cross = ca_list_copy(from->cross);
	if (to->key != NULL)
		EVP_PKEY_up_ref(to->key);
	if (to->previous != NULL)
		EVP_PKEY_up_ref(to->previous);
}

/* The overlap, or half of what is left where that is less. */
static int64_t
ca_overlap(const struct sq_authority_cfg *cfg, int64_t left_s)
{
	return cfg->overlap_s < left_s / 2 ? cfg->overlap_s : left_s / 2;
}

static void
ca_renew(struct sq_ca *ca, const struct sq_authority_cfg *cfg, int64_t now_s)
{
	struct sq_cert_issuer old = {ca_newest(ca), ca->key};
	int64_t until_s = sq_cert_span_of(old.cert).until_s;
	struct sq_cert_span span = sq_ca_span(now_s, until_s - now_s);

	EVP_PKEY_free(ca->previous);
	ca->previous = NULL;
	X509_up_ref(old.cert);
	ca_put_new(ca, cfg, now_s);
	if (until_s > now_s) {
		if (span.until_s > sq_cert_span_of(ca_newest(ca)).until_s)
			span.until_s = sq_cert_span_of(ca_newest(ca)).until_s;
		ca_list_put(&ca->cross, sq_cert_cross(ca_newest(ca), &old, span));
		ca->previous = old.key;
		ca->switch_s = now_s + ca_overlap(cfg, until_s - now_s);
		ca->forget_s = ca->switch_s + cfg->overlap_s;
	} else { /* it has ended: nobody trusts it any more */
		EVP_PKEY_free(old.key);
		ca->switch_s = ca->forget_s = 0;
	}
	X509_free(old.cert);
}

bool
sq_ca_advance(struct sq_ca *ca, const struct sq_authority_cfg *cfg, int64_t now_s)
{
	bool changed = false;

	if ((ca->switch_s != 0 || ca->previous != NULL) && now_s >= ca->switch_s) {
		EVP_PKEY_free(ca->previous);
		ca->previous = NULL;
		ca->switch_s = 0;
		changed = true;
	}
	if (ca->switch_s == 0 && now_s >= sq_ca_renew_s(sq_cert_span_of(ca_newest(ca)))) {
		ca_renew(ca, cfg, now_s);
		changed = true;
	}
	if (ca->switch_s == 0 && ca->forget_s != 0 && now_s >= ca->forget_s) {
		ca->forget_s = 0;
		ca_list_cut(ca->bundle, 1);
		changed = true;
	}
	changed |= ca_list_expire(ca->cross, 0, now_s);
	/* Beside a key that signs, its certificate stays. */
	changed |= ca_list_expire(ca->bundle, ca->previous != NULL ? 2 : 1, now_s);
	return changed;
}

/* Whether 'ca' descends from 'cert': it is in the bundle, or has signed a cross
 * certificate. */
static bool
ca_descends(const struct sq_ca *ca, X509 *cert)
{
	if (ca_list_has(ca->bundle, cert))
		return true;
	for (int i = 0; i < sk_X509_num(ca->cross); i++)
		if (X509_check_issued(cert, sk_X509_value(ca->cross, i)) == X509_V_OK)
			return true;
	return false;
}

bool
sq_ca_gives_way(const struct sq_ca *seen, const struct sq_ca *held, int64_t now_s)
{
	X509 *theirs = ca_newest(seen), *ours;

	if (held->bundle == NULL)
		return false;
	ours = ca_newest(held);
	if (sq_cert_span_of(ours).until_s <= now_s || ca_descends(seen, ours))
		return false;
	return ca_descends(held, theirs) ||
	    sq_cert_span_of(theirs).from_s > sq_cert_span_of(ours).from_s;
}

/* ---- who signs ---- */

bool
sq_ca_keeps_old(const struct sq_ca *ca, int64_t now_s)
{
	return ca->switch_s != 0 && now_s < ca->switch_s && ca->previous == NULL;
}

struct sq_cert_issuer
sq_ca_signer(const struct sq_ca *ca, int64_t now_s)
{
	if (ca->previous != NULL && now_s < ca->switch_s)
		return (struct sq_cert_issuer){sk_X509_value(ca->bundle, 1), ca->previous};
	return (struct sq_cert_issuer){ca_newest(ca), ca->key};
}

STACK_OF(X509) * sq_ca_chain(const struct sq_ca *ca, const X509 *issuer)
{
	return issuer == ca_newest(ca) ? ca->cross : NULL;
}

/* ---- texts ---- */

static void
ca_write_time(int64_t at_s, struct sq_buf *out)
{
	time_t t = (time_t)at_s;
	char text[32];
	struct tm tm;

	if (at_s != 0 && gmtime_r(&t, &tm) != NULL)
		sq_buf_append(out, text, strftime(text, sizeof text, CA_TIME, &tm));
}

/* 0: not there, or no time, which is taken as long past. */
static int64_t
ca_read_time(const struct sq_buf *in)
{
	struct tm tm = {0};
	char text[32];
	const char *end;

	if (sq_buf_len(in) == 0 || sq_buf_len(in) >= sizeof text)
		return 0;
	memcpy(text, sq_buf_data(in), sq_buf_len(in));
	text[sq_buf_len(in)] = '\0';
	end = strptime(text, CA_TIME, &tm);
	return end != NULL && *end == '\0' ? (int64_t)timegm(&tm) : 0;
}

bool
sq_ca_read(struct sq_ca *ca, const struct sq_ca_texts *in)
{
	*ca = (struct sq_ca){
	    .bundle = sq_cert_read(sq_buf_data(&in->bundle), sq_buf_len(&in->bundle)),
	    .key = sq_cert_read_key(sq_buf_data(&in->key), sq_buf_len(&in->key)),
	    .previous = sq_cert_read_key(
		sq_buf_data(&in->previous_key), sq_buf_len(&in->previous_key)),
	    .cross = sq_cert_read(sq_buf_data(&in->cross), sq_buf_len(&in->cross)),
	    .switch_s = ca_read_time(&in->switch_at),
	    .forget_s = ca_read_time(&in->forget_at),
	};
	if (ca->bundle == NULL || !sq_cert_has_key(ca_newest(ca), ca->key) ||
	    X509_check_ca(ca_newest(ca)) != 1) {
		sq_ca_fini(ca);
		return false;
	}
	if (ca->previous != NULL &&
	    (sk_X509_num(ca->bundle) < 2 ||
		!sq_cert_has_key(sk_X509_value(ca->bundle, 1), ca->previous))) {
		EVP_PKEY_free(ca->previous);
		ca->previous = NULL;
	}
	return true;
}

void
sq_ca_write(const struct sq_ca *ca, struct sq_ca_texts *out)
{
	sq_cert_write_all(ca->bundle, &out->bundle);
	sq_cert_write_key(ca->key, &out->key);
	if (ca->previous != NULL)
		sq_cert_write_key(ca->previous, &out->previous_key);
	sq_cert_write_all(ca->cross, &out->cross);
	ca_write_time(ca->switch_s, &out->switch_at);
	ca_write_time(ca->forget_s, &out->forget_at);
}
