#include "broker/explain.h"

#include <string.h>

#include "broker/auth/acl.h"
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

/* The namespace of "kube:NAMESPACE/ACCOUNT" as text of 'out'; false: it is another kind. */
static bool
explain_namespace(const char *identity, struct sq_buf *out)
{
	static const char kind[] = "kube:";
	const char *from = identity + sizeof kind - 1, *slash;

	if (strncmp(identity, kind, sizeof kind - 1) != 0 || (slash = strchr(from, '/')) == NULL)
		return false;
	sq_buf_append(out, from, (size_t)(slash - from));
	sq_buf_u8(out, '\0');
	return true;
}

/* What asks for the verb as a client would. */
static int
explain_ask(struct sq_acl_subject *s, enum sq_acl_verb verb, struct sq_bytes object,
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
		*why = sq_topic_closed(object);
		if (*why != NULL)
			return SQ_EDENIED;
	} else if (verb == SQ_ACL_SUBSCRIBE) {
		if (sq_topic_filter_parse(object, &f, why) != SQ_OK)
			return SQ_EINVAL;
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
    const struct sq_acl_verdict *v, const char *closed, FILE *out)
{
	struct sq_buf by = {0};

	if (closed == NULL)
		sq_acl_verdict_print(v, true, &by);
	else
		sq_buf_printf(&by, "%s", closed);
	fprintf(out, "%s: %s %s, by %s as %s in space %s: %.*s\n",
	    closed == NULL && v->allowed ? "allowed" : "denied", e->verb, e->object,
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
		sq_buf_printf(err,
		    "--explain-acl: verbs are publish, subscribe, consume, manage and operate");
		return SQ_EXIT_CONFIG;
	}
	s = sq_acl_subject_new(acl, who);
	rc = explain_ask(s, verb, sq_bytes_of(e->object), &v, &why);
	sq_acl_subject_free(&s);
	if (rc == SQ_EINVAL) {
		sq_buf_printf(err, "--explain-acl: %s", why);
		return SQ_EXIT_CONFIG;
	}
	explain_say(e, who, &v, rc == SQ_EDENIED ? why : NULL, out);
	return rc == SQ_OK && v.allowed ? SQ_EXPLAIN_ALLOWED : SQ_EXPLAIN_DENIED;
}

int
sq_explain_run(
    const struct sq_explain *e, const struct sq_broker_config *c, FILE *out, struct sq_buf *err)
{
	struct sq_buf namespace = {0};
	bool kube = explain_namespace(e->identity, &namespace);
	const char *own = kube ? (const char *)sq_buf_data(&namespace) : e->space;
	struct sq_acl_who who = {e->identity, e->client != NULL ? e->client : "client",
	    e->space != NULL ? e->space : own, true};
	struct sq_acl *acl;
	int code = SQ_EXIT_CONFIG;

	if (who.space == NULL) {
		sq_buf_printf(err, "--explain-acl: needs --space NAME for that identity");
	} else {
		who.own = strcmp(own, who.space) == 0;
		acl = sq_broker_config_acl(c, err);
		if (acl != NULL)
			code = explain_with(e, acl, &who, out, err);
		sq_acl_unref(&acl);
	}
	sq_buf_fini(&namespace);
	return code;
}
