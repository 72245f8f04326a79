/* Who may see the view: a request from loopback, or an identity that may operate (docs/view.md). */
#ifndef SQ_BROKER_FRONT_VIEW_ACCESS_H
#define SQ_BROKER_FRONT_VIEW_ACCESS_H

#include <stdbool.h>

#include "broker/auth/acl/acl.h"
#include "broker/view/slice.h"

struct sq_admin_ask;
struct sq_identity;

/* Judges a request without a credential: 200, or the status of the answer with a static text in
 * '*why'. */
unsigned sq_view_access_local(const struct sq_admin_ask *, const char **why);

/* An identity that looks at a table, with the rules of that moment. */
struct sq_view_access {
	struct sq_acl *acl;            /* a reference; NULL: it may see everything */
	const struct sq_identity *who; /* the caller's */
	const struct sq_view_table *table;
	char *space; /* the last one that was judged */
	bool may;    /* how */
};

/* Whether the identity may see rows of the table, in 'space' (NULL: in some space). */
bool sq_view_access_table(struct sq_view_access *, const struct sq_view_table *, const char *space);
/* Whether it may see rows of that space: sq_view_filter.may, of a struct sq_view_access. */
bool sq_view_access_space(void *arg, const char *space);
void sq_view_access_fini(struct sq_view_access *);

#endif
