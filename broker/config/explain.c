#include "broker/config/explain.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl.h"
#include "broker/auth/cert_name.h"
#include "broker/auth/identity/identity.h"
#include "broker/auth/tokens/tokens_file.h"
#include "core/file.h"
#include "core/mem.h"
#include "core/program.h"
#include "proto/topic/topic.h"

/* Takes 'n' arguments behind 'flag' out; false: it is not there.  '*short_of' where they are
 * fewer. */
static bool
explain_flag(int *argc, char **argv, const char *flag, const char **values, int n, bool *short_of)
{
	int at = 1;

	while (at < *argc && strcmp(argv[at], flag) != 0)
		at++;
	if (at == *argc)
		return false;
	*short_of = at + n >= *argc;
	if (*short_of)
		return true;
	for (int i = 0; i < n; i++)
		values[i] = argv[at + 1 + i];
	*argc -= n + 1;
	memmove(argv + at, argv + at + n + 1, (size_t)(*argc - at + 1) * sizeof(*argv));
	return true;
}

int
sq_explain_take(int *argc, char **argv, struct sq_explain *out, struct sq_buf *err)
{
	const char *asked[3];
	bool short_of = false;

	*out = (struct sq_explain){0};
	if (!explain_flag(argc, argv, "--explain-acl", asked, 3, &short_of))
		return SQ_OK;
	if (!short_of)
		(void)explain_flag(argc, argv, "--client", &out->client, 1, &short_of);
	if (!short_of)
		(void)explain_flag(argc, argv, "--space", &out->space, 1, &short_of);
	if (short_of) {
		sq_buf_printf(err,
		    "--explain-acl: needs IDENTITY VERB TOPIC, maybe --client ID and --space NAME");
		return SQ_EINVAL;
	}
	out->identity = asked[0];
	out->verb = asked[1];
	out->object = asked[2];
	return SQ_OK;
}

/* Somebody of one space; of any where that is NULL. */
static const struct sq_identity *
explain_identity(const char *name, const char *space)
{
	return sq_identity_new(&(const struct sq_identity){
	    .name = name, .spaces = &space, .n_spaces = space != NULL ? 1 : 0});
}

/* "kube:NAMESPACE/ACCOUNT", "bridge:SPACE/NAME" */
static const struct sq_identity *
explain_account(const char *name)
{
	const char *from = strchr(name, ':') + 1, *slash = strchr(from, '/');
	char space[SQ_KEY_PART_MAX + 1];

	if (slash == NULL || (size_t)(slash - from) >= sizeof space)
		return explain_identity(name, NULL);
	memcpy(space, from, (size_t)(slash - from));
	space[slash - from] = '\0';
	return explain_identity(name, space);
}

/* "jwt:ISSUER#SUBJECT" */
static const struct sq_identity *
explain_issued(const char *name, const struct sq_broker_config *c)
{
	const struct sq_broker_issuer *all = c->issuers.v;
	const char *issuer = name + strlen("jwt:");

	for (size_t i = 0; i < c->issuers.n; i++) {
		size_t len = strlen(all[i].issuer);

		if (strncmp(issuer, all[i].issuer, len) == 0 && issuer[len] == '#')
			return explain_identity(name, all[i].space);
	}
	return explain_identity(name, NULL);
}

/* "token:NAME"; NULL with a line in 'err': no line of the file is that. */
static const struct sq_identity *
explain_token(const char *name, const char *file, struct sq_buf *err)
{
	const struct sq_identity *who = NULL;
	struct sq_buf text = {0};
	struct sq_tokens *tokens = NULL;
	int rc = sq_file_read(file, SQ_TOKENS_SIZE_MAX, &text);

	sq_buf_printf(err, "auth.tokens-file: %s: ", file);
	if (rc != SQ_OK)
		sq_buf_printf(err, "%s", sq_file_reason(rc));
	else
		tokens = sq_tokens_parse(sq_buf_bytes(&text), err);
	if (tokens != NULL) {
		who = sq_tokens_named(tokens, name);
		if (who != NULL)
			sq_identity_ref(who);
		else
			sq_buf_printf(err, "it has no %s", name);
	}
	sq_tokens_free(&tokens);
	sq_buf_wipe(&text); /* somebody may have put a token itself there */
	return who;
}

/* "cert:NAME", by auth.certificates; NULL with a line in 'err': it would not be let in. */
static const struct sq_identity *
explain_certificate(const char *name, const struct sq_broker_config *c, struct sq_buf *err)
{
	const struct sq_broker_certificate *all = c->certificates.v;
	struct sq_auth_certificate *rules = sq_xcalloc(c->certificates.n + 1, sizeof *rules);
	const struct sq_identity *who;

	for (size_t i = 0; i < c->certificates.n; i++)
		rules[i] = (struct sq_auth_certificate){
		    all[i].name, (const char *const *)all[i].spaces.v, all[i].spaces.n};
	who = sq_cert_identity(name + strlen("cert:"), rules, c->certificates.n, 0);
	if (who == NULL)
		sq_buf_printf(err, "--explain-acl: %s may name no space: %s", name,
		    c->certificates.n > 0 ? "no item of auth.certificates matches"
					  : "without auth.certificates a name is "
					    "spiffe://TRUST/ns/NAMESPACE/sa/ACCOUNT");
	free(rules);
	return who;
}

/* Is it a pattern of rules, which fits many?  Names that others give out may have its
 * characters. */
static bool
explain_is_pattern(const char *name)
{
	return strpbrk(name, "*?") != NULL && strncmp(name, "cert:", 5) != 0 &&
	    strncmp(name, "jwt:", 4) != 0;
}

/* The spaces of identities that the configuration knows. */
static const struct sq_identity *
explain_who(const char *name, const struct sq_broker_config *c, struct sq_buf *err)
{
	if (!sq_identity_may_fit(name) || explain_is_pattern(name)) {
		sq_buf_printf(err, "--explain-acl: \"%s\" is no identity; they are %s", name,
		    sq_identity_kinds);
		return NULL;
	}
	if (strncmp(name, "kube:", 5) == 0 || strncmp(name, "bridge:", 7) == 0)
		return explain_account(name);
	if (strncmp(name, "jwt:", 4) == 0)
		return explain_issued(name, c);
	if (strncmp(name, "token:", 6) == 0 && c->tokens_file != NULL)
		return explain_token(name, c->tokens_file, err);
	if (strncmp(name, "cert:", 5) == 0 && c->client_ca_file != NULL)
		return explain_certificate(name, c, err);
	return explain_identity(name, NULL);
}

/* Asks for the verb in the way of a client.  'own': the space is one of his.  '*why' is
 * then what decides, NULL: the rules. */
static int
explain_ask(struct sq_acl_subject *s, bool own, enum sq_acl_verb verb, struct sq_bytes object,
    struct sq_acl_verdict *v, const char **why)
{
	struct sq_topic_filter f;

	if (object.len == 0) {
		*why = "it is empty";
		return SQ_EINVAL;
	}
	if (verb == SQ_ACL_PUBLISH) {
		if (sq_topic_name_check(object, why) != SQ_OK)
			return SQ_EINVAL;
		v->allowed = own && sq_topic_is_reply(object);
		*why = v->allowed ? "no rule is asked for a reply" : sq_topic_closed(object);
		if (*why != NULL)
			return SQ_OK;
	} else if (verb == SQ_ACL_SUBSCRIBE) {
		if (sq_topic_filter_parse(object, &f, why) != SQ_OK)
			return SQ_EINVAL;
		*why = sq_topic_is_reply(f.filter) ? "nobody subscribes to $reply" : NULL;
		if (*why != NULL)
			return SQ_OK;
		(void)sq_acl_may_subscribe(s, &f,
		    sq_topic_is_dead(f.filter) ? sq_bytes_of(SQ_ACL_DEAD_QUEUE)
					       : (struct sq_bytes){0},
		    v);
		return SQ_OK;
	}
	(void)sq_acl_may(s, verb, object, v);
	return SQ_OK;
}

static void
explain_say(const struct sq_explain *e, const struct sq_acl_who *who,
    const struct sq_acl_verdict *v, const char *why, FILE *out)
{
	struct sq_buf by = {0};

	if (why == NULL)
		sq_acl_verdict_print(v, true, &by);
	else
		sq_buf_printf(&by, "%s", why);
	fprintf(out, "%s: %s %s, by %s as %s in space %s: %.*s\n",
	    v->allowed ? "allowed" : "denied", e->verb, e->object,
	    who->identity[0] != '\0' ? who->identity : "nobody", who->client, who->space,
	    (int)sq_buf_len(&by), (const char *)sq_buf_data(&by));
	fflush(out);
	sq_buf_fini(&by);
}

/* With the rules and the space known. */
static int
explain_with(const struct sq_explain *e, struct sq_acl *acl, const struct sq_acl_who *who,
    FILE *out, struct sq_buf *err)
{
	enum sq_acl_verb verb = sq_acl_verb_of(e->verb);
	struct sq_acl_verdict v = {0};
	struct sq_acl_subject *s;
	const char *why = NULL;
	int rc;

	if (verb == SQ_ACL_VERBS) {
		sq_buf_printf(err, "--explain-acl: verbs are " SQ_ACL_VERB_NAMES);
		return SQ_EXIT_CONFIG;
	}
	s = sq_acl_subject_new(acl, who);
	rc = explain_ask(s, who->own, verb, sq_bytes_of(e->object), &v, &why);
	sq_acl_subject_free(&s);
	if (rc == SQ_EINVAL) {
		sq_buf_printf(err, "--explain-acl: %s", why);
		return SQ_EXIT_CONFIG;
	}
	explain_say(e, who, &v, why, out);
	return v.allowed ? SQ_EXPLAIN_ALLOWED : SQ_EXPLAIN_DENIED;
}

/* Whether an issuer's accounts have a space of its own, or 'kubernetes': their namespaces. */
static bool
explain_issues(const struct sq_broker_config *c, const char *name, bool kubernetes)
{
	const struct sq_broker_issuer *all = c->issuers.v;

	for (size_t i = 0; i < c->issuers.n; i++) {
		size_t len = strlen(all[i].issuer);

		if (kubernetes ? all[i].space == NULL
			       : all[i].space != NULL && strncmp(name, all[i].issuer, len) == 0 &&
			    name[len] == '#')
			return true;
	}
	return false;
}

/* Why nobody can come with such an identity; NULL: somebody may. */
static const char *
explain_nobody(const char *name, const struct sq_broker_config *c)
{
	bool tokens = sq_config_is_set(c->tokens_file), certs = sq_config_is_set(c->client_ca_file);

	if (name[0] == '\0')
		return tokens || certs || c->kubernetes || c->issuers.n > 0
		    ? "everybody is asked for a credential"
		    : NULL;
	if (strncmp(name, "token:", 6) == 0)
		return tokens ? NULL : "auth.tokens-file is not set";
	if (strncmp(name, "cert:", 5) == 0)
		return certs ? NULL : "auth.client-ca-file is not set";
	if (strncmp(name, "kube:", 5) == 0)
		return c->kubernetes || explain_issues(c, name, true) ? NULL
								      : "auth.kubernetes is false";
	return explain_issues(c, name + strlen("jwt:"), false)
	    ? NULL
	    : "no item of auth.issuers is that issuer, with a space";
}

/* The rules may speak of who can't come. */
static void
explain_say_nobody(const char *name, const struct sq_broker_config *c, FILE *out)
{
	const char *why = explain_nobody(name, c);

	if (why == NULL)
		return;
	fprintf(out, "but nobody can come as %s: %s\n", name[0] != '\0' ? name : "nobody", why);
	fflush(out);
}

int
sq_explain_run(
    const struct sq_explain *e, const struct sq_broker_config *c, FILE *out, struct sq_buf *err)
{
	struct sq_buf wrong = {0};
	const struct sq_identity *identity = explain_who(e->identity, c, &wrong);
	struct sq_acl_who who = {.identity = e->identity,
	    .client = e->client != NULL ? e->client : "client",
	    .space = e->space};
	struct sq_acl *acl = NULL;
	int code = SQ_EXIT_CONFIG;

	if (who.space == NULL && identity != NULL && identity->n_spaces == 1)
		who.space = identity->spaces[0];
	if (identity == NULL) {
		sq_buf_append(err, sq_buf_data(&wrong), sq_buf_len(&wrong));
	} else if (who.space == NULL) {
		sq_buf_printf(err, "--explain-acl: needs --space NAME, ");
		if (e->identity[0] != '\0')
			sq_buf_printf(err, "of the spaces that %s may name", e->identity);
		else
			sq_buf_printf(err, "that of the session");
	} else {
		who.own = sq_identity_has_space(identity, who.space);
		acl = sq_broker_config_acl(c, err);
	}
	if (acl != NULL)
		code = explain_with(e, acl, &who, out, err);
	if (code != SQ_EXIT_CONFIG)
		explain_say_nobody(e->identity, c, out);
	sq_acl_unref(&acl);
	sq_identity_unref(&identity);
	sq_buf_fini(&wrong);
	return code;
}
