/* broker/auth/issuers: keys from servers over real TLS; unknown keys, servers that are away,
 * the keys of the last run. */
#include <criterion/criterion.h>

#include <dirent.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/https_server.h"
#include "../support/jwt_maker.h"
#include "../support/temp_dir.h"
#include "broker/auth/auth.h"
#include "broker/auth/issuers.h"
#include "core/clock.h"
#include "core/mem.h"

#define ISSUER "https://cluster.test"
#define LONG_MS 3600000

/* What the server has; under 'lock'. */
static struct {
	pthread_mutex_t lock;
	const char *issuer, *set; /* NULL: 500 */
	unsigned looks;           /* at the key set */
	bool holds;               /* looks wait for 'go' */
	sem_t looked, go;
	char head[4096]; /* of the last request */
} at = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char *dir, *set_a, *set_b, *set_both;
static struct jwt_key *a, *b;
static struct https_server *server;
static struct sq_auth *auth;
static struct sq_buf err;

static void
handle(void *owner, const struct https_request *req, struct https_reply *out)
{
	bool set = strcmp(req->path, "/openid/v1/jwks") == 0 || strcmp(req->path, "/set?v=1") == 0;
	const char *text;
	bool holds;

	(void)owner;
	pthread_mutex_lock(&at.lock);
	snprintf(at.head, sizeof at.head, "%s", req->head);
	at.looks += set;
	holds = set && at.holds;
	pthread_mutex_unlock(&at.lock);
	if (set)
		sem_post(&at.looked);
	if (holds)
		sem_wait(&at.go);
	pthread_mutex_lock(&at.lock);
	text = set ? at.set : at.issuer;
	if (text == NULL)
		out->status = 500;
	else if (set)
		sq_buf_printf(&out->body, "%s", text);
	else if (strcmp(req->path, "/.well-known/openid-configuration") == 0)
		sq_buf_printf(&out->body,
		    "{\"issuer\":\"%s\",\"jwks_uri\":\"https://elsewhere.test/keys\"}", text);
	else
		out->status = 404;
	pthread_mutex_unlock(&at.lock);
}

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
write_file(const char *name, const char *text)
{
	FILE *f = fopen(file(name), "w");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void
serve(const char *issuer, const char *set)
{
	pthread_mutex_lock(&at.lock);
	at.issuer = issuer;
	at.set = set;
	pthread_mutex_unlock(&at.lock);
}

static unsigned
looks(void)
{
	unsigned n;

	pthread_mutex_lock(&at.lock);
	n = at.looks;
	pthread_mutex_unlock(&at.lock);
	return n;
}

static void
setup(void)
{
	dir = temp_dir_new();
	https_certificate(dir);
	write_file("token", "brokers-own-token\n");
	sem_init(&at.looked, 0, 0);
	sem_init(&at.go, 0, 0);
	a = jwt_rsa(2048, "a");
	b = jwt_rsa(2048, "b");
	set_a = jwt_set(&a, 1);
	set_b = jwt_set(&b, 1);
	set_both = jwt_set((struct jwt_key *[]){a, b}, 2);
	server = https_start(&(struct https_cfg){.dir = dir, .handle = handle});
	serve(ISSUER, set_a);
}

static void
tidy(void)
{
	sq_auth_free(&auth);
	https_stop(&server);
	sq_buf_fini(&err);
	jwt_key_free(&a);
	jwt_key_free(&b);
	free(set_a);
	free(set_b);
	free(set_both);
	temp_dir_free(&dir);
}

TestSuite(issuers, .init = setup, .fini = tidy, .timeout = 60);

static const char *
text(struct sq_buf *buf)
{
	sq_buf_u8(buf, 0);
	buf->end--;
	return (const char *)sq_buf_data(buf);
}

static struct sq_auth_cfg
config(void)
{
	static char url[100], token[300], ca[300], cache[300];

	snprintf(url, sizeof url, "%s", https_url(server));
	snprintf(token, sizeof token, "%s", file("token"));
	snprintf(ca, sizeof ca, "%s", file("cert.pem"));
	snprintf(cache, sizeof cache, "%s", file("auth-keys"));
	return (struct sq_auth_cfg){.kubernetes = true,
	    .audience = "sqmqos",
	    .api_server = url,
	    .api_token_file = token,
	    .api_ca_file = ca,
	    .cache_dir = cache,
	    .refresh_ms = LONG_MS,
	    .unknown_ms = LONG_MS};
}

static void
open_with(const struct sq_auth_cfg *cfg)
{
	auth = sq_auth_new(cfg, &err);
	cr_assert_not_null(auth, "%s", text(&err));
	sq_auth_start(auth);
}

/* Waits until it says that it is ready. */
static void
await_ready(void)
{
	const struct timespec nap = {0, 2000000};
	struct sq_buf why = {0};

	while (!sq_auth_ready(auth, &why))
		nanosleep(&nap, NULL);
	sq_buf_fini(&why);
}

/* A question whose answer may come later. */
struct question {
	struct sq_auth_request r;
	sem_t answered;
	atomic_uint answers;
};

static void
question_done(struct sq_auth_request *r)
{
	struct question *q = SQ_CONTAINER_OF(r, struct question, r);

	atomic_fetch_add(&q->answers, 1);
	sem_post(&q->answered);
}

/* Asks with a token of 'key' for the account; true: it is answered. */
static bool
ask(struct question *q, const struct jwt_key *key, const char *kid, const char *issuer)
{
	struct sq_buf header = {0}, claims = {0}, jose = {0};
	char *token;
	bool now;

	memset(q, 0, sizeof *q);
	sem_init(&q->answered, 0, 0);
	q->r.done = question_done;
	sq_buf_printf(&jose, "{\"alg\":\"RS256\",\"kid\":\"%s\"}", kid);
	sq_buf_printf(&claims,
	    "{\"iss\":\"%s\",\"aud\":\"sqmqos\",\"exp\":%lld,\"kubernetes.io\":{\"namespace\":"
	    "\"shop\",\"serviceaccount\":{\"name\":\"web\"}}}",
	    issuer, (long long)time(NULL) + 600);
	token = jwt_sign(key, text(&jose), text(&claims));
	sq_buf_printf(&header, "Bearer %s", token);
	q->r.credential = sq_buf_bytes(&header);
	now = sq_auth_ask(auth, &q->r);
	memset(sq_buf_data(&header), 'x', sq_buf_len(&header)); /* it need not stay */
	sq_buf_fini(&header);
	sq_buf_fini(&claims);
	sq_buf_fini(&jose);
	free(token);
	return now;
}

/* The same, waiting for the answer. */
static enum sq_auth_reason
judged(const struct jwt_key *key, const char *kid)
{
	struct question q;
	enum sq_auth_reason why;

	if (!ask(&q, key, kid, ISSUER)) {
		while (sem_wait(&q.answered) != 0)
			;
	}
	why = q.r.reason;
	cr_assert((why == SQ_AUTH_NONE) == (q.r.identity != NULL));
	sq_auth_request_fini(&q.r);
	return why;
}

Test(issuers, keys_and_issuer_come_from_the_api_server)
{
	struct sq_auth_cfg cfg = config();
	struct question q;

	auth = sq_auth_new(&cfg, &err);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_UNAVAILABLE);
	cr_assert_not(sq_auth_ready(auth, &err));
	cr_assert_str_eq(text(&err),
	    "no keys to verify tokens with: auth.kubernetes: the API server has not answered "
	    "yet\n");
	sq_auth_start(auth);
	await_ready();
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	cr_assert_not_null(strstr(at.head, "\r\nAuthorization: Bearer brokers-own-token\r\n"));
	cr_assert_eq(looks(), 1);
	cr_assert_eq(sq_auth_counts(auth).keys, 1);
	cr_assert(ask(&q, a, "a", "https://other.test"));
	cr_assert_eq(q.r.reason, SQ_AUTH_ISSUER);
	sq_auth_request_fini(&q.r);
}

/* Nobody is let in, or sent away for good, by a broker that can't tell yet. */
Test(issuers, a_token_waits_for_the_first_keys)
{
	struct sq_auth_cfg cfg = config();
	struct question q;

	at.holds = true;
	open_with(&cfg);
	sem_wait(&at.looked);
	cr_assert_not(ask(&q, a, "a", ISSUER));
	at.holds = false;
	sem_post(&at.go);
	sem_wait(&q.answered);
	cr_assert_eq(q.r.reason, SQ_AUTH_NONE);
	cr_assert_str_eq(q.r.identity->spaces[0], "shop");
	sq_auth_request_fini(&q.r);
}

Test(issuers, an_unknown_key_is_looked_for_at_once_and_then_not_for_a_while)
{
	struct sq_auth_cfg cfg = config();

	cfg.unknown_ms = 1;
	open_with(&cfg);
	await_ready();
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	serve(ISSUER, set_both);
	cr_assert_eq(judged(b, "b"), SQ_AUTH_NONE);
	cr_assert_eq(looks(), 2);
	sq_auth_free(&auth);

	serve(ISSUER, set_a);
	cfg.unknown_ms = LONG_MS;
	cfg.cache_dir = NULL;
	open_with(&cfg);
	await_ready();
	cr_assert_eq(looks(), 3);
	serve(ISSUER, set_both);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(judged(b, "b"), SQ_AUTH_UNKNOWN_KEY);
	cr_assert_eq(looks(), 3);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
}

Test(issuers, those_who_wait_are_bounded_and_known_keys_pass_them)
{
	static struct question q[SQ_ISSUERS_WAITING + 1];
	struct sq_auth_cfg cfg = config();
	unsigned refused = 0;

	cfg.unknown_ms = 1;
	open_with(&cfg);
	await_ready();
	sem_wait(&at.looked);
	at.holds = true;
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	for (size_t i = 0; i < SQ_ISSUERS_WAITING; i++)
		cr_assert_not(ask(&q[i], b, "b", ISSUER));
	sem_wait(&at.looked);
	cr_assert(ask(&q[SQ_ISSUERS_WAITING], b, "b", ISSUER));
	cr_assert_eq(q[SQ_ISSUERS_WAITING].r.reason, SQ_AUTH_BUSY);
	sq_auth_request_fini(&q[SQ_ISSUERS_WAITING].r);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	at.holds = false;
	sem_post(&at.go);
	for (size_t i = 0; i < SQ_ISSUERS_WAITING; i++) {
		sem_wait(&q[i].answered);
		refused += q[i].r.reason == SQ_AUTH_UNKNOWN_KEY;
		cr_assert_eq(q[i].answers, 1);
		sq_auth_request_fini(&q[i].r);
	}
	cr_assert_eq(refused, SQ_ISSUERS_WAITING);
	cr_assert_eq(looks(), 2, "one look is for all of them");
}

Test(issuers, an_end_answers_who_waits_and_waits_for_no_server)
{
	struct sq_auth_cfg cfg = config();
	struct question q;

	cfg.unknown_ms = 1;
	open_with(&cfg);
	await_ready();
	sem_wait(&at.looked);
	at.holds = true;
	nanosleep(&(struct timespec){0, 5000000}, NULL);
	cr_assert_not(ask(&q, b, "b", ISSUER));
	sem_wait(&at.looked);
	sq_auth_stop(auth);
	cr_assert_eq(q.answers, 1);
	cr_assert_eq(q.r.reason, SQ_AUTH_UNAVAILABLE);
	sq_auth_request_fini(&q.r);
	cr_assert_eq(judged(b, "b"), SQ_AUTH_UNAVAILABLE);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	sem_post(&at.go);
}

Test(issuers, a_key_that_the_server_has_no_more_goes)
{
	struct sq_auth_cfg cfg = config();
	struct question q;
	uint64_t epoch;

	cfg.refresh_ms = 20;
	serve(ISSUER, set_both);
	open_with(&cfg);
	await_ready();
	cr_assert(ask(&q, a, "a", ISSUER));
	cr_assert_eq(q.r.reason, SQ_AUTH_NONE);
	cr_assert(sq_auth_holds(auth, q.r.basis));
	epoch = sq_auth_epoch(auth);
	serve(ISSUER, set_b);
	while (sq_auth_epoch(auth) == epoch)
		nanosleep(&(struct timespec){0, 2000000}, NULL);
	cr_assert_not(sq_auth_holds(auth, q.r.basis));
	cr_assert_eq(judged(a, "a"), SQ_AUTH_UNKNOWN_KEY);
	cr_assert_eq(judged(b, "b"), SQ_AUTH_NONE);
	sq_auth_request_fini(&q.r);
}

Test(issuers, bad_answers_and_outages_change_nothing)
{
	static const char *const bad[] = {NULL, "", "{", "{\"keys\":[]}", "{\"keys\":[{}]}"};
	struct sq_auth_cfg cfg = config();
	uint64_t epoch;

	cfg.refresh_ms = 5;
	open_with(&cfg);
	await_ready();
	epoch = sq_auth_epoch(auth);
	for (size_t i = 0; i < SQ_ARRAY_LEN(bad); i++) {
		unsigned before = looks();

		serve(ISSUER, bad[i]);
		while (looks() < before + 2 && i == 0)
			nanosleep(&(struct timespec){0, 2000000}, NULL);
		cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	}
	https_stop(&server);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	cr_assert_eq(judged(b, "b"), SQ_AUTH_UNAVAILABLE, "nobody can say that there is none");
	cr_assert_eq(sq_auth_epoch(auth), epoch);
	cr_assert(sq_auth_ready(auth, &err));
}

Test(issuers, the_keys_of_the_last_run_serve_while_the_server_is_away)
{
	struct sq_auth_cfg cfg = config();
	struct question q;
	struct sq_basis basis;
	uint64_t id;

	open_with(&cfg);
	await_ready();
	cr_assert(ask(&q, a, "a", ISSUER));
	basis = q.r.basis;
	id = q.r.identity->id;
	sq_auth_request_fini(&q.r);
	sq_auth_free(&auth);
	https_stop(&server);

	open_with(&cfg);
	cr_assert(sq_auth_ready(auth, &err));
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	cr_assert(ask(&q, a, "a", ISSUER));
	cr_assert_eq(q.r.basis.what, basis.what);
	cr_assert_eq(q.r.identity->id, id, "the owner of its sessions");
	cr_assert(sq_auth_holds(auth, basis));
	sq_auth_request_fini(&q.r);
}

/* Each way to damage it is said and skipped. */
Test(issuers, damaged_keys_of_the_last_run_are_not_believed)
{
	struct sq_auth_cfg cfg = config();
	char whole[8192];
	size_t len;
	FILE *f;

	open_with(&cfg);
	await_ready();
	sq_auth_free(&auth);
	https_stop(&server);
	f = fopen(file("auth-keys/kubernetes"), "r");
	cr_assert_not_null(f);
	len = fread(whole, 1, sizeof whole - 1, f);
	fclose(f);
	whole[len] = '\0';
	for (size_t i = 0; i < len + 2; i += 1 + len / 40) {
		char damaged[8192];

		memcpy(damaged, whole, len + 1);
		if (i % 2 == 0 || i >= len)
			damaged[i < len ? i : 0] ^= 1;
		else
			damaged[i] = '\0';
		write_file("auth-keys/kubernetes", damaged);
		auth = sq_auth_new(&cfg, &err);
		cr_assert_not_null(auth);
		cr_expect_not(sq_auth_ready(auth, &err), "%zu", i);
		cr_expect_eq(judged(a, "a"), SQ_AUTH_UNAVAILABLE);
		sq_auth_free(&auth);
	}
	write_file("auth-keys/kubernetes", whole);
	auth = sq_auth_new(&cfg, &err);
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
}

Test(issuers, a_volume_that_takes_nothing_is_said_and_serves_all_the_same)
{
	struct sq_auth_cfg cfg = config();

	write_file("auth-keys", "a file where the directory should be");
	open_with(&cfg);
	await_ready();
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
}

Test(issuers, a_server_that_is_away_from_the_start_is_said_in_ready)
{
	struct sq_auth_cfg cfg = config();
	struct sq_buf why = {0};

	https_stop(&server);
	open_with(&cfg);
	do {
		sq_buf_fini(&why);
		nanosleep(&(struct timespec){0, 2000000}, NULL);
		cr_assert_not(sq_auth_ready(auth, &why));
	} while (strstr(text(&why), "not answered yet") != NULL);
	cr_assert_not_null(
	    strstr(text(&why), "/.well-known/openid-configuration: Failed to connect"), "%s",
	    text(&why));
	cr_assert_eq(judged(a, "a"), SQ_AUTH_UNAVAILABLE);
	sq_buf_fini(&why);
}

Test(issuers, keys_of_a_url_are_the_named_issuers)
{
	struct sq_auth_cfg cfg = config();
	char url[200];
	struct sq_auth_issuer issuer = {
	    .issuer = ISSUER, .keys_url = url, .ca_file = cfg.api_ca_file};
	struct question q;

	snprintf(url, sizeof url, "%s/set?v=1", https_url(server));
	cfg.kubernetes = false;
	cfg.issuers = &issuer;
	cfg.n_issuers = 1;
	open_with(&cfg);
	cr_assert(sq_auth_ready(auth, &err), "it is not the broker's own cluster");
	cr_assert_eq(judged(a, "a"), SQ_AUTH_NONE);
	cr_assert_null(strstr(at.head, "Authorization"), "the broker's token is for its cluster");
	cr_assert(ask(&q, a, "a", "https://other.test"));
	cr_assert_eq(q.r.reason, SQ_AUTH_ISSUER);
	sq_auth_request_fini(&q.r);
	sq_auth_free(&auth);
	snprintf(url, sizeof url, "http://127.0.0.1/set");
	cr_assert_null(sq_auth_new(&cfg, &err));
	cr_assert_str_eq(
	    text(&err), "auth.issuers: http://127.0.0.1/set: must begin with https://");
}

static void
handle_other(void *owner, const struct https_request *req, struct https_reply *out)
{
	(void)owner, (void)req;
	sq_buf_printf(&out->body, "%s", set_b);
}

static unsigned
threads(void)
{
	DIR *d = opendir("/proc/self/task");
	unsigned n = 0;

	cr_assert_not_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

Test(issuers, a_server_that_hangs_holds_up_no_other)
{
	struct https_server *other = https_start(
	    &(struct https_cfg){.dir = dir, .handle = handle_other});
	struct sq_auth_cfg cfg = config();
	char hangs[200], answers[200];
	struct sq_auth_issuer both[] = {
	    {.issuer = ISSUER, .keys_url = hangs, .ca_file = cfg.api_ca_file},
	    {.issuer = "https://other.test", .keys_url = answers, .ca_file = cfg.api_ca_file}};
	struct question q, waits;
	unsigned before = threads();

	snprintf(hangs, sizeof hangs, "%s/set?v=1", https_url(server));
	snprintf(answers, sizeof answers, "%s/set", https_url(other));
	cfg.kubernetes = false;
	cfg.issuers = both;
	cfg.n_issuers = 2;
	at.holds = true;
	open_with(&cfg);
	sem_wait(&at.looked);
	cr_assert_not(ask(&waits, a, "a", ISSUER));
	if (!ask(&q, b, "b", "https://other.test")) {
		while (sem_wait(&q.answered) != 0)
			;
	}
	cr_expect_eq(q.r.reason, SQ_AUTH_NONE);
	cr_expect_eq(threads(), before + 2, "one for requests, one for what comes of them");
	cr_expect_eq(waits.answers, 0);
	sq_auth_stop(auth);
	cr_expect_eq(waits.r.reason, SQ_AUTH_UNAVAILABLE);
	sem_post(&at.go);
	sq_auth_request_fini(&q.r);
	sq_auth_request_fini(&waits.r);
	https_stop(&other);
}

/* For the sanitizers: many threads ask while keys change. */
static void *
hammer(void *arg)
{
	atomic_bool *end = arg;

	while (!atomic_load(end)) {
		enum sq_auth_reason why = judged(a, "a");

		cr_assert(why == SQ_AUTH_NONE || why == SQ_AUTH_UNKNOWN_KEY);
		(void)sq_auth_holds(auth, (struct sq_basis){.what = 1});
		sq_auth_refresh(auth);
	}
	return NULL;
}

Test(issuers, many_threads_ask_while_keys_change)
{
	struct sq_auth_cfg cfg = config();
	pthread_t threads[4];
	atomic_bool end = false;

	cfg.refresh_ms = 1;
	cfg.unknown_ms = 1;
	open_with(&cfg);
	await_ready();
	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_create(&threads[i], NULL, hammer, &end);
	for (unsigned i = 0; i < 30; i++) {
		uint64_t epoch = sq_auth_epoch(auth);

		serve(ISSUER, i % 2 == 0 ? set_b : set_both);
		while (sq_auth_epoch(auth) == epoch)
			nanosleep(&(struct timespec){0, 500000}, NULL);
	}
	atomic_store(&end, true);
	for (size_t i = 0; i < SQ_ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
}
