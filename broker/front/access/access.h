/* Who may do what at the admin endpoint: a request from loopback everything, an identity what a rule
 * lets it operate (docs/view.md). */
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
	const char *what; /* a table or a deed, which rules know by the name of a queue; static */
	char *space;      /* the last one that was judged */
	bool may;         /* how */
};

/* Whether the caller may 'what', which is static: in 'space' (NULL: in some space); 'whole': it
 * concerns all spaces.  From now on that is what it asks for. */
bool sq_access_may(struct sq_access *, const char *what, bool whole, const char *space);
/* Whether it may what it asks for in that space: of a struct sq_access. */
bool sq_access_space(void *access, const char *space);
/* The caller's name for people, as long as 'who'. */
const char *sq_access_name(const struct sq_access *);
void sq_access_fini(struct sq_access *);

#endif
