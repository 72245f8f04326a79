/* See broker/config/auth.h. */
#include "broker/config/auth.h"

#include <stdlib.h>

#include "broker/engine/engines/engines.h"
#include "core/mem.h"

/* Under the store's directory, which is the broker's volume. */
static const char auth_cache[] = "auth-keys";

static struct sq_auth_issuer *
auth_issuers(const struct sq_broker_config *c)
{
	const struct sq_broker_issuer *from = c->issuers.v;
	struct sq_auth_issuer *to = sq_xcalloc(c->issuers.n + 1, sizeof *to);

	for (size_t i = 0; i < c->issuers.n; i++)
		to[i] = (struct sq_auth_issuer){
		    .issuer = from[i].issuer,
		    .audience = from[i].audience,
		    .space = from[i].space,
		    .keys_file = from[i].keys_file,
		    .keys_url = from[i].keys_url,
		    .ca_file = from[i].ca_file,
		};
	return to;
}

static struct sq_auth_certificate *
auth_certificates(const struct sq_broker_config *c)
{
	const struct sq_broker_certificate *from = c->certificates.v;
	struct sq_auth_certificate *to = sq_xcalloc(c->certificates.n + 1, sizeof *to);

	for (size_t i = 0; i < c->certificates.n; i++)
		to[i] = (struct sq_auth_certificate){
		    from[i].name, (const char *const *)from[i].spaces.v, from[i].spaces.n};
	return to;
}

struct sq_auth *
sq_broker_config_auth(
    const struct sq_broker_config *c, bool cached, struct sq_out_shared *out, struct sq_buf *err)
{
	struct sq_auth_issuer *issuers = auth_issuers(c);
	struct sq_auth_certificate *certificates = auth_certificates(c);
	struct sq_buf dir = {0};
	struct sq_auth *auth;

	sq_buf_printf(&dir, "%s/%s%c", c->store_dir != NULL ? c->store_dir : "", auth_cache, 0);
	auth = sq_auth_new(
	    &(struct sq_auth_cfg){
		.client_ca_file = c->client_ca_file,
		.client_crl_file = c->client_crl_file,
		.certificates = certificates,
		.n_certificates = c->certificates.n,
		.tokens_file = c->tokens_file,
		.kubernetes = c->kubernetes,
		.api_server = c->api_server,
		.api_token_file = c->api_token_file,
		.api_ca_file = c->api_ca_file,
		.audience = c->audience,
		.issuers = issuers,
		.n_issuers = c->issuers.n,
		.cache_dir = cached && sq_engines[c->engine]->durable
		    ? (const char *)sq_buf_data(&dir)
		    : NULL,
		.out = out,
	    },
	    err);
	sq_buf_fini(&dir);
	free(issuers);
	free(certificates);
	return auth;
}
