/* The rules for one client; see acl.h. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/auth/acl/acl_priv.h"
#include "core/glob.h"
#include "core/htab.h"
#include "core/mem.h"

enum {
	RECENT = 8,       /* topics that are remembered */
	RECENT_MAX = 256, /* bytes of such a topic */
	RECENT_FROM = 2,  /* below so many filters looking is as cheap */
};

/* One filter or pattern of a rule. */
struct subject_entry {
	const char *text; /* of the rule, or its own; NULL: hits everything */
	size_t len, rule;
	bool filled; /* it is its own */
};

struct subject_list {
	struct subject_entry *v;
	size_t n;
};

struct subject_verb {
	struct subject_list deny, allow;
	bool listed; /* some rule allows something: */
	size_t by;   /* the first of these */
};

struct sq_acl_subject {
	struct sq_acl *acl;
	bool own;
	struct subject_verb verbs[SQ_ACL_VERBS];
	struct {
		char *topic;
		size_t len;
	} recent[RECENT]; /* topics that it may publish to, by hash */
};

static void
subject_add(struct subject_list *l, struct subject_entry e)
{
	l->v = sq_xrealloc(l->v, (l->n + 1) * sizeof *l->v);
	l->v[l->n++] = e;
}

/* Adds the filter or pattern for this client; what can't be filled in hits nothing.  Of all spaces,
 * what has their names in it is denied as a whole, and allowed not at all. */
static void
subject_add_text(struct subject_list *l, size_t rule, bool deny, const char *text, bool topic,
    const struct sq_acl_who *who)
{
	struct subject_entry e = {text, strlen(text), rule, false};
	struct sq_buf filled = {0};

	if (who->space == NULL && strstr(text, "{space}") != NULL) {
		if (deny)
			subject_add(l, (struct subject_entry){.rule = rule});
		return;
	}
	if (sq_acl_has_places(text)) {
		if (sq_acl_fill(&filled, text, topic, who) == SQ_OK) {
			e.len = sq_buf_len(&filled);
			e.text = sq_xmemdup0(sq_buf_data(&filled), e.len);
			e.filled = true;
		}
		sq_buf_fini(&filled);
		if (!e.filled)
			return;
	}
	subject_add(l, e);
}

/* 'hits': the rule is about the space, too; else it is known that it lists something. */
static void
subject_add_rule(struct sq_acl_subject *s, size_t i, bool hits, const struct sq_acl_who *who)
{
	const struct sq_acl_checked *r = &s->acl->rules[i];

	for (enum sq_acl_verb verb = SQ_ACL_PUBLISH; verb < SQ_ACL_VERBS; verb++) {
		struct subject_verb *v = &s->verbs[verb];
		struct subject_list *l = r->deny ? &v->deny : &v->allow;
		bool topic = sq_acl_verb_has_topics(verb);
		const struct sq_strings *texts = topic ? &r->topics : &r->queues;

		if ((r->verbs & 1u << verb) == 0)
			continue;
		if (!r->deny && !v->listed) {
			v->listed = true;
			v->by = i;
		}
		for (size_t k = 0; k < texts->n && hits; k++)
			subject_add_text(l, i, r->deny, texts->v[k], topic, who);
		if (texts->n == 0 && hits)
			subject_add(l, (struct subject_entry){.rule = i});
	}
}

static bool
subject_is(const struct sq_acl_checked *r, const struct sq_acl_who *who)
{
	return sq_glob_match(r->identity, who->identity != NULL ? who->identity : "") &&
	    (who->space == NULL || sq_glob_match(r->space, who->space));
}

/* Whether a rule that is about the client decides in what is asked for: of all spaces, one that
 * allows something in some of them does not. */
static bool
subject_is_hit(const struct sq_acl_checked *r, const struct sq_acl_who *who)
{
	return who->space != NULL || r->deny || sq_glob_match(r->space, "");
}

/* Whether nothing is denied to it. */
static bool
subject_is_free(const struct sq_acl_subject *s)
{
	if (!s->own || s->acl->default_deny)
		return false;
	for (enum sq_acl_verb verb = SQ_ACL_PUBLISH; verb < SQ_ACL_VERBS; verb++) {
		if (s->verbs[verb].listed || s->verbs[verb].deny.n > 0)
			return false;
	}
	return true;
}

static struct sq_acl_subject *
subject_make(struct sq_acl *acl, const struct sq_acl_who *who)
{
	struct sq_acl_subject *s = sq_xcalloc(1, sizeof *s);

	s->acl = sq_acl_ref(acl);
	s->own = who->own;
	for (size_t i = 0; i < acl->n; i++) {
		if (subject_is(&acl->rules[i], who))
			subject_add_rule(s, i, subject_is_hit(&acl->rules[i], who), who);
	}
	return s;
}

struct sq_acl_subject *
sq_acl_subject_new(struct sq_acl *acl, const struct sq_acl_who *who)
{
	struct sq_acl_subject *s;

	if (acl->n == 0 && !acl->default_deny && who->own)
		return NULL;
	s = subject_make(acl, who);
	if (subject_is_free(s))
		sq_acl_subject_free(&s);
	return s;
}

static void
subject_list_fini(struct subject_list *l)
{
	for (size_t i = 0; i < l->n; i++) {
		if (l->v[i].filled)
			free((char *)(uintptr_t)l->v[i].text);
	}
	free(l->v);
}

void
sq_acl_subject_free(struct sq_acl_subject **sp)
{
	struct sq_acl_subject *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	for (enum sq_acl_verb verb = SQ_ACL_PUBLISH; verb < SQ_ACL_VERBS; verb++) {
		subject_list_fini(&s->verbs[verb].deny);
		subject_list_fini(&s->verbs[verb].allow);
	}
	for (size_t i = 0; i < RECENT; i++)
		free(s->recent[i].topic);
	sq_acl_unref(&s->acl);
	free(s);
}

/* Whether the entry hits what is asked about; 'name' is that of a queue with its NUL. */
static bool
subject_hits(const struct subject_entry *e, bool deny, enum sq_acl_verb verb,
    struct sq_bytes object, const char *name)
{
	struct sq_bytes text = {(const unsigned char *)e->text, e->len};

	if (e->text == NULL)
		return true;
	if (name != NULL)
		return sq_glob_match(e->text, name);
	if (verb == SQ_ACL_PUBLISH)
		return sq_topic_match(text, object);
	return deny ? sq_topic_overlaps(text, object) : sq_topic_covers(text, object);
}

static const struct subject_entry *
subject_find(const struct subject_list *l, bool deny, enum sq_acl_verb verb, struct sq_bytes object,
    const char *name)
{
	for (size_t i = 0; i < l->n; i++) {
		if (subject_hits(&l->v[i], deny, verb, object, name))
			return &l->v[i];
	}
	return NULL;
}

static struct sq_acl_verdict
subject_by(const struct sq_acl_subject *s, bool allowed, enum sq_acl_basis basis, size_t rule)
{
	return (struct sq_acl_verdict){
	    .allowed = allowed, .basis = basis, .rule = rule, .where = s->acl->rules[rule].where};
}

/* The deny rule that hits.  Letters below "$dead/" have the topics that they were published to
 * behind it: who is denied these is denied their letters. */
static const struct subject_entry *
subject_denies(
    const struct subject_list *l, enum sq_acl_verb verb, struct sq_bytes object, const char *name)
{
	static const char dead[] = SQ_ACL_DEAD_QUEUE "/";
	const struct subject_entry *hit = subject_find(l, true, verb, object, name);
	size_t n = sizeof dead - 1;

	if (hit != NULL || verb != SQ_ACL_SUBSCRIBE || object.len <= n ||
	    memcmp(object.p, dead, n) != 0)
		return hit;
	return subject_find(l, true, verb, (struct sq_bytes){object.p + n, object.len - n}, NULL);
}

static struct sq_acl_verdict
subject_judge(
    const struct sq_acl_subject *s, enum sq_acl_verb verb, struct sq_bytes object, const char *name)
{
	const struct subject_verb *v = &s->verbs[verb];
	const struct subject_entry *hit;

	if (!s->own)
		return (struct sq_acl_verdict){.basis = SQ_ACL_BY_SPACE};
	if ((hit = subject_denies(&v->deny, verb, object, name)) != NULL)
		return subject_by(s, false, SQ_ACL_BY_RULE, hit->rule);
	if ((hit = subject_find(&v->allow, false, verb, object, name)) != NULL)
		return subject_by(s, true, SQ_ACL_BY_RULE, hit->rule);
	if (v->listed)
		return subject_by(s, false, SQ_ACL_BY_LIST, v->by);
	if (sq_acl_verb_is_given(verb))
		return (struct sq_acl_verdict){.basis = SQ_ACL_BY_NONE};
	return (struct sq_acl_verdict){
	    .allowed = !s->acl->default_deny, .basis = SQ_ACL_BY_DEFAULT};
}

bool
sq_acl_may(struct sq_acl_subject *s, enum sq_acl_verb verb, struct sq_bytes object,
    struct sq_acl_verdict *why)
{
	char *name;

	*why = sq_acl_verb_is_given(verb)
	    ? (struct sq_acl_verdict){.basis = SQ_ACL_BY_NONE}
	    : (struct sq_acl_verdict){.allowed = true, .basis = SQ_ACL_BY_DEFAULT};
	if (s != NULL) {
		name = sq_acl_verb_has_topics(verb) ? NULL : sq_xmemdup0(object.p, object.len);
		*why = subject_judge(s, verb, object, name);
		free(name);
	}
	why->verb = verb;
	return why->allowed;
}

bool
sq_acl_has(const struct sq_acl_subject *s, enum sq_acl_verb verb)
{
	return s != NULL && s->own && s->verbs[verb].listed;
}

/* Where the topic is remembered, or would be. */
static size_t
subject_recent(struct sq_bytes topic)
{
	return sq_hash(topic.p, topic.len) % RECENT;
}

static void
subject_remember(struct sq_acl_subject *s, size_t at, struct sq_bytes topic)
{
	if (topic.len > RECENT_MAX)
		return;
	s->recent[at].topic = sq_xrealloc(s->recent[at].topic, topic.len + 1);
	memcpy(s->recent[at].topic, topic.p, topic.len);
	s->recent[at].len = topic.len;
}

bool
sq_acl_may_publish(struct sq_acl_subject *s, struct sq_bytes topic, struct sq_acl_verdict *why)
{
	const struct subject_verb *v;
	size_t at;

	if (s == NULL)
		return true;
	v = &s->verbs[SQ_ACL_PUBLISH];
	if (v->deny.n + v->allow.n < RECENT_FROM)
		return sq_acl_may(s, SQ_ACL_PUBLISH, topic, why);
	at = subject_recent(topic);
	if (s->recent[at].topic != NULL && s->recent[at].len == topic.len &&
	    memcmp(s->recent[at].topic, topic.p, topic.len) == 0)
		return true;
	if (!sq_acl_may(s, SQ_ACL_PUBLISH, topic, why))
		return false;
	subject_remember(s, at, topic);
	return true;
}

bool
sq_acl_may_subscribe(struct sq_acl_subject *s, const struct sq_topic_filter *f,
    struct sq_bytes queue, struct sq_acl_verdict *why)
{
	if (!sq_acl_may(s, SQ_ACL_SUBSCRIBE, f->filter, why))
		return false;
	if (queue.len == 0)
		queue = f->share;
	return queue.len == 0 || sq_acl_may(s, SQ_ACL_CONSUME, queue, why);
}
