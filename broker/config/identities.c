/* Checks of keys about identities that depend on each other. */
#include <string.h>

#include "broker/auth/tokens/tokens_file.h"
#include "broker/config/config.h"

/* The fault in an item of auth.issuers; NULL: none. */
static const char *
identities_issuer(const struct sq_broker_config *c, size_t i)
{
	const struct sq_broker_issuer *all = c->issuers.v, *it = &all[i];

	if (!sq_config_is_set(it->issuer))
		return "issuer: needs a value";
	if (sq_config_is_set(it->keys_file) == sq_config_is_set(it->keys_url))
		return "needs keys-file or keys-url, one of them";
	if (sq_config_is_set(it->ca_file) && !sq_config_is_set(it->keys_url))
		return "ca-file: is of keys-url alone";
	for (size_t n = 0; n < i; n++)
		if (strcmp(all[n].issuer, it->issuer) == 0)
			return "issuer: given twice";
	return NULL;
}

static int
identities_tokens(const struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_issuer *all = c->issuers.v;

	if (sq_config_is_set(c->old_token_file)) {
		sq_buf_printf(err,
		    "auth.token-file: is auth.tokens-file now, a line for each token with the "
		    "spaces it may name: sqmqos-broker --new-token NAME SPACE makes one");
		return SQ_EINVAL;
	}
	if ((c->kubernetes || c->issuers.n > 0) && !sq_config_is_set(c->audience)) {
		sq_buf_printf(err, "auth.audience: needed to verify signed tokens");
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->issuers.n; i++) {
		const char *why = identities_issuer(c, i);

		if (why == NULL)
			continue;
		sq_buf_printf(err, "%s: auth.issuers[%zu]: %s", all[i].record.where, i, why);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* The fault in an item of auth.certificates; NULL: none. */
static const char *
identities_certificate(const struct sq_broker_certificate *it)
{
	if (!sq_config_is_set(it->name))
		return "name: needs a value";
	if (it->spaces.n == 0 || it->spaces.n > SQ_IDENTITY_SPACES_MAX)
		return "spaces: needs 1 to 64";
	for (size_t i = 0; i < it->spaces.n; i++)
		if (!sq_tokens_space(it->spaces.v[i]))
			return "spaces: one is not the name of a space";
	return NULL;
}

static int
identities_certificates(const struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_certificate *all = c->certificates.v;
	bool any = sq_config_is_set(c->client_ca_file);

	if (!any && (sq_config_is_set(c->client_crl_file) || c->certificates.n > 0)) {
		sq_buf_printf(err, "auth.client-ca-file: needed with %s",
		    sq_config_is_set(c->client_crl_file) ? "auth.client-crl-file"
							 : "auth.certificates");
		return SQ_EINVAL;
	}
	if (any && !c->tls) {
		sq_buf_printf(err, "auth.client-ca-file: needs tls.enabled");
		return SQ_EINVAL;
	}
	for (size_t i = 0; i < c->certificates.n; i++) {
		const char *why = identities_certificate(&all[i]);

		if (why == NULL)
			continue;
		sq_buf_printf(err, "%s: auth.certificates[%zu]: %s", all[i].record.where, i, why);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

int
sq_broker_config_identities(const struct sq_broker_config *c, struct sq_buf *err)
{
	int rc = identities_tokens(c, err);

	return rc == SQ_OK ? identities_certificates(c, err) : rc;
}
