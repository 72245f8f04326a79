#include "broker/push/push_priv.h"
#include "core/clock.h"

/* Opens those that the declaration names. */
void
sq_push_proofs_open(struct sq_push_conf *c)
{
	const struct sq_declared_push *push = &c->decl->push;
	const struct {
		const struct sq_push_secret *secret;
		enum sq_secret_kind kind;
	} named[SQ_PUSH_PROOFS] = {
	    [SQ_PUSH_PROOF_BEARER] = {&push->auth.bearer, SQ_SECRET_BEARER},
	    [SQ_PUSH_PROOF_BASIC] = {&push->auth.basic, SQ_SECRET_BASIC},
	    [SQ_PUSH_PROOF_VALUE] = {&push->auth.value, SQ_SECRET_VALUE},
	    [SQ_PUSH_PROOF_CERT] = {&push->auth.cert, SQ_SECRET_CERT},
	    [SQ_PUSH_PROOF_SIGN] = {&push->sign, SQ_SECRET_KEYS},
	};

	for (unsigned i = 0; i < SQ_PUSH_PROOFS; i++) {
		if (named[i].secret->file == NULL && named[i].secret->name == NULL)
			continue;
		c->proofs.named = true;
		if (c->all->cfg.secrets != NULL)
			c->proofs.v[i] = sq_secret_open(
			    c->all->cfg.secrets, c->space, named[i].secret, named[i].kind);
	}
}

void
sq_push_proofs_close(struct sq_push_conf *c)
{
	for (unsigned i = 0; i < SQ_PUSH_PROOFS; i++) {
		if (c->proofs.v[i] != NULL)
			sq_secret_close(&c->proofs.v[i]);
	}
	if (c->proofs.cert != NULL)
		sq_secret_value_put(&c->proofs.cert);
}

/* The certificate's path stays that of the first time, which requests on their way read. */
static void
proof_cert(struct sq_push_conf *c, struct sq_push_proof *out)
{
	if (out->v[SQ_PUSH_PROOF_CERT] == NULL || c->proofs.cert != NULL)
		return;
	c->proofs.cert = out->v[SQ_PUSH_PROOF_CERT];
	out->v[SQ_PUSH_PROOF_CERT] = NULL;
	c->way.cert_file = c->way.key_file = c->proofs.cert->text;
}

int
sq_push_proof_get(struct sq_push_conf *c, struct sq_push_proof *out, struct sq_buf *why)
{
	int err = SQ_OK;

	*out = (struct sq_push_proof){0};
	if (!c->proofs.named)
		return SQ_OK;
	if (c->all->cfg.secrets == NULL) {
		sq_buf_printf(why, "there are no secrets here");
		return SQ_ENOTFOUND;
	}
	for (unsigned i = 0; i < SQ_PUSH_PROOFS && err == SQ_OK; i++) {
		if (c->proofs.v[i] != NULL)
			err = sq_secret_get(c->proofs.v[i], &out->v[i], why);
	}
	if (err == SQ_OK)
		proof_cert(c, out);
	else
		sq_push_proof_put(out);
	return err;
}

void
sq_push_proof_put(struct sq_push_proof *p)
{
	for (unsigned i = 0; i < SQ_PUSH_PROOFS; i++) {
		if (p->v[i] != NULL)
			sq_secret_value_put(&p->v[i]);
	}
}

static const char *
proof_text(const struct sq_push_proof *p, enum sq_push_proof_of of)
{
	return p->v[of] != NULL ? p->v[of]->text : NULL;
}

struct sq_push_message_cfg
sq_push_proven(const struct sq_push_conf *c, const struct sq_push_proof *p)
{
	const char *bearer = proof_text(p, SQ_PUSH_PROOF_BEARER);

	return (struct sq_push_message_cfg){.push = &c->decl->push,
	    .validate = c->validate,
	    .space = c->space,
	    .queue = c->queue,
	    .install = c->all->cfg.install,
	    .keys = p->v[SQ_PUSH_PROOF_SIGN] != NULL ? &p->v[SQ_PUSH_PROOF_SIGN]->keys : NULL,
	    .authorization = bearer != NULL ? bearer : proof_text(p, SQ_PUSH_PROOF_BASIC),
	    .auth_value = proof_text(p, SQ_PUSH_PROOF_VALUE),
	    .now_s = (int64_t)(sq_clock_wall_ms() / 1000)};
}
