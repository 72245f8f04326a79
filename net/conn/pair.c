/* See net/conn/pair.h. */
#include "net/conn/pair.h"

#include <openssl/err.h>
#include <stdlib.h>

#include "core/clock.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/tls.h"

enum { PAIR_PATIENCE_MS = 10000 }; /* for one that doesn't match yet */

struct sq_pair {
	const char *cert_file, *key_file;
	struct sq_file_stamp cert, key; /* of the files that 'now' was made from */
	SSL_CTX *now;                   /* holds them; nothing is dialled by it */
	uint64_t bad_since_ms;          /* 0: the files are as 'now' */
	bool said;                      /* that they can't be taken */
};

/* Reads the files as they are; false with a line in 'err'. */
static bool
pair_load(struct sq_pair *p, struct sq_buf *err)
{
	struct sq_file_stamp cert, key;
	SSL_CTX *made;

	/* Before the files are read: a replacement meanwhile shows at the next look. */
	sq_file_stamp(p->cert_file, &cert);
	sq_file_stamp(p->key_file, &key);
	made = sq_tls_pair(p->cert_file, p->key_file, err);
	if (made == NULL)
		return false;
	SSL_CTX_free(p->now);
	p->now = made;
	p->cert = cert;
	p->key = key;
	p->bad_since_ms = 0;
	p->said = false;
	return true;
}

struct sq_pair *
sq_pair_open(const char *cert_file, const char *key_file, struct sq_buf *err)
{
	struct sq_pair *p = sq_xcalloc(1, sizeof *p);

	p->cert_file = cert_file;
	p->key_file = key_file;
	if (!pair_load(p, err))
		sq_pair_free(&p);
	return p;
}

void
sq_pair_free(struct sq_pair **pp)
{
	struct sq_pair *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	SSL_CTX_free(p->now);
	free(p);
}

static bool
pair_same(const struct sq_pair *p)
{
	struct sq_file_stamp cert, key;

	sq_file_stamp(p->cert_file, &cert);
	sq_file_stamp(p->key_file, &key);
	return sq_file_stamp_equal(&cert, &p->cert) && sq_file_stamp_equal(&key, &p->key);
}

void
sq_pair_refresh(struct sq_pair *p)
{
	struct sq_buf why = {0};
	uint64_t now_ms = sq_clock_ms();

	if (pair_same(p)) {
		p->bad_since_ms = 0;
		return;
	}
	if (pair_load(p, &why)) {
		SQ_INFO("pool", "tls.cert-file: %s read again", p->cert_file);
	} else if (p->bad_since_ms == 0) {
		p->bad_since_ms = now_ms;
	} else if (!p->said && now_ms - p->bad_since_ms >= PAIR_PATIENCE_MS) {
		p->said = true;
		SQ_WARN("pool", "%.*s; the last certificate stays in use", (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
	}
	sq_buf_fini(&why);
}

int64_t
sq_pair_end(const struct sq_pair *p)
{
	return sq_tls_end(p->now);
}

int
sq_pair_use(const struct sq_pair *p, SSL *ssl)
{
	STACK_OF(X509) *chain = NULL;

	if (p == NULL)
		return SQ_OK;
	if (SSL_CTX_get0_chain_certs(p->now, &chain) == 1 &&
	    SSL_use_cert_and_key(ssl, SSL_CTX_get0_certificate(p->now),
		SSL_CTX_get0_privatekey(p->now), chain, 1) == 1)
		return SQ_OK;
	ERR_clear_error();
	return SQ_ENOMEM;
}
