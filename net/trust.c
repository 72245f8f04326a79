/* Authorities, and their renewal over the link; see trust.h. */
#include "net/trust.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "proto/link/trust.h"
#include "net/trust_kept.h"

struct sq_trust {
	struct sq_trust_cfg cfg;
	struct sq_file_stamp stamp; /* of tls.ca-file */
	uint64_t base;              /* digest of the configured authorities; 0: the system's */
	uint64_t digest;            /* of the bundle in use; 0: the configured ones are */
	SSL_CTX *context;
	struct sq_tls_ends ends; /* of those that 'context' trusts */
	bool said;               /* that tls.ca-file can't be taken */
};

static bool
trust_named(const char *s)
{
	return s != NULL && *s != '\0';
}

/* Makes a context of the configured authorities and finds their digest; NULL with a line in
 * 'err'. */
static SSL_CTX *
trust_configured(const struct sq_trust_cfg *cfg, uint64_t *base, struct sq_buf *err)
{
	struct sq_buf text = {0}, source = {0};
	SSL_CTX *ctx = NULL;
	int rc;

	*base = 0;
	if (trust_named(cfg->ca)) {
		*base = sq_trust_digest(cfg->ca, strlen(cfg->ca));
		return sq_tls_client_text("tls.ca", cfg->ca, strlen(cfg->ca), err);
	}
	if (!trust_named(cfg->ca_file))
		return sq_tls_client(NULL, err);
	sq_buf_printf(&source, "tls.ca-file: %s%c", cfg->ca_file, 0);
	rc = sq_file_read(cfg->ca_file, SQ_TLS_FILE_MAX, &text);
	if (rc != SQ_OK) {
		sq_buf_printf(err, "tls.ca-file: %s: %s", cfg->ca_file, sq_file_reason(rc));
	} else {
		*base = sq_trust_digest(sq_buf_data(&text), sq_buf_len(&text));
		ctx = sq_tls_client_text(
		    (char *)sq_buf_data(&source), sq_buf_data(&text), sq_buf_len(&text), err);
	}
	sq_buf_fini(&source);
	sq_buf_fini(&text);
	return ctx;
}

static void
trust_use(struct sq_trust *t, SSL_CTX *context, uint64_t digest)
{
	SSL_CTX_free(t->context); /* links that are open have references */
	t->context = context;
	t->ends = sq_tls_trusted_ends(context);
	t->digest = digest;
}

/* Takes a bundle into use; false with a line in 'why'. */
static bool
trust_take(struct sq_trust *t, const char *source, struct sq_bytes pem, struct sq_buf *why)
{
	SSL_CTX *ctx = sq_tls_client_text(source, pem.p, pem.len, why);

	if (ctx == NULL)
		return false;
	trust_use(t, ctx, sq_trust_digest(pem.p, pem.len));
	return true;
}

/* Goes on with the bundle that a process before this one has kept. */
static void
trust_take_kept(struct sq_trust *t)
{
	struct sq_buf pem = {0}, why = {0};

	if (!trust_named(t->cfg.dir))
		return;
	if (sq_trust_kept_read(t->cfg.dir, t->base, &pem, &why))
		(void)trust_take(t, t->cfg.dir, sq_buf_bytes(&pem), &why);
	if (sq_buf_len(&why) > 0)
		SQ_WARN("trust", "state.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&pem);
	sq_buf_fini(&why);
}

static void
trust_keep(const struct sq_trust *t, struct sq_bytes pem)
{
	struct sq_buf why = {0};

	if (!trust_named(t->cfg.dir))
		return;
	if (sq_trust_kept_write(t->cfg.dir, t->base, pem, &why) != SQ_OK)
		SQ_WARN("trust", "state.dir: %.*s", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	sq_buf_fini(&why);
}

struct sq_trust *
sq_trust_new(const struct sq_trust_cfg *cfg, struct sq_buf *err)
{
	struct sq_trust *t = sq_xcalloc(1, sizeof *t);
	SSL_CTX *ctx;

	t->cfg = *cfg;
	if (trust_named(cfg->ca_file))
		sq_file_stamp(cfg->ca_file, &t->stamp);
	ctx = trust_configured(cfg, &t->base, err);
	if (ctx == NULL) {
		free(t);
		return NULL;
	}
	trust_use(t, ctx, 0);
	trust_take_kept(t);
	return t;
}

void
sq_trust_free(struct sq_trust **tp)
{
	struct sq_trust *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	SSL_CTX_free(t->context);
	free(t);
}

SSL_CTX *
sq_trust_context(const struct sq_trust *t)
{
	return t->context;
}

void
sq_trust_refresh(struct sq_trust *t)
{
	struct sq_file_stamp stamp;
	struct sq_buf err = {0};
	uint64_t base;
	SSL_CTX *ctx;

	if (!trust_named(t->cfg.ca_file) || trust_named(t->cfg.ca))
		return;
	sq_file_stamp(t->cfg.ca_file, &stamp);
	if (sq_file_stamp_equal(&stamp, &t->stamp))
		return;
	ctx = trust_configured(&t->cfg, &base, &err);
	if (ctx == NULL) {
		if (!t->said)
			SQ_WARN("trust", "%.*s; the last authorities stay", (int)sq_buf_len(&err),
			    (const char *)sq_buf_data(&err));
		t->said = true;
		sq_buf_fini(&err);
		return;
	}
	t->said = false;
	t->stamp = stamp;
	if (base == t->base) {
		SSL_CTX_free(ctx);
		return;
	}
	t->base = base;
	trust_use(t, ctx, 0);
	SQ_INFO("trust", "tls.ca-file: %s read again", t->cfg.ca_file);
}

struct sq_tls_ends
sq_trust_ends(const struct sq_trust *t)
{
	return t->ends;
}

bool
sq_trust_wants(const struct sq_trust *t, uint64_t digest)
{
	return digest != (t->digest != 0 ? t->digest : t->base);
}

int
sq_trust_take(struct sq_trust *t, struct sq_bytes pem, struct sq_buf *why)
{
	if (pem.len > SQ_TRUST_MAX) {
		sq_buf_printf(why, "more than %d bytes", SQ_TRUST_MAX);
		return SQ_EINVAL;
	}
	if (!trust_take(t, "the broker's bundle", pem, why))
		return SQ_EINVAL;
	trust_keep(t, pem);
	return SQ_OK;
}
