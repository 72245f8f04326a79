/* The requests for credentials: at most one of each at a time, the next one from the answer to the one
 * before, on sq_out's thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/percent.h"
#include "net/cred/cred_priv.h"
#include "net/curl/shared.h"

#define STS_VERSION "2011-06-15" /* of its interface; the only one */
#define FORM_TYPE "application/x-www-form-urlencoded; charset=utf-8"
#define INSTANCE_TOKEN "/latest/api/token"
#define INSTANCE_KEYS "/latest/meta-data/iam/security-credentials/"

enum {
	STS_MS = 15000,
	AGENT_MS = 5000,
	/* A token's answer that may make one hop less than it must never comes. */
	INSTANCE_MS = 2000,
	INSTANCE_TOKEN_MAX = 1024,
	IDENTITY_MAX = 32 << 10,
	ROLE_MAX = 128,
};

static const char *const step_names[] = {
    [SQ_CRED_STEP_IDENTITY] = "STS",
    [SQ_CRED_STEP_CONTAINER] = "the container's agent",
    [SQ_CRED_STEP_TOKEN] = "the instance's metadata",
    [SQ_CRED_STEP_ROLE] = "the instance's metadata",
    [SQ_CRED_STEP_KEYS] = "the instance's metadata",
    [SQ_CRED_STEP_ASSUME] = "STS",
};

static void ask_done(struct sq_out_request *);

/* Whether the container's agent is at an address that may be told in the clear. */
static bool
ask_allows(const struct sq_out_way *way, const struct sockaddr *at)
{
	(void)way;
	return sq_cred_address_good(at);
}

/* Begins a request to 'url' and what follows it; its body and headers come next. */
static void
ask_prepare(struct sq_cred *c, const char *method, const char *url, const char *path,
    struct sq_bytes role, uint32_t timeout_ms)
{
	struct sq_cred_ask *ask = &c->ask;

	sq_cred_ask_fini(ask);
	ask->req = (struct sq_out_request){.method = method,
	    .way = &ask->way,
	    .connect_ms = timeout_ms / 2,
	    .timeout_ms = timeout_ms,
	    .max_answer = SQ_CRED_ANSWER_MAX,
	    .done = ask_done};
	(void)sq_buf_reserve(&ask->req.answer, SQ_CRED_ANSWER_MAX); /* growing would leave copies */
	ask->way = (struct sq_out_way){.owner = c->scope};
	sq_buf_printf(&ask->url, "%s%s", url, path);
	sq_percent_put_bytes(&ask->url, role);
	sq_buf_u8(&ask->url, '\0');
	ask->req.url = (const char *)sq_buf_data(&ask->url);
}

/* Under the lock; takes a reference for the step, unless the step before had one. */
static void
ask_send(struct sq_cred *c, enum sq_cred_step step)
{
	struct sq_cred_ask *ask = &c->ask;

	if (sq_buf_len(&ask->body) > 0)
		ask->req.body = sq_buf_bytes(&ask->body);
	if (ask->step == SQ_CRED_IDLE)
		c->refs++;
	ask->step = step;
	sq_out_send(c->all->out, &ask->req);
}

static bool
ask_header(struct sq_cred *c, const char *name, struct sq_bytes value)
{
	return sq_out_header(&c->ask.req, name, value) == SQ_OK;
}

/* STS. */

static void
ask_form(struct sq_cred *c, const char *action, const char *role)
{
	struct sq_buf *body = &c->ask.body;
	bool good;

	ask_prepare(c, "POST", c->source.sts, "", (struct sq_bytes){0}, STS_MS);
	c->ask.way.ca_file = c->ca_file;
	sq_buf_reserve(body, 3 * IDENTITY_MAX);
	sq_buf_printf(body, "Action=%s&Version=" STS_VERSION "&RoleArn=", action);
	sq_percent_put(body, role);
	sq_buf_printf(body, "&RoleSessionName=");
	sq_percent_put(body, c->source.session);
	good = ask_header(c, "Content-Type", sq_bytes_of(FORM_TYPE)) &&
	    ask_header(c, "Accept", sq_bytes_of("application/json"));
	(void)good; /* they are ours */
}

static char *
ask_assume(struct sq_cred *c)
{
	const struct sq_cred_value *v = &c->base->value;
	struct sq_out_signer signer = {.region = c->source.region,
	    .service = "sts",
	    .key_id = v->key_id,
	    .secret = v->secret,
	    .token = v->token};
	struct sq_buf why = {0};

	ask_form(c, "AssumeRole", c->source.role);
	if (sq_out_sign(&c->ask.req, &signer) != SQ_OK) {
		sq_buf_printf(&why, "STS: nothing can be signed with these keys");
		return sq_buf_take_text(&why);
	}
	ask_send(c, SQ_CRED_STEP_ASSUME);
	return NULL;
}

/* A file's text, of visible ASCII, in 'out'. */
static char *
ask_read(const char *path, struct sq_buf *out)
{
	struct sq_buf why = {0};
	int rc = sq_file_read(path, IDENTITY_MAX, out);

	if (rc != SQ_OK)
		sq_buf_printf(&why, "%s: %s", path, sq_file_reason(rc));
	else if (!sq_cred_visible(sq_cred_trim(sq_buf_bytes(out)), IDENTITY_MAX))
		sq_buf_printf(&why, "%s: is no token", path);
	return sq_buf_len(&why) > 0 ? sq_buf_take_text(&why) : NULL;
}

static char *
ask_identity(struct sq_cred *c)
{
	struct sq_buf token = {0};
	char *why = ask_read(c->source.identity_file, &token);

	if (why == NULL) {
		pthread_mutex_lock(&c->all->lock);
		ask_form(c, "AssumeRoleWithWebIdentity", c->source.identity_role);
		sq_buf_printf(&c->ask.body, "&WebIdentityToken=");
		sq_percent_put_bytes(&c->ask.body, sq_cred_trim(sq_buf_bytes(&token)));
		ask_send(c, SQ_CRED_STEP_IDENTITY);
		pthread_mutex_unlock(&c->all->lock);
	}
	sq_buf_wipe(&token);
	return why;
}

/* Agents. */

static char *
ask_container(struct sq_cred *c)
{
	const struct sq_cred_source *s = &c->source;
	struct sq_bytes auth = sq_bytes_of(s->auth);
	struct sq_buf token = {0}, bad = {0};
	char *why = NULL;
	bool good = true;

	if (s->auth_file != NULL) {
		why = ask_read(s->auth_file, &token);
		auth = sq_cred_trim(sq_buf_bytes(&token));
	}
	if (why == NULL) {
		bool https = strncasecmp(s->url, "https://", 8) == 0;

		pthread_mutex_lock(&c->all->lock);
		ask_prepare(c, "GET", s->url, "", (struct sq_bytes){0}, AGENT_MS);
		c->ask.way.direct = !https;
		c->ask.way.allows = https ? NULL : ask_allows;
		if (auth.len > 0)
			good = ask_header(c, "Authorization", auth);
		if (good)
			ask_send(c, SQ_CRED_STEP_CONTAINER);
		pthread_mutex_unlock(&c->all->lock);
	}
	if (!good) {
		sq_buf_printf(&bad, "AWS_CONTAINER_AUTHORIZATION_TOKEN is none");
		why = sq_buf_take_text(&bad);
	}
	sq_buf_wipe(&token);
	return why;
}

/* One of the instance's requests. */
static char *
ask_instance(struct sq_cred *c, enum sq_cred_step step, struct sq_bytes role)
{
	bool first = step == SQ_CRED_STEP_TOKEN;
	struct sq_buf why = {0};
	bool good;

	ask_prepare(c, first ? "PUT" : "GET", c->source.url, first ? INSTANCE_TOKEN : INSTANCE_KEYS,
	    role, INSTANCE_MS);
	c->ask.way.direct = true;
	if (first)
		good = ask_header(c, "X-aws-ec2-metadata-token-ttl-seconds", sq_bytes_of("300"));
	else
		good = ask_header(c, "X-aws-ec2-metadata-token", sq_buf_bytes(&c->ask.token));
	if (!good) {
		sq_buf_printf(&why, "the instance's metadata: the token is none");
		return sq_buf_take_text(&why);
	}
	ask_send(c, step);
	return NULL;
}

char *
sq_cred_ask_begin(struct sq_cred *c)
{
	char *why = NULL;

	switch (c->source.from) {
	case SQ_CRED_IDENTITY:
		return ask_identity(c);
	case SQ_CRED_CONTAINER:
		return ask_container(c);
	default:
		break;
	}
	pthread_mutex_lock(&c->all->lock);
	if (c->source.from == SQ_CRED_INSTANCE)
		why = ask_instance(c, SQ_CRED_STEP_TOKEN, (struct sq_bytes){0});
	else
		why = ask_assume(c);
	pthread_mutex_unlock(&c->all->lock);
	return why;
}

void
sq_cred_ask_cancel(struct sq_cred *c)
{
	if (c->ask.step != SQ_CRED_IDLE)
		sq_out_cancel(c->all->out, &c->ask.req);
}

/* What comes behind an answer. */

static void
ask_end(struct sq_cred *c, struct sq_cred_kept *kept, char *why)
{
	c->ask.step = SQ_CRED_IDLE;
	sq_cred_ended(c, kept, why);
}

/* Takes the keys: they are what is wanted, or what the role is assumed with. */
static void
ask_have(struct sq_cred *c, struct sq_cred_kept *kept)
{
	char *why;

	if (c->source.role == NULL || c->ask.step == SQ_CRED_STEP_ASSUME) {
		ask_end(c, kept, NULL);
		return;
	}
	sq_cred_kept_unref(c->base);
	c->base = kept;
	why = ask_assume(c);
	if (why != NULL)
		ask_end(c, NULL, why);
}

static void
ask_keys(struct sq_cred *c, enum sq_cred_form form)
{
	const char *who = step_names[c->ask.step];
	struct sq_buf why = {0}, line = {0};
	struct sq_cred_kept *kept = sq_cred_answer_read(
	    form, sq_buf_bytes(&c->ask.req.answer), &why);
	bool past = kept != NULL && kept->expires_ms != 0 && c->source.from != SQ_CRED_INSTANCE &&
	    kept->expires_ms <= c->all->cfg.wall_ms();

	if (past) {
		sq_buf_printf(&why, "what it gives has expired already");
		sq_cred_kept_unref(kept);
		kept = NULL;
	}
	if (kept != NULL) {
		ask_have(c, kept);
	} else {
		sq_buf_printf(
		    &line, "%s: %.*s", who, (int)sq_buf_len(&why), (const char *)sq_buf_data(&why));
		ask_end(c, NULL, sq_buf_take_text(&line));
	}
	sq_buf_fini(&why);
}

/* The token, or the name of the instance's role. */
static void
ask_word(struct sq_cred *c)
{
	bool token = c->ask.step == SQ_CRED_STEP_TOKEN;
	struct sq_bytes word = sq_cred_trim(sq_buf_bytes(&c->ask.req.answer));
	struct sq_buf role = {0}, bad = {0};
	char *why;

	if (!sq_cred_visible(word, token ? INSTANCE_TOKEN_MAX : ROLE_MAX)) {
		sq_buf_printf(&bad, "the instance's metadata: %s",
		    token ? "the token is none" : "its role's name is none");
		ask_end(c, NULL, sq_buf_take_text(&bad));
		return;
	}
	if (token) {
		sq_buf_wipe(&c->ask.token);
		(void)sq_buf_reserve(&c->ask.token, word.len);
		sq_buf_append(&c->ask.token, word.p, word.len);
		why = ask_instance(c, SQ_CRED_STEP_ROLE, (struct sq_bytes){0});
	} else {
		sq_buf_append(&role, word.p, word.len);
		why = ask_instance(c, SQ_CRED_STEP_KEYS, sq_buf_bytes(&role));
		sq_buf_fini(&role);
	}
	if (why != NULL)
		ask_end(c, NULL, why);
}

/* Why an answer is none. */
static char *
ask_failure(const struct sq_cred *c)
{
	const struct sq_out_request *req = &c->ask.req;
	struct sq_buf why = {0};

	sq_buf_printf(&why, "%s: ", step_names[c->ask.step]);
	if (req->end == SQ_OUT_FORBIDDEN) {
		sq_buf_printf(&why,
		    "AWS_CONTAINER_CREDENTIALS_FULL_URI leads neither over https "
		    "nor to an address of this machine or of an agent of AWS's");
	} else if (req->end != SQ_OUT_ANSWERED) {
		sq_buf_printf(&why, "%s", req->why);
	} else {
		sq_buf_printf(&why, "HTTP %u", req->status);
		sq_cred_answer_code(sq_buf_bytes(&req->answer), &why);
	}
	if (c->ask.step == SQ_CRED_STEP_TOKEN && req->end == SQ_OUT_TIMEOUT)
		sq_buf_printf(&why, " (in a container its hop limit has to be 2)");
	return sq_buf_take_text(&why);
}

static void
ask_answered(struct sq_cred *c)
{
	const struct sq_out_request *req = &c->ask.req;

	if (req->end != SQ_OUT_ANSWERED || req->status != 200) {
		ask_end(c, NULL, ask_failure(c));
		return;
	}
	switch (c->ask.step) {
	case SQ_CRED_STEP_IDENTITY:
		ask_keys(c, SQ_CRED_FORM_IDENTITY);
		break;
	case SQ_CRED_STEP_ASSUME:
		ask_keys(c, SQ_CRED_FORM_ASSUMED);
		break;
	case SQ_CRED_STEP_TOKEN:
	case SQ_CRED_STEP_ROLE:
		ask_word(c);
		break;
	default:
		ask_keys(c, SQ_CRED_FORM_AGENT);
		break;
	}
}

/* On sq_out's thread. */
static void
ask_done(struct sq_out_request *req)
{
	struct sq_cred *c = SQ_CONTAINER_OF(req, struct sq_cred, ask.req);
	pthread_mutex_t *lock = &c->all->lock;

	pthread_mutex_lock(lock);
	if (!c->closed)
		ask_answered(c);
	else
		c->ask.step = SQ_CRED_IDLE;
	if (c->ask.step == SQ_CRED_IDLE) {
		sq_cred_ask_fini(&c->ask);
		sq_buf_wipe(&c->ask.token);
		sq_cred_unref(c);
	}
	pthread_mutex_unlock(lock);
}
