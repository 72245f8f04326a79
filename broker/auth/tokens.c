/* Bearer tokens from a file; see broker/auth/tokens.h. */
#include "broker/auth/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/digest.h"
#include "core/file.h"
#include "core/log.h"
#include "core/mem.h"

#define TOKENS_FILE_MAX 65536u
#define TOKENS_MAX 16u

struct tokens {
	struct sq_verifier base;
	struct sq_auth *auth;
	char *file;
	pthread_mutex_t lock;       /* of what follows */
	struct sq_file_stamp stamp; /* of what was read last */
	struct sq_buf text;
	struct sq_bytes tokens[TOKENS_MAX]; /* into 'text' */
	uint64_t bases[TOKENS_MAX];         /* what identities of each rest on */
	unsigned n;
};

/* Empties a buffer that held secrets. */
static void
tokens_wipe(struct sq_buf *text)
{
	if (text->base != NULL)
		explicit_bzero(text->base, text->cap);
	sq_buf_fini(text);
}

static bool
tokens_blank(unsigned char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Splits 'text' into one token per line; returns how many, at most 'max'. */
static unsigned
tokens_split(const struct sq_buf *text, struct sq_bytes *tokens, unsigned max)
{
	const unsigned char *p = sq_buf_data(text), *end = p + sq_buf_len(text);
	unsigned n = 0;

	while (p < end && n < max) {
		const unsigned char *from;

		while (p < end && tokens_blank(*p))
			p++;
		for (from = p; p < end && !tokens_blank(*p); p++)
			;
		if (p > from)
			tokens[n++] = (struct sq_bytes){from, (size_t)(p - from)};
	}
	return n;
}

/* Whether no token has a byte that a header could not carry (RFC 6750 §2.1). */
static bool
tokens_printable(const struct sq_bytes *tokens, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		for (size_t at = 0; at < tokens[i].len; at++) {
			if (tokens[i].p[at] <= 0x20 || tokens[i].p[at] >= 0x7f)
				return false;
		}
	}
	return true;
}

/* Replaces the tokens by the file's, if it has changed.  On an error they stay. */
static int
tokens_load(struct tokens *t)
{
	static const unsigned char kind[] = "token";
	struct sq_buf text = {0};
	struct sq_bytes tokens[TOKENS_MAX];
	struct sq_file_stamp stamp;
	unsigned n;
	int err;

	sq_file_stamp(t->file, &stamp);
	if (stamp.inode != 0 && sq_file_stamp_equal(&stamp, &t->stamp))
		return SQ_EAGAIN;
	err = sq_file_read(t->file, TOKENS_FILE_MAX, &text);
	n = err == SQ_OK ? tokens_split(&text, tokens, TOKENS_MAX) : 0;
	if (err == SQ_OK && (n == 0 || !tokens_printable(tokens, n)))
		err = SQ_EINVAL;
	if (err == SQ_OK || err == SQ_EINVAL)
		t->stamp = stamp;
	if (err != SQ_OK) {
		tokens_wipe(&text);
		return err;
	}
	tokens_wipe(&t->text);
	t->text = text;
	memcpy(t->tokens, tokens, sizeof tokens);
	t->n = n;
	for (unsigned i = 0; i < n; i++)
		t->bases[i] = sq_digest_u64(
		    (struct sq_bytes[]){{kind, sizeof kind - 1}, tokens[i]}, 2);
	return SQ_OK;
}

static const char *
tokens_reason(int err)
{
	return err == SQ_EINVAL ? "no token in it, or not in printable ASCII" : sq_file_reason(err);
}

static enum sq_verdict
tokens_verify(struct sq_verifier *v, struct sq_auth_request *r)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	bool good = false;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; i++) {
		if (t->tokens[i].len == r->token.len &&
		    sq_secret_equal(t->tokens[i].p, r->token.p, r->token.len)) {
			good = true;
			r->basis = t->bases[i];
		}
	}
	pthread_mutex_unlock(&t->lock);
	r->reason = good ? SQ_AUTH_NONE : SQ_AUTH_STATIC_UNKNOWN;
	if (good)
		r->identity = sq_identity_new(
		    &(struct sq_identity){.id = SQ_IDENTITY_OLD_TOKEN, .name = "token:"});
	return good ? SQ_VERDICT_YES : SQ_VERDICT_NOT_MINE;
}

static bool
tokens_holds(struct sq_verifier *v, uint64_t basis)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	bool found = false;

	pthread_mutex_lock(&t->lock);
	for (unsigned i = 0; i < t->n; i++)
		found = found || t->bases[i] == basis;
	pthread_mutex_unlock(&t->lock);
	return found;
}

static void
tokens_refresh(struct sq_verifier *v)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	int err;

	pthread_mutex_lock(&t->lock);
	err = tokens_load(t);
	if (err == SQ_OK)
		SQ_INFO("auth", "auth.token-file: %s read again", t->file);
	else if (err != SQ_EAGAIN)
		SQ_WARN("auth", "auth.token-file: %s: %s; the last tokens stay", t->file,
		    tokens_reason(err));
	pthread_mutex_unlock(&t->lock);
	if (err == SQ_OK)
		sq_auth_changed(t->auth);
}

static bool
tokens_ready(struct sq_verifier *v, struct sq_buf *why)
{
	(void)v;
	(void)why;
	return true;
}

static void
tokens_count(struct sq_verifier *v, struct sq_auth_counts *c)
{
	(void)v;
	(void)c;
}

static void
tokens_nothing(struct sq_verifier *v)
{
	(void)v;
}

static void
tokens_free(struct sq_verifier *v)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);

	tokens_wipe(&t->text);
	pthread_mutex_destroy(&t->lock);
	free(t->file);
	free(t);
}

static const struct sq_verifier_ops tokens_ops = {
    .verify = tokens_verify,
    .holds = tokens_holds,
    .refresh = tokens_refresh,
    .ready = tokens_ready,
    .count = tokens_count,
    .start = tokens_nothing,
    .stop = tokens_nothing,
    .free = tokens_free,
};

struct sq_verifier *
sq_tokens_verifier(const char *token_file, struct sq_auth *auth, struct sq_buf *err)
{
	struct tokens *t = sq_xcalloc(1, sizeof *t);
	int rc;

	t->base.ops = &tokens_ops;
	t->auth = auth;
	t->file = sq_xstrdup(token_file);
	pthread_mutex_init(&t->lock, NULL);
	rc = tokens_load(t);
	if (rc == SQ_OK)
		return &t->base;
	sq_buf_printf(err, "auth.token-file: %s: %s", token_file, tokens_reason(rc));
	tokens_free(&t->base);
	return NULL;
}
