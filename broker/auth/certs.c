/* See broker/auth/certs.h. */
#include "broker/auth/certs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/cert_name.h"
#include "broker/auth/cert_trust.h"
#include "broker/auth/watched.h"
#include "core/clock.h"
#include "core/log.h"
#include "core/mem.h"
#include "core/thread.h"

enum {
	CA_SIZE_MAX = 1 << 20, /* bytes */
	/* Bytes: the signature over a list is verified for each certificate, on its worker; over
	 * these in about 2 ms. */
	CRL_SIZE_MAX = 2 << 20,
	LOOK_MS = 250,
	SAID_MAX = 128, /* bytes of a refused one's name in the log */
};

/* A file, and what was good in it last. */
struct source {
	const char *key;
	char *file; /* NULL: none */
	size_t max;
	struct sq_watched watched;
	struct sq_buf text;
};

struct certs {
	struct sq_verifier base;
	struct sq_auth_certificate *rules; /* with texts of the configuration */
	size_t n_rules;
	/* The thread's, which reads: a long list would hold a worker up. */
	struct source ca, crl;
	struct sq_cert_trust *retired; /* freed here, not by the last one who looks at it */
	atomic_size_t bad_files;
	int64_t ended_s; /* of the list whose end was said last */
	bool started;
	pthread_t thread;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t wake;
	bool stopped;
	struct sq_cert_trust *trust;
};

static struct sq_bytes
source_text(const struct source *s)
{
	return (struct sq_bytes){
	    s->file != NULL ? sq_buf_data(&s->text) : NULL, sq_buf_len(&s->text)};
}

static struct sq_cert_trust *
certs_trust(struct certs *c)
{
	struct sq_cert_trust *t;

	pthread_mutex_lock(&c->lock);
	t = sq_cert_trust_ref(c->trust);
	pthread_mutex_unlock(&c->lock);
	return t;
}

/* The certificate's name, which is not verified yet. */
static void
certs_describe(X509 *cert, struct sq_buf *known)
{
	struct sq_buf name = {0};

	if (sq_cert_name(cert, &name))
		sq_buf_printf(known, "%scert:%.*s", sq_buf_len(known) > 0 ? ": " : "", SAID_MAX,
		    (const char *)sq_buf_data(&name));
	else
		sq_buf_printf(
		    known, "%sit has no one URI or DNS name", sq_buf_len(known) > 0 ? "; " : "");
	sq_buf_fini(&name);
}

static enum sq_auth_reason
certs_judge(struct certs *c, struct sq_auth_request *r)
{
	struct sq_cert_trust *trust = certs_trust(c);
	struct sq_cert_proof proof = {0};
	struct sq_buf name = {0};
	enum sq_auth_reason why = sq_cert_trust_verify(trust, r->cert, r->chain, &proof, &r->known);

	sq_cert_trust_unref(&trust);
	if (why == SQ_AUTH_NONE && sq_cert_name(r->cert, &name))
		r->identity = sq_cert_identity(
		    (const char *)sq_buf_data(&name), c->rules, c->n_rules, proof.expires_s);
	if (why == SQ_AUTH_NONE && r->identity == NULL)
		why = SQ_AUTH_CERT_NAME;
	r->basis = proof.basis;
	sq_buf_fini(&name);
	return why;
}

static enum sq_judgement
certs_verify(struct sq_verifier *v, struct sq_auth_request *r)
{
	r->reason = certs_judge(SQ_CONTAINER_OF(v, struct certs, base), r);
	if (r->reason != SQ_AUTH_NONE)
		certs_describe(r->cert, &r->known);
	return r->reason == SQ_AUTH_NONE ? SQ_JUDGEMENT_YES : SQ_JUDGEMENT_NO;
}

static bool
certs_holds(struct sq_verifier *v, const struct sq_basis *basis)
{
	struct sq_cert_trust *trust = certs_trust(SQ_CONTAINER_OF(v, struct certs, base));
	bool holds = sq_cert_trust_holds(trust, basis);

	sq_cert_trust_unref(&trust);
	return holds;
}

/* Puts the authorities of the texts in force; false, and nothing changed, with a line in 'err'. */
static bool
certs_set(struct certs *c, struct sq_bytes ca, struct sq_bytes crl, struct sq_buf *err)
{
	struct sq_cert_trust *made = sq_cert_trust_new(ca, crl, err);

	if (made == NULL)
		return false;
	sq_cert_trust_unref(&c->retired);
	pthread_mutex_lock(&c->lock);
	c->retired = c->trust;
	c->trust = made;
	pthread_mutex_unlock(&c->lock);
	return true;
}

/* Takes up a source's new text, which was read with 'rc'. */
static bool
certs_take(struct certs *c, struct source *s, int rc, struct sq_buf *text, struct sq_buf *err)
{
	struct sq_bytes fresh = {sq_buf_data(text), sq_buf_len(text)};
	struct sq_buf was = s->text;

	if (rc != SQ_OK) {
		sq_buf_printf(err, "%s: %s", s->key, sq_file_reason(rc));
		return false;
	}
	if (!certs_set(c, s == &c->ca ? fresh : source_text(&c->ca),
		s == &c->crl ? fresh : source_text(&c->crl), err)) {
		sq_watched_refuse(&s->watched);
		return false;
	}
	s->text = *text;
	*text = was;
	return true;
}

static void
certs_look(struct certs *c, struct source *s)
{
	struct sq_buf text = {0}, err = {0};
	int rc;

	if (s->file == NULL)
		return;
	rc = sq_watched_look(&s->watched, sq_clock_ms(), s->max, &text);
	if (rc != SQ_EAGAIN && certs_take(c, s, rc, &text, &err)) {
		SQ_INFO("auth", "%s: %s read again", s->key, s->file);
		sq_verifier_changed(&c->base);
	} else if (rc != SQ_EAGAIN) {
		SQ_WARN("auth", "%.*s (%s); the last good one stays", (int)sq_buf_len(&err),
		    (const char *)sq_buf_data(&err), s->file);
	}
	sq_buf_fini(&text);
	sq_buf_fini(&err);
}

/* A while; false: it is to end. */
static bool
certs_wait(struct certs *c)
{
	uint64_t until_ms = sq_clock_ms() + LOOK_MS;
	bool goes_on;

	pthread_mutex_lock(&c->lock);
	while (!c->stopped && sq_cond_wait_until(&c->wake, &c->lock, until_ms))
		continue;
	goes_on = !c->stopped;
	pthread_mutex_unlock(&c->lock);
	return goes_on;
}

/* Says once that a list has ended: its authority's clients are refused, and nobody has changed
 * anything. */
static void
certs_say_end(struct certs *c)
{
	int64_t end_s = sq_cert_trust_lists_end(c->trust);

	if (end_s == 0 || end_s == c->ended_s || (int64_t)(sq_clock_wall_ms() / 1000) < end_s)
		return;
	c->ended_s = end_s;
	SQ_WARN("auth",
	    "%s: a list in %s has ended: certificates of its authority are refused until "
	    "there is a newer one",
	    c->crl.key, c->crl.file);
}

static void *
certs_run(void *arg)
{
	struct certs *c = arg;

	while (certs_wait(c)) {
		sq_cert_trust_unref(&c->retired);
		certs_look(c, &c->ca);
		certs_look(c, &c->crl);
		certs_say_end(c);
		atomic_store(&c->bad_files,
		    (size_t)sq_watched_bad(&c->ca.watched) +
			(c->crl.file != NULL && sq_watched_bad(&c->crl.watched)));
	}
	return NULL;
}

static bool
certs_ready(struct sq_verifier *v, struct sq_buf *why)
{
	(void)v;
	(void)why;
	return true;
}

static void
certs_count(struct sq_verifier *v, struct sq_auth_counts *counts)
{
	struct certs *c = SQ_CONTAINER_OF(v, struct certs, base);

	counts->bad_files += atomic_load(&c->bad_files);
	pthread_mutex_lock(&c->lock);
	counts->lists_end_s = sq_cert_trust_lists_end(c->trust);
	pthread_mutex_unlock(&c->lock);
}

static void
certs_refresh(struct sq_verifier *v)
{
	(void)v; /* its thread does */
}

static void
certs_start(struct sq_verifier *v)
{
	struct certs *c = SQ_CONTAINER_OF(v, struct certs, base);

	c->started = true;
	sq_thread_start(&c->thread, certs_run, c);
}

static void
certs_stop(struct sq_verifier *v)
{
	struct certs *c = SQ_CONTAINER_OF(v, struct certs, base);

	if (!c->started)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopped = true;
	pthread_cond_signal(&c->wake);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	c->started = false;
}

static void
certs_free_rules(struct certs *c)
{
	for (size_t i = 0; i < c->n_rules; i++) {
		for (size_t n = 0; n < c->rules[i].n_spaces; n++)
			free((void *)(uintptr_t)c->rules[i].spaces[n]);
		free((void *)(uintptr_t)c->rules[i].spaces);
		free((void *)(uintptr_t)c->rules[i].name);
	}
	free(c->rules);
}

static void
certs_free(struct sq_verifier *v)
{
	struct certs *c = SQ_CONTAINER_OF(v, struct certs, base);

	certs_free_rules(c);
	sq_cert_trust_unref(&c->retired);
	sq_cert_trust_unref(&c->trust);
	sq_buf_fini(&c->ca.text);
	sq_buf_fini(&c->crl.text);
	free(c->ca.file);
	free(c->crl.file);
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static const struct sq_verifier_ops certs_ops = {
    .certificates = true,
    .verify = certs_verify,
    .holds = certs_holds,
    .refresh = certs_refresh,
    .ready = certs_ready,
    .count = certs_count,
    .start = certs_start,
    .stop = certs_stop,
    .free = certs_free,
};

static void
certs_copy_rules(struct certs *c, const struct sq_auth_cfg *cfg)
{
	c->n_rules = cfg->n_certificates;
	c->rules = sq_xcalloc(c->n_rules + 1, sizeof *c->rules);
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct sq_auth_certificate *from = &cfg->certificates[i];
		const char **spaces = sq_xcalloc(from->n_spaces + 1, sizeof *spaces);

		for (size_t n = 0; n < from->n_spaces; n++)
			spaces[n] = sq_xstrdup(from->spaces[n]);
		c->rules[i] = (struct sq_auth_certificate){
		    sq_xstrdup(from->name), spaces, from->n_spaces};
	}
}

static void
source_init(struct source *s, const char *key, const char *file, size_t max)
{
	s->key = key;
	s->file = file != NULL && *file != '\0' ? sq_xstrdup(file) : NULL;
	s->watched.file = s->file;
	s->max = max;
}

/* Reads it at a start; false with a line in 'err'. */
static bool
source_open(struct source *s, struct sq_buf *err)
{
	int rc = s->file != NULL ? sq_watched_open(&s->watched, s->max, &s->text) : SQ_OK;

	if (rc != SQ_OK)
		sq_buf_printf(err, "%s: %s: %s", s->key, s->file, sq_file_reason(rc));
	return rc == SQ_OK;
}

struct sq_verifier *
sq_certs_verifier(const struct sq_auth_cfg *cfg, struct sq_buf *err)
{
	struct certs *c = sq_xcalloc(1, sizeof *c);

	c->base.ops = &certs_ops;
	pthread_mutex_init(&c->lock, NULL);
	sq_cond_init(&c->wake);
	certs_copy_rules(c, cfg);
	source_init(&c->ca, "auth.client-ca-file", cfg->client_ca_file, CA_SIZE_MAX);
	source_init(&c->crl, "auth.client-crl-file", cfg->client_crl_file, CRL_SIZE_MAX);
	if (source_open(&c->ca, err) && source_open(&c->crl, err) &&
	    certs_set(c, source_text(&c->ca), source_text(&c->crl), err))
		return &c->base;
	certs_free(&c->base);
	return NULL;
}
