/* The rules as they are configured; see acl.h. */
#include "broker/auth/acl/acl.h"

#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl_priv.h"
#include "broker/auth/identity/identity.h"
#include "core/mem.h"

enum { SHOWN_MAX = 64 }; /* bytes of a text from outside in an error */

static const struct {
	const char *name;
	bool topics; /* its objects are these; else queues */
	bool given;  /* nobody has it without a rule */
} verbs[] = {
    [SQ_ACL_PUBLISH] = {"publish", true, false},
    [SQ_ACL_SUBSCRIBE] = {"subscribe", true, false},
    [SQ_ACL_CONSUME] = {"consume", false, false},
    [SQ_ACL_MANAGE] = {"manage", false, true},
    [SQ_ACL_PUSH] = {"push", false, true},
    [SQ_ACL_OPERATE] = {"operate", false, true},
};

const char *
sq_acl_verb_name(enum sq_acl_verb verb)
{
	return verbs[verb].name;
}

enum sq_acl_verb
sq_acl_verb_of(const char *name)
{
	enum sq_acl_verb verb = SQ_ACL_PUBLISH;

	while (verb < SQ_ACL_VERBS && strcmp(verbs[verb].name, name) != 0)
		verb++;
	return verb;
}

bool
sq_acl_verb_has_topics(enum sq_acl_verb verb)
{
	return verbs[verb].topics;
}

bool
sq_acl_verb_is_given(enum sq_acl_verb verb)
{
	return verbs[verb].given;
}

/* Begins the line on rule 'i'. */
static int
acl_wrong(struct sq_buf *err, const struct sq_acl_rule *r, size_t i, const char *key)
{
	sq_buf_printf(err, "%s: acl[%zu]%s%s: ", r->where, i, key[0] != '\0' ? "." : "", key);
	return SQ_EINVAL;
}

static int
acl_verbs(const struct sq_acl_rule *r, size_t i, unsigned *out, struct sq_buf *err)
{
	const char *key = r->deny.n > 0 ? "deny" : "allow";
	const struct sq_strings *names = r->deny.n > 0 ? &r->deny : &r->allow;

	if ((r->allow.n > 0) == (r->deny.n > 0)) {
		acl_wrong(err, r, i, "");
		sq_buf_printf(err, "needs allow or deny, one of them, with verbs");
		return SQ_EINVAL;
	}
	*out = 0;
	for (size_t k = 0; k < names->n; k++) {
		enum sq_acl_verb verb = sq_acl_verb_of(names->v[k]);

		if (verb == SQ_ACL_VERBS) {
			acl_wrong(err, r, i, key);
			sq_buf_printf(err, "\"%.*s\" is no verb; they are " SQ_ACL_VERB_NAMES,
			    SHOWN_MAX, names->v[k]);
			return SQ_EINVAL;
		}
		*out |= 1u << verb;
	}
	return SQ_OK;
}

static unsigned
acl_topic_verbs(void)
{
	unsigned bits = 0;

	for (enum sq_acl_verb verb = SQ_ACL_PUBLISH; verb < SQ_ACL_VERBS; verb++)
		bits |= verbs[verb].topics ? 1u << verb : 0;
	return bits;
}

/* Each verb is of topics or of queues, and a rule that lists one kind has verbs of that
 * kind alone: who reads it would take the other for limited, too. */
static int
acl_kinds(const struct sq_acl_rule *r, size_t i, unsigned bits, struct sq_buf *err)
{
	unsigned of_topics = bits & acl_topic_verbs(), of_queues = bits & ~acl_topic_verbs();

	if (r->topics.n > 0 && of_queues != 0 && r->queues.n == 0) {
		acl_wrong(err, r, i, "topics");
		sq_buf_printf(err, "consume, manage, push and operate have queues, not topics");
		return SQ_EINVAL;
	}
	if (r->queues.n > 0 && of_topics != 0 && r->topics.n == 0) {
		acl_wrong(err, r, i, "queues");
		sq_buf_printf(err, "publish and subscribe have topics, not queues");
		return SQ_EINVAL;
	}
	if ((r->topics.n > 0 && of_topics == 0) || (r->queues.n > 0 && of_queues == 0)) {
		acl_wrong(err, r, i, r->topics.n > 0 && of_topics == 0 ? "topics" : "queues");
		sq_buf_printf(err, "no verb of the rule has them");
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* NULL, or what is wrong with the filter. */
static const char *
acl_bad_filter(const char *text)
{
	const struct sq_acl_who any = {"x", "x", "x", true};
	const char *why = sq_acl_bad_place(text);
	struct sq_topic_filter f;
	struct sq_buf filled = {0};

	if (why != NULL)
		return why;
	if (sq_acl_fill(&filled, text, true, &any) != SQ_OK)
		abort(); /* there is one */
	if (sq_topic_filter_parse(sq_buf_bytes(&filled), &f, &why) == SQ_OK)
		why = f.share.len > 0 || f.tag.len > 0 ? "topics are named without $share and $tag"
						       : NULL;
	sq_buf_fini(&filled);
	return why;
}

static int
acl_objects(const struct sq_acl_rule *r, size_t i, struct sq_buf *err)
{
	const char *why;

	for (size_t k = 0; k < r->topics.n; k++) {
		if ((why = acl_bad_filter(r->topics.v[k])) == NULL)
			continue;
		acl_wrong(err, r, i, "topics");
		sq_buf_printf(err, "\"%.*s\": %s", SHOWN_MAX, r->topics.v[k], why);
		return SQ_EINVAL;
	}
	for (size_t k = 0; k < r->queues.n; k++) {
		if ((why = sq_acl_bad_place(r->queues.v[k])) == NULL)
			continue;
		acl_wrong(err, r, i, "queues");
		sq_buf_printf(err, "\"%.*s\": %s", SHOWN_MAX, r->queues.v[k], why);
		return SQ_EINVAL;
	}
	return SQ_OK;
}

/* A rule that is about nobody is a slip, and of deny rules one that lets everybody. */
static int
acl_whom(const struct sq_acl_rule *r, size_t i, struct sq_buf *err)
{
	if (r->identity == NULL || sq_identity_may_fit(r->identity))
		return SQ_OK;
	acl_wrong(err, r, i, "identity");
	sq_buf_printf(err, "\"%.*s\" fits nobody; identities are %s", SHOWN_MAX, r->identity,
	    sq_identity_kinds);
	return SQ_EINVAL;
}

static struct sq_strings
acl_copy(const struct sq_strings *from)
{
	struct sq_strings to = {sq_xcalloc(from->n + 1, sizeof *to.v), from->n};

	for (size_t i = 0; i < from->n; i++)
		to.v[i] = sq_xstrdup(from->v[i]);
	return to;
}

static void
acl_strings_fini(struct sq_strings *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->v[i]);
	free(s->v);
}

static int
acl_add(struct sq_acl *acl, const struct sq_acl_rule *r, struct sq_buf *err)
{
	size_t i = acl->n;
	unsigned bits;

	if (acl_verbs(r, i, &bits, err) != SQ_OK || acl_kinds(r, i, bits, err) != SQ_OK ||
	    acl_whom(r, i, err) != SQ_OK || acl_objects(r, i, err) != SQ_OK)
		return SQ_EINVAL;
	acl->rules[acl->n++] = (struct sq_acl_checked){
	    .deny = r->deny.n > 0,
	    .verbs = bits,
	    .identity = sq_xstrdup(r->identity != NULL ? r->identity : "*"),
	    .space = sq_xstrdup(r->space != NULL ? r->space : "*"),
	    .topics = acl_copy(&r->topics),
	    .queues = acl_copy(&r->queues),
	    .where = sq_xstrdup(r->where),
	};
	return SQ_OK;
}

struct sq_acl *
sq_acl_new(const struct sq_acl_rule *rules, size_t n, bool default_deny, struct sq_buf *err)
{
	struct sq_acl *acl = sq_xcalloc(1, sizeof *acl);

	atomic_init(&acl->refs, 1);
	acl->default_deny = default_deny;
	acl->rules = sq_xcalloc(n + 1, sizeof *acl->rules);
	for (size_t i = 0; i < n; i++) {
		if (acl_add(acl, &rules[i], err) != SQ_OK) {
			sq_acl_unref(&acl);
			return NULL;
		}
	}
	return acl;
}

struct sq_acl *
sq_acl_ref(struct sq_acl *acl)
{
	atomic_fetch_add_explicit(&acl->refs, 1, memory_order_relaxed);
	return acl;
}

void
sq_acl_unref(struct sq_acl **ap)
{
	struct sq_acl *acl = *ap;

	*ap = NULL;
	if (acl == NULL || atomic_fetch_sub_explicit(&acl->refs, 1, memory_order_acq_rel) > 1)
		return;
	for (size_t i = 0; i < acl->n; i++) {
		struct sq_acl_checked *r = &acl->rules[i];

		free(r->identity);
		free(r->space);
		free(r->where);
		acl_strings_fini(&r->topics);
		acl_strings_fini(&r->queues);
	}
	free(acl->rules);
	free(acl);
}

size_t
sq_acl_rules(const struct sq_acl *acl)
{
	return acl->n;
}

/* "acl[2] (broker.yaml:12)" */
static void
acl_print_rule(const struct sq_acl_verdict *v, bool files, struct sq_buf *out)
{
	const char *colon = strrchr(v->where, ':');

	if (files || colon == NULL)
		sq_buf_printf(out, "acl[%zu] (%s)", v->rule, v->where);
	else
		sq_buf_printf(out, "acl[%zu] (line %s)", v->rule, colon + 1);
}

void
sq_acl_verdict_print(const struct sq_acl_verdict *v, bool files, struct sq_buf *out)
{
	const char *verb = sq_acl_verb_name(v->verb);

	switch (v->basis) {
	case SQ_ACL_BY_RULE:
		acl_print_rule(v, files, out);
		sq_buf_printf(out, " %s it", v->allowed ? "allows" : "denies");
		break;
	case SQ_ACL_BY_LIST:
		acl_print_rule(v, files, out);
		sq_buf_printf(out, " lists what it may %s, and that is not listed", verb);
		break;
	case SQ_ACL_BY_DEFAULT:
		sq_buf_printf(out, "no rule speaks of it, and acl-default is %s",
		    v->allowed ? "allow" : "deny");
		break;
	case SQ_ACL_BY_SPACE:
		sq_buf_printf(out, "it is another's space");
		break;
	case SQ_ACL_BY_NONE:
		sq_buf_printf(out, "no rule allows it, and nobody may %s without one", verb);
		break;
	}
}
