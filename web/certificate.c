/* A server context from files; see certificate.h. */
#include "web/certificate.h"

#include <stdlib.h>

#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"

enum { CERTIFICATE_PATIENCE_MS = 10000 }; /* for a pair that doesn't match yet */

struct sq_certificate {
	const char *scope;
	char *cert_file, *key_file;
	struct sq_file_stamp cert, key; /* of what 'now' was made from */
	SSL_CTX *now, *before;          /* 'before': a handshake may still point to it */
	uint64_t bad_since_ms;          /* 0: the files are as 'now' */
	bool said;                      /* that they can't be taken */
};

/* Makes a context of the files as they are; NULL with a line in 'err'. */
static SSL_CTX *
certificate_load(struct sq_certificate *c, struct sq_buf *err)
{
	struct sq_file_stamp cert, key;
	SSL_CTX *ctx;

	/* Before the files are read: what is replaced meanwhile shows at the next look. */
	sq_file_stamp(c->cert_file, &cert);
	sq_file_stamp(c->key_file, &key);
	ctx = sq_tls_server(c->cert_file, c->key_file, err);
	if (ctx != NULL) {
		c->cert = cert;
		c->key = key;
	}
	return ctx;
}

struct sq_certificate *
sq_certificate_new(
    const char *scope, const char *cert_file, const char *key_file, struct sq_buf *err)
{
	struct sq_certificate *c = sq_xcalloc(1, sizeof *c);

	c->scope = scope;
	c->cert_file = sq_xstrdup(cert_file);
	c->key_file = sq_xstrdup(key_file);
	c->now = certificate_load(c, err);
	if (c->now == NULL)
		sq_certificate_free(&c);
	return c;
}

void
sq_certificate_free(struct sq_certificate **cp)
{
	struct sq_certificate *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	SSL_CTX_free(c->now);
	SSL_CTX_free(c->before);
	free(c->cert_file);
	free(c->key_file);
	free(c);
}

SSL_CTX *
sq_certificate_context(const struct sq_certificate *c)
{
	return c->now;
}

static bool
certificate_same(const struct sq_certificate *c)
{
	struct sq_file_stamp cert, key;

	sq_file_stamp(c->cert_file, &cert);
	sq_file_stamp(c->key_file, &key);
	return sq_file_stamp_equal(&cert, &c->cert) && sq_file_stamp_equal(&key, &c->key);
}

static void
certificate_bad(struct sq_certificate *c, const struct sq_buf *why, uint64_t now_ms)
{
	if (c->bad_since_ms == 0)
		c->bad_since_ms = now_ms;
	if (c->said || now_ms - c->bad_since_ms < CERTIFICATE_PATIENCE_MS)
		return;
	c->said = true;
	SQ_WARN(c->scope, "%.*s; the last certificate stays in use", (int)sq_buf_len(why),
	    (const char *)sq_buf_data(why));
}

bool
sq_certificate_refresh(struct sq_certificate *c, uint64_t now_ms)
{
	struct sq_buf why = {0};
	SSL_CTX *made;

	if (certificate_same(c)) {
		c->bad_since_ms = 0;
		c->said = false;
		return false;
	}
	made = certificate_load(c, &why);
	if (made != NULL) {
		SSL_CTX_free(c->before);
		c->before = c->now;
		c->now = made;
		c->bad_since_ms = 0;
		c->said = false;
	} else {
		certificate_bad(c, &why, now_ms);
	}
	sq_buf_fini(&why);
	return made != NULL;
}
