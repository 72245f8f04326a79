/* The way of a signed token: from its issuer's name to its judgement; see
 * broker/auth/issuers_priv.h. */
#include <assert.h>
#include <string.h>

#include "broker/auth/issuers_priv.h"
#include "broker/auth/jwt/jwt.h"
#include "core/clock.h"

/* The issuer that a token names: by the name that its keys have, as servers say theirs. */
static struct sq_issuer *
issuers_find(struct sq_issuers *all, const char *name)
{
	for (unsigned n = 0; n < all->n; n++) {
		struct sq_issuer *i = &all->v[n];
		const char *known = i->keys != NULL ? sq_jwks_issuer(i->keys) : i->issuer;

		if (known != NULL && strcmp(known, name) == 0)
			return i;
	}
	for (unsigned n = 0; n < all->n; n++) /* one that has not said its name yet */
		if (all->v[n].keys == NULL && all->v[n].issuer == NULL)
			return &all->v[n];
	return NULL;
}

/* A token's judges: its issuer, and a reference to its keys. */
struct judge {
	const struct sq_issuer *issuer;
	struct sq_jwks *keys;
	const struct sq_jwk *key;
	bool waits; /* the request is the issuer's */
};

/* Finds who judges 't'; a reason: nobody. */
static enum sq_auth_reason
issuers_judge(struct sq_issuers *all, const struct sq_jwt *t, struct sq_auth_request *r,
    bool may_wait, struct judge *out)
{
	enum sq_auth_reason why = SQ_AUTH_NONE;
	struct sq_issuer *i;

	pthread_mutex_lock(&all->lock);
	i = issuers_find(all, sq_jwt_issuer(t));
	if (i != NULL && i->keys != NULL)
		out->key = sq_jwks_find(i->keys, sq_jwt_key_name(t), sq_jwt_key_kind(t));
	if (i == NULL) {
		why = SQ_AUTH_ISSUER;
	} else if (out->key != NULL) {
		out->issuer = i;
		out->keys = sq_jwks_ref(i->keys);
	} else if (i->server == NULL) {
		why = SQ_AUTH_UNKNOWN_KEY;
	} else {
		why = may_wait ? sq_issuer_wait(i, r) : sq_issuer_reason(i);
		out->waits = why == SQ_AUTH_NONE;
	}
	pthread_mutex_unlock(&all->lock);
	return why;
}

/* By a key that its issuer has. */
static enum sq_auth_reason
issuers_prove(struct sq_jwt *t, const struct judge *j, struct sq_auth_request *r)
{
	const struct sq_jwt_rules rules = {
	    .issuer = sq_jwks_issuer(j->keys),
	    .audience = j->issuer->audience,
	    .space = j->issuer->space,
	    .now_s = (int64_t)(sq_clock_wall_ms() / 1000),
	};
	enum sq_auth_reason why = SQ_AUTH_SIGNATURE;

	if (sq_jwt_verify(t, j->key))
		why = sq_jwt_identity(t, &rules, &r->identity);
	if (why == SQ_AUTH_NONE)
		r->basis.what = sq_jwk_number(j->key);
	return why;
}

static enum sq_judgement
issuers_try(struct sq_issuers *all, struct sq_auth_request *r, bool may_wait)
{
	struct judge j = {0};
	struct sq_jwt *t;
	enum sq_auth_reason why = sq_jwt_parse(r->token, &t);

	if (t == NULL) {
		if (r->reason == SQ_AUTH_NONE) /* else no other verifier knows it */
			r->reason = why;
		return SQ_JUDGEMENT_NOT_MINE;
	}
	if (why == SQ_AUTH_NONE)
		why = issuers_judge(all, t, r, may_wait, &j);
	if (j.waits) {
		sq_jwt_free(&t);
		return SQ_JUDGEMENT_LATER; /* it may be answered by now: not touched any more */
	}
	if (j.key != NULL)
		why = issuers_prove(t, &j, r);
	r->reason = why;
	if (why != SQ_AUTH_NONE)
		sq_jwt_describe(t, &r->known);
	sq_jwks_unref(&j.keys);
	sq_jwt_free(&t);
	return why == SQ_AUTH_NONE ? SQ_JUDGEMENT_YES : SQ_JUDGEMENT_NO;
}

enum sq_judgement
sq_issuers_verify(struct sq_verifier *v, struct sq_auth_request *r)
{
	return issuers_try(SQ_CONTAINER_OF(v, struct sq_issuers, base), r, true);
}

void
sq_issuers_answer(struct sq_issuers *all, struct sq_list *waiting)
{
	while (!sq_list_empty(waiting)) {
		struct sq_auth_request *r = SQ_LIST_FIRST(waiting, struct sq_auth_request, node);
		enum sq_judgement v;

		sq_list_remove(&r->node);
		v = issuers_try(all, r, false);
		assert(v == SQ_JUDGEMENT_YES || v == SQ_JUDGEMENT_NO);
		sq_verifier_answer(r, r->reason);
	}
}
