/* broker/front/door: who is asking, with broker/auth behind: signed tokens, answers that come
 * later, links whose keys go. */
#include <criterion/criterion.h>

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../support/fake_core.h"
#include "../support/h2_client.h"
#include "../support/https_server.h"
#include "../support/jwt_maker.h"
#include "../support/temp_dir.h"
#include "broker/auth/auth.h"
#include "broker/auth/jwt/jwt.h"
#include "broker/metrics/metrics.h"
#include "core/mem.h"
#include "proto/link/frame.h"

#define ISSUER "https://cluster.test"
#define LINK "/v1/links/00000000000000aa/deliveries"
#define SESSION "/v1/sessions/shop~work~client"
#define MESSAGES SESSION "/messages?epoch=0000000000000001"

static char *dir, *keys_file;
static struct jwt_key *key, *other;
static struct sq_auth *auth;
static struct h2_client *client;
static struct https_server *server;
static struct sq_buf err;
static atomic_uint verified; /* signatures so far */

bool __real_sq_jwt_verify(struct sq_jwt *, const struct sq_jwk *);
bool __wrap_sq_jwt_verify(struct sq_jwt *, const struct sq_jwk *);

bool
__wrap_sq_jwt_verify(struct sq_jwt *t, const struct sq_jwk *k)
{
	atomic_fetch_add(&verified, 1);
	return __real_sq_jwt_verify(t, k);
}

static void
write_keys(struct jwt_key *const *keys, size_t n)
{
	char fresh[300], *set = jwt_set(keys, n);
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", keys_file);
	f = fopen(fresh, "w");
	cr_assert_not_null(f);
	fputs(set, f);
	fclose(f);
	free(set);
	cr_assert_eq(rename(fresh, keys_file), 0);
}

static void
setup(void)
{
	char path[300];

	dir = temp_dir_new();
	snprintf(path, sizeof path, "%s/keys.json", dir);
	keys_file = sq_xstrdup(path);
	key = jwt_rsa(2048, "k");
	other = jwt_ec("P-256", "o");
	write_keys((struct jwt_key *[]){key, other}, 2);
}

static void
tidy(void)
{
	h2_close(&client);
	if (auth != NULL)
		sq_auth_stop(auth);
	fake_stop();
	sq_auth_free(&auth);
	https_stop(&server);
	sq_buf_fini(&err);
	jwt_key_free(&key);
	jwt_key_free(&other);
	free(keys_file);
	temp_dir_free(&dir);
}

TestSuite(front_auth, .init = setup, .fini = tidy, .timeout = 60);

static void
start(const struct sq_auth_cfg *cfg)
{
	struct fake_front_cfg front = fake_front_cfg();

	auth = sq_auth_new(cfg, &err);
	cr_assert_not_null(auth);
	sq_auth_start(auth);
	front.door.auth = auth;
	fake_start(&front);
	client = h2_open(sq_front_port(fake.front), NULL);
	cr_assert_not_null(client);
}

static void
start_with_file(void)
{
	struct sq_auth_issuer one = {.issuer = ISSUER, .keys_file = keys_file};

	start(&(struct sq_auth_cfg){.audience = "sqmqos", .issuers = &one, .n_issuers = 1});
}

/* Shows a token of a service account of "shop" from now on; 'turn' tells tokens apart. */
static void
show(const struct jwt_key *k, const char *account, const char *pod, int turn)
{
	char header[100], claims[600], *token;

	snprintf(header, sizeof header, "{\"alg\":\"%s\",\"kid\":\"%s\"}",
	    k == other ? "ES256" : "RS256", k == other ? "o" : "k");
	snprintf(claims, sizeof claims,
	    "{\"iss\":\"" ISSUER "\",\"aud\":\"sqmqos\",\"exp\":%lld,\"kubernetes.io\":"
	    "{\"namespace\":\"shop\",\"serviceaccount\":{\"name\":\"%s\"},"
	    "\"pod\":{\"name\":\"%s\"}}}",
	    (long long)time(NULL) + 600 + turn, account, pod);
	token = jwt_sign(k, header, claims);
	h2_token(client, token);
	free(token);
}

static struct h2_response *
open_link(void)
{
	struct h2_response *r = h2_start(client, "GET", LINK, NULL, 0);

	cr_assert(h2_body(client, r, 5));
	cr_assert_eq(r->status, 200);
	return r;
}

static unsigned
put(void)
{
	struct sq_buf body = {0};
	struct sq_attach a = {
	    .instance = 1, .ordinal = 1, .attempt = 1, .link = 0xaa, .receive_max = 1};
	struct h2_response *r;

	sq_attach_encode(&body, &a, NULL);
	r = h2_ask(client, "PUT", SESSION, sq_buf_data(&body), sq_buf_len(&body));
	sq_buf_fini(&body);
	return r->status;
}

static unsigned
post(void)
{
	return h2_ask(client, "POST", MESSAGES, "x", 1)->status;
}

static int64_t
refused(enum sq_auth_reason why)
{
	return atomic_load(&sq_broker_metrics.values[SQ_M_AUTH_REFUSED(why)]);
}

Test(front_auth, the_token_that_a_link_showed_last_is_not_verified_again)
{
	start_with_file();
	show(key, "web", "web-1", 0);
	open_link();
	cr_assert_eq(verified, 1);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(put(), 200);
	cr_assert_eq(verified, 1);
	show(key, "web", "web-1", 1); /* renewed */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(put(), 200);
	cr_assert_eq(verified, 2);
	h2_token(client, NULL);
	cr_assert_eq(post(), 200);
	cr_assert_eq(verified, 2);
}

Test(front_auth, another_ones_token_is_denied_each_time)
{
	start_with_file();
	show(key, "web", "web-1", 0);
	open_link();
	show(key, "other", "web-1", 0);
	cr_assert_eq(put(), 403);
	cr_assert_eq(put(), 403);
	show(key, "web", "web-2", 0);
	cr_assert_eq(put(), 403);
	cr_assert_eq(put(), 403);
	cr_assert_eq(
	    h2_ask(client, "GET", "/v1/links/00000000000000bb/deliveries", NULL, 0)->status, 409);
	cr_assert_eq(put(), 403);
	h2_token(client, "nonsense");
	cr_assert_eq(put(), 401);
	h2_token(client, NULL);
	cr_assert_eq(post(), 200, "the link is what it was");
}

Test(front_auth, refusals_are_counted_by_reason_and_say_nothing_to_the_caller)
{
	struct jwt_key *stranger = jwt_rsa(2048, "k");
	struct h2_response *r;
	char body[2][200];

	start_with_file();
	r = h2_ask(client, "GET", LINK, NULL, 0);
	cr_assert_eq(r->status, 401);
	cr_assert_str_eq(r->authenticate, "Bearer");
	snprintf(body[0], sizeof body[0], "%.*s", (int)sq_buf_len(&r->body),
	    (char *)sq_buf_data(&r->body));
	show(stranger, "web", "web-1", 0);
	r = h2_ask(client, "GET", LINK, NULL, 0);
	cr_assert_eq(r->status, 401);
	snprintf(body[1], sizeof body[1], "%.*s", (int)sq_buf_len(&r->body),
	    (char *)sq_buf_data(&r->body));
	cr_assert_str_eq(body[0], body[1]);
	h2_token(client, "a.b.c");
	cr_assert_eq(h2_ask(client, "GET", "/", NULL, 0)->status, 401);
	cr_assert_eq(refused(SQ_AUTH_MISSING), 1);
	cr_assert_eq(refused(SQ_AUTH_SIGNATURE), 1);
	cr_assert_eq(refused(SQ_AUTH_MALFORMED), 1);
	cr_assert_eq(refused(SQ_AUTH_EXPIRED), 0);
	for (int r_ = SQ_AUTH_MISSING; r_ < SQ_AUTH_REASON_COUNT; r_++) {
		char label[64];

		snprintf(label, sizeof label, "reason=\"%s\"",
		    sq_auth_reason_name((enum sq_auth_reason)r_));
		cr_assert_str_eq(
		    sq_broker_metrics.defs[SQ_M_AUTH_REFUSED((enum sq_auth_reason)r_)].labels,
		    label);
	}
	jwt_key_free(&stranger);
}

Test(front_auth, links_end_when_their_key_is_gone_and_others_stay)
{
	struct h2_client *second;
	struct h2_response *gone, *stays;

	start_with_file();
	show(key, "web", "web-1", 0);
	gone = open_link();
	second = client;
	client = h2_open(sq_front_port(fake.front), NULL);
	show(other, "web", "web-1", 0);
	stays = h2_start(client, "GET", "/v1/links/00000000000000bb/deliveries", NULL, 0);
	cr_assert(h2_body(client, stays, 5));
	write_keys(&other, 1);
	cr_assert(h2_finish(second, gone));
	cr_assert(h2_lost(second));
	h2_close(&second);
	cr_assert(h2_body(client, stays, sq_buf_len(&stays->body) + 5));
	cr_assert_eq(put(), 410, "it is open, and the attach names another");
	cr_assert_not(stays->closed);
}

/* An API server whose look at keys waits for the test. */
static sem_t looked, go;

static void
handle(void *owner, const struct https_request *req, struct https_reply *out)
{
	char *set;

	(void)owner;
	if (strcmp(req->path, "/.well-known/openid-configuration") == 0) {
		sq_buf_printf(&out->body, "{\"issuer\":\"" ISSUER "\"}");
		return;
	}
	sem_post(&looked);
	sem_wait(&go);
	set = jwt_set(&key, 1);
	sq_buf_printf(&out->body, "%s", set);
	free(set);
}

static void
start_with_server(void)
{
	char token[300], ca[300];
	FILE *f;

	sem_init(&looked, 0, 0);
	sem_init(&go, 0, 0);
	https_certificate(dir);
	snprintf(ca, sizeof ca, "%s/cert.pem", dir);
	snprintf(token, sizeof token, "%s/token", dir);
	f = fopen(token, "w");
	fputs("own\n", f);
	fclose(f);
	server = https_start(&(struct https_cfg){.dir = dir, .handle = handle});
	start(&(struct sq_auth_cfg){.kubernetes = true,
	    .api_server = https_url(server),
	    .api_token_file = token,
	    .api_ca_file = ca,
	    .audience = "sqmqos"});
	sem_wait(&looked);
}

/* Lets what was sent arrive, so that its questions wait. */
static void
await_asked(void)
{
	cr_assert_eq(h2_ask(client, "GET", LINK "x", NULL, 0)->status, 401);
}

Test(front_auth, a_link_waits_for_keys_and_blocks_nobody)
{
	struct h2_response *r;

	start_with_server();
	show(key, "web", "web-1", 0);
	r = h2_start(client, "GET", LINK, NULL, 0);
	h2_token(client, NULL);
	await_asked();
	cr_assert_eq(r->status, 0);
	sem_post(&go);
	cr_assert(h2_body(client, r, 5));
	cr_assert_eq(r->status, 200);
	show(key, "web", "web-1", 0);
	cr_assert_eq(put(), 200);
}

/* While its token is being verified a connection is no stranger, and still has a bound. */
Test(front_auth, what_comes_while_a_token_is_verified_waits_with_it)
{
	enum { PUTS = 20 };
	static const char body[4000];
	static char much[120000];
	struct h2_response *r, *puts[PUTS];
	struct h2_client *good;

	start_with_server();
	show(key, "web", "web-1", 0);
	r = h2_start(client, "GET", LINK, NULL, 0);
	for (unsigned i = 0; i < PUTS; i++)
		puts[i] = h2_start(client, "PUT", SESSION, body, sizeof body);
	h2_token(client, NULL);
	await_asked();
	cr_assert_eq(r->status, 0);

	good = client;
	client = h2_open(sq_front_port(fake.front), NULL);
	show(key, "web", "web-1", 1);
	h2_start(client, "GET", LINK, NULL, 0);
	for (unsigned i = 0; i < PUTS; i++)
		h2_start(client, "POST", MESSAGES, much, sizeof much);
	cr_assert(h2_lost(client));
	cr_assert(h2_goaway(client));
	cr_assert_eq(atomic_load(&sq_broker_metrics.values[SQ_M_ENDED_BODY]), 1);
	h2_close(&client);
	client = good;

	sem_post(&go);
	cr_assert(h2_body(client, r, 5));
	cr_assert_eq(r->status, 200);
	for (unsigned i = 0; i < PUTS; i++) {
		cr_assert(h2_finish(client, puts[i]));
		cr_assert_eq(puts[i]->status, 400, "%u: it has the link", puts[i]->status);
	}
}

Test(front_auth, a_connection_that_closes_while_its_question_waits_leaves_nothing)
{
	struct h2_response *r;

	start_with_server();
	show(key, "web", "web-1", 0);
	r = h2_start(client, "GET", LINK, NULL, 0);
	h2_token(client, NULL);
	await_asked();
	cr_assert_eq(r->status, 0);
	h2_close(&client);
	client = h2_open(sq_front_port(fake.front), NULL);
	show(key, "web", "web-1", 0);
	r = h2_start(client, "GET", "/v1/links/00000000000000bb/deliveries", NULL, 0);
	h2_reset(client, r); /* a stream alone */
	r = h2_start(client, "GET", "/v1/links/00000000000000cc/deliveries", NULL, 0);
	h2_token(client, NULL);
	await_asked();
	sem_post(&go);
	cr_assert(h2_body(client, r, 5));
	cr_assert_eq(r->status, 200);
	cr_assert_eq(atomic_load(&sq_broker_metrics.values[SQ_M_LINKS]), 1);
}

Test(front_auth, an_end_answers_what_waits)
{
	struct h2_response *r;

	start_with_server();
	show(key, "web", "web-1", 0);
	r = h2_start(client, "GET", LINK, NULL, 0);
	h2_token(client, NULL);
	await_asked();
	sq_auth_stop(auth);
	cr_assert(h2_finish(client, r));
	cr_assert_eq(r->status, 503);
	cr_assert_str_eq(r->retry_after, "1");
	cr_assert_eq(refused(SQ_AUTH_UNAVAILABLE), 1);
	sem_post(&go);
}
