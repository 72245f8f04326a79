/* Bearer tokens by a file of their hashes; see broker/auth/tokens.h. */
#include "broker/auth/tokens.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/tokens/tokens_file.h"
#include "broker/auth/watched.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"

struct tokens {
	struct sq_verifier base;
	char *file;
	pthread_mutex_t reading; /* of 'watched'; taken before the other */
	struct sq_watched watched;
	pthread_mutex_t lock; /* of what follows */
	struct sq_tokens *table;
};

/* The table of what was read with 'rc'; NULL with the reason in 'err'. */
static struct sq_tokens *
tokens_take(struct tokens *t, int rc, const struct sq_buf *text, struct sq_buf *err)
{
	struct sq_tokens *table = NULL;

	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_file_reason(rc));
	else
		table = sq_tokens_parse(sq_buf_bytes(text), err);
	if (rc == SQ_OK && table == NULL)
		sq_watched_refuse(&t->watched);
	return table;
}

static enum sq_judgement
tokens_verify(struct sq_verifier *v, struct sq_auth_request *r)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	unsigned char digest[SQ_DIGEST_SIZE];
	const struct sq_token *found;

	sq_digest(&r->token, 1, digest);
	pthread_mutex_lock(&t->lock);
	found = sq_tokens_find(t->table, digest);
	if (found != NULL) {
		r->identity = sq_identity_ref(found->identity);
		r->basis.what = found->basis;
	}
	pthread_mutex_unlock(&t->lock);
	r->reason = found != NULL ? SQ_AUTH_NONE : SQ_AUTH_STATIC_UNKNOWN;
	return found != NULL ? SQ_JUDGEMENT_YES : SQ_JUDGEMENT_NOT_MINE;
}

static bool
tokens_holds(struct sq_verifier *v, const struct sq_basis *basis)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	bool found;

	pthread_mutex_lock(&t->lock);
	found = sq_tokens_have(t->table, basis->what);
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* From now on it is that table. */
static void
tokens_set(struct tokens *t, struct sq_tokens *table)
{
	struct sq_tokens *old;

	pthread_mutex_lock(&t->lock);
	old = t->table;
	t->table = table;
	pthread_mutex_unlock(&t->lock);
	sq_tokens_free(&old);
	sq_verifier_changed(&t->base);
}

/* Says what became of a file that was looked at again. */
static void
tokens_read_again(struct tokens *t, int rc, const struct sq_buf *text)
{
	struct sq_buf err = {0};
	struct sq_tokens *table = tokens_take(t, rc, text, &err);

	if (table == NULL) {
		SQ_WARN("auth", "auth.tokens-file: %s: %.*s; the last good one stays", t->file,
		    (int)sq_buf_len(&err), (const char *)sq_buf_data(&err));
	} else {
		size_t n = sq_tokens_count(table);

		tokens_set(t, table); /* before the log says so */
		SQ_INFO("auth", "auth.tokens-file: %s read again: %zu token%s", t->file, n,
		    n == 1 ? "" : "s");
	}
	sq_buf_fini(&err);
}

static void
tokens_refresh(struct sq_verifier *v)
{
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);
	struct sq_buf text = {0};
	int rc;

	if (pthread_mutex_trylock(&t->reading) != 0)
		return; /* another worker looks */
	rc = sq_watched_look(&t->watched, sq_clock_ms(), SQ_TOKENS_SIZE_MAX, &text);
	if (rc != SQ_EAGAIN)
		tokens_read_again(t, rc, &text);
	sq_buf_wipe(&text); /* somebody may have put a token itself there */
	pthread_mutex_unlock(&t->reading);
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
	struct tokens *t = SQ_CONTAINER_OF(v, struct tokens, base);

	pthread_mutex_lock(&t->reading);
	c->bad_files += sq_watched_bad(&t->watched);
	pthread_mutex_unlock(&t->reading);
	pthread_mutex_lock(&t->lock);
	c->tokens += sq_tokens_count(t->table);
	pthread_mutex_unlock(&t->lock);
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

	sq_tokens_free(&t->table);
	pthread_mutex_destroy(&t->lock);
	pthread_mutex_destroy(&t->reading);
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
sq_tokens_verifier(const char *file, struct sq_buf *err)
{
	struct tokens *t = sq_xcalloc(1, sizeof *t);
	struct sq_buf text = {0}, why = {0};

	t->base.ops = &tokens_ops;
	t->file = sq_xstrdup(file);
	t->watched.file = t->file;
	pthread_mutex_init(&t->reading, NULL);
	pthread_mutex_init(&t->lock, NULL);
	t->table = tokens_take(
	    t, sq_watched_open(&t->watched, SQ_TOKENS_SIZE_MAX, &text), &text, &why);
	sq_buf_wipe(&text);
	if (t->table == NULL) {
		sq_buf_printf(err, "auth.tokens-file: %s: %.*s", file, (int)sq_buf_len(&why),
		    (const char *)sq_buf_data(&why));
		tokens_free(&t->base);
		t = NULL;
	}
	sq_buf_fini(&why);
	return t != NULL ? &t->base : NULL;
}
