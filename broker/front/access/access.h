/* Who may do what at the admin endpoint (docs/view.md): a request from loopback everything; an
 * identity may look at what a rule lets it operate, do what one lets it manage, and read what it may
 * subscribe to. */
#ifndef SQ_BROKER_FRONT_ACCESS_ACCESS_H
#define SQ_BROKER_FRONT_ACCESS_ACCESS_H

#include <stdbool.h>

#include "broker/auth/acl/acl.h"

struct sq_admin_ask;
struct sq_identity;

/* Judges a request without a credential: 200, or the status of the answer with a static text in
 * '*why'. */
unsigned sq_access_local(const struct sq_admin_ask *, const char **why);

/* A caller with the rules of that moment, and what it asks for.  Zeroed: it may everything. */
struct sq_access {
	struct sq_acl *acl;            /* a reference; NULL: it may everything */
	const struct sq_identity *who; /* the caller's */
	const char *what;     /* a table, "backlog" or "tap", as rules' queues of operate; static */
	char *space;          /* the last one that was judged */
	bool may;             /* how */
	struct sq_buf denied; /* of the last refusal, for people */
};

/* Whether the caller may operate 'what', which is static: in 'space' (NULL: in some space); 'whole':
 * it concerns all spaces.  From now on that is what it asks for. */
bool sq_access_may(struct sq_access *, const char *what, bool whole, const char *space);
/* Whether it may what it asks for in that space: of a struct sq_access. */
bool sq_access_space(void *access, const char *space);
/* Whether the caller may manage the queue or session that rules name so. */
bool sq_access_may_manage(struct sq_access *, struct sq_bytes object, const char *space);
/* Whether it may manage anything in that space; NULL: in any. */
bool sq_access_manages(struct sq_access *, const char *space);
/* Whether it may see the payloads that a subscription to the filter would bring, a valid one. */
bool sq_access_may_read(struct sq_access *, const char *filter, const char *space);
/* Whether the caller may name that space. */
bool sq_access_has_space(const struct sq_access *, const char *space);
/* Why one of these was false the last time, for people; valid until the next one, "" before. */
const char *sq_access_denied(const struct sq_access *);
/* The caller's name for people, as long as 'who'. */
const char *sq_access_name(const struct sq_access *);
void sq_access_fini(struct sq_access *);

#endif
