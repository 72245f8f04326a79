/* The seam of credentials; see broker/auth/auth.h. */
#include "broker/auth/auth.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "broker/auth/certs.h"
#include "broker/auth/issuers.h"
#include "broker/auth/tokens.h"
#include "broker/auth/verifier.h"
#include "core/mem.h"

enum { VERIFIERS_MAX = 4 };

struct sq_auth {
	struct sq_verifier *verifiers[VERIFIERS_MAX];
	unsigned n;
	atomic_uint_fast64_t epoch;
};

static int
auth_add(struct sq_auth *a, struct sq_verifier *v)
{
	if (v == NULL)
		return SQ_EINVAL;
	assert(a->n < VERIFIERS_MAX);
	v->epoch = &a->epoch;
	a->verifiers[a->n++] = v;
	return SQ_OK;
}

struct sq_auth *
sq_auth_new(const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	struct sq_auth *a = sq_xcalloc(1, sizeof *a);
	int rc = SQ_OK;

	atomic_init(&a->epoch, 1);
	if (cfg->tokens_file != NULL && *cfg->tokens_file != '\0')
		rc = auth_add(a, sq_tokens_verifier(cfg->tokens_file, err));
	if (rc == SQ_OK && cfg->client_ca_file != NULL && *cfg->client_ca_file != '\0')
		rc = auth_add(a, sq_certs_verifier(cfg, err));
	if (rc == SQ_OK && (cfg->kubernetes || cfg->n_issuers > 0))
		rc = auth_add(a, sq_issuers_verifier(cfg, err));
	if (rc != SQ_OK)
		sq_auth_free(&a);
	return a;
}

bool
sq_auth_asks(const struct sq_auth *a)
{
	return a->n > 0;
}

bool
sq_auth_asks_certificates(const struct sq_auth *a, bool *alone)
{
	unsigned n = 0;

	for (unsigned i = 0; i < a->n; i++)
		n += a->verifiers[i]->ops->certificates;
	*alone = n == a->n;
	return n > 0;
}

void
sq_auth_start(struct sq_auth *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->verifiers[i]->ops->start(a->verifiers[i]);
}

void
sq_auth_stop(struct sq_auth *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->verifiers[i]->ops->stop(a->verifiers[i]);
}

void
sq_auth_free(struct sq_auth **ap)
{
	struct sq_auth *a = *ap;

	*ap = NULL;
	if (a == NULL)
		return;
	sq_auth_stop(a);
	for (unsigned i = 0; i < a->n; i++)
		a->verifiers[i]->ops->free(a->verifiers[i]);
	free(a);
}

/* The token of "Bearer <token>" (RFC 6750 §2.1); false: the header has none. */
static bool
auth_bearer(struct sq_bytes header, struct sq_bytes *out)
{
	static const char scheme[] = "Bearer ";
	const size_t skip = sizeof scheme - 1;

	if (header.len <= skip || strncasecmp((const char *)header.p, scheme, skip) != 0)
		return false;
	*out = (struct sq_bytes){header.p + skip, header.len - skip};
	return true;
}

bool
sq_auth_ask(struct sq_auth *a, struct sq_auth_request *r)
{
	bool token;

	r->identity = NULL;
	r->basis = (struct sq_basis){0};
	r->reason = SQ_AUTH_NONE;
	if (a->n == 0) {
		r->identity = sq_identity_nobody();
		return true;
	}
	r->reason = SQ_AUTH_MISSING;
	token = r->credential.len > 0;
	if (token ? !auth_bearer(r->credential, &r->token) : r->cert == NULL)
		return true;
	for (unsigned i = 0; i < a->n; i++) {
		enum sq_judgement v;

		if (a->verifiers[i]->ops->certificates == token)
			continue;
		if (r->reason == SQ_AUTH_MISSING)
			r->reason = SQ_AUTH_NONE;
		v = a->verifiers[i]->ops->verify(a->verifiers[i], r);
		if (v == SQ_JUDGEMENT_LATER)
			return false;
		if (v != SQ_JUDGEMENT_NOT_MINE) {
			assert((v == SQ_JUDGEMENT_YES) == (r->reason == SQ_AUTH_NONE));
			assert((v == SQ_JUDGEMENT_YES) == (r->identity != NULL));
			return true;
		}
	}
	assert(r->reason != SQ_AUTH_NONE);
	return true;
}

void
sq_auth_request_fini(struct sq_auth_request *r)
{
	if (r->copy.base != NULL)
		explicit_bzero(r->copy.base, r->copy.cap);
	sq_buf_fini(&r->copy);
	sq_identity_unref(&r->identity);
	sq_buf_fini(&r->known);
}

uint64_t
sq_auth_epoch(const struct sq_auth *a)
{
	return atomic_load_explicit(&a->epoch, memory_order_acquire);
}

bool
sq_auth_holds(struct sq_auth *a, struct sq_basis basis)
{
	if (a->n == 0)
		return true;
	for (unsigned i = 0; i < a->n; i++)
		if (a->verifiers[i]->ops->holds(a->verifiers[i], &basis))
			return true;
	return false;
}

void
sq_auth_refresh(struct sq_auth *a)
{
	for (unsigned i = 0; i < a->n; i++)
		a->verifiers[i]->ops->refresh(a->verifiers[i]);
}

bool
sq_auth_ready(struct sq_auth *a, struct sq_buf *why)
{
	bool ready = true;

	for (unsigned i = 0; i < a->n; i++)
		ready = a->verifiers[i]->ops->ready(a->verifiers[i], why) && ready;
	return ready;
}

struct sq_auth_counts
sq_auth_counts(struct sq_auth *a)
{
	struct sq_auth_counts c = {0};

	for (unsigned i = 0; i < a->n; i++)
		a->verifiers[i]->ops->count(a->verifiers[i], &c);
	return c;
}
