/* One issuer: its keys, and the tokens that wait for them; see broker/auth/issuers_priv.h. */
#include "broker/auth/issuers_priv.h"
#include "core/clock.h"

void
sq_issuer_set_keys(struct sq_issuer *i, struct sq_jwks *keys)
{
	bool same = keys != NULL && i->keys != NULL && sq_jwks_equal(i->keys, keys);

	sq_jwks_unref(&i->keys);
	i->keys = keys;
	if (!same)
		sq_verifier_changed(&i->all->base);
}

/* Tokens of keys that are not known. */

enum sq_auth_reason
sq_issuer_reason(const struct sq_issuer *i)
{
	return i->keys == NULL || i->failures > 0 || !i->all->started || i->all->stopped
	    ? SQ_AUTH_UNAVAILABLE
	    : SQ_AUTH_UNKNOWN_KEY;
}

enum sq_auth_reason
sq_issuer_wait(struct sq_issuer *i, struct sq_auth_request *r)
{
	struct sq_issuers *all = i->all;
	bool fresh = i->begun_ms != 0 && sq_clock_ms() - i->begun_ms < all->unknown_ms;

	if (!all->started || all->stopped || (fresh && !i->running))
		return sq_issuer_reason(i);
	if (all->n_waiting == SQ_ISSUERS_WAITING)
		return SQ_AUTH_BUSY;
	sq_buf_append(&r->copy, r->token.p, r->token.len);
	r->token = sq_buf_bytes(&r->copy);
	r->credential = (struct sq_bytes){NULL, 0};
	sq_list_init(&r->node);
	sq_list_push_back(&i->waiting, &r->node);
	all->n_waiting++;
	if (!i->running) {
		i->wanted = true;
		pthread_cond_signal(&all->wake);
	}
	return SQ_AUTH_NONE;
}
