/* Who may do what: the rules of "acl" in the broker's configuration.
 *
 *   sq_acl           rules, checked; immutable, shared by all workers
 *   sq_acl_subject   what they say of one client, its placeholders filled in
 *
 * A rule has a subject, verbs, and what they may, or may not, be done to:
 *
 *   - allow: [publish, subscribe]     one of the two: allow, deny
 *     identity: "kube:shop/o*"        a pattern (core/glob.h); unset: everybody, also who was
 *                                     asked for no credential, whose name is empty
 *     space: shop                     a pattern of the session's space; unset: any
 *     topics: ["orders/{client}/#"]   of publish and subscribe: plain filters; unset: all,
 *                                     also those that start with $
 *   - deny: [consume, manage]
 *     queues: ["billing-*"]           of the other verbs: patterns; unset: all
 *
 * The order of rules means nothing.  What decides, first to last:
 *
 *   1. A space that is not one's own: denied.
 *   2. A deny rule that hits: denied.  To publish, its filter matches the topic; to
 *      subscribe, its filter overlaps the one that is asked for: what could bring one
 *      denied topic is refused whole.
 *   3. An allow rule that hits: allowed.  To publish, its filter matches the topic; to
 *      subscribe, one of its filters covers the one that is asked for.
 *   4. An allow rule of that verb for that subject, which does not hit: denied.  Whose
 *      rules list something may do what is listed, verb by verb.
 *   5. "acl-default": allow (the default) or deny.
 *
 * What the verbs are asked about:
 *   publish    The topic, when a message is taken in: a delayed one then, and not again when
 *              it is due, as it was acknowledged; a will when its client connects, and again
 *              when it is published, as nobody was promised it.  And the topic of a receipt.
 *   subscribe  The filter without $share and $tag; retained messages come with that.  Below
 *              $SYS and $dead as any other ("$dead/#" is asked about by that name); letters
 *              below $dead/ are denied besides by what denies the topics behind it.
 *   consume    Besides, the queue of $share/NAME, of a declared group, and "$dead".
 *   manage, operate  A queue's name; asked about by nothing yet.
 * $SYS, $dead, $share, $tag and $queue are published to by nobody, whatever rules say.
 *
 * Placeholders {space}, {identity} and {client} fill a part of one level, never more:
 * {identity} is the name behind its kind ("token:x": x), and of "kube:SPACE/ACCOUNT" it is
 * SPACE.ACCOUNT.  Bytes of a value that mean something where it stands ('/', '+', '#' in a
 * filter, '$' at its start, '*' and '?' in a pattern, '%' in both) are written as %2F.  An
 * {identity} that is empty makes the filter one that hits nothing. */
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
	SQ_ACL_OPERATE,
	SQ_ACL_VERBS,
};

/* What a consumer of dead letters is asked about. */
#define SQ_ACL_DEAD_QUEUE "$dead"

const char *sq_acl_verb_name(enum sq_acl_verb);
/* SQ_ACL_VERBS: there is none of that name. */
enum sq_acl_verb sq_acl_verb_of(const char *name);
/* Whether it is asked about topics and filters; else about queues. */
bool sq_acl_verb_has_topics(enum sq_acl_verb);

/* A rule as it was written. */
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
/* Thread: any. */
struct sq_acl *sq_acl_ref(struct sq_acl *);
/* Nulls '*'; the last one frees it. */
void sq_acl_unref(struct sq_acl **);
size_t sq_acl_rules(const struct sq_acl *);

/* Who asks, and where. */
struct sq_acl_who {
	const char *identity; /* text name; empty or NULL: nobody was asked */
	const char *client;   /* client id */
	const char *space;    /* in which something is done */
	bool own;             /* it is one that the identity may name */
};

enum sq_acl_basis {
	SQ_ACL_BY_RULE,    /* 'rule' hits */
	SQ_ACL_BY_LIST,    /* 'rule' and maybe others list what may be done, and it is not that */
	SQ_ACL_BY_DEFAULT, /* no rule speaks of it */
	SQ_ACL_BY_SPACE,   /* it is another's */
};

/* Valid as long as the rules are. */
struct sq_acl_verdict {
	bool allowed;
	enum sq_acl_basis basis;
	enum sq_acl_verb verb; /* that was decided last */
	size_t rule;           /* its place in the list, from 0 */
	const char *where;     /* of the rule; NULL: none decides */
};

/* Appends what decided, for people: "acl[2] (broker.yaml:12)"; without 'files' a refused
 * client's "acl[2] (line 12)". */
void sq_acl_verdict_print(const struct sq_acl_verdict *, bool files, struct sq_buf *out);

/* The rules for one client.  NULL: nothing is denied to it, so nothing need be asked.
 * It holds a reference to the rules.  Thread: one. */
struct sq_acl_subject *sq_acl_subject_new(struct sq_acl *, const struct sq_acl_who *);
void sq_acl_subject_free(struct sq_acl_subject **);

/* Whether the subject (NULL: anybody may) may publish to the topic, which is a name that has
 * passed its check.  Cheap: the last topics are remembered. */
bool sq_acl_may_publish(struct sq_acl_subject *, struct sq_bytes topic, struct sq_acl_verdict *why);
/* Whether it may have that subscription, and what it takes from the queue of that name
 * (empty: none but its own; of "$share" by the filter). */
bool sq_acl_may_subscribe(struct sq_acl_subject *, const struct sq_topic_filter *,
    struct sq_bytes queue, struct sq_acl_verdict *why);
/* Any verb; 'object' is a topic, a plain filter or the name of a queue. */
bool sq_acl_may(
    struct sq_acl_subject *, enum sq_acl_verb, struct sq_bytes object, struct sq_acl_verdict *why);

#endif
