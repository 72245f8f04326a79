/* Who may do what: the rules of "acl" in the broker's configuration.
 *
 *   sq_acl           rules, checked; immutable, shared by all workers
 *   sq_acl_subject   the rules of one client, with their placeholders filled in
 *
 * A rule has a subject, verbs, and the topics or queues that they are about:
 *
 *   - allow: [publish, subscribe]     one of the two: allow, deny
 *     identity: "kube:shop/o*"        a pattern (core/glob.h); unset: everybody, also callers
 *                                     without a credential, whose name is empty
 *     space: shop                     a pattern of the session's space; unset: any
 *     topics: ["orders/{client}/#"]   of publish and subscribe: plain filters; unset: all,
 *                                     also those that start with $
 *   - deny: [consume, manage]
 *     queues: ["billing-*"]           of the other verbs: patterns; unset: all
 *
 * The order of rules means nothing.  A decision is made by the first of:
 *
 *   1. A space that the caller may not name: denied.
 *   2. A deny rule that hits: denied.  To publish, its filter matches the topic; to
 *      subscribe, its filter overlaps the requested one: a filter that could bring one denied
 *      topic is refused as a whole.
 *   3. An allow rule that hits: allowed.  To publish, its filter matches the topic; to
 *      subscribe, one of its filters covers the requested one.
 *   4. An allow rule of that verb for that subject that does not hit: denied.  A subject with
 *      rules that list objects may do what is listed, verb by verb.
 *   5. To manage, push or operate: denied.
 *   6. "acl-default": allow (the default) or deny.
 *
 * Objects of the verbs:
 *   publish    The topic, when a message is admitted.  A delayed one is not checked again when it
 *              is due, because it was acknowledged; a will is checked when its client connects,
 *              and again when it is published.  The topic of a receipt, too.
 *   subscribe  The filter without $share and $tag; it stands for retained messages, too.  $SYS
 *              and $dead are as any other ("$dead/#" is checked by that name); letters below
 *              $dead/ are also denied by rules that deny the topics behind it.
 *   consume    In addition to subscribe: the queue of $share/NAME, of a declared group, and
 *              "$dead".
 *   manage     The same names; "pod:NAME" of what a pod has for itself, and "session:KEY" of a
 *              session and its own queue.
 *   push       A queue's name: to declare where its messages are pushed to, or how, and to test
 *              that; in addition to manage.
 *   operate    The name of a table of the broker's view, "backlog" or "tap" (docs/view.md).
 * No rule allows a publish to $SYS, $dead, $share, $tag or $queue, and none is asked for one below
 * $reply, where who was asked for a reply has a topic that nobody guesses.
 *
 * Placeholders {space}, {identity} and {client} fill a part of one level, never more:
 * {identity} is the name behind its kind ("token:x": x), and of "kube:SPACE/ACCOUNT" it is
 * SPACE.ACCOUNT.  Bytes of a value with a meaning in that place ('/', '+', '#' in a filter, '$' at
 * its start, '*' and '?' in a pattern, '%' in both) are escaped: %2F.  A filter with an {identity}
 * that is empty, or with {client} where there is no client id, hits nothing. */
#ifndef SQ_BROKER_AUTH_ACL_ACL_H
#define SQ_BROKER_AUTH_ACL_ACL_H

#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/config.h"
#include "core/msg.h"
#include "proto/topic/topic.h"

enum sq_acl_verb {
	SQ_ACL_PUBLISH,
	SQ_ACL_SUBSCRIBE,
	SQ_ACL_CONSUME,
	SQ_ACL_MANAGE,
	SQ_ACL_PUSH,
	SQ_ACL_OPERATE,
	SQ_ACL_VERBS,
};

/* For people. */
#define SQ_ACL_VERB_NAMES "publish, subscribe, consume, manage, push and operate"

/* The queue that rules name for dead letters. */
#define SQ_ACL_DEAD_QUEUE "$dead"
/* Before a session's key, where rules name it. */
#define SQ_ACL_SESSION "session:"

const char *sq_acl_verb_name(enum sq_acl_verb);
/* The verb of a name; SQ_ACL_VERBS: none. */
enum sq_acl_verb sq_acl_verb_of(const char *name);
/* Whether the verb's objects are topics and filters; else queues. */
bool sq_acl_verb_has_topics(enum sq_acl_verb);
/* Whether nobody may without a rule that allows it, whatever the default is. */
bool sq_acl_verb_is_given(enum sq_acl_verb);

/* A rule as written. */
struct sq_acl_rule {
	struct sq_strings allow, deny;
	const char *identity, *space; /* NULL: any */
	struct sq_strings topics, queues;
	const char *where; /* "broker.yaml:12" */
};

/* Copies and checks the rules.  NULL with a line in 'err' that begins with the place of the
 * rule that is wrong. */
struct sq_acl *
sq_acl_new(const struct sq_acl_rule *, size_t n, bool default_deny, struct sq_buf *err);
/* Adds a reference.  Thread: any. */
struct sq_acl *sq_acl_ref(struct sq_acl *);
/* Gives a reference back and nulls it; the last one frees the rules.  Thread: any. */
void sq_acl_unref(struct sq_acl **);
/* Number of rules. */
size_t sq_acl_rules(const struct sq_acl *);

/* A caller, and the space of its request. */
struct sq_acl_who {
	const char *identity; /* its name; empty or NULL: no credential was needed */
	const char *client;   /* client id; NULL: a publisher that has none */
	/* Of the request; NULL: of all spaces, where a deny rule of any space counts, and an allow
	 * rule of all spaces alone. */
	const char *space;
	bool own; /* the identity may name that space */
};

enum sq_acl_basis {
	SQ_ACL_BY_RULE,    /* 'rule' hits */
	SQ_ACL_BY_LIST,    /* 'rule' and maybe others list allowed objects, and none is this one */
	SQ_ACL_BY_DEFAULT, /* no rule is about the object */
	SQ_ACL_BY_SPACE,   /* the caller may not name the space */
	SQ_ACL_BY_NONE,    /* no rule allows the verb, which nobody may without one */
};

/* Valid as long as the rules are. */
struct sq_acl_verdict {
	bool allowed;
	enum sq_acl_basis basis;
	enum sq_acl_verb verb; /* the verb that was decided last */
	size_t rule;           /* place of the deciding rule in the list, from 0 */
	const char *where;     /* of that rule; NULL: no rule decides */
};

/* Appends the deciding rule, for people: "acl[2] (broker.yaml:12)"; without 'files', for a refused
 * client, "acl[2] (line 12)". */
void sq_acl_verdict_print(const struct sq_acl_verdict *, bool files, struct sq_buf *out);

/* The rules for one client, with a reference to all rules.  NULL: nothing is denied to the client but
 * the verbs that nobody has without a rule, so nothing else need be checked.  Thread: one at a time. */
struct sq_acl_subject *sq_acl_subject_new(struct sq_acl *, const struct sq_acl_who *);
void sq_acl_subject_free(struct sq_acl_subject **);

/* Whether the subject (NULL: anybody) may publish to the topic, a valid name.  Cheap: the subject
 * remembers its last topics. */
bool sq_acl_may_publish(struct sq_acl_subject *, struct sq_bytes topic, struct sq_acl_verdict *why);
/* Whether the subject may have a subscription, and consume from the queue of that name (empty: its own
 * alone; the queue of "$share" follows from the filter). */
bool sq_acl_may_subscribe(struct sq_acl_subject *, const struct sq_topic_filter *,
    struct sq_bytes queue, struct sq_acl_verdict *why);
/* Whether the subject may do any verb; 'object' is a topic, a plain filter or a queue's name. */
bool sq_acl_may(
    struct sq_acl_subject *, enum sq_acl_verb, struct sq_bytes object, struct sq_acl_verdict *why);
/* Whether some rule allows the subject some of a verb that nobody has without one. */
bool sq_acl_has(const struct sq_acl_subject *, enum sq_acl_verb);

#endif
