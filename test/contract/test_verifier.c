/* broker/auth/verifier.h: the same cases by each verifier, which answer alike: tokens of a file,
 * signed tokens by keys of a file and of a server, and client certificates. */
#include <criterion/criterion.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../support/https_server.h"
#include "../support/jwt_maker.h"
#include "../support/temp_dir.h"
#include "../support/token_line.h"
#include "broker/auth/certs.h"
#include "broker/auth/issuers.h"
#include "broker/auth/tokens.h"
#include "core/mem.h"

#define ISSUER "https://issuer.test"
#define LONG_MS 3600000

enum { HOUR = 3600 };

/* Whose credential is shown.  FIRST is good until the change, SECOND from then on; OLD is as
 * FIRST, but has expired. */
enum who { FIRST, SECOND, STRANGER, OLD, WHOS };

/* How the test acts for a verifier of some kind. */
struct kind {
	struct sq_verifier *(*open)(void);
	void (*show)(struct sq_auth_request *, enum who);
	void (*change)(void);  /* SECOND is good, and FIRST no more */
	void (*spoil)(void);   /* what the verifier reads is bad */
	bool (*spoiled)(void); /* the verifier has seen that */
	enum sq_judgement refuses;
	enum sq_auth_reason unknown;
	enum sq_auth_reason expired; /* NONE: its credentials have no end */
};

static const struct kind *kind;
static struct sq_verifier *verifier;
static atomic_uint_fast64_t epoch;
static char *dir;
static struct sq_buf err;

static const char *
file(const char *name)
{
	static char paths[8][300];
	static unsigned i;

	i = (i + 1) % 8;
	snprintf(paths[i], sizeof paths[i], "%s/%s", dir, name);
	return paths[i];
}

static void
write_file(const char *name, const void *text, size_t len)
{
	FILE *f = fopen(file("new"), "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, len, f), len);
	fclose(f);
	cr_assert_eq(rename(file("new"), file(name)), 0);
}

static void
write_text(const char *name, const char *text)
{
	write_file(name, text, strlen(text));
}

static size_t
bad_files(void)
{
	struct sq_auth_counts c = {0};

	verifier->ops->count(verifier, &c);
	return c.bad_files;
}

static bool
file_spoiled(void)
{
	return bad_files() == 1;
}

/* --- tokens of a file --- */

static const char *const tokens[WHOS] = {"sesame", "second", "stranger", NULL};

static void
tokens_write(enum who who)
{
	struct sq_buf line = {0};

	token_line(&line, "web", "shop", tokens[who]);
	write_file("tokens", sq_buf_data(&line), sq_buf_len(&line));
	sq_buf_fini(&line);
}

static struct sq_verifier *
tokens_open(void)
{
	tokens_write(FIRST);
	return sq_tokens_verifier(file("tokens"), &err);
}

/* Shows a copy of 'text', which goes when it has been asked for. */
static void
show_text(struct sq_auth_request *r, const char *text)
{
	size_t len = strlen(text);

	r->token = (struct sq_bytes){(unsigned char *)sq_xmemdup0(text, len), len};
}

static void
tokens_show(struct sq_auth_request *r, enum who who)
{
	show_text(r, tokens[who]);
}

static void
tokens_change(void)
{
	tokens_write(SECOND);
}

static void
tokens_spoil(void)
{
	write_text("tokens", "junk\n");
}

static const struct kind tokens_kind = {.open = tokens_open,
    .show = tokens_show,
    .change = tokens_change,
    .spoil = tokens_spoil,
    .spoiled = file_spoiled,
    .refuses = SQ_JUDGEMENT_NOT_MINE, /* a signed one, perhaps */
    .unknown = SQ_AUTH_STATIC_UNKNOWN};

/* --- signed tokens --- */

static struct jwt_key *keys[WHOS];
static const char *const kids[WHOS] = {"a", "b", "c", "a"};

static void
keys_write(const char *name, enum who who)
{
	char *set = jwt_set(&keys[who], 1);

	write_text(name, set);
	free(set);
}

static void
keys_make(void)
{
	for (enum who who = FIRST; who <= STRANGER; who++)
		keys[who] = jwt_ec("P-256", kids[who]);
	keys_write("keys", FIRST);
}

static struct sq_verifier *
signed_open(void)
{
	struct sq_auth_issuer issuer = {.issuer = ISSUER};
	char path[300];

	keys_make();
	snprintf(path, sizeof path, "%s", file("keys"));
	issuer.keys_file = path;
	return sq_issuers_verifier(
	    &(struct sq_auth_cfg){.audience = "sqmqos", .issuers = &issuer, .n_issuers = 1}, &err);
}

static void
signed_show(struct sq_auth_request *r, enum who who)
{
	char header[64], claims[512], *token;
	long long until = (long long)time(NULL) + (who == OLD ? -HOUR : HOUR);

	snprintf(header, sizeof header, "{\"alg\":\"ES256\",\"kid\":\"%s\"}", kids[who]);
	snprintf(claims, sizeof claims,
	    "{\"iss\":\"" ISSUER "\",\"aud\":\"sqmqos\",\"exp\":%lld,\"kubernetes.io\":"
	    "{\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"web\"}}}",
	    until);
	token = jwt_sign(keys[who == OLD ? FIRST : who], header, claims);
	show_text(r, token);
	free(token);
}

static void
signed_change(void)
{
	keys_write("keys", SECOND);
}

static const struct kind file_kind = {.open = signed_open,
    .show = signed_show,
    .change = signed_change,
    .refuses = SQ_JUDGEMENT_NO,
    .unknown = SQ_AUTH_UNKNOWN_KEY,
    .expired = SQ_AUTH_EXPIRED};

/* --- the same, by a server's keys --- */

static struct https_server *server;
/* Under 'lock'. */
static struct {
	pthread_mutex_t lock;
	char *set; /* NULL: 500 */
	unsigned looks;
	bool holds; /* looks wait for 'go' */
	sem_t go;
} at = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
server_handle(void *owner, const struct https_request *req, struct https_reply *out)
{
	bool holds;

	(void)owner;
	(void)req;
	pthread_mutex_lock(&at.lock);
	at.looks++;
	holds = at.holds;
	pthread_mutex_unlock(&at.lock);
	if (holds)
		sem_wait(&at.go);
	pthread_mutex_lock(&at.lock);
	if (at.set != NULL)
		sq_buf_printf(&out->body, "%s", at.set);
	else
		out->status = 500;
	pthread_mutex_unlock(&at.lock);
}

/* Serves the key of 'who'; WHOS: nothing. */
static void
server_serve(enum who who)
{
	pthread_mutex_lock(&at.lock);
	free(at.set);
	at.set = who < WHOS ? jwt_set(&keys[who], 1) : NULL;
	at.looks = 0;
	pthread_mutex_unlock(&at.lock);
}

static struct sq_verifier *
server_open(void)
{
	struct sq_auth_issuer issuer = {.issuer = ISSUER};
	char url[200], ca[300];

	keys_make();
	https_certificate(dir);
	sem_init(&at.go, 0, 0);
	server = https_start(&(struct https_cfg){.dir = dir, .handle = server_handle});
	server_serve(FIRST);
	snprintf(url, sizeof url, "%s/set", https_url(server));
	snprintf(ca, sizeof ca, "%s", file("cert.pem"));
	issuer.keys_url = url;
	issuer.ca_file = ca;
	return sq_issuers_verifier(&(struct sq_auth_cfg){.audience = "sqmqos",
				       .issuers = &issuer,
				       .n_issuers = 1,
				       .refresh_ms = 20,
				       .unknown_ms = LONG_MS},
	    &err);
}

static void
server_change(void)
{
	server_serve(SECOND);
}

static void
server_spoil(void)
{
	server_serve(WHOS);
}

static bool
server_spoiled(void)
{
	bool twice; /* the answer to the first look was taken in by then */

	pthread_mutex_lock(&at.lock);
	twice = at.looks >= 2;
	pthread_mutex_unlock(&at.lock);
	return twice;
}

static const struct kind server_kind = {.open = server_open,
    .show = signed_show,
    .change = server_change,
    .spoil = server_spoil,
    .spoiled = server_spoiled,
    .refuses = SQ_JUDGEMENT_NO,
    .unknown = SQ_AUTH_UNKNOWN_KEY,
    .expired = SQ_AUTH_EXPIRED};

/* --- certificates --- */

static EVP_PKEY *cert_key;
static X509 *authorities[WHOS], *certs[WHOS];

static void
cert_add(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	cr_assert_not_null(e);
	X509_add_ext(cert, e, -1);
	X509_EXTENSION_free(e);
}

/* A certificate that 'by' has signed; NULL: an authority, by itself. */
static X509 *
cert_make(const char *name, X509 *by, long until_s)
{
	static long number;
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), ++number);
	X509_gmtime_adj(X509_getm_notBefore(cert), -2L * HOUR);
	X509_gmtime_adj(X509_getm_notAfter(cert), until_s);
	X509_NAME_add_entry_by_txt(
	    subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, by != NULL ? X509_get_subject_name(by) : subject);
	X509_set_pubkey(cert, cert_key);
	if (by == NULL)
		cert_add(cert, NID_basic_constraints, "critical,CA:TRUE");
	else
		cert_add(cert, NID_subject_alt_name, "URI:spiffe://t/ns/shop/sa/web");
	cr_assert_gt(X509_sign(cert, cert_key, EVP_sha256()), 0);
	return cert;
}

static void
ca_write(enum who who)
{
	FILE *f = fopen(file("new-ca"), "w");

	cr_assert_not_null(f);
	cr_assert_eq(PEM_write_X509(f, authorities[who]), 1);
	fclose(f);
	cr_assert_eq(rename(file("new-ca"), file("ca")), 0);
}

static struct sq_verifier *
certs_open(void)
{
	static const char *const names[] = {"first", "second", "stranger"};
	char path[300];

	cert_key = EVP_EC_gen("P-256");
	for (enum who who = FIRST; who <= STRANGER; who++) {
		authorities[who] = cert_make(names[who], NULL, HOUR);
		certs[who] = cert_make("web", authorities[who], HOUR);
	}
	certs[OLD] = cert_make("web", authorities[FIRST], -HOUR);
	ca_write(FIRST);
	snprintf(path, sizeof path, "%s", file("ca"));
	return sq_certs_verifier(&(struct sq_auth_cfg){.client_ca_file = path}, &err);
}

static void
certs_show(struct sq_auth_request *r, enum who who)
{
	r->cert = certs[who];
}

static void
certs_change(void)
{
	ca_write(SECOND);
}

static void
certs_spoil(void)
{
	write_text("ca", "junk\n");
}

static const struct kind certs_kind = {.open = certs_open,
    .show = certs_show,
    .change = certs_change,
    .spoil = certs_spoil,
    .spoiled = file_spoiled,
    .refuses = SQ_JUDGEMENT_NO,
    .unknown = SQ_AUTH_CERT_UNTRUSTED,
    .expired = SQ_AUTH_CERT_EXPIRED};

/* --- questions --- */

static void
begin(const struct kind *k)
{
	kind = k;
	dir = temp_dir_new();
	verifier = k->open();
	cr_assert_not_null(verifier, "%.*s", (int)sq_buf_len(&err), (char *)sq_buf_data(&err));
	atomic_store(&epoch, 1);
	verifier->epoch = &epoch;
}

static void
end(void)
{
	verifier->ops->stop(verifier);
	verifier->ops->free(verifier);
	https_stop(&server);
	for (enum who who = FIRST; who < WHOS; who++) {
		jwt_key_free(&keys[who]);
		X509_free(authorities[who]);
		X509_free(certs[who]);
	}
	EVP_PKEY_free(cert_key);
	free(at.set);
	sq_buf_fini(&err);
	temp_dir_free(&dir);
}

struct question {
	struct sq_auth_request r;
	enum sq_judgement judgement; /* the first one: LATER, perhaps */
	sem_t answered;
};

static void
question_done(struct sq_auth_request *r)
{
	sem_post(&SQ_CONTAINER_OF(r, struct question, r)->answered);
}

static void
ask(struct question *q, enum who who)
{
	unsigned char *text;

	memset(q, 0, sizeof *q);
	sem_init(&q->answered, 0, 0);
	q->r.done = question_done;
	kind->show(&q->r, who);
	text = (unsigned char *)(uintptr_t)q->r.token.p;
	q->judgement = verifier->ops->verify(verifier, &q->r);
	free(text);
}

/* Waits for the answer, which says the same however long it took. */
static enum sq_auth_reason
answer(struct question *q)
{
	if (q->judgement == SQ_JUDGEMENT_LATER)
		while (sem_wait(&q->answered) != 0)
			continue;
	else
		cr_assert_eq(q->judgement == SQ_JUDGEMENT_YES, q->r.reason == SQ_AUTH_NONE);
	cr_assert_eq(q->r.reason == SQ_AUTH_NONE, q->r.identity != NULL);
	return q->r.reason;
}

static enum sq_auth_reason
judged(enum who who)
{
	struct question q;
	enum sq_auth_reason why;

	ask(&q, who);
	why = answer(&q);
	cr_assert_eq(sem_trywait(&q.answered), -1, "it is answered once");
	sq_auth_request_fini(&q.r);
	return why;
}

/* Looks for changes, as a front does, until 'is' holds. */
static void
await(bool (*is)(void))
{
	while (!is()) {
		verifier->ops->refresh(verifier);
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	}
}

static bool
epoch_changed(void)
{
	return atomic_load(&epoch) > 1;
}

/* Starts, and waits until the first keys are there: they are no change of a basis. */
static void
started(void)
{
	verifier->ops->start(verifier);
	cr_assert_eq(judged(FIRST), SQ_AUTH_NONE);
	atomic_store(&epoch, 1);
}

#define CASE(name) \
	static void name(void); \
	CASE_OF(tokens, name) \
	CASE_OF(file, name) \
	CASE_OF(server, name) \
	CASE_OF(certs, name) \
	static void name(void)
#define CASE_OF(of, name) \
	Test(verifier, of##_##name, .timeout = 60) \
	{ \
		begin(&of##_kind); \
		name(); \
		end(); \
	}

/* --- cases --- */

CASE(a_good_one_has_an_identity_that_holds)
{
	struct question q, again;

	started();
	ask(&q, FIRST);
	cr_assert_eq(answer(&q), SQ_AUTH_NONE);
	cr_assert_eq(q.r.identity->n_spaces, 1);
	cr_assert_str_eq(q.r.identity->spaces[0], "shop");
	cr_assert_gt(q.r.identity->id, (uint64_t)SQ_IDENTITY_OLD_TOKEN);
	cr_assert_eq(q.r.identity->expires_s > 0, kind->expired != SQ_AUTH_NONE);
	cr_assert(verifier->ops->holds(verifier, &q.r.basis));
	ask(&again, FIRST);
	cr_assert_eq(answer(&again), SQ_AUTH_NONE);
	cr_assert_eq(again.r.identity->id, q.r.identity->id, "the owner of its sessions");
	cr_assert_eq(again.r.basis.what, q.r.basis.what);
	sq_auth_request_fini(&q.r);
	sq_auth_request_fini(&again.r);
}

CASE(who_is_not_known_is_refused_with_a_reason)
{
	struct question q;

	started();
	ask(&q, STRANGER);
	cr_assert_eq(answer(&q), kind->unknown, "%s", sq_auth_reason_name(q.r.reason));
	if (q.judgement != SQ_JUDGEMENT_LATER)
		cr_assert_eq(q.judgement, kind->refuses);
	cr_assert_eq(sq_auth_reason_status(q.r.reason), 401);
	cr_assert_not(verifier->ops->holds(verifier, &(struct sq_basis){.what = 4711}),
	    "the basis of another verifier's");
	sq_auth_request_fini(&q.r);
}

CASE(what_has_expired_is_refused)
{
	if (kind->expired == SQ_AUTH_NONE)
		return;
	started();
	cr_assert_eq(judged(OLD), kind->expired);
}

CASE(a_change_ends_what_rested_on_it_and_lets_others_in)
{
	struct question q;

	started();
	ask(&q, FIRST);
	cr_assert_eq(answer(&q), SQ_AUTH_NONE);
	cr_assert_eq(judged(SECOND), kind->unknown);
	cr_assert_not(epoch_changed());
	kind->change();
	await(epoch_changed);
	cr_assert_not(verifier->ops->holds(verifier, &q.r.basis));
	cr_assert_eq(judged(FIRST), kind->unknown);
	cr_assert_eq(judged(SECOND), SQ_AUTH_NONE);
	sq_auth_request_fini(&q.r);
}

CASE(what_is_bad_changes_nothing)
{
	struct question q;

	if (kind->spoil == NULL)
		return;
	started();
	ask(&q, FIRST);
	cr_assert_eq(answer(&q), SQ_AUTH_NONE);
	kind->spoil();
	await(kind->spoiled);
	cr_assert_not(epoch_changed());
	cr_assert(verifier->ops->holds(verifier, &q.r.basis));
	cr_assert_eq(judged(FIRST), SQ_AUTH_NONE);
	sq_auth_request_fini(&q.r);
}

CASE(after_its_stop_it_answers_at_once)
{
	struct question q;

	started();
	verifier->ops->stop(verifier);
	for (enum who who = FIRST; who <= STRANGER; who++) {
		ask(&q, who);
		cr_assert_neq(q.judgement, SQ_JUDGEMENT_LATER);
		cr_assert_eq(answer(&q) == SQ_AUTH_NONE, who == FIRST);
		sq_auth_request_fini(&q.r);
	}
}

/* Of a server that takes long. */

static void
server_holds(bool holds)
{
	pthread_mutex_lock(&at.lock);
	at.holds = holds;
	pthread_mutex_unlock(&at.lock);
	if (!holds)
		sem_post(&at.go);
}

Test(verifier, what_takes_long_is_answered_as_if_it_had_not, .timeout = 60)
{
	struct question good, bad;

	begin(&server_kind);
	server_holds(true);
	verifier->ops->start(verifier);
	ask(&good, FIRST);
	ask(&bad, STRANGER);
	cr_assert_eq(good.judgement, SQ_JUDGEMENT_LATER);
	cr_assert_eq(bad.judgement, SQ_JUDGEMENT_LATER);
	server_holds(false);
	cr_assert_eq(answer(&good), SQ_AUTH_NONE);
	cr_assert_str_eq(good.r.identity->spaces[0], "shop");
	cr_assert_eq(answer(&bad), SQ_AUTH_UNKNOWN_KEY);
	sq_auth_request_fini(&good.r);
	sq_auth_request_fini(&bad.r);
	end();
}

/* The bound is the verifier's: a refusal that says to come again, which a bad token's does not. */
Test(verifier, of_those_who_wait_only_so_many_do, .timeout = 60)
{
	static struct question waiting[SQ_ISSUERS_WAITING];
	struct question more;

	begin(&server_kind);
	server_holds(true);
	verifier->ops->start(verifier);
	for (size_t i = 0; i < SQ_ARRAY_LEN(waiting); i++) {
		ask(&waiting[i], FIRST);
		cr_assert_eq(waiting[i].judgement, SQ_JUDGEMENT_LATER);
	}
	ask(&more, FIRST);
	cr_assert_eq(more.judgement, SQ_JUDGEMENT_NO);
	cr_assert_eq(answer(&more), SQ_AUTH_BUSY);
	cr_assert_eq(sq_auth_reason_status(more.r.reason), 503);
	sq_auth_request_fini(&more.r);
	server_holds(false);
	for (size_t i = 0; i < SQ_ARRAY_LEN(waiting); i++) {
		cr_assert_eq(answer(&waiting[i]), SQ_AUTH_NONE);
		sq_auth_request_fini(&waiting[i].r);
	}
	end();
}

Test(verifier, a_stop_answers_who_waits, .timeout = 60)
{
	struct question q;

	begin(&server_kind);
	server_holds(true);
	verifier->ops->start(verifier);
	ask(&q, FIRST);
	cr_assert_eq(q.judgement, SQ_JUDGEMENT_LATER);
	verifier->ops->stop(verifier);
	cr_assert_eq(sem_trywait(&q.answered), 0);
	cr_assert_eq(q.r.reason, SQ_AUTH_UNAVAILABLE);
	cr_assert_null(q.r.identity);
	sq_auth_request_fini(&q.r);
	server_holds(false);
	end();
}
